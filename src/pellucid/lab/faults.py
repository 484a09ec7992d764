"""Faults to break a network with on purpose, beside a healthy twin: one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pellucid._catalogue import did_you_mean
from pellucid.layers import Dense, LayerCache
from pellucid.layers.base import Array


@dataclass(frozen=True)
class Fault:
    """One entry of :data:`FAULTS`.

    Attributes
    ----------
    name, title, why : str
    finding : str
        The kind that the diagnosis finds.
    layer : type of Dense
        The layer whose backward pass is wrong, or Dense itself.
    steps : tuple of str
        The letters of the trace that come out wrong because of it.
    initializer : str or None
        What the weights start with instead.
    rate : float
        What the learning rate is multiplied by.
    """

    name: str
    title: str
    why: str
    finding: str
    layer: type[Dense] = Dense
    steps: tuple[str, ...] = ()
    initializer: str | None = None
    rate: float = 1.0


class DroppedTranspose(Dense):
    """dA_prev = W dZ: the transpose is forgotten.

    Where W is not square, its numbers are read row by row as if it were its transpose: what
    ``reshape`` does in place of ``.T``, the usual way this fault runs without a message.
    """

    def backward(self, dA: Array, cache: LayerCache, **how: Any) -> tuple[Array, dict[str, Array]]:
        dA_prev, found = super().backward(dA, cache, **how)
        if dA_prev is not None:
            W = self.parameters["W"]
            dA_prev = W.reshape(W.shape[::-1]) @ found["dZ"]
        return dA_prev, found


class WrongDerivative(Dense):
    """dZ = dA: instead of g[l]' the input layer's g[0]' = 1 is taken."""

    def backward(self, dA: Array, cache: LayerCache, **how: Any) -> tuple[Array, dict[str, Array]]:
        if how.get("dZ") is None:
            how["dZ"] = dA
        return super().backward(dA, cache, **how)


FAULTS: dict[str, Fault] = {
    entry.name: entry
    for entry in (
        Fault(
            "zero_initialisation",
            "Start all weights at 0",
            "All units of a layer get the same gradient, so they remain copies of one unit; "
            "hidden layers of tanh or ReLU get none at all (lecture 002).",
            "zero_initialisation",
            initializer="zeros",
        ),
        Fault(
            "learning_rate_too_large",
            "A learning rate 100 times too large",
            "Each step goes far beyond the minimum along its direction, so the cost grows or "
            "jumps about instead of falling (lecture 001).",
            "learning_rate_too_high",
            rate=100.0,
        ),
        Fault(
            "ascent",
            "Ascent instead of descent",
            "W := W + alpha dW climbs the cost: the sign of the step is wrong, the gradient is "
            "right, so the gradient check stays green.",
            "ascent",
            rate=-1.0,
        ),
        Fault(
            "dropped_transpose",
            "A dropped transpose",
            "dA[l-1] is W[l]^T dZ[l]. Without the transpose every error goes back to the wrong "
            "unit, and every gradient below the last layer is wrong. The cost may still "
            "fall, only more slowly: it takes the gradient check to find such a fault. With one "
            "output W[L] is a row, where the transpose changes nothing: use two hidden layers.",
            "wrong_backward",
            layer=DroppedTranspose,
            steps=("dA", "dX"),
        ),
        Fault(
            "wrong_layer_derivative",
            "g' of the wrong layer",
            "dZ[l] is dA[l] * g[l]'(Z[l]). Here every layer uses g[0]', that of the input: "
            "the input has no g, so it is 1, and saturated units learn far too fast.",
            "wrong_backward",
            layer=WrongDerivative,
            steps=("dZ",),
        ),
    )
}
"""Every fault by its name. A new one is an entry here."""


def fault(name: str) -> Fault:
    """Return the fault of this name.

    >>> fault("ascent").rate
    -1.0
    """
    if name not in FAULTS:
        raise ValueError(
            f"there is no fault {name!r}{did_you_mean(name, FAULTS)}. Known are: "
            f"{', '.join(FAULTS)}."
        )
    return FAULTS[name]
