"""The reference engine: a step of training in the words of the lectures, on NumPy."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import philox, propagation
from pellucid.engines.contract import (
    Data,
    Engine,
    Examples,
    FlatGradients,
    HasLayers,
    Job,
    Predictor,
    Session,
    State,
    check_parameters,
    check_state,
    parameter_views,
    refuse_mixing,
    slot_name,
)
from pellucid.layers import Layer
from pellucid.layers.shapes import by_place, unrolled
from pellucid.losses import one_hot
from pellucid.propagation import Gradients

BLOCK = 1024
"""Rows of a forward or backward pass at most; a larger mini-batch is a sum over blocks."""

NUMBERS = 2**25
"""Numbers of one layer's work at most, such as the patches of a convolution: else fewer rows."""


class ReferenceEngine(Engine):
    """Runs any layer, loss and optimizer."""

    name = "reference"

    def refuses(self, job: Job) -> str:
        return ""

    def start(self, job: Job) -> ReferenceSession:
        check_parameters(job.network.leaves, job.network.dtype, writing=True)
        return ReferenceSession(job)

    def predictor(self, network: HasLayers) -> ReferencePredictor:
        return ReferencePredictor(network)


class ReferencePredictor(Predictor):
    """The forward pass, some examples at a time, so that a large X needs little memory."""

    def __init__(self, network: HasLayers) -> None:
        self._layers, self._dtype = network.layers, network.dtype
        self._block = rows_at_once(network.leaves)

    def __call__(self, X: Data, lengths: NDArray[np.int64] | None = None) -> NDArray[Any]:
        n_outputs, m = math.prod(self._layers[-1].output_shape), X.shape[1]
        A = np.empty((n_outputs, m), dtype=self._dtype, order="F")
        for start in range(0, m, self._block):
            block = slice(start, start + self._block)
            steps = None if lengths is None else lengths[block]
            cache = propagation.forward(self._layers, take(X, block, self._dtype), lengths=steps)
            A[:, block] = cache.chain_caches[-1].output
        return A

    def holds(self) -> bool:
        return False  # with other arrays in the layers a faster engine may take them


class ReferenceSession(Session):
    """Works on the network's own arrays: write_back keeps a copy of them, for roll_back."""

    def __init__(self, job: Job) -> None:
        self._interrupted = job.interrupted
        self.chain, self.layers = job.network.layers, job.network.leaves
        self.dtype = job.network.dtype
        self._rows = rows_at_once(self.layers)
        self._block = sys.maxsize if any(k.mixes_examples for k in self.layers) else self._rows
        self.objective, self.optimizer = job.objective, job.optimizer
        self.batch_size, self.seed = job.batch_size, job.seed
        self._n_outputs = math.prod(self.layers[-1].output_shape)
        self._step = 0
        self._slots = {
            slot_name(slot, letter, layer): np.zeros_like(W)
            for layer, letter, W in self._parameters()
            for slot in self.optimizer.slots
        }
        if job.state is not None:
            check_state(self.layers, self.optimizer, job.state.slots)
            self._step = job.state.step
            self._slots = {name: array.copy("K") for name, array in job.state.slots.items()}
        self.write_back()
        self._holds_blas = job.n_threads is not None
        if job.n_threads is not None:
            _BLAS.hold(job.n_threads)

    def run(
        self,
        examples: Examples,
        order: NDArray[np.integer[Any]] | None,
        first: int,
        last: int,
        *,
        learning_rate: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        costs = np.full(last - first, np.nan)
        m = examples.m if order is None else order.shape[-1]
        steps = -(-m // self.batch_size)
        with np.errstate(over="ignore", invalid="ignore"):
            for k in range(first, last):
                start = k % steps * self.batch_size
                row = None if order is None else np.atleast_2d(order)[k // steps]
                columns = _columns(examples, row, slice(start, min(start + self.batch_size, m)))
                J = self._do_step(examples, columns, float(learning_rate[k - first]))
                costs[k - first] = J
                good = not math.isinf(J)
                if good and (k + 1) % steps == 0 and k + 1 < last:
                    good = self.finite()
                    if good:
                        self.write_back()
                if not good or self._interrupted():
                    return costs[: k - first + 1]
        return costs

    def gradients(
        self,
        examples: Examples,
        rows: NDArray[np.integer[Any]] | None = None,
        position: int | None = 0,
        *,
        whole_weight: float | None = None,
    ) -> FlatGradients:
        flat = FlatGradients.zeros(self.layers, self.dtype, examples.weight_of(rows))
        if flat.weight == 0:
            return flat
        columns = _columns(examples, rows)
        with np.errstate(over="ignore", invalid="ignore"):
            flat.J, found = self._gradients(examples, columns, position, whole_weight)
        for mine, theirs in zip(flat.by_layer, found.by_layer, strict=True):
            for name, array in mine.items():
                array[...] = theirs[name]
        return flat

    def _do_step(self, examples: Examples, columns: Any, learning_rate: float) -> float:
        """J before the update; NaN where there is none to do, inf where J was not finite."""
        if examples.weight is not None and examples.weight[columns].sum() == 0:
            self.skip()
            return math.nan
        J, gradients = self._gradients(examples, columns, 0, learn=True)
        self._step += 1
        if not math.isfinite(J):
            return math.inf
        self._update(gradients.by_layer, learning_rate)
        return J

    def apply(self, flat: NDArray[Any], learning_rate: float) -> None:
        refuse_mixing(self.layers)
        by_layer = parameter_views(self.layers, flat, self.dtype)
        self._step += 1
        with np.errstate(over="ignore", invalid="ignore"):
            self._update(by_layer, learning_rate)

    def skip(self) -> None:
        self._step += 1

    def evaluate(
        self, examples: Examples, rows: NDArray[np.integer[Any]] | None = None
    ) -> tuple[float, NDArray[Any]]:
        columns = _columns(examples, rows)
        m = _count(columns)
        A = np.empty((self._n_outputs, m), dtype=self.dtype, order="F")
        w = None if examples.weight is None else examples.weight[columns]
        total = 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, m, self._rows):
                block = slice(start, min(start + self._rows, m))
                part = _part(columns, block)
                X, lengths = take(examples.X, part, self.dtype), _lengths(examples, part)
                cache = propagation.forward(self.chain, X, lengths=lengths)
                Yb = self._targets(examples.Y, part)
                each = propagation.losses(cache, Yb, self.objective.loss)
                each = each if w is None else each * w[block]
                total += float(np.sum(each, dtype=np.float64))
                A[:, block] = cache.chain_caches[-1].output
        weight = m if w is None else float(np.sum(w, dtype=np.float64))
        return total / weight, A

    def finite(self) -> bool:
        return all(np.isfinite(array).all() for array in self._arrays())

    def write_back(self) -> None:
        self._synced = [array.copy("K") for array in self._arrays()]

    def roll_back(self) -> None:
        for array, before in zip(self._arrays(), self._synced, strict=True):
            array[...] = before

    def read_back(self) -> None:
        self.write_back()

    def state(self) -> State:
        return State(self._step, {name: array.copy("K") for name, array in self._slots.items()})

    def close(self) -> None:
        if self._holds_blas:
            self._holds_blas = False
            _BLAS.release()

    def _parameters(self) -> list[tuple[Layer, str, NDArray[Any]]]:
        return [
            (layer, letter, W) for layer in self.layers for letter, W in layer.parameters.items()
        ]

    def _arrays(self) -> list[NDArray[Any]]:
        """What training changes: parameters, and the statistics of layers."""
        statistics = [array for layer in self.layers for array in layer.statistics.values()]
        return [*(W for _, _, W in self._parameters()), *statistics]

    def _gradients(
        self,
        examples: Examples,
        columns: Any,
        position: int | None,
        whole_weight: float | None = None,
        *,
        learn: bool = False,
    ) -> tuple[float, Gradients]:
        """J and its gradients over these columns: blocks added in fixed order, then the penalties.

        Units are dropped by the columns' position in the mini-batch, for None not at all. With
        ``learn`` layers take the statistics of these examples into theirs.
        """
        objective, m = self.objective, _count(columns)
        w = None if examples.weight is None else examples.weight[columns]
        weight = float(m if w is None else np.sum(w, dtype=np.float64))
        summed: Gradients | None = None
        total = 0.0
        for start in range(0, m, self._block):
            block = slice(start, min(start + self._block, m))
            part = _part(columns, block)
            Yb = self._targets(examples.Y, part)
            if objective.label_smoothing:
                n = self.layers[-1].output_shape[-1]
                Yb = objective.loss.smoothed(by_place(Yb, n), objective.label_smoothing)
                Yb = unrolled(Yb, block.stop - start)
            wb = None if w is None else w[block].astype(self.dtype, copy=False)
            size = block.stop - start
            masks = None if position is None else self._masks(position + start, size)
            X, lengths = take(examples.X, part, self.dtype), _lengths(examples, part)
            cache = propagation.forward(self.chain, X, masks, lengths=lengths, training=True)
            each = propagation.losses(cache, Yb, objective.loss)
            total += float(np.sum(each if wb is None else each * wb, dtype=np.float64))
            found = propagation.backward(cache, Yb, objective.loss, wb, m=weight)
            summed = found if summed is None else _add(summed, found)
            if learn:
                propagation.learn_statistics(cache)
        assert summed is not None
        penalties = objective.penalties(weight if whole_weight is None else whole_weight)
        for layer, gradients in zip(self.layers, summed.by_layer, strict=True):
            propagation.add_penalty(layer, gradients, **penalties)
        return total / weight + propagation.penalty(self.layers, **penalties), summed

    def _targets(self, Y: NDArray[Any], rows: Any) -> NDArray[Any]:
        if Y.ndim == 1 or len(Y) != self._n_outputs:
            return one_hot(Y[..., rows], self.layers[-1].output_shape[-1], self.dtype)
        return Y[:, rows].astype(self.dtype, copy=False)

    def _masks(self, first: int, m: int) -> dict[int, NDArray[Any]]:
        """The dropout masks of the coming step for m examples from position ``first``."""
        masks = {}
        for layer in self.layers:
            if layer.dropout:
                kept = philox.dropout_mask(
                    self.seed,
                    math.prod(layer.output_shape),
                    m,
                    layer.dropout,
                    layer=layer.number,
                    step=self._step + 1,
                    first=first,
                )
                masks[layer.number] = kept.astype(self.dtype) / (1 - layer.dropout)
        return masks

    def _update(self, by_layer: list[dict[str, NDArray[Any]]], learning_rate: float) -> None:
        """One step of the optimizer on every parameter, the gradient clipped before."""
        clip = self._clip_factor(by_layer)
        for layer, gradients in zip(self.layers, by_layer, strict=True):
            for letter, W in layer.parameters.items():
                dW = gradients["d" + letter]
                if clip != 1:
                    dW = clip * dW
                if self.objective.clip_value is not None:
                    dW = np.clip(dW, -self.objective.clip_value, self.objective.clip_value)
                alpha = learning_rate * layer.rate_factor(letter)
                if self.optimizer.decay and letter in layer.penalised:
                    W *= 1 - alpha * self.optimizer.decay * layer.weight_decay_factor
                state = {s: self._slots[slot_name(s, letter, layer)] for s in self.optimizer.slots}
                self.optimizer.update(W, dW, state, alpha=alpha, t=self._step)

    def _clip_factor(self, by_layer: list[dict[str, NDArray[Any]]]) -> float:
        bound = self.objective.clip_norm
        if bound is None:
            return 1.0
        squares = 0.0
        for layer, gradients in zip(self.layers, by_layer, strict=True):
            for letter in layer.parameters:
                squares += float(np.sum(np.square(gradients["d" + letter], dtype=np.float64)))
        return min(1.0, bound / math.sqrt(squares)) if squares > 0 else 1.0


def rows_at_once(layers: Iterable[Layer]) -> int:
    """Return how many rows a pass takes."""
    return max(1, min(BLOCK, NUMBERS // max(layer.numbers for layer in layers)))


def take(X: Data, rows: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return these examples of X as a dense (n[0], B) array of the dtype, examples contiguous."""
    if isinstance(X, np.ndarray):
        taken: NDArray[Any] = X.T[rows].T
        return taken.astype(dtype, copy=False)
    return np.asarray(X[:, rows].toarray(order="F"), dtype=dtype)


def _columns(
    examples: Examples, order: NDArray[np.integer[Any]] | None, part: slice | None = None
) -> Any:
    """The columns of X of a part of an order, None: of all; a slice where they lie in a row."""
    part = slice(0, examples.m if order is None else len(order)) if part is None else part
    columns = examples.columns(order, part)
    return part if columns is None else columns


def _lengths(examples: Examples, columns: Any) -> NDArray[np.int64] | None:
    return None if examples.lengths is None else examples.lengths[columns]


def _count(columns: Any) -> int:
    return columns.stop - columns.start if isinstance(columns, slice) else len(columns)


def _part(columns: Any, block: slice) -> Any:
    if isinstance(columns, slice):
        return slice(columns.start + block.start, columns.start + block.stop)
    return columns[block]


def _add(a: Gradients, b: Gradients) -> Gradients:
    """Add the derivatives of J; dZ and dA of the examples are not kept beyond a block."""
    a.dA.clear()
    for mine, others in zip(a.by_layer, b.by_layer, strict=True):
        mine.pop("dZ", None)
        for name in mine:
            mine[name] = mine[name] + others[name]
    return a


class _Blas:
    """Holds BLAS to a number of threads, which is one number for the whole process.

    Sessions of several Python threads may overlap: the last one out restores what the first found.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._found: Any = None

    def hold(self, n_threads: int) -> None:
        from threadpoolctl import threadpool_limits

        with self._lock:
            limits = threadpool_limits(n_threads, user_api="blas")
            if self._holders == 0:
                self._found = limits
            self._holders += 1

    def release(self) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                self._found.restore_original_limits()


_BLAS = _Blas()
