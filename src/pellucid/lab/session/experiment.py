"""Experiment: a network, its examples and a training that can be stepped, recorded and replayed.

Training is that of :func:`pellucid.train`: the same engines, the same order of the examples, so
the same bits. Only one thread may touch an experiment at a time.

>>> from pellucid.lab.session.settings import Settings
>>> first = Experiment(Settings.read({"data": {"name": "xor"}, "learning_rate": 0.1}))
>>> first.steps(150)
150
>>> first.network.predict(first.X)
array([[0, 1, 1, 0]])
>>> again = Experiment(first.settings)
>>> again.replay(first.actions)
>>> again.digest() == first.digest()
True
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.engines import Examples, Job, Objective, Session, choose_engine, permutation
from pellucid.insight.diagnosis.evidence import Evidence
from pellucid.insight.trace import Trace, trace
from pellucid.lab.datasets import dataset
from pellucid.lab.session.recording import Costs, Path
from pellucid.lab.session.settings import Settings
from pellucid.lab.session.user_data import weights
from pellucid.layers import Dense
from pellucid.losses import loss
from pellucid.metrics import METRICS
from pellucid.network import Network
from pellucid.optimizers import optimizer
from pellucid.propagation import penalty
from pellucid.training import examples
from pellucid.training.arguments import misfit, rows_of_parts
from pellucid.training.measure import probe, sample, score, start_of

Action = list[Any]
"""What was done: ["steps", 12], ["example", 1], ["update", [0]], ["set_cell", "W", 1, 0, 0, 2]."""

MOST_PARAMETERS = 300_000

CURVES = ("epoch", "loss", "val_loss", "accuracy", "val_accuracy")


class Experiment:
    """One network on one set of examples, and what was done to it since it was made.

    Attributes
    ----------
    settings : Settings
    dataset : Dataset
    weights : Weights or None
        Those of the model that was opened.
    X, Y : array
        (n[0], m) and (n[L], m), float32.
    training, validation : array of int
        Which examples are learned from, and which are held out (there may be none).
    step, epoch, position : int
        Steps and whole epochs done, and examples of the present epoch seen.
    curves : dict
        ``"epoch"`` and, at those epochs, the loss and the accuracy of both parts.
    actions : list
        Everything that was done, for :meth:`replay`.
    statistics : list of dict
        What :meth:`sample` said before the first step and after the epochs 1, 2, 4, 8, ...
    diverged : str
        Why no more steps are possible, or "".
    known : Evidence or None
        What a diagnosis has gathered of the examples alone.
    path : Path
        Where the parameters were since the first step, or since a cell was typed over.
    costs : Costs
        The last costs of one example, of a mini-batch and of all training examples.
    twin : Experiment or None
        The healthy one beside a broken one; it is given the same steps.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.fault = settings, settings.broken
        self.dataset = dataset(settings.data.name)
        self.weights = weights(settings.model) if settings.model else None
        X, Y = settings.data.make()
        self.X, self.Y = (np.asfortranarray(each, dtype=np.float32) for each in (X, Y))
        self._data = Examples(self.X, self.Y)
        self.training, self.validation = self._parts()
        self.loss = loss(settings.loss)
        self._net = self._make_network()
        self.note = misfit(self._net, self.loss)
        examples(self._net, self.X, self.Y, self.loss)  # targets that cannot be are refused
        self.known: Evidence | None = None
        self.twin: Experiment | None = None
        if settings.fault:
            self.twin = Experiment(Settings.read(settings.to_dict() | {"fault": None}))
        self._start = self._net.copy_parameters()
        self._first = start_of(self._net)
        self._begin()

    # Making ---------------------------------------------------------------------------------------

    def _parts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        m, split = self.m, self.settings.data.split
        if not 0 < round(split * m) < m:
            return np.arange(m), np.arange(0)
        return rows_of_parts(m, split, None, self.settings.data.seed)

    def _make_network(self) -> Network:
        s, broken = self.settings, self.fault
        kind: type[Dense] = broken.layer if broken else Dense
        layers = [kind(k.units, k.activation, dropout=k.dropout) for k in s.layers]
        layers.append(kind(len(self.Y), s.output))
        start = broken.initializer if broken and broken.initializer else s.initializer
        made = Network(layers, len(self.X), start, seed=s.seed)
        if made.n_parameters > MOST_PARAMETERS:
            raise ValueError(
                f"a network of {made.n_parameters:,} parameters is too large to show; the "
                f"lab takes up to {MOST_PARAMETERS:,}. Take fewer units."
            )
        if broken and broken.initializer:
            return made
        given: Mapping[str, Any] = self.weights.parameters if self.weights else {}
        for key, values in {**given, **(s.parameters or {})}.items():
            if key not in made.parameters or np.shape(values) != made.parameters[key].shape:
                shapes = {name: array.shape for name, array in made.parameters.items()}
                raise ValueError(f"parameters.{key:.8} does not fit this network: {shapes}.")
            made.parameters[key][...] = values
        return made

    def _begin(self) -> None:
        """Everything as before the first step."""
        self.step = self.epoch = self.position = 0
        self.J_batch, self.diverged = math.nan, ""
        self.actions: list[Action] = []
        self.statistics: list[dict[str, Any]] = []
        self.curves: dict[str, list[float]] = {name: [] for name in CURVES}
        self.path = Path(self._net.n_parameters)
        self.costs = Costs(len(self.training), self.batch_size)
        self._order: NDArray[np.integer[Any]] = np.arange(0)
        self._drawn = -1  # the epoch whose order that is
        self._session = self._open_session()
        self._record()
        self.statistics.append(self.sample())

    def _open_session(self) -> Session:
        s = self.settings
        objective = Objective(self.loss, s.l1, s.l2)
        job = Job(self._net, objective, optimizer(s.optimizer), self.batch_size, s.seed)
        engine, self.engine_note = choose_engine("auto", job)
        self.engine = engine.name
        return engine.start(job)

    @property
    def network(self) -> Network:
        """The network, with what was learned so far in its arrays."""
        self._session.write_back()
        return self._net

    @property
    def m(self) -> int:
        """The number of examples, those held out included."""
        return int(self.X.shape[1])

    @property
    def batch_size(self) -> int:
        """Examples a step."""
        return min(self.settings.batch_size, len(self.training))

    @property
    def learning_rate(self) -> float:
        """alpha, the fault's factor included."""
        return self.settings.learning_rate * (self.fault.rate if self.fault else 1.0)

    @property
    def mark(self) -> tuple[int, int]:
        """Something else after every change of the parameters."""
        return self.step, len(self.actions)

    @property
    def stuck(self) -> bool:
        """Whether no step is possible any more, here and in the twin."""
        return bool(self.diverged) and (self.twin is None or bool(self.twin.diverged))

    # Doing ----------------------------------------------------------------------------------------

    def steps(self, count: int, *, closely: bool = False) -> int:
        """Do so many mini-batches and return how many were done: fewer where it diverges.

        ``closely`` takes the three costs at each of them, for whoever goes step by step.
        """
        done = self._steps(count, closely)
        self._note("steps", done)
        twin_done = self.twin.steps(count) if self.twin else 0
        return max(done, twin_done)

    def example(self) -> int:
        """Do one step on the next example alone."""
        self._look(closely=True)
        done = self._run(1, alone=True)
        self._note("example", done)
        return max(done, self.twin.example() if self.twin else 0)

    def left_in_epoch(self) -> int:
        """Return how many mini-batches the present epoch still has."""
        return -(-(len(self.training) - self.position) // self.batch_size)

    def set_cell(self, letter: str, layer: int, row: int, column: int, value: float) -> None:
        """Type one cell of W[l] or b[l] over."""
        self.array_with(letter, layer, row, column)[row, column] = value
        self._session.read_back()
        self.path.restart()
        if self.curves["epoch"][-1] == self.epoch and self.position == 0:
            for values in self.curves.values():
                values.pop()
            self._record()
        self.actions.append(["set_cell", letter, layer, row, column, float(value)])
        if self.twin:
            self.twin.set_cell(letter, layer, row, column, value)

    def update(self, chosen: list[int]) -> None:
        """Do one step of plain gradient descent on these examples, as a trace shows it."""
        self._look(closely=True)
        found = self.trace(chosen)
        for l in found.gradients.dW:
            self.network.W[l] -= np.float32(self.learning_rate) * found.gradients.dW[l]
            self.network.b[l] -= np.float32(self.learning_rate) * found.gradients.db[l]
        self._session.read_back()
        self.step += 1
        self.actions.append(["update", list(chosen)])
        if self.twin:
            self.twin.update(chosen)

    def reset(self) -> None:
        """Go back to the initial weights; what was done is forgotten."""
        self._session.close()
        self._net.put_parameters(self._start)
        if self.twin:
            self.twin.reset()
        self._begin()

    def replay(self, actions: Iterable[Action]) -> None:
        """Repeat everything that was recorded."""
        for name, *arguments in actions:
            if name == "example":
                for _ in range(arguments[0]):
                    self.example()
            else:
                getattr(self, name)(*arguments)

    def close(self) -> None:
        """End the session; the network keeps what was learned."""
        self._session.close()
        if self.twin:
            self.twin.close()

    def _steps(self, count: int, closely: bool) -> int:
        done = 0
        while done < count and not self.diverged:
            free = self._look(closely)
            done += self._run(min(count - done, self.left_in_epoch(), free))
        return done

    def _look(self, closely: bool) -> int:
        """Record what is due before the next step, and return after how many steps more is due."""
        if self.path.wait(self.step) == 0:
            self.path.add(self.step, self.network.parameters)
        if self.costs.wait(self.step, closely) == 0:
            batch = self._next_examples(self.batch_size)
            means = (self._mean(rows) for rows in (batch[:1], batch, self.training))
            self.costs.add(self.step, *means)
        after = self.step + 1
        return 1 + min(self.path.wait(after), self.costs.wait(after, closely))

    def _next_examples(self, count: int) -> NDArray[np.integer[Any]]:
        """The examples that come next in this epoch."""
        if self._drawn != self.epoch:
            order = permutation(self.settings.seed, len(self.training), step=self.epoch)
            self._order, self._drawn = self.training[order], self.epoch
        return self._order[self.position : self.position + count]

    def _run(self, count: int, alone: bool = False) -> int:
        """Do steps of the present epoch: mini-batches, or one example alone."""
        if self.diverged:
            return 0
        order = self._next_examples(count * (1 if alone else self.batch_size))
        rates = np.full(count, self.learning_rate)
        costs = self._session.run(self._data, order, 0, count, learning_rate=rates)
        self.J_batch = float(costs[-1])
        if not math.isfinite(self.J_batch):
            self.diverged = (
                f"diverged at step {self.step + len(costs)}: J is no longer finite. Lower the "
                f"learning rate (it is {self.learning_rate:g}), or reset."
            )
            return len(costs) - 1
        self.step += count
        self.position += len(order)
        if self.position >= len(self.training):
            self.position, self.epoch = 0, self.epoch + 1
            if self.epoch % stride(self.epoch) == 0:
                self._record()
            if self.epoch.bit_count() == 1:
                self.statistics.append(self.sample())
        return count

    def _note(self, name: str, count: int) -> None:
        """Record an action; the same once more only adds to its count."""
        if self.actions and self.actions[-1][0] == name:
            self.actions[-1][1] += count
        elif count:
            self.actions.append([name, count])

    # Seeing ---------------------------------------------------------------------------------------

    def cost(self) -> float:
        """Return J of all training examples, penalties included."""
        return self._mean(self.training)

    def accuracy(self) -> float:
        """Return the accuracy on all training examples; NaN for a regression."""
        _, A = self._session.evaluate(self._data, self.training)
        return self._accuracy(self.training, A)

    def outputs(self) -> NDArray[Any]:
        """Return A[L] of all examples."""
        return self.network.forward(self.X)

    def trace(self, chosen: list[int]) -> Trace:
        """Return one forward and backward pass of these examples with every number."""
        s = self.settings
        return trace(
            self.network, self.X[:, chosen], self.Y[:, chosen], self.loss, l1=s.l1, l2=s.l2
        )

    def sample(self) -> dict[str, Any]:
        """Return the statistics of a few training examples, as a diagnosis reads them."""
        found = sample(self.network, self._few, self.loss, self._first)
        if len(self.validation):
            _, A = self._session.evaluate(self._data, self.validation)
            found["val_score"] = score(self.Y[:, self.validation], A)
        return {"epoch": self.epoch, "step": self.step, **found}

    @cached_property
    def _few(self) -> tuple[NDArray[Any], NDArray[Any]]:
        return probe(self.X[:, self.training], self.Y[:, self.training])

    def digest(self) -> str:
        """Return the sha256 of all parameters."""
        found = hashlib.sha256()
        for array in self.network.parameters.values():
            found.update(array.tobytes("C"))
        return found.hexdigest()

    def array_with(self, letter: str, layer: int, row: int, column: int) -> NDArray[Any]:
        """Return W[l] or b[l] if it has this cell; ValueError says what there is instead."""
        if letter not in ("W", "b") or layer not in self.network.W:
            raise ValueError(
                f"there is no {letter}[{layer}]; the network has W and b of the layers 1 to "
                f"{self.network.L}."
            )
        array = (self.network.W if letter == "W" else self.network.b)[layer]
        rows, columns = array.shape
        if not (0 <= row < rows and 0 <= column < columns):
            raise ValueError(
                f"{letter}[{layer}] has the shape {array.shape}: row must be 0 to {rows - 1} and "
                f"column 0 to {columns - 1}; got [{row}, {column}]."
            )
        return array

    def _mean(self, rows: NDArray[np.integer[Any]]) -> float:
        """J over these examples, without dropout."""
        mean, _ = self._session.evaluate(self._data, rows)
        l1, l2 = self.settings.l1, self.settings.l2
        return mean + (penalty(self.network.layers, l1, l2) if l1 or l2 else 0.0)

    def _accuracy(self, rows: NDArray[np.integer[Any]], A: NDArray[Any]) -> float:
        if self.dataset.task == "regression":
            return math.nan
        return METRICS["accuracy"](self.Y[:, rows], A)

    def _record(self) -> None:
        """Add a point to each curve."""
        point = {"epoch": float(self.epoch)}
        for prefix, rows in (("", self.training), ("val_", self.validation)):
            mean, accuracy = math.nan, math.nan
            if len(rows):
                mean, A = self._session.evaluate(self._data, rows)
                accuracy = self._accuracy(rows, A)
            point |= {f"{prefix}loss": mean, f"{prefix}accuracy": accuracy}
        for name in CURVES:
            self.curves[name].append(point[name])


def stride(epoch: int) -> int:
    """Return which multiples are recorded: each to the 200th, then ever fewer, evenly spaced.

    >>> [stride(epoch) for epoch in (1, 199, 200, 399, 400)]
    [1, 1, 2, 2, 4]
    >>> sum(epoch % stride(epoch) == 0 for epoch in range(1, 10_001))
    756
    """
    return 1 << max(0, (epoch // 100).bit_length() - 1)
