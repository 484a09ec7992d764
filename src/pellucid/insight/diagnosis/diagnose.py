"""diagnose: from a history, network, estimator or model folder to findings."""

from __future__ import annotations

from typing import Any

from pellucid.insight.diagnosis.evidence import gather
from pellucid.insight.diagnosis.finding import Diagnosis
from pellucid.insight.diagnosis.rules import findings
from pellucid.insight.diagnosis.subject import subject_of
from pellucid.losses import Loss
from pellucid.network import Network

TASKS = (None, "classification", "regression", "binary", "multiclass")


def diagnose(
    subject: Any,
    X: Any = None,
    Y: Any = None,
    *,
    loss: str | Loss | None = None,
    task: str | None = None,
    network: Network | None = None,
    validation_data: tuple[Any, Any] | None = None,
) -> Diagnosis:
    """Say what is wrong with a training, a network or its data, why, and what to change.

    The more is given, the more is seen: a network tells how it starts; a history how it learned,
    above all one that a :class:`~pellucid.insight.Watch` took part in; X and Y what the columns and
    the target are like, and, compared with simple learners, whether a symptom does any harm. What
    does none is "info". The same arguments give the same findings.

    Parameters
    ----------
    subject : History, Network, estimator or path
        What :func:`pellucid.train` returned, a network, a fitted MLPClassifier, MLPRegressor or
        tabular estimator, or the folder of a saved model.
    X, Y : array
        The training data: X (n[0], m) and Y (n[L], m) or (m,); for an estimator rows and labels, as
        its ``fit`` takes them.
    loss : str or Loss, optional
        What was minimised, where it is not known from the training.
    task : str, optional
        "classification" or "regression", where the targets leave a doubt.
    network : Network, optional
        The trained network, beside a history.
    validation_data : tuple, optional
        (Xv, Yv) that were not trained on; without them a third of the rows serves the comparison.

    Returns
    -------
    Diagnosis

    Raises
    ------
    TypeError, ValueError
        For something else, an empty history, data of other shapes.

    Examples
    --------
    >>> from pellucid import Dense, Network, diagnose
    >>> net = Network([Dense(4, "tanh"), Dense(1, "sigmoid")], 2, initializer="zeros", seed=0)
    >>> report = diagnose(net)
    >>> report.findings[0].name, report.suggest()
    ('zero initialisation', {'initializer': 'glorot_uniform'})
    """
    if task not in TASKS:
        known = ", ".join(map(repr, TASKS[1:]))
        raise ValueError(f"diagnose: task must be {known} or None; got {task!r}.")
    if (X is None) != (Y is None):
        given, lacking = ("X", "Y") if Y is None else ("Y", "X")
        raise ValueError(f"diagnose: {given} is given without {lacking}; pass both or neither.")
    data = None if X is None else (X, Y)
    found = gather(subject_of(subject, data, validation_data, loss, network), task)
    return Diagnosis(findings(found), found.looked_at)
