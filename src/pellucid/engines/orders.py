"""The order of the examples, drawn in C++ where that is built."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import philox
from pellucid.engines import simd


def permutation(
    seed: int,
    count: int,
    *,
    step: int = 0,
    stream: int = philox.ORDER,
    out: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Return 0..count-1 shuffled, as :func:`pellucid.philox.permutation` defines it.

    It is put into ``out``, (count,) and contiguous, where that is given.

    >>> permutation(0, 5)
    array([4, 3, 2, 0, 1])
    """
    native = _native()
    out = np.empty(count, dtype=np.int64) if out is None else out
    if native is None or count >= 2**32:
        out[:] = philox.permutation(seed, count, step=step, stream=stream)
    else:
        native(out, step & 0xFFFFFFFF, stream, seed)
    return out


@functools.cache
def _native() -> Any:
    try:
        return simd.load_level().permutation
    except ImportError:
        return None
