"""Several writers of one folder at once, and readers beside them."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections import Counter
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import operations
from operations import mark_of, saved

import pellucid
from pellucid.errors import BusyError

WAIT = 60.0
MODEL = "m.pellucid"


def writers_and_readers(
    folder: Path, saves: int, writers: int = 2, readers: int = 20, wait: float = WAIT
) -> dict[str, Any]:
    """Each writer saves so often, with other marks than the others; readers read all the time.

    Returns how many saves succeeded and were refused as busy, how many reads there were, and what
    was wrong with those that were: each must find one of the models, whole.
    """
    _begin(folder)
    saved(0, MODEL)
    processes = multiprocessing.get_context("fork")
    over, answers = processes.Event(), processes.Queue()
    reading = [processes.Process(target=_read, args=(k, over, answers)) for k in range(readers)]
    writing = [
        processes.Process(target=_write, args=(k, saves, wait, answers)) for k in range(writers)
    ]
    for each in (*reading, *writing):
        each.start()
    found = [answers.get() for _ in writing]
    over.set()
    found += [answers.get() for _ in reading]
    for each in (*reading, *writing):
        each.join()
    total: Counter[str] = sum((Counter(counts) for counts, _ in found), Counter())
    left = sorted(os.listdir(MODEL))
    wrong = [fault for _, faults in found for fault in faults]
    if len(left) != 4:
        wrong.append(f"there are {left} in the end")
    return {**total, "broken": len(wrong), "wrong": wrong[:5]}


def first_savers(folder: Path, pairs: int) -> dict[str, Any]:
    """Two processes save at once where nothing is, without ``overwrite``: one of them succeeds."""
    _begin(folder)
    processes = multiprocessing.get_context("fork")
    gate, answers = processes.Barrier(2), processes.Queue()
    two = [processes.Process(target=_save_first, args=(k, pairs, gate, answers)) for k in (1, 2)]
    for each in two:
        each.start()
    ends = dict(answers.get() for _ in two)
    for each in two:
        each.join()
    total: Counter[str] = Counter()
    wrong = []
    for k, both in enumerate(zip(ends[1], ends[2], strict=True)):
        total.update(both)
        if both.count("saved") != 1 or mark_of(f"{k}.pellucid") != 1 + both.index("saved"):
            wrong.append(f"pair {k}: {both}")
    return {**total, "broken": len(wrong), "wrong": wrong[:5]}


def _begin(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.chdir(folder)


def _write(number: int, saves: int, wait: float, answers: Any) -> None:
    counts: Counter[str] = Counter()
    faults = []
    for k in range(saves):
        try:
            saved(2 * number + k % 2, MODEL, overwrite=True, wait=wait)
            counts["saves"] += 1
        except BusyError:
            counts["busy"] += 1
        except Exception as error:
            faults.append(f"writer: {type(error).__name__}: {error}")
    answers.put((counts, faults))


def _read(number: int, over: Event, answers: Any) -> None:
    counts: Counter[str] = Counter()
    faults = []
    look: Callable[[str], Any] = (mark_of, pellucid.load_predictor)[number % 2]
    while not over.is_set() or not counts["reads"]:
        try:
            look(MODEL)
        except Exception as error:
            faults.append(f"reader: {type(error).__name__}: {error}")
        counts["reads"] += 1
    answers.put((counts, faults))


def _save_first(mark: int, pairs: int, gate: Any, answers: Any) -> None:
    ends = []
    for k in range(pairs):
        gate.wait()
        try:
            operations.saved(mark, f"{k}.pellucid")
            ends.append("saved")
        except BusyError:
            ends.append("busy")
        except FileExistsError:
            ends.append("exists")
    answers.put((mark, ends))
