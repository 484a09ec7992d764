"""TabularClassifier and TabularRegressor: a table as it is, with scikit-learn's signature."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from pellucid import persistence, philox
from pellucid.callbacks import Callback
from pellucid.errors import DataError, DataWarning, SettingsError
from pellucid.estimators.base import keep_parameters
from pellucid.history import History
from pellucid.insight import Watch
from pellucid.persistence import ModelFolder
from pellucid.tables.evaluate import as_numbers, class_numbers, regression_metrics
from pellucid.tables.fit import Plan, fit, prepare
from pellucid.tables.frame import as_table, labels_of
from pellucid.tables.model import TableModel, has_names
from pellucid.tables.model import from_folder as model_from_folder
from pellucid.tables.screen import DROPPED
from pellucid.tables.settings import TrainSettings
from pellucid.tables.strays import as_written, numbers_of, stray_cells
from pellucid.tables.table import Table, some
from pellucid.tables.totals import possible_totals
from pellucid.training.arguments import callbacks_of, is_whole

_DEFAULT = TrainSettings()
"""Its values are the estimators' defaults too."""
_OWN = ("random_state", "n_threads", "callbacks", "verbose")
"""The parameters that are no settings of the same name."""


class _Tabular(BaseEstimator):
    """What the two share: from rows to a Plan, to a TableModel in ``model_``, to predictions."""

    model_: TableModel

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the class or number of each row, (m,).

        Categories that were not seen in training are taken without a warning; ``model_.unseen(X)``
        tells their rows.
        """
        return self._model().predict(self._rows(X))

    def feature_importances(
        self, X: Any, y: Any, *, n_repeats: int = 5
    ) -> dict[str, tuple[float, float]]:
        """Return how much the score falls where a column is shuffled, the largest first.

        For each column that is used: the mean of ``n_repeats`` shuffles, and their standard
        deviation. The score is the accuracy, or R squared. Take rows that were not trained on.
        """
        if not is_whole(n_repeats):
            raise ValueError(f"n_repeats must be a whole number of 1 or more; got {n_repeats!r}.")
        model = self._model()
        Z, given = model.inputs(self._rows(X)), labels_of(y)
        if len(given) != len(Z) or not len(Z):
            raise DataError(
                f"X has {len(Z)} rows and y has {len(given)} values; expected as many, 1 or more."
            )
        labels = self._known_labels(given)
        whole = self._score(Z, labels)
        output_columns = np.array(model.preprocessing.output_columns)
        found = {}
        for k, name in enumerate(model.preprocessing.columns):
            mine = np.flatnonzero(output_columns == name)
            falls = []
            for repeat in range(n_repeats):
                order = philox.permutation(repeat, len(Z), step=k)
                shuffled = Z.copy()
                shuffled[:, mine] = Z[np.ix_(order, mine)]
                falls.append(whole - self._score(shuffled, labels))
            found[name] = (float(np.mean(falls)), float(np.std(falls)))
        return dict(sorted(found.items(), key=lambda item: -item[1][0]))

    def save(self, path: Any, *, overwrite: bool = False) -> None:
        """Write a model folder; :func:`pellucid.load` reads it, and no pickle is involved."""
        persistence.save(self._model(), path, overwrite=overwrite)

    def to_folder(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Return what a model folder holds of this estimator."""
        return self._model().to_folder()

    def _settings(self) -> TrainSettings:
        """The parameters as settings; one SettingsError names all that are wrong."""
        faults: list[tuple[str, str]] = []
        seed = 0
        try:
            seed = _seed(self.random_state)
        except (TypeError, ValueError):
            expected = "a whole number of 0 to 2^64 - 1, a RandomState or None"
            faults.append(("random_state", f"must be {expected}; got {self.random_state!r}."))
        if self.n_threads is not None and not is_whole(self.n_threads):
            faults.append(("n_threads", f"must be 1 or more, or None; got {self.n_threads!r}."))
        try:
            callbacks_of(self.callbacks)
        except TypeError as error:
            faults.append(("", str(error)))
        given = self.get_params(deep=False)
        asked = {name: value for name, value in given.items() if name not in _OWN}
        try:
            settings = TrainSettings(task=self._task(), seed=seed, **asked)
        except SettingsError as error:
            faults = [*error.faults, *faults]
        if faults:
            raise SettingsError(*faults)
        return settings

    def _fit(self, table: Table, settings: TrainSettings, named: bool) -> TableModel:
        plan = prepare(table, settings)
        plan.warnings += [f"X: {note}." for note in possible_totals(table)]
        _warn(plan)
        with self._progress(len(plan.networks)) as shown:
            model = fit(plan, [Watch(), *callbacks_of(self.callbacks), *shown], self.n_threads)
        model.data["named"] = named
        return model

    @contextlib.contextmanager
    def _progress(self, networks: int) -> Iterator[list[Callback]]:
        """What shows the progress where it is asked for; the terminal is given back at the end."""
        if not self.verbose:
            yield []
            return
        from rich.console import Console

        from pellucid._progress import progress

        shown = progress(Console(stderr=True), networks)
        try:
            yield [shown]
        finally:
            shown.stop()

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

    def _rows(self, X: Any, fitting: bool = False) -> Any:
        """X as it is, or where it is no table, an array that scikit-learn has checked."""
        if has_names(X):
            return X if fitting else self._by_position(X)
        masked = isinstance(X, np.ma.MaskedArray)  # check_array would drop the mask
        if masked or (_is_plain(X) and not fitting):
            return X
        return check_array(
            X,
            dtype=None,
            ensure_all_finite=False,
            allow_nd=getattr(X, "ndim", 2) == 4,
            ensure_min_samples=2 if fitting else 1,
            estimator=self,
        )

    def _by_position(self, X: Any) -> Any:
        """X as it is, or where the model knows no names and X has others, with the model's."""
        model = self._model()
        if model.data.get("named", True):
            return X
        table = as_table(X)
        if set(table.columns) == set(model.columns):
            return X
        warnings.warn(
            f"X has feature names, but {type(self).__name__} was fitted without feature names; "
            "its columns are taken by their position",
            UserWarning,
            stacklevel=4,
        )
        if len(table.columns) != len(model.columns):
            raise DataError(
                f"X has {len(table.columns)} features, but {type(self).__name__} is expecting "
                f"{len(model.columns)} features as input."
            )
        columns = dict(zip(model.columns, table.columns.values(), strict=True))
        return Table(columns, source=table.source)

    def _task(self) -> str | None:
        return None

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
    is fitted on training rows alone (:class:`~pellucid.tables.Preprocessing`). Columns that would
    mislead, such as row numbers, are left out with a :class:`~pellucid.errors.DataWarning`. Rows
    that are not trained on tell the best epoch. The recipe is that of Holzmueller, Grinsztajn,
    Steinwart 2024 (arXiv:2407.04491), with changes (``pellucid.tables.recipe``).

    Parameters
    ----------
    hidden_layer_sizes : int or tuple
        n[1], ..., n[L-1].
    activation : str, Activation or None
        g of the hidden layers.
    optimizer : str or Optimizer
    learning_rate : float or None
        None is 0.04 for classes and 0.07 for numbers with Adam, AdamW and RMSProp, whose steps do
        not know the size of a gradient; with the others it is the optimizer's own.
    batch_size : int or None
        None is chosen from the number of rows.
    epochs, patience : int
        Epochs at most, and epochs without improvement after which to stop; 0 never does.
    l2, dropout : float
    label_smoothing : float or None
        None is 0.05 where the classes are about equal: where none has less than half of an equal
        share, each row counted with its weight by ``class_weight``. Else it is 0, as smoothing
        pulls probabilities towards equal shares.
    validation_fraction : float
        The share of the rows that tells the best epoch, where one network is trained.
    ensemble : int or None
        1 network, or k of 2 or more, each trained without one of k folds; None is 5 below 2,000
        rows, else 1.
    class_weight : dict, "balanced" or None
        A factor for each class; one that is not named has 1.
    categorical : list of str
        Columns of numbers that are codes, such as a zip code.
    drop, keep : list of str
        Columns to leave out, and to use although they look misleading.
    random_state : int, RandomState or None
        The default is 0: the same table gives the same model.
    n_threads : int or None
    callbacks : list of Callback or None
        They see each network's training.
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
        The columns that are not used, and why.
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
        verbose: bool = False,
    ) -> None:
        keep_parameters(self, locals())

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to a table, whose rows are examples, and a label for each row.

        X is a DataFrame (pandas, polars, pyarrow, ...), a dict of columns, a list of dicts or a 2-D
        array; y a Series, list or array.
        """
        settings = self._settings()
        table = as_table(self._rows(X, fitting=True), drop=settings.drop)
        y = _one_column(self, y)
        classes, canonical = _classes_of(y)
        numbers = numbers_of(canonical)
        if numbers is not None:
            warnings.warn(
                f"y holds numbers, but for {stray_cells(canonical, numbers)} (counted from 1): "
                "taken as classes too. Leave out the rows whose class is not known.",
                DataWarning,
                stacklevel=2,
            )
        if len(classes) > 1:  # one class only is refused where everything else is checked
            task = "binary" if len(classes) == 2 else "multiclass"
            settings = dataclasses.replace(settings, task=task)
        table = as_table(table, y=canonical, target=_name(y))
        model = self._fit(table, settings, named=has_names(X))
        model.classes, model.label_dtype = classes.tolist(), classes.dtype.str
        self.classes_ = classes
        self._keep(model)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return a column of probabilities for each class, in the order of ``classes_``."""
        return self._model().predict_proba(self._rows(X))

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
callbacks, verbose
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
        verbose: bool = False,
    ) -> None:
        keep_parameters(self, locals())

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to a table, whose rows are examples, and a number for each row, also as texts."""
        settings = self._settings()
        table = as_table(self._rows(X, fitting=True), drop=settings.drop)
        y = _one_column(self, y)
        table = as_table(table, y=y, target=_name(y))
        table = dataclasses.replace(table, y=as_written(np.asarray(table.y), "y"))
        self._keep(self._fit(table, settings, named=has_names(X)))
        return self

    def _task(self) -> str:
        return "regression"

    def _known_labels(self, y: NDArray[Any]) -> NDArray[Any]:
        numbers = as_numbers(y, "y")
        if np.ptp(numbers) == 0:
            raise DataError(
                f"y is {numbers[0]:g} in every row, so that R squared, by which columns are "
                "compared, is not defined. Take rows in which it differs."
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
    if isinstance(random_state, (int, np.integer)) and not isinstance(random_state, bool):
        return philox.check_seed(int(random_state))
    if isinstance(random_state, bool):
        raise TypeError
    return int(check_random_state(random_state).randint(2**31))


def _is_plain(X: Any) -> bool:
    """Whether X is what :meth:`TableModel.inputs` takes the short way, and has rows."""
    return type(X) is np.ndarray and X.ndim == 2 and X.dtype.kind == "f" and len(X) > 0


def _one_column(estimator: Any, y: Any) -> Any:
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y "
            "is None."
        )
    if isinstance(y, np.ndarray) and y.ndim == 2 and y.shape[1] == 1:
        return column_or_1d(y, warn=True)
    return y


def _name(y: Any) -> str:
    name = getattr(y, "name", None)
    return "y" if name is None or callable(name) else str(name)


def _classes_of(y: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """The labels, sorted, as they were given, and y as a table holds it."""
    given = np.asarray(y).ravel()
    if given.dtype.kind == "f" and np.isfinite(given).all():
        check_classification_targets(given)
    canonical = labels_of(y)
    values, first = np.unique(canonical, return_index=True)
    as_given = given.dtype.kind in "biufU" or (
        given.dtype == object and canonical.dtype.kind == "U"
    )
    return (given[first] if as_given and len(given) == len(canonical) else values), canonical


def _warn(plan: Plan) -> None:
    """Tell what the screening found, at the line that called fit."""
    found = {name: why for name, why in plan.left_out.items() if why != DROPPED}
    if found:
        reasons = some([f"{name!r} ({why})" for name, why in found.items()])
        warnings.warn(
            f"left out: {reasons}. keep=[...] uses a column all the same; drop=[...] leaves it out "
            "without this warning.",
            DataWarning,
            stacklevel=4,
        )
    for warning in plan.warnings:
        warnings.warn(warning, DataWarning, stacklevel=4)
