"""The steps of one pass: the layers' own forward and backward, run on arrays that record."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import propagation
from pellucid.activations import Activation
from pellucid.layers import Layer, LayerCache
from pellucid.losses import Loss, pair
from pellucid.propagation import Cache, Gradients
from pellucid.record import (
    OPERATIONS,
    Array,
    Key,
    Matrix,
    Operation,
    Part,
    adding_up,
    as_array,
    formula,
    name,
    opaque,
    plain,
)
from pellucid.record import parts as parts_of


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
    recorded : Array
        How it came about.
    """

    key: Key
    formula: str
    parts: tuple[Part, ...]
    values: NDArray[Any]
    why: str = ""
    recorded: Array = field(default_factory=lambda: Array(np.zeros((0, 0))), repr=False)

    def _repr_html_(self) -> str:
        from pellucid.insight.trace.html import step_fragment

        return step_fragment(self)


class Pass:
    """One forward and backward pass of layers on recording arrays.

    Attributes
    ----------
    cache, gradients : Cache and Gradients
        As :mod:`pellucid.propagation` returns them, with NumPy's arrays.
    forward, cost, backward : list of Step
        ``cost`` is the loss of each example, L, and J.
    unfused : list of Step
        dA[L] and dZ[L] by the chain rule, where activation and loss go straight to dZ[L].
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        X: NDArray[Any],
        Y: NDArray[Any],
        loss: Loss,
        weight: NDArray[Any] | None,
        l1: float,
        l2: float,
    ) -> None:
        self._Y = Y
        self._loss, self._weighted, self._keys = loss, weight is not None, {("X", 0)}
        m = propagation.total_weight(X, weight)
        recording = [_Layer(layer) for layer in layers]
        w = None if weight is None else Array(weight[np.newaxis], key=("w", 0))
        cache = propagation.forward(recording, Array(X, key=("X", 0)))  # type: ignore[arg-type]
        self.forward = self._forward(recording)
        T, by, of = Array(Y, key=("Y", 0)), _Loss(loss), Array(m, key=("m", 0))
        how: dict[str, Any] = {"l1": _number(l1, "l1"), "l2": _number(l2, "l2")}
        self.cost = self._cost(cache, T, by, w, of, **how)
        how |= {"loss": by, "m": of, "inputs": True}
        gradients = propagation.backward(cache, T, sample_weight=w, **how)
        self.backward = self._backward(recording)
        self.unfused = self._unfused(recording[-1], cache, T, by, w)
        self.cache = Cache(layers, X, [_plain_cache(each) for each in cache.chain_caches])
        by_layer = [{k: plain(v) for k, v in found.items()} for found in gradients.by_layer]
        dA = {number: plain(each) for number, each in gradients.dA.items()}
        self.gradients = Gradients(layers, by_layer, dA, plain(gradients.dX))

    def _forward(self, layers: list[_Layer]) -> list[Step]:
        """Z[l] and A[l] of every layer, from the first to the last."""
        steps = []
        for layer in layers:
            for letter, values in layer.computed.items():
                steps += self._named(layer, (letter, layer.number), values)
            layer.out = steps[-1].key
        return steps

    def _cost(
        self, cache: Cache, Y: Array, loss: _Loss, w: Array | None, m: Array, l1: Any, l2: Any
    ) -> list[Step]:
        """The loss of each example, and J: their mean and the penalties."""
        layer = cache.layers[-1]
        each = loss.of_each(cache, Y)
        L = each.record("expand_dims", each, axis=0)
        steps = self._named(layer, ("L", 0), L)  # type: ignore[arg-type]
        J = (L if w is None else L * w).sum(axis=1, keepdims=True) / m
        for part in cache.layers if l1 or l2 else ():
            for W in (part.parameters[letter] for letter in part.penalised):
                factor = part.weight_decay_factor
                J = J + (factor * l2 / 2) * (W**2).sum() + (factor * l1) * abs(W).sum()
        return steps + self._named(layer, ("J", 0), J)  # type: ignore[arg-type]

    def _unfused(
        self, last: _Layer, cache: Cache, Y: Array, loss: _Loss, w: Array | None
    ) -> list[Step]:
        """The output step as the chain rule has it, beside the fused one."""
        kept, g = cache.caches[-1], last.activation
        if last.given is not None or g is None or kept.Z is None:
            return []
        dA = loss.derivative(Y, kept.A)
        last.given = dA = dA if w is None else dA * w
        return [
            *self._named(last, ("dA", last.number), dA),
            *self._named(last, ("dZ", last.number), g.backward(dA, kept.Z, kept.A), again=True),
        ]

    def _backward(self, layers: list[_Layer]) -> list[Step]:
        """dA[l], dZ[l], dW[l], db[l] of every layer, from the last to the first, and dX."""
        last, steps = layers[-1], []
        if last.given is not None and last.given.key is None:
            steps += self._named(last, (f"d{last.out[0]}", last.number), last.given)
        for layer, before in zip(reversed(layers), [*reversed(layers[:-1]), None], strict=True):
            for letter, values in layer.found.items():
                layer.found[letter] = values = as_array(values)
                steps += self._named(layer, (letter, layer.number), values)
            key = ("dX", 0) if before is None else (f"d{before.out[0]}", before.number)
            steps += self._named(layer, key, layer.goes_back)
        return steps

    def _named(self, layer: _Layer, key: Key, values: Array, *, again: bool = False) -> list[Step]:
        """Give an array its name, ``again`` if need be; return the step that computes it."""
        while key in self._keys and not again:
            key = (f"{key[0]}*", key[1])
        self._keys.add(key)
        result = values.named(key)
        constants = [each for each in _leaves(result) if each.key is None and each.ndim == 2]
        for each in constants:
            each.key = ("c", sum(k[0] == "c" for k in self._keys) + 1)
            self._keys.add(each.key)
        written, notes = formula(result), list(dict.fromkeys(_notes(result)))
        before = ""
        if result is layer.given and key[0].startswith("dA"):
            before = f"dL/d{name(key)[1:]}{' * w' if self._weighted else ''} = "
        parts = adding_up(result, parts_of(result))
        if key[0] == "L":
            parts = self._of_the_loss(layer)
            if "," not in self._loss.formula:
                before, notes = f"{self._loss.formula} = ", []
        text = ", ".join([f"{name(key)} = {before}{written}", *notes])
        return [Step(key, text, parts, result.values, layer.why(text, self._loss), result)]

    def _of_the_loss(self, last: _Layer) -> tuple[Part, ...]:
        """L as a function of A and Y: written out with all its numbers it would fill a page."""
        A = Matrix(last.out, last.computed[last.out[0]].values)
        return (f"{self._loss.name}(", A, ",", Matrix(("Y", 0), self._Y), ")")


def _number(value: float, letter: str) -> Any:
    return Array(float(value), key=(letter, 0)) if value else 0.0


def _plain_cache(cache: LayerCache) -> LayerCache:
    made = copy.copy(cache)
    for attribute, value in vars(cache).items():
        setattr(made, attribute, plain(value))
    return made


def _leaves(x: Array) -> list[Array]:
    """The arrays that an array was computed from, down to those with a name."""
    found: list[Array] = []
    for each in x.inputs:
        found += [each] if each.key is not None or each.operation is None else _leaves(each)
    return found


def _notes(x: Array) -> list[str]:
    """What is to be said of the functions in a formula: g(z) = max(z, 0)."""
    found = [x.note] if x.note else []
    for each in x.inputs:
        if each.key is None or each.key[0] == "g'":
            found += _notes(each)
    return found


# Why ----------------------------------------------------------------------------------------------

_NAME = r"(?:X|A\**\[\d+\])"
_WHY = (
    (
        rf"Z\S+ = W\S+ {_NAME} \+ b\S+",
        "A weighted sum of what comes in, and the bias; a column is an example.",
    ),
    (rf"A\*+\S+ = s\S+ \* {_NAME}", "Each unit is scaled."),
    (r"L = .*", "The loss of each example: how wrong its output is."),
    (r"J = \(1/m\) sum_i L\(i\)( \* w\(i\))?", "The cost is the mean of the losses."),
    (r"J = .*", "The cost: the mean of the losses, and the penalties on the weights."),
    (r"A\[\d+\] = Z\[\d+\]", "What was computed goes on as it is."),
    (r"dA\S+ = dL/dA\S+ .*", "How the loss of each example changes with the output."),
    (
        r"dZ\S+ = dA\S+ \* g\S+'\(Z\S+\).*",
        "The chain rule through the activation, entry by entry.",
    ),
    (
        rf"dW\S+ = \(1/m\) dZ\S+ {_NAME}\^T( \+ .*)?",
        "The mean over the examples of what came in times the error of the unit it entered.",
    ),
    (
        r"db\S+ = \(1/m\) sum_i dZ\S+\(i\)( \+ .*)?",
        "The bias is the same for every example: the mean of dZ over the examples.",
    ),
    (r"ds\S+ = \(1/m\) sum_i .*", "The mean over the examples."),
    (
        r"d(A|X)\S* = W\S+\^T dZ\S+",
        "Each unit gets the errors of the units that it feeds, times the weights.",
    ),
    (r"d(A|X)\S* = s\S+ \* dA\S+", "Back through the scaling."),
)
"""What a formula of the lectures means, by its form."""


# What records -------------------------------------------------------------------------------------

_FAILURES = (TypeError, AttributeError, ValueError, NotImplementedError, IndexError, KeyError)
"""What code may raise that cannot work on recording arrays."""


class _Layer:
    """A layer whose parameters and activation record; all else is the layer's own.

    Where its code cannot work on such arrays, it is run on NumPy's, and its results are shown as
    one function of what came in.
    """

    def __init__(self, layer: Layer) -> None:
        self.original, self.layer = layer, copy.copy(layer)
        self.layer.parameters = {
            letter: Array(values, key=(letter, layer.number))
            for letter, values in layer.parameters.items()
        }
        g = layer.activation
        self.activation = None if g is None else _Activation(g, layer.number)
        self.layer.activation = self.activation  # type: ignore[assignment]
        self.computed: dict[str, Array] = {}
        self.found: dict[str, Any] = {}
        self.given: Array | None = None
        self.goes_back: Any = None
        self.out: Key = ("A", layer.number)

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self.layer, attribute)

    def forward(self, A_prev: Array, mask: Any = None, **given: Any) -> tuple[Array, LayerCache]:
        came_in, called = A_prev.again(), self.layer.name
        try:
            self._refuse_steps()
            output, cache = self.layer.forward(came_in, mask, **given)
        except _FAILURES:
            output, cache = self.original.forward(A_prev.values, mask, **given)
        cache, known = copy.copy(cache), {}
        for letter in ("Z", "A") if self.layer.computes_Z else ():
            values = getattr(cache, letter)
            if values is not None:
                known[id(values)] = letter
                values = _as_recorded(values, called, came_in)
                values = (
                    values.again()
                    if any(each is values for each in self.computed.values())
                    else values
                )
                self.computed[letter] = values
                setattr(cache, letter, values)
        letter = known.get(id(output)) or ("A*" if "A" in self.computed else "A")
        if not self.layer.computes_Z:
            letter = "A*"
        if letter not in self.computed:
            self.computed[letter] = _as_recorded(output, called, came_in)
        cache.output = self.computed[letter]
        return cache.output, cache

    def backward(
        self, dA: Any, cache: LayerCache, *, dZ: Any = None, m: Any = None, inputs: bool = True
    ) -> tuple[Array, dict[str, Any]]:
        self.given = None if dA is None else as_array(dA).again()
        try:
            self._refuse_steps()
            back, found = self.layer.backward(self.given, cache, dZ=dZ, m=m, inputs=inputs)
        except _FAILURES:
            back, found = self.original.backward(
                plain(self.given), _plain_cache(cache), dZ=plain(dZ), m=plain(m), inputs=inputs
            )
        called, came = f"{self.layer.name} backward", self.given if dZ is None else dZ
        letters = sorted(found, key=lambda letter: letter != "dZ")
        self.found = {
            letter: _as_recorded(found[letter], called, came, cache.A_prev) for letter in letters
        }
        self.goes_back = _as_recorded(back, called, came, cache.A_prev)
        return self.goes_back, self.found

    def _refuse_steps(self) -> None:
        """A formula of all steps at once would double in length with each of them."""
        if self.layer.carried:
            raise NotImplementedError

    def why(self, text: str, loss: Loss) -> str:
        """What a step is, in a sentence."""
        g, l = self.activation, self.layer.number
        if g is not None and text.startswith(f"A[{l}] = g[{l}]"):
            if g.mixes:
                return f"The {g.name} of each column: probabilities that sum to 1."
            return f"The activation {g.name}, entry by entry."
        together = rf"dZ\[{l}\] = (A\[{l}\] - Y|\(A\[{l}\] - Y\) \* w)"
        if g is not None and pair(g.g, loss) and re.fullmatch(together, text):
            return (
                f"{g.name} and {loss.name} together: the derivative of the loss by Z is a plain "
                "difference."
            )
        if g is not None and g.mixes and text.startswith(f"dZ[{l}] = "):
            name = g.name.capitalize()
            return f"{name} mixes the units of an example, so each dz depends on every da."
        known = (why for form, why in _WHY if re.fullmatch(form, text))
        return next(known, f"As {type(self.layer).__name__} computes it.")


def _as_recorded(values: Any, called: str, *inputs: Any) -> Array:
    """What a layer returned; numbers that did not record are a function of what came in."""
    return values if isinstance(values, Array) else opaque(values, called, *inputs)


class _Activation:
    """An activation as one operation, g[l]; its derivative, entry by entry, as g[l]'.

    One that mixes the units of an example has no such derivative: there its own backward records.
    """

    def __init__(self, g: Activation, layer: int) -> None:
        self.g, self.layer, self.mixes, self._slopes = g, layer, False, 0

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self.g, attribute)

    def __call__(self, Z: Any) -> Any:
        if not isinstance(Z, Array):
            return self.g(Z)
        self.mixes = _mixes(self.g, Z.values)
        function = Operation(self.g.name, "", self.g, kind="function")
        how = {"mixes": self.mixes, "called": f"g[{self.layer}]"}
        return Array(self.g(Z.values), function, (Z,), how, note=f"g(z) = {self.g.formula}")

    def backward(self, dA: Any, Z: Any, A: Any) -> Any:
        if not isinstance(Z, Array):
            return self.g.backward(dA, Z, A)
        dA, A = as_array(dA), as_array(A)
        values = self.g.backward(dA.values, Z.values, A.values)
        if self.mixes:
            return self._mixed(dA, Z, A, values)
        slope = Array(
            self.g.backward(np.ones_like(A.values), Z.values, A.values),
            key=("g'" + "*" * self._slopes, self.layer),
            text=f"g[{self.layer}]'({formula(Z) if Z.key is None else name(Z.key)})",
            note=f"g'(z) = {self.g.derivative}",
        )
        self._slopes += 1
        return Array(values, OPERATIONS["multiply"], (dA, slope))

    def _mixed(self, dA: Array, Z: Array, A: Array, values: Any) -> Array:
        try:
            found = self.g.backward(dA, Z, A)
        except _FAILURES:
            found = values
        if not isinstance(found, Array) or found.key is not None:
            found = opaque(values, f"{self.g.name} backward", dA, A)
        found.note = self.g.derivative
        return found


def _mixes(g: Activation, Z: NDArray[Any]) -> bool:
    """Whether a unit's a depends on other units' z: alone, the first would come out different."""
    if len(Z) < 2:
        return False
    with np.errstate(all="ignore"):
        return not np.allclose(g(Z)[:1], g(Z[:1]), equal_nan=True)


class _Loss:
    """A loss whose derivative records; of one that cannot, it is one function of A and Y."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self.loss, attribute)

    def of_each(self, cache: Cache, Y: Array) -> Array:
        """L, (m,): by the pair of output activation and loss, where there is one."""
        try:
            found = propagation.losses(cache, Y, self.loss)
        except _FAILURES:
            found = None
        if not isinstance(found, Array):
            A = cache.caches[-1].A
            found = opaque(self.loss.value(Y.values, A.values), self.loss.name, A, Y)
        found.note = f"L = {self.loss.formula}"
        return found

    def derivative(self, Y: Array, A: Array) -> Array:
        try:
            found = self.loss.derivative(Y, A)
        except _FAILURES:
            found = self.loss.derivative(Y.values, A.values)
        if not isinstance(found, Array) or found.key is not None:
            called = f"d {self.loss.name} / dA"
            found = opaque(plain(found), called, A, Y, shown=f"{called} ({{0}}, {{1}})")
        found.note = f"L = {self.loss.formula}"
        return found
