"""The contract between training and whoever computes it.

An :class:`Engine` starts a :class:`Session` for a :class:`Job`, and gives networks their
:class:`Predictor`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pellucid.layers import Layer
from pellucid.losses import Loss, check_weights
from pellucid.optimizers import Optimizer
from pellucid.propagation import Gradients

Data = Any
"""X as (n[0], m): a NumPy array of any memory order, or a scipy sparse matrix."""


@dataclass(frozen=True)
class Objective:
    """What is minimised: J = weighted mean of the loss + l2/2 sum W^2 + l1 sum |W|.

    Attributes
    ----------
    loss : Loss
    l1, l2 : float
        The penalties.
    label_smoothing : float
        The share of a label that is spread over all classes.
    penalty_per_weight : bool
        Divide l1 and l2 by the total weight of the mini-batch, as scikit-learn does with alpha.
    clip_value, clip_norm : float or None
        Bounds on each entry of the gradient, or on its norm over all parameters (Pascanu et al.
        2013).
    """

    loss: Loss
    l1: float = 0.0
    l2: float = 0.0
    label_smoothing: float = 0.0
    penalty_per_weight: bool = False
    clip_value: float | None = None
    clip_norm: float | None = None

    def penalties(self, weight: float) -> dict[str, float]:
        """Return l1 and l2 for a mini-batch of this total weight."""
        divisor = weight if self.penalty_per_weight else 1.0
        return {"l1": self.l1 / divisor, "l2": self.l2 / divisor}


@dataclass
class State:
    """What an optimizer remembers between steps, in the lectures' layout.

    ``step`` counts the steps done; ``slots`` holds arrays by name, such as ``v_W1`` beside W1.
    """

    step: int = 0
    slots: dict[str, NDArray[Any]] = field(default_factory=dict)


@dataclass
class Examples:
    """Examples as an engine takes them: X (n[0], M), Y (n[L], M) or class numbers, weights.

    Class numbers are (M,), or (steps, M) where each step has outputs. ``lengths``, (M,), tell how
    many steps of each sequence are there; in X the others are 0.

    Where ``rows`` is not None, they are these m of the M columns, in this order: training and
    validation examples may lie in the same X, and neither part is copied. An order, or ``rows`` of
    a session, counts these m examples; :meth:`columns` says which columns of X they are.

    >>> X, Y = np.array([[1.0, 2.0, 3.0]]), np.array([0, 1, 2])
    >>> Examples(X, Y, rows=np.array([2, 0])).targets
    array([2, 0])
    """

    X: Data
    Y: NDArray[Any]
    weight: NDArray[Any] | None = None
    rows: NDArray[np.integer[Any]] | None = None
    class_weight: list[float] | None = field(default=None, compare=False)
    """The factor of each class, where that is all that weighs the examples."""
    lengths: NDArray[np.int64] | None = None

    @property
    def m(self) -> int:
        """The number of examples."""
        return int(self.X.shape[1]) if self.rows is None else len(self.rows)

    @property
    def targets(self) -> NDArray[Any]:
        """Y of these examples alone."""
        return self.Y if self.rows is None else self.Y[..., self.rows]

    @property
    def weights(self) -> NDArray[Any] | None:
        """The weights of these examples alone."""
        return self.weight if self.rows is None or self.weight is None else self.weight[self.rows]

    def columns(
        self, order: NDArray[np.integer[Any]] | None, part: slice = slice(None)
    ) -> NDArray[np.integer[Any]] | None:
        """Return which columns of X a part of an order of these examples stands for.

        None for the columns ``part`` themselves: there is no order, and these are all of X.

        >>> examples = Examples(np.zeros((1, 9)), np.zeros(9), rows=np.array([7, 5, 3]))
        >>> examples.columns(np.array([2, 1, 0]), slice(0, 2))
        array([3, 5])
        """
        if order is None:
            return None if self.rows is None else self.rows[part]
        return order[part] if self.rows is None else self.rows[order[part]]

    def weight_of(self, order: NDArray[np.integer[Any]] | None = None) -> float:
        """Return the total weight of an order of these examples, None: of all."""
        columns = self.columns(order)
        if self.weight is None:
            return float(self.X.shape[1] if columns is None else len(columns))
        w = self.weight if columns is None else self.weight[columns]
        return float(np.sum(w, dtype=np.float64))

    def parts(self, *rows: NDArray[np.integer[Any]], dtype: np.dtype[Any]) -> list[Examples]:
        """Return the training part and the validation part of these examples."""
        parts = [replace(self, rows=each, class_weight=None) for each in rows]
        for part, name in zip(parts, ("training", "validation"), strict=True):
            check_weights(part.weights, part.m, dtype, f"sample_weight of the {name} part")
        return parts

    def multiply_weights(self, factors: NDArray[Any], dtype: np.dtype[Any]) -> None:
        """Multiply each example's weight by the factor of its class."""
        w = self.weights
        if w is None and (self.Y.ndim == 1 or len(self.Y) == 1):
            classes, first = np.unique(self.targets, return_index=True)
            if np.array_equal(classes, np.arange(len(classes))):
                self.class_weight = factors[first].astype(float).tolist()
        product = factors if w is None else w.astype(np.float64) * factors
        w = check_weights(product, self.m, dtype, "sample_weight times class_weight")
        if self.rows is None or w is None:
            self.weight = w
        else:
            self.weight = np.zeros(self.X.shape[1], dtype)
            self.weight[self.rows] = w


class HasLayers(Protocol):
    """What an engine needs of a network."""

    layers: list[Layer]
    dtype: np.dtype[Any]
    seed: int

    @property
    def leaves(self) -> list[Layer]:
        """The layers; where one holds others, these in its place."""
        ...


def never() -> bool:
    """Never interrupts."""
    return False


@dataclass(frozen=True)
class Job:
    """What a session is for.

    Attributes
    ----------
    network : Network
        Its parameters are what is learned.
    objective : Objective
    optimizer : Optimizer
    batch_size : int
        Examples a step.
    seed : int
        Key of the dropout draws.
    state : State or None
        What the optimizer remembers from steps before.
    n_threads : int or None
        None: what the engine finds.
    interrupted : callable
        Asked between steps, some fifty times a second, whether the user wants an end.
    """

    network: HasLayers
    objective: Objective
    optimizer: Optimizer
    batch_size: int = 1
    seed: int = 0
    state: State | None = None
    n_threads: int | None = None
    interrupted: Callable[[], bool] = never


@dataclass(kw_only=True)
class FlatGradients(Gradients):
    """dJ/dW[l] and dJ/db[l] for l = 1 ... L, one after the other in one array.

    Attributes
    ----------
    flat : array
        dW[1], db[1], dW[2], ..., each column by column; ``dW[l]``, ``db[l]`` and ``ds[l]`` are
        views into it.
    J : float
        The cost whose gradients they are.
    weight : float
        The total weight of the examples, their number where they have none. Where it is 0, so is
        all else.
    """

    flat: NDArray[Any]
    J: float
    weight: float

    @classmethod
    def zeros(cls, layers: list[Layer], dtype: np.dtype[Any], weight: float) -> FlatGradients:
        """Return gradients of 0, to be filled in."""
        flat = np.zeros(_size(layers), dtype)
        by_layer = parameter_views(layers, flat, dtype)
        return cls(layers=layers, by_layer=by_layer, dA={}, flat=flat, J=0.0, weight=weight)


def _size(layers: list[Layer]) -> int:
    return sum(W.size for layer in layers for W in layer.parameters.values())


def parameter_views(
    layers: list[Layer], flat: NDArray[Any], dtype: np.dtype[Any]
) -> list[dict[str, NDArray[Any]]]:
    """Return dW, db, ... of each layer as views into the array of them all; refuse any other."""
    n = _size(layers)
    got = (np.shape(flat), getattr(flat, "dtype", None))
    if got != ((n,), dtype) or not flat.flags.c_contiguous:
        raise ValueError(
            f"flat gradients must be a contiguous {dtype} array of shape ({n},), as "
            f"session.gradients(...).flat is; got {got[1]} {got[0]}."
        )
    views: list[dict[str, NDArray[Any]]] = []
    start = 0
    for layer in layers:
        views.append({})
        for letter, W in layer.parameters.items():
            part = flat[start : start + W.size]
            views[-1][f"d{letter}"] = part.reshape(W.shape, order="F")
            start += W.size
    return views


class Session(Protocol):
    """One training under way; until ``close`` it alone may change the network's parameters.

    Whoever does so all the same, between :meth:`write_back` and the next steps, calls
    :meth:`read_back`.

    The arrays of examples are taken as unchanged as long: an engine may keep what it made of an X
    that comes again. Another X is another object, or :meth:`run` comes after :meth:`read_back`.

    A step is :meth:`run`, or :meth:`gradients` and :meth:`apply`, with whatever is done to the
    gradients in between: several machines add up those of their parts of a mini-batch. Where its
    weights sum to 0 there are no gradients, and the step is :meth:`skip`. A network with a layer
    that mixes the examples of a mini-batch, as a BatchNorm does, learns by :meth:`run` alone.
    """

    def run(
        self,
        examples: Examples,
        order: NDArray[np.integer[Any]] | None,
        first: int,
        last: int,
        *,
        learning_rate: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Do steps first ... last - 1 of an epoch and return each one's J, before its update.

        Step k takes the examples with the numbers ``order[k B : (k + 1) B]`` (k B ... themselves
        where order is None): 0 is the first of ``examples``, whatever column of X that is. An order
        may leave examples out. ``learning_rate`` has one entry a step. A step whose weights sum to
        0 is skipped and counted, its J is NaN. After a J that is not finite the run ends, without
        that step's update; the last entry is then inf. It also ends when the user interrupts.

        Steps may be those of several epochs, counted through: ``order`` then has a row for each.
        Where one of them ends before the last step, the parameters are written back, or the run
        ends where they are not finite.
        """
        ...

    def gradients(
        self,
        examples: Examples,
        rows: NDArray[np.integer[Any]] | None = None,
        position: int | None = 0,
        *,
        whole_weight: float | None = None,
    ) -> FlatGradients:
        """Return J and its gradients, penalties included, and change nothing.

        Over the examples with the numbers ``rows``, counted as in ``run``, in that order; None:
        over all. They stand from ``position`` on in the mini-batch of the coming step, by which
        units are dropped; None drops none. So the gradients of a mini-batch are those of its parts,
        each times its share of the total weight. ``whole_weight`` is that total, which divides l1
        and l2 where the objective has ``penalty_per_weight``; None: these are the whole.
        """
        ...

    def apply(self, flat: NDArray[Any], learning_rate: float) -> None:
        """Do one step of the optimizer from such gradients: clip them, then change W and b."""
        ...

    def skip(self) -> None:
        """Count a step and change nothing, as ``run`` does where the weights sum to 0."""
        ...

    def evaluate(
        self, examples: Examples, rows: NDArray[np.integer[Any]] | None = None
    ) -> tuple[float, NDArray[Any]]:
        """Return the mean loss, without penalties or dropout, and A[L]; ``rows`` as above."""
        ...

    def finite(self) -> bool:
        """Whether all parameters are finite numbers."""
        ...

    def write_back(self) -> None:
        """Write the parameters back to the network."""
        ...

    def roll_back(self) -> None:
        """Put the parameters back to where the last write_back left them, or the start."""
        ...

    def read_back(self) -> None:
        """Go on from the network's arrays: since write_back other code may have changed them."""
        ...

    def state(self) -> State:
        """Return the optimizer's state: a copy."""
        ...

    def close(self) -> None:
        """Write the parameters back and end; the session is of no use afterwards."""
        ...


class Predictor(Protocol):
    """A[L] of a network from its present arrays."""

    def __call__(self, X: Data, lengths: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """Return A[L], (n[L], m), of X, (n[0], m), whose numbers the network's dtype can hold.

        ``lengths``, (m,), tell how many steps of each sequence are there.
        """
        ...

    def holds(self) -> bool:
        """Whether it still predicts from the network's arrays: others may have been put there."""
        ...


class Engine(Protocol):
    """Starts sessions and makes predictors."""

    name: str

    def refuses(self, job: Job) -> str:
        """Return why this engine cannot do the job, or ""."""
        ...

    def start(self, job: Job) -> Session:
        """Open a session."""
        ...

    def predictor(self, network: HasLayers) -> Predictor | None:
        """Return what predicts with the network's present arrays; None where it cannot."""
        ...


def refuse_mixing(layers: list[Layer]) -> None:
    """Refuse layers that learn statistics of a mini-batch, for steps from gradients alone."""
    for layer in layers:
        if layer.mixes_examples:
            raise ValueError(
                f"{layer.where()} learns statistics of each mini-batch, which gradients alone "
                "do not carry: do its steps with run."
            )


def slot_name(slot: str, letter: str, layer: Layer) -> str:
    """Return the name of an optimizer's array: v of W[1] is ``v_W1``."""
    return f"{slot}_{letter}{layer.number}"


def check_parameters(layers: list[Layer], dtype: np.dtype[Any], *, writing: bool) -> None:
    """Refuse arrays put into the layers from outside that an engine cannot work on.

    They must be of the network's dtype and of the layers' shapes; a session writes into them too.
    """
    for layer in layers:
        shapes, n = layer.parameter_shapes(layer.input_shape), layer.input_shape
        for letter, shape in [*shapes.items(), *layer.statistic_shapes(n).items()]:
            array = (layer.parameters if letter in shapes else layer.statistics)[letter]
            fits = type(array) is np.ndarray or isinstance(array, np.memmap)
            fits = fits and (array.dtype, array.shape) == (dtype, shape) and array.flags.aligned
            if fits and (array.flags.writeable or not writing):
                continue
            name = f"{letter}[{layer.number}]"
            if fits:
                raise ValueError(f"{name} is read-only; training writes into it. Put a copy there.")
            got = f"{getattr(array, 'dtype', type(array).__name__)} {np.shape(array)}"
            raise ValueError(
                f"{name} must be an array of {dtype}, {shape}; got {got}. Assign to "
                f"net.{name}, which converts."
            )


def check_state(layers: list[Layer], optimizer: Optimizer, slots: Mapping[str, Any]) -> None:
    """Refuse optimizer arrays that do not belong to these layers."""
    expected = {
        slot_name(slot, letter, layer): W.shape
        for layer in layers
        for letter, W in layer.parameters.items()
        for slot in optimizer.slots
    }
    found = {name: array.shape for name, array in slots.items()}
    if found != expected:
        wrong = sorted(name for name in expected | found if expected.get(name) != found.get(name))
        raise ValueError(
            f"the optimizer state does not belong to this network and {optimizer.name}: "
            f"{wrong[0]} should be {expected.get(wrong[0], 'absent')}, "
            f"is {found.get(wrong[0], 'absent')}."
        )
