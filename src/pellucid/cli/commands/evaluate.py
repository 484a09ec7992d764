"""``pellucid evaluate``: how good a model is on labelled rows."""

from __future__ import annotations

from typing import Annotated

import typer

from pellucid.cli import options
from pellucid.cli.output import console, metrics_table, print_json, say
from pellucid.cli.reading import count_unseen, read_model, read_rows

HELP_ORDER = 30


def evaluate(
    model: options.Model,
    data: options.Data,
    target: Annotated[
        str | None,
        typer.Option(help="The column to compare with.", show_default="as in training"),
    ] = None,
    header: options.Header = None,
    json: options.Json = False,
) -> None:
    """Measure a model on rows whose target is known.

    Take rows that came in later: those that the model was trained on flatter it. Beside it stands
    what always naming these rows' majority class, or their mean, would get.

    \b
    Examples:
      pellucid evaluate houses.pellucid sold_since.csv
      pellucid evaluate iris.pellucid sample:iris --json
    """
    from pellucid.tables.evaluate import evaluate as measure
    from pellucid.tables.table import count

    loaded = read_model(model)
    table, _ = read_rows(loaded, data, header, target or loaded.target)
    found = measure(loaded, table)
    found.metrics |= found.plain()
    unseen, sentence = count_unseen(loaded, table)
    if json:
        print_json(
            {
                "model": str(model),
                "source": table.source,
                "target": table.target,
                "notes": table.notes,
                "unseen": unseen,
                **found.to_dict(),
            }
        )
        return
    out = console()
    say(out, f"{table.source}: {'; '.join([count(table.m, 'row'), *table.notes])}.")
    if sentence:
        say(console(stderr=True), f"Note: {sentence}")
    say(out)
    out.print(metrics_table(f"on {count(found.m, 'row')}", found.metrics))
