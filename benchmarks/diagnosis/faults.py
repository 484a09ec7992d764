"""What is planted: one table, with the first findings that count as right for each kind.

They were written down before anything was measured; where a fault has one physical cause with two
names (a learning rate too high makes the loss oscillate), both stand here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from settings import CLASSES, HARD, REGRESSION, Spec

Plant = Callable[[Spec, np.random.Generator], Spec | None]


@dataclass(frozen=True)
class Fault:
    """A kind, how a healthy Spec is spoilt (None where it cannot be), and what it may be called.

    ``always``: static and data faults count however well the network does; others only where the
    held-out metric is more than 5 % worse than the healthy twin's.
    """

    kind: str
    plant: Plant
    accept: tuple[str, ...]
    always: bool = False


def _pick(rng: np.random.Generator, *values: object) -> object:
    return values[rng.integers(len(values))]


def zero_initialisation(spec: Spec, rng: np.random.Generator) -> Spec:
    return replace(spec, initializer="zeros")


def constant_initialisation(spec: Spec, rng: np.random.Generator) -> Spec:
    return replace(spec, initializer=f"constant {_pick(rng, 0.02, 0.1, 0.3, 0.5)}")


def symmetry(spec: Spec, rng: np.random.Generator) -> Spec:
    """All units of a layer begin with the same random weights."""
    return replace(spec, initializer="same rows")


def weights_too_large(spec: Spec, rng: np.random.Generator) -> Spec:
    return replace(spec, initializer=f"he_normal * {_pick(rng, 8, 15, 30, 60)}")


def weights_too_small(spec: Spec, rng: np.random.Generator) -> Spec:
    depth = int(rng.integers(3, 6))
    return replace(
        spec, hidden=(32,) * depth, initializer=f"normal {_pick(rng, 0.003, 0.01, 0.02)}"
    )


def vanishing_gradient(spec: Spec, rng: np.random.Generator) -> Spec:
    """A deep chain of sigmoids: each layer multiplies by at most 1/4."""
    depth = int(rng.integers(5, 10))
    return replace(spec, hidden=(24,) * depth, activation="sigmoid", initializer="glorot")


def exploding_gradient(spec: Spec, rng: np.random.Generator) -> Spec:
    """A deep chain whose every layer enlarges."""
    depth = int(rng.integers(5, 9))
    g = str(_pick(rng, "relu", "leaky_relu", "elu", "gelu"))
    return replace(
        spec, hidden=(32,) * depth, activation=g, initializer=f"he_normal * {_pick(rng, 2.5, 3.5)}"
    )


def dead_units(spec: Spec, rng: np.random.Generator) -> Spec:
    """ReLU units that begin below zero for every example."""
    bias = -float(_pick(rng, 6.0, 10.0, 20.0))
    return replace(spec, activation="relu", bias=bias, initializer="")


def saturated_units(spec: Spec, rng: np.random.Generator) -> Spec:
    """Biases that put every tanh or sigmoid on its flat part."""
    g = str(_pick(rng, "tanh", "sigmoid"))
    bias = float(_pick(rng, -1, 1)) * float(_pick(rng, 10, 15, 25))
    return replace(spec, activation=g, bias=bias, initializer="")


def no_non_linearity(spec: Spec, rng: np.random.Generator) -> Spec:
    return replace(spec, activation="identity")


def learning_rate_too_high(spec: Spec, rng: np.random.Generator) -> Spec:
    return replace(spec, learning_rate=spec.learning_rate * float(_pick(rng, 100, 300, 1000)))


def learning_rate_too_low(spec: Spec, rng: np.random.Generator) -> Spec:
    return replace(spec, learning_rate=spec.learning_rate / float(_pick(rng, 300, 1000, 3000)))


def oscillation(spec: Spec, rng: np.random.Generator) -> Spec:
    """Steps that overshoot without blowing up: a high rate, or a momentum that never forgets."""
    if rng.random() < 0.4:
        return replace(spec, optimizer="classical_momentum", beta=0.999, learning_rate=0.02)
    return replace(spec, learning_rate=spec.learning_rate * float(_pick(rng, 20, 30, 50)))


def divergence(spec: Spec, rng: np.random.Generator) -> Spec | None:
    """Plain descent on a squared loss with a rate far beyond what its curvature allows."""
    if spec.table not in REGRESSION:
        return None
    g = str(_pick(rng, "relu", "leaky_relu", "elu", "gelu"))
    rate = float(_pick(rng, 3, 10, 30))
    optimizer = str(_pick(rng, "gradient_descent", "classical_momentum"))
    return replace(spec, activation=g, optimizer=optimizer, learning_rate=rate)


def unscaled_inputs(spec: Spec, rng: np.random.Generator) -> Spec:
    """The columns as they come, or in units of their own."""
    fault = "" if spec.table in ("wine", "breast cancer", "friedman 2") else "units"
    return replace(spec, standardise=False, data_fault=fault)


def constant_column(spec: Spec, rng: np.random.Generator) -> Spec:
    return replace(spec, data_fault="constant")


def duplicated_column(spec: Spec, rng: np.random.Generator) -> Spec:
    return replace(spec, data_fault="duplicate")


def id_column(spec: Spec, rng: np.random.Generator) -> Spec:
    return replace(spec, data_fault="id")


def leak(spec: Spec, rng: np.random.Generator) -> Spec:
    return replace(spec, data_fault="leak")


def unscaled_target(spec: Spec, rng: np.random.Generator) -> Spec | None:
    if spec.table not in ("diabetes", "linear", "friedman 2"):
        fault = "thousands" if spec.table in REGRESSION else None
        return None if fault is None else replace(spec, standardise_target=False, data_fault=fault)
    return replace(spec, standardise_target=False)


def wrong_output(spec: Spec, rng: np.random.Generator) -> Spec:
    """An output that cannot reach the targets, or is no probability."""
    if spec.table in REGRESSION:
        g, loss = _pick(rng, ("relu", "mse"), ("sigmoid", "mse"), ("tanh", "mse"), ("exp", "mse"))
    elif spec.table in CLASSES:
        g, loss = _pick(rng, ("sigmoid", "cce"), ("relu", "mse"), ("identity", "mse"))
    else:
        g, loss = _pick(rng, ("identity", "mse"), ("relu", "bce"), ("tanh", "mse"))
    return replace(spec, output=str(g), loss=str(loss))


def wrong_loss(spec: Spec, rng: np.random.Generator) -> Spec | None:
    """A loss that is not meant for classes."""
    if spec.table in REGRESSION:
        return None
    g = "softmax" if spec.table in CLASSES else "sigmoid"
    return replace(spec, output=g, loss=str(_pick(rng, "mse", "half_squared_error", "mae")))


def labels_outside_range(spec: Spec, rng: np.random.Generator) -> Spec | None:
    """Labels -1 and 1, 1 and 2, 0 and 100, or 1 to K; trained where the loss lets them pass."""
    if spec.table in REGRESSION:
        return None
    if spec.table in CLASSES:
        return replace(spec, data_fault="labels 1 to K")
    fault = str(_pick(rng, "labels -1 1", "labels 1 2", "labels 0 100"))
    return replace(spec, data_fault=fault, output="sigmoid", loss=str(_pick(rng, "bce", "mse")))


def class_imbalance(spec: Spec, rng: np.random.Generator) -> Spec | None:
    """Another table, of two classes that overlap, one of them rare: always the other is cheap."""
    if spec.table in REGRESSION or spec.table in CLASSES:
        return None
    share, seed = _pick(rng, 0.03, 0.05, 0.08), rng.integers(1000)
    return replace(spec, data_fault=f"clouds {share} {seed}")


def overfitting(spec: Spec, rng: np.random.Generator) -> Spec:
    """Few examples, some of them wrong, a large network and a long training."""
    return replace(
        spec, rows=int(_pick(rng, 50, 80, 120)), hidden=(128, 128), epochs=400, early_stopping=0,
        data_fault="noisy labels", optimizer="adam", learning_rate=0.003, initializer="",
        activation=str(_pick(rng, "relu", "gelu", "tanh")),
    )  # fmt: skip


def underfitting(spec: Spec, rng: np.random.Generator) -> Spec | None:
    """One or two units where more are needed, or none at all."""
    if spec.table not in HARD:
        return None
    return replace(spec, hidden=((1,), (2,), ())[rng.integers(3)], early_stopping=0)


def stopped_too_early(spec: Spec, rng: np.random.Generator) -> Spec:
    return replace(spec, epochs=int(_pick(rng, 1, 2, 3)), early_stopping=0)


def batch_too_large(spec: Spec, rng: np.random.Generator) -> Spec:
    """All examples in one step, and no more epochs than before."""
    return replace(spec, batch_size=10**6, epochs=min(spec.epochs, 60), early_stopping=0)


def batch_too_small(spec: Spec, rng: np.random.Generator) -> Spec:
    """One or two examples a step at the learning rate of 32 to 128: noise."""
    rate = spec.learning_rate * float(_pick(rng, 3, 5))
    return replace(spec, batch_size=int(_pick(rng, 1, 2)), epochs=20, learning_rate=rate)


def shuffled_labels(spec: Spec, rng: np.random.Generator) -> Spec:
    return replace(spec, data_fault="shuffled")


def drift(spec: Spec, rng: np.random.Generator) -> Spec:
    return replace(spec, data_fault=str(_pick(rng, "shifted", "sorted")))


def wrong_backward(spec: Spec, rng: np.random.Generator) -> Spec:
    """A function of one's own whose derivative is wrong."""
    g = str(_pick(rng, "wrong tanh", "wrong square", "wrong leaky"))
    return replace(spec, activation=g, initializer="glorot", epochs=min(spec.epochs, 30))


_START = ("zero_initialisation", "constant_initialisation", "symmetry")
_STEPS = ("learning_rate_too_high", "oscillation", "divergence")
FAULTS: dict[str, Fault] = {
    fault.kind: fault
    for fault in (
        Fault("zero_initialisation", zero_initialisation, ("zero_initialisation", "symmetry")),
        Fault("constant_initialisation", constant_initialisation, _START[1:]),
        Fault("symmetry", symmetry, _START[1:]),
        Fault(
            "weights_too_large",
            weights_too_large,
            ("weights_too_large", "exploding_gradient", "saturated_units"),
        ),
        Fault("weights_too_small", weights_too_small, ("weights_too_small", "vanishing_gradient")),
        Fault(
            "vanishing_gradient", vanishing_gradient, ("vanishing_gradient", "weights_too_small")
        ),
        Fault(
            "exploding_gradient", exploding_gradient, ("exploding_gradient", "weights_too_large")
        ),
        Fault("dead_units", dead_units, ("dead_units",)),
        Fault("saturated_units", saturated_units, ("saturated_units",)),
        Fault("no_non_linearity", no_non_linearity, ("no_non_linearity",), always=True),
        Fault("learning_rate_too_high", learning_rate_too_high, _STEPS),
        Fault("learning_rate_too_low", learning_rate_too_low, ("learning_rate_too_low",)),
        Fault("oscillation", oscillation, _STEPS),
        Fault("divergence", divergence, _STEPS),
        Fault("unscaled_inputs", unscaled_inputs, ("unscaled_inputs",), always=True),
        Fault("constant_column", constant_column, ("constant_column",), always=True),
        Fault("duplicated_column", duplicated_column, ("duplicated_column",), always=True),
        Fault("id_column", id_column, ("id_column",), always=True),
        Fault("leak", leak, ("leak",), always=True),
        Fault("unscaled_target", unscaled_target, ("unscaled_target",), always=True),
        Fault("wrong_output", wrong_output, ("wrong_output", "wrong_loss"), always=True),
        Fault("wrong_loss", wrong_loss, ("wrong_loss", "wrong_output"), always=True),
        Fault(
            "labels_outside_range",
            labels_outside_range,
            ("labels_outside_range", "wrong_output"),
            always=True,
        ),
        Fault("class_imbalance", class_imbalance, ("class_imbalance",)),
        Fault("overfitting", overfitting, ("overfitting",)),
        Fault("underfitting", underfitting, ("underfitting",)),
        Fault(
            "stopped_too_early", stopped_too_early, ("stopped_too_early", "learning_rate_too_low")
        ),
        Fault(
            "batch_too_large",
            batch_too_large,
            ("batch_too_large", "stopped_too_early", "learning_rate_too_low"),
        ),
        Fault("batch_too_small", batch_too_small, ("batch_too_small", *_STEPS)),
        Fault("shuffled_labels", shuffled_labels, ("nothing_to_learn",), always=True),
        Fault("drift", drift, ("drift",), always=True),
        Fault("wrong_backward", wrong_backward, ("wrong_backward",), always=True),
    )
}
"""Every kind of fault by its name."""

HARMLESS = ("constant_column", "duplicated_column", "id_column")
"""What is only an observation: it may be named as info. All else must be a warning or an error."""
FINDING = {"shuffled_labels": "nothing_to_learn"}
"""Where the finding has another name than the fault."""


def _overlapping(share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two clouds with their middles 1.5 to 2 standard deviations apart, in 4 to 8 dimensions."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 9))
    y = (rng.random(3000) < share).astype(int)
    direction = rng.normal(size=n)
    direction *= rng.uniform(1.5, 2) / np.linalg.norm(direction)
    return rng.normal(size=(3000, n)) + np.outer(y, direction), y


def add_data_fault(
    name: str, X: np.ndarray, y: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Spoil a table before it is split."""
    m = len(y)
    if name == "constant":
        return np.column_stack([X, np.full(m, 3.7)]), y
    if name == "duplicate":
        return np.column_stack([X, 2.54 * X[:, rng.integers(X.shape[1])]]), y
    if name == "id":
        return np.column_stack([X, 1000 + rng.permutation(m)]), y
    if name == "leak":
        z = (y - np.mean(y)) / np.std(y) + (0.02, 0.05, 0.1)[rng.integers(3)] * rng.normal(size=m)
        return np.column_stack([X, (z, z**3, np.exp(z))[rng.integers(3)]]), y
    if name == "units":
        factors = 10.0 ** rng.permutation(np.linspace(-2, 3, X.shape[1]) if X.shape[1] > 1 else [3])
        return X * factors, y
    if name == "thousands":
        return X, 1000 * y
    if name == "shuffled":
        return X, rng.permutation(y)
    if name == "noisy labels":
        if len(np.unique(y)) > 20:
            return X, y + 0.6 * np.std(y) * rng.normal(size=m)
        wrong = rng.random(m) < 0.2
        return X, np.where(wrong, rng.permutation(y), y)
    if name.startswith("clouds"):
        share, seed = name.split()[1:]
        return _overlapping(float(share), int(seed))
    if name == "sorted":
        order = np.argsort(X[:, rng.integers(X.shape[1])], kind="stable")
        return X[order], y[order]
    return X, y
