"""Training: mini-batches, epochs, and when to stop.

:func:`train` prepares a :class:`Run`; :mod:`pellucid.training.loop` carries it out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import philox
from pellucid.callbacks import Callback
from pellucid.checks import TRAINING, check
from pellucid.engines import Examples, Objective
from pellucid.engines.contract import Data
from pellucid.history import History
from pellucid.layers.shapes import held, valid_steps
from pellucid.losses import Loss, check_weights
from pellucid.losses import loss as find_loss
from pellucid.metrics import Metric
from pellucid.network import Network
from pellucid.optimizers import LBFGS, Optimizer
from pellucid.optimizers import optimizer as find_optimizer
from pellucid.schedules import Schedule
from pellucid.schedules import schedule as find_schedule
from pellucid.training.arguments import (
    callbacks_of,
    check_class_weight,
    early_stopping_of,
    gradient_bounds,
    metrics_of,
    misfit,
    rows_of_parts,
    warn,
)
from pellucid.training.augment import Augment, changes_of
from pellucid.training.checkpoints import Checkpoints, restore
from pellucid.training.loop import run_training
from pellucid.training.orders import order_of
from pellucid.training.run import EarlyStopping, Run
from pellucid.training.statistics import StatisticsCallback, with_statistics

__all__ = [
    "DivergenceWarning",
    "EarlyStopping",
    "Examples",
    "Run",
    "StatisticsCallback",
    "gradient_bounds",
    "run_training",
    "train",
]


class DivergenceWarning(UserWarning):
    """J or a parameter became infinite or NaN; the last good parameters were put back."""


def train(
    network: Network,
    X: Data,
    Y: Any,
    *,
    loss: str | Loss,
    optimizer: str | Optimizer = "adam",
    learning_rate: float | None = None,
    epochs: int = 200,
    batch_size: int | None = 32,
    shuffle: bool | Callable[[int], NDArray[np.integer[Any]]] = True,
    validation_data: tuple[Any, ...] | None = None,
    validation_fraction: float = 0.0,
    validation_rows: Any = None,
    lengths: Any = None,
    augment: Any = None,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | str | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    label_smoothing: float = 0.0,
    gradient_clip: float | tuple[str, float] | None = None,
    schedule: str | Schedule = "constant",
    early_stopping: int | EarlyStopping | None = None,
    metrics: str | Metric | Iterable[str | Metric] = (),
    callbacks: Callback | Iterable[Callback] = (),
    statistics: bool = True,
    seed: int | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 1,
    resume: str | Path | None = None,
    engine: str = "auto",
    n_threads: int | None = None,
) -> History:
    """W[l] := W[l] - alpha dJ/dW[l], mini-batch by mini-batch (lecture 001).

    Starts from the network's present parameters and changes them in place; call again to go on.
    Ctrl-C ends the training after a step and keeps what was learned; a second one at once raises
    KeyboardInterrupt, with the parameters of the last epoch that ended. Where J or a parameter
    becomes infinite or NaN, the parameters of the last good epoch are put back, with a
    :class:`DivergenceWarning`.

    Parameters
    ----------
    network : Network
        What is trained. Only its parameters change.
    X : array or scipy sparse matrix of shape (n[0], m)
        A column is an example; pass ``rows.T``, which copies nothing. Pictures and sequences may
        also be (rows, columns, channels, m) and (steps, features, m).
    Y : array of shape (n[L], m)
        1-D where n[L] is 1, or m class numbers for categorical cross-entropy; (steps, m) where each
        step has outputs.
    loss : str or Loss
        What is minimised, by name or with its parameters: ``Huber(delta=2.0)``
        (:data:`pellucid.losses.LOSSES`). It must fit the output: "binary_cross_entropy" a sigmoid,
        "categorical_cross_entropy" a softmax, "poisson" an exp; else there is a UserWarning.
    optimizer : str or Optimizer
        By name or with its coefficients: ``Momentum(beta=0.8)``. "lbfgs" takes the whole batch; an
        epoch is one of its iterations. It has no use for learning_rate, batch_size and shuffle,
        and refuses dropout, augment, schedule, gradient_clip and a layer's learning_rate_factor.
    learning_rate : float or None
        alpha; None takes the optimizer's usual one.
    epochs : int
        How often every example is seen.
    batch_size : int or None
        Examples a step; 1 is a single example, None the full batch.
    shuffle : bool or callable
        A new order each epoch; a callable gets the epoch, counted from 0, and returns the order:
        each of 0, ..., m - 1 once.
    validation_data : tuple or None
        (Xv, Yv), (Xv, Yv, weights) or (Xv, Yv, weights, lengths); weights may be None.
    validation_fraction : float
        Or the share of the examples, drawn at random, to hold out for validation.
    validation_rows : array of int or None
        Or the examples of X to hold out, by their numbers. X is copied neither way.
    lengths : array of int, shape (m,), or None
        How many steps each sequence has; None: all. The steps behind them change nothing.
    augment : str, Augmentation, callable, list of those or None
        What chance does to each training example in each epoch: "shift", "flip"
        (:data:`pellucid.augmentations.AUGMENTATIONS`), or a function of (X, rng) that returns an
        example of X's shape: X is one example of the network's ``input_shape``, of a padded
        sequence the steps that are there, and ``rng`` a ``numpy.random.Generator``. What is done
        depends on the seed, the epoch and the example's place in X alone. Validation data, metrics
        and statistics see the examples as they are.
    sample_weight : array of shape (m,) or None
        How much each example counts, 0 or more; None is 1 for all. J is the weighted mean.
    class_weight : dict, "balanced" or None
        A factor for each class; "balanced" gives every class the same total weight.
    l1, l2 : float
        The penalties of J, on W alone.
    label_smoothing : float
        The share of a label that is spread over all classes.
    gradient_clip : float, tuple or None
        A bound on the norm of all gradients together, ("norm", bound), or ("value", bound) on
        each entry.
    schedule : str or Schedule
        The learning rate over the steps.
    early_stopping : int, EarlyStopping, bool or None
        A number is the patience in epochs; True is ``EarlyStopping()``.
    metrics : list of str or Metric
        Computed each epoch on the training and validation data. One may stand without a list.
    callbacks : list of Callback
        Code of yours that is called after each step or epoch (:class:`pellucid.Callback`).
    statistics : bool
        Take what a diagnosis reads (:class:`pellucid.insight.StatisticsCallback`): about a
        hundredth of the time.
    seed : int or None
        Key of the shuffles and of dropout; None takes the network's.
    checkpoint : path or None
        A folder to write every ``checkpoint_every`` epochs, to go on from after a crash.
    resume : path or None
        A checkpoint to go on from: the result is, bit for bit, that of an unbroken training. The
        data and the other arguments must be the same; ``epochs`` may be larger.
    engine : str
        "auto" takes the fastest that can do the job; the history says which ran.
    n_threads : int or None
        None takes PELLUCID_NUM_THREADS, or else what the engine finds.

    Returns
    -------
    History

    Raises
    ------
    ValueError, TypeError
        For arguments that do not fit, before anything is changed.

    Examples
    --------
    XOR, which no network without a hidden layer learns (lecture 003):

    >>> from pellucid import Dense, Network
    >>> X, Y = np.array([[0, 0, 1, 1], [0, 1, 0, 1]]), np.array([0, 1, 1, 0])
    >>> net = Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_inputs=2, seed=0)
    >>> history = train(net, X, Y, loss="binary_cross_entropy", learning_rate=0.1, epochs=200)
    >>> net.predict(X)
    array([[0, 1, 1, 0]])
    """
    loss, optimizer = find_loss(loss), find_optimizer(optimizer)
    asked = {
        "epochs": epochs,
        "batch_size": batch_size,
        "checkpoint_every": checkpoint_every,
        "learning_rate": learning_rate,
        "l1": l1,
        "l2": l2,
        "label_smoothing": label_smoothing,
        "validation_fraction": validation_fraction,
        "n_threads": n_threads,
    }
    check(TRAINING, asked)
    callbacks = with_statistics(callbacks_of(callbacks), statistics)
    metrics = metrics_of(metrics)
    changes = changes_of(augment)
    if (checkpoint or resume) and isinstance(optimizer, LBFGS):
        raise ValueError("lbfgs cannot be resumed: scipy keeps its state. Use another optimizer.")
    seed = network.seed if seed is None else philox.check_seed(seed)
    data = examples(network, X, Y, loss, sample_weight, lengths, with_squares=True)
    _check_range("Y", _extremes(data.Y), network.dtype)
    validation = None
    if validation_data is not None:
        if validation_fraction or validation_rows is not None:
            raise ValueError(
                "give one of validation_data, validation_fraction and validation_rows, not several."
            )
        validation = _validation_examples(network, loss, validation_data)
    elif validation_fraction or validation_rows is not None:
        parts = rows_of_parts(data.m, validation_fraction, validation_rows, seed)
        data, validation = data.parts(*parts, dtype=network.dtype)
    if class_weight is not None:
        if len(network.output_shape) > 1:
            raise ValueError(
                "class_weight is for one class an example; this network answers at each step. "
                "Weigh the examples: sample_weight."
            )
        data.multiply_weights(
            class_weights(data.targets, network.n[-1], class_weight), network.dtype
        )
    full = batch_size is None or isinstance(optimizer, LBFGS)
    run = Run(
        network,
        data,
        Objective(
            loss,
            float(l1),
            float(l2),
            float(label_smoothing),
            **gradient_bounds(gradient_clip),
        ),
        optimizer,
        find_schedule(schedule),
        optimizer.default_learning_rate if learning_rate is None else float(learning_rate),
        int(epochs),
        data.m if full else min(int(batch_size or 0), data.m),
        seed,
        order_of(shuffle, data.m, seed),
        validation,
        metrics,
        early_stopping_of(early_stopping),
        augment=Augment(changes, network, data, seed) if changes else None,
    )
    run.note_settings()
    if resume is not None:
        restore(run, resume)
    fault = misfit(network, loss)
    if fault:
        warn(fault)
    saver = None if checkpoint is None else Checkpoints(checkpoint, checkpoint_every)
    run_training(run, callbacks, engine=engine, n_threads=n_threads, checkpoints=saver)
    if run.history.stopped == "diverged":
        warn(run.history.message + ".", DivergenceWarning)
    return run.history


def examples(
    network: Network,
    X: Data,
    Y: Any,
    loss: Loss,
    sample_weight: Any = None,
    lengths: Any = None,
    *,
    with_squares: bool = False,
) -> Examples:
    """Return checked examples; a sparse X is kept sparse, its examples as columns.

    ``with_squares`` refuses an X whose squares the network's dtype cannot hold.
    """
    X = network.checked_X(X)
    if X.shape[1] == 0:
        raise ValueError("X has no examples: its shape is (n[0], m) with m = 0.")
    if lengths is not None:
        lengths = network.checked_lengths(lengths, X.shape[1])
        X = X.toarray() if hasattr(X, "toarray") else X
        X = held(X.T, valid_steps(lengths, network.input_shape).T).T
    values = X.data if hasattr(X, "toarray") else X
    extremes = _extremes(values)
    if not all(map(math.isfinite, extremes)):
        where = ""
        if values is X:
            k, i = (int(place[0]) for place in np.nonzero(~np.isfinite(X)))
            where = f", first at X[{k}, {i}] (input {k} of example {i})"
        raise ValueError(
            f"X holds NaN or infinity{where}. Remove those examples or fill the values in."
        )
    if with_squares:
        _check_range("X", extremes, network.dtype)
    m = X.shape[1]
    Y = network.checked_targets(Y, loss, m, lengths)
    return Examples(X, Y, check_weights(sample_weight, m, network.dtype), lengths=lengths)


def _extremes(values: NDArray[Any]) -> tuple[float, float]:
    """The least and the largest number, or 0; NaN where one is."""
    return float(values.min(initial=0)), float(values.max(initial=0))


def _check_range(name: str, extremes: tuple[float, float], dtype: np.dtype[Any]) -> None:
    """Refuse numbers whose square the network's dtype cannot hold."""
    limit = math.sqrt(np.finfo(dtype).max)
    largest = max(-extremes[0], extremes[1])
    if largest > limit:
        raise ValueError(
            f"{name} holds a number as large as {largest:.3g}; beyond {limit:.3g} its square is "
            f"infinite in {dtype}. Scale {name}: standardise it, or take its logarithm."
        )


def class_weights(
    Y: NDArray[Any], n_outputs: int, class_weight: Mapping[int, float] | str
) -> NDArray[np.float64]:
    """Return the factor of each example's class: given, or m / (classes * examples of it)."""
    if Y.ndim == 1:
        labels, n_classes = Y, n_outputs
    elif n_outputs == 1:
        labels, n_classes = (Y[0] >= 0.5).astype(np.int64), 2
    elif np.all(Y.sum(axis=0) == 1):
        labels, n_classes = Y.argmax(axis=0), n_outputs
    else:
        raise ValueError("class_weight is for one class an example; these targets are several.")
    check_class_weight(class_weight, n_classes)
    if isinstance(class_weight, str):
        counts = np.bincount(labels, minlength=n_classes)
        factors = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    else:
        factors = np.array([class_weight.get(k, 1.0) for k in range(n_classes)], dtype=float)
    result: NDArray[np.float64] = factors[labels]
    return result


def _validation_examples(network: Network, loss: Loss, given: Any) -> Examples:
    if not isinstance(given, tuple) or len(given) not in (2, 3, 4):
        raise ValueError(
            "validation_data must be (Xv, Yv), (Xv, Yv, weights) or (Xv, Yv, weights, lengths)."
        )
    Xv, Yv, *rest = given
    return examples(network, Xv, Yv, loss, *rest)
