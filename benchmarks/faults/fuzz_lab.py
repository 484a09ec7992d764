"""What is fuzzed of the lab: its commands, what is uploaded, raw HTTP and socket messages."""

from __future__ import annotations

import io
import json
import logging
import socket
import zipfile
from pathlib import Path
from random import Random
from typing import Any

from fuzz_stored import files_of, prepare_models, write_damaged
from fuzz_tables import FoundError, check_shown
from mutate import changed, changed_data, odd_text, odd_value


def prepare_lab(folder: Path) -> dict[str, Any]:
    """Start a lab, and note what it logs as an error."""
    from pellucid.lab.server.app import Lab
    from pellucid.lab.server.commands import COMMANDS

    errors: list[str] = []

    class Noted(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            errors.append(f"{record.name}: {record.getMessage()}: {record.exc_info!r:.300}")

    logging.getLogger().addHandler(Noted(logging.ERROR))
    lab = Lab()
    lab.__enter__()
    return {**prepare_models(folder), "lab": lab, "errors": errors, "commands": list(COMMANDS)}


def lab(context: dict[str, Any], rng: Random) -> None:
    """Send commands, an upload, raw bytes, or messages through a socket."""
    context["errors"].clear()
    try:
        rng.choice((_commands, _commands, _upload, _upload, _raw, _socket))(context, rng)
    finally:
        if context["errors"]:
            raise FoundError(f"the server logged {context['errors'][0]}")


# Commands -----------------------------------------------------------------------------------------

_ARGUMENTS = ("experiment", "speed", "epoch", "loss", "letter", "layer", "row", "column", "value",
              "examples", "boundary", "most", "axes", "units", "table", "target", "model", "task",
              "view", "x", "y", "sequence", "name", "of", "steps", "rates")  # fmt: skip
_EXPERIMENT: dict[str, Any] = {
    "data": {"name": "xor", "examples": 40, "noise": 0.1, "split": 0.25, "seed": 1},
    "layers": [{"units": 3, "activation": "tanh"}], "learning_rate": 0.1, "optimizer": "adam",
    "batch_size": 8, "seed": 3, "l2": 0.0, "initializer": "glorot_uniform", "fault": None,
    "loss": "binary_cross_entropy", "preset": "xor", "weights": {}, "model": None,
}  # fmt: skip


def _requests(context: dict[str, Any], rng: Random) -> list[str]:
    """Texts of requests: mostly an experiment is opened first."""
    opened = changed_data(rng, _EXPERIMENT) if rng.random() < 0.7 else _EXPERIMENT
    made: list[Any] = [{"id": 0, "do": "open", "experiment": opened}]
    for number in range(1, rng.choice((1, 2, 3, 6))):
        request = {"id": number, "do": rng.choice(context["commands"])}
        for name in rng.sample(_ARGUMENTS, rng.randrange(6)):
            request[name] = rng.choice(("W", "dW", "Z", "x", 0, 1, 2, odd_value(rng)))
        made.append(changed_data(rng, request) if rng.random() < 0.1 else request)
    texts = [json.dumps(request, default=str) for request in made]
    return [
        changed(rng, text.encode()).decode("utf-8", "replace") if rng.random() < 0.05 else text
        for text in texts
    ]


def _commands(context: dict[str, Any], rng: Random) -> None:
    from pellucid.lab.server.app import parsed
    from pellucid.lab.server.commands import handle
    from pellucid.lab.server.trainer import Player

    player = Player(lambda message: None)
    try:
        for text in _requests(context, rng):
            for message in handle(player, parsed({"text": text})):
                _check_message(message)
    finally:
        player.close()


def _check_message(message: str | bytes) -> None:
    if isinstance(message, str):
        error = json.loads(message).get("error", "")
        if "internal error" in error:
            raise FoundError(error)
        check_shown(error)


# Uploads ------------------------------------------------------------------------------------------


def _upload(context: dict[str, Any], rng: Random) -> None:
    from pellucid.lab.server.uploads import choose_target, received

    kind = rng.choice(("table", "zip", "folder"))
    files, _ = rng.choice(context["kept"])
    path = context["folder"] / "damaged.pellucid"
    write_damaged(rng, path, files)
    files = files_of(path) if rng.random() < 0.8 else files
    if kind == "table":
        rows = [f"{k % 7},{'uvw'[k % 3]},{'ab'[k % 2]}" for k in range(30)]
        content = "\n".join(["n,word,kind", *rows]).encode()
    elif kind == "zip":
        content = _zip(rng, files)
    else:
        listed = [[f"m/{name}", len(part)] for name, part in files.items()]
        listed = changed_data(rng, listed) if rng.random() < 0.1 else listed
        content = json.dumps(listed).encode() + b"\n" + b"".join(files.values())
    content = changed(rng, content) if rng.random() < 0.5 else content
    found = received(kind, odd_text(rng), content)
    if kind == "table":
        target = rng.choice([*found["columns"], odd_text(rng)])
        choose_target(found["table"], target, None, rng.choice((None, "binary", odd_value(rng))))


def _zip(rng: Random, files: dict[str, bytes]) -> bytes:
    """A zip of a model's files; some entries have names that no model has, or are large."""
    made = io.BytesIO()
    form = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(made, "w", form) as packed:
        for name, part in files.items():
            place = rng.choice((name, f"m/{name}", name, f"x{odd_text(rng)[:100]}", f"\0{name}"))
            entry = zipfile.ZipInfo("x")
            entry.filename = place.encode(
                "utf-8", "replace"
            ).decode()  # even what it would not take
            packed.writestr(entry, part, form)
        if rng.random() < 0.02:
            packed.writestr("zeros", bytes(50_000_000))
    return made.getvalue()


# Raw bytes ----------------------------------------------------------------------------------------


def _raw(context: dict[str, Any], rng: Random) -> None:
    """Raw HTTP, with the key or without; the server must answer or hang up, and live."""
    made = context["lab"]
    key = rng.choice((made.app.token, made.app.token, made.app.ticket(), odd_text(rng)))
    body = changed(rng, b"n,word\n1,a\n2,b\n3,a\n")
    lines = [
        rng.choice(("GET / HTTP/1.1", "GET /static/main.js HTTP/1.1", "GET /static/../x HTTP/1.1",
                    "POST /upload/table?name=%00 HTTP/1.1", "POST /upload/zip HTTP/1.1",
                    "POST /upload/table?name=a.csv HTTP/1.1", "GET /socket HTTP/1.1",
                    f"GET /?token={key} HTTP/1.1", f"{odd_text(rng)} / HTTP/1.1",
                    "GET / HTTP/9.9")),
        f"Host: {rng.choice((f'127.0.0.1:{made.port}', f'127.0.0.1:{made.port}', odd_text(rng)))}",
        f"Authorization: Bearer {key}", "Content-Type: application/octet-stream",
        f"Origin: http://127.0.0.1:{made.port}",
        f"Content-Length: {rng.choice((len(body), len(body), 0, -1, 10**30, odd_text(rng)))}",
    ]  # fmt: skip
    kept = [line for line in [*lines, "Connection: close"] if rng.random() < 0.95]
    if "socket" in lines[0] or rng.random() < 0.05:
        kept += [line for line in _upgrade(key) if rng.random() < 0.95]
    text = "\r\n".join(kept).encode("utf-8", "surrogatepass") + b"\r\n\r\n" + body
    answer = _sent(made.port, changed(rng, text, 3) if rng.random() < 0.5 else text)
    if answer[:5] == b"HTTP/" and answer.split(b" ", 2)[1:2] >= [b"5"]:
        raise FoundError(f"answered {answer[:100]!r}")


def _upgrade(key: str) -> list[str]:
    return ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            f"Sec-WebSocket-Protocol: pellucid, {key}"]  # fmt: skip


def _socket(context: dict[str, Any], rng: Random) -> None:
    """A socket that was let in, and then odd requests, frames and bytes."""
    made = context["lab"]
    lines = [
        "GET /socket HTTP/1.1", f"Host: 127.0.0.1:{made.port}",
        f"Origin: http://127.0.0.1:{made.port}", *_upgrade(made.app.token),
    ]  # fmt: skip
    parts = []
    for text in _requests(context, rng):
        kind = rng.choice((1, 1, 1, 1, 1, 1, 1, 0, 2, 8, 9, 10, 3))
        parts.append(_message(kind, text.encode("utf-8", "surrogatepass")))
    sent = b"".join([*parts, _message(8, b"")])
    sent = changed(rng, sent, 2) if rng.random() < 0.3 else sent
    answer = _sent(made.port, "\r\n".join(lines).encode() + b"\r\n\r\n" + sent)
    if not answer.startswith(b"HTTP/1.1 101"):
        raise FoundError(f"answered {answer[:100]!r}")
    if b"internal error" in answer:
        place = answer.index(b"internal error")
        raise FoundError(answer[place : place + 300].decode("utf-8", "replace"))


def _message(kind: int, text: bytes) -> bytes:
    """One frame of a socket as clients send it: masked, with zeros, which leave it as it is."""
    size = len(text)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 2**16:
        length = bytes([0xFE]) + size.to_bytes(2, "big")
    else:
        length = bytes([0xFF]) + size.to_bytes(8, "big")
    return bytes([0x80 | kind]) + length + bytes(4) + text


def _sent(port: int, content: bytes) -> bytes:
    """What the server answers, until it hangs up; where it waits for more, that there is none."""
    answer, patience = b"", [0.3, 5.0]
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        try:
            connection.sendall(content)
            while len(answer) < 2**22:
                connection.settimeout(patience[0])
                try:
                    part = connection.recv(2**16)
                except TimeoutError:
                    if len(patience) == 1:
                        raise FoundError("the connection is left open") from None
                    del patience[0]
                    connection.shutdown(socket.SHUT_WR)
                    continue
                if not part:
                    break
                answer += part
        except OSError:  # it has hung up
            pass
    return answer
