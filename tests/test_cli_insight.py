"""``pellucid trace``, ``pellucid explain`` and ``pellucid diagnose``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from pellucid import Dense, MLPClassifier, Network, save
from pellucid.activations import Sigmoid
from pellucid.cli.commands.diagnose import as_options
from pellucid.insight import Diagnosis, Finding
from pellucid.insight.trace import PRESETS

pytestmark = pytest.mark.usefixtures("here")
Run = Callable[..., Result]
Refused = Callable[..., str]


@pytest.fixture
def iris(run: Run) -> str:
    run("train", "sample:iris", "--hidden", "5", "--epochs", "5", "--ensemble", "2")
    return "iris.pellucid"


def test_every_preset_is_shown(run: Run) -> None:
    listed = run("trace", "--preset", "list").stdout
    for name in PRESETS:
        assert name in listed
        text = run("trace", "--preset", name, "--width", "90").stdout
        assert "dW[1] = (1/m) " in text
        assert max(map(len, text.splitlines())) <= 90


def test_cells_of_volumes_and_of_steps(run: Run, refused: Refused) -> None:
    cell = run("trace", "--preset", "edge-detector", "--cell", "Z[1][0, 1, 0]").stdout
    assert cell.startswith("Z[1][0, 1, 0, 0] = sum_j W[1][0, j] P[1][j, 1] + b[1][0, 0]\n")
    assert "|1  0  -1|  |1  1  0|" in cell
    cell = run("trace", "--preset", "echo", "--cell", "Z[1]<2>[0, 0]").stdout
    assert cell.endswith("= 0.5 * 8 + 1 * 0 + 0 = 4\n")
    assert "dW[2][0, 3]" in refused("trace", "--preset", "echo", "--cell", "Z[1]<2>")
    message = refused("trace", "--preset", "echo", "--cell", "Z[1]<5>[0, 0]")
    assert "name a step, 1 to 4" in message
    assert "0 to 3" in refused("trace", "--preset", "edge-detector", "--cell", "Z[1][4, 0, 0]")


def test_a_preset_in_the_place_of_a_model_is_known(run: Run, refused: Refused) -> None:
    for data in ((), ("sample:iris",)):
        message = refused("trace", "edge-detector", *data)
        assert message.endswith("with its own data: pellucid trace --preset edge-detector\n")
    Path("xor").mkdir()
    assert "is not a Pellucid model" in refused("trace", "xor", "sample:iris")


def test_a_row_of_a_table(run: Run, iris: str) -> None:
    text = run("trace", iris, "sample:iris", "--row", "60").stdout
    assert text.startswith("Row 60 of sample:iris, target = 'versicolor', network 1 of 2\n")
    assert "4-5-3, 1 example, loss categorical_cross_entropy" in text
    assert "Y = [1]" in text
    other = run("trace", iris, "sample:iris", "--row", "60", "--network", "2").stdout
    assert ", network 2 of 2\n" in other
    assert other.splitlines()[1:] != text.splitlines()[1:]


def test_a_cell_and_a_check(run: Run) -> None:
    cell = run("trace", "--preset", "xor", "--cell", "dW[1][0, 1]").stdout
    assert cell.startswith("dW[1][0, 1] = 1/4 sum_i dZ[1][0, i] X[1, i]\n")
    checked = run("trace", "--preset", "xor", "--cell", "dX[0, 1]", "--check").stdout
    assert "gradients agree with central differences" in checked
    assert re.search(r"^dZ1 +L ", checked, re.M)


def test_a_check_that_fails_says_so_and_ends_with_1(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Sigmoid.backward
    monkeypatch.setattr(Sigmoid, "backward", lambda g, dA, Z, A: 2 * right(g, dA, Z, A))
    found = run("trace", "--preset", "xor", "--cell", "dX[0, 1]", "--check", code=1)
    assert re.search(r"^dZ1 +L .*WRONG", found.stdout, re.M)
    assert found.stderr == "pellucid: a gradient differs from the finite differences.\n"


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("t.html", "<!doctype html>"),
        ("t.tex", "\\documentclass"),
        ("t.txt", "The AND gate"),
        ("t.svg", "<svg"),
    ],
)
def test_files(run: Run, refused: Refused, name: str, start: str) -> None:
    run("trace", "--preset", "and-gate", "--out", name)
    content = Path(name).read_text(encoding="utf-8")
    assert content.startswith(start)
    assert "already exists" in refused("trace", "--preset", "and-gate", "--out", name)
    assert Path(name).read_text(encoding="utf-8") == content
    run("trace", "--preset", "xor", "--out", name, "--overwrite")
    assert Path(name).read_text(encoding="utf-8") != content


def test_slides_and_the_optimizers_step(run: Run, refused: Refused) -> None:
    run("trace", "--preset", "xor", "--out", "t.tex", "--slides", "--optimizer", "adam")
    content = Path("t.tex").read_text(encoding="utf-8")
    assert content.startswith("\\documentclass{beamer}")
    assert "s_{dW}^{[1]}" in content
    assert "writes a .tex file" in refused("trace", "--preset", "xor", "--slides")
    assert "one step" not in run("trace", "--preset", "xor").stdout
    message = refused("trace", "--preset", "xor", "--optimizer", "adm")
    assert "did you mean 'adam'" in message
    assert "name one" in refused("trace", "--preset", "xor", "--learning-rate", "0.1")
    third = run("trace", "--preset", "xor", "--optimizer", "adam", "--step", "3").stdout
    assert "alpha 0.0547449 / 0.271" in third
    data = run("trace", "--preset", "xor", "--optimizer", "adam", "--step", "3", "--json").stdout
    assert json.loads(data)["state"]["step"] == 2
    assert "name it with --optimizer" in refused("trace", "--preset", "xor", "--step", "2")


def test_rows_without_a_target_keep_their_number(run: Run, refused: Refused, iris: str) -> None:
    names = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm),target"
    rows = ["1,2,3,4,setosa", "2,2,3,4,", "3,2,3,4,virginica", "4,2,3,4,"]
    Path("gaps.csv").write_text("\n".join([names, *rows]), encoding="utf-8")
    assert "target = 'virginica'" in run("trace", iris, "gaps.csv", "--row", "3").stdout
    for row in ("2", "4", "5"):
        message = refused("trace", iris, "gaps.csv", "--row", row)
        assert f"gaps.csv: row {row} has no target, or is beyond the last row" in message


@pytest.mark.parametrize("command", ["trace", "diagnose"])
def test_a_target_that_was_not_learned_is_refused(
    run: Run, refused: Refused, iris: str, command: str
) -> None:
    names = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm),target\n"
    Path("daisy.csv").write_text(names + "1,2,3,4,daisy\n", encoding="utf-8")
    message = refused(command, iris, "daisy.csv")
    assert "daisy.csv: the target holds 'daisy', which is not among the classes 'setosa'" in message
    run("train", "sample:diabetes", "--hidden", "5", "--epochs", "2", "--ensemble", "1")
    names = "age,sex,bmi,bp,s1,s2,s3,s4,s5,s6,target\n"
    Path("text.csv").write_text(names + "1,2,3,4,5,6,7,8,9,10,much\n", encoding="utf-8")
    message = refused(command, "diabetes.pellucid", "text.csv")
    assert "text.csv: the target 'target' holds texts, such as 'much'" in message


def test_a_number_is_traced_as_it_was_learned(run: Run) -> None:
    run("train", "sample:diabetes", "--hidden", "5", "--epochs", "2", "--ensemble", "1")
    text = run("trace", "diabetes.pellucid", "sample:diabetes", "--row", "5").stdout
    found = re.match(r"Row 5 of .*, target = 135, Y = \(target - (\S+)\) / (\S+)\n", text)
    assert found is not None
    mean, std = map(float, found.groups())
    Y = re.search(r"^Y = \[(\S+)\]$", text, re.M)
    assert Y is not None
    assert float(Y[1]) == pytest.approx((135 - mean) / std, abs=1e-3)


def test_json(run: Run, iris: str) -> None:
    cell = json.loads(run("trace", "--preset", "xor", "--cell", "Z[1][1,2]", "--json").stdout)
    assert cell["value"] == -20 + 30
    assert cell["sources"] == {
        "W[1][1, 0]": -20, "X[0, 2]": 1, "W[1][1, 1]": -20, "X[1, 2]": 0, "b[1][1, 0]": 30,
    }  # fmt: skip
    data = json.loads(run("trace", "--preset", "and-gate", "--json").stdout)
    assert data["arrays"]["Z[1]"] == [[-30, -10, -10, 10]]
    data = json.loads(run("explain", iris, "sample:iris", "--row", "3", "--json").stdout)
    total = data["start"] + sum(data["contributions"].values())
    assert total == pytest.approx(data["value"], abs=1e-2)


def test_an_explanation(run: Run, iris: str) -> None:
    text = run("explain", iris, "sample:iris", "--row", "60", "--of", "setosa").stdout
    assert re.match(r"Row 60 of sample:iris: the probability of 'setosa' is [\d.e-]+\.\n", text)
    assert re.search(r"^petal width \(cm\) +1\.4 +[+-]\d", text, re.M)
    assert re.search(r"^Together: [+-]\d", text, re.M)


def test_a_class_that_is_a_number_is_explained(run: Run) -> None:
    rows = "\n".join(f"{k % 7},{int(k % 7 > 3)}" for k in range(60))
    Path("small.csv").write_text(f"x,y\n{rows}\n", encoding="utf-8")
    run("train", "small.csv", "--target", "y", "--hidden", "4", "--epochs", "3", "--ensemble", "1")
    said = run("explain", "small.pellucid", "small.csv", "--row", "2", "--of", "1").stdout
    assert "the probability of 1 is" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trace", "--preset", "and_gate"], r"no preset 'and_gate' \(did you mean 'and-gate'\?\)"),
        (["trace", "--preset", "xor", "m.pellucid"], r"--preset brings its own network and data"),
        (["trace", "--row", "2"], r"name MODEL and DATA, or --preset NAME"),
        (
            ["trace", "--preset", "xor", "--cell", "dW"],
            r"--cell must be written as 'dW\[2\]\[0, 3\]'",
        ),
        (["trace", "--preset", "xor", "--cell", "dW[3][0,0]"], r"--cell .*no dW\[3\]"),
        (["trace", "--preset", "xor", "--out", "t.pdf"], r"--out must end in \.html, \.tex, \.txt"),
        (["trace", "no.pellucid", "sample:iris"], r"no\.pellucid"),
        (["trace", "--preset", "xor", "--row", "2"], r"--preset shows all its examples; leave out"),
        (["trace", "--preset", "xor", "--network", "2"], r"--preset shows all its examples"),
        (["trace", "--preset", "xor", "--cell", "g'[1][0,0]"], r"g'\[1\] stands in dZ\[1\]"),
        (
            ["trace", "--preset", "xor", "--json", "--out", "t.txt"],
            r"--out writes the whole trace; leave out --json and --cell",
        ),
    ],
)
def test_what_is_refused(refused: Refused, arguments: list[str], message: str) -> None:
    assert re.search(message, refused(*arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["trace", "iris.pellucid", "sample:iris", "--row", "151"],
            r"150 rows; --row 151 is beyond",
        ),
        (
            ["trace", "iris.pellucid", "sample:iris", "--network", "3"],
            r"--network must be at most 2",
        ),
        (["explain", "iris.pellucid", "sample:iris", "--row", "999"], r"150 rows; --row 999"),
        (
            ["explain", "iris.pellucid", "sample:iris", "--of", "rose"],
            r"--of must be one of the classes, setosa, .*; got 'rose'",
        ),
        (["explain", "iris.pellucid", "sample:wine"], r"lacks 4 columns"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(
    iris: str, refused: Refused, arguments: list[str], message: str
) -> None:
    assert re.search(message, refused(*arguments))


# pellucid diagnose --------------------------------------------------------------------------------


def test_a_training_that_went_wrong_is_diagnosed(run: Run) -> None:
    options = ["--epochs", "8", "--hidden", "16,16", "--ensemble", "1", "--activation", "identity"]
    said = run("train", "sample:digits", *options).stderr
    assert "pellucid: no non linearity in every hidden layer: " in said
    assert "for details run: pellucid diagnose digits.pellucid" in said
    text = run("diagnose", "digits.pellucid").stdout
    assert re.match(r"warning: no non linearity \(every hidden layer\)\n  all 2 hidden", text)
    assert "  Why: With the identity everywhere" in text
    assert (
        "--activation relu" in run("diagnose", "digits.pellucid", "sample:digits", "--fix").stdout
    )
    data = json.loads(run("diagnose", "digits.pellucid", "--json").stdout)
    assert data["suggested"] == {"activation": "relu"}
    assert data["findings"][0]["kind"] == "no_non_linearity"
    assert "No non linearity" in Path("digits.pellucid/report.html").read_text(encoding="utf-8")


def test_a_healthy_training_is_left_in_peace(run: Run) -> None:
    said = run("train", "sample:breast_cancer", "--ensemble", "1", "--hidden", "64,64").stderr
    assert said == ""
    text = run("diagnose", "breast_cancer.pellucid").stdout
    assert text == (
        "Nothing found. Looked at: parameters, loss curves, statistics, facts of the data.\n"
    )
    report = Path("breast_cancer.pellucid/report.html").read_text(encoding="utf-8")
    assert "Nothing wrong was found" in report
    assert "What it relies on" in report


def test_the_fix_of_a_table_can_be_pasted() -> None:
    found = Diagnosis(
        [
            Finding("leak", "warning", "", "", "", "Leave it out.", {"drop": ["zip code", "id"]}),
            Finding("underfitting", "warning", "", "", "", "", {"hidden_layer_sizes": [64, 32]}),
            Finding("symmetry", "error", "", "", "", "Start random.", {"initializer": "he_normal"}),
            Finding("overfitting", "info", "", "", "", "Stop early.", {"patience": 20}),
        ]
    )
    assert as_options(found) == (
        "--hidden 64,32 --drop 'zip code' --drop id\n# symmetry: Start random."
    )
    assert as_options(Diagnosis()) == ""


def test_the_fix_of_another_model_is_python(run: Run) -> None:
    X = np.random.default_rng(0).normal(size=(300, 2))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    frozen = MLPClassifier((8,), learning_rate_init=1e-7, random_state=0)
    save(frozen.fit(X, y), "frozen.pellucid")
    net = Network([Dense(4), Dense(1, "sigmoid")], 2, "zeros")
    save(net, "zeros.pellucid")
    assert run("diagnose", "zeros.pellucid", "--fix").stdout == "initializer = 'he_normal'\n"
    assert run("diagnose", "frozen.pellucid", "--fix").stdout == "learning_rate_init = 0.0001\n"


def test_a_fault_of_the_diagnosis_does_not_lose_the_model(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pellucid.insight.diagnose", lambda *a, **k: 1 / 0)
    said = run("train", "sample:iris", "--hidden", "5", "--epochs", "5", "--ensemble", "1").stderr
    assert re.search(r"no diagnosis was written, .*ZeroDivisionError", said)
    assert Path("iris.pellucid/report.html").exists()
