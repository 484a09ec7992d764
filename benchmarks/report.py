"""RESULTS.md and the plot, from what the scripts measured."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from report_fits import BUSY, fits_section
from report_format import (
    absent,
    asked,
    at_most,
    best_of,
    number,
    peak_of,
    percent,
    processes,
    ran,
    ratio,
    spread,
    table,
    times,
    us,
    us_with_threads,
    without_paths,
)
from report_scaling import loops_section, moments_section, phases_section, scaling_section
from stopwatch import BURST_SECONDS, WARM_SECONDS
from workloads import WORKLOADS

FRAMEWORKS = ("torch", "torch-compiled", "jax")
TITLES = {
    "pellucid": "pellucid",
    "sklearn": "scikit-learn",
    "torch": "PyTorch",
    "torch-compiled": "PyTorch compiled",
    "jax": "JAX",
}
PLOT = "results/speed.svg"


def write(out: Path) -> None:
    """Write RESULTS.md and the plot of everything in ``out/results``."""
    found = {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name in ("latest", "fits", "phases", "machine_noise", "loops", "scaling")
        if (path := out / "results" / f"{name}.json").exists()
    }
    lines = ["# Speed", ""]
    if "latest" in found:
        lines += machine_lines(found["latest"])
        drawn = plot(found["latest"], out / PLOT)
        lines += ["", *([f"![Microseconds a step]({PLOT})", ""] if drawn else [])]
        lines += speed_section(found["latest"])
    for name, section in (
        ("fits", fits_section),
        ("phases", phases_section),
        ("machine_noise", moments_section),
        ("loops", loops_section),
        ("scaling", scaling_section),
    ):
        if name in found:
            lines += ["", *section(found[name])]
    lines += ["", *REPEAT.strip().splitlines()]
    (out / "RESULTS.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


REPEAT = """
## How to repeat it

`make bench` does all of it. By hand, in an environment with Pellucid:

```
pip install -r benchmarks/requirements.txt
python benchmarks/speed.py          # the tables of training
python benchmarks/fits.py           # whole fits of both MLPClassifiers
python benchmarks/loops.py          # loops, NumPy, engine
python benchmarks/scaling.py        # rows, memory, one row, threads, a busy machine
python benchmarks/machine_noise.py  # what the machine's moments do
make phases                         # the phases of a step
```

`--quick` takes a look in a few minutes and writes into `build/bench`, as does a part
(`--workloads deep wide --contestants pellucid jax`). Every single round is in `results/*.json`.
"""


def machine_lines(results: dict[str, Any]) -> list[str]:
    """The machine, the versions, the date."""
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    entries = [each for w in results["workloads"].values() for each in w["results"].values()]
    others = [each["cores_others"] for each in entries if "cores_others" in each]
    commit = f", commit {results['commit']}" if results["commit"] else ""
    simd = ", ".join(results["simd"])
    lines = [
        f"{results['machine']}, {results['cpus']} CPUs ({simd}), {results['memory_gb']} GiB, "
        f"{results['system']}, Python {results['python']}; {results['date']}{commit}.  ",
        versions + ".  ",
        f"Engine: {_engines(entries)}.  ",
        *_levels(results["levels"]),
        f"{results['rounds']} rounds, each a process of its own, compiled and warmed up "
        + ("by a whole fit or epoch of the same size, then " if "fitted_before" in results else "")
        + "for "
        f"{WARM_SECONDS} s, then measured for {results['seconds']} s in bursts of "
        f"{BURST_SECONDS} s; all take one epoch at least. "
        + _cores_given(entries, results["cpus"]),
    ]
    if others:
        middle = sorted(others)[len(others) // 2]
        lines[-1] += f" Other processes used {middle:.2f} cores meanwhile."
        if middle > BUSY:
            lines += [
                "",
                "**The machine was busy: what ran on all cores is slower than it could be.**",
            ]
    if results.get("quick"):
        lines += ["", "**A quick look: few rows and rounds. These are not the results.**"]
    return lines


def _cores_given(entries: list[dict[str, Any]], cpus: int) -> str:
    """How much of the machine there was."""
    together = [each for each in entries if each.get("gflops_given") and each["threads"] != 1]
    if not together:
        return "The median counts."
    most = max(each["gflops_given"] for each in together)
    counted, found = (
        statistics.median(each[name] for each in together) / most
        for name in ("gflops_given", "gflops_given_all")
    )
    return (
        "CPUs of a virtual machine may be halves of one core, share one with other guests or lie "
        "far from each other, and change that within a second: before and after each burst all "
        f"{cpus} together (one, for a contestant on one thread) multiply and add numbers in their "
        f"second caches, and some that come from a neighbour's. In the middle burst they did "
        f"{100 * found:.0f} % of the most seen. What counts is the median of that half of a "
        f"contestant's bursts with most of it: {100 * counted:.0f} %."
    )


def _engines(entries: Iterable[dict[str, Any]]) -> str:
    ran = {
        " ".join(filter(None, (each["engine"], each.get("simd"))))
        + (f" ({each['engine_note']})" if each.get("engine_note") else "")
        for each in entries
        if "engine" in each
    }
    return "; ".join(sorted(ran)) or "none ran"


def _levels(levels: dict[str, str]) -> list[str]:
    can = [level for level, reason in levels.items() if not reason]
    lacks = [f"{level} ({without_paths(reason)})" for level, reason in levels.items() if reason]
    said = f"SIMD levels of the engine: {', '.join(can) or 'none'}"
    return [said + (f"; not {', '.join(lacks)}" if lacks else "") + ".  "] if levels else []


def speed_section(results: dict[str, Any]) -> list[str]:
    """All tables of training."""
    found = results["workloads"]
    return [
        "## Training: Adam, ReLU, softmax, float32",
        "",
        "Microseconds a step, whole epochs; in brackets the quickest and the slowest process.",
        "pellucid runs as by default, on all cores; of a peer",
        "the better of 1 thread and all counts, *(1)* where that was 1. GFLOP/s count three",
        "products a layer, two in the first. The peak is the better of a large matrix product and,",
        "where the engine has one, a loop of fused multiply-adds, in the same rounds.",
        "",
        *training_table(found),
        "",
        *asked_table(found),
        "",
        "## Towards the machine's limit",
        "",
        *limits_table(found),
        "",
        "## float64: the drop-in against scikit-learn's MLPClassifier",
        "",
        *float64_table(found),
        "",
        "## Every contestant",
        "",
        *details_table(found),
        "",
        *notes(found),
    ]


def training_table(found: dict[str, Any]) -> list[str]:
    """Microseconds a step of all."""
    rows = []
    for workload in found.values():
        results = workload["results"]
        ours = results.get("pellucid@all", {})
        peak = peak_of(results, "all")
        rows.append(
            [
                workload["label"],
                f"**{us(ours)}**{processes(ours)}" if ran(ours) else "–",
                number(ours.get("gflops")),
                percent(ours["gflops"] / peak) if ran(ours) and peak else "–",
                *(us_with_threads(results, name) for name in ("sklearn", *FRAMEWORKS)),
            ]
        )
    return table(
        ["network, batch", "pellucid", "GFLOP/s", "of peak", *list(TITLES.values())[1:]], rows
    )


def asked_table(found: dict[str, Any]) -> list[str]:
    """Ratios to the peers and to libxsmm-dnn, and what was asked for."""
    rows = []
    for name, workload in found.items():
        target, results = WORKLOADS[name], workload["results"]
        ours = results.get("pellucid@all", {})
        frameworks = [best for each in FRAMEWORKS if (best := best_of(results, each))]
        fastest = min(frameworks, key=lambda each: each["us_per_step"], default={})
        sgd = results.get("pellucid-sgd@all", {})
        rows.append(
            [
                workload["label"],
                asked(ratio(fastest, ours), target.over_frameworks, "×"),
                asked(ratio(best_of(results, "sklearn"), ours), target.over_sklearn, "×"),
                at_most(sgd.get("us_per_step"), target.libxsmm_us),
            ]
        )
    return table(
        [
            "network, batch",
            "× the fastest framework",
            "× scikit-learn",
            "SGD, µs, beside libxsmm-dnn's kernels on 4 threads of a Zen 4",
        ],
        rows,
    )


def limits_table(found: dict[str, Any]) -> list[str]:
    """Peaks, and one thread beside what one thread could attain."""
    rows = []
    passes = False
    for name, workload in found.items():
        results, target = workload["results"], WORKLOADS[name]
        peak, ours = peak_of(results, "1"), results.get("pellucid@1", {})
        pass_us = results.get("optimizer-pass@1", {}).get("pass_us", 0.0)
        passes |= bool(pass_us)
        attainable = workload["flops_per_step"] / peak / 1e3 + pass_us if peak else None
        share = attainable / ours["us_per_step"] if attainable and ran(ours) else None
        rows.append(
            [
                workload["label"],
                number(peak),
                number(peak_of(results, "all")),
                number(pass_us or None),
                number(attainable),
                us(ours),
                asked(share, target.attainable, "%"),
            ]
        )
    lines = table(
        [
            "network, batch",
            "peak of 1 core, GFLOP/s",
            "of all",
            "optimizer pass, µs",
            "attainable, µs",
            "pellucid, 1 thread, µs",
            "attained",
        ],
        rows,
    )
    if not passes:
        lines += ["", "The optimizer pass was not measured: attainable counts the products alone."]
    return lines


def float64_table(found: dict[str, Any]) -> list[str]:
    """The drop-ins' usual case."""
    rows = []
    for workload in found.values():
        results = workload["results"]
        ours = best_of(results, "pellucid-mlp-float64")
        theirs = best_of(results, "sklearn-float64")
        rows.append(
            [
                workload["label"],
                us_with_threads(results, "pellucid-mlp-float64"),
                us_with_threads(results, "sklearn-float64"),
                times(ratio(theirs, ours)),
            ]
        )
    return table(["network, batch", "pellucid, µs", "scikit-learn, µs", "ratio"], rows)


def details_table(found: dict[str, Any]) -> list[str]:
    """One row for each contestant, workload and number of threads."""
    rows = []
    for workload in found.values():
        for key, each in workload["results"].items():
            if ran(each) and "us_per_step" in each and not key.startswith(("sgemm", "fma", "opt")):
                name, threads = key.split("@")
                rows.append(
                    [
                        workload["label"],
                        name,
                        threads,
                        us(each),
                        spread(each["rounds_us"]),
                        number(each["gflops"]),
                        number(each["cores_used"]),
                        f"{each['first_loss']:.4f}" if "first_loss" in each else "",
                        each.get("form", ""),
                    ]
                )
    header = ["network, batch", "contestant", "threads", "µs a step", "rounds", "GFLOP/s"]
    return table([*header, "cores used", "J, first epoch", "form"], rows)


def notes(found: dict[str, Any]) -> list[str]:
    """Who did not take part, and what else to know."""
    lines = [
        "*pellucid-call* is whole calls of `train` of ten epochs, which check the data and",
        "shuffle. The others take orders drawn before, except the drop-ins and scikit-learn, which",
        "draw theirs. J of the first epoch agrees where parameters and order were the same.",
        "scikit-learn draws its own parameters, and with two classes it has one logistic output,",
        "which is less work. *cores used* is processor time over time.",
    ]
    return lines + absent(found)


def plot(results: dict[str, Any], path: Path) -> bool:
    """Draw microseconds a step, on a logarithmic axis; whether matplotlib was there to do it."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "pellucid", "font.size": 9}
    found = results["workloads"]
    figure, axis = plt.subplots(figsize=(8.5, 4))
    width = 0.8 / len(TITLES)
    for place, (name, title) in enumerate(TITLES.items()):
        bars = []
        for k, workload in enumerate(found.values()):
            best = best_of(workload["results"], name)
            if name == "pellucid":
                best = workload["results"].get("pellucid@all", {})
            if best and ran(best):
                bars.append((k + place * width, best["us_per_step"]))
        if bars:
            colour = "#c2410c" if name == "pellucid" else plt.cm.Greys(0.3 + 0.15 * place)
            axis.bar(*zip(*bars, strict=True), width, label=title, color=colour)
            for x, us in bars:
                axis.text(x, us * 1.08, number(us), ha="center", fontsize=5)
    axis.set_yscale("log")
    axis.set_ylabel("µs a step (less is better)")
    centres = [k + width * (len(TITLES) - 1) / 2 for k in range(len(found))]
    axis.set_xticks(centres, [each["label"].replace(", ", "\nbatch ") for each in found.values()])
    axis.tick_params(axis="x", labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1))
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return True
