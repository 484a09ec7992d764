"""skl2onnx takes MLPClassifier and MLPRegressor: what onnxruntime computes is what they predict."""

from __future__ import annotations

import importlib
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import onnxruntime as ort
import pandas as pd
import pytest
import skl2onnx
from skl2onnx.common.data_types import (
    BooleanTensorType,
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
)
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingRegressor, StackingClassifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pellucid.export
from pellucid import MLPClassifier, MLPRegressor
from pellucid.activations import ACTIVATIONS, LeakyReLU
from pellucid.errors import ModelError

assert pellucid.export  # its import is what registers the converter

CLOSE = {"float32": 1e-5, "float64": 1e-9}
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
M = 60

HIDDEN = [name for name, g in ACTIVATIONS.items() if not g.output_only]
HIDDEN += ["logistic", LeakyReLU(slope=0.3)]

LABELS = {
    "binary": np.array([0, 1]),
    "far apart": np.array([-7, 3]),
    "truth": np.array([False, True]),
    "texts": np.array(["ä", "b", "c"]),
    "objects": np.array(["no", "yes"], dtype=object),
    "numbers": np.array([2, 3, 5]),
    "floats": np.array([1.0, 2.0, 4.0]),
    "one": np.array(["alone"]),
}


@pytest.fixture(autouse=True)
def few_steps():
    """A network need not have learned anything to be converted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def classifier(activation: Any = "relu", **more: Any) -> MLPClassifier:
    return MLPClassifier((8, 5), activation, max_iter=3, random_state=0, **more)


def regressor(activation: Any = "relu", **more: Any) -> MLPRegressor:
    return MLPRegressor(
        hidden_layer_sizes=(8, 5), activation=activation, max_iter=3, random_state=0, **more
    )


def run(model: Any, feed: Any) -> list[Any]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feed = feed if isinstance(feed, dict) else {"X": feed}
    answers: list[Any] = session.run(None, feed)
    return answers


def convert(model: Any, X: Any, **how: Any) -> list[Any]:
    return run(skl2onnx.to_onnx(model, X, **how), X)


def assert_close(got: Any, expected: Any, dtype: Any) -> None:
    assert got.dtype == np.dtype(dtype)
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(got, expected, rtol=0, atol=CLOSE[np.dtype(dtype).name] * scale)


@each_dtype
@pytest.mark.parametrize("kind", LABELS)
def test_labels_and_the_forms_of_probabilities(kind, dtype, rng):
    X = rng.normal(size=(M, 4)).astype(dtype)
    model = make_pipeline(StandardScaler(), classifier()).fit(X, np.resize(LABELS[kind], M))
    labels, expected, classes = model.predict(X), model.predict_proba(X), model.classes_.tolist()
    named = expected[:, : len(classes)]  # of a single class there is no second
    label, p = convert(model, X)
    np.testing.assert_array_equal(label, labels)
    assert [list(each) for each in p] == [classes] * M
    p = np.array([list(each.values()) for each in p])
    np.testing.assert_allclose(p, named, rtol=0, atol=1e-5)
    label, p = convert(model, X, options={"zipmap": False})
    np.testing.assert_array_equal(label, labels)
    assert_close(p, expected, dtype)
    label, *columns = convert(model, X, options={"zipmap": "columns"})
    np.testing.assert_array_equal(label, labels)
    assert_close(np.stack(columns, axis=1), named, dtype)


@each_dtype
def test_several_labels_at_once(dtype, rng):
    X, Y = rng.normal(size=(M, 4)).astype(dtype), rng.integers(0, 2, (M, 3))
    model = classifier().fit(X, Y)
    expected = model.predict_proba(X)
    for zipmap in (True, False):
        label, p = convert(model, X, options={"zipmap": zipmap})
        np.testing.assert_array_equal(label, model.predict(X))
        if zipmap:
            p = np.array([list(each.values()) for each in p])
            np.testing.assert_allclose(p, expected, rtol=0, atol=1e-5)
        else:
            assert_close(p, expected, dtype)


@pytest.mark.parametrize("kind", ["texts", "objects", "truth", "one"])
def test_without_the_names_of_classes(kind, rng):
    X, y = rng.normal(size=(M, 4)), np.resize(LABELS[kind], M)
    model = classifier().fit(X, y)
    label, p = convert(model, X, options={"nocl": True, "zipmap": False})
    np.testing.assert_array_equal(label, np.searchsorted(model.classes_, model.predict(X)))
    assert_close(p, model.predict_proba(X), "float64")


def test_the_names_of_classes_as_an_output(rng):
    X, y = rng.normal(size=(M, 4)), np.resize(LABELS["texts"], M)
    how = {"zipmap": False, "output_class_labels": True}
    assert convert(classifier().fit(X, y), X, options=how)[2].tolist() == ["b", "c", "ä"]


def test_an_option_that_an_mlp_does_not_have(rng):
    X = rng.normal(size=(M, 4))
    model = classifier().fit(X, np.resize([0, 1], M))
    with pytest.raises(NameError, match="Option 'raw_scores' not in"):
        skl2onnx.to_onnx(model, X, options={"raw_scores": True})


@each_dtype
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_regression(loss, outputs, dtype, rng):
    X = rng.normal(size=(M, 4)).astype(dtype)
    Y = rng.poisson(3.0, (M, outputs)).astype(float)
    model = make_pipeline(StandardScaler(), regressor(loss=loss))
    model.fit(X, Y[:, 0] if outputs == 1 else Y)
    assert_close(convert(model, X)[0], model.predict(X).reshape(M, outputs), dtype)


@each_dtype
@pytest.mark.parametrize("activation", HIDDEN, ids=str)
def test_every_activation(activation, dtype, rng):
    X, y = rng.normal(size=(M, 4)).astype(dtype), np.resize([0, 1, 2], M)
    model = classifier([activation, "relu"]).fit(X, y)
    label, p = convert(model, X, options={"zipmap": False})
    np.testing.assert_array_equal(label, model.predict(X))
    assert_close(p, model.predict_proba(X), dtype)


@pytest.mark.parametrize("opset", [13, 15, 17, 18, 21, {"": 19, "ai.onnx.ml": 3}], ids=str)
def test_every_opset(opset, rng):
    X, y = rng.normal(size=(M, 4)), np.resize(["a", "b", "c"], M)
    model = make_pipeline(StandardScaler(), classifier("mish")).fit(X, y)
    made = skl2onnx.to_onnx(model, X, target_opset=opset, options={"zipmap": False})
    wanted = opset if isinstance(opset, int) else opset[""]
    assert {each.domain: each.version for each in made.opset_import}[""] == wanted
    assert_close(run(made, X)[1], model.predict_proba(X), "float64")


def test_an_opset_too_old(rng):
    X = rng.normal(size=(M, 4))
    model = classifier().fit(X, np.resize([0, 1], M))
    with pytest.raises(ModelError, match=r"MLPClassifier can be converted to opset 13 .* got .*12"):
        skl2onnx.to_onnx(model, X, target_opset=12)


def test_no_rows_and_one(rng):
    X, y = rng.normal(size=(M, 4)), np.resize(["a", "b", "c"], M)
    model = make_pipeline(StandardScaler(), classifier()).fit(X, y)
    made = skl2onnx.to_onnx(model, X, options={"zipmap": False})
    for m in (0, 1):
        label, p = run(made, X[:m])
        assert (label.shape, p.shape) == ((m,), (m, 3))


@pytest.mark.parametrize(
    ("kind", "dtype", "made"),
    [
        (FloatTensorType, "float32", "float32"),
        (DoubleTensorType, "float64", "float64"),
        (Int64TensorType, "int64", "float32"),
        (BooleanTensorType, "bool", "float32"),
    ],
)
def test_types_of_inputs(kind, dtype, made, rng):
    X = rng.integers(0, 2, (M, 4)).astype(dtype)
    clf = classifier().fit(X, np.resize([0, 1], M))
    reg = regressor().fit(X, rng.normal(size=M))
    types = [("X", kind([None, 4]))]
    how = {id(clf): {"zipmap": False}}
    p = run(skl2onnx.convert_sklearn(clf, "clf", types, options=how), X)[1]
    assert_close(p, clf.predict_proba(X), made)
    prediction = run(skl2onnx.convert_sklearn(reg, "reg", types), X)[0]
    assert_close(prediction[:, 0], reg.predict(X), made)


def test_the_columns_of_a_frame_are_put_side_by_side(rng):
    frame = pd.DataFrame({"n": rng.integers(0, 9, M), "x": rng.normal(size=M), "y": [1.5] * M})
    model = classifier().fit(frame, np.resize([0, 1], M))
    made = skl2onnx.to_onnx(model, frame, options={"zipmap": False})
    p = run(made, {name: frame[[name]].to_numpy() for name in frame})[1]
    np.testing.assert_allclose(p, model.predict_proba(frame), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        GridSearchCV(make_pipeline(StandardScaler(), classifier()), {}, cv=2),
        make_pipeline(StandardScaler(), GridSearchCV(classifier(), {}, cv=2)),
        StackingClassifier([("a", classifier()), ("b", LogisticRegression())], cv=2),
        CalibratedClassifierCV(classifier(), cv=2),
        OneVsRestClassifier(classifier()),
    ],
    ids=lambda model: type(model).__name__,
)
def test_within_other_estimators(model, rng):
    X, y = rng.normal(size=(M, 4)), np.resize(["a", "b", "c"], M)
    model.fit(X, y)
    in_search = "GridSearchCV" in repr(model)  # which takes no options
    label, p = convert(model, X, options=None if in_search else {"zipmap": False})
    np.testing.assert_array_equal(label, model.predict(X))
    p = np.array([list(each.values()) for each in p]) if in_search else p
    np.testing.assert_allclose(p, model.predict_proba(X), rtol=0, atol=1e-6)


def test_several_networks_in_one_graph(rng):
    X = rng.normal(size=(M, 4))
    model = BaggingRegressor(regressor(), 3, random_state=0).fit(X, X.sum(axis=1))
    assert_close(convert(model, X)[0][:, 0], model.predict(X), "float64")


def test_an_estimator_that_is_not_fitted(rng):
    with pytest.raises(NotFittedError, match="This MLPRegressor instance is not fitted yet"):
        skl2onnx.to_onnx(regressor(), rng.normal(size=(M, 4)))


REGISTERED = """
import importlib.util, sys
{}
assert "skl2onnx" not in sys.modules
assert importlib.util.find_spec("skl2onnx")  # whether it is installed: nothing more
import skl2onnx
from pellucid import MLPClassifier, MLPRegressor
for kind in (MLPClassifier, MLPRegressor):
    assert skl2onnx.get_model_alias(kind) == f"Pellucid{{kind.__name__}}"
"""


def test_pellucid_export_does_without_skl2onnx(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    importlib.reload(pellucid.export)


def test_it_is_registered_as_skl2onnx_is_imported():
    code = REGISTERED.format("import pellucid.export")
    subprocess.run([sys.executable, "-c", code], check=True)
