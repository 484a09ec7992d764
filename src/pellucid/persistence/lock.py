"""One writer of a model folder at a time.

Who writes a folder holds the lock of ``writing.lock`` in it. A lock is the operating system's, so
one of a process that was killed is gone with it; the file it leaves is empty, means nothing, and
goes with the next writer. Readers need no lock.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pellucid import _lock
from pellucid._files import made_folders
from pellucid.checks import is_number
from pellucid.errors import BusyError, SettingsError

LOCK = "writing.lock"
_PAUSE = 0.02
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def checked_wait(wait: Any) -> float:
    """Return how many seconds to wait for another writer, as a float.

    >>> checked_wait(2), checked_wait(-1)
    Traceback (most recent call last):
    pellucid.errors.SettingsError: wait must be a number of seconds, 0 or more; got -1.
    """
    if not is_number(wait, infinite=True) or wait < 0:
        raise SettingsError(("wait", f"must be a number of seconds, 0 or more; got {wait!r}."))
    return min(float(wait), threading.TIMEOUT_MAX)


@contextlib.contextmanager
def writing(folder: Path, wait: float = 0.0) -> Iterator[list[Path]]:
    """Hold a folder's lock, making the folder where there is none; yields the folders made.

    Those that are still empty in the end go again.

    Raises
    ------
    BusyError
        Where another process or thread holds the lock and does not let it go within ``wait``
        seconds.
    """
    path = folder / LOCK
    with made_folders(folder) as made, contextlib.ExitStack() as stack:
        descriptor = _acquired(path, wait)
        if os.name == "nt":  # where an open file cannot be removed
            stack.callback(_remove, path)
        stack.callback(_lock.close, descriptor)
        if os.name != "nt":  # removed while it is held: who waits for it then sees that it is gone
            stack.callback(_remove, path)
        yield made


def _acquired(path: Path, wait: float) -> int:
    end = time.monotonic() + wait
    while True:
        descriptor = _opened(path)
        try:
            free = _lock.lock(descriptor)
        except _lock.NoLocksError as error:
            warnings.warn(
                f"{str(path.parent)!r} is on a file system without locks ({error.strerror}): make "
                "sure that nothing else writes this folder at the same time.",
                UserWarning,
                stacklevel=6,
            )
            return descriptor
        if free and _lock.is_at(descriptor, path):
            return descriptor
        _lock.close(descriptor)
        if free:  # its last holder has just removed it
            continue
        if time.monotonic() >= end:
            waited = f", for more than {wait:g} seconds" if wait else ""
            raise BusyError(
                f"{str(path.parent)!r} is being written by another process or thread{waited}; "
                "nothing was written. Try again, or give it time: wait=SECONDS (--wait SECONDS)."
            )
        time.sleep(min(_PAUSE, max(0.0, end - time.monotonic())))


def _opened(path: Path) -> int:
    """The lock's file, made where there is none; one that may only be read can be locked too."""
    for _ in range(100):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o666)
        except FileNotFoundError:  # whoever made the folder has given it up
            continue
        except PermissionError:
            if not os.path.lexists(path):
                raise
        try:
            return os.open(path, os.O_RDONLY | _FLAGS)
        except PermissionError:
            raise PermissionError(
                f"{str(path)!r} belongs to another user, so {str(path.parent)!r} cannot be "
                "locked. If nothing is writing to that folder, remove the file."
            ) from None
    raise BusyError(f"{str(path.parent)!r} comes and goes; nothing was written. Try again.")


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
