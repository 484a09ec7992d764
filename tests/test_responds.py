"""What units respond to: planted filters find planted edges, and are their own best inputs."""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from typing import Any

import numpy as np
import pytest

from pellucid import Dense, MLPClassifier, Network, Scale
from pellucid.insight import Response, responds_to
from pellucid.insight.responds import _path_to
from pellucid.layers import (
    GRU,
    LAYERS,
    LSTM,
    AveragePool,
    Conv1D,
    Conv2D,
    Embedding,
    Layer,
    LayerNorm,
    MaxPool,
    Parallel,
    Recurrent,
    Residual,
    chain,
)

VERTICAL = [1.0, 0, -1] * 3
HORIZONTAL = [1.0, 1, 1, 0, 0, 0, -1, -1, -1]
EXAMPLES = [(layer, shape) for entry in LAYERS.values() for layer, shape in entry.examples()]


def edges(**more: Any) -> Network:
    """Filters for vertical and horizontal edges, then a unit."""
    net = Network([Conv2D(2, 3, "relu", **more), Dense(1, "sigmoid")], (8, 8, 1), dtype="float64")
    net.W[1] = [VERTICAL, HORIZONTAL]
    return net


def pictures() -> np.ndarray:
    """Noise, with an edge from light to dark planted in examples 1 and 3; (8, 8, 1, 5)."""
    X = 0.1 * np.random.default_rng(0).random((8, 8, 1, 5))
    X[2:5, 4, 0, 1] = 1.0  # to the right of column 4 it is dark
    X[5, 1:4, 0, 3] = 1.0  # below row 5
    return X


def of_field(net: Network, layer: int, place: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    return chain.field(_path_to(net, layer), tuple((n, n + 1) for n in place))


# Among the examples -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "example", "place", "field"),
    [(0, 1, (2, 4), ((2, 5), (4, 7))), (1, 3, (5, 1), ((5, 8), (1, 4)))],
)
def test_planted_edges_are_found_where_they_are(unit, example, place, field):
    X = pictures()
    found = responds_to(edges(), 1, unit, X, k=2)
    first = found.best[0]
    assert (first.example, first.place, first.field) == (example, place, field)
    np.testing.assert_array_equal(
        first.patch[:, :, 0], X[slice(*field[0]), slice(*field[1]), 0, example]
    )
    assert first.a == edges().forward(X, cache=True).A[1].reshape(6, 6, 2, 5)[*place, unit, example]
    assert len(found.best) == 2
    assert found.best[1].a < 1.5 < 2.5 < first.a  # the end of the other edge


def test_an_edge_at_the_border_has_what_is_inside_of_its_field():
    X = np.zeros((8, 8, 1, 1))
    X[:, 6, 0, 0] = 1.0
    (first,) = responds_to(edges(padding="same"), 1, 0, X).best
    assert first.place == (1, 7)  # of several the first; half of what it sees is padding
    assert first.field == ((0, 3), (6, 8))
    assert first.patch.shape == (3, 2, 1)


def test_the_best_examples_come_first_each_once():
    rng = np.random.default_rng(0)
    net = Network([Conv1D(3, 2, "tanh"), Dense(2, "softmax")], (6, 2), seed=0)
    X = rng.normal(size=(12, 600)).astype(np.float32)  # more than go through at a time
    A = net.forward(X, cache=True).A[1].reshape(5, 3, 600)[:, 1]
    found = responds_to(net, 1, 1, X, k=20)
    order = np.argsort(-A.max(axis=0), kind="stable")[:20]
    assert [each.example for each in found.best] == order.tolist()
    assert [each.place[0] for each in found.best] == A[:, order].argmax(axis=0).tolist()
    np.testing.assert_allclose([each.a for each in found.best], A.max(axis=0)[order], rtol=1e-6)


def test_where_g_is_flat_z_decides():
    net = Network([Dense(1, "hard_tanh"), Dense(1)], 1, dtype="float64")
    net.set_parameters({1: ([[1]], [0])})
    found = responds_to(net, 1, 0, [[2.0, 5.0, 3.0, -1.0]])
    assert [each.example for each in found.best] == [1, 2, 0, 3]
    assert [each.a for each in found.best] == [1, 1, 1, -1]
    assert found.best[0].place == found.best[0].field == ()


def test_padded_steps_excite_nothing():
    net = Network([Conv1D(1, 2, "identity"), Dense(1, each_step=True)], (5, 1), dtype="float64")
    net.W[1] = [[-1.0, -1.0]]  # less is more
    X = np.array([[5.0, 4, np.nan, np.nan, np.nan], [3, 2, 9, 9, 9]]).T
    found = responds_to(net, 1, 0, X, lengths=[2, 5])
    assert [(each.example, each.place, each.a) for each in found.best] == [
        (1, (0,), -5.0),
        (0, (0,), -9.0),
    ]
    padded = Network([Conv1D(1, 3, "identity", padding="same"), Dense(1)], (5, 1))
    (first,) = responds_to(padded, 1, 0, X[:, :1], lengths=[2]).best
    assert np.isfinite(first.patch).all()


# Of all inputs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [0, 1])
@pytest.mark.parametrize("padding", ["valid", "same", 2])
def test_the_best_input_of_a_filter_is_the_filter(unit, padding):
    net = edges(padding=padding)
    X = pictures()
    found = responds_to(net, 1, unit, X)
    patch, filter_ = found.maximising, net.W[1][unit].reshape(3, 3, 1)
    assert patch is not None
    assert patch.shape == (3, 3, 1)
    cosine = (patch * filter_).sum() / np.linalg.norm(patch) / np.linalg.norm(filter_)
    assert cosine > 1 - 1e-9
    np.testing.assert_allclose(np.sqrt((patch**2).mean()), found.size)
    np.testing.assert_allclose(found.size, np.sqrt((X**2).mean()))
    np.testing.assert_allclose(found.z, (patch * filter_).sum(), rtol=1e-9)


def test_a_group_of_filters_wants_its_own_channels_alone():
    net = Network(
        [Conv2D(2, 2, "identity", groups=2), Dense(1)], (4, 4, 2), dtype="float64", seed=0
    )
    patch = responds_to(net, 1, 1, np.ones((32, 1))).maximising
    assert patch is not None
    assert np.abs(patch[:, :, 0]).max() < 1e-9 * np.abs(patch[:, :, 1]).max()


def test_the_ascent_goes_through_layers_that_bend(rng):
    layers = [Conv2D(4, 3, "tanh"), MaxPool(2), Conv2D(3, 2, "tanh"), Dense(2, "softmax")]
    net = Network(layers, (10, 10, 1), seed=0, dtype="float64")
    X = rng.normal(size=(100, 200))
    for layer, unit in ((2, 0), (2, 2), (3, 1)):
        found = responds_to(net, layer, unit, X)
        n = {2: 3, 3: 2}[layer]
        Z = net.forward(X, cache=True).Z[layer].reshape(-1, n, 200)
        assert found.z > Z[:, unit].max()  # more than any of 200 examples
    again = responds_to(net, 3, 1, X)
    np.testing.assert_array_equal(again.maximising, found.maximising)
    other = responds_to(net, 3, 1, X, seed=1)
    assert not np.array_equal(other.maximising, found.maximising)


def test_a_dead_unit_keeps_its_noise():
    net = Network([Dense(2, "relu"), Dense(1, "relu"), Dense(1)], 2, dtype="float64")
    net.set_parameters({1: (np.eye(2), [-9, -9]), 2: ([[1, 1]], [0])})
    found = responds_to(net, 2, 0, np.ones((2, 3)))
    assert found.z == 0
    assert found.maximising is not None
    np.testing.assert_allclose((found.maximising**2).mean(), 1)


# The receptive field ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "shape", "layer", "place", "field"),
    [
        ([Conv2D(2, 5), MaxPool(2), Conv2D(3, 5)], (28, 28, 1), 2, (0, 3), ((0, 14), (6, 20))),
        ([Conv2D(2, 5), AveragePool(2), Conv2D(3, 5)], (28, 28, 1), 1, (2, 3), ((2, 7), (3, 8))),
        ([Conv2D(2, 3, padding="same"), LayerNorm()], (6, 5, 2), 1, (0, 4), ((0, 2), (3, 5))),
        ([Conv2D(2, (1, 3), stride=(2, 1), padding=1)], (6, 5, 2), 1, (2, 2), ((3, 4), (1, 4))),
        ([Conv1D(2, 2, stride=3, padding=2)], (7, 2), 1, (0,), ((0, 0),)),  # padding alone
        ([Scale(), Dense(2, each_step=True)], (7, 2), 1, (3,), ((3, 4),)),
        ([Conv1D(2, 3), Dense(2), Dense(2)], (7, 2), 3, (), ((0, 7),)),
        ([Residual(Conv1D(2, 3, padding="same")), Conv1D(2, 2)], (7, 2), 2, (2,), ((1, 5),)),
        ([Parallel([Conv1D(2, 3, padding="same"), []]), Conv1D(1, 1)], (7, 2), 2, (2,), ((1, 4),)),
    ],
)
def test_fields_by_hand(layers, shape, layer, place, field):
    assert of_field(Network([*layers, Dense(1)], shape), layer, place) == field


@pytest.mark.parametrize(("layer", "shape"), EXAMPLES, ids=repr)
def test_nothing_outside_of_a_field_counts(layer: Layer, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    built = layer.unbuilt().build(shape, seed=1)
    x = built.example_inputs(1, rng)
    other = built.example_inputs(1, np.random.default_rng(1)).reshape(shape)
    A = built.forward(x)[0].reshape(built.output_shape)
    for place in np.ndindex(*built.output_shape[:-1]):
        field = built.field(tuple((n, n + 1) for n in place))
        inside = tuple(slice(*each) for each in field)
        changed = other.copy()
        changed[inside] = x.reshape(shape)[inside]
        again = built.forward(changed.reshape(-1, 1))[0].reshape(built.output_shape)
        np.testing.assert_allclose(again[place], A[place], rtol=1e-12)


def test_every_number_in_the_field_of_a_window_counts(rng):
    net = Network([Conv2D(2, 3, "tanh", stride=2, padding=1), AveragePool(2), Conv2D(1, 2, "tanh")],
                  (17, 15, 2), seed=0, dtype="float64")  # fmt: skip
    X = rng.normal(size=(net.n_inputs, 1))
    for place in [(0, 0), (1, 1), (2, 1)]:
        field = of_field(net, 2, place)
        cache = net.forward(X, cache=True)
        dA = np.zeros(cache.A[2].shape).reshape(*net.output_shape, 1)
        dA[place] = 1
        dX = chain.backward(cache.chain, cache.chain_caches, dA.reshape(-1, 1), m=1)[0]
        seen = np.argwhere(dX.reshape(net.input_shape).any(axis=2))
        found = [
            (int(a), int(b) + 1) for a, b in zip(seen.min(axis=0), seen.max(axis=0), strict=True)
        ]
        assert tuple(found) == field


# Sequences and words ------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [Recurrent(3), GRU(3), LSTM(3)], ids=repr)
@pytest.mark.parametrize("backwards", [False, True])
def test_units_that_go_through_time(layer: Any, backwards: bool, rng: Any) -> None:
    made = type(layer)(3, sequences=True, backwards=backwards)
    net = Network([made, Dense(2, "softmax", each_step=True)], (6, 2), seed=0, dtype="float64")
    X, lengths = rng.normal(size=(12, 50)), rng.integers(1, 7, 50)
    A = net.forward(X, cache=True, lengths=lengths).caches[0].output.reshape(6, 3, 50)[:, 1]
    A = np.where(np.arange(6)[:, None] < lengths, A, -np.inf)
    found = responds_to(net, 1, 1, X, k=3, lengths=lengths)
    first = found.best[0]
    assert first.a == A.max()
    step = int(A[:, first.example].argmax())
    assert first.place == (step,)
    assert first.field == (((step, 6),) if backwards else ((0, step + 1),))
    assert found.maximising is not None
    assert found.maximising.shape == (6, 2)  # from the step that knows them all
    assert found.z > A.max()


def test_words_are_found_and_none_is_the_best_of_all():
    net = Network([Embedding(5, 2), Conv1D(1, 2, "identity"), Dense(1)], (4,), dtype="float64")
    net.W[1] = [[0, 0, 9, 0, 0], [0, 0, 0, 9, 0]]
    net.W[2] = [[1, 0, 0, 1]]  # word 2, then word 3
    X = np.array([[0, 1, 2, 3], [2, 2, 2, 2]]).T
    found = responds_to(net, 2, 0, X)
    assert found.best[0].patch.tolist() == [2, 3]
    assert (found.best[0].example, found.best[0].place, found.best[0].a) == (0, (2,), 18)
    assert found.maximising is None
    assert "steps 2 to 3: a = 18" in found.text()
    assert "no input is the best" in found.text()
    assert found.html().count("<li>") == 2
    assert "<code>2 3</code>" in found.html()
    assert json.loads(json.dumps(found.to_dict()))["maximising"] is None
    (word,) = responds_to(net, 1, 1, X, k=1).best
    assert word.patch.tolist() == [3]


# Inside of other layers ---------------------------------------------------------------------------


@pytest.mark.parametrize("split", [None, [1, 2]])
def test_units_inside_of_other_layers(split, rng):
    branches = [[Conv1D(2, 2, "tanh"), LayerNorm()], [Residual(Conv1D(3 if split is None else 2, 3,
                "tanh", padding="same")), Conv1D(1, 2)]]  # fmt: skip
    net = Network([Parallel(branches, split=split), Dense(1)], (5, 3), seed=0, dtype="float64")
    X = rng.normal(size=(15, 40))
    kept = net.forward(X, cache=True)
    for layer, leaf in ((1, 0), (2, 2), (3, 3)):
        n = net.leaves[leaf].output_shape[-1]
        A = kept.caches[leaf].output.reshape(-1, n, 40)[:, n - 1]
        found = responds_to(net, layer, n - 1, X, k=3)
        np.testing.assert_allclose([each.a for each in found.best], np.sort(A.max(axis=0))[:-4:-1])
        assert found.maximising is not None
        if split is not None:  # the first branch sees feature 0, the second the others
            mine = found.maximising[:, :1] if layer == 1 else found.maximising[:, 1:]
            np.testing.assert_allclose((mine**2).sum(), (found.maximising**2).sum())


# What is shown ------------------------------------------------------------------------------------


def _shown(net: Network, X: Any, **more: Any) -> Response:
    return responds_to(net, 1, 0, X, k=2, **more)


def test_text_of_a_picture():
    found = _shown(edges(), pictures())
    lines = found.text().splitlines()
    assert lines[0] == "What excites channel 0 of layer 1 (Conv2D 8 x 8 x 1 -> 6 x 6 x 2) most"
    assert lines[1] == f"  example 1, rows 2 to 4, columns 4 to 6: a = {found.best[0].a:.4g}"
    assert [line.strip() for line in lines[2:5]] == ["@@", "@@", "@@"]  # light to the left
    assert lines[-4] == f"Of all inputs of this size, {found.size:.4g}: z = {found.z:.4g}"
    assert all(re.fullmatch("@@[=+]{2}  ", line[6:]) for line in lines[-3:])
    assert str(found) == found.text()


def test_text_of_steps_and_numbers():
    net = Network([Dense(2, names=["size", "age"]), Dense(1)], 3, seed=0)
    text = _shown(net, np.eye(3)).text()
    assert text.startswith("What excites unit 0 'size' of layer 1 (Dense 3 -> 2) most\n  example ")
    assert re.search(r"^      \S+ \S+ \S+$", text, flags=re.MULTILINE)
    long = Network([Dense(2), Dense(1)], 50, seed=0)
    assert "50 numbers, 0 to 1" in _shown(long, np.eye(50)).text()


def test_pictures_are_pngs_of_the_patches():
    found = _shown(edges(), pictures())
    html = found._repr_html_()
    assert html.count("<img") == 3
    data = base64.b64decode(re.findall(r"base64,([^\"]+)", html)[0])
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24]) == (3, 3)
    size = struct.unpack(">I", data[33:37])[0]
    rows = np.frombuffer(zlib.decompress(data[41 : 41 + size]), np.uint8).reshape(3, 10)
    assert not rows[:, 0].any()
    patch = found.best[0].patch[:, :, 0]
    grey = 255 * (patch - patch.min()) / (patch.max() - patch.min())
    np.testing.assert_allclose(rows[:, 1:].reshape(3, 3, 3)[:, :, 1], grey, atol=0.5)
    assert "example 1, rows 2 to 4, columns 4 to 6" in html


@pytest.mark.parametrize(("channels", "wide"), [(3, 2), (2, 4), (20, 16)])
def test_channels_are_colours_or_stand_side_by_side(channels, wide):
    net = Network([Conv2D(1, 2), Dense(1)], (3, 3, channels), seed=0)
    html = _shown(net, np.random.default_rng(0).normal(size=(9 * channels, 4))).html()
    data = base64.b64decode(re.findall(r"base64,([^\"]+)", html)[0])
    assert struct.unpack(">II", data[16:24]) == (wide, 2)


def test_a_unit_that_sees_padding_alone():
    net = Network([Conv1D(1, 1, "identity", padding=1, stride=9), Dense(1)], (3, 1), seed=0)
    found = _shown(net, np.ones((3, 2)))
    assert found.best[0].patch.size == 0
    assert found.z == 0
    assert found.text().count("padding alone") == found.html().count("padding alone") == 3


def test_sequences_are_curves_and_names_are_escaped():
    net = Network([Conv1D(1, 3), Dense(1)], (5, 2), seed=0)
    html = _shown(net, np.random.default_rng(0).normal(size=(10, 4))).html()
    assert html.count("<polyline") == 3 * 2
    assert html.count("<svg") == 3
    named = Network([Dense(1, names=["<b>"]), Dense(1)], 1, seed=0)
    assert "<b>" not in _shown(named, [[1.0, 2.0]]).html()


def test_plain_data():
    found = _shown(edges(), pictures())
    again = json.loads(json.dumps(found.to_dict()))
    assert again["best"][0]["field"] == [[2, 5], [4, 7]]
    assert np.shape(again["maximising"]) == (3, 3, 1)


# What cannot be -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "unit", "more", "message"),
    [
        (0, 0, {}, r"layer must be l, a whole number from 1 to 2; got 0"),
        (3, 0, {}, r"layer must be l, a whole number from 1 to 2; got 3"),
        (1.0, 0, {}, r"layer must be l, .*; got 1\.0"),
        (1, 2, {}, r"unit must be a channel of layer 1 \(Conv2D .*\), 0 to 1; got 2"),
        (2, 1, {}, r"unit must be a unit of layer 2 \(Dense 6 x 6 x 2 -> 1\), 0 to 0; got 1"),
        (2, -1, {}, r"unit must be a unit .*; got -1"),
        (1, 0, {"k": 0}, "k must be a whole number of 1 or more; got 0"),
        (1, 0, {"steps": 0}, "steps must be a whole number of 1 or more; got 0"),
        (1, 0, {"seed": -1}, "seed must be a whole number of 0 or more; got -1"),
        (1, 0, {"lengths": [1] * 5}, "lengths are for sequences"),
    ],
)
def test_what_is_not_there_is_refused(layer, unit, more, message):
    with pytest.raises(ValueError, match=message):
        responds_to(edges(), layer, unit, pictures(), **more)


def test_examples_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"expects X of shape \(n\[0\], m\) = \(64, m\) or"):
        responds_to(edges(), 1, 0, np.ones((5, 3)))
    with pytest.raises(ValueError, match="X holds no examples"):
        responds_to(edges(), 1, 0, np.ones((64, 0)))
    with pytest.raises(ValueError, match=r"layer 1 .* is not finite on these examples"):
        responds_to(edges(), 1, 0, np.full((64, 2), np.nan))
    with pytest.raises(TypeError, match="responds_to takes a Network; got MLPClassifier"):
        responds_to(MLPClassifier(), 1, 0, np.ones((64, 2)))
