"""What the catalogues share: an entry has a name and a formula, and is looked up by its name."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, TypeVar

from pellucid._shown import plain


@dataclass(frozen=True)
class Entry:
    """An entry of a catalogue: its fields are its parameters, its class attributes describe it."""

    kind: ClassVar[str]
    name: ClassVar[str]
    formula: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    advice: ClassVar[str] = ""

    def spec(self) -> str | dict[str, Any]:
        """Return what makes this entry again: its name, or a dict with its parameters too."""
        parameters = dataclasses.asdict(self)
        if all(parameters[f.name] == f.default for f in dataclasses.fields(self)):
            return self.name
        return {"name": self.name, **parameters}

    def _require(self, holds: bool, parameter: str, expected: str) -> None:
        if not holds:
            raise ValueError(
                f"{self.kind} {self.name}: {parameter} must be {expected}; "
                f"got {plain(getattr(self, parameter))!r}."
            )


E = TypeVar("E", bound=Entry)


def lookup(table: Mapping[str, type[E]], spec: object, base: type[E]) -> E:
    """Return the entry that an entry, its class, its name, or a dict from ``spec()`` stands for."""
    if isinstance(spec, base):
        return spec
    if isinstance(spec, Mapping):
        parameters = dict(spec)
        return _from_dict(table, parameters.pop("name", None), parameters, base)
    if isinstance(spec, type) and issubclass(spec, base):
        return spec()
    return _entry_class(table, spec, base)()


def _entry_class(table: Mapping[str, type[E]], name: object, base: type[E]) -> type[E]:
    if isinstance(name, str):
        for entry in table.values():
            if name == entry.name or name in entry.aliases:
                return entry
    names = [each for entry in table.values() for each in (entry.name, *entry.aliases)]
    raise ValueError(
        f"unknown {base.kind} {name!r}{did_you_mean(name, names)}. Known are: {', '.join(table)}."
    )


def _from_dict(
    table: Mapping[str, type[E]], name: object, parameters: dict[str, Any], base: type[E]
) -> E:
    entry = _entry_class(table, name, base)
    known = [field.name for field in dataclasses.fields(entry)]
    unknown = [key for key in parameters if key not in known]
    if unknown:
        has = f"it has {', '.join(known)}" if known else "it has none"
        raise ValueError(
            f"{base.kind} {name!r} has no parameter {unknown[0]!r}"
            f"{did_you_mean(unknown[0], known)}; {has}."
        )
    return entry(**parameters)


_LONGEST, _MOST = 100, 10_000
"""Characters of a name, and names, that are compared: comparing takes its time."""


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'relu'?)"`` for the nearest known name, or an empty string."""
    text = str(name)
    if len(text) > _LONGEST:
        return ""
    hopeful = islice((each for each in known if len(each) < 3 * len(text)), _MOST)
    near = difflib.get_close_matches(text, hopeful, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
