"""``coefs_`` and ``intercepts_`` as arrays of a network, whatever a caller has put there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = list[NDArray[Any]]


def parameter_arrays(estimator: Any, *, writable: bool = False) -> tuple[Arrays, Arrays]:
    """Return W[l]^T, (n[l-1], n[l]), and b[l], (n[l],), as arrays of one dtype.

    The dtype is float32 where all are float32, else float64. An array that is so already, and
    ``writable`` where that is asked for, is taken itself, so that writing into it counts; anything
    else that holds real numbers, such as integers or nested lists, is copied.

    Raises
    ------
    ValueError
        Where something holds no real numbers or its shape does not fit; it is named.
    """
    coefs = _numbers("coefs_", estimator.coefs_)
    intercepts = _numbers("intercepts_", estimator.intercepts_)
    L = getattr(estimator, "n_layers_", len(coefs) + 1) - 1
    for name, arrays in (("coefs_", coefs), ("intercepts_", intercepts)):
        if len(arrays) != L:
            raise ValueError(f"{name} holds {len(arrays)} arrays; expected {L}, one per layer.")
    n_prev = getattr(estimator, "n_features_in_", coefs[0].shape[:1] or 0)
    for l, W in enumerate(coefs):
        n = W.shape[1] if W.ndim == 2 else 0
        if l == L - 1:
            n = getattr(estimator, "n_outputs_", n)
        if W.shape != (n_prev, n) or not W.size:
            raise ValueError(
                f"coefs_[{l}] has the shape {W.shape}; expected (n[{l}], n[{l + 1}]) = "
                f"({n_prev}, {n or f'n[{l + 1}]'})."
            )
        intercepts[l] = _row(f"intercepts_[{l}]", intercepts[l], n)
        n_prev = n
    single = all(each.dtype.newbyteorder("=") == np.float32 for each in (*coefs, *intercepts))
    dtype = np.dtype(np.float32 if single else np.float64)

    def plain(array: NDArray[Any]) -> NDArray[Any]:
        return np.require(array, dtype, ("ALIGNED", "WRITEABLE") if writable else ("ALIGNED",))

    return [plain(each) for each in coefs], [plain(each) for each in intercepts]


def _numbers(name: str, given: Iterable[Any]) -> Arrays:
    """Each entry as an array; refused where it holds anything but real numbers."""
    found = []
    for l, each in enumerate(given):
        try:
            array = np.asarray(each.toarray() if hasattr(each, "toarray") else each)
        except ValueError:
            raise ValueError(f"{name}[{l}] holds lists of different lengths.") from None
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{name}[{l}] must hold real numbers; got the dtype {array.dtype}.")
        found.append(array)
    return found


def _row(name: str, b: NDArray[Any], n: int) -> NDArray[Any]:
    """b[l] as (n,), from what scikit-learn could add to rows: also (1, n) and a single number."""
    if b.size not in (1, n) or b.ndim > 2 or (b.ndim == 2 and b.shape[0] != 1):
        raise ValueError(f"{name} has the shape {b.shape}; expected (n[l],) = ({n},).")
    return b.reshape(n) if b.size == n else np.full(n, b.reshape(()))
