"""The network of the tables and how it is trained: the TD-S recipe.

Holzmueller, Grinsztajn, Steinwart 2024, arXiv:2407.04491, with constants of our own where
``benchmarks/accuracy.md`` says so. A layer of the paper is Z = W A / sqrt(n[l-1]) + b with W and b
drawn from N(0, 1). Here 1 / sqrt(n[l-1]) is in W itself, so that Z = W A + b as everywhere; Adam,
whose steps do not know the size of a gradient, then takes the same steps if the learning rate of W
has that factor too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from pellucid import philox
from pellucid.activations import Activation
from pellucid.layers import Dense, Layer, Scale
from pellucid.network import Network
from pellucid.optimizers import Adam, Optimizer, RMSProp
from pellucid.optimizers import optimizer as find_optimizer
from pellucid.schedules import CosineLog
from pellucid.tables.settings import TrainSettings
from pellucid.tasks import TASKS
from pellucid.training import EarlyStopping

LEARNING_RATE = {"binary": 0.04, "multiclass": 0.04, "regression": 0.07}
ACTIVATION = {"binary": "selu", "multiclass": "selu", "regression": "mish"}
SCALE_FACTOR, BIAS_FACTOR = 6.0, 0.1
"""What multiplies the learning rate of the input's scale and of every b."""
LABEL_SMOOTHING, ABOUT_EQUAL = 0.05, 0.5
"""Smoothing pulls probabilities towards equal shares; so it is used only where the rarest class
has at least that part of an equal share."""
SCHEDULE = CosineLog(cycles=3)
BATCH_SIZES = ((1_024, 64), (8_192, 128), (30_000, 256), (100_000, 512))
"""Up to so many rows, mini-batches of so many; 1,024 beyond."""


def build_network(
    n_inputs: int, task: str, n_classes: int, settings: TrainSettings, seed: int
) -> Network:
    """Return the untrained network: Scale, the hidden layers, an output that starts at 0.

    W[l] ~ N(0, 1 / n[l-1]) and b[l] ~ N(0, 1) in the hidden layers; W[L] = b[L] = 0.

    Examples
    --------
    >>> network = build_network(3, "binary", 2, TrainSettings(hidden_layer_sizes=8), seed=0)
    >>> network.layers[0], network.n
    (Scale(learning_rate_factor=6.0), [3, 8, 1])
    """
    normalised = _normalises(find_optimizer(settings.optimizer))

    def dense(fan_in: int, n: int, g: str | Activation, start: str, dropout: float) -> Dense:
        factors = {"W": 1 / math.sqrt(fan_in), "b": BIAS_FACTOR} if normalised else 1.0
        return Dense(n, g, dropout=dropout, initializer=start, learning_rate_factor=factors)

    g = ACTIVATION[task] if settings.activation is None else settings.activation
    n = [n_inputs, *settings.hidden_layer_sizes]
    layers: list[Layer] = [
        dense(fan_in, fan_out, g, "lecun_normal", settings.dropout)
        for fan_in, fan_out in pairwise(n)
    ]
    if layers:
        layers.insert(0, Scale(learning_rate_factor=SCALE_FACTOR if normalised else 1.0))
    asked = TASKS[task]
    layers.append(dense(n[-1], asked.n_outputs(n_classes), asked.output, "zeros", 0.0))
    network = Network(layers, n_inputs, seed=seed)
    for l in range(1, network.L):  # step 0 of the layer's stream drew W
        shape = network.b[l].shape
        network.b[l] = philox.normal(network.seed, shape, stream=philox.WEIGHTS, layer=l, step=1)
    return network


def train_options(
    task: str, m: int, settings: TrainSettings, shares: Sequence[float] = ()
) -> dict[str, Any]:
    """Return the arguments of :func:`pellucid.train` for a network that learns from m rows.

    ``shares`` are those of the classes; () stands for equal ones.

    Examples
    --------
    >>> options = train_options("regression", 5_000, TrainSettings())
    >>> options["loss"], options["learning_rate"], options["batch_size"]
    ('mean_squared_error', 0.07, 128)
    """
    optimizer = find_optimizer(settings.optimizer)
    options: dict[str, Any] = {
        "loss": TASKS[task].loss,
        "optimizer": Adam(beta2=0.95) if settings.optimizer == "adam" else optimizer,
        "epochs": settings.epochs,
        "l2": settings.l2,
        "label_smoothing": label_smoothing(shares, settings) if TASKS[task].has_classes else 0.0,
        "early_stopping": EarlyStopping(patience=settings.patience or settings.epochs),
        "statistics": settings.statistics,
    }
    if optimizer.name != "lbfgs":  # it has no use for these
        rate = LEARNING_RATE[task] if _normalises(optimizer) else None
        options["learning_rate"] = (
            rate if settings.learning_rate is None else settings.learning_rate
        )
        options["batch_size"] = settings.batch_size or batch_size(m)
        options["schedule"] = SCHEDULE
    return options


def label_smoothing(shares: Sequence[float], settings: TrainSettings) -> float:
    """Return the label smoothing for classes with these shares.

    >>> [label_smoothing(shares, TrainSettings()) for shares in ([0.25, 0.75], [0.2, 0.8])]
    [0.05, 0.0]
    """
    if settings.label_smoothing is not None:
        return settings.label_smoothing
    rarest = min(shares, default=1.0) * max(len(shares), 1)
    return LABEL_SMOOTHING if rarest >= ABOUT_EQUAL else 0.0


def batch_size(m: int) -> int:
    """Return how many of m rows a mini-batch has."""
    return next((size for rows, size in BATCH_SIZES if m <= rows), 1_024)


def _normalises(optimizer: Optimizer) -> bool:
    """Whether a step is as long as the learning rate says, however large the gradient is."""
    return isinstance(optimizer, (Adam, RMSProp))
