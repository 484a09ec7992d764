"""How many digits of the numbers in a sum are shown, for it to add up as it stands there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pellucid.record.array import Array
from pellucid.record.entries import At, inputs
from pellucid.record.show import DIGITS, Matrix, Part, shown, simplified

MOST_TERMS = 9
"""A sum of so many terms is written out whole."""

MOST_DIGITS = 10
"""Of a number, where fewer do not add up."""

IN_VIEW, MOST_IN_VIEW = 8, 7
"""Rows or columns of a matrix that a reader adds up, and the digits of its numbers at most."""


def enough(x: Array, at: At, top: bool) -> int:
    """How many digits of what goes in are shown, for it to come to what is shown of the result."""
    expected = shown(x.values[at])
    for digits in range(DIGITS, MOST_DIGITS):
        with np.errstate(all="ignore"):
            found = _worked_out(x, at, digits, top)
        if found is None or shown(found) == expected:
            return DIGITS if found is None else digits
    return MOST_DIGITS


def adding_up(x: Array, found: tuple[Part, ...]) -> tuple[Part, ...]:
    """Return the parts of a sum over columns or rows, in so many digits that it adds up.

    Where one array is added up, all of it is in view, and 7 digits are enough. Products are left
    as they are: whoever wants one worked out asks for its cell.
    """
    words = " ".join(each for each in found if isinstance(each, str))
    matrices = [each for each in found if isinstance(each, Matrix)]
    if " of the " not in words or len(matrices) != 1 or max(matrices[0].values.shape) > IN_VIEW:
        return found
    same = simplified(x, named=True)
    digits = max(enough(same, at, same is x) for at in np.ndindex(x.shape))
    if not DIGITS < digits <= MOST_IN_VIEW:
        return found
    return tuple(
        replace(each, digits=digits) if isinstance(each, Matrix) else each for each in found
    )


def _worked_out(x: Array, at: At, digits: int, top: bool = False) -> float | None:
    """What the numbers come to as they are shown; None where they are not all shown."""
    x = x if top else simplified(x)
    if x.is_number:
        return None if x.values is None else float(f"{float(x.values):g}")
    if x.operation is None or (x.key is not None and not top):
        return float(shown(x.values[at], digits))
    kind, entries = x.operation.kind, list(inputs(x, at))
    if kind == "unknown" or x.options.get("mixes") or len(entries) > 2 * MOST_TERMS:
        return None
    found = [_worked_out(each, place, digits) for each, place in entries]
    if any(each is None for each in found):
        return None
    numbers = [each for each in found if each is not None]
    if kind == "matmul":
        return float(sum(a * b for a, b in zip(numbers[::2], numbers[1::2], strict=True)))
    if kind == "move" or x.operation.name == "where":
        return numbers[0] if numbers else 0.0
    if kind == "gather":
        return float(sum(numbers))
    if kind == "sum":
        return float(x.operation.value(np.array(numbers)))
    if kind == "function":
        return float(x.operation.value(np.array([numbers]))[0, 0])
    return float(x.operation.value(*map(np.float64, numbers)))
