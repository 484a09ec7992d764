"""Estimators: scikit-learn's MLPClassifier and MLPRegressor, with Pellucid inside; for networks of
any layers NetworkClassifier and NetworkRegressor, for tables as they are TabularClassifier and
TabularRegressor.

Rows are examples here, as everywhere in scikit-learn: X is (m, n[0]). ``coefs_[l-1]`` is W[l]^T.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.estimators import tabular
from pellucid.estimators.classifier import MLPClassifier
from pellucid.estimators.folder import fill
from pellucid.estimators.networks import NetworkClassifier, NetworkRegressor
from pellucid.estimators.regressor import MLPRegressor
from pellucid.estimators.tabular import TabularClassifier, TabularRegressor

if TYPE_CHECKING:
    from pellucid.persistence import ModelFolder

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "NetworkClassifier",
    "NetworkRegressor",
    "TabularClassifier",
    "TabularRegressor",
    "from_folder",
]


def from_folder(folder: ModelFolder) -> Any:
    """Return the estimator of a model folder whose kind is one of these."""
    kind = folder.model["kind"]
    if kind == "tabular":
        return tabular.from_folder(folder)
    of_one = (MLPClassifier, MLPRegressor, NetworkClassifier, NetworkRegressor)
    return fill({each.__name__: each for each in of_one}[kind], folder)
