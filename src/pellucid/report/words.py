"""Numbers and names as a reader likes to see them."""

from __future__ import annotations

import math
from typing import Any

NARROW = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"


def percent(share: float) -> str:
    """Return a share in per cent with one decimal; all and nothing have none.

    >>> percent(0.8), percent(0.9999), percent(1.0)
    ('80.0\\u202f%', '>99.9\\u202f%', '100\\u202f%')
    """
    text = "0" if share == 0 else "100" if share == 1 else f"{100 * share:.1f}"
    text = {"0.0": "<0.1", "100.0": ">99.9"}.get(text, text).replace("-", MINUS)
    return f"{text}{NARROW}%"


def number(value: Any, digits: int = 3) -> str:
    """Return a number with so many significant digits, whole thousands kept.

    >>> number(0.012345), number(1234.56), number(-2.5), number(6.02e23), number(None)
    ('0.0123', '1,235', '−2.5', '6.02e23', 'not defined')
    """
    if value is None:
        return "not defined"
    x = float(value)
    if not math.isfinite(x):
        return "not finite"
    if x == 0:
        return "0"
    size = math.floor(math.log10(abs(x)))
    if not -5 < size < 9:
        return f"{x:.{digits - 1}e}".replace("e+", "e").replace("-", MINUS)
    text = f"{x:,.{max(0, digits - 1 - size)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", MINUS)
