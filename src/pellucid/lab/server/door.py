"""Connections that have not shown the lab's key: few, and for seconds only.

Every program of this computer may connect, other users' too, and a process has few open files. So a
connection is a guest until it shows the key, and again when that request is over. Guests are
bounded in number and in time; those that have been quiet the longest go first.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

MOST_GUESTS = 64
MOST_AT_ONCE = 128
"""Guests for a moment, until some of them have to go."""
MOMENT = 0.2
"""Seconds after its arrival, or an answer, in which a guest stays: a page soon asks again."""
HEADER = 5.0
"""Seconds for a whole header, however slowly its bytes come."""
ANSWER = 20.0
"""Seconds until the answer is sent and read."""

Client = tuple[str, int]
"""The other end's address and port, as ASGI's ``client`` gives it."""


@dataclass(eq=False)
class Connection:
    """An open connection: quiet since when, with how many requests under way, ended by what.

    The next request may come before the last one is done with.
    """

    transport: asyncio.Transport
    since: float = 0.0
    busy: int = 0
    guest: bool = True
    end: asyncio.TimerHandle | None = None

    def may_take(self, seconds: float | None) -> None:
        """From now on; None: as long as it likes."""
        if self.end is not None:
            self.end.cancel()
        loop = asyncio.get_running_loop()
        self.since = loop.time()
        # aborted: an orderly close would wait for a reader that never reads
        self.end = None if seconds is None else loop.call_later(seconds, self.transport.abort)


class Door:
    """All open connections; used in the server's loop alone."""

    def __init__(self) -> None:
        self._open: dict[Client, Connection] = {}
        self._crowded = False

    def arrived(self, transport: asyncio.Transport) -> None:
        """A connection was made."""
        peer = transport.get_extra_info("peername")
        if peer is None:  # gone already
            transport.abort()
            return
        self._open[peer[0], peer[1]] = arrived = Connection(transport)
        arrived.may_take(HEADER)
        if len(self._open) > MOST_AT_ONCE:
            self._make_room(MOST_AT_ONCE, 0.0)
        self._thin_out()

    def asks(self, client: Client | None) -> None:
        """A whole header came from it: it is answered now."""
        if found := self._open.get(client or _NO_CLIENT):
            found.busy += 1
            found.may_take(ANSWER)

    def shows_the_key(self, client: Client | None) -> None:
        """It does so with this request, which may take its time."""
        if found := self._open.get(client or _NO_CLIENT):
            found.guest = False
            found.may_take(None)

    def answered(self, client: Client | None) -> None:
        """A request of it is done with: if that was all, it may ask again."""
        if found := self._open.get(client or _NO_CLIENT):
            found.busy -= 1
            if not found.busy:
                found.guest = True
                found.may_take(HEADER)

    def _thin_out(self) -> None:
        """In a moment, and again as long as there are too many."""
        if len(self._open) > MOST_GUESTS and not self._crowded:
            self._crowded = True
            asyncio.get_running_loop().call_later(MOMENT, self._thin_out_now)

    def _thin_out_now(self) -> None:
        self._crowded = False
        if self._make_room(MOST_GUESTS, MOMENT):
            self._thin_out()

    def _make_room(self, most: int, moment: float) -> bool:
        """End the oldest guests beyond so many, the busy ones last; whether there were more."""
        for client in [
            client for client, each in self._open.items() if each.transport.is_closing()
        ]:
            self._open.pop(client).may_take(None)
        guests = [each for each in self._open.values() if each.guest]
        guests.sort(key=lambda each: (each.busy > 0, each.since))
        latest = asyncio.get_running_loop().time() - moment
        too_many = guests[: max(0, len(guests) - most)]
        for each in too_many:
            if each.since <= latest:
                each.transport.abort()
        return bool(too_many)


_NO_CLIENT = ("", 0)
