"""Sparse rows, whole batches, and one row through a frame: Pellucid beside scikit-learn and NumPy.

    python benchmarks/rows.py                      # two minutes; writes rows.md here
    python benchmarks/rows.py --quick              # a look; writes nothing
    python benchmarks/rows.py --json earlier.json  # keeps the numbers, for a later --before

One thread each, in turns; what counts is the least processor time of a few rounds, which other
programs on the machine hardly change. ``--before`` takes the numbers that an earlier version kept.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # before NumPy comes

import numpy as np
import pandas as pd
import scipy.sparse
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.neural_network import MLPClassifier as Sklearn
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from pellucid import Dense, MLPClassifier, Network, TabularClassifier, train

HERE = Path(__file__).parent
Calls = dict[str, Callable[[], Any]]


def least(calls: Calls, rounds: int) -> dict[str, float]:
    """Milliseconds of processor time of each call at its best, in turns."""
    found = dict.fromkeys(calls, np.inf)
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.thread_time()
            call()
            found[name] = min(found[name], 1e3 * (time.thread_time() - start))
    return found


def sparse_rows(m: int, n: int, each: int, units: int, rounds: int) -> dict[str, dict[str, float]]:
    """An estimator's fit and predict on m rows of n inputs, of which ``each`` are not 0."""
    rng = np.random.default_rng(0)
    inputs = np.concatenate([np.sort(rng.choice(n, each, replace=False)) for _ in range(m)])
    starts = np.arange(0, m * each + 1, each)
    X = scipy.sparse.csr_array((rng.random(m * each), inputs, starts), shape=(m, n))
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    y, one = (rng.random(m) < 0.5).astype(int), X[:1]
    made = {
        name: kind((units,), max_iter=4, random_state=0).fit(X, y)
        for name, kind in (("peer", Sklearn), ("pellucid", MLPClassifier))
    }
    label = f"{m:,} × {n:,}, {each} a row, {units} units"
    asked: dict[str, tuple[Callable[[Any], Callable[[], Any]], int]] = {
        "fit, 4 epochs": (lambda model: lambda: model.fit(X, y), max(2, rounds // 5)),
        "predict, all rows": (lambda model: lambda: model.predict(X), rounds),
        "predict, one row": (lambda model: lambda: model.predict(one), 20 * rounds),
    }
    return {
        f"{label}: {what}": least({name: call(model) for name, model in made.items()}, times)
        for what, (call, times) in asked.items()
    }


def whole_batches(m: int, n: int, rounds: int) -> dict[str, dict[str, float]]:
    """A step of logistic regression over m examples, and a product of two matrices of 250."""
    rng = np.random.default_rng(0)
    X, w = rng.standard_normal((n, m)), rng.standard_normal(n)
    Y = (rng.random(m) < 0.5).astype(float)
    net = Network([Dense(1, "sigmoid")], n_inputs=n, seed=0, dtype="float64")
    epochs = 40

    def steps() -> None:
        train(
            net,
            X,
            Y,
            loss="binary_cross_entropy",
            optimizer="gradient_descent",
            batch_size=None,
            shuffle=False,
            epochs=epochs,
        )

    def numpy_steps() -> None:
        v, b = w, 0.0
        for _ in range(epochs):
            A = 1 / (1 + np.exp(-(v @ X + b)))
            dZ = A - Y
            v, b = v - 0.1 * (X @ dZ) / m, b - 0.1 * dZ.mean()

    A, B = rng.standard_normal((2, 250, 250))
    layer = Network([Dense(250, "identity")], n_inputs=250, seed=0, dtype="float64")
    layer.set_parameters({1: (A, np.zeros(250))})
    found = least({"peer": numpy_steps, "pellucid": steps}, rounds)
    return {
        f"logistic regression, {m:,} × {n}, float64: a step, whole calls of `train`": {
            name: ms / epochs for name, ms in found.items()
        },
        "a product, 250³, float64": least(
            {"peer": lambda: A @ B, "pellucid": lambda: layer.forward(B)}, 20 * rounds
        ),
    }


def one_row(rounds: int) -> dict[str, dict[str, float]]:
    """Predict of one row of a data frame: a pipeline of scikit-learn's, and TabularClassifier."""
    rng = np.random.default_rng(0)
    numbers, texts = ["a", "b", "c"], ["d", "e"]
    mixed = pd.DataFrame(rng.normal(size=(300, 3)), columns=numbers)
    mixed["d"], mixed["e"] = rng.choice(["x", "y", "z"], 300), rng.choice(["u", "v"], 300)
    both = make_column_transformer(
        (StandardScaler(), numbers), (OneHotEncoder(handle_unknown="ignore"), texts)
    )
    tables = {
        "iris": (*load_iris(as_frame=True, return_X_y=True), StandardScaler()),
        "breast cancer": (*load_breast_cancer(as_frame=True, return_X_y=True), StandardScaler()),
        "3 numbers and 2 texts": (mixed, mixed["a"] > 0, both),
    }
    found = {}
    for name, (X, y, first) in tables.items():
        labels = np.where(np.asarray(y) == 1, "yes", "no")
        peer = make_pipeline(first, Sklearn((32,), max_iter=5, random_state=0)).fit(X, labels)
        ours = TabularClassifier(epochs=3, random_state=0).fit(X, labels)
        row = X.iloc[:1]
        calls = {
            "peer": lambda peer=peer, row=row: peer.predict(row),
            "pellucid": lambda ours=ours, row=row: ours.predict(row),
        }
        found[f"{name}, {X.shape[1]} columns"] = least(calls, 20 * rounds)
    return found


def page(results: dict[str, dict[str, Any]], before: dict[str, dict[str, Any]]) -> str:
    """The tables as Markdown."""
    titles = {
        "sparse": "## Sparse rows, beside scikit-learn's MLPClassifier",
        "whole": "## Whole batches, beside NumPy",
        "row": "## `predict` of one row of a data frame, beside a pipeline of scikit-learn's",
    }
    lines = [
        "# Sparse rows, whole batches, one row",
        "",
        "Milliseconds of processor time on one thread, the least of some rounds in turns "
        "(`python benchmarks/rows.py`).",
    ]
    for part, title in titles.items():
        head = ["", "peer", *(["pellucid before"] if before else []), "pellucid", "× the peer"]
        lines += ["", title, "", f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
        for name, each in results[part].items():
            cells = [name, f"{each['peer']:.3g}"]
            cells += [f"{before[part][name]['pellucid']:.3g}"] if before else []
            cells += [f"{each['pellucid']:.3g}", f"{each['pellucid'] / each['peer']:.2f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few rows and rounds; writes nothing")
    parser.add_argument("--json", type=Path, help="where to keep the numbers")
    parser.add_argument("--before", type=Path, help="numbers of an earlier version")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of trainings that are not to converge
    few, rounds = arguments.quick, 3 if arguments.quick else 15
    shapes = [(200, 2000, 30, 20)] if few else [(5000, 20000, 60, 50), (2000, 2000, 30, 100)]
    sparse: dict[str, dict[str, float]] = {}
    for shape in shapes:
        sparse |= sparse_rows(*shape, rounds)
    results = {
        "sparse": sparse,
        "whole": whole_batches(1000 if few else 20000, 50, rounds),
        "row": one_row(rounds),
    }
    before = json.loads(arguments.before.read_text("utf-8")) if arguments.before else {}
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    text = page(results, before)
    if not few:
        (HERE / "rows.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
