"""The lab's page: tables of large layers, and what was chosen to look at kept in the link."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from lab_browser import as_link, choose, expect, experiment_of, link, says


def again(page: Any) -> Any:
    """The same link opened in a page of its own."""
    fresh = page.context.new_page()
    fresh.goto(page.url)
    fresh.wait_for_selector("body.ready")
    return fresh


@pytest.mark.parametrize("width", [390, 1280])
def test_tables_of_a_large_layer_wait_to_be_opened_and_any_cell_can_be_typed_over(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    choose(page, "spiral")
    titles = page.locator("#parameters summary")
    expect(titles).to_have_text(
        [
            "W[1] 64 × 2, b[1] 64 × 1: 192 numbers",
            "W[2] 64 × 64, b[2] 64 × 1: 4160 numbers",
            "W[3] 1 × 64, b[3] 1 × 1: 65 numbers",
        ]
    )
    expect(page.locator("#parameters input:visible")).to_have_count(0)
    titles.nth(1).focus()
    page.keyboard.press("Enter")
    seen = page.get_by_role("group", name="Visible part of W[2]")
    seen.get_by_label("From row").fill("48")
    page.keyboard.press("Tab")
    seen.get_by_label("From column").fill("40")
    page.keyboard.press("Tab")
    e = experiment_of(page)
    cell = page.get_by_label("W[2], row 63, column 41", exact=True)
    assert float(cell.input_value()) == pytest.approx(e.network.parameters["W2"][63, 41], rel=1e-3)
    cell.fill("7.5")
    page.keyboard.press("Enter")
    says(page, "W[2][63, 41] is now 7.5.")
    e.set_cell("W", 2, 63, 41, 7.5)
    says(page, f"J = {e.cost():.4g}.")
    page.get_by_role("button", name="One unit fewer in layer 1").click()  # other tables, still open
    expect(titles.nth(1)).to_have_text("W[2] 64 × 63, b[2] 64 × 1: 4096 numbers")
    expect(page.locator("#parameters details[open]")).to_have_count(1)
    choose(page, "digits")  # another network: closed again
    expect(titles).to_have_count(2)
    expect(page.locator("#parameters details[open]")).to_have_count(0)
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width


def test_an_opened_table_follows_the_training(page):
    choose(page, "spiral")
    page.locator("#parameters summary").first.click()
    page.get_by_role("group", name="Visible part of W[1]").get_by_label("From row").fill("30")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="One epoch").click()
    says(page, "Epoch 1,")
    e = experiment_of(page)
    e.steps(e.left_in_epoch())
    shown = [float(box.input_value()) for box in page.locator("[aria-label^='W[1], row']").all()]
    assert len(shown) == 32
    np.testing.assert_allclose(shown, e.network.parameters["W1"][30:46].ravel(), rtol=1e-3)


def test_the_columns_and_the_unit_of_the_map_are_kept_in_the_link(page):
    assert "map" not in link(page)["looks"]  # nothing was chosen
    choose(page, "digits")
    chosen = page.locator("#map")
    chosen.get_by_label("Across").select_option("20")
    chosen.get_by_label("The map shows").select_option("1,3")
    expect(page.locator(".unit.shown")).to_have_count(1)
    fresh = again(page)
    expect(fresh.locator("#map").get_by_label("Across")).to_have_value("20")
    up = chosen.get_by_label("Up").input_value()
    expect(fresh.locator("#map").get_by_label("Up")).to_have_value(up)
    expect(fresh.locator("#map").get_by_label("The map shows")).to_have_value("1,3")
    choose(fresh, "xor-non-linear")
    assert "map" not in link(fresh)["looks"]


def test_what_was_changed_is_no_longer_called_prepared(page):
    prepared = page.locator("#presets select")
    choose(page, "three-classes")
    page.get_by_role("button", name="One epoch").click()
    says(page, "Epoch 1,")
    expect(prepared).to_have_value("three-classes")
    page.get_by_role("button", name="One unit more in layer 1").click()
    expect(prepared).to_have_value("")


def test_the_layer_and_the_axes_of_the_hidden_space_are_kept_in_the_link(page):
    choose(page, "spiral")
    expect(page.locator("#parameters summary")).to_have_count(3)
    page.get_by_role("tab", name="Hidden space").click()

    def tool(of: Any, label: str) -> Any:
        return of.locator(f"#view-hidden label:has(span:text-is('{label}')) select")

    tool(page, "Seen by").select_option("1")
    tool(page, "Axes").select_option("units")
    tool(page, "Across").select_option("9")
    tool(page, "Up").select_option("2")
    fresh = again(page)
    for label, value in (("Seen by", "1"), ("Across", "9"), ("Up", "2")):
        expect(tool(fresh, label)).to_have_value(value)
    expect(fresh.locator("#view-hidden svg.space")).to_have_attribute(
        "aria-label", "What layer 1 makes of 400 examples: across unit 9, up unit 2; "
        "the table beside it has numbers.",
    )  # fmt: skip


@pytest.mark.parametrize(
    "looks",
    [
        {"map": {"columns": [5, 5], "unit": [9, 9]}, "hidden": {"layer": 7, "axes": [0, 1]}},
        {"map": {"columns": "ab", "unit": {}}, "hidden": {"layer": 1, "axes": [0, 99]}},
        {"map": 3, "hidden": None},
    ],
)
def test_looks_that_do_not_fit_are_left_out(page, looks):
    state = {**link(page), "view": "hidden", "looks": looks}
    page.goto(page.url.partition("#")[0] + as_link(state))
    page.reload()
    page.wait_for_selector("body.ready")
    expect(page.locator("#view-hidden svg.space")).to_be_visible()
    expect(page.locator("#map").get_by_label("The map shows")).to_have_value("")


def test_accuracy_and_curves_are_those_of_the_weights_typed(page):
    page.get_by_label("Data set").select_option("and")
    page.get_by_role("button", name="Remove layer 1").click()
    for label, typed in (("b[1], row 0, column 0", "-30"), ("W[1], row 0, column 0", "20"),
                         ("W[1], row 0, column 1", "20")):  # fmt: skip
        page.get_by_label(label, exact=True).fill(typed)
        page.keyboard.press("Enter")
        says(page, f"is now {typed.replace('-', '−')}.")
    accuracy = page.locator("#numbers div:has(dt:text-is('Accuracy')) dd")
    expect(accuracy).to_have_text("1")
    expect(page.locator("#curves figcaption").first).to_contain_text("training 3.405e−05")
    page.get_by_role("button", name="Reset").click()
    expect(accuracy).not_to_have_text("1")


def test_what_was_found_in_another_experiment_is_not_told_of_this_one(page):
    choose(page, "xor-linear")
    expect(page.locator("#diagnosis .findings .name").first).to_contain_text("No non linearity")
    choose(page, "xor-non-linear")
    expect(page.locator("#diagnosis")).to_contain_text("No problems so far.")
    expect(page.locator("#diagnosis")).not_to_contain_text(
        "Earlier in this training", use_inner_text=True
    )


def test_the_name_of_an_array_keeps_its_letter_in_a_finding(page):
    page.locator("#faults select").select_option("wrong_layer_derivative")
    page.get_by_role("button", name="One epoch").click()
    evidence = page.locator("#diagnosis .evidence").first
    expect(evidence).to_have_text(re.compile(r"^d[A-Zb]\[\d\] differs"))


def test_parity_has_a_choice_of_bits(page):
    page.get_by_label("Data set").select_option("Parity of 6 bits")
    expect(page.locator("#table")).to_contain_text("0 to 9 of 64")
    says(page, "64 examples")
    e = experiment_of(page)
    assert e.X.shape == (6, 64)
    assert len({tuple(x) for x in e.X.T}) == 64
    np.testing.assert_array_equal(e.Y[0], e.X.sum(axis=0) % 2)


def test_numbers_are_looked_at_as_numbers_and_classes_as_classes(page):
    def chosen() -> Any:
        return page.locator("#views [role=tab][aria-selected=true]")

    expect(chosen()).to_have_text("Confusion")
    choose(page, "sine")
    expect(chosen()).to_have_text("Expected and actual")
    choose(page, "xor-non-linear")
    expect(chosen()).to_have_text("Confusion")
    page.get_by_role("tab", name="Layers").click()
    choose(page, "sine")
    expect(chosen()).to_have_text("Layers")  # what was chosen stays
