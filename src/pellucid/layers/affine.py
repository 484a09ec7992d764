"""Affine: Z = W P + b, A = g(Z), what dense layers, convolutions and embeddings share."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pellucid.activations import Activation
from pellucid.activations import activation as find_activation
from pellucid.initializers import Initializer
from pellucid.initializers import initializer as find_initializer
from pellucid.layers.base import Array, Layer, LayerCache
from pellucid.layers.shapes import by_place, over_places, unrolled


class Affine(Layer):
    """Z = W P + b, A = g(Z), where a column of P is what one place of an example sees.

    Forward and backward, with a column of Z for each place of each example::

        P = enter(A_prev)                 dZ = dA * g'(Z)
        Z = W P + b                       dW = (1/m) dZ P^T
        A = g(Z)                          db = (1/m) sum of dZ over places and examples
                                          dA_prev = leave(W^T dZ)

    A dense layer has one place, and P is A_prev; in a convolution P is a patch. A layer of this
    form says what enters, and how it leaves again.
    """

    computes_Z = True
    penalised = ("W",)
    activation: Activation

    def __init__(
        self,
        activation: str | Activation,
        *,
        dropout: float = 0.0,
        initializer: str | Initializer | None = None,
        learning_rate_factor: float | Mapping[str, float] = 1.0,
        weight_decay_factor: float = 1.0,
    ) -> None:
        super().__init__(
            learning_rate_factor=learning_rate_factor, weight_decay_factor=weight_decay_factor
        )
        self.activation = find_activation(activation)
        self.dropout = self._checked_dropout(dropout)
        self.initializer = None if initializer is None else find_initializer(initializer)

    def enter(self, A_prev: Array) -> Array:
        """Return P, (numbers a place sees, m places), of A_prev, (n[l-1], m)."""
        return A_prev

    def leave(self, dP: Array) -> Array:
        """Return dA_prev of dP: each entry is the sum over the places where it entered."""
        return dP

    def product(self, W: Array, P: Array) -> Array:
        """Return W P."""
        return W @ P

    def product_backward(self, dZ: Array, W: Array, P: Array, inputs: bool) -> tuple[Array, Array]:
        """Return dZ P^T, and W^T dZ or None."""
        return dZ @ P.T, W.T @ dZ if inputs else None

    @property
    def fan_in(self) -> int | None:
        if not self.input_shape:
            return None
        return math.prod(self.parameter_shapes(self.input_shape)["W"][1:])

    def forward(self, A_prev: Array, mask: Array = None) -> tuple[Array, LayerCache]:
        self.check_input(A_prev)
        W, b, g, m = self.parameters["W"], self.parameters["b"], self.activation, A_prev.shape[1]
        Z = unrolled(self.product(W, self.enter(A_prev)) + b, m)
        A = unrolled(g(by_place(Z, self.output_shape[-1])), m)
        output = A if mask is None else A * mask
        return output, LayerCache(A_prev, output, Z, A, mask)

    def backward(
        self,
        dA: Array,
        cache: LayerCache,
        *,
        dZ: Array = None,
        m: float | None = None,
        inputs: bool = True,
    ) -> tuple[Array, dict[str, Array]]:
        W, g, n = self.parameters["W"], self.activation, self.output_shape[-1]
        P = self.enter(cache.A_prev)
        m = cache.A_prev.shape[1] if m is None else m
        self.check_gradient(dA if dZ is None else dZ, cache)
        if dZ is None:
            if cache.mask is not None:
                dA = dA * cache.mask
            dZ = g.backward(by_place(dA, n), by_place(cache.Z, n), by_place(cache.A, n))
        dZ = unrolled(dZ, cache.A_prev.shape[1])
        dW, dP = self.product_backward(by_place(dZ, n), W, P, inputs)
        dA_prev = self.leave(dP) if inputs else None
        return dA_prev, {"dZ": dZ, "dW": dW / m, "db": over_places(dZ, n) / m}
