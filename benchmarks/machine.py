"""The machine: what it is, how busy others keep it, and what its cores can do at most."""

from __future__ import annotations

import importlib
import importlib.metadata
import math
import os
import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

PACKAGES = ("pellucid", "numpy", "scipy", "scikit-learn", "torch", "jax", "jaxlib")


def cpu_count() -> int:
    """CPUs that this process may use: affinity and the container's quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(allowed or 1, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):
        return allowed or 1


def cpus() -> list[int]:
    """The numbers of those CPUs, where the system tells."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def model() -> str:
    """The processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def describe(packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """Return the machine, the versions and the date, as plain data."""
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "machine": model(),
        "architecture": platform.machine(),
        "simd": simd(),
        "levels": engine_levels(),
        "cpus": cpu_count(),
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "versions": versions,
        "commit": _commit(),
        "date": time.strftime("%Y-%m-%d"),
    }


def simd() -> list[str]:
    """The vector instruction sets of the processor that matter here."""
    known = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_tile", "asimd", "sve")
    try:
        words = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return []
    return [each for each in known if each in words]


def engine_levels() -> dict[str, str]:
    """The fused engine's SIMD levels: "" where it can run here, otherwise the reason."""
    try:
        from pellucid.engines.simd import levels, why_not
    except ImportError:
        return {}
    return dict.fromkeys(levels(), "") | why_not()


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def _commit() -> str:
    """The commit of the sources, with a + where files differ from it."""
    root = Path(__file__).parent.parent

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "cpp")
        return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


class ForeignLoad:
    """Cores that other processes used since this was made."""

    def __init__(self) -> None:
        self._busy, self._start = _busy_seconds(), time.perf_counter()

    def cores(self, own_seconds: float) -> float:
        """Return them; ``own_seconds`` is the processor time of the one that was measured."""
        elapsed = time.perf_counter() - self._start
        return max(0.0, (_busy_seconds() - self._busy - own_seconds) / elapsed)


class Cores:
    """How much all CPUs get done together, or one alone, just now.

    CPUs of a virtual machine can be the two halves of one core, share one with another guest, or
    lie far from each other, and change that within a millisecond; the system's own books know
    nothing of it.
    """

    SECONDS = 0.003

    def __init__(self, one: bool, asks: bool) -> None:
        self._rate = engine_hook("team_gflops") if asks else None
        self._threads = 1 if one else cpu_count()

    def gflops(self) -> float:
        """Return it in GFLOP/s; 0 where it cannot be measured."""
        return self._rate(self._threads, self.SECONDS) if self._rate else 0.0


def _busy_seconds() -> float:
    """Processor seconds that all processes have used, time stolen by other guests included."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return 0.0
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def engine_hook(name: str) -> Callable[..., float] | None:
    """Return a measurement that the engine offers, or None.

    ``pellucid.engines.measure`` may have

    - ``fma_gflops(dtype, n_threads, seconds)``: fused multiply-adds in registers, the cores' limit;
    - ``team_gflops(n_threads, seconds)``: threads that share numbers and wait for each other;
    - ``optimizer_seconds(optimizer, n_parameters, dtype, n_threads)``: one pass of the optimizer
      alone.
    """
    try:
        return getattr(importlib.import_module("pellucid.engines.measure"), name, None)
    except ImportError:
        return None
