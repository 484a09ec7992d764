"""The page's diagnosis, the views of layers and of expected outputs, and dropout by layer."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lab_browser import choose, expect, experiment_of, number, says, told, until
from pellucid.lab.views.layers import layers
from pellucid.metrics import METRICS
from pellucid.record import shown


def break_it(page: Any, fault: str) -> None:
    page.get_by_label("Fault").select_option(fault)


def view(page: Any, title: str) -> Any:
    page.get_by_role("tab", name=title).click()
    return page.get_by_role("tabpanel", name=title)


def cells(row: Any) -> list[str]:
    return [text.replace("−", "-") for text in row.locator("td").all_inner_texts()]


# Diagnosis ----------------------------------------------------------------------------------------


def test_the_diagnosis_says_why_and_its_remedy_is_applied(page):
    panel, line = page.locator("#diagnosis"), page.locator("#verdict")
    expect(panel).to_contain_text("No problems so far.")
    expect(line).to_be_empty()
    break_it(page, "zero_initialisation")
    found = panel.locator("li.error")
    expect(found).to_contain_text("Zero initialisation, every layer")
    expect(found).to_contain_text("Every W is 0 at the start.")
    expect(found).to_contain_text("lectures 002 and 003")
    expect(line).to_have_text("Diagnosis: zero initialisation, every layer")
    found.get_by_role("button", name="Apply").click()
    says(page, "glorot uniform; fault switched off")
    expect(panel.locator("li.error")).to_have_count(0)
    expect(line).to_be_empty()
    assert page.get_by_label("Fault").input_value() == ""
    assert page.get_by_label("Initial weights").input_value() == "glorot_uniform"
    assert page.evaluate("document.activeElement.id") == "diagnosis"


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ("learning_rate_too_large", "Learning rate too high"),
        ("ascent", "Ascent"),
        ("wrong_layer_derivative", "Wrong backward, layer 1"),
    ],
)
def test_it_arises_while_training_goes_on(page, fault, name):
    break_it(page, fault)
    page.get_by_role("button", name="Play").click()
    found = page.locator("#diagnosis li").filter(has_text=name)
    expect(found.first).to_be_visible()
    before = told(page, "Step")
    until(page, lambda: told(page, "Step") > before)  # it was not paused
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def test_the_numbers_of_a_finding_change_and_the_focus_stays(page):
    break_it(page, "ascent")
    evidence = page.locator("#diagnosis .evidence").first
    button = page.locator("#diagnosis .apply").first
    expect(button).to_be_visible()
    button.focus()
    page.get_by_role("button", name="Play").evaluate("button => button.click()")
    texts = set()
    until(page, lambda: texts.add(evidence.inner_text()) or len(texts) > 2)
    assert page.evaluate("document.activeElement.className") == "apply"
    assert all("J has gone from 0.668 to" in text for text in texts if "J has" in text)


def test_a_dropped_transpose_is_placed(page):
    choose(page, "dropped-transpose")
    expect(page.locator("#diagnosis li.error")).to_contain_text("dA[1] = W[2]^T dZ[2]")
    assert page.locator("#diagnosis .apply:visible").count() == 0


def test_a_healthy_training_is_left_alone(page):
    page.evaluate(
        """() => {
            window.heard = [];
            new MutationObserver(() => heard.push(document.querySelector("#verdict").textContent))
              .observe(document.querySelector("#verdict"), {childList: true, subtree: true});
        }"""
    )
    page.get_by_role("button", name="Play").click()
    until(page, lambda: told(page, "J") < 0.01)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#diagnosis")).to_contain_text("No problems so far.")
    assert page.evaluate("heard") == []


def test_examining_thoroughly_judges_the_end(page):
    page.get_by_label("Data set").select_option("circles")
    expect(page.locator("#data-settings")).to_contain_text("One class inside the other")
    page.get_by_role("spinbutton", name="Learning rate").fill("0.0001")
    page.get_by_role("spinbutton", name="Learning rate").press("Enter")
    page.get_by_role("button", name="One epoch").click()
    says(page, "Epoch 1")
    expect(page.locator("#diagnosis")).to_contain_text("No problems so far.")
    page.get_by_role("button", name="Examine thoroughly").click()
    says(page, "Examined:")
    serious = page.locator("#diagnosis li.warning h4, #diagnosis li.error h4").all_inner_texts()
    assert re.search("too low|too early|Underfitting", " ".join(serious))


def test_what_was_found_is_always_in_sight(page):
    break_it(page, "ascent")
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 700})
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        link = page.locator("#verdict a")
        expect(link).to_be_in_viewport()
        link.click()
        expect(page.locator("#diagnosis")).to_be_focused()
        expect(page.locator("#diagnosis h3")).to_be_in_viewport()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


# Views --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gradient", ["dZ", "dW"])
def test_the_layers_are_those_of_the_reference(page, gradient):
    choose(page, "spiral")
    panel = view(page, "Layers")
    panel.get_by_label("Gradient").select_option(gradient)
    expect(panel.locator("figcaption").last).to_contain_text(f"{gradient}[3]")
    told_ = layers(experiment_of(page), gradient)
    expect(panel.locator("caption")).to_contain_text("200 of 300 training examples")
    rows = panel.locator("tbody tr")
    assert rows.count() == 3
    for row, each in zip(rows.all(), told_["layers"], strict=True):
        A, back = each["A"], each["gradient"]
        found = cells(row)
        assert found[:2] == [each["g"], str(each["units"])]
        assert found[2:4] == [shown(A["mean"]), shown(A["std"])]
        assert found[5:7] == [f"{each[k]} of {each['units']}" for k in ("dead", "saturated")]
        numbers = back["mean"], back["std"]
        assert found[7:9] == [shown(value) for value in numbers]
        assert found[10:] == [shown(each[k]) for k in ("dW_rms", "W_norm", "step")]
    bars = panel.locator(".bars").all()
    assert len(bars) == 6
    first = told_["layers"][0]["A"]["counts"]
    assert bars[0].get_attribute("d").count("M") == sum(count > 0 for count in first)


def test_the_layers_are_drawn_while_it_plays(page):
    numbers = view(page, "Layers").locator("tbody")
    expect(numbers).to_contain_text("sigmoid")
    before = numbers.inner_text()
    page.get_by_role("button", name="Play").click()
    expect(numbers).not_to_have_text(before, use_inner_text=True)
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def test_expected_and_actual_of_a_regression(page):
    panel = view(page, "Expected and actual")
    expect(panel).to_contain_text("the confusion matrix shows them")
    choose(page, "sine")
    expect(panel.locator("tbody tr")).to_have_count(2)
    e = experiment_of(page)
    A = e.outputs()
    for name, rows in (("Training", e.training), ("Validation", e.validation)):
        row = panel.locator("tbody tr", has=page.get_by_text(name))
        metrics = [METRICS[m](e.Y[:, rows], A[:, rows]) for m in ("root_mean_squared_error", "r2")]
        assert cells(row) == [str(len(rows)), *map(shown, metrics)]
        drawn = panel.locator(f".scatter .dots.{name.lower()}").get_attribute("d")
        assert drawn.count("M") == len(rows)
    before = panel.locator("tbody").inner_text()
    page.get_by_role("button", name="One epoch").click()
    expect(panel.locator("tbody")).not_to_have_text(before, use_inner_text=True)
    view(page, "Confusion")
    expect(page.locator("#view-confusion")).to_contain_text("see Expected and actual")


# Dropout ------------------------------------------------------------------------------------------


def test_dropout_of_one_layer(page):
    choose(page, "dropped-transpose")
    field = page.get_by_label("Dropout of layer 2")
    field.fill("0.25")
    field.press("Enter")
    until(page, lambda: [k.dropout for k in experiment_of(page).settings.layers] == [0, 0.25])
    expect(field).to_have_value("0.25")
    expect(field).to_be_focused()
    assert number(page.get_by_label("Dropout of layer 1").input_value()) == 0
    assert page.locator("#settings").get_by_label("Dropout").count() == 0
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
