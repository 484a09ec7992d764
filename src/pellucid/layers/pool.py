"""MaxPool, AveragePool, GlobalPool: of the numbers that a window sees the largest, or the mean."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from pellucid._shown import plain
from pellucid.layers.base import Array, Layer, LayerCache
from pellucid.layers.patches import Patches, patches
from pellucid.layers.shapes import Places, valid_steps
from pellucid.layers.windows import (
    Size,
    check_axes,
    checked_size,
    each,
    places,
    seen_from,
    steps_left,
)


class Pool(Layer):
    """What pools share: S, (m, k, n[l]), holds of each example the k numbers that each output sees.

    The channels are kept apart. Nothing is learned, and no Z is computed: a pool belongs to the
    layer before it. A subclass says what S is, and how the derivatives by S return.
    """

    kind: str = "average"

    def seen(self, A_prev: Array) -> Array:
        """Return S, (m, k, n[l]), of A_prev, (n[l-1], m)."""
        raise NotImplementedError

    def returned(self, dS: Array) -> Array:
        """Return dA_prev of dS: each entry is the sum over where it was seen."""
        raise NotImplementedError

    def forward(self, A_prev: Array, mask: Array = None, **given: Any) -> tuple[Array, LayerCache]:
        self.check_input(A_prev)
        there = self.steps_there(**given)
        output = pooled(self.kind, self.seen(A_prev), there).T
        return output, LayerCache(A_prev, output, arrays={} if there is None else {"there": there})

    def steps_there(self, lengths: Array = None) -> Array:
        """Return which of the k numbers are there, (m, k, 1); None: all of them."""
        return None

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
        if not inputs:
            return None, {}
        xp = dA.__array_namespace__()
        share = shares(self.kind, self.seen(cache.A_prev), cache.arrays.get("there"))
        return self.returned(share * xp.expand_dims(dA.T, axis=1)), {}


class WindowPool(Pool):
    """What MaxPool and AveragePool share: a window that moves."""

    def __init__(self, size: Size, stride: Size | None = None) -> None:
        super().__init__()
        self.size = checked_size(self, "size", size, 2)
        self.stride = self.size if stride is None else checked_size(self, "stride", stride, 2)

    def output_shape_for(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        check_axes(self, input_shape, 1, 2)
        n_axes = len(input_shape) - 1
        if n_axes == 1 and (isinstance(self.size, tuple) or isinstance(self.stride, tuple)):
            raise ValueError(
                f"{self!r}: a pair is for (rows, columns, channels); of inputs of shape "
                f"{input_shape} the window moves along one axis."
            )
        return (*places(self, input_shape, ((0, 0),) * n_axes), input_shape[-1])

    def lengths_after(self, lengths: Array) -> Array:
        return steps_left(self, lengths, (0, 0))

    def field(self, places: Places) -> Places:
        return seen_from(self, places, ((0, 0),) * len(places))

    @property
    def numbers(self) -> int:
        return max(super().numbers, self._windows().entries.size)

    def seen(self, A_prev: Array) -> Array:
        return self._windows().enter(A_prev)

    def returned(self, dS: Array) -> Array:
        return self._windows().leave(dS)

    def _windows(self) -> Patches:
        n_axes = len(self.input_shape) - 1
        size, stride = each(self.size, n_axes), each(self.stride, n_axes)
        return patches(self.input_shape, size, stride, ((0, 0),) * n_axes, apart=True)


class MaxPool(WindowPool):
    """A = the largest number that a window sees, of each channel by itself.

    (rows, columns, channels) -> (n_H, n_W, channels), n_H = floor((rows - f) / s) + 1, and
    (steps, features) -> (n_T, features) likewise: what is left over at the end is not seen. Going
    backward the largest number of a window gets its dA; where several are equal, each gets the same
    share of it. Riesenhuber and Poggio 1999.

    Parameters
    ----------
    size : int or (int, int)
        f, the rows and columns, or the steps, that a window sees.
    stride : int, (int, int) or None
        s, how far the window moves; None: f, so that the windows lie side by side.

    Raises
    ------
    ValueError
        Where the window is larger than what enters, and for numbers that cannot be.

    Examples
    --------
    >>> import numpy as np
    >>> picture = np.array([[1.0, 3, 2, 1], [2, 9, 1, 1], [1, 3, 2, 3], [5, 6, 1, 2]])
    >>> layer = MaxPool(2).build((4, 4, 1))
    >>> layer.forward(picture.reshape(-1, 1))[0].T
    array([[9., 2., 6., 3.]])
    """

    kind = "max"

    @classmethod
    def examples(cls) -> Iterator[tuple[MaxPool, tuple[int, ...]]]:
        yield cls(2), (4, 5, 2)
        yield cls((3, 2), 1), (4, 3, 1)
        yield cls(3, 2), (7, 2)


class AveragePool(WindowPool):
    """A = the mean of the numbers that a window sees, of each channel by itself.

    Going backward each of the f f numbers of a window gets dA / (f f). Shapes, parameters and
    errors are those of :class:`MaxPool`. LeCun et al. 1998.

    Examples
    --------
    >>> import numpy as np
    >>> layer = AveragePool(2).build((4, 1))
    >>> layer.forward(np.array([[1.0], [3.0], [2.0], [6.0]]))[0].T
    array([[2., 4.]])
    """

    @classmethod
    def examples(cls) -> Iterator[tuple[AveragePool, tuple[int, ...]]]:
        yield cls(2), (4, 5, 2)
        yield cls(3, (1, 2)), (4, 5, 1)
        yield cls(3, 1), (5, 2)


class GlobalPool(Pool):
    """A = the mean, or the largest, of each channel over all places or steps.

    (rows, columns, channels) -> (channels,) and (steps, features) -> (features,). With ``lengths``
    it is that of the steps which an example has. Backward is as in :class:`AveragePool` and
    :class:`MaxPool`. Lin, Chen and Yan 2014.

    Parameters
    ----------
    kind : "average" or "max"
        Which of the two.

    Raises
    ------
    ValueError
        For another kind, and for inputs that have one axis alone.

    Examples
    --------
    >>> import numpy as np
    >>> layer = GlobalPool().build((3, 1))
    >>> layer.forward(np.array([[1.0, 1.0], [2.0, 5.0], [6.0, 0.0]]), lengths=np.array([3, 2]))[0]
    array([[3., 3.]])
    """

    needs = ("lengths",)

    def __init__(self, kind: str = "average") -> None:
        super().__init__()
        if kind not in ("average", "max"):
            raise ValueError(f"GlobalPool: kind must be 'average' or 'max'; got {plain(kind)!r}.")
        self.kind = kind

    @classmethod
    def examples(cls) -> Iterator[tuple[GlobalPool, tuple[int, ...]]]:
        yield cls(), (2, 3, 2)
        yield cls("max"), (4, 3)

    def output_shape_for(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        check_axes(self, input_shape, 1, 2)
        return input_shape[-1:]

    def lengths_after(self, lengths: Array) -> Array:
        return None

    def steps_there(self, lengths: Array = None) -> Array:
        if lengths is None:
            return None
        steps = valid_steps(lengths, (self.input_shape[0], 1))
        return lengths.__array_namespace__().expand_dims(steps.T, axis=2)

    def seen(self, A_prev: Array) -> Array:
        return A_prev.T.reshape(A_prev.shape[1], math.prod(self.input_shape[:-1]), -1)

    def returned(self, dS: Array) -> Array:
        return dS.reshape(dS.shape[0], -1).T


def pooled(kind: str, S: Array, there: Array = None) -> Array:
    """Return (m, n[l]): the largest or the mean over the middle axis of S, of those that are there.

    >>> import numpy as np
    >>> pooled("max", np.array([[[1.0], [4.0]]])), pooled("average", np.array([[[1.0], [4.0]]]))
    (array([[4.]]), array([[2.5]]))
    """
    xp = S.__array_namespace__()
    if kind == "max":
        return xp.max(_or(S, there, -math.inf), axis=1)
    if there is None:
        return xp.mean(S, axis=1)
    return xp.sum(_or(S, there, 0), axis=1) / xp.sum(xp.astype(there, S.dtype), axis=1)


def shares(kind: str, S: Array, there: Array = None) -> Array:
    """Return the derivative of what was pooled by each number of S: what share it has in it.

    >>> import numpy as np
    >>> shares("max", np.array([[[1.0], [4.0], [4.0]]])).tolist()
    [[[0.0], [0.5], [0.5]]]
    """
    xp = S.__array_namespace__()
    if kind == "max":
        S = _or(S, there, -math.inf)
        counts = xp.astype(S == xp.max(S, axis=1, keepdims=True), S.dtype)
    else:
        counts = _or(xp.ones(S.shape, dtype=S.dtype), there, 0)
    return counts / xp.sum(counts, axis=1, keepdims=True)


def _or(S: Array, there: Array, value: float) -> Array:
    """S where it is there, else the value."""
    if there is None:
        return S
    xp = S.__array_namespace__()
    return xp.where(there, S, xp.asarray(value, dtype=S.dtype))
