"""Version, requirements and Pythons are those of pyproject.toml, wherever they stand."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = SETTINGS["project"]
WORKFLOWS = ROOT / ".github" / "workflows"
PYTHONS = [
    each.rpartition(" ")[2]
    for each in PROJECT["classifiers"]
    if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", each)
]

in_the_repository = pytest.mark.skipif(not WORKFLOWS.is_dir(), reason="an sdist has no workflows")


def read(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text("utf-8"))


def bounds(requirements: list[str]) -> dict[str, str]:
    """The lower bound of each package, of 'name>=1.2' or conda's 'name >=1.2'."""
    return {
        name.strip(): bound for name, _, bound in (each.partition(">=") for each in requirements)
    }


@pytest.fixture
def recipe() -> Any:
    return read("packaging/conda/recipe.yaml")


def test_the_citation_is_of_this_version() -> None:
    citation = read("CITATION.cff")
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert citation["authors"] == PROJECT["authors"]


def test_the_latest_release_in_the_changelog_is_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    first, *released = re.findall(r"^## (\S+)", text, re.MULTILINE)
    assert first == "Unreleased"
    assert released[:1] in ([], [PROJECT["version"]])


def test_the_recipe_of_conda_is_of_this_version(recipe: Any) -> None:
    assert recipe["context"]["version"] == PROJECT["version"]
    assert recipe["package"]["name"] == PROJECT["name"]
    assert recipe["about"]["license"] == PROJECT["license"]
    assert [recipe["about"]["license_file"]] == PROJECT["license-files"]


def test_the_recipe_of_conda_asks_for_the_same_packages(recipe: Any) -> None:
    python, *run = recipe["requirements"]["run"]
    assert python == "python"
    assert bounds(run) == bounds(PROJECT["dependencies"])
    python, pip, *host = recipe["requirements"]["host"]
    assert (python, pip) == ("python", "pip")
    assert bounds(host) == bounds(SETTINGS["build-system"]["requires"])


def test_pythons_are_the_same_everywhere(recipe: Any) -> None:
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert PYTHONS == [f"3.{k}" for k in range(11, 11 + len(PYTHONS))]
    assert PYTHONS[0] == oldest
    assert recipe["context"]["python_min"] == oldest
    assert SETTINGS["tool"]["mypy"]["python_version"] == oldest
    assert SETTINGS["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"


def test_wheels_are_tested_on_every_python() -> None:
    wheels = SETTINGS["tool"]["cibuildwheel"]
    assert wheels["build"] == [f"cp{each.replace('.', '')}-*" for each in PYTHONS]
    assert f"{SETTINGS['tool']['scikit-build']['wheel']['py-api']}-*" in wheels["build"]
    files = re.findall(r"\{project\}/(\S+)", " ".join(wheels["test-command"]))
    assert files
    assert [each for each in files if not (ROOT / each).is_file()] == []
    assert set(wheels["test-extras"]) <= set(PROJECT["optional-dependencies"])


@in_the_repository
def test_the_workflow_of_tests_runs_on_every_python() -> None:
    jobs = read(".github/workflows/ci.yml")["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == PYTHONS


@in_the_repository
def test_workflows_may_do_little_and_name_their_actions_by_commit() -> None:
    names = sorted(path.name for path in WORKFLOWS.iterdir())
    assert names == ["ci.yml", "wheels.yml"]
    for name in names:
        workflow = read(f".github/workflows/{name}")
        assert workflow["permissions"] == {"contents": "read"}
        rights = {job: each.get("permissions") for job, each in workflow["jobs"].items()}
        publish = {"id-token": "write"}
        assert {job for job, right in rights.items() if right} <= {"testpypi", "publish"}
        assert all(right in (None, publish) for right in rights.values())
        steps = [step for each in workflow["jobs"].values() for step in each["steps"]]
        actions = [step["uses"] for step in steps if "uses" in step]
        assert actions
        assert [each for each in actions if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", each)] == []


@in_the_repository
@pytest.mark.skipif(shutil.which("bash") is None, reason="the step is a bash script")
@pytest.mark.parametrize(
    ("tag", "files", "fine"),
    [
        ("v1.2.0", ["pellucid-1.2.0.tar.gz", "pellucid-1.2.0-cp312-abi3-win_amd64.whl"], True),
        ("v1.2.0", ["pellucid-1.2.0.tar.gz", "pellucid-1.2.0.post1-cp311-none-any.whl"], False),
        ("v1.2", ["pellucid-1.2.0.tar.gz"], False),
        ("v1.2.0", ["pellucid_predict-1.2.0-py3-none-any.whl"], False),
        ("v1.2.0", [], False),
    ],
)
def test_nothing_is_published_under_a_tag_of_another_version(
    tag: str, files: list[str], fine: bool, tmp_path: Path
) -> None:
    job = read(".github/workflows/wheels.yml")["jobs"]["publish"]
    assert "refs/tags/v" in job["if"]
    (script,) = (step["run"] for step in job["steps"] if "run" in step)
    (tmp_path / "dist").mkdir()
    for name in files:
        (tmp_path / "dist" / name).touch()
    command = ["bash", "-e", "-o", "pipefail", "-c", script]
    environment = {"GITHUB_REF_NAME": tag}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode == 0) is fine
    assert ("is not of version" in done.stdout) is not fine
