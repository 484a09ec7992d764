"""What convolutional and recurrent networks learn: pictures, sequences, text.

    PELLUCID_DATA=path/to/data python benchmarks/networks_accuracy.py [TASK ...] [--seeds 0 1 2]

trains each task of TASKS with each seed and writes ``benchmarks/results/networks_accuracy.json``
run by run, so that what broke off keeps what it has, and the tables between the markers of
``benchmarks/accuracy.md``; ``--write`` does the latter alone. ``--folds`` tries the networks of the
series on five folds of the training part instead: how their settings were found. Tasks of MATCHES
are trained by PyTorch too, with the same initial weights, batches and steps; they need torch, and
the photos need pillow.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import machine
import networks_data
import numpy as np
from networks_data import Part, Parts
from report_format import met, table, with_part
from workloads import lenet

from pellucid import Dense, Network, train
from pellucid.layers import GRU, LSTM, BatchNorm, Conv1D, GlobalPool, Layer

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "results" / "networks_accuracy.json", HERE / "accuracy.md"
FOLDS = 5
TEXT_BAR = 0.02  # nats
MEASURED = 200


@dataclass(frozen=True)
class Task:
    """Data, a network and how it is trained; ``bar`` is the mean test accuracy asked, in %.

    ``others`` are networks and settings that were tried beside it, on folds of the training part.
    """

    title: str
    read: Callable[[], Parts]
    layers: Callable[[], list[Layer]]
    settings: dict[str, Any]
    bar: float
    seeds: tuple[int, ...] = (0, 1, 2)
    others: dict[str, tuple[Callable[[], list[Layer]], dict[str, Any]]] = field(
        default_factory=dict
    )


def convolutions(n: int, sizes: tuple[int, ...], n_classes: int) -> list[Layer]:
    """A fully convolutional network, after Wang, Yan, Oates 2017, arXiv:1611.06455."""
    body = [each for size in sizes for each in (Conv1D(n, size, padding="same"), BatchNorm())]
    return [*body, GlobalPool(), Dense(n_classes, "softmax")]


def gated(n: int, n_classes: int) -> list[Layer]:
    """Gated recurrent units; the class is read from the last state."""
    return [GRU(n), Dense(n_classes, "softmax")]


ONE_CYCLE = {"optimizer": "adam", "schedule": "one_cycle"}
FEW = {**ONE_CYCLE, "learning_rate": 0.005, "batch_size": 16, "epochs": 100}

TASKS = {
    "mnist": Task(
        "MNIST, LeNet-5",
        networks_data.pictures,
        lenet,
        {**ONE_CYCLE, "learning_rate": 0.004, "batch_size": 64, "epochs": 7},
        99.0,
    ),
    "mnist_shifts": Task(
        "MNIST, LeNet-5, shifts",
        networks_data.pictures,
        lenet,
        {
            **ONE_CYCLE,
            "learning_rate": 0.004,
            "batch_size": 64,
            "epochs": 12,
            "augment": "shift",
        },
        99.3,
    ),
    "mnist_rows": Task(
        "MNIST, a row a step",
        networks_data.rows_of_pictures,
        lambda: [LSTM(64), Dense(10, "softmax")],
        {**ONE_CYCLE, "learning_rate": 0.006, "batch_size": 128, "epochs": 10},
        98.0,
    ),
    "gunpoint": Task(
        "GunPoint",
        partial(networks_data.series, "GunPoint"),
        lambda: convolutions(32, (8, 5, 3), 2),
        FEW,
        98.0,
        others={
            "half as wide": (lambda: convolutions(16, (8, 5, 3), 2), FEW),
        },
    ),
    "italy": Task(
        "ItalyPowerDemand",
        partial(networks_data.series, "ItalyPowerDemand"),
        lambda: [Conv1D(16, 5), BatchNorm(), Dense(2, "softmax")],
        {**FEW, "l2": 0.01},
        96.0,
        others={
            "no l2": (lambda: [Conv1D(16, 5), BatchNorm(), Dense(2, "softmax")], FEW),
            "wider": (
                lambda: [Conv1D(64, 5), BatchNorm(), Dense(2, "softmax")],
                {**FEW, "l2": 0.01},
            ),
            "dropout": (
                lambda: [Conv1D(16, 5, dropout=0.3), Dense(32, dropout=0.3), Dense(2, "softmax")],
                FEW,
            ),
            "fully convolutional": (lambda: convolutions(32, (8, 5, 3), 2), FEW),
            "GRU": (lambda: gated(16, 2), FEW),
        },
    ),
    "vowels": Task(
        "JapaneseVowels",
        partial(networks_data.series, "JapaneseVowels"),
        lambda: convolutions(64, (5, 3), 9),
        {**FEW, "epochs": 50},
        97.0,
        others={
            "half as wide": (lambda: convolutions(32, (5, 3), 9), {**FEW, "epochs": 50}),
            "GRU": (lambda: gated(64, 9), {**FEW, "epochs": 50}),
        },
    ),
}


@dataclass(frozen=True)
class Match:
    """A task that PyTorch does too (networks_torch.py), and how far it may be from us."""

    title: str
    unit: str
    bar: str
    seeds: tuple[int, ...]


MATCHES = {
    "text": Match(
        "tinyshakespeare, Embedding 32, LSTM 128", "nats", f"{TEXT_BAR} nats, each seed", (0, 1, 2)
    ),
    "photos": Match("2,000 photos of CIFAR-10", "%", "within two standard errors", (0, 1, 2, 3, 4)),
}


def fit(
    layers: list[Layer],
    settings: dict[str, Any],
    seed: int,
    parts: Parts,
    engine: str = "reference",
) -> dict[str, float]:
    """Train one network; return its accuracy on the other part in percent, and the seconds."""
    learned, measured = parts
    network = Network(layers, learned.shape, seed=seed)
    began, work = time.perf_counter(), time.process_time()
    train(
        network,
        learned.X,
        learned.y,
        loss="categorical_cross_entropy",
        lengths=learned.lengths,
        statistics=False,
        seed=seed,
        engine=engine,
        **settings,
    )
    times = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - work}
    A = np.concatenate([_outputs(network, measured, rows) for rows in _blocks(len(measured.y))], 1)
    return {"accuracy": 100 * float((A.argmax(axis=0) == measured.y).mean()), **times}


def _outputs(network: Network, part: Part, rows: np.ndarray) -> np.ndarray:
    some = part.rows(rows)
    return network.forward(some.X, lengths=some.lengths)


def _blocks(m: int) -> list[np.ndarray]:
    return np.array_split(np.arange(m), max(1, m // 500))


def on_folds(name: str) -> None:
    """Measure a task's networks on folds of the training part alone.

    Folds are drawn anew until MEASURED examples were measured on; each fit has a seed of its own.
    """
    task = TASKS[name]
    learned, _ = task.read()
    drawings = -(-MEASURED // len(learned.y))
    folds = [_folds(learned.y, np.random.default_rng(k)) for k in range(drawings)]
    parts = [
        (learned.rows(np.flatnonzero(fold != k)), learned.rows(np.flatnonzero(fold == k)))
        for fold in folds
        for k in range(FOLDS)
    ]
    for which, (layers, settings) in {
        "chosen": (task.layers, task.settings),
        **task.others,
    }.items():
        found = [fit(layers(), settings, seed, each)["accuracy"] for seed, each in enumerate(parts)]
        print(name, which, np.round(found, 1), round(float(np.mean(found)), 2), flush=True)
        value = {"network": repr(layers()), "settings": settings, "accuracies": found}
        note("folds", name, which, value=value)


def _folds(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the fold of each example; every class is spread over all of them."""
    order = rng.permutation(len(y))
    fold = np.zeros(len(y), dtype=int)
    for k in np.unique(y):
        rows = order[y[order] == k]
        fold[rows] = np.arange(len(rows)) % FOLDS
    return fold


def text(document: dict[str, Any]) -> str:
    """Return the tables of what was measured, as Markdown; what was not is named."""
    about, runs = document["machine"], document.get("runs", {})
    versions = about["versions"]
    parts = [
        f"{about['date']}, {about['machine']}, one thread of a machine that others used too, "
        f"reference engine, float32, pellucid {about['commit']}, NumPy {versions['numpy']}, "
        f"PyTorch {versions['torch']}.",
        "",
        *table(
            ["task", "test accuracy, %, by seed", "mean", "asked", "", "fit, CPU s"],
            [_row(name, runs.get(name, {})) for name in TASKS],
        ),
        "",
        *table(
            ["", "network", "training"],
            [[t.title, f"`{t.layers()}`", _words(t.settings)] for t in TASKS.values()],
        ),
        "",
        *table(
            [
                "with PyTorch",
                "Pellucid, by seed",
                "PyTorch",
                "difference of the means",
                "asked",
                "",
            ],
            [_match_row(name, runs.get(name, {})) for name in MATCHES],
        ),
        "",
        *table(
            ["on folds of the training part", "network", "training", "accuracy, %"],
            _fold_rows(document.get("folds", {})),
        ),
    ]
    return "\n".join(parts)


def _row(name: str, runs: dict[str, Any]) -> list[str]:
    task = TASKS[name]
    found = [runs[str(seed)]["accuracy"] for seed in task.seeds if str(seed) in runs]
    mean = float(np.mean(found)) if found else float("nan")
    seconds = [each["cpu_seconds"] for each in runs.values()]
    return [
        task.title,
        ", ".join(f"{each:.2f}" for each in found) + _missing(task.seeds, runs),
        f"{mean:.2f}" if found else "–",
        f"{task.bar:.1f}",
        _judged(mean >= task.bar, task.seeds, runs),
        f"{np.median(seconds):.0f}" if found else "–",
    ]


def _missing(seeds: tuple[int, ...], runs: dict[str, Any]) -> str:
    left = [str(seed) for seed in seeds if str(seed) not in runs]
    return f" (not run: seed {', '.join(left)})" if left else ""


def _judged(good: bool, seeds: tuple[int, ...], runs: dict[str, Any]) -> str:
    """Whether the bar is met; what lacks a seed is not judged as a whole."""
    done = [seed for seed in seeds if str(seed) in runs]
    if not done:
        return "not measured"
    return met(good) + (
        "" if len(done) == len(seeds) else f", {len(done)} of {len(seeds)} seeds run"
    )


def _match_row(name: str, runs: dict[str, Any]) -> list[str]:
    match, found = MATCHES[name], [runs[key] for key in sorted(runs)]
    if not found:
        return [match.title, "not measured", "–", "–", match.bar, "–"]
    ours, torchs = (np.array([each[who] for each in found]) for who in ("ours", "torch"))
    digits = 4 if match.unit == "nats" else 2
    difference = float((ours - torchs).mean())
    shown = f"{difference:+.{digits}f} {match.unit}"
    if name == "text":
        good = bool((abs(ours - torchs) <= TEXT_BAR).all())
    else:
        error = float((ours - torchs).std(ddof=1) / np.sqrt(len(found))) if found[1:] else 0.0
        shown += f" ± {error:.{digits}f}"
        good = abs(difference) <= 2 * error
    return [
        match.title,
        ", ".join(f"{each:.{digits}f}" for each in ours) + _missing(match.seeds, runs),
        ", ".join(f"{each:.{digits}f}" for each in torchs),
        shown,
        match.bar,
        _judged(good, match.seeds, runs),
    ]


def _fold_rows(folds: dict[str, Any]) -> list[list[str]]:
    return [
        [
            f"{task.title}, {which}",
            f"`{found['network']}`",
            _words(found["settings"]),
            f"{np.mean(found['accuracies']):.1f} ({len(found['accuracies'])} fits)",
        ]
        for name, task in TASKS.items()
        for which, found in folds.get(name, {}).items()
    ]


def _words(settings: dict[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in settings.items())


def note(*keys: str, value: Any) -> None:
    """Write one result among those that are there."""
    document = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    place = document
    for key in keys[:-1]:
        place = place.setdefault(key, {})
    place[keys[-1]] = value
    about = machine.describe()
    kept = ("date", "machine", "commit", "python", "versions")
    document["machine"] = {key: about[key] for key in kept}
    RESULTS.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    names = [*TASKS, *MATCHES]
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=", ".join(names))
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--folds", action="store_true", help="try the networks of the series")
    parser.add_argument("--write", action="store_true", help="write the tables alone")
    arguments = parser.parse_args()
    unknown = set(arguments.tasks) - set(names)
    if unknown:
        parser.error(f"unknown task {sorted(unknown)[0]!r}. Known are: {', '.join(names)}.")
    for name in [] if arguments.write else arguments.tasks or names:
        if not arguments.folds:
            measure(name, arguments.seeds)
        elif name in TASKS and TASKS[name].others:
            on_folds(name)
    document = json.loads(RESULTS.read_text("utf-8"))
    page = with_part(PAGE.read_text("utf-8"), "networks_accuracy.py", text(document))
    PAGE.write_text(page, encoding="utf-8")


def measure(name: str, seeds: list[int] | None) -> None:
    """Train a task's network with each seed, and note what it learned."""
    if name in TASKS:
        task = TASKS[name]
        parts = task.read()

        def run(seed: int) -> dict[str, float]:
            return fit(task.layers(), task.settings, seed, parts)
    else:
        import networks_torch

        run = networks_torch.MATCHES[name]
    for seed in seeds or {**TASKS, **MATCHES}[name].seeds:
        found = run(seed)
        note("runs", name, str(seed), value=found)
        print(name, seed, found, flush=True)


if __name__ == "__main__":
    main()
