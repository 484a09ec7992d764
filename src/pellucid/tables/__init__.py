"""Tables: reading files, standardising on training data, and models that keep both together.

>>> result = fit_table(read_table("sample:wine"), TrainSettings(epochs=20))
>>> sorted(result.metrics)
['logistic regression', 'majority class', 'network']
"""

from __future__ import annotations

from pellucid.tables.fit import FitResult, Plan, TrainSettings, fit, fit_table, prepare
from pellucid.tables.model import TableModel, from_folder
from pellucid.tables.read import read_table
from pellucid.tables.samples import SAMPLES, Sample, read_sample
from pellucid.tables.table import Table

__all__ = [
    "SAMPLES",
    "FitResult",
    "Plan",
    "Sample",
    "Table",
    "TableModel",
    "TrainSettings",
    "fit",
    "fit_table",
    "from_folder",
    "prepare",
    "read_sample",
    "read_table",
]
