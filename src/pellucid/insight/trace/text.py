"""A trace for a terminal: matrices side by side, elided where they are large."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from pellucid.record import DIGITS, Matrix, Volume, name, pictures
from pellucid.record.layout import (
    COLUMNS,
    PICTURES,
    ROWS,
    album,
    beside,
    matrix,
    picked,
)

if TYPE_CHECKING:
    from pellucid.insight.trace.passes import Step
    from pellucid.insight.trace.trace import Trace

NARROWEST = 40
SHORTEST, LONGEST = 6, 16
"""Characters of a row's name: with room for less it is left out, for more columns make way."""


def as_text(trace: Trace, width: int | None) -> str:
    """Return the trace; no line is longer than the terminal is wide."""
    width = max(NARROWEST, width or shutil.get_terminal_size((80, 24)).columns)
    lines = [*_fitted(trace.title, width), ""] if trace.title else []
    lines += _fitted(
        f"{'-'.join(map(str, trace.network.n))}, {count(trace.cache.X.shape[1])}, "
        f"loss {trace.loss.name}, J = {trace.J:.6g}", width
    )  # fmt: skip
    lines += [""]
    for letter, values in (("X", trace.cache.X), ("Y", trace.Y)):
        volume = trace.volumes.get((letter, 0))
        names = [] if volume else labels(trace.names[letter], ROWS)
        room = min(max(map(len, names), default=-2), LONGEST) + 2
        lines += _labelled(_given(letter, values, width - room, volume), names, width)

    for title, steps in trace.sections().items():
        lines += ["", title, "=" * len(title)]
        for step in steps:
            if step.left_out:
                lines += ["", left_out(step)]
            lines += ["", *_step(step, width)]
    return "\n".join(line.rstrip() for line in lines)


def count(m: int) -> str:
    """Return "1 example" or "5 examples"."""
    return f"{m} example{'' if m == 1 else 's'}"


def left_out(step: Step) -> str:
    """Return what stands before a step where some are left out: "... 12 more steps ..."."""
    return f"... {step.left_out} more steps ..."


def shapes(step: Step, times: str = "x") -> str:
    """Return the shape of the result and of what is put in, for the dimension check.

    ``"3x5: W[1] 3x2, X 2x5, b[1] 3x1"``.
    """
    given = [
        f"{p.name} {times.join(map(str, p.shown.shape))}"
        for p in step.parts
        if isinstance(p, Matrix)
    ]
    shape = times.join(map(str, step.values.shape))
    if step.volume is not None and not step.volume.by_row:
        shape += f", {times.join(map(str, step.volume.shape))} unrolled"
    return f"{shape}: {', '.join(dict.fromkeys(given))}"


def _given(
    title: str,
    values: NDArray[Any],
    width: int,
    volume: Volume | None = None,
    digits: int = DIGITS,
) -> list[str]:
    if volume is not None:
        found = pictures(values, volume)
        for columns, across in itertools.product(range(COLUMNS, 0, -1), range(PICTURES, 0, -1)):
            lines = beside([[f"{title} ="], drawn := album(found, columns, across)])
            if max(map(len, lines)) <= width:
                return lines
        return lines if len(title) <= SHORTEST else [f"{title} =", *drawn]
    for most, exact in _tries():
        drawn = matrix(values, ROWS, most, digits if exact else DIGITS)
        lines = beside([[f"{title} ="], drawn])
        if max(map(len, lines)) <= width:
            return lines
        if most == 2:
            break
    return lines if len(title) <= SHORTEST else [f"{title} =", *drawn]


def _tries() -> Iterator[tuple[int, bool]]:
    """How many columns are tried: all, then with the digits that are usual, then fewer."""
    yield COLUMNS, True
    for columns in range(COLUMNS, 0, -1):
        yield columns, False


def labels(names: list[str], most: int) -> list[str]:
    """Return the names of the rows that are shown; "" for the gap."""
    return ["" if row is None else names[row] for row in picked(len(names), most)]


def _labelled(lines: list[str], names: list[str], width: int) -> list[str]:
    """Names beside the rows, cut where the terminal ends."""
    widest = max(map(len, lines))
    room = width - widest - 2
    if not names or room < min(SHORTEST, max(map(len, names))):
        return lines
    cut = [each if len(each) <= room else each[: room - 1] + "…" for each in names]
    return [f"{line:<{widest}}  {each}" for line, each in zip(lines, cut, strict=True)]


def _step(step: Step, width: int) -> list[str]:
    """The formula, then the same with the numbers put in, side by side if they fit."""
    lines = _fitted(f"{step.formula}    ({shapes(step)})", width)
    for columns, of_pictures, across in _layouts(step):
        blocks = [
            [part]
            if isinstance(part, str)
            else album(part.pictures, of_pictures, across)
            or matrix(part.shown, ROWS, columns, part.digits)
            for part in step.parts
        ]
        result = album(step.pictures, of_pictures, across) or matrix(step.shown, ROWS, columns)
        laid = beside([*blocks, ["="], result])
        if max(map(len, laid)) + 2 <= width:
            above = (len(laid) - len(result)) // 2
            names = [*[""] * above, *_names(step)] if step.names else []
            names += [""] * (len(laid) - len(names)) if names else []
            return lines + _labelled(["  " + line for line in laid], names, width)
    return lines + _stacked(step, width)


def _layouts(step: Step) -> Iterator[tuple[int, int, int]]:
    """How many columns of a matrix are tried, and of a picture, and how many pictures in a row.

    Pictures are left whole as long as there is something else to make narrower. Where a sum shall
    add up, or three columns are too many, the arrays go below one another.
    """
    albums = [step.pictures, *(part.pictures for part in step.parts if isinstance(part, Matrix))]
    most = max(map(len, albums))
    adds_up = any(isinstance(part, Matrix) and part.digits > DIGITS for part in step.parts)
    for columns in range(COLUMNS, COLUMNS - 1 if adds_up else 2, -1):
        for of_pictures in dict.fromkeys((COLUMNS, columns)) if most else (columns,):
            for across in dict.fromkeys((max(most, 1), 1)):
                yield columns, of_pictures, across


def _stacked(step: Step, width: int) -> list[str]:
    """One array under the other, for what does not fit side by side."""
    lines: list[str] = []
    for part in step.parts:
        if isinstance(part, Matrix):
            how = (width - 2, part.volume, part.digits)
            lines += ["  " + line for line in _given(part.name, part.shown, *how)]
        else:
            lines += ["  " + line for line in _fitted(part, width - 2)]
    result = _given(name(step.key), step.shown, width - 2, step.volume)
    return lines + _labelled(["  " + line for line in result], _names(step), width)


def _names(step: Step) -> list[str]:
    """What the rows of the result are called."""
    return labels(list(step.names), ROWS)


def _fitted(text: str, width: int) -> list[str]:
    """Break a long line between words."""
    import textwrap

    return textwrap.wrap(text, width, subsequent_indent="    ", break_long_words=False) or [text]
