"""Residual: A = A_prev + F(A_prev)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pellucid.layers import chain
from pellucid.layers.base import Array, Layer, LayerCache
from pellucid.layers.chain import PREDICTING, Mode
from pellucid.layers.dense import Dense
from pellucid.layers.dropout import Dropout
from pellucid.layers.normalize import LayerNorm
from pellucid.layers.shapes import Places, around


class Residual(Layer):
    """A = A_prev + F(A_prev), where F are layers that keep the shape.

    Forward and backward: what enters goes on as it is, beside the layers::

        A = A_prev + F(A_prev)          dA_prev = dA + (the dA_prev that F makes of dA)

    So a gradient reaches the layers before undiminished, however many there are, and F begins as
    a small change of what it gets. He et al. 2016. The layers of F keep their numbers l and their
    parameters, W[l] and b[l]; A[l] of the last of them is the sum.

    Parameters
    ----------
    layers : list of Layer
        F, from the first layer to the last; one layer may stand without a list.

    Raises
    ------
    ValueError
        Where F does not keep the shape.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Residual([Dense(2, "identity")]).build((2,))
    >>> layer.inner[0].parameters["W"][:] = [[0.0, 1.0], [0.0, 0.0]]
    >>> layer.forward(np.array([[3.0], [4.0]]))[0]
    array([[7.],
           [4.]])
    """

    name = "residual"
    needs = ("lengths", "mode")

    def __init__(self, layers: Sequence[Layer] | Layer) -> None:
        super().__init__()
        self.layers = chain.checked("Residual: layers", layers)
        if not self.layers:
            raise ValueError("Residual: layers must be one or more; got an empty list.")

    @property
    def inner(self) -> Sequence[Layer]:  # type: ignore[override]
        """The layers inside, in the order of their numbers."""
        return self.layers

    @property
    def each_step(self) -> bool:  # type: ignore[override]
        """Whether it can be run a step at a time: each layer inside can."""
        return all(layer.each_step for layer in self.inner)

    @classmethod
    def examples(cls) -> Iterator[tuple[Residual, tuple[int, ...]]]:
        yield cls([Dense(3, "tanh")]), (3,)
        yield (
            cls(
                [
                    LayerNorm(),
                    Dense(4, "tanh", each_step=True),
                    Dense(2, "softplus", each_step=True),
                ]
            ),
            (3, 2),
        )
        yield (
            cls([Dense(2, "tanh"), cls(Dense(2, "sigmoid")), Dropout(0.2), Dense(4, "identity")]),
            (4,),
        )

    def example_inputs(self, m: int, rng: np.random.Generator) -> np.ndarray:
        return self.layers[0].example_inputs(m, rng)

    def output_shape_for(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        shape = tuple(chain.shape_after(self.layers, input_shape))
        if shape != input_shape:
            asked, got = (" x ".join(map(str, each)) for each in (input_shape, shape))
            raise ValueError(
                f"{self!r}: what leaves the layers is added to what enters, {asked}; they make it "
                f"{got}. End them with a layer that gives {asked} again."
            )
        return input_shape

    def place(self, input_shape: tuple[int, ...], number: int) -> None:
        super().place(input_shape, number)
        chain.place(self.layers, self.input_shape, number)
        self.number = self.layers[-1].number

    def field(self, places: Places) -> Places:
        return around([places, chain.field(self.layers, places)])

    def lengths_after(self, lengths: Array) -> Array:
        return chain.lengths_after(self.layers, lengths)

    def forward(
        self, A_prev: Array, mask: Array = None, *, lengths: Array = None, mode: Mode = PREDICTING
    ) -> tuple[Array, LayerCache]:
        self.check_input(A_prev)
        F, caches = chain.forward(self.layers, A_prev, mode, lengths)
        output = A_prev + F
        return output, LayerCache(A_prev, output, inner=caches)

    def backward(
        self,
        dA: Array,
        cache: LayerCache,
        *,
        dZ: Array = None,
        m: float | None = None,
        inputs: bool = True,
    ) -> tuple[Array, list[dict[str, Array]]]:
        self.check_gradient(dA, cache)
        dF, by_layer, _ = chain.backward(self.layers, cache.inner, dA, m=m, inputs=inputs)
        return (dA + dF if inputs else None), by_layer
