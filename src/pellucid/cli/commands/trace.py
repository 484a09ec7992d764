"""``pellucid trace``: one forward and backward pass with its real numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid._shown import message
from pellucid.cli import options
from pellucid.cli.output import check_file, complain, console, print_json, say, write_text
from pellucid.cli.reading import read_model, read_rows, row_of
from pellucid.errors import SettingsError

if TYPE_CHECKING:
    from pellucid.insight.trace import Cell, Trace
    from pellucid.tables import Table, TableModel

HELP_ORDER = 60
FORMATS = {".html": "html", ".tex": "latex", ".txt": "text", ".svg": "svg"}
"""The ending of --out and what is written: a method of the trace."""

MOST_STEPS = 10_000
"""Of --step: the steps before it are made, not shown."""


def trace(
    model: Annotated[
        Path | None, typer.Argument(metavar="MODEL", help="A folder that train wrote.")
    ] = None,
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="Rows with their target.")
    ] = None,
    row: options.Row = 1,
    preset: Annotated[
        str | None,
        typer.Option(help="Use a small network from the lectures instead; 'list' lists them."),
    ] = None,
    cell: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Only one cell, such as 'dW[2][0, 3]' or 'Z[1]<2>[0, 0]', and the sum behind it.",
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Also check every number against finite differences.")
    ] = False,
    optimizer: Annotated[
        str | None,
        typer.Option(help="Also show the step of this optimizer, such as momentum or adam."),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Its learning rate.", show_default="its own")
    ] = None,
    step: Annotated[
        int,
        typer.Option(min=1, max=MOST_STEPS, help="Which of its steps, all on the same examples."),
    ] = 1,
    network: Annotated[
        int, typer.Option(min=1, help="Which network of an ensemble, counted from 1.")
    ] = 1,
    width: Annotated[
        int | None, typer.Option(min=40, help="Characters per line.", show_default="the terminal's")
    ] = None,
    header: options.Header = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write to a file: .html, .tex, .txt; .svg draws it."),
    ] = None,
    slides: Annotated[
        bool, typer.Option("--slides", help="In the .tex file, a slide for each step.")
    ] = False,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Show one forward and backward pass of a network with its real numbers.

    Every W, b, Z, A, dA, dZ, dW, db in the lectures' notation, the formula and the formula with
    the numbers put in. The numbers are those of the reference engine.

    \b
    Examples:
      pellucid trace --preset and-gate
      pellucid trace --preset xor --cell 'dW[1][0, 1]'
      pellucid trace --preset edge-detector --cell 'Z[1][0, 1, 0]'
      pellucid trace --preset xor --optimizer adam --step 3
      pellucid trace iris.pellucid sample:iris --row 5 --out pass.html
    """
    if preset == "list":
        _list_presets()
        return
    if out is not None:
        _check_out(out, overwrite)
        if json or cell is not None:
            raise SettingsError(("out", "writes the whole trace; leave out --json and --cell."))
    if slides and (out is None or out.suffix.lower() != ".tex"):
        raise SettingsError(("slides", "writes a .tex file; name it with --out."))
    if step > 1 and optimizer is None:
        raise SettingsError(("step", "is of an optimizer; name it with --optimizer."))
    by = {"optimizer": optimizer, "learning_rate": learning_rate}
    try:
        found = _trace(model, data, row, preset, network, header, by)
        found = found.next(step - 1) if step > 1 else found
    except ValueError as error:
        if isinstance(error, SettingsError) or (optimizer, learning_rate) == (None, None):
            raise
        raise SettingsError(("optimizer", str(error))) from None
    if cell is not None:
        picked = _cell(found, cell)
        print_json(picked.to_dict()) if json else say(console(), str(picked), whole=True)
    elif json:
        print_json(found.to_dict())
    elif out is not None:
        form = "slides" if slides else FORMATS[out.suffix.lower()]
        write_text(out, getattr(found, form)(), overwrite)
        say(console(stderr=True), f"Saved: {out}")
    else:
        typer.echo(found.text(width))
    if check:
        _check(found, to_stderr=json)


def _trace(
    model: Path | None,
    data: str | None,
    row: int,
    preset: str | None,
    network: int,
    header: bool | None,
    step: dict[str, Any],
) -> Trace:
    from pellucid.insight.trace import PRESETS
    from pellucid.insight.trace import preset as find_preset

    if preset is not None:
        if model is not None:
            raise SettingsError(("preset", "brings its own network and data; leave out MODEL."))
        if (row, network) != (1, 1):
            raise SettingsError(("preset", "shows all its examples; leave out --row, --network."))
        try:
            return find_preset(preset).trace(**step)
        except ValueError as error:
            raise SettingsError(("", str(error))) from None
    if str(model) in PRESETS and not Path(str(model)).exists():
        right = f"pellucid trace --preset {model}"
        raise SettingsError(("", f"{model} is a preset, with its own data: {right}"))
    if model is None or data is None:
        raise SettingsError(("", "name MODEL and DATA, or --preset NAME ('list' lists them)."))
    loaded = read_model(model)
    table, _ = read_rows(loaded, data, header, loaded.target)
    return _of_row(loaded, row_of(table, row), row, network, step)


def _of_row(model: TableModel, rows: Table, row: int, network: int, step: dict[str, Any]) -> Trace:
    """The trace of one row: its inputs as the network gets them, its target as it learned it."""
    from pellucid.insight.trace import trace as traced
    from pellucid.tables.evaluate import as_learned
    from pellucid.tasks import TASKS

    if network > len(model.networks):
        of = len(model.networks)
        raise SettingsError(("network", f"must be at most {of}, the networks of this model."))
    assert rows.y is not None
    title = f"Row {row} of {rows.source}, {model.target} = {rows.y[0].item()!r}"
    if model.task == "regression":
        title += f", Y = ({model.target} - {model.target_mean:.4g}) / {model.target_std:.4g}"
    if len(model.networks) > 1:
        title += f", network {network} of {len(model.networks)}"
    net, loss = model.networks[network - 1], TASKS[model.task].loss
    t = as_learned(model, rows.y, rows.source)
    names = [message(each) for each in model.preprocessing.output_names]
    return traced(net, model.inputs(rows).T, t, loss, inputs=names, title=message(title), **step)


def _cell(found: Trace, written: str) -> Cell:
    """The cell that is written as in the lectures: dW[2][0, 3], Z[1]<2>[0, 3], or dX[0, 1]."""
    import re

    parts = re.fullmatch(
        r"\s*([A-Za-z_~*']+)(?:\[(\d+)\])?(?:<(\d+)>)?\[(\d+(?:\s*,\s*\d+)+)\]\s*", written
    )
    if parts is None:
        raise SettingsError(
            ("cell", f"must be written as 'dW[2][0, 3]', layer, row, column; got {written!r}.")
        )
    letter, layer, step = parts[1], int(parts[2] or 0), int(parts[3]) if parts[3] else None
    at = [int(number) for number in parts[4].split(",")]
    try:
        return found.cell(letter, layer=layer, at=at, step=step)
    except ValueError as error:
        raise SettingsError(("cell", f"{written!r}: {error}")) from None


def _check(found: Trace, to_stderr: bool) -> None:
    verdict = found.check()
    out = console(stderr=to_stderr)
    say(out)
    say(out, str(verdict), whole=True)
    if not verdict.ok:
        complain("a gradient differs from the finite differences.")
        raise typer.Exit(1)


def _check_out(out: Path, overwrite: bool) -> None:
    if out.suffix.lower() not in FORMATS:
        endings = ", ".join(FORMATS)
        raise SettingsError(("out", f"must end in {endings}; got {str(out)!r}."))
    check_file(out, overwrite)


def _list_presets() -> None:
    from pellucid.insight.trace import PRESETS

    for entry in PRESETS.values():
        say(console(), f"{entry.name:<20} {entry.title} ({entry.source})")
