"""Where a contestant waits for its turn, and where the clock is.

A contestant is a function ``contestant(job, gate)``. It gets everything ready, compiled and warm,
then trains for ever and calls ``gate()`` at the beginning of each epoch; the gate holds the clock,
answers over a pipe and waits there until more epochs are wanted. So the contestants can take
turns, and what disturbs the machine for a while disturbs all of them.
"""

from __future__ import annotations

import json
import time
from typing import Any


class Skip(Exception):  # noqa: N818
    """This contestant cannot take part; the text says why."""


class Gate:
    """What a contestant calls at the beginning of each epoch."""

    def __init__(self, requests: Any, answers: Any) -> None:
        self._requests, self._answers = requests, answers
        self._left, self._seconds = 0, []
        self._start = self._cpu = 0.0
        self.info: dict[str, Any] = {}
        """Goes along with every answer: the form that was taken, the loss, the engine."""

    def __call__(self) -> None:
        if self._left:
            self._seconds.append(time.perf_counter() - self._start)
            self._left -= 1
        if not self._left:
            self._answer()
        self._start = time.perf_counter()

    def _answer(self) -> None:
        self.send(seconds=self._seconds, cpu=time.process_time() - self._cpu, info=self.info)
        request = self._requests.readline()
        if not request:
            raise SystemExit
        self._left, self._seconds = json.loads(request), []
        self._cpu = time.process_time()

    def send(self, **answer: Any) -> None:
        """Write one line to the driver."""
        print(json.dumps(answer), file=self._answers, flush=True)
