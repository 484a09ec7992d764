"""``pellucid diagnose``: what is wrong with a model, and what to change."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli import options
from pellucid.cli.output import console, print_json, say
from pellucid.cli.reading import read_rows
from pellucid.errors import SettingsError

if TYPE_CHECKING:
    from pellucid.insight import Diagnosis


def diagnose(
    model: options.Model,
    data: Annotated[
        str | None,
        typer.Argument(metavar="DATA", help="Rows with their target, to look at too."),
    ] = None,
    header: options.Header = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Print the changed settings alone, as options of train.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Say what is wrong with a model or its training, why, and what to change.

    It looks at the parameters, the curves and what was measured while training; with DATA, such as
    the file it was trained on, at the activations, the gradients and the columns too.

    \b
    Examples:
      pellucid diagnose churn.pellucid
      pellucid diagnose churn.pellucid customers.csv --fix
    """
    from pellucid.insight import diagnose as diagnosed
    from pellucid.persistence import load_predictor
    from pellucid.tables import TableModel

    loaded: Any = load_predictor(model)
    if data is None:
        found = diagnosed(str(model))
    elif not isinstance(loaded, TableModel):
        raise SettingsError(("", f"{str(model)!r} knows no columns, so leave DATA out."))
    else:
        table, _ = read_rows(loaded, data, header, loaded.target)
        found = diagnosed(loaded, table, table.y)
    if json:
        print_json({"model": str(model), **found.to_dict(), "suggested": found.suggest()})
    elif fix:
        say(console(), as_options(found) or "Nothing to change.")
    else:
        say(console(), found.text())


OPTIONS = {
    "hidden_layer_sizes": "hidden",
    "activation": "activation",
    "learning_rate": "learning-rate",
    "epochs": "epochs",
    "batch_size": "batch-size",
    "early_stopping": "patience",
    "l2": "l2",
    "dropout": "dropout",
    "optimizer": "optimizer",
}
"""The suggestions that are options of train; others are for Python."""


def as_options(found: Diagnosis) -> str:
    """Return the suggested settings as options of ``pellucid train``, a line for each other one."""
    options, other = [], []
    for name, value in found.suggest().items():
        text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        if name in OPTIONS and not isinstance(value, bool):
            options.append(f"--{OPTIONS[name]} {shlex.quote(text)}")
        else:
            other.append(f"{name} = {value!r}")
    return "\n".join([*([" ".join(options)] if options else []), *other])
