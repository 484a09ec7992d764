"""Tables, and settings under which a network learns them well: the healthy side of the benchmark.

A Spec says all there is to know of a run; the same Spec gives the same run.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import sklearn.datasets as sk

Array = np.ndarray


@dataclass(frozen=True)
class Spec:
    """One training. The fields of the second part are what faults change."""

    table: str
    hidden: tuple[int, ...]
    activation: str
    optimizer: str
    learning_rate: float
    batch_size: int
    epochs: int
    seed: int
    early_stopping: int = 0
    initializer: str = ""  # "normal 0.01", "constant 0.5", "he_normal * 20", ...
    bias: float = 0.0  # of the hidden layers at the start
    output: str = ""
    loss: str = ""
    rows: int = 0  # of the training part, 0 for all
    class_weight: str = ""
    beta: float = 0.0
    data_fault: str = ""
    standardise: bool = True
    standardise_target: bool = True
    drop_columns: tuple[int, ...] = ()
    gradient_clip: float = 0.0

    @property
    def key(self) -> str:
        """A short name of these settings."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:16]

    @property
    def is_test(self) -> bool:
        """Whether these settings belong to the third that no threshold is tuned on.

        The faults planted in them belong to it too: it is the setting's draw that decides.
        """
        return self.seed >= TEST


TEST = 1000
"""Settings with a number from here on are the test part."""


def _points(m: int, n: int, rule: Callable[[Array], Array], seed: int) -> tuple[Array, Array]:
    X = np.random.default_rng(seed).normal(size=(m, n))
    return X, rule(X).astype(int)


def _sine() -> tuple[Array, Array]:
    rng = np.random.default_rng(1)
    X = rng.uniform(-3, 3, (1400, 1))
    return X, np.sin(2 * X[:, 0]) + 0.1 * rng.normal(size=1400)


def _surface() -> tuple[Array, Array]:
    rng = np.random.default_rng(2)
    X = rng.uniform(-1, 1, (1800, 4))
    y = X[:, 0] * X[:, 1] + np.sin(3 * X[:, 2]) + 0.1 * rng.normal(size=1800)
    return X, y


def _spirals() -> tuple[Array, Array]:
    rng = np.random.default_rng(3)
    t = np.sqrt(rng.uniform(0.05, 1, 1600)) * 2.2 * np.pi
    y = rng.integers(0, 2, 1600)
    X = np.stack([t * np.cos(t + np.pi * y), t * np.sin(t + np.pi * y)], axis=1) / 4
    return X + 0.06 * rng.normal(size=X.shape), y


def _imbalanced(share: float, seed: int) -> tuple[Array, Array]:
    return sk.make_classification(
        2400, 8, n_informative=5, n_redundant=1, weights=[1 - share], class_sep=1.3,
        flip_y=0.01, random_state=seed,
    )  # fmt: skip


def _sample(name: str) -> tuple[Array, Array]:
    return getattr(sk, f"load_{name}")(return_X_y=True)


TABLES: dict[str, Callable[[], tuple[Array, Array]]] = {
    "iris": lambda: _sample("iris"),
    "wine": lambda: _sample("wine"),
    "breast cancer": lambda: _sample("breast_cancer"),
    "digits": lambda: _sample("digits"),
    "diabetes": lambda: _sample("diabetes"),
    "blobs 3": lambda: sk.make_blobs(900, 2, centers=3, cluster_std=1.6, random_state=1),
    "blobs 5": lambda: sk.make_blobs(1500, 6, centers=5, cluster_std=5.0, random_state=4),
    "moons": lambda: sk.make_moons(1200, noise=0.2, random_state=0),
    "circles": lambda: sk.make_circles(1200, noise=0.1, factor=0.5, random_state=0),
    "spirals": _spirals,
    "quantiles": lambda: sk.make_gaussian_quantiles(
        n_samples=1600, n_features=4, n_classes=3, random_state=0
    ),
    "classes 10": lambda: sk.make_classification(
        1600, 10, n_informative=6, class_sep=1.3, random_state=2
    ),
    "classes 20": lambda: sk.make_classification(
        2400, 20, n_informative=10, n_classes=4, class_sep=1.6, random_state=3
    ),
    "parity": lambda: _points(1600, 3, lambda X: X[:, 0] * X[:, 1] * X[:, 2] > 0, 5),
    "exclusive or": lambda: _points(1200, 5, lambda X: X[:, 0] * X[:, 1] > 0, 6),
    "ring": lambda: _points(1500, 4, lambda X: (X**2).sum(axis=1) > 3.4, 7),
    "linear classes": lambda: _points(
        1200, 6, lambda X: X @ np.array([2, -1, 1, 0.5, 0, 0]) + np.sin(99 * X[:, 0]) > 0, 8
    ),
    "one in ten": lambda: _imbalanced(0.1, 1),
    "one in twenty": lambda: _imbalanced(0.05, 9),
    "one in twelve": lambda: _imbalanced(0.08, 12),
    "linear": lambda: sk.make_regression(1200, 8, n_informative=6, noise=20.0, random_state=0),
    "friedman 1": lambda: sk.make_friedman1(1500, noise=1.0, random_state=0),
    "friedman 2": lambda: sk.make_friedman2(1500, noise=60.0, random_state=0),
    "friedman 3": lambda: sk.make_friedman3(1500, noise=0.05, random_state=0),
    "sine": _sine,
    "surface": _surface,
}
"""Real tables that scikit-learn brings along, and generated ones of known difficulty."""

CLASSES = {"iris": 3, "wine": 3, "digits": 10, "blobs 3": 3, "blobs 5": 5, "quantiles": 3,
           "classes 20": 4}  # fmt: skip
REGRESSION = ("diabetes", "linear", "friedman 1", "friedman 2", "friedman 3", "sine", "surface")
IMBALANCED = ("one in ten", "one in twenty", "one in twelve")
HARD = ("spirals", "parity", "sine", "circles", "moons", "quantiles", "exclusive or", "ring",
        "surface")  # fmt: skip
"""Tables that no straight line cuts: they need a hidden layer."""


@functools.cache
def table(name: str) -> tuple[Array, Array]:
    """X (m, n) and y of a table."""
    X, y = TABLES[name]()
    return np.asarray(X, dtype=np.float64), np.asarray(y)


def task(name: str) -> str:
    """binary, multiclass or regression."""
    return "regression" if name in REGRESSION else "multiclass" if name in CLASSES else "binary"


_RATES = {
    "adam": (0.003, 0.01),
    "rmsprop": (0.002, 0.005),
    "gradient_descent": (0.1, 0.3),
    "momentum": (0.1, 0.3),
    "classical_momentum": (0.02, 0.05),
    "nesterov": (0.02, 0.05),
    "adamw": (0.003, 0.01),
}
_HIDDEN = ((16,), (32,), (64,), (100,), (16, 16), (32, 32), (64, 32), (32, 32, 32), (24, 24, 16))
_ACTIVATIONS = ("relu", "relu", "tanh", "tanh", "leaky_relu", "elu", "selu", "gelu", "silu",
                "mish", "softplus", "sigmoid")  # fmt: skip


def healthy(name: str, number: int) -> Spec:
    """Draw good settings for a table: what a careful person would take, in great variety."""
    rng = np.random.default_rng([number, *name.encode()])
    hidden = _HIDDEN[rng.integers(len(_HIDDEN))]
    activation = _ACTIVATIONS[rng.integers(len(_ACTIVATIONS))]
    if activation == "sigmoid" and len(hidden) > 2:
        activation = "tanh"
    optimizer = list(_RATES)[rng.integers(len(_RATES))]
    batch = int(rng.choice([16, 32, 32, 64, 128]))
    plain = optimizer in ("gradient_descent", "momentum")
    epochs = int(rng.choice([60, 100, 150] if not plain else [120, 200, 300]))
    return Spec(
        name,
        hidden,
        activation,
        optimizer,
        float(rng.choice(_RATES[optimizer])),
        batch,
        epochs,
        number,
        early_stopping=int(rng.choice([0, 10, 15, 20])),
        initializer=str(rng.choice(["", "", "", "glorot", "he", "lecun", "normal 0.1"])),
    )
