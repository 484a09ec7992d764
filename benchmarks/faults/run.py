"""Kills at every system call, disk errors, two writers with 20 readers: nothing lost, nothing torn.

    make faults
    python benchmarks/faults/run.py [--tries 2000] [--only PART] [--folder FOLDER]

Writes results.json and its sections of RESULTS.md; README.md says what is tried.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import injected
import sections

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
OUTCOMES = {
    "kills": ("old", "new"),
    "errors": ("done, new", "refused, old", "refused, new", "elsewhere"),
}


def interrupted(
    folder: Path,
    faults: Sequence[tuple[int, int]],
    tries: int,
    names: Sequence[str],
    every: int = 1,
) -> dict[str, Any]:
    """Try operations with these faults at every call; the quick ones again until it is enough."""
    from operations import OPERATIONS, PLAIN
    from trials import Bench

    chosen = {name: {**OPERATIONS, "plain": PLAIN}[name] for name in names or OPERATIONS}
    benches = {name: Bench(each, folder / str(k)) for k, (name, each) in enumerate(chosen.items())}
    for name, bench in benches.items():
        bench.trials(faults, every)
        print(f"{name}: {dict(bench.found)}", file=sys.stderr, flush=True)
    for bench in itertools.cycle([each for name, each in benches.items() if "train" not in name]):
        if sum(each.found.total() for each in benches.values()) >= tries:
            break
        bench.trials(faults, every)
    return {
        name: {"calls": each.calls, "found": dict(each.found), "wrong": each.broken[:5]}
        for name, each in benches.items()
    }


def kills(folder: Path, tries: int, names: Sequence[str] = (), every: int = 1) -> dict[str, Any]:
    """SIGKILL before, after and in the middle of each call."""
    from trials import KILLS

    return interrupted(folder, KILLS, tries, names, every)


def errors(folder: Path, tries: int, names: Sequence[str] = (), every: int = 1) -> dict[str, Any]:
    """ENOSPC and EIO: once, from a call on, and after half a write."""
    from trials import ERRORS

    return interrupted(folder, ERRORS, tries, names, every)


def writers(folder: Path, tries: int, readers: int = 20) -> dict[str, Any]:
    """Two writers with readers beside them, waiting or refused; and two first savers."""
    from writers import first_savers, writers_and_readers

    return {
        "two writers that wait": writers_and_readers(folder / "w", tries // 2, readers=readers),
        "two writers that do not": writers_and_readers(
            folder / "n", tries // 2, readers=readers, wait=0.0
        ),
        "two first savers": first_savers(folder / "f", tries),
    }


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "kills": kills,
    "errors": errors,
    "writers": writers,
}


def broken(part: str, results: dict[str, Any]) -> int:
    """Count what was wrong in a part."""
    if part == "writers":
        return sum(each["broken"] for each in results.values())
    return sum(each["found"].get("broken", 0) for each in results.values())


def lines(part: str, results: dict[str, Any], about: dict[str, Any]) -> list[str]:
    """Return a part's section of RESULTS.md."""
    where = f"{about['machine']}, {about['cpus']} CPUs, {about['system']}, Python {about['python']}"
    made = [f"{where}; {about['date']}, commit {about['commit']}.", ""]
    if part == "writers":
        names = ("saves", "busy", "reads", "saved", "exists", "broken")
        rows = [[name, *(each.get(k, 0) for k in names)] for name, each in results.items()]
        titles = ["", "saves", "refused as busy", "reads", "first saves", "refused as there"]
        made += sections.table([*titles, "broken"], rows)
    else:
        outcomes = (*OUTCOMES[part], "broken")
        rows = [
            [name, each["calls"], sum(each["found"].values())]
            + [each["found"].get(k, 0) for k in outcomes]
            for name, each in results.items()
        ]
        sums = [sum(row[k] for row in rows) for k in range(2, len(rows[0]))]
        rows.append(["**together**", "", *sums])
        made += sections.table(["", "calls", "tries", *outcomes], rows)
    wrong = [fault for each in results.values() for fault in each["wrong"]]
    return made + (
        [""] + [f"- {fault.strip().splitlines()[-1]}" for fault in wrong] if wrong else []
    )


TITLES = {
    "kills": "Kills",
    "errors": "Disk errors",
    "writers": "Several writers and readers",
}


def main() -> None:
    """Measure, and write the tables; the exit status is 1 where something was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=2000, help="of each part, at least")
    parser.add_argument("--only", choices=PARTS, help="one part")
    parser.add_argument("--folder", type=Path, help="where to work; default a temporary folder")
    parser.add_argument(
        "--quick", action="store_true", help="a few seconds; prints, writes nothing"
    )
    arguments = parser.parse_args()
    why = injected.missing()
    if why:
        raise SystemExit(f"faults: {why}.")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        if not injected.is_preloaded():
            raise SystemExit(injected.preloaded(Path(folder)))
        os.environ["TMPDIR"] = folder
        if arguments.quick:
            quickly(Path(folder))
            return
        found = measured(Path(folder), arguments.tries, [arguments.only] if arguments.only else [])
    raise SystemExit(any(broken(part, results) for part, results in found.items()))


def quickly(folder: Path) -> None:
    """Every sixth call of two operations, and a few writers and readers; print what was found."""
    names = ("save(overwrite=True)", "export")
    found = {
        "kills": kills(folder / "kills", 0, names, every=6),
        "errors": errors(folder / "errors", 0, names, every=12),
        "writers": writers(folder / "writers", 20, readers=4),
        "plain": kills(folder / "plain", 0, ("plain",)),
    }
    print(json.dumps(found))


def measured(folder: Path, tries: int, parts: Sequence[str]) -> dict[str, Any]:
    """Run the parts, and write results.json and RESULTS.md."""
    from machine import describe
    from operations import predicted, trained

    os.chdir(folder)
    injected.warm(lambda: trained(0) or predicted())
    file = HERE / "results.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    found = {}
    for part in parts or PARTS:
        found[part] = PARTS[part](folder / part, tries)
        about = {k: v for k, v in describe().items() if k != "versions"}
        known[part] = {"about": about, "results": found[part]}
        file.write_text(json.dumps(known, indent=1) + "\n")
        sections.put_section(TITLES[part], lines(part, found[part], about))
    return found


if __name__ == "__main__":
    main()
