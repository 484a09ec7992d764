"""LSTM: a cell that keeps, forgets and shows what three gates say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from pellucid.activations import Sigmoid, Tanh
from pellucid.layers.base import Array
from pellucid.layers.through_time import State, ThroughTime, affine, affine_back, joined, parts

SIGMOID, TANH = Sigmoid(), Tanh()


class LSTM(ThroughTime):
    """a<t> = Gamma_o * tanh(c<t>), c<t> = Gamma_u * c~<t> + Gamma_f * c<t-1>: long memory.

    Gates between 0 and 1 say what enters the cell c (u, update), what stays in it (f, forget) and
    what of it is shown (o, output). Hochreiter, Schmidhuber 1997; Gers et al. 2000::

        Z<t> = W [a<t-1>; x<t>] + b, in four parts     dc<t> += da<t> * Gamma_o * (1 - tanh^2 c<t>)
        Gamma_u = sigmoid(Z_u)                         dGamma_u = dc<t> * c~<t>
        Gamma_f = sigmoid(Z_f)                         dGamma_f = dc<t> * c<t-1>
        Gamma_o = sigmoid(Z_o)                         dGamma_o = da<t> * tanh(c<t>)
        c~<t> = tanh(Z_c)                              dc~<t> = dc<t> * Gamma_u
        c<t> = Gamma_u * c~<t> + Gamma_f * c<t-1>      dc<t-1> = dc<t> * Gamma_f
        a<t> = Gamma_o * tanh(c<t>)                    [da<t-1>; dx<t>] = W^T dZ<t>

    dW and db are sums over the steps, as in :class:`~pellucid.layers.Recurrent`; so are shapes and
    parameters, but for ``activation``. W is (4 n_units, n_units + n_x) and b (4 n_units, 1), the
    rows of u, f, o and c~ below one another. b starts at 1 for f, so that the cell remembers
    (Jozefowicz et al. 2015), and at 0 for the others.

    Examples
    --------
    >>> import numpy as np
    >>> layer = LSTM(3, sequences=True).build((5, 2), seed=0)
    >>> A, cache = layer.forward(np.ones((10, 4)))
    >>> A.shape, layer.parameters["W"].shape, cache.steps["Gamma_f"][2].shape
    ((15, 4), (12, 5), (3, 4))
    """

    name = "lstm"
    carried: ClassVar[tuple[str, ...]] = ("a", "c")
    gates = 4

    @classmethod
    def examples(cls) -> Iterator[tuple[LSTM, tuple[int, ...]]]:
        yield cls(2), (3, 2)
        yield cls(3, sequences=True, dropout=0.2), (3, 1)
        yield cls(1, backwards=True, weight_decay_factor=0.5), (4, 2)
        yield cls(2, sequences=True, backwards=True), (2, 2)

    def initial(self, letter: str, shape: tuple[int, int], start: Any, seed: int) -> np.ndarray:
        drawn = super().initial(letter, shape, start, seed)
        if letter == "b":
            drawn[self.n_units : 2 * self.n_units] = 1
        return drawn

    def step(self, x: Array, before: State) -> dict[str, Array]:
        n = self.n_units
        Z = affine(self.parameters["W"], self.parameters["b"], before["a"], x)
        (u, f, o), candidate = parts(SIGMOID(Z[:-n]), 3), TANH(Z[-n:])
        c = u * candidate + f * before["c"]
        a = o * TANH(c)
        return {"Z": Z, "Gamma_u": u, "Gamma_f": f, "Gamma_o": o, "c~": candidate, "c": c, "a": a}

    def step_back(
        self, d: State, x: Array, before: State, now: State
    ) -> tuple[dict[str, Array], Array, Array, Array, Array]:
        u, f, o, candidate = now["Gamma_u"], now["Gamma_f"], now["Gamma_o"], now["c~"]
        Z_u, Z_f, Z_o, Z_c = parts(now["Z"], 4)
        tanh_c = TANH(now["c"])
        dc = self.called("dc", d["c"] + TANH.backward(d["a"] * o, now["c"], tanh_c))
        du = self.called("dGamma_u", dc * candidate)
        df = self.called("dGamma_f", dc * before["c"])
        do = self.called("dGamma_o", d["a"] * tanh_c)
        d_candidate = self.called("dc~", dc * u)
        dZ = joined(
            [
                SIGMOID.backward(du, Z_u, u),
                SIGMOID.backward(df, Z_f, f),
                SIGMOID.backward(do, Z_o, o),
                TANH.backward(d_candidate, Z_c, candidate),
            ]
        )
        da, dx, dW, db = affine_back(dZ, self.parameters["W"], before["a"], x)
        return {"a": da, "c": dc * f}, dx, dZ, dW, db
