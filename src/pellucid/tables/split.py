"""What kind of target it is, and which rows train, validate and are held out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import philox
from pellucid._catalogue import did_you_mean
from pellucid.engines import permutation
from pellucid.errors import DataError, SettingsError
from pellucid.tables.by import By
from pellucid.tables.table import Table, count, some
from pellucid.tables.values import parse_number, parse_numbers
from pellucid.tasks import OF_A_COLUMN

TASKS = {name: task.title for name, task in OF_A_COLUMN.items()}
"""Every task, and what it is called in a sentence."""

MOST_CLASSES = 20
"""Whole numbers with more distinct values than these are taken for quantities."""
MIN_ROWS = 10
"""Fewer cannot be cut into a training, a validation and a held-out part."""

Rows = NDArray[np.int64]
_HELD_OUT, _VALIDATION, _FOLDS = range(3)
"""The draws of this module, so that none repeats another."""


def check_learnable(table: Table, least: int = MIN_ROWS) -> None:
    """Refuse a table that nothing can be learned from: too few rows, or a constant target."""
    y = table.y
    if y is None or table.target is None:
        raise DataError(f"{table.source} was read without a target; name the column to learn.")
    if table.m < least:
        raise DataError(
            f"{table.source} has {count(table.m, 'row')}; at least {least} are needed to train and "
            "to measure. Add rows."
        )
    if (y == y[0]).all():
        one = "" if y.dtype.kind == "f" else "one class only; "
        raise DataError(
            f"{table.source}: the target {table.target!r} is constant: every row holds "
            f"{y[0].item()!r} ({one}nothing to learn). Choose another target."
        )


def infer_task(name: str, y: NDArray[Any], asked: str | None = None) -> tuple[str, str]:
    """Return the task of a target and the reason as a sentence; ``asked`` overrides.

    >>> infer_task("kind", np.array(["a", "b", "c"] * 5))
    ('multiclass', "'kind' holds 3 distinct texts: multi-class classification")
    """
    if asked is not None and asked not in TASKS:
        fault = f"must be one of {', '.join(TASKS)}; got {asked!r}{did_you_mean(asked, TASKS)}."
        raise SettingsError(("task", fault))
    distinct = len(np.unique(y))
    kind = {"U": "text", "b": "truth value", "i": "whole number"}.get(y.dtype.kind, "number")
    holds = f"{name!r} holds {count(distinct, f'distinct {kind}')}{_numbers_among(y)}"
    if asked is not None:
        _check_asked(holds, y, distinct, asked)
        return asked, f"{holds}: {TASKS[asked]}, as asked for"
    if distinct == 2:
        task = "binary"
    elif y.dtype.kind in "Ub" or (y.dtype.kind == "i" and distinct <= MOST_CLASSES):
        task = "multiclass"
    else:
        task = "regression"
    if task != "regression":
        _check_class_count(holds, len(y), distinct, most=len(y) // 2)
    return task, f"{holds}: {TASKS[task]}"


def _numbers_among(y: NDArray[Any]) -> str:
    """What to say of texts half of which, or more, are numbers: that may not be meant."""
    if y.dtype.kind != "U":
        return ""
    texts, times = np.unique(y, return_counts=True)
    numbers = int(times[~np.isnan(parse_numbers(texts))].sum())
    if 2 * numbers < len(y):
        return ""
    other = f", {no_number(y)!r} is not" if numbers < len(y) else ""
    return f" ({numbers:,} of {len(y):,} are numbers{other})"


def no_number(y: NDArray[Any]) -> str:
    """Return the first text that is no number; of numbers alone, the first.

    >>> no_number(np.array(["1", "2", "n.b."]))
    'n.b.'
    """
    return str(next((text for text in y if math.isnan(parse_number(text))), y[0]))


def _check_asked(holds: str, y: NDArray[Any], distinct: int, asked: str) -> None:
    if asked == "regression":
        if y.dtype.kind == "U":
            raise DataError(
                f"{holds}, such as {no_number(y)!r}: regression needs numbers. Use another target, "
                "or leave the task to be inferred."
            )
        return
    if asked == "binary" and distinct != 2:
        raise DataError(
            f"{holds}: binary classification needs exactly 2. Use multiclass, or merge classes."
        )
    _check_class_count(holds, len(y), distinct, most=len(y) - 1)


def _check_class_count(holds: str, m: int, distinct: int, most: int) -> None:
    if distinct > max(most, 2):
        raise DataError(
            f"{holds} in {count(m, 'row')}: too many classes to learn; expected two rows or more "
            "for a class on average. Is it a row name or number? Choose another target, "
            "or, for quantities, regression."
        )


def hold_out(
    table: Table, task: str | None = None, share: float = 0.2, seed: int = 0
) -> tuple[Table, Table]:
    """Return the table to learn from and the rows held out to measure.

    They are drawn at random, or by what the table is to be parted by: by time the latest rows are
    held out, by group whole groups. But for time both have their shares of each class, and every
    class is in the first. Each keeps the order of the table.

    >>> rows = Table({"a": np.arange(50.0)}, np.arange(50) % 2, "b")
    >>> seen, test = hold_out(rows)
    >>> seen.m, test.m, int(test.y.sum())
    (40, 10, 5)
    """
    check_learnable(table)
    y = np.asarray(table.y)
    task = infer_task(str(table.target), y, task)[0]
    labels = None if task == "regression" else np.unique(y, return_inverse=True)[1]
    seen, test = _cut(table.m, labels, share, seed, _HELD_OUT, table.by, leave=2)
    _check_parted(table, seen, test, labels)
    return table.rows(seen), table.rows(test)


def _check_parted(table: Table, seen: Rows, test: Rows, labels: Rows | None) -> None:
    """Refuse parts of which the first does not tell what the second holds."""
    y = np.asarray(table.y)
    if table.by is None:
        return
    where = f"{table.source}: the rows held out are {table.by.rows(test).describe()}"
    if (y[seen] == y[seen[0]]).all():
        raise DataError(
            f"{where}; in all others the target {table.target!r} is {y[seen[0]].item()!r}: nothing "
            "to learn. Hold rows out in another way."
        )
    new = [] if labels is None else np.setdiff1d(y[test], y[seen]).tolist()
    if new:
        raise DataError(
            f"{where}; they alone hold {some(list(map(repr, new)))} of the target "
            f"{table.target!r}, which cannot be learned from the others. Leave those rows out, or "
            "hold rows out in another way."
        )


def validation_part(
    m: int, labels: Rows | None, share: float, seed: int, by: By | None = None
) -> tuple[Rows, Rows]:
    """Return the rows to train on and those that decide the best epoch.

    >>> training, validation = validation_part(10, None, 0.2, seed=0)
    >>> training, validation
    (array([0, 1, 2, 3, 4, 5, 6, 9]), array([7, 8]))
    """
    return _cut(m, labels, share, seed, _VALIDATION, by)


def folds(
    m: int, labels: Rows | None, k: int, seed: int, by: By | None = None
) -> list[tuple[Rows, Rows]]:
    """Return k pairs of rows to train on and rows that validate: each row validates once.

    For classes each fold has its share of each; the row of a class that has only one trains in
    every network. By time a fold validates what trains on the rows before it; the first three
    quarters of the rows validate nothing.

    >>> [validation.tolist() for _, validation in folds(6, np.array([0, 0, 1, 1, 1, 2]), 2, 0)]
    [[0, 2, 3], [1, 4]]
    """
    if by is not None and not by.each_alone:
        return by.folds(labels, k, seed, _FOLDS)
    labels = np.zeros(m, dtype=np.int64) if labels is None else labels
    order = permutation(seed, m, stream=philox.SPLIT, step=_FOLDS)
    order = order[np.bincount(labels)[labels[order]] > 1]
    dealt = order[np.argsort(labels[order], kind="stable")]  # like cards, class after class
    k = min(k, len(dealt))
    fold = np.full(m, k)
    fold[dealt] = np.arange(len(dealt)) % k
    return [(np.flatnonzero(fold != j), np.flatnonzero(fold == j)) for j in range(k)]


def _cut(
    m: int,
    labels: Rows | None,
    share: float,
    seed: int,
    draw: int,
    by: By | None,
    leave: int = 1,
) -> tuple[Rows, Rows]:
    """Cut off a share of the rows, each class in proportion; one row of a class always stays.

    The classes' shares are rounded down; what is missing goes to the largest remainders. At least
    one row is cut off.
    """
    if by is not None and not by.each_alone:
        return by.cut(labels, share, leave, seed, draw)
    labels = np.zeros(m, dtype=np.int64) if labels is None else labels
    order = permutation(seed, m, stream=philox.SPLIT, step=draw)
    mine = labels[order]
    counts = np.bincount(mine)
    exact = share * counts
    taken = np.floor(exact).astype(np.int64)  # a share is below 1, so one row stays
    wanted = max(1, round(share * m))
    for k in np.argsort(taken - exact, kind="stable"):
        if taken.sum() < wanted and taken[k] < counts[k] - 1:
            taken[k] += 1
    picked = np.zeros(m, dtype=np.bool_)
    for k, number in enumerate(taken.tolist()):
        picked[order[mine == k][:number]] = True
    return np.flatnonzero(~picked), np.flatnonzero(picked)
