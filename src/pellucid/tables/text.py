"""Text files with a row a line: encoding, delimiter, header, rows of one length, decimal commas."""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.errors import DataError
from pellucid.tables._opening import check_fits, check_width
from pellucid.tables.dates import MOSTLY
from pellucid.tables.table import count, some
from pellucid.tables.values import EXACT, LARGEST, MISSING

if TYPE_CHECKING:
    import polars as pl

DELIMITERS = (",", ";", "\t", "|")
_LOOK_AT = 2**18
"""Bytes from which delimiter, header and kinds are told."""
_LOOK_AT_ROWS = 500
_LEAST_LINES, _LONGEST_START = 4, 2**26
"""Lines that are looked at, however long they are, but for a mark that is never closed."""
_SURELY_CELLS = 2**20
"""So many commas are no sentence."""
_NUMBER, _TEXT = 16, 120
"""Bytes that a cell takes until it is in the table: a number; a text, which becomes an object."""
_COPIES = 3
"""How often the letters of texts are there at once: read, stripped, as objects."""

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
    b"\x1f\x8b": "compressed twice",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"<!DOCTYPE": "a web page",
    b"<!doctype": "a web page",
    b"<html": "a web page",
}


@dataclass
class TextFormat:
    """How a text file is to be read, or was asked to be.

    ``header`` None finds out; ``names`` are column names that the file should have, which tell a
    header for certain; the columns of ``texts`` stay texts though they hold numbers alone;
    ``decimal`` "," says that 1,234 is no thousand where nothing tells.
    """

    header: bool | None = None
    names: Sequence[str] = ()
    texts: Collection[str] = ()
    decimal: str | None = None


def read_text(
    source: str, content: bytes, how: TextFormat
) -> tuple[list[str], pl.DataFrame, list[str], str]:
    """Return the names of the columns, the columns, notes, and the sign before decimals.

    Columns in which every cell is a number, or a truth value, are Float64 or Boolean, and Int64
    where whole numbers are too large for Float64; the others are texts as they stand, without
    blanks around them, null where empty.
    """
    content = _checked(source, content)
    blank = content[: len(content) - len(content.lstrip(b"\r\n"))].count(b"\n")
    content = _trimmed(content)
    if not content.strip():
        raise DataError(f"{source} is empty; expected a header and rows of cells.")
    sample = _start(content)
    line = sample.partition("\n")[0]
    most = 1 + max(map(line.count, DELIMITERS))
    if most > _SURELY_CELLS and '"' not in line:  # not even to be cut into cells
        check_width(source, most)
    delimiter = find_delimiter(sample)
    start = list(itertools.islice(_rows(sample, delimiter), _LOOK_AT_ROWS)) or [[sample]]
    first = start[0]
    check_width(source, len(first))
    header = _is_header(start, how)
    if header and len(start) == 1:
        raise DataError(
            f"{source} holds only a header, no rows: {some(list(map(repr, first)))}. If it is a "
            "row, say so: header=False (--no-header)."
        )
    notes = [f"delimiter {_NAMES.get(delimiter, repr(delimiter))}"]
    if header:
        names = [name.strip() for name in first]
        notes.append(f"header in line {1 + blank}")
    else:
        names = [str(k) for k in range(1, len(first) + 1)]
        notes.append(f"no header: columns are named 1 to {len(first)}")
    layout = _Layout(source, delimiter, len(names), header, 1 + blank)
    cells = start[int(header) :]
    texts = set(how.texts)
    numeric = [
        name not in texts and all(_kind(row[k]) != "text" for row in cells if k < len(row))
        for k, name in enumerate(names)
    ]
    frame = _parse(layout, content, numeric)
    frame, skipped = _without_blank_lines(layout, content, frame)
    if skipped:
        notes.append(f"{count(skipped, 'blank line')} skipped")
    frame, found, decimal = _recognised(frame, names, delimiter, how, cells)
    return names, frame, notes + found, decimal


_NAMES = {"\t": "tab"}


# Bytes --------------------------------------------------------------------------------------------


def _checked(source: str, content: bytes) -> bytes:
    """UTF-8 content without a byte order mark; DataError for binary data and other encodings."""
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
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{source} is not encoded in UTF-8: line {line} holds the byte "
            f"0x{content[error.start]:02x}. Save it as 'CSV UTF-8', or, if it came from an older "
            "Windows program: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW"
        ) from None
    return content.removeprefix(b"\xef\xbb\xbf")


def _trimmed(content: bytes) -> bytes:
    """Without empty lines at both ends; a large file is copied only where there are some."""
    content = content.lstrip(b"\r\n")
    if content[-1000:].endswith((b"\n\n", b"\n\r\n", b"\r\r")):
        content = content.rstrip(b"\r\n")
    if b"\n" not in content and b"\r" in content:
        content = content.replace(b"\r", b"\n")
    return content


def _start(content: bytes) -> str:
    """The first lines as text: those in the first bytes, and a few in any case, each whole.

    A line goes on where a quotation mark is open, as far as the number of marks tells.
    """
    end = content.rfind(b"\n", 0, _LOOK_AT) if len(content) > _LOOK_AT else len(content)
    seen, marks = 0, 0
    for _ in range(_LEAST_LINES):
        while seen < min(len(content), _LONGEST_START):
            line = content.find(b"\n", seen) + 1 or len(content)
            marks += content.count(b'"', seen, line)
            seen = line
            if marks % 2 == 0:
                break
    return content[: max(end, seen)].decode("utf-8")


# Delimiter and header -----------------------------------------------------------------------------


def find_delimiter(text: str) -> str:
    r"""Return the delimiter that cuts the first lines into rows of one length, the longest.

    >>> find_delimiter("a;b\n1,5;2\n2,5;3")
    ';'
    """
    best, best_score = ",", (0.0, 1)
    for delimiter in DELIMITERS:
        lengths = Counter(len(row) for row in itertools.islice(_rows(text, delimiter), 200))
        if not lengths:
            continue
        length, rows = max(lengths.items(), key=lambda item: (item[1], item[0]))
        score = (rows / lengths.total(), length)
        if length > 1 and score > best_score:
            best, best_score = delimiter, score
    return best


def _is_header(rows: list[list[str]], how: TextFormat) -> bool:
    """Whether the first row holds names: as asked, as the expected names tell, or as it looks."""
    if how.header is not None:
        return how.header
    numbered = [name.isdecimal() for name in how.names]
    if not all(numbered) and {name.strip() for name in rows[0]} & set(how.names):
        return True
    if numbered and all(numbered) and not set(how.names) <= set(rows[0]):
        return False  # a model of columns 1, 2, ...
    return has_header(rows)


def has_header(rows: list[list[str]]) -> bool:
    """Whether the first of these rows holds names.

    It does not if its texts stand in other rows of their columns too (most of them, where all
    cells are texts), or if it has numbers alone and looks like the second.

    >>> has_header([["year", "sold"], ["2001", "7"]]), has_header([["5.1", "iris"]] * 3)
    (True, False)
    >>> has_header([["a", "b"], ["c", "b"], ["a", "d"]])
    False
    """
    first, second = rows[0], rows[1] if len(rows) > 1 else []
    kinds = [_kind(cell) for cell in first]
    texts = [k for k, kind in enumerate(kinds) if kind == "text"]

    def again(rows: list[list[str]]) -> list[int]:
        return [k for k in texts if any(k < len(row) and row[k] == first[k] for row in rows)]

    if "number" not in kinds:
        others = [row for row in rows[1:] if row != first]
        if 0 < len(others) < len(rows) - 1 and not again(others):
            return True  # it stands once more between files put together
        return len(again(rows[1:])) * 2 <= len(texts)
    pairs = zip(kinds, map(_kind, second), strict=False)
    if any(a != b and "" not in (a, b) for a, b in pairs):
        return True
    return bool(texts) and not again(rows[1:])


def _kind(cell: str) -> str:
    """ "number", "text", or "" for a missing one."""
    cell = cell.strip()
    if cell.casefold() in MISSING:
        return ""
    try:
        float(cell)
    except ValueError:
        return "text"
    return "text" if "_" in cell else "number"


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
        yield from filter(None, _reader(text, delimiter))
    except csv.Error:
        return


def _reader(text: str, delimiter: str, strict: bool = False) -> Any:
    csv.field_size_limit(2**31 - 1)  # of the whole process; what C takes everywhere
    return csv.reader(_lines(text), delimiter=delimiter, strict=strict)


# Cells --------------------------------------------------------------------------------------------


@dataclass
class _Layout:
    """What is known of a file before its rows are read; ``first_line`` is counted from 1."""

    source: str
    delimiter: str
    width: int
    header: bool
    first_line: int


_NULLS = sorted({form(each) for each in MISSING for form in (str, str.upper, str.title)} | {"NaN"})


def _parse(layout: _Layout, content: bytes, numeric: Sequence[bool]) -> pl.DataFrame:
    """The cells: by polars, numbers at once where the first rows promise them, or by csv.

    Numbers need a fourth of the memory of their texts, so they are never made into those unless
    a later cell is no number.
    """
    import polars as pl

    all_texts: dict[str, pl.DataType] = {str(k): pl.String() for k in range(layout.width)}
    hoped = {name: pl.Float64() if numeric[int(name)] else text for name, text in all_texts.items()}

    def parse(schema: dict[str, pl.DataType], nulls: list[str] | None) -> pl.DataFrame:
        return pl.read_csv(
            content,
            separator=layout.delimiter,
            has_header=False,
            skip_rows=int(layout.header),
            schema=schema,
            null_values=nulls,
        )

    for schema in (hoped, all_texts) if any(numeric) else (all_texts,):
        numbers = sum(numeric) if schema is hoped else 0
        _check_cells(layout, content, numbers)
        try:
            frame = parse(schema, _NULLS if schema is hoped else None)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            continue
        if not _whole(layout, content, frame):
            _check_lengths(layout, content)
        again = [k for k, column in enumerate(frame) if _lost(column)] if schema is hoped else []
        if not again:
            return frame
        _check_cells(layout, content)
        return frame.with_columns(parse(all_texts, None)[:, again])
    _check_lengths(layout, content)
    _check_cells(layout, content)
    rows = itertools.islice(_rows(content.decode(), layout.delimiter), int(layout.header), None)
    filled = [[cell or None for cell in row] for row in rows]
    return pl.DataFrame(filled, schema=all_texts, orient="row")


def _check_cells(layout: _Layout, content: bytes, numbers: int = 0) -> None:
    """Refuse more rows than the memory holds, where so many of the columns hold numbers."""
    rows, texts = content.count(b"\n"), layout.width - numbers
    check_fits(
        f"{layout.source} holds about {count(rows, 'row')} of {count(layout.width, 'column')}",
        len(content) * (_COPIES if texts else 1) + rows * (_NUMBER * numbers + _TEXT * texts),
    )


def _lost(column: pl.Series) -> bool:
    """Whether cells may have lost what they said: "NA", which may be a class, or the last digits.

    >>> import polars as pl
    >>> _lost(pl.Series(["x", None])), _lost(pl.Series([None, 1e17])), _lost(pl.Series([1.5]))
    (True, True, False)
    """
    import polars as pl

    if column.dtype == pl.String:
        return column.null_count() > 0
    x = np.abs(column.to_numpy())
    large = x[(x >= EXACT) & (x <= LARGEST)]
    return bool((large == np.floor(large)).any())


def _whole(layout: _Layout, content: bytes, frame: pl.DataFrame) -> bool:
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


def _check_lengths(layout: _Layout, content: bytes) -> None:
    """Refuse rows with another number of cells than the first."""
    reader = _reader(content.decode(), layout.delimiter, strict=True)
    wrong, first, start = 0, "", layout.first_line
    try:
        for row in reader:
            if len(row) != layout.width and not _is_blank(row):
                wrong += 1
                first = first or f"line {start} has {count(len(row), 'cell')}"
            start = layout.first_line + reader.line_num
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
            f"{_NAMES.get(layout.delimiter, repr(layout.delimiter))}){more}. Complete the row, or "
            "put cells that hold the delimiter into quotation marks."
        )


def _is_blank(row: list[str]) -> bool:
    """Whether it comes from a line with nothing in it, not even delimiters."""
    return not row or (len(row) == 1 and not row[0].strip())


def _without_blank_lines(
    layout: _Layout, content: bytes, frame: pl.DataFrame
) -> tuple[pl.DataFrame, int]:
    """Leave out blank lines, which polars takes for rows of nulls; a row of empty cells stays."""
    import polars as pl

    empty = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    if not empty.any():
        return frame, 0
    rows = _reader(content.decode(), layout.delimiter)
    blank = pl.Series([_is_blank(row) for row in rows], dtype=pl.Boolean)[int(layout.header) :]
    if len(blank) != frame.height:  # a quotation mark out of place
        blank = empty
    return frame.filter(~blank), int(blank.sum())


# Numbers ------------------------------------------------------------------------------------------

_DECIMAL_COMMA = r"^[+-]?((\d+|\d{1,3}(\.\d{3})+)(,\d+)?|,\d+)$"
_SURELY_DECIMAL = r",\d{1,2}$|,\d{4,}$|^[+-]?0?,|\.\d{3},"
"""What 1,234 is not: it may be a thousand or one and a bit."""
_THOUSANDS = r"^[+-]?(\d+|\d{1,3}(,\d{3})+)(\.\d*)?$"


def _recognised(
    frame: pl.DataFrame,
    names: Sequence[str],
    delimiter: str,
    how: TextFormat,
    cells: list[list[str]],
) -> tuple[pl.DataFrame, list[str], str]:
    """Make columns of texts that hold numbers or truth values alone such; cells are the first.

    Also returned are notes, and the sign before decimals.
    """
    import polars as pl

    stripped = pl.col(pl.String).str.strip_chars()
    columns = frame.with_columns(pl.when(stripped != "").then(stripped)).get_columns()
    texts = set(how.texts)
    free = [k for k, name in enumerate(names) if name not in texts]
    for k in free:
        if columns[k].dtype == pl.String:
            columns[k] = _numbers_or_truths(columns[k])
    with_commas = how.decimal == "," or delimiter != ","
    pattern = _DECIMAL_COMMA if with_commas else _THOUSANDS
    commas = [
        k
        for k in free
        if columns[k].dtype == pl.String
        and columns[k].str.contains(",").any()
        and _mostly(columns[k], pattern)
    ]
    named = some([repr(names[k]) for k in commas], most=4)
    if not commas:
        return pl.DataFrame(columns), [], "."
    if not with_commas:
        for k in commas:
            columns[k] = _replaced(columns[k], pattern, {",": ""})
        return pl.DataFrame(columns), [f"commas in {named} read as thousands"], "."
    if how.decimal != ",":
        numbers = [columns[k].filter(columns[k].str.contains(pattern)) for k in commas]
        if not any(column.str.contains(_SURELY_DECIMAL).any() for column in numbers):
            return pl.DataFrame(columns), [], "."
        pointed = [
            repr(names[k])
            for k in free
            if columns[k].dtype == pl.Float64
            and any("." in row[k] for row in cells if k < len(row))
        ]
        if pointed:
            note = f"decimal commas in {named} but points in {some(pointed, most=4)}: the former"
            note += " are read as text; write all with a point"
            return pl.DataFrame(columns), [note], "."
    for k in commas:
        columns[k] = _replaced(columns[k], pattern, {".": "", ",": "."})
    return pl.DataFrame(columns), [f"decimal commas in {named}"], ","


def _numbers_or_truths(column: pl.Series) -> pl.Series:
    """The texts as numbers or truth values where all that are not missing are such."""
    import polars as pl

    if any(map(_is_word, column.head(20).to_list())):
        return column
    known = _known(column).str.replace("\N{MINUS SIGN}", "-", literal=True)
    numbers = known.cast(pl.Float64, strict=False)
    if numbers.null_count() == known.null_count():
        digits = _all(known, r"^[+-]?\d+$") and bool(numbers.abs().is_between(EXACT, LARGEST).any())
        if not digits:
            return numbers
        whole = known.str.strip_prefix("+").cast(pl.Int64, strict=False)
        return whole if whole.null_count() == known.null_count() else known
    lower = known.str.to_lowercase()
    if (lower.is_in(["true", "false"]) | known.is_null()).all():
        return (lower == "true").set(known.is_null(), None)
    return column


def _is_word(cell: str | None) -> bool:
    """Whether it begins with a letter and is surely no number: most columns of texts show it soon.

    >>> _is_word("red"), _is_word("NaN"), _is_word("-inf"), _is_word(None)
    (True, False, False, False)
    """
    return cell is not None and cell[:1].isalpha() and cell.casefold() not in _NO_WORDS


_NO_WORDS = MISSING | {"true", "false", "inf", "infinity"}


def _known(column: pl.Series) -> pl.Series:
    """Texts, null where one stands for a missing value."""
    return column.set(column.str.to_lowercase().is_in(list(MISSING)), None)


def _all(column: pl.Series, pattern: str) -> bool:
    known = _known(column)
    return known.null_count() < len(known) and bool(known.str.contains(pattern).all())


def _mostly(column: pl.Series, pattern: str) -> bool:
    """Whether a column holds numbers in this form, but for a few texts."""
    fits = _known(column).str.contains(pattern).drop_nulls()
    m, wrong = len(fits), len(fits) - int(fits.sum())
    return m > 0 and wrong <= max((1 - MOSTLY) * m, min(1, m // 10))


def _replaced(column: pl.Series, pattern: str, signs: dict[str, str]) -> pl.Series:
    """The numbers of this form with other signs: as numbers, or beside the texts that are none."""
    import polars as pl

    known = _known(column)
    plain = known
    for sign, other in signs.items():
        plain = plain.str.replace_all(sign, other, literal=True)
    fits = known.str.contains(pattern)
    return plain.cast(pl.Float64) if fits.all() else plain.zip_with(fits.fill_null(False), column)
