"""The page with names and links made by somebody who means harm: they stay text."""

from __future__ import annotations

import ast
import subprocess
import sys
import xml.dom.minidom

import pytest

pytest.importorskip("polars")

from lab_browser import as_link, expect, says

NAMES = [
    "<img src=x onerror=alert(1)>",
    '"""; import os; os._exit(7) #',
    "'); alert(1)//",
    "\x01\x1b[31m",
    "two\nlines, \u202eturned\u2066 and \u200bthin",
    "\\{settings}{0}",
]
CLASSES = ["<script>alert(1)</script>", "</td>\\'''"]


def table():
    quoted = ['"' + name.replace('"', '""') + '"' for name in [*NAMES, "<b>class</b>"]]
    rows = [[*(str((7 * k + 3 * j) % 11 + 0.5) for j in range(len(NAMES))), CLASSES[k % 2]]
            for k in range(40)]  # fmt: skip
    return "\n".join(map(",".join, [quoted, *rows])).encode()


def send(page, content):
    page.locator("#own input[type=file]").set_input_files(
        {"name": "<i>.csv", "mimeType": "text/csv", "buffer": content}
    )
    expect(page.get_by_label("Column to learn")).to_be_visible()


def saved(page, button):
    with page.expect_download() as found:
        page.get_by_role("button", name=button).click()
    with open(found.value.path(), "rb") as file:
        return file.read()


def test_names_are_text_on_the_page_and_in_what_is_saved(page, tmp_path):
    send(page, table())
    page.get_by_role("button", name="Learn it").click()
    says(page, "binary classification")
    headings = page.locator("#table thead")
    expect(headings).to_contain_text(NAMES[0])
    expect(headings).to_contain_text(r"\x01\x1b[31m")
    expect(headings).to_contain_text(r"two\nlines, \u202eturned\u2066 and \u200bthin")
    page.get_by_role("tab", name="Confusion").click()
    expect(page.locator("table.confusion").first).to_contain_text(CLASSES[0])
    assert page.locator("main :is(img, i:not(.scale i), script)").count() == 0
    drawing = xml.dom.minidom.parseString(saved(page, "Drawing as SVG"))
    assert any(NAMES[0] in each.getAttribute("aria-label")
               for each in drawing.getElementsByTagName("g"))  # fmt: skip
    script = saved(page, "Python script")
    imported = [
        each.names[0].name for each in ast.parse(script).body if isinstance(each, ast.Import)
    ]
    assert imported == []
    path = tmp_path / "experiment.py"
    path.write_bytes(script)
    run = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False)
    assert (run.returncode, "J =" in run.stdout) == (0, True), run.stderr


@pytest.mark.parametrize(
    "state",
    [
        {"experiment": "<img src=x>"},
        {"experiment": {"data": {"name": "own-../../etc/passwd"}, "model": "../../x"}},
        {"experiment": {"model": 5}, "hidden": ["__proto__", "said", 7], "view": "__proto__"},
        {"experiment": {"data": {"name": "sample:iris"}}, "looks": [1]},
    ],
)
def test_a_link_opens_nothing_that_is_not_there_already(page, state):
    page.goto("about:blank")
    page.go_back()
    page.evaluate("hash => { location.hash = hash; location.reload(); }", as_link(state))
    page.wait_for_selector("body.ready")
    says(page, "The experiment in the link cannot be opened")
    send(page, b"a,b\n" + b"1,2\n2,4\n3,7\n4,8\n" * 5)  # the page works
    page.get_by_role("button", name="Learn it").click()
    says(page, "'b'")
    expect(page.locator("#own .warning")).to_be_hidden()


def test_a_place_of_the_surface_in_a_link_is_a_cell_or_left_out(page):
    odd = {"places": [["constructor", "", "name", 0], ["W", 1, 0, 0]], "rates": "<img src=x>"}
    state = {"experiment": {"data": {"name": "xor"}}, "view": "surface", "looks": {"surface": odd}}
    page.evaluate("hash => { location.hash = hash; location.reload(); }", as_link(state))
    page.wait_for_selector("body.ready")
    expect(page.locator("figure.surface").first).to_contain_text("J by")
    expect(page.locator("#view-surface .note").nth(2)).to_contain_text("J over W[1][0, 0]")
