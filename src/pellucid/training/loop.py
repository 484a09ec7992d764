"""The loop over epochs."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from types import FrameType

import numpy as np
from numpy.typing import NDArray

from pellucid.callbacks import Callback
from pellucid.checks import TRAINING, check
from pellucid.engines import Job, Session, choose_engine
from pellucid.engines.threads import most_threads, threads_asked
from pellucid.layers.shapes import n_places
from pellucid.optimizers import LBFGS
from pellucid.schedules import Schedule
from pellucid.training import lbfgs
from pellucid.training.arguments import callbacks_of
from pellucid.training.checkpoints import Checkpoints
from pellucid.training.epoch import check_monitor, end_epoch, next_stop, stop_interrupted
from pellucid.training.run import Run

Interrupted = Callable[[], bool]

MOMENT = 2.5e8
"""Operations that an engine does in some milliseconds."""
STEP = 2.5e5
"""As many operations as the smallest step takes time."""


def run_training(
    run: Run,
    callbacks: Iterable[Callback] = (),
    *,
    engine: str = "auto",
    n_threads: int | None = None,
    checkpoints: Checkpoints | None = None,
) -> None:
    """Carry a prepared run out; how it ended stands in ``run.history``.

    A second Ctrl-C, or an error, comes out of here with the session closed; after a second Ctrl-C
    the parameters are those of the last epoch that ended.
    """
    callbacks = callbacks_of(callbacks)
    check_monitor(run)
    if isinstance(run.optimizer, LBFGS):
        lbfgs.check(run)
    job = Job(run.network, run.objective, run.optimizer, run.batch_size, run.seed, run.state)
    chosen, note = choose_engine(engine, job)
    run.history.engine, run.history.engine_note = chosen.name, note
    with _interrupt_between_steps() as interrupted:
        threads = _thread_count(n_threads)
        session = chosen.start(replace(job, n_threads=threads, interrupted=interrupted))
        at_once = False
        try:
            for callback in callbacks:
                callback.on_train_begin(run)
            if isinstance(run.optimizer, LBFGS):
                lbfgs.minimise(run, session, callbacks, interrupted)
            else:
                descend(run, session, callbacks, interrupted, checkpoints)
        except KeyboardInterrupt:
            at_once = interrupted()  # the second; or a wish to stop from a callback
            stop_interrupted(run)
            if at_once:
                session.roll_back()
        finally:
            run.state = session.state()
            session.close()
        if at_once:
            raise KeyboardInterrupt
    if run.best:
        run.network.put_parameters(run.best)
    for callback in callbacks:
        callback.on_train_end(run)


def descend(
    run: Run,
    session: Session,
    callbacks: list[Callback],
    interrupted: Interrupted,
    checkpoints: Checkpoints | None,
) -> None:
    """Gradient descent, some epochs at a time, until something says stop."""
    writing = any(callback.writes for callback in callbacks)
    most, steps = _epochs_of_a_moment(run), run.steps_per_epoch
    while run.epoch < run.epochs and not run.history.stopped:
        for callback in callbacks:
            callback.on_epoch_begin(run)
        if run.history.stopped:
            break
        look = min(_next_look(run, callbacks, checkpoints), run.epoch + most)
        epochs = range(run.epoch, max(math.ceil(look), run.epoch + 1))
        rates = _learning_rates(run, epochs)
        if writing:  # callbacks may have written into the network
            if not _finite(run):
                session.roll_back()
                return _stop_diverged(run, 0, float(rates[0]))
            session.read_back()
        costs = _steps(run, session, callbacks, epochs, rates)
        diverged = bool(np.isinf(costs[-1])) or not session.finite()
        if diverged:
            session.roll_back()
        else:
            session.write_back()
        ended, more = divmod(len(costs) - diverged, steps)
        for k in range(0, ended * steps, steps):
            J = _mean(run, costs[k : k + steps])
            end_epoch(run, session, callbacks, J, float(rates[k + steps - 1]))
        if diverged:
            return _stop_diverged(run, more + 1, float(rates[len(costs) - 1]))
        if checkpoints is not None and not more:
            checkpoints.after_epoch(run, session)
        if (len(costs) < len(rates) or interrupted()) and not run.history.stopped:
            stop_interrupted(run)
    if not run.history.stopped:
        run.stop(f"all {run.epochs} epochs done", "finished")


def _next_look(run: Run, callbacks: list[Callback], checkpoints: Checkpoints | None) -> float:
    """The epoch, counted from 1, after which something looks at the network, or says how to go on.

    The engine does all until there without a pause. What is recorded of each epoch is the same.
    """
    listens = type(run.schedule).after_epoch is not Schedule.after_epoch
    judged = run.metrics or run.validation is not None
    if listens or judged or run.augment is not None or not run.order.ahead:
        return run.epoch + 1
    looks = [run.epochs, next_stop(run), *(each.next_look(run) for each in callbacks)]
    if checkpoints is not None:
        looks.append(run.epoch - run.epoch % checkpoints.every + checkpoints.every)
    return min(looks)


def _epochs_of_a_moment(run: Run) -> int:
    """How many epochs take so little time that nobody misses a look between them."""
    leaves = run.network.leaves
    work = 6 * sum(each.n_parameters * n_places(each.output_shape) for each in leaves)
    return max(1, int(MOMENT / (run.data.m * work + run.steps_per_epoch * STEP)))


def _learning_rates(run: Run, epochs: range) -> NDArray[np.float64]:
    """alpha at each step of the coming epochs."""
    count = run.steps_per_epoch
    first, total = np.arange(count), run.epochs * count
    factors = [
        run.schedule.factor(epoch * count + first, steps_per_epoch=count, total=total)
        for epoch in epochs
    ]
    return run.learning_rate * np.concatenate(factors)


def _steps(
    run: Run,
    session: Session,
    callbacks: list[Callback],
    epochs: range,
    rates: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Do the steps of some epochs: all in one call, or one by one where a callback sees each.

    With augmented examples, which are made on the way, some steps a call.
    """
    order, steps = run.order.draw(epochs), run.steps_per_epoch
    watching = [c for c in callbacks if type(c).on_batch_end is not Callback.on_batch_end]
    size = 1 if watching else len(rates)
    if run.augment is not None:
        size = min(size, run.augment.steps(run.batch_size))
    costs: list[NDArray[np.float64]] = []
    for first in range(0, len(rates), size):
        last = min(first + size, len(rates))
        if run.augment is None:
            done = session.run(run.data, order, first, last, learning_rate=rates[first:last])
        else:
            part = slice(first * run.batch_size, last * run.batch_size)
            row = None if order is None else order[0]
            data = run.augment.examples(run.data, row, part, run.epoch)
            done = session.run(data, None, 0, last - first, learning_rate=rates[first:last])
        costs.append(done)
        for callback in watching:
            callback.on_batch_end(run, first, float(done[-1]))
        if len(done) < last - first or np.isinf(done[-1]) or (watching and run.history.stopped):
            break
    found = np.concatenate(costs)
    begun = -(-len(found) // steps)
    if begun < len(epochs):
        run.order.put_back(epochs[begun])
    return found


def _mean(run: Run, costs: NDArray[np.float64]) -> float:
    """J over an epoch: each mini-batch counts by its examples; skipped ones (NaN) do not."""
    size, last = run.batch_size, run.data.m - run.batch_size * (len(costs) - 1)
    total = float(np.add.reduce(costs[:-1])) * size + float(costs[-1]) * last
    if not math.isnan(total):
        return total / run.data.m
    sizes = np.full(len(costs), size, dtype=np.float64)
    sizes[-1] = last
    done = ~np.isnan(costs)
    return float(np.sum(costs[done] * sizes[done]) / np.sum(sizes[done]))


def _finite(run: Run) -> bool:
    """Whether what the network holds are finite numbers."""
    arrays = run.network.parameters | run.network.statistics
    return all(np.isfinite(array).all() for array in arrays.values())


def _stop_diverged(run: Run, steps: int, rate: float) -> None:
    """End the training; the parameters have been put back."""
    kept = f"those of epoch {run.epoch}" if run.epoch else "those it started from"
    run.stop(
        f"diverged at step {steps} of epoch {run.epoch + 1}: J or a parameter is no longer finite. "
        f"The parameters are {kept}. Lower the learning rate (it was {rate:g}), standardise X, or "
        "bound the gradient (gradient_clip=1.0)",
        "diverged",
    )


def _thread_count(n_threads: int | None) -> int | None:
    if n_threads is None:
        n_threads = threads_asked()
    if n_threads is None:
        return None
    check(TRAINING, {"n_threads": n_threads})
    most = most_threads()
    if n_threads > most:
        warnings.warn(
            f"n_threads={n_threads} is lowered to {most}, 4 for each CPU and 16 at least: more "
            "would only wait for each other.",
            RuntimeWarning,
            stacklevel=2,
        )
    return min(n_threads, most)


@contextlib.contextmanager
def _interrupt_between_steps() -> Iterator[Interrupted]:
    """While training, Ctrl-C asks for a stop after the step under way; the second raises at once.

    Only in the main thread, and only where nobody else handles Ctrl-C already.
    """
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # while the parameters are put back
            raise KeyboardInterrupt
        asked.set()

    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, ask)
    try:
        yield asked.is_set
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
