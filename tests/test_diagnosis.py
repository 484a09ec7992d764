"""Each rule fires where its fault is planted and stays silent where all is well."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from pellucid import Callback, Dense, History, MLPClassifier, Network, diagnose, train
from pellucid.activations import ACTIVATIONS, Tanh
from pellucid.insight import Diagnosis, Finding
from pellucid.insight.diagnosis.backward import wrong_gradients
from pellucid.insight.diagnosis.evidence import Evidence
from pellucid.insight.diagnosis.rules import KINDS, RULES
from pellucid.insight.diagnosis.rules.rule import THROUGH_TIME, step_sizes
from pellucid.insight.trace.presets import PRESETS
from pellucid.losses import LOSSES
from pellucid.losses import loss as find_loss
from pellucid.schedules import Schedule

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 400))
CURVED = (X[0] * X[1] > 0).astype(int)
NUMBERS = np.sin(X[0]) + X[1] * X[2]
XV = RNG.normal(size=(3, 200))
CURVED_V = (XV[0] * XV[1] > 0).astype(int)
NUMBERS_V = np.sin(XV[0]) + XV[1] * XV[2]


def run(
    layers: tuple[Any, ...] = ((24, "relu"),),
    output: str = "sigmoid",
    *,
    inputs: Any = X,
    Y: Any = None,
    validation: Any = None,
    initializer: Any = None,
    bias: float = 0.0,
    dropout: float = 0.0,
    loss: str | None = None,
    **settings: Any,
) -> Diagnosis:
    """Train on a small table whose rule is curved, and diagnose."""
    regression = output == "identity" or loss == "mse"
    Y = (NUMBERS if regression else CURVED) if Y is None else Y
    if validation is None and inputs is X:
        validation = XV, (NUMBERS_V if regression else CURVED_V)
    loss = loss or ("mse" if regression else "bce")
    hidden = [Dense(n, g, dropout=dropout) for n, g in layers]
    net = Network([*hidden, Dense(1, output)], len(inputs), initializer, seed=1)
    for l in range(1, net.L):
        net.b[l][...] = bias
    settings = {"learning_rate": 0.01, "epochs": 60, "n_threads": 1} | settings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        history = train(net, inputs, Y, loss=loss, validation_data=validation, **settings)
    return diagnose(history, inputs, Y, network=net, validation_data=validation)


def serious(report: Diagnosis) -> list[str]:
    """The kinds of severity warning or error, in order."""
    return [f.kind for f in report.findings if f.severity != "info"]


class WrongTanh(Tanh):
    name = "wrong tanh"

    def backward(self, dA: Any, Z: Any, A: Any) -> Any:
        return dA * (1 - A)


class Turned(Dense):
    """Its gradient goes back with the wrong sign."""

    def backward(self, dA: Any, cache: Any, **how: Any) -> Any:
        dA_prev, found = super().backward(dA, cache, **how)
        return (None if dA_prev is None else -dA_prev), found


class Upwards(Schedule):
    """W := W + alpha dW."""

    name, formula = "upwards", "-alpha"

    def factor(self, steps: Any, **how: Any) -> Any:
        return np.full(len(steps), -1.0)


def rows(column: Any) -> np.ndarray:
    return np.vstack([X, column])


SIGMOIDS = tuple((16, "sigmoid") for _ in range(8))
RELUS = tuple((24, "relu") for _ in range(7))
NOISE = RNG.integers(0, 2, 400)
NOISE_V = np.random.default_rng(6).integers(0, 2, 200)
MISLABELLED = (X[0, :60] > 0) ^ (np.random.default_rng(0).random(60) < 0.3)
RARE = (X[0] + 0.8 * RNG.normal(size=400) > 1.9).astype(int)
RARE_V = (XV[0] + 0.8 * np.random.default_rng(5).normal(size=200) > 1.9).astype(int)


class SetBack(Callback):
    """A callback that undoes every epoch, at its end or before the next."""

    def __init__(self, hook: str) -> None:
        setattr(self, hook, lambda run: run.network.put_parameters(self.start))

    def on_train_begin(self, run: Any) -> None:
        self.start = run.network.copy_parameters()


def gone(values: np.ndarray, rate: float) -> np.ndarray:
    """The values, some of them given as -999."""
    return np.where(np.random.default_rng(1).random(len(values)) < rate, -999.0, values)


PLANTED: dict[str, Callable[[], Diagnosis]] = {
    "zero_initialisation": lambda: run(initializer="zeros"),
    "constant_initialisation": lambda: run(initializer="constant"),
    "weights_too_large": lambda: run(
        ((24, "tanh"),), initializer=lambda shape: 30 * np.random.default_rng(0).normal(size=shape)
    ),
    "weights_too_small": lambda: run(
        ((24, "tanh"),) * 4, initializer={"name": "normal", "std": 0.005}, optimizer="momentum"
    ),
    "no_non_linearity": lambda: run(((24, "identity"),)),
    "vanishing_gradient": lambda: run(SIGMOIDS, optimizer="gradient_descent", learning_rate=0.1),
    "exploding_gradient": lambda: run(
        RELUS,
        initializer=lambda shape: (
            np.random.default_rng(0).normal(size=shape) * 3.5 * np.sqrt(2 / shape[1])
        ),
        optimizer="gradient_descent",
    ),
    "dead_units": lambda: run(bias=-20.0),
    "saturated_units": lambda: run(((24, "tanh"),), bias=20.0),
    "ascent": lambda: run(schedule=Upwards()),
    "learning_rate_too_high": lambda: run(learning_rate=3.0),
    "learning_rate_too_low": lambda: run(learning_rate=1e-6),
    "unscaled_inputs": lambda: run(inputs=X * np.array([[1], [1000], [0.01]]), validation=None),
    "constant_column": lambda: run(inputs=rows(np.full(400, 2.5))),
    "duplicated_column": lambda: run(inputs=rows(2.54 * X[1] + 3)),
    "id_column": lambda: run(inputs=rows(RNG.permutation(400) / 100 - 2)),
    "leak": lambda: run(inputs=rows(CURVED + 0.01 * RNG.normal(size=400))),
    "unscaled_target": lambda: run(output="identity", Y=1e4 * NUMBERS, validation=(XV, NUMBERS_V)),
    "wrong_output": lambda: run(output="relu", loss="mse"),
    "wrong_loss": lambda: run(Y=CURVED, loss="half_squared_error"),
    "labels_outside_range": lambda: diagnose(
        Network([Dense(1, "sigmoid")], 3, seed=0), X, 2 * CURVED - 1, loss="bce"
    ),
    "class_imbalance": lambda: run(
        Y=RARE, validation=(XV, RARE_V), epochs=20, layers=((8, "relu"),)
    ),
    "overfitting": lambda: run(
        ((128, "relu"), (128, "relu")),
        inputs=X[:, :60],
        Y=MISLABELLED,
        validation=(XV, XV[0] > 0),
        epochs=100,
    ),
    "underfitting": lambda: run(((1, "tanh"),), epochs=200),
    "stopped_too_early": lambda: run(epochs=2),
    "batch_too_large": lambda: run(batch_size=None, epochs=30, learning_rate=0.003),
    "nothing_to_learn": lambda: run(Y=NOISE, validation=(XV, RNG.integers(0, 2, 200))),
    "drift": lambda: run(validation=(XV + np.array([[2.0], [0], [0]]), CURVED_V)),
    "wrong_backward": lambda: run(((24, WrongTanh()),), epochs=3),
    "penalty_too_strong": lambda: run(l2=1.0),
    "dropout_too_strong": lambda: run(dropout=0.95),
    "placeholder_value": lambda: run(
        inputs=rows(gone(X[1], 0.1)), validation=(np.vstack([XV, gone(XV[1], 0.1)]), CURVED_V)
    ),
    "validation_repeats_training": lambda: run(validation=(X[:, :100], CURVED[:100])),
    "learning_rate_went_to_zero": lambda: run(
        schedule={"name": "exponential", "rate": 0.5}, epochs=60, learning_rate=0.003
    ),
    "weights_do_not_move": lambda: run(callbacks=SetBack("on_epoch_end")),
    "no_better_than_constant": lambda: run(
        ((8, "relu"),),
        inputs=X[:, :20],
        Y=NOISE[:20],
        validation=(XV[:, :30], NOISE_V[:30]),
        epochs=30,
    ),
}


ERRORS = (
    "ascent", "zero_initialisation", "constant_initialisation", "dead_units",
    "saturated_units", "labels_outside_range", "wrong_backward", "weights_do_not_move",
)  # fmt: skip
HARMLESS = ("constant_column", "duplicated_column", "id_column")
WHERE = {
    "constant_initialisation": "layer 1",
    "weights_too_large": "layer 1",
    "dead_units": "layer 1",
    "unscaled_inputs": "input 2, input 3",
    "constant_column": "input 4",
    "duplicated_column": "input 4",
    "id_column": "input 4",
    "leak": "input 4",
    "wrong_output": "layer 2",
    "class_imbalance": "class 1",
    "stopped_too_early": "epoch 2",
    "drift": "input 1",
    "wrong_backward": "layer 1",
}


@pytest.mark.parametrize("kind", PLANTED)
def test_planted_fault_is_named(kind: str) -> None:
    """First of all, how serious it is, and where."""
    report = PLANTED[kind]()
    first = report.findings[0]
    severity = "error" if kind in ERRORS else "info" if kind in HARMLESS else "warning"
    assert (first.kind, first.severity) == (kind, severity), report
    assert first.where == WHERE.get(kind, first.where)


def test_weights_that_are_set_back_before_each_epoch() -> None:
    report = run(callbacks=SetBack("on_epoch_begin"), epochs=20, learning_rate=0.003)
    assert report.findings[0].kind == "weights_do_not_move"
    assert report.findings[0].evidence.startswith("every epoch ends where the first did: J is ")


def test_validation_on_another_scale_is_not_to_be_split_again() -> None:
    raw = run(validation=(1000 * XV + 5000, CURVED_V))
    assert raw.findings[0].kind == "drift"
    assert "the two are scaled differently" in raw.findings[0].evidence
    assert raw.findings[0].fix == {}
    ordered = np.argsort(X[0])
    parts = ordered[:300], ordered[300:]
    later = run(
        inputs=X[:, parts[0]], Y=CURVED[parts[0]], validation=(X[:, parts[1]], CURVED[parts[1]])
    )
    assert [f.fix for f in later.findings if f.kind == "drift"] == [{"split": "random"}]


def test_some_bend_is_bend_enough() -> None:
    assert run(((8, "identity"), (24, "relu"))).ok


def test_a_few_dead_units_are_thrift() -> None:
    net = Network([Dense(24), Dense(1, "sigmoid")], 3, seed=0)
    net.b[1][:6] = -100
    dead = [f for f in diagnose(net, X, CURVED).findings if f.kind == "dead_units"]
    assert [(f.severity, f.suggest()) for f in dead] == [("info", {})]
    assert dead[0].evidence.startswith("6 of 24 units")


def test_constant_weights_of_one_layer() -> None:
    """The next layer tells its units apart, but slowly."""

    def one_constant(shape: tuple[int, int]) -> Any:
        return np.full(shape, 0.3) if shape[1] == 3 else np.random.default_rng(0).normal(size=shape)

    assert serious(run(((8, "tanh"),), initializer=one_constant, epochs=20))[0] == (
        "constant_initialisation"
    )


def test_learned_by_heart_without_a_validation_curve() -> None:
    """More epochs would make it worse; dead units are not what is wrong."""
    net = Network([Dense(200), Dense(200), Dense(1, "sigmoid")], 3, seed=1)
    history = train(net, X[:, :60], MISLABELLED, loss="bce", epochs=200, learning_rate=0.01)
    report = diagnose(history, X[:, :60], MISLABELLED, network=net, validation_data=(XV, XV[0] > 0))
    assert serious(report) == ["overfitting"]
    assert "on training data, 0." in report.findings[0].evidence


def test_units_that_died_are_not_what_is_wrong_with_learning_by_heart() -> None:
    report = run(
        ((400, "relu"), (400, "relu")), inputs=X[:, :60], Y=MISLABELLED,
        validation=(XV, XV[0] > 0), epochs=100,
    )  # fmt: skip
    assert serious(report) == ["overfitting"]
    dead = next(f for f in report.findings if f.where == "layer 2")
    assert int(dead.evidence.split(" of 400 units are 0")[0]) > 200


@pytest.mark.parametrize(("patience", "named"), [(None, True), (60, False)])
def test_the_best_epoch_that_is_kept_does_not_overfit(patience: int | None, named: bool) -> None:
    report = run(
        ((64, "relu"),), inputs=X[:, :60], Y=MISLABELLED, validation=(XV, XV[0] > 0), epochs=100,
        early_stopping=patience,
    )  # fmt: skip
    assert ("overfitting" in [f.kind for f in report.findings]) is named


def test_how_long_a_step_is() -> None:
    """alpha |dW| / (1 - beta) of W, or alpha sqrt(size) of W, by the rate of the epoch."""
    layer = {"units": 4, "fan_in": 9, "W_norm": 2.0, "dW_norm": 0.5, "rate_factor": 3.0}
    e = Evidence(curves={"learning_rate": [0.1, 0.4, 0.2, 0.8]}, settings={"optimizer": "adam"})
    first, third = ({"epoch": k, "layers": [layer]} for k in (0, 3))
    assert step_sizes(e, first) == pytest.approx([0.4 * 3 * 6 / 2])
    assert step_sizes(e, third) == pytest.approx([0.2 * 3 * 6 / 2])
    e.settings = {"optimizer": {"name": "classical_momentum", "beta": 0.75}}
    assert step_sizes(e, third) == pytest.approx([0.2 * 3 * 0.5 / 0.25 / 2])
    e.settings = {"optimizer": "gradient_descent"}
    assert step_sizes(e, third) == pytest.approx([0.2 * 3 * 0.5 / 2])
    assert step_sizes(e, {"epoch": 3, "layers": [layer | {"W_norm": 0.0}]}) == pytest.approx([0.3])


def test_a_curve_that_goes_up_and_down() -> None:
    J = [0.3, 0.7] * 20
    report = diagnose(History(curves={"loss": J}, stopped="finished"))
    assert serious(report) == ["oscillation"]
    assert report.findings[0].evidence == "from epoch to epoch J jumps by 80 % of itself"
    assert "oscillation" not in [
        f.kind for f in diagnose(History(curves={"loss": [0.7 / k for k in range(1, 40)]})).findings
    ]


def test_one_unit_follows_one_line() -> None:
    evidence = PLANTED["underfitting"]().findings[0].evidence
    assert evidence.startswith(
        "with a hidden layer of one unit the answer depends on one linear co"
    )


def test_a_warm_up_that_was_cut_is_no_low_rate() -> None:
    report = run(schedule={"name": "warm_up", "epochs": 4000, "then": "constant"}, epochs=20)
    assert serious(report) == ["stopped_too_early"]


def test_a_good_column_of_few_rows_is_no_leak() -> None:
    """By chance petal width alone is right on all 52 rows, the others on 28 of 35."""
    rows, labels = load_iris(return_X_y=True)
    rows, _, labels, _ = train_test_split(rows, labels, test_size=0.3, random_state=8)
    inputs = StandardScaler().fit_transform(rows).T
    net = Network([Dense(16), Dense(3, "softmax")], 4, seed=0)
    history = train(net, inputs, labels, loss="cce", learning_rate=0.01, epochs=80)
    assert diagnose(history, inputs, labels, network=net).ok


def test_a_constant_target_says_nothing() -> None:
    report = diagnose(Network([Dense(1, "sigmoid")], 3, seed=0), X, 0 * CURVED)
    assert (report.findings[0].name, report.findings[0].evidence) == (
        "nothing to learn",
        "it has the value 0 in every row",
    )


def test_the_wrong_function_is_told_from_those_before_it() -> None:
    report = run(((8, "tanh"), (8, WrongTanh()), (8, "tanh")), epochs=3)
    assert report.findings[0].where == "layer 2"
    assert "its function is wrong tanh" in report.findings[0].evidence


def test_symmetry_is_named() -> None:
    """Equal units, but not equal weights."""
    net = Network([Dense(3, "tanh"), Dense(1, "sigmoid")], 2, seed=0)
    net.W[1][...] = [[0.3, -0.7]]
    net.W[2][...] = 0.4
    report = diagnose(net)
    assert [f.kind for f in report.findings] == ["symmetry"]
    assert "layer 1" in report.findings[0].where


def test_oscillation_and_divergence_are_consequences() -> None:
    report = run(output="identity", optimizer="gradient_descent", learning_rate=20.0)
    assert report.findings[0].kind == "learning_rate_too_high"
    assert report.findings[0].severity == "error"
    later = {f.kind: f for f in report.findings[1:]}
    assert later["divergence"].severity == "info"
    assert later["divergence"].where == "layer 2 first"  # of the longer step
    assert "step" in later["divergence"].evidence


def test_a_momentum_that_never_forgets() -> None:
    report = run(
        output="identity", optimizer={"name": "classical_momentum", "beta": 0.999},
        learning_rate=0.05,
    )  # fmt: skip
    assert report.findings[0].kind == "learning_rate_too_high"
    assert report.findings[0].fix["optimizer"]["beta"] == 0.9
    assert "Use beta = 0.9 and learning rate = " in report.findings[0].advice


def test_lbfgs_wants_all_examples_in_a_step() -> None:
    """Stopped far too early, but not for the size of its batches."""
    report = run(((8, "tanh"), (8, "tanh")), "identity", optimizer="lbfgs", epochs=16)
    assert "stopped_too_early" in serious(report)
    assert "batch_too_large" not in [f.kind for f in report.findings]


def test_small_batches_with_long_steps() -> None:
    report = run(batch_size=1, learning_rate=0.1, epochs=10)
    assert {"batch_too_small", "learning_rate_too_high"} & set(serious(report)[:1])


@pytest.mark.parametrize(
    ("layers", "output", "optimizer", "rate"),
    [
        (((24, "relu"),), "sigmoid", "adam", 0.01),
        (((24, "tanh"), (24, "tanh")), "sigmoid", "adam", 0.01),
        (((32, "gelu"),), "identity", "adam", 0.01),
        (((32, "relu"), (16, "relu")), "identity", "classical_momentum", 0.02),
    ],
)
def test_healthy_training_is_left_alone(
    layers: Any, output: str, optimizer: str, rate: float
) -> None:
    report = run(layers, output, optimizer=optimizer, learning_rate=rate, epochs=120,
                 early_stopping=20)  # fmt: skip
    assert report.ok, report


def test_every_rule_is_tested() -> None:
    tested = {*PLANTED, "symmetry", "oscillation", "divergence", "batch_too_small"}
    tested |= {"constant_answer"}  # test_diagnosis_constant.py
    tested |= {"weights_set_back"}  # test_record_training.py
    tested |= {"dead_filters", "saturated_gates", *THROUGH_TIME}  # test_diagnosis_shapes.py
    assert set(KINDS) == tested
    assert all(rule.why.endswith((".", ")")) or ":" in rule.why for rule in RULES)
    assert all(kind in KINDS for rule in RULES for kind in rule.explains)


# The presets of the lectures ----------------------------------------------------------------------


def lecture(layers: Any, X: Any, Y: Any, loss: str, **settings: Any) -> Diagnosis:
    """A small network of the lectures, trained in full batches."""
    initializer = settings.pop("initializer", None)
    net = Network(layers, len(X), initializer, seed=0, dtype="float64")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        history = train(
            net, X, Y, loss=loss, optimizer="gradient_descent", batch_size=None,
            **settings,
        )  # fmt: skip
    return diagnose(history, X, Y, network=net)


GATE = PRESETS["and-gate"]
XOR = PRESETS["xor"]
HOUSE = PRESETS["house-price-neuron"]


def test_saturated_and_gate() -> None:
    report = diagnose(GATE.build(), GATE.X, GATE.Y, loss=GATE.loss)
    assert [f.kind for f in report.findings] == ["weights_too_large", "saturated_units"]
    assert report.ok  # it answers right, so no harm is done


def test_house_price_neuron_as_it_comes() -> None:
    report = diagnose(HOUSE.build(), HOUSE.X, HOUSE.Y, loss=HOUSE.loss)
    # max(0, w x + b), as the lecture draws it, has no gradient where all prices come out below 0
    assert serious(report) == ["wrong_output", "unscaled_inputs", "unscaled_target"]


def test_relu_output_for_a_price() -> None:
    net = Network([Dense(1, "relu")], 1, seed=0)
    net.W[1][...] = -0.1
    report = diagnose(net, HOUSE.X, HOUSE.Y, loss="half_squared_error")
    assert serious(report)[0] == "wrong_output"
    assert "unscaled_inputs" in serious(report)
    assert "dead_units" in [f.kind for f in report.findings]


def test_zero_initialisation_on_and() -> None:
    report = lecture(
        [Dense(2, "sigmoid"), Dense(1, "sigmoid")], GATE.X, GATE.Y, "bce",
        initializer="zeros", learning_rate=1.0, epochs=50,
    )  # fmt: skip
    assert report.findings[0].kind == "zero_initialisation"
    assert "symmetry" not in serious(report)  # a consequence
    assert report.suggest()["initializer"] == "glorot_uniform"


def test_identity_layers_on_xor() -> None:
    report = lecture(
        [Dense(2, "identity"), Dense(1, "sigmoid")], XOR.X, XOR.Y, "bce",
        learning_rate=0.5, epochs=200,
    )  # fmt: skip
    assert serious(report)[0] == "no_non_linearity"


@pytest.mark.parametrize(
    ("name", "expected"), [("pass-the-class", []), ("movie-taste", ["weights_too_large"])]
)
def test_presets_without_a_fault(name: str, expected: list[str]) -> None:
    preset = PRESETS[name]
    report = diagnose(preset.build(), preset.X, preset.Y, loss=preset.loss)
    assert [f.kind for f in report.findings] == expected
    assert report.ok


def test_made_by_hand_and_right_is_no_fault() -> None:
    report = diagnose(XOR.build(), XOR.X, XOR.Y, loss=XOR.loss)
    assert report.ok
    assert {f.kind for f in report.findings} == {"weights_too_large", "saturated_units"}


# The backward check ------------------------------------------------------------------------------


@pytest.mark.parametrize("g", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_right_functions_pass_the_backward_check(
    g: str, loss: str, draw_targets: Callable[..., np.ndarray]
) -> None:
    entry = find_loss(loss)
    outputs = 3 if entry.targets == "distribution" else 1
    hidden = "tanh" if ACTIVATIONS[g].output_only else g
    net = Network([Dense(64, hidden), Dense(32, hidden), Dense(outputs, entry.fits[0])], 13, seed=0)
    for seed in range(3):
        Y = draw_targets(entry, outputs, 7, np.random.default_rng(seed))
        assert max(wrong_gradients(net, Y, entry).values()) < 1e-3


@pytest.mark.parametrize(
    ("layers", "where", "array"),
    [
        ((Dense(5, "tanh"), Dense(4, WrongTanh()), Dense(1, "sigmoid")), "layer 2", "db[2]"),
        ((Dense(5, "tanh"), Dense(4, "tanh"), Turned(1, "sigmoid")), "layer 3", "dA[2]"),
    ],
)
def test_a_wrong_backward_is_placed(layers: Any, where: str, array: str) -> None:
    """A gradient that comes back wrong is the next layer's, not that of the one it arrives at."""
    found = diagnose(Network(layers, 3, seed=0), X, CURVED, loss="bce").findings[0]
    assert (found.kind, found.where) == ("wrong_backward", where)
    assert found.evidence.startswith(array)


def test_what_answers_well_is_not_hurt() -> None:
    """Four examples, so no learner to compare with; J has not fallen: there is nothing to fall."""
    net = GATE.build()
    history = train(net, GATE.X, GATE.Y, loss=GATE.loss, epochs=3)
    report = diagnose(history, GATE.X, GATE.Y, network=net)
    assert "weights_too_large" in [f.kind for f in report.findings]
    assert report.ok, report


# Bad input ----------------------------------------------------------------------------------------


def test_bad_input() -> None:
    net = Network([Dense(1, "sigmoid")], 3, seed=0)
    with pytest.raises(ValueError, match="the history is empty: no epoch was done"):
        diagnose(History())
    with pytest.raises(ValueError, match=r"not fitted yet|isn't fitted"):
        diagnose(MLPClassifier())
    with pytest.raises(ValueError, match=r"X has 2 inputs|n\[0\]"):
        diagnose(net, X[:2], CURVED)
    with pytest.raises(ValueError, match=r"Y of X, Y must be numbers of shape \(n\["):
        diagnose(net, X, CURVED[:7])
    fitted = MLPClassifier((4,), max_iter=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted.fit(X.T, CURVED)
    with pytest.raises(ValueError, match="X has 2 features, but MLPClassifier is expecting 3"):
        diagnose(fitted, X[:2].T, CURVED)
    with pytest.raises(ValueError, match="X is given without Y"):
        diagnose(net, X)
    with pytest.raises(TypeError, match="takes a History, a Network, a fitted estimator"):
        diagnose(42)
    with pytest.raises(TypeError, match="got the class MLPClassifier"):
        diagnose(MLPClassifier)
    with pytest.raises(ValueError, match=r"must be a pair \(Xv, Yv\), or .*; got ndarray"):
        diagnose(net, X, CURVED, validation_data=XV)
    with pytest.raises(ValueError, match="validation_data is given without X and Y"):
        diagnose(net, validation_data=(XV, CURVED_V))
    with pytest.raises(ValueError, match="task must be 'classification', 'binary'"):
        diagnose(net, task="guessing")
    with pytest.raises(ValueError, match="NaN or infinity"):
        diagnose(net, np.where(X > 2, np.nan, X), CURVED)
    with pytest.raises(Exception, match="no-such-folder"):
        diagnose("no-such-folder.pellucid")


# What it shows ------------------------------------------------------------------------------------


def test_text_dict_and_html() -> None:
    bad = Finding("leak", "warning", "column '<b>'", "1 < 2 & 3", "why", "do", {"drop": [1]}, 1.0)
    note = Finding("id_column", "info", "", "seen", "why", "do")
    report = Diagnosis([note, bad], ["data"])
    assert report.findings == [bad, note]
    assert report.text().startswith("warning: leak (column '<b>')\n  1 < 2 & 3\n  Why: why\n")
    assert "&lt;b&gt;" in report.html()
    assert "<b>'" not in report._repr_html_()
    assert report.to_dict()["findings"][0]["fix"] == {"drop": [1]}
    assert not report.ok
    assert report.suggest() == {"drop": [1]}
    assert repr(report) == "<Diagnosis: 0 error, 1 warning, 1 info>"
    assert Diagnosis().text() == "Nothing found. Looked at: nothing."


def test_same_arguments_same_findings() -> None:
    first, second = run(bias=-20.0).to_dict(), run(bias=-20.0).to_dict()
    assert first == second
