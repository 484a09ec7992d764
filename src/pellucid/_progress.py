"""What a training shows on the way: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from pellucid.callbacks import Callback

if TYPE_CHECKING:
    from rich.progress import TaskID

    from pellucid.training import Run

LINES = 10
"""Lines of a training that takes no long time."""
SECONDS = 10.0
"""The longest time without a line."""


def progress(console: Console) -> ProgressBar | ProgressLines:
    """Return the callback that suits the console."""
    return ProgressBar(console) if console.is_terminal else ProgressLines(console)


class ProgressBar(Callback):
    """A bar with epoch, loss, validation loss, speed and time left."""

    def __init__(self, console: Console) -> None:
        self.bar = Progress(
            TextColumn("epoch {task.completed}/{task.total}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[losses]}"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            expand=True,
        )
        self.task: TaskID | None = None
        self.first = 0

    def on_train_begin(self, run: Run) -> None:
        self.first = run.epoch
        self.task = self.bar.add_task(
            "", total=run.epochs, completed=run.epoch, losses="", speed=""
        )
        self.bar.start()

    def on_epoch_end(self, run: Run) -> None:
        assert self.task is not None
        elapsed = self.bar.tasks[0].elapsed or 0.0
        speed = (run.epoch - self.first) / elapsed if elapsed > 0.1 else 0.0
        shown = f"{speed:.{0 if speed >= 10 else 2}f} epochs/s" if speed else ""
        self.bar.update(self.task, completed=run.epoch, losses=losses(run), speed=shown)

    def on_train_end(self, run: Run) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the bar as it is and give the terminal back."""
        self.bar.stop()


class ProgressLines(Callback):
    """A line for the first epoch, then for every tenth of the epochs or every ten seconds."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.shown = 0
        self.when = 0.0

    def on_epoch_end(self, run: Run) -> None:
        every = max(1, run.epochs // LINES)
        late = time.monotonic() - self.when > SECONDS
        if run.epoch == 1 or run.epoch % every == 0 or late:
            self._show(run)

    def on_train_end(self, run: Run) -> None:
        if run.epoch > self.shown:
            self._show(run)

    def stop(self) -> None:
        """Nothing to give back."""

    def _show(self, run: Run) -> None:
        self.shown, self.when = run.epoch, time.monotonic()
        width = len(str(run.epochs))
        self.console.print(
            f"epoch {run.epoch:{width}d}/{run.epochs}  {losses(run)}", highlight=False
        )


def losses(run: Run) -> str:
    """Return the last loss and validation loss."""
    curves = run.history.curves
    names = {"loss": "loss", "val_loss": "validation loss"}
    return "  ".join(
        f"{title} {curves[name][-1]:.4g}" for name, title in names.items() if curves.get(name)
    )
