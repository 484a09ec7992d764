"""report.html in a model folder: it comes after its model and never stands beside another's."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pellucid import Dense, Network, load
from pellucid.persistence import check_destination, save


def network(seed: int) -> Network:
    return Network([Dense(2, "tanh"), Dense(1, "sigmoid")], n_inputs=3, seed=seed)


def seed_of(path: Path) -> int:
    """Which of the two networks the folder holds."""
    found = load(path).W[1]
    return next(seed for seed in (0, 1) if np.array_equal(found, network(seed).W[1]))


def test_the_report_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "m"
    save(network(0), path, report=b"<p>0</p>")
    assert (path / "report.html").read_bytes() == b"<p>0</p>"
    check_destination(path, overwrite=True)
    save(network(1), path, report=b"<p>1</p>", overwrite=True)
    assert (path / "report.html").read_bytes() == b"<p>1</p>"
    save(network(0), path, overwrite=True)
    assert not (path / "report.html").exists(), "another model's report"


def test_a_report_alone_is_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("the year's figures")
    with pytest.raises(FileExistsError, match=r"is a folder, but not a Pellucid model"):
        save(network(0), tmp_path, report=b"mine", overwrite=True)
    assert (tmp_path / "report.html").read_text() == "the year's figures"


@pytest.mark.parametrize("room", range(3))
def test_a_disk_that_fills_leaves_the_old_folder_as_it_was(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is room for so many of the files: weights, model.json, report.html."""
    path = tmp_path / "m"
    save(network(0), path, report=b"0")
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    fsync, left = os.fsync, room

    def full(descriptor: int) -> None:
        nonlocal left
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            left -= 1
            if left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    name = (r"weights-\w+\.safetensors", r"model\.json", r"report\.html")[room]
    with pytest.raises(OSError, match=rf"No space left on device: '.*{name}'"):
        save(network(1), path, report=b"1", overwrite=True)
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before


def test_a_crash_at_any_call_leaves_no_report_of_another_model(
    tmp_path: Path, crash_at: Any
) -> None:
    seen = set()
    for call in range(1000):
        path = tmp_path / str(call)
        report = path / "report.html"
        save(network(0), path, report=b"0")
        with crash_at(call) as calls:
            save(network(1), path, report=b"1", overwrite=True)
        seed = seed_of(path)
        text = report.read_bytes() if report.exists() else None
        seen.add((seed, text))
        assert text in (None, str(seed).encode())
        save(network(1), path, report=b"1", overwrite=True)
        assert len(os.listdir(path)) == 3, "what the crash left is tidied"
        if calls() <= call:
            break
    assert {(0, b"0"), (0, None), (1, None), (1, b"1")} == seen
