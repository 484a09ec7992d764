"""Facts: what a training's data, target and answers are like, as plain numbers without any row.

:class:`Facts` is what a diagnosis reads of them, and what a history keeps of its training.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.losses import Loss
from pellucid.training.facts.channels import Inputs, at_places, channels_of, compare_channels
from pellucid.training.facts.columns import (
    COLUMNS,
    Columns,
    columns_of,
    compare_columns,
    drift,
    take_rows,
)
from pellucid.training.facts.reference import Reference, of_inner_width, pooled, quick
from pellucid.training.facts.target import (
    Table,
    Target,
    best_constant,
    by_steps,
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
    "at_places",
    "is_input",
    "of_columns",
    "of_network",
    "of_parts",
    "parted",
    "plain_targets",
    "seen_again",
    "some_entries",
]

NEAR_CHANCE = 0.25
"""Above chance by less than this, it is asked again whether there is anything to learn."""
COMPARED = 10_000
"""Rows of each part that are looked for in the other."""
FEW = 250
"""Rows that are looked at where nobody waits for an answer."""


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
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as fault:
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
        return dict(vars(value))
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
        good = (
            isinstance(entry, str)
            if name in texts
            else all(isinstance(each, (int, float)) for each in numbers)
        )
        if not good:
            raise ValueError(f"{name} = {entry!r:.40}")
    made: Any = kind  # mypy takes it for an instance
    return made(**value)


# Of the data alone --------------------------------------------------------------------------------


def of_columns(
    found: Facts,
    train: Table,
    held_out: Table | None,
    inputs: Sequence[Inputs] = (),
    shape: tuple[int, ...] = (),
    takes: str = "numbers",
) -> None:
    """Add what the columns are like, and how those of the validation data differ.

    Where examples have a shape, these are the channels of their ``inputs``; of words there is
    nothing to tell.
    """
    if takes == "words":
        return
    if len(shape) > 1:
        of_channels(found, inputs, shape)
    else:
        found.columns = columns_of(train)
        if held_out is not None:
            compare_columns(found.columns, train.X, held_out.X)
    if held_out is not None and found.target is not None and found.columns is not None:
        y, yv = (np.atleast_2d(each.y.T)[0].astype(float) for each in (train, held_out))
        found.target.drift = drift(y, yv, len(found.columns.scale) + 1)


def of_channels(found: Facts, inputs: Sequence[Inputs], shape: tuple[int, ...]) -> None:
    """Add what the channels of pictures or sequences are like; the first are those of training."""
    found.columns = channels_of(inputs[0], shape)
    if len(inputs) > 1:
        compare_channels(found.columns, inputs[0], inputs[1], shape)


def some_entries(X: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return what simple learners learn from: of large pictures some pixels, evenly spread."""
    return X[take_rows(len(X), COLUMNS)] if len(shape) > 1 else X


def compare(found: Facts, train: Table, held_out: Table, learn: Any, narrowest: int = 0) -> None:
    """Add what simple learners make of the data, ``learn(train, held_out)`` the best of them.

    ``narrowest`` is the width of the network's narrowest layer, for an auto-encoder.
    """
    assert found.target is not None
    if found.target.is_input:
        found.reference = of_inner_width(train, held_out, narrowest or train.X.shape[1])
        return
    found.reference = learn(train, held_out)
    chance = 1 / max(train.classes, 1) if train.classes else 0.0
    if found.reference.weighted < chance + NEAR_CHANCE:
        found.pooled = pooled(_together(train, held_out), learn)
    alone = found.columns.alone if found.columns else []
    best = int(np.argmax(alone)) if alone else 0
    if alone and alone[best] > 0.9 and len(train.X.T) > 1:
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
    return bool(np.allclose(_to_one_scale(X), _to_one_scale(Y), atol=1e-3))


def _to_one_scale(A: NDArray[Any]) -> NDArray[Any]:
    """Each row centred, its largest size 1."""
    centred = A - A.mean(axis=1, keepdims=True)
    scaled: NDArray[Any] = centred / np.maximum(np.abs(centred).max(axis=1, keepdims=True), 1e-12)
    return scaled


# Of the network's answers -------------------------------------------------------------------------


def of_network(
    found: Facts,
    loss: Loss,
    train: tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None],
    held_out: tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None] | None = None,
    thirds: Any = slice(None, None, 3),
) -> None:
    """Add the scores and the mean losses; each part is (A[L], Y, weights), Y of A's shape.

    ``thirds`` are the training rows that stand for those held out where there are none.
    """
    assert found.target is not None
    A, Y, w = train
    found.outputs = float(A.min()), float(A.max())
    best, least = best_constant(loss, Y, w)
    with np.errstate(all="ignore"):
        spread = float(A.std(axis=1).max() / Y.std(axis=1).max())
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
        float((guess[true == k] == k).mean()) if (true == k).any() else math.nan
        for k in range(max(2, len(A)))
    ]


# Of rows that a training left ---------------------------------------------------------------------


def of_parts(kept: Any, outputs: list[NDArray[Any]], known: Facts | None = None) -> Facts:
    """Return the facts of a training's rows and of the answers to them, in some milliseconds.

    ``known`` are those of another network of the same ensemble, whose data are the same.
    """
    found, shape = Facts(kept.m), kept.input_shape
    n = kept.output_shape[-1]
    parts = [_fewer(kept.train, outputs[0], n)]
    if kept.validation is not None:
        parts.append(_fewer(kept.validation, outputs[1], n))
    answers, inputs = [part[:3] for part in parts], [part[3] for part in parts]
    if known is not None and len(outputs[0]) == n:
        found = dataclasses.replace(known, m=kept.m)
        of_network(found, kept.loss, *answers)
        return found
    X, Y = inputs[0][0], answers[0][1]
    found.target = target_of(plain_targets(Y, kept.loss), kept.loss)
    of_network(found, kept.loss, *answers)
    if kept.validation is not None:
        found.seen_again = seen_again(kept.m, kept.train.X, kept.validation.X)
    if len(outputs[0]) != n:  # an answer at each step: no rows for simple learners
        if len(shape) > 1:
            of_channels(found, inputs, shape)
        return found
    found.target.is_input = is_input(X, Y)
    tables = [
        table(some_entries(X, shape)[:COLUMNS], Y, found.target, w, kept.loss)
        for (_, Y, w), (X, _) in zip(answers, inputs, strict=True)
    ]
    train, held_out = tables if len(tables) == 2 else (tables[0], None)
    of_columns(found, train, held_out, inputs, shape, kept.takes)
    parted(found, train, held_out, quick, min(A.shape[0] for A in outputs))
    return found


def _fewer(part: Any, outputs: NDArray[Any], n: int) -> tuple[Any, Any, Any, Inputs]:
    """Some rows: outputs, Y and weights, a column for each step, n outputs each; X and lengths."""
    rows = take_rows(part.X.shape[1], FEW)
    X, Y, w, lengths, after = part.take(rows)
    A, inputs = outputs[:, rows], (X, lengths)
    if n == len(A):
        return A, Y, w, inputs
    steps = np.full(len(rows), len(A) // n) if after is None else after
    Y, A = by_steps(Y, A, n, after)
    w = (1.0 if w is None else w) / steps  # the loss of an example is the mean over its steps
    return A, Y, np.repeat(w, steps), inputs


def plain_targets(Y: NDArray[Any], loss: Loss | None) -> NDArray[Any]:
    """One-hot columns of classes as class numbers, which say which task it is."""
    return Y.argmax(axis=0) if loss is not None and loss.targets == "distribution" else Y


def parted(found: Facts, train: Table, held_out: Table | None, learn: Any, narrowest: int) -> None:
    """Compare with simple learners, by rows held out; where there are none, by every third row."""
    if held_out is None:
        held_out = train.rows(slice(None, None, 3))
        train = train.rows(np.arange(len(train.y)) % 3 != 0)
    if len(train.y) >= 20 and len(held_out.y) >= 8:
        compare(found, train, held_out, learn, narrowest)


def seen_again(m: int, train: NDArray[Any], validation: NDArray[Any]) -> tuple[float, float]:
    """Return which share of validation rows are training rows too, and of training rows repeated.

    ``train`` and ``validation`` hold some of them, ``m`` is how many training rows there are.
    """
    known, asked = map(_as_bytes, (train, validation))
    counts = Counter(known)
    share = sum(each in counts for each in asked) / len(asked) * m / len(known)
    repeated = sum(count for count in counts.values() if count > 1)
    return min(share, 1.0), repeated / len(known)


def _as_bytes(X: NDArray[Any]) -> list[bytes]:
    rows = X[:, take_rows(X.shape[1], COMPARED)].T.astype(np.float32) + np.float32(0)  # no -0
    return [row.tobytes() for row in rows]
