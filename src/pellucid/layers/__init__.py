"""Layers: parameters, a forward function and a backward function (lecture 002, 4.3).

One file a layer, one table, :data:`LAYERS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pellucid._catalogue import did_you_mean
from pellucid.activations import Activation
from pellucid.activations import activation as find_activation
from pellucid.layers.affine import Affine
from pellucid.layers.base import Layer, LayerCache
from pellucid.layers.conv import Conv1D, Conv2D
from pellucid.layers.dense import Dense
from pellucid.layers.pool import AveragePool, GlobalPool, MaxPool
from pellucid.layers.scale import Scale

__all__ = [
    "LAYERS",
    "Affine",
    "AveragePool",
    "Conv1D",
    "Conv2D",
    "Dense",
    "GlobalPool",
    "Layer",
    "LayerCache",
    "MaxPool",
    "Scale",
    "layer_from_dict",
]

LAYERS: dict[str, type[Layer]] = {
    entry.name: entry
    for entry in (
        Dense,
        Conv1D,
        Conv2D,
        MaxPool,
        AveragePool,
        GlobalPool,
        Scale,
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
    g = settings.get("activation")
    if activations and g is not None:
        settings["activation"] = find_activation(g, activations)
    return known[name](**settings)
