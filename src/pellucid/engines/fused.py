"""The fused engine: C++, one module for each SIMD level of the processor."""

from __future__ import annotations

import functools
import math
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid._catalogue import Entry
from pellucid.activations import Activation
from pellucid.engines import simd
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
from pellucid.engines.threads import WORK_PER_NEW_THREAD, available_cpus, worthwhile
from pellucid.layers import Dense, Layer, Scale
from pellucid.losses import LOSSES, pair
from pellucid.optimizers import LBFGS, OPTIMIZERS, Optimizer
from pellucid.propagation import Gradients

_OPTIMIZER_IDS = {
    "gradient_descent": 0,
    "lbfgs": 0,  # its steps are scipy's; only the gradients come from here
    "momentum": 1,
    "classical_momentum": 2,
    "nesterov": 3,
    "rmsprop": 4,
    "adam": 5,
    "adamw": 5,
}
_DIRECT = ("float32", "float64", "uint8", "int32", "int64")
"""The dtypes of X that are gathered as they are; others are converted first."""


_SETTINGS: dict[str, Any] = {
    "l1": 0.0,
    "l2": 0.0,
    "penalty_per_weight": False,
    "clip_value": -1.0,
    "clip_norm": -1.0,
    "batch_size": 1,
    "threads": 1,
    "tuned": True,
    "seed": 0,
    "step": 0,
    "training": False,
}


_TABLES = tuple(f"pellucid.{name}" for name in ("activations", "losses", "optimizers"))
"""Where the entries are defined that the C++ knows."""


class FusedEngine(Engine):
    """Runs what the tables hold: Dense and Scale, every activation, loss and optimizer."""

    name = "fused"

    def refuses(self, *job: Any) -> str:
        network, objective, optimizer = job
        reason = refuses_layers(network.layers)
        if reason:
            return reason
        if _is_users(objective.loss):
            return f"the loss {objective.loss!r} is a custom one"
        if _is_users(optimizer):
            return f"the optimizer {optimizer!r} is a custom one"
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
    ) -> FusedSession:
        check_parameters(network.layers, network.dtype, writing=True)
        asked = n_threads or 1
        if n_threads is None:
            flops = 6.0 * batch_size * sum(math.prod(_weights(k).shape) for k in network.layers)
            n_threads = worthwhile(flops, available_cpus())
        session = FusedSession(
            network, objective, optimizer, batch_size, seed, state, n_threads, interrupted
        )
        if session.threads < asked:
            warnings.warn(
                f"{session.threads} of {asked} threads could be started, the system allows no "
                "more; the training goes on with these.",
                RuntimeWarning,
                stacklevel=2,
            )
        return session


def _is_users(entry: Entry) -> bool:
    """Whether an entry is a user's own, registered in its table or not."""
    return type(entry).__module__ not in _TABLES


@functools.cache
def _module() -> Any:
    """The module of the level that runs here; where there is none, the reason as a string."""
    try:
        return simd.load_level()
    except ImportError as error:
        return str(error)


def refuses_layers(layers: list[Layer]) -> str:
    """Return why the engine cannot run these layers, or ""."""
    if isinstance(_module(), str):
        return str(_module())
    for layer in layers:
        if type(layer) not in (Dense, Scale):
            return f"it has no {type(layer).__name__}"
        g = layer.activation
        if g is not None and _is_users(g):
            return f"the activation {g!r} is a custom one"
    return ""


class FusedForward:
    """A[L] of a network from its present arrays, to the bits that a session would give.

    ``holds`` says whether the arrays it points to are still the network's.
    """

    FEW = 16
    """Examples up to which packing W would cost more than it saves."""

    def __init__(self, network: Any) -> None:
        module = _module()
        self._stages = [_stage(layer, module) for layer in network.layers]
        self._loss = _loss(
            Objective(LOSSES["mean_squared_error"]()), network.layers[-1].activation, module
        )
        self._layers = network.layers
        self._W = [_weights(layer) for layer in network.layers]
        self._b = [layer.parameters.get("b") for layer in network.layers]
        single = network.dtype == np.float32
        self._kind = module.Session32 if single else module.Session64
        self._dtype, self._n_outputs = network.dtype, network.layers[-1].output_shape[0]
        predictor = module.Predictor32 if single else module.Predictor64
        self._predictor = predictor(self._stages, self._W, self._b)

    def holds(self) -> bool:
        """Whether every parameter is still the very array it was."""
        for layer, W, b in zip(self._layers, self._W, self._b, strict=True):
            if _weights(layer) is not W or layer.parameters.get("b") is not b:
                return False
        return True

    def few(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return (m, n[L]) for C-contiguous rows (m, n[0]) of the network's dtype."""
        out = np.empty((rows.shape[0], self._n_outputs), dtype=self._dtype)
        self._predictor.run(rows, out)
        return out

    def many(self, X: Data) -> NDArray[Any]:
        """Return A[L], (n[L], m), examples contiguous."""
        m = X.shape[1]
        A = np.empty((self._n_outputs, m), dtype=self._dtype, order="F")
        flops = 2.0 * m * sum(W.size for W in self._W)
        threads = worthwhile(flops, available_cpus(), WORK_PER_NEW_THREAD)
        settings = _SETTINGS | {"batch_size": 256, "threads": threads}
        session = self._kind(
            self._stages,
            [(W,) for W in self._W],
            [(b,) for b in self._b],
            self._loss,
            optimizer_spec(OPTIMIZERS["gradient_descent"]()),
            settings,
        )
        session.evaluate(_gathered(X, self._dtype), None, None, m, None, A, None)
        return A


class FusedSession(Session):
    """Holds the parameters in panels; ``sync`` writes them back to the network's arrays."""

    def __init__(
        self,
        network: HasLayers,
        objective: Objective,
        optimizer: Optimizer,
        batch_size: int,
        seed: int,
        state: State | None,
        n_threads: int,
        interrupted: Callable[[], bool],
    ) -> None:
        self.layers, self.dtype = network.layers, network.dtype
        self.objective, self.optimizer = objective, optimizer
        self.batch_size, self._interrupted = batch_size, interrupted
        self._n_outputs = self.layers[-1].output_shape[0]
        self._ahead = False  # of the network's arrays
        self._prepared: dict[str, list[tuple[Any, Any]]] = {}
        self._slots = {
            slot_name(slot, letter, layer): np.zeros_like(W, order="F")
            for layer in self.layers
            for letter, W in layer.parameters.items()
            for slot in optimizer.slots
        }
        step = 0
        if state is not None:
            check_state(self.layers, optimizer, state.slots)
            step = state.step
            for name, array in state.slots.items():
                self._slots[name][...] = array
        module = _module()
        kind = module.Session32 if self.dtype == np.float32 else module.Session64
        self._own = [(_weights(k), k.parameters.get("b")) for k in self.layers]
        self._lent = [
            tuple(None if a is None else np.asfortranarray(a) for a in pair) for pair in self._own
        ]
        self._session: Any = kind(
            [_stage(layer, module) for layer in self.layers],
            [self._arrays(k, _letter(k), 0) for k in self.layers],
            [self._arrays(k, "b", 1) for k in self.layers],
            _loss(objective, self.layers[-1].activation, module),
            optimizer_spec(optimizer),
            _SETTINGS
            | {
                "l1": objective.l1,
                "l2": objective.l2,
                "penalty_per_weight": objective.penalty_per_weight,
                "clip_value": -1.0 if objective.clip_value is None else objective.clip_value,
                "clip_norm": -1.0 if objective.clip_norm is None else objective.clip_norm,
                "batch_size": batch_size,
                "threads": n_threads,
                "tuned": os.environ.get("PELLUCID_TUNE", "1") != "0",
                "seed": seed,
                "step": step,
                "training": True,
            },
        )

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
        costs = np.empty(last - first)
        self._ahead = True
        done = self._session.run(
            self._examples(X),
            self._targets(Y),
            _columns(order),
            X.shape[1] if order is None else len(order),
            first,
            last,
            np.ascontiguousarray(learning_rate, dtype=np.float64),
            self._weights(sample_weight),
            costs,
            self._interrupted,
        )
        return costs[:done]

    def loss_and_gradients(
        self,
        X: Data,
        Y: NDArray[Any],
        sample_weight: NDArray[Any] | None = None,
        rows: NDArray[np.integer[Any]] | None = None,
    ) -> tuple[float, Gradients]:
        self.take()  # L-BFGS sets them between passes
        by_layer: list[dict[str, NDArray[Any]]] = [
            {f"d{letter}": np.empty_like(W, order="F") for letter, W in layer.parameters.items()}
            for layer in self.layers
        ]
        J = self._session.loss_and_gradients(
            self._examples(X),
            self._targets(Y),
            _columns(rows),
            X.shape[1] if rows is None else len(rows),
            self._weights(sample_weight),
            [each["d" + _letter(k)] for k, each in zip(self.layers, by_layer, strict=True)],
            [each.get("db") for each in by_layer],
        )
        return J, Gradients(self.layers, by_layer, {})

    def evaluate(
        self,
        X: Data,
        Y: NDArray[Any],
        sample_weight: NDArray[Any] | None = None,
        rows: NDArray[np.integer[Any]] | None = None,
    ) -> tuple[float, NDArray[Any]]:
        m = X.shape[1] if rows is None else len(rows)
        A = np.empty((self._n_outputs, m), dtype=self.dtype, order="F")
        losses = np.empty(m)
        w = self._weights(sample_weight)
        self._session.evaluate(self._examples(X), self._targets(Y), _columns(rows), m, w, A, losses)
        w = w if w is None or rows is None else w[rows]
        return float(losses.sum()) / (m if w is None else float(w.sum())), A

    @property
    def threads(self) -> int:
        """How many threads it has, this one among them."""
        return int(self._session.threads)

    def finite(self) -> bool:
        return bool(self._session.finite())

    def sync(self) -> None:
        if not self._ahead:
            return  # the network's arrays may have been set since: they count
        self._ahead = False
        self._write()

    def undo(self) -> None:
        if self._ahead:
            self._read()
            self._ahead = False
        else:
            self._write()  # somebody may have written since

    def take(self) -> None:
        self.sync()
        self._read()

    def state(self) -> State:
        self._session.write_memory()
        slots = {name: array.copy("K") for name, array in self._slots.items()}
        return State(self._session.step, slots)

    def close(self) -> None:
        self.sync()
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

    def _once(self, kind: str, source: Any, prepare: Callable[[Any], Any]) -> Any:
        """Prepare an array the first time it comes; epochs bring the same ones again and again."""
        known = self._prepared.setdefault(kind, [])
        for array, prepared in known:
            if array is source:
                return prepared
        known[:] = [(source, prepare(source)), *known[:1]]  # of training and of validation
        return known[0][1]

    def _examples(self, X: Data) -> Any:
        return self._once("X", X, lambda X: _gathered(X, self.dtype))

    def _targets(self, Y: NDArray[Any]) -> Any:
        if Y.ndim == 1:
            return self._once("Y", Y, lambda Y: np.ascontiguousarray(Y, dtype=np.int64))
        return self._once("Y", Y, lambda Y: np.asfortranarray(Y, dtype=self.dtype))

    def _weights(self, w: NDArray[Any] | None) -> Any:
        if w is None:
            return None
        return self._once("weights", w, lambda w: np.ascontiguousarray(w, dtype=np.float64))


def _columns(rows: NDArray[np.integer[Any]] | None) -> NDArray[np.int64] | None:
    """The numbers of examples, as the module takes them."""
    return None if rows is None else np.ascontiguousarray(rows, dtype=np.int64)


def _gathered(X: Data, dtype: np.dtype[Any]) -> Any:
    """X as the module gathers it: itself where it can be, or the three arrays of a CSC matrix."""
    if not isinstance(X, np.ndarray):
        X = X.tocsc()
        data, indices, starts = map(np.ascontiguousarray, (X.data, X.indices, X.indptr))
        return _readable(data, dtype), indices, starts
    return _readable(X, dtype)


def _readable(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Numbers that the module converts one by one, as they are; others in its dtype."""
    direct = values.dtype.name in _DIRECT and values.dtype.isnative
    return values if direct else values.astype(dtype)


def _letter(layer: Layer) -> str:
    """The letter of a layer's weights: W of a Dense, s of a Scale."""
    return "W" if "W" in layer.parameters else "s"


def _weights(layer: Layer) -> NDArray[Any]:
    weights: NDArray[Any] = layer.parameters[_letter(layer)]
    return weights


def _stage(layer: Layer, module: Any) -> dict[str, Any]:
    g = layer.activation
    return {
        "dense": g is not None,
        "n_in": layer.input_shape[0],
        "n_out": layer.output_shape[0],
        "number": layer.number,
        "activation": module.activation_ids[g.name] if g else 0,
        "parameter": _parameter(g),
        "needs_Z": bool(g and g.needs_Z),
        "dropout": layer.dropout,
        "rate_W": layer.rate_factor(_letter(layer)),
        "rate_b": layer.rate_factor("b"),
        "decay": float(layer.weight_decay_factor),
    }


def _loss(objective: Objective, g: Activation | None, module: Any) -> dict[str, Any]:
    assert g is not None  # the last layer computes a Z
    loss = objective.loss
    return {
        "id": module.loss_ids[loss.name],
        "parameter": _parameter(loss),
        "smoothing": objective.label_smoothing,
        "output_activation": module.activation_ids[g.name],
        "activation_parameter": _parameter(g),
        "fused": pair(g, loss) is not None,
    }


def _parameter(entry: Any) -> float:
    """The one number that an activation or a loss may have."""
    for name in ("slope", "a", "delta", "q"):
        if hasattr(entry, name):
            return float(getattr(entry, name))
    return 0.0


def optimizer_spec(optimizer: Optimizer) -> dict[str, Any]:
    """Return an optimizer as the module takes it."""
    beta1 = getattr(optimizer, "beta", getattr(optimizer, "beta1", 0.0))
    return {
        "id": _OPTIMIZER_IDS[optimizer.name],
        "beta1": float(beta1),
        "beta2": float(getattr(optimizer, "beta2", 0.0)),
        "epsilon": float(getattr(optimizer, "epsilon", 0.0)),
        "decay": 0.0 if isinstance(optimizer, LBFGS) else float(optimizer.decay),
        "alpha_inside": bool(getattr(optimizer, "alpha_inside", False)),
    }
