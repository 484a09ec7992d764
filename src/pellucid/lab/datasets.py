"""Data sets of the lab: small tables to learn, one table.

Each is drawn from its seed alone, so the same settings give the same examples everywhere.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid._catalogue import did_you_mean
from pellucid.insight.trace.presets import PRESETS
from pellucid.losses import one_hot
from pellucid.tables.model import TableModel

Floats = NDArray[np.float64]
Random = np.random.Generator
Draw = Callable[[Random, int, float], tuple[Floats, Floats]]
"""From random numbers, m and noise to X, (n[0], m), and Y, (m,) or (1, m).

Of several classes Y holds the numbers.
"""

CORNERS = np.array([[0, 0, 1, 1], [0, 1, 0, 1]], dtype=float)


@dataclass(frozen=True)
class UserData:
    """What is known of data of the user's own.

    Attributes
    ----------
    X, Y : array
        (n[0], M), and (M,) or (k, M), float32: all rows that are held.
    columns : TableModel or None
        How the columns became X and what Y stands for; a saved model takes it along.
    labels : list
        What the classes are called where there are no columns.
    recall : str
        Python that puts the data here again from their file; "" where there is none.
    """

    X: NDArray[np.float32]
    Y: NDArray[np.float32]
    columns: TableModel | None = None
    labels: tuple[Any, ...] = ()
    recall: str = ""


@dataclass(frozen=True)
class Dataset:
    """One entry of :data:`DATASETS`.

    Attributes
    ----------
    name, title, note : str
    inputs, outputs : tuple of str
        What each row of X and of Y is; for classes, their names.
    task : str
        "binary", "multiclass" or "regression".
    draw : callable
    m : int
        Examples unless asked otherwise; ``most`` is the largest number there can be.
    noise : bool
        Whether there is noise to choose.
    user_data : UserData or None
        What is known beside this of data of the user's own.
    image : (int, int, int) or None
        Where the inputs are an image from 0 to 1: its rows, in them columns, in them channels.
    """

    name: str
    title: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    task: str
    draw: Draw
    m: int = 400
    most: int = 20_000
    noise: bool = True
    note: str = ""
    user_data: UserData | None = None
    image: tuple[int, int, int] | None = None

    def make(self, m: int, noise: float, seed: int) -> tuple[Floats, Floats]:
        """Return X, (n[0], m), and Y, (n[L], m).

        >>> DATASETS["and"].make(4, 0.0, seed=1)[1]
        array([[0., 0., 0., 1.]])
        """
        random = np.random.Generator(np.random.Philox(seed))
        X, Y = self.draw(random, min(m, self.most), noise)
        if self.task == "multiclass":
            Y = one_hot(Y.astype(np.int64), len(self.outputs), np.float64)
        return np.ascontiguousarray(X), np.atleast_2d(Y)


DATASETS: dict[str, Dataset] = {}
"""Every data set by its name, in the order of the page."""


def _entry(
    name: str, title: str, inputs: tuple[str, ...], outputs: tuple[str, ...], task: str, **more: Any
) -> Callable[[Draw], Draw]:
    """Enter a data set, drawn by the function below, into :data:`DATASETS`."""

    def enter(draw: Draw) -> Draw:
        DATASETS[name] = Dataset(name, title, inputs, outputs, task, draw, **more)
        return draw

    return enter


# The data sets: a new one is an entry here, with its function -------------------------------------

_XY = ("x1", "x2")


def _gate(rule: Callable[[Floats], Floats]) -> Draw:
    """The corners of a square again and again, noise around each."""

    def draw(random: Random, m: int, noise: float) -> tuple[Floats, Floats]:
        corners = CORNERS[:, np.arange(m) % 4]
        return corners + noise * random.standard_normal(corners.shape), rule(corners)

    return draw


_entry(
    "and",
    "AND",
    _XY,
    ("y",),
    "binary",
    m=4,
    note="One unit is enough: W = (20, 20), b = -30 (lecture 003).",
)(_gate(lambda x: x[0] * x[1]))
_entry(
    "or",
    "OR",
    _XY,
    ("y",),
    "binary",
    m=4,
    note="One unit is enough: W = (20, 20), b = -10 (lecture 003).",
)(_gate(lambda x: np.maximum(x[0], x[1])))
_entry(
    "xor",
    "XOR",
    _XY,
    ("y",),
    "binary",
    m=4,
    note="No straight line separates the classes: it takes a hidden layer.",
)(_gate(lambda x: (x[0] + x[1]) % 2))


def _parity(n: int) -> Draw:
    """All rows of n bits, again and again, noise around each."""

    def draw(random: Random, m: int, noise: float) -> tuple[Floats, Floats]:
        bits = ((np.arange(m) % 2**n) >> np.arange(n)[:, np.newaxis] & 1).astype(float)
        return bits + noise * random.standard_normal(bits.shape), bits.sum(axis=0) % 2

    return draw


for _n in (3, 4, 5, 6, 8):
    _entry(
        "parity" if _n == 4 else f"parity-{_n}",
        f"Parity of {_n} bits",
        tuple(f"x{k + 1}" for k in range(_n)),
        ("odd",),
        "binary",
        m=2**_n,
        note=f"1 if the number of ones is odd: XOR of {_n} inputs.",
    )(_parity(_n))


@_entry("circles", "Circles", _XY, ("inner",), "binary", note="One class inside the other.")
def _circles(random: Random, m: int, noise: float) -> tuple[Floats, Floats]:
    inner = np.arange(m) % 2
    radius = np.where(inner, random.uniform(0.0, 0.8, m), random.uniform(1.3, 2.0, m))
    angle = random.uniform(0, 2 * np.pi, m)
    X = radius * np.stack([np.cos(angle), np.sin(angle)])
    return X + noise * random.standard_normal(X.shape), inner.astype(float)


@_entry(
    *("moons", "Moons", _XY, ("lower",), "binary"),
    note="Two half moons that reach into each other.",
)
def _moons(random: Random, m: int, noise: float) -> tuple[Floats, Floats]:
    lower = np.arange(m) % 2
    angle = random.uniform(0, np.pi, m)
    X = np.stack([np.cos(angle), np.sin(angle)])
    X = np.where(lower, np.stack([1 - X[0], 0.5 - X[1]]), X) - np.array([[0.5], [0.25]])
    return X + noise * random.standard_normal(X.shape), lower.astype(float)


@_entry(
    *("spiral", "Spiral", _XY, ("arm",), "binary"),
    note="Two arms wound around each other: the hardest of these in two inputs.",
)
def _spiral(random: Random, m: int, noise: float) -> tuple[Floats, Floats]:
    arm = np.arange(m) % 2
    t = np.sqrt(random.uniform(0.005, 1, m))
    angle = 3.5 * np.pi * t + np.pi * arm
    X = 2 * t * np.stack([np.sin(angle), np.cos(angle)])
    return X + noise * random.standard_normal(X.shape), arm.astype(float)


@_entry(
    *("three-classes", "Three classes", _XY, ("a", "b", "c"), "multiclass"),
    note="A softmax output, one unit a class.",
)
def _three_classes(random: Random, m: int, noise: float) -> tuple[Floats, Floats]:
    label = np.arange(m) % 3
    angle = 2 * np.pi * label / 3 + np.pi / 2
    X = 1.2 * np.stack([np.cos(angle), np.sin(angle)])
    return X + (0.25 + noise) * random.standard_normal(X.shape), label.astype(float)


@_entry(
    *("sine", "Sine", ("x",), ("y",), "regression"),
    m=200,
    note="A curve to follow: a number as output.",
)
def _sine(random: Random, m: int, noise: float) -> tuple[Floats, Floats]:
    X = random.uniform(-np.pi, np.pi, (1, m))
    return X, np.sin(X) + noise * random.standard_normal((1, m))


@_entry(
    *("plane", "Plane", _XY, ("y",), "regression"),
    note="y = (x1 + x2) / 2: a linear network learns it exactly.",
)
def _plane(random: Random, m: int, noise: float) -> tuple[Floats, Floats]:
    X = random.uniform(-2, 2, (2, m))
    return X, X.mean(axis=0) + noise * random.standard_normal(m)


def _of_preset(name: str, x_unit: float = 1.0, y_unit: float = 1.0) -> Draw:
    """The examples of the lecture, as the trace has them."""

    def draw(random: Random, m: int, noise: float) -> tuple[Floats, Floats]:
        X, Y = PRESETS[name].X[:, :m] / x_unit, PRESETS[name].Y[:, :m] / y_unit
        return X + noise * random.standard_normal(X.shape), Y

    return draw


_entry(
    "pass-the-class",
    "Will I pass this class?",
    ("lectures", "hours"),
    ("passed",),
    "binary",
    m=5,
    most=5,
    note="Lectures attended and hours in the laboratory, each of 10 (lecture 003).",
)(_of_preset("pass-the-class"))
_entry(
    "movie-taste",
    "Susan's movies",
    ("romance", "action"),
    ("liked",),
    "binary",
    m=5,
    most=5,
    note="She likes romance or action, not both and not neither (lecture 003).",
)(_of_preset("movie-taste"))
_entry(
    "house-prices",
    "House prices",
    ("size",),
    ("price",),
    "regression",
    m=4,
    most=4,
    note="Size in 1000 square feet, price in 100,000 dollars (lecture 002).",
)(_of_preset("house-price-neuron", 1000, 100))


@_entry(
    "digits",
    "Digits",
    tuple(f"pixel {r},{c}" for r in range(8) for c in range(8)),
    tuple("0123456789"),
    "multiclass",
    m=500,
    most=1797,
    note="Handwritten, 8 x 8 pixels from 0 to 1.",
    image=(8, 8, 1),
)
def _digits(random: Random, m: int, noise: float) -> tuple[Floats, Floats]:
    digits = importlib.import_module("sklearn.datasets").load_digits()
    rows = random.permutation(len(digits.target))[:m]
    X = digits.data[rows].T / 16
    return X + noise * random.standard_normal(X.shape), digits.target[rows].astype(float)


# Looking one up -----------------------------------------------------------------------------------

LOCK = threading.Lock()
"""Held where what is the user's own is put there or looked up: every page has its thread."""


def dataset(name: str) -> Dataset:
    """Return the data set of this name.

    >>> dataset("spirall")
    Traceback (most recent call last):
    ValueError: there is no data set 'spirall' (did you mean 'spiral'?). Known are: and, or, xor,
    ...
    """
    with LOCK:
        found, known = DATASETS.get(name), list(DATASETS)
    if found is not None:
        return found
    if name.startswith("own-"):
        raise ValueError(
            "this experiment uses your own data, which this lab does not hold (or the file has "
            "changed since). Open the same file here again."
        )
    raise ValueError(
        f"there is no data set {name!r}{did_you_mean(name, known)}. Known are: {', '.join(known)}."
    )
