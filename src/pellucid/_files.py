"""Writing files so that a crash leaves the old content or the new, and nearest file names."""

from __future__ import annotations

import contextlib
import difflib
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

TEMPORARY = ".tmp-"
"""What stands between a file's name and the random end of its temporary twin's."""


def write_atomically(path: Path, content: bytes, *, overwrite: bool = True) -> None:
    """Write a file under a temporary name, bring it to the disk, then give it its name."""
    with staged(path, content) as put:
        if not overwrite:
            refuse_existing(path)
        put()


@contextlib.contextmanager
def staged(path: Path, content: bytes) -> Iterator[Callable[[], None]]:
    """Write a file under a temporary name and bring it to the disk; yields what gives it its name.

    Where that is not called, nothing is left.
    """
    temporary = path.with_name(f"{path.name}{TEMPORARY}{secrets.token_hex(4)}")

    def put() -> None:
        try:
            os.replace(temporary, path)
        except OSError as error:
            raise _named(error, path) from None

    try:
        try:
            with open(temporary, "xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _named(error, path) from None
        yield put
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _named(error: OSError, path: Path) -> OSError:
    """The error with the file's own name: not the temporary one, and a full disk names none."""
    if error.strerror:
        error.filename = str(path)
    return error


def refuse_existing(path: Path) -> None:
    """Raise FileExistsError where there is something at this path."""
    if os.path.lexists(path):
        raise FileExistsError(
            f"{str(path)!r} exists already; nothing was written. Give --overwrite to replace it, "
            "or another name."
        )


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk; Windows keeps them itself."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_writable(path: Path) -> None:
    """Refuse a path that nothing can be written to: its nearest existing folder decides.

    It is tried out with a file that has no name, or is gone at once, as neither a full disk nor a
    folder such as /proc tells by its permissions.
    """
    parent = path.absolute().parent
    while not os.path.lexists(parent):
        parent = parent.parent
    if not parent.is_dir():
        raise NotADirectoryError(
            f"cannot write {str(path)!r}: {str(parent)!r} is a file, not a folder."
        )
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PermissionError(
            f"cannot write {str(path)!r}: no permission to write into {str(parent)!r}."
        )
    try:
        with tempfile.TemporaryFile(dir=parent) as file:
            file.write(bytes(4096))
    except OSError as error:
        raise type(error)(
            f"cannot write {str(path)!r}: no file can be written into {str(parent)!r} "
            f"({error.strerror})."
        ) from None


def nearest_file(path: Path) -> str:
    """Return ``" (did you mean 'iris.csv'?)"`` for a file of that folder, or an empty string."""
    try:
        names = os.listdir(path.absolute().parent)
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1)
    return f" (did you mean {str(path.with_name(near[0]))!r}?)" if near else ""
