"""How good predictions are on rows that were held out, beside two plain predictors.

The baselines: the majority class (the mean), and a logistic (linear) regression, which the
lectures call the network with no hidden layer.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
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


def classification_metrics(labels: NDArray[np.int64], p: Floats, predicted: Any) -> Metrics:
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


def classification_baselines(
    Z: Floats, labels: NDArray[np.int64], Z_test: Floats, test: NDArray[np.int64]
) -> dict[str, Metrics]:
    """Return the metrics of the majority class and of logistic regression; Z is standardised."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    k = int(labels.max()) + 1
    shares = np.bincount(labels, minlength=k) / len(labels)
    p = np.tile(shares, (len(test), 1))
    logistic = LogisticRegression(max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # still a fair baseline
        logistic.fit(Z, labels)
    q = logistic.predict_proba(Z_test)
    return {
        "majority class": classification_metrics(test, p, shares.argmax()),
        "logistic regression": classification_metrics(test, q, q.argmax(axis=1)),
    }


def regression_baselines(Z: Floats, y: Floats, Z_test: Floats, test: Floats) -> dict[str, Metrics]:
    """Return the metrics of the mean and of linear regression; Z is standardised."""
    from sklearn.linear_model import LinearRegression

    linear = LinearRegression().fit(Z, y)
    return {
        "mean": regression_metrics(test, np.full(len(test), y.mean())),
        "linear regression": regression_metrics(test, linear.predict(Z_test)),
    }
