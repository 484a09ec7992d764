"""The data that a trained model is shown on: a table, arrays, or inputs drawn by chance.

They go through the model's own preprocessing, where it has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import DataError
from pellucid.lab.datasets import Dataset, UserData
from pellucid.lab.session.table import add_rows, learned, outputs_of, rows_lost
from pellucid.lab.session.user_data import Model, add_data, most_rows, rows_held
from pellucid.layers import Dense
from pellucid.network import Network
from pellucid.persistence.predictor import NetworkPredictor
from pellucid.tables.evaluate import as_numbers, class_numbers
from pellucid.tables.images import read_images
from pellucid.tables.kinds import Image
from pellucid.tables.model import TableModel
from pellucid.tables.read import RawTable, raw_of, read_raw
from pellucid.tables.table import Table, count
from pellucid.tables.text import TextFormat
from pellucid.tasks import TASKS

Floats = NDArray[Any]

DRAWN = 400
"""Examples that are drawn where no data are given."""


def from_table(model: Model, data: str, target: str | None, recall: str) -> Dataset:
    """A table from a file, through the model's own preprocessing."""
    title = data.removeprefix("sample:") if data.startswith("sample:") else Path(data).name
    columns = model.predictor
    if isinstance(columns, TableModel):
        kinds = columns.preprocessing.columns.values()
        image = next((kind for kind in kinds if isinstance(kind, Image)), None)
        if image is not None:
            table, _ = read_images(data, image.height)
            return _prepared(model, columns, table, title, recall)
        return from_raw(model, read_raw(data, format_of(columns)), target, title, recall)
    return from_raw(model, read_raw(data), target, title, recall)


def from_content(model: Model, content: bytes, target: str, title: str) -> Dataset:
    """Return the data set of a text file's content, through the model's own preprocessing."""
    columns = model.predictor
    how = format_of(columns) if isinstance(columns, TableModel) else None
    return from_raw(model, raw_of(title, content, how=how), target, title)


def from_raw(
    model: Model, raw: RawTable, target: str | None, title: str, recall: str = ""
) -> Dataset:
    """Return the data set of a table's columns, through the model's own preprocessing."""
    columns = model.predictor
    if isinstance(columns, TableModel):
        if target not in (None, columns.target):
            raise DataError(
                f"{model.title} has learned {columns.target!r}; it cannot predict {target!r}."
            )
        names = list(columns.preprocessing.columns)
        table = raw.table(columns.target, names, task=columns.reads_target_as)
        return _prepared(model, columns, table, title, recall)
    return _plain(model, columns, raw.table(target or "target"), title, recall)


def format_of(columns: TableModel) -> TextFormat:
    """Return how a text file is read for a model: as the one that it was trained on."""
    names = [*columns.preprocessing.columns, columns.target]
    return TextFormat(None, names, columns.codes, columns.data.get("decimal"))


def _prepared(model: Model, columns: TableModel, table: Table, title: str, recall: str) -> Dataset:
    t = learned(columns, np.asarray(table.y), title)
    note = f"{count(table.m, 'row')}, through the preprocessing of {model.title}."
    note += rows_lost(table)
    return add_rows(columns, columns.inputs(table), t, title, note, recall)


def _plain(
    model: Model, predictor: NetworkPredictor, table: Table, title: str, recall: str
) -> Dataset:
    """The columns as they are, for a network that knows no columns."""
    names = model.features if set(model.features) <= set(table.columns) else []
    table = table.select(names or list(table.columns))
    if len(table.columns) != model.n[0]:
        raise DataError(
            f"{title} has {count(len(table.columns), 'column')} besides {table.target!r}; the "
            f"network of {model.title} takes {count(model.n[0], 'input')}."
        )
    for name, column in table.columns.items():
        if column.dtype.kind != "f" or column.ndim > 1 or not np.isfinite(column).all():
            raise DataError(
                f"{title}: column {name!r} holds texts or is incomplete; the network of "
                f"{model.title} takes numbers as they are."
            )
    X = np.stack(list(table.columns.values())).astype(np.float32)
    note = f"{count(table.m, 'row')}, as they stand in the table."
    Y = targets(model, predictor, np.asarray(table.y))
    named: dict[str, Any] = {"inputs": list(table.columns), "target": str(table.target)}
    return from_arrays(model, X, Y, title, note, **named, recall=recall)


def targets(model: Model, predictor: NetworkPredictor, y: Floats) -> Floats:
    """Return labels or numbers as the network learns them: class numbers, or numbers."""
    if predictor.several or model.task == "regression":
        return as_numbers(y, "the target")
    if predictor.classes is not None:
        return class_numbers(y, predictor.classes.tolist())
    most = 2 if model.task == "binary" else model.n[1]
    if y.dtype.kind in "bif" and set(np.unique(y).tolist()) <= set(range(most)):
        return y.astype(np.int64)
    known, numbers = np.unique(y, return_inverse=True)
    if len(known) != most:
        raise DataError(
            f"the target holds {len(known)} different values; the network of {model.title} has "
            f"{most} classes: expected that many values, or the numbers 0 to {most - 1}."
        )
    return numbers


def from_arrays(
    model: Model,
    X: Floats,
    Y: Floats,
    title: str,
    note: str,
    *,
    inputs: Sequence[str] = (),
    target: str = "y",
    recall: str = "",
) -> Dataset:
    """Return the data set of X, (n[0], m), and of class numbers or numbers Y, (m,) or (n[L], m)."""
    n, k = model.n
    predictor = model.predictor
    labels: tuple[Any, ...] = ()
    if isinstance(predictor, TableModel):
        outputs, inputs = outputs_of(predictor), predictor.preprocessing.output_names
    else:
        labels = () if predictor.classes is None else tuple(predictor.classes.tolist())
        outputs = tuple(map(str, labels[1:] if k == 1 else labels))
        outputs = outputs or ((target,) if k == 1 else tuple(f"{target}{j}" for j in range(k)))
    rows, more = rows_held(X.shape[1], n, "examples")
    head = {
        "title": title,
        "inputs": tuple(inputs or model.features or [f"x{j + 1}" for j in range(n)]),
        "outputs": outputs,
        "task": model.task,
        "note": note + more,
    }
    columns = predictor if isinstance(predictor, TableModel) else None
    X, Y = (np.ascontiguousarray(each[..., rows], dtype=np.float32) for each in (X, Y))
    return add_data(head, UserData(X, Y, columns, labels, recall))


def drawn(model: Model, recall: str = "") -> Dataset:
    """Return inputs drawn by chance, with what the model itself answers as what is expected."""
    random = np.random.Generator(np.random.Philox(0))
    n = model.n[0]
    m = min(DRAWN, most_rows(n))
    X = random.standard_normal((n, m)).astype(np.float32)
    if isinstance(model.predictor, TableModel):
        X = _drawn_columns(model.predictor, random, m)
    layers = [*model.layers, {"units": model.n[1], "activation": model.output}]
    network = Network([Dense(k["units"], k["activation"]) for k in layers], n, "zeros")
    network.put_parameters(model.parameters)
    A = network.forward(X)
    if model.task == "regression":
        noise = 0.1 * np.maximum(
            A.std(axis=1, keepdims=True), 0.01
        )  # with none all gradients were 0
        Y: Floats = A + noise * random.standard_normal(A.shape)
    else:
        Y = TASKS[model.task].answers(A).ravel()
    note = (
        "The model was opened without data: these inputs are drawn at random within the range of "
        "its own, and the expected outputs are its own answers; numbers get a little noise. "
        "Open a table below to see it on your data."
    )
    return from_arrays(model, X, Y, f"Drawn for {model.title}", note, recall=recall)


def _drawn_columns(columns: TableModel, random: np.random.Generator, m: int) -> NDArray[np.float32]:
    """Inputs as the preprocessing makes them: numbers about 0, one category of several."""
    found: list[Floats] = []
    for kind in columns.preprocessing.columns.values():
        k = kind.n_outputs
        block = np.zeros((k, m))
        if kind.kind == "number":
            block[0] = np.clip(0.75 * random.standard_normal(m), -3, 3)
        elif kind.kind == "binary":
            block[0] = random.choice([-1.0, 1.0], m)
        elif kind.kind == "category" and k:
            block[random.integers(k, size=m), np.arange(m)] = 1
        elif k:
            block[:] = random.uniform(-1 if kind.kind == "date" else 0, 1, (k, m))
        found.append(block)
    return np.concatenate(found).astype(np.float32)
