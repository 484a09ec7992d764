"""TrainSettings: what a training on a table is asked for, checked as a whole."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from pellucid._catalogue import Entry, did_you_mean
from pellucid._shown import plain
from pellucid.activations import Activation
from pellucid.activations import activation as find_activation
from pellucid.errors import SettingsError
from pellucid.optimizers import Optimizer
from pellucid.optimizers import optimizer as find_optimizer
from pellucid.tables.split import TASKS
from pellucid.tables.table import nearest

MOST_NAMED = 8
"""Unknown columns that a message names, of each setting."""


@dataclass(frozen=True)
class TrainSettings:
    """What a training on a table is asked for; all that is wrong is named at once.

    Attributes
    ----------
    task : str or None
        "binary", "multiclass" or "regression"; None infers it from the target.
    hidden_layer_sizes : tuple of int
        n[1], ..., n[L-1]; () has no hidden layer: logistic or linear regression.
    activation : str, Activation or None
        g of the hidden layers; None is selu for classes and mish for numbers.
    optimizer : str or Optimizer
    learning_rate : float or None
        None is 0.04 for classes and 0.07 for numbers with Adam, AdamW and RMSProp, whose steps do
        not know the size of a gradient; with the others it is the optimizer's own.
    batch_size : int or None
        None is chosen from the number of rows.
    epochs : int
        At most.
    patience : int
        Stop when the validation has not improved for so many epochs; 0 never does. The best
        epoch's parameters are kept in any case.
    l2, dropout : float
    label_smoothing : float or None
        None is 0.05 where the classes are about equal: where none has less than half of an equal
        share, each row counted with its weight by ``class_weight``. Else it is 0, as smoothing
        pulls probabilities towards equal shares.
    validation_fraction : float
        The share of the rows that tells the best epoch, where one network is trained.
    ensemble : int or None
        1 is one network; k of 2 or more cuts the rows into k folds and trains k networks, each
        without one fold, which tells its best epoch; predictions are their mean. None is 5 below
        2,000 rows, else 1.
    class_weight : dict, "balanced" or None
        A factor for each class; one that is not named has 1.
    categorical, drop, keep : tuple of str
        Columns whose numbers are codes; to leave out; to use although the screening would not.
    seed : int
    statistics : bool
        Take what a diagnosis reads (:class:`pellucid.insight.StatisticsCallback`).

    Examples
    --------
    >>> TrainSettings(hidden_layer_sizes=16, categorical="zip").hidden_layer_sizes
    (16,)
    >>> TrainSettings(epochs=0, activation="rleu")
    Traceback (most recent call last):
    pellucid.errors.SettingsError: activation must be a known name: unknown activation 'rleu' (did
    you mean 'relu'?). Known are: identity, ... epochs must be a whole number of 1 or more; got 0.
    """

    task: str | None = None
    hidden_layer_sizes: tuple[int, ...] = (256, 256, 256)
    activation: str | Activation | None = None
    optimizer: str | Optimizer = "adam"
    learning_rate: float | None = None
    epochs: int = 64
    batch_size: int | None = None
    patience: int = 40
    l2: float = 0.0
    dropout: float = 0.0
    label_smoothing: float | None = None
    validation_fraction: float = 0.2
    ensemble: int | None = None
    class_weight: Mapping[Any, float] | str | None = None
    categorical: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    seed: int = 0
    statistics: bool = True

    def __post_init__(self) -> None:
        for name in ("hidden_layer_sizes", "categorical", "drop", "keep"):
            object.__setattr__(self, name, _listed(getattr(self, name)))
        faults = [
            (name, fault)
            for name, check in _CHECKS.items()
            if (fault := check(getattr(self, name)))
        ]
        faults += self._contradictions() if not faults else []
        if faults:
            raise SettingsError(*faults)
        for name in ("categorical", "drop", "keep"):  # as as_table names columns
            object.__setattr__(self, name, tuple(map(str, getattr(self, name))))

    def _contradictions(self) -> list[tuple[str, str]]:
        faults = []
        both = sorted(set(map(str, self.drop)) & set(map(str, self.keep)))
        if both:
            faults.append(("drop", f"and keep both name {', '.join(map(repr, both))}."))
        if self.task == "regression" and self.class_weight is not None:
            faults.append(("class_weight", "is for classes; regression has none."))
        if find_optimizer(self.optimizer).name == "lbfgs" and self.dropout:
            faults.append(("dropout", f"must be 0 with lbfgs; got {self.dropout!r}."))
        return faults

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain data, for a model file.

        >>> TrainSettings.from_dict(TrainSettings(epochs=7).to_dict()) == TrainSettings(epochs=7)
        True
        """
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name in ("activation", "optimizer"):
            plain[name] = plain[name].spec() if isinstance(plain[name], Entry) else plain[name]
        if isinstance(self.class_weight, Mapping):  # a class may be a number, no key in JSON
            plain["class_weight"] = [[_plain(key), w] for key, w in self.class_weight.items()]
        return {
            name: list(value) if isinstance(value, tuple) else _plain(value)
            for name, value in plain.items()
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TrainSettings:
        """Return the settings that :meth:`to_dict` wrote; ValueError for anything else."""
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = [name for name in data if name not in known]
        if unknown:
            raise ValueError(f"there is no setting {unknown[0]!r}{did_you_mean(unknown[0], known)}")
        given = dict(data)
        for name, find in (("activation", find_activation), ("optimizer", find_optimizer)):
            if isinstance(given.get(name), dict):
                given[name] = find(given[name])
        if isinstance(given.get("class_weight"), list):
            given["class_weight"] = dict(given["class_weight"])
        return cls(**given)


def check_settings_named(given: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse names of columns in settings that the table has not: all of them at once.

    >>> check_settings_named({"drop": ("AGE",)}, ["age", "sex"])
    Traceback (most recent call last):
    pellucid.errors.SettingsError: drop names the column 'AGE', which does not exist (did you mean
    'age'?).
    """
    names = dict.fromkeys(known)
    faults = []
    for setting, columns in given.items():
        unknown = [name for name in columns if name not in names]
        faults += [
            (setting, f"names the column {name!r}, which does not exist{nearest(name, names)}.")
            for name in unknown[:MOST_NAMED]
        ]
        if len(unknown) > MOST_NAMED:
            faults.append((setting, f"names {len(unknown) - MOST_NAMED} more that do not exist."))
    if faults:
        raise SettingsError(*faults)


def _listed(value: Any) -> Any:
    """A tuple of one or several; anything else as it is, for the check to refuse."""
    if isinstance(value, (str, Integral)) and not isinstance(value, bool):
        value = (value,)
    if not isinstance(value, Iterable) or isinstance(value, Mapping):
        return value
    return tuple(each.item() if hasattr(each, "item") else each for each in value)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _whole(low: int, text: str, *, none: bool = False, high: float = math.inf) -> Any:
    def check(value: Any) -> str:
        fits = isinstance(value, Integral) and not isinstance(value, bool)
        fits = (none and value is None) or (fits and low <= value <= high)
        return "" if fits else f"must be {text}; got {plain(value)!r}."

    return check


def _number(
    low: float, high: float, text: str, *, none: bool = False, open_low: bool = False
) -> Any:
    def check(value: Any) -> str:
        fits = isinstance(value, Real) and not isinstance(value, bool)
        fits = fits and (low < value if open_low else low <= value) and value < high
        return "" if fits or (none and value is None) else f"must be {text}; got {plain(value)!r}."

    return check


def _task(value: Any) -> str:
    if value is None or (isinstance(value, str) and value in TASKS):
        return ""
    return f"must be one of {', '.join(TASKS)}; got {value!r}{did_you_mean(value, TASKS)}."


def _sizes(value: Any) -> str:
    fits = isinstance(value, tuple) and all(
        isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in value
    )
    return "" if fits else f"must be whole numbers of 1 or more; got {value!r}."


def _activation(value: Any) -> str:
    fault = "" if value is None else _unknown(find_activation, value)
    if not fault and value is not None and find_activation(value).output_only:
        return f"{value!r} is for the output layer; choose another for the hidden ones."
    return fault


def _optimizer(value: Any) -> str:
    return _unknown(find_optimizer, value)


def _unknown(find: Any, value: Any) -> str:
    try:
        find(value)
    except (TypeError, ValueError) as error:
        return f"must be a known name: {error}"
    return ""


def _class_weight(value: Any) -> str:
    fits = value is None or (isinstance(value, str) and value == "balanced")
    if isinstance(value, Mapping):
        fits = all(isinstance(w, Real) and 0 <= float(w) < math.inf for w in value.values())
    expected = "None, 'balanced' or a dict from class to a factor of 0 or more"
    return "" if fits else f"must be {expected}; got {value!r}."


def _flag(value: Any) -> str:
    return "" if isinstance(value, bool) else f"must be True or False; got {value!r}."


def _names(value: Any) -> str:
    fits = isinstance(value, tuple) and all(isinstance(each, (str, int)) for each in value)
    return "" if fits else f"must be names of columns; got {value!r}."


_CHECKS = {
    "task": _task,
    "hidden_layer_sizes": _sizes,
    "activation": _activation,
    "optimizer": _optimizer,
    "learning_rate": _number(0, math.inf, "a positive number or None", none=True, open_low=True),
    "epochs": _whole(1, "a whole number of 1 or more"),
    "batch_size": _whole(1, "a whole number of 1 or more, or None", none=True),
    "patience": _whole(0, "a whole number of 0 or more"),
    "l2": _number(0, math.inf, "a number of 0 or more"),
    "dropout": _number(0, 1, "at least 0 and below 1"),
    "label_smoothing": _number(0, 1, "at least 0 and below 1, or None", none=True),
    "validation_fraction": _number(0, 1, "above 0 and below 1", open_low=True),
    "ensemble": _whole(1, "a whole number of 1 or more, or None", none=True),
    "class_weight": _class_weight,
    "categorical": _names,
    "drop": _names,
    "keep": _names,
    "seed": _whole(0, "a whole number of 0 to 2^64 - 1", high=2**64 - 1),
    "statistics": _flag,
}
"""What each setting may be: a function that returns what is wrong with a value, or ""."""
