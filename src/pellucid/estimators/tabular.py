"""TabularClassifier and TabularRegressor: a table as it is, with scikit-learn's signature."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted

from pellucid import persistence, philox
from pellucid.checks import (
    SEED,
    TRAINING,
    Check,
    Fault,
    check,
    faults_of,
    is_whole,
    refused_by,
    whole,
)
from pellucid.engines import permutation
from pellucid.errors import DataError, DataWarning, SettingsError
from pellucid.estimators.base import keep_parameters, progress_of
from pellucid.estimators.given import Given, classes_of, one_column
from pellucid.estimators.parameters import VERBOSE, EntryParameters
from pellucid.history import History
from pellucid.persistence import ModelFolder
from pellucid.tables.evaluate import as_learned, as_numbers, class_numbers, regression_metrics
from pellucid.tables.fit import Plan, fit, prepare
from pellucid.tables.frame import as_table, labels_of, weights_of
from pellucid.tables.model import TableModel, has_names
from pellucid.tables.model import from_folder as model_from_folder
from pellucid.tables.settings import TrainSettings
from pellucid.tables.strays import as_written, numbers_of, stray_cells
from pellucid.tables.table import Table, count
from pellucid.tables.totals import possible_totals
from pellucid.training.arguments import callbacks_of

_DEFAULT = TrainSettings()
"""Its values are the estimators' defaults too."""
_OWN = ("random_state", "n_threads", "callbacks", "verbose")
"""The parameters that are no settings of the same name."""


class _Tabular(EntryParameters, BaseEstimator):
    """What the two share: from rows to a Plan, to a TableModel in ``model_``, to predictions."""

    model_: TableModel

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        groups: Any = None,
        time: Any = None,
        target: str | None = None,
    ) -> Self:
        """Fit to a table, whose rows are examples, and a label or number for each row.

        Every column is used that is not dropped; for those that look misleading there is a
        :class:`~pellucid.errors.DataWarning`.

        Parameters
        ----------
        X : data frame, dict of columns, list of dicts or 2-D array
            A frame of pandas, polars, pyarrow or any library that narwhals knows.
        y : Series, list or array of shape (m,)
        sample_weight : array of shape (m,) or None
            What each row counts, 0 or more, in the loss, in telling the best epoch, in the shares
            of the classes and in the target's mean. Only their ratios matter. Medians and
            categories of the columns are those of all rows that count at all.
        X_val, y_val, sample_weight_val
            Rows of one's own that tell the best epoch: then one network trains on all of X. In a
            pipeline ``Pipeline(..., transform_input=["X_val"])`` transforms X_val too.
        groups : str or array of shape (m,), or None
            The rows of a group validate together: none of them trains the network whose best epoch
            they tell. A name is that of a column of X, which is then no input unless ``keep`` says
            so.
        time : str or array of shape (m,), or None
            What validates comes later than what trains: dates, numbers, or texts of them. A column
            of X that is named stays an input unless it is dropped.
        target : str or None
            The column of X that is y, where y is not given.
        """
        given = Given(y, sample_weight, X_val, y_val, sample_weight_val, groups, time, target)
        settings = self._settings()
        given.check(settings)
        rows = self._rows(X)
        name = given.take_target(rows)
        y, classes = self._labels(one_column(self, given.y))
        if classes is not None and len(classes) > 1:  # one alone is refused where all is checked
            task = "binary" if len(classes) == 2 else "multiclass"
            settings = dataclasses.replace(settings, task=task)
        model = self._fit(given.table(rows, y, name, settings), settings, has_names(X), given)
        if classes is not None:
            model.classes, model.label_dtype = classes.tolist(), classes.dtype.str
            self.classes_ = classes
        self._keep(model)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the class or number of each row, (m,).

        Categories that were not seen in training are taken without a warning; ``model_.unseen(X)``
        tells their rows.
        """
        return self._model().predict(self._rows(X, self._model()))

    def feature_importances(
        self, X: Any, y: Any, *, n_repeats: int = 5
    ) -> dict[str, tuple[float, float]]:
        """Return how much the score falls where a column is shuffled, the largest first.

        For each column that is used: the mean of ``n_repeats`` shuffles, and their standard
        deviation. The score is the accuracy, or R squared. Take rows that were not trained on.
        """
        check({"n_repeats": whole(1)}, {"n_repeats": n_repeats})
        model = self._model()
        Z, given = model.inputs(self._rows(X, model)), labels_of(y)
        if len(given) != len(Z) or not len(Z):
            raise DataError(
                f"X has {count(len(Z), 'row')} and y has {count(len(given), 'value')}; "
                "expected one value for each row, 1 or more."
            )
        labels = self._known_labels(given)
        intact = self._score(Z, labels)
        output_columns = np.array(model.preprocessing.output_columns)
        found = {}
        for k, name in enumerate(model.preprocessing.columns):
            mine = np.flatnonzero(output_columns == name)
            falls = []
            for repeat in range(n_repeats):
                order = permutation(repeat, len(Z), step=k)
                shuffled = Z.copy()
                shuffled[:, mine] = Z[np.ix_(order, mine)]
                falls.append(intact - self._score(shuffled, labels))
            found[name] = (float(np.mean(falls)), float(np.std(falls)))
        return dict(sorted(found.items(), key=lambda item: -item[1][0]))

    def save(self, path: Any, *, overwrite: bool = False, wait: float = 0.0) -> None:
        """Write a model folder; :func:`pellucid.load` reads it, and no pickle is involved.

        The arguments are those of :func:`pellucid.save`.
        """
        persistence.save(self._model(), path, overwrite=overwrite, wait=wait)

    def to_folder(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Return what a model folder holds of this estimator."""
        return self._model().to_folder()

    def _settings(self) -> TrainSettings:
        """The parameters as settings; one SettingsError names all that are wrong."""
        given = self.get_params(deep=False)
        faults = faults_of(_OWN_CHECKS, given)
        seed = 0 if "random_state" in dict(faults) else _seed(self.random_state)
        asked = {name: value for name, value in given.items() if name not in _OWN}
        try:
            settings = TrainSettings(task=self._task(), seed=seed, **asked)
        except SettingsError as error:
            faults = [*error.faults, *faults]
        if faults:
            raise SettingsError(*faults)
        return settings

    def _fit(self, table: Table, settings: TrainSettings, named: bool, given: Given) -> TableModel:
        plan = prepare(table, settings, leave_out=False, own_validation=given.X_val is not None)
        plan.warnings += [f"X: {note}." for note in possible_totals(table)]
        for warning in plan.warnings:  # at the line that called fit
            warnings.warn(warning, DataWarning, stacklevel=3)
        if given.X_val is not None:
            self._validate_on(plan, named, given)
        with progress_of(self.verbose, len(plan.networks)) as shown:
            model = fit(plan, [*callbacks_of(self.callbacks), *shown], self.n_threads)
        model.data["named"] = named
        return model

    def _validate_on(self, plan: Plan, named: bool, given: Given) -> None:
        """Let rows of the user's own tell the best epoch; DataError where they do not fit."""
        model, weights = plan.model(plan.networks, data={"named": named}), given.sample_weight_val
        Z = model.inputs(self._rows(given.X_val, model, "X_val"), "X_val")
        t = as_learned(model, given.y_val, "y_val")
        if len(t) != len(Z) or not len(Z):
            raise DataError(
                f"X_val has {count(len(Z), 'row')} and y_val has {count(len(t), 'value')}; "
                "expected one value for each row, 1 or more."
            )
        if weights is not None:
            weights = weights_of(weights, len(t), "sample_weight_val")
        plan.validate_on(Z, t, weights)

    def _keep(self, model: TableModel) -> None:
        """Set the fitted attributes."""
        self.model_ = model
        self.history_ = [History.from_dict(each) for each in model.histories]
        self.left_out_ = dict(model.data.get("left_out", {}))
        self.n_features_in_ = len(model.columns)
        self.__dict__.pop("feature_names_in_", None)
        if model.data.get("named", True):
            self.feature_names_in_ = np.array(model.columns, dtype=object)

    def _model(self) -> TableModel:
        if not hasattr(self, "model_"):
            check_is_fitted(self)
        return self.model_

    def _rows(self, X: Any, model: TableModel | None = None, source: str = "X") -> Any:
        """X as it is, or where it is no table, an array that scikit-learn has checked.

        ``model`` is what the rows are for; None where it is to be fitted to them.
        """
        if has_names(X):
            return X if model is None else self._by_position(X, model, source)
        masked = isinstance(X, np.ma.MaskedArray)  # check_array would drop the mask
        if not masked and (model is None or not _is_plain(X)):
            X = check_array(
                X,
                dtype=None,
                ensure_all_finite=False,
                allow_nd=getattr(X, "ndim", 2) == 4,
                ensure_min_samples=2 if model is None else 1,
                estimator=self,
            )
        if model is not None and X.ndim == 2:
            self._check_width(X.shape[1], model, source)
        return X

    def _by_position(self, X: Any, model: TableModel, source: str) -> Any:
        """X as it is, or where the model knows no names and X has others, with the model's."""
        if model.data.get("named", True):
            return X
        table = as_table(X, source=source)
        if set(table.columns) == set(model.columns):
            return X
        warnings.warn(
            f"{source} has feature names, but {type(self).__name__} was fitted without feature "
            "names; its columns are taken by their position",
            UserWarning,
            stacklevel=4,
        )
        self._check_width(len(table.columns), model, source)
        columns = dict(zip(model.columns, table.columns.values(), strict=True))
        return Table(columns, source=source)

    def _check_width(self, width: int, model: TableModel, source: str) -> None:
        n = len(model.columns)
        if width != n:
            raise DataError(
                f"{source} has {width} features, but {type(self).__name__} is expecting {n} "
                "features as input: one row per example, the columns as in training. Pass a data "
                "frame or a dict to have columns found by name."
            )

    def _task(self) -> str | None:
        return None

    def _labels(self, y: Any) -> tuple[Any, NDArray[Any] | None]:
        """y as a table takes it, and its classes in their own dtype, where it has any."""
        raise NotImplementedError

    def _known_labels(self, y: NDArray[Any]) -> NDArray[Any]:
        """y as :meth:`_score` takes it; DataError where it is no target of this model."""
        raise NotImplementedError

    def _score(self, Z: NDArray[np.float32], y: NDArray[Any]) -> float:
        raise NotImplementedError

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


class TabularClassifier(ClassifierMixin, _Tabular):
    """P(class) = mean over networks of A[L]: classes from a table with columns of any kind.

    Columns may hold numbers, texts, truth values, dates, and be incomplete; what becomes of them
    is fitted on training rows alone (:class:`~pellucid.tables.Preprocessing`). No column is left
    out that is not dropped; a :class:`~pellucid.errors.DataWarning` names those that look
    misleading, such as row numbers. Rows that are not trained on tell the best epoch. The recipe is
    that of Holzmueller, Grinsztajn, Steinwart 2024 (arXiv:2407.04491), with changes
    (``pellucid.tables.recipe``).

    Parameters
    ----------
    hidden_layer_sizes : tuple of int
        Units of each hidden layer. n[1], ..., n[L-1]; () has no hidden layer: logistic or linear
        regression.
    activation : str or Activation or None
        Activation of the hidden layers. None is selu for classes, mish for numbers.
    optimizer : str or Optimizer
        The optimizer. An object brings coefficients of its own: ``Momentum(beta=0.8)``.
    learning_rate : float or None
        Size of the steps. None is 0.04 for classes and 0.07 for numbers with adam, adamw and
        rmsprop, else the optimizer's own. The steps of these three do not know the size of a
        gradient.
    epochs : int
        Maximum number of passes over the training rows.
    batch_size : int or None
        Rows per step. None is chosen from the number of rows.
    patience : int
        Stop after this many epochs without a better validation loss; 0: never. The best epoch's
        parameters are kept in any case.
    l2 : float
        L2 penalty on the weights.
    dropout : float
        Share of hidden units dropped at each step.
    label_smoothing : float or None
        Share of each row's label that is spread over all classes. None is 0.05 if the classes are
        about equal in size, else 0. About equal: none has less than half of an equal share, each
        row counted with its weight by ``class_weight``. Smoothing pulls probabilities towards equal
        shares.
    validation_fraction : float
        Share of the rows that tells the best epoch, where one network is trained.
    ensemble : int or None
        Networks to average, each without one fold of the rows. None is 5 below 2,000 rows, else 1.
        The fold that a network does not see tells its best epoch. With rows of one's own for
        validation it is 1.
    class_weight : dict or str or None
        A factor for each class; one that is not named has 1. "balanced" gives every class the same
        total weight.
    categorical : tuple of str
        Columns whose numbers are codes, such as zip codes.
    drop : tuple of str
        Columns that are not used.
    keep : tuple of str
        Columns to use even if they look like row numbers or the target itself.
    random_state : int, RandomState or None
        The default is 0: the same table gives the same model.
    n_threads : int or None
    callbacks : list of Callback or None
        They see each network's training.
    statistics : bool
        Keep what a diagnosis reads; it holds no row of the data.
    verbose : bool
        Show the progress.

    Attributes
    ----------
    classes_ : array
        The labels, sorted, in their own dtype.
    model_ : TableModel
        Preprocessing and networks; it predicts alone.
    history_ : list of History
        One for each network.
    left_out_ : dict
        The columns that are not used, and why: those dropped, and the one that names the groups.
    n_features_in_, feature_names_in_

    Examples
    --------
    >>> table = {"size": [1.0, 2.0, None, 8.0, 9.0, 7.0] * 5, "color": ["red", "blue", "red"] * 10}
    >>> kinds = ["small", "small", "small", "large", "large", "large"] * 5
    >>> clf = TabularClassifier((16,), epochs=20, ensemble=1).fit(table, kinds)
    >>> clf.predict({"size": [1.5, 8.5], "color": [None, "green"]})
    array(['small', 'large'], dtype='<U5')
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = _DEFAULT.hidden_layer_sizes,
        *,
        activation: Any = _DEFAULT.activation,
        optimizer: Any = _DEFAULT.optimizer,
        learning_rate: float | None = _DEFAULT.learning_rate,
        epochs: int = _DEFAULT.epochs,
        batch_size: int | None = _DEFAULT.batch_size,
        patience: int = _DEFAULT.patience,
        l2: float = _DEFAULT.l2,
        dropout: float = _DEFAULT.dropout,
        label_smoothing: float | None = _DEFAULT.label_smoothing,
        validation_fraction: float = _DEFAULT.validation_fraction,
        ensemble: int | None = _DEFAULT.ensemble,
        class_weight: Any = _DEFAULT.class_weight,
        categorical: Any = _DEFAULT.categorical,
        drop: Any = _DEFAULT.drop,
        keep: Any = _DEFAULT.keep,
        random_state: Any = _DEFAULT.seed,
        n_threads: int | None = None,
        callbacks: Any = None,
        statistics: bool = True,
        verbose: bool = False,
    ) -> None:
        keep_parameters(self, locals())

    def _labels(self, y: Any) -> tuple[Any, NDArray[Any] | None]:
        classes, canonical = classes_of(y)
        numbers = numbers_of(canonical)
        if numbers is not None:
            warnings.warn(
                f"y holds numbers, except {stray_cells(canonical, numbers)} (counted from 1): "
                "these count as classes too. Leave out the rows whose class is not known.",
                DataWarning,
                stacklevel=3,
            )
        return canonical, classes

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return a column of probabilities for each class, in the order of ``classes_``."""
        return self._model().predict_proba(self._rows(X, self._model()))

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the logarithm of :meth:`predict_proba`; that of 0 is -inf."""
        with np.errstate(divide="ignore"):
            log: NDArray[np.float64] = np.log(self.predict_proba(X))
        return log

    def _known_labels(self, y: NDArray[Any]) -> NDArray[Any]:
        return class_numbers(y, self.model_.classes)

    def _score(self, Z: NDArray[np.float32], y: NDArray[Any]) -> float:
        model = self.model_
        return float(np.mean(model.class_numbers(model.probabilities(Z)) == y))


class TabularRegressor(RegressorMixin, _Tabular):
    """y = mean + std * (mean over networks of A[L]): numbers from a table with columns of any kind.

    As :class:`TabularClassifier`, for a target of numbers, which is standardised: the networks
    learn (y - mean) / std by mean squared error.

    Parameters
    ----------
    hidden_layer_sizes, activation, optimizer, learning_rate, epochs, batch_size, patience, l2, \
dropout, validation_fraction, ensemble, categorical, drop, keep, random_state, n_threads, \
callbacks, statistics, verbose
        As of TabularClassifier.

    Attributes
    ----------
    model_, history_, left_out_, n_features_in_, feature_names_in_
        As of TabularClassifier.

    Examples
    --------
    >>> x = np.linspace(-1, 1, 50)
    >>> table = {"x": x, "wing": ["left", "right"] * 25}
    >>> reg = TabularRegressor((16,), ensemble=1).fit(table, x**2)
    >>> bool(reg.score(table, x**2) > 0.9)
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = _DEFAULT.hidden_layer_sizes,
        *,
        activation: Any = _DEFAULT.activation,
        optimizer: Any = _DEFAULT.optimizer,
        learning_rate: float | None = _DEFAULT.learning_rate,
        epochs: int = _DEFAULT.epochs,
        batch_size: int | None = _DEFAULT.batch_size,
        patience: int = _DEFAULT.patience,
        l2: float = _DEFAULT.l2,
        dropout: float = _DEFAULT.dropout,
        validation_fraction: float = _DEFAULT.validation_fraction,
        ensemble: int | None = _DEFAULT.ensemble,
        categorical: Any = _DEFAULT.categorical,
        drop: Any = _DEFAULT.drop,
        keep: Any = _DEFAULT.keep,
        random_state: Any = _DEFAULT.seed,
        n_threads: int | None = None,
        callbacks: Any = None,
        statistics: bool = True,
        verbose: bool = False,
    ) -> None:
        keep_parameters(self, locals())

    def _labels(self, y: Any) -> tuple[Any, None]:
        return as_written(labels_of(y), "y"), None

    def _task(self) -> str:
        return "regression"

    def _known_labels(self, y: NDArray[Any]) -> NDArray[Any]:
        numbers = as_numbers(y, "y")
        if np.ptp(numbers) == 0:
            raise DataError(
                f"y is {numbers[0]:g} in every row, so R squared, by which columns are compared, "
                "is not defined. Use rows in which y differs."
            )
        return numbers

    def _score(self, Z: NDArray[np.float32], y: NDArray[Any]) -> float:
        return float(regression_metrics(y, self.model_.answers(Z))["r2"] or 0.0)


def from_folder(folder: ModelFolder) -> TabularClassifier | TabularRegressor:
    """Return the fitted estimator of a folder of the kind "tabular"."""
    model = model_from_folder(folder)
    kind: type[Any] = TabularRegressor if model.task == "regression" else TabularClassifier
    names = [name for name in kind().get_params(deep=False) if name not in _OWN]
    try:
        settings = TrainSettings.from_dict(model.settings)
    except (TypeError, ValueError) as error:
        raise folder.damaged(f"the entry 'settings' of model.json is wrong: {error}") from None
    estimator: TabularClassifier | TabularRegressor = kind(
        random_state=settings.seed, **{name: getattr(settings, name) for name in names}
    )
    if isinstance(estimator, TabularClassifier):
        estimator.classes_ = model.labels()
    try:
        estimator._keep(model)
    except (AttributeError, TypeError, ValueError) as error:
        raise folder.damaged(f"its history or data are wrong: {error}") from None
    return estimator


def _seed(random_state: Any) -> int:
    if is_whole(random_state):
        return philox.check_seed(int(random_state))
    return int(check_random_state(random_state).randint(2**31))


_OWN_CHECKS: dict[str, Fault] = {
    "random_state": Check(
        f"{SEED.expected}, a RandomState or None",
        lambda value: value is None or isinstance(value, RandomState) or SEED.fits(value),
    ),
    "n_threads": TRAINING["n_threads"],
    "callbacks": lambda value: refused_by(callbacks_of, value).removeprefix("callbacks "),
    "verbose": VERBOSE,
}
"""What the parameters that are no settings must be."""


def _is_plain(X: Any) -> bool:
    """Whether X is what :meth:`TableModel.inputs` takes the short way, and has rows."""
    return type(X) is np.ndarray and X.ndim == 2 and X.dtype.kind == "f" and len(X) > 0
