"""How numbers, comparisons and tables look in RESULTS.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a markdown table."""
    return [
        f"| {' | '.join(header)} |",
        f"|{' --- |' * len(header)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def number(value: float | None) -> str:
    """Three digits, no more."""
    if value is None:
        return "–"
    decimals = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{decimals}f}"


def spread(rounds: Sequence[float]) -> str:
    """The quickest round and the slowest."""
    return f"{number(min(rounds))} … {number(max(rounds))}"


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def times(value: float | None) -> str:
    return "–" if value is None else f"{number(value)}×"


def asked(value: float | None, target: float | None, unit: str) -> str:
    """What was reached, what was asked for, and whether that is met; ``unit`` is × or %."""
    show = percent if unit == "%" else times
    if value is None or target is None:
        return show(value)
    return f"{show(value)}, asked {show(target)}: {met(value >= target)}"


def at_most(value: float | None, target: float | None, unit: str = "") -> str:
    """The same where less is better."""
    if value is None or target is None:
        return number(value) + unit
    return f"{number(value)}{unit}, asked {number(target)}{unit}: {met(value <= target)}"


def met(holds: bool) -> str:
    return "met" if holds else "**not met**"


def without_paths(text: str) -> str:
    """A message without the names of this machine's folders."""
    return re.sub(r"(/[\w.+-]+){2,}/?", "…", text)
