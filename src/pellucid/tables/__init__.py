"""Tables: reading, what becomes of their columns, training on them, models of them.

A loaded model needs numpy alone, so the names here are imported when first asked for.

>>> from pellucid.tables.evaluate import evaluate
>>> from pellucid.tables.fit import fit, prepare
>>> seen, test = hold_out(read_table("sample:wine", target="target"))
>>> model = fit(prepare(seen, TrainSettings(hidden_layer_sizes=(16,), epochs=20, ensemble=1)))
>>> evaluate(model, test).metrics["network"]["accuracy"] > 0.8
True
"""

from __future__ import annotations

import importlib
from typing import Any

_EXPORTS = {
    "Preprocessing": "pellucid.tables.preprocess",
    "SAMPLES": "pellucid.tables.samples",
    "Sample": "pellucid.tables.samples",
    "TASKS": "pellucid.tables.split",
    "Table": "pellucid.tables.table",
    "TableModel": "pellucid.tables.model",
    "TrainSettings": "pellucid.tables.settings",
    "as_table": "pellucid.tables.frame",
    "hold_out": "pellucid.tables.split",
    "infer_task": "pellucid.tables.split",
    "read_sample": "pellucid.tables.samples",
    "read_table": "pellucid.tables.read",
}

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'pellucid.tables' has no attribute {name!r}")
    value = getattr(importlib.import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
