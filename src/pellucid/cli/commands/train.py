"""``pellucid train``: from a table to a model, its honest score and a report."""

from __future__ import annotations

import os
import shlex
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from pellucid._shown import LONGEST_QUOTED, quoted, short
from pellucid.cli import options
from pellucid.cli.held_out import check_parting, describe, part
from pellucid.cli.output import complain, console, print_json, write_somewhere
from pellucid.cli.train_input import default_folder, read_table, settings_of
from pellucid.cli.train_shown import (
    as_data,
    show_data,
    show_diagnosis,
    show_files,
    show_plan,
    show_result,
)
from pellucid.errors import InterruptedWarning, MissingPackageError

HELP_ORDER = 10
T = TypeVar("T")

if TYPE_CHECKING:
    from rich.console import Console

    from pellucid.tables import Table, TableModel
    from pellucid.tables.evaluate import Evaluation
    from pellucid.tables.fit import Plan


@options.with_settings
def train(
    data: options.Data,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="The column to learn; the others are inputs.",
            show_default="target, if there is such a column",
        ),
    ] = None,
    header: options.Header = None,
    test: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Measure on these rows, and train on all of DATA.",
            show_default="20 % of the rows are held out",
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Hold out the latest rows by this column of dates or numbers.",
            show_default=False,
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Hold out whole groups, such as customers; not used as an input.",
            show_default=False,
        ),
    ] = None,
    size: Annotated[
        int, typer.Option(min=1, max=1024, help="Height and width that images are resized to.")
    ] = 64,
    out: Annotated[
        Path | None,
        typer.Option(help="Where to save the model.", show_default="NAME.pellucid, here"),
    ] = None,
    overwrite: options.Overwrite = False,
    wait: options.Wait = 0.0,
    json: options.Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False,
    **settings: Any,
) -> None:
    """Train a network, measure it on held-out rows, save it.

    Texts, categories, truth values, dates and missing values are taken as they are. 20 % of the
    rows are held out for the metrics, at random unless --time or --group is given; a
    part of the others, chosen in the same way, decides when to stop. Ctrl-C ends the
    training and keeps what was learned.

    \b
    Examples:
      pellucid train sample:iris
      pellucid train houses.csv --target price --drop id --categorical zip
      pellucid train visits.csv --target returned --group patient
      pellucid train sales.csv --target sold --time day
      pellucid train photos --size 32    (photos/cat/*.jpg, photos/other/*.png)
    """
    from pellucid.insight import diagnose
    from pellucid.persistence import check_destination, save
    from pellucid.tables.evaluate import evaluate

    named = {name: settings.pop(name) or [] for name in ("drop", "keep", "categorical")}
    asked = settings_of(**settings)
    folder = out or default_folder(data)
    check_destination(folder, overwrite=overwrite, wait=wait)
    shown = console(quiet=json or quiet)
    parting = {"time": time, "group": group}
    check_parting(data, test, parting)
    table, asked, cautions = read_table(data, target, header, size, named, parting, asked)
    seen, held_out, plan = part(table, asked, test, header)
    how = describe(held_out, test, cautions)
    show_data(shown, table, plan, held_out, how)
    show_plan(shown, plan)
    model = _fit(shown, plan)
    evaluation = evaluate(model, held_out, seen)
    diagnosis = _kept_going("diagnosis", lambda: diagnose(model))
    ended = all(history["stopped"] != "interrupted" for history in model.histories)
    advice = _advice(plan, evaluation) if ended else ""
    model.metrics = {
        **evaluation.to_dict(),
        "attributions": _kept_going("attribution", lambda: _attributions(model, held_out)),
        "diagnosis": None if diagnosis is None else diagnosis.to_dict(),
        "advice": advice,
    }
    model.data |= {
        "held_out": how,
        "decimal": table.decimal,
        "command": shlex.join(["pellucid", *sys.argv[1:]]),
    }
    show_result(shown, model, evaluation)
    report = _kept_going("report.html", lambda: _report(model, folder))
    saved = write_somewhere(
        "the training is done, but its model",
        folder,
        lambda place, replace: save(model, place, report=report, overwrite=replace, wait=wait),
        overwrite,
    )
    show_files(shown, saved, report is not None)
    if advice and not shown.quiet:  # what the diagnosis finds follows from it
        complain(advice)
    elif diagnosis is not None and ended and not shown.quiet:
        show_diagnosis(diagnosis, saved)
    if json:
        print_json(as_data(model, evaluation, table, saved))
    if saved != folder:
        raise typer.Exit(2)


# Training and what comes of it --------------------------------------------------------------------


def _fit(shown: Console, plan: Plan) -> TableModel:
    """Train with progress shown; what diverged is told in one line."""
    from pellucid._progress import progress
    from pellucid.tables.fit import fit
    from pellucid.training import DivergenceWarning

    bar = progress(shown, len(plan.networks))
    try:
        with warnings.catch_warnings(record=True) as caught:
            for category in (DivergenceWarning, InterruptedWarning):
                warnings.simplefilter("always", category)
            model = fit(plan, bar)
    finally:
        bar.stop()
    for warning in caught:
        if issubclass(warning.category, DivergenceWarning):
            complain(
                f"{warning.message} What was learned before is kept. A smaller --learning-rate, or "
                "another --optimizer, may help."
            )
        elif issubclass(warning.category, InterruptedWarning):
            if len(plan.networks) > 1:  # how the one ended is told in any case
                complain(str(warning.message))
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return model


def _advice(plan: Plan, evaluation: Evaluation) -> str:
    """What to do where nothing was learned because what tells the target was left out."""
    if not plan.telling or evaluation.tells():
        return ""
    names = " and ".join(short(repr(name), LONGEST_QUOTED) for name in plan.telling)
    keep = " ".join(f"--keep {short(quoted(name), LONGEST_QUOTED)}" for name in plan.telling)
    return f"without {names} nothing is left to learn: {keep}"


ATTRIBUTED = 100
"""Held-out rows that tell what the model goes by."""


def _attributions(model: TableModel, test: Table) -> dict[str, Any]:
    """How much each column adds to the predictions, on average."""
    from pellucid.insight import explain

    rows = test.rows(slice(ATTRIBUTED))
    return {"rows": rows.m, "importance": explain(model, rows).importance()}


def _report(model: TableModel, folder: Path) -> bytes:
    from pellucid.report import report_html

    return report_html(model, model.metrics, folder=str(folder)).encode()


def _kept_going(what: str, make: Callable[[], T]) -> T | None:
    """What ``make`` returns; a fault in it must not lose the training."""
    try:
        return make()
    except MissingPackageError as error:
        complain(f"no {what} was written: {error}")
    except Exception as error:
        if os.environ.get("PELLUCID_DEBUG"):
            raise
        complain(
            f"no {what} was written, because of an internal error: {type(error).__name__}: "
            f"{error}. The model is saved."
        )
    return None
