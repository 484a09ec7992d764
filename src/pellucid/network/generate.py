"""A network run a step at a time: states carried on, and new words drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid import philox, propagation
from pellucid._shown import plain
from pellucid.checks import is_number, is_whole

if TYPE_CHECKING:
    from pellucid.layers import Layer
    from pellucid.network.network import Network

States = dict[int, dict[str, NDArray[Any]]]


def one_step(network: Network) -> Network:
    """Return the network on the same arrays for one step at a time; refuse what needs several."""
    if len(network.input_shape) not in (1, 2):
        raise ValueError(
            "a step at a time is for sequences, (steps,) words or (steps, features); this network "
            f"takes {' x '.join(map(str, network.input_shape))} numbers."
        )
    for layer in network.layers:
        if not layer.each_step:
            raise ValueError(
                f"{layer.where()} cannot be run a step at a time: it needs the other steps, too. "
                "Dense can with each_step=True, a recurrent layer unless it goes backwards."
            )
        if len(layer.output_shape) < len(layer.input_shape):
            break  # what follows is made of the last state alone
    arrays = [layer.parameters for layer in network.leaves]
    shape = (1, *network.input_shape[1:])
    made = network._around(network.layers, arrays, shape, network.seed, network.dtype)
    for layer, single in zip(network.leaves, made.leaves, strict=True):
        single.statistics = layer.statistics
    return made


def stepped(one: Network, x: Any, states: Any) -> tuple[NDArray[Any], States]:
    """Return A[L] after one step more, and the states to go on from."""
    if np.ndim(x) == 1 and one.input_shape == (1,):
        x = np.asarray(x)[np.newaxis]
    X = one._dense(one.checked_X(x))
    carrying = [layer for layer in one.leaves if layer.carried]
    states = None if states is None else _checked(carrying, states, X.shape[1], one.dtype)
    cache = propagation.forward(one.layers, X, states=states)
    found = {
        layer.number: {letter: kept.steps[letter][0] for letter in layer.carried}
        for layer, kept in zip(cache.layers, cache.caches, strict=True)
        if layer.carried
    }
    return cache.chain_caches[-1].output, found


def _checked(carrying: list[Layer], states: Any, m: int, dtype: np.dtype[Any]) -> States:
    """The states that were given, arrays of the network's dtype."""
    expected = {layer.number: layer for layer in carrying}
    if not isinstance(states, Mapping) or set(states) != set(expected):
        raise ValueError(
            "states must be what net.step returned, arrays by letter of the layers "
            f"{', '.join(map(str, expected)) or '(none)'}; got {plain(states)!r:.80}."
        )
    found: States = {}
    for l, layer in expected.items():
        found[l] = {k: np.asarray(states[l][k], dtype) for k in layer.carried if k in states[l]}
        got = {letter: array.shape for letter, array in found[l].items()}
        shape = (layer.output_shape[-1], m)
        if got != dict.fromkeys(layer.carried, shape):
            raise ValueError(
                f"states[{l}] must hold {' and '.join(layer.carried)}, {shape}, for {m} examples; "
                f"got {got}."
            )
    return found


def generated(
    network: Network, start: Any, n_steps: int, temperature: float, seed: int | None
) -> NDArray[np.int64]:
    """Return new words, (n_steps,), or (n_steps, m) for m beginnings."""
    one, words = one_step(network), np.asarray(start)
    n_words = one.output_shape[-1]
    g, first = one.layers[-1].activation, one.layers[0]
    if g is None or g.name != "softmax" or getattr(first, "n_words", None) != n_words:
        raise ValueError(
            "generate draws words from a softmax over as many as the Embedding at the beginning "
            f"has; this network begins with {first!r} and ends with {one.layers[-1]!r}. net.step "
            "runs any network a step at a time."
        )
    if words.ndim not in (1, 2) or words.dtype.kind not in "iu" or not words.size:
        raise ValueError(
            "start must hold one or more word numbers, (steps,) or (steps, m); got "
            f"{words.dtype} {words.shape}."
        )
    if not is_whole(n_steps, 1):
        raise ValueError(f"n_steps must be an integer of 1 or more; got {plain(n_steps)!r}.")
    if not is_number(temperature) or temperature < 0:
        raise ValueError(f"temperature must be 0 or more; got {plain(temperature)!r}.")
    columns = words.reshape(len(words), -1)
    u = philox.uniform(philox.check_seed(seed), (n_steps, columns.shape[1]), stream=philox.WORDS)
    states, new = None, np.empty(u.shape, np.int64)
    for word in columns:
        A, states = stepped(one, word, states)
    for k in range(n_steps):
        if k:
            A, states = stepped(one, new[k - 1], states)
        new[k] = _drawn(A, temperature, u[k])
    return new if words.ndim == 2 else new[:, 0]


def _drawn(A: NDArray[Any], temperature: float, u: NDArray[np.float64]) -> NDArray[np.int64]:
    """A word for each column of A, of probability a^(1 / temperature), shared out to sum to 1."""
    if not np.isfinite(A).all():
        raise ValueError("A[L] is not finite: the parameters hold NaN or infinity.")
    if temperature == 0:
        likeliest: NDArray[np.int64] = A.argmax(axis=0)
        return likeliest
    with np.errstate(divide="ignore", under="ignore"):
        log = np.log(A.astype(np.float64)) / temperature
        share = np.exp(log - log.max(axis=0))
    below = np.cumsum(share, axis=0)
    drawn: NDArray[np.int64] = (below <= u * below[-1]).sum(axis=0)
    return drawn
