"""The command line: ``pellucid train | predict | evaluate | explain | ...``.

A command is a file in ``commands/``, and nothing else. Whatever is wrong with the user's input ends
in one message on stderr and the exit status 2; the status 1 is for faults of Pellucid's own. With
``PELLUCID_DEBUG=1`` both show their traceback. What needs scikit-learn or polars is imported inside
the commands, so that ``--help`` is quick.
"""

from __future__ import annotations

import functools
import importlib
import io
import math
import os
import pkgutil
import sys
from collections.abc import Callable
from typing import Annotated, ParamSpec, TypeVar

import typer

from pellucid._shown import message
from pellucid.cli import commands, version
from pellucid.cli.output import complain
from pellucid.errors import DataError, MissingPackageError, ModelError, SettingsError
from pellucid.tables.settings import OPTIONS

P = ParamSpec("P")
R = TypeVar("R")

_MODULES = {
    name: importlib.import_module(f"{commands.__name__}.{name}")
    for _, name, _ in pkgutil.iter_modules(commands.__path__)
}
COMMANDS = dict(sorted(_MODULES.items(), key=lambda item: getattr(item[1], "HELP_ORDER", math.inf)))
"""Every command by its name, in the order of the help: its module, which holds a function of the
same name."""

app = typer.Typer(
    name="pellucid",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode shows "?"
    app(prog_name="pellucid")


def reported(command: Callable[P, R]) -> Callable[P, R]:
    """Turn what goes wrong in a command into one message and an exit status."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (typer.Exit, BrokenPipeError):
            raise
        except Exception as error:
            if os.environ.get("PELLUCID_DEBUG"):
                raise
            raise typer.Exit(_report(error)) from None

    return run


def _report(error: Exception) -> int:
    """Print the message of an error; return the exit status."""
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename!r}: " if error.filename else ""
        complain(f"{place}{error.strerror}.")
        return 2
    if isinstance(error, SettingsError):
        faults = (f"{_option(name)} {fault}".lstrip() for name, fault in error.faults)
        complain(message(" ".join(faults)))
        return 2
    if isinstance(error, (DataError, ModelError, MissingPackageError, OSError)):
        complain(str(error))
        return 2
    complain(
        f"internal error: {type(error).__name__}: {message(str(error), 1_000)}; run with "
        "PELLUCID_DEBUG=1 for the traceback"
    )
    return 1


def _option(name: str) -> str:
    """How the command line spells what is called so elsewhere."""
    flag = OPTIONS[name].flag if name in OPTIONS else ""
    return flag or f"--{name.replace('_', '-')}" if name else ""


def _show_version(asked: bool) -> None:
    if asked:
        reported(version.show_version)()
        raise typer.Exit()


@app.callback()
def _pellucid(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the version, the engine, threads, Python and NumPy.",
        ),
    ] = False,
) -> None:
    """Neural networks you can see through: train one on a table, predict with it.

    \b
    Examples:
      pellucid samples
      pellucid train sample:iris
      pellucid predict iris.pellucid sample:iris --head 5
    """


for _name, _module in COMMANDS.items():
    app.command(_name, no_args_is_help=getattr(_module, "NEEDS_ARGUMENTS", True))(
        reported(getattr(_module, _name))
    )
