"""Getting in, and being kept out: what the page says, and what other pages can do."""

from __future__ import annotations

import threading
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from lab_browser import expect
from pellucid.lab.server.app import MOST_CLIENTS, Lab
from test_lab_door import Running, connected
from test_lab_security import open_socket


@pytest.fixture(scope="module")
def lab():
    with Lab() as lab:
        yield lab


@pytest.fixture
def context(browser):
    with browser.new_context() as context:
        yield context


def enter(context, address):
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("body.ready")
    return page


def bare(lab):
    """The address without a key."""
    return f"http://127.0.0.1:{lab.port}/"


def kept_out(page, title, *texts):
    box = page.get_by_role("alert")
    expect(box.get_by_role("heading", name=title)).to_be_visible()
    for text in texts:
        expect(box).to_contain_text(text)


def test_the_key_leaves_the_address_and_this_tab_keeps_it(lab, context):
    page = enter(context, lab.address)
    assert page.url.startswith(f"{bare(lab)}#")
    assert context.cookies() == []
    page.reload()
    page.wait_for_selector("body.ready")
    page.goto("about:blank")
    page.go_back()
    page.wait_for_selector("body.ready")
    page.goto(f"{bare(lab)}?ticket=used#")  # a notebook's frame that is shown once more
    page.wait_for_selector("body.ready")
    assert "ticket" not in page.url


def test_a_tab_without_a_key_says_how_to_get_in(lab, context):
    page = context.new_page()
    page.goto(bare(lab))
    title = "This address does not open the lab"
    kept_out(page, title, "holds no key", "Open the address that pellucid lab printed")
    expect(page.get_by_role("button", name="Play")).to_be_hidden()
    page.goto(f"{bare(lab)}?token=wrong")
    kept_out(page, title, "not valid", "Open the address that pellucid lab printed")
    ticket = f"{bare(lab)}?ticket={lab.app.ticket()}"
    enter(context, ticket).close()
    page.goto(ticket)
    kept_out(page, title, "for one use")


def test_a_tab_beside_another_of_the_lab_is_lent_the_key(lab, context):
    first = enter(context, lab.address)
    second = enter(context, bare(lab))
    first.close()
    third = enter(context, f"{bare(lab)}?ticket=used")
    second.close()
    third.reload()
    third.wait_for_selector("body.ready")


def test_each_name_of_this_computer_and_each_lab_has_a_key_of_its_own(lab, context):
    first = enter(context, lab.address)
    with Lab() as other:
        enter(context, other.address.replace("127.0.0.1", "localhost"))
        page = context.new_page()
        page.goto(f"http://localhost:{lab.port}/")
        kept_out(page, "This address does not open the lab", "holds no key")
        first.reload()
        first.wait_for_selector("body.ready")


def test_one_page_too_many_says_so(lab, context):
    with ExitStack() as stack:
        pages = [stack.enter_context(open_socket(lab)) for _ in range(MOST_CLIENTS)]
        for each in pages:
            each.recv(timeout=30)
        page = context.new_page()
        page.goto(f"{bare(lab)}?ticket={lab.app.ticket()}")
        kept_out(page, "The lab does not open", f"{MOST_CLIENTS} pages of the lab are open already")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector("body.ready")


def test_a_connection_that_does_not_open_is_spoken_of_and_may_still_open(lab, context):
    page = context.new_page()
    page.clock.install()
    page.add_init_script(
        "const Real = WebSocket; let go; window.letGo = () => go();"
        "window.WebSocket = function (url, keys) {"
        "  const late = { readyState: 0, send: (text) => late.real.send(text) };"
        "  go = () => { late.real = new Real(url, keys); late.real.binaryType = 'arraybuffer';"
        "    late.real.onopen = () => { late.readyState = 1; };"
        "    late.real.onmessage = (message) => late.onmessage(message); };"
        "  return late; }; window.WebSocket.OPEN = 1;"
    )
    page.goto(lab.address)
    expect(page.get_by_text("Connecting to Pellucid")).to_be_visible()
    page.clock.fast_forward(30_000)
    kept_out(page, "The lab does not open", "a WebSocket", f"ssh -L {lab.port}:")
    page.evaluate("letGo()")
    page.wait_for_selector("body.ready")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_lab_that_ended_or_vanished_leaves_the_page_readable(context):
    with Lab() as lab:
        page = enter(context, lab.address)
    kept_out(page, "Pellucid has ended", "Start pellucid lab again")
    expect(page.locator("#numbers")).to_be_visible()
    with Running() as lab:
        page = enter(context, f"{bare(lab)}?token={lab.token}")
    kept_out(page, "Pellucid does not answer", f"Nothing answers at 127.0.0.1:{lab.port}")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#numbers")).to_be_visible()


def test_a_connection_that_broke_is_made_again(lab, context):
    page = enter(context, lab.address)
    page.get_by_role("button", name="One epoch").click()
    (each,) = [each for each in lab.app.door._open.values() if not each.guest]
    lab._server.servers[0].get_loop().call_soon_threadsafe(each.transport.abort)
    kept_out(page, "The connection is lost", "The settings are kept")
    page.get_by_role("button", name="Connect again").click()
    page.wait_for_selector("body.ready")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_crowd_at_the_door_does_not_keep_the_user_out(lab, context):
    slow = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{lab.port}\r\nX: ".encode()
    with connected(lab, 300) as crowd:
        for each in crowd[::2]:
            with suppress(OSError):
                each.sendall(slow)
        enter(context, lab.address)


@pytest.fixture
def neighbour():
    """Another user's server on this computer: what it was sent, and its page's address."""
    heard = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            heard.append(self.headers)
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><h1>Another</h1>")

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield heard, f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def test_a_page_of_another_port_learns_nothing_and_opens_nothing(lab, context, neighbour):
    heard, address = neighbour
    page = enter(context, lab.address)
    page.goto(address)  # in the very tab that has the key
    assert lab.app.token not in str([list(each.items()) for each in heard])
    assert page.evaluate("[document.cookie, {...sessionStorage}]") == ["", {}]
    tried = """async (there) => {
        const read = (look) => { try { return String(look()); } catch { return "refused"; } };
        const asked = (path, how) =>
            fetch(there + path, how).then((reply) => reply.text(), () => "refused");
        return {
            page: await asked(""),
            upload: await asked("upload/table", { method: "POST", body: "a,b" }),
            socket: await new Promise((done) => {
                const socket = new WebSocket(there.replace("http", "ws") + "socket", ["pellucid"]);
                socket.onopen = () => done("open");
                socket.onclose = () => done("refused");
            }),
            frame: await new Promise((done) => {
                const frame = document.createElement("iframe");
                frame.onload = () => done(read(() => frame.contentDocument.body.innerHTML));
                frame.src = there;
                document.body.append(frame);
            }),
            window: await new Promise((done) => {
                const other = open(there);
                setTimeout(() => done(read(() => other.sessionStorage.length)), 1000);
            }),
        };
    }"""
    found = page.evaluate(tried, bare(lab))
    assert {key: value for key, value in found.items() if value != "refused"} == {}
