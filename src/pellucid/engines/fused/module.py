"""The compiled module of the level that runs here: what it can do, and how it is told a job."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable
from typing import Any

from numpy.typing import NDArray

from pellucid.activations import ACTIVATIONS, Activation
from pellucid.engines import simd
from pellucid.engines.contract import Objective
from pellucid.layers import LAYERS, Layer
from pellucid.losses import LOSSES, pair
from pellucid.optimizers import LBFGS, OPTIMIZERS, Optimizer

SETTINGS: dict[str, Any] = {
    "l1": 0.0,
    "l2": 0.0,
    "penalty_per_weight": False,
    "clip_value": -1.0,
    "clip_norm": -1.0,
    "batch_size": 1,
    "threads": 1,
    "tuned": True,
    "seed": 0,
    "step": 0,
    "training": False,
    "in_place": False,
}

_BUILT_IN: dict[str, dict[str, Any]] = {
    "layer": dict(LAYERS),
    "activation": dict(ACTIVATIONS),
    "loss": dict(LOSSES),
    "optimizer": dict(OPTIMIZERS),
}
"""The tables as they were: who enters another class by a known name means another function."""


@functools.cache
def module() -> Any:
    """Return the module of the level that runs here; where there is none, why, as a string."""
    try:
        return simd.load_level()
    except ImportError as error:
        return str(error)


def lacks(layers: list[Layer], loss: Any = None, optimizer: Any = None) -> str:
    """Return what the module cannot do of this layer by layer, or ""."""
    built = module()
    if isinstance(built, str):
        return built
    own = [f"it has no layer {layer!r}" for layer in layers if layer.variant]
    return next(iter(own), "") or unknown(layers, built.layers, loss, optimizer)


def unknown(layers: list[Layer], known_layers: Iterable[str], loss: Any, optimizer: Any) -> str:
    """Return the first layer, activation, loss or optimizer that is not the module's own, or ""."""
    built = module()
    wanted: list[tuple[str, Any, Iterable[str]]] = []
    for layer in layers:
        wanted.append(("layer", layer, known_layers))
        if layer.activation is not None:
            wanted.append(("activation", layer.activation, built.activation_ids))
    wanted += [("loss", loss, built.loss_ids)] if loss is not None else []
    wanted += [("optimizer", optimizer, built.optimizer_ids)] if optimizer is not None else []
    for kind, entry, known in wanted:
        form = "" if kind == "layer" else getattr(entry, "variant", "")
        own = type(entry) is not _BUILT_IN[kind].get(entry.name)
        if entry.name not in known or own or form:
            return f"it has no {kind} {entry!r}"
    return ""


def letter_of(layer: Layer) -> str:
    """Return the letter of a layer's weights: W of a Dense, s of a Scale."""
    return "W" if "W" in layer.parameters else "s"


def weights_of(layer: Layer) -> NDArray[Any]:
    """Return W of a Dense, s of a Scale."""
    weights: NDArray[Any] = layer.parameters[letter_of(layer)]
    return weights


def id_of(g: Activation) -> int:
    """Return the number by which the module knows an activation."""
    number: int = module().activation_ids[g.name]
    return number


def stage_spec(layer: Layer) -> dict[str, Any]:
    """Return a layer as the module takes it."""
    g = layer.activation
    return {
        "dense": g is not None,
        "n_in": math.prod(layer.input_shape),
        "n_out": math.prod(layer.output_shape),
        "number": layer.number,
        "activation": id_of(g) if g else 0,
        "parameter": parameter_of(g),
        "needs_Z": bool(g and g.needs_Z),
        "dropout": layer.dropout,
        "rate_W": layer.rate_factor(letter_of(layer)),
        "rate_b": layer.rate_factor("b"),
        "decay": float(layer.weight_decay_factor),
    }


def loss_spec(objective: Objective, g: Activation | None) -> dict[str, Any]:
    """Return a loss, and the output's activation g, as the module takes them."""
    assert g is not None  # the last layer computes a Z
    loss = objective.loss
    return {
        "id": module().loss_ids[loss.name],
        "parameter": parameter_of(loss),
        "smoothing": objective.label_smoothing,
        "output_activation": id_of(g),
        "activation_parameter": parameter_of(g),
        "fused": pair(g, loss) is not None,
    }


def optimizer_spec(optimizer: Optimizer) -> dict[str, Any]:
    """Return an optimizer as the module takes it."""
    beta1 = getattr(optimizer, "beta", getattr(optimizer, "beta1", 0.0))
    return {
        "id": module().optimizer_ids[optimizer.name],
        "beta1": float(beta1),
        "beta2": float(getattr(optimizer, "beta2", 0.0)),
        "epsilon": float(getattr(optimizer, "epsilon", 0.0)),
        "decay": 0.0 if isinstance(optimizer, LBFGS) else float(optimizer.decay),
        "alpha_inside": bool(getattr(optimizer, "alpha_inside", False)),
    }


def parameter_of(entry: Any) -> float:
    """The one number that an activation or a loss may have."""
    fields = () if entry is None else dataclasses.fields(entry)
    return float(getattr(entry, fields[0].name)) if fields else 0.0
