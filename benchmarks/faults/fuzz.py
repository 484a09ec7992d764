"""Odd and hostile inputs by the thousand: what is read, loaded or sent is taken or refused.

    python benchmarks/faults/fuzz.py                              # 100,000, in two processes
    python benchmarks/faults/fuzz.py --target tables --seed 4711  # one case again, with a traceback
    python benchmarks/faults/fuzz.py --count 10000 --write        # fewer, and the table in FUZZ.md

A case is made of its target and its seed alone. It runs in a process whose memory is limited and
which is ended where it is stuck. A finding is whatever is no documented error, a message for people
of more than 2,000 characters or with control characters, more than 10 seconds of computing, more
than 2 GB of memory, and a process that ends.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import queue
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import IO, Any

sys.path.insert(0, str(Path(__file__).parent))

import fuzz_frames
import fuzz_lab
import fuzz_stored
import fuzz_tables

SECONDS, BYTES = 10.0, 2_000_000_000
"""What no case may take more of: of computing, and of memory."""
STUCK = 60.0
"""Seconds on the clock after which a case is ended, whatever it waits for."""
CHUNK = 500
"""Cases of a process."""

Prepare = Callable[[Path], Any]
Case = Callable[[Any, Random], None]


@dataclass(frozen=True)
class Target:
    """What is fuzzed: how its process is prepared, one case, and the errors that are documented.

    ``share`` is its part of all cases.
    """

    name: str
    share: float
    prepare: Prepare
    case: Case
    documented: str
    """Names of exceptions, in words for the table."""


TARGETS = {
    target.name: target
    for target in (
        Target("tables", 0.25, fuzz_tables.prepare_tables, fuzz_tables.table,
               "DataError, SettingsError; exit status 2"),
        Target("frames", 0.20, fuzz_frames.prepare_frames, fuzz_frames.frame,
               "DataError, SettingsError"),
        Target("images", 0.10, fuzz_tables.prepare_images, fuzz_tables.images, "DataError"),
        Target("models", 0.15, fuzz_stored.prepare_models, fuzz_stored.model, "ModelError"),
        Target("checkpoints", 0.05, fuzz_stored.prepare_checkpoints, fuzz_stored.checkpoint,
               "ModelError, ValueError"),
        Target("lab", 0.15, fuzz_lab.prepare_lab, fuzz_lab.lab, "ValueError; status 4xx"),
        Target("expressions", 0.10, lambda folder: None, fuzz_frames.expression, "ValueError"),
    )
}  # fmt: skip


def documented(target: Target) -> tuple[type[BaseException], ...]:
    """Return the exceptions that a target may raise."""
    from pellucid import errors

    own = {"DataError", "SettingsError", "ModelError"} & set(
        target.documented.replace(";", ",").split(", ")
    )
    found: list[type[BaseException]] = [getattr(errors, name) for name in own]
    if "ValueError" in target.documented:
        found.append(ValueError)
    return (*found, fuzz_tables.RefusedError)


# One case -----------------------------------------------------------------------------------------


def outcome(target: Target, context: Any, seed: int, show: bool = False) -> dict[str, Any]:
    """Run one case; return what became of it: taken, refused, or what was found."""
    rng = Random(f"{target.name}:{seed}")
    _forget_peak()
    cpu, clock = time.process_time(), time.monotonic()
    found = ""
    try:
        target.case(context, rng)
        told = "taken"
    except documented(target) as error:
        told = "refused"
        try:
            if not isinstance(error, fuzz_tables.RefusedError):
                fuzz_tables.check_shown(str(error))
        except fuzz_tables.FoundError as shown:
            found = str(shown)
    except BaseException as error:
        told = "found"
        last = traceback.extract_tb(error.__traceback__)[-1]
        found = (
            f"{type(error).__name__}: {str(error)[:300]} ({Path(last.filename).name}:{last.lineno})"
        )
        if show:
            traceback.print_exc()
    seconds = min(time.process_time() - cpu, time.monotonic() - clock)
    peak = _peak()
    if seconds > SECONDS and not found:
        found = f"took {seconds:.1f} seconds"
    if peak > BYTES and not found:
        found = f"took {peak / 1e9:.1f} GB"
    return {"seed": seed, "told": told, "found": found, "seconds": seconds, "peak": peak}


def _forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    return 0


def work(
    target: Target, folder: Path, seeds: range, put: Callable[[dict[str, Any]], None], show: bool
) -> None:
    """Run cases one after the other in this process, and tell before each which it is."""
    import warnings

    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever waits for this process ends it
    os.chdir(folder)
    _end_after(2 * STUCK)
    context = target.prepare(folder)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**28, 2**28))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for seed in seeds:
        _limit()
        _end_after(STUCK)
        put({"start": seed})
        put(outcome(target, context, seed, show))
    signal.setitimer(signal.ITIMER_REAL, 0)


def _end_after(seconds: float) -> None:
    """The kernel ends this process in so many seconds, or when it has computed for too long.

    Nobody need be there to do so, and no code that never returns to Python stands in the way.
    """
    signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_PROF, min(seconds, 2 * SECONDS))


def _limit() -> None:
    """So much more address space for the next case that the memory in use stays below the limit."""
    mapped, used = map(int, Path("/proc/self/statm").read_text().split()[:2])
    most = (mapped - used) * os.sysconf("SC_PAGE_SIZE") + BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


# All of them --------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What became of the cases of a target."""

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[tuple[int, str]] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, -1)
    largest: tuple[int, int] = (0, -1)

    def add(self, found: dict[str, Any]) -> None:
        """Count one."""
        self.counts[found["told"]] += 1
        self.slowest = max(self.slowest, (found["seconds"], found["seed"]))
        self.largest = max(self.largest, (found["peak"], found["seed"]))
        if found["found"]:
            self.findings.append((found["seed"], found["found"]))
            print(f"{self.name} --seed {found['seed']}: {found['found']}", file=sys.stderr)


class Processes:
    """Runs cases in processes of their own; one that ends is a finding, and another goes on."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, target: Target, seeds: range, tally: Tally) -> None:
        """Run the cases of these seeds."""
        while seeds and not self._stopped:
            done, under_way, found = self._one(target, seeds, tally)
            if not found or self._stopped:
                return
            died = seeds.start + done  # the one under way, or the next, if it died between two
            with self._lock:
                tally.add(
                    {"seed": died, "told": "found", "found": found, "seconds": 0.0, "peak": 0}
                )
            if not done and not under_way:
                return  # it could not even be prepared
            seeds = range(died + 1, seeds.stop)

    def stop(self) -> None:
        """End all."""
        self._stopped = True
        for process in list(self._running):
            process.kill()

    def _one(self, target: Target, seeds: range, tally: Tally) -> tuple[int, bool, str]:
        """How many cases one process has done, whether it was at another, and why it ended."""
        done, under_way = 0, False
        with (
            tempfile.TemporaryDirectory(prefix="pellucid-fuzz-") as folder,
            tempfile.TemporaryFile() as log,
            subprocess.Popen(
                worker(target, Path(folder), seeds), stdout=subprocess.PIPE, stderr=log,
                env={**os.environ, **ENVIRONMENT, "TMPDIR": folder},
            ) as process,
        ):  # fmt: skip
            self._running.add(process)
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    told = json.loads(line)
                    under_way = "start" in told
                    if not under_way:
                        done += 1
                        with self._lock:
                            tally.add(told)
                status = process.wait()
            finally:
                process.kill()
                self._running.discard(process)
            if status == 0 and done == len(seeds):
                return done, under_way, ""
            words = f"{ENDED.get(-status, 'ended')} ({status})"
            return done, under_way, f"the process {words}: {_last_words(log)}"


ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1"),
}
"""Of the processes: a case is to be the same each time."""
ENDED = {
    signal.SIGALRM: f"was stuck for {STUCK:.0f} seconds",
    signal.SIGPROF: f"computed for more than {2 * SECONDS:.0f} seconds",
    signal.SIGABRT: "gave up",
    signal.SIGSEGV: "crashed",
}
"""What signals mean."""


def worker(target: Target, folder: Path, seeds: range, *more: str) -> list[str]:
    """Return the command line of a process that runs cases."""
    return [sys.executable, __file__, "--worker", str(folder), "--target", target.name,
            "--seed", str(seeds.start), "--count", str(len(seeds)), *more]  # fmt: skip


def _last_words(log: IO[bytes]) -> str:
    """What a process has said of why it ends: a panic, an error, or its last line."""
    log.seek(0)
    said = [line for line in log.read().decode("utf-8", "replace").splitlines() if line.strip()]
    telling = [line for line in said if "panicked" in line or "rror" in line or "alloc" in line]
    return next(iter(telling[-1:] or said[-1:]), "")[:300]


def fuzz(targets: list[Target], count: int, first: int, jobs: int) -> dict[str, Tally]:
    """Run so many cases of the targets, by their shares, from this seed on."""
    tallies = {target.name: Tally(target.name) for target in targets}
    total = sum(target.share for target in targets)
    chunks = []
    for target in targets:
        end = first + max(1, round(count * target.share / total))
        chunks += [
            ((start - first) / (end - first), target, range(start, min(start + CHUNK, end)))
            for start in range(first, end, CHUNK)
        ]
    waiting: queue.SimpleQueue[tuple[Target, range]] = queue.SimpleQueue()
    for _, target, seeds in sorted(chunks, key=lambda chunk: chunk[0]):  # all targets side by side
        waiting.put((target, seeds))
    processes = Processes()

    def work_off() -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                target, seeds = waiting.get_nowait()
                processes.run(target, seeds, tallies[target.name])
                print(f"{target.name}: {seeds.start} to {seeds.stop - 1}", file=sys.stderr)

    threads = [threading.Thread(target=work_off, daemon=True) for _ in range(jobs)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        processes.stop()
        for thread in threads:
            thread.join(SECONDS)
    return tallies


# The table ----------------------------------------------------------------------------------------


def table(tallies: dict[str, Tally], first: int) -> str:
    """Return what came of it as Markdown."""
    lines = [
        "| target | cases | taken | refused | findings | documented | slowest | most memory |",
        "| --- | ---: | ---: | ---: | ---: | --- | ---: | ---: |",
    ]
    for name, tally in tallies.items():
        c = tally.counts
        lines.append(
            f"| {name} | {c.total():,} | {c['taken']:,} | {c['refused']:,} | "
            f"{len(tally.findings):,} | {TARGETS[name].documented} | {tally.slowest[0]:.1f} s | "
            f"{tally.largest[0] / 1e6:,.0f} MB |"
        )
    return "\n".join([*lines, "", f"Seeds from {first} on; a seed and its target make the case."])


def findings(tallies: dict[str, Tally]) -> str:
    """Return each finding with the command that makes it again, those that are alike once."""
    lines = []
    for name, tally in tallies.items():
        seen: Counter[str] = Counter()
        for seed, text in sorted(tally.findings):
            alike = "".join(each for each in text if not each.isdigit())[-60:]
            seen[alike] += 1
            if seen[alike] <= 2:
                lines.append(f"{name} --seed {seed}: {text}")
        lines += [f"{name}: {n - 2} more like {text!r}" for text, n in seen.items() if n > 2]
    extremes = [
        f"{name}: slowest --seed {tally.slowest[1]} ({tally.slowest[0]:.1f} s), largest --seed "
        f"{tally.largest[1]} ({tally.largest[0] / 1e6:,.0f} MB)"
        for name, tally in tallies.items()
    ]
    return "\n".join([*(lines or ["Nothing found."]), "", *extremes])


def main() -> None:
    """Read the arguments, run, print the table and the findings."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--target", action="append", choices=TARGETS, help="all by default")
    parser.add_argument("--seed", type=int, help="the first; alone it means this one case")
    parser.add_argument("--count", type=int, help="cases of all targets together")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--write", action="store_true", help="write FUZZ.md, where all targets ran")
    parser.add_argument("--show", action="store_true", help="with a traceback of what is found")
    parser.add_argument("--worker", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    given = parser.parse_args()
    targets = [TARGETS[name] for name in given.target or TARGETS]
    first = given.seed or 0
    if given.worker:
        _work(targets[0], given.worker, range(first, first + given.count), given.show)
    elif given.seed is not None and given.count is None:
        for target in targets:
            _once(target, first)
    else:
        _all(targets, given.count or 100_000, first, given.jobs, given.write and not given.target)


def _work(target: Target, folder: Path, seeds: range, show: bool) -> None:
    pipe = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what else is printed must not be taken for a result

    def put(told: dict[str, Any]) -> None:
        pipe.write(json.dumps(told).encode() + b"\n")

    work(target, folder, seeds, put, show)
    os._exit(0)  # threads of a server may still run


def _once(target: Target, seed: int) -> None:
    """One case as it was among the others, with a traceback."""
    with tempfile.TemporaryDirectory(prefix="pellucid-fuzz-") as folder:
        command = worker(target, Path(folder), range(seed, seed + 1), "--show")
        environment = {**os.environ, **ENVIRONMENT, "TMPDIR": folder}
        status = subprocess.run(command, env=environment, check=False).returncode
    if status:
        print(f"the process {ENDED.get(-status, 'ended')} ({status})")


def _all(targets: list[Target], count: int, first: int, jobs: int, write: bool) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that its processes end with it
    start = time.monotonic()
    tallies = fuzz(targets, count, first, jobs)
    minutes = (time.monotonic() - start) / 60
    text, found = table(tallies, first), findings(tallies)
    print(f"{text}\n\n{found}\n\n{minutes:.1f} minutes")
    if write:
        page = PAGE.format(date=datetime.date.today(), minutes=minutes, jobs=jobs, table=text)
        page += f"\n## Found\n\n```\n{found}\n```\n"
        Path(__file__).with_name("FUZZ.md").write_text(page, encoding="utf-8")
    sys.exit(any(tally.findings for tally in tallies.values()))


PAGE = """# Odd and hostile inputs

Written by `make fuzz` ({date}, {minutes:.0f} minutes, processes at a time: {jobs}). A case is taken
or refused. A finding is whatever is no documented error, a message of more than 2,000 characters or
with control characters, more than 10 seconds of computing or 2 GB, and a process that ends. One
case again: `python benchmarks/faults/fuzz.py --target tables --seed 4711`.

{table}
"""


if __name__ == "__main__":
    main()
