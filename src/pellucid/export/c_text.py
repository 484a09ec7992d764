"""The text of C files: numbers to the bit, and names that cannot leave a comment or a string."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FUNCTIONS = re.compile(r"\b(exp|expm1|fabs|log1p|sqrt|tanh)\(")
_NUMBERS = re.compile(r"(?<![\w.])(\d+\.\d+(?:e[+-]?\d+)?)")
_CHUNK = 8192  # numbers at a time, so that their texts take little memory
_EXP_LIMIT = {"float32": "70.0", "float64": "700.0"}


def typed(code: str, dtype: str) -> str:
    """Return code in which ``real`` is float or double; for float with the f's of C.

    >>> typed("real a = 0.5 * exp(z);", "float32")
    'float a = 0.5f * expf(z);'
    """
    code = code.replace("EXP_LIMIT", _EXP_LIMIT[dtype])
    if dtype == "float64":
        return re.sub(r"\breal\b", "double", code)
    code = _NUMBERS.sub(r"\1f", _FUNCTIONS.sub(r"\1f(", code))
    return re.sub(r"\breal\b", "float", code)


def real(value: float) -> str:
    """Return a double as C writes it, to the bit, always with a point.

    >>> real(2), real(1e-05), real(0.1)
    ('2.0', '1.0e-05', '0.1')
    """
    text = repr(float(value))
    return text if "." in text else text.replace("e", ".0e")


def array(name: str, values: NDArray[Any], dtype: str) -> str:
    """Return a constant array, row by row, each number with digits enough to make it again.

    >>> print(array("b1", np.array([[0.1], [-2.0]], dtype=np.float32), "float32"))
    static const float b1[2] = {
        0.1f, -2.0f
    };
    <BLANKLINE>
    """
    flat = np.ascontiguousarray(values).ravel()
    end, kind = ("f", "float") if dtype == "float32" else ("", "double")
    lines = []
    for start in range(0, flat.size, _CHUNK):
        # As a text a number of numpy's has as few digits as tell it from all others.
        texts = [f"{text}{end}" for text in flat[start : start + _CHUNK].astype("U32").tolist()]
        lines += ["    " + ", ".join(texts[k : k + 8]) for k in range(0, len(texts), 8)]
    body = ",\n".join(lines)
    return f"static const {kind} {name}[{flat.size}] = {{\n{body}\n}};\n"


def comment(text: str) -> str:
    r"""Return text that may stand in a comment: one line of ASCII that cannot end or bend it.

    >>> comment("a */ b\n??/ é")
    'a * / b ? ?/ <e9>'
    """
    text = re.sub(r"\s+", " ", text).replace("*/", "* /").replace("/*", "/ *")
    text = text.replace("\\", "/").replace("*/", "* /")
    while "??" in text:  # trigraphs
        text = text.replace("??", "? ?")
    return "".join(c if " " <= c <= "~" else f"<{ord(c):x}>" for c in text)


def literal(text: str) -> str:
    r"""Return text as a C string of UTF-8, whatever it holds.

    >>> print(literal('say "é??/"'))
    "say \"\303\251\?\?/\""
    """
    plain = set(b" !#$%&'()*+,-./:;<=>@[]^_`{|}~0123456789")
    plain |= {*range(ord("A"), ord("Z") + 1), *range(ord("a"), ord("z") + 1)}
    escaped = {b: "\\" + chr(b) for b in b'"\\?'}
    code = (
        chr(b) if b in plain else escaped.get(b, f"\\{b:03o}")
        for b in text.encode("utf-8", "backslashreplace")
    )
    return f'"{"".join(code)}"'
