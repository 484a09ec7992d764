"""The drop-ins asked plainly, scikit-learn's way: fit, then diagnose(clf) and nothing else.

python benchmarks/diagnosis/dropins.py [--kinds KIND ...] [--show]

writes dropins.json; report.py makes a section of RESULTS.md of it.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from faults import FAULTS, add_data_fault
from settings import HARD, IMBALANCED, TABLES, table, task
from sklearn.metrics import balanced_accuracy_score
from threadpoolctl import threadpool_limits

from pellucid import MLPClassifier, MLPRegressor, diagnose

EACH, TRIES = 20, 60
"""A kind is planted until so many count, but in no more settings than that."""
CANDIDATES = 6
"""Settings drawn for each table."""
HEALTHY = 60
GOOD, WORSE = 0.02, 0.05
"""As in run.py: within 2 % of the best of its table; more than 5 % worse than the twin."""
HERE = Path(__file__).parent
Rows = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Fit:
    """One fit: data in three parts, the drop-in's parameters, whether fit is given X_val, y_val."""

    table: str
    number: int
    parameters: dict[str, Any]
    train: Rows
    validation: Rows
    test: Rows
    validate: bool = False
    balanced: bool = False  # scored by the mean accuracy of the classes

    def with_(self, **parameters: Any) -> Fit:
        """The same fit with other parameters."""
        return replace(self, parameters=self.parameters | parameters)

    def mapped(self, change: Callable[[np.ndarray, np.ndarray], Rows]) -> Fit:
        """The same fit with all three parts changed."""
        parts = (change(*part) for part in (self.train, self.validation, self.test))
        return replace(self, **dict(zip(("train", "validation", "test"), parts, strict=True)))


def _split(name: str, X: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> list[Rows]:
    """Half, a fifth and the rest, standardised by the first."""
    order = rng.permutation(len(y))
    cut = round(0.5 * len(y)), round(0.7 * len(y))
    rows = order[: cut[0]], order[cut[0] : cut[1]], order[cut[1] :]
    mean, std = X[rows[0]].mean(axis=0), X[rows[0]].std(axis=0)
    X = (X - mean) / np.where(std > 0, std, 1)
    if task(name) == "regression":
        y = (y - y[rows[0]].mean()) / y[rows[0]].std()
    return [(X[each], y[each]) for each in rows]


def candidate(name: str, number: int) -> Fit:
    """Draw settings that a careful person would take."""
    rng = np.random.default_rng([number, *name.encode()])
    solver = str(rng.choice(["adam", "adam", "adam", "sgd"]))
    hidden = [(32,), (64,), (100,), (32, 32), (64, 32)][rng.integers(5)]
    parameters = {
        "hidden_layer_sizes": hidden,
        "activation": str(rng.choice(["relu", "relu", "tanh"])),
        "solver": solver,
        "learning_rate_init": float(rng.choice([0.003, 0.01] if solver == "adam" else [0.05, 0.1])),
        "batch_size": int(rng.choice([32, 64])),
        "max_iter": 200,
        "alpha": float(rng.choice([1e-4, 1e-3])),
        "early_stopping": bool(rng.random() < 0.4),
        "random_state": number,
    }
    # One split for a table, so that its candidates can be compared.
    parts = _split(name, *table(name), np.random.default_rng([*name.encode()]))
    validate = bool(rng.random() < 0.4)
    return Fit(name, number, parameters, *parts, validate, name in IMBALANCED)


def fitted(fit: Fit) -> tuple[Any, float]:
    """The fitted drop-in and its score on the rows held out; R squared is -1 at least.

    Where fit gives up because the training diverged, the model is asked all the same; its score is
    -1.
    """
    make = MLPRegressor if task(fit.table) == "regression" else MLPClassifier
    model = make(**fit.parameters, n_threads=1)
    own = dict(zip(("X_val", "y_val"), fit.validation, strict=True)) if fit.validate else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.fit(*fit.train, **own)
        except ValueError:
            return model, -1.0
        X, y = fit.test
        if fit.balanced:
            return model, float(balanced_accuracy_score(y, model.predict(X)))
        score = float(model.score(X, y))
    return model, max(score, -1.0) if np.isfinite(score) else -1.0


@dataclass(frozen=True)
class Kind:
    """How a kind is planted (None where it does not suit), and what it may be called.

    ``always`` as in faults.py; ``twin`` makes the healthy twin of the faulty fit, where that is
    not the setting before the fault was planted.
    """

    plant: Callable[[Fit, np.random.Generator], Fit | None]
    accept: tuple[str, ...]
    always: bool = False
    twin: Callable[[Fit], Fit] | None = None


def _unscaled_inputs(fit: Fit, rng: np.random.Generator) -> Fit:
    """One column in a unit of its own."""
    n = fit.train[0].shape[1]
    factors = np.ones(n)
    factors[rng.integers(n)] = 10 ** rng.uniform(3, 5)
    return fit.mapped(lambda X, y: (X * factors, y))


def _unscaled_target(fit: Fit, rng: np.random.Generator) -> Fit | None:
    if task(fit.table) != "regression":
        return None
    if rng.random() < 0.3:
        return fit.mapped(lambda X, y: (X, y + 1000))
    factor = 10 ** rng.uniform(3, 4)
    return fit.mapped(lambda X, y: (X, y * factor))


def _rate_too_high(fit: Fit, rng: np.random.Generator) -> Fit:
    solver = str(rng.choice(["adam", "sgd"]))
    return fit.with_(solver=solver, learning_rate_init=float(10 ** rng.uniform(-0.5, 0.5)))


def _rate_too_low(fit: Fit, rng: np.random.Generator) -> Fit:
    return fit.with_(learning_rate_init=float(10 ** rng.uniform(-6, -5)))


def _too_few_epochs(fit: Fit, rng: np.random.Generator) -> Fit:
    return fit.with_(max_iter=int(rng.integers(1, 4)), early_stopping=False)


def _penalty_too_strong(fit: Fit, rng: np.random.Generator) -> Fit:
    return fit.with_(alpha=float(10 ** rng.uniform(1, 3)))


def _shuffled_labels(fit: Fit, rng: np.random.Generator) -> Fit:
    """Without validation rows nothing could tell: fit is given some."""
    return replace(fit.mapped(lambda X, y: (X, rng.permutation(y))), validate=True)


def _imbalance(fit: Fit, rng: np.random.Generator) -> Fit | None:
    """Another table, of two classes that overlap, one of them rare."""
    if task(fit.table) != "binary":
        return None
    fault = f"clouds {rng.choice([0.03, 0.05, 0.08])} {rng.integers(1000)}"
    parts = _split(fit.table, *add_data_fault(fault, *table(fit.table), rng), rng)
    names = dict(zip(("train", "validation", "test"), parts, strict=True))
    return replace(fit, **names, balanced=True)


def _overfitting(fit: Fit, rng: np.random.Generator) -> Fit:
    """Few rows, some of them wrong, a large network and a long training; fit is given X_val."""

    def spoilt(rows: Rows) -> Rows:
        return add_data_fault("noisy labels", *rows, rng)

    few = int(rng.integers(60, 121))
    X, y = spoilt(fit.train)
    fit = replace(fit, train=(X[:few], y[:few]), validation=spoilt(fit.validation), validate=True)
    return fit.with_(hidden_layer_sizes=(128, 128), max_iter=400, early_stopping=False,
                     solver="adam", learning_rate_init=0.003)  # fmt: skip


def _underfitting(fit: Fit, rng: np.random.Generator) -> Fit | None:
    """One unit where more are needed, or none at all."""
    if fit.table not in HARD:
        return None
    return fit.with_(hidden_layer_sizes=((), (1,))[rng.integers(2)], early_stopping=False)


def _vanishing_gradient(fit: Fit, rng: np.random.Generator) -> Fit:
    depth = int(rng.integers(6, 9))
    return fit.with_(hidden_layer_sizes=(24,) * depth, activation="logistic")


def _accepted(kind: str) -> tuple[str, ...]:
    return FAULTS[kind].accept


def _stops_early(fit: Fit) -> Fit:
    return fit.with_(hidden_layer_sizes=(16,), early_stopping=True)


KINDS: dict[str, Kind] = {
    "unscaled_inputs": Kind(_unscaled_inputs, _accepted("unscaled_inputs"), always=True),
    "unscaled_target": Kind(_unscaled_target, _accepted("unscaled_target"), always=True),
    "learning_rate_too_high": Kind(_rate_too_high, _accepted("learning_rate_too_high")),
    "learning_rate_too_low": Kind(_rate_too_low, _accepted("learning_rate_too_low")),
    "stopped_too_early": Kind(_too_few_epochs, _accepted("stopped_too_early")),
    "penalty_too_strong": Kind(_penalty_too_strong, ("penalty_too_strong",)),
    "shuffled_labels": Kind(_shuffled_labels, ("nothing_to_learn",), always=True),
    "class_imbalance": Kind(
        _imbalance,
        _accepted("class_imbalance"),
        twin=lambda fit: fit.with_(class_weight="balanced"),
    ),
    "overfitting": Kind(_overfitting, _accepted("overfitting"), twin=_stops_early),
    "underfitting": Kind(_underfitting, _accepted("underfitting")),
    "vanishing_gradient": Kind(_vanishing_gradient, _accepted("vanishing_gradient")),
}
"""What is planted. What it may be called is the same as in faults.py."""


def healthy_fits() -> list[tuple[Fit, Any, float]]:
    """Fits within 2 % of the best of their table, with model and score."""
    kept = []
    for name in TABLES:
        fits = [candidate(name, number) for number in range(CANDIDATES)]
        done = [(fit, *fitted(fit)) for fit in fits]
        best = max(score for _, _, score in done)
        kept += [each for each in done if each[2] >= (1 - GOOD) * best]
    return kept


def plainly(model: Any) -> list[str]:
    """What diagnose(model) says: a letter for the severity, and the kind.

    An exception finds nothing: it is told as info, so that it counts as missed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return [f"{f.severity[0]}:{f.kind}" for f in diagnose(model).findings]
        except Exception as error:
            return [f"i:raised {type(error).__name__}"]


def serious(found: list[str]) -> list[str]:
    """The kinds of warnings and errors."""
    return [each[2:] for each in found if not each.startswith("i:")]


def planted(name: str, good: list[tuple[Fit, Any, float]]) -> list[dict[str, Any]]:
    """Plant a kind in healthy settings, tables in turn, and ask what is wrong."""
    kind, rng = KINDS[name], np.random.default_rng([*name.encode()])
    by_table: dict[str, list[tuple[Fit, float]]] = {}
    for fit, _, score in good:
        by_table.setdefault(fit.table, []).append((fit, score))
    rows: list[dict[str, Any]] = []
    while sum(row["counts"] for row in rows) < EACH and len(rows) < TRIES:
        for t in rng.permutation(list(by_table)):
            fit, twin = by_table[t][rng.integers(len(by_table[t]))]
            faulty = kind.plant(fit, rng)
            if faulty is None or sum(row["counts"] for row in rows) == EACH or len(rows) == TRIES:
                continue
            if kind.twin:
                twin = fitted(kind.twin(faulty))[1]
            rows.append(judged(name, faulty, twin))
    return rows


def judged(name: str, faulty: Fit, twin: float) -> dict[str, Any]:
    """What was found of a planted fault."""
    kind = KINDS[name]
    model, score = fitted(faulty)
    found = plainly(model)
    kinds = serious(found)
    return {
        "kind": name,
        "table": faulty.table,
        "counts": kind.always or not score >= twin - WORSE * abs(twin),
        "score": round(score, 3),
        "twin": round(twin, 3),
        "detected": bool(set(kind.accept) & set(kinds)),
        "first": bool(kinds) and kinds[0] in kind.accept,
        "found": found[:4],
    }


def main() -> None:
    """Plant, ask, count and write dropins.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kinds", nargs="*", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--show", action="store_true", help="print what was missed")
    options = parser.parse_args()
    threadpool_limits(1)
    good = healthy_fits()
    spread = np.random.default_rng(0).permutation(len(good))[:HEALTHY]
    healthy = [
        {"table": fit.table, "number": fit.number, "score": round(score, 3),
         "alarms": serious(plainly(model))}
        for fit, model, score in (good[k] for k in spread)
    ]  # fmt: skip
    alarms = [row for row in healthy if row["alarms"]]
    print(f"healthy {len(healthy)} (of {len(good)} good ones): {len(alarms)} with an alarm")
    for row in alarms:
        print("   ", row)
    faulty = []
    for name in options.kinds:
        rows = planted(name, good)
        faulty += rows
        real = [row for row in rows if row["counts"]]
        detected, first = (sum(row[what] for row in real) for what in ("detected", "first"))
        print(f"{name:24} counted {len(real):3} detected {detected:3} first {first:3}", flush=True)
        for row in real:
            if options.show and not row["first"]:
                print("      ", row["table"], row["twin"], "->", row["score"], row["found"])
    real = [row for row in faulty if row["counts"]]
    detected, first = (sum(row[what] for row in real) for what in ("detected", "first"))
    print(f"{'pooled':24} counted {len(real):3} detected {detected:3} first {first:3}")
    if len(options.kinds) == len(KINDS):
        write(healthy, faulty)


def write(healthy: list[dict[str, Any]], faulty: list[dict[str, Any]]) -> None:
    """A line a fit."""
    parts = []
    for name, rows in (("healthy", healthy), ("planted", faulty)):
        lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
        parts.append(f'"{name}":[\n{lines}\n]')
    (HERE / "dropins.json").write_text("{" + ",\n".join(parts) + "}\n")


if __name__ == "__main__":
    main()
