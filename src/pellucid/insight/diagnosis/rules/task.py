"""Rules about the output, the loss and the targets that belong together; and a wrong backward."""

from __future__ import annotations

import math

from pellucid.activations import Interval
from pellucid.insight.diagnosis.evidence import Evidence
from pellucid.insight.diagnosis.rules.rule import TRAINING, Detection, Rule, percent
from pellucid.losses import LOSSES
from pellucid.tasks import TASKS, Task

SLACK = 1e-6
WRONG = 1e-3
"""Share by which backward may differ from differences of J in float64."""


def labels(e: Evidence) -> list[Detection]:
    """Targets that the loss or the output of a classification has no place for."""
    t = e.target
    if t is None or t.task == "regression" or not e.loss or not e.activations:
        return []
    bounds = {"unit": (0.0, 1.0), "distribution": (0.0, 1.0), "non-negative": (0.0, math.inf)}
    low, high = bounds.get(e.loss_targets, (-math.inf, math.inf))
    reached = e.output.range
    if low == -math.inf and reached is not None and (reached.lower, reached.upper) == (0, 1):
        low, high = 0.0, 1.0
    numbers = e.loss_targets == "distribution" and t.whole and t.task == "multiclass"
    if numbers and t.high > 1:
        low, high = 0.0, (e.layers[-1]["units"] if e.layers else t.values) - 1.0
    if low <= t.low and t.high <= high:
        return []
    return [
        Detection(
            "error",
            "the target",
            f"the labels lie between {t.low:g} and {t.high:g}; {e.loss} with a "
            f"{e.activations[-1]} output can only reach {low:g} to {high:g}",
            "Encode the labels as 0 and 1, or as class numbers 0 to K - 1.",
            {"labels": "0 to K - 1"},
        )
    ]


def _output(e: Evidence) -> list[Detection]:
    t = e.target
    if not e.activations:
        return []
    g = e.activations[-1]
    if t is None:
        return _misfit(e, g)
    if t.task == "regression":
        return _unreachable(e)
    task, labels = TASKS[t.task], TASKS["multilabel"]
    several = t.task == "multiclass" and (g, e.loss) == (labels.output, labels.loss)
    if g == "softmax" and e.layers and e.layers[-1]["units"] == 1:
        return _softmax_of_one(e)
    if g in (task.output, *task.also) or several:
        return []
    if g == "softmax" and t.sums_to_one:
        return []
    return [
        Detection(
            "warning",
            f"layer {len(e.activations)}",
            f"the output is {g}; the target has {max(len(t.shares), 2)} classes, so an output "
            "should be a probability",
            f"Use {task.output} with {task.loss}.",
            _suited(task),
        )
    ]


def _suited(task: Task) -> dict[str, str]:
    return {"output": task.output, "loss": task.loss}


def _softmax_of_one(e: Evidence) -> list[Detection]:
    return [
        Detection(
            "warning",
            f"layer {len(e.activations)}",
            "softmax of a single output unit is always 1, whatever the input",
            "Use a sigmoid with binary_cross_entropy.",
            _suited(TASKS["binary"]),
        )
    ]


def _misfit(e: Evidence, g: str) -> list[Detection]:
    """Without data: only whether the loss takes this output."""
    entry = LOSSES.get(e.loss or "")
    if entry is None or entry.targets == "real" or g in entry.fits:
        return []
    return [
        Detection(
            "warning",
            f"layer {len(e.activations)}",
            f"{e.loss} is for the outputs {' and '.join(entry.fits)}; this output is {g}",
            f"Use {entry.fits[0]}.",
            {"output": entry.fits[0]},
        )
    ]


def _unreachable(e: Evidence) -> list[Detection]:
    t, g = e.target, e.output
    assert t is not None
    reached = g.range or Interval(-math.inf, math.inf)
    below, above = t.low < reached.lower - SLACK, t.high > reached.upper + SLACK
    risky = g.dies and not below
    if not (below or above or risky):
        return []
    what = (
        f"a {'ReLU' if g.name == 'relu' else g.name} output with z < 0 for every example has no "
        "gradient and stays at 0"
        if risky
        else f"outputs of {g.name} lie between {reached.lower:.5g} and {reached.upper:.5g}, the "
        f"target between {t.low:.4g} and {t.high:.4g}"
    )
    return [
        Detection(
            "warning",
            f"layer {len(e.activations)}",
            what,
            "Use the identity for numbers of any size"
            + (", or softplus if they cannot be negative." if t.low >= 0 else "."),
            _suited(TASKS["regression"]),
        )
    ]


def _wrong_loss(e: Evidence) -> list[Detection]:
    t = e.target
    entry = LOSSES.get(e.loss or "")
    if t is None or t.task == "regression" or entry is None or entry.targets != "real":
        return []
    task = TASKS[t.task]
    return [
        Detection(
            "warning",
            "the loss",
            f"{e.loss} measures distances between numbers; the target has "
            f"{max(len(t.shares), 2)} classes",
            f"Use {task.loss} with {task.output}.",
            _suited(task),
        )
    ]


def _backward(e: Evidence) -> list[Detection]:
    wrong = {name: error for name, error in e.wrong_gradients.items() if error > WRONG}
    if not wrong:
        return []
    # What lies before a wrong function gets its gradient through it: the last one is nearest.
    last = list(wrong)[-1]
    l = int(last[last.index("[") + 1 : -1])
    if last == f"dA[{len(e.activations)}]":
        evidence = f"its derivative, {last}, differs from differences of its value by "
        advice = "Correct its derivative: dL/dA for each output and example, of the shape of A[L]."
        return [Detection("error", f"loss {e.loss}", evidence + percent(wrong[last]), advice)]
    differs = f"{last} differs from differences of J by {percent(wrong[last])}"
    if last.startswith("dA"):
        layer, evidence = l + 1, f"{differs}, while its own dW[{l + 1}] is right"
        advice = f"Correct its backward: dA[{l}] = W[{l + 1}]^T dZ[{l + 1}]"
    else:
        layer, evidence = l, f"{differs}; its function is {e.activations[l - 1]}"
        advice = f"Correct its backward: dZ[{l}] = dA[{l}] * g'(Z[{l}])"
    more = "; pellucid.check_gradients shows every array."
    return [Detection("error", f"layer {layer}", evidence, advice + more)]


_ALL = ("wrong_output", "wrong_loss", *TRAINING, "weights_too_large", "weights_too_small")

RULES = (
    Rule(
        "wrong_backward",
        "A layer's backward must be the derivative of its forward, dZ = dA * g'(Z); otherwise a "
        "step does not go down.",
        _backward,
        _ALL[2:],
    ),
    Rule(
        "labels_outside_range",
        "The logarithms in the loss expect labels 0 and 1 (lecture 002).",
        labels,
        ("unscaled_target", *_ALL),
    ),
    Rule(
        "wrong_output",
        "The task decides the output's activation: sigmoid for yes or no, identity for a number "
        "(lecture 003).",
        _output,
        _ALL[1:],
    ),
    Rule(
        "wrong_loss",
        "With a sigmoid, squares lead to a problem that is not convex; that is why the logarithms "
        "are taken (lecture 002).",
        _wrong_loss,
        _ALL[2:],
    ),
)
