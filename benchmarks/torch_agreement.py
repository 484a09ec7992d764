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
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

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
    ``words`` says how many there are, where the inputs are word numbers.
    ``training`` lets a BatchNorm take the statistics of the examples, as in a step of training.
    ``run`` is what PyTorch computes, unless the Sequential runs as it is; it takes the lengths too
    where there are some. ``note`` says why its bars are others.
    """

    name: str
    modules: Callable[[], list[nn.Module]]
    shape: tuple[int, ...]
    steps: bool = False
    run: Callable[..., torch.Tensor] | None = None
    lengths: tuple[int, ...] | None = None
    training: bool = False
    words: int = 0
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


def _states(module: nn.Module, x: torch.Tensor, lengths: np.ndarray | None = None) -> torch.Tensor:
    """What the modules behind a recurrent one make of its outputs at each step."""
    if lengths is None:
        y, _ = module[0](x)
    else:
        steps = torch.from_numpy(lengths)
        packed = pack_padded_sequence(x, steps, batch_first=True, enforce_sorted=False)
        y, _ = pad_packed_sequence(module[0](packed)[0], batch_first=True)
    return module[1:](y)


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
    Case(
        "BatchNorm, training",
        lambda: [nn.Linear(4, 3), nn.Tanh(), nn.BatchNorm1d(3), nn.Linear(3, 2)],
        (4,),
        training=True,
    ),
    Case(
        "BatchNorm of pictures, training",
        lambda: [nn.BatchNorm2d(2), nn.Conv2d(2, 3, 2)],
        (5, 4, 2),
        training=True,
    ),
    Case("BatchNorm of pictures", lambda: [nn.BatchNorm2d(2), nn.Conv2d(2, 3, 2)], (5, 4, 2)),
    Case("LayerNorm", lambda: [nn.LayerNorm(4), nn.Linear(4, 2)], (4,)),
    Case("LayerNorm of steps", lambda: [nn.LayerNorm(3), nn.Linear(3, 2)], (5, 3), steps=True),
    Case("Embedding", lambda: [nn.Embedding(7, 3), nn.Linear(3, 2)], (5,), steps=True, words=7),
    Case("Recurrent", lambda: [nn.RNN(3, 4, batch_first=True)], (6, 3), steps=True, run=_states),
    Case(
        "Recurrent, relu",
        lambda: [nn.RNN(3, 4, nonlinearity="relu", batch_first=True), nn.Linear(4, 2)],
        (6, 3),
        steps=True,
        run=_states,
    ),
    Case("GRU", lambda: [nn.GRU(3, 4, batch_first=True)], (6, 3), steps=True, run=_states),
    Case("LSTM", lambda: [nn.LSTM(3, 4, batch_first=True)], (6, 3), steps=True, run=_states),
    Case(
        "LSTM, 3 layers",
        lambda: [nn.LSTM(3, 4, 3, batch_first=True)],
        (6, 3),
        steps=True,
        run=_states,
    ),
    Case(
        "GRU, lengths",
        lambda: [nn.GRU(3, 4, batch_first=True)],
        (6, 3),
        steps=True,
        run=_states,
        lengths=(6, 2, 5, 1),
    ),
    Case(
        "LSTM, lengths",
        lambda: [nn.LSTM(3, 4, batch_first=True)],
        (6, 3),
        steps=True,
        run=_states,
        lengths=(6, 2, 5, 1),
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
    if case.words:
        return torch.from_numpy(array.astype(np.int64))
    if len(case.shape) > 1 and not case.steps:
        array = np.ascontiguousarray(np.moveaxis(array, -1, 1))
    return torch.from_numpy(array).requires_grad_()


def of_weights(module: nn.Sequential) -> nn.Sequential:
    """Return the module with its derivatives in the place of its weights.

    Of two biases that are added up, ours is one: its derivative is that of either.
    """
    made = copy.deepcopy(module)
    for own, found in zip(made, module, strict=True):
        for (name, parameter), other in zip(
            own.named_parameters(), found.parameters(), strict=True
        ):
            parameter.data = other.grad.clone()
            if name.startswith("bias_hh"):
                alone = own.hidden_size if isinstance(own, nn.GRU) else 0  # the candidate's
                parameter.data[: len(parameter) - alone] = 0
    return made


def compare(case: Case, dtype: str) -> dict[str, float]:
    """Return the largest difference of the outputs and of the gradients."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    module = nn.Sequential(*case.modules()).to(getattr(torch, dtype)).train(case.training)
    for parameter in module.parameters():  # gamma 1 and beta 0 would hide what they do
        parameter.data += 0.1 * torch.randn_like(parameter)
    net = Network.from_torch(module, case.shape)
    lengths = None if case.lengths is None else np.resize(case.lengths, EXAMPLES)

    X = rng.integers(0, case.words, (net.n_inputs, EXAMPLES)) if case.words else None
    X = rng.normal(size=(net.n_inputs, EXAMPLES)) if X is None else X
    x = theirs(X.astype(dtype), case)
    given = () if lengths is None else (lengths,)
    y = module(x) if case.run is None else case.run(module, x, *given)
    dy = torch.from_numpy(rng.normal(size=tuple(y.shape)).astype(dtype))
    y.backward(dy)

    cache = net.forward(ours(x, case.steps), cache=True, lengths=lengths, training=case.training)
    dA = ours(dy, case.steps)
    dX, by_layer, _ = chain.backward(net.layers, cache.chain_caches, dA, m=1)
    worst = 0.0 if x.grad is None else difference(dX, ours(x.grad, case.steps))
    expected = Network.from_torch(of_weights(module), case.shape).leaves
    for layer, gradients in zip(expected, by_layer, strict=True):
        # not of a bias that PyTorch does not have
        known = {k: array for k, array in layer.parameters.items() if layer.rate_factor(k)}
        most = max((float(np.abs(array).max()) for array in known.values()), default=0.0)
        for letter, array in known.items():
            worst = max(worst, difference(gradients["d" + letter], array, most))
    return {
        "outputs": difference(cache.chain_caches[-1].output, ours(y, case.steps)),
        "gradients": worst,
    }


def difference(found: np.ndarray, expected: np.ndarray, most: float = 0.0) -> float:
    """The largest difference, relative to the largest number: of them, or ``most``."""
    return float(np.abs(found - expected).max() / (most or np.abs(expected).max()))


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
