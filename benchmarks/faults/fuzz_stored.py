"""What is fuzzed of what was stored: model folders and checkpoints."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from fuzz_tables import FoundError
from mutate import changed, changed_data

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
    listed, files = json.loads(files["model.json"])["files"], dict(files)
    name = rng.choice([*files, "model.json", "model.json"])
    files[name] = _damaged(rng, name, files[name])
    if rng.random() < 0.9:
        files = _corrected(files, listed)
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    for name, content in files.items():
        if rng.random() > 0.005:
            (path / name).write_bytes(content)


def _damaged(rng: Random, name: str, content: bytes) -> bytes:
    """A file with something else in its data, in the head of its arrays, or in its bytes."""
    if rng.random() < 0.1:
        return changed(rng, content)
    if name.endswith(".json"):
        return _as_json(_changed_often(rng, json.loads(content)))
    size = 8 + int.from_bytes(content[:8], "little")
    if rng.random() < 0.3:  # the numbers
        return content[:size] + changed(rng, content[size:])
    head = _as_json(_changed_often(rng, json.loads(content[8:size])))
    return len(head).to_bytes(8, "little") + head + content[size:]


def _changed_often(rng: Random, data: Any) -> Any:
    for _ in range(rng.choice((1, 1, 2, 5))):
        data = changed_data(rng, data)
    return data


def _as_json(data: Any) -> bytes:
    return json.dumps(data).encode("utf-8", "surrogatepass")


def _corrected(files: Files, listed: Any) -> Files:
    """The files as a writer leaves them: named after their hashes, and listed in model.json."""
    new = {"model.json": files["model.json"]}
    for kind, entry in listed.items():
        content, name = files[entry["name"]], entry["name"]
        found = hashlib.sha256(content).hexdigest()
        name = f"{kind}-{found[:16]}{name[name.rindex('.') :]}"
        entry |= {"name": name, "bytes": len(content), "sha256": found}
        new[name] = content
    with contextlib.suppress(ValueError, TypeError, RecursionError):  # it may be no object any more
        new["model.json"] = _as_json(json.loads(files["model.json"]) | {"files": listed})
    return new


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
