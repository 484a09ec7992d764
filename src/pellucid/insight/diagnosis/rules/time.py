"""Rules about recurrent layers: gradients on their way back through time, and stuck gates."""

from __future__ import annotations

from functools import partial
from typing import Any

from pellucid.insight.diagnosis.evidence import Evidence
from pellucid.insight.diagnosis.rules.rule import (
    DEAD,
    FLAT,
    Detection,
    Rule,
    answers_well,
    count,
    fails,
    percent,
)

FAST, FAST_GATED = 10, 5
"""A start whose gradient is gone after so few steps makes it vanish, however short the sequences
are. With gates it may fade faster: that of a GRU halves at each step before it has learned."""
BEYOND, FAR_BEYOND = 3.0, 4.0
"""Sequences so many times as long as a vanishing gradient reaches; as another did at some look."""
UNREACHED = 60
"""As many steps that it did not reach are too many too, where they are half of all."""
GREW = 100.0
"""How much larger dZ<1> is than dZ<T>."""
MANY = 0.5
"""Share of a layer's gates from which it may do harm that they are stuck."""


def _looks(e: Evidence) -> dict[int, list[dict[str, Any]]]:
    """The recurrent layers by l, each at all looks there were, the last one that of today."""
    found: dict[int, list[dict[str, Any]]] = {}
    for layers in [*(sample["layers"] for sample in e.samples), e.layers or []]:
        for layer in [each for each in layers if "steps" in each]:
            found.setdefault(layer["layer"], []).append(layer)
    return found


def _unreached(e: Evidence) -> list[tuple[dict[str, Any], str, bool]]:
    """Layers whose gradient reaches a small part of the steps, or did so when it began.

    Each as it was when it reached least, when that was, and whether it fades fast from the start.
    """
    found = []
    for looks in _looks(e).values():
        known = [each for each in looks if "reach" in each]
        if not known:
            continue
        first, least = known[0], min(known, key=lambda each: int(each["reach"]))
        fast = first["reach"] <= (FAST_GATED if "gates" in first else FAST)
        least = first if fast else least
        steps, reach = least["steps"], least["reach"]
        far = steps - reach >= max(UNREACHED, reach)
        if steps >= (BEYOND if fast else FAR_BEYOND) * reach or far:
            when = "at the start " if e.start and least is first else ""
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


def _stuck(e: Evidence, at_start: bool) -> list[Detection]:
    """Layers with gates that are stuck: from the start on, or only since."""
    found = []
    for looks in _looks(e).values():
        first, layer = looks[0], looks[-1]
        if not layer.get("stuck"):
            continue
        share, start = (each.get("stuck", 0) / layer["gates"] for each in (layer, first))
        begun = e.start is not None and "stuck" in first
        if (begun and start >= MANY) != at_start:
            continue
        harm = fails(e) or (begun and start >= MANY and not answers_well(e))
        many = max(share, start) >= MANY
        found.append(
            Detection(
                "warning" if many and harm else "info",
                f"layer {layer['layer']}",
                f"{layer['stuck']} of {layer['gates']} gates are 0 or 1 at nearly every step"
                + (f"; at the start {percent(start)}" if begun else ""),
                "Start with smaller weights and biases near 0, standardise the inputs, or lower "
                "the learning rate.",
                {"initializer": "glorot_uniform"} if many else {},
            )
        )
    return found


_LATER = (
    "vanishing_gradient", "exploding_gradient", "learning_rate_too_low", "stopped_too_early",
    "batch_too_large", "underfitting", "constant_answer", "no_better_than_constant",
    "class_imbalance", "overfitting", "nothing_to_learn",
)  # fmt: skip
_STEPS = ("learning_rate_too_high", "oscillation", "divergence", "batch_too_small")

EXPLODING = Rule(
    "exploding_through_time",
    "da<t-1> = W^T dZ<t> at every step: if each enlarges it, the product grows with the length of "
    "the sequence (Bengio et al. 1994).",
    _exploding,
    ("sequence_too_long", *_STEPS, *DEAD, *FLAT, *_LATER),
)
_GATES = (
    "A gate is a sigmoid: near 0 and 1 its slope is very small, so it does not learn when to open."
)
_UNREACHED = ("vanishing_through_time", "sequence_too_long")
STUCK_FROM_START = Rule(
    "saturated_gates", _GATES, partial(_stuck, at_start=True), (*_UNREACHED, *_STEPS, *_LATER)
)
STUCK_SINCE = Rule(
    "saturated_gates", _GATES, partial(_stuck, at_start=False), (*_UNREACHED, *_LATER)
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
