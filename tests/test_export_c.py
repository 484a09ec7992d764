"""Export to C: the file is compiled, without a warning, and computes what Pellucid computes."""

from __future__ import annotations

import ctypes
import dataclasses
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pellucid import Dense, MLPClassifier, MLPRegressor, Network, Scale
from pellucid.activations import ACTIVATIONS, ELU, Activation, LeakyReLU, Tanh
from pellucid.errors import ModelError, SettingsError
from pellucid.export import c as exporter
from pellucid.export import export, verify
from pellucid.export.c_columns import COLUMNS_IN_C
from pellucid.export.c_text import comment, literal
from pellucid.export.exported import exported
from pellucid.layers import Conv2D, MaxPool
from pellucid.tables import Table, TableModel
from pellucid.tables.kinds import KINDS
from pellucid.tables.preprocess import Preprocessing

CC = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
CXX = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
WARNINGS = ["-O1", "-Wall", "-Wextra", "-pedantic", "-Werror"]
compiled = pytest.mark.skipif(CC is None, reason="there is no C compiler (cc, gcc, clang)")
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])

ENTRIES: list[Activation] = [entry() for entry in ACTIVATIONS.values()]
ENTRIES += [LeakyReLU(slope=0.3), ELU(a=2.5), LeakyReLU(slope=1e-5)]


class Compiled:
    """A model's C file, compiled: ``run(X)`` gives y for each row of X."""

    def __init__(self, model: Any, folder: Path, flags: tuple[str, ...] = ()) -> None:
        self.source = folder / "model.c"
        export(model, self.source, "c")
        made = folder / "model.so"
        command = [str(CC), "-std=c99", *WARNINGS, *flags, "-shared", "-fPIC", str(self.source)]
        subprocess.run([*command, "-o", str(made), "-lm"], check=True)
        self.library = ctypes.CDLL(str(made))
        self.text = self.source.read_text("ascii")

    def run(self, X: np.ndarray, n: int, dtype: Any) -> np.ndarray:
        y = np.full((len(X), n), np.nan, dtype=dtype)
        X = np.ascontiguousarray(X)
        for x_row, y_row in zip(X, y, strict=True):
            self.library.pellucid_predict(
                x_row.ctypes.data_as(ctypes.c_void_p), y_row.ctypes.data_as(ctypes.c_void_p)
            )
        return y

    def labels(self, y: np.ndarray) -> list[str]:
        names = (ctypes.c_char_p * y.shape[1]).in_dll(self.library, "pellucid_classes")
        places = [self.library.pellucid_label(row.ctypes.data_as(ctypes.c_void_p)) for row in y]
        return [(names[place] or b"").decode() for place in places]


def network(g: Activation, dtype: str, rng: np.random.Generator) -> Network:
    layers = [Dense(5, g)]
    if not g.output_only:
        layers = [Scale(), Dense(16, g, dropout=0.2), Scale(), Dense(9, g), Dense(3, "identity")]
    net = Network(layers, 7, dtype=dtype, seed=0)
    for array in net.parameters.values():
        array[...] = rng.normal(size=array.shape)
    return net


def test_every_activation_has_a_c_form():
    assert [name for name, g in ACTIVATIONS.items() if not g.c_form] == []


@compiled
@each_dtype
def test_every_activation(dtype, rng, tmp_path):
    for k, g in enumerate(ENTRIES):
        folder = tmp_path / str(k)
        folder.mkdir()
        net = network(g, dtype, rng)
        made = Compiled(net, folder)
        for spread in (1.0, 20.0):
            X = (spread * rng.normal(size=(20, 7))).astype(dtype)
            expected = net.forward(X.T).T
            scale = max(1.0, float(np.abs(expected).max()))
            got = made.run(X, net.n[-1], dtype)
            close = {"float32": 1e-5, "float64": 1e-12}[dtype]
            np.testing.assert_allclose(got, expected, rtol=0, atol=close * scale, err_msg=repr(g))


@compiled
@each_dtype
def test_every_activation_far_out(dtype, tmp_path):
    # A network with one unit for each activation does not exist: one function for each.
    z = np.array([0, 1e-6, 1e-3, 0.5, 3, 10, 30, 69, 88, 100, 1e4, 1e30])
    Z = np.array([*-z, *z], dtype=dtype)[:, np.newaxis]
    for k, g in enumerate(ENTRIES):
        folder = tmp_path / str(k)
        folder.mkdir()
        Z_g = Z[np.abs(Z[:, 0]) < 1e5] if g.name == "softmax" else Z
        net = Network([Dense(1, g)], 1, initializer={1: ([[1.0]], [[0.0]])}, dtype=dtype)
        n = 2 if g.name in ("sigmoid", "hard_sigmoid") else 1
        got = Compiled(net, folder).run(Z_g, n, dtype)[:, -1:]
        close = {"float32": 1e-5, "float64": 1e-12}[dtype]
        expected = net.forward(Z_g.T).T
        np.testing.assert_allclose(got, expected, rtol=close, atol=close * 1e-2, err_msg=repr(g))


@compiled
@pytest.mark.skipif(CXX is None, reason="there is no C++ compiler (c++, g++, clang++)")
def test_it_is_cpp_too(rng, tmp_path):
    net = Network([Scale(), *(Dense(3, g) for g in ENTRIES if not g.output_only)], 3, seed=0)
    export(net, tmp_path / "model.c", "c")
    for standard in ("-std=c++98", "-std=c++11", "-std=c++20"):
        command = [str(CXX), "-x", "c++", standard, *WARNINGS, "-c", str(tmp_path / "model.c")]
        if standard == "-std=c++98":
            command.remove("-Werror")  # expm1f and log1pf are of 2011 there
        subprocess.run([*command, "-o", str(tmp_path / "model.o")], check=True)


@compiled
def test_weights_to_the_bit(rng, tmp_path):
    for dtype in ("float32", "float64"):
        (tmp_path / dtype).mkdir()
        net = Network([Dense(64, "identity")], 1, dtype=dtype, seed=0)
        info = np.finfo(dtype)
        special = [info.max, info.tiny, info.smallest_subnormal, -0.0, 0.1, 1 / 3, 1e-5, 123456789]
        net.W[1][:, 0] = np.resize(special, 64)
        net.W[1][8:, 0] = rng.normal(size=56) * 10.0 ** rng.integers(-30, 30, 56)
        got = Compiled(net, tmp_path / dtype).run(np.ones((1, 1), dtype), 64, dtype)
        np.testing.assert_array_equal(got[0], net.W[1][:, 0])


@compiled
def test_drop_ins(rng, tmp_path):
    X = rng.normal(size=(60, 4))
    several = rng.integers(0, 2, (60, 3))
    cases: list[Any] = [
        MLPClassifier((8,), random_state=0).partial_fit(X, several[:, 0], classes=[0, 1]),
        MLPClassifier((8,), "gelu", random_state=0).partial_fit(
            X, np.array(["ä", "b", "c"])[np.arange(60) % 3], classes=["b", "c", "ä"]
        ),
        MLPClassifier((8,), random_state=0).partial_fit(X, several, classes=[0, 1, 2]),
        MLPRegressor("poisson", (8,), random_state=0).partial_fit(X, several.astype(float)),
    ]
    for k, model in enumerate(cases):
        (tmp_path / str(k)).mkdir()
        made = Compiled(model, tmp_path / str(k))
        expected = model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)
        y = made.run(X, expected.shape[1], np.float64)
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-12)
        if k < 2:
            assert made.labels(y) == [str(label) for label in model.predict(X)]


# Tables -------------------------------------------------------------------------------------------


def texts(values: Any) -> np.ndarray:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def columns(rng: np.random.Generator) -> dict[str, np.ndarray]:
    m = 200
    dates = np.datetime64("1900-01-01", "us") + rng.integers(0, 6 * 10**15, m)
    some_dates = dates.copy()
    some_dates[::7] = np.datetime64("NaT", "us")
    return {
        "number": 1e9 + rng.normal(size=m),
        "with gaps": np.where(rng.random(m) < 0.1, np.nan, rng.normal(size=m)),
        "constant": np.full(m, 3.0),
        "flag": rng.choice([0.0, 1.0, np.nan], m),
        "sex": texts(rng.choice(["male", "female", None], m)),
        "many": texts([f"k{k}" for k in rng.zipf(1.4, m) % 90]),
        "with none": texts(rng.choice(["a", "b", "c", None], m)),
        "zip code": rng.choice(np.arange(10000.0, 10050), m),
        "date": dates,
        "some dates": some_dates,
        "image": rng.integers(0, 256, (m, 3, 5, 3)).astype(np.uint8),
    }


def as_x(preprocessing: Preprocessing, given: dict[str, np.ndarray]) -> np.ndarray:
    """The rows of numbers that the head of the file asks for."""
    parts = []
    for name, kind in preprocessing.columns.items():
        column = given[name]
        if column.ndim == 4:
            parts.append(column.reshape(len(column), -1).astype(float))
            continue
        if column.dtype.kind == "M":
            seconds = column.astype("datetime64[us]").astype(np.int64) / 1e6
            column = np.where(np.isnat(column), np.nan, seconds)
        elif column.dtype == object:
            known = getattr(kind, "values", None) or kind.categories
            places: dict[Any, float] = {text: k for k, text in enumerate(known)}
            column = np.array([np.nan if t is None else places.get(t, -1) for t in column])
        parts.append(column[:, np.newaxis])
    return np.hstack(parts).astype(float)


def test_every_kind_of_column_has_a_c_form():
    assert set(COLUMNS_IN_C) == set(KINDS)


@compiled
@pytest.mark.parametrize(
    ("task", "ensemble"), [("multiclass", 1), ("binary", 3), ("regression", 2)]
)
def test_model_of_a_table(task, ensemble, rng, tmp_path):
    given = columns(rng)
    preprocessing = Preprocessing.fit(Table(given), categorical=["zip code"])
    assert {kind.kind for kind in preprocessing.columns.values()} == set(KINDS)
    last = {"multiclass": (3, "softmax"), "binary": (1, "sigmoid"), "regression": (1, "identity")}
    networks = [
        Network([Scale(), Dense(16, "selu"), Dense(*last[task])], preprocessing.n_outputs, seed=k)
        for k in range(ensemble)
    ]
    classes = {"multiclass": ["x", "y", "z"], "binary": ["no", "yes"], "regression": []}[task]
    model = TableModel(
        preprocessing, networks, task, "y", list(given), classes, target_mean=1e6, target_std=3e4
    )
    made = Compiled(model, tmp_path)
    changed = {name: column.copy() for name, column in given.items()}
    for column in changed.values():
        if column.dtype == object:
            column[::5], column[1::11] = "new one", None
        elif column.dtype.kind == "f":
            column[::9], column[3::13], column[4::13] = np.nan, 1e30, -7
        elif column.dtype.kind == "M":
            column[::9] = np.datetime64("NaT", "us")
            column[1::9] = np.datetime64("2200-03-01T23:59:59.999")
            column[2::9] = np.datetime64("1600-02-29T00:00:00")
    for rows in (given, changed):
        X, table = as_x(preprocessing, rows), Table(rows)
        if task == "regression":
            y = made.run(X, 1, np.float64)[:, 0]
            np.testing.assert_allclose(y, model.predict(table), rtol=0, atol=1e-5 * 3e4)
        else:
            y = made.run(X, len(classes), np.float64)
            np.testing.assert_allclose(y, model.predict_proba(table), rtol=0, atol=1e-5)
            assert made.labels(y) == model.predict(table).tolist()


# Text that comes from the user --------------------------------------------------------------------

NASTY = [
    "*/ int x; /*",
    "*\\\n/ int x; /*",
    'new\nline " quote \\',
    "ends with \\",
    "trigraph ??/",
    "trigraph ??/\n#error ouch",
    "*??/\n/",
    "null \0 and bell \a",
    "größe 日本 \u2028 \u202e",
    "%s %d",
    "\ud800 a lone surrogate",
    "/",
    "*",
    "",
]


@pytest.mark.parametrize("text", NASTY)
def test_a_comment_stays_one(text):
    made = comment(text)
    assert made.isascii()
    assert made.isprintable()
    for end in ("*/", "/*", "\\", "??"):
        assert end not in made


@compiled
@pytest.mark.parametrize("flags", [(), ("-trigraphs", "-Wno-trigraphs")])
def test_names_cannot_break_the_file(flags, rng, tmp_path):
    labels = [text for text in NASTY if text.isprintable() or "\n" in text]
    given = {name: texts(rng.choice(labels, 80)) for name in NASTY if name}
    preprocessing = Preprocessing.fit(Table(given))
    net = Network([Dense(len(labels), "softmax")], preprocessing.n_outputs, seed=0)
    model = TableModel(preprocessing, [net], "multiclass", NASTY[0], list(given), labels)
    made = Compiled(model, tmp_path, flags)
    X = as_x(preprocessing, given)
    y = made.run(X, len(labels), np.float64)
    np.testing.assert_allclose(y, model.predict_proba(Table(given)), rtol=0, atol=1e-5)
    assert made.labels(np.eye(len(labels))) == labels


def test_literal():
    assert literal("a\nb\x00") == '"a\\012b\\000"'


# Messages -----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Own(Tanh):
    """Another g than tanh, of which no C form is known."""

    def __call__(self, Z):
        return np.tanh(2 * Z)


def test_layers_without_a_c_form_are_named_before_anything_is_written(tmp_path):
    layers = [Conv2D(2, 3), MaxPool(2), Dense(3, "tanh"), Dense(2, "softmax")]
    net = Network(layers, (6, 6, 1))
    named = (
        r"^layer 1 \(Conv2D 6 x 6 x 1 -> 4 x 4 x 2\), layer 1 \(MaxPool 4 x 4 x 2 -> 2 x 2 x 2\) "
        r"cannot be exported to C: that takes Dense \(without each_step\) and Scale"
    )
    with pytest.raises(ModelError, match=named):
        export(net, tmp_path / "folder" / "net.c", to="c")
    net = Network([*[Dense(2, each_step=True)] * 8, Dense(2)], (3, 1))
    with pytest.raises(ModelError, match=r"layer 6 \([^)]*\), 2 more layers cannot be exported"):
        export(net, tmp_path / "net.c", to="c")
    net = Network([Dense(2, "softmax")], (3, 1))
    with pytest.raises(SettingsError, match="lengths are for ONNX; a C file takes all"):
        export(net, tmp_path / "net.c", to="c", lengths=True)
    assert not list(tmp_path.iterdir())


@compiled
def test_dense_layers_of_volumes_and_with_few_connections(tmp_path, rng):
    mask = [[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 1], [1, 0, 0, 0, 0, 0]]
    net = Network([Scale(), Dense(3, "tanh", mask=mask), Dense(2, "softmax")], (3, 2), seed=1)
    net.W[1][...] = rng.normal(size=(3, 6))  # the connections that are not there too
    export(net, tmp_path / "net.c", to="c")
    assert "x[0] to x[5], 3 x 2, the last fastest" in (tmp_path / "net.c").read_text()
    X = rng.normal(size=(20, 3, 2)).astype(np.float32)
    found = verify(tmp_path / "net.c", net, X)
    assert found.ok, found.summary()


def test_an_activation_of_ones_own_is_named(tmp_path):
    net = Network([Dense(4, Own()), Dense(2, "identity")], 3, initializer="normal", seed=0)
    expected = r"layer 1 \(Dense 3 -> 4\) with the activation Own\(\) cannot be exported to C"
    with pytest.raises(ModelError, match=expected):
        export(net, tmp_path / "model.c", "c")


@dataclasses.dataclass(frozen=True)
class Softsign(Activation):
    """g(z) = z / (a + |z|), in no table, with a C form."""

    a: float = 2.0
    name = "soft sign"
    c_form = "z / ({a} + fabs(z))"

    def __call__(self, Z):
        return Z / (self.a + np.abs(Z))


@compiled
@each_dtype
def test_an_activation_of_ones_own_with_a_c_form(dtype, rng, tmp_path):
    net = network(Softsign(a=0.5), dtype, rng)
    X = rng.normal(size=(20, 7)).astype(dtype)
    got = Compiled(net, tmp_path).run(X, 3, dtype)
    np.testing.assert_allclose(got, net.forward(X.T).T, rtol=1e-4, atol=1e-4)


def test_too_large_a_file(tmp_path, monkeypatch):
    net = Network([Dense(1000, "tanh")], 100, seed=0)
    monkeypatch.setattr(exporter, "LARGEST", 1_000_000)
    with pytest.raises(ModelError, match=r"101,000 parameters would make a C file of about 1 MB;"):
        export(net, tmp_path / "model.c", "c")
    assert not list(tmp_path.iterdir())


def test_the_head_says_what_goes_in_and_out(rng):
    preprocessing = Preprocessing.fit(
        Table({"age": np.arange(9.0), "city": texts(["a", "b", "c"] * 3)})
    )
    net = Network([Dense(1, "sigmoid")], preprocessing.n_outputs, seed=0)
    model = TableModel(preprocessing, [net], "binary", "rich", ["age", "city"], ["no", "yes"])
    head = exporter.content(exported(model)).decode().split("*/")[0]
    for line in (
        "x[0] age: number; NaN where missing",
        'x[1] city: 0 for "a", 1 for "b", 2 for "c", -1 for any other; NaN where missing',
        "y[0] the probability of no",
        "y[1] the probability of yes",
    ):
        assert line in head
