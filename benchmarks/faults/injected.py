"""fault.c from Python: built, preloaded, and armed in a process that is forked for each trial."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

SOURCE = Path(__file__).with_name("fault.c")
COUNT, KILL_BEFORE, KILL_AFTER, KILL_MIDWAY, FAIL_ONCE, FAIL_ON, FAIL_MIDWAY = range(7)
"""What happens at the chosen call; fault.c says more."""


def missing() -> str:
    """Return what keeps faults from being injected here, "" where nothing does."""
    if sys.platform != "linux":
        return "system calls are only intercepted on Linux"
    return "" if compiler() else "there is no C compiler (cc)"


def compiler() -> str | None:
    """The system's C compiler."""
    return shutil.which(os.environ.get("CC", "cc"))


def preloaded(folder: Path) -> int:
    """Build fault.c into a folder, run this program with it preloaded; return the exit status."""
    library = folder / "fault.so"
    flags = ["-std=gnu11", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([str(compiler()), *flags, "-o", library, SOURCE, "-ldl"], check=True)
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = {**os.environ, **alone, "LD_PRELOAD": str(library), "MPLBACKEND": "Agg"}
    return subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode


def is_preloaded() -> bool:
    """Whether this process can be armed."""
    return hasattr(ctypes.CDLL(None), "fault_arm")


def forked(action: Callable[[], str]) -> tuple[int, str]:
    """Return the exit status of an action in a process of its own, and what it returned.

    A killed one has minus the signal, one that raised has 1 and its traceback.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.close(reading)
            said = action()
            status = 0
        except BaseException:
            said = traceback.format_exc()
        with contextlib.suppress(BaseException):
            os.write(writing, said.encode()[-60_000:])
        os._exit(status)
    os.close(writing)
    with open(reading, "rb") as file:
        said = file.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status, said


def warm(action: Callable[[], object]) -> None:
    """Import here what an action imports, so that no trial has to."""

    def imported() -> str:
        before = set(sys.modules)
        action()
        return "\n".join(sys.modules.keys() - before)

    status, said = forked(imported)
    if status:
        raise RuntimeError(said)
    for name in said.split():
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def under_fault(
    folder: Path, action: Callable[[], str], mode: int = COUNT, call: int = 0, error: int = 0
) -> tuple[int, str]:
    """As :func:`forked`, with a fault at a call under a folder; what is said begins with calls."""

    def armed() -> str:
        library = ctypes.CDLL(None)
        library.fault_arm(os.fsencode(folder), mode, ctypes.c_long(call), error)
        try:
            said = action()
        finally:
            calls = library.fault_disarm()
        return f"{calls} {said}"

    return forked(armed)


KILLED = -signal.SIGKILL
