"""Rules about the steps: too long, too short, too few, too noisy."""

from __future__ import annotations

import math
from typing import Any

from pellucid.insight.diagnosis.evidence import Evidence
from pellucid.insight.diagnosis.rules.rule import (
    DEAD,
    FLAT,
    SHORT,
    THROUGH_TIME,
    Detection,
    Rule,
    by_heart,
    count,
    epochs_of,
    falling,
    first_J,
    hurts,
    longer,
    neglects,
    optimizer_of,
    percent,
    shortfall,
    step_sizes,
    still_to_come,
)

LONG_STEP = 0.2
"""One step that moves a layer by this share of its weights forgets what the steps before learned;
healthy ones move by 10^-4 to 10^-2 (Karpathy 2015, update to weight ratio 10^-3)."""
GOOD_STEP = 0.02
"""What a step of a healthy training moves a layer by, in the middle of its first epochs."""
LONG_MEMORY = 0.95
"""A momentum that still feels the gradients of more than twenty steps ago."""
WILD = 30.0
"""J of some epoch, relative to that of the first weights, that no good training passes through."""
THROWN = 5.0
"""Weights that the first epoch moved this many times their norm were thrown, not led."""
ROSE = 1.5
"""J of some epoch relative to that of the first weights."""
SHAKEN = 0.02
"""Ups and downs of J, relative to J, of steps that are too long."""
SHORT_STEP = 1e-3
UNUSUAL, ADAM = 2.0, 0.005
"""A learning rate beyond which Adam is advised instead, and its own."""
REACH = 2.0
"""The length of all steps together, relative to the weights: below it they cannot have got far."""
STILL_FALLING = 0.05
TO_COME = 0.1
"""J fell by this share in the last quarter of the epochs, of itself or of all that it ever fell:
the end was not in sight."""
ROUGH = 0.25
"""Ups and downs between epochs, relative to J itself, beyond which a curve oscillates."""
LARGE_BATCH = 0.25
"""Share of all examples in one step."""
KNOWN = 0.97
"""A score on the training data that more steps could hardly better."""
FEW_STEPS = 400
FEW_EPOCHS = 15
SMALL_BATCH, GOOD_BATCH = 4, 32


def _rates(e: Evidence) -> tuple[float, float, float]:
    """The learning rate; a step relative to the weights, the longest layer: first and typical."""
    sizes = [max(step_sizes(e, sample), default=0.0) for sample in _looks(e)] or [0.0]
    rate = float(e.settings.get("learning_rate", math.nan))
    return rate, sizes[0], sorted(sizes)[len(sizes) // 2]


def _looks(e: Evidence) -> list[dict[str, Any]]:
    """The statistics taken while training; where there are none, those of the end."""
    if e.samples or not e.layers or "Z_rms" not in e.layers[0]:
        return e.samples
    return [{"epoch": _epochs(e), "layers": e.layers}]


def _steps(e: Evidence) -> int:
    batch = max(int(e.settings.get("batch_size", 1)), 1)
    return -(-int(e.settings.get("examples", e.m)) // batch) * _epochs(e)


def _epochs(e: Evidence) -> int:
    return max(epochs_of(e), default=0)


def roughness(curve: list[float]) -> float:
    """The median step up or down of the second half, against the trend, relative to its height."""
    half = [v for v in curve[len(curve) // 2 :] if math.isfinite(v)]
    if len(half) < 4:
        return 0.0
    bends = [abs(a - 2 * b + c) / 2 for a, b, c in zip(half, half[1:], half[2:], strict=False)]
    return sorted(bends)[len(bends) // 2] / max(abs(sum(half) / len(half)), 1e-12)


def _ascends(e: Evidence) -> list[Detection]:
    if e.right_and_wrong is not None:
        right, wrong = e.right_and_wrong
        return [
            Detection(
                "error",
                f"loss {e.loss}",
                f"it is {right:.3g} for right answers and {wrong:.3g} for wrong ones: a likelihood "
                "or another score to maximise, but training minimises it",
                "Return its negative. Lecture 001 goes up a likelihood; going down its negative is "
                "the same.",
            )
        ]
    rates = [*e.curves.get("learning_rate", []), e.settings.get("learning_rate", 0.0)]
    J, lowest = [v for v in e.curves.get("loss", []) if math.isfinite(v)], min(rates)
    if lowest >= 0:
        return []
    gone = f"; J has gone from {first_J(e):.3g} to {J[-1]:.3g}" if J else ""
    return [
        Detection(
            "error",
            "every layer",
            f"the learning rate is {lowest:g}, so every step goes along dW instead of "
            f"against it{gone}",
            f"Use {-lowest:g}. Going up is right if a likelihood is maximised, as in lecture 001; "
            "J is a cost.",
            {"learning_rate": -lowest},
        )
    ]


def _too_high(e: Evidence) -> list[Detection]:
    blown = e.stopped == "diverged"
    if not e.settings or not _looks(e):
        return []
    J = [v for v in e.curves.get("loss", []) if math.isfinite(v)]
    wild = max(J, default=0.0) > WILD * first_J(e)
    if not (blown or wild or hurts(e, SHORT / 2)):
        return []
    rate, first, typical = _rates(e)
    signs = _signs(e, J, first, typical)
    if not signs:
        return []
    beta, better = _gentler(e, rate, first)
    name, parameters = optimizer_of(e)
    fix: dict[str, Any] = {"learning_rate": better}
    if beta is not None:
        fix["optimizer"] = {"name": name, **parameters, "beta": beta}
    return [
        Detection(
            "error" if blown else "warning",
            "every layer",
            f"with the learning rate {rate:g} a step changes a layer by "
            f"{percent(max(first, typical))} of its weights; " + "; ".join(signs),
            f"Use {'' if beta is None else f'beta = {beta:g} and '}learning rate = {better:g}.",
            fix,
        )
    ]


def _signs(e: Evidence, J: list[float], first: float, typical: float) -> list[str]:
    """What a learning rate too high has done."""
    rose = max(J, default=0.0) / first_J(e)
    moved = max((x["moved_since_start"] for s in e.samples[:2] for x in s["layers"]), default=0.0)
    signs = []
    if e.stopped == "diverged" and first > LONG_STEP / 4:
        signs.append(e.message.split(":")[0])
    if rose > ROSE and first > LONG_STEP / 4 and not J[-1] < first_J(e) / 2:
        signs.append(f"J rose to {rose:.3g} times its first value")
    if rose > WILD or moved > THROWN:
        signs.append(f"the first epoch moved the weights by {moved:.3g} times their norm")
    if typical > LONG_STEP and hurts(e) and (roughness(J) > SHAKEN or rose > 1.2):
        signs.append(f"J jumps by {percent(roughness(J))} from epoch to epoch")
    return signs


def _gentler(e: Evidence, rate: float, first: float) -> tuple[float | None, float]:
    """A momentum that forgets, where it does not; a learning rate whose first step is good."""
    beta, usual = float(optimizer_of(e)[1].get("beta", 0.0)), 0.9
    forgetful = beta <= LONG_MEMORY
    if not forgetful:
        first *= (1 - beta) / (1 - usual)
    share = GOOD_STEP / max(first, 1e-12)
    better = rate * min(0.1 if forgetful else 1.0, max(1e-4, share))
    return None if forgetful else usual, float(f"{better:.1g}")


def _diverged(e: Evidence) -> list[Detection]:
    J = e.curves.get("loss", [])
    if e.stopped != "diverged" and all(map(math.isfinite, J)):
        return []
    where, how = "", ""
    if e.samples:
        layers = e.samples[-1]["layers"]
        sizes = step_sizes(e, e.samples[-1])
        worst = sizes.index(max(sizes))
        where = f"layer {layers[worst]['layer']} first"
        how = f"; its step was {sizes[worst]:.3g} times its weights before"
    return [
        Detection(
            "error",
            where or "the whole network",
            (e.message.split(":")[0] or "J is no longer finite") + how,
            "Lower the learning rate, standardise inputs and targets, or clip the gradient.",
            {"learning_rate": e.settings.get("learning_rate", 0.01) / 10, "gradient_clip": 1.0},
        )
    ]


def _oscillates(e: Evidence) -> list[Detection]:
    rough = roughness(e.curves.get("loss", []))
    if rough < ROUGH:
        return []
    better = float(f"{e.settings.get('learning_rate', 0.01) / 10:.1g}")
    return [
        Detection(
            "warning" if hurts(e) else "info",
            "the second half of the epochs",
            f"from epoch to epoch J jumps by {percent(rough)} of itself",
            f"Use a smaller learning rate, such as {better:g}.",
            {"learning_rate": better},
        )
    ]


def _behind(e: Evidence) -> bool:
    """Whether more could be learned: also from the training data, and no validation loss turned."""
    short, val = shortfall(e, "train"), e.curves.get("val_loss", [])
    turned = bool(val) and min(val[-max(1, len(val) // 4) :]) > 1.05 * min(val)
    known = e.scores is not None and e.scores.train > KNOWN
    behind = short is None or short > 0 or neglects(e, "train") > 0 or not (known or by_heart(e))
    return behind and not turned and e.stopped != "diverged" and hurts(e, SHORT / 2)


def _falls(e: Evidence) -> bool:
    """Whether J was still falling at the end."""
    J, first = e.curves.get("loss", []), first_J(e)
    fell = 1 - J[-1] / first if first > 0 else 0.0
    return falling(J) > STILL_FALLING or (fell > 0.02 and still_to_come(J, first) > TO_COME)


def _ended_warming_up(e: Evidence) -> bool:
    """Whether the learning rate never came near what was asked for."""
    asked = float(e.settings.get("learning_rate", 0.0))
    return asked > 0 and max(e.curves.get("learning_rate", []), default=math.inf) < asked / 2


def _too_low(e: Evidence) -> list[Detection]:
    J = e.curves.get("loss", [])
    if not e.settings or not J or e.stopped == "diverged" or not hurts(e, SHORT / 2):
        return []
    if _ended_warming_up(e):
        return []
    rate, _, typical = _rates(e)
    few = _steps(e) < FEW_STEPS / 4  # of which ordinary ones lead nowhere either
    if typical == 0 or typical * _steps(e) > REACH or typical > SHORT_STEP / (10 if few else 1):
        return []
    better = float(f"{rate * min(1000.0, max(10.0, GOOD_STEP / typical)):.1g}")
    advice = f"Use a learning rate near {better:g}."
    fix: dict[str, Any] = {"learning_rate": better}
    if better > UNUSUAL:  # the gradients are small, not the rate
        advice = f"Use Adam, whose steps do not depend on the size of the gradient, with {ADAM:g}."
        fix = {"optimizer": "adam", "learning_rate": ADAM}
    return [
        Detection(
            "warning",
            "every layer",
            f"with the learning rate {rate:g} a step changes the weights by {typical:.1g} of their "
            f"size; after {_steps(e)} steps J has gone from {first_J(e):.3g} to {J[-1]:.3g}",
            advice,
            fix,
        )
    ]


def _large_batch(e: Evidence) -> list[Detection]:
    batch, m = e.settings.get("batch_size", 0), max(e.settings.get("examples", e.m), 1)
    epochs = _epochs(e)
    if batch < LARGE_BATCH * m or _steps(e) > FEW_STEPS or m < 64 or e.stopped == "converged":
        return []
    if epochs < FEW_EPOCHS or batch <= GOOD_BATCH or not _behind(e):
        return []
    if optimizer_of(e)[0] == "lbfgs":  # it wants all examples in a step
        return []
    return [
        Detection(
            "warning",
            "every epoch",
            f"a step uses {batch} of {m} examples, so {epochs} epochs were {_steps(e)} steps",
            f"Use mini-batches of {GOOD_BATCH}.",
            {"batch_size": GOOD_BATCH},
        )
    ]


def _small_batch(e: Evidence) -> list[Detection]:
    batch = e.settings.get("batch_size", 0)
    if not 0 < batch <= SMALL_BATCH or e.settings.get("examples", 0) < 16 * batch or not hurts(e):
        return []
    return [
        Detection(
            "warning",
            "every step",
            f"a step uses {count(batch, 'example')}, so its gradient is mostly noise",
            f"Use mini-batches of {GOOD_BATCH}, or a smaller learning rate.",
            {"batch_size": GOOD_BATCH},
        )
    ]


def _early(e: Evidence) -> list[Detection]:
    J = e.curves.get("loss", [])
    if not J or e.stopped in ("early_stopping", "converged") or not _behind(e):
        return []
    epochs = _epochs(e)
    if not (_falls(e) or _ended_warming_up(e)) and (
        _steps(e) > FEW_STEPS / 4 or epochs > FEW_EPOCHS
    ):
        return []
    fix = longer(e)
    still = f", and in the last quarter it still fell by {percent(falling(J))}"
    return [
        Detection(
            "warning",
            f"epoch {epochs}",
            f"after {count(epochs, 'epoch')}"
            f"{', ' + count(_steps(e), 'step') if e.settings else ''}, J is {J[-1]:.3g}"
            + (still if falling(J) > 0.005 else ""),
            f"Train for {fix['epochs']} epochs or more.",
            fix,
        )
    ]


_WEAK = ("stopped_too_early", "underfitting", "class_imbalance", "constant_answer",
         "no_better_than_constant", "nothing_to_learn")  # fmt: skip
TOO_HIGH = Rule(
    "learning_rate_too_high",
    "W := W - α dJ/dW: if α is too large, a step overshoots the minimum and J rises.",
    _too_high,
    ("divergence", "oscillation", "exploding_gradient", *DEAD, *FLAT, *THROUGH_TIME,
     "batch_too_small", "batch_too_large", "overfitting", *_WEAK),
)  # fmt: skip
DIVERGENCE = Rule(
    "divergence",
    "A step that overshoots makes the next gradient larger, and so on until a number is infinite.",
    _diverged,
    ("oscillation", *DEAD, *FLAT, "overfitting", "batch_too_small", *_WEAK),
)
ASCENT = Rule(
    "ascent",
    "W := W - α dJ/dW goes down only if α is above 0: dJ/dW points to where J grows.",
    _ascends,
    ("learning_rate_too_high", *TOO_HIGH.explains),
)
SMALL_BATCHES = Rule(
    "batch_too_small",
    "The cost of a mini-batch is a mean over B examples; over one or two it is noisy (lecture "
    "001).",
    _small_batch,
    ("oscillation", *DEAD, *FLAT, "overfitting", *_WEAK),
)
RULES = (
    Rule(
        "oscillation",
        "Steps that are too long go from one side of the valley to the other.",
        _oscillates,
        ("overfitting", *_WEAK),
    ),
    Rule(
        "learning_rate_too_low",
        "W := W - α dJ/dW: if α is very small, so is every step.",
        _too_low,
        ("batch_too_large", *_WEAK),
    ),
    Rule(
        "batch_too_large",
        "With the full batch an epoch is a single step; mini-batches make many (lecture 001).",
        _large_batch,
        _WEAK,
    ),
    Rule(
        "stopped_too_early",
        "Forward and backward propagation are repeated for many iterations (lecture 000).",
        _early,
        _WEAK[1:],
    ),
)
