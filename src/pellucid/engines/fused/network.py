"""A training of a network of any layers on the compiled module, and predictions by it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.engines.contract import (
    Data,
    Examples,
    HasLayers,
    Job,
    Objective,
    Predictor,
    refuse_mixing,
)
from pellucid.engines.fused.columns import gathered
from pellucid.engines.fused.module import SETTINGS, loss_spec, module, optimizer_spec
from pellucid.engines.fused.plan import Plan, plan
from pellucid.engines.fused.session import FusedSession
from pellucid.engines.threads import WORK_PER_NEW_THREAD, available_cpus, worthwhile
from pellucid.layers import Layer, chain
from pellucid.layers.shapes import held, valid_steps
from pellucid.losses import LOSSES
from pellucid.optimizers import OPTIMIZERS


class FusedNetworkSession(FusedSession):
    """Holds the parameters in arrays of the module's own; ``write_back`` puts them back."""

    def _opened(self, job: Job, settings: dict[str, Any]) -> Any:
        self._chain = job.network.layers
        self._plan = plan(self._chain, self._chain[0].input_shape)
        kind = module().Network32 if self.dtype == np.float32 else module().Network64
        place = {id(layer): k for k, layer in enumerate(self.layers)}
        return kind(
            self._plan.with_arrays(
                lambda layer, letter: self._arrays(place[id(layer)], letter),
                lambda layer, name: self._lent[place[id(layer)], name],
            ),
            flops_of(self.layers),
            loss_spec(self.objective, self.layers[-1].activation),
            optimizer_spec(self.optimizer),
            settings,
        )

    def apply(self, flat: NDArray[Any], learning_rate: float) -> None:
        refuse_mixing(self.layers)
        super().apply(flat, learning_rate)

    def _gradients(self, by_layer: list[dict[str, NDArray[Any]]]) -> tuple[list[Any], ...]:
        """One array for each parameter, in the order of the stages."""
        found = {id(k): each for k, each in zip(self.layers, by_layer, strict=True)}
        return (
            [
                found[id(layer)][f"d{letter}"]
                for _, layer in self._plan.own()
                if layer is not None
                for letter in layer.parameters
            ],
        )

    def _inputs(self, examples: Examples) -> Any:
        lengths, shape = examples.lengths, self._chain[0].input_shape

        def checked(X: Data) -> Any:
            check_words(self._plan, shape, X, lengths)
            return gathered(X, self.dtype)

        X = self._once("X", examples.X, checked)
        if lengths is None:
            return X
        return X, self._once("lengths", lengths, self._checked_lengths)

    def _checked_lengths(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        chain.lengths_after(self._chain, lengths)  # refuses examples that are too short
        return np.ascontiguousarray(lengths, dtype=np.int64)


class FusedNetworkPredictor(Predictor):
    """Few examples go straight through the network's arrays, many through a session."""

    FEW = 8
    """Examples up to which packing W would cost more than it saves."""

    def __init__(self, network: HasLayers) -> None:
        self._network, self._dtype = network, network.dtype
        self._plan = plan(network.layers, network.layers[0].input_shape)
        self._n_outputs = math.prod(network.layers[-1].output_shape)
        self._loss = loss_spec(
            Objective(LOSSES["mean_squared_error"]()), network.layers[-1].activation
        )
        self._arrays = [
            (arrays, name, array)
            for layer in network.leaves
            for arrays in (layer.parameters, layer.statistics)
            for name, array in arrays.items()
        ]
        self._flops = flops_of(network.leaves) / 3
        single = network.dtype == np.float32
        self._kind = module().Network32 if single else module().Network64
        self._few = None
        if all(array.flags.f_contiguous for _, _, array in self._arrays):
            predictor = module().NetworkPredictor32 if single else module().NetworkPredictor64
            self._few = predictor(self._stages(), self._loss)

    def holds(self) -> bool:
        for arrays, name, array in self._arrays:  # noqa: SIM110 (a generator takes twice as long)
            if arrays.get(name) is not array:
                return False
        return True

    def __call__(self, X: Data, lengths: NDArray[np.int64] | None = None) -> NDArray[Any]:
        if self._plan.words:
            check_words(self._plan, self._network.layers[0].input_shape, X, lengths)
        few = lengths is None and X.shape[1] <= self.FEW and type(X) is np.ndarray
        if few and self._few is not None and X.dtype == self._dtype and X.flags.f_contiguous:
            out = np.empty((X.shape[1], self._n_outputs), dtype=self._dtype)
            self._few.run(X.T, out)
            return out.T
        return self._many(X, lengths)

    def _many(self, X: Data, lengths: NDArray[np.int64] | None) -> NDArray[Any]:
        """A[L] as a session evaluates it, shared among threads where that pays."""
        m = X.shape[1]
        A = np.empty((self._n_outputs, m), dtype=self._dtype, order="F")
        threads = worthwhile(self._flops * m, available_cpus(), WORK_PER_NEW_THREAD)
        session = self._kind(
            self._stages(),
            0.0,
            self._loss,
            optimizer_spec(OPTIMIZERS["gradient_descent"]()),
            SETTINGS | {"batch_size": max(1, m), "threads": threads},
        )
        inputs = gathered(X, self._dtype)
        if lengths is not None:
            chain.lengths_after(self._network.layers, lengths)
            inputs = (inputs, np.ascontiguousarray(lengths, dtype=np.int64))
        session.evaluate(inputs, None, None, m, None, A, None)
        return A

    def _stages(self) -> list[dict[str, Any]]:
        """The stages with the network's present arrays."""
        return self._plan.with_arrays(
            lambda layer, letter: (np.asfortranarray(layer.parameters[letter]),),
            lambda layer, name: layer.statistics[name],
        )


def flops_of(layers: list[Layer]) -> float:
    """Return about how many operations the products of a step take for one example."""
    total = 0.0
    for layer in layers:
        steps = layer.input_shape[:1] if layer.carried else layer.output_shape[:-1]
        if layer.parameters and layer.takes != "words":
            weights = next(iter(layer.parameters.values()))
            total += 6.0 * weights.size * math.prod(steps)
    return total


def check_words(
    made: Plan, shape: tuple[int, ...], X: Data, lengths: NDArray[np.int64] | None
) -> None:
    """Refuse what is no word number where an Embedding looks it up in X; padded steps are none."""
    if made.words and lengths is not None:
        X = held(X, valid_steps(lengths, shape))
    for layer, rows in made.words:
        layer.words(X[rows])  # type: ignore[attr-defined]
