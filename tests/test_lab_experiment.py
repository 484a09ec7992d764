"""The lab's experiments: settings, training, recording, replay, faults, data sets, frames."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys

import numpy as np
import pytest

import pellucid
from pellucid import Dense, Network, train
from pellucid.errors import DataError, SettingsError
from pellucid.lab.datasets import DATASETS
from pellucid.lab.faults import FAULTS
from pellucid.lab.presets import PRESETS
from pellucid.lab.server import frames
from pellucid.lab.session.experiment import Experiment
from pellucid.lab.session.script import script
from pellucid.lab.session.settings import Settings
from pellucid.lab.session.table import add_table
from pellucid.lab.views.boundary import View, boundary
from pellucid.lab.views.catalogue import catalogue
from pellucid.lab.views.state import state_of


def experiment(**given):
    return Experiment(Settings.read(given))


CIRCLES = {
    "data": {"name": "circles", "m": 90, "noise": 0.1, "split": 0.2, "seed": 3},
    "layers": [{"units": 5}, {"units": 4, "activation": "relu", "dropout": 0.2}],
    "seed": 7,
    "l2": 1e-4,
    "batch_size": 16,
}


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_is_the_same_for_the_same_seed_and_can_be_learned(name):
    first, second = (experiment(data={"name": name, "noise": 0.1, "seed": 5}) for _ in range(2))
    assert np.array_equal(first.X, second.X)
    assert np.array_equal(first.Y, second.Y)
    entry = DATASETS[name]
    assert first.X.shape == (len(entry.inputs), entry.m)
    assert first.Y.shape == (len(entry.outputs), entry.m)
    before = first.cost()
    first.steps(100)
    assert first.cost() < before


@pytest.mark.parametrize("name", [n for n, entry in DATASETS.items() if entry.most > 100])
def test_another_seed_gives_other_examples(name):
    one, other = (experiment(data={"name": name, "noise": 0.1, "seed": k}) for k in (1, 2))
    assert not np.array_equal(one.X, other.X)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_opens_complete_and_is_plain_data(name):
    made = experiment(**PRESETS[name].experiment)
    told = made.settings.to_dict()
    assert Settings.read(json.loads(json.dumps(told))) == made.settings
    assert json.loads(frames.dumps(state_of(made)))["n"] == made.network.n


def test_the_two_networks_of_the_lecture_on_xor():
    bent = experiment(**PRESETS["xor-non-linear"].experiment)
    bent.steps(500)
    assert bent.network.predict(bent.X).tolist() == [[0, 1, 1, 0]]
    straight = experiment(**PRESETS["xor-linear"].experiment)
    straight.steps(3000)
    assert straight.cost() == pytest.approx(math.log(2), abs=1e-3)  # no better than a guess


def test_the_and_gate_by_hand_typed_cell_by_cell():
    gate = experiment(data={"name": "and"}, layers=[], seed=4)
    for letter, column, value in (("W", 0, 20), ("W", 1, 20), ("b", 0, -30)):
        gate.set_cell(letter, 1, 0, column, value)
    assert gate.network.predict(gate.X).tolist() == [[0, 0, 0, 1]]
    assert gate.cost() == pytest.approx(3.404917e-05, rel=1e-4)
    prepared = experiment(**PRESETS["and-gate"].experiment)
    assert prepared.digest() == gate.digest()


def test_whole_epochs_are_those_of_train_bit_for_bit():
    e = experiment(**CIRCLES)
    e.steps(5 * 3)
    e.steps(2 * 5)
    assert (e.epoch, e.position, e.step) == (5, 0, 25)
    net = Network([Dense(5, "tanh"), Dense(4, "relu", dropout=0.2), Dense(1, "sigmoid")], 2, seed=7)
    train(net, e.X, e.Y, loss="bce", epochs=5, batch_size=16, l2=1e-4, validation_rows=e.validation)
    for name, array in net.parameters.items():
        assert np.array_equal(array, e.network.parameters[name]), name


def test_steps_in_any_pieces_give_the_same_bits():
    whole, pieces = experiment(**CIRCLES), experiment(**CIRCLES)
    whole.steps(61)
    for count in (1, 2, 3, 5, 7, 43):
        pieces.steps(count)
        pieces.outputs()
    assert whole.digest() == pieces.digest()
    assert whole.actions == pieces.actions == [["steps", 61]]
    assert whole.curves == pieces.curves


def played():
    e = experiment(**CIRCLES)
    e.steps(13)
    e.example()
    e.example()
    e.set_cell("W", 1, 2, 1, -0.75)
    e.update([0, 4, 5])
    e.steps(20)
    return e


def test_what_was_done_is_recorded_and_can_be_replayed():
    first = played()
    assert first.actions == [
        ["steps", 13],
        ["example", 2],
        ["set_cell", "W", 1, 2, 1, -0.75],
        ["update", [0, 4, 5]],
        ["steps", 20],
    ]
    again = Experiment(first.settings)
    again.replay(json.loads(json.dumps(first.actions)))
    assert again.digest() == first.digest()
    assert (again.step, again.epoch) == (first.step, first.epoch)


def test_the_script_ends_with_the_same_bits():
    first = played()
    root = str(next(iter(pellucid.__path__)))
    code = (
        "import sys\nsys.meta_path = [f for f in sys.meta_path if 'scikit' not in "
        f"type(f).__name__.lower()]\nsys.path.insert(0, {root.removesuffix('pellucid')!r})\n"
        "assert not {'starlette', 'uvicorn'} & set(sys.modules)\n"
    )
    text = script(first)
    compile(text, "script", "exec")
    done = subprocess.run(
        [sys.executable, "-c", code + text], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1].endswith(first.digest())
    assert f"J = {first.cost()}" in done.stdout


def test_reset_goes_back_to_the_same_weights_and_the_same_training():
    e = experiment(**CIRCLES)
    start = e.digest()
    e.steps(30)
    end = e.digest()
    e.reset()
    assert (e.step, e.actions, e.digest()) == (0, [], start)
    e.steps(30)
    assert e.digest() == end


def test_update_is_one_step_of_gradient_descent_with_the_traced_gradients():
    e = experiment(data={"name": "moons", "m": 20}, learning_rate=0.25, l2=0.01)
    found = e.trace([1, 2, 3])
    before = e.network.copy_parameters()
    e.update([1, 2, 3])
    for l, dW in found.gradients.dW.items():
        assert np.allclose(e.network.W[l], before[f"W{l}"] - 0.25 * dW, atol=1e-7)
        assert np.allclose(e.network.b[l], before[f"b{l}"] - 0.25 * found.gradients.db[l])
    assert e.trace([1, 2, 3]).J < found.J


# Faults -------------------------------------------------------------------------------------------


BROKEN = {
    "data": {"name": "circles", "m": 100},
    "layers": [{"units": 6}, {"units": 5}],
    "optimizer": "gradient_descent",
    "learning_rate": 0.5,
    "batch_size": 20,
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_does_worse_than_its_healthy_twin(name):
    e = experiment(**BROKEN, fault=name)
    healthy = experiment(**BROKEN)
    e.steps(300)
    healthy.steps(300)
    assert e.twin.digest() == healthy.digest()
    assert e.diverged or not e.cost() < 2 * e.twin.cost()
    assert len(e.twin.curves["loss"]) == 61


@pytest.mark.parametrize("name", FAULTS)
def test_the_gradient_check_is_red_where_the_gradient_is_wrong_and_only_there(name):
    e = experiment(**BROKEN, fault=name)
    e.set_cell("W", 1, 0, 0, 0.3)
    assert e.trace([0, 1, 2]).check().ok == (not FAULTS[name].steps)
    assert e.twin.trace([0, 1, 2]).check().ok


def test_every_number_of_a_pass_is_the_reference_engine_s_and_central_differences():
    e = experiment(**BROKEN, l2=0.01)
    e.steps(50)
    found = e.trace([0, 5, 9])
    cache = e.network.forward(e.X[:, [0, 5, 9]], cache=True)
    gradients = e.network.backward(cache, e.Y[:, [0, 5, 9]], "bce", l2=0.01, inputs=True)
    for l in (1, 2, 3):
        assert np.array_equal(found.arrays["Z", l], cache.Z[l])
        assert np.array_equal(found.arrays["dW", l], gradients.dW[l])
    assert found.check().ok


# Curves, divergence, maps, frames -----------------------------------------------------------------


def test_the_curves_are_those_of_both_parts():
    e = experiment(**CIRCLES)
    e.steps(5 * 3)
    assert e.curves["epoch"] == [0, 1, 2, 3]
    X, Y = e.X[:, e.validation], e.Y[:, e.validation]
    assert e.curves["val_loss"][-1] == pytest.approx(e.network.loss(X, Y, "bce"), rel=1e-5)
    right = (e.network.forward(X) >= 0.5) == Y
    assert e.curves["val_accuracy"][-1] == pytest.approx(right.mean())


def test_of_many_epochs_the_curves_hold_ever_fewer_evenly_spaced():
    e = Experiment(Settings.read({"data": {"name": "xor"}, "learning_rate": 1e-3}))
    e.steps(820)
    assert e.epoch == 820
    expected = [*range(200), *range(200, 400, 2), *range(400, 800, 4), *range(800, 821, 8)]
    assert e.curves["epoch"] == expected
    assert {len(values) for values in e.curves.values()} == {len(expected)}


def test_what_diverges_says_so_and_stops():
    e = experiment(
        data={"name": "plane"},
        layers=[{"units": 8, "activation": "relu"}],
        optimizer="gradient_descent",
        learning_rate=1e5,
    )
    assert e.steps(10_000) < 10_000
    assert "Lower the learning rate" in e.diverged
    assert e.stuck
    assert e.steps(1) == 0
    json.loads(frames.dumps(state_of(e)))
    e.reset()
    assert not e.diverged


def test_the_map_is_one_forward_pass_of_a_grid():
    e = experiment(**CIRCLES)
    values, header = boundary(e, View(size=10))
    (x, _), (low, high) = header["extent"]
    at = [[x + 0.05 * (header["extent"][0][1] - x)], [low + 0.95 * (high - low)]]
    assert values.shape == (1, 10, 10)
    assert values[0, 9, 0] == pytest.approx(float(e.network.forward(at)[0, 0]), abs=1e-6)
    unit, _ = boundary(e, View(10, unit=(1, 3)))
    cache = e.network.forward(np.array(at), cache=True)
    assert unit[0, 9, 0] == pytest.approx(float(cache.A[1][3, 0]), abs=1e-6)


@pytest.mark.parametrize(("name", "shape"), [("sine", (1, 1, 20)), ("digits", (10, 20, 20))])
def test_maps_of_other_numbers_of_inputs(name, shape):
    assert boundary(experiment(data={"name": name}), View(20))[0].shape == shape


def test_own_points():
    points = [[0, 0, 0], [1, 1, 0], [0, 1, 1.0], [1, 0, 1]]
    e = experiment(data={"name": "circles", "points": points})
    assert e.X.T.tolist() == [[0, 0], [1, 1], [0, 1], [1, 0]]
    assert e.Y.tolist() == [[0, 0, 1, 1]]
    e = experiment(data={"name": "three-classes", "points": [[0, 0, 2], [1, 1, 0]]})
    assert e.Y.tolist() == [[0, 1], [0, 0], [1, 0]]


def test_the_catalogue_lists_the_tables():
    found = json.loads(frames.dumps(catalogue()))
    assert {"tanh", "relu", "softmax"} <= {g["name"] for g in found["activations"]}
    assert "lbfgs" not in {o["name"] for o in found["optimizers"]}
    assert [d["name"] for d in found["datasets"]] == list(DATASETS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"layers": [{"units": 513}]}, "units must be a whole number from 1 to 512; got 513"),
        ({"layers": [{"units": 2.5}]}, "units must be a whole number"),
        ({"layers": [{"units": True}]}, "units must be a whole number"),
        ({"layers": [{}] * 9}, "layers must be a list of at most 8 entries; got 9"),
        ({"layers": "no"}, "layers must be a list"),
        ({"layers": [{"activation": "softmax"}]}, "softmax is for the output layer"),
        ({"layers": [{"activation": "tanhh"}]}, "did you mean 'tanh'"),
        ({"layers": [{"units": 512}] * 8}, "is too large to show"),
        ({"data": {"name": "circles", "m": 20_001}}, "m must be a whole number from 1 to 20000"),
        ({"data": {"name": "../etc/passwd"}}, "there is no data set"),
        ({"data": {"noise": -1}}, "noise must be a number from 0 to 5"),
        ({"data": {"noise": float("nan")}}, "noise must be a number"),
        ({"data": {"noise": 10**400}}, "noise must be a number"),
        ({"data": {"split": 1}}, "split must be a number from 0 to 0.9"),
        ({"data": {"points": [[1, 2]]}}, "point 1 must be"),
        ({"data": {"points": [[1, 2, 3]]}}, "y of point 1 must be 0 to 1; got 3"),
        ({"data": {"points": []}}, "give one point or more"),
        ({"data": {"name": "sine", "points": [[1, 2, 3]]}}, "are for two inputs"),
        ({"data": []}, "must be an object"),
        ([], "experiment must be an object"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"learning_rate": 0}, "learning_rate must be a number"),
        ({"learning_rate": "1"}, "learning_rate must be a number"),
        ({"optimizer": "lbfgs"}, "no single steps"),
        ({"optimizer": ["adam"]}, "optimizer must be a name"),
        ({"loss": "x" * 70}, "loss must be a name"),
        ({"fault": "gremlin"}, "there is no fault"),
        ({"initializer": "helium"}, "unknown initializer"),
        ({"parameters": {"W1": [[1]]}}, "does not fit this network"),
        ({"parameters": {"W1": [["a"]]}}, "must hold rows of finite numbers"),
        ({"loss": "categorical_cross_entropy", "data": {"name": "plane"}}, "Y|softmax|target"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(given, message):
    with pytest.raises(ValueError, match=message):
        Experiment(Settings.read({"data": {"name": "xor"}, **given} if given != [] else given))


def test_all_that_is_wrong_with_settings_is_told_at_once():
    given = {
        "data": {"name": "circles", "m": 0, "noise": -1},
        "layers": [{"units": 3}, {"units": 0, "activation": "softmax", "dropout": 1}],
        "optimizer": "lbfgs",
        "loss": "hinges",
        "seed": -1,
        "model": 7,
    }
    with pytest.raises(SettingsError, match=r"data: m must be .* data: noise must be") as told:
        Settings.read(given)
    message = str(told.value)
    for each in (
        r"lbfgs takes no single steps; .* layer 2: softmax is for the output layer",
        r"layer 2: units must be a whole number from 1 to 512; got 0\. layer 2: dropout must be",
        r"unknown loss 'hinges'.* seed must be .* model must be a name; got 7\.$",
    ):
        assert re.search(each, message), message
    with pytest.raises(SettingsError, match=r"no data set 'moon'.* l2 must be a number"):
        Settings.read({"data": {"name": "moon"}, "l2": -1})


# The user's own table -----------------------------------------------------------------------------


@pytest.fixture
def no_table_left():
    yield
    for name in [name for name, entry in DATASETS.items() if entry.user_data]:
        del DATASETS[name]


@pytest.mark.parametrize(("kind", "task"), [("text", "multiclass"), ("price", "regression")])
def test_a_table_of_ones_own(tmp_path, no_table_left, kind, task):
    pytest.importorskip("polars")
    random = np.random.default_rng(0)
    size, rooms = random.uniform(30, 200, 60), random.integers(1, 6, 60)
    price = 3 * size + 60 * rooms**2 + random.normal(0, 20, 60)
    table = zip(size, rooms, price, strict=True)
    lines = [f"{s:.1f},{r},{'abc'[r % 3]},{p:.2f}" for s, r, p in table]
    path = tmp_path / "houses.csv"
    path.write_text("\n".join(["size,rooms,text,price", *lines]))
    found = add_table(str(path), kind)
    assert (found.task, found.m, found.title) == (task, 60, "houses.csv")
    data = {"name": found.name, "split": 0.2}
    e = experiment(data=data, layers=[{"units": 8}], learning_rate=0.02)
    before = e.cost()
    e.steps(300)
    assert e.cost() < 0.5 * before
    assert repr(str(path)) in script(e)
    assert boundary(e, View(9, columns=(1, 0)))[0].shape == (len(found.outputs), 9, 9)
    some_rows = experiment(data={"name": found.name, "m": 20})
    assert some_rows.m == 20


def test_a_table_without_its_target(no_table_left):
    with pytest.raises(DataError, match="has no column 'kind'"):
        add_table("sample:iris", "kind")
    assert not [entry for entry in DATASETS.values() if entry.user_data]
