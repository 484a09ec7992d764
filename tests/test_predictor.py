"""Models of tables on disk: round trips, load_predictor, and folders that are not whole."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from pellucid import (
    Dense,
    MLPClassifier,
    MLPRegressor,
    Network,
    NetworkClassifier,
    TabularClassifier,
    TabularRegressor,
    load,
    load_predictor,
    save,
)
from pellucid.activations import LeakyReLU
from pellucid.errors import ModelError
from pellucid.layers import Conv1D, Conv2D
from pellucid.optimizers import AdamW
from pellucid.persistence import read_folder
from pellucid.persistence.predictor import NetworkPredictor
from pellucid.tables import TASKS, TableModel

rng = np.random.default_rng(0)
M = 40
DAY = datetime.datetime(2020, 1, 1)
KINDS: dict[str, Any] = {
    "number": rng.normal(size=M),
    "number, missing": [None if k % 5 == 0 else float(k % 7) / 3 for k in range(M)],
    "number from texts": [f"{v:.3f}" for v in rng.normal(size=M)],
    "binary": rng.integers(0, 2, M),
    "binary texts": [["yes", "no", None][k % 3] for k in range(M)],
    "category": [["a", "б", "c 'd'", '"'][k % 4] for k in range(M)],
    "category, missing": [["a", "b", "c", None][k % 4] for k in range(M)],
    "many categories": [f"c{k * k % 36}" for k in range(M)],
    "date": np.array([DAY + datetime.timedelta(hours=31 * k) for k in range(M)], "M8[us]"),
    "date from texts": [f"{1 + k % 28:02d}.{1 + k % 12:02d}.2021" for k in range(M)],
    "duration": [datetime.timedelta(minutes=int(v)) for v in rng.integers(0, 99, M)],
    "image": rng.integers(0, 256, (M, 3, 2, 3), dtype=np.uint8),
}
LABELS = {
    "binary": np.array([["no", "yes"][k // 2 % 2] for k in range(M)]),
    "multiclass": np.array([k // 3 % 3 for k in range(M)], dtype=np.int16),
    "regression": rng.normal(size=M) * 1e3,
}


def fitted(data: dict[str, Any], task: str, **parameters: Any) -> Any:
    kind = TabularRegressor if task == "regression" else TabularClassifier
    return kind((8,), **{"epochs": 3, "ensemble": 1, **parameters}).fit(data, LABELS[task])


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def same(a: Any, b: Any, data: Any, task: str) -> None:
    """Two models predict the same, bit for bit."""
    assert a.predict(data).tobytes() == b.predict(data).tobytes()
    assert a.predict(data).dtype == b.predict(data).dtype
    if task != "regression":
        assert a.predict_proba(data).tobytes() == b.predict_proba(data).tobytes()


# Round trips --------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:column 'column' holds:pellucid.errors.DataWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_column_comes_back_bit_for_bit(kind: str) -> None:
    data = {"column": KINDS[kind], "x": KINDS["number"]}
    estimator = fitted(data, "binary")
    assert list(estimator.model_.preprocessing.columns) == ["column", "x"]
    estimator.save("m.pellucid")
    same(load("m.pellucid"), estimator, data, "binary")
    same(load_predictor("m.pellucid"), estimator, data, "binary")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("ensemble", [1, 3])
def test_every_task_comes_back_bit_for_bit(task: str, ensemble: int) -> None:
    data = {name: KINDS[name] for name in ("number", "category", "number, missing")}
    estimator = fitted(data, task, ensemble=ensemble)
    save(estimator, "m.pellucid")
    again, predictor = load("m.pellucid"), load_predictor("m.pellucid")
    assert type(again) is type(estimator)
    assert isinstance(predictor, TableModel)
    same(again, estimator, data, task)
    same(predictor, estimator, data, task)
    assert again.get_params() == estimator.get_params()
    assert again.left_out_ == estimator.left_out_
    assert again.feature_names_in_.tolist() == list(data)
    assert [each.curves for each in again.history_] == [each.curves for each in estimator.history_]
    if task != "regression":
        assert again.classes_.dtype == estimator.classes_.dtype
        assert again.classes_.tolist() == estimator.classes_.tolist()
    names = read_folder("m.pellucid").arrays("weights")
    assert {name.partition(".")[0] for name in names} == {str(k + 1) for k in range(ensemble)}
    again.save("m.pellucid", overwrite=True)
    same(load("m.pellucid"), estimator, data, task)
    with pytest.raises(FileExistsError, match="holds a model already"):
        again.save("m.pellucid")


def test_parameters_that_are_objects_come_back() -> None:
    given = {
        "activation": LeakyReLU(slope=0.2),
        "optimizer": AdamW(weight_decay=0.1),
        "class_weight": {"no": 2.0},
        "categorical": ("number",),
        "keep": ("category",),
        "random_state": 2**63,
    }
    estimator = fitted(
        {"number": KINDS["binary"], "category": KINDS["category"]}, "binary", **given
    )
    estimator.save("m")
    assert {name: load("m").get_params()[name] for name in given} == given


def test_arrays_without_names_come_back() -> None:
    X = rng.normal(size=(M, 3))
    estimator = TabularClassifier((4,), epochs=2, ensemble=1).fit(X, LABELS["binary"])
    estimator.save("m")
    again = load("m")
    assert not hasattr(again, "feature_names_in_")
    assert again.n_features_in_ == 3
    same(again, estimator, X, "binary")


def test_a_loaded_estimator_is_fitted_anew() -> None:
    data = {"number": KINDS["number"]}
    estimator = fitted(data, "binary")
    estimator.save("m")
    same(load("m").fit(data, LABELS["binary"]), estimator, data, "binary")


# load_predictor -----------------------------------------------------------------------------------


def test_a_predictor_needs_numpy_and_safetensors_alone() -> None:
    data = {
        name: KINDS[name]
        for name in ("number", "category, missing", "number from texts", "date from texts")
    }
    estimator = fitted(data, "multiclass", ensemble=2)
    estimator.save("table")
    X = np.stack([KINDS["number"], KINDS["number"] ** 2], axis=1)
    MLPClassifier((4,), max_iter=5).set_params(n_iter_no_change=99, schedule="cosine").fit(
        X, LABELS["multiclass"]
    ).save("drop_in")
    save(Network([Dense(2, "softmax")], 2, seed=0), "network")
    steps = NetworkClassifier([Conv1D(2, 1)], epochs=1).fit(X[:, :, None], LABELS["binary"])
    steps.save("of_layers")
    rows = {"number": [0.5, None], "category, missing": ["a", "new"]}
    rows |= {"number from texts": ["1.5", "NA"], "date from texts": ["03.02.2021", None]}
    code = f"""if True:
        import sys
        before = set(sys.modules)
        from pellucid import load_predictor
        table = load_predictor("table")
        p = table.predict_proba({rows!r})
        table.predict({rows!r})
        load_predictor("of_layers").predict([[[0.0], [1.0]]], lengths=[2])
        for name in ("drop_in", "network"):
            load_predictor(name).predict([[0.0, 1.0]])
            load_predictor(name).predict_proba([[0.0, 1.0]])
        print(p.tobytes().hex())
        print(*{{name.partition(".")[0] for name in set(sys.modules) - before}})
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    p, modules = done.stdout.splitlines()
    assert bytes.fromhex(p) == estimator.predict_proba(rows).tobytes()
    outside = set(modules.split()) - sys.stdlib_module_names
    assert outside <= {"pellucid", "numpy", "safetensors"}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "y",
    [
        np.arange(M) % 2,
        np.array(["b", "a", "c"])[np.arange(M) % 3],
        np.array(["b", "a"], dtype=object)[np.arange(M) % 2],
        np.array([[1, 0, 1], [0, 0, 1]])[np.arange(M) % 2],
    ],
)
def test_a_predictor_of_a_classifier(y: Any) -> None:
    X = rng.normal(size=(M, 3))
    clf = MLPClassifier((4,), max_iter=5, random_state=0).fit(X, y)
    clf.save("m")
    predictor = load_predictor("m")
    assert isinstance(predictor, NetworkPredictor)
    assert predictor.predict(X).tolist() == clf.predict(X).tolist()
    assert predictor.predict(X).dtype == clf.predict(X).dtype
    assert predictor.predict_proba(X).tobytes() == clf.predict_proba(X).tobytes()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("outputs", [1, 2])
def test_a_predictor_of_a_regressor(outputs: int) -> None:
    X = rng.normal(size=(M, 3))
    y = X[:, 0] if outputs == 1 else X[:, :2]
    reg = MLPRegressor(hidden_layer_sizes=(4,), max_iter=5, random_state=0).fit(X, y)
    reg.save("m")
    predictor = load_predictor("m")
    assert predictor.predict(X).tobytes() == reg.predict(X).tobytes()
    assert predictor.predict(X).shape == y.shape
    with pytest.raises(ValueError, match="the output is identity, which is not a probability"):
        predictor.predict_proba(X)


@pytest.mark.parametrize(("units", "g"), [(1, "sigmoid"), (3, "softmax"), (2, "sigmoid")])
def test_a_predictor_of_a_network(units: int, g: str) -> None:
    net = Network([Dense(units, g)], 3, seed=0)
    save(net, "m")
    X = rng.normal(size=(5, 3)).astype(np.float32)
    predictor = load_predictor("m")
    np.testing.assert_array_equal(
        np.atleast_2d(predictor.predict(X).T), net.predict(X.T).reshape(-1, 5)
    )
    p = predictor.predict_proba(X)
    np.testing.assert_array_equal(p.T[-units:], net.forward(X.T))
    assert p.shape == (5, max(units, 2))
    with pytest.raises(ValueError, match=r"shape \(m, n\[0\]\) = \(m, 3\), .*pass \[row\]"):
        predictor.predict(X[0])


def test_a_predictor_of_pictures() -> None:
    net = Network([Conv2D(2, 3, "tanh"), Dense(3, "softmax")], (5, 4, 1), seed=0)
    save(net, "m")
    predictor, X = load_predictor("m"), rng.normal(size=(6, 5, 4, 1)).astype(np.float32)
    expected = net.forward(X.reshape(6, 20).T)
    for rows in (X, X.reshape(6, 20)):
        np.testing.assert_array_equal(predictor.predict_proba(rows).T, expected)
        np.testing.assert_array_equal(predictor.predict(rows), expected.argmax(axis=0))
    wrong = r"\(m, n\[0\]\) = \(m, 20\) or \(m, 5, 4, 1\), one row per example; got "
    with pytest.raises(ValueError, match=wrong + r"\(5, 4, 1\). For one row pass \[row\]"):
        predictor.predict(X[0])
    with pytest.raises(ValueError, match=wrong + r"\(6, 4, 5, 1\)"):
        predictor.predict(X.swapaxes(1, 2))
    with pytest.raises(ValueError, match="lengths are for sequences"):
        predictor.predict(X, lengths=[1] * 6)


@pytest.mark.parametrize("last", [(1, "sigmoid"), (2, "sigmoid"), (3, "softmax"), (2, "identity")])
def test_a_predictor_of_steps(last: tuple[int, str]) -> None:
    layers = [Conv1D(3, 2, "tanh", padding="same"), Dense(*last, each_step=True)]
    net, m, (n, g) = Network(layers, (4, 2), seed=0), 5, last
    save(net, "m")
    predictor, X = load_predictor("m"), rng.normal(size=(m, 4, 2)).astype(np.float32)
    lengths = [4, 1, 3, 2, 4]
    for row, length in zip(X, lengths, strict=True):
        row[length:] = np.nan
    A = net.forward(X.reshape(m, 8).T, lengths=lengths).T.reshape(m, 4, n)
    found = predictor.predict(X, lengths=lengths)
    if g == "identity":
        np.testing.assert_array_equal(found, A)
        return
    p = predictor.predict_proba(X, lengths=lengths)
    assert p.shape == (m, 4, max(n, 2))
    np.testing.assert_array_equal(p[..., -n:], A)
    for k, length in enumerate(lengths):
        assert not p[k, length:].any()  # where there is no step, there are no classes
        if n != 2:
            np.testing.assert_allclose(p[k, :length].sum(axis=1), 1, rtol=1e-6)
    decided = {1: A[..., 0] >= 0.5, 2: A >= 0.5, 3: A.argmax(axis=2)}[n]
    np.testing.assert_array_equal(found, decided)
    with pytest.raises(ValueError, match=r"lengths must be 1 to 4.*lengths\[1\] is 0"):
        predictor.predict_proba(X, lengths=[4, 0, 3, 2, 4])
    assert predictor.predict_proba(X[:0], lengths=np.array([], int)).shape == (0, 4, max(n, 2))


# Folders that are not whole -----------------------------------------------------------------------


@pytest.fixture(name="folder")
def _folder() -> Path:
    data = {"number": KINDS["number"], "category": KINDS["category"]}
    fitted(data, "binary", ensemble=2).save("m")
    return Path("m")


def edit(folder: Path, change: dict[str, Any]) -> None:
    model = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**model, **change}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 99}, r"was written by a newer Pellucid \(format 99\)"),
        ({"kind": "tabulr"}, r"a model of the kind 'tabulr', .*mean 'tabular'"),
        ({"task": "rank"}, "the task is 'rank'; expected one of binary, multiclass, regression"),
        ({"task": 3}, "the entry 'task' of model.json is 3; expected a string"),
        ({"task": "multiclass"}, "a multiclass model with 2 classes has 2 outputs; the network h"),
        ({"task": "regression"}, "a regression model with 2 classes has 1 outputs"),
        ({"classes": ["a"]}, "a binary model with 1 classes has 1 outputs; the network has 1"),
        ({"classes": "ab"}, "the entry 'classes' of model.json is 'ab'; expected a list"),
        ({"classes": ["a", "a"]}, "its classes are wrong"),
        ({"classes": ["a", {}]}, "its classes are wrong"),
        ({"classes": ["a", "b"], "label_dtype": "f8"}, "its classes are wrong"),
        ({"label_dtype": "M8[us]"}, "its classes are wrong"),
        ({"columns": ["number"]}, "the columns .'category'. are not those it was fitted to"),
        ({"columns": [1, "number", "category"]}, "are not those it was fitted to"),
        ({"target_std": 0}, "the entry 'target_std' of model.json is 0; expected a number"),
        ({"target_mean": "x"}, "the entry 'target_mean' of model.json is 'x'; expected a number"),
        ({"networks": 0}, "it names 0 networks; expected 1 to 1000"),
        ({"networks": 3}, r"the weights do not match .*: 3\.\w+ should be .*, is absent"),
        ({"networks": 1}, r"the weights do not match .*: 2\.\w+ should be absent"),
        ({"networks": True}, "the entry 'networks' of model.json is True; expected a whole"),
        ({"preprocessing": {}}, "the entry 'preprocessing' of model.json is wrong: the prep"),
        ({"preprocessing": None}, "the entry 'preprocessing' of model.json is None; expected an"),
        ({"settings": []}, r"the entry 'settings' of model.json is \[\]; expected an object"),
        ({"data": None}, "the entry 'data' of model.json is None; expected an object"),
    ],
)
def test_damaged_models(folder: Path, change: dict[str, Any], message: str) -> None:
    edit(folder, change)
    for read in (load, load_predictor):
        with pytest.raises(ModelError, match=message) as caught:
            read(folder)
        assert str(caught.value).count("of model.json") <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": {"epoch": 3}}, "'settings' of model.json is wrong: .*no setting 'epoch'"),
        ({"settings": {"epochs": 0}}, "'settings' of model.json is wrong: epochs must be"),
        ({"data": {"left_out": 3}}, "its history or data are wrong"),
    ],
)
def test_what_the_estimator_alone_needs(folder: Path, change: dict[str, Any], message: str) -> None:
    edit(folder, change)
    load_predictor(folder)
    with pytest.raises(ModelError, match=message):
        load(folder)


def test_columns_that_do_not_make_the_networks_inputs(folder: Path) -> None:
    entry = json.loads((folder / "model.json").read_text())["preprocessing"]
    entry["columns"] = entry["columns"][:1]
    edit(folder, {"preprocessing": entry})
    with pytest.raises(ModelError, match="its columns make 1 inputs, the network takes 5"):
        load(folder)


def test_weights_of_another_shape(folder: Path) -> None:
    from pellucid.persistence import write_folder

    weights = load_file(next(folder.glob("weights-*.safetensors")))
    weights["2.W1"] = np.ascontiguousarray(weights["2.W1"].T)
    model = json.loads((folder / "model.json").read_text())
    entries = {
        name: value
        for name, value in model.items()
        if name not in ("format", "format_version", "files", "written_by")
    }
    write_folder("n", entries, arrays={"weights": weights}, documents={"history": []})
    with pytest.raises(ModelError, match=r"2\.W1 should be \(8, 5\) float32, is \(5, 8\) float32"):
        load("n")
    write_folder("k", entries, arrays={"weights": weights}, documents={"history": {}})
    with pytest.raises(ModelError, match="the weights do not match"):
        load_predictor("k")


def test_files_cut_off_changed_or_missing(folder: Path) -> None:
    path = next(folder.glob("weights-*.safetensors"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(ModelError, match=r"should be \d+ bytes, is \d+: it was cut off"):
        load_predictor(folder)
    weights = load_file_from(whole)
    save_file(weights | {"1.b1": weights["1.b1"] + 1}, path)
    with pytest.raises(ModelError, match="was changed or damaged"):
        load_predictor(folder)
    path.unlink()
    with pytest.raises(ModelError, match=r"the file weights-\w+\.safetensors is missing"):
        load_predictor(folder)
    (folder / "model.json").write_text((folder / "model.json").read_text()[:500])
    with pytest.raises(ModelError, match=r"model.json is not valid JSON"):
        load_predictor(folder)


def load_file_from(content: bytes) -> dict[str, Any]:
    from safetensors.numpy import load

    return dict(load(content))


def test_a_damaged_drop_in() -> None:
    with pytest.warns(Warning, match="Maximum iterations"):
        MLPClassifier((2,), max_iter=1).fit(rng.normal(size=(M, 3)), LABELS["binary"]).save("m")
    fit = json.loads(Path("m/model.json").read_text())["fitted"]
    for labels, message in (
        ({"values": ["a", "b", "c"], "dtype": "<U1"}, "3 classes do not fit 1 outputs"),
        ({"values": ["a", "b"], "dtype": "f8"}, "its class labels are wrong"),
        ({"values": ["a", "b"]}, "its class labels are wrong"),
    ):
        edit(Path("m"), {"fitted": {**fit, "classes_": labels}})
        with pytest.raises(ModelError, match=message):
            load_predictor("m")


def test_a_table_model_is_saved_as_its_estimator_is() -> None:
    save(fitted({"number": KINDS["number"]}, "binary").model_, "m")
    assert isinstance(load("m"), TabularClassifier)
