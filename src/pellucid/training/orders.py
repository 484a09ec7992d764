"""In which order an epoch takes the examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pellucid.checks import is_truth
from pellucid.engines import permutation

Orders = NDArray[np.integer[Any]]


class Order:
    """The orders of the examples, epoch by epoch; this one is their own.

    Attributes
    ----------
    ahead : bool
        Whether the orders of epochs to come may be drawn.
    """

    ahead: ClassVar[bool] = True

    def draw(self, epochs: range) -> Orders | None:
        """Return (epochs, m), an order for each of some epochs in a row, counted from 0.

        None is the examples' own order. Nobody asks for an epoch twice, or goes back, or keeps what
        was drawn when the next is.
        """
        return None

    def put_back(self, epoch: int) -> None:
        """Hear that the epochs from this one on were drawn, but did not begin."""


class Shuffled(Order):
    """A new order each epoch, which depends on the seed and the epoch alone."""

    def __init__(self, m: int, seed: int) -> None:
        self._seed, self._orders = seed, np.empty((1, m), dtype=np.int64)

    def draw(self, epochs: range) -> Orders:
        (room, m), count = self._orders.shape, len(epochs)
        if room < count:  # memory that is new each time costs as much as the drawing
            self._orders = np.empty((count, m), dtype=np.int64)
        for order, epoch in zip(self._orders, epochs, strict=False):
            permutation(self._seed, m, step=epoch, out=order)
        return self._orders[:count]


class Given(Order):
    """What somebody's own function returns; it may look at the network before each epoch."""

    ahead = False

    def __init__(self, m: int, function: Callable[[int], Any]) -> None:
        self._m, self._function = m, function

    def draw(self, epochs: range) -> Orders | None:
        (epoch,) = epochs
        order = _checked(self._function(epoch), self._m)
        return None if order is None else order[np.newaxis]


def order_of(shuffle: bool | Callable[[int], Any], m: int, seed: int) -> Order:
    """Return the orders of m examples that an argument stands for."""
    if callable(shuffle):
        return Given(m, shuffle)
    if not is_truth(shuffle):
        raise TypeError(
            "shuffle must be True, False, or a function from the epoch to an order of the "
            f"examples; got {shuffle!r}."
        )
    return Shuffled(m, seed) if shuffle else Order()


def _checked(returned: Any, m: int) -> Orders | None:
    if returned is None:
        return None
    order: NDArray[Any] = np.asarray(returned)
    seen = np.zeros(m, dtype=bool)
    fits = order.shape == (m,) and order.dtype.kind in "iu"
    if fits and order.min() >= 0 and order.max() < m:
        seen[order] = True
    if not seen.all():
        raise ValueError(
            f"shuffle must return each of the integers 0 to {m - 1} once, or None for the "
            f"examples' own order; got shape {order.shape}, dtype {order.dtype}: {order!r}."
        )
    return order
