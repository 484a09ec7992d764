"""The numbers of a trace against central differences, and against the fused engine."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid import propagation
from pellucid.engines import Examples, Job, Objective, choose_engine
from pellucid.insight.gradient_check import (
    Compared,
    GradientCheck,
    check_gradients,
    compared,
    in_float64,
    noise,
    sizes,
)
from pellucid.layers import Layer, LayerCache
from pellucid.layers.shapes import by_place, unrolled
from pellucid.optimizers import optimizer

if TYPE_CHECKING:
    from pellucid.insight.trace.trace import Trace

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TraceCheck(GradientCheck):
    """What :meth:`Trace.check` found; ``str()`` lays it out as a table.

    Attributes
    ----------
    arrays, tolerance, near_kink
        As :class:`pellucid.insight.GradientCheck` has them; each array is a derivative of "J", or
        of "L", the loss of each example.
    fused : float or None
        The largest relative difference of A[L], dW and db from the fused engine's; None where it
        cannot run the network, ``fused_note`` says why.
    """

    fused: float | None = None
    fused_note: str = ""

    def __str__(self) -> str:
        if self.fused is None:
            return f"{super().__str__()}\nfused engine: not compared, {self.fused_note}"
        return f"{super().__str__()}\nfused engine: largest relative difference {self.fused:.1e}"


def check_trace(trace: Trace, *, step: float, tolerance: float) -> TraceCheck:
    """Compare dW, db, ds with differences of J; dZ, dA, dX with those of each example's loss."""
    parameters = check_gradients(
        trace.network,
        trace.cache.X,
        trace.Y,
        trace.loss,
        sample_weight=trace.weight,
        l1=trace.l1,
        l2=trace.l2,
        lengths=trace.lengths,
        step=step,
        tolerance=tolerance,
    )
    examples = _by_example(trace, step, tolerance)
    arrays = {**{k: v for k, v in parameters.arrays.items() if k != "dX"}, **examples}
    fused, note = _fused_difference(trace)
    return TraceCheck(arrays, tolerance, parameters.near_kink, fused, note)


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is reported as wrong
def _by_example(trace: Trace, step: float, tolerance: float) -> dict[str, Compared]:
    """dX, and each dZ[l] and dA[l]: examples do not mix, so a whole row is moved at once.

    dZ[l] only where A[l] = g(Z[l]), and of no layer that goes from step to step: else nobody but
    the layer knows the way.
    """
    net = in_float64(trace.network)
    X = np.asarray(trace.cache.X, dtype=np.float64)
    cache = net.forward(X, cache=True, lengths=trace.lengths)
    Y = trace.Y.astype(np.float64)
    weight = None if trace.weight is None else trace.weight.astype(np.float64)
    gradients = propagation.backward(cache, Y, trace.loss, weight, inputs=True)
    lost = noise(float(sizes(cache, gradients, Y, trace.loss, weight).max()), step)

    def losses(layers: Sequence[Layer], X: Floats) -> Floats:
        again = propagation.forward(layers, X, lengths=cache.lengths)
        found = np.asarray(propagation.losses(again, Y, trace.loss))
        return found if weight is None else found * weight

    def held(found: Floats, at: Floats, each: Callable[[Floats], Floats]) -> Compared:
        return compared("L", found, lambda h: _row_differences(each, at, h), step, lost, tolerance)

    def after(layer: Layer, kept: LayerCache, of_Z: bool) -> Callable[[Floats], Floats]:
        return lambda values: losses(_instead(net.layers, layer, kept, values, of_Z), cache.X)

    arrays = {"dX": held(gradients.dX, cache.X, lambda X: losses(net.layers, X))}
    for layer, kept, found in zip(cache.layers, cache.caches, gradients.by_layer, strict=True):
        if layer.computes_Z and "dZ" in found and _is_g_of_Z(layer, kept):
            each = after(layer, kept, of_Z=True)
            arrays[f"dZ{layer.number}"] = held(found["dZ"], kept.Z, each)
    for k, (layer, kept) in enumerate(zip(cache.chain, cache.chain_caches, strict=True)):
        l, behind = layer.number, cache.chain[k + 1 :]
        if not (behind and behind[0].number > l) and (behind or l not in gradients.dA):
            continue  # only the last of a number has a dA; a fused pair goes straight to dZ[L]
        name = f"dA{l}" if layer.computes_Z else f"dA*{l}"
        arrays[name] = held(gradients.dA[l], kept.output, after(layer, kept, of_Z=False))
    return arrays


def _is_g_of_Z(layer: Layer, kept: LayerCache) -> bool:
    """Whether a layer's output is g(Z) and nothing else, and each step's by itself."""
    if kept.Z is None or kept.steps:
        return False
    output = _output(layer, kept.Z)
    there = True if kept.valid is None else kept.valid
    return bool(np.array_equal(np.where(there, output, 0), kept.output, equal_nan=True))


def _output(layer: Layer, Z: Floats) -> Floats:
    """A = g(Z), a column for each example."""
    if layer.activation is None:
        return Z
    A = layer.activation(by_place(Z, layer.output_shape[-1]))
    found: Floats = unrolled(A, Z.shape[1])
    return found


def _instead(
    layers: Sequence[Layer], layer: Layer, kept: LayerCache, values: Floats, of_Z: bool
) -> list[Layer]:
    """The layers with one of them, be it inside of another, that has these for its output or Z."""

    def changed(each: Layer) -> Layer:
        if each is not layer:
            return each.with_inner(changed)
        A, Z = (_output(each, values), values) if of_Z else (values, None)
        made = copy.copy(each)
        cache = LayerCache(kept.A_prev, A, Z, A, inner=kept.inner)
        made.forward = lambda *_, **given: (A, cache)  # type: ignore[method-assign]
        return made

    return list(map(changed, layers))


def _row_differences(each: Callable[[Floats], Floats], at: Floats, step: float) -> Floats:
    found = np.empty(at.shape)
    for row in range(len(at)):
        above, below = at.copy(), at.copy()
        above[row] += step
        below[row] -= step
        found[row] = (each(above) - each(below)) / (above[row] - below[row])
    return found


def _fused_difference(trace: Trace) -> tuple[float | None, str]:
    """A[L], dW, db and ds of the fused engine beside the reference's."""
    objective = Objective(trace.loss, trace.l1, trace.l2)
    job = Job(trace.network, objective, optimizer("gradient_descent"), trace.cache.X.shape[1])
    engine, note = choose_engine("auto", job)
    if engine.name != "fused":
        return None, note
    session = engine.start(job)
    try:
        found = session.gradients(
            Examples(trace.cache.X, trace.Y, trace.weight, lengths=trace.lengths), position=None
        )
    finally:
        session.close()
    pairs = [(trace.network.forward(trace.cache.X), trace.cache.A[trace.network.L])]
    for mine, theirs in zip(found.by_layer, trace.gradients.by_layer, strict=True):
        pairs += [(mine[key], theirs[key]) for key in mine]
    tiny = float(np.finfo(np.float32).tiny)
    return max(
        float(np.abs(a - b).max()) / max(float(np.abs(b).max()), tiny) for a, b in pairs
    ), note
