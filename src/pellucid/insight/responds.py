"""What a unit responds to: what excites it most among the examples, and of all inputs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid._shown import plain
from pellucid.checks import is_whole
from pellucid.insight.gradient_check import check_network
from pellucid.insight.responds_shown import as_html, as_text
from pellucid.layers import Embedding, Layer, LayerCache, Parallel, Residual, chain
from pellucid.layers.chain import PREDICTING
from pellucid.layers.shapes import Places, by_place, held, unrolled, valid_steps
from pellucid.network import Network

BLOCK = 256
"""Examples that go through the network at a time."""

STEPS = 100
"""Steps of the gradient ascent."""

Where = tuple[int, ...]


@dataclass(frozen=True)
class Exciting:
    """A patch that excites a unit.

    Attributes
    ----------
    example : int
        The column of X.
    a : float
        What the unit says of it, A[l].
    place : tuple of int
        Where in A[l]: (row, column), (step,), or () of a layer without places.
    field : tuple of (int, int)
        Where in X: from and to, of rows and columns, or of steps.
    patch : array
        What stands there: all that the unit sees from its place.
    """

    example: int
    a: float
    place: Where
    field: Places
    patch: NDArray[Any]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {**vars(self), "patch": self.patch.tolist()}


@dataclass(frozen=True)
class Response:
    """What :func:`responds_to` returns.

    Attributes
    ----------
    layer, unit : int
        l, and the unit's number; of a filter its channel.
    title : str
        What they are, in words.
    best : list of Exciting
        Of each example the patch that excites the unit most, the most exciting examples first.
    maximising : array or None
        The patch that excites it most of all patches of its size; None of word numbers, which
        cannot be changed little by little.
    z : float
        What the unit makes of it before g: Z[l], or A[l] where there is no Z.
    size : float
        sqrt of the mean square of the patch: that of X.
    """

    layer: int
    unit: int
    title: str
    best: list[Exciting]
    maximising: NDArray[Any] | None
    z: float
    size: float

    def text(self) -> str:
        """Return it as text: numbers, and patches of one channel where they are small."""
        return as_text(self)

    def html(self) -> str:
        """Return it as a fragment of HTML: the patches as pictures or curves."""
        return as_html(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        found = {"best": [each.to_dict() for each in self.best]}
        of_all = None if self.maximising is None else self.maximising.tolist()
        return {**vars(self), **found, "maximising": of_all}

    def _repr_html_(self) -> str:
        return self.html()

    def __str__(self) -> str:
        return self.text()


def responds_to(
    network: Network,
    layer: int,
    unit: int,
    X: Any,
    *,
    k: int = 9,
    lengths: Any = None,
    steps: int = STEPS,
    seed: int = 0,
) -> Response:
    """Return what a unit responds to: edges in the first layers, parts and wholes in later ones.

    Two answers (lectures 002, 4.2, and 003): the patches of the examples X that excite the unit
    most, with all that it sees from its place, its receptive field; and the patch that excites it
    most of all, by gradient ascent from noise::

        x := s (x + r dz/dx),  with r and s so that the steps shrink and x keeps its size

    z = Z[l] of the unit at the place that sees most (A[l] of a gated layer, which has no Z); the
    size of x, the root of its mean square, is that of X. Erhan et al. 2009.

    Parameters
    ----------
    network : Network
    layer : int
        l, from 1 to L.
    unit : int
        The unit's number, from 0; where the layer has places (filters, steps) the channel's.
    X : array of shape (n[0], m)
        The examples.
    k : int
        How many examples.
    lengths : array of shape (m,) or None
        The steps that each example has.
    steps : int
        Steps of the ascent.
    seed : int
        Of the noise.

    Raises
    ------
    ValueError
        For a layer or a unit that is not there.

    Examples
    --------
    A filter for rising edges finds the one in the second example, between steps 2 and 3:

    >>> from pellucid import Dense, Network
    >>> from pellucid.layers import Conv1D
    >>> net = Network([Conv1D(1, 2), Dense(1, "identity")], (5, 1), dtype="float64")
    >>> net.W[1] = [[-1.0, 1.0]]
    >>> found = responds_to(net, 1, 0, np.array([[1.0, 1, 1, 1, 1], [0, 0, 0, 1, 1]]).T, k=1)
    >>> found.best[0].example, found.best[0].place, found.best[0].patch.ravel()
    (1, (2,), array([0., 1.]))
    >>> (found.maximising / found.maximising.max()).ravel().round(6)
    array([-1.,  1.])
    """
    check_network(network, "responds_to")
    for name, value, least in (("k", k, 1), ("steps", steps, 1), ("seed", seed, 0)):
        if not is_whole(value, least):
            raise ValueError(
                f"{name} must be a whole number of {least} or more; got {plain(value)!r}."
            )
    path = _path_to(network, layer)
    leaf = path[-1]
    n = leaf.output_shape[-1]
    if not is_whole(unit, 0, n - 1):
        kind = "a channel" if len(leaf.output_shape) > 1 else "a unit"
        raise ValueError(
            f"unit must be {kind} of {leaf.where()}, 0 to {n - 1}; got {plain(unit)!r}."
        )
    X = network.checked_X(X)
    m = X.shape[1]
    if not m:
        raise ValueError("X holds no examples; give one or more.")
    lengths = None if lengths is None else network.checked_lengths(lengths, m)
    best = _best(network, path, unit, X, lengths, k)
    size, maximising, z = _size(X, network.input_shape, lengths), None, math.nan
    if not isinstance(network.layers[0], Embedding):
        maximising, z = _ascend(network, path, unit, size, steps, seed)
    what = "channel" if len(leaf.output_shape) > 1 else "unit"
    names = getattr(leaf, "names", None)
    named = f" {names[unit]!r}" if names else ""
    title = f"{what} {unit}{named} of {leaf.where()}"
    return Response(int(layer), int(unit), title, best, maximising, z, size)


# The layers that lead to a unit -------------------------------------------------------------------


def _path_to(network: Network, number: Any) -> list[Layer]:
    """The layers from the inputs to layer l, out of those that hold it."""
    leaf = next((k for k in network.leaves if k.computes_Z and k.number == number), None)
    if leaf is None or not is_whole(number, 1):
        raise ValueError(
            f"layer must be l, a whole number from 1 to {network.L}; got {plain(number)!r}."
        )
    found = _path(network.layers, leaf)
    assert found is not None
    return found


def _path(layers: Sequence[Layer], leaf: Layer) -> list[Layer] | None:
    for k, layer in enumerate(layers):
        if layer is leaf:
            return [*layers[: k + 1]]
        for branch in _branches(layer):
            inside = _path(branch, leaf)
            if inside is not None:
                return [*layers[:k], *inside]
    return None


def _branches(layer: Layer) -> list[list[Layer]]:
    """What a layer is made of, each part with the layers from what enters to what leaves."""
    if isinstance(layer, Residual):
        return [list(layer.layers)]
    if isinstance(layer, Parallel):
        shares = itertools.accumulate(layer.split or [], initial=0)
        firsts: list[list[Layer]] = [[]] * len(layer.branches)
        if layer.split is not None:
            firsts = [
                [_Share(first, n).build(layer.input_shape)]
                for first, n in zip(shares, layer.split, strict=False)
            ]
        return [[*share, *branch] for share, branch in zip(firsts, layer.branches, strict=True)]
    return [list(layer.inner)] if layer.inner else []


class _Share(Layer):
    """What a branch of a Parallel with a split gets: some of the units, channels or features."""

    def __init__(self, first: int, count: int) -> None:
        super().__init__()
        self.first, self.count = first, count

    def output_shape_for(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*input_shape[:-1], self.count)

    def lengths_after(self, lengths: Any) -> Any:
        return lengths

    def field(self, places: Places) -> Places:
        return places

    def forward(self, A_prev: Any, mask: Any = None) -> tuple[Any, LayerCache]:
        P, m = by_place(A_prev, self.input_shape[-1]), A_prev.shape[1]
        A = unrolled(P[self.first : self.first + self.count], m)
        return A, LayerCache(A_prev, A)

    def backward(
        self, dA: Any, cache: LayerCache, *, dZ: Any = None, m: Any = None, inputs: bool = True
    ) -> tuple[Any, dict[str, Any]]:
        P = np.zeros((self.input_shape[-1], dA.size // self.count), dtype=dA.dtype)
        P[self.first : self.first + self.count] = by_place(dA, self.count)
        return unrolled(P, dA.shape[1]), {}


# Among the examples -------------------------------------------------------------------------------


def _best(
    network: Network, path: list[Layer], unit: int, X: Any, lengths: Any, k: int
) -> list[Exciting]:
    """Of each example the best place, and of the examples the best k."""
    leaf, m = path[-1], X.shape[1]
    n = leaf.output_shape[-1]
    a, z, at = np.empty(m), np.empty(m), np.empty(m, np.int64)
    for start in range(0, m, BLOCK):
        block = slice(start, min(start + BLOCK, m))
        some = None if lengths is None else lengths[block]
        x = _held(_dense(X[:, block], network), network, some)
        kept = chain.forward(path, x, PREDICTING, some)[1][-1]
        A = by_place(kept.output, n)[unit].reshape(x.shape[1], -1).astype(np.float64)
        Z = A if kept.Z is None else by_place(kept.Z, n)[unit].reshape(A.shape).astype(np.float64)
        if kept.valid is not None:
            there = by_place(kept.valid, n)[unit].reshape(A.shape)
            A, Z = np.where(there, A, -np.inf), np.where(there, Z, -np.inf)
        if np.isnan(A).any():
            raise ValueError(
                f"{leaf.where()} is not finite on these examples: X holds NaN or infinity, or the "
                "parameters do."
            )
        # where g is flat, Z tells which is more
        place = np.lexsort((-Z, -A), axis=1)[:, 0]
        rows = np.arange(len(A))
        a[block], z[block], at[block] = A[rows, place], Z[rows, place], place
    first = np.lexsort((-z, -a))[:k]
    found = []
    for i in first.tolist():
        some = None if lengths is None else lengths[[i]]
        x = _held(_dense(X[:, [i]], network), network, some)
        found.append(_exciting(path, x.reshape(network.input_shape), i, float(a[i]), int(at[i])))
    return found


def _exciting(path: list[Layer], x: NDArray[Any], example: int, a: float, at: int) -> Exciting:
    places = path[-1].output_shape[:-1]
    place = tuple(int(each) for each in np.unravel_index(at, places)) if places else ()
    field = chain.field(path, tuple((each, each + 1) for each in place))
    return Exciting(example, a, place, field, x[_slices(field)].copy())


def _dense(X: Any, network: Network) -> NDArray[Any]:
    X = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
    return np.asarray(X, dtype=network.dtype, order="F")


def _held(x: NDArray[Any], network: Network, lengths: Any) -> NDArray[Any]:
    """Examples with 0 in the steps that are not there."""
    if lengths is None:
        return x
    there: NDArray[Any] = held(x, valid_steps(lengths, network.input_shape))
    return there


def _slices(field: Places) -> tuple[slice, ...]:
    return tuple(slice(*each) for each in field)


def _size(X: Any, shape: tuple[int, ...], lengths: Any) -> float:
    """The root of the mean square of the numbers of X that are there, 1 where all are 0."""
    X = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
    X = np.asarray(X, dtype=np.float64)
    there = X if lengths is None else X[valid_steps(lengths, shape)]
    return math.sqrt(float(np.mean(there**2))) or 1.0


# Of all inputs ------------------------------------------------------------------------------------


def _ascend(
    network: Network, path: list[Layer], unit: int, size: float, steps: int, seed: int
) -> tuple[NDArray[Any], float]:
    """The patch that gives the largest z that gradient ascent finds, and z."""
    leaf, shape = path[-1], network.input_shape
    place = _widest(path)
    field = chain.field(path, tuple((each, each + 1) for each in place))
    inside = np.zeros(shape, dtype=bool)
    inside[_slices(field)] = True
    inside = inside.reshape(-1, 1)
    at = int(np.ravel_multi_index((*place, unit), leaf.output_shape))
    norm = size * math.sqrt(int(inside.sum()))
    noise = np.random.default_rng(seed).normal(size=inside.shape) * inside
    x = noise * (norm / (np.linalg.norm(noise) or 1.0))
    best, best_z = x, -math.inf
    for step in range(steps + 1):
        z, dx = _z_and_dx(path, x.astype(network.dtype), at)
        if z > best_z:
            best, best_z = x, z
        length = float(np.linalg.norm(dx * inside))
        if not inside.any() or length == 0 or not math.isfinite(length):
            break  # nothing to be gained from here
        rate = (1 - step / (steps + 1)) * norm / length
        x = x + rate * (dx * inside)
        x = x * (norm / np.linalg.norm(x))
    patch = best.reshape(shape)[_slices(field)].astype(network.dtype)
    return patch, best_z


def _widest(path: list[Layer]) -> Where:
    """The place that sees most of what enters; of several the one nearest to the middle."""
    places = path[-1].output_shape[:-1]
    middle = [(n - 1) / 2 for n in places]

    def key(place: Where) -> tuple[float, float]:
        field = chain.field(path, tuple((each, each + 1) for each in place))
        seen = math.prod(end - first for first, end in field)
        return -seen, math.dist(place, middle)

    return min(itertools.product(*map(range, places)), key=key)


def _z_and_dx(path: list[Layer], x: NDArray[Any], at: int) -> tuple[float, NDArray[np.float64]]:
    """z of the unit, and dz/dx."""
    _, caches = chain.forward(path, x, PREDICTING)
    kept = caches[-1]
    values = kept.output if kept.Z is None else kept.Z
    d = np.zeros(values.shape, dtype=values.dtype)
    d[at] = 1
    given = {"dA": d} if kept.Z is None else {"dA": None, "dZ": d}
    dx = chain.backward(path, caches, m=1.0, **given)[0]
    return float(values[at, 0]), np.asarray(dx, dtype=np.float64)
