"""The package as a whole: what importing it costs, its public names, its documents."""

import runpy
import subprocess
import sys
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
