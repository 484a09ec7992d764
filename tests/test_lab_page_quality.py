"""How the page is: accessible by axe's rules, cheap while it plays, and gone when it is gone."""

from __future__ import annotations

import os
import threading

import pytest

from lab_browser import choose, expect, says, told, until, weights
from pellucid.lab.presets import PRESETS
from pellucid.lab.server.app import Lab
from pellucid.lab.server.trainer import NAME


def network(page, name):
    expect(page.locator("svg.network")).to_have_attribute("aria-label", f"Network {name}")


# Accessible ---------------------------------------------------------------------------------------


def violations(page):
    """What axe finds, one line a rule."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {rule['help']}: {rule['nodes'][0]['html'][:120]}" for rule in found]


FEW = ["xor-non-linear", "three-classes", "dropped-transpose", "digits"]


@pytest.mark.parametrize(
    ("scheme", "width", "presets"),
    [("light", 1280, list(PRESETS)), ("dark", 1280, FEW), ("light", 390, FEW), ("dark", 390, FEW)],
)
def test_axe_finds_nothing(page, scheme, width, presets):
    """Each preset as it is opened, and after an epoch with a run kept; another view each time."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    tabs = page.locator("#views [role=tab]")
    for k, preset in enumerate(presets):
        choose(page, preset)
        tabs.nth(k % tabs.count()).click()
        if k % 2:
            page.get_by_role("button", name="One epoch").click()
            says(page, "Epoch 1")
            page.get_by_role("button", name="Keep this run").click()
        assert violations(page) == [], preset


def test_axe_would_find_a_fault(page):
    page.evaluate(
        "document.querySelector('#presets label').replaceWith(document.createElement('select'))"
    )
    assert any(line.startswith("select-name") for line in violations(page))


# Cheap --------------------------------------------------------------------------------------------


def test_the_drawing_is_changed_not_made_anew(page):
    choose(page, "spiral")
    network(page, "2-64-64-1")
    page.get_by_role("button", name="Play").click()
    until(page, lambda: told(page, "Epoch") > 0)
    page.evaluate("for (const e of document.querySelectorAll('svg.network *')) e.seen = true")
    first = page.locator("svg.network path").first
    before = first.get_attribute("stroke-width"), first.get_attribute("class")
    until(
        page, lambda: (first.get_attribute("stroke-width"), first.get_attribute("class")) != before
    )
    unseen = "[...document.querySelectorAll('svg.network *')].filter((e) => !e.seen).length"
    assert page.evaluate(unseen) == 0
    page.get_by_role("button", name="Pause").click()


def test_what_is_out_of_sight_waits_and_then_catches_up(page):
    page.set_viewport_size({"width": 1280, "height": 300})
    before = weights(page)
    page.get_by_role("button", name="Play").click()
    until(page, lambda: told(page, "Epoch") > 100)
    assert weights(page) == before
    page.locator("#parameters").scroll_into_view_if_needed()
    until(page, lambda: weights(page) != before)
    page.locator("header").scroll_into_view_if_needed()
    page.get_by_role("button", name="Reset").click()
    says(page, "same initial weights")
    assert weights(page) == before  # at rest everything is shown, in sight or not


def test_playing_goes_on_when_it_begins_before_the_pass_is_there(page):
    for _ in range(5):
        page.locator("#presets select").select_option("three-classes")
        network(page, "2-8-3")
        page.get_by_role("button", name="Play").click()
        until(page, lambda: told(page, "Epoch") > 0)
        epoch = told(page, "Epoch")
        until(page, lambda epoch=epoch: told(page, "Epoch") > epoch)
        page.locator("#presets select").select_option("xor-non-linear")
        network(page, "2-4-1")


def test_a_look_at_the_pass_pauses_and_says_so(page):
    page.get_by_role("button", name="Play").click()
    until(page, lambda: told(page, "Epoch") > 0)
    page.locator("#steps .strip").get_by_role("button", name="dW[1]", exact=True).click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    expect(page.locator("#steps [aria-current=step]")).to_have_text("dW[1]")
    expect(page.locator("#steps .cell")).to_contain_text("dW[1], row 0, column 0")


# Gone ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts in Linux's /proc")
def test_quick_reloads_leave_no_thread_and_no_socket(browser):
    """Every second page plays when it is thrown away; some are thrown away while they load."""

    def held():
        """Threads, without the few that the server keeps for reading files, and open files."""
        readers = [thread for thread in threading.enumerate() if "AnyIO" in thread.name]
        return len(os.listdir("/proc/self/task")) - len(readers), len(os.listdir("/proc/self/fd"))

    def trainers():
        return [thread for thread in threading.enumerate() if thread.name == NAME]

    with Lab() as lab:
        context = browser.new_context()
        page = context.new_page()
        page.goto(lab.address)
        page.wait_for_selector("body.ready")
        page.goto("about:blank")
        until(page, lambda: not trainers())
        threads, files = held()
        for k in range(30):
            page.goto(lab.address, wait_until="commit")
            if k % 2:
                page.wait_for_selector("body.ready")
                page.get_by_role("button", name="Play").click()
        page.goto("about:blank")
        until(page, lambda: not trainers() and not lab.trainers)
        until(page, lambda: held()[0] <= threads and held()[1] <= files + 2)
        context.close()


def test_what_is_asked_for_meanwhile_is_done_once_more_afterwards(page):
    told = page.evaluate("""async () => {
      const { inTurn } = await import("/static/live.js");
      let [times, running, most] = [0, 0, 0];
      const act = inTurn(async () => {
        times += 1;
        most = Math.max(most, (running += 1));
        await new Promise((resolve) => setTimeout(resolve, 20));
        running -= 1;
      });
      const first = act();
      act();
      act();
      await first;
      return [times, most];
    }""")
    assert told == [2, 1]


def test_a_view_follows_while_it_plays(page):
    page.get_by_role("tab", name="Three costs").click()
    page.get_by_role("button", name="Play").click()
    chart = page.locator("#view-costs .chart svg[role=img]")
    for _ in range(3):
        before = chart.get_attribute("aria-label")
        until(page, lambda before=before: chart.get_attribute("aria-label") != before)
    page.get_by_role("button", name="Pause").click()
