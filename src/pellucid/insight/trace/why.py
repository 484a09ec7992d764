"""What each step of a pass means, in a sentence: known by the form of its formula."""

from __future__ import annotations

import re

from pellucid.insight.trace.recorded import RecordedLayer
from pellucid.losses import Loss, pair

_NAME = r"(?:X|A\**\[\d+\])"
_WHY = (
    (
        rf"Z\S+ = W\S+ {_NAME} \+ b\S+",
        "A weighted sum of what comes in, and the bias; a column is an example.",
    ),
    (rf"A\*+\S+ = s\S+ \* {_NAME}", "Each unit is scaled."),
    (r"L = .*", "The loss of each example: how wrong its output is."),
    (r"J = \(1/m\) sum_i L\(i\)( \* w\(i\))?", "The cost is the mean of the losses."),
    (r"J = .*", "The cost: the mean of the losses, and the penalties on the weights."),
    (r"A\[\d+\] = Z\[\d+\]", "What was computed goes on as it is."),
    (r"dA\S+ = dL/dA\S+ .*", "How the loss of each example changes with the output."),
    (
        r"dZ\S+ = dA\S+ \* g\S+'\(Z\S+\).*",
        "The chain rule through the activation, entry by entry.",
    ),
    (
        rf"dW\S+ = \(1/m\) dZ\S+ {_NAME}\^T( \+ .*)?",
        "The mean over the examples of what came in times the error of the unit it entered.",
    ),
    (
        r"db\S+ = \(1/m\) sum_i dZ\S+\(i\)( \+ .*)?",
        "The bias is the same for every example: the mean of dZ over the examples.",
    ),
    (r"ds\S+ = \(1/m\) sum_i .*", "The mean over the examples."),
    (
        r"d(A|X)\S* = W\S+\^T dZ\S+",
        "Each unit gets the errors of the units that it feeds, times the weights.",
    ),
    (r"d(A|X)\S* = s\S+ \* dA\S+", "Back through the scaling."),
)
"""What a formula of the lectures means, by its form."""


def why(layer: RecordedLayer, text: str, loss: Loss) -> str:
    """Return what a step is, in a sentence."""
    g, l = layer.activation, layer.number
    if g is not None and text.startswith(f"A[{l}] = g[{l}]"):
        if g.mixes:
            return f"The {g.name} of each column: probabilities that sum to 1."
        return f"The activation {g.name}, entry by entry."
    together = rf"dZ\[{l}\] = (A\[{l}\] - Y|\(A\[{l}\] - Y\) \* w)"
    if g is not None and pair(g.g, loss) and re.fullmatch(together, text):
        return (
            f"{g.name} and {loss.name} together: the derivative of the loss by Z is a plain "
            "difference."
        )
    if g is not None and g.mixes and text.startswith(f"dZ[{l}] = "):
        name = g.name.capitalize()
        return f"{name} mixes the units of an example, so each dz depends on every da."
    known = (why for form, why in _WHY if re.fullmatch(form, text))
    return next(known, f"As {type(layer.original).__name__} computes it.")
