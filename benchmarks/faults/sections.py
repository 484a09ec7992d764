"""RESULTS.md: a section for each part, which its own script writes; the others stay."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
TITLE = "# Faults\n\nREADME.md says what is tried, and how. 0 broken is asked for throughout.\n"


def put_section(title: str, lines: Iterable[str], results: Path = RESULTS) -> None:
    """Write ``## title`` and these lines, in place of that section or at the end."""
    text = results.read_text() if results.exists() else TITLE
    section = "\n".join([f"## {title}", "", *lines]).rstrip() + "\n"
    found = re.search(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    if found is None:
        text = f"{text.rstrip()}\n\n{section}"
    else:
        rest = text[found.end() :]
        text = text[: found.start()] + section + (f"\n{rest}" if rest else "")
    results.write_text(text)


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> list[str]:
    """Return a table in Markdown, numbers with commas."""
    names = list(header)
    lines = [f"| {' | '.join(names)} |", "|" + " --- |" * len(names)]
    for row in rows:
        cells = (f"{each:,}" if isinstance(each, int) else str(each) for each in row)
        lines.append(f"| {' | '.join(cells)} |")
    return lines
