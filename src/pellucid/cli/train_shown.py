"""What ``pellucid train`` shows: the data and the plan before, the result after, all as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid._shown import message, quoted, short
from pellucid.cli.output import complain, grid, metrics_table, say

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as Grid

    from pellucid.insight import Diagnosis
    from pellucid.tables import Table, TableModel
    from pellucid.tables.evaluate import Evaluation
    from pellucid.tables.fit import Plan

MOST_COLUMNS, MOST_LETTERS = 20, 28
"""Shown of each kind, used and left out, and of each name."""


def show_data(
    shown: Console, table: Table, plan: Plan, held_out: Table, how: dict[str, Any]
) -> None:
    """What was read, how its rows are parted, what becomes of its columns, what to look at."""
    from pellucid.tables.table import count, some

    inputs = count(len(table.columns), "input column")
    read = f"Read {table.source}: {count(table.m, 'row')}, {inputs}"
    say(shown, "; ".join([read, *table.notes]) + ".")
    say(shown, f"Task: {message(plan.reason)}.")
    words = "" if how["how"] == "random" else f": {message(how['words'])}"
    say(shown, f"Rows: {_parts(plan)}; {held_out.m:,} held out for the metrics{words}.")
    say(shown)
    shown.print(columns_table(plan))
    say(shown)
    by_reason: dict[str, list[str]] = {}
    for name, reason in plan.left_out.items():
        by_reason.setdefault(reason, []).append(repr(short(name, MOST_LETTERS)))
    for reason, names in list(by_reason.items())[:MOST_COLUMNS]:
        say(shown, f"Left out: {some(names)}: {message(reason)}.")
    if len(by_reason) > MOST_COLUMNS:
        more = sum(map(len, list(by_reason.values())[MOST_COLUMNS:]))
        say(shown, f"Left out for similar reasons: {count(more, 'more column')}.")
    if plan.left_out:
        say(shown, "To use one anyway: --keep COLUMN.")
    for warning in plan.warnings[:MOST_COLUMNS]:
        say(shown, f"Note: {message(warning)}")
    if len(plan.warnings) > MOST_COLUMNS:
        say(shown, f"Note: {count(len(plan.warnings) - MOST_COLUMNS, 'more note')} like these.")
    if plan.left_out or plan.warnings:
        say(shown)


def _parts(plan: Plan) -> str:
    """Which rows train and which tell when to stop."""
    k, m = len(plan.members), plan.table.m
    training, validation = (len(rows) for rows in plan.members[0])
    if k == 1:
        by = {"time": ", the latest,", "group": ", whole groups,"}.get(plan.validation, "")
        return f"{training:,} to train on, {validation:,}{by} to decide when to stop"
    if plan.validation == "time":
        return (
            f"{m:,} in steps forward in time, each of which decides when one of {k} networks, "
            "trained on all rows before it, stops"
        )
    folds = f"{k} folds of whole groups" if plan.validation == "group" else f"{k} folds"
    return f"{m:,} in {folds}, each of which decides when one of {k} networks stops"


def columns_table(plan: Plan) -> Grid:
    """What becomes of each column that is used; long tables are cut short."""
    from rich.text import Text

    made = grid(
        "column", "kind", "missing", "inputs", "what it becomes", right=("missing", "inputs")
    )
    for column in made.columns[:-1]:
        column.no_wrap = True  # only the last gives way
    described = plan.preprocessing.describe()
    for each in described[:MOST_COLUMNS]:
        missing = f"{each['missing']:,}" if each["missing"] else ""
        detail = Text(each["detail"], no_wrap=True, overflow="ellipsis")
        made.add_row(
            short(each["name"], MOST_LETTERS), each["kind"], missing, f"{each['outputs']:,}", detail
        )
    more = described[MOST_COLUMNS:]
    if more:
        outputs = sum(each["outputs"] for each in more)
        missing = sum(each["missing"] for each in more)
        made.add_row(f"{len(more)} more", "", f"{missing:,}" if missing else "", f"{outputs:,}", "")
    return made


def show_plan(shown: Console, plan: Plan) -> None:
    """The dimension table of the networks."""
    if len(plan.networks) > 1:
        say(shown, f"{len(plan.networks)} networks, each:")
    shown.print(plan.networks[0].summary(), soft_wrap=True)
    say(shown)


# What came of it ---------------------------------------------------------------------------------


def show_result(shown: Console, model: TableModel, evaluation: Evaluation) -> None:
    """How the training ended, and the metrics, with what makes them flatter."""
    from pellucid.tables.table import count

    say(shown)
    say(shown, ending(model))
    say(shown)
    shown.print(metrics_table(f"on {count(evaluation.m, 'held-out row')}", evaluation.metrics))
    say(shown)
    for caution in model.data["held_out"]["cautions"]:
        say(shown, f"Note: {message(caution)}.")
        say(shown)


def show_files(shown: Console, folder: Path, report: bool) -> None:
    """Where the model is, and what can be done with it."""
    say(shown, f"Saved: {folder}")
    if report:
        say(shown, f"Report: {folder / 'report.html'}")
    path = quoted(folder)
    say(shown, f"Predict: pellucid predict {path} DATA")
    say(shown, f"Evaluate: pellucid evaluate {path} DATA")
    say(shown, f"In Python: pellucid.load({str(folder)!r}).predict(frame)")


def show_diagnosis(diagnosis: Diagnosis, folder: Path) -> None:
    """A line for each thing that went wrong; what does no harm stands in the report."""
    for finding in diagnosis.findings:
        if finding.severity != "info":
            where = f" in {finding.where}" if finding.where else ""
            complain(f"{finding.name}{where}: {finding.evidence}. {finding.advice}")
    if not diagnosis.ok:
        complain(f"for details run: pellucid diagnose {quoted(folder)}")


def ending(model: TableModel) -> str:
    """How the training ended, or each of them."""
    if len(model.histories) == 1:
        history = model.histories[0]
        message = history["message"].partition(". ")[0].rstrip(".")
        message = message.replace("val_loss", "the validation loss")
        if history["stopped"] == "finished":
            message += f"; the best, epoch {history['best_epoch']}, is kept"
        return f"Stopped: {message}."
    best = ", ".join(str(history["best_epoch"]) for history in model.histories)
    done = ", ".join(str(len(history["curves"]["loss"])) for history in model.histories)
    return f"Stopped after {done} epochs; the best epochs, which are kept: {best}."


def as_data(
    model: TableModel, evaluation: Evaluation, table: Table, folder: Path
) -> dict[str, Any]:
    """What ``--json`` prints."""
    return {
        "model": str(folder),
        "source": table.source,
        "rows": {"all": table.m, "seen": model.data["rows"], "test": evaluation.m},
        "notes": table.notes,
        "target": table.target,
        "task": model.task,
        "reason": model.data["reason"],
        "columns": model.preprocessing.describe(),
        "left_out": model.data["left_out"],
        "warnings": model.data["warnings"],
        "held_out": model.data["held_out"],
        "networks": len(model.networks),
        "units": model.networks[0].n,
        "parameters": sum(network.n_parameters for network in model.networks),
        "histories": [
            {
                "epochs": len(history["curves"].get("loss", ())),
                **{key: history[key] for key in ("best_epoch", "stopped", "message", "engine")},
            }
            for history in model.histories
        ],
        "metrics": evaluation.metrics,
        "diagnosis": model.metrics["diagnosis"],
        "advice": model.metrics["advice"],
    }
