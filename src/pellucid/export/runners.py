"""Running exported files: ONNX in onnxruntime, C by this machine's compiler."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import MissingPackageError, ModelError
from pellucid.export.exported import Exported
from pellucid.export.rows import Arrays, c_inputs, onnx_inputs
from pellucid.tables import Table
from pellucid.tables.values import as_objects

COMPILERS = ("cc", "gcc", "clang")


@dataclass(frozen=True)
class Tensor:
    """An input or output: its name, its ONNX or C type, and its shape."""

    name: str
    dtype: str
    shape: list[int | str]


class Answers(NamedTuple):
    """What a file is and says: its inputs and outputs, and for rows A, (m, k), and labels."""

    inputs: list[Tensor]
    outputs: list[Tensor]
    opset: int | None
    A: NDArray[Any]
    labels: NDArray[Any] | None


class Runner(NamedTuple):
    """``ready()`` raises where a format cannot be run here; ``run(content, exported, rows, where)``
    returns the Answers."""

    ready: Callable[[], Any]
    run: Callable[[bytes, Exported, Table | Arrays, str], Answers]


# ONNX ---------------------------------------------------------------------------------------------


def _onnxruntime() -> Any:
    try:
        import onnx  # noqa: F401  which reads the opset
        import onnxruntime
    except ImportError as error:
        raise MissingPackageError(
            f"comparing an ONNX file with its model needs the package {error.name}: pip install "
            f"{error.name}"
        ) from None
    return onnxruntime


def _run_onnx(content: bytes, exported: Exported, rows: Table | Arrays, where: str) -> Answers:
    runtime = _onnxruntime()
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised, and said here
    if isinstance(rows, Table):
        rows = onnx_inputs(exported.preprocessing, rows)
    try:
        session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        inputs, outputs = map(_tensors, (session.get_inputs(), session.get_outputs()))
        feed = {
            each.name: rows[each.name].astype(_NUMPY.get(each.dtype, object), copy=False)
            for each in inputs
            if each.name in rows
        }
        if "lengths" in rows and "lengths" not in feed:
            raise ValueError("it takes no lengths.")
        answers = session.run(None, feed)
    except Exception as error:  # onnxruntime has a class for each of its codes
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"onnxruntime {runtime.__version__} cannot run {where} on these rows: {reason} Was it "
            "exported from this model? If so, export it again."
        ) from None
    opset = _opset(content)
    A = answers[0].reshape(len(answers[0]), -1)
    return Answers(inputs, outputs, opset, A, answers[1] if len(answers) > 1 else None)


_NUMPY = {"float": np.float32, "double": np.float64, "int64": np.int64, "uint8": np.uint8}


def _tensors(arguments: Any) -> list[Tensor]:
    return [
        Tensor(each.name, each.type.removeprefix("tensor(").removesuffix(")"), list(each.shape))
        for each in arguments
    ]


def _opset(content: bytes) -> int:
    import onnx

    model = onnx.load_from_string(content)
    return next(int(each.version) for each in model.opset_import if not each.domain)


# C ------------------------------------------------------------------------------------------------


def _compiler() -> str:
    found = next(filter(None, map(shutil.which, COMPILERS)), None)
    if found is None:
        raise MissingPackageError(
            "comparing a C file with its model needs a C compiler, but there is none in PATH "
            f"({', '.join(COMPILERS)}). On Debian: apt install gcc"
        )
    return found


def _run_c(content: bytes, exported: Exported, rows: Table | Arrays, where: str) -> Answers:
    compiler, text = _compiler(), content.decode("ascii", "replace")
    X = c_inputs(exported.preprocessing, rows) if isinstance(rows, Table) else rows["X"]
    declared = re.search(r"void pellucid_predict\(const (float|double) \*x, (float|double) ", text)
    n, k = (re.search(rf"#define PELLUCID_{name}PUTS (\d+)", text) for name in ("IN", "OUT"))
    if declared is None or n is None or k is None or int(n[1]) != X.shape[1]:
        raise ModelError(
            f"{where} is not a C file of this model, which takes {X.shape[1]} numbers in x"
            f"{f'; this one takes {n[1]}' if n else ''}. Export it again."
        )
    X = np.ascontiguousarray(X, dtype=_NUMPY[declared[1]])
    y = np.empty((len(X), int(k[1])), dtype=_NUMPY[declared[2]])
    # Windows does not delete a library while it is loaded.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        library = _compiled(compiler, content, Path(folder), where)
        for x_row, y_row in zip(X, y, strict=True):
            library.pellucid_predict(_pointer(x_row), _pointer(y_row))
        labels = _labels(library, y, exported) if "int pellucid_label(" in text else None
    inputs = [Tensor("x", declared[1], [int(n[1])])]
    return Answers(inputs, [Tensor("y", declared[2], [int(k[1])])], None, y, labels)


def _compiled(compiler: str, content: bytes, folder: Path, where: str) -> Any:
    source, made = folder / "model.c", folder / "model.so"
    source.write_bytes(content)
    command = [compiler, "-std=c99", "-O1", "-shared", "-fPIC", str(source), "-o", str(made), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        reason = next((line for line in lines if "error" in line), lines[0])
        raise ModelError(f"{compiler} cannot compile {where}: {reason}. Export it again.")
    return ctypes.CDLL(str(made))


def _labels(library: Any, y: NDArray[Any], exported: Exported) -> NDArray[Any]:
    names = (ctypes.c_char_p * y.shape[1]).in_dll(library, "pellucid_classes")
    classes = range(y.shape[1]) if exported.classes is None else exported.classes.tolist()
    by_name = {str(each): each for each in classes}
    named = [by_name.get((name or b"").decode(errors="replace")) for name in names]
    return as_objects([named[library.pellucid_label(_pointer(row))] for row in y])


def _pointer(row: NDArray[Any]) -> Any:
    return row.ctypes.data_as(ctypes.c_void_p)


RUNNERS: dict[str, Runner] = {
    "onnx": Runner(_onnxruntime, _run_onnx),
    "c": Runner(_compiler, _run_c),
}
"""What runs the files of each format."""
