"""Recurrent layers that record: unrolled, one step after the other, each with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from pellucid.insight.trace.recorded import Letter, RecordedLayer
from pellucid.layers import Layer, LayerCache
from pellucid.layers.through_time import ThroughTime
from pellucid.record import OPERATIONS, SAME, Array, Key, as_array, laid_out, simplified, stacked

State = dict[str, Array]


def recorded(layer: Layer) -> RecordedLayer:
    """Return a layer that records, as do those inside of it."""
    kind = RecordedSteps if isinstance(layer, ThroughTime) else RecordedLayer
    return kind(layer, recorded)


class RecordedSteps(RecordedLayer):
    """A layer that goes through time: what each step computes, and what goes back from each.

    A letter has its step there, ("Z", 3) for Z<3>.
    """

    def __init__(self, layer: Layer, inside: Callable[[Layer], RecordedLayer]) -> None:
        super().__init__(layer, inside)
        made: Any = self.layer
        made.step, made.step_back, made.called = self._step, self._step_back, self._called
        self._of: Any = type(layer)
        self._x: dict[int, Array] = {}
        self._now: dict[int, Mapping[str, Array]] = {}
        self._start: State = {}
        self._back: dict[int, State] = {}
        self._given: Array | None = None
        self._steps: Iterator[int] = iter(())
        self._within: dict[int, State] = {}
        self._by_name: State = {}

    def forward(self, A_prev: Array, mask: Any = None, **given: Any) -> tuple[Array, LayerCache]:
        """Return the output and the cache, as the layer does."""
        self._steps = iter(self.layer.order)  # type: ignore[attr-defined]
        output, cache = super().forward(A_prev, mask, **given)
        if not all(isinstance(each, Array) for each in cache.steps["a"]):
            return output, cache  # its code cannot record
        whole, self.computed = self.computed, {}
        for t in self.layer.order:  # type: ignore[attr-defined]
            for letter, values in cache.steps.items():
                _carry_on(values[t], self._now[t + 1][letter])
            made = self._within[t + 1] | {letter: each[t] for letter, each in cache.steps.items()}
            known = {id(each) for each in [*self.computed.values(), *self._x.values()]}
            self.computed |= {(letter, t + 1): made[letter] for letter in _in_order(made, known)}
        if (
            self.shows_Z
            and "Z" in whole
            and not any(whole["Z"] is each for each in cache.steps["Z"])
        ):
            self.computed["Z"] = whole["Z"]
        self.computed["A"] = whole["A"].again()
        cache.output = cache.A = self.computed["A"]
        return cache.output, cache

    def backward(
        self, dA: Any, cache: LayerCache, *, dZ: Any = None, m: Any = None, inputs: bool = True
    ) -> tuple[Array, Any]:
        """Return dA_prev and the gradients, as the layer does."""
        self._steps, self._back = reversed(self.layer.order), {}  # type: ignore[attr-defined]
        self._given = None if dA is None else simplified(dA)
        return super().backward(dA, cache, dZ=dZ, m=m, inputs=inputs)

    def gradients(self) -> list[tuple[Letter, Array]]:
        """What went back through each step, from the last to the first, and what it comes to."""
        whole = super().gradients()
        by_step: list[tuple[Letter, Array]] = [
            ((letter, t), values)
            for t, each in self._back.items()
            for letter, values in each.items()
        ]
        return [*by_step, *(each for each in whole if each[0] != "dZ")] if by_step else whole

    def absent(self, letter: Letter) -> list[int]:
        """Return the examples that have no such step."""
        lengths = self.cache.lengths
        if lengths is None or isinstance(letter, str):
            return []
        return [int(k) for k in np.flatnonzero(lengths < letter[1])]

    def before_naming(self) -> None:
        """Call x<t> after what came in, where no layer before has a name for it."""
        for t, x in self._x.items():
            if x.key is None:
                x.key = self._key_of_input(t)

    def _key_of_input(self, t: int) -> Key | None:
        """("x", 0, t), or ("A", 1, t) of what layer 1 gave; None where that has no name."""
        key = laid_out(simplified(self.entered)).key
        if key is None:
            return None
        return ("x", 0, t) if key[0] == "X" else (*key[:2], t)

    def _step(self, x: Array, before: Mapping[str, Any]) -> Mapping[str, Array]:
        t = next(self._steps) + 1
        if t - 1 == self.layer.order[0]:  # type: ignore[attr-defined]
            self._x, self._now = {}, {}
            came, step = self.layer.number, t - self.layer.order.step  # type: ignore[attr-defined]
            self._start = {
                letter: Array(each, key=(letter, came, step)) for letter, each in before.items()
            }
            before = self._start
        self._x[t], self._within[t] = self._input(x, t), {}
        self._by_name = self._within[t]
        now: Mapping[str, Array] = self._of.step(self.layer, self._x[t], before)
        self._now[t] = now
        return now

    def _input(self, x: Array, t: int) -> Array:
        """x<t>, or a<t> of the layer before where that is the same."""
        below = stacked(laid_out(simplified(self.entered, named=True)))
        if below and len(below) == self.layer.input_shape[0]:
            each = below[t - 1]
            if each.shape == x.shape and np.array_equal(each.values, x.values):
                return each
        return x

    def _step_back(
        self, d: Mapping[str, Any], x: Array, before: Mapping[str, Any], now: Mapping[str, Array]
    ) -> tuple[Any, ...]:
        t = next(self._steps) + 1
        self._back[t] = self._by_name = found = {}
        if isinstance(d["a"], Array):
            found["da"] = _before_held(d["a"])
            self._name_given(found["da"], t)
        if t - 1 == self.layer.order[0]:  # type: ignore[attr-defined]
            before = self._start
        back: tuple[Any, ...] = self._of.step_back(self.layer, d, self._x[t], before, now)
        for letter, values in zip(("dZ", "dW", "db"), back[2:], strict=True):
            found[letter] = as_array(values)
        if (key := self._key_of_input(t)) is not None:
            self.inputs_back[f"d{key[0]}", *key[1:]] = as_array(back[1])
        return back

    def _name_given(self, da: Array, t: int) -> None:
        """Call the part of dA that belongs to a step dA<t>."""
        for each in map(simplified, da.inputs):
            is_part = each.operation is not None and each.operation.name == "take"
            if each.key is None and is_part and simplified(each.inputs[0]) is self._given:
                each.key = (f"d{self.out[0]}", self.layer.number, t)

    def _called(self, letter: str, value: Array) -> Array:
        self._by_name[letter] = value
        return value


def _in_order(made: State, known: set[int]) -> list[str]:
    """The letters of a step, each after those that it was computed from.

    ``known`` are the arrays, by id, behind which nothing need be looked for.
    """
    letters = {id(each): letter for letter, each in made.items()}

    def behind(x: Array, seen: set[int]) -> set[str]:
        found = set()
        for each in x.inputs:
            if id(each) not in seen:
                seen.add(id(each))
                found |= {letters[id(each)]} if id(each) in letters else set()
                found |= behind(each, seen)
        return found

    return sorted(made, key=lambda letter: len(behind(made[letter], set(known))))


def _before_held(x: Array) -> Array:
    """What an array was before 0 was put into the examples that have no such step."""
    return x.inputs[0] if x.operation is not None and x.operation.name == "held" else x


def _carry_on(kept: Array, now: Array) -> None:
    """Let what a step computed be known by the name of what was kept of it.

    They differ in the examples that have no such step, which keep what they had.
    """
    if kept is now or kept.operation is None or kept.operation.name != "where":
        return
    there, _, before = kept.inputs
    made = Array(now.values, now.operation, now.inputs, now.options, note=now.note)
    kept.operation, kept.inputs = OPERATIONS["carried_on"], (made, before)
    kept.options = {"there": there.values}
    now.operation, now.inputs, now.options, now.note = SAME, (kept,), {}, ""
