"""Strict JSON that keeps NaN and the infinities: they stand as ``{"$float": "nan"}``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

LARGE = 2**20
"""Characters of a text that is written in ASCII: one emoji more would take it four times the memory
when it is read."""
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def encode(value: Any, where: str = "value", indent: int | None = None) -> bytes:
    """Return plain data as strict JSON in UTF-8; tuples and arrays become lists.

    >>> encode({"best": float("inf"), "curve": np.array([1.0, 2.0])})
    b'{"best": {"$float": "inf"}, "curve": [1.0, 2.0]}'
    """
    plain = _plain(value, where)
    text = json.dumps(plain, allow_nan=False, ensure_ascii=False, indent=indent)
    if len(text) > LARGE and not text.isascii():
        text = json.dumps(plain, allow_nan=False, indent=indent)
    # A lone surrogate, which UTF-8 cannot hold, stands as its JSON escape.
    return text.encode("utf-8", "backslashreplace")


def decode(content: bytes) -> Any:
    """Return what :func:`encode` got; ValueError for anything that is not strict JSON.

    >>> decode(b'{"best": {"$float": "inf"}}')
    {'best': inf}
    """
    try:
        text = content.decode("utf-8")
        return json.loads(text, object_hook=_float_or_dict, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": str(float(value))}
    if isinstance(value, Mapping):
        if any(not isinstance(key, str) for key in value) or set(value) == {"$float"}:
            raise TypeError(f"{where}: the keys of {value!r} are not valid in JSON; use strings.")
        return {key: _plain(each, f"{where}.{key}") for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each, f"{where}[{k}]") for k, each in enumerate(value)]
    raise TypeError(f"{where} cannot be written as JSON: {value!r} is a {type(value).__name__}.")


def _float_or_dict(entries: dict[str, Any]) -> Any:
    if entries.keys() != {"$float"}:
        return entries
    name = entries["$float"]
    if not isinstance(name, str) or name not in _NOT_FINITE:
        raise ValueError(f"unknown number {name!r}")
    return _NOT_FINITE[name]


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
