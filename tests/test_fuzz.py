"""The short form of benchmarks/faults/fuzz.py, and that it finds what is there to be found."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pellucid.errors import DataError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them")

FAULTS = Path(__file__).parent.parent / "benchmarks" / "faults"
CASES = {
    "tables": 40,
    "frames": 60,
    "images": 40,
    "models": 30,
    "checkpoints": 30,
    "expressions": 150,
}


@pytest.fixture
def fuzz(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """The benchmark's module; what it imports is forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(FAULTS)
    monkeypatch.chdir(tmp_path)
    import fuzz

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield fuzz
    for name in ("fuzz", "fuzz_frames", "fuzz_lab", "fuzz_stored", "fuzz_tables", "mutate"):
        if name not in before:
            sys.modules.pop(name, None)


@pytest.mark.parametrize("name", CASES)
def test_odd_inputs_are_taken_or_refused(fuzz: Any, name: str, tmp_path: Path) -> None:
    target = fuzz.TARGETS[name]
    context = target.prepare(tmp_path)
    told = [fuzz.outcome(target, context, seed) for seed in range(CASES[name])]
    assert [each for each in told if each["found"]] == []
    assert {each["told"] for each in told} == {"taken", "refused"}


def test_odd_requests_of_the_lab_are_taken_or_refused(fuzz: Any, tmp_path: Path) -> None:
    for package in ("starlette", "uvicorn", "websockets"):
        pytest.importorskip(package)
    target, handlers = fuzz.TARGETS["lab"], logging.getLogger().handlers[:]
    context = target.prepare(tmp_path)
    try:
        told = [fuzz.outcome(target, context, seed) for seed in range(40)]
    finally:
        context["lab"].__exit__()
        logging.getLogger().handlers[:] = handlers
    assert [each for each in told if each["found"]] == []
    assert {each["told"] for each in told} == {"taken", "refused"}


def odd(context: Any, rng: Random) -> None:
    raise context


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (DataError("x" * 10_000), ""),
        (KeyError("x"), "KeyError: 'x' (test_fuzz.py:"),
        (ValueError("y" * 2_001), "a message of 2,001 characters: 'yyy"),
        (ValueError("y\x1b"), r"a message with '\x1b': 'y\x1b'"),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
def test_what_is_found(fuzz: Any, error: BaseException, found: str) -> None:
    target = fuzz.Target("odd", 1.0, lambda folder: None, odd, "DataError, ValueError")
    told = fuzz.outcome(target, error, 1)["found"]
    assert told.startswith(found)
    assert bool(told) == bool(found)


def test_time_and_memory_are_found(fuzz: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    target = fuzz.Target("odd", 1.0, lambda folder: None, lambda context, rng: None, "DataError")
    monkeypatch.setattr(time, "process_time", iter([0.0, 11.0]).__next__)
    monkeypatch.setattr(time, "monotonic", iter([0.0, 12.0]).__next__)
    assert fuzz.outcome(target, None, 1)["found"] == "took 11.0 seconds"
    monkeypatch.undo()
    monkeypatch.setattr(fuzz, "_peak", lambda: 2_100_000_000)
    assert fuzz.outcome(target, None, 1)["found"] == "took 2.1 GB"


WORKER = """
import json, os, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import fuzz

def case(context, rng):
    match seeds.pop(0):
        case 2:
            os.abort()
        case 4:
            time.sleep(60)
        case 5:
            while True:
                pass
        case 7:
            bytearray(3 * 10**9)
        case 8:
            os._exit(0)
        case 9:
            os.write(2, b"thread 'main' panicked at nothing")
            os._exit(7)

fuzz.STUCK, fuzz.SECONDS = 4.0, 0.2
seeds = list(range(int(sys.argv[3]), int(sys.argv[3]) + int(sys.argv[4])))
target = fuzz.Target("odd", 1.0, lambda folder: None, case, "DataError")
put = lambda told: print(json.dumps(told), flush=True)
fuzz.work(target, Path(sys.argv[2]), range(seeds[0], seeds[-1] + 1), put, False)
"""


def test_a_process_that_ends_is_a_finding_and_another_goes_on(
    fuzz: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worker(target: Any, folder: Path, seeds: range) -> list[str]:
        folders.append(folder)
        more = [FAULTS, folder, seeds.start, len(seeds)]
        return [sys.executable, "-c", WORKER, *map(str, more)]

    folders: list[Path] = []
    monkeypatch.setattr(fuzz, "worker", worker)
    processes, tally = fuzz.Processes(), fuzz.Tally("odd")
    processes.run(fuzz.TARGETS["tables"], range(12), tally)
    assert tally.counts == {"taken": 6, "found": 6}
    found = dict(tally.findings)
    assert found[2].startswith("the process gave up (-6)")
    assert found[4].startswith("the process was stuck for 60 seconds (-14)")
    assert found[5].startswith("the process computed for more than 20 seconds (-27)")
    assert found[7].startswith("MemoryError: ")
    assert found[8] == "the process ended (0): "
    assert found[9] == "the process ended (7): thread 'main' panicked at nothing"
    assert not processes._running
    assert not any(map(Path.exists, folders))


def test_a_target_that_cannot_be_prepared_is_given_up(
    fuzz: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuzz, "worker", lambda *given: [sys.executable, "-c", "1 / 0"])
    tally = fuzz.Tally("odd")
    fuzz.Processes().run(fuzz.TARGETS["tables"], range(12), tally)
    assert tally.findings == [(0, "the process ended (1): ZeroDivisionError: division by zero")]


def test_one_command_runs_one_case_again() -> None:
    command = [sys.executable, FAULTS / "fuzz.py", "--target", "expressions", "--seed", "3"]
    told = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(2)]
    assert [each.stdout.splitlines()[0] for each in told] == ['{"start": 3}'] * 2
    made = [json.loads(each.stdout.splitlines()[1]) for each in told]
    assert made[0]["told"] == made[1]["told"] in ("taken", "refused")


def test_a_case_is_made_of_its_target_and_seed_alone(fuzz: Any, tmp_path: Path) -> None:
    import fuzz_tables

    context = fuzz_tables.prepare_tables(tmp_path)
    made = [fuzz_tables.table_file(context, Random(f"tables:{k}")) for k in (1, 2, 1)]
    assert made[0] == made[2] != made[1]
