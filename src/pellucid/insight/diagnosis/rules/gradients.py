"""Rules about gradients on their way back, and units that let none through."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from pellucid.insight.diagnosis.evidence import Evidence
from pellucid.insight.diagnosis.rules.rule import (
    DEAD,
    FLAT,
    Detection,
    Rule,
    by_heart,
    count,
    hidden,
    hurts,
    n_weights,
    percent,
    weighted,
)

VANISHED = 0.01
"""An entry of the first layer's gradient as a share of one of the last layer's."""
EXPLODED = 30.0
"""How much larger it is than the last's, or than it was at the start."""
MANY = 0.5
"""Share of a layer's units, dead or saturated, from which it may do harm."""
FROM_START = 0.9
"""The same before the first step: half of all ReLU units are 0 for one input that is never
negative, and the others can learn."""


def _relative(layer: dict[str, Any]) -> float:
    """|dW| relative to |W|: what one step of plain gradient descent changes."""
    return float(layer.get("dW_norm", 0.0) / max(layer["W_norm"], 1e-12))


def _each(layer: dict[str, Any]) -> float:
    """The root mean square of dW."""
    return float(layer["dW_norm"]) / math.sqrt(n_weights(layer))


def _chain(e: Evidence) -> list[dict[str, Any]]:
    """The layers at the start; not those of words, of which most dW are 0 in any mini-batch."""
    return [each for each in weighted(e.begun) if "takes" not in each]


def _vanishing(e: Evidence) -> list[Detection]:
    layers = _chain(e)
    if len(layers) < 3 or not hurts(e):
        return []
    share = _each(layers[0]) / max(_each(layers[-1]), 1e-300)
    if share > VANISHED or layers[0]["dW_norm"] == 0:
        return []
    reached = e.g(layers[0]).range
    bounded = reached is not None and reached.bounded
    return [
        Detection(
            "warning",
            f"layer {layers[0]['layer']}",
            f"at the start the entries of dW[{layers[0]['layer']}] are {share:.1g} of those of "
            f"dW[{layers[-1]['layer']}]",
            "Use ReLU with an initializer that suits it." if bounded else "Use fewer layers.",
            {"activation": "relu", "initializer": "he_normal"},
        )
    ]


def _exploding(e: Evidence) -> list[Detection]:
    layers = _chain(e)
    if len(layers) < 3 or not hurts(e):
        return []
    growth = _relative(layers[0]) / max(_relative(layers[-1]), 1e-300)
    amplified = layers[-1]["Z_rms"] / max(layers[0]["Z_rms"], 1e-300)
    if max(growth, amplified) < EXPLODED:
        return []
    return [
        Detection(
            "warning",
            f"layers 1 to {len(layers)}",
            f"at the start Z[{len(layers)}] is {amplified:.3g} times as large as Z[1], and so are "
            "the gradients on the way back",
            "Start with smaller weights, or clip the gradient.",
            {"initializer": "he_normal", "gradient_clip": 1.0},
        )
    ]


def _share(layer: dict[str, Any], what: str) -> float:
    return float(layer.get(what, 0) / layer["units"])


def _now(e: Evidence) -> list[dict[str, Any]]:
    if e.layers and "dead" in e.layers[0]:
        return hidden(e.layers) if e.curves else e.layers  # an output may be flat where it is right
    return hidden(e.samples[-1]["layers"]) if e.samples else []


def _units(
    e: Evidence, what: str, of: str, at_start: bool, words: str, do: str, fix: Any
) -> list[Detection]:
    """Layers with units, or filters, that are dead or saturated: from the start on, or since."""
    start = {each["layer"]: _share(each, what) for each in (e.start["layers"] if e.start else [])}
    found = []
    for layer in [each for each in _now(e) if of in ("", each.get("unit", "unit"))]:
        share, first = _share(layer, what), start.get(layer["layer"], 0.0)
        most = max(share, first)
        if (share == 0 and first < MANY) or (first >= FROM_START) != at_start:
            continue
        harm = most >= MANY and hurts(e) and (at_start or not by_heart(e))
        severity = ("error" if most == 1 else "warning") if harm else "info"
        found.append(
            Detection(
                severity,
                f"layer {layer['layer']}",
                f"{layer[what]} of {count(layer['units'], layer.get('unit', 'unit'))} {words}"
                + (f"; at the start {percent(first)}" if e.start else ""),
                do,
                fix if most >= MANY else {},
            )
        )
    return found


def _dead(e: Evidence, at_start: bool, of: str) -> list[Detection]:
    where = "at every place of" if of == "filter" else "for"
    return _units(
        e,
        "dead",
        of,
        at_start,
        f"are 0 {where} every example, so they pass no gradient back",
        "Use leaky ReLU, start with b = 0, or lower the learning rate.",
        {"activation": "leaky_relu", "bias": 0.0},
    )


def _saturated(e: Evidence, at_start: bool) -> list[Detection]:
    return _units(
        e,
        "saturated",
        "",
        at_start,
        "are on the flat part of their function for nearly every example",
        "Start with smaller weights and b = 0, standardise the inputs, or use ReLU.",
        {"initializer": "glorot_uniform", "bias": 0.0},
    )


_LATER = (
    "nothing_to_learn",
    "learning_rate_too_low",
    "stopped_too_early",
    "batch_too_large",
    "underfitting",
    "constant_answer",
    "no_better_than_constant",
    "class_imbalance",
    "overfitting",
)

VANISHING = Rule(
    "vanishing_gradient",
    'Sigmoid and tanh have "vanishing gradients" (lecture 000): each layer multiplies by '
    "g'(z), which is 1/4 at most for a sigmoid.",
    _vanishing,
    ("learning_rate_too_high", "oscillation", *FLAT, *DEAD, *_LATER),
)
EXPLODING = Rule(
    "exploding_gradient",
    "dA[l-1] = W[l]^T dZ[l]: if every layer enlarges it, the product grows with each layer.",
    _exploding,
    ("learning_rate_too_high", "oscillation", "divergence", *DEAD, *FLAT, "batch_too_small",
     *_LATER),
)  # fmt: skip
_DEAD = (
    "Some ReLU units die for all inputs: the slope is 0, no gradient flows, they cannot learn "
    "(lecture 003)."
)
_SATURATED = (
    "Far from 0 sigmoid and tanh are flat: the slope is very small, gradient descent very slow "
    "(lecture 003)."
)
_ALSO = ("vanishing_gradient", *_LATER)
_AT_START = ("learning_rate_too_high", "oscillation", "divergence", "batch_too_small", *_ALSO)
_DEAD_FILTERS = (
    "A filter is one unit at every place. Where it is 0 at all of them no gradient flows, and it "
    "cannot learn (lecture 003)."
)
_OF: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("dead_filters", _DEAD_FILTERS, "filter", ("dead_units",)),
    ("dead_units", _DEAD, "unit", ()),
)
"""Filters first: units behind dead ones see nothing but 0."""
DEAD_FROM_START = tuple(
    Rule(kind, why, partial(_dead, at_start=True, of=of), (*behind, *_AT_START))
    for kind, why, of, behind in _OF
)
SATURATED_FROM_START = Rule(
    "saturated_units", _SATURATED, partial(_saturated, at_start=True), _AT_START
)
DEAD_SINCE = tuple(
    Rule(kind, why, partial(_dead, at_start=False, of=of), (*behind, *_ALSO))
    for kind, why, of, behind in _OF
)
SATURATED = Rule("saturated_units", _SATURATED, partial(_saturated, at_start=False), _ALSO)
