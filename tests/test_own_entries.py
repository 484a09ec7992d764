"""An activation and a layer of one's own, as CONTRIBUTING.md says: the product runs with them.

They stand in a module of their own, and say no more of themselves than must be.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from pellucid import (
    Dense,
    MLPClassifier,
    Network,
    check_gradients,
    diagnose,
    jacobian,
    load,
    load_predictor,
    save,
    trace,
    train,
)
from pellucid.activations import ACTIVATIONS, Activation, ReLU
from pellucid.engines import ENGINES, Job, Objective, simd
from pellucid.errors import ModelError
from pellucid.export import export
from pellucid.insight import record_training
from pellucid.insight.diagnosis.evidence import gather
from pellucid.insight.diagnosis.recipe import recipe_of
from pellucid.insight.diagnosis.training_run import training_run_of, with_kept_rows
from pellucid.layers import LAYERS, Layer, LayerCache
from pellucid.losses import loss
from pellucid.optimizers import optimizer
from pellucid.persistence import load_checkpoint

MODULE = '''
from pellucid.activations import Activation
from pellucid.activations import activation as find_activation
from pellucid.layers import Layer, LayerCache


class Softsign(Activation):
    """z / (1 + |z|)."""

    name = "softsign"
    formula = "z / (1 + |z|)"
    derivative = "(1 - |a|)^2"

    def __call__(self, Z):
        return Z / (1 + abs(Z))

    def backward(self, dA, Z, A):
        return dA * (1 - abs(A)) ** 2


class Quadratic(Layer):
    """Z = W A_prev^2 + b, A = g(Z)."""

    computes_Z, penalised = True, ("W",)

    def __init__(self, n_units, activation="identity"):
        super().__init__()
        self.n_units, self.activation = n_units, find_activation(activation)

    def parameter_shapes(self, input_shape):
        return {"W": (self.n_units, input_shape[0]), "b": (self.n_units, 1)}

    def output_shape_for(self, input_shape):
        return (self.n_units,)

    def forward(self, A_prev, mask=None):
        Z = self.parameters["W"] @ A_prev**2 + self.parameters["b"]
        A = self.activation(Z)
        return A, LayerCache(A_prev, A, Z, A)

    def backward(self, dA, cache, *, dZ=None, m=None, inputs=True):
        A_prev, xp = cache.A_prev, cache.A.__array_namespace__()
        dZ = self.activation.backward(dA, cache.Z, cache.A) if dZ is None else dZ
        dW = dZ @ (A_prev**2).T / m
        db = xp.sum(dZ, axis=1, keepdims=True) / m
        dA_prev = self.parameters["W"].T @ dZ * (2 * A_prev)
        return dA_prev, {"dZ": dZ, "dW": dW, "db": db}


class Square(Layer):
    """A = A_prev^2: no parameters, no Z."""

    def forward(self, A_prev, mask=None):
        A = A_prev**2
        return A, LayerCache(A_prev, A)

    def backward(self, dA, cache, *, dZ=None, m=None, inputs=True):
        return dA * (2 * cache.A_prev), {}
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, in none of the tables."""
    (tmp_path / "own_module.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_module", raising=False)
    return importlib.import_module("own_module")


@pytest.fixture
def entered(own: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, its classes in the tables."""
    monkeypatch.setitem(ACTIVATIONS, "softsign", own.Softsign)
    monkeypatch.setitem(LAYERS, "quadratic", own.Quadratic)
    monkeypatch.setitem(LAYERS, "square", own.Square)
    return own


@pytest.fixture
def made(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Examples inside and outside a circle, (2, 60) and (1, 60)."""
    X = rng.normal(size=(2, 60))
    return X, (np.sum(X**2, axis=0, keepdims=True) < 1.5).astype(float)


def network(own: ModuleType, dtype: str = "float64") -> Network:
    layers = [own.Quadratic(4, own.Softsign()), Dense(3, own.Softsign()), Dense(1, "sigmoid")]
    return Network(layers, 2, seed=0, dtype=dtype)


NOT_FUSED = "fused: it has no layer Quadratic(4, " if simd.levels() else "fused: "


# A layer, and an activation, of one's own ---------------------------------------------------------


def test_the_numbers_are_right(own, made):
    X, Y = made
    net = network(own)
    Z1 = net.W[1] @ X**2 + net.b[1]
    Z2 = net.W[2] @ (Z1 / (1 + abs(Z1))) + net.b[2]
    A3 = 1 / (1 + np.exp(-(net.W[3] @ (Z2 / (1 + abs(Z2))) + net.b[3])))
    np.testing.assert_allclose(net.forward(X), A3, rtol=1e-12)
    gradients = net.backward(net.forward(X, cache=True), Y, "bce")
    assert gradients.dW[1].shape == net.W[1].shape
    check = check_gradients(net, X, Y, "bce", l1=0.01, l2=0.1)
    assert check.ok, check
    assert list(check.by_name) == ["dW1", "db1", "dW2", "db2", "dW3", "db3", "dX"]
    assert jacobian(net, X).shape == (1, 2, 60)


def test_the_summary_counts_it(own):
    rows = network(own).summary().splitlines()
    assert " ".join(rows[2].split()) == "1 quadratic 4 softsign (4, 2) (4, 1) (4, m) 12"
    assert rows[-1].split() == ["total", "31"]
    square = Network([own.Square(), Dense(1)], 2).summary().splitlines()[2]
    assert square.split() == ["0", "square", "2", "(2,", "m)", "0"]


def test_it_learns_on_the_reference_engine_and_the_history_says_why(own, made):
    X, Y = made
    net = network(own)
    history = train(net, X, Y, loss="bce", epochs=60, learning_rate=0.05)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert history.engine == "reference"
    assert NOT_FUSED in history.engine_note
    with pytest.raises(ValueError, match="it has no layer" if simd.levels() else "fused"):
        train(net, X, Y, loss="bce", engine="fused")


def test_the_trace_shows_what_it_computes(own, made):
    X, Y = made
    found = trace(network(own), X[:, :2], Y[:, :2], "bce")
    text = found.text()
    assert "Z[1] = W[1] X^2 + b[1]" in text
    assert "softsign" in text
    assert [step.formula for step in found.forward][:2] == [
        "Z[1] = W[1] X^2 + b[1]",
        "A[1] = g[1](Z[1]), g(z) = z / (1 + |z|)",
    ]
    check = found.check()
    assert check.ok, check
    assert check.fused is None
    assert NOT_FUSED in check.fused_note
    assert str(found.cell("Z", layer=1, row=0, column=0)).startswith(
        "Z[1][0, 0] = sum_j W[1][0, j] X[j, 0]^2 + b[1][0, 0]"
    )


def test_a_layer_without_an_activation_is_traced(own, made):
    X, Y = made

    class Bare(own.Quadratic):
        def __init__(self, n_units):
            super().__init__(n_units)
            self.activation = None

        def forward(self, A_prev, mask=None):
            Z = self.parameters["W"] @ A_prev**2 + self.parameters["b"]
            return Z, LayerCache(A_prev, Z, Z, Z)

        def backward(self, dA, cache, **others):
            others["dZ"] = dA if others.get("dZ") is None else others["dZ"]
            return super().backward(dA, cache, **others)

    net = Network([own.Square(), Bare(3), own.Square(), Bare(1)], 2, seed=0, dtype="float64")
    assert check_gradients(net, X, Y, "mse").ok
    found = trace(net, X[:, :3], Y[:, :3], "mse")
    assert found.check().ok, found.check()
    assert "A*[0] = X^2" in found.text()
    history = train(net, X, Y, loss="mse", epochs=3)
    assert not [f for f in diagnose(history).findings if f.severity == "error"]
    assert net.predict(X).shape == (1, 60)


# The diagnosis ------------------------------------------------------------------------------------


def test_the_diagnosis_finds_nothing_wrong(own, made):
    X, Y = made
    net = network(own)
    history = train(net, X, Y, loss="bce", epochs=300, learning_rate=0.05)
    assert np.mean(net.predict(X) == Y) > 0.9
    for report in (diagnose(history), diagnose(net, X, Y), diagnose(history, X, Y)):
        assert not [f for f in report.findings if f.severity != "info"], report


def test_advice_is_tried_with_layers_of_ones_own(own, made, monkeypatch):
    X, Y = made
    net = network(own)
    history = train(net, X, Y, loss="bce", epochs=20, learning_rate=1e-4)
    before = net.copy_parameters()
    report = diagnose(history, X, Y, network=net)
    assert report.tried is not None, report
    assert report.tried.after > max(report.tried.before + 0.1, 0.9)
    assert report.suggest() == report.tried.settings
    assert all(np.array_equal(net.parameters[name], before[name]) for name in before)
    monkeypatch.setattr("pellucid.insight.diagnosis.recipe.QUICK", 1e-9)  # as if it were slow
    assert diagnose(history, X, Y, network=net).tried is None


def test_advice_for_g_is_tried_in_layers_of_ones_own(own, made):
    X, Y = made
    net = Network([own.Square(), own.Quadratic(4, "tanh"), Dense(1, "sigmoid")], 2, seed=0)
    history = train(net, X, Y, loss="bce", epochs=2)
    run = with_kept_rows(training_run_of(history, (X, Y), None, None, net))
    recipe = recipe_of(run, gather(run))
    assert recipe is not None
    layers = recipe.changed({"activation": "relu", "hidden_layer_sizes": [5]}).layers
    assert [type(layer) for layer in layers] == [own.Square, own.Quadratic, Dense, Dense]
    assert [layer.activation.name for layer in layers[1:]] == ["relu", "relu", "sigmoid"]
    assert net.layers[1].activation.name == "tanh"
    bare = Network([Dense(3, "tanh"), own.Quadratic(1, "sigmoid")], 2, seed=0)
    history = train(bare, X, Y, loss="bce", epochs=2)
    run = training_run_of(history, (X, Y), None, None, bare)
    assert recipe_of(run, gather(run)) is None  # the output is not ours to change


def test_statistics_are_what_the_layer_says_of_itself(own, made):
    X, Y = made
    history = train(network(own), X, Y, loss="bce", epochs=2)
    first, second, last = history.statistics[0]["layers"]
    assert [each["units"] for each in (first, second, last)] == [4, 3, 1]
    assert [each["weights"] for each in (first, second, last)] == [8, 12, 3]
    assert (first["g"], first["activation"]) == ("softsign", None)
    assert "fan_in" not in first  # z is no weighted sum of the inputs: nothing is concluded
    assert second["fan_in"] == 4
    assert history.statistics[-1]["layers"][0]["moved_since_start"] > 0


def test_hidden_units_of_ones_own_are_counted(own, rng):
    X = rng.normal(size=(2, 400))
    Y = (X[0] * X[1] > 0).astype(float)[np.newaxis]
    net = Network([own.Quadratic(3, "tanh"), Dense(1, "sigmoid")], 2, seed=0)
    history = train(net, X, Y, loss="bce", epochs=150, validation_fraction=0.25)
    (found,) = [f for f in diagnose(history).findings if f.kind == "underfitting"]
    assert found.where == "3 hidden units"


def test_dead_and_saturated_units_are_counted(own, made):
    X, Y = made
    dead = Network([own.Quadratic(4, "relu"), Dense(1, "sigmoid")], 2, seed=0)
    dead.b[1][:3] = -1e3
    history = train(dead, X, Y, loss="bce", epochs=1, learning_rate=1e-6)
    assert history.statistics[-1]["layers"][0]["dead"] >= 3
    flat = Network([own.Quadratic(4, "tanh"), Dense(1, "sigmoid")], 2, seed=0)
    flat.b[1][...] = 50
    report = diagnose(flat, X, Y, loss="bce")
    assert "saturated" in str(report)


def test_no_line_is_seen_where_a_layer_bends(own, made):
    X, Y = made
    for layers in (
        [own.Quadratic(1, "sigmoid")],
        [own.Quadratic(3), Dense(1, "sigmoid")],
        [own.Square(), Dense(3, "identity"), Dense(1, "sigmoid")],
    ):
        net = Network(layers, 2, seed=0)
        history = train(net, X, Y, loss="bce", epochs=80, learning_rate=0.05)
        kinds = {f.kind for f in diagnose(history, X, Y).findings}
        assert not kinds & {"no_non_linearity", "too_narrow"}, kinds


def test_a_wrong_backward_is_found(own, made):
    X, Y = made

    class Wrong(own.Quadratic):
        def backward(self, dA, cache, **others):
            dA_prev, found = super().backward(dA, cache, **others)
            return dA_prev, found | {"dW": 2 * found["dW"]}

    net = Network([Wrong(4, "tanh"), Dense(1, "sigmoid")], 2, seed=0)
    assert not check_gradients(net, X, Y, "bce").ok
    history = train(net, X, Y, loss="bce", epochs=3)
    assert any("dW[1]" in str(f) for f in diagnose(history).findings if f.severity == "error")


def test_a_hand_written_loop_is_recorded(own, made):
    X, Y = made
    net = network(own)
    with record_training(net, "bce") as recorded:
        for _ in range(5):
            gradients = net.backward(net.forward(X, cache=True), Y, "bce")
            for l in net.W:
                net.W[l] += 0.1 * gradients.dW[l]
                net.b[l] += 0.1 * gradients.db[l]
            recorded.step(X, Y)
    kinds = {f.kind for f in diagnose(recorded.history).findings}
    assert "ascent" in kinds, kinds


# Saving and loading -------------------------------------------------------------------------------


def test_it_comes_back_bit_for_bit(own, made, tmp_path):
    X, Y = made
    net = network(own, "float32")
    train(net, X, Y, loss="bce", epochs=2)
    save(net, tmp_path / "net")
    given = {"layers": [own.Quadratic], "activations": [own.Softsign]}
    again = load(tmp_path / "net", **given)
    assert [type(layer) for layer in again.layers] == [type(layer) for layer in net.layers]
    np.testing.assert_array_equal(again.forward(X), net.forward(X))
    predictor = load_predictor(tmp_path / "net", **given)
    np.testing.assert_array_equal(predictor.predict(X.T), net.predict(X)[0])
    save(again, tmp_path / "again")  # what was loaded is saved as well
    assert diagnose(load(tmp_path / "again", **given), X, Y, loss="bce")


def test_a_layer_without_parameters_comes_back(own, made, tmp_path):
    net = Network([own.Square(), Dense(1)], 2, seed=0, dtype="float64")
    save(net, tmp_path / "net")
    again = load(tmp_path / "net", layers=own.Square)  # one may stand without a list
    np.testing.assert_array_equal(again.forward(made[0]), net.forward(made[0]))
    assert again.dtype == np.float64


def test_a_training_goes_on_from_its_checkpoint(own, made, tmp_path):
    X, Y = made
    unbroken, broken = network(own), network(own)
    train(unbroken, X, Y, loss="bce", epochs=4)
    path = tmp_path / "checkpoint"
    train(broken, X, Y, loss="bce", epochs=2, checkpoint=path)
    train(broken, X, Y, loss="bce", epochs=4, resume=path)
    for name, array in unbroken.parameters.items():
        np.testing.assert_array_equal(broken.parameters[name], array)
    with pytest.raises(ModelError, match=r"load\(path, layers=\[Quadratic\]\)"):
        load_checkpoint(path)
    found = load_checkpoint(path, layers=[own.Quadratic], activations=[own.Softsign])
    assert found[1]["epoch"] == 2


def test_nothing_is_imported_by_name(own, tmp_path, monkeypatch):
    save(network(own), tmp_path / "net")
    text = (tmp_path / "net" / "model.json").read_text("utf-8")
    assert "Quadratic" in text
    assert "own_module" not in text
    with pytest.raises(
        ModelError,
        match=r"entry 1 of its layers is a Quadratic, which is none of Pellucid's layers, and a "
        r"model folder holds no code. Give its class: load\(path, layers=\[Quadratic\]\)\.$",
    ):
        load(tmp_path / "net")
    with pytest.raises(ModelError, match=r"unknown activation 'softsign'.*activations=\[\.\.\.\]"):
        load_predictor(tmp_path / "net", layers=[own.Quadratic])


class Renamed(Layer):
    name = "quadratic"


class Wider(Renamed):
    name = "quadratic"
    computes_Z = True

    def __init__(self, n_units: int, activation: object = None) -> None:
        super().__init__()
        self.n_units = n_units

    def parameter_shapes(self, input_shape: tuple[int, ...]) -> dict[str, tuple[int, int]]:
        return {"W": (self.n_units + 1, *input_shape), "b": (self.n_units + 1, 1)}


class Failing(Wider):
    name = "quadratic"

    def parameter_shapes(self, input_shape: tuple[int, ...]) -> dict[str, tuple[int, int]]:
        raise ZeroDivisionError("no width")


class DenseToo(Layer):
    name = "dense"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            [int],
            r"takes classes that derive from Layer, such as layers=\[MyLayer\]; got <class 'int'",
        ),
        ([Dense(2)], r"takes classes that derive from Layer.* got Dense\(2"),
        ([Layer], r"derive from Layer.* got <class '.*Layer'"),
        ([Dense], r"layers=\[Quadratic\]"),
        ([DenseToo], "DenseToo has the name 'dense', which is Dense's"),
        ([Wider, Failing], "Failing has the name 'quadratic', which is Wider's"),
        ([Renamed], r"the class Renamed that was given does not take its settings \(TypeError"),
        ([Wider], r"W1 should be \(5, 2\) float64, is \(4, 2\) float64"),
        ([Failing], r"class Failing that was given does not fit.*ZeroDivisionError: no width"),
    ],
)
def test_a_class_that_does_not_fit_is_refused(own, tmp_path, given, message):
    save(network(own), tmp_path / "net")
    with pytest.raises(ModelError, match=message):
        load(tmp_path / "net", layers=given, activations=[own.Softsign])


def test_two_parameters_of_one_name_are_refused(own):
    class Shift(Layer):
        def parameter_shapes(self, input_shape):
            return {"b": (*input_shape, 1)}

    with pytest.raises(ValueError, match=r"layer 1 \(Dense 2 -> 3\) and layer 1 \(Shift .* b1;"):
        Network([Dense(3), Shift(), Dense(1)], 2)


# Exports ------------------------------------------------------------------------------------------


def test_onnx_answers_the_same_and_c_refuses_it_by_name(own, made, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    X, net = made[0].astype(np.float32), network(own, "float32")
    export(net, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(
        (tmp_path / "net.onnx").read_bytes(), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(["probabilities"], {"X": np.ascontiguousarray(X.T)})
    np.testing.assert_allclose(found[:, 1], net.forward(X)[0], atol=1e-6)
    with pytest.raises(ModelError, match=r"layer 1 \(Quadratic 2 -> 4\).* cannot be exported to C"):
        export(net, tmp_path / "net.c", "c")
    plain = Network([Dense(4, own.Softsign()), Dense(1)], 2)
    with pytest.raises(ModelError, match=r"Softsign.* cannot be exported to C: .*c_form"):
        export(plain, tmp_path / "plain.c", "c")


def test_a_layer_of_numpys_functions_is_refused_by_name(own, tmp_path):
    pytest.importorskip("onnx")

    class Sorted(own.Square):
        def forward(self, A_prev, mask=None):
            A = np.sort(A_prev, axis=0)
            return A, LayerCache(A_prev, A)

    net = Network([Sorted(), Dense(1)], 2)
    with pytest.raises(ModelError, match=r"layer 0 \(Sorted 2 -> 2\) cannot be exported to ONNX"):
        export(net, tmp_path / "net.onnx")


# Entered in the tables ----------------------------------------------------------------------------


def test_what_is_in_the_tables_needs_no_class_to_load(entered, made, tmp_path):
    net = Network([entered.Quadratic(4, "softsign"), Dense(1, "sigmoid")], 2, seed=0)
    save(net, tmp_path / "net")
    again = load(tmp_path / "net")
    np.testing.assert_array_equal(again.forward(made[0]), net.forward(made[0]))
    assert load_predictor(tmp_path / "net", layers=[entered.Quadratic])  # may be given all the same


def test_an_estimator_fits_predicts_and_comes_back(entered, made, tmp_path):
    X, Y = made
    rows, y = X.T, np.array(["no", "yes"])[Y[0].astype(int)]
    clf = MLPClassifier((8,), activation="softsign", solver="lbfgs", alpha=0.1, random_state=0)
    clf.fit(rows, y)
    assert clf.score(rows, y) > 0.9
    clf.save(tmp_path / "clf")
    for again in (load(tmp_path / "clf"), load_predictor(tmp_path / "clf")):
        assert (again.predict(rows) == clf.predict(rows)).all()


def test_an_estimator_with_an_activation_in_no_table_comes_back(own, made, tmp_path):
    X, Y = made
    clf = MLPClassifier((8,), own.Softsign(), solver="lbfgs", random_state=0, max_iter=2000)
    clf.fit(X.T, Y[0])
    assert clf.score(X.T, Y[0]) > 0.8
    clf.save(tmp_path / "clf")
    given = {"activations": [own.Softsign]}
    for again in (load(tmp_path / "clf", **given), load_predictor(tmp_path / "clf", **given)):
        assert (again.predict(X.T) == clf.predict(X.T)).all()


@pytest.mark.skipif(not simd.levels(), reason="the fused engine is not built (PELLUCID_PURE)")
def test_a_known_name_over_another_function_is_no_built_in_one():
    class Doubled(ReLU):
        def __call__(self, Z):
            return 2 * super().__call__(Z)

    net = Network([Dense(4, Doubled()), Dense(1, "identity")], 3, seed=0)
    job = Job(net, Objective(loss("mse")), optimizer("adam"))
    assert "it has no activation" in ENGINES["fused"].refuses(job)
    X = np.ones((3, 2), dtype="f4")
    hidden = 2 * np.maximum(net.W[1] @ X + net.b[1], 0)
    np.testing.assert_allclose(net.forward(X), net.W[2] @ hidden + net.b[2], rtol=1e-5)


def test_a_range_in_words_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Wordy\.range must be an Interval, .* got '\(-1, 1\)'"):
        type("Wordy", (Activation,), {"range": "(-1, 1)"})
