"""What MLPClassifier and MLPRegressor share: scikit-learn's signature around a Network."""

from __future__ import annotations

import contextlib
import math
import operator
import warnings
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from pellucid import optimizers, persistence
from pellucid.callbacks import Callback
from pellucid.engines import Objective
from pellucid.engines.contract import State
from pellucid.estimators.arrays import Arrays, parameter_arrays
from pellucid.estimators.epochs import EpochEnd, Reshuffled, reset_curves
from pellucid.estimators.folder import to_folder
from pellucid.estimators.parameters import (
    EntryParameters,
    check_parameters,
    hidden_sizes,
    listed,
    per_hidden_layer,
)
from pellucid.layers import Dense
from pellucid.losses import Loss
from pellucid.network import Network
from pellucid.schedules import Constant
from pellucid.schedules import schedule as find_schedule
from pellucid.training import Examples, Run, examples, gradient_bounds, run_training
from pellucid.training.arguments import callbacks_of
from pellucid.training.orders import Order
from pellucid.training.statistics import with_statistics

_OUTPUT_NAMES = {"sigmoid": "logistic"}
"""scikit-learn's names of output activations, where they differ from ours."""


def keep_parameters(estimator: Any, arguments: Mapping[str, Any]) -> None:
    """Set an estimator's parameters from its constructor's ``locals()``, as they are."""
    for name, value in arguments.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)


def steps_through_batches(estimator: Any) -> bool:
    """Whether partial_fit makes sense: L-BFGS has no single step."""
    if not isinstance(estimator._optimizer(), optimizers.LBFGS):
        return True
    raise AttributeError("partial_fit is only available for stochastic optimizers. lbfgs is not.")


def own_validation(X_val: Any, y_val: Any, weight: Any, pair: Any) -> tuple[Any, ...] | None:
    """Return (X_val, y_val, weight) from either way that fit takes them, None without any."""
    if pair is not None:
        if X_val is not None or y_val is not None or weight is not None:
            raise ValueError("give X_val and y_val, or validation_data, not both.")
        if not isinstance(pair, (tuple, list)) or len(pair) not in (2, 3):
            raise ValueError("validation_data must be (X_val, y_val) or (X_val, y_val, weights).")
        X_val, y_val, weight = (*pair, None)[:3]
    if X_val is None and y_val is None and weight is None:
        return None
    for name, given in (("X_val", X_val), ("y_val", y_val)):
        if given is None:
            raise ValueError(f"{name} is missing; X_val and y_val come together.")
    check_consistent_length(X_val, y_val, weight)
    return X_val, y_val, weight


def rows_of_parts(
    m: int, fraction: float, stratify: NDArray[Any] | None, random_state: np.random.RandomState
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of the training and the validation rows, drawn as by scikit-learn."""
    training, validation = train_test_split(
        np.arange(m), random_state=random_state, test_size=fraction, stratify=stratify
    )
    if len(validation) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of "
            "your dataset."
        )
    return training, validation


@contextlib.contextmanager
def progress_of(verbose: Any, networks: int = 1) -> Iterator[list[Callback]]:
    """What shows the progress where it is asked for; the terminal is given back at the end."""
    if not verbose:
        yield []
        return
    from rich.console import Console

    from pellucid._progress import progress

    shown = progress(Console(stderr=True), networks)
    try:
        yield [shown]
    finally:
        shown.stop()


def _warn_not_converged(run: Run) -> None:
    """Warn in scikit-learn's words, at the line that called fit."""
    if isinstance(run.optimizer, optimizers.LBFGS):
        message = (
            f"lbfgs failed to converge after {run.epoch} iterations: {run.history.message}. "
            "Increase max_iter or max_fun, or scale the data."
        )
    else:
        message = (
            f"Stochastic Optimizer: Maximum iterations ({run.epochs}) reached and the "
            "optimization hasn't converged yet."
        )
    warnings.warn(message, ConvergenceWarning, stacklevel=5)


def _all_finite(X: NDArray[Any]) -> bool:
    """Whether there is no NaN or infinity, without a mask of X's size where X is large."""
    if X.size < 4096:
        return bool(np.isfinite(X).all())
    return math.isfinite(X.min()) and math.isfinite(X.max())


class _Known:
    """The network made last, and what it was made of: it is good while that is all the same."""

    def __init__(self, estimator: Any, network: Network) -> None:
        self.network = network
        self.arrays = [*estimator.coefs_, *estimator.intercepts_]
        self.settings = self._settings_of(estimator)

    def holds(self, estimator: Any) -> bool:
        now = [*estimator.coefs_, *estimator.intercepts_]
        if len(now) != len(self.arrays) or not all(map(operator.is_, now, self.arrays)):
            return False
        return bool(self.settings == self._settings_of(estimator))

    @staticmethod
    def _settings_of(estimator: Any) -> tuple[Any, ...]:
        """Copies, as lists may be changed in place."""
        return (
            listed(estimator.activation) or estimator.activation,
            listed(estimator.dropout) or estimator.dropout,
            estimator.out_activation_,
        )


class OfNetwork(EntryParameters, BaseEstimator):
    """What all estimators around one network share: they are saved, and take numbers alike."""

    def save(self, path: Any, *, overwrite: bool = False, wait: float = 0.0) -> None:
        """Write a model folder; :func:`pellucid.load` reads it, and no pickle is involved.

        The arguments are those of :func:`pellucid.save`.
        """
        persistence.save(self, path, overwrite=overwrite, wait=wait)

    def to_folder(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Return what a model folder holds of this estimator."""
        return to_folder(self)

    def _dtypes(self) -> Any:
        """What X may be; anything else is converted to the first of these."""
        return (np.float64, np.float32) if self.dtype is None else np.dtype(self.dtype)

    def _output_activation(self) -> str:
        raise NotImplementedError

    def _loss(self) -> Loss:
        raise NotImplementedError

    def _check_loss(self) -> None:
        """Refuse a loss that does not fit the output."""
        raise NotImplementedError

    def _encode(self, y: Any) -> NDArray[Any]:
        raise NotImplementedError

    def _stratified(self) -> bool:
        return False

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class BaseMLP(OfNetwork):
    """Base of the drop-ins: ``coefs_`` and ``intercepts_`` hold the parameters, nothing else does.

    ``coefs_[l-1]`` is W[l]^T, (n[l-1], n[l]); :attr:`network_` is a Network on the same arrays.
    Whatever real numbers of the right shapes a caller puts there count; where they are not arrays
    of one floating-point dtype, the network has copies, made anew each time, and training puts
    arrays in their place.
    """

    coefs_: list[NDArray[Any]]
    intercepts_: list[NDArray[Any]]
    out_activation_: str

    @property
    def network_(self) -> Network:
        """The fitted network; its arrays are those of ``coefs_`` and ``intercepts_``."""
        if not hasattr(self, "coefs_"):
            check_is_fitted(self)
        known: _Known | None = self.__dict__.get("_known_network")
        if known is not None and known.holds(self):
            return known.network
        coefs, intercepts = parameter_arrays(self)
        network = self._make_network(coefs, intercepts)
        same = map(np.may_share_memory, [*coefs, *intercepts], [*self.coefs_, *self.intercepts_])
        self._known_network = _Known(self, network) if all(same) else None
        return network

    def _make_network(self, coefs: Arrays, intercepts: Arrays) -> Network:
        widths = [coef.shape[1] for coef in coefs]
        activations = per_hidden_layer(self.activation, len(widths) - 1, "activation")
        rates = per_hidden_layer(self.dropout, len(widths) - 1, "dropout")
        layers = [
            Dense(width, g, dropout=rate)
            for width, g, rate in zip(widths[:-1], activations, rates, strict=True)
        ]
        return Network._around(
            [*layers, Dense(widths[-1], self.out_activation_)],
            [
                {"W": coef.T, "b": intercept.reshape(-1, 1)}
                for coef, intercept in zip(coefs, intercepts, strict=True)
            ],
        )

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__().copy()
        state.pop("_known_network", None)
        return state

    def hidden_activations(self, X: Any) -> list[NDArray[Any]]:
        """Return A[1], ..., A[L-1] as rows: an (m, n[l]) array for each hidden layer."""
        network = self.network_
        cache = network.forward(self._checked_rows(X).T, cache=True)
        return [np.ascontiguousarray(cache.A[l].T) for l in range(1, network.L)]

    def input_gradients(self, X: Any, y: Any) -> NDArray[Any]:
        """Return the derivative of each row's loss by its inputs, of the shape of X."""
        network = self.network_
        cache = network.forward(self._checked_rows(X).T, cache=True)
        gradients = network.backward(cache, self._encode(y), self._loss(), inputs=True)
        return np.ascontiguousarray(gradients.dX.T)

    def _take_network(self, network: Network) -> None:
        """Take the parameters of a network that a model folder holds."""
        self.coefs_ = [np.ascontiguousarray(W.T) for W in network.W.values()]
        self.intercepts_ = [b.ravel().copy() for b in network.b.values()]

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        validation_data: tuple[Any, ...] | None = None,
        *,
        incremental: bool = False,
    ) -> Any:
        check_parameters(self)
        fresh = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        X, y = self._validate_input(X, y, incremental, reset=fresh)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X)
        self._check_loss()
        y = y.reshape(-1, 1) if y.ndim == 1 else y
        random_state = check_random_state(self.random_state)
        if fresh:
            self._start(X, y, random_state)
        else:
            self.coefs_, self.intercepts_ = parameter_arrays(self, writable=True)
        self._check_sizes(X.shape[1])
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        self.n_iter_ = 0
        run = self._run(X, y, sample_weight, validation_data, random_state, incremental)
        run.note_settings()
        callbacks: list[Callback] = []
        if not isinstance(run.optimizer, optimizers.LBFGS):
            callbacks.append(EpochEnd(self))
        callbacks += callbacks_of(self.callbacks)
        run_training(
            run,
            with_statistics(callbacks, self.statistics and not incremental),
            engine=self.engine,
            n_threads=self.n_threads,
        )
        self._finish(run, incremental)
        return self

    def _start(self, X: Any, y: NDArray[Any], random_state: np.random.RandomState) -> None:
        """Draw the initial parameters, as scikit-learn draws them unless told otherwise."""
        self.t_ = 0
        self.n_outputs_ = y.shape[1]
        g = self._output_activation()
        self.out_activation_ = _OUTPUT_NAMES.get(g, g)
        sizes = [X.shape[1], *hidden_sizes(self.hidden_layer_sizes), self.n_outputs_]
        self.n_layers_ = len(sizes)
        self.coefs_, self.intercepts_ = [], []
        reset_curves(self)
        activations = per_hidden_layer(self.activation, len(sizes) - 2, "activation")
        for l, (fan_in, fan_out) in enumerate(pairwise(sizes)):
            g = activations[min(l, len(activations) - 1)] if activations else "relu"
            bound = np.sqrt((2 if g in ("logistic", "sigmoid") else 6) / (fan_in + fan_out))
            W = random_state.uniform(-bound, bound, (fan_in, fan_out))
            b = random_state.uniform(-bound, bound, fan_out)
            self.coefs_.append(W.astype(X.dtype, copy=False))
            self.intercepts_.append(b.astype(X.dtype, copy=False))
        if self.initializer is not None:
            self._draw_from_initializer(random_state.randint(2**31))

    def _draw_from_initializer(self, seed: int) -> None:
        network = self.network_
        drawn = Network(
            network.layers, network.n_inputs, self.initializer, seed=seed, dtype=network.dtype
        )
        network.put_parameters(drawn.parameters | drawn.statistics)

    def _check_sizes(self, n_features: int) -> None:
        asked = [n_features, *hidden_sizes(self.hidden_layer_sizes), self.n_outputs_]
        has = [self.coefs_[0].shape[0], *(coef.shape[1] for coef in self.coefs_)]
        if asked != has:
            raise ValueError(
                f"{type(self).__name__} goes on from a network of sizes {has}, but is asked for "
                f"{asked}. Set warm_start=False to start over."
            )

    def _run(
        self,
        X: Any,
        y: NDArray[Any],
        sample_weight: NDArray[Any] | None,
        validation_data: tuple[Any, ...] | None,
        random_state: np.random.RandomState,
        incremental: bool,
    ) -> Run:
        """Prepare the training: optimizer, data, validation data and order."""
        network, loss, optimizer = self.network_, self._loss(), self._optimizer()
        state, rate = self._optimizer_memory(optimizer, incremental)
        seed = random_state.randint(2**31) if np.any(self.dropout) else 0
        data, validation = self._examples(network, loss, X, y, sample_weight), None
        if validation_data is not None:
            X_val, y_val, weight_val = validation_data
            try:
                X_val, y_val = self._checked_rows(X_val), self._encode(y_val).T
                validation = self._examples(network, loss, X_val, y_val, weight_val)
            except ValueError as error:
                raise ValueError(f"the validation data: {error}") from None
        elif self._stops_early():
            part = y if self._stratified() else None
            parts = rows_of_parts(len(y), self.validation_fraction, part, random_state)
            data, validation = data.parts(*parts, dtype=network.dtype)
        m = data.m
        if self.class_weight is not None:
            y = y if data.rows is None else y[data.rows]
            data.multiply_weights(self._class_factors(y), network.dtype)
        full = isinstance(optimizer, optimizers.LBFGS)
        return Run(
            network,
            data,
            Objective(
                loss, l2=self.alpha, penalty_per_weight=True, **gradient_bounds(self.gradient_clip)
            ),
            optimizer,
            find_schedule(self.schedule),
            rate,
            1 if incremental else self.max_iter,
            m if full else self._batch_size(m),
            seed,
            Reshuffled(m, random_state) if self.shuffle else Order(),
            validation,
            state=state,
            best=network.copy_parameters() if self._stops_early() else {},
        )

    def _examples(
        self, network: Network, loss: Loss, X: Any, y: NDArray[Any], weight: Any
    ) -> Examples:
        Y = y.T
        if loss.targets == "distribution":
            Y = y.argmax(axis=1)
        return examples(network, X.T, Y, loss, weight)

    def _optimizer(self) -> optimizers.Optimizer:
        """The optimizer that ``optimizer``, or else scikit-learn's ``solver``, stands for."""
        if self.optimizer is not None:
            found = optimizers.optimizer(self.optimizer)
            named = isinstance(self.optimizer, str) and isinstance(found, optimizers.LBFGS)
            return optimizers.LBFGS(self.tol, self.max_fun) if named else found
        if self.solver == "lbfgs":
            return optimizers.LBFGS(self.tol, self.max_fun)
        if self.solver == "adam":
            return optimizers.Adam(self.beta_1, self.beta_2, self.epsilon)
        kind = optimizers.Nesterov if self.nesterovs_momentum else optimizers.ClassicalMomentum
        return kind(self.momentum, alpha_inside=True)

    def _stops_early(self) -> bool:
        """Whether a part is held out; with L-BFGS there is none, as in scikit-learn."""
        return self.early_stopping and not isinstance(self._optimizer(), optimizers.LBFGS)

    def _optimizer_memory(
        self, optimizer: optimizers.Optimizer, incremental: bool
    ) -> tuple[State | None, float]:
        """Return what partial_fit goes on with; fit begins anew."""
        memory = getattr(self, "_optimizer_state", None)
        if incremental and memory is not None and memory["optimizer"] == optimizer.spec():
            return State(memory["step"], memory["slots"]), memory["learning_rate"]
        return None, self.learning_rate_init

    def _batch_size(self, m: int) -> int:
        if self.batch_size == "auto":
            return min(200, m)
        if self.batch_size > m:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. "
                "It is going to be clipped",
                stacklevel=5,
            )
        return int(min(self.batch_size, m))

    def _finish(self, run: Run, incremental: bool) -> None:
        """Keep what outlives the training; warn or refuse as scikit-learn does."""
        stopped = run.history.stopped
        self.history_ = run.history
        if run.state is not None:
            self._optimizer_state = {
                "optimizer": run.optimizer.spec(),
                "step": run.state.step,
                "slots": run.state.slots,
                "learning_rate": run.learning_rate,
            }
        if isinstance(run.optimizer, optimizers.LBFGS):
            self.n_iter_ = run.epoch
            self.loss_curve_ = list(run.history.curves.get("loss", []))
            self.validation_loss_curve_ = list(run.history.curves.get("val_loss", []))
            self.loss_ = run.J
        planned = incremental or run.schedule != Constant()  # a schedule plans its last epoch
        if stopped == "finished" and not planned:
            _warn_not_converged(run)
        if stopped == "interrupted":
            warnings.warn("Training interrupted by user.", stacklevel=4)
        if stopped == "diverged":
            self._finish_diverged(run)

    def _finish_diverged(self, run: Run) -> None:
        if not self._stops_early():
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                f"values and need to be preprocessed. Training {run.history.message}."
            )
        self.n_iter_ += 1
        self.loss_ = np.nan
        self.loss_curve_.append(np.nan)
        self.validation_scores_.append(np.nan)
        warnings.warn(f"Training {run.history.message}.", ConvergenceWarning, stacklevel=4)

    def _forward(self, X: Any) -> NDArray[Any]:
        """A[L] as rows, (m, n[L])."""
        network = self.network_
        if not self._plain(X, network):
            X = self._checked_rows(X)
        return network.forward(X.T).T

    def _plain(self, X: Any, network: Network) -> bool:
        """Whether scikit-learn's validation, which takes long, would return these rows as is."""
        dense = type(X) is np.ndarray and X.ndim == 2 and X.flags.c_contiguous
        return (
            (dense or type(X) in (sparse.csr_array, sparse.csr_matrix))
            and X.dtype == network.dtype
            and X.ndim == 2
            and X.shape[1] == network.n_inputs
            and X.shape[0] > 0
            and (self.dtype is None or np.dtype(self.dtype) == X.dtype)
            and "feature_names_in_" not in self.__dict__
            and _all_finite(X if dense else X.data)
        )

    def _checked_rows(self, X: Any) -> Any:
        return validate_data(
            self,
            X,
            accept_sparse=["csr", "csc"],
            dtype=self._dtypes(),
            reset=False,
        )

    # What the two drop-ins do differently.

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        raise NotImplementedError

    def _class_factors(self, y: NDArray[Any]) -> NDArray[np.float64]:
        raise NotImplementedError

    def _validation_score(self, run: Run) -> float:
        raise NotImplementedError
