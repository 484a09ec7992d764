"""The lab's loss surface, the race on it, and what a training leaves to be looked at."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid import Dense, Network, propagation
from pellucid.lab.presets import PRESETS
from pellucid.lab.server import frames
from pellucid.lab.server.commands import handle
from pellucid.lab.server.trainer import Player
from pellucid.lab.session.experiment import Experiment
from pellucid.lab.session.recording import Costs, Path
from pellucid.lab.session.settings import Settings
from pellucid.lab.views.surface import MOST_EXAMPLES, _chosen, race, surface
from pellucid.losses import loss

TWO = [["W", 1, 0, 0], ["W", 1, 0, 1]]


def made(preset="xor-non-linear", **more):
    return Experiment(Settings.read(PRESETS[preset].experiment | more))


def reference(e, places, values, name=None, most=MOST_EXAMPLES):
    """J with the two cells at these values, by the equations alone, in float64."""
    net = Network(
        [Dense(k.n_units, k.activation) for k in e.network.layers], len(e.X), dtype="float64"
    )
    net.put_parameters(e.network.parameters)
    for (letter, layer, row, column), value in zip(places, values, strict=True):
        (net.W if letter == "W" else net.b)[layer][row, column] = value
    chosen = _chosen(e.training, most)
    X, Y = e.X[:, chosen].astype(float), e.Y[:, chosen].astype(float)
    s, fitted = e.settings, loss(name) if name else e.loss
    cache = propagation.forward(net.layers, X)
    gradients = propagation.backward(cache, Y, fitted, l1=s.l1, l2=s.l2)
    slope = [
        (gradients.dW if letter == "W" else gradients.db)[layer][row, column]
        for letter, layer, row, column in places
    ]
    return propagation.cost(cache, Y, fitted, l1=s.l1, l2=s.l2), np.array(slope)


def places_of(known):
    (a, b), (c, d) = known["extent"]
    return np.linspace(a, b, known["size"]), np.linspace(c, d, known["size"])


# The surface --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "places", "more"),
    [
        ("xor-non-linear", TWO, {}),
        ("xor-non-linear", [["W", 1, 2, 1], ["b", 2, 0, 0]], {"l1": 0.02, "l2": 0.1}),
        ("xor-non-linear", [["b", 1, 3, 0], ["W", 2, 0, 3]], {}),
        ("three-classes", [["W", 2, 1, 4], ["W", 2, 2, 4]], {}),
        ("three-classes", [["W", 1, 1, 0], ["b", 1, 1, 0]], {"l2": 0.01}),
        ("sine", [["W", 1, 0, 0], ["W", 2, 0, 0]], {}),
        ("spiral", [["W", 1, 5, 1], ["W", 3, 0, 5]], {}),
        ("digits", [["W", 1, 3, 20], ["W", 2, 4, 3]], {}),
    ],
)
def test_each_cell_of_the_surface_is_the_cost_by_the_reference(preset, places, more, rng):
    e = made(preset, **more)
    e.steps(40)
    known, J = surface(e, {"places": places}, playing=False)
    across, up = places_of(known)
    assert J.shape == (1, known["size"], known["size"])
    for row, column in rng.integers(0, known["size"], (12, 2)):
        expected, _ = reference(e, places, (across[column], up[row]))
        assert J[0, row, column] == pytest.approx(expected, rel=2e-5)
    assert known["losses"][0]["now"] == pytest.approx(reference(e, places, known["now"])[0])


def test_the_surface_has_the_path_the_point_and_the_lowest_place_in_it():
    e = made()
    e.steps(100)
    known, J = surface(e, {"places": TWO, "also": [[9.0, 0.0]]}, playing=True)
    points = np.vstack([known["path"], known["now"], [[9.0, 0.0]]])
    for values, (low, high) in zip(points.T, known["extent"], strict=True):
        assert low < values.min() <= values.max() < high
    np.testing.assert_array_equal(known["now"], e.network.W[1][0, :2])
    (lowest,) = known["losses"]
    assert lowest["lowest"] == pytest.approx(J.min())
    expected, _ = reference(e, TWO, lowest["lowest_at"])
    assert lowest["lowest"] == pytest.approx(expected, rel=2e-5)
    near, _ = surface(e, {"places": TWO, "zoom": 0.25}, playing=True)
    for value, (low, high), (wide_low, wide_high) in zip(
        known["now"], near["extent"], known["extent"], strict=True
    ):
        assert low < value < high
        assert high - low < 0.5 * (wide_high - wide_low)


def test_another_loss_beside_it():
    e = made("squared-error")
    known, J = surface(e, {"places": TWO, "other": "binary_cross_entropy"}, playing=False)
    assert [each["name"] for each in known["losses"]] == [
        "half_squared_error",
        "binary_cross_entropy",
    ]
    across, up = places_of(known)
    for k, each in enumerate(known["losses"]):
        expected, _ = reference(e, TWO, (across[3], up[7]), each["name"])
        assert J[k, 7, 3] == pytest.approx(expected, rel=2e-5)
    assert "categorical_cross_entropy" not in known["others"]
    assert "binary_cross_entropy" not in surface(made("sine"), {"places": [
        ["W", 1, 0, 0], ["b", 1, 0, 0]]}, playing=False)[0]["others"]  # fmt: skip


def test_squared_error_is_not_convex_where_cross_entropy_is():
    """The preset's lesson: along a line J by squared error bends both ways."""
    e = made("squared-error")
    given = {"places": TWO, "other": "binary_cross_entropy", "zoom": 4}
    _, J = surface(e, given, playing=False)
    diagonals = [np.diagonal(each) for each in J]
    squared, entropy = (np.diff(line.astype(float), 2) for line in diagonals)
    assert squared.min() < -1e-3 < 1e-3 < squared.max()
    assert entropy.min() > -1e-5


def test_many_examples_are_a_part_of_them_and_it_is_said():
    e = made("xor-non-linear", data={"name": "moons", "m": 3000})
    known, J = surface(e, {"places": TWO}, playing=False)
    assert (known["m"], known["of"]) == (MOST_EXAMPLES, 3000)
    across, up = places_of(known)
    expected, _ = reference(e, TWO, (across[5], up[9]))
    assert J[0, 9, 5] == pytest.approx(expected, rel=2e-5)


def test_a_surface_while_it_plays_is_coarser_and_one_too_costly_is_refused():
    e = made("spiral")
    still, _ = surface(e, {"places": TWO}, playing=False)
    playing, _ = surface(e, {"places": TWO}, playing=True)
    assert playing["size"] < still["size"]
    wide = made("digits", layers=[{"units": 512}, {"units": 400}])
    with pytest.raises(ValueError, match=r"too much work while it trains: pause, or take cells of"):
        surface(wide, {"places": TWO}, playing=True)
    late = [["W", 3, 0, 0], ["W", 3, 0, 1]]
    assert surface(wide, {"places": late}, playing=True)[0]["size"] >= 11


# The race -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "places", "more"),
    [
        ("xor-non-linear", TWO, {"l2": 0.05}),
        ("xor-non-linear", [["W", 2, 0, 1], ["b", 1, 1, 0]], {}),
        ("sine", [["W", 1, 4, 0], ["W", 2, 0, 4]], {}),
    ],
)
def test_the_race_is_plain_gradient_descent(preset, places, more):
    e = made(preset, **more)
    e.steps(3)
    before = e.digest()
    start, rates, steps = [0.4, -0.3], [0.05, 0.5], 25
    runs = race(e, {"places": places, "start": start, "rates": rates, "steps": steps})
    assert [run["rate"] for run in runs] == rates
    for run in runs:
        w, costs = np.array(start), []
        for point in run["points"]:
            np.testing.assert_allclose(point, w, rtol=1e-9, atol=1e-12)
            J, slope = reference(e, places, w)
            costs.append(J)
            w = w - run["rate"] * slope
        np.testing.assert_allclose(run["J"], costs, rtol=1e-9)
        assert run["steps"] == steps == len(run["points"]) - 1
    assert e.digest() == before


def test_a_learning_rate_too_large_diverges_and_a_small_one_does_not():
    e = made("sine")
    given = {"places": [["W", 2, 0, 0], ["b", 2, 0, 0]], "start": [2.0, 1.0], "steps": 1000}
    small, large = race(e, given | {"rates": [0.1, 50.0]})
    assert not small["diverged"]
    assert small["J"][-1] < small["J"][0]
    assert large["diverged"]
    assert not np.isfinite(large["J"][-1])
    assert large["steps"] < 1000


def test_squared_error_stands_on_a_plateau_where_cross_entropy_runs():
    e = made("squared-error")
    given = {"places": TWO, "other": "binary_cross_entropy", "start": [-6, -4], "rates": [1]}
    squared, entropy = race(e, given)
    assert squared["J"][-1] > 0.99 * squared["J"][0]
    assert entropy["J"][-1] < 0.05 * entropy["J"][0]


# What is asked wrongly ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "places must be two cells of W or b; got None"),
        ({"places": [["W", 1, 0], ["W", 1, 0, 0]]}, r"a place must be \[letter, layer, row, col"),
        ({"places": [["W", 1, 0, 0]] * 2}, r"both are W\[1\]\[0, 0\]: choose two different cells"),
        (
            {"places": [["W", 1, 0, 0], ["W", 1, 9, 0]]},
            r"W\[1\] has the shape \(4, 2\): row must be",
        ),
        ({"places": [["W", 1, 0, 0], ["b", 7, 0, 0]]}, r"there is no b\[7\]"),
        ({"places": TWO, "other": "poisson"}, "the loss 'poisson' does not fit this output"),
        ({"places": TWO, "zoom": 0}, "zoom must be a number from 0.01 to 100; got 0"),
        ({"places": TWO, "also": [[1, 2, 3]]}, r"also must be two numbers; got \[1, 2, 3\]"),
        ({"places": TWO, "also": [[1, 2]] * 17}, "also must be a list of at most 16 points"),
    ],
)
def test_a_surface_that_cannot_be_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        surface(made(), given, playing=False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"start": None}, "start must be two numbers; got None"),
        ({"rates": []}, "rates must be a list of 1 to 6 numbers"),
        ({"rates": ["fast"]}, "learning rate must be a number from -1e.06 to 1e.06; got 'fast'"),
        ({"steps": 0}, "steps must be a whole number from 1 to 1000; got 0"),
    ],
)
def test_a_race_that_cannot_be_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        race(made(), {"places": TWO, "start": [0, 0], "rates": [1]} | given)


def test_a_race_too_long_for_the_network_is_refused():
    e = made("digits", layers=[{"units": 512}])
    with pytest.raises(ValueError, match="over 1000 steps is too much work for this network"):
        race(e, {"places": TWO, "start": [0, 0], "rates": [1, 2], "steps": 1000})


def test_the_commands_of_the_page():
    player = Player(lambda message: None)
    player.open(made("spiral"))

    def ask(do, **given):
        return handle(player, {"id": 1, "do": do, **given})

    player.playing = True
    text, frame = ask("surface", places=TWO)
    kind, sequence, header, arrays = frames.unpack(frame)
    assert (kind, sequence) == (frames.VIEW, player.sequence)
    assert f'"sequence": {sequence}' in text
    assert arrays["J"].shape == (1, header["size"], header["size"])
    assert player.playing, "looking does not pause"
    ask("batch")
    (text,) = ask("costs")
    assert '"batch_size": 32' in text
    assert "error" not in text
    (text,) = ask("race", places=TWO, start=[0, 0], rates=[1, 3], steps=4)
    assert text.count('"steps": 4') == 2


# What a training leaves ---------------------------------------------------------------------------


def test_the_path_is_that_of_the_training_and_stays_bounded():
    e = made()
    e.steps(3000)
    other = made()
    path = e.path.of([1])
    assert e.path.steps == list(range(0, 3000, e.path.stride))
    assert Path.MOST // 2 <= len(path) <= Path.MOST
    for k in (1, 100, -1):
        other.steps(e.path.steps[k] - other.step)
        assert path[k, 0] == other.network.W[1][0, 1]


def test_a_large_network_keeps_fewer_points():
    e = made("digits", layers=[{"units": 512}])
    assert e.path.most * e.network.n_parameters <= Path.MOST_NUMBERS
    e.steps(300)
    assert len(e.path.steps) <= e.path.most


def test_the_path_begins_anew_where_a_cell_is_typed_over_and_at_a_reset():
    e = made()
    e.steps(10)
    e.set_cell("W", 1, 0, 0, 5.0)
    e.steps(3)
    assert e.path.steps == [10, 11, 12]
    assert e.path.of([0])[0, 0] == 5.0
    e.reset()
    assert e.path.steps == []
    assert not e.costs.rows


def test_the_three_costs_are_those_of_the_step():
    e = made("spiral", l2=0.001)
    e.steps(30, closely=True)
    assert [row[0] for row in e.costs.rows] == list(range(30))
    other = made("spiral", l2=0.001)
    s = other.settings
    for step, one, batch, full in e.costs.rows:
        rows = other._next_examples(other.batch_size)
        for found, chosen in ((one, rows[:1]), (batch, rows), (full, other.training)):
            cache = propagation.forward(other.network.layers, other.X[:, chosen])
            expected = propagation.cost(cache, other.Y[:, chosen], other.loss, l2=s.l2)
            assert found == pytest.approx(expected, rel=1e-5)
        other.steps(1)
        assert batch == pytest.approx(other.J_batch, rel=1e-5), step


def test_what_is_told_of_the_costs_is_what_numpy_says():
    e = made("spiral")
    e.steps(100)
    told, table = e.costs.summary(), np.array(e.costs.rows)
    assert told["steps"] == list(range(100))
    for k, name in enumerate(("one", "batch", "full"), start=1):
        values = table[:, k]
        np.testing.assert_array_equal(told[name]["J"], values)
        assert told[name]["mean"] == pytest.approx(values.mean())
        assert told[name]["deviation"] == pytest.approx(np.std(values))
        away = np.sqrt(np.mean((values - table[:, 3]) ** 2))
        assert told[name]["strays"] == pytest.approx(away)
    assert told["one"]["strays"] > 3 * told["batch"]["strays"] > told["full"]["strays"] == 0
    assert Costs(10, 2).summary()["one"]["mean"] is None


def test_the_costs_are_seldom_at_full_speed_and_bounded():
    e = made("spiral")
    e.steps(40_000)
    steps = [row[0] for row in e.costs.rows]
    assert len(steps) == Costs.MOST
    assert np.diff(steps).min() == np.diff(steps).max() == e.costs.every
    first = e.step
    e.steps(3, closely=True)
    assert [row[0] for row in e.costs.rows][-3:] == [first, first + 1, first + 2]
    big = Costs(20_000, 32)
    assert sum(big.wait(step, closely=True) == 0 for step in range(1000)) < 20


@pytest.mark.parametrize("preset", ["spiral", "xor-non-linear", "dropped-transpose"])
def test_looking_changes_no_bit_of_the_training(preset, monkeypatch):
    looked = made(preset)
    looked.steps(37, closely=True)
    looked.steps(700)
    looked.example()
    looked.steps(50)
    surface(looked, {"places": TWO}, playing=True)
    looked.steps(5)
    again = made(preset)
    again.replay(looked.actions)
    assert again.digest() == looked.digest()
    monkeypatch.setattr(Experiment, "_look", lambda self, closely: 10**9)
    blind = made(preset)
    blind.replay(looked.actions)
    assert blind.digest() == looked.digest()
