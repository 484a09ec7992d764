"""From a table to a model: what is learned from which rows, and the training of the networks."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid._shown import plain
from pellucid.callbacks import Callback
from pellucid.errors import DataError, InterruptedWarning, SettingsError
from pellucid.history import History
from pellucid.network import Network
from pellucid.tables.model import TableModel
from pellucid.tables.preprocess import Preprocessing
from pellucid.tables.recipe import build_network, train_options
from pellucid.tables.screen import screen
from pellucid.tables.settings import TrainSettings, check_settings_named
from pellucid.tables.split import check_learnable, folds, infer_task, validation_part
from pellucid.tables.table import Table
from pellucid.tables.values import text_of

Rows = NDArray[np.int64]

LEAST_ROWS = 4
"""To train a network and tell its best epoch."""
FOLDS, FEW_ROWS = 5, 2000
"""Below so many rows, so many networks unless asked otherwise."""
_NEXT_SEED = 0x9E3779B97F4A7C15
"""Between the seeds of an ensemble's networks, so that those of two seeds are not the same."""


@dataclass
class Plan:
    """A training that is ready to start; nothing is trained yet.

    Attributes
    ----------
    table : Table
        The columns that are used, and the target.
    settings : TrainSettings
    task, reason : str
        What is learned, and why that was chosen.
    columns : list of str
        All columns of the table given, those left out among them.
    classes : list
        What each class number stands for, sorted.
    left_out : dict of str to str
        The columns that are not used, and why.
    telling : list of str
        Those of them without which the target may be out of reach.
    warnings : list of str
    preprocessing : Preprocessing
        Fitted on the rows that a network trains on.
    members : list of (rows, rows)
        For each network the rows to train on and those that tell its best epoch.
    networks : list of Network
    Z : array of shape (m, n[0])
        The preprocessed rows; below them validation rows of one's own.
    t : array of shape (m,)
        The target as the networks learn it: class numbers, or (y - mean) / std.
    weights : array of shape (m,) or None
        What each row counts; None is 1 each.
    target_mean, target_std : float
    class_factors : array of shape (classes,) or None
        What a row of each class counts, where ``class_weight`` names factors.
    """

    table: Table
    settings: TrainSettings
    task: str
    reason: str
    columns: list[str]
    classes: list[Any]
    left_out: dict[str, str]
    telling: list[str]
    warnings: list[str]
    preprocessing: Preprocessing
    members: list[tuple[Rows, Rows]]
    networks: list[Network]
    Z: NDArray[np.float32]
    t: NDArray[Any]
    target_mean: float = 0.0
    target_std: float = 1.0
    class_factors: NDArray[np.float64] | None = None
    weights: NDArray[np.float64] | None = None

    @property
    def validation(self) -> str:
        """How the rows that decide the best epoch are cut: "random", "time", "group" or "own"."""
        if len(self.t) > self.table.m:
            return "own"
        return "random" if self.table.by is None else self.table.by.how

    def validate_on(
        self, Z: NDArray[np.float32], t: NDArray[Any], weights: NDArray[np.float64] | None = None
    ) -> None:
        """Let these rows, preprocessed, decide the best epoch of the one network."""
        own = self.table.m + np.arange(len(t))
        self.members = [(self.members[0][0], own)]
        if weights is not None or self.weights is not None:
            parts = ((self.weights, self.table.m), (weights, len(t)))
            self.weights = np.concatenate([np.ones(m) if w is None else w for w, m in parts])
        self.Z, self.t = np.concatenate([self.Z, Z]), np.append(self.t, t)

    def model(self, networks: list[Network], **told: Any) -> TableModel:
        """Return what answers with these networks; ``told`` is what else a TableModel holds."""
        return TableModel(
            self.preprocessing,
            networks,
            self.task,
            str(self.table.target),
            self.columns,
            self.classes,
            target_mean=self.target_mean,
            target_std=self.target_std,
            **told,
        )


def prepare(
    table: Table,
    settings: TrainSettings | None = None,
    *,
    leave_out: bool = True,
    own_validation: bool = False,
) -> Plan:
    """Infer the task, screen the columns, cut the rows, fit the preprocessing, build the networks.

    The preprocessing is fitted on the rows that train some network. Rows of weight 0 have no part
    in anything: it is as if they were not there, but that their class is known. ``leave_out`` is
    that of :func:`~pellucid.tables.screen.screen`. With ``own_validation`` one network trains on
    all rows; :meth:`Plan.validate_on` then takes those that tell its best epoch.

    Examples
    --------
    >>> from pellucid.tables import read_sample
    >>> plan = prepare(read_sample("iris"))
    >>> plan.reason
    "'target' holds 3 distinct texts: multi-class classification"
    >>> len(plan.networks), plan.networks[0].n
    (5, [4, 256, 256, 256, 3])
    """
    settings = settings or TrainSettings()
    check_learnable(table if table.weights is None else _counted(table), LEAST_ROWS)
    columns = list(table.columns)
    named = {name: getattr(settings, name) for name in ("categorical", "drop", "keep")}
    check_settings_named(named, columns)
    y = np.asarray(table.y)
    task, reason = infer_task(str(table.target), y, settings.task)
    screening = screen(table, task, settings, leave_out=leave_out)
    used = table.select([name for name in columns if name not in screening.left_out])
    classes, labels = _class_numbers(y, task)
    factors = _class_factors(settings.class_weight, classes, task)
    members = _members(table, labels, settings, own_validation)
    seen = np.unique(np.concatenate([training for training, _ in members]))
    categorical = [name for name in settings.categorical if name in used.columns]
    preprocessing = Preprocessing.fit(used.rows(seen), categorical=categorical)
    t, mean, std = (
        (labels, 0.0, 1.0) if labels is not None else _standardised(y, seen, table.weights)
    )
    return Plan(
        used,
        settings,
        task,
        reason,
        columns,
        classes,
        screening.left_out,
        screening.telling,
        [*screening.warnings, *preprocessing.notes],
        preprocessing,
        members,
        [
            build_network(
                preprocessing.n_outputs,
                task,
                len(classes),
                settings,
                seed=(settings.seed + k * _NEXT_SEED) % 2**64,
            )
            for k in range(len(members))
        ],
        preprocessing.transform(used.columns, used.source),
        t,
        mean,
        std,
        factors,
        table.weights,
    )


def fit(
    plan: Plan, callbacks: Callback | Iterable[Callback] = (), n_threads: int | None = None
) -> TableModel:
    """Train the networks of a plan, one after the other, and return the model.

    ``callbacks`` see each training. Ctrl-C ends the present one and the whole; what was learned is
    kept, and an InterruptedWarning says what is missing. A network that diverges is reported with a
    DivergenceWarning; it keeps its last good parameters, and is left out where it has none.

    Examples
    --------
    >>> from pellucid.tables import TrainSettings, read_sample
    >>> settings = TrainSettings(hidden_layer_sizes=(16,), epochs=20, ensemble=2)
    >>> fit(prepare(read_sample("diabetes"), settings)).predict(read_sample("diabetes")).shape
    (442,)
    """
    from pellucid.training import DivergenceWarning
    from pellucid.training.arguments import callbacks_of

    callbacks, of = callbacks_of(callbacks), len(plan.networks)
    trained: dict[int, History] = {}
    complaints: dict[str, type[Warning]] = {}
    k, history = 0, History()
    for k in range(of):
        history = _train(plan, k, callbacks, n_threads)
        if history.epochs:
            trained[k] = history
        if history.stopped == "diverged":
            which = "the network" if of == 1 else f"network {k + 1} of {of}"
            complaints[f"{which} {history.message}."] = DivergenceWarning
        if history.stopped == "interrupted":
            complaints[_interrupted(plan, k, history, len(trained))] = InterruptedWarning
            break
    if not trained and history.stopped == "diverged":
        raise SettingsError(_too_fast(plan, history))
    for complaint, category in complaints.items():
        warnings.warn(complaint, category, stacklevel=2)
    trained = trained or {k: history}  # stopped in the very first epoch
    settings, table = plan.settings.to_dict(), plan.table
    return plan.model(
        [plan.networks[k] for k in trained],
        settings=settings,
        histories=_histories(list(trained.values())),
        data={
            "source": table.source,
            "notes": table.notes,
            "rows": table.m,
            "parts": [[len(part) for part in plan.members[k]] for k in trained],
            "validation": plan.validation,
            "reason": plan.reason,
            "left_out": plan.left_out,
            "warnings": [*plan.warnings, *complaints],
        },
    )


def _histories(trained: list[History]) -> list[dict[str, Any]]:
    """What the model keeps of each training; what the data are like is looked at once."""
    first, *others = trained
    for history in others:
        if history.kept is not None and first.facts:
            history.facts = history.kept.facts(first.facts)
    return [history.to_dict() for history in trained]


def _train(plan: Plan, k: int, callbacks: list[Callback], n_threads: int | None) -> History:
    """Train one of the networks; a divergence stands in its history."""
    from pellucid.training import DivergenceWarning, train

    network, (training, validation) = plan.networks[k], plan.members[k]
    weight, validation_weight = _weights(plan, training, validation)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergenceWarning)
        return train(
            network,
            plan.Z[training].T,
            plan.t[training],
            sample_weight=weight,
            validation_data=(plan.Z[validation].T, plan.t[validation], validation_weight),
            callbacks=callbacks,
            n_threads=n_threads,
            **train_options(plan.task, len(training), plan.settings, _shares(plan)),
        )


def _interrupted(plan: Plan, k: int, history: History, trained: int) -> str:
    """What an interrupted training leaves, and what is missing."""
    of, epochs = len(plan.networks), f"{history.epochs} of {plan.settings.epochs} epochs"
    if not trained:
        return "interrupted in the first epoch: nothing was learned. Train again."
    if of == 1:
        return f"interrupted after {epochs}: what was learned until then is kept."
    found = f"{trained} of {of} networks {'is' if trained == 1 else 'are'} trained"
    last = f" (the last for {epochs})" if history.epochs else ""
    missing = {0: "", 1: "; the other is missing"}.get(
        of - trained, f"; the {of - trained} others are missing"
    )
    return f"interrupted: {found}{last}{missing}. Train again to get them all."


def _too_fast(plan: Plan, history: History) -> tuple[str, str]:
    """The fault of settings with which no network came through its first epoch."""
    found = "the training diverged in its first epoch: J or a parameter is no longer finite"
    if "lbfgs" in str(history.settings["optimizer"]):
        return "optimizer", f"lbfgs does not work here: {found}. Use another, or l2=0.001."
    rate = history.settings["learning_rate"]
    return "learning_rate", f"{rate:g} is too large: {found}. Use a smaller one."


def _counted(table: Table) -> Table:
    """The rows whose weight is not 0."""
    rows = table.rows(np.asarray(table.weights) > 0)
    return replace(rows, source=f"{table.source}, without the rows of weight 0,")


def _members(
    table: Table, labels: Rows | None, settings: TrainSettings, own_validation: bool
) -> list[tuple[Rows, Rows]]:
    """The rows that train each network and those that tell its best epoch, of those that count."""
    counted = np.arange(table.m)
    if table.weights is not None:
        counted = counted[table.weights > 0]
    if own_validation:
        return [(counted, counted[:0])]
    m, by, seed = len(counted), table.by, settings.seed
    labels = None if labels is None else labels[counted]
    by = None if by is None else by.rows(counted)
    k = settings.ensemble or (FOLDS if m < FEW_ROWS else 1)
    if k == 1:
        parts = [validation_part(m, labels, settings.validation_fraction, seed, by)]
    else:
        parts = folds(m, labels, k, seed, by)
    first = parts[0][0]
    if by is not None and labels is not None and (labels[first] == labels[first[0]]).all():
        raise DataError(
            f"{table.source}: by {by.name!r} all training rows are of one class: nothing to "
            "learn. Choose another column, or leave rows out."
        )
    return [(counted[training], counted[validation]) for training, validation in parts]


def _class_numbers(y: NDArray[Any], task: str) -> tuple[list[Any], NDArray[np.int64] | None]:
    """The classes and each row's number of its class; none for regression."""
    if task == "regression":
        return [], None
    classes, labels = np.unique(y, return_inverse=True)
    return classes.tolist(), labels.astype(np.int64)


def _standardised(
    y: NDArray[Any], seen: Rows, weights: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], float, float]:
    """(y - mean) / std, with the weighted mean and standard deviation of the rows seen."""
    y = y.astype(np.float64)
    weights = None if weights is None else _uneven(weights[seen])
    mean = float(np.average(y[seen], weights=weights))
    largest = float(np.abs(y[seen] - mean).max())
    if largest == 0:  # all the same: what differs is in the validation part
        return y - mean, mean, 1.0
    off = (y[seen] - mean) / largest  # squares neither over- nor underflow
    share = np.std(off) if weights is None else np.sqrt(np.average(off**2, weights=weights))
    std = largest * float(share)
    return (y - mean) / std, mean, std


def _class_factors(
    given: Mapping[Any, float] | str | None, classes: list[Any], task: str
) -> NDArray[np.float64] | None:
    """The factors that ``class_weight`` names, 1 for other classes; None where it names none.

    Labels are compared as texts, as a table holds them: 1 is "1", and blanks around do not count.
    """
    if given is not None and task == "regression":
        raise SettingsError(("class_weight", "is for classes; the task is regression."))
    if not isinstance(given, Mapping):
        return None
    factors = np.ones(len(classes))
    places = {_as_text(label): k for k, label in enumerate(classes)}
    places |= {label: k for k, label in enumerate(classes)}  # True is 1 too
    for label, factor in given.items():
        found = label if label in places else _as_text(label)
        if found not in places:
            known = ", ".join(map(repr, classes[:8]))
            name = plain(label)
            fault = f"names {name!r}, which is not a class of the target; its classes are {known}."
            raise SettingsError(("class_weight", fault))
        factors[places[found]] = factor
    if not factors.any():
        fault = f"is 0 for every class, so no row counts; got {dict(given)!r}."
        raise SettingsError(("class_weight", fault))
    return factors


def _as_text(label: Any) -> str:
    known = isinstance(label, (str, bool, np.bool_, Real))
    return str(text_of(label) if known else label).strip()


def _factors(plan: Plan, rows: Rows) -> NDArray[np.float64] | None:
    """What a row of each class counts in a training on these rows; None where all count 1."""
    if plan.settings.class_weight is None or plan.class_factors is not None:
        return plan.class_factors
    counts = _counts(plan, rows)  # "balanced"
    factors: NDArray[np.float64] = counts.sum() / (
        np.count_nonzero(counts) * np.where(counts > 0, counts, 1)
    )
    return factors


def _counts(plan: Plan, rows: Rows) -> NDArray[np.float64]:
    """What the rows of each class count together."""
    weights = None if plan.weights is None else _uneven(plan.weights[rows])
    counts = np.bincount(plan.t[rows], weights, minlength=len(plan.classes))
    return counts.astype(np.float64)


def _weights(plan: Plan, training: Rows, validation: Rows) -> Any:
    """What each row counts in training and in telling the best epoch; None where all do the same.

    That is its own weight times its class's.
    """
    factors = _factors(plan, training)
    found = []
    for rows in (training, validation):
        weights = np.ones(len(rows))
        if plan.weights is not None:  # their ratios count; float32 holds those of 1e38
            weights = plan.weights[rows] / (plan.weights[rows].max(initial=0.0) or 1.0)
        found.append(weights if factors is None else weights * factors[plan.t[rows]])
    return _uneven(found[0]), _uneven(found[1]) if found[1].any() else None


def _uneven(weights: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The weights; None where all are the same, and not 0."""
    return None if (weights == weights[:1]).all() and weights[:1].any() else weights


def _shares(plan: Plan) -> list[float]:
    """The share of each class in the rows, each counted with its weight; of numbers, none."""
    if not plan.classes:
        return []
    rows = np.arange(plan.table.m)
    counts, factors = _counts(plan, rows), _factors(plan, rows)
    counts *= 1.0 if factors is None else factors
    shares: list[float] = (counts / (counts.sum() or 1.0)).tolist()
    return shares
