"""MLPRegressor: scikit-learn's, on a Network."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from pellucid.estimators.base import (
    BaseMLP,
    keep_parameters,
    own_validation,
    steps_through_batches,
)
from pellucid.estimators.labels import OfNumbers, as_one
from pellucid.training import Run


class MLPRegressor(OfNumbers, BaseMLP):
    """A[L] = W[L] ... g(W[1] X + b[1]) ... + b[L], fitted by minimising 1/2 sum (a - y)^2.

    scikit-learn's :class:`~sklearn.neural_network.MLPRegressor`: the same parameters, attributes,
    numbers for the same ``random_state``, and warnings. X has an example in each row. With several
    outputs scikit-learn follows the gradient of 1/2 the *sum* over outputs and reports the mean;
    the fitted model here is the same, and ``loss_`` is what was minimised: the sum.

    Parameters
    ----------
    loss : str or Loss, default "squared_error"
        "squared_error" (1/2 sum over outputs), "poisson" (the output is then exp), or another of
        :data:`pellucid.losses.LOSSES`: "mean_absolute_error", "huber", ``Quantile(q=0.9)``, ...
    hidden_layer_sizes : int or list, default (100,)
        n[1], ..., n[L-1].
    activation : str, Activation or list, default "relu"
        g of the hidden layers: a name, an object, or a list with one for each.

    Everything else as in :class:`MLPClassifier`, ``class_weight`` excepted.

    Attributes
    ----------
    As in :class:`MLPClassifier`, ``classes_`` excepted; the validation score is R^2.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(200, 5, random_state=0)
    >>> reg = MLPRegressor(hidden_layer_sizes=20, solver="lbfgs", tol=0.1, random_state=0)
    >>> bool(reg.fit(X, y).score(X, y) > 0.99)
    True
    """

    class_weight = None

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        initializer: Any = None,
        optimizer: Any = None,
        schedule: Any = "constant",
        gradient_clip: Any = None,
        callbacks: Any = None,
        statistics: bool = True,
        dtype: Any = None,
        n_threads: int | None = None,
        engine: str = "auto",
    ) -> None:
        keep_parameters(self, locals())

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        validation_data: tuple[Any, ...] | None = None,
    ) -> MLPRegressor:
        """Fit to X, (m, n[0]), and y, m numbers or an (m, n[L]) matrix.

        The loss of ``X_val``, ``y_val``, weighted by ``sample_weight_val``, is recorded each epoch,
        and with ``early_stopping`` they take the place of the part held out. A pipeline transforms
        ``X_val`` as it does X with ``Pipeline(..., transform_input=["X_val"])``.
        ``validation_data``, (X_val, y_val) or (X_val, y_val, weights), is the short form; a
        pipeline leaves it as it is.
        """
        validation = own_validation(X_val, y_val, sample_weight_val, validation_data)
        fitted: MLPRegressor = self._fit(X, y, sample_weight, validation)
        return fitted

    @available_if(steps_through_batches)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Go on for one epoch over these rows."""
        fitted: MLPRegressor = self._fit(X, y, sample_weight, incremental=True)
        return fitted

    def predict(self, X: Any) -> NDArray[Any]:
        """Return A[L]: (m,) for one output, else (m, n[L])."""
        return self._predictions(self._forward(X))

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=True,
            dtype=self._dtypes(),
            reset=reset,
        )
        return X, as_one(y)

    def _validation_score(self, run: Run) -> float:
        A: Any = run.validation_output
        data: Any = run.validation
        if not np.isfinite(A).all():
            return float("nan")
        return r_squared(data.targets.T, A.T, data.weights)


def r_squared(y: NDArray[Any], found: NDArray[Any], weight: NDArray[Any] | None) -> float:
    """Return scikit-learn's r2_score, in the usual case without its checks.

    >>> r_squared(np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [2.0]]), None)
    0.5
    """
    if weight is None and y.shape[1] == 1 and y.dtype == found.dtype:
        rest = np.sum((y - found) ** 2, axis=0)
        all_of_it = np.sum((y - np.average(y, axis=0)) ** 2, axis=0)
        if len(y) > 1 and rest[0] != 0 and all_of_it[0] != 0:
            return float(1 - rest[0] / all_of_it[0])
    return float(r2_score(y, found, sample_weight=weight))
