"""How training grows: with rows, with threads, in memory; one row at a time; on a busy machine.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --quick --parts rows one-row

Rounds are those of speed.py: in each, every contestant is started anew and warmed up.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import machine
import numpy as np
import report_scaling
import speed
from stopwatch import Skip
from worker import Contestant, ask, compare
from workloads import WORKLOADS, Job, Workload

Results = dict[str, Any]


def rows(quick: bool, rounds: int, seconds: float) -> Results:
    """Seconds of an epoch against rows; shuffling is counted."""
    counts = (1000, 10_000) if quick else (1000, 10_000, 100_000, 1_000_000)
    table = WORKLOADS["table"]
    jobs = {str(m): Job(replace(table, rows=m), own_order=True) for m in counts}
    found = _pellucid(jobs, rounds, seconds)
    epochs = [each["seconds_per_epoch"] for each in found.values()]
    slope = np.polyfit(np.log(counts), np.log(epochs), 1)[0]
    return {"network": table.label, "rows": found, "exponent": float(slope)}


def memory(quick: bool, rounds: int, seconds: float) -> Results:
    """What training adds to the resident memory of the data."""
    workload = Workload("memory", (100, 256, 10), 256, 20_000 if quick else 1_000_000)
    results: Results = {"network": workload.label, "rows": workload.rows}
    for name in ("pellucid-memory", "pellucid-mlp-memory"):
        try:
            results[name] = ask(name, Job(workload))
        except Skip as reason:
            results[name] = {"skipped": str(reason)}
    return results


def one_row(quick: bool, rounds: int, seconds: float) -> Results:
    """Microseconds of a prediction for one row of a 20-100-2 network."""
    workload = WORKLOADS["table"].with_steps(1)
    contestants = {
        f"{name} {dtype}": Contestant(name, Job(workload, 0, dtype))
        for dtype in ("float32", "float64")
        for name in ("pellucid-row", "pellucid-mlp-row", "sklearn-row")
    }
    contestants["torch-row float32"] = Contestant("torch-row", Job(workload, 1))
    return compare(contestants, rounds, seconds)


def threads(quick: bool, rounds: int, seconds: float) -> Results:
    """Microseconds a step with 1, 2, ... threads, at most 4."""
    counts = range(1, min(4, machine.cpu_count()) + 1)
    return {
        workload.name: _pellucid({str(n): Job(workload, n) for n in counts}, rounds, seconds)
        for workload in _workloads(quick)
        if workload.speedup
    }


def busy(quick: bool, rounds: int, seconds: float) -> Results:
    """Microseconds a step while other processes take one core, or a share of every core."""
    cpus = machine.cpus()
    if not cpus:
        raise Skip("this system does not let a process choose its CPU")
    conditions = {"quiet": [], "one core taken": cpus[-1:], "all cores busy": cpus}
    results: Results = {}
    for workload in _workloads(quick):
        jobs = {
            f"{condition}@{n or 'all'}": Job(workload, n, taken=tuple(taken))
            for condition, taken in conditions.items()
            for n in (0, 1)
        }
        results[workload.name] = _pellucid(jobs, rounds, seconds)
    return results


def _workloads(quick: bool) -> list[Workload]:
    if quick:
        return [WORKLOADS[name].with_steps(40) for name in ("tiny", "deep")]
    return list(WORKLOADS.values())


def _pellucid(jobs: dict[str, Job], rounds: int, seconds: float) -> dict[str, Results]:
    """Measure pellucid in turns; all must have a result."""
    found = compare(
        {key: Contestant("pellucid", job) for key, job in jobs.items()}, rounds, seconds
    )
    for each in found.values():
        if "skipped" in each:
            raise Skip(each["skipped"])
    return found


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
    count = arguments.rounds or (2 if arguments.quick else 5)
    seconds = arguments.seconds or (0.05 if arguments.quick else 0.25)
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
