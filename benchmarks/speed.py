"""How fast a step of training is: pellucid beside scikit-learn, PyTorch and JAX.

    python benchmarks/speed.py                      # everything, about half an hour
    python benchmarks/speed.py --quick              # a look, a few minutes
    python benchmarks/speed.py --workloads deep wide --contestants pellucid jax

Same data, same mini-batches, same optimizer, whole epochs. Each contestant is compiled and warm
before the clock starts, has a process of its own for 1 thread and one for all, and they take turns
for a few rounds. What counts is the median of the half of the rounds in which other processes used
the machine least. A whole run writes ``results/latest.json``, ``results/speed.svg`` and
``RESULTS.md`` here; any other writes into ``build/bench``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import machine
import report
from gate import Skip
from worker import Worker, interleave, start
from workloads import WORKLOADS, Job, Workload

HERE = Path(__file__).parent
ASIDE = HERE.parent / "build" / "bench"
PEERS = ("sklearn", "torch", "torch-compiled", "jax")
CONTESTANTS = ("pellucid", *PEERS, "sgd", "float64")


def plan(workload: Workload, wanted: Sequence[str]) -> Iterator[tuple[str, str, Job]]:
    """Yield key, contestant and job of everything that is measured for a workload."""
    for threads in (1, 0):
        count = threads or "all"
        for name in ("sgemm", "fma"):
            yield f"{name}@{count}", name, Job(workload, threads)
        for name in ("pellucid", *PEERS):
            if name in wanted:
                yield f"{name}@{count}", name, Job(workload, threads)
        if "float64" in wanted:
            for name in ("pellucid-mlp", "sklearn"):
                yield f"{name}-float64@{count}", name, Job(workload, threads, "float64")
    if "pellucid" in wanted:
        yield "optimizer-pass@1", "optimizer-pass", Job(workload, 1)
        yield "pellucid-call@all", "pellucid-call", Job(workload, own_order=True)
    if "sgd" in wanted and workload.libxsmm_us:
        yield "pellucid-sgd@all", "pellucid", Job(workload, optimizer="gradient_descent")


def measure(workload: Workload, wanted: Sequence[str], rounds: int, seconds: float) -> Any:
    """Return the result, or the reason for none, of each contestant."""
    workers: dict[str, Worker] = {}
    results: dict[str, Any] = {}
    begin = time.perf_counter()
    try:
        for key, contestant, job in plan(workload, wanted):
            _say(f"  {workload.label}: {key} gets ready")
            try:
                workers[key] = start(contestant, job, seconds)
            except Skip as reason:
                results[key] = {"skipped": str(reason)}
        _say(f"  {workload.label}: {rounds} rounds")
        dropped = interleave(workers, rounds)
        for key, worker in workers.items():
            results[key] = {"skipped": dropped[key]} if key in dropped else worker.result()
    finally:
        for worker in workers.values():
            worker.close()
    _say(f"  {workload.label}: {time.perf_counter() - begin:.0f} s\n")
    return {
        "label": workload.label,
        "rows": workload.rows,
        "flops_per_step": workload.flops,
        "results": results,
    }


def _say(text: str) -> None:
    end = "" if sys.stderr.isatty() else "\n"
    print(f"\r\033[K{text}" if not end else text.rstrip(), end=end, file=sys.stderr, flush=True)


def options(description: str | None) -> argparse.ArgumentParser:
    """The options that the scripts here share."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, help="turns of each contestant (7; quick: 2)")
    parser.add_argument("--seconds", type=float, help="of a measurement (0.4; quick: 0.05)")
    parser.add_argument("--quick", action="store_true", help="few rows, few rounds: a look only")
    parser.add_argument("--out", type=Path, help="where to write, instead of the usual folder")
    return parser


def finish(arguments: argparse.Namespace, whole: bool, name: str, results: dict[str, Any]) -> None:
    """Write the results and all that is drawn from them."""
    out = arguments.out or (HERE if whole else ASIDE)
    (out / "results").mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=1, ensure_ascii=False)
    (out / "results" / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    report.write(out)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=CONTESTANTS)
    arguments = parser.parse_args()
    whole = (
        not arguments.quick
        and set(arguments.workloads) == set(WORKLOADS)
        and set(arguments.contestants) == set(CONTESTANTS)
    )
    rounds = arguments.rounds or (2 if arguments.quick else 7)
    seconds = arguments.seconds or (0.05 if arguments.quick else 0.4)
    found = {}
    for name in arguments.workloads:
        workload = WORKLOADS[name]
        if arguments.quick:
            workload = workload.with_steps(4 if name == "xl" else 40)
        found[name] = measure(workload, arguments.contestants, rounds, seconds)
    results = machine.describe() | {
        "rounds": rounds,
        "seconds": seconds,
        "quick": arguments.quick,
        "workloads": found,
    }
    finish(arguments, whole, "latest", results)
    print("\n".join(report.speed_section(results)))


if __name__ == "__main__":
    main()
