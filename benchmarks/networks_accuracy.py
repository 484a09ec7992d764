"""What networks of pictures, series and text learn: accuracies, and beside PyTorch where asked.

    PELLUCID_DATA=path/to/data python benchmarks/networks_accuracy.py lenet gunpoint
    PELLUCID_DATA=path/to/data python benchmarks/networks_accuracy.py shakespeare --with torch
    PELLUCID_DATA=path/to/data python benchmarks/networks_accuracy.py gunpoint --folds 5
    python benchmarks/networks_accuracy.py --write

A task is an entry of ``TASKS``: where its data come from, the network, how it is trained, and with
which seeds. Each seed's result goes into ``benchmarks/results/networks/TASK-METHOD.json`` as soon
as it is there, and one that is there is not measured again without ``--again``. ``--with torch``
trains the same network in PyTorch, with the same mini-batches and steps, each from weights that it
draws itself; it needs PyTorch, NumPy and Pillow alone. ``--folds`` measures on held-out parts of
the training part and writes nothing: so the settings of the series were chosen. ``--write`` writes
the table of ``benchmarks/accuracy.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import networks_data
import numpy as np
from networks_data import Data

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "results/networks", HERE / "accuracy.md"
BEGIN, END = "<!-- networks_accuracy.py writes this part: begin -->", "<!-- end -->"

Part = tuple[Any, ...]


@dataclass(frozen=True)
class Task:
    """One network on one data set.

    ``network`` lists the layers, each as its name and its arguments: the same list makes the layers
    of Pellucid and the modules of PyTorch. ``asked`` is what is to be reached: an accuracy in
    percent, "torch ± 2 se" over the seeds, or "torch + 0.02 nats".
    """

    title: str
    data: Callable[[Path, int], Data]
    network: tuple[Part, ...]
    asked: str
    epochs: int
    batch_size: int
    learning_rate: float = 0.001
    schedule: str = "constant"
    seeds: tuple[int, ...] = (0, 1, 2)
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def steps(self) -> bool:
        """Whether each step has a class of its own: measured is the loss, in nats."""
        return self.asked.endswith("nats")


_LENET = (
    ("conv", 6, 5, "same"),
    ("pool", 2),
    ("conv", 16, 5, "valid"),
    ("pool", 2),
    ("dense", 120),
    ("dense", 84),
)
_PHOTOS = (
    ("conv", 32, 3, "same"),
    ("conv", 32, 3, "same"),
    ("pool", 2),
    ("conv", 64, 3, "same"),
    ("pool", 2),
    ("dense", 128),
)
TASKS = {
    "lenet": Task(
        "MNIST, LeNet-5", networks_data.mnist, (*_LENET, ("classes", 10)), "99.0 %", 12, 64,
        schedule="cosine",
    ),
    "lenet_shifts": Task(
        "MNIST, LeNet-5, shifts up to 2 pixels", networks_data.mnist, (*_LENET, ("classes", 10)),
        "99.3 %", 30, 64, schedule="cosine", more={"augment": "shift"},
    ),
    "mnist_rows": Task(
        "MNIST, an image a sequence of rows, LSTM 64", networks_data.mnist_rows,
        (("lstm", 64), ("classes", 10)), "98.0 %", 8, 64, 0.002, "cosine",
    ),
    "gunpoint": Task(
        "GunPoint", lambda folder, seed: networks_data.series(folder, "GunPoint"),
        (("conv", 32, 9, "same"), ("pool", 2), ("conv", 64, 5, "same"), ("pool", 2),
         ("conv", 64, 3, "same"), ("global",), ("classes", 2)),
        "98.0 %", 150, 16, 0.002, "cosine",
    ),
    "italypower": Task(
        "ItalyPowerDemand", lambda folder, seed: networks_data.series(folder, "ItalyPowerDemand"),
        (("conv", 32, 5, "same"), ("conv", 32, 3, "same", 2), ("classes", 2)),
        "96.0 %", 60, 16, 0.001, "cosine", more={"l2": 0.001},
    ),
    "japanesevowels": Task(
        "JapaneseVowels, lengths 7 to 29",
        lambda folder, seed: networks_data.series(folder, "JapaneseVowels"),
        (("conv", 64, 5, "same"), ("norm",), ("conv", 64, 3, "same"), ("norm",), ("global",),
         ("classes", 9)),
        "97.0 %", 80, 16, 0.002, "cosine",
    ),
    "shakespeare": Task(
        "tinyshakespeare, embedding 32, LSTM 128, 64 characters", networks_data.shakespeare,
        (("embedding", 65, 32), ("lstm", 128, True), ("classes", 65, True)),
        "torch + 0.02 nats", 8, 64, 0.003, seeds=(0,),
    ),
    "photos": Task(
        "2,000 photos of CIFAR-10", networks_data.photos, (*_PHOTOS, ("classes", 10)),
        "torch ± 2 se", 15, 32, seeds=(0, 1, 2, 3, 4),
    ),
}  # fmt: skip
"""Every task by its name. A new one is an entry here."""


def order(seed: int, m: int, epoch: int) -> Any:
    """The order of an epoch's examples, the same for both libraries."""
    return np.random.default_rng([seed, epoch]).permutation(m)


# Pellucid -----------------------------------------------------------------------------------------


def with_pellucid(task: Task, data: Data, seed: int) -> float:
    """Train, and return the accuracy on the test part, or its loss where each step has a class."""
    from pellucid import Network, train
    from pellucid.losses import loss as find_loss

    shape = data.X.shape[1:]
    network = Network(_layers(task.network, len(shape) - 1), shape, seed=seed)
    m = len(data.y)
    train(
        network,
        _columns(data.X),
        data.y.T,
        loss="categorical_cross_entropy",
        learning_rate=task.learning_rate,
        schedule=task.schedule,
        epochs=task.epochs,
        batch_size=task.batch_size,
        shuffle=partial(order, seed, m),
        lengths=data.lengths,
        statistics=False,
        **task.more,
    )
    X, lengths = _columns(data.X_test), data.lengths_test
    if task.steps:
        loss = find_loss("categorical_cross_entropy")
        parts = [slice(k, k + 256) for k in range(0, X.shape[1], 256)]
        sums = [network.loss(X[:, p], data.y_test.T[:, p], loss) * X[:, p].shape[1] for p in parts]
        return float(sum(sums) / X.shape[1])
    A = network.forward(X, lengths=lengths)
    return 100 * float((A.argmax(axis=0) == data.y_test).mean())


def _columns(X: Any) -> Any:
    return X.reshape(len(X), -1).T


def _layers(network: tuple[Part, ...], n_axes: int) -> list[Any]:
    from pellucid import layers

    def made(kind: str, *a: Any) -> Any:
        if kind == "conv":
            conv = layers.Conv1D if n_axes == 1 else layers.Conv2D
            return conv(a[0], a[1], padding=a[2], stride=a[3] if len(a) > 3 else 1)
        if kind == "classes":
            return layers.Dense(a[0], "softmax", each_step=len(a) > 1)
        others = {
            "dense": lambda n: layers.Dense(n),
            "pool": lambda size: layers.MaxPool(size),
            "global": lambda: layers.GlobalPool(),
            "norm": lambda: layers.BatchNorm(),
            "lstm": lambda n, sequences=False: layers.LSTM(n, sequences=sequences),
            "embedding": lambda words, n: layers.Embedding(words, n),
        }
        return others[kind](*a)

    return [made(*part) for part in network]


# PyTorch ------------------------------------------------------------------------------------------


def with_torch(task: Task, data: Data, seed: int) -> float:
    """The same in PyTorch: the same network, mini-batches and steps."""
    import torch
    from torch.nn import functional

    if data.lengths is not None or task.more:
        raise SystemExit(f"{task.title}: lengths, penalties and augmentation have no PyTorch side.")
    torch.manual_seed(seed)
    model, m = _modules(task.network, data.X.shape[1:]), len(data.y)
    X, X_test = (_for_torch(each) for each in (data.X, data.X_test))
    y, y_test = (torch.from_numpy(each.astype(np.int64)) for each in (data.y, data.y_test))
    optimizer = torch.optim.Adam(model.parameters(), lr=task.learning_rate)
    per_epoch = -(-m // task.batch_size)
    total = task.epochs * per_epoch
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda t: (1 + np.cos(np.pi * t / total)) / 2 if task.schedule == "cosine" else 1.0,
    )

    def loss_of(rows: Any, inputs: Any, targets: Any) -> Any:
        Z = model(inputs[rows])
        return functional.cross_entropy(Z.reshape(-1, Z.shape[-1]), targets[rows].reshape(-1))

    model.train()
    for epoch in range(task.epochs):
        rows = torch.from_numpy(order(seed, m, epoch))
        for first in range(0, m, task.batch_size):
            loss = loss_of(rows[first : first + task.batch_size], X, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
    model.eval()
    with torch.no_grad():
        parts = [slice(k, k + 256) for k in range(0, len(X_test), 256)]
        if task.steps:
            sums = [float(loss_of(p, X_test, y_test)) * len(X_test[p]) for p in parts]
            return sum(sums) / len(X_test)
        right = [(model(X_test[p]).argmax(dim=1) == y_test[p]).sum().item() for p in parts]
    return 100 * sum(right) / len(X_test)


def _for_torch(X: Any) -> Any:
    """Channels before rows and columns, as PyTorch's convolutions take them."""
    import torch

    if X.ndim == 4:
        X = np.moveaxis(X, -1, 1)
    return torch.from_numpy(np.ascontiguousarray(X))


def _modules(network: tuple[Part, ...], shape: tuple[int, ...]) -> Any:
    import torch
    from torch import nn

    class Last(nn.Module):
        """The LSTM's output: at the last step, or at all."""

        def __init__(self, n_in: int, n: int, sequences: bool = False) -> None:
            super().__init__()
            self.lstm, self.sequences = nn.LSTM(n_in, n, batch_first=True), sequences

        def forward(self, x: Any) -> Any:
            a, _ = self.lstm(x)
            return a if self.sequences else a[:, -1]

    class Flat(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.reshape(len(x), -1)

    modules: list[Any] = []
    inputs = torch.zeros(1, *shape, dtype=torch.int64 if network[0][0] == "embedding" else None)
    inputs = torch.moveaxis(inputs, -1, 1) if len(shape) == 3 else inputs
    for kind, *a in network:  # what each takes is seen from what the ones before make of zeros
        with torch.no_grad():
            seen = nn.Sequential(*modules).eval()(inputs)
        if kind in ("dense", "classes") and len(a) < 2 and seen.ndim > 2:
            modules.append(Flat())
            seen = seen.reshape(1, -1)
        n = seen.shape[-1]
        if kind == "conv":
            pad = a[1] // 2 if a[2] == "same" else 0
            stride = a[3] if len(a) > 3 else 1
            modules += [nn.Conv2d(seen.shape[1], a[0], a[1], stride, pad), nn.ReLU()]
        elif kind == "pool":
            modules.append(nn.MaxPool2d(a[0]))
        elif kind == "dense":
            modules += [nn.Linear(n, a[0]), nn.ReLU()]
        elif kind == "classes":
            modules.append(nn.Linear(n, a[0]))
        elif kind == "lstm":
            modules.append(Last(n, *a))
        elif kind == "embedding":
            modules.append(nn.Embedding(*a))
        else:
            raise SystemExit(f"{kind!r} has no PyTorch side here.")
    return nn.Sequential(*modules)


WITH = {"pellucid": with_pellucid, "torch": with_torch}


# Measuring and writing ----------------------------------------------------------------------------


def folds(data: Data, count: int, seed: int) -> list[Data]:
    """The training part alone, cut into parts of equal classes; each is measured on once."""
    rng = np.random.default_rng(seed)
    fold = np.empty(len(data.y), int)
    for k in np.unique(data.y):
        rows = rng.permutation(np.flatnonzero(data.y == k))
        fold[rows] = (np.arange(len(rows)) + k) % count
    found = []
    for k in range(count):
        learn, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        lengths = (None, None)
        if data.lengths is not None:
            lengths = (data.lengths[learn], data.lengths[test])
        found.append(Data(data.X[learn], data.y[learn], data.X[test], data.y[test], *lengths))
    return found


def kept(name: str, method: str) -> dict[str, Any]:
    """The results of a task that are there, by seed."""
    path = RESULTS / f"{name}-{method}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def keep(name: str, method: str, seed: int, found: dict[str, float]) -> None:
    """Enter a result: tasks and methods have files of their own, and may run side by side."""
    RESULTS.mkdir(exist_ok=True)
    results = kept(name, method) | {str(seed): found}
    path = RESULTS / f"{name}-{method}.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    part.replace(path)


def table() -> str:
    """The table of accuracy.md."""
    lines = [
        "| task | asked | Pellucid, by seed | mean | PyTorch, mean | difference | fit, s |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, task in TASKS.items():
        mine, theirs = (kept(name, method) for method in WITH)
        if not mine:
            continue
        digits = 3 if task.steps else 2
        own, other = _values(mine), _values(theirs)
        seconds = np.median([each["seconds"] for each in mine.values()])
        cells = [task.title, task.asked, ", ".join(f"{v:.{digits}f}" for v in own.values())]
        cells.append(f"{np.mean([*own.values()]):.{digits}f}")
        both = [seed for seed in own if seed in other]
        if both:
            apart = np.array([own[seed] - other[seed] for seed in both])
            cells.append(f"{np.mean([other[seed] for seed in both]):.{digits}f}")
            se = f" ± {apart.std(ddof=1) / len(apart) ** 0.5:.{digits}f}" if len(both) > 1 else ""
            cells.append(f"{apart.mean():+.{digits}f}{se}")
        else:
            cells += ["", ""]
        lines.append(f"| {' | '.join(cells)} | {seconds:.0f} |")
    return "\n".join(lines)


def _values(by_seed: dict[str, Any]) -> dict[str, float]:
    return {
        seed: found["value"] for seed, found in sorted(by_seed.items(), key=lambda k: int(k[0]))
    }


def write() -> None:
    """Replace what stands between the markers of accuracy.md."""
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    before = PAGE.read_text()
    if not pattern.search(before):
        raise SystemExit(f"{PAGE} has no line {BEGIN!r} with {END!r} below it.")
    part = f"{BEGIN}\n{table()}\n{END}"
    PAGE.write_text(pattern.sub(lambda found: part, before))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=", ".join(TASKS))
    parser.add_argument("--with", dest="method", choices=WITH, default="pellucid")
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--epochs", type=int, help="fewer, to try a task out; nothing is written")
    parser.add_argument("--folds", type=int, help="parts of the training part; nothing is written")
    parser.add_argument("--again", action="store_true", help="measure what is known anew")
    parser.add_argument("--write", action="store_true", help="write the table of accuracy.md")
    given = parser.parse_args()
    unknown = [name for name in given.tasks if name not in TASKS]
    if unknown:
        parser.error(f"unknown task {unknown[0]!r}; known are {', '.join(TASKS)}")
    if given.tasks and "PELLUCID_DATA" not in os.environ:
        sys.exit("Set PELLUCID_DATA to the folder that holds mnist, series, text and cifar.")
    for name in given.tasks:
        task = TASKS[name]
        tried = given.epochs is not None or given.folds is not None
        task = replace(task, epochs=given.epochs) if given.epochs else task
        for seed in given.seeds or task.seeds:
            if not (tried or given.again) and str(seed) in kept(name, given.method):
                continue
            data = task.data(Path(os.environ["PELLUCID_DATA"]), seed)
            parts = folds(data, given.folds, seed) if given.folds else [data]
            start = time.perf_counter()
            values = [WITH[given.method](task, part, seed) for part in parts]
            seconds = (time.perf_counter() - start) / len(parts)
            value = float(np.mean(values))
            print(f"{name} {given.method} seed {seed}: {value:.3f} in {seconds:.0f} s", flush=True)
            if not tried:
                keep(name, given.method, seed, {"value": value, "seconds": seconds})
    if given.write:
        write()


if __name__ == "__main__":
    main()
