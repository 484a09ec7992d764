"""Names from outside as people see them: no control character leaves, nothing is endless."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from pellucid._shown import LONGEST, lines, message, quoted, short, visible
from pellucid.cli import app
from pellucid.cli.output import to_csv
from pellucid.graph import Graph

pytestmark = pytest.mark.usefixtures("here")
Run = Callable[..., Result]
Refused = Callable[..., str]

FAST = ("--epochs", "1", "--hidden", "2", "--ensemble", "1")
COLUMNS = ["a\x1b[31mred", "b\nc", "\u202etxt.exe", "d\x07\x9b1m", "e\u200b\u2066", "<b>&amp;"]
CLASSES = ["x\x1b]0;title\x07", "y\r\u202ez"]
CELL = "u\x1b[2J"


def hidden(text: str) -> set[str]:
    """What has no sign of its own, but for the ends of lines."""
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return {each for each in text if each != "\n" and unicodedata.category(each) in kinds}


# The helpers --------------------------------------------------------------------------------------


@given(st.text())
def test_what_is_shown_is_visible_and_short(text: str) -> None:
    assert not hidden(visible(text))
    assert "\n" not in visible(text)
    assert visible(visible(text)) == visible(text)
    assert lines(text).split("\n") == [visible(line) for line in text.split("\n")]
    for most in (1, 2, 9):
        assert len(short(text, most)) <= most
        assert len(message(text, most)) <= most
    if text.isprintable() and len(text) < 70:
        assert short(text) == message(text) == visible(text) == text


def test_other_letters_stay_as_they_are() -> None:
    for text in ("größer", "漢字", "الوزن", "80.0\u202f%", "a\xa0b", "👍🏽", "ё e\u0301", "tab\\t"):
        assert visible(text) == text
    assert visible("a\u3164b\u034f") == r"a\u3164b\u034f"  # letters that show nothing
    assert visible("\ud800") == r"\ud800"


def test_long_names_are_cut_and_the_sentence_stays() -> None:
    name = "n" * 10**6
    told = message(f"the file's own {name!r} and {'m' * 10**6!r}, not 'short': don't; 'x's' it.")
    assert len(told) < 400
    assert told.endswith("mmm', not 'short': don't; 'x's' it.")
    assert len(message(name)) == LONGEST
    path = f"/home/someone/{'deep/' * 20}table.csv"
    assert message(f"there is no file {path!r}.") == f"there is no file {path!r}."


# The command line ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A folder with a hostile table and its model, and what the training has printed."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow([*COLUMNS, "word", "target\x1b"])
    for k in range(60):
        numbers = [k * j % 11 for j in range(1, len(COLUMNS) + 1)]
        writer.writerow([*numbers, CELL if k % 3 else "v", CLASSES[k % 2]])
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "h.csv").write_text(file.getvalue(), encoding="utf-8", newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = CliRunner().invoke(app, ["train", "h.csv", "--target", "target\x1b", *FAST])
    assert result.exit_code == 0, result.output
    return folder, result


@pytest.fixture
def hostile(trained: tuple[Path, Result], here: None) -> Result:
    """What the training has printed; h.csv and h.pellucid are here."""
    shutil.copytree(trained[0], ".", dirs_exist_ok=True)
    return trained[1]


def test_no_control_character_reaches_a_terminal(hostile: Result, run: Run) -> None:
    assert not hidden(hostile.output)
    for name in (r"a\x1b[31mred", r"b\nc ", r"\u202etxt.exe", r"d\x07\x9b1m", r"e\u200b\u2066"):
        assert f"\n{name}" in hostile.stdout, name
    for command in ("explain", "evaluate", "diagnose", "trace", "predict"):
        result = run(command, "h.pellucid", "h.csv")
        assert not hidden(result.stderr)
        if command != "predict":  # which prints data
            assert not hidden(result.stdout)
        if command not in ("diagnose", "trace"):
            found = run(command, "h.pellucid", "h.csv", "--json").stdout
            assert not hidden(found)
            assert json.loads(found)
    told = run("explain", "h.pellucid", "h.csv", "--row", "1").stdout
    assert r"probability of 'x\x1b]0;title\x07'" in told or r"'y\r\u202ez'" in told


ODD = "\x1b[2Jid\u202e"


def by_name(told: str) -> None:
    """The name is there, visible, and as an option that a shell takes."""
    assert not hidden(told)
    assert r"\x1b[2J" in told
    assert "$'" + r"\u001b[2J" in told


def rows_by(name: Callable[[int], object], extra: str = "") -> None:
    rows = [f"{name(k)},{k * 7 % 11},{'uv'[k * 5 % 7 % 2]}" for k in range(60)]
    header = f'"{ODD}",x,y'
    Path("t.csv").write_text("\n".join([header, *rows]) + extra, encoding="utf-8")


def test_advice_and_cautions_show_names_for_eyes_and_for_shells(run: Run) -> None:
    rows_by(lambda k: f"2024-{k // 28 + 1:02d}-{k % 28 + 1:02d}")
    told = run("train", "t.csv", "--target", "y", *FAST)
    by_name(told.output)
    assert "--time $'" in told.stdout
    page = Path("t.pellucid/report.html").read_text(encoding="utf-8")
    assert not hidden(page)
    assert "--time $" in page
    for option in ("--time", "--group"):
        told = run("train", "t.csv", "--target", "y", option, ODD, *FAST, "--overwrite")
        assert not hidden(told.output)
        assert r"'\x1b[2Jid\u202e'" in told.stdout


def test_what_is_left_out_unseen_or_a_total_is_shown_visible(run: Run) -> None:
    rows_by(lambda k: f"c\x1b[1m{k % 3}")
    run("train", "t.csv", "--target", "y", *FAST)
    rows_by(lambda k: f"d\x07{k % 3}", "\nTotal\x9b,300,u")
    for command in ("predict", "evaluate"):
        told = run(command, "t.pellucid", "t.csv", *(["--out", "p.csv"] * (command == "predict")))
        assert not hidden(told.output)
        assert r"hold a category not seen in training, such as 'd\x070'" in told.output
    rows = [f"c{k % 3},{k % 7 * 2.5}" for k in range(40)]
    total = sum(k % 7 * 2.5 for k in range(40))
    Path("s.csv").write_text(
        "\n".join(["where\x1b,y", *rows, "n/a\x1b,#N/A\x07", f"Total\x07,{total}"])
    )
    told = run("train", "s.csv", "--target", "y", *FAST)
    assert not hidden(told.output)
    assert r"'#N/A\x07' in row 41" in told.stdout
    assert r"'Total\x07' in 'where\x1b'" in told.stdout


def test_a_megabyte_of_a_name_fills_no_screen(run: Run) -> None:
    name = "n" * 10**6 + " id"
    rows = [f"{k // 3},{k * 7 % 11},{'uv'[k * 5 % 7 % 2]}" for k in range(90)]
    Path("t.csv").write_text("\n".join([f"{name},x,y", *rows]))
    told = run("train", "t.csv", "--target", "y", *FAST).output
    assert "repeats, 30 values in 90 rows" in told
    assert "holds out whole groups." in told
    told += run("train", "t.csv", "--target", "y", "--group", name, *FAST, "--overwrite").output
    assert max(map(len, told.splitlines())) < 1_000


def test_export_shows_names_visible(hostile: Result, run: Run) -> None:
    pytest.importorskip("onnxruntime")
    told = run("export", "h.pellucid", "--verify", "h.csv").output
    assert not hidden(told)
    assert r"a\x1b[31mred" in told


def test_refusals_show_what_is_hidden(hostile: Result, refused: Refused) -> None:
    message = refused("evaluate", "h.pellucid", "h.csv", "--target", "nix")
    assert r"its columns are 'a\x1b[31mred', 'b\nc', '\u202etxt.exe'" in message
    Path("o\x1b\n.csv").write_text("a,b\n1,2\n")
    assert r"o\x1b\n.csv lacks 7 columns" in refused("predict", "h.pellucid", "o\x1b\n.csv")
    message = refused("explain", "h.pellucid", "h.csv", "--of", "nix")
    assert r"x\x1b]0;title\x07, y\r\u202ez; got 'nix'" in message


def test_data_are_exact_where_no_person_reads_them(hostile: Result, run: Run) -> None:
    found = json.loads(run("predict", "h.pellucid", "h.csv", "--json").stdout)
    assert found["classes"] == CLASSES
    assert set(found["predictions"]) <= set(CLASSES)
    run("predict", "h.pellucid", "h.csv", "--out", "p.csv")
    header, *rows = csv.reader(io.StringIO(Path("p.csv").read_bytes().decode()))
    assert header == ["prediction", *(f"p_{name}" for name in CLASSES)]
    assert {row[0] for row in rows} <= set(CLASSES)


def test_on_a_terminal_data_are_visible_too(hostile: Result) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pellucid", "predict", "h.pellucid", "h.csv", "--head", "1"]
    subprocess.run(command, stdout=theirs, stderr=subprocess.DEVNULL, check=True)
    os.close(theirs)
    shown = os.read(ours, 10_000).decode().replace("\r\n", "\n")
    os.close(ours)
    assert shown.startswith('prediction,p_x\\x1b]0;title\\x07,"p_y\\r\\u202ez"\n')
    assert not hidden(shown)


def test_the_report_shows_them_as_text(hostile: Result) -> None:
    page = Path("h.pellucid/report.html").read_text(encoding="utf-8")
    assert not hidden(page)
    assert r"a\x1b[31mred" in page
    assert "&lt;b&gt;&amp;amp;" in page


def test_a_path_for_the_shell_can_be_pasted() -> None:
    name = "it's \x1b[31m\n\\ \u202e"
    assert not hidden(quoted(name))
    for shell in ("bash",):
        found = subprocess.run(
            [shell, "-c", f"printf %s {quoted(name)}"], capture_output=True, check=True
        )
        assert found.stdout.decode() == name
    assert quoted("a b") == "'a b'"


# Spreadsheets -------------------------------------------------------------------------------------


def test_formulas_are_made_harmless_when_asked(run: Run) -> None:
    rows = [f"{k % 6},={k % 2}+1" for k in range(60)]
    Path("s.csv").write_text("\n".join(["x,y", *rows]))
    run("train", "s.csv", "--target", "y", *FAST, "-q")
    command = ("predict", "s.pellucid", "s.csv")
    plain = [line.split(",")[0] for line in run(*command).stdout.splitlines()[1:]]
    safe = run(*command, "--safe-for-spreadsheets").stdout.splitlines()[1:]
    assert {"=0+1", "=1+1"} >= set(plain) > set()
    assert [line.split(",")[0] for line in safe] == [f'"\'{each}"' for each in plain]
    run(*command, "--safe-for-spreadsheets", "--out", "p.csv")
    assert Path("p.csv").read_text().splitlines()[1:] == safe
    told = " ".join(run("predict", "--help").stdout.replace("│", " ").split())
    assert "where a spreadsheet would take one for a formula" in told


@pytest.mark.parametrize("cell", ["=1+1", "+1+1", "-1+1", "@sum(a1)", "\t=1", "\r=1", "＝1"])
def test_what_is_a_formula(cell: str) -> None:
    text = to_csv(["a"], [[cell, 'a;="b"', "plain", "-1.5", "+2e-9", -3, ""]], safe=True)
    found = list(csv.reader(io.StringIO(text, newline="")))[1]
    assert found == [f"'{cell}", 'a;="b"', "plain", "-1.5", "+2e-9", "-3", ""]
    assert text.count('"') == 2 + 2 * 7 + 4  # all cells are quoted: a semicolon cuts none


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2), min_size=1))
def test_csv_reads_back_as_it_was(rows: list[list[str]]) -> None:
    found = list(csv.reader(io.StringIO(to_csv(["a", "b"], rows), newline="")))
    assert found == [["a", "b"], *rows]


# Elsewhere ----------------------------------------------------------------------------------------


def test_the_lab_shows_names_visible_and_saves_them_exact() -> None:
    pytest.importorskip("starlette")
    from pellucid.lab.datasets import DATASETS
    from pellucid.lab.server.uploads import choose_target, received
    from pellucid.lab.session.user_data import WEIGHTS

    held = set(WEIGHTS)
    content = '"n\x1b[31m","long\u202e",y\n'.encode() + b"1,2,u\n2,5,v\n3,1,u\n" * 9
    found = received("table", "t.csv", content)
    assert found["columns"] == ["n\x1b[31m", "long\u202e", "y"]
    assert found["shown"] == [r"n\x1b[31m", r"long\u202e", "y"]
    opened = choose_target(found["table"], "y", None)
    data = DATASETS.pop(opened["experiment"]["data"]["name"])
    assert data.inputs == (r"n\x1b[31m", r"long\u202e")
    assert data.user_data is not None
    assert data.user_data.columns is not None
    assert data.user_data.columns.columns == ["n\x1b[31m", "long\u202e"]
    assert set(WEIGHTS) == held


def test_expressions_that_double_stay_short() -> None:
    """Written out whole, each line has the one before it twice: 2^60 letters."""
    text = "v0 = a; " + "; ".join(f"v{k} = v{k - 1} v{k - 1}" for k in range(1, 61))
    graph = Graph(text, a=1.0)
    assert graph.values["v60"] == 1
    assert len(repr(graph)) < 100_000
    assert "…" in repr(graph)
    x: Any = Graph("J = a", a=1.0).last
    for _ in range(60):
        x = x * x
    assert len(x.expression()) < 100_000


@pytest.mark.parametrize(
    "text",
    [
        "a" * 15_000 + " b =",
        "J = f(" + "a" * 15_000 + ")",
        "b" * 9_000 + " = 1; J = 2",
        "J = " + "a" * 15_000,
        "J = lambda: " + "a" * 15_000,
        "J = " + "-" * 9_000 + "a",
        "x" * 5_000 + "=1; " + "x" * 5_000 + "=2",
    ],
)
def test_what_is_wrong_with_an_expression_is_told_shortly(text: str) -> None:
    with pytest.raises(ValueError, match=r"[a-z]") as caught:
        Graph(text)
    assert len(str(caught.value)) <= 1_000


def test_numbers_too_large_for_an_expression_are_infinite() -> None:
    assert Graph(f"J = {'9' * 400}").values["J"] == np.inf
    assert Graph(f"J = -{'9' * 400}").values["J"] == -np.inf
    with pytest.raises(TypeError, match="a graph computes with numbers and arrays; got 1000"):
        Graph("J = a", a=10**400)
