"""The drop-ins: losses and outputs, L-BFGS, loaded parameters, the network behind them."""

import os
import pickle
import signal

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

import pellucid
from pellucid import Callback, MLPClassifier, MLPRegressor
from pellucid.activations import LeakyReLU
from pellucid.initializers import Normal
from pellucid.losses import Huber
from pellucid.optimizers import Adam, Momentum
from pellucid.schedules import Cosine

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)
FAST = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}


def test_losses_that_do_not_fit_the_output_are_refused():
    with pytest.raises(ValueError, match="MLPRegressor: the loss binary_cross_entropy is for prob"):
        MLPRegressor("bce").fit(X, Y % 2)
    with pytest.raises(ValueError, match=r"MLPClassifier: the loss poisson is .* exp, softp"):
        MLPClassifier(loss="poisson").fit(X, Y)
    with pytest.raises(ValueError, match=r"here the output is softmax .*loss='log_loss'"):
        MLPClassifier(loss="binary_cross_entropy").fit(X, Y)
    assert MLPRegressor("poisson", max_iter=2).fit(X, Y).out_activation_ == "exp"


def test_lbfgs_in_the_drop_ins():
    clf = MLPClassifier(solver="lbfgs", early_stopping=True, random_state=0, max_iter=40)
    clf.fit(X, Y, validation_data=(X[::3], Y[::3]))
    assert clf.validation_scores_ is None
    assert len(clf.validation_loss_curve_) == len(clf.loss_curve_) == clf.n_iter_
    assert clf.score(X, Y) > 0.9
    for settings in ({"dropout": 0.1}, {"schedule": "cosine"}, {"gradient_clip": 1.0}):
        with pytest.raises(ValueError, match=f"lbfgs cannot use {next(iter(settings))}"):
            MLPClassifier(solver="lbfgs", **settings).fit(X, Y)


def test_lbfgs_by_name_takes_tol_and_max_fun():
    a = MLPClassifier(**FAST | {"solver": "lbfgs", "max_iter": 50, "tol": 0.5, "max_fun": 9})
    b = MLPClassifier(**FAST | {"optimizer": "lbfgs", "max_iter": 50, "tol": 0.5, "max_fun": 9})
    np.testing.assert_array_equal(a.fit(X, Y).coefs_[0], b.fit(X, Y).coefs_[0])


@pytest.mark.parametrize("rule", ["invscaling", "adaptive"])
def test_the_rate_of_solver_sgd_is_not_for_another_optimizer(rule):
    settings = {"solver": "sgd", "optimizer": "momentum", "tol": 10.0, "n_iter_no_change": 1}
    clf = MLPClassifier(**FAST, **settings, learning_rate=rule).fit(X, Y)
    assert set(clf.history_["learning_rate"]) == {0.001}


def test_class_weights_multiply_sample_weights():
    w = 1.0 + np.arange(150) % 2
    a = MLPClassifier(**FAST, class_weight={0: 3, 1: 1, 2: 0.5}).fit(X, Y, sample_weight=w)
    b = MLPClassifier(**FAST).fit(X, Y, sample_weight=w * np.array([3, 1, 0.5])[Y])
    np.testing.assert_array_equal(a.coefs_[0], b.coefs_[0])


def test_class_weights_that_cannot_be():
    for weight in ({0: -1}, {0: "1"}, {0: np.nan}):
        with pytest.raises(ValueError, match=r"class_weight must be .* a dict from class"):
            MLPClassifier(class_weight=weight).fit(X, Y)
    with pytest.raises(ValueError, match="times class_weight is 0 for every example"):
        MLPClassifier(class_weight={0: 0, 1: 0, 2: 0}).fit(X, Y)


def test_arrays_to_start_from(tmp_path):
    W = [np.full((4, 4), 0.1), np.full((3, 4), 0.2)]
    start = {1: (W[0], np.zeros(4)), 2: (W[1], np.ones(3))}
    clf = MLPClassifier(**FAST | {"learning_rate_init": 1e-30}, initializer=start)
    clone(clf).fit(X, Y)
    clf.fit(X, Y)
    np.testing.assert_allclose(clf.coefs_[1], W[1].T)
    np.testing.assert_allclose(clf.intercepts_[1], 1)
    clf.save(tmp_path / "m")
    assert pellucid.load(tmp_path / "m").initializer is None
    with pytest.raises(ValueError, match=r"W\[1\] has shape \(4, 4\); got \(2, 2\)"):
        clf.set_params(initializer={1: (np.ones((2, 2)), np.zeros(4))}).fit(X, Y)


def test_parameters_come_back_as_objects(tmp_path):
    given = {
        "activation": [LeakyReLU(0.3)],
        "initializer": Normal(0.2),
        "loss": Huber(2.0),
        "optimizer": Momentum(0.8),
        "schedule": Cosine(0.1),
    }
    MLPRegressor(**FAST, **given).fit(X, Y).save(tmp_path / "m")
    again = pellucid.load(tmp_path / "m")
    assert {name: getattr(again, name) for name in given} == given
    MLPClassifier(**FAST, optimizer=Adam(beta1=0.5)).fit(X, Y).save(tmp_path / "n")
    assert pellucid.load(tmp_path / "n").optimizer == Adam(beta1=0.5)


def test_settings_in_arrays_are_lists():
    a = MLPClassifier(**FAST, activation=np.array(["tanh"]), dropout=np.array([0.2])).fit(X, Y)
    b = MLPClassifier(**FAST, activation=["tanh"], dropout=[0.2]).fit(X, Y)
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    with pytest.raises(ValueError, match="unknown activation 'tahn'"):
        MLPClassifier(activation=np.array(["tahn"])).fit(X, Y)


def test_a_single_callback():
    class Watch(Callback):
        epochs = 0

        def on_epoch_end(self, run):
            self.epochs = run.epoch

    watch = Watch()
    MLPClassifier(**FAST, callbacks=watch).fit(X, Y)
    assert watch.epochs == 3


@pytest.mark.usefixtures("ctrl_c")
def test_the_second_ctrl_c_leaves_fit():
    class PressTwice(Callback):
        def on_epoch_end(self, run):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    clf = MLPClassifier(callbacks=PressTwice(), random_state=0)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, Y)
    assert np.isfinite(clf.predict_proba(X)).all()


# The network behind them --------------------------------------------------------------------------


def test_the_network_is_made_once_while_nothing_changes():
    clf = MLPClassifier(**FAST | {"hidden_layer_sizes": (4, 4)}, activation=["tanh", "relu"])
    clf.fit(X, Y)
    known, before = clf.network_, clf.predict_proba(X)
    assert clf.network_ is known
    assert clf.network_.W[1].base is clf.coefs_[0]
    clf.activation[0] = "relu"
    assert clf.network_ is not known
    assert not np.array_equal(clf.predict_proba(X), before)
    clf.activation = ["tanh", "relu"]
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    clf.intercepts_[1] = clf.intercepts_[1] + 1
    assert not np.array_equal(clf.predict_proba(X), before)
    assert "_known_network" in clf.__dict__
    again = pickle.loads(pickle.dumps(clf))
    assert "_known_network" not in again.__dict__
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


def test_plain_rows_and_others_are_predicted_alike():
    clf = MLPClassifier(**FAST).fit(X, Y == 1)
    expected = clf.predict_proba(X[:1])
    for rows in (X[:1].tolist(), np.asfortranarray(X)[:1], X[:1].astype(np.longdouble)):
        np.testing.assert_array_equal(clf.predict_proba(rows), expected)
    assert clf.predict_proba(X[:1].astype(np.float32)).shape == (1, 2)
    np.testing.assert_allclose(expected.sum(axis=1), 1)
    for rows, match in (
        (X[:0], "minimum of 1 is required"),
        (X[:, :3], "X has 3 features, but MLPClassifier is expecting 4"),
        (np.full((1, 4), np.nan), "Input X contains NaN"),
        (np.full((1, 4), np.inf), "Input X contains infinity"),
        (X[0], "Expected 2D array, got 1D array"),
    ):
        with pytest.raises(ValueError, match=match):
            clf.predict_proba(rows)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        MLPClassifier().predict_proba(X)


def test_plain_rows_after_a_frame_are_warned_about():
    clf = MLPClassifier(**FAST).fit(pd.DataFrame(X, columns=list("abcd")), Y)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        clf.predict_proba(X[:1])


# Validation data ----------------------------------------------------------------------------------


def test_a_pipeline_transforms_the_validation_rows():
    X, y = load_wine(return_X_y=True)
    settings = {"max_iter": 10, "random_state": 0, "early_stopping": True, "n_iter_no_change": 10}
    weight = np.arange(len(y[1::2])) % 3
    with sklearn.config_context(enable_metadata_routing=True):
        clf = MLPClassifier((8,), **settings)
        clf.set_fit_request(X_val=True, y_val=True, sample_weight_val=True)
        piped = Pipeline([("scale", StandardScaler()), ("clf", clf)], transform_input=["X_val"])
        held_out = {"X_val": X[1::2], "y_val": y[1::2], "sample_weight_val": weight}
        piped.fit(X[::2], y[::2], **held_out)
    scaler = StandardScaler().fit(X[::2])
    pair = (scaler.transform(X[1::2]), y[1::2], weight)
    by_hand = MLPClassifier((8,), **settings)
    by_hand.fit(scaler.transform(X[::2]), y[::2], validation_data=pair)
    found = piped[-1]
    assert found.validation_loss_curve_ == by_hand.validation_loss_curve_
    assert found.validation_scores_ == by_hand.validation_scores_
    for W, other in zip(found.coefs_, by_hand.coefs_, strict=True):
        assert (W == other).all()


X_, Y_ = np.eye(4), np.array([0, 1, 1, 0])


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"X_val": X_}, "y_val is missing"),
        ({"sample_weight_val": Y_}, "X_val is missing"),
        ({"X_val": X_, "y_val": Y_, "validation_data": (X_, Y_)}, "not both"),
        ({"validation_data": X_[:1]}, r"must be \(X_val, y_val\) or \(X_val, y_val, weights\)"),
        ({"X_val": X_, "y_val": Y_[:3]}, "inconsistent numbers of samples: "),
        ({"X_val": X_[:, :3], "y_val": Y_}, "validation data: X has 3 features"),
        ({"X_val": X_ * np.nan, "y_val": Y_}, "validation data: Input X contains NaN"),
        (
            {"X_val": X_, "y_val": Y_, "sample_weight_val": -X_[0]},
            "validation data: sample_weight must hold finite numbers of 0 or more",
        ),
    ],
)
def test_validation_data_that_do_not_fit_are_named(kind, given, message):
    with pytest.raises(ValueError, match=message):
        kind(hidden_layer_sizes=2).fit(X_, Y_, **given)


def test_a_validation_label_that_is_no_class_is_named():
    with pytest.raises(ValueError, match="validation data: y holds 7, which is not one of"):
        MLPClassifier(2).fit(X_, Y_, X_val=X_, y_val=Y_ + 7)


# Parameters of objects ----------------------------------------------------------------------------


def test_a_search_sets_what_an_object_of_the_catalogues_has():
    grid = {"clf__optimizer__beta1": [0.5, 0.8], "clf__optimizer": ["adam", "adamw"]}
    piped = Pipeline([("scale", StandardScaler()), ("clf", MLPClassifier(**FAST))])
    search = GridSearchCV(piped, grid, cv=2).fit(X, Y)
    assert len(search.cv_results_["params"]) == 4
    assert search.best_estimator_[-1].optimizer.beta1 in (0.5, 0.8)
    assert MLPClassifier(optimizer=Adam(0.7)).get_params()["optimizer__beta1"] == 0.7


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"optimizer": "adam", "optimizer__beta9": 1}, r"Adam has no .*'beta9' \(did you mean"),
        ({"optimizer": "adam", "optimizer__beta1": 7}, "beta1 must be at least 0 and below 1"),
        ({"optimizer__beta1": 0.5}, "optimizer__beta1: optimizer is None"),
        ({"activation__slope": 0.5}, "ReLU has no parameter 'slope'; it has none"),
        ({"nothing__slope": 0.5}, "Invalid parameter 'nothing' for estimator"),
    ],
)
def test_a_parameter_that_an_object_has_not_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier().set_params(**given)


def test_parameters_that_cannot_be_are_an_invalid_parameter_error():
    with pytest.raises(InvalidParameterError, match=r"tol must be .*verbose must be .*'no'"):
        MLPClassifier(tol=-1, verbose="no").fit(X, Y)


def test_several_labels_have_a_dict_of_class_weights_each(tmp_path):
    several = np.stack([Y > 0, Y > 1], axis=1).astype(int)
    weights = [{0: 1, 1: 3}, {0: 2, 1: 1}]
    clf = MLPClassifier(class_weight=weights, **FAST).fit(X, several)
    by_hand = np.where(several[:, 0], 3, 1) * np.where(several[:, 1], 1, 2)
    again = MLPClassifier(**FAST).fit(X, several, sample_weight=by_hand)
    assert (clf.coefs_[0] == again.coefs_[0]).all()
    clf.save(tmp_path / "m")
    assert pellucid.load(tmp_path / "m").class_weight == weights
    with pytest.raises(InvalidParameterError, match="or a list of dicts for several labels"):
        MLPClassifier(class_weight=[{0: -1}], **FAST).fit(X, several)
