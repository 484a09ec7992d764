"""The end of an epoch: its curves, the schedule, early stopping, callbacks."""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import NDArray

from pellucid._catalogue import did_you_mean
from pellucid.callbacks import Callback
from pellucid.engines import Examples, Session
from pellucid.metrics import METRICS
from pellucid.training.measure import by_step
from pellucid.training.run import Run


def end_epoch(run: Run, session: Session, callbacks: list[Callback], J: float, rate: float) -> None:
    """Count the epoch and record its curves; then the schedule, early stopping and callbacks."""
    run.epoch += 1
    run.J = J
    curves = {"loss": J, "learning_rate": rate}
    if run.metrics:
        _, A = session.evaluate(run.data)
        curves |= _judged(run, run.data, A)
    if run.validation is not None:
        curves |= _validate(run, session, run.validation)
    run.history.append(**curves)
    loss = curves["loss" if run.validation is None else "val_loss"]
    run.learning_rate *= run.schedule.after_epoch(run.memory["schedule"], loss)
    _watch(run, run.history[run.monitor][-1])
    for callback in callbacks:
        callback.on_epoch_end(run)


def stop_interrupted(run: Run) -> None:
    """Note that the user ended the training."""
    done = f"{run.epoch} epoch{'' if run.epoch == 1 else 's'}"
    run.stop(f"interrupted after {done}; what was learned is kept", "interrupted")


def check_monitor(run: Run) -> None:
    """Refuse an early stopping that watches a curve which will not be there."""
    if run.stopping is None or run.stopping.monitor is None:
        return
    known = ["loss", *(each.name for each in run.metrics)]
    if run.validation is not None:
        known += [f"val_{name}" for name in known]
    if run.monitor not in known:
        raise ValueError(
            f"EarlyStopping: no curve {run.monitor!r}{did_you_mean(run.monitor, known)}; this "
            f"training records {', '.join(known)}. Name it in metrics=, or give validation data."
        )


def next_stop(run: Run) -> float:
    """Return the epoch, counted from 1, after which early stopping could act for the first time."""
    if run.stopping is None:
        return math.inf
    if run.stopping.restore_best:
        return run.epoch + 1  # any may be the best
    return run.memory["stopping"].get("epoch", 0) + run.stopping.patience


def _validate(run: Run, session: Session, data: Examples) -> dict[str, float]:
    loss, A = session.evaluate(data)
    run.validation_output = A
    judged = _judged(run, data, A)
    return {"val_loss": loss} | {f"val_{name}": value for name, value in judged.items()}


def _judged(run: Run, data: Examples, A: NDArray[Any]) -> dict[str, float]:
    Y, A = by_step(run.network, data, A)
    return {each.name: each(Y, A) for each in run.metrics}


def _watch(run: Run, value: float) -> None:
    """Early stopping: remember the best epoch, count how long there has been no better one."""
    run.history.best_epoch = run.epoch
    if run.stopping is None:
        return
    memory = run.memory["stopping"]
    metric = METRICS.get(run.monitor.removeprefix("val_"))
    named = {each.name: each for each in run.metrics}
    metric = named.get(run.monitor.removeprefix("val_"), metric)
    score = value if metric is not None and metric.more_is_better else -value
    if score > memory.get("best", -math.inf) + run.stopping.min_delta:
        memory.update(best=score, epoch=run.epoch)
        if run.stopping.restore_best:
            run.best = run.network.copy_parameters()
    best = int(memory.get("epoch", 0))
    if run.stopping.restore_best and best:
        run.history.best_epoch = best
    if run.epoch - best >= run.stopping.patience:
        run.stop(
            f"{run.monitor} has not improved for {run.stopping.patience} epochs; "
            f"the best was epoch {best}",
            "early_stopping",
        )
