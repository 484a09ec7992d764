"""What every training keeps for a diagnosis: the same bits learned, small, and no row saved."""

from __future__ import annotations

import io
import pickle
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from pellucid import (
    Dense,
    History,
    MLPClassifier,
    MLPRegressor,
    Network,
    TabularClassifier,
    diagnose,
    load,
    save,
    train,
)
from pellucid.insight import StatisticsCallback
from pellucid.training.measure import one_thread

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 400))
CURVED = (X[0] * X[1] > 0).astype(int)


def _watched(statistics: bool) -> tuple[Network, History]:
    net = Network([Dense(8), Dense(1, "sigmoid")], 3, seed=0)
    history = train(net, X, CURVED, loss="bce", epochs=50, statistics=statistics, seed=3)
    return net, history


def test_statistics_are_of_the_same_epochs_and_change_nothing() -> None:
    plain, without = _watched(False)
    watched, history = _watched(True)
    again, other = _watched(True)
    assert (without.statistics, without.facts) == ([], {})
    for name, array in plain.parameters.items():
        np.testing.assert_array_equal(array, watched.parameters[name])
        np.testing.assert_array_equal(array, again.parameters[name])
    assert history.statistics == other.statistics
    assert history.facts == other.facts
    epochs = [each["epoch"] for each in history.statistics]
    assert epochs[:2] == [0, 1]
    assert epochs[-1] == 50
    assert len(epochs) <= 16


def test_the_last_statistics_are_of_the_parameters_that_are_kept() -> None:
    net, history = Network([Dense(8), Dense(1, "sigmoid")], 3, seed=0), None
    history = train(
        net, X, CURVED, loss="bce", epochs=300, learning_rate=0.05, validation_fraction=0.3,
        early_stopping=3,
    )  # fmt: skip
    assert history.stopped == "early_stopping"
    assert history.statistics[-1]["epoch"] == history.epochs
    assert history.statistics[-1]["layers"][0]["W_norm"] == pytest.approx(
        float(np.linalg.norm(net.W[1])), rel=1e-5
    )


def test_products_of_a_look_keep_to_one_thread_and_others_get_theirs_back():
    def threads():
        return [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]

    with threadpool_limits(3, user_api="blas"):
        before = threads()
        with one_thread():
            assert threads() == [1] * len(before)
        assert threads() == before == [3] * len(before)


# What is kept, and where --------------------------------------------------------------------------

CANARIES = RNG.uniform(1000, 2000, size=(60, 4)).astype(np.float32)
"""Rows whose bytes and digits are found wherever they are."""


def _canaries_in(data: bytes) -> int:
    """How many numbers of the rows stand in some bytes, as float32, float64 or text."""
    found = 0
    for value in CANARIES.ravel():
        forms = [np.float32(value).tobytes(), np.float64(value).tobytes()]
        forms += [f"{float(value):.6g}".encode(), repr(float(value)).encode()]
        found += any(form in data for form in forms)
    return found


def _fitted(**settings: Any) -> MLPClassifier:
    y = (CANARIES[:, 0] > 1500).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MLPClassifier((8,), max_iter=30, random_state=0, **settings).fit(CANARIES, y)


def test_no_row_goes_into_a_pickle_or_a_folder(tmp_path: Path) -> None:
    model = _fitted()
    assert model.history_.kept is not None
    assert _canaries_in(CANARIES.tobytes()) == CANARIES.size  # the test can find them
    assert _canaries_in(pickle.dumps(model)) == 0
    model.save(tmp_path / "drop-in")
    save(model.network_, tmp_path / "network", history=model.history_)
    table = TabularClassifier(hidden_layer_sizes=(4,), epochs=3, ensemble=2)
    history = table.fit(CANARIES, CANARIES[:, 0] > 1500).history_
    assert [bool(each.facts) for each in history] == [True, True]
    for file in [*tmp_path.rglob("*")]:
        if file.is_file():
            assert _canaries_in(file.read_bytes()) == 0, file
    text = (
        str(model.history_.to_dict()) + repr(model.history_) + str([h.to_dict() for h in history])
    )
    assert _canaries_in(text.encode()) == 0


def test_a_pickle_or_folder_shows_what_was_seen(tmp_path: Path) -> None:
    model = MLPClassifier((8,), learning_rate_init=1e-6, max_iter=40, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X.T, CURVED)
    here = diagnose(model).findings[0].kind
    again = pickle.loads(pickle.dumps(model))
    model.save(tmp_path / "m")
    for other in (again, load(tmp_path / "m"), tmp_path / "m"):
        report = diagnose(other)
        assert report.findings[0].kind == here == "learning_rate_too_low"
        assert "facts of the data" in report.looked_at
    assert again.history_ == model.history_
    assert again.history_.kept is None


@pytest.mark.parametrize(
    ("n", "hidden", "outputs", "m"),
    [(3, (16,), 1, 400), (784, (64, 32), 10, 2000), (5, (8,) * 40, 3, 300), (2000, (4,), 2, 100)],
)
def test_what_is_kept_is_small(n: int, hidden: tuple[int, ...], outputs: int, m: int) -> None:
    """At most 1 MB in memory, 50 kB in a pickle or a folder."""
    rng = np.random.default_rng(0)
    data = np.asfortranarray(rng.normal(size=(n, m)).astype(np.float32))
    labels = rng.integers(0, max(outputs, 2), m)
    layers = [*map(Dense, hidden), Dense(outputs, "softmax" if outputs > 1 else "sigmoid")]
    net = Network(layers, n, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tracemalloc.start()
        loss = "cce" if outputs > 1 else "bce"
        history = train(net, data, labels, loss=loss, epochs=3, validation_fraction=0.2)
        in_memory = tracemalloc.get_traced_memory()[0]
        del history
        freed = in_memory - tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        history = train(net, data, labels, loss=loss, epochs=3, validation_fraction=0.2)
    assert freed < 1e6
    assert len(pickle.dumps(history)) < 50_000
    assert len(str(history.to_dict())) < 50_000


def test_a_pickle_of_many_columns_has_facts_of_the_first() -> None:
    wide = RNG.normal(size=(40, 3000))
    model = MLPRegressor(hidden_layer_sizes=(2,), max_iter=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(wide, wide[:, 0])
    buffer = io.BytesIO()
    pickle.dump(model.history_, buffer)
    assert buffer.tell() < 50_000
    assert pickle.loads(buffer.getvalue()).facts["columns"]["n"] == 1000


def test_partial_fit_takes_no_statistics() -> None:
    model = MLPClassifier((4,), random_state=0).partial_fit(X.T, CURVED, classes=[0, 1])
    assert (model.history_.statistics, model.history_.kept) == ([], None)
    assert _fitted(statistics=False).history_.facts == {}
    with pytest.raises(ValueError, match=r"statistics.*must be True or False"):
        MLPClassifier(statistics="yes").fit(X.T, CURVED)


def test_a_callback_of_ones_own_is_the_only_one() -> None:
    net = Network([Dense(1, "sigmoid")], 3, seed=0)
    history = train(net, X, CURVED, loss="bce", epochs=3, callbacks=StatisticsCallback())
    assert [each["epoch"] for each in history.statistics] == [0, 1, 3]


def test_later_changes_of_the_network_do_not_change_what_was_seen() -> None:
    net = Network([Dense(4), Dense(1, "sigmoid")], 3, seed=0)
    history = train(net, X, CURVED, loss="bce", epochs=20)
    norm = float(np.linalg.norm(net.W[1]))
    net.W[1][...] = 1000
    assert history.statistics[-1]["layers"][0]["W_norm"] == pytest.approx(norm, rel=1e-5)
    assert history.facts["scores"]["train"] > 0.5


@pytest.mark.parametrize(
    "facts",
    [
        {"m": "many"}, {"target": {"task": 3}}, {"columns": {"n": 10**12}}, {"scores": 4},
        {"columns": {"n": 2, "scale": [[5, 1.0]]}}, {"nothing": 1}, {"outputs": [1.0]},
    ],
)  # fmt: skip
def test_facts_that_cannot_be_are_refused(facts: dict[str, Any]) -> None:
    history = History(curves={"loss": [0.5, 0.4]}, stopped="finished", facts=facts)
    net = Network([Dense(1, "sigmoid")], 3, seed=0)
    with pytest.raises(ValueError, match="the facts of a history cannot be: "):
        diagnose(history, network=net)
