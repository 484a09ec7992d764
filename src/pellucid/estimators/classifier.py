"""MLPClassifier: scikit-learn's, on a Network."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import validate_data

from pellucid.estimators.base import (
    BaseMLP,
    keep_parameters,
    own_validation,
    steps_through_batches,
)
from pellucid.estimators.labels import OfClasses, as_one
from pellucid.tasks import TASKS
from pellucid.training import Run


class MLPClassifier(OfClasses, BaseMLP):
    """A[L] = softmax(W[L] ... g(W[1] X + b[1]) ... + b[L]), fitted by minimising cross-entropy.

    scikit-learn's :class:`~sklearn.neural_network.MLPClassifier`: the same parameters, attributes,
    numbers for the same ``random_state``, and warnings. X has an example in each row. Two classes,
    and several labels at once, have sigmoid outputs; more classes softmax. Everything after
    ``max_fun`` is an extra.

    Parameters
    ----------
    hidden_layer_sizes : int or list, default (100,)
        n[1], ..., n[L-1].
    activation : str, Activation or list, default "relu"
        g of the hidden layers: a name ("logistic" is "sigmoid"), an object such as
        ``LeakyReLU(slope=0.1)``, or a list with one for each.
    solver : {"adam", "sgd", "lbfgs"}
    alpha : float
        The L2 penalty (not the learning rate): J has alpha/2 sum W^2 / (total weight of the batch).
    batch_size : int or "auto"
        "auto" is min(200, m).
    learning_rate : {"constant", "invscaling", "adaptive"}
        For "sgd": how alpha of the lectures changes; ``power_t`` is the exponent of "invscaling".
    learning_rate_init : float
        The learning rate.
    max_iter : int
        Epochs at most; for "lbfgs" iterations.
    shuffle : bool
    random_state : int, RandomState or None
    tol, n_iter_no_change : float, int
        Stop when the loss (with ``early_stopping`` the score) has not improved by tol for so many
        epochs.
    verbose, warm_start : bool
    momentum, nesterovs_momentum : float, bool
        For "sgd".
    early_stopping, validation_fraction : bool, float
        Hold out a part and keep the parameters of its best epoch.
    beta_1, beta_2, epsilon : float
        For "adam".
    max_fun : int
        For "lbfgs": passes over the data at most.
    loss : str or Loss
        "log_loss", or another of :data:`pellucid.losses.LOSSES`, such as "mean_squared_error".
    dropout : float or list
        The share of hidden units left out at each step, for all layers or each.
    class_weight : dict, list of dict, "balanced" or None
        A factor for each class; with several labels at once a dict of factors of 0 and 1 for each.
    initializer : str, Initializer or None
        None draws as scikit-learn does.
    optimizer : str, Optimizer or None
        Any of :data:`pellucid.optimizers.OPTIMIZERS`, in place of ``solver``.
    schedule : str or Schedule
        The learning rate over the steps. With one, reaching ``max_iter`` is no reason to warn.
    gradient_clip : float, tuple or None
        A bound on the norm of the gradient, or ("value", bound) on each entry.
    callbacks : list of Callback or None
        ``clone`` copies them, as it does every parameter: one that holds a lock or an open file
        needs a ``__deepcopy__`` of its own.
    statistics : bool
        Take what :func:`pellucid.diagnose` reads, as it fits: no row of the data. ``partial_fit``
        takes none.
    dtype : "float32", "float64" or None
        None computes in X's dtype.
    n_threads : int or None
    engine : str

    Attributes
    ----------
    coefs_, intercepts_ : lists of arrays
        W[l]^T of shape (n[l-1], n[l]), and b[l] of shape (n[l],). Writing into them counts.
    network_ : Network
        The same parameters in the lectures' layout.
    classes_, n_features_in_, feature_names_in_, n_iter_, n_layers_, n_outputs_, out_activation_
    loss_, best_loss_, loss_curve_, t_
    validation_scores_, best_validation_score_
        With ``early_stopping``; else None.
    validation_loss_curve_ : list
        The loss of the validation part, where there is one.
    history_ : History

    References
    ----------
    The lectures; Glorot, Bengio 2010 (initial weights); Kingma, Ba 2015 (Adam).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier((8,), max_iter=1000, learning_rate_init=0.01, random_state=0).fit(X, y)
    >>> bool(clf.score(X, y) > 0.95)
    True
    >>> clf.network_
    <Network 4-8-3, 67 parameters, float64>
    """

    def __init__(
        self,
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
        loss: Any = "log_loss",
        dropout: Any = 0.0,
        class_weight: Any = None,
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
    ) -> MLPClassifier:
        """Fit to X, (m, n[0]), and y, m labels or an (m, labels) matrix of 0 and 1.

        The loss of ``X_val``, ``y_val``, weighted by ``sample_weight_val``, is recorded each epoch,
        and with ``early_stopping`` they take the place of the part held out. A pipeline transforms
        ``X_val`` as it does X with ``Pipeline(..., transform_input=["X_val"])``.
        ``validation_data``, (X_val, y_val) or (X_val, y_val, weights), is the short form; a
        pipeline leaves it as it is.
        """
        validation = own_validation(X_val, y_val, sample_weight_val, validation_data)
        fitted: MLPClassifier = self._fit(X, y, sample_weight, validation)
        return fitted

    @available_if(steps_through_batches)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> MLPClassifier:
        """Go on for one epoch over these rows; the first call names all ``classes``."""
        if _check_partial_fit_first_call(self, classes):
            several = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if several else classes)
        fitted: MLPClassifier = self._fit(X, y, sample_weight, incremental=True)
        return fitted

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the class of each row: the largest output; of two, the second above 1/2."""
        return self._labels(self._forward(X))

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return a column of probabilities for each class, in the order of ``classes_``."""
        return self._probabilities(self._forward(X))

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Return the logarithm of :meth:`predict_proba`."""
        P = self.predict_proba(X)
        log: NDArray[Any] = np.log(P, out=P)
        return log

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            dtype=self._dtypes(),
            reset=reset,
        )
        y = as_one(y)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._fit_labels(y)
        else:
            self._check_classes(unique_labels(y))
        return X, self._columns(y)

    def _check_classes(self, classes: NDArray[Any]) -> None:
        if self.warm_start and set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {classes}"
            )
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                "`y` has classes not in `self.classes_`. "
                f"`self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    def _stratified(self) -> bool:
        return bool(self.n_outputs_ == 1)

    def _validation_score(self, run: Run) -> float:
        A: Any = run.validation_output
        data: Any = run.validation
        if not np.isfinite(A).all():
            return float("nan")
        return float(np.average(self._right(data.targets, A), weights=data.weights))

    def _right(self, Y: NDArray[Any], A: NDArray[Any]) -> NDArray[np.bool_]:
        """Which examples get their label, (m,). Labels themselves take ten times as long."""
        right: NDArray[np.bool_]
        if self._task() is TASKS["multiclass"]:
            right = A.argmax(axis=0) == (Y if Y.ndim == 1 else Y.argmax(axis=0))
        elif len(self.classes_) == 1:
            right = np.ones(A.shape[1], dtype=bool)
        else:
            right = ((A > 0.5) == (Y > 0.5)).all(axis=0)
        return right
