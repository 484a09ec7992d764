"""What may be given: "a whole number of 1 or more", "one of these names"; all faults at once.

A check takes a value and returns what is wrong with it, "" where nothing is. A truth value is no
number, and NumPy's numbers are numbers::

    epochs must be a whole number of 1 or more; got True.

>>> check({"epochs": whole(1), "l2": number(at_least=0)}, {"epochs": True, "l2": -1.0})
Traceback (most recent call last):
pellucid.errors.SettingsError: epochs must be a whole number of 1 or more; got True. l2 must be a
finite number of 0 or more; got -1.0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from pellucid._catalogue import did_you_mean
from pellucid._shown import LONGEST_QUOTED, plain, short
from pellucid.errors import SettingsError

Fault = Callable[[Any], str]
"""Takes a value; returns what is wrong with it as the rest of a sentence, "" where nothing is."""


def is_number(value: object, *, infinite: bool = False) -> bool:
    """Return whether a value is a number that float64 holds, and no truth value.

    NaN is none; infinity is one where it is asked for.

    >>> is_number(2), is_number(np.float32(0.5)), is_number(True), is_number(math.inf)
    (True, True, False, False)
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        number = float(value)
    except OverflowError:  # an int of hundreds of digits
        return False
    return math.isfinite(number) or (infinite and not math.isnan(number))


def is_whole(value: object, low: float = -math.inf, high: float = math.inf) -> bool:
    """Return whether a value is a whole number from ``low`` to ``high``, and no truth value.

    >>> is_whole(np.int64(3), 1), is_whole(3.0), is_whole(True), is_whole("3")
    (True, False, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool) and low <= int(value) <= high


def is_truth(value: object) -> bool:
    """Return whether a value is True or False.

    >>> is_truth(np.True_), is_truth(1)
    (True, False)
    """
    return isinstance(value, (bool, np.bool_))


@dataclass(frozen=True)
class Check:
    """A check that can say what it expects: ``must be EXPECTED; got VALUE (did you mean ...?).``

    >>> Check("an even number", lambda value: value % 2 == 0)(3)
    'must be an even number; got 3.'
    """

    expected: str
    fits: Callable[[Any], bool]
    known: tuple[str, ...] = ()
    """Names, of which the nearest is proposed."""

    def __call__(self, value: Any) -> str:
        if self.fits(value):
            return ""
        got = short(repr(plain(value)), LONGEST_QUOTED)
        return f"must be {self.expected}; got {got}{did_you_mean(value, self.known)}."


def whole(low: int = 1, high: float = math.inf) -> Check:
    """Return the check for a whole number from ``low`` on.

    >>> whole(1, 512)(0.5)
    'must be a whole number from 1 to 512; got 0.5.'
    """
    bounds = f"of {low} or more" if math.isinf(high) else f"from {low} to {high}"
    return Check(f"a whole number {bounds}", lambda value: is_whole(value, low, high))


SEED = Check("a whole number of 0 to 2^64 - 1", lambda value: is_whole(value, 0, 2**64 - 1))
"""What a seed must be."""


def number(
    *,
    at_least: float = -math.inf,
    above: float = -math.inf,
    at_most: float = math.inf,
    below: float = math.inf,
    infinite: bool = False,
) -> Check:
    """Return the check for a number within bounds; infinity only where it is asked for.

    >>> number(above=0)(0), number(at_least=0, below=1)(1)
    ('must be a positive number; got 0.', 'must be at least 0 and below 1; got 1.')
    """

    def fits(value: Any) -> bool:
        if not is_number(value, infinite=infinite):
            return False
        return (
            at_least <= value <= at_most
            and (above < value or above == -math.inf)
            and (value < below or below == math.inf)
        )

    return Check(_bounds(at_least, above, at_most, below, infinite), fits)


def _bounds(at_least: float, above: float, at_most: float, below: float, infinite: bool) -> str:
    low = f"above {above:g}" if above > at_least else f"at least {at_least:g}"
    if math.isfinite(at_least) and math.isfinite(at_most):
        return f"a number from {at_least:g} to {at_most:g}"
    if below < math.inf or at_most < math.inf:
        return f"{low} and " + (f"below {below:g}" if below <= at_most else f"at most {at_most:g}")
    if above == 0:
        return "a positive number"
    if math.isfinite(at_least):
        return f"a {'' if infinite else 'finite '}number of {at_least:g} or more"
    return "a number" if low.endswith("-inf") else f"a number {low}"


TRUTH = Check("True or False", is_truth)
"""What a flag must be."""


def one_of(names: Iterable[str]) -> Check:
    """Return the check for one of some names.

    >>> one_of(["sgd", "adam"])("adm")
    "must be one of 'sgd', 'adam'; got 'adm' (did you mean 'adam'?)."
    """
    known = tuple(names)
    listed = ", ".join(map(repr, known))
    return Check(f"one of {listed}", lambda value: isinstance(value, str) and value in known, known)


def optional(check: Check) -> Check:
    """Return the check that takes None too.

    >>> optional(whole(1))(0)
    'must be a whole number of 1 or more, or None; got 0.'
    """
    return Check(
        f"{check.expected}, or None",
        lambda value: value is None or check.fits(value),
        check.known,
    )


def either(special: str | float, check: Check) -> Check:
    """Return the check that takes one value more.

    >>> either("auto", whole(1))("all")
    "must be 'auto' or a whole number of 1 or more; got 'all'."
    """
    return Check(
        f"{special!r} or {check.expected}",
        lambda value: (type(value) is type(special) and value == special) or check.fits(value),
        check.known,
    )


def each(check: Check, expected: str) -> Check:
    """Return the check for a tuple of values that all pass ``check``.

    >>> each(whole(1), "whole numbers of 1 or more")((4, 0))
    'must be whole numbers of 1 or more; got (4, 0).'
    """
    return Check(expected, lambda value: isinstance(value, tuple) and all(map(check.fits, value)))


def refused_by(take: Callable[[Any], Any], value: Any) -> str:
    """Return the message with which a function refuses a value, "" where it takes it.

    >>> refused_by(math.sqrt, 4), bool(refused_by(math.sqrt, -4))
    ('', True)
    """
    try:
        take(value)
    except (TypeError, ValueError) as error:
        return str(error) or type(error).__name__
    return ""


def known_to(find: Callable[[Any], Any]) -> Fault:
    """Return the check for what a catalogue finds: a name, or an object of it.

    >>> from pellucid.activations import activation
    >>> known_to(activation)("rleu")[:71]
    "must be a known name: unknown activation 'rleu' (did you mean 'relu'?)."
    """

    def fault(value: Any) -> str:
        message = refused_by(find, value)
        return message and f"must be a known name: {message}"

    return fault


FACTOR = number(at_least=0)
"""What a factor of a class must be."""

CLASS_WEIGHT = Check(
    "None, 'balanced' or a dict from class to a factor of 0 or more",
    lambda value: (
        value is None
        or (isinstance(value, str) and value == "balanced")
        or (isinstance(value, Mapping) and all(map(FACTOR.fits, value.values())))
    ),
)
"""What class_weight must be, whichever the classes are."""


TRAINING: dict[str, Check] = {
    "epochs": whole(1),
    "batch_size": optional(whole(1)),
    "learning_rate": optional(number(above=0)),
    "l1": number(at_least=0),
    "l2": number(at_least=0),
    "label_smoothing": number(at_least=0, below=1),
    "validation_fraction": number(at_least=0, below=1),
    "checkpoint_every": whole(1),
    "n_threads": optional(whole(1)),
}
"""What the options of a training must be, wherever they are given."""


def faults_of(checks: Mapping[str, Fault], given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (name, what is wrong) for each value that does not pass the check of its name.

    >>> faults_of({"seed": SEED}, {"seed": -1, "more": 0})
    [('seed', 'must be a whole number of 0 to 2^64 - 1; got -1.')]
    """
    found = ((name, check(given[name])) for name, check in checks.items() if name in given)
    return [(name, fault) for name, fault in found if fault]


def check(checks: Mapping[str, Fault], given: Mapping[str, Any]) -> None:
    """Raise one SettingsError, a ValueError, that names every value which cannot be."""
    faults = faults_of(checks, given)
    if faults:
        raise SettingsError(*faults)
