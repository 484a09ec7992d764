"""How many threads a job may have, and how many it is worth."""

from __future__ import annotations

import functools
import math
import os
from pathlib import Path

from pellucid.errors import SettingsError

WORK_PER_THREAD = 7e5
"""Floating-point operations a step from which a further thread may pay for its barriers."""


def available_cpus() -> int:
    """Return the CPUs this process may use: affinity, cgroup and OMP_NUM_THREADS.

    Affinity and OMP_NUM_THREADS are looked at each time; the cgroup's file once in a process.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    limits = [len(affinity(0)) if affinity else os.cpu_count() or 1]
    quota = _cgroup_quota()
    if quota:
        limits.append(max(1, math.ceil(quota)))
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if asked.isdecimal() and int(asked) > 0:
        limits.append(int(asked))
    return min(limits)


def threads_asked() -> int | None:
    """Return what PELLUCID_NUM_THREADS says, None where it is not set.

    Raises
    ------
    SettingsError
        If it is no number of threads.
    """
    setting = os.environ.get("PELLUCID_NUM_THREADS", "")
    if not setting:
        return None
    if not setting.isdecimal() or int(setting) < 1:
        raise SettingsError(("", f"PELLUCID_NUM_THREADS must be 1 or more; got {setting!r}."))
    return int(setting)


WORK_PER_NEW_THREAD = 3e7
"""Operations from which it pays to start a further thread for this work alone: about 1 ms."""


def most_threads() -> int:
    """Return how many threads may be asked for: beyond, they only wait for each other."""
    return max(16, 4 * (os.cpu_count() or 1))


def worthwhile(flops: float, limit: int, per_thread: float = WORK_PER_THREAD) -> int:
    """Return how many threads a step of this many operations is worth, at most ``limit``.

    >>> worthwhile(1e3, 4), worthwhile(1e9, 4)
    (1, 4)
    """
    return max(1, min(limit, int(flops / per_thread) + 1))


@functools.cache
def _cgroup_quota() -> float | None:
    """Return the CPU quota of the control group (version 2), None where there is none."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return None if quota == "max" else float(quota) / float(period)
    except (OSError, ValueError):
        return None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_cgroup_quota.cache_clear)
