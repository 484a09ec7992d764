"""What layers with a window share: its size and stride, the places it has, the steps it leaves."""

from __future__ import annotations

from typing import Any

from pellucid._shown import plain
from pellucid.checks import is_whole
from pellucid.layers.base import Array
from pellucid.layers.patches import Pairs, places_along
from pellucid.layers.shapes import Places

Size = int | tuple[int, ...]
"""One number for each axis, or one for all."""


def each(value: Size, n_axes: int) -> tuple[int, ...]:
    """Return one number for each axis."""
    return value if isinstance(value, tuple) else (value,) * n_axes


def checked_size(layer: Any, argument: str, value: Any, n_axes: int) -> Size:
    """Return a size or stride: a number, or one for each axis."""
    numbers = value if isinstance(value, (tuple, list)) else (value,)
    if len(numbers) not in (1, n_axes) or not all(is_whole(n, 1) for n in numbers):
        pair = ", or a pair of them" if n_axes == 2 else ""
        raise ValueError(
            f"{type(layer).__name__}: {argument} must be an integer of 1 or more{pair}; got "
            f"{plain(value)!r}."
        )
    found = tuple(int(n) for n in numbers)
    return found[0] if len(set(found)) == 1 else found


def check_axes(layer: Any, input_shape: tuple[int, ...], *n_axes: int) -> None:
    """Refuse an input that has not one axis more than the window, or than one of these."""
    if len(input_shape) - 1 in n_axes:
        return
    kinds = {2: "(rows, columns, channels)", 1: "(steps, features)"}
    expected = " or ".join(shape for n, shape in kinds.items() if n in n_axes)
    hint = ""
    if len(input_shape) in n_axes:
        with_one = ", ".join(map(str, (*input_shape, 1)))
        hint = f" Where there is one channel, write ({with_one})."
    raise ValueError(f"{layer!r} expects inputs of shape {expected}; got {input_shape}.{hint}")


def places(layer: Any, input_shape: tuple[int, ...], pads: Pairs) -> tuple[int, ...]:
    """Return how many places a layer's window has along each axis, 1 or more."""
    size, stride = each(layer.size, len(pads)), each(layer.stride, len(pads))
    found = [places_along(*along) for along in zip(input_shape, size, stride, pads, strict=False)]
    if min(found) < 1:
        seen, there = (" x ".join(map(str, n)) for n in (size, input_shape[:-1]))
        mend = ", or padding='same'" if hasattr(layer, "padding") else ""
        raise ValueError(
            f"{layer!r}: the window of {seen} is larger than what enters, {there}. Take a smaller "
            f"size{mend}."
        )
    return tuple(found)


def seen_from(layer: Any, places: Places, pads: Pairs) -> Places:
    """Return the places of what enters that a window sees from these places of the output."""
    found, size, stride = [], each(layer.size, len(pads)), each(layer.stride, len(pads))
    along = zip(places, size, stride, pads, layer.input_shape, strict=False)
    for (first, end), f, s, (before, _), n in along:
        start = min(max(first * s - before, 0), n)
        found.append((start, max(min((end - 1) * s - before + f, n), start)))
    return tuple(found)


def steps_left(layer: Any, lengths: Array, pads: tuple[int, int]) -> Array:
    """Return how many steps of each example a window leaves; refuse examples that are too short."""
    left = steps_seen(layer, lengths, pads)
    if left.shape[0] and int(left.min()) < 1:
        k, (f,) = int(left.argmin()), each(layer.size, 1)
        mend = ", or take padding='same'" if hasattr(layer, "padding") else ""
        raise ValueError(
            f"{layer.where()} sees {f} steps at once; lengths[{k}] is {int(lengths[k])}. Leave "
            f"such examples out{mend}."
        )
    return left


def steps_seen(layer: Any, lengths: Array, pads: tuple[int, int]) -> Array:
    """Return at how many places a window stands in each example, 0 or less where it is too long."""
    (f,), (s,) = each(layer.size, 1), each(layer.stride, 1)
    return (lengths + sum(pads) - f) // s + 1
