"""Rules about the columns, the target and the parts of the data."""

from __future__ import annotations

import math

from pellucid.insight.diagnosis.evidence import Evidence
from pellucid.insight.diagnosis.rules.rule import (
    TRAINING,
    Detection,
    Rule,
    hurts,
    percent,
)

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
BEYOND = 500.0
"""A column without any spread in the validation rows seems so far away, however near it is: then
chance must not explain it. A category that few rows have may be missing among the others."""
REPEATED = 0.3
"""Share of validation rows that are training rows, beyond what is repeated within these."""
USUAL_PLACEHOLDERS = {sign * 1.0 * v for sign in (1, -1) for v in
                      (99, 200, 998, 999, 9999, 99999, 999999, 32767, 65535)}  # fmt: skip


def _names(e: Evidence, columns: list[int]) -> str:
    shown = ", ".join(e.column(j) for j in columns[:3])
    return shown + (f" and {len(columns) - 3} more" if len(columns) > 3 else "")


def _scales(e: Evidence) -> list[Detection]:
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
    others = f", those of {e.column(low)} near {sizes[low]:.3g}" if low != high else ""
    return [
        Detection(
            "warning",
            _names(e, sorted({low, high})),
            f"the values of {e.column(high)} are near {sizes[high]:.3g}{others}",
            f"Standardise: subtract each {e.columns.word or 'column'}'s mean and divide by its "
            "standard deviation.",
            {"standardise": True},
        )
    ]


def _target_scale(e: Evidence) -> list[Detection]:
    t = e.target
    if t is None or t.task != "regression" or t.spread == 0 or e.loss_targets != "real":
        return []
    if TARGET[0] < t.spread and t.scale < TARGET[1]:
        return []
    return [
        Detection(
            "warning",
            "the target",
            f"it lies between {t.low:.4g} and {t.high:.4g}, its standard deviation is "
            f"{t.spread:.3g}, while outputs start near 0 with a spread near 1",
            "Standardise the target, and scale the predictions back.",
            {"standardise_target": True},
        )
    ]


def _constants(e: Evidence) -> list[Detection]:
    found = [j for j, same in enumerate(e.columns.constant) if same] if e.columns else []
    if not found:
        return []
    return [
        Detection("info", _names(e, found), "the same value in every row",
             "Leave it out." if len(found) == 1 else "Leave them out.", _without(e, found))
    ]  # fmt: skip


def _without(e: Evidence, columns: list[int]) -> dict[str, list[int]]:
    """What leaves columns out; the channels of a picture are no columns of X."""
    return {} if e.columns is None or e.columns.word else {"drop_columns": columns}


def _duplicates(e: Evidence) -> list[Detection]:
    twins = [(j, k) for j, k in enumerate(e.columns.twin) if j != k] if e.columns else []
    if not twins:
        return []
    return [
        Detection(
            "info",
            _names(e, [j for j, _ in twins]),
            f"{e.column(twins[0][0])} is {e.column(twins[0][1])} in another unit of measurement",
            "Keep one of the two.",
            _without(e, [j for j, _ in twins]),
        )
    ]


def _ids(e: Evidence) -> list[Detection]:
    if e.columns is None or len(e.columns.lattice) < 2:
        return []
    found = [j for j, share in enumerate(e.columns.lattice) if share > LATTICE]
    if not found:
        return []
    return [
        Detection(
            "info",
            _names(e, found),
            "every row has a different value, evenly spaced, like a row number",
            "Leave it out: a number that no new row shares can only be memorised.",
            {"drop_columns": found},
        )
    ]


def leaks(e: Evidence) -> list[Detection]:
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
        evidence = (
            f"it alone explains {percent(most)} of the target, the next best {percent(second)}"
        )
        return [_leak(e, best, evidence)]
    rest = max((e.without_best_column - floor) / max(1 - floor, 1e-9), 0.0)
    wrong = max(1 - e.without_best_column, 0.0)
    noise = math.sqrt(wrong * (1 - wrong) / e.reference.rows) / max(1 - floor, 1e-9)
    if rest > 0.95 or 1 - rest < 3 * (1 - most) or most - rest < 3 * noise:
        return []
    evidence = (
        f"it alone explains {percent(most)} of the target, all others together {percent(rest)}"
    )
    return [_leak(e, best, evidence)]


def _copies_inputs(e: Evidence) -> bool:
    """An auto-encoder's target is what it is given."""
    return e.target is not None and e.target.is_input


def _leak(e: Evidence, column: int, evidence: str) -> Detection:
    return Detection(
        "warning",
        e.column(column),
        evidence,
        "Check when its value is known: if only after the target, leave it out.",
        {"drop_columns": [column]},
    )


def _ordinary(e: Evidence, but: int) -> int:
    """How many other columns vary and are no row numbers."""
    assert e.columns is not None
    those = zip(e.columns.constant, e.columns.lattice, strict=True)
    return sum(j != but and not c and k < LATTICE for j, (c, k) in enumerate(those))


def nothing(e: Evidence) -> list[Detection]:
    """No learner beats chance, and the network does not either."""
    r, s, t = e.pooled, e.scores, e.target
    if t is not None and t.values == 1:
        one = f"it has the value {t.low:g} in every row"
        return [Detection("warning", "the target", one, "Check which column is the target.")]
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
        Detection(
            "warning",
            "the target",
            "on held-out rows neither the network nor simple learners do better than chance: "
            f"{what} {reached:.2f}, chance is {chance:.2f}",
            "Check that each row still has its own label: X and Y must be sorted and joined "
            "together.",
        )
    ]


def _drifted(e: Evidence) -> list[Detection]:
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
        Detection(
            "warning",
            " and ".join(places),
            "the distributions in training and validation differ: Kolmogorov-Smirnov distance "
            f"{max([*drift, e.target.drift]):.2f}",
            "Split at random, or find out what changed between the two.",
            {"split": "random"},
        )
    ]


def _scaled_otherwise(e: Evidence) -> list[Detection]:
    """Most columns lie elsewhere, or are many times as wide: of one kind, brought to two scales."""
    assert e.columns is not None
    if e.target is None or e.target.drift > MOVED:  # other rows, not another scale
        return []
    varying = [j for j, same in enumerate(e.columns.constant) if not same]
    far = [j for j in varying if e.columns.moved and e.columns.moved[j] > ELSEWHERE]
    away = [j for j in far if e.columns.moved[j] < BEYOND or e.columns.drift[j] > 0]
    if len(away) < max(len(varying) / 2, 1):
        return []
    columns = f"{e.columns.word or 'column'}s"
    return [
        Detection(
            "warning",
            _names(e, away),
            f"in {len(away)} of {len(varying)} {columns} the validation values are more than "
            f"{ELSEWHERE:g} standard deviations away from the training values, or vary "
            f"{math.exp(ELSEWHERE):.0f} times as much: the two are scaled differently",
            "Fit the scaler on the training rows, and use the same one for validation, test and "
            "prediction.",
        )
    ]


def _repeated(e: Evidence) -> list[Detection]:
    if e.seen_again is None:
        return []
    again, repeated = e.seen_again
    if again < REPEATED or again < repeated + REPEATED:
        return []
    return [
        Detection(
            "warning",
            "the validation data",
            f"{percent(again)} of the validation rows are also in the training data",
            "Validate on rows that the network does not train on: split first, and only once.",
        )
    ]


def _placeholders(e: Evidence) -> list[Detection]:
    found = []
    for j, value, share in e.columns.placeholder if e.columns else ():
        usual = value in USUAL_PLACEHOLDERS
        harm = usual or e.reference is None or hurts(e)
        found.append(
            Detection(
                "warning" if harm else "info",
                e.column(j),
                f"{percent(share)} of the rows have the value {value:g}, far from all other values",
                "If it stands for a missing value, replace it by the column's median and add a "
                "column that marks those rows.",
            )
        )
    return found


_NOTHING = "If Y does not depend on X, the training examples can only be memorised."
UNLEARNABLE = Rule("nothing_to_learn", _NOTHING, lambda e: [] if e.plain else nothing(e), TRAINING)
"""Of pictures and sequences, where simple learners may learn nothing either: what holds the network
back comes first."""
RULES = (
    Rule(
        "placeholder_value",
        "A number such as -999 that stands for a missing value is used as a number.",
        _placeholders,
    ),
    Rule(
        "validation_repeats_training",
        "A score on rows that the network was trained on says nothing about new rows.",
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
        "What a network learns holds for data like its training data.",
        _drifted,
        ("nothing_to_learn", "leak", *TRAINING),
    ),
    Rule(
        "leak",
        "A network uses whatever column makes J smallest, even one that is unknown when it "
        "predicts.",
        leaks,
    ),
    Rule(
        "nothing_to_learn",
        _NOTHING,
        lambda e: nothing(e) if e.plain else [],
        (*TRAINING, "weights_too_small", "weights_too_large"),
    ),
    Rule(
        "id_column",
        "A row number says nothing about the row; with enough weights it is memorised.",
        _ids,
    ),
    Rule(
        "duplicated_column",
        "Two equal columns share one weight; they only cost time.",
        _duplicates,
    ),
    Rule(
        "constant_column",
        "A column that never changes does the same as b.",
        _constants,
    ),
)
