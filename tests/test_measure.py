"""The machine's limits: numbers of the right kind, not how large they are."""

import itertools
import math
import os

import pytest

from pellucid.engines import simd
from pellucid.engines.measure import fma_gflops, optimizer_seconds, team_gflops
from pellucid.optimizers import OPTIMIZERS, Adam

if not simd.levels():
    pytest.skip("built without the fused engine (PELLUCID_PURE)", allow_module_level=True)


def test_the_multiply_adds():
    for dtype, threads in itertools.product(("float32", "float64"), (1, 2)):
        assert 0 < fma_gflops(dtype, threads, 0.001) < 1e6


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinity")
def test_threads_together_leave_the_caller_free_to_move():
    allowed = os.sched_getaffinity(0)
    for threads in (1, 2, len(allowed) + 1):
        assert 0 < team_gflops(threads, 0.001) < 1e6
        assert os.sched_getaffinity(0) == allowed


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_pass_of_every_optimizer(name):
    for dtype, threads, count in itertools.product(("float32", "float64"), (1, 3), (1, 300, 5000)):
        assert 0 < optimizer_seconds(name, count, dtype, threads, seconds=0.001) < math.inf
    assert optimizer_seconds(Adam(beta1=0.8), 10, seconds=0.001) > 0


def test_what_cannot_be_measured():
    with pytest.raises(ValueError, match="n_threads must be a positive number; got 0"):
        fma_gflops("float32", 0)
    with pytest.raises(ValueError, match="seconds must be a positive number; got 0"):
        team_gflops(1, 0)
    with pytest.raises(ValueError, match="n_parameters must be a positive number; got -1"):
        optimizer_seconds("adam", -1)
    with pytest.raises(ValueError, match="dtype must be 'float32' or 'float64'; got 'int8'"):
        fma_gflops("int8")
    with pytest.raises(ValueError, match="unknown optimizer"):
        optimizer_seconds("adamm", 10)
