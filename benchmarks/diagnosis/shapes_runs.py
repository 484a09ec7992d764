"""One run of shapes.py: data, network, training, evidence; kept on disk."""

from __future__ import annotations

import hashlib
import inspect
import warnings
from dataclasses import dataclass

import numpy as np
from runs import CACHE, SPLITS, kept
from shapes_faults import own_layers, prepare, spoiled
from shapes_tasks import NETWORKS, TASKS, Spec, data_of

from pellucid import History, Network, train
from pellucid.insight.diagnosis import evidence as evidence_module
from pellucid.insight.diagnosis import training_run as training_run_module
from pellucid.insight.diagnosis.evidence import Evidence, gather
from pellucid.insight.diagnosis.training_run import training_run_of, with_kept_rows
from pellucid.layers import Dense
from pellucid.layers.shapes import by_place, valid_steps
from pellucid.training import facts, measure, through_time
from pellucid.training.facts import channels, columns
from pellucid.training.facts import reference as of_learners

_VERSION = hashlib.sha256(
    "".join(
        inspect.getsource(each)
        for each in (channels, columns, evidence_module, facts, measure, of_learners,
                     through_time, training_run_module)
    ).encode()
).hexdigest()[:12]  # fmt: skip


@dataclass
class Result:
    """What a run left behind: its held-out score, and what the rules read of it."""

    spec: Spec
    metric: float
    evidence: Evidence | None = None


@dataclass
class Part:
    """X (n[0], m), Y (m,) or (steps, m), lengths (m,) or None."""

    X: np.ndarray
    Y: np.ndarray
    lengths: np.ndarray | None


def parts(spec: Spec) -> list[Part]:
    """The data of a spec: a half, a fifth and the rest, their features standardised."""
    split = spec.seed % SPLITS
    data = spoiled(data_of(spec.task, spec.steps), spec.data_fault, split)
    m = len(data.Y)
    order = np.random.default_rng(split).permutation(m)
    cut = round(0.5 * m), round(0.7 * m)
    found = []
    for k, rows in enumerate((order[: cut[0]], order[cut[0] : cut[1]], order[cut[1] :])):
        X = data.X[rows].reshape(len(rows), -1).T
        X = X * (60 if k and spec.data_fault == "scaled differently" else 1)
        Y = data.Y[rows].T
        lengths = None if data.lengths is None else data.lengths[rows]
        found.append(Part(np.asfortranarray(X), np.ascontiguousarray(Y), lengths))
    return found


def build(spec: Spec) -> Network:
    """The network before training."""
    task, shape = TASKS[spec.task], data_of(spec.task, spec.steps).X.shape[1:]
    units, g = task.output
    hidden = NETWORKS[spec.network](spec.size, spec.activation)
    if spec.start == "wrong backward":
        hidden = own_layers(hidden)
    output = Dense(units, spec.output or g, each_step="steps" in spec.network)
    net = Network([*hidden, output], shape, seed=spec.seed)
    prepare(net, spec.start, spec.seed)
    return net


def trained(spec: Spec) -> tuple[History | None, float]:
    """The history of a run and its held-out score."""
    one, two, three = parts(spec)
    net, loss = build(spec), spec.loss or TASKS[spec.task].loss
    Y, Yv = (_targets(spec, net, each.Y) for each in (one, two))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        history = train(
            net, one.X, Y, loss=loss, optimizer=spec.optimizer, lengths=one.lengths,
            learning_rate=spec.learning_rate, epochs=spec.epochs, batch_size=spec.batch_size,
            validation_data=(two.X, Yv, None, two.lengths),
            early_stopping=spec.early_stopping or None, seed=spec.seed, n_threads=1,
        )  # fmt: skip
    return history, score(net, three)


def _targets(spec: Spec, net: Network, Y: np.ndarray) -> np.ndarray:
    """Class numbers as they are, or one-hot where the loss wants columns."""
    classes, n = TASKS[spec.task].classes, net.output_shape[-1]
    if classes and n > 1 and (spec.loss or "cce") != "cce":
        one_hot = np.eye(n)[Y.T]  # (m, n) or (m, steps, n)
        return one_hot.reshape(len(one_hot), -1).T
    return Y


def score(net: Network, part: Part) -> float:
    """The accuracy, or R squared, over the steps that are there."""
    n, m = net.output_shape[-1], part.X.shape[1]
    A = by_place(net.forward(part.X, lengths=part.lengths), n)
    Y, there = part.Y.T.ravel(), np.ones(A.shape[1], bool)
    if part.lengths is not None and len(Y) > m:
        there = valid_steps(part.lengths, (len(Y) // m, 1)).T.ravel()
    A, Y = A[:, there], Y[there]
    if not np.isfinite(A).all():
        return -1.0
    if Y.dtype.kind == "f":
        return float(max(1 - np.mean((A[0] - Y) ** 2) / np.var(Y), -1))
    return float(np.mean((A.argmax(axis=0) if n > 1 else A[0] >= 0.5) == Y))


def run(spec: Spec) -> Result:
    """Return the run, from disk where it was done before by the same statistics."""

    def carried_out() -> Result:
        history, metric = trained(spec)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given = with_kept_rows(training_run_of(history, None, None, None, None))
            return Result(spec, metric, gather(given))

    return kept(CACHE / f"shapes-{_VERSION}" / spec.key, carried_out)
