"""Whether every layer gives PyTorch's outputs and gradients, with the same weights.

    python benchmarks/torch_agreement.py

Each case is an nn.Sequential that Network.from_torch reads. Compared are what leaves it and, for
random derivatives by that, the derivatives by every weight, bias and input. The numbers go to
benchmarks/results/torch_agreement.json and to the table of benchmarks/accuracy.md; the script ends
with an error where two differ by more than BARS. A new layer is a case here.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import machine
import numpy as np
import torch
from report_format import table, with_part
from torch import nn

from pellucid import Network
from pellucid.layers import chain

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "results" / "torch_agreement.json", HERE / "accuracy.md"
BARS = {"float32": 1e-5, "float64": 1e-10}
EXAMPLES = 8


@dataclass(frozen=True)
class Case:
    """An nn.Sequential for inputs of this shape, in our order.

    ``steps`` says that PyTorch has a sequence as (m, steps, features), not channels first.
    ``run`` is what PyTorch computes, unless the Sequential runs as it is; it takes the lengths too
    where there are some. ``note`` says why its bars are others.
    """

    name: str
    modules: Callable[[], list[nn.Module]]
    shape: tuple[int, ...]
    steps: bool = False
    run: Callable[..., torch.Tensor] | None = None
    lengths: tuple[int, ...] | None = None
    bars: Mapping[str, float] = field(default_factory=lambda: BARS)
    note: str = ""


def _activated(*activations: nn.Module) -> list[nn.Module]:
    return [each for g in activations for each in (nn.Linear(6, 6), g)]


def _lenet() -> list[nn.Module]:
    return [
        *(nn.Conv2d(1, 6, 5, padding="same"), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU()),
        *(nn.Linear(84, 10), nn.Softmax(1)),
    ]


CASES = [
    Case("Dense", lambda: [nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)], (5,)),
    Case("Dense of each step", lambda: [nn.Linear(3, 4), nn.Tanh()], (6, 3), steps=True),
    Case("Dense of steps, unrolled", lambda: [nn.Flatten(), nn.Linear(18, 4)], (6, 3), steps=True),
    Case("Dense of a volume", lambda: [nn.Flatten(), nn.Linear(40, 4)], (4, 5, 2)),
    Case(
        "activations with a kink",
        lambda: _activated(nn.ReLU(), nn.LeakyReLU(0.1), nn.ELU(1.5), nn.SELU(), nn.Hardtanh()),
        (6,),
    ),
    Case(
        "hard sigmoid",
        lambda: _activated(nn.Hardsigmoid()),
        (6,),
        bars={"float32": 1e-5, "float64": 1e-7},
        note="PyTorch has the 1/6 of its derivative in float32",
    ),
    Case(
        "smooth activations",
        lambda: (
            _activated(nn.Sigmoid(), nn.Tanh(), nn.GELU("tanh"), nn.SiLU(), nn.Mish())
            + _activated(nn.Softplus(), nn.Softmax(1))
        ),
        (6,),
    ),
    Case("Conv1D", lambda: [nn.Conv1d(3, 4, 3), nn.Tanh()], (9, 3)),
    Case("Conv1D, stride 2, padding 2", lambda: [nn.Conv1d(3, 4, 4, 2, 2)], (9, 3)),
    Case("Conv1D, same", lambda: [nn.Conv1d(3, 4, 5, padding="same")], (9, 3)),
    Case("Conv1D, 2 groups", lambda: [nn.Conv1d(4, 6, 3, groups=2), nn.SiLU()], (9, 4)),
    Case("Conv2D", lambda: [nn.Conv2d(3, 4, 3), nn.Tanh()], (7, 6, 3)),
    Case("Conv2D, 3 x 2, stride (2, 1)", lambda: [nn.Conv2d(3, 4, (3, 2), (2, 1))], (7, 6, 3)),
    Case("Conv2D, stride 2, padding 1", lambda: [nn.Conv2d(3, 4, 3, 2, 1)], (8, 6, 3)),
    Case("Conv2D, 5 x 3, same", lambda: [nn.Conv2d(3, 4, (5, 3), padding="same")], (7, 6, 3)),
    Case(
        "Conv2D, 3 groups, no bias", lambda: [nn.Conv2d(6, 9, 3, groups=3, bias=False)], (7, 6, 6)
    ),
    Case("MaxPool of pictures", lambda: [nn.MaxPool2d(2), nn.Conv2d(2, 3, 1)], (7, 6, 2)),
    Case(
        "MaxPool 3 x 2, stride (1, 2)",
        lambda: [nn.MaxPool2d((3, 2), (1, 2)), nn.Conv2d(2, 3, 1)],
        (7, 6, 2),
    ),
    Case("MaxPool of steps", lambda: [nn.MaxPool1d(3, 2), nn.Conv1d(2, 3, 1)], (9, 2)),
    Case("AveragePool of pictures", lambda: [nn.AvgPool2d(3, 2), nn.Conv2d(2, 3, 1)], (7, 6, 2)),
    Case("AveragePool of steps", lambda: [nn.AvgPool1d(2), nn.Conv1d(2, 3, 1)], (9, 2)),
    Case(
        "GlobalPool, average",
        lambda: [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3)],
        (7, 6, 2),
    ),
    Case(
        "GlobalPool, max",
        lambda: [nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(2, 3)],
        (9, 2),
    ),
    Case("LeNet-5", _lenet, (28, 28, 1)),
]
"""What is compared. A recurrent layer's ``run`` takes what it needs of the tuple it returns."""


def ours(tensor: torch.Tensor, steps: bool) -> np.ndarray:
    """Return (n, m) of what PyTorch has as rows, as (m, steps, features) or channels first."""
    array = tensor.detach().numpy()
    if array.ndim > 2 and not steps:
        array = np.moveaxis(array, 1, -1)
    return array.reshape(len(array), -1).T


def theirs(X: np.ndarray, case: Case) -> torch.Tensor:
    """Return (n, m) as PyTorch has it."""
    array = np.ascontiguousarray(X.T).reshape(-1, *case.shape)
    if len(case.shape) > 1 and not case.steps:
        array = np.ascontiguousarray(np.moveaxis(array, -1, 1))
    return torch.from_numpy(array).requires_grad_()


def compare(case: Case, dtype: str) -> dict[str, float]:
    """Return the largest difference of the outputs and of the gradients."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    module = nn.Sequential(*case.modules()).to(getattr(torch, dtype))
    net = Network.from_torch(module, case.shape)
    lengths = None if case.lengths is None else np.resize(case.lengths, EXAMPLES)

    x = theirs(rng.normal(size=(net.n_inputs, EXAMPLES)).astype(dtype), case)
    given = () if lengths is None else (lengths,)
    y = module(x) if case.run is None else case.run(module, x, *given)
    dy = torch.from_numpy(rng.normal(size=tuple(y.shape)).astype(dtype))
    y.backward(dy)
    of_weights = copy.deepcopy(module)
    for parameter, found in zip(of_weights.parameters(), module.parameters(), strict=True):
        parameter.data = found.grad

    cache = net.forward(ours(x, case.steps), cache=True, lengths=lengths)
    dA = ours(dy, case.steps)
    dX, by_layer, _ = chain.backward(net.layers, cache.chain_caches, dA, m=1)
    pairs = [(dX, ours(x.grad, case.steps))]
    expected = Network.from_torch(of_weights, case.shape).leaves
    for layer, gradients in zip(expected, by_layer, strict=True):
        for letter, array in layer.parameters.items():
            if layer.rate_factor(letter):  # not of a bias that PyTorch does not have
                pairs.append((gradients["d" + letter], array))
    return {
        "outputs": difference(cache.chain_caches[-1].output, ours(y, case.steps)),
        "gradients": max(difference(*pair) for pair in pairs),
    }


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, relative to the largest number."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def main() -> None:
    """Compare all, write the results and their table."""
    torch.set_num_threads(1)
    cases = {case.name: {dtype: compare(case, dtype) for dtype in BARS} for case in CASES}
    about = machine.describe()
    document = {key: about[key] for key in ("date", "machine", "commit", "python", "versions")}
    document |= {"bars": BARS, "cases": cases}
    RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    page = with_part(PAGE.read_text("utf-8"), "torch_agreement.py", text(document))
    PAGE.write_text(page, encoding="utf-8")
    print(text(document))
    wrong = [case.name for case in CASES if not _within(cases[case.name], case.bars)]
    if wrong:
        sys.exit(f"not within the bars: {', '.join(wrong)}")


def _within(found: dict[str, dict[str, float]], bars: Mapping[str, float]) -> bool:
    return all(each <= bars[dtype] for dtype in bars for each in found[dtype].values())


def text(document: dict[str, Any]) -> str:
    """Return the table and what it says, as Markdown."""
    header = ["", *(f"{what}, {dtype}" for dtype in BARS for what in ("outputs", "gradients"))]
    notes = {case.name: f" ({case.note})" if case.note else "" for case in CASES}
    rows = [
        [name + notes[name], *(f"{each:.0e}" for dtype in BARS for each in found[dtype].values())]
        for name, found in document["cases"].items()
    ]
    versions = document["versions"]
    about = (
        f"{document['date']}, {document['machine']}, pellucid {document['commit']}, "
        f"PyTorch {versions['torch']}, NumPy {versions['numpy']}."
    )
    return "\n".join([about, "", *table(header, rows)])


if __name__ == "__main__":
    main()
