"""Reading where polars is not installed: the same tables, notes and messages as with it."""

from __future__ import annotations

import gzip
import io
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pellucid.errors import DataError
from pellucid.tables._cells_polars import _is_cut_alike
from pellucid.tables.read import raw_of, read_raw
from pellucid.tables.text import TextFormat

pytestmark = pytest.mark.usefixtures("here")


def seen(content: bytes, ending: str, target: int | None, how: TextFormat) -> Any:
    """Everything that can be told of a file, or the message that refuses it."""
    try:
        raw = raw_of("x", content, ending, how)
        name = None if target is None else raw.names[target % len(raw.names)]
        table = raw.table(name, drop=raw.names[2:3])
    except DataError as error:
        return str(error)
    columns = {name: (x.dtype.str, repr(x.tolist())) for name, x in table.columns.items()}
    y = None if table.y is None else (table.y.dtype.str, repr(table.y.tolist()))
    kept = None if table.kept is None else table.kept.tolist()
    return raw.names, list(columns), columns, y, kept, table.notes, table.decimal


def same_both_ways(
    content: str | bytes,
    ending: str = ".csv",
    target: int | None = None,
    how: TextFormat | None = None,
) -> Any:
    """Read with and without polars, hold one against the other, and return what was seen."""
    content = content.encode() if isinstance(content, str) else content
    found = seen(content, ending, target, how or TextFormat())
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "polars", None)
        assert seen(content, ending, target, how or TextFormat()) == found
    return found


# Cells --------------------------------------------------------------------------------------------

ODD = [
    *("", " ", "NA", "nan", "-nan", "NaN", "nAn", "None", "NULL", "?", "n/a", "-", "+", "."),
    *("1", "+1", "-1", "++1", "1.", ".5", "-.5", "1e5", "1E+05", "1e", "e5", "1d5", "1f", "0x10"),
    *("inf", "-Inf", "INFINITY", "+infinity", "infin", "1e400", "-1e400", "1e-400", "4.9e-324"),
    *("1.7976931348623157e308", "1.7976931348623159e308", "0.1", "2.2250738585072011e-308"),
    *("1_000", "1_0.5", "1e1_0", "١٢", "٣.٥", "１", "½", "1\xa0", "\u20091", "\x1c1", "1\x1f"),
    *(" 1", "1 ", "\t1", "\ufeff1", "\u200b1", "\N{MINUS SIGN}5", "\N{MINUS SIGN}1,5", "--1"),
    *("1,5", "1,234", "1,234.5", "1.234,5", "0,5", ",5", "1,2,3", "١,٥", "12,34", "+1,5", "007"),
    *("9007199254740992", "9007199254740993", "-9007199254740993", "+9007199254740993", "1e17"),
    *("9223372036854775807", "9223372036854775808", "1" * 39, "1" * 400, "0" * 30 + "1"),
    *("true", "TRUE", "False", "t", "yes", "tRUE", "İ", "ſ", "\N{KELVIN SIGN}", "é", "e\u0301"),
    *('say ""hi""', "a\nb", "a\r\nb", "a\rb", "2024-01-31", "a,b;c\td|e", "#REF!", "Total", "'"),
]
CELLS = st.lists(st.sampled_from(ODD), min_size=1, max_size=12)


def in_marks(cell: str, delimiter: str) -> str:
    return f'"{cell}"' if any(sign in cell for sign in '"\n\r' + delimiter) else cell


@given(CELLS, st.sampled_from(",;\t"), st.sampled_from([None, ","]), st.booleans())
@example(["1", "\x1c1"], ",", None, False)
@example(["9007199254740993", "+2", "NA"], ",", None, True)
@example(["true", "NA", "False"], ",", None, True)
@example(["١,٥", "2"], ";", ",", False)
def test_any_cells(cells: list[str], delimiter: str, decimal: str | None, learn: bool) -> None:
    rows = [(in_marks(cell, delimiter), str(k), "ab"[k % 2]) for k, cell in enumerate(cells * 2)]
    text = "\n".join(map(delimiter.join, [("x", "n", "z"), *rows]))
    same_both_ways(text, target=0 if learn else None, how=TextFormat(True, decimal=decimal))


@pytest.mark.parametrize("cell", ODD)
def test_odd_cells_among_numbers(cell: str) -> None:
    rows = [*(f"{k}.5;{k}" for k in range(30)), f"{in_marks(cell, ';')};7"]
    for target in (None, 0):
        same_both_ways("\n".join(["x;z", *rows]), target=target)
        same_both_ways("\n".join(["x;z", *(row.replace(".", ",") for row in rows)]), target=target)


# Lines --------------------------------------------------------------------------------------------

BODY = "".join(f"{k},{k / 4},{'xy'[k % 2]}\n" for k in range(12))
FORMS = {
    "plain": "a,b,c\n" + BODY,
    "no end": ("a,b,c\n" + BODY)[:-1],
    "no header": BODY,
    "CRLF": ("a,b,c\n" + BODY).replace("\n", "\r\n"),
    "CR": ("a,b,c\n" + BODY).replace("\n", "\r"),
    "CRCRLF": ("a,b,c\n" + BODY).replace("\n", "\r\r\n"),
    "a CR among LF": "a,b,c\n" + BODY + "1,2\r3,x\n",
    "blank lines": "\n\na,b,c\n\n" + BODY + "  \n1,2,x\n\n\n",
    "one blank line of blanks": "a,b,c\n1,2,x\n  \n3,4,y\n",
    "empty cells": "a,b,c\n,,\n1,2,x\n,,\n",
    "nothing in marks": 'a,b,c\n"","",""\n1,2,x\n""\n',
    "one column": "a\n1\n\n2\n \n3\n",
    "no names": ",b,,\n" + BODY.replace("\n", ",\n"),
    "no names, -nan": ",b\n-nan,1\n-nan,2\n",
    "twice": "a,a,c\n" + BODY,
    "short": "a,b,c\n" + BODY + "1,2\n",
    "long": "a,b,c\n" + BODY + "1,2,x,4\n1\n",
    "short and blank": "a,b,c\n1,2\n\n  \n4,5\n",
    "header alone": "a,b,c\n",
    "header and blank lines": "a,b,c\n\n  \n\n ",
    "long texts": "a,b,c\n" + "1,2," + "x" * 300_000 + "\n" + BODY,
    "text after numbers": "a,b,c\n" + BODY * 900 + "late,2,x\n",
    "large after small": "a,b,c\n" + BODY * 900 + "1e17,2,x\n",
    "many": "".join(f"{k},{k * 0.1},{'xyz'[k % 3]},{k % 2 == 0}\n" for k in range(12_000)),
    "marks": 'a,b,c\n"1","2","x, ""y"""\n"3","4","z\nz"\n',
    "marks in names": '"a ""b""",b,"c\nd"\n' + BODY,
    "mark opened": "a,b,c\n" + BODY + '1,2,"x\n' + BODY,
    "mark opened in the header": 'a,b,"c\n' + BODY,
    "mark in a cell": "a,b,c\n" + BODY + '1,2,5" pipe\n',
    "marks in a cell": "a,b,c\n" + BODY + '1,2,5"6" pipe\n' + BODY,
    "marks before a cell's end": "a,b,c\n" + BODY + '1,2,"x"y\n' + BODY,
    "marks that swallow rows": 'a;b\n"1;"2";"3"\n"4;"5";"6"\n7;8\n',
    "marks that begin twice": 'a,b\n""x"",1\ny,2\n',
    "mark after a blank": 'a,b\n "x",1\n "y,z",2\n',
    "marks at the end": 'a,b,c,"\n""',
    "columns of a total": "a,b,c\n" + BODY + "Total,33,x\n",
    "zero byte": "a,b\n1,\0\n",
    "nothing": " \n\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_any_lines(form: str) -> None:
    for target in (None, 0, 1):
        same_both_ways(FORMS[form], target=target)
    for header in (True, False):
        same_both_ways(FORMS[form], how=TextFormat(header, texts=["b", "2"]))


@given(st.text('"ab,;1\n\r ', min_size=1, max_size=30))
def test_any_marks(text: str) -> None:
    same_both_ways(text, how=TextFormat(True))
    same_both_ways("u,v\n" + text, how=TextFormat(True))


def test_marks_in_many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.tables._cells_polars._BLOCK", 5)
    good = b'a,"b\nc"\n"x ""y""",1\n"""",2\n' * 9
    assert _is_cut_alike(good, ",")
    for odd in (b'"a\nb"c,1\n', b'"a\nb,1\n', b'a"b",1\n', b'""a"",1\n', b"a\rb,1\n"):
        assert not _is_cut_alike(good + odd, ",")
        assert not _is_cut_alike(odd + good, ",")


# JSON lines ---------------------------------------------------------------------------------------

LINES = {
    "plain": '{"a": 1, "b": 1.5, "c": "x", "d": true}\n{"a": 2, "b": 2, "c": null, "d": null}',
    "blank lines, CRLF": '\n{"a": 1}\r\n  \r\n{"a": 2}\r\n\n',
    "ragged": '{"b": 1, "a": 2}\n{"c": 1, "a": 2, "b": 3}\n{"d": null}\n{}',
    "large": '{"a": 9007199254740993, "b": 9223372036854775808}\n{"a": 2, "b": null}',
    "large and half": '{"a": 9007199254740993}\n{"a": 0.5}',
    "mixed": '{"a": "x"}\n{"a": true}\n{"a": 1.1e-7}\n{"a": 1e20}\n{"a": 3}\n{"a": -0.0}',
    "mixed with nested": '{"a": [1, "x"]}\n{"a": "y"}\n{"a": {"b": 1}}',
    "truth and numbers": '{"a": true}\n{"a": 1}\n{"a": 1.5}',
    "nested": '{"a": 1, "b": [1]}\n{"a": 2, "b": [2]}',
    "objects": '{"a": {"x": 1}, "b": 1}\n{"a": {"y": 1}, "b": 2}',
    "nested, dropped": '{"a": 1, "b": 2, "c": [1]}\n{"a": 2, "b": 1, "c": [1]}',
    "list and number": '{"a": [1]}\n{"a": 1}',
    "twice": '{"a": 1, "a": 2}\n{"a": 3}',
    "no name": '{"": 1, "b": 2}\n{"": 3, "b": null}',
    "nothing": '{"a": null}\n{"a": null, "": null}',
    "no objects": "{}\n{}",
    "texts": '{"a": " x "}\n{"a": "NA"}\n{"a": "\\u00e9\\n"}\n{"a": "\\ud83d\\ude00"}',
    "half a pair": '{"a": "\\ud800"}',
    "byte order mark": '\ufeff{"a": 1}\n{"a": 2}',
    "infinite": '{"a": 1e400}\n{"a": 2}',
    "very large": '{"a": 1' + "0" * 400 + '}\n{"a": 2}',
    "NaN": '{"a": 1}\n{"a": NaN}',
    "a list": "[1]",
    "a number": '{"a": 1}\n1',
    "two in a line": '{"a": 1} {"a": 2}',
    "cut off": '{"a": 1}\n{"a":',
    "trailing comma": '{"a": 1,}',
    "tab in a text": '{"a": "x\ty"}',
    "deep": '{"a": ' + "[" * 100_000 + "}",
    "patterns": '{"*": 1, "^a.*$": 2, "ab": 3}\n{"*": 4, "^a.*$": 5, "ab": 6}',
    "wide": "\n".join(json.dumps({f"n{k * 7 % 50}": k for k in range(50)}) for _ in range(3)),
    "wide, ragged": "\n".join(json.dumps({f"n{k * j % 97}": k for k in range(40)}) for j in (1, 5)),
    "long": "\n".join(json.dumps({"a": k, f"b{k // 900}": k / 2}) for k in range(3_000)),
}


@pytest.mark.parametrize("form", LINES)
def test_any_json_lines(form: str) -> None:
    for target in (None, 0):
        same_both_ways(LINES[form], ".jsonl", target)


def test_what_is_wrong_with_json_lines_is_told_with_the_line() -> None:
    for line, reason in (
        ("{", r"line 2: Expecting property name .* at character 2"),
        ("[1]", r"line 2: it holds no object"),
        ('{"a": NaN}', r"line 2: NaN is no number of JSON"),
        ('{"a": "\\udfff"}', r"line 2: it is not encoded in UTF-8"),
    ):
        with pytest.raises(DataError, match=rf"it is not JSON lines, .* \({reason}"):
            raw_of("x", f'{{"a": 1}}\n{line}'.encode(), ".jsonl")


def test_columns_of_ragged_json_lines_are_in_the_order_of_polars() -> None:
    rng = random.Random(0)
    for _ in range(50):
        rows = [dict.fromkeys(rng.sample("abcdefgh", rng.randint(0, 8)), 1) for _ in range(5)]
        same_both_ways("\n".join(map(json.dumps, rows)), ".jsonl")


# Without the packages of the extra ----------------------------------------------------------------

MISSING = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("polars", "jinja2", "matplotlib", "pandas", "pyarrow"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from pellucid.cli import main
for arguments in COMMANDS:
    sys.argv = ["pellucid", *arguments]
    try:
        main()
    except SystemExit as end:
        if end.code:
            sys.exit(end.code)
"""


def test_csv_in_model_out_without_the_extra() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 2))
    rows = [f"{u:.3f},{v:.3f},{'ab'[int(u > v)]}" for u, v in x]
    Path("x.csv.gz").write_bytes(gzip.compress("\n".join(["u,v,y", *rows]).encode()))
    fast = ["--epochs", "1", "--hidden", "2", "--ensemble", "1"]
    commands = [
        ["train", "x.csv.gz", "--target", "y", "--out", "m", *fast],
        ["predict", "m", "x.csv.gz", "--out", "p.csv"],
        ["evaluate", "m", "x.csv.gz"],
        ["explain", "m", "x.csv.gz", "--row", "3"],
        ["trace", "m", "x.csv.gz", "--row", "3"],
        ["diagnose", "m", "x.csv.gz"],
    ]
    script = MISSING.replace("COMMANDS", repr(commands))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    missing = "no report.html was written: the report needs jinja2: pip install 'pellucid[tables]'"
    assert f"pellucid: {missing}\n" in done.stderr
    assert not Path("m/report.html").exists()
    assert len(Path("p.csv").read_text().splitlines()) == 81


def test_a_frame_of_polars_and_a_file_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("x.csv").write_text("a,b,c\n1,x,true\n,NA,\n3,y,false\n")
    with_polars = read_raw("x.csv")
    monkeypatch.setitem(sys.modules, "polars", None)
    plain = read_raw("x.csv")
    assert isinstance(with_polars.data, pl.DataFrame)
    assert isinstance(plain.data, dict)
    assert {name: x.dtype.kind for name, x in plain.data.items()} == {"a": "f", "b": "O", "c": "b"}
    assert plain.column("c").tolist() == [True, None, False]
    buffer = io.BytesIO()
    with_polars.data.write_csv(buffer)
    again = raw_of("x", buffer.getvalue())
    assert again.table().columns["b"].tolist() == plain.table().columns["b"].tolist()
