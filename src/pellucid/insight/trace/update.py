"""The optimizer's step after a pass: its own code, run on arrays that record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pellucid.insight.trace.passes import Step
from pellucid.layers import Layer
from pellucid.optimizers import Optimizer
from pellucid.record import Array, Changing, formula, name, parts


def update_steps(
    layers: Sequence[Layer],
    gradients: Sequence[Mapping[str, Any]],
    optimizer: Optimizer,
    learning_rate: float,
) -> list[Step]:
    """Return the first step of a training from here: what the optimizer remembers begins at 0."""
    steps = []
    for layer, found in zip(layers, gradients, strict=True):
        for letter in layer.parameters:
            steps += _of_one(layer, letter, found["d" + letter], optimizer, learning_rate)
    return steps


def _of_one(
    layer: Layer, letter: str, gradient: Any, optimizer: Optimizer, learning_rate: float
) -> list[Step]:
    l, rate = layer.number, learning_rate * layer.rate_factor(letter)
    W: Any = Changing(layer.parameters[letter].copy(), key=(letter, l))
    dW: Any = Array(gradient, key=(f"d{letter}", l))
    alpha: Any = Array(rate, key=("alpha", 0))
    state: dict[str, Any] = {
        slot: Changing(np.zeros_like(gradient), key=(f"{slot}_d{letter}", l))
        for slot in optimizer.slots
    }
    if optimizer.decay and letter in layer.penalised:
        W *= 1 - rate * optimizer.decay * layer.weight_decay_factor
    optimizer.update(W, dW, state, alpha=alpha, t=1)
    changed = {(f"{slot}_d{letter}", l): each for slot, each in state.items()} | {(letter, l): W}
    steps = []
    for key, array in changed.items():
        array.key = key
        why = (
            f"{optimizer.name}: {optimizer.formula}."
            if key[0] == letter
            else "What the optimizer remembers; it began at 0."
        )
        text = f"{name(key)} := {formula(array)}"
        steps.append(Step(key, text, parts(array), array.values, why, array))
    return steps
