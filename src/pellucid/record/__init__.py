"""Arrays that record what is done to them: a layer's own code, run on them, shows its formulas.

>>> import numpy as np
>>> from pellucid.record import Array, cell_of, formula
>>> W = Array(np.array([[1.0, 2.0]]), key=("W", 1))
>>> X = Array(np.array([[3.0, 1.0], [2.0, 0.5]]), key=("X", 0))
>>> Z = np.exp(W @ X / 10)
>>> Z.values.round(3), formula(Z)
(array([[2.014, 1.221]]), 'exp(1/10 W[1] X)')
>>> print(cell_of(Z, ("Z", 1), 0, 0))
Z[1][0, 0] = exp(1/10 sum_j W[1][0, j] X[j, 0])
           = exp(1/10 (1 * 3 + 2 * 2)) = 2.014
"""

from __future__ import annotations

from pellucid.record.array import (
    SAME,
    Array,
    Changing,
    Functions,
    Key,
    Recorded,
    as_array,
    opaque,
    plain,
)
from pellucid.record.cell import Cell, Factor, cell_of
from pellucid.record.digits import adding_up
from pellucid.record.formula import GREEK, latex, mathml
from pellucid.record.operations import OPERATIONS, Operation
from pellucid.record.show import (
    DIGITS,
    LAID_OUT,
    Matrix,
    Part,
    formula,
    laid_out,
    name,
    parts,
    shown,
    simplified,
    stacked,
    windows,
)
from pellucid.record.volumes import Picture, Volume, pictures

__all__ = [
    "DIGITS",
    "GREEK",
    "LAID_OUT",
    "OPERATIONS",
    "SAME",
    "Array",
    "Cell",
    "Changing",
    "Factor",
    "Functions",
    "Key",
    "Matrix",
    "Operation",
    "Part",
    "Picture",
    "Recorded",
    "Volume",
    "adding_up",
    "as_array",
    "cell_of",
    "formula",
    "laid_out",
    "latex",
    "mathml",
    "name",
    "opaque",
    "parts",
    "pictures",
    "plain",
    "shown",
    "simplified",
    "stacked",
    "windows",
]
