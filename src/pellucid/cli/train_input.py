"""What ``pellucid train`` is given: the table, and the settings with the columns they name."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.cli.held_out import part_by
from pellucid.cli.reading import refuse_for_images
from pellucid.errors import DataError, SettingsError
from pellucid.tables.settings import TrainSettings

if TYPE_CHECKING:
    from pellucid.tables import Table


def settings_of(hidden_layer_sizes: str, **given: Any) -> TrainSettings:
    """The settings; all that is wrong with the options is named at once."""
    faults: list[tuple[str, str]] = []
    hidden = hidden_layer_sizes
    parts = [] if hidden.strip().lower() == "none" else [each.strip() for each in hidden.split(",")]
    if not all(part.isdecimal() and int(part) for part in parts):
        fault = "must be the units of each hidden layer, 1 or more, such as 64,32, or none"
        faults.append(("hidden_layer_sizes", f"{fault}; got {hidden!r}."))
        parts = ["1"]
    try:
        settings = TrainSettings(hidden_layer_sizes=tuple(map(int, parts)), **given)
    except SettingsError as error:
        faults += error.faults
    if faults:
        raise SettingsError(*faults)
    return settings


def default_folder(data: str) -> Path:
    """iris.pellucid for sample:iris and for any/where/iris.csv.gz."""
    if os.path.isdir(data):
        return Path(f"{Path(data).absolute().name}.pellucid")
    name = Path(data.removeprefix("sample:")).name.removesuffix(".gz")
    return Path(f"{Path(name).stem}.pellucid")


def read_table(
    data: str,
    target: str | None,
    header: bool | None,
    size: int,
    named: dict[str, list[str]],
    parting: dict[str, str | None],
    settings: TrainSettings,
) -> tuple[Table, TrainSettings, list[str]]:
    """The table with its target, the settings with the columns that options name, and cautions.

    These say why rows should not be held out at random.
    """
    from pellucid.tables.images import read_images
    from pellucid.tables.read import read_raw
    from pellucid.tables.settings import check_settings_named
    from pellucid.tables.table import some
    from pellucid.tables.text import TextFormat

    if os.path.isdir(data):
        refuse_for_images(target=target, header=header, **named, **parting)
        table, _ = read_images(data, size)
        if table.y is None:
            raise DataError(
                f"{data!r} holds images without a class; expected a folder for each class, "
                "such as photos/cat/1.jpg and photos/other/1.png."
            )
        return table, settings, []
    codes = {part for each in named["categorical"] for part in _parts(each, ())}
    raw = read_raw(data, TextFormat(header, [target] if target else (), codes))
    if target is None and "target" not in raw.names:
        known = some([repr(name) for name in raw.names])
        raise DataError(f"name the column to learn with --target; {data} has: {known}.")
    columns = {
        option: tuple(part for each in given for part in _parts(each, raw.names))
        for option, given in named.items()
    }
    parted = {option: (name,) for option, name in parting.items() if name is not None}
    check_settings_named({**columns, **parted}, raw.names)
    target = target or "target"
    both = [
        (option, f"names the target {target!r}.")
        for option, given in {**columns, **parted}.items()
        if target in given
    ]
    if both:
        raise SettingsError(*both)
    table = raw.table(target, drop=columns["drop"], task=settings.task)
    if columns["drop"]:
        table.notes.append(f"dropped: {some(list(map(repr, columns['drop'])))}")
    cautions = part_by(table, raw, parting)
    settings = dataclasses.replace(
        settings, keep=columns["keep"], categorical=columns["categorical"]
    )
    return table, settings, cautions


def _parts(given: str, names: Iterable[str]) -> list[str]:
    """The names in a list with commas; one that is a name as it stands is itself."""
    return (
        [given] if given in names else [part.strip() for part in given.split(",") if part.strip()]
    )
