"""What kind of target it is, and which rows train, validate and test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import philox
from pellucid.errors import DataError, SettingsError
from pellucid.tables.table import count

TASKS = {
    "binary": "binary classification",
    "multiclass": "multi-class classification",
    "regression": "regression",
}
"""Every task, and what it is called in a sentence."""

MOST_CLASSES = 20
"""Whole numbers with more distinct values than these are taken for quantities."""

Rows = NDArray[np.int64]


def infer_task(name: str, y: NDArray[Any], asked: str | None = None) -> tuple[str, str]:
    """Return the task of a target and the reason as a sentence; ``asked`` overrides.

    >>> infer_task("kind", np.array(["a", "b", "c"] * 5))
    ('multiclass', "'kind' holds 3 distinct texts: multi-class classification")
    """
    if asked is not None and asked not in TASKS:
        raise SettingsError(("task", f"must be one of {', '.join(TASKS)}; got {asked!r}."))
    distinct = len(np.unique(y))
    kind = {"U": "text", "b": "truth value", "i": "whole number"}.get(y.dtype.kind, "number")
    holds = f"{name!r} holds {count(distinct, f'distinct {kind}')}"
    if asked is not None:
        _check_asked(name, holds, y, distinct, asked)
        return asked, f"{holds}: {TASKS[asked]}, as asked for"
    if distinct == 2:
        task = "binary"
    elif y.dtype.kind in "Ub" or (y.dtype.kind == "i" and distinct <= MOST_CLASSES):
        task = "multiclass"
    else:
        task = "regression"
    if task != "regression":
        _check_class_count(holds, len(y), distinct)
    return task, f"{holds}: {TASKS[task]}"


def _check_asked(name: str, holds: str, y: NDArray[Any], distinct: int, asked: str) -> None:
    if asked == "regression":
        if y.dtype.kind == "U":
            raise DataError(
                f"{holds}, such as {y[0].item()!r}: regression needs numbers. Use another target, "
                "or leave the task to be inferred."
            )
        return
    if asked == "binary" and distinct != 2:
        raise DataError(
            f"{holds}: binary classification needs exactly 2. Use multiclass, or merge classes."
        )
    _check_class_count(holds, len(y), distinct)


def _check_class_count(holds: str, m: int, distinct: int) -> None:
    if distinct > m // 2:
        raise DataError(
            f"{holds} in {count(m, 'row')}: too many classes to learn; expected two rows or more "
            "for a class on average. Is it a name or a number of the row? Choose another target, "
            "or, for quantities, regression."
        )


@dataclass
class Split:
    """The row numbers of each part."""

    training: Rows
    validation: Rows
    test: Rows


def split(m: int, labels: NDArray[np.int64] | None, seed: int) -> Split:
    """Return 20 % of the rows for the test and 15 % of the others for validation, at random.

    With class numbers as ``labels`` every part has its share of each class, and every class is
    in the training part. Each part keeps the order of the table.

    >>> parts = split(100, None, seed=0)
    >>> len(parts.training), len(parts.validation), len(parts.test)
    (68, 12, 20)
    """
    labels = np.zeros(m, dtype=np.int64) if labels is None else labels
    order = philox.permutation(seed, m, stream=philox.SPLIT)
    rest, test = _take(order, labels, 0.20)
    training, validation = _take(rest, labels, 0.15)
    return Split(np.sort(training), np.sort(validation), np.sort(test))


def _take(rows: Rows, labels: NDArray[np.int64], share: float) -> tuple[Rows, Rows]:
    """Take a share of the rows, each class in proportion; one row of a class always stays.

    The classes' shares are rounded down; what is missing goes to the largest remainders.
    """
    mine = labels[rows]
    classes, counts = np.unique(mine, return_counts=True)
    exact = share * counts
    taken = np.floor(exact).astype(np.int64)
    for k in np.argsort(taken - exact, kind="stable"):
        if taken.sum() < round(share * len(rows)) and taken[k] < counts[k] - 1:
            taken[k] += 1
    picked = np.zeros(len(rows), dtype=np.bool_)
    for k, c in zip(taken.tolist(), classes.tolist(), strict=True):
        picked[np.flatnonzero(mine == c)[:k]] = True
    return rows[~picked], rows[picked]
