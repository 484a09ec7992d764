"""The short form of benchmarks/faults/fuzz.py, and that it finds what is there to be found."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pellucid.errors import DataError

FAULTS = Path(__file__).parent.parent / "benchmarks" / "faults"
CASES = {"tables": 40, "frames": 60, "images": 40, "expressions": 150}


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


def test_a_case_is_made_of_its_target_and_seed_alone(fuzz: Any, tmp_path: Path) -> None:
    import fuzz_tables

    context = fuzz_tables.prepare_tables(tmp_path)
    made = [fuzz_tables.table_file(context, Random(f"tables:{k}")) for k in (1, 2, 1)]
    assert made[0] == made[2] != made[1]
