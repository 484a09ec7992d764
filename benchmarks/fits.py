"""How long whole fits take: pellucid's MLPClassifier beside scikit-learn's, 200 epochs.

    python benchmarks/fits.py
    python benchmarks/fits.py --quick --workloads iris digits

scikit-learn's samples with the default network, and the six networks of speed.py on up to ten
mini-batches each. Both libraries do the same steps in the same order, in float64, and end at the
same loss. In every round each is started anew, with all threads and, where a fit is short, with 1,
in turn; what a process says is its middle fit, after one that does not count. A whole run writes
``results/fits.json`` and ``RESULTS.md`` here; any other writes into ``build/bench``.
"""

from __future__ import annotations

import statistics
import sys
from typing import Any

import machine
import report_fits
import speed
from stopwatch import Skip
from worker import ask
from workloads import FITS, Job, Workload

CONTESTANTS = {
    f"{name}@{threads or 'all'}": (f"{name}-fit", threads)
    for threads in (0, 1)
    for name in ("pellucid", "sklearn")
}

LONG = 1e8
"""Operations of a step that nobody would leave to 1 thread."""


def measure(workload: Workload, rounds: int) -> dict[str, Any]:
    """Return of each contestant the seconds of a fit in each process, or why there are none."""
    long = workload.flops > LONG
    names = [name for name in CONTESTANTS if not (long and name.endswith("@1"))]
    found: dict[str, dict[str, Any]] = {name: {"seconds": [], "cores_others": []} for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            contestant, threads = CONTESTANTS[name]
            if "skipped" in found[name]:
                continue
            try:
                answer = ask(contestant, Job(workload, threads, "float64"))
            except Skip as reason:
                found[name] = {"skipped": str(reason)}
                continue
            found[name]["seconds"].append(statistics.median(answer["seconds"]))
            found[name]["cores_others"].append(round(answer["cores_others"], 2))
            found[name] |= {"epochs": answer["epochs"], "loss": answer["loss"]}
    return {
        "label": workload.label,
        "rows": workload.rows,
        "steps": workload.steps,
        "results": found,
    }


def main() -> None:
    parser = speed.options(__doc__)
    parser.add_argument("--workloads", nargs="+", choices=FITS, default=list(FITS))
    arguments = parser.parse_args()
    rounds = arguments.rounds or (2 if arguments.quick else 5)
    found = {}
    for name in arguments.workloads:
        print(f"  {name}", file=sys.stderr, flush=True)
        found[name] = measure(FITS[name], rounds)
    results = machine.describe() | {"rounds": rounds, "fits": found}
    whole = not arguments.quick and set(arguments.workloads) == set(FITS)
    speed.finish(arguments, whole, "fits", results)
    print("\n".join(report_fits.fits_section(results)))


if __name__ == "__main__":
    main()
