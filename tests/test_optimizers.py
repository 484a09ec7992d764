"""Optimizers: each against a plain loop from its formula, and each finding a minimum."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pellucid.optimizers import (
    LBFGS,
    OPTIMIZERS,
    Adam,
    AdamW,
    ClassicalMomentum,
    Momentum,
    Nesterov,
    RMSProp,
    optimizer,
)

PER_STEP = [entry() for entry in OPTIMIZERS.values() if entry is not LBFGS]
ALPHA = 0.1
GRADIENTS = (1.0, -0.5, 2.0)  # of three steps, whatever W has become


def run(entry, gradients=GRADIENTS, W=3.0, alpha=ALPHA, dtype=np.float64):
    """W after each step."""
    W = np.full((2, 3), W, dtype=dtype, order="F")
    state = {slot: np.zeros_like(W) for slot in entry.slots}
    path = []
    for t, gradient in enumerate(gradients, start=1):
        if entry.decay:  # what the engine does for AdamW
            W *= 1 - alpha * entry.decay
        entry.update(W, np.full_like(W, gradient), state, alpha=alpha, t=t)
        assert (W == W[0, 0]).all()
        path.append(float(W[0, 0]))
    return path


# The plain scalar loops: one small generator each, in the words of the formula.


def gradient_descent(W):
    for dW in GRADIENTS:
        W = W - ALPHA * dW
        yield W


def momentum(W, beta=0.9):
    v = 0.0
    for dW in GRADIENTS:
        v = beta * v + (1 - beta) * dW
        W = W - ALPHA * v
        yield W


def classical_momentum(W, beta=0.9):
    v = 0.0
    for dW in GRADIENTS:
        v = beta * v + dW
        W = W - ALPHA * v
        yield W


def nesterov(W, beta=0.9):
    v = 0.0
    for dW in GRADIENTS:
        v = beta * v + dW
        W = W - ALPHA * (beta * v + dW)
        yield W


def rmsprop(W, beta=0.9, epsilon=1e-8):
    s = 0.0
    for dW in GRADIENTS:
        s = beta * s + (1 - beta) * dW**2
        W = W - ALPHA * dW / (math.sqrt(s) + epsilon)
        yield W


def adam(W, beta1=0.9, beta2=0.999, epsilon=1e-8, decay=0.0):
    v = s = 0.0
    for t, dW in enumerate(GRADIENTS, start=1):
        W = W - ALPHA * decay * W
        v = beta1 * v + (1 - beta1) * dW
        s = beta2 * s + (1 - beta2) * dW**2
        alpha_t = ALPHA * math.sqrt(1 - beta2**t) / (1 - beta1**t)
        W = W - alpha_t * v / (math.sqrt(s) + epsilon)
        yield W


def adamw(W):
    return adam(W, decay=0.01)


BY_HAND = {
    loop.__name__: loop
    for loop in (gradient_descent, momentum, classical_momentum, nesterov, rmsprop, adam, adamw)
}


@pytest.mark.parametrize("name", BY_HAND)
def test_three_steps_by_hand(name):
    np.testing.assert_allclose(run(optimizer(name)), list(BY_HAND[name](3.0)), rtol=1e-12)


def test_every_optimizer_of_the_table_has_its_loop_above():
    assert {entry.name for entry in PER_STEP} == set(BY_HAND)


@pytest.mark.parametrize(
    ("entry", "loop"),
    [
        (Momentum(beta=0.5), momentum(3.0, 0.5)),
        (ClassicalMomentum(beta=0.5), classical_momentum(3.0, 0.5)),
        (Nesterov(beta=0.5), nesterov(3.0, 0.5)),
        (RMSProp(beta=0.5, epsilon=0.1), rmsprop(3.0, 0.5, 0.1)),
        (Adam(beta1=0.5, beta2=0.7, epsilon=0.1), adam(3.0, 0.5, 0.7, 0.1)),
        (AdamW(weight_decay=0.5), adam(3.0, decay=0.5)),
    ],
)
def test_three_steps_with_other_coefficients(entry, loop):
    np.testing.assert_allclose(run(entry), list(loop), rtol=1e-12)


def test_adam_is_the_bias_corrected_form_but_for_epsilon():
    v = s = 0.0
    W, found = 3.0, run(Adam(epsilon=1e-30))
    for t, dW in enumerate(GRADIENTS, start=1):
        v, s = 0.9 * v + 0.1 * dW, 0.999 * s + 0.001 * dW**2
        W -= ALPHA * (v / (1 - 0.9**t)) / math.sqrt(s / (1 - 0.999**t))
        assert found[t - 1] == pytest.approx(W, rel=1e-12)


@pytest.mark.parametrize("form", [ClassicalMomentum, Nesterov])
def test_alpha_inside_is_the_same_while_alpha_does_not_change(form):
    np.testing.assert_allclose(run(form(alpha_inside=True)), run(form()), rtol=1e-14)


def test_alpha_inside_keeps_the_learning_rate_of_its_time():
    W, v = np.array([0.0]), {"v": np.array([0.0])}
    for t, alpha in enumerate((0.1, 0.01), start=1):
        ClassicalMomentum(beta=0.5, alpha_inside=True).update(W, np.ones(1), v, alpha=alpha, t=t)
    # v = 0.1, then 0.5 * 0.1 + 0.01 = 0.06
    np.testing.assert_allclose(W, [-0.16])


def test_momentum_of_the_lecture_is_the_classical_form_with_another_alpha():
    # ERRATA, 001:522: alpha_classical = alpha (1 - beta)
    lecture = run(Momentum(beta=0.9), alpha=0.1)
    classical = run(ClassicalMomentum(beta=0.9), alpha=0.1 * (1 - 0.9))
    np.testing.assert_allclose(lecture, classical, rtol=1e-12)


def parabola(w):
    """(w_0 - 1)^2 + 4 (w_1 + 2)^2, with its gradient."""
    return (w[0] - 1) ** 2 + 4 * (w[1] + 2) ** 2, np.array([2 * (w[0] - 1), 8 * (w[1] + 2)])


def rosenbrock(w):
    x, y = w
    value = (1 - x) ** 2 + 100 * (y - x**2) ** 2
    return value, np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])


# learning rate for each function, and the number of steps
RATES = {
    "gradient_descent": (0.1, 1e-3),
    "momentum": (0.1, 5e-3),
    "classical_momentum": (0.01, 5e-4),
    "nesterov": (0.01, 5e-4),
    "rmsprop": (0.01, 1e-3),
    "adam": (0.05, 0.02),
    "adamw": (0.05, 0.02),
}


@pytest.mark.parametrize("entry", PER_STEP, ids=repr)
@pytest.mark.parametrize(
    ("function", "start", "minimum", "steps", "near"),
    [
        (parabola, [3.0, 3.0], [1.0, -2.0], 1500, 0.02),
        (rosenbrock, [-1.0, 1.0], [1.0, 1.0], 12000, 0.1),
    ],
    ids=["parabola", "rosenbrock"],
)
def test_minimum_is_found(entry, function, start, minimum, steps, near):
    alpha = RATES.get(entry.name, (0.01, 1e-3))[function is rosenbrock]
    w = np.array(start)
    state = {slot: np.zeros_like(w) for slot in entry.slots}
    for t in range(1, steps + 1):
        entry.update(w, function(w)[1], state, alpha=alpha, t=t)
    np.testing.assert_allclose(w, minimum, atol=near)


@pytest.mark.parametrize("entry", PER_STEP, ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_updates_are_in_place_and_keep_the_dtype(entry, dtype):
    W = np.ones((2, 3), dtype=dtype, order="F")
    dW = np.ones((2, 3), dtype=dtype)
    dW.flags.writeable = False
    state = {slot: np.zeros_like(W) for slot in entry.slots}
    arrays = dict(state)
    entry.update(W, dW, state, alpha=0.1, t=1)
    assert W.dtype == dtype
    assert (W < 1).all()
    assert all(state[slot] is array and array.dtype == dtype for slot, array in arrays.items())


@pytest.mark.parametrize("entry", [*PER_STEP, LBFGS()], ids=repr)
def test_every_entry_is_described(entry):
    assert entry.formula
    assert entry.default_learning_rate > 0
    assert OPTIMIZERS[entry.name] is type(entry)
    assert optimizer(entry.spec()) == entry


def test_only_adamw_decays():
    assert AdamW(weight_decay=0.3).decay == 0.3
    assert [entry.name for entry in PER_STEP if entry.decay] == ["adamw"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("adma", r"unknown optimizer 'adma' \(did you mean 'adam'\?\)"),
        ({"name": "momentum", "beta": 1.0}, "momentum: beta must be at least 0 and below 1; got 1"),
        ({"name": "nesterov", "beta": 1.5}, "nesterov: beta must be between 0 and 1"),
        ({"name": "classical_momentum", "beta": -1}, "classical_momentum: beta must be between"),
        ({"name": "rmsprop", "epsilon": 0}, "rmsprop: epsilon must be a positive number"),
        ({"name": "adam", "beta1": -0.1}, "adam: beta1 must be at least 0"),
        ({"name": "adam", "beta2": 1}, "adam: beta2 must be at least 0 and below 1"),
        ({"name": "adamw", "weight_decay": -1}, "adamw: weight_decay must be at least 0"),
        ({"name": "adam", "beta": 1}, r"no parameter 'beta' \(did you mean 'beta[12]'\?\)"),
        ({"name": "lbfgs", "tolerance": -1}, "lbfgs: tolerance must be at least 0"),
        ({"name": "lbfgs", "max_evaluations": 0}, "lbfgs: max_evaluations must be at least 1"),
    ],
)
def test_lookup_errors(spec, message):
    with pytest.raises(ValueError, match=message):
        optimizer(spec)


def test_sgd_is_an_alias():
    assert optimizer("sgd") == optimizer("gradient_descent")
