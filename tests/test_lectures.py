"""The lectures through the public API: what they print, prove and claim. References: file:line.

Where a lecture has a misprint, the number is that of shared/lectures/ERRATA.md.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from pellucid import Dense, Network, train
from pellucid.activations import ACTIVATIONS, activation
from pellucid.losses import LOSSES

X_LOGIC = np.array([[0, 0, 1, 1], [0, 1, 0, 1]])
AND, XOR = np.array([[0, 0, 0, 1]]), np.array([[0, 1, 1, 0]])

FULL_BATCH = {"batch_size": None, "shuffle": False}


def network(layers, n_inputs=2, initializer=None, seed=0) -> Network:
    return Network(layers, n_inputs, initializer=initializer, seed=seed, dtype="float64")


def sigma(z):
    return 1 / (1 + np.exp(-z))


# --- lecture 003: the AND gate, XOR, and why g must not be linear ---


def test_and_gate():
    # 003:20-35, h(x1, x2) = g(-30 + 20 x1 + 20 x2)
    gate = network([Dense(1, "sigmoid")])
    gate.set_parameters({1: ([[20, 20]], [[-30]])})
    A = gate.forward(X_LOGIC)
    expected = [[9.357622968840e-14, 4.5397868702e-5, 4.5397868702e-5, 0.99995460213]]
    np.testing.assert_allclose(A, expected, rtol=1e-11)
    np.testing.assert_array_equal(gate.predict(X_LOGIC), AND)
    assert gate.loss(X_LOGIC, AND, "binary_cross_entropy") == pytest.approx(3.404917e-5, rel=1e-6)


def test_the_and_gate_is_learned_by_logistic_regression():
    gate = network([Dense(1, "sigmoid")])
    options = {"loss": "bce", "optimizer": "gradient_descent", "learning_rate": 1.0, "epochs": 300}
    train(gate, X_LOGIC, AND, **options, **FULL_BATCH)
    np.testing.assert_array_equal(gate.predict(X_LOGIC), AND)


def test_xor_is_learned_with_one_hidden_layer():
    # 003:40-56: logistic regression is not able to solve it, one hidden layer is.
    net = network([Dense(4, "tanh"), Dense(1, "sigmoid")])
    options = {"loss": "bce", "optimizer": "gradient_descent", "learning_rate": 1.0}
    history = train(net, X_LOGIC, XOR, **options, epochs=1000, **FULL_BATCH)
    np.testing.assert_array_equal(net.predict(X_LOGIC), XOR)
    assert history.curves["loss"][-1] < 0.01


def test_xor_is_not_learned_with_identity_activations():
    # 002, 3.3: the whole is one linear map; the best it can say is 1/2, at J = ln 2.
    net = network([Dense(4, "identity"), Dense(1, "sigmoid")])
    options = {"loss": "bce", "optimizer": "gradient_descent", "learning_rate": 0.5}
    history = train(net, X_LOGIC, XOR, **options, epochs=2000, **FULL_BATCH)
    np.testing.assert_allclose(net.forward(X_LOGIC), 0.5, atol=1e-6)
    assert history.curves["loss"][-1] == pytest.approx(math.log(2), abs=1e-12)
    assert min(history.curves["loss"]) >= math.log(2) - 1e-12


def test_identity_layers_collapse_exactly_in_integers():
    # 003: W' = W[2] W[1] and b' = W[2] b[1] + b[2]
    rng = np.random.default_rng(0)
    W1, b1 = rng.integers(-9, 10, (4, 3)), rng.integers(-9, 10, (4, 1))
    W2, b2 = rng.integers(-9, 10, (2, 4)), rng.integers(-9, 10, (2, 1))
    two = network([Dense(4, "identity"), Dense(2, "identity")], n_inputs=3)
    two.set_parameters({1: (W1, b1), 2: (W2, b2)})
    one = network([Dense(2, "identity")], n_inputs=3)
    one.set_parameters({1: (W2 @ W1, W2 @ b1 + b2)})
    X = rng.integers(-9, 10, (3, 20))
    assert (two.forward(X) == one.forward(X)).all()


# --- dimensions and parameter counts ---


@pytest.mark.parametrize(("n_inputs", "count"), [(1, 17), (3, 23), (10, 44)])
def test_three_layers_have_3m_plus_14_parameters(n_inputs, count):
    # 001:283-308, a network n[0]-3-2-1
    net = network([Dense(3, "sigmoid"), Dense(2, "sigmoid"), Dense(1, "sigmoid")], n_inputs)
    assert net.n_parameters == 3 * n_inputs + 14 == count
    assert [net.W[l].shape for l in net.W] == [(3, n_inputs), (2, 3), (1, 2)]
    assert [net.b[l].shape for l in net.b] == [(3, 1), (2, 1), (1, 1)]
    assert net.L == 3  # the output layer is counted (000:77)


def test_dimensions_of_a_3_4_1_network():
    # 002, 3.1; 003:70-90
    net = network([Dense(4, "sigmoid"), Dense(1, "sigmoid")], n_inputs=3)
    cache = net.forward(np.zeros((3, 7)), cache=True)
    gradients = net.backward(cache, np.zeros((1, 7)), "bce")
    shapes = [net.W[1].shape, net.b[1].shape, net.W[2].shape, net.b[2].shape]
    assert shapes == [(4, 3), (4, 1), (1, 4), (1, 1)]
    assert net.n_parameters == 21
    # 002, 4.1: dW and db have the dimensions of W and b, dZ and dA those of Z and A
    assert [gradients.dW[1].shape, gradients.db[1].shape] == shapes[:2]
    assert cache.Z[1].shape == cache.A[1].shape == gradients.dZ[1].shape == (4, 7)


def test_cats():
    # 002, 2.1.1: three channels of 64 x 64 pixels are n[0] = 12288 inputs
    net = network([Dense(1, "sigmoid")], n_inputs=64 * 64 * 3)
    assert net.n_inputs == 12288
    assert net.n_parameters == 12289


# --- a forward and a backward pass by hand ---


def test_two_two_one_by_hand():
    """A 2-2-1 network of sigmoids and binary cross-entropy, two examples.

    The weights are multiples of k = ln 3, because sigma(k) = 3/4 and sigma(-k) = 1/4:

        W[1] = [k    0 ]   b[1] = [0]   W[2] = [2k  -2k]   b[2] = [0]
               [0  -k/2]          [0]

        x(1) = (1, 2), y(1) = 1         x(2) = (0, 0), y(2) = 0
    """
    k = math.log(3)
    net = network([Dense(2, "sigmoid"), Dense(1, "sigmoid")])
    net.set_parameters({1: ([[k, 0], [0, -k / 2]], [0, 0]), 2: ([[2 * k, -2 * k]], [0])})
    X, Y = np.array([[1, 0], [2, 0]]), np.array([[1, 0]])

    cache = net.forward(X, cache=True)
    # z[1](1) = (k 1, -k/2 2) = (k, -k); z[1](2) = (0, 0)
    np.testing.assert_allclose(cache.Z[1], [[k, 0], [-k, 0]])
    # a[1](1) = (3/4, 1/4); a[1](2) = (1/2, 1/2)
    np.testing.assert_allclose(cache.A[1], [[3 / 4, 1 / 2], [1 / 4, 1 / 2]])
    # z[2](1) = 2k 3/4 - 2k 1/4 = k; z[2](2) = 2k 1/2 - 2k 1/2 = 0
    np.testing.assert_allclose(cache.Z[2], [[k, 0]], atol=1e-15)
    np.testing.assert_allclose(cache.A[2], [[3 / 4, 1 / 2]])
    # J = 1/2 (-ln 3/4 - ln(1 - 1/2)) = 1/2 ln(4/3 * 2) = 1/2 ln(8/3)
    assert net.loss(X, Y, "bce") == pytest.approx(math.log(8 / 3) / 2, rel=1e-14)

    gradients = net.backward(cache, Y, "bce", inputs=True)
    # dz[2] = a[2] - y: 3/4 - 1 = -1/4; 1/2 - 0 = 1/2
    np.testing.assert_allclose(gradients.dZ[2], [[-1 / 4, 1 / 2]])
    # dW[2] = 1/2 (-1/4 (3/4, 1/4) + 1/2 (1/2, 1/2)) = 1/2 (-3/16 + 4/16, -1/16 + 4/16)
    np.testing.assert_allclose(gradients.dW[2], [[1 / 32, 3 / 32]])
    # db[2] = 1/2 (-1/4 + 1/2)
    np.testing.assert_allclose(gradients.db[2], [[1 / 8]])
    # da[1] = W[2]^T dz[2]: (2k, -2k) (-1/4) = (-k/2, k/2); (2k, -2k) 1/2 = (k, -k)
    np.testing.assert_allclose(gradients.dA[1], [[-k / 2, k], [k / 2, -k]])
    # dz[1] = da[1] * a[1] (1 - a[1]): 3/4 1/4 = 3/16 for both units of x(1); 1/2 1/2 = 1/4
    np.testing.assert_allclose(gradients.dZ[1], [[-3 * k / 32, k / 4], [3 * k / 32, -k / 4]])
    # dW[1] = 1/2 (dz[1](1) (1, 2) + dz[1](2) (0, 0)), rows -3k/32 (1, 2) and 3k/32 (1, 2)
    np.testing.assert_allclose(
        gradients.dW[1], [[-3 * k / 64, -6 * k / 64], [3 * k / 64, 6 * k / 64]]
    )
    # db[1] = 1/2 (-3k/32 + 8k/32) = 5k/64, and its opposite
    np.testing.assert_allclose(gradients.db[1], [[5 * k / 64], [-5 * k / 64]])
    # dx(1) = W[1]^T dz[1](1) = (k (-3k/32), -k/2 3k/32); dx(2) = (k k/4, -k/2 (-k/4))
    np.testing.assert_allclose(
        gradients.dX, [[-3 * k**2 / 32, k**2 / 4], [-3 * k**2 / 64, k**2 / 8]]
    )

    # One step of gradient descent, alpha = 1: W := W - dW
    options = {"loss": "bce", "optimizer": "gradient_descent", "learning_rate": 1.0, "epochs": 1}
    history = train(net, X, Y, **options, **FULL_BATCH)
    np.testing.assert_allclose(net.W[2], [[2 * k - 1 / 32, -2 * k - 3 / 32]])
    np.testing.assert_allclose(net.b[1], [[-5 * k / 64], [5 * k / 64]])
    np.testing.assert_allclose(history.curves["loss"], [math.log(8 / 3) / 2])


# --- lecture 002: logistic regression, loops and vectors ---


def test_logistic_regression_equals_the_loop_of_the_lecture():
    # 002, 2.1.5, with the division by m after the loop (ERRATA, 002:256)
    rng = np.random.default_rng(0)
    m = 30
    X, Y = rng.normal(size=(2, m)), rng.integers(0, 2, (1, m))
    w1, w2, b = 0.3, -0.7, 0.1

    J = dw1 = dw2 = db = 0.0
    for i in range(m):
        z = w1 * X[0, i] + w2 * X[1, i] + b
        a = 1 / (1 + math.exp(-z))
        J += -(Y[0, i] * math.log(a) + (1 - Y[0, i]) * math.log(1 - a))
        dz = a - Y[0, i]
        dw1 += X[0, i] * dz
        dw2 += X[1, i] * dz
        db += dz
    J, dw1, dw2, db = J / m, dw1 / m, dw2 / m, db / m

    net = network([Dense(1, "sigmoid")])
    net.set_parameters({1: ([[w1, w2]], [b])})
    gradients = net.backward(net.forward(X, cache=True), Y, "bce")
    assert net.loss(X, Y, "bce") == pytest.approx(J, rel=1e-13)
    np.testing.assert_allclose(gradients.dW[1], [[dw1, dw2]], rtol=1e-12)
    np.testing.assert_allclose(gradients.db[1], [[db]], rtol=1e-12)


def test_logistic_regression_in_vectors():
    # 002:319 with one 1/m: dw = (1/m) X dZ^T, db = (1/m) sum dZ, dZ = A - Y
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(5, 40)), rng.integers(0, 2, (1, 40))
    net = network([Dense(1, "sigmoid")], n_inputs=5)
    dZ = sigma(net.W[1] @ X + net.b[1]) - Y
    gradients = net.backward(net.forward(X, cache=True), Y, "bce")
    np.testing.assert_allclose(gradients.dZ[1], dZ, rtol=1e-13)
    np.testing.assert_allclose(gradients.dW[1].T, X @ dZ.T / 40, rtol=1e-12)
    np.testing.assert_allclose(gradients.db[1], [[dZ.sum() / 40]], rtol=1e-12)


def test_a_network_in_vectors_equals_the_loops():
    # 002, 3.1-3.5 and 4.3: for each example, each unit, each connection
    rng = np.random.default_rng(2)
    n, m = [3, 4, 2], 6
    X, Y = rng.normal(size=(3, m)), rng.integers(0, 2, (2, m))
    net = network([Dense(4, "tanh"), Dense(2, "sigmoid")], n_inputs=3)
    for b in net.b.values():
        b[...] = rng.normal(size=b.shape)

    J = 0.0
    dW = {l: np.zeros((n[l], n[l - 1])) for l in (1, 2)}
    db = {l: np.zeros((n[l], 1)) for l in (1, 2)}
    for i in range(m):
        a, z = {0: [X[j, i] for j in range(3)]}, {}
        for l in (1, 2):
            z[l] = [
                sum(net.W[l][j, k] * a[l - 1][k] for k in range(n[l - 1])) + net.b[l][j, 0]
                for j in range(n[l])
            ]
            a[l] = [math.tanh(t) if l == 1 else 1 / (1 + math.exp(-t)) for t in z[l]]
        for j in range(2):
            y = Y[j, i]
            J -= y * math.log(a[2][j]) + (1 - y) * math.log(1 - a[2][j])
        dz = {2: [a[2][j] - Y[j, i] for j in range(2)]}
        da = [sum(net.W[2][j, k] * dz[2][j] for j in range(2)) for k in range(4)]
        dz[1] = [da[k] * (1 - a[1][k] ** 2) for k in range(4)]
        for l in (1, 2):
            for j in range(n[l]):
                db[l][j, 0] += dz[l][j]
                for k in range(n[l - 1]):
                    dW[l][j, k] += dz[l][j] * a[l - 1][k]

    gradients = net.backward(net.forward(X, cache=True), Y, "bce")
    assert net.loss(X, Y, "bce") == pytest.approx(J / m, rel=1e-13)
    for l in (1, 2):
        np.testing.assert_allclose(gradients.dW[l], dW[l] / m, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(gradients.db[l], db[l] / m, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", LOSSES)
def test_another_cost_changes_the_last_dZ_and_nothing_else(name, draw_targets):
    # 000:330 "the rest is unchanged": whatever dZ[L] is, the equations below it are these
    rng = np.random.default_rng(3)
    entry = LOSSES[name]()
    net = network([Dense(4, "tanh"), Dense(3, "sigmoid"), Dense(2, entry.fits[0])], n_inputs=3)
    X, m = rng.normal(size=(3, 5)), 5
    cache = net.forward(X, cache=True)
    found = net.backward(cache, draw_targets(entry, 2, m, rng), name)
    derivatives = {1: 1 - cache.A[1] ** 2, 2: cache.A[2] * (1 - cache.A[2])}
    for l in (3, 2, 1):
        np.testing.assert_allclose(found.dW[l], found.dZ[l] @ cache.A[l - 1].T / m, rtol=1e-13)
        np.testing.assert_allclose(found.db[l], found.dZ[l].mean(axis=1, keepdims=True), rtol=1e-13)
        if l > 1:
            dA = net.W[l].T @ found.dZ[l]
            np.testing.assert_allclose(found.dA[l - 1], dA, rtol=1e-13)
            np.testing.assert_allclose(found.dZ[l - 1], dA * derivatives[l - 1], rtol=1e-13)


# --- activations and the guard of the logarithm ---


def test_slope_of_the_sigmoid():
    # 002, 3.4
    Z = np.array([[-10.0, 0.0, 10.0]])
    g = activation("sigmoid")
    slope = g.backward(np.ones((1, 3)), Z, g(Z))
    np.testing.assert_allclose(slope, [[4.5395808e-5, 0.25, 4.5395808e-5]], rtol=1e-7)


@pytest.mark.parametrize(("dtype", "guard"), [("float64", 36.0437), ("float32", 15.9424)])
def test_the_guard_of_the_logarithm(dtype, guard):
    # 001:322-329: y-hat = 1 where y = 0. hard_sigmoid reaches 1; sigmoid itself needs no guard.
    net = Network([Dense(1, "hard_sigmoid")], 1, initializer=np.ones, dtype=dtype)
    assert net.loss([[100.0]], [0], "bce") == pytest.approx(guard, abs=5e-5)
    net = Network([Dense(1, "sigmoid")], 1, initializer=np.ones, dtype=dtype)
    assert net.loss([[100.0]], [0], "bce") == 100


def test_the_class_is_1_where_g_is_at_least_one_half():
    # 001:79-83
    net = network([Dense(1, "sigmoid")], n_inputs=1, initializer=np.ones)
    assert net.predict([[0.0, -1e-6, 1e-6]]).tolist() == [[1, 0, 1]]


def test_the_lectures_activations_are_there():
    assert {"sigmoid", "tanh", "relu", "leaky_relu", "elu", "identity"} <= set(ACTIVATIONS)


# --- initialisation ---


def test_zero_initialisation_of_the_and_network():
    # 003:440-480, 2-2-1, all sigmoid, alpha = 1, full batch
    net = network([Dense(2, "sigmoid"), Dense(1, "sigmoid")], initializer="zeros")
    options = {"loss": "bce", "optimizer": "gradient_descent", "learning_rate": 1.0, "epochs": 1}

    gradients = net.backward(net.forward(X_LOGIC, cache=True), AND, "bce")
    np.testing.assert_array_equal(gradients.dW[2], [[0.125, 0.125]])
    np.testing.assert_array_equal(gradients.db[2], [[0.25]])
    np.testing.assert_array_equal(gradients.dW[1], np.zeros((2, 2)))
    first = train(net, X_LOGIC, AND, **options, **FULL_BATCH)
    np.testing.assert_allclose(first.curves["loss"], [0.6931472], atol=5e-8)

    gradients = net.backward(net.forward(X_LOGIC, cache=True), AND, "bce")
    np.testing.assert_allclose(gradients.dW[2], [[0.0786667, 0.0786667]], atol=5e-8)
    np.testing.assert_allclose(gradients.dW[1], np.full((2, 2), 0.0014479156), atol=5e-11)
    np.testing.assert_allclose(gradients.db[1], np.full((2, 1), -0.00491667), atol=5e-9)
    second = train(net, X_LOGIC, AND, **options, **FULL_BATCH)
    np.testing.assert_allclose(second.curves["loss"], [0.6168733], atol=5e-8)


@pytest.mark.parametrize("optimizer", ["gradient_descent", "momentum", "adam"])
@pytest.mark.parametrize("start", ["zeros", "constant"])
def test_equal_hidden_units_stay_equal_for_ever(start, optimizer):
    # 002, 3.6 and 003: the symmetry problem; equal to the last bit
    net = network([Dense(3, "sigmoid"), Dense(1, "sigmoid")], initializer=start)
    options = {"loss": "bce", "optimizer": optimizer, "learning_rate": 0.5, "epochs": 500}
    train(net, X_LOGIC, AND, **options, **FULL_BATCH)
    assert (net.W[1] != 0).all()
    assert (net.W[1] == net.W[1][0]).all()
    assert (net.b[1] == net.b[1][0]).all()
    assert (net.W[2] == net.W[2][0, 0]).all()


def test_small_random_weights_break_the_symmetry():
    # 003:481, gamma = 0.01, on the data where zeros keep the units equal
    start = {"name": "normal", "std": 0.01}
    net = network([Dense(3, "sigmoid"), Dense(1, "sigmoid")], initializer=start)
    options = {"loss": "bce", "optimizer": "gradient_descent", "learning_rate": 1.0}
    before = np.ptp(net.W[1], axis=0)  # how far the units are apart
    train(net, X_LOGIC, AND, **options, epochs=2000, **FULL_BATCH)
    assert (np.ptp(net.W[1], axis=0) > 5 * before).all()
    np.testing.assert_array_equal(net.predict(X_LOGIC), AND)


def test_zero_weights_stay_zero_for_ever_with_tanh():
    # a[1] = tanh(0) = 0, so dW[2] = 0; W[2] = 0, so dW[1] = 0. Only b[2] learns.
    net = network([Dense(2, "tanh"), Dense(1, "sigmoid")], initializer="zeros")
    options = {"loss": "bce", "optimizer": "gradient_descent", "learning_rate": 1.0}
    train(net, X_LOGIC, AND, **options, epochs=300, **FULL_BATCH)
    assert (net.W[1] == 0).all()
    assert (net.b[1] == 0).all()
    assert (net.W[2] == 0).all()
    assert net.forward(X_LOGIC)[0] == pytest.approx(0.25)  # the share of ones


def test_zero_is_stationary_on_xor():
    # ERRATA: on balanced XOR all gradients are 0, so a symmetry test there proves nothing
    net = network([Dense(2, "sigmoid"), Dense(1, "sigmoid")], initializer="zeros")
    gradients = net.backward(net.forward(X_LOGIC, cache=True), XOR, "bce")
    arrays = [*gradients.dW.values(), *gradients.db.values()]
    assert all((array == 0).all() for array in arrays)


# --- gradient descent, mini-batches, momentum ---


@pytest.mark.parametrize(
    ("optimizer", "v"),
    [("momentum", [0.1, 0.19, 0.271]), ("classical_momentum", [1, 1.9, 2.71])],
)
def test_momentum_by_hand_for_three_steps(optimizer, v):
    # 001:522, v = beta v + (1 - beta) dW, v = 0 at first, beta = 0.9. Here dW = db = 1 always:
    # J = |w x + b - y| with x = 1 and w x + b far above y.
    net = network([Dense(1, "identity")], n_inputs=1, initializer={1: ([[100.0]], [100.0])})
    options = {"loss": "mean_absolute_error", "optimizer": optimizer, "learning_rate": 0.5}
    w = 100.0
    for step in range(1, 4):
        net.set_parameters({1: ([[100.0]], [100.0])})
        train(net, [[1.0]], [0.0], **options, epochs=step, **FULL_BATCH)
        w = 100.0 - 0.5 * sum(v[:step])  # w := w - alpha v
        assert net.W[1][0, 0] == pytest.approx(w, rel=1e-14)
        assert net.b[1][0, 0] == pytest.approx(w, rel=1e-14)  # v_db too


def test_the_two_momenta_differ_by_a_factor_of_the_learning_rate():
    # ERRATA, 001:522: alpha_classical = alpha (1 - beta)
    results = []
    for optimizer, alpha in (("momentum", 0.5), ("classical_momentum", 0.5 * (1 - 0.9))):
        net = network([Dense(3, "tanh"), Dense(1, "sigmoid")])
        options = {"loss": "bce", "optimizer": optimizer, "learning_rate": alpha, "epochs": 20}
        train(net, X_LOGIC, XOR, **options, **FULL_BATCH)
        results.append(net.W[1])
    np.testing.assert_allclose(results[0], results[1], rtol=1e-10)


def test_mini_batches():
    # 001:508-514: J of a mini-batch is the mean over its B examples, and a step is made for each
    rng = np.random.default_rng(4)
    X, Y = rng.normal(size=(2, 10)), rng.normal(size=(1, 10))
    net = network([Dense(1, "identity")])
    W, b, costs = net.W[1].copy(), net.b[1].copy(), []
    for part in (slice(0, 4), slice(4, 8), slice(8, 10)):
        x, y = X[:, part], Y[:, part]
        r = W @ x + b - y
        costs.append(np.mean(r**2 / 2))
        dW, db = r @ x.T / x.shape[1], r.mean(axis=1, keepdims=True)
        W, b = W - 0.1 * dW, b - 0.1 * db
    options = {"loss": "half_squared_error", "optimizer": "gradient_descent", "learning_rate": 0.1}
    history = train(net, X, Y, **options, epochs=1, batch_size=4, shuffle=False)
    np.testing.assert_allclose(net.W[1], W, rtol=1e-13)
    np.testing.assert_allclose(net.b[1], b, rtol=1e-13)
    # The curve is the mean over the examples: the last mini-batch has two.
    np.testing.assert_allclose(history.curves["loss"], np.average(costs, weights=[4, 4, 2]))


# --- lecture 002: houses ---

SIZES, BEDROOMS = [2104.0, 1600, 2400, 3000], [3.0, 3, 3, 4]
PRICES = np.array([[400.0, 330, 369, 540]])


def fit_one_neuron(X: np.ndarray) -> tuple[Network, np.ndarray]:
    """One identity neuron on standardised inputs; the network, and its w for the raw ones."""
    mean, std = X.mean(axis=1, keepdims=True), X.std(axis=1, keepdims=True)
    net = network([Dense(1, "identity")], n_inputs=len(X), initializer="zeros")
    options = {"loss": "mse", "optimizer": "gradient_descent", "learning_rate": 0.4}
    train(net, (X - mean) / std, PRICES, **options, epochs=2000, **FULL_BATCH)
    w = net.W[1] / std.T
    net.set_parameters({1: (w, net.b[1] - w @ mean)})  # the same function of the raw inputs
    return net, w


def test_house_prices_by_size():
    X = np.array([SIZES])
    net, w = fit_one_neuron(X)
    assert w[0, 0] == pytest.approx(0.14115028, abs=5e-9)
    assert net.b[1][0, 0] == pytest.approx(88.491954, abs=5e-7)
    assert net.loss(X, PRICES, "mse") == pytest.approx(1159.2769, abs=5e-5)


def test_house_prices_by_size_and_bedrooms():
    X = np.array([SIZES, BEDROOMS])
    net, _ = fit_one_neuron(X)
    assert net.loss(X, PRICES, "mse") == pytest.approx(336.4006, abs=5e-5)


def test_half_squared_and_mean_squared_error_have_the_same_minimum():
    # ERRATA, 002:164 and 003:231: two named losses; J differs by a factor of 2 for one output
    net, _ = fit_one_neuron(np.array([SIZES]))
    X = np.array([SIZES])
    half, mean = (net.loss(X, PRICES, name) for name in ("half_squared_error", "mse"))
    assert mean == pytest.approx(2 * half, rel=1e-14)
    for name in ("half_squared_error", "mse"):
        gradients = net.backward(net.forward(X, cache=True), PRICES, name)
        assert gradients.db[1][0, 0] == pytest.approx(0, abs=1e-8)
        assert gradients.dW[1][0, 0] == pytest.approx(0, abs=1e-5)
