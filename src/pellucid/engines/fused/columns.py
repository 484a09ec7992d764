"""X and the numbers of its examples, as the compiled module gathers them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.engines.contract import Data

Entries = tuple[NDArray[Any], NDArray[np.int32], NDArray[np.int64]]

_DIRECT = ("float32", "float64", "uint8", "int32", "int64")
"""The dtypes of X that are gathered as they are; others are converted first."""


def column_numbers(rows: NDArray[np.integer[Any]] | None) -> NDArray[np.int64] | None:
    """Return the numbers of examples, as the module takes them."""
    return None if rows is None else np.ascontiguousarray(rows, dtype=np.int64)


def gathered(X: Data, dtype: np.dtype[Any]) -> Any:
    """Return X itself where the module can gather it, or the entries of a sparse matrix."""
    if not isinstance(X, np.ndarray):
        return entries_of(X, dtype)
    direct = X.dtype.name in _DIRECT and X.dtype.isnative
    return X if direct else X.astype(dtype)


def entries_of(X: Data, dtype: np.dtype[Any]) -> Entries:
    """Return what there is in a sparse X: values, their rows in order, where each column begins.

    Entries of one place are added up.
    """
    X = X.tocsc()
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    n, rows = X.shape[0], X.indices
    if rows.size and not (rows.min() >= 0 and rows.max() < n):
        raise ValueError(f"X has entries in rows beyond its {n}: {rows.min()} to {rows.max()}.")
    data = X.data if X.data.dtype.kind == "f" and X.data.itemsize <= 8 else X.data.astype(dtype)
    return (
        np.ascontiguousarray(data),
        np.ascontiguousarray(rows, np.int32),
        np.ascontiguousarray(X.indptr, np.int64),
    )
