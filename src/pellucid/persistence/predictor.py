"""NetworkPredictor: what predicts as a saved network or drop-in does, without scikit-learn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.network import Network
from pellucid.persistence.folder import ModelFolder
from pellucid.persistence.labels import label_array
from pellucid.persistence.networks import network_from_model
from pellucid.tasks import Task, task_of


@dataclass
class NetworkPredictor:
    """Predictions of a network for rows, (m, n[0]): a row is an example.

    Pictures and sequences may also be (m, rows, columns, channels) and (m, steps, features), as the
    network's ``input_shape`` says; ``lengths``, (m,), are the steps that each sequence has.

    Attributes
    ----------
    network : Network
    classes : array or None
        The labels of a classifier, in the order of its outputs; None for a network, whose
        classes are 0, 1, ..., and for a regressor.
    several : bool
        Whether an example may have several labels at once.

    Examples
    --------
    >>> from pellucid import Dense
    >>> gate = Network([Dense(1, "sigmoid")], n_inputs=2, initializer="zeros")
    >>> NetworkPredictor(gate).predict([[0.0, 1.0], [1.0, 1.0]])
    array([1, 1])
    """

    network: Network
    classes: NDArray[Any] | None = None
    several: bool = False

    def predict(self, rows: Any, lengths: Any = None) -> NDArray[Any]:
        """Return the class or number of each row, as the saved model's own predict does.

        A network: class 1 where a >= 0.5; a classifier: the second class where a > 0.5.
        """
        X = _rows(rows, self.network.input_shape).T
        if self.classes is None:
            found = self.network.predict(X, lengths=lengths)
            return found if found.ndim == 1 else (found[0] if len(found) == 1 else found.T)
        found = self._task().answers(self.network.forward(X, lengths=lengths), at_half=False)
        if self.several:
            return found.T
        labels: NDArray[Any] = self.classes[np.minimum(found.ravel(), len(self.classes) - 1)]
        return labels

    def predict_proba(self, rows: Any, lengths: Any = None) -> NDArray[Any]:
        """Return the probability of each class (or label) for each row."""
        probabilities = self._task().probabilities
        if probabilities is None:
            g = self.network.layers[-1].activation
            raise ValueError(
                f"the output is {g.name if g else 'a number'}, which is not a probability; use "
                "predict."
            )
        A = self.network.forward(_rows(rows, self.network.input_shape).T, lengths=lengths)
        return np.ascontiguousarray(probabilities(A).T)

    def _task(self) -> Task:
        return task_of(self.network.layers[-1].activation, self.network.n[-1])


def _rows(rows: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    X = np.asarray(rows)
    if X.ndim > 2 and X.shape[1:] == shape:
        X = X.reshape(len(X), math.prod(shape))
    if X.ndim != 2:
        volume = f", or (m, {', '.join(map(str, shape))})" if len(shape) > 1 else ""
        raise ValueError(
            f"rows must have the shape (m, n[0]), one row per example{volume}; got {X.shape}. For "
            "one row pass [row]."
        )
    return X


def from_folder(folder: ModelFolder) -> NetworkPredictor:
    """Return the predictor of a folder of the kind "network" or of a drop-in's."""
    network = network_from_model(folder)
    fitted = folder.model.get("fitted", {})
    if not isinstance(fitted, dict) or "classes_" not in fitted:
        return NetworkPredictor(network)
    several = fitted.get("target_type") == "multilabel-indicator"
    return NetworkPredictor(network, classes_of(folder, network), several)


def classes_of(folder: ModelFolder, network: Network) -> NDArray[Any]:
    """Return the labels that a folder of a classifier keeps, as many as the network has outputs."""
    fitted = folder.entry("fitted", dict)
    try:
        labels = fitted["classes_"]
        classes = label_array(labels["values"], labels["dtype"])
    except (KeyError, TypeError, ValueError) as error:
        raise folder.damaged(f"its class labels are wrong: {error}") from None
    task = task_of(network.layers[-1].activation, network.n[-1])
    fits = network.n[-1] == task.n_outputs(len(classes))
    if not len(classes) or not fits or (len(classes) > 2 and not task.output_per_class):
        raise folder.damaged(f"{len(classes)} classes do not fit {network.n[-1]} outputs")
    return classes
