"""The drop-ins: scikit-learn's numbers, and what they do beyond."""

import pickle
import warnings

import joblib
import numpy as np
import pytest
import scipy.sparse
from sklearn import neural_network as theirs
from sklearn.base import clone
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_multilabel_classification,
    make_regression,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

import pellucid
from pellucid import Callback, MLPClassifier, MLPRegressor
from pellucid.activations import ACTIVATIONS, LeakyReLU
from pellucid.initializers import INITIALIZERS
from pellucid.losses import LOSSES, Quantile
from pellucid.optimizers import OPTIMIZERS, Momentum
from pellucid.schedules import SCHEDULES

SETS = {
    "digits": load_digits,
    "breast_cancer": load_breast_cancer,
    "wine": load_wine,
    "iris": load_iris,
    "diabetes": load_diabetes,
}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def both(name, **settings):
    """Fit scikit-learn's and ours to the same rows with the same settings."""
    X, y = SETS[name](return_X_y=True)
    kind = "MLPRegressor" if name == "diabetes" else "MLPClassifier"
    fitted = []
    for module in (theirs, pellucid):
        estimator = getattr(module, kind)(max_iter=20, random_state=7, **settings)
        fitted.append(estimator.fit(scale(X), y))
    return *fitted, scale(X), y


def largest_difference(a, b):
    """The largest difference of any parameter array, relative to its largest entry."""
    pairs = zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True)
    return max(np.abs(u - v).max() / np.abs(u).max() for u, v in pairs)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(
    "settings",
    [
        {"solver": "adam"},
        {"solver": "sgd"},
        {"solver": "sgd", "nesterovs_momentum": False, "activation": "logistic"},
        {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.2},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 1},
        {"solver": "adam", "early_stopping": True, "activation": "tanh"},
        {"solver": "adam", "hidden_layer_sizes": (9, 5), "batch_size": 7, "alpha": 0.1},
        {"solver": "adam", "shuffle": False, "activation": "identity"},
    ],
    ids=str,
)
def test_the_numbers_are_those_of_scikit_learn(name, settings):
    a, b, X, _ = both(name, **settings)
    assert largest_difference(a, b) < 1e-9
    assert a.n_iter_ == b.n_iter_
    assert a.t_ == b.t_
    np.testing.assert_allclose(a.loss_curve_, b.loss_curve_, rtol=1e-8)
    np.testing.assert_allclose(a.predict(X), b.predict(X), rtol=1e-9)
    if "early_stopping" in settings:
        np.testing.assert_allclose(a.validation_scores_, b.validation_scores_, rtol=1e-9)


@pytest.mark.parametrize("name", SETS)
def test_lbfgs_scores_as_scikit_learn(name):
    a, b, X, y = both(name, solver="lbfgs")
    assert abs(a.score(X, y) - b.score(X, y)) < 1e-3
    assert a.n_iter_ == b.n_iter_


def test_sample_weights_give_scikit_learns_numbers():
    X, y = load_wine(return_X_y=True)
    w = np.random.RandomState(0).rand(len(y)) + 0.1
    fitted = [
        module.MLPClassifier(max_iter=20, random_state=0).fit(scale(X), y, sample_weight=w)
        for module in (theirs, pellucid)
    ]
    assert largest_difference(*fitted) < 1e-9


def test_multi_output_regression_keeps_the_gradient_and_reports_the_sum():
    X, y = make_regression(100, 4, n_targets=3, random_state=0)
    settings = {"max_iter": 20, "random_state": 0, "alpha": 0}
    a, b = (module.MLPRegressor(**settings).fit(X, scale(y)) for module in (theirs, pellucid))
    assert largest_difference(a, b) < 1e-9
    np.testing.assert_allclose(b.loss_curve_, 3 * np.array(a.loss_curve_))


def test_the_reported_loss_is_what_is_minimised():
    X, y = load_diabetes(return_X_y=True)
    X, y = X[:50], scale(y[:50])
    reg = MLPRegressor((5,), max_iter=3, random_state=0, solver="sgd", alpha=0.3).set_params(
        hidden_layer_sizes=(5,), loss="squared_error"
    )
    reg.fit(X, y)
    J = reg.network_.loss(X.T, y, "half_squared_error", l2=0.3 / 50)
    reg.set_params(max_iter=1, warm_start=True).fit(X, y)  # the cost before its first update
    assert reg.loss_ == pytest.approx(J, rel=1e-12)


def test_float32_stays_float32_and_dtype_overrides():
    X, y = load_iris(return_X_y=True)
    clf = MLPClassifier((4,), max_iter=5, random_state=0).fit(X.astype(np.float32), y)
    assert {c.dtype for c in clf.coefs_ + clf.intercepts_} == {np.dtype("float32")}
    assert clf.predict_proba(X.astype(np.float32)).dtype == np.float32
    clf = MLPClassifier((4,), max_iter=5, random_state=0, dtype="float32").fit(X, y)
    assert clf.coefs_[0].dtype == np.float32


def test_writing_into_coefs_counts_and_replacing_them_too():
    X, y = load_iris(return_X_y=True)
    clf = MLPClassifier((4,), max_iter=5, random_state=0).fit(X, y)
    before = clf.predict_proba(X[:1])
    clf.coefs_[0][0, 0] += 1
    changed = clf.predict_proba(X[:1])
    assert not np.array_equal(before, changed)
    clf.network_.W[1][0, 0] -= 1
    np.testing.assert_allclose(clf.predict_proba(X[:1]), before)
    clf.coefs_[1] = np.zeros_like(clf.coefs_[1])
    clf.intercepts_[1] = np.zeros_like(clf.intercepts_[1])
    np.testing.assert_allclose(clf.predict_proba(X[:1]), 1 / 3)
    assert clf.coefs_[0].flags.c_contiguous
    assert clf.network_.W[1].flags.f_contiguous


def test_pickle_joblib_and_clone():
    X, y = load_iris(return_X_y=True)
    clf = MLPClassifier((4,), max_iter=5, random_state=0, activation=LeakyReLU(0.2)).fit(X, y)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    scores = joblib.Parallel(n_jobs=2)(joblib.delayed(clf.score)(X, y) for _ in range(2))
    assert scores == [clf.score(X, y)] * 2
    assert clone(clf).get_params() == clf.get_params()


def test_in_a_pipeline_and_a_grid_search():
    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(
        StandardScaler(), MLPClassifier(learning_rate_init=0.03, max_iter=40, random_state=0)
    )
    grid = {"mlpclassifier__hidden_layer_sizes": [(3,), (20,)]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.7


@pytest.mark.parametrize("name", [n for n, g in ACTIVATIONS.items() if not g.output_only])
def test_every_hidden_activation(name):
    X, y = load_iris(return_X_y=True)
    settings = {"max_iter": 100, "learning_rate_init": 0.02, "random_state": 0}
    clf = MLPClassifier((8,), name, **settings).fit(scale(X), y)
    assert clf.score(scale(X), y) > 0.85


def test_a_list_of_activations():
    X, y = load_iris(return_X_y=True)
    clf = MLPClassifier((5, 4), ["tanh", LeakyReLU(0.2)], max_iter=2, random_state=0).fit(X, y)
    assert [k.activation.name for k in clf.network_.layers] == ["tanh", "leaky_relu", "softmax"]
    with pytest.raises(ValueError, match="activation has 2 entries for 1 hidden layers"):
        MLPClassifier((5,), ["tanh", "relu"]).fit(X, y)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer(name):
    X, y = load_iris(return_X_y=True)
    rate = {"gradient_descent": 0.3, "momentum": 0.3}.get(name, 0.02)
    clf = MLPClassifier(
        (8,), optimizer=name, learning_rate_init=rate, max_iter=100, batch_size=30, random_state=0
    ).fit(scale(X), y)
    assert clf.score(scale(X), y) > 0.85


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_and_initializer_runs(name):
    X, y = load_iris(return_X_y=True)
    for start in INITIALIZERS:
        clf = MLPClassifier((4,), schedule=name, initializer=start, max_iter=3, random_state=0).fit(
            X, y
        )
        assert np.isfinite(clf.loss_)
    rates = clf.history_["learning_rate"]
    assert (len(rates) == 3 and (name != "step") == (len(set(rates)) > 1)) or name in (
        "constant",
        "reduce_on_plateau",
        "warm_up",
        "step",
    )


@pytest.mark.parametrize("name", [n for n, loss in LOSSES.items() if loss.targets == "real"])
def test_every_regression_loss(name):
    X, y = load_diabetes(return_X_y=True)
    reg = MLPRegressor(name, (8,), max_iter=300, learning_rate_init=0.01, random_state=0)
    reg.fit(scale(X), scale(y))
    assert reg.score(scale(X), scale(y)) > 0.4


def test_quantile_regression_covers():
    X = np.random.RandomState(0).uniform(0, 1, (2000, 1))
    y = X[:, 0] + np.random.RandomState(1).normal(0, 1, 2000)
    reg = MLPRegressor(Quantile(q=0.9), (8,), max_iter=60, learning_rate_init=0.01, random_state=0)
    assert np.mean(y <= reg.fit(X, y).predict(X)) == pytest.approx(0.9, abs=0.02)


def test_classifier_with_squared_error():
    X, y = load_iris(return_X_y=True)
    clf = MLPClassifier(
        (8,), loss="mean_squared_error", max_iter=200, learning_rate_init=0.02, random_state=0
    ).fit(scale(X), y)
    assert clf.out_activation_ == "softmax"
    assert clf.score(scale(X), y) > 0.9


def test_class_weight_moves_the_boundary():
    rng = np.random.RandomState(0)
    X = np.concatenate([rng.normal(0, 1, (190, 1)), rng.normal(1, 1, (10, 1))])
    y = np.array(["common"] * 190 + ["rare"] * 10)
    settings = {"hidden_layer_sizes": (4,), "solver": "lbfgs", "random_state": 0}
    found = {
        weight: np.mean(
            MLPClassifier(class_weight=given, **settings).fit(X, y).predict(X) == "rare"
        )
        for weight, given in {
            "none": None,
            "balanced": "balanced",
            "given": {"rare": 19, "common": 1},
        }.items()
    }
    assert found["none"] < 0.05 < 0.2 < found["balanced"]
    assert found["given"] == pytest.approx(found["balanced"], abs=0.05)


def test_validation_data_gives_a_curve_and_early_stopping_uses_it():
    X, y = load_digits(return_X_y=True)
    X = X / 16
    clf = MLPClassifier((30,), max_iter=8, random_state=0)
    clf.fit(X[:1000], y[:1000], validation_data=(X[1000:], y[1000:]))
    assert len(clf.validation_loss_curve_) == len(clf.loss_curve_) == 8
    final = clf.network_.loss(X[1000:].T, y[1000:], "categorical_cross_entropy")
    assert clf.validation_loss_curve_[-1] == pytest.approx(final)
    assert clf.validation_scores_ is None
    clf = MLPClassifier((30,), early_stopping=True, random_state=0, max_iter=40)
    clf.fit(X[:1000], y[:1000], validation_data=(X[1000:], y[1000:]))
    assert clf.score(X[1000:], y[1000:]) == max(clf.validation_scores_)
    with pytest.raises(ValueError, match="y holds 77, which is not one of"):
        clf.fit(X[:1000], y[:1000], validation_data=(X[1000:], np.full(797, 77)))


def test_dropout_and_its_seed():
    X, y = load_digits(return_X_y=True)
    settings = {"hidden_layer_sizes": (30, 20), "max_iter": 3, "random_state": 3}
    a, b = (MLPClassifier(dropout=[0.5, 0.2], **settings).fit(X, y) for _ in range(2))
    assert largest_difference(a, b) == 0
    without = MLPClassifier(**settings).fit(X, y)
    assert largest_difference(a, without) > 1e-3
    assert np.array_equal(a.predict_proba(X[:5]), a.predict_proba(X[:5]))


def test_callbacks_see_the_run():
    class Watch(Callback):
        def __init__(self):
            self.steps, self.epochs = 0, []

        def on_batch_end(self, run, step, J):
            self.steps += 1

        def on_epoch_end(self, run):
            self.epochs.append(run.epoch)
            if run.epoch == 3:
                run.stop("seen enough")

    X, y = load_iris(return_X_y=True)
    watch = Watch()
    clf = MLPClassifier((4,), callbacks=[watch], batch_size=50, random_state=0).fit(X, y)
    assert watch.epochs == [1, 2, 3]
    assert watch.steps == 9
    assert clf.n_iter_ == 3
    assert clf.history_.message == "seen enough"


def test_hidden_activations_and_input_gradients():
    X, y = load_iris(return_X_y=True)
    clf = MLPClassifier((5, 4), "tanh", max_iter=5, random_state=0).fit(X, y)
    first, second = clf.hidden_activations(X)
    np.testing.assert_allclose(first, np.tanh(X @ clf.coefs_[0] + clf.intercepts_[0]))
    assert second.shape == (150, 4)
    dX = clf.input_gradients(X, y)
    step, moved = 1e-6, X.copy()
    moved[:, 2] += step
    P, Q = (np.log(clf.predict_proba(rows)[np.arange(150), y]) for rows in (X, moved))
    np.testing.assert_allclose(dX[:, 2], (P - Q) / step, rtol=1e-3, atol=1e-5)
    reg = MLPRegressor(hidden_layer_sizes=(4,), max_iter=5, random_state=0).fit(X, y)
    assert reg.input_gradients(X, y).shape == X.shape


def test_sparse_rows_give_the_same_model():
    X, y = load_digits(return_X_y=True)
    fitted = [
        MLPClassifier((10,), max_iter=3, random_state=0).fit(kind(X), y)
        for kind in (np.asarray, scipy.sparse.csr_matrix, scipy.sparse.csc_array)
    ]
    assert largest_difference(fitted[0], fitted[1]) < 1e-12
    assert largest_difference(fitted[0], fitted[2]) < 1e-12


def test_partial_fit_goes_on_with_the_optimizers_memory():
    X, y = load_iris(return_X_y=True)
    settings = {"hidden_layer_sizes": (6,), "random_state": 0, "batch_size": 150, "shuffle": False}
    clf = MLPClassifier(max_iter=5, **settings).fit(X, y)
    step_by_step = MLPClassifier(**settings)
    for _ in range(5):
        step_by_step.partial_fit(X, y, classes=[0, 1, 2])
    assert largest_difference(clf, step_by_step) == 0
    multilabel = MLPClassifier((6,), random_state=0)
    X, Y = make_multilabel_classification(50, random_state=0)
    assert multilabel.partial_fit(X, Y, classes=[0, 1, 2, 3, 4]).predict(X).shape == Y.shape
    for solver_is_lbfgs in (MLPRegressor(solver="lbfgs"), MLPClassifier(optimizer="lbfgs")):
        assert not hasattr(solver_is_lbfgs, "partial_fit")


def fitted_examples():
    X, y = load_iris(return_X_y=True)
    names = np.array(["a", "b", "c"])
    yield MLPClassifier((4,), max_iter=2, random_state=0, dropout=0.1).fit(X, names[y]), X
    yield MLPClassifier((4,), max_iter=2, activation=[LeakyReLU(0.3)]).fit(X, y == 1), X
    yield (
        MLPClassifier(
            (4,),
            max_iter=2,
            optimizer=Momentum(0.8),
            class_weight={"a": 1.5},
            n_iter_no_change=np.inf,
            gradient_clip=("value", 0.5),
        ).fit(X, names[y].astype(object)),
        X,
    )
    yield MLPRegressor(max_iter=2, loss=Quantile(0.8), early_stopping=True).fit(X, y), X
    Xm, Ym = make_multilabel_classification(60, random_state=0)
    yield MLPClassifier((4, 3), max_iter=2).fit(Xm, Ym), Xm


@pytest.mark.parametrize("number", range(5))
def test_save_and_load(number, tmp_path):
    estimator, X = list(fitted_examples())[number]
    estimator.save(tmp_path / "m.pellucid")
    again = pellucid.load(tmp_path / "m.pellucid")
    np.testing.assert_array_equal(again.predict(X), estimator.predict(X))
    if hasattr(estimator, "predict_proba"):
        np.testing.assert_array_equal(again.predict_proba(X), estimator.predict_proba(X))
    for name in ("loss_curve_", "n_iter_", "validation_scores_", "n_features_in_"):
        assert getattr(again, name) == getattr(estimator, name)
    assert again.get_params().keys() == estimator.get_params().keys()
    with pytest.raises(FileExistsError, match=r"m\.pellucid"):
        estimator.save(tmp_path / "m.pellucid")


def test_every_wrong_parameter_is_named_at_once():
    X, y = load_iris(return_X_y=True)
    clf = MLPClassifier(
        (0,), "rellu", solver="adm", alpha=-1, max_iter=0, dropout=1, n_threads=0, dtype="int8"
    )
    with pytest.raises(ValueError, match=r"(?s)did you mean 'relu'.*did you mean 'adam'") as caught:
        clf.fit(X, y)
    message = str(caught.value)
    for name in ("hidden_layer_sizes", "alpha", "max_iter", "dropout", "n_threads", "dtype"):
        assert f"{name} must be" in message
    assert "got -1" in message
    assert message.startswith("MLPClassifier: ")


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"activation": "softmax"}, "softmax is for the output layer"),
        ({"batch_size": "all"}, "batch_size must be 'auto' or a whole number"),
        ({"learning_rate": "cosine"}, "learning_rate must be one of 'constant'"),
        ({"learning_rate_init": 0}, "learning_rate_init must be a positive number"),
        ({"validation_fraction": 1.0}, "validation_fraction must be at least 0 and below 1"),
        ({"shuffle": "yes"}, "shuffle must be True or False"),
        ({"loss": "hinge"}, "unknown loss 'hinge'"),
        ({"class_weight": "equal"}, "class_weight must be None, 'balanced' or a dict"),
        ({"initializer": "glorot_uniforn"}, "did you mean 'glorot_uniform'"),
        ({"optimizer": "addam"}, "did you mean 'adam'"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"gradient_clip": -1}, "gradient_clip must be a positive number"),
        ({"callbacks": ["print"]}, "callbacks must be pellucid.Callback objects; got 'print'"),
        ({"engine": "warp"}, "engine must be one of 'auto', 'fused', 'reference'"),
        ({"n_iter_no_change": 0}, "n_iter_no_change must be inf or a whole number"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_wrong_parameters(settings, match):
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=match):
        MLPClassifier(**settings).fit(X, y)


def test_going_on_with_other_sizes_is_refused():
    X, y = load_iris(return_X_y=True)
    clf = MLPClassifier((4,), warm_start=True, max_iter=2, random_state=0).fit(X, y)
    clf.set_params(hidden_layer_sizes=(5,))
    with pytest.raises(ValueError, match=r"sizes \[4, 4, 3\], but is asked for \[4, 5, 3\]"):
        clf.fit(X, y)


def test_warnings_point_at_the_line_that_called_fit():
    X, y = load_iris(return_X_y=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        MLPClassifier((4,), max_iter=2, random_state=0).fit(X, y)
    assert [w.category for w in caught] == [ConvergenceWarning]
    assert caught[0].filename == __file__


def test_divergence_says_so():
    X, y = load_diabetes(return_X_y=True)
    reg = MLPRegressor(solver="sgd", learning_rate_init=10.0, activation="identity", random_state=0)
    with pytest.raises(ValueError, match=r"non-finite parameter weights.*diverged at step"):
        reg.fit(scale(X), y)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_keeps_what_was_learned():
    class Interrupt(Callback):
        def on_epoch_end(self, run):
            if run.epoch == 2:
                raise KeyboardInterrupt

    X, y = load_iris(return_X_y=True)
    clf = MLPClassifier((4,), callbacks=[Interrupt()], random_state=0)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        clf.fit(X, y)
    assert clf.n_iter_ == 2
    assert clf.predict(X).shape == (150,)
