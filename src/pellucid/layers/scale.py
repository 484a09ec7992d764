"""Scale: A = s * A_prev."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pellucid.layers.base import Array, Layer, LayerCache
from pellucid.layers.shapes import Places


class Scale(Layer):
    """A = s * A_prev: each unit times a number of its own, s of shape (n, 1), 1 at the start.

    dA_prev = s * dA and ds = (1/m) sum of dA * A_prev over the examples. It computes no Z, so it
    belongs to the layer before it (an input Scale to layer 0) and W[l] keeps its number. As the
    first layer it learns how much each input counts (Holzmueller et al. 2024, arXiv:2407.04491).

    Parameters
    ----------
    learning_rate_factor : float
        Multiplies the learning rate of s.
    weight_decay_factor : float
        Multiplies the L1 and L2 penalties and AdamW's decay of s; 0, none, unless given.

    Examples
    --------
    >>> layer = Scale().build((2,))
    >>> layer.parameters["s"][:] = [[1.0], [3.0]]
    >>> layer.forward(np.array([[5.0], [5.0]]))[0]
    array([[ 5.],
           [15.]])
    """

    name = "scale"
    penalised = ("s",)

    def __init__(
        self,
        *,
        learning_rate_factor: float | Mapping[str, float] = 1.0,
        weight_decay_factor: float = 0.0,
    ) -> None:
        super().__init__(
            learning_rate_factor=learning_rate_factor, weight_decay_factor=weight_decay_factor
        )

    @classmethod
    def examples(cls) -> Iterator[tuple[Scale, tuple[int, ...]]]:
        yield cls(), (3,)
        yield cls(learning_rate_factor=6.0, weight_decay_factor=1.0), (2,)

    def parameter_shapes(self, input_shape: tuple[int, ...]) -> dict[str, tuple[int, int]]:
        return {"s": (math.prod(input_shape), 1)}

    def field(self, places: Places) -> Places:
        return places

    @property
    def fan_in(self) -> int | None:
        return 1

    def initial(self, letter: str, shape: tuple[int, int], start: Any, seed: int) -> np.ndarray:
        return np.ones(shape)

    def forward(self, A_prev: Array, mask: Array = None) -> tuple[Array, LayerCache]:
        self.check_input(A_prev)
        output = self.parameters["s"] * A_prev
        return output, LayerCache(A_prev, output)

    def backward(
        self,
        dA: Array,
        cache: LayerCache,
        *,
        dZ: Array = None,
        m: float | None = None,
        inputs: bool = True,
    ) -> tuple[Array, dict[str, Array]]:
        self.check_gradient(dA, cache)
        xp = dA.__array_namespace__()
        m = cache.A_prev.shape[1] if m is None else m
        ds = xp.sum(dA * cache.A_prev, axis=1, keepdims=True) / m
        return (self.parameters["s"] * dA if inputs else None), {"ds": ds}
