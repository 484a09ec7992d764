"""train(): mini-batches, stopping, callbacks, divergence, interruption, checkpoints."""

import os
import runpy
import signal
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_digits

import pellucid
from pellucid import Callback, Dense, EarlyStopping, Network, Scale, train
from pellucid.losses import loss as find_loss
from pellucid.losses import one_hot
from pellucid.optimizers import OPTIMIZERS
from pellucid.persistence import load_checkpoint
from pellucid.schedules import SCHEDULES
from pellucid.training import DivergenceWarning

CCE = "categorical_cross_entropy"


@pytest.fixture(scope="module")
def digits():
    rows, labels = load_digits(return_X_y=True)
    return rows[:600].T / 16, labels[:600]


def digit_network(**settings):
    settings = {"n_inputs": 64, "seed": 0, "dtype": "float64"} | settings
    return Network([Dense(12, "relu", dropout=0.1), Dense(10, "softmax")], **settings)


def same(a, b):
    return all(np.array_equal(a.parameters[name], b.parameters[name]) for name in a.parameters)


def test_training_learns_and_records_every_curve(digits):
    X, y = digits
    net = digit_network()
    history = train(
        net, X, y, loss=CCE, epochs=40, metrics=["accuracy"], validation_fraction=0.2, l2=1e-4
    )
    assert history.epochs == 40
    assert set(history.curves) == {"loss", "learning_rate", "accuracy", "val_loss", "val_accuracy"}
    assert {len(curve) for curve in history.curves.values()} == {40}
    assert history["val_accuracy"][-1] > 0.8
    assert history["loss"][-1] < history["loss"][0] / 3
    assert (history.stopped, history.message) == ("finished", "all 40 epochs done")
    assert history.engine in ("fused", "reference")
    assert history.best_epoch == 40
    assert history.settings["validation_examples"] == 120
    assert history.settings["examples"] == 480


def test_the_loss_of_an_epoch_is_J_before_each_update(digits):
    X, y = digits
    net = Network([Dense(10, "softmax")], 64, seed=1, dtype="float64")
    J = net.loss(X, y, CCE, l1=0.01, l2=0.1)
    history = train(net, X, y, loss=CCE, batch_size=None, epochs=1, l1=0.01, l2=0.1)
    assert history["loss"] == [pytest.approx(J, rel=1e-12)]


@pytest.mark.parametrize("batch_size", [1, 7, 32, None])
def test_batch_sizes_shuffled_or_not(digits, batch_size):
    X, y = digits[0][:, :50], digits[1][:50]
    steps = []

    class Count(Callback):
        def on_batch_end(self, run, step, J):
            steps.append(step)

    net = digit_network()
    train(net, X, y, loss=CCE, batch_size=batch_size, epochs=2, callbacks=[Count()])
    per_epoch = -(-50 // (batch_size or 50))
    assert steps == [*range(per_epoch)] * 2
    silent = digit_network()
    train(silent, X, y, loss=CCE, batch_size=batch_size, epochs=2)
    assert same(net, silent)
    ordered = digit_network()
    train(ordered, X, y, loss=CCE, batch_size=batch_size, epochs=2, shuffle=False)
    assert not same(net, ordered)


def test_an_order_of_ones_own(digits):
    X, y = digits
    a, b = digit_network(), digit_network()
    train(a, X, y, loss=CCE, epochs=2, shuffle=lambda epoch: np.arange(600))
    train(b, X, y, loss=CCE, epochs=2, shuffle=False)
    assert same(a, b)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(digits):
    X, y = digits
    nets = [digit_network() for _ in range(3)]
    for net, seed in zip(nets, [5, 5, 6], strict=True):
        train(net, X, y, loss=CCE, epochs=3, seed=seed)
    assert same(nets[0], nets[1])
    assert not same(nets[0], nets[2])


def test_sparse_and_either_memory_order_give_the_same_bits(digits):
    X, y = digits
    nets = [digit_network() for _ in range(4)]
    kinds = [
        np.ascontiguousarray,
        np.asfortranarray,
        scipy.sparse.csr_array,
        scipy.sparse.csc_array,
    ]
    for net, kind in zip(nets, kinds, strict=True):
        train(net, kind(X), y, loss=CCE, epochs=2)
    assert same(nets[0], nets[1])
    assert same(nets[2], nets[3])
    assert same(nets[0], nets[2])


def test_integer_and_float32_inputs_are_converted_batch_by_batch(digits):
    X, y = digits
    a, b = digit_network(), digit_network()
    train(a, (X * 16).astype(np.uint8), y, loss=CCE, epochs=2)
    train(b, (X * 16).astype(np.float32), y, loss=CCE, epochs=2)
    assert same(a, b)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_lowers_J(digits, name):
    X, y = digits
    net = Network([Scale(), Dense(12, "tanh"), Dense(10, "softmax")], 64, seed=0)
    before = net.loss(X, y, CCE)
    train(net, X, y, loss=CCE, optimizer=name, epochs=10)
    assert net.loss(X, y, CCE) < 0.8 * before


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_is_recorded(digits, name):
    X, y = digits
    history = train(
        digit_network(), X, y, loss=CCE, epochs=4, learning_rate=0.01, schedule=name, batch_size=100
    )
    rates = SCHEDULES[name]().factor(np.arange(24), steps_per_epoch=6, total=24) * 0.01
    np.testing.assert_allclose(history["learning_rate"], rates[5::6])


def test_reduce_on_plateau_listens():
    net = Network([Dense(1, "identity")], 1, "zeros", seed=0)
    X, Y = np.ones((1, 4)), np.zeros(4)
    history = train(net, X, Y, loss="mse", epochs=12, schedule="reduce_on_plateau")
    assert history["learning_rate"][0] == 0.001
    assert history["learning_rate"][-1] == pytest.approx(0.001 * 0.2**2)


def test_early_stopping_restores_the_best(digits):
    X, y = digits
    net = digit_network()
    history = train(
        net, X, y, loss=CCE, epochs=500, learning_rate=0.02, validation_fraction=0.3,
        early_stopping=4,
    )  # fmt: skip
    curve = history["val_loss"]
    assert history.stopped == "early_stopping"
    assert "val_loss has not improved" in history.message
    assert history.best_epoch == int(np.argmin(curve)) + 1 == len(curve) - 4
    held_out = {"validation_fraction": 0.3, "epochs": 1, "learning_rate": 1e-30}
    again = train(net, X, y, loss=CCE, **held_out)
    assert again["val_loss"][0] == pytest.approx(min(curve), rel=1e-12)


def test_early_stopping_on_a_metric_where_more_is_better(digits):
    X, y = digits
    history = train(
        digit_network(), X, y, loss=CCE, epochs=100, metrics=["accuracy"],
        validation_data=(X[:, :100], y[:100]),
        early_stopping=EarlyStopping(patience=3, monitor="val_accuracy", restore_best=False),
    )  # fmt: skip
    best = int(np.argmax(history["val_accuracy"])) + 1
    assert history.stopped == "early_stopping"
    assert history.epochs == best + 3
    assert history.best_epoch == history.epochs


def test_callbacks_are_called_in_order(digits):
    X, y = digits
    calls = []

    class Recorder(Callback):
        def on_train_begin(self, run):
            calls.append("train")

        def on_epoch_begin(self, run):
            calls.append(f"epoch {run.epoch}")

        def on_batch_end(self, run, step, J):
            calls.append(f"step {step}")
            assert np.isfinite(J)

        def on_epoch_end(self, run):
            calls.append(f"end {run.epoch}")
            if run.epoch == 2:
                run.stop("twice is enough")

        def on_train_end(self, run):
            calls.append("done")

    history = train(
        digit_network(), X, y, loss=CCE, batch_size=400, epochs=9, callbacks=[Recorder()]
    )
    epoch = ["step 0", "step 1"]
    assert calls == ["train", "epoch 0", *epoch, "end 1", "epoch 1", *epoch, "end 2", "done"]
    assert (history.stopped, history.message) == ("callback", "twice is enough")


def test_a_callback_may_stop_within_an_epoch(digits):
    X, y = digits

    class Stop(Callback):
        def on_batch_end(self, run, step, J):
            if step == 1:
                run.stop("in the middle")

    history = train(digit_network(), X, y, loss=CCE, batch_size=100, callbacks=[Stop()])
    assert (history.stopped, history.message, history.epochs) == ("callback", "in the middle", 0)


def test_weights_count_as_repetitions(digits):
    X, y = digits[0][:, :40], digits[1][:40]
    w = np.arange(40) % 3
    a, b = (Network([Dense(10, "softmax")], 64, seed=0, dtype="float64") for _ in range(2))
    settings = {"loss": CCE, "batch_size": None, "epochs": 20, "optimizer": "sgd", "l2": 0.01}
    train(a, X, y, sample_weight=w, **settings)
    train(b, np.repeat(X, w, axis=1), np.repeat(y, w), **settings)
    np.testing.assert_allclose(a.W[1], b.W[1], rtol=1e-10)


def test_class_weights_are_sample_weights(digits):
    X, y = digits
    a, b, c = (digit_network() for _ in range(3))
    counts = np.bincount(y)
    factors = dict(enumerate(600 / (10 * counts)))
    train(a, X, y, loss=CCE, epochs=2, class_weight="balanced")
    train(b, X, y, loss=CCE, epochs=2, class_weight=factors)
    train(c, X, one_hot(y, 10, float), loss=CCE, epochs=2, sample_weight=600 / (10 * counts[y]))
    assert same(a, b)
    assert same(a, c)


def test_label_smoothing_minimises_the_smoothed_loss(digits):
    X, y = digits
    net = Network([Dense(10, "softmax")], 64, seed=0, dtype="float64")
    smoothed = find_loss(CCE).smoothed(one_hot(y, 10, float), 0.1)
    J = net.loss(X, smoothed, CCE)
    history = train(net, X, y, loss=CCE, epochs=1, batch_size=None, label_smoothing=0.1)
    assert history["loss"][0] == pytest.approx(J, rel=1e-12)


def test_lbfgs_counts_iterations(digits):
    X, y = digits
    net = Network([Dense(10, "softmax")], 64, seed=0, dtype="float64")
    history = train(net, X, y, loss=CCE, optimizer="lbfgs", l2=1e-3, epochs=200)
    assert history.stopped in ("converged", "finished")
    assert 5 < history.epochs <= 200
    gradients = net.backward(net.forward(X, cache=True), y, CCE, l2=1e-3)
    assert np.abs(gradients.dW[1]).max() < 1e-3
    assert history["loss"][-1] == pytest.approx(net.loss(X, y, CCE, l2=1e-3))
    stopped = train(net, X, y, loss=CCE, optimizer="lbfgs", epochs=3)
    assert stopped.epochs == 3
    assert stopped.stopped == "finished"


def test_a_second_call_goes_on(digits):
    X, y = digits
    net = digit_network()
    first = train(net, X, y, loss=CCE, epochs=3)
    second = train(net, X, y, loss=CCE, epochs=3, seed=1)
    assert second["loss"][0] < first["loss"][-1] * 1.2


@pytest.mark.parametrize("rate", [1e8, 1e30])
def test_divergence_keeps_the_last_good_parameters(digits, rate):
    X, y = digits
    net = Network([Dense(8, "relu"), Dense(1, "identity")], 64, seed=0)
    train(net, X, y, loss="mse", epochs=1)
    good = net.copy()
    with pytest.warns(DivergenceWarning, match=r"diverged at step \d+ of epoch 1.*learning rate"):
        history = train(net, X, y, loss="mse", optimizer="sgd", learning_rate=rate)
    assert history.stopped == "diverged"
    assert same(net, good)


def test_the_warning_of_divergence_points_at_the_caller(digits):
    X, y = digits
    net = Network([Dense(1, "identity")], 64, seed=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(net, X, y, loss="mse", optimizer="sgd", learning_rate=1e30)
    assert caught[0].filename == __file__


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_after_a_step(digits):
    X, y = digits
    before = signal.getsignal(signal.SIGINT)

    class PressCtrlC(Callback):
        def on_epoch_end(self, run):
            if run.epoch == 3:
                os.kill(os.getpid(), signal.SIGINT)

    net = digit_network()
    history = train(net, X, y, loss=CCE, epochs=1000, callbacks=[PressCtrlC()])
    assert history.stopped == "interrupted"
    assert 3 <= history.epochs <= 4
    assert "what was learned is kept" in history.message
    assert signal.getsignal(signal.SIGINT) is before
    assert np.isfinite(net.W[1]).all()


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_the_second_ctrl_c_leaves_with_the_parameters_of_the_last_epoch(digits, optimizer):
    X, y = digits
    kept = {}

    class PressTwice(Callback):
        def on_epoch_end(self, run):
            kept.update(run.network.copy_parameters())
            if run.epoch == 3:
                os.kill(os.getpid(), signal.SIGINT)
                run.network.W[1][:] = np.nan
                os.kill(os.getpid(), signal.SIGINT)

    net = Network([Dense(6, "tanh"), Dense(10, "softmax")], 64, seed=0)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(net, X, y, loss=CCE, optimizer=optimizer, epochs=1000, callbacks=PressTwice())
    assert signal.getsignal(signal.SIGINT) is before
    assert all(np.array_equal(net.parameters[name], kept[name]) for name in kept)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_the_second_ctrl_c_amid_an_epoch_undoes_what_it_did_so_far(digits, engine):
    X, y = digits
    kept = {}

    class PressTwice(Callback):
        def on_epoch_end(self, run):
            kept.update(run.network.copy_parameters())

        def on_batch_end(self, run, step, J):
            if run.epoch == 2 and step == 3:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)

    net = Network([Dense(6, "tanh"), Dense(10, "softmax")], 64, seed=0)
    with pytest.raises(KeyboardInterrupt):
        train(net, X, y, loss=CCE, epochs=9, batch_size=100, callbacks=PressTwice(), engine=engine)
    assert all(np.array_equal(net.parameters[name], kept[name]) for name in kept)


class StopAt(Callback):
    """Ends a training as a crash would: without a word to anybody."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, run):
        if run.epoch == self.epoch:
            raise RuntimeError("power cut")


RESUMABLE = {
    "adam, dropout": {"optimizer": "adam"},
    "nesterov, plateau": {"optimizer": "nesterov", "schedule": "reduce_on_plateau"},
    "early stopping": {"early_stopping": 3, "validation_fraction": 0.3, "learning_rate": 0.02},
    "cosine, weights": {"schedule": "cosine", "class_weight": "balanced", "l1": 1e-4},
    "rmsprop, clipped": {"optimizer": "rmsprop", "gradient_clip": 0.5, "metrics": ["accuracy"]},
}


@pytest.mark.parametrize("settings", RESUMABLE.values(), ids=RESUMABLE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_resume_gives_the_bits_of_an_unbroken_training(digits, tmp_path, settings, dtype):
    X, y = digits
    settings = {"loss": CCE, "epochs": 12, "seed": 3} | settings
    unbroken, broken = digit_network(dtype=dtype), digit_network(dtype=dtype)
    expected = train(unbroken, X, y, **settings)
    with pytest.raises(RuntimeError, match="power cut"):
        train(
            broken, X, y, checkpoint=tmp_path / "c", checkpoint_every=3, callbacks=[StopAt(8)],
            **settings,
        )  # fmt: skip
    fresh = digit_network(seed=99, dtype=dtype)
    history = train(fresh, X, y, resume=tmp_path / "c", **settings)
    assert same(fresh, unbroken)
    assert history.curves == expected.curves
    assert (history.stopped, history.best_epoch) == (expected.stopped, expected.best_epoch)


def test_resume_after_a_kill(tmp_path):
    script = textwrap.dedent(
        """
        import sys
        import numpy as np
        from pellucid import Callback, Dense, Network, train

        class Tell(Callback):
            def on_epoch_end(self, run):
                print(run.epoch, flush=True)

        def network():
            return Network([Dense(6, "tanh", dropout=0.2), Dense(1, "sigmoid")], 5, seed=1)

        X = np.sin(np.arange(5 * 400)).reshape(5, 400)
        Y = X[0] * X[1] > 0
        if __name__ == "__main__":
            train(network(), X, Y, loss="bce", epochs=100_000, schedule="exponential",
                  checkpoint=sys.argv[1], callbacks=[Tell()])
        """
    )
    path = tmp_path / "killed.py"
    path.write_text(script)
    process = subprocess.Popen(
        [sys.executable, path, tmp_path / "c"], stdout=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if int(line) >= 5:
            process.kill()
            break
    process.communicate()
    space = runpy.run_path(path, run_name="killed")
    _, training, _, _ = load_checkpoint(tmp_path / "c")
    epochs = training["epoch"] + 4
    settings = {"loss": "bce", "epochs": epochs, "schedule": "exponential"}
    nets = space["network"](), space["network"]()
    train(nets[0], space["X"], space["Y"], **settings)
    train(nets[1], space["X"], space["Y"], resume=tmp_path / "c", **settings)
    assert epochs >= 8
    assert same(*nets)


def test_resume_refuses_another_training(digits, tmp_path):
    X, y = digits
    settings = {"loss": CCE, "epochs": 2}
    train(digit_network(), X, y, checkpoint=tmp_path / "c", **settings)
    net = digit_network()
    before = net.copy()
    with pytest.raises(ValueError, match=r"was trained with batch_size = 32; this training has 16"):
        train(net, X, y, resume=tmp_path / "c", batch_size=16, **settings)
    with pytest.raises(ValueError, match=r"examples = 600; this training has 500"):
        train(net, X[:, :500], y[:500], resume=tmp_path / "c", **settings)
    with pytest.raises(ValueError, match=r"optimizer = 'adam'; this training has 'rmsprop'"):
        train(net, X, y, resume=tmp_path / "c", optimizer="rmsprop", **settings)
    for name, value in (
        ("learning_rate", 0.1), ("l1", 0.1), ("l2", 0.1), ("label_smoothing", 0.1),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"{name} = .*; this training has 0.1"):
            train(net, X, y, resume=tmp_path / "c", **{name: value}, **settings)
    for other, match in (
        ({"gradient_clip": 1.0}, "clip_norm = None; this training has 1.0"),
        ({"gradient_clip": ("value", 1.0)}, "clip_value = None; this training has 1.0"),
        ({"validation_data": (X[:, :9], y[:9])}, "validation_examples = 0; this training has 9"),
        (
            {"sample_weight": np.full(600, 2.0)},
            r"sample_weight \(crc32\) = None; this",
        ),
    ):
        with pytest.raises(ValueError, match=match):
            train(net, X, y, resume=tmp_path / "c", **other, **settings)
    with pytest.raises(ValueError, match=r"Y \(crc32\) = \d+; this training has \d+"):
        train(net, X, y[::-1], resume=tmp_path / "c", **settings)
    with pytest.raises(ValueError, match="lbfgs cannot be resumed"):
        train(net, X, y, resume=tmp_path / "c", optimizer="lbfgs", **settings)
    assert same(net, before)
    longer = train(net, X, y, resume=tmp_path / "c", loss=CCE, epochs=5)
    assert longer.epochs == 5


def test_a_finished_training_resumed_stays_as_it_was(digits, tmp_path):
    X, y = digits
    net = digit_network()
    settings = {"loss": CCE, "epochs": 400, "early_stopping": 2, "validation_fraction": 0.3}
    first = train(net, X, y, checkpoint=tmp_path / "c", learning_rate=0.05, **settings)
    assert first.stopped == "early_stopping"
    again = digit_network()
    second = train(again, X, y, resume=tmp_path / "c", learning_rate=0.05, **settings)
    assert second.curves == first.curves
    assert same(net, again)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"epochs": 0}, "epochs must be a whole number of 1 or more; got 0"),
        ({"batch_size": 0}, "batch_size must be a whole number of 1 or more, or None"),
        ({"learning_rate": -1}, "learning_rate must be a positive number, or None; got -1"),
        ({"l2": float("nan"), "l1": -1}, r"l1 must be a finite number of 0 or more; got -1\. l2"),
        ({"label_smoothing": 1}, "label_smoothing must be at least 0 and below 1; got 1"),
        ({"checkpoint_every": 0}, "checkpoint_every must be a whole number"),
        ({"loss": "cross"}, "unknown loss 'cross'"),
        ({"optimizer": "adm"}, r"did you mean 'adam'\?"),
        ({"schedule": "cosin"}, r"did you mean 'cosine'\?"),
        ({"metrics": ["acuracy"]}, r"did you mean 'accuracy'\?"),
        ({"engine": "refrence"}, r"did you mean 'reference'\?"),
        ({"gradient_clip": ("size", 1)}, r"gradient_clip must be a positive number"),
        ({"validation_fraction": 1.5}, "validation_fraction must be at least 0 and below 1"),
        ({"validation_fraction": 0.001}, "leaves 0 for validation and 50 for training"),
        ({"validation_data": (1,)}, r"validation_data must be \(Xv, Yv\), \(Xv, Yv, weights\) or"),
        ({"early_stopping": 0}, "patience must be 1 or more; got 0"),
        (
            {"early_stopping": EarlyStopping(monitor="val_loss")},
            "no curve 'val_loss'.* this training records loss",
        ),
        ({"sample_weight": np.ones(3)}, r"sample_weight must have shape \(m,\) = \(50,\)"),
        ({"sample_weight": -np.ones(50)}, "finite numbers of 0 or more"),
        ({"sample_weight": np.zeros(50)}, "0 for every example"),
        ({"class_weight": {11: 2}}, "must give classes 0 to 9 finite factors"),
        ({"class_weight": "equal"}, "must be a dict or 'balanced'; got 'equal'"),
        ({"n_threads": 0}, "n_threads must be a whole number of 1 or more, or None; got 0"),
        ({"seed": -1}, r"seed must be between 0 and 2\^64 - 1; got -1"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_wrong_arguments_change_nothing(digits, settings, match):
    X, y = digits[0][:, :50], digits[1][:50]
    net = digit_network()
    before = net.copy()
    with pytest.raises(ValueError, match=match):
        train(net, X, y, **({"loss": CCE} | settings))
    assert same(net, before)


def test_wrong_data():
    net = digit_network()
    X, y = np.zeros((64, 5)), np.arange(5)
    holed = X.copy()
    holed[3, 2] = np.nan
    with pytest.raises(ValueError, match=r"NaN or infinity, first at X\[3, 2\] \(input 3 of"):
        train(net, holed, y, loss=CCE)
    with pytest.raises(ValueError, match="X holds NaN or infinity"):
        train(net, scipy.sparse.csr_array(holed), y, loss=CCE)
    with pytest.raises(
        ValueError, match=r"X holds a number as large as 1e\+300; beyond 1.34e\+154"
    ):
        train(net, np.full((64, 5), -1e300), y, loss=CCE)
    with pytest.raises(ValueError, match=r"Y holds a number as large as 1e\+30; beyond 1.84e\+19"):
        train(Network([Dense(1, "identity")], 64, seed=0), X, np.full(5, 1e30), loss="mse")
    with pytest.raises(ValueError, match="X has no examples"):
        train(net, X[:, :0], y[:0], loss=CCE)
    with pytest.raises(ValueError, match=r"expects X of shape .* = \(64, m\); got \(5, 64\)"):
        train(net, X.T, y, loss=CCE)
    with pytest.raises(ValueError, match=r"Y must have shape \(n\[L\], m\) = \(10, 5\)"):
        train(net, X, y[:4], loss=CCE)


def test_threads_from_the_environment(digits, monkeypatch):
    X, y = digits
    monkeypatch.setenv("PELLUCID_NUM_THREADS", "two")
    with pytest.raises(ValueError, match="PELLUCID_NUM_THREADS must be 1 or more; got 'two'"):
        train(digit_network(), X, y, loss=CCE)
    monkeypatch.setenv("PELLUCID_NUM_THREADS", "1")
    assert train(digit_network(), X, y, loss=CCE, epochs=1).epochs == 1


def test_history_reads_well(digits):
    X, y = digits
    history = train(digit_network(), X, y, loss=CCE, epochs=2)
    assert repr(history).startswith("<History: 2 epochs, finished; last loss ")
    with pytest.raises(KeyError, match="no curve 'val_loss'; there are: loss, learning_rate"):
        history["val_loss"]
    assert pellucid.History.from_dict(history.to_dict()) == history
