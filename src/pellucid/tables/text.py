"""Text files with a row a line: encoding, delimiter, header, rows of one length, decimal commas."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from pellucid.errors import DataError
from pellucid.tables import _cells_plain
from pellucid.tables._opening import check_width, has_polars
from pellucid.tables._rows import SHOWN, Layout, rows_of
from pellucid.tables.dates import MOSTLY
from pellucid.tables.table import count, some
from pellucid.tables.values import MISSING, may_merge

DELIMITERS = (",", ";", "\t", "|")
_LOOK_AT = 2**18
"""Bytes from which delimiter, header and kinds are told."""
_LOOK_AT_ROWS = 500
_LEAST_LINES, _LONGEST_START = 4, 2**26
"""Lines that are looked at, however long they are, but for a mark that is never closed."""
_SURELY_CELLS = 2**20
"""So many commas are no sentence."""

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
) -> tuple[list[str], list[Any], list[str], str]:
    """Return the names of the columns, the columns, notes, and the sign before decimals.

    Columns are of polars where it is installed and takes the file, else of NumPy, and say the same.
    Those in which every cell is a number, or a truth value, hold such, whole numbers where they are
    too large for float64; the others are texts as they stand, without blanks around them, null
    where empty.
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
    start = list(itertools.islice(rows_of(sample, delimiter), _LOOK_AT_ROWS)) or [[sample]]
    first = start[0]
    check_width(source, len(first))
    header = _is_header(start, how)
    if header and len(start) == 1:
        raise DataError(
            f"{source} holds only a header, no rows: {some(list(map(repr, first)))}. If it is a "
            "row, say so: header=False (--no-header)."
        )
    notes = [f"delimiter {SHOWN.get(delimiter, repr(delimiter))}"]
    if header:
        names = [name.strip() for name in first]
        notes.append(f"header in line {1 + blank}")
    else:
        names = [str(k) for k in range(1, len(first) + 1)]
        notes.append(f"no header: columns are named 1 to {len(first)}")
    layout = Layout(source, delimiter, len(names), header, 1 + blank)
    below = start[int(header) :]
    texts = set(how.texts)
    numeric = [
        name not in texts and all(_kind(row[k]) != "text" for row in below if k < len(row))
        for k, name in enumerate(names)
    ]
    cells, columns, skipped = _parse(layout, content, numeric)
    if skipped:
        notes.append(f"{count(skipped, 'blank line')} skipped")
    columns, found, decimal = _recognised(cells, columns, names, delimiter, how, below)
    return names, columns, notes + found, decimal


def _parse(
    layout: Layout, content: bytes, numeric: Sequence[bool]
) -> tuple[ModuleType, list[Any], int]:
    """The columns, as texts or numbers, and the module they are of; how many lines were blank."""
    if has_polars():
        from pellucid.tables import _cells_polars

        parsed = _cells_polars.parse(layout, content, numeric)
        if parsed is not None:
            return _cells_polars, *parsed
    return _cells_plain, *_cells_plain.parse(layout, content, numeric)


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
        lengths = Counter(len(row) for row in itertools.islice(rows_of(text, delimiter), 200))
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


# Numbers ------------------------------------------------------------------------------------------

_DECIMAL_COMMA = r"^[+-]?(([0-9]+|[0-9]{1,3}(\.[0-9]{3})+)(,[0-9]+)?|,[0-9]+)$"
_SURELY_DECIMAL = r",[0-9]{1,2}$|,[0-9]{4,}$|^[+-]?0?,|\.[0-9]{3},"
"""What 1,234 is not: it may be a thousand or one and a bit."""
_THOUSANDS = r"^[+-]?([0-9]+|[0-9]{1,3}(,[0-9]{3})+)(\.[0-9]*)?$"
_DIGITS = r"^[+-]?[0-9]+$"


def _recognised(
    cells: ModuleType,
    columns: list[Any],
    names: Sequence[str],
    delimiter: str,
    how: TextFormat,
    below: list[list[str]],
) -> tuple[list[Any], list[str], str]:
    """Make columns of texts that hold numbers or truth values alone such.

    ``below`` are the first rows below the header. Also returned are notes, and the sign before
    decimals.
    """
    texts = set(how.texts)
    free = [k for k, name in enumerate(names) if name not in texts]
    for k in free:
        if cells.is_text(columns[k]):
            columns[k] = _numbers_or_truths(cells, columns[k])
    with_commas = how.decimal == "," or delimiter != ","
    pattern = _DECIMAL_COMMA if with_commas else _THOUSANDS
    commas = [
        k
        for k in free
        if cells.is_text(columns[k])
        and len(cells.matching(columns[k], ","))
        and _mostly(cells, columns[k], pattern)
    ]
    named = some([repr(names[k]) for k in commas], most=4)
    if not commas:
        return columns, [], "."
    if not with_commas:
        for k in commas:
            columns[k] = _replaced(cells, columns[k], pattern, {",": ""})
        return columns, [f"commas in {named} read as thousands"], "."
    if how.decimal != ",":
        written = [cells.matching(cells.known(columns[k]), pattern) for k in commas]
        if not any(len(cells.matching(each, _SURELY_DECIMAL)) for each in written):
            return columns, [], "."
        pointed = [
            repr(names[k])
            for k in free
            if cells.is_number(columns[k]) and any("." in row[k] for row in below if k < len(row))
        ]
        if pointed:
            note = f"decimal commas in {named} but points in {some(pointed, most=4)}: the former"
            note += " are read as text; write all with a point"
            return columns, [note], "."
    for k in commas:
        columns[k] = _replaced(cells, columns[k], pattern, {".": "", ",": "."})
    return columns, [f"decimal commas in {named}"], ","


def _numbers_or_truths(cells: ModuleType, column: Any) -> Any:
    """The texts as numbers or truth values where all that are not missing are such."""
    if any(map(_is_word, column[:20])):
        return column
    known = cells.known(column)
    numbers = cells.numbers(known)
    if numbers is None:
        truths = cells.truths(known)
        return column if truths is None else truths
    if not (may_merge(np.asarray(numbers)) and _all(cells, known, _DIGITS)):
        return numbers
    whole = cells.whole(known)
    return known if whole is None else whole


def _is_word(cell: str | None) -> bool:
    """Whether it begins with a letter and is surely no number: most columns of texts show it soon.

    >>> _is_word("red"), _is_word("NaN"), _is_word("-inf"), _is_word(None)
    (True, False, False, False)
    """
    return cell is not None and cell[:1].isalpha() and cell.casefold() not in _NO_WORDS


_NO_WORDS = MISSING | {"true", "false", "inf", "infinity"}


def _all(cells: ModuleType, known: Any, pattern: str) -> bool:
    return len(cells.matching(known, pattern)) == len(cells.matching(known, ""))


def _mostly(cells: ModuleType, column: Any, pattern: str) -> bool:
    """Whether a column holds numbers in this form, but for a few texts."""
    known = cells.known(column)
    m = len(cells.matching(known, ""))
    wrong = m - len(cells.matching(known, pattern))
    return m > 0 and wrong <= max((1 - MOSTLY) * m, min(1, m // 10))


def _replaced(cells: ModuleType, column: Any, pattern: str, signs: dict[str, str]) -> Any:
    """The numbers of this form with other signs: as numbers, or beside the texts that are none."""
    known = cells.known(column)
    if _all(cells, known, pattern):
        return cells.numbers(cells.replaced(known, known, pattern, signs))
    return cells.replaced(known, column, pattern, signs)
