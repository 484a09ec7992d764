"""Pictures and sequences to learn, and networks that learn them: the healthy side of shapes.py."""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.datasets as sk
from public_questions import mnist
from settings import TEST

from pellucid.layers import (
    GRU,
    LSTM,
    AveragePool,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    GlobalPool,
    Layer,
    MaxPool,
    Parallel,
    Recurrent,
    Residual,
)

Array = np.ndarray


@dataclass
class Data:
    """X (m, ...) and the targets: (m,), or (m, steps) where each step has one; lengths (m,)."""

    X: Array
    Y: Array
    lengths: Array | None = None


@dataclass(frozen=True)
class Task:
    """How to draw the data, what to minimise, how many classes (0: numbers), which networks."""

    data: Callable[[], Data]
    loss: str
    classes: int
    networks: tuple[str, ...]
    epochs: int
    cue: bool = False
    """Whether what is asked for stands at the first steps alone."""

    @property
    def output(self) -> tuple[int, str]:
        """Units and activation of the output."""
        if not self.classes:
            return 1, "identity"
        return (1, "sigmoid") if self.loss == "bce" else (self.classes, "softmax")


# Data ---------------------------------------------------------------------------------------------


def _digits() -> Data:
    X, y = sk.load_digits(return_X_y=True)
    return Data(X.reshape(-1, 8, 8, 1) / 16, y)


def _rows_of_digits() -> Data:
    X, y = sk.load_digits(return_X_y=True)
    return Data(X.reshape(-1, 8, 8) / 16, y)


def _mnist() -> Data:
    X, y = mnist(2000, 255)
    return Data(X.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))[..., None], y)


def _bars() -> Data:
    """A bar of five pixels somewhere, in one of four directions."""
    rng, m = np.random.default_rng(1), 1400
    X, y = 0.25 * rng.normal(size=(m, 10, 10, 1)), rng.integers(0, 4, m)
    step = ((0, 1), (1, 0), (1, 1), (1, -1))
    for k, (row, column) in enumerate(rng.integers(0, 6, (m, 2))):
        down, right = step[y[k]]
        for t in range(5):
            X[k, row + down * t, (column + 4 if right < 0 else column) + right * t, 0] += 1
    return Data(X, y)


def _series(name: str, steps: int = 0) -> Data:
    """Both parts of a set of the UCR archive, its longer series padded with 0."""
    folder = Path(os.environ["PELLUCID_DATA"]) / "series"
    rows, labels = [], []
    for part in ("TRAIN", "TEST"):
        with gzip.open(folder / f"{name}_{part}.ts.gz", "rt") as file:
            lines = file.read().lower().split("@data")[1].split()
        for line in lines:
            *features, label = line.split(":")
            rows.append(np.array([each.split(",") for each in features], float).T)
            labels.append(label)
    lengths = np.array([len(row) for row in rows])
    X = np.zeros((len(rows), max(lengths), rows[0].shape[1]))
    for k, row in enumerate(rows):
        X[k, : len(row)] = row
    y = np.unique(labels, return_inverse=True)[1]
    return Data(X, y, lengths if np.ptp(lengths) else None)


def _bumps() -> Data:
    """One of three shapes somewhere in noise."""
    rng, m, T = np.random.default_rng(2), 1000, 40
    X, y = 0.3 * rng.normal(size=(m, T, 1)), rng.integers(0, 3, m)
    t = np.linspace(0, 1, 9)
    shapes = (np.sin(np.pi * t), 2 * t - 1, np.sign(np.sin(3 * np.pi * t)))
    for k, begin in enumerate(rng.integers(0, T - 9, m)):
        X[k, begin : begin + 9, 0] += 1.2 * shapes[y[k]]
    return Data(X, y)


def cue(steps: int, shortest: int = 0) -> Data:
    """Which of three features is 1 at the first two steps; noise follows."""
    rng, m = np.random.default_rng([3, steps]), 700
    X, y = 0.5 * rng.normal(size=(m, steps, 3)), rng.integers(0, 3, m)
    X[:, :2] = 0.2 * X[:, :2] + np.eye(3)[y][:, None]
    lengths = rng.integers(shortest, steps + 1, m) if shortest else None
    return Data(X, y, lengths)


def _order() -> Data:
    """Which of two marks comes first, among other features."""
    rng, m, T = np.random.default_rng(4), 1000, 12
    X, y = 0.3 * rng.normal(size=(m, T, 3)), rng.integers(0, 2, m)
    for k in range(m):
        first, second = np.sort(rng.choice(T, 2, replace=False))
        X[k, first, y[k]] += 1.5
        X[k, second, 1 - y[k]] += 1.5
    return Data(X, y)


def _faded_sum() -> tuple[Array, Array]:
    """x<t>, and s<t> = 0.8 s<t-1> + x<t> with variance 1."""
    X = np.random.default_rng(5).normal(size=(900, 14, 1))
    s = np.zeros((900, 15))
    for t in range(14):
        s[:, t + 1] = 0.8 * s[:, t] + X[:, t, 0]
    return X, s[:, 1:] * 0.6


def _last_sum() -> Data:
    X, s = _faded_sum()
    return Data(X, s[:, -1])


def _sums() -> Data:
    return Data(*_faded_sum())


def _echo(shortest: int = 0) -> Data:
    """Each step answers with the symbol of two steps before, of four; the first two with 0."""
    rng, m, T = np.random.default_rng(6), 700, 12
    symbols = rng.integers(0, 4, (m, T))
    Y = np.concatenate([np.zeros((m, 2), int), symbols[:, :-2]], axis=1)
    lengths = rng.integers(shortest, T + 1, m) if shortest else None
    return Data(np.eye(4)[symbols], Y, lengths)


_PICTURES = ("conv", "strided conv", "batch norm", "residual", "global pool", "deep conv")
_SEQUENCES = ("conv1d", "recurrent", "gru", "lstm", "both ways", "two lstm", "gru pooled")
_STEPS = ("lstm steps", "gru steps", "recurrent steps", "conv steps")
TASKS: dict[str, Task] = {
    "digits": Task(_digits, "cce", 10, _PICTURES, 30),
    "mnist": Task(_mnist, "cce", 10, _PICTURES, 15),
    "bars": Task(_bars, "cce", 4, _PICTURES, 30),
    "gunpoint": Task(lambda: _series("GunPoint"), "bce", 2, ("conv1d", "strided conv1d"), 100),
    "italy": Task(lambda: _series("ItalyPowerDemand"), "bce", 2, _SEQUENCES, 40),
    "vowels": Task(lambda: _series("JapaneseVowels"), "cce", 9, _SEQUENCES, 50),
    "bumps": Task(_bumps, "cce", 3, ("conv1d", "gru pooled", "both ways", "lstm"), 40),
    "rows of digits": Task(_rows_of_digits, "cce", 10, _SEQUENCES[1:], 30),
    "cue": Task(lambda: cue(10, 6), "cce", 3, _SEQUENCES[1:4], 40, cue=True),
    "order": Task(_order, "bce", 2, ("gru", "lstm", "two lstm", "both ways"), 50),
    "faded sum": Task(_last_sum, "mse", 0, _SEQUENCES[1:4], 60),
    "sums": Task(_sums, "mse", 0, _STEPS[:3], 40),
    "echo": Task(lambda: _echo(5), "cce", 4, _STEPS, 30),
}
FROM_FILES = ("mnist", "gunpoint", "italy", "vowels")


@functools.cache
def data_of(task: str, steps: int = 0) -> Data:
    """Return the data of a task, of a cue with so many steps."""
    return cue(steps) if steps else TASKS[task].data()


# Networks -----------------------------------------------------------------------------------------


def _conv(n: int, g: Any) -> list[Layer]:
    return [Conv2D(n, 3, g), MaxPool(2), Conv2D(2 * n, 3, g, padding="same")]


def _deep(n: int, g: Any) -> list[Layer]:
    return [Conv2D(n, 3, g, padding="same") for _ in range(4)] + [MaxPool(2), Dense(32, g)]


def _very_deep(n: int, g: Any) -> list[Layer]:
    return [Conv2D(n, 3, g, padding="same") for _ in range(7)] + [MaxPool(2)]


def _global(n: int, g: Any) -> list[Layer]:
    convolutions = [Conv2D(2 * n, 3, g, padding="same"), Conv2D(3 * n, 3, g, padding="same")]
    return [*convolutions, GlobalPool("max"), Dense(4 * n, g)]


def _batch_norm(n: int, g: Any) -> list[Layer]:
    return [Conv2D(n, 3, g), BatchNorm(), Conv2D(2 * n, 3, g), AveragePool(2)]


def _residual(n: int, g: Any) -> list[Layer]:
    inside = [Conv2D(n, 3, g, padding="same"), Conv2D(n, 3, "identity", padding="same")]
    return [Conv2D(n, 3, g, padding="same"), Residual(inside), MaxPool(2)]


def _strided1d(n: int, g: Any) -> list[Layer]:
    return [Conv1D(n, 7, g, stride=3), Conv1D(2 * n, 5, g, stride=2)]


NETWORKS: dict[str, Callable[[int, Any], list[Layer]]] = {
    "conv": _conv,
    "strided conv": lambda n, g: [Conv2D(n, 3, g, stride=2), Dense(32, g)],
    "batch norm": _batch_norm,
    "residual": _residual,
    "global pool": _global,
    "deep conv": _deep,
    "very deep conv": _very_deep,
    "conv1d": lambda n, g: [Conv1D(2 * n, 5, g, padding="same"), Conv1D(2 * n, 5, g), Dense(16, g)],
    "strided conv1d": _strided1d,
    "recurrent": lambda n, g: [Recurrent(3 * n, g)],
    "gru": lambda n, g: [GRU(2 * n)],
    "lstm": lambda n, g: [LSTM(2 * n)],
    "both ways": lambda n, g: [Parallel([[LSTM(n)], [LSTM(n, backwards=True)]])],
    "two lstm": lambda n, g: [LSTM(2 * n, sequences=True), LSTM(n)],
    "gru pooled": lambda n, g: [GRU(2 * n, sequences=True), GlobalPool("max")],
    "lstm steps": lambda n, g: [LSTM(2 * n, sequences=True)],
    "gru steps": lambda n, g: [GRU(2 * n, sequences=True)],
    "recurrent steps": lambda n, g: [Recurrent(3 * n, g, sequences=True)],
    "conv steps": lambda n, g: [Conv1D(2 * n, 5, g, padding="same")],
}
"""The hidden layers by the name of a network, of a size n and an activation."""

# Settings -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spec:
    """One training. The fields from ``start`` on are what faults change, others too."""

    task: str
    network: str
    size: int
    activation: str
    optimizer: str
    learning_rate: float
    batch_size: int
    epochs: int
    early_stopping: int
    seed: int
    start: str = ""  # what is done to the network: "states * 0.2", "filters b -10", ...
    data_fault: str = ""
    steps: int = 0  # of a cue
    output: str = ""
    loss: str = ""

    @property
    def key(self) -> str:
        """A short name of these settings."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:16]

    @property
    def is_test(self) -> bool:
        """Whether these settings belong to the third that no threshold is tuned on."""
        return self.seed >= TEST


_RATES = {"adam": (0.003, 0.006), "rmsprop": (0.002, 0.004), "nesterov": (0.02, 0.05)}


def healthy(task: str, number: int) -> Spec:
    """Draw good settings for a task: what a careful person would take."""
    rng = np.random.default_rng([number, *task.encode()])
    network = str(rng.choice(TASKS[task].networks))
    g = str(rng.choice(["tanh"] if "recurrent" in network else ["relu", "relu", "tanh", "gelu"]))
    optimizer = str(rng.choice(["adam", "adam", "rmsprop", "nesterov"]))
    if {"gru", "lstm", "recurrent"} & set(network.split()):
        optimizer = "adam" if optimizer == "nesterov" else optimizer
    return Spec(
        task,
        network,
        int(rng.choice([6, 8])),
        g,
        optimizer,
        float(rng.choice(_RATES[optimizer])),
        int(rng.choice([16, 32])),
        TASKS[task].epochs * (1 if optimizer != "nesterov" else 2),
        int(rng.choice([0, 8, 15])),
        number,
    )
