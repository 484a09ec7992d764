"""GRU: a state that two gates renew and reset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pellucid._shown import plain
from pellucid.activations import Sigmoid, Tanh
from pellucid.initializers import Initializer
from pellucid.layers.base import Array
from pellucid.layers.through_time import State, ThroughTime, affine, affine_back, joined, parts

SIGMOID, TANH = Sigmoid(), Tanh()


class GRU(ThroughTime):
    """a<t> = Gamma_u * c~<t> + (1 - Gamma_u) * a<t-1>: a state renewed where a gate says so.

    Cho et al. 2014, arXiv:1406.1078; W_u, W_r, W_c are rows of W, b_u, b_r, b_c of b::

        Gamma_u = sigmoid(W_u [a<t-1>; x<t>] + b_u)         dGamma_u = da<t> * (c~<t> - a<t-1>)
        Gamma_r = sigmoid(W_r [a<t-1>; x<t>] + b_r)         dc~<t> = da<t> * Gamma_u
        q<t> = Gamma_r * a<t-1>                             dGamma_r = dq<t> * a<t-1>
        c~<t> = tanh(W_c [q<t>; x<t>] + b_c)                [dq<t>; dx<t>] = W_c^T dZ_c<t>, ...
        a<t> = Gamma_u * c~<t> + (1 - Gamma_u) * a<t-1>     da<t-1> = da<t> * (1 - Gamma_u) + ...

    With ``reset="after"`` the gate comes after the product, as in cuDNN and PyTorch (whose update
    gate is 1 - Gamma_u), and the state's part of the candidate has a bias of its own, b_q::

        q<t> = W_ca a<t-1> + b_q                            dq<t> = dZ_c<t> * Gamma_r
        c~<t> = tanh(W_cx x<t> + b_c + Gamma_r * q<t>)      dGamma_r = dZ_c<t> * q<t>

    dW and db are sums over the steps, as in :class:`~pellucid.layers.Recurrent`; so are shapes and
    parameters, but for ``activation``. W is (3 n_units, n_units + n_x) and b (3 n_units, 1), the
    rows of u, r and c~ below one another; after them b has those of q where there are any.

    Parameters
    ----------
    reset : "before" or "after"
        Whether Gamma_r is applied before the product with W_c or after it.

    Examples
    --------
    >>> import numpy as np
    >>> layer = GRU(3, reset="after").build((5, 2), seed=0)
    >>> A, cache = layer.forward(np.ones((10, 4)))
    >>> A.shape, layer.parameters["W"].shape, layer.parameters["b"].shape
    ((3, 4), (9, 5), (12, 1))
    """

    name = "gru"
    gates = 3

    def __init__(
        self,
        n_units: int,
        *,
        reset: str = "before",
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
        if reset not in ("before", "after"):
            raise ValueError(f"GRU: reset must be 'before' or 'after'; got {plain(reset)!r}.")
        self.reset = reset

    @classmethod
    def examples(cls) -> Iterator[tuple[GRU, tuple[int, ...]]]:
        yield cls(2), (3, 2)
        yield cls(2, reset="after"), (3, 2)
        yield cls(3, sequences=True, backwards=True, dropout=0.2), (3, 1)
        yield cls(2, reset="after", sequences=True), (2, 2)

    def parameter_shapes(self, input_shape: tuple[int, ...]) -> dict[str, tuple[int, int]]:
        shapes = super().parameter_shapes(input_shape)
        return shapes | ({"b": (4 * self.n_units, 1)} if self.reset == "after" else {})

    def step(self, x: Array, before: State) -> dict[str, Array]:
        W, b, a, rows = self.parameters["W"], self.parameters["b"], before["a"], 2 * self.n_units
        Z_ur = self.called("Z_ur", affine(W[:rows], b[:rows], a, x))
        u, r = parts(SIGMOID(Z_ur), 2)
        q, Z_c = self._candidate(W[rows:], b[rows:], r, a, x)
        candidate = TANH(self.called("Z_c", Z_c))
        a = u * candidate + (1 - u) * a
        Z = joined([Z_ur, Z_c])
        return {"Z": Z, "Gamma_u": u, "Gamma_r": r, "q": q, "c~": candidate, "a": a}

    def step_back(
        self, d: State, x: Array, before: State, now: State
    ) -> tuple[dict[str, Array], Array, Array, Array, Array]:
        W, a, da, rows = self.parameters["W"], before["a"], d["a"], 2 * self.n_units
        u, r, candidate, q = (now[letter] for letter in ("Gamma_u", "Gamma_r", "c~", "q"))
        Z_u, Z_r, Z_c = parts(now["Z"], 3)
        dZ_c = TANH.backward(self.called("dc~", da * u), Z_c, candidate)
        dZ_c = self.called("dZ_c", dZ_c)
        dr, da_c, dx_c, dW_c, db_c = self._candidate_back(dZ_c, W[rows:], r, q, a, x)
        dr = self.called("dGamma_r", dr)
        dZ_u = SIGMOID.backward(self.called("dGamma_u", da * (candidate - a)), Z_u, u)
        dZ_ur = self.called("dZ_ur", joined([dZ_u, SIGMOID.backward(dr, Z_r, r)]))
        da_ur, dx_ur, dW_ur, db_ur = affine_back(dZ_ur, W[:rows], a, x)
        dW, db, dZ = joined([dW_ur, dW_c]), joined([db_ur, db_c]), joined([dZ_ur, dZ_c])
        return {"a": da * (1 - u) + da_ur + da_c}, dx_ur + dx_c, dZ, dW, db

    def _candidate(self, W: Array, b: Array, r: Array, a: Array, x: Array) -> tuple[Array, Array]:
        """What the reset gate makes of a<t-1>, q, and Z_c."""
        n = self.n_units
        if self.reset == "before":
            q = r * a
            return q, affine(W, b, q, x)
        q = W[:, :n] @ a + b[n:]
        return q, W[:, n:] @ x + b[:n] + r * q

    def _candidate_back(
        self, dZ: Array, W: Array, r: Array, q: Array, a: Array, x: Array
    ) -> tuple[Array, Array, Array, Array, Array]:
        """dGamma_r, and what comes to a<t-1>, x<t>, W_c and b by way of Z_c."""
        n, xp = self.n_units, dZ.__array_namespace__()
        if self.reset == "before":
            dq, dx, dW, db = affine_back(dZ, W, q, x)
            dq = self.called("dq", dq)
            return dq * a, dq * r, dx, dW, db
        dq = self.called("dq", dZ * r)
        dW = xp.concat([dq @ a.T, dZ @ x.T], axis=1)
        db = xp.sum(joined([dZ, dq]), axis=1, keepdims=True)
        return dZ * q, W[:, :n].T @ dq, W[:, n:].T @ dZ, dW, db
