"""The reference engine: a step of training in the words of the lectures, on NumPy."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import philox, propagation
from pellucid.engines.base import (
    Data,
    Engine,
    HasLayers,
    Objective,
    Session,
    State,
    check_parameters,
    check_state,
    never,
    slot_name,
)
from pellucid.layers import Layer
from pellucid.losses import one_hot
from pellucid.optimizers import Optimizer
from pellucid.propagation import Gradients

BLOCK = 1024
"""Rows of a forward or backward pass at most; a larger mini-batch is a sum over blocks."""


class ReferenceEngine(Engine):
    """Runs any layer, loss and optimizer."""

    name = "reference"

    def refuses(self, *job: Any) -> str:
        return ""

    def start(
        self,
        network: HasLayers,
        objective: Objective,
        optimizer: Optimizer,
        *,
        batch_size: int,
        seed: int = 0,
        state: State | None = None,
        n_threads: int | None = None,
        interrupted: Callable[[], bool] = never,
    ) -> ReferenceSession:
        check_parameters(network.layers, network.dtype, writing=True)
        return ReferenceSession(
            network, objective, optimizer, batch_size, seed, state, n_threads, interrupted
        )


class ReferenceSession(Session):
    """Works on the network's own arrays: a sync keeps a copy of them, for undo."""

    def __init__(
        self,
        network: HasLayers,
        objective: Objective,
        optimizer: Optimizer,
        batch_size: int,
        seed: int,
        state: State | None,
        n_threads: int | None,
        interrupted: Callable[[], bool],
    ) -> None:
        self._interrupted = interrupted
        self.layers, self.dtype = network.layers, network.dtype
        self.objective, self.optimizer = objective, optimizer
        self.batch_size, self.seed = batch_size, seed
        self._n_outputs = math.prod(self.layers[-1].output_shape)
        self._step = 0
        self._slots = {
            slot_name(slot, letter, layer): np.zeros_like(W)
            for layer, letter, W in self._parameters()
            for slot in optimizer.slots
        }
        if state is not None:
            check_state(self.layers, optimizer, state.slots)
            self._step = state.step
            self._slots = {name: array.copy("K") for name, array in state.slots.items()}
        self.sync()
        self._holds_blas = n_threads is not None
        if n_threads is not None:
            _BLAS.hold(n_threads)

    def run(
        self,
        X: Data,
        Y: NDArray[Any],
        order: NDArray[np.integer[Any]] | None,
        first: int,
        last: int,
        *,
        learning_rate: NDArray[np.float64],
        sample_weight: NDArray[Any] | None = None,
    ) -> NDArray[np.float64]:
        costs = np.full(last - first, np.nan)
        m = X.shape[1] if order is None else len(order)
        with np.errstate(over="ignore", invalid="ignore"):
            for k in range(first, last):
                span = slice(k * self.batch_size, min((k + 1) * self.batch_size, m))
                rows = span if order is None else order[span]
                w = None if sample_weight is None else sample_weight[rows]
                self._step += 1
                if w is not None and w.sum() == 0:
                    continue
                J, gradients = self._gradients(X, Y, rows, w, drop=True)
                costs[k - first] = J if math.isfinite(J) else math.inf
                if not math.isfinite(J):
                    return costs[: k - first + 1]
                self._update(gradients.by_layer, float(learning_rate[k - first]))
                if self._interrupted():
                    return costs[: k - first + 1]
        return costs

    def loss_and_gradients(
        self,
        X: Data,
        Y: NDArray[Any],
        sample_weight: NDArray[Any] | None = None,
        rows: NDArray[np.integer[Any]] | None = None,
    ) -> tuple[float, Gradients]:
        with np.errstate(over="ignore", invalid="ignore"):
            if rows is None:
                return self._gradients(X, Y, slice(0, X.shape[1]), sample_weight, drop=False)
            w = None if sample_weight is None else sample_weight[rows]
            return self._gradients(X, Y, rows, w, drop=False)

    def evaluate(
        self,
        X: Data,
        Y: NDArray[Any],
        sample_weight: NDArray[Any] | None = None,
        rows: NDArray[np.integer[Any]] | None = None,
    ) -> tuple[float, NDArray[Any]]:
        m = X.shape[1] if rows is None else len(rows)
        A = np.empty((self._n_outputs, m), dtype=self.dtype, order="F")
        w = sample_weight if sample_weight is None or rows is None else sample_weight[rows]
        total = 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, m, BLOCK):
                block = slice(start, min(start + BLOCK, m))
                part = block if rows is None else rows[block]
                cache = propagation.forward(self.layers, take(X, part, self.dtype))
                each = propagation.losses(cache, self._targets(Y, part), self.objective.loss)
                each = each if w is None else each * w[block]
                total += float(np.sum(each, dtype=np.float64))
                A[:, block] = cache.caches[-1].output
        weight = m if w is None else float(np.sum(w, dtype=np.float64))
        return total / weight, A

    def finite(self) -> bool:
        return all(np.isfinite(W).all() for _, _, W in self._parameters())

    def sync(self) -> None:
        self._synced = [W.copy("K") for _, _, W in self._parameters()]

    def undo(self) -> None:
        for (_, _, W), before in zip(self._parameters(), self._synced, strict=True):
            W[...] = before

    def take(self) -> None:
        self.sync()

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

    def _gradients(
        self, X: Data, Y: NDArray[Any], rows: Any, w: NDArray[Any] | None, *, drop: bool
    ) -> tuple[float, Gradients]:
        """J and its gradients over these rows: blocks added in fixed order, then the penalties."""
        objective, m = self.objective, _count(rows)
        weight = float(m if w is None else np.sum(w, dtype=np.float64))
        summed: Gradients | None = None
        total = 0.0
        for start in range(0, m, BLOCK):
            block = slice(start, min(start + BLOCK, m))
            part = _part(rows, block)
            Yb = self._targets(Y, part)
            if objective.label_smoothing:
                Yb = objective.loss.smoothed(Yb, objective.label_smoothing)
            wb = None if w is None else w[block].astype(self.dtype, copy=False)
            masks = self._masks(start, block.stop - start) if drop else None
            cache = propagation.forward(self.layers, take(X, part, self.dtype), masks)
            each = propagation.losses(cache, Yb, objective.loss)
            total += float(np.sum(each if wb is None else each * wb, dtype=np.float64))
            found = propagation.backward(cache, Yb, objective.loss, wb, m=weight)
            summed = found if summed is None else _add(summed, found)
        assert summed is not None
        penalties = objective.penalties(weight)
        for layer, gradients in zip(self.layers, summed.by_layer, strict=True):
            propagation.add_penalty(layer, gradients, **penalties)
        return total / weight + propagation.penalty(self.layers, **penalties), summed

    def _targets(self, Y: NDArray[Any], rows: Any) -> NDArray[Any]:
        if Y.ndim == 1:
            return one_hot(Y[rows], self._n_outputs, self.dtype)
        return Y[:, rows].astype(self.dtype, copy=False)

    def _masks(self, first: int, m: int) -> dict[int, NDArray[Any]]:
        """The dropout masks of this step for m examples from position ``first``."""
        masks = {}
        for layer in self.layers:
            if layer.dropout:
                kept = philox.dropout_mask(
                    self.seed,
                    layer.output_shape[0],
                    m,
                    layer.dropout,
                    layer=layer.number,
                    step=self._step,
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


def take(X: Data, rows: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return these examples of X as a dense (n[0], B) array of the dtype, examples contiguous."""
    if isinstance(X, np.ndarray):
        taken: NDArray[Any] = X.T[rows].T
        return taken.astype(dtype, copy=False)
    return np.asarray(X[:, rows].toarray(order="F"), dtype=dtype)


def _count(rows: Any) -> int:
    return rows.stop - rows.start if isinstance(rows, slice) else len(rows)


def _part(rows: Any, block: slice) -> Any:
    if isinstance(rows, slice):
        return slice(rows.start + block.start, rows.start + block.stop)
    return rows[block]


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
