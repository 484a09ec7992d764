"""Reading a file into a :class:`~pellucid.tables.table.Table`, through polars."""

from __future__ import annotations

import importlib
import io
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid._memory import in_bytes
from pellucid.errors import DataError, MissingPackageError
from pellucid.tables._opening import (
    check_fits,
    check_width,
    content_of,
    guarded,
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

if TYPE_CHECKING:
    import polars as pl

_TEXT = (".csv", ".tsv", ".txt")
_ARROW = ("ipc", "an Arrow file", b"ARROW1", arrow_size)
_COLUMNAR = {
    ".parquet": ("parquet", "a Parquet file", b"PAR1", parquet_size),
    ".arrow": _ARROW,
    ".feather": _ARROW,
}
"""What polars and people call them, how they begin, and what tells how large they are."""
_LINES = (".jsonl", ".ndjson")
_NO_NAMES = "; if the first row holds no names, say so: header=False (--no-header)"
_CELL = 16
"""Bytes that a cell takes at most while a table is read: as it is read, and as a column."""
_TEXT_CELL = 66
"""Bytes that a text takes besides its letters, as an object."""
_FEW_LINES = 1_000
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
        data: Any = {name: self.column(name) for name in wanted}
        if not isinstance(self.data, Mapping):
            data = polars().DataFrame(list(data.values()))
        table = as_table(data, target=target, source=self.source, task=task)
        table.notes, table.decimal = [*notes, *table.notes], self.decimal
        if target is not None and str(self.column(target).dtype) == "Boolean":
            table.y = np.asarray(table.y, dtype=np.bool_)
        return without_totals(table, self._texts(wanted, table.kept))

    def _texts(self, used: Collection[str], kept: NDArray[np.int64] | None) -> dict[str, Any]:
        """The other columns of texts, which may name a total."""
        if isinstance(self.data, Mapping):
            return {}
        rows = slice(None) if kept is None else kept
        free = [column for column in self.data if column.name not in used]
        return {each.name: each.to_numpy()[rows] for each in free if str(each.dtype) == "String"}

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
    polars()
    notes: list[str] = []
    decimal = "."
    with guarded(source), unheard_panics():
        if ending in _TEXT:
            names, frame, notes, decimal = read_text(source, content, how or TextFormat())
        else:
            read = _json_lines if ending in _LINES else _columnar
            frame = read(source, content, ending)
            names = frame.columns
        if not frame.height:
            raise DataError(f"{source} holds no rows; its columns are {some(names)}.")
        check_names(source, names, _NO_NAMES)
        return RawTable(source, _without_nameless(names, frame, notes), notes, decimal)


def polars() -> Any:
    """Return the module polars; MissingPackageError says how to get it."""
    try:
        return importlib.import_module("polars")
    except ImportError:
        raise MissingPackageError(
            "reading files needs polars: pip install 'pellucid[tables]'"
        ) from None


def _columnar(source: str, content: bytes, ending: str) -> pl.DataFrame:
    """A Parquet or an Arrow file: how much memory it takes is known before it is taken."""
    import polars as pl

    form, what, signature, unpacked = _COLUMNAR[ending]
    try:
        size = unpacked(content)
        sizes = f"{source} unpacks from {in_bytes(len(content))} to {in_bytes(size)}"
        check_fits(sizes, len(content) + size)
        width = len(getattr(pl, f"read_{form}_schema")(io.BytesIO(content)))
        there = getattr(pl, f"scan_{form}")(io.BytesIO(content))
        _check_cells(source, content, there.select(pl.len()).collect().item(), width)
        frame: pl.DataFrame = getattr(pl, f"read_{form}")(io.BytesIO(content))
    except BaseException as error:
        reason, whole = reason_of(error), content.startswith(signature)
        fault = f"{what} that is damaged, or of an unknown kind" if whole else f"not {what}"
        raise DataError(f"{source} cannot be read: it is {fault} ({reason}).") from None
    _check_texts(source, frame)
    return frame


def _json_lines(source: str, content: bytes, ending: str) -> pl.DataFrame:
    """One object a line; each name that any of them has becomes a column of the whole table."""
    import polars as pl

    rows = content.count(b"\n") + 1
    try:
        few = _FEW_LINES
        while few < rows:  # finding the names takes as long as there are cells, so not all at once
            found = pl.scan_ndjson(io.BytesIO(content), infer_schema_length=few, n_rows=few)
            _check_cells(source, content, rows, len(found.collect_schema()))
            few *= 4
        schema = pl.scan_ndjson(io.BytesIO(content), infer_schema_length=None).collect_schema()
        _check_cells(source, content, rows, len(schema))
        frame = pl.read_ndjson(content, schema=schema)
    except BaseException as error:
        raise DataError(
            f"{source} cannot be read: it is not JSON lines, one object a line "
            f"({reason_of(error)})."
        ) from None
    _check_texts(source, frame)
    return frame


def _check_texts(source: str, frame: pl.DataFrame) -> None:
    """Texts become objects, each of them though one may stand in every row."""
    import polars as pl

    sums = frame.select(pl.col(pl.String).str.len_bytes().sum()).rows()
    lengths = [length for row in sums for length in row]
    cells, size = len(lengths) * frame.height, sum(lengths)
    check_fits(
        f"{source} has {count(cells, 'cell')} with {in_bytes(size)} of texts",
        size + _TEXT_CELL * cells,
    )


def _check_cells(source: str, content: bytes, rows: int, width: int) -> None:
    check_width(source, width)
    check_fits(
        f"{source} holds {count(rows, 'row')} of {count(width, 'column')}",
        len(content) + _CELL * rows * width,
    )


def _without_nameless(names: list[str], frame: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """Drop columns that have neither a name nor a value, name the others that have no name."""
    import polars as pl

    final: dict[str, pl.Series] = {}
    known, found = set(names), []
    for k, (name, column) in enumerate(zip(names, frame.get_columns(), strict=True), start=1):
        if not name and column.null_count() == frame.height:
            found.append(f"column {k} has no name and no values: left out")
            continue
        if not name:
            name = f"column_{k}"
            while name in known or name in final:
                name += "_"
            found.append(f"column {k} has no name: called {name!r}")
        final[name] = column.rename(name)
    more = len(found) - _MOST_NAMED
    notes += found[:_MOST_NAMED]
    if more > 0:
        notes.append(f"{count(more, 'more column')} without a name")
    return pl.DataFrame(list(final.values()))
