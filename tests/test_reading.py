"""Reading files: their forms, what is found out about them, and what is refused."""

from __future__ import annotations

import datetime
import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import DataError, MissingPackageError
from pellucid.tables import SAMPLES, TASKS, Table, infer_task, read_sample, read_table
from pellucid.tables._rows import lines
from pellucid.tables.read import read_raw
from pellucid.tables.text import TextFormat, find_delimiter, has_header

BODY = "\n".join(f"{k},{k * 0.5},{'xy'[k % 2]}" for k in range(12))
GOOD = f"a,b,c\n{BODY}"
FOUND = ["delimiter ','", "header in line 1"]


needs_polars = pytest.mark.parametrize("way", ["polars"], indirect=True)


@pytest.fixture(autouse=True)
def _here(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(content: str | bytes, name: str = "t.csv", target: str | None = "c", **how: Any) -> Table:
    """Write the content to a file and read it."""
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(name, target=target, **how)


def columns(table: Table) -> dict[str, list[Any]]:
    return {name: column.tolist() for name, column in table.columns.items()}


# Forms --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        (GOOD, FOUND),
        (GOOD.replace(",", ";"), ["delimiter ';'", FOUND[1]]),
        (GOOD.replace(",", "\t"), ["delimiter tab", FOUND[1]]),
        (GOOD.replace(",", "|"), ["delimiter '|'", FOUND[1]]),
        (GOOD.replace(",", ", "), FOUND),
        (GOOD.replace("\n", "\r\n") + "\r\n", FOUND),
        (GOOD.replace("\n", "\r"), FOUND),
        ("\n\n" + GOOD + "\n\n", ["delimiter ','", "header in line 3"]),
        ("\ufeff" + GOOD, FOUND),
        (gzip.compress(GOOD.encode(), mtime=0), FOUND),
        (GOOD.replace("a,b", '"a","b"').replace("0,0.0", '"0","0.0"'), FOUND),
        (GOOD.replace("\n5,", "\n\n5,"), [*FOUND, "1 blank line skipped"]),
    ],
)
def test_forms_of_text(content: str | bytes, notes: list[str]) -> None:
    found = read(content)
    assert columns(found) == {"a": [*range(12)], "b": [k * 0.5 for k in range(12)]}
    assert (found.target, found.notes) == ("c", notes)
    assert found.y is not None
    assert found.y.tolist() == ["x", "y"] * 6


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "t.feather", "t.jsonl", "t.tsv", "t.txt"])
def test_forms_of_files(name: str, way: str) -> None:
    frame = pl.read_csv(GOOD.encode())
    ending = Path(name).suffix
    if ending == ".parquet":
        frame.write_parquet(name)
    elif ending in (".arrow", ".feather"):
        frame.write_ipc(name)
    elif ending == ".jsonl":
        frame.write_ndjson(name)
    else:
        frame.write_csv(name, separator="\t")
    if way == "plain" and ending in (".parquet", ".arrow", ".feather"):
        form = "Parquet" if ending == ".parquet" else "Arrow"
        mend = rf"^reading {form} needs polars: pip install 'pellucid\[tables\]'$"
        with pytest.raises(MissingPackageError, match=mend):
            read_table(name, target="c")
        return
    found, expected = read_table(name, target="c"), read(GOOD)
    assert columns(found) == columns(expected)
    assert found.y is not None
    assert found.y.tolist() == ["x", "y"] * 6
    assert read_raw(name).names == ["a", "b", "c"]


def test_no_header() -> None:
    found = read(BODY, target="3")
    assert list(found.columns) == ["1", "2"]
    assert found.notes == ["delimiter ','", "no header: columns are named 1 to 3"]
    years = "kind,2019,2020\n" + "\n".join(f"{'xy'[k % 2]},{k},{k}" for k in range(12))
    assert list(read(years, target="kind").columns) == ["2019", "2020"]


def test_the_header_is_as_asked_for() -> None:
    assert read(GOOD, target="3", header=False).m == 13
    assert list(read(BODY, target="x", header=True).columns) == ["0", "0.0"]


def test_names_that_are_expected_tell_the_header() -> None:
    texts = "kind,size\n" + "\n".join(["kind,size"] * 9 + ["x,y"])  # looks like rows
    assert list(read(texts, target="kind").columns) == ["size"]
    assert read("1,2\n3,4", target=None, columns=["1", "2"]).m == 2
    one = read("1.5,x", target=None, columns=["1", "2"])
    assert columns(one) == {"1": [1.5], "2": ["x"]}
    assert columns(read("b,a\n1,x", target=None, columns=["a", "b"])) == {"a": ["x"], "b": [1.0]}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([["a", "b"]], True),
        ([["a", "b"], ["x", "y"], ["x", "z"]], True),
        ([["x", "y"], ["x", "y"], ["x", "z"]], False),
        ([["a", "1"], ["b", "2"], ["a", "3"]], False),
        ([["a", "1"], ["b", "2"], ["c", "3"]], True),
        ([["1", "2"], ["3", "4"]], False),
        ([["1", ""], ["3", "4"]], False),
        ([["2019", "2020"], ["x", "4"]], True),
    ],
)
def test_has_header(rows: list[list[str]], expected: bool) -> None:
    assert has_header(rows) is expected


def test_the_delimiter_is_not_one_that_stands_in_cells() -> None:
    assert find_delimiter("a;b\n1,5;2,5\n3,5;4,5\n") == ";"
    assert find_delimiter('a,b\n"x;y",1\n"z;w",2\n') == ","
    assert find_delimiter("a b\n1 2\n") == ","


def test_columns_without_a_name() -> None:
    found = read(",b,c,\n" + BODY.replace("\n", ",\n") + ",")
    assert list(found.columns) == ["column_1", "b"]
    assert found.notes[2:] == [
        "column 1 has no name: called 'column_1'",
        "column 4 has no name and no values: left out",
    ]
    taken = read("column_1,,c\n" + BODY)
    assert list(taken.columns) == ["column_1", "column_2"]


# Cells --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "dtype", "first"),
    [
        (["x", "yes and no"], "U", "x"),
        (["true", "False"], "b", True),
        (["1", "2.0"], "i", 1),
        (["1.5", "2e3"], "f", 1.5),
        (["0", "x"], "U", "0"),
    ],
)
def test_kinds_of_targets(values: list[str], dtype: str, first: Any) -> None:
    found = read("a,c\n" + "\n".join(f"{k},{values[k % 2]}" for k in range(12)))
    assert found.y is not None
    assert (found.y.dtype.kind, found.y[0]) == (dtype, first)


def test_rows_without_a_target_are_left_out() -> None:
    found = read(GOOD + '\n1,2,\n1,2,""\n1,2, ')
    assert found.m == 12
    assert found.notes[2:] == ["3 rows without a target left out (20% of all)"]
    numbers = read("a,c\n" + "\n".join(f"{k},{k}" for k in range(99)) + "\n1,NA")
    assert numbers.y is not None
    assert (numbers.m, numbers.y.dtype) == (99, np.int64)
    assert numbers.notes[2:] == ["1 row without a target left out"]


@pytest.mark.parametrize("inputs", ["{},x,", "x,y,", "{},{},"])
def test_words_that_mean_nothing_elsewhere_are_classes(inputs: str) -> None:
    labels = ["none", "NA", "low", "?", "null", " none ", ""]
    rows = [inputs.format(k, k) + labels[k % 7] for k in range(70)]
    found = read("a,b,c\n" + "\n".join(rows))
    assert found.y is not None
    assert found.y.tolist() == [label.strip() for label in labels[:6]] * 10
    assert found.notes[2:] == [
        "10 rows without a target left out (14% of all)",
        "'?', 'NA', 'none', 'null' in the target are classes: leave the cells empty where it is "
        "unknown",
    ]
    assert columns(read("a,c\nNA,none\nx,?", target=None)) == {
        "a": [None, "x"],
        "c": pytest.approx([np.nan] * 2, nan_ok=True),
    }


def test_large_whole_numbers_are_never_merged() -> None:
    ids = [10**17 + k for k in range(12)]
    rows = [f"{k % 3},+{number},{2**60 + k % 2}" for k, number in enumerate(ids)]
    found = read("a,b,c\n" + "\n".join(rows))
    assert found.columns["b"].tolist() == list(map(str, ids))
    assert found.y is not None
    assert found.y.tolist() == [2**60, 2**60 + 1] * 6
    huge = read("a,c\n" + "\n".join(f"{k},{2**70 + k % 2}" for k in range(12)))
    assert huge.y is not None
    assert huge.y.tolist() == [str(2**70), str(2**70 + 1)] * 6
    gaps = read("a,b\n1e17,100000000000000001\n2,NA\n3,5", target=None)
    assert columns(gaps) == {"a": [1e17, 2, 3], "b": ["100000000000000001", None, "5"]}


def test_dates_are_no_target() -> None:
    for sign in "-/.":
        dates = "a,c\n" + "\n".join(f"{k},2020{sign}01{sign}{k % 3 + 10}" for k in range(12))
        with pytest.raises(DataError, match=r"target 'c' holds dates; .* Make a number of it"):
            read(dates)
    versions = "a,c\n" + "\n".join(f"{k},1.2.{k % 3 + 10}" for k in range(12))
    assert read(versions).y is not None


def re_search(pattern: str, notes: list[str]) -> bool:
    import re

    return any(re.search(pattern, note) for note in notes)


def test_numbers_texts_and_what_is_missing() -> None:
    rows = [
        "n,plain,truth,word,void,code",
        "1,+1e-1,TRUE,a b,,007",
        " 2 ,-.5,false, c ,NA,12",
        "?,3.,True,N/A,null,1_0",
    ]
    found = columns(read("\n".join(rows), target=None))
    assert np.array_equal(found["n"], [1, 2, np.nan], equal_nan=True)
    assert found["plain"] == [0.1, -0.5, 3.0]
    assert found["truth"] == [1.0, 0.0, 1.0]
    assert found["word"] == ["a b", "c", None]
    assert np.isnan(found["void"]).all()
    assert found["code"] == ["007", "12", "1_0"]


def test_codes_stay_texts_where_asked_for() -> None:
    text = "zip,n\n02134,1\n94107,2"
    assert columns(read(text, target=None))["zip"] == [2134.0, 94107.0]
    assert columns(read(text, target=None, texts=["zip"]))["zip"] == ["02134", "94107"]


def test_a_text_after_many_numbers() -> None:
    cells = [str(k) for k in range(2000)] + ["late"]
    found = read("a,b\n" + "\n".join(f"{cell},{k}" for k, cell in enumerate(cells)), target=None)
    assert found.columns["a"].tolist() == cells
    assert found.columns["b"].dtype == np.float64


@pytest.mark.parametrize(
    ("cells", "expected", "note"),
    [
        (["1,5;a", "2;b"], [1.5, 2], "decimal commas in 'x'"),
        (["-0,25;a", ",5;b"], [-0.25, 0.5], "decimal commas in 'x'"),
        (["1.234,5;a", "7;b"], [1234.5, 7], "decimal commas in 'x'"),
        (["1,234;a", "2,500;b"], ["1,234", "2,500"], None),  # thousands, or one and a bit
        (["1,5;2.5", "2;3.5"], ["1,5", "2"], "read as text; write all with a point"),
        (["1,5;a", "x;b"], ["1,5", "x"], None),
        (['"1,234",a', '"20",b'], [1234, 20], "commas in 'x' read as thousands"),
        (['"1,5",a', '"2",b'], ["1,5", "2"], None),
        (["1,5;a", "NA;b", "2,25;c"], [1.5, None, 2.25], "decimal commas in 'x'"),
        (['"1,234",a', "?,b"], [1234, None], "commas in 'x' read as thousands"),
        (["\N{MINUS SIGN}1.5;a", "2;b"], [-1.5, 2], None),
        (["$5;a", "NA;b"], ["$5", None], None),
    ],
)
def test_commas_in_numbers(cells: list[str], expected: list[Any], note: str | None) -> None:
    delimiter = ";" if ";" in cells[0] else ","
    found = read("\n".join([f"x{delimiter}z", *cells]), target=None)
    x = found.columns["x"]
    assert [None if value != value else value for value in x.tolist()] == expected
    assert re_search(note or "comma", found.notes) == (note is not None)
    assert found.decimal == ("," if note and note.startswith("decimal commas in 'x'") else ".")


def test_decimal_commas_that_are_known_beforehand() -> None:
    for text in ("x;z\n1,234;2.5\n2,500;3.5", 'x,z\n"1,234",2.5\n"2,500",3.5'):
        found = read(text, target=None, decimal=",")
        assert columns(found) == {"x": [1.234, 2.5], "z": [2.5, 3.5]}
        assert found.decimal == ","
        assert read(text, target=None).columns["x"].tolist() != [1.234, 2.5]


@given(
    st.lists(st.tuples(*[st.floats(-1e30, 1e30, allow_nan=False)] * 3), min_size=2, max_size=20),
    st.sampled_from(",;\t|"),
)
def test_any_numbers_come_back(rows: list[tuple[float, ...]], delimiter: str) -> None:
    lines = [delimiter.join("uvw"), *(delimiter.join(map(repr, row)) for row in rows)]
    found = read("\n".join(lines), target=None)
    assert list(found.columns) == ["u", "v", "w"]
    np.testing.assert_array_equal(np.column_stack(list(found.columns.values())), rows)


WORD = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)


@given(st.lists(st.tuples(WORD, WORD), min_size=2, max_size=12), st.sampled_from(",;\t"))
def test_any_texts_come_back(rows: list[tuple[str, str]], delimiter: str) -> None:
    import csv

    from pellucid.tables.values import texts

    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([("first", "second"), *rows, ("some words", "some words")])
    found = read(out.getvalue(), target=None, header=True, texts=["first", "second"])
    for name, cells in zip(found.columns, zip(*rows, strict=True), strict=True):
        assert found.columns[name].tolist() == texts([*cells, "some words"]).tolist()


def test_a_row_of_empty_cells_is_a_row_and_a_blank_line_is_none() -> None:
    found = read("a,b\n1,x\n,\n\n  \n2,y\n,\n", target=None)
    assert columns(found)["b"] == ["x", None, "y", None]
    assert "2 blank lines skipped" in found.notes


# Columns ------------------------------------------------------------------------------------------


def test_columns_are_taken_by_name() -> None:
    found = read(GOOD, target=None, columns=["b", "a"])
    assert (list(found.columns), found.y) == (["b", "a"], None)
    assert found.notes[2:] == ["1 column not used: 'c'"]
    found = read(GOOD, columns=["b"], target="c")
    assert (list(found.columns), found.target) == (["b"], "c")


@needs_polars
def test_a_column_that_is_dropped_may_hold_anything() -> None:
    assert list(read(GOOD + "\n1e300,2,x", drop=["a"]).columns) == ["b"]
    frame = pl.DataFrame({"a": [1, 2], "nested": [[1], [2]]})
    frame.write_parquet("t.parquet")
    assert list(read_table("t.parquet", drop=["nested"]).columns) == ["a"]


@needs_polars
def test_dates_of_files_that_know_them() -> None:
    frame = pl.read_csv(GOOD.encode()).with_columns(d=datetime.date(2001, 2, 3))
    frame.write_parquet("t.parquet")
    assert read_table("t.parquet", target="c").columns["d"].dtype == "datetime64[us]"
    with pytest.raises(DataError, match="the target 'd' holds dates"):
        read_table("t.parquet", target="d")


@needs_polars
@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_as_described(name: str) -> None:
    sample, found = SAMPLES[name], read_sample(name)
    assert found.y is not None
    assert (found.m, len(found.columns)) == (sample.rows, sample.columns)
    assert infer_task("target", found.y)[0] == sample.task
    assert sample.task in TASKS


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"'t\.csv' is empty; expected a header and rows of cells"),
        ("\n \n", r"t\.csv is empty"),
        ("a,b,c\n", r"holds only a header, no rows: 'a', 'b', 'c'"),
        (GOOD + "\n1,2", r"line 14 has 2 cells, expected 3 as in the first row \(delimiter ','\)"),
        (GOOD + "\n1,2,x,4\n1", r"line 14 has 4 cells, .*; 1 more row is wrong too"),
        ("\n" + GOOD + "\n1\n1\n1", r"line 15 has 1 cell, .*; 2 more rows are wrong too"),
        ("a,b,c\n1,2\n3,4\n5,6", r"line 2 has 2 cells, expected 3"),
        (GOOD + '\n1,"2,x', r"line 14: unexpected end of data: a quotation mark is opened and not"),
        (b"PK\x03\x04...", "is an Excel or zip file, not a table of text"),
        (b"<!DOCTYPE html>", "is a web page, not a table of text"),
        (GOOD.encode() + b"\n\0", "not a table of text: line 14 holds a zero byte"),
        (GOOD.encode("utf-16"), "encoded in UTF-16; expected UTF-8"),
        (f"{GOOD}\n1,2,é".encode("latin-1"), r"not encoded in UTF-8: line 14 holds the byte 0xe9"),
        (gzip.compress(GOOD.encode(), mtime=0)[:-9], "is a damaged gzip file"),
        (GOOD.replace("c", "C"), r"has no column 'c' \(did you mean 'C'\?\); its columns are 'a'"),
        (GOOD.replace("c", "z"), r"has no column 'c'; its columns are 'a', 'b', 'z'"),
        (
            GOOD.replace(",", " "),
            "It was read as one column; expected columns separated by a comma",
        ),
        ("c\n" + "\n".join("01" * 6), r"has no input columns besides the target 'c'\. It was read"),
        ("a,c\n" + "\n".join(f"{k}," for k in range(12)), "target 'c' is missing in every row"),
        (GOOD + "\n1,inf,x", r"infinite values in 1 column: 'b' \(1 row: 13\).*Correct them"),
        (GOOD + "\n1,1e300,x", r"values beyond 1e\+38, too large to compute with, in 1 column: 'b"),
        ("a,a,c\n" + BODY, r"names of columns must differ; found more than once: 'a' \('a' in col"),
    ],
)
def test_bad_text(content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(content)


def test_bad_paths() -> None:
    read(GOOD)
    Path("t.xlsx").write_bytes(b"PK")
    for name, message in (
        ("tt.csv", r"there is no file 'tt\.csv' \(did you mean 't\.csv'\?\)"),
        ("zzz.foo", r"there is no file 'zzz\.foo'"),
        ("t.xlsx", r"cannot tell the format of 't\.xlsx' from its ending; expected \.csv"),
        ("sample:irsi", r"there is no sample 'irsi' \(did you mean 'iris'\?\)"),
    ):
        with pytest.raises(DataError, match=message):
            read_table(name, target="c")
    with pytest.raises(DataError, match="sample:iris has no column 'kind'"):
        read_table("sample:iris", target="kind")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.parquet", b"abc" * 50, "it is not a Parquet file"),
        ("t.arrow", b"abc" * 50, "it is not an Arrow file"),
        ("t.jsonl", b"abc", "it is not JSON lines, one object a line"),
        ("t.jsonl", b'[{"a": 1}]', "it is not JSON lines, one object a line"),
        ("t.jsonl", b'{"a": 1, "c": {"z": 1}}\n' * 12, "column 'c' holds nested values"),
        ("t.jsonl", b'{"a": [1], "c": 1}\n{"a": [2], "c": 2}\n' * 6, "column 'a' holds nested val"),
    ],
)
def test_bad_files(name: str, content: bytes, message: str, way: str) -> None:
    if way == "plain" and not name.endswith("jsonl"):
        pytest.skip("needs polars")
    with pytest.raises(DataError, match=message):
        read(content, name)


@needs_polars
def test_empty_files_of_other_kinds() -> None:
    pl.read_csv(GOOD.encode()).head(0).write_parquet("t.parquet")
    with pytest.raises(DataError, match=r"t\.parquet holds no rows; its columns are a, b, c"):
        read_table("t.parquet", target="c")


def test_prediction_table_that_lacks_a_column() -> None:
    with pytest.raises(
        DataError,
        match=r"lacks 2 columns .*: 'A' \(did you mean 'a'\?\), 'size'\. It has: 'a', 'b', 'c'",
    ):
        read(GOOD, target=None, columns=["A", "b", "size"])
    with pytest.raises(DataError, match=r"sample:iris lacks 1 column .*: 'size'"):
        read_table("sample:iris", columns=["size"])


def test_lines_end_as_csv_needs_them() -> None:
    for text in ("a\r\nb\rc\n\nd", "\n", "", "x\r", '"a\nb",c\r\n'):
        assert list(lines(text)) == list(io.StringIO(text, newline=""))


@needs_polars
def test_a_file_without_surprises_is_read_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    read_csv = pl.read_csv
    monkeypatch.setattr(
        pl, "read_csv", lambda *a, **k: calls.append(k["schema"]) or read_csv(*a, **k)
    )
    read(GOOD)
    assert len(calls) == 1
    assert [str(dtype) for dtype in calls[0].values()] == ["Float64", "Float64", "String"]
    assert read_raw("t.csv", TextFormat(header=False)).data.height == 13
