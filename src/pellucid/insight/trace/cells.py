"""The cells of a trace: by their places in a volume too, and pictures of what they came from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np

from pellucid.insight.trace.passes import Step
from pellucid.layers import Layer
from pellucid.record import Cell, Factor, Key, Picture, Volume, cell_of, name, pictures

Place = tuple[int, ...]


def picked_cell(
    step: Step,
    row: int | None,
    column: int,
    at: Sequence[int] | None,
    shapes: Mapping[Key, tuple[int, ...]],
    volumes: Mapping[Key, Volume],
    layers: Sequence[Layer],
) -> Cell:
    """Return a cell by its row and column, or by its place in the volume that was unrolled.

    ``shapes`` and ``volumes`` are those of the arrays that it may have come from.
    """
    key, shape, volume = step.key, step.values.shape, step.volume
    if at is not None:
        row, column = _of_place(key, shape, volume, at)
    for what, index, count in (("row", row, shape[0]), ("column", column, shape[1])):
        if not isinstance(index, Integral) or index not in range(count):
            raise ValueError(
                f"{name(key)} has the shape {shape}: {what} must be 0 to {count - 1}; got "
                f"{index!r}."
            )
    assert row is not None
    found = cell_of(step.recorded, key, int(row), int(column))
    if volume is not None:
        place = ", ".join(map(str, _place_of(shape, volume, int(row), int(column))))
        was, now = f"{name(key)}[{row}, {column}]", f"{name(key)}[{place}]"
        found = replace(found, formula=now + found.formula.removeprefix(was))
    filters: dict[Key, Layer] = {
        ("P", layer.number): layer for layer in layers if hasattr(layer, "filter_shape")
    }
    return replace(found, pictures=_seen(found.sources, shapes, volumes, filters))


def _axes(shape: tuple[int, ...], volume: Volume) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """How far a place of a volume may go along each axis, and what each axis is."""
    n = len(volume.shape)
    names = ("row", "column", volume.channel) if n == 3 else ("step", "feature")
    if volume.by_row:
        return (shape[0], *volume.shape), (volume.column, *names)
    return (*volume.shape, shape[1]), (*names, volume.column)


def _of_place(
    key: Key, shape: tuple[int, ...], volume: Volume | None, at: Sequence[int]
) -> tuple[int, int]:
    """The row and column of a place; the example may be left out where there is one."""
    if len(at) == 2 and (volume is None or len(volume.shape) == 3):
        return at[0], at[1]
    if volume is None:
        raise ValueError(f"{name(key)} has the shape {shape}: at is (row, column); got {at!r}.")
    counts, names = _axes(shape, volume)
    if len(at) == len(counts) - 1 and counts[-1] == 1 and not volume.by_row:
        at = (*at, 0)
    there = len(at) == len(counts) and all(
        isinstance(k, Integral) and k in range(n) for k, n in zip(at, counts, strict=True)
    )
    if not there:
        most = ", ".join(f"0 to {n - 1}" for n in counts)
        raise ValueError(
            f"{name(key)}: a place is ({', '.join(names)}), {most}; got {tuple(at)!r}."
        )
    place = tuple(map(int, at))
    if volume.by_row:
        return place[0], int(np.ravel_multi_index(place[1:], volume.shape))
    return int(np.ravel_multi_index(place[:-1], volume.shape)), place[-1]


def _place_of(shape: tuple[int, ...], volume: Volume, row: int, column: int) -> Place:
    """Where in the volume a row and column are."""
    entry, whose = (column, row) if volume.by_row else (row, column)
    place = tuple(int(k) for k in np.unravel_index(entry, volume.shape))
    return (whose, *place) if volume.by_row else (*place, whose)


# What a cell came from ----------------------------------------------------------------------------


def _seen(
    sources: Sequence[Factor],
    shapes: Mapping[Key, tuple[int, ...]],
    volumes: Mapping[Key, Volume],
    filters: Mapping[Key, Layer],
) -> list[Picture]:
    """Of each volume that several cells came from these cells, and of P what the filters saw."""
    found: list[Picture] = []
    for key in dict.fromkeys(source.key for source in sources):
        cells, made = [source for source in sources if source.key == key], []
        if len(cells) > 1 and key in volumes:
            made = _cut(cells, shapes[key], volumes[key])
        elif len(cells) > 1 and key in filters:
            made = _of_patches(cells, shapes[key], filters[key])
        found += [replace(each, label=f"{name(key)}, {each.label}".rstrip(", ")) for each in made]
    return found


def _cut(cells: Sequence[Factor], shape: tuple[int, ...], volume: Volume) -> list[Picture]:
    """The pictures of a volume that hold some of the cells, cut to them."""
    values = np.full(shape, np.nan)
    for cell in cells:
        values[cell.row, cell.column] = cell.value
    made = (_cropped(each) for each in pictures(values, replace(volume, lengths=None)))
    return [each for each in made if each is not None]


def _cropped(picture: Picture) -> Picture | None:
    """A picture cut to its numbers; None where there are none."""
    there = ~np.isnan(picture.values)
    if not there.any():
        return None
    cut, says = [], []
    for axis, what in enumerate(("rows", "columns")):
        at = np.flatnonzero(there.any(axis=1 - axis))
        cut.append(slice(int(at[0]), int(at[-1]) + 1))
        if len(range(*cut[-1].indices(there.shape[axis]))) < there.shape[axis]:
            says.append(f"{what} {at[0]} to {at[-1]}" if at[-1] > at[0] else f"{what[:-1]} {at[0]}")
    label = ", ".join([picture.label] * bool(picture.label) + says)
    return Picture(picture.values[tuple(cut)], label)


def _of_patches(cells: Sequence[Factor], shape: tuple[int, ...], layer: Any) -> list[Picture]:
    """One patch, as its filter sees it; or one entry of all patches, place by place."""
    seen, places = (*layer.filter_shape[:-1], layer.input_shape[-1]), layer.output_shape[:-1]
    count = math.prod(places)
    rows, columns = {cell.row for cell in cells}, {cell.column for cell in cells}
    if len(columns) == 1:
        (column,) = columns
        at = ", ".join(map(str, np.unravel_index(column % count, places)))
        one = [replace(cell, column=0) for cell in cells]
        made = _cut(one, (shape[0], 1), Volume(seen))
        label = f"patch at ({at}) of example {column // count}"
    elif len(rows) == 1:
        (row,) = rows
        entry = ", ".join(map(str, np.unravel_index(row, seen)))
        values = np.full((1, shape[1]), np.nan)
        values[0, [cell.column for cell in cells]] = [cell.value for cell in cells]
        made = pictures(values, Volume((*places, 1)))
        label = f"entry ({entry}) of the patches"
    else:
        return []
    return [replace(each, label=", ".join([label, each.label]).rstrip(", ")) for each in made]
