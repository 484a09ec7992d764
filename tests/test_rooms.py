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


def rows_of_map() -> list[list[str]]:
    """The rooms of each row of the table, from the top; "layers/" is the room layers."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.split("\n## Rooms of the package\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| ([^|]*) \| [^|]+ \|$", section, flags=re.MULTILINE)
    return [re.findall(r"`(\w+)/?`", cell) for cell in cells[2:]]


_TYPE_CHECKING = ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every import of something of Pellucid: its line, and its whole name.

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
                yield getattr(node, "lineno", 0), name
        yield from imports(node)


def module_of(name: str) -> str:
    """The module of a dotted name: of pellucid.layers.Dense it is layers, and of pellucid.Dense."""
    parts = name.split(".")
    if name.startswith(COMPILED):
        return name.removeprefix("pellucid.")
    if len(parts) > 1 and parts[1] in pellucid._EXPORTS:
        parts = pellucid._EXPORTS[parts[1]].split(".")
    while (dotted := ".".join(parts[1:]) or "__init__") not in MODULES:
        parts.pop()
    return dotted


def room_of(name: str) -> str:
    """The room of a dotted name."""
    return module_of(name).split(".")[0]


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The groups of modules that all lead to each other, by Tarjan's walk; none where all is well.

    Recursive: a chain of imports is short.
    """
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for other in sorted(graph.get(module, ())):
            if other not in number:
                visit(other)
            if other in stack:
                lowest[module] = min(lowest[module], lowest[other])
        if lowest[module] == number[module]:
            at = stack.index(module)
            found.append(sorted(stack[at:]))
            del stack[at:]

    for module in sorted(graph):
        if module not in number:
            visit(module)
    return [group for group in found if len(group) > 1]


ROOMS = {
    path.stem
    for path in SOURCE.iterdir()
    if path.suffix == ".py" or (path / "__init__.py").exists()
}
ROWS = rows_of_map()
PLACE = {room: place for place, row in enumerate(ROWS) for room in row}

COMPILED = ("pellucid.engines._cpu", "pellucid.engines._fused_")

MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
}
"""Every module by its name without "pellucid.", and its file."""

FOUND: dict[tuple[str, str], list[str]] = {}
"""Who imports from which other room, and where."""
GRAPH: dict[str, set[str]] = {}
"""Which other modules a module imports."""
for _module, _path in MODULES.items():
    if _module == "__init__":
        continue  # its tables name all that `import pellucid` gives; it imports nothing itself
    _importer = _module.split(".")[0]
    GRAPH[_module] = set()
    for _line, _name in imports(ast.parse(_path.read_text(encoding="utf-8"))):
        if module_of(_name) != _module:
            GRAPH[_module].add(module_of(_name))
        if room_of(_name) != _importer:
            _place = f"{_path.relative_to(SOURCE)}:{_line}"
            FOUND.setdefault((_importer, room_of(_name)), []).append(_place)


def test_every_module_is_in_one_row_of_the_map() -> None:
    assert sorted(room for row in ROWS for room in row) == sorted(ROOMS)


def test_rooms_import_only_from_above() -> None:
    below = {
        f"{importer} imports from {room}, below it": lines
        for (importer, room), lines in FOUND.items()
        if PLACE[importer] < PLACE[room]
    }
    assert below == {}


@pytest.mark.parametrize("row", [row for row in ROWS if len(row) > 1], ids=", ".join)
def test_rooms_of_one_row_import_in_no_circle(row: list[str]) -> None:
    graph = {room: [other for other in row if (room, other) in FOUND] for room in row}
    assert len([*graphlib.TopologicalSorter(graph).static_order()]) == len(row)


def test_modules_import_in_no_circle() -> None:
    """Not even where an import stands inside a function: what needs each other is one module."""
    assert circles(GRAPH) == []


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"e"}, "e": {"d"}, "f": {"a"}}
    assert sorted(circles(graph)) == [["a", "b", "c"], ["d", "e"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


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
    assert sorted(room_of(name) for _, name in imports(ast.parse(code))) == [
        *("__init__", "engines", "estimators", "layers", "losses"),
        *("persistence", "report", "training"),
    ]


@pytest.mark.parametrize("room", pellucid._ROOMS)
def test_every_public_name_of_a_room_is_there(room: str) -> None:
    module = importlib.import_module(f"pellucid.{room}")
    names = getattr(module, "__all__", [])
    assert [name for name in names if not hasattr(module, name)] == []
    assert module.__doc__
