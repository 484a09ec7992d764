"""Pictures, series and text below PELLUCID_DATA, as arrays with an example in each row.

``mnist/*-ubyte.gz`` (LeCun, Cortes, Burges), ``series/NAME_{TRAIN,TEST}.ts.gz`` (UCR and UEA, as
sktime writes them), ``text/tinyshakespeare.txt.gz`` (Karpathy) and ``cifar/*.zip`` (2,000 photos of
CIFAR-10, CLASS/NUMBER.png).
"""

from __future__ import annotations

import gzip
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass
class Data:
    """Examples (m, *shape) with class numbers, to learn from and to be measured on.

    ``y`` is (m,), or (m, steps) where each step has a class. ``lengths`` are the steps that are
    there, None: all.
    """

    X: Array
    y: Array
    X_test: Array
    y_test: Array
    lengths: Array | None = None
    lengths_test: Array | None = None


def mnist(folder: Path, seed: int) -> Data:
    """60,000 pictures (28, 28, 1) and 10,000 to measure on, from 0 to 1."""
    parts = []
    for part in ("train", "t10k"):
        with gzip.open(folder / f"mnist/{part}-images-idx3-ubyte.gz") as images:
            pixels = np.frombuffer(images.read(), dtype=np.uint8, offset=16)
        with gzip.open(folder / f"mnist/{part}-labels-idx1-ubyte.gz") as labels:
            y = np.frombuffer(labels.read(), dtype=np.uint8, offset=8).astype(np.int64)
        parts += [(pixels.reshape(-1, 28, 28, 1) / np.float32(255)).astype(np.float32), y]
    return Data(*parts)


def mnist_rows(folder: Path, seed: int) -> Data:
    """The same as sequences: 28 steps, each a row of 28 pixels."""
    data = mnist(folder, seed)
    data.X, data.X_test = data.X[..., 0], data.X_test[..., 0]
    return data


def series(folder: Path, name: str) -> Data:
    """A data set of the archive, split as it comes; each channel standardised by its training part.

    Cases are padded to the longest of both parts.
    """
    cases, labels = [], []
    for part in ("TRAIN", "TEST"):
        text = gzip.decompress((folder / f"series/{name}_{part}.ts.gz").read_bytes()).decode()
        rows = [row for row in text.split("@data")[1].splitlines() if row.strip()]
        channels = [row.strip().split(":") for row in rows]
        cases.append([np.array([c.split(",") for c in case[:-1]], float).T for case in channels])
        labels.append([case[-1] for case in channels])
    known = np.concatenate(cases[0])
    mean, std = known.mean(axis=0), known.std(axis=0)
    steps = [np.array([len(case) for case in part]) for part in cases]
    longest = max(part.max() for part in steps)
    found = []
    for part, T in zip(cases, steps, strict=True):
        padded = np.zeros((len(part), longest, known.shape[1]), np.float32)
        for case, length, row in zip(part, T, padded, strict=True):
            row[:length] = (case - mean) / std
        found.append(padded)
    classes = sorted(set(labels[0]))
    y, y_test = (np.array([classes.index(each) for each in part]) for part in labels)
    differ = len(set(np.concatenate(steps).tolist())) > 1
    return Data(found[0], y, found[1], y_test, *(steps if differ else (None, None)))


def shakespeare(folder: Path, seed: int) -> Data:
    """Windows of 64 characters, and the next one of each; the last tenth is measured on."""
    raw = gzip.decompress((folder / "text/tinyshakespeare.txt.gz").read_bytes())
    _, numbers = np.unique(np.frombuffer(raw, dtype=np.uint8), return_inverse=True)
    cut = len(numbers) * 9 // 10
    parts = []
    for text in (numbers[:cut], numbers[cut:]):
        count = (len(text) - 1) // 64
        parts += [text[k : k + 64 * count].reshape(count, 64) for k in (0, 1)]
    return Data(*parts)


def photos(folder: Path, seed: int) -> Data:
    """2,000 photos (32, 32, 3), from -1 to 1: 1,600 to learn from, 400 to measure on, by seed."""
    from PIL import Image

    names, pictures = [], []
    with zipfile.ZipFile(folder / "cifar/images_10000-11999.zip") as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".png"):
                names.append(name.split("/")[0])
                with Image.open(io.BytesIO(archive.read(name))) as picture:
                    pictures.append(np.asarray(picture.convert("RGB")))
    X = (np.stack(pictures) / np.float32(127.5) - 1).astype(np.float32)
    y = np.unique(names, return_inverse=True)[1]
    order = np.random.default_rng([seed, 7]).permutation(len(y))
    learn, test = order[:1600], order[1600:]
    return Data(X[learn], y[learn], X[test], y[test])
