"""What the lab's server says of hidden spaces, of the maps of units, and of images."""

from __future__ import annotations

import numpy as np
import pytest

from lab_held import forget_data
from pellucid.lab.datasets import DATASETS
from pellucid.lab.presets import PRESETS
from pellucid.lab.session.experiment import Experiment
from pellucid.lab.session.settings import Settings
from pellucid.lab.session.table import add_table
from pellucid.lab.views.boundary import View, boundary, extent_of, unit_maps
from pellucid.lab.views.hidden import LINES, MOST_EXAMPLES, PLACES, hidden
from pellucid.lab.views.state import state_of

FLAT = [name for name, entry in DATASETS.items() if len(entry.inputs) == 2]


def experiment(**given):
    return Experiment(Settings.read(given))


MOONS = {"data": {"name": "moons", "m": 80}, "layers": [{"units": 5}, {"units": 3}], "seed": 2}


# Hidden space -------------------------------------------------------------------------------------


def test_two_units_are_two_rows_of_the_layer():
    e = experiment(**MOONS)
    W, b = e.network.W, e.network.b
    A1 = np.tanh(W[1] @ e.X + b[1])
    arrays, header = hidden(e, 2, (2, 0))
    A2 = np.tanh(W[2] @ A1 + b[2])
    np.testing.assert_allclose(arrays["points"], A2[[2, 0]], atol=1e-6)
    assert header["examples"].tolist() == list(range(80))
    assert header["share"] == pytest.approx(A2[[2, 0]].var(axis=1).sum() / A2.var(axis=1).sum())
    assert header["decision"] is None  # three units lead to the output


def test_the_bent_lines_are_the_straight_ones_through_the_layer():
    e = experiment(**MOONS)
    straight = hidden(e, 0, (0, 1))[0]["lines"]
    assert straight.shape == (2 * LINES, 2, PLACES)
    (left, right), (bottom, top) = extent_of(e.X)
    upright, level = straight[:LINES], straight[LINES:]
    assert np.ptp(upright[:, 0], axis=1).max() == np.ptp(level[:, 1], axis=1).max() == 0
    np.testing.assert_allclose(upright[[0, -1], 0, 0], [left, right], rtol=1e-6)
    np.testing.assert_allclose(upright[0, 1, [0, -1]], [bottom, top], rtol=1e-6)
    np.testing.assert_allclose(level[[0, -1], 1, 0], [bottom, top], rtol=1e-6)
    bent = hidden(e, 1, (1, 4))[0]["lines"]
    for line, image in zip(straight, bent, strict=True):
        A = np.tanh(e.network.W[1] @ line + e.network.b[1])
        np.testing.assert_allclose(image, A[[1, 4]], atol=1e-6)


def test_the_main_directions_are_those_of_the_singular_value_decomposition():
    e = experiment(data={"name": "digits", "m": 200}, layers=[{"units": 12}])
    e.steps(30)
    arrays, header = hidden(e, 1, None)
    A = np.tanh(e.network.W[1].astype(float) @ e.X + e.network.b[1])
    U, S, _ = np.linalg.svd(A - A.mean(axis=1, keepdims=True), full_matrices=False)
    expected = U[:, :2].T @ (A - A.mean(axis=1, keepdims=True))
    signs = np.sign((arrays["points"] * expected).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(arrays["points"], signs * expected, atol=1e-4)
    assert header["share"] == pytest.approx((S[:2] ** 2).sum() / (S**2).sum(), rel=1e-5)
    assert "lines" not in arrays  # 64 inputs have no plane


def test_the_sign_of_a_main_direction_stays():
    """The direction of -A[1] is that of A[1]: the picture does not turn over while training."""
    given = {"data": {"name": "digits", "m": 200}, "layers": [{"units": 12}]}
    e = experiment(**given)
    mirrored = {"W1": (-e.network.W[1]).tolist(), "b1": (-e.network.b[1]).tolist()}
    points, opposite = (
        hidden(each, 1, None)[0]["points"] for each in (e, experiment(**given, parameters=mirrored))
    )
    np.testing.assert_allclose(points, -opposite, atol=1e-6)


@pytest.mark.parametrize("output", ["sigmoid", "hard_sigmoid"])
def test_on_the_decision_line_the_output_is_undecided(output):
    e = experiment(data={"name": "xor"}, layers=[{"units": 2}], output={"activation": output})
    arrays, header = hidden(e, 1, (1, 0))
    w1, w2, b = header["decision"]
    z = e.network.forward(e.X, cache=True).Z[2]
    np.testing.assert_allclose(w1 * arrays["points"][0] + w2 * arrays["points"][1] + b, z[0], 1e-5)


@pytest.mark.parametrize(
    ("given", "layer"),
    [
        ({"layers": [{"units": 2}, {"units": 2}]}, 1),
        ({"layers": [{"units": 2}], "output": {"activation": "tanh"}, "loss": "mse"}, 1),
        ({"layers": [{"units": 2}], "data": {"name": "three-classes"}}, 1),
    ],
)
def test_no_line_decides_elsewhere(given, layer):
    e = experiment(**({"data": {"name": "xor"}} | given))
    assert hidden(e, layer, (0, 1))[1]["decision"] is None


def test_two_hidden_units_make_xor_separable_by_a_line():
    preset = PRESETS["xor-hidden-space"].experiment
    learned, linear = (
        experiment(**preset | {"layers": [{"units": 2, "activation": g}]})
        for g in ("tanh", "identity")
    )
    right = []
    for e in (learned, linear):
        e.steps(300)
        arrays, header = hidden(e, 1, (0, 1))
        w1, w2, b = header["decision"]
        sides = w1 * arrays["points"][0] + w2 * arrays["points"][1] + b >= 0
        right.append(int((sides == e.Y[0]).sum()))
    assert right[0] == 4
    assert right[1] < 4


def test_of_many_examples_some_are_shown():
    e = experiment(data={"name": "circles", "m": 5000})
    arrays, header = hidden(e, 1, (0, 1))
    chosen = header["examples"]
    assert (len(chosen), chosen[0], chosen[-1]) == (MOST_EXAMPLES, 0, 4999)
    A = e.network.forward(e.X[:, chosen], cache=True).A[1]
    np.testing.assert_allclose(arrays["points"], A[:2], atol=1e-6)


@pytest.mark.parametrize("axes", [(0, 1), None])
def test_one_place_has_no_variance(axes):
    e = experiment(data={"name": "circles"}, fault="zero_initialisation")
    arrays, header = hidden(e, 1, axes)
    assert header["share"] is None
    assert not arrays["points"].any()


def test_what_has_no_main_directions_says_why():
    with pytest.raises(ValueError, match=r"layer 1 has 129 units; .* Choose two units as axes"):
        hidden(experiment(layers=[{"units": 129}]), 1, None)
    with pytest.raises(ValueError, match="layer 1 has 1 unit; the main directions are those of 2"):
        hidden(experiment(layers=[{"units": 1}]), 1, None)
    e = experiment(layers=[{"units": 3}])
    e.network.W[1][:] = np.nan
    with pytest.raises(ValueError, match=r"A\[1\] is no longer finite"):
        hidden(e, 1, None)


# Maps of all units --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FLAT)
def test_the_maps_of_all_units_are_those_of_each(name):
    e = experiment(data={"name": name}, layers=[{"units": 3}, {"units": 2, "activation": "relu"}])
    arrays, header = unit_maps(e, View(12), 8)
    assert list(arrays) == ["A1", "A2", "A3"]
    for layer in (1, 2, 3):
        assert len(arrays[f"A{layer}"]) == e.network.n[layer]
        for unit, values in enumerate(arrays[f"A{layer}"]):
            alone, expected = boundary(e, View(12, (layer, unit)))
            np.testing.assert_allclose(values, alone[0], atol=1e-6)
            assert header["extent"] == expected["extent"]


def test_the_maps_over_two_chosen_inputs_hold_the_others_at_their_mean():
    e = experiment(data={"name": "digits", "m": 50}, layers=[{"units": 12}])
    arrays, header = unit_maps(e, View(6, columns=(20, 11)), 8)
    assert [each.shape for each in arrays.values()] == [(8, 6, 6), (8, 6, 6)]
    x = e.X.mean(axis=1)
    for row, column in ((0, 0), (5, 2)):
        for input_, place, (low, high) in zip(
            (20, 11), (column, row), header["extent"], strict=True
        ):
            x[input_] = low + (place + 0.5) / 6 * (high - low)
        A = np.tanh(e.network.W[1] @ x[:, np.newaxis] + e.network.b[1])
        np.testing.assert_allclose(arrays["A1"][:, row, column], A[:8, 0], atol=1e-5)


# Images -------------------------------------------------------------------------------------------


def test_the_digits_are_images_in_reading_order():
    e = experiment(data={"name": "digits", "m": 3})
    assert state_of(e)["data"]["image"] == (8, 8, 1)
    assert DATASETS["digits"].inputs[9] == "pixel 1,1"
    assert state_of(experiment())["data"]["image"] is None


@pytest.fixture
def no_table_left():
    yield
    forget_data()


def test_a_folder_of_images_is_images_and_a_table_is_not(tmp_path, no_table_left):
    images = pytest.importorskip("PIL.Image")
    for kind, colour in (("warm", "red"), ("cold", "blue")):
        (tmp_path / kind).mkdir()
        for k in range(3):
            images.new("RGB", (16, 16), colour).save(tmp_path / kind / f"{k}.png")
    found = add_table(str(tmp_path))
    assert found.image == (8, 8, 3)
    e = experiment(data={"name": found.name}, layers=[{"units": 2}])
    assert e.X.shape == (8 * 8 * 3, 6)
    red = e.X[0::3] > e.X[2::3]  # by pixel: the first channel is red, the third blue
    assert (red.all(axis=0) | ~red.any(axis=0)).all()
    assert add_table("sample:iris").image is None
