"""NetworkClassifier and NetworkRegressor: any layers behind scikit-learn's fit and predict."""

from __future__ import annotations

import os
import pickle
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import sklearn
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pellucid import (
    Callback,
    Dense,
    EarlyStopping,
    Network,
    NetworkClassifier,
    NetworkRegressor,
    diagnose,
    load,
    load_predictor,
    trace,
    train,
)
from pellucid.augmentations import Shift
from pellucid.export import export
from pellucid.lab.notebook import _fitted
from pellucid.layers import Conv1D, Conv2D, Layer, LayerCache
from pellucid.training import DivergenceWarning, Run

ROWS, DIGITS = load_digits(return_X_y=True)
ROWS, DIGITS = ROWS[:300] / 16, DIGITS[:300]
PICTURES = ROWS.reshape(-1, 8, 8, 1)
NAMES = np.array([f"digit {k}" for k in range(10)])[DIGITS]
PARITY = np.where(DIGITS % 2, "odd", "even")
SMALL: dict[str, Any] = {"epochs": 4, "learning_rate": 0.01, "random_state": 0}
CONV = [Conv2D(4, 3, stride=2), Dense(8)]

RNG = np.random.default_rng(0)
M = 90
LENGTHS = RNG.integers(4, 11, M)
SEQUENCES = RNG.normal(size=(M, 10, 2))
UP = np.array([each[:T, 0].mean() > 0 for each, T in zip(SEQUENCES, LENGTHS, strict=True)])
JUNK = np.where(np.arange(10)[None, :, None] < LENGTHS[:, None, None], SEQUENCES, 1e3)


def classifier(layers: Any = CONV, **settings: Any) -> NetworkClassifier:
    return NetworkClassifier(layers, **SMALL | settings)


# Shapes and the output layer ----------------------------------------------------------------------


def test_pictures_rows_and_pictures_without_a_channel_are_the_same() -> None:
    whole = classifier().fit(PICTURES, NAMES)
    assert whole.n_features_in_ == 64
    assert whole.network_.input_shape == (8, 8, 1)
    assert whole.score(PICTURES, NAMES) > 0.3
    P = whole.predict_proba(PICTURES)
    for X in (ROWS, PICTURES[..., 0], ROWS.tolist(), scipy.sparse.csr_array(ROWS)):
        other = classifier(input_shape=(8, 8, 1)).fit(X, NAMES)
        np.testing.assert_array_equal(other.predict_proba(X), P)
        np.testing.assert_array_equal(whole.predict_proba(X), P)
    np.testing.assert_allclose(np.exp(whole.predict_log_proba(PICTURES)), P, rtol=1e-6)
    assert (whole.predict(PICTURES) == whole.classes_[P.argmax(axis=1)]).all()


def test_it_is_train_on_the_network() -> None:
    clf = classifier(l2=0.01, schedule="cosine", shuffle=False).fit(PICTURES, NAMES)
    seed = np.random.RandomState(0).randint(2**31)
    net = Network([*CONV, Dense(10, "softmax")], (8, 8, 1), seed=seed)
    history = train(
        net, ROWS.T, DIGITS, loss="categorical_cross_entropy", epochs=4, learning_rate=0.01,
        l2=0.01, schedule="cosine", shuffle=False,
    )  # fmt: skip
    assert clf.history_.curves == history.curves
    for name, array in net.parameters.items():
        np.testing.assert_array_equal(array, clf.network_.parameters[name])
    other = classifier(l2=0.01, schedule="cosine", shuffle=False, random_state=1)
    assert other.fit(PICTURES, NAMES).history_.curves != history.curves


@pytest.mark.parametrize(
    ("layers", "y", "output", "added"),
    [
        ([Dense(4)], NAMES, "Dense(10, 'softmax')", True),
        ([], NAMES, "Dense(10, 'softmax')", True),
        ([Dense(4), Dense(10, "softmax")], NAMES, "Dense(10, 'softmax')", False),
        ([Dense(10)], NAMES, "Dense(10, 'softmax')", True),
        ([Dense(4)], PARITY, "Dense(1, 'sigmoid')", True),
        ([Dense(1, "sigmoid")], PARITY, "Dense(1, 'sigmoid')", False),
        ([Dense(4, "sigmoid")], PARITY, "Dense(1, 'sigmoid')", True),
        ([Dense(2, "softmax")], PARITY, "Dense(2, 'softmax')", False),
        ([Dense(4)], np.stack([DIGITS > 4, DIGITS % 2], 1), "Dense(2, 'sigmoid')", True),
        (
            [Dense(2, "sigmoid")],
            np.stack([DIGITS > 4, DIGITS % 2], 1),
            "Dense(2, 'sigmoid')",
            False,
        ),
    ],
)
def test_the_output_layer_is_added_where_the_last_one_is_not_yet_it(
    layers: Any, y: Any, output: str, added: bool
) -> None:
    clf = classifier(layers).fit(ROWS, y)
    assert [repr(each) for each in clf.network_.layers[-1:]] == [output]
    assert len(clf.network_.layers) == len(layers) + added
    assert clf.predict(ROWS).shape == y.shape
    assert clf.predict_proba(ROWS).shape == (300, max(2, len(clf.classes_)))
    assert clf.score(ROWS, y) > 1 / len(clf.classes_) ** 2
    assert not any(layer.parameters for layer in layers)  # they are copied


def test_two_softmax_outputs_are_two_classes() -> None:
    clf = classifier([Dense(8), Dense(2, "softmax")], class_weight={"odd": 3}).fit(ROWS, PARITY)
    assert clf.score(ROWS, PARITY) > 0.85
    P = clf.predict_proba(ROWS)
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-6)
    assert (clf.predict(ROWS) == np.where(P[:, 1] > P[:, 0], "odd", "even")).all()
    squares = classifier([Dense(2, "softmax")], loss="mean_squared_error").fit(ROWS, PARITY)
    assert squares.score(ROWS, PARITY) > 0.6


@pytest.mark.parametrize(
    ("layers", "loss", "k", "output"),
    [
        ([Conv2D(4, 3)], "squared_error", 1, "Dense(1, 'identity')"),
        ([Conv2D(4, 3)], "huber", 3, "Dense(3, 'identity')"),
        ([Dense(3, "identity")], "squared_error", 3, "Dense(3, 'identity')"),
        ([Dense(3, "identity")], "squared_error", 1, "Dense(1, 'identity')"),
        ([Dense(4)], "poisson", 1, "Dense(1, 'exp')"),
    ],
)
def test_numbers(layers: Any, loss: str, k: int, output: str) -> None:
    y = np.stack([PICTURES[:, :4, 2:6].sum(axis=(1, 2, 3)) / 3, DIGITS > 4, ROWS[:, 20]], 1)[:, :k]
    settings = {"loss": loss, "epochs": 40, "learning_rate": 0.01, "random_state": 0}
    reg = NetworkRegressor(layers, (8, 8, 1), **settings, dtype=None)
    reg.fit(PICTURES, y[:, 0] if k == 1 else y)
    assert repr(reg.network_.layers[-1]) == output
    assert len(reg.network_.layers) == len(layers) + (output != repr(layers[-1]))
    assert reg.network_.dtype == np.float64
    assert reg.predict(ROWS).shape == ((300,) if k == 1 else (300, 3))
    assert reg.score(PICTURES, y) > 0.3


# Among scikit-learn's things ----------------------------------------------------------------------


def test_clones_and_searches_take_lists_of_layers() -> None:
    given = classifier(optimizer="momentum", augment="shift")
    copied = clone(given)
    assert copied.layers is not given.layers
    assert repr(copied) == repr(given)
    assert given.get_params()["layers"] is given.layers
    assert clone(classifier(augment=Shift(1))).set_params(augment__pixels=3).augment == Shift(3)
    grid = {"layers": [[Dense(4)], [Conv2D(2, 3), Dense(4)], [Conv2D(4, 3), Dense(8)]]}
    search = GridSearchCV(classifier(input_shape=(8, 8, 1)), grid, cv=2).fit(ROWS, NAMES)
    assert search.best_params_["layers"] in grid["layers"]
    assert len(search.cv_results_["param_layers"]) == 3
    assert search.best_estimator_.network_.layers[0].n_parameters > 0


def test_in_a_pipeline() -> None:
    pipe = make_pipeline(StandardScaler(), classifier(input_shape=(8, 8, 1)))
    pipe.fit(ROWS, NAMES)
    assert pipe.score(ROWS, NAMES) > 0.6
    assert pipe[-1].n_features_in_ == 64
    target = TransformedTargetRegressor(
        NetworkRegressor([Dense(8, "tanh")], epochs=30, learning_rate=0.01, random_state=0),
        transformer=StandardScaler(),
    )
    y = 1000 * ROWS.mean(axis=1)
    assert target.fit(ROWS, y).score(ROWS, y) > 0.8


def test_lengths_in_fit_predict_and_score() -> None:
    found = []
    for X in (SEQUENCES, JUNK):
        clf = classifier([Conv1D(8, 3, "tanh")], epochs=30).fit(X, UP, lengths=LENGTHS)
        found.append(clf.predict_proba(X, LENGTHS))
        assert clf.score(X, UP, lengths=LENGTHS) == np.mean(clf.predict(X, LENGTHS) == UP) > 0.8
        log = clf.predict_log_proba(X, LENGTHS)
        np.testing.assert_allclose(np.exp(log), found[-1], rtol=1e-6)
    np.testing.assert_array_equal(*found)
    assert not np.array_equal(found[0], clf.predict_proba(SEQUENCES))
    reg = NetworkRegressor([Conv1D(8, 3, "tanh")], **SMALL | {"epochs": 30})
    means = [each[:T, 0].mean() for each, T in zip(SEQUENCES, LENGTHS, strict=True)]
    reg.fit(JUNK, means, lengths=LENGTHS)
    assert reg.score(JUNK, means, lengths=LENGTHS) > 0.3
    np.testing.assert_array_equal(reg.predict(JUNK, LENGTHS), reg.predict(SEQUENCES, LENGTHS))


def test_lengths_are_routed_through_searches_and_pipelines() -> None:
    clf = classifier([Conv1D(4, 3, "tanh")], input_shape=(10, 2), epochs=20)
    rows = JUNK.reshape(M, -1)
    with sklearn.config_context(enable_metadata_routing=True):
        clf.set_fit_request(lengths=True).set_score_request(lengths=True)
        scores = cross_validate(clf, JUNK, UP, params={"lengths": LENGTHS}, cv=3)["test_score"]
        search = GridSearchCV(clf, {"l2": [0.0, 0.1]}, cv=3).fit(JUNK, UP, lengths=LENGTHS)
        piped = make_pipeline("passthrough", clf).fit(rows, UP, lengths=LENGTHS)
        assert piped.score(rows, UP, lengths=LENGTHS) == clf.fit(rows, UP, lengths=LENGTHS).score(
            rows, UP, lengths=LENGTHS
        )
    assert scores.mean() > 0.6
    np.testing.assert_allclose(search.cv_results_["mean_test_score"][0], scores.mean())


def test_validation_of_ones_own_and_held_out() -> None:
    own = {"X_val": JUNK[60:], "y_val": UP[60:], "lengths_val": LENGTHS[60:]}
    clf = classifier([Conv1D(4, 3)], metrics=["accuracy"], early_stopping=2, epochs=60)
    clf.fit(JUNK[:60], UP[:60], lengths=LENGTHS[:60], **own)
    assert clf.history_.settings["validation_examples"] == 30
    best = clf.history_["val_accuracy"][clf.history_.best_epoch - 1]
    assert clf.score(JUNK[60:], UP[60:], lengths=LENGTHS[60:]) == pytest.approx(best)
    weighed = classifier([]).fit(ROWS, NAMES, X_val=ROWS, y_val=NAMES, sample_weight_val=DIGITS)
    assert weighed.history_["val_loss"] != weighed.history_["loss"]

    held = classifier([], early_stopping=True, validation_fraction=0.2).fit(ROWS, NAMES)
    assert held.history_.settings["validation_examples"] == 60
    assert "val_loss" in held.history_.curves
    alone = classifier([], early_stopping=EarlyStopping(3, "loss")).fit(ROWS, NAMES)
    assert alone.history_.settings["validation_examples"] == 0
    assert "val_loss" not in classifier([]).fit(ROWS, NAMES).history_.curves


def test_weights_of_examples_and_of_classes() -> None:
    rare = np.where(DIGITS == 3, "three", "other")
    plain = classifier([]).fit(ROWS, rare)
    for settings in ({"class_weight": {"three": 30}}, {"class_weight": "balanced"}):
        clf = classifier([], **settings).fit(ROWS, rare)
        assert (clf.predict(ROWS) == "three").sum() > (plain.predict(ROWS) == "three").sum()
    by_row = classifier([]).fit(ROWS, rare, sample_weight=np.where(DIGITS == 3, 30, 1))
    by_class = classifier([], class_weight={"three": 30}).fit(ROWS, rare)
    np.testing.assert_allclose(by_row.predict_proba(ROWS), by_class.predict_proba(ROWS), rtol=1e-4)
    assert by_class.history_.settings["class_weight"] == [1.0, 30.0]
    labels = np.stack([DIGITS == 3, DIGITS > 4], axis=1).astype(int)
    several = classifier([], class_weight=[{0: 1, 1: 30}, {0: 1, 1: 1}]).fit(ROWS, labels)
    assert (
        several.predict(ROWS)[:, 0].sum()
        > classifier([]).fit(ROWS, labels).predict(ROWS)[:, 0].sum()
    )


def test_augmented_and_reproducible() -> None:
    def fitted(augment: Any) -> Any:
        return classifier(augment=augment).fit(PICTURES, NAMES).predict_proba(PICTURES)

    assert np.array_equal(fitted(["shift", "flip"]), fitted([Shift(2), "flip"]))
    assert not np.array_equal(fitted("shift"), fitted(None))


# Kept, and looked into ----------------------------------------------------------------------------


class Half(Layer):
    """A = A_prev / 2."""

    def forward(self, A_prev: Any, mask: Any = None) -> Any:
        return A_prev / 2, LayerCache(A_prev, A_prev / 2)

    def backward(self, dA: Any, cache: Any, **given: Any) -> Any:
        return dA / 2, {}


def _kept() -> list[Any]:
    of_two = classifier([Dense(4), Dense(2, "softmax")], metrics=("accuracy",))
    of_rows = classifier((), class_weight={"odd": 2.0, "even": 1.0}, gradient_clip=("norm", 1.0))
    several = classifier([Dense(4, "tanh")], label_smoothing=0.1)
    stops = classifier(early_stopping=EarlyStopping(patience=7), augment=[Shift(1), "flip"])
    own = classifier([Half(), Conv2D(2, 3)], augment=lambda X, rng: X)
    reg = NetworkRegressor([Conv2D(2, 3)], (8, 8, 1), **SMALL, loss="huber")
    return [
        (stops, PICTURES, NAMES),
        (of_two, ROWS, PARITY),
        (of_rows, ROWS, PARITY),
        (several, ROWS, np.stack([DIGITS > 4, DIGITS % 2], axis=1).astype(int)),
        (own, PICTURES, DIGITS),
        (reg, PICTURES, ROWS.mean(axis=1)),
    ]


@pytest.mark.parametrize(("model", "X", "y"), _kept())
def test_a_folder_holds_all_of_it(model: Any, X: Any, y: Any, tmp_path: Path) -> None:
    fitted = clone(model).fit(X, y)
    fitted.save(tmp_path / "m")
    again = load(tmp_path / "m", layers=[Half])
    assert type(again) is type(fitted)
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    assert again.history_.curves == fitted.history_.curves
    before, after = fitted.get_params(), again.get_params()
    assert repr([*after["layers"]]) == repr([*before["layers"]])
    for name in before.keys() - {"layers", "augment"}:
        assert after[name] == before[name], name
    quick = load_predictor(tmp_path / "m", layers=[Half])
    np.testing.assert_array_equal(quick.predict(X), fitted.predict(X))
    if hasattr(fitted, "classes_"):
        np.testing.assert_array_equal(quick.predict_proba(X), fitted.predict_proba(X))
        assert again.fit(X, y).score(X, y) == fitted.score(X, y) or callable(model.augment)
    else:
        with pytest.raises(ValueError, match="the output is identity, which is not a probability"):
            quick.predict_proba(X)


def test_a_predictor_takes_lengths_and_pictures(tmp_path: Path) -> None:
    clf = classifier([Conv1D(4, 3)]).fit(JUNK, UP, lengths=LENGTHS)
    clf.save(tmp_path / "m")
    quick = load_predictor(tmp_path / "m")
    np.testing.assert_array_equal(quick.predict(JUNK, lengths=LENGTHS), clf.predict(JUNK, LENGTHS))
    P = quick.predict_proba(JUNK.reshape(M, -1), lengths=LENGTHS)
    np.testing.assert_array_equal(P, clf.predict_proba(SEQUENCES, LENGTHS))
    with pytest.raises(
        ValueError, match=r"\(m, 20\) or \(m, 10, 2\), one row .*; got \(90, 2, 10\)"
    ):
        quick.predict(np.swapaxes(JUNK, 1, 2))


def test_a_folder_that_says_something_else_is_refused(tmp_path: Path) -> None:
    classifier().fit(PICTURES, NAMES).save(tmp_path / "m")
    described = (tmp_path / "m" / "model.json").read_text()
    assert '"layers": 2' in described
    for wrong in ("9", "-1", "[]", "true"):
        (tmp_path / "m" / "model.json").write_text(
            described.replace('"layers": 2', f'"layers": {wrong}')
        )
        with pytest.raises(ValueError, match=r"describe a NetworkClassifier: .* of 3 layers"):
            load(tmp_path / "m")


def test_pickles_and_what_looks_inside() -> None:
    clf = classifier([Conv2D(4, 3, "tanh")], learning_rate=1e-5).fit(PICTURES, NAMES)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(PICTURES), clf.predict_proba(PICTURES))
    told = diagnose(clf, try_advice=False)
    assert "learning rate too low" in {each.name for each in told.findings}
    assert any("learning_rate" in each.fix for each in told.findings)
    assert diagnose(clf, PICTURES, NAMES, try_advice=False).findings
    shown = trace(clf.network_, ROWS[:2].T, DIGITS[:2], "categorical_cross_entropy")
    assert shown.check().ok


def test_the_lab_and_exports_take_it(tmp_path: Path) -> None:
    clf = classifier([Dense(4, "tanh")]).fit(ROWS, PARITY)
    made, _ = _fitted(clf, ROWS, PARITY)
    assert made.task == "binary"
    assert len(made.layers) == 1
    onnxruntime = pytest.importorskip("onnxruntime")
    export(clf, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    found = session.run(None, {"X": ROWS.astype(np.float32)})[0]
    np.testing.assert_allclose(found, clf.predict_proba(ROWS), atol=1e-6)


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": Dense(4)}, r"layers must be a list of layers such as \[Conv2D\(8, 3\)\]; got"),
        ({"layers": [Dense(4), "relu"]}, "must be a list of layers; entry 2 is 'relu'"),
        ({"layers": [Dense]}, r"entry 1 is <class .*Dense'>. Make an object of it: add \(\)"),
        (
            {"input_shape": (8, 0), "epochs": 0},
            r"epochs must be a whole .*input_shape must be an integer of 1 or more, or up to",
        ),
        ({"early_stopping": "yes"}, "early_stopping must be a number of epochs .*; got 'yes'"),
        ({"augment": "shfit"}, r"augment must be a known name: unknown .*did you mean 'shift'"),
        ({"augment": 3}, r"augment takes 'shift', 'flip', a function of \(X, rng\)"),
        ({"metrics": ["accuracyy"]}, "metrics must be a known name: unknown metric 'accuracyy'"),
        ({"optimizer": None}, "optimizer must be a known name"),
        ({"class_weight": {"one": 2}}, r"class_weight names 'one', which is not one of \['digit"),
        ({"input_shape": 9}, r"X has 64 features; an example of input_shape = \(9,\) has 9"),
        (
            {"layers": [Dense(9, "softmax")]},
            r"last layer, Dense\(9, 'softmax'\), has 9 outputs; y has 10 classes: 10 softmax\. ",
        ),
        ({"layers": [Conv2D(2, 9)]}, r"Conv2D\(2, 9, 'relu'\) expects inputs of shape \(rows, col"),
        ({"loss": "poisson"}, "NetworkClassifier: the loss poisson is for the outputs exp"),
        ({"optimizer": "lbfgs", "augment": "shift", "input_shape": (8, 8, 1)}, "lbfgs cannot use"),
    ],
)
def test_wrong_parameters(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classifier(**{"layers": [], **settings}).fit(ROWS, NAMES)


def test_wrong_data() -> None:
    clf = classifier(input_shape=(8, 8, 1))
    with pytest.raises(NotFittedError):
        clf.predict(ROWS)
    with pytest.raises(NotFittedError):
        _ = clf.network_
    with pytest.raises(ValueError, match=r"X holds examples of shape \(8, 4, 2\); expected input_"):
        clf.fit(ROWS.reshape(-1, 8, 4, 2), NAMES)
    with pytest.raises(ValueError, match="the validation data: X has 63 features"):
        clf.fit(ROWS, NAMES, X_val=ROWS[:, 1:], y_val=NAMES)
    with pytest.raises(ValueError, match="the validation data: y holds 'digit 11', which is not"):
        clf.fit(ROWS, NAMES, X_val=ROWS[:1], y_val=["digit 11"])
    with pytest.raises(ValueError, match="lengths are for sequences"):
        clf.fit(ROWS, NAMES, lengths=np.full(300, 8))
    clf.fit(PICTURES, NAMES)
    with pytest.raises(
        ValueError, match=r"X has 63 features, but NetworkClassifier is expecting 64"
    ):
        clf.predict(ROWS[:, 1:])
    with pytest.raises(
        ValueError, match=r"examples of shape \(4, 16\); expected input_shape = \(8"
    ):
        clf.predict(ROWS.reshape(-1, 4, 16))
    ragged = [each[:T] for each, T in zip(SEQUENCES, LENGTHS, strict=True)]
    with pytest.raises(ValueError, match=r"examples of different sizes. Sequences are padded to"):
        classifier([Conv1D(4, 3)]).fit(ragged, UP)
    with pytest.raises(
        ValueError, match="the loss binary_cross_entropy is for probabilities; use Netw"
    ):
        NetworkRegressor(loss="bce").fit(ROWS, DIGITS)


def test_warnings_point_at_the_line_that_called_fit(capsys: pytest.CaptureFixture[str]) -> None:
    wild = classifier([Dense(4)], optimizer="gradient_descent", learning_rate=1e30)
    with pytest.warns(DivergenceWarning, match="diverged at step") as caught:
        wild.fit(ROWS, NAMES)
    assert {each.filename for each in caught} == {__file__}
    assert wild.history_.stopped == "diverged"
    assert np.isfinite(wild.predict_proba(ROWS)).all()

    class Interrupts(Callback):
        def on_epoch_end(self, run: Run) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    stopped = classifier([], epochs=50, callbacks=[Interrupts()], verbose=True)
    with pytest.warns(UserWarning, match="Training interrupted after 1 epoch; what was") as caught:
        stopped.fit(ROWS, NAMES)
    assert {each.filename for each in caught} == {__file__}
    assert stopped.score(ROWS, NAMES) > 0
    assert "epoch  1/50" in capsys.readouterr().err
