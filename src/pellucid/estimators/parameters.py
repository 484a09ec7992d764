"""What the drop-ins' parameters may be; every fault is named at once."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import InvalidParameterError

from pellucid._catalogue import Entry, did_you_mean
from pellucid._shown import plain
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

ENTRIES: dict[str, Callable[[Any], Any]] = {
    "activation": find_activation,
    "initializer": find_initializer,
    "loss": find_loss,
    "optimizer": find_optimizer,
    "schedule": find_schedule,
}
"""The parameters that may be objects of the catalogues."""

SOLVERS = ("lbfgs", "sgd", "adam")
LOSS_NAMES = {"squared_error": "half_squared_error"}
"""scikit-learn's names of losses beside ours."""


def check_parameters(estimator: Any) -> None:
    """Raise one InvalidParameterError, a ValueError, that names every parameter which cannot be."""
    faults = []
    for name, value in estimator.get_params(deep=False).items():
        expected = _CHECKS[name](value) if name in _CHECKS else ""
        if expected:
            faults.append(f"{name} must be {expected}; got {plain(value)!r}")
    if faults:
        raise InvalidParameterError(f"{type(estimator).__name__}: " + ". ".join(faults) + ".")


class EntryParameters:
    """Lets ``optimizer__beta1`` set what an object of the catalogues has, as in a search.

    >>> from pellucid import MLPClassifier
    >>> MLPClassifier(optimizer="adam").set_params(optimizer__beta1=0.8).optimizer
    Adam(beta1=0.8, beta2=0.999, epsilon=1e-08)
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; ``deep`` adds those of objects, such as ``optimizer__beta1``."""
        found: dict[str, Any] = super().get_params(deep)  # type: ignore[misc]
        for name, value in list(found.items()) if deep else ():
            if isinstance(value, Entry):
                for field in dataclasses.fields(value):
                    found[f"{name}__{field.name}"] = getattr(value, field.name)
        return found

    def set_params(self, **params: Any) -> Any:
        """Set parameters, also those of objects, such as ``optimizer__beta1``."""
        inner = {name: value for name, value in params.items() if "__" in name}
        super().set_params(  # type: ignore[misc]
            **{name: value for name, value in params.items() if name not in inner}
        )
        for name, value in inner.items():
            outer, _, field = name.partition("__")
            if outer not in ENTRIES or not hasattr(self, outer):
                super().set_params(**{name: value})  # type: ignore[misc]
                continue
            given = getattr(self, outer)
            if given is None:
                raise ValueError(f"{name}: {outer} is None, which has no parameters; set it too.")
            entry = ENTRIES[outer](given)
            if field not in (known := [each.name for each in dataclasses.fields(entry)]):
                raise ValueError(
                    f"{name}: {type(entry).__name__} has no parameter {field!r}"
                    f"{did_you_mean(field, known)}; it has {', '.join(known) or 'none'}."
                )
            setattr(self, outer, dataclasses.replace(entry, **{field: value}))
        return self


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


def _verbosity(value: Any) -> str:
    fits = isinstance(value, (bool, np.bool_)) or (isinstance(value, Integral) and int(value) >= 0)
    return "" if fits else "True, False or a whole number of 0 or more"


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
    dicts = value if isinstance(value, list) else [value]  # a list: one for each label
    if dicts and all(isinstance(each, Mapping) for each in dicts):
        factors = [factor for each in dicts for factor in each.values()]
        fits = all(is_real(factor) and 0 <= factor < math.inf for factor in factors)
    expected = "None, 'balanced', a dict from class to factor, 0 or more, or a list of dicts"
    return "" if fits else f"{expected} for several labels"


def _callbacks(value: Any) -> str:
    try:
        callbacks_of(value)
    except TypeError as fault:
        return f"None or a list of pellucid.Callback objects ({fault})"
    return ""


def fault_of_dtype(value: Any) -> str:
    """What a dtype must be, where it is not that; else an empty string."""
    try:
        fits = value is None or np.dtype(value) in (np.float32, np.float64)
    except (TypeError, ValueError, SyntaxError):
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
    "verbose": _verbosity,
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
    "statistics": _flag,
    "dtype": fault_of_dtype,
    "n_threads": _or(None, "None", _whole),
    "engine": _one_of(("auto", *ENGINES)),
}
