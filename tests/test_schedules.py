"""Schedules: the learning rate's factor at each step, by formula."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid.schedules import (
    SCHEDULES,
    CosineLog,
    OneCycle,
    ReduceOnPlateau,
    Schedule,
    Step,
    WarmUp,
    schedule,
)

ENTRIES: list[Schedule] = [entry() for entry in SCHEDULES.values()]
ENTRIES += [WarmUp(epochs=2, then=Step(0.5, 3)), WarmUp(then="cosine")]


def factors(entry: Schedule, total: int = 40, steps_per_epoch: int = 4) -> np.ndarray:
    return entry.factor(np.arange(total), steps_per_epoch=steps_per_epoch, total=total)


@pytest.mark.parametrize("entry", ENTRIES, ids=repr)
def test_factors_are_shares_of_the_learning_rate(entry):
    found = factors(entry)
    assert found.shape == (40,)
    assert found.dtype == np.float64
    assert (found >= 0).all()
    assert (found <= 1 + 1e-12).all()


@pytest.mark.parametrize("entry", ENTRIES, ids=repr)
def test_a_factor_depends_on_its_own_step_alone(entry):
    whole = factors(entry)
    parts = [
        entry.factor(np.arange(k, k + 8), steps_per_epoch=4, total=40) for k in range(0, 40, 8)
    ]
    assert (np.concatenate(parts) == whole).all()


@pytest.mark.parametrize("entry", ENTRIES, ids=repr)
def test_one_step_in_all(entry):
    assert np.isfinite(factors(entry, total=1, steps_per_epoch=1)).all()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        # epochs of 2 steps, 8 steps in all
        ("constant", [1] * 8),
        ({"name": "step", "rate": 0.5, "every": 2}, [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5]),
        ({"name": "step", "rate": 0.1, "every": 1}, [1, 1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]),
        ({"name": "exponential", "rate": 0.25}, [0.5**t for t in range(8)]),
        ({"name": "inverse_scaling", "power": 1}, [1 / (1 + t) for t in range(8)]),
        ("cosine", [(1 + np.cos(np.pi * t / 8)) / 2 for t in range(8)]),
        ({"name": "cosine", "final": 1.0}, [1] * 8),
        (  # log2(1 + 7 t / 8) turns
            {"name": "cosine_log", "cycles": 3},
            [(1 - np.cos(2 * np.pi * np.log2(1 + 7 * t / 8))) / 2 for t in range(8)],
        ),
        ("reduce_on_plateau", [1] * 8),
        ({"name": "warm_up", "epochs": 2}, [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]),
        (
            {"name": "warm_up", "epochs": 1, "then": {"name": "inverse_scaling", "power": 1}},
            [0.5, 1, 1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6],
        ),
        (  # the cosine has the six steps that are left
            {"name": "warm_up", "epochs": 1, "then": "cosine"},
            [0.5, 1, *((1 + np.cos(np.pi * t / 6)) / 2 for t in range(6))],
        ),
    ],
)
def test_factors_by_hand(spec, expected):
    found = factors(schedule(spec), total=8, steps_per_epoch=2)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_cosine_ends_at_its_final_share():
    entry = schedule({"name": "cosine", "final": 0.1})
    last = entry.factor(np.array([0, 100]), steps_per_epoch=1, total=100)
    np.testing.assert_allclose(last, [1, 0.1])


def test_cosine_log_is_0_between_cycles_and_1_within_them():
    found = CosineLog(cycles=4).factor(np.arange(16), steps_per_epoch=1, total=15)
    ends = [0, 1, 3, 7, 15]
    np.testing.assert_allclose(found[ends], 0, atol=1e-12)
    found = CosineLog(cycles=3).factor(np.arange(701), steps_per_epoch=1, total=700)
    assert np.argmax(found[300:]) + 300 == round(100 * (2**2.5 - 1))  # half-way in the logarithm
    assert found.max() > 0.9999


def test_one_cycle_goes_up_then_down():
    found = OneCycle(share=0.25, start=10, end=100).factor(
        np.arange(101), steps_per_epoch=10, total=100
    )
    np.testing.assert_allclose(found[[0, 25, 100]], [0.1, 1, 0.01])
    assert (np.diff(found[:26]) > 0).all()
    assert (np.diff(found[25:]) < 0).all()
    assert found[12] < (found[0] + found[25]) / 2 < found[13]  # half a cosine


def test_reduce_on_plateau():
    entry, state = ReduceOnPlateau(rate=0.5, patience=2, min_delta=0.1), {}
    values = [1.0, 0.8, 0.75, 0.72, 0.6, 0.59, 0.58, 0.57, 0.56]
    # 0.75 and 0.72 are less than 0.1 below 0.8: a plateau; so are each two below 0.6.
    expected = [1, 1, 1, 0.5, 1, 1, 0.5, 1, 0.5]
    assert [entry.after_epoch(state, value) for value in values] == expected
    assert state == {"best": 0.6, "waited": 0}


def test_nan_counts_as_no_progress():
    entry, state = ReduceOnPlateau(rate=0.5, patience=1), {}
    assert [entry.after_epoch(state, value) for value in (1.0, float("nan"))] == [1, 0.5]


def test_warm_up_hands_the_losses_on():
    entry, state = WarmUp(then=ReduceOnPlateau(rate=0.5, patience=1)), {}
    assert [entry.after_epoch(state, value) for value in (1.0, 1.0)] == [1, 0.5]


@pytest.mark.parametrize("entry", [e for e in ENTRIES if "plateau" not in repr(e)], ids=repr)
def test_the_others_do_not_listen(entry):
    assert entry.after_epoch({}, 1.0) == 1


@pytest.mark.parametrize("entry", ENTRIES, ids=repr)
def test_every_entry_is_described(entry):
    assert entry.formula
    assert SCHEDULES[entry.name] is type(entry)
    again = schedule(entry.spec())
    assert (factors(again) == factors(entry)).all()
    assert again.spec() == entry.spec()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cosin", r"unknown schedule 'cosin' \(did you mean 'cosine'\?\)"),
        ({"name": "step", "rate": 0}, "schedule step: rate must be above 0 and at most 1"),
        ({"name": "step", "every": 0}, "step: every must be 1 or more epochs"),
        ({"name": "exponential", "rate": 1.5}, "exponential: rate must be above 0"),
        ({"name": "inverse_scaling", "power": -1}, "inverse_scaling: power must be 0 or more"),
        ({"name": "cosine", "final": 2}, "cosine: final must be between 0 and 1"),
        ({"name": "cosine_log", "cycles": 0}, "cosine_log: cycles must be 1 to 30"),
        ({"name": "one_cycle", "share": 1}, "one_cycle: share must be between 0 and 1"),
        ({"name": "one_cycle", "start": 0.5}, "one_cycle: start must be 1 or more"),
        ({"name": "one_cycle", "end": 0}, "one_cycle: end must be 1 or more"),
        ({"name": "reduce_on_plateau", "rate": 1}, "reduce_on_plateau: rate must be between"),
        ({"name": "reduce_on_plateau", "patience": 0}, "patience must be 1 or more epochs"),
        ({"name": "reduce_on_plateau", "min_delta": -1}, "min_delta must be 0 or more"),
        ({"name": "warm_up", "epochs": 0}, "warm_up: epochs must be above 0"),
        ({"name": "warm_up", "then": "cosin"}, "did you mean 'cosine'"),
        ({"name": "constant", "rate": 1}, "schedule 'constant' has no parameter 'rate'; it has"),
    ],
)
def test_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        schedule(spec)
