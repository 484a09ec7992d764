"""Keep model folders as this version writes them, for later versions to read.

    python tools/keep_folders.py

Writes tests/folders/VERSION: tiny models of every kind, and beside each, in NAME.json, rows and
what the model answers to them. tests/test_kept_folders.py has each later version read them all.
Run it once a release; what is kept is never written again.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import (
    Dense,
    EarlyStopping,
    MLPClassifier,
    MLPRegressor,
    Network,
    NetworkClassifier,
    NetworkRegressor,
    TabularClassifier,
    TabularRegressor,
    __version__,
    load_predictor,
    save,
    train,
)
from pellucid.activations import ACTIVATIONS, LeakyReLU
from pellucid.augmentations import Shift
from pellucid.initializers import Normal
from pellucid.layers import LAYERS, Conv1D, Conv2D, Layer, Scale
from pellucid.losses import Huber
from pellucid.optimizers import AdamW
from pellucid.tables import TrainSettings, read_table
from pellucid.tables.fit import fit, prepare

FOLDERS = Path(__file__).parents[1] / "tests" / "folders"
M = 24
"""Rows that a model is fitted to."""
SHOWN = 5
"""Rows that are kept beside a model."""

rng = np.random.default_rng(0)
X = rng.normal(size=(M, 3)).round(3)
DAY = datetime.datetime(2020, 1, 1)
COLUMNS: dict[str, Any] = {
    "number": X[:, 0],
    "gaps": [None if k % 5 == 0 else k % 7 / 4 for k in range(M)],
    "written": [f"{x:.2f}" for x in X[:, 1]],
    "flag": [["yes", "no", None][k % 3] for k in range(M)],
    "colour": [["red", "grün", "'blue' ", None][k % 4] for k in range(M)],
    "day": np.array([DAY + datetime.timedelta(days=17 * k) for k in range(M)], "M8[us]"),
    "date": [f"{1 + k % 28:02d}.{1 + k % 12:02d}.2021" for k in range(M)],
}
PIXELS = rng.integers(0, 256, (M, 2, 2, 3), dtype=np.uint8)
TWO = np.array([["no", "yes"][k // 2 % 2] for k in range(M)])
THREE = np.array([k // 3 % 3 for k in range(M)], dtype=np.int16)
NUMBERS = (X @ [1.0, -2.0, 0.5]).round(3) * 100


def _network(folder: Path) -> Any:
    layers: list[Layer] = [
        Scale(learning_rate_factor=6.0),
        Dense(4, LeakyReLU(slope=0.3), dropout=0.25, initializer="he_normal"),
        Dense(3, "softmax", learning_rate_factor={"W": 1.0, "b": 0.1}),
    ]
    network = Network(layers, n_inputs=3, seed=7)
    history = train(network, X.T, THREE, loss="cce", epochs=2)
    save(network, folder, history=history)
    return X


def _of_layer(kind: type[Layer]) -> Callable[[Path], Any]:
    """A layer's first example, and an output layer."""

    def write(folder: Path) -> Any:
        layer, shape = next(iter(kind.examples()))
        network = Network([layer, Dense(2, "softmax")], shape, seed=7)
        rows = network.layers[0].example_inputs(M, np.random.default_rng(1)).T
        train(network, rows.T, THREE % 2, loss="cce", epochs=2)
        save(network, folder)
        return rows

    return write


def _activations(folder: Path) -> Any:
    """Every activation but softmax, in one chain.

    A tanh comes before each, and W[l] has this spread, so that none drowns what the others do: any
    other activation in any place changes the outputs by 3e-4 or more.
    """
    W = Normal(std=1.0)
    layers: list[Layer] = []
    for name, g in ACTIVATIONS.items():
        if not g.output_only:
            layers += [Dense(4, "tanh", initializer=W), Dense(4, name, initializer=W)]
    save(Network([*layers, Dense(2, "exp")], 3, seed=0, dtype="float64"), folder)
    return X


def _fitted(estimator: Any, rows: Any, y: NDArray[Any]) -> Callable[[Path], Any]:
    def write(folder: Path) -> Any:
        estimator.fit(rows, y).save(folder)
        return rows

    return write


def _from_a_file(folder: Path) -> Any:
    """As ``pellucid train`` does, without the report, which is large and never read."""
    a, b = [f"{x:.2f}".replace(".", ",") for x in X[:, 0]], [f"0{k % 4}" for k in range(M)]
    lines = [f"{a[k]};{b[k]};{TWO[k]}" for k in range(M)]
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        Path("table.csv").write_text("\n".join(["a;zip;kind", *lines]), encoding="utf-8")
        table = read_table("table.csv", target="kind")
    settings = TrainSettings(**_TABLE, ensemble=1, categorical=("zip",))
    save(fit(prepare(table, settings)), folder)
    return {"a": X[:, 0].round(2), "zip": b}


def _checkpoint(folder: Path) -> dict[str, Any]:
    """Write a checkpoint after two epochs of four; return what goes on from it, and the result."""
    network = Network([Dense(3, "relu"), Dense(1, "sigmoid")], 3, seed=7, dtype="float64")
    y = (THREE > 0).astype(int)
    arguments: dict[str, Any] = {"loss": "bce", "optimizer": "adam", "batch_size": 4}
    train(network, X.T, y, epochs=2, checkpoint=folder, **arguments)
    arguments["epochs"] = 4
    train(network, X.T, y, resume=folder, **arguments)
    found = {name: array.tolist() for name, array in network.parameters.items()}
    return {"rows": X.tolist(), "y": y.tolist(), "arguments": arguments, "parameters": found}


_MLP: dict[str, Any] = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0}
_NETWORK: dict[str, Any] = {"epochs": 2, "random_state": 0}
_TABLE: dict[str, Any] = {"hidden_layer_sizes": (3,), "epochs": 2, "batch_size": 4}
MODELS: dict[str, Callable[[Path], Any]] = {
    "network": _network,
    "activations": _activations,
    "mlp_binary": _fitted(MLPClassifier(**_MLP, early_stopping=True), X, TWO),
    "mlp_multiclass": _fitted(
        MLPClassifier(**_MLP, activation="tanh", class_weight={0: 2.0}), X, THREE
    ),
    "mlp_multilabel": _fitted(MLPClassifier(**_MLP, solver="sgd"), X, (X > 0).astype(int)),
    "mlp_regressor": _fitted(MLPRegressor(**_MLP, loss=Huber(delta=2.0)), X, NUMBERS),
    "network_classifier": _fitted(
        NetworkClassifier(
            [Conv2D(2, 2, padding="same"), Dense(3)],
            **_NETWORK,
            class_weight={"yes": 2.0},
            early_stopping=EarlyStopping(3),
            augment=["flip", Shift(1)],
        ),
        PIXELS / 255,
        TWO,
    ),
    "network_two_softmax": _fitted(
        NetworkClassifier([Dense(2, "softmax")], (3,), **_NETWORK), X, TWO
    ),
    "network_regressor": _fitted(
        NetworkRegressor([Conv1D(2, 2), Dense(1, "identity")], (3, 1), **_NETWORK), X, NUMBERS
    ),
    "tabular_binary": _fitted(
        TabularClassifier(**_TABLE, ensemble=2, class_weight={"yes": 2.0}), COLUMNS, TWO
    ),
    "tabular_multiclass": _fitted(
        TabularClassifier(**_TABLE, ensemble=1, optimizer=AdamW(weight_decay=0.1)), X, THREE
    ),
    "tabular_regressor": _fitted(TabularRegressor(**_TABLE, ensemble=2), COLUMNS, NUMBERS),
    "tabular_images": _fitted(TabularClassifier(**_TABLE, ensemble=1), {"image": PIXELS}, TWO),
    "tabular_from_a_file": _from_a_file,
    **{f"layer_{name}": _of_layer(kind) for name, kind in LAYERS.items()},
}
"""What writes a model into a folder, and returns the rows that it was fitted to."""


def keep(folder: Path) -> None:
    """Write every model and what it answers into a folder, which must not exist."""
    folder.mkdir(parents=True)
    for name, write in MODELS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # two epochs are few, and some columns odd on purpose
            rows = write(folder / name)
        shown = _shown(rows)
        predictor = load_predictor(folder / name)
        document = {**_plain(shown), "predict": predictor.predict(shown).tolist()}
        with contextlib.suppress(ValueError):  # not of numbers, nor of all activations
            document["predict_proba"] = predictor.predict_proba(shown).tolist()
        _write(folder / f"{name}.json", document)
    _write(folder / "checkpoint.json", _checkpoint(folder / "checkpoint"))


def _shown(rows: Any) -> Any:
    if isinstance(rows, dict):
        return {name: column[:SHOWN] for name, column in rows.items()}
    return rows[:SHOWN]


def _plain(rows: Any) -> dict[str, Any]:
    """Rows as JSON can hold them; ``dtypes`` says which columns are arrays."""
    if not isinstance(rows, dict):
        return {"rows": rows.tolist()}
    arrays = {name: each for name, each in rows.items() if isinstance(each, np.ndarray)}
    plain = {
        name: each.astype(str).tolist() if each.dtype.kind == "M" else each.tolist()
        for name, each in arrays.items()
    }
    return {"rows": {**rows, **plain}, "dtypes": {k: each.dtype.str for k, each in arrays.items()}}


def _write(path: Path, document: dict[str, Any]) -> None:
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}"
        for name, value in document.items()
    )
    path.write_bytes(f"{{\n{lines}\n}}\n".encode())


def main() -> None:
    """Keep the folders of this version."""
    folder = FOLDERS / __version__
    if folder.exists():
        sys.exit(
            f"{folder.relative_to(FOLDERS.parents[1])} is there already, and what a version wrote "
            "does not change. If you prepare a release, raise the version in pyproject.toml and "
            "install the package first."
        )
    keep(folder)
    sys.stdout.write(f"Kept: {folder.relative_to(FOLDERS.parents[1])}\n")


if __name__ == "__main__":
    main()
