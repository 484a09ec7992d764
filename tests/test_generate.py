"""Networks run a step at a time: net.step and net.generate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pellucid import Dense, Network, Scale, train
from pellucid.layers import (
    GRU,
    LSTM,
    BatchNorm,
    Conv1D,
    Dropout,
    Embedding,
    Layer,
    LayerNorm,
    Parallel,
    Recurrent,
    Residual,
)


def of_words(*layers: Layer, T: int = 6, n_words: int = 5, seed: int = 0) -> Network:
    """A network that draws words; parameters far from 0, so that words and states matter."""
    last = Dense(n_words, "softmax", each_step=len(layers) == 0 or layers[-1].sequences)
    net = Network([Embedding(n_words, 3), *layers, last], T, seed=seed, dtype="float64")
    rng = np.random.default_rng(seed)
    for parameter in net.parameters.values():
        parameter[...] = rng.normal(size=parameter.shape)
    return net


STACKS = [
    [LSTM(4, sequences=True)],
    [GRU(3, sequences=True), Recurrent(4, sequences=True)],
    [GRU(3, reset="after", sequences=True, dropout=0.5), LSTM(2)],
    [],
]
each_stack = pytest.mark.parametrize("layers", STACKS, ids=repr)


# --- step ---


@each_stack
def test_steps_give_what_the_whole_sequence_gives(layers: list[Any]) -> None:
    net = of_words(*layers)
    X, states = np.random.default_rng(1).integers(0, 5, (6, 3)), None
    sequences = not layers or layers[-1].sequences
    for t in range(6):
        A, states = net.step(X[t], states)
        assert A.shape == (5, 3)
        if sequences:
            np.testing.assert_allclose(A, net.forward(X)[5 * t : 5 * t + 5], rtol=1e-12)
    if not sequences:
        np.testing.assert_allclose(A, net.forward(X), rtol=1e-12)
    assert {l: set(each) for l, each in states.items()} == {
        l: set(layer.carried) for l, layer in enumerate(layers, start=2)
    }


def test_a_sequence_may_be_longer_than_the_network_s(rng: np.random.Generator) -> None:
    layers = [GRU(3, sequences=True), Dense(2, "tanh", each_step=True)]
    net = Network(layers, (2, 4), seed=0, dtype="float64")
    longer = Network(layers, (9, 4), {1: (net.W[1], net.b[1]), 2: (net.W[2], net.b[2])}, 0,
                     "float64")  # fmt: skip
    X, states, found = rng.normal(size=(9, 4, 3)), None, []
    for x in X:
        A, states = net.step(x, states)
        found.append(A)
    np.testing.assert_allclose(np.concatenate(found), longer.forward(X), rtol=1e-12)


def test_a_step_sees_the_present_arrays_and_leaves_states_alone() -> None:
    net = of_words(LSTM(4, sequences=True))
    _, states = net.step([1, 2])
    kept = {k: array.copy() for k, array in states[2].items()}
    once = net.step([3, 4], states)[0]
    np.testing.assert_array_equal(once, net.step(np.array([[3, 4]]), states)[0])
    assert all((states[2][k] == array).all() for k, array in kept.items())
    net.W[2][...] *= 2
    assert (net.step([3, 4], states)[0] != once).all()
    assert net.copy().step([3], {2: {k: a[:, :1] for k, a in kept.items()}})[0].shape == (5, 1)


def test_what_cannot_be_run_a_step_at_a_time_is_refused() -> None:
    for layers, name in (
        ([LSTM(2, backwards=True), Dense(1)], "LSTM 6 x 2 -> 2"),
        ([Conv1D(2, 3, padding="same"), LSTM(2), Dense(1)], "Conv1D 6 x 2 -> 6 x 2"),
        ([GRU(2, sequences=True), Dense(1)], "Dense 6 x 2 -> 1"),
        ([Scale(), GRU(2), Dense(1)], "Scale 6 x 2 -> 6 x 2"),
    ):
        net = Network(layers, (6, 2), seed=0)
        with pytest.raises(ValueError, match=rf"\({name}\) cannot be run a step at a time"):
            net.step(np.ones((2, 1)))
    pictures = Network([Dense(1)], (4, 4, 1), seed=0)
    with pytest.raises(ValueError, match=r"a step at a time is for sequences.*takes 4 x 4 x 1"):
        pictures.step(np.ones((16, 1)))


def test_a_step_of_the_wrong_shape_and_wrong_states_are_refused() -> None:
    net = Network([LSTM(3), Dense(1)], (6, 2), seed=0)
    with pytest.raises(ValueError, match=r"expects X of shape \(n\[0\], m\) = \(2, m\) or \(1, 2"):
        net.step(np.ones((12, 1)))
    _, states = net.step(np.ones((2, 4)))
    with pytest.raises(
        ValueError, match=r"states\[1\] must hold a and c, \(3, 1\), for 1 examples"
    ):
        net.step(np.ones((2, 1)), states)
    with pytest.raises(ValueError, match=r"states\[1\] must hold a and c.*got {'a': \(3, 4\)}"):
        net.step(np.ones((2, 4)), {1: {"a": states[1]["a"]}})
    for wrong in ({}, {2: states[1]}, [states]):
        with pytest.raises(
            ValueError, match=r"states must be what net.step returned.*layers 1; got"
        ):
            net.step(np.ones((2, 4)), wrong)


# --- generate ---


@each_stack
def test_the_likeliest_words_are_those_of_the_whole_sequence_run_anew(layers: list[Any]) -> None:
    net = of_words(*layers)
    start = [3, 1]
    found = net.generate(start, 4, temperature=0)
    for k in range(4):
        sequence = [*start, *found[:k]]
        anew = Network(net.layers, len(sequence), "zeros", 0, "float64")
        anew.put_parameters(net.parameters)
        assert anew.forward(np.array(sequence)[:, None])[-5:].argmax() == found[k]
    assert found.dtype == np.int64
    assert (net.generate(start, 4, temperature=1e-4, seed=3) == found).all()


def test_several_beginnings_are_gone_on_with_at_once() -> None:
    net = of_words(LSTM(4, sequences=True))
    start = np.array([[0, 3], [4, 1], [2, 2]])
    found = net.generate(start, 5, temperature=0)
    assert found.shape == (5, 2)
    for k in range(2):
        np.testing.assert_array_equal(found[:, k], net.generate(start[:, k], 5, temperature=0))


def test_words_are_drawn_with_their_probabilities() -> None:
    net = of_words(GRU(3, sequences=True), seed=2)
    m = 20_000
    A, _ = net.step([1])
    for temperature in (1.0, 0.5, 3.0):
        p = A[:, 0] ** (1 / temperature)
        p /= p.sum()
        drawn = net.generate(np.ones((1, m), int), 1, temperature=temperature, seed=7)[0]
        share = np.bincount(drawn, minlength=5) / m
        assert (np.abs(share - p) < 4 * np.sqrt(p * (1 - p) / m)).all()


def test_the_seed_decides() -> None:
    net = of_words(LSTM(4, sequences=True))
    net.W[3][...] *= 0.1  # so that any word may come
    once = net.generate([1], 40, seed=5)
    np.testing.assert_array_equal(net.generate([1], 40, seed=5), once)
    np.testing.assert_array_equal(net.generate([1], 10, seed=5), once[:10])
    assert (net.generate([1], 40, seed=6) != once).any()
    assert (net.generate([1], 40) != net.generate([1], 40)).any()


def test_certain_words_and_tiny_probabilities(recwarn: pytest.WarningsRecorder) -> None:
    net = of_words(LSTM(4, sequences=True))
    net.W[3][...] = 0
    net.b[3][:, 0] = [-2000, 0, 2000, -2000, 0]  # A is 0, 0, 1, 0, 0
    for temperature in (0, 1e-300, 1.0, 1e300):
        found = net.generate([0], 20, temperature=temperature, seed=1)
        assert temperature == 1e300 or set(found) == {2}
    assert not recwarn.list


def test_what_generate_cannot_do_is_refused() -> None:
    net = of_words(LSTM(4, sequences=True))
    for start in ([], [0.5], 3, np.zeros((2, 2, 2), int), ["a"]):
        with pytest.raises(ValueError, match="start must hold one or more word numbers"):
            net.generate(start, 2)
    with pytest.raises(ValueError, match=r"A_prev\[0, 0\] is 5, a word number beyond the table"):
        net.generate([1, 5], 2)
    with pytest.raises(ValueError, match="n_steps must be an integer of 1 or more; got 0"):
        net.generate([1], 0)
    for temperature in (-1, float("nan"), "hot"):
        with pytest.raises(ValueError, match="temperature must be 0 or more; got"):
            net.generate([1], 2, temperature=temperature)
    net.b[3][0] = np.nan
    with pytest.raises(ValueError, match=r"A\[L\] is not finite"):
        net.generate([1], 2)
    for layers in (
        [Embedding(5, 2), LSTM(2), Dense(4, "softmax")],
        [Embedding(5, 2), LSTM(2), Dense(5, "sigmoid")],
        [Embedding(5, 2), LSTM(5)],
    ):
        with pytest.raises(ValueError, match="generate draws words from a softmax over as many as"):
            Network(layers, 6, seed=0).generate([1], 2)


def test_a_song_is_learned_by_heart() -> None:
    """Which word follows a 1 depends on the words before: 0 1 2 0 1 3 again and again."""
    song = np.tile([0, 1, 2, 0, 1, 3], 40)
    X = np.stack([song[k : k + 12] for k in range(200)], axis=1)
    Y = np.stack([song[k + 1 : k + 13] for k in range(200)], axis=1)
    layers = [Embedding(4, 3), LSTM(12, sequences=True), Dense(4, "softmax", each_step=True)]
    net = Network(layers, 12, seed=0)
    train(net, X, Y, loss="cce", optimizer="adam", learning_rate=0.03, epochs=8, batch_size=20,
          seed=0)  # fmt: skip
    found = net.generate(song[:6], 60, temperature=0.5, seed=0)
    np.testing.assert_array_equal(found, song[6:66])


def test_norms_dropout_and_branches_go_a_step_at_a_time(rng: np.random.Generator) -> None:
    layers = [
        LayerNorm(),
        Residual([GRU(2, sequences=True), Dropout(0.5), Dense(3, "tanh", each_step=True)]),
        BatchNorm(),
        Parallel([LSTM(2, sequences=True), Recurrent(3, sequences=True)]),
        Dense(2, "tanh", each_step=True),
    ]
    net = Network(layers, (5, 3), seed=0, dtype="float64")
    for array in (net.parameters | net.statistics).values():
        array[...] = rng.uniform(0.5, 1, size=array.shape)
    X, states, found = rng.normal(size=(5, 3, 4)), None, []
    for x in X:
        A, states = net.step(x, states)
        found.append(A)
    np.testing.assert_allclose(np.concatenate(found), net.forward(X), rtol=1e-12)
    assert len(states) == 3
    mixed = Network([Residual([Scale()]), GRU(2), Dense(1)], (5, 3), seed=0)
    with pytest.raises(ValueError, match=r"Residual .* cannot be run a step at a time"):
        mixed.step(X[0])
