"""The report: real numbers, escaped names, one file that needs nothing, and a browser opens it."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from pellucid._shown import visible
from pellucid.errors import MissingPackageError
from pellucid.report import figures, report_html
from pellucid.report.page import TEMPLATES
from pellucid.report.sections import SECTIONS
from pellucid.report.words import number, percent
from pellucid.tables.evaluate import evaluate
from pellucid.tables.fit import fit, prepare
from pellucid.tables.frame import as_table
from pellucid.tables.model import TableModel
from pellucid.tables.settings import TrainSettings
from pellucid.tables.split import hold_out
from pellucid.tables.table import count

SCRIPT = "<script>alert('x')</script>"
HOSTILE = {
    "columns": [
        SCRIPT,
        "</style><img src=x onerror=alert(1)>",
        "a \"quoted\" & 'name'",
        "{{ 7*7 }}{% raw %}",
        "long" * 200,
        "عربي \u202e中文",
        "$x_1$",
        "  two\n lines ",
    ],
    "classes": [SCRIPT, "\"';--", "Donaudampfschifffahrtsgesellschaft" * 4, "yes & <b>no</b>"],
}


class Case(NamedTuple):
    """A trained model, its evaluation as plain data, and its page."""

    model: TableModel
    evaluation: dict[str, Any]
    page: str


def trained(columns: dict[str, Any], y: Any, target: str, **settings: Any) -> Case:
    table = as_table(columns, y=y, target=target, source="rows.csv")
    seen, test = hold_out(table)
    chosen = {"hidden_layer_sizes": (8, 300), "epochs": 3, "ensemble": 1} | settings
    model = fit(prepare(seen, TrainSettings(**chosen)), n_threads=1)
    evaluation = json.loads(json.dumps(evaluate(model, test, seen).to_dict()))
    return Case(model, evaluation, report_html(model, evaluation))


def make(kind: str) -> Case:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 8))
    columns: dict[str, Any] = {f"x{k}": X[:, k] for k in range(8)}
    if kind == "binary":
        columns["x0"] = np.where(X[:, 3] > 1, np.nan, X[:, 0])
        columns["constant"] = np.ones(600)
        return trained(columns, np.where(X[:, 0] + X[:, 1] > 0.5, "yes", "no"), "answer")
    if kind == "regression":
        return trained(columns, 20_000 * X[:, 0] + X[:, 1] ** 2, "price in $")
    if kind == "ensemble":
        return trained(columns, X[:, 0] > 0, "answer", ensemble=3)
    if kind == "hostile":
        names = dict(zip(HOSTILE["columns"], X.T, strict=True))
        y = np.array(HOSTILE["classes"])[np.digitize(X[:, 0] + X[:, 1] / 9, [-1, 0, 1])]
        return trained(names, y, f"{SCRIPT} {'target' * 30}")
    X = rng.normal(size=(1500, 500))
    columns = {f"measurement {k}": X[:, k] for k in range(500)}
    y = np.array([chr(65 + k) * 3 for k in range(26)])[rng.permutation(1500) % 26]
    return trained(columns, y, "letter")


KINDS = ("binary", "regression", "ensemble", "hostile", "wide")
CASES: dict[str, Case] = {}


def case(kind: str) -> Case:
    """The case, trained once a process."""
    if kind not in CASES:
        CASES[kind] = make(kind)
    return CASES[kind]


class Reader(HTMLParser):
    """Collects elements, their text, and the rows of tables by caption."""

    VOID = frozenset(("meta", "link", "br"))

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.tables: list[dict[str, Any]] = []
        self.feed(page)
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag == "table":
            self.tables.append({"caption": "", "rows": []})
        if tag == "tr":
            self.tables[-1]["rows"].append([])
        if tag in ("td", "th"):
            self.tables[-1]["rows"][-1].append("")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text += data
        if "caption" in self.open:
            self.tables[-1]["caption"] += data
        elif {"td", "th"} & set(self.open):
            self.tables[-1]["rows"][-1][-1] += data

    def table(self, caption: str) -> list[list[str]]:
        found = [table["rows"] for table in self.tables if table["caption"].startswith(caption)]
        assert found, caption
        return found[0]

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


# What it says -------------------------------------------------------------------------------------


def test_the_first_sentence_for_classes() -> None:
    _, evaluation, page = case("binary")
    metrics, text = evaluation["metrics"], Reader(page).text
    no = percent(metrics["majority class"]["accuracy"])
    yes = percent(metrics["network"]["accuracy"])
    assert f"On 120 rows it had not seen, the network named the right class for {yes}" in text
    assert f"always saying ‘no’ gets {no}." in text
    assert f"gets {percent(metrics['logistic regression']['accuracy'])}" in text


def test_the_first_sentence_for_numbers() -> None:
    _, evaluation, page = case("regression")
    metrics, text = evaluation["metrics"], Reader(page).text
    assert f"was off by {number(metrics['network']['mae'])} on average" in text
    assert "when it predicted ‘price in $’" in text
    assert f"always saying the mean is off by {number(metrics['mean']['mae'])}." in text


@pytest.mark.parametrize("kind", KINDS)
def test_metrics_stand_beside_the_baselines(kind: str) -> None:
    _, evaluation, page = case(kind)
    head, *rows = Reader(page).table("On the ")
    assert len(rows) == 3
    assert len(head) == 1 + len(evaluation["metrics"]["network"])
    for row, found in zip(rows, evaluation["metrics"].values(), strict=True):
        if "accuracy" in found:
            assert row[1] == percent(found["accuracy"])
            assert float(row[2]) == pytest.approx(found["log_loss"], abs=6e-4)
        else:
            assert row[1:3] == [number(found["rmse"]), number(found["mae"])]


@pytest.mark.parametrize("kind", ["binary", "ensemble", "hostile", "wide"])
def test_the_confusion_matrix_holds_the_counts(kind: str) -> None:
    _, evaluation, page = case(kind)
    _, *rows = Reader(page).table("Confusion matrix")
    cells = [[int(cell or 0) for cell in row[1:]] for row in rows]
    assert cells == evaluation["confusion"]
    assert sum(map(sum, cells)) == evaluation["rows"]
    _, *by_class = Reader(page).table("Class by class")
    assert [int(row[1]) for row in by_class] == [sum(row) for row in evaluation["confusion"]]


@pytest.mark.parametrize("kind", KINDS)
def test_the_dimension_table_is_the_lectures(kind: str) -> None:
    model, _, page = case(kind)
    net = model.networks[0]
    _, *rows, total = Reader(page).table("Dimensions")
    dense = [row for row in rows if row[1].startswith("dense")]
    assert [row[0] for row in dense] == [str(l) for l in range(1, net.L + 1)]
    for l, row in enumerate(dense, start=1):
        shapes = [str(net.W[l].shape), str(net.b[l].shape), f"({net.n[l]}, m)"]
        assert row[2:6] == [str(net.n[l]), *shapes]
    assert total == ["total", f"{net.n_parameters:,}"]
    assert sum(int(row[6].replace(",", "")) for row in rows) == net.n_parameters


def test_the_data_are_told() -> None:
    model, _, page = case("binary")
    reader = Reader(page)
    (training, validation), held_out = model.data["parts"][0], 120
    for rows in (training, validation, held_out):
        assert f"{rows} rows" in reader.text
    assert "600 rows, split at random" in reader.text
    by_name = {row[0]: row for row in reader.table("The columns that the network uses")}
    missing = model.preprocessing.describe()[0]["missing"]
    assert by_name["x0number"][1].startswith(str(missing))
    assert missing > 0
    assert len(by_name) == 9, "the heading and the columns used"
    left_out = reader.table("Columns that the network does not use")
    assert left_out[1] == ["constant", model.data["left_out"]["constant"]]


def test_an_ensemble_is_told_as_one() -> None:
    model, _, page = case("ensemble")
    text = Reader(page).text
    assert "3 networks of the same architecture" in text
    assert "split into 3 folds" in text
    epochs = ", ".join(
        f"{len(each['curves']['loss'])} (kept: {each['best_epoch']})" for each in model.histories
    )
    assert f"Epochs of each network: {epochs}." in text


def test_the_commands_load_this_model() -> None:
    model, evaluation, _ = case("binary")
    page = report_html(model, evaluation, folder="Ann's model.pellucid")
    text = Reader(page).text
    assert 'pellucid.load("Ann\'s model.pellucid")' in text
    assert "pellucid predict 'Ann'\"'\"'s model.pellucid' new.csv" in text
    for code in re.findall(r"(?:import|from) pellucid.*?\)\n", text, flags=re.DOTALL):
        compile(code, "report", "exec")


SHOWN = {
    "binary": {"classes", "probabilities"},
    "hostile": {"classes", "probabilities"},
    "regression": {"errors"},
}


@pytest.mark.parametrize("kind", SHOWN)
def test_sections(kind: str) -> None:
    reader = Reader(case(kind).page)
    always = {"asked", "results", "data", "network", "learning", "use"}
    ids = [attributes["id"] for attributes in reader.all("section")]
    assert set(ids) == always | SHOWN[kind]
    links = [a["href"] for a in reader.all("a")]
    assert links == [f"#{name}" for name in ids], "the order is one"


def test_a_model_that_nobody_measured() -> None:
    model, _, _ = case("binary")
    reader = Reader(report_html(model, {}))
    assert "No rows were held out to measure it" in reader.text
    ids = [attributes["id"] for attributes in reader.all("section")]
    assert ids == ["asked", "data", "network", "learning", "use"]


def test_without_baselines() -> None:
    model, evaluation, _ = case("binary")
    alone = {**evaluation, "metrics": {"network": evaluation["metrics"]["network"]}}
    text = Reader(report_html(model, alone)).text
    assert f"{percent(alone['metrics']['network']['accuracy'])}." in text
    assert "always saying" not in text


def test_every_section_has_a_template() -> None:
    names = [section.name for section in SECTIONS]
    assert len(set(names)) == len(names)
    assert {f"{name}.html" for name in names} | {"page.html"} == {
        path.name for path in TEMPLATES.glob("*.html")
    }


# Names, and what stands alone ---------------------------------------------------------------------


def test_names_are_text_whatever_they_hold() -> None:
    model, _, page = case("hostile")
    reader = Reader(page)
    tags = {tag for tag, _ in reader.elements}
    assert not tags & {"script", "img", "iframe", "object", "embed", "form", "b"}
    assert not [
        name for _, attributes in reader.elements for name in attributes if name[:2] == "on"
    ]
    for name in HOSTILE["classes"][:2]:
        assert reader.text.count(name) > 1
    used = reader.table("The columns that the network uses")
    names = [row[0].removesuffix("number") for row in used[1:]]
    assert names[:4] == HOSTILE["columns"][:4]
    assert names[-1] == visible(HOSTILE["columns"][-1])
    assert names[4].startswith("long" * 30)
    assert SCRIPT in model.target


def test_a_name_that_utf8_cannot_hold() -> None:
    rng = np.random.default_rng(0)
    page = trained({"\ud800": rng.normal(size=60)}, rng.normal(size=60), "y", epochs=1).page
    assert "\\ud800" in page
    page.encode("utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_stands_alone(kind: str) -> None:
    page = case(kind).page
    reader = Reader(page)
    assert "script" not in {tag for tag, _ in reader.elements}
    for _, attributes in reader.elements:
        assert not {"src", "srcset", "xlink:href", "action", "data"} & set(attributes)
        assert re.match(r"(#|data:,$|$)", attributes.get("href", ""))
    assert "http" not in page.replace("http-equiv", "")
    assert "@import" not in page
    assert [a["content"][:18] for a in reader.all("meta") if "http-equiv" in a] == [
        "default-src 'none'"
    ]
    assert len(page.encode()) < 1_000_000


@pytest.mark.parametrize("kind", KINDS)
def test_the_markup_is_accessible(kind: str) -> None:
    reader = Reader(case(kind).page)
    assert reader.all("html")[0]["lang"] == "en"
    assert len(reader.all("h1")) == 1
    assert all(table["caption"] for table in reader.tables)
    assert all(cell.get("scope") in ("row", "col") for cell in reader.all("th"))
    for svg in reader.all("svg"):
        assert svg["role"] == "img"
        assert svg["aria-label"]
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    named = {a["aria-labelledby"] for _, a in reader.elements if "aria-labelledby" in a}
    assert named <= set(ids)
    levels = [int(tag[1]) for tag, _ in reader.elements if tag in ("h1", "h2", "h3")]
    assert all(b - a <= 1 for a, b in pairwise(levels))


@pytest.mark.parametrize("kind", KINDS)
def test_charts_take_the_pages_colours(kind: str) -> None:
    charts = re.findall(r"<svg.*?</svg>", case(kind).page, flags=re.DOTALL)
    assert len(charts) >= 2
    for chart in charts:
        assert not re.search(r"#[0-9a-f]{6}", re.sub(r"(url\(#|href=\"#)\w+", "", chart))
        assert "font-family" not in chart


def test_curves_of_one_epoch_and_of_a_training_that_diverged() -> None:
    for curves in (
        {"loss": [0.5], "val_loss": [0.4]},
        {"loss": [0.5, float("nan"), float("inf")], "val_loss": []},
        {"loss": [1e-9, 1.0], "val_loss": [0.0, 1e6]},
        {"loss": [1e-3, 1.0, 1e3]},
    ):
        svg = figures.learning_curves([curves], [1], "loss")
        assert svg.startswith("<svg viewBox=")
        assert "nan" not in svg
    assert ">0.001<" in svg, "labels keep their decimals"


def test_words() -> None:
    assert percent(0.12345) == "12.3\u202f%"
    numbers = [number(x) for x in (1e-9, 0.5, -1234.5, 10**12, float("nan"), 0)]
    assert numbers == ["1.00e−09", "0.5", "−1,234", "1.00e12", "not finite", "0"]
    assert count(2, "class") == "2 classes"


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_a_missing_package_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, evaluation, _ = case("binary")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        MissingPackageError, match=rf"needs {package}: pip install 'pellucid\[tables\]'"
    ):
        report_html(model, evaluation)


# In a browser -------------------------------------------------------------------------------------


@contextlib.contextmanager
def opened(browser: Any, path: Path, width: int, theme: str = "light") -> Iterator[Any]:
    """The report at this width, as a phone where it is narrow; it asks for nothing else."""
    context = browser.new_context(
        viewport={"width": width, "height": 844}, is_mobile=width < 600, color_scheme=theme
    )
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    yield page
    context.close()
    assert said == []
    assert asked in ([path.as_uri()], [path.as_uri(), "data:,"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_opens_it(kind: str, width: int, browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(case(kind).page, encoding="utf-8")
    with opened(browser, path, width) as page:
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # What is cut off at the right, unless it can be scrolled to.
        cut = page.evaluate(
            "[...document.querySelectorAll('body *')]"
            ".filter(each => !each.closest('.scroll, svg, pre')"
            " && each.getBoundingClientRect().right > innerWidth + 1).map(each => each.outerHTML)"
        )
        assert cut == []


def test_a_browser_shows_it_light_and_dark(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(case("binary").page, encoding="utf-8")
    brightness = (
        "(color => color.match(/[0-9.]+/g).slice(0, 3).reduce((a, b) => a + +b, 0) / 765)"
        "(getComputedStyle(document.querySelector('{}')).{})"
    )
    found = {}
    for theme in ("light", "dark"):
        with opened(browser, path, 390, theme) as page:
            paper = page.evaluate(brightness.format("body", "backgroundColor"))
            label = page.evaluate(brightness.format("#learning svg text", "fill"))
        found[theme] = (paper, label)
    assert found["light"][0] > 0.9 > 0.5 > found["light"][1]
    assert found["dark"][0] < 0.2 < 0.5 < found["dark"][1]
