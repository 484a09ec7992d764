"""The optimizer's step after a pass: its own code, run on arrays that record."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid import persistence
from pellucid.checks import is_whole
from pellucid.engines import ENGINES, Examples, Job, Objective
from pellucid.engines.contract import State, check_state, slot_name
from pellucid.insight.trace.passes import Step
from pellucid.layers import Layer
from pellucid.network import Network
from pellucid.optimizers import Optimizer
from pellucid.record import Array, Changing, formula, name, parts

if TYPE_CHECKING:
    from pellucid.insight.trace.trace import Trace


def start_of(
    network: Network, optimizer: Optimizer, state: State | str | os.PathLike[str] | None
) -> State:
    """Return what the optimizer remembers before the step; None: nothing, all is 0."""
    if isinstance(state, (str, os.PathLike)):
        _, training, slots, _ = persistence.load_checkpoint(
            state,
            layers={type(layer) for layer in network.leaves},
            activations={type(g) for layer in network.leaves if (g := layer.activation)},
        )
        state = State(training.get("step", -1), slots)
    if state is None:
        slots = {
            slot_name(slot, letter, layer): np.zeros_like(array)
            for layer in network.leaves
            for letter, array in layer.parameters.items()
            for slot in optimizer.slots
        }
        return State(0, slots)
    if not isinstance(state, State):
        raise TypeError(
            "state must be a State, as session.state() and Trace.state have it, or the path of a "
            f"checkpoint; got {type(state).__name__}."
        )
    if not is_whole(state.step) or state.step < 0:
        raise ValueError(
            f"state: its step must be a whole number of 0 or more; got {state.step!r}."
        )
    check_state(network.leaves, optimizer, state.slots)
    slots = {name: np.asarray(array, network.dtype) for name, array in state.slots.items()}
    return State(state.step, slots)


def update_steps(
    layers: Sequence[Layer],
    gradients: Sequence[Mapping[str, Any]],
    optimizer: Optimizer,
    learning_rate: float,
    state: State,
) -> list[Step]:
    """Return the step of a training from here, in which the optimizer remembers ``state``."""
    steps = []
    for layer, found in zip(layers, gradients, strict=True):
        for letter in layer.parameters:
            steps += _of_one(layer, letter, found["d" + letter], optimizer, learning_rate, state)
    return steps


def session_after(trace: Trace, steps: int) -> tuple[Network, State]:
    """Return the network and what the optimizer remembers after so many steps of the engine.

    Each step is made with all examples of the trace, and no unit is dropped.
    """
    assert trace.optimizer is not None
    network = trace.network.copy()
    job = Job(
        network,
        Objective(trace.loss, trace.l1, trace.l2),
        trace.optimizer,
        trace.cache.X.shape[1],
        state=trace.state,
    )
    session = ENGINES["reference"].start(job)
    try:
        for _ in range(steps):
            examples = Examples(trace.cache.X, trace.Y, trace.weight, lengths=trace.lengths)
            session.apply(session.gradients(examples, position=None).flat, trace.learning_rate)
        return network, session.state()
    finally:
        session.close()


def _of_one(
    layer: Layer,
    letter: str,
    gradient: Any,
    optimizer: Optimizer,
    learning_rate: float,
    before: State,
) -> list[Step]:
    l, rate, t = layer.number, learning_rate * layer.rate_factor(letter), before.step + 1
    W: Any = Changing(layer.parameters[letter].copy(), key=(letter, l))
    dW: Any = Array(gradient, key=(f"d{letter}", l))
    alpha: Any = Array(rate, key=("alpha", 0))
    state: dict[str, Any] = {
        slot: Changing(
            before.slots[slot_name(slot, letter, layer)].copy(), key=(f"{slot}_d{letter}", l)
        )
        for slot in optimizer.slots
    }
    if optimizer.decay and letter in layer.penalised:
        W *= 1 - rate * optimizer.decay * layer.weight_decay_factor
    optimizer.update(W, dW, state, alpha=alpha, t=t)
    changed = {(f"{slot}_d{letter}", l): each for slot, each in state.items()} | {(letter, l): W}
    steps = []
    for key, array in changed.items():
        array.key = key
        remembered = "began at 0" if t == 1 else f"is what step {t - 1} left"
        why = (
            f"{optimizer.name}: {optimizer.formula}. Step t = {t}."
            if key[0] == letter
            else f"What the optimizer remembers; it {remembered}."
        )
        text = f"{name(key)} := {formula(array)}"
        steps.append(Step(key, text, parts(array), array.values, why, array))
    return steps
