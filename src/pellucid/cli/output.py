"""What the commands print and write: text, tables, JSON, CSV.

What goes to a terminal leaves by :func:`say`, :func:`complain`, the rows of a :func:`grid`,
:func:`print_json` or :func:`print_data`: there control characters in names and cells are made
visible (:mod:`pellucid._shown`) and long ones are cut. What is written to a file or into a pipe is
data, and exact.
"""

from __future__ import annotations

import contextlib
import csv
import re
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pellucid._shown import escaped, lines, quoted, short

MOST, MOST_CELL = 1_999, 200
"""Characters of a line, and of a cell of a table, for people."""

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as Grid

    from pellucid.tables.evaluate import Metrics


def console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Return a console that prints texts as they are."""
    from rich.console import Console

    return Console(stderr=stderr, quiet=quiet, highlight=False, markup=False, emoji=False)


def say(console: Console, text: str = "", *, whole: bool = False) -> None:
    """Print a line, wrapped between words on a terminal and left as it is elsewhere.

    With ``whole`` the text has several lines, and none is cut.
    """
    shown = lines(text) if whole else short(text, MOST)
    console.print(shown, soft_wrap=not console.is_terminal)


def complain(message: str) -> None:
    """Print a message on stderr under the program's name."""
    say(console(stderr=True), f"pellucid: {message}")


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout: the same data, but all that is invisible as its escape."""
    from pellucid.persistence.strict_json import encode

    text = encode(value, indent=2).decode()
    typer.echo("\n".join(map(escaped, text.split("\n"))))


def print_data(text: str) -> None:
    """Print data on stdout, exact, but visible where that is a terminal, as ``ls`` does."""
    typer.echo(lines(text) if sys.stdout.isatty() else text, nl=False)


def to_csv(header: Iterable[str], rows: Iterable[Iterable[Any]], *, safe: bool = False) -> str:
    r"""Return rows as CSV, exact; or ``safe`` for spreadsheets, as OWASP recommends.

    >>> to_csv(["a", "b"], [[1, "=1+1"]]), to_csv(["a"], [["=1+1"], ["-1.5"]], safe=True)
    ('a,b\n1,=1+1\n', '"a"\n"\'=1+1"\n"-1.5"\n')
    """
    text = _Lines()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL if safe else csv.QUOTE_MINIMAL)
    writer.writerow(header)
    writer.writerows((map(_no_formula, row) for row in rows) if safe else rows)
    return "".join(text)


class _Lines(list[str]):
    r"""Rows that end in \n; csv must believe in \r\n, or it puts no quotes around a \r."""

    def write(self, row: str) -> None:
        self.append(f"{row[:-2]}\n")


def _no_formula(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula; plain numbers stay."""
    if not isinstance(cell, str) or not cell.startswith(_FORMULA) or _NUMBER.fullmatch(cell):
        return cell
    return f"'{cell}"


_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?(e[+-]?\d+)?")


def write_text(path: Path, text: str, overwrite: bool) -> None:
    """Write a text file, whole or not at all."""
    from pellucid._files import made_folders, write_atomically

    with made_folders(path.parent):
        # The names of files may hold bytes that are no UTF-8; they are written as they are.
        write_atomically(path, text.encode("utf-8", "surrogateescape"), overwrite=overwrite)


def write_somewhere(
    what: str, path: Path, write: Callable[[Path, bool], None], overwrite: bool
) -> Path:
    """Call ``write(path, overwrite)``; return the path, or the place where it could be instead.

    What was worked for is not thrown away because of its place: it goes beside the path, or else
    into the temporary folder, and that is said. ``what`` names it.
    """
    try:
        write(path, overwrite)
        return path
    except OSError as error:
        reason = f"{what} could not be saved: {_reason(error, path)}"
    for folder in (path.absolute().parent, tempfile.gettempdir()):
        place = Path(folder, f"{path.stem[:40]}-{secrets.token_hex(3)}{path.suffix[:20]}")
        with contextlib.suppress(OSError):
            write(place, False)
            mend = f" Once that is fixed: mv {quoted(place)} {quoted(path)}"
            if path.exists():  # mv would put a folder into that folder
                mend = ""
            complain(f"{reason} It is saved as {str(place)!r} instead.{mend}")
            return place
    raise OSError(
        f"{reason} Nothing could be written there, beside it or in the temporary folder. Fix that, "
        "or choose another place with --out, and try again."
    )


def _reason(error: OSError, path: Path) -> str:
    return f"{error.filename or str(path)!r}: {error.strerror}." if error.strerror else str(error)


def check_file(path: Path, overwrite: bool) -> None:
    """Refuse a file that must not be, or cannot be, written: before the work, not after it."""
    from pellucid import _files

    _files.check_file(path, overwrite=overwrite)


# Tables -------------------------------------------------------------------------------------------


def grid(*columns: str, right: Iterable[str] = (), whole: Iterable[str] = ()) -> Grid:
    """Return an empty table; columns of ``right`` stand right, those of ``whole`` never wrap.

    Its cells are shown visible and short.
    """
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    class ShownGrid(Grid):
        def add_row(self, *cells: Any, **how: Any) -> None:
            texts = [cell.copy() if isinstance(cell, Text) else Text(str(cell)) for cell in cells]
            for text in texts:
                text.plain = short(text.plain, MOST_CELL)
            super().add_row(*texts, **how)

    made = ShownGrid(
        box=box.SIMPLE_HEAD, pad_edge=False, header_style="", show_edge=False, highlight=False
    )
    for name in columns:
        justify = "right" if name in right else "left"
        made.add_column(name, justify=justify, no_wrap=name in (*right, *whole))  # type: ignore[arg-type]
    return made


def metrics_table(title: str, metrics: dict[str, Metrics]) -> Grid:
    """The metrics of each predictor, a row each, the best of each in bold."""
    from rich.text import Text

    from pellucid.tables.evaluate import LESS_IS_BETTER, METRICS

    names = list(next(iter(metrics.values())))
    best: dict[str, float] = {}
    for name in names:
        known = [value for each in metrics.values() if (value := each[name]) is not None]
        if known:
            best[name] = min(known) if name in LESS_IS_BETTER else max(known)
    titles = [METRICS[name] for name in names]
    made = grid(title, *titles, right=titles)
    for who, each in metrics.items():
        cells = [
            Text(shown(name, value), "bold" if value == best.get(name) else "")
            for name, value in each.items()
        ]
        plain = who.endswith("regression")
        made.add_row(f"{who} (no hidden layer)" if plain else who, *cells)
    return made


def shown(name: str, value: float | None) -> str:
    """Four decimals, or four digits of what has the target's size.

    >>> shown("accuracy", 0.5), shown("rmse", 53.441), shown("auc", None)
    ('0.5000', '53.44', '-')
    """
    if value is None:
        return "-"
    return f"{value:#.4g}" if name in ("rmse", "mae") else f"{round(value, 4) + 0.0:.4f}"
