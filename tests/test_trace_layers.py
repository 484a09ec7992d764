"""Traces of convolutions, recurrent layers and layers inside of others: steps, cells, drawings."""

from __future__ import annotations

import copy
import pickle
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from golden_traces import drawn, network
from pellucid import Dense, Scale, trace
from pellucid.insight.trace import preset
from pellucid.layers import (
    GRU,
    LSTM,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dropout,
    Embedding,
    Layer,
    LayerCache,
    LayerNorm,
    Parallel,
    Recurrent,
    Residual,
)
from pellucid.record import Factor
from test_trace import assert_cells, worked_out
from test_trace_shown import compiled


def formulas(t):
    return {step.key: step.formula for step in t.steps}


def volume(m=2, loss="bce", **how):
    """Two filters, two channels, padding; a dense layer behind them."""
    net = network(Conv2D(2, (2, 3), "tanh", padding=1), Dense(1, "sigmoid"), shape=(3, 4, 2))
    return trace(net, drawn(24, m), [[0, 1, 1][:m]], loss, **how)


def sequence(*layers, steps=3, m=2, lengths=None):
    net = network(*layers, Dense(1, "sigmoid"), shape=(steps, 2))
    return trace(net, drawn(2 * steps, m), [[0, 1, 1][:m]], "bce", lengths=lengths)


# The presets, by hand -----------------------------------------------------------------------------


def test_the_edge_detector_by_hand():
    # Each row of the picture is 1 1 1 0 0 0, each row of the filter 1 0 -1: its three rows see
    # 1 - 1, 1 - 0, 1 - 0, 0 - 0 at the four places of a row, so Z is 0 3 3 0 in each.
    t = preset("edge-detector").trace()
    Z = t.arrays["Z", 1].reshape(4, 4)
    np.testing.assert_array_equal(Z, [[0, 3, 3, 0]] * 4)
    # L is the mean over 16 places of (3 - 1)^2 / 2 at eight of them: 8 * 2 / 16 = 1.
    assert t.J == 1
    np.testing.assert_array_equal(t.arrays["dA", 1].reshape(4, 4), [[0, 1 / 8, 1 / 8, 0]] * 4)
    # What the left column of the filter saw there is 1, 1, the middle one 1, 0, the right one 0, 0.
    np.testing.assert_array_equal(t.arrays["dW", 1].reshape(3, 3), [[1, 0.5, 0]] * 3)
    np.testing.assert_array_equal(t.arrays["db", 1], [[1]])
    # A pixel is seen by up to three rows of places, times 1 on their left, times -1 on their right.
    rows = np.array([1, 2, 3, 3, 2, 1])[:, np.newaxis]
    dX = rows * np.array([0, 1, 1, -1, -1, 0]) / 8
    np.testing.assert_array_equal(t.arrays["dX", 0].reshape(6, 6), dX)


def test_the_echo_by_hand():
    # a<t> = a<t-1> / 2 + x<t>: 8, 4, 2, 1. L = (0 + 4^2 + 6^2 + 7^2) / 2 / 4.
    t = preset("echo").trace()
    np.testing.assert_array_equal(t.arrays["A", 1], [[8], [4], [2], [1]])
    assert [t.arrays["a", 1, k].item() for k in (1, 2, 3, 4)] == [8, 4, 2, 1]
    assert t.J == 101 / 8
    # (A - Y) / 4 is 0, -1, -3/2, -7/4, and half of what came to a step goes on to the one before.
    da = {4: -7 / 4, 3: -19 / 8, 2: -35 / 16, 1: -35 / 32}
    assert {k: t.arrays["da", 1, k].item() for k in da} == da
    # dW is the sum of da<t> [a<t-1>; x<t>]^T over the steps.
    of_a = da[4] * 2 + da[3] * 4 + da[2] * 8
    np.testing.assert_array_equal(t.arrays["dW", 1], [[of_a, da[1] * 8]])
    assert t.arrays["dW", 1].tolist() == [[-30.5, -8.75]]
    assert t.arrays["db", 1].item() == sum(da.values())
    np.testing.assert_array_equal(t.arrays["dX", 0].ravel(), [da[k] for k in (1, 2, 3, 4)])


def test_the_price_is_never_negative():
    entry = preset("house-price-neuron")
    net = entry.build()
    np.testing.assert_allclose(net.forward([[2104, -1000]]), [[0.14 * 2104 + 90, 0]])


# Convolutions -------------------------------------------------------------------------------------


def test_a_convolution_reads_as_the_lecture_writes_it():
    t = volume()
    found = formulas(t)
    assert found["P", 1] == "P[1] = patches(X)"
    assert found["Z", 1] == "Z[1] = W[1] P[1] + b[1]"
    assert found["A", 1].startswith("A[1] = g[1](Z[1]), ")
    assert found["dZ", 1].startswith("dZ[1] = dA[1] * g[1]'(Z[1]), ")
    assert found["dW", 1] == "dW[1] = (1/m) dZ[1] P[1]^T"
    assert found["db", 1].startswith("db[1] = (1/m) sum_p ")
    assert found["dX", 0] == "dX = sum over patches of W[1]^T dZ[1]"
    assert not any("reshape" in step.formula or step.why.startswith("As ") for step in t.steps)


def test_the_patches_are_columns_and_their_products_the_numbers():
    t = volume()
    P, W, b = t.arrays["P", 1], t.arrays["W", 1], t.arrays["b", 1]
    picture = np.pad(t.cache.X[:, 1].reshape(3, 4, 2), ((1, 1), (1, 1), (0, 0)))
    places = [(r, c) for r in range(4) for c in range(4)]
    for k, (r, c) in enumerate(places):
        np.testing.assert_array_equal(P[:, 16 + k], picture[r : r + 2, c : c + 3].ravel())
    Z = (W @ P + b)[:, 16:].T.reshape(-1)
    np.testing.assert_array_equal(t.arrays["Z", 1][:, 1], Z)


@pytest.mark.parametrize("m", [1, 3])
def test_the_cells_of_a_convolution_show_their_sums(m):
    t = volume(m)
    assert t.check().ok, t.check()
    for step in t.steps:
        assert_cells(t, step)
    for key in (("Z", 1), ("dW", 1), ("db", 1), ("dX", 0)):
        values = t.arrays[key]
        for place in ((0, 0), (values.shape[0] // 2, values.shape[1] // 2)):
            cell = t.cell(key[0], layer=key[1], row=place[0], column=place[1])
            terms = sum(float(np.prod([f.value for f in term])) for term in cell.terms)
            given = t.arrays["b", 1][cell.sources[-1].row, 0] if key[0] == "Z" else 0
            divided = m if key[0] in ("dW", "db") else 1
            assert cell.value == pytest.approx(terms / divided + given, abs=1e-12)
            if "more" not in cell.numbers:
                assert worked_out(cell.numbers)[0] == pytest.approx(cell.value, rel=1e-3)


def test_a_cell_shows_the_patch_and_the_filter():
    t = preset("edge-detector").trace()
    cell = t.cell("Z", layer=1, at=(0, 1, 0))
    assert str(cell).splitlines() == [
        "Z[1][0, 1, 0, 0] = sum_j W[1][0, j] P[1][j, 1] + b[1][0, 0]",
        "                 = 1 * 1 + 0 * 1 + -1 * 0 + 1 * 1 + 0 * 1 + -1 * 0 + 1 * 1 + 0 * 1 + "
        "-1 * 0 + 0 = 3",
        "W[1]        P[1], patch at (0, 1) of example 0",
        "|1  0  -1|  |1  1  0|",
        "|1  0  -1|  |1  1  0|",
        "|1  0  -1|  |1  1  0|",
    ]
    assert cell == t.cell("Z", layer=1, row=1)
    assert "patch at (0, 1)" in cell._repr_html_()


def test_a_cell_of_dW_shows_the_places_that_made_it():
    t = volume(1)
    cell = t.cell("dW", layer=1, at=(1, 0, 2, 1))  # filter, row, column, channel
    assert cell.formula == "dW[1][1, 0, 2, 1] = 1/1 sum_p dZ[1][1, p] P[1][5, p]"
    assert "... 10 more ..." in cell.numbers  # of 16 places
    assert len(cell.terms) == 16
    dZ, seen = cell.pictures
    assert (dZ.label, seen.label) == ("dZ[1], filter 1", "P[1], entry (0, 2, 1) of the patches")
    np.testing.assert_array_equal(dZ.values, t.arrays["dZ", 1].reshape(4, 4, 2)[:, :, 1])
    np.testing.assert_array_equal(seen.values, t.arrays["P", 1][5].reshape(4, 4))
    assert cell.value == pytest.approx(float((dZ.values * seen.values).sum()))


def test_a_cell_of_dX_shows_the_filters_and_places_that_it_fed():
    t = volume(2)
    cell = t.cell("dX", layer=0, at=(0, 0, 1, 1))
    assert cell.formula == "dX[0, 0, 1, 1] = sum_p sum_k W[1][k, j] dZ[1][k, p]"
    # A corner of the padded picture: of 2 x 2 places, by 2 filters.
    assert len(cell.terms) == 8
    labels = [picture.label for picture in cell.pictures]
    assert labels == [
        "W[1], filter 0, channel 1, columns 0 to 1",
        "W[1], filter 1, channel 1, columns 0 to 1",
        "dZ[1], example 1, filter 0, rows 0 to 1, columns 0 to 1",
        "dZ[1], example 1, filter 1, rows 0 to 1, columns 0 to 1",
    ]
    turned = sum(
        float((cell.pictures[k].values * cell.pictures[k + 2].values[::-1, ::-1]).sum())
        for k in (0, 1)
    )
    assert cell.value == pytest.approx(turned)


@pytest.mark.parametrize(
    ("letter", "layer", "at", "message"),
    [
        (
            "Z",
            1,
            (4, 0, 0, 0),
            r"place is \(row, column, filter, example\), 0 to 3, 0 to 3, 0 to 1",
        ),
        ("Z", 1, (0, 0, 0), r"place is \(row, column, filter, example\)"),
        ("dW", 1, (0, 0, 0), r"place is \(filter, row, column, channel\), 0 to 1, 0 to 1, 0 to 2"),
        (
            "db",
            1,
            (0, 0, 0),
            r"db\[1\] has the shape \(2, 1\): at is \(row, column\); got \(0, 0, 0\)",
        ),
        ("Z", 1, (32, 0), r"row must be 0 to 31; got 32"),
    ],
)
def test_a_place_that_is_not_there_is_refused(letter, layer, at, message):
    with pytest.raises(ValueError, match=message):
        volume().cell(letter, layer=layer, at=at)


def test_a_cell_needs_a_row_or_a_place():
    with pytest.raises(TypeError, match=r"name a row, .* or a place by at="):
        volume().cell("Z", layer=1)


def test_volumes_are_shown_as_pictures():
    t = volume(1)
    text = t.text(100)
    assert re.search(r"^X = \|0\.7", text, re.M)
    assert "channel 0" in text
    assert "(32x1, 4x4x2 unrolled: W[1] 2x12, P[1] 12x16, b[1] 2x1)" in text
    assert t.html().count('class="picture"') > 10
    assert r"\begin{array}{|rrr|}\hline 0.7 & 0.6 & -0.9" in t.latex()  # a filter, 2 x 3
    assert r"\overset{\text{filter 1, channel 0}}" in t.latex()


def test_of_many_pictures_the_first_are_shown():
    net = network(Conv2D(9, 2, "relu"), Dense(1, "sigmoid"), shape=(3, 3, 1))
    t = trace(net, drawn(9, 1), [1], "bce")
    assert "... 3 more ..." in t.text(100)
    assert "… 3 more" in t.html()
    assert r"\text{\dots{} 3 more}" in t.latex()


def test_groups_of_filters_see_their_channels():
    net = network(Conv1D(4, 2, "tanh", groups=2), Dense(1, "sigmoid"), shape=(3, 4))
    t = trace(net, drawn(12, 2), [0, 1], "bce")
    assert formulas(t)["Z", 1] == ("Z[1] = [W[1][0:2] P[1][:, 0:2]; W[1][2:4] P[1][:, 2:4]] + b[1]")
    for step in t.steps:
        assert_cells(t, step)


def test_outputs_of_several_places_have_one_loss():
    net = network(Conv2D(1, 2, "sigmoid"), shape=(3, 3, 1))
    t = trace(net, drawn(9, 2), np.ones((4, 2)), "bce")
    assert t.cost[0].formula.endswith("= 1/4 sum_p sum_j (max(Z[1]_j, 0) - Z[1]_j * Y_j + "
                                      "ln(1 + exp(-|Z[1]_j|)))")  # fmt: skip
    assert formulas(t)["dZ", 1] == "dZ[1] = 1/4 (A[1] - Y)"
    dZ = t.unfused[1]
    np.testing.assert_allclose(dZ.values, t.arrays["dZ", 1], rtol=1e-12)
    assert t.check().ok, t.check()


# Recurrent layers ---------------------------------------------------------------------------------


def test_a_recurrent_layer_is_unrolled():
    found = formulas(sequence(Recurrent(2)))
    assert found["Z", 1, 1] == "Z[1]<1> = W[1] [a[1]<0>; x<1>] + b[1]"
    assert found["Z", 1, 3] == "Z[1]<3> = W[1] [a[1]<2>; x<3>] + b[1]"
    assert found["a", 1, 3].startswith("a[1]<3> = g[1](Z[1]<3>), ")
    assert found["A", 1] == "A[1] = a[1]<3>"
    assert found["da", 1, 3] == "da[1]<3> = dA[1]"
    assert found["da", 1, 2] == "da[1]<2> = (W[1]^T dZ[1]<3>)[:2]"
    assert found["dZ", 1, 2].startswith("dZ[1]<2> = da[1]<2> * g[1]'(Z[1]<2>), ")
    assert found["dW", 1, 2] == "dW[1]<2> = dZ[1]<2> [a[1]<1>; x<2>]^T"
    assert found["dW", 1] == "dW[1] = (1/m) (dW[1]<3> + dW[1]<2> + dW[1]<1>)"
    assert found["dX", 0] == "dX = [dx<1>; dx<2>; dx<3>]"


def test_the_gates_of_an_lstm_have_their_names():
    found = formulas(sequence(LSTM(1)))
    assert found["Gamma_u", 1, 2] == "Gamma_u[1]<2> = sigmoid(Z[1]<2>[0:1])"
    assert found["c", 1, 2] == ("c[1]<2> = Gamma_u[1]<2> * c~[1]<2> + Gamma_f[1]<2> * c[1]<1>")
    assert found["a", 1, 2] == "a[1]<2> = Gamma_o[1]<2> * tanh(c[1]<2>)"
    assert found["dGamma_f", 1, 2] == "dGamma_f[1]<2> = dc[1]<2> * c[1]<1>"
    assert "dc[1]<3> * Gamma_f[1]<3>" in found["dc", 1, 2]


def test_a_gru_is_shown_in_the_order_in_which_it_is_computed():
    t = sequence(GRU(1))
    order = [step.key[0] for step in t.forward if step.key[1:] == (1, 1)]
    assert order == ["Z_ur", "Gamma_u", "Gamma_r", "q", "Z_c", "Z", "c~", "a"]
    assert formulas(t)["q", 1, 1] == "q[1]<1> = Gamma_r[1]<1> * a[1]<0>"


@pytest.mark.parametrize(
    "layers",
    [
        [Recurrent(2)],
        [Recurrent(2, sequences=True), Recurrent(1, "relu", backwards=True)],
        [LSTM(2, sequences=True), GRU(2)],
        [GRU(2, reset="after")],
        [Parallel([LSTM(1, sequences=True), GRU(1, sequences=True, backwards=True)])],
    ],
    ids=repr,
)
@pytest.mark.parametrize("lengths", [None, [3, 1, 2]])
def test_recurrent_layers_are_right_and_every_cell_is_there(layers, lengths):
    t = sequence(*layers, m=3, lengths=lengths)
    assert t.check().ok, t.check()
    gradients = t.network.backward(
        t.network.forward(t.cache.X, cache=True, lengths=lengths), t.Y, "bce"
    )
    for l in t.network.W:
        np.testing.assert_array_equal(t.arrays["dW", l], gradients.dW[l])
    for step in t.steps:
        assert not step.why.startswith("As "), step.formula
        letter, layer, *time = step.key
        for row, column in {(0, 0), tuple(n - 1 for n in step.values.shape)}:
            place = {"row": row, "column": column, "step": time[0] if time else None}
            cell = t.cell(letter, layer=layer, **place)
            assert cell.value == step.values[row, column]
            for source in cell.sources:
                assert t.arrays[source.key][source.row, source.column] == source.value
    for width in (40, 60, 100):
        assert max(map(len, t.text(width).splitlines())) <= width


def test_a_layer_above_sees_the_states_by_their_names():
    t = sequence(Recurrent(2, sequences=True), Recurrent(1))
    assert formulas(t)["Z", 2, 3] == "Z[2]<3> = W[2] [a[2]<2>; a[1]<3>] + b[2]"
    assert formulas(t)["dA", 1] == "dA[1] = [dA[1]<1>; dA[1]<2>; dA[1]<3>]"
    assert formulas(t)["da", 1, 2] == "da[1]<2> = (W[1]^T dZ[1]<3>)[:2] + dA[1]<2>"


def test_a_step_that_an_example_has_not_shows_no_number():
    t = sequence(Recurrent(1, sequences=True), lengths=[3, 2])
    third = next(step for step in t.forward if step.key == ("a", 1, 3))
    assert np.isnan(third.shown).tolist() == [[False, True]]
    np.testing.assert_array_equal(t.arrays["a", 1, 3][:, 1], t.arrays["a", 1, 2][:, 1])
    assert t.arrays["A", 1][2, 1] == 0
    assert not t.arrays["dX", 0][4:, 1].any()
    assert re.search(r"^X = .* \.\|$", t.text(100), re.M)
    X = t.cache.X.copy()
    X[4:, 1] = np.nan
    again = t.network.forward(X, cache=True, lengths=[3, 2])
    np.testing.assert_array_equal(again.A[1], t.arrays["A", 1])


def test_a_step_of_time_has_cells():
    t = preset("echo").trace()
    cell = t.cell("Z", layer=1, step=2, row=0)
    assert cell.formula == "Z[1]<2>[0, 0] = sum_j W[1][0, j] [a[1]<1>; x<2>][j, 0] + b[1][0, 0]"
    assert cell.numbers == "= 0.5 * 8 + 1 * 0 + 0 = 4"
    assert [str(f) for f in cell.sources] == [
        "W[1][0, 0]", "a[1]<1>[0, 0]", "W[1][0, 1]", "x<2>[0, 0]", "b[1][0, 0]",
    ]  # fmt: skip
    total = t.cell("dW", layer=1, row=0, column=0)
    assert total.numbers == "= 1/1 (-3.5 + -9.5 + -17.5 + 0) = -30.5"
    with pytest.raises(ValueError, match=r"Z\[1\] is computed step by step here: .* 1 to 4"):
        t.cell("Z", layer=1, row=0)
    with pytest.raises(ValueError, match=r"no A\[1\]<2>; A\[1\] has no steps of its own"):
        t.cell("A", layer=1, step=2, row=0)


def test_of_a_long_time_the_first_steps_and_the_last_are_shown():
    t = sequence(Recurrent(1), steps=12)
    shown = t.sections()["Forward"]
    assert [step.key[2] for step in shown if step.key[0] == "Z" and len(step.key) == 3] == [
        1, 2, 3, 12,
    ]  # fmt: skip
    assert next(step for step in shown if step.key == ("Z", 1, 12)).left_out == 16
    assert len(t.forward) == 24 + 1 + 2
    assert "... 16 more steps ..." in t.text(80)
    assert "... 16 more steps ..." in t.html()
    assert "... 16 more steps ..." in t.latex()
    assert formulas(t)["dW", 1] == "dW[1] = (1/m) sum_t dW[1]<t>"
    assert "+ ... 9 more ... +" in t.text(80)
    assert formulas(t)["dX", 0] == "dX = [dx<1>; dx<2>; ...; dx<12>]"


def test_a_long_trace_can_be_pickled_and_copied():
    t = sequence(LSTM(1), steps=60)
    for again in (copy.deepcopy(t), pickle.loads(pickle.dumps(t))):
        assert again.text(80) == t.text(80)
        place = {"layer": 1, "step": 30, "row": 0}
        assert again.cell("c", **place) == t.cell("c", **place)


def test_code_of_a_step_that_cannot_record_is_shown_as_one_function():
    class Summed(Recurrent):
        """A recurrent layer whose code changes arrays in place."""

        def step(self, x, before):
            Z = np.zeros((self.n_units, x.shape[1]))
            Z += self.parameters["W"] @ np.concatenate([before["a"], x]) + self.parameters["b"]
            return {"Z": Z, "a": self.activation(Z)}

    t = sequence(Summed(2))
    plain = sequence(Recurrent(2))
    assert formulas(t)["A", 1] == "A[1] = summed(X)"
    np.testing.assert_array_equal(t.arrays["dW", 1], plain.arrays["dW", 1])
    assert t.check().ok


# Words, norms, layers inside of others ------------------------------------------------------------


def test_an_embedding_looks_words_up():
    net = network(Embedding(4, 2), Dense(1, "sigmoid"), shape=(3,))
    t = trace(net, [[0, 3], [2, 2], [2, 1]], [0, 1], "bce")
    assert formulas(t)["Z", 1] == "Z[1] = W[1][:, words]"
    assert formulas(t)["dW", 1] == "dW[1] = (1/m) sum of dZ[1] by word"
    cell = t.cell("dW", layer=1, row=1, column=2)  # word 2 stands at three places
    dZ = t.arrays["dZ", 1]
    assert [f.value for (f,) in cell.terms] == [dZ[3, 0], dZ[5, 0], dZ[3, 1]]
    assert cell.value == pytest.approx(sum(f.value for (f,) in cell.terms) / 2)
    assert formulas(t)["dX", 0] == "dX = 0"


def test_norms_read_as_formulas():
    net = network(BatchNorm(), Dense(3, "tanh"), LayerNorm(), Dense(1, "sigmoid"))
    net.layers[0].statistics["mean"][...] = [[0.5], [1.0]]
    t = trace(net, drawn(2, 3), [0, 1, 1], "bce")
    found = formulas(t)
    assert found["A_norm", 0] == "A_norm[0] = (X - mean[0]) / sqrt(variance[0] + 1e-05)"
    assert found["A*", 0] == "A*[0] = gamma[0] * A_norm[0] + beta[0]"
    assert found["mean", 1] == "mean[1] = mean_j A[1]_j"
    assert found["dgamma", 1] == "dgamma[1] = (1/m) sum_i dA*[1](i) * A_norm[1](i)"
    assert t.arrays["mean", 0].tolist() == [[0.5], [1.0]]
    assert t.check().ok, t.check()


def test_layers_inside_of_others_stand_in_their_place():
    inside = Residual([LayerNorm(), Dense(3, "tanh"), Dropout(0.2)])
    beside = Parallel([[Dense(2, "relu"), Scale()], []])
    net = network(Dense(3, "tanh"), inside, beside, Dense(1, "sigmoid"))
    t = trace(net, drawn(2, 3), [0, 1, 1], "bce")
    found = formulas(t)
    assert found["A**", 2] == "A**[2] = A[1] + A*[2]"
    assert found["A**", 3] == "A**[3] = [A*[3]; A**[2]]"
    assert found["Z", 4] == "Z[4] = W[4] A**[3] + b[4]"
    assert found["dA*", 3] == "dA*[3] = dA**[3][0:2]"
    assert found["dA", 1].startswith("dA[1] = dA**[2] + ")
    assert not any(step.why.startswith("As ") for step in t.steps)
    assert {"dZ1", "dZ2", "dZ3", "dA1", "dA*2", "dA*3"} <= set(t.check().by_name)
    assert t.check().ok, t.check()
    for step in t.steps:
        assert_cells(t, step)


def test_branches_of_a_split_get_their_part():
    net = network(Parallel([Dense(2, "tanh"), Dense(1, "tanh")], split=[1, 2]), Dense(1), shape=3)
    t = trace(net, drawn(3, 2), [[1, 2]], "mse")
    assert formulas(t)["Z", 2] == "Z[2] = W[2] X[1:3] + b[2]"
    assert formulas(t)["dX", 0] == "dX = [W[1]^T dZ[1]; W[2]^T dZ[2]]"
    assert t.check().ok


def test_a_wrong_gradient_inside_of_others_is_found(monkeypatch):
    from pellucid.activations import Tanh

    monkeypatch.setattr(Tanh, "backward", lambda self, dA, Z, A: dA * (1 - A))
    net = network(Residual([Dense(2, "tanh")]), Dense(1, "sigmoid"))
    check = trace(net, drawn(2, 3), [0, 1, 1], "bce").check()
    assert re.search(r"^dZ1 .*WRONG$", str(check), re.M)
    assert not re.search(r"^dZ2 .*WRONG$", str(check), re.M)


def test_an_update_goes_on_through_layers_inside_of_others_with_lengths():
    net = network(Residual([Recurrent(2, sequences=True)]), Dense(1, each_step=True), shape=(3, 2))
    t = trace(net, drawn(6, 2), np.ones((3, 2)), "mse", lengths=[3, 1], optimizer="adam")
    assert {step.key for step in t.update} >= {("W", 1), ("b", 2)}
    second = t.next()
    assert second.lengths.tolist() == [3, 1]
    np.testing.assert_allclose(second.network.W[1], next(
        step.values for step in t.update if step.key == ("W", 1)), rtol=1e-12)  # fmt: skip


class Largest(Layer):
    """The larger of every two numbers: it says what it sees and how it returns, as pools do."""

    def output_shape_for(self, input_shape):
        return (input_shape[0] // 2,)

    def seen(self, A_prev):
        return A_prev.T.reshape(A_prev.shape[1], -1, 2).transpose(0, 2, 1)

    def returned(self, dS):
        return dS.transpose(0, 2, 1).reshape(dS.shape[0], -1).T

    def forward(self, A_prev, mask=None):
        A = self.seen(A_prev).max(axis=1).T
        return A, LayerCache(A_prev, A)

    def backward(self, dA, cache, *, dZ=None, m=None, inputs=True):
        S = self.seen(cache.A_prev)
        share = (S == S.max(axis=1, keepdims=True)).astype(dA.dtype)
        return self.returned(share * dA.T[:, np.newaxis, :]), {}


def test_pools_show_what_their_windows_see():
    net = network(Dense(4, "tanh"), Largest(), Dense(1, "sigmoid"))
    t = trace(net, drawn(2, 3), [0, 1, 1], "bce")
    assert formulas(t)["A*", 1] == "A*[1] = max over windows of A[1]"
    assert formulas(t)["dA", 1] == "dA[1] = sum over windows of share * dA*[1]"
    assert t.check().ok, t.check()
    A, dA = t.arrays["A", 1], t.arrays["dA*", 1]
    cell = t.cell("A*", layer=1, row=1, column=2)
    assert cell.formula == "A*[1][1, 2] = max(A[1][2, 2], A[1][3, 2])"
    assert [f.value for f in cell.sources] == A[2:, 2].tolist()
    larger = 2 + int(A[2:, 2].argmax())
    back = t.cell("dA", layer=1, row=larger, column=2)
    assert back.numbers == f"= 1 * {dA[1, 2]:.4g} = {dA[1, 2]:.4g}"
    assert back.sources == [Factor(("dA*", 1), 1, 2, dA[1, 2])]


# Names, masks, drawings ---------------------------------------------------------------------------


def connected():
    """Lecture 002 (1.1): family size sees size and bedrooms alone."""
    hidden = Dense(2, "relu", mask=[[1, 1, 0], [0, 0, 1]], names=["family size", "walkability <5"])
    net = network(hidden, Dense(1, "relu", names=["price"]), shape=3)
    return trace(net, drawn(3, 2) + 2, [[1, 2]], "mse", inputs=["size", "bedrooms", "zip code"])


def test_hidden_units_have_their_names():
    t = connected()
    assert re.search(r"^  relu\(.*family size\n +\[.*walkability <5$", t.text(100), re.M)
    assert "Y = [1  2]  price" in t.text(100)
    assert "<mtext>walkability &lt;5</mtext>" in t.html()
    assert r"\text{family size} \\ \text{walkability <5}" in t.latex()
    assert t.names["Y"] == ["price"]


def test_connections_that_are_not_there_are_not_drawn():
    t = connected()
    assert formulas(t)["Z", 1] == "Z[1] = (W[1] * M[1]) X + b[1]"
    np.testing.assert_array_equal(t.arrays["M", 1], [[1, 1, 0], [0, 0, 1]])
    root = ET.fromstring(t.svg())
    assert len(root.findall(".//{*}line")) == 3 + 2
    texts = [each.text for each in root.findall(".//{*}text")]
    assert {"family size", "walkability <5", "price", "zip code"} <= set(texts)
    assert t.tikz().count(r"\draw") == 5
    assert "family size" in t.tikz()


def test_a_volume_is_a_box():
    t = volume()
    root = ET.fromstring(t.svg())
    drawn_ = {tag: len(root.findall(f".//{{*}}{tag}")) for tag in ("rect", "circle", "line")}
    assert drawn_ == {"rect": 2, "circle": 1, "line": 2}
    texts = [each.text for each in root.findall(".//{*}text")]
    assert {"3 x 4 x 2", "4 x 4 x 2", "24 inputs", "conv2d"} <= set(texts)
    assert t.tikz().count("{box") + t.tikz().count("[box") == 2


NETWORKS = {
    "convolution": volume,
    "lstm": lambda: sequence(LSTM(2), steps=8, lengths=[8, 3]),
    "gru": lambda: sequence(GRU(1, reset="after")),
    "inside": lambda: sequence(Residual([LayerNorm(), Recurrent(2, sequences=True)])),
    "connected": connected,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_latex_of_layers_compiles(name, tmp_path):
    t = NETWORKS[name]()
    assert "Overfull" not in compiled(tmp_path, t.latex())
    assert "Overfull" not in compiled(tmp_path, t.slides(), "beamer.cls tikz.sty")


@pytest.mark.parametrize("name", NETWORKS)
def test_every_form_of_a_trace_of_layers_is_whole(name):
    from test_trace_shown import Tags

    t = NETWORKS[name]()
    tags = Tags()
    tags.feed(t.html())
    assert not tags.open
    ET.fromstring(t.svg())
    names = t.to_dict()["arrays"]
    assert len(names) == len(t.arrays)
