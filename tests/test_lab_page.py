"""The lab's page, driven in a headless Chromium as a person would."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from lab_browser import choose, expect, number, says, told, until, weights
from pellucid import Dense, Network, trace
from pellucid.record import name as name_of
from pellucid.record import shown

WIDTHS = (390, 1280, 1920)


# Training -----------------------------------------------------------------------------------------


def test_xor_plays_until_it_has_learned_and_resets_to_the_same_weights(page):
    before = weights(page)
    page.get_by_role("button", name="Play").click()
    until(page, lambda: told(page, "J") < 0.1)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    says(page, "Epoch ")  # not what was said before playing
    assert told(page, "J") < 0.1
    outputs = [number(cell.inner_text()) for cell in page.locator("td.actual").all()]
    assert np.round(outputs).tolist() == [0, 1, 1, 0]
    assert weights(page) != before
    assert "Loss J by epoch" in page.locator("#curves svg[role=img]").first.get_attribute(
        "aria-label"
    )
    page.get_by_role("button", name="Reset").click()
    says(page, "same initial weights")
    assert weights(page) == before


def test_single_steps_and_stopping(page):
    for name, epoch, step in (
        ("One epoch", 1, 1),
        ("One mini-batch", 2, 2),
        ("One example", 2, 3),
    ):
        page.get_by_role("button", name=name).click()
        says(page, f"Epoch {epoch}, step {step}")
    page.get_by_role("button", name="Reset").click()
    page.get_by_label("Stop at epoch").fill("25")
    page.get_by_role("button", name="Play").click()
    says(page, "Stopped")
    assert told(page, "Epoch") == 25


# The network --------------------------------------------------------------------------------------


def test_the_and_gate_is_typed_by_hand(page):
    page.get_by_label("Data set").select_option("and")
    page.get_by_role("button", name="Remove layer 1").click()
    expect(page.locator("#parameters input")).to_have_count(3)
    cells = {"W[1], row 0, column 0": 20, "W[1], row 0, column 1": 20, "b[1], row 0, column 0": -30}
    for label, value in cells.items():
        page.get_by_label(label, exact=True).fill(str(value))
        page.keyboard.press("Enter")
        says(page, "is now")
    expect(page.locator("td.actual").first).to_have_text(
        shown(1 / (1 + np.exp(30))).replace("-", "−")
    )
    outputs = {
        tuple(number(row.locator("input").nth(k).input_value()) for k in (0, 1)): number(
            row.locator("td.actual").inner_text()
        )
        for row in page.locator("#table tbody tr").all()
    }
    for (x1, x2), output in outputs.items():
        z = 20 * x1 + 20 * x2 - 30
        assert output == pytest.approx(1 / (1 + np.exp(-z)), rel=1e-3)


def test_units_and_layers_on_the_drawing(page):
    page.get_by_role("button", name="Add a layer after layer 1").click()
    drawing = page.locator("svg.network")
    expect(drawing).to_have_attribute("aria-label", "Network 2-4-4-1")
    page.get_by_role("button", name="One unit fewer in layer 2").click()
    page.get_by_label("Activation of layer 1").select_option("relu")  # before the reply
    row = page.locator("#dimensions tbody tr").first
    expect(row).to_have_text("14relu(4, 2)(4, 1)(4, m)12")
    expect(drawing).to_have_attribute("aria-label", "Network 2-4-3-1")
    assert len(page.locator("svg.network path.weight").all()) == 2 * 4 + 4 * 3 + 3
    page.get_by_role("button", name="Unit 1 of layer 1").focus()
    page.keyboard.press("Enter")
    first = page.locator("#parameters input").nth(2).input_value()
    assert shown(number(first)) in page.locator("svg.network .labels").inner_html().replace(
        "−", "-"
    )


# One pass -----------------------------------------------------------------------------------------


def reference(page: Any) -> Any:
    """The trace of the weights that the page shows, in four digits."""
    values = iter(map(float, weights(page)))
    W1 = np.zeros((4, 2))
    W1.flat = [next(values) for _ in range(8)]
    b1 = np.array([[next(values)] for _ in range(4)])
    W2 = np.array([[next(values) for _ in range(4)]])
    b2 = np.array([[next(values)]])
    net = Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_inputs=2, dtype="float64")
    net.set_parameters({1: (W1, b1), 2: (W2, b2)})
    X = np.array([[0, 0, 1, 1], [0, 1, 0, 1]], dtype=float)
    return trace(net, X, [[0, 1, 1, 0]], "binary_cross_entropy")


def test_every_number_of_the_pass_is_that_of_the_trace(page):
    expected = reference(page)
    page.locator("#steps .chosen button").focus()
    seen = []
    steps = [*expected.forward, *expected.cost, *expected.backward]
    for _ in steps:
        shown = page.locator("#steps [aria-current=step]").inner_text()
        letter, _, layer = shown.replace("ℒ", "L").rstrip("]").partition("[")
        values = expected.arrays[letter, int(layer or 0)]
        cells = page.locator("#steps .result td button").all_inner_texts()
        np.testing.assert_allclose(
            [number(text) for text in cells], values.ravel(), rtol=5e-3, atol=2e-4
        )
        seen.append(shown)
        page.locator("#steps [aria-current=step]").press("ArrowDown")
        expect(page.locator("#steps [aria-current=step]")).not_to_have_text(shown)
    assert seen == [name_of(step.key).replace("L", "ℒ") for step in steps]
    phases = page.locator("#steps .phase").all_inner_texts()
    assert [each.lower() for each in phases] == ["forward", "cost", "backward", "update"]
    assert page.locator("#steps [aria-current=step]").inner_text() == "new W, b"
    expect(page.locator("#steps .good")).to_contain_text("gradients agree with central")


def test_a_cell_shows_what_it_was_made_of(page):
    page.locator("#steps .strip").get_by_role("button", name="dW[1]", exact=True).click()
    page.get_by_role("button", name=re.compile(r"dW\[1\], row 2, column 1")).click()
    says(page, "dW[1][2, 1] = 1/4 sum_i dZ[1][2, i] X[1, i]")
    lit = {cell.get_attribute("data-cell") for cell in page.locator("#steps td.source").all()}
    assert lit == {f"dZ[1],2,{i}" for i in range(4)} | {f"X,1,{i}" for i in range(4)}
    page.keyboard.press("ArrowLeft")
    says(page, "dW[1][2, 0]")
    assert page.evaluate("document.activeElement.closest('td').dataset.cell") == "dW[1],2,0"


def test_the_loss_of_each_example_comes_before_backward(page):
    page.locator("#steps .strip").get_by_role("button", name="ℒ", exact=True).click()
    page.get_by_role("button", name=re.compile(r"ℒ, row 0, column 2")).click()
    expect(page.locator("#steps .cell h4")).to_have_text("ℒ, row 0, column 2")
    lit = {cell.get_attribute("data-cell") for cell in page.locator("#steps td.source").all()}
    assert lit == {"Z[2],0,2", "Y,0,2"}
    page.locator("#steps .strip").get_by_role("button", name="J", exact=True).click()
    says(page, "J[0, 0] = 1/4 sum_i L[0, i]")
    lit = {cell.get_attribute("data-cell") for cell in page.locator("#steps td.source").all()}
    assert lit == {f"L,0,{i}" for i in range(4)}


def test_the_update_shows_old_and_new(page):
    old = weights(page)
    page.locator("#steps .strip").get_by_role("button", name="new W, b").click()
    page.get_by_role("button", name="Do the update").click()
    says(page, "Updated")
    assert "old W[1]" in page.locator("#steps").inner_text()
    assert "new W[1]" in page.locator("#steps").inner_text()
    assert weights(page) != old


def test_a_fault_turns_the_check_red_beside_a_healthy_twin(page):
    page.get_by_label("Fault").select_option("wrong_layer_derivative")
    expect(page.locator("#steps .check .warning")).to_contain_text("gradients differ from central")
    page.get_by_role("button", name="One epoch").click()
    expect(page.locator("#curves")).to_contain_text("healthy twin")


# Data, keeping, and how it is ---------------------------------------------------------------------


def test_points_are_added_by_a_click_and_typed_over(page):
    page.locator("#map .canvas").click(position={"x": 140, "y": 140})
    expect(page.locator("#table tbody tr")).to_have_count(5)
    page.get_by_label("x1 of example 4").fill("0.25")
    page.keyboard.press("Enter")
    expect(page.get_by_label("x1 of example 4")).to_have_value("0.25")
    page.get_by_role("button", name="Add an example").click()
    expect(page.locator("#table tbody tr")).to_have_count(6)
    page.get_by_role("button", name="Remove example 0").click()
    expect(page.get_by_label("x1 of example 3")).to_have_value("0.25")
    page.get_by_role("button", name="Restore the original points").click()
    expect(page.locator("#table tbody tr")).to_have_count(4)


def test_the_link_holds_the_state_and_no_secret(page):
    page.get_by_role("button", name="One unit more in layer 1").click()
    expect(page.locator("svg.network")).to_have_attribute("aria-label", "Network 2-5-1")
    page.get_by_label("Runs", exact=True).uncheck()
    before = weights(page)
    assert "token" not in page.url
    page.reload()
    page.wait_for_selector("body.ready")
    assert weights(page) == before
    assert not page.locator("#runs").is_visible()


def test_runs_are_kept_and_things_are_saved(page):
    page.get_by_role("button", name="One epoch").click()
    says(page, "Epoch 1")
    page.get_by_role("button", name="Keep this run").click()
    row = page.locator("#kept tbody tr").inner_text()
    assert "run 1" in row
    assert "2-4-1" in row
    with page.expect_download() as script:
        page.get_by_role("button", name="Python script").click()
    assert "pellucid" in script.value.path().read_text()
    with page.expect_download() as drawing:
        page.get_by_role("button", name="Drawing as SVG").click()
    assert drawing.value.path().read_text().startswith("<svg")


def test_the_keyboard_alone_reaches_everything(page):
    reached = set()
    for _ in range(120):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "document.activeElement.closest('section, header, body > a')?.id || 'top'"
            )
        )
    assert {"training", "data", "settings", "network", "results", "pass", "examples"} <= reached


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_page(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    for preset in ("xor-non-linear", "spiral", "digits"):
        choose(page, preset)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_names_and_headers(page):
    """What a screen reader needs: names for controls, headers for tables, one live region."""
    unnamed = page.evaluate(
        """[...document.querySelectorAll('button, input, select')].filter((e) =>
            !(e.innerText || e.getAttribute('aria-label') || e.labels?.[0]?.innerText))
            .map((e) => e.outerHTML)"""
    )
    assert unnamed == []
    bare = page.evaluate(
        """[...document.querySelectorAll('table')].filter((t) =>
            !t.caption || !t.querySelector('th[scope=col]') || !t.querySelector('th[scope=row]'))
            .map((t) => t.outerHTML.slice(0, 80))"""
    )
    assert bare == []
    assert page.locator("#said").get_attribute("aria-live") == "polite"


def test_the_confusion_matrix_counts_each_example_once(page):
    choose(page, "three-classes")
    page.get_by_role("button", name="One epoch").click()
    page.get_by_role("tab", name="Confusion").click()
    for title in ("Training", "Validation"):
        table = page.locator(
            "#view-confusion table", has=page.locator(f"caption:has-text('{title}')")
        )
        caption, *cells = table.evaluate(  # at once: it is drawn anew
            "(table) => [table.caption.innerText,"
            " ...[...table.querySelectorAll('td')].map((cell) => Number(cell.innerText))]"
        )
        right, of = re.search(r"(\d+) of (\d+) right", caption).groups()
        assert (sum(cells[::4]), sum(cells)) == (int(right), int(of))


def test_the_chosen_view_is_in_the_link(page):
    page.locator("#views [role=tab]").last.click()
    chosen = page.locator("#views [role=tab][aria-selected=true]").inner_text()
    page.reload()
    page.wait_for_selector("body.ready")
    assert page.locator("#views [role=tab][aria-selected=true]").inner_text() == chosen
