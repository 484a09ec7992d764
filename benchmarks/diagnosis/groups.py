"""Healthy trainings of the kinds that cried wolf, group by group, and what healthy means in each.

A run's ``good`` is fixed before it is trained, from its data alone: a plain number, or what a
suitable learner or the noise-free rule behind the data reaches on the same rows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sklearn.datasets as sk
from faults import add_data_fault
from public_questions import mnist
from scipy.stats import norm
from settings import IMBALANCED, table
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from pellucid import Dense
from pellucid.losses import Loss, Quantile

Array = np.ndarray
Pair = tuple[Array, Array]
"""X (n, m) and Y (n[L], m), or m class numbers."""


@dataclass
class Run:
    """One training: it is kept as healthy where ``score`` on the rows held out reaches ``good``."""

    name: str
    layers: list[Dense]
    train: Pair
    validation: Pair | None
    test: Pair
    loss: str | Loss
    score: Callable[[Array, Array, Array], float]  # of X, Y and the answers A
    good: float
    settings: dict[str, Any] = field(default_factory=dict)


def _parts(X: Array, Y: Array, rng: np.random.Generator) -> tuple[Pair, Pair, Pair]:
    """Rows to columns: a half, a fifth and the rest."""
    order = rng.permutation(len(X))
    cut = round(0.5 * len(X)), round(0.7 * len(X))
    rows = order[: cut[0]], order[cut[0] : cut[1]], order[cut[1] :]
    one, two, three = ((np.asfortranarray(X[r].T), np.asfortranarray(Y[r].T)) for r in rows)
    return one, two, three


def _standard(X: Array) -> Array:
    std = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(std > 0, std, 1)


def _settings(rng: np.random.Generator, epochs: int = 100, quick: bool = False) -> dict[str, Any]:
    """Sensible settings, drawn."""
    optimizer, rates = (("adam", (0.003, 0.01)), ("adam", (0.002, 0.005)), ("nesterov", (0.02,)),
                        ("rmsprop", (0.002,)))[rng.integers(2 if quick else 4)]  # fmt: skip
    return {
        "optimizer": optimizer,
        "learning_rate": float(rng.choice(rates)),
        "batch_size": int(rng.choice([16, 32, 64])),
        "epochs": epochs,
        "early_stopping": (None, 15, 20)[rng.integers(3)],
    }


def _hidden(rng: np.random.Generator, *sizes: tuple[int, ...]) -> list[Dense]:
    widths = sizes[rng.integers(len(sizes))]
    g = str(rng.choice(["relu", "relu", "tanh", "gelu"]))
    return [Dense(k, g) for k in widths]


def accuracy(X: Array, Y: Array, A: Array) -> float:
    """The share of right classes; of one output, from 1/2 on it is class 1."""
    return float(np.mean((A.argmax(axis=0) if len(A) > 1 else A[0] >= 0.5) == Y))


def balanced(X: Array, Y: Array, A: Array) -> float:
    """The mean over the classes of their accuracy."""
    right = (A[0] >= 0.5) == Y
    return float(np.mean([right[Y == c].mean() for c in np.unique(Y)]))


def labels(X: Array, Y: Array, A: Array) -> float:
    """The share of right labels, over all of several."""
    return float(np.mean((A >= 0.5) == (Y >= 0.5)))


def r_squared(X: Array, Y: Array, A: Array) -> float:
    """The mean of the outputs' R squared."""
    Y = np.atleast_2d(Y)
    return float(np.mean(1 - ((A - Y) ** 2).mean(axis=1) / Y.var(axis=1)))


def pixels() -> Iterator[Run]:
    """MNIST's pixels by 255, 3000 images, half of them learned from. Good: 0.88 right."""
    if "PELLUCID_DATA" not in os.environ:
        print("pixels: left out, PELLUCID_DATA is not set")
        return
    for k, hidden in enumerate([(32,), (64,), (100,), (128,), (64, 32), (100, 50), (32, 32)] * 2):
        rng = np.random.default_rng([1, k])
        parts = _parts(*mnist(3000, 255), np.random.default_rng(0))
        layers = [*(Dense(n, ("relu", "tanh")[k % 2]) for n in hidden), Dense(10, "softmax")]
        settings = _settings(rng, epochs=(15, 30)[k // 7], quick=True)
        settings["learning_rate"] /= 3
        yield Run(f"{hidden}", layers, *parts, "cce", accuracy, 0.88, settings)


def digits() -> Iterator[Run]:
    """scikit-learn's digits by 16. Good: 0.95 right."""
    X, y = table("digits")
    for k in range(12):
        rng = np.random.default_rng([2, k])
        layers = [*_hidden(rng, (32,), (64,), (100,), (64, 32)), Dense(10, "softmax")]
        parts = _parts(X / 16, y, rng)
        yield Run(f"{k}", layers, *parts, "cce", accuracy, 0.95, _settings(rng, 60))


def _rare(k: int, rng: np.random.Generator) -> tuple[tuple[Pair, Pair, Pair], float]:
    """A table with a rare class, and what weighted machines reach on its last part, less 0.03."""
    if k % 2:
        X, y = table(IMBALANCED[k // 2 % 3])
    else:
        fault = f"clouds {rng.choice([0.05, 0.08, 0.12])} {100 + k}"
        X, y = add_data_fault(fault, np.zeros((1, 1)), np.zeros(1), rng)
    parts = _parts(_standard(X), y, rng)
    (X, y), _, (Xt, yt) = parts
    scores = []
    for learner in (LogisticRegression(max_iter=300, class_weight="balanced"),
                    SVC(class_weight="balanced")):  # fmt: skip
        A = learner.fit(X.T, y).predict(Xt.T)[None].astype(float)
        scores.append(balanced(Xt, yt, A))
    return parts, max(scores) - 0.03


def class_weights() -> Iterator[Run]:
    """A rare class, class_weight="balanced". Good: the mean accuracy of the classes of the better
    of two weighted learners (logistic regression, a kernel machine), less 0.03.
    """
    for k in range(16):
        rng = np.random.default_rng([3, k])
        parts, good = _rare(k, rng)
        layers = [*_hidden(rng, (8,), (16,), (16, 8)), Dense(1, "sigmoid")]
        settings = _settings(rng, 60) | {"class_weight": "balanced", "early_stopping": 8}
        yield Run(f"{k}", layers, *parts, "bce", balanced, good, settings | {"l2": 1e-3})


def sample_weights() -> Iterator[Run]:
    """The same by a weight for each example, which varies. Good: as with class weights."""
    for k in range(14):
        rng = np.random.default_rng([4, k])
        parts, good = _rare(k, rng)
        y = parts[0][1]
        weight = np.where(y == 1, (1 - y.mean()) / y.mean(), 1) * rng.uniform(0.5, 1.5, len(y))
        layers = [*_hidden(rng, (8,), (16,), (16, 8)), Dense(1, "sigmoid")]
        settings = _settings(rng, 40) | {"sample_weight": weight, "early_stopping": None}
        yield Run(f"{k}", layers, *parts, "bce", balanced, good, settings | {"l2": 3e-3})


def quantiles() -> Iterator[Run]:
    """Pinball loss on noise that grows with the first column, where every quantile is known.

    Good: nine tenths of the known quantile's gain over the best constant.
    """
    for k, q in enumerate([0.1, 0.25, 0.5, 0.75, 0.9] * 3):
        rng = np.random.default_rng([5, k])
        X = rng.uniform(-1, 1, (1600, 1 + k % 3))
        wave, spread = np.sin(3 * X[:, 0]) + X[:, -1], 0.1 + 0.15 * (X[:, 0] + 1)
        parts = _parts(X, wave + spread * rng.normal(size=1600), rng)
        pinball = Quantile(q)

        def gain(X: Array, Y: Array, A: Array, q: float = q, loss: Any = pinball) -> float:
            constant = np.full((1, len(Y)), np.quantile(Y, q))
            return float(1 - loss.value(Y[None], A).mean() / loss.value(Y[None], constant).mean())

        Xt, yt = parts[2]
        truth = np.sin(3 * Xt[0]) + Xt[-1] + (0.1 + 0.15 * (Xt[0] + 1)) * norm.ppf(q)
        good = 0.9 * gain(Xt, yt, truth[None])
        layers = [*_hidden(rng, (16,), (32,), (16, 16)), Dense(1, "identity")]
        yield Run(f"q = {q}", layers, *parts, pinball, gain, good, _settings(rng, 80))


def _rules(X: Array, k: int, rng: np.random.Generator, bent: float = 1.0) -> Array:
    """k smooth functions of the columns, a column each, with variance 1."""
    a, b = rng.normal(size=(2, X.shape[1], k))
    a *= bent
    return _standard(np.sin(X @ a) + 0.5 * (X @ b) / np.sqrt(X.shape[1]))


def several_outputs() -> Iterator[Run]:
    """Two to six numbers at once, with noise of a tenth. Good: a mean R squared of 0.9."""
    for k in range(10):
        rng = np.random.default_rng([6, k])
        X = rng.normal(size=(1400, 3))
        Y = _rules(X, 2 + k % 5, rng)
        parts = _parts(X, _standard(Y + 0.1 * rng.normal(size=Y.shape)), rng)
        layers = [*_hidden(rng, (32,), (64,), (32, 32)), Dense(2 + k % 5, "identity")]
        loss = ("mse", "half_squared_error", "huber")[k % 3]
        yield Run(f"{2 + k % 5}", layers, *parts, loss, r_squared, 0.9, _settings(rng))


def several_labels() -> Iterator[Run]:
    """Two to six labels at once. Good: the noise-free rule's share of right labels, less 0.04."""
    for k in range(10):
        rng = np.random.default_rng([7, k])
        X = rng.normal(size=(1600, 4))
        pure = _rules(X, 2 + k % 5, rng, 0.5) - rng.choice([0.0, 0.8])
        Y = (pure + 0.15 * rng.normal(size=pure.shape) > 0).astype(float)
        parts = _parts(X, Y, np.random.default_rng(k))
        pure = _parts(X, (pure > 0).astype(float), np.random.default_rng(k))[2][1]
        good = labels(X, parts[2][1], pure) - 0.04
        layers = [*_hidden(rng, (32,), (64,), (32, 16)), Dense(2 + k % 5, "sigmoid")]
        settings = _settings(rng, 60) | {"early_stopping": 10}
        yield Run(f"{2 + k % 5}", layers, *parts, "bce", labels, good, settings)


def auto_encoders() -> Iterator[Run]:
    """Y = X through a bottleneck. Good: R squared of as many principal components, less 0.02."""
    for k in range(12):
        rng = np.random.default_rng([8, k])
        if k % 3 == 0:
            X, width = table("digits")[0] / 16, (8, 12, 16, 20)[k // 3]
            X = X[:, X.std(axis=0) > 0.02]
        else:
            width, n = 2 + k % 3, 8 + k
            X = np.tanh(rng.normal(size=(1200, width)) @ rng.normal(size=(width, n)))
            X = _standard(X + 0.05 * rng.normal(size=X.shape))
        (X, _), (Xv, _), (Xt, _) = _parts(X, X, rng)
        components = PCA(width).fit(X.T)
        back = components.inverse_transform(components.transform(Xt.T)).T

        def whole(X: Array, Y: Array, A: Array) -> float:
            return float(1 - np.sum((A - Y) ** 2) / np.sum((Y - Y.mean(axis=1)[:, None]) ** 2))

        good = whole(Xt, Xt, back) - 0.02
        sides = (32, "tanh" if k % 2 else "gelu")
        middle = Dense(width, ("identity", "tanh")[k % 2])
        layers = [Dense(*sides), middle, Dense(*sides), Dense(len(X), "identity")]
        settings = _settings(rng, 150, quick=True)
        yield Run(
            f"{len(X)}-{width}", layers, (X, X), (Xv, Xv), (Xt, Xt), "mse", whole, good, settings
        )


def from_zero_on() -> Iterator[Run]:
    """One or two columns that are never negative, not standardised, and ReLU.

    Good: R squared of 0.9, or 0.93 right; the noise allows 0.97 and more of both.
    """
    for k in range(15):
        rng = np.random.default_rng([9, k])
        x = rng.uniform(0, 5, 1200)
        X = (x[:, None], np.stack([x, x**2], axis=1), rng.uniform(0, 5, (1200, 2)))[k % 3]
        f = (np.sin(X[:, 0]) + 0.2 * X[:, -1], (X[:, 0] - 2.5) ** 2, np.abs(X[:, 0] - 2))[
            k // 3 % 3
        ]
        hidden = [Dense(n) for n in ((32,), (64,), (32, 32))[k % 3]]
        if k >= 12:
            y = (f + 0.02 * rng.normal(size=1200) > np.median(f)).astype(int)
            parts, output = _parts(X, y, rng), Dense(1, "sigmoid")
            loss, score, good = "bce", accuracy, 0.93
        else:
            y = _standard(f) + 0.1 * rng.normal(size=1200)
            parts, output = _parts(X, y, rng), Dense(1, "identity")
            loss, score, good = "mse", r_squared, 0.9
        layers = [*hidden, output]
        yield Run(f"{k}", layers, *parts, loss, score, good, _settings(rng, 150, quick=True))


def rarely_given() -> Iterator[Run]:
    """Counts and words that are mostly zero. Good: logistic regression's share of right classes on
    the same rows, less 0.03, and 0.8 at least.
    """
    for k in range(12):
        rng = np.random.default_rng([10, k])
        n, classes = (60, 150, 250)[k % 3], 2 + k % 2
        # Every class has words of its own; a row is a text of 20 to 60 words.
        usual = rng.dirichlet(np.full(n, 0.3))
        own = rng.dirichlet(np.full(n, 0.1), classes)
        y = rng.integers(0, classes, 1000)
        length = rng.integers(20, 60, 1000)
        X = np.array(
            [rng.multinomial(length[i], 0.7 * usual + 0.3 * own[y[i]]) for i in range(1000)]
        )
        X = (X, X > 0, np.log1p(X))[k // 4].astype(float)
        parts = _parts(X, y, rng)
        (Xa, ya), _, (Xt, yt) = parts
        model = LogisticRegression(max_iter=300).fit(Xa.T, ya)
        good = max(0.8, float(model.score(Xt.T, yt)) - 0.03)
        output, loss = (
            (Dense(1, "sigmoid"), "bce") if classes == 2 else (Dense(3, "softmax"), "cce")
        )
        layers = [*_hidden(rng, (16,), (32,)), output]
        settings = _settings(rng, 40) | {"early_stopping": 5}
        yield Run(f"{k}", layers, *parts, loss, accuracy, good, settings)


def small() -> Iterator[Run]:
    """XOR's four points, XOR in clouds, moons, with few units. Good: all four, 0.95 of the rest."""
    for k in range(15):
        rng = np.random.default_rng([11, k])
        g = ("tanh", "relu", "sigmoid")[k // 3 % 3]
        settings: dict[str, Any] = {"learning_rate": 0.03, "epochs": 150, "batch_size": 32}
        if k % 3 == 0:
            four = np.array([[0, 0, 1, 1], [0, 1, 0, 1.0]]), np.array([0, 1, 1, 0])
            layers = [Dense((4, 8)[k % 2], g), Dense(1, "sigmoid")]
            settings |= {"epochs": 1500, "batch_size": 4}
            yield Run(f"XOR {g}", layers, four, None, four, "bce", accuracy, 1.0, settings)
            continue
        if k % 3 == 1:
            corners = rng.integers(0, 2, (600, 2))
            X, y = corners + 0.12 * rng.normal(size=(600, 2)), corners[:, 0] ^ corners[:, 1]
        else:
            X, y = sk.make_moons(600, noise=0.12, random_state=k)
        layers = [Dense((6, 8, 12)[k % 3], g), Dense(1, "sigmoid")]
        parts = _parts(X, y, rng)
        yield Run(f"{k} {g}", layers, *parts, "bce", accuracy, 0.95, settings)


@dataclass(frozen=True)
class LogCosh(Loss):
    """L = mean over outputs of ln cosh(a - y)."""

    name = "log_cosh"
    formula = "mean_k ln cosh(a_k - y_k)"

    def value(self, Y: Array, A: Array) -> Array:
        r = np.abs(A - Y)
        return np.mean(r + np.log1p(np.exp(-2 * r)) - np.log(2), axis=0)

    def derivative(self, Y: Array, A: Array) -> Array:
        return np.tanh(A - Y) / A.shape[0]


@dataclass(frozen=True)
class Expectile(Loss):
    """L = mean over outputs of (a - y)^2, twice as much where a < y."""

    name = "expectile"
    formula = "mean_k (2 if a_k < y_k else 1) (a_k - y_k)^2"

    def value(self, Y: Array, A: Array) -> Array:
        return np.mean(np.where(A < Y, 2, 1) * (A - Y) ** 2, axis=0)

    def derivative(self, Y: Array, A: Array) -> Array:
        return np.where(A < Y, 4, 2) * (A - Y) / A.shape[0]


@dataclass(frozen=True)
class Brier(Loss):
    """L = sum over outputs of (a - y)^2 for yes or no, at a sigmoid."""

    name = "brier"
    formula = "sum_k (a_k - y_k)^2"
    fits = ("sigmoid",)
    targets = "unit"

    def value(self, Y: Array, A: Array) -> Array:
        return np.sum((A - Y) ** 2, axis=0)

    def derivative(self, Y: Array, A: Array) -> Array:
        return 2 * (A - Y)


def own_losses() -> Iterator[Run]:
    """A right loss of one's own. Good: R squared of 0.9 with noise of a tenth, or 0.93 right."""
    for k in range(12):
        rng = np.random.default_rng([12, k])
        if k % 3 == 2:
            parts = _parts(*sk.make_moons(1000, noise=0.15, random_state=k), rng)
            output, score, good = Dense(1, "sigmoid"), accuracy, 0.93
        else:
            X = rng.normal(size=(1200, 3))
            y = _rules(X, 1, rng)[:, 0] + 0.1 * rng.normal(size=1200)
            parts, output, score, good = _parts(X, y, rng), Dense(1, "identity"), r_squared, 0.9
        layers = [*_hidden(rng, (16,), (32,), (16, 16)), output]
        loss = (LogCosh(), Expectile(), Brier())[k % 3]
        yield Run(loss.name, layers, *parts, loss, score, good, _settings(rng))


GROUPS: dict[str, Callable[[], Iterator[Run]]] = {
    "pixels": pixels,
    "digits": digits,
    "class weights": class_weights,
    "sample weights": sample_weights,
    "quantile loss": quantiles,
    "several outputs": several_outputs,
    "several labels": several_labels,
    "auto-encoders": auto_encoders,
    "inputs from 0 on": from_zero_on,
    "rarely given columns": rarely_given,
    "small networks": small,
    "own losses": own_losses,
}
"""Every group by its name."""
