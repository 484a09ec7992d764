"""Rules about gradients on their way back, and units that let none through."""

from __future__ import annotations

from typing import Any

from pellucid.insight.diagnosis.evidence import Evidence
from pellucid.insight.diagnosis.rules.rule import Rule, Seen, hidden, hurts, percent

VANISHED = 0.01
"""The first layer's gradient, per weight and relative to its weights, as a share of the last's."""
EXPLODED = 30.0
"""How much larger it is than the last's, or than it was at the start."""
MANY = 0.5
"""Share of a layer's units, dead or saturated, from which it is more than thrift."""


def _relative(layer: dict[str, Any]) -> float:
    """|dW| relative to |W|: what one step of plain gradient descent changes."""
    return float(layer.get("dW_norm", 0.0)) / max(layer["W_norm"], 1e-12)


def vanishing(e: Evidence) -> list[Seen]:
    if e.start is None or len(e.start["layers"]) < 3 or not hurts(e):
        return []
    layers = e.start["layers"]
    share = _relative(layers[0]) / max(_relative(layers[-1]), 1e-300)
    if share > VANISHED or layers[0]["dW_norm"] == 0:
        return []
    bounded = layers[0]["g"] in ("sigmoid", "tanh", "hard_sigmoid", "hard_tanh")
    return [
        Seen(
            "warning",
            "layer 1",
            f"|dW|/|W| of layer 1 is {share:.1g} of layer {layers[-1]['layer']}'s at the start",
            "Take ReLU and a start that suits it" if bounded else "Take fewer layers.",
            {"activation": "relu", "initializer": "he_normal"},
        )
    ]


def exploding(e: Evidence) -> list[Seen]:
    if e.start is None or not hurts(e):
        return []
    layers = e.start["layers"]
    growth = _relative(layers[0]) / max(_relative(layers[-1]), 1e-300)
    amplified = layers[-1]["Z_rms"] / max(layers[0]["Z_rms"], 1e-300)
    if len(layers) < 3 or max(growth, amplified) < EXPLODED:
        return []
    return [
        Seen(
            "warning",
            f"layers 1 to {len(layers)}",
            f"at the start Z[{len(layers)}] is {amplified:.3g} times as large as Z[1], and so are "
            "the gradients on the way back",
            "Start smaller, or bound the gradient.",
            {"initializer": "he_normal", "gradient_clip": 1.0},
        )
    ]


def _share(layer: dict[str, Any], what: str) -> float:
    return layer.get(what, 0) / layer["units"]


def _units(e: Evidence, what: str, words: str, advice: str, fix: dict[str, Any]) -> list[Seen]:
    """Layers with units that are dead or saturated at the end; serious where it hurts."""
    layers = e.layers if e.layers and "dead" in e.layers[0] else None
    if layers is None and e.samples:
        layers = e.samples[-1]["layers"]
    start = {each["layer"]: each for each in (e.start["layers"] if e.start else [])}
    found = []
    for layer in hidden(layers):
        share, first = _share(layer, what), _share(start.get(layer["layer"], layer), what)
        if share == 0 and first < MANY:
            continue
        many = max(share, first) >= MANY
        severity = "warning" if many and hurts(e) else "info"
        if share == 1 and severity == "warning":
            severity = "error"
        found.append(
            Seen(
                severity,
                f"layer {layer['layer']}",
                f"{layer[what]} of {layer['units']} units {words}"
                + (f" ({percent(first)} at the start)" if e.start else ""),
                advice,
                fix if many else {},
            )
        )
    return found


def dead(e: Evidence) -> list[Seen]:
    return _units(
        e,
        "dead",
        "are 0 for every example, so no gradient flows through them",
        "Take leaky ReLU, start with b = 0, or lower the learning rate.",
        {"activation": "leaky_relu", "bias": 0.0},
    )


def saturated(e: Evidence) -> list[Seen]:
    return _units(
        e,
        "saturated",
        "are on the flat part of their function for nearly every example",
        "Start with smaller weights and b = 0, standardise the inputs, or take ReLU.",
        {"initializer": "glorot_uniform", "bias": 0.0},
    )


_LATER = (
    "learning_rate_too_low",
    "stopped_too_early",
    "batch_too_large",
    "underfitting",
    "class_imbalance",
    "overfitting",
)

VANISHING = Rule(
    "vanishing_gradient",
    'Sigmoid and tanh have "vanishing gradients" (lecture 000): each layer multiplies by '
    "g'(z), which is 1/4 at most for a sigmoid.",
    vanishing,
    ("saturated_units", "dead_units", *_LATER),
)
EXPLODING = Rule(
    "exploding_gradient",
    "dA[l-1] = W[l]^T dZ[l]: where every layer enlarges, the product grows with each layer.",
    exploding,
    ("learning_rate_too_high", "oscillation", "divergence", "dead_units", "saturated_units",
     "batch_too_small", *_LATER),
)  # fmt: skip
DEAD = Rule(
    "dead_units",
    "Some ReLU units die for all inputs: the slope is 0, no gradient flows, they cannot learn "
    "(lecture 003).",
    dead,
    ("vanishing_gradient", *_LATER),
)
SATURATED = Rule(
    "saturated_units",
    "Far from 0 sigmoid and tanh are flat: the slope is very small, gradient descent very slow "
    "(lecture 003).",
    saturated,
    ("vanishing_gradient", *_LATER),
)
