"""Rules about a training loop that was written by hand (:func:`record_training`)."""

from __future__ import annotations

from pellucid.insight.diagnosis.evidence import Evidence
from pellucid.insight.diagnosis.rules.rule import SYMPTOMS, Rule, Seen, epochs_of

OFTEN = 0.5
"""From the second epoch on, the share of epochs in which the weights were drawn anew."""


def _drawn_anew(e: Evidence) -> list[Seen]:
    restarts, epochs = int(e.settings.get("restarts", 0)), max(epochs_of(e), default=0)
    if restarts < 2 or restarts < OFTEN * (epochs - 1):
        return []
    return [
        Seen(
            "error",
            "every epoch",
            f"the weights went back to where they started, or were drawn anew, {restarts} times in "
            f"{epochs} epochs, so what an epoch learned is lost",
            "Make the network, or set its weights, once, before the loop.",
        )
    ]


RULES = (
    Rule(
        "drawn_anew",
        "Random weights are for the start alone: every W := W - α dJ/dW goes on from the one "
        "before (lecture 000).",
        _drawn_anew,
        ("weights_do_not_move", "learning_rate_went_to_zero", *SYMPTOMS),
    ),
)
