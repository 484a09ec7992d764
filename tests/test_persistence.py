"""The model folder: round trips, refusals, and that a crash leaves the old or the new model."""

from __future__ import annotations

import builtins
import errno
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alike import same
from pellucid import Dense, Network, Scale, load, save
from pellucid.activations import ACTIVATIONS, LeakyReLU, ReLU
from pellucid.initializers import Normal
from pellucid.persistence import (
    ModelError,
    check_destination,
    load_checkpoint,
    network_from_model,
    read_folder,
    save_checkpoint,
    write_folder,
)
from pellucid.persistence.strict_json import decode, encode


def network(seed: int = 0, dtype: str = "float32") -> Network:
    return Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_inputs=3, seed=seed, dtype=dtype)


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change model.json of a saved model."""
    model = json.loads((folder / "model.json").read_bytes())
    change(model)
    (folder / "model.json").write_text(json.dumps(model))


def data_file(folder: Path, kind: str) -> Path:
    return next(folder.glob(f"{kind}-*"))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save(network(), tmp_path / "a.pellucid", history={"loss": [0.5]})
    return tmp_path / "a.pellucid"


# Round trips --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_comes_back(name: str, dtype: str, tmp_path: Path) -> None:
    net = Network([Dense(3), Dense(2, name)], n_inputs=2, seed=2**64 - 1, dtype=dtype)
    save(net, tmp_path / "m")
    again = load(tmp_path / "m")
    X = np.random.default_rng(0).normal(size=(2, 5))
    assert same(net, again)
    assert again.forward(X).tobytes() == net.forward(X).tobytes()


def test_layers_come_back_with_all_their_settings(tmp_path: Path) -> None:
    layers = [
        Scale(learning_rate_factor=6.0),
        Dense(5, LeakyReLU(0.3), dropout=0.25, initializer=Normal(0.5)),
        Scale(weight_decay_factor=0.5),
        Dense(2, "softmax", learning_rate_factor={"W": 1.0, "b": 0.1}, weight_decay_factor=0.0),
    ]
    net = Network(layers, n_inputs=3, seed=5)
    net.s[0][...] = [[1.5], [2.5], [-0.0]]
    save(net, tmp_path / "m")
    again = load(tmp_path / "m")
    assert same(net, again)
    assert repr(again.layers) == repr(net.layers)
    assert all(again.W[l].flags.f_contiguous and again.W[l].flags.writeable for l in again.W)


def test_parameters_that_are_not_finite_come_back(tmp_path: Path) -> None:
    net = network()
    net.W[1][0] = [np.nan, np.inf, -0.0]
    save(net, tmp_path / "m")
    assert same(net, load(tmp_path / "m"))


def test_weights_stand_in_the_file_as_the_lectures_write_them(saved: Path) -> None:
    content = data_file(saved, "weights").read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    W1 = header["W1"]
    assert (W1["dtype"], W1["shape"]) == ("F32", [4, 3])
    first, last = W1["data_offsets"]
    stored = np.frombuffer(content[8 + size :][first:last], "<f4").reshape(4, 3)
    np.testing.assert_array_equal(stored, network().W[1])


def test_history_and_entries_are_kept(tmp_path: Path) -> None:
    save(network(), tmp_path / "m", history={"loss": [0.5, math.nan]}, note="für Ann")
    folder = read_folder(tmp_path / "m")
    assert folder.model["note"] == "für Ann"
    assert str(folder.document("history")) == "{'loss': [0.5, nan]}"
    assert folder.model["written_by"]["numpy"] == np.__version__
    assert "für Ann" in (tmp_path / "m" / "model.json").read_text("utf-8")


def test_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        save(network(), tmp_path / name)
    a, b = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in "ab")
    assert a == b
    assert sorted(name.split("-")[0] for name in a) == ["model.json", "weights"]


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, None, True, "NaN"], "b": {"c": 2**64 - 1}},
        [math.inf, -math.inf, -0.0, 5e-324, 0.1],
        {"column": "\udc80 \u2028 名前 \x00"},
        {"$float": 1, "other": 2},
    ],
)
def test_json_round_trip(value: Any) -> None:
    content = encode(value)
    assert repr(decode(content)) == repr(value)
    json.loads(content, parse_constant=pytest.fail)


def test_json_takes_numpy_and_refuses_the_rest() -> None:
    assert encode({"x": np.float32(0.5), "y": np.arange(2), "z": (1, np.nan)}) == (
        b'{"x": 0.5, "y": [0, 1], "z": [1, {"$float": "nan"}]}'
    )
    with pytest.raises(TypeError, match=r"training\.a\[1\] cannot be written as JSON: .* a bytes"):
        encode({"a": [1, b"x"]}, "training")
    with pytest.raises(TypeError, match=r"the keys of \{1: 2\} are not valid in JSON"):
        encode({1: 2})
    with pytest.raises(TypeError, match="are not valid in JSON"):
        encode({"$float": "nan"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"NaN", "NaN is not JSON"),
        (b'{"$float": "1e5"}', "unknown number '1e5'"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\xff", "utf-8"),
        (b"{", "Expecting"),
    ],
)
def test_json_is_strict(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode(content)


# What save refuses --------------------------------------------------------------------------------


def test_an_existing_model_is_replaced_on_request_alone(saved: Path) -> None:
    before = {p.name: p.read_bytes() for p in saved.iterdir()}
    with pytest.raises(FileExistsError, match=r"holds a model already.*overwrite=True"):
        save(network(1), saved)
    assert {p.name: p.read_bytes() for p in saved.iterdir()} == before
    save(network(1), saved, overwrite=True)
    assert same(load(saved), network(1))


def test_stale_files_go_and_a_users_files_stay(saved: Path) -> None:
    old = {p.name for p in saved.iterdir()} - {"model.json"}
    mine = ["notes.txt", "weights.safetensors", "photo-0123456789abcdef.json", "my report.html"]
    ours = ["weights-0123456789abcdef.safetensors.tmp-01234567", "model.json.tmp-89abcdef"]
    ours += ["report.html", "report.html.tmp-00000000"]
    for name in mine + ours:
        (saved / name).write_text("x")
    save(network(1), saved, overwrite=True)
    assert sorted(p.name for p in saved.iterdir()) == sorted(
        ["model.json", data_file(saved, "weights").name, *mine]
    )
    assert data_file(saved, "weights").name not in old


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_something_else_is_refused(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "letters.txt").write_text("dear Ann")
    with pytest.raises(FileExistsError, match=r"is a folder, but not a Pellucid model"):
        save(network(), tmp_path, overwrite=overwrite)
    (tmp_path / "model.json").write_text('{"kind": "somebody else\'s"}')
    with pytest.raises(FileExistsError, match=r"no readable Pellucid model: .*lacks the entry"):
        save(network(), tmp_path, overwrite=overwrite)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["letters.txt", "model.json"]
    with pytest.raises(FileExistsError, match="is a file; a model is a folder"):
        save(network(), tmp_path / "letters.txt", overwrite=overwrite)


def test_an_empty_or_unfinished_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "weights-0123456789abcdef.safetensors").write_text("cut off")
    save(network(), tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / "empty").mkdir()
    save(network(), tmp_path / "empty")
    save(network(), tmp_path / "deep" / "down" / "m.pellucid")
    assert same(load(tmp_path / "deep/down/m.pellucid"), network())


def test_a_destination_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(NotADirectoryError, match=r"'.*x' is a file, not a folder"):
        check_destination(tmp_path / "x" / "m.pellucid")


def test_a_destination_without_permission_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*arguments: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "mkdir", denied)  # root may write anywhere
    with pytest.raises(PermissionError, match="Permission denied"):
        save(network(), tmp_path / "m.pellucid")
    with pytest.raises(PermissionError, match=r"m\.pellucid': no file can be written into"):
        check_destination(tmp_path / "m.pellucid")


@dataclass(frozen=True)
class OwnReLU(ReLU):
    """Calls itself relu, but is not the table's."""


class OwnDense(Dense):
    """Calls itself dense."""

    name = "dense"


class Opaque(Dense):
    """Has a setting that no file can hold."""

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "n_units": object()}


class Forgetful(Dense):
    """Does not keep what it was given under the argument's name."""

    def __init__(self, width: int) -> None:
        super().__init__(width)


class Other(Dense):
    """Becomes another layer when it is made of its settings."""

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "activation": "tanh"}


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (Dense(2, OwnReLU()), "OwnReLU has the name 'relu', which is ReLU's"),
        (OwnDense(2), "OwnDense has the name 'dense', which is Dense's"),
        (Opaque(2), "n_units cannot be written as JSON"),
        (Forgetful(2), "keep the argument 'width' as self.width"),
        (Other(2), r"it has the activation Tanh\(\)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_could_not_be_read_back_is_not_saved(layer: Dense, why: str, tmp_path: Path) -> None:
    net = Network([layer, Dense(1)], n_inputs=2)
    with pytest.raises(ModelError, match=rf"layer 1 \(.* cannot be saved: .*{why}"):
        save(net, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_save_refuses_what_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"The model comes first: save\(model, path\)"):
        save(str(tmp_path / "m"), network())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"'network' is an entry of model\.json already"):
        save(network(), tmp_path / "m", network=1)
    with pytest.raises(ValueError, match="'files' is reserved"):
        save(network(), tmp_path / "m", files=1)
    with pytest.raises(ValueError, match="the entry 'kind' is missing"):
        write_folder(tmp_path / "m", {}, arrays={}, documents={})
    with pytest.raises(ValueError, match=r"'\.\./x' must be one plain lower-case word"):
        write_folder(tmp_path / "m", {"kind": "x"}, arrays={}, documents={"../x": 1})
    texts = {"weights": {"W1": np.array(["a"])}}
    with pytest.raises(TypeError, match="weights: W1 must hold plain numbers"):
        write_folder(tmp_path / "m", {"kind": "x"}, arrays=texts, documents={})
    assert not (tmp_path / "m").exists()


def test_a_failed_first_save_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(network(), tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


# What load refuses --------------------------------------------------------------------------------


def test_missing_or_no_model(tmp_path: Path, saved: Path) -> None:
    with pytest.raises(ModelError, match=r"no model folder '.*b\.pell' \(did you mean '.*a\.pell"):
        load(tmp_path / "b.pell")
    (tmp_path / "f").write_text("")
    with pytest.raises(ModelError, match="is a file, not a Pellucid model"):
        load(tmp_path / "f")
    with pytest.raises(ModelError, match=r"it has no model\.json"):
        load(tmp_path)
    (saved / "model.json").unlink()
    (saved / "model.json").mkdir()
    with pytest.raises(ModelError, match=r"model\.json is not a plain file"):
        load(saved)


@pytest.mark.parametrize("kind", ["weights", "history"])
def test_damaged_files(saved: Path, kind: str) -> None:
    file = data_file(saved, kind)
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    n = len(content)
    with pytest.raises(ModelError, match=rf"{kind}-.* should be {n} bytes, is {n - 1}: it was cut"):
        load(saved)
    file.write_bytes(content + b" ")
    with pytest.raises(ModelError, match=rf"is {n + 1} bytes, expected at most {n}"):
        load(saved)
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelError, match="was changed or damaged: its SHA-256 should begin with"):
        load(saved)
    file.unlink()
    with pytest.raises(ModelError, match=rf"the file {kind}-.* is missing. Copy the folder again"):
        load(saved)


def test_damaged_model_json(saved: Path) -> None:
    content = (saved / "model.json").read_bytes()
    for cut in range(0, len(content) - 1, 7):
        (saved / "model.json").write_bytes(content[:cut])
        with pytest.raises(ModelError, match=r"model\.json is not valid JSON"):
            load(saved)
    (saved / "model.json").write_text("[]")
    with pytest.raises(ModelError, match='lacks the entry "format": "pellucid"'):
        load(saved)
    with open(saved / "model.json", "wb") as file:
        file.truncate(2**40)  # sparse: refused by its size, never read
    with pytest.raises(ModelError, match="1099511627776 bytes, expected at most 67108864"):
        load(saved)


def test_versions_and_kinds(saved: Path) -> None:
    edit(saved, lambda model: model.update(kind="netwrok"))
    with pytest.raises(ModelError, match=r"kind 'netwrok'.*does not know \(did you mean 'network'"):
        load(saved)
    edit(saved, lambda model: model.update(format_version="1"))
    with pytest.raises(ModelError, match="format_version should be 1 to 2; it is '1'"):
        load(saved)
    edit(saved, lambda model: model.update(format_version=3))
    with pytest.raises(
        ModelError,
        match=r"written by a newer Pellucid \(format 3\); this one reads 1 to 2: "
        r"pip install --upgrade pellucid",
    ):
        load(saved)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../model.json"},
        {"name": "/etc/passwd"},
        {"name": None},
        {"sha256": "x" * 64},
        {"bytes": -1},
        {"bytes": True},
        {"bytes": "1"},
    ],
    ids=str,
)
def test_file_entries_are_checked(saved: Path, change: dict[str, Any]) -> None:
    edit(saved, lambda model: model["files"]["weights"].update(change))
    with pytest.raises(
        ModelError, match=r"entry of the 'weights' file is wrong|expected at most -1"
    ):
        load(saved)


def _network(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda model: model["network"].update(changes)


def _layer(position: int, **changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda model: model["network"]["layers"][position].update(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_layer(0, n_units=10**15), r"W1 should be \(1000000000000000, 3\) float32, is \(4, 3\) f"),
        (_network(input_shape=[4]), r"W1 should be \(4, 4\) float32, is \(4, 3\) float32"),
        (_network(dtype="float64"), r"W1 should be \(4, 3\) float64, is \(4, 3\) float32"),
        (_network(dtype="object"), "'dtype' should be 'float32' or 'float64'; it is 'object'"),
        (_network(input_shape=[0]), r"'input_shape' should be a list of one to .*; it is \[0\]"),
        (_network(input_shape=2.5), "'input_shape' should be"),
        (_network(n_inputs=2.5), "'input_shape' should be"),
        (_network(seed=-1), r"'seed' should be a whole number below 2\^64; it is -1"),
        (_network(layers=[]), "'layers' should be a list of 1 to 10000 layers"),
        (_network(layers=[{}] * 10_001), "'layers' should be a list of 1 to 10000 layers"),
        (_network(layers=[3]), "entry 1 of its layers is wrong: expected an object, got 3"),
        (_layer(1, layer="dens"), r"entry 2 .* unknown layer 'dens' \(did you mean 'dense'"),
        (_layer(1, layer=["dense"]), "entry 2 of its layers is wrong"),
        (_layer(1, colour="red"), "entry 2 .* unexpected keyword argument 'colour'"),
        (_layer(1, n_units="4"), "entry 2 .* n_units must be an integer"),
        (_layer(1, activation="rleu"), r"entry 2 .*unknown activation 'rleu'"),
        (_layer(1, activation={"name": "elu", "a": "x"}), "entry 2 of its layers is wrong"),
        (_layer(1, n_units=1, dropout=0.5), "the network in model.json is wrong: the output layer"),
        (lambda model: model["network"]["layers"].pop(), "W2 should be absent, is"),
        (
            lambda model: model["network"]["layers"].append({"layer": "dense", "n_units": 1}),
            r"W3 should be \(1, 1\) float32, is absent",
        ),
        (lambda model: model.pop("network"), "the entry 'network' of model.json is missing"),
        (lambda model: model.update(network=[1]), r"'network' of model.json is \[1\]; expected an"),
        (lambda model: model["files"].pop("weights"), "model.json names no weights file"),
    ],
)
def test_the_architecture_is_checked_before_anything_is_built(
    saved: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    edit(saved, change)
    with pytest.raises(ModelError, match=message):
        load(saved)


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\x02" + b"\0" * 7 + b"{}garbage"])
def test_weights_that_are_no_safetensors(saved: Path, content: bytes) -> None:
    sha256 = hashlib.sha256(content).hexdigest()
    name = f"weights-{sha256[:16]}.safetensors"
    (saved / name).write_bytes(content)
    entry = {"name": name, "sha256": sha256, "bytes": len(content)}
    edit(saved, lambda model: model["files"].update(weights=entry))
    with pytest.raises(ModelError, match="its weights file is not readable as safetensors"):
        load(saved)


def test_reading_while_another_process_writes(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is replaced between the reading of model.json and that of the weights."""
    true_open, replaced = builtins.open, []

    def open_late(path: Any, *args: Any, **kwargs: Any) -> Any:
        if "weights-" in str(path) and not replaced:
            replaced.append(path)
            save(network(1), saved, overwrite=True)
        return true_open(path, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", open_late)
    assert same(load(saved), network(1))


# Checkpoints --------------------------------------------------------------------------------------


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    net, best = network(0), network(1)
    state = {"v_W1": np.asfortranarray(np.full((4, 3), 0.1)), "v_b1": np.zeros((4, 1))}
    training = {"epoch": 3, "memory": {"best": math.inf}, "history": {"loss": [0.1]}}
    path = tmp_path / "c"
    save_checkpoint(path, net, training, state, best.parameters)
    again, training_again, state_again, best_again = load_checkpoint(path)
    assert same(net, again)
    assert training_again == training
    assert best_again is not None
    for expected, found in ((state, state_again), (best.parameters, best_again)):
        assert expected.keys() == found.keys()
        for name in expected:
            assert found[name].tobytes("F") == expected[name].tobytes("F")
            assert found[name].flags.writeable
    save_checkpoint(path, best, {}, {}, None)
    again, training_again, state_again, best_again = load_checkpoint(path)
    assert same(best, again)
    assert (training_again, state_again, best_again) == ({}, {}, None)
    assert len(list(path.iterdir())) == 4


def test_checkpoints_and_models_are_told_apart(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="kind 'network'; a checkpoint replaces only a check"):
        save_checkpoint(saved, network(1), {}, {}, None)
    assert same(load(saved), network())
    with pytest.raises(ModelError, match=r"kind 'network', not a checkpoint"):
        load_checkpoint(saved)
    save_checkpoint(tmp_path / "c", network(), {}, {}, None)
    with pytest.raises(ModelError, match=r"is a checkpoint, not a finished model.*resume="):
        load(tmp_path / "c")
    assert same(network_from_model(read_folder(tmp_path / "c")), network())


def test_best_parameters_must_fit(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c", network(), {}, {}, {"W1": np.zeros((9, 9), np.float32)})
    with pytest.raises(ModelError, match=r"W1 should be \(4, 3\) float32, is \(9, 9\) float32"):
        load_checkpoint(tmp_path / "c")


# Crashes ------------------------------------------------------------------------------------------


def test_a_crash_at_any_call_leaves_the_old_or_the_new_model(tmp_path: Path, crash_at: Any) -> None:
    old, new = network(0), network(1)
    seen = set()
    for call in range(1000):
        path = tmp_path / str(call)
        save(old, path)
        with crash_at(call) as calls:
            save(new, path, history={"loss": [1.0]}, overwrite=True)
        found = load(path)
        seen.add("old" if same(found, old) else "new")
        assert same(found, old) or same(found, new)
        save(new, path, overwrite=True)
        assert len(list(path.iterdir())) == 2
        if calls() <= call:
            break
    assert seen == {"old", "new"}
    assert call > 10


def test_a_crash_of_the_first_save_can_be_repaired(tmp_path: Path, crash_at: Any) -> None:
    for call in range(1000):
        path = tmp_path / str(call)
        with crash_at(call) as calls:
            save(network(), path)
        if not (path / "model.json").exists():
            save(network(), path)
        assert same(load(path), network())
        assert [p.name for p in path.iterdir() if ".tmp-" in p.name] == []
        if calls() <= call:
            break
    assert call > 5


CHILD = """
import sys
from pellucid import Dense, Network
from pellucid.persistence import save_checkpoint
path = sys.argv[1]
networks = [Network([Dense(300), Dense(1)], 200, seed=seed) for seed in (0, 1)]
for k in range(10**6):
    print(k, flush=True)
    state = {name: array + k for name, array in networks[k % 2].parameters.items()}
    save_checkpoint(path, networks[k % 2], {"k": k}, state, None)
"""


def test_a_killed_process_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "c"
    for wait_for in (1, 2, 3, 5, 8):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        last = -1
        while last < wait_for:
            last = int(child.stdout.readline())
        child.kill()
        child.communicate()
        net, training, state, _ = load_checkpoint(path)
        k = training["k"]
        assert k >= wait_for - 1
        expected = Network([Dense(300), Dense(1)], 200, seed=k % 2)
        assert same(net, expected)
        for name, array in expected.parameters.items():
            np.testing.assert_array_equal(state[name], array + k)
    shutil.rmtree(path)
