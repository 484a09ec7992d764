"""Embedding: Z = W P, where each word number looks up its column of W."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pellucid._shown import plain
from pellucid._whole import one_operation
from pellucid.checks import is_whole
from pellucid.initializers import Initializer, Normal
from pellucid.initializers import initializer as find_initializer
from pellucid.layers.base import Array, Layer, LayerCache
from pellucid.layers.shapes import Places, by_place, held, unrolled

NEAR = 1e-3
"""What is as near to a whole number is taken for it: word numbers come as floats."""


class Embedding(Layer):
    """Z = W P, A = Z: column k of W stands for word k, and P says which word stands where.

    A column of P is 1 for one word and 0 for all others (one-hot), so W P is a look-up, and the
    gradient of a word's column is a sum over the places where it stands (Bengio et al. 2003)::

        Z = W P, the columns of the words       dW = (1/m) dZ P^T: for each word the sum of dZ where
                                                it stands, 0 where it does not

    (steps,) word numbers, 0 to n_words - 1, become (steps, n_units). W is (n_units, n_words); there
    is no b. A word number has no derivative: dA_prev is 0.

    Parameters
    ----------
    n_words : int
        How many words the table has.
    n_units : int
        The numbers that stand for a word.
    padding : int or None
        The word whose column is 0 and stays so; W's own entries there do not count.
    dropout, learning_rate_factor, weight_decay_factor
        As in :class:`~pellucid.layers.Dense`.
    initializer : str, Initializer or None
        How W starts; None takes the network's choice, and without one N(0, 1): what the next layer
        gets has variance 1.

    Raises
    ------
    ValueError
        For a number that is no word of the table, which the message names.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Embedding(3, 2).build((2,))
    >>> layer.parameters["W"][:] = [[0.0, 1.0, 2.0], [5.0, 6.0, 7.0]]
    >>> layer.forward(np.array([[2], [0]]))[0].T
    array([[2., 7., 0., 5.]])
    """

    name = "embedding"
    computes_Z = True
    penalised = ("W",)
    takes = "words"
    each_step = True

    def __init__(
        self,
        n_words: int,
        n_units: int,
        *,
        padding: int | None = None,
        dropout: float = 0.0,
        initializer: str | Initializer | None = None,
        learning_rate_factor: float | Mapping[str, float] = 1.0,
        weight_decay_factor: float = 1.0,
    ) -> None:
        super().__init__(
            learning_rate_factor=learning_rate_factor, weight_decay_factor=weight_decay_factor
        )
        self.n_words = self._checked_whole("n_words", n_words)
        self.n_units = self._checked_whole("n_units", n_units)
        if padding is not None and not is_whole(padding, 0, n_words - 1):
            raise ValueError(
                f"Embedding: padding must be a word number, 0 to {n_words - 1}, or None; got "
                f"{plain(padding)!r}."
            )
        self.padding = None if padding is None else int(padding)
        self.dropout = self._checked_dropout(dropout)
        self.initializer = None if initializer is None else find_initializer(initializer)

    @classmethod
    def examples(cls) -> Iterator[tuple[Embedding, tuple[int, ...]]]:
        yield cls(4, 2), (3,)
        yield cls(3, 3, padding=0, dropout=0.2), (4,)
        yield cls(9, 1, initializer="glorot", weight_decay_factor=0.5), (1,)

    def example_inputs(self, m: int, rng: np.random.Generator) -> np.ndarray:
        return rng.integers(0, self.n_words, (math.prod(self.input_shape), m)).astype(float)

    def parameter_shapes(self, input_shape: tuple[int, ...]) -> dict[str, tuple[int, int]]:
        return {"W": (self.n_units, self.n_words)}

    def output_shape_for(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(input_shape) != 1:
            raise ValueError(
                f"{self!r} expects inputs of shape (steps,), a word number each; got {input_shape}."
            )
        return (*input_shape, self.n_units)

    def field(self, places: Places) -> Places:
        return places

    def lengths_after(self, lengths: Array) -> Array:
        return lengths

    @property
    def fan_in(self) -> int | None:
        return 1

    def initial(self, letter: str, shape: tuple[int, int], start: Any, seed: int) -> np.ndarray:
        drawn = super().initial(letter, shape, start or Normal(1.0), seed)
        if self.padding is not None:
            drawn[:, self.padding] = 0
        return drawn

    def forward(self, A_prev: Array, mask: Array = None) -> tuple[Array, LayerCache]:
        self.check_input(A_prev)
        W, words, m = self.parameters["W"], self.words(A_prev), A_prev.shape[1]
        Z = looked_up(W, words)
        if self.padding is not None:
            Z = held(Z, words != self.padding)
        A = unrolled(Z, m)
        output = A if mask is None else A * mask
        return output, LayerCache(A_prev, output, A, A, mask)

    def backward(
        self,
        dA: Array,
        cache: LayerCache,
        *,
        dZ: Array = None,
        m: float | None = None,
        inputs: bool = True,
    ) -> tuple[Array, dict[str, Array]]:
        self.check_gradient(dA if dZ is None else dZ, cache)
        if dZ is None:
            dZ = dA if cache.mask is None else dA * cache.mask
        words, m = self.words(cache.A_prev), cache.A_prev.shape[1] if m is None else m
        each = by_place(dZ, self.n_units)
        if self.padding is not None:
            each = held(each, words != self.padding)
        xp = dZ.__array_namespace__()
        dA_prev = xp.zeros(cache.A_prev.shape, dtype=dZ.dtype) if inputs else None
        return dA_prev, {"dZ": dZ, "dW": summed_by_word(each, words, self.n_words) / m}

    def words(self, A_prev: Array) -> np.ndarray:
        """Return the word number of each place; refuse what is none."""
        given = np.asarray(A_prev)
        words = np.rint(given)
        with np.errstate(invalid="ignore"):
            wrong = ~(np.abs(given - words) <= NEAR) | (words < 0) | (words >= self.n_words)
        if wrong.any():
            row, example = (int(k) for k in np.argwhere(wrong)[0])
            raise ValueError(
                f"{self.where()}: A_prev[{row}, {example}] is {given[row, example]:g}, a word "
                f"number beyond the table: words are whole numbers, 0 to {self.n_words - 1}."
            )
        found: np.ndarray = by_place(words, 1)[0].astype(np.intp)
        return found


@one_operation("looked_up")
def looked_up(W: Array, words: np.ndarray) -> Array:
    """Return (n_units, places): of each word its column of W."""
    return W.T[words].T


@one_operation("summed_by_word")
def summed_by_word(dZ: Array, words: np.ndarray, n_words: int) -> Array:
    """Return (n_units, n_words): for each word the sum of dZ over its places, in their order."""
    xp, rows = dZ.__array_namespace__(), dZ.T
    order = np.argsort(words, kind="stable")
    there, first = np.unique(words[order], return_index=True)
    sums = [xp.sum(rows[at], axis=0, keepdims=True) for at in np.split(order, first[1:])]
    nowhere = xp.zeros((1, rows.shape[1]), dtype=dZ.dtype)
    column = np.full(n_words, len(there))
    column[there] = np.arange(len(there))
    return xp.concat([*sums, nowhere], axis=0)[column].T
