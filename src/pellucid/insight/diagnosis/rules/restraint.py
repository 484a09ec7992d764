"""Rules about what holds the weights back: penalties and dropout that are too strong."""

from __future__ import annotations

import math
from typing import Any

from pellucid.insight.diagnosis.evidence import Evidence
from pellucid.insight.diagnosis.rules.rule import (
    SHORT,
    TRAINING,
    Detection,
    Rule,
    hidden,
    hurts,
    neglects,
    optimizer_of,
    percent,
    shortfall,
    weighted,
)

STRONG = 2e-3
"""A penalty λ/2 |W|^2 that standardised data may feel; usual ones are 10^-5 to 10^-3."""
HOLDS = 0.3
"""λ W against dW: from here on the penalty has a say in where the weights stay."""
COLLAPSED = 0.2
"""Of the size they started with so little is left of the weights."""
DECAY = 0.5
"""A decay of AdamW that pulls as strongly."""
DROPPED = 0.5
"""A share of units left out beyond which few are left to learn."""
USUAL = 1e-4


def _misses_training(e: Evidence) -> bool:
    """Whether it stays behind on the very rows it learned from."""
    short = shortfall(e, "train")
    behind = short is None or short > SHORT / 2 or neglects(e, "train") > SHORT
    return e.stopped != "diverged" and behind and hurts(e, SHORT / 2)


def _penalty(e: Evidence) -> list[Detection]:
    strength, name = _strength(e)
    if not strength or not e.layers or not _misses_training(e):
        return []
    start = {each["layer"]: each["W_norm"] for each in weighted(e.begun)}
    held = []
    for layer in weighted(e.layers):
        W, first = layer["W_norm"], start.get(layer["layer"], math.sqrt(layer["units"]))
        pull = strength * W / max(layer.get("dW_norm", math.inf), 1e-300)
        if pull > HOLDS or W < COLLAPSED * first:
            held.append((W / max(first, 1e-300), layer["layer"]))
    if not held:
        return []
    left, l = min(held)
    drop_in = e.settings.get("penalty_per_weight")  # scikit-learn's alpha
    shown = "alpha" if drop_in and name == "l2" else name
    each = f", divided by the batch of {e.settings.get('batch_size')}," if drop_in else ""
    fix: dict[str, Any] = {name: USUAL if name == "l2" else 0.0}
    if name == "weight_decay":
        kind, parameters = optimizer_of(e)
        fix = {"optimizer": {"name": kind, **parameters, "weight_decay": 0.01}}
    return [
        Detection(
            "warning",
            f"layer {l}",
            f"{shown} = {_asked(e, name):g}{each} holds the weights back: the norm of W[{l}] is "
            f"{percent(left)} of that at the start",
            f"Use a weaker penalty, such as {shown} = {fix.get(name, 0.01):g}.",
            fix,
        )
    ]


def _strength(e: Evidence) -> tuple[float, str]:
    """What dJ/dW has of the penalty, as a share of W; and the name of its setting."""
    per = e.settings.get("batch_size", 1) if e.settings.get("penalty_per_weight") else 1
    l2, l1 = (e.settings.get(name, 0.0) / max(per, 1) for name in ("l2", "l1"))
    if max(l1, l2) >= STRONG:
        return (l2, "l2") if l2 >= l1 else (l1, "l1")
    decay = optimizer_of(e)[1].get("weight_decay", 0.0)
    return (decay, "weight_decay") if decay >= DECAY else (0.0, "")


def _asked(e: Evidence, name: str) -> float:
    return float(optimizer_of(e)[1].get(name, e.settings.get(name, 0.0)))


def _dropout(e: Evidence) -> list[Detection]:
    rates = [(each.get("dropout", 0.0), each) for each in hidden(e.layers)]
    most, layer = max(rates, key=lambda pair: pair[0], default=(0.0, {}))
    if most < DROPPED or not _misses_training(e):
        return []
    kept = (1 - most) * layer["units"]
    return [
        Detection(
            "warning",
            f"layer {layer['layer']}",
            f"each step drops {percent(most)} of {layer['units']} units, so only about "
            f"{kept:.0f} learn",
            "Use less dropout, such as 0.2.",
            {"dropout": 0.2},
        )
    ]


RULES = (
    Rule(
        "penalty_too_strong",
        "A penalty adds λW to dJ/dW and pulls every weight towards 0; if it is stronger than the "
        "pull of the data, little is learned.",
        _penalty,
        (*TRAINING, "weights_too_small"),
    ),
    Rule(
        "dropout_too_strong",
        "A unit learns only in the steps that keep it, and other units cannot rely on it.",
        _dropout,
        (*TRAINING, "weights_too_small"),
    ),
)
