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


def with_part(page: str, script: str, text: str) -> str:
    """Return the page with the text where it says that this script writes."""
    begin, end = f"<!-- {script} writes this part: begin -->", "<!-- end -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"the page has no line {begin!r} with {end!r} below it")
    return pattern.sub(lambda _: f"{begin}\n{text}\n{end}", page)
