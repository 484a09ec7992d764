"""Accuracy on tables with defaults, against scikit-learn: ten stored splits of each table.

    PELLUCID_DATA=path/to/data python benchmarks/tables.py [--tables magic04 iris] [--splits 3]

Every method gets the same rows: four fifths to learn from, validation included, and one fifth that
it is measured on. Results go to ``benchmarks/results/tables.json``, one by one, so that a run that
broke off goes on; ``--again METHOD`` measures that method anew. At the end the tables between the
markers of ``benchmarks/accuracy.md`` are written; ``--write`` does this alone. It needs pandas, of
the extra ``test``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import machine
import numpy as np
import pandas as pd
import tables_report
from sklearn import datasets
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics import log_loss
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

HERE = Path(__file__).parent
RESULTS, SPLITS, PAGE = (
    HERE / "results/tables.json",
    HERE / "splits/tables.npz",
    HERE / "accuracy.md",
)
N_SPLITS = 10


@dataclass(frozen=True)
class Source:
    """Where a table comes from: a file below PELLUCID_DATA, or a sample of scikit-learn.

    ``drop`` are row numbers, names, and columns that give the target away: no method sees them.
    ``tuned`` says that the constants of Pellucid's recipe were chosen on this table.
    """

    file: str
    target: str | int
    classes: bool
    drop: tuple[str, ...] = ()
    header: bool = True
    tuned: bool = False


TABLES = {
    "abalone": Source("abalone/abalone.csv", 8, False, header=False, tuned=True),
    "wine_red": Source("wine_quality/winequality-red.csv", 11, False, header=False, tuned=True),
    "wine_white": Source("wine_quality/winequality-white.csv", 11, False, header=False, tuned=True),
    "phoneme": Source("phoneme/phoneme.csv", 5, True, header=False, tuned=True),
    "titanic": Source("titanic/titanic.csv", "Survived", True, ("PassengerId", "Name")),
    "telco_churn": Source("telco_churn/Telco-Customer-Churn.csv", "Churn", True, ("customerID",)),
    "bike_hour": Source("bike_hour/hour.csv.gz", "cnt", False, ("instant", "casual", "registered")),
    "letter": Source("letter/letter.csv", "class", True),
    "optdigits": Source("optdigits/optdigits.csv", "class", True),
    "magic04": Source("magic04/MagicTelescope.csv.gz", "class:", True, ("ID",)),
    "iris": Source("", "target", True),
    "wine": Source("", "target", True),
    "breast_cancer": Source("", "target", True),
    "digits": Source("", "target", True),
    "diabetes": Source("", "target", False),
}


def read(name: str) -> tuple[pd.DataFrame, pd.Series]:
    """Return the columns and the target. Texts of numbers are numbers, dates are dates."""
    source = TABLES[name]
    if source.file:
        path = Path(os.environ["PELLUCID_DATA"]) / source.file
        frame = pd.read_csv(path, header=0 if source.header else None)
        frame.columns = frame.columns.astype(str)
    else:
        frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    for column in frame.select_dtypes(exclude="number"):
        numbers = pd.to_numeric(frame[column], errors="coerce")
        if numbers.notna().mean() >= 0.95:
            frame[column] = numbers
    if "dteday" in frame:
        frame["dteday"] = pd.to_datetime(frame["dteday"], format="%m/%d/%Y")
    return frame.drop(columns=[str(source.target), *source.drop]), frame[str(source.target)]


def splits(name: str, y: pd.Series) -> np.ndarray:
    """Return the stored splits, one in a row, True where a row is measured on."""
    stored = dict(np.load(SPLITS)) if SPLITS.exists() else {}
    if name not in stored:  # how they were drawn
        make = StratifiedShuffleSplit if TABLES[name].classes else ShuffleSplit
        marks = np.zeros((N_SPLITS, len(y)), dtype=bool)
        for k, (_, test) in enumerate(make(N_SPLITS, test_size=0.2, random_state=0).split(y, y)):
            marks[k, test] = True
        stored[name] = np.packbits(marks, axis=1)
        np.savez_compressed(SPLITS, **dict(sorted(stored.items())))
    if stored[name].shape[1] != (len(y) + 7) // 8:
        sys.exit(f"{name} has {len(y)} rows, and the stored splits are of another number.")
    return np.unpackbits(stored[name], axis=1, count=len(y)).astype(bool)


def ours(classes: bool, seed: int, **settings: Any) -> Any:
    """The estimator of tables, with its defaults but for the settings given."""
    from pellucid import TabularClassifier, TabularRegressor

    return (TabularClassifier if classes else TabularRegressor)(random_state=seed, **settings)


def their_mlp(classes: bool, seed: int) -> Any:
    """scikit-learn's network as one would set it up: scaled, one-hot, with early stopping.

    The target of a regression is standardised too: without that it is far worse.
    """
    others = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
    )
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    chosen = make_column_selector(dtype_include="number")
    columns = ColumnTransformer([("numbers", numbers, chosen)], remainder=others)
    if classes:
        return make_pipeline(columns, MLPClassifier(early_stopping=True, random_state=seed))
    mlp = make_pipeline(columns, MLPRegressor(early_stopping=True, random_state=seed))
    return TransformedTargetRegressor(mlp, transformer=StandardScaler())


def their_boosting(classes: bool, seed: int) -> Any:
    """scikit-learn's gradient boosting, which takes missing values and categories itself."""
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=250
    ).set_output(transform="pandas")
    chosen = make_column_selector(dtype_exclude="number")
    columns = ColumnTransformer(
        [("codes", codes, chosen)], remainder="passthrough", verbose_feature_names_out=False
    ).set_output(transform="pandas")
    boosting = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    return Pipeline([("columns", columns), ("boosting", boosting(random_state=seed))])


METHODS: dict[str, Callable[[bool, int], Any]] = {
    "pellucid": ours,
    "folds": partial(ours, ensemble=5),
    "mlp": their_mlp,
    "boosting": their_boosting,
}


def measure(name: str, split: int, method: str) -> dict[str, Any]:
    """Fit on a split's four fifths, and measure on its fifth."""
    X, y = read(name)
    test = splits(name, y)[split]
    if method in ("mlp", "boosting"):  # neither takes a date: the days since the first
        for column in X.select_dtypes("datetime"):
            X[column] = (X[column] - X[column].min()).dt.days
    classes = TABLES[name].classes
    estimator = METHODS[method](classes, split)
    warnings.simplefilter("ignore")  # columns left out, epochs that were too few for the peer
    start = time.perf_counter(), time.process_time()
    estimator.fit(X[~test], y[~test])
    elapsed, seconds = time.perf_counter() - start[0], time.process_time() - start[1]
    result = {"fit_seconds": seconds, "fit_elapsed": elapsed}
    start_of_predict = time.process_time()
    predicted = estimator.predict(X[test])
    result["predict_seconds"] = time.process_time() - start_of_predict
    if not classes:
        result["error"] = float(np.sqrt(np.mean((predicted - y[test]) ** 2)))
        return result
    p = estimator.predict_proba(X[test])
    result["error"] = float(np.mean(predicted != y[test]))
    result["log_loss"] = float(log_loss(y[test], p, labels=estimator.classes_))
    return result


def wanted(arguments: argparse.Namespace, results: dict[str, Any]) -> Iterator[tuple]:
    """The fits that are not in the results yet, split by split."""
    for split in range(arguments.splits):
        for method in arguments.methods:
            for name in arguments.tables:
                if str(split) not in results.get(name, {}).get(method, {}):
                    yield name, split, method


def save(document: dict[str, Any]) -> None:
    """Replace the file of results at once, so that a break never leaves half of one."""
    RESULTS.parent.mkdir(exist_ok=True)
    part = RESULTS.with_suffix(".part")
    part.write_text(json.dumps(document, indent=1) + "\n")
    part.replace(RESULTS)


def run(arguments: argparse.Namespace) -> None:
    """Measure what is missing, and write it down after each fit."""
    document = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"results": {}}
    results = document["results"]
    for method in arguments.again:
        for name in arguments.tables:
            results.get(name, {}).pop(method, None)
    for name in arguments.tables:  # before others read and write the file
        splits(name, read(name)[1])
    for library in ("OMP", "OPENBLAS", "PELLUCID"):  # one core a fit: seconds can be compared
        os.environ[f"{library}_NUM_THREADS"] = "1"
    fresh = multiprocessing.get_context("spawn")  # so that NumPy, too, reads this
    with ProcessPoolExecutor(arguments.jobs, mp_context=fresh) as pool:
        fits = {pool.submit(measure, *fit): fit for fit in wanted(arguments, results)}
        for count, done in enumerate(as_completed(fits), start=1):
            name, split, method = fits[done]
            found = done.result()
            results.setdefault(name, {}).setdefault(method, {})[str(split)] = found
            described = machine.describe()
            document["machine"] = described
            save(document)
            print(
                f"{count}/{len(fits)} {name} split {split} {method}: error {found['error']:.4f}, "
                f"{found['fit_seconds']:.1f} s",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--splits", type=int, default=N_SPLITS, help="the first so many of ten")
    default = [method for method in METHODS if method != "folds"]  # it takes five times as long
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=default)
    parser.add_argument("--again", nargs="+", choices=METHODS, default=[])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="write the page and measure nothing")
    arguments = parser.parse_args()
    if not arguments.write:
        if "PELLUCID_DATA" not in os.environ and any(TABLES[t].file for t in arguments.tables):
            sys.exit("Set PELLUCID_DATA to the folder that holds abalone/abalone.csv.")
        run(arguments)
    tuned = [name for name, source in TABLES.items() if source.tuned]
    samples = [name for name, source in TABLES.items() if not source.file]
    tables_report.write(PAGE, json.loads(RESULTS.read_text()), tuned, samples)


if __name__ == "__main__":
    main()
