"""Trace: one forward and backward pass with every number in view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import propagation
from pellucid._catalogue import did_you_mean
from pellucid.checks import is_whole
from pellucid.engines.contract import State
from pellucid.insight.gradient_check import check_network
from pellucid.insight.trace.cells import picked_cell
from pellucid.insight.trace.check import TraceCheck, check_trace
from pellucid.insight.trace.passes import Pass, Step, made_of
from pellucid.insight.trace.update import session_after, start_of, update_steps
from pellucid.losses import Loss
from pellucid.losses import loss as find_loss
from pellucid.network import Network
from pellucid.optimizers import LBFGS, Optimizer
from pellucid.optimizers import optimizer as find_optimizer
from pellucid.record import Cell, Key, name

MOST_TIMES, TIMES = 6, 4
"""Steps of time of which none is left out, and of more so many are shown."""


class Trace:
    """One forward and backward pass of a network, as the reference engine computes it.

    Made by :func:`trace`. Nothing is dropped: dropout is for training.

    Attributes
    ----------
    J : float
        The cost, penalties included; ``losses`` is the loss of each example, (m,).
    steps : list of Step
        What is computed, in the order in which it is. Beside them ``cost`` has the steps to L, the
        loss of each example, and J; ``unfused`` those to dA[L] and dZ[L] by the chain rule, where
        output activation and loss go straight to dZ[L]; ``update`` those of the optimizer.
    state : State or None
        What the optimizer remembers before its step, and how many steps it has done.
    arrays : dict
        Every array by letter and layer: ``t.arrays["dW", 2]``, ``t.arrays["X", 0]``; of a recurrent
        layer by the step, too, from 1: ``t.arrays["a", 1, 3]``.
    volumes : dict
        Of the arrays whose columns are unrolled volumes or sequences, what they are unrolled of.
    lengths : array or None
        The steps that each example has.
    """

    def __init__(
        self,
        network: Network,
        X: Any,
        Y: Any,
        loss: str | Loss,
        *,
        sample_weight: Any = None,
        l1: float = 0.0,
        l2: float = 0.0,
        lengths: Any = None,
        optimizer: str | Optimizer | None = None,
        learning_rate: float | None = None,
        state: State | str | PathLike[str] | None = None,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        title: str = "",
    ) -> None:
        network = network.copy()  # the trace stays what it is where the network is trained on
        self.network, self.loss, self.title = network, find_loss(loss), title
        self.l1, self.l2 = float(l1), float(l2)
        cache = network.forward(X, cache=True, lengths=lengths)
        given, self.lengths = cache.X.copy("K"), cache.lengths
        if not np.isfinite(given).all():
            raise ValueError(
                "X holds NaN or infinity. Remove those examples or fill the values in."
            )
        _, targets, self.weight = network._checked_targets(cache, Y, self.loss, sample_weight)
        self.Y: NDArray[Any] = targets.copy("K")
        terms = (self.weight, self.l1, self.l2, self.lengths)
        done = Pass(network.layers, given, self.Y, self.loss, *terms)
        self.cache, self.gradients, self.volumes = done.cache, done.gradients, done.volumes
        self.losses: NDArray[Any] = propagation.losses(self.cache, self.Y, self.loss)
        self.J = propagation.cost(
            self.cache, self.Y, self.loss, self.weight, l1=self.l1, l2=self.l2
        )
        self.forward, self.cost, self.backward = done.forward, done.cost, done.backward
        self.unfused = done.unfused
        self.names = {
            "X": _checked_names("inputs", inputs, network.n_inputs),
            "Y": _checked_names("outputs", outputs, network.n[-1])
            or getattr(network.layers[-1], "names", None)
            or [],
        }
        self.optimizer, self.learning_rate = self._step_by(optimizer, learning_rate, state)
        self.state, self.update = None, []
        if self.optimizer is not None:
            self.state = start_of(network, self.optimizer, state)
            by_layer, rate = self.gradients.by_layer, self.learning_rate
            self.update = update_steps(network.leaves, by_layer, self.optimizer, rate, self.state)
        self.steps: list[Step] = [*self.forward, *self.backward]
        self.arrays = self._arrays()

    def _step_by(
        self, optimizer: str | Optimizer | None, rate: float | None, state: Any
    ) -> tuple[Optimizer | None, float]:
        """The optimizer and alpha."""
        if optimizer is None:
            for what, given in (("learning_rate", rate), ("state", state)):
                if given is not None:
                    raise ValueError(f"{what} is for the step of an optimizer; name one.")
            return None, 0.0
        by = find_optimizer(optimizer)
        if isinstance(by, LBFGS):
            raise ValueError("lbfgs takes a line search, no step that one pass could show.")
        return by, float(by.default_learning_rate if rate is None else rate)

    def next(self, steps: int = 1) -> Trace:
        """Return the trace after so many steps of the optimizer, on the same examples.

        >>> from pellucid.insight.trace import preset
        >>> first = preset("xor").trace(optimizer="adam")
        >>> second = first.next()
        >>> second.state.step, second.update[2].formula
        (1, 'W[1] := W[1] - (alpha 0.0447102 / 0.19) v_dW[1] / (sqrt(s_dW[1]) + 1e-08)')

        Raises
        ------
        ValueError
            Where the trace has no optimizer.
        """
        if self.optimizer is None:
            raise ValueError("next is a step of an optimizer; name one: trace(..., optimizer=...).")
        if not is_whole(steps) or steps < 0:
            raise ValueError(f"steps must be a whole number of 0 or more; got {steps!r}.")
        network, state = session_after(self, int(steps))
        return Trace(
            network, self.cache.X, self.Y, self.loss, sample_weight=self.weight, l1=self.l1,
            l2=self.l2, lengths=self.lengths, optimizer=self.optimizer,
            learning_rate=self.learning_rate, state=state,
            inputs=self.names["X"], outputs=self.names["Y"], title=self.title,
        )  # fmt: skip

    def _arrays(self) -> dict[Key, NDArray[Any]]:
        found: dict[Key, NDArray[Any]] = {("X", 0): self.cache.X}
        for step in [*self.steps, *self.cost]:
            for each in made_of(step.recorded):
                if each.key is not None and each.ndim == 2:
                    found.setdefault(each.key, each.values)
            found[step.key] = step.values
        return found

    def cell(
        self,
        letter: str,
        *,
        layer: int,
        row: int | None = None,
        column: int = 0,
        at: Sequence[int] | None = None,
        step: int | None = None,
    ) -> Cell:
        """Return one cell and the sum that made it.

        It is named by its row and column; where the column is an unrolled volume or sequence also
        by ``at``, (row, column, channel, example) or (step, feature, example), of the weights of a
        convolution (filter, row, column, channel). ``step`` is that of a recurrent layer, from 1.

        >>> from pellucid.insight.trace import preset
        >>> print(preset("and-gate").trace().cell("Z", layer=1, row=0, column=3))
        Z[1][0, 3] = sum_j W[1][0, j] X[j, 3] + b[1][0, 0]
                   = 20 * 1 + 20 * 1 + -30 = 10

        Raises
        ------
        ValueError
            Where there is no such array, or it has no such cell.
        """
        computed = {found.key: found for found in [*self.steps, *self.cost]}
        key: Key = (letter, layer) if step is None else (letter, layer, step)
        if key not in computed:
            raise ValueError(self._unknown(key, computed))
        if row is None and at is None:
            raise TypeError("cell: name a row, and a column unless it is 0, or a place by at=.")
        shapes = {name: values.shape for name, values in self.arrays.items()}
        layers = self.network.leaves
        return picked_cell(computed[key], row, column, at, shapes, self.volumes, layers)

    def _unknown(self, key: Key, computed: dict[Key, Step]) -> str:
        letter, layer, *step = key
        if letter == "g'" and key in self.arrays:
            return (
                f"g'[{layer}] stands in dZ[{layer}], entry by entry; its numbers are in t.arrays."
            )
        if key in self.arrays:
            return f"{name(key)} is given, not computed; its numbers are in t.arrays."
        letters = list(dict.fromkeys(key[0] for key in computed))
        if letter not in letters:
            known = ", ".join(letters)
            return f"unknown array {letter!r}{did_you_mean(letter, letters)}. Known are: {known}."
        if key == ("dA", self.network.L):
            return f"{self.loss.name} goes straight to dZ[{layer}] here; there is no dA[{layer}]."
        steps = sorted(each[2] for each in computed if each[:2] == key[:2] and len(each) == 3)
        if steps:
            return (
                f"{name((letter, layer))} is computed step by step here: name a step, "
                f"{steps[0]} to {steps[-1]}."
            )
        if step:
            return f"there is no {name(key)}; {name((letter, layer))} has no steps of its own."
        layers = ", ".join(str(each[1]) for each in sorted(computed) if each[0] == letter)
        return f"there is no {letter}[{layer}]; {letter} is computed in the layers: {layers}."

    def check(self, *, step: float = 1e-5, tolerance: float = 1e-6) -> TraceCheck:
        """Hold every number against central differences in float64, and the fused engine.

        dZ, dA and dX are derivatives of each example's (weighted) loss, dW, db and ds of J.
        """
        return check_trace(self, step=step, tolerance=tolerance)

    def sections(self) -> dict[str, list[Step]]:
        """Return the steps under their headings, in the order in which they are shown.

        Of a layer that goes through many steps of time the first ones are shown and the last.
        """
        found = {"Forward": self.forward, "Cost": self.cost, "Backward": self.backward}
        if self.unfused:
            found["The output, not fused"] = self.unfused
        if self.update:
            found["Update"] = self.update
        return {heading: _elided(steps) for heading, steps in found.items()}

    def text(self, width: int | None = None) -> str:
        """Return everything for a terminal of this width; None takes the terminal's own."""
        from pellucid.insight.trace.text import as_text

        return as_text(self, width)

    def html(self) -> str:
        """Return a self-contained page with formulas in MathML."""
        from pellucid.insight.trace.html import page

        return page(self)

    def latex(self) -> str:
        """Return a LaTeX document (needs amsmath)."""
        from pellucid.insight.trace.latex import document

        return document(self)

    def svg(self) -> str:
        """Return a drawing of the network, its units and what connects them."""
        from pellucid.insight.trace.drawing import svg

        return svg(self)

    def tikz(self) -> str:
        """Return the same drawing for a LaTeX document (needs tikz)."""
        from pellucid.insight.trace.drawing import tikz

        return tikz(self)

    def slides(self) -> str:
        """Return a LaTeX document with a slide for each step (needs beamer and tikz)."""
        from pellucid.insight.trace.drawing import slides

        return slides(self)

    def to_dict(self) -> dict[str, Any]:
        """Return every number as plain data."""
        return {
            "title": self.title,
            "network": self.network.to_dict(),
            "loss": self.loss.spec(),
            "J": self.J,
            "losses": self.losses.tolist(),
            "arrays": {name(key): values.tolist() for key, values in self.arrays.items()},
            "update": {name(step.key): step.values.tolist() for step in self.update},
            "state": None
            if self.state is None
            else {
                "step": self.state.step,
                "slots": {key: slot.tolist() for key, slot in self.state.slots.items()},
            },
            "steps": [
                {"result": name(step.key), "formula": step.formula, "why": step.why}
                for step in [*self.forward, *self.cost, *self.backward, *self.update]
            ],
        }

    def _repr_html_(self) -> str:
        from pellucid.insight.trace.html import fragment

        return fragment(self)

    def __repr__(self) -> str:
        n = "-".join(map(str, self.network.n))
        return f"<Trace of {n}, {self.cache.X.shape[1]} examples, J = {self.J:.6g}>"


def trace(
    network: Network,
    X: Any,
    Y: Any,
    loss: str | Loss,
    *,
    sample_weight: Any = None,
    l1: float = 0.0,
    l2: float = 0.0,
    lengths: Any = None,
    optimizer: str | Optimizer | None = None,
    learning_rate: float | None = None,
    state: State | str | PathLike[str] | None = None,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    title: str = "",
) -> Trace:
    """Return one forward and backward pass with every number in view.

    Parameters
    ----------
    network : Network
    X : array of shape (n[0], m)
        A column is an example; a few will do.
    Y : array of shape (n[L], m), or (m,) class numbers
    loss : str or Loss
    sample_weight : array of shape (m,) or None
    l1, l2 : float
        The penalties of J.
    lengths : array of shape (m,) or None
        The steps that each example has; what is padding is 0 everywhere.
    optimizer : str, Optimizer or None
        Whose step is shown after the pass, with what it remembers (momentum's v, Adam's v and s);
        ``learning_rate`` is its alpha, None its own default.
    learning_rate : float or None
    state : State, path or None
        What the optimizer remembers from steps before: ``Trace.state``, ``session.state()``, or the
        folder of a checkpoint. None: this is its first step. :meth:`Trace.next` goes on from here.
    inputs, outputs : sequence of str
        What each row of X and of Y is, such as ("romance", "action"); shown beside them.
    title : str
        What stands above.

    Examples
    --------
    The AND gate of lecture 003, one example:

    >>> from pellucid import Dense, Network, trace
    >>> gate = Network([Dense(1, "sigmoid")], n_inputs=2, dtype="float64")
    >>> gate.set_parameters({1: ([[20, 20]], [[-30]])})
    >>> t = trace(gate, [[0], [1]], [0], "binary_cross_entropy")
    >>> t.arrays["Z", 1], t.arrays["dW", 1].round(8)
    (array([[-10.]]), array([[0.0000000e+00, 4.5400000e-05]]))
    >>> t.check().ok
    True
    """
    check_network(network, "trace")
    return Trace(
        network, X, Y, loss, sample_weight=sample_weight, l1=l1, l2=l2, lengths=lengths,
        optimizer=optimizer, learning_rate=learning_rate, state=state, inputs=inputs,
        outputs=outputs, title=title,
    )  # fmt: skip


def _elided(steps: list[Step]) -> list[Step]:
    """The steps, without those in the middle of a long time."""
    times: dict[tuple[str, int], list[int]] = {}
    for step in steps:
        if len(step.key) == 3:
            times.setdefault(step.key[:2], []).append(step.key[2])
    found, gap = [], 0
    for step in steps:
        of = times.get(step.key[:2], []) if len(step.key) == 3 else []
        if len(of) > MOST_TIMES and step.key[-1] not in [*of[: TIMES - 1], of[-1]]:
            gap += 1
            continue
        found.append(replace(step, left_out=gap))
        gap = 0
    return found


def _checked_names(what: str, names: Sequence[str], n: int) -> list[str]:
    if isinstance(names, str) or not all(isinstance(each, str) for each in names):
        raise TypeError(f"{what} must be a sequence of names, a text for each row; got {names!r}.")
    if names and len(names) != n:
        raise ValueError(f"{what} must name each of the {n} rows; got {len(names)} names.")
    return list(names)
