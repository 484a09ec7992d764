"""Layers: parameters, a forward function and a backward function (lecture 002, 4.3).

One file a layer, one table, :data:`LAYERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pellucid._catalogue import did_you_mean
from pellucid.activations import Activation
from pellucid.activations import activation as find_activation
from pellucid.layers.affine import Affine
from pellucid.layers.base import Layer, LayerCache
from pellucid.layers.conv import Conv1D, Conv2D
from pellucid.layers.dense import Dense
from pellucid.layers.dropout import Dropout
from pellucid.layers.embedding import Embedding
from pellucid.layers.gru import GRU
from pellucid.layers.lstm import LSTM
from pellucid.layers.normalize import BatchNorm, LayerNorm
from pellucid.layers.parallel import Parallel
from pellucid.layers.recurrent import Recurrent
from pellucid.layers.residual import Residual
from pellucid.layers.scale import Scale

__all__ = [
    "GRU",
    "LAYERS",
    "LSTM",
    "Affine",
    "BatchNorm",
    "Conv1D",
    "Conv2D",
    "Dense",
    "Dropout",
    "Embedding",
    "Layer",
    "LayerCache",
    "LayerNorm",
    "Parallel",
    "Recurrent",
    "Residual",
    "Scale",
    "layer_from_dict",
    "with_layers",
]

LAYERS: dict[str, type[Layer]] = {
    entry.name: entry
    for entry in (
        Dense,
        Conv1D,
        Conv2D,
        Embedding,
        Recurrent,
        GRU,
        LSTM,
        Scale,
        LayerNorm,
        BatchNorm,
        Dropout,
        Residual,
        Parallel,
    )
}
"""Every layer by its name. A new one is a file here and a word in this table."""


def layer_from_dict(
    description: Mapping[str, Any],
    layers: Mapping[str, type[Layer]] | None = None,
    activations: Mapping[str, type[Activation]] | None = None,
) -> Layer:
    """Return the layer, without parameters, that ``Layer.to_dict`` described.

    ``layers`` and ``activations`` are classes of one's own by name, beside those of the tables.

    >>> layer_from_dict(Dense(4, "tanh").to_dict())
    Dense(4, 'tanh')
    """
    settings = dict(description)
    name = settings.pop("layer", None)
    known = {**(layers or {}), **LAYERS}
    if name not in known:
        raise ValueError(
            f"unknown layer {name!r}{did_you_mean(name, known)}. Known are: {', '.join(known)}."
        )

    def made(inside: Mapping[str, Any]) -> Layer:
        return layer_from_dict(inside, layers, activations)

    settings = {key: with_layers(value, made) for key, value in settings.items()}
    g = settings.get("activation")
    if activations and g is not None:
        settings["activation"] = find_activation(g, activations)
    return known[name](**settings)


def with_layers(setting: Any, make: Callable[[Mapping[str, Any]], Layer]) -> Any:
    """Return a setting in which each described layer, those in lists too, is what ``make`` says.

    >>> with_layers([{"layer": "dense", "n_units": 2}, 3], layer_from_dict)
    [Dense(2, 'relu'), 3]
    """
    if isinstance(setting, Mapping) and "layer" in setting:
        return make(setting)
    return [with_layers(each, make) for each in setting] if isinstance(setting, list) else setting
