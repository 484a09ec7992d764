"""Export to ONNX: what onnxruntime computes is what predict and predict_proba say."""

from __future__ import annotations

import dataclasses
import datetime
import json
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx.reference import ReferenceEvaluator
from typer.testing import CliRunner

from pellucid import Dense, MLPClassifier, MLPRegressor, Network, Scale, load_predictor, save
from pellucid.activations import ACTIVATIONS, ELU, Activation, LeakyReLU, Tanh
from pellucid.cli import app
from pellucid.errors import MissingPackageError, ModelError, SettingsError
from pellucid.estimators import TabularClassifier, TabularRegressor
from pellucid.export import EXPORTERS, default_path, export
from pellucid.export import onnx as exporter
from pellucid.export.columns import COLUMNS, MISSING_DATE, transform
from pellucid.export.exported import exported
from pellucid.export.graph import Graph
from pellucid.tables import Table, TableModel
from pellucid.tables.kinds import KINDS, Category
from pellucid.tables.preprocess import Preprocessing

each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
CLOSE = {"float32": 1e-5, "float64": 1e-12}


class Session:
    """A file in onnxruntime: ``run(inputs)`` gives its outputs by name."""

    def __init__(self, content: bytes | Path) -> None:
        content = content if isinstance(content, bytes) else content.read_bytes()
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 2
        self.session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self.proto = onnx.load_from_string(content)
        self.metadata = {entry.key: entry.value for entry in self.proto.metadata_props}

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, inputs), strict=True))

    def of_table(self, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run on the columns of a Table: as the documentation says."""
        return self.run(
            {each.name: as_input(columns[each.name]) for each in self.session.get_inputs()}
        )


def as_input(column: np.ndarray) -> np.ndarray:
    if column.dtype == object:
        return np.array(["" if each is None else each for each in column], dtype=object)
    if column.dtype.kind == "M":
        return column.astype("datetime64[us]").astype(np.int64)
    return column


def session(model: Any) -> Session:
    return Session(exporter.content(exported(model)))


def rows_through(model: Any, X: np.ndarray) -> dict[str, np.ndarray]:
    return session(model).run({"X": np.ascontiguousarray(X)})


def assert_close(got: np.ndarray, expected: np.ndarray, tolerance: float = 1e-5) -> None:
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * scale)


def network(g: Activation, dtype: str, rng: np.random.Generator) -> Network:
    layers = [Dense(5, g)]
    if not g.output_only:
        layers = [Scale(), Dense(16, g, dropout=0.2), Scale(), Dense(9, g), Dense(3, "identity")]
    net = Network(layers, 7, dtype=dtype, seed=0)
    for array in net.parameters.values():
        array[...] = rng.normal(size=array.shape)
    return net


# Networks -----------------------------------------------------------------------------------------


@each_dtype
@pytest.mark.parametrize(
    "g", [*(entry() for entry in ACTIVATIONS.values()), LeakyReLU(slope=0.3), ELU(a=2.5)], ids=repr
)
def test_every_activation(g, dtype, rng):
    net = network(g, dtype, rng)
    runs = session(net)
    for m, spread in ((0, 1.0), (1, 1.0), (40, 1.0), (40, 20.0)):
        X = (spread * rng.normal(size=(m, 7))).astype(dtype)
        found = runs.run({"X": X})
        A = found["prediction" if "prediction" in found else "probabilities"]
        assert_close(A, net.forward(X.T).T, CLOSE[dtype])


@each_dtype
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_far_out(name, dtype):
    # Z itself is exact here, so that g alone is looked at: no overflow, no lost digits.
    g = ACTIVATIONS[name]()
    z = [0, 1e-6, 1e-3, 0.5, 3, 10, 30, 69, 88, 100, 1e4] + [1e30] * (g.name != "softmax")
    Z = np.array([*(-np.array(z)), *z], dtype=dtype)[:, np.newaxis]
    net = Network([Dense(1, g)], 1, initializer={1: ([[1.0]], [[0.0]])}, dtype=dtype)
    expected = net.forward(Z.T).T
    found = rows_through(net, Z)
    if "prediction" in found:
        A = found["prediction"][:, np.newaxis]
    else:
        A = found["probabilities"][:, -1:]
    # onnxruntime makes a HardSigmoid of z/6 + 1/2, whose 1/6 is float32's.
    tolerance = 1e-8 if name == "hard_sigmoid" and dtype == "float64" else CLOSE[dtype]
    np.testing.assert_allclose(A, expected, rtol=tolerance, atol=tolerance * 1e-2)


@pytest.mark.parametrize(
    "last", [(1, "sigmoid"), (3, "sigmoid"), (1, "hard_sigmoid"), (4, "softmax"), (2, "identity")]
)
def test_a_network_answers_as_its_predictor(last, tmp_path, rng):
    net = Network([Dense(8, "tanh"), Dense(*last)], 5, seed=1)
    save(net, tmp_path / "net.pellucid")
    predictor = load_predictor(tmp_path / "net.pellucid")
    X = rng.normal(size=(20, 5)).astype(np.float32)
    export(tmp_path / "net.pellucid", tmp_path / "net.onnx")
    found = Session(tmp_path / "net.onnx").run({"X": X})
    if last[1] == "identity":
        assert_close(found["prediction"], predictor.predict(X))
    else:
        np.testing.assert_array_equal(found["label"], predictor.predict(X))
    if last[1] in ("sigmoid", "softmax"):
        assert_close(found["probabilities"], predictor.predict_proba(X))


def test_one_half_is_class_1_as_in_lecture_001():
    net = Network([Dense(1, "sigmoid")], 2, initializer="zeros")
    assert rows_through(net, np.ones((1, 2), np.float32))["label"].tolist() == [1]


@dataclasses.dataclass(frozen=True)
class Bent(Activation):
    """An activation of a user's own, on any array library."""

    name: ClassVar[str] = "bent"
    formula: ClassVar[str] = "(sqrt(z^2 + 1) - 1) / 2 + z"
    derivative: ClassVar[str] = "z / (2 sqrt(z^2 + 1)) + 1"

    def __call__(self, Z: Any) -> Any:
        xp = Z.__array_namespace__()
        return (xp.sqrt(Z * Z + 1) - 1) / 2 + Z


@dataclasses.dataclass(frozen=True)
class OnlyNumpy(Tanh):
    """One that works on NumPy's arrays alone."""

    def __call__(self, Z: Any) -> Any:
        return np.arctan(Z)


@dataclasses.dataclass(frozen=True)
class Branching(Tanh):
    """One that looks at the values."""

    def __call__(self, Z: Any) -> Any:
        return Z if Z > 0 else -Z


@dataclasses.dataclass(frozen=True)
class Unknown(Tanh):
    """One that calls what has no ONNX form."""

    def __call__(self, Z: Any) -> Any:
        return Z.__array_namespace__().nextafter(Z, Z)


def test_an_activation_of_ones_own_is_exported_too(rng):
    net = Network([Dense(4, Bent()), Dense(2, "identity")], 3, initializer="normal", seed=0)
    X = rng.normal(size=(6, 3)).astype(np.float32)
    assert_close(rows_through(net, X)["prediction"], net.forward(X.T).T)


@pytest.mark.parametrize(
    ("g", "reason"),
    [
        (OnlyNumpy(), "array API"),
        (Branching(), "a branch on the values"),
        (Unknown(), "'nextafter' has no ONNX form yet"),
    ],
)
def test_an_activation_that_cannot_be_written_down_is_named(g, reason):
    net = Network([Dense(4, g), Dense(2, "identity")], 3, initializer="normal", seed=0)
    with pytest.raises(ModelError, match=rf"layer 1 \(Dense 3 -> 4\) with the .*{reason}"):
        session(net)


def test_the_file_says_what_it_is(rng):
    net = Network([Dense(4, "tanh"), Dense(2, "softmax")], 3, seed=0)
    made = session(net)
    assert made.proto.producer_name == "pellucid"
    assert {entry.domain: entry.version for entry in made.proto.opset_import}[""] == 17
    assert made.metadata["task"] == "multiclass"
    assert json.loads(made.metadata["inputs"]) == ["x1", "x2", "x3"]
    named = {tensor.name for tensor in made.proto.graph.initializer}
    assert {"W1", "b1", "W2", "b2"} <= named
    assert made.session.get_inputs()[0].shape == ["m", 3]


# The drop-ins -------------------------------------------------------------------------------------


@each_dtype
@pytest.mark.parametrize(
    "labels",
    [
        np.array(["no", "yes"]),
        np.array(["ä", "b", "c"], dtype=object),
        np.array([7, -3]),
        np.array([2, 3, 5]),
        np.array([False, True]),
        np.array([0.5, 1.5, 2.5]),
    ],
    ids=lambda labels: str(labels.tolist()),
)
def test_classifier(labels, dtype, rng):
    X = rng.normal(size=(60, 4)).astype(dtype)
    if labels.dtype.kind == "f":  # scikit-learn takes such numbers for a regression
        y = labels.astype(str)[rng.integers(0, len(labels), 60)]
    else:
        y = labels[rng.integers(0, len(labels), 60)]
    clf = MLPClassifier((8,), "gelu", random_state=0).partial_fit(X, y, classes=np.unique(y))
    made = session(clf)
    found = made.run({"X": X})
    assert_close(found["probabilities"], clf.predict_proba(X))
    np.testing.assert_array_equal(found["label"].astype(y.dtype), clf.predict(X))
    assert json.loads(made.metadata["classes"]) == clf.classes_.tolist()


def test_classifier_of_several_labels(rng):
    X, Y = rng.normal(size=(60, 4)), rng.integers(0, 2, (60, 3))
    clf = MLPClassifier((8,), random_state=0).partial_fit(X, Y, classes=np.arange(3))
    found = rows_through(clf, X)
    assert_close(found["probabilities"], clf.predict_proba(X))
    np.testing.assert_array_equal(found["label"], clf.predict(X))


@each_dtype
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_regressor(outputs, loss, dtype, rng):
    X = rng.normal(size=(60, 4)).astype(dtype)
    y = rng.poisson(3.0, (60, outputs)).astype(float)
    reg = MLPRegressor(loss, (8,), "mish", random_state=0)
    reg.partial_fit(X, y.ravel() if outputs == 1 else y)
    assert_close(rows_through(reg, X)["prediction"], reg.predict(X))


# Tables -------------------------------------------------------------------------------------------

M = 300


def texts(values: Any) -> np.ndarray:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def columns(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Columns of every kind, some with missing values, under names of every sort."""
    dates = np.datetime64("1900-01-01", "us") + rng.integers(0, 6 * 10**15, M)
    some_dates = dates.copy()
    some_dates[::7] = np.datetime64("NaT", "us")
    return {
        "number": rng.normal(size=M),
        "large": 1e9 + rng.integers(0, 100, M),
        "with gaps": np.where(rng.random(M) < 0.1, np.nan, rng.normal(size=M)),
        "constant": np.full(M, 3.0),
        "flag": rng.integers(0, 2, M).astype(float),
        "two numbers": rng.choice([3.0, 7.0, np.nan], M),
        "yes or no": texts(rng.choice(["Yes", "No", None], M)),
        "sex": texts(rng.choice(["male", "female"], M)),
        "Größe": texts(rng.choice(["klein", "groß", "日本", "a b"], M)),
        "many": texts([f"k{k}" for k in rng.zipf(1.4, M) % 90]),
        "with none": texts(rng.choice(["a", "b", "c", None], M)),
        "zip code": rng.choice(np.arange(10000.0, 10050), M),
        "date": dates,
        "some dates": some_dates,
        "day": dates.astype("datetime64[D]").astype("datetime64[us]"),
        "label": texts(rng.choice(["p", "q", "r"], M)),
        "Gather": rng.normal(size=M),
        "W1": rng.normal(size=M),
        "m": rng.normal(size=M),
        "image": rng.integers(0, 256, (M, 3, 5, 3)).astype(np.uint8),
    }


def unseen(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same columns with values that training had not: missing, new, extreme."""
    changed = {name: column.copy() for name, column in given.items()}
    for column in changed.values():
        if column.dtype == object:
            column[::5], column[1::11], column[2::11] = "new one", None, "YES"
        elif column.dtype.kind == "f":
            column[::9], column[3::13], column[4::13] = np.nan, 1e30, -7
        elif column.dtype.kind == "M":
            column[::9] = np.datetime64("NaT", "us")
            column[1::9] = np.datetime64("2200-03-01T23:59:59.999999")
            column[2::9] = np.datetime64("1600-02-29T00:00:00")
    return changed


def table_model(
    given: dict[str, np.ndarray], task: str = "multiclass", ensemble: int = 1
) -> TableModel:
    preprocessing = Preprocessing.fit(
        Table(given), categorical=["zip code"] * ("zip code" in given)
    )
    last = {"multiclass": (3, "softmax"), "binary": (1, "sigmoid"), "regression": (1, "identity")}
    networks = [
        Network([Scale(), Dense(16, "selu"), Dense(*last[task])], preprocessing.n_outputs, seed=k)
        for k in range(ensemble)
    ]
    classes = {"multiclass": ["x", "y", "z"], "binary": [0, 1], "regression": []}[task]
    return TableModel(
        preprocessing, networks, task, "goal", list(given), classes, target_mean=1e6, target_std=3e4
    )


def test_every_kind_of_column_has_an_onnx_form():
    assert set(COLUMNS) == set(KINDS)


def test_every_kind_of_column_is_tested(rng):
    assert {k.kind for k in table_model(columns(rng)).preprocessing.columns.values()} == set(KINDS)


@pytest.mark.parametrize("name", columns(np.random.default_rng(0)))
def test_preprocessing_of_a_column(name, rng):
    given = {name: columns(rng)[name]}
    preprocessing = Preprocessing.fit(Table(given), categorical=[name] * (name == "zip code"))
    graph = Graph()
    graph.output("Z", transform(graph, preprocessing))
    made = Session(graph.to_bytes({}))
    for rows in (given, unseen(given), {name: given[name][:1]}):
        Z = preprocessing.transform(rows)
        assert_close(made.of_table(rows)["Z"], Z, 1e-6)


@pytest.mark.parametrize("ensemble", [1, 3])
@pytest.mark.parametrize("task", ["multiclass", "binary", "regression"])
def test_model_of_a_table(task, ensemble, rng):
    given = columns(rng)
    model = table_model(given, task, ensemble)
    made = session(model)
    for rows in (given, unseen(given), {name: column[:1] for name, column in given.items()}):
        found = made.of_table(rows)
        predicted = model.predict(Table(rows))
        if task == "regression":
            # The target's own spread is the scale: 1e-5 of 1e6 would be a third of it.
            np.testing.assert_allclose(found["prediction"], predicted, rtol=0, atol=1e-5 * 3e4)
        else:
            labels, p = (found[each.name] for each in reversed(made.session.get_outputs()))
            assert_close(p, model.predict_proba(Table(rows)))
            np.testing.assert_array_equal(labels, predicted)


def test_names_of_columns_and_outputs_do_not_collide(rng):
    given = {name: rng.normal(size=M) for name in ("label", "probabilities", "Concat", "X", "m")}
    made = session(table_model(given))
    assert [each.name for each in made.session.get_inputs()] == list(given)
    assert [each.name for each in made.session.get_outputs()] == ["probabilities_2", "label_2"]
    assert made.of_table(given)["label_2"].shape == (M,)


def test_inputs_by_kind(rng):
    types = {
        each.name: each.type for each in session(table_model(columns(rng))).session.get_inputs()
    }
    for name, expected in {
        "number": "tensor(double)",
        "flag": "tensor(double)",
        "zip code": "tensor(double)",
        "sex": "tensor(string)",
        "many": "tensor(string)",
        "date": "tensor(int64)",
        "image": "tensor(uint8)",
    }.items():
        assert types[name] == expected, name


@pytest.mark.parametrize("word", ["", "NA", "n/a", "NaN", "None", "null", "?"])
def test_every_word_for_a_missing_value(word):
    given = {"x": texts(["a", "b", "c", None] * 5)}
    made = session(table_model(given))
    expected = made.of_table({"x": texts([None])})["probabilities"]
    got = made.of_table({"x": texts([word])})["probabilities"]
    np.testing.assert_array_equal(got, expected)


def test_another_runtime_agrees(rng):
    """onnx's own evaluator is slow, and follows the specification to the letter."""
    given = columns(rng)
    model = table_model(given, ensemble=2)
    made = session(model)
    feed = {each.name: as_input(given[each.name]) for each in made.session.get_inputs()}
    p, labels = ReferenceEvaluator(made.proto).run(None, feed)
    assert_close(p, model.predict_proba(Table(given)))
    np.testing.assert_array_equal(labels, model.predict(Table(given)))


def test_a_classifier_of_one_class(rng):
    X = rng.normal(size=(20, 3))
    clf = MLPClassifier((4,), random_state=0).partial_fit(X, ["a"] * 20, classes=["a"])
    assert set(rows_through(clf, X)["label"]) == {"a"}


def test_every_day_of_400_years():
    first = np.datetime64("1850-01-01", "us")
    days = first + np.arange(146_097) * np.timedelta64(86_400_000_000, "us")
    days[1::2] += np.timedelta64(86_399_999_999, "us")
    given = {"day": days}
    preprocessing = Preprocessing.fit(Table(given))
    assert preprocessing.n_outputs == 1 + 12 + 7 + 2
    graph = Graph()
    graph.output("Z", transform(graph, preprocessing))
    Z = Session(graph.to_bytes({})).of_table(given)["Z"]
    assert_close(Z, preprocessing.transform(given), 1e-6)


def test_a_missing_date_is_not_a_time_of_numpy():
    assert np.array(["NaT"], dtype="datetime64[us]").astype(np.int64)[0] == MISSING_DATE


def test_large_numbers_keep_their_differences():
    given = {"x": 1e9 + np.arange(100.0)}
    model = table_model(given)
    p = session(model).of_table(given)["probabilities"]
    assert len(np.unique(p[:, 0])) == 100
    assert_close(p, model.predict_proba(Table(given)))


def test_a_category_without_outputs_takes_no_input():
    preprocessing = Preprocessing.fit(Table({"x": np.arange(9.0)}))
    preprocessing.columns["empty"] = Category(0, [], 0, False)
    graph = Graph()
    graph.output("Z", transform(graph, preprocessing))
    assert [each.name for each in graph.inputs] == ["x"]


def test_tabular_estimators_as_they_are_fitted(rng, tmp_path):
    first = datetime.datetime(2020, 1, 1)
    data = {
        "age": rng.normal(40, 10, 120),
        "city": [None if k % 9 == 0 else "abc"[k % 3] for k in range(120)],
        "seen": [first + datetime.timedelta(hours=7 * k) for k in range(120)],
        "unused": rng.normal(size=120),
    }
    small = {"hidden_layer_sizes": (8,), "epochs": 3, "ensemble": 2, "drop": ["unused"]}
    clf = TabularClassifier(**small).fit(data, (rng.random(120) > 0.4).tolist())
    clf.save(tmp_path / "clf.pellucid")
    feed = {
        "age": data["age"],
        "city": np.array([each or "" for each in data["city"]], dtype=object),
        "seen": np.array(data["seen"], dtype="datetime64[us]").astype(np.int64),
    }
    export(tmp_path / "clf.pellucid", tmp_path / "clf.onnx")
    found = Session(tmp_path / "clf.onnx").run(feed)
    assert_close(found["probabilities"], clf.predict_proba(data))
    np.testing.assert_array_equal(found["label"], clf.predict(data))
    reg = TabularRegressor(**small).fit(data, 1e6 + rng.normal(0, 50, 120))
    predicted = reg.predict(data)
    scale = np.ptp(predicted) + reg.model_.target_std
    got = session(reg).run(feed)["prediction"]
    np.testing.assert_allclose(got, predicted, rtol=0, atol=1e-5 * scale)


# Files, messages, the command line ----------------------------------------------------------------


@pytest.fixture
def small() -> Network:
    return Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_inputs=3, seed=0)


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


@pytest.mark.parametrize("to", EXPORTERS)
def test_an_existing_file_stays(to, small, tmp_path):
    path = tmp_path / "model"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="already exists; nothing was written"):
        export(small, path, to)
    assert path.read_text() == "precious"
    export(small, path, to, overwrite=True)
    assert path.read_bytes() != b"precious"
    assert [each.name for each in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("to", EXPORTERS)
def test_a_folder_is_no_file(to, small, tmp_path):
    with pytest.raises(IsADirectoryError, match="it is a folder; give a file name"):
        export(small, tmp_path, to, overwrite=True)


@pytest.mark.parametrize("to", EXPORTERS)
def test_the_same_model_gives_the_same_file(to, small, tmp_path):
    export(small, tmp_path / "1", to)
    export(small, tmp_path / "2", to)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


@pytest.mark.parametrize("to", EXPORTERS)
def test_weights_that_are_no_numbers(to, small, tmp_path):
    small.W[1][0, 0] = np.nan
    with pytest.raises(ModelError, match="W1 holds NaN or infinity, so there is nothing to export"):
        export(small, tmp_path / "model", to)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported(small, tmp_path):
    with pytest.raises(
        TypeError, match=r"export takes a Network, .* got 'some text' \(str\)|folder"
    ):
        export(object(), tmp_path / "model")
    with pytest.raises(SettingsError, match=r"to must be one of onnx, c; got 'onx'.*'onnx'"):
        export(small, tmp_path / "model", "onx")
    with pytest.raises(ModelError, match=r"nothing\.pellucid"):
        export(tmp_path / "nothing.pellucid", tmp_path / "model")


def test_too_large_for_protobuf(small, monkeypatch):
    monkeypatch.setattr(exporter, "LARGEST", 10)
    with pytest.raises(ModelError, match="an ONNX file holds at most"):
        session(small)


def test_without_the_package(small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    for name in ("onnx", "graph", "columns"):
        monkeypatch.delitem(sys.modules, f"pellucid.export.{name}")
    with pytest.raises(MissingPackageError, match=r"pip install 'pellucid\[onnx\]'"):
        export(small, tmp_path / "model.onnx")


def test_default_path():
    assert default_path("some/iris.pellucid", "onnx") == Path("iris.onnx")
    assert default_path("iris", "c") == Path("iris.c")


@pytest.mark.parametrize("to", EXPORTERS)
def test_command(to, small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(small, "gate.pellucid")
    assert f"Saved: gate.{to}" in run("export", "gate.pellucid", "--to", to)
    assert "already exists" in run("export", "gate.pellucid", "--to", to, code=2)
    out = f"elsewhere/gate.{to}"
    told = json.loads(run("export", "gate.pellucid", "--to", to, "--out", out, "--json"))
    assert told == {
        "model": "gate.pellucid",
        "format": to,
        "file": out,
        "bytes": Path(out).stat().st_size,
    }
    assert Path(out).read_bytes() == Path(f"gate.{to}").read_bytes()
    run("export", "gate.pellucid", "--to", to, "--overwrite")


def test_command_refuses(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(small, "gate.pellucid")
    assert "--to must be one of onnx, c" in run("export", "gate.pellucid", "--to", "pdf", code=2)
    assert "gate.pelucid" in run("export", "gate.pelucid", code=2)
    Path("empty").mkdir()
    assert "empty" in run("export", "empty", code=2)
