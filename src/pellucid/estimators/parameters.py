"""What the drop-ins' parameters may be; every fault is named at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from pellucid._catalogue import did_you_mean
from pellucid.activations import activation as find_activation
from pellucid.engines import ENGINES
from pellucid.initializers import initializer as find_initializer
from pellucid.losses import loss as find_loss
from pellucid.optimizers import optimizer as find_optimizer
from pellucid.schedules import schedule as find_schedule
from pellucid.training import gradient_bounds
from pellucid.training.arguments import callbacks_of, is_real

Check = Callable[[Any], str]
"""Takes a value, returns what is expected instead, or "" where all is well."""

SOLVERS = ("lbfgs", "sgd", "adam")
LOSS_NAMES = {"squared_error": "half_squared_error"}
"""scikit-learn's names of losses beside ours."""


def check_parameters(estimator: Any) -> None:
    """Raise one ValueError that names every parameter which cannot be."""
    faults = []
    for name, value in estimator.get_params(deep=False).items():
        expected = _CHECKS[name](value) if name in _CHECKS else ""
        if expected:
            faults.append(f"{name} must be {expected}; got {value!r}")
    if faults:
        raise ValueError(f"{type(estimator).__name__}: " + ". ".join(faults) + ".")


def listed(value: Any) -> list[Any]:
    """Return the entries of a list, tuple or array; none of anything else.

    >>> listed(np.array(["tanh"])), listed("tanh")
    (['tanh'], [])
    """
    if isinstance(value, np.ndarray):
        return value.ravel().tolist()
    return list(value) if isinstance(value, (list, tuple)) else []


def hidden_sizes(value: Any) -> list[int]:
    """Return the sizes of the hidden layers as a list."""
    return list(value) if np.iterable(value) else [value]


def per_hidden_layer(value: Any, n_hidden: int, name: str) -> list[Any]:
    """Return one value for each hidden layer, from one for all or a list."""
    several = isinstance(value, (list, tuple, np.ndarray))
    values = listed(value) if several else [value] * n_hidden
    if len(values) != n_hidden:
        raise ValueError(
            f"{name} has {len(values)} entries for {n_hidden} hidden layers; give one for each, or "
            "one for all."
        )
    return values


def _number(low: float, high: float, text: str, *, open_low: bool = False) -> Check:
    def check(value: Any) -> str:
        fits = isinstance(value, Real) and not isinstance(value, bool)
        fits = fits and (value > low if open_low else value >= low) and value <= high
        return "" if fits else text

    return check


def _whole(value: Any) -> str:
    fits = isinstance(value, Integral) and value is not True and int(value) >= 1
    return "" if fits else "a whole number of 1 or more"


def _or(special: Any, text: str, check: Check) -> Check:
    def either(value: Any) -> str:
        if value is special or (isinstance(value, type(special)) and value == special):
            return ""
        expected = check(value)
        return expected and f"{text} or {expected}"

    return either


def _one_of(names: Iterable[str]) -> Check:
    known = list(names)

    def check(value: Any) -> str:
        if isinstance(value, str) and value in known:
            return ""
        return f"one of {', '.join(map(repr, known))}{did_you_mean(value, known)}"

    return check


def _found_by(find: Callable[[Any], Any]) -> Check:
    def check(value: Any) -> str:
        try:
            find(value)
        except (ValueError, TypeError) as fault:
            return f"a known name or object ({fault})"
        return ""

    return check


def _flag(value: Any) -> str:
    return "" if isinstance(value, (bool, np.bool_)) else "True or False"


def _sizes(value: Any) -> str:
    fits = all(not _whole(size) for size in hidden_sizes(value))
    return "" if fits else "> 0: a whole number of units for each hidden layer"


def _each(check: Check) -> Check:
    def every(value: Any) -> str:
        for each in listed(value) or [value]:
            expected = check(each)
            if expected:
                return expected
        return ""

    return every


def _hidden_activation(spec: Any) -> Any:
    g = find_activation(spec)
    if g.output_only:
        raise ValueError(f"{g.name} is for the output layer.")
    return g


def _initializer(value: Any) -> Any:
    own = isinstance(value, Mapping) and "name" not in value  # {1: (W, b), ...}
    return value if value is None or callable(value) or own else find_initializer(value)


def _class_weight(value: Any) -> str:
    fits = value is None or (isinstance(value, str) and value == "balanced")
    if isinstance(value, Mapping):
        fits = all(is_real(each) and 0 <= each < math.inf for each in value.values())
    return "" if fits else "None, 'balanced' or a dict from class to factor, 0 or more"


def _callbacks(value: Any) -> str:
    try:
        callbacks_of(value)
    except TypeError as fault:
        return f"None or a list of pellucid.Callback objects ({fault})"
    return ""


def _dtype(value: Any) -> str:
    try:
        fits = value is None or np.dtype(value) in (np.float32, np.float64)
    except TypeError:
        fits = False
    return "" if fits else "None, 'float32' or 'float64'"


def _drop_rate(value: Any) -> str:
    fits = isinstance(value, Real) and 0 <= float(value) < 1
    return "" if fits else "a rate of at least 0 and below 1, or a list of them"


_CHECKS: dict[str, Check] = {
    "hidden_layer_sizes": _sizes,
    "activation": _each(_found_by(_hidden_activation)),
    "solver": _one_of(SOLVERS),
    "alpha": _number(0, math.inf, "0 or more"),
    "batch_size": _or("auto", "'auto'", _whole),
    "learning_rate": _one_of(("constant", "invscaling", "adaptive")),
    "learning_rate_init": _number(0, math.inf, "above 0", open_low=True),
    "power_t": _number(0, math.inf, "0 or more"),
    "max_iter": _whole,
    "shuffle": _flag,
    "tol": _number(0, math.inf, "0 or more"),
    "warm_start": _flag,
    "momentum": _number(0, 1, "between 0 and 1"),
    "nesterovs_momentum": _flag,
    "early_stopping": _flag,
    "validation_fraction": _number(0, math.nextafter(1, 0), "at least 0 and below 1"),
    "beta_1": _number(0, math.nextafter(1, 0), "at least 0 and below 1"),
    "beta_2": _number(0, math.nextafter(1, 0), "at least 0 and below 1"),
    "epsilon": _number(0, math.inf, "above 0", open_low=True),
    "n_iter_no_change": _or(math.inf, "infinity", _whole),
    "max_fun": _whole,
    "loss": _found_by(
        lambda value: find_loss(LOSS_NAMES.get(value, value) if isinstance(value, str) else value)
    ),
    "dropout": _each(_drop_rate),
    "class_weight": _class_weight,
    "initializer": _found_by(_initializer),
    "optimizer": _found_by(lambda value: value is None or find_optimizer(value)),
    "schedule": _found_by(find_schedule),
    "gradient_clip": _found_by(gradient_bounds),
    "callbacks": _callbacks,
    "dtype": _dtype,
    "n_threads": _or(None, "None", _whole),
    "engine": _one_of(("auto", *ENGINES)),
}
