"""Who may talk to the lab: a guard in front of everything, HTTP and WebSocket alike.

The server listens on this computer alone, but any page that the same browser shows may send to it,
and a name of somebody else's may point at it (DNS rebinding). So each request must name this very
address in Host; where it has an Origin, that must be this address too, port included (a WebSocket
must have one); and it must bring the cookie that the printed address, with its token, was turned
into.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

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


class Guard:
    """Lets a request through to ``app``, or answers it with the reason why not.

    Attributes
    ----------
    token : str
        What the printed address carries; ``secret`` is the value of the cookie.
    hosts : frozenset of str
        What Host may be: names with the port.
    framers : str
        Which pages may frame this one, as a CSP says it.
    """

    def __init__(self, app: App, port: int, framers: str = "'none'") -> None:
        self.app, self.framers = app, framers
        self._tickets: set[str] = set()
        self.token, self.secret = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self.cookie = f"pellucid_lab_{port}"
        self.hosts = frozenset(f"{name}:{port}" for name in LOOPBACK)

    def ticket(self) -> str:
        """Return a token for one use, so that what stays in a notebook's file opens nothing.

        With the cookie already there a used one leads on all the same.
        """
        made = secrets.token_urlsafe(24)
        self._tickets.add(made)
        return made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            reason = self._refusal(scope) or ("" if self._has_cookie(scope) else _NO_COOKIE)
            if reason:
                await self._close(scope, receive, send, reason)
            else:
                await self.app(scope, receive, send)
            return
        host = _header(scope, b"host")
        status, text, more = self._verdict(scope)
        guarded = self._with_headers(send, host)
        if status == 200 and not text:
            await self.app(scope, receive, guarded)
        else:
            await _answer(guarded, status, text, more)

    def _verdict(self, scope: Scope) -> tuple[int, str, list[tuple[bytes, bytes]]]:
        """The status of an HTTP request, and what is said; nothing where the app answers."""
        reason = self._refusal(scope)
        if reason:
            return 403, reason, []
        if scope["method"] == "POST" and scope["path"].startswith(UPLOADS):
            return self._verdict_on_upload(scope)
        if scope["method"] not in ("GET", "HEAD"):
            return 405, "the lab answers GET alone; all else goes through its socket.", []
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        if "token" in query:
            if not self._is_token(query["token"][0]):
                if self._has_cookie(scope):
                    return 303, "", [(b"location", b"/")]
                return 403, "this token is not, or no longer, the lab's. " + _NO_COOKIE, []
            cookie = f"{self.cookie}={self.secret}; Path=/; HttpOnly; SameSite=Strict"
            set_it = (b"set-cookie", cookie.encode())
            if _header(scope, b"sec-fetch-site") == "cross-site":  # a link in another's page
                return 200, _ENTER, [set_it]
            return 303, "", [(b"location", b"/"), set_it]
        if not self._has_cookie(scope):
            return 401, _NO_COOKIE, []
        return 200, "", []

    def _verdict_on_upload(self, scope: Scope) -> tuple[int, str, list[tuple[bytes, bytes]]]:
        """More than for GET: an Origin, and a type that a form cannot have."""
        if not self._has_cookie(scope):
            return 401, _NO_COOKIE, []
        if _header(scope, b"origin") is None:
            return 403, "an upload needs an Origin.", []
        if _header(scope, b"content-type") != BYTES:
            return 415, f"an upload must be {BYTES}.", []
        return 200, "", []

    def _is_token(self, given: str) -> bool:
        used = next((each for each in self._tickets if _same(given, each)), None)
        if used is not None:
            self._tickets.discard(used)
            return True
        return _same(given, self.token)

    def _refusal(self, scope: Scope) -> str:
        """Why Host or Origin is not acceptable, or ""."""
        host = _header(scope, b"host")
        if host is None or host.lower() not in self.hosts:
            return f"the lab does not answer to the host {host!r:.80}."
        origin = _header(scope, b"origin")
        if origin is None:
            return "" if scope["type"] == "http" else "a socket of the lab needs an Origin."
        if origin.lower() != f"http://{host.lower()}":
            return f"the lab does not answer to pages of {origin!r:.80}."
        return ""

    def _has_cookie(self, scope: Scope) -> bool:
        found = _header(scope, b"cookie")
        try:
            morsel = SimpleCookie(found or "").get(self.cookie)
        except CookieError:
            return False
        return morsel is not None and _same(morsel.value, self.secret)

    def _with_headers(self, send: Send, host: str | None) -> Send:
        known = host if host is not None and host.lower() in self.hosts else ""
        policy = POLICY.format(sockets=f"ws://{known}" if known else "", framers=self.framers)
        added = [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"cache-control", b"no-store"),
        ]

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        return with_headers

    async def _close(self, scope: Scope, receive: Receive, send: Send, reason: str) -> None:
        """Refuse a socket before it is accepted: the browser sees 403."""
        await receive()
        if "websocket.http.response" in scope.get("extensions", {}):
            await _answer(send, 403, reason, [], prefix="websocket.http.response")
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": reason})


_NO_COOKIE = "Open the address that pellucid lab printed, with its token."
_ENTER = '<!doctype html><title>Pellucid lab</title><script src="/static/enter.js"></script>'
"""A page that goes on to the lab by itself: a strict cookie is not sent where another's page, or
its redirect, leads to."""


async def _answer(
    send: Send,
    status: int,
    text: str,
    headers: list[tuple[bytes, bytes]],
    prefix: str = "http.response",
) -> None:
    body = f"{text}\n".encode() if text else b""
    kind = (b"content-type", b"text/html" if text is _ENTER else b"text/plain; charset=utf-8")
    size = (b"content-length", str(len(body)).encode())
    start = {"type": f"{prefix}.start", "status": status, "headers": [kind, size, *headers]}
    await send(start)
    await send({"type": f"{prefix}.body", "body": body})


def _header(scope: Scope, name: bytes) -> str | None:
    """The value of a header; None where it is absent, or there more than once."""
    found = [value for key, value in scope.get("headers", []) if key == name]
    return found[0].decode("latin-1") if len(found) == 1 else None


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
