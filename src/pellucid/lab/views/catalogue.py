"""All there is to choose from on the page, out of the tables, as plain data."""

from __future__ import annotations

from typing import Any

from pellucid.activations import ACTIVATIONS
from pellucid.initializers import INITIALIZERS
from pellucid.lab.datasets import DATASETS, Dataset
from pellucid.lab.faults import FAULTS
from pellucid.lab.presets import PRESETS
from pellucid.losses import LOSSES
from pellucid.optimizers import LBFGS, OPTIMIZERS
from pellucid.tasks import TASKS

State = dict[str, Any]

LARGEST_UPLOAD = 32 * 2**20
"""Bytes of a file that a page may send."""


def catalogue() -> State:
    """Return everything there is to choose from, out of the tables."""
    return {
        "largest_upload": LARGEST_UPLOAD,
        "datasets": [dataset_state(d) for d in list(DATASETS.values())],
        "activations": [
            {
                "name": g.name,
                "formula": g.formula,
                "derivative": g.derivative,
                "output_only": g.output_only,
                "range": [g.range.lower, g.range.upper] if g.range and g.range.bounded else None,
                "advice": g.advice,
            }
            for g in [entry() for entry in ACTIVATIONS.values()]
        ],
        "losses": [
            {"name": k.name, "formula": k.formula, "fits": k.fits, "advice": k.advice}
            for k in LOSSES.values()
        ],
        "initializers": [{"name": k.name, "formula": k.formula} for k in INITIALIZERS.values()],
        "optimizers": [
            {"name": k.name, "formula": k.formula, "learning_rate": k.default_learning_rate}
            for k in OPTIMIZERS.values()
            if k is not LBFGS
        ],
        "presets": [
            {
                "name": p.name,
                "title": p.title,
                "why": p.why,
                "experiment": p.experiment,
                "view": p.view,
            }
            for p in PRESETS.values()
        ],
        "faults": [{"name": f.name, "title": f.title, "why": f.why} for f in FAULTS.values()],
        "suits": {
            task.name: {"activation": task.output, "loss": task.loss} for task in TASKS.values()
        },
    }


def dataset_state(d: Dataset) -> State:
    """Return what there is to know of a data set before it is drawn."""
    return {
        "name": d.name,
        "title": d.title,
        "inputs": d.inputs,
        "outputs": d.outputs,
        "task": d.task,
        "m": d.m,
        "most": d.most,
        "noise": d.noise,
        "note": d.note,
        "own": d.user_data is not None,
    }
