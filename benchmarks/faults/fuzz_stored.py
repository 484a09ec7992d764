"""What is fuzzed of what was stored: model folders and checkpoints."""

from __future__ import annotations

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
