"""Layers as ONNX has them: one table, :data:`OPERATORS`, an entry for each class.

What has no entry, or computes what its operator cannot, is written down operation by operation: its
own forward is run on a :class:`~pellucid.export.value.Value`. So a layer of one's own needs nothing
here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pellucid.activations import ACTIVATIONS, LeakyReLU
from pellucid.errors import ModelError
from pellucid.export.value import XP, Value
from pellucid.layers import (
    GRU,
    LSTM,
    AveragePool,
    BatchNorm,
    Conv1D,
    Conv2D,
    Embedding,
    GlobalPool,
    Layer,
    LayerNorm,
    MaxPool,
    Parallel,
    Recurrent,
    Residual,
)
from pellucid.layers.chain import PREDICTING
from pellucid.layers.pool import WindowPool
from pellucid.layers.shapes import held, valid_steps
from pellucid.layers.windows import each, steps_seen

Entry = Callable[[Any, Value, Value | None], Value | None]
"""From a layer, A[l-1] and the lengths, (m,), if there are any, to A[l], (n[l], m); None where the
operator does not compute what this layer does."""


def through(layers: Sequence[Layer], A: Value, lengths: Value | None = None) -> Value:
    """Return what leaves the last of these layers, (n[L], m)."""
    for layer in layers:
        A = _written(layer, A, lengths)
        lengths = None if lengths is None else _lengths_after(layer, lengths)
        if lengths is not None:
            A = held(A, valid_steps(lengths, layer.output_shape))
    return A


def steps_left(layers: Sequence[Layer], lengths: Value) -> Value | None:
    """Return how many steps of each example leave the last of these layers, (m,)."""
    left: Value | None = lengths
    for layer in layers:
        left = None if left is None else _lengths_after(layer, left)
    return left


def _written(layer: Layer, A: Value, lengths: Value | None) -> Value:
    """A layer as its operator, or else as its own forward does it."""
    made: Any = None
    try:
        entry = OPERATORS.get(type(layer))
        if entry is not None:
            made = entry(layer, A, lengths)
        if made is None:
            given: dict[str, Any] = {"lengths": lengths, "mode": PREDICTING}
            made = layer.forward(A, **{name: given[name] for name in layer.needs})[0]
        known, reason = isinstance(made, Value), ""
    except ModelError:  # of a layer inside of this one
        raise
    except (NotImplementedError, TypeError, AttributeError, ValueError) as error:
        known, reason = False, f": {error}"
    else:
        reason = "" if known else ", as it does not compute with the array API"
    if not known:
        g = "" if layer.activation is None else f" with the activation {layer.activation!r}"
        raise ModelError(
            f"{layer.where()}{g} cannot be exported to ONNX{reason.rstrip('.')}. Write it with "
            "the functions of the array API that Pellucid's own activations use, or take "
            "one of those."
        )
    written: Value = made
    return written


def _lengths_after(layer: Layer, lengths: Value) -> Value | None:
    """The steps that are left: what no file can do is refuse an example that is too short."""
    if isinstance(layer, Residual):
        return steps_left(layer.layers, lengths)
    if isinstance(layer, Parallel):
        return steps_left(layer.branches[0], lengths)  # all leave as many
    left: Value | None
    if isinstance(layer, (Conv1D, WindowPool)):
        left = steps_seen(layer, lengths, layer.pads()[0] if isinstance(layer, Conv1D) else (0, 0))
    else:
        left = layer.lengths_after(lengths)
    return left


# An example's places as ONNX has them: (m, channels, rows, columns) -------------------------------


def _places(A: Value, shape: tuple[int, ...]) -> Value:
    """From (n, m) to (m, rows, columns, channels), the tensor likewise."""
    return A.T.reshape(A.shape[1], *shape)


def _flat(x: Value) -> Value:
    """The inverse of :func:`_places`."""
    return x.reshape(x.shape[0], -1).T


def _channels_first(A: Value, shape: tuple[int, ...]) -> Value:
    """From (n, m) to (m, channels, rows, columns), the tensor likewise."""
    volume = _places(A, shape)
    last = volume.ndim - 1
    volume = volume.transpose(0, last, *range(1, last))
    return volume.arranged(tuple(range(volume.ndim)))


def _first_channels(A: Value, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """(m, channels, rows, columns)."""
    return (A.shape[1], shape[-1], *shape[:-1])


def _unrolled(Z: Value) -> Value:
    """From (m, channels, rows, columns) to (n, m)."""
    return _flat(Z.transpose(0, *range(2, Z.ndim), 1))


def _ways(shape: tuple[int, ...]) -> tuple[Callable[..., Value], Callable[..., Value]]:
    """How what is pictures, or is not, is added or joined, and back."""
    return (_channels_first, _unrolled) if len(shape) == 3 else (_places, _flat)


def _activated(layer: Layer, Z: Value) -> Value:
    """g of (m, channels, rows, columns), in which a g that mixes units mixes the channels."""
    axes = (1, 0, *range(2, Z.ndim))
    A: Value = layer.activation(Z.transpose(*axes)).transpose(*axes)  # type: ignore[misc]
    return A


def _convolution(layer: Any, A: Value, lengths: Value | None) -> Value | None:
    if A.dtype != np.float32:  # ONNX Runtime has Conv in no other type
        return None
    W, b, n_axes = layer.parameters["W"], layer.parameters["b"], layer.n_axes
    size = each(layer.size, n_axes)
    filters = W.reshape(len(W), *size, -1)
    filters = filters.transpose(0, n_axes + 1, *range(1, n_axes + 1))
    x = _channels_first(A, layer.input_shape)
    before, behind = zip(*layer.pads(), strict=True)
    Z = A.graph.add(
        "Conv",
        x,
        *(_parameter(A, array, whole) for array, whole in ((filters, W), (b.ravel(), b))),
        dtype=A.dtype,
        shape=_first_channels(A, layer.output_shape),
        order=x.order,
        kernel_shape=size,
        strides=each(layer.stride, n_axes),
        pads=[*before, *behind],
        group=layer.groups,
    )
    return _unrolled(_activated(layer, Z))


def _pool(layer: Any, A: Value, lengths: Value | None) -> Value | None:
    of_mean = isinstance(layer, AveragePool)
    if of_mean and A.dtype != np.float32:  # ONNX Runtime has AveragePool in no other type
        return None
    x, n_axes = _channels_first(A, layer.input_shape), len(layer.input_shape) - 1
    made = x.graph.add(
        "AveragePool" if of_mean else "MaxPool",
        x,
        dtype=A.dtype,
        shape=_first_channels(A, layer.output_shape),
        order=x.order,
        kernel_shape=each(layer.size, n_axes),
        strides=each(layer.stride, n_axes),
    )
    return _unrolled(made)


def _global_pool(layer: Any, A: Value, lengths: Value | None) -> Value | None:
    if A.dtype != np.float32 or lengths is not None:  # padding is not to count
        return None
    x = _channels_first(A, layer.input_shape)
    operator = "GlobalMaxPool" if layer.kind == "max" else "GlobalAveragePool"
    ones = (1,) * (x.ndim - 2)
    made = x.graph.add(operator, x, dtype=A.dtype, shape=(*x.shape[:2], *ones), order=x.order)
    return _unrolled(made)


def _batch_norm(layer: Any, A: Value, lengths: Value | None) -> Value | None:
    if A.dtype != np.float32:  # the operator's epsilon is float32
        return None
    x = _channels_first(A, layer.input_shape)
    numbers = [*layer.parameters.values(), *layer.statistics.values()]
    taken = [_parameter(A, array.ravel(), array) for array in numbers]
    how = {"shape": x.shape, "order": x.order, "epsilon": layer.epsilon}
    return _unrolled(A.graph.add("BatchNormalization", x, *taken, dtype=A.dtype, **how))


def _layer_norm(layer: Any, A: Value, lengths: Value | None) -> Value | None:
    if A.dtype != np.float32 or A.graph.opsets[""] < 17:  # which has no LayerNormalization
        return None
    x = _places(A, layer.input_shape)
    taken = [_parameter(A, array.ravel(), array) for array in layer.parameters.values()]
    how = {"shape": x.shape, "order": x.order, "epsilon": layer.epsilon}
    made = A.graph.add("LayerNormalization", x, *taken, dtype=A.dtype, axis=-1, **how)
    return _flat(made)


def _residual(layer: Any, A: Value, lengths: Value | None) -> Value | None:
    F = through(layer.layers, A, lengths)
    enter, leave = _ways(layer.input_shape)
    return leave(enter(A, layer.input_shape) + enter(F, layer.input_shape))


def _parallel(layer: Any, A: Value, lengths: Value | None) -> Value | None:
    shares, shapes, start = [A] * len(layer.branches), [], 0
    if layer.split is not None:
        x = _places(A, layer.input_shape)
        for k, n in enumerate(layer.split):
            shares[k] = _flat(x[..., start : start + n])
            start += n
    for k, branch in enumerate(layer.branches):
        n = layer.input_shape[-1] if layer.split is None else layer.split[k]
        shapes.append(branch[-1].output_shape if branch else (*layer.input_shape[:-1], n))
    made = [through(*each, lengths) for each in zip(layer.branches, shares, strict=True)]
    enter, leave = _ways(layer.output_shape)
    parts = [enter(*each) for each in zip(made, shapes, strict=True)]
    return leave(A.graph.concatenate(parts, 1 if enter is _channels_first else -1))


def _embedding(layer: Any, A: Value, lengths: Value | None) -> Value | None:
    W = layer.parameters["W"]
    table = W if layer.padding is None else np.where(np.arange(W.shape[1]) == layer.padding, 0, W)
    words = A.T.alone("Round").astype(np.int64)
    taken = A.graph.add(
        "Gather",
        _parameter(A, table.T, W),
        words,
        dtype=A.dtype,
        shape=(*words.shape, layer.n_units),
        order=(0, 1, 2),
    )
    return _flat(taken)


# Layers that go through time ----------------------------------------------------------------------

_GATES = {"LSTM": [0, 2, 1, 3], "GRU": [0, 1, 2], "RNN": [0]}
"""Our gates u, f, o, c~ and u, r, c~ in ONNX's order: i, o, f, c and z, r, h."""

_STATES: dict[str, tuple[str, list[float], list[float]]] = {
    "identity": ("Affine", [1.0], [0.0]),
    "leaky_relu": ("LeakyRelu", [], []),
    "relu": ("Relu", [], []),
    "sigmoid": ("Sigmoid", [], []),
    "tanh": ("Tanh", [], []),
}
"""The activations that ONNX's RNN has, and computes as we do, with alpha and beta."""


def _recurrent(layer: Any, A: Value, lengths: Value | None) -> Value | None:
    g = layer.activation
    if type(g) is not ACTIVATIONS.get(g.name) or g.name not in _STATES:
        return None
    name, alpha, beta = _STATES[g.name]
    how: dict[str, Any] = {"activation_alpha": alpha, "activation_beta": beta} if alpha else {}
    if isinstance(g, LeakyReLU):
        how["activation_alpha"] = [g.slope]
    return _through_time("RNN", layer, A, lengths, activations=[name], **how)


def _gru(layer: Any, A: Value, lengths: Value | None) -> Value | None:
    after = layer.reset == "after"
    return _through_time("GRU", layer, A, lengths, linear_before_reset=int(after))


def _lstm(layer: Any, A: Value, lengths: Value | None) -> Value | None:
    return _through_time("LSTM", layer, A, lengths)


def _through_time(
    operator: str, layer: Any, A: Value, lengths: Value | None, **how: Any
) -> Value | None:
    """Y, (steps, 1, m, n), or Y_h, (1, m, n), of x, (steps, m, features)."""
    if A.dtype != np.float32:  # ONNX Runtime has them in no other type
        return None
    graph, n, m, T = A.graph, layer.n_units, A.shape[1], layer.input_shape[0]
    x = _places(A, layer.input_shape).transpose(1, 0, 2).arranged((0, 1, 2))
    taken = [x, *_through_time_parameters(operator, layer, A)]
    if lengths is not None:
        taken.append(lengths.astype(np.int32))
    direction = "reverse" if layer.backwards else "forward"
    names = graph.node(
        operator,
        [each.name for each in taken],
        outputs=2,
        hidden_size=n,
        direction=direction,
        **how,
    )
    if layer.sequences:
        states = Value(graph, names[0], A.dtype, (T, 1, m, n), (0, 1, 2, 3))
        return _flat(XP.squeeze(states, axis=1).transpose(1, 0, 2))
    last: Value = XP.squeeze(Value(graph, names[1], A.dtype, (1, m, n), (0, 1, 2)), axis=0)
    return last.T


def _through_time_parameters(operator: str, layer: Any, A: Value) -> list[Value]:
    """W for x<t>, R for a<t-1>, and the biases of both, the gates in ONNX's order."""
    W, b, n = layer.parameters["W"], layer.parameters["b"], layer.n_units
    gates, order = len(_GATES[operator]), _GATES[operator]
    rows = W.reshape(gates, n, -1)[order]
    biases = np.concatenate([b[: gates * n].reshape(gates, n)[order], np.zeros((gates, n))])
    if len(b) > gates * n:  # of q, which a GRU that resets after the product has
        biases[-1] = b[gates * n :, 0]
    if operator == "GRU":  # ONNX's z is 1 - Gamma_u = sigmoid(-Z_u)
        rows[0], biases[0] = -rows[0], -biases[0]
    flat = rows.reshape(1, gates * n, -1)
    made = ((".x", W, flat[:, :, n:]), (".a", W, flat[:, :, :n]), ("", b, biases.reshape(1, -1)))
    return [_parameter(A, array, whole, part) for part, whole, array in made]


def _parameter(A: Value, array: Any, whole: Any, part: str = "") -> Value:
    """A parameter in the form of an operator, or a part of it, under its own name."""
    order = tuple(range(array.ndim))
    return A.graph.constant(array, A.dtype, order=order, name=A.graph.name_of(whole) + part)


OPERATORS: dict[type[Layer], Entry] = {
    Conv1D: _convolution,
    Conv2D: _convolution,
    MaxPool: _pool,
    AveragePool: _pool,
    GlobalPool: _global_pool,
    BatchNorm: _batch_norm,
    LayerNorm: _layer_norm,
    Embedding: _embedding,
    Recurrent: _recurrent,
    GRU: _gru,
    LSTM: _lstm,
    Residual: _residual,
    Parallel: _parallel,
}
"""Each layer that ONNX has an operator for. A new one is an entry here."""
