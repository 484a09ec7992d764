"""Augmented examples: made anew for each epoch, a stretch of steps at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import philox
from pellucid.augmentations import AUGMENTATIONS, Augmentation, augmentation
from pellucid.engines import Examples
from pellucid.engines.reference import take
from pellucid.network import Network

Change = Augmentation | Callable[[NDArray[Any], np.random.Generator], Any]
"""An augmentation of the table, or a function of one example and a source of random numbers."""

ROWS, NUMBERS = 4096, 2**24
"""Examples, and numbers of them, that are made at a time."""


def changes_of(augment: Any) -> list[Change]:
    """Return what ``augment`` stands for: a name, an object, a function, or a list of those.

    >>> changes_of(["shift", "flip"]), changes_of(None)
    ([Shift(pixels=2), Flip()], [])
    """
    if augment is None:
        return []
    given = [*augment] if isinstance(augment, (list, tuple)) else [augment]
    return [_change(each) for each in given]


def _change(given: Any) -> Change:
    kind = isinstance(given, type) and issubclass(given, Augmentation)
    if callable(given) and not kind:
        own: Change = given
        return own
    if not kind and not isinstance(given, (str, dict, Augmentation)):
        raise TypeError(
            f"augment takes {', '.join(map(repr, AUGMENTATIONS))}, a function of (X, rng) that "
            f"returns an example of X's shape, or a list of those; got {given!r:.80}."
        )
    return augmentation(given)


class Augment:
    """What is done to the training examples of an epoch, by chance.

    The numbers come from a key and a counter (seed, epoch, row), where the row is an example's
    place in X: they depend neither on the mini-batches nor on what was drawn before.
    """

    def __init__(
        self, changes: Iterable[Change], network: Network, data: Examples, seed: int
    ) -> None:
        self.changes, self.seed = list(changes), seed
        self._shape, self._dtype = network.input_shape, network.dtype
        if hasattr(data.X, "toarray"):
            raise ValueError("augment takes no sparse X; pass X.toarray().")
        for change in self.changes:
            if isinstance(change, Augmentation):
                try:
                    change.check_shape(self._shape)
                except ValueError as error:
                    raise ValueError(f"augment: {error}") from None
        self.examples(data, None, slice(0, 1), 0)  # a function that does not fit says so now

    def spec(self) -> list[Any]:
        """Return the changes as plain data: functions by their name."""
        return [
            each.spec() if isinstance(each, Augmentation) else _name(each) for each in self.changes
        ]

    def steps(self, batch_size: int) -> int:
        """Return how many steps' examples are made at a time."""
        rows = min(ROWS, NUMBERS // int(np.prod(self._shape)))
        return max(1, rows // batch_size)

    def examples(
        self, data: Examples, order: NDArray[np.integer[Any]] | None, part: slice, epoch: int
    ) -> Examples:
        """Return a part of an order of the examples as they are in this epoch, counted from 0."""
        rows = data.columns(order, part)
        if rows is None:
            rows = np.arange(part.start, min(part.stop, data.m))
        lengths = None if data.lengths is None else data.lengths[rows]
        X = take(data.X, rows, self._dtype).T.reshape(-1, *self._shape)
        for k, change in enumerate(self.changes):
            if isinstance(change, Augmentation):
                where = {"stream": philox.AUGMENT, "layer": k, "step": epoch}
                X = change.change(X, philox.of_rows(self.seed, rows, **where))
            else:
                X = self._own(change, X, rows, lengths, (k, epoch))
        return Examples(
            X.reshape(len(rows), -1).T,
            data.Y[..., rows],
            None if data.weight is None else data.weight[rows],
            lengths=lengths,
        )

    def _own(
        self,
        change: Callable[[NDArray[Any], np.random.Generator], Any],
        X: NDArray[Any],
        rows: NDArray[np.integer[Any]],
        lengths: NDArray[np.int64] | None,
        where: tuple[int, int],
    ) -> NDArray[Any]:
        """Each example as a function of somebody's own returns it; of a sequence what is there."""
        changed = np.zeros_like(X)
        key = np.array([self.seed, philox.AUGMENT], dtype=np.uint64)
        for i, row in enumerate(rows.tolist()):
            counter = np.array([0, *where, row], dtype=np.uint64)
            rng = np.random.Generator(np.random.Philox(key=key, counter=counter))
            there = X[i] if lengths is None else X[i, : lengths[i]]
            got = np.asarray(change(there.copy(), rng))
            if got.shape != there.shape or got.dtype.kind not in "biuf":
                raise ValueError(
                    f"augment: {_name(change)} must return numbers of the shape of its X, "
                    f"{there.shape}; got {got.dtype} {got.shape}."
                )
            if not np.isfinite(got).all():
                raise ValueError(f"augment: {_name(change)} made NaN or infinity of example {row}.")
            changed[i, : len(there)] = got
        return changed


def _name(change: Any) -> str:
    return str(getattr(change, "__qualname__", type(change).__name__))
