"""The lab's loss surface and its three costs, driven as a person would."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from lab_browser import choose, expect, number, says, told, until, weights
from pellucid.lab.presets import PRESETS
from pellucid.lab.session.experiment import Experiment
from pellucid.lab.session.settings import Settings
from pellucid.lab.views.surface import race, surface
from pellucid.record import shown

PLACES = [["W", 1, 0, 0], ["W", 1, 0, 1]]


def look(page: Any, view: str) -> None:
    page.get_by_role("tab", name=view).click()


def table(page: Any, name: str) -> list[list[str]]:
    """The cells of a table, row by row, its first column and row included."""
    rows = page.locator("#looks table", has=page.locator(f"caption:has-text('{name}')")).first
    return [row.locator("th, td").all_inner_texts() for row in rows.locator("tr").all()]


def made(preset: str, **more: Any) -> Experiment:
    return Experiment(Settings.read(PRESETS[preset].experiment | more))


def test_the_numbers_of_the_surface_are_the_references(page):
    page.get_by_role("button", name="One epoch").click()
    says(page, "Epoch 1, step 1")
    look(page, "Loss surface")
    expect(page.locator("#view-surface .note").nth(2)).to_contain_text("at step 1; all 4 training")
    e = made("xor-non-linear")
    e.steps(1)
    known, _ = surface(e, {"places": PLACES}, playing=False)
    (expected,) = known["losses"]
    head, now, lowest = table(page, "Points of this surface")
    assert head == ["Point", "J", "W[1][0, 0]", "W[1][0, 1]"]
    np.testing.assert_allclose(
        [number(text) for text in now[1:]], [expected["now"], *known["now"]], rtol=2e-3
    )
    np.testing.assert_allclose(
        [number(text) for text in lowest[1:]],
        [expected["lowest"], *expected["lowest_at"]],
        rtol=2e-3,
    )
    assert number(now[1]) == told(page, "J")
    assert len(page.locator("#view-surface .contour").all()) == 11
    pixels = page.evaluate(
        """() => {
            const canvas = document.querySelector("#view-surface canvas");
            const { data } = canvas.getContext("2d").getImageData(0, 0, 240, 240);
            const seen = new Set();
            for (let k = 0; k < data.length; k += 4) seen.add(data.slice(k, k + 3).join());
            return seen.size;
        }"""
    )
    assert pixels == 12, "a colour a band"


def test_any_two_cells_are_chosen(page):
    look(page, "Loss surface")
    controls = page.locator("#view-surface")
    across, upwards = (controls.get_by_role("group", name=name) for name in ("Across", "Upwards"))
    across.get_by_label("Array").focus()
    across.get_by_label("Array").select_option("W2")
    expect(controls.locator("svg[role=img]").first).to_have_attribute(
        "aria-label", re.compile("W.2")
    )
    assert page.evaluate("document.activeElement.value") == "W2", "the focus stays"
    across.get_by_label("Column").fill("3")
    page.keyboard.press("Enter")
    upwards.get_by_label("Array").select_option("b1")
    upwards.get_by_label("Row").fill("2")
    page.keyboard.press("Enter")
    known, _ = surface(
        made("xor-non-linear"), {"places": [["W", 2, 0, 3], ["b", 1, 2, 0]]}, playing=False
    )
    (J,) = known["losses"]
    expect(controls.locator("svg[role=img]").first).to_have_attribute(
        "aria-label",
        "J by binary cross entropy over W[2][0, 3] and b[1][2, 0]: "
        f"now {shown(J['now'])}, lowest here {shown(J['lowest'])}",
    )
    assert page.evaluate("document.activeElement.value") == "2", "the focus stays"
    upwards.get_by_label("Array").select_option("W2")
    upwards.get_by_label("Column").fill("3")
    page.keyboard.press("Enter")
    expect(controls.locator(".note").nth(2)).to_contain_text("choose two different cells")


def test_the_link_holds_what_was_chosen(page):
    look(page, "Loss surface")
    controls = page.locator("#view-surface")
    controls.get_by_role("group", name="Across").get_by_label("Array").select_option("b2")
    controls.get_by_label("Covers").select_option("4")
    controls.get_by_label("Beside it, the loss").select_option("half_squared_error")
    controls.get_by_label("Learning rates", exact=True).fill("7, 8")
    page.keyboard.press("Enter")
    controls.get_by_label("From b[2][0, 0]").fill("0.5")
    page.keyboard.press("Enter")
    says(page, "A race begins at 0.5")
    second = controls.locator("svg[role=img]").nth(1)
    expect(second).to_have_attribute("aria-label", re.compile("half squared error over b.2"))
    before = second.get_attribute("aria-label")
    page.reload()
    page.wait_for_selector("body.ready")
    expect(second).to_have_attribute("aria-label", before)
    expect(controls.get_by_label("Learning rates", exact=True)).to_have_value("7, 8")
    expect(controls.get_by_label("From b[2][0, 0]")).to_have_value("0.5")
    expect(controls.get_by_label("Covers")).to_have_value("4")


def test_the_path_of_a_training_is_drawn(page):
    look(page, "Loss surface")
    page.get_by_label("Stop at epoch").fill("120")
    page.get_by_role("button", name="Play").click()
    says(page, "Stopped")
    note = page.locator("#view-surface .note").nth(2)
    expect(note).to_contain_text("at step 120")
    expect(note).to_contain_text("from step 0 on, a point every step")
    path = page.locator("#view-surface path.way:not(.halo)").get_attribute("d")
    assert path.count("L") == 120
    end = page.locator("#view-surface .dot.now")
    assert path.rsplit("L", 1)[1] == f"{end.get_attribute('cx')} {end.get_attribute('cy')}"
    _, now, _ = table(page, "Points of this surface")
    first = [number(text) for text in weights(page)[:2]]
    np.testing.assert_allclose([number(text) for text in now[2:]], first, rtol=1e-3)


def test_learning_rates_race_by_keyboard(page):
    page.emulate_media(reduced_motion="reduce")
    look(page, "Loss surface")
    box = page.locator("#view-surface").get_by_role("group", name="Learning rates race")
    for label, text in (
        ("From W[1][0, 0]", "1.5"),
        ("From W[1][0, 1]", "0.5"),
        ("Learning rates", "0.5, 2, 8"),
        ("Steps", "30"),
    ):
        box.get_by_label(label).fill(text)
        page.keyboard.press("Enter")
    box.get_by_role("button", name="Race").press("Enter")
    says(page, "The race is over: 3 paths")
    given = {"places": PLACES, "start": [1.5, 0.5], "rates": [0.5, 2, 8], "steps": 30}
    _, *rows = table(page, "The race")
    for row, run in zip(rows, race(made("xor-non-linear"), given), strict=True):
        rate, outcome, first, last, steps, a, b = row
        assert (number(rate), int(steps)) == (run["rate"], 30)
        assert (outcome == "diverged") == run["diverged"]
        np.testing.assert_allclose(
            [number(text) for text in (first, last, a, b)],
            [run["J"][0], run["J"][-1], *run["points"][-1]],
            rtol=2e-3,
        )
    paths = page.locator("#view-surface .runs path.run:not(.halo)")
    expect(paths).to_have_count(3)
    for path in paths.all():  # drawn at once, to the end
        assert path.get_attribute("d").count("L") == 30
    look(page, "Confusion")
    look(page, "Loss surface")
    page.get_by_role("button", name="One epoch").click()
    expect(paths).to_have_count(0)  # the surface is another one


def test_the_race_moves_where_motion_is_welcome(page):
    page.emulate_media(reduced_motion="no-preference")
    look(page, "Loss surface")
    page.get_by_role("button", name="Race").click()
    says(page, "The race is over")
    path = page.locator("#view-surface .runs path.run:not(.halo)").first
    early = path.get_attribute("d").count("L")
    until(page, lambda: path.get_attribute("d").count("L") == 60)
    assert early < 60


def test_what_is_no_learning_rate_is_said(page):
    look(page, "Loss surface")
    page.get_by_label("Learning rates", exact=True).fill("fast")
    page.get_by_role("button", name="Race").click()
    says(page, "Learning rates must be numbers separated by commas, such as 0.1, 1, 3; got fast")


def test_a_click_chooses_where_a_race_begins(page):
    look(page, "Loss surface")
    page.locator("#view-surface .plot svg").click(position={"x": 200, "y": 200})
    says(page, "A race begins at")
    expect(page.locator("#view-surface .dot.begin")).to_be_visible()


def test_squared_error_stands_beside_cross_entropy(page):
    choose(page, "squared-error")
    expect(page.locator("#view-surface figure.surface")).to_have_count(2)
    says(page, "plateau")
    page.get_by_role("button", name="Race").click()
    says(page, "The race is over: 8 paths, none diverged")
    _, *rows = table(page, "The race")
    fell = {(row[0].strip(), row[1]): row[2] for row in rows}
    assert fell["1", "half squared error"] == "J fell by less than 0.1 %"
    assert fell["1", "binary cross entropy"] == "J fell by 97.9 %"
    page.get_by_label("Beside it, the loss").select_option("")
    expect(page.locator("#view-surface figure.surface")).to_have_count(1)


def test_the_three_costs_are_the_references(page):
    choose(page, "three-classes")
    look(page, "Three costs")
    expect(page.locator("#view-costs")).to_contain_text("Train to see the three costs drawn here")
    for k in (1, 2, 3):
        page.get_by_role("button", name="One epoch").click()
        says(page, f"Epoch {k}")
    e = made("three-classes")
    for _ in range(3):
        e.steps(e.left_in_epoch(), closely=True)
    costs = e.costs.summary()
    expect(page.locator("#view-costs .note").last).to_contain_text(f"The last {e.step} steps")
    _, *rows = table(page, "Three costs")
    for row, name, examples in zip(rows, ("one", "batch", "full"), (1, 32, 300), strict=True):
        assert int(row[1]) == examples
        np.testing.assert_allclose(
            [number(text) for text in row[2:5]],
            [costs[name][key] for key in ("strays", "deviation", "mean")],
            rtol=1e-3,
        )
    expect(page.locator("#view-costs .lesson")).to_contain_text("as a mini-batch of 32")


def test_slow_playing_takes_the_costs_at_each_step(page):
    choose(page, "spiral")
    look(page, "Three costs")
    page.get_by_label("Speed").select_option(index=1)
    page.get_by_role("button", name="Play").click()
    until(
        page, lambda: page.locator("#view-costs .line.full").count() > 0 and told(page, "Step") > 4
    )
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    step = int(told(page, "Step"))
    expect(page.locator("#view-costs .note").last).to_contain_text(f"The last {step} steps")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_views_fit_a_phone_and_have_names(page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 844})
    choose(page, "squared-error")
    page.get_by_role("button", name="Race").click()
    says(page, "The race is over")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    look(page, "Three costs")
    page.get_by_role("button", name="One epoch").click()
    expect(page.locator("#view-costs table")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    bare = page.evaluate(
        """[...document.querySelectorAll("#looks input, #looks select")].filter((e) =>
            !e.labels?.[0]?.innerText).length +
        [...document.querySelectorAll("#looks table")].filter((t) =>
            !t.caption || !t.querySelector("th[scope=col]") ||
            !t.querySelector("th[scope=row]")).length"""
    )
    assert bare == 0
