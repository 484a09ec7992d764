"""What is the user's own: examples and trained weights, held while this process lives.

Each is called by what is in it, so that a link or a script finds exactly these numbers or none.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid._shown import LONGEST, short
from pellucid.activations import activation
from pellucid.lab.datasets import DATASETS, LOCK, Dataset, Floats, Random, UserData
from pellucid.persistence.predictor import NetworkPredictor
from pellucid.tables.model import TableModel
from pellucid.tasks import task_of

MOST_EXAMPLES, MOST_NUMBERS, MOST_INPUTS = 20_000, 400_000, 512
MOST_KEPT = 16
"""Data sets, and models, that are held; the oldest go first."""


@dataclass
class Model:
    """A model as the lab shows it.

    Attributes
    ----------
    title : str
    predictor : TableModel or NetworkPredictor
        A TableModel without its networks.
    layers : list of dict
        The hidden layers, and ``output`` the last one's activation, as the lab's settings.
    parameters : dict of array
    training : dict
        What it was trained with, as the lab's settings, as far as the lab has them.
    features : list of str
        What a network's inputs are called, where that is known.
    data : dict or None
        The examples that it was saved with, as the lab's settings.
    notes : list of str
        What differs in the lab.
    """

    title: str
    predictor: TableModel | NetworkPredictor
    layers: list[dict[str, Any]]
    output: str
    parameters: dict[str, NDArray[np.float32]]
    training: dict[str, Any] = field(default_factory=dict)
    features: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    data: dict[str, Any] | None = None

    @property
    def n(self) -> tuple[int, int]:
        """n[0] and n[L]."""
        return self.parameters["W1"].shape[1], self.parameters[f"b{len(self.layers) + 1}"].shape[0]

    @property
    def task(self) -> str:
        """The task of the lab that has this output."""
        if isinstance(self.predictor, TableModel):
            return self.predictor.task
        task = task_of(activation(self.output), self.n[1])
        return "regression" if task.several else task.name  # for each label a number from 0 to 1


@dataclass(frozen=True)
class Weights:
    """Trained parameters by name, the model they are of, a note on it, :attr:`UserData.recall`."""

    parameters: Mapping[str, NDArray[np.float32]]
    model: Model | None = None
    note: str = ""
    recall: str = ""


WEIGHTS: dict[str, Weights] = {}
"""The models opened, by the name of their weights."""


def add_data(head: Mapping[str, Any], held: UserData) -> Dataset:
    """Put data into :data:`~pellucid.lab.datasets.DATASETS`; ``head`` is title, inputs, ... of it.

    >>> found = add_data(
    ...     {"title": "mine", "inputs": ("x",), "outputs": ("y",), "task": "regression"},
    ...     UserData(np.zeros((1, 3), "f4"), np.ones(3, "f4")),
    ... )
    >>> found.name[:4], found.make(2, 0.0, seed=0)[1]
    ('own-', array([[1., 1.]]))
    >>> del DATASETS[found.name]
    """
    head = {key: _on_the_page(value) for key, value in head.items()}
    described = json.dumps([head[key] for key in ("inputs", "outputs", "task")]).encode()
    name = f"own-{_digest(described, held.X, held.Y)}"
    m = held.X.shape[1]

    def draw(random: Random, wanted: int, noise: float) -> tuple[Floats, Floats]:
        """All rows as they come, or some by chance."""
        rows = np.arange(m) if wanted >= m else np.sort(random.permutation(m)[:wanted])
        return held.X[:, rows].astype(np.float64), held.Y[..., rows].astype(np.float64)

    made = Dataset(name, draw=draw, m=m, most=m, noise=False, user_data=held, **head)
    with LOCK:
        DATASETS.pop(name, None)
        for oldest in [key for key, entry in DATASETS.items() if entry.user_data][: 1 - MOST_KEPT]:
            DATASETS.pop(oldest)
        DATASETS[name] = made
    return made


def _on_the_page(value: Any) -> Any:
    """What is called in the user's own words, as it can be shown; other values as they are."""
    if isinstance(value, tuple):
        return tuple(map(_on_the_page, value))
    return short(value, LONGEST) if isinstance(value, str) else value


def most_rows(n_inputs: int) -> int:
    """Return how many rows of so many inputs are held."""
    return min(MOST_EXAMPLES, MOST_NUMBERS // n_inputs)


def rows_held(m: int, n_inputs: int, kind: str = "rows") -> tuple[Any, str]:
    """Return which of m rows are held, and what to say where that is not all of them."""
    most = most_rows(n_inputs)
    if m <= most:
        return slice(None), ""
    rows = np.random.Generator(np.random.Philox(0)).permutation(m)[:most]
    return np.sort(rows), f" Of {m:,} {kind} {most:,} are here, drawn at random."


def add_weights(held: Weights) -> str:
    """Put trained parameters into :data:`WEIGHTS`; return their name."""
    described = json.dumps(list(held.parameters)).encode()
    name = f"own-{_digest(described, *held.parameters.values())}"
    with LOCK:
        WEIGHTS.pop(name, None)
        for oldest in list(WEIGHTS)[: 1 - MOST_KEPT]:
            WEIGHTS.pop(oldest)
        WEIGHTS[name] = held
    return name


def weights(name: str) -> Weights:
    """Return the weights of this name.

    >>> weights("own-0")
    Traceback (most recent call last):
    ValueError: this experiment starts from the weights of a model that this lab does not hold (or
    the model has changed since). Open the same model here again.
    """
    with LOCK:
        found = WEIGHTS.get(name)
    if found is None:
        raise ValueError(
            "this experiment starts from the weights of a model that this lab does not hold (or "
            "the model has changed since). Open the same model here again."
        )
    return found


def _digest(described: bytes, *arrays: NDArray[Any]) -> str:
    found = hashlib.sha256(described)
    for array in arrays:
        found.update(str(array.shape).encode() + array.tobytes())
    return found.hexdigest()[:16]


# In a script --------------------------------------------------------------------------------------


def recalled(dataset: Dataset, held: Weights | None) -> str:
    """Return Python that puts the data and the weights of an experiment here again, or "".

    What came from a file is read from it once more; the numbers of all else are written out.
    """
    parts = []
    if held is not None:
        parts.append(held.recall or _written("add_weights", {}, held.parameters))
    if dataset.user_data is not None:
        head = {key: getattr(dataset, key) for key in ("title", "inputs", "outputs", "task")}
        arrays = {"X": dataset.user_data.X, "Y": dataset.user_data.Y}
        parts.append(dataset.user_data.recall or _written("add_data", head, arrays))
    return "\n".join(dict.fromkeys(parts))


def restore(what: str, head: dict[str, Any], text: str) -> None:
    """Put here what a script holds as text: npz in base64."""
    with np.load(io.BytesIO(base64.b64decode(text))) as file:
        arrays = {key: file[key] for key in file.files}
    if what == "add_weights":
        add_weights(Weights(arrays))
    else:
        head |= {key: tuple(head[key]) for key in ("inputs", "outputs")}
        add_data(head, UserData(arrays["X"], arrays["Y"]))


def _written(what: str, head: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **arrays)
    text = base64.encodebytes(packed.getvalue()).decode()
    start = "from pellucid.lab.session import user_data\n\n"
    return f'{start}user_data.restore(\n    {what!r},\n    {head!r},\n    """\n{text}""",\n)\n'
