"""The computation graph: values, derivatives, nudges, text, drawing, functions of one's own."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass

import numpy as np
import pytest

from pellucid import Dense, Network, check_gradients, train
from pellucid.activations import ACTIVATIONS, Activation
from pellucid.graph import (
    OPERATIONS,
    Graph,
    Node,
    activation,
    call,
    functions,
    loss,
    register,
    variable,
)
from pellucid.losses import LOSSES, Loss

LECTURE = "u = b c; v = a + u; J = 3 v"


@pytest.fixture(autouse=True)
def _tables():
    """What a test registers goes with it."""
    before = dict(ACTIVATIONS), dict(LOSSES)
    yield
    for table, kept in zip((ACTIVATIONS, LOSSES), before, strict=True):
        table.clear()
        table.update(kept)


def test_the_graph_of_the_lecture():
    J = Graph(LECTURE, a=5, b=3, c=2)
    assert J.values == {"a": 5, "b": 3, "c": 2, "u": 6, "v": 11, "J": 33}
    assert J.derivatives == {"a": 3, "b": 6, "c": 9, "u": 3, "v": 3}
    assert J.nudge("v", 0.001) == {"v": 0.001, "J": 0.003}
    assert J.nudge("c", 0.001) == {"c": 0.001, "u": 0.003, "v": 0.003, "J": 0.009}


def test_a_nudge_keeps_its_digits_and_drops_those_of_rounding():
    assert Graph("J = 3 a", a=1e6).nudge("a", 0.001)["J"] == 0.003
    assert Graph("J = a / 7", a=0.007).nudge("a", 1e-9)["J"] == pytest.approx(1e-9 / 7, rel=1e-4)
    assert Graph("J = a b", a=[1.0, 2.0], b=3).nudge("a", [0.001, 0])["J"].tolist() == [0.003, 0]


def test_any_name_may_be_a_variable():
    assert Graph("J = last + self", last=1, self=2).forward(self=3) == 4.0


def test_numpys_functions_are_operations():
    x, y = variable("x", 0.5), variable("y", [1.0, -2.0])
    graph = Graph((np.log1p(np.exp(x)) * np.abs(y) + np.ones(2)).sum())
    assert graph.values["J"] == pytest.approx(2 + 3 * np.log1p(np.exp(0.5)))
    assert graph.derivatives["x"] == pytest.approx(3 / (1 + np.exp(-0.5)))


def test_what_is_infinite_says_so_without_warnings():
    graph = Graph("J = a / b", a=1, b=0)
    assert (graph.values["J"], graph.derivatives["b"]) == (np.inf, -np.inf)


def test_new_values_go_through_the_graph():
    J = Graph(LECTURE, a=5, b=3, c=2)
    assert J.forward(a=6) == 36.0
    assert J.forward(b=0) == 18.0
    assert J.derivatives["c"] == 0.0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3 (a + b c)", 33),
        ("3(a+b*c)", 33),
        ("2a - b", 7),
        ("a - (b - c)", 4),
        ("a / (b c)", 5 / 6),
        ("a / b * c", 5 / 3 * 2),
        ("-a^2 + 2^c", -21),
        ("a ** -1", 0.2),
        ("max(a, b) + min(a, b)", 8),
        ("exp(log(a)) + 1e1", 15),
        ("(a + b)(a - b)", 16),
        ("-(a + b) c", -16),
        ("1.5 a", 7.5),
        ("(a + b)c", 16),
    ],
)
def test_text_means_what_it_means_on_paper(text, value):
    values = {"a": 5, "b": 3, "c": 2}
    words = re.findall(r"[a-z]+", text)
    values = {name: x for name, x in values.items() if name in words}
    graph = Graph(text, **values)
    assert graph.values["J"] == pytest.approx(value)
    assert Graph(graph.last.expression(whole=True), **values).values["J"] == graph.values["J"]


def draw(name: str, place: int, rng: np.random.Generator) -> np.ndarray:
    x = rng.normal(size=(3, 4))
    if name in ("log", "log1p", "sqrt", "power") and place == 0:
        return np.abs(x) + 0.5
    if name == "matmul" and place == 1:
        return rng.normal(size=(4, 2))
    return x + np.sign(x) * 0.1


REDUCTIONS = ("sum", "mean", "max", "min")


@pytest.mark.parametrize(
    ("name", "options"),
    [*((name, {}) for name in OPERATIONS), *((r, {"axis": k}) for r in REDUCTIONS for k in (0, 1))],
)
def test_every_operation_against_differences(name, options, rng):
    inputs = [draw(name, k, rng) for k in range(OPERATIONS[name].n_inputs)]
    node = call(name, *(variable(f"x{k}", x) for k, x in enumerate(inputs)), **options)
    weights = rng.normal(size=np.shape(Graph(node).forward()))
    graph = Graph((node * weights).sum().named("J"))
    for k, x in enumerate(inputs):
        found = graph.derivatives[f"x{k}"]
        for index in np.ndindex(x.shape):
            step = np.zeros_like(x)
            step[index] = 1e-6
            above = graph.forward(**{f"x{k}": x + step})
            below = graph.forward(**{f"x{k}": x - step})
            assert found[index] == pytest.approx((above - below) / 2e-6, abs=1e-7)
        graph.forward(**{f"x{k}": x})


@pytest.mark.parametrize(
    "shapes", [((3, 4), (3, 1)), ((3, 4), (4,)), ((3, 4), ()), ((1, 4), (3, 1))]
)
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "maximum"])
def test_broadcast_inputs_get_the_sum_over_their_copies(name, shapes, rng):
    x, y = (rng.uniform(1, 2, size=shape) for shape in shapes)
    graph = Graph(call(name, variable("x", x), variable("y", y)).sum().named("J"))
    for letter, values in (("x", x), ("y", y)):
        d = graph.derivatives[letter]
        assert np.shape(d) == values.shape
        moved = graph.nudge(letter, 1e-6)["J"]
        assert np.sum(d) * 1e-6 == pytest.approx(moved, abs=1e-11)


def test_logistic_regression_is_the_lectures(rng):
    X, y = rng.normal(size=(3, 5)), np.array([[0, 1, 1, 0, 1]])
    w, b = variable("w", rng.normal(size=(1, 3))), variable("b", 0.3)
    z = (w @ variable("X", X) + b).named("z")
    a = call("sigmoid", z).named("a")
    J = Graph((-(y * call("log", a) + (1 - y) * call("log", 1 - a))).mean().named("J"))
    dz = J.values["a"] - y
    np.testing.assert_allclose(J.derivatives["z"], dz / 5, atol=1e-15)
    np.testing.assert_allclose(J.derivatives["w"], dz @ X.T / 5, atol=1e-15)
    assert J.derivatives["b"] == pytest.approx(dz.mean())


def test_equal_numbers_share_a_derivative():
    assert Graph("max(a, b)", a=1, b=1).derivatives == {"a": 0, "b": 1}
    assert Graph("min(a, b)", a=1, b=1).derivatives == {"a": 0, "b": 1}
    x = call("max", variable("x", [2, 2, 1]))
    assert Graph(x).derivatives["x"].tolist() == [0.5, 0.5, 0]


def test_every_edge_goes_from_left_to_right():
    svg = Graph("s = 3 x; p = x + 1; q = 2 p; J = s + q", x=1).svg()
    edges = re.findall(r'class="edge" d="M(\d+),\d+ C.* (\d+),\d+"', svg)
    assert len(edges) == 6  # that of x to s is cut at the column of p
    assert all(int(start) < int(end) for start, end in edges)
    boxes = [int(x) for x in re.findall(r'class="node" x="(\d+)"', svg)]
    ends = set(boxes) | {x + 150 for x in boxes}
    assert sum(int(x) not in ends for edge in edges for x in edge) == 2


def test_a_node_used_twice_gets_both_derivatives():
    x = variable("x", 3)
    assert Graph(x * x + x).derivatives["x"] == 7.0


def test_a_long_chain_needs_no_recursion():
    node = variable("x", 1.0)
    for _ in range(5000):
        node = node + 1
    assert Graph(node).values["J"] == 5001


def test_the_table_and_the_drawing_hold_the_numbers():
    J = Graph(LECTURE, a=5, b=3, c=2)
    assert re.search(r"^v = a \+ u +11 +3$", J.text(), re.M)
    root = ET.fromstring(J.svg())
    words = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"v = a + u", "11", "dv = 3", "db = 6", "33"} <= set(words)
    boxes = root.findall(".//{http://www.w3.org/2000/svg}rect")
    places = {(box.get("x"), box.get("y")) for box in boxes}
    assert len(places) == len(boxes) == 6


def test_a_name_in_the_drawing_is_escaped():
    x = variable("x", 1)
    x.name = "<script>"
    assert "<script>" not in Graph(x + 1).svg()


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        ("u = v + 1; v = u + 2", {}, r"cycle: v -> u -> v"),
        ("x = x + 1", {}, r"cycle: x -> x"),
        ("J = sigmod(a)", {"a": 1}, r"unknown operation 'sigmod' \(did you mean 'sigmoid'\?\)"),
        ("J = a +", {"a": 1}, r"'J = a \+' cannot be read; expected numbers"),
        ("J = a.b", {"a": 1}, r"'a\.b' is not understood"),
        ("J = __import__('os').system('ls')", {}, r"is not understood|unknown operation"),
        ("J = [x for x in a]", {"a": 1}, r"not understood|cannot be read"),
        ("", {}, r"is empty; write one such as"),
        ("a + b = 3", {}, r"expected NAME = EXPRESSION"),
        ("u = a; u = b; J = u", {}, r"u is given twice"),
        ("x = 1; J = a", {"a": 1}, r"x is not part of the last line, J"),
        ("J = a b", {"a": 1}, r"the variable b has no value; give one: Graph\(\.\.\., b=1\.0\)"),
        ("J = alpha", {"alhpa": 1}, r"no variable 'alhpa' \(did you mean 'alpha'\?\)"),
        ("J = exp(a, a)", {"a": 1}, r"exp takes 1 inputs; got 2"),
        (
            "J = a @ b",
            {"a": np.ones((2, 3)), "b": np.ones((2, 3))},
            r"matmul cannot take the shapes",
        ),
        ("J = a", {"a": "five"}, r"computes with numbers and arrays; got 'five'"),
        ("J = " + "(" * 30000, {}, r"30004 characters; at most"),
        (
            "J = " + "-" * 1500 + "a",
            {"a": 1},
            r"nested too deeply|-{56}\.\.\.' cannot",
        ),
        ("J = sin a", {"a": 1}, r"sin is an operation; write sin\(\.\.\.\)"),
        ("J = a", {"a": None}, r"computes with numbers and arrays; got None|has no value"),
    ],
)
def test_what_is_no_graph_is_refused(text, values, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Graph(text, **values)


def test_a_cycle_of_nodes_is_refused():
    x = variable("x", 1)
    u = (x + 1).named("u")
    u.inputs = (u, x)
    with pytest.raises(ValueError, match="cycle: u depends on itself"):
        Graph(u)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: call("foo", 1), "unknown operation 'foo'"),
        (lambda: variable("2x"), "a word such as 'v'; got '2x'"),
        (lambda: bool(variable("x", 1)), "neither|not true or false"),
        (lambda: Graph(3), "made of a node or of text; got 3"),
        (lambda: Graph(variable("x", 1) + variable("x", 2)), "two nodes are called 'x'"),
        (lambda: Graph("J = a", a=1).nudge("b"), "no node 'b'"),
        (lambda: list(variable("x", [1, 2])), "cannot be unpacked"),
        (lambda: Graph("J = a", a=1).nudge("a", float("nan")), "moved by a finite number, such as"),
        (lambda: Graph("J = a", a=[1, 2]).nudge("a", [1, 2, 3]), r"of its shape \(2,\); got \[1"),
        (lambda: Graph("J = a", a=1).nudge("a", "much"), "numbers and arrays; got 'much'"),
        (lambda: Graph(variable("x", [1, 2]).sum(axis=5)), r"the shapes \(2,\), axis=5"),
        (lambda: Graph(call("exp", variable("x", 1), axis=3)), r"exp cannot take .*, axis=3"),
        (lambda: np.exp2(variable("x", 1)), r"unknown operation 'exp2' \(did you mean 'exp'"),
        (lambda: np.add.reduce(variable("x", 1)), r"cannot be used in np\.add\.reduce"),
    ],
)
def test_messages_of_nodes(build, message):
    with pytest.raises((ValueError, TypeError), match=message):
        build()


# Functions of one's own ---------------------------------------------------------------------------


def test_an_activation_written_as_a_graph_trains(rng):
    activation("quick_swish", lambda z: z * call("sigmoid", 1.702 * z))
    net = Network([Dense(4, "quick_swish"), Dense(1, "sigmoid")], n_inputs=2, seed=0)
    X, Y = rng.normal(size=(2, 40)), rng.integers(0, 2, 40)
    assert check_gradients(net, X[:, :5], Y[:5], "bce").ok
    history = train(net, X, Y, loss="bce", epochs=3)
    assert history.engine == "reference"
    assert "it has no activation" in history.engine_note


def test_an_activation_that_mixes_units_is_derived_too(rng):
    g = activation("normed", lambda z: z / (z**2).sum(0, keepdims=True) ** 0.5)
    Z, dA = rng.normal(size=(2, 3, 4))
    norm = np.sqrt((Z**2).sum(axis=0, keepdims=True))
    A = Z / norm
    np.testing.assert_allclose(g.backward(dA, Z, A), (dA - A * (A * dA).sum(axis=0)) / norm)


def test_a_loss_written_as_a_graph_is_the_lectures(rng):
    mine = loss("my_half", lambda y, a: ((a - y) ** 2).sum(0) / 2)
    A, Y = rng.normal(size=(2, 3, 4))
    np.testing.assert_allclose(mine.value(Y, A), LOSSES["half_squared_error"]().value(Y, A))
    np.testing.assert_allclose(mine.derivative(Y, A), A - Y)
    net = Network([Dense(2, "tanh"), Dense(3)], n_inputs=2, seed=0)
    assert check_gradients(net, rng.normal(size=(2, 4)), Y, "my_half").ok


@dataclass(frozen=True)
class Wrong(Activation):
    name = "wrong"
    formula = "z^2"
    derivative = "z"

    def __call__(self, Z):
        return Z**2

    def backward(self, dA, Z, A):
        return dA * Z


@dataclass(frozen=True)
class WrongLoss(Loss):
    name = "wrong_loss"
    formula = "sum (a - y)^2"

    def value(self, Y, A):
        return ((A - Y) ** 2).sum(axis=0)

    def derivative(self, Y, A):
        return A - Y


@dataclass(frozen=True)
class Misshapen(Wrong):
    name = "misshapen"

    def __call__(self, Z):
        return Z[:1]


@dataclass(frozen=True)
class Taken(Wrong):
    name = "relu"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (Wrong(), r"activation 'wrong': its derivative is wrong: at z = .* it gives .*, central"),
        (WrongLoss(), r"loss 'wrong_loss': its derivative is wrong: at a = "),
        (
            Misshapen(),
            r"activation 'misshapen': g\(Z\) should have the shape \(4, 6\); it has \(1, 6\)",
        ),
        (Taken(), r"'relu' is one of Pellucid's own; choose another name"),
        ("relu", r"register takes an Activation or a Loss; got 'relu'"),
    ],
)
def test_a_function_that_is_wrong_is_not_registered(entry, message):
    before = dict(ACTIVATIONS), dict(LOSSES)
    with pytest.raises((ValueError, TypeError), match=message):
        register(entry)
    assert (dict(ACTIVATIONS), dict(LOSSES)) == before


@pytest.mark.parametrize(("factor", "gives"), [(1.0001, r"\S+"), (np.nan, "nan")])
def test_a_derivative_that_is_a_little_wrong_is_refused(factor, gives):
    @dataclass(frozen=True)
    class Near(Wrong):
        name = "near"

        def backward(self, dA, Z, A):
            return dA * 2 * Z * factor

    with pytest.raises(
        ValueError, match=rf"'near': its derivative is wrong: at z = .* it gives {gives},"
    ):
        register(Near())


def test_a_kink_that_is_named_is_kept_away_from():
    kink = float(1.5 * functions._drawn((4, 6), 1)[2, 3])
    with pytest.raises(ValueError, match="its derivative is wrong"):
        activation("bent", lambda z: call("maximum", z, kink))
    assert activation("bent", lambda z: call("maximum", z, kink), kinks=(kink,)).name == "bent"


def test_a_function_that_returns_no_node_is_refused():
    with pytest.raises(
        TypeError, match=r"function\(z\) must return a node of the graph; it returned"
    ):
        activation("mine", lambda z: 3.0)


def test_a_registered_activation_is_saved_and_read_where_it_is_known(tmp_path):
    from pellucid import load, save
    from pellucid.errors import ModelError

    activation("cubed", lambda z: z**3)
    net = Network([Dense(2, "cubed"), Dense(1)], n_inputs=2, seed=0)
    save(net, tmp_path / "m.pellucid")
    assert load(tmp_path / "m.pellucid").layers[0].activation.name == "cubed"
    del ACTIVATIONS["cubed"]
    with pytest.raises(ModelError, match="unknown activation 'cubed'"):
        load(tmp_path / "m.pellucid")


def test_the_graph_needs_no_networkx_until_it_is_drawn():
    code = "import sys, pellucid.graph; print({'networkx', 'sklearn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_nodes_show_themselves():
    assert repr(variable("x", 1) * 2) == "<Node x * 2>"
    assert isinstance(np.ones(3) + variable("x", 1), Node)
