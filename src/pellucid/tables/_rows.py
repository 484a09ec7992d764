"""Rows of cells, as Python's csv module cuts them, and what is refused of them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pellucid.errors import DataError
from pellucid.tables._opening import check_fits
from pellucid.tables.table import count

SHOWN = {"\t": "tab"}
"""What delimiters are called that cannot be seen."""
BLANKS = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
"""What is no part of a cell at its ends: all that Unicode calls white space.

Python's ``strip()`` also takes the separators 0x1c to 0x1f, which polars does not.
"""
_NUMBER, _TEXT = 16, 120
"""Bytes that a cell takes until it is in the table: a number; a text, which becomes an object."""
_COPIES = 3
"""How often the letters of texts are there at once: read, stripped, as objects."""


@dataclass
class Layout:
    """What is known of a file before its rows are read; ``first_line`` is counted from 1."""

    source: str
    delimiter: str
    width: int
    header: bool
    first_line: int


_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


def lines(text: str) -> Iterator[str]:
    r"""Yield the lines with their ends; a lone \r ends a line too.

    >>> list(lines("a\r\nb\rc\n\nd"))
    ['a\r\n', 'b\r', 'c\n', '\n', 'd']
    """
    return (found.group() for found in _LINE.finditer(text))


def reader(text: str, delimiter: str, strict: bool = False) -> Any:
    """Return a reader of the csv module, which gives a row at a time."""
    csv.field_size_limit(2**31 - 1)  # of the whole process; what C takes everywhere
    return csv.reader(lines(text), delimiter=delimiter, strict=strict)


def rows_of(text: str, delimiter: str) -> Iterator[list[str]]:
    """Yield the rows of cells, up to one that cannot be cut; empty lines are none."""
    try:
        yield from filter(None, reader(text, delimiter))
    except csv.Error:
        return


def is_blank(row: list[str]) -> bool:
    """Whether it comes from a line with nothing in it, not even delimiters."""
    return not row or (len(row) == 1 and not row[0].strip(BLANKS))


def check_cells(layout: Layout, content: bytes, numbers: int = 0) -> None:
    """Refuse more rows than the memory holds, where so many of the columns hold numbers."""
    m, texts = content.count(b"\n"), layout.width - numbers
    check_fits(
        f"{layout.source} holds about {count(m, 'row')} of {count(layout.width, 'column')}",
        len(content) * (_COPIES if texts else 1) + m * (_NUMBER * numbers + _TEXT * texts),
    )


def check_lengths(layout: Layout, content: bytes) -> None:
    """Refuse rows with another number of cells than the first, and marks out of place."""
    found = reader(content.decode(), layout.delimiter, strict=True)
    wrong, first, start = 0, "", layout.first_line
    try:
        for row in found:
            if len(row) != layout.width and not is_blank(row):
                wrong += 1
                first = first or f"line {start} has {count(len(row), 'cell')}"
            start = layout.first_line + found.line_num
    except csv.Error as error:
        raise DataError(
            f"{layout.source}: line {start}: {error}: a quotation mark is opened and not closed, "
            'or stands inside a cell (write "" for one).'
        ) from None
    if wrong:
        others = count(wrong - 1, "more row")
        more = f"; {others} {'is' if wrong == 2 else 'are'} wrong too" if wrong > 1 else ""
        raise DataError(
            f"{layout.source}: {first}, expected {layout.width} as in the first row (delimiter "
            f"{SHOWN.get(layout.delimiter, repr(layout.delimiter))}){more}. Complete the row, or "
            "put cells that hold the delimiter into quotation marks."
        )
