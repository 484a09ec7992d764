"""Embedding: columns of W looked up by word number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pellucid import Dense, Network, check_gradients, train
from pellucid.layers import GRU, LSTM, Embedding
from pellucid.losses import one_hot


def words(*examples: Any) -> np.ndarray:
    """Word numbers, an example each, as (steps, m)."""
    return np.array(examples).T


def test_columns_are_looked_up_and_gradients_added_up_by_hand() -> None:
    layer = Embedding(3, 2).build((3,))
    layer.parameters["W"][:] = [[0, 1, 2], [5, 6, 7]]
    A, cache = layer.forward(words([2, 0, 2], [0, 0, 0]))
    assert A.T.tolist() == [[2, 7, 0, 5, 2, 7], [0, 5, 0, 5, 0, 5]]
    assert cache.Z is cache.A is A
    dA = np.array([[1, 2, 3, 4, 5, 6], [10, 20, 30, 40, 50, 60]], float).T
    dA_prev, found = layer.backward(dA, cache)
    assert found["dW"].tolist() == [[(3 + 90) / 2, 0, (1 + 5) / 2], [(4 + 120) / 2, 0, (2 + 6) / 2]]
    assert dA_prev.shape == (3, 2)
    assert not dA_prev.any()
    assert list(found) == ["dZ", "dW"]  # there is no b
    assert found["dZ"] is dA


def test_it_is_a_product_with_one_hot_columns(rng: np.random.Generator) -> None:
    numbers = rng.integers(0, 7, (5, 4))
    layer = Embedding(7, 3).build((5,), seed=1)
    dense = Dense(3, "identity", each_step=True).build((5, 7))
    dense.parameters["W"][:] = layer.parameters["W"]
    A, cache = layer.forward(numbers)
    A_dense, cache_dense = dense.forward(one_hot(numbers, 7, float))
    np.testing.assert_array_equal(A, A_dense)
    dA = rng.normal(size=A.shape)
    dW = dense.backward(dA, cache_dense)[1]["dW"]
    np.testing.assert_allclose(layer.backward(dA, cache)[1]["dW"], dW, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float32, np.float64])
def test_word_numbers_may_be_integers_or_floats(dtype: Any) -> None:
    net = Network([Embedding(3, 2), Dense(1)], 2, seed=0)
    A = net.forward(words([2, 1], [0, 1]).astype(dtype), cache=True).A[1]
    assert A.dtype == np.float32
    np.testing.assert_array_equal(A[:2], net.W[1][:, [2, 0]])
    near = words([2.0004, 1], [-0.0004, 1])  # as a computation may leave them
    np.testing.assert_array_equal(net.forward(near, cache=True).A[1], A)


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [(3, "3"), (-1, "-1"), (1.5, "1.5"), (np.nan, "nan"), (np.inf, "inf"), (1e30, "1e+30")],
)
def test_a_number_that_is_no_word_is_refused(wrong: float, shown: str) -> None:
    net = Network([Embedding(3, 2), Dense(1)], (4,), seed=0, dtype="float64")
    X = np.zeros((4, 3))
    X[2, 1] = wrong
    message = (
        r"layer 1 \(Embedding 4 -> 4 x 2\): A_prev\[2, .\] is "
        + shown.replace("+", r"\+")
        + ", a word number beyond the table: words are whole numbers, 0 to 2"
    )
    for attempt in (
        lambda: net.layers[0].forward(X),
        lambda: net.forward(X),
        lambda: net.forward(X, cache=True),
        lambda: net.predict(X),
    ):
        with pytest.raises(ValueError, match=message):
            attempt()
    with pytest.raises(ValueError, match=message if np.isfinite(wrong) else "X holds NaN or infin"):
        train(net, X, [0, 1, 0], loss="mse", epochs=1)
    lengths = [4, 2, 4]  # step 3 of that example is padding: what stands there does not matter
    assert np.isfinite(net.forward(X, lengths=lengths)).all()


def test_the_padding_word_is_0_and_stays_so(rng: np.random.Generator) -> None:
    net = Network([Embedding(4, 3, padding=2), GRU(2), Dense(1, "sigmoid")], 5, seed=0)
    assert not net.W[1][:, 2].any()
    assert net.W[1][:, [0, 1, 3]].all()
    X = rng.integers(0, 4, (5, 30))
    train(net, X, X[0] > 1, loss="bce", optimizer="adamw", l2=0.1, epochs=3, seed=0)
    assert not net.W[1][:, 2].any()
    before = net.forward(X)
    net.W[1][:, 2] = 9  # what stands there does not count
    np.testing.assert_array_equal(net.forward(X), before)
    gradients = net.backward(net.forward(X, cache=True), X[0] > 1, "bce")
    assert not gradients.dW[1][:, 2].any()
    assert gradients.dW[1][:, [0, 1, 3]].all()


def test_padded_steps_are_no_words(rng: np.random.Generator) -> None:
    """They are 0 in the chain, but word 0 learns nothing of them."""
    net = Network([Embedding(3, 2), LSTM(2, sequences=True), Dense(3, "softmax", each_step=True)],
                  4, seed=0, dtype="float64")  # fmt: skip
    X, Y, lengths = rng.integers(1, 3, (4, 6)), rng.integers(0, 3, (4, 6)), [1, 2, 3, 4, 1, 2]
    cache = net.forward(X, cache=True, lengths=lengths)
    assert not net.backward(cache, Y, "cce").dW[1][:, 0].any()
    assert check_gradients(net, X, Y, "cce", lengths=lengths).ok


def test_it_starts_with_variance_1() -> None:
    W = Network([Embedding(500, 20), Dense(1)], 3, seed=4).W[1]
    assert W.std() == pytest.approx(1, rel=0.02)
    assert not Network([Embedding(5, 2), Dense(1)], 3, "zeros").W[1].any()
    own = Embedding(5, 2, initializer="constant", padding=0)
    assert Network([own, Dense(1)], 3, "he").W[1].tolist() == [[0, 0.5, 0.5, 0.5, 0.5]] * 2


def test_what_cannot_be_is_refused() -> None:
    for name, arguments in (("n_words", (0, 2)), ("n_units", (2, 2.5))):
        with pytest.raises(ValueError, match=f"Embedding: {name} must be an integer of 1 or more"):
            Embedding(*arguments)
    with pytest.raises(ValueError, match=r"padding must be a word number, 0 to 3, or None; got 4"):
        Embedding(4, 2, padding=4)
    with pytest.raises(ValueError, match=r"expects inputs of shape \(steps,\), a word number each"):
        Network([Embedding(4, 2), Dense(1)], (5, 3))


def test_word_numbers_have_no_derivative(rng: np.random.Generator) -> None:
    net = Network([Embedding(4, 2), Dense(3, "softmax")], 2, seed=0)
    cache = net.forward(rng.integers(0, 4, (2, 5)), cache=True)
    assert not net.backward(cache, [0, 1, 2, 1, 0], "cce", inputs=True).dX.any()


def test_a_large_table_takes_only_the_words_that_stand_there(rng: np.random.Generator) -> None:
    """One-hot columns of 200,000 words would be 1.6 GB here."""
    net = Network([Embedding(200_000, 4), Dense(1, "identity")], 100, seed=0)
    X = rng.integers(0, 200_000, (100, 20))
    gradients = net.backward(net.forward(X, cache=True), rng.normal(size=(1, 20)), "mse")
    touched = np.flatnonzero(gradients.dW[1].any(axis=0))
    np.testing.assert_array_equal(touched, np.unique(X))


def test_what_depends_on_the_order_of_words_is_learned(rng: np.random.Generator) -> None:
    """Whether word 1 comes before word 2: a bag of words knows nothing of it."""
    X = rng.integers(3, 8, (8, 300))
    places = np.array([rng.choice(8, 2, replace=False) for _ in range(300)])
    X[places[:, 0], np.arange(300)], X[places[:, 1], np.arange(300)] = 1, 2
    Y = places[:, 0] < places[:, 1]
    net = Network([Embedding(8, 4), LSTM(8), Dense(1, "sigmoid")], 8, seed=0)
    train(net, X, Y, loss="bce", optimizer="adam", learning_rate=0.02, epochs=20, batch_size=20,
          seed=0)  # fmt: skip
    assert (net.predict(X)[0] == Y).mean() > 0.98
