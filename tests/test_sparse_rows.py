"""Sparse examples: layer 1 visits what is there, to the bits of the same numbers made dense."""

import numpy as np
import pytest
import scipy.sparse

from pellucid import Dense, MLPClassifier, MLPRegressor, Network, Scale, train
from pellucid.engines import ENGINES, Examples, Job, Objective, simd
from pellucid.losses import loss
from pellucid.optimizers import optimizer

if not simd.levels():
    pytest.skip("built without the fused engine (PELLUCID_PURE)", allow_module_level=True)
FUSED = ENGINES["fused"]

NETWORKS = {
    "by panels": ([Dense(160, "tanh"), Dense(3, "softmax")], 300),
    "few units": ([Dense(11, "sigmoid"), Dense(3, "softmax")], 300),
    "in parts": ([Dense(9, "silu"), Dense(3, "softmax")], 170),
    "output alone": ([Dense(3, "softmax")], 3000),
    "output alone, in parts": ([Dense(3, "softmax")], 500),
    "wide output alone": ([Dense(70, "softmax")], 200),
    "dropout": ([Dense(130, "relu", dropout=0.4), Dense(40, "gelu"), Dense(3, "softmax")], 257),
    "scaled": ([Scale(), Dense(20, "relu"), Dense(3, "softmax")], 120),
}


def thin(n, m, density=0.06, seed=0):
    """A dense X (n, m) with few numbers, whole columns and rows of nothing, -0.0 among them."""
    rng = np.random.default_rng(seed)
    X = np.where(rng.random((n, m)) < density, rng.normal(size=(n, m)), 0)
    X[:, ::11] = 0
    X[5::7] = 0
    X[-1, m // 2] = 2.5
    return X


def trained(layers, X, Y, dtype, threads, *, batch=150, weights=None, rule="adam", **objective):
    """What a training leaves: parameters, costs, gradients, the loss and A[L] of an evaluation."""
    net = Network(layers, X.shape[0], seed=1, dtype=dtype)
    aim = Objective(loss("cce"), **objective)
    session = FUSED.start(Job(net, aim, optimizer(rule), batch, 3, n_threads=threads))
    data = Examples(X, Y, weights)
    order = np.random.default_rng(2).permutation(data.m)
    rates = np.full(-(-data.m // batch), 0.02)
    costs = [session.run(data, order, 0, len(rates), learning_rate=rates) for _ in range(2)]
    gradients = session.gradients(data, order[: data.m // 2])
    value, A = session.evaluate(data, order[::-1])
    session.close()
    arrays = [*costs, gradients.flat, A, *net.parameters.values(), net.forward(X)]
    assert all(np.isfinite(array).all() for array in arrays)
    return [value, gradients.J, *(array.tobytes() for array in arrays)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_bits_as_dense_for_any_number_of_threads(name, dtype, monkeypatch):
    monkeypatch.setenv("PELLUCID_TUNE", "0")  # all take part in every step
    layers, n = NETWORKS[name]
    X, Y = thin(n, 480), np.arange(480) % 3
    weights = np.random.default_rng(3).uniform(0.5, 2, 480)
    dense = trained(layers, X, Y, dtype, 1, weights=weights, l2=0.1, penalty_per_weight=True)
    sparse = scipy.sparse.csc_array(X)
    for threads in (1, 2, 3):
        again = trained(
            layers, sparse, Y, dtype, threads, weights=weights, l2=0.1, penalty_per_weight=True
        )
        assert again == dense


@pytest.mark.parametrize(
    "settings",
    [
        {"batch": 1300},  # larger than a pass
        {"clip_norm": 0.01},
        {"clip_value": 0.001, "rule": "nesterov"},
        {"batch": 7, "rule": "gradient_descent"},
    ],
)
def test_the_same_bits_as_dense_whatever_is_done_with_the_gradients(settings):
    layers = [Dense(130, "relu"), Dense(3, "softmax")]
    X, Y = thin(260, 1400), np.arange(1400) % 3
    dense = trained(layers, X, Y, "float64", 1, **settings)
    for threads in (1, 3):
        assert (
            trained(layers, scipy.sparse.csr_array(X), Y, "float64", threads, **settings) == dense
        )


def test_a_dense_first_layer_of_any_density_gives_the_same_bits():
    layers = [Dense(40, "relu"), Dense(3, "softmax")]
    for density in (0.001, 0.1, 0.12, 0.13, 0.5, 1):  # from 1/8 on X is made dense
        X, Y = thin(90, 300, density), np.arange(300) % 3
        dense = trained(layers, X, Y, "float64", 1)
        assert trained(layers, scipy.sparse.csc_array(X), Y, "float64", 2) == dense


def odd_forms():
    """The same X (40, 60) in every form that scipy lets a sparse matrix have."""
    X = np.zeros((40, 60))
    X.ravel()[np.random.default_rng(0).choice(X.size, 150, replace=False)] = 2
    X[:, 3] = X[7] = 0
    csc = scipy.sparse.csc_array(X)
    shuffled = csc.copy()
    for j in range(60):
        part = slice(*csc.indptr[j : j + 2])
        shuffled.indices[part] = csc.indices[part][::-1]
    shuffled.has_sorted_indices = False
    coo = csc.tocoo()
    twice = scipy.sparse.csc_array(
        (
            np.full(2 * csc.nnz, 1.0),
            np.repeat(csc.indices, 2),
            2 * csc.indptr,
        ),
        shape=X.shape,
    )
    zeros = csc.copy()
    zeros.data[::5] = 0
    wide = scipy.sparse.csc_array(csc, copy=True)
    wide.indices, wide.indptr = csc.indices.astype(np.int64), csc.indptr.astype(np.int64)
    return {
        "csr": (X, csc.tocsr()),
        "coo": (X, coo),
        "matrix": (X, scipy.sparse.csc_matrix(X)),
        "unsorted": (X, shuffled),
        "twice": (X, twice),
        "zeros that are there": (zeros.toarray(), zeros),
        "64-bit indices": (X, wide),
        "bool": (X / 2, csc.astype(bool)),
        "int8": (X, csc.astype(np.int8)),
        "int64": (X, csc.astype(np.int64)),
        "float32": (X, csc.astype(np.float32)),
        "nothing at all": (0 * X, scipy.sparse.csc_array(X.shape)),
    }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", odd_forms())
def test_every_form_gives_the_numbers_of_the_dense_one(form, dtype):
    dense, sparse = odd_forms()[form]
    before = sparse.copy()
    found = []
    for X in (dense, sparse):
        net = Network([Dense(12, "relu"), Dense(3, "softmax")], 40, seed=0, dtype=dtype)
        train(net, X, np.arange(60) % 3, loss="cce", epochs=2, engine="fused", batch_size=16)
        few, many = (
            net.forward(X[:, :5] if form != "coo" or X is dense else X.tocsc()[:, :5]),
            net.forward(X),
        )
        found.append([*net.parameters.values(), few, many])
        assert few.tobytes() == many[:, :5].tobytes()
    for ours, theirs in zip(*found, strict=True):
        assert ours.tobytes() == theirs.tobytes()
    for name in ("data", "indices", "indptr") if form != "coo" else ("data",):
        assert np.array_equal(getattr(before, name), getattr(sparse, name))  # left as it was


def test_entries_beyond_the_rows_are_refused():
    X = scipy.sparse.csc_array((np.ones(2), np.array([0, 7]), np.array([0, 1, 2])), shape=(8, 2))
    X._shape = (5, 2)  # as a careless caller may have it
    net = Network([Dense(3, "relu"), Dense(1, "identity")], 5, seed=0)
    with pytest.raises(ValueError, match="X has entries in rows beyond its 5: 0 to 7"):
        net.forward(X)


@pytest.mark.parametrize("hidden", [(), (3,), (50,), (20, 65, 9), (400,)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_predictions_of_few_and_many_rows_have_the_bits_of_dense_ones(hidden, dtype):
    X = np.ascontiguousarray(thin(210, 400).T, dtype)
    y = X[:, :2].sum(axis=1)
    net = MLPRegressor(hidden_layer_sizes=hidden, max_iter=1, dtype=dtype, tol=0, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        net.fit(X, y)
    wanted = net.predict(X)
    for form in (scipy.sparse.csr_array, scipy.sparse.csr_matrix, scipy.sparse.csc_array):
        rows = form(X)
        assert net.predict(rows).tobytes() == wanted.tobytes()
        for part in (rows[:1], rows[3:9], rows[10:50]):
            assert np.isin(net.predict(part), wanted).all()
        assert net.predict(rows[3:9]).tobytes() == wanted[3:9].tobytes()


def test_predictions_follow_what_is_written_into_the_arrays():
    X = scipy.sparse.csr_array(thin(100, 30).T)
    net = MLPClassifier((10,), max_iter=1, tol=0, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        net.fit(X, np.arange(30) % 2)
    for rows in (X[:2], X):
        before = net.predict_proba(rows)
        net.coefs_[0][...] += 0.25
        net.intercepts_[0][...] -= 0.5
        assert np.abs(net.predict_proba(rows) - before).max() > 1e-3


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        (scipy.sparse.csr_array([[1.0, np.nan]]), "NaN"),
        (scipy.sparse.csr_array([[1.0, np.inf]]), "infinity"),
        (scipy.sparse.csr_array([[1.0, 2.0, 3.0]]), "3 features"),
        (scipy.sparse.csr_array((0, 2)), "0 sample"),
        (scipy.sparse.coo_array([1.0, 2.0]), "Expected 2D input"),
    ],
)
def test_rows_that_cannot_be_are_refused_as_by_scikit_learn(rows, error):
    X = scipy.sparse.csr_array(np.eye(2))
    net = MLPClassifier((3,), max_iter=1, tol=0, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        net.fit(X, [0, 1])
    with pytest.raises(ValueError, match=error):
        net.predict(rows)
