"""The lab's guard: each case is one that a hostile page, or a broken one, could try."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time
from types import SimpleNamespace

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from pellucid.lab.server import security
from pellucid.lab.server.app import LARGEST_MESSAGE, Lab
from pellucid.lab.server.trainer import NAME


@pytest.fixture(scope="module")
def lab():
    with Lab() as lab:
        yield lab
    assert not [t for t in threading.enumerate() if t.name == NAME]


@pytest.fixture
def host(lab):
    return f"127.0.0.1:{lab.port}"


def http(lab, path="/", *, method="GET", **headers):
    """The status, the headers and the body of a request whose every byte is ours."""
    headers.setdefault("Host", f"127.0.0.1:{lab.port}")
    lines = [f"{method} {path} HTTP/1.1", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value]
    with socket.create_connection(("127.0.0.1", lab.port), timeout=10) as out:
        out.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = b"".join(iter(lambda: out.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    return int(first.split()[1]), {k.lower(): v for k, v in (r.split(": ", 1) for r in rest)}, body


def open_socket(lab, keys=None, *, path="/socket", Host=None, Origin="", **headers):
    """A socket of the lab, with the right key, Host and Origin unless others are given."""
    name, _, port = (Host or f"127.0.0.1:{lab.port}").rpartition(":")
    return connect(
        f"ws://{name}:{port}{path}",
        sock=socket.create_connection(("127.0.0.1", lab.port), timeout=10),
        origin=f"http://127.0.0.1:{lab.port}" if Origin == "" else Origin,
        subprotocols=["pellucid", *([lab.app.token] if keys is None else keys)],
        additional_headers=headers,
        compression=None,
        open_timeout=10,
        max_size=None,
    )


def closed(ws):
    """How the server closes a socket, once it does."""
    with pytest.raises(ConnectionClosed) as error:
        list(iter(lambda: ws.recv(timeout=10), None))
    return error.value.rcvd


def refused(lab, *keys):
    """Why a page with these keys is not let in."""
    with open_socket(lab, keys) as ws:
        with pytest.raises(ConnectionClosed) as error:
            ws.recv(timeout=10)
        assert error.value.rcvd.code == 1008
        return error.value.rcvd.reason


# HTTP ---------------------------------------------------------------------------------------------


def test_the_page_s_files_are_for_all_and_hold_no_key(lab, host):
    status, headers, body = http(lab, f"/?token={lab.app.token}")
    assert status == 200
    assert b"Pellucid lab" in body
    assert lab.app.token not in body.decode() + str(headers)
    assert "set-cookie" not in headers  # a browser would send it to every port
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert f"connect-src 'self' ws://{host}" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-eval" not in policy
    assert not [name for name in headers if name.startswith("access-control")]


ROUTES = ("/", "/static/index.html", "/static/../server.py", "/nothing", "/socket")


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    "name",
    ["evil.example", "evil.example:{port}", "127.0.0.1:{port}.evil.example", "127.0.0.1",
     "127.0.0.1:1",
     "localhost:{port}@evil.example", "127.0.0.2:{port}", "[::1]:1", "0.0.0.0:{port}", ""],
)  # fmt: skip
def test_a_foreign_host_gets_nothing_even_with_the_token(lab, path, name):
    name = name.format(port=lab.port)
    status, _, body = http(lab, f"{path}?token={lab.app.token}", Host=name)
    assert status in (400, 403)
    if status == 403:
        assert f"ssh -L {lab.port}:127.0.0.1:{lab.port}".encode() in body


def test_two_hosts_are_none(lab):
    host = f"127.0.0.1:{lab.port}"
    assert http(lab, Host=f"{host}\r\nHost: evil.example")[0] in (400, 403)


@pytest.mark.parametrize("name", ["localhost", "[::1]", "127.0.0.1", "LOCALHOST"])
def test_the_names_of_this_computer(lab, name):
    assert http(lab, "/nothing", Host=f"{name}:{lab.port}")[0] == 404


FOREIGN = [
    "http://evil.example",
    "null",
    "https://127.0.0.1:{port}",
    "http://127.0.0.1",
    "http://127.0.0.1:1",
    "http://localhost:{port}",  # not the name that was called
    "http://127.0.0.1:{port}.evil.example",
    "http://127.0.0.1:{port}/",
    "file://",
]


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_foreign_origin_gets_nothing(lab, origin):
    assert http(lab, Origin=origin.format(port=lab.port))[0] == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_other_methods(lab, method):
    assert http(lab, method=method)[0] == 405


@pytest.mark.parametrize(
    "path",
    ["/static/../server.py", "/static/%2e%2e/server.py", "/static/..%2fserver.py",
     "/static//etc/passwd", "/static/%00", "/static/....//server.py", "/static/\\..\\server.py"],
)  # fmt: skip
def test_nothing_outside_of_static(lab, path):
    status, _, body = http(lab, path)
    assert status in (400, 404)
    assert b"import" not in body


# The socket ---------------------------------------------------------------------------------------


def ask(ws, do, number=1, **given):
    ws.send(json.dumps({"id": number, "do": do, **given}))
    while True:
        message = ws.recv(timeout=20)
        if isinstance(message, str) and json.loads(message).get("reply") == number:
            return json.loads(message)


def test_the_right_page_gets_in(lab):
    with open_socket(lab) as ws:
        assert ask(ws, "catalogue")["datasets"]


@pytest.mark.parametrize("origin", [*FOREIGN, None])
def test_a_socket_of_a_foreign_origin(lab, origin):
    origin = origin and origin.format(port=lab.port)
    with pytest.raises(InvalidStatus, match="403"):
        open_socket(lab, Origin=origin)


@pytest.mark.parametrize("name", ["evil.example:{port}", "127.0.0.1:1", "127.0.0.2:{port}"])
def test_a_socket_of_a_foreign_host(lab, name):
    name = name.format(port=lab.port)
    with pytest.raises(InvalidStatus, match="403"):
        open_socket(lab, Host=name, Origin=f"http://{name}")


def test_a_socket_without_the_key_learns_why(lab):
    assert "holds no key" in refused(lab)
    for key in ("wrong", "x" * 5000, lab.app.token[:-1], lab.app.token + "x", f"x.{lab.app.token}"):
        assert "not valid" in refused(lab, key)


def test_the_key_counts_only_where_the_page_shows_it(lab):
    """Neither in a cookie nor in an address, which others may learn."""
    cookie = {"Cookie": f"pellucid={lab.app.token}"}
    path = f"/socket?token={lab.app.token}"
    with open_socket(lab, [], path=path, **cookie) as ws, pytest.raises(ConnectionClosed):
        ws.recv(timeout=10)
    with pytest.raises(InvalidStatus, match="403"):  # this is no page of the lab
        connect(f"ws://127.0.0.1:{lab.port}{path}", origin=f"http://127.0.0.1:{lab.port}")


@pytest.mark.parametrize(
    "message",
    [b"bytes", "no json", "[]", "1", "null", "{}", '{"id": 1}', '{"do": "play"}',
     '{"id": "1", "do": "play"}', '{"id": true, "do": "play"}', '{"id": 1, "do": 5}',
     "[" * 100_000, '{"id": 1, "do": "play"', "", "\x00"],
)  # fmt: skip
def test_a_malformed_frame_closes_that_socket_with_a_reason_and_nothing_else(lab, message):
    with open_socket(lab) as other, open_socket(lab) as ws:
        ask(other, "open")
        ws.send(message)
        end = closed(ws)
        assert end.code == 1007
        assert "expected" in end.reason
        assert ask(other, "batch", 2)["step"] == 1


def test_an_oversized_frame_closes_the_socket(lab):
    with open_socket(lab) as ws:
        with contextlib.suppress(ConnectionClosed):
            ws.send("x" * (LARGEST_MESSAGE + 1))
        end = closed(ws)
        assert end is None or end.code == 1009
    with open_socket(lab) as ws:
        assert "error" not in ask(ws, "open")


ABSURD = [
    ("nonsense", {}, "there is no command"),
    ("__class__", {}, "there is no command"),
    ("x" * 10_000, {}, "there is no command"),
    ("open", {"experiment": {"layers": [{"units": 10**9}]}}, "from 1 to 512"),
    ("open", {"experiment": {"layers": [{}] * 9}}, "at most 8"),
    ("open", {"experiment": {"data": {"m": 10**12}}}, "from 1 to 20000"),
    ("open", {"experiment": {"data": {"m": 1e400}}}, "from 1 to 20000"),
    ("open", {"experiment": {"data": {"points": [[0, 0, 0]] * 20_001}}}, "at most 20000"),
    ("open", {"experiment": "x"}, "must be an object"),
    ("play", {"speed": -1}, "speed must be"),
    ("play", {"speed": {}}, "speed must be"),
    ("set_cell", {"letter": "W", "layer": 1, "row": 9, "value": 1}, "row must be 0 to"),
    ("set_cell", {"letter": "W", "layer": 1, "row": -1, "value": 1}, "row must be"),
    ("set_cell", {"letter": "__dict__", "layer": 1, "value": 1}, "there is no __dict__"),
    ("set_cell", {"letter": "W", "layer": 1, "value": "1"}, "value must be"),
    ("set_cell", {"letter": [], "layer": 1, "value": 1}, "letter must be"),
    ("trace", {"examples": [99]}, "example must be"),
    ("trace", {"examples": []}, "examples must be"),
    ("trace", {"examples": list(range(65))}, "examples must be"),
    ("trace", {"examples": ["0"]}, "example must be"),
    ("cell", {"letter": "Q", "layer": 1}, "unknown array"),
    ("cell", {"letter": "W", "layer": 1}, "is given, not computed"),
    ("cell", {"letter": "Z", "layer": 1, "row": 99}, "row must be"),
    ("boundary", {"size": 10**6}, "size must be"),
    ("boundary", {"unit": [9, 0]}, "layer of unit must be"),
    ("boundary", {"unit": [1, 512]}, "unit must be"),
    ("boundary", {"unit": "1"}, "unit must be"),
    ("boundary", {"columns": [0, 0]}, "two different inputs"),
    ("watch", {"boundary": True, "size": 0}, "size must be"),
    ("hidden", {"layer": 99}, "layer must be"),
    ("hidden", {"layer": 1, "axes": [0, 0]}, "two different units; got 0 twice"),
    ("hidden", {"layer": 1, "axes": [0, 99]}, "axes must be a whole number from 0 to"),
    ("hidden", {"layer": 1, "axes": "01"}, "axes must be two numbers of units"),
    ("hidden", {"layer": 2}, "layer 2 has 1 unit;"),
    ("unit_maps", {"most": 65}, "most must be"),
    ("unit_maps", {"size": 10**6}, "size must be"),
    ("stop_at", {"epoch": 0}, "epoch must be"),
    ("stop_at", {"loss": []}, "loss must be"),
]


def test_absurd_requests_get_one_sentence_and_harm_nothing(lab):
    with open_socket(lab) as ws:
        ask(ws, "open")
        ask(ws, "trace", examples=[0])
        for k, (do, given, message) in enumerate(ABSURD, start=2):
            assert message in ask(ws, do, k, **given).get("error", "no error"), (do, given)
        assert ask(ws, "batch", 1000)["step"] == 1


def test_before_anything_is_open(lab):
    with open_socket(lab) as ws:
        for k, do in enumerate(["play", "epoch", "trace", "cell", "script", "boundary", "hidden"]):
            assert "No experiment is open" in ask(ws, do, k, layer=1)["error"]


# In a frame ---------------------------------------------------------------------------------------


def test_only_a_notebook_s_lab_may_be_framed_and_by_this_computer_s_pages_alone(lab):
    def framers(lab):
        policy = http(lab)[1]["content-security-policy"]
        return policy.split("frame-ancestors ")[1].split(";")[0]

    assert framers(lab) == "'none'"
    with Lab(framed=True) as framed:
        assert framers(framed) == "http://127.0.0.1:* http://localhost:*"


# Tickets ------------------------------------------------------------------------------------------


def key_of(ws):
    return json.loads(ws.recv(timeout=10))["key"]


def test_a_ticket_is_good_once_and_then_the_page_knows_the_key(lab):
    ticket = lab.app.ticket()
    with open_socket(lab, [ticket]) as ws:
        assert key_of(ws) == lab.app.token
    assert "one use" in refused(lab, ticket)
    with open_socket(lab, [ticket, lab.app.token]) as ws:  # a reload of what was let in
        assert key_of(ws) == lab.app.token


def test_a_ticket_is_kept_for_who_has_the_key_already(lab):
    ticket = lab.app.ticket()
    with open_socket(lab, [ticket, lab.app.token]):
        pass
    with open_socket(lab, [ticket]):
        pass


def test_tickets_end_by_themselves_and_the_oldest_first(lab, monkeypatch):
    tickets = [lab.app.ticket() for _ in range(security.MOST_TICKETS + 1)]
    assert "not valid" in refused(lab, tickets[0])
    for good in (tickets[1], tickets[-1]):
        with open_socket(lab, [good]) as ws:
            key_of(ws)
    now = time.monotonic()
    late = SimpleNamespace(monotonic=lambda: now + security.TICKET_LIFE + 60)
    monkeypatch.setattr(security, "time", late)
    assert "a short time" in refused(lab, tickets[2])


def test_a_ticket_on_a_command_line_is_of_no_use_to_another_user(lab, monkeypatch):
    """Who runs ``ps`` is quicker than a browser that starts."""
    ticket = lab.app.ticket()
    monkeypatch.setattr(security, "user_of", lambda client, server: 4242)
    monkeypatch.setattr(security, "_this_user", lambda: 1000)
    assert "for the user who started the lab" in refused(lab, ticket)
    monkeypatch.setattr(security, "_this_user", lambda: 4242)
    with open_socket(lab, [ticket]):
        pass


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says whose they are")
@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "::1"])
def test_whose_a_connection_is(lab, address):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as out:
        try:
            out.connect((address, lab.port))
        except OSError:
            pytest.skip("no IPv6 here")
        host = address.removeprefix("::ffff:")
        there = (host, out.getsockname()[1])
        assert security.user_of(there, (host, lab.port)) == os.getuid()
        assert security.user_of(there, (host, 1)) is None
