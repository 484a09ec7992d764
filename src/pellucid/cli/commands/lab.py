"""``pellucid lab``: a network in the browser, forward and backward, with the real numbers."""

from __future__ import annotations

import contextlib
import os
from typing import Annotated, Any

import typer

from pellucid.cli.output import console, say
from pellucid.errors import SettingsError

HELP_ORDER = 70
NEEDS_ARGUMENTS = False


def lab(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL|DATA",
            help="A model folder to open, or your own table to learn, as train takes it.",
            show_default="the lab's own data sets",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="After MODEL: a table to show it on, through its own preprocessing.",
            show_default="inputs drawn at random",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="The column to learn.", show_default="target, if there is one"
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one.")
    ] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")
    ] = True,
) -> None:
    """Open a page where a network learns, with every number in view.

    It is served to this computer alone; the address holds the key, so show it to no one. Ctrl-C
    ends it.

    \b
    Examples:
      pellucid lab
      pellucid lab --port 8642 --no-browser
      pellucid lab houses.csv --target price
      pellucid lab iris.pellucid sample:iris
    """
    from pellucid.lab.server.app import Lab

    made = Lab(port, experiment=None if source is None else _experiment(source, data, target))
    say(console(), f"The lab is at {made.address}")
    out = console(stderr=True)
    if "SSH_CONNECTION" in os.environ:
        say(out, "To open it on another computer, run this there first, with this computer's name:")
        say(out, f"ssh -L {made.port}:127.0.0.1:{made.port} this-computer")
    if browser and not made.browse():
        say(out, "No browser could be started: open the address in one.")
    say(out, "Ctrl-C ends it.")
    with contextlib.suppress(KeyboardInterrupt):
        made.run()


def _experiment(source: str, data: str | None, target: str | None) -> dict[str, Any]:
    """What the page begins with: the user's model, or a small network on the user's table."""
    from pellucid.lab.datasets import dataset
    from pellucid.lab.session.models import open_model
    from pellucid.lab.session.table import add_table, first_experiment
    from pellucid.lab.session.user_data import WEIGHTS
    from pellucid.persistence.folder import MODEL_JSON

    out = console(stderr=True)
    model = source.endswith(".pellucid") or os.path.exists(os.path.join(source, MODEL_JSON))
    if model or data is not None:
        if data is None and target is not None:
            raise SettingsError(("target", "names a column of DATA; name DATA after MODEL."))
        experiment = open_model(source, data, target)
        say(out, WEIGHTS[experiment["model"]].note)
        found = dataset(experiment["data"]["name"])
    else:
        found = add_table(source, target)
        experiment = first_experiment(found)
    say(out, found.note)
    return experiment
