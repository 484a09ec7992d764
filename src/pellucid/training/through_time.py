"""Recurrent layers: how far back their gradient reaches, and which of their gates are stuck."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import propagation
from pellucid.layers import Layer, LayerCache, chain
from pellucid.losses import Loss
from pellucid.propagation import Cache, Gradients

REACHED = 0.01
"""A step whose gradient is below this share of the largest one learns nothing worth the name."""
STUCK = 0.005
"""A gate a is stuck where a (1 - a) is less: its slope is below 2 % of the steepest."""
NEARLY_ALWAYS = 0.95
HUGE = 1e38


def through_time(
    cache: Cache, gradients: Gradients, Y: NDArray[Any], loss: Loss
) -> dict[int, dict[str, Any]]:
    """Return by l what is seen of a recurrent layer on its way back; nothing of other layers.

    ``steps`` is how many an example has, the median. Of dZ<t> the root mean square over the
    examples is taken, k steps back from the last one: ``dZ_last`` is that of k = 0, ``dZ_first``
    that of the first step, and after ``reach`` steps it stays below 1 % of its largest. Where each
    step has an answer, it is the gradient of the last one. ``gates``, and how many are ``stuck``: 0
    or 1 at 95 % of the steps.
    """
    layers = [layer for layer in cache.layers if layer.carried]
    if not layers:
        return {}
    by_layer = gradients.by_layer
    each_step = len(cache.layers[-1].output_shape) > 1
    if each_step:
        by_layer = _of_the_last_answer(cache, Y, loss)
    found = {}
    for layer, kept, got in zip(cache.layers, cache.caches, by_layer, strict=True):
        if layer.carried:
            found[layer.number] = _gates(layer, kept)
            if not (each_step and _goes_back(layer)) and "dZ" in got:  # it has seen one step
                found[layer.number] |= _reach(layer, kept, got["dZ"])
    return found


def _of_the_last_answer(cache: Cache, Y: NDArray[Any], loss: Loss) -> list[dict[str, Any]]:
    """The gradients of each layer if the last step that is there had the only answer."""
    start = propagation.output_gradient(cache, Y, loss)
    last, kept = cache.layers[-1], cache.caches[-1]
    n = last.output_shape[-1]
    there = np.ones(kept.output.shape, bool) if kept.valid is None else kept.valid
    after = np.concatenate([there[n:], np.zeros_like(there[:n])])
    dA, dZ = (None if d is None else np.where(there & ~after, d, d.dtype.type(0)) for d in start)
    m = cache.X.shape[1]
    return chain.backward(cache.chain, cache.chain_caches, dA, dZ=dZ, m=m, inputs=False)[1]


def _goes_back(layer: Layer) -> bool:
    """Whether a layer begins with the last step."""
    return bool(getattr(layer, "backwards", False))


def _lengths(layer: Layer, kept: LayerCache) -> NDArray[np.int64]:
    """The steps of each example that enter a layer."""
    if kept.lengths is not None:
        return np.asarray(kept.lengths)
    return np.full(kept.A_prev.shape[1], layer.input_shape[0])


def _reach(layer: Layer, kept: LayerCache, dZ: NDArray[Any]) -> dict[str, Any]:
    lengths, (T, m) = _lengths(layer, kept), (layer.input_shape[0], dZ.shape[1])
    d = np.nan_to_num(dZ.astype(np.float64), nan=HUGE, posinf=HUGE, neginf=-HUGE)
    squares = np.square(d).reshape(T, -1, m).mean(axis=1)
    back, example = np.arange(T)[:, np.newaxis], np.arange(m)
    ago = back if _goes_back(layer) else lengths - 1 - back
    there = back < lengths
    sums = np.where(there, squares[np.where(there, ago, 0), example], 0.0).sum(axis=1)
    sizes = np.sqrt(sums / np.maximum(there.sum(axis=1), 1))
    steps, most = int(np.median(lengths)), float(sizes.max())
    if most == 0:
        return {"steps": steps}
    reach = int(np.flatnonzero(sizes >= REACHED * most)[-1]) + 1
    return {
        "steps": steps,
        "reach": reach,
        "dZ_last": float(sizes[0]),
        "dZ_first": float(sizes[steps - 1]),
    }


def _gates(layer: Layer, kept: LayerCache) -> dict[str, Any]:
    letters = [letter for letter in kept.steps if letter.startswith("Gamma")]
    if not letters:
        return {}
    lengths = _lengths(layer, kept)
    there = np.arange(layer.input_shape[0])[:, np.newaxis] < lengths
    stuck = 0
    for letter in letters:
        a = np.stack(kept.steps[letter], axis=1)  # (units, steps, m)
        flat = (a * (1 - a) < STUCK) & there
        stuck += int(np.count_nonzero(flat.sum(axis=(1, 2)) >= NEARLY_ALWAYS * there.sum()))
    return {"gates": len(letters) * layer.output_shape[-1], "stuck": stuck}
