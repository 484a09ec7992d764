"""The same runs with less to look at: no validation data, no statistics, no data at all.

python benchmarks/diagnosis/ablation.py (after run.py) writes less.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from faults import FAULTS, FINDING, HARMLESS
from run import HERE, counts, healthy_runs, planted_runs
from runs import Result, training_run_of
from threadpoolctl import threadpool_limits

from pellucid.insight.diagnosis.evidence import gather
from pellucid.insight.diagnosis.rules import findings
from pellucid.insight.diagnosis.training_run import TrainingRun


def _no_statistics(s: TrainingRun) -> TrainingRun:
    return replace(s, history=s.history and replace(s.history, statistics=[]))


MODES: dict[str, Callable[[TrainingRun], TrainingRun]] = {
    "everything": lambda s: s,
    "no validation data": lambda s: replace(s, validation=None),
    "no statistics": _no_statistics,
    "history and network, no data": lambda s: replace(s, data=None, validation=None),
    "history alone": lambda s: TrainingRun(history=s.history, loss=s.loss),
    "network and data, no history": lambda s: replace(s, history=None, validation=None),
}


def shown(result: Result) -> dict[str, list[tuple[str, str]]]:
    """Kind and severity of the findings of a run in every mode."""
    found = {}
    for mode, less in MODES.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            evidence = gather(less(training_run_of(result)))
        found[mode] = [(f.kind, f.severity) for f in findings(evidence)]
    return found


def main() -> None:
    """Measure some of the runs in every mode."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--each", type=int, default=9)
    options = parser.parse_args()
    threadpool_limits(1)
    everything = healthy_runs(42, options.processes)
    good = everything[::4]
    faulty = []
    for kind, fault in FAULTS.items():
        pairs = planted_runs(fault, everything, options.each, options.processes)
        faulty += [(kind, b) for a, b in pairs if counts(fault, a, b) and b.history is not None]
    with multiprocessing.get_context("fork").Pool(options.processes) as pool:
        of_good = pool.map(shown, good, chunksize=4)
        of_faulty = pool.map(shown, [b for _, b in faulty], chunksize=4)
    rows = []
    for mode in MODES:
        alarms = [any(s != "info" for _, s in each[mode]) for each in of_good]
        hits = []
        for (kind, _), each in zip(faulty, of_faulty, strict=True):
            wanted = {FINDING.get(kind, kind), *FAULTS[kind].accept}
            seen = {k for k, s in each[mode] if s != "info" or kind in HARMLESS}
            hits.append(bool(wanted & seen))
        row: dict[str, Any] = {"mode": mode, "alarms": [sum(alarms), len(alarms)]}
        rows.append(row | {"detected": [sum(hits), len(hits)]})
        print(rows[-1])
    (HERE / "ablation.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
