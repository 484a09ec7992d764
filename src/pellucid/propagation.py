"""Forward and backward over a chain of layers: the lectures' equations, line for line.

THE reference. Functions of layers and arrays; pure (they return new arrays), and written for any
array library that follows the Python array API standard. For layers l = 1 ... L::

    A[0] = X                             dZ[L] = A[L] - Y              (a fused pair), or
    Z[l] = W[l] A[l-1] + b[l]            dZ[l] = dA[l] * g[l]'(Z[l])
    A[l] = g[l](Z[l])                    dW[l] = (1/m) dZ[l] A[l-1]^T
                                         db[l] = (1/m) sum of dZ[l] over the examples
                                         dA[l-1] = W[l]^T dZ[l]

    J = sum_i w_i L_i / sum_i w_i  +  l2/2 sum W^2  +  l1 sum |W|

dZ and dA are derivatives of w_i L_i, the loss of one example times its weight (1 unless given);
dW and db are derivatives of J. With weights, m above is sum_i w_i. Where the outputs are those of
several steps (or places), L_i is the mean of the losses of the steps that example i has.

>>> import numpy as np
>>> from pellucid.layers import Dense
>>> layers = [Dense(2, "tanh").build((3,)), Dense(1, "sigmoid").build((2,), number=2)]
>>> cache = forward(layers, np.ones((3, 4)))
>>> cache.A[2].shape
(1, 4)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pellucid.layers import Layer, LayerCache, chain
from pellucid.layers.chain import Mode, leaves
from pellucid.layers.shapes import by_place, held, n_places, unrolled, valid_steps
from pellucid.losses import Loss, pair

Array = Any


@dataclass
class Cache:
    """What a forward pass keeps: a :class:`LayerCache` for each layer.

    ``Z[l]``, ``A[l]`` and ``masks[l]`` by the lectures' numbers; ``A[0]`` is what enters layer 1
    (X, scaled where the network begins with a Scale) and ``A[l]`` what leaves layer l, dropout and
    scaling done; of the last layer l inside a Residual or a Parallel it is what leaves that.
    ``layers`` and ``caches`` are of each layer, those inside of others in their place; ``chain`` is
    as the network has them, with ``chain_caches``.
    """

    chain: Sequence[Layer]
    X: Array
    chain_caches: list[LayerCache]
    lengths: Array = None

    def __post_init__(self) -> None:
        self.layers = leaves(self.chain)
        self.caches = _leaf_caches(self.chain, self.chain_caches)

    @property
    def Z(self) -> dict[int, Array]:
        """Z[l] for l = 1 ... L."""
        return {k.number: c.Z for k, c in self._pairs() if k.computes_Z}

    @property
    def A(self) -> dict[int, Array]:
        """A[l] for l = 0 ... L."""
        return {0: self.X} | dict(_outputs(self.chain, self.chain_caches))

    @property
    def masks(self) -> dict[int, Array]:
        """The dropout masks, 0 or 1 / (1 - rate), of the layers that dropped units."""
        return {k.number: c.mask for k, c in self._pairs() if c.mask is not None}

    def _pairs(self) -> list[tuple[Layer, LayerCache]]:
        return list(zip(self.layers, self.caches, strict=True))


@dataclass
class Gradients:
    """What a backward pass returns: the gradients of each layer by name.

    ``dW[l]``, ``db[l]``, ``dZ[l]``, ``dA[l]`` and ``ds[l]`` by the lectures' numbers. ``dA[0]`` and
    ``dX`` are None unless asked for. ``by_layer`` lists the same for each layer of the network.
    """

    layers: Sequence[Layer]
    by_layer: list[dict[str, Array]]
    dA: dict[int, Array]
    dX: Array = None

    def _of(self, name: str) -> dict[int, Array]:
        pairs = zip(self.layers, self.by_layer, strict=True)
        return {layer.number: found[name] for layer, found in pairs if name in found}

    @property
    def dW(self) -> dict[int, Array]:
        """dJ/dW[l], of the shape of W[l]."""
        return self._of("dW")

    @property
    def db(self) -> dict[int, Array]:
        """dJ/db[l], of the shape of b[l]."""
        return self._of("db")

    @property
    def ds(self) -> dict[int, Array]:
        """dJ/ds[l] of the Scale that follows layer l."""
        return self._of("ds")

    @property
    def dgamma(self) -> dict[int, Array]:
        """dJ/dgamma[l] of the LayerNorm or BatchNorm that follows layer l."""
        return self._of("dgamma")

    @property
    def dbeta(self) -> dict[int, Array]:
        """dJ/dbeta[l] of the LayerNorm or BatchNorm that follows layer l."""
        return self._of("dbeta")

    @property
    def dZ(self) -> dict[int, Array]:
        """The derivative of each example's loss by Z[l]."""
        return self._of("dZ")

    def _repr_html_(self) -> str:
        """Each array with its shape, its bounds and its size, for a notebook; small ones whole."""
        rows = []
        for letter in ("dW", "db", "ds", "dgamma", "dbeta", "dZ", "dA"):
            found = self.dA if letter == "dA" else self._of(letter)
            rows += [_row(f"{letter}[{l}]", found[l]) for l in sorted(found, reverse=True)]
        if self.dX is not None:
            rows.append(_row("dX", self.dX))
        names = ("", "shape", "smallest", "largest", "root mean square", "numbers")
        head = "".join(f"<th>{name}</th>" for name in names)
        return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def forward(
    layers: Sequence[Layer],
    X: Array,
    masks: Mapping[int, Array] | None = None,
    *,
    lengths: Array = None,
    training: bool = False,
    states: Mapping[int, Mapping[str, Array]] | None = None,
) -> Cache:
    """Return the cache of a forward pass of X, (n[0], m); ``masks[l]`` are dropout masks.

    ``lengths``, (m,), tell how many steps of each example are there; what stands in the others does
    not matter. With ``training=True`` a BatchNorm takes the statistics of these examples.
    ``states[l]`` is what recurrent layers start from, by letter; those not named start from 0.
    """
    if lengths is not None:
        X = held(X, valid_steps(lengths, layers[0].input_shape))
    _, caches = chain.forward(layers, X, Mode(masks, training, states), lengths)
    return Cache(layers, X, caches, lengths)


def _leaf_caches(layers: Sequence[Layer], caches: Sequence[LayerCache]) -> list[LayerCache]:
    found = []
    for layer, cache in zip(layers, caches, strict=True):
        found += _leaf_caches(layer.inner, cache.inner) if layer.inner else [cache]
    return found


def _outputs(layers: Sequence[Layer], caches: Sequence[LayerCache]) -> Iterator[tuple[int, Array]]:
    """What leaves each layer, by its number; those inside of one come before it."""
    for layer, cache in zip(layers, caches, strict=True):
        yield from _outputs(layer.inner, cache.inner)
        yield layer.number, cache.output


def learn_statistics(cache: Cache) -> None:
    """Let layers take the statistics of a pass with ``training=True`` into theirs."""
    for layer, kept in zip(cache.layers, cache.caches, strict=True):
        layer.learn_statistics(kept)


def losses(cache: Cache, Y: Array, loss: Loss) -> Array:
    """Return the loss L_i of each example, (m,), from Z[L] where a fused pair exists."""
    last, n, Z, A = _output(cache)
    fused = pair(last.activation, loss)
    Y = by_place(_there(cache, Y), n)
    each = fused.value(Y, Z, A) if fused else loss.value(Y, A)
    if (steps := _steps(cache)) is None:
        return each
    xp = each.__array_namespace__()
    by_step = unrolled(xp.expand_dims(each, axis=0), cache.X.shape[1])
    if cache.caches[-1].valid is not None:
        by_step = held(by_step, cache.caches[-1].valid[::n])
    return xp.sum(by_step, axis=0) / steps


def cost(
    cache: Cache,
    Y: Array,
    loss: Loss,
    sample_weight: Array = None,
    *,
    l1: float = 0.0,
    l2: float = 0.0,
) -> float:
    """Return J, summed in float64."""
    each = losses(cache, Y, loss)
    xp = each.__array_namespace__()
    if sample_weight is not None:
        each = each * sample_weight
    total = xp.sum(each, dtype=xp.float64)
    return float(total) / total_weight(cache.X, sample_weight) + penalty(cache.layers, l1, l2)


def penalty(layers: Sequence[Layer], l1: float, l2: float) -> float:
    """Return l2/2 sum W^2 + l1 sum |W|, each layer times its weight-decay factor."""
    total = 0.0
    for layer in layers if l1 or l2 else ():
        for letter in layer.penalised:
            W = layer.parameters[letter]
            xp = W.__array_namespace__()
            squares = float(xp.sum(W * W, dtype=xp.float64))
            absolutes = float(xp.sum(xp.abs(W), dtype=xp.float64))
            total += layer.weight_decay_factor * (l2 / 2 * squares + l1 * absolutes)
    return total


def total_weight(X: Array, sample_weight: Array) -> float:
    """Return the sum of the weights in float64, m where there are none."""
    if sample_weight is None:
        return float(X.shape[1])
    xp = sample_weight.__array_namespace__()
    return float(xp.sum(sample_weight, dtype=xp.float64))


def backward(
    cache: Cache,
    Y: Array,
    loss: Loss,
    sample_weight: Array = None,
    *,
    l1: float = 0.0,
    l2: float = 0.0,
    m: float | None = None,
    inputs: bool = False,
) -> Gradients:
    """Return the gradients of J, from the last layer to the first.

    ``m`` divides the sums over examples (their total weight unless given: a block of a mini-batch
    is divided by the whole). ``inputs=True`` goes on down to dA[0] and dX.
    """
    layers = cache.chain
    m = total_weight(cache.X, sample_weight) if m is None else m
    dA, dZ = output_gradient(cache, Y, loss, sample_weight)
    dX, by_layer, left = chain.backward(layers, cache.chain_caches, dA, dZ=dZ, m=m, inputs=inputs)
    for layer, found in zip(cache.layers, by_layer, strict=True):
        add_penalty(layer, found, l1, l2)
    derivatives: dict[int, Array] = {}
    for layer, each in zip(reversed(layers), reversed(left), strict=True):
        if each is not None:
            derivatives.setdefault(layer.number, each)
    if inputs:
        if cache.lengths is not None:
            dX = held(dX, valid_steps(cache.lengths, layers[0].input_shape))
        derivatives.setdefault(0, dX)
    return Gradients(cache.layers, by_layer, derivatives, dX)


def output_gradient(
    cache: Cache, Y: Array, loss: Loss, sample_weight: Array = None
) -> tuple[Array, Array]:
    """Return dA[L] and None, or None and dZ[L] where a fused pair exists."""
    last, n, Z, A = _output(cache)
    fused = pair(last.activation, loss)
    Y = by_place(_there(cache, Y), n)
    start = unrolled(fused.dZ(Y, Z, A) if fused else loss.derivative(Y, A), cache.X.shape[1])
    if (steps := _steps(cache)) is not None:
        start = _there(cache, start) / steps
    if sample_weight is not None:
        start = start * sample_weight
    return (None, start) if fused else (start, None)


def add_penalty(layer: Layer, gradients: dict[str, Array], l1: float, l2: float) -> None:
    """Add l2 W + l1 sign(W), times the layer's weight-decay factor, to dW."""
    for letter in layer.penalised if l1 or l2 else ():
        W, factor = layer.parameters[letter], layer.weight_decay_factor
        dW = gradients["d" + letter]
        if l2:
            dW = dW + (factor * l2) * W
        if l1:
            dW = dW + (factor * l1) * W.__array_namespace__().sign(W)
        gradients["d" + letter] = dW


def _output(cache: Cache) -> tuple[Any, int, Array, Array]:
    """The last layer, its units, and its Z and A with a column for each place."""
    last, kept = cache.layers[-1], cache.caches[-1]
    n = last.output_shape[-1]
    A = kept.output if kept.A is None else kept.A
    return last, n, None if kept.Z is None else by_place(kept.Z, n), by_place(A, n)


def _steps(cache: Cache) -> Any:
    """Of how many steps each L_i is the mean: a number, or one for each example; None: of one."""
    last, valid = cache.layers[-1], cache.caches[-1].valid
    if len(last.output_shape) == 1:
        return None
    if valid is None:
        return n_places(last.output_shape)
    xp = valid.__array_namespace__()
    return xp.sum(xp.astype(valid[:: last.output_shape[-1]], cache.X.dtype), axis=0)


def _there(cache: Cache, Y: Array) -> Array:
    """Y, or what has its shape, with 0 where the outputs are padding."""
    valid = cache.caches[-1].valid
    return Y if valid is None else held(Y, valid)


SMALL = 24
"""Numbers of an array that a notebook shows one by one."""


def _row(name: str, array: Array) -> str:
    """A row of the table of gradients."""
    xp, shape = array.__array_namespace__(), " x ".join(map(str, array.shape))
    size = math.prod(array.shape)
    largest = float(xp.max(xp.abs(array))) if size else 0.0
    scale = largest if 0 < largest < math.inf else 1.0  # a square may overflow where dW does not
    mean = float(xp.sum((array / scale) ** 2, dtype=xp.float64)) / max(size, 1)
    sizes = (float(xp.min(array)), float(xp.max(array)), scale * math.sqrt(mean)) if size else ()
    cells = [shape, *(f"{each:.4g}" for each in sizes)]
    return "".join(
        [f"<tr><th>{name}</th>", *(f"<td>{cell}</td>" for cell in cells), _numbers(array), "</tr>"]
    )


def _numbers(array: Array) -> str:
    """The numbers of a small array as a table in the table."""
    if math.prod(array.shape) > SMALL or len(array.shape) != 2:
        return "<td></td>"
    rows, columns = array.shape
    lines = (
        "".join(f"<td>{float(array[row, column]):.4g}</td>" for column in range(columns))
        for row in range(rows)
    )
    return f"<td><table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table></td>"
