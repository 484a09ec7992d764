"""Codes of categories: the same value in whatever form it comes, and what was never seen."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import polars as pl
import pytest
from typer.testing import Result

from pellucid import TabularClassifier, load_predictor, save
from pellucid.export.c_columns import preprocess
from pellucid.export.columns import transform
from pellucid.export.graph import Graph
from pellucid.tables import Preprocessing, as_table
from pellucid.tables.codes import code_of
from pellucid.tables.evaluate import class_numbers
from pellucid.tables.kinds import MOST_CATEGORIES, MOST_RARE, Category

Run = Callable[..., Result]
FAST = ("--epochs", "3", "--hidden", "4", "--ensemble", "1")
CODES = (10000, 20500, 94107)

FORMS: dict[str, Callable[[list[int]], Any]] = {
    "ints": lambda codes: codes,
    "floats": lambda codes: [float(code) for code in codes],
    "texts": lambda codes: [str(code) for code in codes],
    "texts with blanks": lambda codes: [f" {code} " for code in codes],
    "texts of floats": lambda codes: [f"{code}.0" for code in codes],
    "texts of more zeros": lambda codes: [f"{code}.00" for code in codes],
    "objects": lambda codes: np.array(codes, dtype=object),
    "nullable": lambda codes: pd.Series(codes, dtype="Int64"),
    "categories": lambda codes: pd.Series(codes, dtype="category"),
    "categories of texts": lambda codes: pd.Series([f"{c}.0" for c in codes], dtype="category"),
    "polars": lambda codes: pl.Series(codes, dtype=pl.UInt32),
    "polars categories": lambda codes: pl.Series(list(map(str, codes)), dtype=pl.Categorical),
}


def fitted(values: Any) -> Preprocessing:
    return Preprocessing.fit(as_table({"x": values}), categorical=["x"])


def outputs(preprocessing: Preprocessing, values: Any) -> list[list[float]]:
    return preprocessing.transform(as_table({"x": values}).columns).tolist()


def unseen(preprocessing: Preprocessing, values: Any) -> list[bool]:
    masks = preprocessing.unseen(as_table({"x": values}).columns)
    return masks["x"].tolist() if masks else [False] * len(values)


# The rule -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", FORMS)
@pytest.mark.parametrize("codes", [CODES, CODES[:2]])
def test_a_code_is_the_same_in_every_form(codes: tuple[int, ...], training: str) -> None:
    preprocessing = fitted(FORMS[training](list(codes) * 3))
    expected = [[-1], [1]] if len(codes) == 2 else np.eye(3).tolist()
    for name, form in FORMS.items():
        values = form(list(codes))
        assert outputs(preprocessing, values) == expected, name
        assert unseen(preprocessing, values) == [False] * len(codes), name


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA])
@pytest.mark.parametrize("training", ["ints", "texts", "texts of floats", "categories"])
def test_a_gap_changes_no_other_row(training: str, gap: Any) -> None:
    preprocessing = fitted(FORMS[training](list(CODES) * 3))
    series = pd.Series([*CODES, gap], dtype="object" if gap is pd.NA else "float64")
    assert outputs(preprocessing, series)[:3] == np.eye(3).tolist()
    assert outputs(preprocessing, series)[3] == [0, 0, 0]
    assert unseen(preprocessing, series) == [False] * 4


@pytest.mark.parametrize(
    ("training", "same", "other"),
    [
        (["00123", "456", "789"], ["00123", "00123.0", " 00123 "], ["123", 123, 123.0, "0123"]),
        ([123, 456, 789], ["123", "123.0", "+123", "1.23e2"], ["00123", "0123", "00123.0"]),
        (["123", "456", "789"], [123, "123.", "+123"], ["00123", "1.23e2", "123.5", "12.3"]),
        (["7.1", "7.10", "8.0"], ["7.1", 7.1], ["7.100", "71", "7"]),
        (["7.10", "7.2", "8.0"], ["7.10"], ["7.1", 7.1]),
        (["1e3", "2e3", "x"], ["1e3"], ["1000", 1000, "1E3"]),
        (["-1", "1", "2"], ["-1", -1, "-1.0", "\N{MINUS SIGN}1"], ["--1"]),
        (["0", "1", "2"], ["0", 0, "-0.0", -0.0, False, "False"], ["00", "no"]),
        (["False", "True", "unknown"], ["FALSE", False, 0, "0.0"], ["f", "no"]),
        ([str(10**17 + 1), "5", "6"], [10**17 + 1, f"{10**17 + 1}.0"], [10**17, float(10**17)]),
        ([2134.5, 1.0, 2.0], ["2134.5", "2134.50"], ["2134", "2134.0"]),
        (["00123", "00456"], ["00123", "00123.0"], ["123", 123.0]),
        ([123, 456], ["123", "123.0"], ["00123"]),
        (["7.1", "7.10"], ["7.1", 7.1], ["7.100"]),
    ],
)
def test_what_is_the_same_code_and_what_another(
    training: list[Any], same: list[Any], other: list[Any]
) -> None:
    preprocessing = fitted(training * 3)
    [expected] = outputs(preprocessing, training[:1])
    for value in same:
        assert outputs(preprocessing, [value]) == [expected], value
        assert unseen(preprocessing, [value]) == [False], value
    for value in other:
        assert outputs(preprocessing, [value]) == [[0] * preprocessing.n_outputs], value
        assert unseen(preprocessing, [value]) == [True], value


def test_what_training_told_apart_stays_apart() -> None:
    preprocessing = fitted(["7", "7.0", "8.0"] * 3)
    assert outputs(preprocessing, ["7", "7.0", "8"]) == np.eye(3).tolist()
    assert unseen(preprocessing, ["7", "7.0", "8", "7.00"]) == [False, False, False, True]
    two = fitted(["7", "7.0"] * 3)
    assert outputs(two, ["7", "7.0", "7.00"]) == [[-1], [1], [0]]


def test_truth_values_of_two_columns() -> None:
    preprocessing = fitted(["True", "False"] * 3)
    assert outputs(preprocessing, ["1.0", "yes", True, 1, "0", "no"]) == [[1]] * 4 + [[-1]] * 2
    assert unseen(preprocessing, ["1.0", "yes", "2", None]) == [False, False, True, False]


def test_classes_are_matched_as_codes_are() -> None:
    assert class_numbers(np.array(["2.0", "1.0"]), [1, 2]).tolist() == [1, 0]
    assert class_numbers(np.array([2, 1]), ["1.0", "2.0"]).tolist() == [1, 0]
    assert class_numbers(np.array(["true", "FALSE"]), [False, True]).tolist() == [1, 0]
    with pytest.raises(ValueError, match="holds '02', which is not among the classes 1, 2"):
        class_numbers(np.array(["1", "02"]), [1, 2])


def test_a_code_of_any_length() -> None:
    assert code_of("9" * 10_000 + ".0") == "9" * 10_000


# The rest bin, and models of before ---------------------------------------------------------------


def test_rare_categories_are_known() -> None:
    preprocessing = fitted([str(k) for k in range(50) for _ in range(50 - k)])
    kind = preprocessing.columns["x"]
    assert isinstance(kind, Category)
    assert (kind.others, len(kind.rare), kind.knows_all) == (18, 18, True)
    rest = np.eye(MOST_CATEGORIES + 1)[-1].tolist()
    assert outputs(preprocessing, ["45.0", 45, "new"]) == [rest] * 3
    assert unseen(preprocessing, ["45.0", 45, "new", "3.0"]) == [False, False, True, False]


def test_not_all_categories_of_a_large_column_are_remembered() -> None:
    kind = Category.fit(np.array([f"k{k}" for k in range(MOST_RARE + 50)], dtype=object), "x")
    assert (len(kind.rare), kind.others, kind.knows_all) == (MOST_RARE, MOST_RARE + 18, False)


def test_a_folder_without_the_rare_ones_is_read() -> None:
    preprocessing = fitted([f"{k}.0" for k in range(40) for _ in range(40 - k)])
    data = json.loads(json.dumps(preprocessing.to_dict()))
    del data["columns"][0]["rare"]
    older = Preprocessing.from_dict(data)
    values = ["3", 3, "3.0", "39", "new", None]
    assert outputs(older, values) == outputs(preprocessing, values)
    assert unseen(older, values) == [False] * 3 + [True, True, False]
    kind = older.columns["x"]
    assert isinstance(kind, Category)
    assert not kind.knows_all


@pytest.mark.parametrize("rare", [["a"], ["x"] * 3, [1], None, ["y", "z"]])
def test_damaged_rare_categories_are_refused(rare: Any) -> None:
    data = {"missing": 0, "categories": ["a"], "others": 1, "from_numbers": False, "rare": rare}
    with pytest.raises(ValueError, match="'rare' must be at most 'others' and 10,000 texts"):
        Category.from_dict(data)


def test_a_kind_is_pickled_and_compared_after_use() -> None:
    preprocessing = fitted(FORMS["texts"](list(CODES) * 3))
    again = pickle.loads(pickle.dumps(preprocessing))
    outputs(preprocessing, ["10000.0"])
    assert again == preprocessing
    assert outputs(pickle.loads(pickle.dumps(preprocessing)), [20500.0]) == [[0, 1, 0]]


# Files, estimators, exports -----------------------------------------------------------------------


def zips(rows: int = 60) -> dict[str, list[Any]]:
    return {
        "zip": [str(CODES[k % 3]) for k in range(rows)],
        "x": [k % 7 for k in range(rows)],
        "kind": ["ab"[k % 3 > 1] for k in range(rows)],
    }


def write(name: str, table: dict[str, list[Any]]) -> None:
    pd.DataFrame(table).to_csv(name, index=False)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("trained", ["texts", "texts of floats", "in Python"])
def test_a_gap_in_a_file_of_codes(run: Run, trained: str) -> None:
    table = zips()
    if trained == "in Python":
        X = {"zip": [int(code) for code in table["zip"]], "x": table["x"]}
        TabularClassifier((4,), epochs=3, categorical=["zip"], keep=["zip"]).fit(
            X, table["kind"]
        ).save("m")
    else:
        write("t.csv", {**table, "zip": FORMS[trained](list(map(int, table["zip"])))})
        named = ("--categorical", "zip", "--keep", "zip", "--target", "kind")
        run("train", "t.csv", *named, *FAST, "-q", "--out", "m")
    model = load_predictor("m")
    plain = {"zip": table["zip"][:9], "x": table["x"][:9]}
    write("plain.csv", plain)
    write("gap.csv", {**plain, "zip": [*map(float, plain["zip"][:8]), np.nan]})
    assert ".0" in Path("gap.csv").read_text()
    expected = model.predict_proba(plain)
    assert len(np.unique(expected[:3], axis=0)) == 3
    for name in ("plain.csv", "gap.csv"):
        found = json.loads(run("predict", "m", name, "--json").stdout)
        assert found["unseen"] == {}
        assert np.array_equal(np.array(found["probabilities"])[:8], expected[:8])
    assert np.array_equal(model.predict_proba(pd.read_csv("gap.csv"))[:8], expected[:8])


@pytest.mark.parametrize("codes", [[123, 456, 789], [123, 456]])
def test_zeros_in_front_stay_though_training_had_numbers(run: Run, codes: list[int]) -> None:
    X = {"zip": codes * 20, "x": [k % 7 for k in range(len(codes) * 20)]}
    clf = TabularClassifier((4,), epochs=1, ensemble=1, categorical=["zip"], keep=["zip"])
    clf.fit(X, [k % 2 for k in range(len(codes) * 20)]).save("m")
    write("new.csv", {"zip": ["00123", "123", "456.0"], "x": [1, 2, 3]})
    assert "'zip': 1 of 3 rows holds a category not seen" in run("predict", "m", "new.csv").stderr


@pytest.mark.usefixtures("here")
def test_unseen_categories_are_counted(run: Run) -> None:
    table = {**zips(), "letter": ["uvw"[k % 3] for k in range(60)]}
    write("t.csv", table)
    options = ("--target", "kind", "--categorical", "zip", "--keep", "zip,letter")
    run("train", "t.csv", *options, *FAST, "-q")
    result = run("predict", "t.pellucid", "t.csv")
    assert "not seen" not in result.stderr
    write("new.csv", {**table, "zip": ["00123"] * 60, "letter": [*"uv", "z\n", *"w" * 57]})
    for command in ("predict", "evaluate"):
        result = run(command, "t.pellucid", "new.csv")
        [line] = [line for line in result.stderr.splitlines() if "not seen" in line]
        assert line == (
            "Note: 'zip': 60 of 60 rows hold a category not seen in training, such as '00123'; "
            "'letter': 1 of 60 rows holds a category not seen in training, such as 'z'."
        )
        found = json.loads(run(command, "t.pellucid", "new.csv", "--json").stdout)
        assert list(found["unseen"].items()) == [("zip", 60), ("letter", 1)]
    head = run("predict", "t.pellucid", "new.csv", "--head", "2").stderr
    assert "'zip': 2 of 2 rows hold" in head
    assert "'letter'" not in head


@pytest.mark.usefixtures("here")
def test_an_older_folder_says_what_it_knows(run: Run) -> None:
    table = {"zip": [f"z{k % 40}" for k in range(120)], "kind": ["ab"[k % 2] for k in range(120)]}
    write("t.csv", table)
    run("train", "t.csv", "--target", "kind", *FAST, "-q", "--keep", "zip")
    model = load_predictor("t.pellucid")
    kind = model.preprocessing.columns["zip"]
    assert isinstance(kind, Category)
    assert "unseen" not in run("predict", "t.pellucid", "t.csv").stderr
    kind.rare = []
    save(model, "old.pellucid")
    said = run("predict", "old.pellucid", "t.csv").stderr
    assert (
        "of 120 rows hold a category that is not one of the 32 known to the model, such as" in said
    )


def test_estimators_are_silent_and_their_model_counts() -> None:
    table = zips()
    clf = TabularClassifier((4,), epochs=1, ensemble=1, categorical=["zip"], keep=["zip"])
    clf.fit({"zip": table["zip"], "x": table["x"]}, table["kind"])
    rows = pd.DataFrame({"zip": [10000.0, 5.0, np.nan], "x": [1, 2, 3]})
    clf.predict(rows)  # warnings are errors here
    assert {k: v.tolist() for k, v in clf.model_.unseen(rows).items()} == {
        "zip": [False, True, False]
    }
    assert clf.model_.unseen(np.array([[10000.0, 1.0]])) == {}
    with pytest.raises(ValueError, match="X lacks 1 column"):
        clf.model_.unseen({"zip": [1]})


@pytest.mark.parametrize(
    "training",
    [
        ["10000", "20500", "94107"],
        ["10000.0", "20500.0", "94107.0"],
        ["00123", "123", "7.10"],
        ["7", "7.0", "8"],
        ["True", "False", "unknown"],
        ["10000", "20500.0"],
        ["00123", "456"],
    ],
)
def test_onnx_matches_codes_too(training: list[str]) -> None:
    preprocessing = fitted(training * 3)
    graph = Graph()
    graph.output("Z", transform(graph, preprocessing))
    session = onnxruntime.InferenceSession(graph.to_bytes({}))
    bare = [text.removesuffix(".0") for text in training]
    texts = [*training, *bare, *(f"{text}.0" for text in bare), "0123", "true", "0", "1", "new", ""]
    [Z] = session.run(["Z"], {"x": np.array(texts, dtype=object)})
    assert Z.tolist() == outputs(preprocessing, texts)


def test_the_c_file_says_which_text_is_which_number() -> None:
    preprocessing = fitted(["10000.0", "20500.0", "94107.0"])
    assert preprocess(preprocessing)[1] == [
        'x[0] x: 0 for "10000.0", 1 for "20500.0", 2 for "94107.0", -1 for any other; NaN where '
        "missing"
    ]
