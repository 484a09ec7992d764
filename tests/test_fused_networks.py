"""Networks of any layers on the fused engine: the reference engine's numbers, its own bits."""

from __future__ import annotations

import numpy as np
import pytest

from engine_sessions import assert_same, parameters
from pellucid import (
    GRU,
    LSTM,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    GlobalPool,
    LayerNorm,
    MaxPool,
    Network,
    Parallel,
    Residual,
    train,
)
from pellucid.engines import ENGINES, Examples, Job, Objective, simd
from pellucid.engines.fused.plan import BRANCHED, KINDS
from pellucid.layers import LAYERS, Layer
from pellucid.layers.chain import walk
from pellucid.losses import loss
from pellucid.optimizers import optimizer

pytestmark = pytest.mark.skipif(not simd.levels(), reason="the fused engine is not built")

EXAMPLES = [(layer, shape) for entry in LAYERS.values() for layer, shape in entry.examples()]
each_example = pytest.mark.parametrize(("layer", "shape"), EXAMPLES, ids=repr)
TINY = {"float32": 3e-5, "float64": 3e-13}


def network(layers: list[Layer], shape, dtype: str = "float64", seed: int = 1) -> Network:
    """With parameters and statistics that no layer starts from."""
    net = Network([layer.unbuilt() for layer in layers], shape, seed=seed, dtype=dtype)
    rng = np.random.default_rng(2)
    for name, parameter in net.parameters.items():
        scale = 0.4 if name.startswith("W") else 1.0
        parameter[...] += rng.normal(scale=scale, size=parameter.shape)
    for statistic in net.statistics.values():
        statistic[...] = rng.uniform(0.5, 2, size=statistic.shape)
    return net


def session(net: Network, engine: str, rule: str = "adam", **options):
    settings = {"batch_size": 7, "seed": 5, "n_threads": 1} | {
        k: options.pop(k) for k in list(options) if k in ("batch_size", "n_threads", "state")
    }
    objective = Objective(loss(options.pop("loss", "cce")), **options)
    job = Job(net, objective, optimizer(rule), **settings)
    assert not ENGINES[engine].refuses(job)
    return ENGINES[engine].start(job)


def steps(net: Network, engine: str, examples: Examples, order=None, **options):
    """Some steps of training: costs, parameters, statistics, slots, outputs."""
    with_steps = session(net, engine, **options)
    m = examples.m if order is None else len(order)
    count = -(-m // with_steps.batch_size)
    costs = with_steps.run(examples, order, 0, count, learning_rate=np.full(count, 0.01))
    J, A = with_steps.evaluate(examples)
    slots = with_steps.state().slots
    with_steps.close()
    found = parameters(net) | {k: v.copy() for k, v in net.statistics.items()} | slots
    return found | {"costs": costs, "J": np.array([J]), "A": A}


def data(net: Network, m: int, lengths: bool = False) -> Examples:
    rng = np.random.default_rng(m)
    X = np.asarray(net.layers[0].example_inputs(m, rng), dtype=net.dtype)
    last = net.layers[-1]
    n = last.output_shape[-1]
    Y = rng.integers(0, n, (last.output_shape[0], m) if len(last.output_shape) == 2 else m)
    if not lengths:
        return Examples(X, Y)
    T = net.input_shape[0]
    counts = rng.integers(max(1, T - 2), T + 1, m)
    padded = np.arange(T)[:, None] >= counts
    X = np.where(np.repeat(padded, len(X) // T, axis=0), 0, X)
    return Examples(X, np.where(padded, 0, Y) if Y.ndim == 2 else Y, lengths=counts)


def assert_close(found: dict, expected: dict, dtype: str, factor: float = 1.0) -> None:
    assert_same(found, expected, factor * TINY[dtype])


def test_the_plan_knows_every_layer_of_the_table() -> None:
    assert set(KINDS) | set(BRANCHED) == set(LAYERS)


@each_example
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step_is_that_of_the_reference_engine(layer: Layer, shape, dtype: str) -> None:
    found = []
    for engine in ("reference", "fused"):
        net = network([layer, Dense(3, "softmax")], shape, dtype)
        examples = data(net, 7)
        found.append(steps(net, engine, examples, rule="gradient_descent", l2=0.1))
    assert_close(found[1], found[0], dtype, 4)


@each_example
def test_behind_another_layer_it_gives_back_the_same(layer: Layer, shape) -> None:
    """What enters has the other layer's own arrangement, and its gradient goes on below."""
    if any(each.takes == "words" for each in walk([layer])):
        before: list[Layer] = []
    elif len(shape) == 1:
        before = [Dense(shape[0], "tanh")]
    else:
        conv = Conv1D if len(shape) == 2 else Conv2D
        before = [conv(shape[-1], 3, "tanh", padding="same")]
    found = []
    for engine in ("reference", "fused"):
        net = network([*before, layer, Dense(3, "softmax")], shape)
        found.append(steps(net, engine, data(net, 7), rule="gradient_descent"))
    assert_close(found[1], found[0], "float64", 4)


MODELS: dict[str, tuple[list[Layer], tuple[int, ...]]] = {
    "pictures": (
        [
            Conv2D(3, 3, padding="same", dropout=0.2),
            MaxPool(2),
            Residual([Conv2D(3, 3, "tanh", padding="same")]),
            Conv2D(4, 2, "softplus", stride=2),
            Dense(9, "tanh", dropout=0.3),
            Dense(3, "softmax"),
        ],
        (9, 8, 2),
    ),
    "normalised": (
        [Conv2D(3, 3), BatchNorm(), MaxPool(2), Dense(6, "tanh"), BatchNorm(), Dense(3, "softmax")],
        (8, 8, 1),
    ),
    "words": (
        [Embedding(9, 4), LSTM(5, sequences=True), Dropout(0.3), GRU(4), Dense(3, "softmax")],
        (6,),
    ),
    "both ways": (
        [
            Parallel([LSTM(3, sequences=True), LSTM(3, sequences=True, backwards=True)]),
            LayerNorm(),
            GlobalPool(),
            Dense(3, "softmax"),
        ],
        (6, 2),
    ),
    "each step": (
        [Conv1D(4, 3, padding="same"), GRU(5, sequences=True), Dense(3, "softmax", each_step=True)],
        (6, 2),
    ),
}
each_model = pytest.mark.parametrize("model", MODELS)


def made(model: str, dtype: str = "float64") -> Network:
    layers, shape = MODELS[model]
    return network(layers, shape, dtype)


@each_model
@pytest.mark.parametrize("rule", ["adam", "momentum"])
@pytest.mark.parametrize("batch_size", [5, 40, 300])
def test_a_training_is_that_of_the_reference_engine(model, rule, batch_size) -> None:
    found = []
    order = np.random.default_rng(0).permutation(90)
    for engine in ("reference", "fused"):
        net = made(model)
        found.append(
            steps(net, engine, data(net, 90), order, rule=rule, batch_size=batch_size, l1=1e-4)
        )
    assert_close(found[1], found[0], "float64", 1000)


@pytest.mark.parametrize("model", ["both ways", "each step", "words"])
@pytest.mark.parametrize("weighted", [False, True])
def test_sequences_of_different_lengths(model, weighted) -> None:
    found = []
    for engine in ("reference", "fused"):
        net = made(model)
        examples = data(net, 37, lengths=True)
        if weighted:
            examples.weight = np.random.default_rng(3).integers(0, 3, 37).astype(net.dtype)
        found.append(steps(net, engine, examples, batch_size=20))
    assert_close(found[1], found[0], "float64", 1000)


@each_model
@pytest.mark.parametrize("batch_size", [16, 33, 200])
def test_the_same_bits_for_any_number_of_threads(model, batch_size) -> None:
    found = []
    for threads in (1, 2, 3, 7):
        net = made(model, "float32")
        examples = data(net, 200, lengths=len(MODELS[model][1]) == 2)
        found.append(
            steps(net, "fused", examples, batch_size=batch_size, n_threads=threads, clip_norm=0.5)
        )
    for other in found[1:]:
        assert_same(other, found[0])


@each_model
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_example_alone_gives_the_bits_that_it_gives_among_others(model, dtype) -> None:
    net = made(model, dtype)
    examples = data(net, 75, lengths=len(MODELS[model][1]) == 2)
    A = net.forward(examples.X, lengths=examples.lengths)
    few = [40, 3, 74]
    for rows in ([7], few, list(range(20))):
        lengths = None if examples.lengths is None else examples.lengths[rows]
        np.testing.assert_array_equal(net.forward(examples.X[:, rows], lengths=lengths), A[:, rows])


@each_model
def test_a_step_is_gradients_and_apply(model) -> None:
    if model == "normalised":
        with pytest.raises(ValueError, match="do its steps with run"):
            session(made(model), "fused").apply(np.zeros(made(model).n_parameters), 0.1)
        return
    found = []
    for handed in (False, True):
        net = made(model)
        examples = data(net, 20)
        work = session(net, "fused", batch_size=20, l2=0.1, clip_norm=0.3)
        if handed:
            work.apply(work.gradients(examples).flat, 0.01)
        else:
            work.run(examples, None, 0, 1, learning_rate=np.array([0.01]))
        work.close()
        found.append(parameters(net))
    assert_same(found[1], found[0])


@each_model
def test_gradients_are_those_of_the_reference_engine(model) -> None:
    found = []
    for engine in ("reference", "fused"):
        net = made(model)
        gradients = session(net, engine, label_smoothing=0.1).gradients(data(net, 41))
        found.append({"flat": gradients.flat, "J": np.array([gradients.J])})
    assert_close(found[1], found[0], "float64", 10)


def test_roll_back_brings_parameters_and_statistics_back() -> None:
    net = made("normalised")
    before = parameters(net) | {k: v.copy() for k, v in net.statistics.items()}
    examples = data(net, 20)
    work = session(net, "fused")
    work.run(examples, None, 0, 2, learning_rate=np.full(2, 0.1))
    work.roll_back()
    work.write_back()
    assert_same(parameters(net) | net.statistics, before)
    work.run(examples, None, 0, 2, learning_rate=np.full(2, 0.1))
    work.write_back()
    after = parameters(net) | {k: v.copy() for k, v in net.statistics.items()}
    assert all((after[k] != before[k]).any() for k in after)


def test_a_step_that_is_not_finite_changes_nothing() -> None:
    net = made("pictures")
    examples = data(net, 20)
    examples.X[0, 3] = np.nan
    work = session(net, "fused", batch_size=10)
    before = parameters(net)
    costs = work.run(examples, None, 0, 2, learning_rate=np.full(2, 0.1))
    work.close()
    assert list(costs) == [np.inf]
    assert_same(parameters(net), before)


@pytest.mark.parametrize("pool", [MaxPool(2), MaxPool(3, 1), GlobalPool("max")], ids=repr)
def test_what_is_not_known_is_not_left_out_of_the_largest(pool: Layer) -> None:
    net = network([pool, Dense(3, "softmax")], (5, 6, 2))
    X = np.asfortranarray(data(net, 40).X)
    X[4, 1] = X[0, 2] = X[30, 30] = np.nan
    expected = np.isnan(ENGINES["reference"].predictor(net)(X))
    assert expected.any()
    for m in (3, 40):
        found = np.isnan(ENGINES["fused"].predictor(net)(X[:, :m]))
        np.testing.assert_array_equal(found, expected[:, :m])


def test_a_step_without_weight_is_counted_and_changes_nothing() -> None:
    net = made("pictures")
    examples = data(net, 20)
    examples.weight = np.repeat([0.0, 1.0], 10)
    work = session(net, "fused", batch_size=10)
    costs = work.run(examples, None, 0, 2, learning_rate=np.full(2, 0.1))
    assert np.isnan(costs[0])
    assert np.isfinite(costs[1])
    assert work.state().step == 2


def test_word_numbers_beyond_the_table_are_refused() -> None:
    net = made("words")
    X = np.zeros((6, 3))
    X[2, 1] = 9
    with pytest.raises(ValueError, match=r"A_prev\[2, 1\] is 9, a word number beyond the table"):
        train(net, X, np.array([0, 1, 2]), loss="cce", epochs=1, engine="fused")
    with pytest.raises(ValueError, match="a word number beyond the table"):
        net.forward(X)


def test_pictures_of_bytes_and_of_strides_are_taken_as_they_are() -> None:
    layers, shape = MODELS["pictures"]
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (144, 50)).astype(np.uint8)
    net = network(layers, shape, "float32")
    expected = net.forward(X.astype(np.float32))
    for given in (X, np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2], X.astype(np.float64)):
        np.testing.assert_array_equal(net.forward(given), expected)


def test_what_it_cannot_end_with_goes_to_the_reference_engine() -> None:
    net = Network([LSTM(3)], (4, 2), seed=0)
    X = np.random.default_rng(0).normal(size=(8, 8))
    history = train(net, X, np.zeros((3, 8)), loss="mse", epochs=1)
    assert history.engine == "reference"
    assert "it has no network that ends with LSTM" in history.engine_note
