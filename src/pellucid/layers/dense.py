"""Dense: Z = W A_prev + b, A = g(Z)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pellucid.activations import Activation, LeakyReLU
from pellucid.initializers import Initializer
from pellucid.layers.affine import Affine
from pellucid.layers.base import Array
from pellucid.layers.shapes import Places, by_place, unrolled


class Dense(Affine):
    """Z = W A_prev + b, A = g(Z): every unit is connected with every unit of the layer before.

    Forward and backward (lecture 002, 4.3)::

        Z = W A_prev + b            dZ = dA * g'(Z)
        A = g(Z)                    dW = (1/m) dZ A_prev^T
                                    db = (1/m) sum of dZ over the examples
                                    dA_prev = W^T dZ

    W is (n[l], n[l-1]), b is (n[l], 1); A_prev is (n[l-1], m), Z and A are (n[l], m). A volume or
    a sequence that enters is unrolled into a column.

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
    each_step : bool
        Apply the same W and b at each step of a sequence, (steps, n) -> (steps, n_units), or at
        each place of a volume, instead of once to all of them unrolled.
    mask : array of 0 and 1, or None
        Which of the connections there are, (n[l], n[l-1]); the others stay 0 and are not counted.
        Lecture 002 (1.1) draws such a network: "family size" sees size and bedrooms alone.
    names : list of str or None
        What the units are called in a trace.

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

    def __init__(
        self,
        n_units: int,
        activation: str | Activation = "relu",
        *,
        dropout: float = 0.0,
        initializer: str | Initializer | None = None,
        learning_rate_factor: float | Mapping[str, float] = 1.0,
        weight_decay_factor: float = 1.0,
        each_step: bool = False,
        mask: Any = None,
        names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(
            activation,
            dropout=dropout,
            initializer=initializer,
            learning_rate_factor=learning_rate_factor,
            weight_decay_factor=weight_decay_factor,
        )
        self.n_units = self._checked_whole("n_units", n_units)
        self.each_step = bool(each_step)
        self.mask = None if mask is None else _checked_mask(mask, self.n_units)
        self.names = None if names is None else _checked_names(names, self.n_units)

    def parameter_shapes(self, input_shape: tuple[int, ...]) -> dict[str, tuple[int, int]]:
        n = input_shape[-1] if self.each_step else math.prod(input_shape)
        if self.mask is not None and self.mask.shape[1] != n:
            raise ValueError(
                f"{self!r}: mask must be (n[l], n[l-1]) = ({self.n_units}, {n}); got "
                f"{self.mask.shape}."
            )
        return {"W": (self.n_units, n), "b": (self.n_units, 1)}

    def output_shape_for(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*input_shape[:-1], self.n_units) if self.each_step else (self.n_units,)

    @classmethod
    def examples(cls) -> Iterator[tuple[Dense, tuple[int, ...]]]:
        yield cls(4, "tanh"), (3,)
        yield cls(3, "softplus", initializer="he_normal", weight_decay_factor=0.5), (5,)
        yield cls(2, LeakyReLU(slope=0.1), learning_rate_factor={"W": 1.0, "b": 0.1}), (2,)
        yield cls(6, "sigmoid", dropout=0.3), (1,)
        yield cls(1, "identity"), (4,)
        yield cls(3, "tanh"), (2, 2)
        yield cls(3, "tanh", each_step=True), (4, 2)
        yield cls(2, "relu", mask=[[1, 1, 0], [0, 1, 1]], names=["family size", "walk"]), (3,)

    @property
    def variant(self) -> str:  # type: ignore[override]
        """The option that the fused engine lacks, or ""."""
        return "each_step" if self.each_step else "" if self.mask is None else "mask"

    def lengths_after(self, lengths: Array) -> Array:
        return lengths if self.each_step else None

    def field(self, places: Places) -> Places:
        return places if self.each_step else super().field(places)

    def enter(self, A_prev: Array) -> Array:
        return by_place(A_prev, self.input_shape[-1]) if self.each_step else A_prev

    def leave(self, dP: Array) -> Array:
        return unrolled(dP, dP.shape[1] // math.prod(self.output_shape[:-1]))

    def product(self, W: Array, P: Array) -> Array:
        return super().product(W if self.mask is None else W * self._connections(W), P)

    def product_backward(self, dZ: Array, W: Array, P: Array, inputs: bool) -> tuple[Array, Array]:
        if self.mask is None:
            return super().product_backward(dZ, W, P, inputs)
        there = self._connections(W)
        dW, dP = super().product_backward(dZ, W * there, P, inputs)
        return dW * there, dP

    def initial(self, letter: str, shape: tuple[int, int], start: Any, seed: int) -> np.ndarray:
        drawn = super().initial(letter, shape, start, seed)
        return drawn if self.mask is None or letter != "W" else drawn * self.mask

    @property
    def n_parameters(self) -> int:
        return super().n_parameters - (0 if self.mask is None else int(np.sum(self.mask == 0)))

    def settings(self) -> dict[str, Any]:
        found = super().settings()
        if self.mask is not None:
            found["mask"] = self.mask.tolist()
        for name in ("each_step", "mask", "names"):  # as models without them were described
            if not found[name]:
                del found[name]
        return found

    def _connections(self, W: Array) -> Array:
        xp = W.__array_namespace__()
        return xp.asarray(self.mask, dtype=W.dtype)


def _checked_mask(mask: Any, n_units: int) -> np.ndarray:
    found = np.asarray(mask)
    if found.ndim != 2 or len(found) != n_units or not np.isin(found, (0, 1)).all():
        raise ValueError(
            f"Dense: mask must hold 0 and 1, a row for each of the {n_units} units and a column "
            f"for each number that enters; got {found.dtype} {found.shape}."
        )
    return found.astype(np.int8)


def _checked_names(names: Sequence[str], n_units: int) -> list[str]:
    found = [names] if isinstance(names, str) else list(names)
    if len(found) != n_units or not all(isinstance(each, str) and each for each in found):
        raise ValueError(
            f"Dense: names must be {n_units} texts, one for each unit; got {names!r:.60}."
        )
    return found
