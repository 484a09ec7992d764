"""The page: title, the result in a sentence, then the sections that have something to say."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from pellucid._shown import short
from pellucid.report import words
from pellucid.report.sections import SECTIONS, said_in_a_sentence
from pellucid.tables.table import count

if TYPE_CHECKING:
    from pellucid.tables.model import TableModel

TEMPLATES = Path(__file__).parent / "templates"
MOST = 4_096
"""Characters of a text on the page: as many as the longest path has."""


def page(model: TableModel, evaluation: Mapping[str, Any], folder: str) -> str:
    """Return the report's HTML; see :func:`pellucid.report.report_html`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
    )
    environment.filters.update(percent=words.percent, number=words.number, count=count, short=short)
    about = {**evaluation, "folder": folder}
    sections = []
    for section in SECTIONS:
        content = section.content(model, about)
        if content is not None:
            body = environment.get_template(f"{section.name}.html").render(content)
            sections.append({"name": section.name, "title": section.title, "body": Markup(body)})
    html = environment.get_template("page.html").render(
        target=model.target,
        lead=said_in_a_sentence(model, evaluation),
        today=f"{datetime.date.today():%d %B %Y}".lstrip("0"),
        style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
        sections=sections,
    )
    return html


def _shown(value: Any) -> Any:
    """What stands on the page for a value: texts are visible, and not longer than can be read."""
    markup = isinstance(value, Markup) or not isinstance(value, str)
    return value if markup else short(value, MOST)
