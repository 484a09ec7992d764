"""PyTorch, eager and compiled, each in the best of a few forms."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any

import torch
from stopwatch import Stopwatch
from torch.nn import functional
from variants import repeat, train_best
from workloads import LEARNING_RATE, Job

STEPS_AT_ONCE = 4
"""Steps in one compiled call, so that its entry costs less; more takes minutes to compile."""


def eager(job: Job, stopwatch: Stopwatch) -> None:
    """Autograd and the fused Adam, as in PyTorch's tutorials."""
    problem = Problem(job)
    train_best(
        {
            "rows gathered for each step": lambda: problem.autograd(),
            "rows gathered once an epoch": lambda: problem.autograd(gather_once=True),
        },
        job.form,
        problem.orders,
        stopwatch,
    )


def compiled(job: Job, stopwatch: Stopwatch) -> None:
    """torch.compile: of the loss alone, of the whole step with Adam, of several steps at once."""
    problem = Problem(job)
    forms: dict[str, Callable[[], Any]] = {
        "loss compiled, fused Adam": lambda: problem.autograd(torch.compile),
        "step compiled": lambda: problem.whole_step(1),
    }
    if job.workload.steps % STEPS_AT_ONCE == 0:
        forms[f"{STEPS_AT_ONCE} steps compiled, C++ wrapper"] = lambda: problem.whole_step(
            STEPS_AT_ONCE, cpp_wrapper=True
        )
    train_best(forms, job.form, problem.orders, stopwatch)


class Problem:
    """The data, the loss and the step."""

    def __init__(self, job: Job) -> None:
        if job.threads:
            torch.set_num_threads(job.threads)
        self.job, self.batch = job, job.workload.batch
        X, y = job.workload.data(job.dtype)
        self.X, self.y = torch.from_numpy(X), torch.from_numpy(y)
        self.orders = [torch.from_numpy(order) for order in job.workload.orders()]

    def parameters(self) -> list[torch.Tensor]:
        """W[1], b[1], W[2], ..."""
        return [torch.from_numpy(each) for each in chain(*self.job.workload.parameters())]

    @staticmethod
    def loss(parameters: list[torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The cross-entropy of a mini-batch of rows."""
        for W, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            x = torch.relu(functional.linear(x, W, b))
        return functional.cross_entropy(functional.linear(x, *parameters[-2:]), y)

    def autograd(self, decorate: Any = lambda loss: loss, gather_once: bool = False) -> Any:
        """Return an epoch whose step is forward, ``backward()`` and PyTorch's fused Adam."""
        parameters = [each.requires_grad_() for each in self.parameters()]
        adam = torch.optim.Adam(parameters, LEARNING_RATE, fused=True)
        loss_of = decorate(lambda x, y: self.loss(parameters, x, y))

        def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            adam.zero_grad(set_to_none=True)
            J = loss_of(x, y)
            J.backward()
            adam.step()
            return J

        def epoch(order: torch.Tensor, costs: list[Any] | None) -> None:
            if gather_once:
                rows = zip(
                    self.X[order].split(self.batch), self.y[order].split(self.batch), strict=True
                )
            else:
                rows = ((self.X[part], self.y[part]) for part in order.split(self.batch))
            for x, y in rows:
                J = step(x, y)
                if costs is not None:
                    costs.append(float(J))

        return epoch

    def whole_step(self, steps: int, **options: Any) -> Any:
        """Return an epoch whose gathering, gradients and Adam are one compiled function."""
        torch._dynamo.reset()
        parameters = self.parameters()
        means = [torch.zeros_like(W) for W in parameters]
        squares = [torch.zeros_like(W) for W in parameters]
        t = torch.zeros((), dtype=parameters[0].dtype)
        gradients_of = torch.func.grad_and_value(self.loss)

        def some_steps(order: torch.Tensor) -> torch.Tensor:
            costs = []
            for part in order.split(self.batch):
                gradients, J = gradients_of(parameters, self.X[part], self.y[part])
                t.add_(1)
                rate = LEARNING_RATE * torch.sqrt(1 - 0.999**t) / (1 - 0.9**t)
                for W, m, v, dW in zip(parameters, means, squares, gradients, strict=True):
                    m.mul_(0.9).add_(dW, alpha=0.1)
                    v.mul_(0.999).addcmul_(dW, dW, value=0.001)
                    W.sub_(rate * m / (v.sqrt() + 1e-8))
                costs.append(J)
            return torch.stack(costs)

        run = torch.compile(some_steps, fullgraph=True, dynamic=False, options=options or None)

        def epoch(order: torch.Tensor, costs: list[Any] | None) -> None:
            for part in order.split(self.batch * steps):
                J = run(part)
                if costs is not None:
                    costs.extend(J.tolist())

        return epoch


def row(job: Job, stopwatch: Stopwatch) -> None:
    """One row through a Module."""
    torch.set_num_threads(1)
    sizes = job.workload.sizes
    layers: list[torch.nn.Module] = []
    for l in range(1, len(sizes)):
        layers += [torch.nn.Linear(sizes[l - 1], sizes[l]), torch.nn.ReLU()]
    layers[-1] = torch.nn.Softmax(dim=1)
    with torch.inference_mode():
        repeat(partial(torch.nn.Sequential(*layers).eval(), torch.ones(1, sizes[0])), stopwatch)
