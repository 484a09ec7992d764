"""``pellucid export``: a model as ONNX or C."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli import options
from pellucid.cli.output import console, print_json, say
from pellucid.export import EXPORTERS, default_path
from pellucid.export import export as write

_FORMATS = " or ".join(EXPORTERS)


def export(
    model: options.Model,
    to: Annotated[str, typer.Option(metavar="FORMAT", help=f"{_FORMATS}.")] = "onnx",
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write.", show_default="NAME.onnx or NAME.c, here"),
    ] = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Write a model as a file that runs without Pellucid.

    onnx: for ONNX runtimes, the table's preprocessing inside, an input for each column.
    c: one self-contained C99 file; its head says what each input is.

    \b
    Examples:
      pellucid export iris.pellucid
      pellucid export iris.pellucid --to c --out iris.c
    """
    path = default_path(model, to) if out is None else out
    write(model, path, to, overwrite=overwrite)
    size = path.stat().st_size
    if json:
        print_json({"model": str(model), "format": to, "file": str(path), "bytes": size})
    else:
        say(console(), f"Saved: {path} ({size / 1e6:,.3g} MB)")
