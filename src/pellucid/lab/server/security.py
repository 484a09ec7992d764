"""Who may talk to the lab: a guard in front of everything, both HTTP and WebSocket.

The server listens on this computer alone, but any page that the same browser shows may send to it,
other users' programs may connect, and a name of somebody else's may point at it (DNS rebinding). So
each request must name this very address in Host; where it has an Origin, that must be this address
too, port included (a socket and an upload must have one); and a socket and an upload must show the
key. The page's own files hold nothing of the user's and are given to all.

There is no cookie: a browser sends those to every port of this computer, other users' servers
included. The page takes the key from its address and keeps it in sessionStorage, which no other
port's page can read.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from pellucid.lab.server.door import Client, Door

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
POLICY = (
    "default-src 'self'; connect-src 'self' {sockets}; img-src 'self' data: blob:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors {framers}"
)
IN_NOTEBOOKS = "http://127.0.0.1:* http://localhost:*"
"""Pages of this computer, whatever their port: those that may frame a notebook's lab."""
UPLOADS = "/upload/"
"""The paths that take POST begin so."""
BYTES = "application/octet-stream"
"""What a POST must say it is: a type that no page may send elsewhere without being asked first."""
SPEAKS = "pellucid"
"""The subprotocol of the lab's socket. The page offers its keys behind it: a browser lets a page
set no other header of a socket, and an address would be written down."""
NOT_ALLOWED = 1008
"""Why a socket is closed, in the numbers of RFC 6455."""
MOST_TICKETS, TICKET_LIFE = 64, 600.0
"""The oldest go first, and each after so many seconds."""


class Guard:
    """Lets a request through to ``app``, or answers it with the reason why not.

    Attributes
    ----------
    token : str
        The key: what the printed address carries, and what the page keeps.
    door : Door
        Which connections are open.
    hosts : frozenset of str
        What Host may be: names with the port.
    framers : str
        Which pages may frame this one, as a CSP says it.
    """

    def __init__(self, app: App, port: int, framers: str = "'none'") -> None:
        self.app, self.port, self.framers = app, port, framers
        self.door = Door()
        self.token = secrets.token_urlsafe(24)
        self._tickets: dict[str, float] = {}  # until when each is good
        self.hosts = frozenset(f"{name}:{port}" for name in LOOPBACK)

    def ticket(self) -> str:
        """Return a key for one use, for places that others can see or that are kept.

        It opens the lab for the user who started it, in the next :data:`TICKET_LIFE` seconds; the
        page is then given the token.
        """
        for oldest in list(self._tickets)[: 1 - MOST_TICKETS]:
            self._tickets.pop(oldest, None)
        made = secrets.token_urlsafe(24)
        self._tickets[made] = time.monotonic() + TICKET_LIFE
        return made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        self.door.asks(client)
        try:
            if scope["type"] == "websocket":
                await self._socket(scope, receive, send)
            else:
                await self._http(scope, receive, self._with_headers(scope, send))
        finally:
            self.door.answered(client)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        offered = scope.get("subprotocols", [])
        if self._refusal(scope) or SPEAKS not in offered:  # no page of the lab: 403
            await receive()
            await send({"type": "websocket.close"})
        elif reason := self._no_entry(scope, [key for key in offered if key != SPEAKS]):
            await receive()  # then accept: a page learns why only from a socket that was open
            await send({"type": "websocket.accept", "subprotocol": SPEAKS})
            await send({"type": "websocket.close", "code": NOT_ALLOWED, "reason": reason})
        else:
            self.door.shows_the_key(scope.get("client"))
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        upload = scope["method"] == "POST" and scope["path"].startswith(UPLOADS)
        reason = self._refusal(scope)
        if reason:
            await _answer(send, 403, reason)
        elif not upload and scope["method"] not in ("GET", "HEAD"):
            await _answer(send, 405, "the lab answers only GET; all else goes through its socket.")
        elif upload and (refused := self._refused_upload(scope)):
            await _answer(send, *refused)
        else:
            if upload:
                self.door.shows_the_key(scope.get("client"))
            await self.app(scope, receive, send)

    def _refused_upload(self, scope: Scope) -> tuple[int, str] | None:
        """More than for GET: the key, an Origin, and a type that a form cannot have."""
        kind, _, key = (_header(scope, b"authorization") or "").partition(" ")
        if kind.lower() != "bearer" or not _same(key, self.token):
            return 401, "an upload needs the lab's key; open the address that pellucid lab printed."
        if _header(scope, b"origin") is None:
            return 403, "an upload needs an Origin."
        if _header(scope, b"content-type") != BYTES:
            return 415, f"an upload must be {BYTES}."
        return None

    def _no_entry(self, scope: Scope, keys: list[str]) -> str:
        """Why these keys do not open the lab, or ""; at most 123 bytes, as sockets are closed."""
        if any(_same(key, self.token) for key in keys):
            return ""
        now = time.monotonic()
        good = [each for each, until in list(self._tickets.items()) if until > now]
        used = next((each for each in good for key in keys if _same(key, each)), None)
        if used is None:
            return _BAD_KEY if keys else _NO_KEY
        user = user_of(scope.get("client"), scope.get("server"))
        if user not in (None, 0, _this_user()):
            return _OTHER_USER
        self._tickets.pop(used, None)
        return ""

    def _refusal(self, scope: Scope) -> str:
        """Why Host or Origin is not acceptable, or ""."""
        host = _header(scope, b"host")
        if host is None or host.lower() not in self.hosts:
            return (
                f"the lab does not answer to the host {host!r:.80}, only to 127.0.0.1:{self.port} "
                "on the computer where it runs. From another computer:\n"
                f"ssh -L {self.port}:127.0.0.1:{self.port} that-computer\n"
                "and then open there the address that was printed."
            )
        origin = _header(scope, b"origin")
        if origin is None:
            return "" if scope["type"] == "http" else "a socket of the lab needs an Origin."
        if origin.lower() != f"http://{host.lower()}":
            return f"the lab does not answer to pages of {origin!r:.80}."
        return ""

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        host = _header(scope, b"host")
        known = host if host is not None and host.lower() in self.hosts else ""
        policy = POLICY.format(sockets=f"ws://{known}" if known else "", framers=self.framers)
        added = [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"cache-control", b"no-store"),
        ]

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        return with_headers


_NO_KEY = "It holds no key, and this tab of the browser has none."
_BAD_KEY = "Its key is not valid: it was for one use and a short time, or the lab has ended since."
_OTHER_USER = "Its key is for the user who started the lab, and came from another user's program."


def user_of(client: Client | None, server: Client | None) -> int | None:
    """Return the number of the user at the other end of a connection from this computer.

    The kernel's table of connections tells it on Linux; None where nothing does.
    """
    if client is None or server is None:
        return None
    near, far = (f"{_in_table(host)}:{port:04X}" for host, port in (client, server))
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):  # there too ends what calls IPv4 from IPv6
        try:
            rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
        except OSError:
            continue
        for row in rows:
            if row[1].endswith(near) and row[2].endswith(far):
                return int(row[7])
    return None


def _in_table(host: str) -> str:
    """An address in hexadecimal digits: four bytes at a time, in this machine's order."""
    packed = ipaddress.ip_address(host).packed
    words = (packed[k : k + 4] for k in range(0, len(packed), 4))
    return "".join(f"{int.from_bytes(each, sys.byteorder):08X}" for each in words)


def _this_user() -> int | None:
    return os.getuid() if hasattr(os, "getuid") else None


async def _answer(send: Send, status: int, text: str) -> None:
    body = f"{text}\n".encode()
    kind = (b"content-type", b"text/plain; charset=utf-8")
    size = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [kind, size]})
    await send({"type": "http.response.body", "body": body})


def _header(scope: Scope, name: bytes) -> str | None:
    """The value of a header; None where it is absent, or there more than once."""
    found = [value for key, value in scope.get("headers", []) if key == name]
    return found[0].decode("latin-1") if len(found) == 1 else None


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
