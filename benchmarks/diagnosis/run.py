"""Plant every fault, train healthy networks, diagnose all of them, apply the suggested fixes.

python benchmarks/diagnosis/run.py [--processes 2] [--healthy 40] [--planted 24]

Runs are kept in .cache (PELLUCID_DIAGNOSIS_CACHE): after a change of a rule alone nothing is
trained again. Writes results.json; report.py makes RESULTS.md of it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from faults import FAULTS, FINDING, HARMLESS, Fault
from runs import SPLITS, Result, metric, run, training_run_of
from settings import TABLES, TEST, Spec, healthy
from threadpoolctl import threadpool_limits

from pellucid.insight.diagnosis.finding import Diagnosis
from pellucid.insight.diagnosis.rules import findings
from pellucid.insight.diagnosis.trial import with_tried_advice

GOOD = 0.02
"""Healthy: within this share of the best found for that table and split."""
WORSE = 0.05
"""A training fault counts where it worsens the held-out metric by more than this share."""
HERE = Path(__file__).parent


def diagnose(result: Result) -> Diagnosis:
    """The diagnosis of a run from its stored evidence."""
    assert result.evidence is not None
    return Diagnosis(findings(result.evidence), result.evidence.looked_at)


def asked(result: Result) -> Diagnosis:
    """The same with advice tried, as diagnose does it: what does not help is no alarm."""
    found = diagnose(result)
    if found.ok:
        return found
    assert result.evidence is not None
    return with_tried_advice(training_run_of(result), result.evidence, found.findings)


def healthy_runs(count: int, processes: int) -> list[Result]:
    """Train many candidates; keep those within 2 % of the best of their table and split."""
    numbers = [*range(count - count // 3), *range(TEST, TEST + count // 3)]
    specs = [healthy(name, number) for name in TABLES for number in numbers]
    results = _all(specs, processes)
    best: dict[tuple[str, int], float] = {}
    for r in results:
        place = r.spec.table, r.spec.seed % SPLITS
        best[place] = max(best.get(place, -1.0), r.metric)
    return [
        r
        for r in results
        if r.metric >= (1 - GOOD) * best[r.spec.table, r.spec.seed % SPLITS] and r.metric > 0
    ]


def planted_runs(fault: Fault, good: list[Result], count: int, processes: int) -> list[Any]:
    """Pairs (twin, faulty run): the fault in ``count`` healthy settings, tables in turn."""
    rng = np.random.default_rng([*fault.kind.encode()])
    chosen: list[tuple[Spec, Spec]] = []
    by_table: dict[str, list[Result]] = {}
    for result in good:
        by_table.setdefault(result.spec.table, []).append(result)
    rounds = 0
    while len(chosen) < count and rounds < 40:
        for name in rng.permutation(list(by_table)):
            those = by_table[name]
            spec = those[rng.integers(len(those))].spec
            spoilt = fault.plant(spec, rng)
            known = {each.key for _, each in chosen}
            if spoilt is not None and spoilt.key not in known and len(chosen) < count:
                chosen.append((_twin(fault.kind, spec, spoilt), spoilt))
        rounds += 1
    twins = _all([twin for twin, _ in chosen], processes)
    return list(zip(twins, _all([spec for _, spec in chosen], processes), strict=True))


def _twin(kind: str, spec: Spec, spoilt: Spec) -> Spec:
    """The healthy twin: the same data, where the fault lies in how they are dealt with."""
    if kind == "overfitting":
        return replace(spoilt, hidden=(16,), early_stopping=15, epochs=300, learning_rate=0.003)
    if kind == "class_imbalance":
        return replace(spoilt, class_weight="balanced")
    return spec


def _all(specs: list[Spec], processes: int, do: Any = run) -> list[Any]:
    if processes == 1:
        return [do(spec) for spec in specs]
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        return pool.map(do, specs, chunksize=8)


def counts(fault: Fault, twin: Result, faulty: Result) -> bool:
    """Whether a planted fault is one: it is static, or it hurts."""
    if fault.always:
        return True
    return not faulty.metric >= twin.metric - WORSE * abs(twin.metric)


def judge(fault: Fault, twin: Result, faulty: Result) -> dict[str, Any]:
    """What was found of a planted fault."""
    diagnosis = diagnose(faulty)
    wanted = {FINDING.get(fault.kind, fault.kind), *fault.accept}
    shown = [f for f in diagnosis.findings if fault.kind in HARMLESS or f.severity != "info"]
    kinds = [finding.kind for finding in shown]
    return {
        "kind": fault.kind,
        "table": twin.spec.table,
        "key": faulty.spec.key,
        "test": twin.spec.is_test,
        "counts": counts(fault, twin, faulty),
        "metric": round(faulty.metric, 3),
        "twin": round(twin.metric, 3),
        "detected": bool(wanted & set(kinds)),
        "first": bool(kinds) and kinds[0] in fault.accept,
        "found": [f"{f.severity[0]}:{f.kind}" for f in diagnosis.findings[:4]],
        "fix": diagnosis.suggest(),
    }


_SAME = ("learning_rate", "epochs", "batch_size", "initializer", "activation", "standardise",
         "standardise_target", "class_weight", "early_stopping", "output", "loss", "bias",
         "gradient_clip")  # fmt: skip
"""Suggested settings that a Spec has by the same name."""


def cured_spec(spec: Spec, fix: dict[str, Any]) -> Spec | None:
    """The faulty settings with the suggestion carried out; None where it changes nothing here."""
    changes = {name: value for name, value in fix.items() if name in _SAME}
    if isinstance(fix.get("optimizer"), dict):
        changes["beta"] = fix["optimizer"]["beta"]
    elif "optimizer" in fix:
        changes |= {"optimizer": fix["optimizer"], "beta": 0.0}
    if "hidden_layer_sizes" in fix:
        changes["hidden"] = tuple(fix["hidden_layer_sizes"])
    if "drop_columns" in fix:
        changes["drop_columns"] = tuple(fix["drop_columns"])
    if "labels" in fix or ("split" in fix and spec.data_fault == "sorted"):
        changes["data_fault"] = ""
    new = replace(spec, **changes)
    return None if new == spec else new


def cure(judged: list[dict[str, Any]], pairs: list[Any], processes: int) -> None:
    """Train again as suggested; cured is what comes within 5 % of the healthy twin."""
    todo = [
        (each, twin, cured_spec(faulty.spec, each["fix"]))
        for each, (twin, faulty) in zip(judged, pairs, strict=True)
        if each["counts"] and each["fix"]
    ]
    todo = [each for each in todo if each[2] is not None]
    results = _all([spec for _, _, spec in todo], processes, metric)
    for (each, twin, _), value in zip(todo, results, strict=True):
        each["cured"] = bool(value >= twin.metric - WORSE * abs(twin.metric))
        each["after"] = round(value, 3)


def main() -> None:
    """Carry everything out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--healthy", type=int, default=42)
    parser.add_argument("--planted", type=int, default=42)
    parser.add_argument("--kinds", nargs="*", default=list(FAULTS))
    options = parser.parse_args()
    threadpool_limits(1)
    good = healthy_runs(options.healthy, options.processes)
    alarms = [
        {
            "table": r.spec.table,
            "key": r.spec.key,
            "test": r.spec.is_test,
            "alarms": [f"{f.kind}" for f in asked(r).findings if f.severity != "info"],
        }
        for r in good
    ]
    planted = []
    for kind in options.kinds:
        fault = FAULTS[kind]
        pairs = planted_runs(fault, good, options.planted, options.processes)
        judged = [judge(fault, *pair) for pair in pairs]
        cure(judged, pairs, options.processes)
        planted += judged
    (HERE / "results.json").write_text(_json(alarms, planted))
    summary(alarms, planted)


def _json(alarms: list[Any], planted: list[Any]) -> str:
    """A line a run."""
    parts = []
    for name, rows in (("healthy", alarms), ("planted", planted)):
        lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
        parts.append(f'"{name}":[\n{lines}\n]')
    return "{" + ",\n".join(parts) + "}\n"


def summary(alarms: list[Any], planted: list[Any]) -> None:
    """Print the rates of the tuning part, and what was missed there."""
    tuning = [a for a in alarms if not a["test"]]
    count = sum(bool(a["alarms"]) for a in tuning)
    print(f"healthy {len(alarms)}, tuning {len(tuning)}: {count} with an alarm")
    for alarm in tuning:
        if alarm["alarms"]:
            print("   ", alarm["table"], alarm["key"], alarm["alarms"])
    for kind in dict.fromkeys(p["kind"] for p in planted):
        real = [p for p in planted if p["kind"] == kind and not p["test"] and p["counts"]]
        detected, first = (sum(p[what] for p in real) for what in ("detected", "first"))
        cured = [p["cured"] for p in real if "cured" in p]
        print(
            f"{kind:26} counts {len(real):3} detected {detected:3} first {first:3} "
            f"cured {sum(cured)} of {len(cured)}"
        )
        for p in real:
            if not p["first"]:
                change = f"{p['twin']:.2f} -> {p['metric']:.2f}"
                print("      ", p["table"], p["key"], change, p["found"][:5])


if __name__ == "__main__":
    main()
