"""The user's own table as a data set of the lab, read and prepared as ``pellucid train`` does."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import DataError
from pellucid.lab.datasets import DATASETS, Dataset, Floats, Random
from pellucid.tables.fit import Plan, prepare
from pellucid.tables.images import read_images
from pellucid.tables.kinds import Image
from pellucid.tables.read import read_raw
from pellucid.tables.samples import PREFIX
from pellucid.tables.settings import TrainSettings
from pellucid.tables.table import Table, some

NAME = "table"
MOST_EXAMPLES, MOST_NUMBERS, MOST_INPUTS = 20_000, 400_000, 512


def add_table(source: str, target: str | None = None) -> Dataset:
    """Put a table into :data:`~pellucid.lab.datasets.DATASETS` under the name "table".

    Columns are chosen, coded and standardised as in training; a number to learn is standardised.
    Of more rows than the page can show, some are drawn by the seed.

    >>> iris = add_table("sample:iris")
    >>> iris.inputs[0], iris.outputs, iris.task
    ('sepal length (cm)', ('setosa', 'versicolor', 'virginica'), 'multiclass')
    """
    table = _read(source, target)
    plan = prepare(table, TrainSettings(hidden_layer_sizes=(1,), ensemble=1))
    n = plan.preprocessing.n_outputs
    if n > MOST_INPUTS:
        raise DataError(
            f"{source} becomes {n} inputs; the lab shows up to {MOST_INPUTS}. Take fewer columns, "
            "or train with pellucid train."
        )
    most = min(table.m, MOST_EXAMPLES, MOST_NUMBERS // n)
    path = source if source.startswith(PREFIX) else os.path.abspath(source)
    DATASETS[NAME] = Dataset(
        NAME,
        source.removeprefix(PREFIX) if source.startswith(PREFIX) else Path(source).name,
        tuple(plan.preprocessing.output_names),
        _outputs(plan),
        plan.task,
        lambda random, m, noise: _draw(plan, random, m),
        most,
        most,
        noise=False,
        note=_note(plan),
        origin=(path, str(table.target)),
        image=_image(plan),
    )
    return DATASETS[NAME]


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


def _outputs(plan: Plan) -> tuple[str, ...]:
    if plan.task == "multiclass":
        return tuple(map(str, plan.classes))
    return (str(plan.classes[1] if plan.task == "binary" else plan.table.target),)


def _note(plan: Plan) -> str:
    note = f"{plan.reason}. Columns of numbers are standardised."
    if plan.left_out:
        note += f" Left out: {some([f'{name!r} {why}' for name, why in plan.left_out.items()])}."
    return note


def _image(plan: Plan) -> tuple[int, int, int] | None:
    """The shape of the image that the inputs are, if they are one."""
    match list(plan.preprocessing.columns.values()):
        case [Image(height=height, width=width)]:
            return height, width, 3
    return None


def _draw(plan: Plan, random: Random, m: int) -> tuple[Floats, Floats]:
    """All rows as they come, or m of them by chance."""
    rows: NDArray[np.int64] = np.arange(len(plan.Z))
    if m < len(rows):
        rows = np.sort(random.permutation(len(rows))[:m])
    return plan.Z[rows].T.astype(np.float64), np.asarray(plan.t, dtype=np.float64)[rows]
