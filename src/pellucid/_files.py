"""Writing files so that a crash leaves the old content or the new, and nearest file names."""

from __future__ import annotations

import contextlib
import difflib
import os
import secrets
from pathlib import Path

TEMPORARY = ".tmp-"
"""What stands between a file's name and the random end of its temporary twin's."""


def write_atomically(path: Path, content: bytes, *, overwrite: bool = True) -> None:
    """Write a file under a temporary name, bring it to the disk, then give it its name."""
    temporary = path.with_name(f"{path.name}{TEMPORARY}{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if not overwrite:
            refuse_existing(path)
        os.replace(temporary, path)
    except BaseException as error:
        if isinstance(error, OSError) and error.strerror:
            error.filename = str(path)  # not the temporary name, and a full disk names none
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


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
    """Refuse a path that nothing can be written to: its nearest existing folder decides."""
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


def nearest_file(path: Path) -> str:
    """Return ``" (did you mean 'iris.csv'?)"`` for a file of that folder, or an empty string."""
    try:
        names = os.listdir(path.absolute().parent)
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1)
    return f" (did you mean {str(path.with_name(near[0]))!r}?)" if near else ""
