"""The table of README.md, from benchmarks/results: ``make docs`` writes it.

python benchmarks/front_table.py README.md
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from pathlib import Path
from typing import Any

import report
import sklearn.datasets
from report_format import table, with_part

RESULTS = Path(__file__).parent / "results"


def peers() -> dict[str, dict[str, Any]]:
    """Return what each is called in the results of errors, steps and installations."""
    return {
        "Pellucid": {"error": "pellucid", "step": ["pellucid"], "install": "pellucid"},
        "pellucid-predict": {"install": "pellucid-predict"},
        "scikit-learn's MLP": {"error": "mlp", "step": ["sklearn"], "install": "scikit-learn"},
        "HistGradientBoosting": {"error": "boosting", "install": "scikit-learn"},
        "LightGBM": {"install": "LightGBM"},
        "PyTorch": {"step": ["torch", "torch-compiled"], "install": "PyTorch"},
        "JAX": {"step": ["jax"], "install": "JAX"},
        "Keras": {"install": "Keras"},
        "AutoGluon": {"install": "AutoGluon"},
    }


def text() -> str:
    """Return the table and what it says, as Markdown."""
    results = {name: json.loads((RESULTS / f"{name}.json").read_text("utf-8")) for name in _FILES}
    errors = {
        name: found
        for name, found in results["tables"]["results"].items()
        if not hasattr(sklearn.datasets, f"load_{name}")  # samples of 150 rows say little
    }
    steps = results["latest"]["workloads"].values()
    packages = results["install"]["packages"]
    rows = []
    for title, keys in peers().items():
        package = packages[keys["install"]]
        note = f" ({package['note']})" if package["note"] else ""
        rows.append(
            [
                f"{title}{note}",
                _error(errors, keys.get("error")),
                _step(steps, keys.get("step", [])),
                f"{package['megabytes']:,.0f}",
                f"{package['import_s']:.1f}",
            ]
        )
    lines = table(["", "error", "step", "MB", "import, s"], rows)
    return "\n".join([*lines, "", _about(results, len(errors))])


_FILES = ("tables", "latest", "install")


def _error(errors: dict[str, Any], method: str | None) -> str:
    """A peer's error as a multiple of ours, and on how many tables it is lower."""
    if method is None:
        return "–"
    ratios = []
    for found in errors.values():
        ours, theirs = found["pellucid"], found[method]
        both = sorted(set(ours) & set(theirs))
        mine, other = (sum(each[k]["error"] for k in both) for each in (ours, theirs))
        ratios.append(other / mine)
    if method == "pellucid":
        return "1"
    lower = sum(ratio < 1 for ratio in ratios)
    return f"{statistics.geometric_mean(ratios):.2f} × (lower on {lower})"


def _step(workloads: Any, contestants: list[str]) -> str:
    """A peer's time as a multiple of ours: the mean, the least and the most."""
    if contestants in ([], ["pellucid"]):
        return "1" if contestants else "–"
    ratios = []
    for workload in workloads:
        found = workload["results"]
        best = [report.best_of(found, name).get("us_per_step", math.inf) for name in contestants]
        ratios.append(min(best) / found["pellucid@all"]["us_per_step"])
    mean = statistics.geometric_mean(ratios)
    return f"{mean:.1f} × ({min(ratios):.1f} to {max(ratios):.0f})"


def _about(results: dict[str, Any], count: int) -> str:
    tables, speed, install = (results[name] for name in _FILES)
    return (
        f"[Error](benchmarks/accuracy.md) on {count} tables, all with their defaults "
        f"({tables['machine']['date']}); time of a [training step](benchmarks/RESULTS.md) of "
        f"{len(speed['workloads'])} dense networks, each peer in its fastest form, {speed['cpus']} "
        f"CPUs ({speed['date']}): geometric means as multiples of Pellucid's, least to most. MB "
        "[installed](benchmarks/install.py) with all that pip pulls, and the import until a model "
        f"can be made ({install['date']})."
    )


def written(page: str) -> str:
    """Return a page with the table between its markers."""
    return with_part(page, "benchmarks/front_table.py", text())


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(written(path.read_text("utf-8")), encoding="utf-8")
