"""What share of a training's time its statistics take: the same trainings with and without.

python benchmarks/diagnosis/statistics_cost.py
"""

from __future__ import annotations

import itertools
import json
import pickle
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from pellucid import Dense, History, Network, train

CASES = (
    # n[0], hidden, examples, epochs
    (20, (100,), 2000, 200),
    (64, (128, 64), 2000, 100),
    (64, (128, 64), 10000, 30),
    (20, (256, 128), 1000, 200),
    (100, (100,), 500, 100),
    (784, (100,), 5000, 20),
    (784, (256, 128), 5000, 10),
)
REPEATS = 15
"""Trainings of each kind, in turns."""

Case = tuple[int, tuple[int, ...], int, int]


def once(case: Case, statistics: bool) -> tuple[float, History]:
    """The time of one training, and its history."""
    n, hidden, m, epochs = case
    rng = np.random.default_rng(0)
    X = np.asfortranarray(rng.normal(size=(n, m)).astype(np.float32))
    Y = (X[0] * X[1] > 0).astype(int)
    net = Network([*map(Dense, hidden), Dense(2, "softmax")], n, seed=0)
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
    n, hidden, m, epochs = case
    widths = (n, *hidden, 2)
    return {
        "network": "-".join(map(str, widths)),
        "weights": sum(a * b for a, b in itertools.pairwise(widths)),
        "m": m,
        "epochs": epochs,
        "samples": looks,
        "seconds": round(min(times[False]), 4),
        "share": round(min(times[True]) / min(times[False]) - 1, 4),
        "median": round(median(times[True]) / median(times[False]) - 1, 4),
        "later": round(later, 4),
        "pickle": size,
    }


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
