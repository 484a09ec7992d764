"""The numbers of a trace against central differences, and against the fused engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid import propagation
from pellucid.engines import Objective, choose_engine
from pellucid.insight.gradient_check import check_gradients, in_float64, relative_error
from pellucid.optimizers import optimizer
from pellucid.propagation import Cache

if TYPE_CHECKING:
    from pellucid.insight.trace.trace import Trace

Floats = NDArray[np.float64]

TINY = 1e-4
"""Arrays with smaller entries are held to it."""


@dataclass(frozen=True)
class TraceCheck:
    """What :meth:`Trace.check` found; ``str()`` lays it out as a table.

    Attributes
    ----------
    by_name : dict
        The error of each array, relative to its largest entry.
    of : dict
        What each is a derivative of: "J", or "L", the loss of each example.
    tolerance : float
    near_kink : tuple of str
        Where differences mean nothing because a function has a kink nearby.
    fused : float or None
        The largest relative difference of A[L], dW and db from the fused engine's; None where it
        cannot run the network, ``fused_note`` says why.
    """

    by_name: dict[str, float]
    of: dict[str, str]
    tolerance: float
    near_kink: tuple[str, ...]
    fused: float | None
    fused_note: str

    @property
    def largest(self) -> float:
        """The largest error."""
        return max(self.by_name.values())

    @property
    def ok(self) -> bool:
        """True where no error is above the tolerance."""
        return self.largest <= self.tolerance

    def __str__(self) -> str:
        lines = ["array   derivative of  error"]
        for name, error in self.by_name.items():
            wrong = "" if error <= self.tolerance else "  WRONG"
            lines.append(f"{name:<6}  {self.of[name]:<13}  {error:.1e}{wrong}")
        verdict = "agree with" if self.ok else "differ from"
        lines.append(f"gradients {verdict} central differences (tolerance {self.tolerance:g})")
        lines += [f"near a kink, differences mean nothing: {place}" for place in self.near_kink]
        if self.fused is None:
            lines.append(f"fused engine: not compared, {self.fused_note}")
        else:
            lines.append(f"fused engine: largest relative difference {self.fused:.1e}")
        return "\n".join(lines)


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
    errors = _example_errors(trace, step)
    by_name = {**{k: v for k, v in parameters.by_name.items() if k != "dX"}, **errors}
    of = {name: "L" if name in errors else "J" for name in by_name}
    fused, note = _fused_difference(trace)
    return TraceCheck(by_name, of, tolerance, parameters.near_kink, fused, note)


def _example_errors(trace: Trace, step: float) -> dict[str, float]:
    """dZ[l], dA[l] and dX: examples do not mix, so a whole row is moved at once."""
    net = in_float64(trace.network)
    cache = net.forward(np.asarray(trace.cache.X, dtype=np.float64), cache=True)
    Y = np.asarray(trace.Y) if trace.Y.dtype.kind in "iu" else trace.Y.astype(np.float64)
    weight = None if trace.weight is None else trace.weight.astype(np.float64)
    gradients = propagation.backward(cache, Y, trace.loss, weight, inputs=True)
    errors: dict[str, float] = {}
    for k, (layer, kept) in enumerate(zip(cache.layers, cache.caches, strict=True)):
        l = layer.number
        if k == 0:
            each = _losses_after(cache, 0, Y, trace.loss, weight, "input")
            errors["dX"] = relative_error(
                gradients.dX, _row_differences(each, kept.A_prev, step), TINY
            )
        if layer.computes_Z:
            each = _losses_after(cache, k, Y, trace.loss, weight, "Z")
            errors[f"dZ{l}"] = relative_error(
                gradients.dZ[l], _row_differences(each, kept.Z, step), TINY
            )
        if k < len(cache.layers) - 1:
            each = _losses_after(cache, k + 1, Y, trace.loss, weight, "input")
            name = f"dA{l}" if layer.computes_Z and cache.layers[k + 1].computes_Z else f"dA*{l}"
            if layer.computes_Z and not cache.layers[k + 1].computes_Z:
                continue  # only what leaves the Scale has a dA of its own in the gradients
            errors[name] = relative_error(
                gradients.dA[l], _row_differences(each, kept.output, step), TINY
            )
    return errors


def _losses_after(
    cache: Cache, k: int, Y: Any, loss: Any, weight: Floats | None, place: str
) -> Callable[[Floats], Floats]:
    """From Z, or the input, of layer k to the weighted loss of each example."""

    def each(values: Floats) -> Floats:
        layers, A = cache.layers, values
        caches = list(cache.caches[:k])
        for number, layer in enumerate(layers[k:]):
            if number == 0 and place == "Z":
                kept = cache.caches[k]
                assert layer.activation is not None
                out = layer.activation(values)
                made = type(kept)(kept.A_prev, out, values, out)
                A = out
            else:
                A, made = layer.forward(A)
            caches.append(made)
        found: Floats = propagation.losses(Cache(layers, cache.X, caches), Y, loss)
        return found if weight is None else found * weight

    return each


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
    plain = optimizer("gradient_descent")
    engine, note = choose_engine("auto", trace.network, objective, plain)
    if engine.name != "fused":
        return None, note
    session = engine.start(trace.network, objective, plain, batch_size=trace.cache.X.shape[1])
    try:
        _, found = session.loss_and_gradients(trace.cache.X, trace.Y, trace.weight)
    finally:
        session.close()
    pairs = [(trace.network.forward(trace.cache.X), trace.cache.A[trace.network.L])]
    for mine, theirs in zip(found.by_layer, trace.gradients.by_layer, strict=True):
        pairs += [(mine[key], theirs[key]) for key in mine if key in ("dW", "db", "ds")]
    tiny = float(np.finfo(np.float32).tiny)
    return max(
        float(np.abs(a - b).max()) / max(float(np.abs(b).max()), tiny) for a, b in pairs
    ), note
