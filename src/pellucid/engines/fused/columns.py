"""X and the numbers of its examples, as the compiled module gathers them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.engines.contract import Data

_DIRECT = ("float32", "float64", "uint8", "int32", "int64")
"""The dtypes of X that are gathered as they are; others are converted first."""


def column_numbers(rows: NDArray[np.integer[Any]] | None) -> NDArray[np.int64] | None:
    """Return the numbers of examples, as the module takes them."""
    return None if rows is None else np.ascontiguousarray(rows, dtype=np.int64)


def gathered(X: Data, dtype: np.dtype[Any]) -> Any:
    """Return X itself where the module can gather it, or the three arrays of a CSC matrix."""
    if not isinstance(X, np.ndarray):
        X = X.tocsc()
        data, indices, starts = map(np.ascontiguousarray, (X.data, X.indices, X.indptr))
        return _readable(data, dtype), indices, starts
    return _readable(X, dtype)


def _readable(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Numbers that the module converts one by one, as they are; others in its dtype."""
    direct = values.dtype.name in _DIRECT and values.dtype.isnative
    return values if direct else values.astype(dtype)
