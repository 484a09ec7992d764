"""What bad input gets: one message, exit status 2, and not a byte of what was there is changed.

One line of ``CASES`` for each: a name, what makes the bad input, the command line, the message.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.numpy
from typer.testing import Result

from pellucid import load_predictor

pytestmark = pytest.mark.usefixtures("here")
Run = Callable[..., Result]
Refused = Callable[..., str]

LINES = [f"{k % 13},{(k * 7) % 11},{'uvw'[k % 3]},{'ab'[k % 11 > 5]}" for k in range(60)]
GOOD = "\n".join(["x,z,word,kind", *LINES])
FAST = ("--epochs", "2", "--hidden", "4", "--ensemble", "1")


def csv(content: str | bytes, name: str = "bad.csv") -> Callable[[], None]:
    """What writes a file."""
    data = content.encode() if isinstance(content, str) else content
    return lambda: Path(name).write_bytes(data) and None


def with_target(*values: str) -> Callable[[], None]:
    """A table whose target repeats these values."""
    rows = [f"{k % 13},{(k * 7) % 11},{values[k % len(values)]}" for k in range(60)]
    return csv("\n".join(["x,z,kind", *rows]))


def model_json(**changes: Any) -> Callable[[], None]:
    """A copy of the model with other entries in model.json."""

    def make() -> None:
        copy_model()
        model = json.loads(Path("bad.pellucid/model.json").read_text())
        Path("bad.pellucid/model.json").write_text(json.dumps({**model, **changes}))

    return make


def copy_model() -> None:
    import shutil

    shutil.copytree("t.pellucid", "bad.pellucid")


def cut_weights() -> None:
    copy_model()
    weights = next(Path("bad.pellucid").glob("weights-*"))
    weights.write_bytes(weights.read_bytes()[:-10])


def other_weights() -> None:
    """Weights of other shapes, in a folder whose sizes and hashes are right."""
    copy_model()
    folder = Path("bad.pellucid")
    old = next(folder.glob("weights-*"))
    arrays = {name: a[..., :1].copy() for name, a in safetensors.numpy.load_file(old).items()}
    content = safetensors.numpy.save(arrays)
    digest = hashlib.sha256(content).hexdigest()
    old.unlink()
    name = f"weights-{digest[:16]}.safetensors"
    (folder / name).write_bytes(content)
    model = json.loads((folder / "model.json").read_text())
    model["files"]["weights"] = {"name": name, "sha256": digest, "bytes": len(content)}
    (folder / "model.json").write_text(json.dumps(model))


def nothing() -> None:
    pass


TRAIN = ("train", "bad.csv", "--target", "kind", "--out", "t.pellucid", "--overwrite")
PREDICT = ("predict", "t.pellucid", "bad.csv")

CASES: dict[str, tuple[Callable[[], None], tuple[str, ...], str]] = {
    # The file
    "no file": (
        nothing,
        ("train", "goood.csv", "--target", "kind"),
        r"there is no file 'goood\.csv' \(did you mean 'good\.csv'\?\)",
    ),
    "an empty file": (csv(""), TRAIN, r"'bad\.csv' is empty; expected a header and rows"),
    "blank lines": (csv("\n \n\n"), TRAIN, r"bad\.csv is empty"),
    "a header alone": (csv("x,z,kind\n"), TRAIN, "holds only a header, no rows: 'x', 'z', 'kind'"),
    "ragged rows": (
        csv(GOOD + "\n1,2,u\n1,2,u,a,7\n"),
        TRAIN,
        r"line 62 has 3 cells, expected 4 as in the first row \(delimiter ','\); 1 more row is w",
    ),
    "an open quotation mark": (
        csv(GOOD + '\n1,"2,u,a'),
        TRAIN,
        "line 62: .*a quotation mark is opened and not closed",
    ),
    "an Excel file": (csv(b"PK\x03\x04..."), TRAIN, "is an Excel or zip file, not a table of text"),
    "an image": (csv(b"\x89PNG\r\n\x1a\n"), TRAIN, "is an image, not a table of text"),
    "binary data": (csv(GOOD.encode() + b"\n\0\1"), TRAIN, "line 62 holds a zero byte, as binary"),
    "an unknown ending": (
        csv(b"PK", "bad.xlsx"),
        ("train", "bad.xlsx", "--target", "kind"),
        r"cannot tell the format of 'bad\.xlsx' from its ending; expected \.csv",
    ),
    "text in one column": (
        csv("Once upon a time\nthere was a kind\nof prose"),
        TRAIN,
        r"bad\.csv has no column 'kind'.* It was read as one column; expected columns separated by",
    ),
    "UTF-16": (csv(GOOD.encode("utf-16")), TRAIN, "encoded in UTF-16; expected UTF-8. Save it as"),
    "Latin-1": (
        csv(f"{GOOD}\n1,2,ü,a".encode("latin-1")),
        TRAIN,
        "not encoded in UTF-8: line 62 holds the byte 0xfc. Save it as 'CSV UTF-8'",
    ),
    "a cut gzip file": (
        csv(gzip.compress(GOOD.encode())[:-20]),
        TRAIN,
        r"'bad\.csv' is a damaged gzip file",
    ),
    "no Parquet": (
        csv(GOOD, "bad.parquet"),
        ("train", "bad.parquet", "--target", "kind"),
        r"bad\.parquet cannot be read: it is not a Parquet file",
    ),
    "no JSON lines": (
        csv("{", "bad.jsonl"),
        ("train", "bad.jsonl", "--target", "kind"),
        r"bad\.jsonl cannot be read: it is not JSON lines, one object a line",
    ),
    "a folder": (
        lambda: Path("folder").mkdir(),
        ("train", "folder"),
        "'folder' is a folder without images",
    ),
    "no such sample": (
        nothing,
        ("train", "sample:irsi"),
        r"there is no sample 'irsi' \(did you mean 'iris'\?\)\. Known are: iris",
    ),
    "columns of one name": (
        csv(GOOD.replace("x,z", "x,x")),
        TRAIN,
        r"names of columns must differ; found more than once: 'x' \('x' in columns 1, 2\)",
    ),
    # The target
    "no target named": (
        nothing,
        ("train", "good.csv"),
        r"name the column to learn with --target; good\.csv has: 'x', 'z', 'word', 'kind'",
    ),
    "no such target": (
        nothing,
        ("train", "good.csv", "--target", "Kind"),
        r"good\.csv has no column 'Kind' \(did you mean 'kind'\?\); its columns are 'x', 'z', 'wo",
    ),
    "a target by name where there is no header": (
        csv("\n".join(LINES)),
        TRAIN,
        "has no column 'kind'; its columns are '1', '2', '3', '4'. No header was found; if",
    ),
    "a constant target": (with_target("7.5"), TRAIN, r"'kind' is constant: every row holds 7"),
    "one class only": (with_target("a"), TRAIN, r"every row holds 'a' \(one class only; nothing t"),
    "a target that is missing": (with_target("", "NA"), TRAIN, "'kind' is missing in every row"),
    "fewer rows than classes": (
        csv("\n".join(["x,kind", *(f"{k},ann{k}" for k in range(20))])),
        TRAIN,
        "'kind' holds 20 distinct texts in 20 rows: too many classes to learn",
    ),
    "too few rows": (
        csv("x,kind\n1,a\n2,b\n3,a"),
        TRAIN,
        r"bad\.csv has 3 rows; at least \d+ are needed to train",
    ),
    "an infinite target": (
        with_target("1.5", "inf", "2.5"),
        TRAIN,
        r"infinite values in 1 column: 'kind' \(20 rows: 2, 5, 8, \.\.\.\)",
    ),
    "texts for regression": (
        nothing,
        ("train", "good.csv", "--target", "kind", "--task", "regression"),
        "'kind' holds 2 distinct texts, such as 'a': regression needs numbers",
    ),
    "three classes for binary": (
        nothing,
        ("train", "good.csv", "--target", "word", "--task", "binary"),
        "'word' holds 3 distinct texts: binary classification needs exactly 2",
    ),
    "nothing but the target": (
        csv("kind\n" + "a\nb\n" * 20),
        TRAIN,
        "bad.csv has no input columns besides the target 'kind'",
    ),
    # The numbers
    "infinity": (
        csv(GOOD + "\ninf,2,u,a\n1,2,u,a"),
        TRAIN,
        r"infinite values in 1 column: 'x' \(1 row: 61\).*Correct them, or drop those rows",
    ),
    "1e300": (
        csv(GOOD + "\n1,1e300,u,a"),
        TRAIN,
        r"values beyond 1e\+38, too large to compute with, in 1 column: 'z' \(1 row: 61\)",
    ),
    # Prediction
    "a column that is lacking": (
        csv("x,Z,word\n1,2,u"),
        PREDICT,
        r"bad\.csv lacks 1 column that the model was trained with: 'z' \(did you mean 'Z'\?\)",
    ),
    "a column of another type": (
        csv("x,z,word\n1,2,u\n1,two,u"),
        PREDICT,
        r"bad\.csv: column 'z' holds texts.* such as 'two' in row 2; expected numbers, as in tra",
    ),
    "dates for numbers": (
        csv("x,z,word\n1,2024-01-31,u"),
        PREDICT,
        "column 'z' holds .*'2024-01-31'.*expected numbers, as in training",
    ),
    "infinity at prediction": (
        csv("x,z,word\n1,-inf,u"),
        PREDICT,
        r"infinite values in 1 column: 'z' \(1 row: 1\)",
    ),
    "an empty file at prediction": (csv(""), PREDICT, r"'bad\.csv' is empty"),
    "an unknown class": (
        csv(GOOD + "\n1,2,u,c"),
        ("evaluate", "t.pellucid", "bad.csv"),
        "the target holds 'c', which is not among the classes 'a', 'b'",
    ),
    # The model folder
    "no model": (
        nothing,
        ("predict", "t.pelucid", "good.csv"),
        r"there is no model folder 't\.pelucid' \(did you mean 't\.pellucid'\?\)",
    ),
    "a file for a model": (nothing, ("predict", "good.csv", "good.csv"), "is a file, not a Pelluc"),
    "weights cut off": (
        cut_weights,
        ("predict", "bad.pellucid", "good.csv"),
        r"bad\.pellucid: the file weights-.* should be \d+ bytes, is \d+: it was cut off",
    ),
    "weights missing": (
        lambda: (copy_model(), next(Path("bad.pellucid").glob("weights-*")).unlink())[1],
        ("predict", "bad.pellucid", "good.csv"),
        r"bad\.pellucid: the file weights-.* is missing",
    ),
    "model.json cut off": (
        lambda: (copy_model(), os.truncate("bad.pellucid/model.json", 100))[1],
        ("predict", "bad.pellucid", "good.csv"),
        r"bad\.pellucid/model\.json is not valid JSON",
    ),
    "a newer version": (
        model_json(format_version=99),
        ("predict", "bad.pellucid", "good.csv"),
        r"bad\.pellucid was written by a newer Pellucid \(format 99\); this one reads 1 to 2: pip",
    ),
    "weights that do not match": (
        other_weights,
        ("evaluate", "bad.pellucid", "good.csv"),
        r"bad\.pellucid: the weights do not match the architecture in model\.json: 1\.W1 should be",
    ),
    "columns that do not match": (
        model_json(preprocessing={"columns": []}),
        ("predict", "bad.pellucid", "good.csv"),
        r"bad\.pellucid.*preprocessing",
    ),
    # Where to write
    "a model that is there": (
        nothing,
        ("train", "good.csv", "--target", "kind", "--out", "t.pellucid"),
        r"'t\.pellucid' holds a model already; nothing was written.*\(--overwrite\)",
    ),
    "a folder that is no model": (
        lambda: (Path("mine").mkdir(), Path("mine/diary").write_text("x"))[0],
        ("train", "good.csv", "--target", "kind", "--out", "mine", "--overwrite"),
        "'mine' is a folder, but not a Pellucid model",
    ),
    "a file where a folder should be": (
        nothing,
        ("train", "good.csv", "--target", "kind", "--out", "good.csv/m"),
        "cannot write .* is a file, not a folder",
    ),
    # Settings
    "all that is wrong with the options": (
        nothing,
        (
            *("train", "good.csv", "--target", "kind", "--activation", "rleu", "--epochs", "0"),
            *("--optimizer", "adm", "--hidden", "8;4", "--dropout", "1.5", "--task", "binry"),
        ),
        r"--hidden must be the units .* got '8;4'\. --task must be one of .*'binry' \(did you mean "
        r"'binary'\?\)\. --activation .*'rleu' \(did you mean 'relu'\?\).* --optimizer .*'adm' "
        r"\(did you mean 'adam'\?\).* --epochs must be .*got 0\. --dropout must be .*got 1\.5\.",
    ),
    "columns that are not there": (
        nothing,
        ("train", "good.csv", "--target", "kind", "--drop", "X", "--keep", "wrod,z"),
        r"--drop names the column 'X', .* \(did you mean 'x'\?\)\. --keep names the column 'wrod', "
        r".* \(did you mean 'word'\?\)",
    ),
    "a target that is an option's column too": (
        nothing,
        ("train", "good.csv", "--target", "z", "--drop", "x,z", "--categorical", "z"),
        r"--drop names the target 'z'\. --categorical names the target 'z'\.",
    ),
    "a smoothing that cannot be": (
        nothing,
        ("train", "good.csv", "--target", "kind", "--label-smoothing", "1"),
        r"--label-smoothing must be at least 0 and below 1, or None; got 1\.0",
    ),
    "a learning rate that is too large": (
        nothing,
        (
            *("train", "sample:diabetes", "--out", "t.pellucid", "--overwrite", "-q"),
            *("--optimizer", "gradient_descent", "--learning-rate", "1e30", "--hidden", "4,4"),
            *("--activation", "identity"),
        ),
        r"--learning-rate 1e\+30 is too large: the training diverged in its first epoch",
    ),
}


@pytest.fixture
def model(run: Run) -> None:
    """A good table and a model of it, which nothing below may touch."""
    Path("good.csv").write_text(GOOD)
    run("train", "good.csv", "--target", "kind", *FAST, "--out", "t.pellucid", "-q")


@pytest.mark.parametrize("name", CASES)
def test_bad_input(model: None, refused: Refused, name: str) -> None:
    make, arguments, message = CASES[name]
    make()
    assert re.search(message, refused(*arguments))


# Disks --------------------------------------------------------------------------------------------

NOT_SAVED = "^pellucid: the training is done, but its model could not be saved: "
AGAIN = ("train", "good.csv", "--target", "kind", *FAST, "--seed", "1", "-q", "--overwrite")


@pytest.mark.parametrize("step", range(4))
def test_a_disk_that_is_full(
    model: None, refused: Refused, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Whichever file the disk is full at, once it was tried: the old model stays as it was."""
    calls: list[int] = []
    fsync = os.fsync

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 1 + step:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        message = refused(*AGAIN, "--out", "t.pellucid")
    assert re.search(NOT_SAVED + r"'t\.pellucid(/.*)?': No space left on device\. Noth", message)
    assert len(load_predictor("t.pellucid").networks) == 1


def test_a_new_folder_is_taken_away_again_where_the_disk_is_full(
    model: None, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def full(descriptor: int, content: Any) -> int:
        if b"safetensors" in bytes(content[:9999]) or b"dtype" in bytes(content[:9999]):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, content)

    monkeypatch.setattr(os, "write", full)
    message = refused(*AGAIN, "--out", "deep/new.pellucid")
    assert re.search(NOT_SAVED + r"'deep/new\.pellucid/.*': No space left on device", message)
    assert not Path("deep").exists()


def test_a_folder_that_may_not_be_written_is_refused_before_the_training(
    model: None, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(*arguments: Any, **options: Any) -> None:
        pytest.fail("the training began")

    original = os.open

    def denied(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return original(path, flags, *rest, **options)

    monkeypatch.setattr("pellucid.tables.fit.prepare", trained)
    monkeypatch.setattr(os, "open", denied)
    why = r": no file can be written into '.*' \(Permission denied\)"
    for out in ("t.pellucid", "new.pellucid"):
        assert re.search(f"cannot write '{out}'{why}", refused(*AGAIN, "--out", out))
    message = refused("predict", "t.pellucid", "good.csv", "--out", "p.csv")
    assert re.search(rf"cannot write 'p\.csv'{why}", message)
    message = refused("samples", "--write", "iris", "i.csv")
    assert re.search(rf"cannot write 'i\.csv'{why}", message)


@pytest.mark.parametrize("where", ["a full disk", "/proc", "a long name"])
def test_what_cannot_be_saved_is_not_trained(
    model: None, refused: Refused, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def trained(*arguments: Any, **options: Any) -> None:
        pytest.fail("the training began")

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pellucid.tables.fit.prepare", trained)
    if where == "/proc" and not Path("/proc/self").exists():
        pytest.skip("there is none")
    out = "/proc/new.pellucid" if where == "/proc" else "new.pellucid"
    if where == "a full disk":
        monkeypatch.setattr(os, "fsync", full)
    if where == "a long name":
        out = "x" * 300 + out
    why = r"cannot write '.*new\.pellucid': no file can be written into '.*' \((No s|File n).*\)\.$"
    assert re.search(why, refused(*AGAIN, "--out", out))


def test_a_disk_that_turns_out_read_only(
    model: None, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system", "new.pellucid")

    monkeypatch.setattr("pellucid.persistence.saving.write_folder", read_only)
    message = refused(*AGAIN, "--out", "new.pellucid")
    assert re.search(NOT_SAVED + r"'new\.pellucid': Read-only file system\. Nothing could", message)


def test_predictions_on_a_full_disk(
    model: None, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pellucid._files.check_writable", lambda path: None)
    monkeypatch.setattr(os, "fsync", full)
    message = refused("samples", "--write", "iris", "i.csv")
    assert message == "pellucid: 'i.csv': No space left on device.\n"
    result = refused_in_part("predict", "t.pellucid", "good.csv", "--out", "p.csv")
    why = (
        "predictions could not be saved: 'p.csv': No space left on device. Nothing could be written"
    )
    assert why in result.stderr
    assert not Path("p.csv").exists()


def refused_in_part(*arguments: str) -> Result:
    """A command that prints notes before it fails."""
    from typer.testing import CliRunner

    from pellucid.cli import app

    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 2
    return result
