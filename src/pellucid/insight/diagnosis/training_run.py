"""Whatever a diagnosis is given, as one training run: a network, a history, X and Y."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from pellucid.engines import Examples
from pellucid.history import History
from pellucid.insight.diagnosis.unwrap import refusal, unwrapped
from pellucid.layers.shapes import held, valid_steps
from pellucid.losses import LOSSES, Loss
from pellucid.losses import loss as find_loss
from pellucid.network import Network
from pellucid.tasks import task_of
from pellucid.training import examples
from pellucid.training.facts import plain_targets
from pellucid.training.kept import Kept

MOST_NAMED = 2**20
"""Inputs that have names; the pixels of large images have numbers."""

Pair = tuple[Any, Any]
Settings = Mapping[str, Any]


@dataclass
class TrainingRun:
    """What is known of a training that is diagnosed; a network alone is one before its training.

    The network and the history, where there are any; X (n[0], m) and Y (n[L], m) or (m,).
    ``names`` and ``classes`` are those of the inputs and the class numbers; ``others`` holds the
    other networks of an ensemble with their histories; ``renamed`` brings suggested settings from
    the names that :func:`pellucid.train` has for them to those of the model.
    """

    network: Network | None = None
    history: History | None = None
    data: Pair | None = None
    validation: Pair | None = None
    loss: Loss | None = None
    names: tuple[str, ...] = ()
    classes: tuple[Any, ...] = ()
    others: tuple[tuple[Network, History | None], ...] = ()
    renamed: Callable[[Settings], dict[str, Any]] = dict
    weights: Pair = (None, None)
    """What each training and validation row counts, where that is known."""
    lengths: Pair = (None, None)
    """The steps of each training and validation row, of sequences that are padded."""
    at_steps: Kept | None = None
    """What was given in place of ``data`` where there is an answer at each step."""

    @property
    def kept(self) -> Any:
        """What the training has kept, where the data are of it."""
        kept = self.history.kept if self.history else None
        ours = kept is not None and self.data is not None and self.data[0] is kept.train.X
        return kept if ours else None

    @property
    def class_weight(self) -> Any:
        """What the rows of each class counted in the training, on average; None where all did 1."""
        if self.history is None:
            return None
        factors = self.history.settings.get("class_weight")
        if factors is None and self.history.kept is not None:
            factors = self.history.kept.class_means()
        return None if factors is None else np.asarray(factors, dtype=np.float64)

    @property
    def n_inputs(self) -> int:
        """n[0]; 0 without a network."""
        return 0 if self.network is None else self.network.n_inputs

    @property
    def has_validation(self) -> bool:
        """Whether validation data are given."""
        return self.validation is not None or bool(self.at_steps and self.at_steps.validation)

    def more(self) -> list[str]:
        """What was not given and would let the rules see more."""
        lacking = []
        if self.history is None:
            lacking.append("the history of the training")
        elif not self.history.statistics:
            lacking.append("the statistics of a training (statistics=True)")
        if self.network is None:
            lacking.append("the network (network=...)")
        if self.loss is None and self.history is not None and "loss" in self.history.settings:
            lacking.append("the loss (loss=...)")
        if self.data is None and self.at_steps is None:
            if not (self.history and self.history.facts):
                lacking.append("the training data")
        elif not self.has_validation and "val_loss" not in (self.history or History()).curves:
            lacking.append("data that it was not trained on (validation_data=...)")
        return lacking


def training_run_of(
    given: Any,
    data: Pair | None,
    validation: Pair | None,
    loss: str | Loss | None,
    network: Network | None,
    lengths: tuple[Any, Any] = (None, None),
) -> TrainingRun:
    """Return the run that a history, network, estimator, table model or folder stands for.

    ``lengths`` are those of the data and of the validation data, of histories and networks.
    """
    history = None
    if isinstance(given, type):
        raise refusal(given)
    inside = unwrapped(given)
    if inside.model is not given:
        if isinstance(inside.model, str):  # a step that passes everything through
            raise refusal(given)
        found = training_run_of(
            inside.model, inside.data(data), inside.data(validation), loss, network
        )
        names = inside.names if len(inside.names) == found.n_inputs else found.names
        return replace(found, names=names, renamed=lambda fix: inside.renamed(found.renamed(fix)))
    if isinstance(given, (str, os.PathLike)):
        given, history = _from_folder(given)
    if isinstance(given, History):
        _check_history(given)
        found = TrainingRun(network or (data and _of_steps(given)) or None, given)
    elif isinstance(given, Network):
        found = TrainingRun(given, history)
    elif hasattr(given, "network_") or hasattr(given, "_encode"):
        return _drop_in(given, data, validation, loss)
    elif hasattr(given, "model_") or hasattr(given, "preprocessing"):
        return _table_model(getattr(given, "model_", given), data, validation, loss)
    else:
        raise refusal(given)
    found.loss = _loss(loss, found.history, found.network)
    if data is not None and found.network is not None and len(found.network.output_shape) > 1:
        found.at_steps = _at_steps(found, data, validation, lengths)
        return found
    steps: list[Any] = []
    if data is not None:
        found.data, of_X = _checked(*data, found.network, "X, Y", lengths[0])
        steps.append(of_X)
    if validation is not None:
        found.validation, of_Xv = _checked(
            *validation, found.network, "validation_data", lengths[1]
        )
        steps.append(of_Xv)
    found.lengths = (*steps, None, None)[:2]
    return found


def with_kept_rows(found: TrainingRun) -> TrainingRun:
    """Return the run with the rows that its training has kept, where none are given.

    Those with an answer at each step stay with the training, whose facts tell of them.
    """
    kept = found.history.kept if found.history else None
    if kept is None or found.data is not None or found.at_steps is not None:
        return found
    found = replace(found, network=found.network or kept.network())
    if len(kept.output_shape) > 1:
        return found
    parts = [each for each in (kept.train, kept.validation) if each is not None]
    pairs = [(each.X, plain_targets(each.Y, kept.loss)) for each in parts]
    held_out = parts[1] if len(parts) > 1 else None
    return replace(
        found,
        data=pairs[0],
        validation=pairs[1] if held_out else found.validation,
        weights=(parts[0].weight, held_out and held_out.weight),
        lengths=(parts[0].lengths, held_out and held_out.lengths),
    )


def _of_steps(history: History) -> Network | None:
    """The network that a training has kept, where it has an answer at each step."""
    kept = history.kept
    return kept.network() if kept is not None and len(kept.output_shape) > 1 else None


def _at_steps(
    found: TrainingRun, data: Pair, validation: Pair | None, lengths: tuple[Any, Any]
) -> Kept:
    """Rows with an answer at each step, and the network's answers, as a training keeps them."""
    network, loss = found.network, found.loss
    assert network is not None
    if loss is None:
        raise ValueError("diagnose: the training's loss is not known; name it (loss=...).")

    def checked(name: str, pair: Pair, steps: Any) -> Examples:
        try:
            return examples(network, pair[0], pair[1], loss, lengths=steps)
        except ValueError as error:
            raise ValueError(f"diagnose: {name}: {error}") from None

    kept = Kept(network, checked("X, Y", data, lengths[0]), loss)
    kept.look(network, {"epoch": 1})
    kept.end(network, validation and checked("validation_data", validation, lengths[1]))
    return kept


def _from_folder(path: Any) -> tuple[Any, History | None]:
    """The model, and the history that was saved beside a network."""
    from pellucid.persistence import load, read_folder

    folder = read_folder(path)
    model = load(folder)
    if not isinstance(model, Network):
        return model, None
    try:
        return model, History.from_dict(folder.document("history"))
    except ValueError:
        return model, None


def _check_history(history: History) -> None:
    if not history.epochs and history.stopped != "diverged":
        raise ValueError(
            "the history is empty: no epoch was done, so there is nothing to diagnose. Train "
            "first, or pass the network: diagnose(network, X, Y, loss=...)."
        )


def _drop_in(
    estimator: Any, data: Pair | None, validation: Pair | None, loss: str | Loss | None
) -> TrainingRun:
    """An estimator around one network: X holds rows, Y the labels as fit takes them."""
    network = estimator.network_  # raises NotFittedError

    def columns(pair: Pair | None) -> Pair | None:
        if pair is None:
            return None
        X, Y = estimator._checked_rows(pair[0]), estimator._encode(pair[1])
        return _checked(X.T, np.asarray(Y, dtype=network.dtype), network, "X, y")[0]

    return TrainingRun(
        network,
        _whole(estimator),
        columns(data),
        columns(validation),
        estimator._loss() if loss is None else find_loss(loss),
        tuple(map(str, getattr(estimator, "feature_names_in_", ()))),
        tuple(np.asarray(getattr(estimator, "classes_", ())).tolist()),
        renamed=partial(_for_drop_in, estimator) if hasattr(estimator, "solver") else dict,
    )


def _for_drop_in(estimator: Any, fix: Settings) -> dict[str, Any]:
    """Settings by scikit-learn's names; a bias is no parameter there, initializers set it to 0."""
    names = {"learning_rate": "learning_rate_init", "epochs": "max_iter", "l2": "alpha"}
    renamed = {names.get(name, name): value for name, value in fix.items() if name != "bias"}
    if "bias" in fix:
        renamed.setdefault("initializer", "he_normal")
    if fix.get("schedule") == "constant" and estimator.learning_rate != "constant":
        renamed["learning_rate"] = "constant"
        del renamed["schedule"]
    if "early_stopping" in renamed:
        renamed |= {"early_stopping": True, "n_iter_no_change": fix["early_stopping"]}
    return renamed


def _whole(estimator: Any) -> History | None:
    """Its history; after warm starts or partial fits the curve of all of them, nothing else."""
    history: History | None = getattr(estimator, "history_", None)
    J = getattr(estimator, "loss_curve_", None)
    if J is None or history is None or history.stopped == "diverged" or len(J) == history.epochs:
        return history
    rate = history.curves.get("learning_rate", [history.settings.get("learning_rate", 0.0)])[-1]
    rates = [rate] * len(J)
    return replace(
        history, curves={"loss": J, "learning_rate": rates}, statistics=[], facts={}, kept=None
    )


def _table_model(
    model: Any, data: Pair | None, validation: Pair | None, loss: str | Loss | None
) -> TrainingRun:
    """A table's model; X holds the table's own rows."""
    from pellucid.tables.evaluate import as_learned

    histories = map(History.from_dict, model.histories)
    (network, history), *others = itertools.zip_longest(model.networks, histories)
    few = model.preprocessing.n_outputs <= MOST_NAMED

    def renamed(fix: Settings) -> dict[str, Any]:
        names = {"early_stopping": "patience", "drop_columns": "drop"}
        found = {names.get(name, name): value for name, value in fix.items()}
        if "drop" in found:
            columns_of = model.preprocessing.output_columns
            found["drop"] = list(dict.fromkeys(columns_of[j] for j in found["drop"]))
        return found

    def columns(pair: Pair | None) -> Pair | None:
        if pair is None:
            return None
        y = as_learned(model, pair[1], getattr(pair[0], "source", "y"))
        return _checked(model.inputs(pair[0]).T, y, network, "X, y")[0]

    return TrainingRun(
        network,
        history,
        columns(data),
        columns(validation),
        _loss(loss, history, network),
        tuple(model.preprocessing.output_names) if few else (),
        tuple(model.classes),
        tuple(others),
        renamed,
    )


def _loss(loss: str | Loss | None, history: History | None, network: Network | None) -> Loss | None:
    """The loss that is named, that of the training, or the one that suits the output.

    None for a custom one, of which a saved history has the name alone.
    """
    if loss is not None:
        return find_loss(loss)
    if history is not None and history.own_loss is not None:
        own: Loss = history.own_loss
        return own
    trained = (history.settings if history else {}).get("loss")
    if trained is not None:
        name = trained["name"] if isinstance(trained, dict) else trained
        return find_loss(trained) if name in LOSSES else None
    if network is None or network.layers[-1].activation is None:
        return None
    return find_loss(task_of(network.layers[-1].activation, network.n[-1]).loss)


def _checked(
    X: Any, Y: Any, network: Network | None, name: str, lengths: Any = None
) -> tuple[Pair, Any]:
    """X as (n[0], m) and Y as (n[L], m) or (m,) arrays; one clear message for other shapes.

    And the lengths, (m,) or None; steps that are not there become 0 in X.
    """
    X = network.checked_X(X) if network is not None else X
    X = np.asarray(X.toarray() if hasattr(X, "toarray") else X)
    Y = np.asarray(Y)
    if X.ndim != 2 or X.shape[1] == 0 or X.dtype.kind not in "biuf":
        raise ValueError(
            f"diagnose: X of {name} must be numbers of shape (n[0], m), a column an example; got "
            f"shape {X.shape}, dtype {X.dtype}."
        )
    outputs = 1 if network is None else network.n[-1]
    fits = Y.shape == (X.shape[1],) or (Y.ndim == 2 and Y.shape[1] == X.shape[1])
    if network is not None and Y.ndim == 2 and Y.shape[0] != outputs:
        fits = False
    if not fits or Y.dtype.kind not in "biuf":
        raise ValueError(
            f"diagnose: Y of {name} must be numbers of shape (n[L], m) = ({outputs}, "
            f"{X.shape[1]}) or ({X.shape[1]},); got shape {Y.shape}, dtype {Y.dtype}."
        )
    if lengths is not None:
        if network is None:
            raise ValueError("diagnose: lengths need the network that they are for (network=...).")
        lengths = network.checked_lengths(lengths, X.shape[1])
        X = held(X, valid_steps(lengths, network.input_shape))
    if not (np.isfinite(X).all() and np.isfinite(Y).all()):
        raise ValueError(
            f"diagnose: {name} hold NaN or infinity. Remove those examples or fill the values in."
        )
    return (X, Y), lengths
