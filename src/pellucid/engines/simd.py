"""Which build of the fused engine runs here.

The fused engine is compiled once for each SIMD level, a Python module each. This module finds the
levels that are built and that this CPU can run, without importing any of them.
"""

from __future__ import annotations

import importlib
import os
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from pellucid._catalogue import did_you_mean
from pellucid.errors import SettingsError

__all__ = ["LEVELS", "levels", "load_level", "why_not"]

LEVELS: dict[str, str] = {
    "avx512": "x86-64",
    "avx2": "x86-64",
    "neon": "aarch64",
    "baseline": "",
}
"""Every SIMD level, the widest first, and the architecture that it is for."""


def levels() -> list[str]:
    """Return the levels that are built and that this CPU can run, the fastest first.

    The list is empty where the fused engine was not built (``PELLUCID_PURE=1``).

    >>> from pellucid.engines.simd import LEVELS, why_not
    >>> sorted(levels() + list(why_not())) == sorted(LEVELS)
    True
    """
    possible = [level for level, reason in _reasons().items() if not reason]
    if {"avx512", "avx2"} <= set(possible) and _cpu().half_width_avx512:
        possible.remove("avx512")
        possible.insert(possible.index("avx2") + 1, "avx512")
    return possible


def why_not() -> dict[str, str]:
    """Return every level that can not be used here, and the reason."""
    return {level: reason for level, reason in _reasons().items() if reason}


def load_level() -> ModuleType:
    """Return the module of the fastest level, or of the one that ``PELLUCID_SIMD`` names.

    It is imported, and no other level.

    Raises
    ------
    SettingsError
        If ``PELLUCID_SIMD`` names a level that is unknown or cannot be used here.
    ImportError
        If the fused engine was not built.
    """
    reasons = _reasons()
    possible = levels()
    wanted = os.environ.get("PELLUCID_SIMD", "").strip().lower()
    if wanted and wanted not in possible:
        what = (
            f"cannot be used here: {reasons[wanted]}"
            if wanted in LEVELS
            else f"is not a SIMD level{did_you_mean(wanted, LEVELS)}"
        )
        here = f"Possible here: {', '.join(possible)}" if possible else "None is possible here"
        fault = f"PELLUCID_SIMD={wanted!r} {what}. {here}; unset it and the fastest is taken."
        raise SettingsError(("", fault))
    if not possible:
        raise ImportError(
            "the fused engine is not built in this installation of pellucid. Install pellucid "
            "again with a C++ compiler and without PELLUCID_PURE."
        )
    return importlib.import_module(_module(wanted or possible[0]))


def _module(level: str) -> str:
    return f"pellucid.engines._fused_{level}"


def _cpu() -> Any:
    return importlib.import_module("pellucid.engines._cpu")


def _reasons() -> dict[str, str]:
    """Why each level cannot be used here; empty for one that can."""
    if find_spec("pellucid.engines._cpu") is None:
        return dict.fromkeys(LEVELS, "not built")
    cpu = _cpu()
    reasons: dict[str, str] = {}
    for level, architecture in LEVELS.items():
        if architecture not in ("", cpu.architecture):
            reasons[level] = f"only for {architecture}"
        elif find_spec(_module(level)) is None:
            reasons[level] = "not built"
        else:
            missing = ", ".join(cpu.missing(level))
            reasons[level] = f"this CPU lacks {missing}" if missing else ""
    return reasons
