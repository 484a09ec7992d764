"""Optimizers: how dW becomes a new W.

One table, :data:`OPTIMIZERS`. Each entry updates one parameter array in place, from its gradient,
element by element; ``alpha`` is the learning rate, ``t`` the number of this step (1, 2, ...).
``slots`` names the arrays an optimizer remembers for each parameter; they start at 0.

>>> W, v = np.array([1.0]), np.array([0.0])
>>> Momentum(beta=0.9).update(W, np.array([1.0]), {"v": v}, alpha=0.1, t=1)
>>> v, W
(array([0.1]), array([0.99]))
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pellucid._catalogue import Entry, lookup

Floats = NDArray[Any]


@dataclass(frozen=True)
class Optimizer(Entry):
    """One entry of :data:`OPTIMIZERS`; its fields are the coefficients.

    ``default_learning_rate`` is taken where the user names none.
    """

    kind: ClassVar[str] = "optimizer"
    slots: ClassVar[tuple[str, ...]] = ()
    default_learning_rate: ClassVar[float] = 0.1

    @property
    def decay(self) -> float:
        """The share of W, times alpha, that a step takes off beside the gradient (AdamW)."""
        return 0.0

    def update(
        self, W: Floats, dW: Floats, state: Mapping[str, Floats], *, alpha: float, t: int
    ) -> None:
        """Change W and its state in place."""
        raise NotImplementedError


@dataclass(frozen=True)
class GradientDescent(Optimizer):
    """W := W - alpha dW."""

    name = "gradient_descent"
    aliases = ("sgd",)
    formula = "W := W - alpha dW"

    def update(
        self, W: Floats, dW: Floats, state: Mapping[str, Floats], *, alpha: float, t: int
    ) -> None:
        W -= alpha * dW


@dataclass(frozen=True)
class Momentum(Optimizer):
    """v := beta v + (1 - beta) dW;  W := W - alpha v. Lecture 001; no bias correction."""

    beta: float = 0.9

    name = "momentum"
    formula = "v := beta v + (1 - beta) dW; W := W - alpha v"
    slots = ("v",)

    def __post_init__(self) -> None:
        _require_beta(self, "beta")

    def update(
        self, W: Floats, dW: Floats, state: Mapping[str, Floats], *, alpha: float, t: int
    ) -> None:
        v = state["v"]
        v *= self.beta
        v += (1 - self.beta) * dW
        W -= alpha * v


@dataclass(frozen=True)
class ClassicalMomentum(Optimizer):
    """v := beta v + dW;  W := W - alpha v. Polyak 1964.

    With ``alpha_inside`` the velocity carries the learning rate of its time, as in scikit-learn:
    v := beta v + alpha dW;  W := W - v. The two differ only while alpha changes.
    """

    beta: float = 0.9
    alpha_inside: bool = False

    name = "classical_momentum"
    formula = "v := beta v + dW; W := W - alpha v"
    slots = ("v",)
    default_learning_rate = 0.01

    def __post_init__(self) -> None:
        self._require(0 <= self.beta <= 1, "beta", "between 0 and 1")

    def update(
        self, W: Floats, dW: Floats, state: Mapping[str, Floats], *, alpha: float, t: int
    ) -> None:
        inside, outside = (alpha, 1.0) if self.alpha_inside else (1.0, alpha)
        v = state["v"]
        v *= self.beta
        v += inside * dW
        W -= outside * v


@dataclass(frozen=True)
class Nesterov(Optimizer):
    """v := beta v + dW;  W := W - alpha (beta v + dW). Nesterov 1983; Sutskever et al. 2013.

    ``alpha_inside`` as in :class:`ClassicalMomentum`.
    """

    beta: float = 0.9
    alpha_inside: bool = False

    name = "nesterov"
    formula = "v := beta v + dW; W := W - alpha (beta v + dW)"
    slots = ("v",)
    default_learning_rate = 0.01

    def __post_init__(self) -> None:
        self._require(0 <= self.beta <= 1, "beta", "between 0 and 1")

    def update(
        self, W: Floats, dW: Floats, state: Mapping[str, Floats], *, alpha: float, t: int
    ) -> None:
        inside, outside = (alpha, 1.0) if self.alpha_inside else (1.0, alpha)
        v = state["v"]
        v *= self.beta
        v += inside * dW
        W -= outside * (self.beta * v + inside * dW)


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """s := beta s + (1 - beta) dW^2;  W := W - alpha dW / (sqrt(s) + epsilon). Hinton 2012."""

    beta: float = 0.9
    epsilon: float = 1e-8

    name = "rmsprop"
    formula = "s := beta s + (1 - beta) dW^2; W := W - alpha dW / (sqrt(s) + epsilon)"
    slots = ("s",)
    default_learning_rate = 0.001

    def __post_init__(self) -> None:
        _require_beta(self, "beta")
        _require_epsilon(self)

    def update(
        self, W: Floats, dW: Floats, state: Mapping[str, Floats], *, alpha: float, t: int
    ) -> None:
        s = state["s"]
        s *= self.beta
        s += (1 - self.beta) * (dW * dW)
        W -= alpha * dW / (np.sqrt(s) + self.epsilon)


@dataclass(frozen=True)
class Adam(Optimizer):
    """v := beta1 v + (1 - beta1) dW;  s := beta2 s + (1 - beta2) dW^2.

    W := W - alpha_t v / (sqrt(s) + epsilon), alpha_t = alpha sqrt(1 - beta2^t) / (1 - beta1^t):
    the efficient form at the end of section 2 of Kingma, Ba 2015, arXiv:1412.6980, as in
    scikit-learn and TensorFlow.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    name = "adam"
    formula = (
        "v := beta1 v + (1 - beta1) dW; s := beta2 s + (1 - beta2) dW^2; "
        "W := W - alpha_t v / (sqrt(s) + epsilon), "
        "alpha_t = alpha sqrt(1 - beta2^t) / (1 - beta1^t)"
    )
    slots = ("v", "s")
    default_learning_rate = 0.001

    def __post_init__(self) -> None:
        _require_beta(self, "beta1")
        _require_beta(self, "beta2")
        _require_epsilon(self)

    def update(
        self, W: Floats, dW: Floats, state: Mapping[str, Floats], *, alpha: float, t: int
    ) -> None:
        v, s = state["v"], state["s"]
        v *= self.beta1
        v += (1 - self.beta1) * dW
        s *= self.beta2
        s += (1 - self.beta2) * (dW * dW)
        alpha_t = alpha * math.sqrt(1 - self.beta2**t) / (1 - self.beta1**t)
        W -= alpha_t * v / (np.sqrt(s) + self.epsilon)


@dataclass(frozen=True)
class AdamW(Adam):
    """W := W - alpha weight_decay W, then Adam. Loshchilov, Hutter 2019, arXiv:1711.05101.

    The decay is no part of J. It acts on W, never on b; a layer's ``weight_decay_factor``
    multiplies it.
    """

    weight_decay: float = 0.01

    name = "adamw"
    formula = "W := W - alpha weight_decay W, then Adam"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(0 <= self.weight_decay < math.inf, "weight_decay", "at least 0")

    @property
    def decay(self) -> float:
        return self.weight_decay


@dataclass(frozen=True)
class LBFGS(Optimizer):
    """W := W - step * (approximate inverse Hessian) dW on the whole batch; Liu, Nocedal 1989.

    Run by scipy's L-BFGS-B with a line search; an epoch is one iteration. ``tolerance`` bounds
    the largest entry of the gradient, ``max_evaluations`` the number of passes.
    """

    tolerance: float = 1e-5
    max_evaluations: int = 15000

    name = "lbfgs"
    default_learning_rate = 1.0
    formula = "quasi-Newton steps with a line search, on the whole batch"
    advice = "For small data: few iterations, no learning rate."

    def __post_init__(self) -> None:
        self._require(self.tolerance >= 0, "tolerance", "at least 0")
        self._require(self.max_evaluations >= 1, "max_evaluations", "at least 1")


OPTIMIZERS: dict[str, type[Optimizer]] = {
    entry.name: entry
    for entry in (
        GradientDescent,
        Momentum,
        ClassicalMomentum,
        Nesterov,
        RMSProp,
        Adam,
        AdamW,
        LBFGS,
    )
}
"""Every optimizer by its name. A new one is a class above and a line here."""


def optimizer(spec: str | Optimizer) -> Optimizer:
    """Return the optimizer that a name or an Optimizer stands for.

    >>> optimizer("adam")
    Adam(beta1=0.9, beta2=0.999, epsilon=1e-08)
    """
    return lookup(OPTIMIZERS, spec, Optimizer)


def _require_beta(entry: Optimizer, field: str) -> None:
    entry._require(0 <= getattr(entry, field) < 1, field, "at least 0 and below 1")


def _require_epsilon(entry: Any) -> None:
    entry._require(0 < entry.epsilon < math.inf, "epsilon", "a positive number, such as 1e-8")
