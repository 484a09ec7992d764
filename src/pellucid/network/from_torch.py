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
from pellucid.layers import AveragePool, Conv1D, Conv2D, Dense, GlobalPool, Layer, MaxPool
from pellucid.layers.affine import Affine

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
        elif isinstance(layer, MaxPool):
            self._since.append("MaxPool")
        else:
            self._open = None

    def activate(self, name: str, g: Activation) -> None:
        """Give the last layer its activation."""
        if self._open is None:
            raise self.refused(
                "must follow a layer that computes Z and has no activation yet, such as Linear or "
                "a convolution."
            )
        homogeneous = name in ("ReLU", "LeakyReLU")  # g(2 z) = 2 g(z)
        for between in self._since:
            if name in _FALLING or (between == "Dropout" and not homogeneous):
                raise self.refused(f"must stand before the {between}: here it is something else.")
        self._open.activation, self._open = g, None

    def drop(self, rate: float) -> None:
        """Let the last layer drop units."""
        last = self.layers[-1] if self.layers else None
        if not isinstance(last, Affine) or last.dropout:
            raise self.refused("must follow a layer that computes Z, such as Linear.")
        last.dropout = rate
        self._since.append("Dropout")

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
        return padding if isinstance(padding, str) else int(padding[0])
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
