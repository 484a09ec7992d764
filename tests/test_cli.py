"""The command line: what it prints, what it refuses, what it leaves behind."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import pellucid
from pellucid import Dense, Network, load, save
from pellucid.activations import ACTIVATIONS
from pellucid.cli import app
from pellucid.optimizers import OPTIMIZERS
from pellucid.tables import SAMPLES, read_table


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PELLUCID_DEBUG", raising=False)


def run(*arguments: str, code: int = 0) -> Result:
    """Run a command in this process and check its exit status."""
    result = CliRunner().invoke(app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def refused(*arguments: str, code: int = 2) -> str:
    """Run a command that must fail, check that it prints one message alone, and return it."""
    before = contents()
    result = run(*arguments, code=code)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert contents() == before
    assert result.stderr.startswith("pellucid: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def contents() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def write_table(name: str = "t.csv", rows: int = 60) -> None:
    lines = [f"{k},{(k * 7) % 11},{'ab'[k % 11 > 5]}" for k in range(rows)]
    Path(name).write_text("\n".join(["x,z,kind", *lines]))


FAST = ("--epochs", "3", "--hidden", "4")


@pytest.fixture
def model() -> Path:
    write_table()
    run("train", "t.csv", "--target", "kind", *FAST, "--quiet")
    return Path("t.pellucid")


# train --------------------------------------------------------------------------------------------


def test_train_says_what_it_does() -> None:
    write_table()
    result = run("train", "t.csv", "--target", "kind", "--epochs", "20", "--patience", "0")
    for expected in (
        r"Read t\.csv: 60 rows, 2 input columns; delimiter ','\.",
        r"Task: 'kind' holds 2 distinct texts: binary classification\.",
        r"Rows: 41 to train on, 7 to tell when to stop, 12 held out for the metrics\.",
        r"\n3 +dense +1 +sigmoid +\(1, 32\)",
        r"\nepoch  1/20  loss [\d.]+  validation loss [\d.]+\nepoch  2/20",
        r"\nepoch 20/20 ",
        r"\nStopped: all 20 epochs done\.",
        r"on 12 held-out rows +accuracy +log-loss +AUC",
        r"\nnetwork +[\d.]+ +[\d.]+ +[\d.]+",
        r"\nmajority class +[\d.]+ +[\d.]+ +0\.5000",
        r"\nlogistic regression \(no hidden layer\) +[\d.]+",
        r"\nSaved: t\.pellucid\nUse it: pellucid predict t\.pellucid DATA\n$",
    ):
        assert re.search(expected, result.stdout), expected
    assert result.stderr == ""
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    assert {path.name.split("-")[0] for path in Path("t.pellucid").iterdir()} == {
        "model.json",
        "weights",
        "history",
    }


def test_train_a_sample_needs_no_target_and_regression_has_its_metrics() -> None:
    result = run("train", "sample:diabetes", *FAST)
    assert "214 distinct whole numbers: regression" in result.stdout
    assert re.search(r"RMSE +MAE +R²", result.stdout)
    assert re.search(r"\nmean +", result.stdout)
    assert re.search(r"\nlinear regression \(no hidden layer\) +", result.stdout)
    assert load("diabetes.pellucid").task == "regression"


def test_train_json() -> None:
    write_table()
    result = run("train", "t.csv", "--target", "kind", *FAST, "--json", "--out", "deep/m")
    found = json.loads(result.stdout)
    assert result.stderr == ""
    assert found["model"] == "deep/m"
    assert found["rows"] == {"all": 60, "training": 41, "validation": 7, "test": 12}
    assert (found["task"], found["units"], found["parameters"]) == ("binary", [2, 4, 1], 17)
    assert (found["epochs"], found["stopped"]) == (3, "finished")
    assert found["engine"] in ("fused", "reference")
    assert list(found["metrics"]) == ["network", "majority class", "logistic regression"]
    assert load("deep/m").metrics["held_out"] == found["metrics"]


def test_train_quiet() -> None:
    write_table()
    result = run("train", "t.csv", "--target", "kind", *FAST, "-q")
    assert (result.stdout, result.stderr) == ("", "")
    assert Path("t.pellucid").is_dir()


def test_options_reach_the_network() -> None:
    write_table()
    options = ["--activation", "tanh", "--hidden", "5,6", "--dropout", "0.25", "--seed", "7"]
    options += ["--task", "multiclass", "--optimizer", "momentum", "--learning-rate", "0.05"]
    options += ["--l2", "0.01", "--batch-size", "16", "--epochs", "2", "--patience", "0"]
    run("train", "t.csv", "--target", "kind", *options)
    found = load("t.pellucid")
    assert [repr(layer) for layer in found.network.layers] == [
        "Dense(5, 'tanh', dropout=0.25)",
        "Dense(6, 'tanh', dropout=0.25)",
        "Dense(2, 'softmax')",
    ]
    asked = found.history["settings"]
    assert (asked["optimizer"], asked["learning_rate"]) == ("momentum", 0.05)
    assert (asked["l2"], asked["batch_size"], asked["seed"]) == (0.01, 16, 7)
    run("train", "t.csv", "--target", "kind", "--hidden", "none", "--overwrite", "--epochs", "2")
    assert load("t.pellucid").network.n == [2, 1]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer(optimizer: str) -> None:
    write_table()
    run("train", "t.csv", "--target", "kind", *FAST, "--optimizer", optimizer)
    assert load("t.pellucid").settings["optimizer"] == optimizer


def test_help_names_every_choice() -> None:
    text = " ".join(run("train", "--help").stdout.split())
    for name, g in ACTIVATIONS.items():
        assert (f"{name}," in text or f"{name}." in text) == (not g.output_only)
    for name in OPTIMIZERS:
        assert f"{name}," in text or f"{name}." in text


@pytest.mark.parametrize("command", ["", "train", "predict", "samples"])
def test_help_has_an_example_and_fits(command: str) -> None:
    result = run(*filter(None, [command]), "--help")
    assert "Examples:\n    pellucid" in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 80


DIVERGING = ("--optimizer", "gradient_descent", "--hidden", "4,4", "--activation", "identity")


def test_a_training_that_diverges_in_its_first_epoch_saves_nothing() -> None:
    message = refused("train", "sample:diabetes", *DIVERGING, "--learning-rate", "1e30", "-q")
    assert re.search(
        r"diverged at step \d+ of epoch 1: .*smaller --learning-rate \(it was 1e\+30\), or another "
        r"--optimizer\. Nothing was saved",
        message,
    )


def test_a_training_that_diverges_later_is_told_and_its_last_good_parameters_kept() -> None:
    options = ["--learning-rate", "0.5", "--patience", "0", "--batch-size", "512"]
    result = run("train", "sample:diabetes", *DIVERGING, "--hidden", "none", *options)
    assert re.search(r"Stopped: diverged at step \d+ of epoch \d+: J or a", result.stdout)
    assert "gradient_clip" not in result.stdout + result.stderr
    assert re.search(r"^pellucid: .* --learning-rate .* before that were saved", result.stderr)
    assert load("diabetes.pellucid").history["stopped"] == "diverged"
    assert np.isfinite(load("diabetes.pellucid").predict(read_table("sample:diabetes"))).all()


# What train refuses -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tt.csv", "--target", "kind"], r"there is no file 'tt\.csv' \(did you mean 't\.csv'\?\)"),
        (["t.csv"], r"name the column to learn with --target; t\.csv has: 'x', 'z', 'kind'"),
        (["t.csv", "--target", "knd"], r"no column 'knd' \(did you mean 'kind'\?\)"),
        (
            ["t.csv", "--target", "x"],
            r"1 input column is not numeric: 'kind' \(text, such as 'a'\)",
        ),
        (["t.csv", "--target", "kind", "--task", "regression"], "regression needs numbers"),
        (
            ["t.csv", "--target", "kind", "--task", "rank"],
            "--task must be one of binary, multiclass",
        ),
        (["sample:irsi"], r"there is no sample 'irsi' \(did you mean 'iris'\?\)"),
        (["sample:iris", "--hidden", "64;32"], "--hidden must be the units of each hidden layer"),
        (["sample:iris", "--hidden", "0"], r"--hidden must be the .* 1 or more, .*got '0'"),
        (
            ["sample:iris", "--optimizer", "lbfgs", "--dropout", "0.1"],
            "--dropout must be 0",
        ),
        (["."], "'.' is a folder; expected a file of data"),
        (
            ["sample:iris", "--activation", "rleu", "--epochs", "0", "--l2", "nan"],
            r"--epochs must .* --l2 must .* unknown activation 'rleu' \(did you mean 'relu'\?\)",
        ),
        (["sample:iris", "--out", "t.csv"], r"'t\.csv' is a file; a model is a folder"),
        (["sample:iris", "--out", "t.csv/m"], r"cannot write .* is a file, not a folder"),
        (["sample:iris", "--out", "."], "is a folder, but no Pellucid model"),
    ],
)
def test_train_refuses(arguments: list[str], message: str) -> None:
    write_table()
    assert re.search(message, refused("train", *arguments))


def test_train_never_replaces_a_model_unasked(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained(*arguments: Any, **options: Any) -> None:
        pytest.fail("the training began")

    with monkeypatch.context() as patch:
        patch.setattr("pellucid.training.train", trained)
        message = refused("train", "t.csv", "--target", "kind")
    assert re.search(r"'t\.pellucid' holds a model already; .*\(--overwrite\)", message)
    before = load(model).network.W[1].copy()
    run("train", "t.csv", "--target", "kind", *FAST, "--seed", "1", "--overwrite")
    assert (load(model).network.W[1] != before).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "sample:iris", "--activatoin", "relu"], "--activation"),
        (["train", "sample:iris", "--epochs", "many"], "Invalid value for '--epochs'"),
        (["trian", "sample:iris"], "No such command 'trian'"),
        (["predict", "m"], "Missing argument 'DATA'"),
        (["predict", "m", "d", "--head", "0"], "Invalid value for '--head'"),
    ],
)
def test_usage_mistakes(arguments: list[str], message: str) -> None:
    result = run(*arguments, code=2)
    assert message in result.stderr
    assert result.stdout == ""


def test_faults_of_our_own_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("all wrong")

    monkeypatch.setattr("pellucid.tables.read_table", broken)
    message = refused("train", "sample:iris", code=1)
    assert message == (
        "pellucid: internal error: RuntimeError: all wrong; run with PELLUCID_DEBUG=1 for the "
        "traceback\n"
    )
    monkeypatch.setenv("PELLUCID_DEBUG", "1")
    with pytest.raises(RuntimeError, match="all wrong"):
        run("train", "sample:iris")


def test_a_value_error_of_our_own_is_an_internal_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any, **options: Any) -> None:
        raise ValueError("shapes")

    monkeypatch.setattr("pellucid.tables.read_table", broken)
    assert "internal error: ValueError: shapes" in refused("train", "sample:iris", code=1)


def test_a_file_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.tables import read

    write_table()
    text = Path("t.csv").read_text()
    Path("t.csv").write_text(text.replace("kind", "target"))
    opened: list[Path] = []
    whole = read._read_bytes

    def counted(path: Path) -> bytes:
        opened.append(path)
        return whole(path)

    monkeypatch.setattr(read, "_read_bytes", counted)
    run("train", "t.csv", *FAST, "-q")
    assert opened == [Path("t.csv")]


def test_metrics_are_shown_with_four_decimals() -> None:
    from pellucid.cli import _shown

    assert [_shown("r2", value) for value in (-9.177e-07, 0.5, None)] == ["0.0000", "0.5000", "-"]
    assert _shown("rmse", 53.441) == "53.44"


def test_a_full_disk_is_told(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    message = refused("samples", "--write", "iris", "i.csv")
    assert message == "pellucid: 'i.csv': No space left on device.\n"
    message = refused("train", "t.csv", "--target", "kind", *FAST, "-q", "--overwrite")
    assert re.search(r"^pellucid: 't\.pellucid/weights-.*': No space left on device\.$", message)


# predict ------------------------------------------------------------------------------------------


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_predict_prints_csv(model: Path) -> None:
    result = run("predict", str(model), "t.csv", "--head", "4")
    header, *rows = rows_of(result.stdout)
    assert header == ["prediction", "p_a", "p_b"]
    table = read_table("t.csv", target="kind")
    table.X = table.X[:4]
    assert [row[0] for row in rows] == load(model).predict(table).tolist()
    found = np.array([row[1:] for row in rows], dtype=float)
    np.testing.assert_allclose(found, load(model).predict_proba(table), rtol=1e-8)
    assert result.stderr == "t.csv: 4 rows; delimiter ','; 1 column not used: 'kind'.\n"


def test_predict_matches_columns_by_name(model: Path) -> None:
    Path("new.csv").write_text("z;more;x\n" + "\n".join(f"{k};text;{k}" for k in range(3)))
    Path("old.csv").write_text("x,z\n" + "\n".join(f"{k},{k}" for k in range(3)))
    new, old = (run("predict", str(model), name) for name in ("new.csv", "old.csv"))
    assert new.stdout == old.stdout
    assert "1 column not used: 'more'" in new.stderr


def test_predict_to_a_file_and_as_json(model: Path) -> None:
    printed = run("predict", str(model), "t.csv").stdout
    result = run("predict", str(model), "t.csv", "--out", "deep/p.csv")
    assert result.stdout == ""
    assert Path("deep/p.csv").read_text() == printed
    message = refused("predict", str(model), "t.csv", "--out", "deep/p.csv")
    assert re.search(r"'deep/p\.csv' exists already; nothing was written", message)
    run("predict", str(model), "t.csv", "--out", "deep/p.csv", "--overwrite", "--head", "1")
    assert len(Path("deep/p.csv").read_text().splitlines()) == 2

    result = run("predict", str(model), "t.csv", "--json")
    found = json.loads(result.stdout)
    assert result.stderr == ""
    assert (found["rows"], found["target"], found["classes"]) == (60, "kind", ["a", "b"])
    assert found["predictions"] == [row[0] for row in rows_of(printed)[1:]]
    assert len(found["probabilities"][0]) == 2


def test_predict_numbers() -> None:
    run("train", "sample:diabetes", *FAST, "-q")
    header, *rows = rows_of(run("predict", "diabetes.pellucid", "sample:diabetes").stdout)
    assert (header, len(rows)) == (["prediction"], 442)


def test_predict_refuses(model: Path) -> None:
    save(Network([Dense(1)], n_inputs=2), "net.pellucid")
    Path("short.csv").write_text("x,y\n1,2")
    Path("text.csv").write_text("x,z\n1,2\n3,b")
    for arguments, message in (
        (["t.pelucid", "t.csv"], r"no model folder 't\.pelucid' \(did you mean 't\.pellucid'"),
        (["t.csv", "t.csv"], "is a file, not a Pellucid model"),
        (["net.pellucid", "t.csv"], "holds a Network, which knows no columns"),
        (["t.pellucid", "short.csv"], "lacks 1 column that the model was trained with: 'z'"),
        (["t.pellucid", "text.csv"], r"not numeric: 'z' \(text, such as 'b'\)"),
        (["t.pellucid", "t.csv", "--out", "t.pellucid"], "it is a folder; give a file name"),
        (["t.pellucid", "t.csv", "--out", "t.csv/p.csv"], "is a file, not a folder"),
    ):
        assert re.search(message, refused("predict", *arguments))
    next(model.glob("weights-*")).write_bytes(b"x")
    assert re.search("it was cut off", refused("predict", str(model), "t.csv"))


# samples ------------------------------------------------------------------------------------------


def test_samples_are_listed() -> None:
    result = run("samples")
    for name in SAMPLES:
        assert f"sample:{name} " in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    assert [entry["name"] for entry in json.loads(run("samples", "--json").stdout)] == list(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_written_sample_is_the_sample(name: str) -> None:
    result = run("samples", "--write", name, f"{name}.csv")
    assert result.stdout == f"Saved: {name}.csv ({SAMPLES[name].rows:,} rows)\n"
    found, expected = read_table(f"{name}.csv", target="target"), read_table(f"sample:{name}")
    assert found.columns == expected.columns
    assert found.X.tobytes() == expected.X.tobytes()
    np.testing.assert_array_equal(found.y, expected.y)


def test_samples_refuse() -> None:
    Path("there.csv").write_text("mine")
    for arguments, message in (
        (["irsi", "i.csv"], r"there is no sample 'irsi' \(did you mean 'iris'\?\)"),
        (["iris", "there.csv"], r"'there\.csv' exists already; nothing was written"),
    ):
        assert re.search(message, refused("samples", "--write", *arguments))
    run("samples", "--write", "iris", "there.csv", "--overwrite")
    assert Path("there.csv").read_text().startswith("sepal length (cm),")


# The real thing -----------------------------------------------------------------------------------


def process(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pellucid", *arguments]
    if os.name == "posix":  # a background job ignores SIGINT, and its children inherit that
        options["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def test_as_a_process() -> None:
    write_table()
    child = process("train", "t.csv", "--target", "kind", *FAST)
    out, err = child.communicate()
    assert (child.returncode, err) == (0, "")
    assert "Saved: t.pellucid" in out
    child = process("predict", "t.pellucid", "missing.csv")
    assert child.communicate() == ("", "pellucid: there is no file 'missing.csv'.\n")
    assert child.returncode == 2
    child = process("--version")
    assert child.communicate()[0] == f"pellucid {pellucid.__version__}\n"


def test_a_terminal_without_unicode() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    child = process("train", "sample:diabetes", *FAST, env=environment)
    out, err = child.communicate()
    assert (child.returncode, err) == (0, "")
    assert "R?" in out


def test_interrupting_keeps_what_was_learned() -> None:
    child = process("train", "sample:digits", "--epochs", "1000000", "--patience", "0")
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith("epoch"):
            break
    child.send_signal(signal.SIGINT)
    out, err = child.communicate()
    assert (child.returncode, err) == (0, "")
    assert re.search(r"Stopped: interrupted after \d+ epochs?; what was learned is kept\.", out)
    assert "majority class" in out
    found = load("digits.pellucid")
    assert found.history["stopped"] == "interrupted"
    assert len(found.predict(read_table("sample:digits"))) == 1797


def test_help_loads_neither_scikit_learn_nor_polars() -> None:
    code = (
        "import sys, pellucid.cli\n"
        "try: pellucid.cli.app(['train', '--help'])\n"
        "except SystemExit: pass\n"
        "print('heavy:', sorted({'sklearn', 'polars', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.endswith("heavy: []\n")
