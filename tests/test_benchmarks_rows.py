"""The benchmark of sparse rows, whole batches and one row: its clock and its page."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "rows.py"


@pytest.fixture
def rows(monkeypatch):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # the script sets them for its process: put back afterwards
    spec = importlib.util.spec_from_file_location("benchmark_of_rows", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_call_is_made_once_before_the_clock_and_once_a_round(rows):
    calls = []
    found = rows.least({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3)
    assert calls == ["a", "b"] * 4
    assert list(found) == ["a", "b"]
    assert all(0 <= ms < 1000 for ms in found.values())


def test_the_page_shows_the_peer_before_and_now(rows):
    now = {part: {"one": {"peer": 2.0, "pellucid": 0.5}} for part in ("sparse", "whole", "row")}
    before = {part: {"one": {"peer": 3.0, "pellucid": 8.0}} for part in now}
    assert rows.page(now, before).count("| one | 2 | 8 | 0.5 | 0.25 |") == 3
    assert rows.page(now, {}).count("| one | 2 | 0.5 | 0.25 |") == 3
