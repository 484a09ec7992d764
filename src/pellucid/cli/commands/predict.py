"""``pellucid predict``: the target of each row, as CSV or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli import options
from pellucid.cli.output import (
    check_file,
    console,
    print_data,
    print_json,
    say,
    to_csv,
    write_somewhere,
    write_text,
)
from pellucid.cli.reading import count_unseen, read_model, read_rows

if TYPE_CHECKING:
    from pellucid.tables import TableModel

HELP_ORDER = 20


def predict(
    model: options.Model,
    data: options.Data,
    out: Annotated[
        Path | None,
        typer.Option(help="Write the CSV to this file.", show_default="standard output"),
    ] = None,
    head: Annotated[
        int | None, typer.Option(min=1, help="Only the first rows.", show_default="all")
    ] = None,
    header: options.Header = None,
    safe: Annotated[
        bool,
        typer.Option(
            "--safe-for-spreadsheets",
            help="Put ' before classes and file names that a spreadsheet would take for a formula, "
            "such as =1+1, and quote every cell.",
        ),
    ] = False,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Predict the target of each row or image, as CSV.

    The columns are found by name: others are not used, a missing one is an error. For classes
    the probability of each stands beside the prediction, for images the name of the file. A note
    says how many rows hold a category that was not seen in training. Names stand in the CSV as
    they are in the data, also where a spreadsheet would take one for a formula:
    --safe-for-spreadsheets prevents that.

    \b
    Examples:
      pellucid predict iris.pellucid sample:iris --head 5
      pellucid predict houses.pellucid new.csv --out prices.csv
      pellucid predict photos.pellucid photos/new
    """
    from pellucid.tables.table import count

    if out is not None:
        check_file(out, overwrite)
    loaded = read_model(model)
    table, files = read_rows(loaded, data, header)
    table, files = table.rows(slice(head)), files[:head]
    predictions, probabilities = _predict(loaded, table)
    notes = [count(table.m, "row"), *table.notes]
    written = out
    shown = console(stderr=True, quiet=json)
    say(shown, f"{table.source}: {'; '.join(notes)}.")
    unseen, sentence = count_unseen(loaded, table)
    if sentence:
        say(shown, f"Note: {sentence}")
    if out is not None or not json:
        text = _as_csv(loaded, files, predictions, probabilities, safe)
        if out is None:
            print_data(text)
        else:
            written = write_somewhere(
                "the predictions",
                out,
                lambda place, replace: write_text(place, text, replace),
                overwrite,
            )
            say(shown, f"Saved: {written}")
    if json:
        print_json(
            {
                "model": str(model),
                "source": table.source,
                "rows": table.m,
                "notes": table.notes,
                "unseen": unseen,
                **({"files": files} if files else {}),
                "target": loaded.target,
                "task": loaded.task,
                "classes": loaded.classes,
                "predictions": predictions,
                "probabilities": probabilities,
            }
        )
    if written != out:
        raise typer.Exit(2)


def _predict(model: TableModel, rows: Any) -> tuple[list[Any], list[list[float]]]:
    if model.task == "regression":
        return model.predict(rows).tolist(), []
    p = model.predict_proba(rows)
    return model.labels()[model.class_numbers(p)].tolist(), p.tolist()


def _as_csv(
    model: TableModel,
    files: list[str],
    predictions: list[Any],
    probabilities: list[list[float]],
    safe: bool,
) -> str:
    """One row a prediction; nine digits tell any two float32 numbers apart."""
    header, columns = ["prediction"], [predictions]
    if model.task == "regression":
        columns = [[f"{value:.9g}" for value in predictions]]
    if files:
        header, columns = ["file", *header], [files, *columns]
    if probabilities:
        header += [f"p_{name}" for name in model.classes]
        columns += [[f"{p:.9g}" for p in column] for column in zip(*probabilities, strict=True)]
    return to_csv(header, zip(*columns, strict=True), safe=safe)
