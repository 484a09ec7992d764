"""The arguments of train: what each may be, and what short forms stand for."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import philox
from pellucid.activations import ACTIVATIONS
from pellucid.callbacks import Callback
from pellucid.checks import FACTOR, is_number
from pellucid.engines import permutation
from pellucid.losses import Loss
from pellucid.metrics import Metric
from pellucid.metrics import metric as find_metric
from pellucid.network import Network
from pellucid.training.run import EarlyStopping


def gradient_bounds(gradient_clip: float | tuple[str, float] | None) -> dict[str, Any]:
    """Return clip_norm or clip_value for an Objective; a bare number bounds the norm.

    >>> gradient_bounds(("value", 0.5))
    {'clip_value': 0.5}
    """
    if gradient_clip is None:
        return {}
    given = gradient_clip if isinstance(gradient_clip, tuple) else ("norm", gradient_clip)
    kind, bound = given if len(given) == 2 else ("", 0.0)
    if kind not in ("norm", "value") or not is_number(bound, infinite=True) or bound <= 0:
        raise ValueError(
            "gradient_clip must be a positive number (a bound on the norm), ('norm', bound) or "
            f"('value', bound); got {gradient_clip!r}."
        )
    return {f"clip_{kind}": float(bound)}


def early_stopping_of(value: Any) -> EarlyStopping | None:
    """Return the early stopping that an argument stands for; True is the usual one.

    >>> early_stopping_of(5).patience
    5
    """
    if value is None or value is False:
        return None
    if value is True:
        return EarlyStopping()
    if isinstance(value, Integral):
        return EarlyStopping(int(value))
    if isinstance(value, EarlyStopping):
        return value
    raise TypeError(
        "early_stopping must be a number of epochs (the patience), True, an EarlyStopping or None; "
        f"got {value!r}."
    )


def callbacks_of(value: Callback | Iterable[Callback] | None) -> list[Callback]:
    """Return a list of callbacks, also from a single one; refuse what is none."""
    given = _list_of(value, Callback)
    for each in [value] if given is None else given:
        if not isinstance(each, Callback):
            hint = " Make an object of it: add ()." if isinstance(each, type) else ""
            raise TypeError(f"callbacks must be pellucid.Callback objects; got {each!r}.{hint}")
    return given or []


def metrics_of(value: Any) -> list[Metric]:
    """Return a list of metrics, also from a single one or a name."""
    given = _list_of(value, (str, Metric))
    return [find_metric(each) for each in ([value] if given is None else given)]


def _list_of(value: Any, kind: Any) -> list[Any] | None:
    """The value as a list, None where it can be none."""
    if value is None:
        return []
    if isinstance(value, kind):
        return [value]
    return list(value) if isinstance(value, Iterable) else None


def rows_of_parts(
    m: int, fraction: float, rows: Any, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of the training and of the validation examples among m.

    >>> rows_of_parts(5, 0.0, [3, 0], seed=0)
    (array([1, 2, 4]), array([3, 0]))
    """
    if rows is None:
        held_out = round(fraction * m)
        if not 0 < held_out < m:
            raise ValueError(
                f"validation_fraction={fraction!r} of {m} examples leaves {held_out} for "
                f"validation and {m - held_out} for training; both need one or more."
            )
        validation = np.sort(permutation(seed, m, stream=philox.SPLIT)[:held_out])
    elif fraction:
        raise ValueError("give validation_fraction or validation_rows, not both.")
    else:
        validation = np.asarray(rows)
    fits = validation.ndim == 1 and validation.dtype.kind in "iu" and 0 < len(validation) < m
    trains = np.ones(m, dtype=bool)
    if fits and validation.min() >= 0 and validation.max() < m:
        trains[validation] = False
    if np.count_nonzero(trains) != m - validation.size or not fits:
        raise ValueError(
            f"validation_rows must hold some of the integers 0 to {m - 1}, each once, and leave "
            f"one or more for training; got shape {validation.shape}, dtype {validation.dtype}: "
            f"{validation!r}."
        )
    return np.flatnonzero(trains), validation.astype(np.int64)


def check_class_weight(class_weight: Any, n_classes: int) -> None:
    """Refuse a class_weight that does not give classes 0, 1, ... factors of 0 or more."""
    if isinstance(class_weight, str) and class_weight == "balanced":
        return
    if not isinstance(class_weight, Mapping):
        raise ValueError(f"class_weight must be a dict or 'balanced'; got {class_weight!r}.")
    unknown = [key for key in class_weight if key not in range(n_classes)]
    if unknown or not all(map(FACTOR.fits, class_weight.values())):
        raise ValueError(
            f"class_weight must give classes 0 to {n_classes - 1} finite factors of 0 or more; "
            f"got {dict(class_weight)!r}."
        )


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line outside of Pellucid that led here: a call of train, or of an estimator."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] == "pellucid":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def misfit(network: Network, loss: Loss) -> str:
    """Return why the output activation does not fit the loss, "" where it does.

    Only for losses whose targets have a range, and activations of the table: a function of one's
    own is its owner's business.
    """
    g = network.layers[-1].activation
    if g is None or loss.targets == "real" or ACTIVATIONS.get(g.name) is not type(g):
        return ""
    if g.name in loss.fits:
        return ""
    n = network.n[-1]
    return (
        f"the loss {loss.name} is for the outputs {' and '.join(loss.fits)}; this network's output "
        f"is {g.name}. Write Dense({n}, {loss.fits[0]!r}) as the last layer, or take another loss."
    )
