"""Learners' questions: public questions about networks that do not learn, re-created as settings.

Most are items of published collections of faulty programs (DeepLocalize, DeepFD, DeepDiagnosis)
that name the Stack Overflow question they come from. The data of a question are drawn anew where
they are not public. ``accept`` and ``good`` were written down before the first measurement.
"""

from __future__ import annotations

import csv
import functools
import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.datasets as sk

Rows = tuple[np.ndarray, np.ndarray]
"""X of shape (m, n) and its targets."""


@dataclass(frozen=True)
class Asked:
    """The settings of a question; those that a diagnosis may change bear the names it has for them.

    ``split`` is "random", "last" (the last quarter validates) or "none". ``start`` is done to the
    network before training, ``spoil`` to the two parts of the data.
    """

    task: str = "binary"  # or "multiclass", "multilabel", "regression"
    hidden_layer_sizes: tuple[int, ...] = (16,)
    activation: str | tuple[str, ...] = "relu"
    output: str = "sigmoid"
    outputs: int = 1
    loss: Any = "bce"
    optimizer: Any = "adam"
    learning_rate: float | None = None
    batch_size: int | None = 32
    epochs: int = 100
    initializer: Any = None
    bias: float = 0.0
    split: str = "random"
    held_out: float = 0.25
    seed: int = 0
    class_weight: Any = None
    standardise: bool = False
    standardise_target: bool = False
    early_stopping: Any = None
    gradient_clip: Any = None
    dropout: Any = 0.0
    l1: float = 0.0
    l2: float = 0.0
    schedule: Any = "constant"
    labels: str = ""
    drop_columns: tuple[int, ...] = ()
    balanced: bool = False  # scored by the mean accuracy of the classes
    start: Callable[[Any], None] | None = None
    spoil: Callable[[Rows, Rows], tuple[Rows, Rows]] | None = None


@dataclass(frozen=True)
class Question:
    """A question, its accepted cause, and how it was trained.

    Attributes
    ----------
    accept : set of str
        The kinds that name the accepted cause; "REFUSED" where refusing to train does.
    good : float or None
        The score from which it counts as cured; None where no setting could cure it.
    refusal : str
        Words of a refusal that name the cause.
    """

    id: str
    source: str
    cause: str
    accept: set[str]
    good: float | None
    data: Callable[[], Rows]
    asked: Asked = field(default_factory=Asked)
    refusal: str = ""


def _folder() -> Path:
    return Path(os.environ["PELLUCID_DATA"])


@functools.cache
def mnist(m: int, divisor: float) -> Rows:
    """The first m of MNIST's test images in a fixed random order, and their digits."""
    folder = _folder() / "mnist"
    with gzip.open(folder / "t10k-images-idx3-ubyte.gz") as file:
        X = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)
    with gzip.open(folder / "t10k-labels-idx1-ubyte.gz") as file:
        y = np.frombuffer(file.read(), np.uint8, offset=8)
    rows = np.random.default_rng(0).permutation(10000)[:m]
    return X[rows].astype(float) / divisor, y[rows].astype(int)


_BLANK = {"pclass": 2.0, "age": 29.0, "sibsp": 0.0, "parch": 0.0, "fare": 14.0}


def titanic() -> Rows:
    """Class, sex, age, relatives and fare of the passengers, and who survived."""
    with open(_folder() / "titanic" / "titanic.csv", newline="") as file:
        rows = [{k.lower(): v for k, v in row.items()} for row in csv.DictReader(file)]
    columns = [
        [float(row.get(name) or blank) for row in rows] for name, blank in list(_BLANK.items())
    ]
    columns.insert(1, [float(row["sex"] == "male") for row in rows])
    return np.array(columns).T, np.array([int(float(row["survived"])) for row in rows])


def _xor() -> Rows:
    return np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), np.array([0, 1, 1, 0])


def _two_pictures() -> Rows:
    return np.repeat([[1.0], [0.0]], 300, axis=0).repeat(128, axis=1), np.repeat([1.0, 0.0], 300)


def _large_linear() -> Rows:
    X = 10000 * np.random.default_rng(3).random((2000, 3))
    return X, X @ [2, 1, 0.5] + 2.2


def _classes() -> Rows:
    return sk.make_classification(600, 20, n_informative=6, random_state=0)


def _shuffled_bits() -> Rows:
    bits = np.array([[int(c) for c in f"{i:08b}"] for i in range(256)], float)
    return bits, bits[np.random.default_rng(7).permutation(256)]


def _addresses() -> Rows:
    """Internet addresses as numbers, ports, a flag and three columns of noise."""
    rng = np.random.default_rng(6)
    addresses = rng.choice([3232235778, 3232235773, 3232235779.0], 500)
    X = np.column_stack(
        [addresses, rng.integers(0, 70000, 500), rng.integers(0, 2, 500), rng.normal(size=(500, 3))]
    )
    return X, (X[:, 1] > 35000).astype(int) ^ (rng.random(500) < 0.03)


def _several_labels() -> Rows:
    rng = np.random.default_rng(8)
    X = rng.normal(size=(900, 10))
    return X, (X[:, :5] + 0.3 * rng.normal(size=(900, 5)) > 0.2).astype(float)


def _parabola() -> Rows:
    x = np.arange(-10, 10, 0.1)
    return x[:, None], 103 + (x + 10) ** 2 - 20 * (x + 10)


def _below_zero() -> Rows:
    X = np.random.default_rng(9).normal(1, 0.8, (200, 2))
    return X, 0.8 * np.tanh(X[:, 0]) - 0.9 * X[:, 1] ** 2 / 2


def _five_squares() -> Rows:
    x = np.arange(0, 5, 0.1)
    return x[:, None], 5 * x**2 + np.random.default_rng(7).normal(size=50) ** 3


def _two_squares() -> Rows:
    rng = np.random.default_rng(2)
    first, second = rng.uniform(0.2, 0.4, (100, 2)), rng.uniform(0.5, 0.7, (100, 2))
    return np.vstack([first, second]), np.repeat([0, 1], 100)


def _fourth_power() -> Rows:
    x = np.arange(-100, 100, 0.5)
    return x[:, None], x**4


def _one_hot_digits() -> Rows:
    X, y = mnist(3000, 1)
    return X, np.eye(10)[y]


def _adult() -> Rows:
    """Age, weight of the sample, schooling and capital gain, each in its own unit."""
    rng = np.random.default_rng
    age, schooling = rng(1).integers(18, 90, 900), rng(3).integers(1, 16, 900)
    gains = rng(4).random(900) < 0.1
    X = np.column_stack(
        [age, rng(2).normal(2e5, 1e5, 900), schooling,
         np.where(gains, rng(5).exponential(1e4, 900), 0)]
    )  # fmt: skip
    merit = (schooling - 8) / 4 + (age - 50) / 20 + np.where(gains, 2, 0)
    return X, (merit + rng(11).normal(0, 0.6, 900) > 0.4).astype(int)


def _marks_one_to_four() -> Rows:
    X = np.random.default_rng(4).normal(size=(200, 2))
    return X, 1.0 + 2 * (X[:, 0] > 0) + (X[:, 1] > 0)


def _to_ten_thousand() -> Rows:
    x = np.arange(1, 101.0)
    return x[:, None], x**2


def _seven_points() -> Rows:
    x = np.arange(-1.0, 6)
    return x[:, None], 2 * x - 1


def _one_in_nine() -> Rows:
    rng = np.random.default_rng(12)
    y = (rng.random(3000) < 0.115).astype(int)
    return rng.normal(size=(3000, 12)) + y[:, None] * 0.35, y


def _friedman() -> Rows:
    X, y = sk.make_friedman1(600, random_state=1)
    return X, (y - y.mean()) / y.std()


def _plus_minus_digits() -> Rows:
    X, y = mnist(2000, 255)
    return X, 2 * np.eye(10)[y] - 1


def _marks() -> Rows:
    X = np.random.default_rng(22).uniform(0, 10, (120, 4))
    return X, np.clip(4 * X[:, 1] - 1.5 * X[:, 2] + X[:, 0] + 10, 0, 50)


def _sine() -> Rows:
    x = np.random.default_rng(30).random((50, 1))
    return x, np.sin(x[:, 0])


def _millions() -> Rows:
    X, y = _classes()
    return X * 1e6, y


def _ones(net: Any) -> None:
    for l in net.W:
        net.W[l][...] = net.b[l][...] = 1.0


def _train_alone_scaled(train: Rows, validation: Rows) -> tuple[Rows, Rows]:
    X, y = train
    return ((X - X.mean(axis=0)) / X.std(axis=0), y), validation


QUESTIONS = (
    Question(
        "SO31556268", "SO 31556268 (DeepLocalize, DeepFD)",
        "XOR with MAE at a sigmoid and a low rate: take MSE or BCE, a higher rate, more epochs",
        {"wrong_loss", "learning_rate_too_low", "stopped_too_early"}, 1.0, _xor,
        Asked(hidden_layer_sizes=(4,), activation="sigmoid", loss="mae", optimizer="nesterov",
              learning_rate=0.05, batch_size=4, epochs=1000, split="none",
              initializer="glorot_uniform"),
    ),
    Question(
        "SO31627380", "SO 31627380 (DeepLocalize)",
        "softmax on one output unit is always 1 (Titanic): take sigmoid and BCE",
        {"wrong_output"}, 0.75, titanic,
        Asked(hidden_layer_sizes=(20,), output="softmax", loss="cce", epochs=50),
        refusal="softmax of one is always 1",
    ),
    Question(
        "SO31880720", "SO 31880720 (DeepLocalize, DeepDiagnosis)",
        "softmax on one output unit with BCE: accuracy 0.5",
        {"wrong_output"}, 1.0, _two_pictures,
        Asked(hidden_layer_sizes=(50, 50), output="softmax", optimizer="rmsprop", batch_size=1,
              epochs=3, dropout=0.2),
    ),
    Question(
        "SO33969059", "SO 33969059 (DeepLocalize)",
        "regression with a softmax output of one unit; inputs of size 10,000 too",
        {"wrong_output", "unscaled_inputs", "unscaled_target"}, 0.9, _large_linear,
        Asked("regression", (3, 2), "tanh", "softmax", 1, "mse", "nesterov", 0.1, epochs=20),
    ),
    Question(
        "SO38648195", "SO 38648195 (DeepLocalize)",
        "two classes with softmax on one unit and MSE",
        {"wrong_output", "wrong_loss"}, 0.85, _classes,
        Asked(hidden_layer_sizes=(64, 64), output="softmax", loss="mse", optimizer="rmsprop",
              batch_size=20, epochs=20, dropout=0.5),
    ),
    Question(
        "SO39217567", "SO 39217567 (DeepLocalize)",
        "rows of y shuffled out of step with X (copy 8 bits)",
        {"nothing_to_learn"}, None, _shuffled_bits,
        Asked("multilabel", (8, 8), "sigmoid", outputs=8, loss="mse", optimizer="sgd",
              learning_rate=0.01, batch_size=50, epochs=300, split="none"),
    ),
    Question(
        "SO44066044", "SO 44066044 (DeepLocalize)",
        "ReLU output with BCE, internet addresses of 3e9 as inputs: sigmoid, scale",
        {"wrong_output", "unscaled_inputs"}, 0.9, _addresses,
        Asked(hidden_layer_sizes=(12, 12), output="relu", batch_size=5, epochs=40,
              initializer={"name": "normal", "std": 0.05}),
    ),
    Question(
        "SO44164749", "SO 44164749 (DeepLocalize)",
        "several labels at once with softmax and CCE: take sigmoids and BCE",
        {"REFUSED", "wrong_output"}, 0.85, _several_labels,
        Asked("multilabel", (64,), output="softmax", outputs=5, loss="cce", optimizer="nesterov",
              learning_rate=0.01, batch_size=100, epochs=20),
    ),
    Question(
        "SO48221692", "SO 48221692 (DeepLocalize)",
        "sigmoid output for targets of 3 to 103: take the identity",
        {"wrong_output"}, 0.9, _parabola,
        Asked("regression", (5,), "sigmoid", loss="mse", optimizer="sgd", learning_rate=0.01,
              batch_size=None, epochs=1000),
    ),
    Question(
        "SO48251943", "SO 48251943 (DeepLocalize)",
        "ReLU output although targets are negative: every answer is 0",
        {"wrong_output"}, 0.85, _below_zero,
        Asked("regression", (4,), output="relu", loss="mse", optimizer="sgd", learning_rate=0.01,
              batch_size=10, epochs=50),
    ),
    Question(
        "SO48934338", "SO 48934338 (DeepLocalize)",
        "5 x^2 to 125, plain descent with rate 0.1: J is NaN; lower rate or scaled target",
        {"unscaled_target", "learning_rate_too_high", "divergence"}, 0.9, _five_squares,
        Asked("regression", (50, 30), output="identity", loss="mse", optimizer="sgd",
              learning_rate=0.1, epochs=300, split="none"),
    ),
    Question(
        "SO50306988", "SO 50306988 (DeepLocalize)",
        "only 5 epochs for two classes far apart, 2 sigmoid units: accuracy 0.5",
        {"stopped_too_early", "learning_rate_too_low"}, 0.95, _two_squares,
        Asked("multiclass", (2,), "sigmoid", "softmax", 2, "cce", learning_rate=0.001, epochs=5),
    ),
    Question(
        "SO52800582", "SO 52800582 (DeepLocalize)",
        "x^4 on -100 to 100: inputs and targets (1e8) not scaled",
        {"unscaled_inputs", "unscaled_target"}, 0.95, _fourth_power,
        Asked("regression", (50, 50), ("sigmoid", "elu"), "identity", loss="mse", batch_size=400,
              epochs=600),
    ),
    Question(
        "SO55328966", "SO 55328966 (DeepLocalize)",
        "MNIST with pixels of 0 to 255, sigmoid with CCE, rate 1e-4: divide by 255",
        {"unscaled_inputs", "wrong_output"}, 0.85, _one_hot_digits,
        Asked("multiclass", (50,), outputs=10, loss="cce", optimizer="sgd", learning_rate=1e-4,
              epochs=10),
    ),
    Question(
        "SO47724077", "SO 47724077 (DeepLocalize; adult)",
        "unscaled columns (capital gain, sample weight): one class for everybody",
        {"unscaled_inputs"}, 0.75, _adult,
        Asked("multiclass", (21,), output="softmax", outputs=2, loss="cce", batch_size=100,
              epochs=50),
    ),
    Question(
        "AI27010", "ai.stackexchange 27010", "XOR with no hidden layer: always 0.5",
        {"underfitting"}, 1.0, _xor,
        Asked("multiclass", (), output="softmax", outputs=2, loss="cce", optimizer="sgd",
              learning_rate=0.5, batch_size=4, epochs=1000, split="none"),
    ),
    Question(
        "SO3644795", "SO 3644795 (copy at ansaurus)", "targets 1, 2, 3, 4 at a tanh output",
        {"wrong_output", "labels_outside_range"}, 0.9, _marks_one_to_four,
        Asked("regression", (3,), "tanh", "tanh", loss="mse", optimizer="momentum",
              learning_rate=0.5, batch_size=1, epochs=60),
    ),
    Question(
        "SO-neuroph", "Stack Overflow, Neuroph: result is always 1 (daily-blog copy 2220315)",
        "x^2 from 1 to 10,000 at a sigmoid output; inputs to 100 too",
        {"wrong_output", "unscaled_inputs", "unscaled_target"}, 0.95, _to_ten_thousand,
        Asked("regression", (20,), "sigmoid", loss="mse", optimizer="sgd", learning_rate=0.1,
              batch_size=1, epochs=10),
    ),
    Question(
        "DLAI324182", "community.deeplearning.ai 324182",
        "2x - 1 with ReLU on the output: J does not change",
        {"wrong_output", "dead_units"}, 0.95, _seven_points,
        Asked("regression", (4, 2), output="relu", loss="mse", learning_rate=0.001, epochs=500,
              split="none", seed=3),
    ),
    Question(
        "DS19283", "datascience.stackexchange 19283",
        "88 % are negative: the network says so of everybody",
        {"class_imbalance"}, 0.70, _one_in_nine,
        Asked(hidden_layer_sizes=(8, 8, 8), batch_size=64, epochs=20, balanced=True),
    ),
    Question(
        "DS79607", "datascience.stackexchange 79607",
        "all weights and biases start at 1: hidden units stay equal",
        {"constant_initialisation", "symmetry"}, 0.85,
        lambda: sk.make_moons(400, noise=0.15, random_state=0),
        Asked("multiclass", (3, 3), "sigmoid", "softmax", 2, "cce", "sgd", 0.5, epochs=200,
              start=_ones),
    ),
    Question(
        "CV261704", "stats.stackexchange 261704",
        "regression answers with the mean: Adam's rate is too high for a deep ReLU network",
        {"learning_rate_too_high", "dead_units", "oscillation"}, 0.8, _friedman,
        Asked("regression", (64, 64, 64), output="identity", loss="mse", learning_rate=0.5,
              epochs=50, standardise=True),
    ),
    Question(
        "SO-mnist-tanh", "Stack Overflow (offlinew copy): learns for one epoch, then stops",
        "MNIST, tanh, MSE with targets of -1 and 1, large random weights: saturated at once",
        {"weights_too_large", "saturated_units", "wrong_output", "wrong_loss"}, 0.8,
        _plus_minus_digits,
        Asked("multiclass", (16, 16), "tanh", "tanh", 10, "mse", "sgd", 0.1, 100, 15,
              {"name": "normal", "std": 1.0}),
    ),
    Question(
        "SO-mnist-randn", "SO comment by bot.dharman 1943234; pytroubles 1785",
        "MNIST with pixels of 0 to 255 and N(0, 1) weights: divide by 255, scale the weights",
        {"unscaled_inputs", "weights_too_large"}, 0.8, lambda: mnist(3000, 1),
        Asked("multiclass", (10,), output="softmax", outputs=10, loss="cce", optimizer="sgd",
              learning_rate=0.1, batch_size=None, initializer={"name": "normal", "std": 1.0}),
    ),
    Question(
        "SO-marks", "Stack Overflow: Tensorflow regression model giving same prediction every time",
        "inputs to 10 saturate sigmoids, target of 0 to 50: the same value for all",
        {"unscaled_inputs", "unscaled_target", "wrong_output", "saturated_units"}, 0.8, _marks,
        Asked("regression", (2,), "sigmoid", loss="mse", optimizer="sgd", learning_rate=0.05,
              batch_size=None, epochs=500),
    ),
    Question(
        "TF4283", "discuss.tensorflow.org 4283; many of the kind: val_loss goes up",
        "overfitting: two layers of 128 on few examples",
        {"overfitting"}, 0.72,
        lambda: sk.make_classification(160, 20, n_informative=4, flip_y=0.15, random_state=3),
        Asked(hidden_layer_sizes=(128, 128), optimizer="rmsprop", batch_size=16, epochs=150,
              held_out=0.4),
    ),
    Question(
        "DLAI223096", "community.deeplearning.ai 223096", "training data scaled, test data raw",
        {"drift"}, None, lambda: sk.load_wine(return_X_y=True),
        Asked("multiclass", output="softmax", outputs=3, loss="cce", learning_rate=0.01,
              batch_size=16, epochs=80, spoil=_train_alone_scaled),
    ),
    Question(
        "DS44698", "datascience.stackexchange 44698",
        "the step has the wrong sign (W += alpha dW): J ascends",
        {"REFUSED", "ascent"}, 0.9, _sine,
        Asked("regression", (3,), "sigmoid", loss="mse", optimizer="sgd", learning_rate=-0.1,
              batch_size=50, epochs=300, split="none"),
    ),
    Question(
        "SO-xor05", "SO 60579283 (copy): XOR seems to converge around 0.5",
        "XOR with 2 sigmoid units and MSE, one example a step: more units, a higher rate",
        {"wrong_loss", "underfitting", "learning_rate_too_low", "stopped_too_early",
         "batch_too_small"}, 1.0, _xor,
        Asked(hidden_layer_sizes=(2,), activation="sigmoid", loss="mse", optimizer="sgd",
              learning_rate=0.1, batch_size=1, epochs=1000, split="none"),
    ),
    Question(
        "SO-nan-log", "taourl, SO: NaN loss (features of 1e3 to 1e6, rate too high)",
        "inputs of a million, plain descent: J is NaN; standardise",
        {"unscaled_inputs"}, 0.85, _millions,
        Asked(hidden_layer_sizes=(64,), optimizer="sgd", learning_rate=0.1, epochs=20),
    ),
    Question(
        "deep-sigmoid", "many questions on vanishing gradients; UMLAUT's and AutoTrainer's circles",
        "8 sigmoid layers on circles: accuracy 0.5",
        {"vanishing_gradient"}, 0.9,
        lambda: sk.make_circles(600, noise=0.08, factor=0.5, random_state=1),
        Asked(hidden_layer_sizes=(16,) * 8, activation="sigmoid", learning_rate=0.003, epochs=60),
    ),
)  # fmt: skip
"""Every question, in the order in which it was asked here."""
