"""The charts of the report: matplotlib's, as SVG that takes the page's colours and font.

Charts are drawn in the stand-in colours below; in the SVG each becomes a variable of the page's
style sheet, so that a chart is legible on a light and on a dark screen and in print. They hold
numbers and fixed words alone: no name out of a table can get into them.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, LINE, ONE, TWO = (f"#00000{k}" for k in range(1, 6))
VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    ONE: "var(--one)",
    TWO: "var(--two)",
}

STYLE: Any = {
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.formatter.use_mathtext": False,
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "font.family": "sans-serif",
    "font.sans-serif": "DejaVu Sans",  # matplotlib's own, for the measures; the page has another
    "font.size": 9,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelsize": 9,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.color": MUTED,
    "ytick.labelsize": 9,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
}
WIDTH, HEIGHT = 4.2, 3.1
"""Inches of 72 units: at a phone's width the text is about 11 pixels high."""
MOST_POINTS = 1000
"""Points a line or a cloud is thinned to."""


def learning_curves(
    curves: Sequence[Mapping[str, Sequence[float]]],
    best: Sequence[int],
    name: str,
) -> str:
    """Draw one quantity by epoch for each network: training, validation, the best epochs marked."""
    from matplotlib.ticker import LogLocator

    values = [
        v
        for each in curves
        for key in (name, f"val_{name}")
        for v in each.get(key, ())
        if math.isfinite(v)
    ]
    logarithmic = bool(values) and min(values) > 0 and max(values) > 30 * min(values)
    thin: dict[str, Any] = {"linewidth": 0.8, "alpha": 0.7} if len(curves) > 1 else {}

    def draw(axes: Axes) -> None:
        for each, epoch in zip(curves, best, strict=True):
            for key, color in ((name, TWO), (f"val_{name}", ONE)):
                y = np.asarray(each.get(key, ()), dtype=float)
                x = np.arange(1, len(y) + 1)
                marker = "o" if len(y) == 1 else None
                kept = _thinned(len(y))
                axes.plot(x[kept], y[kept], color=color, marker=marker, markersize=3, **thin)
                if key != name and 1 <= epoch <= len(y):
                    axes.plot(epoch, y[epoch - 1], "o", color=color, markersize=4.5)
        if logarithmic:
            few = max(values) < 1000 * min(values)
            axes.set_yscale("log", subs=[])
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
            axes.yaxis.set_major_formatter(lambda v, _: f"{v:g}")
            axes.yaxis.set_minor_formatter("")
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel("epoch")

    return _chart(draw, f"{name} by epoch", f"learning {name}")


def calibration(bins: Sequence[Mapping[str, Any]]) -> str:
    """Draw how often what was said with a probability was so, and how many rows said it."""
    bins = [each for each in bins if each["rows"]]
    p = np.array([each["stated"] for each in bins], dtype=float)
    share = np.array([each["true"] for each in bins], dtype=float)
    rows = np.array([each["rows"] for each in bins], dtype=float)
    low, high = wilson(share, rows)

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, dashes=(4, 3))
        axes.vlines(p, low, high, color=ONE, linewidth=1.1, alpha=0.6)
        axes.plot(p, share, "o", color=ONE, markersize=5)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel="how often it came true")
        axes.tick_params(labelbottom=False)

    def draw_rows(axes: Axes) -> None:
        edges = [each["low"] for each in bins]
        widths = [each["high"] - each["low"] for each in bins]
        axes.bar(edges, rows, np.array(widths) * 0.9, align="edge", color=ONE, alpha=0.45)
        axes.set(xlim=(-0.02, 1.02), xlabel="probability given", ylabel="rows")
        axes.grid(False, axis="x")
        axes.locator_params(axis="y", nbins=2)

    return _chart(
        draw, "how often it came true, by the probability given", "calibration", draw_rows
    )


def wilson(share: Any, n: Any) -> tuple[Any, Any]:
    """Return Wilson's 95 % interval of a share of n rows.

    >>> low, high = wilson(np.array([0.5]), np.array([100]))
    >>> low.round(3), high.round(3)
    (array([0.404]), array([0.596]))
    """
    z = 1.96
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return middle - half, middle + half


def roc(false_positive_rate: Sequence[float], true_positive_rate: Sequence[float]) -> str:
    """Draw the share of one class found against the share of false alarms."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, dashes=(4, 3))
        axes.plot(false_positive_rate, true_positive_rate, color=ONE)
        axes.fill_between(false_positive_rate, true_positive_rate, color=ONE, alpha=0.12, lw=0)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.set(xlabel="false alarms", ylabel="found")

    return _chart(draw, "share found against share of false alarms", "roc")


def predicted_against_actual(y: Any, predicted: Any) -> str:
    """Draw each row's prediction against its true value; on the diagonal both are the same."""

    def draw(axes: Axes) -> None:
        ends = [min(y.min(), predicted.min()), max(y.max(), predicted.max())]
        axes.plot(ends, ends, color=MUTED, linewidth=0.8, dashes=(4, 3))
        axes.plot(y, predicted, "o", color=ONE, **_dots(len(y)))
        axes.set(xlabel="actual", ylabel="predicted")
        _label_numbers(axes)

    return _chart(draw, "predicted against actual values", "predicted")


def residuals(y: Any, predicted: Any) -> str:
    """Draw each row's error, predicted minus actual, by its prediction."""

    def draw(axes: Axes) -> None:
        axes.axhline(0, color=MUTED, linewidth=0.8, dashes=(4, 3))
        axes.plot(predicted, predicted - y, "o", color=ONE, **_dots(len(y)))
        axes.set(xlabel="predicted", ylabel="error (predicted − actual)")
        _label_numbers(axes)

    return _chart(draw, "errors by predicted value", "residuals")


def _label_numbers(axes: Axes) -> None:
    """Few ticks, so that labels have room; 150,000 rather than 150000."""
    axes.locator_params(nbins=5)
    for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        if 10_000 <= max(map(abs, limits)) < 10_000_000 and limits[1] - limits[0] > 100:
            axis.set_major_formatter("{x:,.0f}")


def _dots(n: int) -> dict[str, Any]:
    """Size and opacity of n dots: the more, the fainter."""
    return {
        "markersize": 3.2 if n < 300 else 2.4,
        "markeredgewidth": 0,
        "alpha": 0.7 if n < 300 else 0.4,
    }


def _thinned(n: int) -> Any:
    """Positions of at most MOST_POINTS of n values, the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, min(n, MOST_POINTS)).astype(int))


def _chart(draw: Any, label: str, key: str, draw_below: Any = None) -> str:
    """Return the SVG of a chart, or of one above another that shares its x."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({**STYLE, "svg.hashsalt": key}):
        if draw_below is None:
            figure = Figure(figsize=(WIDTH, HEIGHT))
            draw(figure.subplots())
        else:
            figure = Figure(figsize=(WIDTH, HEIGHT * 1.25))
            above, below = figure.subplots(2, 1, height_ratios=(3.2, 1))
            draw(above)
            draw_below(below)
        return _svg(figure, label)


def _svg(figure: Figure, label: str) -> str:
    """Return a figure as SVG to stand in a page: no foreign names, its colours and font."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    size = re.search(r'viewBox="([^"]*)"', text)
    assert size is not None
    text = text[text.index(">") + 1 :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<style.*?</style>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<g id=\"[^\"]*\"", "<g", text)  # figure_1, axes_1, ... in every figure
    text = text.replace("xlink:href", "href")
    text = re.sub(r" font-family: [^;]*;", "", text)
    text = re.sub(r" transform=\"rotate\(-0 [^\"]*\"", "", text)
    text = re.sub(r'="[^"]*"', _rounded, text)  # not the numbers at the axes
    text = re.sub(r"\s*\n\s*", "\n", text)
    text = _one_style(text)
    for color, variable in VARIABLES.items():
        text = text.replace(color, variable)
    return f'<svg viewBox="{size[1]}" role="img" aria-label="{label}">{text}'


def _rounded(attribute: re.Match[str]) -> str:
    return re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", attribute[0])


def _one_style(text: str) -> str:
    """Move the style that many markers repeat to the shape they share."""
    uses = re.compile(r'<use href="#(\w+)"([^>]*?) style="([^"]*)"/>')
    styles: dict[str, set[str]] = {}
    for name, _, style in uses.findall(text):
        styles.setdefault(name, set()).add(style)
    for name, found in styles.items():
        if len(found) == 1:
            text = re.sub(rf'(<use href="#{name}"[^>]*?) style="[^"]*"/>', r"\1/>", text)
            shape = rf'(<path id="{name}"[^>]*?)(?: style="[^"]*")?/>'
            text = re.sub(shape, rf'\1 style="{found.pop()}"/>', text)
    return text
