"""train(): what its arguments may be, and what they do together."""

import threading
import warnings

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from pellucid import Callback, Dense, EarlyStopping, Network, Scale, train
from pellucid.losses import check_weights, one_hot
from pellucid.losses import loss as find_loss
from pellucid.metrics import METRICS
from pellucid.schedules import ReduceOnPlateau

CCE = "categorical_cross_entropy"


def data(m=60):
    X = np.sin(np.arange(4.0 * m)).reshape(4, m)
    return X, np.arange(m) % 3


def net(**settings):
    hidden = Dense(5, "tanh", **settings)
    return Network([hidden, Dense(3, "softmax")], 4, seed=0, dtype="float64")


def same(a, b):
    return all(np.array_equal(a.parameters[name], b.parameters[name]) for name in a.parameters)


# The curves and who listens to them ---------------------------------------------------------------


def test_plateaus_are_of_the_loss_even_where_a_metric_is_watched():
    X, y = data()
    history = train(
        net(), X, y, loss=CCE, epochs=30, optimizer="sgd", learning_rate=0.3, metrics="accuracy",
        schedule=ReduceOnPlateau(patience=2, min_delta=0.0), shuffle=False, batch_size=None,
        early_stopping=EarlyStopping(100, monitor="accuracy"),
    )  # fmt: skip
    assert (np.diff(history["loss"]) < 0).all()
    assert set(history["learning_rate"]) == {0.3}


def test_an_improvement_smaller_than_min_delta_is_none():
    X, y = data()
    settings = {"loss": CCE, "epochs": 40, "optimizer": "sgd", "learning_rate": 0.01}
    settings |= {"batch_size": None, "seed": 0}
    assert train(net(), X, y, early_stopping=3, **settings).stopped == "finished"
    history = train(net(), X, y, early_stopping=EarlyStopping(3, min_delta=0.5), **settings)
    assert (history.stopped, history.epochs, history.best_epoch) == ("early_stopping", 4, 1)


def test_resuming_goes_on_with_the_memory(tmp_path):
    X, y = data()
    settings = {"loss": CCE, "learning_rate": 1e-30, "early_stopping": 7, "optimizer": "sgd"}
    settings["shuffle"] = False  # in another order J is another sum
    train(net(), X, y, epochs=5, checkpoint=tmp_path / "c", **settings)
    history = train(net(), X, y, epochs=99, resume=tmp_path / "c", **settings)
    assert (history.stopped, history.epochs) == ("early_stopping", 8)


@pytest.mark.parametrize("name", METRICS)
def test_metrics_of_class_numbers_are_those_of_one_hot_columns(name):
    X, y = data()
    history = train(net(), X, y, loss=CCE, epochs=1, metrics=[name])
    hot = train(net(), X, one_hot(y, 3, float), loss=CCE, epochs=1, metrics=name)
    assert history[name] == hot[name]
    A = np.array([[0.5, 2.0]])
    assert METRICS[name](np.array([0, 1]), A) == METRICS[name](np.array([[0, 1]]), A)


# L-BFGS -------------------------------------------------------------------------------------------


def test_lbfgs_refuses_what_it_cannot_do():
    X, y = data()
    frozen = net(dropout=0.1, learning_rate_factor=0)
    before = frozen.copy()
    with pytest.raises(
        ValueError,
        match=r"lbfgs cannot use dropout .*, learning_rate_factor .*, schedule .*, gradient_clip",
    ):
        train(
            frozen, X, y, loss=CCE, optimizer="lbfgs", schedule="cosine", gradient_clip=("value", 1)
        )
    with pytest.raises(ValueError, match=r"lbfgs cannot use learning_rate_factor \(it has no le"):
        train(net(learning_rate_factor={"b": 0.5}), X, y, loss=CCE, optimizer="lbfgs")
    assert same(frozen, before)


def test_lbfgs_that_diverges_puts_the_parameters_back():
    X, y = data()

    class Broken(type(find_loss(CCE))):
        name = "broken"

        def value(self, Y, A):
            return super().value(Y, A) * np.nan

    network = net()
    before = network.copy()
    with pytest.warns(UserWarning, match="diverged: J or a parameter is no longer finite"):
        history = train(network, X, y, loss=Broken(), optimizer="lbfgs", engine="reference")
    assert history.stopped == "diverged"
    assert same(network, before)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_stopping_before_an_epoch_does_not_train_it(optimizer):
    X, y = data()
    seen = {}

    class Stop(Callback):
        def on_epoch_begin(self, run):
            if run.epoch == 2:
                seen.update(run.network.copy_parameters())
                run.stop("two are enough")

    network = net()
    history = train(network, X, y, loss=CCE, optimizer=optimizer, callbacks=[Stop()])
    assert (history.epochs, history.message) == (2, "two are enough")
    assert all(np.array_equal(network.parameters[name], seen[name]) for name in seen)


# Weights ------------------------------------------------------------------------------------------


def test_weights_that_a_dtype_cannot_hold():
    with pytest.raises(ValueError, match="sample_weight is 0 for every example in float32"):
        check_weights(np.full(3, 1e-60), 3, np.float32)
    with pytest.raises(ValueError, match="sample_weight is infinite in float32"):
        check_weights(np.full(3, 1e60), 3, np.float32)
    with pytest.raises(ValueError, match="infinite in float32, or its sum is"):
        check_weights(np.full(3, 3e38), 3, np.float32)


def test_weights_that_vanish_on_the_way():
    X, y = data()
    w = (y == 0).astype(float)
    with pytest.raises(ValueError, match="sample_weight times class_weight is 0 for every example"):
        train(net(), X, y, loss=CCE, sample_weight=w, class_weight={0: 0})
    w = np.zeros(60)
    w[0] = 1
    with pytest.raises(ValueError, match=r"sample_weight of the (training|validation) part is 0"):
        train(net(), X, y, loss=CCE, sample_weight=w, validation_fraction=0.5)


def test_class_weights_multiply_sample_weights():
    X, y = data()
    w = 1 + np.arange(60) % 2
    a, b = net(), net()
    train(a, X, y, loss=CCE, epochs=2, sample_weight=w, class_weight={0: 3, 2: 0.5})
    train(b, X, y, loss=CCE, epochs=2, sample_weight=w * np.array([3, 1, 0.5])[y])
    assert same(a, b)


# Losses and outputs -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("g", "loss", "n", "match"),
    [
        ("identity", "bce", 1, r"binary_cross_entropy is for the outputs sigmoid and hard_sigmoid"),
        ("relu", "cce", 3, r"output is relu. Write Dense\(3, 'softmax'\) as the last layer"),
        ("identity", "poisson", 1, "poisson is for the outputs exp and softplus"),
    ],
)
def test_an_output_that_does_not_fit_the_loss_is_told_once(g, loss, n, match):
    X, y = data()
    network = Network([Dense(n, g)], 4, seed=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(network, X, y if n > 1 else y % 2, loss=loss, epochs=3, learning_rate=1e-6)
    assert [each.filename for each in caught] == [__file__]
    with pytest.warns(UserWarning, match=match):
        train(network, X, y if n > 1 else y % 2, loss=loss, epochs=1, learning_rate=1e-6)


def test_a_prediction_that_is_no_number_is_refused():
    network = net()
    with pytest.raises(ValueError, match=r"A\[L\] is not finite: X holds NaN or infinity"):
        network.predict(np.full((4, 1), np.nan))


# X, and short forms -------------------------------------------------------------------------------


def test_boolean_and_small_integer_inputs():
    X, y = data()
    a, b = net(), net()
    train(a, X > 0, y, loss=CCE, epochs=1)
    train(b, (X > 0).astype(float), y, loss=CCE, epochs=1)
    assert same(a, b)
    train(a, np.full((4, 60), -128, np.int8), y, loss=CCE, epochs=1)
    with pytest.raises(ValueError, match=r"X holds a number as large as 1e\+30"):
        train(Network([Dense(3, "softmax")], 4, seed=0), X - 1e30, y, loss=CCE)


def test_short_forms():
    X, y = data()
    still = {"loss": CCE, "learning_rate": 1e-30, "shuffle": False}
    history = train(net(), X, y, epochs=200, early_stopping=True, **still)
    assert history.epochs == 1 + EarlyStopping().patience
    history = train(net(), X, y, loss=CCE, epochs=3, early_stopping=False, metrics="accuracy")
    assert history.epochs == len(history["accuracy"]) == 3

    class Watch(Callback):
        seen = 0

        def on_epoch_end(self, run):
            self.seen += 1

    watch = Watch()
    train(net(), X, y, loss=CCE, epochs=2, callbacks=watch)
    assert watch.seen == 2


@pytest.mark.parametrize(
    ("settings", "error", "match"),
    [
        ({"early_stopping": "yes"}, TypeError, "early_stopping must be a number of epochs .*'yes'"),
        ({"callbacks": [print]}, TypeError, "callbacks must be pellucid.Callback objects; got <bu"),
        ({"callbacks": 3}, TypeError, "callbacks must be pellucid.Callback objects; got 3"),
        ({"callbacks": Callback}, TypeError, r"got <class .*Make an object of it: add \(\)"),
        ({"metrics": 3}, ValueError, "unknown metric 3"),
        (
            {"learning_rate": "fast", "l1": None, "l2": "1", "n_threads": 1.5},
            ValueError,
            r"learning_rate must be .*'fast'\. l1 must .*None\. l2 must .*'1'\. n_threads must be "
            r"a whole number of 1 or more, or None; got 1\.5",
        ),
        ({"validation_fraction": "0.1"}, ValueError, "validation_fraction must be at least 0"),
        ({"gradient_clip": "1"}, ValueError, "gradient_clip must be a positive number"),
        ({"gradient_clip": ("norm", 1, 2)}, ValueError, "gradient_clip must be a positive number"),
        ({"class_weight": [1, 2]}, ValueError, r"must be a dict or 'balanced'; got \[1, 2\]"),
        ({"class_weight": {0: "1"}}, ValueError, "must give classes 0 to 2 finite factors"),
        ({"shuffle": "yes"}, TypeError, "shuffle must be True, False, or a function"),
        ({"shuffle": lambda epoch: range(59)}, ValueError, "each of the integers 0 to 59 once"),
        ({"shuffle": lambda epoch: np.zeros(60, int)}, ValueError, "each of the integers 0 to 59"),
        ({"shuffle": lambda epoch: np.arange(60.0)}, ValueError, "dtype float64"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_wrong_types_change_nothing(settings, error, match):
    X, y = data()
    network, before = net(), net()
    with pytest.raises(error, match=match):
        train(network, X, y, **({"loss": CCE} | settings))
    assert same(network, before)


@pytest.mark.parametrize("settings", [{"patience": "3"}, {"patience": True}, {"min_delta": "0"}])
def test_early_stopping_of_the_wrong_type(settings):
    with pytest.raises(TypeError, match=r"EarlyStopping: .* must be a number; got"):
        EarlyStopping(**settings)


# Threads ------------------------------------------------------------------------------------------


def test_python_threads_leave_blas_as_it_was():
    X, y = data()
    before = threadpool_info()

    class Slow(Callback):
        def on_batch_end(self, run, step, J):
            pass

    def fit():
        for _ in range(3):
            train(
                net(), X, y, loss=CCE, epochs=3, n_threads=1, engine="reference", callbacks=Slow()
            )

    threads = [threading.Thread(target=fit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert threadpool_info() == before


# Parameters ---------------------------------------------------------------------------------------


def test_parameters_of_any_order_are_put():
    network = Network([Scale(), Dense(3), Dense(2)], 4, seed=0)
    network.layers[1].parameters["W"] = np.ascontiguousarray(network.W[1])
    before = network.copy_parameters()
    network.W[1][:] = 7
    network.put_parameters(before)
    assert all(np.array_equal(network.parameters[name], before[name]) for name in before)
