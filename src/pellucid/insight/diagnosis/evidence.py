"""Evidence: all that the rules read, as plain numbers. A field is None where nothing is known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid._shown import short
from pellucid.activations import Activation
from pellucid.insight.diagnosis.backward import of_ones_own, upside_down, wrong_gradients
from pellucid.insight.diagnosis.reference import reference
from pellucid.insight.diagnosis.training_run import TrainingRun
from pellucid.network import Network
from pellucid.training import facts
from pellucid.training.facts import Facts
from pellucid.training.facts.columns import take_rows
from pellucid.training.facts.target import (
    Table,
    Target,
    as_columns,
    classes_of,
    table,
    target_of,
)
from pellucid.training.measure import PROBE, activation_of, measure, of_layers, probe

PARAMETERS, LOSSES, STATISTICS = "parameters", "loss curves", "statistics"
FACTS, KEPT, DATA = "facts of the data", "some rows of the training", "data"


@dataclass
class Evidence(Facts):
    """What is known of a training, a network and its data."""

    looked_at: list[str] = field(default_factory=list)
    loss: str | None = None
    loss_targets: str = "real"
    activations: list[str] = field(default_factory=list)
    """The names of g[1] ... g[L]."""
    functions: dict[int, Activation] = field(default_factory=dict)
    """g[l] by l, where the network or its statistics tell."""
    layers: list[dict[str, Any]] | None = None
    """The network as it is now, as :func:`pellucid.training.measure.measure` says."""
    samples: list[dict[str, Any]] = field(default_factory=list)
    curves: dict[str, list[float]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    stopped: str = ""
    message: str = ""
    best_epoch: int = 0
    names: tuple[str, ...] = ()
    classes: tuple[Any, ...] = ()
    wrong_gradients: dict[str, float] = field(default_factory=dict)
    """By array, the share by which backward differs from differences of J."""
    right_and_wrong: tuple[float, float] | None = None
    """What a loss of one's own is for right and for wrong answers, where right ones cost more."""

    @property
    def start(self) -> dict[str, Any] | None:
        """The statistics before the first step."""
        first = self.samples[0] if self.samples else None
        return first if first and first["epoch"] == 0 else None

    @property
    def begun(self) -> list[dict[str, Any]]:
        """The layers before the first step; empty where nothing is known of them."""
        return list(self.start["layers"]) if self.start else []

    def g(self, layer: dict[str, Any]) -> Activation:
        """The activation of a layer, given by its statistics."""
        return self.functions.get(layer["layer"]) or activation_of(layer)

    @property
    def plain(self) -> bool:
        """Whether all its layers have units alone: their number is what may be changed."""
        layers = self.layers or (self.samples[-1]["layers"] if self.samples else [])
        return not any({"places", "unit", "steps"} & each.keys() for each in layers)

    @property
    def output(self) -> Activation:
        """g[L]; one of which nothing is known where there is no network."""
        return self.functions[max(self.functions)] if self.functions else Activation()

    def column(self, j: int) -> str:
        """The name of a column, or its number as an input, channel or feature."""
        word = self.columns.word if self.columns else ""
        named = j < len(self.names) and not word
        return f"column {short(repr(self.names[j]))}" if named else f"{word or 'input'} {j + 1}"

    def class_(self, k: int) -> str:
        """A class by its label, or its number."""
        return f"class {short(repr(self.classes[k] if k < len(self.classes) else k))}"


def gather(run: TrainingRun, task: str | None = None, known: Evidence | None = None) -> Evidence:
    """Return the evidence of a run; ``known`` is what :func:`of_data` returned of its data."""
    known = of_data(run, task) if known is None else known
    found = replace(known, looked_at=list(known.looked_at))
    _from_history(found, run)
    if run.network is not None:
        _from_network(found, run, run.network)
    elif found.samples:
        layers = found.samples[-1]["layers"]
        found.activations = [each["g"] for each in layers]
        found.functions = {each["layer"]: activation_of(each) for each in layers}
    found.looked_at.sort(key=(PARAMETERS, LOSSES, STATISTICS, FACTS, KEPT, DATA).index)
    return found


def of_data(run: TrainingRun, task: str | None = None, *, compare: bool = True) -> Evidence:
    """Return what the data and the loss alone tell.

    Without ``compare`` no simple learners are fitted to them, which is what takes seconds.
    """
    found = Evidence(names=run.names, classes=run.classes)
    if run.loss is not None:
        found.loss, found.loss_targets = run.loss.name, run.loss.targets
    if run.data is not None:
        _from_data(found, run, task, compare)
    elif run.at_steps is not None:
        found.looked_at.append(DATA)
        _put(found, run.at_steps.facts())
    return found


def _put(found: Evidence, like: dict[str, Any]) -> None:
    """Take the facts of rows that are there no more, or that have an answer at each step."""
    known = Facts.from_dict(like)
    for name in facts.FIELDS:
        setattr(found, name, getattr(known, name))


def _from_data(found: Evidence, run: TrainingRun, task: str | None, compare: bool) -> None:
    assert run.data is not None
    found.looked_at.append(KEPT if run.kept else DATA)
    X, Y = run.data
    found.m = X.shape[1]
    found.target = target_of(Y, run.loss, task)
    found.target.is_input = facts.is_input(X, Y)
    rows = take_rows(X.shape[1])
    w, wv = run.weights
    shape = run.network.input_shape if run.network else ()

    def table_of(X: NDArray[Any], Y: NDArray[Any], w: NDArray[Any] | None) -> Table:
        assert found.target is not None
        made = table(facts.some_entries(X, shape), Y, found.target, w, run.loss)
        if w is None and made.classes:
            made.weight = _by_class(run, made.y, made.classes)
        return made

    train = table_of(X[:, rows], Y[..., rows], None if w is None else w[rows])
    held_out = None if run.validation is None else table_of(*run.validation, wv)
    given = [X] if run.validation is None else [X, run.validation[0]]
    inputs = list(zip(given, run.lengths, strict=False))
    takes = run.network.leaves[0].takes if run.network else "numbers"
    facts.of_columns(found, train, held_out, inputs, shape, takes)
    if run.validation is not None:
        whole = run.kept.m if run.kept else found.m
        found.seen_again = facts.seen_again(whole, X, run.validation[0])
    if compare:
        narrowest = min(run.network.n[1:]) if run.network else 0
        facts.parted(found, train, held_out, reference, narrowest)


def _by_class(
    run: TrainingRun, numbers: NDArray[np.intp], classes: int
) -> NDArray[np.float64] | None:
    """What each row counted in the training by its class; None where all did the same."""
    factors: NDArray[np.float64] | None = run.class_weight
    return None if factors is None or len(factors) != classes else factors[numbers]


# The network and its history ----------------------------------------------------------------------


def _from_history(found: Evidence, run: TrainingRun) -> None:
    history = run.history
    if history is None:
        return
    found.looked_at.append(LOSSES)
    found.curves, found.settings = history.curves, history.settings
    found.stopped, found.message = history.stopped, history.message
    found.best_epoch, found.samples = history.best_epoch, history.statistics
    found.m = int(history.settings.get("examples", 0)) or found.m
    if history.statistics:
        found.looked_at.append(STATISTICS)
    if run.data is None and run.at_steps is None and history.facts:
        found.looked_at.append(FACTS)
        _put(found, history.facts)


def _from_network(found: Evidence, run: TrainingRun, network: Network) -> None:
    found.looked_at.append(PARAMETERS)
    found.layers = of_layers(network.leaves)
    found.activations = [each["g"] for each in found.layers]
    found.functions = {
        layer.number: layer.activation or Activation()
        for layer in network.leaves
        if layer.computes_Z
    }
    if found.samples and _is_of(found.samples[-1], found.layers):
        found.layers = found.samples[-1]["layers"]
    loss = run.loss
    if loss is None or found.target is None:
        return
    own = of_ones_own(network, loss)
    if own and not found.wrong_gradients:
        like = _made_up(found.target, network)
        found.wrong_gradients = wrong_gradients(network, like, loss)
        found.right_and_wrong = upside_down(like, loss)
    if run.at_steps is not None:
        found.layers = run.at_steps.statistics()[-1]["layers"]
    if run.data is None:
        return
    X, given = run.data
    Y = as_columns(given, network.n[-1])
    if Y is None:
        return
    parts = _parts_compared(run, network, found, Y)
    facts.of_network(found, loss, *parts, thirds=take_rows(Y.shape[1])[::3])
    few, few_Y = (each.astype(network.dtype) for each in probe(X, Y))
    lengths = run.lengths[0]
    lengths = None if lengths is None else lengths[take_rows(X.shape[1], PROBE)]
    found.layers = measure(network, few, few_Y, loss, lengths)["layers"]


def _is_of(sample: dict[str, Any], layers: list[dict[str, Any]]) -> bool:
    """Whether the last statistics are those of the network as it is now."""
    pairs = zip(sample["layers"], layers, strict=False)
    sizes = ((a.get("W_norm", 0.0), b.get("W_norm", 0.0)) for a, b in pairs)
    same = all(abs(a - b) <= 1e-4 * b for a, b in sizes)
    return same and len(sample["layers"]) == len(layers)


def _parts_compared(
    run: TrainingRun, network: Network, found: Evidence, Y: NDArray[Any]
) -> tuple[Any, Any]:
    """(A[L], Y, weights) of the training data, and of the validation data or what stood for it."""
    assert run.data is not None
    assert found.target is not None
    X, (w, wv), (steps, steps_v) = run.data[0], run.weights, run.lengths
    A = network.forward(X, lengths=steps)

    def part(A: NDArray[Any], Y: NDArray[Any], w: NDArray[Any] | None) -> tuple[Any, Any, Any]:
        if w is None and found.target and found.target.task != "regression":
            w = _by_class(run, classes_of(Y, found.target), max(len(Y), 2))
        return A, Y, w

    if run.validation is not None:
        Xv, Yv = run.validation
        Yv = as_columns(Yv, network.n[-1])
        if Yv is not None:
            return part(A, Y, w), part(network.forward(Xv, lengths=steps_v), Yv, wv)
    return part(A, Y, w), None


def _made_up(target: Target, network: Network) -> NDArray[Any]:
    """Targets such as these, of which none is kept: for a look at the loss's derivative."""
    rng = np.random.default_rng(0)
    if target.task == "regression":
        return rng.normal(0.0, target.spread or 1.0, (network.n[-1], 7)).clip(
            target.low, target.high
        )
    if network.n[-1] > 1:
        return np.eye(network.n[-1])[:, rng.integers(network.n[-1], size=7)]
    return rng.choice([target.low, target.high], (1, 7))
