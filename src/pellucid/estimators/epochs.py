"""What scikit-learn does after every epoch: its stopping rules and its learning rates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.callbacks import Callback
from pellucid.training import Run
from pellucid.training.orders import Order, Orders


class EpochEnd(Callback):
    """Keeps an estimator's curves and counters, and stops as scikit-learn stops."""

    writes = False

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        self._best_epoch = 0

    def next_look(self, run: Run) -> float:
        """Return the epoch after which a stopping rule could act for the first time."""
        est = self.estimator
        if est.verbose or _rate_rule(est) == "invscaling":
            return run.epoch + 1
        patience: float = est.n_iter_no_change - est._no_improvement_count
        return run.epoch + 1 + max(0, patience)

    def on_epoch_end(self, run: Run) -> None:
        """Record the epoch; stop, or change the learning rate where it is due."""
        est = self.estimator
        est.n_iter_ += 1
        est.t_ += run.data.m
        est.loss_ = run.history["loss"][-1]
        est.loss_curve_.append(est.loss_)
        if est.verbose:
            print(f"Iteration {est.n_iter_}, loss = {est.loss_:.8f}")
        if run.validation is not None:
            est.validation_loss_curve_.append(run.history["val_loss"][-1])
        self._count_without_improvement(run)
        if _rate_rule(est) == "invscaling":
            run.learning_rate = est.learning_rate_init / (est.t_ + 1) ** est.power_t
        if est._no_improvement_count > est.n_iter_no_change:
            self._no_improvement(run)

    def _count_without_improvement(self, run: Run) -> None:
        est = self.estimator
        if est.early_stopping:
            score = est._validation_score(run)
            est.validation_scores_.append(score)
            if est.verbose:
                print(f"Validation score: {score:f}")
            improved = not score < est.best_validation_score_ + est.tol
            if score > est.best_validation_score_:
                est.best_validation_score_, self._best_epoch = score, run.epoch
                run.best = run.network.copy_parameters()
            run.history.best_epoch = self._best_epoch
        else:
            improved = not est.loss_ > est.best_loss_ - est.tol
            est.best_loss_ = min(est.best_loss_, est.loss_)
        est._no_improvement_count = 0 if improved else est._no_improvement_count + 1

    def _no_improvement(self, run: Run) -> None:
        """Stop; or, with an adaptive learning rate, go on with a fifth of it."""
        est = self.estimator
        what = "Validation score" if est.early_stopping else "Training loss"
        message = (
            f"{what} did not improve more than tol={est.tol:f} for {est.n_iter_no_change} "
            "consecutive epochs."
        )
        adaptive = _rate_rule(est) == "adaptive"
        if adaptive and run.learning_rate > 1e-6:
            run.learning_rate /= 5
            est._no_improvement_count = 0
            message += f" Setting learning rate to {run.learning_rate:f}"
        else:
            message += " Learning rate too small. Stopping." if adaptive else " Stopping."
            run.stop(message, "early_stopping")
        if est.verbose:
            print(message)


class Reshuffled(Order):
    """scikit-learn's orders: each epoch shuffles that of the epoch before once more."""

    def __init__(self, m: int, random_state: np.random.RandomState) -> None:
        self._order: Orders = np.arange(m, dtype=np.int64)
        self._random = random_state
        self._before: tuple[int, Orders, Any] | None = None

    def draw(self, epochs: range) -> Orders:
        if self._before is None and len(epochs) > 1:  # to ask for the state takes ten epochs' time
            self._before = epochs.start, self._order.copy(), self._random.get_state()
        orders = np.empty((len(epochs), len(self._order)), dtype=np.int64)
        for order in orders:
            self._random.shuffle(self._order)
            order[:] = self._order
        return orders

    def put_back(self, epoch: int) -> None:
        """Leave the random numbers as if the epochs before had been drawn one by one."""
        assert self._before is not None
        first, order, state = self._before
        self._order, self._before = order, None
        self._random.set_state(state)
        for each in range(first, epoch):
            self.draw(range(each, each + 1))


def _rate_rule(estimator: Any) -> str:
    """scikit-learn's ``learning_rate``, which is for its solver "sgd" alone."""
    sgd = estimator.solver == "sgd" and estimator.optimizer is None
    return str(estimator.learning_rate) if sgd else "constant"


def reset_curves(estimator: Any) -> None:
    """Reset the curves and counters, as the first fit does."""
    estimator.loss_curve_ = []
    estimator.validation_loss_curve_ = []
    estimator._no_improvement_count = 0
    early = estimator._stops_early()
    estimator.validation_scores_ = [] if early else None
    estimator.best_validation_score_ = -math.inf if early else None
    estimator.best_loss_ = None if early else math.inf
