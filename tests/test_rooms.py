"""The map of rooms in CONTRIBUTING.md: every module is on it, and imports only from above."""

from __future__ import annotations

import ast
import graphlib
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import pellucid

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "pellucid"

EXCEPTIONS = {
    ("persistence", "estimators"): "load makes the estimator that a folder names: _KINDS",
    ("persistence", "tables"): "load_predictor makes the model that a folder names: _KINDS",
}
"""Imports from below that are there today: who, from where, and why. The list only shrinks."""


def rows_of_map() -> list[list[str]]:
    """The rooms of each row of the table, from the top; "layers/" is the room layers."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.split("\n## Rooms of the package\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| ([^|]*) \| [^|]+ \|$", section, flags=re.MULTILINE)
    return [re.findall(r"`(\w+)/?`", cell) for cell in cells[2:]]


_TYPE_CHECKING = ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every import of something of Pellucid: its line, and the room.

    Those inside functions count, and those by a text that is the whole name of a module, as in
    import_module("pellucid.engines.simd") or a table of them. Those for type checking alone do not
    count; those by a text that is put together, as f"pellucid.{name}", are not seen.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in _TYPE_CHECKING:
            yield from imports(ast.Module(node.orelse, []))
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, (
                "imports name the whole module: from pellucid.layers import Dense"
            )
            names = [f"{node.module}.{each.name}" for each in node.names]
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pellucid":
            names = [f"pellucid.{node.attr}"]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value] if re.fullmatch(r"pellucid(\.\w+)+", node.value) else []
        for name in names:
            if name.split(".")[0] == "pellucid":
                yield getattr(node, "lineno", 0), room_of(name)
        yield from imports(node)


def room_of(name: str) -> str:
    """The room of a dotted name: of pellucid.layers.Dense it is layers, and of pellucid.Dense."""
    _, first, *_ = [*name.split("."), ""]
    where = pellucid._EXPORTS.get(first, f"pellucid.{first}").split(".")[1]
    return where if where in ROOMS else "__init__"


ROOMS = {
    path.stem
    for path in SOURCE.iterdir()
    if path.suffix == ".py" or (path / "__init__.py").exists()
}
ROWS = rows_of_map()
PLACE = {room: place for place, row in enumerate(ROWS) for room in row}

FOUND: dict[tuple[str, str], list[str]] = {}
"""Who imports from which other room, and where."""
for _path in sorted(SOURCE.rglob("*.py")):
    _file = _path.relative_to(SOURCE)
    if _file.name == "__init__.py" and len(_file.parts) == 1:
        continue  # its tables name all that `import pellucid` gives; it imports nothing itself
    for _line, _room in imports(ast.parse(_path.read_text(encoding="utf-8"))):
        if _room != _file.parts[0].removesuffix(".py"):
            _pair = (_file.parts[0].removesuffix(".py"), _room)
            FOUND.setdefault(_pair, []).append(f"{_file}:{_line}")


def test_every_module_is_in_one_row_of_the_map() -> None:
    assert sorted(room for row in ROWS for room in row) == sorted(ROOMS)


def test_rooms_import_only_from_above() -> None:
    below = {
        f"{importer} imports from {room}, below it": lines
        for (importer, room), lines in FOUND.items()
        if PLACE[importer] < PLACE[room] and (importer, room) not in EXCEPTIONS
    }
    assert below == {}


@pytest.mark.parametrize("row", [row for row in ROWS if len(row) > 1], ids=", ".join)
def test_rooms_of_one_row_import_in_no_circle(row: list[str]) -> None:
    graph = {room: [other for other in row if (room, other) in FOUND] for room in row}
    assert len([*graphlib.TopologicalSorter(graph).static_order()]) == len(row)


@pytest.mark.parametrize("pair", EXCEPTIONS, ids=" from ".join)
def test_no_exception_is_there_in_vain(pair: tuple[str, str]) -> None:
    importer, room = pair
    assert pair in FOUND
    assert PLACE[importer] < PLACE[room]


def test_imports_are_found_wherever_they_stand() -> None:
    code = """
if TYPE_CHECKING:
    from pellucid.tables import Table
else:
    import pellucid.report
from pellucid import Dense, __version__, losses
from pellucid.training.run import Run
def later():
    from pellucid.engines.simd import levels
    import_module("pellucid.estimators"), "pellucid.load reads it", pellucid.save(x)
"""
    assert sorted(room for _, room in imports(ast.parse(code))) == [
        *("__init__", "engines", "estimators", "layers", "losses"),
        *("persistence", "report", "training"),
    ]


@pytest.mark.parametrize("room", pellucid._ROOMS)
def test_every_public_name_of_a_room_is_there(room: str) -> None:
    module = importlib.import_module(f"pellucid.{room}")
    names = getattr(module, "__all__", [])
    assert [name for name in names if not hasattr(module, name)] == []
    assert module.__doc__
