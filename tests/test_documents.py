"""README.md and docs/: links, what a command is said to print, tables that follow from others."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = {
    name: requirements
    for name, requirements in PROJECT["optional-dependencies"].items()
    if name not in ("all", "dev", "release", "test")
}
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES += [ROOT / "packaging" / "predict" / "README.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8"))
    missing = [each for each in links if "://" not in each and not (page.parent / each).exists()]
    assert missing == []


@pytest.fixture
def front_table(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    for name in ("front_table", "report", "report_format", "report_scaling", "workloads"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import front_table

    return front_table


def test_the_table_of_the_readme_is_that_of_the_benchmarks(front_table: ModuleType) -> None:
    page = (ROOT / "README.md").read_text("utf-8")
    assert front_table.written(page) == page, "run `make docs`"


def test_the_command_of_the_readme_prints_what_stands_there(run: Any) -> None:
    page = (ROOT / "README.md").read_text("utf-8")
    command, *lines = re.findall(r"```\n\$ pellucid (.*?)```", page, re.DOTALL)[0].splitlines()
    done = run(*command.split(), "--epochs", "1")
    said = [re.sub(r"[\d.]+", "0", line).rstrip() for line in done.output.splitlines()]
    shown = [re.sub(r"[\d.]+", "0", line) for line in lines if line and line != "[...]"]
    assert len(shown) > 8
    assert [line for line in said if line in shown] == shown


def test_extras_are_listed_and_all_has_them_all() -> None:
    page = (ROOT / "docs" / "install.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", page, re.MULTILINE)
    listed = {name: sorted(packages.lower().split(", ")) for name, packages in rows}
    there = {
        name: sorted(each.partition(">")[0].lower() for each in requirements)
        for name, requirements in EXTRAS.items()
    }
    assert listed == there
    (everything,) = PROJECT["optional-dependencies"]["all"]
    assert set(re.findall(r"\w+", everything)) == {"pellucid", *EXTRAS}


def test_messages_name_extras_that_exist() -> None:
    sources = [path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py")]
    named = {each for text in sources for each in re.findall(r"pellucid\[(\w+)\]", text)}
    assert named == set(EXTRAS)
