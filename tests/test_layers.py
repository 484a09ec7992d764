"""Every layer of the table with each of its examples, through the rooms that know layers.

Its backward against central differences stands in test_gradients.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pellucid
from pellucid import Dense, Network, load, load_predictor, save, trace, train
from pellucid.engines import ENGINES, Job, Objective
from pellucid.errors import ModelError
from pellucid.export import export
from pellucid.layers import LAYERS, Layer, layer_from_dict
from pellucid.layers.chain import leaves
from pellucid.losses import loss
from pellucid.optimizers import optimizer

EXAMPLES = [(layer, shape) for entry in LAYERS.values() for layer, shape in entry.examples()]
each_example = pytest.mark.parametrize(("layer", "shape"), EXAMPLES, ids=repr)


WITHOUT_ONNX: set[str] = set()
"""The layers that cannot be exported to ONNX."""


def network(layer: Layer, shape: tuple[int, ...], dtype: str = "float64") -> Network:
    """The layer, and an output layer; parameters that no layer starts from."""
    net = Network([layer, Dense(2, "softmax")], shape, seed=1, dtype=dtype)
    rng = np.random.default_rng(2)
    for parameter in net.parameters.values():
        parameter[...] = rng.normal(size=parameter.shape)
    for statistic in net.statistics.values():
        statistic[...] = rng.uniform(0.5, 2, size=statistic.shape)
    return net


def data(layer: Layer, shape: tuple[int, ...], m: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return layer.unbuilt().build(shape).example_inputs(m, rng), rng.integers(0, 2, m)


@pytest.mark.parametrize("entry", LAYERS.values(), ids=list(LAYERS))
def test_there_are_examples_and_they_differ(entry: type[Layer]) -> None:
    shown = [repr(layer) for layer, _ in entry.examples()]
    assert len(set(shown)) == len(shown) > 0
    assert all(type(layer) is entry for layer, _ in entry.examples())


@each_example
def test_it_describes_itself_and_is_counted(layer: Layer, shape: tuple[int, ...]) -> None:
    assert repr(layer_from_dict(layer.to_dict())) == repr(layer)
    assert layer.to_dict()["layer"] == layer.name
    net = network(layer, shape)
    count = 0
    for leaf in leaves(net.layers[:1]):  # itself, unless it holds others
        shapes = leaf.parameter_shapes(leaf.input_shape)
        count += sum(a * b for a, b in shapes.values())
        count -= 0 if getattr(leaf, "mask", None) is None else int((leaf.mask == 0).sum())
        assert set(leaf.penalised) <= shapes.keys()
        assert leaf.name in net.summary()
    assert net.layers[0].n_parameters == count
    assert layer.name in net.summary()


@each_example
def test_the_fused_engine_is_the_reference_where_it_takes_it(
    layer: Layer, shape: tuple[int, ...]
) -> None:
    X, labels = data(layer, shape)
    objective = Objective(loss("cce"), l1=0.01, l2=0.02)
    trained = {}
    for name in ("fused", "reference"):
        net = network(layer, shape)
        job = Job(net, objective, optimizer("adam"), batch_size=6, seed=4)
        if ENGINES[name].refuses(job):
            pytest.skip(ENGINES[name].refuses(job))
        train(net, X, labels, loss="cce", engine=name, batch_size=6, epochs=3, l1=0.01, l2=0.02)
        trained[name] = net
    for letter, array in trained["reference"].parameters.items():
        np.testing.assert_allclose(trained["fused"].parameters[letter], array, rtol=1e-9)


@each_example
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_saved_and_loaded_bit_for_bit(
    layer: Layer, shape: tuple[int, ...], dtype: str, tmp_path: Path
) -> None:
    net = network(layer, shape, dtype)
    save(net, tmp_path / "net")
    again, predictor = load(tmp_path / "net"), load_predictor(tmp_path / "net")
    assert repr(again.layers) == repr(net.layers)
    for name, array in net.parameters.items():
        assert again.parameters[name].tobytes("F") == array.tobytes("F")
    X = data(layer, shape)[0]
    for name, array in net.statistics.items():
        assert again.statistics[name].tobytes("F") == array.tobytes("F")
    np.testing.assert_array_equal(again.forward(X), net.forward(X))
    np.testing.assert_array_equal(predictor.predict(X.T), net.predict(X))


@each_example
def test_it_is_traced(layer: Layer, shape: tuple[int, ...]) -> None:
    X, labels = data(layer, shape, 3)
    found = trace(network(layer, shape), X, labels, "cce")
    assert found.check().ok, found.check()
    for step in found.steps:
        assert not step.why.startswith("As "), step.formula  # each formula has its own sentence


@each_example
def test_onnx_answers_the_same_or_it_is_refused_by_name(
    layer: Layer, shape: tuple[int, ...], tmp_path: Path
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    net, path = network(layer, shape, "float32"), tmp_path / "net.onnx"
    if type(layer).__name__ in WITHOUT_ONNX:
        with pytest.raises(ModelError, match=type(layer).__name__):
            export(net, path)
        return
    export(net, path)
    X = data(layer, shape)[0].astype(np.float32)
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    (found,) = session.run(["probabilities"], {"X": np.ascontiguousarray(X.T)})
    np.testing.assert_allclose(found, net.forward(X).T, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("entry", LAYERS.values(), ids=list(LAYERS))
def test_it_is_a_public_name(entry: type[Layer]) -> None:
    assert getattr(pellucid, entry.__name__) is entry


@pytest.mark.parametrize("entry", LAYERS.values(), ids=list(LAYERS))
def test_the_catalogues_list_it(entry: type[Layer]) -> None:
    page = (Path(__file__).parents[1] / "docs" / "catalogues.md").read_text("utf-8")
    assert f"| `{entry.name}` | `{entry.__name__}(" in page
