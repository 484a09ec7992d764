"""Rules about recurrent layers: gradients on their way back through time, and stuck gates."""

from __future__ import annotations

from typing import Any

from pellucid.insight.diagnosis.evidence import Evidence
from pellucid.insight.diagnosis.rules.rule import (
    DEAD,
    FLAT,
    Detection,
    Rule,
    count,
    fails,
    percent,
)

FAST, FAST_GATED = 10, 5
"""A start whose gradient is gone after so few steps makes it vanish, however short the sequences
are. With gates it may fade faster: that of a GRU halves at each step before it has learned."""
BEYOND = 3.0
"""Sequences that are this many times as long as the gradient reaches, or reached at the start."""
GREW = 100.0
"""How much larger dZ<1> is than dZ<T>."""
MANY = 0.5
"""Share of a layer's gates from which it may do harm that they are stuck."""


def _begun(e: Evidence, l: int) -> dict[str, Any]:
    """A layer before the first step; nothing where that is not known."""
    return next((each for each in e.begun if each["layer"] == l), {})


def _now(e: Evidence) -> list[dict[str, Any]]:
    layers = e.layers or (e.samples[-1]["layers"] if e.samples else [])
    return [each for each in layers if "steps" in each]


def _unreached(e: Evidence) -> list[tuple[dict[str, Any], str, bool]]:
    """Layers whose gradient reaches a third of the steps or less, or did so when it began.

    Each as it was then, with when that was; and whether that is how it started, after few steps.
    Not where it reaches every step by now.
    """
    found = []
    for layer in [each for each in _now(e) if "reach" in each]:
        first = _begun(e, layer["layer"])
        began = first if "reach" in first else layer
        least = min(began, layer, key=lambda each: int(each["reach"]))
        if layer["steps"] < BEYOND * least["reach"] or layer["reach"] >= layer["steps"]:
            continue
        fast = began["reach"] <= (FAST_GATED if "gates" in layer else FAST)
        when = "at the start " if least is first else ""
        found.append((least, when, fast))
    return found


def _fades(layer: dict[str, Any], when: str) -> str:
    """How dZ<t> changes on the way back."""
    T, l = layer["steps"], layer["layer"]
    return (
        f"{when}the gradient falls on the way back from {layer['dZ_last']:.2g} in dZ[{l}]<{T}> to "
        f"{layer['dZ_first']:.2g} in dZ[{l}]<1>; after {count(layer['reach'], 'step')} less than 1 "
        "% of it is left"
    )


def _vanishing(e: Evidence) -> list[Detection]:
    return [
        Detection(
            "warning",
            f"layer {layer['layer']}",
            _fades(layer, when),
            "Start the forget gate's b at 1 or more, the update gate's below 0, so that the state "
            "keeps what it has."
            if "gates" in layer
            else "Use an LSTM or a GRU, whose gates let the state pass unchanged, or start with "
            "larger weights.",
        )
        for layer, when, fast in _unreached(e)
        if fast and fails(e)
    ]


def _too_long(e: Evidence) -> list[Detection]:
    return [
        Detection(
            "warning" if fails(e) else "info",
            f"layer {layer['layer']}",
            f"the sequences have {layer['steps']} steps; {_fades(layer, when)}",
            "Let a Conv1D with a stride make fewer steps of them, cut them into parts, or take an "
            "answer from all steps: sequences=True and a GlobalPool.",
        )
        for layer, when, fast in _unreached(e)
        if not fast
    ]


def _exploding(e: Evidence) -> list[Detection]:
    found = []
    for layer in [each for each in e.begun if "dZ_first" in each]:
        growth = layer["dZ_first"] / max(layer["dZ_last"], 1e-300)
        if growth < GREW or not fails(e):
            continue
        T, l = layer["steps"], layer["layer"]
        each_step = growth ** (1 / max(T - 1, 1))
        found.append(
            Detection(
                "warning",
                f"layer {l}",
                f"at the start the gradient grows on the way back from {layer['dZ_last']:.2g} in "
                f"dZ[{l}]<{T}> to {layer['dZ_first']:.2g} in dZ[{l}]<1>, to {each_step:.2g} times "
                "itself with each step",
                "Start with smaller weights, and clip the gradient.",
                {"initializer": "glorot_uniform", "gradient_clip": 1.0},
            )
        )
    return found


def _stuck(e: Evidence) -> list[Detection]:
    found = []
    for layer in [each for each in _now(e) if each.get("stuck")]:
        share, first = layer["stuck"] / layer["gates"], _begun(e, layer["layer"])
        start = first["stuck"] / first["gates"] if "stuck" in first else None
        harm = max(share, start or 0.0) >= MANY and fails(e)
        found.append(
            Detection(
                "warning" if harm else "info",
                f"layer {layer['layer']}",
                f"{layer['stuck']} of {layer['gates']} gates are 0 or 1 at nearly every step"
                + ("" if start is None else f"; at the start {percent(start)}"),
                "Start with smaller weights and biases near 0, standardise the inputs, or lower "
                "the learning rate.",
                {"initializer": "glorot_uniform"} if share >= MANY else {},
            )
        )
    return found


_LATER = (
    "vanishing_gradient", "exploding_gradient", "learning_rate_too_low", "stopped_too_early",
    "batch_too_large", "underfitting", "constant_answer", "no_better_than_constant",
    "class_imbalance", "overfitting",
)  # fmt: skip
_STEPS = ("learning_rate_too_high", "oscillation", "divergence", "batch_too_small")

EXPLODING = Rule(
    "exploding_through_time",
    "da<t-1> = W^T dZ<t> at every step: if each enlarges it, the product grows with the length of "
    "the sequence (Bengio et al. 1994).",
    _exploding,
    ("sequence_too_long", *_STEPS, *DEAD, *FLAT, *_LATER),
)
STUCK = Rule(
    "saturated_gates",
    "A gate is a sigmoid: near 0 and 1 its slope is very small, so it does not learn when to open.",
    _stuck,
    ("vanishing_through_time", "sequence_too_long", *_LATER),
)
VANISHING = Rule(
    "vanishing_through_time",
    "da<t-1> = W^T dZ<t> at every step: many factors below 1, and nothing that an early step has "
    "shown is learned (Bengio et al. 1994).",
    _vanishing,
    ("sequence_too_long", *FLAT, *DEAD, *_LATER),
)
TOO_LONG = Rule(
    "sequence_too_long",
    "A layer that forgets a part at every step learns nothing from what was long ago, however long "
    "it is trained.",
    _too_long,
    _LATER,
)
