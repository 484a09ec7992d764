"""Export: a model as a file that runs without Pellucid.

One table, :data:`EXPORTERS`: ``onnx`` for ONNX runtimes of any language, with a table's
preprocessing inside; ``c`` for one self-contained C99 file, for the smallest processors.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from pellucid._catalogue import did_you_mean
from pellucid._files import check_writable, refuse_existing, write_atomically
from pellucid.errors import SettingsError

__all__ = ["EXPORTERS", "default_path", "export"]

EXPORTERS: dict[str, tuple[str, str]] = {
    "onnx": ("pellucid.export.onnx", ".onnx"),
    "c": ("pellucid.export.c", ".c"),
}
"""Every format by its name: the module whose ``content(subject)`` makes the file, and the ending
of its name."""


def export(
    model: Any, path: str | os.PathLike[str], to: str = "onnx", *, overwrite: bool = False
) -> None:
    """Write a model as a file of another format, whole or not at all.

    Parameters
    ----------
    model : Network, estimator, TableModel or path
        A network, a fitted MLPClassifier, MLPRegressor, TabularClassifier or TabularRegressor, the
        model of a table, or the path of a model folder.
    path : path
        The file to write. It must not exist, unless ``overwrite``.
    to : {"onnx", "c"}
        docs/export.md says what goes into the exported model and what comes out.
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
    from pellucid.export.subject import subject

    path = Path(path)
    make = importlib.import_module(_exporter(to)[0]).content
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {str(path)!r}: it is a folder; give a file name.")
    if not overwrite:
        refuse_existing(path)
    check_writable(path)
    content: bytes = make(subject(model))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content, overwrite=overwrite)


def default_path(model: str | os.PathLike[str], to: str) -> Path:
    """Return where a model folder's export goes unless told otherwise: here, under its own name.

    >>> default_path("models/iris.pellucid", "onnx").name
    'iris.onnx'
    """
    return Path(Path(model).absolute().name.removesuffix(".pellucid") + _exporter(to)[1])


def _exporter(to: str) -> tuple[str, str]:
    if to not in EXPORTERS:
        known = ", ".join(EXPORTERS)
        raise SettingsError(
            ("to", f"must be one of {known}; got {to!r}{did_you_mean(to, EXPORTERS)}.")
        )
    return EXPORTERS[to]
