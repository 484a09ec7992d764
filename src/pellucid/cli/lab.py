"""``pellucid lab``: a network in the browser, forward and backward, with the real numbers."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from pellucid.cli.output import console, say


def lab(
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
    """
    from pellucid.lab.server import Lab

    made = Lab(port)
    say(console(), f"The lab is at {made.address}")
    say(console(stderr=True), "Ctrl-C ends it.")
    if browser:
        webbrowser.open(made.address)
    made.run()
