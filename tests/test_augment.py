"""Augmented training: keyed by seed, epoch and row, so that nothing else changes what is seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from pellucid import Callback, Dense, Network, philox, train
from pellucid.augmentations import AUGMENTATIONS, Flip, Shift
from pellucid.engines import Examples
from pellucid.layers import Conv1D, Conv2D
from pellucid.training import DivergenceWarning, Run
from pellucid.training.augment import NUMBERS, Augment

RNG = np.random.default_rng(0)
SHAPE, M = (6, 5, 2), 50
X = RNG.normal(size=(60, M))
Y = (X.mean(axis=0) > 0).astype(int)
ROWS = np.arange(M)


def picture_network(dtype: str = "float64", layers: Any = None) -> Network:
    return Network(layers or [Dense(4, "tanh"), Dense(1, "sigmoid")], SHAPE, seed=1, dtype=dtype)


def trained(network: Network | None = None, **settings: Any) -> dict[str, Any]:
    network = picture_network() if network is None else network
    settings = {"augment": ["shift", "flip"], "epochs": 3, "batch_size": 7} | settings
    history = train(network, X, Y, loss="bce", seed=5, **settings)
    return network.parameters | {"J": np.array(history["loss"])}


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return all(np.array_equal(a[name], b[name]) for name in a)


def pictures(count: int = 400, size: int = 6) -> Any:
    return np.random.default_rng(3).normal(size=(count, size, size, 2))


def drawn(count: int = 400, epoch: int = 0) -> Any:
    return philox.of_rows(9, np.arange(count), stream=philox.AUGMENT, step=epoch)


# The augmentations --------------------------------------------------------------------------------


def test_the_words_of_rows_are_those_of_elements_in_a_row() -> None:
    together = philox.words(4, 40, stream=philox.AUGMENT, layer=2, step=3)
    alone = philox.of_rows(4, np.array([7, 0]), stream=philox.AUGMENT, layer=2, step=3)
    assert alone.T.tolist() == [together[28:32].tolist(), together[:4].tolist()]


def test_a_shift_moves_by_every_offset_as_often_and_fills_with_0() -> None:
    seen, X = [], pictures()
    for before, after in zip(X, Shift(2).change(X, drawn()), strict=True):
        fits = []
        for dy in range(-2, 3):
            for dx in range(-2, 3):
                moved = np.zeros_like(before)
                to = [slice(max(d, 0), 6 + min(d, 0)) for d in (dy, dx)]
                of = [slice(max(-d, 0), 6 + min(-d, 0)) for d in (dy, dx)]
                moved[to[0], to[1]] = before[of[0], of[1]]
                fits += [(dy, dx)] if np.array_equal(moved, after) else []
        assert len(fits) == 1
        seen += fits
    counts = [seen.count((dy, dx)) for dy in range(-2, 3) for dx in range(-2, 3)]
    assert min(counts) >= 4  # 16 are expected of each
    assert max(counts) <= 32


def test_a_flip_turns_one_picture_in_two() -> None:
    X = pictures()
    after = Flip().change(X, drawn())
    turned = [np.array_equal(a, b[:, ::-1]) for a, b in zip(after, X, strict=True)]
    left = [np.array_equal(a, b) for a, b in zip(after, X, strict=True)]
    assert all(a != b for a, b in zip(turned, left, strict=True))
    assert 160 < sum(turned) < 240


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_augmentation_depends_on_the_row_and_the_epoch_alone(name: str) -> None:
    change, X = AUGMENTATIONS[name](), pictures()
    before = X.copy()
    whole = change.change(X, drawn())
    assert whole.shape == X.shape
    assert whole.dtype == X.dtype
    some = philox.of_rows(9, np.array([30, 2]), stream=philox.AUGMENT, step=0)
    np.testing.assert_array_equal(change.change(X[[30, 2]], some), whole[[30, 2]])
    assert not np.array_equal(change.change(X, drawn(epoch=1)), whole)
    np.testing.assert_array_equal(X, before)
    with pytest.raises(ValueError, match=r"\w+ is for pictures, .*; this network takes 9 x 4"):
        change.check_shape((9, 4))


# In a training ------------------------------------------------------------------------------------


class OneByOne(Callback):
    """Wants to see each step."""

    def on_batch_end(self, run: Run, step: int, J: float) -> None:
        pass


def noisy(example: Any, rng: np.random.Generator) -> Any:
    return example + rng.normal(size=example.shape)


@pytest.mark.parametrize("augment", ["shift", [Shift(1), "flip"], noisy])
@pytest.mark.parametrize("engine", ["fused", "reference"])
def test_the_bits_do_not_depend_on_how_much_is_made_at_a_time(
    augment: Any, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine == "fused":
        pytest.importorskip("pellucid.engines._cpu", reason="built without the fused engine")
    settings = {"augment": augment, "engine": engine}
    whole = trained(**settings)
    assert not same(whole, trained(engine=engine, augment=None))
    assert same(whole, trained(**settings, callbacks=[OneByOne()]))
    assert same(whole, trained(**settings, n_threads=1))
    monkeypatch.setattr("pellucid.training.augment.ROWS", 14)
    assert same(whole, trained(**settings))


def test_both_engines_see_the_same_examples() -> None:
    pytest.importorskip("pellucid.engines._cpu", reason="built without the fused engine")
    fused, reference = (trained(engine=name) for name in ("fused", "reference"))
    for name, array in fused.items():
        np.testing.assert_allclose(array, reference[name], rtol=0, atol=1e-9)


def test_an_example_is_made_the_same_in_any_mini_batch_and_any_part() -> None:
    net, data = picture_network(), Examples(X, Y)
    make = Augment([noisy, Shift()], net, data, 5)
    whole = make.examples(data, None, slice(0, M), 2)
    order = np.random.default_rng(0).permutation(M)
    some = make.examples(data, order, slice(10, 20), 2)
    np.testing.assert_array_equal(some.X, whole.X[:, order[10:20]])
    np.testing.assert_array_equal(some.Y, Y[order[10:20]])
    part = Examples(X, Y, rows=np.array([40, 3]))
    np.testing.assert_array_equal(make.examples(part, None, slice(0, 2), 2).X, whole.X[:, [40, 3]])
    assert not np.array_equal(make.examples(data, None, slice(0, M), 3).X, whole.X)


def test_a_training_that_was_cut_off_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    whole = trained(epochs=4)
    trained(epochs=2, checkpoint=tmp_path / "half")
    resumed = trained(epochs=4, resume=tmp_path / "half")
    assert same(whole, resumed)
    with pytest.raises(ValueError, match=r"trained with augment = \['shift', 'flip'\]; this tra"):
        trained(augment="flip", resume=tmp_path / "half")


def test_X_stays_as_it_is_and_validation_is_never_augmented() -> None:
    seen: list[Any] = []

    def watch(example: Any, rng: np.random.Generator) -> Any:
        seen.append(float(example[0, 0, 0]))
        example *= 0
        return example

    before, net = X.copy(), picture_network()
    validation = np.arange(0, M, 5)
    history = train(
        net, X, Y, loss="bce", epochs=1, augment=watch, validation_rows=validation, metrics="mae"
    )
    np.testing.assert_array_equal(X, before)
    assert not set(X[0, validation]) & set(seen)
    assert set(np.delete(X[0], validation)) == set(seen)
    assert history["val_loss"][-1] == pytest.approx(
        net.loss(X[:, validation], Y[validation], "bce")
    )
    error = np.abs(net.forward(np.delete(X, validation, 1))[0] - np.delete(Y, validation)).mean()
    assert history["mean_absolute_error"][-1] == pytest.approx(error)


def test_weights_and_classes_stay_with_their_examples() -> None:
    def nothing(example: Any, rng: np.random.Generator) -> Any:
        return example

    w = RNG.random(M)
    layers = [Dense(4), Dense(2, "softmax")]
    found = []
    for augment in (None, nothing):
        net = picture_network(layers=layers)
        train(net, X, Y, loss="cce", epochs=2, augment=augment, sample_weight=w, batch_size=16)
        found.append(net.parameters)
    assert same(*found)


def test_a_function_gets_the_steps_that_are_there() -> None:
    lengths, shapes = RNG.integers(3, 7, M), set()
    sequences = np.where(np.arange(6)[:, None, None] < lengths, X[:12].reshape(6, 2, M), np.nan)

    def later(example: Any, rng: np.random.Generator) -> Any:
        shapes.add(example.shape)
        return example + 1

    moved = np.nan_to_num(sequences + 1).reshape(12, M)
    found = []
    for inputs, augment in ((sequences.reshape(12, M), later), (moved, None)):
        net = Network([Conv1D(3, 2), Dense(1, "sigmoid")], (6, 2), seed=0)
        train(net, inputs, Y, loss="bce", epochs=2, lengths=lengths, augment=augment)
        found.append(net.parameters)
    assert shapes == {(T, 2) for T in set(lengths.tolist())}
    for name, array in found[0].items():
        np.testing.assert_allclose(array, found[1][name], rtol=1e-4, atol=1e-6)


def test_it_helps_where_pictures_are_shifted() -> None:
    rng = np.random.default_rng(2)
    bars = np.zeros((80, 8, 8, 1))
    y = np.arange(80) % 2
    for k in range(80):
        at = rng.integers(2, 6)
        bars[k, at if y[k] else slice(None), slice(None) if y[k] else at] = 1
    seen = np.flatnonzero(bars.argmax(axis=1).max(axis=(1, 2)) <= 3)  # some places alone
    shifted = Shift(2).change(bars, drawn(80))
    scores = []
    for augment in (None, "shift"):
        net = Network([Conv2D(4, 3), Dense(1, "sigmoid")], (8, 8, 1), seed=0)
        inputs = np.moveaxis(bars[seen], 0, -1)
        train(net, inputs, y[seen], loss="bce", epochs=60, augment=augment, learning_rate=0.01)
        scores.append(float((net.predict(np.moveaxis(shifted, 0, -1))[0] == y).mean()))
    assert scores[1] > 0.9 > scores[0]


# What is refused ----------------------------------------------------------------------------------


def wrong_shape(example: Any, rng: Any) -> Any:
    return example[:, :, :1]


def no_number(example: Any, rng: Any) -> Any:
    return example * np.nan


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"augment": "shfit"}, r"unknown augmentation 'shfit' \(did you mean 'shift'\?\). Known"),
        ({"augment": 5}, r"augment takes 'shift', 'flip', a function of \(X, rng\).*; got 5"),
        ({"augment": {"name": "shift", "far": 1}}, "'shift' has no parameter 'far'.*; it has pix"),
        ({"augment": Shift(5)}, r"augment: shift by up to 5 pixels .* 6 x 5; take fewer: Shift\(4"),
        (
            {"augment": wrong_shape},
            r"augment: wrong_shape must return .* \(6, 5, 2\); got float64 \(6, 5, 1\)",
        ),
        ({"augment": no_number}, "augment: no_number made NaN or infinity of example 0"),
        ({"augment": "flip", "optimizer": "lbfgs"}, r"lbfgs cannot use augment \(J must be the"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_changes(
    settings: dict[str, Any], message: str
) -> None:
    net = picture_network()
    before = net.copy_parameters()
    with pytest.raises((ValueError, TypeError), match=message):
        trained(net, **settings)
    assert same(before, net.parameters)


def test_inputs_that_are_no_pictures() -> None:
    net = Network([Dense(1, "sigmoid")], 60)
    with pytest.raises(
        ValueError, match=r"augment: flip is for pictures, .*; this network takes 60"
    ):
        train(net, X, Y, loss="bce", augment="flip")
    sparse = scipy.sparse.csc_array(X)
    with pytest.raises(ValueError, match=r"augment takes no sparse X; pass X.toarray\(\)"):
        train(picture_network(), sparse, Y, loss="bce", augment="flip")
    with pytest.raises(ValueError, match="augmentation shift: pixels must be a whole number of 1"):
        Shift(0)


def test_large_pictures_are_made_a_few_at_a_time() -> None:
    net, data = picture_network(), Examples(X, Y)
    make = Augment([Flip()], net, data, 0)
    assert make.steps(7) == 4096 // 7
    assert make.steps(10**6) == 1
    make._shape = (300, 300, 3)
    assert make.steps(1) == NUMBERS // 270_000


def test_a_training_that_diverges_puts_the_parameters_back() -> None:
    net = picture_network("float32", [Dense(4, "relu"), Dense(1, "identity")])
    before = net.copy_parameters()
    with pytest.warns(DivergenceWarning, match="diverged at step"):
        train(
            net, 1e15 * X, 1e15 * Y, loss="mse", optimizer="gradient_descent", learning_rate=1e9,
            augment="shift", epochs=2,
        )  # fmt: skip
    assert same(before, net.parameters)
