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
disk leaves the old folder as it was. One process at a time may write a folder; reading it meanwhile
is safe.

Reading runs no code; it checks names, sizes and hashes before it believes a file.
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
from typing import Any, TypeVar, cast

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
from pellucid.errors import ModelError
from pellucid.persistence.strict_json import decode, encode

FORMAT_VERSION = 1
MODEL_JSON = "model.json"
REPORT_HTML = "report.html"
MAX_MODEL_JSON = 64 * 2**20
"""Bytes; far beyond ten thousand layers or a hundred thousand columns."""
MEND = "Copy the folder again from where it came, or save the model again."

Arrays = Mapping[str, NDArray[Any]]
T = TypeVar("T")

_RESERVED = ("format", "format_version", "files", "written_by")
_KNOWN_FILES = ("weights", "history", "training", "state")


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
    """

    path: Path
    model: dict[str, Any]
    contents: Mapping[str, bytes] = field(repr=False)

    def arrays(self, kind: str) -> dict[str, NDArray[Any]]:
        """Return the arrays of one safetensors file by name, in the order of their names."""
        content = self._content(kind)
        try:
            return dict(sorted(safetensors.numpy.load(content).items()))
        except (safetensors.SafetensorError, KeyError, ValueError) as error:
            raise self.damaged(
                f"its {kind} file is not readable as safetensors ({error})"
            ) from None

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
) -> None:
    """Write a model folder, whole or not at all.

    ``model`` holds the entries of model.json, its "kind" among them; ``arrays["weights"]`` becomes
    ``weights-HASH.safetensors``, ``documents["history"]`` becomes ``history-HASH.json``, and
    ``report`` the folder's report.html. An older report goes in any case: it is another model's.
    """
    folder = Path(path)
    files: dict[str, tuple[str, bytes]] = {}
    for kind, named in arrays.items():
        files[kind] = ("safetensors", _array_bytes(kind, named))
    for kind, document in documents.items():
        files[kind] = ("json", encode(document, kind))
    _check_parts(model, arrays, documents)
    names = {
        kind: f"{kind}-{hashlib.sha256(content).hexdigest()[:16]}.{suffix}"
        for kind, (suffix, content) in files.items()
    }
    entries = {
        kind: {
            "name": names[kind],
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
        }
        for kind, (_, content) in files.items()
    }
    head = {"format": "pellucid", "format_version": FORMAT_VERSION}
    tail = {"files": entries, "written_by": _versions()}
    model_json = encode({**head, **model, **tail}, MODEL_JSON, indent=2)
    if len(model_json) > MAX_MODEL_JSON:
        raise ModelError(
            f"{MODEL_JSON} would be {len(model_json)} bytes; at most {MAX_MODEL_JSON} can be read "
            "back. Keep large data in arrays or documents."
        )
    check_destination(folder, overwrite=overwrite)
    created = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind, (_, content) in files.items():
            write_atomically(folder / names[kind], content)
        _exchange(folder, model_json, report)
        if created:
            sync_folder(folder.absolute().parent)
    finally:
        _remove_stale(folder, files)
        with contextlib.suppress(OSError):
            for each in created:
                each.rmdir()  # succeeds only where nothing was written


def _exchange(folder: Path, model_json: bytes, report: bytes | None) -> None:
    """Make the folder the new model's, in steps that no longer need room on the disk."""
    old = folder / REPORT_HTML
    with contextlib.ExitStack() as stack:
        put_model = stack.enter_context(staged(folder / MODEL_JSON, model_json))
        put_report = None if report is None else stack.enter_context(staged(old, report))
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
    path: str | os.PathLike[str], *, overwrite: bool = False, only: str | None = None
) -> None:
    """Raise FileExistsError, or another OSError, where a model could not be written to this path.

    ``only`` names the one kind that may be replaced.
    """
    folder = Path(path)
    shown = repr(str(folder))
    if not os.path.lexists(folder):
        check_writable(folder)
        return
    if not folder.is_dir():
        raise FileExistsError(f"{shown} is a file; a model is a folder. Choose another path.")
    if not (folder / MODEL_JSON).exists():
        if _leftovers(folder, ()) != sorted(os.listdir(folder)):
            raise FileExistsError(
                f"{shown} is a folder, but no Pellucid model (it has no {MODEL_JSON}); nothing was "
                "written. Choose another path."
            )
    else:
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
    check_writable(folder / MODEL_JSON)


def read_folder(path: str | os.PathLike[str]) -> ModelFolder:
    """Read a model folder and check that it is whole; ModelError where it is not."""
    folder = Path(path)
    raw = _read_model_json(folder)
    for _ in range(100):
        try:
            return _read_files(folder, raw)
        except ModelError:
            before, raw = raw, _read_model_json(folder)
            if raw == before:
                raise
    raise ModelError(f"{folder} changes faster than it can be read. Try again when it is written.")


def _read_model_json(folder: Path) -> bytes:
    where = folder / MODEL_JSON
    try:
        return _read(where, MAX_MODEL_JSON)
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
    """Check model.json, then every file it names."""
    model = _parse_model_json(folder, raw)
    files = model["files"]
    contents = {kind: _read_data_file(folder, kind, entry) for kind, entry in files.items()}
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
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ModelError(f"{where}: format_version should be {FORMAT_VERSION}; it is {version!r}.")
    if version > FORMAT_VERSION:
        raise ModelError(
            f"{folder} was written by a newer Pellucid (format {version}); this one reads "
            f"{FORMAT_VERSION}: pip install --upgrade pellucid"
        )
    if not isinstance(model.get("kind"), str) or not isinstance(model.get("files"), dict):
        raise ModelError(f'{where} lacks the entry "kind" or "files". {MEND}')
    return model


def _read_data_file(folder: Path, kind: str, entry: Any) -> bytes:
    """One file's bytes, once its name, size and hash are right."""
    entry = entry if isinstance(entry, dict) else {}
    name, sha256, size = (entry.get(key) for key in ("name", "sha256", "bytes"))
    well_formed = (
        isinstance(sha256, str)
        and re.fullmatch(r"[0-9a-f]{64}", sha256)
        and name in (f"{kind}-{sha256[:16]}.safetensors", f"{kind}-{sha256[:16]}.json")
        and re.fullmatch(_KIND, kind)
        and isinstance(size, int)
        and not isinstance(size, bool)
    )
    if not well_formed:
        raise ModelError(
            f"{folder / MODEL_JSON}: the entry of the {kind[:40]!r} file is wrong: expected a name "
            f"such as {'weights-0123456789abcdef.safetensors'!r} inside the folder, its sha256 and "
            f"its bytes; got {str(name)[:80]!r}. {MEND}"
        )
    try:
        content = _read(folder / str(name), cast(int, size))
    except FileNotFoundError:
        raise ModelError(f"{folder}: the file {name} is missing. {MEND}") from None
    if len(content) != size:
        raise ModelError(
            f"{folder}: the file {name} should be {size} bytes, is {len(content)}: it was cut off. "
            f"{MEND}"
        )
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ModelError(
            f"{folder}: the content of {name} was changed or damaged: its SHA-256 should begin "
            f"with {str(sha256)[:16]}, begins with {found[:16]}. {MEND}"
        )
    return content


def _read(path: Path, limit: int) -> bytes:
    """Read a file of at most ``limit`` bytes; nothing is allocated for a larger one."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ModelError(f"{path} is not a plain file. {MEND}")
    if status.st_size > limit:
        raise ModelError(
            f"{path} is {status.st_size} bytes, expected at most {limit}: it was changed or "
            f"damaged. {MEND}"
        )
    with open(path, "rb") as file:
        return file.read(status.st_size)  # a limit may be more than there is memory for


def _kind_there(folder: Path) -> str:
    """The kind of the model in an existing folder; FileExistsError where Pellucid wrote none."""
    try:
        return str(_parse_model_json(folder, _read_model_json(folder))["kind"])
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
            named = _parse_model_json(folder, _read_model_json(folder))["files"]
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
