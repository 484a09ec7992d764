"""What there is to export: networks, what goes in, and what their answer means."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import ModelError
from pellucid.network import Network


@dataclass
class Subject:
    """A model as an exporter sees it.

    Attributes
    ----------
    networks : list of Network
        One, or several whose outputs are averaged.
    answer : str
        "binary", one output, the probability of the second class; "multiclass", a probability a
        class; "labels", several yes or no; "regression", numbers.
    inputs : list of str
        The names of the networks' inputs.
    at_half : bool
        Whether a probability of exactly 0.5 counts as yes (lecture 001) or not (scikit-learn).
    classes : array or None
        What each class number stands for; None leaves the numbers.
    target : str
        The name of what is predicted, "" where it has none.
    scale : (float, float)
        Regression: the prediction is mean + std * A[L], (mean, std).
    preprocessing : Preprocessing or None
        Of a table: from its columns to the networks' inputs.
    """

    networks: list[Network]
    answer: str
    inputs: list[str]
    at_half: bool = True
    classes: NDArray[Any] | None = None
    target: str = ""
    scale: tuple[float, float] = (0.0, 1.0)
    preprocessing: Any = None

    def __post_init__(self) -> None:
        for number, network in enumerate(self.networks, start=1):
            for name, array in network.parameters.items():
                if not np.isfinite(array).all():
                    of = f" of network {number}" if len(self.networks) > 1 else ""
                    raise ModelError(
                        f"{name}{of} holds NaN or infinity, so there is nothing to export: its "
                        "training diverged. Train it again with a smaller learning rate."
                    )

    @property
    def dtype(self) -> np.dtype[Any]:
        """What the networks compute in."""
        dtype: np.dtype[Any] = self.networks[0].dtype
        return dtype


def subject(model: Any) -> Subject:
    """Return what is to be exported of a model, or of the model in a folder.

    >>> from pellucid import Dense, Network
    >>> subject(Network([Dense(1, "sigmoid")], n_inputs=2)).inputs
    ['x1', 'x2']
    """
    if isinstance(model, (str, os.PathLike)):
        from pellucid.persistence import load

        model = load(model)
    if isinstance(model, Network):
        return Subject([model], _answer(model), _numbered(model.n_inputs))
    if hasattr(model, "preprocessing"):
        return _of_table(model)
    if hasattr(type(model), "network_"):
        return _of_drop_in(model)
    if hasattr(type(model), "feature_importances"):
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(model)
        return _of_table(model.model_)
    raise TypeError(
        "export takes a Network, a fitted MLPClassifier, MLPRegressor, TabularClassifier or "
        f"TabularRegressor, a TableModel, or the path of a model folder; got {model!r}."
    )


def _answer(network: Network) -> str:
    """What a network's outputs are, from the last activation, as ``Network.predict`` takes them."""
    g = network.layers[-1].activation
    name = "" if g is None else g.name
    if name in ("sigmoid", "hard_sigmoid"):
        return "binary" if network.n[-1] == 1 else "labels"
    return "multiclass" if name == "softmax" else "regression"


def _of_drop_in(model: Any) -> Subject:
    network = model.network_
    names = getattr(model, "feature_names_in_", None)
    inputs = _numbered(network.n_inputs) if names is None else [str(name) for name in names]
    if not hasattr(model, "classes_"):
        return Subject([network], "regression", inputs)
    if model._label_binarizer.y_type_ == "multilabel-indicator":
        answer = "labels"
    else:
        answer = "binary" if network.n[-1] == 1 else "multiclass"
    classes = np.asarray(model.classes_)
    if len(classes) == 1:
        classes = np.resize(classes, 2)  # scikit-learn knows a classifier of one class
    return Subject([network], answer, inputs, at_half=False, classes=classes)


def _of_table(model: Any) -> Subject:
    """A TableModel."""
    return Subject(
        model.networks,
        model.task,
        list(model.preprocessing.output_names),
        classes=model.labels() if model.classes else None,
        target=model.target,
        scale=(model.target_mean, model.target_std) if model.task == "regression" else (0.0, 1.0),
        preprocessing=model.preprocessing,
    )


def _numbered(n: int) -> list[str]:
    return [f"x{number}" for number in range(1, n + 1)]
