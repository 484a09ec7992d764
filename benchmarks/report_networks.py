"""networks.md, from what networks.py measured."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean
from typing import Any

from report import machine_lines
from report_format import (
    absent,
    asked,
    at_most,
    best_of,
    met,
    number,
    peak_of,
    percent,
    ran,
    ratio,
    spread,
    table,
    us,
    us_with_threads,
    without_paths,
)
from workloads import TASKS

TITLES = {
    "torch": "PyTorch",
    "torch-channels-last": "PyTorch, channels last",
    "torch-compiled": "PyTorch compiled",
    "jax": "JAX",
    "keras": "Keras on TensorFlow",
}
ROWS = {name: TITLES[name] for name in ("torch", "jax", "keras")}
ACCURACY, SECONDS = 99.0, 15.0
AGREE = 0.01
"""How far the costs of the first epoch may be from each other, as a share."""


def write(out: Path) -> None:
    """Write the page of ``out/results/networks.json``."""
    results = json.loads((out / "results" / "networks.json").read_text(encoding="utf-8"))
    (out / "networks.md").write_text("\n".join(page(results)) + "\n", encoding="utf-8")


def page(results: dict[str, Any]) -> list[str]:
    """All of it."""
    lines = ["# Speed of convolutional and recurrent networks", ""]
    if results["workloads"] or results["row"]:
        both = {
            f"{part} {name}": each
            for part in ("workloads", "row")
            for name, each in results[part].items()
        }
        lines += machine_lines(results | {"workloads": both})
    for key, section in (("workloads", training_section), ("row", row_section)):
        if results[key]:
            lines += ["", *section(results[key])]
    if "mnist" in results:
        lines += ["", *mnist_section(results["mnist"])]
    return [*lines, "", *REPEAT.strip().splitlines()]


REPEAT = """
## How to repeat it

`make bench` does it among others. By hand, in an environment with Pellucid:

```
pip install -r benchmarks/requirements.txt
PELLUCID_DATA=path/to/data python benchmarks/networks.py
```

`--quick` takes a look, `--parts`, `--tasks` and `--contestants` take a part; these write into
`build/bench`. Every single round is in `results/networks.json`.
"""


def training_section(found: dict[str, Any]) -> list[str]:
    """All tables of training."""
    return [
        "## Training: Adam, mini-batches of 64, float32",
        "",
        "Microseconds a step, in bare steps of the engine that `train` takes, on all cores; of a",
        "peer the best of several forms, and the better of 1 thread and all, *(1)* where that was",
        "1. GFLOP/s count three products a layer, two for inputs that are data, and those of the",
        "zeros around a picture. The peak is the better of a large matrix product and a loop of",
        "fused multiply-adds, in the same rounds.",
        "",
        *training_table(found),
        "",
        *asked_table(found),
        "",
        "## One thread",
        "",
        "*CPU* is processor time, which a busy machine changes least.",
        "",
        *thread_table(found),
        "",
        "## Every contestant",
        "",
        *details_table(found),
        "",
        *agreement(found),
        "",
        "*pellucid-train* is whole epochs of `train`, with what it does around the steps; these",
        "epochs are short. GRU has its reset gate after the product, as PyTorch's and Keras's.",
        "PyTorch and Keras have a second b in a GRU, and PyTorch in an LSTM, which they train too.",
        "SimpleChains.jl, in Julia, whose authors report small networks several times faster than",
        "PyTorch on a CPU, was not measured.",
        *absent(found),
    ]


def training_table(found: dict[str, Any]) -> list[str]:
    """Microseconds a step of all."""
    rows = []
    for each in found.values():
        results, ours = each["results"], each["results"].get("pellucid@all", {})
        peak = peak_of(results, "all")
        rows.append(
            [
                each["label"],
                number(each["flops_per_step"] / 1e6),
                f"**{us(ours)}**" if ran(ours) else "–",
                number(ours.get("gflops")),
                percent(ours["gflops"] / peak) if ran(ours) and peak else "–",
                *(us_with_threads(results, name) for name in TITLES),
            ]
        )
    return table(["network", "MFLOP", "pellucid", "GFLOP/s", "of peak", *TITLES.values()], rows)


def fastest(results: dict[str, Any], titles: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """Return the title and the result of the fastest framework."""
    best = {title: best_of(results, name) for name, title in titles.items()}
    best = {title: each for title, each in best.items() if each}
    title = min(best, key=lambda title: best[title]["us_per_step"], default="–")
    return title, best.get(title, {})


def asked_table(found: dict[str, Any]) -> list[str]:
    """Ratios to the fastest framework, and what was asked for."""
    rows = []
    for name, each in found.items():
        title, theirs = fastest(each["results"], TITLES)
        peak = peak_of(each["results"], "all")
        over = ratio(theirs, each["results"].get("pellucid@all", {}))
        share = theirs["gflops"] / peak if theirs and peak else None
        over_asked = asked(over, TASKS[name].over_frameworks, "×")
        rows.append([each["label"], title, us(theirs), percent(share), over_asked])
    header = ["network", "fastest framework", "µs", "of peak", "pellucid, × that"]
    return table(header, rows)


def thread_table(found: dict[str, Any]) -> list[str]:
    """One thread of pellucid beside the products' peak, and the fastest framework on one."""
    rows = []
    for name, each in found.items():
        results, peak = each["results"], peak_of(each["results"], "1")
        ours = results.get("pellucid@1", {})
        share = None
        if peak and ran(ours):
            share = each["flops_per_step"] / peak / 1e3 / ours["us_per_step"]
        alone = {key: value for key, value in results.items() if key.endswith("@1")}
        title, theirs = fastest(alone, TITLES)
        rows.append(
            [
                each["label"],
                number(peak),
                us(ours),
                number(ours.get("cpu_us_per_step")),
                asked(share, TASKS[name].of_peak, "%"),
                title,
                us(theirs),
                number(theirs.get("cpu_us_per_step")),
            ]
        )
    header = ["network", "peak of 1 core, GFLOP/s", "pellucid, µs", "CPU, µs", "of peak"]
    return table([*header, "fastest framework", "µs", "CPU, µs"], rows)


def details_table(found: dict[str, Any]) -> list[str]:
    """One row for each contestant, task and number of threads."""
    rows = []
    for task in found.values():
        for key, each in task["results"].items():
            if ran(each) and not key.startswith(("sgemm", "fma")):
                name, threads = key.split("@")
                rows.append(
                    [
                        task["label"],
                        name,
                        threads,
                        us(each),
                        spread(each["rounds_us"]),
                        number(each["cpu_us_per_step"]),
                        number(each["gflops"]),
                        f"{each['first_loss']:.4f}",
                        each.get("form") or each.get("engine", ""),
                    ]
                )
    header = ["network", "contestant", "threads", "µs a step", "rounds", "CPU, µs", "GFLOP/s"]
    return table([*header, "J, first epoch", "form or engine"], rows)


def agreement(found: dict[str, Any]) -> list[str]:
    """Whether all have done the same work."""
    lines = [
        "Before the clock started, all had the reference engine's outputs with the same weights,",
        "and its J in the first three steps; what differs is left out.",
    ]
    for task in found.values():
        costs = [each["first_loss"] for each in task["results"].values() if "first_loss" in each]
        if costs and max(costs) - min(costs) > AGREE * min(costs):
            lines.append(
                f"**{task['label']}: the costs of the first epoch are {min(costs):.4f} to "
                f"{max(costs):.4f}: not all have done the same steps.**"
            )
    if len(lines) == 2:
        lines.append(f"The costs of the whole first epoch agree to {percent(AGREE)}.")
    left_out = [
        f"- {task['label']}, {key}: {without_paths(each['left_out'])}"
        for task in found.values()
        for key, each in task["results"].items()
        if "left_out" in each
    ]
    return lines + (["", "Forms that were left out:", "", *left_out] if left_out else [])


def row_section(found: dict[str, Any]) -> list[str]:
    """One row at a time."""
    rows = []
    for name, each in found.items():
        shown = {key: _row(each["results"], key) for key in ("pellucid", *ROWS, "onnxruntime")}
        ours, onnx = shown["pellucid"], shown["onnxruntime"]
        frameworks = [shown[key] for key in ROWS if shown[key]]
        over = min(frameworks) / ours if ours and frameworks else None
        rows.append(
            [
                each["label"],
                *(number(value) for value in shown.values()),
                asked(over, TASKS[name].row_over_frameworks, "×"),
                asked(onnx / ours if ours and onnx else None, 1.0, "×"),
            ]
        )
    header = ["network", "pellucid", *ROWS.values(), "ONNX Runtime, exported model"]
    return [
        "## One row predicted",
        "",
        "Microseconds a row of `Network.forward`, and of the best of several forms of the others;",
        "the better of 1 thread and all.",
        "",
        *table([*header, "× the fastest framework", "× ONNX Runtime"], rows),
        *absent(found),
    ]


def _row(results: dict[str, Any], name: str) -> float | None:
    best = best_of(results, name)
    return 1e6 * best["seconds_per_epoch"] if best else None


def mnist_section(found: dict[str, Any]) -> list[str]:
    """Accuracy and time of whole trainings."""
    lines = ["## LeNet-5 on MNIST, from the first call to the last epoch", ""]
    if not ran(found):
        return [*lines, f"Not measured: {without_paths(found['skipped'])}"]
    fits = found["fits"]
    settings = ", ".join(f"{key.replace('_', ' ')} {v}" for key, v in found["settings"].items())
    seconds = [each["seconds"] for each in fits]
    accuracies = [each["accuracy"] for each in fits]
    average = mean(accuracies)
    rows = [
        [
            ", ".join(f"{each:.2f}" for each in accuracies),
            f"{average:.2f}, asked {ACCURACY:.1f}: {met(average >= ACCURACY)}",
            ", ".join(number(each) for each in seconds),
            at_most(max(seconds), SECONDS, " s"),
            ", ".join(number(each["cpu_seconds"]) for each in fits),
        ]
    ]
    header = ["test accuracy, %, by seed", "mean", "seconds, by seed", "most", "CPU seconds"]
    return [*lines, *table(header, rows), "", f"{settings}, all cores, 60,000 pictures."]
