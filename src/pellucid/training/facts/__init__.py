"""Facts: what a training's data, target and answers are like, as plain numbers without any row.

:class:`Facts` is what a diagnosis reads of them. :func:`of_run` gathers it at the end of a training,
where the data are still there, and a history keeps it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.losses import Loss
from pellucid.training.facts.columns import COLUMNS, Columns, columns_of, relate, take_rows
from pellucid.training.facts.columns import drift as drift_of
from pellucid.training.facts.columns import means_apart
from pellucid.training.facts.reference import Reference, of_inner_width, pooled, quick
from pellucid.training.facts.target import (
    Table,
    Target,
    as_columns,
    best_constant,
    classes_of,
    mean_loss,
    table,
    target_of,
)

__all__ = [
    "FIELDS",
    "Answers",
    "Facts",
    "Scores",
    "compare",
    "is_input",
    "of_columns",
    "of_network",
    "of_run",
    "seen_again",
]

NEAR_CHANCE = 0.25
"""Above chance by less than this, it is asked again whether there is anything to learn."""
WELL = 0.95
"""A score on the training data that leaves nothing to be wished: none is compared with it."""
TELLS = 0.8
"""A column that explains so much of the target is looked at more closely."""
COMPARED = 20_000
"""Rows of each part that are looked for in the other, evenly spaced."""


@dataclass
class Scores:
    """Accuracy or R squared of the network, and the shares of the classes it predicts."""

    train: float
    validation: float | None
    compared: float
    """On the rows where the reference was measured: the validation data, or a third of all."""
    train_recalls: list[float] = dataclasses.field(default_factory=list)
    """For each class the share that is found."""
    recalls: list[float] = dataclasses.field(default_factory=list)
    """The same on the rows of ``compared``; ``rows`` is their number."""
    rows: int = 0


@dataclass
class Answers:
    """The mean loss of the network, and the least of an answer that is the same for every X."""

    J: float
    constant: float
    spread: float
    """The largest standard deviation of an output, relative to that of Y."""
    validation: float | None = None
    """The mean loss of the validation data; ``validation_constant`` that of the same answer."""
    validation_constant: float | None = None


@dataclass
class Facts:
    """What is known of the data and of the answers to them. A field is None where nothing is."""

    m: int = 0
    target: Target | None = None
    columns: Columns | None = None
    scores: Scores | None = None
    reference: Reference | None = None
    pooled: Reference | None = None
    """The same on all rows in turn, where the first was not far above chance."""
    without_best_column: float | None = None
    """The reference's score without the column that says most alone, where that says it all."""
    outputs: tuple[float, float] | None = None
    """The smallest and the largest output."""
    answers: Answers | None = None
    seen_again: tuple[float, float] | None = None
    """The share of validation rows that are training rows; of training rows that are repeated."""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        plain = {name: getattr(self, name) for name in FIELDS}
        return {
            name: value.to_dict() if isinstance(value, Columns) else _plain(value)
            for name, value in plain.items()
            if value is not None
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Facts:
        """Return what :meth:`to_dict` wrote; ValueError for anything else."""
        try:
            made = {name: _made(_KINDS[name], value) for name, value in data.items()}
            return cls(**made)
        except (IndexError, KeyError, TypeError, ValueError) as fault:
            raise ValueError(f"the facts of a history cannot be: {fault}") from None


_KINDS: dict[str, Any] = {
    "m": int,
    "target": Target,
    "columns": Columns,
    "scores": Scores,
    "reference": Reference,
    "pooled": Reference,
    "without_best_column": float,
    "outputs": tuple,
    "answers": Answers,
    "seen_again": tuple,
}
FIELDS = tuple(_KINDS)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return list(value) if isinstance(value, tuple) else value


def _made(kind: Any, value: Any) -> Any:
    """A value of a kind from plain data; its numbers must be numbers, its texts texts."""
    if kind is Columns:
        return Columns.from_dict(value)
    if kind is tuple:
        low, high = map(float, value)
        return low, high
    if not dataclasses.is_dataclass(kind):
        return kind(value)
    texts = {each.name for each in dataclasses.fields(kind) if each.type == "str"}
    for name, entry in value.items():
        numbers = entry if isinstance(entry, list) else [0.0 if entry is None else entry]
        good = isinstance(entry, str) if name in texts else all(map(_is_number, numbers))
        if not good:
            raise ValueError(f"{name} = {entry!r:.40}")
    return kind(**value)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float))


# Of the data alone --------------------------------------------------------------------------------


def of_columns(
    found: Facts, train: Table, held_out: Table | None, *, related: bool = True
) -> None:
    """Add what the columns are like, and how those of the validation data differ."""
    found.columns = columns_of(train, related=related)
    if held_out is None or found.target is None:
        return
    n = train.X.shape[1]
    pairs = [(train.X[:, j], held_out.X[:, j]) for j in range(n)]
    found.columns.drift = [drift_of(*pair, n + 1) for pair in pairs]
    found.columns.moved = [means_apart(*pair) for pair in pairs]
    ys = [np.atleast_2d(each.y.T)[0].astype(float) for each in (train, held_out)]
    found.target.drift = drift_of(*ys, n + 1)


def compare(found: Facts, train: Table, held_out: Table, learn: Any, narrowest: int = 0) -> None:
    """Add what simple learners make of the data, ``learn(train, held_out)`` the best of them.

    ``narrowest`` is the width of the network's narrowest layer, for an auto-encoder.
    """
    assert found.columns is not None
    assert found.target is not None
    if found.target.is_input:
        found.reference = of_inner_width(train, held_out, narrowest or train.X.shape[1])
        return
    found.reference = learn(train, held_out)
    chance = 1 / max(train.classes, 1) if train.classes else 0.0
    if found.reference.weighted < chance + NEAR_CHANCE:
        found.pooled = pooled(_together(train, held_out), learn)
    best = int(np.argmax(found.columns.alone))
    if found.columns.alone[best] > 0.9 and len(train.X.T) > 1:
        rest = [dataclasses.replace(each, X=np.delete(each.X, best, axis=1))
                for each in (train, held_out)]  # fmt: skip
        found.without_best_column = learn(*rest).score


def _together(one: Table, other: Table) -> Table:
    X, y = np.concatenate([one.X, other.X]), np.concatenate([one.y, other.y])
    weight = None
    if one.weight is not None and other.weight is not None:
        weight = np.concatenate([one.weight, other.weight])
    return Table(X, y, one.classes, weight, one.loss)


def is_input(X: NDArray[Any], Y: NDArray[Any]) -> bool:
    """Whether the targets are the inputs, each column up to its scale."""
    if Y.ndim != 2 or Y.shape != X.shape or len(X) < 2:
        return False
    both = []
    for A in (X, Y):
        centred = A - A.mean(axis=1, keepdims=True)
        both.append(centred / np.maximum(np.abs(centred).max(axis=1, keepdims=True), 1e-12))
    return bool(np.allclose(*both, atol=1e-3))


# Of the network's answers -------------------------------------------------------------------------


def of_network(
    found: Facts,
    loss: Loss,
    train: tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None],
    held_out: tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None] | None,
    thirds: Any = slice(None, None, 3),
) -> None:
    """Add the scores and the mean losses; each part is (A[L], Y, weights), Y of A's shape.

    ``thirds`` are the training rows that stand for those held out where there are none.
    """
    assert found.target is not None
    A, Y, w = train
    found.outputs = float(np.min(A)), float(np.max(A))
    best, least = best_constant(loss, Y, w)
    with np.errstate(all="ignore"):
        spread = float(np.max(np.std(A, axis=1)) / np.max(np.std(Y, axis=1)))
    found.answers = Answers(mean_loss(loss, Y, A, w), least, spread)
    validation = None
    last = (A[:, thirds], Y[:, thirds], None if w is None else w[thirds])
    if held_out is not None:
        last = held_out
        Av, Yv, wv = held_out
        validation = _score(found.target, *held_out, loss)
        found.answers.validation = mean_loss(loss, Yv, Av, wv)
        found.answers.validation_constant = mean_loss(loss, Yv, best, wv)
    recalls = _recalls(found.target, A, Y), _recalls(found.target, *last[:2])
    compared = _score(found.target, *last, loss)
    rows = last[1].shape[1]
    if last[2] is not None:  # Kish 1965: as many rows of one weight would be as sure
        rows = int(last[2].sum() ** 2 / max(float((last[2] ** 2).sum()), 1e-300))
    train_score = _score(found.target, A, Y, w, loss)
    found.scores = Scores(train_score, validation, compared, *recalls, max(rows, 1))


def _score(
    target: Target, A: NDArray[Any], Y: NDArray[Any], w: NDArray[Any] | None, loss: Loss
) -> float:
    """As :meth:`Table.score`, of outputs."""
    none = np.zeros((0, Y.shape[1]))
    if target.task == "regression":
        return table(none, Y, target, w, loss).score(np.asarray(A.T, dtype=np.float64))
    weight = None if w is None else np.asarray(w, dtype=np.float64)
    return Table(none.T, classes_of(Y, target), 2, weight).score(classes_of(A, target))


def _recalls(target: Target, A: NDArray[Any], Y: NDArray[Any]) -> list[float]:
    if target.task == "regression":
        return []
    guess, true = classes_of(A, target), classes_of(Y, target)
    return [
        float(np.mean(guess[true == k] == k)) if np.any(true == k) else math.nan
        for k in range(max(2, len(A)))
    ]


# At the end of a training -------------------------------------------------------------------------


def of_run(run: Any, rows: int) -> Facts:
    """Return the facts of a training that has ended, from so many of its rows.

    Simple learners are asked only where the answers leave something to be wished, or a column tells
    too much.
    """
    found = Facts(run.data.m)
    network, loss = run.network, run.objective.loss
    train = _part(run.data, network, rows)
    if train is None:
        return found
    X, Y, w = train
    found.target = target_of(_plain_targets(Y, loss), loss)
    found.target.is_input = is_input(X, Y)
    held_out = None if run.validation is None else _part(run.validation, network, rows)
    whole = _table_of(found, train, loss)
    asked = None if held_out is None else _table_of(found, held_out, loss)
    of_columns(found, whole, asked, related=False)
    parts = [part and (network.forward(part[0]), *part[1:]) for part in (train, held_out)]
    assert parts[0] is not None
    of_network(found, loss, parts[0], parts[1])
    if asked is not None:
        found.seen_again = seen_again(run.data, run.validation)
    if asked is None:
        asked = whole.rows(slice(None, None, 3))
        whole = whole.rows(np.arange(len(whole.y)) % 3 != 0)
    if len(whole.y) >= 20 and len(asked.y) >= 8 and _worth_a_look(found):
        assert found.columns is not None
        relate(found.columns, whole)
        compare(found, whole, asked, quick, min(network.n[1:]))
    return found


def _plain_targets(Y: NDArray[Any], loss: Loss) -> NDArray[Any]:
    """One-hot columns of classes as class numbers, which say which task it is."""
    return Y.argmax(axis=0) if loss.targets == "distribution" else Y


def _worth_a_look(found: Facts) -> bool:
    s, columns = found.scores, found.columns
    assert s is not None
    assert columns is not None
    worst = min([s.train, s.compared, *(r for r in s.train_recalls if not math.isnan(r))])
    told = max(columns.copy) > TELLS and not (found.target and found.target.is_input)
    return worst < WELL or told


def _table_of(found: Facts, part: tuple[Any, Any, Any], loss: Loss) -> Table:
    X, Y, w = part
    assert found.target is not None
    return table(X[:COLUMNS], Y, found.target, w, loss)


def _part(data: Any, network: Any, rows: int) -> tuple[Any, Any, Any] | None:
    """Some examples, evenly spaced: X (n[0], k), Y (n[L], k) and weights."""
    chosen = take_rows(data.m, rows)
    columns = chosen if data.rows is None else data.rows[chosen]
    X = data.X[:, columns]
    X = np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=network.dtype)
    Y = as_columns(data.Y[..., columns], network.n[-1])
    if Y is None:
        return None
    weight = None if data.weight is None else np.asarray(data.weight[columns], dtype=np.float64)
    return X, Y, weight


def seen_again(train: Any, validation: Any) -> tuple[float, float]:
    """Return which share of validation rows are training rows too, and of training rows repeated.

    Rows are compared by a sum of their bits with random factors, modulo 2^64.
    """
    factors = np.random.default_rng(0).integers(2**63, size=train.X.shape[0], dtype=np.uint64)
    known, asked = (_sums(part, factors) for part in (train, validation))
    ordered, counts = np.unique(known, return_counts=True)
    at = np.minimum(np.searchsorted(ordered, asked), len(ordered) - 1)
    share = min(1.0, np.mean(ordered[at] == asked) * train.m / len(known))
    return float(share), float(counts[counts > 1].sum() / len(known))


def _sums(part: Any, factors: NDArray[np.uint64]) -> NDArray[np.uint64]:
    rows = take_rows(part.m, COMPARED)
    rows = rows if part.rows is None else part.rows[rows]
    some = max(1, 2**17 // len(factors))
    sums = []
    for first in range(0, len(rows), some):
        X = part.X[:, rows[first : first + some]]
        X = X.toarray() if hasattr(X, "toarray") else X
        bits = (np.ascontiguousarray(X.T, dtype=np.float32) + np.float32(0)).view(np.uint32)
        sums.append((bits * factors).sum(axis=1))
    return np.concatenate(sums)
