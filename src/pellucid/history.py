"""History: what a training left behind, curve by curve."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from html import escape
from numbers import Real
from typing import Any

from pellucid.checks import is_truth


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
        What a :class:`pellucid.insight.StatisticsCallback` saw of the layers, for a diagnosis.
    facts : dict
        What it saw of the data: the shares of the classes, scores, what stands out of the columns.
        No row of them.
    kept : Kept or None
        Some rows, in memory alone, from which the two are made when they are first asked for.
    own_loss : Loss or None
        The loss where it is of one's own, which no name stands for. A saved history lacks it.

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
    facts: dict[str, Any] = field(default_factory=dict)
    own_loss: Any = field(default=None, repr=False, compare=False)
    kept: Any = field(default=None, repr=False, compare=False)

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
        plain = asdict(replace(self, own_loss=None, kept=None))
        del plain["own_loss"], plain["kept"]
        return plain

    def __getstate__(self) -> dict[str, Any]:
        """No row goes into a pickle: what they are good for is seen before."""
        plain = {name: each for name, each in vars(self).items() if name not in _SEEN.values()}
        return {**plain, **{name: getattr(self, name) for name in _SEEN}, "kept": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(vars(History()))  # what older pickles lack
        for name, value in state.items():
            setattr(self, name, value)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> History:
        """Return the history that :meth:`to_dict` wrote; ValueError for anything else."""
        if not isinstance(data, Mapping):
            raise ValueError(f"a history must be an object, not {data!r:.40}")
        kinds = {field.name: type(getattr(cls(), field.name)) for field in fields(cls)}
        del kinds["own_loss"], kinds["kept"]
        for name, value in data.items():
            if not isinstance(value, kinds.get(name, ())) or isinstance(value, bool):
                raise ValueError(f"a history has no entry {name!r:.40} such as {value!r:.40}")
        made = cls(**data)
        for name, curve in made.curves.items():
            if not isinstance(curve, list) or not all(
                isinstance(k, Real) and not is_truth(k) for k in curve
            ):
                raise ValueError(f"the curve {name!r:.40} of a history is not a list of numbers")
        if made.best_epoch < 0 or not all(isinstance(each, dict) for each in made.statistics):
            raise ValueError("the best epoch or the statistics of a history cannot be")
        return made

    @classmethod
    def from_sklearn(cls, model: Any) -> History:
        """Return what a fitted scikit-learn MLP records of its training.

        J has the penalty in it; the scores of validation rows are "val_accuracy" or "val_r2".
        lbfgs records no curve: J at its end stands alone.

        >>> from sklearn.neural_network import MLPClassifier
        >>> model = MLPClassifier((2,), max_iter=500, tol=0.1, random_state=0)
        >>> model = model.fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
        >>> History.from_sklearn(model).stopped
        'early_stopping'
        """
        classes = getattr(model, "classes_", None)
        output = {"logistic": "binary_cross_entropy", "softmax": "categorical_cross_entropy"}
        loss = output.get(model.out_activation_, "half_squared_error")
        J = [float(value) for value in getattr(model, "loss_curve_", [model.loss_])]
        curves = {"loss": J}
        scores = getattr(model, "validation_scores_", None)
        if scores is not None:
            curves["val_accuracy" if classes is not None else "val_r2"] = [*map(float, scores)]
        epochs, seen = model.n_iter_, model.t_
        settings = {
            "loss": "poisson" if model.loss == "poisson" else loss,
            "optimizer": {"sgd": "nesterov"}.get(model.solver, model.solver),
            "learning_rate": model.learning_rate_init,
            "epochs": model.max_iter,
            "l2": float(model.alpha),
        }
        if seen:
            m = seen // epochs
            batch = min(200, m) if model.batch_size == "auto" else model.batch_size
            settings |= {"batch_size": batch, "examples": m}
        if epochs < model.max_iter:
            stopped = "converged" if model.solver == "lbfgs" else "early_stopping"
        else:
            stopped = "finished"
        return cls(
            curves, stopped, "as scikit-learn ended it", epochs, "scikit-learn", "", settings
        )

    @classmethod
    def from_keras(cls, history: Any) -> History:
        """Return the curves of what Keras' ``fit`` returned, or of its ``.history``.

        "lr" becomes "learning_rate" and "acc" "accuracy"; all other names stay.

        >>> History.from_keras({"loss": [0.7, 0.5], "acc": [0.5, 0.8]})["accuracy"]
        [0.5, 0.8]
        """
        recorded = history if isinstance(history, Mapping) else history.history
        names: dict[Any, str] = {
            "lr": "learning_rate",
            "acc": "accuracy",
            "val_acc": "val_accuracy",
        }
        curves = {names.get(k, str(k)): [float(each) for each in recorded[k]] for k in recorded}
        return _foreign(curves, "Keras", getattr(history, "params", None) or {})

    @classmethod
    def from_lightning(cls, metrics: Any) -> History:
        """Return the curves that Lightning's CSVLogger wrote: its ``metrics.csv``, or its rows.

        A row has an epoch and what was logged at some step: the values of an epoch are averaged.
        "train_loss" is J, and "val_loss" or "valid_loss" that of the validation; endings such as
        "_epoch" are dropped, and "_step" is passed over where there is the epoch's own value.

        >>> rows = [{"epoch": 0, "train_loss": 0.9}, {"epoch": 0, "val_loss": 0.8}]
        >>> History.from_lightning([*rows, {"epoch": 1, "train_loss": 0.5, "val_loss": ""}]).curves
        {'loss': [0.9, 0.5], 'val_loss': [0.8]}
        """
        rows = metrics.to_dict("records") if hasattr(metrics, "to_dict") else metrics
        if isinstance(metrics, (str, os.PathLike)):
            with open(metrics, newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
        values: dict[str, dict[int, list[float]]] = {}
        for row in rows:
            for name, value in row.items():
                if name not in ("epoch", "step") and value not in ("", None) and value == value:
                    by_epoch = values.setdefault(_lightning_name(name, row), {})
                    by_epoch.setdefault(int(float(row["epoch"])), []).append(float(value))
        curves = {
            name: [sum(each) / len(each) for _, each in sorted(by_epoch.items())]
            for name, by_epoch in values.items()
            if name
        }
        return _foreign(curves, "Lightning", {})

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


_SEEN = {"statistics": "_statistics", "facts": "_facts"}
"""What is made of ``kept`` when it is first read, and where it is then."""


def _seen_when_asked(name: str, place: str) -> property:
    def read(self: History) -> Any:
        if self.kept is not None and not self.__dict__[place]:
            self.__dict__[place] = getattr(self.kept, name)()
        return self.__dict__[place]

    def write(self: History, value: Any) -> None:
        self.__dict__[place] = value

    return property(read, write)


for _name, _place in _SEEN.items():
    setattr(History, _name, _seen_when_asked(_name, _place))


def _foreign(curves: dict[str, list[float]], source: str, asked: Mapping[str, Any]) -> History:
    """A history that another library recorded; of its settings the number of epochs is known."""
    J = curves.get("loss")
    if not J:
        raise ValueError(
            f"this history of {source} has no training loss; it has: "
            f"{', '.join(curves) or 'nothing'}."
        )
    epochs = int(asked.get("epochs") or len(J))
    stopped = "finished" if len(J) >= epochs else "callback"
    if not math.isfinite(J[-1]):
        stopped = "diverged"
    settings = {"epochs": epochs}
    return History(curves, stopped, f"as {source} ended it", len(J), source, "", settings)


def _lightning_name(name: str, row: Mapping[str, Any]) -> str:
    """The curve that a column belongs to; "" for a value of a step beside that of its epoch."""
    stem = name.removesuffix("_epoch")
    if name.endswith("_step"):
        stem = name.removesuffix("_step")
        if f"{stem}_epoch" in row:
            return ""
    if stem.startswith("valid_"):
        return "val_" + stem.removeprefix("valid_")
    return stem.removeprefix("train_")


def _points(values: Sequence[float], low: float, high: float) -> str:
    """A curve in a box of 400 x 100, its lowest point at the bottom; one point alone is a dot."""
    spread, last = high - low or 1.0, max(1, len(values) - 1)
    places = [
        f"{400 * k / last:.1f},{100 * (high - v) / spread:.1f}"
        for k, v in enumerate(values)
        if math.isfinite(v)
    ]
    return " ".join(places * 2 if len(places) == 1 else places)
