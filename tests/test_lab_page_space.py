"""The lab's page: hidden space, weights as images, maps of chosen inputs, points by hand."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from lab_browser import COMMAND, choose, expect, experiment_of, need_browser, number, says, until
from pellucid.lab.session.experiment import Experiment
from pellucid.lab.views.boundary import View, boundary
from pellucid.record import shown


def epochs(page: Any, e: Experiment, count: int) -> None:
    for epoch in range(1, count + 1):
        page.get_by_role("button", name="One epoch").click()
        says(page, f"Epoch {epoch},")
        e.steps(e.left_in_epoch())


def look(page: Any, title: str) -> Any:
    page.get_by_role("tab", name=title).click()
    return page.get_by_role("tabpanel", name=title)


def cells(table: Any) -> list[list[str]]:
    return [
        [cell.strip() for cell in row.locator("th, td").all_inner_texts()]
        for row in table.locator("tbody tr").all()
    ]


def numbers_in(path: str) -> np.ndarray:
    return np.array(re.findall(r"-?\d+(?:\.\d+)?", path), dtype=float)


def on_map(page: Any, label: str) -> Any:
    return page.locator("#map").get_by_label(label)


def small(page: Any, selector: str) -> np.ndarray:
    """The pixels of a canvas, (rows, columns, 3)."""
    rows, columns, values = page.locator(selector).evaluate(
        """(canvas) => {
            const { width, height } = canvas;
            const copy = Object.assign(document.createElement("canvas"), { width, height });
            const context = copy.getContext("2d", { willReadFrequently: true });
            context.drawImage(canvas, 0, 0);
            return [height, width, [...context.getImageData(0, 0, width, height).data]];
        }"""
    )
    return np.array(values).reshape(rows, columns, 4)[:, :, :3]


def blueness(pixels: np.ndarray) -> np.ndarray:
    """Above 0 where a picture is blue, below 0 where it is rust."""
    return pixels[:, :, 2].astype(int) - pixels[:, :, 0]


def place(page: Any, x: float, y: float) -> tuple[float, float]:
    """Where a share of the map's width and height is on the screen."""
    canvas = page.locator("#map .canvas")
    canvas.evaluate("(e) => e.scrollIntoView({ block: 'center' })")
    box = canvas.bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def at(page: Any, k: int) -> tuple[float, float]:
    """Where example k is on the screen."""
    X = experiment_of(page).X
    low, high = X.min(axis=1), X.max(axis=1)
    share = 0.15 / 1.3 + (X[:, k] - low) / (high - low) / 1.3
    return place(page, float(share[0]), float(1 - share[1]))


def count_of(page: Any, what: str) -> Any:
    """Count the requests of a name from now on."""
    page.evaluate(
        """(what) => {
            window.asked = 0;
            const send = WebSocket.prototype.send;
            WebSocket.prototype.send = function (text) {
                if (JSON.parse(text).do === what) window.asked += 1;
                return send.call(this, text);
            };
        }""",
        what,
    )
    return lambda: page.evaluate("window.asked")


# Hidden space -------------------------------------------------------------------------------------


def test_two_hidden_units_make_the_classes_of_xor_separable_by_a_line(page):
    choose(page, "xor-hidden-space")
    expect(page.locator("svg.network")).to_have_attribute("aria-label", "Network 2-2-1")
    e = experiment_of(page)
    panel = look(page, "Hidden space")
    expect(panel.locator("strong")).not_to_contain_text("4 of 4")
    page.get_by_role("button", name="Play").click()
    expect(panel.locator("strong")).to_have_text("4 of 4 examples lie on the side of their class.")
    page.get_by_role("button", name="Reset").click()
    epochs(page, e, 40)
    A = e.network.forward(e.X, cache=True).A[1]
    z = e.network.forward(e.X, cache=True).Z[2][0]
    until(page, lambda: cells(panel)[0][2] == shown(float(A[0, 0])).replace("-", "−"))
    found = cells(panel.locator("table"))
    assert [row[1] for row in found] == ["not y", "y", "y", "not y"]
    values = [[number(text) for text in row[2:]] for row in found]
    np.testing.assert_allclose(values, np.vstack([A, z]).T, rtol=5e-4, atol=1e-6)

    w, b = e.network.W[2][0], e.network.b[2][0, 0]
    terms = [f"{'−' if value < 0 else '+'} {shown(abs(float(value)))}" for value in (w[1], b)]
    line = f"{shown(float(w[0]))} a[1]_0 {terms[0]} a[1]_1 {terms[1]} = 0".replace("-", "−")
    expect(panel).to_contain_text(f"The output decides by the line {line}:")

    # In the drawing too: each point is where the numbers say, on its side of the line.
    dots = np.vstack(
        [
            numbers_in(path.get_attribute("d").replace("h0", "")).reshape(-1, 2)
            for path in panel.locator("svg.space path.points:not(.edge)").all()
        ]
    )
    order = [0, 3, 1, 2]  # one path for each class
    width = float(panel.locator("rect.frame").get_attribute("width"))
    moved = (A[0, order] - A[0, 0]) * width / 2.24  # from -1 to 1, and a margin of 0.12
    np.testing.assert_allclose(dots[:, 0] - dots[0, 0], moved, atol=0.11)
    start, end = numbers_in(panel.locator(".decision").get_attribute("d")).reshape(2, 2)
    (across, up), away = end - start, dots - start
    side = across * away[:, 1] - up * away[:, 0]
    assert abs(np.sign(side * z[order]).sum()) == 4


def test_the_main_directions_of_a_layer_and_two_units_of_it(page):
    choose(page, "three-classes")
    e = experiment_of(page, "three-classes")
    panel = look(page, "Hidden space")
    A = e.network.forward(e.X, cache=True).A[1].astype(float)
    centred = A - A.mean(axis=1, keepdims=True)
    _, S, Vt = np.linalg.svd(centred, full_matrices=False)
    share = shown(float(100 * (S[:2] ** 2).sum() / (S**2).sum()))
    expect(panel).to_contain_text(f"These two axes hold {share} % of the variance of A[1]")
    labels = e.Y.argmax(axis=0)
    for row, y in zip(cells(panel), range(3), strict=True):
        assert row[:2] == ["abc"[y], str((labels == y).sum())]
        for axis in (0, 1):
            mean, deviation = map(number, row[2 + axis].split(" ± "))
            own = S[axis] * Vt[axis, labels == y]
            assert abs(mean) == pytest.approx(abs(own.mean()), rel=2e-3, abs=1e-4)
            assert deviation == pytest.approx(own.std(), rel=2e-3)
    assert len(panel.locator("path.bent").get_attribute("d")) > 1000

    tools = panel.locator(".row")
    tools.get_by_label("Axes").select_option("units")
    tools.get_by_label("Across").select_option("5")
    tools.get_by_label("Up").select_option("5")  # taken: the axes change places
    expect(panel.locator("thead th")).to_have_text(["Class", "examples", "unit 1", "unit 5"])
    own = A[5, labels == 0]
    assert cells(panel)[0][3] == f"{shown(own.mean())} ± {shown(own.std())}".replace("-", "−")
    panel.get_by_label("Seen by").select_option("0")
    expect(panel.locator("thead th")).to_have_text(["Class", "examples", "x1", "x2"])
    own = e.X[1, labels == 2].astype(float)
    assert cells(panel)[2][3] == f"{shown(own.mean())} ± {shown(own.std())}".replace("-", "−")


def test_the_hidden_space_is_drawn_while_playing_and_needs_two_units(page):
    panel = look(page, "Hidden space")
    expect(panel.locator("tbody tr")).to_have_count(4)
    before = panel.locator("path.bent").get_attribute("d")
    page.get_by_role("button", name="Play").click()
    panel.evaluate("(e) => e.scrollIntoView()")
    until(page, lambda: panel.locator("path.bent").get_attribute("d") != before)
    expect(page.get_by_role("button", name="Pause")).to_be_visible()  # the view did not stop it
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Remove layer 1").click()
    expect(panel).to_contain_text("This network has no hidden layer")
    expect(panel.locator("svg.space")).to_be_hidden()


# First-layer weights ------------------------------------------------------------------------------


def test_each_unit_of_the_first_layer_is_a_picture_of_its_weights(page):
    panel = look(page, "First-layer weights")
    expect(panel).to_contain_text("are not an image")
    choose(page, "digits")
    e = experiment_of(page, "digits")
    epochs(page, e, 2)
    W = e.network.W[1]
    for unit in (0, 31):
        largest = W[unit, np.abs(W[unit]).argmax()]
        item = panel.locator("li").nth(unit)
        expect(item).to_contain_text(f"unit {unit}")
        expect(item).to_contain_text(shown(float(largest)).replace("-", "−"))
        row, column = divmod(int(np.abs(W[unit]).argmax()), 8)
        expect(item.get_by_role("img", name=f"row {row}, column {column}")).to_have_count(1)
        blue = blueness(small(page, f"#view-weights li:nth-child({unit + 1}) canvas"))
        seen = np.abs(W[unit]) > 0.1 * np.abs(W).max()
        assert (np.sign(blue.ravel()[seen]) == np.sign(W[unit][seen])).all()
    panel.get_by_label("Colours").select_option("each")
    weak = int(np.abs(W).max(axis=1).argmin())
    strongest = np.abs(W[weak]).argmax()
    pixel = small(page, f"#view-weights li:nth-child({weak + 1}) canvas").reshape(64, 3)[strongest]
    assert abs(int(pixel[2]) - int(pixel[0])) > 100  # its own largest has the full colour
    before = panel.locator("li").first.inner_text()
    page.get_by_role("button", name="Play").click()
    panel.evaluate("(e) => e.scrollIntoView()")  # what is not in sight is not drawn
    until(page, lambda: panel.locator("li").first.inner_text() != before)
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def test_examples_that_are_images_are_shown_as_pictures(page):
    choose(page, "digits")
    e = experiment_of(page, "digits")
    expect(page.locator("#table canvas")).to_have_count(10)
    ink = 255 - small(page, "#table tbody tr:nth-child(3) canvas").mean(axis=2)
    assert np.corrcoef(ink.ravel(), e.X[:, 2])[0, 1] > 0.999


# Maps ---------------------------------------------------------------------------------------------


def agrees(page: Any, e: Experiment, view: View) -> bool:
    """Whether the map's colours are on the side of the reference's values, all of them."""
    values = boundary(e, view)[0][0][::-1]  # the largest x2 is on top
    field = blueness(small(page, "#map .canvas canvas:first-child"))
    if field.shape != values.shape:
        return False
    clear = np.abs(values - 0.5) > 0.02
    return clear.any() and (np.sign(field[clear]) == np.sign(values - 0.5)[clear]).all()


def test_a_map_over_two_chosen_inputs_of_many(page):
    page.get_by_label("Data set").select_option("parity")
    e = experiment_of(page, "parity")
    expect(page.locator("#map")).to_contain_text("The other 2 inputs are held at their mean")
    until(page, lambda: agrees(page, e, View(100, columns=(0, 1))))
    on_map(page, "Across").select_option("3")
    until(page, lambda: agrees(page, e, View(100, columns=(3, 1))))
    on_map(page, "Up").select_option("3")  # they change places
    expect(on_map(page, "Across")).to_have_value("1")
    until(page, lambda: agrees(page, e, View(100, columns=(1, 3))))
    page.get_by_role("button", name="Play").click()
    before = small(page, "#map .canvas canvas:first-child")
    until(page, lambda: (small(page, "#map .canvas canvas:first-child") != before).any())
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Reset").click()
    until(page, lambda: agrees(page, e, View(100, columns=(1, 3))))


def test_the_map_of_digits_begins_with_the_two_pixels_that_differ_most(page):
    choose(page, "digits")
    e = experiment_of(page, "digits")
    chosen = [on_map(page, "Across").input_value(), on_map(page, "Up").input_value()]
    variances = np.sort(e.X.var(axis=1))
    assert e.X[list(map(int, chosen))].var(axis=1).min() > 0.99 * variances[-2]


@pytest.fixture(scope="module")
def iris() -> Iterator[str]:
    """The address of a lab with a table of four columns."""
    need_browser()
    command = [*shlex.split(COMMAND), "sample:iris", "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield next(found[0] for line in server.stdout if (found := re.search(r"http\S+", line)))
        finally:
            server.terminate()


def test_a_table_of_ones_own_has_a_map_over_two_of_its_columns(browser, iris):
    page = browser.new_page()
    page.goto(iris)
    page.wait_for_selector("body.ready")
    across = on_map(page, "Across").locator("option")
    expect(across).to_have_text([re.compile("sepal|petal")] * 4)
    on_map(page, "Across").select_option("2")
    on_map(page, "Up").select_option("3")
    epochs_seen = small(page, "#map .canvas canvas:first-child")
    page.get_by_role("button", name="One epoch").click()
    until(page, lambda: (small(page, "#map .canvas canvas:first-child") != epochs_seen).any())
    look(page, "First-layer weights")
    expect(page.locator("#view-weights")).to_contain_text("are not an image")
    page.close()


FLAT = ("and", "or", "circles", "moons", "spiral", "three-classes", "plane", "pass-the-class")


@pytest.mark.parametrize("name", FLAT)
def test_every_unit_has_its_map_on_the_drawing(page, name):
    page.get_by_label("Data set").select_option(name)
    e = experiment_of(page, name)
    count = e.network.n[1] + e.network.n[2]
    asked = count_of(page, "unit_maps")
    page.get_by_role("button", name="Reset").click()
    says(page, "same initial weights")
    until(page, lambda: asked() >= 1)
    expect(page.locator(".small-map")).to_have_count(count)
    for unit in range(4):
        values = boundary(e, View(30, (1, unit)))[0][0][::-1]
        selector = f".small-map >> nth={unit}"
        until(
            page,
            lambda selector=selector, values=values: matches(small(page, selector), values),
        )
    assert asked() <= 2  # one request for all units: after the reset, and when it stopped


def matches(pixels: np.ndarray, values: np.ndarray) -> bool:
    clear = np.abs(values) > 0.05
    return (np.sign(blueness(pixels)[clear]) == np.sign(values[clear])).all()


# Points -------------------------------------------------------------------------------------------


def drag(page: Any, *places: tuple[float, float]) -> None:
    page.mouse.move(*places[0])
    page.mouse.down()
    for here, there in pairwise(places):
        for step in range(1, 9):
            page.mouse.move(*(a + step / 8 * (b - a) for a, b in zip(here, there, strict=True)))


def rows(page: Any) -> Any:
    return page.locator("#table tbody tr")


def test_dragging_a_point_asks_once_at_the_end(page):
    asked = count_of(page, "open")
    drag(page, at(page, 3), place(page, 0.5, 0.5))
    page.wait_for_timeout(300)
    assert asked() == 0
    assert page.get_by_label("x1 of example 3").input_value() == "1"
    page.mouse.up()
    expect(page.get_by_label("x1 of example 3")).to_have_value(re.compile(r"^0\.(49|5)"))
    expect(page.get_by_label("x2 of example 3")).to_have_value(re.compile(r"^0\.(49|5)"))
    assert page.get_by_label("expected output of example 3").input_value() == "0"
    expect(rows(page)).to_have_count(4)
    assert asked() == 1
    page.mouse.click(*at(page, 0))
    says(page, "Example 0 at 0, 0. Drag it to move it.")
    assert asked() == 1


def test_holding_and_moving_draws_several_points_of_a_class(page):
    asked = count_of(page, "open")
    on_map(page, "A click").select_option("0")
    drag(page, place(page, 0.2, 0.5), place(page, 0.8, 0.5))
    page.mouse.up()
    until(page, lambda: rows(page).count() > 8)
    assert asked() == 1
    drawn = [cells(page.locator("#table"))[k] for k in range(4, rows(page).count())]
    assert {row[-2] for row in drawn} == {"training"}
    e = experiment_of(page)
    assert not e.Y[0, 4:].any()
    assert (np.diff(e.X[0, 4:]) > 0).all()
    np.testing.assert_allclose(e.X[1, 4:], 0.5, atol=0.02)


SLOW = """
const given = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'onmessage');
Object.defineProperty(WebSocket.prototype, 'onmessage', {
    set(take) { given.set.call(this, (message) => setTimeout(() => take(message), 250)); },
});
"""


def test_quick_changes_of_points_add_up_before_the_replies(page):
    page.add_init_script(SLOW)
    page.reload()
    page.wait_for_selector("#steps .cell")
    page.get_by_label("x1 of example 3").fill("0.25")
    page.keyboard.press("Enter")
    page.mouse.click(*place(page, 0.5, 0.5))
    expect(rows(page)).to_have_count(5)  # and the pass of these examples is under way
    page.get_by_role("button", name="Add an example").click()
    page.get_by_role("button", name="Remove example 0").click()
    expect(page.get_by_label("x1 of example 4")).to_have_value(re.compile(r"^0\.(49|5)"))
    expect(page.get_by_label("x1 of example 2")).to_have_value("0.25")
    page.wait_for_timeout(1500)  # nothing is asked of a pass that is gone: the console stays empty


def test_a_drag_is_given_up_by_escape(page):
    drag(page, at(page, 3), place(page, 0.5, 0.5))
    page.keyboard.press("Escape")
    page.mouse.up()
    page.wait_for_timeout(300)
    assert page.get_by_label("x1 of example 3").input_value() == "1"
    expect(rows(page)).to_have_count(4)


def test_points_are_removed_by_choice_but_the_last(page):
    on_map(page, "A click").select_option("remove")
    for left in (3, 2, 1):
        page.mouse.click(*place(page, 0.5, 0.5))  # where there is none
        if left > 1:
            page.mouse.click(*at(page, 0))
        else:
            page.get_by_role("button", name="Remove example 0").click()
        expect(rows(page)).to_have_count(left)
    page.mouse.click(*place(page, 0.5, 0.5))  # the last is in the middle
    says(page, "The last example stays")
    expect(rows(page)).to_have_count(1)


def test_points_of_three_classes_and_of_numbers_are_edited_too(page):
    page.get_by_label("Data set").select_option("three-classes")
    on_map(page, "A click").select_option("2")
    page.mouse.click(*place(page, 0.03, 0.03))
    expect(page.locator("#table")).to_contain_text("0 to 9 of 401")
    assert experiment_of(page).Y[:, 400].tolist() == [0, 0, 1]
    page.get_by_label("expected output of example 1").select_option(label="c")
    until(page, lambda: experiment_of(page).Y[:, 1].tolist() == [0, 0, 1])
    page.get_by_label("Data set").select_option("plane")
    page.locator("#map input").fill("0.75")
    page.keyboard.press("Tab")
    page.mouse.click(*place(page, 0.03, 0.03))
    expect(page.locator("#table")).to_contain_text("0 to 9 of 401")
    assert experiment_of(page).Y[0, 400] == 0.75


SLOW_FINGER = """  // a finger rests for 3 s, not 300 ms: a busy machine is no resting finger
    const after = window.setTimeout;
    window.setTimeout = (call, ms, ...more) => after(call, ms === 300 ? 3000 : ms, ...more);
"""


def test_a_finger_that_rests_draws_and_one_that_does_not_scrolls(browser, address):
    context = browser.new_context(
        viewport={"width": 390, "height": 700}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.add_init_script(SLOW_FINGER)
    page.goto(address)
    page.wait_for_selector("body.ready")
    touches = context.new_cdp_session(page)

    def touch(kind: str, *where: float) -> None:
        points = [{"x": where[0], "y": where[1]}] if where else []
        touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def swipe(rest: int, x: float) -> None:
        left, top = place(page, x, 0.7)
        touch("touchStart", left, top)
        page.wait_for_timeout(rest)
        for step in range(1, 13):
            touch("touchMove", left, top - 10 * step)
            page.wait_for_timeout(20)
        touch("touchEnd")
        page.wait_for_timeout(500)

    before = page.evaluate("scrollY")
    swipe(0, 0.5)
    assert rows(page).count() == 4
    assert page.evaluate("scrollY") != before
    place(page, 0.3, 0.7)
    before = page.evaluate("scrollY")
    swipe(3500, 0.3)
    until(page, lambda: rows(page).count() > 7)
    assert page.evaluate("scrollY") == before
    context.close()
