"""Estimators: scikit-learn's MLPClassifier and MLPRegressor, with Pellucid inside.

Rows are examples here, as everywhere in scikit-learn: X is (m, n[0]). ``coefs_[l-1]`` is W[l]^T.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.estimators.classifier import MLPClassifier
from pellucid.estimators.folder import fill
from pellucid.estimators.regressor import MLPRegressor

if TYPE_CHECKING:
    from pellucid.persistence import ModelFolder

__all__ = ["MLPClassifier", "MLPRegressor", "from_folder"]


def from_folder(folder: ModelFolder) -> MLPClassifier | MLPRegressor:
    """Return the estimator of a model folder whose kind is one of the two."""
    kinds = {kind.__name__: kind for kind in (MLPClassifier, MLPRegressor)}
    estimator: MLPClassifier | MLPRegressor = fill(kinds[folder.model["kind"]], folder)
    return estimator
