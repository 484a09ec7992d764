"""Modules of PyTorch's and what they answer, kept as a file: golden/torch.json.

With PyTorch, ``python tests/golden_torch.py`` writes it anew. The tests need none: they read each
module's settings and weights into a stand-in whose class has the same name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).parent / "golden" / "torch.json"


def cases(nn: Any) -> dict[str, tuple[list[Any], tuple[int, ...]]]:
    """Return modules, and the shape of an example in our order, by name."""
    return {
        "dense": (
            [nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 1), nn.Sigmoid()],
            (3,),
        ),
        "activations": (
            [
                *(nn.Linear(2, 3), nn.LeakyReLU(0.2), nn.Linear(3, 3), nn.ELU(1.5)),
                *(nn.Linear(3, 3), nn.SELU(), nn.Linear(3, 3), nn.GELU("tanh")),
                *(nn.Linear(3, 3), nn.SiLU(), nn.Linear(3, 3), nn.Mish()),
                *(nn.Linear(3, 3), nn.Softplus(), nn.Linear(3, 3), nn.Hardsigmoid()),
                *(nn.Linear(3, 3), nn.Hardtanh(), nn.Identity(), nn.Linear(3, 2), nn.Softmax(1)),
            ],
            (2,),
        ),
        "picture": (
            [
                *(nn.Conv2d(2, 4, (3, 2), padding="same"), nn.MaxPool2d(2), nn.ReLU()),
                *(nn.Conv2d(4, 2, 3, 1, 1, groups=2, bias=False), nn.Tanh(), nn.AvgPool2d((1, 2))),
                nn.Sequential(nn.Flatten(), nn.Linear(6, 3), nn.Softmax(-1)),
            ],
            (6, 4, 2),
        ),
        "strides": (
            [
                *(nn.Conv2d(3, 2, (3, 1), (2, 1), (1, 0)), nn.SiLU()),
                *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)),
            ],
            (5, 4, 3),
        ),
        "sequence": (
            [
                *(nn.Conv1d(2, 3, 3, 1, 2), nn.Tanh(), nn.MaxPool1d(2), nn.AvgPool1d(2, 1)),
                *(nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(3, 2)),
            ],
            (7, 2),
        ),
        "norms": (
            [
                *(nn.BatchNorm2d(2), nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU()),
                *(nn.MaxPool2d(2), nn.Dropout(0.5), nn.BatchNorm2d(4, 1e-3, 0.2, affine=False)),
                *(nn.Flatten(), nn.Linear(4, 3), nn.SiLU(), nn.BatchNorm1d(3)),
                *(nn.Linear(3, 3), nn.Tanh(), nn.LayerNorm(3), nn.Dropout(0.2)),
                *(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Softmax(1)),
            ],
            (4, 4, 2),
        ),
        "norms of steps": (
            [
                *(nn.LayerNorm(2, 0.1), nn.Linear(2, 3), nn.Tanh()),
                *(nn.LayerNorm(3, bias=False), nn.Linear(3, 2)),
            ],
            (4, 2),
        ),
        "words": (
            [
                *(nn.Embedding(5, 2, padding_idx=0), nn.GRU(2, 2, batch_first=True)),
                *(nn.Dropout(0.5), nn.LSTM(2, 3, 2, batch_first=True, dropout=0.1)),
                *(nn.RNN(3, 2, nonlinearity="relu", batch_first=True), nn.Linear(2, 2)),
            ],
            (4,),
        ),
        "steps": ([nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2), nn.Softmax(-1)], (4, 2)),
        "places": ([nn.Conv2d(1, 2, 2), nn.Softmax(1)], (3, 4, 1)),
    }


def write() -> None:
    """Ask PyTorch, and write the file."""
    import torch

    torch.manual_seed(0)
    kept = {}
    for name, (modules, shape) in cases(torch.nn).items():
        module = torch.nn.Sequential(*modules).double().eval()
        for parameter in module.parameters():
            parameter.data = torch.round(parameter.data, decimals=2)
        for norm in module.modules():
            if isinstance(norm, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
                n = norm.num_features
                norm.running_mean += torch.arange(n) / 8  # 0, 1/8, ...
                norm.running_var += torch.arange(n) / 4
                if norm.affine:
                    norm.weight.data += torch.arange(n) / 2
                    norm.bias.data -= torch.arange(n) / 16
        X = np.round(np.random.default_rng(0).normal(size=(2, *shape)), 1)
        first = name in ("picture", "strides", "sequence", "norms", "places")
        x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(X, -1, 1)) if first else X)
        if name == "words":
            X = np.array([[1, 4, 0, 2], [3, 3, 1, 0]])
            x = torch.from_numpy(X)
        for each in module:
            x = each(x)
            x = x[0] if isinstance(x, tuple) else x  # of a recurrent one the outputs
        A = x.detach().numpy()
        A = np.moveaxis(A, 1, -1) if first and A.ndim > 2 else A
        kept[name] = {
            "shape": shape,
            "modules": [_described(each) for each in module],
            "X": X.reshape(2, -1).T.tolist(),
            "A": A.reshape(2, -1).T.tolist(),
        }
    lines = [f"{json.dumps(name)}: {json.dumps(case)}" for name, case in kept.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _described(module: Any) -> dict[str, Any]:
    if type(module).__name__ == "Sequential":
        return {"class": "Sequential", "modules": [_described(each) for each in module]}
    settings = {k: v for k, v in vars(module).items() if k[0] != "_" and k != "training"}
    kept = module._parameters | module._buffers
    tensors = {k: None if v is None else v.tolist() for k, v in kept.items()}
    kind = type(module)
    return {
        "class": kind.__name__,
        "module": kind.__module__,
        "settings": settings,
        "tensors": tensors,
        "shown": repr(module),
    }


# Stand-ins ----------------------------------------------------------------------------------------


class Tensor:
    """Numbers that are asked for as PyTorch's are."""

    def __init__(self, values: Any, dtype: str = "torch.float64") -> None:
        self.values, self.dtype = np.asarray(values, float), dtype

    def __len__(self) -> int:
        return len(self.values)

    def detach(self) -> Tensor:
        return self

    double = cpu = detach

    def numpy(self) -> np.ndarray:
        return self.values


class Sequential:
    """Modules one after the other."""

    __module__ = "torch.nn.modules.container"

    def __init__(self, *modules: Any) -> None:
        self.modules = modules

    def __iter__(self) -> Iterator[Any]:
        return iter(self.modules)

    def forward(self, x: Any) -> Any:
        raise NotImplementedError


class Module:
    """What all others have."""

    shown = ""

    def __init__(self, **attributes: Any) -> None:
        self._forward_hooks: dict[int, Any] = {}
        self._forward_pre_hooks: dict[int, Any] = {}
        vars(self).update(attributes)

    def __repr__(self) -> str:
        return self.shown or f"{type(self).__name__}()"


def module(name: str, within: str = "torch.nn.modules.some", **attributes: Any) -> Any:
    """Return a module of a class of this name."""
    return type(name, (Module,), {"__module__": within})(**attributes)


def made(described: dict[str, Any]) -> Any:
    """Return the stand-in of what was described."""
    if described["class"] == "Sequential":
        return Sequential(*map(made, described["modules"]))
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in described["settings"].items()}
    tensors = {k: None if v is None else Tensor(v) for k, v in described["tensors"].items()}
    shown = described["shown"]
    return module(described["class"], described["module"], **settings, **tensors, shown=shown)


if __name__ == "__main__":
    write()
