"""Pellucid: neural networks you can see through.

A network is a chain of layers, Z = W A + b and A = g(Z), as in the lectures; every name keeps
their letters. Start with :class:`Network` and :func:`train`, or, with scikit-learn's signature,
with :class:`MLPClassifier`, or for any layers with :class:`NetworkClassifier`.
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

try:
    __version__ = version("pellucid")
except PackageNotFoundError:  # the part that predicts, packaging/predict
    __version__ = version("pellucid-predict")

_EXPORTS = {
    "Network": "pellucid.network",
    "Dense": "pellucid.layers",
    "Scale": "pellucid.layers",
    "Conv1D": "pellucid.layers",
    "Conv2D": "pellucid.layers",
    "MaxPool": "pellucid.layers",
    "AveragePool": "pellucid.layers",
    "GlobalPool": "pellucid.layers",
    "Embedding": "pellucid.layers",
    "Recurrent": "pellucid.layers",
    "GRU": "pellucid.layers",
    "LSTM": "pellucid.layers",
    "LayerNorm": "pellucid.layers",
    "BatchNorm": "pellucid.layers",
    "Dropout": "pellucid.layers",
    "Residual": "pellucid.layers",
    "Parallel": "pellucid.layers",
    "train": "pellucid.training",
    "EarlyStopping": "pellucid.training",
    "Callback": "pellucid.callbacks",
    "History": "pellucid.history",
    "MLPClassifier": "pellucid.estimators",
    "MLPRegressor": "pellucid.estimators",
    "NetworkClassifier": "pellucid.estimators",
    "NetworkRegressor": "pellucid.estimators",
    "TabularClassifier": "pellucid.estimators",
    "TabularRegressor": "pellucid.estimators",
    "save": "pellucid.persistence",
    "load": "pellucid.persistence",
    "load_predictor": "pellucid.persistence",
    "check_gradients": "pellucid.insight",
    "diagnose": "pellucid.insight",
    "input_gradients": "pellucid.insight",
    "explain": "pellucid.insight",
    "jacobian": "pellucid.insight",
    "open_lab": "pellucid.lab.notebook",
    "trace": "pellucid.insight",
}
"""The public names and where they live; each is imported when first asked for."""

__all__ = ["__version__", *sorted(_EXPORTS)]

_ROOMS = (
    "activations",
    "augmentations",
    "callbacks",
    "checks",
    "engines",
    "errors",
    "estimators",
    "export",
    "graph",
    "history",
    "initializers",
    "insight",
    "lab",
    "layers",
    "losses",
    "metrics",
    "network",
    "optimizers",
    "persistence",
    "philox",
    "propagation",
    "record",
    "report",
    "schedules",
    "tables",
    "tasks",
    "training",
)
"""The modules that ``import pellucid`` makes reachable; imported when first asked for too."""

_OF_ONE_NETWORK = ("pellucid.estimators", "pellucid.persistence.predictor")
_READERS = {
    "network": ("pellucid.persistence.networks", "pellucid.persistence.predictor"),
    "MLPClassifier": _OF_ONE_NETWORK,
    "MLPRegressor": _OF_ONE_NETWORK,
    "NetworkClassifier": _OF_ONE_NETWORK,
    "NetworkRegressor": _OF_ONE_NETWORK,
    "tabular": ("pellucid.estimators", "pellucid.tables.model"),
}
"""Whose ``from_folder`` makes the object of each kind of model folder for ``load`` and for
``load_predictor``: nothing else is ever called."""


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return _room(f"pellucid.{name}")
    if name not in _EXPORTS:
        raise AttributeError(f"module 'pellucid' has no attribute {name!r}")
    value = getattr(_room(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def _room(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("pellucid."):
            raise
        raise ImportError(
            f"{error.name} is not in pellucid-predict, which only predicts; for the whole of "
            "Pellucid: pip uninstall pellucid-predict, then pip install pellucid"
        ) from None


def __dir__() -> list[str]:
    return [*__all__, *_ROOMS]
