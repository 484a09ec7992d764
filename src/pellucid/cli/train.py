"""``pellucid train``: from a table to a model, its honest score and a report."""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from pellucid._shown import message, short
from pellucid.activations import ACTIVATIONS
from pellucid.cli import options
from pellucid.cli.output import complain, console, grid, metrics_table, print_json, quoted, say
from pellucid.cli.reading import refuse_for_images
from pellucid.errors import DataError, MissingPackageError, SettingsError
from pellucid.optimizers import OPTIMIZERS
from pellucid.tables.settings import TrainSettings

T = TypeVar("T")

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as Grid

    from pellucid.insight import Diagnosis
    from pellucid.tables import Table, TableModel
    from pellucid.tables.evaluate import Evaluation
    from pellucid.tables.fit import Plan

USUAL = TrainSettings()
MOST_COLUMNS, MOST_LETTERS = 20, 28
"""Shown of each kind, used and left out, and of each name."""
_HIDDEN = ", ".join(name for name, g in ACTIVATIONS.items() if not g.output_only)


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
    task: Annotated[
        str | None,
        typer.Option(help="binary, multiclass or regression.", show_default="told from the target"),
    ] = None,
    header: options.Header = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN", help="Do not use this column; may be repeated.", show_default=False
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Use it although it looks like a row number or the target itself.",
            show_default=False,
        ),
    ] = None,
    categorical: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Its numbers are codes, such as zip codes; may be repeated.",
            show_default=False,
        ),
    ] = None,
    size: Annotated[
        int, typer.Option(min=1, max=1024, help="Height and width that images are brought to.")
    ] = 64,
    hidden: Annotated[
        str, typer.Option(help="Units of each hidden layer; 'none' for no hidden layer.")
    ] = ",".join(map(str, USUAL.hidden_layer_sizes)),
    activation: Annotated[
        str | None,
        typer.Option(
            help=f"Of the hidden layers: {_HIDDEN}.",
            show_default="selu for classes, mish for numbers",
        ),
    ] = None,
    optimizer: Annotated[str, typer.Option(help=f"{', '.join(OPTIMIZERS)}.")] = str(
        USUAL.optimizer
    ),
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="Size of the steps.",
            show_default="0.04 for classes and 0.07 for numbers with adam, adamw and rmsprop, else "
            "the optimizer's own",
        ),
    ] = None,
    epochs: Annotated[
        int, typer.Option(help="How often every row is seen, at most.")
    ] = USUAL.epochs,
    batch_size: Annotated[
        int | None, typer.Option(help="Rows a step.", show_default="from the number of rows")
    ] = None,
    patience: Annotated[
        int,
        typer.Option(
            help="Stop when the validation has not improved for so many epochs; 0: never."
        ),
    ] = USUAL.patience,
    l2: Annotated[float, typer.Option("--l2", help="L2 penalty on the weights.")] = USUAL.l2,
    dropout: Annotated[
        float, typer.Option(help="Share of hidden units left out at each step.")
    ] = USUAL.dropout,
    label_smoothing: Annotated[
        float | None,
        typer.Option(
            help="Share of each row's label that is spread over all classes.",
            show_default="0.05 where the classes are about equal, else 0",
        ),
    ] = None,
    ensemble: Annotated[
        int | None,
        typer.Option(
            help="Networks to average, each without one fold of the rows.",
            show_default="5 below 2,000 rows, else 1",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same model.")] = USUAL.seed,
    out: Annotated[
        Path | None,
        typer.Option(help="Where to save the model.", show_default="NAME.pellucid, here"),
    ] = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors alone.")] = False,
) -> None:
    """Train a network, measure it on held-out rows, save it.

    Texts, categories, truth values, dates and missing values are taken as they are. 20 % of the
    rows are held out for the metrics; what the network does not see of the others tells when to
    stop. Ctrl-C ends the training and keeps what was learned.

    \b
    Examples:
      pellucid train sample:iris
      pellucid train houses.csv --target price --drop id --categorical zip
      pellucid train photos --size 32    (photos/cat/*.jpg, photos/other/*.png)
    """
    from pellucid.insight import diagnose
    from pellucid.persistence import check_destination, save
    from pellucid.tables.evaluate import evaluate
    from pellucid.tables.fit import prepare
    from pellucid.tables.split import hold_out, infer_task

    settings = _settings(
        hidden,
        task=task,
        activation=activation,
        optimizer=optimizer,
        learning_rate=learning_rate,
        epochs=epochs,
        batch_size=batch_size,
        patience=patience,
        l2=l2,
        dropout=dropout,
        label_smoothing=label_smoothing,
        ensemble=ensemble,
        seed=seed,
    )
    folder = out or _default_folder(data)
    check_destination(folder, overwrite=overwrite)
    shown = console(quiet=json or quiet)
    named = {"drop": drop or [], "keep": keep or [], "categorical": categorical or []}
    table, settings = _read(data, target, header, size, named, settings)
    inferred, reason = infer_task(str(table.target), _labels(table), settings.task)
    seen, test = hold_out(table, inferred, seed=seed)
    plan = prepare(seen, dataclasses.replace(settings, task=inferred))
    plan.reason = reason
    _show_data(shown, table, plan, test)
    _show_plan(shown, plan)
    model = _fit(shown, plan)
    evaluation = evaluate(model, test, seen)
    diagnosis = _kept_going("diagnosis", lambda: diagnose(model))
    model.metrics = {
        **evaluation.to_dict(),
        "attributions": _kept_going("attribution", lambda: _attributions(model, test)),
        "diagnosis": None if diagnosis is None else diagnosis.to_dict(),
    }
    model.data["decimal"] = table.decimal
    model.data["command"] = shlex.join(["pellucid", *sys.argv[1:]])
    _show_result(shown, model, evaluation)
    report = _kept_going("report.html", lambda: _report(model, folder))
    try:
        save(model, folder, report=report, overwrite=overwrite)
    except OSError as error:
        raise OSError(_not_saved(error, folder)) from None
    _show_files(shown, folder, report is not None)
    ended = all(history["stopped"] != "interrupted" for history in model.histories)
    if diagnosis is not None and ended and not shown.quiet:
        _show_diagnosis(diagnosis, folder)
    if json:
        print_json(_as_data(model, evaluation, table, folder))


# What is asked for --------------------------------------------------------------------------------


def _settings(hidden: str, **given: Any) -> TrainSettings:
    """The settings; all that is wrong with the options is named at once."""
    faults: list[tuple[str, str]] = []
    parts = [] if hidden.strip().lower() == "none" else [each.strip() for each in hidden.split(",")]
    if not all(part.isdecimal() and int(part) for part in parts):
        fault = "must be the units of each hidden layer, 1 or more, such as 64,32, or none"
        faults.append(("hidden_layer_sizes", f"{fault}; got {hidden!r}."))
        parts = ["1"]
    try:
        settings = TrainSettings(hidden_layer_sizes=tuple(map(int, parts)), **given)
    except SettingsError as error:
        faults += error.faults
    if faults:
        raise SettingsError(*faults)
    return settings


def _default_folder(data: str) -> Path:
    """iris.pellucid for sample:iris and for any/where/iris.csv.gz."""
    if os.path.isdir(data):
        return Path(f"{Path(data).absolute().name}.pellucid")
    name = Path(data.removeprefix("sample:")).name.removesuffix(".gz")
    return Path(f"{Path(name).stem}.pellucid")


def _read(
    data: str,
    target: str | None,
    header: bool | None,
    size: int,
    named: dict[str, list[str]],
    settings: TrainSettings,
) -> tuple[Table, TrainSettings]:
    """The table with its target, and the settings with the columns that options name."""
    from pellucid.tables.images import read_images
    from pellucid.tables.read import read_raw
    from pellucid.tables.settings import check_settings_named
    from pellucid.tables.table import some
    from pellucid.tables.text import TextFormat

    if os.path.isdir(data):
        refuse_for_images(target=target, header=header, **named)
        table, _ = read_images(data, size)
        if table.y is None:
            raise DataError(
                f"{data!r} holds images that belong to no class; expected a folder for each class, "
                "such as photos/cat/1.jpg and photos/other/1.png."
            )
        return table, settings
    codes = {part for each in named["categorical"] for part in _parts(each, ())}
    raw = read_raw(data, TextFormat(header, [target] if target else (), codes))
    if target is None and "target" not in raw.names:
        known = some([repr(name) for name in raw.names])
        raise DataError(f"name the column to learn with --target; {data} has: {known}.")
    columns = {
        option: tuple(part for each in given for part in _parts(each, raw.names))
        for option, given in named.items()
    }
    check_settings_named(columns, raw.names)
    target = target or "target"
    both = [
        (option, f"names the target {target!r}.") for option in columns if target in columns[option]
    ]
    if both:
        raise SettingsError(*both)
    table = raw.table(target, drop=columns["drop"])
    if columns["drop"]:
        table.notes.append(f"dropped: {some(list(map(repr, columns['drop'])))}")
    return table, dataclasses.replace(
        settings, keep=columns["keep"], categorical=columns["categorical"]
    )


def _parts(given: str, names: Iterable[str]) -> list[str]:
    """The names in a list with commas; one that is a name as it stands is itself."""
    return (
        [given] if given in names else [part.strip() for part in given.split(",") if part.strip()]
    )


def _labels(table: Table) -> Any:
    from pellucid.tables.split import check_learnable

    check_learnable(table)
    return table.y


# What is shown before -----------------------------------------------------------------------------


def _show_data(shown: Console, table: Table, plan: Plan, test: Table) -> None:
    from pellucid.tables.table import count, some

    inputs = count(len(table.columns), "input column")
    read = f"Read {table.source}: {count(table.m, 'row')}, {inputs}"
    say(shown, "; ".join([read, *table.notes]) + ".")
    say(shown, f"Task: {message(plan.reason)}.")
    training, validation = (len(rows) for rows in plan.members[0])
    k = len(plan.members)
    parts = (
        f"{training:,} to train on, {validation:,} to tell when to stop"
        if k == 1
        else f"{plan.table.m:,} in {k} folds, each of which tells one of {k} networks when to stop"
    )
    say(shown, f"Rows: {parts}; {test.m:,} held out for the metrics.")
    say(shown)
    shown.print(_columns_table(plan))
    say(shown)
    by_reason: dict[str, list[str]] = {}
    for name, reason in plan.left_out.items():
        by_reason.setdefault(reason, []).append(repr(short(name, MOST_LETTERS)))
    for reason, names in list(by_reason.items())[:MOST_COLUMNS]:
        say(shown, f"Left out: {some(names)}: {message(reason)}.")
    if len(by_reason) > MOST_COLUMNS:
        more = sum(map(len, list(by_reason.values())[MOST_COLUMNS:]))
        say(shown, f"Left out for reasons like these: {count(more, 'more column')}.")
    if plan.left_out:
        say(shown, "Use one all the same: --keep COLUMN.")
    for warning in plan.warnings[:MOST_COLUMNS]:
        say(shown, f"Note: {message(warning)}")
    if len(plan.warnings) > MOST_COLUMNS:
        say(shown, f"Note: {count(len(plan.warnings) - MOST_COLUMNS, 'more note')} like these.")
    if plan.left_out or plan.warnings:
        say(shown)


def _columns_table(plan: Plan) -> Grid:
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


def _show_plan(shown: Console, plan: Plan) -> None:
    if len(plan.networks) > 1:
        say(shown, f"{len(plan.networks)} networks, each of them:")
    shown.print(plan.networks[0].summary(), soft_wrap=True)
    say(shown)


# Training and what comes of it --------------------------------------------------------------------


def _fit(shown: Console, plan: Plan) -> TableModel:
    """Train with progress shown; what diverged is told in one line."""
    from pellucid._progress import progress
    from pellucid.insight import Watch
    from pellucid.tables.fit import fit
    from pellucid.training import DivergenceWarning

    bar = progress(shown, len(plan.networks))
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DivergenceWarning)
            model = fit(plan, [Watch(), bar])
    finally:
        bar.stop()
    for warning in caught:
        if issubclass(warning.category, DivergenceWarning):
            complain(
                f"{warning.message} What was learned before is kept. A smaller --learning-rate, or "
                "another --optimizer, may help."
            )
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return model


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
            f"no {what} was written, for a fault of Pellucid's own: {type(error).__name__}: "
            f"{error}. The model is saved all the same."
        )
    return None


def _not_saved(error: OSError, folder: Path) -> str:
    place = repr(error.filename or str(folder))
    reason = f"{place}: {error.strerror}." if error.strerror else str(error)
    return (
        f"the training is done, but its model could not be saved: {reason} Nothing was written. "
        "Mend that, or choose another place with --out, and train again."
    )


def _show_result(shown: Console, model: TableModel, evaluation: Evaluation) -> None:
    from pellucid.tables.table import count

    say(shown)
    say(shown, _ending(model))
    say(shown)
    shown.print(metrics_table(f"on {count(evaluation.m, 'held-out row')}", evaluation.metrics))
    say(shown)


def _show_files(shown: Console, folder: Path, report: bool) -> None:
    say(shown, f"Saved: {folder}")
    if report:
        say(shown, f"Report: {folder / 'report.html'}")
    path = quoted(folder)
    say(shown, f"Predict: pellucid predict {path} DATA")
    say(shown, f"Evaluate: pellucid evaluate {path} DATA")
    say(shown, f"In Python: pellucid.load({str(folder)!r}).predict(frame)")


def _show_diagnosis(diagnosis: Diagnosis, folder: Path) -> None:
    """A line for each thing that went wrong; what does no harm stands in the report."""
    for finding in diagnosis.findings:
        if finding.severity != "info":
            where = f" in {finding.where}" if finding.where else ""
            complain(f"{finding.name}{where}: {finding.evidence}. {finding.advice}")
    if not diagnosis.ok:
        complain(f"more about that: pellucid diagnose {quoted(folder)}")


def _ending(model: TableModel) -> str:
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
    return f"Stopped after {done} epochs; the best, which are kept: {best}."


def _as_data(
    model: TableModel, evaluation: Evaluation, table: Table, folder: Path
) -> dict[str, Any]:
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
    }
