"""Philox4x32-10: the published vectors, and draws that do not depend on who draws them."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import philox
from pellucid.engines import permutation
from pellucid.engines.simd import levels

# Random123's kat_vectors: counter, key (low word first), the four words.
KNOWN_ANSWERS = [
    ([0, 0, 0, 0], [0, 0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_published_vectors(counter, key, expected):
    seed = key[0] | key[1] << 32
    found = philox.philox(np.array(counter, dtype=np.uint32)[:, np.newaxis], seed)
    assert found.dtype == np.uint32
    assert found[:, 0].tolist() == expected


def test_counters_are_independent_of_their_neighbours():
    counters = np.array([counter for counter, *_ in KNOWN_ANSWERS], dtype=np.uint32).T
    together = philox.philox(counters, 7)
    for k in range(counters.shape[1]):
        assert (philox.philox(counters[:, k : k + 1], 7)[:, 0] == together[:, k]).all()


def test_words_are_the_counters_of_the_design():
    # counter = (element / 4, layer, step, stream), key = seed; element 6 is word 2 of counter 1.
    counter = np.array([[1], [3], [5], [philox.DROPOUT]], dtype=np.uint32)
    expected = philox.philox(counter, 99)[2, 0]
    word = philox.words(99, 1, stream=philox.DROPOUT, layer=3, step=5, start=6)
    assert word.tolist() == [expected]


@given(st.integers(0, 2**64 - 1), st.integers(0, 50), st.integers(0, 40))
def test_a_slice_of_a_draw_is_the_draw_of_the_slice(seed, start, count):
    whole = philox.words(seed, 100, stream=0, layer=2, step=3)
    part = philox.words(seed, count, stream=0, layer=2, step=3, start=start)
    assert part.dtype == np.uint32
    assert (part == whole[start : start + count]).all()


@pytest.mark.parametrize("where", [{"stream": 1}, {"layer": 1}, {"step": 1}])
def test_streams_layers_and_steps_differ(where):
    plain = philox.words(0, 64, stream=0)
    other = philox.words(0, 64, **({"stream": 0} | where))
    assert (plain != other).mean() > 0.9


def test_seeds_differ_in_both_halves():
    draws = [philox.words(seed, 64, stream=0) for seed in (0, 1, 1 << 32, 2**64 - 1)]
    for k, draw in enumerate(draws):
        assert all((draw != other).mean() > 0.9 for other in draws[:k])


def test_uniform_numbers():
    u = philox.uniform(1, (200, 500), stream=0)
    assert u.shape == (200, 500)
    assert 0 < u.min() < u.max() < 1
    assert u.mean() == pytest.approx(1 / 2, abs=0.003)
    assert u.var() == pytest.approx(1 / 12, abs=0.001)
    assert (philox.uniform(1, (100_000,), stream=0) == u.ravel()).all()  # C order


@pytest.mark.parametrize("count", [1, 2, 7, 100_000])
def test_normal_numbers(count):
    z = philox.normal(1, (count,), stream=0)
    assert z.shape == (count,)
    assert (z == philox.normal(1, (200_000,), stream=0)[:count]).all()
    if count == 100_000:
        assert z.mean() == pytest.approx(0, abs=0.01)
        assert z.std() == pytest.approx(1, abs=0.01)
        assert np.mean(z**4) == pytest.approx(3, abs=0.1)
        assert abs(np.corrcoef(z[0::2], z[1::2])[0, 1]) < 0.02


def test_normal_numbers_are_those_of_box_and_muller():
    u1, u2 = philox.uniform(3, (2,), stream=0)
    radius = np.sqrt(-2 * np.log(u1))
    expected = [radius * np.cos(2 * np.pi * u2), radius * np.sin(2 * np.pi * u2)]
    np.testing.assert_allclose(philox.normal(3, (2,), stream=0), expected, rtol=1e-14)


@given(st.integers(0, 2**64 - 1), st.integers(0, 200))
def test_permutation_holds_every_row_once(seed, count):
    order = philox.permutation(seed, count)
    assert sorted(order.tolist()) == list(range(count))


def test_permutations_differ_and_are_fair():
    assert (philox.permutation(0, 100) == philox.permutation(0, 100)).all()
    assert (philox.permutation(0, 100) != philox.permutation(0, 100, step=1)).any()
    assert (philox.permutation(0, 100) != philox.permutation(0, 100, stream=philox.SPLIT)).any()
    first = [philox.permutation(0, 4, step=step)[0] for step in range(4000)]
    np.testing.assert_allclose(np.bincount(first) / 4000, 1 / 4, atol=0.03)


def test_permutation_is_the_stable_argsort_of_one_64_bit_draw_a_row():
    words = philox.words(5, 20, stream=philox.ORDER, step=2).astype(object)
    keys = [int(high) << 32 | int(low) for high, low in zip(words[0::2], words[1::2], strict=True)]
    expected = sorted(range(10), key=lambda row: keys[row])
    assert philox.permutation(5, 10, step=2).tolist() == expected


@pytest.mark.skipif(not levels(), reason="the fused engine is not built (PELLUCID_PURE)")
@pytest.mark.parametrize("count", [0, 1, 2, 3, 63, 100, 101, 1000, 16_384, 300_001])
def test_the_compiled_permutation_is_the_definition(count):
    found = np.empty(count, dtype=np.int64)
    for level in levels():
        module = importlib.import_module(f"pellucid.engines._fused_{level}")
        for seed, step, stream in [(0, 0, philox.ORDER), (2**64 - 1, 2**32 - 1, philox.SPLIT)]:
            expected = philox.permutation(seed, count, step=step, stream=stream)
            module.permutation(found, step, stream, seed)
            assert (found == expected).all()
            assert (permutation(seed, count, step=step, stream=stream) == expected).all()


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.9])
def test_dropout_keeps_its_share(rate):
    mask = philox.dropout_mask(0, 100, 1000, rate, layer=1, step=1)
    assert mask.shape == (100, 1000)
    assert mask.mean() == pytest.approx(1 - rate, abs=0.005)


@given(st.integers(1, 9), st.lists(st.integers(1, 12), min_size=1, max_size=5))
def test_dropout_does_not_depend_on_the_blocks(n_units, sizes):
    m = sum(sizes)
    whole = philox.dropout_mask(4, n_units, m, 0.4, layer=2, step=9)
    starts = np.cumsum([0, *sizes[:-1]]).tolist()
    parts = [
        philox.dropout_mask(4, n_units, size, 0.4, layer=2, step=9, first=start)
        for start, size in zip(starts, sizes, strict=True)
    ]
    assert (np.concatenate(parts, axis=1) == whole).all()


def test_dropout_elements_are_those_of_the_design():
    # element = position * n[l] + unit, kept if the draw >= rate 2^32
    words = philox.words(6, 12, stream=philox.DROPOUT, layer=1, step=3)
    mask = philox.dropout_mask(6, 3, 4, 0.3, layer=1, step=3)
    for position in range(4):
        for unit in range(3):
            assert mask[unit, position] == (words[position * 3 + unit] >= round(0.3 * 2**32))


def test_seeds():
    assert philox.check_seed(5) == 5
    assert philox.check_seed(np.int64(5)) == 5
    assert 0 <= philox.check_seed(None) < 2**64
    assert philox.check_seed(None) != philox.check_seed(None)
    for seed in (-1, 2**64):
        with pytest.raises(ValueError, match=r"seed must be between 0 and 2\^64 - 1; got"):
            philox.check_seed(seed)
    for seed in (1.5, "0", True):
        with pytest.raises(TypeError, match="seed must be an integer or None; got"):
            philox.check_seed(seed)
