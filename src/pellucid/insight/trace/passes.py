"""The steps of one pass: the layers' own forward and backward, run on arrays that record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import propagation
from pellucid.insight.trace.recorded import (
    Letter,
    RecordedLayer,
    RecordedLoss,
    plain_cache,
    volume_of,
    walk,
)
from pellucid.insight.trace.unrolled import recorded
from pellucid.insight.trace.why import why
from pellucid.layers import Layer
from pellucid.layers.shapes import by_place, unrolled
from pellucid.losses import Loss, pair
from pellucid.propagation import Cache, Gradients
from pellucid.record import (
    Array,
    Key,
    Matrix,
    Part,
    Picture,
    Volume,
    adding_up,
    formula,
    laid_out,
    name,
    pictures,
    plain,
    simplified,
    windows,
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
    volume : Volume or None
        What a column of the result is unrolled of; its ``pictures`` are laid out so.
    names : list of str
        What the rows of the result are called, where the layer has names for its units.
    left_out : int
        How many steps of the same layer before it :meth:`Trace.sections` leaves out.
    absent : list of int
        The examples that are shorter; their columns keep what the step before left.
    """

    key: Key
    formula: str
    parts: tuple[Part, ...]
    values: NDArray[Any]
    why: str = ""
    recorded: Array = field(default_factory=lambda: Array(np.zeros((0, 0))), repr=False)
    volume: Volume | None = None
    names: Sequence[str] = ()
    left_out: int = 0
    absent: Sequence[int] = ()

    @property
    def shown(self) -> NDArray[Any]:
        """The result as it is shown: NaN stands where an example has no such step."""
        found = self.values
        if self.absent:
            found = np.array(found)
            found[:, list(self.absent)] = np.nan
        return found

    @property
    def pictures(self) -> list[Picture]:
        """The pictures of the result; none of a matrix."""
        return pictures(self.values, self.volume) if self.volume else []

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
    volumes : dict of Volume
        What the columns of X, Y and every array of a volume or sequence are unrolled of.
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
        lengths: NDArray[Any] | None = None,
    ) -> None:
        self._Y = Y
        self._loss, self._weighted, self._keys = loss, weight is not None, set[Key]({("X", 0)})
        m = propagation.total_weight(X, weight)
        recording = list(map(recorded, layers))
        recording[-1].shows_Z = pair(layers[-1].activation, loss) is not None
        w = None if weight is None else Array(weight[np.newaxis], key=("w", 0))
        given = Array(X, key=("X", 0))
        cache = propagation.forward(recording, given, lengths=lengths)  # type: ignore[arg-type]
        for layer in walk(recording):
            layer.settle()
        self.volumes = _volumes(recording, lengths)
        self.forward = self._forward(recording)
        T, by, of = Array(Y, key=("Y", 0)), RecordedLoss(loss), Array(m, key=("m", 0))
        how: dict[str, Any] = {"l1": _number(l1, "l1"), "l2": _number(l2, "l2")}
        self.cost = self._cost(cache, T, by, w, of, **how)
        how |= {"loss": by, "m": of, "inputs": True}
        gradients = propagation.backward(cache, T, sample_weight=w, **how)
        self.backward = self._backward(recording, gradients.dX)
        self.unfused = self._unfused(recording[-1], cache, T, w)
        plain_caches = [plain_cache(each) for each in cache.chain_caches]
        self.cache = Cache(layers, plain(cache.X), plain_caches, lengths)
        by_layer = [{k: plain(v) for k, v in found.items()} for found in gradients.by_layer]
        dA = {number: plain(each) for number, each in gradients.dA.items()}
        self.gradients = Gradients(self.cache.layers, by_layer, dA, plain(gradients.dX))
        for step in [*self.forward, *self.cost, *self.backward, *self.unfused]:
            _cut(step.recorded, set())

    def _forward(self, layers: Sequence[RecordedLayer]) -> list[Step]:
        """P, Z[l] and A[l] of every layer, from the first to the last."""
        steps = []
        for layer in layers:
            steps += self._forward(layer.inner)
            layer.before_naming()
            for letter, values in layer.computed.items():
                made = self._named(layer, _key(letter, layer), values)
                steps += [replace(each, absent=layer.absent(letter)) for each in made]
            layer.out = steps[-1].key
        return steps

    def _cost(
        self,
        cache: Cache,
        Y: Array,
        loss: RecordedLoss,
        w: Array | None,
        m: Array,
        l1: Any,
        l2: Any,
    ) -> list[Step]:
        """The loss of each example, and J: their mean and the penalties."""
        layer: Any = cache.layers[-1]
        each = loss.of_each(cache, Y)
        L = each.record("expand_dims", each, axis=0)
        steps = self._named(layer, ("L", 0), L)
        J = (L if w is None else L * w).sum(axis=1, keepdims=True) / m
        for part in cache.layers if l1 or l2 else ():
            for W in (part.parameters[letter] for letter in part.penalised):
                factor = part.weight_decay_factor
                J = J + (factor * l2 / 2) * (W**2).sum() + (factor * l1) * abs(W).sum()
        return steps + self._named(layer, ("J", 0), J)

    def _unfused(self, last: RecordedLayer, cache: Cache, Y: Array, w: Array | None) -> list[Step]:
        """The output step as the chain rule has it, beside the fused one."""
        kept, g, n = cache.caches[-1], last.activation, last.output_shape[-1]
        if last.given is not None or g is None or kept.Z is None:
            return []
        alone: Any = RecordedLoss(self._loss, paired=False)
        dA, _ = propagation.output_gradient(cache, Y, alone, w)
        last.given = dA
        dZ = g.backward(by_place(dA, n), by_place(kept.Z, n), by_place(kept.A, n))
        return [
            *self._named(last, ("dA", last.number), dA),
            *self._named(last, ("dZ", last.number), unrolled(dZ, Y.shape[1]), again=True),
        ]

    def _backward(
        self,
        layers: Sequence[RecordedLayer],
        dX: Array | None = None,
        behind: RecordedLayer | None = None,
    ) -> list[Step]:
        """dA[l], dZ[l], dW[l], db[l] of every layer, from the last to the first, and dX.

        Layers inside of others stand before what goes back from the whole, which is ``behind``.
        """
        steps: list[Step] = []
        for layer in reversed(layers):
            if layer.given is not None and not _is_named(layer.given):
                key: Key = (f"d{layer.out[0]}", layer.number)
                came = layer.given
                came = came.inputs[0] if behind is not None else came  # before it got to the layer
                steps += self._named(layer, key, came, by=behind)
            steps += self._backward(layer.inner, behind=layer)
            for letter, values in layer.gradients():
                steps += self._named(layer, _key(letter, layer), values)
            for part, values in layer.inputs_back.items():
                steps += self._named(layer, part, values)
            behind = layer
        if dX is not None:
            steps += self._named(layers[0], ("dX", 0), dX)
        return steps

    def _named(
        self,
        layer: RecordedLayer,
        key: Key,
        values: Array,
        *,
        again: bool = False,
        by: RecordedLayer | None = None,
    ) -> list[Step]:
        """Give an array of a layer its name, ``again`` if need be; return its step.

        ``by`` is the layer that computes it, where it is another one.
        """
        while key in self._keys and not again:
            key = (f"{key[0]}*", *key[1:])
        self._keys.add(key)
        result = values.named(key)
        constants = [each for each in made_of(result) if each.key is None and each.ndim == 2]
        for each in constants:
            each.key = layer.known(each) or ("c", sum(k[0] == "c" for k in self._keys) + 1)
            self._keys.add(each.key)
        if len(key) == 2 and (volume := layer.volume(key[0])) is not None:
            self.volumes[key] = volume
        written, notes = formula(result), list(dict.fromkeys(_notes(result)))
        before = ""
        if by is None and result is layer.given and key[0].startswith("dA"):
            before = f"dL/d{name(key)[1:]}{' * w' if self._weighted else ''} = "
        parts = adding_up(result, parts_of(result))
        if key[0] == "L":
            parts = self._of_the_loss(layer)
            if "," not in self._loss.formula:
                before, notes = f"{self._loss.formula} = ", []
        text = ", ".join([f"{name(key)} = {before}{written}", *notes])
        parts = tuple(self._with_volume(part, result) for part in parts)
        meant = why(by or layer, key, text, self._loss)
        volume = self.volumes.get(key)
        names = layer.names or () if key[0] == "A" and volume is None else ()
        return [Step(key, text, parts, result.values, meant, result, volume, names)]

    def _of_the_loss(self, last: RecordedLayer) -> tuple[Part, ...]:
        """L as a function of A and Y: written out with all its numbers it would fill a page."""
        A = Matrix(last.out, last.computed[last.out[0]].values)
        return (f"{self._loss.name}(", A, ",", Matrix(("Y", 0), self._Y), ")")

    def _with_volume(self, part: Part, result: Array) -> Part:
        """An array as pictures: filters always, examples where no product mixes their places."""
        if isinstance(part, str) or part.transposed:
            return part
        volume = self.volumes.get(part.key)
        if volume is None or not volume.by_row:
            if _mixes_places(result) and (result.key or ("",))[0] != "L":
                return part
            if volume is None and part.values.shape in (result.shape, (result.shape[0], 1)):
                volume = self.volumes.get(result.key or ("", 0))
            if volume is None and part.values.size == result.size and not part.called:
                volume = self.volumes.get(result.key or ("", 0))
        return replace(part, volume=volume) if volume and volume.fits(part.values) else part


def _key(letter: Letter, layer: RecordedLayer) -> Key:
    if isinstance(letter, str):
        return letter, layer.number
    return letter[0], layer.number, letter[1]


def _volumes(layers: Sequence[RecordedLayer], lengths: Any) -> dict[Key, Volume]:
    """What is given, and the filters, as volumes; more are found as the arrays get their names."""
    found: dict[Key, Volume | None] = {
        (letter, layer.number): layer.volume(letter)
        for layer in walk(layers)
        for letter in layer.parameters
    }
    found["X", 0] = found["dX", 0] = volume_of(layers[0].input_shape, lengths)
    found["Y", 0] = layers[-1].volume("A")
    return {key: volume for key, volume in found.items() if volume is not None}


def _number(value: float, letter: str) -> Any:
    return Array(float(value), key=(letter, 0)) if value else 0.0


def made_of(x: Array) -> list[Array]:
    """Return the arrays that an array was computed from, down to those with a name."""
    same = simplified(x, named=True)
    if same is not x and (same.key is not None or same.operation is None):
        return [same]
    found: list[Array] = []
    for each in same.inputs:
        each = simplified(each)
        found += [each] if each.key is not None or each.operation is None else made_of(each)
    return found


def _cut(x: Array, seen: set[int]) -> None:
    """Forget how what has a name came about: its own step knows, and a long chain is no burden."""
    if id(x) in seen:
        return
    seen.add(id(x))
    x.inputs = tuple(
        each
        if each.key is None or each.operation is None
        else Array(each.values, key=each.key, text=each.text, note=each.note)
        for each in x.inputs
    )
    for each in x.inputs:
        _cut(each, seen)


def _is_named(x: Array) -> bool:
    """Whether it is another's numbers, laid out otherwise at most."""
    return laid_out(simplified(x)).key is not None


def _mixes_places(x: Array) -> bool:
    """Whether sums or products go over the places of an example; windows stay where they are."""
    if x.operation is None:
        return False
    kept = x.operation.name == "sum_over_windows" or (
        x.operation.kind == "sum" and windows(x.inputs[0]) is not None
    )
    return (x.operation.kind in ("sum", "matmul", "gather") and not kept) or any(
        _mixes_places(each) for each in x.inputs if each.key is None
    )


def _notes(x: Array) -> list[str]:
    """What is to be said of the functions in a formula: g(z) = max(z, 0)."""
    found = [x.note] if x.note else []
    for each in x.inputs:
        if each.key is None or each.key[0] == "g'":
            found += _notes(each)
    return found
