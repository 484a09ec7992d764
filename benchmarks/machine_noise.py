"""How much a step's time depends on what the machine gives from one moment to the next.

    python benchmarks/machine_noise.py        # about 4 minutes

CPUs of a virtual machine change with what other guests do. The same code is measured in many short
bursts, as in speed.py, each in the middle of two looks at what the CPUs get done; compared are the
bursts in which that was most and those in which it was least.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from typing import Any

import report_scaling
import speed
from worker import Contestant, compare, median_us
from workloads import WORKLOADS, Job

NAMES = ("table", "deep", "mnist", "wide")
CONTESTANTS = {"pellucid@1": ("pellucid", 1), "pellucid@all": ("pellucid", 0), "jax@1": ("jax", 1)}
PARTS = 4
"""The first and the last of so many equal parts of the bursts are shown."""


def main() -> None:
    """Measure, and print the table."""
    arguments = speed.options(__doc__).parse_args()
    rounds = arguments.rounds or (2 if arguments.quick else 8)
    seconds = arguments.seconds or (0.05 if arguments.quick else 0.25)
    found: dict[str, Any] = {}
    for name in NAMES:
        print(f"  {name}", file=sys.stderr, flush=True)
        workload = WORKLOADS[name]
        contestants = {
            key: Contestant(who, Job(workload, threads))
            for key, (who, threads) in CONTESTANTS.items()
        }
        results = compare(contestants, rounds, seconds)
        found[name] = {
            key: _parts(each.bursts(), workload.steps)
            for key, each in contestants.items()
            if "skipped" not in results[key]
        }
    speed.finish(arguments, not arguments.quick, "machine_noise", found)
    print("\n".join(report_scaling.moments_section(found)))


def _parts(bursts: Sequence[dict[str, float]], steps: int) -> dict[str, Any]:
    """The bursts in which the machine gave most, and least."""
    count = -(-len(bursts) // PARTS)
    return {
        "bursts": len(bursts),
        "most": _part(bursts[:count], steps),
        "least": _part(bursts[-count:], steps),
    }


def _part(bursts: Sequence[dict[str, float]], steps: int) -> dict[str, float]:
    given = statistics.median(each["gflops_given"] for each in bursts)
    return {"gflops_given": given, "us_per_step": median_us(bursts, steps)}


if __name__ == "__main__":
    main()
