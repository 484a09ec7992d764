"""Writing files so that a crash leaves the old content or the new, and nearest file names."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from pellucid import _lock

TEMPORARY = ".tmp-"
"""What stands between a file's name and the random end of its temporary twin's."""
_LONGEST = 255 - len(TEMPORARY) - 8
"""Bytes of a name whose twin's is no longer than file systems take."""
_WINDOWS = os.name == "nt"
"""Where an open file can neither be renamed nor removed."""
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_LOOK = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def write_atomically(
    path: Path, content: bytes, *, overwrite: bool = True, like: Path | None = None
) -> None:
    """Write a file under a temporary name, bring it to the disk, then give it its name.

    Permissions, owner and group are those of the file that it replaces, or else of ``like``; where
    there is neither, the umask decides.
    """
    with staged(path, content, like) as put:
        if not overwrite:
            refuse_existing(path)
        put()


@contextlib.contextmanager
def staged(path: Path, content: bytes, like: Path | None = None) -> Iterator[Callable[[], None]]:
    """Write a file under a temporary name and bring it to the disk; yields what gives it its name.

    Where that is not called, nothing is left. The twin is locked meanwhile, so that what writers
    left when they were killed can be told from it, and goes.
    """
    _remove_dead_twins(path)
    with contextlib.ExitStack() as stack:
        try:
            twin, descriptor = _new_twin(path, like)
            stack.callback(_remove, twin)
            opened = stack.enter_context(contextlib.ExitStack())
            opened.callback(_lock.close, descriptor)
            left = memoryview(content)
            while left:
                left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)
        except OSError as error:
            raise _named(error, path) from None

        def put() -> None:
            if _WINDOWS:
                opened.close()
            try:
                os.replace(twin, path)
            except OSError as error:
                raise _named(error, path) from None

        yield put


def _new_twin(path: Path, like: Path | None) -> tuple[Path, int]:
    """Create and lock a temporary twin, which those may read who may read what it replaces."""
    status = _status(path) or (like and _status(like))
    while True:
        twin = path.with_name(_twin_name(path) + secrets.token_hex(4))
        descriptor = os.open(twin, _CREATE, 0o600 if status else 0o666)
        locked = True
        with contextlib.suppress(_lock.NoLocksError):
            locked = _lock.lock(descriptor)
        if locked and _lock.is_at(descriptor, twin):
            if status:
                _set_status(descriptor, status)
            return twin, descriptor
        _lock.close(descriptor)  # another writer took it for a dead one's before it was locked


def _remove_dead_twins(path: Path) -> None:
    form = re.compile(re.escape(_twin_name(path)) + "[0-9a-f]{8}")
    with contextlib.suppress(OSError):
        for name in filter(form.fullmatch, os.listdir(path.parent)):
            _remove_dead(path.with_name(name))


def _remove_dead(twin: Path) -> None:
    """Remove a twin that nobody holds; where that cannot be told, leave it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(twin, _LOOK)
        try:
            dead = _lock.lock(descriptor)
            if dead and not _WINDOWS:
                os.unlink(twin)
        finally:
            _lock.close(descriptor)
        if dead and _WINDOWS:
            os.unlink(twin)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _twin_name(path: Path) -> str:
    """The twin's name but for its random end."""
    name = os.fsencode(path.name)
    short = path.name if len(name) <= _LONGEST else hashlib.sha256(name).hexdigest()[:16]
    return short + TEMPORARY


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _set_status(descriptor: int, status: os.stat_result) -> None:
    """Give a file the permissions of another, and its owner and group where that is allowed."""
    if _WINDOWS:
        return
    mode = stat.S_IMODE(status.st_mode) & 0o777
    try:
        os.fchown(descriptor, -1, status.st_gid)
    except OSError:  # a new group may do what all may
        mode = mode & 0o707 | (mode & 0o007) << 3
    with contextlib.suppress(OSError):
        os.fchown(descriptor, status.st_uid, -1)
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, mode)


def _named(error: OSError, path: Path) -> OSError:
    """The error with the file's own name: not the temporary one, and a full disk names none."""
    if error.strerror:
        error.filename = str(path)
    return error


def refuse_existing(path: Path) -> None:
    """Raise FileExistsError where there is something at this path."""
    if os.path.lexists(path):
        raise FileExistsError(
            f"{str(path)!r} already exists; nothing was written. Give --overwrite to replace it, "
            "or another name."
        )


def check_file(path: Path, *, overwrite: bool = False) -> None:
    """Refuse a file that must not be, or cannot be, written: before the work, not after it."""
    shown = repr(str(path))
    if os.path.isdir(path):
        raise IsADirectoryError(f"cannot write {shown}: it is a folder; give a file name.")
    if not overwrite:
        refuse_existing(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise FileExistsError(f"cannot write {shown}: it is not a regular file; give another name.")
    check_writable(path)


def check_writable(path: Path, named: Path | None = None) -> None:
    """Refuse a path that nothing can be written to: it is tried, and what was tried goes again.

    Neither a full disk nor a folder such as /proc tells by its permissions, nor a name that is too
    long by anything else. ``named`` is what the message calls it.
    """
    shown = repr(str(named or path))
    above = path.absolute().parent
    while not os.path.lexists(above):
        above = above.parent
    if not above.is_dir():
        raise NotADirectoryError(f"cannot write {shown}: {str(above)!r} is a file, not a folder.")
    try:
        with (
            made_folders(path.parent),
            staged(path, bytes(4096)),
            contextlib.suppress(FileNotFoundError),
        ):
            os.lstat(path)  # its own name may be longer than the twin's
    except OSError as error:
        raise type(error)(
            f"cannot write {shown}: no file can be written into {str(above)!r} ({error.strerror})."
        ) from None


@contextlib.contextmanager
def made_folders(folder: Path) -> Iterator[list[Path]]:
    """Make a folder and those above it; what was made and is empty in the end goes again."""
    made = [each for each in (folder, *folder.parents) if not os.path.lexists(each)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield made
    finally:
        for each in made:
            with contextlib.suppress(OSError):
                os.rmdir(each)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk; Windows keeps them itself."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def nearest_file(path: Path) -> str:
    """Return ``" (did you mean 'iris.csv'?)"`` for a file of that folder, or an empty string."""
    try:
        names = os.listdir(path.absolute().parent)
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1)
    return f" (did you mean {str(path.with_name(near[0]))!r}?)" if near else ""
