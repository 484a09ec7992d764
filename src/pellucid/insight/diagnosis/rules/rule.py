"""What a rule is, and the words that several rules need."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pellucid.insight.diagnosis.evidence import Evidence


@dataclass(frozen=True)
class Detection:
    """What a rule detects: a finding without its kind and the reason behind it."""

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
    detect : callable
        From the evidence to what it detects; it says nothing where evidence is lacking.
    explains : tuple of str
        Kinds that follow from this one: where it is found, they become info.
    """

    kind: str
    why: str
    detect: Callable[[Evidence], list[Detection]]
    explains: tuple[str, ...] = ()


DEAD = ("dead_units", "dead_filters")
FLAT = ("saturated_units", "saturated_gates")
THROUGH_TIME = ("vanishing_through_time", "exploding_through_time", "sequence_too_long")
SYMPTOMS = (
    "learning_rate_too_high",
    "learning_rate_too_low",
    "oscillation",
    "divergence",
    "vanishing_gradient",
    "exploding_gradient",
    *THROUGH_TIME,
    *DEAD,
    *FLAT,
    "stopped_too_early",
    "batch_too_large",
    "batch_too_small",
    "class_imbalance",
    "overfitting",
    "underfitting",
    "constant_answer",
    "no_better_than_constant",
)
"""What a training shows where something else is at fault."""
TRAINING = ("ascent", "weights_set_back", *SYMPTOMS)
"""What may go wrong in a training because its data or its task are wrong."""

SHORT = 0.05
"""A network hurts where it stays behind what simple learners reach by more than this: the same 5 %
from which the benchmark counts a fault; and by more than chance may do. On its own training data
half of it is too much already."""
GAP = 0.08
"""Training score minus validation score: that much was learned by heart."""
WELL = 0.95
"""Without data to compare with: a score on the training data that could hardly be better."""
LEARNED = 0.3
"""Without data to compare with: J fell by so large a share of its first value, so it learns."""


def shortfall(e: Evidence, on: str) -> float | None:
    """How far the network's score on "train" or "validation" stays behind the reference's.

    Relative, as accuracy or R squared; None where there is nothing to compare.
    """
    if e.scores is None or e.reference is None:
        return None
    own = e.scores.compared if on == "validation" else e.scores.train
    return (e.reference.score - own) / _best(e)


def _best(e: Evidence) -> float:
    """What shares of a score are shares of."""
    return max(e.reference.score, 0.1) if e.reference else 1.0


def gap(e: Evidence) -> float | None:
    """The score on the training data minus that on the validation data, where there are any."""
    s = e.scores
    return None if s is None or s.validation is None else s.train - s.validation


def by_heart(e: Evidence) -> bool:
    """Better than others on its training data, worse on validation data: it learned enough."""
    short = shortfall(e, "train")
    return short is not None and short < 0 and (gap(e) or 0.0) > GAP


def neglects(e: Evidence, on: str) -> float:
    """How far the mean of the classes' accuracies stays behind; 0 for regression."""
    if e.scores is None or e.reference is None or not e.scores.recalls:
        return 0.0
    return e.reference.balanced - mean_recall(e, on)


def mean_recall(e: Evidence, on: str) -> float:
    """The mean of the classes' accuracies."""
    assert e.scores is not None
    recalls = e.scores.recalls if on == "validation" else e.scores.train_recalls
    known = [each for each in recalls if not math.isnan(each)]
    return sum(known) / max(len(known), 1)


def noise_of_recall(e: Evidence) -> float:
    """A standard error of the mean of the classes' accuracies on the rows held out."""
    if e.reference is None or e.scores is None or not e.scores.recalls:
        return 0.0
    wrong = min(max(1 - min(e.reference.balanced, mean_recall(e, "validation")), 0.02), 0.5)
    return math.sqrt(wrong * (1 - wrong) / max(e.reference.rarest, 1) / len(e.scores.recalls))


def hurts(e: Evidence, short: float = SHORT) -> bool:
    """Whether the network does worse than it could by ``short``: by the data, or else by J."""
    behind = shortfall(e, "validation")
    if behind is not None:
        on_train, lost = shortfall(e, "train") or 0.0, neglects(e, "validation")
        of_score, of_recall = noise(e), noise_of_recall(e)
        return (
            behind > short + of_score
            or (on_train > short / 2 + 2 * of_score / _best(e) and behind > of_score)
            or lost > short + of_recall
            or (neglects(e, "train") > short / 2 + 2 * of_recall and lost > of_recall)
        )
    if e.scores is not None and answers_well(e):
        return False
    J = e.curves.get("loss", [])
    first = e.start["J"] if e.start else (J[0] if J else math.nan)
    return bool(J) and not J[-1] < (1 - LEARNED) * first


AT_CHANCE = 0.98
"""J of the network relative to that of a constant answer, from which nothing was learned."""


def fails(e: Evidence) -> bool:
    """Whether the network does worse than it could, or has learned nothing of its own data.

    For pictures and sequences, where simple learners may learn nothing either.
    """
    return hurts(e) or at_chance(e)


def at_chance(e: Evidence) -> bool:
    """Whether a training has learned nothing of its own data."""
    a = e.answers
    return bool(e.curves) and a is not None and not a.J < AT_CHANCE * a.constant


def answers_well(e: Evidence) -> bool:
    """Whether the network answers its training data well, each class of them."""
    if e.scores is None:
        return False
    recalls = e.scores.train_recalls
    return min(e.scores.train, mean_recall(e, "train") if recalls else 1.0) > WELL


def noise(e: Evidence) -> float:
    """A standard error of a score on the rows held out."""
    if e.reference is None or e.scores is None:
        return 0.0
    wrong = min(max(1 - min(e.reference.score, e.scores.train), 0.02), 0.5)
    return math.sqrt(wrong * (1 - wrong) / max(e.scores.rows, 1))


def epochs_of(e: Evidence) -> list[int]:
    """The epoch of each point of the curves: every one from 1 on, unless a curve "epoch" says."""
    return [int(k) for k in e.curves.get("epoch", range(1, len(e.curves.get("loss", [])) + 1))]


def first_J(e: Evidence) -> float:
    """J of the first weights, or of the first epoch."""
    return float(e.start["J"]) if e.start else e.curves.get("loss", [math.nan])[0]


def hidden(layers: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """All layers but the output layer."""
    return list(layers or [])[:-1]


def weighted(layers: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """The layers with weights W; of a layer of one's own without any nothing is said of W."""
    return [each for each in layers or [] if "W_norm" in each]


def n_weights(layer: dict[str, Any]) -> int:
    """How many entries W has; statistics of version 0.1 tell it by the inputs of a unit."""
    return int(layer.get("weights") or layer["units"] * layer["fan_in"])


def sums_alone(layers: list[dict[str, Any]] | None) -> bool:
    """Whether nothing but g bends: each z is a sum of weighted inputs and a bias."""
    return all("fan_in" in each and not each.get("bent") for each in layers or [])


def falling(curve: list[float]) -> float:
    """By what share of its present height a curve fell in its last quarter, smoothed."""
    if len(curve) < 2:
        return 1.0
    last, before = _last_quarters(curve)
    return 1 - last / before if math.isfinite(before) and before > 0 else 0.0


def still_to_come(curve: list[float], first: float) -> float:
    """Of all that a curve fell since ``first``, the share that fell in the last quarter, smoothed.

    More than a quarter where it goes down as a straight line, near 0 where it has arrived.
    """
    if len(curve) < 2:
        return 1.0
    last, before = _last_quarters(curve)
    return (before - last) / (first - last) if first > last else 0.0


def _last_quarters(curve: list[float]) -> tuple[float, float]:
    """The means of the last quarter and of the one before."""
    part = max(1, len(curve) // 4)
    last, before = curve[-part:], curve[-2 * part : -part] or curve[:1]
    return sum(last) / len(last), sum(before) / len(before)


def step_sizes(e: Evidence, sample: dict[str, Any]) -> list[float]:
    """How far one step moves each W, relative to W: |dW| or sqrt(size) times the rate.

    Of steps that are none of ours, "unknown", the rate is |step| / |dW|.
    A W that starts at 0, or near it, is taken for half of what is usual: |W| = sqrt(units).
    """
    name, parameters = optimizer_of(e)
    alpha = rate_at(e, sample["epoch"])
    sizes = []
    for layer in weighted(sample["layers"]):
        rate = alpha * layer.get("rate_factor", 1.0)
        size = math.sqrt(n_weights(layer))
        if name in ("classical_momentum", "nesterov"):
            step = rate * layer["dW_norm"] / max(1 - parameters.get("beta", 0.9), 1e-6)
        elif name in ("gradient_descent", "momentum", "unknown"):
            step = rate * layer["dW_norm"]
        elif name == "lbfgs":
            step = 0.0
        else:
            step = rate * size
        sizes.append(step / max(layer["W_norm"], 0.5 * math.sqrt(layer["units"])))
    return sizes


def optimizer_of(e: Evidence) -> tuple[str, dict[str, Any]]:
    """The optimizer's name, and its parameters."""
    spec = e.settings.get("optimizer", "adam")
    if isinstance(spec, str):
        return spec, {}
    return spec["name"], {name: value for name, value in spec.items() if name != "name"}


def rate_at(e: Evidence, epoch: int) -> float:
    """The learning rate at the end of an epoch; of 0, the largest of the first three."""
    rates = e.curves.get("learning_rate") or [e.settings.get("learning_rate", 0.0)]
    return float(max(rates[:3]) if epoch == 0 else rates[min(epoch, len(rates)) - 1])


def percent(share: float) -> str:
    """0.123 as "12 %", 1234 as "1,234 times"."""
    return f"{100 * share:.0f} %" if share < 10 else f"{share:,.0f} times"


def count(n: int, thing: str) -> str:
    """1 as "1 epoch", 2 as "2 epochs"."""
    return f"{n} {thing}{'s' * (n != 1)}"


def sizes(e: Evidence, wanted: list[int]) -> dict[str, Any]:
    """Other sizes of the hidden layers, where these have nothing but units."""
    return {"hidden_layer_sizes": wanted} if e.plain else {}


def longer(e: Evidence) -> dict[str, Any]:
    """More epochs: as many as a training that was too short needs."""
    return {"epochs": max(100, 5 * max(epochs_of(e), default=0))}


def compared(e: Evidence) -> str:
    """What the best of the simple learners scores: "a kernel machine 0.94"."""
    assert e.reference is not None
    return f"{e.reference.name} {e.reference.score:.2f}"
