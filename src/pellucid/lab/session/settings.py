"""The settings of an experiment: read from what a page sent, checked, complete.

Nothing that comes in is trusted: every number has bounds, every name is looked up in its table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import checks
from pellucid.activations import activation
from pellucid.checks import check, is_number
from pellucid.errors import SettingsError
from pellucid.initializers import initializer
from pellucid.lab.datasets import Dataset, dataset
from pellucid.lab.faults import FAULTS, fault
from pellucid.losses import loss
from pellucid.optimizers import LBFGS, Optimizer, optimizer
from pellucid.tasks import TASKS

MOST_EXAMPLES, MOST_UNITS, MOST_LAYERS = 20_000, 512, 8
LARGEST_SEED = 2**53 - 1
"""The largest whole number that JavaScript keeps."""


@dataclass(frozen=True)
class DataSettings:
    """Which examples: a data set's, or ``points``, [x1, x2, y] each."""

    name: str
    m: int
    noise: float
    split: float
    seed: int
    points: list[list[float]] | None = None

    def make(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return X, (n[0], m), and Y, (n[L], m)."""
        if self.points is None:
            return dataset(self.name).make(self.m, self.noise, self.seed)
        columns = np.array(self.points, dtype=np.float64).T
        X, y = columns[:2], columns[2]
        kinds = len(dataset(self.name).outputs)
        return X, np.eye(kinds)[:, y.astype(int)] if kinds > 1 else y[np.newaxis]


@dataclass(frozen=True)
class LayerSettings:
    """One hidden layer."""

    units: int
    activation: str
    dropout: float = 0.0


@dataclass(frozen=True)
class Settings:
    """Everything an experiment starts from; :meth:`read` makes it from plain data.

    ``model`` names weights of :data:`pellucid.lab.session.user_data.WEIGHTS` to begin with,
    ``parameters`` holds such weights themselves.

    >>> made = Settings.read({"data": {"name": "xor"}, "layers": [{"units": 2}]})
    >>> made.loss, made.output, made.layers[0].activation
    ('binary_cross_entropy', 'sigmoid', 'tanh')
    >>> Settings.read(made.to_dict()) == made
    True
    """

    data: DataSettings
    layers: tuple[LayerSettings, ...]
    output: str
    loss: str
    initializer: str | None
    seed: int
    optimizer: str
    learning_rate: float
    batch_size: int
    l1: float
    l2: float
    fault: str | None
    parameters: dict[str, list[list[float]]] | None = None
    model: str | None = None

    @classmethod
    def read(cls, given: Any) -> Settings:
        """Return the settings that these plain data stand for.

        One SettingsError, a ValueError, names every value that cannot be.
        """
        given = _mapping("experiment", given)
        faults = Faults()
        read = faults.read
        # After a fault a default stands in, so that what comes after it is looked at too.
        data, source = read(_read_data, given.get("data")) or (None, dataset("xor"))
        suiting = TASKS[source.task]
        steps = read(_read_optimizer, given.get("optimizer")) or optimizer("adam")
        found = {
            "data": data,
            "layers": read(_read_layers, given.get("layers")),
            "output": read(_read_output, given.get("output"), suiting.output),
            "loss": read(_name_in, loss, "loss", _or(given.get("loss"), suiting.loss)),
            "initializer": read(_name_or_none, initializer, "initializer", given),
            "seed": read(whole, given, "seed", 0, LARGEST_SEED, 1),
            "optimizer": steps.name,
            "learning_rate": read(
                real, given, "learning_rate", 1e-9, 1e6, steps.default_learning_rate
            ),
            "batch_size": read(whole, given, "batch_size", 1, MOST_EXAMPLES, 32),
            "l1": read(real, given, "l1", 0.0, 1e3, 0.0),
            "l2": read(real, given, "l2", 0.0, 1e3, 0.0),
            "fault": read(_name_or_none, fault, "fault", given),
            "parameters": read(_read_parameters, given.get("parameters")),
            "model": None if given.get("model") is None else read(_text, "model", given["model"]),
        }
        faults.report()
        return cls(**found)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain data, complete."""
        return asdict(self) | {
            "layers": [asdict(layer) for layer in self.layers],
            "output": {"activation": self.output},
        }

    @property
    def broken(self) -> Any:
        """The fault, None in a healthy experiment."""
        return FAULTS[self.fault] if self.fault else None


class Faults:
    """What readers refuse: noted, while the reading goes on; ``where`` is put before each.

    >>> faults = Faults("layer 2: ")
    >>> faults.read(whole, {"units": 0}, "units", 1, 512, 4)
    >>> faults.report()
    Traceback (most recent call last):
    pellucid.errors.SettingsError: layer 2: units must be a whole number from 1 to 512; got 0.
    """

    def __init__(self, where: str = "") -> None:
        self.where = where
        self.found: list[tuple[str, str]] = []

    def read(self, reader: Callable[..., Any], *given: Any) -> Any:
        """Return what a reader makes of it; None where it refuses."""
        try:
            return reader(*given)
        except SettingsError as error:
            self.found += [(self.where + name, text) for name, text in error.faults]
        except ValueError as error:
            self.found.append((self.where.rstrip(), str(error)))
        return None

    def report(self) -> None:
        """Raise one SettingsError that names all of them, where there are any."""
        if self.found:
            raise SettingsError(*self.found)


def _read_data(given: Any) -> tuple[DataSettings, Dataset]:
    given = _mapping("data", _or(given, {}))
    source = dataset(_text("data.name", _or(given.get("name"), "xor")))
    faults = Faults("data: ")
    read, points = faults.read, given.get("points")
    if points is not None:
        points = read(_read_points, points, source)
    m = read(whole, given, "m", 1, MOST_EXAMPLES, source.m)
    noise = read(real, given, "noise", 0.0, 5.0, 0.0) if source.noise else 0.0
    split = read(real, given, "split", 0.0, 0.9, 0.0)
    seed = read(whole, given, "seed", 0, LARGEST_SEED, 0)
    faults.report()
    m = min(m, source.most) if points is None else len(points)
    return DataSettings(source.name, m, noise, split, seed, points), source


def _read_points(points: Any, source: Dataset) -> list[list[float]]:
    """Points of the user's own, [x1, x2, y] each, for a data set of two inputs."""
    if len(source.inputs) != 2:
        raise ValueError(f"points are for two inputs; {source.title} has a different number.")
    read = []
    for k, point in enumerate(_list("points", points, MOST_EXAMPLES), start=1):
        if not isinstance(point, list) or len(point) != 3 or not all(map(_moderate, point)):
            raise ValueError(f"point {k} must be [x1, x2, y]; got {point!r:.60}.")
        x1, x2, y = map(float, point)
        kinds = max(2, len(source.outputs))
        if source.task != "regression" and y not in range(kinds):
            raise ValueError(f"y of point {k} must be 0 to {kinds - 1}; got {y:g}.")
        read.append([x1, x2, y])
    if not read:
        raise ValueError("points: give one point or more, or null for the data set's own.")
    return read


def _read_layers(given: Any) -> tuple[LayerSettings, ...]:
    layers = [{}] if given is None else _list("layers", given, MOST_LAYERS)
    faults = Faults()
    found = tuple(faults.read(_read_layer, k, layer) for k, layer in enumerate(layers, start=1))
    faults.report()
    return found


def _read_layer(number: int, given: Any) -> LayerSettings:
    given = _mapping(f"layer {number}", given)
    faults = Faults(f"layer {number}: ")
    g = faults.read(_read_hidden_activation, given.get("activation"))
    units = faults.read(whole, given, "units", 1, MOST_UNITS, 4)
    dropout = faults.read(real, given, "dropout", 0.0, 0.9, 0.0)
    faults.report()
    return LayerSettings(units, g, dropout)


def _read_hidden_activation(given: Any) -> str:
    g = activation(_text("activation", _or(given, "tanh")))
    if g.output_only:
        raise ValueError(f"{g.name} is for the output layer; take another.")
    return g.name


def _read_output(given: Any, suiting: str) -> str:
    given = _mapping("output", _or(given, {}))
    return _name_in(activation, "output activation", _or(given.get("activation"), suiting))


def _read_optimizer(given: Any) -> Optimizer:
    found = optimizer(_text("optimizer", _or(given, "adam")))
    if isinstance(found, LBFGS):
        raise ValueError("optimizer: lbfgs takes no single steps; choose another.")
    return found


def _read_parameters(given: Any) -> dict[str, list[list[float]]] | None:
    """Weights to start from, by name: rows of numbers; their shapes the network checks."""
    if given is None:
        return None
    read = {}
    for key, rows in _mapping("parameters", given).items():
        rows = _list(f"parameters.{key:.8}", rows, MOST_UNITS)
        read[key] = [_list(f"parameters.{key:.8}", row, MOST_UNITS) for row in rows]
        if not all(_moderate(value) for row in read[key] for value in row):
            raise ValueError(f"parameters.{key:.8} must hold rows of finite numbers.")
    return read


# Plain data ---------------------------------------------------------------------------------------


def whole(given: Mapping[str, Any], name: str, low: int, high: int, default: int | None) -> int:
    """Return a whole number within bounds; ``default`` None: it must be given.

    >>> whole({"units": 0}, "units", 1, 512, 4)
    Traceback (most recent call last):
    pellucid.errors.SettingsError: units must be a whole number from 1 to 512; got 0.
    """
    value = _or(given.get(name), default)
    if is_number(value) and value == int(value):  # JavaScript writes 3 as 3.0 too
        value = int(value)
    check({name: checks.whole(low, high)}, {name: value})
    return int(value)


def real(
    given: Mapping[str, Any], name: str, low: float, high: float, default: float | None
) -> float:
    """Return a finite number within bounds; ``default`` None: it must be given."""
    value = _or(given.get(name), default)
    check({name: checks.number(at_least=low, at_most=high)}, {name: value})
    return float(value)


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _moderate(value: Any) -> bool:
    """Whether a value is a number of a size that can be worked with."""
    return is_number(value) and abs(value) < 2**53


def _name_in(find: Callable[[str], Any], name: str, value: Any) -> str:
    """The name of what a catalogue finds under it."""
    return str(find(_text(name, value)).name)


def _name_or_none(find: Callable[[str], Any], name: str, given: Mapping[str, Any]) -> str | None:
    return None if given.get(name) is None else _name_in(find, name, given[name])


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > 60:
        raise ValueError(f"{name} must be a name; got {value!r:.40}.")
    return value


def _mapping(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} must be an object with named entries; got {value!r:.40}.")
    return value


def _list(name: str, value: Any, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        got = f"{len(value)}" if isinstance(value, list) else f"{value!r:.40}"
        raise ValueError(f"{name} must be a list of at most {most} entries; got {got}.")
    return value
