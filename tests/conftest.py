"""What several test files share."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from typer.testing import CliRunner, Result

from pellucid.losses import Loss

# The same examples in every run, and no clock.
settings.register_profile("pellucid", derandomize=True, deadline=None)
settings.load_profile("pellucid")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def made(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """90 examples of four inputs, and their classes, 0, 1 or 2."""
    X = rng.normal(size=(4, 90))
    return X, (X[0] * X[1] > 0).astype(int) + (X[2] > 0.5)


@pytest.fixture(params=["polars", "plain"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The two ways to read text: with polars, and where it is not installed."""
    if request.param == "plain":
        monkeypatch.setitem(sys.modules, "polars", None)
    return str(request.param)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Python's own handler of Ctrl-C, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def draw_targets() -> Callable[..., np.ndarray]:
    """A function (loss, n, m, rng) -> Y, (n, m), that the loss may take."""

    def draw(loss: Loss, n: int, m: int, rng: np.random.Generator) -> np.ndarray:
        if loss.targets == "unit":
            return rng.integers(0, 2, (n, m)).astype(float)
        if loss.targets == "distribution":
            return np.eye(n)[rng.integers(0, n, m)].T.copy()
        if loss.targets == "non-negative":
            return rng.poisson(2.0, (n, m)).astype(float)
        assert loss.targets == "real", "a new kind of target: say here how to draw it"
        return rng.normal(size=(n, m))

    return draw


# The command line ---------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PELLUCID_DEBUG", raising=False)


@pytest.fixture
def run(here: None) -> Callable[..., Result]:
    """A function that runs a command in this process and checks its exit status."""
    from pellucid.cli import app

    def run(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, list(arguments))
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def refused(run: Callable[..., Result]) -> Callable[..., str]:
    """A function that runs a command which must print one message alone and write nothing."""

    def contents() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}

    def refused(*arguments: str, code: int = 2) -> str:
        before = contents()
        result = run(*arguments, code=code)
        assert result.stdout == ""
        assert "Traceback" not in result.stderr
        assert contents() == before
        assert result.stderr.startswith("pellucid: ")
        assert result.stderr.count("\n") == 1
        return result.stderr

    return refused


class Crash(BaseException):
    """The machine stops here."""


@pytest.fixture(scope="session")
def crash_at() -> Callable[[int], contextlib.AbstractContextManager[Callable[[], int]]]:
    """A context in which, from a call on, every operation that touches the disk crashes.

    Calls are counted from 0. All later ones crash too, clean-up included: after a power cut nothing
    is tidied. The context ends with the crash; it gives a function that returns how many calls
    there were.
    """

    @contextlib.contextmanager
    def crash_at(call: int) -> Iterator[Callable[[], int]]:
        count = 0

        def crashing(function: Callable[..., Any]) -> Callable[..., Any]:
            def call_or_crash(*args: Any, **kwargs: Any) -> Any:
                nonlocal count
                count += 1
                if count > call:
                    raise Crash
                return function(*args, **kwargs)

            return call_or_crash

        with pytest.MonkeyPatch.context() as patch:
            for name in ("open", "write", "replace", "fsync", "unlink", "rmdir", "mkdir"):
                patch.setattr(os, name, crashing(getattr(os, name)))
            with contextlib.suppress(Crash):
                yield lambda: count

    return crash_at
