"""The section of RESULTS.md about whole fits."""

from __future__ import annotations

import statistics
from typing import Any

from report_format import number, table, times

BUSY = 0.3
"""Cores used by others, from which on a run is called disturbed."""
SAME_LOSS = 1e-6
"""Relative difference of the losses at the end up to which both did the same."""


def fits_section(results: dict[str, Any]) -> list[str]:
    """Whole fits of both MLPClassifiers."""
    others = _others(results["fits"])
    rows = []
    for name, each in results["fits"].items():
        found = each["results"]
        ours, theirs = found["pellucid@all"], _best(found, "sklearn")
        both = "seconds" in ours and bool(theirs)
        rows.append(
            [
                f"{name}, {each['label']}",
                f"{each['rows']:,}",
                *_times(ours),
                *_times(theirs),
                times(_middle(theirs) / _middle(ours) if both else None),
                times(min(theirs["seconds"]) / min(ours["seconds"]) if both else None),
                _loss(ours, theirs) if both else "–",
            ]
        )
    return [
        "## Whole fits: both MLPClassifiers, 200 epochs, float64",
        "",
        "Milliseconds of `fit` from the call to its return: the quickest process, the middle one",
        f"and the slowest of {results['rounds']}, each after a fit that does not count. Samples",
        "have scikit-learn's default network. pellucid runs as by default; of scikit-learn the",
        "better of 1 thread and all counts, *(1)* where that was 1. *loss*: that of both at the",
        f"end, where they agree to {SAME_LOSS:g}. {results['machine']}, {results['cpus']} CPUs,",
        f"{results['date']}; `python benchmarks/fits.py`. Other processes used {others:.1f} cores",
        "meanwhile" + (": **what ran on all cores is slower.**" if others > BUSY else "."),
        "",
        *table(
            [
                "data, network, batch",
                "rows",
                "pellucid, least",
                "middle",
                "most",
                "scikit-learn, least",
                "middle",
                "most",
                "ratio of the middle",
                "of the least",
                "loss",
            ],
            rows,
        ),
    ]


def _others(fits: dict[str, Any]) -> float:
    """The cores that other processes used, in the middle process."""
    found = [
        cores
        for each in fits.values()
        for result in each["results"].values()
        for cores in result.get("cores_others", [])
    ]
    return statistics.median(found) if found else 0.0


def _best(found: dict[str, Any], name: str) -> dict[str, Any]:
    """The better of 1 thread and all; empty where neither ran."""
    ran = [
        each | {"threads": threads}
        for threads in ("all", "1")
        if (each := found.get(f"{name}@{threads}", {})).get("seconds")
    ]
    return min(ran, key=_middle, default={})


def _middle(result: dict[str, Any]) -> float:
    return statistics.median(result["seconds"])


def _times(result: dict[str, Any]) -> list[str]:
    """Milliseconds: the least, the middle and the most."""
    if not result.get("seconds"):
        return ["–"] * 3
    least, most = min(result["seconds"]), max(result["seconds"])
    note = " *(1)*" if result.get("threads") == "1" else ""
    return [number(1e3 * least), f"**{number(1e3 * _middle(result))}**{note}", number(1e3 * most)]


def _loss(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    if abs(ours["loss"] - theirs["loss"]) <= SAME_LOSS * abs(theirs["loss"]):
        return f"{ours['loss']:.4g}"
    return f"{ours['loss']:.4g}, {theirs['loss']:.4g}"
