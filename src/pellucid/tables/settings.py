"""TrainSettings: what a training on a table is asked for, checked as a whole."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from inspect import cleandoc
from numbers import Integral
from typing import Any

from pellucid._catalogue import Entry, did_you_mean
from pellucid.activations import ACTIVATIONS, Activation
from pellucid.activations import activation as find_activation
from pellucid.checks import (
    CLASS_WEIGHT,
    SEED,
    TRAINING,
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
from pellucid.optimizers import OPTIMIZERS, Optimizer
from pellucid.optimizers import optimizer as find_optimizer
from pellucid.tables.split import TASKS
from pellucid.tables.table import nearest

MOST_NAMED = 8
"""Unknown columns that a message names, of each setting."""


@dataclass(frozen=True)
class Option:
    """What is known of one setting, for its check, the documentation and the command line.

    Attributes
    ----------
    check : callable
        Returns what is wrong with a value, "" where nothing is (:mod:`pellucid.checks`).
    text : str
        What it is, in a sentence, which is the help of the command line too.
    usual : str
        What None stands for.
    more : str
        What the documentation says besides.
    names : iterable of str
        The names that it may be, where these are few.
    flag : str
        How the command line spells it, where that is not ``--NAME``.
    command_line : bool
        Whether the command line has it.
    """

    check: Fault
    text: str
    usual: str = ""
    more: str = ""
    names: Iterable[str] = ()
    flag: str = ""
    command_line: bool = True

    def described(self) -> str:
        """Return the text for the documentation."""
        usual = f"None is {self.usual}." if self.usual else ""
        return " ".join(part for part in (self.text, usual, self.more) if part)


def _option(default: Any, check: Fault, text: str, **more: Any) -> Any:
    return field(default=default, metadata={"option": Option(check, text, **more)})


def _hidden_activation(value: Any) -> str:
    fault = "" if value is None else known_to(find_activation)(value)
    if not fault and value is not None and find_activation(value).output_only:
        return f"{value!r} is for the output layer; choose another for the hidden ones."
    return fault


_COLUMNS = each(Check("a name", lambda name: isinstance(name, (str, int))), "names of columns")
_HIDDEN = tuple(name for name, g in ACTIVATIONS.items() if not g.output_only)


@dataclass(frozen=True)
class TrainSettings:
    """What a training on a table is asked for; all that is wrong is named at once.

    Each is declared once, in the class, with its default, check and text; these attributes and the
    options of ``pellucid train`` are made from that.

    Attributes
    ----------
    {settings}

    Examples
    --------
    >>> TrainSettings(hidden_layer_sizes=16, categorical="zip").hidden_layer_sizes
    (16,)
    >>> TrainSettings(epochs=0, activation="rleu")
    Traceback (most recent call last):
    pellucid.errors.SettingsError: activation must be a known name: unknown activation 'rleu' (did
    you mean 'relu'?). Known are: identity, ... epochs must be a whole number of 1 or more; got 0.
    """

    task: str | None = _option(
        None,
        optional(one_of(TASKS)),
        f"{', '.join(TASKS)}.",
        usual="inferred from the target",
    )
    hidden_layer_sizes: tuple[int, ...] = _option(
        (256, 256, 256),
        each(whole(1), "whole numbers of 1 or more"),
        "Units of each hidden layer.",
        more="n[1], ..., n[L-1]; () has no hidden layer: logistic or linear regression.",
        flag="--hidden",
    )
    activation: str | Activation | None = _option(  # noqa: RUF009 - it declares a field
        None,
        _hidden_activation,
        "Activation of the hidden layers.",
        usual="selu for classes, mish for numbers",
        names=_HIDDEN,
    )
    optimizer: str | Optimizer = _option(  # noqa: RUF009
        "adam",
        known_to(find_optimizer),
        "The optimizer.",
        names=OPTIMIZERS,
        more="An object brings coefficients of its own: ``Momentum(beta=0.8)``.",
    )
    learning_rate: float | None = _option(
        None,
        TRAINING["learning_rate"],
        "Size of the steps.",
        usual="0.04 for classes and 0.07 for numbers with adam, adamw and rmsprop, else the "
        "optimizer's own",
        more="The steps of these three do not know the size of a gradient.",
    )
    epochs: int = _option(
        64, TRAINING["epochs"], "Maximum number of passes over the training rows."
    )
    batch_size: int | None = _option(
        None, TRAINING["batch_size"], "Rows per step.", usual="chosen from the number of rows"
    )
    patience: int = _option(
        40,
        whole(0),
        "Stop after this many epochs without a better validation loss; 0: never.",
        more="The best epoch's parameters are kept in any case.",
    )
    l2: float = _option(0.0, TRAINING["l2"], "L2 penalty on the weights.")
    dropout: float = _option(
        0.0, number(at_least=0, below=1), "Share of hidden units dropped at each step."
    )
    label_smoothing: float | None = _option(
        None,
        optional(TRAINING["label_smoothing"]),
        "Share of each row's label that is spread over all classes.",
        usual="0.05 if the classes are about equal in size, else 0",
        more="About equal: none has less than half of an equal share, each row counted with its "
        "weight by ``class_weight``. Smoothing pulls probabilities towards equal shares.",
    )
    validation_fraction: float = _option(
        0.2,
        number(above=0, below=1),
        "Share of the rows that tells the best epoch, where one network is trained.",
        command_line=False,
    )
    ensemble: int | None = _option(
        None,
        optional(whole(1)),
        "Networks to average, each without one fold of the rows.",
        usual="5 below 2,000 rows, else 1",
        more="The fold that a network does not see tells its best epoch. With rows of one's own "
        "for validation it is 1.",
    )
    class_weight: Mapping[Any, float] | str | None = _option(
        None,
        CLASS_WEIGHT,
        "A factor for each class; one that is not named has 1.",
        more='"balanced" gives every class the same total weight.',
        command_line=False,
    )
    categorical: tuple[str, ...] = _option(
        (), _COLUMNS, "Columns whose numbers are codes, such as zip codes."
    )
    drop: tuple[str, ...] = _option((), _COLUMNS, "Columns that are not used.")
    keep: tuple[str, ...] = _option(
        (), _COLUMNS, "Columns to use even if they look like row numbers or the target itself."
    )
    seed: int = _option(0, SEED, "The same seed gives the same model.")
    statistics: bool = _option(
        True, TRUTH, "Keep what a diagnosis reads; it holds no row of the data."
    )

    def __post_init__(self) -> None:
        for name in ("hidden_layer_sizes", "categorical", "drop", "keep"):
            object.__setattr__(self, name, _listed(getattr(self, name)))
        faults = faults_of({name: each.check for name, each in OPTIONS.items()}, vars(self))
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


OPTIONS: dict[str, Option] = {
    field.name: field.metadata["option"] for field in dataclasses.fields(TrainSettings)
}
"""Every setting by its name: its check, what it is for, what None stands for."""


def documented(names: Iterable[str] = OPTIONS) -> str:
    """Return the settings as a section of a class's docstring lists them.

    >>> print(documented(["epochs"]))
    epochs : int
        Maximum number of passes over the training rows.
    """
    kinds = {field.name: str(field.type) for field in dataclasses.fields(TrainSettings)}
    lines = []
    for name in names:
        kind = kinds[name].replace("Mapping[Any, float]", "dict").replace(" | ", " or ")
        kind = re.sub(r"tuple\[(\w+), \.\.\.\]", r"tuple of \1", kind)
        lines.append(f"{name} : {kind}")
        text = OPTIONS[name].described()
        lines += textwrap.wrap(text, 96, initial_indent=" " * 4, subsequent_indent=" " * 4)
    return "\n".join(lines)


if TrainSettings.__doc__:  # python -OO has none
    TrainSettings.__doc__ = cleandoc(TrainSettings.__doc__).replace("{settings}", documented())
