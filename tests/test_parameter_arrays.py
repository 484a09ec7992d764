"""Whatever stands in coefs_, intercepts_, net.W[l] and net.b[l] counts, or is refused by name."""

from __future__ import annotations

import copy
import functools
import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import sklearn.neural_network
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.datasets import make_classification, make_regression

import pellucid
from pellucid import Dense, MLPClassifier, Network, diagnose, load, load_predictor, train
from pellucid.export import export

DTYPES = ["?", "i1", "u1", "<i8", "<f2", "<f4", "<f8", ">f4", ">f8", "g"]
ORDERS = ["C", "F", "strided", "unaligned"]
HOLDERS = ["array", "read-only", "memmap", "list", "sparse"]
SIZES = (3, 4)
NUMBERS = itertools.count()


@functools.cache
def data(kind: str, dtype: str) -> tuple[Any, Any]:
    if kind == "regression":
        X, y = make_regression(60, 5, random_state=0)
        return X.astype(dtype), y / 50
    classes = 3 if kind == "three" else 2
    X, y = make_classification(
        60, 5, n_informative=4, n_redundant=0, n_classes=classes, random_state=0
    )
    return X.astype(dtype), y


@functools.cache
def fitted(kind: str, dtype: str) -> tuple[Any, Any]:
    """Ours and scikit-learn's, of the same fit."""
    name = "MLPRegressor" if kind == "regression" else "MLPClassifier"
    asked = {"hidden_layer_sizes": SIZES, "max_iter": 2, "random_state": 0, "warm_start": True}
    ours, theirs = (getattr(each, name)(**asked) for each in (pellucid, sklearn.neural_network))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tuple(each.fit(*data(kind, dtype)) for each in (ours, theirs))


def held(values: np.ndarray, dtype: str, order: str, holder: str) -> Any:
    """The values in an array of this dtype and order, and in what holds it."""
    array = values.astype(dtype)
    if order == "F":
        array = np.asfortranarray(array)
    elif order == "strided":
        wide = np.zeros((*array.shape, 2), array.dtype)
        wide[..., 1] = array
        array = wide[..., 1]
    elif order == "unaligned":
        raw = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
        raw[...] = array
        array = raw
    if holder == "read-only":
        array.flags.writeable = False
    if holder == "memmap":
        mapped = np.memmap(f"held-{next(NUMBERS)}", array.dtype, "w+", shape=array.shape)
        mapped[...] = array
        return mapped
    if holder == "list":
        return array.tolist()
    if holder == "sparse" and array.ndim == 2 and array.dtype.kind != "g" and dtype != "g":
        return sparse.csr_array(array.astype(np.float64))
    return array


METHODS: dict[str, Any] = {
    "predict": lambda m, X, y: m.predict(X),
    "predict_one": lambda m, X, y: m.predict(X[:1]),
    "predict_proba": lambda m, X, y: getattr(m, "predict_proba", m.predict)(X),
    "score": lambda m, X, y: m.score(X, y),
    "partial_fit": lambda m, X, y: parameters(m.partial_fit(X, y)),
    "warm fit": lambda m, X, y: parameters(m.fit(X, y)),
}
"""What both have."""

OURS: dict[str, Any] = {
    "hidden_activations": lambda m, X, y: np.hstack(m.hidden_activations(X)),
    "input_gradients": lambda m, X, y: m.input_gradients(X, y),
    "save": lambda m, X, y: saved(m, X),
    "export": lambda m, X, y: exported(m, X),
    "diagnose": lambda m, X, y: repr(diagnose(m, X, y).findings),
}


def parameters(m: Any) -> np.ndarray:
    return np.concatenate([np.ravel(each) for each in (*m.coefs_, *m.intercepts_)])


def saved(m: Any, X: Any) -> np.ndarray:
    m.save("saved.pellucid", overwrite=True)
    return np.hstack([each("saved.pellucid").predict(X) for each in (load, load_predictor)])


def exported(m: Any, X: Any) -> Any:
    import onnxruntime

    export(m, "m.onnx", overwrite=True)
    session = onnxruntime.InferenceSession("m.onnx")
    dtype = {"tensor(float)": "f4", "tensor(double)": "f8"}[session.get_inputs()[0].type]
    outputs = session.run(None, {"X": X.astype(dtype)})
    return np.concatenate([np.ravel(each).astype(np.float64) for each in outputs])


def quiet(function: Any, *arguments: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("held"))
        yield


each_array = st.tuples(*[st.sampled_from(each) for each in (DTYPES, ORDERS, HOLDERS)])


@settings(max_examples=200)
@given(
    kind=st.sampled_from(["two", "three", "regression"]),
    X_dtype=st.sampled_from(["f4", "f8"]),
    how=st.lists(each_array, min_size=6, max_size=6),
    method=st.sampled_from([*METHODS, *OURS]),
)
def test_any_arrays_count_on_every_way(
    place: None, kind: str, X_dtype: str, how: list[Any], method: str
) -> None:
    X, y = data(kind, X_dtype)
    mine, theirs = map(copy.deepcopy, fitted(kind, X_dtype))
    rng = np.random.default_rng(0)
    values = [rng.integers(0, 2, a.shape) for a in (*mine.coefs_, *mine.intercepts_)]
    plain = [each.astype(np.float64) for each in values]
    given = [held(each, *form) for each, form in zip(values, how, strict=True)]
    mine.coefs_, mine.intercepts_ = given[:3], given[3:]
    if method in METHODS:
        expected_of, function = theirs, METHODS[method]
    else:
        expected_of, function = copy.deepcopy(fitted(kind, X_dtype)[0]), OURS[method]
    expected_of.coefs_, expected_of.intercepts_ = plain[:3], plain[3:]
    expected = quiet(function, expected_of, X, y)
    found = quiet(function, mine, X, y)
    if isinstance(expected, str):
        assert found == expected
    else:
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


AND_X = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
XOR_Y = [0, 1, 1, 0]


@pytest.fixture
def xor() -> MLPClassifier:
    """Weights typed by hand, as in a lecture."""
    m = quiet(MLPClassifier((2,), max_iter=1, random_state=0).fit, AND_X, XOR_Y)
    m.coefs_ = [np.array([[1, 1], [1, 1]]), np.array([[20], [-40]])]
    m.intercepts_ = [np.array([0, -1]), np.array([-10])]
    return m


def test_integers_typed_by_hand_are_xor(xor: MLPClassifier) -> None:
    assert xor.predict(AND_X).tolist() == XOR_Y
    assert xor.predict_proba(AND_X)[1, 1] == pytest.approx(1 / (1 + np.exp(-10)))


def test_writing_into_them_counts(xor: MLPClassifier) -> None:
    xor.coefs_[1][1, 0] = 0  # an OR
    assert xor.predict(AND_X).tolist() == [0, 1, 1, 1]
    base = np.array([[20.0], [0.0]])
    view = base.view()
    view.flags.writeable = False
    xor.coefs_[1] = view
    assert xor.predict(AND_X).tolist() == [0, 1, 1, 1]
    base[1] = -40
    assert xor.predict(AND_X).tolist() == XOR_Y


def test_training_goes_on_from_them_in_arrays_of_its_own(xor: MLPClassifier) -> None:
    typed = xor.coefs_[0]
    xor.partial_fit(AND_X, XOR_Y)
    assert (typed == 1).all()
    assert xor.coefs_[0].dtype == np.float64
    assert (xor.coefs_[0] != 1).all()
    assert (xor.intercepts_[1] != -10).all()
    trained = xor.coefs_[0]
    xor.partial_fit(AND_X, XOR_Y)
    assert xor.coefs_[0] is trained


def test_numbers_that_broadcast_as_scikit_learn_adds_them(xor: MLPClassifier) -> None:
    xor.intercepts_ = [np.array([[0, -1]]), -10]
    assert xor.predict(AND_X).tolist() == XOR_Y


REFUSED: dict[str, tuple[Any, Any, str]] = {
    "complex": (0, np.ones((2, 2), complex), r"coefs_\[0\] must hold real .* complex128"),
    "texts": (0, [["1", "2"], ["3", "4"]], r"coefs_\[0\] must hold real numbers.*<U1"),
    "objects": (1, np.ones((2, 1), object), r"coefs_\[1\] must hold real .* object"),
    "dates": (1, np.ones((2, 1), "M8[s]"), r"coefs_\[1\] must hold real .* datetime64"),
    "nothing": (1, None, r"coefs_\[1\] must hold real numbers"),
    "ragged": (0, [[1, 2], [3]], r"coefs_\[0\] holds lists of different lengths"),
    "transposed": (1, [[20, -40]], r"coefs_\[1\] has the shape \(1, 2\); expected .* \(2, 1\)"),
    "too few inputs": (
        0,
        np.ones((1, 2)),
        r"coefs_\[0\] has the shape \(1, 2\); expected .* \(2, 2\)",
    ),
    "another width": (
        0,
        np.ones((2, 3)),
        r"coefs_\[1\] has the shape \(2, 1\); expected .*\(3, 1\)",
    ),
    "outputs": (1, np.ones((2, 3)), r"coefs_\[1\] has .* expected \(n\[1\], n\[2\]\) = \(2, 1\)"),
    "a vector": (1, np.ones(2), r"coefs_\[1\] has the shape \(2,\)"),
    "no units": (0, np.ones((2, 0)), r"coefs_\[0\] has the shape \(2, 0\)"),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("method", ["predict", "partial_fit", "save", "hidden_activations"])
def test_what_is_no_parameter_is_named(xor: MLPClassifier, what: str, method: str) -> None:
    layer, values, message = REFUSED[what]
    xor.coefs_[layer] = values
    if what == "another width":
        xor.intercepts_[0] = np.zeros(3)
    before = [np.copy(each) for each in xor.intercepts_]
    calls = {"partial_fit": (AND_X, XOR_Y), "save": ("never.pellucid",)}
    with pytest.raises(ValueError, match=message):
        getattr(xor, method)(*calls.get(method, (AND_X,)))
    for b, kept in zip(xor.intercepts_, before, strict=True):
        assert (b == kept).all()


@pytest.mark.parametrize(
    ("intercept", "message"),
    [
        (
            np.zeros((2, 1)),
            r"intercepts_\[0\] has the shape \(2, 1\); expected \(n\[l\],\) = \(2,\)",
        ),
        (np.zeros(3), r"intercepts_\[0\] has the shape \(3,\)"),
        ("zero", r"intercepts_\[0\] must hold real numbers; got the dtype <U4"),
    ],
)
def test_a_wrong_intercept_is_named(xor: MLPClassifier, intercept: Any, message: str) -> None:
    xor.intercepts_[0] = intercept
    with pytest.raises(ValueError, match=message):
        xor.predict(AND_X)


def test_a_layer_too_many_is_named(xor: MLPClassifier) -> None:
    xor.coefs_.append(np.ones((1, 1)))
    with pytest.raises(ValueError, match="coefs_ holds 3 arrays; expected 2, one per layer"):
        xor.predict(AND_X)


# A network ----------------------------------------------------------------------------------------


@pytest.fixture
def net() -> Network:
    return Network([Dense(2, "tanh"), Dense(1, "sigmoid")], n_inputs=3, seed=0)


@given(how=each_array)
def test_assigned_values_of_any_type_are_copied(place: None, how: tuple[str, str, str]) -> None:
    net = Network([Dense(2, "tanh"), Dense(1, "sigmoid")], n_inputs=3, seed=0)
    values = np.array([[0, 1, 1], [1, 0, 1]])
    dtype, order, holder = how
    array = held(values, dtype, order, "array" if holder == "sparse" else holder)
    mine = net.W[1]
    net.W[1] = array
    assert net.W[1] is mine
    assert (mine == values).all()


@pytest.mark.parametrize(
    ("values", "fault", "message"),
    [
        (np.ones((2, 3), complex), TypeError, r"W\[1\] must hold real numbers; got .* complex128"),
        ([["a"] * 3] * 2, TypeError, r"W\[1\] must hold real numbers; got the dtype <U1"),
        (
            np.ones((3, 2)),
            ValueError,
            r"W\[1\] has shape \(2, 3\); got \(3, 2\). Pass the transpose",
        ),
        (1.0, ValueError, r"W\[1\] has shape \(2, 3\); got \(\)"),
        (
            np.full((2, 3), 1e300),
            ValueError,
            r"W\[1\] is float32; got 1e\+300, which it cannot hold",
        ),
    ],
)
def test_what_cannot_be_assigned_is_named(
    net: Network, values: Any, fault: type[Exception], message: str
) -> None:
    before = net.W[1].copy()
    with pytest.raises(fault, match=message):
        net.W[1] = values
    with pytest.raises(fault, match=message):
        net.set_parameters({1: (values, [0, 0])})
    with pytest.raises(fault, match=message.replace(r"W\[1\]", "W1")):
        net.put_parameters({**net.parameters, "W1": values})
    assert (net.W[1] == before).all()


@pytest.mark.parametrize("engine", ["fused", "reference"])
def test_a_read_only_parameter_predicts_and_is_not_trained(net: Network, engine: str) -> None:
    X, Y = np.ones((3, 4)), [0, 1, 1, 0]
    A = net.forward(X)
    net.W[1].flags.writeable = False
    assert (net.forward(X) == A).all()
    with pytest.raises(ValueError, match=r"W\[1\] is read-only; training writes into it"):
        train(net, X, Y, loss="binary_cross_entropy", epochs=1, engine=engine)
    with pytest.raises(ValueError, match=r"W\[1\] is read-only"):
        net.W[1] = np.zeros((2, 3))


@pytest.mark.parametrize("engine", ["fused", "reference"])
@pytest.mark.parametrize(
    "array",
    [np.ones((2, 3)), np.ones((2, 3), np.float16), np.ones((3, 2), np.float32), [[1, 1, 1]] * 2],
    ids=["float64", "float16", "shape", "list"],
)
def test_an_array_put_into_a_layer_is_named(net: Network, engine: str, array: Any) -> None:
    net.layers[0].parameters["W"] = array
    message = r"W\[1\] must be an array of float32, \(2, 3\); got .* Assign to net.W\[1\]"
    with pytest.raises(ValueError, match=message):
        net.forward(np.ones((3, 4)))
    with pytest.raises(ValueError, match=message):
        train(net, np.ones((3, 4)), [0, 1, 1, 0], loss="mse", epochs=1, engine=engine)
