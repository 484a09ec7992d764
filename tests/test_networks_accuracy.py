"""The benchmark of networks on pictures, series and text: its readers, folds, results and table."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script, with results and a page of its own."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    for name in ("networks_accuracy", "networks_data"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import networks_accuracy

    monkeypatch.setattr(networks_accuracy, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(networks_accuracy, "PAGE", tmp_path / "page.md")
    return networks_accuracy


def write_series(folder: Path, part: str, cases: list[tuple[list[list[float]], str]]) -> None:
    rows = [
        ":".join([*(",".join(map(str, channel)) for channel in case), label])
        for case, label in cases
    ]
    text = "\n".join(["# a comment", "@problemName Small", "@data", *rows, ""])
    (folder / "series").mkdir(exist_ok=True)
    (folder / f"series/Small_{part}.ts.gz").write_bytes(gzip.compress(text.encode()))


def test_series_are_padded_and_standardised_by_the_training_part(
    bench: Any, tmp_path: Path
) -> None:
    write_series(tmp_path, "TRAIN", [([[1, 2], [0, 4]], "b"), ([[3, 4, 6], [2, 2, 2]], "a")])
    write_series(tmp_path, "TEST", [([[1, 2, 3, 6], [2, 2, 2, 2]], "b")])
    data = bench.networks_data.series(tmp_path, "Small")
    assert data.X.shape == (2, 4, 2)
    assert (data.y.tolist(), data.y_test.tolist()) == ([1, 0], [1])
    assert (data.lengths.tolist(), data.lengths_test.tolist()) == ([2, 3], [4])
    there = np.concatenate([data.X[0, :2], data.X[1, :3]])
    np.testing.assert_allclose(there.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(there.std(axis=0), 1, rtol=1e-6)
    assert not data.X[0, 2:].any()
    np.testing.assert_allclose(data.X_test[0, 0], data.X[0, 0] * [1, 0], atol=1e-6)


def test_each_row_of_the_training_part_is_held_out_once(bench: Any) -> None:
    rng = np.random.default_rng(0)
    X, y, lengths = rng.normal(size=(23, 4, 1)), np.arange(23) % 3, rng.integers(1, 5, 23)
    data = bench.Data(X, y, np.full((2, 4, 1), np.nan), np.zeros(2, int), lengths)
    parts = bench.folds(data, 5, 0)
    held_out = np.concatenate([part.X_test for part in parts])
    assert sorted(held_out[:, 0, 0]) == sorted(X[:, 0, 0])
    for part in parts:
        assert len(part.y) + len(part.y_test) == len(part.lengths) + len(part.lengths_test) == 23
        assert set(part.y_test) == {0, 1, 2}
        rows = [np.flatnonzero(X[:, 0, 0] == x)[0] for x in part.X_test[:, 0, 0]]
        assert y[rows].tolist() == part.y_test.tolist()
        assert lengths[rows].tolist() == part.lengths_test.tolist()


def test_a_task_is_trained_from_its_list_of_layers(bench: Any) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 6, 1)).astype(np.float32)
    y = (X[:, :3, 0].sum(axis=1) > 0).astype(int)
    task = bench.Task(
        "", None, (("conv", 8, 3, "same", 2), ("dense", 8), ("classes", 2)), "90 %", 60, 16, 0.01
    )
    data = bench.Data(X, y, X, y)
    assert bench.with_pellucid(task, data, 0) > 90
    assert bench.with_pellucid(task, data, 0) == bench.with_pellucid(task, data, 0)
    at_each = bench.Task(
        "", None, (("conv", 8, 3, "same"), ("classes", 2, True)), "torch + 0.02 nats", 60, 16, 0.01
    )
    signs = (X[..., 0] > 0).astype(int)
    assert 0 < bench.with_pellucid(at_each, bench.Data(X, signs, X, signs), 0) < np.log(2) / 2


def test_results_are_kept_by_seed_and_become_a_table(bench: Any) -> None:
    for seed, value in enumerate((99.0, 98.0)):
        bench.keep("photos", "pellucid", seed, {"value": value, "seconds": 2.0})
    bench.keep("photos", "torch", 0, {"value": 97.5, "seconds": 1.0})
    bench.keep("photos", "torch", 1, {"value": 97.5, "seconds": 1.0})
    bench.PAGE.write_text(f"before\n{bench.BEGIN}\nold\n{bench.END}\nafter\n")
    bench.write()
    row = (
        "| 2,000 photos of CIFAR-10 | torch ± 2 se | 99.00, 98.00 | 98.50 | 97.50 | +1.00 ± 0.50 "
        "| 2 |"
    )
    page = bench.PAGE.read_text()
    assert row in page
    assert "old" not in page
    assert page.count("|\n| ") == 2  # no line for what is not measured
    bench.PAGE.write_text("nothing")
    with pytest.raises(SystemExit, match="has no line '<!-- networks_accuracy"):
        bench.write()
