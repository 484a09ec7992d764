"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A .csv, .tsv, .txt or .jsonl file (also .gz), .parquet or .arrow, a folder of "
        "images, or sample:NAME.",
    ),
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A folder that train wrote.")]
Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        help="Whether the first row holds names; if not, columns are named 1, 2, ...",
        show_default="detected",
    ),
]
Row = Annotated[int, typer.Option(min=1, help="Which row, counted from 1 after the header.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing file or folder.")]
Wait = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        help="How long to wait if another process is writing this model.",
        show_default="not at all",
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object, and nothing else, to stdout.")
]
