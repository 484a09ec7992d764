"""diagnose: from a history, network, estimator or model folder to findings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pellucid.insight.diagnosis.evidence import PARAMETERS, gather, of_data
from pellucid.insight.diagnosis.finding import Diagnosis, Finding
from pellucid.insight.diagnosis.rules import findings
from pellucid.insight.diagnosis.training_run import training_run_of, with_kept_rows
from pellucid.insight.diagnosis.trial import with_tried_advice
from pellucid.losses import Loss
from pellucid.network import Network
from pellucid.tasks import OF_A_COLUMN

TASKS = (None, "classification", *OF_A_COLUMN)


def diagnose(
    subject: Any,
    X: Any = None,
    Y: Any = None,
    *,
    loss: str | Loss | None = None,
    task: str | None = None,
    network: Network | None = None,
    validation_data: tuple[Any, ...] | None = None,
    lengths: Any = None,
    try_advice: bool = True,
) -> Diagnosis:
    """Say what is wrong with a training, a network or its data, why, and what to change.

    The more is given, the more is seen: a network tells how it starts; a history how it learned,
    above all one that a :class:`~pellucid.insight.Watch` took part in; X and Y what the columns and
    the target are like, and, compared with simple learners, whether a symptom does any harm. What
    does none is "info". The same arguments give the same findings.

    Of an ensemble every network is looked at; what fewer than half of them show is "info", unless
    it is an error.

    Parameters
    ----------
    subject : History, Network, estimator or path
        What :func:`pellucid.train` returned, a network, a fitted MLPClassifier, MLPRegressor or
        tabular estimator, scikit-learn's own MLP, a pipeline or search that holds one of those, or
        the folder of a saved model. Histories of other libraries: ``History.from_keras``,
        ``from_lightning``, ``from_sklearn``.
    X, Y : array
        The training data: X (n[0], m) and Y (n[L], m) or (m,), or (steps, m) of class numbers where
        each step has an answer; for an estimator rows and labels, as its ``fit`` takes them.
    loss : str or Loss, optional
        What was minimised, where it is not known from the training.
    task : str, optional
        "classification" or "regression", where the targets leave a doubt.
    network : Network, optional
        The trained network, beside a history.
    validation_data : tuple, optional
        (Xv, Yv) that were not trained on, or (Xv, Yv, weights, lengths) as ``train`` takes them;
        without them a third of the rows serves the comparison.
    lengths : array of int, shape (m,), optional
        How many steps each sequence of X has.
    try_advice : bool
        Train with what is advised, some seconds at most, on the rows that are given or that the
        training has kept: what does not help there is not advised, and ``suggest()`` returns the
        settings that helped most. Layers of your own stay as they are but for their ``activation``
        and ``dropout``: "hidden_layer_sizes" are then the Dense layers after them. How much is
        tried with them depends on how long a step takes on this machine. In a network with filters
        or steps no sizes are changed.

    Returns
    -------
    Diagnosis

    Raises
    ------
    TypeError, ValueError
        For something else, such as a model that is no network, an empty history, data of other
        shapes.
    NotFittedError
        For an estimator, pipeline or search that is not fitted.

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
    steps_v = None
    if validation_data is not None:
        validation_data, steps_v = _pair_and_lengths(validation_data)
    for name, extra in (("validation_data", validation_data), ("lengths", lengths)):
        if extra is not None and X is None:
            raise ValueError(f"diagnose: {name} is given without X and Y; pass them too.")
    data = None if X is None else (X, Y)
    steps = lengths, steps_v
    run = with_kept_rows(training_run_of(subject, data, validation_data, loss, network, steps))
    data_alone = of_data(run, task)
    first = gather(run, task, data_alone)
    each = [findings(first)]
    for other, history in run.others:
        one = replace(run, network=other, history=history)
        each.append(findings(gather(one, task, data_alone)))
    looked_at = first.looked_at
    if run.others:
        looked_at[looked_at.index(PARAMETERS)] += f" of {len(each)} networks"
    found = _together(each)
    judged = Diagnosis(found)
    if try_advice and not run.others:
        judged = with_tried_advice(run, first, found)
    found = [replace(f, fix=run.renamed(f.fix)) for f in judged.findings]
    tried = judged.tried
    if tried is not None:
        tried = replace(tried, settings=run.renamed(tried.settings))
    return Diagnosis(found, looked_at, run.more(), tried)


def _pair_and_lengths(given: Any) -> tuple[tuple[Any, Any], Any]:
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 4):
        raise ValueError(
            "diagnose: validation_data must be a pair (Xv, Yv), or (Xv, Yv, weights, lengths); got "
            f"{type(given).__name__}."
        )
    return (given[0], given[1]), given[3] if len(given) == 4 else None


def _together(each: list[list[Finding]]) -> list[Finding]:
    """The findings of all networks of an ensemble, those of one kind by the first that shows it."""
    together = []
    for kind in dict.fromkeys(f.kind for those in each for f in those):
        by_network = [[f for f in those if f.kind == kind] for those in each]
        serious = [
            k for k, those in enumerate(by_network) if any(f.severity != "info" for f in those)
        ]
        error = any(f.severity == "error" for those in by_network for f in those)
        harms = bool(serious) and (error or 2 * len(serious) >= len(each))
        show = serious if harms else [k for k, those in enumerate(by_network) if those]
        same = all(those == by_network[0] for those in by_network)
        note = "" if same else f" (network {show[0] + 1}; {len(show)} of {len(each)} show it)"
        for f in by_network[show[0]]:
            severity = f.severity if harms else "info"
            together.append(replace(f, severity=severity, evidence=f.evidence + note))
    return together
