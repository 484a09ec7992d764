"""Who waits at the door: connections that have not shown the lab's key, few and never for long.

Every program of this computer may connect, other users' too, and a process has only so many open
files. So a connection is a guest until the key is seen on it, and again when that request is over.
Whoever has been quiet the longest makes room for who comes, and nobody may take his time.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

MOST_GUESTS = 64
MOST_AT_ONCE = 128
"""So many may crowd in, for a moment: then those go that came, or were answered, first."""
MOMENT = 0.2
"""Seconds in which a page that was let in, or answered, asks for the next thing."""
HEADER = 5.0
"""Seconds for a whole header, however slowly its bytes come."""
ANSWER = 20.0
"""Seconds until the answer is sent and read."""

Client = tuple[str, int]
"""The other end's address and port, as ASGI's ``client`` gives it: one connection's name."""


@dataclass(eq=False)
class Connection:
    """One that is open: since when it is quiet, its requests that are answered, what will end it.

    The next request may come before all is done for the last one.
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
        if found := self._open.get(client or _NOBODY):
            found.busy += 1
            found.may_take(ANSWER)

    def shows_the_key(self, client: Client | None) -> None:
        """It does so with this request, which may take its time."""
        if found := self._open.get(client or _NOBODY):
            found.guest = False
            found.may_take(None)

    def answered(self, client: Client | None) -> None:
        """A request of it is done with: if that was all, it may ask again."""
        if found := self._open.get(client or _NOBODY):
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


_NOBODY = ("", 0)
