"""Where a contestant's epochs are counted, and where the clock is.

A contestant is a function ``contestant(job, stopwatch)``. It gets everything ready and compiled,
then trains for ever and calls ``stopwatch()`` at the beginning of each epoch. The stopwatch lets
epochs pass until the contestant is warm, takes the time of those that follow in bursts, looks
before and after each at what the machine's cores can do, answers, and ends the process.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator
from typing import Any, NoReturn, TextIO

from machine import Cores, ForeignLoad

WARM_SECONDS = 0.3
"""Of training before the clock, one epoch at least: pools of threads and allocators settle, and so
does pellucid's choice of threads."""


BURST_SECONDS = 0.05
"""Between two looks at what the machine's cores can do; one epoch at least."""


class Skip(Exception):  # noqa: N818
    """This contestant cannot take part; the text says why."""


class Stopwatch:
    """What a contestant calls at the beginning of each epoch."""

    def __init__(
        self, seconds: float, answers: TextIO, threads: int = 0, asks: bool = True
    ) -> None:
        """Prepare to measure for so long; with ``asks``, look at the machine between bursts."""
        self.info: dict[str, Any] = {}
        """Goes along with the answer: the loss, the engine."""
        self.epochs_per_call = 1
        """Epochs between two calls of the stopwatch."""
        self._answers = answers
        self._round = self._measure(seconds, Cores(one=threads == 1, asks=asks))

    def __call__(self) -> None:
        next(self._round)

    def finish(self, **answer: Any) -> NoReturn:
        """Answer, and end the process as it stands."""
        print(json.dumps(answer), file=self._answers, flush=True)
        os._exit(0)

    def _measure(self, seconds: float, cores: Cores) -> Generator[None, None, None]:
        yield from _epochs(WARM_SECONDS)
        load, began, given = ForeignLoad(), time.process_time(), cores.gflops()
        bursts, total, cpu = [], 0.0, 0.0
        while total < seconds or not bursts:
            before, given_before = time.process_time(), given
            passed, epochs = yield from _epochs(min(seconds, BURST_SECONDS))
            worked = time.process_time() - before
            cpu += worked
            total += passed
            given = cores.gflops()
            count = epochs * self.epochs_per_call
            bursts.append(
                {
                    "seconds_per_epoch": passed / count,
                    "cpu_seconds_per_epoch": worked / count,
                    "gflops_given": min(given_before, given),
                }
            )
        self.finish(
            bursts=bursts,
            cores_used=cpu / total,
            cores_others=load.cores(time.process_time() - began),
            info=self.info,
        )


def _epochs(seconds: float) -> Generator[None, None, tuple[float, int]]:
    """Let epochs pass for so long, one at least; return how long it was and how many they were."""
    start, passed, epochs = time.perf_counter(), 0.0, 0
    while not epochs or passed < seconds:
        yield
        passed, epochs = time.perf_counter() - start, epochs + 1
    return passed, epochs
