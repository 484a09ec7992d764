"""Parallel: A = [A of branch 1; A of branch 2; ...]."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pellucid._shown import plain
from pellucid.checks import is_whole
from pellucid.layers import chain
from pellucid.layers.base import Array, Layer, LayerCache
from pellucid.layers.chain import PREDICTING, Mode
from pellucid.layers.conv import Conv1D
from pellucid.layers.dense import Dense
from pellucid.layers.scale import Scale
from pellucid.layers.shapes import Places, around, by_place, unrolled

Shape = tuple[int, ...]


class Parallel(Layer):
    """A = [A_1; A_2; ...]: several branches of layers beside each other.

    Each branch F_k gets all of A_prev, or with ``split`` its share; what leaves them stands
    together, the units, channels or features of the first branch before those of the second::

        A = [F_1(A_prev); F_2(A_prev); ...]        dA_prev = dA_prev of F_1 + dA_prev of F_2 + ...

        with a split:
        A = [F_1(share 1); F_2(share 2); ...]      dA_prev = [dA_prev of F_1; dA_prev of F_2; ...]

    Filters of several sizes look at one picture so (Szegedy et al. 2015), and a recurrent layer
    reads both ways (Schuster and Paliwal 1997): ``Parallel([LSTM(8, sequences=True), LSTM(8,
    sequences=True, backwards=True)])``. Layers are numbered through the first branch, then through
    the second; A[l] of the last of them is what stands together.

    Parameters
    ----------
    branches : list of Layer, or of lists of Layer
        An empty list passes on what comes in.
    split : list of int or None
        How many of the units, channels or features (the last axis of an example's shape) each
        branch gets, from the first on. None: all get all.

    Raises
    ------
    ValueError
        Where the branches differ in their steps or places, or the split in what there is.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Parallel([Scale(), []]).build((2,))
    >>> layer.inner[0].parameters["s"][:] = 10.0
    >>> layer.forward(np.array([[1.0], [2.0]]))[0].T
    array([[10., 20.,  1.,  2.]])
    >>> Parallel([Scale(), []], split=[1, 1]).build((2,)).output_shape
    (2,)
    """

    name = "parallel"
    needs = ("lengths", "mode")

    def __init__(
        self,
        branches: Sequence[Layer | Sequence[Layer]],
        *,
        split: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(branches, (list, tuple)):
            raise TypeError(
                "Parallel: branches must be a list of layers, or of lists of layers; got "
                f"{branches!r:.80}."
            )
        self.branches = [
            chain.checked(f"Parallel: branch {number}", branch)
            for number, branch in enumerate(branches, start=1)
        ]
        if not any(self.branches):
            raise ValueError("Parallel: at least one branch must have a layer; got none.")
        self.split = None if split is None else self._checked_split(split)

    def _checked_split(self, split: Any) -> list[int]:
        found = list(split) if isinstance(split, (list, tuple)) else [split]
        if len(found) != len(self.branches) or not all(is_whole(n, 1) for n in found):
            raise ValueError(
                f"Parallel: split must be {len(self.branches)} integers of 1 or more, one for each "
                f"branch; got {plain(split)!r:.60}."
            )
        return [int(n) for n in found]

    @property
    def inner(self) -> Sequence[Layer]:  # type: ignore[override]
        """The layers inside, in the order of their numbers."""
        return [layer for branch in self.branches for layer in branch]

    def marks(self) -> list[str]:
        found = []
        for number, branch in enumerate(self.branches, start=1):
            found += [f"{number}: " if k == 0 else "   " for k in range(len(branch))]
        return found

    @property
    def each_step(self) -> bool:  # type: ignore[override]
        """Whether it can be run a step at a time: each layer inside can."""
        return all(layer.each_step for layer in self.inner)

    @classmethod
    def examples(cls) -> Iterator[tuple[Parallel, Shape]]:
        yield cls([Dense(2, "tanh"), [Dense(3, "sigmoid"), Scale()], []]), (2,)
        yield cls([Dense(2, "tanh"), [Dense(1, "identity")]], split=[1, 3]), (4,)
        yield (
            cls([Conv1D(2, 3, "tanh", padding="same"), Dense(1, "softplus", each_step=True)]),
            (4, 2),
        )
        yield cls([cls([Dense(2, "tanh", each_step=True), []]), Scale()], split=[2, 1]), (3, 3)

    def example_inputs(self, m: int, rng: np.random.Generator) -> np.ndarray:
        if self.split is None:
            return self.inner[0].example_inputs(m, rng)
        shapes = self._input_shapes(self.input_shape)
        found = [
            branch[0].example_inputs(m, rng) if branch else rng.normal(size=(math.prod(shape), m))
            for branch, shape in zip(self.branches, shapes, strict=True)
        ]
        return np.asarray(_together(found, self.split))

    def output_shape_for(self, input_shape: Shape) -> Shape:
        shapes = self._output_shapes(input_shape)
        for number, shape in enumerate(shapes[1:], start=2):
            if shape[:-1] != shapes[0][:-1]:
                first, other = (" x ".join(map(str, each)) for each in (shapes[0], shape))
                raise ValueError(
                    f"{self!r}: the branches must give the same steps or places, with units of "
                    f"their own; branch 1 gives {first}, branch {number} gives {other}."
                )
        return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))

    def place(self, input_shape: Shape, number: int) -> None:
        super().place(input_shape, number)
        for branch, shape in zip(self.branches, self._input_shapes(self.input_shape), strict=True):
            chain.place(branch, shape, self.number)
            self.number = branch[-1].number if branch else self.number
        self._units = [shape[-1] for shape in self._output_shapes(self.input_shape)]

    def field(self, places: Places) -> Places:
        return around([chain.field(branch, places) for branch in self.branches])

    def lengths_after(self, lengths: Array) -> Array:
        left = [chain.lengths_after(branch, lengths) for branch in self.branches]
        for number, other in enumerate(left[1:], start=2):
            if (other is None) != (left[0] is None):
                keeps, mixes = (1, number) if other is None else (number, 1)
                raise ValueError(
                    f"{self.where()}: with lengths the branches must all keep the steps apart; "
                    f"branch {keeps} does, branch {mixes} does not."
                )
            if other is not None and bool((other != left[0]).any()):
                k = int((other != left[0]).argmax())
                raise ValueError(
                    f"{self.where()}: with lengths the branches must leave the same steps; of the "
                    f"{int(lengths[k])} of example {k} branch 1 leaves {int(left[0][k])}, branch "
                    f"{number} leaves {int(other[k])}."
                )
        return left[0]

    def forward(
        self, A_prev: Array, mask: Array = None, *, lengths: Array = None, mode: Mode = PREDICTING
    ) -> tuple[Array, LayerCache]:
        self.check_input(A_prev)
        outputs, caches = [], []
        for branch, share in zip(self.branches, self._shares(A_prev), strict=True):
            A, found = chain.forward(branch, share, mode, lengths)
            outputs.append(A)
            caches += found
        output = _together(outputs, self._units)
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
        back, by_layer, start = [], [], 0
        for branch, share in zip(self.branches, _apart(dA, self._units), strict=True):
            caches = cache.inner[start : start + len(branch)]
            start += len(branch)
            dA_prev, found, _ = chain.backward(branch, caches, share, m=m, inputs=inputs)
            back.append(dA_prev)
            by_layer += found
        if not inputs:
            return None, by_layer
        return sum(back[1:], back[0]) if self.split is None else _together(
            back, self.split
        ), by_layer

    def _shares(self, A_prev: Array) -> list[Array]:
        """What enters each branch."""
        return [A_prev] * len(self.branches) if self.split is None else _apart(A_prev, self.split)

    def _input_shapes(self, input_shape: Shape) -> list[Shape]:
        if self.split is None:
            return [input_shape] * len(self.branches)
        if sum(self.split) != input_shape[-1]:
            raise ValueError(
                f"{self!r}: split must add up to {input_shape[-1]}, the last number of what "
                f"enters, {' x '.join(map(str, input_shape))}; {self.split} adds up to "
                f"{sum(self.split)}."
            )
        return [(*input_shape[:-1], n) for n in self.split]

    def _output_shapes(self, input_shape: Shape) -> list[Shape]:
        shapes = self._input_shapes(input_shape)
        return [chain.shape_after(b, s) for b, s in zip(self.branches, shapes, strict=True)]


def _together(parts: list[Array], units: list[int]) -> Array:
    """Arrays of as many places, the units of each place below each other."""
    xp, m = parts[0].__array_namespace__(), parts[0].shape[1]
    places = [by_place(A, n) for A, n in zip(parts, units, strict=True)]
    return unrolled(xp.concat(places, axis=0), m)


def _apart(A: Array, units: list[int]) -> list[Array]:
    """The inverse of :func:`_together`."""
    P, found, start = by_place(A, sum(units)), [], 0
    for n in units:
        found.append(unrolled(P[start : start + n], A.shape[1]))
        start += n
    return found
