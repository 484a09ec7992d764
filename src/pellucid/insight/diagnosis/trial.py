"""Trying advice before it is given: trainings with the suggested settings, on the rows at hand."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pellucid.insight.diagnosis.evidence import Evidence, gather, of_data
from pellucid.insight.diagnosis.finding import Diagnosis, Finding, Tried
from pellucid.insight.diagnosis.recipe import OPERATIONS, Pair, Recipe, recipe_of
from pellucid.insight.diagnosis.rules import findings
from pellucid.insight.diagnosis.rules.rule import (
    DEAD,
    FLAT,
    THROUGH_TIME,
    mean_recall,
    noise,
    noise_of_recall,
)
from pellucid.insight.diagnosis.training_run import TrainingRun
from pellucid.training.facts.columns import take_rows

MOST, ALL_OPERATIONS = 24, 1.5e11
"""Trials of one diagnosis, and operations of all of them: some seconds."""
ROUNDS = 4
HELPS = 0.02
"""A better score by so much is a help."""
LESS, LOST = 0.8, 0.02
"""So much less loss is a help too, where the score loses no more than this."""
LUCK = 0.005
"""A worse one by so much may be chance."""
TINY, FEW_SEEDS, TINY_SEEDS = 16, (1,), (1, 2, 3, 4)
"""Where a training is cheap, it is done from so many other starts; of so few rows from more."""
ROWS = 3000
ENOUGH = 40
"""Rows from which on a part can be held out where there are no validation data."""
CLOSE = 0.01
"""So near to what the best learner reaches, nothing more is tried."""

SYMPTOMS = (
    "stopped_too_early", "learning_rate_too_low", "batch_too_large", "batch_too_small",
    "underfitting", "oscillation", *DEAD, *FLAT, *THROUGH_TIME,
)  # fmt: skip
"""Findings that say no more than that it could go better: not where nothing better was found."""
OF_THE_DATA = ("leak", "drift")
"""Their advice makes a score honest, not better: it is followed in every trial."""
DOUBTFUL = ("learning_rate_too_high", "class_imbalance")
"""Findings that are no warnings where nothing that was tried is better at all."""


@dataclass
class Outcome:
    """A trial: its score on the rows held out, their loss, and its own evidence."""

    fix: dict[str, Any]
    score: float
    loss: float
    evidence: Evidence | None = None

    def better(self, than: Outcome, by: float = LUCK) -> bool:
        """Whether it scores better by so much, or as well with a loss that is clearly less."""
        if self.score > than.score + by:
            return True
        return by == LUCK and self.score >= than.score - LOST and self.loss < LESS * than.loss


class Trials:
    """Trainings of one run: the same rows, the same measure, other settings."""

    def __init__(self, run: TrainingRun, e: Evidence, recipe: Recipe, weighted: bool) -> None:
        self.known, self.recipe, self.weighted = e, recipe, weighted
        assert run.data is not None
        X, Y = run.data
        rows = take_rows(X.shape[1], ROWS)
        self.held_out: Pair | None = run.validation
        steps, self.lengths = run.lengths[0], run.lengths
        if self.held_out is None and len(rows) >= ENOUGH:
            third = np.arange(len(rows)) % 3 == 0
            rows, others = rows[~third], rows[third]
            self.held_out = X[:, others], Y[..., others]
            self.lengths = None, None if steps is None else steps[others]
        self.learned: Pair = X[:, rows], Y[..., rows]
        if steps is not None:
            self.lengths = steps[rows], self.lengths[1]
        self.done: dict[str, Outcome] = {}
        self.spent = 0.0

    def outcome(self, fix: Mapping[str, Any]) -> Outcome:
        """Train with these settings changed, unless that was done already."""
        key = repr(sorted(fix.items(), key=str))
        if key not in self.done:
            room = len(self.done) < MOST and self.spent < ALL_OPERATIONS
            self.done[key] = self._carry_out(dict(fix)) if room else Outcome({}, -1.0, np.inf)
        return self.done[key]

    def _carry_out(self, fix: dict[str, Any]) -> Outcome:
        recipe = self.recipe.changed(fix)
        first = self._trained(fix, recipe)
        if first.evidence is None or recipe.work(self.learned) > OPERATIONS / 8:
            return first
        seeds = FEW_SEEDS if self.learned[0].shape[1] > TINY else TINY_SEEDS  # not by luck alone
        again = [
            self._trained(fix, replace(recipe, seed=recipe.seed + k, first=None)) for k in seeds
        ]
        all_of = [first, *again]
        score, loss = (
            float(np.mean([getattr(o, name) for o in all_of])) for name in ("score", "loss")
        )
        return replace(first, score=score, loss=loss)

    def _trained(self, fix: dict[str, Any], recipe: Recipe) -> Outcome:
        failed = Outcome(fix, -1.0, np.inf)
        self.spent += min(recipe.work(self.learned), OPERATIONS)
        try:
            like, steps = self.learned, self.lengths[0]
            learned = recipe.data(self.learned, like, steps)
            held_out = self.held_out and recipe.data(self.held_out, like, steps)
            network, history = recipe.carry_out(learned, held_out, self.lengths)
        except (ArithmeticError, LookupError, TypeError, ValueError):  # layers of one's own refuse
            return failed
        if history.stopped == "diverged":
            return failed
        run = TrainingRun(network, history, learned, held_out, recipe.loss, lengths=self.lengths)
        task = "regression" if recipe.target.task == "regression" else "classification"
        known = of_data(run, task, compare=False)
        for name in ("reference", "pooled", "without_best_column"):
            setattr(known, name, getattr(self.known, name))
        e = gather(run, task, known)
        if e.scores is None or e.answers is None:
            return failed
        return _outcome(fix, e, "train" if held_out is None else "validation", self.weighted)


def _outcome(fix: dict[str, Any], e: Evidence, on: str, weighted: bool) -> Outcome:
    """The score and the loss on "train" or "validation" rows."""
    assert e.scores is not None
    assert e.answers is not None
    score = e.scores.train if on == "train" else e.scores.compared
    if e.scores.recalls:  # of unequal classes accuracy says too little
        recall = mean_recall(e, on)
        score = recall if weighted else (score + recall) / 2
    loss = e.answers.J if e.answers.validation is None else e.answers.validation
    return Outcome(fix, max(score, -1.0), loss, e)


def with_tried_advice(run: TrainingRun, e: Evidence, found: list[Finding]) -> Diagnosis:
    """Return the findings with advice that helps on the rows at hand, and how much it does."""
    advised = [f for f in found if f.severity != "info" and f.fix]
    given = Diagnosis([f for f in advised if f.kind in OF_THE_DATA]).suggest()
    tested = [f for f in found if f.kind not in OF_THE_DATA]
    recipe = recipe_of(run, e) if run.data is not None else None
    if (
        recipe is None
        or e.scores is None
        or e.answers is None
        or not any(f in tested for f in advised)
    ):
        return Diagnosis(found)
    weighted = any(f.kind == "class_imbalance" for f in advised)
    trials = Trials(run, e, recipe.changed(given), weighted)
    before = trials.outcome({})
    own = _outcome({}, e, "train" if run.validation is None else "validation", weighted)
    if before.evidence is None or (own.score < before.score and not given):
        before = own  # a training anew may have had more luck
    best = before
    for _ in range(ROUNDS):
        if _good(trials, best):
            break
        further = _best_of(trials, best, tested if best is before else _next(best))
        if further is None:
            break
        best = further
    judged = _judged(trials, found, before, best)
    if judged.tried is not None and given:
        judged.tried = replace(judged.tried, settings={**given, **judged.tried.settings})
    return judged


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
    """The best next outcome, where it is better than what there is.

    What usually helps is tried where what the findings suggest is not enough.
    """
    best = sofar
    for fix in _suggested(found, trials.known.plain):
        outcome = trials.outcome({**sofar.fix, **fix})
        if outcome.better(best):
            best = outcome
    if not _good(trials, best):
        for fix in _usual(trials, best, found):
            outcome = trials.outcome({**best.fix, **fix})
            if outcome.better(best, by=HELPS):
                best = outcome
    return None if best is sofar else best


def _suggested(found: list[Finding], plain: bool) -> list[dict[str, Any]]:
    """What the findings suggest, together and one by one; against overfitting also in part.

    Where not all layers are ``plain``, their sizes stay.
    """
    serious = [f for f in found if f.severity != "info" and f.fix]
    together = [Diagnosis(list(serious)).suggest()] if serious else []
    singles = [dict(f.fix) for f in serious] if len(serious) > 1 else []
    if any(f.kind == "class_imbalance" for f in serious) and plain:
        singles.append({**together[0], "hidden_layer_sizes": [8]})
    if any(f.kind == "overfitting" for f in serious):
        widths = (16, 64) if plain else ()
        singles += [{"early_stopping": 20, "hidden_layer_sizes": [n]} for n in widths]
        singles.append({"early_stopping": 5})
    return together + singles


def _usual(trials: Trials, sofar: Outcome, found: list[Finding]) -> Iterator[dict[str, Any]]:
    """Other learning rates, more epochs, Adam and two layers of ReLU."""
    serious = [f for f in found if f.severity != "info"]
    settings = trials.recipe.changed(sofar.fix).settings
    rate, epochs = float(settings["learning_rate"]), int(settings["epochs"])
    if any(f.kind == "overfitting" for f in serious):
        yield {"early_stopping": 20, "learning_rate": float(f"{rate / 5:.2g}")}
        return
    first = Diagnosis(serious).suggest()
    for factor in (5, 0.2):
        yield {**first, "learning_rate": float(f"{rate * factor:.2g}")}
    yield {**first, "epochs": max(100, 5 * epochs)}
    adam = {"optimizer": "adam", "learning_rate": 0.005, "epochs": max(100, epochs),
            "batch_size": 32}  # fmt: skip
    yield {**first, **adam}
    if trials.known.plain:
        layers = {"activation": "relu", "initializer": "he_normal", "hidden_layer_sizes": [64, 64]}
        yield {**first, **layers, **adam}


def _judged(trials: Trials, found: list[Finding], before: Outcome, best: Outcome) -> Diagnosis:
    """The findings with what was tried; where no score is better, symptoms are no warnings."""
    sure = max(HELPS, noise_of_recall(trials.known) if trials.weighted else noise(trials.known))
    rows = trials.learned[0].shape[1]
    where = "the training rows" if trials.held_out is None else "held-out rows"
    tried = Tried(best.fix, before.score, best.score, rows, where) if best.fix else None
    if best.score > before.score + sure:
        return Diagnosis(found, tried=tried)
    doubtful = () if best.score > before.score + LUCK else DOUBTFUL
    judged = [_without_help(trials, f, before, (*SYMPTOMS, *doubtful)) for f in found]
    return Diagnosis(judged, tried=tried if best.loss < LESS * before.loss else None)


def _without_help(trials: Trials, f: Finding, before: Outcome, symptoms: Container[str]) -> Finding:
    """A finding whose advice makes no score better: of a symptom it is not a warning."""
    if f.severity != "warning" or not f.fix or f.kind in OF_THE_DATA:
        return f
    rows = trials.learned[0].shape[1]
    if "epochs" in f.fix and not trials.recipe.changed(f.fix).in_full(trials.learned[0]):
        return f  # there was no room for so many
    if f.kind in symptoms:
        note = f"Tried on {rows} rows, this does not help: {f.advice}"
        return replace(f, severity="info", advice=note, fix={})
    outcome = trials.outcome(f.fix)
    was_tried = bool(outcome.fix)  # there may have been no room for it
    if was_tried and outcome.score < before.score - LUCK:
        note = f"Tried on {rows} rows, this makes the score worse: {f.advice}"
        return replace(f, advice=note, fix={})
    return f
