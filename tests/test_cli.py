"""The command line as a whole, and predict, evaluate and samples."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

import pellucid
from pellucid import Dense, Network, load_predictor, save
from pellucid.cli import COMMANDS
from pellucid.tables import SAMPLES, read_table

pytestmark = pytest.mark.usefixtures("here")
Run = Callable[..., Result]
Refused = Callable[..., str]
FAST = ("--epochs", "3", "--hidden", "4")


def write_table(name: str = "t.csv", rows: int = 60) -> None:
    lines = [
        f"{k % 13},{(k * 7) % 11 if k % 9 else ''},2024-01-{k % 28 + 1:02d},{'ab'[k % 11 > 5]}"
        for k in range(rows)
    ]
    Path(name).write_text("\n".join(["x,z,day,kind", *lines]))


@pytest.fixture
def model(run: Run) -> Path:
    write_table()
    run("train", "t.csv", "--target", "kind", *FAST, "--quiet")
    return Path("t.pellucid")


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


# predict ------------------------------------------------------------------------------------------


def test_predict_prints_csv(run: Run, model: Path) -> None:
    result = run("predict", str(model), "t.csv", "--head", "4")
    header, *rows = rows_of(result.stdout)
    assert header == ["prediction", "p_a", "p_b"]
    table = read_table("t.csv", target="kind").rows(slice(4))
    assert [row[0] for row in rows] == load_predictor(model).predict(table).tolist()
    found = np.array([row[1:] for row in rows], dtype=float)
    np.testing.assert_allclose(found, load_predictor(model).predict_proba(table), rtol=1e-8)
    assert result.stderr == (
        "t.csv: 4 rows; delimiter ','; header in line 1; 1 column not used: 'kind'.\n"
    )


def test_predict_matches_columns_by_name(run: Run, model: Path) -> None:
    lines = [f"{k};text;2024-02-0{k + 1};{k}" for k in range(3)]
    Path("new.csv").write_text("\n".join(["z;more;day;x", *lines]))
    lines = [f"{k},{k},2024-02-0{k + 1}" for k in range(3)]
    Path("old.csv").write_text("\n".join(["x,z,day", *lines]))
    new, old = (run("predict", str(model), name) for name in ("new.csv", "old.csv"))
    assert new.stdout == old.stdout
    assert "1 column not used: 'more'" in new.stderr


def test_missing_and_unseen_values_are_predicted(run: Run, model: Path) -> None:
    Path("new.csv").write_text("x,z,day\n,,\n99,1,1999-01-01\n")
    assert len(rows_of(run("predict", str(model), "new.csv").stdout)) == 3


def test_predict_to_a_file_and_as_json(run: Run, refused: Refused, model: Path) -> None:
    printed = run("predict", str(model), "t.csv").stdout
    result = run("predict", str(model), "t.csv", "--out", "deep/p.csv")
    assert result.stdout == ""
    assert Path("deep/p.csv").read_text() == printed
    message = refused("predict", str(model), "t.csv", "--out", "deep/p.csv")
    assert re.search(r"'deep/p\.csv' already exists; nothing was written", message)
    run("predict", str(model), "t.csv", "--out", "deep/p.csv", "--overwrite", "--head", "1")
    assert len(Path("deep/p.csv").read_text().splitlines()) == 2

    result = run("predict", str(model), "t.csv", "--json")
    found = json.loads(result.stdout)
    assert result.stderr == ""
    assert (found["rows"], found["target"], found["classes"]) == (60, "kind", ["a", "b"])
    assert found["predictions"] == [row[0] for row in rows_of(printed)[1:]]
    assert len(found["probabilities"][0]) == 2
    assert "files" not in found


def test_predict_numbers(run: Run) -> None:
    run("train", "sample:diabetes", *FAST, "-q")
    header, *rows = rows_of(run("predict", "diabetes.pellucid", "sample:diabetes").stdout)
    assert (header, len(rows)) == (["prediction"], 442)
    expected = load_predictor("diabetes.pellucid").predict(read_table("sample:diabetes"))
    np.testing.assert_allclose([float(row[0]) for row in rows], expected, rtol=1e-8)


def test_predict_loads_no_scikit_learn(run: Run, model: Path) -> None:
    code = (
        "import sys, pellucid.cli\n"
        f"try: pellucid.cli.app(['predict', {str(model)!r}, 't.csv', '--out', 'p.csv'])\n"
        "except SystemExit: pass\n"
        "print('heavy:', sorted({'sklearn', 'scipy', 'matplotlib'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.endswith("heavy: []\n"), out.stderr


def test_decimal_commas_are_remembered(run: Run) -> None:
    """1,234 alone may be a thousand; the file that was trained on told what it is."""
    rows = [f"{k % 7},{k % 10}5;{k % 13},123;{'ab'[k % 7 > 3]}" for k in range(60)]
    Path("t.csv").write_text("\n".join(["x;z;kind", *rows]))
    assert "decimal commas in 'x', 'z'" in run("train", "t.csv", "--target", "kind", *FAST).stdout
    Path("new.csv").write_text("x;z;kind\n1,234;2,345;a\n5,678;3,456;b\n")
    found = json.loads(run("predict", "t.pellucid", "new.csv", "--json").stdout)
    rows = {"x": [1.234, 5.678], "z": [2.345, 3.456]}
    model = load_predictor("t.pellucid")
    assert found["probabilities"] == model.predict_proba(rows).tolist()
    measured = json.loads(run("evaluate", "t.pellucid", "new.csv", "--json").stdout)
    assert "decimal commas in 'x', 'z'" in measured["notes"]
    Path("new.csv").write_text("x;z\n1.234;2.345\n5.678;3.456\n")
    again = json.loads(run("predict", "t.pellucid", "new.csv", "--json").stdout)
    assert again["probabilities"] == found["probabilities"]


# evaluate -----------------------------------------------------------------------------------------


def test_evaluate_classes(run: Run, model: Path) -> None:
    result = run("evaluate", str(model), "t.csv")
    for expected in (
        r"^t\.csv: 60 rows; delimiter ','; header in line 1\.",
        r"\non 60 rows +accuracy +log-loss +AUC",
        r"\nnetwork +[\d.]+ +[\d.]+ +[\d.]+",
        r"\nmajority class +[\d.]+ +[\d.]+ +0\.5000",
    ):
        assert re.search(expected, result.stdout), expected
    found = json.loads(run("evaluate", str(model), "t.csv", "--json").stdout)
    assert (found["rows"], found["target"], found["task"]) == (60, "kind", "binary")
    predicted = load_predictor(model).predict(read_table("t.csv"))
    accuracy = np.mean(predicted == read_table("t.csv", target="kind").y)
    assert found["metrics"]["network"]["accuracy"] == pytest.approx(accuracy)
    assert sum(map(sum, found["confusion"])) == 60


def test_evaluate_numbers_and_another_target(run: Run) -> None:
    run("train", "sample:diabetes", *FAST, "-q")
    result = run("evaluate", "diabetes.pellucid", "sample:diabetes")
    assert re.search(r"\nmean +[\d.]+ +[\d.]+ +0\.0000", result.stdout)
    run("samples", "--write", "diabetes", "d.csv")
    text = Path("d.csv").read_text().replace("target", "progress", 1)
    Path("d.csv").write_text(text)
    again = run("evaluate", "diabetes.pellucid", "d.csv", "--target", "progress")
    assert again.stdout.splitlines()[-1] == result.stdout.splitlines()[-1]


def test_evaluate_compares_with_the_column_that_is_asked_for(run: Run, model: Path) -> None:
    header, *rows = Path("t.csv").read_text().splitlines()
    Path("u.csv").write_text("\n".join([header + ",other", *(row + ",a" for row in rows)]))
    predicted = [row[0] for row in rows_of(run("predict", str(model), "t.csv").stdout)[1:]]
    found = json.loads(run("evaluate", str(model), "u.csv", "--target", "other", "--json").stdout)
    assert found["target"] == "other"
    assert found["metrics"]["network"]["accuracy"] == predicted.count("a") / 60
    assert found["metrics"]["majority class"]["accuracy"] == 1


def test_evaluate_refuses(refused: Refused, model: Path) -> None:
    Path("u.csv").write_text(Path("t.csv").read_text().replace("kind", "sort"))
    assert re.search("has no column 'kind'", refused("evaluate", str(model), "u.csv"))
    Path("u.csv").write_text(Path("t.csv").read_text() + "\n1,2,2024-01-01,c")
    message = refused("evaluate", str(model), "u.csv")
    assert re.search(r"the target holds 'c', which is not among the classes", message)


# samples ------------------------------------------------------------------------------------------


def test_samples_are_listed(run: Run) -> None:
    result = run("samples")
    for name in SAMPLES:
        assert f"sample:{name} " in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    assert [entry["name"] for entry in json.loads(run("samples", "--json").stdout)] == list(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_written_sample_is_the_sample(run: Run, name: str) -> None:
    result = run("samples", "--write", name, f"{name}.csv")
    assert result.stdout == f"Saved: {name}.csv ({SAMPLES[name].rows:,} rows)\n"
    found = read_table(f"{name}.csv", target="target")
    expected = read_table(f"sample:{name}", target="target")
    assert list(found.columns) == list(expected.columns)
    for column in found.columns:
        np.testing.assert_array_equal(found.columns[column], expected.columns[column])
    np.testing.assert_array_equal(found.y, expected.y)


def test_samples_refuse(run: Run, refused: Refused) -> None:
    Path("there.csv").write_text("mine")
    for arguments, message in (
        (["irsi", "i.csv"], r"there is no sample 'irsi' \(did you mean 'iris'\?\)"),
        (["iris", "there.csv"], r"'there\.csv' already exists; nothing was written"),
    ):
        assert re.search(message, refused("samples", "--write", *arguments))
    run("samples", "--write", "iris", "there.csv", "--overwrite")
    assert Path("there.csv").read_text().startswith("sepal length (cm),")


# The whole ----------------------------------------------------------------------------------------


def test_help_lists_the_commands_in_the_order_of_use(run: Run) -> None:
    shown = re.findall(r"^  (\w+)", run("--help").stdout.partition("Commands:\n")[2], re.MULTILINE)
    assert shown == list(COMMANDS)
    assert shown[:3] == ["train", "predict", "evaluate"]
    orders = [getattr(module, "HELP_ORDER", math.inf) for module in COMMANDS.values()]
    assert orders == sorted(orders)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_has_an_example_and_fits(run: Run, command: str) -> None:
    result = run(*filter(None, [command]), "--help")
    assert "Examples:\n    pellucid" in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 80


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "sample:iris", "--activatoin", "relu"], "--activation"),
        (["train", "sample:iris", "--epochs", "many"], "Invalid value for '--epochs'"),
        (["train", "photos", "--size", "0"], "Invalid value for '--size'"),
        (["trian", "sample:iris"], "No such command 'trian'"),
        (["predict", "m"], "Missing argument 'DATA'"),
        (["predict", "m", "d", "--head", "0"], "Invalid value for '--head'"),
    ],
)
def test_usage_mistakes(run: Run, arguments: list[str], message: str) -> None:
    result = run(*arguments, code=2)
    assert message in result.stderr
    assert result.stdout == ""


def test_the_version_and_what_it_computes_with(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.engines.simd.levels", lambda: ["avx512", "avx2", "baseline"])
    level = SimpleNamespace(level="avx2")
    monkeypatch.setattr("pellucid.engines.simd.load_level", lambda: level)
    monkeypatch.setattr("pellucid.engines.threads.available_cpus", lambda: 6)
    monkeypatch.delenv("PELLUCID_NUM_THREADS", raising=False)
    assert run("--version").stdout == (
        f"pellucid {pellucid.__version__}\n"
        "engine   fused, avx2 (also possible: avx512, baseline)\n"
        "threads  6\n"
        f"python   {platform.python_version()}, numpy {np.__version__}\n"
    )
    monkeypatch.setattr("pellucid.engines.simd.levels", lambda: ["avx2"])
    monkeypatch.setenv("PELLUCID_NUM_THREADS", "3")
    shown = run("--version").stdout.splitlines()
    assert shown[1:3] == ["engine   fused, avx2", "threads  3, as PELLUCID_NUM_THREADS says"]
    monkeypatch.setenv("PELLUCID_NUM_THREADS", "9999")
    assert re.search(
        r"threads  \d+, the most that is of use; PELLUCID_NUM_THREADS says 9999",
        run("--version").stdout,
    )


def test_the_version_of_a_pure_installation(
    run: Run, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pellucid.engines.simd.find_spec", lambda name: None)
    monkeypatch.delenv("PELLUCID_SIMD", raising=False)
    monkeypatch.delenv("PELLUCID_NUM_THREADS", raising=False)
    assert run("--version").stdout.splitlines()[1:3] == [
        "engine   reference: the fused engine is not built in this installation of pellucid. "
        "Install pellucid again with a C++ compiler and without PELLUCID_PURE.",
        "threads  as NumPy's BLAS decides",
    ]
    monkeypatch.setenv("PELLUCID_SIMD", "avx2")
    assert "PELLUCID_SIMD='avx2' cannot be used here: not built." in refused("--version")


def test_an_engine_that_does_not_load_is_no_pure_installation(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Any:
        raise ImportError("libstdc++.so.6 is missing")

    monkeypatch.setattr("pellucid.engines.simd.levels", lambda: ["baseline"])
    monkeypatch.setattr("pellucid.engines.simd.load_level", broken)
    assert "libstdc++.so.6 is missing" in refused("--version", code=1)


def test_faults_of_our_own_are_told_apart(
    run: Run, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("all wrong")

    monkeypatch.setattr("pellucid.tables.read.read_raw", broken)
    message = refused("train", "sample:iris", code=1)
    assert message == (
        "pellucid: internal error: RuntimeError: all wrong; run with PELLUCID_DEBUG=1 for the "
        "traceback\n"
    )
    monkeypatch.setenv("PELLUCID_DEBUG", "1")
    with pytest.raises(RuntimeError, match="all wrong"):
        run("train", "sample:iris")


def test_a_value_error_of_our_own_is_an_internal_error(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any, **options: Any) -> None:
        raise ValueError("shapes")

    monkeypatch.setattr("pellucid.tables.read.read_raw", broken)
    assert "internal error: ValueError: shapes" in refused("train", "sample:iris", code=1)


def test_a_model_without_columns_is_refused(refused: Refused) -> None:
    save(Network([Dense(1)], n_inputs=2), "net.pellucid")
    for command in ("predict", "evaluate"):
        message = refused(command, "net.pellucid", "sample:iris")
        assert "'net.pellucid' holds a network without table columns" in message


# As processes -------------------------------------------------------------------------------------


def process(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pellucid", *arguments]
    if os.name == "posix":  # a background job ignores SIGINT, and its children inherit that
        options["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


EARLY = r"(pellucid: (stopped too early|for details run).*\n)*"
"""What may be said of trainings as short as these."""


def test_as_a_process() -> None:
    write_table()
    child = process("train", "t.csv", "--target", "kind", *FAST)
    out, err = child.communicate()
    assert child.returncode == 0
    assert re.fullmatch(EARLY, err)
    assert "Saved: t.pellucid" in out
    child = process("predict", "t.pellucid", "missing.csv")
    assert child.communicate() == ("", "pellucid: there is no file 'missing.csv'.\n")
    assert child.returncode == 2
    child = process("--version")
    assert child.communicate()[0].splitlines()[0] == f"pellucid {pellucid.__version__}"


TRAIN = ("train", "sample:iris", *FAST, "--quiet")


def test_a_level_that_cannot_be_is_the_users_fault(here: None, monkeypatch: Any) -> None:
    monkeypatch.setenv("PELLUCID_SIMD", "mmx")  # read once in a process
    for command in (TRAIN, ("--version",)):
        child = process(*command)
        out, err = child.communicate()
        assert (child.returncode, out) == (2, "")
        assert err.startswith("pellucid: PELLUCID_SIMD='mmx' is not a SIMD level")
        assert err.count("\n") == 1


@pytest.mark.parametrize("command", [TRAIN, ("--version",)])
@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("PELLUCID_NUM_THREADS", "two", "PELLUCID_NUM_THREADS must be 1 or more; got 'two'."),
        ("PELLUCID_NUM_THREADS", "²", "PELLUCID_NUM_THREADS must be 1 or more; got '²'."),
    ],
)
def test_a_variable_that_cannot_be_is_the_users_fault(
    command: tuple[str, ...],
    variable: str,
    value: str,
    message: str,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, value)
    assert refused(*command).startswith(f"pellucid: {message}")


def test_a_terminal_without_unicode() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    child = process("train", "sample:diabetes", *FAST, env=environment)
    out, err = child.communicate()
    assert child.returncode == 0
    assert re.fullmatch(EARLY, err)
    assert "R?" in out


def test_interrupting_keeps_what_was_learned() -> None:
    options = ["--ensemble", "1", "--epochs", "1000000", "--patience", "0"]
    child = process("train", "sample:digits", *options)
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith("epoch"):
            break
    child.send_signal(signal.SIGINT)
    out, err = child.communicate()
    assert (child.returncode, err) == (0, "")
    assert re.search(r"Stopped: interrupted after \d+ epochs?; what was learned is kept\.", out)
    assert "majority class" in out
    found = load_predictor("digits.pellucid")
    assert found.histories[0]["stopped"] == "interrupted"
    assert len(found.predict(read_table("sample:digits", target="target"))) == 1797


def test_interrupting_an_ensemble_says_what_is_missing() -> None:
    child = process("train", "sample:iris", "--epochs", "1000000", "--patience", "0")
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith("network 1/5"):
            break
    child.send_signal(signal.SIGINT)
    _, err = child.communicate()
    said = r"interrupted: 1 of 5 networks is trained \(the last for \d+ of 1000000 epochs\); the 4 "
    assert re.fullmatch(rf"pellucid: {said}others are missing\. Train again to get .*\n", err)
    assert child.returncode == 0
    assert "are missing" in load_predictor("iris.pellucid").data["warnings"][-1]


def test_help_loads_neither_scikit_learn_nor_polars() -> None:
    code = (
        "import sys, pellucid.cli\n"
        "try: pellucid.cli.app(['train', '--help'])\n"
        "except SystemExit: pass\n"
        "print('heavy:', sorted({'sklearn', 'polars', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.endswith("heavy: []\n")
