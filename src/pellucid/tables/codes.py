"""Which of the values that were seen in training a text stands for, however it is written.

A gap makes pandas write a column of codes as 10000.0, 20000.0, ...: those are the codes 10000 and
20000. 00123 is another code than 123, and 7.10 another than 7.1.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping

from pellucid.tables.values import parse_number, text_of

_WHOLE = re.compile(r"([+-]?)(\d+)(?:\.0*)?", re.ASCII)
_TRUTHS = {"false": "0", "true": "1"}


def code_of(text: str, from_numbers: bool = False) -> str:
    r"""Return the code that a text writes: without ``.0``, as ``\d+\.0*`` may end; else the text.

    Zeros in front stay. A sign is written as numbers have it, and a truth value as 0 or 1, as in a
    column of nothing else. Where the codes were numbers in training (``from_numbers``), any other
    way to write the number counts too.

    >>> [code_of(text) for text in ("10000.0", "00123.0", "7.10", "1e3", "+5", "-0.0", "True")]
    ['10000', '00123', '7.10', '1e3', '5', '0', '1']
    >>> code_of("1e3", from_numbers=True), code_of("0123", from_numbers=True)
    ('1000', '0123')
    """
    plain = text.replace("\N{MINUS SIGN}", "-")
    found = _WHOLE.fullmatch(plain)
    if from_numbers and (found is None or found[2] == "0" or found[2][0] != "0"):
        number = parse_number(text)
        if not math.isnan(number):
            return str(text_of(number))
    if found is None:
        return _TRUTHS.get(text.casefold(), text)
    return ("-" if found[1] == "-" and found[2].strip("0") else "") + found[2]


class Codes:
    """Finds the value that a text stands for: the same text, or the only one of the same code.

    Where training held 7 and 7.0 as two values, they stay two, and 7.00 is neither.

    >>> codes = Codes({"10000.0": 0, "00123": 1, "7": 2, "7.0": 3}, from_numbers=False)
    >>> [codes.find(text) for text in ("10000", "10000.00", "123", "123.0", "7.0", "7.00")]
    [0, 0, None, None, 3, None]
    """

    def __init__(self, places: Mapping[str, int], from_numbers: bool) -> None:
        codes = {text: code_of(text) for text in places}
        times = Counter(codes.values())
        self.texts = places
        self.codes = {code: places[text] for text, code in codes.items() if times[code] == 1}
        self.from_numbers = from_numbers

    def find(self, text: str) -> int | None:
        """Return the place of the value that a text stands for; None where it was not seen."""
        found = self.texts.get(text)
        return self.codes.get(code_of(text, self.from_numbers)) if found is None else found
