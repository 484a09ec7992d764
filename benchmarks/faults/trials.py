"""Trials: an operation is interrupted, and what it leaves is looked at."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from injected import (
    COUNT,
    FAIL_MIDWAY,
    FAIL_ON,
    FAIL_ONCE,
    KILL_AFTER,
    KILL_BEFORE,
    KILL_MIDWAY,
    KILLED,
    forked,
    under_fault,
)
from operations import Operation

KILLS = ((KILL_BEFORE, 0), (KILL_AFTER, 0), (KILL_MIDWAY, 0))
ERRORS = tuple(
    (mode, error)
    for error in (errno.ENOSPC, errno.EIO)
    for mode in (FAIL_ONCE, FAIL_ON, FAIL_MIDWAY)
)


@dataclass
class Bench:
    """An operation in folders of its own: as it is before, at work, and elsewhere.

    ``found`` counts how trials ended; ``broken`` says what was wrong.
    """

    operation: Operation
    folder: Path
    found: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        warnings.simplefilter("ignore")  # that a lock failed is said in a warning
        self.work, self.elsewhere = self.folder / "work", self.folder / "elsewhere"
        self.template = self.folder / "template"
        self.template.mkdir(parents=True)
        os.chdir(self.template)
        _done(forked(lambda: _said(self.operation.before())))
        self._begin()
        status, said = under_fault(self.work, self._act, COUNT)
        _done((status, said))
        self.calls = int(said.split()[0])
        _done(forked(lambda: _said(self.operation.again())))
        self.expected = _names(self.work)

    def trials(self, faults: Sequence[tuple[int, int]], every: int = 1) -> None:
        """Try these faults, (mode, error), at each call, or each second, ... of the operation."""
        for call in range(1, self.calls + 1, every):
            for mode, error in faults:
                self._begin()
                ended = under_fault(self.work, self._act, mode, call, error)
                try:
                    self.found[self._judge(*ended, killed=not error)] += 1
                except AssertionError as wrong:
                    self.found["broken"] += 1
                    self.broken.append(f"mode {mode}, error {error}, call {call}: {wrong}")

    def _begin(self) -> None:
        for each in (self.work, self.elsewhere):
            shutil.rmtree(each, ignore_errors=True)
        shutil.copytree(self.template, self.work)
        self.elsewhere.mkdir()
        os.chdir(self.work)

    def _act(self) -> str:
        tempfile.tempdir = str(self.elsewhere)
        try:
            return f"done {_said(self.operation.act())}"
        except OSError as error:
            return f"refused {error}"

    def _judge(self, status: int, said: str, *, killed: bool) -> str:
        """How a trial ended; AssertionError where that must not be."""
        target = self.operation.target
        _, _, outcome = said.partition(" ")
        how, _, place = outcome.partition(" ")
        assert status in ((KILLED, 0) if killed else (0,)), said
        state = _done(forked(lambda: self.operation.state(target)))
        if how == "done" and place:
            assert _done(forked(lambda: self.operation.state(place))) == "new", place
            shutil.rmtree(place) if Path(place).is_dir() else Path(place).unlink()
        elif how == "done":
            assert state == "new", "it was done, and the old one is there"
        _done(forked(lambda: _said(self.operation.again())))
        assert _done(forked(lambda: self.operation.state(target))) == "new"
        assert _names(self.work) == self.expected, _names(self.work)
        if killed:
            return state
        return "elsewhere" if how == "done" and place else f"{how}, {state}"


def _said(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _done(ended: tuple[int, str]) -> str:
    status, said = ended
    assert status == 0, said
    return said


def _names(folder: Path) -> list[str]:
    """Every file in a folder, hashes left out."""
    files = (str(each.relative_to(folder)) for each in folder.rglob("*"))
    return sorted(re.sub("-[0-9a-f]{16}[.]", "-HASH.", name) for name in files)
