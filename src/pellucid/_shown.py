r"""What came from outside, as people may see it: names, cells, file names, libraries' reasons.

Data stay as they are: what is computed with, saved, or written as CSV and JSON holds the very
names. They are changed only where text leaves for a person's eyes, and each way out does it in one
place: an error or a warning as it is made (:mod:`pellucid.errors`), the terminal in
:mod:`pellucid.cli.output`, the report as its templates are filled, the lab where a data set is put
on the page. So a column called ``"\x1b[2J"`` can neither clear a terminal nor hide in a table, one
of a megabyte fills no screen, and where messages are made nothing need be thought of.
"""

from __future__ import annotations

import json
import re
import shlex
import unicodedata

LONGEST = 1_900
"""Characters of a message; with the program's name before it below 2,000."""
LONGEST_NAME = 72
"""Characters of a name in a table, and of a title."""
LONGEST_QUOTED = 160
"""Characters of a name in a sentence, where it may be a path: most of those stay whole."""

_HIDDEN = frozenset(["Cc", "Cf", "Cs", "Zl", "Zp"])
"""Categories of Unicode: control characters, what has no width or turns the direction, halves of
pairs, ends of lines."""
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
"""Letters and marks that show nothing."""

_QUOTED = re.compile(r"""(?<!\w)(?:'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+")(?!\w)""", re.DOTALL)


def visible(text: str) -> str:
    r"""Return a text in which what has no sign of its own stands as Python writes it.

    >>> print(visible("a\x1b[31m \u202etxt.exe\n"))
    a\x1b[31m \u202etxt.exe\n
    """
    if text.isprintable() and _BLANK.isdisjoint(text):
        return text
    return "".join(
        each.encode("unicode_escape").decode()
        if each in _BLANK or unicodedata.category(each) in _HIDDEN
        else each
        for each in text
    )


def short(text: str, most: int = LONGEST_NAME) -> str:
    """Return a text, visible, and cut in its middle where it is longer than ``most``.

    >>> short("x" * 100, 9)
    'xxxx…xxxx'
    """
    return _cut(visible(_cut(text, most)), most)


def message(text: str, most: int = LONGEST) -> str:
    """Return a message, visible, with long names in it cut, and at most so long.

    >>> told = message(f"there is no column {'x' * 10**6!r}. Rename it.")
    >>> len(told), told[-30:]
    (191, "xxxxxxxxxxxxxxxxx'. Rename it.")
    """
    text = _QUOTED.sub(lambda quoted: _cut(quoted[0], LONGEST_QUOTED), _cut(text, 10 * most))
    return short(text, most)


def lines(text: str) -> str:
    r"""Return a text of several lines, each of them visible.

    >>> lines("one\ntwo\a")
    'one\ntwo\\x07'
    """
    return "\n".join(map(visible, text.split("\n")))


def quoted(name: object) -> str:
    r"""Return a path, or a name, as a shell takes it.

    >>> quoted("a b"), quoted("a\x1b")
    ("'a b'", "$'a\\u001b'")
    """
    text = str(name)
    if visible(text) == text:
        return shlex.quote(text)
    return "$'" + escaped(text.replace("\\", r"\\").replace("'", r"\'")) + "'"


def plain(value: object) -> object:
    """Return a NumPy number as Python's, so that a message shows 0.5; all else as it is.

    >>> import numpy as np
    >>> plain(np.float64(0.5)), plain([1])
    (0.5, [1])
    """
    item = getattr(value, "item", None)
    return item() if item is not None and getattr(value, "shape", None) == () else value


def escaped(text: str) -> str:
    r"""Return a text with what is invisible as \uXXXX, which both JSON and shells read."""
    if visible(text) == text:
        return text
    return "".join(each if visible(each) == each else json.dumps(each)[1:-1] for each in text)


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[: most - 1 - half]}…{text[len(text) - half :]}"
