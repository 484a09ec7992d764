"""Estimators as model folders: parameters, what was fitted, and the network."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import LabelBinarizer

from pellucid._catalogue import Entry
from pellucid.activations import activation as find_activation
from pellucid.checks import is_whole
from pellucid.errors import ModelError
from pellucid.estimators.parameters import DTYPE, ENTRIES
from pellucid.history import History
from pellucid.layers import Layer
from pellucid.network import Network
from pellucid.persistence import ModelFolder, network_from_model, network_to_model
from pellucid.persistence.predictor import classes_of
from pellucid.training import EarlyStopping

_SIZES = ("n_features_in_", "n_layers_", "n_outputs_")
_COUNTS = ("n_iter_", "t_", "_no_improvement_count")
_NUMBERS = ("loss_", "best_loss_", "best_validation_score_")
_CURVES = ("loss_curve_", "validation_loss_curve_", "validation_scores_")
_FITTED = (*_SIZES, *_COUNTS, *_NUMBERS, *_CURVES, "out_activation_")


def to_folder(estimator: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the entries of model.json, the arrays and the documents of a fitted estimator.

    Callbacks, a RandomState and functions of one's own are code or hidden state: None is kept in
    their place, and in that of arrays to start from. Of ``layers`` their number is kept: they are
    the first ones of the network. The optimizer's memory is not kept either:
    partial_fit begins anew.
    """
    description, weights = network_to_model(estimator.network_)
    fitted = {name: getattr(estimator, name) for name in _FITTED if hasattr(estimator, name)}
    if hasattr(estimator, "feature_names_in_"):
        fitted["feature_names_in_"] = list(estimator.feature_names_in_)
    if hasattr(estimator, "classes_"):
        fitted["classes_"] = _labels_to_dict(estimator.classes_)
        fitted["target_type"] = estimator._label_binarizer.y_type_
    parameters = estimator.get_params(deep=False)
    if isinstance(parameters["initializer"], Mapping) and "name" not in parameters["initializer"]:
        parameters["initializer"] = None  # arrays, long since in the weights
    plain = {name: _plain(value) for name, value in parameters.items()}
    if "layers" in plain:
        plain["layers"] = estimator._n_given
    model = {
        "kind": type(estimator).__name__,
        "parameters": plain,
        "fitted": fitted,
        "network": description,
    }
    return model, {"weights": weights}, {"history": estimator.history_.to_dict()}


def fill(estimator_class: type, folder: ModelFolder) -> Any:
    """Return the estimator that a folder holds."""
    network = network_from_model(folder)
    fitted: Mapping[str, Any] = folder.entry("fitted", dict)
    try:
        _check_fitted(fitted, network)
        parameters = _parameters(folder.entry("parameters", dict), folder)
        if "layers" in parameters:
            parameters["layers"] = _first(parameters["layers"], network)
        estimator = estimator_class(**parameters)
        if not DTYPE.fits(estimator.dtype):
            raise ValueError(f"its dtype cannot be {estimator.dtype!r:.40}")
        for name in _FITTED:
            if name in fitted:
                setattr(estimator, name, fitted[name])
        if "feature_names_in_" in fitted:
            estimator.feature_names_in_ = np.array(fitted["feature_names_in_"], dtype=object)
        if "classes_" in fitted or hasattr(estimator, "predict_proba"):
            estimator.classes_ = classes_of(folder, network)
            estimator._label_binarizer = _binarizer(estimator.classes_, fitted["target_type"])
        estimator.history_ = History.from_dict(folder.document("history"))
        estimator._take_network(network)
        if estimator.network_.to_dict()["layers"] != network.to_dict()["layers"]:
            raise ValueError("its parameters are not those of its network")
    except (AttributeError, KeyError, TypeError, ValueError) as fault:
        raise ModelError(
            f"{folder.path}: model.json does not describe a {estimator_class.__name__}: {fault}"
        ) from None
    return estimator


def _check_fitted(fitted: Mapping[str, Any], network: Network) -> None:
    """Refuse fitted attributes that cannot be those of a network."""
    n = network.n
    sizes = dict(zip(_SIZES, (n[0], len(n), n[-1]), strict=True))

    def fits(name: str, value: Any) -> bool:
        if name in sizes:
            return type(value) is int and value == sizes[name]
        if name in _COUNTS:
            return type(value) is int and value >= 0
        if name in _NUMBERS:
            return value is None or type(value) in (int, float)
        if name in _CURVES:
            return value is None or (
                isinstance(value, list) and all(type(each) in (int, float) for each in value)
            )
        if name == "feature_names_in_":
            return isinstance(value, list) and [*map(type, value)] == [str] * n[0]
        return isinstance(value, str)

    for name in (*_FITTED, "feature_names_in_"):
        if name in fitted and not fits(name, fitted[name]):
            raise ValueError(f"its {name} cannot be {fitted[name]!r:.40}")


def _first(count: Any, network: Network) -> list[Layer]:
    """The first layers of a network as they are given to an estimator; the others it added."""
    if not is_whole(count, 0, len(network.layers)):
        raise ValueError(f"it was given {count!r:.40} of {len(network.layers)} layers")
    return [layer.unbuilt() for layer in network.layers[:count]]


def _plain(value: Any) -> Any:
    """A parameter as plain data."""
    if isinstance(value, Entry):
        return value.spec()
    if isinstance(value, EarlyStopping):
        return dataclasses.asdict(value)
    if isinstance(value, (list, tuple)):
        plain = [_plain(each) for each in value]
        return None if any(each is None for each in plain) else plain
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return np.dtype(value).name
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {"dict": [[_plain(key), _plain(each)] for key, each in value.items()]}
    return value if isinstance(value, (str, bool, int, float)) else None


def _parameters(plain: Mapping[str, Any], folder: ModelFolder) -> dict[str, Any]:
    found = dict(plain)
    if isinstance(found.get("hidden_layer_sizes"), list):
        found["hidden_layer_sizes"] = tuple(found["hidden_layer_sizes"])
    weight = found.get("class_weight")
    if isinstance(weight, dict):
        found["class_weight"] = dict(weight["dict"])
    elif isinstance(weight, list):
        found["class_weight"] = [dict(each["dict"]) for each in weight]
    for name in ("gradient_clip", "input_shape", "metrics"):
        if isinstance(found.get(name), list):
            found[name] = tuple(found[name])
    if isinstance(found.get("early_stopping"), dict):
        found["early_stopping"] = EarlyStopping(**found["early_stopping"])
    if folder.activations and "activation" in found:
        g, find_own = found["activation"], partial(find_activation, own=folder.activations)
        found["activation"] = [*map(find_own, g)] if isinstance(g, list) else find_own(g)
    for name, find in ENTRIES.items():
        value = found.get(name)
        if isinstance(value, list):
            found[name] = [find(each) if isinstance(each, dict) else each for each in value]
        elif isinstance(value, dict):
            found[name] = find(value)
    return found


def _labels_to_dict(classes: NDArray[Any]) -> dict[str, Any]:
    text = classes.dtype.kind == "O" and all(isinstance(each, str) for each in classes)
    if classes.dtype.kind not in "biufU" and not text:
        raise ModelError(
            f"labels of dtype {classes.dtype} cannot be saved; use numbers, booleans or strings."
        )
    return {"dtype": "object" if text else classes.dtype.str, "values": classes.tolist()}


def _binarizer(classes: NDArray[Any], target_type: str) -> LabelBinarizer:
    """A LabelBinarizer as it was after fit."""
    if target_type == "multilabel-indicator":
        return LabelBinarizer().fit(np.eye(1, len(classes), dtype=int))
    return LabelBinarizer().fit(classes)
