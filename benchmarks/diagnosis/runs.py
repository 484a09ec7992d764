"""One run: data, network, training, evidence; kept on disk, so that rules may change cheaply."""

from __future__ import annotations

import functools
import hashlib
import inspect
import os
import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from faults import add_data_fault
from settings import IMBALANCED, Spec, table, task
from sklearn.metrics import balanced_accuracy_score

from pellucid import Dense, Network, train
from pellucid.activations import LeakyReLU, Tanh
from pellucid.history import History
from pellucid.initializers import initializer as find_initializer
from pellucid.insight.diagnosis import backward, reference, training_run
from pellucid.insight.diagnosis import evidence as evidence_module
from pellucid.insight.diagnosis.evidence import Evidence, gather
from pellucid.insight.diagnosis.training_run import TrainingRun
from pellucid.losses import loss as find_loss
from pellucid.optimizers import optimizer as find_optimizer
from pellucid.training import facts, measure
from pellucid.training.facts import columns, target
from pellucid.training.facts import reference as of_learners
from pellucid.training.facts.target import Table

CACHE = Path(os.environ.get("PELLUCID_DIAGNOSIS_CACHE", Path(__file__).parent / ".cache"))
SPLITS = 4
"""Different splits of each table."""
_VERSION = hashlib.sha256(
    "".join(
        inspect.getsource(each)
        for each in (
            backward,
            evidence_module,
            facts,
            columns,
            target,
            of_learners,
            reference,
            measure,
            training_run,
        )
    ).encode()
).hexdigest()[:12]


class WrongTanh(Tanh):
    """Its derivative is 1 - a."""

    name = "wrong tanh"

    def backward(self, dA: Any, Z: Any, A: Any) -> Any:
        return dA * (1 - A)


class WrongSquare(Tanh):
    """z + z^2 / 4 with the derivative 1 + z."""

    name = "wrong square"

    def __call__(self, Z: Any) -> Any:
        return Z + Z * Z / 4

    def backward(self, dA: Any, Z: Any, A: Any) -> Any:
        return dA * (1 + Z)


class WrongLeaky(LeakyReLU):
    """The derivative of the positive part everywhere."""

    name = "wrong leaky"

    def __call__(self, Z: Any) -> Any:
        return np.where(Z > 0, Z, Z / 4)

    def backward(self, dA: Any, Z: Any, A: Any) -> Any:
        return dA


_OWN = {g.name: g for g in (WrongTanh, WrongSquare, WrongLeaky)}


@dataclass
class Parts:
    """X (n, m) and Y of the three parts."""

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


@dataclass
class Result:
    """What a run left behind."""

    spec: Spec
    metric: float
    refused: str
    history: dict[str, Any] | None
    parameters: dict[str, np.ndarray]
    evidence: Evidence | None = None


@functools.lru_cache(maxsize=64)
def _parts(
    name: str, split: int, fault: str, rows: int, standardise: bool, target: bool, drop: tuple
) -> Parts:
    """The data of a spec: spoilt, split by half, a fifth and the rest, standardised."""
    rng = np.random.default_rng([split, *name.encode(), *fault.encode()])
    X, y = table(name)
    noisy = fault == "noisy labels"
    spoilt = (X, y) if noisy else add_data_fault(fault, X, y, rng)
    X, y = spoilt
    m = len(y)
    order = np.arange(m) if fault == "sorted" else np.random.default_rng(split).permutation(m)
    cut = round(0.5 * m), round(0.7 * m)
    parts = [order[: cut[0]], order[cut[0] : cut[1]], order[cut[1] :]]
    if rows:
        parts[0] = parts[0][:rows]
    data = [(X[part], y[part]) for part in parts]
    if noisy:
        data[:2] = [add_data_fault(fault, *pair, rng) for pair in data[:2]]
    if fault == "shifted":
        moved = rng.permutation(X.shape[1])[: max(1, X.shape[1] // 3)]
        step = np.zeros(X.shape[1])
        step[moved] = 1.5 * X.std(axis=0)[moved]
        data[1:] = [(Xp + step, yp) for Xp, yp in data[1:]]
    if drop:
        data = [(np.delete(Xp, drop, axis=1), yp) for Xp, yp in data]
    if standardise:
        mean, std = data[0][0].mean(axis=0), data[0][0].std(axis=0)
        std[std < 1e-9 * np.maximum(np.abs(mean), 1)] = 1
        data = [((Xp - mean) / std, yp) for Xp, yp in data]
    if task(name) == "regression" and target:
        mean, std = data[0][1].mean(), data[0][1].std()
        data = [(Xp, (yp - mean) / std) for Xp, yp in data]
    return Parts(*((np.asfortranarray(Xp.T), _labels(fault, yp)) for Xp, yp in data))


def _labels(fault: str, y: np.ndarray) -> np.ndarray:
    if fault == "labels 1 to K":
        return y + 1
    if fault.startswith("labels"):
        low, high = map(float, fault.split()[1:])
        return low + (high - low) * y
    return y


def parts(spec: Spec) -> Parts:
    """The data of a run."""
    return _parts(
        spec.table, spec.seed % SPLITS, spec.data_fault, spec.rows, spec.standardise,
        spec.standardise_target, spec.drop_columns,
    )  # fmt: skip


def build(spec: Spec, n_inputs: int, n_classes: int) -> Network:
    """The network before training."""
    kind = task(spec.table)
    g = spec.output or {"regression": "identity", "binary": "sigmoid"}.get(kind, "softmax")
    hidden: Any = _OWN[spec.activation]() if spec.activation in _OWN else spec.activation
    layers = [Dense(width, hidden) for width in spec.hidden]
    layers.append(Dense(n_classes if kind == "multiclass" else 1, g))
    net = Network(layers, n_inputs, _initializer(spec.initializer, spec.seed), seed=spec.seed)
    for l in range(1, net.L):
        net.b[l][...] = spec.bias
    return net


def _same_rows(seed: int) -> Any:
    """Hidden units that are all alike, and that the next layer treats alike."""
    rng, first = np.random.default_rng(seed), []

    def draw(shape: tuple[int, int]) -> np.ndarray:
        if not first:
            first.append(True)
            return np.tile(rng.normal(size=(1, shape[1])) / np.sqrt(shape[1]), (shape[0], 1))
        return np.tile(rng.normal(size=(shape[0], 1)) / np.sqrt(shape[1]), (1, shape[1]))

    return draw


def _initializer(text: str, seed: int) -> Any:
    if not text:
        return None
    name, _, number = text.partition(" ")
    if text == "same rows":
        return _same_rows(seed)
    if number.startswith("*"):
        factor = float(number[1:])
        rng = np.random.default_rng(seed)
        return lambda shape: factor * rng.normal(size=shape) * np.sqrt(2 / shape[1])
    if not number:
        return name
    return find_initializer({"name": name, {"normal": "std"}.get(name, "value"): float(number)})


def _loss(spec: Spec) -> str:
    return spec.loss or {"regression": "mse", "binary": "bce"}.get(task(spec.table), "cce")


def _carry_out(spec: Spec) -> Result:
    data = parts(spec)
    net = build(spec, len(data.train[0]), len(np.unique(table(spec.table)[1])))
    found = find_optimizer(
        {"name": spec.optimizer, "beta": spec.beta} if spec.beta else spec.optimizer
    )
    history, refused = None, ""
    Y, Yv = (_targets(spec, net, each[1]) for each in (data.train, data.validation))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            history = train(
                net, data.train[0], Y, loss=_loss(spec), optimizer=found,
                learning_rate=spec.learning_rate, epochs=spec.epochs,
                batch_size=spec.batch_size, validation_data=(data.validation[0], Yv),
                early_stopping=spec.early_stopping or None,
                class_weight=spec.class_weight or None,
                gradient_clip=spec.gradient_clip or None,
                seed=spec.seed, n_threads=1,
            )  # fmt: skip
        except ValueError as error:
            refused = str(error)
    metric = float("nan") if refused else _metric(spec, net, *data.test)
    return Result(spec, metric, refused, history and history.to_dict(), net.copy_parameters())


def _targets(spec: Spec, net: Network, y: np.ndarray) -> np.ndarray:
    """Class numbers as they are, or one-hot where the loss wants columns."""
    if net.n[-1] > 1 and _loss(spec) != "cce":
        return np.eye(net.n[-1])[y.astype(int) % net.n[-1]].T
    return y


def _metric(spec: Spec, net: Network, X: np.ndarray, y: np.ndarray) -> float:
    A = net.forward(X)
    if task(spec.table) == "regression":
        value = 1 - np.mean((A[0] - y) ** 2) / np.var(y)
        return float(max(value, -1)) if np.isfinite(value) else -1.0
    low, high = y.min(), y.max()
    guess = A.argmax(axis=0) if len(A) > 1 else low + (high - low) * (A[0] >= (low + high) / 2)
    if spec.data_fault == "labels 1 to K":
        guess = guess + 1
    if spec.table in IMBALANCED or spec.data_fault.startswith("clouds"):
        return float(balanced_accuracy_score(y, guess))
    return float(np.mean(guess == y))


def training_run_of(result: Result) -> TrainingRun:
    """What the diagnosis of a run is given: no held-out rows."""
    spec, data = result.spec, parts(result.spec)
    net = build(spec, len(data.train[0]), len(np.unique(table(spec.table)[1])))
    net.put_parameters(result.parameters)
    history = None if result.history is None else History.from_dict(result.history)
    pairs = [(X, _targets(spec, net, y)) for X, y in (data.train, data.validation)]
    return TrainingRun(net, history, *pairs, find_loss(_loss(spec)))


def run(spec: Spec) -> Result:
    """Return the run, from disk where it was done before; its evidence is as new as the code."""
    result = kept(CACHE / "runs" / spec.key, lambda: _carry_out(spec))

    def evidence() -> Evidence:
        kind = task(spec.table)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return gather(
                training_run_of(result), "regression" if kind == "regression" else "classification"
            )

    result.evidence = kept(CACHE / f"evidence-{_VERSION}" / spec.key, evidence)
    return result


def metric(spec: Spec) -> float:
    """Return the held-out metric of a run, without its evidence."""
    return float(kept(CACHE / "runs" / spec.key, lambda: _carry_out(spec)).metric)


def kept(path: Path, make: Any) -> Any:
    """Return what is kept in a file, made where there is none."""
    if path.exists():
        return pickle.loads(path.read_bytes())
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    part.write_bytes(pickle.dumps(made))
    part.replace(path)
    return made


def _cached_reference(train: Table, held_out: Table) -> reference.Reference:
    """The same data are asked for by many runs."""
    arrays = [a for t in (train, held_out) for a in (t.X, t.y, t.weight) if a is not None]
    parts = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    key = hashlib.sha256(
        (inspect.getsource(reference) + repr(train.loss)).encode() + parts
    ).hexdigest()[:20]
    return kept(CACHE / "references" / key, lambda: reference.reference(train, held_out))


evidence_module.reference = _cached_reference
