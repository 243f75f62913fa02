"""Batches of like length."""

import numpy as np
import pytest

from seqkit.training.batching import MAX_POSITIONS, shuffled_batches, sorted_batches


def padding_share(batches, lengths):
    slots = sum(len(b) * lengths[b].max() for b in batches)
    return 1 - lengths.sum() / slots


@pytest.fixture
def lengths():
    return np.random.default_rng(0).geometric(0.08, 1000)


def test_every_row_occurs_once(lengths):
    for batches in (shuffled_batches(lengths, 32, np.random.default_rng(0)), sorted_batches(lengths, 32)):
        assert sorted(np.concatenate(batches).tolist()) == list(range(1000))
        assert max(map(len, batches)) == 32
        assert len(batches) == 32  # 31 of 32 rows and one of 8


def test_rows_of_a_batch_are_of_like_length(lengths):
    whole = padding_share([np.arange(1000)[i::32] for i in range(32)], lengths)
    assert whole > 0.5  # what cutting without a look at the lengths would waste
    assert padding_share(shuffled_batches(lengths, 32, np.random.default_rng(0)), lengths) < 0.25
    assert padding_share(sorted_batches(lengths, 32), lengths) < 0.16


def test_prediction_begins_with_the_longest(lengths):
    order = np.concatenate(sorted_batches(lengths, 32))
    assert (np.diff(lengths[order]) <= 0).all()
    same = sorted_batches(np.full(5, 3), 2)
    assert [b.tolist() for b in same] == [[0, 1], [2, 3], [4]]  # ties keep the order given


def test_epochs_differ_in_composition_and_order_and_repeat_under_a_seed(lengths):
    one, two, other = (shuffled_batches(lengths, 32, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert [b.tolist() for b in one] == [b.tolist() for b in two]
    assert {frozenset(b.tolist()) for b in one} != {frozenset(b.tolist()) for b in other}
    means = [lengths[b].mean() for b in one]
    assert np.abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.6  # neither short nor long ones first


def test_long_sequences_make_small_batches():
    lengths = np.array([MAX_POSITIONS * 3, *[MAX_POSITIONS // 4] * 8, *[10] * 16])
    for batches in (shuffled_batches(lengths, 32, np.random.default_rng(0)), sorted_batches(lengths, 32)):
        assert sorted(np.concatenate(batches).tolist()) == list(range(25))
        assert all(len(b) > 0 for b in batches)
        assert all(len(b) == 1 or len(b) * lengths[b].max() <= MAX_POSITIONS for b in batches)


def test_empty_rows_and_no_rows():
    empty = np.zeros(5, np.int64)
    assert sorted(np.concatenate(sorted_batches(empty, 2)).tolist()) == [0, 1, 2, 3, 4]
    assert len(shuffled_batches(empty, 2, np.random.default_rng(0))) == 3
    assert sorted_batches(np.zeros(0, np.int64), 2) == []
    assert shuffled_batches(np.zeros(0, np.int64), 2, np.random.default_rng(0)) == []


def test_both_sides_of_pairs_are_of_like_length():
    rng = np.random.default_rng(0)
    target = rng.geometric(0.1, 4000)
    sizes = np.stack([rng.poisson(target) + 1, target], 1)
    of_sums = shuffled_batches(sizes.sum(1), 32, rng)
    for batches in (shuffled_batches(sizes, 32, rng), sorted_batches(sizes, 32)):
        assert sorted(np.concatenate(batches).tolist()) == list(range(4000))
        assert padding_share(batches, sizes[:, 1]) < 0.06 < 0.15 < padding_share(of_sums, sizes[:, 1])
        slots, of_sum = (sum(len(b) * sizes[b].max(0).sum() for b in every) for every in (batches, of_sums))
        assert slots < of_sum
    first, last = (sizes[batch] for batch in (batches[0], batches[-1]))
    assert first.sum() > last.sum()  # memory is known to suffice from the beginning
    bounded = shuffled_batches(sizes, 32, rng, positions=200)
    assert all(len(b) == 1 or len(b) * sizes[b].max(0).sum() <= 200 for b in bounded)
