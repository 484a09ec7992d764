"""Whether an exported file gives what its model gives: both are asked about the same rows."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import DataError, ModelError
from pellucid.export.exported import Exported, exported
from pellucid.export.pipelines import arithmetic, unwrap
from pellucid.export.rows import Arrays, arrays_of
from pellucid.export.runners import RUNNERS, Tensor
from pellucid.network import Network
from pellucid.network.given import columns_of
from pellucid.persistence.predictor import NetworkPredictor
from pellucid.tables import Table

TOLERANCES = {"float32": 1e-5, "float64": 1e-9}
"""The largest difference that rounding explains, of numbers of the size of 1."""


@dataclass(frozen=True)
class Verification:
    """How an exported file compares with its model.

    Attributes
    ----------
    format : str
        "onnx" or "c".
    inputs, outputs : list of Tensor
        What goes into the file and comes out; "m" is the number of rows.
    opset : int or None
        Of an ONNX file, the version of its operators.
    rows : int
        How many rows both were asked about.
    difference : float
        The largest between their probabilities, or their predictions.
    tolerance : float
        What rounding explains: 1e-9 where all is computed in float64, else 1e-5; for predictions
        times the standard deviation of the target, or the largest prediction's distance from its
        mean.
    equal_labels : float or None
        The share of rows with the same labels; None where there are no labels.
    wrong_labels : int
        Rows with another label though no two probabilities are within the tolerance.
    """

    format: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    opset: int | None
    rows: int
    difference: float
    tolerance: float
    equal_labels: float | None
    wrong_labels: int

    @property
    def ok(self) -> bool:
        """Whether rounding explains every difference."""
        return bool(self.difference <= self.tolerance) and not self.wrong_labels

    def summary(self) -> str:
        """Return the numbers in one sentence."""
        parts = [f"largest difference {self.difference:.2g} (tolerance {self.tolerance:.2g})"]
        if self.equal_labels is not None:
            parts.append(f"{self.equal_labels:.4%} of the labels equal".replace(".0000%", "%"))
        return f"{self.rows:,} {'row' if self.rows == 1 else 'rows'}: {', '.join(parts)}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {**asdict(self), "ok": self.ok}


def ready(to: str) -> None:
    """Raise MissingPackageError where files of this format cannot be run here."""
    RUNNERS[to].ready()


def compare(
    content: bytes, to: str, model: Any, rows: Any, lengths: Any = None, where: str = "the file"
) -> Verification:
    """Return what :func:`pellucid.export.verify` does, for a file's content and a loaded model."""
    known = exported(model, rows, lengths=lengths is not None)
    given, expected, labels = _asked(model, known, rows, lengths)
    if not len(expected):
        raise DataError("there are no rows, so there is nothing to compare. Give one or more.")
    got = RUNNERS[to].run(content, known, given, where)
    if got.A.shape != expected.shape:
        raise ModelError(
            f"{where} gives {got.A.shape[1]} numbers a row, the model {expected.shape[1]}: it was "
            "exported from another model. Export it again."
        )
    tolerance = _tolerance(known, got.inputs, expected)
    equal, wrong = None, 0
    if got.labels is not None and labels is not None:
        clear = _clear(known, expected, tolerance)
        same = (got.labels == labels).reshape(*clear.shape, -1).all(axis=2)
        equal = float(same.all(axis=1).mean())
        wrong = int((~same & clear).any(axis=1).sum())
    difference = float(np.abs(got.A - expected).max())
    return Verification(
        to, got.inputs, got.outputs, got.opset, len(expected), difference, tolerance, equal, wrong
    )


def _asked(
    model: Any, known: Exported, rows: Any, lengths: Any = None
) -> tuple[Table | Arrays, NDArray[Any], NDArray[Any] | None]:
    """The rows as files take them, and the model's answers to them: A, (m, k), and labels."""
    given: Table | Arrays
    if isinstance(model, Network):
        X = np.ascontiguousarray(columns_of(rows, model.input_shape).T, dtype=model.dtype)
        given, asked = {"X": X}, NetworkPredictor(model)
        if lengths is not None:
            given["lengths"] = model.checked_lengths(lengths, len(X))
        if known.answer == "regression":
            return given, _flat(asked.predict(X, lengths=lengths)), None
        return (
            given,
            _flat(asked.predict_proba(X, lengths=lengths)),
            asked.predict(X, lengths=lengths),
        )
    if known.preprocessing is not None:
        given = _table(unwrap(model).estimator, rows)
    else:
        given = arrays_of(rows, known.steps[0][1] if known.steps else None)
    if known.answer == "regression":
        return given, model.predict(rows).reshape(-1, known.networks[0].n[-1]), None
    return given, model.predict_proba(rows), model.predict(rows)


def _flat(answers: NDArray[Any]) -> NDArray[Any]:
    """The numbers of each row, those of its steps side by side."""
    return answers.reshape(len(answers), math.prod(answers.shape[1:]))


def _table(model: Any, rows: Any) -> Table:
    if isinstance(rows, Table):
        return rows
    if hasattr(model, "model_"):
        rows, model = model._rows(rows), model.model_
    table: Table = model._as_table(rows)
    return table


def _tolerance(known: Exported, inputs: list[Tensor], expected: NDArray[Any]) -> float:
    """What rounding explains: of probabilities, or of numbers as large as the target's spread."""
    in_double = (
        known.dtype == np.float64
        and known.preprocessing is None
        and all(each.dtype == "double" for each in inputs if each.name != "lengths")
        and all(arithmetic(step) is not None for _, step in known.steps)
    )
    mean, std = known.scale
    scale = 1.0
    if known.answer == "regression":
        centre = 0.0 if expected.dtype == np.float32 else mean  # float32 is as coarse as it is far
        scale = max(std, float(np.abs(expected - centre).max()))
    return scale * TOLERANCES["float64" if in_double else "float32"]


def _clear(known: Exported, expected: NDArray[Any], tolerance: float) -> NDArray[np.bool_]:
    """The rows, and their steps, whose label no difference within the tolerance can change."""
    last = known.networks[0].output_shape[-1]
    each = expected.reshape(len(expected), -1, 2 if known.answer == "binary" else last)
    if known.answer == "multilabel":
        lead = np.abs(each - 0.5).min(axis=2)
    else:
        best = np.sort(each, axis=2)[:, :, -2:]
        lead = (best[:, :, -1] - best[:, :, 0]) / 2
    return np.asarray(lead > tolerance)
