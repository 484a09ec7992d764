"""Changes that turn something valid into something odd: of bytes, of texts, of plain data."""

from __future__ import annotations

import datetime
import string
from random import Random
from typing import Any

ODD_TEXTS = (
    "", " ", "*", "^.*$", "^a.*$", "0", "1", "-1", "1.0", "nan", "NaN", "inf", "-inf", "1e400",
    "1e-400", "99999999999999999999999999", "0x10", "1_000", "1,234", "1.234,5", "NA", "#N/A", "?",
    "None", "null", "true", "False", "-", "index", "level_0", "target", "y", "column_1",
    "2020-01-31", "31/12/2020 24:00", "12:30", "=1+1", "'", '"', '""', "a,b", "a;b", "a\tb", "a|b",
    "\n", "\r", "a\r\nb", "\x1b[31m", "\x9b31m", "\u202etxt", "\u200b", "\ufeff",
    "é", "e\u0301", "漢字", "👩‍💻", "\u2212" "7", "٣", "x" * 300, "../../etc/passwd", "${PATH}",
    "__proto__", "{0}", "%s", "<script>", "\\", "\\x", "\u3164",
)  # fmt: skip
ODD_NUMBERS = (
    0, -0.0, 1, -1, 2, 0.5, 1e-320, 1e38, 1.1e38, -1e39, 1e300, float("inf"), float("-inf"),
    float("nan"), 2**31, -(2**31), 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64, 10**30, -7,
)  # fmt: skip
_TOKENS = (
    b'"', b"'", b",", b";", b"\t", b"|", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xfe\xff",
    b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\x1f\x8b", b"{", b"}", b"[", b"]", b":", b"{}", b"null",
    b"1e999", b"-", b"9" * 400, b"PAR1", b"ARROW1", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff",
    b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00",
)  # fmt: skip


def odd_text(rng: Random) -> str:
    """Return a text such as files and people have, or mean ones."""
    if rng.random() < 0.5:
        return rng.choice(ODD_TEXTS)
    if rng.random() < 0.004:
        return rng.choice(("\0", "a\0b", "\ud800", "\udcff"))  # what most forms cannot hold
    if rng.random() < 0.02:
        return rng.choice("ax\u202e\x1b é") * rng.choice((1_000, 70_000, 1_000_000))
    letters = string.ascii_letters + string.digits + " _-.*^$\n\x1b\u200fé"
    return "".join(rng.choices(letters, k=rng.randrange(1, 12)))


def whole_text(rng: Random) -> str:
    """Return an odd text that UTF-8 can hold."""
    return odd_text(rng).encode("utf-8", "ignore").decode()


def odd_value(rng: Random) -> Any:
    """Return a value of plain data, of any type."""
    return rng.choice(
        (
            rng.choice(ODD_NUMBERS), rng.choice(ODD_NUMBERS), odd_text(rng), odd_text(rng), None,
            True, False, [], {}, [1, "a"], {"a": 1}, [[]], b"bytes",
        )
    )  # fmt: skip


def odd_json(rng: Random) -> Any:
    """Return a value that JSON can hold, of any type."""
    value = odd_value(rng)
    return value.decode() if isinstance(value, bytes) else value


def usual(rng: Random, m: int) -> list[Any]:
    """Return a column such as tables have, with gaps or without."""
    made = rng.choice(
        (
            lambda: rng.gauss(0, 1), lambda: rng.randrange(9), lambda: rng.choice("uvw"),
            lambda: rng.random() < 0.5, lambda: float(rng.randrange(3)),
            lambda: datetime.datetime(2024, 1, 1) + datetime.timedelta(days=rng.randrange(99)),
        )
    )  # fmt: skip
    gaps = rng.choice((0, 0, 0, 0.1))
    return [None if rng.random() < gaps else made() for _ in range(m)]


def changed(rng: Random, content: bytes, most: int = 6) -> bytes:
    """Return bytes with a few of them flipped, cut out, put in, doubled or moved."""
    data = bytearray(content)
    for _ in range(rng.randrange(1, most + 1)):
        place = rng.randrange(len(data) + 1)
        length = min(rng.choice((1, 1, 2, 4, 8, 50, 1_000)), len(data) - place)
        match rng.randrange(7):
            case 0 if length:
                data[place : place + 1] = bytes([rng.randrange(256)])
            case 1 if length:
                data[place] ^= 1 << rng.randrange(8)
            case 2:
                del data[place : place + length]
            case 3:
                data[place:place] = rng.choice(_TOKENS)
            case 4:
                data[place:place] = data[place : place + length] * rng.choice((1, 2, 100))
            case 5:
                data[place : place + length] = rng.choice(_TOKENS)
            case 6 if rng.random() < 0.3:
                del data[place:]
    return bytes(data)


def changed_data(rng: Random, data: Any) -> Any:
    """Return plain data in which one place, wherever it is, has something else.

    Each place is as likely as any other, however deep it is.
    """
    below = [(key, _places(value)) for key, value in _items(data)]
    pick = rng.randrange(1 + sum(places for _, places in below))
    for key, places in below:
        if pick < places:
            inner = changed_data(rng, data[key])
            if isinstance(data, dict):
                return {**data, key: inner}
            return [*data[:key], inner, *data[key + 1 :]]
        pick -= places
    return _changed_here(rng, data)


def _items(data: Any) -> list[tuple[Any, Any]]:
    if isinstance(data, dict):
        return list(data.items())
    return list(enumerate(data)) if isinstance(data, list) else []


def _places(data: Any) -> int:
    """How many values are in it, itself included."""
    return 1 + sum(_places(value) for _, value in _items(data))


def _changed_here(rng: Random, data: Any) -> Any:
    if isinstance(data, dict) and data:
        key = rng.choice(list(data))
        rest = {name: value for name, value in data.items() if name != key}
        match rng.randrange(4):
            case 0:
                return rest
            case 1:
                return {**rest, odd_text(rng): data[key]}
            case 2:
                return {**data, odd_text(rng): odd_json(rng)}
    if isinstance(data, list) and data:
        place = rng.randrange(len(data))
        match rng.randrange(4):
            case 0:
                return data[:place] + data[place + 1 :]
            case 1:
                again = data[place : place + 1] * rng.choice((2, 3, 500))
                return data[:place] + again + data[place:]
            case 2:
                return data[::-1]
    if isinstance(data, int) and not isinstance(data, bool) and rng.random() < 0.5:
        return data + rng.choice((-1, 1, 10, 10**6, 10**12, -(10**6)))
    if isinstance(data, float) and rng.random() < 0.5:
        return data * rng.choice((-1.0, 0.0, 1e6, 1e-6))
    if isinstance(data, str) and rng.random() < 0.4:
        return changed(rng, data.encode("utf-8", "replace"), 2).decode("utf-8", "replace")
    return odd_json(rng)
