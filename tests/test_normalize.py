"""LayerNorm and BatchNorm: by hand, beside naive twins, and the statistics that BatchNorm keeps."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable

import numpy as np
import pytest

from pellucid import Dense, EarlyStopping, Network, check_gradients, load, save, train
from pellucid.callbacks import Callback
from pellucid.engines import ENGINES, Examples, Job, Objective
from pellucid.errors import ModelError
from pellucid.insight import record_training
from pellucid.insight.gradient_check import in_float64
from pellucid.layers import BatchNorm, Conv1D, Conv2D, Layer, LayerNorm, chain
from pellucid.layers.chain import Mode
from pellucid.losses import loss
from pellucid.optimizers import optimizer
from pellucid.persistence import load_checkpoint
from pellucid.training import DivergenceWarning

TRAINING = Mode(training=True)


def norm_network(dtype: str = "float64", seed: int = 1) -> Network:
    """4 inputs through BatchNorms before and behind a Dense, and a LayerNorm."""
    layers = [BatchNorm(), Dense(6, "tanh"), BatchNorm(), Dense(5, "tanh"), LayerNorm()]
    return Network([*layers, Dense(3, "softmax")], 4, seed=seed, dtype=dtype)


@pytest.fixture
def clusters(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """200 examples of 3 classes, (4, 200), far from mean 0 and variance 1."""
    y = rng.integers(0, 3, 200)
    return 5 + 3 * rng.normal(size=(4, 200)) + 9 * np.eye(4)[:, y], y


# --- by hand ---


def test_a_layernorm_by_hand():
    layer = LayerNorm(epsilon=1.0).build((3,))
    layer.parameters["gamma"][:] = [[1.0], [2.0], [10.0]]
    layer.parameters["beta"][:] = [[0.0], [1.0], [-1.0]]
    A_prev = np.array([[0.0, 4.0], [3.0, 4.0], [-3.0, 4.0]])  # variance 6 and 0; with epsilon 7, 1
    output, cache = layer.forward(A_prev)
    r = 1 / math.sqrt(7)
    np.testing.assert_allclose(output, [[0, 0], [6 * r + 1, 1], [-30 * r - 1, -1]], rtol=1e-15)
    dA_prev, gradients = layer.backward(np.array([[3.0, 3.0], [0.0, 0.0], [0.0, 0.0]]), cache)
    # dA_norm = (3, 0, 0) of mean 1, at right angles to A_norm = (0, 3, -3) / sqrt(7)
    np.testing.assert_allclose(dA_prev, [[2 * r, 2], [-r, -1], [-r, -1]], rtol=1e-15)
    np.testing.assert_array_equal(gradients["dbeta"], [[3.0], [0.0], [0.0]])
    np.testing.assert_array_equal(gradients["dgamma"], [[0.0], [0.0], [0.0]])


def test_a_batchnorm_by_hand():
    layer = BatchNorm(epsilon=1.0, momentum=0.75).build((2,))
    layer.parameters["gamma"][:] = [[2.0], [1.0]]
    layer.parameters["beta"][:] = [[1.0], [0.0]]
    A_prev = np.array([[0.0, 3.0, -3.0], [5.0, 5.0, 5.0]])  # variance 6 and 0
    output, cache = layer.forward(A_prev, mode=TRAINING)
    r = 1 / math.sqrt(7)
    np.testing.assert_allclose(output, [[1, 6 * r + 1, -6 * r + 1], [0, 0, 0]], rtol=1e-15)
    dA_prev, gradients = layer.backward(np.array([[3.0, 0.0, 0.0], [0.0, 0.0, 6.0]]), cache)
    np.testing.assert_allclose(dA_prev, [[4 * r, -2 * r, -2 * r], [-2, -2, 4]], rtol=1e-15)
    np.testing.assert_array_equal(gradients["dbeta"], [[1.0], [2.0]])  # 1/m of the sums
    np.testing.assert_array_equal(gradients["dgamma"], [[0.0], [0.0]])
    np.testing.assert_array_equal(layer.statistics["variance"], [[1.0], [1.0]])  # not yet
    layer.learn_statistics(cache)  # 3/4 of mean 0, variance 1; 1/4 of 0 and 5, of 3/2 * (6 and 0)
    np.testing.assert_array_equal(layer.statistics["mean"], [[0.0], [1.25]])
    np.testing.assert_array_equal(layer.statistics["variance"], [[0.75 + 9 / 4], [0.75]])
    output, cache = layer.forward(A_prev[:, :2])
    np.testing.assert_allclose(output, [[1, 4.0], [r * 3.75 * math.sqrt(4)] * 2], rtol=1e-15)
    dA_prev, _ = layer.backward(np.array([[3.0, 0.0], [0.0, 7.0]]), cache)
    np.testing.assert_allclose(dA_prev, [[3.0, 0.0], [0.0, 14 * r]], rtol=1e-15)


# --- naive twins ---


def twin(layer: Layer, A_prev: np.ndarray, T: np.ndarray, mean=None, variance=None) -> np.ndarray:
    """What LayerNorm, or with statistics BatchNorm, makes of (steps, n, m), number by number."""
    output = np.zeros_like(A_prev)
    for t, k, i in np.ndindex(A_prev.shape):
        if t >= T[i]:
            continue
        seen = A_prev[t, :, i]
        mu = seen.sum() / len(seen) if mean is None else mean[k]
        var = sum((a - mu) ** 2 for a in seen) / len(seen) if variance is None else variance[k]
        norm = (A_prev[t, k, i] - mu) / math.sqrt(var + layer.epsilon)
        gamma, beta = layer.parameters["gamma"][k, 0], layer.parameters["beta"][k, 0]
        output[t, k, i] = gamma * norm + beta
    return output


def statistics_of(A_prev: np.ndarray, T: np.ndarray) -> tuple[list[float], list[float], int]:
    """Mean and variance of each feature over the steps that are there, and their number."""
    N = int(T.sum())
    rows = [
        [A_prev[t, k, i] for i in range(len(T)) for t in range(T[i])]
        for k in range(A_prev.shape[1])
    ]
    means = [sum(row) / N for row in rows]
    return means, [sum((a - mu) ** 2 for a in r) / N for r, mu in zip(rows, means, strict=True)], N


def drawn(layer: Layer, shape: tuple[int, ...], rng: np.random.Generator) -> Layer:
    layer.build(shape)
    for parameter in layer.parameters.values():
        parameter[...] = rng.normal(size=parameter.shape)
    return layer


@pytest.mark.parametrize("lengths", [None, [5, 1, 3, 2]])
def test_the_naive_twins_agree(lengths, rng):
    volume = rng.normal(2.0, 3.0, size=(5, 3, 4))  # steps, features, examples
    A_prev = volume.reshape(15, 4)
    T = np.array(lengths or [5] * 4)
    given = None if lengths is None else T
    for layer, mode in ((LayerNorm(), Mode()), (BatchNorm(), TRAINING), (BatchNorm(), Mode())):
        layer = drawn(layer, (5, 3), rng)
        if lengths is not None:
            A_prev = np.where(np.repeat(np.arange(5)[:, None] < T, 3, axis=0), A_prev, 0.0)
        (found, caches), known = chain.forward([layer], A_prev, mode, given), ()
        if isinstance(layer, BatchNorm):
            known = statistics_of(volume, T)[:2] if mode.training else ([0.0] * 3, [1.0] * 3)
        expected = twin(layer, volume, T, *known)
        np.testing.assert_allclose(found, expected.reshape(15, 4), rtol=1e-12, atol=1e-14)
        layer.learn_statistics(caches[0])
        if mode.training:
            means, variances, N = statistics_of(volume, T)
            expected = np.array([means, np.array(variances) * N / (N - 1)]) * 0.1 + [[0], [0.9]]
            kept = [layer.statistics[name].ravel() for name in ("mean", "variance")]
            np.testing.assert_allclose(kept, expected, rtol=1e-12)
        elif layer.statistics:  # what was no step of training teaches nothing
            np.testing.assert_array_equal(layer.statistics["mean"], 0.0)


def test_a_channel_of_pictures_is_one_row(rng):
    pictures = rng.normal(size=(2, 3, 4, 5))  # rows, columns, channels, examples
    layer = drawn(BatchNorm(), (2, 3, 4), rng)
    found = layer.forward(pictures.reshape(24, 5), mode=TRAINING)[0].reshape(2, 3, 4, 5)
    expected = (pictures - pictures.mean((0, 1, 3), keepdims=True)) / np.sqrt(
        pictures.var((0, 1, 3), keepdims=True) + 1e-5
    )
    gamma, beta = (layer.parameters[k].reshape(1, 1, 4, 1) for k in ("gamma", "beta"))
    np.testing.assert_allclose(found, gamma * expected + beta, rtol=1e-12)
    rows = drawn(BatchNorm(), (4,), rng)  # the same as flat examples, one a place
    rows.parameters = layer.parameters
    flat = rows.forward(pictures.transpose(2, 3, 0, 1).reshape(4, -1), mode=TRAINING)[0]
    np.testing.assert_allclose(
        found.transpose(2, 3, 0, 1).reshape(4, -1), flat, rtol=1e-12, atol=1e-14
    )


# --- sequences that are padded ---


def sequences(kind: Callable[[], Layer], rng: np.random.Generator) -> Network:
    layers = [kind(), Conv1D(3, 2, "tanh"), kind(), Dense(2, "softmax", each_step=True)]
    net = Network(layers, (5, 2), seed=0, dtype="float64")
    for parameter in net.parameters.values():
        parameter[...] = rng.normal(size=parameter.shape)
    return net


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", [LayerNorm, BatchNorm])
def test_padded_steps_change_nothing(kind, training, rng):
    net, lengths = sequences(kind, rng), np.array([5, 2, 4])
    X, Y = rng.normal(size=(5, 2, 3)), rng.integers(0, 2, (4, 3))
    check = check_gradients(net, X, Y, "cce", lengths=lengths, training=training)
    assert check.ok, check
    padding = np.repeat(np.arange(5)[:, None] >= lengths, 2, axis=0).reshape(5, 2, 3)
    found = []
    for filling in (0.0, 1e6, np.nan):
        filled = np.where(padding, filling, X)
        cache = net.forward(filled, cache=True, lengths=lengths, training=training)
        gradients = net.backward(cache, Y, "cce", inputs=True)
        assert (gradients.dX.reshape(5, 2, 3)[padding] == 0).all()
        net.learn_statistics(cache)
        kept = [array.copy() for array in net.statistics.values()]
        found.append([cache.A[net.L], gradients.dX, *kept, *gradients.dgamma.values()])
        for array, value in zip(net.statistics.values(), (0, 1) * 2, strict=False):
            array[...] = value
    for others in found[1:]:
        for a, b in zip(found[0], others, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_short_sequence_is_as_if_it_stood_alone(rng):
    layer = drawn(BatchNorm(), (5, 2), rng)
    X, T = rng.normal(size=(5, 2, 2)), np.array([3, 2])
    X[3:, :, 0] = X[2:, :, 1] = 0
    padded = chain.forward([layer], X.reshape(10, 2), TRAINING, T)[0].reshape(5, 2, 2)
    steps = np.concatenate([X[:3, :, 0], X[:2, :, 1]]).T  # as 5 examples of 2 features
    flat = drawn(BatchNorm(), (2,), rng)
    flat.parameters = layer.parameters
    alone = flat.forward(steps, mode=TRAINING)[0]
    np.testing.assert_allclose(padded[:3, :, 0].T, alone[:, :3], rtol=1e-12)
    np.testing.assert_allclose(padded[:2, :, 1].T, alone[:, 3:], rtol=1e-12)


# --- the statistics, step by step ---


def test_training_moves_the_statistics_and_predicting_takes_them(clusters):
    X, y = clusters
    net = Network([BatchNorm(momentum=0.5), Dense(3, "softmax")], 4, seed=0, dtype="float64")
    train(net, X, y, loss="cce", epochs=1, batch_size=100, shuffle=False)
    mean, variance = np.zeros((4, 1)), np.ones((4, 1))
    for part in (X[:, :100], X[:, 100:]):
        mean = 0.5 * mean + 0.5 * part.mean(1, keepdims=True)
        variance = 0.5 * variance + 0.5 * part.var(1, keepdims=True, ddof=1)
    np.testing.assert_allclose(net.statistics["mean0"], mean, rtol=1e-12)
    np.testing.assert_allclose(net.statistics["variance0"], variance, rtol=1e-12)
    before = net.copy_parameters()
    norm = net.gamma[0] * (X - mean) / np.sqrt(variance + 1e-5) + net.beta[0]
    Z = net.W[1] @ norm + net.b[1]
    expected = np.exp(Z) / np.exp(Z).sum(0)
    np.testing.assert_allclose(net.forward(X), expected, rtol=1e-9)
    net.predict(X[:, :1]), net.loss(X, y, "cce"), check_gradients(net, X[:, :3], y[:3], "cce")
    net.forward(X, cache=True, training=True)
    assert all((net.copy_parameters()[name] == array).all() for name, array in before.items())


def test_it_learns_what_the_inputs_are_like(clusters):
    X, y = clusters
    net = norm_network()
    history = train(net, X, y, loss="cce", epochs=60, validation_data=(X, y), metrics=["accuracy"])
    np.testing.assert_allclose(net.statistics["mean0"][:, 0], X.mean(1), rtol=0.1)
    np.testing.assert_allclose(net.statistics["variance0"][:, 0], X.var(1), rtol=0.2)
    assert history["val_accuracy"][-1] > 0.8
    assert history["val_loss"][-1] == pytest.approx(
        net.loss(X, y, "cce")
    )  # validation takes the statistics


def test_weights_count_in_the_loss_and_not_in_the_statistics(clusters):
    X, y = clusters
    w = np.r_[np.zeros(150), np.ones(50)]
    nets = []
    for weight in (None, w):
        net = Network([BatchNorm(), Dense(3, "softmax")], 4, seed=0, dtype="float64")
        train(net, X, y, loss="cce", epochs=1, batch_size=200, sample_weight=weight)
        nets.append(net)
    for name, array in nets[0].statistics.items():
        np.testing.assert_allclose(nets[1].statistics[name], array, rtol=1e-12)
    assert (nets[0].W[1] != nets[1].W[1]).any()
    cache = nets[0].forward(X, cache=True, training=True)
    found = nets[0].backward(cache, y, "cce", sample_weight=w)
    norm = cache.A[0]
    dZ = (cache.A[1] - np.eye(3)[:, y]) * w
    np.testing.assert_allclose(found.dW[1], dZ @ norm.T / 50, rtol=1e-9)
    few = slice(146, 154)
    assert check_gradients(
        nets[1], X[:, few], y[few], "cce", sample_weight=w[few], training=True
    ).ok


def test_mini_batches_that_teach_nothing(clusters):
    X, y = clusters
    net = Network([BatchNorm(), Dense(3, "softmax")], 4, seed=0, dtype="float64")
    train(net, X[:, :3], y[:3], loss="cce", epochs=2, batch_size=1)  # N = 1: beta
    np.testing.assert_array_equal(net.statistics["mean0"], 0.0)
    np.testing.assert_array_equal(net.statistics["variance0"], 1.0)
    cache = net.forward(X[:, :1], cache=True, training=True)
    np.testing.assert_array_equal(cache.A[0], net.beta[0])
    w = np.r_[np.zeros(100), np.ones(100)]
    other = Network([BatchNorm(), Dense(3, "softmax")], 4, seed=0, dtype="float64")
    options = {"loss": "cce", "epochs": 1, "batch_size": 100, "shuffle": False}
    train(other, X, y, sample_weight=w, **options)  # the first step is skipped
    expected = 0.1 * X[:, 100:].mean(1)
    np.testing.assert_allclose(other.statistics["mean0"][:, 0], expected, rtol=1e-12)


def test_a_large_mini_batch_is_one_and_not_blocks(rng):
    X, Y = rng.normal(size=(2, 2500)) * np.linspace(1, 9, 2500), rng.normal(size=(1, 2500))
    net = Network([BatchNorm(momentum=0), Dense(1, "identity")], 2, seed=0, dtype="float64")
    start = net.copy()
    train(net, X, Y, loss="mse", epochs=1, batch_size=2500, optimizer="sgd", learning_rate=0.1)
    np.testing.assert_allclose(net.statistics["mean0"][:, 0], X.mean(1), rtol=1e-12)
    found = start.backward(start.forward(X, cache=True, training=True), Y, "mse")
    for l, dW in found.dW.items():
        np.testing.assert_allclose(net.W[l], start.W[l] - 0.1 * dW, rtol=1e-12)
    np.testing.assert_allclose(net.gamma[0], start.gamma[0] - 0.1 * found.dgamma[0], rtol=1e-12)


def test_a_loop_of_ones_own_learns_the_same(clusters):
    X, y = clusters
    trained, own = norm_network(), norm_network()
    train(
        trained, X, y, loss="cce", epochs=3, batch_size=200, optimizer="sgd", learning_rate=0.2,
        shuffle=False,
    )  # fmt: skip
    with record_training(own, "cce") as recorded:
        for _ in range(3):
            cache = own.forward(X, cache=True, training=True)
            gradients = own.backward(cache, y, "cce")
            for letter in ("W", "b", "gamma", "beta"):
                for l, array in getattr(own, letter).items():
                    array -= 0.2 * getattr(gradients, "d" + letter)[l]
            own.learn_statistics(cache)
            recorded.step(X, y)
    for name, array in trained.copy_parameters().items():
        np.testing.assert_allclose(own.copy_parameters()[name], array, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(
        recorded.history["loss"], train(norm_network(), X, y, loss="cce", epochs=3, batch_size=200,
        optimizer="sgd", learning_rate=0.2, shuffle=False)["loss"], rtol=1e-9,
    )  # fmt: skip


def test_penalties_and_decay_leave_gamma_and_beta_alone(clusters):
    X, y = clusters
    net = norm_network()
    cache = net.forward(X, cache=True, training=True)
    plain, penalised = (net.backward(cache, y, "cce", l1=l1, l2=l1) for l1 in (0.0, 0.5))
    for l in net.gamma:
        np.testing.assert_array_equal(plain.dgamma[l], penalised.dgamma[l])
        np.testing.assert_array_equal(plain.dbeta[l], penalised.dbeta[l])
    assert (plain.dW[1] != penalised.dW[1]).any()
    W = sum(float((W**2).sum()) for W in net.W.values())
    got = net.loss(X, y, "cce", l2=1.0) - net.loss(X, y, "cce")
    np.testing.assert_allclose(got, W / 2, rtol=1e-9)
    nets = [norm_network(), norm_network()]
    for each, decay in zip(nets, (0.0, 0.5), strict=True):
        by = optimizer({"name": "adamw", "weight_decay": decay})
        train(each, X, y, loss="cce", epochs=1, batch_size=200, optimizer=by)
    same = {n: np.array_equal(a, nets[1].parameters[n]) for n, a in nets[0].parameters.items()}
    assert {name for name, equal in same.items() if not equal} == {"W1", "W2", "W3"}


def test_what_a_look_at_a_training_sees_are_the_steps_of_it(clusters):
    X, y = clusters
    net = Network([Dense(4, "identity"), BatchNorm(), Dense(3, "softmax")], 4, seed=0)
    net.gamma[1][...] = 3.0
    found = train(net, 1000 * X, y, loss="cce", epochs=1).statistics[0]["layers"][1]
    assert 1 < found["Z_rms"] < 6  # by the statistics kept at the start it would be thousands


# --- where the parameters go, the statistics go ---


def everything(net: Network) -> dict[str, bytes]:
    return {name: array.tobytes("F") for name, array in net.copy_parameters().items()}


@pytest.fixture
def trained(clusters) -> Network:
    net = norm_network("float32")
    train(net, *clusters, loss="cce", epochs=3)
    assert (net.statistics["mean0"] != 0).all()
    return net


def test_a_saved_network_comes_back_with_them(trained, clusters, tmp_path):
    save(trained, tmp_path / "net")
    again = load(tmp_path / "net")
    assert everything(again) == everything(trained)
    assert again.forward(clusters[0]).tobytes() == trained.forward(clusters[0]).tobytes()


@pytest.mark.parametrize(
    "copied", [Network.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))]
)
def test_a_copy_has_its_own(trained, clusters, copied):
    other, before = copied(trained), everything(trained)
    assert everything(other) == before
    train(other, *clusters, loss="cce", epochs=1)
    assert everything(trained) == before
    assert not np.array_equal(other.statistics["mean0"], trained.statistics["mean0"])
    np.testing.assert_array_equal(
        in_float64(trained).statistics["mean0"], trained.statistics["mean0"]
    )


def test_they_are_put_and_taken_with_the_parameters(trained, clusters):
    best = trained.copy_parameters()
    assert {"gamma0", "beta1", "mean0", "variance1", "W2"} <= best.keys()
    train(trained, *clusters, loss="cce", epochs=1)
    trained.put_parameters(best)
    assert all((array == best[name]).all() for name, array in trained.copy_parameters().items())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_training_that_goes_on_has_the_bits_of_an_unbroken_one(clusters, tmp_path, dtype):
    whole, broken = norm_network(dtype), norm_network(dtype)
    settings = {"loss": "cce", "validation_fraction": 0.25, "early_stopping": 3}
    train(whole, *clusters, epochs=6, **settings)
    train(broken, *clusters, epochs=3, checkpoint=tmp_path / "c", **settings)
    kept, _, slots, best = load_checkpoint(tmp_path / "c")
    assert (kept.statistics["variance1"] != 1).all()
    assert not any("mean" in name or "variance" in name for name in slots)  # no optimizer's
    assert best is not None
    assert {"mean0", "variance1"} <= best.keys()
    fresh = norm_network(dtype, seed=1)
    train(fresh, *clusters, epochs=6, resume=tmp_path / "c", **settings)
    assert everything(fresh) == everything(whole)


def test_early_stopping_restores_those_of_the_best_epoch(clusters):
    X, y = clusters
    seen = {}

    class Watch(Callback):
        def on_epoch_end(self, run):
            seen[run.epoch] = everything(run.network)

    net = norm_network()
    stopping = EarlyStopping(patience=4)
    history = train(
        net, X, y, loss="cce", epochs=200, learning_rate=0.1, callbacks=[Watch()],
        validation_data=(X[:, ::3], np.roll(y[::3], 1)), early_stopping=stopping,
    )  # fmt: skip
    assert history.stopped == "early_stopping"
    assert history.best_epoch < history.epochs
    assert everything(net) == seen[history.best_epoch]


@pytest.mark.parametrize("size", [1.0, 1e20], ids=["J", "variance"])
def test_what_diverges_is_rolled_back(clusters, size):
    X, y = clusters
    layers = [Dense(3, "identity"), BatchNorm(), Dense(1, "identity")]
    net = Network(layers, 4, seed=0, dtype="float32")
    train(net, X, y, loss="mse", epochs=1)
    net.W[1][...] *= size  # the variance of what is so large is no float32, and J is
    before = everything(net)
    rate = 1e30 if size == 1 else 1e-9
    with pytest.warns(DivergenceWarning, match="J or a parameter is no longer finite"):
        history = train(net, X, y, loss="mse", optimizer="sgd", learning_rate=rate)
    assert history.stopped == "diverged"
    assert everything(net) == before


def test_a_session_rolls_them_back_and_reads_them_back(clusters):
    X, y = clusters
    net = norm_network()
    job = Job(net, Objective(loss("cce")), optimizer("adam"), batch_size=50)
    session, before = ENGINES["reference"].start(job), everything(net)
    examples = Examples(X, y)
    session.run(examples, None, 0, 2, learning_rate=np.full(2, 0.1))
    assert everything(net) != before
    session.roll_back()
    assert everything(net) == before
    net.statistics["mean0"][...] = 7.0  # by a callback, say
    session.read_back()
    session.run(examples, None, 2, 4, learning_rate=np.full(2, 0.1))
    session.roll_back()
    np.testing.assert_array_equal(net.statistics["mean0"], 7.0)
    net.statistics["variance0"][0] = np.inf
    assert not session.finite()
    session.close()


# --- what is refused ---


def test_lbfgs_and_applied_gradients_are_refused(clusters):
    X, y = clusters
    net = norm_network()
    with pytest.raises(ValueError, match=r"lbfgs cannot use BatchNorm \(it learns its statistics"):
        train(net, X, y, loss="cce", optimizer="lbfgs")
    job = Job(net, Objective(loss("cce")), optimizer("adam"), batch_size=50)
    session = ENGINES["reference"].start(job)
    flat = session.gradients(Examples(X, y)).flat
    with pytest.raises(ValueError, match=r"layer 0 \(BatchNorm 4 -> 4\) learns statistics .* run"):
        session.apply(flat, 0.1)
    session.close()
    layers = [Dense(4, "tanh"), LayerNorm(), Dense(3, "softmax")]  # it mixes no examples
    history = train(Network(layers, 4, seed=0), X, y, loss="cce", optimizer="lbfgs", epochs=30)
    assert history["loss"][-1] < 0.5 * history["loss"][0]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: LayerNorm(epsilon=0), r"LayerNorm: epsilon must be 1e-30 or more; got 0"),
        (lambda: BatchNorm(epsilon=float("nan")), r"BatchNorm: epsilon must be .* got nan"),
        (lambda: BatchNorm(momentum=1), r"BatchNorm: momentum must be at least 0 and below 1; got"),
        (lambda: BatchNorm(momentum="0.9"), r"momentum must be at least 0 .* got '0.9'"),
        (
            lambda: LayerNorm().build((4, 1)),
            r"LayerNorm\(\) takes the mean of the features .* one alone, in 4 x 1",
        ),
        (
            lambda: BatchNorm(learning_rate_factor={"W": 2.0}).build((3,)),
            r"learning_rate_factor names 'W'; the parameters are gamma, beta",
        ),
        (
            lambda: Network([Dense(3), BatchNorm(), LayerNorm(), Dense(1)], 2),
            r"layer 1 \(BatchNorm 3 -> 3\) and layer 1 \(LayerNorm 3 -> 3\) both have a parameter "
            r"gamma1; put a layer with a Z, such as Dense, between them\.$",
        ),
        (
            lambda: Network([Dense(3), BatchNorm()], 2),
            r"the last layer must compute a Z, such as Dense; got BatchNorm\(\)",
        ),
        (
            lambda: Network([BatchNorm(), Dense(1)], 3).forward(np.ones((3, 2)), training=True),
            r"training=True is for cache=True",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(made, message):
    with pytest.raises(ValueError, match=message):
        made()


def test_statistics_put_there_from_outside_are_checked(clusters):
    X, y = clusters
    net = norm_network("float32")
    net.layers[0].statistics["mean"] = np.zeros((3, 1))
    expected = r"mean\[0\] must be an array of float32, \(4, 1\); got float64 \(3, 1\)"
    with pytest.raises(ValueError, match=expected):
        train(net, X, y, loss="cce", epochs=1)
    with pytest.raises(ValueError, match=expected):
        net.forward(X)


def test_a_folder_without_them_is_refused(trained, tmp_path):
    trained.layers[0].statistics.pop("mean")
    save(trained, tmp_path / "net")
    with pytest.raises(ModelError, match=r"mean0 should be \(4, 1\) float32, is absent"):
        load(tmp_path / "net")


def test_a_checkpoint_of_another_filter_shape_goes_on(rng, tmp_path):
    X, Y = rng.normal(size=(4, 4, 1, 12)), rng.integers(0, 2, 12)

    def picture_network() -> Network:
        layers = [Conv2D(2, (3, 2)), BatchNorm(), Dense(2, "softmax")]
        return Network(layers, (4, 4, 1), seed=0)

    whole, broken = picture_network(), picture_network()
    train(whole, X, Y, loss="cce", epochs=4)
    train(broken, X, Y, loss="cce", epochs=2, checkpoint=tmp_path / "c")
    train(broken, X, Y, loss="cce", epochs=4, resume=tmp_path / "c")
    assert everything(broken) == everything(whole)
