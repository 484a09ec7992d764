"""The numbers of a trace against central differences, and against the fused engine."""

from __future__ import annotations

from collections.abc import Callable
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
from pellucid.layers import LayerCache
from pellucid.losses import Loss
from pellucid.optimizers import optimizer
from pellucid.propagation import Cache

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
        step=step,
        tolerance=tolerance,
    )
    examples = _by_example(trace, step, tolerance)
    arrays = {**{k: v for k, v in parameters.arrays.items() if k != "dX"}, **examples}
    fused, note = _fused_difference(trace)
    return TraceCheck(arrays, tolerance, parameters.near_kink, fused, note)


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is reported as wrong
def _by_example(trace: Trace, step: float, tolerance: float) -> dict[str, Compared]:
    """dZ[l], dA[l] and dX: examples do not mix, so a whole row is moved at once.

    dZ[l] only where A[l] = g(Z[l]) is what goes on: else nobody but the layer knows the way.
    """
    net = in_float64(trace.network)
    cache = net.forward(np.asarray(trace.cache.X, dtype=np.float64), cache=True)
    Y = trace.Y.astype(np.float64)
    weight = None if trace.weight is None else trace.weight.astype(np.float64)
    gradients = propagation.backward(cache, Y, trace.loss, weight, inputs=True)
    lost = noise(float(sizes(cache, gradients, Y, trace.loss, weight).max()), step)
    arrays: dict[str, Compared] = {}

    def hold(name: str, found: Floats, k: int, place: str, at: Floats) -> None:
        each = _losses_after(cache, k, Y, trace.loss, weight, place)
        arrays[name] = compared(
            "L", found, lambda h: _row_differences(each, at, h), step, lost, tolerance
        )

    last = len(cache.layers) - 1
    hold("dX", gradients.dX, 0, "input", cache.X)
    for k, (layer, kept) in enumerate(zip(cache.layers, cache.caches, strict=True)):
        l = layer.number
        by_g = kept.A is kept.output and (layer.activation is not None or kept.Z is kept.A)
        by_g = by_g and not kept.steps  # Z<t> acts on the steps after it, too
        if layer.computes_Z and by_g and "dZ" in gradients.by_layer[k]:
            hold(f"dZ{l}", gradients.dZ[l], k, "Z", kept.Z)
        if k == last and l not in gradients.dA:
            continue  # a fused pair goes straight to dZ[L]
        if k < last and not cache.layers[k + 1].computes_Z:
            continue  # only what leaves the Scale has a dA of its own in the gradients
        name = f"dA{l}" if layer.computes_Z else f"dA*{l}"
        hold(name, gradients.dA[l], k + 1, "input", kept.output)
    return arrays


def _losses_after(
    cache: Cache, k: int, Y: Floats, loss: Loss, weight: Floats | None, place: str
) -> Callable[[Floats], Floats]:
    """From Z, or the input, of layer k to the weighted loss of each example; k = L is A[L]."""
    layers = cache.layers

    def losses(values: Floats) -> Floats:
        if k == len(layers):
            return np.asarray(loss.value(Y, values))
        A, caches = values, list(cache.caches[:k])
        for number, layer in enumerate(layers[k:]):
            if number == 0 and place == "Z":
                A = values if layer.activation is None else layer.activation(values)
                made = LayerCache(cache.caches[k].A_prev, A, values, A)
            else:
                A, made = layer.forward(A)
            caches.append(made)
        return np.asarray(propagation.losses(Cache(layers, cache.X, caches), Y, loss))

    return losses if weight is None else lambda values: losses(values) * weight


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
        found = session.gradients(Examples(trace.cache.X, trace.Y, trace.weight), position=None)
    finally:
        session.close()
    pairs = [(trace.network.forward(trace.cache.X), trace.cache.A[trace.network.L])]
    for mine, theirs in zip(found.by_layer, trace.gradients.by_layer, strict=True):
        pairs += [(mine[key], theirs[key]) for key in mine]
    tiny = float(np.finfo(np.float32).tiny)
    return max(
        float(np.abs(a - b).max()) / max(float(np.abs(b).max()), tiny) for a, b in pairs
    ), note
