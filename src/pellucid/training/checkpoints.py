"""Checkpoints: a training that was cut off goes on, bit for bit as if it had not been."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import persistence
from pellucid._shown import message
from pellucid.checks import is_number
from pellucid.engines import Session
from pellucid.engines.contract import State, check_state
from pellucid.errors import ModelError
from pellucid.history import History
from pellucid.layers.chain import walk
from pellucid.network import Network
from pellucid.persistence.folder import MEND
from pellucid.persistence.strict_json import decode, encode
from pellucid.training.run import Run

WAIT = 60.0
"""Seconds to wait for another writer of the same folder: a training is not ended lightly."""


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
        persistence.save_checkpoint(
            self.path, run.network, training, state.slots, run.best or None, wait=WAIT
        )


def restore(run: Run, path: str | Path) -> None:
    """Put a run where the checkpoint left it; ModelError, and nothing done, where that is odd."""
    network, training, slots, best = persistence.load_checkpoint(
        path,
        layers=dict.fromkeys(type(layer) for layer in walk(run.network.layers)),
        activations=dict.fromkeys(
            type(layer.activation) for layer in run.network.leaves if layer.activation is not None
        ),
    )
    mine, theirs = asked(run), training.get("asked")
    if not isinstance(theirs, dict):
        raise _odd(path, "it does not say what was asked for")
    for name in mine | theirs:
        if mine.get(name) != theirs.get(name):
            raise ValueError(
                message(
                    f"resume: {path} was trained with {name} = {theirs.get(name)!r:.200}; this "
                    f"training has {mine.get(name)!r:.200}. Give the same data and arguments, or "
                    "start anew."
                )
            )
    try:
        history = History.from_dict(training.get("history"))  # type: ignore[arg-type]
        check_state(run.network.leaves, run.optimizer, slots)
    except ValueError as error:
        raise _odd(path, str(error)) from None
    fault = next(_faults(run, network, training, history, slots, best), "")
    if fault:
        raise _odd(path, fault)
    run.network.put_parameters(network.parameters | network.statistics)
    run.epoch, run.learning_rate = training["epoch"], training["learning_rate"]
    run.memory, run.best = training["memory"], dict(best or {})
    run.state = State(training["step"], dict(slots))
    history.settings, history.own_loss = run.history.settings, run.history.own_loss
    run.history = history
    if run.history.stopped != "early_stopping":
        run.history.stopped = run.history.message = ""


def _odd(path: str | Path, what: str) -> ModelError:
    return ModelError(
        f"{path}: this checkpoint cannot be gone on from: {what}. Nothing was changed. {MEND}"
    )


def _faults(
    run: Run,
    network: Network,
    training: dict[str, Any],
    history: History,
    slots: Mapping[str, NDArray[Any]],
    best: Mapping[str, NDArray[Any]] | None,
) -> Iterator[str]:
    """What no training can have written."""
    was, now = network.to_dict(), run.network.to_dict()
    if any(was[name] != now[name] for name in ("input_shape", "dtype", "layers")):
        yield "its network is not the one that it says was asked for"
    epoch, step = training.get("epoch"), training.get("step")
    if type(epoch) is not int or epoch < 0 or len(history.curves.get("loss", ())) != epoch:
        yield f"its epoch is {epoch!r:.40}, its history has {history.epochs}"
    elif type(step) is not int or step != epoch * run.steps_per_epoch:
        yield f"its step is {step!r:.40}; {epoch} epochs are {epoch * run.steps_per_epoch}"
    elif history.best_epoch > epoch:
        yield f"its best epoch is {history.best_epoch} of {epoch}"
    rate: Any = training.get("learning_rate")
    if not is_number(rate) or rate < 0:
        yield f"its learning rate is {rate!r:.40}"
    memory: Any = training.get("memory")
    known = isinstance(memory, dict) and memory.keys() == run.memory.keys()
    if not known or not all(isinstance(k, dict) and _can_be(k, epoch) for k in memory.values()):
        yield f"its memory is {memory!r:.80}"
    finite = {f"best {name}": array for name, array in (best or {}).items()}
    for name, array in {**network.parameters, **network.statistics, **finite}.items():
        if not np.isfinite(array).all():
            yield f"{name} holds NaN or infinity"
    for name, array in slots.items():
        if array.dtype != run.network.dtype or np.isnan(array).any():
            yield f"{name} of the optimizer holds NaN, or is {array.dtype}"


def _can_be(memory: Mapping[str, Any], epoch: Any) -> bool:
    """Whether what is remembered are numbers, those of epochs whole and of the past."""
    return all(
        type(value) is int and 0 <= value <= epoch
        if name in ("epoch", "waited")
        else is_number(value, infinite=True)
        for name, value in memory.items()
    )


_NOT_ASKED = ("epochs", "penalty_per_weight", "class_weight", "early_stopping")
"""Settings that may change, or that older checkpoints lack; class weights are in the weights."""


def asked(run: Run) -> dict[str, Any]:
    """Return what must be the same when a training goes on: all but the number of epochs."""
    settings = {k: each for k, each in run.history.settings.items() if k not in _NOT_ASKED}
    return {
        "layers": decode(encode(run.network.to_dict()["layers"])),  # as it is read back
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
