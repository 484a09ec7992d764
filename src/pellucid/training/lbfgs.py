"""L-BFGS: scipy's quasi-Newton steps on the whole batch; an epoch is one iteration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pellucid.callbacks import Callback
from pellucid.engines import Session
from pellucid.optimizers import LBFGS
from pellucid.training.epoch import end_epoch, stop_interrupted
from pellucid.training.run import Run


def minimise(
    run: Run, session: Session, callbacks: list[Callback], interrupted: Callable[[], bool]
) -> None:
    """Minimise J until its gradient is small, or something says stop."""
    from scipy.optimize import minimize

    settings = cast(LBFGS, run.optimizer)
    arrays = list(run.network.parameters.values())

    def J_and_gradient(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        _unpack(theta, arrays)
        J, gradients = session.loss_and_gradients(run.data.X, run.data.Y, run.data.weight)
        found = [
            each["d" + letter]
            for layer, each in zip(run.network.layers, gradients.by_layer, strict=True)
            for letter in layer.parameters
        ]
        return J, _pack(found)

    def after_iteration(intermediate_result: Any) -> None:
        for callback in callbacks:
            callback.on_epoch_begin(run)
        _unpack(intermediate_result.x, arrays)
        end_epoch(run, session, callbacks, float(intermediate_result.fun), 1.0)
        if interrupted() and not run.history.stopped:
            stop_interrupted(run)
        if run.history.stopped:
            raise StopIteration

    before = _pack(arrays)
    result = minimize(
        J_and_gradient,
        before,
        method="L-BFGS-B",
        jac=True,
        callback=after_iteration,
        options={
            "maxiter": run.epochs,
            "maxfun": settings.max_evaluations,
            "gtol": settings.tolerance,
        },
    )
    diverged = not (np.isfinite(result.x).all() and np.isfinite(result.fun))
    _unpack(before if diverged else result.x, arrays)
    if diverged:
        run.stop("diverged: J or a parameter is no longer finite. Standardise X", "diverged")
    run.J = float(result.fun)
    if not run.history.stopped:
        run.stop(str(result.message), "finished" if result.status else "converged")


def _pack(arrays: list[NDArray[Any]]) -> NDArray[np.float64]:
    return np.concatenate([array.ravel("F") for array in arrays]).astype(np.float64)


def _unpack(theta: NDArray[np.float64], arrays: list[NDArray[Any]]) -> None:
    start = 0
    for array in arrays:
        array[...] = theta[start : start + array.size].reshape(array.shape, order="F")
        start += array.size
