"""Learners' questions: train as they did, diagnose, do what is suggested, up to three times.

PELLUCID_DATA=path/to/data python benchmarks/diagnosis/questions.py [ID ...]

writes questions.json (only where no ID is named); report.py makes a section of RESULTS.md of it.
"""

from __future__ import annotations

import json
import math
import os
import sys
import warnings
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from public_questions import QUESTIONS, Asked, Question, Rows
from threadpoolctl import threadpool_limits

from pellucid import Dense, Network, diagnose, train
from pellucid.initializers import initializer as find_initializer
from pellucid.insight import Watch
from pellucid.insight.diagnosis.finding import Diagnosis
from pellucid.optimizers import optimizer as find_optimizer

ROUNDS = 3
LOWERED = 0.02
"""Advice lowered the score where it fell by more than this."""
HERE = Path(__file__).parent
_KNOWN = {each.name for each in fields(Asked)}


@dataclass
class Outcome:
    """What became of a training: a refusal, or a score and a diagnosis."""

    refused: str = ""
    score: float = float("nan")
    diagnosis: Diagnosis | None = None

    @property
    def kinds(self) -> list[str]:
        """The kinds of the warnings and errors."""
        found = self.diagnosis.findings if self.diagnosis else []
        return [finding.kind for finding in found if finding.severity != "info"]

    @property
    def fix(self) -> dict[str, Any]:
        """What is suggested."""
        return self.diagnosis.suggest() if self.diagnosis else {}


def parts(asked: Asked, data: Rows) -> tuple[Rows, Rows | None]:
    """Split the rows; spoil, select and scale them as the settings say."""
    X, y = np.asarray(data[0], float), np.asarray(data[1])
    order = np.arange(len(X))
    if asked.split not in ("last", "none"):
        order = np.random.default_rng(1).permutation(len(X))
    cut = len(X) if asked.split == "none" else round(len(X) * (1 - asked.held_out))
    both = (X[order[:cut]], y[order[:cut]]), (X[order[cut:]], y[order[cut:]])
    if asked.spoil:
        both = asked.spoil(*both)
    pairs = [(np.delete(Xp, asked.drop_columns, axis=1), yp) for Xp, yp in both]
    if asked.standardise:
        mean, std = _mean_and_spread(pairs[0][0])
        pairs = [((Xp - mean) / std, yp) for Xp, yp in pairs]
    if asked.standardise_target:
        mean, std = _mean_and_spread(pairs[0][1])
        pairs = [(Xp, (yp - mean) / std) for Xp, yp in pairs]
    if asked.labels:
        classes = np.unique(pairs[0][1])
        pairs = [(Xp, np.searchsorted(classes, yp)) for Xp, yp in pairs]
    return pairs[0], pairs[1] if cut < len(X) else None


def _mean_and_spread(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    std = values.std(axis=0)
    return values.mean(axis=0), np.where(std > 0, std, 1)


def build(asked: Asked, n_inputs: int) -> Network:
    """The network before training."""
    sizes, g = asked.hidden_layer_sizes, asked.activation
    each = [g] * len(sizes) if isinstance(g, str) else list(g)
    layers = [Dense(k, a, dropout=asked.dropout) for k, a in zip(sizes, each, strict=True)]
    layers.append(Dense(asked.outputs, asked.output))
    start = asked.initializer and find_initializer(asked.initializer)
    net = Network(layers, n_inputs, start, seed=asked.seed)
    if asked.bias:
        for l in range(1, net.L):
            net.b[l][...] = asked.bias
    if asked.start:
        asked.start(net)
    return net


def score(asked: Asked, net: Network, X: np.ndarray, y: np.ndarray) -> float:
    """Accuracy, mean accuracy of the classes, share of right labels, or R squared (-1 at least)."""
    A = net.forward(X.T)
    if asked.task == "regression":
        value = 1 - np.mean((A - y.T) ** 2) / np.var(y)
        return float(max(value, -1)) if np.isfinite(value) else -1.0
    if asked.task == "multilabel":
        return float(np.mean((A >= 0.5) == (y.T >= 0.5)))
    y = y.argmax(axis=1) if y.ndim == 2 else y
    low, high = y.min(), y.max()
    guess = A.argmax(axis=0) if len(A) > 1 else np.where(A[0] >= (low + high) / 2, high, low)
    if asked.balanced:
        return float(np.mean([np.mean(guess[y == c] == c) for c in np.unique(y)]))
    return float(np.mean(guess == y))


def carry_out(asked: Asked, data: Rows) -> Outcome:
    """Train and diagnose with everything given."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _trained(asked, data)
        except (ValueError, TypeError) as error:
            return Outcome(refused=f"{error}")


def _trained(asked: Asked, data: Rows) -> Outcome:
    """Where there is no validation part, it is scored on what it was trained on."""
    rows, held_out = parts(asked, data)
    net = build(asked, rows[0].shape[1])
    pair = rows[0].T, rows[1].T
    validation = None if held_out is None else (held_out[0].T, held_out[1].T)
    found = find_optimizer(asked.optimizer)
    history = train(
        net, *pair, loss=asked.loss, optimizer=found, learning_rate=asked.learning_rate,
        batch_size=asked.batch_size, epochs=asked.epochs, class_weight=asked.class_weight,
        early_stopping=asked.early_stopping, gradient_clip=asked.gradient_clip, l1=asked.l1,
        l2=asked.l2, schedule=asked.schedule, validation_data=validation, callbacks=Watch(),
        seed=asked.seed, n_threads=1,
    )  # fmt: skip
    seen = diagnose(history, *pair, network=net, validation_data=validation)
    return Outcome("", score(asked, net, *(held_out or rows)), seen)


def advised(asked: Asked, fix: dict[str, Any], y: np.ndarray) -> Asked:
    """The settings with all of a suggestion carried out; what it names beyond them is left out."""
    known = {name: value for name, value in fix.items() if name in _KNOWN}
    for name in ("hidden_layer_sizes", "drop_columns"):
        if name in known:
            known[name] = tuple(known[name])
    if asked.split == "none":  # there are no two parts
        known.pop("split", None)
    if "initializer" in fix or "bias" in fix:
        known["start"] = None
    new = replace(asked, **known)
    if not isinstance(new.activation, str) and len(new.activation) != len(new.hidden_layer_sizes):
        new = replace(new, activation=new.activation[0])
    if new.output == "softmax" and new.task == "multiclass" and new.outputs == 1:
        new = replace(new, outputs=len(np.unique(y)))
    return new


def ask(question: Question) -> dict[str, Any]:
    """Train as the learner did; follow the advice until the score is good."""
    asked, data = question.asked, question.data()
    first = outcome = carry_out(asked, data)
    rounds: list[dict[str, Any]] = []
    while outcome.fix and len(rounds) < ROUNDS and not (rounds and is_good(question, outcome)):
        before, fix = outcome, outcome.fix
        if all(name not in _KNOWN for name in fix):
            break
        asked = advised(asked, fix, data[1])
        outcome = carry_out(asked, data)
        lowered = bool(outcome.refused) or not outcome.score >= before.score - LOWERED
        rounds.append(
            {"fix": _short(fix), "unknown": sorted(set(fix) - _KNOWN), "score": _number(outcome),
             "refused": outcome.refused, "lowered": lowered, "found": outcome.kinds}
        )  # fmt: skip
    return {
        "id": question.id,
        "source": question.source,
        "accept": sorted(question.accept),
        "good": question.good,
        "refused": first.refused,
        "first": next(iter(first.kinds), ""),
        "named": named(question, first),
        "before": _number(first),
        "after": rounds[0]["score"] if rounds else _number(first),
        "cured": None if first.refused or question.good is None else _cured(question, rounds),
        "rounds": rounds,
    }


def is_good(question: Question, outcome: Outcome) -> bool:
    """Whether the score counts as cured; the advice is followed once in any case."""
    return question.good is not None and outcome.score >= question.good


def _cured(question: Question, rounds: list[dict[str, Any]]) -> bool:
    """Whether one round was enough."""
    after = rounds[0]["score"] if rounds else None
    return after is not None and after >= question.good


def named(question: Question, outcome: Outcome) -> bool:
    """Whether the first warning or error, or the refusal, says the accepted cause."""
    if outcome.refused:
        told = question.refusal and question.refusal in outcome.refused
        return bool("REFUSED" in question.accept or told)
    return bool(outcome.kinds) and outcome.kinds[0] in question.accept


def _number(outcome: Outcome) -> float | None:
    return round(outcome.score, 3) if math.isfinite(outcome.score) else None


def _short(fix: dict[str, Any]) -> dict[str, Any]:
    """The suggestion; of long lists of columns the number alone."""
    long = len(fix.get("drop_columns", ())) > 8
    return fix | {"drop_columns": f"{len(fix['drop_columns'])} columns"} if long else fix


def line(row: dict[str, Any]) -> str:
    """A question's result for the eye."""
    if row["refused"]:
        return f"{row['id']:15} {'named' if row['named'] else 'MISSED':7} {row['refused'][:75]}"
    after = ", ".join("refused" if r["refused"] else f"{r['score']}" for r in row["rounds"])
    lowered = sum(r["lowered"] for r in row["rounds"])
    cured = {None: "-", True: "cured", False: "not yet"}[row["cured"]]
    return (
        f"{row['id']:15} {'named' if row['named'] else 'MISSED':7} {row['first']:24} {cured:8} "
        f"{row['before']} -> {after} (good {row['good']})" + (" LOWERED" if lowered else "")
    )


def main() -> None:
    """Ask every question and write questions.json."""
    if "PELLUCID_DATA" not in os.environ:
        sys.exit("Set PELLUCID_DATA to the folder that holds mnist/ and titanic/titanic.csv.")
    threadpool_limits(1)
    chosen = set(sys.argv[1:])
    unknown = chosen - {question.id for question in QUESTIONS}
    if unknown:
        sys.exit(f"No question is called {', '.join(sorted(unknown))}; see public_questions.py.")
    rows = []
    for question in QUESTIONS:
        if not chosen or question.id in chosen:
            rows.append(ask(question))
            print(line(rows[-1]), flush=True)
    cures = [row["cured"] for row in rows if row["cured"] is not None]
    rounds = [each for row in rows for each in row["rounds"]]
    print(
        f"named first {sum(row['named'] for row in rows)} of {len(rows)}, cured in one round "
        f"{sum(cures)} of {len(cures)}, advice lowered the score "
        f"{sum(each['lowered'] for each in rounds)} times of {len(rounds)}"
    )
    if not chosen:
        lines = ",\n".join(json.dumps(row, separators=(",", ":"), default=str) for row in rows)
        (HERE / "questions.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
