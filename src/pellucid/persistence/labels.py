"""The labels of a classifier in model.json: a list of values and the name of a dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SPARE = 2**23
"""Bytes that labels may take whatever they are."""


def label_array(values: Any, dtype: Any) -> NDArray[Any]:
    """Return the labels as an array; ValueError where they are no labels, or ask for much memory.

    An array of texts has room for the longest in every place, or for as much as its dtype says.

    >>> label_array(["no", "yes"], "<U3"), label_array([0, 1], "")
    (array(['no', 'yes'], dtype='<U3'), array([0, 1]))
    >>> label_array(["no", "yes"], "<U500000000")
    Traceback (most recent call last):
    ValueError: 2 labels of the dtype '<U500000000' would take 4,000,000,000 bytes
    """
    if not isinstance(values, list) or not all(
        isinstance(each, (str, bool, int, float)) for each in values
    ):
        raise ValueError("labels must be a list of numbers, booleans or texts")
    if not isinstance(dtype, str):
        raise ValueError(f"the dtype of labels must be a text, got {dtype!r:.40}")
    try:
        kind = np.dtype(dtype) if dtype else None
    except (TypeError, ValueError, SyntaxError):
        raise ValueError(f"labels cannot have the dtype {dtype!r:.40}") from None
    if kind is not None and kind.kind not in "biufUO":
        raise ValueError(f"labels cannot have the dtype {dtype!r:.40}")
    lengths = [len(each) for each in values if isinstance(each, str)]
    if kind is None or kind.kind == "U":
        width = kind.itemsize if kind and kind.itemsize else 4 * max(lengths, default=0)
        needed = len(values) * width
        if needed > _SPARE + 4 * sum(lengths):
            raise ValueError(
                f"{len(values):,} labels of the dtype {dtype!r:.40} would take {needed:,} bytes"
            )
    try:
        labels = np.array(values, dtype=kind)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"labels cannot have the dtype {dtype!r:.40}: {error}") from None
    return labels
