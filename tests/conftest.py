"""What several test files share."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import settings

from pellucid.losses import Loss

# The same examples in every run, and no clock.
settings.register_profile("pellucid", derandomize=True, deadline=None)
settings.load_profile("pellucid")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


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
