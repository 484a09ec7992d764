"""Model folders whose hashes are right and whose content asks for much, or is odd."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from sklearn.datasets import load_iris

from pellucid import (
    Dense,
    MLPClassifier,
    Network,
    TabularClassifier,
    diagnose,
    load,
    load_predictor,
    save,
    train,
)
from pellucid.export import export
from pellucid.history import History
from pellucid.persistence import (
    ModelError,
    load_checkpoint,
    read_folder,
    save_checkpoint,
    write_folder,
)
from pellucid.persistence.labels import label_array
from pellucid.persistence.sizes import SMALL, SPARE, check_sizes

MB = 2**20
Change = Callable[[Path], Any]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of each kind."""
    folder = tmp_path_factory.mktemp("models")
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    TabularClassifier((4,), epochs=2, ensemble=2, random_state=0).fit(X, names).save(
        folder / "tabular"
    )
    drop_in = MLPClassifier((4,), solver="lbfgs", max_iter=300, random_state=0)
    drop_in.fit(X, names).save(folder / "drop-in")
    net = Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_inputs=3, seed=0)
    save(net, folder / "network", history=History(curves={"loss": [0.5]}, stopped="finished"))
    save_checkpoint(folder / "checkpoint", net, {}, {}, None)
    return folder


def model_json(change: Callable[[dict[str, Any]], Any]) -> Change:
    """Change the entries of model.json."""

    def apply(folder: Path) -> None:
        model = json.loads((folder / "model.json").read_bytes())
        change(model)
        (folder / "model.json").write_text(json.dumps(model))

    return apply


def file(kind: str, content: bytes, suffix: str = "safetensors") -> Change:
    """Put another file in the place of one, with the right hash."""

    def apply(folder: Path) -> None:
        sha256 = hashlib.sha256(content).hexdigest()
        name = f"{kind}-{sha256[:16]}.{suffix}"
        (folder / name).write_bytes(content)
        entry = {"name": name, "sha256": sha256, "bytes": len(content)}
        model_json(lambda model: model["files"].update({kind: entry}))(folder)

    return apply


def history(value: Any) -> Change:
    return file("history", json.dumps(value).encode(), "json")


def arrays(text: bytes, length: int | None = None) -> bytes:
    """A file of arrays with this header, whatever it says, and 48 bytes of data."""
    size = len(text) if length is None else length
    return size.to_bytes(8, "little") + text + bytes(48)


def filler(unit: str, size: int) -> Change:
    """An entry of model.json that holds a text over and over."""

    def apply(folder: Path) -> None:
        text = (folder / "model.json").read_text().rstrip()
        more = unit * (size // len(unit))
        (folder / "model.json").write_text(f'{text[:-1]}, "more": [{more} 0]}}')

    return apply


def layers(model: dict[str, Any]) -> None:
    """As many networks, of as many layers, as may be."""
    first, *_, last = model["network"]["layers"]
    model.update(networks=1000)
    model["network"]["layers"] = [first] * 9_999 + [last]


def image(model: dict[str, Any]) -> None:
    pixels = {"name": "photo", "kind": "image", "missing": 0, "height": 2048, "width": 2048}
    order = "row, column, channel (red, green, blue)"
    model["preprocessing"]["columns"] = [{**pixels, "order": order}]
    model["columns"] = ["photo"]
    model["network"]["input_shape"] = [2048 * 2048 * 3]


EMPTY = json.dumps(
    {f"a{k}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for k in range(100_000)}
).encode()
TOO_MUCH = "would take .* of memory when it is read, more than the .* that its size warrants"
LIES = b'{"W1":{"dtype":"F32","shape":[1000000000,1000000000],"data_offsets":[0,48]}}'

CASES: dict[str, tuple[str, Change, str]] = {
    "wide labels": (
        "tabular",
        model_json(lambda model: model.update(label_dtype="<U500000000")),
        "3 labels of the dtype '<U500000000' would take 6,000,000,000 bytes",
    ),
    "wide labels of a drop-in": (
        "drop-in",
        model_json(lambda model: model["fitted"]["classes_"].update(dtype="<U500000000")),
        "3 labels of the dtype '<U500000000' would take 6,000,000,000 bytes",
    ),
    "labels of arrays": (
        "drop-in",
        model_json(lambda model: model["fitted"]["classes_"].update(dtype="(1000000000,)f8")),
        "labels cannot have the dtype",
    ),
    "a long label": (
        "tabular",
        model_json(lambda model: model.update(classes=["a", "b" * 4 * MB, "c"], label_dtype="")),
        "3 labels of the dtype '' would take 50,331,648 bytes",
    ),
    "many networks": ("tabular", model_json(layers), r"1\.[Wbs]\d+ should be .*, is absent"),
    "many inputs": (
        "network",
        model_json(lambda model: model["network"].update(input_shape=[10**15])),
        r"W1 should be \(4, 1000000000000000\) float32, is \(4, 3\)",
    ),
    "a drawn layer": (
        "network",
        model_json(
            lambda model: model["network"]["layers"][0].update(n_units=10**12, initializer="he")
        ),
        r"W1 should be \(1000000000000, 3\)",
    ),
    "a large image": ("tabular", model_json(image), r"should be \(12582912, 1\) float32, is \(4,"),
    "deep JSON": ("network", lambda p: (p / "model.json").write_text("[" * 10**6), TOO_MUCH),
    "lists": ("network", filler("[],", 4 * MB), TOO_MUCH),
    "objects": ("network", filler('{"a":1},', 2 * MB), TOO_MUCH),
    "keys": (
        "network",
        filler("{" + ",".join(f'"{k:06x}":1' for k in range(500_000)) + "},", 6 * MB),
        TOO_MUCH,
    ),
    "texts": ("network", filler('"abcd",', 8 * MB), TOO_MUCH),
    "a wide text": ("network", filler(f'"{"a" * 16 * MB}\N{GRINNING FACE}",', 17 * MB), TOO_MUCH),
    "a long kind": (
        "network",
        model_json(lambda model: model.update(kind="x" * 4 * MB)),
        "holds a model of the kind 'xxx",
    ),
    "a long layer": (
        "network",
        model_json(lambda model: model["network"]["layers"][0].update(layer="x" * 4 * MB)),
        "unknown layer 'xxx",
    ),
    "a long history": ("network", history({"curves": {"loss": [0.25] * 50_000}}), ""),
    "long histories": ("tabular", history([{"curves": {"loss": [0.25] * 50_000}}]), ""),
    "empty arrays": ("network", file("weights", arrays(EMPTY)), TOO_MUCH),
    "a header that lies": ("network", file("weights", arrays(LIES)), "not readable as safe"),
    "a header without end": (
        "network",
        file("weights", arrays(LIES, 2**64 - 1)),
        "not readable as safetensors",
    ),
    "many files": (
        "network",
        model_json(lambda model: model["files"].update({f"file{'x' * k}": {} for k in range(40)})),
        "names 42 files, over 32",
    ),
    "a checkpoint's lists": (
        "checkpoint",
        file("training", b"[" + b"[]," * MB + b"0]", "json"),
        TOO_MUCH,
    ),
    "a checkpoint's arrays": ("checkpoint", file("state", arrays(EMPTY)), TOO_MUCH),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_folder_asks_for_is_bounded_by_what_it_holds(
    models: Path, tmp_path: Path, name: str
) -> None:
    """Memory while loading: at most 3 times the folder and 64 MB."""
    kind, change, message = CASES[name]
    path = tmp_path / "m"
    shutil.copytree(models / kind, path)
    change(path)
    size = sum(each.stat().st_size for each in path.iterdir())
    ways: list[Callable[[Any], Any]] = [load, load_predictor]
    if not message:
        ways += [diagnose, lambda path: export(path, tmp_path / "m.c", "c", overwrite=True)]
    for way in [load_checkpoint] if kind == "checkpoint" else ways:
        tracemalloc.start()
        try:
            if message:
                with pytest.raises(ModelError, match=message):
                    way(path)
            else:
                way(path)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 3 * size + 64 * MB, f"{peak / MB:.0f} MB for {size / MB:.1f} MB"


def test_a_large_network_takes_three_times_its_folder(tmp_path: Path) -> None:
    net = Network([Dense(500), Dense(1, "sigmoid")], n_inputs=8000, seed=0)
    state = {f"v_{name}": array for name, array in net.parameters.items()}
    save_checkpoint(tmp_path / "c", net, {}, state, net.parameters)
    save(net, tmp_path / "m")
    for path, way in ((tmp_path / "m", load), (tmp_path / "c", load_checkpoint)):
        size = sum(each.stat().st_size for each in path.iterdir())
        tracemalloc.start()
        way(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert size > 15 * MB
        assert peak < 3 * size + 4 * MB


def test_wide_tables_are_within_the_bounds() -> None:
    """100,000 columns, as model.json has them."""
    column = (
        '    {{\n      "name": "gene {0}",\n      "kind": "number",\n      "missing": 0,\n'
        '      "median": 0.{0}123456789,\n      "scale": 1.{0}123456789,\n'
        '      "from_text": false\n    }}'
    )
    columns = ",\n".join(column.format(k) for k in range(100_000))
    names = ",\n".join(f'    "gene {k}"' for k in range(100_000))
    text = f'{{"preprocessing": {{"columns": [{columns}]}}, "columns": [{names}]}}'
    assert check_sizes("m", {"model.json": text.encode()}) > 0


def test_large_json_is_written_in_ascii(tmp_path: Path) -> None:
    """One emoji in the text would make every character of it four bytes."""
    names = [f"Größe {k} \N{GRINNING FACE}" for k in range(90_000)]
    write_folder(tmp_path / "m", {"kind": "x", "names": names}, arrays={}, documents={})
    assert (tmp_path / "m" / "model.json").read_bytes().isascii()
    assert read_folder(tmp_path / "m").model["names"] == names


def test_what_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"history-\w+\.json {TOO_MUCH}\. Keep less of the hist"):
        write_folder(
            tmp_path / "m", {"kind": "x"}, arrays={}, documents={"history": [""] * 1_000_000}
        )
    assert list(tmp_path.iterdir()) == []


def test_small_files_are_not_looked_at() -> None:
    content = b"[" + b"[]," * (SMALL // 3 - 2) + b"[]]"
    assert check_sizes("m", {"model.json": content}) < SPARE


@pytest.mark.parametrize(
    ("values", "dtype", "message"),
    [
        ("abc", "", "a list of numbers, booleans or texts"),
        ([["a"]], "", "a list of numbers, booleans or texts"),
        (["a"], 7, "dtype of labels must be a text"),
        (["a"], "V8", "cannot have the dtype 'V8'"),
        (["a"], "M8[s]", "cannot have the dtype"),
        (["a"], "no such", "cannot have the dtype 'no such'"),
        (["a"], "<f8", "cannot have the dtype '<f8': could not convert"),
        ([10**400], "<i8", "cannot have the dtype '<i8'"),
        (
            ["a"] * 100 + ["b" * 10**6],
            "",
            "101 labels of .* would take 404,000,000 bytes",
        ),
    ],
)
def test_odd_labels(values: Any, dtype: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        label_array(values, dtype)


def test_labels_keep_their_dtype() -> None:
    for labels in (np.array(["a", "bc"]), np.array(["a"], dtype="<U2000"), np.array([3, 5], "<i2")):
        again = label_array(labels.tolist(), labels.dtype.str)
        assert again.dtype == labels.dtype
        assert again.tolist() == labels.tolist()


# Odd content --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_features_in_": 5}, "its n_features_in_ cannot be 5"),
        ({"n_outputs_": 1}, "its n_outputs_ cannot be 1"),
        ({"n_layers_": "3"}, "its n_layers_ cannot be '3'"),
        ({"n_iter_": -1}, "its n_iter_ cannot be -1"),
        ({"loss_": "low"}, "its loss_ cannot be 'low'"),
        ({"loss_curve_": [[1]]}, r"its loss_curve_ cannot be \[\[1\]\]"),
        ({"out_activation_": 3}, "its out_activation_ cannot be 3"),
        ({"out_activation_": "identity"}, "its parameters are not those of its network"),
        ({"feature_names_in_": ["a"]}, r"its feature_names_in_ cannot be \['a'\]"),
        ({"classes_": {"dtype": "<U1", "values": []}}, "0 classes do not fit 3 outputs"),
        ({"classes_": {"dtype": "<U1", "values": ["a", "b"]}}, "2 classes do not fit 3 outputs"),
        ({"classes_": 3}, "its class labels are wrong"),
    ],
)
def test_a_drop_in_that_cannot_be(
    models: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    shutil.copytree(models / "drop-in", tmp_path / "m")
    model_json(lambda model: model["fitted"].update(change))(tmp_path / "m")
    with pytest.raises(ModelError, match=message):
        load(tmp_path / "m")


@pytest.mark.parametrize("dtype", ["[]", [], "<U3", 3])
def test_a_drop_in_of_a_dtype_that_cannot_be(models: Path, tmp_path: Path, dtype: Any) -> None:
    shutil.copytree(models / "drop-in", tmp_path / "m")
    model_json(lambda model: model["parameters"].update(dtype=dtype))(tmp_path / "m")
    with pytest.raises(ModelError, match="its dtype cannot be"):
        load(tmp_path / "m")


def test_a_classifier_without_classes(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "drop-in", tmp_path / "m")
    model_json(lambda model: model["fitted"].pop("classes_"))(tmp_path / "m")
    with pytest.raises(ModelError, match="its class labels are wrong: 'classes_'"):
        load(tmp_path / "m")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_one_class_alone_is_every_prediction(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(20, 2))
    fitted = MLPClassifier((3,), max_iter=1, random_state=0).fit(X, ["a"] * 20)
    fitted.save(tmp_path / "m")
    assert (fitted.predict_proba(X)[:, 1] > 0.5).any()
    assert set(load_predictor(tmp_path / "m").predict(X)) == set(fitted.predict(X)) == {"a"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "its history must list one for each of 2 networks"),
        ([{}] * 3, "its history must list one for each of 2 networks"),
        ([3], "a history must be an object, not 3"),
        ([{"curve": {}}], "a history has no entry 'curve' such as"),
        ([{"best_epoch": "x"}], "a history has no entry 'best_epoch' such as 'x'"),
        ([{"best_epoch": -1}], "the best epoch or the statistics of a history cannot be"),
        (
            [{"curves": {"loss": "falling"}}],
            "the curve 'loss' of a history is not a list of numbers",
        ),
        ([{"curves": {"loss": [0.5, None]}}], "the curve 'loss' of a history is not a list of n"),
        ([{"statistics": [3]}], "the best epoch or the statistics of a history cannot be"),
    ],
)
def test_a_history_that_cannot_be(models: Path, tmp_path: Path, value: Any, message: str) -> None:
    shutil.copytree(models / "tabular", tmp_path / "m")
    history(value)(tmp_path / "m")
    for way in (load, load_predictor):
        with pytest.raises(ModelError, match=message):
            way(tmp_path / "m")


def test_a_network_whose_history_is_odd_is_diagnosed_without(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "network", tmp_path / "m")
    history({"loss": [0.5]})(tmp_path / "m")
    assert "the history of the training" in diagnose(tmp_path / "m").text()


# Checkpoints --------------------------------------------------------------------------------------

rng = np.random.default_rng(0)
X = rng.normal(size=(3, 40)).astype(np.float32)
SETTINGS: dict[str, Any] = {
    "loss": "binary_cross_entropy",
    "optimizer": "adam",
    "schedule": "reduce_on_plateau",
    "validation_fraction": 0.25,
    "early_stopping": 50,
    "batch_size": 16,
}


def net() -> Network:
    return Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_inputs=3, seed=0)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "c"
    train(net(), X, X.sum(axis=0) > 0, epochs=4, checkpoint=path, **SETTINGS)
    return path


def set_to(*keys: Any) -> Callable[[dict[str, Any]], None]:
    """Set the entry that all keys but the last lead to, or remove it where the last is missing."""
    *path, name, value = keys

    def change(training: Any) -> None:
        for key in path:
            training = training[key]
        if value is KeyError:
            del training[name]
        else:
            training[name] = value

    return change


NAN = {"$float": "nan"}
ODD_TRAININGS: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    *(
        (set_to(name, KeyError), message)
        for name, message in (
            ("epoch", "its epoch is None, its history has 4"),
            ("step", "its step is None; 4 epochs are 8"),
            ("learning_rate", "its learning rate is None"),
            ("memory", "its memory is None"),
            ("history", "a history must be an object, not None"),
            ("asked", "it does not say what was asked for"),
        )
    ),
    (set_to("epoch", -1), "its epoch is -1, its history has 4"),
    (set_to("epoch", 5), "its epoch is 5, its history has 4"),
    (set_to("epoch", "4"), "its epoch is '4'"),
    (set_to("epoch", True), "its epoch is True"),
    (set_to("epoch", 10**400), "its epoch is 1000"),
    (set_to("step", 9), "its step is 9; 4 epochs are 8"),
    (set_to("step", 2**70), "its step is 11805"),
    (set_to("step", 8.0), r"its step is 8\.0"),
    (set_to("learning_rate", "fast"), "its learning rate is 'fast'"),
    (set_to("learning_rate", NAN), "its learning rate is nan"),
    (set_to("learning_rate", -0.1), r"its learning rate is -0\.1"),
    (set_to("memory", []), r"its memory is \[\]"),
    (set_to("memory", {"schedule": {}}), "its memory is"),
    (set_to("memory", "stopping", 3), "its memory is"),
    (set_to("memory", "stopping", "best", NAN), "its memory is .*nan"),
    (set_to("memory", "stopping", "epoch", 99), "its memory is"),
    (set_to("memory", "stopping", "epoch", 1.5), "its memory is"),
    (set_to("memory", "schedule", "waited", "long"), "its memory is .*long"),
    (set_to("asked", ["lr"]), "it does not say what was asked for"),
    (set_to("asked", "l2", "x"), "was trained with l2 = 'x'"),
    (set_to("asked", "a\nb\x1b", 1), r"was trained with a\\nb\\x1b = 1"),
    (set_to("history", []), r"a history must be an object, not \[\]"),
    (set_to("history", "curves", {}), "its epoch is 4, its history has 0"),
    (set_to("history", "curves", "loss", [1.0, "x", 2.0, 3.0]), "the curve 'loss' of a history"),
    (set_to("history", "best_epoch", 7), "its best epoch is 7 of 4"),
    (set_to("history", "stopped", 3), "a history has no entry 'stopped' such as 3"),
    (set_to("history", "colour", "red"), "a history has no entry 'colour'"),
]


@pytest.mark.parametrize(("change", "message"), ODD_TRAININGS)
def test_a_training_that_cannot_have_been(
    checkpoint: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    shutil.copytree(checkpoint, tmp_path / "c")
    training = json.loads(next(checkpoint.glob("training-*")).read_bytes())
    change(training)
    file("training", json.dumps(training).encode(), "json")(tmp_path / "c")
    refused(tmp_path / "c", message)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("state_v_W1", None, "v_W1 should be .*is absent"),
        ("state_x_W1", np.zeros((4, 3), np.float32), "x_W1 should be absent"),
        ("state_v_W1", np.zeros((4, 4), np.float32), r"v_W1 should be \(4, 3\), is \(4, 4\)"),
        ("state_v_W1", np.zeros((4, 3), np.float64), "v_W1 of the optimizer .* is float64"),
        ("state_v_W1", np.full((4, 3), np.nan, np.float32), "v_W1 of the optimizer holds NaN"),
        ("best_W1", np.full((4, 3), np.inf, np.float32), "best W1 holds NaN or infinity"),
        ("best_W1", np.zeros((1, 3), np.float32), r"W1 should be \(4, 3\) float32, is \(1, 3\)"),
        ("best_W1", None, r"W1 should be \(4, 3\) float32, is absent"),
        ("other", np.zeros(1, np.float32), "its state file holds an array 'other'"),
    ],
)
def test_arrays_that_cannot_have_been(
    checkpoint: Path, tmp_path: Path, name: str, array: Any, message: str
) -> None:
    shutil.copytree(checkpoint, tmp_path / "c")
    arrays = safetensors.numpy.load(next(checkpoint.glob("state-*")).read_bytes())
    arrays.pop(name, None)
    if array is not None:
        arrays[name] = array
    file("state", safetensors.numpy.save(arrays))(tmp_path / "c")
    refused(tmp_path / "c", message)


def test_a_network_that_was_not_asked_for(checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "c")
    model_json(lambda model: model["network"]["layers"][0].update(activation="relu"))(
        tmp_path / "c"
    )
    refused(tmp_path / "c", "its network is not the one that it says was asked for")
    shutil.rmtree(tmp_path / "c")
    shutil.copytree(checkpoint, tmp_path / "c")
    arrays = safetensors.numpy.load(next(checkpoint.glob("weights-*")).read_bytes())
    arrays["W2"] = np.full((1, 4), math.nan, np.float32)
    file("weights", safetensors.numpy.save(arrays))(tmp_path / "c")
    refused(tmp_path / "c", "W2 holds NaN or infinity")


def refused(path: Path, message: str) -> None:
    """Going on from there raises, and neither the network nor the folder is touched."""
    network = net()
    before = network.copy_parameters()
    files = {each.name: each.read_bytes() for each in path.iterdir()}
    with pytest.raises(ValueError, match=message):
        train(network, X, X.sum(axis=0) > 0, epochs=9, resume=path, checkpoint=path, **SETTINGS)
    for name, array in network.parameters.items():
        np.testing.assert_array_equal(array, before[name])
    assert {each.name: each.read_bytes() for each in path.iterdir()} == files


def test_what_was_written_is_gone_on_from(checkpoint: Path) -> None:
    resumed, unbroken = net(), net()
    Y = X.sum(axis=0) > 0
    train(resumed, X, Y, epochs=9, resume=checkpoint, **SETTINGS)
    train(unbroken, X, Y, epochs=9, **SETTINGS)
    for name, array in unbroken.parameters.items():
        assert array.tobytes() == resumed.parameters[name].tobytes()
