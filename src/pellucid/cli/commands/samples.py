"""``pellucid samples``: the tables that ship with scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli import options
from pellucid.cli.output import check_file, console, grid, print_json, say, to_csv, write_text

if TYPE_CHECKING:
    from pellucid.tables import Table

HELP_ORDER = 90
NEEDS_ARGUMENTS = False


def samples(
    write: Annotated[
        tuple[str, Path] | None,
        typer.Option(
            metavar="NAME FILE", help="Write this sample to a CSV file.", show_default=False
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """List or write the tables that ship with scikit-learn.

    \b
    Examples:
      pellucid samples
      pellucid samples --write iris iris.csv
    """
    import dataclasses

    from pellucid.tables import SAMPLES, read_sample

    if write is not None:
        name, path = write
        check_file(path, overwrite)
        table = read_sample(name)
        write_text(path, _table_csv(table), overwrite)
        if json:
            print_json({"sample": name, "file": str(path), "rows": table.m})
        else:
            say(console(), f"Saved: {path} ({table.m:,} rows)")
    elif json:
        print_json([dataclasses.asdict(sample) for sample in SAMPLES.values()])
    else:
        _show()


def _show() -> None:
    from pellucid.tables import SAMPLES

    made = grid(
        "data",
        "task",
        "rows",
        "inputs",
        "what it is",
        right=("rows", "inputs"),
        whole=("data", "task"),
    )
    for s in SAMPLES.values():
        made.add_row(f"sample:{s.name}", s.task, f"{s.rows:,}", str(s.columns), s.description)
    out = console()
    out.print(made)
    say(out)
    say(out, "Train on one: pellucid train sample:iris")


def _table_csv(table: Table) -> str:
    assert table.y is not None
    columns = [*(column.tolist() for column in table.columns.values()), table.y.tolist()]
    return to_csv([*table.columns, str(table.target)], zip(*columns, strict=True))
