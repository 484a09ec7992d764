"""The trace: every number, every cell, the lectures' numbers, and its text."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pellucid import Dense, MLPClassifier, Network, Scale, trace, train
from pellucid.activations import ACTIVATIONS, Activation
from pellucid.insight.trace import PRESETS, preset
from pellucid.losses import LOSSES
from pellucid.record import shown
from pellucid.record.layout import matrix


def deep(dtype="float64"):
    layers = [Scale(), Dense(12, "tanh"), Scale(), Dense(5, "gelu"), Dense(3, "softmax")]
    net = Network(layers, n_inputs=10, seed=0, dtype=dtype)
    rng = np.random.default_rng(0)
    net.s[0][:] = rng.uniform(0.5, 2, net.s[0].shape)
    net.s[1][:] = rng.uniform(0.5, 2, net.s[1].shape)
    return net


@pytest.fixture
def pieces(rng):
    return rng.normal(size=(10, 30)), rng.integers(0, 3, 30), rng.uniform(0.5, 1.5, 30)


# Numbers ------------------------------------------------------------------------------------------


def test_the_and_gate_has_the_lectures_numbers():
    t = preset("and-gate").trace()
    np.testing.assert_array_equal(t.arrays["Z", 1], [[-30, -10, -10, 10]])
    g = [9.357622968840e-14, 4.5397868702e-5, 4.5397868702e-5, 0.99995460213]
    np.testing.assert_allclose(t.arrays["A", 1][0], g, rtol=1e-10)
    assert t.J == pytest.approx(3.404917e-5, rel=1e-6)


def test_zero_initialisation_has_the_lectures_numbers():
    net = Network([Dense(2, "sigmoid"), Dense(1, "sigmoid")], 2, "zeros", 0, "float64")
    and_gate = preset("and-gate")
    t = trace(net, and_gate.X, and_gate.Y, "bce")
    assert pytest.approx(0.6931472, abs=1e-7) == t.J
    np.testing.assert_allclose(t.arrays["dW", 2], [[0.125, 0.125]])
    np.testing.assert_allclose(t.arrays["db", 2], [[0.25]])
    assert not t.arrays["dW", 1].any()


def test_a_trace_stays_what_it_is_where_the_network_is_trained_on():
    net = Network([Dense(2, "tanh"), Dense(1, "sigmoid")], n_inputs=2, seed=0, dtype="float64")
    X, Y = np.asfortranarray([[0.0, 0, 1, 1], [0, 1, 0, 1]]), np.asfortranarray([[0.0, 1, 1, 0]])
    t = trace(net, X, Y, "bce", optimizer="adam")
    before, second = t.text(80), t.next().text(80)
    train(net, X, Y, loss="bce", epochs=1)
    X[:], Y[:] = 5, 1
    assert (t.text(80), t.next().text(80)) == (before, second)
    assert t.check().ok


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_right_and_explained(name):
    entry = preset(name)
    t = entry.trace()
    check = t.check()
    assert check.ok, check
    assert check.fused is None or check.fused < 1e-9
    assert len(entry.X) == t.network.n_inputs
    assert len(entry.inputs) == (len(entry.X) if len(t.network.input_shape) == 1 else 1)
    assert entry.title in t.text()
    assert entry.source.startswith("lecture 00")


@pytest.mark.parametrize("weighted", [False, True])
def test_a_deep_network_is_right_everywhere(pieces, weighted):
    X, Y, w = pieces
    terms = {"sample_weight": w, "l1": 0.01, "l2": 0.1} if weighted else {}
    t = trace(deep(), X, Y, "categorical_cross_entropy", **terms)
    check = t.check()
    assert check.ok, check
    wanted = {"dX", "dZ1", "dZ2", "dZ3", "dA2", "dA*1", "dW1", "db2", "ds0", "ds1"}
    assert wanted <= set(check.by_name)
    assert {check.arrays[k].of for k in ("dZ1", "dA2", "dX")} == {"L"}
    assert {check.arrays[k].of for k in ("dW1", "db2", "ds0")} == {"J"}


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_can_be_traced(loss, draw_targets, rng):
    entry = LOSSES[loss]()
    net = Network([Dense(4, "tanh"), Dense(3, entry.fits[0])], 2, seed=1, dtype="float64")
    t = trace(net, rng.normal(size=(2, 5)), draw_targets(entry, 3, 5, rng), loss)
    assert t.check().ok
    for step in t.steps:
        assert_cells(t, step)


@pytest.mark.parametrize("name", [n for n, g in ACTIVATIONS.items() if not g.output_only])
def test_every_activation_can_be_traced(name, rng):
    net = Network([Dense(4, name), Dense(1, "sigmoid")], 2, seed=3, dtype="float64")
    t = trace(net, rng.normal(size=(2, 5)), [0, 1, 1, 0, 1], "bce")
    assert t.check().ok
    assert ACTIVATIONS[name].formula in t.text(200)


def test_a_wrong_backward_is_found(monkeypatch):
    from pellucid.activations import Tanh

    monkeypatch.setattr(Tanh, "backward", lambda self, dA, Z, A: dA * (1 - A))
    net = Network([Dense(4, "tanh"), Dense(1, "sigmoid")], 2, seed=3, dtype="float64")
    check = trace(net, [[0.3, 1.0], [0.1, -1.0]], [0, 1], "bce").check()
    assert not check.ok
    assert re.search(r"dZ1 +L +\S+  WRONG", str(check))
    assert "WRONG" not in re.search(r"dZ2.*", str(check))[0]


def test_float32_numbers_are_the_references(pieces):
    X, Y, _ = pieces
    net = deep("float32")
    t = trace(net, X, Y, "categorical_cross_entropy")
    gradients = net.backward(net.forward(X, cache=True), Y, "categorical_cross_entropy")
    for l in (1, 2, 3):
        np.testing.assert_array_equal(t.arrays["dW", l], gradients.dW[l])
    check = t.check()
    assert check.fused is None or check.fused < 1e-5


@pytest.mark.parametrize("letter", ["dW", "db", "ds"])
def test_the_fused_engine_is_held_against_every_gradient(letter, pieces):
    X, Y, _ = pieces
    t = trace(deep(), X, Y, "cce")
    if t.check().fused is None:
        pytest.skip("no fused engine is built")
    next(found for found in t.gradients.by_layer if letter in found)[letter] *= 1.5
    assert t.check().fused == pytest.approx(1 / 3, rel=1e-3)


# Cells --------------------------------------------------------------------------------------------


def assert_cells(t, step):
    """The first and the last cell: the terms add up, the sources hold what they say."""
    rows, columns = step.values.shape
    for row, column in {(0, 0), (rows - 1, columns - 1)}:
        cell = t.cell(step.key[0], layer=step.key[1], row=row, column=column)
        assert cell.value == step.values[row, column]
        for source in cell.sources:
            assert t.arrays[source.key][source.row, source.column] == source.value
        if cell.terms:
            total = sum(float(np.prod([f.value for f in term])) for term in cell.terms)
            if step.key[0][:2] in ("dW", "db", "ds") and not t.l1 and not t.l2:
                assert cell.value == pytest.approx(total / t.cache.X.shape[1], abs=1e-12)
            if step.key[0] == "Z" and step.volume is None:
                b = t.arrays["b", step.key[1]][row, 0]
                assert cell.value == pytest.approx(total + b, abs=1e-12)


def test_every_step_has_cells(pieces):
    X, Y, _ = pieces
    t = trace(deep(), X, Y, "categorical_cross_entropy")
    for step in t.steps:
        assert_cells(t, step)


def worked_out(numbers: str) -> tuple[float, float]:
    """What the sum that is shown comes to, and its result: "= 1/4 (2 * 3 + 1) + 0.5 4 = 3.75"."""
    _, written, result = numbers.split("= ")
    written = re.sub(r"(?<=[\d)]) (?=[(\d]|-\d)", " * ", written)  # side by side is a product
    written = written.replace("^", "**")
    return eval(written, {"sign": np.sign}), float(result)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("g", "loss"), [("identity", "mse"), ("sigmoid", "bce")])
def test_what_a_cell_shows_comes_to_its_value(g, loss, weighted, rng):
    layers = [Scale(), Dense(4, "tanh", weight_decay_factor=2.0), Scale(), Dense(2, g)]
    net = Network(layers, n_inputs=3, seed=0, dtype="float64")
    for s in net.s.values():
        s[...] = rng.uniform(0.5, 2, s.shape)
    terms = {"sample_weight": [0.5, 2.0, 1.0, 0.25], "l1": 0.3, "l2": 0.7} if weighted else {}
    t = trace(net, rng.normal(size=(3, 4)), rng.uniform(size=(2, 4)), loss, **terms)
    seen = set()
    for step in t.steps:
        letter, layer = step.key
        if letter == "A":  # a function, not a sum
            continue
        for row, column in np.ndindex(step.values.shape):
            cell = t.cell(letter, layer=layer, row=row, column=column)
            sides = worked_out(cell.numbers)
            assert float(shown(sides[0])) == sides[1], str(cell)  # to its last digit
            assert sides[1] == pytest.approx(cell.value, rel=1e-3)
        seen.add(letter)
    assert seen == {"A*", "Z", "dZ", "dW", "db", "dA", "dA*", "ds", "dX"}


def test_a_long_sum_says_how_much_it_leaves_out(pieces):
    X, Y, _ = pieces
    t = trace(deep(), X, Y, "cce")
    cell = t.cell("dW", layer=2, row=1, column=3)
    terms = re.search(r"\((.*)\)", cell.numbers)[1].split(" + ")
    assert terms[-2] == "... 24 more ..."
    assert [len(cell.terms), len(terms)] == [30, 7]
    assert terms[-1] == " * ".join(f"{f.value:.4g}" for f in cell.terms[-1])
    softmax = t.cell("A", layer=3, row=0, column=2)
    assert len(softmax.sources) == 3


def test_a_cell_shows_the_sum_that_made_it():
    t = preset("xor").trace()
    cell = t.cell("dW", layer=1, row=1, column=0)
    assert cell.formula == "dW[1][1, 0] = 1/4 sum_i dZ[1][1, i] X[0, i]"
    assert re.fullmatch(
        r"= 1/4 \(\S+ \* 0 \+ \S+ \* 0 \+ \S+ \* 1 \+ \S+ \* 1\) = \S+", cell.numbers
    )
    assert [f.key for f in cell.terms[0]] == [("dZ", 1), ("X", 0)]
    cell = t.cell("dZ", layer=1, row=0, column=2)
    assert cell.formula == "dZ[1][0, 2] = dA[1][0, 2] * g'[1][0, 2]"
    assert "sigmoid(Z[2][0, 3])" in t.cell("A", layer=2, row=0, column=3).formula
    penalised = trace(deep(), np.ones((10, 2)), [0, 1], "cce", l2=0.5).cell(
        "dW", layer=1, row=0, column=0
    )
    assert "+ 0.5 W[1][0, 0]" in penalised.formula


def test_the_cost_is_written_out():
    t = preset("and-gate").trace()
    assert [step.key for step in t.cost] == [("L", 0), ("J", 0)]
    assert t.cell("J", layer=0, row=0, column=0).value == pytest.approx(t.J, rel=1e-12)
    np.testing.assert_array_equal(t.arrays["L", 0][0], t.losses)
    assert t.cell("L", layer=0, row=0, column=3).numbers == (
        "= max(10, 0) - 10 * 1 + ln(1 + exp(-|10|)) = 4.54e-05"
    )
    formula = "L = -sum_k (y_k ln a_k + (1 - y_k) ln(1 - a_k)) = sum_j (max(Z[1]_j, 0) - "
    assert t.cost[0].formula.startswith(formula)
    text = t.text(100)
    assert text.index("Forward") < text.index("Cost") < text.index("Backward")


@pytest.mark.parametrize("weighted", [False, True])
def test_the_penalties_are_in_the_cost(weighted, pieces):
    X, Y, w = pieces
    t = trace(deep(), X, Y, "cce", l1=0.01, l2=0.1, sample_weight=w if weighted else None)
    assert t.arrays["J", 0].item() == pytest.approx(t.J, rel=1e-12)
    assert "l1 sum(|W[3]|)" in t.cost[1].formula


@pytest.mark.parametrize(
    ("g", "loss"), [("sigmoid", "bce"), ("softmax", "cce"), ("exp", "poisson")]
)
def test_the_fused_output_step_comes_to_that_of_the_chain_rule(g, loss, rng):
    net = Network([Dense(3, "tanh"), Dense(2, g)], n_inputs=2, seed=0, dtype="float64")
    Y = np.array([[1.0, 0, 1], [0, 1, 0]])
    t = trace(net, rng.normal(size=(2, 3)), Y, loss, sample_weight=[1.0, 2.0, 0.5])
    dA, dZ = t.unfused
    assert (dA.key, dZ.key) == (("dA", 2), ("dZ", 2))
    np.testing.assert_allclose(dZ.values, t.arrays["dZ", 2], rtol=1e-10, atol=1e-15)
    assert ("dA", 2) not in t.arrays
    assert "The output, not fused" in t.text(100)
    assert not trace(net, np.ones((2, 3)), Y, "mse").unfused


def test_a_softmax_cell_comes_from_its_whole_column(pieces):
    X, Y, _ = pieces
    cell = trace(deep(), X, Y, "cce").cell("A", layer=3, row=1, column=4)
    assert [(f.key, f.row, f.column) for f in cell.sources] == [(("Z", 3), r, 4) for r in range(3)]


@pytest.mark.parametrize(
    ("letter", "where", "message"),
    [
        (
            "dW",
            {"layer": 2, "row": 1, "column": 0},
            r"dW\[2\] has the shape \(1, 2\): row must be 0 to 0; got 1",
        ),
        ("dW", {"layer": 2, "row": 0, "column": 2}, r"column must be 0 to 1; got 2"),
        ("dW", {"layer": 2, "row": -1, "column": 0}, r"row must be 0 to 0; got -1"),
        (
            "dW",
            {"layer": 3, "row": 0, "column": 0},
            r"no dW\[3\]; dW is computed in the layers: 1, 2",
        ),
        ("dw", {"layer": 1, "row": 0, "column": 0}, r"unknown array 'dw'. Known are: Z, A, dZ, dW"),
        ("W", {"layer": 1, "row": 0, "column": 0}, r"W\[1\] is given, not computed"),
        ("g'", {"layer": 1, "row": 0, "column": 0}, r"g'\[1\] stands in dZ\[1\]"),
        ("dA", {"layer": 2, "row": 0, "column": 0}, r"cross_entropy goes straight to dZ\[2\]"),
        ("Z", {"layer": 1, "row": "0", "column": 0}, r"row must be 0 to 1; got '0'"),
        ("Z", {"layer": 1, "row": 0, "column": 0.5}, r"column must be 0 to 3; got 0\.5"),
    ],
)
def test_a_cell_that_is_not_there_is_refused(letter, where, message):
    with pytest.raises(ValueError, match=message):
        preset("xor").trace().cell(letter, **where)


# Text ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("name", [*PRESETS, "deep"])
def test_no_line_is_wider_than_the_terminal(width, name, pieces):
    X, Y, _ = pieces
    t = trace(deep(), X, Y, "cce") if name == "deep" else preset(name).trace()
    lines = t.text(width).splitlines()
    assert max(map(len, lines)) <= width
    for letter in ("Z[1]", "dW[1]", "db[1]"):
        assert any(letter in line for line in lines)


def test_the_text_puts_the_numbers_into_the_formula():
    text = preset("and-gate").trace().text(100)
    assert (
        "Z[1] = W[1] X + b[1]    (1x4: W[1] 1x2, X 2x4, b[1] 1x1)\n"
        "  [20  20] [0  0  1  1] + [-30] = [-30  -10  -10  10]" in text
    )


@pytest.mark.parametrize("name", PRESETS)
def test_a_sum_over_the_examples_adds_up_as_it_is_shown(name):
    t = preset(name).trace()
    sums = [
        step for step in [*t.cost, *t.backward] if "sum of the columns of" in str(step.parts[0])
    ]
    assert {step.key[0] for step in sums} == {"J", "db"}
    for step in sums:
        (of,) = (part for part in step.parts if not isinstance(part, str))
        for row, result in zip(of.values, step.values[:, 0], strict=True):
            numbers = [shown(number, of.digits) for number in row]
            divided = 1 if len(step.key) == 3 else t.cache.X.shape[1]
            found = sum(map(float, numbers)) / divided
            assert shown(found) == shown(result)
            if len(row) > 8:  # the places of a picture
                continue
            line = " +".join(map(re.escape, numbers))
            assert re.search(line, t.text(200))
            assert all(n.replace("-", "−") in t.html() for n in numbers)


def test_digits_that_have_no_room_are_left_out():
    t = preset("pass-the-class").trace()
    beside = "  1/5 sum of the columns of [0.52527  1.04621  0.601056  0.54372  1.035] = [0.7503]\n"
    assert beside in t.text(90)
    below = (
        "  1/5 sum of the columns of\n"
        "  L = [0.52527  1.04621  0.601056  0.54372  1.035]\n"
        "  J = [0.7503]\n"
    )
    assert below in t.text(60)
    assert "  L = [0.5253  1.046  0.6011  0.5437  1.035]\n" in t.text(45)


def test_a_large_matrix_shows_its_first_and_last_rows_and_columns():
    assert matrix(np.arange(81.0).reshape(9, 9), 4, 5) == [
        "[  0    1    2    3  ...    8]",
        "[  9   10   11   12  ...   17]",
        "[ 18   19   20   21  ...   26]",
        "[...  ...  ...  ...  ...  ...]",
        "[ 72   73   74   75  ...   80]",
    ]
    assert matrix(np.arange(8.0)[np.newaxis], 6, 8) == ["[0  1  2  3  4  5  6  7]"]
    assert matrix(np.arange(9.0)[np.newaxis], 6, 8) == ["[0  1  2  3  4  5  6  ...  8]"]


def test_what_stands_beside_a_matrix_is_at_half_its_height():
    lines = preset("pass-the-class").trace().text(100).splitlines()
    first = next(k for k, line in enumerate(lines) if line.startswith("Z[1] = ")) + 1
    assert [bool(re.search(r" \+ .* = ", line)) for line in lines[first : first + 3]] == [
        False,
        True,
        False,
    ]


def elided(values, rows, columns, number):
    """The cells that should be shown, None for those that stand for many."""

    def places(count, most):
        return range(count) if count <= most else [*range(most - 1), None, count - 1]

    return [
        [None if None in (r, c) else number(values[r, c]) for c in places(values.shape[1], columns)]
        for r in places(len(values), rows)
    ]


def test_html_and_latex_show_the_same_cells(pieces):
    X, Y, _ = pieces
    t = trace(deep(), X * 1e6, Y, "cce")
    step = next(step for step in t.steps if step.key == ("dW", 2))
    shown = [t.arrays["dZ", 2], t.arrays["A*", 1].T, step.values]
    section = re.search(r'<section aria-label="dW\[2\]">.*?</section>', t.html())[0]
    tables = [
        [re.findall(r"<mtd><m[no]>(.*?)</m[no]></mtd>", row) for row in table.split("</mtr>")[:-1]]
        for table in re.findall(r"<mtable>(.*?)</mtable>", section)
    ]
    dots = {"⋱", "⋮", "⋯"}
    for table, values in zip(tables, shown, strict=True):
        expected = elided(values, 8, 8, lambda x: f"{x:.4g}".replace("-", "−"))
        assert [[None if x in dots else x for x in row] for row in table] == expected
    assert [tables[1][0][7], tables[1][7][0], tables[1][7][7]] == ["⋯", "⋮", "⋱"]
    lines = t.latex().split("The mean over the examples of what came in")[2].splitlines()
    matrices = re.findall(r"\\begin{bmatrix}(.*?)\\end{bmatrix}", lines[1] + lines[2])
    found = [[row.split(" & ") for row in each.split(r" \\ ")] for each in matrices]
    assert [found[1][0][5], found[1][5][0], found[1][5][5]] == [r"\cdots", r"\vdots", r"\ddots"]
    assert [len(each) for each in found] == [5, 7, 5]
    assert found[1][6][0] == f"{t.arrays['A*', 1][0, 29]:.4g}"
    assert re.search(r"\d \\cdot 10\^\{5\}", t.latex())
    assert r"9.358 \cdot 10^{-14}" in preset("and-gate").trace().latex()


def test_every_shape_is_told():
    t = preset("pass-the-class").trace()
    assert "dW[1] = (1/m) dZ[1] X^T    (3x2: dZ[1] 3x5, X^T 5x2)" in t.text(100)
    assert "dZ[1] 3×5, X^T 5×2" in t.html()
    assert "(3x2: dZ[1] 3x5, X\\textasciicircum{}T 5x2)" in t.latex()


def test_a_number_near_1_shows_what_is_left_of_it():
    t = preset("xor").trace()
    assert t.cell("dZ", layer=2, row=0, column=1).numbers == "= 0.99995452 - 1 = -4.548e-05"
    assert "1.000001" not in trace(deep(), np.ones((10, 1)), [0], "cce").text()


# Bad input ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((MLPClassifier(), [[0]], [0], "bce"), r"trace takes a Network; got .*estimator\.network_"),
        ((deep(), np.ones((3, 2)), [0, 1], "cce"), r"\(10, m\)"),
        ((deep(), np.ones((10, 2)), [0, 1, 2], "cce"), r"Y"),
        ((deep(), np.ones((10, 0)), [], "cce"), r"no examples"),
        ((deep(), np.ones((10, 2)), [0, 1], "cross"), r"unknown loss 'cross'"),
        ((deep(), np.full((10, 2), np.nan), [0, 1], "cce"), r"X holds NaN or infinity"),
        (("m.pellucid", [[0]], [0], "bce"), r"got 'm\.pellucid'.*pellucid\.load\(path\)"),
    ],
)
def test_what_cannot_be_traced_is_refused(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        trace(*arguments)


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(ValueError, match=r"no preset 'and_gate' \(did you mean 'and-gate'\?\)"):
        preset("and_gate")


def test_an_activation_of_ones_own_is_traced(rng):
    class Cube(Activation):
        name = formula = "z^3"
        derivative = "3 z^2"

        def __call__(self, Z):
            return Z**3

        def backward(self, dA, Z, A):
            return dA * 3 * Z**2

    net = Network([Dense(3, Cube()), Dense(1, "identity")], 2, seed=0, dtype="float64")
    check = trace(net, rng.normal(size=(2, 4)), np.ones((1, 4)), "mse").check()
    assert check.ok
    assert check.fused is None
    assert "it has no activation" in str(check)
