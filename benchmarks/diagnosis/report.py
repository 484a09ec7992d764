"""RESULTS.md from results.json: rates by kind and pooled, with Wilson intervals.

python benchmarks/diagnosis/report.py
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from faults import FAULTS
from shapes_faults import FAULTS as SHAPES_FAULTS

HERE = Path(__file__).parent
PARTS = {"tuning": False, "test": True}


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    if n == 0:
        return 0.0, 1.0
    p, square = hits / n, z * z / n
    middle = (p + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(p * (1 - p) / n + square / n / 4)
    return max(0.0, middle - half), min(1.0, middle + half)


def share(those: Iterable[bool], interval: bool = True) -> str:
    """Hits of all, in per cent, with the interval."""
    hits = list(those)
    if not hits:
        return "–"
    low, high = wilson(sum(hits), len(hits))
    text = f"{sum(hits)} of {len(hits)}"
    if not interval:
        return text
    return f"{text}, {100 * sum(hits) / len(hits):.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def pooled(results: dict[str, Any], *, cured: bool = True) -> list[str]:
    """The table of the goals, for both parts."""
    lines = [
        "| | tuning part | test part | to reach |",
        "| --- | --- | --- | --- |",
    ]
    planted = {
        part: [p for p in results["planted"] if p["counts"] and p["test"] is test]
        for part, test in PARTS.items()
    }
    for name, key, goal in (("detected", "detected", "95 %"), ("named first", "first", "90 %")):
        cells = [share(p[key] for p in those) for those in planted.values()]
        lines.append(f"| planted faults {name} | {' | '.join(cells)} | ≥ {goal} |")
    cells = [
        share(bool(h["alarms"]) for h in results["healthy"] if h["test"] is test)
        for test in PARTS.values()
    ]
    lines.append(f"| healthy runs with a warning or error | {' | '.join(cells)} | ≤ 2 % |")
    if not cured:
        return lines
    cells = [share(p["cured"] for p in those if "cured" in p) for those in planted.values()]
    lines.append(f"| cured by the suggested settings | {' | '.join(cells)} | – |")
    return lines


def by_kind(results: dict[str, Any]) -> list[str]:
    """A line a kind: both parts, and how often it was a false alarm."""
    lines = [
        "| kind | accepted first findings | planted, counted | detected, tuning | first, tuning | "
        "detected, test | first, test | cured | alarms on healthy runs |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind, fault in FAULTS.items():
        all_of_it = [p for p in results["planted"] if p["kind"] == kind]
        real = [p for p in all_of_it if p["counts"]]
        cells = []
        for test in PARTS.values():
            those = [p for p in real if p["test"] is test]
            cells += [share((p[key] for p in those), False) for key in ("detected", "first")]
        alarms = sum(fault.accept[0] in h["alarms"] for h in results["healthy"])
        cured = share((p["cured"] for p in real if "cured" in p), False)
        accepted = ", ".join(name.replace("_", " ") for name in fault.accept)
        lines.append(
            f"| {kind.replace('_', ' ')} | {accepted} | {len(all_of_it)}, {len(real)} | "
            f"{' | '.join(cells)} | {cured} | {alarms} |"
        )
    return lines


def missed(results: dict[str, Any]) -> list[str]:
    """What was found instead, where the first finding was another."""
    counted: dict[tuple[str, str], int] = {}
    for p in results["planted"]:
        if p["counts"] and not p["first"]:
            instead = p["found"][0][2:].replace("_", " ") if p["found"] else "nothing"
            key = p["kind"].replace("_", " "), instead
            counted[key] = counted.get(key, 0) + 1
    lines = ["| planted | named first instead | times |", "| --- | --- | --- |"]
    ordered = sorted(counted.items(), key=lambda item: -item[1])
    return lines + [f"| {kind} | {other} | {count} |" for (kind, other), count in ordered]


def main() -> None:
    """Write RESULTS.md."""
    results = json.loads((HERE / "results.json").read_text())
    kinds = len({p["kind"] for p in results["planted"]})
    tables = len({h["table"] for h in results["healthy"]})
    text = [
        "# Diagnosis: how often it is right",
        "",
        f"{kinds} kinds of faults planted in {len(results['planted'])} settings, "
        f"{len(results['healthy'])} healthy trainings on {tables} tables. "
        "Made by `run.py` and `report.py`; see README.md for what counts and why.",
        "",
        *pooled(results),
        "",
        "In parentheses: 95 % intervals (Wilson). The test part is a third of the settings, by "
        "their numbers; no threshold was tuned on it.",
        "",
        "## By kind",
        "",
        *by_kind(results),
        "",
        "## What was named instead",
        "",
        *missed(results),
        "",
        *asked(),
        *plainly(),
        *false_alarms(),
        *shapes(),
        *less(),
        *cost(),
    ]
    (HERE / "RESULTS.md").write_text("\n".join(text))


def words(kinds: Iterable[str]) -> str:
    """Kinds of findings, each once, as words."""
    return ", ".join(dict.fromkeys(kind.replace("_", " ") for kind in kinds)) or "–"


def asked() -> list[str]:
    """The table that questions.py left, if it did."""
    path = HERE / "questions.json"
    if not path.exists():
        return []
    rows = json.loads(path.read_text())
    rounds = [each["lowered"] for row in rows for each in row["rounds"]]
    cures = [row["cured"] for row in rows if row["cured"] is not None]
    lines = [
        "## Learners' questions",
        "",
        f"{len(rows)} public questions, trained as they were asked. The accepted cause is named "
        f"first in {share(row['named'] for row in rows)}; cured by one round of advice, of those "
        f"that a setting can cure, {share(cures)}; the advice of a round lowered the score in "
        f"{share(rounds)}.",
        "",
        "| question | named first | right | score | after one round | cured from | cured | "
        "later rounds | rounds that lowered it |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    return [*lines, *(_question(row) for row in rows), ""]


def _question(row: dict[str, Any]) -> str:
    """A line of that table."""
    yes = {True: "yes", False: "no", None: "–"}
    first = "refused" if row["refused"] else words([row["first"]] if row["first"] else [])
    scores = ["refused" if each["refused"] else str(each["score"]) for each in row["rounds"]]
    cells = [
        row["id"], first, yes[row["named"]], row["before"], *(scores or ["–"])[:1], row["good"],
        yes[row["cured"]], ", ".join(scores[1:]) or "–",
        sum(each["lowered"] for each in row["rounds"]),
    ]  # fmt: skip
    return f"| {' | '.join('–' if cell is None else str(cell) for cell in cells)} |"


def plainly() -> list[str]:
    """The table that dropins.py left, if it did."""
    path = HERE / "dropins.json"
    if not path.exists():
        return []
    results = json.loads(path.read_text())
    real = [row for row in results["planted"] if row["counts"]]
    alarms = [row["alarms"] for row in results["healthy"]]
    lines = [
        "## Drop-ins, asked plainly",
        "",
        "`diagnose(clf)` and nothing else, after `fit`. Healthy fits with a warning or error: "
        f"{share(map(bool, alarms))}.",
        "",
        "| planted | counted | detected | named first | named first instead |",
        "| --- | --- | --- | --- | --- |",
    ]
    for kind in [*dict.fromkeys(row["kind"] for row in results["planted"]), "all"]:
        those = [row for row in real if kind in (row["kind"], "all")]
        hits = [share((row[key] for row in those), kind == "all") for key in ("detected", "first")]
        instead = "–" if kind == "all" else _instead(those)
        lines.append(f"| {words([kind])} | {len(those)} | {' | '.join(hits)} | {instead} |")
    return [*lines, ""]


def _instead(rows: list[dict[str, Any]]) -> str:
    """What came first where the fault did not."""
    others = Counter()
    for row in rows:
        if not row["first"]:
            said = [each for each in row["found"] if each[0] != "i" or "raised" in each]
            others[said[0][2:].replace("_", " ") if said else "nothing"] += 1
    return ", ".join(f"{kind} {count}" for kind, count in others.most_common()) or "–"


def false_alarms() -> list[str]:
    """The table that false_alarms.py left, if it did."""
    path = HERE / "false_alarms.json"
    if not path.exists():
        return []
    rows = json.loads(path.read_text())
    kept = [row for row in rows if row["kept"]]
    lines = [
        "## Healthy trainings of the kinds that cried wolf",
        "",
        f"{len(rows)} trainings, {len(kept)} of them healthy by what groups.py says for their "
        "group. A warning or error on a healthy one is a false alarm.",
        "",
        "| group | healthy | alarms, everything given | alarms, history and network | kinds |",
        "| --- | --- | --- | --- | --- |",
    ]
    for group in [*dict.fromkeys(row["group"] for row in rows), "all"]:
        those = [row for row in kept if group in (row["group"], "all")]
        alarms = [share((bool(row[how]) for row in those), group == "all")
                  for how in ("full", "alone")]  # fmt: skip
        kinds = words(kind for row in those for kind in row["full"] + row["alone"])
        lines.append(f"| {group} | {len(those)} | {' | '.join(alarms)} | {kinds} |")
    return [*lines, ""]


def shapes() -> list[str]:
    """The tables that shapes.py left, if it did."""
    path = HERE / "shapes.json"
    if not path.exists():
        return []
    results = json.loads(path.read_text())
    networks = {row["network"] for row in results["healthy"]}
    lines = [
        "## Convolutional and recurrent networks, asked plainly",
        "",
        f"{len(results['planted'])} planted faults and {len(results['healthy'])} healthy trainings "
        f"of {len(networks)} kinds of networks on {len({r['task'] for r in results['healthy']})} "
        "tasks; diagnosed is the history, with nothing else given.",
        "",
        *pooled(results, cured=False),
        "",
        "| planted | accepted first findings | planted, counted | detected, tuning | first, tuning "
        "| detected, test | first, test | under its own name | named first instead |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind, fault in SHAPES_FAULTS.items():
        all_of_it = [row for row in results["planted"] if row["kind"] == kind]
        real = [row for row in all_of_it if row["counts"]]
        cells = [f"{len(all_of_it)}, {len(real)}"]
        for test in PARTS.values():
            those = [row for row in real if row["test"] is test]
            cells += [share((row[key] for row in those), False) for key in ("detected", "first")]
        cells += [share((row["exact"] for row in real), False), _instead(real)]
        lines.append(f"| {words([kind])} | {words(fault.accept)} | {' | '.join(cells)} |")
    lines += [
        "",
        "| healthy networks | trainings | with an alarm | kinds |",
        "| --- | --- | --- | --- |",
    ]
    for network in [*sorted(networks), "all"]:
        those = [row for row in results["healthy"] if network in (row["network"], "all")]
        alarms = share((bool(row["alarms"]) for row in those), network == "all")
        kinds = words(kind for row in those for kind in row["alarms"])
        lines.append(f"| {network} | {len(those)} | {alarms} | {kinds} |")
    return [*lines, ""]


def less() -> list[str]:
    """The table that ablation.py left, if it did."""
    path = HERE / "ablation.json"
    if not path.exists():
        return []
    lines = [
        "## With less to look at",
        "",
        "Some of the same runs, both parts; the history's settings are known in all modes but the "
        "last, the task is never told.",
        "",
        "| given | planted faults detected | healthy runs with an alarm |",
        "| --- | --- | --- |",
    ]
    for row in json.loads(path.read_text()):
        cells = [
            share([k < hits for k in range(n)]) for hits, n in (row["detected"], row["alarms"])
        ]
        lines.append(f"| {row['mode']} | {' | '.join(cells)} |")
    return [*lines, ""]


def cost() -> list[str]:
    """The table that statistics_cost.py left, if it did."""
    path = HERE / "statistics_cost.json"
    if not path.exists():
        return []
    lines = [
        "## What the statistics cost",
        "",
        "The same training with and without them, in turns, one thread; what they add by the least "
        "times and by the medians of 15 (1 or 2 % are this machine's noise). What is "
        "kept is evaluated once, when the history is read or saved.",
        "",
        "| network | weights | examples, epochs | without | they add (least, median) | looks | "
        "evaluated later | in a pickle |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row['network']} | {row['weights']} | {row['m']}, {row['epochs']} | "
        f"{1000 * row['seconds']:.0f} ms | {100 * row['share']:.1f} %, "
        f"{100 * row['median']:.1f} % | {row['samples']} | {1000 * row['later']:.0f} ms | "
        f"{row['pickle'] / 1000:.1f} kB |"
        for row in json.loads(path.read_text())
    ]
    return [*lines, ""]


if __name__ == "__main__":
    main()
