"""Where an entry of an array came from: which entries of which inputs it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pellucid.record.array import Array

At = tuple[Any, ...]
"""Where an entry stands: numbers, or the letter that a sum goes over."""


def within(x: Array, at: At) -> At:
    """Return where an entry comes from in an array that was broadcast."""
    at = at[len(at) - x.ndim :] if len(at) >= x.ndim else at
    return tuple(0 if n == 1 else k for n, k in zip(x.shape, at, strict=True))


def count(x: Array) -> int | None:
    """Return how many are added up; None for a sum over all axes, or of more than two."""
    assert x.operation is not None
    if x.operation.kind == "matmul":
        left, right = x.inputs
        return left.shape[1] if left.ndim == right.ndim == 2 else None
    axis = x.options.get("axis")
    if not isinstance(axis, (int, np.integer)):
        return None
    return x.inputs[0].shape[axis]


def term(x: Array, at: At, k: Any) -> list[tuple[Array, At]]:
    """Return the entries that the k-th term is the product of."""
    assert x.operation is not None
    if x.operation.kind == "matmul":
        left, right = x.inputs
        return [(left, (at[0], k)), (right, (k, at[1]))]
    of, axis = x.inputs[0], int(x.options["axis"]) % x.inputs[0].ndim
    place = list(at)
    if len(place) == of.ndim:
        place[axis] = k
    else:
        place.insert(axis, k)
    return [(of, tuple(place))]


def known(at: At) -> bool:
    """Return whether a place is one of numbers, none of which is a letter."""
    return all(isinstance(k, (int, np.integer)) for k in at)


def branch(x: Array, at: At) -> Array | None:
    """Return what was chosen there; None where the place is not known."""
    if not known(at):
        return None
    condition = x.inputs[0]
    return x.inputs[1] if np.asarray(condition.values)[within(condition, at)] > 0 else x.inputs[2]


def is_transpose(x: Array) -> bool:
    """Return whether it is the transpose of a matrix."""
    assert x.operation is not None
    return x.operation.name == "transpose" and not x.options and x.ndim == 2


def origin(x: Array, at: At) -> tuple[Array, At] | None:
    """Return which entry of which input stands here now; None for a 0 that was put in.

    The same is done to the numbers 1, 2, ... of the entries, which tell where each has gone.
    """
    assert x.operation is not None
    first, tagged = 1, []
    for each in x.inputs:
        tagged.append(np.arange(first, first + each.size).reshape(each.shape))
        first += each.size
    tag = int(x.operation.value(*tagged, **x.options)[at])
    for each, tags in zip(x.inputs, tagged, strict=True):
        if each.size and tags.flat[0] <= tag <= tags.flat[-1]:
            place = np.unravel_index(tag - int(tags.flat[0]), each.shape)
            return each, tuple(int(k) for k in place)
    return None


def gathered(x: Array, at: At) -> list[At]:
    """Return the entries of the input that a gathering adds up.

    Of patches those where the entry had been brought: it is brought there once more, alone. Of
    words the places where the word stands.
    """
    if "words" in x.options:
        return [(int(at[0]), int(k)) for k in np.flatnonzero(x.options["words"] == at[1])]
    alone = np.zeros((x.shape[0], 1))
    alone[at[0]] = 1
    brought = x.options["enter"](alone)
    if brought.ndim == 3:  # what each window sees: (examples, numbers, outputs)
        return [(int(at[1]), int(k), int(j)) for _, k, j in np.argwhere(brought)]
    return [
        (int(row), int(at[1]) * brought.shape[1] + int(column))
        for row, column in sorted(np.argwhere(brought), key=lambda place: place[1])
    ]


def inputs(x: Array, at: At) -> Iterator[tuple[Array, At]]:
    """Yield the entries of the inputs that an entry is made of."""
    assert x.operation is not None
    kind = x.operation.kind
    if kind in ("sum", "matmul") and count(x) is not None:
        for k in range(count(x) or 0):
            yield from term(x, at, k)
    elif kind == "move":
        found = origin(x, at)
        if found is not None:
            yield found
    elif kind == "gather":
        for place in gathered(x, at):
            yield x.inputs[0], place
    elif kind == "function" and x.options.get("mixes"):
        for row in range(x.inputs[0].shape[0]):
            yield x.inputs[0], (row, *at[1:])
    elif x.operation.name == "where":
        chosen = branch(x, at)
        if chosen is not None:
            yield chosen, within(chosen, at)
    elif kind in ("each", "function"):
        for each in x.inputs:
            yield each, within(each, at)
