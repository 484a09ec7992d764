"""``pellucid --version``: this version, and what it computes with here."""

from __future__ import annotations

import platform

import typer

from pellucid import __version__


def show_version() -> None:
    """Print the version alone on the first line, then engine, threads, Python and NumPy."""
    import numpy as np

    rows = {
        "pellucid": __version__,  # scripts read this line
        **_engine(),
        "python": f"{platform.python_version()}, numpy {np.__version__}",
    }
    typer.echo("\n".join(f"{name:8} {value}" for name, value in rows.items()))


def _engine() -> dict[str, str]:
    """The engine that a training takes here, and the threads that it may have."""
    from pellucid.engines.simd import levels, load_level

    threads = _threads_asked()
    try:
        level = load_level().level
    except ImportError as error:
        if levels():  # it is built, but does not load
            raise
        return {
            "engine": f"reference: {error}",
            "threads": threads or "as NumPy's BLAS decides",
        }
    from pellucid.engines.threads import available_cpus

    others = ", ".join(other for other in levels() if other != level)
    return {
        "engine": f"fused, {level}" + (f" (also possible: {others})" if others else ""),
        "threads": threads or f"{available_cpus()}",
    }


def _threads_asked() -> str:
    """What the environment asks for; empty where it leaves the number to the engine."""
    from pellucid.engines.threads import most_threads, threads_asked

    asked, most = threads_asked(), most_threads()
    if asked is None:
        return ""
    if asked > most:
        return f"{most}, the most that is of use; PELLUCID_NUM_THREADS says {asked}"
    return f"{asked}, as PELLUCID_NUM_THREADS says"
