"""Initializers: the weights that training starts from. Biases start at 0.

One table, :data:`INITIALIZERS`. Small random weights break the symmetry between the units of a
layer; zeros never do (lectures 002, 3.6 and 003). fan_in is n[l-1], fan_out is n[l].

>>> initializer("glorot").draw((2, 3), seed=0, layer=1).shape
(2, 3)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pellucid import philox
from pellucid._catalogue import Entry, lookup


@dataclass(frozen=True)
class Initializer(Entry):
    """How W[l], of shape (n[l], n[l-1]), is drawn; one entry of :data:`INITIALIZERS`.

    ``gain`` is the variance of W times its fan, for those that keep the size of a signal.
    """

    kind: ClassVar[str] = "initializer"
    gain: ClassVar[float] = 1.0

    def draw(self, shape: tuple[int, int], *, seed: int, layer: int) -> NDArray[np.float64]:
        """Return W of this shape, in float64; the same for the same seed and layer."""
        raise NotImplementedError


@dataclass(frozen=True)
class Zeros(Initializer):
    """W = 0: every unit of a layer stays equal to the others for ever."""

    name = "zeros"
    formula = "0"
    advice = "Only to see the symmetry problem."

    def draw(self, shape: tuple[int, int], *, seed: int, layer: int) -> NDArray[np.float64]:
        return np.zeros(shape)


@dataclass(frozen=True)
class Constant(Initializer):
    """W = value, the same for every connection."""

    value: float = 0.5

    name = "constant"
    formula = "value"
    advice = "Only to see the symmetry problem."

    def draw(self, shape: tuple[int, int], *, seed: int, layer: int) -> NDArray[np.float64]:
        return np.full(shape, float(self.value))


@dataclass(frozen=True)
class Normal(Initializer):
    """W ~ N(0, std^2); lecture 001 takes the standard deviation 0.1, lecture 003 0.01."""

    std: float = 0.1

    name = "normal"
    formula = "N(0, std^2)"
    advice = "The lectures' start. Too large saturates sigmoid and tanh."

    def __post_init__(self) -> None:
        self._require(0 < self.std < math.inf, "std", "a positive number, such as 0.1")

    def draw(self, shape: tuple[int, int], *, seed: int, layer: int) -> NDArray[np.float64]:
        return self.std * philox.normal(seed, shape, stream=philox.WEIGHTS, layer=layer)


@dataclass(frozen=True)
class Uniform(Initializer):
    """W ~ U(-limit, limit)."""

    limit: float = 0.1

    name = "uniform"
    formula = "U(-limit, limit)"
    advice = "When you know the limit you want."

    def __post_init__(self) -> None:
        self._require(0 < self.limit < math.inf, "limit", "a positive number, such as 0.1")

    def draw(self, shape: tuple[int, int], *, seed: int, layer: int) -> NDArray[np.float64]:
        u = philox.uniform(seed, shape, stream=philox.WEIGHTS, layer=layer)
        return self.limit * (2 * u - 1)


@dataclass(frozen=True)
class _Scaled(Initializer):
    """W with variance = gain / fan, drawn from a normal or a uniform distribution."""

    fan: ClassVar[str] = "in"
    distribution: ClassVar[str] = "normal"

    def draw(self, shape: tuple[int, int], *, seed: int, layer: int) -> NDArray[np.float64]:
        fan_out, fan_in = shape
        std = math.sqrt(self.gain / (fan_in if self.fan == "in" else (fan_in + fan_out) / 2))
        if self.distribution == "normal":
            return Normal(std).draw(shape, seed=seed, layer=layer)
        return Uniform(math.sqrt(3) * std).draw(shape, seed=seed, layer=layer)


@dataclass(frozen=True)
class GlorotUniform(_Scaled):
    """W ~ U(-a, a), a = sqrt(6 / (fan_in + fan_out)). Glorot, Bengio 2010."""

    name = "glorot_uniform"
    aliases = ("glorot", "xavier")
    formula = "U(-a, a), a = sqrt(6 / (fan_in + fan_out))"
    advice = "For tanh and sigmoid."
    fan = "mean"
    distribution = "uniform"


@dataclass(frozen=True)
class GlorotNormal(_Scaled):
    """W ~ N(0, 2 / (fan_in + fan_out)). Glorot, Bengio 2010."""

    name = "glorot_normal"
    formula = "N(0, 2 / (fan_in + fan_out))"
    advice = "For tanh and sigmoid."
    fan = "mean"


@dataclass(frozen=True)
class HeUniform(_Scaled):
    """W ~ U(-a, a), a = sqrt(6 / fan_in). He, Zhang, Ren, Sun 2015, arXiv:1502.01852."""

    name = "he_uniform"
    formula = "U(-a, a), a = sqrt(6 / fan_in)"
    advice = "For ReLU and its variants."
    gain = 2.0
    distribution = "uniform"


@dataclass(frozen=True)
class HeNormal(_Scaled):
    """W ~ N(0, 2 / fan_in). He, Zhang, Ren, Sun 2015, arXiv:1502.01852."""

    name = "he_normal"
    aliases = ("he",)
    formula = "N(0, 2 / fan_in)"
    advice = "For ReLU and its variants."
    gain = 2.0


@dataclass(frozen=True)
class LecunUniform(_Scaled):
    """W ~ U(-a, a), a = sqrt(3 / fan_in). LeCun, Bottou, Orr, Mueller 1998."""

    name = "lecun_uniform"
    formula = "U(-a, a), a = sqrt(3 / fan_in)"
    advice = "For SELU."
    distribution = "uniform"


@dataclass(frozen=True)
class LecunNormal(_Scaled):
    """W ~ N(0, 1 / fan_in). LeCun, Bottou, Orr, Mueller 1998."""

    name = "lecun_normal"
    aliases = ("lecun",)
    formula = "N(0, 1 / fan_in)"
    advice = "For SELU."


INITIALIZERS: dict[str, type[Initializer]] = {
    entry.name: entry
    for entry in (
        Zeros,
        Constant,
        Normal,
        Uniform,
        GlorotUniform,
        GlorotNormal,
        HeUniform,
        HeNormal,
        LecunUniform,
        LecunNormal,
    )
}
"""Every initializer by its name. A new one is a class above and a line here."""


def initializer(spec: str | Initializer) -> Initializer:
    """Return the initializer that a name or an Initializer stands for.

    >>> initializer("he")
    HeNormal()
    """
    return lookup(INITIALIZERS, spec, Initializer)
