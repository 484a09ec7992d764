"""A headless Chromium, the lab's page in it, and helpers of the tests that drive it.

Without a browser the fixtures skip the tests that ask for one, and the summary says so in one line.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pellucid.lab.presets import PRESETS
from pellucid.lab.session.experiment import Experiment
from pellucid.lab.session.settings import Settings

try:
    from playwright.sync_api import expect, sync_playwright
except ImportError:  # the fixture browser says so; the modules that import expect are collected
    expect = sync_playwright = None
else:
    expect.set_options(timeout=30_000)  # milliseconds: the cores may be busy

COMMAND = os.environ.get("PELLUCID_LAB_COMMAND", f"{sys.executable} -m pellucid lab")


CHROMIUM = os.environ.get("PELLUCID_BROWSER") or shutil.which("chromium")
"""make test looks for it under its other names too."""


MISSING = "playwright" if expect is None else "" if CHROMIUM else "Chromium"
SKIPPED = f"pages in a browser: {MISSING} is missing; make test brings it, or says how to get it"


def need_browser() -> None:
    if MISSING:
        pytest.skip(SKIPPED)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let ``make test ARGS="-m browser"`` run what drives a page, alone."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[Any]:
    """As if all were skipped at this place: the summary has a line for each."""
    report = yield
    if isinstance(report.longrepr, tuple) and SKIPPED in report.longrepr[-1]:
        report.longrepr = (__file__, 0, report.longrepr[-1])
    return report


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address that `pellucid lab` prints."""
    need_browser()
    command = [*shlex.split(COMMAND), "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            found = re.search(r"http\S+", server.stdout.readline())
            assert found, "the server's first line holds its address"
            yield found[0]
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    need_browser()
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The page with the XOR of lecture 003; a test fails on anything in the console."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto(address)
    opened.wait_for_selector("body.ready")
    opened.wait_for_selector("#steps .cell")
    yield opened
    context.close()
    assert complaints == []


def number(text: str) -> float:
    return float(text.replace("−", "-").replace(",", ""))


def told(page: Any, name: str) -> float:
    """A number of the line of numbers, such as J."""
    return number(page.locator(f"#numbers div:has(dt:text-is('{name}')) dd").inner_text())


def weights(page: Any) -> list[str]:
    return [box.input_value() for box in page.locator("#parameters input").all()]


def link(page: Any) -> Any:
    """What the page's link holds."""
    text = page.url.partition("#")[2]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def as_link(state: Any) -> str:
    """The end of an address whose link holds this."""
    return "#" + base64.urlsafe_b64encode(json.dumps(state).encode()).decode().rstrip("=")


def experiment_of(page: Any, data: str | None = None) -> Experiment:
    """The experiment that the page's link holds, from its start; waits for one on these data."""
    until(page, lambda: data in (None, link(page)["experiment"]["data"]["name"]))
    return Experiment(Settings.read(link(page)["experiment"]))


def choose(page: Any, preset: str) -> None:
    page.locator("#presets select").select_option(preset)
    wanted = Settings.read(PRESETS[preset].experiment)
    until(page, lambda: Settings.read(link(page)["experiment"]) == wanted)
    page.wait_for_selector("#steps .cell")


def says(page: Any, text: str) -> None:
    expect(page.locator("#said")).to_contain_text(text)


def until(page: Any, reached: Callable[[], bool]) -> None:
    for _ in range(600):
        if reached():
            return
        page.wait_for_timeout(50)
    pytest.fail("it was not reached in 30 seconds")
