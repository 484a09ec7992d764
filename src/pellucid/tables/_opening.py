"""Opening what may be anything: no regular file, more than the memory holds, a reader that panics.

Files are read by other libraries. What they throw at odd content is unforeseeable, from polars even
panics of Rust, which are no ``Exception``; so every way in from a file or a data frame goes through
:func:`guarded`, and no other code catches what a library throws.
"""

from __future__ import annotations

import contextlib
import gzip
import importlib
import io
import os
import stat
import tempfile
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from pellucid._files import nearest_file
from pellucid._memory import free_memory, in_bytes
from pellucid.errors import DataError, MissingPackageError, ModelError, SettingsError
from pellucid.tables.table import count

GZIP = b"\x1f\x8b"
_CHUNK = 2**22
LITTLE = 2**26
"""Bytes that are not asked about: looking at what is free takes some 0.1 ms."""
MOST_COLUMNS, _COLUMN = 100_000, 8_000
"""Of a file; and the bytes that a column takes however few its rows are: 4,000 to 6,300 to read it,
8,000 with a training prepared. It also takes some 0.1 ms."""
_OURS = (DataError, MissingPackageError, ModelError, SettingsError)


def has_polars() -> bool:
    """Return whether polars is there; without, what it does not alone can do takes longer."""
    try:
        importlib.import_module("polars")
    except ImportError:
        return False
    return True


# What libraries throw -----------------------------------------------------------------------------


@contextlib.contextmanager
def guarded(
    source: str, mend: str = "save it in another form, such as CSV (UTF-8)"
) -> Iterator[None]:
    """Raise whatever is thrown inside, panics included, as one DataError that names the source.

    >>> with guarded("mine.csv"):
    ...     {}["a"]
    Traceback (most recent call last):
    pellucid.errors.DataError: mine.csv cannot be read: KeyError: 'a'. If it is whole, save it ...
    """
    try:
        yield
    except BaseException as error:
        raise DataError(
            f"{source} cannot be read: {reason_of(error)}. If it is whole, {mend}."
        ) from None


def reason_of(error: BaseException) -> str:
    """Return what a library says with what it has thrown; what is none of its own is raised again.

    >>> reason_of(ValueError("no table.\\nReally")), reason_of(KeyError("a"))
    ('no table', "KeyError: 'a'")
    """
    if isinstance(error, (*_OURS, KeyboardInterrupt, SystemExit, GeneratorExit)):
        raise error
    said = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    return said if " " in said else f"{type(error).__name__}: {said}".removesuffix(": ")


@contextlib.contextmanager
def unheard_panics() -> Iterator[None]:
    """Keep what Rust writes to the standard error output before its panic is raised here.

    It goes around Python, so the descriptor itself is turned away for a while, and what else was
    written is written after all. Where other threads run, all is left as it is.
    """
    with contextlib.ExitStack() as stack:
        heard: IO[bytes] | None = None
        if threading.active_count() == 1:
            with contextlib.suppress(OSError):
                kept = os.dup(2)
                stack.callback(os.close, kept)
                heard = stack.enter_context(tempfile.TemporaryFile())
        if heard is None:
            yield
            return
        os.dup2(heard.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            heard.seek(0)
            text = heard.read()
            if text and b"panicked at" not in text:
                os.write(2, text)


# Files --------------------------------------------------------------------------------------------


def content_of(path: Path) -> bytes:
    """Return what a regular file holds, unpacked where it is gzip; DataError for anything else."""
    with open_regular(path) as file:
        try:
            content = _read(path, file)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{str(path)!r} is a damaged gzip file: {error}.") from None
        except OSError as error:
            raise _unreadable(path, error) from None
    if not content:
        raise DataError(f"{str(path)!r} is empty; expected a header and rows of cells.")
    return content


def open_regular(path: Path) -> io.BufferedReader:
    """Return a regular file, opened; DataError for pipes, devices and sockets, which may never end.

    Those are not even opened, which may do something, unless one takes a file's place meanwhile.
    """
    try:
        refuse_irregular(path, os.stat(path).st_mode)
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
    except FileNotFoundError:
        raise DataError(f"there is no file {str(path)!r}{nearest_file(path)}.") from None
    except OSError as error:
        raise _unreadable(path, error) from None
    file = open(descriptor, "rb")  # noqa: SIM115 - the caller closes it
    try:
        refuse_irregular(path, os.fstat(descriptor).st_mode)
    except DataError:
        file.close()
        raise
    return file


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"{str(path)!r} cannot be read: {error.strerror or error}.")


_BINARY = getattr(os, "O_BINARY", 0)

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def irregular(mode: int) -> str:
    """Return what is no regular file is in words, "" for one.

    >>> irregular(os.stat(".").st_mode)
    'a folder'
    """
    return "" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "not a regular file")


def refuse_irregular(path: Path | str, mode: int) -> None:
    """Refuse what is no regular file."""
    what = irregular(mode)
    if what:
        hint = "" if what == "a folder" else " Save what it gives to a file first."
        raise DataError(f"{str(path)!r} is {what}; expected a file of data.{hint}")


def _read(path: Path, file: io.BufferedReader) -> bytes:
    """All that a file gives, unpacked, as far as the memory goes.

    That may be more than its size says: a gzip file in several parts tells that of the last alone,
    and a file in /proc none.
    """
    size = os.fstat(file.fileno()).st_size
    has, least, inside = f"{str(path)!r} has", size, cast("IO[bytes]", file)
    if file.peek(2)[:2] == GZIP:
        has += f" {in_bytes(size)} and unpacks to"
        file.seek(max(size - 4, 0))
        least = int.from_bytes(file.read(4), "little")
        file.seek(0)
        inside = cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    check_fits(f"{has} {in_bytes(least)}", 2 * least)
    free, content = free_memory(), io.BytesIO()
    while chunk := inside.read(_CHUNK):
        content.write(chunk)
        if 2 * content.tell() > free:
            raise too_large(f"{has} more than {in_bytes(content.tell())}", 2 * content.tell(), free)
    return content.getvalue()


def check_fits(what: str, needed: float) -> None:
    """Refuse what takes more memory than is free; ``what`` says what it is, and how large.

    >>> check_fits("x.csv has 3 PB", 6e15)
    Traceback (most recent call last):
    pellucid.errors.DataError: x.csv has 3 PB: reading it takes about 6,000.0 TB of memory, ...
    """
    if needed < LITTLE:
        return
    free = free_memory()
    if needed > free:
        raise too_large(what, needed, free)


def check_width(source: str, columns: int) -> None:
    """Refuse a file of more columns than can be looked at, or than the memory holds.

    >>> check_width("x.csv", 10**6)
    Traceback (most recent call last):
    pellucid.errors.DataError: x.csv has 1,000,000 columns; at most 100,000 are read. Use fewer ...
    """
    what = f"{source} has {columns:,} columns"
    if columns > MOST_COLUMNS:
        raise DataError(f"{what}; at most {MOST_COLUMNS:,} are read. Use fewer columns.")
    check_fits(what, _COLUMN * columns)


_CELL, _TEXT_CELL = 16, 66
"""Bytes that a cell takes at most while a table is read, as it is read and as a column; and that a
text takes besides its letters, as an object."""


def check_cells(source: str, content: bytes, rows: int, width: int) -> None:
    """Refuse a file of more cells than the memory holds."""
    check_width(source, width)
    check_fits(
        f"{source} holds {count(rows, 'row')} of {count(width, 'column')}",
        len(content) + _CELL * rows * width,
    )


def check_texts(source: str, cells: int, size: int) -> None:
    """Refuse texts that take more than the memory holds, each of them as an object."""
    check_fits(
        f"{source} has {count(cells, 'cell')} with {in_bytes(size)} of texts",
        size + _TEXT_CELL * cells,
    )


def too_large(what: str, needed: float, free: float) -> DataError:
    """Return the error for what takes more memory than is free."""
    return DataError(
        f"{what}: reading it takes about {in_bytes(needed)} of memory, and {in_bytes(free)} is "
        "free. Use fewer rows or columns, or a machine with more memory."
    )
