"""``pellucid train``: which rows it holds out, what it leaves out, and what it says of both."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import Result

from pellucid import load_predictor

pytestmark = pytest.mark.usefixtures("here")
Run = Callable[..., Result]
FAST = ("--target", "y", "--epochs", "2", "--hidden", "4", "--overwrite")
ONE = (*FAST, "--ensemble", "1")
M = 120


def write(name: str = "t.csv", m: int = M, **more: Any) -> pl.DataFrame:
    """A table in the order of its days, with a customer for each four of its rows."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=m)
    columns = {
        "day": pl.date_range(
            pl.date(2024, 1, 1), pl.date(2024, 1, 1) + pl.duration(days=m - 1), eager=True
        ),
        "customer": [f"c{k // 4}" for k in range(m)],
        "x": x,
        "z": rng.normal(size=m),
        "y": np.where(x + rng.normal(size=m) > 0, "a", "b"),
    }
    frame = pl.DataFrame({**columns, **more})
    frame.write_csv(name)
    return frame


def shown_page(folder: str) -> str:
    """The words of a report."""
    page = Path(folder, "report.html").read_text()
    return " ".join(re.sub(r"<[^>]*>", " ", page).replace("&#39;", "'").split())


# How rows are held out ----------------------------------------------------------------------------


def test_a_random_hold_out_of_rows_in_time_or_with_keys_is_said_to_flatter(run: Run) -> None:
    write()
    said = [
        "the rows are in the order of 'day': a random hold-out flatters, as its rows have "
        "neighbours in time among the training rows; --time day holds out the last rows",
        "'customer' repeats, 30 values in 120 rows: a random hold-out flatters if predictions are "
        "for new ones; --group customer holds out whole groups",
    ]
    result = run("train", "t.csv", *ONE)
    for each in said:
        assert f"\nNote: {each}.\n" in result.stdout
        assert f"Note: {each}." in shown_page("t.pellucid")
    assert "120 rows, split at random" in shown_page("t.pellucid")
    # Columns that are dropped tell it too.
    found = json.loads(run("train", "t.csv", *ONE, "--drop", "day,customer", "--json").stdout)
    held_out = {"how": "random", "column": None, "words": "at random", "cautions": said}
    assert found["held_out"] == held_out
    assert load_predictor("t.pellucid").data["held_out"] == held_out


def test_by_time(run: Run) -> None:
    write()
    result = run("train", "t.csv", *FAST, "--time", "day")
    words = "the last by 'day', from 2024-04-06 on"
    assert re.search(
        r"\nRows: 96 in steps forward in time, each of which decides when one of 5 networks, "
        rf"trained on all rows before it, stops; 24 held out for the metrics: {words}\.\n",
        result.stdout,
    )
    assert re.search(r"\nday +date ", result.stdout)  # a date is an input as any other
    page = shown_page("t.pellucid")
    assert "120 rows, split by time" in page
    assert f"not used before the end: {words}" in page
    assert "5 networks were trained, one step further in time each" in page
    assert "flatters" not in result.stdout + page
    write().reverse().write_csv("t.csv")
    result = run("train", "t.csv", *ONE, "--time", "day", "--drop", "day")
    assert "77 to train on, 19, the latest, to decide when to stop; 24 held" in result.stdout
    model = load_predictor("t.pellucid")
    assert "day" not in model.preprocessing.columns
    assert model.data["held_out"] == {
        "how": "time",
        "column": "day",
        "words": words,
        "cautions": [],
    }


def test_by_group(run: Run) -> None:
    write()
    result = run("train", "t.csv", *FAST, "--group", "customer")
    assert re.search(
        r"\nRows: 96 in 5 folds of whole groups, each of which decides when one of 5 networks "
        r"stops; 24 held out for the metrics: 6 of the 30 groups of 'customer': 'c\d+', ",
        result.stdout,
    )
    assert "\nLeft out: 'customer': it groups the rows.\n" in result.stdout
    page = shown_page("t.pellucid")
    assert "120 rows, split by whole groups" in page
    assert "split into 5 folds of whole groups" in page
    assert "flatters" not in result.stdout + page
    assert "customer" not in load_predictor("t.pellucid").preprocessing.columns
    result = run("train", "t.csv", *ONE, "--group", "day", "--drop", "day")
    assert (
        "24 held out for the metrics: at random, as no two rows have the same 'day'."
        in result.stdout
    )


def test_by_rows_of_ones_own(run: Run) -> None:
    frame = write()
    frame[40:80].select("y", "z", "x", "day").write_csv("later.csv")
    result = run("train", "t.csv", *FAST, "--test", "later.csv", "--drop", "customer")
    assert "Rows: 120 in 5 folds, " in result.stdout
    assert "; 40 held out for the metrics: the rows of later.csv.\n" in result.stdout
    assert re.search(r"\non 40 held-out rows ", result.stdout)
    assert "flatters" not in result.stdout
    page = shown_page("t.pellucid")
    assert "160 rows:" in page
    assert "not used before the end: the rows of later.csv" in page
    measured = json.loads(run("evaluate", "t.pellucid", "later.csv", "--json").stdout)["metrics"]
    assert measured["network"] == load_predictor("t.pellucid").metrics["metrics"]["network"]
    options = ("--time", "day", "--drop", "customer", "--json")
    found = json.loads(run("train", "t.csv", *FAST, "--test", "later.csv", *options).stdout)
    assert found["rows"] == {"all": 120, "seen": 120, "test": 40}
    assert found["held_out"]["how"] == "test"
    assert load_predictor("t.pellucid").data["validation"] == "time"


def test_rows_of_ones_own_are_read_before_the_training(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = write()
    frame.drop("y").write_csv("unlabelled.csv")
    frame.drop("x").write_csv("short.csv")
    frame.with_columns(pl.Series("y", ["c"] * M)).write_csv("other.csv")
    frame.with_columns(pl.Series("x", ["often"] * M)).write_csv("texts.csv")
    monkeypatch.setattr("pellucid.tables.fit.fit", lambda *a, **k: pytest.fail("it trains"))
    for name, message in (
        ("unlabelled", r"unlabelled\.csv has no column 'y'"),
        ("short", r"short\.csv lacks 1 column that the model was trained with: 'x'"),
        ("other", r"other\.csv: the target holds 'c', which is not among the classes 'a', 'b'"),
        ("texts", r"texts\.csv: column 'x' holds texts that are not numbers, such as 'often'"),
        ("nosuch", r"there is no file 'nosuch\.csv'"),
        ("t", r"--test is 't\.csv', which the network trains on; give other rows\."),
    ):
        found = refused("train", "t.csv", "--target", "y", "--test", f"{name}.csv")
        assert re.search(message, found), found
    assert "--test is 't.csv'" in refused("train", "t.csv", "--target", "y", "--test", "./t.csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--time", "y"), "--time names the target 'y'."),
        (("--group", "y"), "--group names the target 'y'."),
        (
            ("--time", "Day"),
            "--time names the column 'Day', which does not exist (did you mean 'day'?).",
        ),
        (
            ("--time", "day", "--group", "customer"),
            "--group and --time are both given; give one of",
        ),
        (
            ("--time", "customer"),
            "t.csv: 'customer' holds 'c0', which is not a time; expected",
        ),
        (("--time", "one"), "'one' is 1 in every row, so no row is later than another."),
        (("--time", "half"), "'half' holds 2 different times; at least 3 are needed: to train, to"),
        (
            ("--group", "one"),
            "'one' holds one group; at least 3 are needed to hold whole groups out",
        ),
        (
            ("--group", "half"),
            "'half' holds 2 groups; at least 3 are needed to hold whole groups out",
        ),
        (
            ("--time", "gap"),
            "t.csv: 'gap' holds no time in 2 rows: 4, 8 (counted from 1 after the",
        ),
        (
            ("--group", "gap"),
            "t.csv: 'gap' holds no group in 2 rows: 4, 8 (counted from 1 after the",
        ),
    ],
)
def test_what_cannot_part_the_rows(
    options: tuple[str, ...], message: str, refused: Callable[..., str]
) -> None:
    gap = [None if k in (3, 7) else k // 3 for k in range(M)]
    write(one=[1] * M, half=[k // 60 for k in range(M)], gap=gap)
    assert refused("train", "t.csv", "--target", "y", *options).startswith(f"pellucid: {message}")


def test_images_have_no_time(refused: Callable[..., str]) -> None:
    Path("photos").mkdir()
    for option in ("--time", "--group"):
        assert f"{option} is for tables" in refused("train", "photos", option, "day")


# What is left out ---------------------------------------------------------------------------------


def test_a_copy_that_is_missed_is_named_at_the_end(run: Run) -> None:
    rng = np.random.default_rng(0)
    temp = rng.normal(size=400)
    columns = {"temp": temp, "site": rng.choice(list("abc"), 400), "y": temp > 0}
    pl.DataFrame(columns).write_csv("t.csv")
    result = run("train", "t.csv", *ONE)
    assert (
        "\nLeft out: 'temp': it gives the target exactly: in its order each class is one block.\n"
        in result.stdout
    )
    advice = "without 'temp' nothing is left to learn: --keep temp"
    assert result.stderr == f"pellucid: {advice}\n"
    assert f"W{advice[1:]}." in shown_page("t.pellucid")
    assert load_predictor("t.pellucid").metrics["advice"] == advice
    kept = ("--keep", "temp", "--epochs", "20", "--json")
    found = json.loads(run("train", "t.csv", *ONE, *kept).stdout)
    assert found["metrics"]["network"]["accuracy"] > 0.95
    assert found["advice"] == ""
    # With other columns that tell something nothing is missed.
    pl.DataFrame({**columns, "hint": temp + rng.normal(size=400)}).write_csv("t.csv")
    result = run("train", "t.csv", *ONE, "--epochs", "20")
    assert "Left out: 'temp'" in result.stdout
    assert "nothing is left" not in result.stderr


def test_names_in_the_advice_are_quoted_for_a_shell(run: Run) -> None:
    rng = np.random.default_rng(0)
    u, v = rng.normal(size=(2, 200))
    columns = {"part 1": u, "part 2": v, "noise": rng.normal(size=200), "y": u + v}
    pl.DataFrame(columns).write_csv("t.csv")
    result = run("train", "t.csv", *ONE)
    assert result.stderr == (
        "pellucid: without 'part 1' and 'part 2' nothing is left to learn: --keep 'part 1' --keep "
        "'part 2'\n"
    )


def test_what_tells_the_target_almost_perfectly_is_used_and_named(run: Run) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=1000)
    pl.DataFrame({"x": x, "z": rng.normal(size=1000), "y": abs(x) > 1}).write_csv("t.csv")
    result = run("train", "t.csv", *ONE)
    assert "Left out" not in result.stdout
    assert re.search(
        r"\nNote: column 'x' by itself predicts the target almost perfectly \([\d.]+% right\)\. If "
        r"it is known only with the target, or after it: drop=\['x'\], or --drop 'x' on the ",
        result.stdout,
    )
