"""How much memory this process may still take: the machine's, its container's, its own limits."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")


def free_memory() -> float:
    """Return the bytes that this process may still take, as far as that is known.

    The least of what the machine has available, what is left to each control group (version 1 or
    2) that holds the process, and what is left below ``ulimit -v``. Where nothing is known, as on
    Windows, infinity.

    >>> free_memory() > 2**20
    True
    """
    return min((max(0.0, found) for found in _known()), default=math.inf)


def in_bytes(number: float) -> str:
    """Return a number of bytes as people write it.

    >>> in_bytes(812), in_bytes(2_717_713), in_bytes(1.4e9)
    ('812 bytes', '2.7 MB', '1.4 GB')
    """
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= size:
            return f"{number / size:,.1f} {unit}"
    return f"{number:.0f} bytes"


def _known() -> Iterator[float]:
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        table = dict(line.split(":", 1) for line in lines)
        yield 1024.0 * int(table["MemAvailable"].split()[0])
    yield from _groups()
    yield from _own_limit()


def _groups() -> Iterator[float]:
    """What is left to each control group above this process that has a limit."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, inside = line.split(":", 2)
        if controllers in ("", "memory"):
            root = _GROUPS / controllers
            group = root / inside.lstrip("/")
            for folder in (group, *group.parents):
                if folder.is_relative_to(root):  # a container sees its own group as the root
                    yield from _left_in(folder)


def _left_in(group: Path) -> Iterator[float]:
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        with contextlib.suppress(OSError, ValueError):  # "max" is no limit
            left = int((group / limit).read_text()) - int((group / used).read_text())
            yield left + _given_back(group)


def _given_back(group: Path) -> int:
    """The bytes of files that are only remembered: they count as used, and are given back."""
    with contextlib.suppress(OSError, ValueError):
        pairs = map(str.split, (group / "memory.stat").read_text().splitlines())
        return sum(int(n) for name, n in pairs if name in ("inactive_file", "active_file"))
    return 0


def _own_limit() -> Iterator[float]:
    """What is left below ``ulimit -v``."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            yield limit - pages * os.sysconf("SC_PAGE_SIZE")
