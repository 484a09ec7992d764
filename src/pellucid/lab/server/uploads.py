"""What a page sends by POST: a model folder, as a zip or as its files, or a table of text.

Nothing that comes in is believed: sizes are known and bounded before anything is read or unpacked,
only files of a model folder's own names are, no name is used as a path, and nothing is executed.
A ValueError says in one sentence why something is refused.
"""

from __future__ import annotations

import io
import json
import re
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pellucid._shown import short
from pellucid.errors import DataError, ModelError
from pellucid.lab.datasets import dataset
from pellucid.lab.session.model_data import from_content
from pellucid.lab.session.models import alone, experiment_of, read_model
from pellucid.lab.session.table import first_experiment, learn, likely_target
from pellucid.lab.session.user_data import WEIGHTS
from pellucid.lab.views.catalogue import dataset_state
from pellucid.persistence.folder import MODEL_JSON
from pellucid.tables.read import raw_of

LARGEST_UNPACKED = 64 * 2**20
MOST_FILES = 32
MOST_CELLS = 20_000_000
MOST_TABLES = 4
"""Tables whose target can still be chosen; the oldest go first."""

TABLES: dict[str, tuple[str, bytes]] = {}
"""The tables sent: what each is called, and its content."""

_FILE = re.compile(r"model\.json|[a-z][a-z_]{0,30}-[0-9a-f]{16}\.(safetensors|json)")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_lock = threading.Lock()


def received(kind: str, name: str, content: bytes) -> dict[str, Any]:
    """Return the answer to what came in: one of :data:`KINDS`, called ``name``, for people only."""
    shown = re.sub(r"[^\w .()+-]", "_", name)[-60:].strip() or "upload"
    with _lock:  # one at a time: what they take is bounded
        return KINDS[kind](shown, content)


# Tables -------------------------------------------------------------------------------------------


def _table(name: str, content: bytes) -> dict[str, Any]:
    """Hold a table until its target is chosen: its columns, and which is likely meant."""
    if content[:2] == b"\x1f\x8b":
        raise DataError(f"{name} is compressed; unpack it first, or: pellucid lab {name}.")
    lines = content.lstrip(b"\r\n").replace(b"\r", b"\n")
    head = lines.partition(b"\n")[0]
    head = lines if head.count(b'"') % 2 else head  # a name that goes on in the next line
    wide, long = 1 + max(map(head.count, (b",", b";", b"\t", b"|"))), 1 + lines.count(b"\n")
    if wide * long > MOST_CELLS:
        raise DataError(
            f"{name} has about {wide:,} columns and {long:,} lines; the lab reads up to "
            f"{MOST_CELLS:,} cells. Train on it with pellucid train."
        )
    raw = raw_of(name, content)
    table = f"table-{zlib.crc32(content):08x}"
    TABLES.pop(table, None)
    for oldest in list(TABLES)[: 1 - MOST_TABLES]:
        TABLES.pop(oldest)
    TABLES[table] = (name, content)
    return {
        "table": table,
        "title": name,
        "columns": raw.names,
        "shown": list(map(short, raw.names)),
        "target": likely_target(raw),
    }


def choose_target(table: Any, target: Any, model: Any, task: Any = None) -> dict[str, Any]:
    """Return the experiment of a table sent, through the preprocessing of a ``model`` or none.

    ``task`` is asked for instead of inferred; a model knows its own.
    """
    with _lock:
        if not isinstance(table, str) or table not in TABLES:
            raise ValueError("this table is no longer here; open its file again.")
        if not isinstance(target, str):
            raise ValueError(f"target must be the name of a column; got {target!r:.40}.")
        name, content = TABLES[table]
        held = WEIGHTS.get(model) if isinstance(model, str) else None
        if held is None or held.model is None:
            chosen = raw_of(name, content).table(target, task=task)
            return _opening(first_experiment(learn(chosen, name, task=task)))
        found = from_content(held.model, content, target, name)
        return _opening(experiment_of(held.model, {"name": found.name}, held.recall))


# Models -------------------------------------------------------------------------------------------


def _zip(name: str, content: bytes) -> dict[str, Any]:
    return _model(name.removesuffix(".zip"), _unzipped(name, content))


def _folder(name: str, content: bytes) -> dict[str, Any]:
    return _model(name, _separated(name, content))


def _model(name: str, files: Iterator[tuple[str, bytes]]) -> dict[str, Any]:
    """Open a model of its files; they are laid out in a folder of their own, read, and removed."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "model")
        path.mkdir()
        for file, content in files:
            Path(path, file).write_bytes(content)
        if not Path(path, MODEL_JSON).exists():
            raise ModelError(
                f"{name} holds no {MODEL_JSON}; expected a folder that Pellucid saved."
            )
        try:
            model = read_model(path, name)
        except ModelError as error:
            raise ModelError(str(error).replace(str(path), name)) from None
    return _opening(alone(model))


def _unzipped(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """The files of a model folder in a zip, each with its name alone.

    Only a plain zip is taken, whose directory stands right before its end: then its size is known
    before the directory is read.
    """
    end = content[-22:]
    plain = end[:4] == b"PK\x05\x06" and end[20:] == b"\0\0" and b"PK\x06\x07" != content[-42:-38]
    if not plain or int.from_bytes(end[12:16], "little") > 200 * MOST_FILES:
        raise ModelError(
            f"{name} is not a zip of a model folder: expected at most {MOST_FILES} files, "
            "no comment."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            # orig_filename: the other one ends at a NUL
            entries = [each for each in file.infolist() if each.orig_filename[-1:] != "/"]
            known = _model_files(name, [each.orig_filename for each in entries])
            wanted = [each for each in entries if each.orig_filename in known]
            _check_size(name, [each.file_size for each in wanted])
            if any(each.compress_type not in _METHODS for each in wanted):
                raise ValueError("neither stored nor deflated")
            for each in wanted:
                with file.open(each) as inside:
                    yield known[each.orig_filename], inside.read(each.file_size)
    except ModelError:
        raise
    except Exception as error:  # a reader of zips meets what it does not expect in many ways
        raise ModelError(f"{name} is a damaged zip, or one of an unknown kind: {error}.") from None


def _separated(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """The files of a folder, one behind the other after a line of JSON with names and sizes."""
    line, _, rest = content.partition(b"\n")
    try:
        listed = [(str(file), size) for file, size in json.loads(line[:100_000])]
        if not all(type(size) is int and size >= 0 for _, size in listed):
            raise ValueError("sizes")
        if sum(size for _, size in listed) != len(rest):
            raise ValueError("sizes")
    except (ValueError, TypeError, RecursionError):
        raise ModelError(f"{name} did not arrive whole; open it again.") from None
    known = _model_files(name, [file for file, _ in listed])
    start = 0
    for file, size in listed:
        if file in known:
            yield known[file], rest[start : start + size]
        start += size


def _model_files(name: str, names: list[str]) -> dict[str, str]:
    """The paths that are files of a model folder, and each without its folder.

    Paths that lead elsewhere, several folders, and the same name twice are refused.
    """
    odd = [each for each in names if each[:1] == "/" or {"..", ""} & set(each.split("/"))
           or re.search(r"[\\:\0]", each)]  # fmt: skip
    if odd or len(names) > MOST_FILES:
        what = f"the name {odd[0]!r:.60}" if odd else f"{len(names)} files"
        raise ModelError(f"{name} holds {what}; expected one model folder that Pellucid saved.")
    names = [each for each in names if not each.startswith("__MACOSX/")]
    known = {each: each.split("/")[-1] for each in names if _FILE.fullmatch(each.split("/")[-1])}
    folders = {each.rpartition("/")[0] for each in known}
    if len(folders) > 1 or any(names.count(each) > 1 for each in known):
        raise ModelError(
            f"{name} holds several folders or a file twice; expected one model folder."
        )
    return known


def _check_size(name: str, sizes: list[int]) -> None:
    if sum(sizes) > LARGEST_UNPACKED:
        raise ModelError(
            f"{name} would unpack to {sum(sizes) / 2**20:,.0f} MiB; the lab takes models of up to "
            f"{LARGEST_UNPACKED // 2**20} MiB."
        )


def _opening(experiment: dict[str, Any]) -> dict[str, Any]:
    found = dataset(experiment["data"]["name"])
    return {"experiment": experiment, "dataset": dataset_state(found), "note": found.note}


KINDS: dict[str, Callable[[str, bytes], dict[str, Any]]] = {
    "table": _table,
    "zip": _zip,
    "folder": _folder,
}
"""What may be sent, and who takes it. The path is /upload/ and this name."""
