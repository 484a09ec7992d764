"""The data of networks_accuracy.py, from below PELLUCID_DATA, as arrays of (n[0], m)."""

from __future__ import annotations

import gzip
import io
import os
import sys
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import mnist
import numpy as np


@dataclass(frozen=True)
class Part:
    """Examples, unrolled into columns; their classes; the steps of each, where these differ."""

    X: np.ndarray
    y: np.ndarray
    shape: tuple[int, ...]
    lengths: np.ndarray | None = None

    def rows(self, rows: np.ndarray) -> Part:
        """Return these examples alone."""
        lengths = None if self.lengths is None else self.lengths[rows]
        return replace(self, X=self.X.T[rows].T, y=self.y[rows], lengths=lengths)


Parts = tuple[Part, Part]
"""What is learned from, and what is measured on."""


def folder() -> Path:
    """Where the data are."""
    if "PELLUCID_DATA" not in os.environ:
        sys.exit("Set PELLUCID_DATA to the folder that holds mnist, series, text and cifar.")
    return Path(os.environ["PELLUCID_DATA"])


def pictures() -> Parts:
    """MNIST as pictures of one channel: 60,000 and 10,000."""
    return _mnist((28, 28, 1))


def rows_of_pictures() -> Parts:
    """MNIST as sequences: a row is a step of 28 numbers."""
    return _mnist((28, 28))


def _mnist(shape: tuple[int, ...]) -> Parts:
    train, test = (mnist.read(folder() / "mnist", part) for part in ("train", "t10k"))
    return Part(train[0].T, train[1], shape), Part(test[0].T, test[1], shape)


def series(name: str) -> Parts:
    """A data set of the UCR and UEA archive, each channel standardised as it is in training."""
    (train, y), (test, y_test) = (_series(name, part) for part in ("TRAIN", "TEST"))
    steps = max(len(each) for each in train + test)
    together = np.concatenate(train)
    mean, deviation = together.mean(axis=0), together.std(axis=0)
    classes = sorted(set(y))
    found = []
    for examples, labels in ((train, y), (test, y_test)):
        X = np.zeros((len(examples), steps, len(mean)), dtype=np.float32)
        lengths = np.array([len(each) for each in examples])
        for row, each in zip(X, examples, strict=True):
            row[: len(each)] = (each - mean) / deviation
        numbers = np.array([classes.index(label) for label in labels])
        several = lengths if len(set(lengths)) > 1 else None
        found.append(Part(X.reshape(len(X), -1).T, numbers, X.shape[1:], several))
    return found[0], found[1]


def _series(name: str, part: str) -> tuple[list[np.ndarray], list[str]]:
    """The examples, (steps, channels) each, and their labels, of a file of sktime's format."""
    path = folder() / "series" / f"{name}_{part}.ts.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [line.strip() for line in file if line.strip() and line[0] not in "#@"]
    cells = [line.split(":") for line in lines]
    return [
        np.array([[float(number) for number in channel.split(",")] for channel in row[:-1]]).T
        for row in cells
    ], [row[-1] for row in cells]


def text() -> tuple[np.ndarray, np.ndarray, int]:
    """The numbers of tinyshakespeare's characters: nine tenths, the last tenth, how many kinds."""
    with gzip.open(folder() / "text/tinyshakespeare.txt.gz", "rt", encoding="utf-8") as file:
        characters = file.read()
    kinds = sorted(set(characters))
    numbers = np.array([kinds.index(c) for c in characters], dtype=np.int64)
    cut = len(numbers) * 9 // 10
    return numbers[:cut], numbers[cut:], len(kinds)


def photos() -> Parts:
    """2,000 photos of CIFAR-10: the first 1,600 to learn from, the last 400 to measure on."""
    from PIL import Image

    with zipfile.ZipFile(folder() / "cifar/images_10000-11999.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".png")]
        names.sort(key=lambda name: int(Path(name).stem))
        images = [np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names]
    classes = sorted({Path(name).parent.name for name in names})
    y = np.array([classes.index(Path(name).parent.name) for name in names])
    X = np.stack(images).astype(np.float32) / 255
    whole = Part(X.reshape(len(X), -1).T, y, X.shape[1:])
    return whole.rows(np.arange(1600)), whole.rows(np.arange(1600, len(X)))
