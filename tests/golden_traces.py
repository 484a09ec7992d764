"""Traces that are kept as files, so that a change of what they show is seen: golden/traces/.

Write them anew with ``python tests/golden_traces.py`` and look at the difference.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pellucid import Dense, Network, Scale, trace
from pellucid.activations import ACTIVATIONS
from pellucid.insight.trace import PRESETS, Trace
from pellucid.layers import (
    GRU,
    LSTM,
    BatchNorm,
    Conv2D,
    Embedding,
    Layer,
    LayerNorm,
    Parallel,
    Recurrent,
    Residual,
)
from pellucid.losses import LOSSES

FOLDER = Path(__file__).parent / "golden" / "traces"
WHOLE = ("and-gate",)
"""Those that are kept in all their forms; of the others the text and the cells, or these alone."""


def drawn(*shape: int) -> np.ndarray:
    """Return numbers of one decimal, the same everywhere."""
    return np.round(np.sin(np.arange(1, np.prod(shape) + 1) * 2.3).reshape(shape), 1)


def network(*layers: Layer, shape: int | tuple[int, ...] = 2) -> Network:
    net = Network(list(layers), shape, seed=0, dtype="float64")
    for name, array in net.parameters.items():
        array[...] = drawn(*array.shape) + (1.5 if name[0] == "s" else 0.0)
    return net


def of_activation(name: str) -> Trace:
    if ACTIVATIONS[name].output_only:
        return trace(network(Dense(2, name)), drawn(2, 3), np.eye(2)[:, [0, 1, 0]], "mse")
    net = network(Dense(2, name), Dense(1, "sigmoid"))
    return trace(net, drawn(2, 3), [0, 1, 1], "binary_cross_entropy")


def of_loss(name: str, g: str) -> Trace:
    Y = {"unit": [[0, 1, 1], [1, 0, 1]], "distribution": [[0, 1, 1], [1, 0, 0]]}
    Y["non-negative"] = [[0, 1, 2], [3, 1, 0]]
    targets = np.array(Y.get(LOSSES[name].targets, [[0.5, -1, 2], [0.25, 1, -0.5]]), dtype=float)
    return trace(network(Dense(2, g)), drawn(2, 3), targets, name)


def penalties() -> Trace:
    net = network(Scale(), Dense(2, "tanh", weight_decay_factor=2.0), Scale(), Dense(2, "sigmoid"))
    Y = np.array([[0, 1, 1], [1, 0, 1.0]])
    terms = {"sample_weight": [0.5, 2.0, 1.0], "l1": 0.25, "l2": 0.5}
    return trace(net, drawn(2, 3), Y, "bce", title="Weights, scales & penalties", **terms)


def large() -> Trace:
    net = network(Dense(9, "tanh"), Dense(3, "softmax"))
    return trace(net, drawn(2, 11), np.arange(11) % 3, "cce")


def convolution() -> Trace:
    """Two filters over two channels with padding, and a dense layer on what they find."""
    net = network(Conv2D(2, 2, "tanh", padding=1), Dense(1, "sigmoid"), shape=(2, 3, 2))
    return trace(net, drawn(12, 2), [0, 1], "bce")


def recurrent() -> Trace:
    """Two layers, the second backwards; the second example ends a step earlier."""
    layers = Recurrent(2, sequences=True), Recurrent(1, sequences=True, backwards=True)
    net = network(*layers, Dense(1, "sigmoid", each_step=True), shape=(3, 1))
    return trace(net, drawn(3, 2), [[0, 1], [1, 1], [0, 0]], "bce", lengths=[3, 2])


def gated(layer: type[LSTM] | type[GRU], **how: str) -> Trace:
    net = network(layer(1, **how), Dense(1, "identity"), shape=(2, 2))
    return trace(net, drawn(4, 2), [[1.0, -1.0]], "half_squared_error")


def embedding() -> Trace:
    net = network(Embedding(4, 2), Dense(2, "softmax"), shape=(3,))
    return trace(net, [[0, 3], [2, 2], [2, 1]], [0, 1], "cce")


def branches() -> Trace:
    """Layers inside of others, and norms."""
    inside = Residual([LayerNorm(), Dense(3, "tanh")])
    beside = Parallel([Dense(2, "relu", names=["family size", "walk"]), []])
    net = network(Dense(3, "tanh"), inside, beside, BatchNorm(), Dense(1, "sigmoid"))
    net.layers[3].statistics["mean"][...] = drawn(5, 1)
    return trace(net, drawn(2, 3), [0, 1, 1], "bce")


CASES: dict[str, Callable[[], Trace]] = {
    **{name: entry.trace for name, entry in PRESETS.items()},
    "update": lambda: PRESETS["pass-the-class"].trace(optimizer="adam", learning_rate=0.1),
    **{f"activation-{name}": (lambda name=name: of_activation(name)) for name in ACTIVATIONS},
    **{
        f"loss-{name}-{g}": (lambda name=name, g=g: of_loss(name, g))
        for name, entry in LOSSES.items()
        for g in entry.fits[:2]
        if not (g == "relu" and name.startswith("mean"))
    },
    "convolution": convolution,
    "recurrent": recurrent,
    "lstm": lambda: gated(LSTM),
    "gru": lambda: gated(GRU),
    "gru-reset-after": lambda: gated(GRU, reset="after"),
    "embedding": embedding,
    "branches": branches,
    "penalties": penalties,
    "large": large,
}


def steps(t: Trace) -> str:
    """Each step's formula, and its last cell: what it shows, and what it came from."""
    lines = []
    for step in t.steps:
        rows, columns = step.values.shape
        letter, layer, *time = step.key
        place = {"row": rows - 1, "column": columns - 1, "step": time[0] if time else None}
        cell = t.cell(letter, layer=layer, **place)
        sources = " ".join(map(str, cell.sources))
        lines += [step.formula, f"  {step.why}", str(cell), f"  from {sources}", ""]
    return "\n".join(lines)


def rounded(value: object) -> object:
    """The data with ten digits: the last ones differ between machines."""
    if isinstance(value, float):
        return float(f"{value:.10g}")
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return {k: rounded(v) for k, v in value.items()} if isinstance(value, dict) else value


def files(name: str) -> dict[str, str]:
    """Each file of a case and what should be in it."""
    t = CASES[name]()
    made = {f"{name}.txt": steps(t)}
    if not name.startswith(("activation", "loss")):
        made[f"{name}.txt"] = f"{t.text(90)}\n\nSteps\n=====\n\n{steps(t)}"
    if name in WHOLE:
        made[f"{name}.html"] = t.html().replace("<section", "\n<section")
        made[f"{name}.tex"] = t.latex()
        made[f"{name}.json"] = json.dumps(rounded(t.to_dict()), indent=1) + "\n"
    return made


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    for case in CASES:
        for file, content in files(case).items():
            (FOLDER / file).write_text(content, encoding="utf-8")
