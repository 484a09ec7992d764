"""Arrays that record: numbers as NumPy's, formulas, cells, and layers of one's own in a trace."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import numpy as np
import pytest

from pellucid import Dense, Network, trace
from pellucid.activations import Activation, activation
from pellucid.graph import OPERATIONS as OF_A_GRAPH
from pellucid.insight.trace import Trace
from pellucid.layers import Layer, LayerCache
from pellucid.layers.shapes import by_place, held, unrolled
from pellucid.record import OPERATIONS, Array, cell_of, formula, latex, mathml, parts, plain

A = np.array([[0.3, 0.6]])
W = np.array([[1.0, 2.0]])
X = np.array([[3.0, 1.0], [2.0, 0.5]])
Y = np.array([[0.0, 1.0]])


def named(dtype: Any = "float64") -> dict[str, Any]:
    arrays = {"A": A, "W": W, "X": X, "Y": Y}
    keys = {"A": ("A", 2), "W": ("W", 1), "X": ("X", 0), "Y": ("Y", 0)}
    made = {name: Array(arrays[name].astype(dtype), key=keys[name]) for name in arrays}
    return {**made, "m": Array(2.0, key=("m", 0)), "l2": Array(0.5, key=("l2", 0)), "np": np}


EXPRESSIONS = {
    "W @ X**2 + 1": "W[1] X^2 + 1",
    "(2 * (W @ X)).T": "(2 W[1] X)^T",
    "(A - Y) @ X.T / m + (3 * l2) * W": "(1/m) (A[2] - Y) X^T + 3 l2 W[1]",
    "A * (A - np.sum(A * A, axis=0, keepdims=True))": "A[2] * (A[2] - sum_j A[2]_j^2)",
    "np.sum(A * Y, axis=1, keepdims=True) / m": "(1/m) sum_i A[2](i) * Y(i)",
    "W.T @ A * 2 * X": "2 W[1]^T A[2] * X",
    "(1 - Y) / (1 - A) - Y / A": "(1 - Y) / (1 - A[2]) - Y / A[2]",
    "np.where(X > 1, X, 0.1 * X)": "where(X > 1, X, 0.1 X)",
    "np.where(X > 0, X, 0.1 * X)": "X",
    "np.abs(A - Y)": "|A[2] - Y|",
    "A - (Y - A)": "A[2] - (Y - A[2])",
    "-(A * Y)": "-A[2] * Y",
    "X[:1, 0:2]": "X[:1, 0:2]",
    "X.reshape(1, 4)": "reshape(X)",
    "np.clip(A - Y, -0.5, 0.5)": "A[2] - Y",
    "np.clip(A - Y, 0, 0.5)": "clip(A[2] - Y, 0, 0.5)",
    "np.concatenate([A, Y])": "[A[2]; Y]",
    "np.einsum('ij,jk->ik', W, X)": "einsum(W[1], X)",
    "1.0 * A + 0.0 * Y": "A[2]",
    "X.astype('float32') * 2": "2 X",
    "np.exp(A) ** -1": "exp(A[2])^-1",
}


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_expression_is_computed_as_numpy_does_and_written_as_on_paper(text):
    for dtype in ("float32", "float64"):
        arrays = named(dtype)
        found = eval(text, arrays)
        expected = eval(text, {name: plain(each) for name, each in named(dtype).items()})
        np.testing.assert_array_equal(found.values, expected)
        assert found.values.dtype == expected.dtype
    assert formula(found) == EXPRESSIONS[text]
    assert "  " not in "".join(p for p in parts(found) if isinstance(p, str))
    assert latex(formula(found))
    assert mathml(formula(found))


@pytest.mark.parametrize("text", [text for text in EXPRESSIONS if "einsum" not in text])
def test_the_numbers_of_every_cell_come_to_its_value(text):
    found = eval(text, named())
    for row, column in np.ndindex(found.shape):
        cell = cell_of(found, ("Q", 1), row, column)
        written = cell.numbers.split("= ")[1].replace("^", "**")
        written = re.sub(r"(?<=[\d)]) (?=[(\d]|-\d)", " * ", written)
        written = re.sub(r"\|(.*?)\|", r"abs(\1)", written)
        assert eval(written, {"clip": np.clip, "exp": np.exp}) == pytest.approx(
            found.values[row, column], abs=2e-3
        )
        for source in cell.sources:
            given = {"A": A, "W": W, "X": X, "Y": Y}[source.key[0]]
            assert given[source.row, source.column] == source.value


def test_the_table_serves_numbers_graphs_and_onnx():
    assert set(OF_A_GRAPH) == {name for name, each in OPERATIONS.items() if each.derivative}
    assert OPERATIONS["matmul"].onnx == "MatMul"
    for name, each in OPERATIONS.items():
        assert each.name == name
        assert each.kind in ("each", "sum", "matmul", "move", "gather")


def test_what_numpy_alone_knows_is_one_function():
    x = Array(X, key=("X", 0))
    assert formula(np.linalg.norm(x, axis=0, keepdims=True)) == "norm(X)"
    assert formula(np.arctan2(x, 2.0)) == "arctan2(X)"
    assert np.add.reduce(np.asarray(x)).tolist() == [5, 1.5]


def test_how_examples_are_laid_out_stands_in_no_formula():
    volume = Array(np.arange(12.0).reshape(6, 2), key=("dZ", 1))  # 3 places of 2 channels
    places = by_place(volume, 2)
    assert (formula(places), places.shape) == ("dZ[1]", (2, 6))
    assert unrolled(places, 2).values.tolist() == volume.values.tolist()
    along = {"axis": 1, "keepdims": True}
    once, twice = (places.sum(**along), by_place(volume.sum(**along), 2).sum(**along))
    assert formula(once / 2) == formula(twice / 2) == "1/2 sum_p dZ[1]_p"
    for total in (once, twice):
        cell = cell_of(total, ("db", 1), 1, 0)
        assert cell.formula == "db[1][1, 0] = sum_p dZ[1][1, p]"
        assert sorted(f.row for (f,) in cell.terms) == [1, 1, 3, 3, 5, 5]
        assert cell.value == volume.values[1::2].sum()
    kept = held(volume, np.array([[True, False]] * 6))
    assert formula(kept @ volume.T) == "dZ[1] dZ[1]^T"
    assert cell_of(kept, ("A", 1), 2, 1).numbers == "= 0 = 0"


def test_what_stands_below_one_another_is_one_matrix_in_a_product():
    a, x = Array(A.T, key=("a", 1, 0)), Array(X[:1, :1], key=("x", 0, 1))
    W = Array(np.ones((1, 3)), key=("W", 1))
    Z = W @ np.concatenate([a, x])
    assert formula(Z) == "W[1] [a[1]<0>; x<1>]"
    assert [part.name for part in parts(Z)] == ["W[1]", "[a[1]<0>; x<1>]"]
    assert formula(np.concatenate([a, x])[0:2]) == "[a[1]<0>; x<1>][0:2]"


# Layers of one's own ------------------------------------------------------------------------------


class Quadratic(Layer):
    """Z = W A_prev^2 + b, A = Z."""

    name = "quadratic"
    computes_Z = True
    penalised = ("W",)

    def __init__(self, n_units, *, learning_rate_factor=1.0, weight_decay_factor=1.0):
        super().__init__(
            learning_rate_factor=learning_rate_factor, weight_decay_factor=weight_decay_factor
        )
        self.n_units, self.activation = n_units, activation("identity")

    def parameter_shapes(self, input_shape):
        return {"W": (self.n_units, input_shape[0]), "b": (self.n_units, 1)}

    def output_shape_for(self, input_shape):
        return (self.n_units,)

    def initial(self, letter, shape, start, seed):
        return np.ones(shape) if letter == "W" else np.zeros(shape)

    def forward(self, A_prev, mask=None):
        Z = self.parameters["W"] @ A_prev**2 + self.parameters["b"]
        return Z, LayerCache(A_prev, Z, Z, Z, mask)

    def backward(self, dA, cache, *, dZ=None, m=None, inputs=True):
        dZ = dA if dZ is None else dZ
        m = cache.A_prev.shape[1] if m is None else m
        W = self.parameters["W"]
        dA_prev = W.T @ dZ * 2 * cache.A_prev if inputs else None
        dW = dZ @ (cache.A_prev**2).T / m
        return dA_prev, {"dZ": dZ, "dW": dW, "db": dZ.sum(axis=1, keepdims=True) / m}

    def settings(self):
        return {"n_units": self.n_units, **super().settings()}


class InPlace(Quadratic):
    """The same, by code that recording arrays cannot follow."""

    def forward(self, A_prev, mask=None):
        squares = np.empty(A_prev.shape)
        squares[...] = A_prev
        squares *= squares
        Z = np.matmul(self.parameters["W"], squares, out=np.empty((self.n_units, A_prev.shape[1])))
        Z += self.parameters["b"]
        return Z, LayerCache(A_prev, Z, Z, Z, mask)


class Shifted(Layer):
    """A = A_prev + (the unit before it) / 2: numbers move, nothing is learned by a matrix."""

    name = "shifted"

    def parameter_shapes(self, input_shape):
        return {"c": (1, 1)}

    def output_shape_for(self, input_shape):
        return input_shape

    def initial(self, letter, shape, start, seed):
        return np.full(shape, 0.5)

    def forward(self, A_prev, mask=None):
        before = np.pad(A_prev, ((1, 0), (0, 0)))[:-1]
        output = A_prev + self.parameters["c"] * before
        return output, LayerCache(A_prev, output)

    def backward(self, dA, cache, *, dZ=None, m=None, inputs=True):
        m = cache.A_prev.shape[1] if m is None else m
        before = np.pad(cache.A_prev, ((1, 0), (0, 0)))[:-1]
        dc = np.sum(np.sum(dA * before, axis=0, keepdims=True), axis=1, keepdims=True) / m
        return dA + self.parameters["c"] * np.pad(dA, ((0, 1), (0, 0)))[1:], {"dc": dc}


def traced(*layers: Layer) -> Trace:
    net = Network(list(layers), n_inputs=2, seed=0, dtype="float64")
    return trace(net, X, Y[:, ::-1], "bce")


def test_a_layer_of_ones_own_is_shown_as_it_computes():
    t = traced(Quadratic(2), Dense(1, "sigmoid"))
    assert t.check().ok
    formulas = {step.key: step.formula for step in t.steps}
    assert formulas["Z", 1] == "Z[1] = W[1] X^2 + b[1]"
    assert formulas["A", 1] == "A[1] = Z[1]"
    assert formulas["Z", 2] == "Z[2] = W[2] A[1] + b[2]"
    assert formulas["dZ", 1] == "dZ[1] = dA[1]"
    assert formulas["dW", 1] == "dW[1] = (1/m) dZ[1] (X^2)^T"
    assert formulas["dX", 0] == "dX = 2 W[1]^T dZ[1] * X"
    cell = t.cell("Z", layer=1, row=0, column=0)
    assert cell.numbers == "= 1 * 3^2 + 1 * 2^2 + 0 = 13"
    assert [str(f) for f in cell.terms[0]] == ["W[1][0, 0]", "X[0, 0]", "X[0, 0]"]
    assert "W[1] X^2 + b[1]" in t.text(60)
    assert r"W^{[1]}\,X^{2} + b^{[1]}" in t.latex()


def test_code_that_cannot_record_is_shown_as_one_function():
    t = traced(InPlace(2), Dense(1, "sigmoid"))
    assert t.check().ok
    np.testing.assert_array_equal(
        t.arrays["Z", 1], traced(Quadratic(2), Dense(1, "sigmoid")).arrays["Z", 1]
    )
    step = next(step for step in t.steps if step.key == ("Z", 1))
    assert step.formula == "Z[1] = inplace(X)"
    assert step.why == "As InPlace computes it."
    assert t.cell("Z", layer=1, row=0, column=0).numbers == "= 13 = 13"


def test_a_trace_can_be_pickled_and_copied():
    for layer in (Quadratic(2), InPlace(2), Dense(2, "gelu")):
        t = traced(layer, Dense(1, "sigmoid"))
        for again in (copy.deepcopy(t), pickle.loads(pickle.dumps(t))):
            assert again.text(80) == t.text(80)
            assert again.cell("dW", layer=1, row=0, column=0) == t.cell(
                "dW", layer=1, row=0, column=0
            )


def test_numbers_that_move_are_found_where_they_came_from():
    t = traced(Dense(3, "tanh"), Shifted(), Dense(1, "sigmoid"))
    assert t.check().ok
    top, below = (t.cell("A*", layer=1, row=row, column=1) for row in (0, 2))
    assert [str(f) for f in top.sources] == ["A[1][0, 1]", "c[1][0, 0]"]
    assert [str(f) for f in below.sources] == ["A[1][2, 1]", "c[1][0, 0]", "A[1][1, 1]"]


def test_an_activation_that_mixes_the_units_is_written_out():
    class Centred(Activation):
        name = "centred"
        formula = "z_k - mean_j z_j"
        derivative = "dz_k = da_k - mean_j da_j"

        def __call__(self, Z):
            return Z - Z.mean(axis=0, keepdims=True)

        def backward(self, dA, Z, A):
            return dA - dA.mean(axis=0, keepdims=True)

    t = traced(Dense(3, Centred()), Dense(1, "sigmoid"))
    assert t.check().ok
    step = next(step for step in t.steps if step.key == ("dZ", 1))
    assert step.formula.startswith("dZ[1] = dA[1] - mean_j dA[1]_j, dz_k")
    cell = t.cell("A", layer=1, row=1, column=0)
    assert [f.row for f in cell.sources] == [0, 1, 2]
