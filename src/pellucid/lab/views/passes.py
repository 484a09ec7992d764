"""One pass, step by step, and the cell that is looked at, as plain data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.insight.trace import Step, Trace
from pellucid.lab.faults import Fault
from pellucid.record import Cell, Key, Matrix, mathml
from pellucid.record import name as name_of

State = dict[str, Any]


def trace_state(trace: Trace, fault: Fault | None) -> State:
    """Return every step of a pass to J and back, and every array by its name."""
    phases = {"Forward": trace.forward, "Cost": trace.cost, "Backward": trace.backward}
    return {
        "steps": [_step(step, phase, fault) for phase in phases for step in phases[phase]],
        "arrays": {label(key): np.atleast_2d(values) for key, values in trace.arrays.items()},
        "J": trace.J,
    }


def _step(step: Step, phase: str, fault: Fault | None) -> State:
    letter, layer = step.key[:2]
    rows, columns = step.values.shape
    broken = fault is not None and letter in fault.steps
    return {
        "phase": phase,
        "result": label(step.key),
        "letter": letter,
        "layer": layer,
        "formula": step.formula,
        "mathml": mathml(step.formula),
        "why": step.why,
        "broken": fault.why if fault is not None and broken else None,
        "parts": [
            {
                "name": label(part.key),
                "letter": part.key[0],
                "layer": part.key[1],
                "transposed": part.transposed,
            }
            if isinstance(part, Matrix) and not part.called
            else str(getattr(part, "called", part))
            for part in step.parts
        ],
        "rows": rows,
        "columns": columns,
    }


def cell_state(cell: Cell) -> State:
    """Return one cell, its formula, the same with numbers, and the cells that it came from."""
    factors = [factor for term in cell.terms for factor in term] or cell.sources
    seen = {(f.key, f.row, f.column): f for f in [*factors, *cell.sources]}
    return {
        "letter": cell.key[0],
        "layer": cell.key[1],
        "row": cell.row,
        "column": cell.column,
        "formula": cell.formula,
        "numbers": cell.numbers,
        "value": cell.value if math.isfinite(cell.value) else None,
        "sources": [
            {"array": label(f.key), "row": f.row, "column": f.column, "value": f.value}
            for f in seen.values()
        ],
    }


def label(key: Key) -> str:
    """Return how an array is called: ``Z[1]``, ``X``, ``1/m``."""
    return key[0] if key[0] == "1/m" else name_of(key)
