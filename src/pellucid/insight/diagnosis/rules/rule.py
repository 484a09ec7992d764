"""What a rule is, and the words that several rules need."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pellucid.insight.diagnosis.evidence import Evidence


@dataclass(frozen=True)
class Seen:
    """What a rule saw: a finding without its kind and the reason behind it."""

    severity: str
    where: str
    evidence: str
    advice: str
    fix: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    """One entry of :data:`pellucid.insight.diagnosis.rules.RULES`.

    Attributes
    ----------
    kind : str
    why : str
        Why it happens, in the lectures' words.
    look : callable
        From the evidence to what was seen; it says nothing where evidence is lacking.
    explains : tuple of str
        Kinds that follow from this one: where it is found, they become info.
    """

    kind: str
    why: str
    look: Callable[[Evidence], list[Seen]]
    explains: tuple[str, ...] = ()


SHORT = 0.05
"""A network hurts where it stays behind what simple learners reach by more than this: the same 5 %
from which the benchmark counts a fault."""
LEARNED = 0.3
"""Without data to compare with: J fell by so large a share of its first value, so it learns."""


def shortfall(e: Evidence, on: str = "best") -> float | None:
    """How far the network stays behind the reference: in accuracy or R squared.

    ``on`` is "train", "validation", or "best" of both; None where there is nothing to compare.
    """
    if e.scores is None or e.reference is None:
        return None
    train, validation = e.scores.train, e.scores.validation
    own = {"train": train, "validation": train if validation is None else validation}
    best = max(own.values()) if on == "best" else own[on]
    return (e.reference.score - best) / max(e.reference.score, 0.1)


def hurts(e: Evidence) -> bool:
    """Whether the network does worse than it could: seen from the data, or else from J."""
    short = shortfall(e, "validation")
    if short is not None:
        return short > SHORT + noise(e)
    J = e.curves.get("loss", [])
    first = e.start["J"] if e.start else (J[0] if J else math.nan)
    return bool(J) and not J[-1] < (1 - LEARNED) * first


def noise(e: Evidence) -> float:
    """One standard error of the difference of two learners on the rows held out."""
    if e.reference is None or e.scores is None:
        return 0.0
    wrong = min(max(1 - e.reference.score, 0.02), 0.5)
    return math.sqrt(wrong * (1 - wrong) / max(e.scores.rows, 1))


def hidden(layers: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """All layers but the output layer."""
    return list(layers or [])[:-1]


def falling(curve: list[float]) -> float:
    """By what share of its present height a curve fell in its last quarter, smoothed."""
    if len(curve) < 2:
        return 1.0
    part = max(1, len(curve) // 4)
    last, before = curve[-part:], curve[-2 * part : -part] or curve[:1]
    before_mean, last_mean = sum(before) / len(before), sum(last) / len(last)
    if not (math.isfinite(before_mean) and before_mean > 0):
        return 0.0
    return 1 - last_mean / before_mean


def step_sizes(e: Evidence, sample: dict[str, Any]) -> list[float]:
    """How far one step moves each layer's W, relative to W: |dW| or sqrt(size) times the rate."""
    spec = e.settings.get("optimizer", "adam")
    name = spec if isinstance(spec, str) else spec["name"]
    parameters = {} if isinstance(spec, str) else spec
    rate = max(e.curves.get("learning_rate", [])[:3] or [e.settings.get("learning_rate", 0.0)])
    sizes = []
    for layer in sample["layers"]:
        size = math.sqrt(layer["units"] * layer["fan_in"])
        if name in ("classical_momentum", "nesterov"):
            step = rate * layer["dW_norm"] / max(1 - parameters.get("beta", 0.9), 1e-6)
        elif name in ("gradient_descent", "momentum"):
            step = rate * layer["dW_norm"]
        elif name == "lbfgs":
            step = 0.0
        else:
            step = rate * size
        sizes.append(step / max(layer["W_norm"], 1e-12))
    return sizes


def percent(share: float) -> str:
    """0.123 as "12 %"."""
    return f"{100 * share:.0f} %"
