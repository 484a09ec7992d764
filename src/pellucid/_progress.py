"""What a training shows on the way: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from pellucid.callbacks import Callback

if TYPE_CHECKING:
    from rich.progress import TaskID

    from pellucid.training import Run

LINES = 10
"""Lines of a training that takes no long time."""
LINES_OF_MANY = 3
"""Lines of each where several networks are trained."""
SECONDS = 10.0
"""The longest time without a line."""


def progress(console: Console, networks: int = 1) -> ProgressBar | ProgressLines:
    """Return the callback that suits the console, for so many trainings after each other."""
    return (ProgressBar if console.is_terminal else ProgressLines)(console, networks)


class ProgressBar(Callback):
    """A bar with network, epoch, loss, validation metric, speed and time left.

    The bar counts the epochs of all networks, so that the time left is that of the whole.
    """

    writes = False

    def __init__(self, console: Console, networks: int = 1) -> None:
        self.bar = Progress(
            TextColumn("{task.fields[where]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[values]}"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(compact=True, table_column=Column(min_width=5, no_wrap=True)),
            console=console,
            expand=True,
        )
        self.networks = networks
        self.network = 0
        self.task: TaskID | None = None
        self.speed = Speed()

    def on_train_begin(self, run: Run) -> None:
        self.network += 1
        self.speed = Speed(run.epoch)
        if self.task is None:
            total = self.networks * run.epochs
            self.task = self.bar.add_task("", total=total, where="", values="", speed="")
            self.bar.start()
        self._update(run)

    def on_epoch_end(self, run: Run) -> None:
        self._update(run)

    def on_train_end(self, run: Run) -> None:
        self._update(run, done=run.epochs)  # one that stopped early will not go on

    def stop(self) -> None:
        """Leave the bar as it is and give the terminal back."""
        self.bar.stop()

    def _update(self, run: Run, done: int | None = None) -> None:
        assert self.task is not None
        which = f"network {self.network}/{self.networks} " if self.networks > 1 else ""
        done = run.epoch if done is None else done
        self.bar.update(
            self.task,
            completed=(self.network - 1) * run.epochs + done,
            where=f"{which}epoch {run.epoch}/{run.epochs}",
            values=short_values(run),
            speed=self.speed.shown(run),
        )


class ProgressLines(Callback):
    """A line for the first epoch, the last, and between them now and then."""

    writes = False

    def __init__(self, console: Console, networks: int = 1) -> None:
        self.console = console
        self.networks = networks
        self.network = 0
        self.shown = 0
        self.when = 0.0
        self.speed = Speed()

    def on_train_begin(self, run: Run) -> None:
        self.network += 1
        self.shown = run.epoch
        self.speed = Speed(run.epoch)

    def on_epoch_end(self, run: Run) -> None:
        every = max(1, run.epochs // (LINES if self.networks == 1 else LINES_OF_MANY))
        first = run.epoch == 1 and self.networks == 1
        late = time.monotonic() - self.when > SECONDS
        if first or run.epoch % every == 0 or (late and self.when):
            self._show(run)
        self.when = self.when or time.monotonic()

    def on_train_end(self, run: Run) -> None:
        if run.epoch > self.shown:
            self._show(run)

    def stop(self) -> None:
        """Nothing to give back."""

    def _show(self, run: Run) -> None:
        self.shown, self.when = run.epoch, time.monotonic()
        width = len(str(run.epochs))
        which = f"network {self.network}/{self.networks}  " if self.networks > 1 else ""
        speed = self.speed.shown(run)
        self.console.print(
            f"{which}epoch {run.epoch:{width}d}/{run.epochs}  {values(run)}  {speed}".rstrip(),
            highlight=False,
        )


class Speed:
    """Epochs a second since it was made; examples where an epoch takes longer than one."""

    def __init__(self, first: int = 0) -> None:
        self.first = first
        self.start = time.monotonic()

    def shown(self, run: Run) -> str:
        """Return the speed as text, "" at the very beginning."""
        elapsed = time.monotonic() - self.start
        epochs = run.epoch - self.first
        if elapsed < 0.02 or not epochs:
            return ""
        if epochs < elapsed:
            return f"{epochs * run.data.m / elapsed:,.0f} examples/s"
        return f"{epochs / elapsed:,.0f} epochs/s"


def values(run: Run) -> str:
    """Return the last loss, validation loss, and what else the early stopping watches."""
    titles = {"loss": "loss", "val_loss": "validation loss"}
    titles |= {run.monitor: titles.get(run.monitor, run.monitor.replace("val_", "validation "))}
    curves = run.history.curves
    return "  ".join(
        f"{title} {curves[name][-1]:.4g}" for name, title in titles.items() if curves.get(name)
    )


def short_values(run: Run) -> str:
    """Return the last loss and what the early stopping watches, for a bar of 80 columns."""
    curves = run.history.curves
    titles = {"loss": "loss", run.monitor: "validation"}
    return "  ".join(
        f"{title} {curves[name][-1]:#.3g}" for name, title in titles.items() if curves.get(name)
    )
