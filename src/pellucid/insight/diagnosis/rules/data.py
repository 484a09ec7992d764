"""Rules about the columns, the target and the parts of the data."""

from __future__ import annotations

import math

from pellucid.insight.diagnosis.evidence import Evidence
from pellucid.insight.diagnosis.rules.rule import TRAINING, Rule, Seen, hurts, percent

SCALES = 20.0
"""Ratio of two columns' sizes, or of one to 1, that gradient descent cannot serve with one rate."""
TARGET = (0.03, 20.0)
"""Root mean square of a regression target that needs no scaling."""
LATTICE = 0.3
"""A counter takes all places; the rows of one part of a table that was cut, this share."""
ALL_OF_IT = 0.97
"""What a leaking column alone says of the target."""
COPY = 0.985
"""Squared correlation with the target, of values or ranks, of a column that is the target."""
ALONE, OTHERS = 0.99, 0.85
"""What a column and the next best one say alone, where the first is too good to be true."""
NOTHING = 3.0
"""Standard errors above chance, below which nothing was learned."""
VISIBLE = 0.2
"""Of so few rows that this much above chance may be luck, nothing can be said."""
MOVED = 0.25
"""Kolmogorov's distance of training and validation columns."""
ELSEWHERE = 3.0
"""Standard deviations between their means, or a logarithm of the ratio of their spreads."""
REPEATED = 0.3
"""Share of validation rows that are training rows, beyond what is repeated within these."""
USUAL_PLACEHOLDERS = {sign * 1.0 * v for sign in (1, -1) for v in
                      (99, 200, 998, 999, 9999, 99999, 999999, 32767, 65535)}  # fmt: skip


def _names(e: Evidence, columns: list[int]) -> str:
    shown = ", ".join(e.column(j) for j in columns[:3])
    return shown + (f" and {len(columns) - 3} more" if len(columns) > 3 else "")


def _scales(e: Evidence) -> list[Seen]:
    if e.columns is None:
        return []
    passed_over = zip(e.columns.constant, e.columns.rare, strict=True)
    sizes = {
        j: size
        for j, (size, no) in enumerate(zip(e.columns.scale, map(any, passed_over), strict=True))
        if size > 0 and not no
    }
    if not sizes:
        return []
    low, high = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
    ratio = max(sizes[high] / sizes[low], sizes[high], 1 / sizes[high])
    if ratio < SCALES:
        return []
    others = f", those of {e.column(low)} of size {sizes[low]:.3g}" if low != high else ""
    return [
        Seen(
            "warning",
            _names(e, sorted({low, high})),
            f"the values of {e.column(high)} are of size {sizes[high]:.3g}{others}",
            "Standardise: subtract each column's mean and divide by its standard deviation.",
            {"standardise": True},
        )
    ]


def _target_scale(e: Evidence) -> list[Seen]:
    t = e.target
    if t is None or t.task != "regression" or t.spread == 0 or e.loss_targets != "real":
        return []
    if TARGET[0] < t.spread and t.scale < TARGET[1]:
        return []
    return [
        Seen(
            "warning",
            "the target",
            f"it lies between {t.low:.4g} and {t.high:.4g}, its standard deviation is "
            f"{t.spread:.3g}, while outputs start near 0 with a spread near 1",
            "Standardise the target, and scale the predictions back.",
            {"standardise_target": True},
        )
    ]


def _constants(e: Evidence) -> list[Seen]:
    found = [j for j, same in enumerate(e.columns.constant) if same] if e.columns else []
    if not found:
        return []
    return [
        Seen("info", _names(e, found), f"{len(found)} have one value in every row",
             "Leave them out.", {"drop_columns": found})
    ]  # fmt: skip


def _duplicates(e: Evidence) -> list[Seen]:
    twins = [(j, k) for j, k in enumerate(e.columns.twin) if j != k] if e.columns else []
    if not twins:
        return []
    return [
        Seen(
            "info",
            _names(e, [j for j, _ in twins]),
            f"{e.column(twins[0][0])} is {e.column(twins[0][1])} in another unit",
            "Leave one of them out.",
            {"drop_columns": [j for j, _ in twins]},
        )
    ]


def _ids(e: Evidence) -> list[Seen]:
    if e.columns is None or len(e.columns.lattice) < 2:
        return []
    found = [j for j, share in enumerate(e.columns.lattice) if share > LATTICE]
    if not found:
        return []
    return [
        Seen(
            "info",
            _names(e, found),
            "every row has a value of its own, evenly spaced, as a row number has",
            "Leave it out: a number that no new row shares can only be learned by heart.",
            {"drop_columns": found},
        )
    ]


def leaks(e: Evidence) -> list[Seen]:
    """A column that is the target, or that says what no other columns say together."""
    columns = e.columns
    if columns is None or e.reference is None or len(columns.alone) < 2 or _copies_inputs(e):
        return []
    best = max(range(len(columns.alone)), key=lambda j: (columns.copy[j], columns.alone[j]))
    if columns.copy[best] > COPY:
        evidence = f"it is the target in another unit: correlation {columns.copy[best] ** 0.5:.4f}"
        return [_leak(e, best, evidence)]
    best = max(range(len(columns.alone)), key=lambda j: columns.alone[j])
    most, floor = columns.alone[best], e.reference.floor
    if most < ALL_OF_IT or e.without_best_column is None or _ordinary(e, best) < 2:
        return []
    second = sorted(columns.alone)[-2]
    if e.reference.rows > 40 and most > ALONE and second < OTHERS:
        evidence = f"it alone says {percent(most)} of the target, the next one {percent(second)}"
        return [_leak(e, best, evidence)]
    rest = max((e.without_best_column - floor) / max(1 - floor, 1e-9), 0.0)
    wrong = max(1 - e.without_best_column, 0.0)
    noise = math.sqrt(wrong * (1 - wrong) / e.reference.rows) / max(1 - floor, 1e-9)
    if rest > 0.95 or 1 - rest < 3 * (1 - most) or most - rest < 3 * noise:
        return []
    evidence = f"it alone says {percent(most)} of the target; all others together {percent(rest)}"
    return [_leak(e, best, evidence)]


def _copies_inputs(e: Evidence) -> bool:
    """An auto-encoder's target is what it is given."""
    return e.target is not None and e.target.is_input


def _leak(e: Evidence, column: int, evidence: str) -> Seen:
    return Seen(
        "warning",
        e.column(column),
        evidence,
        "Ask when it is known: if only after the target, leave it out.",
        {"drop_columns": [column]},
    )


def _ordinary(e: Evidence, but: int) -> int:
    """How many other columns vary and are no row numbers."""
    assert e.columns is not None
    those = zip(e.columns.constant, e.columns.lattice, strict=True)
    return sum(j != but and not c and k < LATTICE for j, (c, k) in enumerate(those))


def nothing(e: Evidence) -> list[Seen]:
    """No learner beats chance, and the network does not either."""
    r, s, t = e.pooled, e.scores, e.target
    if t is not None and t.values == 1:
        one = f"it is {t.low:g} in every row"
        return [Seen("warning", "the target", one, "Check which column is the target.")]
    if r is None or t is None:
        return []
    if t.task == "regression":
        chance, error = 0.0, 1 / math.sqrt(r.rows)
        reached = max(r.score, s.validation if s and s.validation is not None else -1.0)
    else:
        k = max(len(t.shares), 2)
        chance, error = 1 / k, 0.5 / math.sqrt(k * max(r.rarest, 1))
        found = [each for each in (s.recalls if s else []) if not math.isnan(each)]
        own = sum(found) / len(found) if found and s and s.validation is not None else 0.0
        reached = max(r.weighted, own)
    if reached > chance + NOTHING * error or NOTHING * error > VISIBLE:
        return []
    what = "R squared" if t.task == "regression" else "mean accuracy of the classes"
    return [
        Seen(
            "warning",
            "the target",
            f"on rows held out neither the network nor regression, a kernel machine or random "
            f"trees do better than chance: {what} {reached:.2f}, chance is {chance:.2f}",
            "Check that every row still has its own label: sort and join X and Y together.",
        )
    ]


def _drifted(e: Evidence) -> list[Seen]:
    if e.columns is None or e.target is None:
        return []
    otherwise = _scaled_otherwise(e)
    if otherwise:
        return otherwise
    drift = e.columns.drift
    moved = [j for j, distance in enumerate(drift) if distance > MOVED]
    if not moved and e.target.drift <= MOVED:
        return []
    moved.sort(key=lambda j: -drift[j])
    places = ([_names(e, moved)] if moved else []) + ["the target"] * (e.target.drift > MOVED)
    return [
        Seen(
            "warning",
            " and ".join(places),
            "training and validation differ there: the largest distance of their distributions is "
            f"{max([*drift, e.target.drift]):.2f} of 1",
            "Split at random, or find out what changed between the two.",
            {"split": "random"},
        )
    ]


def _scaled_otherwise(e: Evidence) -> list[Seen]:
    """Most columns lie elsewhere, or are many times as wide: of one kind, brought to two scales."""
    assert e.columns is not None
    varying = [j for j, same in enumerate(e.columns.constant) if not same]
    away = [j for j in varying if e.columns.moved and e.columns.moved[j] > ELSEWHERE]
    if len(away) < max(len(varying) / 2, 1):
        return []
    return [
        Seen(
            "warning",
            _names(e, away),
            f"in {len(away)} of {len(varying)} columns the validation values lie more than "
            f"{ELSEWHERE:g} standard deviations from the training's, or spread "
            f"{math.exp(ELSEWHERE):.0f} times as much: they are not scaled as those are",
            "Scale both with the mean and the standard deviation of the training rows, and what is "
            "predicted later too.",
        )
    ]


def _repeated(e: Evidence) -> list[Seen]:
    if e.seen_again is None:
        return []
    again, repeated = e.seen_again
    if again < REPEATED or again < repeated + REPEATED:
        return []
    return [
        Seen(
            "warning",
            "the validation data",
            f"{percent(again)} of the validation rows are training rows too; within the training "
            f"{percent(repeated)} are repeated",
            "Hold rows out that the network does not learn from: split first, and only once.",
        )
    ]


def _placeholders(e: Evidence) -> list[Seen]:
    found = []
    for j, value, share in e.columns.placeholder if e.columns else ():
        usual = value in USUAL_PLACEHOLDERS
        harm = usual or e.reference is None or hurts(e)
        found.append(
            Seen(
                "warning" if harm else "info",
                e.column(j),
                f"{percent(share)} of the rows have the value {value:g}, which lies further from "
                "all others than they lie from each other",
                "If it stands for a missing value, put the column's median in its place, and say "
                "in a column of its own where that was done.",
            )
        )
    return found


RULES = (
    Rule(
        "placeholder_value",
        "Numbers such as -999 that stand for a missing value are taken for what they say.",
        _placeholders,
    ),
    Rule(
        "validation_repeats_training",
        "A score on rows that were learned says nothing of new ones.",
        _repeated,
        ("leak",),
    ),
    Rule(
        "unscaled_inputs",
        "dW = dZ A_prev^T / m: a column of large values has large gradients, and no learning rate "
        "suits all columns.",
        _scales,
        ("weights_too_large", "weights_too_small", "nothing_to_learn", *TRAINING),
    ),
    Rule(
        "unscaled_target",
        "dA[L] = A - Y: a target of large values makes large errors, large gradients and large "
        "steps.",
        _target_scale,
        ("weights_too_small", *TRAINING),
    ),
    Rule(
        "drift",
        "What is learned holds for data like those it was learned from.",
        _drifted,
        ("nothing_to_learn", "leak", *TRAINING),
    ),
    Rule(
        "leak",
        "A network takes whatever column makes J smallest, also one that will not be known.",
        leaks,
    ),
    Rule(
        "nothing_to_learn",
        "Where Y does not depend on X, only the training examples can be learned, by heart.",
        nothing,
        (*TRAINING, "weights_too_small", "weights_too_large"),
    ),
    Rule(
        "id_column",
        "A row number says nothing of the row; with enough weights it is learned by heart.",
        _ids,
    ),
    Rule(
        "duplicated_column",
        "Two equal columns share one weight between them: nothing is lost but time.",
        _duplicates,
    ),
    Rule(
        "constant_column",
        "A column that never changes does what b does.",
        _constants,
    ),
)
