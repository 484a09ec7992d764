"""``pellucid explain``: what each column adds to a prediction."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pellucid._shown import short
from pellucid.cli import options
from pellucid.cli.output import console, grid, print_json, say
from pellucid.cli.reading import read_model, read_rows, row_of
from pellucid.errors import SettingsError

HELP_ORDER = 40
MOST_COLUMNS, MOST_LETTERS = 100, 40
"""That are shown: the columns that add most, and of each value."""


def explain(
    model: options.Model,
    data: options.Data,
    row: options.Row = 1,
    of: Annotated[
        str | None,
        typer.Option(
            help="The class whose probability is explained.", show_default="the one predicted"
        ),
    ] = None,
    header: options.Header = None,
    json: options.Json = False,
) -> None:
    """Show how much each column adds to the prediction of a row.

    By integrated gradients, from a row that nothing is known of (numbers at their median, no
    category) to this one: the parts add up to the difference of the two predictions.

    \b
    Examples:
      pellucid explain iris.pellucid sample:iris --row 5
      pellucid explain churn.pellucid customers.csv --row 17 --of Yes
    """
    import numpy as np

    from pellucid.insight import explain as explained
    from pellucid.tables.values import text_of

    loaded = read_model(model)
    table, _ = read_rows(loaded, data, header)
    rows = row_of(table, row)
    found = explained(loaded, rows, of=_label(loaded.classes, of))
    parts = found.row(0)
    what = f"probability of {found.of[0]!r}" if found.of else loaded.target
    value, start = float(found.value[0]), float(found.start[0])
    first = {name: rows.columns[name][0] for name in parts}
    cells = {name: "an image" if np.ndim(x) else text_of(x) for name, x in first.items()}
    if json:
        print_json(
            {
                "model": str(model),
                "source": table.source,
                "row": row,
                "what": what,
                "value": value,
                "start": start,
                "contributions": parts,
            }
        )
        return
    out = console()
    say(out, f"Row {row} of {table.source}: the {what} is {value:.4g}.")
    say(out, f"With every number at its median and no category it would be {start:.4g}.")
    say(out)
    out.print(_table(parts, cells))
    say(out, f"Together: {sum(parts.values()):+.4g}")


def _label(classes: list[Any], of: str | None) -> Any:
    """The class that is written so; classes may be numbers."""
    found = next((label for label in classes if str(label) == of), None)
    if of is not None and found is None:
        known = ", ".join(map(str, classes[:8])) or "none: it predicts a number"
        raise SettingsError(("of", f"must be one of the classes, {known}; got {of!r}."))
    return found


def _table(parts: dict[str, float], cells: dict[str, str | None]) -> Any:
    made = grid("column", "value", "adds", right=["adds"])
    for name, part in list(parts.items())[:MOST_COLUMNS]:
        cell = cells[name]
        made.add_row(
            short(name), "missing" if cell is None else short(cell, MOST_LETTERS), f"{part:+.4g}"
        )
    more = list(parts.values())[MOST_COLUMNS:]
    if more:
        made.add_row(f"{len(more):,} more", "", f"{sum(more):+.4g}")
    return made
