"""Models and the data for them, as the commands that use a trained model read them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid._shown import short
from pellucid.errors import DataError, ModelError, SettingsError

if TYPE_CHECKING:
    from pellucid.tables import Table, TableModel


def read_model(path: Path) -> TableModel:
    """Return the model that ``pellucid train`` wrote to this folder."""
    from pellucid.persistence import load_predictor
    from pellucid.tables.model import TableModel

    loaded = load_predictor(path)
    if not isinstance(loaded, TableModel):
        raise ModelError(
            f"{str(path)!r} holds a network without table columns; expected a model that pellucid "
            f"train wrote. In Python: pellucid.load({str(path)!r})."
        )
    return loaded


def read_rows(
    model: TableModel, data: str, header: bool | None, target: str | None = None
) -> tuple[Table, list[str]]:
    """Return rows for a model, with their target where it is asked for, and the images' names."""
    from pellucid.tables.kinds import Image
    from pellucid.tables.read import read_table

    kinds = model.preprocessing.columns
    image = next((kind for kind in kinds.values() if isinstance(kind, Image)), None)
    if image is not None:
        return _images(data, image.height, target, header)
    if os.path.isdir(data):
        raise DataError(f"{data!r} is a folder; the model was trained on a table.")
    table = read_table(
        data,
        target=target,
        columns=list(kinds),
        header=header,
        texts=model.codes,
        decimal=model.data.get("decimal"),  # 1,234 alone does not tell
        task=model.reads_target_as,
    )
    return table, []


def _images(
    data: str, size: int, target: str | None, header: bool | None
) -> tuple[Table, list[str]]:
    """A folder of images, or one."""
    from pellucid._files import nearest_file
    from pellucid.tables.images import ENDINGS, read_images

    refuse_for_images(target=target, header=header)
    if not os.path.exists(data):
        raise DataError(f"there is no file or folder {data!r}{nearest_file(Path(data))}.")
    if not os.path.isdir(data) and Path(data).suffix.lower() not in ENDINGS:
        raise DataError(
            f"{data!r} is not an image ({', '.join(ENDINGS)}); the model was trained on images."
        )
    return read_images(data, size)


def count_unseen(model: TableModel, table: Table) -> tuple[dict[str, int], str]:
    """Return how many rows of each column hold a category that is new, and that as a sentence.

    The column with the most comes first; without any the sentence is empty.
    """
    from pellucid.tables.kinds import Category
    from pellucid.tables.table import count, some
    from pellucid.tables.values import text_of

    masks = model.preprocessing.unseen(table.columns, table.source)
    rows = {name: int(mask.sum()) for name, mask in masks.items()}
    parts = []
    for name, mask in masks.items():
        kind = model.preprocessing.columns[name]
        what = "not seen in training"
        if isinstance(kind, Category) and not kind.knows_all:
            known = len(kind.categories) + len(kind.rare)
            what = f"that is not one of the {known:,} known to the model"
        example = str(text_of(table.columns[name][mask.argmax()]))[:40]
        verb = "holds" if rows[name] == 1 else "hold"
        of_all = f"{rows[name]:,} of {count(table.m, 'row')}"
        parts.append(f"{short(repr(name))}: {of_all} {verb} a category {what}, such as {example!r}")
    return rows, f"{some(parts, most=5, by='; ')}." if parts else ""


def refuse_for_images(*, target: str | None = None, **options: Any) -> None:
    """Refuse what images have no use for: options of columns, and another target."""
    from pellucid.tables.images import COLUMN, TARGET

    faults = [
        (name, f"is for tables; images have one column, {COLUMN!r}, and no header.")
        for name, given in options.items()
        if given not in (None, [])
    ]
    if target not in (None, TARGET):
        fault = f"is {TARGET!r} for images, the name of an image's folder; got {target!r}."
        faults.insert(0, ("target", fault))
    if faults:
        raise SettingsError(*faults)


def row_of(table: Table, row: int) -> Table:
    """Return one row of a table, counted from 1."""
    from pellucid.tables.table import count

    if table.kept is not None:  # --row counts those without a target too
        found = table.rows(table.kept == row - 1)
        if not found.m:
            raise DataError(
                f"{table.source}: row {row} has no target, or is beyond the last row. Choose one "
                f"of the {count(table.m, 'row')} with a target."
            )
        return found
    if row > table.m:
        raise DataError(f"{table.source} has {count(table.m, 'row')}; --row {row} is beyond them.")
    return table.rows(slice(row - 1, row))
