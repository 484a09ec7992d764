"""One entry of an array: how it is computed, with the numbers put in, and what it came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from typing import Any, Self

from pellucid.record.array import Array, Key
from pellucid.record.digits import MOST_TERMS, enough
from pellucid.record.entries import (
    At,
    branch,
    count,
    gathered,
    inputs,
    is_transpose,
    known,
    origin,
    term,
    within,
)
from pellucid.record.formula import mathml
from pellucid.record.layout import album
from pellucid.record.show import (
    DIGITS,
    MINUS,
    OVER,
    at_places,
    formula,
    is_of_places,
    name,
    shown,
    simplified,
    windows,
)
from pellucid.record.volumes import Picture

SHOWN = 6
"""Terms of a sum of more than MOST_TERMS that are written out."""

DEEPEST = 2
"""Sums within sums that are written out; of a deeper one only what it comes to."""


@dataclass(frozen=True)
class Factor:
    """One number of a term: which cell of which array it is."""

    key: Key
    row: int
    column: int
    value: float

    def __str__(self) -> str:
        return f"{name(self.key)}[{self.row}, {self.column}]"


@dataclass(frozen=True)
class Cell:
    """A cell, how it is computed, and the same with the numbers put in.

    Attributes
    ----------
    key, row, column : what it is
    value : float
    formula, numbers : str
        ``"dW[2][0, 3] = 1/4 sum_i dZ[2][0, i] A[1][3, i]"`` and the same with numbers.
    terms : list of tuples of Factor
        What is added up; each term is a product. Empty where the cell is no sum of products.
    sources : list of Factor
        Every cell that it came from.
    pictures : list of Picture
        These cells as they lie in their volumes, where they do.
    """

    key: Key
    row: int
    column: int
    value: float
    formula: str
    numbers: str
    terms: list[tuple[Factor, ...]] = field(default_factory=list)
    sources: list[Factor] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data; the sources by the names of their cells."""
        return {
            "cell": self.formula.partition(" = ")[0],
            "value": self.value,
            "formula": self.formula,
            "numbers": self.numbers,
            "sources": {str(factor): factor.value for factor in self.sources},
        }

    def _repr_html_(self) -> str:
        lines = "".join(
            f"<div><math><mrow>{mathml(line)}</mrow></math></div>"
            for line in (self.formula, self.numbers)
        )
        drawn = "\n".join(album(self.pictures, across=ACROSS))
        drawn = f"<pre>{escape(drawn)}</pre>" if drawn else ""
        return f'<div style="overflow-x:auto">{lines}{drawn}</div>'

    def __str__(self) -> str:
        said = f"{self.formula}\n{' ' * self.formula.index('=')}{self.numbers}"
        return "\n".join([said, *(line.rstrip() for line in album(self.pictures, across=ACROSS))])


def cell_of(x: Array, key: Key, row: int, column: int) -> Cell:
    """Return an entry of an array, which has two axes.

    >>> import numpy as np
    >>> W, X = Array(np.ones((1, 2)), key=("W", 1)), Array(np.full((2, 3), 3.0), key=("X", 0))
    >>> print(cell_of(W @ X**2 + 1, ("Z", 1), 0, 0))
    Z[1][0, 0] = sum_j W[1][0, j] X[j, 0]^2 + 1
               = 1 * 3^2 + 1 * 3^2 + 1 = 19
    """
    at, same = (row, column), simplified(x, named=True)
    symbols, _ = _entry(same, at, _Symbols(), same is x)
    numbers, _ = _entry(same, at, _Numbers(enough(same, at, same is x)), same is x)
    value = float(x.values[at])
    return Cell(
        key, row, column, value,
        f"{name(key)}[{row}, {column}] = {symbols}", f"= {numbers} = {shown(value)}",
        _terms(same, at, same is x), list(dict.fromkeys(_sources(same, at, same is x))),
    )  # fmt: skip


ACROSS = 2
"""Pictures beside each other: what is multiplied."""


class _Symbols:
    """Entries by their names; a sum over a letter."""

    numeric = False

    def __init__(self, digits: int = DIGITS, depth: int = 0) -> None:
        self.digits, self.depth = digits, depth

    def deeper(self) -> Self:
        """Inside a sum."""
        return type(self)(self.digits, self.depth + 1)


class _Numbers(_Symbols):
    """Entries as numbers; a sum term by term."""

    numeric = True


Term = tuple[Array, At, int]

Text = tuple[str, float]
"""A text, and how tightly it binds: 1 a sum, 2 a product, 4 a power, 9 a number or a call."""


def _entry(x: Array, at: At, how: _Symbols, top: bool = False) -> Text:
    """How an entry came about; of an array with a name, unless on ``top``, the name is enough."""
    if not top:
        x = simplified(x)
    if x.operation is None or (x.key is not None and not top):
        return _named(x, at, how)
    if x.is_number:
        return f"{float(x.values):g}", 9
    kind, operation = x.operation.kind, x.operation.name
    if kind in ("sum", "matmul"):
        return _summed(x, at, how)
    if kind == "move":
        return _moved(x, at, how)
    if kind == "gather":
        return _gathered(x, at, how)
    if kind == "unknown":
        return _unknown(x, at, how)
    if kind == "function":
        return f"{operation}({_entry(x.inputs[0], at, how)[0]})", 9
    if kind == "each" and operation in _EACH:
        return _EACH[operation](x, at, how)
    found = [_entry(each, within(each, at), how) for each in x.inputs]
    rank = x.operation.rank
    texts = [_tight(each, 0 if rank == 9 else rank + 0.1 * (k > 0)) for k, each in enumerate(found)]
    return (x.operation.written or x.operation.shown).format(*texts), rank


def _tight(text: Text, rank: float) -> str:
    return text[0] if text[1] >= rank else f"({text[0]})"


def _named(x: Array, at: At, how: _Symbols) -> Text:
    if x.is_number:
        return (f"{float(x.values):g}" if x.values is not None else "none"), 9
    if how.numeric:
        return shown(x.values[at], how.digits), 9
    called = name(x.key) if x.key else formula(x)
    return f"{called}[{', '.join(map(str, at))}]", 9


def _add(x: Array, at: At, how: _Symbols) -> Text:
    assert x.operation is not None
    left, right = (_entry(each, within(each, at), how) for each in x.inputs)
    sign = "+" if x.operation.name == "add" else "-"
    return f"{_tight(left, 1)} {sign} {_tight(right, 1 if sign == '+' else 1.1)}", 1


def _multiply(x: Array, at: At, how: _Symbols) -> Text:
    """A number stands beside a name, and has its sign before another number."""
    left, right = x.inputs
    if right.is_number and not left.is_number:
        left, right = right, left
    first, second = (_entry(each, within(each, at), how) for each in (left, right))
    if not left.is_number:
        return f"{_tight(first, 2)} * {_tight(second, 2.1)}", 2
    beside = " * " if how.numeric else " "
    return f"{_tight(first, 2)}{beside}{_tight(second, OVER)}", min(2, max(second[1], OVER))


def _divide(x: Array, at: At, how: _Symbols) -> Text:
    left, right = x.inputs
    if right.is_number and not left.is_number:
        text = _entry(left, within(left, at), how)
        whole = how.numeric and text[1] < 9
        divided = f"({text[0]})" if whole else _tight(text, OVER)
        return f"1/{float(right.values):g} {divided}", min(2, max(text[1], OVER))
    texts = [_entry(each, within(each, at), how) for each in x.inputs]
    return f"{_tight(texts[0], 2)} / {_tight(texts[1], 2.1)}", 2


def _power(x: Array, at: At, how: _Symbols) -> Text:
    base, exponent = (_entry(each, within(each, at), how) for each in x.inputs)
    text = _tight(base, 5)
    return f"{f'({text})' if text.startswith('-') else text}^{_tight(exponent, 5)}", 4


def _negative(x: Array, at: At, how: _Symbols) -> Text:
    text = _tight(_entry(x.inputs[0], within(x.inputs[0], at), how), OVER)
    return f"-{f'({text})' if text.startswith('-') else text}", MINUS


def _where(x: Array, at: At, how: _Symbols) -> Text:
    """The branch that was taken."""
    chosen = branch(x, at)
    if chosen is None:
        return f"{formula(x)}[{', '.join(map(str, at))}]", 9
    return _entry(chosen, within(chosen, at), how)


_EACH = {
    "add": _add,
    "subtract": _add,
    "multiply": _multiply,
    "divide": _divide,
    "power": _power,
    "negative": _negative,
    "where": _where,
}


def _unknown(x: Array, at: At, how: _Symbols) -> Text:
    if how.numeric and known(at):
        return shown(x.values[at], how.digits), 9
    return f"{formula(x)}[{', '.join(map(str, at))}]", 9


# Sums ---------------------------------------------------------------------------------------------


def _summed(x: Array, at: At, how: _Symbols) -> Text:
    """``sum_j W[1][0, j] X[j, 3]``, or term by term."""
    assert x.operation is not None
    number = x.operation.name
    if windows(x.inputs[0]) is not None:
        return _of_window(x, at, how)
    if count(x) is None or (number in ("max", "min") and how.numeric):
        return _unknown(x, at, how)
    if not how.numeric:
        letter = _letter(x, how.depth)
        body = _tight(_body(x, at, letter, how.deeper(), " "), 2)
        word = "sum" if number == "matmul" else number
        return f"{word}_{letter} {body}", OVER
    if how.depth >= DEEPEST or not known(at):
        return shown(x.values[at], how.digits), 9
    n = count(x) or 0
    text = _added_up(_all_terms(x, at), n, how.deeper())
    if number == "mean":
        return f"1/{n} ({text})", 2
    return text, 1 if n > 1 else _body(x, at, 0, how, " * ")[1]


def _of_window(x: Array, at: At, how: _Symbols) -> Text:
    """``max(X[0, 1], X[1, 1], X[3, 1])``: what the window of a pool sees."""
    assert x.operation is not None
    there = [(of, place) for of, place in inputs(x, at) if _is_there(of, place)]
    seen = [_entry(of, place, how)[0] for of, place in there]
    if len(seen) > MOST_TERMS:
        seen = [*seen[: SHOWN - 1], f"... {len(seen) - SHOWN} more ...", seen[-1]]
    return f"{x.operation.name}({', '.join(seen)})", 9


def _is_there(x: Array, at: At) -> bool:
    """Whether what a window sees is a step that is there."""
    is_where = x.operation is not None and x.operation.name == "where"
    return not is_where or branch(x, at) is x.inputs[1]


def _all_terms(x: Array, at: At) -> Iterator[Term]:
    """The terms of a sum, each as the sum and the number of its term."""
    return ((x, at, k) for k in range(count(x) or 0))


def _added_up(terms: Iterator[Term], n: int, how: _Symbols) -> str:
    """N terms, of many the first ones and the last."""
    chosen = [
        term for k, term in enumerate(terms) if n <= MOST_TERMS or k < SHOWN - 1 or k == n - 1
    ]
    texts = [_tight(_body(*term, how, " * "), 1) for term in chosen]
    if n > MOST_TERMS:
        texts.insert(-1, f"... {n - SHOWN} more ...")
    return " + ".join(texts)


def _gathered(x: Array, at: At, how: _Symbols) -> Text:
    """Over the places p of what is gathered; of patches as the row j of what stands there."""
    of, deeper = simplified(x.inputs[0]), how.deeper()
    if not known(at):
        return _unknown(x, at, how)
    if not how.numeric:
        row = at[0] if "words" in x.options else "j"
        if x.operation is not None and x.operation.name == "sum_over_windows":
            return f"sum_p {formula(of)}[p]", OVER
        return f"sum_p {_tight(_entry(of, (row, 'p'), deeper), OVER)}", OVER
    places = gathered(x, at)
    if of.operation is None or of.key is not None or of.operation.kind != "matmul":
        return " + ".join(_tight(_entry(of, place, deeper), 1) for place in places) or "0", 1
    terms = (term for place in places for term in _all_terms(of, place))
    n = len(places) * (count(of) or 0)
    return _added_up(terms, n, deeper) or "0", 1


def _letter(x: Array, depth: int) -> str:
    """i over the examples, p over their places, j over the units; k where j stands already."""
    assert x.operation is not None
    if x.operation.kind == "matmul":
        right = simplified(x.inputs[1])
        turned = right.operation is not None and right.operation.name == "transpose"
        along = turned and right.key is None
    else:
        along = x.options.get("axis") in (1, -1)
    if (along and at_places(x.inputs[0])) or is_of_places(x.inputs[0]):
        return "p"
    return "i" if along else "jkl"[min(depth, 2)]


def _body(x: Array, at: At, k: Any, how: _Symbols, times: str) -> Text:
    """One term: the k-th."""
    found = [_entry(each, place, how) for each, place in term(x, at, k)]
    if len(found) == 1:
        (inner,) = term(x, at, k)
        return _product(inner[0], inner[1], how, times) or found[0]
    return f"{_tight(found[0], 2)}{times}{_tight(found[1], 2.1)}", 2


def _product(x: Array, at: At, how: _Symbols, times: str) -> Text | None:
    """In the sum over a product its factors stand side by side."""
    x = simplified(x)
    if x.key is not None or x.operation is None or x.operation.name != "multiply":
        return None
    if any(each.is_number for each in x.inputs):
        return None
    left, right = (_entry(each, within(each, at), how) for each in x.inputs)
    return f"{_tight(left, 2)}{times}{_tight(right, 2.1)}", 2


# Numbers from elsewhere ---------------------------------------------------------------------------


def _moved(x: Array, at: At, how: _Symbols) -> Text:
    if is_transpose(x):
        return _entry(x.inputs[0], at[::-1], how)
    if not known(at):
        return f"{formula(x)}[{', '.join(map(str, at))}]", 9
    found = origin(x, at)
    return ("0", 9) if found is None else _entry(*found, how)


# What an entry came from --------------------------------------------------------------------------


def _sources(x: Array, at: At, top: bool = False) -> Iterator[Factor]:
    x = x if top else simplified(x)
    if x.operation is None or (x.key is not None and not top):
        factor = _factor(x, at)
        if factor is not None:
            yield factor
        return
    for each, place in inputs(x, at):
        yield from _sources(each, place)


def _factor(x: Array, at: At) -> Factor | None:
    if x.key is None or x.ndim != 2:
        return None
    return Factor(x.key, int(at[0]), int(at[1]), float(x.values[at]))


def _terms(x: Array, at: At, top: bool = False) -> list[tuple[Factor, ...]]:
    """The terms of the sum that an entry is, whatever is added to it and divides it."""
    x = x if top else simplified(x)
    if x.operation is None or (x.key is not None and not top):
        return []
    operation = x.operation.name
    if operation in ("sum", "mean", "matmul") and count(x) is not None:
        factors = [_factors(term(x, at, k)) for k in range(count(x) or 0)]
        return [] if None in factors else [each for each in factors if each is not None]
    if operation in ("add", "subtract"):
        added = x.inputs if operation == "add" else x.inputs[:1]
        return [each for part in added for each in _terms(part, within(part, at))]
    if x.operation.kind in ("move", "gather"):
        entries = list(inputs(x, at))
        found = [each for part, place in entries for each in _terms(part, place)]
        if not found and operation == "summed_by_word":
            found = [each for entry in entries if (each := _factors([entry])) is not None]
        return found
    if operation in ("multiply", "divide") and any(each.is_number for each in x.inputs):
        of = next(each for each in x.inputs if not each.is_number)
        return _terms(of, within(of, at)) if operation == "multiply" or of is x.inputs[0] else []
    return []


def _factors(entries: list[tuple[Array, At]]) -> tuple[Factor, ...] | None:
    """The numbers that a term is the product of; None where it is no product of cells."""
    found: list[Factor] = []
    for x, at in entries:
        x = simplified(x)
        if x.operation is None or x.key is not None:
            each = _factor(x, at)
            inner: tuple[Factor, ...] | None = None if each is None else (each,)
        elif x.operation.name == "multiply":
            inner = _factors([(part, within(part, at)) for part in x.inputs])
        elif _is_power(x):
            inner = _factors([(x.inputs[0], within(x.inputs[0], at))] * int(x.inputs[1].values))
        elif x.operation.kind == "move":
            came = origin(x, at)
            inner = None if came is None else _factors([came])
        else:
            inner = None
        if inner is None:
            return None
        found += inner
    return tuple(found)


def _is_power(x: Array) -> bool:
    """Whether it is a square, a cube, ..."""
    assert x.operation is not None
    exponent = x.inputs[1] if x.operation.name == "power" else None
    return exponent is not None and exponent.is_number and exponent.values in (2, 3, 4)
