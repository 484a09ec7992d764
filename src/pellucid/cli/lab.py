"""``pellucid lab``: a network in the browser, forward and backward, with the real numbers."""

from __future__ import annotations

import contextlib
import webbrowser
from typing import Annotated, Any

import typer

from pellucid.cli.output import console, say


def lab(
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="A table of your own to learn, as train takes it.",
            show_default="the sets of the lab",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="The column to learn.", show_default="target, if there is one"
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where to listen; 0 takes a free port.")
    ] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")
    ] = True,
) -> None:
    """Open a page where a network learns, and every number of it can be looked at.

    It is served to this computer alone, under an address with a secret; Ctrl-C ends it.

    \b
    Examples:
      pellucid lab
      pellucid lab --port 8642 --no-browser
      pellucid lab houses.csv --target price
    """
    from pellucid.lab.server import Lab

    made = Lab(port, experiment=None if data is None else _experiment(data, target))
    say(console(), f"The lab is at {made.address}")
    say(console(stderr=True), "Ctrl-C ends it.")
    if browser:
        webbrowser.open(made.address)
    with contextlib.suppress(KeyboardInterrupt):
        made.run()


def _experiment(data: str, target: str | None) -> dict[str, Any]:
    """What the page begins with: a small network on the user's table."""
    from pellucid.lab.table import add_table

    found = add_table(data, target)
    say(console(stderr=True), found.note)
    return {
        "data": {"name": found.name, "split": 0.25},
        "layers": [{"units": 16}, {"units": 8}],
        "learning_rate": 0.003,
    }
