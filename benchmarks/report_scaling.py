"""The part of RESULTS.md about loops, rows, memory, single rows, threads and busy machines."""

from __future__ import annotations

from typing import Any

from report_format import asked, at_most, met, number, percent, spread, table, times, without_paths
from workloads import WORKLOADS

MEMORY_SHARE = 0.10
ROW_US = {"pellucid-row": 5.0, "pellucid-mlp-row": 20.0}
ROW_TITLES = {
    "pellucid-row": "Network.forward",
    "pellucid-mlp-row": "MLPClassifier.predict_proba",
    "sklearn-row": "scikit-learn's predict_proba",
    "torch-row": "PyTorch module, inference mode, 1 thread",
}
UNDER_LOAD, QUIET_SHARE = 1.2, 0.6


def loops_section(results: dict[str, Any]) -> list[str]:
    """Explicit loops, NumPy, engine."""
    rows = [
        [
            title,
            _seconds(each["loops"]),
            _seconds(each["numpy"]),
            _seconds(each["engine"]),
            times(each["loops"] / each["numpy"]),
            times(each["loops"] / each["engine"]),
        ]
        for title, each in results.items()
    ]
    header = ["float64", "Python's loops", "NumPy", "engine", "loops / NumPy", "loops / engine"]
    return [
        "## Explicit loops",
        "",
        "Lecture 002, 2.1.6, says that a vectorised matrix product takes 300 times less time than",
        "an explicit loop. Here, every core allowed:",
        "",
        *table(header, rows),
    ]


PHASES = ("gather", "forward", "loss", "backward", "dW", "update", "wait", "other")


def phases_section(results: dict[str, Any]) -> list[str]:
    """Each network on one thread and on all: the quickest round and the median one."""
    rows = []
    for name, by_threads in results.items():
        for n, rounds in by_threads.items():
            shown = {"quickest": rounds[0], "median": rounds[len(rounds) // 2]}
            rows += [
                [
                    WORKLOADS[name].label,
                    n,
                    title,
                    number(one["step"]),
                    *(number(one[phase]) for phase in PHASES),
                ]
                for title, one in shown.items()
            ]
    header = ["network, batch", "threads", "round", "µs a step", *PHASES]
    return [
        "## Where a step's time goes",
        "",
        "Microseconds on the mean thread, Adam, every thread in every step; `make phases`. Shared",
        "perfectly, a phase takes 1/n of its time on one thread. What it takes beyond that goes to",
        "numbers that come from other cores' caches, or to a core that is slowed down from outside",
        "what this machine sees; *wait* is spent at barriers, for the slowest thread. Taking the",
        "time costs the smallest network 0.3 µs a step, the others next to nothing. What was tried",
        "against it: docs/decisions/what-bounds-a-step.md.",
        "",
        *table(header, rows),
    ]


def moments_section(results: dict[str, Any]) -> list[str]:
    """Each contestant in the machine's good moments and in its bad ones."""
    rows = []
    for name, by_contestant in results.items():
        for key, each in by_contestant.items():
            good, bad = each["most"], each["least"]
            given = bad["gflops_given"] / good["gflops_given"] if good["gflops_given"] else None
            rows.append(
                [
                    WORKLOADS[name].label,
                    key,
                    number(good["us_per_step"]),
                    number(bad["us_per_step"]),
                    times(bad["us_per_step"] / good["us_per_step"]),
                    percent(given),
                ]
            )
    header = ["network, batch", "contestant", "good, µs", "bad, µs", "longer", "given"]
    return [
        "## What the machine's moments do to a step",
        "",
        "The same code in bursts of 0.05 s, `python benchmarks/machine_noise.py`: the median of",
        "the quarter in which the machine gave most and of that in which it gave least. *given*:",
        "what it gave in the bad ones, of what it gave in the good. Where no process here takes",
        "it, what is missing goes to other guests of the host, or to cores far from each other.",
        "",
        *table(header, rows),
    ]


def scaling_section(results: dict[str, Any]) -> list[str]:
    """All parts that were measured."""
    sections = {
        "rows": _rows,
        "memory": _memory,
        "one-row": _one_row,
        "threads": _threads,
        "busy": _busy,
    }
    lines: list[str] = []
    for name, section in sections.items():
        if name in results:
            part = results[name]
            skipped = isinstance(part, dict) and part.get("skipped")
            lines += ["", *([f"{name}: {skipped}"] if skipped else section(part))]
    others = f"Other processes used {results['cores_others']:.2f} cores when this began."
    return [*lines[1:], "", others]


def _rows(part: dict[str, Any]) -> list[str]:
    rows = [
        [f"{int(m):,}", _seconds(seconds), number(1e6 * seconds / int(m))]
        for m, each in part["rows"].items()
        for seconds in [each["seconds_per_epoch"]]
    ]
    exponent = part["exponent"]
    return [
        f"## Rows ({part['network']})",
        "",
        *table(["rows", "an epoch", "µs a row"], rows),
        "",
        f"Time grows as rows to the power {exponent:.3f} (asked: 0.95 to 1.05: "
        f"{met(0.95 <= exponent <= 1.05)}). Shuffling is counted.",
    ]


def _memory(part: dict[str, Any]) -> list[str]:
    titles = {
        "pellucid-memory": "train, a tenth of the rows for validation",
        "pellucid-mlp-memory": "MLPClassifier, early_stopping=True",
    }
    rows = []
    for name, title in titles.items():
        each = part[name]
        if "skipped" in each:
            rows.append([title, without_paths(each["skipped"]), "", ""])
            continue
        share = each["added_mb"] / each["data_mb"]
        goal = f", asked below {percent(MEMORY_SHARE)}: {met(share < MEMORY_SHARE)}"
        rows.append(
            [
                title,
                f"{each['data_mb']:.0f} MB",
                f"{each['added_mb']:.0f} MB",
                percent(share) + (goal if name == "pellucid-memory" else ""),
            ]
        )
    return [
        f"## Memory ({part['network']}; {part['rows']:,} float32 rows, labels, one epoch)",
        "",
        *table(["", "data", "added at most", "of the data"], rows),
    ]


def _one_row(part: dict[str, Any]) -> list[str]:
    rows = []
    for key, each in part.items():
        name, dtype = key.split()
        shown = (
            without_paths(each["skipped"])
            if "skipped" in each
            else at_most(each["us_per_step"], ROW_US.get(name))
        )
        rows.append([ROW_TITLES[name], dtype, shown])
    return ["## One row (20-100-2)", "", *table(["", "dtype", "µs"], rows)]


SPREAD = "What counts (quickest … slowest round); each round is a process of its own."


def _threads(part: dict[str, Any]) -> list[str]:
    counts = list(next(iter(part.values())))
    given = {name: each[counts[-1]]["gflops_given"] for name, each in part.items()}
    most = max(given.values())
    rows = [
        [
            WORKLOADS[name].label,
            *(_us(each[n]) for n in counts),
            f"{number(100 * given[name] / most if most else None)} %",
            asked(
                each["1"]["us_per_step"] / each[counts[-1]]["us_per_step"],
                WORKLOADS[name].speedup if counts[-1] == "4" else None,
                "×",
            ),
        ]
        for name, each in part.items()
    ]
    header = ["µs a step", *(f"{n} thread{'s' * (n != '1')}" for n in counts), "given", "gain"]
    told = "*given*: what all CPUs got done together meanwhile, of the most seen here."
    return ["## Threads", "", f"{SPREAD} {told}", "", *table(header, rows)]


def _busy(part: dict[str, Any]) -> list[str]:
    rows = []
    for name, each in part.items():
        us = {key: one["us_per_step"] for key, one in each.items()}
        loaded = us["all cores busy@all"] / us["all cores busy@1"]
        rows.append(
            [
                WORKLOADS[name].label,
                *(_us(each[key]) for key in ("quiet@all", "quiet@1", "one core taken@all")),
                asked(us["quiet@all"] / us["one core taken@all"], QUIET_SHARE, "%"),
                *(_us(each[f"all cores busy@{n}"]) for n in ("all", "1")),
                at_most(loaded, UNDER_LOAD),
            ]
        )
    header = [
        "µs a step",
        "quiet",
        "1 thread",
        "one core taken",
        "of quiet speed",
        "all cores busy",
        "1 thread, all busy",
        "all / 1 thread, all busy",
    ]
    return ["## A busy machine", "", SPREAD, "", *table(header, rows)]


def _us(result: dict[str, Any]) -> str:
    """The median, and the quickest and the slowest round."""
    rounds = result["rounds_us"]
    return number(result["us_per_step"]) + (f" ({spread(rounds)})" if len(rounds) > 1 else "")


def _seconds(value: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if value * scale >= 1:
            return f"{number(value * scale)} {unit}"
    return f"{number(value * 1e6)} µs"
