"""How training grows: with rows, with threads, in memory; one row at a time; on a busy machine.

python benchmarks/scaling.py
python benchmarks/scaling.py --quick --parts rows one-row
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import machine
import numpy as np
import report_scaling
import speed
from gate import Skip
from worker import PAUSE, Worker, interleave, start
from workloads import WORKLOADS, Job, Workload

Results = dict[str, Any]


def rows(quick: bool, rounds: int, seconds: float) -> Results:
    """Seconds of an epoch against rows; shuffling is counted."""
    counts = (1000, 10_000) if quick else (1000, 10_000, 100_000, 1_000_000)
    jobs = {
        str(m): ("pellucid", Job(replace(WORKLOADS["table"], rows=m), own_order=True))
        for m in counts
    }
    found = _measure(jobs, rounds, seconds)
    epochs = {m: found[str(m)]["seconds_per_epoch"] for m in counts}
    slope = np.polyfit(np.log(list(epochs)), np.log(list(epochs.values())), 1)[0]
    return {
        "network": WORKLOADS["table"].label,
        "seconds_per_epoch": {str(m): each for m, each in epochs.items()},
        "exponent": float(slope),
    }


def memory(quick: bool, rounds: int, seconds: float) -> Results:
    """What training adds to the resident memory of the data."""
    workload = Workload("memory", (100, 256, 10), 256, 20_000 if quick else 1_000_000)
    results: Results = {"network": workload.label, "rows": workload.rows}
    for name in ("pellucid-memory", "pellucid-mlp-memory"):
        worker = Worker(name, Job(workload))
        try:
            worker.ready()
            results[name] = worker.info
        except Skip as reason:
            results[name] = {"skipped": str(reason)}
        finally:
            worker.close()
    return results


def one_row(quick: bool, rounds: int, seconds: float) -> Results:
    """Microseconds of a prediction for one row of a 20-100-2 network."""
    workload = WORKLOADS["table"].with_steps(5)
    jobs = {}
    for dtype in ("float32", "float64"):
        for name in ("pellucid-row", "pellucid-mlp-row", "sklearn-row"):
            jobs[f"{name} {dtype}"] = name, Job(workload, 0, dtype)
    jobs["torch-row float32"] = "torch-row", Job(workload, 1)
    found = _measure(jobs, rounds, seconds, may_fail=True)
    return {
        name: each if "skipped" in each else {"us": 1e6 * each["seconds_per_epoch"] / each["calls"]}
        for name, each in found.items()
    }


def threads(quick: bool, rounds: int, seconds: float) -> Results:
    """Microseconds a step with 1, 2, ... threads, at most 4."""
    counts = range(1, min(4, machine.cpu_count()) + 1)
    results: Results = {}
    for workload in _workloads(quick):
        if workload.speedup:
            jobs = {str(n): ("pellucid", Job(workload, n)) for n in counts}
            found = _measure(jobs, rounds, seconds)
            results[workload.name] = {n: each["us_per_step"] for n, each in found.items()}
    return results


def busy(quick: bool, rounds: int, seconds: float) -> Results:
    """Microseconds a step while other processes take one core, or a share of every core."""
    cpus = machine.cpus()
    if not cpus:
        raise Skip("this system does not let a process choose its CPU")
    conditions = {"quiet": [], "one core taken": cpus[-1:], "all cores busy": cpus}
    results: Results = {}
    for workload in _workloads(quick):
        workers = {n: start("pellucid", Job(workload, n), seconds) for n in (0, 1)}
        found: dict[str, list[float]] = {}
        try:
            for _ in range(rounds):
                for condition, taken in conditions.items():
                    with neighbours(taken):
                        for n, worker in workers.items():
                            time.sleep(PAUSE)
                            found.setdefault(f"{condition}@{n or 'all'}", []).append(
                                1e6 * worker.measure() / workload.steps
                            )
        finally:
            for worker in workers.values():
                worker.close()
        results[workload.name] = {name: statistics.median(us) for name, us in found.items()}
    return results


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


def _workloads(quick: bool) -> list[Workload]:
    if quick:
        return [WORKLOADS[name].with_steps(40) for name in ("tiny", "deep")]
    return list(WORKLOADS.values())


def _measure(
    jobs: dict[str, tuple[str, Job]], rounds: int, seconds: float, may_fail: bool = False
) -> dict[str, Results]:
    """Measure these contestants in turns."""
    workers: dict[str, Worker] = {}
    results: dict[str, Results] = {}
    try:
        for key, (contestant, job) in jobs.items():
            try:
                workers[key] = start(contestant, job, seconds)
            except Skip as reason:
                if not may_fail:
                    raise
                results[key] = {"skipped": str(reason)}
        dropped = interleave(workers, rounds)
        for key, worker in workers.items():
            results[key] = {"skipped": dropped[key]} if key in dropped else worker.result()
    finally:
        for worker in workers.values():
            worker.close()
    return {key: results[key] for key in jobs}


PARTS: dict[str, Callable[[bool, int, float], Results]] = {
    "rows": rows,
    "memory": memory,
    "one-row": one_row,
    "threads": threads,
    "busy": busy,
}


def main() -> None:
    parser = speed.options(__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args()
    whole = not arguments.quick and set(arguments.parts) == set(PARTS)
    count = arguments.rounds or (2 if arguments.quick else 7)
    seconds = arguments.seconds or (0.05 if arguments.quick else 0.4)
    load = machine.ForeignLoad()
    time.sleep(1)
    results: Results = {"cores_others": load.cores(0.0)}
    for name in arguments.parts:
        print(f"  {name}", file=sys.stderr, flush=True)
        try:
            results[name] = PARTS[name](arguments.quick, count, seconds)
        except Skip as reason:
            results[name] = {"skipped": str(reason)}
    speed.finish(arguments, whole, "scaling", results)
    print("\n".join(report_scaling.scaling_section(results)))


if __name__ == "__main__":
    main()
