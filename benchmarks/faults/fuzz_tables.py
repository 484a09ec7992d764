"""What is fuzzed of files: tables of every form, by Python and the command line, and images."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import unicodedata
import zlib
from pathlib import Path
from random import Random
from typing import Any

from mutate import changed, odd_text, odd_value, usual

FAST = ("--epochs", "1", "--hidden", "2", "--ensemble", "1", "-q")
SETTINGS = {"hidden_layer_sizes": (2,), "epochs": 1, "ensemble": 1}


MODEL = ["n", "x", "word", "day", "kind"]


class FoundError(Exception):
    """Something that is neither an answer nor a documented error."""


# Tables -------------------------------------------------------------------------------------------


def prepare_tables(folder: Path) -> dict[str, Any]:
    """Train the model that mutated tables are predicted with."""
    rows = [
        f"{k % 7},{k % 5 / 2},{'uvw'[k % 3]},2024-01-{k % 28 + 1:02d},{'ab'[k % 2]}"
        for k in range(60)
    ]
    good = "\n".join([",".join(MODEL), *rows])
    (folder / "good.csv").write_text(good)
    model = folder / "m.pellucid"
    command(["train", str(folder / "good.csv"), "--target", "kind", "--out", str(model), *FAST])
    return {"folder": folder, "model": str(model), "good": good.encode()}


def table(context: dict[str, Any], rng: Random) -> None:
    """Read one table, by one of the ways there are."""
    from pellucid.tables.fit import prepare
    from pellucid.tables.read import read_raw, read_table
    from pellucid.tables.settings import TrainSettings

    ending, content, names = table_file(context, rng)
    path = context["folder"] / f"t{ending}"
    path.write_bytes(content)
    name = rng.choice([*names, odd_text(rng), "kind"]) if names else "kind"
    match rng.randrange(5):
        case 0:
            raw = read_raw(str(path))
            raw.table(rng.choice(raw.names), drop=rng.sample(raw.names, len(raw.names) // 3))
        case 1:
            read_table(
                path,
                target=rng.choice((None, name)),
                columns=rng.choice((None, [name], ["n", "x"])),
                header=rng.choice((None, None, True, False)),
                texts=[name],
                decimal=rng.choice((None, ",")),
            )
        case 2:
            raw = read_raw(str(path))
            prepare(raw.table(rng.choice(raw.names)), TrainSettings(**SETTINGS))
        case 3:
            command(["predict", context["model"], str(path)])
        case 4:
            named = [f"--{rng.choice(('drop', 'keep', 'categorical'))}={name}"]
            command(["evaluate", context["model"], str(path), f"--target={name}"]
                    if rng.random() < 0.5 else
                    ["train", str(path), f"--target={name}", *named, "--out",
                     str(context["folder"] / "new.pellucid"), "--overwrite", *FAST])  # fmt: skip


def command(arguments: list[str]) -> None:
    """Run a command; what it says must be for people, and its status 0 or 2."""
    from typer.testing import CliRunner

    from pellucid.cli import app

    result = CliRunner().invoke(app, arguments)
    said = result.stderr.splitlines()
    if result.exit_code not in (0, 2):
        raise FoundError(f"exit status {result.exit_code}: {said[-1:]} {result.exception!r}")
    if arguments[0] != "predict" or result.exit_code:  # its standard output is data
        said += result.stdout.splitlines()
    for line in said:
        check_shown(line)
    if result.exit_code == 2:
        raise RefusedError(said[-1] if said else "")


class RefusedError(Exception):
    """A command that says what is wrong."""


def check_shown(text: str) -> None:
    """Hold a message against what is promised of all: bounded, and visible throughout."""
    if len(text) > 2_000:
        raise FoundError(f"a message of {len(text):,} characters: {text[:200]!r}")
    hidden = [each for each in text if unicodedata.category(each) in ("Cc", "Cf", "Zl", "Zp", "Cs")]
    if hidden:
        raise FoundError(f"a message with {hidden[0]!r}: {text[:200]!r}")


def table_file(context: dict[str, Any], rng: Random) -> tuple[str, bytes, list[str]]:
    """The ending and the content of a file, mostly a damaged one, and its columns' names."""
    ending = rng.choice((".csv", ".csv", ".csv", ".tsv", ".txt", ".jsonl", ".parquet", ".arrow"))
    names: list[str] = []
    if rng.random() < 0.003:
        return large(rng)
    if rng.random() < 0.2:
        content = context["good"]
    elif ending in (".parquet", ".arrow"):
        names, content = columnar(rng, ending)
    elif ending == ".jsonl":
        names, content = json_lines(rng)
    else:
        names, content = delimited(rng)
    if rng.random() < 0.25:
        content = changed(rng, content)
    if rng.random() < 0.1:
        content = gzip.compress(content, mtime=0)
        content = changed(rng, content) if rng.random() < 0.5 else content
        ending += rng.choice(("", ".gz"))
    return ending, content, names


def large(rng: Random) -> tuple[str, bytes, list[str]]:
    """A file that is large itself, or that unpacks to a large one."""
    n = rng.choice((10_000, 30_000, 100_000))
    made = {
        "rows": lambda: b"n,x\n" + b"1,2\n" * (200 * n),
        "columns": lambda: b"\n".join([b",".join(b"g%d" % k for k in range(n // 2)), *wide]),
        "cell": lambda: b"n,x\n" + b"c" * (500 * n) + b",1\n" + b"a,2\n" * 30,
        "line": lambda: b"1," * (50 * n),
        "quote": lambda: b'n,x\n"' + b"1,2\n" * (20 * n),
        "names": lambda: b"\n".join(b'{"k%d": %d}' % (k, k) for k in range(n // 5)),
    }
    wide = [b",".join([b"1", b"2"] * (n // 4))] * 12
    kind = rng.choice(list(made))
    content, ending = made[kind](), ".jsonl" if kind == "names" else ".csv"
    if rng.random() < 0.5:
        packed = gzip.compress(content, 1, mtime=0) * rng.choice((1, 4, 40))
        return f"{ending}.gz", packed, ["n", "x"]
    return ending, content, ["n", "x"]


def some_names(rng: Random) -> list[str]:
    names = [odd_text(rng) for _ in range(rng.choice((1, 2, 3, 3, 4, 5, 40)))]
    if rng.random() < 0.7:  # those of the model too
        names = [*rng.sample(MODEL, rng.choice((2, 5, 5, 5))), *names[: rng.randrange(3)]]
    return names if rng.random() < 0.1 else list(dict.fromkeys(names))


def cells(rng: Random, m: int, name: str) -> list[str]:
    """A column as a file writes it: mostly of one kind, with stray cells."""
    usual = {"n": 1, "x": 0, "word": 2, "day": 3, "kind": 2}
    kind = usual.get(name, 5) if rng.random() < 0.8 else rng.choice((0, 0, 1, 2, 3, 4, 5))
    made = {
        0: lambda: f"{rng.gauss(0, 1):.4f}",
        1: lambda: str(rng.randrange(3)),
        2: lambda: rng.choice("uvw"),
        3: lambda: f"2024-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}",
        4: lambda: f"{rng.randrange(99)},{rng.randrange(99)}",
        5: lambda: odd_text(rng),
    }[kind]
    stray = rng.choice((0, 0, 0, 0.02, 0.2))
    return [odd_text(rng) if rng.random() < stray else made() for _ in range(m)]


def delimited(rng: Random) -> tuple[list[str], bytes]:
    names, m = some_names(rng), rng.choice((0, 1, 2, 12, 60, 60, 60))
    cut, end = rng.choice(",;\t|"), rng.choice(("\n", "\n", "\r\n", "\r"))
    columns = [cells(rng, m, name) for name in names]
    rows = [*([names] if rng.random() < 0.9 else []), *map(list, zip(*columns, strict=True))]
    quoting = rng.random()

    def cell(text: str) -> str:
        needed = any(each in text for each in (cut, '"', "\n", "\r"))
        quoted = quoting < 0.1 or (needed and quoting < 0.9)
        return '"' + text.replace('"', '""') + '"' if quoted else text

    text = end.join(cut.join(map(cell, row)) for row in rows) + rng.choice(("", end))
    code = rng.choice(("utf-8",) * 20 + ("utf-8-sig", "latin-1", "utf-16"))
    return names, text.encode(
        code, rng.choice(("replace", "surrogatepass")) if "utf" in code else "replace"
    )


def json_lines(rng: Random) -> tuple[list[str], bytes]:
    names, odd = some_names(rng), rng.choice((0, 0.02, 1))
    kinds = {name: usual(rng, 60) for name in names}
    lines = []
    for k in range(2 if max(map(len, names)) > 10_000 else rng.choice((1, 2, 12, 60, 60, 60))):
        row = {
            name: odd_value(rng) if rng.random() < odd else kinds[name][k]
            for name in names
            if rng.random() < 0.98
        }
        lines.append(json.dumps(row, default=str, ensure_ascii=rng.random() < 0.5))
    return names, "\n".join(lines).encode("utf-8", "surrogatepass")


def columnar(rng: Random, ending: str) -> tuple[list[str], bytes]:
    """A Parquet or Arrow file that pyarrow writes, with types that tables hardly have."""
    import pyarrow as pa
    import pyarrow.parquet as parquet
    from fuzz_frames import arrow_column

    m, odd = rng.choice((0, 1, 12, 60, 60, 60)), rng.choice((0.1, 1))
    names = [name.encode("utf-8", "ignore").decode() for name in some_names(rng)]
    columns = [arrow_column(rng, m) if rng.random() < odd else usual(rng, m) for _ in names]
    made = pa.table(columns, names=names)
    file = io.BytesIO()
    try:
        if ending == ".parquet":
            parquet.write_table(made, file, compression=rng.choice(("snappy", "zstd", "none")))
        else:
            packed = pa.ipc.IpcWriteOptions(compression=rng.choice((None, "lz4", "zstd")))
            form = rng.choice((pa.ipc.new_file, pa.ipc.new_file, pa.ipc.new_stream))
            with form(file, made.schema, options=packed) as writer:
                writer.write_table(made)
    except (pa.ArrowException, NotImplementedError):  # a type that the format has not
        return [], b""
    return names, file.getvalue()


# Images -------------------------------------------------------------------------------------------


def prepare_images(folder: Path) -> dict[str, Any]:
    """Draw an image in every form and mode."""
    from PIL import Image

    drawn = []
    plain = Image.linear_gradient("L").resize((20, 12))
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"):
        for form in ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP", "PPM", "ICO", "TGA", "EPS"):
            file = io.BytesIO()
            with contextlib.suppress(OSError, KeyError, ValueError):
                plain.convert(mode).save(file, form)
                drawn.append(file.getvalue())
    return {"folder": folder, "drawn": drawn}


def _large_image(rng: Random) -> bytes:
    """Almost as large as what is still unpacked, or larger; to be turned."""
    from PIL import Image

    turned, file = Image.Exif(), io.BytesIO()
    turned[0x0112] = 6
    mode, side = rng.choice((("RGBA", 9_400), ("I;16", 9_400), ("1", 9_400), ("P", 9_500)))
    Image.new(mode, (side, side)).save(file, "PNG", exif=turned, compress_level=1)
    content = file.getvalue()
    if rng.random() < 0.3:  # its head says so much more
        head = content[12:16] + 2 * (40_000).to_bytes(4, "big") + content[24:29]
        content = content[:12] + head + zlib.crc32(head).to_bytes(4, "big") + content[33:]
    return content


def images(context: dict[str, Any], rng: Random) -> None:
    """Read a folder of images, some of which are none."""
    import shutil

    from pellucid.tables.images import ENDINGS, read_images

    folder = context["folder"] / "photos"
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        (folder / name / "0.png").write_bytes(context["drawn"][0])
    for k in range(rng.choice((1, 1, 3))):
        content = _large_image(rng) if rng.random() < 0.003 else rng.choice(context["drawn"])
        content = changed(rng, content) if rng.random() < 0.8 else content
        name = rng.choice(("cat", "dog", ".")) + f"/{k}{rng.choice(ENDINGS)}"
        (folder / name).write_bytes(content)
    if rng.random() < 0.05:
        os.mkfifo(folder / "cat" / "pipe.png")
        (folder / "dog" / "lost.png").symlink_to("nowhere")
    read_images(folder, rng.choice((1, 8, 64)))
    read_images(folder / "cat" / "0.png", 8)
