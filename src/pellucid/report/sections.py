"""What each section of the report says; ``templates/NAME.html`` says how it looks.

A new section is an entry of :data:`SECTIONS` and such a file: its function gets the model and the
evaluation and returns what the template shows, or None where there is nothing to say.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

import pellucid
from pellucid._shown import message, quoted, short
from pellucid.report import figures
from pellucid.report.drawing import draw
from pellucid.report.words import MINUS, number, percent
from pellucid.tables.table import count
from pellucid.tasks import TASKS

if TYPE_CHECKING:
    from pellucid.network import Network
    from pellucid.tables.model import TableModel

Content = dict[str, Any]
Evaluation = Mapping[str, Any]

MOST_CLASSES = 30
"""A confusion matrix of more cannot be read."""
MOST_CONFUSIONS = 8
MOST_OPEN = 12
"""A table of more classes is folded up."""
MOST_ROWS = 40
"""Columns of the table, or classes, that are shown before the rest is folded away."""
MOST_LISTED = 1_000
"""Columns that are listed at all; model.json has the others too."""


def asked(model: TableModel, evaluation: Evaluation) -> Content:
    """Return the question, the settings and what ran."""
    histories = model.histories
    first = model.networks[0].layers
    hidden = [layer.activation.name for layer in first[:-1] if layer.activation is not None]
    chosen = {"activation": hidden[0] if hidden else "none", "ensemble": len(model.networks)}
    chosen |= histories[0].get("settings", {}) if histories else {}
    settings = [
        (name.replace("_", " "), _setting(value, chosen.get(name)))
        for name, value in model.settings.items()
        if name != "task"
    ]
    engine = histories[0].get("engine", "") if histories else ""
    return {
        "target": model.target,
        "task": TASKS[model.task].asks,
        "classes": [str(label) for label in model.classes],
        "reason": model.data.get("reason", ""),
        "source": model.data.get("source", ""),
        "notes": model.data.get("notes", []),
        "command": model.data.get("command"),
        "settings": settings,
        "engine": engine,
        "engine_note": histories[0].get("engine_note", "") if histories else "",
        "stopped": histories[0].get("message", "") if len(histories) == 1 else "",
        "versions": [
            ("Pellucid", pellucid.__version__),
            ("NumPy", np.__version__),
            ("Python", platform.python_version()),
            ("system", f"{platform.system()} {platform.machine()}"),
        ],
    }


def _setting(value: Any, chosen: Any) -> str:
    """A setting in words; what was left open is told as it was chosen."""
    if value is None:
        return "none" if chosen is None else f"{_setting(chosen, None)} (automatic)"
    if isinstance(value, Mapping):
        rest = ", ".join(f"{k} {_setting(v, None)}" for k, v in value.items() if k != "name")
        return f"{value.get('name', '')} {rest}".strip()
    if isinstance(value, (list, tuple)):
        pairs = [f"{each[0]}: {each[1]:g}" for each in value if isinstance(each, (list, tuple))]
        return ", ".join(pairs or (_setting(each, None) for each in value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def data(model: TableModel, evaluation: Evaluation) -> Content:
    """Return the rows, how they were parted, and what became of each column."""
    about = model.data
    parts = about.get("parts", [])
    seen = about.get("rows", 0)
    fitted = parts[0][0] if len(parts) == 1 else seen
    held_out, how = evaluation.get("rows", 0), about.get("held_out", {})
    unseen = "to measure the result, not used before the end"
    if how.get("how", "random") != "random":
        unseen += f": {message(how['words'])}"
    shares = [("held out", held_out, unseen)]
    if len(parts) == 1:
        shares = [
            ("training", parts[0][0], "the network learns from these"),
            ("validation", parts[0][1], "these decide which epoch was the best"),
            *shares,
        ]
    else:
        shares = [("training", seen, "the networks learn from these"), *shares]
    shares = [share for share in shares if share[1]]
    columns = [
        {**each, "share_missing": each["missing"] / fitted if fitted else 0.0}
        for each in model.preprocessing.describe()
    ]
    return {
        "total": seen + held_out,
        "parts": shares,
        "parted": _PARTED.get(how.get("how", "random"), ""),
        "validation": about.get("validation", "random"),
        "folds": len(parts) if len(parts) > 1 else 0,
        "columns": columns[:MOST_ROWS],
        "more_columns": columns[MOST_ROWS:MOST_LISTED],
        "n_columns": len(columns),
        "kinds": _tally(columns),
        "with_missing": sum(each["missing"] > 0 for each in columns),
        "n_inputs": sum(each["outputs"] for each in columns),
        "left_out": list(about.get("left_out", {}).items())[:MOST_LISTED],
        "n_left_out": len(about.get("left_out", {})),
        "warnings": about.get("warnings", [])[:MOST_LISTED],
        "n_warnings": len(about.get("warnings", [])),
    }


_PARTED = {
    "random": ", split at random",
    "time": ", split by time",
    "group": ", split by whole groups",
}


def _tally(columns: Sequence[Mapping[str, Any]]) -> str:
    """How many columns there are of each kind: 12 number, 3 category."""
    kinds: dict[str, int] = {}
    for each in columns:
        kinds[each["kind"]] = kinds.get(each["kind"], 0) + 1
    return ", ".join(f"{n:,} {kind}" for kind, n in sorted(kinds.items(), key=lambda k: -k[1]))


def network(model: TableModel, evaluation: Evaluation) -> Content:
    """Return the drawing and the dimension table of the lectures."""
    first = model.networks[0]
    return {
        "drawing": draw(first),
        "rows": _dimensions(first),
        "total": first.n_parameters,
        "n_networks": len(model.networks),
        "dtype": first.dtype.name,
        "formula": "-".join(f"{n}" for n in first.n) if len(first.n) <= 12 else "",
    }


def _dimensions(first: Network) -> list[Content]:
    """A row for the inputs and for each layer, with the shapes as the lectures write them."""
    rows: list[Content] = [
        {"l": "0", "kind": "input", "g": "", "n": first.n_inputs, "W": "", "b": "", "parameters": 0}
    ]
    for layer in first.leaves:
        shapes = {letter: str(array.shape) for letter, array in layer.parameters.items()}
        g = layer.activation.name if layer.activation else ""
        rows.append(
            {
                "l": str(layer.number),
                "kind": layer.name,
                "g": g + (f", dropout {layer.dropout:g}" if layer.dropout else ""),
                "n": math.prod(layer.output_shape),
                "W": shapes.get("W", f"s {shapes['s']}" if "s" in shapes else ""),
                "b": shapes.get("b", ""),
                "parameters": layer.n_parameters,
            }
        )
    return rows


def learning(model: TableModel, evaluation: Evaluation) -> Content | None:
    """Return the curves of every network's training."""
    histories = [each for each in model.histories if each.get("curves", {}).get("loss")]
    if not histories:
        return None
    curves = [each["curves"] for each in histories]
    best = [int(each.get("best_epoch", 0)) for each in histories]
    skipped = ("loss", "learning_rate")
    names = [
        name
        for name in ("loss", *(n.removeprefix("val_") for n in curves[0] if n not in skipped))
        if any(name in each or f"val_{name}" in each for each in curves)
    ]
    names = list(dict.fromkeys(names))
    return {
        "charts": [
            {
                "name": name.replace("_", " "),
                "svg": _svg(figures.learning_curves(curves, best, name)),
            }
            for name in names
        ],
        "validated": any("val_loss" in each for each in curves),
        "epochs": [len(each["loss"]) for each in curves],
        "best": best,
        "n_networks": len(curves),
    }


def results(model: TableModel, evaluation: Evaluation) -> Content | None:
    """Return every metric of the network and of the baselines, beside each other."""
    from pellucid.tables.evaluate import LESS_IS_BETTER, METRICS

    metrics = evaluation.get("metrics") or {}
    if "network" not in metrics:
        return None
    m, main = evaluation["rows"], TASKS[model.task].metrics[0]
    bars = _bars(metrics, main)
    return {
        "rows": m,
        "task": model.task,
        "target": model.target,
        "main": METRICS[main],
        "less": main in LESS_IS_BETTER,
        "names": [
            (METRICS[name], "lower is better" if name in LESS_IS_BETTER else "higher is better")
            for name in metrics["network"]
        ],
        "predictors": [
            {
                "name": _predictor(name, evaluation),
                "cells": [_metric(key, found.get(key)) for key in metrics["network"]],
                "bar": bars.get(name),
                "main": _metric(main, found.get(main)),
                "own": name == "network",
            }
            for name, found in metrics.items()
        ],
        "uncertainty": _uncertainty(model, metrics, m),
        "cautions": list(map(message, model.data.get("held_out", {}).get("cautions", []))),
        "has_auc": metrics["network"].get("auc") is not None,
    }


def _bars(metrics: Mapping[str, Mapping[str, Any]], main: str) -> dict[str, float]:
    """The length of each predictor's bar: a share as it is, an error beside the largest."""
    found = {name: each.get(main) for name, each in metrics.items()}
    values = {name: float(v) for name, v in found.items() if v is not None}
    longest = 1.0 if main == "accuracy" else max(values.values(), default=0.0)
    return {name: v / longest for name, v in values.items()} if longest > 0 else {}


def _metric(name: str, value: float | None) -> str:
    """A metric as it stands in the table: those of one column with the same decimals."""
    if name == "accuracy" and value is not None:
        return percent(value)
    if name in ("log_loss", "auc", "r2") and value is not None and abs(value) < 1000:
        return f"{value:.3f}".replace("-", MINUS)
    return number(value)


def _predictor(name: str, evaluation: Evaluation) -> str:
    """A predictor in words: ``majority class`` is told by its name where it is known."""
    label = majority(evaluation) if name == "majority class" else None
    return {
        "network": "the network",
        "majority class": "always the most frequent class"
        if label is None
        else f"always ‘{short(label, 40)}’",
        "mean": "always the mean",
    }.get(name, name)


def majority(evaluation: Evaluation) -> str | None:
    """Return the class that the majority baseline names: its accuracy is that class's share.

    >>> majority(
    ...     {
    ...         "rows": 4,
    ...         "classes": ["a", "b"],
    ...         "confusion": [[1, 0], [1, 2]],
    ...         "metrics": {"majority class": {"accuracy": 0.75}},
    ...     }
    ... )
    'b'
    """
    accuracy = (evaluation.get("metrics") or {}).get("majority class", {}).get("accuracy")
    if accuracy is None or "confusion" not in evaluation:
        return None
    right = round(accuracy * evaluation["rows"])
    fits = [
        label
        for label, row in zip(evaluation["classes"], evaluation["confusion"], strict=True)
        if sum(row) == right
    ]
    return str(fits[0]) if len(fits) == 1 else None


def _uncertainty(model: TableModel, metrics: Mapping[str, Any], m: int) -> str:
    """How far a share of so few rows may lie from the truth."""
    share = metrics["network"].get("accuracy")
    if share is None:
        return ""
    low, high = figures.wilson(share, m)
    return (
        f"A share counted on {count(m, 'row')} is not exact: the true one probably lies between "
        f"{percent(low)} and {percent(high)} (95 % confidence)."
    )


def _verdict(model: TableModel, evaluation: Evaluation) -> str:
    """One sentence that compares the network with the regression, or an empty string."""
    metrics = evaluation.get("metrics") or {}
    key = TASKS[model.task].metrics[0]
    name = TASKS[model.task].baselines[1]
    mine, other = (metrics.get(each, {}).get(key) for each in ("network", name))
    if mine is None or other is None:
        return ""
    about = f"{name.capitalize()}, the network with no hidden layer,"
    if model.task == "regression":
        gain = 1 - mine / other if other else 0.0
        if abs(gain) < 0.02:
            return f"{about} does as well: it is off by {number(other)}."
        return (
            f"{about} is off by {number(other)}: the network's error is "
            f"{percent(abs(gain))} {'smaller' if gain > 0 else 'larger'}."
        )
    chance = 2 * math.sqrt(max(mine * (1 - mine), other * (1 - other)) / evaluation["rows"])
    if mine == other:
        return f"{about} does exactly as well."
    if abs(mine - other) <= chance:
        return (
            f"{about} gets {percent(other)}: on {count(evaluation['rows'], 'row')} such a "
            "difference may be chance."
        )
    points = f"{100 * abs(mine - other):.1f} points"
    return f"{about} gets {percent(other)}, {points} {'fewer' if mine > other else 'more'}."


def classes(model: TableModel, evaluation: Evaluation) -> Content | None:
    """Return the confusion matrix, and for each class how much of it was found."""
    if "confusion" not in evaluation:
        return None
    matrix = np.array(evaluation["confusion"], dtype=np.int64)
    names = [str(label) for label in evaluation["classes"]]
    actual, named = matrix.sum(axis=1), matrix.sum(axis=0)
    right = matrix.diagonal()
    by_class: list[Content] = [
        {
            "name": name,
            "rows": int(actual[k]),
            "found": right[k] / actual[k] if actual[k] else None,
            "right": right[k] / named[k] if named[k] else None,
            "named": int(named[k]),
        }
        for k, name in enumerate(names)
    ]
    many = len(names) > 2
    if len(names) > MOST_ROWS:
        by_class = sorted(by_class, key=lambda each: -each["rows"])
    shares = matrix / np.maximum(actual, 1)[:, np.newaxis]
    return {
        "names": names,
        "rows": [
            {
                "name": name,
                "cells": [
                    {"count": int(n), "heat": round(100 * float(share)), "right": j == k}
                    for j, (n, share) in enumerate(zip(matrix[k], shares[k], strict=True))
                ],
            }
            for k, name in enumerate(names)
        ]
        if len(names) <= MOST_CLASSES
        else [],
        "upright": len(names) > 4 and max(map(len, names)) > 3,
        "long": max(map(len, names)) > 14,
        "crowded": len(names) > 8,
        "by_class": by_class[:MOST_ROWS],
        "more_classes": len(by_class) - len(by_class[:MOST_ROWS]),
        "folded": len(names) > MOST_OPEN,
        "confusions": _confusions(matrix, names) if many else [],
    }


def _confusions(matrix: Any, names: Sequence[str]) -> list[Content]:
    """The mistakes that were made most often."""
    wrong = matrix - np.diag(matrix.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSIONS]
    places = [(int(k), int(j)) for k, j in zip(*np.unravel_index(order, wrong.shape), strict=True)]
    return [
        {
            "actual": names[k],
            "named": names[j],
            "rows": int(wrong[k, j]),
            "share": wrong[k, j] / matrix[k].sum(),
        }
        for k, j in places
        if wrong[k, j]
    ]


def probabilities(model: TableModel, evaluation: Evaluation) -> Content | None:
    """Return the calibration, and for two classes the ROC curve."""
    bins = evaluation.get("calibration") or []
    if not bins:
        return None
    curve = evaluation.get("roc") or {}
    rates = [curve.get(key) or [] for key in ("false_positive", "true_positive")]
    auc = evaluation["metrics"]["network"].get("auc")
    return {
        "calibration": _svg(figures.calibration(bins)),
        "bins": bins,
        "rows": evaluation["rows"],
        "of": str(model.classes[1]) if model.task == "binary" else None,
        "roc": _svg(figures.roc(*rates)) if all(rates) else None,
        "auc": auc,
    }


def errors(model: TableModel, evaluation: Evaluation) -> Content | None:
    """Return predicted against actual values, and the errors."""
    points = evaluation.get("residuals") or {}
    if not points.get("true"):
        return None
    y, predicted = (np.asarray(points[key], dtype=float) for key in ("true", "predicted"))
    sizes = np.abs(predicted - y)
    return {
        "scatter": _svg(figures.predicted_against_actual(y, predicted)),
        "residuals": _svg(figures.residuals(y, predicted)),
        "shown": len(y),
        "rows": evaluation["rows"],
        "half": float(np.median(sizes)),
        "most": float(np.quantile(sizes, 0.9)),
        "target": model.target,
    }


def use(model: TableModel, evaluation: Evaluation) -> Content:
    """Return the commands that load the model."""
    folder = str(evaluation.get("folder", "model.pellucid"))
    return {
        "target": model.target,
        "python_name": repr(folder),
        "shell_name": quoted(folder),
        "estimator": "TabularRegressor" if model.task == "regression" else "TabularClassifier",
        "classes": model.task != "regression",
        "n_columns": len(model.preprocessing.columns),
    }


@dataclass(frozen=True)
class Section:
    """A section of the page: its anchor and template, its title, and what it says."""

    name: str
    title: str
    content: Callable[[TableModel, Evaluation], Content | None]


def columns(model: TableModel, evaluation: Evaluation) -> Content | None:
    """Return how much each column adds to the predictions, on average."""
    found = (evaluation.get("attributions") or {}).get("importance") or {}
    largest = max(found.values(), default=0.0)
    if len(found) < 2 or not largest > 0:
        return None
    shown = [(name, value) for name, value in found.items() if value > 0][:MOST_ROWS]
    regression = model.task == "regression"
    return {
        "rows": evaluation["attributions"]["rows"],
        "target": model.target,
        "regression": regression,
        "columns": [
            {
                "name": name,
                "bar": value / largest,
                "shown": number(value) if regression else percent(value),
            }
            for name, value in shown
        ],
        "more": len(found) - len(shown),
    }


def diagnosis(model: TableModel, evaluation: Evaluation) -> Content | None:
    """Return what the diagnosis of the training found."""
    found = evaluation.get("diagnosis")
    if found is None:
        return None
    return {"findings": found["findings"], "looked_at": ", ".join(found["looked_at"])}


SECTIONS: list[Section] = [
    Section("asked", "What was asked", asked),
    Section("results", "How good it is", results),
    Section("classes", "Which classes it confuses", classes),
    Section("errors", "How far off it is", errors),
    Section("probabilities", "Whether its probabilities can be trusted", probabilities),
    Section("columns", "What it relies on", columns),
    Section("data", "The data", data),
    Section("network", "The network", network),
    Section("learning", "How it learned", learning),
    Section("diagnosis", "Whether anything went wrong", diagnosis),
    Section("use", "How to use it", use),
]
"""The sections in their order."""


def said_in_a_sentence(model: TableModel, evaluation: Evaluation) -> list[str]:
    """Return the result in plain words, a sentence each."""
    metrics = evaluation.get("metrics") or {}
    mine = metrics.get("network", {})
    if TASKS[model.task].metrics[0] not in mine:
        return [
            "No rows were held out to measure it, so this page cannot say how good it is: "
            "pellucid evaluate does, given rows that it has not seen."
        ]
    unseen = f"On {count(evaluation['rows'], 'row')} it had not seen, the network"
    if model.task == "regression":
        name = f"‘{short(model.target)}’"
        lead = f"{unseen} was off by {number(mine['mae'])} on average when it predicted {name}"
        if "mean" in metrics:
            lead += f"; always saying the mean is off by {number(metrics['mean']['mae'])}"
    else:
        lead = f"{unseen} named the right class for {percent(mine['accuracy'])}"
        if "majority class" in metrics:
            label = majority(evaluation)
            says = "the most frequent class" if label is None else f"‘{short(label, 40)}’"
            lead += f"; always saying {says} gets {percent(metrics['majority class']['accuracy'])}"
    advice = evaluation.get("advice") or ""
    if advice:
        advice = f"{advice[0].upper()}{advice[1:]}."
    said = (f"{lead}.", _verdict(model, evaluation), advice)
    return [sentence for sentence in said if sentence]


def _svg(text: str) -> Markup:
    """A chart as it stands: it holds numbers and this module's own words alone."""
    return Markup(text)
