"""MNIST accuracy of two textbook networks, mean of three seeds.

    PELLUCID_DATA=path/to/data python benchmarks/mnist.py

reads ``$PELLUCID_DATA/mnist/*-ubyte.gz`` (the files of LeCun, Cortes, Burges) and prints the table
of ``benchmarks/accuracy.md``.
"""

import argparse
import gzip
import os
import sys
import time
from pathlib import Path

import numpy as np

from pellucid import Dense, Network, train

RECIPES = {
    "sigmoid": {
        "layers": lambda: [Dense(100, "sigmoid"), Dense(10, "sigmoid")],
        "initializer": "lecun_normal",
        "asked": 97.8,
        "settings": {
            "loss": "binary_cross_entropy",
            "optimizer": "gradient_descent",
            "learning_rate": 0.1,
            "batch_size": 10,
            "l2": 1e-4,
            "epochs": 60,
        },
    },
    "relu": {
        "layers": lambda: [Dense(100, "relu"), Dense(10, "softmax")],
        "initializer": "he_normal",
        "asked": 97.7,
        "settings": {
            "loss": "categorical_cross_entropy",
            "optimizer": "adam",
            "batch_size": 128,
            "epochs": 20,
        },
    },
}


def read(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of 784 numbers between 0 and 1, and labels."""
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as images:
        pixels = np.frombuffer(images.read(), dtype=np.uint8, offset=16)
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as labels:
        y = np.frombuffer(labels.read(), dtype=np.uint8, offset=8)
    return (pixels.reshape(-1, 784) / np.float32(255)).astype(np.float32), y.astype(np.int64)


def run(name: str, seed: int, X, y, X_test, y_test) -> tuple[float, float]:
    """Train one network; return its test accuracy in percent and the seconds."""
    recipe = RECIPES[name]
    network = Network(
        recipe["layers"](), n_inputs=784, initializer=recipe["initializer"], seed=seed
    )
    several = recipe["settings"]["loss"] == "binary_cross_entropy"
    Y = np.eye(10, dtype=np.float32)[y].T if several else y
    start = time.perf_counter()
    train(network, X.T, Y, seed=seed, **recipe["settings"])
    seconds = time.perf_counter() - start
    correct = network.forward(X_test.T).argmax(axis=0) == y_test
    return 100 * float(correct.mean()), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    arguments = parser.parse_args()
    if "PELLUCID_DATA" not in os.environ:
        sys.exit("Set PELLUCID_DATA to the folder that holds mnist/train-images-idx3-ubyte.gz.")
    folder = Path(os.environ["PELLUCID_DATA"]) / "mnist"
    data = *read(folder, "train"), *read(folder, "t10k")
    print("| network | seeds | test accuracy, % | mean | asked | fit, s |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in arguments.recipes:
        found = [run(name, seed, *data) for seed in arguments.seeds]
        each = ", ".join(f"{accuracy:.2f}" for accuracy, _ in found)
        mean = np.mean([accuracy for accuracy, _ in found])
        seconds = np.median([seconds for _, seconds in found])
        seeds = ", ".join(map(str, arguments.seeds))
        asked = RECIPES[name]["asked"]
        print(f"| {name} | {seeds} | {each} | {mean:.2f} | {asked} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
