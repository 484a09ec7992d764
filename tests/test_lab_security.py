"""The lab's guard: each case is one that a hostile page, or a broken one, could try."""

from __future__ import annotations

import contextlib
import json
import socket
import threading

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from pellucid.lab.server import LARGEST_MESSAGE, Lab
from pellucid.lab.trainer import NAME


@pytest.fixture(scope="module")
def lab():
    with Lab() as lab:
        yield lab
    assert not [t for t in threading.enumerate() if t.name == NAME]


@pytest.fixture
def host(lab):
    return f"127.0.0.1:{lab.port}"


@pytest.fixture
def cookie(lab):
    return f"{lab.app.cookie}={lab.app.secret}"


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


def open_socket(lab, *, path="/socket", **headers):
    """A socket of the lab; ``Host`` None leaves the right one."""
    given = {"Host": None, "Cookie": f"{lab.app.cookie}={lab.app.secret}", **headers}
    origin = given.pop("Origin", f"http://127.0.0.1:{lab.port}")
    name, _, port = (given.pop("Host") or f"127.0.0.1:{lab.port}").rpartition(":")
    return connect(
        f"ws://{name}:{port}{path}",
        sock=socket.create_connection(("127.0.0.1", lab.port), timeout=10),
        origin=origin,
        additional_headers={k: v for k, v in given.items() if v},
        compression=None,
        open_timeout=10,
        max_size=None,
    )


# HTTP ---------------------------------------------------------------------------------------------


def test_the_token_becomes_a_strict_cookie_and_leaves_the_address(lab, host, cookie):
    status, headers, body = http(lab, f"/?token={lab.app.token}")
    assert (status, headers["location"], body) == (303, "/", b"")
    assert headers["set-cookie"] == f"{cookie}; Path=/; HttpOnly; SameSite=Strict"
    assert lab.app.token not in headers["set-cookie"]
    status, headers, body = http(lab, Cookie=cookie)
    assert status in (200, 500)  # 500 only where the page's files are not there
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert f"connect-src 'self' ws://{host}" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-eval" not in policy
    assert not [name for name in headers if name.startswith("access-control")]


ROUTES = ("/", "/static/index.html", "/static/../server.py", "/nothing", "/socket")


@pytest.mark.parametrize("path", ROUTES)
def test_without_a_cookie_nothing_is_shown(lab, path):
    status, _, body = http(lab, path)
    assert status == 401
    assert b"Open the address that pellucid lab printed" in body


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    "name",
    ["evil.example", "evil.example:{port}", "127.0.0.1:{port}.evil.example", "127.0.0.1",
     "127.0.0.1:1",
     "localhost:{port}@evil.example", "127.0.0.2:{port}", "[::1]:1", "0.0.0.0:{port}", ""],
)  # fmt: skip
def test_a_foreign_host_gets_nothing_even_with_the_token_and_the_cookie(lab, cookie, path, name):
    name = name.format(port=lab.port)
    status, headers, _ = http(lab, f"{path}?token={lab.app.token}", Host=name, Cookie=cookie)
    assert status in (400, 403)
    assert "set-cookie" not in headers


def test_two_hosts_are_none(lab, cookie):
    host = f"127.0.0.1:{lab.port}"
    assert http(lab, Cookie=cookie, Host=f"{host}\r\nHost: evil.example")[0] in (400, 403)


@pytest.mark.parametrize("name", ["localhost", "[::1]", "127.0.0.1", "LOCALHOST"])
def test_the_names_of_this_computer(lab, cookie, name):
    assert http(lab, "/nothing", Host=f"{name}:{lab.port}", Cookie=cookie)[0] == 404


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
def test_a_foreign_origin_gets_nothing(lab, cookie, origin):
    origin = origin.format(port=lab.port)
    assert http(lab, Cookie=cookie, Origin=origin)[0] == 403


@pytest.mark.parametrize("token", ["", "wrong", "é", "%00", "x" * 5000])
def test_a_wrong_token(lab, cookie, token):
    status, headers, _ = http(lab, f"/?token={token}&x=1")
    assert status in (400, 401, 403)
    assert "set-cookie" not in headers


@pytest.mark.parametrize("value", ["wrong", "", '"', "a;b", "\x01"])
def test_a_wrong_cookie(lab, value):
    assert http(lab, Cookie=f"{lab.app.cookie}={value}")[0] in (400, 401)
    assert http(lab, Cookie=f"pellucid_lab_1={lab.app.secret}")[0] == 401


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_other_methods(lab, cookie, method):
    assert http(lab, method=method, Cookie=cookie)[0] == 405


@pytest.mark.parametrize(
    "path",
    ["/static/../server.py", "/static/%2e%2e/server.py", "/static/..%2fserver.py",
     "/static//etc/passwd", "/static/%00", "/static/....//server.py", "/static/\\..\\server.py"],
)  # fmt: skip
def test_nothing_outside_of_static(lab, cookie, path):
    status, _, body = http(lab, path, Cookie=cookie)
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


@pytest.mark.parametrize("cookie", [None, "pellucid_lab=1", "wrong"])
def test_a_socket_without_the_cookie(lab, cookie):
    with pytest.raises(InvalidStatus, match="403") as error:
        open_socket(lab, Cookie=cookie)
    assert b"Open the address" in (error.value.response.body or b"Open the address")


def test_the_token_is_no_cookie(lab):
    with pytest.raises(InvalidStatus, match="403"):
        open_socket(lab, Cookie=None, path=f"/socket?token={lab.app.token}")
    with pytest.raises(InvalidStatus, match="403"):
        open_socket(lab, Cookie=f"{lab.app.cookie}={lab.app.token}")


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
        with pytest.raises(ConnectionClosed) as error:
            ws.recv(timeout=10)
        assert error.value.rcvd.code == 1007
        assert "expected" in error.value.rcvd.reason
        assert ask(other, "batch", 2)["step"] == 1


def test_an_oversized_frame_closes_the_socket(lab):
    with open_socket(lab) as ws:
        with contextlib.suppress(ConnectionClosed):
            ws.send("x" * (LARGEST_MESSAGE + 1))
        with pytest.raises(ConnectionClosed) as error:
            ws.recv(timeout=10)
        assert error.value.rcvd is None or error.value.rcvd.code == 1009
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
        policy = http(lab, Cookie=f"{lab.app.cookie}={lab.app.secret}")[1][
            "content-security-policy"
        ]
        return policy.split("frame-ancestors ")[1].split(";")[0]

    assert framers(lab) == "'none'"
    with Lab(framed=True) as framed:
        assert framers(framed) == "http://127.0.0.1:* http://localhost:*"


def test_a_link_in_another_s_page_leads_in_by_a_page_of_the_lab_s_own(lab, cookie):
    """A strict cookie would not be sent after a redirect that another's page began."""
    path, far = f"/?token={lab.app.token}", {"Sec_Fetch_Site": "cross-site"}
    status, headers, body = http(lab, path, **far)
    assert (status, headers["content-type"]) == (200, "text/html")
    assert headers["set-cookie"] == f"{cookie}; Path=/; HttpOnly; SameSite=Strict"
    assert b'src="/static/enter.js"' in body
    assert lab.app.token.encode() not in body
    status, headers, _ = http(lab, "/?token=wrong", **far)
    assert (status, "set-cookie" in headers) == (403, False)


def test_a_ticket_is_good_once(lab, cookie):
    path = f"/?token={lab.app.ticket()}"
    assert http(lab, path)[0] == 303
    assert http(lab, path)[0] == 403
    status, headers, _ = http(lab, path, Cookie=cookie)  # who is in already is led on
    assert (status, headers["location"], "set-cookie" in headers) == (303, "/", False)
    assert http(lab, f"/?token={lab.app.token}")[0] == 303  # the printed one stays good
