"""The user's own table as a data set of the lab, read and prepared as ``pellucid train`` does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.errors import DataError
from pellucid.lab.datasets import Dataset, UserData
from pellucid.lab.session.user_data import MOST_INPUTS, add_data, rows_held
from pellucid.tables.evaluate import as_numbers, class_numbers
from pellucid.tables.fit import Plan, prepare
from pellucid.tables.images import read_images
from pellucid.tables.kinds import Image
from pellucid.tables.model import TableModel
from pellucid.tables.read import RawTable, read_raw
from pellucid.tables.samples import PREFIX
from pellucid.tables.settings import TrainSettings
from pellucid.tables.table import Table, some


def add_table(source: str, target: str | None = None) -> Dataset:
    """Put a table into :data:`~pellucid.lab.datasets.DATASETS`.

    Columns are chosen, coded and standardised as in training; a number to learn is standardised.
    Of more rows than the page can show, some are drawn by chance.

    >>> iris = add_table("sample:iris")
    >>> iris.inputs[0], iris.outputs, iris.task
    ('sepal length (cm)', ('setosa', 'versicolor', 'virginica'), 'multiclass')
    """
    table = _read(source, target)
    path = source if source.startswith(PREFIX) else os.path.abspath(source)
    call = f"add_table{(path, str(table.target))!r}"
    return learn(
        table,
        source.removeprefix(PREFIX) if source.startswith(PREFIX) else Path(source).name,
        f"from pellucid.lab.session.table import add_table\n\n{call}\n",
    )


def learn(table: Table, title: str, recall: str = "", task: str | None = None) -> Dataset:
    """Make a data set of a table with its target; ``recall`` reads it once more in a script.

    ``task`` is one of TrainSettings, or None: inferred from what the target holds.
    """
    plan = prepare(table, TrainSettings(hidden_layer_sizes=(1,), ensemble=1, task=task))
    data = {"source": title, "rows": table.m, "reason": plan.reason, "left_out": plan.left_out}
    return add_rows(plan.model([], data=data), plan.Z, plan.t, title, note_of(plan), recall)


def add_rows(
    columns: TableModel, Z: np.ndarray, t: np.ndarray, title: str, note: str, recall: str = ""
) -> Dataset:
    """Make a data set of rows that the columns' preprocessing made ready, and their targets."""
    n = columns.preprocessing.n_outputs
    if n > MOST_INPUTS:
        raise DataError(
            f"{title} becomes {n:,} inputs; the lab shows up to {MOST_INPUTS}. Take fewer columns, "
            "or train with pellucid train."
        )
    rows, more = rows_held(len(Z), n)
    head = {
        "title": title,
        "inputs": tuple(columns.preprocessing.output_names),
        "outputs": outputs_of(columns),
        "task": columns.task,
        "note": note + more,
        "image": _image(columns),
    }
    X, Y = np.ascontiguousarray(Z[rows].T, dtype=np.float32), np.asarray(t[rows], np.float32)
    return add_data(head, UserData(X, Y, columns, recall=recall))


def first_experiment(found: Dataset) -> dict[str, Any]:
    """Return what a page begins with on a table: a small network."""
    return {
        "data": {"name": found.name, "split": 0.25},
        "layers": [{"units": 16}, {"units": 8}],
        "learning_rate": 0.003,
    }


def likely_target(raw: RawTable) -> str:
    """Return the column that is learned unless another is chosen: "target", or the last."""
    return "target" if "target" in raw.names else raw.names[-1]


def learned(columns: TableModel, y: np.ndarray, source: str) -> np.ndarray:
    """Return a target's labels or numbers as a network for these columns learns them."""
    if columns.task == "regression":
        t = as_numbers(y, f"{source}: the target {columns.target!r}")
        return np.asarray((t - columns.target_mean) / columns.target_std)
    return class_numbers(y, columns.classes, source)


def outputs_of(columns: TableModel) -> tuple[str, ...]:
    """Return what each output of a network for these columns stands for."""
    if columns.task == "multiclass":
        return tuple(map(str, columns.classes))
    return (str(columns.classes[1] if columns.task == "binary" else columns.target),)


def note_of(plan: Plan) -> str:
    """Return in a sentence or two what is learned and which columns are left out, and why."""
    note = f"{plan.reason}. Columns of numbers are standardised."
    if plan.left_out:
        note += f" Left out: {some([f'{name!r} {why}' for name, why in plan.left_out.items()])}."
    return note + rows_lost(plan.table)


def rows_lost(table: Table) -> str:
    """Return in a sentence which rows of what was read are not there, and why."""
    lost = [note for note in table.notes if "row" in note and "left out" in note]
    return f" Of the rows: {'; '.join(lost)}." if lost else ""


def _read(source: str, target: str | None) -> Table:
    if os.path.isdir(source):
        table, _ = read_images(source, 8)
    else:
        raw = read_raw(source)
        if target is None and "target" not in raw.names:
            known = some([repr(name) for name in raw.names])
            raise DataError(f"name the column to learn with --target; {source} has: {known}.")
        table = raw.table(target or "target")
    if table.y is None:
        raise DataError(f"{source} has nothing to learn; expected a folder for each class.")
    return table


def _image(columns: TableModel) -> tuple[int, int, int] | None:
    """The shape of the image that the inputs are, if they are one."""
    match list(columns.preprocessing.columns.values()):
        case [Image(height=height, width=width)]:
            return height, width, 3
    return None
