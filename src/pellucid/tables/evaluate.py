"""How good predictions are on rows that were held out, beside two plain predictors.

The baselines: the majority class (the mean), and a logistic (linear) regression on the same
preprocessed columns, which the lectures call the network with no hidden layer.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import DataError
from pellucid.tables.codes import Codes
from pellucid.tables.frame import labels_of
from pellucid.tables.model import TableModel
from pellucid.tables.split import no_number
from pellucid.tables.strays import as_written
from pellucid.tables.table import Table, some
from pellucid.tasks import TASKS

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
Metrics = dict[str, "float | None"]

METRICS = {
    "accuracy": "accuracy",
    "log_loss": "log-loss",
    "auc": "AUC",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
}
"""Every metric and how it is written; None where the held-out rows do not define it."""
LESS_IS_BETTER = ("log_loss", "rmse", "mae")

BINS = 10
"""Of the calibration."""
MOST_POINTS = 2000
"""Of the residuals that are kept."""
ROC_POINTS = 200
STEPS = 2e10
"""Multiplications that the logistic regression may take: some ten seconds."""


@dataclass
class Evaluation:
    """What a model predicted for rows that it has not seen, and how good that is.

    Attributes
    ----------
    task : str
    m : int
        The number of rows.
    metrics : dict of dicts
        By predictor: "network", and where it was told what the model has seen, the baselines.
    y, predicted : array of shape (m,)
        Labels, or numbers.
    p : array of shape (m, classes) or None
        The probabilities, for classes.
    classes : list
    """

    task: str
    m: int
    metrics: dict[str, Metrics]
    y: NDArray[Any]
    predicted: NDArray[Any]
    p: Floats | None
    classes: list[Any]

    def plain(self) -> dict[str, Metrics]:
        """Return what always naming these rows' own majority class, or their mean, would get."""
        if self.p is None:
            return mean_baseline(self.y, self.y)
        labels = class_numbers(self.y, self.classes)
        return majority_baseline(labels, labels, len(self.classes))

    def tells(self) -> bool:
        """Whether predictions go with the target more than by chance.

        That is, whether the mean over the rows of p[y] - sum_k share_k p[k], or for numbers of the
        product of both deviations from their means, is over 2.5 of its standard errors.
        """
        if self.p is None:
            both = (self.y - self.y.mean()) * (self.predicted - self.predicted.mean())
        else:
            labels = class_numbers(self.y, self.classes)
            shares = np.bincount(labels, minlength=len(self.classes)) / self.m
            both = self.p[np.arange(self.m), labels] - self.p @ shares
        return bool(both.mean() > 2.5 * both.std() / np.sqrt(self.m))

    def to_dict(self) -> dict[str, Any]:
        """Return what a report needs, as plain data: the metrics, and what its figures show.

        For classes the confusion matrix (a row a true class), the calibration and for two classes
        the ROC curve; for numbers the residuals of 2,000 rows at most.
        """
        plain: dict[str, Any] = {"task": self.task, "rows": self.m, "metrics": self.metrics}
        if self.p is None:
            return {**plain, "residuals": residuals(self.y, self.predicted)}
        labels = class_numbers(self.y, self.classes)
        found = class_numbers(self.predicted, self.classes)
        plain |= {
            "classes": self.classes,
            "confusion": confusion(labels, found, len(self.classes)).tolist(),
            "calibration": calibration(labels, found, self.p),
        }
        if self.task == "binary":
            plain["roc"] = roc(labels, self.p[:, 1])
        return plain


def evaluate(model: TableModel, test: Table, seen: Table | None = None) -> Evaluation:
    """Measure a model on rows held out; ``seen``, the rows it learned from, adds the baselines.

    Examples
    --------
    >>> from pellucid.tables import TrainSettings, hold_out, read_sample
    >>> from pellucid.tables.fit import fit, prepare
    >>> seen, test = hold_out(read_sample("iris"))
    >>> settings = TrainSettings(hidden_layer_sizes=(16,), epochs=20, ensemble=1)
    >>> found = evaluate(fit(prepare(seen, settings)), test, seen)
    >>> found.m, sorted(found.metrics)
    (30, ['logistic regression', 'majority class', 'network'])
    """
    if test.y is None:
        raise DataError(
            f"{test.source} was read without the target {model.target!r}, which predictions are "
            "compared with. Name it as the target."
        )
    if model.task == "regression":
        return _of_numbers(model, test, seen)
    labels = class_numbers(test.y, model.classes, test.source)
    Z = model.inputs(test)
    p = model.probabilities(Z)
    predicted = model.class_numbers(p)
    metrics = {"network": classification_metrics(labels, p, predicted)}
    if seen is not None:
        known = class_numbers(np.asarray(seen.y), model.classes, seen.source)
        metrics |= classification_baselines(model.inputs(seen), known, Z, labels)
    names = model.labels()
    return Evaluation(
        model.task, test.m, metrics, names[labels], names[predicted], p, model.classes
    )


def _of_numbers(model: TableModel, test: Table, seen: Table | None) -> Evaluation:
    y = _numbers_of(test, model.target)
    Z = model.inputs(test)
    predicted = model.answers(Z)
    metrics = {"network": regression_metrics(y, predicted)}
    if seen is not None:
        known = _numbers_of(seen, model.target)
        metrics |= regression_baselines(model.inputs(seen), known, Z, y)
    return Evaluation(model.task, test.m, metrics, y, predicted, None, [])


def as_numbers(y: NDArray[Any], what: str) -> Floats:
    """Return a target of numbers, or texts that write them; DataError for others.

    ``what`` names it in the message.
    """
    y = as_written(y, what)
    if y.dtype.kind not in "bif":
        raise DataError(
            f"{what} holds texts, such as {no_number(y)!r}; the model predicts numbers. "
            "Correct the column."
        )
    return y.astype(np.float64)


def _numbers_of(table: Table, target: str) -> Floats:
    return as_numbers(np.asarray(table.y), f"{table.source}: the target {target!r}")


def as_learned(model: TableModel, y: Any, source: str = "y") -> NDArray[Any]:
    """Return a target as the networks learned it, (m,): class numbers, or (y - mean) / std.

    DataError for what is missing, for unknown classes, and for texts in place of numbers.
    """
    labels = labels_of(y, source)
    if model.task != "regression":
        return class_numbers(labels, model.classes, source)
    y = as_numbers(labels, f"{source}: the target {model.target!r}")
    return np.asarray((y - model.target_mean) / model.target_std)


def class_numbers(y: NDArray[Any], classes: list[Any], source: str = "y") -> Numbers:
    """Return the number of each row's class; DataError for labels that are not classes.

    Labels of another type are matched as codes are (:func:`~pellucid.tables.codes.code_of`).

    >>> class_numbers(np.array(["b", "a"]), ["a", "b"]), class_numbers(np.array(["2.0"]), [1, 2])
    (array([1, 0]), array([1]))
    """
    exact = {label: k for k, label in enumerate(classes)}
    codes = Codes({str(label).strip(): k for k, label in enumerate(classes)}, from_numbers=False)
    values, places = np.unique(y, return_inverse=True)
    labels = values.tolist()
    numbers = [exact[each] if each in exact else codes.find(str(each)) for each in labels]
    unknown = [repr(each) for each, k in zip(labels, numbers, strict=True) if k is None]
    if unknown:
        raise DataError(
            f"{source}: the target holds {some(unknown)}, which "
            f"{'is' if len(unknown) == 1 else 'are'} not among the classes "
            f"{some(list(map(repr, classes)))}. Leave those rows out, or train on them too."
        )
    return np.array(numbers, dtype=np.int64)[places.ravel()]


# Metrics ------------------------------------------------------------------------------------------


def classification_metrics(labels: Numbers, p: Floats, predicted: Any) -> Metrics:
    """Return accuracy and log-loss, and the area under the ROC curve for two classes.

    ``labels`` are class numbers, ``p`` is (m, classes), ``predicted`` are class numbers.
    """
    from sklearn.metrics import roc_auc_score

    eps = float(np.finfo(np.float32).eps)  # a probability of 0 would cost an infinite log-loss
    of_label = np.clip(p[np.arange(len(labels)), labels], eps, 1.0)
    found: Metrics = {
        "accuracy": float(np.mean(labels == predicted)),
        "log_loss": float(-np.mean(np.log(of_label))),
    }
    if p.shape[1] == 2:
        one_class = (labels == labels[0]).all()
        found["auc"] = None if one_class else float(roc_auc_score(labels, p[:, 1]))
    return found


def regression_metrics(y: Floats, predicted: Floats) -> Metrics:
    """Return the root mean squared error, the mean absolute error and R squared.

    >>> regression_metrics(np.array([0.0, 2.0]), np.array([1.0, 1.0]))
    {'rmse': 1.0, 'mae': 1.0, 'r2': 0.0}
    """
    error = predicted - y
    spread = float(np.sum((y - y.mean()) ** 2))
    return {
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mae": float(np.mean(np.abs(error))),
        "r2": 1 - float(np.sum(error**2)) / spread if spread > 0 else None,
    }


# Baselines ----------------------------------------------------------------------------------------


def majority_baseline(labels: Numbers, test: Numbers, k: int) -> dict[str, Metrics]:
    """Return the metrics of the majority class of ``labels``, and of their shares, on other rows.

    >>> majority_baseline(np.array([0, 0, 0, 1]), np.array([1, 0]), 2)["majority class"]["accuracy"]
    0.5
    """
    shares = np.bincount(labels, minlength=k) / len(labels)
    p = np.tile(shares, (len(test), 1))
    return {TASKS["multiclass"].baselines[0]: classification_metrics(test, p, shares.argmax())}


def mean_baseline(y: Floats, test: Floats) -> dict[str, Metrics]:
    """Return the metrics of the mean of y on other rows.

    >>> mean_baseline(np.array([1.0, 3.0]), np.array([2.0, 4.0]))["mean"]["mae"]
    1.0
    """
    return {
        TASKS["regression"].baselines[0]: regression_metrics(test, np.full(len(test), y.mean()))
    }


def classification_baselines(
    Z: NDArray[Any], labels: Numbers, Z_test: NDArray[Any], test: Numbers
) -> dict[str, Metrics]:
    """Return the metrics of the majority class and of logistic regression; Z is preprocessed."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    k = int(max(labels.max(), test.max())) + 1
    passes = int(np.clip(STEPS / (Z.size * k), 50, 1000))
    logistic = LogisticRegression(max_iter=passes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # still a fair baseline
        # How many classes there are in how many rows stands beside the task.
        warnings.filterwarnings("ignore", "The number of unique classes is greater", UserWarning)
        logistic.fit(Z, labels)
    q = np.zeros((len(test), k))
    q[:, logistic.classes_] = logistic.predict_proba(Z_test)
    return {
        **majority_baseline(labels, test, k),
        TASKS["multiclass"].baselines[1]: classification_metrics(test, q, q.argmax(axis=1)),
    }


def regression_baselines(
    Z: NDArray[Any], y: Floats, Z_test: NDArray[Any], test: Floats
) -> dict[str, Metrics]:
    """Return the metrics of the mean and of linear regression; Z is preprocessed.

    The regression has the L2 penalty that scikit-learn's logistic regression has too, 1: Z may
    have more columns than rows.
    """
    from sklearn.linear_model import Ridge

    linear = Ridge(alpha=1.0).fit(Z.astype(np.float64), y)
    return {
        **mean_baseline(y, test),
        TASKS["regression"].baselines[1]: regression_metrics(test, linear.predict(Z_test)),
    }


# What the figures show ----------------------------------------------------------------------------


def confusion(labels: Numbers, predicted: Numbers, k: int) -> Numbers:
    """Return how many rows of each true class (row) were predicted as each class (column).

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    return np.bincount(labels * k + predicted, minlength=k * k).reshape(k, k)


def calibration(labels: Numbers, predicted: Numbers, p: Floats) -> list[dict[str, float]]:
    """Return for each tenth of probability that occurs: its rows, the mean p, and how often true.

    For two classes p is that of the second; for more it is that of the predicted class.
    """
    if p.shape[1] == 2:
        stated, true = p[:, 1], labels == 1
    else:
        stated, true = p[np.arange(len(p)), predicted], labels == predicted
    number = np.minimum((stated * BINS).astype(np.int64), BINS - 1)
    return [
        {
            "low": k / BINS,
            "high": (k + 1) / BINS,
            "rows": int(np.sum(number == k)),
            "stated": float(stated[number == k].mean()),
            "true": float(true[number == k].mean()),
        }
        for k in np.unique(number).tolist()
    ]


def roc(labels: Numbers, p: Floats) -> dict[str, list[float]]:
    """Return the ROC curve, false against true positives, thinned; empty where one class occurs.

    >>> roc(np.array([0, 1]), np.array([0.2, 0.8]))
    {'false_positive': [0.0, 0.0, 1.0], 'true_positive': [0.0, 1.0, 1.0]}
    """
    from sklearn.metrics import roc_curve

    if (labels == labels[0]).all():
        return {"false_positive": [], "true_positive": []}
    false, true, _ = roc_curve(labels, p)
    kept = np.unique(np.linspace(0, len(false) - 1, ROC_POINTS).round().astype(np.int64))
    return {"false_positive": false[kept].tolist(), "true_positive": true[kept].tolist()}


def residuals(y: Floats, predicted: Floats) -> dict[str, list[float]]:
    """Return predicted and true numbers of the rows, every so many where they are over 2,000."""
    kept = np.unique(np.linspace(0, len(y) - 1, MOST_POINTS).round().astype(np.int64))
    return {"predicted": predicted[kept].tolist(), "true": y[kept].tolist()}
