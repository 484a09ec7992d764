"""Callbacks: code of yours at fixed points of a training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pellucid.training import Run


class Callback:
    """Base of all callbacks: every hook does nothing unless a subclass says otherwise.

    ``run`` is the training under way: ``run.network``, ``run.history``, ``run.epoch`` (done so
    far), ``run.epochs``, ``run.steps_per_epoch``, ``run.learning_rate`` (may be set), and
    ``run.stop(message)``, which ends it after this hook. A callback with ``on_batch_end`` costs one
    call from the engine to Python a step; the others one an epoch.

    Between epochs the network's arrays hold what was learned, and what a hook writes into them
    counts: the next epoch goes on from there (not with "lbfgs", whose next point is scipy's).
    Within an epoch they are the engine's, and not to be written into: at ``on_batch_end`` the fused
    engine's stand as they were when the epoch began. A callback that never writes may say so
    with ``writes = False``: an epoch then begins without a look at what has changed. One that does
    not look at the network after each epoch may say when it does: :meth:`next_look`.

    Examples
    --------
    >>> class StopWhenGood(Callback):
    ...     def on_epoch_end(self, run):
    ...         if run.history["loss"][-1] < 0.01:
    ...             run.stop("good enough")
    """

    writes: ClassVar[bool] = True

    def on_train_begin(self, run: Run) -> None:
        """Before the first epoch."""

    def on_epoch_begin(self, run: Run) -> None:
        """Before each epoch."""

    def on_batch_end(self, run: Run, step: int, J: float) -> None:
        """After each step of an epoch, counted from 0; J is of before its update."""

    def on_epoch_end(self, run: Run) -> None:
        """After each epoch; its values are in ``run.history``."""

    def next_look(self, run: Run) -> float:
        """Return the epoch, counted from 1, after which it next looks at the network.

        The engine may do the epochs until there in one go; ``on_epoch_end`` is then called for each
        of them, but with the network as it is after the last. The epoch to come, unless a subclass
        knows of a later one or has no hook within the training.
        """
        hooks = ("on_epoch_begin", "on_batch_end", "on_epoch_end")
        looks = any(
            getattr(getattr(self, hook), "__func__", None) is not getattr(Callback, hook)
            for hook in hooks
        )
        return run.epoch + 1 if looks else math.inf

    def on_train_end(self, run: Run) -> None:
        """After the last epoch, however the training ended; the best parameters are back."""
