"""``pellucid export``: a model as ONNX or C."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli import options
from pellucid.cli.output import (
    check_file,
    complain,
    console,
    grid,
    print_json,
    say,
    write_somewhere,
)
from pellucid.cli.reading import read_model, read_rows
from pellucid.errors import SettingsError
from pellucid.export import EXPORTERS, default_path
from pellucid.export import export as write
from pellucid.export import verify as compare

if TYPE_CHECKING:
    from pellucid.export.verification import Verification

HELP_ORDER = 80
_FORMATS = " or ".join(EXPORTERS)


def export(
    model: options.Model,
    to: Annotated[str, typer.Option(metavar="FORMAT", help=f"{_FORMATS}.")] = "onnx",
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write.", show_default="NAME.onnx or NAME.c, here"),
    ] = None,
    verify: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Compare the file with the model on the rows of this table, or these images.",
            show_default="no comparison",
        ),
    ] = None,
    header: options.Header = None,
    lengths: Annotated[
        bool,
        typer.Option(
            "--lengths",
            help="Of a network of sequences, to onnx: the file takes the steps of each row too.",
        ),
    ] = False,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Write a model as a file that runs without Pellucid.

    onnx: for ONNX runtimes, the table's preprocessing inside, an input for each column.
    c: one self-contained C99 file; its head says what each input is.

    --verify runs the file (onnx in onnxruntime, C by this machine's compiler) and prints its inputs
    and outputs and the largest difference from what the model predicts; the exit status is 1 where
    rounding does not explain it.

    \b
    Examples:
      pellucid export iris.pellucid --verify sample:iris
      pellucid export iris.pellucid --to c --out iris.c
    """
    default = default_path(model, to)
    asked = default if out is None else out
    check_file(asked, overwrite)
    loaded, rows = _to_verify(model, to, verify, header)
    path = write_somewhere(
        "the exported model",
        asked,
        lambda place, replace: write(loaded, place, to, lengths=lengths, overwrite=replace),
        overwrite,
    )
    found = None if verify is None else compare(path, loaded, rows, to=to)
    size = path.stat().st_size
    if json:
        verified = {} if found is None else {"verification": {"data": verify, **found.to_dict()}}
        print_json(
            {"model": str(model), "format": to, "file": str(path), "bytes": size, **verified}
        )
    else:
        say(console(), f"Saved: {path} ({size / 1e6:,.3g} MB)")
        if found is not None:
            _show(found, rows.source)
    if found is not None and not found.ok:
        complain(
            f"{path} does not give what the model gives on {rows.source}: {found.summary()}. "
            "Do not use the file."
        )
        raise typer.Exit(1)
    if path != asked:
        raise typer.Exit(2)


def _to_verify(model: Path, to: str, data: str | None, header: bool | None) -> tuple[Any, Any]:
    """The model, and the rows to compare on: what is missing is said before the work."""
    from pellucid.persistence import load

    if data is None:
        if header is not None:
            raise SettingsError(("header", "is about the table of --verify, which was not given."))
        return load(model), None
    from pellucid.export.verification import ready

    ready(to)
    loaded = read_model(model)
    return loaded, read_rows(loaded, data, header)[0]


def _show(found: Verification, source: str) -> None:
    out = console()
    shown = grid("", "name", "type", "shape", whole=("",))
    for what, tensors in (("input", found.inputs), ("output", found.outputs)):
        for each in tensors[:_MOST]:
            shown.add_row(what, each.name, each.dtype, f"({', '.join(map(str, each.shape))})")
        if len(tensors) > _MOST:
            shown.add_row(what, f"... and {len(tensors) - _MOST} more", "", "")
    say(out)
    out.print(shown)
    say(out)
    if found.opset is not None:
        say(out, f"opset {found.opset}; m is the number of rows")
    say(out, f"{source}, {found.summary()}")


_MOST = 30
"""Inputs that are shown; --json has all."""
