"""What a unit responds to, as text and as pictures for a notebook."""

from __future__ import annotations

import base64
import struct
import zlib
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pellucid.insight.responds import Exciting, Response

Scale = tuple[Any, Any]
"""What is drawn darkest, and lightest."""

LARGEST = 12
"""Rows and columns of a patch that text shows; of larger ones the shape."""

CHANNELS = 8
"""Of a patch with more, the first are drawn."""

SHADES = " .:-=+*#%@"
"""From the smallest number of a patch to the largest."""

WIDE, HIGH = 120, 60
"""Pixels of a picture, and of a curve."""

_STYLE = (
    ".pellucid-responds{font:14px/1.4 system-ui,sans-serif;color-scheme:light dark}"
    ".pellucid-responds ul{display:flex;flex-wrap:wrap;gap:.8rem;list-style:none;padding:0}"
    ".pellucid-responds img{image-rendering:pixelated;display:block;"
    "border:1px solid color-mix(in srgb,currentColor 20%,transparent)}"
    ".pellucid-responds span{opacity:.8}"
    ".pellucid-responds polyline{fill:none;stroke:#1a7f37;stroke-width:1.5}"
    "@media(prefers-color-scheme:dark){.pellucid-responds polyline{stroke:#5fd38a}}"
)


def as_text(found: Response) -> str:
    """Return the numbers in lines, and small patches in shades."""
    lines = [f"What excites {found.title} most"]
    for each in found.best:
        lines.append(f"  {_words(each)}: a = {each.a:.4g}")
        lines += [f"      {line}" for line in _shaded(each.patch)]
    if found.maximising is None:
        lines.append("Word numbers cannot be changed little by little: no input is the best.")
    else:
        lines.append(f"Of all inputs of this size, {found.size:.4g}: {_of_all(found)}")
        lines += [f"      {line}" for line in _shaded(found.maximising)]
    return "\n".join(lines)


def as_html(found: Response) -> str:
    """Return the patches, each with its number, beside each other."""
    items = [(each.patch, _words(each), f"a = {each.a:.4g}") for each in found.best]
    drawn = _numbers if found.maximising is None else _drawn
    sizes = [each.patch for each in found.best if each.patch.size]
    scale = min(map(np.min, sizes), default=0.0), max(map(np.max, sizes), default=0.0)
    parts = [_item(drawn(patch, words, scale), words, number) for patch, words, number in items]
    patch = found.maximising
    if patch is not None:
        words = f"of all inputs of size {found.size:.4g}"
        scale = (patch.min(initial=np.inf), patch.max(initial=-np.inf))
        parts.append(_item(_drawn(patch, words, scale), words, _of_all(found)))
    shown = "".join(parts)
    return (
        f'<div class="pellucid-responds"><style>{_STYLE}</style>'
        f"<p>What excites {escape(found.title)} most</p><ul>{shown}</ul></div>"
    )


def _item(drawn: str, words: str, number: str) -> str:
    return f"<li>{drawn}<span>{escape(words)}<br>{escape(number)}</span></li>"


def _of_all(found: Response) -> str:
    return f"z = {found.z:.4g}"


def _words(each: Exciting) -> str:
    """Where it is: example 3, rows 2 to 4, columns 0 to 2."""
    axes = {1: ("steps",), 2: ("rows", "columns")}.get(len(each.field), ())
    parts = [
        f"{name} {first} to {end - 1}"
        for name, (first, end) in zip(axes, each.field, strict=len(axes) > 0)
    ]
    return ", ".join([f"example {each.example}", *parts])


def _shaded(patch: NDArray[Any]) -> list[str]:
    """The lines of a small patch of one channel: numbers of a sequence, shades of a picture."""
    if not patch.size:
        return ["padding alone"]
    if patch.ndim == 3 and patch.shape[2] == 1 and max(patch.shape) <= LARGEST:
        shades = _scaled(patch[:, :, 0], (patch.min(), patch.max()))
        steps = np.floor(shades * (len(SHADES) - 1e-9)).astype(int)
        return ["".join(SHADES[k] * 2 for k in row) for row in steps]
    if patch.size <= LARGEST:
        return [" ".join(f"{value:.3g}" for value in patch.ravel())]
    return [f"{' x '.join(map(str, patch.shape))} numbers, {patch.min():.3g} to {patch.max():.3g}"]


def _scaled(patch: NDArray[Any], scale: Scale) -> NDArray[np.float64]:
    """The numbers from 0 to 1; a half where all are equal."""
    patch = patch.astype(np.float64)
    low, high = map(float, scale)
    return np.full(patch.shape, 0.5) if high == low else (patch - low) / (high - low)


def _numbers(patch: NDArray[Any], words: str, scale: Scale) -> str:
    """Word numbers, as they are."""
    return f"<code>{' '.join(f'{value:g}' for value in patch.ravel())}</code><br>"


def _drawn(patch: NDArray[Any], words: str, scale: Scale) -> str:
    if not patch.size:
        return "padding alone<br>"
    if patch.ndim == 3:
        shown = _scaled(patch, scale)
        if shown.shape[2] != 3:  # channel beside channel
            shown = np.concatenate(
                [shown[:, :, [k] * 3] for k in range(min(shown.shape[2], CHANNELS))], axis=1
            )
        return _picture(shown, words)
    return _curves(_scaled(patch.reshape(len(patch), -1), scale), words)


def _picture(rgb: NDArray[np.float64], words: str) -> str:
    """A PNG within the page, a pixel a number."""
    rows, columns = rgb.shape[:2]
    scale = max(1, WIDE // rows)
    data = base64.b64encode(_png((rgb * 255).round().astype(np.uint8))).decode("ascii")
    return (
        f'<img width="{columns * scale}" height="{rows * scale}" alt="{escape(words)}" '
        f'src="data:image/png;base64,{data}">'
    )


def _png(rgb: NDArray[np.uint8]) -> bytes:
    """A picture of (rows, columns, 3) bytes as the content of a PNG file."""
    rows, columns = rgb.shape[:2]
    lines = b"".join(b"\x00" + row.tobytes() for row in rgb)
    head = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def _curves(scaled: NDArray[np.float64], words: str) -> str:
    """A curve for each feature, over the steps or units."""
    last = max(1, len(scaled) - 1)
    curves = []
    for curve in scaled[:, :CHANNELS].T:
        points = [f"{WIDE * k / last:.1f},{HIGH * (1 - v):.1f}" for k, v in enumerate(curve)]
        points = points * 2 if len(points) == 1 else points
        curves.append(f'<polyline points="{" ".join(points)}"/>')
    return (
        f'<svg viewBox="-4 -4 {WIDE + 8} {HIGH + 8}" width="{WIDE + 8}" role="img" '
        f'aria-label="{escape(words)}"><title>{escape(words)}</title>{"".join(curves)}</svg>'
    )
