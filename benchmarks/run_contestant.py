"""The process of one contestant; worker.py starts it as ``run_contestant.py NAME JOB PIPE``."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from typing import NoReturn

from contestants import CONTESTANTS
from gate import Gate, Skip
from workloads import Job


def main() -> NoReturn:
    """Run one contestant until the pipe closes."""
    name, job, answers = sys.argv[1], Job.from_dict(json.loads(sys.argv[2])), int(sys.argv[3])
    gate = Gate(sys.stdin, os.fdopen(answers, "w"))
    try:
        module, function = CONTESTANTS[name]
        getattr(importlib.import_module(module), function)(job, gate)
        problem = "the contestant ended by itself"
    except ModuleNotFoundError as missing:
        problem = f"{str(missing.name).split('.')[0]} is not installed"
    except Skip as reason:
        problem = str(reason)
    except Exception as error:
        problem = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
    with contextlib.suppress(BrokenPipeError):
        gate.send(skipped=problem)
    raise SystemExit(1)


if __name__ == "__main__":
    main()
