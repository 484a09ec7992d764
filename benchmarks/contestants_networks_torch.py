"""Convolutional and recurrent networks in PyTorch: eager, channels last, and compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from stopwatch import Skip, Stopwatch
from torch import nn
from variants import repeat_best, train_best
from workloads import LEARNING_RATE, Job, has_relu

from pellucid.layers import Layer


def eager(job: Job, stopwatch: Stopwatch) -> None:
    """Autograd and the fused Adam, as in PyTorch's tutorials."""
    problem = Problem(job)
    train_best(
        {"eager": problem.epoch}, job.form, problem.orders, stopwatch, job.workload.check_costs
    )


def channels_last(job: Job, stopwatch: Stopwatch) -> None:
    """The same with the layout that PyTorch recommends on CPUs: pictures alone have it."""
    problem = Problem(job, channels_last=True)
    train_best(
        {"eager, channels last": problem.epoch},
        job.form,
        problem.orders,
        stopwatch,
        job.workload.check_costs,
    )


def compiled(job: Job, stopwatch: Stopwatch) -> None:
    """torch.compile of network and loss, in either layout; Adam is fused anyway."""
    problem = Problem(job)
    forms = {"compiled": partial(problem.epoch, compiles)}
    if is_picture(job):
        last = Problem(job, channels_last=True)
        forms["compiled, channels last"] = partial(last.epoch, compiles)
    train_best(forms, job.form, problem.orders, stopwatch, job.workload.check_costs)


def row(job: Job, stopwatch: Stopwatch) -> None:
    """One example in inference mode."""
    problem = Problem(job)
    x = problem.rows(slice(0, 1)).clone()

    def form(decorate: Callable[[Any], Any]) -> Callable[[], Any]:
        run = decorate(problem.checked_module().eval())
        return partial(run, x)

    forms = {
        "eager": partial(form, lambda module: module),
        "frozen script": partial(form, lambda module: frozen(module, x)),
        "compiled": partial(form, compiles),
    }
    with torch.inference_mode():
        repeat_best(forms, job.form, stopwatch)


def compiles(function: Any) -> Any:
    """The shapes are always the same."""
    torch._dynamo.reset()
    return torch.compile(function, dynamic=False)


def frozen(module: nn.Module, x: torch.Tensor) -> Any:
    """TorchScript with the weights as constants."""
    return torch.jit.freeze(torch.jit.trace(module, x))


def is_picture(job: Job) -> bool:
    return len(job.workload.input_shape) == 3


class Problem:
    """The data, the network and the step."""

    def __init__(self, job: Job, channels_last: bool = False) -> None:
        if job.threads:
            torch.set_num_threads(job.threads)
        if channels_last and not is_picture(job):
            raise Skip("PyTorch has this layout for pictures alone")
        self.task, self.channels_last = job.workload, channels_last
        X, y = self.task.data(job.dtype)
        self.volumes = self.task.name in ("lenet", "vgg", "conv1d")
        self.X, self.y = torch.from_numpy(X), torch.from_numpy(y)
        if self.volumes and not channels_last:
            self.X = self.X.movedim(-1, 1).contiguous()
        self.orders = [torch.from_numpy(order) for order in self.task.orders()]

    def rows(self, part: Any) -> torch.Tensor:
        """Return these examples as PyTorch has them, in either layout."""
        return self.X[part].movedim(-1, 1) if self.channels_last else self.X[part]

    def checked_module(self) -> nn.Module:
        """Return the network, whose outputs are what they should be."""
        layers = [each for layer in self.task.network().layers for each in modules(layer)]
        module = nn.Sequential(*layers)
        if self.channels_last:
            module = module.to(memory_format=torch.channels_last)
        with torch.no_grad():
            A = module(self.rows(slice(self.task.batch))).softmax(-1)
        X = self.X[: self.task.batch]
        if self.volumes and not self.channels_last:
            X = X.movedim(1, -1)
        self.task.check(X.contiguous().numpy(), A)
        return module

    def epoch(self, decorate: Callable[[Any], Any] = lambda loss: loss) -> Any:
        """Return an epoch whose step is forward, ``backward()`` and PyTorch's fused Adam."""
        module = self.checked_module()
        adam = torch.optim.Adam(module.parameters(), LEARNING_RATE, fused=True)

        def loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            Z = module(x)
            return nn.functional.cross_entropy(Z.flatten(0, -2), y.flatten())

        loss_of = decorate(loss)

        def epoch(order: torch.Tensor, costs: list[Any] | None) -> None:
            for part in order.split(self.task.batch):
                adam.zero_grad(set_to_none=True)
                J = loss_of(self.rows(part), self.y[part])
                J.backward()
                adam.step()
                if costs is not None:
                    costs.append(J.item())

        return epoch


def modules(layer: Layer) -> list[nn.Module]:
    """What a layer is in PyTorch, with its weights in PyTorch's order; Z of the last one."""
    made = MODULES[layer.name](layer)
    return [*made, nn.ReLU()] if has_relu(layer) else made


def convolution(layer: Layer) -> list[nn.Module]:
    kind = {"conv1d": nn.Conv1d, "conv2d": nn.Conv2d}[layer.name]
    pad = (layer.size - 1) // 2 if layer.padding == "same" else 0
    module = kind(layer.input_shape[-1], layer.n_filters, layer.size, padding=pad)
    W, b = (torch.from_numpy(layer.parameters[letter]) for letter in ("W", "b"))
    filters = W.reshape(layer.n_filters, *layer.filter_shape).movedim(-1, 1)
    return [filled(module, weight=filters, bias=b[:, 0])]


def dense(layer: Layer) -> list[nn.Module]:
    """PyTorch flattens channels first."""
    W, b = (torch.from_numpy(layer.parameters[letter]) for letter in ("W", "b"))
    flatten = []
    if len(layer.input_shape) > 1 and not layer.each_step:
        W = W.reshape(-1, *layer.input_shape).movedim(-1, 1).flatten(1)
        flatten = [nn.Flatten()]
    module = nn.Linear(W.shape[1], layer.n_units)
    return [*flatten, filled(module, weight=W, bias=b[:, 0])]


class Steps(nn.Module):
    """The outputs of a recurrent module at every step, or after the last one."""

    def __init__(self, module: nn.Module, every: bool) -> None:
        super().__init__()
        self.module, self.every = module, every

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(m, steps, units), or (m, units)."""
        A = self.module(x)[0]
        return A if self.every else A[:, -1]


def recurrent(layer: Layer) -> list[nn.Module]:
    """PyTorch's gates are i f g o, and r z n with z = 1 - Gamma_u; its second b starts at 0."""
    n, n_x = layer.n_units, layer.input_shape[-1]
    W, b = (torch.from_numpy(layer.parameters[letter]) for letter in ("W", "b"))
    if layer.name == "lstm":
        module, gates, signs = nn.LSTM(n_x, n, batch_first=True), (0, 1, 3, 2), (1, 1, 1, 1)
    else:
        module, gates, signs = nn.GRU(n_x, n, batch_first=True), (1, 0, 2), (1, -1, 1)
    parts, biases = W.split(n), b[:, 0].split(n)
    W = torch.cat([sign * parts[k] for k, sign in zip(gates, signs, strict=True)])
    own = torch.cat([sign * biases[k] for k, sign in zip(gates, signs, strict=True)])
    of_state = torch.zeros_like(own)
    if layer.name == "gru":
        of_state[2 * n :] = biases[3]
    filled(
        module, weight_hh_l0=W[:, :n], weight_ih_l0=W[:, n:], bias_ih_l0=own, bias_hh_l0=of_state
    )
    return [Steps(module, layer.sequences)]


def embedding(layer: Layer) -> list[nn.Module]:
    module = nn.Embedding(layer.n_words, layer.n_units)
    return [filled(module, weight=torch.from_numpy(layer.parameters["W"]).T)]


def max_pool(layer: Layer) -> list[nn.Module]:
    return [{2: nn.MaxPool1d, 3: nn.MaxPool2d}[len(layer.input_shape)](layer.size)]


class Mean(nn.Module):
    """Over the steps."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(m, channels) of (m, channels, steps)."""
        return x.mean(-1)


MODULES: dict[str, Callable[[Any], list[nn.Module]]] = {
    "conv1d": convolution,
    "conv2d": convolution,
    "dense": dense,
    "embedding": embedding,
    "globalpool": lambda layer: [Mean()],
    "gru": recurrent,
    "lstm": recurrent,
    "maxpool": max_pool,
}


def filled(module: nn.Module, **values: torch.Tensor) -> nn.Module:
    """Return the module with these numbers."""
    with torch.no_grad():
        for name, value in values.items():
            getattr(module, name).copy_(value)
    return module
