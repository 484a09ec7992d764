"""A peer that can be written in several ways is measured in the one that is fastest here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import cycle
from statistics import mean
from typing import Any

from stopwatch import Stopwatch

Epoch = Callable[[Any, "list[float] | None"], None]
"""Trains over one order; appends each step's J to the list, where there is one."""

Run = Callable[[], Any]
"""What is timed again and again."""

PROBE_SECONDS = 0.5
"""How long a form is tried."""

CALLS = 500
"""One-row predictions between two looks at the clock."""


def train_best(
    forms: Mapping[str, Callable[[], Epoch]],
    form: str,
    orders: Sequence[Any],
    stopwatch: Stopwatch,
    check: Callable[[list[float]], None] = lambda costs: None,
) -> None:
    """Train for ever in this form; where none is named, in the quickest.

    ``check`` gets the costs of the first epoch's steps and raises a ValueError where they are not
    what they should be: that form is left out.
    """

    def run(make: Callable[[], Epoch]) -> Run:
        epoch, costs = make(), []
        epoch(orders[0], costs)  # compiles
        check(costs)
        return partial(epoch, orders[1], None)

    form = form or _quickest({name: partial(run, make) for name, make in forms.items()}, stopwatch)
    epoch = forms[form]()
    costs: list[float] = []
    epoch(orders[0], costs)  # compiles
    check(costs)
    stopwatch.info |= {"form": form, "first_loss": mean(costs)}
    for order in cycle(orders):
        stopwatch()
        epoch(order, None)


def repeat_best(forms: Mapping[str, Callable[[], Run]], form: str, stopwatch: Stopwatch) -> None:
    """Predict one row for ever in this form; where none is named, in the quickest."""
    form = form or _quickest(forms, stopwatch)
    stopwatch.info["form"] = form
    repeat(forms[form](), stopwatch)


def repeat(run: Run, stopwatch: Stopwatch) -> None:
    """Predict one row for ever, many times at once: they stand for an epoch."""
    stopwatch.epochs_per_call = CALLS
    while True:
        stopwatch()
        for _ in range(CALLS):
            run()


def _quickest(forms: Mapping[str, Callable[[], Run]], stopwatch: Stopwatch) -> str:
    tried: dict[str, float] = {}
    problems: list[str] = []
    for name, make in forms.items():
        try:
            tried[name] = _probe(make())
        except Exception as problem:
            problems.append(f"{name}: {type(problem).__name__}: {problem}")
    if not tried:
        raise RuntimeError("; ".join(problems))
    if problems:
        stopwatch.info["left_out"] = "; ".join(each.splitlines()[0][:200] for each in problems)
    return min(tried, key=lambda name: tried[name])


def _probe(run: Run) -> float:
    """The shortest of a few runs: others may be using the machine."""
    run()
    begin = time.perf_counter()
    seconds: list[float] = []
    while len(seconds) < 2 or (time.perf_counter() - begin < PROBE_SECONDS and len(seconds) < 50):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
