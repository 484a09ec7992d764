"""The page on one's own: tables and models opened by button or drop, models saved, own links."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from lab_browser import expect, number, says, told, until, weights
from lab_held import forget, forget_data
from pellucid import Dense, Network, load, load_predictor, save
from pellucid.lab.datasets import DATASETS
from pellucid.lab.server.app import Lab
from pellucid.lab.session.models import open_model
from pellucid.record import shown
from pellucid.tables import TrainSettings, read_table
from pellucid.tables.fit import fit, prepare


@pytest.fixture(scope="module")
def lab():
    """A lab in this process, so that a test can make it forget."""
    with Lab() as lab:
        yield lab


@pytest.fixture(scope="module")
def address(lab):
    return lab.address


@pytest.fixture(autouse=True)
def nothing_left():
    forget()
    yield
    forget()


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    """A table with a constant column, and a model of it."""
    random = np.random.default_rng(0)
    size, rooms = random.uniform(30, 200, 80), random.integers(1, 6, 80)
    lines = [
        f"{s:.1f},{r},{['north', 'south'][r % 2]},7,{3 * s + 60 * r**2:.2f}"
        for s, r in zip(size, rooms, strict=True)
    ]
    root = tmp_path_factory.mktemp("houses")
    path = root / "houses.csv"
    path.write_text("\n".join(["size,rooms,side,same,price", *lines]))
    settings = TrainSettings(hidden_layer_sizes=(6,), epochs=20, ensemble=1)
    save(fit(prepare(read_table(path, target="price"), settings)), root / "houses.pellucid")
    with zipfile.ZipFile(root / "houses.zip", "w") as out:
        for file in (root / "houses.pellucid").iterdir():
            out.write(file, f"houses.pellucid/{file.name}")
    return root


def open_table(page, path):
    page.locator("#own input[type=file]").set_input_files(path)
    expect(page.get_by_label("Column to learn")).to_be_focused()


def drop(page, path, where="#data"):
    """Let a file fall on a part of the page, as the browser tells it."""
    page.evaluate(
        """([where, name, text]) => {
            const data = new DataTransfer();
            data.items.add(new File([text], name));
            const how = {dataTransfer: data, bubbles: true, cancelable: true};
            for (const kind of ["dragover", "drop"])
                document.querySelector(where).dispatchEvent(new DragEvent(kind, how));
        }""",
        [where, path.name, path.read_text()],
    )


def saved_model(page, tmp_path):
    with page.expect_download() as download:
        page.get_by_role("button", name="Save model").click()
    with zipfile.ZipFile(download.value.path()) as file:
        file.extractall(tmp_path)
    return tmp_path / download.value.suggested_filename.removesuffix(".zip")


def learn(page, column):
    page.get_by_label("Column to learn").select_option(column)
    page.get_by_role("button", name="Learn it").click()
    expect(page.get_by_role("button", name="Another column of houses.csv")).to_be_focused()


# Tables -------------------------------------------------------------------------------------------


def test_a_table_is_opened_learned_saved_and_predicted_with(page, houses, tmp_path):
    open_table(page, houses / "houses.csv")
    expect(page.get_by_label("Column to learn")).to_have_value("price")  # the last
    learn(page, "price")
    says(page, "Left out: 'same'")
    expect(page.get_by_label("Data set")).to_have_value(
        next(k for k, v in DATASETS.items() if v.user_data)
    )
    expect(page.locator("svg.network")).to_have_attribute("aria-label", "Network 3-16-8-1")
    before = told(page, "J")
    page.get_by_role("button", name="Play").click()
    until(page, lambda: told(page, "J") < before / 4)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    path = saved_model(page, tmp_path)
    says(page, "houses.pellucid.zip is saved")
    model = load(path)
    table = read_table(houses / "houses.csv", target="price")
    right = table.y
    predicted = model.predict(table.columns)
    assert np.corrcoef(predicted, right)[0, 1] > 0.8
    answers = [number(cell.inner_text()) for cell in page.locator("td.actual").all()]
    expected = (predicted[:10] - model.model_.target_mean) / model.model_.target_std
    np.testing.assert_allclose(answers, expected, rtol=2e-3, atol=1e-3)


def test_a_table_is_dropped_and_another_column_is_learned(page, houses):
    drop(page, houses / "houses.csv")
    learn(page, "side")
    expect(page.locator("#table thead")).to_contain_text("rooms")
    again = page.get_by_role("button", name="Another column of houses.csv")
    again.press("Enter")
    learn(page, "rooms")
    expect(page.locator("#table thead")).to_contain_text("side = south")


def test_own_data_are_there_after_a_reload_and_can_be_chosen_again(page, houses):
    open_table(page, houses / "houses.csv")
    learn(page, "price")
    before = weights(page)
    page.reload()
    page.wait_for_selector("body.ready")
    assert weights(page) == before
    page.get_by_label("Data set").select_option("xor")
    expect(page.locator("#table thead")).to_contain_text("x1")
    page.get_by_label("Data set").select_option(label="houses.csv")
    expect(page.locator("#table thead")).to_contain_text("size")


def test_a_link_whose_data_are_gone_says_so_and_opens_once_they_are_back(page, houses):
    open_table(page, houses / "houses.csv")
    learn(page, "price")
    page.get_by_role("spinbutton", name="Learning rate").fill("0.0125")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Reset").click()  # it comes after the change
    says(page, "same initial weights")
    before = weights(page)
    forget_data()
    page.reload()
    page.wait_for_selector("body.ready")
    says(page, "your own data, which this lab does not hold")
    expect(page.get_by_label("Data set")).to_have_value("xor")
    open_table(page, houses / "houses.csv")
    learn(page, "price")
    expect(page.get_by_role("spinbutton", name="Learning rate")).to_have_value("0.0125")
    assert weights(page) == before


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data.csv", b"PAR1" + bytes(40), "data.csv is a Parquet file, not a table of text"),
        ("empty.csv", b"", "empty.csv is empty"),
        ("model.zip", b"hello", "model.zip is not a zip of a model folder"),
    ],
)
def test_what_cannot_be_read_gets_one_sentence(page, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    where = "#keep" if name.endswith("zip") else "#own"
    page.locator(f"{where} input[type=file]").set_input_files(tmp_path / name)
    says(page, message)
    expect(page.locator("#own .warning")).to_contain_text(message)
    expect(page.locator("svg.network")).to_have_attribute("aria-label", "Network 2-4-1")


def test_what_is_too_large_is_not_even_sent(page):
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    page.evaluate(
        """() => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(33 * 2 ** 20)], "large.csv"));
            document.body.dispatchEvent(
                new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
        }"""
    )
    says(page, "large.csv is 33 MiB; the lab reads files of up to 32 MiB.")
    assert sent == []


# Models -------------------------------------------------------------------------------------------


def test_a_saved_model_is_opened_again_with_the_same_weights(page, tmp_path):
    page.get_by_label("Data set").select_option("circles")
    expect(page.locator("#map")).to_contain_text("inner")
    page.get_by_role("button", name="One epoch").click()
    says(page, "Epoch 1")
    before = weights(page)
    path = saved_model(page, tmp_path)
    page.locator("#presets select").select_option("digits")
    expect(page.locator("svg.network")).to_have_attribute("aria-label", "Network 64-32-10")
    page.locator("#keep input[type=file]").set_input_files(list(path.iterdir()))  # its files
    expect(page.locator("svg.network")).to_have_attribute("aria-label", "Network 2-4-1")
    assert weights(page) == before
    expect(page.get_by_label("Data set")).to_have_value("circles")
    expect(page.locator("#opened")).to_have_text("Opened: model.")
    page.get_by_label("Initial weights").select_option("zeros")  # no longer the model's
    expect(page.locator("#parameters input").first).to_have_value("0")
    expect(page.locator("#opened")).to_be_hidden()


def test_a_model_and_then_its_table_through_its_own_preprocessing(page, houses):
    page.locator("#keep input[type=file]").set_input_files(houses / "houses.zip")
    expect(page.locator("#opened")).to_contain_text("Opened: houses.")
    says(page, "drawn at random")
    open_table(page, houses / "houses.csv")
    expect(page.get_by_label("Prepared as for the open model")).to_be_checked()
    learn(page, "price")
    says(page, "through the preprocessing of houses")
    model = load_predictor(houses / "houses.pellucid")
    table = read_table(houses / "houses.csv", target="price")
    expected = model.networks[0].forward(model.inputs(table).T)[0][:10]
    answers = [number(cell.inner_text()) for cell in page.locator("td.actual").all()]
    np.testing.assert_allclose(answers, expected, rtol=2e-3, atol=1e-4)


def test_the_command_line_s_model_is_what_the_page_opens_first(browser, lab, houses):
    lab.experiment = open_model(str(houses / "houses.pellucid"), str(houses / "houses.csv"))
    context = browser.new_context()
    page = context.new_page()
    page.goto(lab.address)
    lab.experiment = None
    page.wait_for_selector("body.ready")
    network = load_predictor(houses / "houses.pellucid").networks[0]
    W = network.W[1] * network.s[0].T
    there = [shown(float(value)) for value in weights(page)[: W.size]]
    assert there == [shown(float(value)) for value in W.ravel()]
    context.close()


def test_a_model_too_large_for_the_pass_opens_all_the_same(browser, lab, tmp_path):
    layers = [Dense(512, "tanh"), Dense(120, "tanh"), Dense(1, "sigmoid")]
    save(Network(layers, 280, seed=0), tmp_path / "wide.pellucid")
    lab.experiment = open_model(str(tmp_path / "wide.pellucid"))
    context = browser.new_context()
    page = context.new_page()
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(lab.address)
    lab.experiment = None
    expect(page.locator("#steps .step")).to_contain_text(
        "a pass of 205,553 parameters is too large"
    )
    page.get_by_role("button", name="One epoch").click()
    says(page, "Epoch 1")
    page.locator("#presets select").select_option("and-gate")
    expect(page.locator("#steps .cell")).to_be_visible()
    context.close()
    assert complaints == []


# How it is ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [390, 1280])
def test_the_choice_of_a_column_fits_the_page_and_every_control_has_a_name(page, houses, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.locator("#keep input[type=file]").set_input_files(houses / "houses.zip")
    expect(page.locator("#opened")).to_contain_text("Opened")
    open_table(page, houses / "houses.csv")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    unnamed = page.evaluate(
        """[...document.querySelectorAll('button, input, select')].filter((e) =>
            !(e.innerText || e.getAttribute('aria-label') || e.labels?.[0]?.innerText))
            .map((e) => e.outerHTML)"""
    )
    assert unnamed == []
    page.get_by_role("button", name="Not now").press("Enter")
    expect(page.get_by_label("Column to learn")).to_have_count(0)


def test_a_button_opens_the_chooser_of_files(page):
    for name in ("Open model", "Open a table (CSV)"):
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name=name).press("Enter")
        assert chooser.value.is_multiple() == (name == "Open model")


def test_few_whole_numbers_are_learned_as_quantities_where_one_says_so(page, tmp_path):
    path = tmp_path / "few.csv"
    path.write_text("size,price\n" + "".join(f"{k},{100 + 7 * k}\n" for k in range(8)))
    open_table(page, path)
    page.get_by_role("button", name="Learn it").click()
    says(page, "too many classes to learn")
    page.get_by_label("It holds").select_option("quantities")
    page.get_by_role("button", name="Learn it").click()
    says(page, "regression, as asked for")
    expect(page.locator("#learning label:has(span:text-is('Loss')) select")).to_have_value(
        "mean_squared_error"
    )
