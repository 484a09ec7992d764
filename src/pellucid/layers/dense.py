"""Dense: Z = W A_prev + b, A = g(Z)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pellucid._shown import plain
from pellucid.activations import Activation, LeakyReLU
from pellucid.activations import activation as find_activation
from pellucid.checks import is_number, is_whole
from pellucid.initializers import Initializer
from pellucid.initializers import initializer as find_initializer
from pellucid.layers.base import Array, Layer, LayerCache


class Dense(Layer):
    """Z = W A_prev + b, A = g(Z): every unit is connected with every unit of the layer before.

    Forward and backward (lecture 002, 4.3)::

        Z = W A_prev + b            dZ = dA * g'(Z)
        A = g(Z)                    dW = (1/m) dZ A_prev^T
                                    db = (1/m) sum of dZ over the examples
                                    dA_prev = W^T dZ

    W is (n[l], n[l-1]), b is (n[l], 1); A_prev is (n[l-1], m), Z and A are (n[l], m).

    Parameters
    ----------
    n_units : int
        n[l], the number of units.
    activation : str or Activation
        g, by name or with its parameters: ``LeakyReLU(slope=0.1)``.
    dropout : float
        The share of units left out at each training step, 0 to below 1; those that stay are
        divided by 1 - dropout. Srivastava et al. 2014.
    initializer : str, Initializer or None
        How W starts; None takes the network's choice.
    learning_rate_factor : float or dict
        Multiplies the learning rate; ``{"W": 1, "b": 0.1}`` tells the two apart.
    weight_decay_factor : float
        Multiplies the L1 and L2 penalties and AdamW's decay of W.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Dense(2, "relu").build((3,), seed=0)
    >>> A, cache = layer.forward(np.ones((3, 5)))
    >>> dA_prev, gradients = layer.backward(np.ones((2, 5)), cache)
    >>> A.shape, dA_prev.shape, gradients["dW"].shape
    ((2, 5), (3, 5), (2, 3))
    """

    name = "dense"
    computes_Z = True
    penalised = ("W",)
    activation: Activation

    def __init__(
        self,
        n_units: int,
        activation: str | Activation = "relu",
        *,
        dropout: float = 0.0,
        initializer: str | Initializer | None = None,
        learning_rate_factor: float | Mapping[str, float] = 1.0,
        weight_decay_factor: float = 1.0,
    ) -> None:
        super().__init__(
            learning_rate_factor=learning_rate_factor, weight_decay_factor=weight_decay_factor
        )
        if not is_whole(n_units, 1):
            raise ValueError(
                f"Dense: n_units must be an integer of 1 or more; got {plain(n_units)!r}."
            )
        if not is_number(dropout) or not 0 <= dropout < 1:
            raise ValueError(
                f"Dense: dropout must be at least 0 and below 1; got {plain(dropout)!r}."
            )
        self.n_units = int(n_units)
        self.activation = find_activation(activation)
        self.dropout = float(dropout)
        self.initializer = None if initializer is None else find_initializer(initializer)

    def parameter_shapes(self, input_shape: tuple[int, ...]) -> dict[str, tuple[int, int]]:
        return {"W": (self.n_units, input_shape[0]), "b": (self.n_units, 1)}

    def output_shape_for(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (self.n_units,)

    @classmethod
    def examples(cls) -> Iterator[tuple[Dense, tuple[int, ...]]]:
        yield cls(4, "tanh"), (3,)
        yield cls(3, "softplus", initializer="he_normal", weight_decay_factor=0.5), (5,)
        yield cls(2, LeakyReLU(slope=0.1), learning_rate_factor={"W": 1.0, "b": 0.1}), (2,)
        yield cls(6, "sigmoid", dropout=0.3), (1,)
        yield cls(1, "identity"), (4,)

    @property
    def fan_in(self) -> int | None:
        return self.input_shape[0] if self.input_shape else None

    def forward(self, A_prev: Array, mask: Array = None) -> tuple[Array, LayerCache]:
        self.check_input(A_prev)
        W, b, g = self.parameters["W"], self.parameters["b"], self.activation
        Z = W @ A_prev + b
        A = g(Z)
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
        W, g, A_prev = self.parameters["W"], self.activation, cache.A_prev
        m = A_prev.shape[1] if m is None else m
        self.check_gradient(dA if dZ is None else dZ, cache)
        if dZ is None:
            if cache.mask is not None:
                dA = dA * cache.mask
            dZ = g.backward(dA, cache.Z, cache.A)
        xp = dZ.__array_namespace__()
        dW = dZ @ A_prev.T / m
        db = xp.sum(dZ, axis=1, keepdims=True) / m
        dA_prev = W.T @ dZ if inputs else None
        return dA_prev, {"dZ": dZ, "dW": dW, "db": db}
