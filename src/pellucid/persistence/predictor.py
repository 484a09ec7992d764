"""NetworkPredictor: what predicts as a saved network or drop-in does, without scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.layers.shapes import by_place
from pellucid.network import Network
from pellucid.network.given import columns_of
from pellucid.persistence.folder import ModelFolder
from pellucid.persistence.labels import label_array
from pellucid.persistence.networks import network_from_model
from pellucid.tasks import Task, task_of


@dataclass
class NetworkPredictor:
    """Predictions of a network for rows, (m, n[0]): a row is an example.

    A row may also have the network's ``input_shape``: (m, rows, columns, channels), (m, steps,
    features). Where each step has outputs, so have the answers, (m, steps) or (m, steps, n); those
    of steps that are not there are 0.

    Attributes
    ----------
    network : Network
    classes : array or None
        The labels of an MLPClassifier, in the order of its outputs; None for a network, whose
        classes are 0, 1, ..., and for an MLPRegressor.
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

    def predict(self, rows: Any, *, lengths: Any = None) -> NDArray[Any]:
        """Return the class or number of each row, as the saved model's own predict does.

        A network: class 1 where a >= 0.5; an MLPClassifier: the second class where a > 0.5.
        ``lengths``, (m,), are the steps that each row has.
        """
        X, task = columns_of(rows, self.network.input_shape), self._task()
        n = self.network.output_shape[-1]
        if self.classes is None:
            found = self.network.predict(X, lengths=lengths)
        else:
            A = self.network.forward(X, lengths=lengths)
            found = task.answers(by_place(A, n), at_half=False)
        n = 1 if task.output_per_class and not task.several else n  # the number of a class
        found = self._by_rows(found, X.shape[1], n)
        if n == 1:
            found = found[..., 0]
        if self.classes is None or self.several:
            return found
        labels: NDArray[Any] = self.classes[np.minimum(found, len(self.classes) - 1)]
        return labels

    def predict_proba(self, rows: Any, *, lengths: Any = None) -> NDArray[Any]:
        """Return the probability of each class (or label) for each row, and for each step."""
        probabilities = self._task().probabilities
        if probabilities is None:
            g = self.network.layers[-1].activation
            raise ValueError(
                f"the output is {g.name if g else 'a number'}, which is not a probability; use "
                "predict."
            )
        X, n = columns_of(rows, self.network.input_shape), self.network.output_shape[-1]
        A = self.network.forward(X, lengths=lengths)
        p = probabilities(by_place(A, n))
        found = self._by_rows(p, X.shape[1], len(p))
        if lengths is not None:
            left = self.network.lengths_after(np.asarray(lengths))
            if left is not None:
                found = found * (np.arange(found.shape[1]) < left[:, None])[..., None]
        return np.ascontiguousarray(found)

    def _by_rows(self, answers: NDArray[Any], m: int, n: int) -> NDArray[Any]:
        """From a column for each example, or for each of its steps, to (m, ..., n)."""
        return np.atleast_2d(answers).T.reshape(m, *self.network.output_shape[:-1], n)

    def _task(self) -> Task:
        return task_of(self.network.layers[-1].activation, self.network.output_shape[-1])


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
    n = network.output_shape[-1]
    task = task_of(network.layers[-1].activation, n)
    fits = n == task.n_outputs(len(classes)) and (len(classes) < 3 or task.output_per_class)
    if not len(classes) or not fits:
        raise folder.damaged(f"{len(classes)} classes do not fit {n} outputs")
    return classes
