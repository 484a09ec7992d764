"""One cell of a pass: the sum that made it, term by term, and the cells it came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid.insight.trace.steps import Key, Matrix, Step, name

SHOWN = 6
"""Terms of a long sum that are written out."""


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
    """

    key: Key
    row: int
    column: int
    value: float
    formula: str
    numbers: str
    terms: list[tuple[Factor, ...]] = field(default_factory=list)
    sources: list[Factor] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data; the sources by the names of their cells."""
        return {
            "cell": f"{name(self.key)}[{self.row}, {self.column}]",
            "value": self.value,
            "formula": self.formula,
            "numbers": self.numbers,
            "sources": {str(factor): factor.value for factor in self.sources},
        }

    def __str__(self) -> str:
        return f"{self.formula}\n{' ' * self.formula.index('=')}{self.numbers}"


def cell_of(step: Step, row: int, column: int) -> Cell:
    """Return a cell of a step's result."""
    letter = step.key[0]
    matrices = [part for part in step.parts if isinstance(part, Matrix)]
    place = f"{name(step.key)}[{row}, {column}]"
    value = float(step.values[row, column])
    if (
        letter in ("Z", "dW", "db", "ds")
        or (letter.startswith("dA") and _is_product(step))
        or (letter == "dX" and _is_product(step))
    ):
        return _sum_cell(step, matrices, place, row, column, value)
    factors = _entrywise(step, matrices, row, column)
    symbols = _substitute(step, [str(f) for f in factors], matrices)
    numbers = _substitute(step, [shown(f.value) for f in factors], matrices)
    sources = factors if letter != "A" or not _mixes(step) else _column(matrices[0], column)
    return Cell(
        step.key, row, column, value, f"{place} = {symbols}", f"= {numbers} = {shown(value)}",
        [], sources,
    )  # fmt: skip


def _is_product(step: Step) -> bool:
    """Whether it is W^T dZ."""
    return all(isinstance(part, Matrix) for part in step.parts)


def _mixes(step: Step) -> bool:
    return isinstance(step.parts[0], str) and step.parts[0].startswith("softmax")


def _sum_cell(
    step: Step, matrices: list[Matrix], place: str, row: int, column: int, value: float
) -> Cell:
    symbol, terms, extra = _terms(step.key[0], matrices, row, column)
    scale = step.parts[0] if isinstance(step.parts[0], str) else ""
    written = _written(terms)
    numbers = f"{scale} ({written})" if scale else written
    symbol = f"{scale} {symbol}" if scale else symbol
    sources = [factor for term in terms for factor in term]
    for prefix, matrix in _extras(step, extra):
        factor = _factor(matrix, row, column if matrix.shown.shape[1] > 1 else 0)
        symbol += f" {prefix} {factor}"
        numbers += f" {prefix} {shown(factor.value)}"
        sources.append(factor)
    whole = f"= {numbers} = {shown(value)}"
    return Cell(step.key, row, column, value, f"{place} = {symbol}", whole, terms, sources)


def _terms(
    letter: str, matrices: list[Matrix], row: int, column: int
) -> tuple[str, list[tuple[Factor, ...]], list[Matrix]]:
    """The sum in symbols, its terms, and the arrays that are added to it."""
    left, right = matrices[0], matrices[-1]
    count = left.shown.shape[1]
    terms: list[tuple[Factor, ...]]
    if letter == "db":
        terms = [(_factor(left, row, i),) for i in range(count)]
        return f"sum_i {name(left.key)}[{row}, i]", terms, []
    if letter == "ds":
        terms = [(_factor(left, row, i), _factor(right, row, i)) for i in range(count)]
        return f"sum_i {name(left.key)}[{row}, i] {name(right.key)}[{row}, i]", terms, []
    right, index = matrices[1], "i" if letter == "dW" else "j"
    terms = [(_factor(left, row, j), _factor(right, j, column)) for j in range(count)]
    symbols = f"{_symbol(left, row, index, True)} {_symbol(right, column, index)}"
    return f"sum_{index} {symbols}", terms, matrices[2:]


def _extras(step: Step, extra: list[Matrix]) -> list[tuple[str, Matrix]]:
    """The arrays that are added to a product, with what stands before them."""
    parts = list(step.parts)
    return [(str(parts[parts.index(matrix) - 1]), matrix) for matrix in extra]


def _entrywise(step: Step, matrices: list[Matrix], row: int, column: int) -> list[Factor]:
    """The entries at this place; an array of one column or one row stands for all."""
    found = []
    for matrix in matrices:
        rows, columns = matrix.shown.shape
        found.append(_factor(matrix, row if rows > 1 else 0, column if columns > 1 else 0))
    return found


def _column(matrix: Matrix, column: int) -> list[Factor]:
    return [_factor(matrix, row, column) for row in range(matrix.shown.shape[0])]


def _factor(matrix: Matrix, row: int, column: int) -> Factor:
    value = float(matrix.shown[row, column])
    if matrix.transposed:
        row, column = column, row
    return Factor(matrix.key, row, column, value)


def _symbol(matrix: Matrix, fixed: int, index: str, is_left: bool = False) -> str:
    """``W[1][2, j]``: the place in the array as it is, not in its transpose."""
    row, column = (str(fixed), index) if is_left else (index, str(fixed))
    if matrix.transposed:
        row, column = column, row
    return f"{name(matrix.key)}[{row}, {column}]"


def _substitute(step: Step, values: list[str], matrices: list[Matrix]) -> str:
    """The parts of a formula with one text for each array."""
    texts = iter(values)
    parts = [next(texts) if isinstance(part, Matrix) else part for part in step.parts]
    return " ".join(parts).replace("( ", "(").replace(" )", ")").replace(" ,", ",")


def _written(terms: list[tuple[Factor, ...]]) -> str:
    """``0.5 * 2 + 1 * -3``: the first terms and the last, where there are many."""
    texts = [" * ".join(shown(factor.value) for factor in term) for term in terms]
    if len(texts) > SHOWN:
        left_out = len(texts) - SHOWN
        texts = [*texts[: SHOWN - 1], f"... {left_out} more ...", texts[-1]]
    return " + ".join(texts)


def shown(value: Any) -> str:
    """Return a number in four digits; in more where it is nearly 1, for 1 - a to be seen.

    >>> shown(0.123456), shown(-30.0), shown(1e-13), shown(0.99995460)
    ('0.1235', '-30', '1e-13', '0.9999546')
    """
    number = float(np.asarray(value))
    text = f"{number:.4g}"
    return f"{number:.7g}" if text in ("1", "-1") else text
