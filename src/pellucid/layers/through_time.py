"""What Recurrent, GRU and LSTM share: one W and b for all steps, one step after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pellucid.initializers import Initializer
from pellucid.initializers import initializer as find_initializer
from pellucid.layers.base import Array, Layer, LayerCache
from pellucid.layers.chain import PREDICTING, Mode
from pellucid.layers.shapes import Places, held

State = Mapping[str, Array]


class ThroughTime(Layer):
    """a<t> = f(a<t-1>, x<t>) for the steps t = 1 ... T of a sequence, (steps, features).

    Forward goes from a<0> = 0 through the steps, backward from the last step to the first
    (Werbos 1990)::

        a<1> = f(a<0>, x<1>)              da<T> = dA<T>
        ...                               ...
        a<T> = f(a<T-1>, x<T>)            da<t> = dA<t> + what step t + 1 hands back

    Every step adds to dW = (1/m) sum of dW<t> over t, and so to db. Without ``sequences`` the
    output is the last state, a<T>, and all other dA<t> are 0. A layer of this form says what one
    step computes, and how it goes back.

    With ``lengths`` what was computed at an example's last step is held over the padded ones, and
    what comes back passes them unchanged.
    """

    computes_Z = True
    penalised = ("W",)
    needs = ("lengths", "mode")
    carried: ClassVar[tuple[str, ...]] = ("a",)
    gates: ClassVar[int] = 1

    def __init__(
        self,
        n_units: int,
        *,
        sequences: bool = False,
        backwards: bool = False,
        dropout: float = 0.0,
        initializer: str | Initializer | None = None,
        learning_rate_factor: float | Mapping[str, float] = 1.0,
        weight_decay_factor: float = 1.0,
    ) -> None:
        super().__init__(
            learning_rate_factor=learning_rate_factor, weight_decay_factor=weight_decay_factor
        )
        self.n_units = self._checked_whole("n_units", n_units)
        self.sequences, self.backwards = bool(sequences), bool(backwards)
        self.dropout = self._checked_dropout(dropout)
        self.initializer = None if initializer is None else find_initializer(initializer)

    def step(self, x: Array, before: State) -> dict[str, Array]:
        """Return what step t computes, by letter, of x<t> and the state that was carried to it."""
        raise NotImplementedError

    def step_back(
        self, d: State, x: Array, before: State, now: State
    ) -> tuple[dict[str, Array], Array, Array, Array, Array]:
        """Return d of the state before step t, dx<t>, dZ<t>, dW<t> and db<t>.

        ``d`` is that of the state after step t, ``now`` what :meth:`step` returned; dW<t> and db<t>
        are sums over the examples.
        """
        raise NotImplementedError

    def called(self, letter: str, value: Array) -> Array:
        """Return the value, which a step has called so; a trace shows it by this name."""
        return value

    def parameter_shapes(self, input_shape: tuple[int, ...]) -> dict[str, tuple[int, int]]:
        n, rows = self.n_units, self.gates * self.n_units
        return {"W": (rows, n + input_shape[-1]), "b": (rows, 1)}

    def output_shape_for(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(input_shape) != 2:
            raise ValueError(
                f"{self!r} expects inputs of shape (steps, features); got {input_shape}. A number "
                "a step is (steps, 1); word numbers go through an Embedding first."
            )
        return (input_shape[0], self.n_units) if self.sequences else (self.n_units,)

    def field(self, places: Places) -> Places:
        if not self.sequences:
            return super().field(places)
        ((first, end),) = places
        return ((first, self.input_shape[0]),) if self.backwards else ((0, end),)

    def lengths_after(self, lengths: Array) -> Array:
        return lengths if self.sequences else None

    @property
    def fan_in(self) -> int | None:
        return self.n_units + self.input_shape[-1] if self.input_shape else None

    @property
    def numbers(self) -> int:
        """How many numbers a pass keeps of one example, those of every step."""
        T, n_x = self.input_shape
        return T * ((2 * self.gates + 3) * self.n_units + n_x)

    @property
    def each_step(self) -> bool:  # type: ignore[override]
        """Whether it can be run a step at a time: not from the last step to the first."""
        return not self.backwards

    @property
    def order(self) -> range:
        """The steps, counted from 0, in the order in which they are gone through."""
        steps = range(self.input_shape[0])
        return steps[::-1] if self.backwards else steps

    def forward(
        self, A_prev: Array, mask: Array = None, lengths: Array = None, mode: Mode = PREDICTING
    ) -> tuple[Array, LayerCache]:
        self.check_input(A_prev)
        T = self.input_shape[0]
        x = parts(A_prev, T)
        made: list[State] = [{}] * T
        before = start = (mode.states or {}).get(self.number) or self._zeros(A_prev)
        for t in self.order:
            now = self.step(x[t], before)
            made[t] = before = now if lengths is None else _kept(t < lengths, now, before)
        steps = {letter: [each[letter] for each in made] for letter in before}
        A, Z = (joined(steps[letter]) if self.sequences else before[letter] for letter in "aZ")
        output = A if mask is None else A * mask
        Z = Z if self.activation else None
        begun = {f"{letter}<0>": start[letter] for letter in self.carried}
        return output, LayerCache(A_prev, output, Z, A, mask, steps, begun, lengths=lengths)

    def backward(
        self,
        dA: Array,
        cache: LayerCache,
        *,
        dZ: Array = None,
        m: float | None = None,
        inputs: bool = True,
    ) -> tuple[Array, dict[str, Array]]:
        self.check_gradient(dA if dZ is None else dZ, cache)
        letter, given = ("a", dA) if dZ is None else ("Z", dZ)  # dZ goes round the output's g'
        if dZ is None and cache.mask is not None:
            given = given * cache.mask
        T, m = self.input_shape[0], cache.A_prev.shape[1] if m is None else m
        lengths = cache.lengths
        x, out = parts(cache.A_prev, T), parts(given, T) if self.sequences else [given] * T
        dx, dZs, dW, db, d = [None] * T, [None] * T, 0, 0, self._zeros(given)
        for t in reversed(self.order):
            if self.sequences or t == self.order[-1]:
                d = d | {letter: d.get(letter, 0) + out[t]}
            before, now = self._around(cache, t)
            if lengths is None:
                d, dx[t], dZs[t], dW_t, db_t = self.step_back(d, x[t], before, now)
            else:
                there = {each: held(array, t < lengths) for each, array in d.items()}
                back, dx[t], dZs[t], dW_t, db_t = self.step_back(there, x[t], before, now)
                d = {k: back.get(k, 0) + held(array, t >= lengths) for k, array in d.items()}
            dW, db = dW + dW_t, db + db_t
        found = {"dZ": joined(dZs), "dW": dW / m, "db": db / m}
        return joined(dx) if inputs else None, found

    def _zeros(self, like: Array) -> dict[str, Array]:
        """The state from which a sequence starts: a<0> = 0."""
        xp = like.__array_namespace__()
        dtype = self.parameters["W"].dtype
        return dict.fromkeys(self.carried, xp.zeros((self.n_units, like.shape[1]), dtype=dtype))

    def _around(self, cache: LayerCache, t: int) -> tuple[State, State]:
        """The state carried to step t, and what that step computed."""
        now = {letter: values[t] for letter, values in cache.steps.items()}
        if t == self.order[0]:
            return {letter: cache.arrays[f"{letter}<0>"] for letter in self.carried}, now
        last = t - self.order.step
        return {letter: cache.steps[letter][last] for letter in self.carried}, now


# For each step ------------------------------------------------------------------------------------


def affine(W: Array, b: Array, a: Array, x: Array) -> Array:
    """Return W [a; x] + b."""
    return W @ joined([a, x]) + b


def affine_back(dZ: Array, W: Array, a: Array, x: Array) -> tuple[Array, Array, Array, Array]:
    """Return da, dx, dW, db of Z = W [a; x] + b; dW and db are sums over the examples."""
    d, n = W.T @ dZ, a.shape[0]
    db = dZ.__array_namespace__().sum(dZ, axis=1, keepdims=True)
    return d[:n], d[n:], dZ @ joined([a, x]).T, db


def parts(A: Array, count: int) -> list[Array]:
    """Return the rows of A in parts of one size: the gates, or the steps."""
    n = A.shape[0] // count
    return [A[k * n : (k + 1) * n] for k in range(count)]


def joined(arrays: list[Array]) -> Array:
    """Return the arrays below one another."""
    return arrays[0].__array_namespace__().concat(arrays, axis=0)


def _kept(there: Array, now: State, before: State) -> dict[str, Array]:
    """What a step computed, and for the examples that have no such step what the one before did."""
    return {
        letter: value.__array_namespace__().where(there, value, before[letter])
        if letter in before
        else value
        for letter, value in now.items()
    }
