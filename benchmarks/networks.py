"""How fast convolutional and recurrent networks are: pellucid beside PyTorch, JAX and Keras.

    PELLUCID_DATA=path/to/data python benchmarks/networks.py     # everything, about 90 minutes
    python benchmarks/networks.py --quick                        # a look: one round, few rows
    python benchmarks/networks.py --parts training --tasks lenet lstm --contestants pellucid torch

Whole Adam steps over mini-batches of 64, float32, from the same weights and in the same order. Each
contestant shows before its clock starts that its outputs are those of the reference engine. Turns,
processes, warm-up and bursts are those of ``speed.py``. Besides: one row at a time, and LeNet-5 on
MNIST from the first call to the last epoch, with the data below PELLUCID_DATA. A whole run writes
``results/networks.json`` and ``networks.md`` here; any other writes into ``build/bench``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import machine
import report_networks
import speed
from stopwatch import Skip
from worker import Contestant, ask, compare
from workloads import TASKS, Job, Task

PACKAGES = ("pellucid", "numpy", "torch", "jax", "jaxlib", "keras", "tensorflow-cpu", "onnxruntime")
CONTESTANTS = {
    "pellucid": "pellucid-session",
    "torch": "torch-network",
    "torch-channels-last": "torch-network-channels-last",
    "torch-compiled": "torch-network-compiled",
    "jax": "jax-network",
    "keras": "keras-network",
}
"""What trains, by its name in the results."""

ROWS = {
    "pellucid": "pellucid-network-row",
    "torch": "torch-network-row",
    "jax": "jax-network-row",
    "keras": "keras-network-row",
    "onnxruntime": "onnx-network-row",
}
"""What predicts one row."""

PARTS = ("training", "rows", "mnist")
THREADS = {"1": 1, "all": 0}
"""How many threads a job is given; 0 is the library's own choice."""


def training(
    task: Task, wanted: Sequence[str], counts: Sequence[int]
) -> Iterator[tuple[str, Contestant]]:
    """Yield key and contestant of all that trains, and what the machine could do at most."""
    for threads in counts:
        for name in ("sgemm", "fma"):
            yield f"{name}@{threads or 'all'}", Contestant(name, Job(task, threads))
        yield from named(task, threads, CONTESTANTS, wanted)
    if "pellucid" in wanted and 0 in counts:
        yield "pellucid-train@all", Contestant("pellucid", Job(task))


def rows(
    task: Task, wanted: Sequence[str], counts: Sequence[int]
) -> Iterator[tuple[str, Contestant]]:
    """Yield key and contestant of all that predicts one row."""
    if task.row_over_frameworks:
        for threads in counts:
            yield from named(task, threads, ROWS, [*wanted, "onnxruntime"])


def named(
    task: Task, threads: int, names: dict[str, str], wanted: Sequence[str]
) -> Iterator[tuple[str, Contestant]]:
    """Yield those that are wanted, by their names in the results."""
    for key, name in names.items():
        if key in wanted:
            yield f"{key}@{threads or 'all'}", Contestant(name, Job(task, threads))


def measure(
    task: Task, contestants: dict[str, Contestant], rounds: int, seconds: float
) -> dict[str, Any]:
    """Return the result, or the reason for none, of each contestant."""
    begin = time.perf_counter()
    print(f"  {task.label}", end=": ", file=sys.stderr, flush=True)
    results = compare(contestants, rounds, seconds)
    print(f"{time.perf_counter() - begin:.0f} s", file=sys.stderr, flush=True)
    return {
        "label": task.label,
        "rows": task.rows,
        "flops_per_step": task.flops,
        "results": results,
    }


def mnist() -> dict[str, Any]:
    """LeNet-5 on MNIST, in a process of its own; or why not."""
    try:
        return ask("pellucid-mnist", Job(TASKS["lenet"]))
    except Skip as reason:
        return {"skipped": str(reason)}


def main() -> None:
    parser = speed.options(__doc__)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--threads", nargs="+", choices=THREADS, default=list(THREADS))
    arguments = parser.parse_args()
    whole = (
        not arguments.quick
        and set(arguments.tasks) == set(TASKS)
        and set(arguments.contestants) == set(CONTESTANTS)
        and set(arguments.parts) == set(PARTS)
        and set(arguments.threads) == set(THREADS)
    )
    counts = [THREADS[each] for each in arguments.threads]
    rounds = arguments.rounds or (1 if arguments.quick else 5)
    seconds = arguments.seconds or (0.05 if arguments.quick else 0.25)
    results = machine.describe(PACKAGES) | {
        "rounds": rounds,
        "seconds": seconds,
        "quick": arguments.quick,
        "workloads": {},
        "row": {},
    }
    for part, key, plan in (("training", "workloads", training), ("rows", "row", rows)):
        for name in arguments.tasks if part in arguments.parts else ():
            task = TASKS[name].with_steps(4 if arguments.quick else TASKS[name].steps)
            contestants = dict(plan(task, arguments.contestants, counts))
            if contestants:
                results[key][name] = measure(task, contestants, rounds, seconds)
    if "mnist" in arguments.parts:
        results["mnist"] = mnist()
    speed.finish(arguments, whole, "networks", results, report_networks.write)
    print("\n".join(report_networks.page(results)))


if __name__ == "__main__":
    main()
