"""L-BFGS: scipy's quasi-Newton steps on the whole batch; an epoch is one iteration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pellucid.callbacks import Callback
from pellucid.engines import Session
from pellucid.optimizers import LBFGS
from pellucid.schedules import Constant
from pellucid.training.epoch import end_epoch, stop_interrupted
from pellucid.training.run import Run


def check(run: Run) -> None:
    """Refuse what L-BFGS cannot do, all at once, before anything is changed."""
    layers, objective = run.network.leaves, run.objective
    factors = [k.rate_factor(letter) for k in layers for letter in k.parameters]
    mixing = sorted({type(k).__name__ for k in layers if k.mixes_examples})
    faults = [
        f"{name} ({reason})"
        for name, asked, reason in (
            ("dropout", any(k.dropout for k in layers), "J must be the same at every pass"),
            (" and ".join(mixing), mixing, "it learns its statistics step by step"),
            ("learning_rate_factor", any(f != 1 for f in factors), "it has no learning rate"),
            ("schedule", run.schedule != Constant(), "it has no learning rate"),
            (
                "gradient_clip",
                (objective.clip_norm, objective.clip_value) != (None, None),
                "its line search needs the gradient of J",
            ),
        )
        if asked
    ]
    if faults:
        raise ValueError(
            f"lbfgs cannot use {', '.join(faults)}. Leave that out, or take another optimizer."
        )


def minimise(
    run: Run,
    session: Session,
    callbacks: list[Callback],
    interrupted: Callable[[], bool],
) -> None:
    """Minimise J until its gradient is small, or something says stop."""
    from scipy.optimize import minimize

    settings = cast(LBFGS, run.optimizer)
    arrays = list(run.network.parameters.values())
    good = _pack(arrays)  # theta of the last iteration where it and J were finite

    def J_and_gradient(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        _unpack(theta, arrays)
        session.read_back()
        found = session.gradients(run.data)
        return found.J, found.flat.astype(np.float64)

    def after_iteration(intermediate_result: Any) -> None:
        nonlocal good
        _unpack(good, arrays)
        for callback in callbacks:
            callback.on_epoch_begin(run)
        if run.history.stopped:
            raise StopIteration
        _unpack(intermediate_result.x, arrays)
        theta = _pack(arrays)
        if np.isfinite(intermediate_result.fun) and np.isfinite(theta).all():
            good = theta
        end_epoch(run, session, callbacks, float(intermediate_result.fun), 1.0)
        if interrupted() and not run.history.stopped:
            stop_interrupted(run)
        if run.history.stopped:
            raise StopIteration

    try:
        result = minimize(
            J_and_gradient,
            good,
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
        stopped = bool(run.history.stopped)  # before this, so the last iteration's are the ones
        if diverged or stopped:
            _unpack(good, arrays)
        else:
            _unpack(result.x, arrays)
    except KeyboardInterrupt:
        _unpack(good, arrays)
        session.read_back()
        raise
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
