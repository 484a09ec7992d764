"""Layers as ONNX has them: pictures and sequences, with lengths, in onnxruntime."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from pellucid import Dense, Network, train
from pellucid.activations import LeakyReLU, Tanh
from pellucid.errors import ModelError, SettingsError
from pellucid.export import export, verify
from pellucid.export import onnx as exporter
from pellucid.export.exported import exported
from pellucid.export.graph import Graph
from pellucid.export.layers import OPERATORS
from pellucid.export.value import XP, Rows, Value
from pellucid.layers import (
    GRU,
    LAYERS,
    LSTM,
    AveragePool,
    BatchNorm,
    Conv1D,
    Conv2D,
    Embedding,
    GlobalPool,
    Layer,
    LayerNorm,
    MaxPool,
    Parallel,
    Recurrent,
    Residual,
)
from pellucid.persistence.predictor import NetworkPredictor

CLOSE = {"float32": 1e-5, "float64": 1e-12}
each_dtype = pytest.mark.parametrize("dtype", list(CLOSE))
EXAMPLES = [(layer, shape) for entry in LAYERS.values() for layer, shape in entry.examples()]

WRITTEN_AS = {
    "Conv1D": {"Conv"},
    "Conv2D": {"Conv"},
    "MaxPool": {"MaxPool"},
    "AveragePool": {"AveragePool"},
    "GlobalPool": {"GlobalAveragePool", "GlobalMaxPool"},
    "Embedding": {"Gather"},
    "Recurrent": {"RNN"},
    "GRU": {"GRU"},
    "LSTM": {"LSTM"},
    "BatchNorm": {"BatchNormalization"},
    "LayerNorm": {"LayerNormalization"},
    "Residual": {"Add"},
    "Parallel": {"Concat"},
}
"""The operators by which readers of a file in float32 know each layer."""


def filled(net: Network, scale: float = 0.5) -> Network:
    """The network with parameters that no layer starts from."""
    rng = np.random.default_rng(2)
    for parameter in net.parameters.values():
        parameter[...] = scale * rng.normal(size=parameter.shape)
    return net


class File:
    """An exported network in onnxruntime."""

    def __init__(self, net: Network, *, lengths: bool = False) -> None:
        content = exporter.content(exported(net, lengths=lengths))
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 2
        self.session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self.proto = onnx.load_from_string(content)
        self.operators = [node.op_type for node in self.proto.graph.node]
        self.sizes = {each.name: tuple(each.dims) for each in self.proto.graph.initializer}

    def run(self, X: np.ndarray, lengths: Any = None) -> dict[str, np.ndarray]:
        """The outputs by name for rows."""
        given = {"X": np.ascontiguousarray(X)}
        if lengths is not None:
            given["lengths"] = np.asarray(lengths, dtype=np.int64)
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, given), strict=True))


def agrees(net: Network, X: np.ndarray, lengths: Any = None) -> File:
    """The file says what the predictor says, of rows and of none."""
    made, asked = File(net, lengths=lengths is not None), NetworkPredictor(net)
    can_be_empty = not {"GRU", "LSTM"} & set(made.operators)  # ONNX Runtime 1.32 aborts on none
    for m in (len(X), 1, 0) if can_be_empty else (len(X), 1):
        part = None if lengths is None else np.asarray(lengths)[:m]
        found = made.run(X[:m], part)
        if "prediction" in found:
            expected = asked.predict(X[:m], lengths=part)
            assert found["prediction"].shape == expected.shape
            close(found["prediction"], expected, net.dtype.name)
            continue
        p = asked.predict_proba(X[:m], lengths=part)
        assert found["probabilities"].shape == p.shape
        close(found["probabilities"], p, net.dtype.name)
        np.testing.assert_array_equal(found["label"], asked.predict(X[:m], lengths=part))
    return made


def close(found: np.ndarray, expected: np.ndarray, dtype: str) -> None:
    assert found.dtype == expected.dtype
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=CLOSE[dtype] * scale)


# Every layer --------------------------------------------------------------------------------------


@each_dtype
@pytest.mark.parametrize(("layer", "shape"), EXAMPLES, ids=repr)
def test_every_layer(layer: Layer, shape: tuple[int, ...], dtype: str) -> None:
    net = filled(Network([layer, Dense(3, "softmax")], shape, seed=1, dtype=dtype))
    X = net.layers[0].example_inputs(20, np.random.default_rng(3)).T.astype(dtype)
    made = agrees(net, X)
    expected = WRITTEN_AS.get(type(layer).__name__)
    if type(layer) is Recurrent and layer.activation.name in ("softplus", "elu"):
        assert "RNN" not in made.operators  # ONNX's lose digits
    elif expected is not None and dtype == "float32":
        assert expected & set(made.operators), made.operators


def test_the_table_has_what_is_written_as_an_operator() -> None:
    assert {each.__name__ for each in OPERATORS} == set(WRITTEN_AS)


def test_lenet_is_what_others_would_write() -> None:
    layers: list[Layer] = [
        Conv2D(6, 5, "tanh", padding="same"),
        AveragePool(2),
        Conv2D(16, 5, "tanh"),
        AveragePool(2),
        Dense(120, "tanh"),
        Dense(10, "softmax"),
    ]
    net = filled(Network(layers, (28, 28, 1), seed=0), 0.1)
    made = agrees(net, np.random.default_rng(0).normal(size=(5, 784)).astype(np.float32))
    assert made.operators[:11] == [
        *["Reshape", "Conv", "Tanh", "AveragePool", "Conv", "Tanh", "AveragePool"],
        *["Transpose", "Reshape", "MatMul", "Add"],  # a column is row, column, channel
    ]
    assert made.sizes["W1"] == (6, 1, 5, 5)
    assert made.sizes["W2"] == (16, 6, 5, 5)
    assert made.sizes["b2"] == (16,)
    metadata = {each.key: each.value for each in made.proto.metadata_props}
    assert json.loads(metadata["input_shape"]) == [28, 28, 1]
    assert "inputs" not in metadata


@each_dtype
@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([Conv2D(4, 3, "relu"), MaxPool(2), Conv2D(5, 2, "gelu"), GlobalPool()], (9, 8, 3)),
        ([Conv2D(4, 3, groups=2, stride=2), Conv2D(4, (1, 2), padding=1)], (6, 7, 2)),
        ([Conv1D(4, 3, "elu"), AveragePool(2), Dense(3, "mish", each_step=True)], (9, 2)),
        ([MaxPool(3, 1), Conv1D(3, 2), GlobalPool("max")], (8, 2)),
        ([AveragePool((2, 1)), MaxPool((1, 2)), Dense(4, "tanh")], (4, 6, 1)),
    ],
)
def test_chains_of_them(layers: list[Layer], shape: tuple[int, ...], dtype: str) -> None:
    net = filled(Network([*layers, Dense(2, "identity")], shape, dtype=dtype))
    agrees(net, np.random.default_rng(0).normal(size=(7, net.n_inputs)).astype(dtype))


def test_pictures_stay_as_onnx_has_them_from_layer_to_layer() -> None:
    block = [Conv2D(4, 3, "tanh", padding="same"), BatchNorm(), Conv2D(4, 3, padding="same")]
    sizes = Parallel([Conv2D(2, 1), [Conv2D(3, 3, padding="same"), BatchNorm()], []])
    layers: list[Layer] = [Conv2D(4, 3), Residual(block), sizes, MaxPool(2), GlobalPool()]
    net = filled(Network([*layers, Dense(2, "softmax")], (7, 6, 2), seed=0))
    made = agrees(net, np.random.default_rng(0).normal(size=(3, 84)).astype(np.float32))
    assert made.operators.count("Transpose") == 1, made.operators  # of what enters
    assert made.operators.count("BatchNormalization") == 2
    assert made.sizes["gamma2"] == (4,)


@each_dtype
def test_batch_norm_goes_by_what_training_found(dtype: str) -> None:
    layers: list[Layer] = [Conv1D(3, 2, "tanh"), BatchNorm(), Dense(2, "softmax")]
    net, rng = Network(layers, (5, 2), seed=0, dtype=dtype), np.random.default_rng(0)
    X = rng.normal(3, 2, size=(40, 10)).astype(dtype)
    before = net.forward(X.T)
    train(net, X.T, rng.integers(0, 2, 40), loss="cce", epochs=5, learning_rate=0.01)
    assert np.abs(net.layers[1].statistics["mean"]).min() > 0.01
    agrees(net, X)
    assert np.abs(net.forward(X.T) - before).max() > 0.01


@each_dtype
@pytest.mark.parametrize("split", [None, [1, 1]])
def test_lengths_through_layers_that_hold_layers(split: list[int] | None, dtype: str) -> None:
    inside = Residual([Conv1D(2, 3, "tanh", padding="same"), LayerNorm()])
    beside = [Conv1D(3, 2), Dense(2, "elu", each_step=True)], Conv1D(2, 2, "sigmoid")
    layers: list[Layer] = [Conv1D(2, 2), inside, Parallel(beside, split=split), GlobalPool()]
    net = filled(Network([*layers, Dense(3, "softmax")], (7, 2), dtype=dtype))
    agrees(net, sequences(2, dtype), LENGTHS)


def test_a_layer_inside_of_another_is_named() -> None:
    @dataclasses.dataclass(frozen=True)
    class OnlyNumpy(Tanh):
        def __call__(self, Z: Any) -> Any:
            return np.tanh(Z)

    net = Network([Residual([Dense(3, OnlyNumpy())]), Dense(2)], 3)
    with pytest.raises(ModelError, match=r"^layer 1 \(Dense 3 -> 3\) with the .* to ONNX"):
        File(net)


# Layers that go through time ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "operator", "gates"),
    [
        (Recurrent(16), "RNN", 1),
        (Recurrent(16, "identity"), "RNN", 1),
        (Recurrent(16, "relu"), "RNN", 1),
        (Recurrent(16, "sigmoid"), "RNN", 1),
        (Recurrent(16, LeakyReLU(slope=0.3)), "RNN", 1),
        (GRU(16), "GRU", 3),
        (GRU(16, reset="after"), "GRU", 3),
        (LSTM(16), "LSTM", 4),
    ],
    ids=repr,
)
def test_many_steps(layer: Any, operator: str, gates: int) -> None:
    net = filled(Network([layer, Dense(3, "softmax")], (100, 5)), 0.15)
    made = agrees(net, np.random.default_rng(0).normal(size=(20, 500)).astype(np.float32))
    assert made.operators[:3] == ["Reshape", "Transpose", operator]
    assert made.sizes["W1.x"] == (1, gates * 16, 5)
    assert made.sizes["W1.a"] == (1, gates * 16, 16)
    assert made.sizes["b1"] == (1, 2 * gates * 16)


@each_dtype
def test_a_text_read_both_ways(dtype: str) -> None:
    both = Parallel([LSTM(4, sequences=True), GRU(3, sequences=True, backwards=True)])
    layers: list[Layer] = [Embedding(9, 5, padding=0), both, Dense(4, "softmax", each_step=True)]
    net, rng = filled(Network(layers, (7,), dtype=dtype)), np.random.default_rng(0)
    X = rng.integers(0, 9, (5, 7)).astype(dtype)
    made = agrees(net, X)
    if dtype == "float32":
        assert {"Gather", "LSTM", "GRU", "Concat"} <= set(made.operators)
        assert made.sizes["W1"] == (9, 5)
    for row, length in zip(X, LENGTHS, strict=True):
        row[length:] = np.nan
    agrees(net, X, LENGTHS)


def test_an_activation_that_onnx_lacks_goes_step_by_step() -> None:
    net = filled(Network([Recurrent(3, "gelu", sequences=True), GlobalPool(), Dense(1)], (4, 2)))
    made = agrees(net, np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32))
    assert "RNN" not in made.operators
    assert made.operators.count("Tanh") == 4


# What comes out: a class, or one for each step ----------------------------------------------------

OUTPUTS = [(1, "sigmoid"), (3, "sigmoid"), (4, "softmax"), (1, "identity"), (2, "identity")]


@each_dtype
@pytest.mark.parametrize("last", OUTPUTS)
def test_outputs_of_each_step(last: tuple[int, str], dtype: str) -> None:
    layers = [Conv1D(4, 3, "tanh", padding="same"), Dense(*last, each_step=True)]
    net = filled(Network(layers, (6, 2), dtype=dtype))
    agrees(net, np.random.default_rng(0).normal(size=(5, 12)).astype(dtype))


def test_outputs_of_each_place() -> None:
    net = filled(Network([Conv2D(3, 3, "softmax", padding="same")], (4, 5, 2)))
    X = np.random.default_rng(0).normal(size=(6, 40)).astype(np.float32)
    assert agrees(net, X).run(X)["label"].shape == (6, 4, 5)


# Lengths ------------------------------------------------------------------------------------------

LENGTHS = [7, 4, 3, 5, 7]


def sequences(n_features: int, dtype: str) -> np.ndarray:
    """Rows of 7 steps, with odd numbers behind the ends."""
    X = np.random.default_rng(0).normal(size=(len(LENGTHS), 7, n_features)).astype(dtype)
    for row, length in zip(X, LENGTHS, strict=True):
        row[length:] = 1e6
    return X.reshape(len(X), -1)


@each_dtype
@pytest.mark.parametrize("last", OUTPUTS)
@pytest.mark.parametrize(
    "layers",
    [
        [Dense(3, "tanh", each_step=True)],
        [Conv1D(3, 3, "sigmoid", padding="same")],
        [Conv1D(3, 2, "softplus"), MaxPool(2, 1)],
        [Conv1D(3, 3, "sigmoid", stride=2, padding=1), AveragePool(2, 1)],
        [Recurrent(3, "leaky_relu", sequences=True), Recurrent(2, sequences=True, backwards=True)],
        [GRU(3, sequences=True, backwards=True), GRU(3, reset="after", sequences=True)],
        [LSTM(3, sequences=True), Conv1D(2, 2, "tanh"), LSTM(2, sequences=True, backwards=True)],
    ],
    ids=repr,
)
def test_lengths_with_outputs_of_each_step(
    layers: list[Layer], last: tuple[int, str], dtype: str
) -> None:
    net = filled(Network([*layers, Dense(*last, each_step=True)], (7, 2), dtype=dtype))
    agrees(net, sequences(2, dtype), LENGTHS)


@each_dtype
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("entry", [Recurrent, GRU, LSTM])
def test_lengths_to_the_last_state(entry: Any, backwards: bool, dtype: str) -> None:
    layers = [entry(4, sequences=True), entry(3, backwards=backwards), Dense(3, "softmax")]
    net = filled(Network(layers, (7, 2), dtype=dtype))
    agrees(net, sequences(2, dtype), LENGTHS)


@each_dtype
@pytest.mark.parametrize("kind", ["average", "max"])
def test_lengths_with_one_output(kind: str, dtype: str) -> None:
    layers = [Conv1D(3, 2, "tanh"), GlobalPool(kind), Dense(3, "softmax")]
    net = filled(Network(layers, (7, 2), dtype=dtype))
    made = agrees(net, sequences(2, dtype), LENGTHS)
    shown = [(each.name, each.type, each.shape) for each in made.session.get_inputs()]
    assert shown[1] == ("lengths", "tensor(int64)", ["m"])
    assert "GlobalAveragePool" not in made.operators  # which would count the padding


def test_in_float64_a_weight_is_in_the_file_once() -> None:
    net = filled(Network([GRU(8, sequences=True), GRU(5), Dense(2)], (30, 4), dtype="float64"))
    X = np.random.default_rng(0).normal(size=(3, 120))
    made = agrees(net, X)
    assert sum(map(math.prod, made.sizes.values())) < 2 * net.n_parameters


def test_a_file_takes_lengths_where_asked(tmp_path: Path) -> None:
    net = filled(Network([Conv1D(3, 2), GlobalPool(), Dense(3, "softmax")], (7, 2)))
    with_lengths, without = tmp_path / "with.onnx", tmp_path / "without.onnx"
    export(net, with_lengths, lengths=True)
    export(net, without)
    X = sequences(2, "float32")
    found = verify(with_lengths, net, X.reshape(-1, 7, 2), lengths=LENGTHS)
    assert found.ok, found.summary()
    assert [each.name for each in found.inputs] == ["X", "lengths"]
    assert found.tolerance == 1e-5
    in_double = Network([GRU(3), Dense(3, "softmax")], (7, 2), dtype="float64")
    export(in_double, with_lengths, lengths=True, overwrite=True)
    assert verify(with_lengths, in_double, X, lengths=LENGTHS).tolerance == 1e-9
    export(net, with_lengths, lengths=True, overwrite=True)
    assert verify(without, net, X).ok
    with pytest.raises(ModelError, match=r"cannot run .*it takes no lengths"):
        verify(without, net, X, lengths=LENGTHS)
    with pytest.raises(ModelError, match=r"cannot run .*lengths"):
        verify(with_lengths, net, X)
    with pytest.raises(ValueError, match=r"lengths must be 1 to 7.*lengths\[1\] is 8"):
        verify(with_lengths, net, X, lengths=[7, 8, 3, 5, 7])


@pytest.mark.parametrize("shape", [(6, 6, 1), 1])
def test_lengths_of_no_sequences_are_refused(shape: Any, tmp_path: Path) -> None:
    net = Network([Dense(2, "softmax")], shape)
    with pytest.raises(SettingsError, match="lengths are for sequences"):
        export(net, tmp_path / "net.onnx", lengths=True)
    assert not list(tmp_path.iterdir())


def test_a_wrong_label_of_one_step_is_found(tmp_path: Path) -> None:
    layers = [Conv1D(3, 2, "tanh"), Dense(3, "softmax", each_step=True)]
    net, other = filled(Network(layers, (7, 2))), filled(Network(layers, (7, 2)), -0.5)
    export(other, tmp_path / "net.onnx")
    found = verify(tmp_path / "net.onnx", net, sequences(2, "float32"), lengths=None)
    assert not found.ok
    assert found.wrong_labels > 0


# Arrays that write down what is done to them ------------------------------------------------------


def _both(f: Any, *shapes: tuple[Any, ...], opset: int = 17) -> tuple[np.ndarray, np.ndarray]:
    """What f makes of arrays, and what its graph makes of them; "m" is 4."""
    graph, rng = Graph(opset), np.random.default_rng(0)
    values = [graph.input(f"x{k}", np.float64, shape) for k, shape in enumerate(shapes)]
    arrays = [
        rng.normal(size=[4 if n == "m" else n for n in value.shape]).astype(np.float64)
        for value in values
    ]
    graph.output("y", f(*values))
    session = ort.InferenceSession(graph.to_bytes({}), providers=["CPUExecutionProvider"])
    given = {f"x{k}": np.ascontiguousarray(array.T) for k, array in enumerate(arrays)}
    return session.run(None, given)[0].T, f(*arrays)


MOVES = {
    "x.T": lambda x: x.T,
    "x.reshape": lambda x: x.reshape(2, 3, -1),
    "rows in two axes": lambda x: x.T.reshape(-1, 2).T,
    "back and forth": lambda x: x.T.reshape(-1, 2, 3).transpose(0, 2, 1).T,
    "x[1]": lambda x: x[1],
    "x[-1]": lambda x: x[-1],
    "x[None]": lambda x: x[None] * 2,
    "x[:, None]": lambda x: x[:, None],
    "x[..., None]": lambda x: x[..., None],
    "x[1:5:2]": lambda x: x[1:5:2],
    "x[::-1]": lambda x: x[::-1],
    "x[3:0:-2]": lambda x: x[3:0:-2],
    "x[[2, 0]]": lambda x: x[np.array([2, 0])],
    "x[[[2, 0], [1, -1]]]": lambda x: x[np.array([[2, 0], [1, -1]])],
    "of the transpose": lambda x: x.T[:, np.array([[2, 0, 1], [1, 3, 5]])],
    "then a sum": lambda x: (
        x.T[:, np.array([[2, 0, 1], [1, 3, 5]])].sum(axis=2)
        if isinstance(x, np.ndarray)
        else XP.sum(x.T[:, np.array([[2, 0, 1], [1, 3, 5]])], axis=2)
    ),
    "number behind": lambda x: x.reshape(2, 3, x.shape[1])[1, :, None],
    "broadcast": lambda x: x + np.arange(6.0)[:, None],
    "a row": lambda x: x.T - np.arange(6.0),
    "of two orders": lambda x: x.reshape(2, 3, -1) * x.T.reshape(-1, 2, 3).transpose(1, 2, 0),
    "of fewer axes": lambda x: x.reshape(2, 3, -1) + x[1],
    "W @ x": lambda x: np.ones((2, 6)) @ x,
    "x @ W": lambda x: x.T @ np.ones((6, 2)),
    "W @ a straight one": lambda x: np.ones((5, 2)) @ x.T.reshape(-1, 2).T,
}


@pytest.mark.parametrize("move", MOVES)
def test_moves(move: str) -> None:
    found, expected = _both(MOVES[move], (6, "m"))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("opset", [13, 17])
def test_joined_and_filled(opset: int) -> None:
    def f(x: Any, y: Any) -> Any:
        xp = XP if isinstance(x, Value) else np
        ones = xp.ones((2, x.shape[1]), dtype=np.float64)
        return xp.concat([x, 3 * ones, xp.repeat(y.T.reshape(-1, 3).T, 2, axis=0)], axis=0)

    if not hasattr(np, "concat"):
        pytest.skip("NumPy 1 has no concat")
    found, expected = _both(f, (2, "m"), (3, "m"), opset=opset)
    np.testing.assert_array_equal(found, expected)


def test_what_is_known_beforehand_stays_numpys() -> None:
    assert XP.concat([np.ones(2), np.zeros(1)]).tolist() == [1, 1, 0]
    assert XP.maximum(np.float32(2), np.float32(3)) == 3
    assert XP.zeros((2,), dtype=np.float32).dtype == np.float32
    assert XP.reshape(np.arange(4), (2, 2)).shape == (2, 2)


def test_rows_that_do_not_fit_are_refused() -> None:
    x = Graph().input("x", np.float32, (6, "m"))
    with pytest.raises(ValueError, match=r"cannot be reshaped to \(4, 'm'\)"):
        x.reshape(4, x.shape[1])
    with pytest.raises(ValueError, match="the rows of an exported network cannot be cut"):
        x[:, :2]
    with pytest.raises(ValueError, match=r"product of \(2, 5\) and \(6, 'm'\)"):
        np.ones((2, 5)) @ x
    with pytest.raises(ValueError, match="m rows are not 3 times"):
        Rows("m") // 3


def test_nothing_that_no_output_needs_is_written() -> None:
    graph = Graph()
    x = graph.input("x", np.float32, (6, "m"))
    unused = XP.exp(x) + np.arange(6.0)[:, None]
    graph.output("y", x + 1)
    made = onnx.load_from_string(graph.to_bytes({}))
    assert [node.op_type for node in made.graph.node] == ["Add", "Identity"]
    assert unused.name not in {each.name for each in made.graph.initializer}
    assert len(made.graph.initializer) == 1
