"""A training as a recipe: what it was made of, with some settings changed, carried out again."""

from __future__ import annotations

import copy
import inspect
import math
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from pellucid.activations import activation as find_activation
from pellucid.history import History
from pellucid.insight.diagnosis.evidence import Evidence
from pellucid.insight.diagnosis.training_run import TrainingRun
from pellucid.layers import Dense, Scale
from pellucid.layers.base import Layer
from pellucid.layers.chain import leaves, place
from pellucid.losses import Loss, is_custom
from pellucid.losses import loss as find_loss
from pellucid.network import Network
from pellucid.tasks import TASKS
from pellucid.training import train
from pellucid.training.facts.target import Target, as_columns

OPERATIONS = 2e10
"""Multiplications and additions of a trial; a step counts as 3 * 10^5 of them, of the reference
engine, which a custom loss and layers of one's own need, as ten times that."""
PER_STEP, SLOWER = 3e5, 10
QUICK = 3e-4
"""Seconds of such a step with layers of one's own; a longer one counts 10 or 100 times as much."""
FEWEST = 5
"""Epochs of a trial at least."""

Pair = tuple[NDArray[Any], NDArray[Any]]
L = TypeVar("L", bound=Layer)


@dataclass(frozen=True)
class Recipe:
    """What a training was asked for, as far as it is known, and what is done to its data."""

    before: tuple[Layer, ...]
    """All before the last Dense layers: a Scale of the inputs, layers of one's own. They stay."""
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
    slower: float = 1
    """How many times as much a step costs as one of the fused engine."""

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
        each: dict[str, Any] = {"dropout": fix["dropout"]} if "dropout" in fix else {}
        if "activation" in fix:
            each["activation"] = find_activation(fix["activation"])
        if "activation" in fix or "initializer" in fix:
            each["initializer"] = None
        new = replace(
            new,
            before=tuple(_like(layer, **each) for layer in new.before),
            hidden=tuple(_like(layer, **each) for layer in new.hidden),
        )
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

    def _with_output(self, name: str) -> Recipe:
        g = find_activation(name)
        if self.target.task == "regression":
            return replace(self, output=_like(self.output, activation=g))
        units = max(len(self.target.shares), 2) if name == TASKS["multiclass"].output else 1
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

    @property
    def layers(self) -> list[Layer]:
        """The layers of its network."""
        return [*self.before, *self.hidden, self.output]

    def carry_out(self, learned: Pair, held_out: Pair | None) -> tuple[Network, History]:
        """Train; what diverges or cannot be trained raises ValueError."""
        n = len(learned[0])
        network = Network(
            self.layers,
            n,
            self._initializer(),
            seed=self.seed,
            dtype=self.dtype,
        )
        for l, b in network.b.items():
            if self.start:
                b[...] = self.start[min(l, len(self.start)) - 1][2]
        arrays = network.parameters | network.statistics
        shapes = {name: array.shape for name, array in arrays.items()}
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
        sums = 0
        layers = [layer.unbuilt() for layer in self.layers]
        place(layers, (n,))
        for layer in leaves(layers):
            shapes = layer.parameter_shapes(layer.input_shape)
            widest = max((row for _, row in shapes.values()), default=1)
            sums += (widest + 1) * math.prod(layer.output_shape)
        steps = -(-m // min(self.settings.get("batch_size") or m, m))
        slower = max(self.slower, SLOWER if is_custom(self.loss) else 1)
        return float(6 * sums * m + PER_STEP * steps * slower)

    def fits(self, X: NDArray[Any]) -> bool:
        """Whether the fewest epochs are done in the time of a trial."""
        return FEWEST * self._of_an_epoch(X) <= OPERATIONS

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
    last = [*takewhile(lambda layer: type(layer) is Dense, reversed(network.layers))][::-1]
    if not last:  # an output layer of one's own
        return None
    before = network.layers[: -len(last)]
    *hidden, output = cast(list[Dense], last)
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
    if e.begun and all({"W_mean", "b_mean"} <= x.keys() for x in e.begun):
        start = tuple((x["W_mean"], x["W_std"], x["b_mean"]) for x in e.begun)
    found = Recipe(
        tuple(before),
        tuple(hidden),
        output,
        run.loss,
        settings,
        network.dtype,
        network.seed,
        e.target,
        start,
        kept.first() if kept else None,
    )
    if run.data is None or all(type(layer) is Scale for layer in before):
        return found
    found = replace(found, slower=_slower(network, run.data, run.loss, s["batch_size"]))
    return found if found.fits(run.data[0]) else None


def _slower(network: Network, data: Pair, loss: Loss, batch_size: int | None) -> float:
    """How many times as much a step of this network costs, as a power of 10: it is timed."""
    X, Y = (part[..., :batch_size].astype(network.dtype) for part in data)
    targets = as_columns(Y, network.n[-1])
    if targets is None:  # no scores, and so no trials
        return SLOWER
    seconds = []
    with np.errstate(all="ignore"):  # it may have diverged
        for _ in range(3):
            begin = time.perf_counter()
            network.backward(network.forward(X, cache=True), targets, loss)
            seconds.append(time.perf_counter() - begin)
    return float(SLOWER * 10 ** max(0, math.ceil(math.log10(min(seconds) / QUICK))))


def _like(layer: L, **changed: Any) -> L:
    """A layer as this one is, but for what is changed of the arguments that it takes."""
    made = copy.copy(layer)
    for name in (
        changed.keys() & inspect.signature(type(layer)).parameters.keys() & vars(layer).keys()
    ):
        setattr(made, name, changed[name])
    return made


def _numbers(Y: NDArray[Any], like: NDArray[Any]) -> NDArray[np.intp]:
    """Class numbers from 0 on."""
    if Y.ndim == 2 and len(Y) > 1:
        best: NDArray[np.intp] = Y.argmax(axis=0)
        return best
    return np.searchsorted(np.unique(like), Y.ravel())
