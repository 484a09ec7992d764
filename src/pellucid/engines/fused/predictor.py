"""A[L] of a network from its present arrays, to the bits that a session would give."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.engines.contract import Data, HasLayers, Objective, Predictor
from pellucid.engines.fused.columns import entries_of, gathered
from pellucid.engines.fused.module import (
    SETTINGS,
    loss_spec,
    module,
    optimizer_spec,
    stage_spec,
    weights_of,
)
from pellucid.engines.threads import WORK_PER_NEW_THREAD, available_cpus, worthwhile
from pellucid.losses import LOSSES
from pellucid.optimizers import OPTIMIZERS


class FusedPredictor(Predictor):
    """Few examples go straight through the network's arrays, many through a session."""

    FEW = 16
    """Examples up to which packing W would cost more than it saves."""

    def __init__(self, network: HasLayers) -> None:
        self._layers, self._dtype = network.layers, network.dtype
        self._n_outputs = math.prod(network.layers[-1].output_shape)
        self._stages = [stage_spec(layer) for layer in network.layers]
        self._loss = loss_spec(
            Objective(LOSSES["mean_squared_error"]()), network.layers[-1].activation
        )
        self._W = [weights_of(layer) for layer in network.layers]
        self._b = [layer.parameters.get("b") for layer in network.layers]
        single = network.dtype == np.float32
        self._kind = module().Session32 if single else module().Session64
        predictor = module().Predictor32 if single else module().Predictor64
        self._predictor = predictor(self._stages, self._W, self._b)

    def holds(self) -> bool:
        for layer, W, b in zip(self._layers, self._W, self._b, strict=True):
            if weights_of(layer) is not W or layer.parameters.get("b") is not b:
                return False
        return True

    def __call__(self, X: Data, lengths: NDArray[np.int64] | None = None) -> NDArray[Any]:
        if X.shape[1] > self.FEW:
            return self.many(X)
        out = np.empty((X.shape[1], self._n_outputs), dtype=self._dtype)
        if not isinstance(X, np.ndarray) and self._stages[0]["dense"]:
            self._predictor.run_sparse(entries_of(X, self._dtype), out)
        elif type(X) is np.ndarray and X.dtype == self._dtype and X.flags.f_contiguous:
            self._predictor.run(X.T, out)
        else:
            return self.many(X)
        return out.T

    def many(self, X: Data) -> NDArray[Any]:
        """Return A[L] as a session evaluates it, shared among threads where that pays."""
        m = X.shape[1]
        A = np.empty((self._n_outputs, m), dtype=self._dtype, order="F")
        flops = 2.0 * m * sum(W.size for W in self._W)
        inputs, in_place = gathered(X, self._dtype), False
        if isinstance(inputs, tuple) and self._stages[0]["dense"]:
            entries, n_in = len(inputs[0]), self._stages[0]["n_in"]
            in_place = module().worth_sparse(entries, m, n_in)
            if in_place:
                flops += 2.0 * self._stages[0]["n_out"] * (entries - m * n_in)
        threads = worthwhile(flops, available_cpus(), WORK_PER_NEW_THREAD)
        session = self._kind(
            self._stages,
            [(W,) for W in self._W],
            [(b,) for b in self._b],
            self._loss,
            optimizer_spec(OPTIMIZERS["gradient_descent"]()),
            SETTINGS | {"batch_size": 128, "threads": threads, "in_place": in_place},
        )
        session.evaluate(inputs, None, None, m, None, A, None)
        return A
