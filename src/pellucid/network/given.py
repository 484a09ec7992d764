"""What a network is given: its layers, its inputs, X, lengths and Y."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid._shown import plain
from pellucid.checks import is_whole
from pellucid.engines.contract import Data
from pellucid.initializers import Initializer
from pellucid.layers import LAYERS, Layer
from pellucid.layers.chain import leaves


def checked_shape(input_shape: Any, n_inputs: Any) -> tuple[int, ...]:
    """Return the shape of an example, from a number, a tuple or ``n_inputs``."""
    if (input_shape is None) == (n_inputs is None):
        raise TypeError(
            "Network: give the shape of an example once, as Network(layers, 3) or "
            "Network(layers, (28, 28, 1)); n_inputs=3 is another name for a number."
        )
    name, given = ("n_inputs", n_inputs) if input_shape is None else ("input_shape", input_shape)
    shape = tuple(given) if isinstance(given, (tuple, list)) and name == "input_shape" else (given,)
    if not shape or len(shape) > 4 or not all(is_whole(each, 1) for each in shape):
        kind = "an integer of 1 or more"
        if name == "input_shape":
            kind += ", or up to four of them such as (28, 28, 1)"
        raise ValueError(f"Network: {name} must be {kind}; got {plain(given)!r}.")
    return tuple(int(each) for each in shape)


def checked_layers(layers: Iterable[Layer]) -> list[Layer]:
    """Return the layers as a list; refuse what makes no network."""
    layers = list(layers)
    if not layers:
        raise ValueError("a Network needs at least one layer, such as Dense(1, 'sigmoid').")
    for position, layer in enumerate(layers, start=1):
        if not isinstance(layer, Layer):
            raise TypeError(
                f"layers must be a list of layers such as Dense(4, 'tanh'); entry {position} is "
                f"{layer!r}."
            )
    for position, layer in enumerate(layers[:-1], start=1):
        for leaf in leaves([layer]):
            if leaf.activation is not None and leaf.activation.output_only:
                inside = "" if leaf is layer else f", in it {leaf!r}"
                raise ValueError(
                    f"entry {position}, {layer!r}{inside}: {leaf.activation.name} is for the "
                    "output layer."
                )
    if not layers[-1].computes_Z:
        raise ValueError(f"the last layer must compute a Z, such as Dense; got {layers[-1]!r}.")
    if layers[-1].dropout:
        raise ValueError(f"the output layer cannot drop units; got {layers[-1]!r}.")
    return layers


def check_names(layers: Iterable[Layer]) -> None:
    """Refuse what has one name twice: a layer without a Z has the number of the one before.

    That are parameters, statistics, and the draws by which units are dropped.
    """
    of: dict[str, Layer] = {}
    for layer in layers:
        have = {
            f"{letter}{layer.number}": f"have a parameter {letter}{layer.number}"
            for letter in [*layer.parameters, *layer.statistics]
        }
        if layer.dropout:
            have[f"mask {layer.number}"] = "drop units, by the same draws"
        for name, what in have.items():
            if name in of:
                raise ValueError(
                    f"{of[name].where()} and {layer.where()} both {what}; {_mend(of[name], layer)}."
                )
            of[name] = layer


def _mend(one: Layer, other: Layer) -> str:
    mend = "put a layer with a Z, such as Dense, between them"
    own = next((k for k in (one, other) if type(k) is not LAYERS.get(k.name)), None)
    if own is None or type(one) is type(other):
        return mend
    name = type(own).__name__
    return f"{mend}, take another letter in {name}, or let it count as a layer l: computes_Z = True"


def is_function(initializer: Any) -> bool:
    """Whether W[l] comes from a function of one's own."""
    return callable(initializer) and not isinstance(initializer, (Initializer, type))


def checked_X(X: Data, shape: tuple[int, ...], where: Callable[[], str]) -> Data:
    """Return X as an array or sparse matrix of shape (n[0], m); refuse anything else."""
    if hasattr(X, "tocsc"):
        X = X.tocsc()  # columns, the examples, are what is taken
    else:
        X = np.asarray(X)
        if X.dtype.kind not in "biuf":
            raise TypeError(f"X must hold numbers; got dtype {X.dtype}.")
    n = math.prod(shape)
    if X.ndim == 2 and X.shape[0] == n:
        return X
    if len(shape) > 1 and X.shape[:-1] == shape:
        return X.reshape(n, X.shape[-1])
    expected = f"(n[0], m) = ({n}, m)"
    if len(shape) > 1:
        expected += f" or ({', '.join(map(str, shape))}, m)"
    hint = ""
    if X.ndim == 2 and X.shape[1] == n:
        hint = " An example is a column here: pass the transpose, X.T."
    elif len(shape) > 1 and X.shape[1:] == shape:
        hint = " The last axis is the example here: pass np.moveaxis(X, 0, -1)."
    elif X.shape == (n,):
        hint = " For one example pass X.reshape(-1, 1)."
    elif len(shape) > 1 and X.shape == shape:
        hint = " For one example pass X[..., None]."
    raise ValueError(f"{where()} expects X of shape {expected}; got {X.shape}.{hint}")


def checked_lengths(lengths: Any, shape: tuple[int, ...], m: int) -> NDArray[np.int64]:
    """Return how many steps each of m examples has, 1 to as many as the network takes."""
    if len(shape) == 3 or shape == (1,):
        raise ValueError(
            "lengths are for sequences, of shape (steps, features); this network takes "
            f"{' x '.join(map(str, shape))} numbers."
        )
    found = np.asarray(lengths)
    if found.shape != (m,) or found.dtype.kind not in "iu":
        raise ValueError(
            f"lengths must be whole numbers, one for each example, (m,) = ({m},); got "
            f"{found.dtype} {found.shape}."
        )
    wrong = (found < 1) | (found > shape[0])
    if wrong.any():
        k = int(wrong.argmax())
        raise ValueError(
            f"lengths must be 1 to {shape[0]}, the steps that X has; lengths[{k}] is {found[k]}."
        )
    return found.astype(np.int64)


def check_cast(X: Data, dtype: np.dtype[Any]) -> None:
    """Refuse numbers that the network's dtype cannot hold."""
    values = X.data if hasattr(X, "toarray") else X
    if values.dtype.itemsize > dtype.itemsize and values.dtype.kind == "f" and values.size:
        largest = max(abs(float(values.min())), abs(float(values.max())))
        if float(np.finfo(dtype).max) < largest < np.inf:
            raise ValueError(
                f"X holds numbers that {dtype} cannot: the largest is {largest:.3g}. "
                "Scale X, or make the network with dtype='float64'."
            )
