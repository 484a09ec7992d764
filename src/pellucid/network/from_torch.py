"""An nn.Sequential of PyTorch's as layers of ours, with its weights in our order.

One table, :data:`MODULES`: what each kind of module becomes. PyTorch itself is not imported:
whoever has a module has done that.

PyTorch has volumes, and the sequences of convolutions, channels first, (m, channels, rows, columns)
and (m, features, steps), and flattens them so; here the channels are last. So the numbers of a
filter change their order, and so do the columns of a Linear behind a Flatten.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import activations
from pellucid.activations import Activation
from pellucid.layers import (
    GRU,
    LSTM,
    Affine,
    AveragePool,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    GlobalPool,
    Layer,
    LayerNorm,
    MaxPool,
    Recurrent,
)

Module = Any
Floats = NDArray[np.float64]

COLUMN, CHANNELS_FIRST, STEPS = "a column", "channels first", "(steps, features)"
"""How PyTorch has an example where a module takes it."""


@dataclass
class Reading:
    """What was read so far.

    Attributes
    ----------
    shape : tuple of int
        Of what leaves the last layer, in our order.
    layout : str
        How PyTorch has it; "" while an input of two axes may be either.
    order : array of int or None
        Where each number of our column stands in the one that PyTorch flattened channels first.
    layers, arrays : lists
        The layers, and what each is to hold, by letter.
    float64 : bool
        Whether a weight is.
    where : str
        The module at hand, for messages.
    """

    shape: tuple[int, ...]
    layout: str = ""
    order: NDArray[np.int64] | None = None
    layers: list[Layer] = field(default_factory=list)
    arrays: list[dict[str, Floats]] = field(default_factory=list)
    float64: bool = False
    where: str = ""
    _open: Affine | None = None  # the last layer, while it has no activation
    _since: list[str] = field(default_factory=list)  # what has come since

    def __post_init__(self) -> None:
        self.layout = {1: COLUMN, 3: CHANNELS_FIRST}.get(len(self.shape), "")

    def add(self, layer: Layer, **arrays: Floats) -> None:
        """Take a layer, with its parameters and statistics by letter."""
        self.layers.append(layer)
        self.arrays.append(arrays)
        self.shape = layer.output_shape_for(self.shape)
        if isinstance(layer, Affine):
            self._open, self._since = layer, []
        elif isinstance(layer, MaxPool | Dropout | BatchNorm):
            self._since.append(type(layer).__name__)
        else:
            self._open = None

    def activate(self, name: str, g: Activation) -> None:
        """Give the last layer its activation."""
        if self._open is None:
            raise self.refused(
                "must follow a layer that computes Z and has no activation yet, such as Linear or "
                "a convolution."
            )
        if self._since == ["BatchNorm"]:
            self._fold(self._open)
        homogeneous = name in ("ReLU", "LeakyReLU")  # g(2 z) = 2 g(z)
        for between in self._since:
            same = {"MaxPool": name not in _FALLING, "Dropout": homogeneous}.get(between, False)
            if not same:
                raise self.refused(f"must stand before the {between}: here it is something else.")
        self._open.activation, self._open = g, None

    def drop(self, rate: float) -> None:
        """Let the last layer drop units, or have a layer that does."""
        last = self.layers[-1] if self.layers else None
        if not isinstance(last, Affine) or last.dropout:
            self.add(Dropout(rate))
        else:
            last.dropout = rate
            self._since.append("Dropout")

    def _fold(self, layer: Affine) -> None:
        """Put a BatchNorm between a layer and its activation into the layer, as it predicts."""
        norm, own = self.layers.pop(), self.arrays.pop()
        assert isinstance(norm, BatchNorm)
        factor, held = own["gamma"] / np.sqrt(own["variance"] + norm.epsilon), self.arrays[-1]
        held["W"] = factor * held["W"]
        held["b"] = factor * (held["b"] - own["mean"]) + own["beta"]
        layer.learning_rate_factor, self._since = 1.0, []  # there is a bias now

    def expect(self, *layouts: str) -> None:
        """Refuse a module that takes another layout than there is here."""
        self.layout = self.layout or layouts[-1]
        if self.layout not in layouts:
            hint = " Put a Flatten before it." if COLUMN in layouts else ""
            raise self.refused(f"takes {' or '.join(layouts)}; here is {self.layout}.{hint}")

    def expect_features(self, module: Module, name: str, n: int) -> None:
        """Refuse a module that takes another number of them than there are here."""
        expected = getattr(module, name)
        if expected != n:
            hint = ""
            if self.layout == CHANNELS_FIRST:
                hint = " Channels are last in input_shape, as in (28, 28, 1)."
            raise self.refused(f"has {name}={expected}; here are {n}, of {self.shape}.{hint}")

    def require(self, module: Module, **expected: Any) -> None:
        """Refuse a module with other settings than these."""
        for name, value in expected.items():
            got = getattr(module, name)
            if (set(got) != {value}) if isinstance(got, tuple) else (got != value):
                raise self.refused(f"has {name}={got!r}; only {value!r} can be read.")

    def values(self, tensor: Any) -> Floats:
        """Return the numbers of a parameter or buffer."""
        self.float64 |= str(tensor.dtype) == "torch.float64"
        found: Floats = tensor.detach().double().cpu().numpy()
        return found

    def refused(self, why: str) -> ValueError:
        """Return the error that names the module."""
        return ValueError(f"from_torch: {self.where} {why}")


def read(module: Module, input_shape: tuple[int, ...]) -> Reading:
    """Return the layers of an nn.Sequential, and what they hold."""
    if not _is_sequential(module):
        raise TypeError(
            f"from_torch takes an nn.Sequential, whose modules run one after the other; got "
            f"{type(module).__name__}. What a forward of its own does cannot be read: write it as "
            "nn.Sequential."
        )
    found = Reading(input_shape)
    for place, each in _walk(module, ""):
        found.where = f"entry {place}, {each!r},"
        name = type(each).__name__
        if name not in MODULES or not type(each).__module__.startswith("torch.nn.modules."):
            raise found.refused(f"is not known. Known are: {', '.join(MODULES)}.")
        if each._forward_hooks or each._forward_pre_hooks:
            raise found.refused("has hooks, which may change what it computes.")
        MODULES[name](each, found)
    return found


def _is_sequential(module: Module) -> bool:
    """Whether it is an nn.Sequential, and runs as one."""
    for kind in type(module).__mro__:
        if (kind.__module__, kind.__name__) == ("torch.nn.modules.container", "Sequential"):
            return getattr(type(module), "forward", None) is getattr(kind, "forward", None)
    return False


def _walk(module: Module, prefix: str) -> Iterator[tuple[str, Module]]:
    """Yield each module and its place: "3", or "3.1" in a Sequential within."""
    for k, each in enumerate(module, start=1):
        if _is_sequential(each):
            yield from _walk(each, f"{prefix}{k}.")
        else:
            yield f"{prefix}{k}", each


# What each module becomes -------------------------------------------------------------------------


def _linear(module: Module, found: Reading) -> None:
    """Of each step alone where there are steps, else of the column."""
    found.expect(COLUMN, STEPS)
    each_step = found.layout == STEPS
    n = found.shape[-1] if each_step else math.prod(found.shape)
    found.expect_features(module, "in_features", n)
    W = found.values(module.weight)
    if found.order is not None:
        W, found.order = W[:, found.order], None
    layer = Dense(
        module.out_features,
        "identity",
        each_step=each_step,
        learning_rate_factor=_bias_rate(module),
    )
    found.add(layer, W=W, b=_bias(module, found))


def _flatten(module: Module, found: Reading) -> None:
    found.require(module, start_dim=1, end_dim=-1)
    if found.layout == CHANNELS_FIRST and len(found.shape) > 1:
        theirs = np.arange(math.prod(found.shape)).reshape(found.shape[-1], *found.shape[:-1])
        found.order = np.moveaxis(theirs, 0, -1).ravel()
    found.layout = COLUMN


def _convolution(kind: type[Conv1D | Conv2D]) -> Callable[[Module, Reading], None]:
    def convolution(module: Module, found: Reading) -> None:
        found.expect(CHANNELS_FIRST)
        found.expect_features(module, "in_channels", found.shape[-1])
        found.require(module, dilation=1, padding_mode="zeros")
        layer = kind(
            module.out_channels,
            module.kernel_size,
            "identity",
            stride=module.stride,
            padding=_padding(module, found),
            groups=module.groups,
            learning_rate_factor=_bias_rate(module),
        )
        filters = np.moveaxis(found.values(module.weight), 1, -1)
        found.add(layer, W=filters.reshape(len(filters), -1), b=_bias(module, found))

    return convolution


def _padding(module: Module, found: Reading) -> str | int:
    padding: Any = module.padding
    if isinstance(padding, str) or len(set(padding)) == 1:
        return padding if isinstance(padding, str) else int(padding[0]) or "valid"
    if all(2 * p + 1 == f for p, f in zip(padding, module.kernel_size, strict=True)):
        return "same"
    raise found.refused(f"has padding={padding}; only one number for both axes can be read.")


def _bias(module: Module, found: Reading) -> Floats:
    """As a column; zeros where there is none."""
    if module.bias is None:
        return np.zeros((len(module.weight), 1))
    return found.values(module.bias).reshape(-1, 1)


def _bias_rate(module: Module) -> float | dict[str, float]:
    """A bias that is not there stays 0."""
    return {"W": 1.0, "b": 0.0} if module.bias is None else 1.0


def _max_pool(module: Module, found: Reading) -> None:
    found.expect(CHANNELS_FIRST)
    found.require(module, padding=0, dilation=1, ceil_mode=False, return_indices=False)
    found.add(MaxPool(module.kernel_size, module.stride))


def _average_pool(module: Module, found: Reading) -> None:
    found.expect(CHANNELS_FIRST)
    found.require(module, padding=0, ceil_mode=False)
    if getattr(module, "divisor_override", None) is not None:
        found.require(module, divisor_override=None)
    found.add(AveragePool(module.kernel_size, module.stride))


def _global_pool(kind: str) -> Callable[[Module, Reading], None]:
    def global_pool(module: Module, found: Reading) -> None:
        found.expect(CHANNELS_FIRST)
        found.require(module, output_size=1)
        found.add(GlobalPool(kind))

    return global_pool


def _embedding(module: Module, found: Reading) -> None:
    found.expect(COLUMN)
    found.require(module, max_norm=None, scale_grad_by_freq=False)
    W, padding = found.values(module.weight).T, module.padding_idx
    if padding is not None and W[:, padding].any():
        raise found.refused(f"has other numbers than 0 for the word {padding}, its padding_idx.")
    found.add(Embedding(module.num_embeddings, module.embedding_dim, padding=padding), W=W)
    found.layout = STEPS


def _recurrent(
    make: Callable[[Module], Layer], gates: tuple[int, ...], turned: tuple[int, ...] = ()
) -> Callable[[Module, Reading], None]:
    """Its outputs at every step, the first of what it returns.

    ``gates`` are PyTorch's in our order; of those that are ``turned`` it has 1 - Gamma.
    """

    def recurrent(module: Module, found: Reading) -> None:
        found.expect(STEPS)
        found.expect_features(module, "input_size", found.shape[-1])
        found.require(module, batch_first=True, bidirectional=False, bias=True, proj_size=0)
        n = module.hidden_size
        signs = np.array([-1.0 if k in turned else 1.0 for k in gates])

        def ours(name: str, k: int) -> Floats:
            values = found.values(getattr(module, f"{name}_l{k}"))
            parts = signs[:, None, None] * values.reshape(len(gates), n, -1)[list(gates)]
            return parts.reshape(len(gates) * n, -1)

        for k in range(module.num_layers):
            layer = make(module)
            b, of_state = ours("bias_ih", k), ours("bias_hh", k)
            if isinstance(layer, GRU):  # the candidate's two stay apart
                b = np.concatenate([b[: 2 * n] + of_state[: 2 * n], b[2 * n :], of_state[2 * n :]])
            else:
                b = b + of_state
            found.add(layer, W=np.hstack([ours("weight_hh", k), ours("weight_ih", k)]), b=b)
            if module.dropout and k < module.num_layers - 1:
                layer.dropout = module.dropout

    return recurrent


def _batch_norm(module: Module, found: Reading) -> None:
    found.expect(COLUMN, CHANNELS_FIRST)
    n = math.prod(found.shape) if found.layout == COLUMN else found.shape[-1]
    found.expect_features(module, "num_features", n)
    if n != found.shape[-1]:
        raise found.refused("normalises each number of a volume that was flattened.")
    found.require(module, track_running_stats=True)
    if module.momentum is None:
        raise found.refused("has momentum=None, the mean over all steps, which cannot be read.")
    layer = BatchNorm(momentum=1 - module.momentum, epsilon=module.eps, **_rates(module))
    found.add(
        layer,
        **_scaled(module, found, n),
        mean=found.values(module.running_mean).reshape(-1, 1),
        variance=found.values(module.running_var).reshape(-1, 1),
    )


def _layer_norm(module: Module, found: Reading) -> None:
    found.expect(COLUMN, STEPS)
    if tuple(module.normalized_shape) != found.shape[-1:] or (
        found.layout == COLUMN and len(found.shape) > 1
    ):
        raise found.refused(
            f"must normalise the features of a step, or a column; here are {found.shape}."
        )
    layer = LayerNorm(epsilon=module.eps, **_rates(module))
    found.add(layer, **_scaled(module, found, found.shape[-1]))


def _scaled(module: Module, found: Reading, n: int) -> dict[str, Floats]:
    """gamma and beta; 1 and 0 where there are none."""
    gamma, beta = module.weight, module.bias
    return {
        "gamma": np.ones((n, 1)) if gamma is None else found.values(gamma).reshape(-1, 1),
        "beta": np.zeros((n, 1)) if beta is None else found.values(beta).reshape(-1, 1),
    }


def _rates(module: Module) -> dict[str, Any]:
    """What is not there stays as it is."""
    there = {"gamma": module.weight is not None, "beta": module.bias is not None}
    if all(there.values()):
        return {}
    return {"learning_rate_factor": {letter: float(each) for letter, each in there.items()}}


def _activation(
    make: Callable[[Module], Activation], **expected: Any
) -> Callable[[Module, Reading], None]:
    def activation(module: Module, found: Reading) -> None:
        found.require(module, **expected)
        found.activate(type(module).__name__, make(module))

    return activation


def _softmax(module: Module, found: Reading) -> None:
    """Over the units, of each step or place alone."""
    axes = {COLUMN: (1, -1, None), CHANNELS_FIRST: (1,), STEPS: (2, -1)}[found.layout]
    if module.dim not in axes or found.order is not None:
        raise found.refused("is not over the units of each example, step or place.")
    found.activate("Softmax", activations.Softmax())


MODULES: dict[str, Callable[[Module, Reading], None]] = {
    "Linear": _linear,
    "Flatten": _flatten,
    "Conv1d": _convolution(Conv1D),
    "Conv2d": _convolution(Conv2D),
    "MaxPool1d": _max_pool,
    "MaxPool2d": _max_pool,
    "AvgPool1d": _average_pool,
    "AvgPool2d": _average_pool,
    "AdaptiveAvgPool1d": _global_pool("average"),
    "AdaptiveAvgPool2d": _global_pool("average"),
    "AdaptiveMaxPool1d": _global_pool("max"),
    "AdaptiveMaxPool2d": _global_pool("max"),
    "Embedding": _embedding,
    "RNN": _recurrent(
        lambda module: Recurrent(module.hidden_size, module.nonlinearity, sequences=True), (0,)
    ),
    "GRU": _recurrent(
        lambda module: GRU(module.hidden_size, reset="after", sequences=True), (1, 0, 2), (1,)
    ),
    "LSTM": _recurrent(lambda module: LSTM(module.hidden_size, sequences=True), (0, 1, 3, 2)),
    "BatchNorm1d": _batch_norm,
    "BatchNorm2d": _batch_norm,
    "LayerNorm": _layer_norm,
    "Dropout": lambda module, found: found.drop(module.p),
    "Identity": lambda module, found: None,
    "Softmax": _softmax,
    "Sigmoid": _activation(lambda module: activations.Sigmoid()),
    "Tanh": _activation(lambda module: activations.Tanh()),
    "ReLU": _activation(lambda module: activations.ReLU()),
    "LeakyReLU": _activation(lambda module: activations.LeakyReLU(module.negative_slope)),
    "ELU": _activation(lambda module: activations.ELU(module.alpha)),
    "SELU": _activation(lambda module: activations.SELU()),
    "GELU": _activation(lambda module: activations.GELU(), approximate="tanh"),
    "SiLU": _activation(lambda module: activations.SiLU()),
    "Mish": _activation(lambda module: activations.Mish()),
    "Softplus": _activation(lambda module: activations.Softplus(), beta=1, threshold=20),
    "Hardsigmoid": _activation(lambda module: activations.HardSigmoid()),
    "Hardtanh": _activation(lambda module: activations.HardTanh(), min_val=-1, max_val=1),
}
"""What adds a module of this name to what was read. A new one is an entry here."""

_FALLING = ("GELU", "SiLU", "Mish", "Softmax")
"""Activations of which the largest is not that of the largest z."""
