"""Layers that stand inside of others: all rooms find them, folders with odd ones are refused."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alike import same
from pellucid import (
    Dense,
    Network,
    Scale,
    check_gradients,
    diagnose,
    jacobian,
    load,
    load_predictor,
    save,
    trace,
    train,
)
from pellucid.errors import ModelError
from pellucid.export import export
from pellucid.insight import record_training
from pellucid.lab.session.models import model_of
from pellucid.layers import (
    BatchNorm,
    Dropout,
    Layer,
    LayerCache,
    LayerNorm,
    Parallel,
    Residual,
    chain,
    layer_from_dict,
)
from pellucid.layers.chain import MOST_DEEP, Mode, leaves, walk
from pellucid.persistence.predictor import NetworkPredictor

Layers = list[Layer]


def all_kinds() -> Layers:
    """A Residual with a Parallel inside and the other way round, norms and dropout."""
    return [
        BatchNorm(),
        Dense(4, "tanh"),
        Residual([Dense(5, "tanh"), Dropout(0.2), Parallel([Dense(3, "sigmoid"), Dense(1)])]),
        LayerNorm(),
        Parallel(
            [Residual(Dense(2, "tanh")), [Dense(3, "tanh"), BatchNorm()], []], split=[2, 1, 1]
        ),
        Dropout(0.1),
        Dense(3, "softmax"),
    ]


@pytest.fixture
def net() -> Network:
    return Network(all_kinds(), 4, seed=1, dtype="float64")


# --- numbers, tables, descriptions ---


def test_they_are_numbered_through_and_found(net):
    assert [type(k).__name__ for k in net.leaves] == [
        "BatchNorm", "Dense", "Dense", "Dropout", "Dense", "Dense", "LayerNorm", "Dense", "Dense",
        "BatchNorm", "Dropout", "Dense",
    ]  # fmt: skip
    assert [k.number for k in net.leaves] == [0, 1, 2, 2, 3, 4, 4, 5, 6, 6, 6, 7]
    assert [k.number for k in net.layers] == [0, 1, 4, 4, 6, 6, 7]
    assert net.n == [4, 4, 5, 3, 1, 2, 3, 3]
    assert list(net.W) == list(net.b) == [1, 2, 3, 4, 5, 6, 7]
    assert list(net.gamma) == list(net.beta) == [0, 4, 6]
    assert list(net.statistics) == ["mean0", "variance0", "mean6", "variance6"]
    assert net.n_parameters == sum(array.size for array in net.parameters.values())
    assert net.layers[2].n_parameters == 25 + 18 + 6
    assert [k.name for k in walk(net.layers[2:3])] == [
        "dense", "dropout", "dense", "dense", "parallel", "residual",
    ]  # fmt: skip


def test_the_summary_shows_them_where_they_stand():
    layers = [
        Residual([Dense(3, "tanh"), Parallel([[Dense(1, "tanh"), Scale()], Dense(2)])]),
        Dropout(0.25),
        Dense(1, "sigmoid"),
    ]
    table = Network(layers, 3).summary()
    assert table.splitlines() == [
        "layer  kind          units  g             W[l]      b[l]    Z[l], A[l]  parameters",
        "0      input             3                                  (3, m)               0",
        "       residual          3                                  (3, m)",
        "1        dense           3  tanh          (3, 3)    (3, 1)  (3, m)              12",
        "         parallel        3                                  (3, m)",
        "2          1: dense      1  tanh          (1, 3)    (1, 1)  (1, m)               4",
        "2             scale      1                s (1, 1)          (1, m)               1",
        "3          2: dense      2  relu          (2, 3)    (2, 1)  (2, m)               8",
        "3      dropout           3  dropout 0.25                    (3, m)               0",
        "4      dense             1  sigmoid       (1, 3)    (1, 1)  (1, m)               4",
        "total                                                                           29",
    ]
    html = Network(layers, 3)._repr_html_()
    assert html.count("<tr>") == 11
    assert "1: dense" in html


def test_they_describe_themselves_and_share_nothing(net):
    for layer in net.layers:
        again = layer_from_dict(json.loads(json.dumps(layer.to_dict())))
        assert repr(again) == repr(layer)
        assert again.to_dict() == layer.to_dict()
    assert repr(net.layers[4]) == (
        "Parallel([[Residual([Dense(2, 'tanh')])], [Dense(3, 'tanh'), BatchNorm()], []], "
        "split=[2, 1, 1])"
    )
    assert net.layers[2].to_dict()["layers"][1] == {"layer": "dropout", "rate": 0.2}
    layers = all_kinds()
    one, other = Network(layers, 4, seed=1), Network(layers, 4, seed=2)
    assert not any(k.parameters for k in walk(layers))
    mine = {id(k) for k in walk(one.layers)}
    assert not mine & {id(k) for k in [*walk(other.layers), *walk(layers)]}
    assert not any(k.output_shape for layer in one.layers for k in walk([layer.unbuilt()]))
    bare = Residual(Dense(3)).build((3,), number=4)
    assert (bare.number, bare.inner[0].number) == (5, 5)  # after a layer 4


# --- through the rooms ---


def test_it_is_checked_trained_and_cloned(net, made):
    X, y = made
    rng = np.random.default_rng(5)
    for parameter in net.parameters.values():
        parameter[...] = rng.normal(size=parameter.shape)
    masks = {2: np.full((5, 6), 1.25), 6: (rng.random((6, 6)) > 0.5) / 0.5}
    for options in ({}, {"training": True}, {"masks": masks, "l2": 0.1, "l1": 0.01}):
        check = check_gradients(net, X[:, :6], y[:6], "cce", **options)
        assert check.ok, check
        assert len(check.arrays) == len(net.parameters) + 1
    net = Network(all_kinds(), 4, seed=1)
    others = [net.copy(), copy.deepcopy(net), pickle.loads(pickle.dumps(net))]
    history = train(net, X, y, loss="cce", epochs=60, learning_rate=0.02)
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    for other in others:
        assert not same(net, other)
        train(other, X, y, loss="cce", epochs=60, learning_rate=0.02, seed=history.settings["seed"])
        assert same(net, other)


def test_it_comes_back_bit_for_bit_and_goes_on(net, made, tmp_path):
    X, y = made
    settings = {"loss": "cce", "seed": 9, "validation_fraction": 0.2, "early_stopping": 5}
    whole, broken = net.copy(), net.copy()
    train(whole, X, y, epochs=4, **settings)
    train(broken, X, y, epochs=2, checkpoint=tmp_path / "c", **settings)
    fresh = net.copy()
    train(fresh, X, y, epochs=4, resume=tmp_path / "c", **settings)
    assert same(fresh, whole)
    save(whole, tmp_path / "net")
    again, predictor = load(tmp_path / "net"), load_predictor(tmp_path / "net")
    assert same(again, whole)
    assert repr(again.layers) == repr(whole.layers)
    np.testing.assert_array_equal(again.forward(X), whole.forward(X))
    np.testing.assert_array_equal(predictor.predict(X.T), whole.predict(X))
    assert Network.from_dict(whole.to_dict()).to_dict() == whole.to_dict()


def test_insight_finds_its_way(net, made, monkeypatch):
    X, y = made
    monkeypatch.setattr("pellucid.insight.diagnosis.recipe.QUICK", 1e-9)  # advice is not tried
    history = train(net, X, y, loss="cce", epochs=3)
    layers = history.statistics[-1]["layers"]
    assert [each["layer"] for each in layers] == [1, 2, 3, 4, 5, 6, 7]
    assert all(each["moved_since_start"] > 0 for each in layers)
    assert not [f for f in diagnose(history).findings if f.severity == "error"]
    assert not [f for f in diagnose(net, X, y).findings if f.severity == "error"]
    x, h = X[:, :1], 1e-6
    found = jacobian(net, x)[:, :, 0]
    for j in range(4):
        step = h * np.eye(4)[:, j : j + 1]
        difference = (net.forward(x + step) - net.forward(x - step)) / (2 * h)
        np.testing.assert_allclose(found[:, j], difference[:, 0], rtol=1e-6, atol=1e-9)


def test_advice_is_tried_with_layers_inside(made, monkeypatch):
    starts: list[Network] = []

    def watched(network: Network, *given: Any, **how: Any) -> Any:
        starts.append(network.copy())
        return train(network, *given, **how)

    monkeypatch.setattr("pellucid.insight.diagnosis.recipe.train", watched)
    X, y = made[0], (made[1] > 0).astype(int)
    layers = [BatchNorm(), Residual([Dense(4, "tanh"), Dropout(0.1)]), Dense(1, "sigmoid")]
    net = Network(layers, 4, seed=0)
    start = net.copy()
    start.statistics["mean0"][...] = start.gamma[0][...] = 0.1  # not as any other would start
    net.put_parameters(start.copy_parameters())
    history = train(net, X, y, loss="bce", epochs=4, learning_rate=1e-4)
    before = net.copy()
    report = diagnose(history, X, y, network=net)
    assert report.tried is not None, report
    assert report.tried.after > report.tried.before
    assert same(net, before)
    assert any(same(each, start) for each in starts)


def test_a_hand_written_loop_is_recorded(net, made):
    X, y = made
    with record_training(net, "cce") as recorded:
        for _ in range(4):
            cache = net.forward(X, cache=True, training=True)
            gradients = net.backward(cache, y, "cce")
            for letter in ("W", "b", "gamma", "beta"):
                for l, array in getattr(net, letter).items():
                    array -= 0.3 * getattr(gradients, f"d{letter}")[l]
            net.learn_statistics(cache)
            recorded.step(X, y)
    assert recorded.history["loss"][-1] < recorded.history["loss"][0]
    assert recorded.history.settings["optimizer"] == "gradient_descent"
    np.testing.assert_allclose(recorded.history.settings["learning_rate"], 0.3, rtol=1e-6)


def test_a_wrong_backward_inside_is_found(made):
    class Wrong(Dense):
        name = "wrong"

        def backward(self, dA, cache, **options):
            dA_prev, found = super().backward(dA, cache, **options)
            return dA_prev, found | {"dW": 2 * found["dW"]}

    net = Network([Residual(Wrong(4, "tanh")), Dense(3, "softmax")], 4, seed=0)
    assert not check_gradients(net, made[0], made[1], "cce").ok
    history = train(net, *made, loss="cce", epochs=2)
    assert any("dW[1]" in str(f) for f in diagnose(history).findings if f.severity == "error")


def test_it_is_traced(net, made):
    X, y = made
    found = trace(net, X[:, :2], y[:2], "cce")
    assert found.check().ok, found.check()
    assert not any(step.why.startswith("As ") for step in found.steps)


def test_what_cannot_take_it_says_so_by_name(net, tmp_path):
    with pytest.raises(ModelError, match=r"layer 0 \(BatchNorm .* cannot be exported to C"):
        export(net, tmp_path / "net.c", "c")
    plain = Network([Residual(Dense(4, "tanh")), Dense(1)], 4)
    with pytest.raises(ModelError, match=r"layer 1 \(Residual 4 -> 4\) cannot be exported to C"):
        export(plain, tmp_path / "net.c", "c")
    with pytest.raises(ModelError, match=r"the lab cannot show .*: layer 1 has Residual\(\[Dense"):
        model_of(NetworkPredictor(plain), "it", {})


def test_onnx_takes_what_leaves_a_residual_not_what_its_layers_leave(made, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    X = made[0].astype(np.float32)
    net = Network([Residual([Dense(5, "tanh"), Dense(4, "tanh")]), Dense(1, "identity")], 4, seed=0)
    export(net, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(
        (tmp_path / "net.onnx").read_bytes(), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(["prediction"], {"X": np.ascontiguousarray(X.T)})
    np.testing.assert_allclose(found, net.forward(X)[0], atol=1e-5)


# --- classes of one's own, inside and outside ---


class Square(Layer):
    def forward(self, A_prev: Any, mask: Any = None) -> tuple[Any, LayerCache]:
        return A_prev**2, LayerCache(A_prev, A_prev**2)

    def backward(self, dA, cache, *, dZ=None, m=None, inputs=True):
        return 2 * cache.A_prev * dA, {}


class Halved(Layer):
    """A = half of what its layers give: the least that a layer that holds others must say."""

    needs = ("lengths", "mode")

    def __init__(self, layers: list[Layer]) -> None:
        super().__init__()
        self.layers = layers

    @property
    def inner(self) -> list[Layer]:
        return self.layers

    def place(self, input_shape: tuple[int, ...], number: int) -> None:
        super().place(input_shape, number)
        chain.place(self.layers, input_shape, number)
        self.number = self.layers[-1].number

    def output_shape_for(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return chain.shape_after(self.layers, input_shape)

    def forward(self, A_prev, mask=None, *, lengths=None, mode=Mode()):  # noqa: B008
        A, caches = chain.forward(self.layers, A_prev, mode, lengths)
        return A / 2, LayerCache(A_prev, A / 2, inner=caches)

    def backward(self, dA, cache, *, dZ=None, m=None, inputs=True):
        return chain.backward(self.layers, cache.inner, dA / 2, m=m, inputs=inputs)[:2]


def own_network() -> Network:
    layers = [
        Residual([Square(), Halved([Dense(5, "tanh"), Square(), Dense(4)])]),
        Dense(3, "softmax"),
    ]
    return Network(layers, 4, seed=0, dtype="float64")


def test_own_classes_inside_come_back(made, tmp_path, monkeypatch):
    net, (X, y) = own_network(), made
    assert "  halved" in net.summary()
    assert check_gradients(net, X[:, :4], y[:4], "cce").ok
    whole, broken = own_network(), own_network()
    train(whole, X, y, loss="cce", epochs=4)
    train(broken, X, y, loss="cce", epochs=2, checkpoint=tmp_path / "c")
    train(broken, X, y, loss="cce", epochs=4, resume=tmp_path / "c")
    assert same(whole, broken)
    save(whole, tmp_path / "net")
    again = load(tmp_path / "net", layers=[Square, Halved])
    assert same(again, whole)
    assert repr(again.layers) == repr(whole.layers)
    np.testing.assert_array_equal(again.forward(X), whole.forward(X))
    save(again, tmp_path / "again")
    monkeypatch.setattr("pellucid.insight.diagnosis.recipe.QUICK", 1e-9)  # advice is not tried
    report = diagnose(train(own_network(), X, y, loss="cce", epochs=2))
    assert not [f for f in report.findings if f.severity == "error"], report


def test_own_classes_inside_that_are_missing_are_named(tmp_path):
    save(own_network(), tmp_path / "net")
    described = json.loads((tmp_path / "net" / "model.json").read_bytes())["network"]["layers"]
    assert "class" not in described[0]
    assert [each["class"] for each in described[0]["layers"]] == ["Square", "Halved"]
    for given, missing in (((), "Square"), ([Square], "Halved")):
        with pytest.raises(
            ModelError,
            match=rf"entry 1 of its layers, in its 'layers', is a {missing}, which is none of "
            rf"Pellucid's layers.* load\(path, layers=\[{missing}\]\)",
        ):
            load(tmp_path / "net", layers=given)


class Wider(Square):
    name = "square"

    def parameter_shapes(self, input_shape: tuple[int, ...]) -> dict[str, tuple[int, int]]:
        raise ZeroDivisionError("no width")


class Taking(Square):
    name = "square"

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n


def test_own_classes_inside_that_do_not_fit_are_named(tmp_path):
    save(Network([Residual(Square()), Dense(1)], 4), tmp_path / "net")
    with pytest.raises(ModelError, match=r"the class Wider .* does not fit.*ZeroDivisionError: no"):
        load(tmp_path / "net", layers=[Wider])
    with pytest.raises(ModelError, match=r"in its 'layers': the class Taking .*\(TypeError"):
        load(tmp_path / "net", layers=[Taking])

    class Unsaved(Square):
        def __init__(self, function: Any) -> None:
            super().__init__()
            self.function = function

    net = Network([Residual([Unsaved(abs), Dense(4)]), Dense(1)], 4)
    with pytest.raises(ModelError, match=r"layer 0 \(Unsaved 4 -> 4\) cannot be saved"):
        save(net, tmp_path / "unsaved")


# --- folders that say odd things ---


def nested(depth: int, leaf: Any) -> Any:
    for _ in range(depth):
        leaf = {"layer": "residual", "layers": [leaf]}
    return leaf


def test_layers_stand_so_deep_and_no_deeper(rng, tmp_path):
    layer: Layer = Dense(2, "tanh")
    for _ in range(MOST_DEEP - 1):
        layer = Residual(layer)
    net = Network([layer, Dense(1)], 2, seed=0)
    assert net.forward(rng.normal(size=(2, 3))).shape == (1, 3)
    save(net, tmp_path / "net")
    assert same(load(tmp_path / "net"), net)
    for make in (Residual, lambda inside: Parallel([[inside]])):
        with pytest.raises(ValueError, match=f"layers may stand {MOST_DEEP} deep inside each"):
            make(layer)


DENSE = {"layer": "dense", "n_units": 2}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (nested(MOST_DEEP, DENSE), f"layers may stand {MOST_DEEP} deep inside each other"),
        (nested(250, DENSE), f"layers may stand {MOST_DEEP} deep inside each other"),
        ({"layer": "residual", "layers": [DENSE] * 10_000}, "at most 10000 layers"),
        ({"layer": "residual"}, "missing 1 required positional argument: 'layers'"),
        ({"layer": "residual", "layers": 5}, "entry 1 is 5"),
        ({"layer": "residual", "layers": []}, "must be one or more"),
        ({"layer": "residual", "layers": [[DENSE]]}, "entry 1 is "),
        ({"layer": "residual", "layers": [{"layer": "dense"}]}, "in its 'layers': .*n_units"),
        ({"layer": "residual", "layers": [{"layer": ["a"]}]}, "in its 'layers': .*unhashable"),
        ({"layer": "residual", "layers": [{"layer": "dens"}]}, "unknown layer 'dens'"),
        ({"layer": "residual", "layers": [{"n_units": 3}]}, "entry 1 is {'n_units': 3}"),
        ({"layer": "residual", "layers": [{**DENSE, "class": "Mine"}]}, "'layers', is a Mine"),
        ({"layer": "residual", "layers": [{**DENSE, "activation": "softmax"}]}, "softmax is for"),
        ({"layer": "residual", "layers": [{**DENSE, "activation": "no"}]}, "unknown activation"),
        ({"layer": "residual", "layers": [{**DENSE, "n_units": 3}]}, "they make it 3"),
        ({"layer": "residual", "layers": [{**DENSE, "n_units": 10**30}]}, "W1 should be|make it"),
        ({"layer": "parallel", "branches": {"layer": "dense"}}, "in its 'branches': .*n_units"),
        ({"layer": "parallel", "branches": DENSE}, "branches must be a list"),
        ({"layer": "parallel", "branches": [[[DENSE]]]}, "branch 1 must be a list of layers"),
        ({"layer": "parallel", "branches": [DENSE], "split": [3]}, "split must add up to 2"),
        ({"layer": "parallel", "branches": [DENSE], "split": [DENSE]}, "split must be 1 integers"),
        ({"layer": "parallel", "branches": [DENSE, DENSE]}, r"W2 should be .*\(2, 2\)"),
        ({**DENSE, "n_units": DENSE}, "n_units must be an integer"),
        ({**DENSE, "activation": DENSE}, "activation"),
        ({**DENSE, "initializer": DENSE}, "initializer"),
        ({**DENSE, "names": [DENSE, DENSE]}, "names must be 2 texts"),
        ({**DENSE, "mask": [[DENSE, 1], [1, 1]]}, "mask must hold 0 and 1"),
        ({"layer": "dropout", "rate": "0.5"}, "rate must be at least 0"),
        ({"layer": "batchnorm", "momentum": 7}, "momentum must be"),
        ({"layer": "layernorm", "epsilon": None}, "epsilon must be"),
        ({"layer": "layernorm"}, r"gamma0 should be \(2, 1\) float32, is absent"),
        ({"layer": "batchnorm", "deep": [[[[]]]]}, "unexpected keyword"),
    ],
)  # fmt: skip
def test_odd_descriptions_are_refused(entry, message, tmp_path):
    save(Network([Dense(2), Dense(1)], 2, seed=0), tmp_path / "net")
    file = tmp_path / "net" / "model.json"
    model = json.loads(file.read_bytes())
    model["network"]["layers"][0] = entry
    file.write_text(json.dumps(model))
    with pytest.raises(ModelError, match=message):
        load(tmp_path / "net")


def test_a_folder_with_two_dropouts_of_one_number_is_refused(tmp_path):
    save(Network([Dense(2), Dropout(0.5), Dense(1)], 2, seed=0), tmp_path / "net")
    file = Path(tmp_path / "net" / "model.json")
    model = json.loads(file.read_bytes())
    model["network"]["layers"].insert(1, {"layer": "dropout", "rate": 0.1})
    file.write_text(json.dumps(model))
    with pytest.raises(ModelError, match="both drop units, by the same draws"):
        load(tmp_path / "net")
    assert leaves([]) == []
