"""The lab's server as a page sees it: playing, frames, slow and vanished pages, the end."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from websockets.sync.client import connect

from pellucid.errors import MissingPackageError
from pellucid.lab.presets import PRESETS
from pellucid.lab.server import app, frames
from pellucid.lab.server.app import MOST_CLIENTS, Lab
from pellucid.lab.server.trainer import NAME
from pellucid.lab.session.experiment import Experiment
from pellucid.lab.session.settings import Settings


class Page:
    """What a page does, in a few lines."""

    def __init__(self, lab):
        connecting = connect(
            f"ws://127.0.0.1:{lab.port}/socket",
            origin=f"http://127.0.0.1:{lab.port}",
            subprotocols=["pellucid", lab.app.token],
            compression=None,
            max_size=None,
        )
        self.socket = connecting.__enter__()  # closed by hand, or by the server
        self.number, self.frames, self.events, self.acknowledged = 0, [], [], 0
        assert json.loads(self.socket.recv(timeout=20))["event"] == "welcome"

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.socket.close()

    def say(self, do, **given):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "do": do, **given}))
        return self.number

    def ask(self, do, **given):
        number = self.say(do, **given)
        while True:
            found = self.read()
            if isinstance(found, dict) and found.get("reply") == number:
                assert "error" not in found, found
                return found

    def read(self, timeout=20):
        message = self.socket.recv(timeout=timeout)
        if isinstance(message, bytes):
            self.frames.append(frames.unpack(message))
            return None
        found = json.loads(message)
        if "event" in found:
            self.events.append(found)
        return found

    def watch(self, count):
        """Draw whatever comes, as fast as it comes, until so many more frames have come."""
        count += len(self.frames)
        while len(self.frames) < count:
            if self.frames and self.acknowledged != self.frames[-1][1]:
                self.acknowledged = self.frames[-1][1]
                self.say("ack", sequence=self.acknowledged)
            self.read()


@pytest.fixture(scope="module")
def lab():
    with Lab() as lab:
        yield lab


@pytest.fixture
def page(lab):
    with Page(lab) as page:
        yield page


def trainers():
    return [t for t in threading.enumerate() if t.name == NAME]


def eventually(holds, seconds=60):
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


MOONS = {"data": {"name": "moons", "m": 100, "split": 0.2}, "learning_rate": 0.01}


def test_opening_tells_everything(page):
    state = page.ask("open", experiment=MOONS)
    assert (state["n"], state["step"], state["playing"]) == ([2, 4, 1], 0, False)
    assert np.shape(state["data"]["X"]) == (2, 100)
    assert len(state["data"]["training"]) == 80
    assert state["shapes"][1]["W[l]"] == "(4, 2)"
    assert state["curves"]["epoch"] == [0]
    assert page.ask("open", experiment=state["experiment"])["parameters"] == state["parameters"]


def test_one_epoch_one_mini_batch_one_example_and_reset(page):
    start = page.ask("open", experiment=MOONS)
    for do, place in (
        ("epoch", (1, 3, 0)), ("batch", (1, 4, 32)), ("example", (1, 5, 33)), ("epoch", (2, 7, 0)),
    ):  # fmt: skip
        state = page.ask(do)
        assert (state["epoch"], state["step"], state["position"]) == place
    assert page.ask("reset")["parameters"] == start["parameters"]


def test_frames_while_playing_hold_the_parameters_the_curves_and_the_map(page):
    page.ask("open", experiment=MOONS)
    page.ask("watch", boundary=True, size=20)
    page.ask("play")
    page.watch(10)
    state = page.ask("pause")
    kind, _, header, arrays = page.frames[-1]
    assert kind == frames.TRAINING
    assert set(arrays) == {"W1", "b1", "W2", "b2", "A", "boundary"}
    assert arrays["boundary"].shape == (1, 20, 20)
    points = [e for frame in page.frames for e in frame[2]["curves"]["epoch"]]
    told = state["curves"]["epoch"]
    assert points == [e for e in told if 0 < e <= points[-1]]  # each point once, none left out
    assert header["step"] <= state["step"]
    assert page.ask("batch")["step"] == state["step"] + 1  # it does pause


@pytest.mark.parametrize(
    ("do", "given"),
    [
        ("trace", {"examples": [0, 1]}),
        ("cell", {"letter": "Z", "layer": 1, "row": 0, "column": 0}),
        ("check", {}),
    ],
)
def test_a_look_at_the_pass_never_pauses(page, do, given):
    page.ask("open", experiment={"data": {"name": "xor"}, "layers": [{"units": 2}]})
    page.ask("trace", examples=[2, 3])
    page.ask("play")
    page.ask(do, **given)
    seen = len(page.frames)
    page.watch(5)
    assert len(page.frames) > seen + 1
    assert page.frames[-1][2]["step"] > page.frames[seen][2]["step"]


def test_a_frame_comes_only_after_the_last_was_acknowledged(page):
    page.ask("open", experiment=MOONS)
    page.ask("play")
    page.read()
    with pytest.raises(TimeoutError):
        page.read(timeout=0.5)
    assert len(page.frames) == 1
    page.ask("ack", sequence=1)
    page.read()
    page.ask("pause")
    assert len(page.frames) == 2


def test_what_was_played_is_replayed_bit_for_bit(page):
    page.ask("open", experiment=MOONS)
    page.ask("play")
    page.watch(5)
    page.ask("set_cell", letter="W", layer=1, row=0, column=1, value=0.125)
    page.watch(3)
    state = page.ask("pause")
    script = page.ask("script")["python"]
    known: dict = {}
    exec(compile(script, "script", "exec"), known)
    for name, array in known["net"].parameters.items():
        assert np.array_equal(array, np.array(state["parameters"][name], dtype=np.float32)), name


def test_playing_stops_at_an_epoch_and_at_a_loss(page):
    page.ask("open", experiment=MOONS)
    page.ask("stop_at", epoch=7)
    page.ask("play")
    while not page.events:
        page.read()
    assert (page.events[0]["event"], page.events[0]["epoch"]) == ("stopped", 7)
    assert page.events[0]["playing"] is False
    page.ask("stop_at", epoch=None, loss=0.3)
    page.ask("play")
    while len(page.events) < 2:
        page.read()
    assert page.events[1]["J"] <= 0.3
    assert "0.3" in page.events[1]["reason"]


def test_divergence_is_told(page):
    broken = {"data": {"name": "plane"}, "optimizer": "gradient_descent", "learning_rate": 1e6,
              "layers": [{"activation": "relu"}]}  # fmt: skip
    page.ask("open", experiment=broken)
    page.ask("play")
    while not page.events:
        page.read()
    assert page.events[0]["reason"] == "diverged"
    assert "Lower the learning rate" in page.events[0]["message"]


def test_the_speed_is_kept(page):
    page.ask("open", experiment=MOONS)
    began = time.monotonic()
    page.ask("play", speed=100)
    page.watch(30)
    assert 0 < page.ask("pause")["step"] <= 10 + 120 * (time.monotonic() - began)


def test_a_pass_with_its_numbers(page):
    page.ask("open", experiment=PRESETS["and-gate"].experiment)
    found = page.ask("trace", examples=[0, 3])
    assert found["arrays"]["Z[1]"] == [[-30, 10]]
    assert [s["result"] for s in found["steps"]] == [
        "Z[1]",
        "A[1]",
        "L",
        "J",
        "dZ[1]",
        "dW[1]",
        "db[1]",
        "dX",
    ]
    phases = [s["phase"] for s in found["steps"]]
    assert phases == ["Forward"] * 2 + ["Cost"] * 2 + ["Backward"] * 4
    J = page.ask("cell", letter="J", layer=0, row=0, column=0)
    assert J["value"] == found["arrays"]["J"][0][0] == pytest.approx(found["J"])
    assert {each["array"] for each in J["sources"]} == {"L"}
    cell = page.ask("cell", letter="Z", layer=1, row=0, column=1)
    assert cell["value"] == 10
    assert {"array": "W[1]", "row": 0, "column": 1, "value": 20} in cell["sources"]
    assert page.ask("check")["ok"]
    update = page.ask("update")
    assert update["after"]["J"] < update["before"]["J"]
    assert update["before"]["W1"] == [[20, 20]]


def test_a_cell_is_of_the_parameters_as_they_are_now(page):
    page.ask("open", experiment=PRESETS["and-gate"].experiment)
    page.ask("trace", examples=[3])
    page.ask("set_cell", letter="b", layer=1, row=0, column=0, value=-10)
    assert page.ask("cell", letter="Z", layer=1, row=0, column=0)["value"] == 30


def test_every_cell_of_every_step_can_be_asked_for(page):
    page.ask("open", experiment=PRESETS["three-classes"].experiment)
    found = page.ask("trace", examples=[0, 1, 2])
    for step in found["steps"]:
        for row in range(step["rows"]):
            cell = page.ask("cell", letter=step["letter"], layer=step["layer"], row=row, column=0)
            assert cell["value"] == found["arrays"][step["result"]][row][0]
            assert all(source["array"] in found["arrays"] for source in cell["sources"])


def test_a_broken_network_beside_its_twin(page):
    state = page.ask("open", experiment=PRESETS["dropped-transpose"].experiment)
    assert state["twin"]["curves"]["epoch"] == [0]
    page.ask("play")
    page.watch(5)
    assert "twin" in page.frames[-1][2]
    page.ask("pause")
    found = page.ask("trace", examples=[0, 1])
    assert any(step["broken"] for step in found["steps"])
    checked = page.ask("check")
    assert not checked["ok"]
    assert "transpose" in checked["why"]


def test_the_diagnosis_of_a_start_at_zero(page):
    page.ask("open", experiment={**MOONS, "fault": "zero_initialisation"})
    found = page.ask("diagnosis")
    assert found["findings"][0]["kind"] == "zero_initialisation"


def test_the_hidden_space_and_the_maps_of_all_units_come_in_frames(page):
    state = page.ask("open", experiment=MOONS)
    asked = [page.ask("hidden", layer=1, axes=[2, 0]), page.ask("unit_maps", size=20, most=3)]
    while len(page.frames) < 2:
        page.read()
    (_, first, header, arrays), (_, second, _, maps) = page.frames
    assert [first, second] == [reply["sequence"] for reply in asked]
    W, b = (np.array(state["parameters"][key]) for key in ("W1", "b1"))
    X = np.array(state["data"]["X"])
    assert header["examples"] == list(range(100))
    assert np.allclose(arrays["points"], np.tanh(W @ X + b)[[2, 0]], atol=1e-6)
    assert {name: each.shape for name, each in maps.items()} == {
        "A1": (3, 20, 20),
        "A2": (1, 20, 20),
    }


def test_the_address_carries_the_experiment_to_begin_with():
    with Lab(experiment=MOONS) as lab:
        token, _, link = lab.address.partition("#")
        assert token.endswith(f"/?token={lab.app.token}")
        padded = link + "=" * (-len(link) % 4)
        assert json.loads(base64.urlsafe_b64decode(padded)) == {"experiment": MOONS}


# Speed, slow pages, the end -----------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs Linux")
def test_training_does_not_wait_for_the_drawing(page):
    """2-64-64-1 at batch 32 with frames and maps: at rest, above 1,000 steps a frame."""
    page.ask("open", experiment=PRESETS["spiral"].experiment)
    page.ask("watch", boundary=True)

    def steps_a_frame():
        before, drawn = page.ask("pause")["step"], len(page.frames)
        page.ask("play")
        page.watch(10)
        return (page.ask("pause")["step"] - before) / (len(page.frames) - drawn)

    assert any(steps_a_frame() > 100 for _ in range(10))  # others may hold up some


def test_a_page_that_reads_nothing_holds_nobody(lab, page):
    """It asks for far more than the buffers between hold, and reads none of it."""
    with Page(lab) as slow:
        slow.say("open", experiment=PRESETS["spiral"].experiment)
        for _ in range(50):
            slow.say("watch", boundary=True)
            slow.say("play")
            slow.say("boundary", size=200)
        page.ask("open", experiment=MOONS)
        for _ in range(20):
            page.ask("epoch")  # or it fails for want of an answer
    assert eventually(lambda: len(trainers()) == 1)


def test_training_goes_on_behind_a_page_that_reads_nothing(lab):
    """Its own training too: nothing that the trainer does waits for what is sent."""
    before = set(lab.trainers)
    with Page(lab) as slow:
        slow.ask("open", experiment=MOONS)
        (trainer,) = lab.trainers - before
        player = trainer.player
        slow.ask("play")
        for _ in range(200):  # 32 MB of maps, far more than the buffers between hold
            slow.say("boundary", size=200)

        def stuck(since):
            time.sleep(0.5)
            return player.sequence == since

        assert eventually(lambda: stuck(player.sequence))
        assert 0 < player.sequence < 200
        step = player.experiment.step
        assert eventually(lambda: player.experiment.step > step + 2000)


def test_a_page_that_vanishes_ends_its_training(lab):
    before = len(trainers())
    page = Page(lab)
    page.ask("open", experiment=MOONS)
    page.ask("play")
    assert len(trainers()) == before + 1
    page.socket.socket.shutdown(socket.SHUT_RDWR)
    assert eventually(lambda: len(trainers()) == before)


def test_a_hundred_quick_reloads_leave_nothing_behind(lab):
    """Neither a thread nor an open file: each page comes, plays and goes."""
    with Page(lab) as page:
        page.ask("open")
    assert eventually(lambda: not trainers())
    files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for k in range(100):
        with Page(lab) as page:
            if k % 2:
                page.ask("open", experiment=MOONS)
                page.say("play")
    assert eventually(lambda: not trainers() and not lab.trainers)
    if files:
        assert eventually(lambda: len(os.listdir("/proc/self/fd")) <= files + 4)


def test_too_many_pages(lab):
    pages = [Page(lab) for _ in range(MOST_CLIENTS)]
    with Page(lab) as one_more, pytest.raises(Exception, match="pages of the lab are open already"):
        one_more.ask("catalogue")
    for page in pages:
        page.socket.close()
    assert eventually(lambda: not lab.trainers)


def test_leaving_ends_trainers_that_play():
    with Lab() as lab:
        page = Page(lab)
        page.ask("open", experiment=PRESETS["spiral"].experiment)
        page.ask("play")
        port = lab.port
    assert eventually(lambda: not trainers())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_missing_package_is_named(monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(app.importlib, "import_module", absent)
    with pytest.raises(MissingPackageError, match=r"pip install 'pellucid\[lab\]'"):
        Lab()


def test_a_port_in_use(lab):
    with pytest.raises(OSError, match="Choose another port"):
        Lab(lab.port)


def test_no_other_server_can_take_what_localhost_may_lead_to():
    try:
        other = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with other, pytest.raises(OSError, match=r"cannot listen on \[::1\]:.* Choose another port"):
        Lab(other.getsockname()[1])
    with Lab() as lab:
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("::1", lab.port), family=socket.AF_INET6)
        with socket.create_connection(("::1", lab.port), timeout=20) as out:
            out.sendall(f"GET / HTTP/1.1\r\nHost: [::1]:{lab.port}\r\n\r\n".encode())
            assert b" 200 " in out.recv(65536).split(b"\r\n")[0]


def test_frames_are_what_they_were():
    e = Experiment(Settings.read(MOONS))
    packed = frames.pack(frames.TRAINING, 3, {"J": float("nan")}, e.network.parameters)
    kind, sequence, header, arrays = frames.unpack(packed)
    assert (kind, sequence, header["J"]) == (1, 3, None)
    assert all(np.array_equal(arrays[k], v) for k, v in e.network.parameters.items())


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_the_command_prints_the_address_and_ends_at_ctrl_c():
    root = str(Path(app.__file__).parents[3])
    code = (
        "import sys\nsys.meta_path = [f for f in sys.meta_path if 'scikit' not in "
        f"type(f).__name__.lower()]\nsys.path.insert(0, {root!r})\n"
        "from pellucid.cli import main\nmain()\n"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", code, "lab", "--no-browser"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        line = running.stdout.readline()
        assert line.startswith("The lab is at http://127.0.0.1:")
        assert "?token=" in line
        time.sleep(1)
        running.send_signal(signal.SIGINT)
        _, complaints = running.communicate(timeout=20)
        assert "Traceback" not in complaints
        assert running.returncode in (0, 130, -signal.SIGINT)
    finally:
        running.kill()
