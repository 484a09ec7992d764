"""A table's preprocessing in C: numbers stay numbers, texts become the numbers of their categories.

What x holds for each column is written at the head of the file. A kind of column is a line in
:data:`COLUMNS_IN_C`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid.export.c_text import array, comment, real
from pellucid.tables.kinds import FARTHEST, Binary, Category, Date, Image, Kind, Number
from pellucid.tables.preprocess import Preprocessing

_SQUASH = f"""\
/* u / sqrt(1 + (u/3)^2) with u = (x - median) / scale; 0 where x is missing (NaN). */
static float squash(double x, double median, double scale)
{{
    double u = scale == 0 ? 0 : (x - median) / scale;
    if (x != x) return 0;
    if (u > {FARTHEST}) u = {FARTHEST};
    if (u < -{FARTHEST}) u = -{FARTHEST};
    return (float)(u / sqrt(1 + (u / 3) * (u / 3)));
}}
"""
_ONE_HOT = """\
/* z[k] = 1 where x is the k-th of n values, else 0; returns whether it is any of them. */
static int one_hot(double x, const double *values, int n, float *z)
{
    int k, any = 0;
    for (k = 0; k < n; k++) any |= (z[k] = x == values[k] ? 1.0f : 0.0f) != 0;
    return any;
}
"""
_MONTH = """\
/* The month, 1 to 12, of x seconds after 1970-01-01; -1 where x is missing. Counted from 1 March of
   year 0 in cycles of 400 years, 146097 days (H. Hinnant's civil_from_days). */
static double month_of(double x)
{
    const double days = floor(x / 86400) + 719468;
    long day, year, from_march;
    if (x != x) return -1;
    day = (long)(days - 146097 * floor(days / 146097));
    year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    from_march = (5 * (day - (365 * year + year / 4 - year / 100)) + 2) / 153;
    return (double)((from_march + 2) % 12 + 1);
}
"""
_WEEKDAY = """\
/* The weekday, Monday 1, of x seconds after 1970-01-01, a Thursday; -1 where x is missing. */
static double weekday_of(double x)
{
    const double days = floor(x / 86400) + 3;
    return x != x ? -1 : days - 7 * floor(days / 7) + 1;
}
"""
_HOUR = """\
/* The hour, 0 to 23, of x seconds after 1970-01-01; -1 where x is missing. */
static double hour_of(double x)
{
    return x != x ? -1 : floor((x - 86400 * floor(x / 86400)) / 3600);
}
"""
_HELPERS = {
    "squash(": _SQUASH,
    "one_hot(": _ONE_HOT,
    "month_of(": _MONTH,
    "weekday_of(": _WEEKDAY,
    "hour_of(": _HOUR,
}
"""Functions that go into the file where a column calls them."""


@dataclass
class Column:
    """A column on its way into C.

    Attributes
    ----------
    x, z : int
        The first places of its numbers in x and in z, the networks' inputs.
    means : str
        What its number in x is, for the head of the file.
    lines : list of str
        The statements that make its z.
    constants : list of str
        The arrays they need.
    """

    x: int
    z: int
    means: str = ""
    lines: list[str] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)

    def is_missing(self, z: int) -> None:
        """Let z be 1 where the value is missing, else 0."""
        self.lines.append(f"z[{z}] = x[{self.x}] != x[{self.x}] ? 1.0f : 0.0f;")

    def values(self, name: str, values: list[float]) -> str:
        """Add a constant array; return its name."""
        name = f"{name}_{self.x}"
        self.constants.append(array(name, np.array(values), "float64"))
        return name


def places(kind: Kind) -> int:
    """Return how many numbers of x a column takes.

    >>> places(Image(0, 4, 4)), places(Number(0, 1.0, 2.0, False))
    (48, 1)
    """
    return kind.n_outputs if isinstance(kind, Image) else 1


def preprocess(preprocessing: Preprocessing) -> tuple[str, list[str]]:
    """Return the C function ``preprocess(x, z)``, and what each number of x is.

    >>> code, described = preprocess(Preprocessing({"age": Number(0, 40.0, 10.0, False)}))
    >>> described
    ['x[0] age: number; NaN where missing']
    >>> "z[0] = squash(x[0], 40.0, 10.0);" in code
    True
    """
    lines, constants, described = [], [], []
    x = z = 0
    for name, kind in preprocessing.columns.items():
        column = Column(x, z)
        COLUMNS_IN_C[kind.kind](kind, column)
        constants += column.constants
        lines += [f"/* {comment(name)} */", *column.lines]
        last = x + places(kind) - 1
        where = f"x[{x}]" if last == x else f"x[{x}] to x[{last}]"
        described.append(f"{where} {name}: {column.means}")
        x, z = last + 1, z + kind.n_outputs
    body = "\n".join(f"    {line}" for line in lines)
    function = (
        "/* From x, the columns as they are, to z = A[0], the inputs of the network. */\n"
        f"static void preprocess(const double *x, float *z)\n{{\n{body}\n}}\n"
    )
    helpers = [text for call, text in _HELPERS.items() if call in body]
    return "\n".join([*helpers, *constants, function]), described


def _number(kind: Number, column: Column) -> None:
    column.means = "number; NaN where missing"
    scaled = f"squash(x[{column.x}], {real(kind.median)}, {real(kind.scale)})"
    column.lines.append(f"z[{column.z}] = {scaled};")
    if kind.missing:
        column.is_missing(column.z + 1)


def _binary(kind: Binary, column: Column) -> None:
    first, second = _values(kind, kind.values, column)
    x = f"x[{column.x}]"
    column.lines.append(
        f"z[{column.z}] = {x} == {real(second)} ? 1.0f : {x} == {real(first)} ? -1.0f : 0.0f;"
    )


def _category(kind: Category, column: Column) -> None:
    values = _values(kind, kind.categories, column)
    x, n = f"x[{column.x}]", len(values)
    rest = column.z + n
    call = ""
    if values:
        call = f"one_hot({x}, {column.values('categories', values)}, {n}, z + {column.z})"
    if kind.others:
        new = f"!{call} && {x} == {x}" if call else f"{x} == {x}"
        column.lines.append(f"z[{rest}] = {new} ? 1.0f : 0.0f;")
    elif call:
        column.lines.append(f"(void){call};")
    if kind.missing:
        column.is_missing(rest + (kind.others > 0))


def _values(kind: Binary | Category, texts: list[str], column: Column) -> list[float]:
    """The numbers that stand for these values in x: themselves, or their places."""
    if kind.from_numbers:
        column.means = f"the number, {', '.join(texts)} or another; NaN where missing"
        return [float(text) for text in texts]
    known = ", ".join(f'{k} for "{text}"' for k, text in enumerate(texts))
    column.means = f"{known}, -1 for any other; NaN where missing"
    return [float(k) for k in range(len(texts))]


def _date(kind: Date, column: Column) -> None:
    column.means = "date, in seconds since 1970-01-01 UTC; NaN where missing"
    x, z = f"x[{column.x}]", column.z
    column.lines.append(f"z[{z}] = squash({x}, {real(kind.median)}, {real(kind.scale)});")
    z += 1
    for name, own in (("month", kind.month), ("weekday", kind.weekday), ("hour", kind.hour)):
        if own:
            values = column.values(name, [float(k) for k in own])
            column.lines.append(f"(void)one_hot({name}_of({x}), {values}, {len(own)}, z + {z});")
        z += len(own)
    if kind.missing:
        column.is_missing(z)


def _image(kind: Image, column: Column) -> None:
    column.means = (
        f"image of {kind.height} x {kind.width} pixels from 0 to 255, row by row, each red, green, "
        "blue"
    )
    loop = f"int k; for (k = 0; k < {kind.n_outputs}; k++)"
    column.lines.append(f"{{ {loop} z[{column.z} + k] = (float)x[{column.x} + k] / 255.0f; }}")


COLUMNS_IN_C: dict[str, Callable[[Any, Column], None]] = {
    "number": _number,
    "binary": _binary,
    "category": _category,
    "date": _date,
    "image": _image,
}
"""For every kind of column what writes it."""
