"""The state of an experiment: what was opened, how far it is, what it answers; plain data."""

from __future__ import annotations

from typing import Any

from pellucid.lab.session.experiment import Experiment
from pellucid.lab.views.boundary import extent_of
from pellucid.metrics import metric
from pellucid.network.table import HEADER
from pellucid.tasks import TASKS

State = dict[str, Any]


def state_of(experiment: Experiment, *, brief: bool = False) -> State:
    """Return the state; ``brief`` leaves out what only changes when an experiment is opened."""
    e = experiment
    rows = e.network._dimensions()
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
        "shapes": [dict(zip(HEADER, row, strict=True)) for row in rows],
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
