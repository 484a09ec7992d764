"""TrainSettings: what a training on a table is asked for, checked as a whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from pellucid._catalogue import Entry, did_you_mean
from pellucid.activations import Activation
from pellucid.activations import activation as find_activation
from pellucid.checks import (
    CLASS_WEIGHT,
    SEED,
    TRUTH,
    Check,
    Fault,
    each,
    faults_of,
    known_to,
    number,
    one_of,
    optional,
    whole,
)
from pellucid.errors import SettingsError
from pellucid.optimizers import Optimizer
from pellucid.optimizers import optimizer as find_optimizer
from pellucid.tables.split import TASKS
from pellucid.tables.table import nearest
from pellucid.training.arguments import CHECKS

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
        faults = faults_of(_CHECKS, vars(self))
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


def _activation(value: Any) -> str:
    fault = known_to(find_activation)(value)
    if not fault and find_activation(value).output_only:
        return f"{value!r} is for the output layer; choose another for the hidden ones."
    return fault


_COLUMNS = each(Check("a name", lambda name: isinstance(name, (str, int))), "names of columns")

_CHECKS: dict[str, Fault] = {
    "task": optional(one_of(TASKS)),
    "hidden_layer_sizes": each(whole(1), "whole numbers of 1 or more"),
    "activation": lambda value: "" if value is None else _activation(value),
    "optimizer": known_to(find_optimizer),
    "learning_rate": CHECKS["learning_rate"],
    "epochs": CHECKS["epochs"],
    "batch_size": CHECKS["batch_size"],
    "patience": whole(0),
    "l2": CHECKS["l2"],
    "dropout": number(at_least=0, below=1),
    "label_smoothing": optional(CHECKS["label_smoothing"]),
    "validation_fraction": number(above=0, below=1),
    "ensemble": optional(whole(1)),
    "class_weight": CLASS_WEIGHT,
    "categorical": _COLUMNS,
    "drop": _COLUMNS,
    "keep": _COLUMNS,
    "seed": SEED,
    "statistics": TRUTH,
}
"""What each setting may be: a function that returns what is wrong with a value, or ""."""
