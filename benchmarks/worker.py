"""Contestants in processes of their own, asked for a few epochs at a time, in turns."""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gate import Skip
from machine import ForeignLoad, cpu_count
from workloads import Job

CHILD = str(Path(__file__).parent / "run_contestant.py")
THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
SETUP_SECONDS = 1200
PAUSE = 0.05
"""Seconds between two contestants: threads of the last one go to sleep meanwhile."""


class Worker:
    """The driver's side of one contestant."""

    def __init__(self, contestant: str, job: Job) -> None:
        self.job = job
        self.info: dict[str, Any] = {}
        self.rounds: list[float] = []
        """Seconds an epoch, one value a round."""
        self.cores: list[float] = []
        """Cores that this contestant used in each round, and, below, that others used."""
        self.foreign: list[float] = []
        self.burst = 1
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        here, there = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, CHILD, contestant, json.dumps(job.to_dict()), str(there)],
            stdin=subprocess.PIPE,
            stdout=self._errors,
            stderr=self._errors,
            pass_fds=[there],
            env=_environment(contestant, job),
            text=True,
        )
        os.close(there)
        self._answers = os.fdopen(here)

    def ready(self) -> None:
        """Wait until everything is compiled; raise Skip where it cannot be."""
        self._receive()

    def epochs(self, count: int) -> list[float]:
        """Return the seconds that each of so many epochs took."""
        load = ForeignLoad()
        print(json.dumps(count), file=self._process.stdin, flush=True)
        answer = self._receive()
        total = sum(answer["seconds"])
        self.cores.append(answer["cpu"] / total)
        self.foreign.append(load.cores(answer["cpu"]))
        return [each / self.info.get("epochs_per_call", 1) for each in answer["seconds"]]

    def calibrate(self, seconds: float) -> None:
        """Find how many epochs fill so many seconds."""
        calls = self.info.get("epochs_per_call", 1)
        self.epochs(1)
        quickest = self.epochs(1)[0] * calls
        if quickest < seconds / 10:
            quickest = min(self.epochs(5)) * calls
        self.burst = min(math.ceil(seconds / quickest), 5000)
        self.cores, self.foreign = [], []

    def measure(self) -> float:
        """One round: seconds an epoch, a mean over a burst whose first epoch does not count."""
        warm = int(self.burst > 1)
        seconds = self.epochs(self.burst + warm)[warm:]
        self.rounds.append(sum(seconds) / len(seconds))
        return self.rounds[-1]

    def result(self) -> dict[str, Any]:
        """Return what was measured, as plain data: the median of the quieter half of the rounds."""
        workload = self.job.workload
        by_noise = sorted(range(len(self.rounds)), key=lambda each: self.foreign[each])
        quieter = by_noise[: len(by_noise) // 2 + 1]
        seconds = statistics.median(self.rounds[each] for each in quieter)
        return {
            "threads": self.job.threads,
            "seconds_per_epoch": seconds,
            "us_per_step": 1e6 * seconds / workload.steps,
            "gflops": self.info.get("flops", workload.flops * workload.steps) / seconds / 1e9,
            "rounds_us": [round(1e6 * each / workload.steps, 3) for each in self.rounds],
            "cores_used": round(statistics.median(self.cores), 2),
            "cores_others": round(statistics.median(self.foreign[each] for each in quieter), 2),
            **self.info,
        }

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for each in (self._process.stdin, self._answers, self._errors):
            with contextlib.suppress(OSError):
                each.close()

    def _receive(self) -> dict[str, Any]:
        if not select.select([self._answers], [], [], SETUP_SECONDS)[0]:
            self.close()
            raise Skip(f"no answer within {SETUP_SECONDS} s")
        line = self._answers.readline()
        if not line:
            self._errors.seek(0)
            said = [text.strip() for text in self._errors if text.strip()]
            code = self._process.wait()
            self.close()
            raise Skip(said[-1] if said else f"the process ended with code {code}")
        answer: dict[str, Any] = json.loads(line)
        if "skipped" in answer:
            self.close()
            raise Skip(answer["skipped"])
        self.info |= answer["info"]
        return answer


def start(contestant: str, job: Job, seconds: float) -> Worker:
    """Return a worker that is ready to be measured, or raise Skip."""
    worker = Worker(contestant, job)
    try:
        worker.ready()
        worker.calibrate(seconds)
    except BaseException:
        worker.close()
        raise
    return worker


def interleave(workers: Mapping[str, Worker], rounds: int) -> dict[str, str]:
    """Measure all in turn, round after round; return who dropped out and why."""
    dropped: dict[str, str] = {}
    for each in range(rounds):
        names = [name for name in workers if name not in dropped]
        turn = each % max(1, len(names))  # nobody always follows the same contestant
        for name in names[turn:] + names[:turn]:
            time.sleep(PAUSE)
            try:
                workers[name].measure()
            except (Skip, OSError) as problem:
                dropped[name] = str(problem)
    return dropped


def _environment(contestant: str, job: Job) -> dict[str, str]:
    """Threads are set for a process; pellucid's own default stays, as users get it."""
    unset = (*THREAD_SETTINGS, "PELLUCID_NUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    if job.threads or not contestant.startswith("pellucid"):
        environment |= dict.fromkeys(THREAD_SETTINGS, str(job.threads or cpu_count()))
    return environment
