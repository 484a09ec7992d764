"""Models and the data for them, as the commands that use a trained model read them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.errors import DataError, ModelError

if TYPE_CHECKING:
    from pellucid.tables import Table, TableModel


def read_model(path: Path) -> TableModel:
    """Return the model that ``pellucid train`` wrote to this folder."""
    from pellucid.persistence import load_predictor
    from pellucid.tables.model import TableModel

    loaded = load_predictor(path)
    if not isinstance(loaded, TableModel):
        raise ModelError(
            f"{str(path)!r} holds a network that knows no columns; expected a model that pellucid "
            f"train wrote. In Python: pellucid.load({str(path)!r})."
        )
    return loaded


def read_rows(
    model: TableModel, data: str, header: bool | None, target: str | None = None
) -> tuple[Table, list[str]]:
    """Return rows for a model, with their target where it is asked for, and the images' names."""
    from pellucid.tables.images import read_images
    from pellucid.tables.kinds import Image
    from pellucid.tables.read import read_table

    kinds = model.preprocessing.columns
    image = next((kind for kind in kinds.values() if isinstance(kind, Image)), None)
    if os.path.isdir(data) and image is not None:
        return read_images(data, image.height)
    if os.path.isdir(data) or image is not None:
        expected, got = ("a folder of images", "a file") if image else ("a table", "a folder")
        raise DataError(f"{data!r} is {got}; the model was trained on {expected}.")
    coded = [name for name, kind in kinds.items() if getattr(kind, "from_numbers", None) is False]
    return read_table(data, target=target, columns=list(kinds), header=header, texts=coded), []


def row_of(table: Table, row: int) -> Table:
    """Return one row of a table, counted from 1."""
    from pellucid.tables.table import count

    if row > table.m:
        raise DataError(f"{table.source} has {count(table.m, 'row')}; --row {row} is beyond them.")
    return table.rows(slice(row - 1, row))
