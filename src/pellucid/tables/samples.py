"""The tables that ship with scikit-learn, by name: ``sample:NAME``."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid._catalogue import did_you_mean
from pellucid.errors import DataError
from pellucid.tables.table import Table, as_whole

PREFIX = "sample:"
TARGET = "target"


@dataclass(frozen=True)
class Sample:
    """A table that ships with scikit-learn: one entry of :data:`SAMPLES`."""

    name: str
    task: str
    rows: int
    columns: int
    description: str


SAMPLES: dict[str, Sample] = {
    sample.name: sample
    for sample in (
        Sample("iris", "multiclass", 150, 4, "three kinds of iris"),
        Sample("wine", "multiclass", 178, 13, "three growers of wine"),
        Sample("digits", "multiclass", 1797, 64, "handwritten, 8 x 8 pixels"),
        Sample("breast_cancer", "binary", 569, 30, "malignant or benign"),
        Sample("diabetes", "regression", 442, 10, "progress after one year"),
    )
}
"""Every sample by its name. A new one that scikit-learn loads by ``load_NAME`` is a line here."""


def read_sample(name: str) -> Table:
    """Return a sample as a table; its target is called "target", classes stand by their names.

    >>> table = read_sample("iris")
    >>> list(table.columns)[:2], table.y[:2]
    (['sepal length (cm)', 'sepal width (cm)'], array(['setosa', 'setosa'], dtype='<U10'))
    """
    if name not in SAMPLES:
        raise DataError(
            f"there is no sample {name!r}{did_you_mean(name, SAMPLES)}. "
            f"Known are: {', '.join(SAMPLES)}."
        )
    datasets = importlib.import_module("sklearn.datasets")
    bunch: Any = getattr(datasets, f"load_{name}")()
    y: NDArray[Any] = as_whole(np.asarray(bunch.target))
    classes = np.asarray(getattr(bunch, "target_names", ()))
    if classes.dtype.kind == "U" and SAMPLES[name].task != "regression":
        y = classes[y]
    by_column = np.ascontiguousarray(bunch.data.T, dtype=np.float64)
    columns = dict(zip(map(str, bunch.feature_names), by_column, strict=True))
    return Table(columns, y, TARGET, PREFIX + name)
