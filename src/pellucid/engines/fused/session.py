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
    weights_of,
)
from pellucid.layers import Layer


class FusedSession(Session):
    """Holds the parameters in panels; ``write_back`` puts them back to the network's arrays."""

    def __init__(self, job: Job, n_threads: int) -> None:
        objective, optimizer = job.objective, job.optimizer
        self.layers, self.dtype = job.network.layers, job.network.dtype
        self.objective, self.optimizer = objective, optimizer
        self.batch_size, self._interrupted = job.batch_size, job.interrupted
        self._n_outputs = math.prod(self.layers[-1].output_shape)
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
        kind = module().Session32 if self.dtype == np.float32 else module().Session64
        self._own = [(weights_of(k), k.parameters.get("b")) for k in self.layers]
        self._lent = [
            tuple(None if a is None else np.asfortranarray(a) for a in pair) for pair in self._own
        ]
        self._session: Any = kind(
            [stage_spec(layer) for layer in self.layers],
            [self._arrays(k, letter_of(k), 0) for k in self.layers],
            [self._arrays(k, "b", 1) for k in self.layers],
            loss_spec(objective, self.layers[-1].activation),
            optimizer_spec(optimizer),
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
        part = slice(first * self.batch_size, last * self.batch_size)
        columns = examples.columns(order, part)
        if columns is not None:  # those of these steps alone
            first, last = 0, last - first
        self._ahead = True
        done = self._session.run(
            self._inputs(examples.X),
            self._targets(examples.Y),
            column_numbers(columns),
            examples.m if columns is None else len(columns),
            first,
            last,
            np.ascontiguousarray(learning_rate, dtype=np.float64),
            self._weights(examples.weight),
            costs,
            self._interrupted,
        )
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
            self._inputs(examples.X),
            self._targets(examples.Y),
            column_numbers(columns),
            examples.m if columns is None else len(columns),
            self._weights(examples.weight),
            -1 if position is None else position,
            -1.0 if whole_weight is None else whole_weight,
            *self._pairs(found.by_layer),
        )
        return found

    def apply(self, flat: NDArray[Any], learning_rate: float) -> None:
        self._ahead = True
        pairs = self._pairs(parameter_views(self.layers, flat, self.dtype))
        self._session.apply(*pairs, learning_rate)

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
            self._inputs(examples.X),
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
        for mine, copy in self._copies():
            mine[...] = copy

    def _copies(self) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """The network's arrays that are not Fortran-ordered, and those lent to the module."""
        for own, lent in zip(self._own, self._lent, strict=True):
            for mine, copy in zip(own, lent, strict=True):
                if mine is not None and copy is not None and mine is not copy:
                    yield mine, copy

    def _arrays(self, layer: Layer, letter: str, which: int) -> tuple[Any, ...]:
        """A parameter and its optimizer slots, as the module takes them."""
        if letter not in layer.parameters:
            return (None,)
        own = self._lent[self.layers.index(layer)][which]
        return (own, *(self._slots[slot_name(s, letter, layer)] for s in self.optimizer.slots))

    def _pairs(self, by_layer: list[dict[str, NDArray[Any]]]) -> tuple[list[Any], list[Any]]:
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

    def _inputs(self, X: Data) -> Any:
        return self._once("X", X, self._first_seen)

    def _first_seen(self, X: Data) -> Any:
        self._session.forget()  # another X may lie where one lay that is gone
        return gathered(X, self.dtype)

    def _targets(self, Y: NDArray[Any]) -> Any:
        if Y.ndim == 1:
            return self._once("Y", Y, lambda Y: np.ascontiguousarray(Y, dtype=np.int64))
        return self._once("Y", Y, lambda Y: np.asfortranarray(Y, dtype=self.dtype))

    def _weights(self, w: NDArray[Any] | None) -> Any:
        if w is None:
            return None
        return self._once("weights", w, lambda w: np.ascontiguousarray(w, dtype=np.float64))
