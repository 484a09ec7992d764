"""What is fuzzed of what was stored or is sent: model folders, checkpoints, the lab's requests."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import shutil
import socket
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from fuzz_tables import FoundError, check_shown
from mutate import changed, changed_data, odd_text, odd_value

# Folders ------------------------------------------------------------------------------------------

Files = dict[str, bytes]


def prepare_models(folder: Path) -> dict[str, Any]:
    """Save one model of each kind."""
    import pellucid
    from pellucid import Dense, MLPClassifier, MLPRegressor, Network, TabularClassifier

    X = np.random.default_rng(0).normal(size=(60, 2))
    y = (X[:, 0] > 0).astype(int)
    rows = {"n": X[:, 0], "word": ["uvw"[k % 3] for k in range(60)], "day": ["2024-01-31"] * 60,
            "two": [k % 2 == 0 for k in range(60)]}  # fmt: skip
    small: dict[str, Any] = {"max_iter": 2, "random_state": 0}
    models = [
        Network([Dense(3, "tanh"), Dense(1, "sigmoid")], n_inputs=2, seed=0),
        MLPClassifier((3,), **small).fit(X, y),
        MLPRegressor(hidden_layer_sizes=(3,), **small).fit(X, X[:, 1]),
        TabularClassifier((2,), epochs=1, ensemble=2, random_state=0).fit(rows, y),
    ]
    kept = []
    for k, model in enumerate(models):
        pellucid.save(model, folder / f"{k}.pellucid") if k == 0 else model.save(
            folder / f"{k}.pellucid"
        )
        kept.append((files_of(folder / f"{k}.pellucid"), rows if k == 3 else X if k else X.T))
    return {"folder": folder, "kept": kept}


def files_of(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def model(context: dict[str, Any], rng: Random) -> None:
    """Load a damaged model folder; what loads must answer or refuse the rows it was made for."""
    import pellucid
    from pellucid.errors import ModelError

    files, rows = rng.choice(context["kept"])
    path = context["folder"] / "damaged.pellucid"
    write_damaged(rng, path, files)
    loaded = rng.choice((pellucid.load, pellucid.load_predictor))(path)
    try:
        loaded.predict(rows)
    except ModelError as error:
        raise FoundError(f"a model that was loaded raises {error!r}") from None
    except ValueError:
        pass  # other columns, or other inputs, than it was made for


def write_damaged(rng: Random, path: Path, files: Files) -> None:
    """Write a folder of which one file has changed; mostly its size and its hash are right."""
    files = dict(files)
    name = rng.choice([*files, "model.json", "model.json"])
    if name.endswith(".json") and rng.random() < 0.8:
        data = json.loads(files[name])
        for _ in range(rng.choice((1, 1, 2, 5))):
            data = changed_data(rng, data)
        files[name] = json.dumps(data).encode("utf-8", "surrogatepass")
    else:
        files[name] = changed(rng, files[name])
    if rng.random() < 0.8:
        files["model.json"] = corrected(files)
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    for name, content in files.items():
        (path / name).write_bytes(content)
    if rng.random() < 0.02:
        (path / name).unlink()


def corrected(files: Files) -> bytes:
    """model.json with the sizes and hashes that its files have."""
    try:
        data = json.loads(files["model.json"])
        for entry in data["files"].values():
            content = files[entry["name"]]
            entry |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return files["model.json"]
    return json.dumps(data).encode("utf-8", "surrogatepass")


def prepare_checkpoints(folder: Path) -> dict[str, Any]:
    """Leave a checkpoint of each kind of training behind."""
    kept = []
    for k, optimizer in enumerate(("adam", "momentum", "nesterov")):
        training = _training(optimizer)
        training(epochs=2, checkpoint=folder / f"{k}.checkpoint")
        kept.append((files_of(folder / f"{k}.checkpoint"), optimizer))
    return {"folder": folder, "kept": kept}


def _training(optimizer: str) -> Any:
    from pellucid import Dense, Network, train

    X = np.random.default_rng(0).normal(size=(2, 40)).astype(np.float32)
    Y = (X[:1] > 0).astype(np.float32)
    network = Network([Dense(3, "tanh"), Dense(1, "sigmoid")], n_inputs=2, seed=0)

    def run(**given: Any) -> Any:
        train(network, X, Y, loss="binary_cross_entropy", optimizer=optimizer, seed=0,
              validation_data=(X, Y), **given)  # fmt: skip

    run.network = network  # type: ignore[attr-defined]
    return run


def checkpoint(context: dict[str, Any], rng: Random) -> None:
    """Go on from a damaged checkpoint; what is refused must leave the parameters as they were."""
    files, optimizer = rng.choice(context["kept"])
    path = context["folder"] / "damaged.checkpoint"
    write_damaged(rng, path, files)
    run = _training(optimizer)
    before = {name: array.copy() for name, array in run.network.parameters.items()}
    try:
        run(epochs=3, resume=path)
    except Exception:
        for name, array in run.network.parameters.items():
            if not np.array_equal(array, before[name]):
                raise FoundError(
                    f"{name} has changed although the checkpoint was refused"
                ) from None
        raise


# The lab ------------------------------------------------------------------------------------------


def prepare_lab(folder: Path) -> dict[str, Any]:
    """Start a lab, and note what it logs as an error."""
    from pellucid.lab.commands import COMMANDS
    from pellucid.lab.server import Lab
    from pellucid.lab.trainer import Player

    errors: list[str] = []

    class Noted(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            errors.append(f"{record.name}: {record.getMessage()}: {record.exc_info!r:.300}")

    logging.getLogger().addHandler(Noted(logging.ERROR))
    for name in ("uvicorn", "uvicorn.error", "pellucid"):
        logging.getLogger(name).addHandler(Noted(logging.ERROR))
    lab = Lab()
    lab.__enter__()
    context = prepare_models(folder)
    return {**context, "lab": lab, "player": Player(lambda message: None), "errors": errors,
            "commands": list(COMMANDS)}  # fmt: skip


_ARGUMENTS = ("experiment", "speed", "epoch", "loss", "letter", "layer", "row", "column", "value",
              "examples", "boundary", "most", "axes", "units", "table", "target", "model", "task",
              "view", "x", "y", "sequence", "name", "of", "steps", "rates")  # fmt: skip
_EXPERIMENT: dict[str, Any] = {
    "data": {"name": "xor", "examples": 40, "noise": 0.1, "split": 0.25, "seed": 1},
    "layers": [{"units": 3, "activation": "tanh"}], "learning_rate": 0.1, "optimizer": "adam",
    "batch_size": 8, "seed": 3, "l2": 0.0, "initializer": "glorot_uniform", "fault": None,
    "loss": "binary_cross_entropy", "preset": "xor", "weights": {}, "model": None,
}  # fmt: skip


def lab(context: dict[str, Any], rng: Random) -> None:
    """Send a command, an upload, or raw bytes."""
    context["errors"].clear()
    try:
        rng.choice((_command, _command, _upload, _raw))(context, rng)
    finally:
        if context["errors"]:
            raise FoundError(f"the server logged {context['errors'][0]}")


def _command(context: dict[str, Any], rng: Random) -> None:
    from pellucid.lab.commands import handle
    from pellucid.lab.server import parsed

    player = context["player"]
    if rng.random() < 0.3 or player.experiment is None:
        opened = changed_data(rng, _EXPERIMENT) if rng.random() < 0.9 else _EXPERIMENT
        request: dict[str, Any] = {"id": 1, "do": "open", "experiment": opened}
    else:
        request = {"id": 1, "do": rng.choice(context["commands"])}
        for name in rng.sample(_ARGUMENTS, rng.randrange(6)):
            request[name] = rng.choice(("W", "dW", "Z", "x", 0, 1, 2, odd_value(rng)))
        request = changed_data(rng, request) if rng.random() < 0.1 else request
    text = json.dumps(request, default=str)
    text = changed(rng, text.encode()).decode("utf-8", "replace") if rng.random() < 0.1 else text
    for message in handle(player, parsed({"text": text})):
        if isinstance(message, str):
            error = json.loads(message).get("error", "")
            if "internal error" in error:
                raise FoundError(error)
            check_shown(error)
    player.playing = False


def _upload(context: dict[str, Any], rng: Random) -> None:
    from pellucid.lab.uploads import choose_target, received

    kind = rng.choice(("table", "zip", "folder"))
    files, _ = rng.choice(context["kept"])
    path = context["folder"] / "damaged.pellucid"
    write_damaged(rng, path, files)
    files = files_of(path) if rng.random() < 0.8 else files
    if kind == "table":
        rows = [f"{k % 7},{'uvw'[k % 3]},{'ab'[k % 2]}" for k in range(30)]
        content = "\n".join(["n,word,kind", *rows]).encode()
    elif kind == "zip":
        made = io.BytesIO()
        with zipfile.ZipFile(
            made, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        ) as packed:
            for name, part in files.items():
                packed.writestr(
                    rng.choice((name, f"m/{name}", name, f"x{odd_text(rng)[:100]}")), part
                )
        content = made.getvalue()
    else:
        listed = [[f"m/{name}", len(part)] for name, part in files.items()]
        content = json.dumps(listed).encode() + b"\n" + b"".join(files.values())
    content = changed(rng, content) if rng.random() < 0.7 else content
    found = received(kind, odd_text(rng), content)
    if kind == "table":
        target = rng.choice([*found["columns"], odd_text(rng)])
        choose_target(found["table"], target, None, rng.choice((None, "binary", odd_value(rng))))


def _raw(context: dict[str, Any], rng: Random) -> None:
    """Raw HTTP, with the right cookie or without; the server must answer or hang up, and live."""
    made = context["lab"]
    body = changed(rng, b"n,word\n1,a\n2,b\n3,a\n")
    lines = [
        rng.choice(("GET / HTTP/1.1", "GET /static/main.js HTTP/1.1", "GET /static/../x HTTP/1.1",
                    "POST /upload/table?name=%00 HTTP/1.1", "POST /upload/zip HTTP/1.1",
                    "GET /socket HTTP/1.1", f"GET /?token={made.app.token} HTTP/1.1",
                    f"{odd_text(rng)} / HTTP/1.1", "GET / HTTP/9.9")),
        f"Host: {rng.choice((f'127.0.0.1:{made.port}', f'127.0.0.1:{made.port}', odd_text(rng)))}",
        f"Cookie: {made.app.cookie}={made.app.secret}",
        f"Origin: http://127.0.0.1:{made.port}", "Sec-Fetch-Site: same-origin",
        f"Content-Length: {rng.choice((len(body), len(body), 0, -1, 10**30, odd_text(rng)))}",
        "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]  # fmt: skip
    kept = [line for line in lines[:6] if rng.random() < 0.95]
    if "socket" in lines[0] or rng.random() < 0.05:
        kept += lines[6:]
    text = "\r\n".join(kept).encode("utf-8", "surrogatepass") + b"\r\n\r\n" + body
    text = changed(rng, text, 3) if rng.random() < 0.5 else text
    with socket.create_connection(("127.0.0.1", made.port), timeout=5) as connection:
        try:
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(200)
        except OSError:
            return  # it has hung up
    if (
        answer[:5] == b"HTTP/"
        and answer.split(b" ", 2)[1:2]
        and answer.split(b" ", 2)[1][:1] == b"5"
    ):
        raise FoundError(f"answered {answer[:100]!r}")
