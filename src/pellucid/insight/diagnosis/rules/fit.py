"""Rules about what was learned in the end: too much by heart, too little, one class alone."""

from __future__ import annotations

import math
from typing import Any

from pellucid.insight.diagnosis.evidence import Evidence
from pellucid.insight.diagnosis.rules.rule import (
    AT_CHANCE,
    DEAD,
    FLAT,
    GAP,
    SHORT,
    Detection,
    Rule,
    by_heart,
    compared,
    epochs_of,
    gap,
    hurts,
    longer,
    mean_recall,
    noise,
    noise_of_recall,
    percent,
    shortfall,
    sizes,
    sums_alone,
)

RARE = 0.2
"""A class with a smaller share than this (and less than half of an equal one)."""
GIVEN_IN = 0.75
"""So few of a rare class are found."""
FOUND = 0.06
"""A weighted learner finds so much more of the classes, on average."""
BENT = 0.1
"""So much better than a straight line: the data are curved."""
SURE = 3.0
"""The same of a network that is sure of wrong answers too; its J is as much below the least."""
EQUAL = 0.05
"""Outputs that vary by less than this share of the targets are equal."""
COIN = 0.005
"""How near to log 2 J stays, as a share."""
PLATEAU = 50
"""Epochs after which one that has not left it is stuck there: XOR takes some to begin."""
TURNED = 1.15
"""The validation loss at the end, relative to its least."""


def _imbalance(e: Evidence) -> list[Detection]:
    t, s, r = e.target, e.scores, e.reference
    if t is None or s is None or not s.recalls or r is None or len(t.shares) != len(s.recalls):
        return []
    equal = 1 / len(t.shares)
    rare = [k for k, share in enumerate(t.shares) if share < min(RARE, equal / 2)]
    lost = [k for k in rare if (s.recalls[k] + s.train_recalls[k]) / 2 < GIVEN_IN]
    own = min(mean_recall(e, "validation"), mean_recall(e, "train"))
    if not lost or r.weighted - own < FOUND + noise_of_recall(e) / 2:
        return []
    k = lost[0]
    return [
        Detection(
            "warning",
            e.class_(k),
            f"{percent(t.shares[k])} of the examples are of {e.class_(k)}, and the network finds "
            f"{percent(s.recalls[k])} of them; the mean accuracy over the classes is {own:.2f}, "
            f"with class weights a simple learner reaches {r.weighted:.2f}",
            'Weight the classes: class_weight="balanced".',
            {"class_weight": "balanced"},
        )
    ]


def _overfits(e: Evidence) -> list[Detection]:
    val, J = e.curves.get("val_loss", []), e.curves.get("loss", [])
    if len(val) < 4:
        return _by_heart(e)
    least = min(val)
    best = val.index(least)
    kept = e.best_epoch or len(val)
    at_end = val[min(kept, len(val)) - 1]
    turned = at_end > TURNED * max(least, 1e-12) and J[-1] < J[best]
    if not turned:
        return []
    apart = gap(e)
    wide_apart = apart is None or apart > GAP
    serious = wide_apart and (hurts(e) or _lost_score(e) > 0.03)
    sure = apart is not None and wide_apart and at_end > SURE * least and J[-1] < least / SURE
    return [
        Detection(
            "warning" if serious or sure else "info",
            f"epoch {epochs_of(e)[best]}",
            f"the validation loss is lowest there, {least:.3g}, and {at_end:.3g} at the end, while "
            f"J went down to {J[-1]:.3g}" + (f"; {_both_scores(e)}" if apart is not None else ""),
            *(_EARLIER if sure and not serious else _fewer(e)),
        )
    ]


_EARLIER: tuple[str, dict[str, Any]] = (
    "Stop early: the network is certain even when it is wrong, so its probabilities mislead.",
    {"early_stopping": 20},
)


def _fewer(e: Evidence) -> tuple[str, dict[str, Any]]:
    units = "units" if e.plain else "units or filters"
    return (
        f"Stop early, or use more examples, fewer {units}, l2 or dropout.",
        {"early_stopping": 20} | sizes(e, [16]),
    )


def _by_heart(e: Evidence) -> list[Detection]:
    """Without a validation curve: better than others on its training data, worse on new ones."""
    if not by_heart(e) or not hurts(e):
        return []
    assert e.reference is not None
    evidence = f"{_both_scores(e)} ({compared(e)})"
    return [Detection("warning", "all epochs", evidence, *_fewer(e))]


def _both_scores(e: Evidence) -> str:
    assert e.scores is not None
    s = e.scores
    return f"score {s.train:.2f} on training data, {s.validation:.2f} on validation data"


def _lost_score(e: Evidence) -> float:
    """By how much the validation score was better at some epoch than at the end."""
    scores = [each["val_score"] for each in e.samples if "val_score" in each]
    return max(scores) - scores[-1] if scores else 0.0


def too_narrow(e: Evidence) -> list[Detection]:
    """No hidden layer, or one of a single unit: the answer follows one straight line."""
    r, widths = e.reference, [each["units"] for each in (e.layers or [])[:-1]]
    if not sums_alone(e.layers) or not e.plain:  # these need not follow a line
        return []
    if r is None and not widths and _stays(e):
        return [Detection("warning", "0 hidden units", _one_answer(e), *_A_LAYER)]
    if r is None or not e.layers or min(widths, default=1) > 1 or not hurts(e):
        return []
    if r.score - r.linear < BENT:
        return []
    what = "a hidden layer of one unit" if widths else "no hidden layer"
    return [
        Detection(
            "warning",
            f"{sum(widths)} hidden units",
            f"with {what} the answer depends on one linear combination of the inputs; on held-out "
            f"rows linear regression scores {r.linear:.2f}, {compared(e)}",
            "Add a hidden layer of 16 units or more.",
            {"hidden_layer_sizes": [max(64, 2 * w) for w in widths] or [64], "activation": "relu"},
        )
    ]


def _underfits(e: Evidence) -> list[Detection]:
    short = shortfall(e, "train")
    if short is None or not hurts(e) or short < SHORT / 2 or e.stopped == "diverged":
        return []
    assert e.scores is not None
    assert e.reference is not None
    widths = [each["units"] for each in (e.layers or [])[:-1]]
    more = [max(64, 2 * width) for width in widths] or [64]
    fix: dict[str, Any] = {"hidden_layer_sizes": more, "activation": "relu"}
    return [
        Detection(
            "warning",
            f"{sum(widths)} hidden units" if e.plain else "the hidden layers",
            f"the score on training data is {e.scores.train:.2f}; on held-out rows {compared(e)}",
            f"Use more units{'' if e.plain else ', filters'} or another hidden layer, or train "
            "longer, with a higher learning rate, less l2 or less dropout.",
            fix if e.plain else longer(e),
        )
    ]


_A_LAYER: tuple[str, dict[str, Any]] = (
    "Without a hidden layer the network is linear: add one, of 16 units.",
    {"hidden_layer_sizes": [16], "activation": "tanh"},
)


def _stays(e: Evidence) -> bool:
    """Whether J has stayed where one and the same answer to every example would be."""
    a = e.answers
    if a is None or len(e.curves.get("loss", [])) < PLATEAU or e.stopped == "diverged":
        return False
    return AT_CHANCE * a.constant < a.J and (a.spread < EQUAL or a.J < a.constant / AT_CHANCE)


def _one_answer(e: Evidence) -> str:
    a = e.answers
    assert a is not None
    return (
        f"J is {a.J:.3g}; one constant answer would give {a.constant:.3g}, and the outputs vary "
        f"only {percent(a.spread)} as much as the targets"
    )


def _constant_answer(e: Evidence) -> list[Detection]:
    """J is where it would be without X, and the training did not leave it."""
    advice = "Use more units, start from another seed, train longer, or raise the learning rate."
    if _stays(e) and (e.reference is None or hurts(e)):
        widths = [max(16, 4 * each["units"]) for each in (e.layers or [])[:-1]] or [16]
        fix: dict[str, Any] = {"hidden_layer_sizes": widths, "activation": "tanh"}
        fix = fix if e.plain else longer(e)
        return [Detection("warning", "the output", _one_answer(e), advice, fix)]
    if e.answers is None and _at_log_2(e):
        J = e.curves["loss"][-1]
        evidence = (
            f"J stays at {J:.4g}, which is log 2: the loss of answering 1/2 for every example"
        )
        return [Detection("warning", "the output", evidence, advice)]
    return []


def _at_log_2(e: Evidence) -> bool:
    """Without data: whether J stayed at what a coin costs."""
    J, loss = e.curves.get("loss", []), e.settings.get("loss", "binary_cross_entropy")
    late = J[len(J) // 2 :]
    near = all(abs(each / math.log(2) - 1) < COIN for each in late)
    return near and len(J) >= PLATEAU and loss == "binary_cross_entropy"


def _no_better(e: Evidence) -> list[Detection]:
    """On rows held out, what one answer to all would do as well."""
    a, s, r = e.answers, e.scores, e.reference
    if a is None or s is None or s.validation is None or r is None or a.validation is None:
        return []
    worse = a.validation_constant is not None and a.validation > a.validation_constant
    if not worse or s.validation > r.floor + noise(e) or r.rows < 30:
        return []
    if s.recalls and mean_recall(e, "validation") > 1 / len(s.recalls) + SHORT + noise_of_recall(e):
        return []  # of unequal classes it finds the rare ones, which accuracy does not show
    best = f" ({compared(e)})" if r.score > r.floor + noise(e) else ""
    return [
        Detection(
            "warning",
            "the validation data",
            f"J is {a.validation:.3g} there; a constant answer gives {a.validation_constant:.3g}. "
            f"The score is {s.validation:.2f}, that of a constant answer {r.floor:.2f}{best}",
            "Stop early and use fewer units; look for columns that say more about the target.",
            {"early_stopping": 10},
        )
    ]


_UNDERFITS = "Hidden units are what bends the answer; a few can only bend it a little."
TOO_NARROW = Rule(
    "underfitting",
    _UNDERFITS,
    too_narrow,
    (*DEAD, *FLAT, "learning_rate_too_low", "stopped_too_early",
     "batch_too_large", "class_imbalance", "underfitting", "constant_answer"),
)  # fmt: skip
RULES = (
    Rule(
        "class_imbalance",
        "J is a mean over examples: if one class is rare, always answering with the other is "
        "cheap.",
        _imbalance,
        ("stopped_too_early", "underfitting", "constant_answer", "no_better_than_constant"),
    ),
    Rule(
        "overfitting",
        "With enough weights a network memorises the training examples, noise included.",
        _overfits,
        ("no_better_than_constant",),
    ),
    Rule("underfitting", _UNDERFITS, _underfits, ("constant_answer", "no_better_than_constant")),
    Rule(
        "constant_answer",
        "Of all answers that ignore X, the mean of Y has the lowest J; a network that cannot bend "
        "its answer, or whose units are all flat, gets stuck there.",
        _constant_answer,
        ("no_better_than_constant",),
    ),
    Rule(
        "no_better_than_constant",
        "A score means something only next to that of the simplest answer: always the most common "
        "class, or the mean.",
        _no_better,
    ),
)
