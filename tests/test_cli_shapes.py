"""Every command on saved networks of pictures and sequences: an answer, or one clear message."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.testing import Result

from pellucid import Dense, Network, save, train
from pellucid.errors import ModelError
from pellucid.lab.session.models import open_model
from pellucid.layers import (
    LSTM,
    BatchNorm,
    Conv1D,
    Conv2D,
    Embedding,
    GlobalPool,
    MaxPool,
    Residual,
)

pytestmark = pytest.mark.usefixtures("here")
Run = Callable[..., Result]
Refused = Callable[..., str]

NETWORKS = {
    "pictures": ([Conv2D(4, 3), MaxPool(2), Dense(2, "softmax")], (8, 8, 1)),
    "sequences": ([Conv1D(4, 3, padding="same"), Dense(2, "softmax", each_step=True)], (6, 2)),
    "deep": ([Conv2D(3, 3), BatchNorm(), Residual([Conv2D(3, 3, padding="same")]), GlobalPool(),
              Dense(1, "sigmoid")], (8, 8, 1)),
    "words": ([Embedding(5, 3), LSTM(4), Dense(2, "softmax")], (6,)),
    "masked": ([Dense(3, mask=[[1, 0], [1, 1], [0, 1]]), Dense(2, "softmax")], 2),
    "unrolled": ([Dense(3), Dense(2, "softmax")], (4, 2)),
}  # fmt: skip
each_network = pytest.mark.parametrize("name", NETWORKS)


@pytest.fixture
def model(name: str, here: Path) -> str:
    layers, shape = NETWORKS[name]
    net, rng = Network(layers, shape, seed=0), np.random.default_rng(0)
    steps = (6,) if name == "sequences" else ()
    Y = rng.integers(0, 2, (*steps, 20))
    loss = "bce" if name == "deep" else "cce"
    X = rng.integers(0, 5, (6, 20)) if name == "words" else rng.normal(size=(net.n_inputs, 20))
    train(net, X, Y, loss=loss, epochs=2)
    save(net, f"{name}.pellucid")
    numbers = "\n".join(",".join(f"{v:.3f}" for v in row) for row in rng.normal(size=(9, net.n[0])))
    head = ",".join(f"x{k}" for k in range(net.n[0]))
    Path("rows.csv").write_text(f"{head}\n{numbers}\n", encoding="utf-8")
    return f"{name}.pellucid"


@each_network
def test_export_to_onnx(run: Run, model: str, name: str) -> None:
    found = json.loads(run("export", model, "--json").stdout)
    assert onnx.load(found["file"]).graph.output
    assert found["format"] == "onnx"


@each_network
def test_export_to_c_or_every_layer_that_has_none(
    run: Run, refused: Refused, model: str, name: str
) -> None:
    if name in ("masked", "unrolled"):
        run("export", model, "--to", "c")
        return
    text = refused("export", model, "--to", "c")
    assert f"layer 1 ({type(NETWORKS[name][0][0]).__name__} " in text
    assert "cannot be exported to C" in text
    assert not list(Path().glob("*.c"))


def test_lengths_are_asked_for(run: Run, refused: Refused, here: Path) -> None:
    for name in ("sequences", "words", "pictures"):
        save(Network(*NETWORKS[name]), f"{name}.pellucid")
    for name in ("sequences", "words"):
        run("export", f"{name}.pellucid", "--lengths")
        inputs = onnx.load(f"{name}.onnx").graph.input
        assert [each.name for each in inputs] == ["X", "lengths"]
    text = refused("export", "pictures.pellucid", "--lengths")
    assert "--lengths are for sequences" in text
    assert not Path("pictures.onnx").exists()


@each_network
def test_diagnose(run: Run, model: str, name: str) -> None:
    assert "Looked at: parameters" in run("diagnose", model).stdout
    assert isinstance(json.loads(run("diagnose", model, "--json").stdout), dict)


@each_network
@pytest.mark.parametrize("command", ["predict", "evaluate", "explain", "trace"])
def test_commands_that_need_the_columns_of_a_table(
    refused: Refused, model: str, name: str, command: str
) -> None:
    text = refused(command, model, "rows.csv")
    assert "holds a network without table columns" in text
    assert "In Python: pellucid.load(" in text


@each_network
def test_the_lab_shows_it_or_names_the_layer(model: str, name: str) -> None:
    if name == "unrolled":
        assert open_model(model)["layers"]
        return
    first = NETWORKS[name][0][0]
    with pytest.raises(
        ModelError, match=rf"the lab cannot show {model}: layer 1 has {type(first).__name__}\("
    ):
        open_model(model)
