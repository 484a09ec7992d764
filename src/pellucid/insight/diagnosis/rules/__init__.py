"""The rules of the diagnosis: one table, causes before consequences."""

from __future__ import annotations

from pellucid.insight.diagnosis.evidence import Evidence
from pellucid.insight.diagnosis.finding import Finding
from pellucid.insight.diagnosis.rules import data, fit, gradients, learning, start, task
from pellucid.insight.diagnosis.rules.rule import Rule, Seen

__all__ = ["RULES", "Rule", "Seen", "findings"]

_ORDERED = (
    *task.RULES,
    *data.RULES[:5],
    *start.RULES,
    learning.TOO_HIGH,
    gradients.EXPLODING,
    learning.DIVERGENCE,
    gradients.DEAD,
    gradients.SATURATED,
    gradients.VANISHING,
    *learning.RULES,
    *fit.RULES,
    *data.RULES[5:],
)
RULES: dict[str, Rule] = {rule.kind: rule for rule in _ORDERED}
"""Every rule by its kind, the most causal first. A new one is an entry in one of the files."""


def findings(e: Evidence) -> list[Finding]:
    """Apply every rule; what another finding explains becomes info."""
    found: list[Finding] = []
    explained: set[str] = set()
    for rank, (kind, rule) in enumerate(RULES.items()):
        for k, seen in enumerate(rule.look(e)):
            severity = "info" if kind in explained else seen.severity
            if severity != "info":
                explained.update(rule.explains)
            weight = len(RULES) - rank - k / 1000
            if kind in explained:
                weight += 0.5  # a consequence before what does not matter
            found.append(
                Finding(kind, severity, seen.where, seen.evidence, rule.why, seen.advice,
                        seen.fix, weight)
            )  # fmt: skip
    return found
