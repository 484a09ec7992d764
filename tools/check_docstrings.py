"""Check that public names are documented, without importing anything.

Every public module, class, function and method of a package needs a docstring; a method that
overrides a documented one of a base class in the package inherits it, as in `help()`. Names that
the package exports (its `__all__` and its lazy table `_EXPORTS = {name: module}`) also need an
`Examples` section with `>>>`.

    python tools/check_docstrings.py src/pellucid

Prints every miss as `path:line name: what is missing`; the exit status is 1 if there is one.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

EXAMPLES = re.compile(r"^[ \t]*Examples?:?[ \t]*$(?P<body>.*)", re.MULTILINE | re.DOTALL)


class Package:
    """The parsed modules of a package by dotted name: `pellucid`, `pellucid.layers.dense`."""

    def __init__(self, root: Path) -> None:
        self.name = root.name
        self.paths: dict[str, Path] = {}
        self.trees: dict[str, ast.Module] = {}
        for path in sorted(root.rglob("*.py")):
            parts = [root.name, *path.relative_to(root).with_suffix("").parts]
            if parts[-1] == "__init__":
                parts.pop()
            module = ".".join(parts)
            self.paths[module] = path
            self.trees[module] = ast.parse(path.read_text(encoding="utf-8"), str(path))

    def absolute(self, module: str, within: str, level: int) -> str:
        """The dotted name that `from <level dots><module> import …` means in module `within`."""
        if level == 0:
            return module
        base = within.split(".")
        up = level - 1 if self.paths[within].name == "__init__.py" else level
        base = base[: len(base) - up]
        return ".".join([*base, module] if module else base)

    def find(self, name: str, module: str) -> tuple[str, ast.stmt | None]:
        """Where `name` of `module` is defined, through imports; None if it is nowhere."""
        tree = self.trees.get(module)
        for node in statements(tree.body if tree else []):
            match node:
                case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                    if node.name == name:
                        return module, node
                case ast.ImportFrom():
                    for alias in node.names:
                        if (alias.asname or alias.name) == name:
                            source = self.absolute(node.module or "", module, node.level)
                            return self.find(alias.name, source)
                case ast.Assign() | ast.AnnAssign():
                    if name in assigned(node):
                        return module, node
        if f"{module}.{name}" in self.trees:  # a module, whose docstring is checked anyway
            return module, ast.Pass()
        return module, None

    def inherits_docstring(self, node: ast.ClassDef, method: str, module: str) -> bool:
        """Whether a base class of `node`, if it is in the package, documents `method`."""
        for expression in node.bases:
            base = expression.value if isinstance(expression, ast.Subscript) else expression
            if not isinstance(base, ast.Name):
                continue
            where, definition = self.find(base.id, module)
            if not isinstance(definition, ast.ClassDef):
                continue
            for name, own in public_definitions(definition.body):
                if name == method and ast.get_docstring(own):
                    return True
            if self.inherits_docstring(definition, method, where):
                return True
        return False

    def exports(self) -> dict[str, tuple[str, int]]:
        """Exported name -> (the module to look in, the line that exports it)."""
        found: dict[str, tuple[str, int]] = {}
        for node in self.trees[self.name].body:
            if not isinstance(node, ast.Assign | ast.AnnAssign):
                continue
            names = assigned(node)
            if "__all__" in names and isinstance(node.value, ast.List | ast.Tuple):
                for item in node.value.elts:
                    if isinstance(item, ast.Constant):
                        found.setdefault(str(item.value), (self.name, item.lineno))
            if "_EXPORTS" in names and isinstance(node.value, ast.Dict):
                for key, value in zip(node.value.keys, node.value.values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(value, ast.Constant):
                        found[str(key.value)] = (self.qualified(str(value.value)), key.lineno)
        return {name: place for name, place in found.items() if not name.startswith("_")}

    def qualified(self, module: str) -> str:
        """`network` and `.network` as `pellucid.network`."""
        module = module.lstrip(".")
        inside = module == self.name or module.startswith(f"{self.name}.")
        return module if inside else f"{self.name}.{module}"


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body, those below `if` and `try` included."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from statements([*node.body, *node.orelse])


def assigned(node: ast.Assign | ast.AnnAssign) -> list[str]:
    """The plain names that an assignment sets."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def is_exempt(function: FunctionNode) -> bool:
    """Property setters and deleters, and the stubs of an overloaded function."""
    names = [ast.unparse(decorator).split(".")[-1] for decorator in function.decorator_list]
    return any(name in {"setter", "deleter", "overload"} for name in names)


def public_definitions(body: list[ast.stmt]) -> Iterator[tuple[str, Documented]]:
    """The public classes and functions of a body."""
    for node in statements(body):
        if not isinstance(node, Documented) or node.name.startswith("_"):
            continue
        if isinstance(node, ast.ClassDef) or not is_exempt(node):
            yield node.name, node


def undocumented(
    package: Package, module: str, body: list[ast.stmt], within: ast.ClassDef | None = None
) -> Iterator[tuple[int, str]]:
    """Line and name of what lacks a docstring in a module or class, and in the classes there."""
    for name, node in public_definitions(body):
        full = f"{within.name}.{name}" if within else name
        inherited = within is not None and package.inherits_docstring(within, name, module)
        if not ast.get_docstring(node) and not inherited:
            yield node.lineno, full
        if isinstance(node, ast.ClassDef):
            yield from undocumented(package, module, node.body, node)


def misses(package: Package) -> Iterator[tuple[Path, int, str, str]]:
    """Every (path, line, name, what is missing)."""
    for module, tree in package.trees.items():
        if any(part.startswith("_") for part in module.split(".")):
            continue
        path = package.paths[module]
        if not ast.get_docstring(tree):
            yield path, 1, module, "the module has no docstring"
        for line, name in undocumented(package, module, tree.body):
            yield path, line, name, "no docstring"

    for name, (source, line) in package.exports().items():
        module, definition = package.find(name, source)
        if definition is None:
            missing = f"exported, but not defined in {source}"
            yield package.paths[package.name], line, name, missing
        elif isinstance(definition, Documented):
            examples = EXAMPLES.search(ast.get_docstring(definition) or "")
            if examples is None or ">>>" not in examples["body"]:
                missing = "exported, but its docstring has no Examples section with >>>"
                yield package.paths[module], definition.lineno, name, missing


def main(arguments: list[str]) -> int:
    """Check the package folders named on the command line."""
    if not arguments:
        print("usage: check_docstrings.py PACKAGE_FOLDER...", file=sys.stderr)
        return 2
    found: list[tuple[Path, int, str, str]] = []
    for folder in map(Path, arguments):
        if not (folder / "__init__.py").is_file():
            print(f"{folder} is not a package: it has no __init__.py", file=sys.stderr)
            return 2
        found += misses(Package(folder))
    for path, line, name, missing in sorted(found):
        print(f"{path}:{line} {name}: {missing}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
