"""The rules of the diagnosis: one table, causes before consequences."""

from __future__ import annotations

from collections.abc import Container

from pellucid.insight.diagnosis.evidence import Evidence
from pellucid.insight.diagnosis.finding import Finding
from pellucid.insight.diagnosis.rules import (
    data,
    fit,
    gradients,
    learning,
    restraint,
    standstill,
    start,
    task,
    time,
)
from pellucid.insight.diagnosis.rules.rule import Detection, Rule

__all__ = ["KINDS", "RULES", "Detection", "Rule", "findings"]

RULES: tuple[Rule, ...] = (
    *task.RULES,
    *data.RULES,
    *start.RULES,
    *restraint.RULES,
    time.EXPLODING,
    gradients.EXPLODING,
    *gradients.DEAD_FROM_START,
    gradients.SATURATED_FROM_START,
    time.STUCK_FROM_START,
    time.VANISHING,
    gradients.VANISHING,
    learning.ASCENT,
    *standstill.RULES,
    learning.TOO_HIGH,
    learning.DIVERGENCE,
    learning.SMALL_BATCHES,
    fit.TOO_NARROW,
    *gradients.DEAD_SINCE,
    gradients.SATURATED,
    time.STUCK_SINCE,
    time.TOO_LONG,
    *learning.RULES,
    data.UNLEARNABLE,
    *fit.RULES,
)
"""Every rule, the most causal first. A new one is an entry in one of the files."""
KINDS: tuple[str, ...] = tuple(dict.fromkeys(rule.kind for rule in RULES))


def findings(e: Evidence, without: Container[str] = ()) -> list[Finding]:
    """Apply every rule but those of some kinds; what another finding explains becomes info."""
    found: list[Finding] = []
    explained: set[str] = set()
    for rank, rule in enumerate(RULES):
        kind = rule.kind
        if kind in without:
            continue
        for k, each in enumerate(rule.detect(e)):
            if any(f.kind == kind and f.where == each.where for f in found):
                continue
            severity = "info" if kind in explained else each.severity
            if severity != "info":
                explained.update(rule.explains)
            weight = len(RULES) - rank - k / 1000
            found.append(
                Finding(kind, severity, each.where, each.evidence, rule.why, each.advice,
                        each.fix, weight)
            )  # fmt: skip
    return found
