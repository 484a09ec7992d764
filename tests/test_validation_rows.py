"""Validation rows stay in X: the numbers are those of two arrays, and nothing is copied."""

import gc
import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import ConvergenceWarning

from pellucid import Dense, MLPClassifier, Network, train
from pellucid.engines import ENGINES, simd
from pellucid.training import Examples

BUILT = [name for name in ENGINES if name != "fused" or simd.levels()]
CCE = "categorical_cross_entropy"
HELD_OUT = np.array([50, 3, 4, 17, 41, 8, 59])


def made(m=60, n=5, classes=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, m)), rng.integers(0, classes, m), rng.uniform(0.5, 2, m)


def network(n=5, classes=3):
    return Network([Dense(6, "tanh"), Dense(classes, "softmax")], n, seed=0)


KINDS = {
    "dense": np.asarray,
    "rows": lambda X: np.ascontiguousarray(X.T).T,
    "int16": lambda X: (100 * X).astype(np.int16),
    "sparse": scipy.sparse.csc_array,
}


@pytest.mark.parametrize("engine", BUILT)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_rows_of_x_are_as_good_as_two_arrays(engine, kind, optimizer):
    X, y, w = made()
    X = KINDS[kind](X)
    rest = np.setdiff1d(np.arange(60), HELD_OUT)
    options = {
        "loss": CCE,
        "optimizer": optimizer,
        "epochs": 4,
        "batch_size": 8,
        "metrics": ["accuracy"],
        "class_weight": "balanced",
        "engine": engine,
    }
    nets = [network(), network()]
    histories = [
        train(nets[0], X, y, sample_weight=w, validation_rows=HELD_OUT, **options),
        train(
            nets[1],
            X[:, rest],
            y[rest],
            sample_weight=w[rest],
            validation_data=(X[:, HELD_OUT], y[HELD_OUT], w[HELD_OUT]),
            **options,
        ),
    ]
    assert histories[0].curves == histories[1].curves
    assert "val_accuracy" in histories[0].curves
    assert histories[0].settings == histories[1].settings
    for name, array in nets[1].parameters.items():
        assert np.array_equal(nets[0].parameters[name], array), name


def test_targets_in_columns_and_the_order_of_ones_own():
    X, _, _ = made()
    Y = np.vstack([X[0] * X[1], X[2]])
    rest = np.setdiff1d(np.arange(60), HELD_OUT)
    nets = [
        Network([Dense(6, "tanh"), Dense(2, "identity")], 5, seed=0, dtype="float64") for _ in "ab"
    ]
    options = {"loss": "mse", "epochs": 3, "batch_size": 8, "shuffle": False}
    found = train(nets[0], X, Y, validation_rows=HELD_OUT, **options)
    parts = (X[:, HELD_OUT], Y[:, HELD_OUT])
    expected = train(nets[1], X[:, rest], Y[:, rest], validation_data=parts, **options)
    assert found.curves == expected.curves


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([], "leave one or more for training"),
        ([0.5], "dtype float64"),
        ([60], "some of the integers 0 to 59"),
        ([-1], "some of the integers 0 to 59"),
        ([1, 1], "each once"),
        ([[1]], r"shape \(1, 1\)"),
        (np.ones(60, dtype=bool), "dtype bool"),
        (np.arange(60), "leave one or more for training"),
    ],
    ids=str,
)
def test_what_cannot_be_validation_rows(rows, fault):
    X, y, _ = made()
    with pytest.raises(ValueError, match=f"(?s)validation_rows must hold.*{fault}"):
        train(network(), X, y, loss=CCE, validation_rows=rows)


def test_only_one_way_to_name_validation_examples():
    X, y, _ = made()
    for more in ({"validation_fraction": 0.1}, {"validation_data": (X, y)}):
        with pytest.raises(ValueError, match=r"give .*validation_rows"):
            train(network(), X, y, loss=CCE, validation_rows=[1], **more)


def test_parts_of_examples_share_their_arrays():
    X, y, w = made()
    whole = Examples(X, y, w)
    training, validation = whole.parts(np.arange(3, 60), np.arange(3), dtype=X.dtype)
    assert (training.m, validation.m) == (57, 3)
    assert training.X is validation.X is X
    assert np.array_equal(validation.weights, w[:3])
    assert np.array_equal(training.columns(np.arange(57)[::-1]), np.arange(60)[:2:-1])
    training.multiply_weights(np.full(57, 2.0), X.dtype)
    assert np.array_equal(training.weights, 2 * w[3:])
    assert np.array_equal(validation.weights, w[:3])


def added(call):
    """The most that a call adds to what NumPy and Python hold, in bytes."""
    gc.collect()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("engine", BUILT)
@pytest.mark.parametrize("order", ["C", "F"])
def test_training_adds_a_tenth_of_the_data_at_most(engine, order):
    """Not even for a moment is there a copy of X, nor a mask of its size (a quarter of X).

    The reference engine takes blocks of 1024 examples, a tenth of these.
    """
    share = {"fused": 0.1, "reference": 0.2}[engine]
    rng = np.random.default_rng(0)
    X = np.asarray(rng.standard_normal((20_000, 250), dtype=np.float32), order=order)
    y = rng.integers(0, 10, 20_000)
    options = {"loss": CCE, "epochs": 1, "batch_size": 500, "engine": engine}
    for held_out in (
        {"validation_fraction": 0.1},
        {"validation_rows": np.arange(0, 20_000, 10)},
        {"validation_data": (X[:2000].T, y[:2000])},
    ):
        net = Network([Dense(16, "relu"), Dense(10, "softmax")], 250, seed=0)
        assert added(lambda n=net, h=held_out: train(n, X.T, y, **h, **options)) < share * X.nbytes

    def fit():
        clf = MLPClassifier((16,), batch_size=500, max_iter=1, early_stopping=True, engine=engine)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            clf.fit(X, y)

    if order == "C":  # scikit-learn's rows
        assert added(fit) < share * X.nbytes


@pytest.mark.skipif("fused" not in BUILT, reason="built without the fused engine")
@pytest.mark.parametrize("kind", ["float64", "sparse float32", "sparse float64"])
def test_the_fused_engine_gathers_other_rows_without_a_copy_too(kind):
    """Rows of another precision than the network's, and sparse ones."""
    X = np.random.default_rng(0).normal(size=(20_000, 250))
    data = scipy.sparse.csr_array(X.astype(kind.split()[-1])) if "sparse" in kind else X
    size = data.data.nbytes if "sparse" in kind else X.nbytes
    net = Network([Dense(16, "relu"), Dense(10, "softmax")], 250, seed=0)
    options = {"loss": CCE, "epochs": 1, "batch_size": 500, "validation_fraction": 0.1}
    labels = np.arange(20_000) % 10
    assert added(lambda: train(net, data.T, labels, **options)) < 0.1 * size
