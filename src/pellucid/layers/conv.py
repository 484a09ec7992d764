"""Conv1D and Conv2D: Z = W P + b, a column of P is a patch of what enters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from pellucid._shown import plain
from pellucid._whole import one_operation
from pellucid.activations import Activation
from pellucid.checks import is_whole
from pellucid.initializers import Initializer
from pellucid.layers.affine import Affine
from pellucid.layers.base import Array
from pellucid.layers.patches import Pairs, Patches, patches
from pellucid.layers.shapes import Places, place_by_place
from pellucid.layers.windows import (
    Size,
    check_axes,
    checked_size,
    each,
    places,
    seen_from,
    steps_left,
)


class Convolution(Affine):
    """What Conv1D and Conv2D share: a window moves over one axis or two, the channels stand last.

    Z = W P + b, A = g(Z). W is (n_filters, f f n_C / groups), a filter a row, in the order row,
    column, channel; b is (n_filters, 1). P has a column for each place of each example.
    """

    n_axes: ClassVar[int]
    unit = "filter"

    def __init__(
        self,
        n_filters: int,
        size: Size,
        activation: str | Activation = "relu",
        *,
        stride: Size = 1,
        padding: str | int = "valid",
        groups: int = 1,
        dropout: float = 0.0,
        initializer: str | Initializer | None = None,
        learning_rate_factor: float | Mapping[str, float] = 1.0,
        weight_decay_factor: float = 1.0,
    ) -> None:
        super().__init__(
            activation,
            dropout=dropout,
            initializer=initializer,
            learning_rate_factor=learning_rate_factor,
            weight_decay_factor=weight_decay_factor,
        )
        self.n_filters = self._checked_whole("n_filters", n_filters)
        self.groups, name = self._checked_whole("groups", groups), type(self).__name__
        if padding not in ("valid", "same") and not is_whole(padding, 0):
            raise ValueError(
                f"{name}: padding must be 'valid', 'same' or an integer of 0 or more; got "
                f"{plain(padding)!r}."
            )
        if n_filters % groups:
            raise ValueError(f"{name}: {n_filters} filters cannot be shared among {groups} groups.")
        self.padding = padding
        self.size = checked_size(self, "size", size, self.n_axes)
        self.stride = checked_size(self, "stride", stride, self.n_axes)

    def parameter_shapes(self, input_shape: tuple[int, ...]) -> dict[str, tuple[int, int]]:
        n = input_shape[-1] // self.groups
        for f in each(self.size, self.n_axes):
            n *= f
        return {"W": (self.n_filters, n), "b": (self.n_filters, 1)}

    @property
    def filter_shape(self) -> tuple[int, ...]:
        """What a row of W is unrolled of: (f, f, n_C / groups)."""
        return (*each(self.size, self.n_axes), self.input_shape[-1] // self.groups)

    def output_shape_for(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        check_axes(self, input_shape, self.n_axes)
        if input_shape[-1] % self.groups:
            raise ValueError(
                f"{self!r}: {input_shape[-1]} channels cannot be shared among {self.groups} groups."
            )
        return (*places(self, input_shape, self.pads()), self.n_filters)

    def lengths_after(self, lengths: Array) -> Array:
        return steps_left(self, lengths, self.pads()[0])

    def field(self, places: Places) -> Places:
        return seen_from(self, places, self.pads())

    @property
    def numbers(self) -> int:
        return max(super().numbers, self._patches().entries.size)

    def pads(self) -> Pairs:
        """How much padding stands before and behind each axis."""
        if self.padding == "same":
            return tuple(((f - 1) // 2, f // 2) for f in each(self.size, self.n_axes))
        p = 0 if self.padding == "valid" else int(self.padding)
        return ((p, p),) * self.n_axes

    def enter(self, A_prev: Array) -> Array:
        seen = self._patches().enter(A_prev)
        return seen.reshape(-1, seen.shape[2]).T

    def leave(self, dP: Array) -> Array:
        return self._patches().leave(dP.T)

    def product(self, W: Array, P: Array) -> Array:
        if self.groups == 1:
            return place_by_place(W, P)
        parts = zip(self._filters(W), self._channels(P), strict=True)
        xp = P.__array_namespace__()
        return xp.concat([Wj @ Pj for Wj, Pj in parts], axis=0)

    def product_backward(self, dZ: Array, W: Array, P: Array, inputs: bool) -> tuple[Array, Array]:
        if self.groups == 1:
            return dZ @ P.T, place_by_place(W.T, dZ) if inputs else None
        xp, n = dZ.__array_namespace__(), self.input_shape[-1] // self.groups
        dZs, Ws, Ps = self._filters(dZ), self._filters(W), self._channels(P)
        dW = xp.concat([dZj @ Pj.T for dZj, Pj in zip(dZs, Ps, strict=True)], axis=0)
        if not inputs:
            return dW, None
        dP = [by_channel(Wj.T @ dZj, n) for Wj, dZj in zip(Ws, dZs, strict=True)]
        return dW, of_patches(xp.concat(dP, axis=1), P.shape[0])

    def _filters(self, W: Array) -> list[Array]:
        """The rows of each group."""
        n = self.n_filters // self.groups
        return [W[j * n : (j + 1) * n] for j in range(self.groups)]

    def _channels(self, P: Array) -> list[Array]:
        """The rows of P with the channels of each group."""
        n, of = self.input_shape[-1] // self.groups, P.shape[0] // self.groups
        volume = by_channel(P, self.input_shape[-1])
        return [of_patches(volume[:, j * n : (j + 1) * n], of) for j in range(self.groups)]

    def _patches(self) -> Patches:
        size, stride = each(self.size, self.n_axes), each(self.stride, self.n_axes)
        return patches(self.input_shape, size, stride, self.pads())


class Conv2D(Convolution):
    """Z = W P + b, A = g(Z): each filter moves over the rows and columns of a picture.

    (rows, columns, channels) -> (n_H, n_W, n_filters), with
    n_H = floor((rows + 2p - f) / s) + 1. W is (n_filters, f f n_C), b is (n_filters, 1); a column
    of P is the patch of f x f pixels that one place sees, unrolled in the order row, column,
    channel. The sum over places stands in the gradients: dW = (1/m) dZ P^T. LeCun et al. 1998.

    Parameters
    ----------
    n_filters : int
        How many filters, the channels of the output.
    size : int or (int, int)
        f, the rows and columns that a filter sees.
    activation : str or Activation
        g.
    stride : int or (int, int)
        s, how far the filter moves.
    padding : "valid", "same" or int
        p zeros on every side; "valid" has none, "same" as many as keep rows and columns where the
        stride is 1.
    groups : int
        Each group of filters sees its own share of the channels.
    dropout, initializer, learning_rate_factor, weight_decay_factor
        As in :class:`~pellucid.layers.Dense`.

    Raises
    ------
    ValueError
        Where a filter is larger than the padded picture, and for numbers that cannot be.

    Examples
    --------
    A vertical edge, found by hand:

    >>> import numpy as np
    >>> layer = Conv2D(1, 3, "identity").build((3, 6, 1))
    >>> layer.parameters["W"][:] = [[1, 0, -1] * 3]
    >>> picture = np.array([[1.0, 1, 1, 0, 0, 0]] * 3)
    >>> layer.forward(picture.reshape(-1, 1))[0].T
    array([[0., 3., 3., 0.]])
    """

    name = "conv2d"
    n_axes = 2

    @classmethod
    def examples(cls) -> Iterator[tuple[Conv2D, tuple[int, ...]]]:
        yield cls(2, 3, "tanh"), (4, 5, 1)
        yield cls(3, 2, "sigmoid", stride=2, padding=1), (3, 4, 2)
        yield cls(4, (3, 2), "softplus", padding="same", groups=2), (3, 3, 2)


class Conv1D(Convolution):
    """Z = W P + b, A = g(Z): each filter moves along the steps of a sequence.

    (steps, features) -> (n_T, n_filters), n_T = floor((steps + 2p - f) / s) + 1. W is
    (n_filters, f n_x), b is (n_filters, 1); a column of P is f steps, unrolled. Otherwise it is as
    :class:`Conv2D`, parameters and errors too. With ``lengths`` an example of T steps gives as many
    as if it stood alone; one that is shorter than a filter is refused.

    Examples
    --------
    The change from step to step:

    >>> import numpy as np
    >>> layer = Conv1D(1, 2, "identity").build((4, 1))
    >>> layer.parameters["W"][:] = [[-1.0, 1.0]]
    >>> layer.forward(np.array([[1.0], [4.0], [9.0], [16.0]]))[0].T
    array([[3., 5., 7.]])
    """

    name = "conv1d"
    n_axes = 1

    @classmethod
    def examples(cls) -> Iterator[tuple[Conv1D, tuple[int, ...]]]:
        yield cls(3, 2, "tanh"), (5, 2)
        yield cls(2, 3, "sigmoid", stride=2, padding="same"), (6, 1)


@one_operation("by_channel")
def by_channel(P: Array, n: int) -> Array:
    """Return (f f, n, places) of (f f n, places): the channels of a patch apart."""
    return P.reshape(-1, n, P.shape[1])


@one_operation("of_patches")
def of_patches(P: Array, n: int) -> Array:
    """Return (n, places): the inverse of :func:`by_channel`."""
    return P.reshape(n, -1)
