"""What the files of a model folder take in memory, inferred from their bytes beforehand.

A small file can ask for much: ``[],`` is three bytes and a list of 64, an array without numbers is
fifty bytes and an object of a thousand. While a folder is loaded, its files and all that is made of
them may take three times its size and :data:`SPARE`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pellucid.errors import ModelError

SPARE = 56 * 2**20
"""Bytes that a folder of any size may take."""
SMALL = 2**18
"""A JSON file of so many bytes is taken for as full as can be."""
_FULLEST = 32
_ARRAY = 1000
"""Bytes of an array as an object, and of what leads to it."""
_KEY_SIZE = 150
_MOST_KEYS = 100_000

_OUTSIDE = b'0123456789.+-eE,:{}[]" \t\r\n'
"""What may stand outside of texts, but for true, false and null."""
_KEY = re.compile(rb'"([^"]{0,80})"[ \t\r\n]*:')


def check_sizes(
    where: object, files: Mapping[str, bytes], mend: str = "", spare: int = SPARE
) -> int:
    """Raise ModelError where files, by their names, take more memory than their size warrants.

    Returns what is left of ``spare`` for further files.

    >>> check_sizes("m", {"model.json": b"[" + b"[]," * 2**20 + b"[]]"})
    Traceback (most recent call last):
    pellucid.errors.ModelError: m: model.json would take about 147 MB of memory when it is read,
    more than the 65 MB that its size warrants.
    """
    for name, content in files.items():
        allowed = spare + 2 * len(content)
        needed = _memory(name, content, allowed)
        if needed > allowed:
            raise ModelError(
                f"{where}: {name} would take about {needed / 1e6:,.0f} MB of memory when it is "
                f"read, more than the {allowed / 1e6:,.0f} MB that its size warrants"
                + (f". {mend}" if mend else ".")
            )
        spare = min(spare, allowed - needed)
    return spare


def _memory(name: str, content: bytes, allowed: int) -> int:
    """About how many bytes a file takes in memory, its own not counted."""
    if name.endswith(".json"):
        return _json_memory(content, allowed)
    header = int.from_bytes(content[:8], "little")
    return 2 * len(content) + _ARRAY * content.count(b"{", 8, 8 + header)


def _json_memory(content: bytes, allowed: int) -> int:
    """The text, and the objects that Python's decoder makes of it, by what separates them."""
    if len(content) <= SMALL:
        return _FULLEST * len(content)
    inside = len(content.translate(None, _OUTSIDE))
    width = widest = _width(content)
    if width > 1 or b"\\u" in content:
        widest, inside = 6, len(content)  # they are put together of pieces
    quotes, commas, keys, dicts, lists = map(content.count, (b'"', b",", b":", b"{", b"["))
    texts = max(0, quotes // 2 - keys)
    numbers = max(0, commas - texts)
    needed = (
        width * len(content)
        + widest * max(0, inside - 8 * quotes)
        + 9 * commas
        + 32 * numbers
        + 64 * texts
        + 200 * dicts
        + 96 * lists
        + 16 * keys
    )
    if needed + _KEY_SIZE * keys <= allowed:  # spares a count of those that differ
        return needed + _KEY_SIZE * keys
    return needed + _KEY_SIZE * _distinct_keys(content, keys)


def _width(content: bytes) -> int:
    """The bytes that a character of the text takes: as many as the widest needs."""
    if content.isascii():
        return 1
    return 4 if re.search(rb"[\xf0-\xff]", content) else 2


def _distinct_keys(content: bytes, keys: int) -> int:
    """How many keys differ; the others share one object. Where very many do, all are counted."""
    found: set[bytes] = set()
    for match in _KEY.finditer(content):
        found.add(match[1])
        if len(found) > _MOST_KEYS:
            return keys
    return len(found)
