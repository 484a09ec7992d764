"""The steps of one forward and backward pass: what is computed, from what, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.layers import Layer, LayerCache
from pellucid.losses import Loss, pair
from pellucid.propagation import Cache, Gradients, total_weight

Key = tuple[str, int]
"""A letter and its layer: ("dW", 2) is dW[2]."""


@dataclass(frozen=True)
class Matrix:
    """A named array inside a formula; ``transposed`` where the formula has its transpose."""

    key: Key
    values: NDArray[Any]
    transposed: bool = False

    @property
    def shown(self) -> NDArray[Any]:
        """The numbers as they stand in the formula."""
        return self.values.T if self.transposed else self.values


Part = str | Matrix


@dataclass(frozen=True)
class Step:
    """One line of the pass: ``key`` := ``formula``.

    Attributes
    ----------
    key : (str, int)
        What is computed: ("Z", 1).
    formula : str
        In the lectures' notation: "Z[1] = W[1] A[0] + b[1]".
    parts : tuple of str and Matrix
        The right side with the arrays that are put in.
    values : array
        The result.
    why : str
        What it is, in a sentence.
    """

    key: Key
    formula: str
    parts: tuple[Part, ...]
    values: NDArray[Any]
    why: str = ""


def shapes(step: Step, times: str = "x") -> str:
    """Return the shape of the result and of what is put in, for the dimension check.

    ``"3x5: W[1] 3x2, X 2x5, b[1] 3x1"``.
    """
    parts = [p for p in step.parts if isinstance(p, Matrix)]
    given = [
        f"{name(p.key)}{'^T' if p.transposed else ''} {times.join(map(str, p.shown.shape))}"
        for p in parts
    ]
    return f"{times.join(map(str, step.values.shape))}: {', '.join(dict.fromkeys(given))}"


def forward_steps(cache: Cache) -> Iterator[Step]:
    """Z[l] and A[l] of every layer, from the first to the last."""
    before: Key = ("X", 0)
    for layer, kept in zip(cache.layers, cache.caches, strict=True):
        came_in = Matrix(before, kept.A_prev)
        if layer.computes_Z:
            yield from _dense_forward(layer, kept, came_in)
            before = ("A", layer.number)
        else:
            before = ("A*", layer.number)
            s = Matrix(("s", layer.number), layer.parameters["s"])
            formula = f"{name(before)} = s[{layer.number}] * {name(came_in.key)}"
            yield Step(before, formula, (s, "*", came_in), kept.output, "Each unit is scaled.")


def _dense_forward(layer: Layer, kept: LayerCache, came_in: Matrix) -> Iterator[Step]:
    l, g = layer.number, layer.activation
    assert g is not None
    W, b = (Matrix((letter, l), layer.parameters[letter]) for letter in ("W", "b"))
    Z = Matrix(("Z", l), kept.Z)
    yield Step(
        Z.key,
        f"Z[{l}] = W[{l}] {name(came_in.key)} + b[{l}]",
        (W, came_in, "+", b),
        kept.Z,
        "A weighted sum of what comes in, and the bias; a column is an example.",
    )
    yield Step(
        ("A", l),
        f"A[{l}] = g[{l}](Z[{l}]), g(z) = {g.formula}",
        (f"{g.name}(", Z, ")"),
        kept.A,
        f"The activation {g.name}, entry by entry."
        if g.name != "softmax"
        else "The softmax of each column: probabilities that sum to 1.",
    )


def backward_steps(
    cache: Cache,
    gradients: Gradients,
    Y: NDArray[Any],
    loss: Loss,
    weight: NDArray[Any] | None,
    l1: float,
    l2: float,
) -> Iterator[Step]:
    """dA[l], dZ[l], dW[l], db[l] of every layer, from the last to the first, and dX."""
    m = Matrix(("1/m", 0), np.array(1 / total_weight(cache.X, weight)))
    yield from _output_steps(cache, gradients, Y, loss, weight)
    for k in reversed(range(len(cache.layers))):
        layer, kept, found = cache.layers[k], cache.caches[k], gradients.by_layer[k]
        l = layer.number
        came_in = _came_in(cache, k)
        if not layer.computes_Z:
            yield _scale_gradient(layer, kept, found, gradients, m, cache, k)
        else:
            if k < len(cache.layers) - 1 or not _paired(cache, loss):
                yield _dZ_step(layer, kept, found, _incoming(cache, gradients, k))
            dZ = Matrix(("dZ", l), found["dZ"])
            yield _dW_step(layer, found, dZ, Matrix(came_in, kept.A_prev, True), m, l1, l2)
            yield Step(
                ("db", l),
                f"db[{l}] = (1/m) sum_i dZ[{l}](i)",
                (_reciprocal(m), "sum of the columns of", dZ),
                found["db"],
                "The bias is the same for every example: the mean of dZ over the examples.",
            )
        yield _dA_step(cache, gradients, k)


def _output_steps(
    cache: Cache, gradients: Gradients, Y: NDArray[Any], loss: Loss, weight: NDArray[Any] | None
) -> Iterator[Step]:
    """How the loss enters: dZ[L] of a fused pair, dA[L] of any other."""
    last, kept = cache.layers[-1], cache.caches[-1]
    L = last.number
    A, T = Matrix(("A", L), kept.A), Matrix(("Y", 0), Y)
    w: tuple[Part, ...] = () if weight is None else ("*", Matrix(("w", 0), weight[np.newaxis]))
    by = "" if weight is None else " * w"
    if _paired(cache, loss):
        yield Step(
            ("dZ", L),
            f"dZ[{L}] = {'(' if by else ''}A[{L}] - Y{')' + by if by else ''}",
            ("(", A, "-", T, ")", *w) if w else (A, "-", T),
            gradients.dZ[L],
            f"{last.activation.name if last.activation else ''} and {loss.name} together: the "
            "derivative of the loss by Z is a plain difference.",
        )
        return
    yield Step(
        ("dA", L),
        f"dA[{L}] = dL/dA[{L}]{by}, L = {loss.formula}",
        (f"d {loss.name} / dA (", A, ",", T, ")", *w),
        gradients.dA[L],
        "How the loss of each example changes with the output.",
    )


def _dZ_step(layer: Layer, kept: LayerCache, found: dict[str, Any], dA: Matrix) -> Step:
    l, g = layer.number, layer.activation
    assert g is not None
    if g.name == "softmax":
        return Step(
            ("dZ", l),
            f"dZ[{l}]: {g.derivative}",
            ("softmax backward (", dA, ",", Matrix(("A", l), kept.A), ")"),
            found["dZ"],
            "Softmax mixes the units of an example, so each dz depends on every da.",
        )
    return Step(
        ("dZ", l),
        f"dZ[{l}] = {name(dA.key)} * g[{l}]'(Z[{l}]), g'(z) = {g.derivative}",
        (dA, "*", Matrix(("g'", l), slopes(layer, kept))),
        found["dZ"],
        "The chain rule through the activation, entry by entry.",
    )


def _dW_step(
    layer: Layer,
    found: dict[str, Any],
    dZ: Matrix,
    came_in: Matrix,
    m: Matrix,
    l1: float,
    l2: float,
) -> Step:
    l, factor = layer.number, layer.weight_decay_factor
    W = Matrix(("W", l), layer.parameters["W"])
    formula = f"dW[{l}] = (1/m) dZ[{l}] {name(came_in.key)}^T"
    parts: list[Part] = [_reciprocal(m), dZ, came_in]
    for penalty, shown, of in ((l2, "l2 W", W), (l1, "l1 sign(W)", None)):
        if penalty and factor:
            formula += f" + {shown}[{l}]" if of is not None else f" + l1 sign(W[{l}])"
            sign = Matrix(("sign W", l), np.sign(W.values))
            parts += [f"+ {penalty * factor:g}", W if of is not None else sign]
    return Step(
        ("dW", l),
        formula,
        tuple(parts),
        found["dW"],
        "The mean over the examples of what came in times the error of the unit it entered.",
    )


def _dA_step(cache: Cache, gradients: Gradients, k: int) -> Step:
    """What goes on to the layer before: W^T dZ, or s * d of a Scale."""
    layer = cache.layers[k]
    l = layer.number
    target: Key = ("d" + _came_in(cache, k)[0], _came_in(cache, k)[1])
    if not layer.computes_Z:
        d = _incoming(cache, gradients, k)
        s = Matrix(("s", l), layer.parameters["s"])
        values = s.values * d.values
        return Step(
            target, f"{name(target)} = s[{l}] * {name(d.key)}", (s, "*", d), values,
            "Back through the scaling.",
        )  # fmt: skip
    W, dZ = Matrix(("W", l), layer.parameters["W"], True), Matrix(("dZ", l), gradients.dZ[l])
    values = _left(cache, gradients, k)
    return Step(
        target,
        f"{name(target)} = W[{l}]^T dZ[{l}]",
        (W, dZ),
        values,
        "Each unit gets the errors of the units that it feeds, times the weights.",
    )


def _scale_gradient(
    layer: Layer,
    kept: LayerCache,
    found: dict[str, Any],
    gradients: Gradients,
    m: Matrix,
    cache: Cache,
    k: int,
) -> Step:
    l, d = layer.number, _incoming(cache, gradients, k)
    came_in = _came_in(cache, k)
    return Step(
        ("ds", l),
        f"ds[{l}] = (1/m) sum_i {name(d.key)}(i) * {name(came_in)}(i)",
        (_reciprocal(m), "sum of the columns of", d, "*", Matrix(came_in, kept.A_prev)),
        found["ds"],
        "The mean over the examples.",
    )


def slopes(layer: Layer, kept: LayerCache) -> NDArray[Any]:
    """Return g'(Z), entry by entry; for softmax there is none."""
    assert layer.activation is not None
    ones = np.ones_like(kept.A)
    found: NDArray[Any] = layer.activation.backward(ones, kept.Z, kept.A)
    return found


def _paired(cache: Cache, loss: Loss) -> bool:
    last = cache.layers[-1].activation
    return last is not None and pair(last, loss) is not None


def _came_in(cache: Cache, k: int) -> Key:
    """The name of what enters layer k of the network."""
    if k == 0:
        return ("X", 0)
    before = cache.layers[k - 1]
    return ("A" if before.computes_Z else "A*", before.number)


def _incoming(cache: Cache, gradients: Gradients, k: int) -> Matrix:
    """d of what left layer k of the network."""
    layer = cache.layers[k]
    key: Key = ("dA" if layer.computes_Z else "dA*", layer.number)
    if k == len(cache.layers) - 1:
        return Matrix(key, gradients.dA[layer.number])
    return Matrix(key, _left(cache, gradients, k + 1))


def _left(cache: Cache, gradients: Gradients, k: int) -> NDArray[Any]:
    """d of what entered layer k: by its own backward."""
    layer, kept = cache.layers[k], cache.caches[k]
    if layer.computes_Z:
        dA, _ = layer.backward(gradients.dZ[layer.number], kept, dZ=gradients.dZ[layer.number])
    else:
        dA, _ = layer.backward(_left(cache, gradients, k + 1), kept)
    found: NDArray[Any] = dA
    return found


def _reciprocal(m: Matrix) -> str:
    return f"1/{1 / float(m.values):g}"


def name(key: Key) -> str:
    """Return how an array is called: ``Z[1]``, ``X``; ``A*[1]`` is A[1] after a Scale.

    >>> name(("dW", 2)), name(("X", 0))
    ('dW[2]', 'X')
    """
    letter, number = key
    return letter if letter in ("X", "dX", "Y", "w") else f"{letter}[{number}]"
