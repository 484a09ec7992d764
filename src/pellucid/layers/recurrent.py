"""Recurrent: a<t> = g(W [a<t-1>; x<t>] + b)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pellucid.activations import Activation
from pellucid.activations import activation as find_activation
from pellucid.initializers import Initializer
from pellucid.layers.base import Array
from pellucid.layers.through_time import State, ThroughTime, affine, affine_back


class Recurrent(ThroughTime):
    """a<t> = g(W [a<t-1>; x<t>] + b): each step sees what is new and what was before.

    Forward from t = 1 to T with a<0> = 0, backward from T to 1 (Elman 1990)::

        Z<t> = W [a<t-1>; x<t>] + b        dZ<t> = da<t> * g'(Z<t>)
        a<t> = g(Z<t>)                     [da<t-1>; dx<t>] = W^T dZ<t>, to which dA<t-1> is added
                                           dW = (1/m) sum over t of dZ<t> [a<t-1>; x<t>]^T
                                           db = (1/m) sum of dZ<t> over t and the examples

    (steps, n_x) -> (n_units,), the last state, or (steps, n_units) with ``sequences``. W is
    (n_units, n_units + n_x), its first columns for a<t-1>; b is (n_units, 1). The same W and b
    serve every step, and so sequences of any length.

    Parameters
    ----------
    n_units : int
        The units of the state a.
    activation : str or Activation
        g.
    sequences : bool
        Return every a<t>, not the last alone; a recurrent layer, or a Dense with ``each_step``, may
        follow.
    backwards : bool
        Go from the last step to the first: a<t> then knows of t, ..., T, and the last state is that
        after step 1. Outputs stand in the order of time.
    dropout : float
        The share of outputs left out at each training step; what is carried on is left whole.
    initializer : str, Initializer or None
        How W starts, the columns for a<t-1> as those for x<t>; None takes the network's choice.
    learning_rate_factor, weight_decay_factor
        As in :class:`~pellucid.layers.Dense`.

    Raises
    ------
    ValueError
        For inputs that are no sequence, (steps, features).

    Examples
    --------
    A unit that adds up what it sees:

    >>> import numpy as np
    >>> layer = Recurrent(1, "identity", sequences=True).build((4, 1))
    >>> layer.parameters["W"][:] = [[1.0, 1.0]]
    >>> layer.forward(np.array([[3.0], [1.0], [4.0], [1.0]]))[0].T
    array([[3., 4., 8., 9.]])
    """

    name = "recurrent"
    activation: Activation

    def __init__(
        self,
        n_units: int,
        activation: str | Activation = "tanh",
        *,
        sequences: bool = False,
        backwards: bool = False,
        dropout: float = 0.0,
        initializer: str | Initializer | None = None,
        learning_rate_factor: float | Mapping[str, float] = 1.0,
        weight_decay_factor: float = 1.0,
    ) -> None:
        super().__init__(
            n_units,
            sequences=sequences,
            backwards=backwards,
            dropout=dropout,
            initializer=initializer,
            learning_rate_factor=learning_rate_factor,
            weight_decay_factor=weight_decay_factor,
        )
        self.activation = find_activation(activation)

    @classmethod
    def examples(cls) -> Iterator[tuple[Recurrent, tuple[int, ...]]]:
        yield cls(3), (4, 2)
        yield cls(2, "softplus", sequences=True, dropout=0.3), (3, 2)
        yield cls(2, "sigmoid", sequences=True, backwards=True), (3, 1)
        yield cls(2, "elu", backwards=True, initializer="lecun_normal"), (3, 2)

    def step(self, x: Array, before: State) -> dict[str, Array]:
        Z = affine(self.parameters["W"], self.parameters["b"], before["a"], x)
        return {"Z": Z, "a": self.activation(Z)}

    def step_back(
        self, d: State, x: Array, before: State, now: State
    ) -> tuple[dict[str, Array], Array, Array, Array, Array]:
        dZ = self.activation.backward(d["a"], now["Z"], now["a"]) + d.get("Z", 0)
        da, dx, dW, db = affine_back(dZ, self.parameters["W"], before["a"], x)
        return {"a": da}, dx, dZ, dW, db
