"""What is planted in convolutional and recurrent networks, and the first findings that are right.

As in faults.py the accepted findings were written down before anything was measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from shapes_tasks import TASKS, Data, Spec

from pellucid import Network
from pellucid.layers import Conv1D, Conv2D

Plant = Callable[[Spec, np.random.Generator], Spec | None]


@dataclass(frozen=True)
class Fault:
    """A kind, how a healthy Spec is spoilt (None where it cannot be), and what it may be called.

    ``always``: faults that count however well the network does; others only where the held-out
    metric is more than 5 % worse than the healthy twin's.
    """

    kind: str
    plant: Plant
    accept: tuple[str, ...]
    always: bool = False


def _convolves(spec: Spec) -> bool:
    return bool({"conv", "conv1d", "norm", "residual", "pool"} & set(spec.network.split()))


def _gated(spec: Spec) -> bool:
    return bool({"gru", "lstm", "both"} & set(spec.network.split()))


def _recurs(spec: Spec) -> bool:
    return _gated(spec) or "recurrent" in spec.network


def _with_steps(spec: Spec, network: str, steps: int, **changed: Any) -> Spec:
    """The cue with so many steps, and another recurrent network."""
    return replace(spec, task="cue", network=network, steps=steps, epochs=25, **changed)


# What only such networks have ---------------------------------------------------------------------


def dead_filters(spec: Spec, rng: np.random.Generator) -> Spec | None:
    """ReLU filters that begin below zero at every place of every example."""
    if not _convolves(spec):
        return None
    return replace(spec, activation="relu", start=f"filters b -{rng.choice([4, 8, 20])}")


def vanishing_through_time(spec: Spec, rng: np.random.Generator) -> Spec | None:
    """States that are multiplied by little at every step, or a gate that lets nothing pass."""
    if not TASKS[spec.task].cue:
        return None
    steps = int(rng.integers(20, 45))
    if rng.random() < 0.4:
        network = str(rng.choice(["gru", "lstm"]))
        return _with_steps(spec, network, steps, start=f"forgets {rng.choice([2.5, 4])}")
    if rng.random() < 0.5:
        return _with_steps(spec, "recurrent", steps, activation="sigmoid")
    return _with_steps(spec, "recurrent", steps, start=f"states * {rng.choice([0.1, 0.2, 0.3])}")


def exploding_through_time(spec: Spec, rng: np.random.Generator) -> Spec | None:
    """States that are enlarged at every step."""
    if not TASKS[spec.task].cue:
        return None
    steps, g = int(rng.integers(25, 45)), str(rng.choice(["relu", "leaky_relu", "elu"]))
    start = f"states * {rng.choice([2, 3, 4])}"
    return _with_steps(spec, "recurrent", steps, activation=g, start=start)


def saturated_gates(spec: Spec, rng: np.random.Generator) -> Spec | None:
    """Gates that are open or closed whatever comes."""
    if not _gated(spec):
        return None
    return replace(spec, start=f"gates b {rng.choice([8, 12, 20])}")


def sequence_too_long(spec: Spec, rng: np.random.Generator) -> Spec | None:
    """The cue stands at the first of 120 to 250 steps."""
    if not TASKS[spec.task].cue:
        return None
    network = str(rng.choice(["recurrent", "gru", "lstm"]))
    return _with_steps(spec, network, int(rng.integers(120, 250)), activation="tanh")


# What all networks have ---------------------------------------------------------------------------


def zero_initialisation(spec: Spec, rng: np.random.Generator) -> Spec:
    return replace(spec, start="zeros")


def symmetry(spec: Spec, rng: np.random.Generator) -> Spec | None:
    """All units or filters of a layer begin with the same weights, and are treated alike."""
    single = {"conv", "gru", "lstm", "recurrent", "strided conv", "conv1d", "two lstm"}
    return replace(spec, start="same units") if spec.network in single else None


def weights_too_large(spec: Spec, rng: np.random.Generator) -> Spec | None:
    return None if _recurs(spec) else replace(spec, start=f"W * {rng.choice([10, 30, 60])}")


def vanishing_gradient(spec: Spec, rng: np.random.Generator) -> Spec | None:
    """A deep chain of convolutions with sigmoids."""
    if "deep conv" not in TASKS[spec.task].networks:
        return None
    return replace(spec, network="very deep conv", activation="sigmoid")


def learning_rate_too_high(spec: Spec, rng: np.random.Generator) -> Spec:
    return replace(spec, learning_rate=spec.learning_rate * float(rng.choice([100, 300, 1000])))


def learning_rate_too_low(spec: Spec, rng: np.random.Generator) -> Spec:
    return replace(spec, learning_rate=spec.learning_rate / float(rng.choice([300, 1000, 3000])))


def stopped_too_early(spec: Spec, rng: np.random.Generator) -> Spec:
    return replace(spec, epochs=int(rng.choice([1, 2])), early_stopping=0)


def unscaled_inputs(spec: Spec, rng: np.random.Generator) -> Spec:
    """Bytes instead of shares of them, or features in units of their own."""
    return replace(spec, data_fault="units")


def scaled_differently(spec: Spec, rng: np.random.Generator) -> Spec | None:
    """Validation data that were not divided by what the training data were."""
    return replace(spec, data_fault="scaled differently", early_stopping=0)


def shuffled_labels(spec: Spec, rng: np.random.Generator) -> Spec | None:
    """The answers of other examples."""
    return None if "steps" in spec.network else replace(spec, data_fault="shuffled")


def wrong_output(spec: Spec, rng: np.random.Generator) -> Spec | None:
    if not TASKS[spec.task].classes:
        return replace(spec, output=str(rng.choice(["sigmoid", "relu"])))
    return replace(spec, output="identity", loss="mse")


def wrong_loss(spec: Spec, rng: np.random.Generator) -> Spec | None:
    return replace(spec, loss="mse") if TASKS[spec.task].classes else None


def unscaled_target(spec: Spec, rng: np.random.Generator) -> Spec | None:
    return None if TASKS[spec.task].classes else replace(spec, data_fault="thousands")


def wrong_backward(spec: Spec, rng: np.random.Generator) -> Spec | None:
    """A convolution of one's own that hands back the gradient of another place."""
    of_one = ("strided conv", "conv steps")  # nothing before it would get what it hands back
    if not _convolves(spec) or spec.network in ("batch norm", "residual", *of_one):
        return None
    return replace(spec, start="wrong backward", epochs=min(spec.epochs, 15))


_STEPS = ("learning_rate_too_high", "oscillation", "divergence")
_UNREACHED = ("vanishing_through_time", "sequence_too_long")
FAULTS: dict[str, Fault] = {
    fault.kind: fault
    for fault in (
        Fault("dead_filters", dead_filters, ("dead_filters",)),
        Fault("vanishing_through_time", vanishing_through_time, _UNREACHED),
        Fault(
            "exploding_through_time",
            exploding_through_time,
            ("exploding_through_time", "exploding_gradient", "weights_too_large"),
        ),
        Fault("saturated_gates", saturated_gates, ("saturated_gates",)),
        Fault("sequence_too_long", sequence_too_long, _UNREACHED[::-1]),
        Fault("zero_initialisation", zero_initialisation, ("zero_initialisation", "symmetry")),
        Fault("symmetry", symmetry, ("symmetry", "constant_initialisation")),
        Fault(
            "weights_too_large",
            weights_too_large,
            ("weights_too_large", "exploding_gradient", "saturated_units"),
        ),
        Fault("vanishing_gradient", vanishing_gradient, ("vanishing_gradient",)),
        Fault("learning_rate_too_high", learning_rate_too_high, _STEPS),
        Fault("learning_rate_too_low", learning_rate_too_low, ("learning_rate_too_low",)),
        Fault(
            "stopped_too_early", stopped_too_early, ("stopped_too_early", "learning_rate_too_low")
        ),
        Fault("unscaled_inputs", unscaled_inputs, ("unscaled_inputs",), always=True),
        Fault("scaled_differently", scaled_differently, ("drift",), always=True),
        Fault("shuffled_labels", shuffled_labels, ("nothing_to_learn",), always=True),
        Fault("wrong_output", wrong_output, ("wrong_output", "wrong_loss"), always=True),
        Fault("wrong_loss", wrong_loss, ("wrong_loss", "wrong_output"), always=True),
        Fault("unscaled_target", unscaled_target, ("unscaled_target",), always=True),
        Fault("wrong_backward", wrong_backward, ("wrong_backward",), always=True),
    )
}
"""Every kind by its name; the first five are those that no network of Dense layers has."""
NEW = 5


class WrongConv2D(Conv2D):
    """Hands back the gradient of the place beside it."""

    def leave(self, dP: Any) -> Any:
        return np.roll(super().leave(dP), 1, axis=0)


class WrongConv1D(Conv1D):
    """The same along a sequence."""

    def leave(self, dP: Any) -> Any:
        return np.roll(super().leave(dP), 1, axis=0)


# Carrying out what a Spec says --------------------------------------------------------------------


def own_layers(layers: list[Any]) -> list[Any]:
    """The layers, their convolutions with a wrong backward."""
    wrong = {"conv1d": WrongConv1D, "conv2d": WrongConv2D}
    made = []
    for layer in layers:
        settings = layer.settings()
        made.append(wrong[layer.name](**settings) if layer.name in wrong else layer)
    return made


def prepare(net: Network, start: str, seed: int) -> None:
    """Spoil a network before its training."""
    rng = np.random.default_rng(seed)
    what, _, amount = start.rpartition(" ")
    for layer in net.leaves[:-1]:
        W, b = layer.parameters.get("W"), layer.parameters.get("b")
        if W is None:
            continue
        n, rows = layer.output_shape[-1], len(W)
        if start == "zeros":
            W[...] = 0
        elif start == "same units":
            W[...] = np.repeat(W[::n], n, axis=0)  # a row of each gate, for all units
            if layer.carried:
                W[:, :n] = W[:, :1]
        elif what == "W *":
            W *= float(amount)
        elif what == "filters b" and layer.unit == "filter":
            b[...] = float(amount)
        elif what == "states *" and layer.carried:
            W[:, :n] *= float(amount)
        elif what == "forgets" and layer.carried:  # u of a GRU open, f of an LSTM shut
            open_ = layer.name == "gru"
            b[slice(0, n) if open_ else slice(n, 2 * n)] = float(amount) * (1 if open_ else -1)
        elif what == "gates b" and rows > n:
            b[: rows - n] = float(amount) * rng.choice([-1, 1], (rows - n, 1))
    last = net.leaves[-1].parameters["W"]
    if start == "zeros":
        last[...] = 0
    elif start == "same units":
        n = net.leaves[-2].output_shape[-1]
        last[...] = np.repeat(last.reshape(len(last), -1, n)[:, :, :1], n, axis=2).reshape(
            last.shape
        )


def spoiled(data: Data, fault: str, seed: int) -> Data:
    """Spoil the data of a task before they are split."""
    rng = np.random.default_rng(seed)
    X, Y = data.X, data.Y
    if fault == "units":
        n = X.shape[-1]
        factors = 10.0 ** rng.permutation(np.linspace(-1, 3, n)) if n > 1 else np.array([255.0])
        X = X * factors
    elif fault == "shuffled":
        Y = rng.permutation(Y)
    elif fault == "thousands":
        Y = 1000 * Y
    return Data(X, Y, data.lengths)
