"""The cells of a text file by polars, as its Series.

:mod:`~pellucid.tables._cells_plain` has the same functions, and needs no package.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from pellucid.tables._rows import Layout, check_cells, check_lengths, is_blank, reader
from pellucid.tables.values import MINUS, MISSING, may_merge

_NULLS = sorted({form(each) for each in MISSING for form in (str, str.upper, str.title)} | {"NaN"})


def parse(
    layout: Layout, content: bytes, numeric: Sequence[bool]
) -> tuple[list[pl.Series], int] | None:
    """Return the columns, and how many blank lines were skipped; None for csv to read the file.

    Numbers need a fourth of the memory of their texts, so the columns of which the first rows
    promise them are never made into those unless a later cell is no number.
    """
    if not _is_cut_alike(content, layout.delimiter):
        return None
    all_texts: dict[str, pl.DataType] = {str(k): pl.String() for k in range(layout.width)}
    hoped = {name: pl.Float64() if numeric[int(name)] else text for name, text in all_texts.items()}

    def read(schema: dict[str, pl.DataType], nulls: list[str] | None) -> pl.DataFrame:
        return pl.read_csv(
            content,
            separator=layout.delimiter,
            has_header=False,
            skip_rows=int(layout.header),
            schema=schema,
            null_values=nulls,
        )

    for schema in (hoped, all_texts) if any(numeric) else (all_texts,):
        check_cells(layout, content, sum(numeric) if schema is hoped else 0)
        try:
            frame = read(schema, _NULLS if schema is hoped else None)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            continue
        if not _whole(layout, content, frame):
            check_lengths(layout, content)
        again = [k for k, column in enumerate(frame) if _lost(column)] if schema is hoped else []
        if again:
            check_cells(layout, content)
            frame = frame.with_columns(read(all_texts, None)[:, again])
        stripped = pl.col(pl.String).str.strip_chars()
        frame = frame.with_columns(pl.when(stripped != "").then(stripped))
        frame, skipped = _without_blank_lines(layout, content, frame)
        return frame.get_columns(), skipped
    return None


def _is_cut_alike(content: bytes, delimiter: str) -> bool:
    r"""Whether polars surely cuts the same cells as csv, which refuses more, and says where.

    It does where no \r stands alone, which ends a line for csv, and where each quotation mark
    begins a cell, ends one, or is doubled within.

    >>> _is_cut_alike(b'"a ""b"" c","",d', ","), _is_cut_alike(b'5" pipe,"a"b",c', ",")
    (True, False)
    """
    if content.count(b"\r") != content.count(b"\r\n"):
        return False
    if b'"' not in content:
        return True
    sign = re.escape(delimiter).encode()
    if re.search(rb'""(?<![^%b\n]"")(?!["%b\r\n]|\Z)' % (sign, sign), content):
        return False  # a cell that begins with "" and goes on
    start, inside = 0, 0
    while start < len(content):
        end = content.find(b"\n", start + _BLOCK) + 1 or len(content)
        block = b"\n%b\n" % content[start:end].replace(b'""', b"")
        signs = np.frombuffer(block, np.uint8)
        marks = np.flatnonzero(signs == ord('"'))
        before, after = signs[marks[inside::2] - 1], signs[marks[1 - inside :: 2] + 1]
        begin = (before == ord("\n")) | (before == ord(delimiter))
        close = (after == ord("\n")) | (after == ord("\r")) | (after == ord(delimiter))
        if not (begin.all() and close.all()):
            return False
        start, inside = end, (inside + len(marks)) % 2
    return not inside


_BLOCK = 2**18
"""Bytes that are looked at together; so few stay in the processor's cache."""


def _lost(column: pl.Series) -> bool:
    """Whether cells may have lost what they said: "NA", which may be a class, or the last digits.

    >>> _lost(pl.Series(["x", None])), _lost(pl.Series([None, 1e17])), _lost(pl.Series([1.5]))
    (True, True, False)
    """
    if column.dtype == pl.String:
        return column.null_count() > 0
    return may_merge(column.to_numpy())


def _whole(layout: Layout, content: bytes, frame: pl.DataFrame) -> bool:
    """Whether all rows are surely of one length.

    Polars fills a short row with nulls, so only a table with nulls at its end may have one; and
    without quotation marks the delimiters can be counted.
    """
    if frame.width != layout.width:
        return False
    if not frame.to_series(layout.width - 1).null_count():
        return True
    expected = (frame.height + layout.header) * (layout.width - 1)
    return b'"' not in content and content.count(layout.delimiter.encode()) == expected


def _without_blank_lines(
    layout: Layout, content: bytes, frame: pl.DataFrame
) -> tuple[pl.DataFrame, int]:
    """Leave out blank lines, which polars takes for rows of nulls; a row of empty cells stays."""
    empty = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    if not empty.any():
        return frame, 0
    rows = reader(content.decode(), layout.delimiter)
    blank = pl.Series([is_blank(row) for row in rows], dtype=pl.Boolean)[int(layout.header) :]
    return frame.filter(~blank), int(blank.sum())


# What text.py asks of columns ---------------------------------------------------------------------


def is_text(column: pl.Series) -> bool:
    """Whether it holds texts."""
    return column.dtype == pl.String


def is_number(column: pl.Series) -> bool:
    """Whether it holds numbers."""
    return column.dtype == pl.Float64


def known(column: pl.Series) -> pl.Series:
    """Return texts, null where one stands for a missing value, with plain minus signs."""
    given = column.set(column.str.to_lowercase().is_in(list(MISSING)), None)
    return given.str.replace(MINUS, "-", literal=True)


def matching(texts: pl.Series, pattern: str) -> pl.Series:
    """Return those of the texts in which the pattern is found."""
    return texts.filter(texts.str.contains(pattern))


def numbers(texts: pl.Series) -> pl.Series | None:
    """Return texts as numbers, None where one is none."""
    x = texts.cast(pl.Float64, strict=False)
    return x if x.null_count() == texts.null_count() else None


def whole(texts: pl.Series) -> pl.Series | None:
    """Return digits as whole numbers, None where one is too large for 64 bits."""
    x = texts.str.strip_prefix("+").cast(pl.Int64, strict=False)
    return x if x.null_count() == texts.null_count() else None


def truths(texts: pl.Series) -> pl.Series | None:
    """Return texts as truth values, None where one is none."""
    lower, missing = texts.str.to_lowercase(), texts.is_null()
    if not (lower.is_in(["true", "false"]) | missing).all():
        return None
    return (lower == "true").set(missing, None)


def replaced(
    texts: pl.Series, others: pl.Series, pattern: str, signs: Mapping[str, str]
) -> pl.Series:
    """Return the texts of this form with other signs, and in the other places what others hold."""
    fits = texts.str.contains(pattern).fill_null(False)
    for sign, other in signs.items():
        texts = texts.str.replace_all(sign, other, literal=True)
    return texts.zip_with(fits, others)
