"""The package as a whole: what importing it costs, its public names, its documents."""

import importlib.util
import os
import runpy
import shutil
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

import pellucid

ROOT = Path(__file__).parents[1]
HEAVY = {"sklearn", "scipy", "polars", "pandas", "pyarrow", "matplotlib", "typer", "rich"}


def imported_by(statement):
    code = f"import sys; {statement}; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_pellucid_imports_next_to_nothing():
    assert not imported_by("import pellucid") & (HEAVY | {"numpy"})


def test_training_a_network_needs_none_of_the_heavy_modules():
    assert not imported_by("from pellucid import Dense, Network, train") & HEAVY


def test_importing_the_command_line_is_light():
    heavy = HEAVY - {"typer", "rich"}
    assert not imported_by("import pellucid.cli") & heavy


@pytest.mark.parametrize("name", pellucid.__all__)
def test_every_public_name_is_there(name):
    assert getattr(pellucid, name) is not None
    assert name in dir(pellucid)


@pytest.mark.parametrize("name", pellucid._ROOMS)
def test_every_room_is_reachable(name):
    found = imported_by(f"import pellucid; assert pellucid.{name}.__doc__")
    assert f"pellucid.{name}" in found
    assert name in dir(pellucid)


def test_every_module_is_a_room_or_private():
    path = ROOT / "src" / "pellucid"
    there = {p.stem for p in path.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert {name for name in there if name[0] != "_"} - {"cli"} == set(pellucid._ROOMS)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'pellucid' has no attribute 'Netwrok'"):
        pellucid.Netwrok  # noqa: B018  the access itself is what is tested


def test_the_page_of_catalogues_is_current():
    page = runpy.run_path(str(ROOT / "tools" / "write_catalogues.py"))["page"]()
    written = (ROOT / "docs" / "catalogues.md").read_text(encoding="utf-8")
    assert written == page, "run `make docs`"


def test_no_source_file_is_too_long():
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    lengths = {str(f.relative_to(ROOT)): len(f.read_text().splitlines()) for f in files}
    assert {name: n for name, n in lengths.items() if n > 600} == {}


@pytest.fixture
def build(tmp_path):
    """A function that builds a wheel where there is no compiler; environment -> pip's outcome."""
    if not importlib.util.find_spec("scikit_build_core"):
        pytest.skip("scikit-build-core is not installed here")
    if not (shutil.which("cmake") or importlib.util.find_spec("cmake")):
        pytest.skip("cmake is not installed here")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    pip += ["--config-settings", f"build-dir={tmp_path / 'build'}", "--wheel-dir", str(tmp_path)]

    def run(**environment):
        missing = {"CC": str(tmp_path / "cc"), "CXX": str(tmp_path / "c++")}
        return subprocess.run(
            [*pip, str(ROOT)],
            env=os.environ | {"PELLUCID_PURE": "0"} | missing | environment,
            capture_output=True,
            text=True,
        )

    return run


def test_a_build_without_a_compiler_says_what_to_install(build, tmp_path):
    done = build()
    assert done.returncode
    assert "apt install g++ python3-dev" in done.stdout + done.stderr
    assert "PELLUCID_PURE=1 pip install ." in done.stdout + done.stderr
    assert not list(tmp_path.glob("*.whl"))


def test_a_pure_build_needs_no_compiler(build, tmp_path):
    done = build(PELLUCID_PURE="1")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "pellucid/engines/reference.py" in names
    assert not [name for name in names if "_fused_" in name or "/_cpu" in name]


def test_the_package_is_below_5_megabytes():
    files = [p for p in Path(pellucid.__file__).parent.rglob("*") if p.is_file()]
    packed = [len(zlib.compress(p.read_bytes())) for p in files if p.suffix != ".pyc"]
    assert sum(packed) < 5e6
