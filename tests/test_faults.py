"""Kills and disk errors at system calls, two writers with readers: the benchmark's short form."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FAULTS = Path(__file__).parent.parent / "benchmarks" / "faults"
sys.path.insert(0, str(FAULTS))
injected = pytest.importorskip("injected", reason="the benchmarks are not here")
sys.path.remove(str(FAULTS))


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    if injected.missing():
        pytest.skip(injected.missing())
    done = subprocess.run(
        [sys.executable, FAULTS / "run.py", "--quick"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("part", ["kills", "errors"])
def test_a_fault_at_any_call_leaves_the_old_or_the_new(found: dict[str, Any], part: str) -> None:
    for name, each in found[part].items():
        assert each["calls"] > 15, name
        assert sum(each["found"].values()) >= 12, name
        assert each["wrong"] == [], name
    assert set(found["kills"]["save(overwrite=True)"]["found"]) == {"old", "new"}


def test_what_is_written_where_it_stands_is_found_broken(found: dict[str, Any]) -> None:
    assert found["plain"]["plain"]["found"]["broken"] > 0


def test_two_writers_and_their_readers(found: dict[str, Any]) -> None:
    waiting, refused, first = found["writers"].values()
    assert (waiting["saves"], waiting.get("busy", 0)) == (20, 0)
    assert refused["saves"] + refused["busy"] == 20
    assert min(waiting["reads"], refused["reads"]) >= 4
    assert first["saved"] == 20
    assert [each["wrong"] for each in (waiting, refused, first)] == [[], [], []]
