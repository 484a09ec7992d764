"""The loss surface: J over two parameters, the others held, and gradient descents racing on it.

J at W[l][r, c] + d is that of Z[l][r] + d A[l-1][c]: the grid is one pass of every example at every
place, from the first layer that one of the two parameters belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import propagation
from pellucid.engines import permutation
from pellucid.insight.gradient_check import in_float64
from pellucid.lab.session.experiment import Experiment
from pellucid.lab.session.settings import real, whole
from pellucid.layers import Layer, LayerCache
from pellucid.losses import LOSSES, Loss, check_targets, loss
from pellucid.network import Network
from pellucid.training.measure import one_thread

Floats = NDArray[np.floating[Any]]

MOST_EXAMPLES = 256
GRIDS = ((41, 256), (31, 256), (25, 256), (21, 256), (21, 64), (15, 64), (11, 64))
"""Places each way, and at most so many examples: the finest that is not too much work is taken."""
WORK_PLAYING, WORK_STILL, WORK_RACE = 6e7, 1.5e9, 1e10
"""Multiplications for a grid while training goes on, and while it waits; and for a race."""
COLUMNS = 8192
"""Examples times places in one pass."""
MOST_RATES, MOST_STEPS, MOST_POINTS = 6, 1000, 16
MARGIN = 1.25
"""What an axis covers, times the extent of what is to be seen."""


@dataclass(frozen=True)
class Place:
    """A cell of W[layer] or b[layer]."""

    letter: str
    layer: int
    row: int
    column: int

    def __str__(self) -> str:
        return f"{self.letter}[{self.layer}][{self.row}, {self.column}]"


Pair = tuple[Place, Place]


class Slice:
    """J over two cells, the others as they are; over so many training examples at most.

    Attributes
    ----------
    places : (Place, Place)
    losses : list of Loss
        The experiment's, and perhaps another beside it.
    now : array
        (2,), the two cells as they are.
    m : int
        The number of examples.
    """

    def __init__(
        self,
        experiment: Experiment,
        places: Pair,
        losses: list[Loss],
        most: int = MOST_EXAMPLES,
        *,
        exact: bool = False,
    ) -> None:
        e = experiment
        network = in_float64(e.network) if exact else e.network
        chosen = _chosen(e.training, most)
        self.places, self.losses, self.m = places, losses, len(chosen)
        self._l1, self._l2 = e.settings.l1, e.settings.l2
        first = next(
            k
            for k, layer in enumerate(network.layers)
            if any(self._belongs(place, layer) for place in places)
        )
        below, self.layers = network.layers[:first], network.layers[first:]
        self.Y = np.asarray(e.Y[:, chosen], dtype=network.dtype)
        self._A = np.asarray(e.X[:, chosen], dtype=network.dtype)
        if below:
            self._A = propagation.forward(below, self._A).caches[-1].output
        self._below = propagation.penalty(below, self._l1, self._l2)
        self.now = np.array([cell(network, place) for place in places], dtype=np.float64)

    def work(self, size: int) -> float:
        """Return about how many multiplications a grid takes; an activation counts as 20."""
        each = sum(W.size + 20 * len(W) for W in (k.parameters["W"] for k in self._dense()))
        return float(size**2 * self.m * each)

    def costs(self, points: Floats) -> Floats:
        """Return J of each loss at each of these values of the two cells: (losses, points)."""
        found = np.empty((len(self.losses), len(points)))
        per_pass = max(1, COLUMNS // self.m)
        with _calmly():
            for start in range(0, len(points), per_pass):
                part = points[start : start + per_pass]
                found[:, start : start + len(part)] = self._costs(part)
        return found + self._penalties(points)

    def _costs(self, points: Floats) -> Floats:
        cache = self._forward(points - self.now)
        Y = np.tile(self.Y, len(points))
        each = np.array([propagation.losses(cache, Y, loss) for loss in self.losses], np.float64)
        means: Floats = each.reshape(len(self.losses), len(points), self.m).mean(axis=-1)
        return means

    def _forward(self, moved: Floats) -> propagation.Cache:
        """A pass of all examples for each row of ``moved``, one behind the other."""
        A = X = np.tile(self._A, len(moved))
        caches = []
        for layer in self.layers:
            here = [k for k in (0, 1) if self._belongs(self.places[k], layer)]
            after, cache = layer.forward(A)
            for k in here:
                by = np.repeat(moved[:, k], self.m).astype(A.dtype)
                place = self.places[k]
                cache.Z[place.row] += by * A[place.column] if place.letter == "W" else by
            if here and layer.activation:
                after = layer.activation(cache.Z)
                cache = LayerCache(A, after, cache.Z, after)
            caches.append(cache)
            A = after
        return propagation.Cache(self.layers, X, caches)

    def _penalties(self, points: Floats) -> Floats:
        """What l1 and l2 add at each point."""
        total = self._below + propagation.penalty(self.layers, self._l1, self._l2)
        added = np.full(len(points), total)
        for k, place in enumerate(self.places):
            if place.letter == "W":
                w, before = points[:, k], self.now[k]
                added += self._l2 / 2 * (w**2 - before**2) + self._l1 * (abs(w) - abs(before))
        return added

    def descend(self, loss: Loss, start: Floats, rate: float, steps: int) -> tuple[Floats, Floats]:
        """Return the points of w := w - rate dJ/dw, full batch, and J at each; the first is start.

        Only for an ``exact`` slice: its arrays are a copy, and are moved. It ends where J is no
        longer finite.
        """
        points, costs = [np.array(start)], []
        with _calmly():
            for step in range(steps + 1):
                J, slope = self._cost_and_slope(loss, points[-1])
                costs.append(J)
                if step == steps or not np.isfinite([J, *slope]).all():
                    break
                points.append(points[-1] - rate * slope)
        return np.array(points), np.array(costs)

    def _cost_and_slope(self, loss: Loss, values: Floats) -> tuple[float, Floats]:
        arrays = [self._layer(place).parameters[place.letter] for place in self.places]
        for place, array, value in zip(self.places, arrays, values, strict=True):
            array[place.row, place.column] = value
        l1, l2 = self._l1, self._l2
        cache = propagation.forward(self.layers, self._A)
        J = propagation.cost(cache, self.Y, loss, l1=l1, l2=l2) + self._below
        found = propagation.backward(cache, self.Y, loss, l1=l1, l2=l2)
        slope = []
        for place in self.places:
            by_name = found.by_layer[self.layers.index(self._layer(place))]
            slope.append(float(by_name[f"d{place.letter}"][place.row, place.column]))
        return J, np.array(slope)

    def _layer(self, place: Place) -> Layer:
        return next(layer for layer in self.layers if self._belongs(place, layer))

    def _dense(self) -> list[Layer]:
        return [layer for layer in self.layers if layer.computes_Z]

    @staticmethod
    def _belongs(place: Place, layer: Layer) -> bool:
        return layer.computes_Z and layer.number == place.layer


# What the page asks for ---------------------------------------------------------------------------


def surface(
    experiment: Experiment, given: Mapping[str, Any], *, playing: bool
) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """Return what a drawing needs to know, and J: (losses, size, size), the second cell upwards.

    ``given`` holds places, [[letter, layer, row, column], ...], zoom, also, points that are to be
    seen too, and other, a second loss.
    """
    e, places = experiment, _read_places(experiment, given)
    cut, size = _fitting(e, places, _read_losses(e, given), WORK_PLAYING if playing else WORK_STILL)
    if not np.isfinite(cut.now).all():
        raise ValueError("There is no surface: the parameters are no longer finite. Reset.")
    path, zoom = _path(e, places), real(given, "zoom", 0.01, 100, 1.0)
    shown = np.vstack([path, cut.now, *_read_points(given)])
    extent = [_extent(shown[:, k], cut.now[k], zoom) for k in (0, 1)]
    axes = [np.linspace(low, high, size) for low, high in extent]
    grid = np.stack([g.ravel() for g in np.meshgrid(*axes)], axis=1)
    points = np.vstack([grid, cut.now])
    J = cut.costs(points)
    known = {
        "places": [str(place) for place in places],
        "extent": extent,
        "size": size,
        "m": cut.m,
        "of": len(e.training),
        "step": e.step,
        "path": path,
        "stride": e.path.stride,
        "from": e.path.steps[0] if e.path.steps else e.step,
        "now": cut.now,
        "others": [name for name in others(e) if name != e.loss.name],
        "losses": [
            {"name": k.name, "formula": k.formula, "now": row[-1], **_lowest(points, row)}
            for k, row in zip(cut.losses, J, strict=True)
        ],
    }
    return known, J[:, :-1].reshape(-1, size, size).astype(np.float32)


def race(experiment: Experiment, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the gradient descents on the surface: of each loss, one for each learning rate.

    ``given`` holds, besides the places and other of :func:`surface`, start, rates and steps.
    """
    e, places = experiment, _read_places(experiment, given)
    cut = Slice(e, places, _read_losses(e, given), exact=True)
    start, rates = _read_point("start", given.get("start")), given.get("rates")
    if not isinstance(rates, list) or not 1 <= len(rates) <= MOST_RATES:
        raise ValueError(f"rates must be a list of 1 to {MOST_RATES} numbers; got {rates!r:.60}.")
    alphas = [real({"learning rate": rate}, "learning rate", -1e6, 1e6, None) for rate in rates]
    steps = whole(given, "steps", 1, MOST_STEPS, 60)
    if 3 * cut.work(1) * steps * len(alphas) * len(cut.losses) > WORK_RACE:
        raise ValueError(
            f"a race of {len(alphas)} learning rates over {steps} steps is too much work for this "
            "network. Take fewer steps, or cells of a later layer."
        )
    runs = []
    for fitted in cut.losses:
        for rate in alphas:
            points, costs = cut.descend(fitted, start, rate, steps)
            diverged = not costs[-1] <= costs[0]
            runs.append(
                {"loss": fitted.name, "rate": rate, "steps": len(points) - 1, "points": points}
                | {"J": costs, "diverged": bool(diverged)}
            )
    return runs


def others(experiment: Experiment) -> list[str]:
    """Return the losses that this output and these targets can have."""
    e, found = experiment, []
    for kind in LOSSES.values():
        try:
            check_targets(e.Y, kind(), len(e.Y), e.m)
        except ValueError:
            continue
        if e.settings.output in kind.fits:
            found.append(kind.name)
    return found


def cell(network: Network, place: Place) -> float:
    """Return the value of a cell."""
    array = (network.W if place.letter == "W" else network.b)[place.layer]
    return float(array[place.row, place.column])


@contextmanager
def _calmly() -> Iterator[None]:
    """Products as small as these lose by being shared among threads; what overflows is told."""
    with one_thread(), np.errstate(over="ignore", invalid="ignore"):
        yield


def _fitting(
    experiment: Experiment, places: Pair, losses: list[Loss], limit: float
) -> tuple[Slice, int]:
    """The finest of :data:`GRIDS` within this work."""
    for size, most in GRIDS:
        cut = Slice(experiment, places, losses, most)
        if cut.work(size) <= limit:
            return cut, size
    raise ValueError(
        f"The surface over {places[0]} and {places[1]} is too much work "
        f"{'while it trains: pause, or' if limit == WORK_PLAYING else 'here:'} take cells of a "
        "later layer, since only the layers from there on are computed."
    )


def _chosen(training: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """All training examples, or so many of them: always the same."""
    if len(training) <= most:
        return training
    return training[permutation(0, len(training), step=0)[:most]]


def _path(experiment: Experiment, places: Pair) -> Floats:
    """Where the two cells were: (points, 2)."""
    starts, total = {}, 0
    for key, array in experiment.network.parameters.items():
        starts[key] = (total, array.shape[1])
        total += array.size
    numbers = []
    for place in places:
        start, width = starts[f"{place.letter}{place.layer}"]
        numbers.append(start + place.row * width + place.column)
    path = experiment.path.of(numbers)
    return path[np.isfinite(path).all(axis=1)]


def _extent(values: Floats, now: float, zoom: float) -> list[float]:
    """What an axis covers: the values with a margin, mostly 0 too, between round numbers.

    A closer look is around the present value.

    >>> _extent(np.array([0.0, 2.0]), 2.0, 1.0), _extent(np.array([0.0, 2.0]), 2.0, 0.25)
    ([-2.0, 4.0], [1.2, 2.8])
    """
    low, high = float(values.min()), float(values.max())
    half = zoom * max(1.0, MARGIN * abs(now), MARGIN * (high - low) / 2)
    middle = now if zoom < 1 else (low + high) / 2
    unit = 10.0 ** np.floor(np.log10(half / 2))
    unit = float(next(k * unit for k in (5.0, 2.0, 1.0) if k * unit <= half / 2))
    ends = np.floor((middle - half) / unit), np.ceil((middle + half) / unit)
    return [float(np.round(end * unit, 12)) + 0.0 for end in ends]


def _lowest(points: Floats, J: Floats) -> dict[str, Any]:
    k = int(np.where(np.isfinite(J), J, np.inf).argmin())
    return {"lowest": J[k], "lowest_at": points[k]}


def _read_places(experiment: Experiment, given: Mapping[str, Any]) -> Pair:
    wanted = given.get("places")
    if not isinstance(wanted, list) or len(wanted) != 2:
        raise ValueError(f"places must be two cells of W or b; got {wanted!r:.60}.")
    read = []
    for each in wanted:
        if not isinstance(each, list) or len(each) != 4 or each[0] not in ("W", "b"):
            raise ValueError(f"a place must be [letter, layer, row, column]; got {each!r:.60}.")
        names = ("layer", "row", "column")
        numbers = dict(zip(names, each[1:], strict=True))
        place = Place(each[0], *(whole(numbers, name, 0, 10**6, None) for name in names))
        experiment.array_with(place.letter, place.layer, place.row, place.column)
        read.append(place)
    if read[0] == read[1]:
        raise ValueError(f"both are {read[0]}: choose two different cells.")
    return read[0], read[1]


def _read_points(given: Mapping[str, Any]) -> list[Floats]:
    also = given.get("also") or []
    if not isinstance(also, list) or len(also) > MOST_POINTS:
        raise ValueError(f"also must be a list of at most {MOST_POINTS} points; got {also!r:.60}.")
    return [_read_point("also", each) for each in also]


def _read_point(name: str, point: Any) -> Floats:
    if not isinstance(point, list) or len(point) != 2:
        raise ValueError(f"{name} must be two numbers; got {point!r:.40}.")
    return np.array([real({name: value}, name, -1e6, 1e6, None) for value in point])


def _read_losses(experiment: Experiment, given: Mapping[str, Any]) -> list[Loss]:
    """The experiment's loss and the other, if one is asked for."""
    name = given.get("other")
    if name is None:
        return [experiment.loss]
    allowed = others(experiment)
    if name not in allowed:
        raise ValueError(
            f"the loss {name!r:.40} does not fit this output; {', '.join(allowed)} do."
        )
    return [experiment.loss, loss(name)]
