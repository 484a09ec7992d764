"""``open_lab``: pages on networks in memory, and the frame of a notebook."""

from __future__ import annotations

import re
import threading
import urllib.request
import webbrowser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")
pytest.importorskip("sklearn")

from websockets.exceptions import ConnectionClosed

from lab_held import forget
from pellucid import (
    Dense,
    MLPClassifier,
    MLPRegressor,
    Network,
    TabularClassifier,
    TabularRegressor,
)
from pellucid import open_lab as open_it
from pellucid.errors import ModelError
from pellucid.lab import notebook
from pellucid.lab.server.app import Lab
from pellucid.lab.session.experiment import Experiment
from pellucid.lab.session.settings import Settings
from test_lab_security import key_of, open_socket

XOR = [[0, 0, 1, 1], [0, 1, 0, 1]], [0, 1, 1, 0]


@pytest.fixture
def browsed(monkeypatch):
    """The addresses that a browser was asked to open."""
    found: list[str] = []
    monkeypatch.setattr(webbrowser, "open", found.append)
    return found


@pytest.fixture
def open_lab(browsed):
    """open_lab, all of whose pages are closed afterwards."""
    yield open_it
    notebook._close_all()
    forget()


@pytest.fixture
def seen(monkeypatch):
    """The experiments that pages were opened with."""
    found: list[Experiment] = []
    real = notebook.link_of

    def link_of(experiment):
        found.append(Experiment(Settings.read(experiment)))
        return real(experiment)

    monkeypatch.setattr(notebook, "link_of", link_of)
    return found


def get(address):
    with urllib.request.urlopen(address.partition("#")[0]) as page:
        return page.read()


def let_in(lab, address):
    """Whether the ticket of an address opens the lab."""
    ticket = re.search(r"\?ticket=([\w-]+)#", address)[1]
    with open_socket(lab, [ticket]) as ws:
        try:
            return key_of(ws) == lab.app.token
        except ConnectionClosed:
            return False


def servers():
    return [t for t in threading.enumerate() if t.name == "pellucid-lab-server"]


@pytest.fixture
def net():
    return Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_inputs=2, seed=0)


def test_one_server_for_all_pages_which_ends_with_the_last(open_lab, net, browsed):
    first, second = open_lab(net, *XOR), open_lab(net, *XOR)
    assert len(browsed) == 2  # this is no notebook
    assert len(servers()) == 1
    assert first.address.startswith("http://127.0.0.1:")
    first.close()
    first.close()
    assert b"Pellucid lab" in get(second.address)
    second.close()
    assert not servers()
    with pytest.raises(URLError):
        get(second.address)
    again = open_lab(net, *XOR)
    assert len(servers()) == 1
    assert again.address != second.address


def test_what_the_browser_is_called_with_is_good_once_and_opens_this_network(
    open_lab, net, browsed
):
    page = open_lab(net, *XOR)
    (address,) = browsed
    assert address.endswith(page.address.partition("#")[2])
    assert page._lab.app.token not in address
    assert let_in(page._lab, address)
    assert not let_in(page._lab, address)


def test_in_a_notebook_no_browser_is_opened(open_lab, net, browsed, monkeypatch):
    shell = SimpleNamespace(kernel=object())
    ipython = SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(notebook.sys.modules, "IPython", ipython)
    open_lab(net, *XOR)
    assert browsed == []
    del shell.kernel  # IPython in a terminal
    open_lab(net, *XOR)
    assert len(browsed) == 1


def test_the_page_has_a_copy_of_the_network_on_these_examples(open_lab, net, seen):
    open_lab(net, *XOR)
    (e,) = seen
    before = net.copy_parameters()
    assert np.array_equal(e.outputs(), net.forward(np.array(XOR[0], dtype=np.float32)))
    assert (e.X.tolist(), e.Y.tolist()) == (XOR[0], [XOR[1]])
    e.steps(10)
    assert all(np.array_equal(net.parameters[k], v) for k, v in before.items())


def test_labels_in_every_form(open_lab, seen):
    three = Network([Dense(3, "softmax")], n_inputs=2, seed=0)
    X = np.arange(8.0).reshape(2, 4)
    for Y in ([0, 2, 1, 0], np.eye(3)[:, [0, 2, 1, 0]], ["a", "c", "b", "a"]):
        open_lab(three, X, Y)
        assert seen[-1].Y.argmax(axis=0).tolist() == [0, 2, 1, 0]
    two = Network([Dense(2, "identity")], n_inputs=2, seed=0)
    open_lab(two, X, -X)
    assert np.array_equal(seen[-1].Y, -X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimators_with_their_rows_and_labels(open_lab, seen):
    random = np.random.default_rng(0)
    rows, y = random.standard_normal((60, 3)), random.integers(0, 3, 60)
    names = np.array(["x", "y", "z"])[y]
    clf = MLPClassifier((5,), max_iter=2, random_state=0).fit(rows, names)
    open_lab(clf, rows, names)
    assert seen[-1].dataset.outputs == ("x", "y", "z")
    np.testing.assert_allclose(seen[-1].outputs().T, clf.predict_proba(rows), atol=1e-6)
    assert np.array_equal(seen[-1].Y.argmax(axis=0), y)
    several = np.stack([y > 0, y > 1], axis=1).astype(int)
    both = MLPClassifier((4,), max_iter=2, random_state=0).fit(rows, several)
    open_lab(both, rows, several)
    assert np.array_equal(seen[-1].Y, several.T)
    numbers = rows @ [1.0, 2.0, 3.0]
    regressor = MLPRegressor(hidden_layer_sizes=(4,), max_iter=2, random_state=0).fit(rows, numbers)
    open_lab(regressor, rows, numbers)
    np.testing.assert_allclose(seen[-1].outputs()[0], regressor.predict(rows), atol=1e-5)
    table = {"a": rows[:, 0], "side": np.where(rows[:, 1] > 0, "north", "south")}
    tabular = TabularClassifier((4,), epochs=3, ensemble=1).fit(table, names)
    open_lab(tabular, table, names)
    np.testing.assert_allclose(seen[-1].outputs().T, tabular.predict_proba(table), atol=1e-6)
    prices = TabularRegressor((4,), epochs=3, ensemble=1).fit(table, numbers)
    open_lab(prices, table, numbers)
    assert seen[-1].dataset.task == "regression"
    model = prices.model_
    found = model.target_mean + model.target_std * seen[-1].outputs()[0]
    np.testing.assert_allclose(found, prices.predict(table), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("X", "Y", "message"),
    [
        ([[0, 1]], [0, 1], r"X must be \(n\[0\], m\) = \(2, m\).* got \(1, 2\) and \(2,\)"),
        (XOR[0], [0, 1], "X must be"),
        (np.zeros((2, 0)), [], "expected the same number"),
        ([[0, 1], [0, np.nan]], [0, 1], "X holds values that are not finite"),
        (XOR[0], [0, 1, 2, 3], "4 different values"),
    ],
)
def test_what_does_not_fit_is_refused(open_lab, net, X, Y, message):
    with pytest.raises(ValueError, match=message):
        open_lab(net, X, Y)
    assert not servers()


def test_what_is_no_network(open_lab):
    with pytest.raises(TypeError, match="takes a Network, or a fitted MLPClassifier"):
        open_lab(MLPClassifier(), [[0]], [0])
    with pytest.raises(ModelError, match=r"cannot show your network: .*from 1 to 512"):
        open_lab(Network([Dense(600), Dense(1, "sigmoid")], 2), *XOR)


# The frame ----------------------------------------------------------------------------------------


@pytest.fixture
def notebook_page():
    """A page on another port, as a notebook's server shows it; its body can be set."""
    told = {"body": ""}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(f"<!doctype html><h1>Notebook</h1>{told['body']}".encode())

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told["port"] = server.server_address[1]
    yield told
    server.shutdown()
    server.server_close()


def framed(browser, address):
    """The frame in a page, once it is there, and the page's context."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    return page, context


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_notebook_shows_the_page_inline(open_lab, net, browser, notebook_page, host):
    notebook_page["body"] = open_lab(net, *XOR)._repr_html_()
    page, context = framed(browser, f"http://{host}:{notebook_page['port']}/")
    inside = page.frame_locator("iframe")
    inside.locator("body.ready").wait_for()
    inside.get_by_role("button", name="One epoch").click()
    inside.get_by_text("Epoch 1, step 1").wait_for()
    first = inside.locator("#parameters input").first.input_value()
    assert float(first) != pytest.approx(float(net.W[1][0, 0]), rel=1e-5)
    page.reload()  # the ticket is used, and this tab has the key
    inside.locator("body.ready").wait_for()
    context.close()


def test_elsewhere_there_is_the_address_to_open(open_lab, net, browser, notebook_page):
    """A notebook of another name, which may not have the page in a frame."""
    notebook_page["body"] = open_lab(net, *XOR)._repr_html_()
    page, context = framed(browser, f"http://lab.localhost:{notebook_page['port']}/")
    assert page.locator("iframe").count() == 0
    with page.expect_popup() as popup:
        page.get_by_role("link", name="Open it in a browser there").click()
    popup.value.wait_for_selector("body.ready")
    context.close()


def test_the_lab_of_the_command_line_is_in_no_frame(browser, notebook_page):
    with Lab() as lab:
        notebook_page["body"] = f'<iframe src="{lab.address}"></iframe>'
        page, context = framed(browser, f"http://127.0.0.1:{notebook_page['port']}/")
        with page.expect_console_message(lambda m: "frame-ancestors" in m.text):
            page.reload()
        context.close()


def test_what_stays_in_the_notebook_s_file_opens_nothing(open_lab, net):
    page = open_lab(net, *XOR)
    first, second = page._repr_html_(), page._repr_html_()
    address = first.split('href="')[1].split('"')[0]
    assert address.partition("#")[0] not in second
    assert page._lab.app.token not in first
    assert let_in(page._lab, address)
    assert not let_in(page._lab, address)


def test_where_the_frame_stays_empty_there_is_how_to_reach_the_lab(
    open_lab, net, browser, notebook_page
):
    """As where the notebook's port alone leads to another computer."""
    html = open_lab(net, *XOR)._repr_html_()
    notebook._close_all()
    notebook_page["body"] = html
    context = browser.new_context()
    page = context.new_page()
    page.clock.install()
    page.goto(f"http://127.0.0.1:{notebook_page['port']}/")
    page.locator("iframe").wait_for()
    page.get_by_text("ssh -L").wait_for(state="hidden")
    page.clock.fast_forward(60_000)
    page.get_by_text("ssh -L").wait_for()
    page.locator("iframe").wait_for(state="hidden")
    context.close()
