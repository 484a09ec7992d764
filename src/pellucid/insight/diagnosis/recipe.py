"""A training as a recipe: what it was made of, with some settings changed, carried out again."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.history import History
from pellucid.insight.diagnosis.evidence import Evidence
from pellucid.insight.diagnosis.training_run import TrainingRun
from pellucid.layers import Dense, Scale
from pellucid.layers.base import Layer
from pellucid.losses import Loss, is_custom
from pellucid.losses import loss as find_loss
from pellucid.network import Network
from pellucid.tasks import TASKS
from pellucid.training import train
from pellucid.training.facts.target import Target

OPERATIONS = 2e10
"""Multiplications and additions of a trial; a step counts as 3 * 10^5 of them, of the reference
engine, which a custom loss needs, as ten times that."""
PER_STEP, SLOWER = 3e5, 10
FEWEST = 5
"""Epochs of a trial at least."""

Pair = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class Recipe:
    """What a training was asked for, as far as it is known, and what is done to its data."""

    before: tuple[Layer, ...]
    """A Scale of the inputs."""
    hidden: tuple[Dense, ...]
    output: Dense
    loss: Loss
    settings: Mapping[str, Any]
    """Arguments of :func:`pellucid.train`."""
    dtype: Any
    seed: int
    target: Target
    start: tuple[tuple[float, float, float], ...] = ()
    """Mean and standard deviation of each W at the start, and the mean of each b."""
    first: Mapping[str, NDArray[Any]] | None = field(default=None, compare=False)
    """The parameters themselves, where they are kept."""
    initializer: str | None = None
    standardise: bool = False
    standardise_target: bool = False
    drop_columns: tuple[int, ...] = ()
    class_numbers: bool = False
    """Whether the labels are to be 0 to K - 1."""

    def changed(self, fix: Mapping[str, Any]) -> Recipe:
        """Return the recipe with suggested settings carried out."""
        new = self
        settings = {**self.settings, **{k: fix[k] for k in _ARGUMENTS if k in fix}}
        if "loss" in fix:
            new = replace(new, loss=find_loss(fix["loss"]))
        if "output" in fix:
            new = new._with_output(fix["output"])
        if "hidden_layer_sizes" in fix:
            old = new.hidden[0] if new.hidden else Dense(1)
            sizes = fix["hidden_layer_sizes"]
            new = replace(new, hidden=tuple(_like(old, n_units=n) for n in sizes))
        each = {name: fix[name] for name in ("activation", "dropout") if name in fix}
        if "activation" in fix or "initializer" in fix:
            each["initializer"] = None
        new = replace(new, hidden=tuple(_like(layer, **each) for layer in new.hidden))
        if "initializer" in fix:
            new = replace(new, initializer=fix["initializer"], start=(), first=None)
        elif fix.get("bias") == 0.0:
            start = tuple((mean, std, 0.0) for mean, std, _ in new.start)
            new = replace(new, start=start, first=None)
        return replace(
            new,
            settings=settings,
            standardise=new.standardise or bool(fix.get("standardise")),
            standardise_target=new.standardise_target or bool(fix.get("standardise_target")),
            drop_columns=tuple(sorted({*new.drop_columns, *fix.get("drop_columns", ())})),
            class_numbers=new.class_numbers or "labels" in fix,
        )

    def _with_output(self, g: str) -> Recipe:
        if self.target.task == "regression":
            return replace(self, output=_like(self.output, activation=g))
        units = max(len(self.target.shares), 2) if g == TASKS["multiclass"].output else 1
        output = _like(self.output, n_units=units, activation=g)
        return replace(self, output=output, class_numbers=True)

    def data(self, pair: Pair, like: Pair) -> Pair:
        """Return X and Y as the recipe takes them, scaled by the rows of ``like``."""
        (X, Y), (X0, Y0) = pair, like
        kept = np.setdiff1d(np.arange(len(X)), self.drop_columns)
        X, X0 = X[kept].astype(np.float64), X0[kept].astype(np.float64)
        if self.standardise:
            spread = X0.std(axis=1, keepdims=True)
            X = (X - X0.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1.0)
        Y = np.atleast_2d(Y) if self.target.task == "regression" else Y
        if self.standardise_target:
            Y0 = np.atleast_2d(Y0).astype(np.float64)
            spread = Y0.std(axis=1, keepdims=True)
            Y = (Y - Y0.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1.0)
        if self.class_numbers and self.target.task != "regression":
            Y = _numbers(Y, Y0)
        return X, Y

    def carry_out(self, learned: Pair, held_out: Pair | None) -> tuple[Network, History]:
        """Train; what diverges or cannot be trained raises ValueError."""
        n = len(learned[0])
        network = Network(
            [*self.before, *self.hidden, self.output],
            n,
            self._initializer(),
            seed=self.seed,
            dtype=self.dtype,
        )
        for l, b in network.b.items():
            if self.start:
                b[...] = self.start[min(l, len(self.start)) - 1][2]
        shapes = {name: array.shape for name, array in network.parameters.items()}
        if self.first and shapes == {name: array.shape for name, array in self.first.items()}:
            network.put_parameters(self.first)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            history = train(
                network, *learned, loss=self.loss, validation_data=held_out, n_threads=1,
                **self.affordable(learned[0]),
            )  # fmt: skip
        return network, history

    def work(self, learned: Pair) -> float:
        """Return the operations of all its epochs."""
        return self._of_an_epoch(learned[0]) * float(self.settings["epochs"])

    def _of_an_epoch(self, X: NDArray[Any]) -> float:
        n, m = X.shape
        widths = [n, *(layer.n_units for layer in self.hidden), self.output.n_units]
        parameters = sum((a + 1) * b for a, b in pairwise(widths))
        steps = -(-m // min(self.settings.get("batch_size") or m, m))
        slower = SLOWER if is_custom(self.loss) else 1
        return float(6 * parameters * m + PER_STEP * steps * slower)

    def affordable(self, X: NDArray[Any]) -> dict[str, Any]:
        """Return the settings, with as few epochs as a trial may take."""
        most = max(OPERATIONS / self._of_an_epoch(X), FEWEST)
        return {**self.settings, "epochs": int(min(self.settings["epochs"], most))}

    def _initializer(self) -> Any:
        if self.initializer or not self.start:
            return self.initializer
        rng, drawn = np.random.default_rng(self.seed), iter(range(10**6))

        def draw(shape: tuple[int, ...]) -> NDArray[np.float64]:
            mean, std, _ = self.start[min(next(drawn), len(self.start) - 1)]
            return rng.normal(mean, std, shape)

        return draw


_ARGUMENTS = ("learning_rate", "epochs", "batch_size", "early_stopping", "gradient_clip", "l1",
              "l2", "schedule", "optimizer", "class_weight")  # fmt: skip
"""Suggested settings that :func:`pellucid.train` has by the same name."""


def recipe_of(run: TrainingRun, e: Evidence) -> Recipe | None:
    """Return the recipe of a training; None where something of it is not known."""
    network, s = run.network, e.settings
    known = {"optimizer", "learning_rate", "epochs", "batch_size"} <= s.keys()
    known = known and s["optimizer"] != "unknown"  # steps of another rule
    if network is None or run.loss is None or e.target is None or not known:
        return None
    layers = [layer for layer in network.layers if type(layer) is Dense]
    before = network.layers[: len(network.layers) - len(layers)]
    if not all(type(layer) is Scale for layer in before):
        return None
    per = s["batch_size"] if s.get("penalty_per_weight") else 1
    settings: dict[str, Any] = {
        "optimizer": s["optimizer"],
        "learning_rate": s["learning_rate"],
        "epochs": s["epochs"],
        "batch_size": s["batch_size"],
        "schedule": s.get("schedule", "constant"),
        "l1": s.get("l1", 0.0) / per,
        "l2": s.get("l2", 0.0) / per,
        "label_smoothing": s.get("label_smoothing", 0.0),
        "early_stopping": s.get("early_stopping") or None,
    }
    if s.get("clip_norm"):
        settings["gradient_clip"] = s["clip_norm"]
    if run.class_weight is not None:
        settings["class_weight"] = dict(enumerate(run.class_weight.tolist()))
    kept = run.history.kept if run.history else None
    start: tuple[tuple[float, float, float], ...] = ()
    if e.start is not None and "b_mean" in e.start["layers"][0]:
        start = tuple((x["W_mean"], x["W_std"], x["b_mean"]) for x in e.start["layers"])
    return Recipe(
        tuple(before),
        tuple(layers[:-1]),
        layers[-1],
        run.loss,
        settings,
        network.dtype,
        network.seed,
        e.target,
        start,
        kept.first() if kept else None,
    )


def _like(layer: Dense, **changed: Any) -> Dense:
    """A layer as this one is, but for what is changed."""
    same = ("n_units", "activation", "dropout", "initializer", "learning_rate_factor",
            "weight_decay_factor")  # fmt: skip
    return Dense(**{**{name: getattr(layer, name) for name in same}, **changed})


def _numbers(Y: NDArray[Any], like: NDArray[Any]) -> NDArray[np.intp]:
    """Class numbers from 0 on."""
    if Y.ndim == 2 and len(Y) > 1:
        best: NDArray[np.intp] = Y.argmax(axis=0)
        return best
    return np.searchsorted(np.unique(like), Y.ravel())
