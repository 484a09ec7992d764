"""The command line: ``pellucid train | predict | samples``.

Whatever is wrong with the user's input ends in one message on stderr and the exit status 2; the
status 1 is for faults of Pellucid's own. With ``PELLUCID_DEBUG=1`` both show their traceback. What
needs scikit-learn or polars is imported inside the commands, so that ``--help`` is quick.
"""

from __future__ import annotations

import csv
import functools
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer

from pellucid import __version__
from pellucid.activations import ACTIVATIONS
from pellucid.errors import DataError, MissingPackageError, ModelError, SettingsError
from pellucid.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    from rich.console import Console

    from pellucid.history import History
    from pellucid.tables import FitResult, Plan, Table, TableModel

P = ParamSpec("P")
R = TypeVar("R")

app = typer.Typer(
    name="pellucid",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode shows "?"
    app(prog_name="pellucid")


# Errors -------------------------------------------------------------------------------------------


def reported(command: Callable[P, R]) -> Callable[P, R]:
    """Turn what goes wrong in a command into one message and an exit status."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (typer.Exit, BrokenPipeError):
            raise
        except Exception as error:
            if os.environ.get("PELLUCID_DEBUG"):
                raise
            raise typer.Exit(_report(error)) from None

    return run


def _report(error: Exception) -> int:
    """Print the message of an error; return the exit status."""
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename!r}: " if error.filename else ""
        _complain(f"{place}{error.strerror}.")
        return 2
    if isinstance(error, SettingsError):
        _complain(" ".join(f"{_option(name)} {fault}".lstrip() for name, fault in error.faults))
        return 2
    if isinstance(error, (DataError, ModelError, MissingPackageError, OSError)):
        _complain(str(error))
        return 2
    _complain(
        f"internal error: {type(error).__name__}: {error}; run with PELLUCID_DEBUG=1 for the "
        "traceback"
    )
    return 1


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}" if name else ""


def _complain(message: str) -> None:
    _say(_console(stderr=True), f"pellucid: {message}")


# Output -------------------------------------------------------------------------------------------


def _console(*, stderr: bool = False, quiet: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, quiet=quiet, highlight=False, markup=False, emoji=False)


def _say(console: Console, text: str = "") -> None:
    """Print text, wrapped between words on a terminal and left as it is elsewhere."""
    console.print(text, soft_wrap=not console.is_terminal)


def _print_json(value: Any) -> None:
    from pellucid.persistence.strict_json import encode

    typer.echo(encode(value, indent=2).decode())


def _csv(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _write_text(path: Path, text: str, overwrite: bool) -> None:
    from pellucid._files import write_atomically

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode(), overwrite=overwrite)


def _check_file(path: Path, overwrite: bool) -> None:
    """Refuse a file that must not be, or cannot be, written: before the work, not after it."""
    from pellucid._files import check_writable, refuse_existing

    if path.is_dir():
        raise IsADirectoryError(f"cannot write {str(path)!r}: it is a folder; give a file name.")
    if not overwrite:
        refuse_existing(path)
    check_writable(path)


# Options ------------------------------------------------------------------------------------------

_DATA_HELP = "A .csv, .tsv, .txt or .jsonl file (also .gz), .parquet or .arrow, or sample:NAME."
_OVERWRITE_HELP = "Replace what is there."
_JSON_HELP = "Print one JSON object, and nothing else, to standard output."
_HIDDEN = ", ".join(name for name, g in ACTIVATIONS.items() if not g.output_only)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"pellucid {__version__}")
        raise typer.Exit()


@app.callback()
def _pellucid(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Neural networks you can see through: train one on a table, predict with it.

    \b
    Examples:
      pellucid samples
      pellucid train sample:iris
      pellucid predict iris.pellucid sample:iris --head 5
    """


# pellucid train -----------------------------------------------------------------------------------


@app.command(no_args_is_help=True)
@reported
def train(
    data: Annotated[str, typer.Argument(metavar="DATA", help=_DATA_HELP)],
    target: Annotated[
        str | None,
        typer.Option(
            help="The column to learn; all others are inputs.",
            show_default="target, if there is such a column",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="binary, multiclass or regression.", show_default="told from the target"),
    ] = None,
    hidden: Annotated[
        str, typer.Option(help="Units of each hidden layer; 'none' for no hidden layer.")
    ] = "64,32",
    activation: Annotated[str, typer.Option(help=f"Of the hidden layers: {_HIDDEN}.")] = "relu",
    optimizer: Annotated[str, typer.Option(help=f"{', '.join(OPTIMIZERS)}.")] = "adam",
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Size of the steps.", show_default="the optimizer's usual one"),
    ] = None,
    epochs: Annotated[int, typer.Option(help="How often every row is seen, at most.")] = 200,
    batch_size: Annotated[int, typer.Option(help="Rows a step.")] = 32,
    patience: Annotated[
        int,
        typer.Option(
            help="Stop when the validation loss has not improved for so many epochs; 0: never."
        ),
    ] = 20,
    l2: Annotated[float, typer.Option("--l2", help="L2 penalty on the weights.")] = 0.0,
    dropout: Annotated[
        float, typer.Option(help="Share of hidden units left out at each step.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same model.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Where to save the model.", show_default="NAME.pellucid, here"),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help=_OVERWRITE_HELP)] = False,
    json: Annotated[bool, typer.Option("--json", help=_JSON_HELP)] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors alone.")] = False,
) -> None:
    """Train a network on a table, measure it on held-out rows, save it.

    The inputs must be numbers without missing values, for now. They are standardised; 20 % of the
    rows are held out for the metrics, 15 % of the others tell when to stop. Ctrl-C ends the
    training and keeps what was learned.

    \b
    Examples:
      pellucid train sample:iris
      pellucid train houses.csv --target price --hidden 128,64 --epochs 500
    """
    from pellucid.persistence import check_destination, save
    from pellucid.tables import TrainSettings, prepare, read_table

    settings = TrainSettings(
        task=task,
        hidden=_units(hidden),
        activation=activation,
        optimizer=optimizer,
        learning_rate=learning_rate,
        epochs=epochs,
        batch_size=batch_size,
        patience=patience,
        l2=l2,
        dropout=dropout,
        seed=seed,
    )
    folder = out or _default_folder(data)
    check_destination(folder, overwrite=overwrite)
    console = _console(quiet=json or quiet)
    table = read_table(data, target=target or _default_target(data))
    plan = prepare(table, settings)
    _show_plan(console, plan)
    result = _fit(console, plan)
    advice = _advice(result.history, plan)
    if advice and not result.history.epochs:
        raise SettingsError(("", f"{advice} Nothing was saved."))
    save(result.model, folder, overwrite=overwrite)
    _show_result(console, plan, result, folder)
    if advice:
        _complain(f"{advice} The parameters before that were saved.")
    if json:
        _print_json(_result_as_data(plan, result, folder))


def _units(hidden: str) -> tuple[int, ...]:
    if hidden.strip().lower() == "none":
        return ()
    parts = [part.strip() for part in hidden.split(",")]
    if not all(part.isdecimal() and int(part) for part in parts):
        fault = "must be the units of each hidden layer, 1 or more, such as 64,32, or none"
        raise SettingsError(("hidden", f"{fault}; got {hidden!r}."))
    return tuple(map(int, parts))


def _default_folder(data: str) -> Path:
    """iris.pellucid for sample:iris and for any/where/iris.csv.gz."""
    name = Path(data.removeprefix("sample:")).name.removesuffix(".gz")
    return Path(f"{Path(name).stem}.pellucid")


def _default_target(data: str) -> Callable[[list[str]], str]:
    def choose(names: list[str]) -> str:
        from pellucid.tables.table import some

        if "target" not in names:
            known = some([repr(name) for name in names])
            raise DataError(f"name the column to learn with --target; {data} has: {known}.")
        return "target"

    return choose


def _advice(history: History, plan: Plan) -> str:
    """What to do after a divergence, "" where there was none."""
    if history.stopped != "diverged":
        return ""
    what, _, _ = history.message.partition(". ")
    rate = history.settings["learning_rate"]
    if plan.settings.optimizer == "lbfgs":
        return f"the training {what}. Take another --optimizer, or --l2 0.001."
    return (
        f"the training {what}. Take a smaller --learning-rate (it was {rate:g}), or another "
        "--optimizer."
    )


def _fit(console: Console, plan: Plan) -> FitResult:
    """Train with progress shown; a divergence is told in the history, not as a warning."""
    from pellucid._progress import progress
    from pellucid.tables import fit
    from pellucid.training import DivergenceWarning

    shown = progress(console)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DivergenceWarning)
            return fit(plan, [shown])
    finally:
        shown.stop()


def _show_plan(console: Console, plan: Plan) -> None:
    from pellucid.tables.table import count

    table, parts = plan.table, plan.parts
    inputs = count(len(table.columns), "input column")
    read = f"Read {table.source}: {count(table.m, 'row')}, {inputs}"
    _say(console, "; ".join([read, *table.notes]) + ".")
    _say(console, f"Task: {plan.reason}.")
    _say(
        console,
        f"Rows: {len(parts.training):,} to train on, {len(parts.validation):,} to tell when to "
        f"stop, {len(parts.test):,} held out for the metrics.",
    )
    _say(console)
    console.print(plan.network.summary(), soft_wrap=True)
    _say(console)


def _show_result(console: Console, plan: Plan, result: FitResult, folder: Path) -> None:
    history = result.history
    _say(console)
    message, diverged = history.message, history.stopped == "diverged"
    _say(console, f"Stopped: {message.partition('. ')[0] if diverged else message}.")
    _say(console)
    console.print(_metrics_table(plan, result))
    _say(console)
    _say(console, f"Saved: {folder}")
    _say(console, f"Use it: pellucid predict {_quoted(folder)} DATA")


def _metrics_table(plan: Plan, result: FitResult) -> Any:
    """The held-out metrics of the network and the baselines, the best of each in bold."""
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    from pellucid.tables.evaluate import LESS_IS_BETTER, METRICS

    grid = Grid(
        box=box.SIMPLE_HEAD, pad_edge=False, header_style="", show_edge=False, highlight=False
    )
    grid.add_column(f"on {len(plan.parts.test):,} held-out rows")
    best: dict[str, float] = {}
    for name in result.metrics["network"]:
        grid.add_column(METRICS[name], justify="right")
        known = [m[name] for m in result.metrics.values() if m[name] is not None]
        values = [value for value in known if value is not None]
        if values:
            best[name] = min(values) if name in LESS_IS_BETTER else max(values)
    for who, metrics in result.metrics.items():
        cells = [
            Text(_shown(name, value), "bold" if value == best.get(name) else "")
            for name, value in metrics.items()
        ]
        plain = who.endswith("regression")
        grid.add_row(f"{who} (no hidden layer)" if plain else who, *cells)
    return grid


def _shown(name: str, value: float | None) -> str:
    """Four decimals, or four digits of what has the target's size."""
    if value is None:
        return "-"
    return f"{value:#.4g}" if name in ("rmse", "mae") else f"{round(value, 4) + 0.0:.4f}"


def _result_as_data(plan: Plan, result: FitResult, folder: Path) -> dict[str, Any]:
    table, history = plan.table, result.history
    return {
        "model": str(folder),
        "source": table.source,
        "rows": {"all": table.m, **{name: len(part) for name, part in vars(plan.parts).items()}},
        "columns": table.columns,
        "notes": table.notes,
        "target": table.target,
        "task": plan.task,
        "reason": plan.reason,
        "units": plan.network.n,
        "parameters": plan.network.n_parameters,
        "epochs": history.epochs,
        "best_epoch": history.best_epoch,
        "stopped": history.stopped,
        "message": history.message,
        "engine": history.engine,
        "metrics": result.metrics,
    }


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))


# pellucid predict ---------------------------------------------------------------------------------


@app.command(no_args_is_help=True)
@reported
def predict(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A folder that pellucid train wrote.")
    ],
    data: Annotated[str, typer.Argument(metavar="DATA", help=_DATA_HELP)],
    out: Annotated[
        Path | None,
        typer.Option(help="Write the CSV to this file.", show_default="standard output"),
    ] = None,
    head: Annotated[
        int | None, typer.Option(min=1, help="The first rows alone.", show_default="all")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help=_OVERWRITE_HELP)] = False,
    json: Annotated[bool, typer.Option("--json", help=_JSON_HELP)] = False,
) -> None:
    """Predict the target for each row of a table, as CSV.

    The columns are found by name: others are not used, a missing one is an error. For classes
    the probability of each stands beside the prediction.

    \b
    Examples:
      pellucid predict iris.pellucid sample:iris --head 5
      pellucid predict houses.pellucid new.csv --out prices.csv
    """
    from pellucid.tables import read_table
    from pellucid.tables.table import count

    if out is not None:
        _check_file(out, overwrite)
    loaded = _table_model(model)
    table = read_table(data, columns=loaded.columns)
    table.X = table.X[:head]
    notes = [count(table.m, "row"), *table.notes]
    _say(_console(stderr=True, quiet=json), f"{table.source}: {'; '.join(notes)}.")
    predictions = loaded.predict(table).tolist()
    probabilities = [] if loaded.task == "regression" else loaded.predict_proba(table).tolist()
    if out is not None or not json:
        text = _predictions_csv(loaded, predictions, probabilities)
        if out is None:
            typer.echo(text, nl=False)
        else:
            _write_text(out, text, overwrite)
            _say(_console(stderr=True, quiet=json), f"Saved: {out}")
    if json:
        _print_json(
            {
                "model": str(model),
                "source": table.source,
                "rows": table.m,
                "target": loaded.target,
                "task": loaded.task,
                "classes": loaded.classes,
                "predictions": predictions,
                "probabilities": probabilities,
            }
        )


def _table_model(path: Path) -> TableModel:
    from pellucid.persistence import load
    from pellucid.tables import TableModel

    loaded = load(path)
    if not isinstance(loaded, TableModel):
        raise ModelError(
            f"{path} holds a {type(loaded).__name__}, which knows no columns; expected a model "
            f"that pellucid train wrote. In Python: pellucid.load({str(path)!r})."
        )
    return loaded


def _predictions_csv(
    model: TableModel, predictions: list[Any], probabilities: list[list[float]]
) -> str:
    """One row a prediction; nine digits tell any two float32 numbers apart."""
    if not probabilities:
        return _csv(["prediction"], ([f"{value:.9g}"] for value in predictions))
    rows = (
        [value, *(f"{p:.9g}" for p in row)]
        for value, row in zip(predictions, probabilities, strict=True)
    )
    return _csv(["prediction", *(f"p_{name}" for name in model.classes)], rows)


# pellucid samples ---------------------------------------------------------------------------------


@app.command()
@reported
def samples(
    write: Annotated[
        tuple[str, Path] | None,
        typer.Option(
            metavar="NAME FILE", help="Write this sample to a CSV file.", show_default=False
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help=_OVERWRITE_HELP)] = False,
    json: Annotated[bool, typer.Option("--json", help=_JSON_HELP)] = False,
) -> None:
    """List the tables that ship with scikit-learn, or write one as CSV.

    \b
    Examples:
      pellucid samples
      pellucid samples --write iris iris.csv
    """
    import dataclasses

    from pellucid.tables import SAMPLES, read_sample

    if write is not None:
        name, path = write
        _check_file(path, overwrite)
        table = read_sample(name)
        _write_text(path, _table_csv(table), overwrite)
        if json:
            _print_json({"sample": name, "file": str(path), "rows": table.m})
        else:
            _say(_console(), f"Saved: {path} ({table.m:,} rows)")
    elif json:
        _print_json([dataclasses.asdict(sample) for sample in SAMPLES.values()])
    else:
        rows = [
            (f"sample:{s.name}", s.task, f"{s.rows:,}", str(s.columns), s.description)
            for s in SAMPLES.values()
        ]
        _show_samples(rows)


def _show_samples(rows: Iterable[tuple[str, ...]]) -> None:
    from rich import box
    from rich.table import Table as Grid

    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, header_style="", show_edge=False)
    grid.add_column("data", no_wrap=True)
    grid.add_column("task", no_wrap=True)
    grid.add_column("rows", justify="right", no_wrap=True)
    grid.add_column("inputs", justify="right", no_wrap=True)
    grid.add_column("what it is")
    for row in rows:
        grid.add_row(*row)
    console = _console()
    console.print(grid)
    _say(console)
    _say(console, "Train on one: pellucid train sample:iris")


def _table_csv(table: Table) -> str:
    assert table.y is not None
    rows = zip(table.X.tolist(), table.y.tolist(), strict=True)
    return _csv([*table.columns, str(table.target)], ([*x, y] for x, y in rows))
