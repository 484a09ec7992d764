"""Checkpoints: a training that was cut off goes on, bit for bit as if it had not been."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import persistence
from pellucid.engines import Session
from pellucid.engines.base import State
from pellucid.history import History
from pellucid.training.run import Run


@dataclass
class Checkpoints:
    """Writes the folder ``path`` after every ``every`` epochs."""

    path: str | Path
    every: int = 1
    _asked: dict[str, Any] = field(default_factory=dict)

    def after_epoch(self, run: Run, session: Session) -> None:
        """Write the checkpoint where it is due."""
        if run.epoch % self.every and not run.history.stopped:
            return
        self._asked = self._asked or asked(run)
        state = session.state()
        training = {
            "epoch": run.epoch,
            "step": state.step,
            "learning_rate": run.learning_rate,
            "memory": run.memory,
            "history": run.history.to_dict(),
            "asked": self._asked,
        }
        persistence.save_checkpoint(self.path, run.network, training, state.slots, run.best or None)


def restore(run: Run, path: str | Path) -> None:
    """Put a run where the checkpoint left it."""
    network, training, slots, best = persistence.load_checkpoint(path)
    mine, theirs = asked(run), training["asked"]
    for name in mine | theirs:
        if mine.get(name) != theirs.get(name):
            raise ValueError(
                f"resume: {path} was trained with {name} = {theirs.get(name)!r}; this training "
                f"has {mine.get(name)!r}. Give the same data and arguments, or start anew."
            )
    run.network.put_parameters(network.parameters)
    run.epoch, run.learning_rate = training["epoch"], training["learning_rate"]
    run.memory, run.best = training["memory"], dict(best or {})
    run.state = State(training["step"], dict(slots))
    settings = run.history.settings
    run.history = History.from_dict(training["history"])
    run.history.settings = settings
    if run.history.stopped != "early_stopping":
        run.history.stopped = run.history.message = ""


def asked(run: Run) -> dict[str, Any]:
    """Return what must be the same when a training goes on: all but the number of epochs."""
    settings = {name: each for name, each in run.history.settings.items() if name != "epochs"}
    return {
        "layers": run.network.to_dict()["layers"],
        "dtype": run.network.dtype.name,
        "inputs": run.network.n_inputs,
        **settings,
        "Y (crc32)": _crc32(run.data.targets),
        "sample_weight (crc32)": _crc32(run.data.weights),
    }


def _crc32(values: NDArray[Any] | None) -> int | None:
    """A number that is another one for other values, as good as always."""
    if values is None:
        return None
    return zlib.crc32(np.ascontiguousarray(values, dtype=np.float64).view(np.uint8).data)
