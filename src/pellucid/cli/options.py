"""Arguments and options that several commands share."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer

from pellucid.tables.settings import OPTIONS, Option, TrainSettings

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


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for each of :class:`~pellucid.tables.settings.TrainSettings` to a command.

    They come to it as keyword arguments, ``**settings``, by the settings' names, and are listed
    before its option ``--out``.
    """
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    place = [p.name for p in own].index("out")
    kinds = get_type_hints(TrainSettings)
    added = [
        _parameter(name, option, kinds[name], getattr(USUAL, name))
        for name, option in OPTIONS.items()
        if option.command_line
    ]
    parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in (*own[:place], *added, *own[place:])]
    typed: Any = command  # typer reads both
    typed.__signature__ = signature.replace(parameters=parameters)
    typed.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


USUAL = TrainSettings()


def _parameter(name: str, option: Option, kind: Any, default: Any) -> inspect.Parameter:
    """A setting as typer takes an option: columns may be repeated, sizes are one text."""
    help_, shown = option.text, option.usual or True
    metavar = None
    if kind == tuple[str, ...]:
        kind, default, shown, metavar = list[str] | None, None, False, "COLUMN"
        help_ = f"{help_} May be repeated."
    elif kind == tuple[int, ...]:
        kind, default = str, ",".join(map(str, default))
        help_ = f"{help_} 'none' has no hidden layer."
    else:
        plain = [each for each in get_args(kind) or (kind,) if each in _PLAIN]
        kind = functools.reduce(operator.or_, plain)
    if option.names:
        help_ = f"{help_.rstrip('.')}: {', '.join(option.names)}."
    spelled = (option.flag,) if option.flag else ()
    made = typer.Option(*spelled, help=help_, show_default=shown, metavar=metavar)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, made]
    )


_PLAIN = (str, int, float, bool, type(None))
"""What the command line can write."""
