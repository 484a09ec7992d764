"""Which rows ``pellucid train`` learns from and which it holds out, by the options that say so."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.cli.reading import read_rows
from pellucid.errors import DataError, SettingsError

if TYPE_CHECKING:
    from pellucid.tables import Table, TrainSettings
    from pellucid.tables.fit import Plan
    from pellucid.tables.read import RawTable


def check_parting(data: str, test: str | None, parting: dict[str, str | None]) -> None:
    """Refuse ways to part the rows that contradict each other."""
    faults = []
    if None not in parting.values():
        faults.append(("group", "and --time are both given; give one of the two."))
    if test is not None and (test == data or _is_same(test, data)):
        faults.append(("test", f"is {data!r}, which the network trains on; give other rows."))
    if faults:
        raise SettingsError(*faults)


def _is_same(test: str, data: str) -> bool:
    return os.path.exists(test) and os.path.exists(data) and os.path.samefile(test, data)


def part_by(table: Table, raw: RawTable, parting: dict[str, str | None]) -> list[str]:
    """Set what the table's rows are parted by, or return why that should not be chance."""
    from pellucid.tables.by import flattered, groups_of, time_of
    from pellucid.tables.frame import as_table

    def column(name: str) -> Any:
        """A column, also one that is dropped."""
        if name in table.columns:
            return table.columns[name]
        found = as_table({name: raw.column(name)}, source=table.source).columns[name]
        return found if table.kept is None else found[table.kept]

    time, group = parting["time"], parting["group"]
    if time is not None:
        table.by = time_of(table, time, column(time))
    elif group is not None:
        table.by = groups_of(table, group, column(group), is_column=True)
    else:
        columns = {}
        for name in raw.names:
            if name != table.target:
                with contextlib.suppress(DataError):  # what is dropped may hold anything
                    columns[name] = column(name)
        return flattered(columns)
    return []


def part(
    table: Table, settings: TrainSettings, test: str | None, header: bool | None
) -> tuple[Table, Table, Plan]:
    """Return the rows to learn from, those held out to measure, and the plan of the training."""
    from pellucid.tables.fit import LEAST_ROWS, prepare
    from pellucid.tables.split import MIN_ROWS, check_learnable, hold_out, infer_task

    check_learnable(table, MIN_ROWS if test is None else LEAST_ROWS)
    task, reason = infer_task(str(table.target), np.asarray(table.y), settings.task)
    settings = dataclasses.replace(settings, task=task)
    if test is None:
        seen, held_out = hold_out(table, task, seed=settings.seed)
        plan = prepare(seen, settings)
    else:
        seen, plan = table, prepare(table, settings)
        held_out = _test_rows(plan, test, header)
    plan.reason = reason
    return seen, held_out, plan


def _test_rows(plan: Plan, data: str, header: bool | None) -> Table:
    """The rows that --test names, checked before the training."""
    from pellucid.tables.evaluate import as_learned

    model = plan.model(
        plan.networks, settings=plan.settings.to_dict(), data={"decimal": plan.table.decimal}
    )
    rows, _ = read_rows(model, data, header, model.target)
    if rows.y is None:
        raise DataError(f"{data!r} holds images without a class; expected a folder for each class.")
    as_learned(model, rows.y, rows.source)
    model.inputs(rows)
    return rows


def describe(held_out: Table, test: str | None, cautions: list[str]) -> dict[str, Any]:
    """How rows are held out for the metrics: by what, in words, and why the score may flatter."""
    by = held_out.by if test is None else None
    words = "at random" if by is None else by.describe()
    return {
        "how": "test" if test is not None else "random" if by is None else by.how,
        "column": None if by is None else by.name,
        "words": words if test is None else f"the rows of {held_out.source}",
        "cautions": cautions if test is None else [],
    }
