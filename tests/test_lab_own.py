"""The lab on the user's own: models opened and saved, tables, scripts that replay them."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import subprocess
import sys
import threading
import zipfile

import numpy as np
import pytest

pytest.importorskip("polars")
pytest.importorskip("sklearn")

from sklearn.exceptions import ConvergenceWarning

import pellucid
from lab_held import forget
from pellucid import Dense, MLPClassifier, Network, Scale, load, load_predictor, save, train
from pellucid.activations import LeakyReLU
from pellucid.cli.reading import read_model
from pellucid.errors import DataError, ModelError
from pellucid.lab.datasets import DATASETS, UserData, dataset
from pellucid.lab.presets import PRESETS
from pellucid.lab.server import uploads
from pellucid.lab.server.commands import handle
from pellucid.lab.server.frames import dumps
from pellucid.lab.server.trainer import Player
from pellucid.lab.server.uploads import choose_target, received
from pellucid.lab.session import user_data
from pellucid.lab.session.experiment import Experiment
from pellucid.lab.session.model_zip import zipped
from pellucid.lab.session.models import model_of, open_model
from pellucid.lab.session.script import script
from pellucid.lab.session.settings import Settings
from pellucid.lab.session.table import add_table, first_experiment
from pellucid.lab.views.state import state_of
from pellucid.persistence.predictor import NetworkPredictor
from pellucid.tables import TrainSettings, read_sample, read_table
from pellucid.tables.fit import fit, prepare


@pytest.fixture(autouse=True)
def nothing_left():
    forget()
    yield
    forget()


def opened(experiment):
    return Experiment(Settings.read(experiment))


def csv(rows=60):
    """Houses: two columns of numbers, one of texts, an incomplete one, and a price."""
    random = np.random.default_rng(0)
    size, rooms = random.uniform(30, 200, rows), random.integers(1, 6, rows)
    price = 3 * size + 60 * rooms**2
    lines = [
        f"{s:.1f},{r},{['north', 'south'][r % 2]},{'' if k % 7 == 0 else k % 5},{p:.2f}"
        for k, (s, r, p) in enumerate(zip(size, rooms, price, strict=True))
    ]
    return "\n".join(["size,rooms,side,floor,price", *lines]).encode()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of each kind that Pellucid writes, by the kind's name."""
    root = tmp_path_factory.mktemp("models")
    random = np.random.default_rng(1)
    X, y = random.standard_normal((2, 80)), random.integers(0, 2, 80)
    iris = prepare(read_sample("iris"), TrainSettings(hidden_layer_sizes=(9,), epochs=8))
    save(fit(iris), root / "iris.pellucid")
    (root / "houses.csv").write_bytes(csv())
    houses = read_table(root / "houses.csv", target="price")
    settings = TrainSettings(hidden_layer_sizes=(7, 5), epochs=8, ensemble=1)
    save(fit(prepare(houses, settings)), root / "houses.pellucid")
    labels = np.where(y, "yes", "no")
    dropin = MLPClassifier((5,), max_iter=3, solver="sgd")
    with pytest.warns(ConvergenceWarning):
        dropin.fit(X.T, labels)
    dropin.save(root / "dropin.pellucid")
    net = Network([Dense(4, "tanh", dropout=0.1), Dense(1, "sigmoid")], 2, seed=3)
    given = {"epochs": 3, "batch_size": 16, "learning_rate": 0.02, "l2": 0.01, "loss": "bce"}
    save(net, root / "net.pellucid", history=train(net, X, y, **given))
    again = Network([Scale(), Dense(3, "relu"), Scale(), Dense(2, "softmax")], 2, seed=3)
    again.s[0], again.s[1] = [[2.0], [0.5]], [[1.0], [3.0], [-1.0]]
    train(again, X, y, loss="cce", epochs=2, checkpoint=str(root / "check.pellucid"))
    return root


# Models -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "target", "task"),
    [
        ("iris", "sample:iris", None, "multiclass"),
        ("houses", "houses.csv", "price", "regression"),
        ("iris", None, None, "multiclass"),
        ("houses", None, None, "regression"),
        ("dropin", None, None, "binary"),
        ("net", None, None, "binary"),
        ("check", None, None, "multiclass"),
    ],
)
def test_a_model_s_network_answers_in_the_lab_as_it_does_itself(folders, name, data, target, task):
    where = None if data is None else data if ":" in data else str(folders / data)
    e = opened(open_model(str(folders / f"{name}.pellucid"), where, target))
    assert e.dataset.task == task
    if name == "check":
        network = pellucid.persistence.load_checkpoint(folders / "check.pellucid")[0]
    else:
        found = load_predictor(folders / f"{name}.pellucid")
        network = found.networks[0] if hasattr(found, "networks") else found.network
    expected = network.forward(e.X.astype(network.dtype))
    np.testing.assert_allclose(e.outputs(), expected, rtol=2e-5, atol=2e-6)
    if data is not None:  # the inputs are those of the model's own preprocessing
        table = read_sample("iris") if ":" in data else read_table(where, target=target)
        assert np.array_equal(e.X, found.inputs(table).T)
        learned = e.Y.argmax(axis=0) if task == "multiclass" else e.Y[0]
        if task == "regression":
            learned = found.target_mean + found.target_std * learned
            np.testing.assert_allclose(learned, table.y, rtol=1e-5)
        else:
            assert [found.classes[k] for k in learned] == table.y.tolist()
    elif task != "regression":
        assert e.curves["accuracy"] == [1.0]  # what is expected is what it answers itself
    assert e.trace([0, 1]).check().ok


def test_what_differs_is_said(folders):
    e = opened(open_model(str(folders / "iris.pellucid")))
    note = state_of(e)["opened"]
    assert "iris.pellucid" in note
    assert "network 1 of 5" in note
    assert "folded into W[1]" in note
    assert "label smoothing" in note
    assert "drawn at random" in e.dataset.note
    assert (
        "float64" in user_data.WEIGHTS[open_model(str(folders / "dropin.pellucid"))["model"]].note
    )


def test_the_settings_of_the_training_are_there(folders):
    found = open_model(str(folders / "net.pellucid"))
    assert (found["batch_size"], found["learning_rate"], found["l2"]) == (16, 0.02, 0.01)
    assert found["layers"] == [{"units": 4, "activation": "tanh", "dropout": 0.1}]
    assert open_model(str(folders / "dropin.pellucid"))["optimizer"] == "nesterov"


def test_reset_and_a_start_at_zero_of_a_model(folders):
    found = open_model(str(folders / "net.pellucid"))
    e = opened(found)
    start = e.digest()
    e.steps(9)
    e.reset()
    assert e.digest() == start
    broken = opened({**found, "fault": "zero_initialisation"})
    assert not broken.network.W[1].any()
    assert broken.twin.digest() == start


def test_a_learning_rate_by_layer_becomes_the_smallest_and_that_is_said():
    layers = [Dense(3, "tanh", learning_rate_factor={"W": 0.25}), Dense(1, "sigmoid")]
    predictor = NetworkPredictor(Network(layers, 2, seed=0))
    made = model_of(predictor, "m", {"learning_rate": 0.02})
    assert made.training["learning_rate"] == 0.005
    assert "without its learning rate for each layer (the smallest is taken)" in made.notes[0]


def test_a_network_without_columns_takes_the_numbers_as_they_are(folders, tmp_path):
    path = tmp_path / "two.csv"
    path.write_text(
        "a,b,kind\n" + "\n".join(f"{k}.5,{-k},{['no', 'yes'][k % 2]}" for k in range(9))
    )
    e = opened(open_model(str(folders / "dropin.pellucid"), str(path), "kind"))
    assert e.X.tolist() == [[k + 0.5 for k in range(9)], [float(-k) for k in range(9)]]
    assert e.Y.tolist() == [[k % 2 for k in range(9)]]
    assert (e.dataset.inputs, e.dataset.outputs) == (("a", "b"), ("yes",))


@pytest.mark.parametrize(
    ("name", "text", "target", "message"),
    [
        ("net", "a,y\n" + "1,0\n2,1\n" * 4, "y", "has 1 column besides 'y'; the network of net"),
        ("net", "a,b,y\n" + "1,x,0\n2,z,1\n" * 4, "y", "column 'b' holds texts"),
        ("net", "a,b,y\n" + "1,2,5\n2,1,6\n3,3,7\n" * 4, "y", "3 different values"),
        ("dropin", "a,b,y\n" + "1,2,5\n2,1,6\n" * 4, "y", "which are not among the classes"),
        ("houses", "size,price\n" + "1,2\n3,4\n" * 4, None, "lacks 3 columns"),
        ("houses", "size,price\n" + "1,2\n3,4\n" * 4, "size", "has learned 'price'"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_suit_the_model(folders, tmp_path, name, text, target, message):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        open_model(str(folders / f"{name}.pellucid"), str(path), target)


@pytest.mark.parametrize(
    ("layers", "n_inputs", "message"),
    [
        ([Dense(512, "relu"), Dense(512, "relu"), Dense(512, "relu"), Dense(1, "sigmoid")], 400,
         "it has 731,137 parameters; up to 300,000 are shown"),
        ([Dense(513, "relu"), Dense(1, "sigmoid")], 2, "units must be a whole number"),
        ([Dense(2, "relu"), Dense(1, "sigmoid")], 513, "it has 513 inputs; up to 512 are shown"),
        ([Dense(2, LeakyReLU(slope=0.3)), Dense(1, "sigmoid")], 2, "LeakyReLU"),
    ],
)  # fmt: skip
def test_a_network_that_the_lab_cannot_show_gets_one_line(tmp_path, layers, n_inputs, message):
    save(Network(layers, n_inputs), tmp_path / "big.pellucid")
    with pytest.raises(ModelError, match=f"the lab cannot show big.pellucid: .*{message}"):
        open_model(str(tmp_path / "big.pellucid"))


# Scripts ------------------------------------------------------------------------------------------


def from_table(folders):
    (folders / "own.csv").write_bytes(csv())
    return first_experiment(add_table(str(folders / "own.csv"), "side"))


def from_upload(folders):
    table = received("table", "houses.csv", csv())["table"]
    return choose_target(table, "price", None)["experiment"]


def from_sent_model(folders):
    return received("zip", "iris.zip", zip_of(folders / "iris.pellucid"))["experiment"]


def zip_of(folder, **more):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
        for file in folder.iterdir():
            out.write(file, f"{folder.name}/{file.name}")
        for name, content in more.items():
            out.writestr(name, content)
    return packed.getvalue()


CASES = {
    "typed": lambda folders: PRESETS["and-gate"].experiment,
    "points": lambda folders: {"data": {"name": "xor", "points": [[0.1, 1 / 3, 1], [2, 3, 0]]}},
    "broken": lambda folders: PRESETS["dropped-transpose"].experiment,
    "model": lambda folders: open_model(str(folders / "net.pellucid")),
    "model on data": lambda folders: open_model(str(folders / "iris.pellucid"), "sample:iris"),
    "table": from_table,
    "sent table": from_upload,
    "sent model": from_sent_model,
}


@pytest.mark.parametrize("case", CASES)
def test_the_script_ends_with_the_same_bits_in_another_process(folders, case):
    e = opened(CASES[case](folders))
    e.steps(11)
    e.set_cell("W", 1, 0, 1, 1 / 3)
    e.set_cell("b", 1, 0, 0, -1e-7)
    e.example()
    e.update([0, 1])
    e.steps(5)
    root = str(next(iter(pellucid.__path__))).removesuffix("pellucid")
    code = (
        "import sys\nsys.meta_path = [f for f in sys.meta_path if 'scikit' not in "
        f"type(f).__name__.lower()]\nsys.path.insert(0, {root!r})\n"
    )
    (folders / "script.py").write_text(code + script(e))
    done = subprocess.run(
        [sys.executable, str(folders / "script.py")], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1].endswith(e.digest())


def test_a_script_whose_file_has_changed_says_so(folders, tmp_path):
    path = tmp_path / "own.csv"
    path.write_bytes(csv())
    text = script(opened(first_experiment(add_table(str(path), "price"))))
    forget()
    path.write_bytes(csv().replace(b",1,", b",2,", 1))
    with pytest.raises(ValueError, match="the file has changed since"):
        exec(compile(text, "script", "exec"), {})


def test_a_link_to_what_is_not_here_says_so(folders):
    found = open_model(str(folders / "net.pellucid"))
    user_data.WEIGHTS.clear()
    with pytest.raises(ValueError, match="weights of a model that this lab does not hold"):
        opened(found)
    forget()
    with pytest.raises(ValueError, match="your own data, which this lab does not hold"):
        opened(found)


def test_only_so_many_are_held():
    head = {"title": "t", "inputs": ("x",), "outputs": ("y",), "task": "regression"}
    for k in range(user_data.MOST_KEPT + 3):
        X = np.full((1, 2), k, dtype=np.float32)
        last = user_data.add_data(head, UserData(X, X[0]))
        user_data.add_weights(user_data.Weights({"W1": X}))
    held = [entry for entry in DATASETS.values() if entry.user_data]
    assert len(held) == len(user_data.WEIGHTS) == user_data.MOST_KEPT
    assert held[-1] is last


def test_of_many_rows_some_are_taken_and_that_is_said():
    rows = csv(25_000)
    found = choose_target(received("table", "many.csv", rows)["table"], "price", None)
    assert found["dataset"]["m"] == 20_000
    assert "Of 25,000 rows 20,000 are here" in found["note"]


# Saving -------------------------------------------------------------------------------------------


def unpacked(e, tmp_path):
    name, content = zipped(e)
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        file.extractall(tmp_path)
    return tmp_path / name.removesuffix(".zip")


def test_a_model_of_a_table_is_saved_with_its_columns(folders, tmp_path):
    e = opened(from_upload(folders))
    e.steps(200)
    path = unpacked(e, tmp_path)
    assert path.name == "houses.pellucid"
    model = read_model(path)  # what predict, evaluate and trace read
    table = read_table(folders / "houses.csv", target="price")
    assert (list(model.columns), model.target) == (["size", "rooms", "side", "floor"], "price")
    A = e.network.forward(np.asfortranarray(model.inputs(table).T))
    expected = model.target_mean + model.target_std * A[0]
    np.testing.assert_allclose(model.predict(table), expected, rtol=1e-6)
    assert model.histories[0]["settings"]["learning_rate"] == 0.003
    assert load(path).predict({k: v[:2] for k, v in table.columns.items()}).shape == (2,)


@pytest.mark.parametrize("case", ["broken", "points", "typed"])
def test_a_network_is_saved_bit_for_bit_and_opens_on_the_same_examples(folders, tmp_path, case):
    e = opened(CASES[case](folders))
    e.steps(7)
    path = unpacked(e, tmp_path)
    again = load(path)
    assert all(np.array_equal(again.parameters[k], v) for k, v in e.network.parameters.items())
    reopened = opened(open_model(str(path)))
    assert reopened.digest() == e.digest()
    assert np.array_equal(reopened.X, e.X)
    assert reopened.settings.learning_rate == e.settings.learning_rate


def test_a_drop_in_keeps_the_names_of_its_classes(folders, tmp_path):
    e = opened(open_model(str(folders / "dropin.pellucid")))
    predicted = load_predictor(unpacked(e, tmp_path)).predict(e.X.T)
    assert predicted.tolist() == np.where(e.outputs()[0] > 0.5, "yes", "no").tolist()


def test_the_command_save(folders):
    player = Player(lambda message: None)
    handle(player, {"id": 1, "do": "open", "experiment": {"data": {"name": "circles"}}})
    (reply,) = handle(player, {"id": 2, "do": "save"})
    found = json.loads(reply)
    assert (found["name"], found["columns"]) == ("Circles.pellucid.zip", False)
    assert zipfile.is_zipfile(io.BytesIO(base64.b64decode(found["zip"])))
    player.close()


# What a page sends --------------------------------------------------------------------------------


def test_a_zip_and_the_files_of_a_folder_open_the_same_model(folders):
    folder = folders / "iris.pellucid"
    (folder / "report.html").write_text("<script>alert(1)</script>")  # never read
    first = received("zip", "iris.pellucid.zip", zip_of(folder))
    files = {f"iris.pellucid/{file.name}": file.read_bytes() for file in folder.iterdir()}
    line = json.dumps([[name, len(content)] for name, content in files.items()]).encode()
    second = received("folder", "iris.pellucid", line + b"\n" + b"".join(files.values()))
    assert first == second
    assert "iris.pellucid" in user_data.WEIGHTS[first["experiment"]["model"]].note
    assert opened(first["experiment"]).network.n == [4, 9, 3]
    (folder / "report.html").unlink()


def test_a_table_sent_is_read_as_a_file_is(folders):
    sent = received("table", "houses.csv", csv())
    assert sent["columns"] == ["size", "rooms", "side", "floor", "price"]
    assert sent["target"] == "price"  # the last
    assert received("table", "t.csv", b"target,b\n1,2\n3,4\n")["target"] == "target"
    found = choose_target(sent["table"], "price", None)
    assert found["dataset"]["name"] == add_table(str(folders / "houses.csv"), "price").name
    other = choose_target(sent["table"], "side", None)
    assert other["dataset"]["task"] == "binary"


def test_columns_that_are_left_out_are_named():
    lines = [f"7,{k * k % 7},{k % 3}" for k in range(40)]
    sent = received("table", "same.csv", "\n".join(["same,a,target", *lines]).encode())
    assert "Left out: 'same'" in choose_target(sent["table"], "target", None)["note"]


def test_a_table_through_the_open_model(folders):
    model = received("zip", "houses.zip", zip_of(folders / "houses.pellucid"))["experiment"][
        "model"
    ]
    sent = received("table", "houses.csv", csv())
    found = choose_target(sent["table"], "price", model)
    assert found["experiment"]["model"] == model
    expected = open_model(str(folders / "houses.pellucid"), str(folders / "houses.csv"))
    assert found["experiment"] == expected


def test_too_late_or_nonsense():
    with pytest.raises(ValueError, match="no longer here"):
        choose_target("table-0", "y", None)
    with pytest.raises(ValueError, match="no longer here"):
        choose_target(["table"], "y", None)
    table = received("table", "t.csv", b"a,b\n1,2\n3,4\n5,6\n7,8\n")["table"]
    with pytest.raises(ValueError, match="must be the name of a column"):
        choose_target(table, 3, None)
    with pytest.raises(DataError, match="has no column 'c'"):
        choose_target(table, "c", None)
    for k in range(uploads.MOST_TABLES):
        received("table", "t.csv", f"a,b\n1,{k}\n".encode())
    with pytest.raises(ValueError, match="no longer here"):
        choose_target(table, "b", None)


def test_the_command_line_opens_a_model(folders, monkeypatch):
    from pellucid.cli.commands.lab import _experiment
    from pellucid.errors import SettingsError

    found = _experiment(str(folders / "iris.pellucid"), "sample:iris", None)
    assert dataset(found["data"]["name"]).title == "iris"
    assert _experiment("sample:iris", None, None)["layers"] == [{"units": 16}, {"units": 8}]
    with pytest.raises(SettingsError, match="name DATA after MODEL"):
        _experiment(str(folders / "iris.pellucid"), None, "target")
    with pytest.raises(ModelError, match="is a file, not a Pellucid model"):
        _experiment(str(folders / "houses.csv"), "sample:iris", None)


@pytest.mark.parametrize("kind", ["zip", "folder", "table"])
def test_damaged_bytes_get_a_sentence_or_are_read_as_before(folders, kind):
    """Bytes changed, cut out or doubled at random: never anything but a ValueError."""
    folder = folders / "net.pellucid"
    files = [(file.name, file.read_bytes()) for file in folder.iterdir()]
    line = json.dumps([[name, len(content)] for name, content in files]).encode()
    whole = {
        "zip": zip_of(folder),
        "folder": line + b"\n" + b"".join(content for _, content in files),
        "table": csv(),
    }[kind]
    random = np.random.default_rng(7)
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(random.integers(1, 4)):
            start = int(random.integers(len(damaged)))
            length = int(random.integers(1, 30))
            damaged[start : start + length] = random.bytes(int(random.integers(0, 60)))
        try:
            received(kind, "x", bytes(damaged))
        except ValueError:
            refused += 1
    assert refused > 20


NONSENSE = [None, True, -1, 10**18, 10**400, 1e308, "", "\ud800", "dropout", [], [[0]], {}]


@pytest.mark.parametrize("name", ["net", "dropin", "houses"])
def test_a_model_json_with_nonsense_anywhere_gets_a_sentence_or_is_read(folders, name):
    folder = folders / f"{name}.pellucid"
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    model = json.loads(files["model.json"])
    places = list(places_in(model))
    assert len(places) > 30
    for place, key in places:
        held = place[key]
        for value in NONSENSE:
            place[key] = value
            files["model.json"] = json.dumps(model).encode()
            listed = json.dumps([[file, len(content)] for file, content in files.items()])
            content = listed.encode() + b"\n" + b"".join(files.values())
            with contextlib.suppress(ValueError):
                plain = received("folder", "x", content)
                assert json.loads(dumps(plain))["experiment"]
        place[key] = held


def places_in(value):
    """Every container and key of plain data."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from places_in(value[key])


def test_a_model_that_is_refused_takes_no_place_and_an_ensemble_a_small_one(folders, tmp_path):
    large = Network([Dense(600, "relu"), Dense(600, "relu"), Dense(1, "sigmoid")], 2, seed=0)
    save(large, tmp_path / "large.pellucid")
    with pytest.raises(ModelError, match="363,001 parameters; up to 300,000 are shown"):
        received("zip", "large", zip_of(tmp_path / "large.pellucid"))
    assert not user_data.WEIGHTS
    found = received("zip", "iris", zip_of(folders / "iris.pellucid"))
    held = user_data.WEIGHTS[found["experiment"]["model"]].model
    assert (held.predictor.networks, held.predictor.histories) == ([], [])
    assert len(read_model(folders / "iris.pellucid").networks) > 1


def test_the_same_numbers_by_other_names_or_in_another_shape_are_others():
    head = {"title": "t", "inputs": ("x",), "outputs": ("y",), "task": "regression"}
    held = UserData(np.zeros((1, 2), "f4"), np.zeros(2, "f4"))
    others = [head | {"inputs": ("z",)}, head | {"outputs": ("z",)}, head | {"task": "binary"}]
    assert len({user_data.add_data(each, held).name for each in [head, *others]}) == 4
    shapes = [np.zeros((2, 3), "f4"), np.zeros((3, 2), "f4")]
    assert len({user_data.add_weights(user_data.Weights({"W1": W})) for W in shapes}) == 2


def test_data_put_here_once_more_are_never_gone_meanwhile():
    """Every page has its thread, and one may look up what another opens again."""
    head = {"title": "t", "inputs": ("x",), "outputs": ("y",), "task": "regression"}
    held = UserData(np.zeros((1, 2), "f4"), np.zeros(2, "f4"))
    name, ended, weights = (
        user_data.add_data(head, held).name,
        threading.Event(),
        user_data.Weights({}),
    )
    model = user_data.add_weights(weights)

    def again():
        while not ended.is_set():
            user_data.add_data(head, held)
            user_data.add_weights(weights)

    thread, before = threading.Thread(target=again), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        for _ in range(20_000):
            assert dataset(name).user_data is held
            assert user_data.weights(model) is weights
    finally:
        sys.setswitchinterval(before)
        ended.set()
        thread.join()


def test_a_task_that_is_none_is_refused():
    table = received("table", "t.csv", b"a,b\n1,2\n2,3\n3,4\n")["table"]
    with pytest.raises(ValueError, match=r"task.*must be one of.*got 'regresion'.*did you mean"):
        choose_target(table, "b", None, "regresion")
    with pytest.raises(ValueError, match="task"):
        choose_target(table, "b", None, ["x"])
