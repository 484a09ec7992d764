"""What a training leaves in memory for a diagnosis: some rows, and parameters on the way.

To look at them takes longer than to keep them, and is done when somebody asks. A pickle and a model
folder hold what was seen, numbers without rows (docs/decisions/looked-at-later.md).
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pellucid import propagation
from pellucid.losses import Loss
from pellucid.training import facts
from pellucid.training.facts.columns import ROWS, take_rows
from pellucid.training.measure import PROBE, one_thread, sample, start_of

if TYPE_CHECKING:
    from pellucid.engines import Examples
    from pellucid.network import Network

BYTES = 2**18
"""Of the rows of the training so much is kept, of those of the validation half of it."""
SMALL = 5 * 2**15
"""A network of so many bytes is looked at later: its parameters are kept until then."""
FEWEST, MOST = 3, 16
"""How often a network is looked at."""
SNAPSHOTS = FEWEST * SMALL
"""Parameters of all looks together, in bytes."""
LAYERS = 100
"""Of all layers at all times together, so many statistics are kept, where that leaves FEWEST."""


class Part(NamedTuple):
    """Examples (n[0], k), targets (n[L], k), weights or None; of padded sequences the lengths."""

    X: NDArray[Any]
    Y: NDArray[Any]
    weight: NDArray[Any] | None
    lengths: NDArray[np.int64] | None = None
    lengths_after: NDArray[np.int64] | None = None
    """The steps that the outputs have."""

    def take(self, rows: Any) -> Part:
        """Return some of the examples."""
        taken: list[Any] = [None if each is None else each[..., rows] for each in self]
        return Part(*taken)


class Kept:
    """Some rows of a training, and looks at its network while it learned."""

    def __init__(self, network: Network, data: Examples, loss: Loss) -> None:
        self.loss, self._network = loss, weakref.ref(network)
        self.input_shape, self.output_shape = network.input_shape, network.output_shape
        self.takes = network.leaves[0].takes
        self.take(network, data)
        self.validation: Part | None = None
        self.outputs: list[NDArray[Any]] | None = None
        self.small = _size(network.parameters) <= SMALL
        self._own = network if self.small else None
        self.looks: list[tuple[dict[str, Any], Any]] = []
        self.start: dict[str, NDArray[Any]] = {}

    def take(self, network: Network, data: Examples) -> None:
        """Keep some of these examples, in place of any before."""
        self.m, self.train = data.m, part(data, network, BYTES)

    def most(self, network: Network) -> int:
        """Return how many looks there is room for."""
        room = SNAPSHOTS // _size(network.parameters) if self.small else MOST
        return max(FEWEST, min(MOST, LAYERS // network.L, room))

    def first(self) -> dict[str, NDArray[Any]] | None:
        """Return the parameters before the first step; None of a large network."""
        when, parameters = self.looks[0]
        return parameters if self.small and when["epoch"] == 0 else None

    def network(self) -> Network | None:
        """Return the network as it was at the end; a large one itself, where it is still there."""
        return self._at(self.looks[-1][1]) if self.small else self._network()

    def look(self, network: Network, when: dict[str, Any]) -> None:
        """Keep the parameters as they are, or, where they are large, what is seen of them."""
        if self.small:
            self.looks.append((when, network.copy_parameters()))
            return
        self.looks.append((when, self._measured(network)))
        self.start = self.start or start_of(network)

    def end(self, network: Network, validation: Examples | None = None) -> None:
        """Keep some validation rows, and of a large network its answers."""
        if validation is not None:
            self.validation = part(validation, network, BYTES // 2)
            factors = self.class_means()
            if self.validation.weight is None and factors is not None:
                numbers = _class_numbers(self.validation.Y)
                self.validation = self.validation._replace(weight=np.array(factors)[numbers])
        if not self.small:
            self.outputs = self._answers(network)

    def statistics(self) -> list[dict[str, Any]]:
        """Return what the looks show."""
        if not self.small:
            return [{**when, **seen} for when, seen in self.looks]
        found, self.start = [], {}
        for when, parameters in self.looks:
            network = self._at(parameters)
            found.append({**when, **self._measured(network)})
            self.start = self.start or start_of(network)
        return found

    def facts(self, known: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the rows are like, and the last answers to them.

        ``known`` are the facts of another network of the same ensemble.
        """
        outputs = self.outputs or self._answers(self._at(self.looks[-1][1]))
        with one_thread():
            like = None if known is None else facts.Facts.from_dict(known)
            return facts.of_parts(self, outputs, like).to_dict()

    def class_means(self) -> list[float] | None:
        """Return the mean weight of each class's rows; None without weights, or without classes."""
        Y, w = self.train.Y, self.train.weight
        if w is None or len(self.output_shape) > 1 or not np.isin(Y, (0, 1)).all():
            return None
        if len(Y) > 1 and not (Y.sum(0) == 1).all():
            return None
        numbers = _class_numbers(Y)
        rows = [w[numbers == k] for k in range(max(len(Y), 2))]
        return [float(each.mean()) if len(each) else 1.0 for each in rows]

    def _at(self, parameters: dict[str, NDArray[Any]]) -> Network:
        """A network of its own with these parameters."""
        network = copy.deepcopy(self._own)
        assert network is not None
        network.put_parameters(parameters)
        return network

    def _measured(self, network: Network) -> dict[str, Any]:
        m = self.train.X.shape[1]
        few = self.train.take(take_rows(m, PROBE if self.small else PROBE // 4))
        XY = np.asfortranarray(few.X), np.asfortranarray(few.Y)
        return sample(network, XY, self.loss, self.start, few.lengths)

    def _answers(self, network: Network) -> list[NDArray[Any]]:
        parts = [each for each in (self.train, self.validation) if each is not None]
        with one_thread():  # threads of BLAS that wait for more would slow the next training
            return [_answers(network, each) for each in parts]


def room(network: Network, size: int) -> int:
    """Return how many examples of a network are kept in so many bytes."""
    one: int = (network.n[0] + network.n[-1]) * network.dtype.itemsize
    return min(ROWS, max(size // one, 8))


def part(data: Examples, network: Network, size: int | None = None) -> Part:
    """Return the examples as the network takes them: some, evenly spaced, or all."""
    chosen: Any = slice(None) if size is None else take_rows(data.m, room(network, size))
    columns = chosen if data.rows is None else data.rows[chosen]
    X, Y = data.X[:, columns], data.Y[..., columns]
    lengths = None if data.lengths is None else data.lengths[columns]
    after = None if lengths is None else network.lengths_after(lengths)
    X = np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=network.dtype)
    Y = network.dense_targets(Y)
    w = None if data.weight is None else data.weight[columns].astype(np.float64)
    return Part(X, Y, w if w is None or not w.any() else w / w.max(), lengths, after)


def _answers(network: Network, few: Part) -> NDArray[Any]:
    A: NDArray[Any] = propagation.forward(network.layers, few.X, lengths=few.lengths).A[network.L]
    return A


def _class_numbers(Y: NDArray[Any]) -> NDArray[Any]:
    """The class of each example, of one-hot columns or of one row of 0 and 1."""
    numbers: NDArray[Any] = Y.argmax(axis=0) if len(Y) > 1 else Y[0].astype(int)
    return numbers


def _size(parameters: Mapping[str, NDArray[Any]]) -> int:
    return sum(array.nbytes for array in parameters.values())
