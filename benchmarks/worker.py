"""Contestants take turns; each is started anew in every round, in a process of its own.

Where a process's threads and memory happen to lie stays with it and can make it half as fast again.
So no process is measured twice, and only one is alive at a time.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from machine import cpu_count
from stopwatch import Skip
from workloads import Job

CHILD = str(Path(__file__).parent / "run_contestant.py")
THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
LIMIT_SECONDS = 1200


@dataclass
class Contestant:
    """One that takes part, what it is asked to do, and what came of it."""

    name: str
    job: Job
    rounds: list[dict[str, Any]] = field(default_factory=list)

    def measure(self, seconds: float) -> None:
        """One round, in a new process."""
        with neighbours(self.job.taken):
            answer = ask(self.name, self.job, seconds)
        self.rounds.append(answer)
        self.job = replace(self.job, form=answer["info"].get("form", ""))  # found out once

    def bursts(self) -> list[dict[str, float]]:
        """Return those of all rounds, first those in which the machine gave most."""
        found = [burst for each in self.rounds for burst in each["bursts"]]
        return sorted(found, key=lambda each: each["gflops_given"], reverse=True)

    def result(self) -> dict[str, Any]:
        """Return what was measured, as plain data: the median of the quieter half of all bursts.

        Those are the bursts before and after which the cores could do most. Where others are to be
        busy, all count: the less this one gets, the more they take.
        """
        bursts = self.bursts()
        quieter = bursts if self.job.taken else bursts[: len(bursts) // 2 + 1]
        seconds = statistics.median(each["seconds_per_epoch"] for each in quieter)
        worked = statistics.median(each["cpu_seconds_per_epoch"] for each in quieter)
        steps = self.job.workload.steps
        info = {  # words are those of the first round, which has tried the forms
            name: value
            if isinstance(value, str)
            else statistics.median_low(each["info"][name] for each in self.rounds)
            for name, value in self.rounds[0]["info"].items()
        }
        return {
            "threads": self.job.threads,
            "seconds_per_epoch": seconds,
            "us_per_step": 1e6 * seconds / steps,
            "cpu_us_per_step": 1e6 * worked / steps,
            "gflops": info.get("flops", self.job.workload.flops * steps) / seconds / 1e9,
            "rounds_us": [median_us(each["bursts"], steps) for each in self.rounds],
            "gflops_given": quieter[len(quieter) // 2]["gflops_given"],
            "gflops_given_all": bursts[len(bursts) // 2]["gflops_given"],
            "cores_used": round(statistics.median(each["cores_used"] for each in self.rounds), 2),
            "cores_others": round(
                statistics.median(each["cores_others"] for each in self.rounds), 2
            ),
            **info,
        }


def median_us(bursts: Sequence[Mapping[str, float]], steps: int) -> float:
    """Return the microseconds a step of the middle burst."""
    seconds = statistics.median(each["seconds_per_epoch"] for each in bursts)
    return round(1e6 * seconds / steps, 3)


def compare(
    contestants: Mapping[str, Contestant], rounds: int, seconds: float
) -> dict[str, dict[str, Any]]:
    """Measure all in turn, round after round; return the result of each, or why it has none."""
    dropped: dict[str, str] = {}
    for each in range(rounds):
        names = [name for name in contestants if name not in dropped]
        turn = each % max(1, len(names))  # nobody always follows the same contestant
        for name in names[turn:] + names[:turn]:
            try:
                contestants[name].measure(seconds)
            except Skip as reason:
                dropped[name] = str(reason)
    return {
        name: {"skipped": dropped[name]} if name in dropped else each.result()
        for name, each in contestants.items()
    }


def ask(contestant: str, job: Job, seconds: float = 0.0) -> dict[str, Any]:
    """Run a contestant in a new process and return its answer; raise Skip where it has none."""
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        try:
            done = subprocess.run(
                [sys.executable, CHILD, contestant, json.dumps(job.to_dict()), str(seconds)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=_environment(contestant, job),
                text=True,
                timeout=LIMIT_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise Skip(f"no answer within {LIMIT_SECONDS} s") from None
        if not done.stdout:
            errors.seek(0)
            said = [text.strip() for text in errors if text.strip()]
            raise Skip(said[-1] if said else f"the process ended with code {done.returncode}")
    answer: dict[str, Any] = json.loads(done.stdout)
    if "skipped" in answer:
        raise Skip(answer["skipped"])
    return answer


def _environment(contestant: str, job: Job) -> dict[str, str]:
    """Threads are set for a process; pellucid's own default stays, as users get it."""
    unset = (*THREAD_SETTINGS, "PELLUCID_NUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    if job.threads or not contestant.startswith("pellucid"):
        environment |= dict.fromkeys(THREAD_SETTINGS, str(job.threads or cpu_count()))
    return environment


@contextlib.contextmanager
def neighbours(cpus: Sequence[int]) -> Iterator[None]:
    """Keep these CPUs busy, each with a process that computes without end."""
    code = "while True: pass"
    processes = []
    try:
        for cpu in cpus:
            processes.append(subprocess.Popen([sys.executable, "-c", code]))
            os.sched_setaffinity(processes[-1].pid, {cpu})
        time.sleep(0.1 if cpus else 0.0)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
