"""The lectures' dimension table of a network (lecture 002, 4.1)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from pellucid.layers import Layer

Row = tuple[str, ...]

HEADER = ("layer", "kind", "units", "g", "W[l]", "b[l]", "Z[l], A[l]", "parameters")


def dimensions(
    input_shape: tuple[int, ...], layers: Sequence[Layer], n_parameters: int
) -> list[Row]:
    """Return the rows of the table, the inputs first, a total last."""
    first: Row = ("0", "input", _units(input_shape), "", "", "", _array(input_shape), "0")
    total: Row = ("total", *[""] * 6, str(n_parameters))
    return [first, *_rows(layers, [""] * len(layers)), total]


def _rows(layers: Sequence[Layer], marks: Sequence[str]) -> Iterator[Row]:
    """A row for each layer; those inside of one below it, further to the right."""
    for layer, mark in zip(layers, marks, strict=True):
        if layer.inner:
            shape = layer.output_shape
            yield "", mark + layer.name, _units(shape), "", "", "", _array(shape), ""
            deeper = " " * (len(mark) + 2)
            yield from _rows(layer.inner, [deeper + each for each in layer.marks()])
            continue
        shapes = {letter: str(array.shape) for letter, array in layer.parameters.items()}
        told = [layer.activation.name] if layer.activation else []
        told += [f"dropout {layer.dropout:g}"] if layer.dropout else []
        weights = [
            each if name == "W" else f"{name} {each}"
            for name, each in shapes.items()
            if name != "b"
        ]
        yield (
            str(layer.number),
            mark + layer.name,
            _units(layer.output_shape),
            ", ".join(told),
            ", ".join(weights),
            shapes.get("b", ""),
            _array(layer.output_shape),
            str(layer.n_parameters),
        )


def as_text(rows: Sequence[Row], right: Sequence[int] = (2, 7)) -> str:
    """Lay out a text table; the columns named in ``right`` are right-aligned."""
    widths = [max(len(row[k]) for row in [HEADER, *rows]) for k in range(len(HEADER))]
    lines = []
    for row in [HEADER, *rows]:
        cells = [
            cell.rjust(width) if k in right and row is not HEADER else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def as_html(rows: Sequence[Row], caption: str) -> str:
    """Lay the table out for a notebook."""
    lines = [
        f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in row)}</tr>"
        for tag, row in (("th", HEADER), *(("td", row) for row in rows))
    ]
    return f"<table><caption>{escape(caption)}</caption>{''.join(lines)}</table>"


def _units(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _array(shape: tuple[int, ...]) -> str:
    return f"({math.prod(shape)}, m)"
