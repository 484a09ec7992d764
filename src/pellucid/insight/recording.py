"""record_training: the history of a training loop that was written by hand."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import propagation
from pellucid.history import History
from pellucid.layers import Layer
from pellucid.losses import Loss, is_custom
from pellucid.losses import loss as find_loss
from pellucid.network import Network
from pellucid.training import Examples, examples
from pellucid.training.kept import BYTES, Kept, part, room

ALONG = 0.9
"""From this cosine of W's change with dW, or with -dW, on, a step goes along it."""
BACK = 2.0
"""Nearer to the start than this many first steps, the weights have gone back to it."""
FAR = 10.0
"""And nearer than this, where the way from the start goes along -dW of the start."""
SAME = 0.5
"""Below this cosine of W with W one step ago, W is another draw, not what a step made of it."""


def record_training(
    network: Network, loss: str | Loss = "binary_cross_entropy", *, maximise: bool = False
) -> Recording:
    """Record a loop of your own, step by step, for :func:`pellucid.diagnose`.

    Call ``r.step(X, Y)`` after each update, with the examples of that update. It works out J and dW
    at the parameters before it, with one forward and one backward pass more, and compares how W
    moved: alpha = -(sum of dW Delta W) / (sum of dW^2), which for gradient descent is exact.

    An epoch is over where ``r.end_epoch()`` is called. In a loop without it, a step begins a new
    epoch where most of its examples have been seen in this one: with the full batch every step is
    an epoch, with mini-batches each pass over the data is. Call it where rows occur several times
    or are drawn with replacement.

    Parameters
    ----------
    network : Network
        What the loop trains; it is read, never changed.
    loss : str or Loss
        What the loop minimises.
    maximise : bool
        Whether ``loss`` is a likelihood, of which lecture 001 goes upwards: W := W + alpha dJ/dW.
        J is then minus its value. A loop that maximises the likelihood of labels by hand has
        ``loss="bce"`` for its cost and needs no ``maximise``.

    Returns
    -------
    Recording
        To be used with ``with``; its ``history`` is filled where the block ends.

    Raises
    ------
    TypeError, ValueError
        For what is no network or no loss; in ``step`` for X and Y of other shapes, and outside of
        the ``with`` block.

    Examples
    --------
    A step along dW instead of against it:

    >>> import numpy as np
    >>> from pellucid import Dense, Network, diagnose
    >>> X, Y = np.array([[0, 0, 1, 1], [0, 1, 0, 1]]), np.array([0, 1, 1, 0])
    >>> net = Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_inputs=2, seed=0)
    >>> with record_training(net, loss="bce") as r:
    ...     for epoch in range(50):
    ...         cache = net.forward(X, cache=True)
    ...         g = net.backward(cache, Y, "bce")
    ...         for l in net.W:
    ...             net.W[l] += 0.1 * g.dW[l]
    ...             net.b[l] += 0.1 * g.db[l]
    ...         r.step(X, Y)
    >>> r.history.settings["learning_rate"]
    -0.1
    >>> diagnose(r.history).findings[0].name
    'ascent'
    """
    if not isinstance(network, Network):
        raise TypeError(f"record_training: expected a Network; got {type(network).__name__}.")
    loss = find_loss(loss)
    return Recording(network, Maximised(loss) if maximise else loss)


@dataclass(frozen=True)
class Maximised(Loss):
    """L = -(a likelihood): the cost of a loop that goes upwards."""

    likelihood: Loss

    name = "maximised"

    def __post_init__(self) -> None:
        for letter in ("fits", "targets", "kink"):
            object.__setattr__(self, letter, getattr(self.likelihood, letter))

    def value(self, Y: Any, A: Any) -> Any:
        return -self.likelihood.value(Y, A)

    def derivative(self, Y: Any, A: Any) -> Any:
        return -self.likelihood.derivative(Y, A)


@dataclass
class _Epoch:
    """Sums over the steps of an epoch; C is the change of W."""

    J: float = 0.0
    examples: int = 0
    steps: int = 0
    moved: int = 0
    along: int = 0
    """Of the steps that moved W, but for restarts, those along dW or -dW."""
    restarts: int = 0
    dW_dW: float = 0.0
    C_C: float = 0.0
    along_dW_C: float = 0.0
    along_dW_dW: float = 0.0

    def __add__(self, other: _Epoch) -> _Epoch:
        return _Epoch(*(a + b for a, b in zip(self._sums, other._sums, strict=True)))

    @property
    def _sums(self) -> tuple[Any, ...]:
        return tuple(vars(self).values())

    @property
    def rate(self) -> float:
        """Alpha; of steps in other directions |C| / |dW|."""
        if self.dW_dW == 0:
            return 0.0
        rate = math.sqrt(self.C_C / self.dW_dW)
        if self.plain:
            rate = -self.along_dW_C / self.along_dW_dW
        return float(f"{rate:.3g}")

    @property
    def plain(self) -> bool:
        """Whether most steps that moved W went along dW or -dW."""
        return 2 * self.along > self.moved


@dataclass
class _Some:
    """Some examples of an epoch, every ``stride``-th: ``room`` of them, or up to twice as many."""

    room: int
    X: list[NDArray[Any]] = field(default_factory=list)
    Y: list[NDArray[Any]] = field(default_factory=list)
    m: int = 0
    stride: int = 1

    def add(self, X: NDArray[Any], Y: NDArray[Any]) -> None:
        while self.m + X.shape[1] > 2 * self.room * self.stride:
            self.stride *= 2
            if self.X:
                self.X, self.Y = ([np.hstack(each)[:, ::2]] for each in (self.X, self.Y))
        some = slice(-self.m % self.stride, None, self.stride)
        self.X.append(X[:, some].copy())
        self.Y.append(Y[:, some].copy())
        self.m += X.shape[1]

    def examples(self) -> Examples:
        return Examples(np.hstack(self.X), np.hstack(self.Y))


class Recording:
    """A loop under way, and at its end its ``history``; made by :func:`record_training`.

    Attributes
    ----------
    history : History
        Filled where the ``with`` block ends: the curves "loss" and "learning_rate", the statistics
        of the layers and some rows, as :func:`pellucid.train` leaves them. ``settings["restarts"]``
        counts the steps at which the weights were drawn anew.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid import Dense, Network
    >>> net = Network([Dense(1, "identity")], n_inputs=1, initializer="zeros", dtype="float64")
    >>> with record_training(net, "half_squared_error") as r:
    ...     net.W[1] += 0.5  # dW = -1
    ...     r.step([[1.0]], [1.0])
    >>> r.history.curves
    {'loss': [0.5], 'learning_rate': [0.5]}
    """

    def __init__(self, network: Network, loss: Loss) -> None:
        self.history = History()
        self._network, self._loss, self._open = network, loss, False

    def __enter__(self) -> Recording:
        self.history, self._open = History(), True
        self._before = self._network.copy()
        self._start = self._network.copy()
        self._first: tuple[float, ...] | None = None
        self._kept: Kept | None = None
        self._epochs = [_Epoch()]
        self._room = room(self._before, BYTES)
        self._some, self._last = _Some(self._room), _Some(self._room)
        self._seen: set[int] | None = set()
        self._largest, self._stopped = 0, ""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open = False
        if self._kept is None:
            return
        if self._epochs[-1].steps:
            self._close()
        self._write(self._kept, "interrupted" if kind else "finished")

    def step(self, X: Any, Y: Any) -> None:
        """Take note of an update that was made for X (n[0], B) and Y (n[L], B) or (B,).

        Where J is no longer finite, the recording is over.
        """
        if not self._open:
            raise ValueError(
                "record_training: step was called outside of the with block; call it within, after "
                "each update: with record_training(net, loss) as r: ... r.step(X, Y)."
            )
        given = examples(self._before, X, Y, self._loss)
        if self._stopped:
            return
        if self._kept is None:
            self._kept = Kept(self._network, given, self._loss)
            self._look(0)
        A0, targets, *_ = part(given, self._before)
        if self._begins_anew(A0):
            self._close()
        with np.errstate(all="ignore"):
            self._epochs[-1] += self._compared(A0, targets)
        self._some.add(A0, targets)
        self._largest = max(self._largest, given.m)
        now = self._network.parameters | self._network.statistics
        for name, array in (self._before.parameters | self._before.statistics).items():
            array[...] = now[name]

    def end_epoch(self) -> None:
        """End an epoch: a point of the curves. From the first call on no epoch ends by itself."""
        if not self._open:
            raise ValueError(
                "record_training: end_epoch was called outside of the with block; call it within, "
                "after the steps of an epoch."
            )
        if self._stopped:
            return
        if self._kept is None or not self._epochs[-1].steps:
            raise ValueError(
                "record_training: end_epoch was called without a step; call r.step(X, Y) after "
                "each update of the epoch."
            )
        if self._seen is not None:  # what ended by itself until now belongs to this epoch
            self._seen, self._epochs = None, [sum(self._epochs, _Epoch())]
            del self._kept.looks[1:]
        self._close()

    def _begins_anew(self, X: NDArray[Any]) -> bool:
        """Whether most examples of this step have been in this epoch already."""
        if self._seen is None:
            return False
        keys = [hash(column.tobytes()) for column in X.T]
        again = 2 * sum(key in self._seen for key in keys) > len(keys)
        self._seen = (set() if again else self._seen) | set(keys)
        return again

    def _compared(self, X: NDArray[Any], Y: NDArray[Any]) -> _Epoch:
        """J and dW at the parameters before, and how W has changed since."""
        J, dW = self._pass(self._before, X, Y)
        if not math.isfinite(J):
            self._stopped = f"diverged in epoch {len(self._epochs)}: J is no longer finite"
        now = _flat(self._network)
        C = now - _flat(self._before)
        squares, product, cosine = (float(dW @ dW), float(C @ C)), float(dW @ C), _cosine(dW, C)
        anew = cosine > -ALONG and self._drawn_anew(now, cosine, squares[0], X, Y)
        if self._first is None and cosine < -SAME:
            self._first = squares
        if self._first is None:  # weights may be set within the block, before the loop
            self._start.put_parameters(self._network.parameters | self._network.statistics)
        epoch = _Epoch(J * X.shape[1], X.shape[1], 1, restarts=int(anew))
        if not anew and math.isfinite(product) and math.isfinite(sum(squares)):
            epoch.moved, (epoch.dW_dW, epoch.C_C) = int(squares[1] > 0), squares
            if abs(cosine) > ALONG:
                epoch.along, epoch.along_dW_C, epoch.along_dW_dW = 1, product, squares[0]
        return epoch

    def _drawn_anew(
        self, now: NDArray[Any], cosine: float, dW_dW: float, X: NDArray[Any], Y: NDArray[Any]
    ) -> bool:
        """Whether the weights are a step from where they started, or are another draw."""
        before, start = _flat(self._before), _flat(self._start)
        if self._first is not None and dW_dW > 0.01 * self._first[0]:
            way, was = now - start, before - start
            far = float(way @ way) / self._first[1]
            if float(way @ way) <= float(was @ was) and (
                far <= BACK**2
                or (far <= FAR**2 and _cosine(way, self._pass(self._start, X, Y)[1]) < -ALONG)
            ):
                return True
        begins = len(self._epochs) == 1 and not self._epochs[0].steps
        unlike = cosine > -SAME and _cosine(now, before) < SAME
        size = float(start @ start)
        return unlike and not begins and size / 4 < float(now @ now) < 4 * size

    def _pass(self, net: Network, X: NDArray[Any], Y: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        """J, and every dW as one row."""
        cache = propagation.forward(net.layers, X, training=True)
        found = propagation.backward(cache, Y, self._loss).by_layer
        pairs = zip(net.leaves, found, strict=True)
        dW = [each["d" + letter] for layer, each in pairs for letter in _weights(layer)]
        return propagation.cost(cache, Y, self._loss), _row(dW)

    def _close(self) -> None:
        """End an epoch at the parameters that the last step left."""
        epoch = len(self._epochs)
        self._epochs.append(_Epoch())
        if self._some.m >= self._last.m:
            self._last = self._some
        self._some = _Some(self._room)
        if epoch & (epoch - 1) == 0:
            self._look(epoch)

    def _look(self, epoch: int) -> None:
        """Look at the layers: at epochs 0, 1, 2, 4, 8, ..., of which the first are dropped."""
        kept = self._kept
        assert kept is not None
        parameters = self._before.parameters.values()
        if kept.looks and not all(np.isfinite(array).all() for array in parameters):
            return
        if len(kept.looks) == kept.most(self._before):
            del kept.looks[2]
        steps = sum(each.steps for each in self._epochs)
        kept.look(self._before, {"epoch": epoch, "step": steps})

    def _write(self, kept: Kept, how: str) -> None:
        """Fill the history."""
        done = [each for each in self._epochs if each.steps]
        if kept.looks[-1][0]["epoch"] < len(done):
            self._look(len(done))
        kept.take(self._before, self._last.examples())
        kept.m = self._last.m
        kept.end(self._before)
        whole, loss, found = sum(done, _Epoch()), self._loss, self.history
        for each in done:
            found.append(loss=each.J / each.examples, learning_rate=each.rate)
        found.settings = {
            "loss": loss.spec(),
            "optimizer": "gradient_descent" if whole.plain or not whole.moved else "unknown",
            "learning_rate": whole.rate,
            "epochs": len(done),
            "batch_size": self._largest,
            "examples": kept.m,
            "restarts": whole.restarts,
        }
        found.own_loss = loss if is_custom(loss) else None
        found.stopped = "diverged" if self._stopped else how
        found.message = self._stopped or "recorded from a hand-written loop"
        found.best_epoch, found.engine, found.kept = len(done), "a hand-written loop", kept


def _flat(network: Network) -> NDArray[np.float64]:
    """Every W as one row."""
    return _row(layer.parameters[letter] for layer in network.leaves for letter in _weights(layer))


def _weights(layer: Layer) -> tuple[str, ...]:
    """The letters of a layer's weights; the factors of a Scale are none."""
    return layer.penalised if layer.computes_Z else ()


def _row(arrays: Iterable[NDArray[Any]]) -> NDArray[np.float64]:
    return np.concatenate([np.empty(0), *(array.ravel() for array in arrays)])


def _cosine(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Of the angle between two rows; 0 where there is none."""
    sizes = float(one @ one) * float(other @ other)
    return float(one @ other) / math.sqrt(sizes) if sizes > 0 else 0.0
