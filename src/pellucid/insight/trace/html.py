"""A trace as a page of its own: formulas and matrices in MathML, no scripts, nothing loaded."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from pellucid.insight.trace.text import count, labels, left_out, shapes
from pellucid.record import DIGITS, Matrix, Picture, mathml, name, pictures, shown
from pellucid.record.layout import PICTURES, picked

if TYPE_CHECKING:
    from pellucid.insight.trace.passes import Step
    from pellucid.insight.trace.trace import Trace

ROWS, COLUMNS = 8, 8
"""Larger matrices show their first rows and columns, and the last."""

LONGEST = 60
"""Characters of a formula that stands on one line."""

_STYLE = """
.pellucid-trace{font:16px/1.5 system-ui,sans-serif;color-scheme:light dark;max-width:70rem}
.pellucid-trace section{border-top:1px solid color-mix(in srgb,currentColor 20%,transparent);
 padding:.6rem 0}
.pellucid-trace h3{margin:0;font-size:1rem;font-weight:600;overflow-x:auto;overflow-y:hidden}
.pellucid-trace p{margin:.2rem 0;opacity:.8}
.pellucid-trace .numbers{overflow-x:auto;padding:.3rem 0;display:flex;align-items:center}
.pellucid-trace mtd{padding:.1em .5em;font-variant-numeric:tabular-nums}
.pellucid-trace .picture{border:1px solid;padding:.15em 0;margin:0 .15em}
.pellucid-trace .shape{font-size:.85em}
@media print{
 @page{size:A4;margin:15mm}
 .pellucid-trace{font-size:10pt}
 .pellucid-trace section{break-inside:avoid}
 .pellucid-trace h2{break-after:avoid}
 .pellucid-trace h3,.pellucid-trace .numbers{overflow:visible}
 .pellucid-trace h3 math{font-size:.8em}
 .pellucid-trace .numbers{flex-wrap:wrap;font-size:.75em}
}
"""


def page(trace: Trace) -> str:
    """Return a whole HTML document."""
    title = escape(trace.title or repr(trace).strip("<>"))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>body{{margin:1rem auto;padding:0 1rem;max-width:70rem}}"
        f":root{{color-scheme:light dark}}h1{{overflow-wrap:anywhere}}</style></head>"
        f"<body><main><h1>{title}</h1>"
        f"{fragment(trace)}</main></body></html>\n"
    )


def fragment(trace: Trace) -> str:
    """Return what stands in a notebook's cell or inside another page."""
    n = "-".join(map(str, trace.network.n))
    m = trace.cache.X.shape[1]
    head = f"<p>{n}, {count(m)}, loss {escape(trace.loss.name)}, {_math(f'J = {trace.J:.6g}')}</p>"
    given = "".join(_given(trace, letter) for letter in ("X", "Y"))
    parts = [f'<div class="pellucid-trace"><style>{_STYLE}</style>{head}{given}']
    for title, steps in trace.sections().items():
        parts.append(f"<h2>{title}</h2>")
        parts += [_section(step) for step in steps]
    return "".join([*parts, "</div>"])


def _given(trace: Trace, letter: str) -> str:
    values, volume = trace.Y if letter == "Y" else trace.cache.X, trace.volumes.get((letter, 0))
    if volume is not None:
        return _numbers(_math(f"{letter} = ", _album(pictures(values, volume))), letter)
    return _numbers(_math(f"{letter} = ", _matrix(values) + _names(trace.names[letter])), letter)


def step_fragment(step: Step) -> str:
    """Return what one step shows of itself in a notebook's cell."""
    return f'<div class="pellucid-trace"><style>{_STYLE}</style>{_section(step)}</div>'


def _section(step: Step) -> str:
    result_shown = _album(step.pictures) or _matrix(step.shown) + _names(list(step.names))
    blocks = [*map(_part, step.parts), f"<mo>=</mo>{result_shown}"]
    numbers = "".join(f"<math><mrow>{block}</mrow></math>" for block in blocks)
    result = escape(name(step.key))
    before = f"<p>{left_out(step)}</p>" if step.left_out else ""
    return (
        f'{before}<section aria-label="{result}"><h3 tabindex="0">{_formula(step.formula)}</h3>'
        f'<p class="shape">{escape(shapes(step, "×"))}</p><p>{escape(step.why)}</p>'
        f"{_numbers(numbers, f'{result} with its numbers')}</section>"
    )


def _formula(formula: str) -> str:
    """A long formula in pieces, so that a line can break before = + - and after a comma."""
    depth, pieces = 0, [""]
    for before, sign, after in zip(f" {formula}", formula, f"{formula[1:]} ", strict=False):
        depth += (sign in "([") - (sign in ")]")
        if depth == 0 and after == " " and before == " " and sign in "=+-":
            pieces.append("")
        pieces[-1] += sign
        if depth == 0 and sign == ",":
            pieces.append("")
    return " ".join(map(_math, pieces)) if len(formula) > LONGEST else _math(formula)


def _numbers(numbers: str, label: str) -> str:
    """A row that scrolls where it is too wide, by keyboard too."""
    return f'<div class="numbers" tabindex="0" role="group" aria-label="{label}">{numbers}</div>'


def _names(names: list[str]) -> str:
    """What each row is, beside the matrix."""
    rows = "".join(
        f"<mtr><mtd style='text-align:left'><mtext>{escape(each) or '⋮'}</mtext></mtd></mtr>"
        for each in labels(names, ROWS)
    )
    return f"<mtable>{rows}</mtable>" if names else ""


def _part(part: str | Matrix) -> str:
    if isinstance(part, Matrix):
        return _album(part.pictures) or _matrix(part.shown, part.digits)
    return f"<mspace width='0.3em'/>{mathml(part)}<mspace width='0.3em'/>"


def _album(found: list[Picture]) -> str:
    """Pictures beside each other, what each is above it; of many the first."""
    blocks = []
    for each in found[:PICTURES]:
        drawn = f'<mtable class="picture">{_rows(each.values)}</mtable>'
        label = f"<mtext>{escape(each.label)}</mtext>"
        blocks.append(f"<mover>{drawn}{label}</mover>" if each.label else drawn)
    if len(found) > PICTURES:
        blocks.append(f"<mtext>… {len(found) - PICTURES} more</mtext>")
    between = '<mspace width="0.5em"/>'
    return f"<mrow>{between.join(blocks)}</mrow>" if blocks else ""


def _matrix(values: NDArray[Any], digits: int = DIGITS) -> str:
    if values.ndim == 0:
        return f"<mn>{escape(shown(values))}</mn>"
    return f"<mrow><mo>[</mo><mtable>{_rows(values, digits)}</mtable><mo>]</mo></mrow>"


def _rows(values: NDArray[Any], digits: int = DIGITS) -> str:
    rows, columns = picked(len(values), ROWS), picked(values.shape[1], COLUMNS)
    lines = []
    for row in rows:
        cells = "".join(f"<mtd>{_cell(values, row, column, digits)}</mtd>" for column in columns)
        lines.append(f"<mtr>{cells}</mtr>")
    return "".join(lines)


def _cell(values: NDArray[Any], row: int | None, column: int | None, digits: int) -> str:
    if row is None or column is None:
        return f"<mo>{'⋱' if row is None and column is None else '⋮' if row is None else '⋯'}</mo>"
    if math.isnan(values[row, column]):
        return "<mo>·</mo>"
    return f"<mn>{shown(values[row, column], digits).replace('-', '−')}</mn>"


def _math(formula: str, more: str = "") -> str:
    return f"<math><mrow>{mathml(formula)}{more}</mrow></math>"
