"""What the page receives: the catalogue, the state of an experiment, a trace; all plain data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.activations import ACTIVATIONS
from pellucid.initializers import INITIALIZERS
from pellucid.insight.trace import Step, Trace
from pellucid.lab.datasets import DATASETS, Dataset
from pellucid.lab.faults import FAULTS, Fault
from pellucid.lab.presets import PRESETS
from pellucid.lab.session.experiment import Experiment
from pellucid.lab.views.boundary import extent_of
from pellucid.losses import LOSSES
from pellucid.metrics import metric
from pellucid.optimizers import LBFGS, OPTIMIZERS
from pellucid.record import Cell, Key, Matrix, mathml
from pellucid.record import name as name_of
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


def state_of(experiment: Experiment, *, brief: bool = False) -> State:
    """Return the state; ``brief`` leaves out what only changes when an experiment is opened."""
    e = experiment
    header, rows = e.network._dimensions()
    data: State = {"A": e.outputs()}
    if not brief:
        data |= {
            "X": e.X,
            "Y": e.Y,
            "training": e.training,
            "inputs": e.dataset.inputs,
            "outputs": e.dataset.outputs,
            "classes": [] if e.dataset.task == "regression" else classes(e),
            "task": e.dataset.task,
            "extent": extent_of(e.X),
            "image": e.dataset.image,
        }
    twin = None
    if e.twin is not None:
        twin = {"curves": e.twin.curves, "J": e.twin.cost(), "diverged": e.twin.diverged}
    return {
        "brief": brief,
        "experiment": e.settings.to_dict(),
        "n": e.network.n,
        "n_parameters": e.network.n_parameters,
        "shapes": [dict(zip(header, row, strict=True)) for row in rows],
        "parameters": e.network.parameters,
        "data": data,
        "epoch": e.epoch,
        "step": e.step,
        "position": e.position,
        "J": e.cost(),
        "accuracy": e.accuracy(),
        "J_batch": e.J_batch,
        "curves": e.curves,
        "twin": twin,
        "check": None,
        "message": e.diverged or None,
        "note": e.note or None,
        "engine": e.engine,
        "engine_note": e.engine_note,
        "actions": len(e.actions),
        "opened": e.weights.note if e.weights else None,
    }


def classes(experiment: Experiment) -> list[str]:
    """Return the name of each class; of a binary data set, not and is."""
    outputs = experiment.dataset.outputs
    return [f"not {outputs[0]}", outputs[0]] if len(outputs) == 1 else list(outputs)


def since(curves: dict[str, list[float]], seen: int) -> dict[str, list[float]]:
    """Return the points of the curves after the first ``seen``."""
    return {name: values[seen:] for name, values in curves.items()}


def metrics(experiment: Experiment) -> State:
    """Return what is measured of the answers to each part; no examples, no numbers."""
    e = experiment
    judged_by = [metric(name) for name in TASKS[e.dataset.task].metrics]
    A = e.outputs()
    return {
        part: {each.name: each(e.Y[:, rows], A[:, rows]) for each in judged_by}
        for part, rows in (("training", e.training), ("validation", e.validation))
        if len(rows)
    }


# Traces -------------------------------------------------------------------------------------------


def trace_state(trace: Trace, fault: Fault | None) -> State:
    """Return every step of a pass, and every array by its name."""
    return {
        "steps": [_step(step, fault) for step in trace.steps],
        "arrays": {label(key): np.atleast_2d(values) for key, values in trace.arrays.items()},
        "J": trace.J,
        "losses": trace.losses,
        "loss": {"name": trace.loss.name, "formula": trace.loss.formula},
    }


def _step(step: Step, fault: Fault | None) -> State:
    letter, layer = step.key
    rows, columns = step.values.shape
    broken = fault is not None and letter in fault.steps
    return {
        "result": label(step.key),
        "letter": letter,
        "layer": layer,
        "formula": step.formula,
        "mathml": mathml(step.formula),
        "why": step.why,
        "broken": fault.why if fault is not None and broken else None,
        "parts": [
            {
                "name": label(part.key),
                "letter": part.key[0],
                "layer": part.key[1],
                "transposed": part.transposed,
            }
            if isinstance(part, Matrix)
            else part
            for part in step.parts
        ],
        "rows": rows,
        "columns": columns,
    }


def cell_state(cell: Cell) -> State:
    """Return one cell, its formula, the same with numbers, and the cells that it came from."""
    factors = [factor for term in cell.terms for factor in term] or cell.sources
    seen = {(f.key, f.row, f.column): f for f in [*factors, *cell.sources]}
    return {
        "letter": cell.key[0],
        "layer": cell.key[1],
        "row": cell.row,
        "column": cell.column,
        "formula": cell.formula,
        "numbers": cell.numbers,
        "value": cell.value if math.isfinite(cell.value) else None,
        "sources": [
            {"array": label(f.key), "row": f.row, "column": f.column, "value": f.value}
            for f in seen.values()
        ],
    }


def label(key: Key) -> str:
    """Return how an array is called: ``Z[1]``, ``X``, ``1/m``."""
    return key[0] if key[0] == "1/m" else name_of(key)


def copies(parameters: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return copies of the parameters."""
    return {key: array.copy() for key, array in parameters.items()}
