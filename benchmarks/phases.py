"""Where the time of a step goes on one thread and on all: gather, products, update, waiting.

    make phases

builds benchmarks/phases.cpp, in which the engine takes the time at the end of every phase, and runs
it on each workload. Rounds are interleaved; of each network the median round by its whole step is
shown.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

import report_scaling
import speed
from machine import cpu_count
from workloads import WORKLOADS, Workload

SECONDS = 0.25


def measure(program: str, workload: Workload, threads: int) -> dict[str, float]:
    """Return the microseconds of a step, and of its phases on the mean thread."""
    layers = "-".join(map(str, workload.sizes))
    words = [layers, workload.batch, workload.rows, threads, SECONDS]
    done = subprocess.run([program, *map(str, words)], stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure, and print the table."""
    parser = speed.options(__doc__)
    parser.add_argument("program", help="what make phases has built")
    arguments = parser.parse_args()
    rounds = arguments.rounds or (3 if arguments.quick else 9)
    found: dict[str, dict[str, list[dict[str, float]]]] = {name: {} for name in WORKLOADS}
    for _ in range(rounds):
        for name, workload in WORKLOADS.items():
            for threads in (1, cpu_count()):
                one = measure(arguments.program, workload, threads)
                found[name].setdefault(str(threads), []).append(one)
    results: dict[str, Any] = {
        name: {n: sorted(each, key=lambda one: one["step"]) for n, each in by_threads.items()}
        for name, by_threads in found.items()
    }
    speed.finish(arguments, not arguments.quick, "phases", results)
    print("\n".join(report_scaling.phases_section(results)))


if __name__ == "__main__":
    main()
