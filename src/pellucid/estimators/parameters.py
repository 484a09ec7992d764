"""What the estimators' parameters may be; every fault is named at once."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.utils._param_validation import InvalidParameterError

from pellucid._catalogue import Entry, did_you_mean
from pellucid.activations import activation as find_activation
from pellucid.augmentations import augmentation as find_augmentation
from pellucid.checks import (
    CLASS_WEIGHT,
    TRAINING,
    TRUTH,
    Check,
    Fault,
    either,
    faults_of,
    is_truth,
    is_whole,
    known_to,
    number,
    one_of,
    refused_by,
    whole,
)
from pellucid.engines import ENGINES
from pellucid.initializers import initializer as find_initializer
from pellucid.layers import Layer
from pellucid.losses import loss as find_loss
from pellucid.network.given import checked_shape
from pellucid.optimizers import optimizer as find_optimizer
from pellucid.schedules import schedule as find_schedule
from pellucid.training import gradient_bounds
from pellucid.training.arguments import callbacks_of, early_stopping_of, metrics_of
from pellucid.training.augment import changes_of

ENTRIES: dict[str, Callable[[Any], Any]] = {
    "activation": find_activation,
    "augment": find_augmentation,
    "initializer": find_initializer,
    "loss": find_loss,
    "optimizer": find_optimizer,
    "schedule": find_schedule,
}
"""The parameters that may be objects of the catalogues."""

SOLVERS = ("lbfgs", "sgd", "adam")
LOSS_NAMES = {"squared_error": "half_squared_error"}
"""scikit-learn's names of losses beside ours."""


def check_parameters(estimator: Any, checks: Mapping[str, Fault] | None = None) -> None:
    """Raise one InvalidParameterError, a ValueError, that names every parameter which cannot be.

    ``checks`` are those of the drop-ins unless given.
    """
    checks = _CHECKS if checks is None else checks
    given = {name: getattr(estimator, name) for name in checks if hasattr(estimator, name)}
    faults = faults_of(checks, given)
    if faults:
        told = " ".join(f"{name} {fault}" for name, fault in faults)
        raise InvalidParameterError(f"{type(estimator).__name__}: {told}")


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


_INFINITE = number(at_least=0, infinite=True)
_SHARE = number(at_least=0, below=1)
_UNITS = Check(
    "> 0: a whole number of units for each hidden layer",
    lambda value: all(is_whole(size, 1) for size in hidden_sizes(value)),
)
VERBOSE = Check(
    "True, False or a whole number of 0 or more",
    lambda value: is_truth(value) or is_whole(value, 0),
)
_DROPOUT = Check(
    "a rate of at least 0 and below 1, or a list of them",
    lambda value: all(map(_SHARE.fits, listed(value) or [value])),
)


def _is_dtype(value: Any) -> bool:
    try:
        return value is None or np.dtype(value) in (np.float32, np.float64)
    except (TypeError, ValueError, SyntaxError):
        return False


DTYPE = Check("None, 'float32' or 'float64'", _is_dtype)
_WEIGHTS = Check(
    f"{CLASS_WEIGHT.expected}, or a list of dicts for several labels",
    lambda value: (
        CLASS_WEIGHT.fits(value)
        or (
            isinstance(value, list)
            and all(isinstance(each, Mapping) and CLASS_WEIGHT.fits(each) for each in value)
        )
    ),
)


def _hidden_activation(spec: Any) -> Any:
    g = find_activation(spec)
    if g.output_only:
        raise ValueError(f"{g.name} is for the output layer.")
    return g


def _activations(value: Any) -> str:
    faults = map(known_to(_hidden_activation), listed(value) or [value])
    return next(filter(None, faults), "")


def _initializer(value: Any) -> Any:
    own = isinstance(value, Mapping) and "name" not in value  # {1: (W, b), ...}
    return value if value is None or callable(value) or own else find_initializer(value)


_CHECKS: dict[str, Fault] = {
    "hidden_layer_sizes": _UNITS,
    "activation": _activations,
    "solver": one_of(SOLVERS),
    "alpha": _INFINITE,
    "batch_size": either("auto", whole(1)),
    "learning_rate": one_of(("constant", "invscaling", "adaptive")),
    "learning_rate_init": number(above=0, infinite=True),
    "power_t": _INFINITE,
    "max_iter": whole(1),
    "shuffle": TRUTH,
    "tol": _INFINITE,
    "verbose": VERBOSE,
    "warm_start": TRUTH,
    "momentum": number(at_least=0, at_most=1),
    "nesterovs_momentum": TRUTH,
    "early_stopping": TRUTH,
    "validation_fraction": _SHARE,
    "beta_1": _SHARE,
    "beta_2": _SHARE,
    "epsilon": number(above=0, infinite=True),
    "n_iter_no_change": either(math.inf, whole(1)),
    "max_fun": whole(1),
    "loss": known_to(
        lambda value: find_loss(LOSS_NAMES.get(value, value) if isinstance(value, str) else value)
    ),
    "dropout": _DROPOUT,
    "class_weight": _WEIGHTS,
    "initializer": known_to(_initializer),
    "optimizer": known_to(lambda value: value is None or find_optimizer(value)),
    "schedule": known_to(find_schedule),
    "gradient_clip": lambda value: refused_by(gradient_bounds, value).removeprefix(
        "gradient_clip "
    ),
    "callbacks": lambda value: refused_by(callbacks_of, value).removeprefix("callbacks "),
    "statistics": TRUTH,
    "dtype": DTYPE,
    "n_threads": TRAINING["n_threads"],
    "engine": one_of(("auto", *ENGINES)),
}


def _layers(value: Any) -> str:
    if not isinstance(value, (list, tuple)):
        return f"must be a list of layers such as [Conv2D(8, 3)]; got {value!r:.80}."
    for position, layer in enumerate(value, start=1):
        if not isinstance(layer, Layer):
            hint = " Make an object of it: add ()." if isinstance(layer, type) else ""
            return f"must be a list of layers; entry {position} is {layer!r:.80}.{hint}"
    return ""


def _refused(name: str, find: Callable[[Any], Any]) -> Fault:
    """The check for what a function takes, whose message may begin with the parameter's name."""

    def fault(value: Any) -> str:
        message = refused_by(find, value)
        told = message.removeprefix("Network: ").removeprefix("augment: ")
        return told.removeprefix(f"{name} ") if told.startswith(name) else known_to(find)(value)

    return fault


NETWORK_CHECKS: dict[str, Fault] = {
    **_CHECKS,
    **TRAINING,
    "layers": _layers,
    "input_shape": _refused(
        "input_shape", lambda value: value is None or checked_shape(value, None)
    ),
    "optimizer": known_to(find_optimizer),
    "early_stopping": _refused("early_stopping", early_stopping_of),
    "augment": _refused("augment", changes_of),
    "metrics": known_to(metrics_of),
}
"""The checks of NetworkClassifier and NetworkRegressor: those of a training."""
