"""What share of a training's time its statistics take: the same trainings with and without.

python benchmarks/diagnosis/statistics_cost.py
"""

from __future__ import annotations

import json
import pickle
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from pellucid import Dense, History, Network, train
from pellucid.layers import GRU, LSTM, Conv2D, Layer, MaxPool, Recurrent

LENET = [Conv2D(6, 5), MaxPool(2), Conv2D(16, 5), MaxPool(2), Dense(120), Dense(84)]
CASES: tuple[tuple[list[Layer], tuple[int, ...], int, int], ...] = (
    # hidden layers, shape of an example, examples, epochs
    ([Dense(100)], (20,), 2000, 200),
    ([Dense(128), Dense(64)], (64,), 2000, 100),
    ([Dense(128), Dense(64)], (64,), 10000, 30),
    ([Dense(256), Dense(128)], (20,), 1000, 200),
    ([Dense(100)], (100,), 500, 100),
    ([Dense(100)], (784,), 5000, 20),
    ([Dense(256), Dense(128)], (784,), 5000, 10),
    ([Conv2D(6, 3), MaxPool(2), Conv2D(12, 3)], (14, 14, 1), 1000, 5),
    (LENET, (28, 28, 1), 1000, 2),
    ([Recurrent(32)], (29, 12), 300, 20),
    ([GRU(16)], (29, 12), 300, 10),
    ([LSTM(64)], (28, 28), 1000, 2),
    ([LSTM(16)], (200, 3), 200, 3),
)
REPEATS = 15
"""Trainings of each kind, in turns."""

Case = tuple[list[Layer], tuple[int, ...], int, int]


def once(case: Case, statistics: bool) -> tuple[float, History]:
    """The time of one training, and its history."""
    hidden, shape, m, epochs = case
    net = Network([*hidden, Dense(2, "softmax")], shape, seed=0)
    X = np.asfortranarray(np.random.default_rng(0).normal(size=(net.n[0], m)).astype(np.float32))
    Y = (X[0] * X[1] > 0).astype(int)
    start = time.perf_counter()
    history = train(net, X, Y, loss="cce", epochs=epochs, statistics=statistics, n_threads=1)
    return time.perf_counter() - start, history


def measured(case: Case) -> dict[str, Any]:
    """The share by the least times and by the medians; what it takes to look later."""
    times: dict[bool, list[float]] = {True: [], False: []}
    for k in range(REPEATS):
        for statistics in (True, False) if k % 2 else (False, True):
            spent, history = once(case, statistics)
            times[statistics].append(spent)
    _, history = once(case, statistics=True)
    start = time.perf_counter()
    looks, size = len(history.statistics), len(pickle.dumps(history))
    later = time.perf_counter() - start
    hidden, shape, m, epochs = case
    net = Network([*hidden, Dense(2, "softmax")], shape, seed=0)
    return {
        "network": _name(hidden, shape),
        "weights": sum(W.size for W in net.W.values()),
        "m": m,
        "epochs": epochs,
        "samples": looks,
        "seconds": round(min(times[False]), 4),
        "share": round(min(times[True]) / min(times[False]) - 1, 4),
        "median": round(median(times[True]) / median(times[False]) - 1, 4),
        "later": round(later, 4),
        "pickle": size,
    }


def _name(hidden: list[Layer], shape: tuple[int, ...]) -> str:
    """20-100-2 of Dense layers alone; else the layers, and what enters."""
    if all(type(layer) is Dense for layer in hidden):
        return "-".join(map(str, (*shape, *(layer.n_units for layer in hidden), 2)))
    words = [type(layer).__name__ for layer in hidden]
    sizes = [str(getattr(layer, "n_units", getattr(layer, "n_filters", ""))) for layer in hidden]
    named = ", ".join(" ".join(pair).strip() for pair in zip(words, sizes, strict=True))
    return f"{named} of {' x '.join(map(str, shape))}"


def main() -> None:
    """Measure every case and write statistics_cost.json."""
    threadpool_limits(1)
    rows = []
    for case in CASES:
        rows.append(measured(case))
        print(rows[-1])
    (Path(__file__).parent / "statistics_cost.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
