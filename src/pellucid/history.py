"""History: what a training left behind, curve by curve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from html import escape
from numbers import Real
from typing import Any


@dataclass
class History:
    """The curves of a training, one value an epoch, and how it ended.

    Attributes
    ----------
    curves : dict of lists
        ``"loss"``, J over the epoch's mini-batches, each before its update; ``"learning_rate"``, at
        the epoch's last step; ``"val_loss"``, the loss of the validation data alone, without
        penalties; each metric under its name and, for validation data, ``"val_"`` and its name.
    stopped : str
        "finished", "converged" (lbfgs), "early_stopping", "interrupted", "diverged" or "callback".
    message : str
        The same as a sentence.
    best_epoch : int
        The epoch, counted from 1, whose parameters the network now has.
    engine, engine_note : str
        Which engine ran and why no faster one did.
    settings : dict
        What the training was asked for.
    statistics : list of dict
        What a :class:`pellucid.insight.Watch` measured, for a diagnosis.

    Examples
    --------
    >>> history = History(curves={"loss": [0.7, 0.5]}, stopped="finished")
    >>> history.epochs, history["loss"][-1]
    (2, 0.5)
    """

    curves: dict[str, list[float]] = field(default_factory=dict)
    stopped: str = ""
    message: str = ""
    best_epoch: int = 0
    engine: str = ""
    engine_note: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    statistics: list[dict[str, Any]] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        """The number of epochs done."""
        return len(self.curves.get("loss", ()))

    def __getitem__(self, curve: str) -> list[float]:
        if curve not in self.curves:
            raise KeyError(f"no curve {curve!r}; there are: {', '.join(self.curves) or 'none'}.")
        return self.curves[curve]

    def append(self, **values: float) -> None:
        """Add one epoch's value to each curve."""
        for curve, value in values.items():
            self.curves.setdefault(curve, []).append(float(value))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data, for a model file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> History:
        """Return the history that :meth:`to_dict` wrote; ValueError for anything else."""
        if not isinstance(data, Mapping):
            raise ValueError(f"a history must be an object, not {data!r:.40}")
        kinds = {field.name: type(getattr(cls(), field.name)) for field in fields(cls)}
        for name, value in data.items():
            if not isinstance(value, kinds.get(name, ())) or isinstance(value, bool):
                raise ValueError(f"a history has no entry {name!r:.40} such as {value!r:.40}")
        made = cls(**data)
        for name, curve in made.curves.items():
            if not isinstance(curve, list) or not all(map(_is_number, curve)):
                raise ValueError(f"the curve {name!r:.40} of a history is no list of numbers")
        if made.best_epoch < 0 or not all(isinstance(each, dict) for each in made.statistics):
            raise ValueError("the best epoch or the statistics of a history cannot be")
        return made

    def _repr_html_(self) -> str:
        """How it ended, and the losses as curves, for a notebook."""
        colours = {"loss": "#1a7f37", "val_loss": "#b3471d"}
        shown = {name: self.curves[name] for name in colours if name in self.curves}
        finite = [v for values in shown.values() for v in values if math.isfinite(v)]
        if not finite:
            return f"<p>{escape(repr(self))}<br>{escape(self.message)}</p>"
        low, high = min(finite), max(finite)
        lines = []
        for name, values in shown.items():
            points = _points(values, low, high)
            lines.append(
                f'<polyline points="{points}" fill="none" stroke="{colours[name]}" '
                f'stroke-width="2" stroke-linecap="round"><title>{name}</title></polyline>'
            )
        legend = ", ".join(
            f'<span style="color:{colours[name]}">{name} {values[-1]:.4g}</span>'
            for name, values in shown.items()
            if values
        )
        return (
            f"<div><p>{escape(repr(self))}<br>{escape(self.message)}</p>"
            f'<svg viewBox="-4 -4 408 108" width="408" role="img" aria-label="losses by epoch">'
            f"{''.join(lines)}</svg><p>{legend}; drawn from {low:.4g} to {high:.4g}</p></div>"
        )

    def __repr__(self) -> str:
        last = ", ".join(
            f"{name} {values[-1]:.4g}" for name, values in self.curves.items() if values
        )
        return f"<History: {self.epochs} epochs, {self.stopped or 'under way'}; last {last or '-'}>"


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _points(values: Sequence[float], low: float, high: float) -> str:
    """A curve in a box of 400 x 100, its lowest point at the bottom; one point alone is a dot."""
    spread, last = high - low or 1.0, max(1, len(values) - 1)
    places = [
        f"{400 * k / last:.1f},{100 * (high - v) / spread:.1f}"
        for k, v in enumerate(values)
        if math.isfinite(v)
    ]
    return " ".join(places * 2 if len(places) == 1 else places)
