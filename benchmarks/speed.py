"""How fast a step of training is: pellucid beside scikit-learn, PyTorch and JAX.

    python benchmarks/speed.py                      # everything, about 35 minutes
    python benchmarks/speed.py --quick              # a look, a few minutes
    python benchmarks/speed.py --workloads deep wide --contestants pellucid jax

Same data, same mini-batches, same optimizer, whole epochs. Contestants take turns for a few rounds,
for 1 thread and for all. In every round each is started anew: a process keeps for life where its
threads and memory happen to lie. All are compiled and do a whole fit or epoch of the same size,
after which the allocator has settled (scikit-learn's step of 784-512-512-10 takes 6.4 ms then, and
8.5 to 11.4 before). They train for 0.3 s more, one epoch at least, before the clock starts, and are
then measured in bursts of 0.05 s. What counts is the median of that half of a contestant's bursts
before and after which the machine's cores could do most. A whole run writes
``results/latest.json``, ``results/speed.svg`` and ``RESULTS.md`` here; any other writes into
``build/bench``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import machine
import report
from worker import Contestant, compare
from workloads import WORKLOADS, Job, Workload

HERE = Path(__file__).parent
ASIDE = HERE.parent / "build" / "bench"
PEERS = ("sklearn", "torch", "torch-compiled", "jax")
CONTESTANTS = ("pellucid", *PEERS, "sgd", "float64")


def plan(workload: Workload, wanted: Sequence[str]) -> Iterator[tuple[str, Contestant]]:
    """Yield key and contestant of everything that is measured for a workload."""
    for threads in (1, 0):
        count = threads or "all"
        peers = [name for name in ("pellucid", *PEERS) if name in wanted]
        for name in ("sgemm", "fma", *peers):
            yield f"{name}@{count}", Contestant(name, Job(workload, threads))
        if "float64" in wanted:
            for name in ("pellucid-mlp", "sklearn"):
                job = Job(workload, threads, "float64")
                yield f"{name}-float64@{count}", Contestant(name, job)
    if "pellucid" in wanted:
        yield "optimizer-pass@1", Contestant("optimizer-pass", Job(workload, 1))
        yield "pellucid-call@all", Contestant("pellucid-call", Job(workload, own_order=True))
    if "sgd" in wanted and workload.libxsmm_us:
        job = Job(workload, optimizer="gradient_descent")
        yield "pellucid-sgd@all", Contestant("pellucid", job)


def measure(workload: Workload, wanted: Sequence[str], rounds: int, seconds: float) -> Any:
    """Return the result, or the reason for none, of each contestant."""
    begin = time.perf_counter()
    print(f"  {workload.label}", end=": ", file=sys.stderr, flush=True)
    results = compare(dict(plan(workload, wanted)), rounds, seconds)
    print(f"{time.perf_counter() - begin:.0f} s", file=sys.stderr, flush=True)
    return {
        "label": workload.label,
        "rows": workload.rows,
        "flops_per_step": workload.flops,
        "results": results,
    }


def options(description: str | None) -> argparse.ArgumentParser:
    """The options that the scripts here share."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, help="turns of each contestant (5; quick: 2)")
    parser.add_argument("--seconds", type=float, help="of a measurement (0.25; quick: 0.05)")
    parser.add_argument("--quick", action="store_true", help="few rows, few rounds: a look only")
    parser.add_argument("--out", type=Path, help="where to write, instead of the usual folder")
    return parser


def finish(
    arguments: argparse.Namespace,
    whole: bool,
    name: str,
    results: dict[str, Any],
    write: Callable[[Path], None] = report.write,
) -> None:
    """Write the results and all that is drawn from them."""
    out = arguments.out or (HERE if whole else ASIDE)
    (out / "results").mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=1, ensure_ascii=False)
    (out / "results" / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    write(out)


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
    rounds = arguments.rounds or (2 if arguments.quick else 5)
    seconds = arguments.seconds or (0.05 if arguments.quick else 0.25)
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
        "fitted_before": True,
        "workloads": found,
    }
    finish(arguments, whole, "latest", results)
    print("\n".join(report.speed_section(results)))


if __name__ == "__main__":
    main()
