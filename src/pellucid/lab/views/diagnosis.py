"""The diagnosis of an experiment as it trains, and the settings that would mend what was found."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from pellucid.history import History
from pellucid.insight.diagnosis.evidence import Evidence, gather, of_data
from pellucid.insight.diagnosis.finding import Diagnosis, Finding
from pellucid.insight.diagnosis.rules import findings
from pellucid.insight.diagnosis.training_run import TrainingRun
from pellucid.lab.session.experiment import Experiment, stride
from pellucid.lab.session.settings import Settings
from pellucid.training.measure import one_thread

Plain = dict[str, Any]

LATER = frozenset(
    {
        "stopped_too_early",
        "underfitting",
        "learning_rate_too_low",
        "batch_too_large",
        "batch_too_small",
        "class_imbalance",
    }
)
"""Kinds that judge where a training has ended. While it goes on they would always be true at the
beginning, so they are left to the whole diagnosis, which is asked for."""


def diagnose(experiment: Experiment, *, whole: bool = False) -> Diagnosis:
    """Return what is wrong with a training so far; ``whole`` treats it as finished.

    Only the whole diagnosis compares with simple learners, which takes seconds.
    """
    e = experiment
    run = _training_run(e)
    known = of_data(run) if whole else _known(e, run)
    run.network, run.history = e.network, history(e)
    with one_thread():
        found = gather(run, known=known)
    known.wrong_gradients = found.wrong_gradients  # of the functions alone: never another
    return Diagnosis(findings(found, () if whole else LATER), found.looked_at)


def history(experiment: Experiment) -> History:
    """Return the training so far as :func:`pellucid.train` would return it.

    The epochs of its curves are evenly spaced but for the one of the least validation loss.
    """
    e = experiment
    every = stride(e.epoch)
    epochs, val = e.curves["epoch"], e.curves["val_loss"]
    best = min(range(len(val)), key=val.__getitem__)
    points = [k for k in range(1, len(epochs)) if epochs[k] % every == 0 or k == best]
    names = ("epoch", "loss", *(("val_loss",) if len(e.validation) else ()))
    now = [] if e.diverged else [e.sample()]
    return History(
        {name: [e.curves[name][k] for k in points] for name in names} if points else {},
        "diverged" if e.diverged else "",
        e.diverged,
        settings=training_settings(e),
        statistics=[*e.statistics, *now],
    )


def training_settings(e: Experiment) -> Plain:
    """Return what the training was asked for, by the names of a history's settings."""
    return {
        "loss": e.loss.spec(),
        "optimizer": e.settings.optimizer,
        "learning_rate": e.learning_rate,
        "batch_size": e.batch_size,
        "examples": len(e.training),
    }


def _training_run(e: Experiment) -> TrainingRun:
    part = e.X[:, e.validation], e.Y[:, e.validation]
    return TrainingRun(
        data=(e.X[:, e.training], e.Y[:, e.training]),
        validation=part if len(e.validation) else None,
        loss=e.loss,
        names=tuple(e.dataset.inputs),
    )


def _known(e: Experiment, run: TrainingRun) -> Evidence:
    """What the examples alone tell; they never change, so it is gathered once."""
    if e.known is None:
        e.known = of_data(run, compare=False)
    return e.known


# What would mend it -------------------------------------------------------------------------------


def _to_setting(name: str) -> Callable[[Plain, Any], None]:
    return lambda settings, value: settings.update({name: value})


def _to_hidden(settings: Plain, name: str) -> None:
    settings["layers"] = [layer | {"activation": name} for layer in settings["layers"]]


def _to_widths(settings: Plain, widths: list[int]) -> None:
    before = settings["layers"] or [{"activation": "tanh", "dropout": 0.0}]
    layers = [*before, *[before[-1]] * len(widths)]
    settings["layers"] = [layer | {"units": n} for layer, n in zip(layers, widths, strict=False)]
    settings["parameters"] = None


def _to_start(settings: Plain, name: str) -> None:
    settings["initializer"], settings["parameters"] = name, None


REMEDIES: dict[str, Callable[[Plain, Any], None]] = {
    "hidden_layer_sizes": _to_widths,
    "activation": _to_hidden,
    "output": lambda settings, name: settings["output"].update(activation=name),
    "initializer": _to_start,
    **{name: _to_setting(name) for name in ("loss", "learning_rate", "batch_size", "l1", "l2")},
}
"""What a finding may suggest and the lab has: how it is put into the settings, as plain data."""


def remedy(settings: Settings, finding: Finding) -> Plain | None:
    """Return the settings that a finding suggests and what they change; None where nothing.

    A fault of "Break it" that holds a setting which is to change is switched off.

    >>> broken = Settings.read({"fault": "ascent", "learning_rate": 0.1})
    >>> found = Finding("ascent", "error", "", "", "", "", {"learning_rate": 0.1, "epochs": 100})
    >>> remedy(broken, found)["changed"]
    ['fault switched off']
    """
    before = settings.to_dict()
    after = copy.deepcopy(before)
    suggested = {name: value for name, value in finding.fix.items() if name in REMEDIES}
    for name in REMEDIES:  # widths before what is put into each layer
        if name in suggested:
            REMEDIES[name](after, suggested[name])
    held = settings.broken
    if held and (held.rate != 1 and "learning_rate" in suggested):
        after["fault"] = None
    if held and held.initializer and "initializer" in suggested:
        after["fault"] = None
    try:
        after = Settings.read(after).to_dict()
    except ValueError:  # larger than the lab takes
        return None
    changed = list(_changes(before, after))
    settings_changed = {name: after[name] for name in after if after[name] != before[name]}
    return {"settings": settings_changed, "changed": changed} if changed else None


def _changes(before: Plain, after: Plain) -> Iterator[str]:
    """What differs, in words."""
    both = before, after
    old, new = (["-".join(str(k["units"]) for k in each["layers"])] for each in both)
    if old != new:
        yield f"hidden layers: {old[0] or 'none'} → {new[0]}"
    old, new = (list(dict.fromkeys(k["activation"] for k in each["layers"])) for each in both)
    if old != new:
        yield f"g of the hidden layers: {', '.join(old) or 'none'} → {', '.join(new)}"
    if before["output"] != after["output"]:
        yield f"output: {before['output']['activation']} → {after['output']['activation']}"
    for name, title in _TITLES.items():
        if before[name] != after[name]:
            yield f"{title}: {_word(before[name], name)} → {_word(after[name], name)}"
    if before["fault"] != after["fault"]:
        yield "fault switched off"
    if before["parameters"] and not after["parameters"]:
        yield "typed weights: removed"


_TITLES = {
    "initializer": "initial weights",
    "loss": "loss",
    "learning_rate": "learning rate",
    "batch_size": "batch size",
    "l1": "penalty L1",
    "l2": "penalty L2",
}


def _word(value: Any, name: str) -> str:
    if value is None:
        return "to suit the activation" if name == "initializer" else "none"
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")


def diagnosis_state(experiment: Experiment, found: Diagnosis) -> Plain:
    """Return a diagnosis as the page gets it."""
    return {
        "ok": found.ok,
        "looked_at": found.looked_at,
        "epoch": experiment.epoch,
        "step": experiment.step,
        "findings": [
            {
                "kind": f.kind,
                "name": f.name,
                "severity": f.severity,
                "where": f.where,
                "evidence": f.evidence,
                "why": f.why,
                "advice": f.advice,
                "apply": None if f.severity == "info" else remedy(experiment.settings, f),
            }
            for f in found.findings
        ],
    }
