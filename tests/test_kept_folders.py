"""Folders that earlier versions wrote, and this one too: every version reads all of them."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import pellucid
from pellucid import _READERS, Network, load, load_predictor, train
from pellucid.activations import ACTIVATIONS
from pellucid.layers import LAYERS
from pellucid.persistence import load_checkpoint
from pellucid.persistence.folder import FORMAT_VERSION
from pellucid.tables import TASKS
from pellucid.tables.preprocess import KINDS

ROOT = Path(__file__).parents[1]
KEPT = sorted(path.parent for path in (ROOT / "tests" / "folders").glob("*/*/model.json"))
MODELS = [path for path in KEPT if path.name != "checkpoint"]
CHECKPOINTS = [path for path in KEPT if path.name == "checkpoint"]


def version_and_name(path: Path) -> str:
    return f"{path.parent.name}-{path.name}"


def beside(folder: Path) -> dict[str, Any]:
    """What was kept beside a folder; the rows are as they were given."""
    document: dict[str, Any] = json.loads(folder.with_name(f"{folder.name}.json").read_bytes())
    rows = document["rows"]
    if isinstance(rows, dict):
        for name, dtype in document["dtypes"].items():
            rows[name] = np.array(rows[name], dtype=dtype)
    else:
        document["rows"] = np.array(rows)
    return document


def check_close(found: Any, expected: list[Any]) -> None:
    """The same labels, or the same numbers but for what float32 rounds on another CPU."""
    if isinstance(expected[0], str):
        assert found.tolist() == expected
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("folder", MODELS, ids=version_and_name)
def test_a_kept_model_predicts_what_it_did(folder: Path) -> None:
    document = beside(folder)
    rows = document["rows"]
    predictor = load_predictor(folder)
    check_close(predictor.predict(rows), document["predict"])
    if "predict_proba" in document:
        check_close(predictor.predict_proba(rows), document["predict_proba"])
    model = load(folder)
    if isinstance(model, Network):
        outputs = document.get("predict_proba", document["predict"])
        check_close(model.forward(rows.T).T, outputs)
    else:
        check_close(model.predict(rows), document["predict"])
        if "predict_proba" in document:
            check_close(model.predict_proba(rows), document["predict_proba"])


@pytest.mark.parametrize("folder", CHECKPOINTS, ids=version_and_name)
def test_a_kept_checkpoint_is_gone_on_from(folder: Path) -> None:
    document = beside(folder)
    network, training, _, _ = load_checkpoint(folder)
    assert training["epoch"] < document["arguments"]["epochs"]
    history = train(
        network, document["rows"].T, document["y"], resume=folder, **document["arguments"]
    )
    assert history.epochs == document["arguments"]["epochs"]
    assert network.parameters.keys() == document["parameters"].keys()
    for name, array in network.parameters.items():
        check_close(array, document["parameters"][name])


def test_folders_of_the_format_of_today_are_kept() -> None:
    kept = {json.loads((path / "model.json").read_bytes())["format_version"] for path in KEPT}
    assert max(kept) == FORMAT_VERSION, (
        "the format is newer than what is kept: raise the version in pyproject.toml, install, and "
        "run tools/keep_folders.py"
    )


def test_what_is_kept_names_nobody_and_no_place() -> None:
    texts = [path for folder in KEPT for path in folder.parent.rglob("*.json")]
    place = re.compile(r"(?<![\w.])(/|[A-Z]:\\+)\w+[/\\]+\w|\w@\w")
    found = {path.name: place.findall(path.read_text(encoding="utf-8")) for path in texts}
    assert {name for name, matches in found.items() if matches} == set()


# The tool -----------------------------------------------------------------------------------------


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The module tools/keep_folders.py, which keeps folders in a place of its own."""
    spec = importlib.util.spec_from_file_location("keep", ROOT / "tools" / "keep_folders.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "FOLDERS", tmp_path / "tests" / "folders")
    return module


def test_every_kind_is_kept(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    tool.main()
    kept = tool.FOLDERS / pellucid.__version__
    assert capsys.readouterr().out == f"Kept: tests/folders/{pellucid.__version__}\n"
    models = [json.loads(path.read_bytes()) for path in kept.glob("*/model.json")]
    columns = [
        each for model in models for each in model.get("preprocessing", {}).get("columns", ())
    ]
    layers = [layer for model in models for layer in model["network"]["layers"]]
    names = {
        g if isinstance(g := each.get("activation"), str) else g["name"]
        for each in layers
        if "activation" in each
    }
    assert {model["kind"] for model in models} == {*_READERS, "checkpoint"}
    assert {model.get("task") for model in models} == {*TASKS, None}
    assert {each["kind"] for each in columns} == set(KINDS)
    assert {each["layer"] for each in layers} == set(LAYERS)
    assert names == set(ACTIVATIONS)
    for folder in kept.glob("*/"):
        if folder.name != "checkpoint":
            test_a_kept_model_predicts_what_it_did(folder)
    test_a_kept_checkpoint_is_gone_on_from(kept / "checkpoint")


def test_what_is_kept_is_not_written_again(tool: ModuleType) -> None:
    there = tool.FOLDERS / pellucid.__version__
    there.mkdir(parents=True)
    with pytest.raises(SystemExit, match="is there already, and what a version wrote does not"):
        tool.main()
    assert list(there.iterdir()) == []
