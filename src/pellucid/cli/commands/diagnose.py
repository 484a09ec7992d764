"""``pellucid diagnose``: what is wrong with a model, and what to change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid._shown import lines, quoted
from pellucid.cli import options
from pellucid.cli.output import console, print_json, say
from pellucid.cli.reading import read_rows
from pellucid.errors import SettingsError

if TYPE_CHECKING:
    from pellucid.insight import Diagnosis

HELP_ORDER = 50


def diagnose(
    model: options.Model,
    data: Annotated[
        str | None,
        typer.Argument(metavar="DATA", help="Rows with their target, to examine as well."),
    ] = None,
    header: options.Header = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Print only the changed settings, as options of train.")
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
        raise SettingsError(("", f"{str(model)!r} has no table columns, so leave DATA out."))
    else:
        table, _ = read_rows(loaded, data, header, loaded.target)
        found = diagnosed(loaded, table, table.y)
    if json:
        print_json({"model": str(model), **found.to_dict(), "suggested": found.suggest()})
    elif fix:
        changed = as_options(found) if isinstance(loaded, TableModel) else as_python(found)
        typer.echo(lines(changed) or "Nothing to change.")  # to be pasted: not wrapped
    else:
        say(console(), found.text(), whole=True)


OPTIONS = {
    "hidden_layer_sizes": "hidden",
    "activation": "activation",
    "learning_rate": "learning-rate",
    "epochs": "epochs",
    "batch_size": "batch-size",
    "patience": "patience",
    "l2": "l2",
    "dropout": "dropout",
    "optimizer": "optimizer",
    "drop": "drop",
}
"""The suggested settings of a table's model that are options of train."""
REPEATED = ("drop",)


def as_options(found: Diagnosis) -> str:
    """Return the suggestions as options of ``pellucid train``; what it has none for, as comments.

    A line begins with # where it is no option, so that all of it can be pasted.
    """
    options = []
    for name, value in found.suggest().items():
        if name in OPTIONS and not isinstance(value, dict):
            each = value if name in REPEATED else [_text(value)]
            options += [f"--{OPTIONS[name]} {quoted(one)}" for one in each]
    comments = [
        f"# {finding.name}: {finding.advice}"
        for finding in found.findings
        if finding.severity != "info" and not set(finding.fix) <= set(OPTIONS)
    ]
    return "\n".join([*([" ".join(options)] if options else []), *comments])


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def as_python(found: Diagnosis) -> str:
    """Return the suggestions as settings in Python, a line each."""
    return "\n".join(f"{name} = {value!r}" for name, value in found.suggest().items())
