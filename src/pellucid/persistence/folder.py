"""The model folder: what is in it, and that it is whole at any moment.

``NAME.pellucid/`` holds

- ``weights-HASH.safetensors`` and other arrays, W[l] as (n[l], n[l-1]) in C order;
- ``history-HASH.json`` and other documents;
- ``model.json``: what kind of object this is, its architecture and settings, and name, SHA-256 and
  size of each other file. HASH is the first 16 digits of the SHA-256;
- ``report.html``, a page for people, where there is one. Loading never reads it.

Every file is written under a temporary name first and brought to the disk. Arrays and documents get
their names; then an old report goes, ``model.json`` is replaced in one step, and the new report
comes; then files that model.json no longer names go, if their names are of the forms above. A crash
at any moment leaves the old model or the new one, and never the report of another model; a full
disk leaves the old folder as it was. One at a time writes a folder
(:mod:`pellucid.persistence.lock`); reading it meanwhile is safe: a reader whose files went away
finds a new ``model.json``.

Reading runs no code; it checks names, sizes and hashes before it believes a file, and what a file
would take in memory before it is taken apart (:mod:`pellucid.persistence.sizes`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

import pellucid
from pellucid._files import (
    TEMPORARY,
    check_writable,
    nearest_file,
    staged,
    sync_folder,
    write_atomically,
)
from pellucid.checks import is_whole
from pellucid.errors import ModelError
from pellucid.persistence.lock import LOCK, checked_wait, writing
from pellucid.persistence.sizes import check_sizes
from pellucid.persistence.strict_json import decode, encode

FORMAT_VERSION = 2
"""2: a network's inputs have a shape. 1: ``n_inputs``, which is read as well."""
MODEL_JSON = "model.json"
REPORT_HTML = "report.html"
MAX_MODEL_JSON = 64 * 2**20
"""Bytes; far beyond ten thousand layers or a hundred thousand columns."""
MAX_FILES = 32
MEND = "Copy the folder again from where it came, or save the model again."

Arrays = Mapping[str, NDArray[Any]]
T = TypeVar("T")

_RESERVED = ("format", "format_version", "files", "written_by")
_KNOWN_FILES = ("weights", "history", "training", "state")
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


@dataclass(frozen=True)
class ModelFolder:
    """A model folder that was read and found whole.

    Attributes
    ----------
    path : Path
    model : dict
        The content of model.json.
    contents : dict
        The bytes of each other file by its kind ("weights", "history", ...); their sizes and
        SHA-256 are right.
    layers, activations : dict
        Classes of the reader's own by name, beside those of Pellucid's tables.
    """

    path: Path
    model: dict[str, Any]
    contents: Mapping[str, bytes] = field(repr=False)
    layers: Mapping[str, type[Any]] = field(default_factory=dict, repr=False)
    activations: Mapping[str, type[Any]] = field(default_factory=dict, repr=False)

    def arrays(self, kind: str) -> dict[str, NDArray[Any]]:
        """Return the arrays of one safetensors file by name, in the order of their names."""
        arrays: dict[str, NDArray[Any]] = {}
        try:
            read = safetensors.deserialize(self._content(kind))  # type: ignore[no-untyped-call]
            read.sort(key=lambda entry: entry[0], reverse=True)
            while read:  # what is taken is let go: there may be very many
                name, entry = read.pop()
                flat = np.frombuffer(entry["data"], _DTYPES[entry["dtype"]])
                arrays[name] = flat.reshape(entry["shape"])
        except (safetensors.SafetensorError, KeyError, ValueError) as error:
            raise self.damaged(
                f"its {kind} file is not readable as safetensors ({error})"
            ) from None
        return arrays

    def document(self, kind: str) -> Any:
        """Return the content of one JSON file."""
        try:
            return decode(self._content(kind))
        except ValueError as error:
            raise self.damaged(f"its {kind} file is not valid JSON ({error})") from None

    def entry(self, name: str, kind: type[T]) -> T:
        """Return an entry of model.json; ModelError where it is missing or of another type."""
        value = self.model.get(name)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            got = f"is {value!r}"[:60] if name in self.model else "is missing"
            raise self.damaged(f"the entry {name!r} of {MODEL_JSON} {got}; expected {_JSON[kind]}")
        return value

    def damaged(self, what: str) -> ModelError:
        """Return an error that says what is wrong with this folder and how to mend it."""
        return ModelError(f"{self.path}: {what}. {MEND}")

    def _content(self, kind: str) -> bytes:
        if kind not in self.contents:
            raise self.damaged(f"{MODEL_JSON} names no {kind} file")
        return self.contents[kind]


_JSON: dict[type[Any], str] = {
    dict: "an object",
    list: "a list",
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


def write_folder(
    path: str | os.PathLike[str],
    model: Mapping[str, Any],
    *,
    arrays: Mapping[str, Arrays],
    documents: Mapping[str, Any],
    report: bytes | None = None,
    overwrite: bool = False,
    only: str | None = None,
    wait: float = 0.0,
) -> None:
    """Write a model folder, whole or not at all.

    ``model`` holds the entries of model.json, its "kind" among them; ``arrays["weights"]`` becomes
    ``weights-HASH.safetensors``, ``documents["history"]`` becomes ``history-HASH.json``, and
    ``report`` the folder's report.html. An older report goes in any case: it is another model's.
    ``only`` names the one kind that may be replaced; ``wait`` is how many seconds to give to
    another writer of the folder before BusyError.
    """
    folder, wait = Path(path), checked_wait(wait)
    contents: dict[str, tuple[str, bytes]] = {}
    for kind, named in arrays.items():
        contents[kind] = ("safetensors", _array_bytes(kind, named))
    for kind, document in documents.items():
        contents[kind] = ("json", encode(document, kind))
    _check_parts(model, arrays, documents)
    entries: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    for kind, (suffix, content) in contents.items():
        sha256 = hashlib.sha256(content).hexdigest()
        name = f"{kind}-{sha256[:16]}.{suffix}"
        entries[kind] = {"name": name, "sha256": sha256, "bytes": len(content)}
        files[name] = content
    head = {"format": "pellucid", "format_version": FORMAT_VERSION}
    tail = {"files": entries, "written_by": _versions()}
    model_json = encode({**head, **model, **tail}, MODEL_JSON, indent=2)
    if len(model_json) > MAX_MODEL_JSON:
        raise ModelError(
            f"{MODEL_JSON} would be {len(model_json)} bytes; at most {MAX_MODEL_JSON} can be read "
            "back. Keep large data in arrays or documents."
        )
    less = "Keep less of the history, or of what is saved beside it."
    check_sizes(folder, {MODEL_JSON: model_json, **files}, less)
    _check_replaceable(folder, overwrite, only)
    with writing(folder, wait) as made:
        _check_replaceable(folder, overwrite, only)  # another may have been here meanwhile
        try:
            for name, content in files.items():
                write_atomically(folder / name, content, like=folder / MODEL_JSON)
            _exchange(folder, model_json, report)
            for each in made:
                sync_folder(each.absolute().parent)
        finally:
            _remove_stale(folder, contents)


def _exchange(folder: Path, model_json: bytes, report: bytes | None) -> None:
    """Make the folder the new model's, in steps that no longer need room on the disk."""
    old = folder / REPORT_HTML
    with contextlib.ExitStack() as stack:
        put_model = stack.enter_context(staged(folder / MODEL_JSON, model_json))
        put_report = None
        if report is not None:
            put_report = stack.enter_context(staged(old, report, like=folder / MODEL_JSON))
        sync_folder(folder)
        if old.exists():
            old.unlink()
            sync_folder(folder)
        put_model()  # from here on the folder is the new one
        sync_folder(folder)
        if put_report:
            put_report()
            sync_folder(folder)


def check_destination(
    path: str | os.PathLike[str], *, overwrite: bool = False, wait: float = 0.0
) -> None:
    """Raise FileExistsError, or another OSError, where a model could not be written to this path.

    It is tried: the folder is locked, a file is written into it, and all that goes again.
    """
    folder = Path(path)
    _check_replaceable(folder, overwrite)
    check_writable(folder / MODEL_JSON, folder)
    with writing(folder, checked_wait(wait)):
        pass


def _check_replaceable(folder: Path, overwrite: bool, only: str | None = None) -> None:
    """Raise FileExistsError where something stands that is not to be replaced."""
    shown = repr(str(folder))
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise FileExistsError(f"{shown} is a file; a model is a folder. Choose another path.")
    if not (folder / MODEL_JSON).exists():
        if {*os.listdir(folder)} - {LOCK, *_leftovers(folder, ())}:
            raise FileExistsError(
                f"{shown} is a folder, but not a Pellucid model (it has no {MODEL_JSON}); nothing "
                "was written. Choose another path."
            )
        return
    kind = _kind_there(folder)
    if only is not None and kind != only:
        raise FileExistsError(
            f"{shown} holds a model of the kind {kind!r}; a {only} replaces only a {only}. "
            "Nothing was written. Choose another path."
        )
    if not overwrite:
        raise FileExistsError(
            f"{shown} holds a model already; nothing was written. Choose another path, or "
            "replace it: overwrite=True (--overwrite)."
        )


def read_folder(path: str | os.PathLike[str] | ModelFolder) -> ModelFolder:
    """Read a model folder and check that it is whole; ModelError where it is not.

    Where it is replaced meanwhile, the new one is read. One that was read is returned as it is.
    """
    if isinstance(path, ModelFolder):
        return path
    folder = Path(path)
    raw, commit = _read_model_json(folder)
    for _ in range(100):
        try:
            return _read_files(folder, raw)
        except ModelError:
            before = commit
            raw, commit = _read_model_json(folder)
            if commit == before:
                raise
    raise ModelError(f"{folder} changes faster than it can be read. Try again once it is written.")


def _read_model_json(folder: Path) -> tuple[bytes, object]:
    """The content of model.json, and what no other file that had or gets this name shares."""
    where = folder / MODEL_JSON
    try:
        with _opened(where, MAX_MODEL_JSON) as file:
            status = os.fstat(file.fileno())
            return _whole(file), (status.st_ino, status.st_ctime_ns, status.st_size)
    except FileNotFoundError:
        if not folder.exists():
            raise ModelError(
                f"there is no model folder {str(folder)!r}{nearest_file(folder)}."
            ) from None
        raise ModelError(
            f"{str(folder)!r} is not a Pellucid model: it has no {MODEL_JSON}. Expected a folder "
            "that pellucid.save or pellucid train wrote."
        ) from None
    except NotADirectoryError:
        raise ModelError(
            f"{str(folder)!r} is a file, not a Pellucid model. Expected a folder that "
            "pellucid.save or pellucid train wrote."
        ) from None


def _read_files(folder: Path, raw: bytes) -> ModelFolder:
    """Check model.json, then every file it names; all are open before the first is read."""
    spare = check_sizes(folder, {MODEL_JSON: raw}, MEND)
    model = _parse_model_json(folder, raw)
    entries = {kind: _checked_entry(folder, kind, each) for kind, each in model["files"].items()}
    contents: dict[str, bytes] = {}
    with contextlib.ExitStack() as stack:
        opened = {}
        for kind, (name, _, size) in entries.items():
            try:
                opened[kind] = stack.enter_context(_opened(folder / name, size))
            except FileNotFoundError:
                raise ModelError(f"{folder}: the file {name} is missing. {MEND}") from None
        for kind, (name, sha256, size) in entries.items():
            contents[kind] = _whole(opened[kind])
            _check_content(folder, name, sha256, size, contents[kind])
    named = {entries[kind][0]: content for kind, content in contents.items()}
    check_sizes(folder, named, MEND, spare)
    return ModelFolder(folder, model, contents)


def _parse_model_json(folder: Path, raw: bytes) -> dict[str, Any]:
    where = folder / MODEL_JSON
    try:
        model = decode(raw)
    except ValueError as error:
        raise ModelError(f"{where} is not valid JSON ({error}). {MEND}") from None
    if not isinstance(model, dict) or model.get("format") != "pellucid":
        raise ModelError(
            f'{where} was not written by Pellucid: it lacks the entry "format": "pellucid".'
        )
    version = model.get("format_version")
    if not isinstance(version, int) or not is_whole(version, 1):
        raise ModelError(
            f"{where}: format_version should be 1 to {FORMAT_VERSION}; it is {version!r}."
        )
    if version > FORMAT_VERSION:
        raise ModelError(
            f"{folder} was written by a newer Pellucid (format {version}); this one reads "
            f"1 to {FORMAT_VERSION}: pip install --upgrade pellucid"
        )
    if not isinstance(model.get("kind"), str) or not isinstance(model.get("files"), dict):
        raise ModelError(f'{where} lacks the entry "kind" or "files". {MEND}')
    if len(model["files"]) > MAX_FILES:
        raise ModelError(f"{where} names {len(model['files'])} files, over {MAX_FILES}. {MEND}")
    return model


def _checked_entry(folder: Path, kind: str, entry: Any) -> tuple[str, str, int]:
    """The name, SHA-256 and size of a file that model.json names."""
    entry = entry if isinstance(entry, dict) else {}
    name, sha256, size = (entry.get(key) for key in ("name", "sha256", "bytes"))
    well_formed = (
        isinstance(sha256, str)
        and re.fullmatch(r"[0-9a-f]{64}", sha256)
        and name in (f"{kind}-{sha256[:16]}.safetensors", f"{kind}-{sha256[:16]}.json")
        and re.fullmatch(_KIND, kind)
        and is_whole(size, 0)
    )
    if not well_formed:
        raise ModelError(
            f"{folder / MODEL_JSON}: the entry of the {kind[:40]!r} file is wrong: expected a name "
            f"such as {'weights-0123456789abcdef.safetensors'!r} inside the folder, its sha256 and "
            f"its bytes; got {str(name)[:80]!r}. {MEND}"
        )
    return str(name), str(sha256), cast(int, size)


def _check_content(folder: Path, name: str, sha256: str, size: int, content: bytes) -> None:
    if len(content) != size:
        raise ModelError(
            f"{folder}: the file {name} should be {size} bytes, is {len(content)}: it was cut off. "
            f"{MEND}"
        )
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ModelError(
            f"{folder}: the content of {name} was changed or damaged: its SHA-256 should begin "
            f"with {sha256[:16]}, begins with {found[:16]}. {MEND}"
        )


def _opened(path: Path, limit: int) -> BinaryIO:
    """Open a plain file of at most ``limit`` bytes."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ModelError(f"{path} is not a plain file. {MEND}")
    if status.st_size > limit:
        raise ModelError(
            f"{path} is {status.st_size} bytes, expected at most {limit}: it was changed or "
            f"damaged. {MEND}"
        )
    return open(path, "rb")


def _whole(file: BinaryIO) -> bytes:
    return file.read(os.fstat(file.fileno()).st_size)  # to ask for more would allocate more


def _kind_there(folder: Path) -> str:
    """The kind of the model in an existing folder; FileExistsError where Pellucid wrote none."""
    try:
        return str(_parse_model_json(folder, _read_model_json(folder)[0])["kind"])
    except ModelError as error:
        raise FileExistsError(
            f"{str(folder)!r} cannot be replaced, it holds no readable Pellucid model: {error} "
            "Nothing was written. Choose another path, or move that folder away yourself."
        ) from None


_KIND = r"[a-z][a-z_]{0,30}"


def _leftovers(folder: Path, kinds: Iterable[str]) -> list[str]:
    """The files whose names are of Pellucid's own forms, sorted; model.json is not among them."""
    known = "|".join(sorted({*_KNOWN_FILES, *kinds}))
    temporary = rf"{re.escape(TEMPORARY)}[0-9a-f]{{8}}"
    form = re.compile(
        rf"({known})-[0-9a-f]{{16}}\.(safetensors|json)({temporary})?"
        rf"|(model\.json|report\.html){temporary}"
    )
    return sorted(name for name in os.listdir(folder) if form.fullmatch(name))


def _remove_stale(folder: Path, kinds: Iterable[str]) -> None:
    """Remove files of ours that the model.json now in the folder does not name."""
    with contextlib.suppress(OSError, ModelError):
        named: dict[str, Any] = {}
        if (folder / MODEL_JSON).exists():
            named = _parse_model_json(folder, _read_model_json(folder)[0])["files"]
        keep = {entry["name"] for entry in named.values()}
        for name in _leftovers(folder, [*named, *kinds]):
            if name not in keep:
                os.unlink(folder / name)


def _check_parts(
    model: Mapping[str, Any], arrays: Mapping[str, Any], documents: Mapping[str, Any]
) -> None:
    for kind in [*arrays, *documents]:
        if not re.fullmatch(_KIND, kind) or (kind in arrays and kind in documents):
            raise ValueError(
                f"write_folder: {kind!r} must be one plain lower-case word, used once."
            )
    reserved = [name for name in _RESERVED if name in model]
    if reserved or not isinstance(model.get("kind"), str):
        what = f"{reserved[0]!r} is reserved" if reserved else "the entry 'kind' is missing"
        raise ValueError(f"write_folder: {what} in the entries of {MODEL_JSON}.")


def _array_bytes(kind: str, arrays: Arrays) -> bytes:
    """Arrays as safetensors: little-endian, C order."""
    plain: dict[str, NDArray[Any]] = {}
    for name, array in arrays.items():
        values = np.asarray(array)
        if values.dtype.kind not in "biuf" or values.dtype.itemsize > 8:
            raise TypeError(
                f"{kind}: {name} must hold plain numbers of at most 64 bits; got {values.dtype}."
            )
        plain[name] = np.asarray(values, dtype=values.dtype.newbyteorder("<"), order="C")
    return bytes(safetensors.numpy.save(plain))


def _versions() -> dict[str, str]:
    return {
        "pellucid": pellucid.__version__,
        "numpy": np.__version__,
        "safetensors": safetensors.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
