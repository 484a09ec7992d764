"""Prepared experiments: one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Preset:
    """One entry of :data:`PRESETS`.

    ``experiment`` is what :meth:`pellucid.lab.session.settings.Settings.read` takes;
    ``"parameters"`` in it holds weights by name. ``view`` is the one to look at under "Look
    closer", by its name. ``finding`` is the kind that the diagnosis finds where something is wrong
    with it on purpose.
    """

    name: str
    title: str
    why: str
    experiment: dict[str, Any]
    view: str = ""
    finding: str = ""


def _xor(activation: str) -> dict[str, Any]:
    return {
        "data": {"name": "xor"},
        "layers": [{"units": 4, "activation": activation}],
        "learning_rate": 0.1,
        "batch_size": 4,
        "seed": 1,
    }


PRESETS: dict[str, Preset] = {
    entry.name: entry
    for entry in (
        Preset(
            "xor-non-linear",
            "XOR with a hidden layer of tanh",
            "It learns: the hidden units bend the plane (lecture 003).",
            _xor("tanh"),
        ),
        Preset(
            "xor-linear",
            "XOR with a linear hidden layer",
            "It cannot learn: W[2] W[1] is one matrix, so the whole network is one straight line "
            "(lecture 003).",
            _xor("identity"),
            finding="no_non_linearity",
        ),
        Preset(
            "xor-hidden-space",
            "XOR with two hidden units",
            "Under Hidden space: two units bend the plane until one straight line separates the "
            "classes. With seed 1 it gets stuck half-way.",
            _xor("tanh") | {"layers": [{"units": 2}], "l2": 0.003, "seed": 3},
        ),
        Preset(
            "and-gate",
            "The AND gate by hand",
            "One sigmoid unit, W = (20, 20) and b = -30: no training at all (lecture 003).",
            {
                "data": {"name": "and"},
                "layers": [],
                "optimizer": "gradient_descent",
                "learning_rate": 0.1,
                "batch_size": 4,
                "parameters": {"W1": [[20, 20]], "b1": [[-30]]},
            },
        ),
        Preset(
            "spiral",
            "The spiral: 2-64-64-1",
            "Enough units wind the boundary around the arms.",
            {
                "data": {"name": "spiral", "noise": 0.05, "split": 0.25},
                "layers": [{"units": 64}, {"units": 64}],
                "learning_rate": 0.003,
            },
        ),
        Preset(
            "three-classes",
            "Three classes and a softmax",
            "One output a class; the largest wins.",
            {
                "data": {"name": "three-classes", "noise": 0.1, "split": 0.25},
                "layers": [{"units": 8}],
                "learning_rate": 0.01,
            },
        ),
        Preset(
            "sine",
            "A curve to follow",
            "A number as output: the network bends a line into a sine.",
            {
                "data": {"name": "sine", "noise": 0.1, "split": 0.25},
                "layers": [{"units": 16}],
                "learning_rate": 0.01,
            },
        ),
        Preset(
            "pass-the-class",
            "Will I pass this class?",
            "Two inputs, five students, three hidden units (lecture 003).",
            {
                "data": {"name": "pass-the-class"},
                "layers": [{"units": 3}],
                "learning_rate": 0.1,
                "batch_size": 5,
                "seed": 1,
            },
        ),
        Preset(
            "squared-error",
            "Squared error against cross-entropy",
            "One sigmoid unit that is wrong and sure of it: with the squared error it stands on a "
            "plateau and hardly learns, with the cross-entropy it runs down a slope. This is why "
            "logistic regression takes the cross-entropy: its J is convex (lecture 002).",
            {
                "data": {"name": "or"},
                "layers": [],
                "loss": "half_squared_error",
                "optimizer": "gradient_descent",
                "learning_rate": 1.0,
                "batch_size": 4,
                "parameters": {"W1": [[-6, -4]], "b1": [[-1]]},
            },
            "surface",
            "wrong_loss",
        ),
        Preset(
            "digits",
            "Handwritten digits",
            "64 pixels in, ten classes out; the weights of layer 1 are images.",
            {
                "data": {"name": "digits", "split": 0.25},
                "layers": [{"units": 32, "activation": "relu"}],
                "learning_rate": 0.003,
            },
        ),
        Preset(
            "dropped-transpose",
            "Broken: a dropped transpose",
            "It still learns, but the gradient check turns red and the healthy twin is faster.",
            {
                "data": {"name": "circles", "noise": 0.1},
                "layers": [{"units": 6}, {"units": 6}],
                "optimizer": "gradient_descent",
                "learning_rate": 0.5,
                "fault": "dropped_transpose",
            },
            finding="wrong_backward",
        ),
    )
}
"""Every preset by its name. A new one is an entry here."""
