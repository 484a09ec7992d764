"""Export: a model as a file that runs without Pellucid.

One table, :data:`EXPORTERS`: ``onnx`` for ONNX runtimes of any language, with a table's
preprocessing inside; ``c`` for one self-contained C99 file, for the smallest processors. Where
this package is imported, skl2onnx knows the drop-ins, whichever of the two comes first.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid._catalogue import did_you_mean
from pellucid._files import check_file, made_folders, write_atomically
from pellucid.errors import MissingPackageError, ModelError, SettingsError

if TYPE_CHECKING:
    from pellucid.export.verification import Verification

__all__ = ["EXPORTERS", "default_path", "export", "verify"]

EXPORTERS: dict[str, tuple[str, str]] = {
    "onnx": ("pellucid.export.onnx", ".onnx"),
    "c": ("pellucid.export.c", ".c"),
}
"""Every format by its name: the module whose ``content(exported)`` makes the file, and the ending
of its name."""


def export(
    model: Any,
    path: str | os.PathLike[str],
    to: str = "onnx",
    *,
    X: Any = None,
    lengths: bool = False,
    overwrite: bool = False,
) -> None:
    """Write a model as a file of another format, whole or not at all.

    Parameters
    ----------
    model : Network, estimator, TableModel or path
        A network, a fitted MLPClassifier, MLPRegressor, TabularClassifier or TabularRegressor, a
        fitted scikit-learn Pipeline or search that ends in one of these, the model of a table, or
        the path of a model folder.
    path : path
        The file to write. It must not exist, unless ``overwrite``.
    to : {"onnx", "c"}
        docs/export.md says what goes into the exported model and what comes out.
    X : rows or None
        Of a pipeline: rows as it takes them, for the types of the file's inputs. They must be given
        where a ColumnTransformer finds columns of a data frame by name. Where onnxruntime (for C
        a compiler) is there, the file has to give for them what the pipeline gives.
    lengths : bool
        Of a network of sequences, to ONNX: whether the file has a second input, ``lengths``, (m,),
        the steps that each row has.
    overwrite : bool

    Raises
    ------
    FileExistsError
        Where something is there that must not be replaced.
    ModelError
        Where the model cannot be written in this format; the message says why.

    Examples
    --------
    >>> from pellucid import Dense, Network
    >>> net = Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_inputs=3, seed=0)
    >>> export(net, "small.c", to="c")
    >>> Path("small.c").read_text().splitlines()[0]
    '/* A neural network, 3-4-1, exported by Pellucid ...'
    """
    from pellucid.export.exported import exported, loaded

    path = Path(path)
    make = importlib.import_module(_exporter(to)[0]).content
    check_file(path, overwrite=overwrite)
    model = loaded(model)
    known = exported(model, X, lengths=lengths)
    if X is not None and not known.steps:
        fault = "gives the types that a pipeline's first step takes; this model is not a pipeline."
        raise SettingsError(("X", fault))
    content: bytes = make(known)
    if X is not None:
        _check(content, to, model, X)
    with made_folders(path.parent):
        write_atomically(path, content, overwrite=overwrite)


def verify(
    path: str | os.PathLike[str],
    model: Any,
    rows: Any,
    *,
    to: str | None = None,
    lengths: Any = None,
) -> Verification:
    """Return how an exported file compares with its model: both are asked about the same rows.

    An ONNX file runs in onnxruntime; a C file is compiled with this machine's compiler and runs in
    this process.

    Parameters
    ----------
    path : path
        The exported file.
    model : model or path
        What was exported, as :func:`export` takes it.
    rows : rows
        As the model's ``predict`` takes them; for a Network a row an example, (m, n[0]) or (m,
        rows, columns, channels).
    to : {"onnx", "c"} or None
        The file's format; None goes by the ending of its name.
    lengths : array of shape (m,) or None
        The steps of each row, for a file that takes them.

    Returns
    -------
    Verification
        ``ok``, ``difference``, ``tolerance``, ``equal_labels``, ``inputs``, ``outputs``, ``opset``.

    Raises
    ------
    MissingPackageError
        Where onnxruntime, or a C compiler, is missing.
    ModelError
        Where the file cannot be run on these rows, or is another model's.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid import Dense, Network
    >>> net = Network([Dense(4, "tanh"), Dense(2, "softmax")], n_inputs=3, seed=0)
    >>> export(net, "three.onnx")
    >>> verify("three.onnx", net, np.eye(3)).ok
    True
    """
    from pellucid.export.exported import loaded
    from pellucid.export.verification import compare, ready

    path = Path(path)
    to = _format_of(path) if to is None else to
    _exporter(to)
    ready(to)
    return compare(path.read_bytes(), to, loaded(model), rows, lengths, where=str(path))


def default_path(model: str | os.PathLike[str], to: str) -> Path:
    """Return where a model folder's export goes by default: here, under its own name.

    >>> default_path("models/iris.pellucid", "onnx").name
    'iris.onnx'
    """
    return Path(Path(model).absolute().name.removesuffix(".pellucid") + _exporter(to)[1])


def _format_of(path: Path) -> str:
    found = next((to for to, (_, end) in EXPORTERS.items() if end == path.suffix.lower()), None)
    if found is None:
        known = " or ".join(end for _, end in EXPORTERS.values())
        fault = f"must be given where the file's name does not end in {known}; got {path.name!r}."
        raise SettingsError(("to", fault))
    return found


def _check(content: bytes, to: str, model: Any, X: Any) -> None:
    """Refuse a file that does not give what its pipeline gives, where files can be run here."""
    from pellucid.export.verification import compare, ready

    try:
        ready(to)
    except MissingPackageError:
        return
    found = compare(content, to, model, X)
    if not found.ok:
        raise ModelError(
            f"the exported pipeline does not give what the pipeline itself gives: {found.summary()}"
            ". Nothing was written. A step of it was converted wrongly, or in float32; leave steps "
            "out, one at a time, to find which, and do that one before the exported file."
        )


def _exporter(to: str) -> tuple[str, str]:
    if to not in EXPORTERS:
        known = ", ".join(EXPORTERS)
        raise SettingsError(
            ("to", f"must be one of {known}; got {to!r}{did_you_mean(to, EXPORTERS)}.")
        )
    return EXPORTERS[to]


class _AsSkl2onnxIsImported(MetaPathFinder):
    """Finds skl2onnx as the others do, and has it learn our estimators once it is there."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: Any = None
    ) -> ModuleSpec | None:
        if name != "skl2onnx":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, (each.find_spec(name, path, target) for each in others)), None)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def run_and_register(module: Any) -> None:
            run(module)
            _register()

        spec.loader.exec_module = run_and_register  # type: ignore[method-assign]
        return spec


def _register() -> None:
    from pellucid.export.sklearn_onnx import register

    register()


if sys.modules.get("skl2onnx"):
    _register()
else:
    sys.meta_path.insert(0, _AsSkl2onnxIsImported())
