"""The tasks of convolutional and recurrent networks: their data, folds and tables."""

import gzip
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    known = set(sys.modules)
    monkeypatch.syspath_prepend(BENCHMARKS)
    import networks_accuracy

    yield networks_accuracy
    for name in set(sys.modules) - known:  # "machine" and "mnist" are names that others may want
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_series_are_padded_and_standardised_as_in_training(
    networks: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "series").mkdir()
    for part, lines in {"TRAIN": "1,3:0,2:b\n5:4:a\n", "TEST": "3,3,3:2,2,2:a\n"}.items():
        with gzip.open(tmp_path / f"series/Two_{part}.ts.gz", "wt") as file:
            file.write(f"# made here\n@data\n{lines}")
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path))
    learned, measured = networks.networks_data.series("Two")

    assert learned.shape == measured.shape == (3, 2)
    assert learned.y.tolist() == [1, 0]
    assert measured.y.tolist() == [0]
    assert learned.lengths.tolist() == [2, 1]
    assert measured.lengths is None
    s = np.sqrt(8 / 3)  # of 1, 3, 5, and of 0, 2, 4
    np.testing.assert_allclose(learned.X.T * s, [[-2, -2, 0, 0, 0, 0], [2, 2, 0, 0, 0, 0]], 1e-6)
    np.testing.assert_array_equal(measured.X, np.zeros((6, 1)))


def test_each_fold_has_its_share_of_every_class(networks: ModuleType) -> None:
    y = np.repeat([0, 1], [20, 11])
    fold = networks._folds(y, np.random.default_rng(0))
    for k, least in ((0, 4), (1, 2)):
        counts = np.bincount(fold[y == k], minlength=networks.FOLDS)
        assert counts.min() == least
        assert counts.max() - least <= 1
    assert (fold != networks._folds(y, np.random.default_rng(1))).any()


def test_a_bar_is_judged_by_the_mean_and_says_which_seeds_lack(networks: ModuleType) -> None:
    def row(*accuracies: float) -> list[str]:
        runs = {str(k): {"accuracy": a, "cpu_seconds": 1} for k, a in enumerate(accuracies)}
        return networks._row("mnist", runs)[1:5]

    assert row(98.9, 99.1, 99.0) == ["98.90, 99.10, 99.00", "99.00", "99.0", "met"]
    assert row(98.9, 99.1, 98.9)[-1] == "**not met**"
    assert row(99.2) == ["99.20 (not run: seed 1, 2)", "99.20", "99.0", "met, 1 of 3 seeds run"]
    assert row()[-1] == "not measured"


def test_pytorch_is_met_within_two_standard_errors(networks: ModuleType) -> None:
    def row(*differences: float) -> list[str]:
        runs = {str(k): {"ours": 40 + d, "torch": 40} for k, d in enumerate(differences)}
        return networks._match_row("photos", runs)

    assert row(1, -1, 1, -1, 1)[3:] == [
        "+0.20 % ± 0.49",
        "within two standard errors",
        "met",
    ]
    assert row(-1, -1, -2, -1, -1)[-1] == "**not met**"
    runs = {"0": {"ours": 1.75, "torch": 1.765}, "1": {"ours": 1.79, "torch": 1.765}}
    assert networks._match_row("text", runs)[-1] == "**not met**, 2 of 3 seeds run"
