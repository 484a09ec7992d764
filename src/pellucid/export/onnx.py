"""ONNX: a network's forward pass, written down as a graph, with the table's preprocessing.

A layer that ONNX has an operator for has an entry in :mod:`pellucid.export.layers`; others, and
activations, need none (:mod:`pellucid.export.value` says why). A kind of column has one in
:mod:`pellucid.export.columns`.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pellucid
from pellucid.errors import ModelError
from pellucid.export.exported import Exported
from pellucid.export.graph import Graph
from pellucid.export.layers import steps_left, through
from pellucid.export.value import Value
from pellucid.layers.shapes import held, valid_steps
from pellucid.network import Network

LARGEST = 2_000_000_000
"""The bytes that a file of protobuf's may have."""


def content(exported: Exported) -> bytes:
    """Return the file of a model.

    >>> import onnx
    >>> from pellucid import Dense
    >>> from pellucid.export.exported import exported
    >>> net = Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_inputs=3, seed=0)
    >>> model = onnx.load_from_string(content(exported(net)))
    >>> [node.op_type for node in model.graph.node][:3]
    ['MatMul', 'Add', 'Tanh']
    """
    size = sum(net.n_parameters * net.dtype.itemsize for net in exported.networks)
    if size > LARGEST:
        raise ModelError(
            f"the weights are {size / 1e9:.1f} GB, and an ONNX file holds at most "
            f"{LARGEST / 1e9:.0f} GB. Save the model as a folder, or take fewer units."
        )
    graph = Graph()
    X = _inputs(graph, exported)
    lengths = graph.input("lengths", np.int64, ("m",)) if exported.lengths else None
    each = [
        forward(graph, net, X, number, lengths)
        for number, net in enumerate(exported.networks, start=1)
    ]
    graph.prefix = ""
    _outputs(graph, exported, _mean(exported, each), lengths)
    return graph.to_bytes(_metadata(exported))


def _inputs(graph: Graph, exported: Exported) -> Value:
    """The networks' inputs, (n[0], m)."""
    if exported.steps:
        from pellucid.export.steps import transform as through_steps

        return through_steps(graph, exported).astype(exported.dtype)
    if exported.preprocessing is None:
        return graph.input("X", exported.dtype, (exported.networks[0].n_inputs, "m"))
    from pellucid.export.columns import transform

    return transform(graph, exported.preprocessing).astype(exported.dtype)


def forward(
    graph: Graph, network: Network, X: Value, number: int = 1, lengths: Value | None = None
) -> Value:
    """Add A[L] of a network, (n[L], m), by what each layer computes.

    Where each step has outputs, (n, steps, m).
    """
    graph.prefix = f"{number}." if number > 1 else ""
    graph.name_arrays(network.parameters)
    if lengths is not None:
        X = held(X, valid_steps(lengths, network.input_shape))
    A = through(network.layers, X, lengths)
    if len(network.output_shape) == 1:
        return A
    return A.T.reshape(A.shape[1], *network.output_shape).T


def _mean(exported: Exported, A: list[Value]) -> Value:
    """The mean over the networks, in float64 for a table, as TableModel takes it."""
    if exported.preprocessing is not None:
        A = [each.astype(np.float64) for each in A]
    if len(A) == 1:
        return A[0]
    return A[0].graph.add("Sum", *A, dtype=A[0].dtype, shape=A[0].shape) / len(A)


def _outputs(graph: Graph, exported: Exported, A: Value, lengths: Value | None) -> None:
    """What the model answers, from A[L] = (n[L], m)."""
    if exported.answer == "regression":
        mean, std = exported.scale
        answer = A if exported.scale == (0.0, 1.0) else mean + std * A.astype(np.float64)
        graph.output("prediction", _first(answer))
        return
    p, layers = probabilities(exported, A), exported.networks[0].layers
    left = None if lengths is None else steps_left(layers, lengths)
    if left is not None:  # steps that are not there have no classes
        p = held(p, valid_steps(left, (p.shape[1],)))
    graph.output("probabilities", p)
    graph.output("label", label(exported, A))


def probabilities(exported: Exported, A: Value) -> Value:
    """Add the probability of each class, (number of classes, m), from A[L]."""
    return A.graph.concatenate([1 - A, A]) if exported.answer == "binary" else A


def label(exported: Exported, A: Value) -> Value:
    """Add the class, (m,), or of several labels each, (n[L], m), from A[L]."""
    if exported.answer == "multiclass":
        number = A.graph.add(
            "ArgMax", A, dtype=np.int64, shape=A.shape[1:], axis=A.ndim - 1, keepdims=0
        )
    else:
        number = _first((A >= 0.5 if exported.at_half else A > 0.5).astype(np.int64))
    if exported.classes is None or exported.answer == "multilabel":
        return number
    classes = A.graph.constant(_labels(exported.classes))
    return A.graph.add("Gather", classes, number, dtype=classes.dtype, shape=number.shape)


def _first(values: Value) -> Value:
    """One number for each example, (m,), where there is but one; else all, (n, m)."""
    if values.shape[0] != 1:
        return values
    first: Value = values[0]
    return first


def _labels(classes: NDArray[Any]) -> NDArray[Any]:
    """The classes as ONNX knows them: int64, double, bool or text."""
    as_onnx: dict[str, Any] = {"i": np.int64, "u": np.int64, "f": np.float64, "b": np.bool_}
    return classes.astype(as_onnx.get(classes.dtype.kind, object))


def _metadata(exported: Exported) -> dict[str, str]:
    """What a reader of the file should know, by name; lists as JSON."""
    known: dict[str, Any] = {
        "pellucid_version": pellucid.__version__,
        "task": exported.answer,
        "target": exported.target,
        "classes": None if exported.classes is None else np.asarray(exported.classes).tolist(),
        "networks": [net.n for net in exported.networks],
    }
    if exported.preprocessing is None:
        shape = exported.networks[0].input_shape
        known |= {"input_shape": shape} if len(shape) > 1 else {"inputs": exported.inputs}
    else:
        known["columns"] = {
            name: each.kind for name, each in exported.preprocessing.columns.items()
        }
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in known.items()
        if value not in (None, "")
    }
