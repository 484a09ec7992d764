"""Trainer: the thread that alone touches an experiment.

What others want is put into its queue and answered through a function; what it has to show is
handed to ``push``. It waits for nobody: a frame goes out only after the last one was acknowledged,
and always shows the latest state.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.insight.trace import Trace
from pellucid.lab.server import frames
from pellucid.lab.session.experiment import Experiment
from pellucid.lab.views.boundary import View, boundary
from pellucid.lab.views.state import since, state_of

Message = str | bytes
"""JSON, or a frame."""
Push = Callable[[Message], None]
Answer = Callable[[list[Message]], None]
Handler = Callable[["Player", dict[str, Any]], list[Message]]

logger = logging.getLogger(__name__)

NAME = "pellucid-lab-trainer"
SLICE = 0.004
"""Seconds of training between two looks at the queue."""
FRAME = 1 / 30
LARGEST_OUTPUT = 20_000
"""Numbers of A[L] that a frame carries."""


@dataclass
class StopAt:
    """Where playing ends by itself."""

    epoch: int | None = None
    loss: float | None = None


@dataclass
class Traced:
    """The pass that is looked at: of which examples, and after which steps."""

    examples: list[int]
    trace: Trace
    mark: tuple[int, int]


class Player:
    """An experiment that plays: how fast, until when, and what of it is shown."""

    def __init__(self, push: Push) -> None:
        self.push = push
        self.experiment: Experiment | None = None
        self.playing = False
        self.speed: float | None = None
        self.stop_at = StopAt()
        self.view: View | None = None
        self.sequence = 0
        self.trace: Traced | None = None
        self._frame_wanted, self._frame_due = True, 0.0
        self._chunk, self._last_step, self._owed = 1, 0.0, 0.0
        self._seen = [0, 0]  # points of the curves already sent: own, twin's

    def open(self, experiment: Experiment) -> None:
        """Take another experiment in place of the present one."""
        self.close()
        self.experiment, self.trace, self._seen = experiment, None, [0, 0]

    def close(self) -> None:
        """Stop, and let the experiment go."""
        self.playing = False
        if self.experiment is not None:
            self.experiment.close()
            self.experiment = None

    def play(self, speed: float | None) -> None:
        """Go on, at so many steps a second or as fast as possible."""
        self.playing, self.speed = True, speed
        self._last_step, self._owed, self._frame_wanted = time.monotonic(), 1.0, True

    def acknowledge(self) -> None:
        """The page has drawn the last frame."""
        self._frame_wanted = True

    def curves_sent(self) -> None:
        """The page has been sent all curves."""
        assert self.experiment is not None
        twin = self.experiment.twin
        self._seen = [len(self.experiment.curves["epoch"])]
        self._seen.append(len(twin.curves["epoch"]) if twin else 0)

    @property
    def pause_needed(self) -> float:
        """Seconds until the next step is due."""
        if self.speed is None:
            return 0.0
        return max(0.0, (1 - self._owed) / self.speed - (time.monotonic() - self._last_step))

    def go_on(self) -> None:
        """Do the steps that are due, show them, and stop where that was asked for."""
        e = self.experiment
        assert e is not None
        wanted = self._due()
        if wanted:
            started = time.perf_counter()
            e.steps(wanted, closely=self.speed is not None)
            taken = time.perf_counter() - started
            if wanted == self._chunk:
                self._chunk = max(1, min(4096, int(wanted * min(2.0, SLICE / max(taken, 1e-6)))))
        reason = self._reason_to_stop()
        if reason:
            self._stop(reason)
        else:
            self._show()

    def _due(self) -> int:
        e, count = self.experiment, self._chunk
        assert e is not None
        if self.speed is not None:
            now = time.monotonic()
            self._owed = min(self._owed + (now - self._last_step) * self.speed, self._chunk + 1.0)
            self._last_step = now
            count = min(count, int(self._owed))
            self._owed -= count
        if self.stop_at.epoch is not None or self.stop_at.loss is not None:
            count = min(count, e.left_in_epoch())  # so that the end of an epoch is not passed
        return count

    def _reason_to_stop(self) -> str:
        e = self.experiment
        assert e is not None
        if e.stuck:
            return "diverged"
        if e.position:
            return ""
        if self.stop_at.epoch is not None and e.epoch >= self.stop_at.epoch:
            return f"epoch {e.epoch} is reached"
        if self.stop_at.loss is not None and e.epoch and e.cost() <= self.stop_at.loss:
            return f"the loss is down to {self.stop_at.loss:g}"
        return ""

    def _stop(self, reason: str) -> None:
        self.playing = False
        assert self.experiment is not None
        state = state_of(self.experiment, brief=True) | {"playing": False}
        self.curves_sent()
        self.push(frames.dumps({"event": "stopped", "reason": reason, **state}))

    # Frames ---------------------------------------------------------------------------------------

    def _show(self) -> None:
        now = time.monotonic()
        if not self._frame_wanted or now < self._frame_due:
            return
        self._frame_wanted, self._frame_due = False, max(self._frame_due + FRAME, now)
        self.push(self.frame())

    def frame(self) -> bytes:
        """Return the present state as a frame."""
        e = self.experiment
        assert e is not None
        self.sequence += 1
        arrays: dict[str, NDArray[Any]] = dict(e.network.parameters)
        header: dict[str, Any] = {
            "epoch": e.epoch,
            "step": e.step,
            "J": e.cost(),
            "J_batch": e.J_batch,
            "message": e.diverged or None,
            "curves": since(e.curves, self._seen[0]),
        }
        if e.twin is not None:
            curves = since(e.twin.curves, self._seen[1])
            header["twin"] = {"curves": curves, "J": e.twin.cost(), "diverged": e.twin.diverged}
        self.curves_sent()
        if e.m * e.network.n[-1] <= LARGEST_OUTPUT:
            arrays["A"] = e.outputs()
        if self.view is not None:
            arrays["boundary"], more = boundary(e, self.view)
            header |= more
        return frames.pack(frames.TRAINING, self.sequence, header, arrays)


class Trainer(threading.Thread):
    """Carries out what comes in through :meth:`ask`, one after the other, and plays in between."""

    def __init__(self, handle: Handler, push: Push) -> None:
        super().__init__(name=NAME, daemon=True)
        self.player = Player(push)
        self._handle = handle
        self._queue: queue.SimpleQueue[tuple[dict[str, Any], Answer] | None] = queue.SimpleQueue()
        self._stopped = False

    def ask(self, request: dict[str, Any], answer: Answer) -> None:
        """Put a request into the queue; ``answer`` is called in this thread."""
        self._queue.put((request, answer))

    def stop(self) -> None:
        """End after the present request or slice of training; what else was asked is left."""
        self._stopped = True
        self._queue.put(None)  # wakes it

    def run(self) -> None:
        """Until :meth:`stop`."""
        with np.errstate(all="ignore"):  # what diverges is told in words
            try:
                while (item := self._next()) is not None:
                    if item:
                        request, answer = item
                        answer(self._handle(self.player, request))
                    if self.player.playing:
                        self._play()
            finally:
                self.player.close()

    def _play(self) -> None:
        try:
            self.player.go_on()
        except Exception as error:
            logger.exception("playing")
            self.player.playing = False
            reason = f"internal error: {type(error).__name__}: {error}"
            self.player.push(frames.dumps({"event": "stopped", "reason": reason}))

    def _next(self) -> tuple[dict[str, Any], Answer] | tuple[()] | None:
        """The next request; an empty one when it is time to go on playing; None at the end."""
        if self._stopped:
            return None
        wait = self.player.pause_needed if self.player.playing else math.inf
        try:
            if wait == math.inf:
                return self._queue.get()
            return self._queue.get(timeout=wait) if wait > 0 else self._queue.get_nowait()
        except queue.Empty:
            return ()
