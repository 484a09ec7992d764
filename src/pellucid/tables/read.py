"""Reading a file into a :class:`~pellucid.tables.table.Table`.

Text and JSON lines are read by polars where it is installed, and else, several times slower, by
Python's csv and json modules: the table, the notes and the messages are the same. Parquet and Arrow
need polars.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid._memory import in_bytes
from pellucid.errors import DataError, MissingPackageError
from pellucid.tables._json_lines import FEW_LINES, read_json_lines
from pellucid.tables._opening import (
    check_cells,
    check_fits,
    check_texts,
    content_of,
    guarded,
    has_polars,
    reason_of,
    refuse_irregular,
    unheard_panics,
)
from pellucid.tables._packed import arrow_size, parquet_size
from pellucid.tables.frame import as_table
from pellucid.tables.images import SIZE, read_images
from pellucid.tables.samples import PREFIX, read_sample
from pellucid.tables.table import (
    Table,
    check_columns,
    check_names,
    check_target,
    count,
    some,
)
from pellucid.tables.text import TextFormat, read_text
from pellucid.tables.totals import without_totals
from pellucid.tables.values import holds_texts, is_missing

if TYPE_CHECKING:
    import polars as pl

_TEXT = (".csv", ".tsv", ".txt")
_ARROW = ("ipc", "Arrow", b"ARROW1", arrow_size)
_COLUMNAR = {
    ".parquet": ("parquet", "Parquet", b"PAR1", parquet_size),
    ".arrow": _ARROW,
    ".feather": _ARROW,
}
"""What polars and people call them, how they begin, and what tells how large they are."""
_LINES = (".jsonl", ".ndjson")
_NO_NAMES = "; if the first row holds no names, say so: header=False (--no-header)"
_MOST_NAMED = 4
"""Columns without a name that have a note of their own."""


def read_table(
    source: str | os.PathLike[str],
    *,
    target: str | None = None,
    columns: Sequence[str] | None = None,
    drop: Collection[str] = (),
    header: bool | None = None,
    texts: Collection[str] = (),
    decimal: str | None = None,
    size: int = SIZE,
    task: str | None = None,
) -> Table:
    """Return the table of a file, of ``sample:NAME`` or of a folder of images.

    Parameters
    ----------
    source : path or str
        ``.csv``, ``.tsv`` or ``.txt`` (also with ``.gz``), ``.parquet``, ``.arrow``, ``.jsonl``, of
        at most 100,000 columns; a folder of images as
        :func:`~pellucid.tables.images.read_images` takes it.
    target : str or None
        The column to learn; all others are inputs. Rows that lack it are left out, and those that
        are no examples: a header once more, a few cells that are no numbers in a target of numbers,
        a last row with the sums of all others that is named so. Notes say which. Samples and
        folders of class folders have their own.
    columns : list of str or None
        Take these columns as inputs, in this order, and ignore the others; None takes all.
    drop : collection of str
        Columns to ignore, whatever they hold.
    header : bool or None
        Whether the first row of a text file holds names; without, columns are called "1", "2", ...
        None finds out.
    texts : collection of str
        Columns of a text file that stay texts though all their cells are numbers: codes such as
        02134.
    decimal : str or None
        "," where a text file's 1,234 is one and a bit though nothing in the file tells.
    size : int
        The height and width that images are brought to.
    task : str or None
        "binary" or "multiclass": texts in the target are classes as they stand; "regression": it
        must be numbers. None finds out.

    Raises
    ------
    DataError
        Where the file or a column cannot be used; the message says which, where and why.

    Examples
    --------
    >>> rows = ["size,weight,kind"] + [f"{k},{k % 3},{'ab'[k % 2]}" for k in range(12)]
    >>> _ = Path("small.csv").write_text("\\n".join(rows))
    >>> table = read_table("small.csv", target="kind")
    >>> list(table.columns), table.m, table.y[:3]
    (['size', 'weight'], 12, array(['a', 'b', 'a'], dtype='<U1'))
    >>> table.notes
    ["delimiter ','", 'header in line 1']
    """
    name = os.fspath(source)
    if os.path.isdir(name):
        return read_images(name, size)[0]
    names = [*(columns or ()), *([target] if target else ())]
    raw = read_raw(name, TextFormat(header, names, texts, decimal))
    return raw.table(target, columns, drop, task)


@dataclass
class RawTable:
    """The columns of a file as they are there, before one is chosen to be learned.

    Attributes
    ----------
    source : str
        What was read, for messages.
    data : polars.DataFrame or dict of arrays
        In arrays, numbers are NaN where missing, truth values and whole numbers beyond 2^53 masked,
        and objects, such as texts, None.
    notes : list of str
        What was found out on the way.
    decimal : str
        "," where numbers were written with decimal commas.
    """

    source: str
    data: pl.DataFrame | Mapping[str, NDArray[Any]]
    notes: list[str] = field(default_factory=list)
    decimal: str = "."

    @property
    def names(self) -> list[str]:
        """The names of all columns."""
        return list(self.data if isinstance(self.data, Mapping) else self.data.columns)

    def table(
        self,
        target: str | None = None,
        columns: Sequence[str] | None = None,
        drop: Collection[str] = (),
        task: str | None = None,
    ) -> Table:
        """Return the table of these inputs, all by default, and this target, if any, for a task."""
        names, notes = self.names, list(self.notes)
        if target is not None:
            check_target(self.source, names, target, _hint(names))
        left_out = {target, *drop}
        inputs = [name for name in names if name not in left_out]
        if columns is not None:
            check_columns(self.source, names, columns)
            used = set(columns)
            ignored = [repr(name) for name in inputs if name not in used]
            if ignored:
                notes.append(f"{count(len(ignored), 'column')} not used: {some(ignored)}")
            inputs = list(columns)
        if not inputs:
            raise DataError(
                f"{self.source} has no input columns besides the target {target!r}.{_hint(names)}"
            )
        wanted = dict.fromkeys(inputs if target is None else [*inputs, target])
        data = _together({name: self.column(name) for name in wanted})
        table = as_table(data, target=target, source=self.source, task=task)
        table.notes, table.decimal = [*notes, *table.notes], self.decimal
        if target is not None and str(self.column(target).dtype) in ("Boolean", "bool"):
            table.y = np.asarray(table.y, dtype=np.bool_)
        return without_totals(table, self._texts(wanted, table.kept))

    def _texts(self, used: Collection[str], kept: NDArray[np.int64] | None) -> dict[str, Any]:
        """The other columns of texts, which may name a total."""
        rows = slice(None) if kept is None else kept
        free = {name: self.column(name) for name in self.names if name not in used}
        return {name: np.asarray(each)[rows] for name, each in free.items() if holds_texts(each)}

    def column(self, name: str) -> Any:
        """Return the column of exactly this name.

        Elsewhere polars takes "*" and "^...$" for patterns.
        """
        return self.data[name] if isinstance(self.data, Mapping) else self.data.get_column(name)


def _hint(names: Sequence[str]) -> str:
    """What may be the reason that a column is not there."""
    if len(names) == 1:
        return (
            " It was read as one column; expected columns separated by a comma, semicolon, tab "
            "or |."
        )
    if list(names) == [str(k) for k in range(1, len(names) + 1)]:
        return " No header was found; if the first row holds names, say so: header=True (--header)."
    return ""


# Files --------------------------------------------------------------------------------------------


def read_raw(source: str, how: TextFormat | None = None) -> RawTable:
    """Return the columns of a file or of ``sample:NAME``.

    >>> read_raw("sample:iris").names[-2:]
    ['petal width (cm)', 'target']
    """
    if source.startswith(PREFIX):
        sample = read_sample(source.removeprefix(PREFIX))
        assert sample.y is not None
        return RawTable(source, {**sample.columns, str(sample.target): sample.y})
    path = Path(source)
    ending = Path(source.removesuffix(".gz")).suffix.lower()
    if ending not in (*_TEXT, *_COLUMNAR, *_LINES) and path.exists():
        refuse_irregular(path, path.stat().st_mode)
        raise DataError(
            f"cannot tell the format of {source!r} from its ending; expected {', '.join(_TEXT)} or "
            f"{', '.join(_LINES)} (also with .gz), {', '.join(_COLUMNAR)}, a folder of images, or "
            "sample:NAME. Save or export it as CSV (UTF-8), or rename it."
        )
    return raw_of(source, content_of(path), ending, how)


def raw_of(
    source: str, content: bytes, ending: str = ".csv", how: TextFormat | None = None
) -> RawTable:
    r"""Return the columns of a file's content; ``source`` is what messages call it.

    >>> raw_of("mine", b"a,b\n1,2\n3,4\n").names
    ['a', 'b']
    """
    notes: list[str] = []
    decimal = "."
    with guarded(source), unheard_panics():
        if ending in _TEXT:
            names, columns, notes, decimal = read_text(source, content, how or TextFormat())
        else:
            read = _json_lines if ending in _LINES else _columnar
            found = read(source, content, ending)
            names, columns = list(found), list(found.values())
        if not columns or not len(columns[0]):
            raise DataError(f"{source} holds no rows; its columns are {some(names)}.")
        check_names(source, names, _NO_NAMES)
        named = _without_nameless(names, columns, notes)
        return RawTable(source, _together(named), notes, decimal)


def _together(columns: dict[str, Any]) -> pl.DataFrame | dict[str, NDArray[Any]]:
    """Columns of polars as a frame; those of NumPy as they are."""
    if all(isinstance(column, np.ndarray) for column in columns.values()):
        return columns
    import polars as pl

    return pl.DataFrame([column.rename(name) for name, column in columns.items()])


def _json_lines(source: str, content: bytes, ending: str) -> dict[str, Any]:
    """One object a line; each name that any of them has becomes a column of the whole table.

    What polars does not take, Python's json module reads, or it says in which line the fault is.
    Of half a surrogate pair, such as \\ud800, polars would make a zero byte.
    """
    if not has_polars() or _SURROGATE.search(content):
        return read_json_lines(source, content)
    import polars as pl

    rows = content.count(b"\n") + 1
    try:
        few = FEW_LINES
        while few < rows:  # finding the names takes as long as there are cells, so not all at once
            found = pl.scan_ndjson(io.BytesIO(content), infer_schema_length=few, n_rows=few)
            check_cells(source, content, rows, len(found.collect_schema()))
            few *= 4
        schema = pl.scan_ndjson(io.BytesIO(content), infer_schema_length=None).collect_schema()
        check_cells(source, content, rows, len(schema))
        names = list(schema)
        if len(names) > _IN_ORDER:
            names = list(json.loads(content[: content.find(b"\n") + 1 or None]))
        frame = pl.read_ndjson(content, schema=schema)
        columns = {name: frame.get_column(name) for name in names}
    except BaseException as error:
        reason_of(error)
        return read_json_lines(source, content)
    if len(columns) < len(schema):
        return read_json_lines(source, content)
    _check_texts(source, frame)
    return columns


_IN_ORDER = 32
"""Of an object with more names, polars gives the columns in an order by chance."""
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def _columnar(source: str, content: bytes, ending: str) -> dict[str, Any]:
    """A Parquet or an Arrow file: how much memory it takes is known before it is taken."""
    form, name, signature, unpacked = _COLUMNAR[ending]
    if not has_polars():
        raise MissingPackageError(f"reading {name} needs polars: pip install 'pellucid[tables]'")
    import polars as pl

    try:
        size = unpacked(content)
        sizes = f"{source} unpacks from {in_bytes(len(content))} to {in_bytes(size)}"
        check_fits(sizes, len(content) + size)
        width = len(getattr(pl, f"read_{form}_schema")(io.BytesIO(content)))
        there = getattr(pl, f"scan_{form}")(io.BytesIO(content))
        check_cells(source, content, there.select(pl.len()).collect().item(), width)
        frame: pl.DataFrame = getattr(pl, f"read_{form}")(io.BytesIO(content))
    except BaseException as error:
        reason, whole = reason_of(error), content.startswith(signature)
        what = f"{'an' if name == 'Arrow' else 'a'} {name} file"
        fault = f"{what} that is damaged, or of an unknown kind" if whole else f"not {what}"
        raise DataError(f"{source} cannot be read: it is {fault} ({reason}).") from None
    _check_texts(source, frame)
    return frame.to_dict()


def _check_texts(source: str, frame: pl.DataFrame) -> None:
    """Texts become objects, each of them though one may stand in every row."""
    import polars as pl

    sums = frame.select(pl.col(pl.String).str.len_bytes().sum()).rows()
    lengths = [length for row in sums for length in row]
    check_texts(source, len(lengths) * frame.height, sum(lengths))


def _is_void(column: Any) -> bool:
    """Whether it holds nothing."""
    if isinstance(column, np.ndarray):
        return bool(is_missing(column).all())
    nan = column.is_nan().sum() if column.dtype.is_float() else 0
    return bool(column.null_count() + nan == len(column))


def _without_nameless(names: list[str], columns: list[Any], notes: list[str]) -> dict[str, Any]:
    """Drop columns that have neither a name nor a value, name the others that have no name."""
    final: dict[str, Any] = {}
    known, found = set(names), []
    for k, (name, column) in enumerate(zip(names, columns, strict=True), start=1):
        if not name and _is_void(column):
            found.append(f"column {k} has no name and no values: left out")
            continue
        if not name:
            name = f"column_{k}"
            while name in known or name in final:
                name += "_"
            found.append(f"column {k} has no name: called {name!r}")
        final[name] = column
    more = len(found) - _MOST_NAMED
    notes += found[:_MOST_NAMED]
    if more > 0:
        notes.append(f"{count(more, 'more column')} without a name")
    return final
