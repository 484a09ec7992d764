"""What share of a training's time its statistics take, hook by hook.

python benchmarks/diagnosis/watch_cost.py
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from pellucid import Dense, Network, train
from pellucid.insight import StatisticsCallback

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
REPEATS = 7


class Timed(StatisticsCallback):
    """The callback, with the time spent in its hooks."""

    def __init__(self) -> None:
        self.spent = 0.0

    def _timed(self, hook: Callable[[Any], None], run: Any) -> None:
        start = time.perf_counter()
        hook(run)
        self.spent += time.perf_counter() - start

    def on_train_begin(self, run: Any) -> None:
        self._timed(super().on_train_begin, run)

    def on_epoch_end(self, run: Any) -> None:
        self._timed(super().on_epoch_end, run)

    def on_train_end(self, run: Any) -> None:
        self._timed(super().on_train_end, run)


def times(case: tuple[int, tuple[int, ...], int, int]) -> tuple[float, float, int]:
    """The time of one training in its statistics, all its other time, and the samples taken."""
    n, hidden, m, epochs = case
    rng = np.random.default_rng(0)
    X = np.asfortranarray(rng.normal(size=(n, m)).astype(np.float32))
    Y = (X[0] * X[1] > 0).astype(int)
    net = Network([*(Dense(k) for k in hidden), Dense(2, "softmax")], n, seed=0)
    watch = Timed()
    start = time.perf_counter()
    history = train(net, X, Y, loss="cce", epochs=epochs, callbacks=watch, n_threads=1)
    whole = time.perf_counter() - start
    return watch.spent, whole - watch.spent, len(history.statistics)


def main() -> None:
    """Measure every case and write watch_cost.json."""
    threadpool_limits(1)
    rows = []
    for case in CASES:
        spent, other, samples = zip(*(times(case) for _ in range(REPEATS)), strict=True)
        n, hidden, m, epochs = case
        widths = (n, *hidden, 2)
        weights = sum(a * b for a, b in itertools.pairwise(widths))
        rows.append(
            {"network": "-".join(map(str, widths)), "weights": weights, "m": m, "epochs": epochs,
             "samples": samples[0], "share": round(min(spent) / min(other), 4)}
        )  # fmt: skip
        print(rows[-1])
    (Path(__file__).parent / "watch_cost.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
