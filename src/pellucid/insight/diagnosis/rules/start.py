"""Rules about the weights that a training starts from, and about layers without any bend."""

from __future__ import annotations

import math
from typing import Any

from pellucid.initializers import initializer
from pellucid.insight.diagnosis.evidence import Evidence
from pellucid.insight.diagnosis.rules.rule import (
    SYMPTOMS,
    Detection,
    Rule,
    answers_well,
    first_J,
    hidden,
    hurts,
    n_weights,
    sums_alone,
    weighted,
)
from pellucid.training.measure import ALIKE

LARGE = 4.0
"""Z this much larger than a start of variance 1 or 2 / fan_in makes it: two standard deviations
of every unit then lie where sigmoid and tanh are flat."""
SMALL = 0.1
"""A signal that shrinks to this share from layer to layer (a geometric mean) is a small start."""
FAR = 30.0
"""J at the start, relative to that of one answer to all, of outputs that are far too large."""
LOST = 1e-3
"""Of the first signal so much is left at the output: nothing an output could tell apart."""


def suited(e: Evidence, layer: dict[str, Any]) -> float:
    """The standard deviation of W that keeps the size of a signal (Glorot, He)."""
    return math.sqrt(initializer(e.g(layer).initializer).gain / layer["fan_in"])


def size(layer: dict[str, Any]) -> float:
    """The root mean square of W."""
    return float(layer["W_norm"] / math.sqrt(n_weights(layer)))


def _first(e: Evidence) -> list[dict[str, Any]]:
    """The layers before training; those of today where nothing was trained."""
    if e.start is not None:
        return weighted(e.start["layers"])
    return [] if e.curves else weighted(e.layers)


def _zero(e: Evidence) -> list[Detection]:
    layers = _first(e)
    all_zero = [each["layer"] for each in layers if each["W_norm"] == 0]
    if not all_zero or not hidden(layers) or len(all_zero) < len(layers):
        return []
    return [
        Detection(
            "error",
            "every layer",
            "every W is 0 at the start",
            "Start from small random weights.",
            {"initializer": e.g(layers[0]).initializer},
        )
    ]


def _constant(e: Evidence) -> list[Detection]:
    found = []
    for layer in hidden(_first(e)):
        if n_weights(layer) < 2 or layer["W_norm"] == 0:
            continue
        equal = layer["W_std"] <= ALIKE * abs(layer["W_mean"])
        stay = layer["alike"] < ALIKE  # else the next layer tells the units apart, if slowly
        if equal and layer["units"] > 1 and (stay or (e.curves and hurts(e))):
            found.append(
                Detection(
                    "error" if stay else "warning",
                    f"layer {layer['layer']}",
                    f"all {n_weights(layer)} weights are {layer['W_mean']:.3g} at "
                    f"the start, so its {layer['units']} units compute the same",
                    "Start from small random weights.",
                    {"initializer": e.g(layer).initializer},
                )
            )
    return found


def _symmetric(e: Evidence) -> list[Detection]:
    last = e.samples[-1]["layers"] if e.samples else e.layers
    first = {each["layer"]: each for each in _first(e)}
    found = []
    for layer in weighted(hidden(last)):
        start = first.get(layer["layer"], layer)
        if layer["units"] > 1 and layer["alike"] < ALIKE and start["alike"] < ALIKE:
            found.append(
                Detection(
                    "error",
                    f"layer {layer['layer']}",
                    f"its {layer['units']} units have the same weights, biases and gradients, so "
                    "they will always stay equal",
                    "Start from small random weights, different for each unit.",
                    {"initializer": e.g(layer).initializer},
                )
            )
    return found


def _large(e: Evidence) -> list[Detection]:
    found = []
    for layer in hidden(_first(e)) or _first(e):
        if "fan_in" not in layer:
            continue
        ratio = size(layer) / suited(e, layer)
        if ratio > LARGE:
            harm = hurts(e) or _starts_far(e) if e.curves else not answers_well(e)  # made by hand
            found.append(
                Detection(
                    "warning" if harm else "info",
                    f"layer {layer['layer']}",
                    f"the weights start with a root mean square of {size(layer):.3g}, "
                    f"{ratio:.0f} times what keeps a signal's size from {layer['fan_in']} inputs",
                    "Start smaller, with a variance of 1 or 2 divided by the number of inputs.",
                    {"initializer": e.g(layer).initializer},
                )
            )
    return found[:1]


def _starts_far(e: Evidence) -> bool:
    """Whether J began far above what one answer to all costs, with pictures or sequences.

    With these simple learners may be no better, so that nothing else shows the harm.
    """
    a = e.answers
    return not e.plain and a is not None and first_J(e) > FAR * a.constant


def _small(e: Evidence) -> list[Detection]:
    layers = _first(e)
    if len(layers) < 2 or not sums_alone(layers) or any(x["W_norm"] == 0 for x in layers):
        return []
    ratios = [size(each) / suited(e, each) for each in layers]
    left = math.prod(ratios)
    if not left or left ** (1 / len(ratios)) > 3 * SMALL or left > LOST:
        return []
    trained = len(e.samples) > 1
    return [
        Detection(
            "warning" if (trained and hurts(e)) else "info",
            "every layer",
            f"the weights start {1 / min(ratios):.0f} times smaller than what keeps a signal; "
            f"after {len(layers)} layers {left:.1g} of it is left",
            "Start larger, with a variance of 1 or 2 divided by the number of inputs.",
            {"initializer": e.g(layers[0]).initializer},
        )
    ]


def _linear(e: Evidence) -> list[Detection]:
    inner, layers = e.activations[:-1], e.layers or (e.samples[-1]["layers"] if e.samples else [])
    if not inner or not sums_alone(layers) or any(g != "identity" for g in inner):
        return []
    return [
        Detection(
            "warning",
            "every hidden layer",
            f"all {len(inner)} hidden layers have g(z) = z, so the network is W'x + b'"
            if len(inner) > 1
            else "the hidden layer has g(z) = z, so the network is W'x + b'",
            "Use a non-linear activation in the hidden layers.",
            {"activation": "relu"},
        )
    ]


_LATER = ("symmetry", *SYMPTOMS, "nothing_to_learn")
"""What a bad start leads to."""

RULES = (
    Rule(
        "zero_initialisation",
        "With weights of zero every unit of a layer computes the same and gets the same gradient "
        "(lectures 002 and 003).",
        _zero,
        ("constant_initialisation", "weights_too_small", *_LATER),
    ),
    Rule(
        "constant_initialisation",
        "With equal weights every unit of a layer computes the same and gets the same gradient: "
        'the "symmetry problem" (lecture 003).',
        _constant,
        ("weights_too_large", "weights_too_small", *_LATER),
    ),
    Rule(
        "symmetry",
        'Units that start equal get equal gradients and stay equal: the "symmetry problem" '
        "(lecture 003).",
        _symmetric,
        ("weights_too_large", "weights_too_small", *SYMPTOMS, "nothing_to_learn"),
    ),
    Rule(
        "weights_too_large",
        "With large weights the outputs go to the flat region of the function, where the slope is "
        "very small: gradient descent will be very slow (lecture 003).",
        _large,
        _LATER,
    ),
    Rule(
        "weights_too_small",
        "Each layer multiplies the signal and the gradient by its weights; of many small factors "
        "nothing is left.",
        _small,
        _LATER,
    ),
    Rule(
        "no_non_linearity",
        "With the identity everywhere the output is a linear combination of the input, however "
        "many layers there are: W' = W[2]W[1] (lecture 003).",
        _linear,
        (
            "underfitting",
            "stopped_too_early",
            "learning_rate_too_low",
            "batch_too_large",
            "constant_answer",
        ),
    ),
)
