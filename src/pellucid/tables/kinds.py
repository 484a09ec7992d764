"""The kinds of columns: what each becomes before a network sees it.

A kind is fitted on the training rows, writes a column's outputs into the network's input matrix,
and knows itself as plain data. A new one is a class here and a line in ``KINDS``.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pellucid.checks import is_number, is_truth
from pellucid.errors import DataError
from pellucid.tables._kind import (
    FARTHEST,
    MEND,
    Kind,
    are_texts,
    check_texts,
    is_count,
    put_ones,
    require,
    spread,
    squash,
)
from pellucid.tables.codes import Codes
from pellucid.tables.dates import MOSTLY, Date, find_format, some_texts
from pellucid.tables.table import some
from pellucid.tables.values import (
    LARGEST,
    by_distinct,
    is_missing,
    parse_number,
    parse_numbers,
    text_of,
)

__all__ = [
    "FARTHEST",
    "KINDS",
    "MOST_CATEGORIES",
    "Binary",
    "Category",
    "Date",
    "Image",
    "Kind",
    "Number",
    "infer_kind",
]

MOST_CATEGORIES = 32
"""A column with more has the others in a rest bin."""

MOST_RARE = 10_000
"""So many of those in the rest bin are remembered, so that they are known from new ones."""

MOST_PIXELS = 2**22
"""A damaged model cannot ask for more memory than images of 2048 x 2048 take."""

_TRUTHS = (("false", "true"), ("0", "1"), ("no", "yes"), ("n", "y"), ("f", "t"), ("off", "on"))
TRUTHS = {word: 2 * k - 1 for pair in _TRUTHS for k, word in enumerate(pair)}
"""Every word for a truth value: -1 for false ones, 1 for true ones."""


# Numbers ------------------------------------------------------------------------------------------


@dataclass
class Number(Kind):
    """A number: z / √(1 + (z/3)²) with z = (x - median) / interquartile range.

    Missing values become 0, as the median does; where some were missing in training, a second
    output is 1 for them and 0 for all others.

    Attributes
    ----------
    median, scale : float
        Of the training rows; scale 0 makes every output 0 (see :func:`spread`).
    from_text : bool
        Whether the column was one of texts. Then a text that is no number counts as missing, as it
        did in training; else it is refused.

    Examples
    --------
    >>> kind = Number.fit(np.array([1.0, 2.0, 3.0, np.nan]), "'age'")
    >>> kind.median, kind.scale, kind.names("age")
    (2.0, 1.0, ['age', 'age is missing'])
    """

    median: float
    scale: float
    from_text: bool

    kind: ClassVar[str] = "number"
    expected: ClassVar[str] = "numbers"

    @classmethod
    def fit(cls, column: NDArray[Any], where: str) -> Self:
        x = checked_numbers(column, where)
        median, scale = spread(x)
        return cls(int(np.isnan(x).sum()), median, scale, column.dtype == object)

    @property
    def n_outputs(self) -> int:
        return 1 + (self.missing > 0)

    def names(self, column: str) -> list[str]:
        return [column, f"{column} is missing"][: self.n_outputs]

    def write(self, column: NDArray[Any], out: NDArray[np.float32], where: str) -> None:
        x = self.numbers(column, where)
        out[:, 0] = squash(x, self.median, self.scale)
        if self.missing:
            out[:, 1] = np.isnan(x)

    def numbers(self, column: NDArray[Any], where: str) -> NDArray[np.float64]:
        """Return a column's numbers, NaN where one is missing; DataError for other types."""
        if column.ndim > 1 or column.dtype.kind not in "fO":
            raise self.refusal(where, column)
        x = checked_numbers(column, where)
        if column.dtype == object:
            check_texts(self.expected, column, np.isnan(x), self.from_text, where)
        return x

    def detail(self) -> str:
        if self.scale == 0:
            return f"constant {self.median:.4g}"
        return f"median {self.median:.4g}, IQR {self.scale:.4g}"

    def check(self) -> None:
        numbers = is_number(self.median) and is_number(self.scale) and self.scale >= 0
        require(numbers, "'median' and 'scale' must be finite numbers, 'scale' not negative")
        require(is_truth(self.from_text), "'from_text' must be true or false")


def checked_numbers(column: NDArray[Any], where: str) -> NDArray[np.float64]:
    """Return the numbers of a column, NaN where there is none; DataError for infinite ones."""
    x = parse_numbers(column) if column.dtype == object else np.asarray(column, dtype=np.float64)
    wrong = np.flatnonzero(np.abs(x) > LARGEST)
    if len(wrong):
        value = column[wrong[0]]
        raise DataError(
            f"{where} holds {value!s} in row {wrong[0] + 1}: infinite, or beyond {LARGEST:.0e} and "
            f"too large to compute with. {MEND}"
        )
    return x


# Two values and categories ------------------------------------------------------------------------


@dataclass
class Binary(Kind):
    """One of two values: -1 for the first, +1 for the second, 0 where missing or unknown.

    Codes are matched as by :func:`~pellucid.tables.codes.code_of`. False, 0, "no" and their like
    stand for each other where the two values are such a pair, whatever type they come in.

    Attributes
    ----------
    values : list of two str
        False before True, numbers by size, other texts in the order of their letters.
    from_numbers : bool
        Whether they were numbers in training. Then other texts are refused.

    Examples
    --------
    >>> kind = Binary.fit(np.array(["yes", "no", "yes"], dtype=object), "'smoker'")
    >>> kind.values, kind.names("smoker")
    (['no', 'yes'], ['smoker = yes'])
    """

    values: list[str]
    from_numbers: bool

    kind: ClassVar[str] = "binary"
    expected: ClassVar[str] = "one of two values"

    @classmethod
    def fit(cls, column: NDArray[Any], where: str) -> Self:
        counts, from_numbers = _category_counts(column, where)
        values = sorted(counts, key=parse_number if from_numbers else lambda v: (v.casefold(), v))
        return cls(len(column) - counts.total(), values, from_numbers)

    @property
    def n_outputs(self) -> int:
        return 1

    def names(self, column: str) -> list[str]:
        return [f"{column} = {self.values[1]}"]

    def write(self, column: NDArray[Any], out: NDArray[np.float32], where: str) -> None:
        if column.ndim > 1:
            raise self.refusal(where, column)
        out[:, 0] = by_distinct(column, lambda text: self._sign(text, where) or 0)

    def unseen(self, column: NDArray[Any], where: str) -> NDArray[np.bool_]:
        return by_distinct(column, lambda text: self._sign(text, where) is None) > 0

    def _sign(self, text: str | None, where: str) -> int | None:
        """-1 or 1, 0 where it is missing; None where it is neither of the two values."""
        if text is None:
            return 0
        found = self._codes.find(text)
        if found is None and tuple(each.casefold() for each in self.values) in _TRUTHS:
            found = TRUTHS.get(text.casefold())
        if found is None and self.from_numbers and math.isnan(parse_number(text)):
            raise DataError(
                f"{where} holds the text {text!r}; expected numbers, as in training, where it "
                f"held {self.values[0]} and {self.values[1]}. {MEND}"
            )
        return found

    @functools.cached_property
    def _codes(self) -> Codes:
        return Codes({self.values[0]: -1, self.values[1]: 1}, self.from_numbers)

    def detail(self) -> str:
        return f"{self.values[0]} is -1, {self.values[1]} is +1"

    def check(self) -> None:
        require(are_texts(self.values, 2, 2), "'values' must be two different texts")
        require(is_truth(self.from_numbers), "'from_numbers' must be true or false")


@dataclass
class Category(Kind):
    """A category: for each of the 32 most frequent an output that is 1 for it and 0 for others.

    All further categories share one more output, the rest bin, where there are more than 32;
    new ones at prediction go there too. Where there is no rest bin, new ones become all zeros. So
    do missing values, unless some were missing in training: then they have an output of their own.
    Codes are matched as by :func:`~pellucid.tables.codes.code_of`: 94107.0 is 94107, and 00123 is
    not 123.

    Attributes
    ----------
    categories : list of str
        The most frequent first.
    others : int
        How many more go to the rest bin.
    from_numbers : bool
        Whether they were numbers in training.
    rare : list of str
        The others, 10,000 of them at most.

    Examples
    --------
    >>> kind = Category.fit(np.array(["b", "a", "b", None, "c"], dtype=object), "'x'")
    >>> kind.names("x")
    ['x = b', 'x = a', 'x = c', 'x is missing']
    """

    categories: list[str]
    others: int
    from_numbers: bool
    rare: list[str] = field(default_factory=list)

    kind: ClassVar[str] = "category"
    expected: ClassVar[str] = "categories"

    @classmethod
    def fit(cls, column: NDArray[Any], where: str) -> Self:
        counts, from_numbers = _category_counts(column, where)
        ranked = sorted(counts, key=lambda text: (-counts[text], text))
        categories, rare = ranked[:MOST_CATEGORIES], ranked[MOST_CATEGORIES:]
        missing = len(column) - counts.total()
        return cls(missing, categories, len(rare), from_numbers, rare[:MOST_RARE])

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return super().from_dict({"rare": [], **data})  # which older folders lack

    @property
    def n_outputs(self) -> int:
        return len(self.categories) + (self.others > 0) + (self.missing > 0)

    def names(self, column: str) -> list[str]:
        names = [f"{column} = {each}" for each in self.categories]
        names += [f"{column}: any other"] * (self.others > 0)
        return names + [f"{column} is missing"] * (self.missing > 0)

    def write(self, column: NDArray[Any], out: NDArray[np.float32], where: str) -> None:
        if column.ndim > 1:
            raise self.refusal(where, column)
        unseen = len(self.categories) if self.others else -1
        missing = self.n_outputs - 1 if self.missing else -1
        find = self._codes.find

        def place(text: str | None) -> int:
            if text is None:
                return missing
            found = find(text)
            return unseen if found is None else found

        put_ones(out, by_distinct(column, place))

    def unseen(self, column: NDArray[Any], where: str) -> NDArray[np.bool_]:
        find = self._codes.find
        return by_distinct(column, lambda text: text is not None and find(text) is None) > 0

    @property
    def knows_all(self) -> bool:
        """Whether all categories of training are remembered, the rare ones too."""
        return len(self.rare) == self.others

    @functools.cached_property
    def _codes(self) -> Codes:
        rest = len(self.categories)
        places = {text: k for k, text in enumerate(self.categories)}
        return Codes(places | dict.fromkeys(self.rare, rest), self.from_numbers)

    def detail(self) -> str:
        total = len(self.categories) + self.others
        shown = some(self.categories, most=5)
        rest = f"; {self.others:,} rare ones share one output" if self.others else ""
        noun = "1 category" if total == 1 else f"{total:,} categories"
        return f"{noun}: {shown}{rest}" if total else noun

    def check(self) -> None:
        require(
            are_texts(self.categories, 0, MOST_CATEGORIES),
            f"'categories' must be at most {MOST_CATEGORIES} different texts",
        )
        require(is_count(self.others), "'others' must count categories")
        require(
            are_texts(self.rare, 0, min(self.others, MOST_RARE))
            and not set(self.rare) & set(self.categories),
            f"'rare' must be at most 'others' and {MOST_RARE:,} texts that are no 'categories'",
        )
        require(is_truth(self.from_numbers), "'from_numbers' must be true or false")


def _category_counts(column: NDArray[Any], where: str) -> tuple[Counter[str], bool]:
    """How often each category occurs, as texts, and whether they are numbers."""
    if column.dtype == object:
        counts = Counter(column)
        counts.pop(None, None)
        return counts, False
    given = column[~is_missing(column)]
    distinct, times = np.unique(given, return_counts=True)
    texts = [str(text_of(value)) for value in distinct]
    return Counter(dict(zip(texts, times.tolist(), strict=True))), column.dtype.kind == "f"


# Images -------------------------------------------------------------------------------------------


@dataclass
class Image(Kind):
    """An image of height x width pixels: x / 255, row by row, pixel by pixel, red green blue.

    That is ``image.reshape(-1) / 255`` of a (height, width, 3) array in C order, as the lectures
    flatten theirs: 64 x 64 pixels become n[0] = 12288 numbers from 0 to 1, not centred.

    >>> Image.fit(np.zeros((5, 64, 64, 3), dtype=np.uint8), "'photo'").n_outputs
    12288
    """

    height: int
    width: int
    order: str = "row, column, channel (red, green, blue)"

    kind: ClassVar[str] = "image"
    expected: ClassVar[str] = "images"

    @classmethod
    def fit(cls, column: NDArray[Any], where: str) -> Self:
        return cls(0, column.shape[1], column.shape[2])

    @property
    def n_outputs(self) -> int:
        return self.height * self.width * 3

    def names(self, column: str) -> list[str]:
        places = itertools.product(range(self.height), range(self.width), ("red", "green", "blue"))
        return [f"{column}: row {i + 1}, column {j + 1}, {color}" for i, j, color in places]

    def write(self, column: NDArray[Any], out: NDArray[np.float32], where: str) -> None:
        shape = (self.height, self.width, 3)
        if column.dtype != np.uint8 or column.shape[1:] != shape:
            got = "x".join(map(str, column.shape[1:])) if column.ndim > 1 else "no images"
            raise DataError(
                f"{where} holds {got}; expected images of {self.height} x {self.width} pixels in "
                f"3 colors, uint8 of the shape (m, {self.height}, {self.width}, 3), as in training."
            )
        np.divide(column.reshape(len(column), -1), np.float32(255), out=out)

    def detail(self) -> str:
        return f"{self.height} x {self.width} pixels, by {self.order}"

    def check(self) -> None:
        require(
            is_count(self.height, 1)
            and is_count(self.width, 1)
            and self.height * self.width <= MOST_PIXELS,
            "'height' and 'width' must be whole numbers of 1 or more, of a size to compute with",
        )
        require(self.order == Image.order, f"'order' must be {Image.order!r}")


KINDS: dict[str, type[Kind]] = {kind.kind: kind for kind in (Number, Binary, Category, Date, Image)}
"""Every kind of column by its name."""


def infer_kind(column: NDArray[Any], categorical: bool = False) -> str:
    """Return the name of the kind that a column is taken for.

    Texts of which 95 % are numbers are numbers, those of which 95 % are dates in one known format
    are dates. What is left with two values is binary, whatever its type, if numbers are whole. A
    column in which everything is missing is a category without any.

    >>> infer_kind(np.array([1.0, 2.5, 3.0])), infer_kind(np.array([0.0, 1.0, np.nan]))
    ('number', 'binary')
    >>> infer_kind(np.array(["1", "2", "3"], dtype=object), categorical=True)
    'category'
    """
    if column.ndim == 4:
        return "image"
    two = _has_two(column)
    if not categorical and not is_missing(column).all():
        if column.dtype.kind == "M":
            return "date"
        numbers = _mostly_numbers(column)
        if numbers is not None:
            # Two numbers that are not whole, as doses, may be followed by others.
            whole = np.isnan(numbers) | (np.isfinite(numbers) & (numbers == np.floor(numbers)))
            return "binary" if two and whole.all() else "number"
        if find_format(column) is not None:
            return "date"
    return "binary" if two else "category"


def _mostly_numbers(column: NDArray[Any]) -> NDArray[np.float64] | None:
    """A column's numbers, of long texts some; None where fewer than 95 % of the texts are any."""
    if column.dtype != object:
        return column
    numbers = parse_numbers(some_texts(column))
    return numbers if np.isnan(numbers).mean() <= 1 - MOSTLY else None


def _has_two(column: NDArray[Any]) -> bool:
    given = column[~is_missing(column)]
    few = set(given[:1000].tolist())  # spares most columns a look at all of their rows
    return len(few) <= 2 and len(few.union(np.unique(given).tolist())) == 2
