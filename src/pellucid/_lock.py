"""Locks on open files, which the system lets go when a process ends, in whatever way.

A lock belongs to an opened file: threads of one process, which each open it, exclude each other as
processes do. A process that is forked meanwhile closes what it inherits.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int) -> None:
        """Closing does it."""
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


_HELD_BY_ANOTHER = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_opened: set[int] = set()


class NoLocksError(OSError):
    """The file system has no locks, as some network file systems."""


def lock(descriptor: int) -> bool:
    """Lock a file just opened; False if another process has it, NoLocksError if none can."""
    _opened.add(descriptor)
    try:
        _lock(descriptor)
    except OSError as error:
        if error.errno in _HELD_BY_ANOTHER:
            return False
        raise NoLocksError(error.errno, error.strerror) from None
    return True


def close(descriptor: int) -> None:
    """Unlock and close. Unlocked first, as a process just forked may hold the file open too."""
    _opened.discard(descriptor)
    with contextlib.suppress(OSError):
        _unlock(descriptor)
    with contextlib.suppress(OSError):  # what was written has been brought to the disk before
        os.close(descriptor)


def is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one that this path names now."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _close_inherited() -> None:
    """Close without unlocking: the lock is the parent's, and must not outlive it here."""
    while _opened:
        with contextlib.suppress(OSError):
            os.close(_opened.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited)
