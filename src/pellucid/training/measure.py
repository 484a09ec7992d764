"""What is measured of a network at one moment, on a few examples: plain numbers by layer."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from pellucid import propagation
from pellucid.activations import ACTIVATIONS, Activation
from pellucid.activations import activation as find_activation
from pellucid.engines.contract import Examples
from pellucid.layers import Layer, LayerCache
from pellucid.layers.chain import leaves
from pellucid.layers.shapes import by_place, n_places
from pellucid.losses import Loss
from pellucid.metrics import METRICS
from pellucid.network import Network
from pellucid.propagation import Cache, Gradients
from pellucid.training.facts.columns import take_rows
from pellucid.training.facts.target import by_steps
from pellucid.training.through_time import through_time

FLAT = 0.02
"""Share of its largest slope below which a unit of a bounded activation is saturated."""

PROBE = 64
"""Examples that a look passes through the network, at most."""
REMEMBERED = 2**15
"""Weights of each layer's start that are kept to see how far they move."""
COLUMNS = 16
"""Inputs by which units are compared: units that are one are equal in all of them."""
ALIKE = 1e-5
"""Units whose W, b and dW differ by less than this share are the same unit."""


def measure(
    network: Network, X: NDArray[Any], Y: NDArray[Any], loss: Loss, lengths: Any = None
) -> dict[str, Any]:
    """Return the statistics of one forward and backward pass.

    ``"J"`` and, under ``"layers"``, what
    :func:`of_parameters` says and ``dW_norm``, ``Z_rms``, ``dead`` (units that are 0 for every
    example) and ``saturated`` (units that are flat for 95 % of the examples). Of a convolution the
    units are its filters, and every place counts as an example; so do the steps of a sequence,
    those that ``lengths``, (m,), say are there. Of a recurrent layer there is also what
    :func:`~pellucid.training.through_time.through_time` says.
    """
    with np.errstate(all="ignore"):
        cache = propagation.forward(network.layers, X, lengths=lengths, training=True)
        gradients = propagation.backward(cache, Y, loss)
        J = propagation.cost(cache, Y, loss)
        layers, back = of_pass(cache, gradients), through_time(cache, gradients, Y, loss)
        return {"J": float(J), "layers": [each | back.get(each["layer"], {}) for each in layers]}


def of_pass(cache: Cache, gradients: Gradients) -> list[dict[str, Any]]:
    """Return for each layer what :func:`measure` says of it, of a pass that is there already."""
    each = zip(cache.layers, cache.caches, gradients.by_layer, strict=True)
    found = [_of_layer(layer, kept, got) for layer, kept, got in each if layer.computes_Z]
    return _bent(cache.chain, found)


def of_layers(layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """Return what :func:`of_parameters` says of each layer that computes a Z."""
    return _bent(layers, [of_parameters(layer) for layer in leaves(layers) if layer.computes_Z])


def _bent(layers: Sequence[Layer], found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say of each layer whether more than a factor for each unit is between it and the one before.

    That is a layer without a Z, such as a pool, or a way around it, as in a Residual.
    """
    bent: set[int] = set()
    for layer in layers:
        if layer.inner:
            bent |= {layer.number + 1, *(each.number for each in leaves(layer.inner))}
        elif not layer.computes_Z and layer.fan_in is None:
            bent.add(layer.number + 1)
    for each in found:
        each |= {"bent": True} if each["layer"] in bent else {}
    return found


def of_parameters(layer: Layer, dW: NDArray[Any] | None = None) -> dict[str, Any]:
    """Return what a layer says of itself, and what its parameters alone do.

    ``units`` are counted once, at however many ``places`` they are computed; ``steps`` has a layer
    that carries a state through them.
    ``W_norm``, ``W_std``, ``W_mean``, and ``alike``: the largest difference of a unit's W and b
    from the first unit's, and where they are alike of its dW, relative to the largest entry; 0
    where all units are the same. W are the layer's weights, the first of ``penalised``; a layer
    without any has none of this.
    """
    found: dict[str, Any] = {"layer": layer.number, **_named(layer.activation)}
    found |= {"units": layer.output_shape[-1]}
    found |= {} if layer.unit == "unit" else {"unit": layer.unit}
    found |= {} if layer.takes == "numbers" else {"takes": layer.takes}
    found |= {"steps": layer.input_shape[0]} if layer.carried else {}
    found |= {} if (places := n_places(layer.output_shape)) == 1 else {"places": places}
    letter = weights_of(layer)
    if letter is not None:
        W = layer.parameters[letter]
        mean = float(np.add.reduce(W.ravel("K"))) / W.size
        found |= {"weights": W.size}
        found |= {} if layer.fan_in is None else {"fan_in": layer.fan_in}
        found |= {
            "rate_factor": layer.rate_factor(letter),
            "dropout": float(layer.dropout),
            "W_norm": norm(W),
            "W_std": norm(W - mean) / math.sqrt(W.size),
            "W_mean": mean,
            "alike": _unlikeness(found["units"], W, layer.parameters.get("b"), dW),
        }
    if "b" in layer.parameters:
        found["b_mean"] = float(layer.parameters["b"].mean())
    return found


def weights_of(layer: Layer) -> str | None:
    """Return the letter of a layer's weights, W of a Dense; None where it has none."""
    return next((letter for letter in layer.penalised if layer.parameters[letter].size), None)


def _named(g: Activation | None) -> dict[str, Any]:
    """The name of g; what else it takes to know it by, where that is more or, as None, nothing."""
    if g is None:
        return {"g": "", "activation": None}
    spec = g.spec() if ACTIVATIONS.get(g.name) is type(g) else None
    return {"g": g.name} if spec == g.name else {"g": g.name, "activation": spec}


def activation_of(layer: Mapping[str, Any]) -> Activation:
    """Return g of the statistics of a layer; for one's own an Activation that says nothing.

    >>> (
    ...     activation_of({"g": "elu", "activation": {"name": "elu", "a": 2.5}}),
    ...     activation_of({"g": "mine", "activation": None}),
    ... )
    (ELU(a=2.5), Activation())
    """
    try:
        return find_activation(layer.get("activation", layer["g"]))
    except (TypeError, ValueError):
        return Activation()


def score(Y: NDArray[Any], A: NDArray[Any]) -> float:
    """The accuracy where the targets are labels, else R squared; NaN where there is none."""
    labels = Y.ndim == 1 or bool(np.all((Y == 0) | (Y == 1)))
    with np.errstate(all="ignore"):
        return METRICS["accuracy" if labels else "r2"](Y, A)


def norm(array: NDArray[Any]) -> float:
    """The root of the sum of squares."""
    flat = array.ravel("K")
    size = float(np.dot(flat, flat))
    if not math.isfinite(size) or size < 1e-30:  # float32 holds no squares of such numbers
        size = float(np.sum(np.square(flat, dtype=np.float64)))
    return math.sqrt(size)


def _of_layer(layer: Layer, kept: LayerCache, got: dict[str, Any]) -> dict[str, Any]:
    letter = weights_of(layer)
    dW = None if letter is None else got["d" + letter]
    found = of_parameters(layer, dW)
    if dW is not None:
        found["dW_norm"] = norm(dW)
    (Z, A), g = _by_unit(layer, kept), layer.activation
    found |= {"Z_rms": norm(Z) / math.sqrt(max(Z.size, 1)), "dead": 0, "saturated": 0}
    if g is not None and A is not None:
        found["dead"] = len(A) - int(np.count_nonzero(A.any(axis=1))) if g.dies else 0
        found["saturated"] = _saturated(g, Z, A)
    return found


def _by_unit(layer: Layer, kept: LayerCache) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Z and A with a row for each unit or filter, a column for each place or step that is there.

    A is None where a unit has several Z, as one with gates.
    """
    n, g = layer.output_shape[-1], layer.activation
    if kept.Z is not None:
        Z, A = by_place(kept.Z, n), by_place(kept.A, n)
        there = slice(None) if kept.valid is None else kept.valid[::n].T.ravel()
        return Z[:, there], A[:, there]
    steps = kept.steps.get("Z", [np.empty((0, 0))])
    if kept.lengths is not None:
        steps = [Z[:, kept.lengths > t] for t, Z in enumerate(steps)]
    Z = np.concatenate(steps, axis=1)
    return Z, None if g is None or len(Z) != n else g(Z)


def _saturated(g: Activation, Z: NDArray[Any], A: NDArray[Any]) -> int:
    """How many units have almost no slope for 95 % of the examples."""
    if g.range is None or not g.range.bounded or g.steepest is None:
        return 0
    ones = np.broadcast_to(A.dtype.type(1), A.shape)
    slope = np.abs(g.backward(ones, Z, A))
    flat = np.count_nonzero(slope < FLAT * g.steepest, axis=1)
    return int(np.count_nonzero(flat >= 0.95 * slope.shape[1]))


def _unlikeness(
    units: int, W: NDArray[Any], b: NDArray[Any] | None, dW: NDArray[Any] | None
) -> float:
    units = units if len(W) % units == 0 else len(W)  # with gates a unit has several rows
    if units < 2:
        return 1.0
    some = slice(None, None, -(-W.shape[1] // COLUMNS))
    rows = [W[:, some]] if b is None or len(b) != len(W) else [W[:, some], b]
    unlike = _from_first(np.concatenate(rows, axis=1), units)
    if dW is None or unlike > ALIKE:
        return unlike
    return max(unlike, _from_first(dW[:, some], units))


def _from_first(rows: NDArray[Any], units: int) -> float:
    """The largest difference of a unit's rows from the first one's, relative to the largest entry.

    Where a unit has several, as with gates, the rows of one gate stand together.
    """
    each, largest = rows.reshape(-1, units, rows.shape[1]), float(np.abs(rows).max())
    return float(np.abs(each - each[:, :1]).max()) / largest if largest > 0 else 0.0


# At one moment of a training ----------------------------------------------------------------------


def sample(
    network: Network,
    few: tuple[NDArray[Any], NDArray[Any]],
    loss: Loss,
    start: Mapping[str, NDArray[Any]],
    lengths: Any = None,
) -> dict[str, Any]:
    """Return the statistics of a few examples, and how far each W is from where it started.

    ``start`` is what :func:`start_of` returned then; empty, the training has not begun.
    """
    with one_thread():
        found = measure(network, *few, loss, lengths)
    now = {layer.number: layer for layer in network.leaves if layer.computes_Z}
    for layer in found["layers"]:
        letter = weights_of(now[layer["layer"]])
        W = None if letter is None else now[layer["layer"]].parameters[letter]
        begun = start.get(f"{letter}{layer['layer']}")
        moved = 0.0 if W is None or begun is None else _relative(_some(W), begun)
        layer["moved_since_start"] = moved
        layer |= {k: float(f"{v:.6g}") for k, v in layer.items() if isinstance(v, float)}
    return found


def by_step(network: Network, data: Examples, A: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return targets and outputs as people judge them: where each step has outputs, a column each.

    Only steps that are there are judged.
    """
    if len(A) == network.output_shape[-1]:
        return data.targets, A
    lengths = data.lengths
    if lengths is not None:
        lengths = network.lengths_after(lengths if data.rows is None else lengths[data.rows])
    return by_steps(data.targets, A, network.output_shape[-1], lengths)


def start_of(network: Network) -> dict[str, NDArray[Any]]:
    """Return some of each layer's weights, to see later how far they have moved."""
    return {
        f"{letter}{layer.number}": _some(layer.parameters[letter]).copy()
        for layer in network.leaves
        if layer.computes_Z and (letter := weights_of(layer)) is not None
    }


def _some(W: NDArray[Any]) -> NDArray[Any]:
    """Evenly spaced entries of a large W, all of a small one."""
    return W.ravel("K")[:: -(-W.size // REMEMBERED)]


def _relative(now: NDArray[Any], before: NDArray[Any]) -> float:
    """|now - before| / |before|."""
    size, change = norm(before), norm(now - before)
    return change / size if size > 0 else float(change > 0)


def probe(X: NDArray[Any], Y: NDArray[Any], most: int = PROBE) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return some of the examples (n[0], m) and (n[L], m), evenly spread and always the same."""
    rows = take_rows(X.shape[1], most)
    return np.asfortranarray(X[:, rows]), np.asfortranarray(Y[:, rows])


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep matrix products in this thread meanwhile: those of a few examples lose by sharing."""
    several = [(each, n) for each in _libraries() if (n := each.get_num_threads()) > 1]
    try:
        for library, _ in several:
            library.set_num_threads(1)
        yield
    finally:
        for library, count in several:
            library.set_num_threads(count)


@functools.cache
def _libraries() -> list[Any]:
    """The BLAS that are loaded; to look them up takes longer than to take statistics."""
    # threadpoolctl's own limit() asks each for all it knows, which takes as long as a forward pass
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)
