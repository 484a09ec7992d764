"""A peer that can be written in several ways is measured in the one that is fastest here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from statistics import mean
from typing import Any

from stopwatch import Stopwatch

Epoch = Callable[[Any, "list[float] | None"], None]
"""Trains over one order; appends each step's J to the list, where there is one."""

PROBE_SECONDS = 0.5
"""How long a form is tried."""


def train_best(
    forms: Mapping[str, Callable[[], Epoch]], form: str, orders: Sequence[Any], stopwatch: Stopwatch
) -> None:
    """Train for ever in this form; where none is named, in the quickest."""
    form = form or _quickest(forms, orders)
    epoch = forms[form]()
    costs: list[float] = []
    epoch(orders[0], costs)  # compiles
    stopwatch.info |= {"form": form, "first_loss": mean(costs)}
    for order in cycle(orders):
        stopwatch()
        epoch(order, None)


def _quickest(forms: Mapping[str, Callable[[], Epoch]], orders: Sequence[Any]) -> str:
    tried: dict[str, float] = {}
    problems: list[str] = []
    for name, make in forms.items():
        try:
            epoch = make()
            epoch(orders[0], [])  # compiles
            tried[name] = _probe(epoch, orders[1])
        except Exception as problem:
            problems.append(f"{name}: {type(problem).__name__}: {problem}")
    if not tried:
        raise RuntimeError("; ".join(problems))
    return min(tried, key=lambda name: tried[name])


def _probe(epoch: Epoch, order: Any) -> float:
    """The shortest of a few epochs: others may be using the machine."""
    begin = time.perf_counter()
    seconds: list[float] = []
    while len(seconds) < 2 or (time.perf_counter() - begin < PROBE_SECONDS and len(seconds) < 50):
        start = time.perf_counter()
        epoch(order, None)
        seconds.append(time.perf_counter() - start)
    return min(seconds)
