"""pellucid-predict, the part of the package that predicts: packaging/predict."""

from __future__ import annotations

import ast
import fnmatch
import json
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import pellucid
from pellucid import Dense, Network, save
from pellucid.layers import Conv1D, GlobalPool

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "packaging" / "predict" / "pyproject.toml").read_text("utf-8"))
PREDICT = """
import json, sys
from pathlib import Path
import numpy as np
from pellucid import load_predictor
for model in json.loads(sys.argv[1]):
    kept = json.loads(Path(model + ".json").read_bytes())
    rows = kept["rows"]
    if isinstance(rows, dict):
        rows = {k: np.array(v, dtype=kept["dtypes"].get(k)) for k, v in rows.items()}
    found = load_predictor(model).predict(rows if isinstance(rows, dict) else np.array(rows))
    if isinstance(kept["predict"][0], str):
        assert found.tolist() == kept["predict"], model
    else:
        np.testing.assert_allclose(found, kept["predict"], rtol=1e-6, atol=1e-6)
names = {name.partition(".")[0] for name in sys.modules if name[0] != "_"}
print(*sorted(names - sys.stdlib_module_names))
"""


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """A folder with what pellucid-predict installs: its own files and what it depends on."""
    package = ROOT / "src" / "pellucid"
    exclude = PROJECT["tool"]["scikit-build"]["wheel"]["exclude"]
    for path in package.rglob("*"):
        name = f"pellucid/{path.relative_to(package).as_posix()}"
        out = (fnmatch.fnmatch(name, each) or name.startswith(each) for each in exclude)
        if path.suffix == ".py" and not any(out):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tmp_path / name)
    about = tmp_path / f"pellucid_predict-{pellucid.__version__}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Name: pellucid-predict\nVersion: {pellucid.__version__}\n")
    for requirement in PROJECT["project"]["dependencies"]:
        found = find_spec(requirement.partition(">")[0])
        assert found is not None
        for folder in Path(str(found.origin)).parents[1].glob(f"{found.name}*"):
            (tmp_path / folder.name).symlink_to(folder)
    return tmp_path


def run(part: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.append({str(part)!r})\n{code}"
    command = [sys.executable, "-I", "-S", "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_it_predicts_as_every_kept_model_did(part: Path) -> None:
    kept = (ROOT / "tests" / "folders").glob("*/*/model.json")
    models = [str(path.parent) for path in kept if path.parent.name != "checkpoint"]
    assert models
    done = run(part, PREDICT, json.dumps(models))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["numpy", "pellucid", "safetensors"]


def test_it_predicts_from_sequences_with_lengths(part: Path, tmp_path: Path) -> None:
    layers = [Conv1D(3, 2, "tanh"), GlobalPool("max"), Dense(2, "softmax")]
    net = Network(layers, (4, 2), seed=0, dtype="float64")
    save(net, tmp_path / "model")
    X, lengths = np.random.default_rng(0).normal(size=(3, 4, 2)), [4, 2, 3]
    code = """
import json
import numpy as np
from pellucid import load_predictor
rows, lengths = json.loads(sys.argv[2])
print(load_predictor(sys.argv[1]).predict_proba(np.array(rows), lengths=lengths).tolist())
names = {name.partition(".")[0] for name in sys.modules if name[0] != "_"}
print(sorted(names - sys.stdlib_module_names))
"""
    done = run(part, code, str(tmp_path / "model"), json.dumps([X.tolist(), lengths]))
    assert done.returncode == 0, done.stderr
    p, names = map(ast.literal_eval, done.stdout.splitlines())
    assert names == ["numpy", "pellucid", "safetensors"]
    np.testing.assert_allclose(np.transpose(p), net.forward(X.reshape(3, 8).T, lengths=lengths))


@pytest.mark.parametrize("what", ["train", "MLPClassifier", "lab"])
def test_what_it_lacks_is_said(part: Path, what: str) -> None:
    done = run(part, f"import pellucid; pellucid.{what}")
    assert "is not in pellucid-predict, which only predicts" in done.stderr
    assert "then pip install pellucid" in done.stderr


def test_frames_need_narwhals(part: Path) -> None:
    model = ROOT / "tests" / "folders" / "0.1.0" / "tabular_multiclass"
    code = "from pellucid import load_predictor\nload_predictor(sys.argv[1]).predict(object())"
    assert "pip install narwhals" in run(part, code, str(model)).stderr


def test_it_asks_for_what_pellucid_asks() -> None:
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    part = PROJECT["project"]
    assert set(part["dependencies"]) <= {each.strip() for each in whole["dependencies"]}
    for name in ("requires-python", "license", "authors"):
        assert part[name] == whole[name]
