"""A chain of layers: their numbers and shapes, forward through all, backward through all.

A network is a chain; so is what stands inside a Residual or a Parallel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pellucid._shown import plain
from pellucid.layers.base import Array, Layer, LayerCache
from pellucid.layers.shapes import Places, held, valid_steps

MOST_DEEP = 20
"""Layers may stand inside each other so deep."""


@dataclass(frozen=True)
class Mode:
    """How a pass is made.

    ``masks[l]`` are dropout masks; ``training`` is True where a layer shall take its statistics
    from the examples at hand (BatchNorm), False where it shall take those that it has kept.
    ``states[l]`` is what a recurrent layer starts from, by letter: a<0>, and c<0> of an LSTM.
    """

    masks: Mapping[int, Array] | None = None
    training: bool = False
    states: Mapping[int, Mapping[str, Array]] | None = None


PREDICTING = Mode()
"""Nothing is dropped, and layers take the statistics that they have kept."""


def leaves(layers: Iterable[Layer]) -> list[Layer]:
    """Return the layers, and in place of one that holds others these.

    >>> from pellucid.layers import Dense, Scale
    >>> leaves([Scale(), Dense(2)])
    [Scale(), Dense(2, 'relu')]
    """
    return [leaf for layer in layers for leaf in (leaves(layer.inner) if layer.inner else [layer])]


def walk(layers: Iterable[Layer]) -> Iterator[Layer]:
    """Yield the layers, and those inside of one before it.

    >>> from pellucid.layers import Dense, Residual
    >>> list(walk([Residual([Dense(2)])]))
    [Dense(2, 'relu'), Residual([Dense(2, 'relu')])]
    """
    for layer in layers:
        yield from walk(layer.inner)
        yield layer


def checked(argument: str, layers: Any) -> list[Layer]:
    """Return what shall stand inside a layer, as a list; ``argument`` is what it was given as."""
    given = list(layers) if isinstance(layers, (list, tuple)) else [layers]
    for position, layer in enumerate(given, start=1):
        if not isinstance(layer, Layer):
            raise TypeError(
                f"{argument} must be a list of layers such as Dense(4, 'tanh'); entry {position} "
                f"is {plain(layer)!r:.80}."
            )
        if _depth(layer) >= MOST_DEEP:
            raise ValueError(f"{argument}: layers may stand {MOST_DEEP} deep inside each other.")
    return given


def _depth(layer: Layer) -> int:
    return 1 + max(map(_depth, layer.inner), default=0)


def shape_after(layers: Iterable[Layer], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of what leaves the last layer, of that of what enters the first."""
    for layer in layers:
        shape = layer.output_shape_for(shape)
    return shape


def lengths_after(layers: Iterable[Layer], lengths: Array) -> Array:
    """Return how many steps of each example are left after the layers, as a layer does."""
    for layer in layers:
        lengths = None if lengths is None else layer.lengths_after(lengths)
    return lengths


def field(layers: Sequence[Layer], places: Places) -> Places:
    """Return the places of what enters on which these of the last layer's output depend."""
    for layer in reversed(layers):
        places = layer.field(places)
    return places


def place(layers: Iterable[Layer], shape: tuple[int, ...], number: int = 0) -> tuple[int, ...]:
    """Give each layer its number and its shapes, the first those of what enters; return the last.

    ``number`` is that of the layer before.
    """
    for layer in layers:
        layer.place(shape, number + layer.computes_Z)
        shape, number = layer.output_shape, layer.number
    return shape


def forward(
    layers: Iterable[Layer], A: Array, mode: Mode, lengths: Array = None
) -> tuple[Array, list[LayerCache]]:
    """Return what leaves the last layer, and the cache of each.

    With ``lengths`` (m,) the padded steps of what enters must be 0, and are 0 after each layer.
    """
    caches = []
    for layer in layers:
        mask = mode.masks.get(layer.number) if mode.masks and layer.dropout else None
        given = {"lengths": lengths, "mode": mode}
        A, cache = layer.forward(A, mask, **{name: given[name] for name in layer.needs})
        if lengths is not None:
            cache.lengths, lengths = lengths, layer.lengths_after(lengths)
        if lengths is not None:
            cache.valid = valid_steps(lengths, layer.output_shape)
            A = cache.output = held(A, cache.valid)
        caches.append(cache)
    return A, caches


def backward(
    layers: Sequence[Layer],
    caches: Sequence[LayerCache],
    dA: Array,
    *,
    dZ: Array = None,
    m: float | None = None,
    inputs: bool = True,
) -> tuple[Array, list[dict[str, Array]], list[Array]]:
    """Return dA of what entered, the gradients of each layer, and the dA that left each.

    Either dA or dZ of the last layer is given. Layers inside of another one stand in its place, as
    in :func:`leaves`; their own dA are not returned.
    """
    by_layer: list[dict[str, Array]] = []
    entered: list[Array] = []
    for k in reversed(range(len(layers))):
        layer, cache = layers[k], caches[k]
        if cache.valid is not None and dA is not None:
            dA = held(dA, cache.valid)
        entered.insert(0, dA)
        dA, found = layer.backward(dA, cache, dZ=dZ, m=m, inputs=inputs or k > 0)
        by_layer[:0] = found if isinstance(found, list) else [found]
        dZ = None
    return dA, by_layer, entered
