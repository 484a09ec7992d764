"""A training on the compiled module, which holds the parameters in panels."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.engines.contract import (
    Data,
    Examples,
    FlatGradients,
    Job,
    Session,
    State,
    check_state,
    parameter_views,
    slot_name,
)
from pellucid.engines.fused.columns import column_numbers, gathered
from pellucid.engines.fused.module import (
    SETTINGS,
    letter_of,
    loss_spec,
    module,
    optimizer_spec,
    stage_spec,
)


class FusedSession(Session):
    """Holds the parameters in panels; ``write_back`` puts them back to the network's arrays."""

    def __init__(self, job: Job, n_threads: int) -> None:
        objective, optimizer = job.objective, job.optimizer
        self.layers, self.dtype = job.network.leaves, job.network.dtype
        self.objective, self.optimizer = objective, optimizer
        self.batch_size, self._interrupted = job.batch_size, job.interrupted
        self._n_outputs = math.prod(job.network.layers[-1].output_shape)
        self._ahead = False  # of the network's arrays
        self._looked_at = False  # by other code, which may have written into X, since the last run
        self._prepared: dict[str, list[tuple[Any, Any]]] = {}
        self._slots = {
            slot_name(slot, letter, layer): np.zeros_like(W, order="F")
            for layer in self.layers
            for letter, W in layer.parameters.items()
            for slot in optimizer.slots
        }
        if job.state is not None:
            check_state(self.layers, optimizer, job.state.slots)
            for name, array in job.state.slots.items():
                self._slots[name][...] = array
        self._own = {
            (k, letter): array
            for k, layer in enumerate(self.layers)
            for letter, array in [*layer.parameters.items(), *layer.statistics.items()]
        }
        self._lent = {place: np.asfortranarray(array) for place, array in self._own.items()}
        self._session: Any = self._opened(
            job,
            SETTINGS
            | {
                "l1": objective.l1,
                "l2": objective.l2,
                "penalty_per_weight": objective.penalty_per_weight,
                "clip_value": -1.0 if objective.clip_value is None else objective.clip_value,
                "clip_norm": -1.0 if objective.clip_norm is None else objective.clip_norm,
                "batch_size": job.batch_size,
                "threads": n_threads,
                "tuned": os.environ.get("PELLUCID_TUNE", "1") != "0",
                "seed": job.seed,
                "step": 0 if job.state is None else job.state.step,
                "training": True,
            },
        )

    def _opened(self, job: Job, settings: dict[str, Any]) -> Any:
        """The module's session, on the arrays that are lent to it."""
        kind = module().Session32 if self.dtype == np.float32 else module().Session64
        return kind(
            [stage_spec(layer) for layer in self.layers],
            [self._arrays(k, letter_of(layer)) for k, layer in enumerate(self.layers)],
            [self._arrays(k, "b") for k in range(len(self.layers))],
            loss_spec(self.objective, self.layers[-1].activation),
            optimizer_spec(self.optimizer),
            settings,
        )

    def run(
        self,
        examples: Examples,
        order: NDArray[np.integer[Any]] | None,
        first: int,
        last: int,
        *,
        learning_rate: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        costs = np.empty(last - first)
        if self._looked_at:
            self._session.forget()
            self._looked_at = False
        m = examples.m if order is None else order.shape[-1]
        steps = max(1, -(-m // self.batch_size))
        begun, epochs = first // steps, (last - 1) // steps + 1 - first // steps
        first, last = first - begun * steps, last - begun * steps
        if epochs > 1:
            columns = _of_epochs(examples, order, begun, epochs)
        else:
            row = None if order is None else np.atleast_2d(order)[begun]
            columns = examples.columns(row, slice(first * self.batch_size, last * self.batch_size))
            if columns is not None:  # those of these steps alone
                first, last, m = 0, last - first, len(columns)
        self._ahead = True
        try:
            done = self._session.run(
                self._inputs(examples),
                self._targets(examples.Y),
                column_numbers(columns),
                m,
                first,
                last,
                np.ascontiguousarray(learning_rate, dtype=np.float64),
                self._weights(examples.weight),
                costs,
                self._interrupted,
            )
        finally:
            if epochs > 1:  # each that ended within has been written
                self._give()
        return costs[:done]

    def gradients(
        self,
        examples: Examples,
        rows: NDArray[np.integer[Any]] | None = None,
        position: int | None = 0,
        *,
        whole_weight: float | None = None,
    ) -> FlatGradients:
        found = FlatGradients.zeros(self.layers, self.dtype, examples.weight_of(rows))
        if found.weight == 0:
            return found
        columns = examples.columns(rows)
        found.J = self._session.gradients(
            self._inputs(examples),
            self._targets(examples.Y),
            column_numbers(columns),
            examples.m if columns is None else len(columns),
            self._weights(examples.weight),
            -1 if position is None else position,
            -1.0 if whole_weight is None else whole_weight,
            *self._gradients(found.by_layer),
        )
        return found

    def apply(self, flat: NDArray[Any], learning_rate: float) -> None:
        self._ahead = True
        by_layer = parameter_views(self.layers, flat, self.dtype)
        self._session.apply(*self._gradients(by_layer), learning_rate)

    def skip(self) -> None:
        self._session.skip()

    def evaluate(
        self, examples: Examples, rows: NDArray[np.integer[Any]] | None = None
    ) -> tuple[float, NDArray[Any]]:
        columns = examples.columns(rows)
        m = examples.m if columns is None else len(columns)
        A = np.empty((self._n_outputs, m), dtype=self.dtype, order="F")
        losses = np.empty(m)
        w = self._weights(examples.weight)
        self._session.evaluate(
            self._inputs(examples),
            self._targets(examples.Y),
            column_numbers(columns),
            m,
            w,
            A,
            losses,
        )
        w = w if w is None or columns is None else w[columns]
        return float(losses.sum()) / (m if w is None else float(w.sum())), A

    @property
    def threads(self) -> int:
        """How many threads it has, this one among them."""
        return int(self._session.threads)

    def finite(self) -> bool:
        return bool(self._session.finite())

    def write_back(self) -> None:
        if not self._ahead:
            return  # the network's arrays may have been set since: they count
        self._ahead = False
        self._write()

    def roll_back(self) -> None:
        if self._ahead:
            self._read()
            self._ahead = False
        else:
            self._write()  # somebody may have written since

    def read_back(self) -> None:
        self.write_back()
        self._read()
        self._looked_at = True

    def state(self) -> State:
        self._session.write_memory()
        slots = {name: array.copy("K") for name, array in self._slots.items()}
        return State(self._session.step, slots)

    def close(self) -> None:
        self.write_back()
        self._prepared.clear()
        self._session = None

    def _read(self) -> None:
        for mine, copy in self._copies():
            copy[...] = mine
        if not self._session.same():
            self._session.read()

    def _write(self) -> None:
        self._session.write()
        self._give()

    def _give(self) -> None:
        for mine, copy in self._copies():
            mine[...] = copy

    def _copies(self) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """The network's arrays that are not Fortran-ordered, and those lent to the module."""
        for place, mine in self._own.items():
            if mine is not self._lent[place]:
                yield mine, self._lent[place]

    def _arrays(self, k: int, letter: str) -> tuple[Any, ...]:
        """A parameter of layer k and its optimizer slots, as the module takes them."""
        layer = self.layers[k]
        if letter not in layer.parameters:
            return (None,)
        slots = (self._slots[slot_name(s, letter, layer)] for s in self.optimizer.slots)
        return (self._lent[k, letter], *slots)

    def _gradients(self, by_layer: list[dict[str, NDArray[Any]]]) -> tuple[list[Any], ...]:
        """The dW (or ds) and the db of the layers, as the module takes them."""
        dW = [each["d" + letter_of(k)] for k, each in zip(self.layers, by_layer, strict=True)]
        return dW, [each.get("db") for each in by_layer]

    def _once(self, kind: str, source: Any, prepare: Callable[[Any], Any]) -> Any:
        """Prepare an array the first time it comes; epochs bring the same ones again and again."""
        known = self._prepared.setdefault(kind, [])
        for array, prepared in known:
            if array is source:
                return prepared
        known[:] = [(source, prepare(source)), *known[:1]]  # of training and of validation
        return known[0][1]

    def _inputs(self, examples: Examples) -> Any:
        return self._once("X", examples.X, self._first_seen)

    def _first_seen(self, X: Data) -> Any:
        self._session.forget()  # another X may lie where one lay that is gone
        return gathered(X, self.dtype)

    def _targets(self, Y: NDArray[Any]) -> Any:
        if Y.ndim == 1 or len(Y) != self._n_outputs:  # class numbers, of each step where there are
            return self._once("Y", Y, lambda Y: np.asfortranarray(Y, dtype=np.int64))
        return self._once("Y", Y, lambda Y: np.asfortranarray(Y, dtype=self.dtype))

    def _weights(self, w: NDArray[Any] | None) -> Any:
        if w is None:
            return None
        return self._once("weights", w, lambda w: np.ascontiguousarray(w, dtype=np.float64))


def _of_epochs(
    examples: Examples, order: NDArray[np.integer[Any]] | None, begun: int, count: int
) -> NDArray[np.integer[Any]] | None:
    """The columns of X of whole epochs, one after the other; None for all of X, in its order."""
    if order is not None:
        return examples.columns(order[begun : begun + count].ravel())
    return None if examples.rows is None else np.tile(examples.rows, count)
