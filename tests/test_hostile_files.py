"""Files and frames that are not what they seem: pipes, bombs, panics, patterns, wide tables."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from PIL import Image
from typer.testing import Result

from pellucid import _memory
from pellucid.errors import DataError, DataWarning, ModelError, SettingsError
from pellucid.tables import _opening, as_table, read_table
from pellucid.tables._opening import content_of, guarded
from pellucid.tables._packed import arrow_size, parquet_size
from pellucid.tables.images import read_images
from pellucid.tables.read import raw_of, read_raw
from pellucid.tables.settings import check_settings_named

pytestmark = pytest.mark.usefixtures("here")
Run = Callable[..., Result]
Refused = Callable[..., str]

ROWS = [f"{k % 7},{k % 5 / 2},{'uv'[k % 2]}" for k in range(60)]
GOOD = "\n".join(["a,b,y", *ROWS])
FAST = ("--epochs", "1", "--hidden", "2", "--ensemble", "1")


# What is no regular file --------------------------------------------------------------------------


def a_socket(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path)


IRREGULAR: dict[str, tuple[Callable[[str], Any], str]] = {
    "a pipe": (os.mkfifo, "'x.csv' is a pipe; expected a file of data. Save what it gives to a f"),
    "a device": (lambda path: os.symlink("/dev/zero", path), "'x.csv' is a device; expected a fi"),
    "a socket": (a_socket, "'x.csv' is a socket; expected a file of data. Save what it gives to a"),
    "a circle": (lambda path: os.symlink(path, path), "'x.csv' cannot be read: Too many levels of"),
    "nowhere": (lambda path: os.symlink("y.csv", path), "there is no file 'x.csv'"),
}


@pytest.mark.parametrize("what", IRREGULAR)
def test_what_is_no_file_is_refused_by_name(refused: Refused, what: str) -> None:
    make, message = IRREGULAR[what]
    make("x.csv")
    assert message in refused("train", "x.csv", "--target", "y")
    with pytest.raises(DataError, match=message.partition(";")[0]):
        read_table("x.csv")


def test_a_pipe_of_a_shell_says_what_to_do(refused: Refused) -> None:
    reading, writing = os.pipe()
    try:
        message = refused("train", f"/dev/fd/{reading}", "--target", "y")
        assert "is a pipe; expected a file of data. Save what it gives to a file first." in message
    finally:
        os.close(reading)
        os.close(writing)


def test_a_file_that_becomes_a_pipe_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("good.csv").write_text(GOOD)
    os.mkfifo("x.csv")
    monkeypatch.setattr(os, "stat", lambda path: os.lstat("good.csv"))
    with pytest.raises(DataError, match=r"'x\.csv' is a pipe"):
        content_of(Path("x.csv"))


def test_pipes_among_images() -> None:
    for name in ("cat", "dog"):
        Path("p", name).mkdir(parents=True)
        for k in range(12):
            Image.new("RGB", (8, 8)).save(f"p/{name}/{k}.png")
    os.mkfifo("p/cat/pipe.png")
    table, names = read_images("p", 8)
    assert len(names) == 24
    assert (
        "1 unreadable image left out: cat/pipe.png (it is a pipe; expected a file" in table.notes[1]
    )
    with pytest.raises(DataError, match=r"pipe\.png \(it is a pipe; expected a file of data"):
        read_images("p/cat/pipe.png", 8)


def test_only_the_formats_of_the_endings_are_opened() -> None:
    """Pillow would let Ghostscript run an EPS that calls itself PNG."""
    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, "EPS")
    Path("x.png").write_bytes(content.getvalue())
    with pytest.raises(DataError, match=r"x\.png \(cannot identify image file"):
        read_images("x.png", 8)


def test_sixteen_bits_are_scaled_as_numbers_are() -> None:
    values = np.linspace(0, 65_535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(values).save("x.png")
    found = read_images("x.png", 8)[0].columns["image"][0, :, :, 0]
    assert found.tolist() == (values / 257).astype(np.uint8).tolist()


# Larger than the memory ---------------------------------------------------------------------------


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a megabyte left."""
    monkeypatch.setattr(_opening, "LITTLE", 0)
    monkeypatch.setattr(_opening, "free_memory", lambda: 1e6)


FREE = "reading it takes about .* of memory, and 1.0 MB is free. Use fewer rows"


def written(make: Callable[[io.BytesIO], Any]) -> bytes:
    file = io.BytesIO()
    make(file)
    return file.getvalue()


def bomb(rows: int = 3, letters: int = 700_000) -> pa.Table:
    return pa.table({"s": ["x" * letters] * rows, "y": list(range(rows))})


def as_arrow(file: io.BytesIO) -> None:
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(file, bomb().schema, options=options) as writer:
        writer.write_table(bomb())


PACKED = {"compression": "zstd", "use_dictionary": False}
BOMBS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "a long file": ("x.csv", lambda: b"a,b\n" + b"1,2\n" * 150_000, "has 600.0 kB: "),
    "gzip": (
        "x.csv.gz",
        lambda: gzip.compress(b"a,b\n" + b"1,2\n" * 150_000),
        r"has \d+ bytes and unpacks to 600\.0 kB: ",
    ),
    "gzip in two parts": (
        "x.csv.gz",
        lambda: gzip.compress(b"1,2\n" * 400_000) + gzip.compress(b"1,2\n"),
        r"has .* and unpacks to more than 1\.6 MB: ",
    ),
    "many cells": (
        "x.csv",
        lambda: b"a,b\n" + b"1,2\n" * 50_000,
        r"holds about 50,001 rows of 2 columns: ",
    ),
    "texts that begin as numbers": (
        "x.csv",
        lambda: b"a,b\n" + b"1,2\n" * 4_500 + b"x,y\n" * 300,
        r"holds about 4,801 rows of 2 columns: ",
    ),
    "a long text": (
        "x.csv",
        lambda: b"a,b\n" + b"c" * 360_000 + b",1\n" + b"a,2\n" * 30,
        r"holds about 32 rows of 2 columns: ",
    ),
    "many columns": (
        "x.csv",
        lambda: b"1,2,3," * 5_000 + b"\n" + b"1,2,3," * 5_000,
        "has 15,001 columns: ",
    ),
    "texts": (
        "x.parquet",
        lambda: written(lambda file: parquet.write_table(bomb(), file, **PACKED)),
        r"x\.parquet unpacks from .* to 2\.1 MB: ",
    ),
    "one text in every row": (
        "x.parquet",
        lambda: written(lambda file: parquet.write_table(bomb(9, 200_000), file)),
        r"x\.parquet has 9 cells with 1\.8 MB of texts: ",
    ),
    "short texts": (
        "x.jsonl",
        lambda: b'{"a": "x"}\n' * 20_000,
        r"x\.jsonl has 20,000 cells with 20\.0 kB of texts: ",
    ),
    "a constant": (
        "x.parquet",
        lambda: written(lambda file: parquet.write_table(pa.table({"a": [1.5] * 100_000}), file)),
        r"x\.parquet holds 100,000 rows of 1 column: ",
    ),
    "buffers": ("x.arrow", lambda: written(as_arrow), r"x\.arrow unpacks from .* to 2\.1 MB: "),
    "a name for each line": (
        "x.jsonl",
        lambda: b"\n".join(b'{"k%d": 1}' % (k % 100) for k in range(2_000)),
        r"x\.jsonl holds 2,000 rows of 100 columns: ",
    ),
}


@pytest.mark.parametrize("what", BOMBS)
def test_what_is_larger_than_the_memory(little_memory: None, what: str, way: str) -> None:
    name, make, message = BOMBS[what]
    if way == "plain" and name in ("x.parquet", "x.arrow"):
        pytest.skip("needs polars")
    Path(name).write_bytes(make())
    with pytest.raises(DataError, match=f"{message}{FREE}"):
        read_raw(name)


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_more_columns_than_can_be_looked_at(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setattr(_opening, "MOST_COLUMNS", 30)
    data = pl.DataFrame({f"g{k}": [1, 2, 3] for k in range(31)})
    write = {"csv": data.write_csv, "parquet": data.write_parquet, "jsonl": data.write_ndjson}
    write[form](f"x.{form}")
    with pytest.raises(DataError, match=r"has 31 columns; at most 30 are read\. Use fewer columns"):
        read_table(f"x.{form}")


@pytest.mark.usefixtures("way")
def test_one_line_of_millions_of_cells_is_not_even_cut() -> None:
    with pytest.raises(DataError, match=r"x has 2,000,001 columns; at most 100,000 are read"):
        raw_of("x", b"1," * 2_000_000)


def test_many_images_and_many_names(little_memory: None) -> None:
    for k in range(9):
        Image.new("RGB", (8, 8)).save(f"{k}.png")
    with pytest.raises(DataError, match=f"holds 9 images, each to be 300 x 300 pixels: {FREE}"):
        read_images(".", 300)
    rows = [{f"k{k}": 1} for k in range(400)]
    with pytest.raises(DataError, match=f"X holds 400 rows of 400 names in all: {FREE}"):
        as_table(rows)


def test_a_target_alone_in_which_some_are_missing() -> None:
    table = as_table({"y": ["a", None, "b"]}, target="y")
    assert table.y is not None
    assert (table.y.tolist(), table.columns) == (["a", "b"], {})
    assert table.kept is not None
    assert table.kept.tolist() == [0, 2]


def test_a_target_with_a_very_long_text() -> None:
    """As texts of one width, every row would have room for it."""
    with pytest.raises(
        DataError, match="the target 'y' holds a text of 10,001 characters; expected"
    ):
        as_table({"x": range(3), "y": ["a", "b", "c" * 10_001]}, target="y")


def test_a_damaged_length_ends_no_process() -> None:
    """The library would ask for so much memory that it gives up the whole process."""
    content = written(as_arrow)
    table = pa.ipc.open_file(content)
    assert arrow_size(content) == pytest.approx(bomb().nbytes, abs=64)
    place = content.index(b"\x28\xb5\x2f\xfd") - 8  # before the first frame of zstd stands its size
    assert table.num_record_batches == 1
    damaged = content[:place] + (2**62).to_bytes(8, "little") + content[place + 8 :]
    with pytest.raises(DataError, match=r"x unpacks from .* to 4,611,686\.0 TB"):
        raw_of("x", damaged, ".arrow")
    damaged = content[:place] + (2**64 - 9).to_bytes(8, "little") + content[place + 8 :]
    with pytest.raises(
        DataError, match=r"it is an Arrow file that is damaged, or of an unknown kind"
    ):
        raw_of("x", damaged, ".arrow")


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_the_size_of_a_parquet_file_is_as_pyarrow_tells(compression: str) -> None:
    words = [f"w{k % 9}" for k in range(5_000)]
    table = pa.table({"a": np.arange(5_000.0), "b": words, "c": [[k] for k in range(5_000)]})
    content = written(
        lambda file: parquet.write_table(table, file, row_group_size=999, compression=compression)
    )
    metadata = parquet.read_metadata(io.BytesIO(content))
    chunks = [
        metadata.row_group(g).column(c).total_uncompressed_size
        for g in range(metadata.num_row_groups)
        for c in range(metadata.num_columns)
    ]
    assert parquet_size(content) == sum(chunks)
    for wrong in (content[:-9], b"", content[:-8] + b"\xff\xff\xff\x7fPAR1"):
        with pytest.raises(ValueError, match="metadata are"):
            parquet_size(wrong)


def test_free_memory_is_the_least_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = _memory.free_memory()
    new, old = tmp_path / "a/b", tmp_path / "memory"
    for folder in (new, old):
        folder.mkdir(parents=True)
    (tmp_path / "a" / "memory.max").write_text("9000000\n")
    (tmp_path / "a" / "memory.current").write_text("5000000\n")
    (tmp_path / "a" / "memory.stat").write_text("anon 1\ninactive_file 100000\nactive_file 50000\n")
    (new / "memory.max").write_text("max\n")
    (new / "memory.current").write_text("1\n")
    (old / "memory.limit_in_bytes").write_text("8000000\n")
    (old / "memory.usage_in_bytes").write_text("100\n")
    read, told = Path.read_text, "4:memory:/not/seen/from/here\n0::/a/b\n"
    monkeypatch.setattr(_memory, "_GROUPS", tmp_path)
    monkeypatch.setattr(
        Path, "read_text", lambda self: told if self.name == "cgroup" else read(self)
    )
    assert _memory.free_memory() == 4_150_000 < everything


# What libraries throw -----------------------------------------------------------------------------


class Panic(BaseException):
    """As those of Rust are, which are no Exception."""


def test_whatever_a_library_throws_is_one_message() -> None:
    for error in (Panic("a\x1b[31m" + "x" * 10**6), KeyError("x"), MemoryError(), RecursionError()):
        with (
            pytest.raises(DataError, match=r"^mine cannot be read: .* save it in") as caught,
            guarded("mine"),
        ):
            raise error
        assert len(str(caught.value)) <= 2_000
        assert "\x1b" not in str(caught.value)
    for ours in (KeyboardInterrupt(), SystemExit(1), DataError("as it is")):
        with pytest.raises(type(ours)) as left, guarded("mine"):
            raise ours
        assert left.value is ours


def test_a_panic_is_not_heard() -> None:
    """Polars panics at this, and Rust writes that to the standard error output by itself."""
    Path("p.csv").write_bytes(b'a|b\r1|2\r3|"')
    command = [sys.executable, "-m", "pellucid", "train", "p.csv", "--target", "a"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "pellucid: p.csv: line 3: unexpected end of data: a quotation mark"
    )
    assert done.stderr.count("\n") == 1


def test_what_else_is_written_meanwhile_is_not_lost(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "active_count", lambda: 1)  # a worker of xdist has more
    with _opening.unheard_panics():
        os.write(2, b"a warning\n")
    assert capfd.readouterr().err == "a warning\n"

    def panic() -> None:
        with _opening.unheard_panics():
            os.write(2, b"thread 'x' panicked at y\n")
            raise Panic("oh")

    with pytest.raises(Panic, match="oh"):
        panic()
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "later\n"


class Odd:
    """An object that does nothing that one may expect."""

    def __str__(self) -> str:
        raise RuntimeError("odd\x1b")


@pytest.mark.parametrize(
    "data",
    [
        {Odd(): [1, 2]},
        pd.DataFrame({"a": pd.Categorical(["x", "y"]).rename_categories({"x": Odd()})}),
        pd.DataFrame([[1, 2]], columns=["1", 1]),
        pd.DataFrame([[1, 2]], columns=pd.Index([pd.NA, "<NA>"], dtype=object)),
        pl.DataFrame({"a": [object()]}),
        pa.table([[1], [2]], names=["a", "a"]),
    ],
)
def test_odd_frames_are_refused(data: Any) -> None:
    with pytest.raises(DataError, match="X") as caught:
        as_table(data)
    assert str(caught.value).isprintable()


def test_a_date_beyond_the_years_of_python() -> None:
    """As a category of a model it is a text like others, not an internal error."""
    seen = as_table({"kind": ["a", "b", "c"] * 4, "y": range(12)}, target="y")
    from pellucid.tables.preprocess import Preprocessing

    fitted = Preprocessing.fit(seen)
    dates = as_table({"kind": np.array(["60000-01-01", "2024-01-31"], dtype="datetime64[D]")})
    assert fitted.transform(dates.columns).sum() == 0


# Names are names ----------------------------------------------------------------------------------

PATTERNS = ["*", "^a.*$", "ab", "^.*$", "", "index", "level_0", "column_5", "0"]
NAMED = "\n".join(
    [",".join([*PATTERNS, "y"])]
    + [",".join([*(str((k * j) % 7) for j in range(1, 10)), "uv"[k % 2]]) for k in range(60)]
)
NAMES = [name or "column_5_" for name in PATTERNS]


@pytest.mark.parametrize(
    "form", ["csv", "parquet", "arrow", "jsonl", "polars", "pandas", "arrow table"]
)
def test_no_name_is_a_pattern(form: str) -> None:
    raw = raw_of("x", NAMED.encode())
    assert raw.names == [*NAMES, "y"]
    expected = {name: column.tolist() for name, column in raw.table("y").columns.items()}
    frame = pl.DataFrame({**expected, "y": ["u", "v"] * 30})
    if form == "csv":
        table = raw.table("*", drop=["^a.*$"])
        assert list(table.columns) == [n for n in [*NAMES, "y"] if n not in ("*", "^a.*$")]
        assert table.y is not None
        assert table.y.tolist() == expected["*"]
        return
    write = {"parquet": "write_parquet", "arrow": "write_ipc", "jsonl": "write_ndjson"}
    if form in write:
        getattr(frame, write[form])(f"x.{form}")
        found = read_table(f"x.{form}", target="y")
    else:
        data: Any = {"polars": frame, "pandas": frame.to_pandas()}.get(form, frame.to_arrow())
        found = as_table(data, target="y", drop=["nothing"])
    assert {name: column.tolist() for name, column in found.columns.items()} == expected


def test_patterns_on_the_command_line(run: Run) -> None:
    Path("x.csv").write_text(NAMED)
    told = run("train", "x.csv", "--target", "*", "--drop", "^a.*$", "--keep", "^.*$", *FAST).stdout
    assert "dropped: '^a.*$'" in told
    assert "8 input columns" in told
    run("predict", "x.pellucid", "x.csv")


# Wide tables, long names --------------------------------------------------------------------------


def wide(n: int, name: Callable[[int], str], m: int = 12, end: str = "\n") -> bytes:
    rows = [
        ",".join(str((k * j) % 97) for j in range(n)) + f",{'uv'[k % 2]}" for k in range(1, m + 1)
    ]
    return end.join([",".join([*map(name, range(n)), "y"]), *rows]).encode()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_first_row_longer_than_what_is_looked_at(end: str) -> None:
    content = wide(1_500, lambda k: f"gene {k:200}", end=end)
    assert content.index(end.encode()) > 2**18
    raw = raw_of("x", content)
    assert (len(raw.names), raw.names[7]) == (1_501, f"gene {7:200}")
    assert raw.notes == ["delimiter ','", "header in line 1"]
    column = raw.table("y").columns[f"gene {7:200}"]
    assert column.tolist() == [7.0 * k % 97 for k in range(1, 13)]


@pytest.mark.usefixtures("way")
def test_names_with_line_breaks_in_a_very_long_header() -> None:
    raw = raw_of("x", wide(1_500, lambda k: f'"a name\nin two lines {k:200}"'))
    assert raw.names[1] == f"a name\nin two lines {1:200}"
    assert raw.table("y").m == 12


@pytest.mark.usefixtures("way")
def test_a_long_header_alone_is_told_from_a_table() -> None:
    with pytest.raises(
        DataError, match=r"x holds only a header, no rows: 'g .* 0', 'g .* 1'.* and 1493 more"
    ):
        raw_of("x", wide(1_500, lambda k: f"{'g':200}{k}", m=0))


@pytest.mark.usefixtures("way")
def test_a_name_of_a_megabyte_and_a_cell_of_five() -> None:
    name, cell = "n" * 10**6, "c" * 5 * 10**6
    content = f'{name},b,y\n"{cell}",1,u\n' + "x,2,v\n" * 20
    table = raw_of("x", content.encode()).table("y")
    assert list(table.columns) == [name, "b"]
    assert table.columns[name][0] == cell
    with pytest.raises(
        DataError, match=r"lacks 1 column .*It has: 'nnn.*…nnn.*', 'b'\. Add"
    ) as caught:
        table.select(["q"])
    assert len(str(caught.value)) < 400


@pytest.mark.usefixtures("way")
def test_many_columns_are_named_by_a_few() -> None:
    n = 2_000
    raw = raw_of("x", wide(n, lambda k: f"g{k}"))
    names = raw.names[:-1]
    table = raw.table("y", columns=names[::-1], drop=names[:5])
    assert list(table.columns) == names[::-1]
    nameless = raw_of("x", wide(n, lambda k: ""))
    assert nameless.names[:2] == ["column_1", "column_2"]
    assert nameless.notes[-1] == f"{n - 4:,} more columns without a name"
    unknown = [f"h{k}" for k in range(n)]
    with pytest.raises(SettingsError, match=r"drop names 1992 more that do not exist") as caught:
        check_settings_named({"drop": unknown}, names)
    assert len(str(caught.value)) <= 1_900


# Messages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [DataError, ModelError, DataWarning])
def test_messages_are_visible_and_bounded(kind: type[Exception]) -> None:
    name = "\x1b[2J\u202e" + "n" * 10**6
    error = kind(f"there is no column {name!r} in {name}. Rename it.")
    text = str(error)
    assert len(text) <= 1_900
    assert text.isprintable()
    assert text.endswith("nnn. Rename it.")
    assert text.startswith(r"there is no column '\x1b[2J\u202ennn")
    assert str(pickle.loads(pickle.dumps(error))) == text
