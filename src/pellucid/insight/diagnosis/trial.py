"""Trying advice before it is given: trainings with the suggested settings, on the rows at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pellucid.insight.diagnosis.evidence import Evidence, gather, of_data
from pellucid.insight.diagnosis.finding import Diagnosis, Finding, Tried
from pellucid.insight.diagnosis.recipe import Pair, Recipe, recipe_of
from pellucid.insight.diagnosis.rules import findings
from pellucid.insight.diagnosis.rules.rule import mean_recall
from pellucid.insight.diagnosis.subject import Subject
from pellucid.training.facts.columns import take_rows

MOST = 24
"""Trainings for one diagnosis."""
ROUNDS = 4
HELPS = 0.02
"""A better score by so much is a help."""
LUCK = 0.005
"""A worse one by so much may be chance."""
ROWS = 3000
ENOUGH = 40
"""Rows from which on a part can be held out where there are no validation data."""
CLOSE = 0.01
"""So near to what the best learner reaches, nothing more is tried."""

SYMPTOMS = (
    "stopped_too_early", "learning_rate_too_low", "batch_too_large", "batch_too_small",
    "underfitting", "oscillation", "dead_units", "saturated_units",
)  # fmt: skip
"""Findings that say no more than that it could go better: not where nothing better was found."""


@dataclass
class Outcome:
    """A trial: its score on the rows held out, their loss, and its own evidence."""

    fix: dict[str, Any]
    score: float
    loss: float
    evidence: Evidence | None = None

    def better(self, than: Outcome) -> bool:
        """Whether it scores better, or as well with a loss that is clearly less."""
        if self.score > than.score + LUCK:
            return True
        return self.score >= than.score - LUCK and self.loss < 0.8 * than.loss


class Trials:
    """Trainings of one subject: the same rows, the same measure, other settings."""

    def __init__(self, subject: Subject, e: Evidence, recipe: Recipe, weighted: bool) -> None:
        self.subject, self.known, self.recipe, self.weighted = subject, e, recipe, weighted
        assert subject.data is not None
        X, Y = subject.data
        rows = take_rows(X.shape[1], ROWS)
        self.learned: Pair = X[:, rows], Y[..., rows]
        self.held_out: Pair | None = subject.validation
        if self.held_out is None and len(rows) >= ENOUGH:
            third = np.arange(len(rows)) % 3 == 0
            X, Y = self.learned
            self.learned, self.held_out = (X[:, ~third], Y[..., ~third]), (X[:, third], Y[..., third])
        self.done: dict[str, Outcome] = {}

    def outcome(self, fix: Mapping[str, Any]) -> Outcome:
        """Train with these settings changed, unless that was done already."""
        key = repr(sorted(fix.items(), key=str))
        if key not in self.done:
            self.done[key] = self._carry_out(dict(fix))
        return self.done[key]

    def _carry_out(self, fix: dict[str, Any]) -> Outcome:
        failed = Outcome(fix, -1.0, np.inf)
        try:
            recipe = self.recipe.changed(fix)
            learned = recipe.data(self.learned, self.learned)
            held_out = self.held_out and recipe.data(self.held_out, self.learned)
            network, history = recipe.carry_out(learned, held_out)
        except (TypeError, ValueError):
            return failed
        if history.stopped == "diverged":
            return failed
        data = learned[0], learned[1]
        subject = Subject(network, history, data, held_out, recipe.loss)
        task = "regression" if recipe.target.task == "regression" else "classification"
        known = of_data(subject, task, compare=False)
        for name in ("reference", "pooled", "without_best_column"):
            setattr(known, name, getattr(self.known, name))
        e = gather(subject, task, known)
        if e.scores is None or e.answers is None:
            return failed
        part = "train" if held_out is None else "validation"
        score = e.scores.train if held_out is None else e.scores.compared
        if self.weighted:
            score = mean_recall(e, part)
        loss = e.answers.J if e.answers.validation is None else e.answers.validation
        return Outcome(fix, max(score, -1.0), loss, e)

    @property
    def left(self) -> int:
        """How many more may be done."""
        return MOST - len(self.done)


def with_tried_advice(subject: Subject, e: Evidence, found: list[Finding]) -> Diagnosis:
    """Return the findings with advice that helps on the rows at hand, and how much it does."""
    advised = [f for f in found if f.severity != "info" and f.fix]
    recipe = recipe_of(subject, e) if advised and subject.data is not None else None
    if recipe is None or e.scores is None or e.reference is None and len(e.curves) == 0:
        return Diagnosis(found)
    weighted = any(f.kind == "class_imbalance" for f in advised)
    trials = Trials(subject, e, recipe, weighted)
    before = trials.outcome({})
    best = before
    for _ in range(ROUNDS):
        if _good(trials, best):
            break
        further = _best_of(trials, best, found if best is before else _next(best))
        if further is None:
            break
        best = further
    return _judged(trials, found, before, best)


def _good(trials: Trials, outcome: Outcome) -> bool:
    r = trials.known.reference
    if r is None:
        return outcome.score > 1 - CLOSE
    reached = r.weighted if trials.weighted else r.score
    return bool(outcome.fix) and outcome.score > max(reached, 0.0) - CLOSE * max(reached, 0.1)


def _next(outcome: Outcome) -> list[Finding]:
    assert outcome.evidence is not None
    return findings(outcome.evidence)


def _best_of(trials: Trials, sofar: Outcome, found: list[Finding]) -> Outcome | None:
    """The best next outcome, where it is better than what there is."""
    best = sofar
    for fix in _candidates(trials, sofar, found):
        if trials.left <= 0:
            break
        outcome = trials.outcome({**sofar.fix, **fix})
        if outcome.better(best):
            best = outcome
    return None if best is sofar else best


def _candidates(
    trials: Trials, sofar: Outcome, found: list[Finding]
) -> Iterator[dict[str, Any]]:
    """What the findings suggest, together and one by one; then what usually helps."""
    suggested = Diagnosis(list(found)).suggest()
    singles = [dict(f.fix) for f in found if f.severity != "info" and f.fix]
    if suggested:
        yield suggested
    yield from singles if len(singles) > 1 else ()
    recipe = trials.recipe.changed(sofar.fix)
    rate, epochs = float(recipe.settings["learning_rate"]), int(recipe.settings["epochs"])
    if any(f.kind == "overfitting" and f.severity != "info" for f in found):
        yield {"early_stopping": 20, "hidden_layer_sizes": [16]}
        yield {"early_stopping": 20, "hidden_layer_sizes": [64]}
        yield {"early_stopping": 20, "learning_rate": float(f"{rate / 5:.2g}")}
        yield {"early_stopping": 5}
        return
    first = suggested if suggested else {}
    for factor in (5, 0.2):
        yield {**first, "learning_rate": float(f"{rate * factor:.2g}")}
    yield {**first, "epochs": max(100, 5 * epochs)}
    usual = {"activation": "relu", "initializer": "he_normal", "hidden_layer_sizes": [64, 64]}
    yield {**first, "optimizer": "adam", "learning_rate": 0.005, "epochs": max(100, epochs),
           "batch_size": 32}  # fmt: skip
    yield {**first, **usual, "optimizer": "adam", "learning_rate": 0.005,
           "epochs": max(100, epochs), "batch_size": 32}  # fmt: skip


def _judged(
    trials: Trials, found: list[Finding], before: Outcome, best: Outcome
) -> Diagnosis:
    """The findings, with the settings that helped, and without advice that does not."""
    helped = best.score > before.score + HELPS or (best is not before and best.better(before))
    rows = trials.learned[0].shape[1]
    if helped:
        where = "training rows" if trials.held_out is None else "rows held out"
        tried = Tried(best.fix, before.score, best.score, rows, where)
        return Diagnosis(found, tried=tried)
    judged = []
    for f in found:
        if f.severity == "info" or not f.fix or f.severity == "error":
            judged.append(f)
            continue
        outcome = trials.outcome(f.fix)
        worse = outcome.score < before.score - LUCK
        if f.kind in SYMPTOMS:
            note = f"Tried on {rows} rows, this does not help: {f.advice}"
            judged.append(replace(f, severity="info", advice=note, fix={}))
        elif worse:
            note = f"The usual advice makes the score worse on {rows} rows: {f.advice}"
            judged.append(replace(f, advice=note, fix={}))
        else:
            judged.append(f)
    return Diagnosis(judged)
