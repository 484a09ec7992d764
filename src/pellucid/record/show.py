"""How an array came about, as a formula and as the same with its numbers put in."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.record.array import Array, Key
from pellucid.record.operations import OPERATIONS
from pellucid.record.volumes import Picture, Volume, pictures

DIGITS = 4
"""Of a number, where nothing asks for more."""

IN_A_ROW = 6
"""Constants in a row that are written out."""

_WITHOUT_LAYER = ("X", "dX", "x", "dx", "Y", "w", "L", "J")


@dataclass(frozen=True)
class Matrix:
    """A named array inside a formula; ``transposed`` where the formula has its transpose.

    Of its numbers so many ``digits`` are shown; where it has a ``volume``, as pictures. Arrays that
    stand below one another are one that is ``called`` "[a; x]".
    """

    key: Key
    values: NDArray[Any]
    transposed: bool = False
    digits: int = DIGITS
    volume: Volume | None = None
    called: str = ""

    @property
    def name(self) -> str:
        """What it is called: "W[1]^T"."""
        return (self.called or name(self.key)) + ("^T" if self.transposed else "")

    @property
    def shown(self) -> NDArray[Any]:
        """The numbers as they stand in the formula."""
        return self.values.T if self.transposed else self.values

    @property
    def pictures(self) -> list[Picture]:
        """Its pictures; none of a matrix."""
        return pictures(self.values, self.volume) if self.volume else []


Part = str | Matrix
"""What stands in a formula with its numbers: words and signs, or an array."""


@dataclass(frozen=True)
class Piece:
    """A piece of a formula: its text, and what stands there when the numbers are put in."""

    text: str
    part: Part


Pieces = list[Piece]

JUXTAPOSED, PRODUCT, OVER, MINUS = 2.5, 2, 1.5, 1.05
"""How tightly W A, A * B, sum_i A(i) and -A bind."""


def name(key: Key) -> str:
    """Return how an array is called: ``Z[1]``, ``X``, ``Z[1]<3>``; ``A*[1]`` is A[1] after a Scale.

    >>> name(("dW", 2)), name(("X", 0)), name(("Z", 1, 3)), name(("x", 0, 2))
    ('dW[2]', 'X', 'Z[1]<3>', 'x<2>')
    """
    letter, number, *step = key
    called = letter if letter in _WITHOUT_LAYER else f"{letter}[{number}]"
    return f"{called}<{step[0]}>" if step else called


def shown(value: Any, digits: int = DIGITS) -> str:
    """Return a number in four digits; in more where it is nearly 1, for 1 - a to be seen.

    >>> shown(0.123456), shown(-30.0), shown(1e-13), shown(0.99995460), shown(-0.0)
    ('0.1235', '-30', '1e-13', '0.9999546', '0')
    """
    number = float(np.asarray(value)) + 0.0  # -0 is 0
    text = f"{number:.{digits}g}"
    return f"{number:.{max(7, digits)}g}" if text in ("1", "-1") else text


def formula(x: Array) -> str:
    """Return how an array came about.

    >>> W, X = Array(np.ones((1, 2)), key=("W", 1)), Array(np.ones((2, 3)), key=("X", 0))
    >>> formula((2 * (W @ X**2)).T)
    '(2 W[1] X^2)^T'
    """
    return joined([piece.text for piece in pieces(x)])


def parts(x: Array) -> tuple[Part, ...]:
    """Return how an array came about with the numbers put in: words, and arrays between them."""
    found: list[Part] = []
    for piece in pieces(x):
        if isinstance(piece.part, str) and found and isinstance(found[-1], str):
            found[-1] = joined([found[-1], piece.part])
        elif piece.part != "":
            found.append(piece.part)
    return tuple(found)


def joined(texts: Sequence[str]) -> str:
    """Return the pieces of a formula as one text."""
    text = " ".join(each for each in texts if each)
    text = re.sub(rf"(?<=[([]) | (?=[]),^;])|(?<=[\w)\]]) (?={_INDEX})", "", text)
    return re.sub(r"\| (.*?) \|", r"|\1|", text)


_INDEX = r"\[(?:[-\d:,. ]|new|words|\[[\d x]+\])*\]"
"""What is taken of an array: ``[:1, 0:2]``, ``[:, [16 x 9]]``."""


def simplified(x: Array, *, named: bool = False) -> Array:
    """Return what an array is, without what changes none of its numbers.

    A cast, a bound that holds nothing back, a condition that holds everywhere, times 1. An array
    that has a name is left as it is, unless it is ``named`` that is asked about.
    """
    while x.operation is not None and x.inputs and (x.key is None or named):
        same, named = _unchanged(x), False
        if same is None:
            return x
        x = same
    return x


def _unchanged(x: Array) -> Array | None:
    assert x.operation is not None
    operation, inputs = x.operation.name, x.inputs
    if operation in ("same", "astype"):
        return inputs[0]
    if operation == "held" and np.array_equal(x.values, inputs[0].values, equal_nan=True):
        return inputs[0]
    if operation == "where":
        condition = np.asarray(inputs[0].values) > 0
        chosen = inputs[1] if condition.all() else inputs[2] if not condition.any() else None
        return chosen if chosen is not None and chosen.shape == x.shape else None
    if operation == "clip" and np.array_equal(x.values, inputs[0].values):
        return inputs[0]
    if operation in ("reshape", "broadcast_to") and x.shape == inputs[0].shape:
        return inputs[0]
    if operation == "sum":
        return _over_places(x)
    if operation in ("add", "subtract"):
        return _without_zero(x)
    if operation in ("multiply", "divide"):
        for one, other in ((inputs[1], inputs[0]), (inputs[0], inputs[1])):
            if _is_one(one) and other.shape == x.shape:
                return other
            if operation == "divide":
                break
    return None


def _over_places(x: Array) -> Array | None:
    """A sum over examples and then over their places, as one over the places of all examples."""
    places = x.inputs[0]
    if places.key is not None or places.operation is not OPERATIONS["by_place"]:
        return None
    total = places.inputs[0]
    along = {"axis": 1, "keepdims": True}
    if total.operation is not OPERATIONS["sum"] or not x.options == total.options == along:
        return None
    return Array(
        x.values, x.operation, (total.inputs[0].whole("by_place", **places.options),), along
    )


def _without_zero(x: Array) -> Array | None:
    """A sum of which one part is 0 whatever the numbers are: a penalty that a layer has not."""
    assert x.operation is not None
    left, right = x.inputs
    if _is_zero(right) and left.shape == x.shape:
        return left
    if _is_zero(left) and right.shape == x.shape:
        is_sum = x.operation.name == "add"
        return right if is_sum else Array(x.values, OPERATIONS["negative"], (right,))
    return None


def _is_zero(x: Array) -> bool:
    """Whether it is 0 whatever the numbers are: a factor 0, a state that starts from 0."""
    held = x.operation is not None and x.operation.name == "held"
    if x.key is None and (x.operation is None or held) and x.ndim == 2:
        return not np.any(x.values)
    x = x if x.is_number or x.operation is None or x.key is not None else simplified(x)
    if x.is_number:
        return x.key is None and x.values is not None and bool(x.values == 0)
    is_product = x.key is None and x.operation is not None and x.operation.name == "multiply"
    return is_product and any(
        (each.is_number or each.operation is None) and _is_zero(each) for each in x.inputs
    )


def _is_one(x: Array) -> bool:
    return x.key is None and x.operation is None and x.is_number and x.values == 1


def pieces(x: Array) -> Pieces:
    """Return the formula of an array in pieces."""
    same = simplified(x, named=True)
    whole = same is x or (same.key is None and bool(stacked(same)))
    return _pieces_of(same, "")[0] if whole else inner(same, "", 0)


def inner(x: Array, suffix: str, tight: float) -> Pieces:
    """The pieces of an input, in parentheses where it binds less tightly."""
    x = laid_out(simplified(x))
    if x.key is not None or x.operation is None:
        return _leaf(x, suffix)
    if (below := stacked(x)) and all(each.ndim == 2 and _is_leaf(each) for each in below):
        called = joined([piece.text for piece in _pieces_of(x, suffix)[0]])
        return [Piece(called, Matrix(("", 0), x.values, called=called))]
    found, rank = _pieces_of(x, suffix)
    return found if rank >= tight else [Piece("(", "("), *found, Piece(")", ")")]


def laid_out(x: Array) -> Array:
    """Return what an array is but for how examples are laid out.

    A named one has the numbers as they stand here, a column for each place or for each example.
    """
    of = x
    while of.key is None and of.operation is not None and of.operation.name in LAID_OUT:
        of = simplified(of.inputs[0])
    named = of is not x and (of.key is not None or of.operation is None)
    values = x.values if x.ndim == 2 else of.values
    return Array(values, key=of.key, text=of.text) if named else of


def stacked(x: Array) -> list[Array]:
    """Return the arrays that stand below one another in this one; none where it is none of these.

    >>> import numpy as np
    >>> a, x = Array(np.ones((1, 2)), key=("a", 1, 0)), Array(np.ones((1, 2)), key=("x", 0, 1))
    >>> [name(each.key) for each in stacked(np.concatenate([a, x]))]
    ['a[1]<0>', 'x<1>']
    """
    if x.operation is None:
        return []
    if x.operation.name == "concat" and x.options.get("axis", 0) == 0:
        return list(x.inputs)
    if x.operation.name != "transpose" or x.options:
        return []
    of = x.inputs[0]
    if of.operation is not None and of.operation.name == "concat" and of.options.get("axis") == 1:
        rows = [each for each in of.inputs if each.operation and each.operation.name == "transpose"]
        return [each.inputs[0] for each in rows] if len(rows) == len(of.inputs) else []
    return []


def _is_leaf(x: Array) -> bool:
    x = laid_out(simplified(x))
    return x.key is not None or x.operation is None


def at_places(x: Array) -> bool:
    """Return whether a column of an array stands for one place of an example."""
    if x.operation is None or (x.operation.name != "by_place" and x.key is not None):
        return False
    return x.operation.name == "by_place" or any(map(at_places, x.inputs))


def is_of_places(x: Array) -> bool:
    """Return whether an array has a row for each place and nothing else: their losses."""
    while x.operation is not None and x.operation.name in LAID_OUT:
        if x.operation.name == "unrolled" and x.inputs[0].shape[0] == 1:
            return True
        x = simplified(x.inputs[0])
    return False


def _leaf(x: Array, suffix: str) -> Pieces:
    if x.is_number:
        number = f"{float(x.values):g}" if x.values is not None else ""
        return [Piece(x.text or (x.key[0] if x.key else number), number)]
    key = x.key or ("c", id(x))
    called = x.text or (name(key) if x.key else _size(x.values))
    if x.ndim != 2:
        return [Piece(called, called)]
    return [Piece(called + suffix, Matrix(key, x.values))]


def _size(values: Any) -> str:
    if np.ndim(values) == 1 and np.size(values) <= IN_A_ROW:
        return f"[{', '.join(map(shown, values))}]"
    return f"[{' x '.join(map(str, np.shape(values)))}]"


def _pieces_of(x: Array, suffix: str) -> tuple[Pieces, float]:
    """The pieces of how an array came about, and how tightly they bind."""
    if x.operation is None:
        return _leaf(x, suffix), 9
    if x.operation.kind == "function":
        called = Piece(f"{x.options.get('called', x.operation.name)}(", f"{x.operation.name}(")
        return [called, *inner(x.inputs[0], suffix, 0), Piece(")", ")")], 9
    if x.is_number and x.key is None and not _has_arrays(x):
        return _of_numbers(x)
    special = _SPECIAL.get(x.operation.name)
    found = special(x, suffix) if special is not None else None
    return found if found is not None else _by_template(x, suffix)


def _has_arrays(x: Array) -> bool:
    return not x.is_number or any(map(_has_arrays, x.inputs))


def _of_numbers(x: Array) -> tuple[Pieces, float]:
    """What was computed of numbers alone: its text, and the number itself."""
    found, rank = _by_template(x, "")  # the table writes a product side by side
    text = joined([piece.text for piece in found])
    beside = x.operation is not None and x.operation.name == "multiply"
    return [Piece(text, f"{float(x.values):g}")], JUXTAPOSED if beside else rank


def _by_template(x: Array, suffix: str) -> tuple[Pieces, float]:
    """As the table of operations writes it: max({0}, {1})."""
    assert x.operation is not None
    shown, rank = x.operation.written or x.operation.shown, x.operation.rank
    if x.operation.name == "concat":
        shown = f"[{', '.join(f'{{{k}}}' for k in range(len(x.inputs)))}]"
    found: Pieces = []
    for place, text in enumerate(re.split(r"{(\d+)}", shown)):
        if place % 2 == 0:
            found += [Piece(text.strip(), text.strip())] if text.strip() else []
        elif int(text) < len(x.inputs):
            tight = 0 if rank == 9 else rank + 0.1 * (int(text) > 0)
            found += inner(x.inputs[int(text)], suffix, tight)
    return found, rank


def _concat(x: Array, suffix: str) -> tuple[Pieces, float] | None:
    """What stands below one another: [a; x]; of many the first two and the last."""
    if not (below := stacked(x)):
        return None
    found: Pieces = [Piece("[", "[")]
    for k, each in enumerate(below):
        if len(below) <= IN_A_ROW or k < 2 or k == len(below) - 1:
            found += [*inner(each, suffix, 0), Piece(";", ";")]
        elif k == 2:
            found += [Piece("...", "..."), Piece(";", ";")]
    return [*found[:-1], Piece("]", "]")], 9


def _added(x: Array, suffix: str) -> tuple[Pieces, float] | None:
    """Of a long sum over the steps the first two and the last; its text is a sum over t."""
    terms = _terms_of(x)
    keys = {each.key[:2] if each.key and len(each.key) == 3 else None for each in terms}
    if len(terms) <= IN_A_ROW or len(keys) != 1 or None in keys:
        return None
    key = terms[0].key or ("", 0)
    found: Pieces = [Piece(f"sum_t {name(key[:2])}<t>", "")]
    for each in (terms[0], terms[1], terms[-1]):
        plus = f"+ ... {len(terms) - 3} more ... +" if each is terms[-1] else "+"
        found += [Piece("", plus)] * (len(found) > 1) + [Piece("", inner(each, "", 1)[0].part)]
    return found, OVER


def _terms_of(x: Array) -> list[Array]:
    """What is added up, one after the other."""
    x = simplified(x)
    if x.key is not None or x.operation is None or x.operation.name != "add":
        return [x]
    return [*_terms_of(x.inputs[0]), simplified(x.inputs[1])]


def _matmul(x: Array, suffix: str) -> tuple[Pieces, float]:
    left, right = x.inputs
    return _side_by_side(left, right, suffix), JUXTAPOSED


def _side_by_side(left: Array, right: Array, suffix: str) -> Pieces:
    return inner(left, suffix, JUXTAPOSED) + inner(right, suffix, JUXTAPOSED + 0.1)


def _multiply(x: Array, suffix: str) -> tuple[Pieces, float]:
    left, right = x.inputs
    if right.is_number and not left.is_number:
        left, right = right, left
    if left.is_number:
        return inner(left, "", JUXTAPOSED) + inner(right, suffix, OVER), _rank_of(right)
    if left is right:
        return [*inner(left, suffix, 4.5), Piece("^2", "^2")], 4
    star, of = Piece("*", "*"), simplified(right)
    is_product = of.operation is not None and of.operation.name == "multiply"
    tight = PRODUCT if is_product else PRODUCT + 0.1  # a * (b * c) is a * b * c
    return [*inner(left, suffix, PRODUCT), star, *inner(right, suffix, tight)], PRODUCT


def _divide(x: Array, suffix: str) -> tuple[Pieces, float] | None:
    """By a number: (1/m) before what is divided, as the lectures write it."""
    left, right = x.inputs
    if not right.is_number or left.is_number:
        return None
    found = inner(right, "", 9)
    by = joined([piece.text for piece in found])
    text = f"(1/{by})" if simplified(right).key else f"1/{by}"
    one = Piece(text, f"1/{float(right.values):g}")
    return [one, *inner(left, suffix, OVER)], _rank_of(left)


def _rank_of(x: Array) -> float:
    """How tightly a number times this binds."""
    x = simplified(x)
    over = x.key is None and x.operation is not None and x.operation.name in _ALONG
    return OVER if over else PRODUCT


def _transpose(x: Array, suffix: str) -> tuple[Pieces, float] | None:
    if "axes" in x.options:
        return None
    of = laid_out(simplified(x.inputs[0]))
    if stacked(x):
        return _concat(x, suffix)
    if (pooled := _pooled(of)) is not None:
        word, S = pooled
        return [Piece(word, word), *inner(S.inputs[0], suffix, PRODUCT)], OVER
    found = inner(of, suffix, 4.5)
    if len(found) > 1 or not isinstance(found[0].part, Matrix):
        return [*found, Piece("^T", "^T")], 4
    matrix = found[0].part
    return [Piece(f"{found[0].text}^T", replace(matrix, transposed=not matrix.transposed))], 4


def _power(x: Array, suffix: str) -> tuple[Pieces, float] | None:
    if not x.inputs[1].is_number:
        return None
    exponent = joined([piece.text for piece in inner(x.inputs[1], "", 9)])
    raised = Piece(f"^{exponent}", f"^{float(x.inputs[1].values):g}")
    return [*inner(x.inputs[0], suffix, 4.5), raised], 4


def _negative(x: Array, suffix: str) -> tuple[Pieces, float]:
    first, *others = inner(x.inputs[0], suffix, OVER)
    return [Piece("", "-"), Piece(f"-{first.text}", first.part), *others], MINUS


_ALONG = {
    "sum": ("sum", "sum"),
    "mean": ("mean", "mean"),
    "max": ("max", "largest"),
    "min": ("min", "smallest"),
}


def _reduced(x: Array, suffix: str) -> tuple[Pieces, float] | None:
    """Over the examples, sum_i dZ(i); over their places, sum_p dZ_p; over the units, sum_j A_j."""
    assert x.operation is not None
    short, long = _ALONG[x.operation.name]
    axis = x.options.get("axis")
    if suffix or x.inputs[0].ndim != 2 or not isinstance(axis, (int, np.integer)):
        return None
    over, of, each = ("i", "columns", "(i)") if axis in (1, -1) else ("j", "rows", "_j")
    if over == "i" and at_places(x.inputs[0]):
        over, each = "p", "_p"
    if over == "j" and is_of_places(x.inputs[0]):
        over, of, each = "p", "places", ""
    word = Piece(f"{short}_{over}", f"{long} of the {of} of")
    return [word, *inner(x.inputs[0], each, PRODUCT)], OVER


LAID_OUT = (
    "by_place", "unrolled", "held", "carried_on", "by_channel", "of_patches", "by_window",
)  # fmt: skip
"""Operations that lay examples out, and put 0 where one has no step: formulas leave them out."""


def windows(x: Array) -> Array | None:
    """Return what the windows of a pool see, be it with a number for steps that are not there."""
    while x.operation is not None and x.operation.name == "where":
        x = x.inputs[1]
    return x if x.operation is not None and x.operation.name == "windows" else None


def _pooled(x: Array) -> tuple[str, Array] | None:
    """What is made of the windows of a pool, and what these see; a mean may be of those there."""
    word = "" if x.operation is None else x.operation.name
    if word == "divide":
        x, word = simplified(x.inputs[0]), "mean"
    if x.operation is None or x.operation.name not in _ALONG:
        return None
    S = windows(x.inputs[0])
    return None if S is None else (f"{_ALONG[word][0]} over windows of", S)


def _only_laid_out(x: Array, suffix: str) -> tuple[Pieces, float]:
    of = simplified(x.inputs[0])
    if of.key is not None or of.operation is None:
        return _leaf(Array(x.values, key=of.key, text=of.text), suffix), 9
    return _pieces_of(of, suffix)


def _take(x: Array, suffix: str) -> tuple[Pieces, float]:
    """Of an array with a name only what was taken is shown; sigmoid(Z)[1:2] is sigmoid(Z[1:2])."""
    of, at = simplified(x.inputs[0]), x.options.get("at")
    if of.key is None and of.operation is not None:
        if of.operation.kind == "each" and len(of.inputs) == 1 and x.ndim == 2:
            taken = of.inputs[0].record("take", of.inputs[0], at=at)
            return _pieces_of(Array(x.values, of.operation, (taken,), of.options), suffix)
        within = of.options.get("at") if of.operation.name == "take" else None
        if isinstance(at, slice) and isinstance(within, slice):
            rows = range(len(of.inputs[0]))[within][at]
            return _take(of.inputs[0].record("take", of.inputs[0], at=_slice(rows)), suffix)
    index = f"[{', '.join(map(_place, at if isinstance(at, tuple) else (at,)))}]"
    found = inner(of, "", 9)
    if len(found) == 1 and isinstance(found[0].part, Matrix) and x.ndim == 2:
        called = found[0].text + index
        part = replace(found[0].part, values=x.values, transposed=False, called=called)
        return [Piece(called + suffix, part)], 9
    return [*found, Piece(index, index)], 9


def _slice(rows: range) -> slice:
    return slice(rows.start, rows.stop, None if rows.step == 1 else rows.step)


def _place(at: Any) -> str:
    if isinstance(at, slice):
        ends = [at.start, at.stop] + ([at.step] if at.step is not None else [])
        return ":".join("" if end is None else str(end) for end in ends)
    return {Ellipsis: "...", None: "new"}.get(at, str(at)) if _hashable(at) else _size(at)


def _hashable(at: Any) -> bool:
    return at is None or at is Ellipsis or isinstance(at, (int, np.integer))


_SPECIAL: dict[str, Callable[[Array, str], tuple[Pieces, float] | None]] = {
    "add": _added,
    "concat": _concat,
    "matmul": _matmul,
    "multiply": _multiply,
    "divide": _divide,
    "transpose": _transpose,
    "power": _power,
    "negative": _negative,
    "take": _take,
    **dict.fromkeys(LAID_OUT, _only_laid_out),
    **dict.fromkeys(_ALONG, _reduced),
}
"""Operations that formulas of the lectures write in a way of their own."""
