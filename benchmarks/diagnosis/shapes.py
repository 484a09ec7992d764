"""Convolutional and recurrent networks: planted faults and healthy trainings, asked plainly.

PELLUCID_DATA=path/to/data python benchmarks/diagnosis/shapes.py [--processes 2] [--kinds KIND ...]

Diagnosed is the history, with nothing else given. Runs are kept in .cache
(PELLUCID_DIAGNOSIS_CACHE), with what the rules read of them. Writes shapes.json where no kinds are
named; report.py makes its part of RESULTS.md of it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from shapes_faults import FAULTS, Fault
from shapes_runs import Result, run, trained
from shapes_tasks import FROM_FILES, TASKS, TEST, Spec, healthy
from threadpoolctl import threadpool_limits

from pellucid import diagnose
from pellucid.insight.diagnosis.finding import Diagnosis
from pellucid.insight.diagnosis.rules import findings

GOOD = 0.02
"""Healthy: within this share of the best found for that task."""
MORE = 100
"""Further healthy settings, numbered from here on in each part: nothing is planted in them."""
WORSE = 0.05
"""A training fault counts where it worsens the held-out metric by more than this share."""
FINDING = {"shuffled_labels": "nothing_to_learn", "scaled_differently": "drift"}
"""Where the finding has another name than the fault."""
HERE = Path(__file__).parent


def candidates(numbers: list[int], processes: int) -> list[Result]:
    """Train the settings of these numbers for each task."""
    names = [name for name in TASKS if "PELLUCID_DATA" in os.environ or name not in FROM_FILES]
    return _all([healthy(name, number) for name in names for number in numbers], processes)


def best_of(results: list[Result], among: list[Result]) -> list[Result]:
    """Return the results that are within 2 % of the best of their task among some."""
    best: dict[str, float] = {}
    for r in among:
        best[r.spec.task] = max(best.get(r.spec.task, 0.0), r.metric)
    return [r for r in results if r.metric >= (1 - GOOD) * best[r.spec.task] and r.metric > 0]


def planted_runs(
    fault: Fault, good: list[Result], count: int, processes: int
) -> list[tuple[Result, Result]]:
    """Pairs (twin, faulty run): the fault in ``count`` healthy settings, tasks in turn."""
    rng = np.random.default_rng([*fault.kind.encode()])
    by_task: dict[str, list[Result]] = {}
    for result in good:
        by_task.setdefault(result.spec.task, []).append(result)
    chosen: dict[str, tuple[Spec, Spec]] = {}
    for _ in range(40 * len(by_task)):
        for name in rng.permutation(list(by_task)):
            spec = by_task[name][rng.integers(len(by_task[name]))].spec
            spoilt = fault.plant(spec, rng)
            if spoilt is not None and len(chosen) < count:
                chosen.setdefault(spoilt.key, (spec, spoilt))
    twins, spoilt = (_all([pair[k] for pair in chosen.values()], processes) for k in (0, 1))
    return list(zip(twins, spoilt, strict=True))


def _all(specs: list[Spec], processes: int, do: Any = run) -> list[Any]:
    if processes == 1:
        return [do(spec) for spec in specs]
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        return pool.map(do, specs, chunksize=1)


def serious(diagnosis: Diagnosis) -> list[str]:
    """The kinds of warnings and errors."""
    return [finding.kind for finding in diagnosis.findings if finding.severity != "info"]


def judge(fault: Fault, twin: Result, faulty: Result) -> dict[str, Any]:
    """What the rules find of a planted fault."""
    assert faulty.evidence is not None
    diagnosis = Diagnosis(findings(faulty.evidence))
    kinds = serious(diagnosis)
    exact = FINDING.get(fault.kind, fault.kind)
    worse = not faulty.metric >= twin.metric - WORSE * abs(twin.metric)
    return {
        "kind": fault.kind,
        "task": faulty.spec.task,
        "network": faulty.spec.network,
        "key": faulty.spec.key,
        "test": faulty.spec.is_test,
        "counts": fault.always or worse,
        "metric": round(faulty.metric, 3),
        "twin": round(twin.metric, 3),
        "detected": bool({exact, *fault.accept} & set(kinds)),
        "first": bool(kinds) and kinds[0] in fault.accept,
        "exact": exact in kinds,
        "found": [f"{f.severity[0]}:{f.kind}" for f in diagnosis.findings[:4]],
    }


def asked(spec: Spec) -> list[str]:
    """The alarms of a training, diagnosed as everybody does it: advice is tried first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return serious(diagnose(trained(spec)[0]))


def alarms_of(good: list[Result], processes: int) -> list[dict[str, Any]]:
    """What is called a fault in healthy runs; only where a rule says something is advice tried."""
    suspects = [r.spec for r in good if r.evidence and serious(Diagnosis(findings(r.evidence)))]
    found = dict(zip((s.key for s in suspects), _all(suspects, processes, asked), strict=True))
    return [
        {
            "task": r.spec.task,
            "network": r.spec.network,
            "key": r.spec.key,
            "test": r.spec.is_test,
            "metric": round(r.metric, 3),
            "alarms": found.get(r.spec.key, []),
        }
        for r in good
    ]


def main() -> None:
    """Carry everything out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--healthy", type=int, default=18)
    parser.add_argument("--more", type=int, default=18)
    parser.add_argument("--planted", type=int, default=24)
    parser.add_argument("--kinds", nargs="*", default=list(FAULTS))
    options = parser.parse_args()
    threadpool_limits(1)
    third, more = options.healthy // 3, options.more // 3
    first = candidates(
        [*range(options.healthy - third), *range(TEST, TEST + third)], options.processes
    )
    good = best_of(first, first)
    further = candidates(
        [*range(MORE, MORE + more), *range(TEST + MORE, TEST + MORE + options.more - more)],
        options.processes,
    )
    asked_too = best_of(further, first + further)
    healthy_rows = alarms_of(good + asked_too, options.processes)
    planted = []
    for kind in options.kinds:
        pairs = planted_runs(FAULTS[kind], good, options.planted, options.processes)
        planted += [judge(FAULTS[kind], *pair) for pair in pairs]
        summary([row for row in planted if row["kind"] == kind])
    if options.kinds == list(FAULTS):
        parts = [
            f'"{name}":[\n' + ",\n".join(json.dumps(r, separators=(",", ":")) for r in rows) + "\n]"
            for name, rows in (("healthy", healthy_rows), ("planted", planted))
        ]
        (HERE / "shapes.json").write_text("{" + ",\n".join(parts) + "}\n")
    tuning = [row for row in healthy_rows if not row["test"]]
    count = sum(bool(row["alarms"]) for row in tuning)
    print(f"healthy {len(healthy_rows)}, tuning {len(tuning)}: {count} with an alarm")
    for row in tuning:
        if row["alarms"]:
            print("   ", row["task"], row["network"], row["key"], row["metric"], row["alarms"])


def summary(rows: list[dict[str, Any]]) -> None:
    """Print the rates of a kind in the tuning part, and what was missed there."""
    real = [p for p in rows if not p["test"] and p["counts"]]
    detected, first, exact = (sum(p[what] for p in real) for what in ("detected", "first", "exact"))
    print(
        f"{rows[0]['kind']:24} planted {len(rows):3} counts {len(real):3} detected {detected:3} "
        f"first {first:3} exact {exact:3}",
        flush=True,
    )
    for p in real:
        if not p["first"]:
            print("      ", p["task"], p["network"], f"{p['twin']:.2f} -> {p['metric']:.2f}",
                  p["key"], p["found"])  # fmt: skip


if __name__ == "__main__":
    main()
