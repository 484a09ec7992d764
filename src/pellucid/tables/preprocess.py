"""What is done to a table before a network sees it, fitted on the training rows alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FARTHEST = 1e6
"""Standard deviations. No training row of a table below 10^12 rows lies farther out."""


@dataclass
class Standardizer:
    """z = (x - mean) / std, column by column; mean 0 and standard deviation 1 in training.

    A constant column becomes 0. A new value farther out than 10^6 standard deviations counts as
    10^6, so that nothing overflows.

    >>> standardizer = Standardizer.fit(np.array([[1.0, 7.0], [3.0, 7.0]]))
    >>> standardizer.transform(np.array([[3.0, 7.0], [5.0, 8.0]]))
    array([[1., 0.],
           [3., 1.]])
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    @classmethod
    def fit(cls, X: NDArray[np.float64]) -> Standardizer:
        """Return the standardizer of these rows, (m, n)."""
        low, high = X.min(axis=0), X.max(axis=0)
        mean, std = X.mean(axis=0), X.std(axis=0)
        constant = (low == high) | (std == 0)  # 0.1 in every row has a std of 1e-17, not 0
        return cls(np.where(constant, low, mean), np.where(constant, 1.0, std))

    def transform(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the rows standardised."""
        with np.errstate(over="ignore"):
            Z: NDArray[np.float64] = np.clip((X - self.mean) / self.std, -FARTHEST, FARTHEST)
        return Z

    def inverse(self, Z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return x = mean + std z."""
        return self.mean + self.std * Z

    def to_dict(self) -> dict[str, Any]:
        """Return mean and std as lists, for a model file."""
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], n: int) -> Standardizer:
        """Return the standardizer of n columns that :meth:`to_dict` wrote; ValueError otherwise."""
        mean, std = (np.array(data.get(key), dtype=np.float64) for key in ("mean", "std"))
        if mean.shape != (n,) or std.shape != (n,):
            raise ValueError(
                f"expected mean and std of {n} columns, got {mean.size} and {std.size}"
            )
        if not np.isfinite(mean).all() or not (np.isfinite(std) & (std > 0)).all():
            raise ValueError("mean and std must be finite, std above 0")
        return cls(mean, std)
