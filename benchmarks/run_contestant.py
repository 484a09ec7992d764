"""The process of one contestant; worker.py starts it as ``run_contestant.py NAME JOB SECONDS``."""

from __future__ import annotations

import importlib
import json
import os
import sys

from contestants import CONTESTANTS
from stopwatch import Skip, Stopwatch
from workloads import Job


def main() -> None:
    """Run one contestant until its stopwatch has measured it; the answer alone goes to stdout."""
    name, job, seconds = sys.argv[1], Job.from_dict(json.loads(sys.argv[2])), float(sys.argv[3])
    # Where CPUs are taken all bursts count, and a look would be 0.2 s of waiting among them.
    stopwatch = Stopwatch(seconds, os.fdopen(os.dup(1), "w"), job.threads, asks=not job.taken)
    os.dup2(2, 1)
    try:
        module, function = CONTESTANTS[name]
        getattr(importlib.import_module(module), function)(job, stopwatch)
        problem = "the contestant ended by itself"
    except ModuleNotFoundError as missing:
        problem = f"{str(missing.name).split('.')[0]} is not installed"
    except Skip as reason:
        problem = str(reason)
    except Exception as error:
        problem = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
    stopwatch.finish(skipped=problem)


if __name__ == "__main__":
    main()
