"""NetworkClassifier and NetworkRegressor: scikit-learn's signature for any layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from pellucid.estimators.base import (
    OfNetwork,
    keep_parameters,
    own_validation,
    progress_of,
    rows_of_parts,
)
from pellucid.estimators.labels import OfClasses, OfNumbers, as_one
from pellucid.estimators.parameters import NETWORK_CHECKS, check_parameters
from pellucid.history import History
from pellucid.layers import Dense, Layer
from pellucid.layers.chain import place
from pellucid.network import Network
from pellucid.network.given import checked_shape
from pellucid.tasks import TASKS, Task
from pellucid.training import train
from pellucid.training.arguments import callbacks_of, early_stopping_of, warn

Shape = tuple[int, ...]


class _OfLayers(OfNetwork):
    """What the two share: from rows, pictures or sequences to a trained Network, to outputs."""

    layers: Any
    history_: History
    _network: Network

    @property
    def network_(self) -> Network:
        """The fitted network: what :func:`pellucid.trace` and the rest of ``insight`` look into."""
        check_is_fitted(self)
        return self._network

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_network")

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        lengths: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        lengths_val: Any = None,
    ) -> Self:
        """Fit to X, (m, *input_shape) or rows of (m, n), and a target for each example.

        Parameters
        ----------
        X : array, sparse matrix or data frame
            Pictures (m, rows, columns, channels), sequences (m, steps, features), or rows of as
            many numbers. Where there is one channel, it may be left out.
        y : array of shape (m,)
            Or (m, k): several labels or numbers at once.
        sample_weight : array of shape (m,) or None
        lengths : array of int, shape (m,), or None
            How many steps of each sequence are there; what stands in the others changes nothing.
        X_val, y_val, sample_weight_val, lengths_val
            Examples of one's own whose loss is recorded, in place of those held out by
            ``early_stopping``.
        """
        check_parameters(self, NETWORK_CHECKS)
        rows, shape = as_rows(X, self.input_shape)
        rows, y = validate_data(
            self,
            rows,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=not isinstance(self, OfClasses),
            dtype=self._dtypes(),
        )
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, rows)
        shape = (rows.shape[1],) if shape is None else shape
        if rows.shape[1] != math.prod(shape):
            raise ValueError(
                f"X has {rows.shape[1]} features; an example of input_shape = {shape} has "
                f"{math.prod(shape)}."
            )
        columns = self._targets(as_one(y))
        self.n_outputs_ = columns.shape[1]
        random_state = check_random_state(self.random_state)
        network = self._made(shape, self.n_outputs_, rows.dtype, random_state.randint(2**31))
        self._check_loss()
        held_out: dict[str, Any] = {}
        validation = own_validation(X_val, y_val, sample_weight_val, None)
        stopping = early_stopping_of(self.early_stopping)
        if validation is not None:
            held_out["validation_data"] = self._validation(network, validation, lengths_val)
        elif stopping is not None and (stopping.monitor or "val_loss").startswith("val_"):
            part = columns if self._stratified() else None
            parts = rows_of_parts(len(columns), self.validation_fraction, part, random_state)
            held_out["validation_rows"] = parts[1]
        with progress_of(self.verbose) as shown:
            history = train(
                network,
                rows.T,
                self._for_loss(columns.T),
                loss=self._loss(),
                optimizer=self.optimizer,
                learning_rate=self.learning_rate,
                epochs=self.epochs,
                batch_size=self.batch_size,
                shuffle=self.shuffle,
                lengths=lengths,
                augment=self.augment,
                l1=self.l1,
                l2=self.l2,
                gradient_clip=self.gradient_clip,
                schedule=self.schedule,
                early_stopping=stopping,
                metrics=self.metrics,
                callbacks=[*callbacks_of(self.callbacks), *shown],
                statistics=self.statistics,
                n_threads=self.n_threads,
                engine=self.engine,
                **self._weighing(columns, sample_weight),
                **held_out,
            )
        self._network, self.history_, self._n_given = network, history, len(self.layers)
        if history.stopped == "interrupted":
            warn(f"Training {history.message}.")
        return self

    def _take_network(self, network: Network) -> None:
        """Take the network that a model folder holds."""
        self._network, self._n_given = network, len(self.layers)

    def _made(self, shape: Shape, n_outputs: int, dtype: Any, seed: int) -> Network:
        """A network of the layers given, and where the last one is not yet it, an output layer."""
        layers = list(self.layers)
        if not self._ends_in(layers, shape, n_outputs):
            layers.append(Dense(n_outputs, self._output_activation()))
        return Network(layers, shape, self.initializer, seed=seed, dtype=dtype)

    def _ends_in(self, layers: list[Layer], shape: Shape, n_outputs: int) -> bool:
        """Whether the last layer is the output layer: the task's activation, as many outputs."""
        if not layers or not layers[-1].computes_Z or (g := layers[-1].activation) is None:
            return False
        found = place([layer.unbuilt() for layer in layers], shape)
        wanted = self._output_activation()
        if g.name in (wanted, *self._task().also) and found == (n_outputs,):
            return True
        if g.output_only:
            raise ValueError(
                f"{type(self).__name__}: the last layer, {layers[-1]!r}, has {math.prod(found)} "
                f"outputs; {self._wants(n_outputs)}: {n_outputs} {wanted}. Leave it out: the "
                "output layer is added."
            )
        return False

    def _validation(self, network: Network, given: tuple[Any, ...], lengths: Any) -> Any:
        """The examples of the user's own as train takes them."""
        X, y, weight = given
        try:
            rows = self._checked_rows(X, network.input_shape)
            Y = self._for_loss(self._encode(y))
        except ValueError as error:
            raise ValueError(f"the validation data: {error}") from None
        return rows.T, Y, weight, lengths

    def _for_loss(self, Y: NDArray[Any]) -> NDArray[Any]:
        """Class numbers where the loss takes them, else Y as it is, (n[L], m)."""
        return Y.argmax(axis=0) if self._loss().targets == "distribution" else Y

    def _forward(self, X: Any, lengths: Any = None) -> NDArray[Any]:
        """A[L] as rows, (m, n[L])."""
        network = self.network_
        return network.forward(self._checked_rows(X).T, lengths=lengths).T

    def _checked_rows(self, X: Any, shape: Shape | None = None) -> Any:
        """X as rows of (m, n[0])."""
        rows, _ = as_rows(X, self.network_.input_shape if shape is None else shape)
        return validate_data(
            self, rows, accept_sparse=["csr", "csc"], dtype=self._dtypes(), reset=False
        )

    # What the two do differently.

    def _targets(self, y: NDArray[Any]) -> NDArray[Any]:
        """A column for each output, from what fit was given."""
        raise NotImplementedError

    def _task(self) -> Task:
        raise NotImplementedError

    def _wants(self, n_outputs: int) -> str:
        """What y needs, for a message."""
        raise NotImplementedError

    def _weighing(self, columns: NDArray[Any], sample_weight: Any) -> dict[str, Any]:
        """The arguments of train that weigh the examples."""
        return {"sample_weight": sample_weight}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def as_rows(X: Any, input_shape: Any = None) -> tuple[Any, Shape | None]:
    """Return X with a row for each example, and the shape of one; of rows alone it may be None.

    >>> rows, shape = as_rows(np.zeros((5, 8, 8)), (8, 8, 1))
    >>> rows.shape, shape
    ((5, 64), (8, 8, 1))
    """
    shape = None if input_shape is None else checked_shape(input_shape, None)
    if not hasattr(X, "shape"):
        try:
            X = np.asarray(X)
        except ValueError:
            raise ValueError(
                "X holds examples of different sizes. Sequences are padded to one length, (m, "
                "steps, features), with lengths=[...] beside them; pictures are cut or scaled."
            ) from None
    if len(X.shape) > 2:
        X = np.asarray(X)
        shape = X.shape[1:] if shape is None else shape
        if shape not in (X.shape[1:], (*X.shape[1:], 1)):
            raise ValueError(
                f"X holds examples of shape {X.shape[1:]}; expected input_shape = {shape}, or rows "
                f"of {math.prod(shape)} numbers."
            )
        return X.reshape(len(X), math.prod(shape)), shape
    return X, shape


class NetworkClassifier(OfClasses, _OfLayers):
    """A[L] = softmax(W[L] ... + b[L]) of any layers, fitted by minimising cross-entropy.

    scikit-learn's ``fit``, ``predict``, ``predict_proba`` and ``score`` on pictures and sequences.
    ``layers`` are the hidden layers; the output layer is added when y tells the classes: a Dense
    with a softmax output for each class, one sigmoid for two classes, a sigmoid for each of several
    labels at once. Where the last layer given is that already, as in ``Dense(10, "softmax")`` for
    ten classes, none is added.

    Parameters
    ----------
    layers : list of Layer
        Such as ``[Conv2D(8, 3), Dense(32)]``; () is logistic regression. They are copied.
    input_shape : int, tuple of int or None
        The shape of an example: (28, 28, 1) or (150, 6). None takes it from the X of ``fit``. Where
        X comes as rows, behind a scaler for example, it says what they are.
    loss : str or Loss
        "log_loss", or another of :data:`pellucid.losses.LOSSES` that fits the output.
    optimizer : str or Optimizer
    learning_rate : float or None
        None takes the optimizer's usual one.
    epochs : int
    batch_size : int or None
        None is the full batch.
    shuffle : bool
    early_stopping : int, EarlyStopping, bool or None
        A number is the patience in epochs. A part is held out, unless ``fit`` gets ``X_val``.
    validation_fraction : float
        The share that ``early_stopping`` holds out, of each class the same.
    l1, l2 : float
        The penalties of J, on W alone.
    label_smoothing : float
    class_weight : dict, "balanced" or None
        A factor for each class by its label; for several labels at once as scikit-learn takes it.
    gradient_clip : float, tuple or None
        A bound on the norm of the gradient, or ("value", bound) on each entry.
    schedule : str or Schedule
        The learning rate over the steps.
    augment : str, Augmentation, callable, list of those or None
        What chance does to each training example: "shift", "flip", a function of (X, rng).
    initializer : str, Initializer, callable or None
    metrics : list of str or Metric
        Recorded in ``history_`` each epoch.
    callbacks : list of Callback or None
    statistics : bool
        Take what :func:`pellucid.diagnose` reads.
    verbose : bool
        Show the progress.
    random_state : int, RandomState or None
        Of the weights at the start, the order, dropout, augmentation and what is held out.
    dtype : "float32", "float64" or None
        None computes in X's dtype.
    n_threads : int or None
    engine : str
        As in :func:`pellucid.train`, which says more of each.

    Attributes
    ----------
    network_ : Network
        For :func:`pellucid.trace` and everything else that looks inside.
    history_ : History
    classes_, n_features_in_, feature_names_in_, n_outputs_
        n_features_in_ is n[0], the numbers of an example.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from pellucid.layers import Conv2D
    >>> X, y = load_digits(return_X_y=True)
    >>> pictures = X.reshape(-1, 8, 8, 1) / 16
    >>> clf = NetworkClassifier([Conv2D(8, 3)], learning_rate=0.01, epochs=10, random_state=0)
    >>> bool(clf.fit(pictures[::2], y[::2]).score(pictures[1::2], y[1::2]) > 0.95)
    True
    >>> clf.network_.layers
    [Conv2D(8, 3, 'relu'), Dense(10, 'softmax')]
    """

    def __init__(
        self,
        layers: Any = (),
        input_shape: Any = None,
        *,
        loss: Any = "log_loss",
        optimizer: Any = "adam",
        learning_rate: float | None = None,
        epochs: int = 100,
        batch_size: int | None = 32,
        shuffle: bool = True,
        early_stopping: Any = None,
        validation_fraction: float = 0.1,
        l1: float = 0.0,
        l2: float = 0.0,
        label_smoothing: float = 0.0,
        class_weight: Any = None,
        gradient_clip: Any = None,
        schedule: Any = "constant",
        augment: Any = None,
        initializer: Any = None,
        metrics: Any = (),
        callbacks: Any = None,
        statistics: bool = True,
        verbose: bool = False,
        random_state: Any = None,
        dtype: Any = "float32",
        n_threads: int | None = None,
        engine: str = "auto",
    ) -> None:
        keep_parameters(self, locals())

    def predict(self, X: Any, lengths: Any = None) -> NDArray[Any]:
        """Return the class of each example: the largest output; of two, the second above 1/2."""
        return self._labels(self._forward(X, lengths))

    def predict_proba(self, X: Any, lengths: Any = None) -> NDArray[Any]:
        """Return a column of probabilities for each class, in the order of ``classes_``."""
        return self._probabilities(self._forward(X, lengths))

    def predict_log_proba(self, X: Any, lengths: Any = None) -> NDArray[Any]:
        """Return the logarithm of :meth:`predict_proba`."""
        P = self.predict_proba(X, lengths)
        log: NDArray[Any] = np.log(P, out=P)
        return log

    def score(self, X: Any, y: Any, sample_weight: Any = None, lengths: Any = None) -> float:
        """Return the accuracy, the share of examples whose class is right."""
        return float(accuracy_score(y, self.predict(X, lengths), sample_weight=sample_weight))

    def _task(self) -> Task:
        """Of two classes softmax outputs may be given: then each has an output of its own."""
        task = super()._task()
        last = self.layers[-1].activation if len(self.layers) else None
        given = task is TASKS["binary"] and last is not None and last.name == "softmax"
        return TASKS["multiclass"] if given else task

    def _targets(self, y: NDArray[Any]) -> NDArray[Any]:
        check_classification_targets(y)
        self._fit_labels(y)
        return self._columns(y)

    def _wants(self, n_outputs: int) -> str:
        return f"y has {len(self.classes_)} classes"

    def _stratified(self) -> bool:
        return not self._task().several

    def _weighing(self, columns: NDArray[Any], sample_weight: Any) -> dict[str, Any]:
        found = {"sample_weight": sample_weight, "label_smoothing": self.label_smoothing}
        if self.class_weight is None or not self._task().several:
            return found | {"class_weight": self._by_number(self.class_weight)}
        factors = self._class_factors(columns)
        weight = factors if sample_weight is None else factors * sample_weight
        return found | {"sample_weight": weight}

    def _by_number(self, class_weight: Any) -> Any:
        """Factors by class numbers, from those by labels."""
        if not isinstance(class_weight, Mapping):
            return class_weight
        numbers = {label: number for number, label in enumerate(self.classes_.tolist())}
        unknown = [label for label in class_weight if label not in numbers]
        if unknown:
            raise ValueError(
                f"class_weight names {unknown[0]!r}, which is not one of {self.classes_}."
            )
        return {numbers[label]: factor for label, factor in class_weight.items()}


class NetworkRegressor(OfNumbers, _OfLayers):
    """A[L] = W[L] ... + b[L] of any layers, fitted by minimising 1/2 sum (a - y)^2.

    ``layers`` are the hidden layers; the output layer is added: ``Dense(k, "identity")`` for k
    numbers an example. Where the last layer given is that already, none is added.

    Parameters
    ----------
    layers : list of Layer
        Such as ``[Conv1D(16, 5), Dense(32)]``; () is linear regression. They are copied.
    input_shape : int, tuple of int or None
        The shape of an example; None takes it from the X of ``fit``.
    loss : str or Loss
        "squared_error" (1/2 sum over outputs), "poisson" (the output is then exp), or another of
        :data:`pellucid.losses.LOSSES`: "mean_absolute_error", "huber", ``Quantile(q=0.9)``, ...

    Everything else as in :class:`NetworkClassifier`, ``label_smoothing`` and ``class_weight``
    excepted. Standardise y, or the steps are too small for it:
    ``TransformedTargetRegressor(regressor, transformer=StandardScaler())``.

    Attributes
    ----------
    As in :class:`NetworkClassifier`, ``classes_`` excepted.

    Examples
    --------
    The frequency of a wave:

    >>> from pellucid.layers import Conv1D
    >>> y = np.linspace(0.5, 1.5, 200)
    >>> X = np.sin(y[:, None] * np.arange(20) / 2)[:, :, None]
    >>> reg = NetworkRegressor([Conv1D(8, 5, "tanh")], epochs=40, random_state=0)
    >>> bool(reg.fit(X[::2], y[::2]).score(X[1::2], y[1::2]) > 0.95)
    True
    """

    def __init__(
        self,
        layers: Any = (),
        input_shape: Any = None,
        *,
        loss: Any = "squared_error",
        optimizer: Any = "adam",
        learning_rate: float | None = None,
        epochs: int = 100,
        batch_size: int | None = 32,
        shuffle: bool = True,
        early_stopping: Any = None,
        validation_fraction: float = 0.1,
        l1: float = 0.0,
        l2: float = 0.0,
        gradient_clip: Any = None,
        schedule: Any = "constant",
        augment: Any = None,
        initializer: Any = None,
        metrics: Any = (),
        callbacks: Any = None,
        statistics: bool = True,
        verbose: bool = False,
        random_state: Any = None,
        dtype: Any = "float32",
        n_threads: int | None = None,
        engine: str = "auto",
    ) -> None:
        keep_parameters(self, locals())

    def predict(self, X: Any, lengths: Any = None) -> NDArray[Any]:
        """Return A[L]: (m,) for one output, else (m, n[L])."""
        return self._predictions(self._forward(X, lengths))

    def score(self, X: Any, y: Any, sample_weight: Any = None, lengths: Any = None) -> float:
        """Return R squared."""
        return float(r2_score(y, self.predict(X, lengths), sample_weight=sample_weight))

    def _targets(self, y: NDArray[Any]) -> NDArray[Any]:
        return y.reshape(len(y), -1)

    def _task(self) -> Task:
        return TASKS["regression"]

    def _wants(self, n_outputs: int) -> str:
        return "numbers are asked for"
