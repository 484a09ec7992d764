"""Rules about steps that lead nowhere: weights that stay, are set back, or a rate gone to 0."""

from __future__ import annotations

import math
from typing import Any

from pellucid.insight.diagnosis.evidence import Evidence
from pellucid.insight.diagnosis.rules.rule import (
    SHORT,
    SYMPTOMS,
    Detection,
    Rule,
    count,
    epochs_of,
    hurts,
    percent,
    rate_at,
    step_sizes,
)

FADED = 1e-3
"""A learning rate of so small a share of its largest moves nothing any more."""
LONG = 0.3
"""Share of the epochs that were done with it."""
ROUNDING = 1e-6
"""A step so small, relative to the weights, may leave them as they are."""
LITTLE, AGAIN = 0.003, 0.3
"""The first epoch lowered J by so much; the last one ends as near to that as this share of it."""


def _epochs(e: Evidence) -> int:
    return max(epochs_of(e), default=0)


def _faded(e: Evidence) -> list[Detection]:
    rates = e.curves.get("learning_rate", [])
    most = max(rates, default=0.0)
    lost = sum(rate < FADED * most for rate in rates)
    if not most > 0 or lost < max(LONG * len(rates), 3) or not hurts(e, SHORT / 2):
        return []
    first = next(k for k, rate in enumerate(rates) if rate < FADED * most)
    J = e.curves["loss"]
    return [
        Detection(
            "warning",
            f"epoch {epochs_of(e)[first]}",
            f"the learning rate fell from {most:.3g} to {rates[-1]:.3g}; in the last {lost} epochs "
            f"J went from {J[first]:.3g} to {J[-1]:.3g}",
            "Keep the learning rate constant, or let it fall more slowly.",
            {"schedule": "constant"},
        )
    ]


def _still(e: Evidence) -> list[Detection]:
    """Weights that no step has changed, or that somebody has set back."""
    if not _epochs(e) or len(e.samples) < 2 or e.stopped == "diverged":
        return []
    last, between = e.samples[-1]["layers"], e.samples[1:-1]
    if any(each["moved_since_start"] > 0 for each in last):
        return _set_back(e)
    if (
        max(step_sizes(e, e.samples[0]), default=0.0) < ROUNDING and rate_at(e, 0) > 0
    ):  # nowhere to go
        return []
    if all(each.get("dW_norm", 0.0) == 0 for each in last):  # dead units
        return []
    moved = any(x["moved_since_start"] > 0 for sample in between for x in sample["layers"])
    return [
        Detection(
            "error",
            "every layer",
            f"after {count(_epochs(e), 'epoch')} the weights are still those of the start, although"
            + (" they moved in between" if moved else " dW is not 0"),
            "Do not set the weights back: what a callback writes into them counts."
            if moved
            else "Check what undoes the steps: a callback that writes into the weights, a copy "
            "that is updated instead of the network's own arrays (W[...] -= α dW), or a rate "
            "of 0.",
        )
    ]


def _set_back(e: Evidence) -> list[Detection]:
    """Each epoch ends where the first did, though there was a way to go on."""
    J, later = e.curves.get("loss", []), e.samples[1:]
    if len(J) < 5 or len(later) < 2 or e.start is None or not hurts(e):
        return []
    if 0 < e.best_epoch < len(J):  # early stopping put that epoch's weights back, as it should
        return []
    first, last = later[0], later[-1]
    gained = e.start["J"] - first["J"]
    if gained < LITTLE * e.start["J"] or abs(last["J"] - first["J"]) > AGAIN * gained:
        return []
    if not all(map(_same_way, first["layers"], last["layers"], e.start["layers"])):
        return []
    moved = first["layers"][0]["moved_since_start"]
    return [
        Detection(
            "error",
            "every layer",
            f"every epoch ends where the first did: J is {first['J']:.4g} after the first and "
            f"{last['J']:.4g} after the last, and W[1] {percent(moved)} off its start each time",
            "Do not set the weights back between epochs; create the network once, before the loop.",
        )
    ]


def _same_way(first: dict[str, Any], last: dict[str, Any], start: dict[str, Any]) -> bool:
    """Whether a layer is as far from its start as after the first epoch, its gradient as large."""
    moved = [each["moved_since_start"] for each in (first, last)]
    driven = last.get("dW_norm", 0.0) > 0.5 * start.get("dW_norm", math.inf)
    return bool(driven and abs(moved[1] - moved[0]) < AGAIN * moved[0])


OFTEN = 0.5
"""From the second epoch on, the share of epochs in which the weights were drawn anew."""


def _drawn_anew(e: Evidence) -> list[Detection]:
    restarts, epochs = int(e.settings.get("restarts", 0)), _epochs(e)
    if restarts < 2 or restarts < OFTEN * (epochs - 1):
        return []
    return [
        Detection(
            "error",
            "every epoch",
            f"the weights were set back or drawn again {restarts} times in {epochs} epochs, so "
            "what an epoch learned is lost",
            "Create the network, or set its weights, once, before the loop.",
        )
    ]


RULES = (
    Rule(
        "weights_set_back",
        "Random weights are only for the start: every W := W - α dJ/dW continues from the one "
        "before (lecture 000).",
        _drawn_anew,
        ("weights_do_not_move", "learning_rate_went_to_zero", *SYMPTOMS),
    ),
    Rule(
        "weights_do_not_move",
        "W := W - α dJ/dW must write into the arrays that forward reads, and continue from there.",
        _still,
        SYMPTOMS,
    ),
    Rule(
        "learning_rate_went_to_zero",
        "W := W - α dJ/dW: when α goes to 0, so do the steps, however much is left to learn.",
        _faded,
        SYMPTOMS,
    ),
)
