"""Layers, activations and losses that record: their own code, run on arrays that record."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import propagation
from pellucid.activations import Activation
from pellucid.layers import Layer, LayerCache
from pellucid.layers.affine import Affine
from pellucid.losses import Loss
from pellucid.propagation import Cache
from pellucid.record import (
    LAID_OUT,
    OPERATIONS,
    SAME,
    Array,
    Key,
    Operation,
    Volume,
    as_array,
    formula,
    name,
    opaque,
    plain,
)

Letter = str | tuple[str, int]
"""A letter, of a layer that goes through time with its step."""

FAILURES = (TypeError, AttributeError, ValueError, NotImplementedError, IndexError, KeyError)
"""What code may raise that cannot work on recording arrays."""


class RecordedLayer:
    """A layer whose parameters and activation record; all else is the layer's own.

    ``inside`` makes the same of the layers inside of it.

    Where its code cannot work on such arrays, it is run on NumPy's, and its results are shown as
    one function of what came in.

    Attributes
    ----------
    computed : dict of Array
        What forward computed, by letter: P, what the places of a volume see; Z, A, and A* where
        what leaves is not A.
    found : dict of Array
        What backward found: dZ, dW, db.
    entered : Array
        What came in, as the layer before returned it.
    given, goes_back : Array
        The dA that came from behind, and dA_prev.
    inputs_back : dict of Array
        The parts of dA_prev by their names, where it has some: dx<t>.
    out : (str, int)
        What the output is called.
    names : list of str or None
        What its units are called.
    shows_Z : bool
        Whether the loss is computed of its Z.
    """

    def __init__(self, layer: Layer, inside: Callable[[Layer], RecordedLayer]) -> None:
        self.original, self.layer = layer, layer.with_inner(inside)
        for kept in ("parameters", "statistics"):
            arrays = getattr(layer, kept).items()
            recorded = {letter: Array(each, key=(letter, layer.number)) for letter, each in arrays}
            setattr(self.layer, kept, recorded)
        g = layer.activation
        self.activation = None if g is None else RecordedActivation(g, layer.number)
        self.layer.activation = self.activation  # type: ignore[assignment]
        if isinstance(layer, Affine):
            self.layer.enter, self.layer.leave = self._enter, self._leave  # type: ignore[attr-defined]
        if hasattr(layer, "seen") and hasattr(layer, "returned"):
            self.layer.seen, self.layer.returned = self._seen, self._returned  # type: ignore[attr-defined]
        self.computed: dict[Letter, Array] = {}
        self.found: dict[str, Any] = {}
        self.given: Array | None = None
        self.goes_back: Any = None
        self.inputs_back: dict[Key, Array] = {}
        self.out: Key = ("A", layer.number)
        self.names: list[str] | None = getattr(layer, "names", None)
        self.shows_Z = False

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self.layer, attribute)

    def forward(self, A_prev: Array, mask: Any = None, **given: Any) -> tuple[Array, LayerCache]:
        """Return the output and the cache, as the layer does."""
        self.entered, came_in, called = A_prev, A_prev.again(), self.layer.name
        self.computed.clear()
        try:
            output, cache = self.layer.forward(came_in, mask, **given)
        except FAILURES:
            output, cache = self.original.forward(A_prev.values, mask, **given)
        self.cache = cache = copy.copy(cache)
        self._keep_arrays(cache)
        for letter in ("Z", "A") if self.layer.computes_Z else ():
            values = getattr(cache, letter)
            if values is not None:
                same = values is output
                values = _as_recorded(values, called, came_in)
                values = values.again() if _is_among(values, self.computed) else values
                self.computed[letter] = values
                setattr(cache, letter, values)
                output = values if same else output
        if not _is_among(output, self.computed):
            letter = "A" if self.layer.computes_Z and "A" not in self.computed else "A*"
            self.computed[letter] = _as_recorded(output, called, came_in)
        self.last = next(k for k, each in reversed(self.computed.items()))
        cache.output = self.computed[self.last]
        return cache.output, cache

    def _keep_arrays(self, cache: LayerCache) -> None:
        """What else the layer names, such as the mean and the variance of a norm."""
        for letter, values in cache.arrays.items():
            if isinstance(values, Array) and values.ndim == 2 and values.key is None:
                self.computed[letter] = values

    def before_naming(self) -> None:
        """Get ready for what was computed to be named."""

    def gradients(self) -> list[tuple[Letter, Array]]:
        """Return what backward found, in the order in which it is shown."""
        self.found |= {letter: as_array(values) for letter, values in self.found.items()}
        return list(self.found.items())

    def settle(self) -> None:
        """Take the output as the chain has left it, with 0 in padded steps."""
        cache = self.cache
        before, after = self.computed[self.last], cache.output
        if after is before:
            return
        self.computed[self.last] = after
        for letter in ("Z", "A"):
            if getattr(cache, letter) is before:  # formulas call it by the name of what it became
                setattr(cache, letter, Array(before.values, SAME, (after,)))

    def backward(
        self, dA: Any, cache: LayerCache, *, dZ: Any = None, m: Any = None, inputs: bool = True
    ) -> tuple[Array, Any]:
        """Return dA_prev and the gradients, as the layer does."""
        self.given = None if dA is None else as_array(dA).again()
        try:
            back, found = self.layer.backward(self.given, cache, dZ=dZ, m=m, inputs=inputs)
        except FAILURES:
            back, found = self.original.backward(
                plain(self.given), plain_cache(cache), dZ=plain(dZ), m=plain(m), inputs=inputs
            )
        called, came = f"{self.layer.name} backward", self.given if dZ is None else dZ
        self.goes_back = _as_recorded(back, called, came, cache.A_prev)
        if self.layer.inner:
            return self.goes_back, found
        letters = sorted(found, key=lambda letter: letter != "dZ")
        self.found = {
            letter: _as_recorded(found[letter], called, came, cache.A_prev) for letter in letters
        }
        return self.goes_back, self.found

    def _enter(self, A_prev: Array) -> Array:
        """P, the same array forward and backward; patches are one operation."""
        if "P" in self.computed:
            return self.computed["P"]
        enter = self.original.enter  # type: ignore[attr-defined]
        P: Array = enter(A_prev)
        if P is A_prev or P.operation is None or P.operation.name in LAID_OUT:
            return P
        if all(each.kind == "move" for each in _operations(P, A_prev)):
            P = A_prev.whole("patches", enter=enter)
        self.computed["P"] = P
        return P

    def _leave(self, dP: Array) -> Array:
        enter, leave = self.original.enter, self.original.leave  # type: ignore[attr-defined]
        P = self.computed.get("P")
        if P is None or P.operation is not OPERATIONS["patches"]:
            dA_prev: Array = leave(dP)
            return dA_prev
        return dP.whole("sum_over_patches", enter=enter, leave=leave)

    def _seen(self, A_prev: Array) -> Array:
        """What the windows of a pool see, as one operation."""
        return A_prev.whole("windows", enter=self.original.seen)  # type: ignore[attr-defined]

    def _returned(self, dS: Array) -> Array:
        """What goes back to where it was seen: of each number its share."""
        share = Array(dS.inputs[0].values, text="share")
        dS = share * as_array(self.given).whole("by_window")
        enter, leave = self.original.seen, self.original.returned  # type: ignore[attr-defined]
        return dS.whole("sum_over_windows", enter=enter, leave=leave)

    def absent(self, letter: Letter) -> list[int]:
        """Return the examples that have no such step."""
        return []

    def known(self, constant: Array) -> Key | None:
        """Return the name of a constant of the layer: M tells which connections there are."""
        mask = getattr(self.original, "mask", None)
        is_mask = mask is not None and np.array_equal(constant.values, mask)
        return ("M", self.original.number) if is_mask else None

    def volume(self, letter: str) -> Volume | None:
        """Return what a column of an array is unrolled of; None where it is no volume."""
        filters = getattr(self.layer, "filter_shape", None)
        if letter in ("W", "dW"):
            return filters and Volume(filters, column="filter", by_row=True)
        if letter.removeprefix("d").rstrip("*") in ("Z", "A", "A_norm"):
            shape, valid = self.layer.output_shape, self.cache.valid
            lengths = None if valid is None else valid[:: shape[-1]].sum(axis=0)
            return volume_of(shape, lengths, "channel" if filters is None else "filter")
        return None


def volume_of(
    shape: tuple[int, ...], lengths: Any = None, channel: str = "channel"
) -> Volume | None:
    """Return the volume of this shape; None where it has one place, or more axes than a picture."""
    if len(shape) not in (2, 3) or all(n == 1 for n in shape[:-1]):
        return None
    left = None if lengths is None or len(shape) > 2 else tuple(map(int, lengths))
    return Volume(shape, channel, lengths=left)


def walk(layers: Iterable[RecordedLayer]) -> Iterator[RecordedLayer]:
    """Yield the layers, and those inside of one before it."""
    for layer in layers:
        yield from walk(layer.inner)
        yield layer


def plain_cache(cache: LayerCache) -> LayerCache:
    """Return a cache with NumPy's arrays."""
    made = copy.copy(cache)
    for attribute, value in vars(cache).items():
        setattr(made, attribute, plain(value))
    made.arrays = {letter: plain(each) for letter, each in cache.arrays.items()}
    made.steps = {letter: list(map(plain, each)) for letter, each in cache.steps.items()}
    made.inner = [plain_cache(each) for each in cache.inner]
    return made


def _as_recorded(values: Any, called: str, *inputs: Any) -> Array:
    """What a layer returned; numbers that did not record are a function of what came in, or 0."""
    if isinstance(values, Array):
        return values
    return opaque(values, called, *inputs, shown="" if np.any(values) else "0")


def _is_among(x: Any, arrays: dict[Letter, Array]) -> bool:
    return any(each is x for each in arrays.values())


def _operations(x: Array, before: Array) -> Iterator[Operation]:
    """What was done to come from one array to another."""
    if x is not before and x.operation is not None:
        yield x.operation
        for each in x.inputs:
            yield from _operations(each, before)


class RecordedActivation:
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
        """Return dZ, by g' where each z has its own."""
        if not isinstance(Z, Array):
            return self.g.backward(dA, Z, A)
        dA, A = as_array(dA), as_array(A)
        values = self.g.backward(dA.values, Z.values, A.values)
        if self.mixes:
            return self._mixed(dA, Z, A, values)
        key: Key = ("g'" + "*" * self._slopes, self.layer)
        if Z.key is not None and len(Z.key) == 3:
            key = ("g'", self.layer, Z.key[2])
        else:
            self._slopes += 1
        slope = Array(
            self.g.backward(np.ones_like(A.values), Z.values, A.values),
            key=key,
            text=f"g[{self.layer}]'({formula(Z) if Z.key is None else name(Z.key)})",
            note=f"g'(z) = {self.g.derivative}",
        )
        return Array(values, OPERATIONS["multiply"], (dA, slope))

    def _mixed(self, dA: Array, Z: Array, A: Array, values: Any) -> Array:
        try:
            found = self.g.backward(dA, Z, A)
        except FAILURES:
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


class RecordedLoss:
    """A loss whose derivative records; of one that cannot, it is one function of A and Y."""

    def __init__(self, loss: Loss, *, paired: bool = True) -> None:
        self.loss, self.name = loss, loss.name if paired else ""

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self.loss, attribute)

    def of_each(self, cache: Cache, Y: Array) -> Array:
        """L, (m,): by the pair of output activation and loss, where there is one."""
        found: Array = propagation.losses(cache, Y, self)  # type: ignore[arg-type]
        found.note = f"L = {self.loss.formula}"
        return found

    def value(self, Y: Array, A: Array) -> Array:
        """Return L, as one function of A and Y where the loss cannot record."""
        try:
            found = self.loss.value(Y, A)
        except FAILURES:
            found = None
        if not isinstance(found, Array):
            found = opaque(self.loss.value(Y.values, A.values), self.loss.name, A, Y)
        return found

    def derivative(self, Y: Array, A: Array) -> Array:
        """Return dL/dA, as one function of A and Y where the loss cannot record."""
        try:
            found = self.loss.derivative(Y, A)
        except FAILURES:
            found = self.loss.derivative(Y.values, A.values)
        if not isinstance(found, Array) or found.key is not None:
            called = f"d {self.loss.name} / dA"
            found = opaque(plain(found), called, A, Y, shown=f"{called} ({{0}}, {{1}})")
        found.note = f"L = {self.loss.formula}"
        return found
