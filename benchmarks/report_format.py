"""How numbers, results, comparisons and tables look in RESULTS.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any


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


# What a contestant's result says.


def best_of(results: dict[str, Any], name: str) -> dict[str, Any]:
    """The better of 1 thread and all; empty where neither ran."""
    found = [each for each in (results.get(f"{name}@{n}", {}) for n in ("1", "all")) if ran(each)]
    return min(found, key=lambda each: each["us_per_step"], default={})


def ran(result: dict[str, Any]) -> bool:
    return bool(result) and "skipped" not in result


def peak_of(results: dict[str, Any], threads: str) -> float | None:
    """GFLOP/s of the machine: of what was measured, the most."""
    sgemm, fma = results.get(f"sgemm@{threads}", {}), results.get(f"fma@{threads}", {})
    found = [each for each in (sgemm.get("gflops"), fma.get("gflops_best")) if each]
    return max(found, default=None)


def ratio(theirs: dict[str, Any], ours: dict[str, Any]) -> float | None:
    return theirs["us_per_step"] / ours["us_per_step"] if ran(theirs) and ran(ours) else None


def us(result: dict[str, Any]) -> str:
    return number(result["us_per_step"]) if ran(result) else "–"


def us_with_threads(results: dict[str, Any], name: str) -> str:
    best = best_of(results, name)
    return us(best) + (" *(1)*" if best.get("threads") == 1 else "") + processes(best)


def processes(result: dict[str, Any]) -> str:
    """How far the processes lie apart."""
    return f" ({spread(result['rounds_us'])})" if ran(result) else ""


def absent(found: dict[str, Any]) -> list[str]:
    """Who did not take part, and why."""
    reasons: dict[str, list[str]] = {}
    for name, workload in found.items():
        for key, each in workload["results"].items():
            if not ran(each):
                reasons.setdefault(f"{key}: {without_paths(each['skipped'])}", []).append(name)
    lines = [f"- {reason} ({', '.join(names)})" for reason, names in reasons.items()]
    return ["", "Did not take part:", "", *lines] if lines else []
