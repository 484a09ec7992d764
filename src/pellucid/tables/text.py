"""Text files with a row a line: encoding, delimiter, header, and rows of one length."""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pellucid.errors import DataError
from pellucid.tables.table import count

if TYPE_CHECKING:
    import polars as pl

DELIMITERS = (",", ";", "\t", "|")
_LOOK_AT = 2**16
"""Characters from which the delimiter is told."""

_SIGNATURES = {
    b"PK\x03\x04": "an Excel or zip file",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"%PDF": "a PDF",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"SQLite format 3": "a database",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy file",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
}


def read_text(source: str, content: bytes) -> tuple[list[str], pl.DataFrame, list[str]]:
    """Return the names of the columns, their cells as texts, and what was found out on the way."""
    whole = decode_text(source, content)
    text = whole.strip("\r\n")
    if not text.strip():
        raise DataError(f"{source} is empty; expected a header and rows of numbers.")
    if "\r" in text and "\n" not in text:
        text = text.replace("\r", "\n")
    delimiter = find_delimiter(text)
    start = list(itertools.islice(_rows(text, delimiter), 200)) or [[text]]
    first, header = start[0], has_header(start)
    if header and len(start) == 1:
        raise DataError(
            f"{source} holds a header alone, no rows: {', '.join(map(repr, first[:8]))}."
        )
    notes = [f"delimiter {_NAMES.get(delimiter, repr(delimiter))}"]
    if header:
        names = [name.strip() for name in first]
    else:
        names = [str(k) for k in range(1, len(first) + 1)]
        notes.append(f"no header: columns are named 1 to {len(first)}")
    first_line = 1 + whole[: len(whole) - len(whole.lstrip("\r\n"))].count("\n")
    frame = _parse(source, text, delimiter, len(names), header, first_line)
    frame, skipped = _without_empty_rows(frame)
    if skipped:
        notes.append(f"{count(skipped, 'empty row')} skipped")
    return names, frame, notes


_NAMES = {"\t": "tab"}


def decode_text(source: str, content: bytes) -> str:
    """Return UTF-8 content as text; DataError for binary data and other encodings."""
    for signature, what in _SIGNATURES.items():
        if content.startswith(signature):
            raise DataError(
                f"{source} is {what}, not a table of text; expected lines of cells separated by a "
                "comma, semicolon, tab or |. Save or export it as CSV (UTF-8)."
            )
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(
            f"{source} is encoded in UTF-16; expected UTF-8. Save it as 'CSV UTF-8', or: "
            "iconv -f UTF-16 -t UTF-8 OLD > NEW"
        )
    if b"\0" in content:
        line = content.count(b"\n", 0, content.index(b"\0")) + 1
        raise DataError(
            f"{source} is not a table of text: line {line} holds a zero byte, as binary files do. "
            "Save or export it as CSV (UTF-8)."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{source} is not encoded in UTF-8: line {line} holds the byte "
            f"0x{content[error.start]:02x}. Save it as 'CSV UTF-8', or, if it came from an older "
            "Windows program: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW"
        ) from None


def find_delimiter(text: str) -> str:
    r"""Return the delimiter that cuts the first lines into rows of one length, the longest.

    >>> find_delimiter("a;b\n1,5;2\n2,5;3")
    ';'
    """
    start = text[:_LOOK_AT]
    if len(text) > _LOOK_AT and "\n" in start:
        start = start[: start.rindex("\n")]
    best, best_score = ",", (0.0, 1)
    for delimiter in DELIMITERS:
        lengths = Counter(len(row) for row in itertools.islice(_rows(start, delimiter), 200))
        length, rows = max(lengths.items(), key=lambda item: (item[1], item[0]))
        score = (rows / lengths.total(), length)
        if length > 1 and score > best_score:
            best, best_score = delimiter, score
    return best


def has_header(rows: list[list[str]]) -> bool:
    """Whether the first of these rows holds names.

    It does not if it has numbers, looks like the second, and its texts, where it has any, stand
    in other rows of their column too.

    >>> has_header([["year", "sold"], ["2001", "7"]]), has_header([["5.1", "iris"]] * 3)
    (True, False)
    """
    first, second = rows[0], rows[1] if len(rows) > 1 else []
    kinds = [_kind(cell) for cell in first]
    pairs = zip(kinds, map(_kind, second), strict=False)
    if "number" not in kinds or any(a != b and "" not in (a, b) for a, b in pairs):
        return True
    texts = [k for k, kind in enumerate(kinds) if kind == "text"]
    again = any(row[k] == first[k] for row in rows[1:] for k in texts if k < len(row))
    return bool(texts) and not again


def _kind(cell: str) -> str:
    try:
        float(cell)
    except ValueError:
        return "text" if cell.strip() else ""
    return "number"


_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


def _lines(text: str) -> Iterator[str]:
    r"""The lines with their ends, one by one; a lone \r ends a line too.

    >>> list(_lines("a\r\nb\rc\n\nd"))
    ['a\r\n', 'b\r', 'c\n', '\n', 'd']
    """
    return (found.group() for found in _LINE.finditer(text))


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    """The rows of cells; empty lines are none."""
    try:
        yield from filter(None, csv.reader(_lines(text), delimiter=delimiter))
    except csv.Error:
        return


def _parse(
    source: str, text: str, delimiter: str, width: int, header: bool, first_line: int
) -> pl.DataFrame:
    """The cells as texts, null where empty: by polars, and by csv where polars gives up."""
    import polars as pl

    schema = {str(k): pl.String() for k in range(width)}
    try:
        frame = pl.read_csv(
            text.encode("utf-8"),
            separator=delimiter,
            has_header=False,
            skip_rows=int(header),
            schema=schema,
        )
    except pl.exceptions.PolarsError:
        _check_lengths(source, text, delimiter, width, first_line)
        rows = itertools.islice(_rows(text, delimiter), int(header), None)
        filled = [[cell or None for cell in row] for row in rows]
        return pl.DataFrame(filled, schema=schema, orient="row")
    # Polars fills a short row with nulls, so only a table with nulls at its end may have one.
    if frame.width != width or frame.to_series(width - 1).null_count():
        _check_lengths(source, text, delimiter, width, first_line)
    return frame


def _check_lengths(source: str, text: str, delimiter: str, width: int, first_line: int) -> None:
    """Refuse rows with another number of cells than the first."""
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(_lines(text), delimiter=delimiter, strict=True)
    wrong, first, start = 0, "", first_line
    try:
        for row in reader:
            if row and len(row) != width:
                wrong += 1
                first = first or f"line {start} has {count(len(row), 'cell')}"
            start = first_line + reader.line_num
    except csv.Error as error:
        raise DataError(
            f"{source}: line {start}: {error}: a quotation mark is opened and not closed, or "
            'stands inside a cell (write "" for one).'
        ) from None
    if wrong:
        others = count(wrong - 1, "more row")
        more = f"; {others} {'is' if wrong == 2 else 'are'} wrong too" if wrong > 1 else ""
        raise DataError(
            f"{source}: {first}, expected {width} as in the first row (delimiter "
            f"{_NAMES.get(delimiter, repr(delimiter))}){more}. Complete the row, or put cells that "
            "hold the delimiter into quotation marks."
        )


def _without_empty_rows(frame: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    import polars as pl

    full = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    return full, frame.height - full.height
