"""The tasks of networks_accuracy.py that PyTorch does too: same weights, batches and steps.

Each starts from a module of PyTorch's, read by Network.from_torch. Adam's epsilon stands at another
place in PyTorch, and all sums have another order; else both do the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import networks_data
import numpy as np
import torch
from torch import nn

from pellucid import Network, train

STEPS, BATCH, WINDOW = 1000, 64, 64
EPOCHS, PHOTOS_BATCH = 10, 32
TEXT_RATE, PHOTOS_RATE = 0.003, 0.001


class Text(nn.Sequential):
    """A character's 32 numbers, LSTM 128, and the log-probabilities of the next character."""

    def __init__(self, n_kinds: int) -> None:
        lstm = nn.LSTM(32, 128, batch_first=True)
        super().__init__(nn.Embedding(n_kinds, 32), lstm, nn.Linear(128, n_kinds))
        with torch.no_grad():  # ours has one b where PyTorch has two: the second stays 0
            lstm.bias_hh_l0.zero_()
        lstm.bias_hh_l0.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        embedding, lstm, linear = self
        return linear(lstm(embedding(x))[0])


def text(seed: int) -> dict[str, float]:
    """Return both losses on the last tenth, in nats a character, each window from a state of 0."""
    learned, measured, n_kinds = networks_data.text()
    rng = np.random.default_rng(seed)
    starts = rng.integers(len(learned) - WINDOW, size=STEPS * BATCH)
    X, Y = _windows(learned, starts)
    Xv, Yv = _windows(measured, np.arange(0, len(measured) - WINDOW, WINDOW))
    torch.manual_seed(seed)
    module = Text(n_kinds)
    ours = Network.from_torch(nn.Sequential(*module, nn.Softmax(-1)), (WINDOW,))
    began = time.process_time()
    train(
        ours,
        X.T,
        Y.T,
        loss="categorical_cross_entropy",
        learning_rate=TEXT_RATE,
        batch_size=BATCH,
        epochs=1,
        shuffle=False,
        statistics=False,
        engine="reference",
        seed=seed,
    )
    seconds = time.process_time() - began
    found = {"ours": _our_loss(ours, Xv, Yv), "cpu_seconds": seconds}
    began = time.process_time()
    _fit(module, X, Y, _in_order(len(X), BATCH), TEXT_RATE)
    seconds = time.process_time() - began
    with torch.no_grad():
        A = module(torch.from_numpy(Xv))
        loss = nn.functional.cross_entropy(A.flatten(0, 1), torch.from_numpy(Yv).flatten())
    return {**found, "torch": float(loss), "torch_cpu_seconds": seconds}


def _windows(characters: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """WINDOW characters from each start, and those that follow each."""
    places = starts[:, None] + np.arange(WINDOW)
    return characters[places], characters[places + 1]


def _our_loss(network: Network, X: np.ndarray, Y: np.ndarray) -> float:
    losses = []
    for rows in np.array_split(np.arange(len(X)), 8):
        A = network.forward(X[rows].T).T.reshape(len(rows), WINDOW, -1)
        losses.append(-np.log(np.take_along_axis(A, Y[rows][..., None], axis=2)))
    return float(np.concatenate(losses).mean())


def photos(seed: int) -> dict[str, float]:
    """Return both accuracies on the 400 photos that were not learned from, in percent."""
    learned, measured = networks_data.photos()
    torch.manual_seed(seed)
    module = nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * 8 * 8, 64), nn.ReLU(), nn.Linear(64, 10)),
    )
    ours = Network.from_torch(nn.Sequential(*module, nn.Softmax(1)), learned.shape)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(learned.y)) for _ in range(EPOCHS)]
    began = time.process_time()
    train(
        ours,
        learned.X,
        learned.y,
        loss="categorical_cross_entropy",
        learning_rate=PHOTOS_RATE,
        batch_size=PHOTOS_BATCH,
        epochs=EPOCHS,
        shuffle=lambda epoch: orders[epoch],
        statistics=False,
        engine="reference",
        seed=seed,
    )
    seconds = time.process_time() - began
    right = ours.forward(measured.X).argmax(axis=0) == measured.y
    found = {"ours": 100 * float(right.mean()), "cpu_seconds": seconds}
    X, Xv = (_channels_first(part) for part in (learned, measured))
    batches = (rows for order in orders for rows in _batches(order, PHOTOS_BATCH))
    began = time.process_time()
    _fit(module, X, learned.y, batches, PHOTOS_RATE)
    seconds = time.process_time() - began
    with torch.no_grad():
        right = module(torch.from_numpy(Xv)).argmax(dim=1).numpy() == measured.y
    return {**found, "torch": 100 * float(right.mean()), "torch_cpu_seconds": seconds}


def _channels_first(part: networks_data.Part) -> np.ndarray:
    return np.ascontiguousarray(part.X.T.reshape(-1, *part.shape).transpose(0, 3, 1, 2))


def _in_order(m: int, size: int) -> Iterator[np.ndarray]:
    return _batches(np.arange(m), size)


def _batches(order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (order[k : k + size] for k in range(0, len(order), size))


def _fit(
    module: nn.Module, X: np.ndarray, Y: np.ndarray, batches: Iterator[np.ndarray], rate: float
) -> None:
    """Train by Adam on these rows, a step for each batch; the mean of all outputs' losses."""
    torch.set_num_threads(1)
    learned = [p for p in module.parameters() if p.requires_grad]
    adam = torch.optim.Adam(learned, lr=rate)
    for rows in batches:
        y = torch.from_numpy(Y[rows]).flatten()
        A = module(torch.from_numpy(X[rows])).reshape(len(y), -1)
        adam.zero_grad()
        nn.functional.cross_entropy(A, y).backward()
        adam.step()


MATCHES: dict[str, Callable[[int], dict[str, Any]]] = {"text": text, "photos": photos}
