"""Evidence: all that the rules read, as plain numbers. A field is None where nothing is known."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid._shown import short
from pellucid.insight.diagnosis import facts
from pellucid.insight.diagnosis.backward import of_ones_own, wrong_gradients
from pellucid.insight.diagnosis.facts import Columns, Table
from pellucid.insight.diagnosis.reference import Reference, pooled, reference
from pellucid.insight.diagnosis.statistics import measure, of_parameters
from pellucid.insight.diagnosis.subject import Subject
from pellucid.insight.diagnosis.watch import probe
from pellucid.layers import Dense
from pellucid.losses import Loss, one_hot
from pellucid.network import Network

PARAMETERS, LOSSES, STATISTICS, DATA = "parameters", "loss curves", "statistics", "data"


NEAR_CHANCE = 0.25
"""Above chance by less than this, it is asked again whether there is anything to learn."""


@dataclass
class Target:
    """What the targets are like."""

    task: str
    """"binary", "multiclass" or "regression"."""
    values: int
    """How many different ones."""
    low: float
    high: float
    scale: float
    """Root mean square."""
    spread: float
    """Standard deviation."""
    sums_to_one: bool
    whole: bool
    """Whether all are whole numbers."""
    shares: list[float] = field(default_factory=list)
    """Of the classes."""
    drift: float = 0.0


@dataclass
class Scores:
    """Accuracy or R squared of the network, and the shares of the classes it predicts."""

    train: float
    validation: float | None
    compared: float
    """On the rows where the reference was measured: the validation data, or a third of all."""
    train_recalls: list[float] = field(default_factory=list)
    """For each class the share that is found."""
    recalls: list[float] = field(default_factory=list)
    """The same on the rows of ``compared``; ``rows`` is their number."""
    rows: int = 0


@dataclass
class Answers:
    """The mean loss of the network, and the least of an answer that is the same for every X."""

    J: float
    constant: float
    spread: float
    """The largest standard deviation of an output, relative to that of Y."""


@dataclass
class Evidence:
    """What is known of a training, a network and its data."""

    looked_at: list[str] = field(default_factory=list)
    loss: str | None = None
    loss_targets: str = "real"
    activations: list[str] = field(default_factory=list)
    """g[1] ... g[L]."""
    layers: list[dict[str, Any]] | None = None
    """The network as it is now, as :func:`pellucid.insight.diagnosis.statistics.measure` says."""
    samples: list[dict[str, Any]] = field(default_factory=list)
    curves: dict[str, list[float]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    stopped: str = ""
    message: str = ""
    best_epoch: int = 0
    names: tuple[str, ...] = ()
    classes: tuple[Any, ...] = ()
    columns: Columns | None = None
    m: int = 0
    target: Target | None = None
    scores: Scores | None = None
    reference: Reference | None = None
    pooled: Reference | None = None
    """The same on all rows in turn, where the first was not far above chance."""
    without_best_column: float | None = None
    """The reference's score without the column that says most alone, where that says it all."""
    wrong_gradients: dict[str, float] = field(default_factory=dict)
    """By array, the share by which backward differs from differences of J."""
    outputs: tuple[float, float] | None = None
    """The smallest and the largest output."""
    answers: Answers | None = None

    @property
    def start(self) -> dict[str, Any] | None:
        """The statistics before the first step."""
        first = self.samples[0] if self.samples else None
        return first if first and first["epoch"] == 0 else None

    def column(self, j: int) -> str:
        """The name of a column, or its number as an input."""
        return f"column {short(repr(self.names[j]))}" if j < len(self.names) else f"input {j + 1}"

    def class_(self, k: int) -> str:
        """A class by its label, or its number."""
        return f"class {short(repr(self.classes[k] if k < len(self.classes) else k))}"


def gather(subject: Subject, task: str | None = None, known: Evidence | None = None) -> Evidence:
    """Return the evidence of a subject; ``known`` is what :func:`of_data` returned of its data."""
    known = of_data(subject, task) if known is None else known
    found = replace(known, looked_at=list(known.looked_at))
    _from_history(found, subject)
    if subject.network is not None:
        _from_network(found, subject, subject.network)
    elif found.samples:
        found.activations = [each["g"] for each in found.samples[-1]["layers"]]
    found.looked_at.sort(key=(PARAMETERS, LOSSES, STATISTICS, DATA).index)
    return found


def of_data(subject: Subject, task: str | None = None, *, compare: bool = True) -> Evidence:
    """Return what the data and the loss alone tell.

    Without ``compare`` no simple learners are fitted to them, which is what takes seconds.
    """
    found = Evidence(names=subject.names, classes=subject.classes)
    if subject.loss is not None:
        found.loss, found.loss_targets = subject.loss.name, subject.loss.targets
    if subject.data is not None:
        _from_data(found, subject, task, compare)
    return found


def _from_history(found: Evidence, subject: Subject) -> None:
    history = subject.history
    if history is None:
        return
    found.looked_at.append(LOSSES)
    found.curves, found.settings = history.curves, history.settings
    found.stopped, found.message = history.stopped, history.message
    found.best_epoch, found.samples = history.best_epoch, history.statistics
    found.m = int(history.settings.get("examples", 0)) or found.m
    if history.statistics:
        found.looked_at.append(STATISTICS)


def _from_network(found: Evidence, subject: Subject, network: Network) -> None:
    found.looked_at.append(PARAMETERS)
    dense = [layer for layer in network.layers if isinstance(layer, Dense)]
    found.activations = [layer.activation.name for layer in dense]
    found.layers = [of_parameters(layer) for layer in dense]
    if subject.data is None or subject.loss is None or found.target is None:
        return
    X, Y = subject.data
    A = network.forward(X)
    found.outputs = float(np.min(A)), float(np.max(A))
    Y = _targets(Y, network.n[-1])
    if Y is None:
        return
    found.answers = _answers(subject.loss, A, Y)
    few = probe(X, Y, network, 0)
    found.layers = measure(network, *few, subject.loss)["layers"]
    if of_ones_own(network, subject.loss) and not found.wrong_gradients:
        found.wrong_gradients = wrong_gradients(network, Y[:, :7], subject.loss)
    found.scores = _scores(found.target, network, subject, A, Y)


def _targets(Y: NDArray[Any], n_outputs: int) -> NDArray[Any] | None:
    """Y as (n[L], m); None where class numbers do not fit the outputs."""
    if Y.ndim == 2:
        return Y
    if n_outputs == 1:
        return Y[np.newaxis]
    if np.all((Y == Y.astype(int)) & (Y >= 0) & (Y < n_outputs)):
        return one_hot(Y.astype(int), n_outputs, np.float64)
    return None


def _answers(loss: Loss, A: NDArray[Any], Y: NDArray[Any]) -> Answers:
    """The mean is the best constant for most losses, the median for absolute errors."""
    constants = (np.mean(Y, axis=1, keepdims=True), np.median(Y, axis=1, keepdims=True))
    with np.errstate(all="ignore"):
        costs = [float(np.mean(loss.value(Y, np.broadcast_to(c, Y.shape)))) for c in constants]
        J = float(np.mean(loss.value(Y, A)))
        spread = float(np.max(np.std(A, axis=1)) / np.max(np.std(Y, axis=1)))
    return Answers(J, min(filter(math.isfinite, costs), default=math.nan), spread)


def _scores(
    target: Target, network: Network, subject: Subject, A: NDArray[Any], Y: NDArray[Any]
) -> Scores:
    train = _skill(target, A, Y)
    third = _third(Y.shape[1])
    last, validation = (A[:, third], Y[:, third]), None
    if subject.validation is not None:
        Xv, Yv = subject.validation
        Yv = _targets(Yv, network.n[-1])
        if Yv is not None:
            last = network.forward(Xv), Yv
            validation = _skill(target, *last)
    recalls = _recalls(target, A, Y), _recalls(target, *last)
    return Scores(train, validation, _skill(target, *last), *recalls, last[1].shape[1])


def _third(m: int) -> NDArray[np.intp]:
    """The rows that a reference is measured on where there are no validation data."""
    return facts.take_rows(m)[::3]


def _recalls(target: Target, A: NDArray[Any], Y: NDArray[Any]) -> list[float]:
    if target.task == "regression":
        return []
    guess, true = _classes(A, target), _classes(Y, target)
    return [
        float(np.mean(guess[true == k] == k)) if np.any(true == k) else math.nan
        for k in range(max(2, len(A)))
    ]


def _classes(A: NDArray[Any], target: Target) -> NDArray[np.intp]:
    if len(A) > 1:
        most: NDArray[np.intp] = A.argmax(axis=0)
        return most
    second: NDArray[np.intp] = (A[0] >= (target.low + target.high) / 2).astype(np.intp)
    return second


def _skill(target: Target, A: NDArray[Any], Y: NDArray[Any]) -> float:
    if target.task == "regression":
        spread = float(np.var(Y, axis=1).mean())
        return 1 - float(np.mean((A - Y) ** 2, dtype=np.float64)) / max(spread, 1e-300)
    return float(np.mean(_classes(A, target) == _classes(Y, target)))


def _from_data(found: Evidence, subject: Subject, task: str | None, compare: bool) -> None:
    assert subject.data is not None
    found.looked_at.append(DATA)
    X, Y = subject.data
    found.m = X.shape[1]
    found.target = target_of(Y, subject.loss, task)
    rows = facts.take_rows(X.shape[1])
    train = _table(X[:, rows], Y[..., rows], found.target)
    found.columns = facts.columns_of(train)
    if subject.validation is None:
        held_out = Table(train.X[::3], train.y[::3], train.classes)
        kept = np.arange(len(train.y)) % 3 != 0
        train = Table(train.X[kept], train.y[kept], train.classes)
    else:
        held_out = _table(*subject.validation, found.target)
        _drift(found, train, held_out)
    if compare and len(train.y) >= 20 and len(held_out.y) >= 8:
        _compare(found, train, held_out)


def _compare(found: Evidence, train: Table, held_out: Table) -> None:
    """What simple learners make of the data."""
    assert found.columns is not None
    found.reference = reference(train, held_out)
    chance = 1 / max(train.classes, 1) if train.classes else 0.0
    if found.reference.weighted < chance + NEAR_CHANCE:
        found.pooled = pooled(train, held_out)
    best = int(np.argmax(found.columns.alone))
    if found.columns.alone[best] > 0.9 and len(train.X.T) > 1:
        rest = [np.delete(each.X, best, axis=1) for each in (train, held_out)]
        found.without_best_column = reference(
            Table(rest[0], train.y, train.classes), Table(rest[1], held_out.y, train.classes)
        ).score


def _drift(found: Evidence, train: Table, held_out: Table) -> None:
    assert found.columns is not None
    assert found.target is not None
    n = train.X.shape[1]
    found.columns.drift = [facts.drift(train.X[:, j], held_out.X[:, j], n + 1) for j in range(n)]
    found.target.drift = facts.drift(train.y.astype(float), held_out.y.astype(float), n + 1)


def _table(X: NDArray[Any], Y: NDArray[Any], target: Target) -> Table:
    rows = np.asarray(X.T, dtype=np.float64)
    if target.task == "regression":
        return Table(rows, np.asarray(Y[0] if Y.ndim == 2 else Y, dtype=np.float64), 0)
    if Y.ndim == 2 and len(Y) > 1:
        return Table(rows, Y.argmax(axis=0), len(Y))
    y = Y.ravel()
    if target.task == "binary":
        return Table(rows, (y >= (target.low + target.high) / 2).astype(int), 2)
    numbers = np.unique(y)
    if len(numbers) == target.values:
        return Table(rows, np.searchsorted(numbers, y), len(numbers))
    return Table(rows, (y - target.low).astype(int).clip(0), target.values)


def target_of(Y: NDArray[Any], loss: Loss | None, task: str | None) -> Target:
    """Return what the targets are like; the task is inferred where it is not given."""
    y = np.asarray(Y, dtype=np.float64)
    distinct = np.unique(y)
    several = y.ndim == 2 and len(y) > 1
    whole = bool(np.all(distinct == np.round(distinct)))
    one_each = several and bool(np.allclose(y.sum(axis=0), 1))
    if task in (None, "classification"):
        task = _infer(distinct, whole, several, one_each, loss, task is not None)
    shares = []
    if task != "regression":
        classes = _table(np.zeros((1, y.shape[-1])), y, _bare(task, distinct)).y
        shares = (np.bincount(classes) / len(classes)).tolist()
    return Target(
        task,
        len(distinct),
        float(distinct[0]),
        float(distinct[-1]),
        float(np.sqrt(np.mean(y**2))),
        float(np.mean(np.std(y, axis=-1))),
        one_each,
        whole,
        shares,
    )


def _bare(task: str, distinct: NDArray[Any]) -> Target:
    return Target(task, len(distinct), float(distinct[0]), float(distinct[-1]), 0, 0, False, False)


def _infer(
    distinct: NDArray[Any], whole: bool, several: bool, one_each: bool, loss: Any, classes: bool
) -> str:
    if several:
        return "multiclass" if whole and one_each else "regression"
    if whole and loss is not None and loss.targets == "distribution":
        return "multiclass"
    if len(distinct) <= 2:
        return "binary"
    if classes:
        return "multiclass"
    return "regression"
