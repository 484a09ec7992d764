"""How the module is told a network of any layers: a stage for each, its inputs before it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.engines.fused.module import id_of, module, parameter_of, unknown
from pellucid.layers import Layer, chain
from pellucid.layers.windows import each

Shape = tuple[int, ...]
Numbers = dict[str, float]
ENDS = ("dense", "conv1d", "conv2d")
"""Layers whose Z the loss can be worked out from."""
STRUCTURAL = ("add", "take", "concat")
"""Kinds of stages that are no layer of their own."""
X = -1
"""The number of what enters the network; stages count from 0."""


@dataclass
class Plan:
    """The stages of a network, the layer of each, and the rows of X that hold word numbers.

    A stage is what the module reads, but for its arrays.
    """

    stages: list[dict[str, Any]] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    words: list[tuple[Layer, NDArray[np.intp]]] = field(default_factory=list)

    def add(
        self,
        kind: str,
        layer: Layer,
        inputs: list[int],
        entered: list[Shape],
        left: Shape,
        numbers: Numbers | None = None,
        **more: Any,
    ) -> int:
        """Put a stage at the end and return its number."""
        stage = {
            "kind": kind,
            "inputs": inputs,
            "in": [arranged(shape) for shape in entered],
            "out": arranged(left),
            "number": layer.number,
            "activation": 0,
            "parameter": 0.0,
            "needs_Z": False,
            "dropout": 0.0,
            "numbers": {name: float(value) for name, value in (numbers or {}).items()},
            "parameters": [],
            "statistics": [],
            "constants": [],
        }
        self.stages.append(stage | more)
        self.layers.append(layer)
        return len(self.stages) - 1

    def own(self) -> list[tuple[dict[str, Any], Layer | None]]:
        """Return each stage with the layer whose arrays are its own, None where it has none."""
        seen: set[int] = set()
        found: list[tuple[dict[str, Any], Layer | None]] = []
        for stage, layer in zip(self.stages, self.layers, strict=True):
            first = stage["kind"] not in STRUCTURAL and id(layer) not in seen
            found.append((stage, layer if first else None))
            seen.add(id(layer))
        return found

    def with_arrays(
        self,
        parameter: Callable[[Layer, str], tuple[Any, ...]],
        statistic: Callable[[Layer, str], NDArray[Any]],
    ) -> list[dict[str, Any]]:
        """Return the stages with these arrays of their layers: of a parameter, the slots too."""
        return [
            stage | _arrays(layer, parameter, statistic) if layer else stage
            for stage, layer in self.own()
        ]


def _arrays(
    layer: Layer,
    parameter: Callable[[Layer, str], tuple[Any, ...]],
    statistic: Callable[[Layer, str], NDArray[Any]],
) -> dict[str, Any]:
    return {
        "parameters": [
            {
                "arrays": parameter(layer, letter),
                "size": array.size,
                "rate": layer.rate_factor(letter),
                "decay": float(layer.weight_decay_factor) if letter in layer.penalised else 0.0,
            }
            for letter, array in layer.parameters.items()
        ],
        "statistics": [statistic(layer, name) for name in layer.statistics],
    }


def plan(layers: Iterable[Layer], input_shape: Shape) -> Plan:
    """Return the stages of a chain of layers; the activation of the last is left to the loss."""
    made = Plan()
    _chain(made, list(layers), X, np.arange(math.prod(input_shape)))
    last = made.stages[-1]
    last.update(activation=0, parameter=0.0, needs_Z=False)
    return made


def arranged(shape: Shape) -> dict[str, Any]:
    """Return a shape as the module takes it: a vector, a sequence or a volume."""
    rows, columns, channels = (1,) * (3 - len(shape)) + tuple(shape)
    sequence = len(shape) == 2
    return {"rows": rows, "columns": columns, "channels": channels, "sequence": sequence}


def lacks_of_network(layers: list[Layer], loss: Any = None, optimizer: Any = None) -> str:
    """Return what the module cannot do of a network of any layers, or ""."""
    built = module()
    if isinstance(built, str):
        return built
    known = [name for name, (kind, _) in KINDS.items() if kind in built.kinds]
    if all(kind in built.kinds for kind in STRUCTURAL):
        known += BRANCHED
    last = layers[-1]
    if last.name not in ENDS or last.dropout:
        return f"it has no network that ends with {last!r}"
    return unknown(list(chain.walk(layers)), known, loss, optimizer)


def _chain(made: Plan, layers: list[Layer], source: int, rows: NDArray[np.intp] | None) -> int:
    """Add the stages of some layers; ``rows`` are those of X that enter, None: they are no X."""
    for layer in layers:
        source = BRANCHED.get(layer.name, _one)(made, layer, source, rows)
        rows = None
    return source


def _one(made: Plan, layer: Layer, source: int, rows: NDArray[np.intp] | None) -> int:
    if layer.name == "embedding" and rows is not None:
        made.words.append((layer, rows))
    kind, numbers = KINDS[layer.name]
    g = layer.activation
    how: dict[str, Any] = {}
    if g is not None:
        how = {"activation": id_of(g), "parameter": parameter_of(g), "needs_Z": g.needs_Z}
    shapes = [layer.input_shape], layer.output_shape
    if kind == "dropout":
        return made.add(kind, layer, [source], *shapes, dropout=layer.dropout)
    constants = _constants(layer)
    stage = made.add(kind, layer, [source], *shapes, numbers(layer), constants=constants, **how)
    if layer.dropout:
        left = layer.output_shape
        stage = made.add("dropout", layer, [stage], [left], left, dropout=layer.dropout)
    return stage


def _residual(made: Plan, layer: Any, source: int, rows: NDArray[np.intp] | None) -> int:
    inside = _chain(made, layer.inner, source, rows)
    shape = layer.output_shape
    return made.add("add", layer, [source, inside], [shape, shape], shape)


def _parallel(made: Plan, layer: Any, source: int, rows: NDArray[np.intp] | None) -> int:
    ends, shapes, first = [], [], 0
    for k, branch in enumerate(layer.branches):
        enters, there = source, rows
        shape = layer.input_shape
        if layer.split is not None:
            n, all_units = layer.split[k], layer.input_shape[-1]
            if rows is not None:
                there = rows.reshape(-1, all_units)[:, first : first + n].ravel()
            shape = (*layer.input_shape[:-1], n)
            numbers = {"first": float(first)}
            enters = made.add("take", layer, [source], [layer.input_shape], shape, numbers)
            first += n
        ends.append(_chain(made, list(branch), enters, there))
        shapes.append(tuple(branch[-1].output_shape) if branch else shape)
    return made.add("concat", layer, ends, shapes, layer.output_shape)


def _constants(layer: Any) -> list[NDArray[Any]]:
    """The mask of a Dense's connections, in the lectures' layout."""
    mask = getattr(layer, "mask", None)
    if mask is None:
        return []
    return [np.asfortranarray(mask, dtype=layer.parameters["W"].dtype)]


# For each kind ------------------------------------------------------------------------------------


def _nothing(layer: Any) -> Numbers:
    return {}


def _dense(layer: Any) -> Numbers:
    return {"each_step": layer.each_step}


def _convolution(layer: Any) -> Numbers:
    size, stride = each(layer.size, layer.n_axes), each(layer.stride, layer.n_axes)
    padding, behind = zip(*layer.pads(), strict=True)
    more = {"padding_behind": behind[-1], "groups": layer.groups}
    return _window(size, stride, padding) | more


def _window_pool(layer: Any) -> Numbers:
    n_axes = len(layer.input_shape) - 1
    size, stride = each(layer.size, n_axes), each(layer.stride, n_axes)
    return _window(size, stride, (0,) * n_axes) | {"max": layer.kind == "max"}


def _global_pool(layer: Any) -> Numbers:
    return {"max": layer.kind == "max"}


def _window(size: Shape, stride: Shape, padding: Shape) -> Numbers:
    """Sizes along rows and columns: of one axis, along the columns."""
    found: Numbers = {}
    for name, pair, alone in (("size", size, 1), ("stride", stride, 1), ("padding", padding, 0)):
        rows, columns = (alone,) * (2 - len(pair)) + tuple(pair)
        found |= {f"{name}_rows": rows, f"{name}_columns": columns}
    return found


def _recurrent(layer: Any) -> Numbers:
    return {"sequences": layer.sequences, "backwards": layer.backwards}


def _gru(layer: Any) -> Numbers:
    return _recurrent(layer) | {"reset_after": layer.reset == "after"}


def _embedding(layer: Any) -> Numbers:
    return {"padding": -1 if layer.padding is None else layer.padding}


def _normalization(layer: Any) -> Numbers:
    return {"epsilon": layer.epsilon, "momentum": getattr(layer, "momentum", 0.0)}


KINDS: dict[str, tuple[str, Callable[[Any], Numbers]]] = {
    "dense": ("dense", _dense),
    "scale": ("scale", _nothing),
    "conv1d": ("convolution", _convolution),
    "conv2d": ("convolution", _convolution),
    "maxpool": ("pool", _window_pool),
    "averagepool": ("pool", _window_pool),
    "globalpool": ("globalpool", _global_pool),
    "embedding": ("embedding", _embedding),
    "recurrent": ("recurrent", _recurrent),
    "gru": ("gru", _gru),
    "lstm": ("lstm", _recurrent),
    "layernorm": ("layernorm", _normalization),
    "batchnorm": ("batchnorm", _normalization),
    "dropout": ("dropout", _nothing),
}
"""Of each layer the kind of stage in the module, and the numbers that it needs beside shapes."""

BRANCHED: dict[str, Callable[[Plan, Any, int, NDArray[np.intp] | None], int]] = {
    "residual": _residual,
    "parallel": _parallel,
}
"""The layers that hold others."""
