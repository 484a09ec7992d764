"""Finding and Diagnosis: what is wrong, how it shows, why it happens, what to change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any

SEVERITIES = ("error", "warning", "info")
"""From the most serious on. Info does not hurt the result."""


@dataclass(frozen=True)
class Finding:
    """One thing that a diagnosis found.

    Attributes
    ----------
    kind : str
        The rule that found it, such as "dead_units".
    severity : str
        "error", "warning" or "info".
    where : str
        The place: "layer 1", "column 'age'", "epoch 3".
    evidence : str
        What was seen, with its numbers.
    why : str
        Why it happens, in the lectures' words.
    advice : str
        What to change.
    fix : dict
        The changed settings by the names that the model has for them, or :func:`pellucid.train`,
        Dense and Network. "standardise", "standardise_target", "drop_columns", "labels", "split",
        "output" and "bias" are no settings: they say what to change in the data or the network.
    weight : float
        Among findings of one severity the heavier comes first.
    """

    kind: str
    severity: str
    where: str
    evidence: str
    why: str
    advice: str
    fix: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 0.0

    @property
    def name(self) -> str:
        """The kind in words: "dead units"."""
        return self.kind.replace("_", " ")

    def suggest(self) -> dict[str, Any]:
        """Return the settings to change, {} where no setting would mend it."""
        return dict(self.fix)


@dataclass(frozen=True)
class Tried:
    """Settings that were tried on the rows at hand, and what came of them.

    ``before`` and ``after`` are scores, as they were and with ``settings``: R squared or the
    training's own measure, for classes the accuracy, averaged with the mean accuracy of the
    classes. ``rows`` were learned from, and ``where`` says on which the scores were measured.
    """

    settings: dict[str, Any]
    before: float
    after: float
    rows: int
    where: str

    def text(self) -> str:
        """Return it as a sentence."""
        settings = ", ".join(f"{name}={_shown(value)}" for name, value in self.settings.items())
        return (
            f"Tried on {self.rows} rows: with {settings} the score goes from {self.before:.2f} to "
            f"{self.after:.2f}, on {self.where}."
        )


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)) and len(value) > 4:
        return f"[{value[0]!r}, ... {len(value)} in all]"
    return repr(value)


@dataclass
class Diagnosis:
    """What :func:`pellucid.diagnose` found, the most serious first.

    Attributes
    ----------
    findings : list of Finding
    looked_at : list of str
        What the rules could see: "parameters", "loss curves", "statistics", "data".
    more : list of str
        What was not given and would let them see more.
    tried : Tried or None
        The settings that helped most where they were tried, on the rows that were given or kept.
    """

    findings: list[Finding] = field(default_factory=list)
    looked_at: list[str] = field(default_factory=list)
    more: list[str] = field(default_factory=list)
    tried: Tried | None = None

    def __post_init__(self) -> None:
        self.findings.sort(key=lambda f: (SEVERITIES.index(f.severity), -f.weight))

    @property
    def ok(self) -> bool:
        """True where nothing is worse than info."""
        return all(finding.severity == "info" for finding in self.findings)

    def suggest(self) -> dict[str, Any]:
        """Return the settings to change: those that were tried and helped, where any were.

        Else those of all findings, of the first where two disagree.
        """
        if self.tried is not None:
            return dict(self.tried.settings)
        changed: dict[str, Any] = {}
        for finding in reversed([f for f in self.findings if f.severity != "info"]):
            changed |= finding.suggest()
        return changed

    def text(self) -> str:
        """Return everything as text."""
        if not self.findings:
            return f"Nothing found. {self._seen()}"
        lines = []
        for finding in self.findings:
            where = f" ({finding.where})" if finding.where else ""
            lines += [
                f"{finding.severity}: {finding.name}{where}",
                f"  {finding.evidence}",
                f"  Why: {finding.why}",
                f"  Do: {finding.advice}",
                "",
            ]
        if self.tried is not None:
            lines += [self.tried.text(), ""]
        return "\n".join([*lines, self._seen()])

    def _seen(self) -> str:
        """What was looked at, and what would show more."""
        seen = f"Looked at: {', '.join(self.looked_at) or 'nothing'}."
        return seen + (f"\nMore would be seen with {', '.join(self.more)}." if self.more else "")

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        findings = [asdict(f) for f in self.findings]
        plain = {"findings": findings, "looked_at": self.looked_at, "more": self.more}
        return plain if self.tried is None else {**plain, "tried": asdict(self.tried)}

    def html(self) -> str:
        """Return everything as a list in HTML."""
        items = "".join(
            f"<li><b>{escape(f.severity)}: {escape(f.name)}</b> {escape(f.where)}<br>"
            f"{escape(f.evidence)}<br><i>Why:</i> {escape(f.why)}<br><i>Do:</i> "
            f"{escape(f.advice)}</li>"
            for f in self.findings
        )
        found = f"<ul>{items}</ul>" if items else "<p>Nothing found.</p>"
        tried = f"<p>{escape(self.tried.text())}</p>" if self.tried else ""
        return f'<div class="pellucid-diagnosis">{found}{tried}<p>{escape(self._seen())}</p></div>'

    def _repr_html_(self) -> str:
        return self.html()

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        counts = [f"{sum(f.severity == s for f in self.findings)} {s}" for s in SEVERITIES]
        return f"<Diagnosis: {', '.join(counts)}>"
