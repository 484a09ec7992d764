"""The server: the page's files, and one socket for each page with a trainer behind it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import importlib
import json
import logging
import os
import socket as sockets
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pellucid.checks import is_whole
from pellucid.errors import MissingPackageError
from pellucid.lab.server.commands import handle
from pellucid.lab.server.frames import dumps
from pellucid.lab.server.security import IN_NOTEBOOKS, SPEAKS, Guard
from pellucid.lab.server.trainer import Message, Trainer
from pellucid.lab.server.uploads import KINDS, received
from pellucid.lab.views.catalogue import LARGEST_UPLOAD

logger = logging.getLogger(__name__)
_wire = logging.getLogger("pellucid.lab.wire")
"""What uvicorn says of single connections: of malformed requests nothing, they are answered."""
_wire.setLevel(logging.ERROR)

HOST, HOST_6 = "127.0.0.1", "::1"
STATIC = Path(__file__).parents[1] / "static"
LARGEST_MESSAGE = 2 * 2**20
MOST_CLIENTS = 32
MOST_UPLOADS = 2
"""At a time; further ones wait."""
LONGEST_UPLOAD = 60.0
"""Seconds until all of one has arrived."""
ACCEPTED, QUEUED = 16, 2048
"""Connections that are accepted in one go, and that may wait for it; beyond, they wait seconds."""
NOT_UNDERSTOOD, TOO_MANY = 1007, 1013
"""Why a socket is closed, in the numbers of RFC 6455."""


class Lab:
    """A lab for this computer alone; ``port=0`` takes a free one.

    Attributes
    ----------
    port : int
    address : str
        What to open, with the token.
    trainers : set of Trainer
        One for each page that is connected, or whose last request is still worked at.
    experiment : dict or None
        What the page opens first, as :meth:`pellucid.lab.session.settings.Settings.read` takes it.
    framed : bool
        Whether other pages of this computer may have it in a frame, as a notebook's does.

    Examples
    --------
    >>> with Lab() as lab:  # doctest: +SKIP
    ...     print(lab.address)
    http://127.0.0.1:43127/?token=...
    """

    def __init__(
        self, port: int = 0, experiment: dict[str, Any] | None = None, framed: bool = False
    ) -> None:
        _require()
        self.experiment = experiment
        self._listening = _listen(port)
        self.port = int(self._listening[0].getsockname()[1])
        self.app = Guard(_application(self), self.port, IN_NOTEBOOKS if framed else "'none'")
        self._trainers: set[Trainer] = set()
        self._server = _uvicorn_server(self.app)
        self._thread: threading.Thread | None = None

    @property
    def trainers(self) -> set[Trainer]:
        """Those whose threads have not ended."""
        self._trainers = {each for each in self._trainers if each.is_alive()}
        return self._trainers

    @property
    def address(self) -> str:
        """What to open, with the token, and the experiment to begin with behind the ``#``."""
        return self._address(f"token={self.app.token}", self.experiment)

    def browse(self, experiment: dict[str, Any] | None = None) -> bool:
        """Open a page in the browser, on this experiment; False where no browser is found.

        Other users see a program's arguments, so a ticket stands there instead of the token.
        """
        ticket = f"ticket={self.app.ticket()}"
        return webbrowser.open(self._address(ticket, experiment or self.experiment))

    def _address(self, key: str, experiment: dict[str, Any] | None) -> str:
        link = "" if experiment is None else link_of(experiment)
        return f"http://{HOST}:{self.port}/?{key}{link}"

    def run(self) -> None:
        """Serve in this thread until Ctrl-C."""
        try:
            self._server.run(sockets=self._listening)
        finally:
            for each in self._listening:
                each.close()
            self.end_trainers()

    def __enter__(self) -> Lab:
        """Serve in a thread of its own."""
        self._thread = threading.Thread(target=self.run, name="pellucid-lab-server", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()

    def end_trainers(self) -> None:
        """Stop what trains, and wait for it."""
        ending = list(self.trainers)
        for trainer in ending:
            trainer.stop()
        for trainer in ending:
            trainer.join()


def link_of(experiment: dict[str, Any]) -> str:
    """Return what stands behind an address so that the page opens this experiment."""
    text = dumps({"experiment": experiment}).encode()
    return f"#{base64.urlsafe_b64encode(text).decode().rstrip('=')}"


class Client:
    """One page: reads its requests, one at a time, and sends what the trainer pushes."""

    def __init__(self, lab: Lab, websocket: Any) -> None:
        self._lab, self._websocket = lab, websocket
        self._loop = asyncio.get_running_loop()
        self._pushed: asyncio.Queue[Message] = asyncio.Queue()
        self._sending = asyncio.Lock()
        self._trainer = Trainer(handle, self._push)

    async def serve(self) -> None:
        """Until the page goes, or says something that is not understood."""
        self._trainer.start()
        self._lab.trainers.add(self._trainer)  # before anything is awaited: they are counted
        pushing = asyncio.create_task(self._send_pushed())
        try:
            await _welcome(self._lab, self._websocket)
            await self._read()
        finally:
            pushing.cancel()
            self._trainer.stop()
            with contextlib.suppress(asyncio.CancelledError):
                await pushing

    async def _read(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                request = parsed(message)
            except ValueError as error:
                await self._websocket.close(NOT_UNDERSTOOD, str(error)[:120])
                return
            for each in await self._asked(request):
                await self._send(each)

    async def _asked(self, request: dict[str, Any]) -> list[Message]:
        answered: asyncio.Future[list[Message]] = self._loop.create_future()

        def take(messages: list[Message]) -> None:
            if not answered.done():
                answered.set_result(messages)

        self._trainer.ask(request, lambda messages: self._soon(lambda: take(messages)))
        return await answered

    def _push(self, message: Message) -> None:
        """Called by the trainer, which never waits: it has one frame out at a time."""
        self._soon(lambda: self._pushed.put_nowait(message))

    def _soon(self, call: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the server has ended
            self._loop.call_soon_threadsafe(call)

    async def _send_pushed(self) -> None:
        while True:
            await self._send(await self._pushed.get())

    async def _send(self, message: Message) -> None:
        async with self._sending:
            with contextlib.suppress(Exception):  # gone: the reader notices
                if isinstance(message, bytes):
                    await self._websocket.send_bytes(message)
                else:
                    await self._websocket.send_text(message)


async def _welcome(lab: Lab, websocket: Any) -> None:
    """Give the page the key to keep: what it came with may have been a ticket."""
    await websocket.accept(SPEAKS)
    await websocket.send_text(dumps({"event": "welcome", "key": lab.app.token}))


def parsed(message: Any) -> dict[str, Any]:
    """Return the request of a message; ValueError where it is none."""
    text = message.get("text")
    if text is None:
        raise ValueError("expected a text of JSON; got bytes.")
    try:
        request = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("expected JSON; this is not JSON.") from None
    if not isinstance(request, dict):
        raise ValueError("expected a JSON object with id and do.")
    number, name = request.get("id"), request.get("do")
    if not is_whole(number) or not isinstance(name, str):
        raise ValueError("expected a JSON object with an integer id and a text do.")
    return request


# Packages of the extra ----------------------------------------------------------------------------


def _require() -> None:
    for package in ("starlette", "uvicorn", "websockets"):
        try:
            importlib.import_module(package)
        except ImportError:
            raise MissingPackageError(
                f"the lab needs {package}: pip install 'pellucid[lab]'"
            ) from None


def _application(lab: Lab) -> Any:
    from starlette.applications import Starlette
    from starlette.responses import FileResponse, Response
    from starlette.routing import Mount, Route, WebSocketRoute
    from starlette.staticfiles import StaticFiles

    async def page(request: Any) -> Any:
        return FileResponse(STATIC / "index.html", media_type="text/html")

    async def talk(websocket: Any) -> None:
        if len(lab.trainers) >= MOST_CLIENTS:
            await _welcome(lab, websocket)  # its ticket is used: it has to know the key
            await websocket.close(TOO_MANY, f"{MOST_CLIENTS} pages of the lab are open already.")
            return
        await Client(lab, websocket).serve()

    async def upload(request: Any) -> Any:
        async with receiving:
            found, status = await _received(request)
        return Response(dumps(found), status, media_type="application/json")

    receiving = asyncio.Semaphore(MOST_UPLOADS)

    static = StaticFiles(directory=STATIC, check_dir=False)
    routes = [
        Route("/", page),
        Route("/upload/{kind}", upload, methods=["POST"]),
        WebSocketRoute("/socket", talk),
        Mount("/static", static),
    ]
    return Starlette(routes=routes)


async def _received(request: Any) -> tuple[dict[str, Any], int]:
    """The answer to an upload and its status; what is too large is refused before it is read."""
    from starlette.requests import ClientDisconnect

    kind, name = request.path_params["kind"], request.query_params.get("name", "")
    length = request.headers.get("content-length", "")
    if kind not in KINDS:
        return {"error": f"there is no upload {kind!r:.40}."}, 404
    chunked = "transfer-encoding" in request.headers  # then the length that is said binds nobody
    if chunked or not length.isdecimal() or len(length) > 15:
        return {"error": "an upload must state its length."}, 411
    if int(length) > LARGEST_UPLOAD:
        most = f"{LARGEST_UPLOAD // 2**20} MiB"
        return {"error": f"{int(length) / 2**20:,.0f} MiB is too large; the limit is {most}."}, 413
    content = bytearray()
    try:
        async with asyncio.timeout(LONGEST_UPLOAD):
            async for chunk in request.stream():
                content += chunk
        found = await asyncio.to_thread(received, kind, name, bytes(content))
    except ClientDisconnect:
        return {}, 400
    except TimeoutError:
        return {"error": "the upload took too long."}, 408
    except ValueError as error:  # an answer like any other: the page says it
        return {"error": " ".join(str(error).split())}, 200
    except Exception as error:
        logger.exception("upload %s", kind)
        return {"error": f"internal error: {type(error).__name__}: {error}"}, 200
    return found, 200


def _uvicorn_server(app: Guard) -> Any:
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    class Http(H11Protocol):  # type: ignore[misc]
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self.logger = _wire

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            app.door.arrived(transport)

    class Socket(WebSocketsSansIOProtocol):  # type: ignore[misc]
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self.logger = self.conn.logger = _wire

    for each in (_wire, logging.getLogger("uvicorn.error")):
        each.addFilter(_is_of_interest)
    config = uvicorn.Config(
        app,
        http=Http,
        ws=Socket,
        lifespan="off",
        backlog=ACCEPTED,
        ws_max_size=LARGEST_MESSAGE,
        ws_per_message_deflate=False,
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def _is_of_interest(record: logging.LogRecord) -> bool:
    """Not what is cut off because the lab ends."""
    cut = record.exc_info is not None and record.exc_info[0] is asyncio.CancelledError
    return not cut and not str(record.msg).startswith("Cancel %s running task(s)")


class _Listening(sockets.socket):
    """For asyncio the backlog is also how many are accepted in one go."""

    def listen(self, backlog: int = QUEUED) -> None:
        super().listen(QUEUED)


def _listen(port: int) -> list[sockets.socket]:
    """Both addresses that localhost may lead to, or one where there is no IPv6.

    Were the other free, another user's server could listen there and be sent the key.
    """
    while True:
        try:
            near = _bound(sockets.AF_INET, HOST, port)
        except OSError as error:
            raise _refused(HOST, port, error) from None
        try:
            return [near, _bound(sockets.AF_INET6, HOST_6, near.getsockname()[1])]
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return [near]
            near.close()
            if port:
                raise _refused(f"[{HOST_6}]", port, error) from None


def _bound(family: sockets.AddressFamily, host: str, port: int) -> sockets.socket:
    # asyncio sends without delay (TCP_NODELAY) only where the protocol is named
    listening = _Listening(family, sockets.SOCK_STREAM, sockets.IPPROTO_TCP)
    if os.name == "posix":  # on Windows it would let others take the port over
        listening.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()  # who comes before the server is ready waits
    except OSError:
        listening.close()
        raise
    return listening


def _refused(host: str, port: int, error: OSError) -> OSError:
    return OSError(
        f"cannot listen on {host}:{port}: {error.strerror}. Choose another port, or 0 for a "
        "free one."
    )
