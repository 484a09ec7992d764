"""A peer that can be written in several ways is measured in the one that is fastest here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from statistics import mean
from typing import Any

from gate import Gate

Epoch = Callable[[Any, "list[float] | None"], None]
"""Trains over one order; appends each step's J to the list, where there is one."""

PROBE_SECONDS = 0.5
"""How long a form is tried."""


def train_best(forms: Mapping[str, Callable[[], Epoch]], orders: Sequence[Any], gate: Gate) -> None:
    """Try the forms, then train for ever in the quickest."""
    tried: dict[str, tuple[float, Epoch, float]] = {}
    problems: list[str] = []
    for name, make in forms.items():
        try:
            epoch, costs = make(), []
            epoch(orders[0], costs)  # compiles
            tried[name] = _quickest(epoch, orders[1]), epoch, mean(costs)
        except Exception as problem:
            problems.append(f"{name}: {type(problem).__name__}: {problem}")
    if not tried:
        raise RuntimeError("; ".join(problems))
    name = min(tried, key=lambda each: tried[each][0])
    _, epoch, loss = tried[name]
    tried.clear()  # and their memory
    gate.info |= {"form": name, "first_loss": loss}
    for order in cycle(orders):
        gate()
        epoch(order, None)


def _quickest(epoch: Epoch, order: Any) -> float:
    """The shortest of a few epochs: others may be using the machine."""
    begin = time.perf_counter()
    seconds: list[float] = []
    while len(seconds) < 2 or (time.perf_counter() - begin < PROBE_SECONDS and len(seconds) < 50):
        start = time.perf_counter()
        epoch(order, None)
        seconds.append(time.perf_counter() - start)
    return min(seconds)
