"""What bounds the fused engine on this machine, for the benchmark.

All need the compiled engine; an ImportError says where it is not built.
"""

from __future__ import annotations

import math

import numpy as np

from pellucid.engines import simd
from pellucid.engines.fused.module import optimizer_spec
from pellucid.optimizers import Optimizer
from pellucid.optimizers import optimizer as find_optimizer

__all__ = ["fma_gflops", "optimizer_seconds", "team_gflops"]


def fma_gflops(dtype: str = "float32", n_threads: int = 1, seconds: float = 0.05) -> float:
    """Return the 10^9 operations a second of multiply-adds in registers, all threads together.

    No product can be faster. The most of several rounds within so many seconds is returned:
    disturbances only ever take away.

    >>> not simd.levels() or fma_gflops("float64", n_threads=1, seconds=0.001) > 0.1
    True
    """
    _check(n_threads=n_threads, seconds=seconds)
    gflops: float = simd.load_level().fma_gflops(_is_single(dtype), n_threads, seconds)
    return gflops


def team_gflops(n_threads: int = 1, seconds: float = 0.003) -> float:
    """Return the 10^9 operations a second of threads that work together.

    Several stay on a CPU each. They multiply and add numbers of their second caches and some that
    another thread has just written, and wait for each other in between. The average over so many
    seconds is returned: it falls where another guest of a virtual machine uses a core's circuits
    or caches, or where the cores are far from each other.

    >>> not simd.levels() or team_gflops(1, seconds=0.001) > 0.1
    True
    """
    _check(n_threads=n_threads, seconds=seconds)
    gflops: float = simd.load_level().team_gflops(n_threads, seconds)
    return gflops


def optimizer_seconds(
    optimizer: str | Optimizer,
    n_parameters: int,
    dtype: str = "float32",
    n_threads: int = 1,
    seconds: float = 0.02,
) -> float:
    """Return the seconds of one step of an optimizer alone, on so many parameters.

    The least of several rounds within ``seconds``. Gradients come from the first cache and the
    parameters from where they stay between two such steps.

    >>> not simd.levels() or 0 < optimizer_seconds("adam", 1000, seconds=0.001) < 0.001
    True
    """
    _check(n_threads=n_threads, n_parameters=n_parameters, seconds=seconds)
    spec = optimizer_spec(find_optimizer(optimizer))
    least: float = simd.load_level().optimizer_seconds(
        spec, n_parameters, _is_single(dtype), n_threads, seconds
    )
    return least


def _check(**given: float) -> None:
    for name, value in given.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be a positive number; got {value!r}.")


def _is_single(dtype: str) -> bool:
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64'; got {dtype!r}.")
    return bool(np.dtype(dtype) == np.float32)
