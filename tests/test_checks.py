"""What may be given, in one place: numbers, names, and all faults at once."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from pellucid import Dense, Network, train
from pellucid.checks import (
    CLASS_WEIGHT,
    SEED,
    TRAINING,
    TRUTH,
    check,
    each,
    either,
    faults_of,
    is_number,
    is_whole,
    number,
    one_of,
    optional,
    whole,
)
from pellucid.errors import SettingsError


@pytest.mark.parametrize("value", [1, np.int8(1), np.uint64(2**64 - 1), 10**400])
def test_whole_numbers(value: Any) -> None:
    assert is_whole(value, 1)


@pytest.mark.parametrize(
    "value", [1.0, "1", True, np.True_, None, np.array([1]), 1j, Fraction(1, 2)]
)
def test_what_is_no_whole_number(value: Any) -> None:
    assert not is_whole(value)


@pytest.mark.parametrize("value", [0, -0.5, np.float16(2), np.int64(3), Fraction(1, 3), 5e-324])
def test_numbers(value: Any) -> None:
    assert is_number(value)


@pytest.mark.parametrize("value", [True, np.False_, "1", None, math.nan, np.nan, 10**400, 1j])
def test_what_is_no_number(value: Any) -> None:
    assert not is_number(value)
    assert not is_number(value, infinite=True)


def test_infinity_is_a_number_where_it_is_asked_for() -> None:
    assert not is_number(-math.inf)
    assert is_number(np.float32(-np.inf), infinite=True)


@pytest.mark.parametrize(
    ("rule", "right", "wrong", "expected"),
    [
        (whole(1), [1, 10**30], [0, 1.5, True], "a whole number of 1 or more"),
        (whole(0, 9), [0, 9], [-1, 10], "a whole number from 0 to 9"),
        (SEED, [0, 2**64 - 1, np.uint64(2**64 - 1)], [-1, 2**64, 0.0], "0 to 2^64 - 1"),
        (number(at_least=0), [0, 1e300], [-1e-9, math.inf, math.nan], "a finite number of 0 or"),
        (number(at_least=0, infinite=True), [math.inf], [-1, math.nan], "a number of 0 or more"),
        (number(above=0), [5e-324], [0, -0.0, math.inf], "a positive number"),
        (number(above=2), [2.1], [2], "a number above 2"),
        (number(at_least=0, below=1), [0, 0.999], [1, -0.1], "at least 0 and below 1"),
        (number(above=0, below=1), [0.5], [0, 1], "above 0 and below 1"),
        (number(above=0, at_most=1), [1], [0, 1.1], "above 0 and at most 1"),
        (number(at_least=0.5, at_most=1), [0.5, 1], [0.4, 1.1], "a number from 0.5 to 1"),
        (number(), [-7], ["7", True], "a number"),
        (TRUTH, [True, np.False_], [0, "no", None], "True or False"),
        (one_of(["a", "b"]), ["a"], ["c", None, ["a"]], "one of 'a', 'b'"),
        (optional(whole(1)), [None, 1], [0, False], "a whole number of 1 or more, or None"),
        (either("auto", whole(1)), ["auto", 2], ["au", 0], "'auto' or a whole number"),
        (either(math.inf, whole(1)), [math.inf, 2], [-math.inf, "inf"], "inf or a whole"),
        (each(whole(1), "sizes"), [(1, 2), ()], [(0,), 1, [1]], "sizes"),
        (
            CLASS_WEIGHT,
            [None, "balanced", {}, {"a": 0, 1: 2.5}],
            ["equal", {"a": -1}, {"a": math.inf}, {"a": True}, [1]],
            "None, 'balanced' or a dict from class to a factor of 0 or more",
        ),
    ],
)
def test_each_check(rule: Any, right: list[Any], wrong: list[Any], expected: str) -> None:
    assert [rule(value) for value in right] == [""] * len(right)
    for value in wrong:
        assert rule(value).startswith(f"must be {rule.expected}; got ")
    assert expected in rule.expected


def test_a_name_is_proposed_after_what_came() -> None:
    assert one_of(["adam", "sgd"])("adm").endswith("; got 'adm' (did you mean 'adam'?).")


def test_a_message_stays_short_and_shows_numbers_as_python_does() -> None:
    assert whole(1)(np.float64(0.5)).endswith("got 0.5.")
    assert len(whole(1)(list(range(10_000)))) < 300


def test_all_faults_at_once_and_only_of_what_is_given() -> None:
    rules = {"a": whole(1), "b": TRUTH, "c": whole(1)}
    assert [name for name, _ in faults_of(rules, {"a": 0, "b": 1, "more": 2})] == ["a", "b"]
    with pytest.raises(SettingsError, match=r"^a must be .*; got 0\. b must be .*; got 1\.$"):
        check(rules, {"a": 0, "b": 1, "c": 1})
    check(rules, {"a": 1})


@pytest.mark.parametrize("option", TRAINING)
def test_every_checked_option_of_a_training_is_refused_by_name(option: str) -> None:
    net = Network([Dense(1, "identity")], 1, seed=0)
    X = np.zeros((1, 4))
    for value in (True, "1", -1):
        with pytest.raises(SettingsError, match=f"^{option} must be .*; got "):
            train(net, X, X, loss="mse", **{option: value})
