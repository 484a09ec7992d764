"""Connections that do not show the key: few, not for long, and in no user's way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shlex
import socket
import struct
import subprocess
import sys
import time
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from lab_browser import COMMAND
from pellucid.lab.server import door
from pellucid.lab.server.app import Lab
from test_lab_security import ask, http, key_of, open_socket


@pytest.fixture
def lab():
    with Lab() as lab:
        yield lab


@pytest.fixture
def hasty(monkeypatch):
    """A door with little patience."""
    monkeypatch.setattr(door, "HEADER", 0.5)
    monkeypatch.setattr(door, "ANSWER", 0.5)


@contextlib.contextmanager
def connected(lab, count):
    with ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", lab.port), timeout=60))
            for _ in range(count)
        ]


def ended(connection):
    """Whether the server ended it, which is waited for."""
    try:
        return connection.recv(65536) == b""
    except ConnectionError:
        return True


def open_at(lab):
    """How many connections the lab has open."""
    return sum(not each.transport.is_closing() for each in list(lab.app.door._open.values()))


def eventually(holds):
    end = time.monotonic() + 60
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


def test_of_many_idle_connections_few_are_kept_the_newest(lab):
    with connected(lab, 120) as idle:
        assert all(ended(each) for each in idle[: -door.MOST_GUESTS])
        assert open_at(lab) <= door.MOST_GUESTS
        assert http(lab)[0] == 200
        with open_socket(lab) as ws:
            assert ask(ws, "catalogue")["datasets"]


def test_who_has_the_key_stays(lab, hasty):
    with open_socket(lab) as ws, connected(lab, 150) as idle:
        key_of(ws)
        assert all(ended(each) for each in idle)  # none gives a header
        assert ask(ws, "catalogue")["datasets"]


def test_a_request_that_comes_before_the_last_is_done_with_keeps_its_place(hasty):
    """A browser asks again as soon as it has read; the server may still be closing a file."""

    class Transport(SimpleNamespace):
        def get_extra_info(self, name):
            return self.peer

        def is_closing(self):
            return self.aborted

        def abort(self):
            self.aborted = True

    def arrived(place, number):
        transport = Transport(peer=("127.0.0.1", number), aborted=False)
        place.arrived(transport)
        return transport

    async def crowd():
        place = door.Door()
        ours = arrived(place, 1)
        place.asks(ours.peer)
        place.asks(ours.peer)
        place.answered(ours.peer)
        others = [arrived(place, number) for number in range(2, 2 * door.MOST_AT_ONCE)]
        assert not ours.aborted
        assert sum(each.aborted for each in others) >= door.MOST_AT_ONCE - 2
        place.answered(ours.peer)
        await asyncio.sleep(2 * door.HEADER)
        assert ours.aborted

    asyncio.run(crowd())


SLOW = [
    "GET / HTTP/1.1\r\nHost: {here}\r\nX: {x}",
    "GET /socket HTTP/1.1\r\nHost: {here}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX: {x}",
    "POST /upload/table HTTP/1.1\r\nHost: {here}\r\nContent-Length: 9999\r\n\r\n{x}",  # no key
    "GET / HTTP/1.1\r\nHost: {here}\r\n\r\nGET / HTTP/1.1\r\nX: {x}",  # after a good one
]


@pytest.mark.parametrize("text", SLOW)
def test_a_byte_now_and_then_is_not_waited_for(lab, hasty, text):
    said = text.format(here=f"127.0.0.1:{lab.port}", x="x" * 2000)
    with connected(lab, 1) as (slow,):
        start = said.index("xxx")
        slow.sendall(said[:start].encode())
        with pytest.raises(ConnectionError):  # noqa: PT012
            for each in said[start:]:
                slow.sendall(each.encode())
                time.sleep(0.05)


def test_answers_that_are_not_read_are_not_waited_for(lab, hasty):
    asked = f"GET /static/lab.css HTTP/1.1\r\nHost: 127.0.0.1:{lab.port}\r\n\r\n".encode()
    with connected(lab, 1) as (deaf,):
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(asked * 1000)
        assert eventually(lambda: lab.app.door._open and not open_at(lab))


def test_an_upload_with_the_key_has_the_time_that_it_needs(lab, hasty):
    body = b"a,b\n" + b"1,2\n" * 30
    here = f"127.0.0.1:{lab.port}"
    with connected(lab, 1) as (slow,):
        slow.sendall(
            f"POST /upload/table?name=t.csv HTTP/1.1\r\nHost: {here}\r\nOrigin: http://{here}\r\n"
            f"Authorization: Bearer {lab.app.token}\r\nContent-Type: application/octet-stream\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        )
        for k in range(0, len(body), 16):
            slow.sendall(body[k : k + 16])
            time.sleep(0.15)
        assert b'"columns"' in b"".join(iter(lambda: slow.recv(65536), b""))


# A process of its own -----------------------------------------------------------------------------


class Running:
    """`pellucid lab` in a process of its own, which may open few files."""

    def __init__(self, files=None):
        command = [*shlex.split(COMMAND), "--no-browser"]
        if files:
            command = ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", *command]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        found = re.search(r":(\d+)/\?token=(\S+)", self.process.stdout.readline())
        self.port, self.token = int(found[1]), found[2]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.communicate()

    def end(self):
        """What it has written to stderr, after Ctrl-C."""
        self.process.send_signal(2)
        return self.process.communicate(timeout=60)[1]


@pytest.mark.skipif(os.name != "posix", reason="ulimit is of Unix")
def test_more_connections_than_files_lock_no_user_out():
    with Running(files=256) as lab, connected(lab, 300):
        assert http(lab)[0] == 200
        assert lab.end() == "Ctrl-C ends it.\n"


def raw(lab):
    """Requests that no browser makes, and whether their answer is waited for."""
    here = f"127.0.0.1:{lab.port}"
    upgrade = (
        f"GET /socket HTTP/1.1\r\nHost: {here}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    )
    good = (
        f"{upgrade}Origin: http://{here}\r\nSec-WebSocket-Protocol: pellucid, {lab.token}\r\n\r\n"
    )
    upload = (
        f"POST /upload/zip HTTP/1.1\r\nHost: {here}\r\nOrigin: http://{here}\r\nAuthorization: "
        f"Bearer {lab.token}\r\nContent-Type: application/octet-stream\r\nContent-Length: 999\r\n"
    )
    texts = [
        f"{upgrade}\r\n",
        f"{upgrade}Origin: http://evil.example\r\n\r\n",
        f"{upgrade}Origin: http://{here}\r\nSec-WebSocket-Protocol: pellucid, wrong\r\n\r\n",
        good.replace("Version: 13", "Version: 7"),
        good.replace("AAAA", "é"),
        good.replace("websocket", "h2c"),
        good.replace("/socket", "/nothing"),
        f"{upload}\r\nPK\x03\x04",
        f"{upload}Expect: 100-continue\r\n\r\n",
        f"GET / HTTP/9.9\r\nHost: {here}\r\n\r\n",
        f"GET /{'x' * 100_000} HTTP/1.1\r\n",
        f"GET /%00%ff HTTP/1.1\r\nHost: {here}\r\n\r\n" * 20,
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        "\x00",
    ]
    frames = [b"\x81\x80", b"\x81\x02no", b"\x82\x81\0\0\0\0x", b"\x81\x82\0\0\0\0\xff\xfe",
              b"\x83\x80\0\0\0\0", b"\xf1\x80\0\0\0\0", b"\x80\x81\0\0\0\0x", b"\x88\x81\0\0\0\0x",
              b"\x81\xff" + b"\xff" * 8, b"\x81\x8e\0\0\0\0not understood"]  # fmt: skip
    return [each.encode("latin-1") for each in texts] + [good.encode() + each for each in frames]


def send(lab, message, vanishing=False):
    """Send and wait for the answer, or vanish at once and without a farewell."""
    with connected(lab, 1) as (out,), contextlib.suppress(ConnectionError):
        out.sendall(message)
        if vanishing:
            out.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            out.shutdown(socket.SHUT_WR)
            out.recv(65536)


def test_whatever_comes_in_stderr_stays_clean():
    with Running() as lab:
        for message in raw(lab):
            send(lab, message)
            send(lab, message, vanishing=True)
        assert http(lab)[0] == 200
        assert lab.end() == "Ctrl-C ends it.\n"


def test_ctrl_c_ends_it_whatever_goes_on_and_stderr_stays_clean():
    """A page that plays, one that asked for much and reads nothing, an upload half done."""
    wide = {"data": {"name": "spiral"}, "layers": [{"units": 512}, {"units": 512}]}
    with Running() as lab, ExitStack() as stack:
        for asked in ([("play", {})], 100 * [("boundary", {"size": 200})]):
            page = stack.enter_context(open_socket(lab, [lab.token]))
            key_of(page)
            ask(page, "open", experiment=wide)
            for do, given in asked:
                page.send(json.dumps({"id": 2, "do": do, **given}))
        (upload, half) = stack.enter_context(connected(lab, 2))
        upload.sendall(raw(lab)[7])
        half.sendall(b"GET / HT")
        assert lab.end() == "Ctrl-C ends it.\n"
        assert lab.process.returncode in (0, 130, -2)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="a command line is read in /proc")
def test_on_the_browser_s_command_line_stands_a_ticket(tmp_path, monkeypatch):
    written = tmp_path / "command line"
    browser = tmp_path / "browser"
    browser.write_text(
        f"#!{sys.executable}\nimport sys\nopen({str(written)!r}, 'w').write(sys.argv[1])\n"
    )
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    command = [each for each in shlex.split(COMMAND) if each != "--no-browser"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        token = re.search(r"\?token=(\S+)", running.stdout.readline())[1]
        assert eventually(lambda: written.exists() and written.read_text())
        running.send_signal(2)
        running.communicate(timeout=60)
    address = written.read_text()
    assert token not in address
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?ticket=[\w-]{32}", address)
