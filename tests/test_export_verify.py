"""Verification: an exported file and its model are asked about the same rows."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from pellucid import Dense, MLPClassifier, Network, save
from pellucid.cli import app
from pellucid.errors import DataError, MissingPackageError, ModelError, SettingsError
from pellucid.estimators import TabularClassifier, TabularRegressor
from pellucid.export import export, runners, verify
from pellucid.tables import Table
from test_export import columns, table_model, unseen

CC = next(filter(None, map(runners.shutil.which, runners.COMPILERS)), None)
compiled = pytest.param("c", marks=pytest.mark.skipif(CC is None, reason="no C compiler"))
each_format = pytest.mark.parametrize("to", ["onnx", compiled])


def exported(model: Any, folder: Path, to: str) -> Path:
    path = folder / f"model.{to}"
    export(model, path, to, overwrite=True)
    return path


# What is compared ---------------------------------------------------------------------------------


@each_format
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "last", [(1, "sigmoid"), (3, "sigmoid"), (4, "softmax"), (2, "identity")], ids=str
)
def test_a_network(last, dtype, to, rng, tmp_path):
    net = Network([Dense(8, "tanh"), Dense(*last)], 5, seed=1, dtype=dtype)
    found = verify(exported(net, tmp_path, to), net, rng.normal(size=(20, 5)))
    assert found.ok
    assert (found.format, found.rows, found.opset) == (to, 20, 17 if to == "onnx" else None)
    rounding = {"float32": 1e-5, "float64": 1e-9}[dtype]
    assert 0 <= found.difference <= found.tolerance
    assert rounding <= found.tolerance <= 10 * rounding
    has_labels = last[1] != "identity" and not (to == "c" and last == (3, "sigmoid"))
    assert found.equal_labels == (1 if has_labels else None)


@each_format
@pytest.mark.parametrize("task", ["multiclass", "binary", "regression"])
def test_the_model_of_a_table(task, to, rng, tmp_path):
    given = columns(rng)
    model = table_model(given, task, ensemble=2)
    path = exported(model, tmp_path, to)
    for rows in (Table(given), unseen(given)):
        found = verify(path, model, rows)
        assert found.ok, found.summary()
        assert found.rows == len(given["number"])


@each_format
def test_texts_and_words_for_the_values_of_training(to, tmp_path):
    m = 40
    rows = {
        "number": np.arange(m) / 3,
        "code": np.resize([1.0, 2.0, 3.0, 5.0], m),
        "pair": np.resize([0, 1, 1], m),
        "word": np.resize(np.array(["yes", "no"], dtype=object), m),
        "day": np.datetime64("2020-01-01") + np.arange(m),
    }
    model = TabularClassifier((4,), epochs=2, ensemble=2, categorical=["code"])
    model.fit(rows, np.resize(["a", "b", "c"], m))
    written = {
        "number": ["1.5", "2", None, "7"],
        "code": ["1", "5.0", "another", None],
        "pair": ["no", "1", "true", None],
        "word": ["YES", "off", "1", None],
        "day": ["2020-03-01", None, "2021-12-31", "2019-01-01 10:00"],
    }
    found = verify(exported(model, tmp_path, to), model, written)
    assert found.ok, found.summary()
    model.save(tmp_path / "model.pellucid")
    assert verify(tmp_path / f"model.{to}", tmp_path / "model.pellucid", written) == found


def test_a_regression_is_measured_by_the_spread_of_its_target(rng, tmp_path):
    rows = {"x": rng.normal(size=60)}
    model = TabularRegressor((4,), epochs=2, ensemble=1).fit(rows, 1e6 + 50 * rng.normal(size=60))
    found = verify(exported(model, tmp_path, "onnx"), model, rows)
    assert found.ok
    assert 1e-5 * 40 < found.tolerance < 1e-5 * 500


def test_another_file_differs_and_is_told(rng, tmp_path):
    X = rng.normal(size=(50, 3))
    nets = [Network([Dense(2, "softmax")], 3, seed=seed) for seed in (0, 1)]
    found = verify(exported(nets[0], tmp_path, "onnx"), nets[1], X)
    assert not found.ok
    assert found.difference > 0.1
    assert found.wrong_labels > 0
    assert found.equal_labels == 1 - found.wrong_labels / 50
    assert found.summary().startswith("50 rows: largest difference 0.")
    assert found.to_dict()["ok"] is False


def test_labels_may_differ_where_probabilities_are_equal_but_for_rounding(tmp_path):
    tie = Network([Dense(2, "softmax")], 1, initializer={1: ([[0], [0]], [[0], [0]])})
    other = Network([Dense(2, "softmax")], 1, initializer={1: ([[0], [0]], [[0], [1e-6]])})
    found = verify(exported(tie, tmp_path, "onnx"), other, np.ones((4, 1)))
    assert (found.equal_labels, found.wrong_labels, found.ok) == (0, 0, True)


def test_labels_of_another_order_are_wrong(rng, tmp_path):
    X = rng.normal(size=(30, 2))
    models = [
        MLPClassifier((4,), random_state=0).partial_fit(X, y, classes=classes)
        for y, classes in ((["a"] * 30, ["a", "b"]), ([1] * 30, [1, 2]))
    ]
    path = exported(models[0], tmp_path, "onnx")
    found = verify(path, models[1], X)
    assert found.difference <= found.tolerance
    assert found.wrong_labels > 0
    assert not found.ok


# Messages -----------------------------------------------------------------------------------------


@pytest.fixture
def net() -> Network:
    return Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_inputs=3, seed=0)


@each_format
def test_a_file_of_another_model(to, net, rng, tmp_path):
    path = exported(Network([Dense(2, "softmax")], 7, seed=0), tmp_path, to)
    with pytest.raises(ModelError, match=r"cannot run .* on these rows|takes 3 numbers in x; .* 7"):
        verify(path, net, rng.normal(size=(5, 3)))
    path = exported(Network([Dense(5, "softmax")], 3, seed=0), tmp_path, to)
    with pytest.raises(ModelError, match=r"gives 5 numbers a row, the model 2: .*Export it again"):
        verify(path, net, rng.normal(size=(5, 3)))


@each_format
def test_a_file_that_is_none(to, net, tmp_path):
    path = tmp_path / f"model.{to}"
    path.write_text("nonsense")
    with pytest.raises(ModelError, match=r"cannot run .*model\.onnx|is not a C file of this model"):
        verify(path, net, np.ones((5, 3)))
    with pytest.raises(FileNotFoundError, match="nothing"):
        verify(tmp_path / f"nothing.{to}", net, np.ones((5, 3)))


@pytest.mark.skipif(CC is None, reason="no C compiler")
def test_c_that_cannot_be_compiled(net, tmp_path):
    path = exported(net, tmp_path, "c")
    path.write_text(path.read_text().replace("network(x, a);", "network(x a);"))
    with pytest.raises(ModelError, match=r"cannot compile .*model\.c: .*error.*Export it again"):
        verify(path, net, np.ones((5, 3)))


def test_no_rows(net, tmp_path):
    path = exported(net, tmp_path, "onnx")
    with pytest.raises(DataError, match=r"there are no rows, .*Give one or more"):
        verify(path, net, np.ones((0, 3)))


def test_the_format_goes_by_the_name(net, tmp_path):
    path = tmp_path / "model"
    export(net, path)
    assert verify(path, net, np.ones((5, 3)), to="onnx").ok
    with pytest.raises(SettingsError, match=r"to must be given .*\.onnx or \.c; got 'model'"):
        verify(path, net, np.ones((5, 3)))
    with pytest.raises(SettingsError, match="to must be one of onnx, c; got 'pdf'"):
        verify(path, net, np.ones((5, 3)), to="pdf")


def test_without_onnxruntime(net, tmp_path, monkeypatch):
    path = exported(net, tmp_path, "onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingPackageError, match="pip install onnxruntime"):
        verify(path, net, np.ones((5, 3)))


def test_without_a_compiler(net, tmp_path, monkeypatch):
    path = exported(net, tmp_path, "c")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPackageError, match=r"needs a C compiler.*\(cc, gcc, clang\)"):
        verify(path, net, np.ones((5, 3)))


# The command line ---------------------------------------------------------------------------------


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


@pytest.fixture
def trained(tmp_path, monkeypatch) -> None:
    """A model of a table, and the table, in the present folder."""
    monkeypatch.chdir(tmp_path)
    rows = {
        "size": np.arange(60) / 7,
        "color": np.resize(np.array(["red", "blue", None], dtype=object), 60),
        "day": np.datetime64("2020-01-01") + np.arange(60) % 28,
    }
    model = TabularClassifier((8,), epochs=2, ensemble=3).fit(rows, np.resize(["a", "b"], 60))
    model.save("toys.pellucid")
    lines = [
        ",".join("" if each is None else str(each) for each in row)
        for row in zip(*rows.values(), strict=True)
    ]
    Path("toys.csv").write_text("\n".join([",".join(rows), *lines]))


@each_format
def test_command(to, trained):
    told = run("export", "toys.pellucid", "--to", to, "--verify", "toys.csv")
    assert "toys.csv, 60 rows: largest difference" in told
    assert "(tolerance 1e-05), 100% of the labels equal" in told
    names = ("size double (m)", "color string (m)", "day int64 (m)", "label string (m)", "opset 17")
    for expected in names if to == "onnx" else ("input x double (3)", "output y double (2)"):
        assert expected in told
    told = json.loads(
        run("export", "toys.pellucid", "--to", to, "--verify", "toys.csv", "--overwrite", "--json")
    )["verification"]
    assert told["ok"]
    assert told["rows"] == 60
    assert told["equal_labels"] == 1
    assert 0 <= told["difference"] <= told["tolerance"] == 1e-5
    assert (told["data"], told["opset"]) == ("toys.csv", 17 if to == "onnx" else None)
    assert len(told["inputs"]) == (3 if to == "onnx" else 1)


def test_command_fails_where_the_file_differs(trained, monkeypatch):
    from pellucid.export import onnx

    answer = onnx.probabilities
    monkeypatch.setattr(onnx, "probabilities", lambda subject, A: answer(subject, 0.5 * A))
    told = run("export", "toys.pellucid", "--verify", "toys.csv", code=1)
    assert "toys.onnx does not give what the model gives on toys.csv: 60 rows: largest" in told
    told = run("export", "toys.pellucid", "--verify", "toys.csv", "--json", "--out", "2", code=1)
    assert '"ok": false' in told


def test_command_looks_at_everything_before_it_writes(trained, monkeypatch):
    Path("lacks.csv").write_text("size,day\n1,2020-01-01\n")
    Path("none.csv").write_text("size,color,day\n")
    for data, message in (
        ("lacks.csv", "lacks 1 column that the model was trained with: 'color'"),
        ("none.csv", "only a header, no rows"),
        ("nothing.csv", "there is no file 'nothing.csv'"),
    ):
        assert message in run("export", "toys.pellucid", "--verify", data, code=2)
    pdf = ("--to", "pdf", "--out", "toys.pdf", "--verify", "toys.csv")
    assert "--to must be one of onnx, c" in run("export", "toys.pellucid", *pdf, code=2)
    assert "--header is about the table of --verify" in run(
        "export", "toys.pellucid", "--no-header", code=2
    )
    save(Network([Dense(2, "softmax")], 3), "net.pellucid")
    assert "without table columns" in run("export", "net.pellucid", "--verify", "toys.csv", code=2)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    message = "pip install onnxruntime"
    assert message in run("export", "toys.pellucid", "--verify", "toys.csv", code=2)
    assert not Path("toys.onnx").exists()
    assert not Path("net.onnx").exists()


def test_command_shows_the_first_of_many_inputs(tmp_path, monkeypatch, rng):
    monkeypatch.chdir(tmp_path)
    names = [f"x{k}" for k in range(40)]
    X = rng.normal(size=(30, 40))
    model = TabularClassifier((4,), epochs=1, ensemble=1)
    model.fit(dict(zip(names, X.T, strict=True)), X[:, 0] > 0).save("wide.pellucid")
    rows = [",".join(names), *(",".join(map(str, row)) for row in X)]
    Path("wide.csv").write_text("\n".join(rows))
    told = run("export", "wide.pellucid", "--verify", "wide.csv")
    assert "x29" in told
    assert "x30" not in told
    assert "... and 10 more" in told
