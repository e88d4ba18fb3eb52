"""The stream of molecules that a source gives a training: complete, reproducible, seekable, well mixed."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from pg_tf.datasets import Molecules, Source
from pg_tf.elements import ElementChannels

ONE = ElementChannels.single()


def numbered(count: int) -> Molecules:
    """Molecules of 1 to 5 carbon atoms whose label is their number."""
    sizes = 1 + np.arange(count) % 5
    x = np.repeat(np.arange(count), sizes)
    coords = np.stack([x, np.zeros_like(x), np.zeros_like(x)], axis=1)
    return Molecules(np.full(len(x), 6), coords, np.concatenate([[0], np.cumsum(sizes)]), np.arange(count), unit="eV")


def stream(source: Source, batches: int = -1, **options) -> list[list[float]]:
    return [labels.numpy().tolist() for _, labels in source.dataset(ONE, **options).take(batches)]


def flat(batches: list[list[float]]) -> list[float]:
    return [value for batch in batches for value in batch]


def test_molecules_are_a_source() -> None:
    source = numbered(5)
    assert isinstance(source, Source)
    assert (source.label_mean, source.label_std) == (2.0, pytest.approx(math.sqrt(2)))
    assert (source.unit, source.symbols, source[1:3].unit) == ("eV", ("C",), "eV")
    assert math.isnan(source[:0].label_mean)


def test_epochs_of_a_repeated_stream_hold_every_molecule_once_in_new_orders() -> None:
    batches = stream(numbered(50), 12, batch_size=16, shuffle=True, seed=3, repeat=True)
    assert [len(batch) for batch in batches] == [16, 16, 16, 2] * 3
    orders = [flat(batches[i : i + 4]) for i in (0, 4, 8)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert orders[0] != orders[1] != orders[2]
    assert orders == [
        flat(stream(numbered(50), 4, batch_size=16, shuffle=True, seed=3, repeat=True, start=i)) for i in (0, 4, 8)
    ]


@pytest.mark.parametrize("start", [0, 1, 3, 4, 5, 11, 4000])
@pytest.mark.parametrize("drop_remainder", [False, True])
def test_start_leaves_out_exactly_the_batches_before_it(start: int, drop_remainder: bool) -> None:
    options = {"batch_size": 16, "shuffle": True, "seed": 7, "repeat": True, "drop_remainder": drop_remainder}
    whole = stream(numbered(50), min(start, 12) + 3, **options)
    if start < 12:
        assert stream(numbered(50), 3, start=start, **options) == whole[start:]
    else:  # too far to be read up to
        assert len(flat(stream(numbered(50), 3, start=start, **options))) in (34, 48)


def test_start_past_the_end_of_a_stream_that_does_not_repeat_leaves_nothing() -> None:
    source = numbered(50)
    assert flat(stream(source, batch_size=16, start=2)) == list(range(32, 50))
    assert stream(source, batch_size=16, start=4) == []
    assert int(source.dataset(ONE, batch_size=16, start=1).cardinality()) == 3
    assert int(source.dataset(ONE, batch_size=16, repeat=True).cardinality()) == tf.data.INFINITE_CARDINALITY


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shards_of_all_workers_are_every_molecule_once(count: int) -> None:
    for shuffle in (False, True):
        parts = [
            flat(stream(numbered(50), batch_size=4, shuffle=shuffle, seed=1, shard=(i, count))) for i in range(count)
        ]
        assert sorted(flat(parts)) == list(range(50))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_order_without_a_seed_differs_from_dataset_to_dataset_and_pass_to_pass() -> None:
    dataset = numbered(100).dataset(ONE, shuffle=True)
    first, second = (flat([labels.numpy().tolist() for _, labels in dataset]) for _ in range(2))
    other = flat(stream(numbered(100), shuffle=True))
    assert sorted(first) == sorted(second) == sorted(other)
    assert first != second != other != first


def test_batches_carry_the_atoms_of_their_labels() -> None:
    for points, labels in numbered(50).dataset(ONE, batch_size=8, shuffle=True, seed=0, repeat=True).take(9):
        np.testing.assert_array_equal(points.row_lengths(), 1 + labels.numpy() % 5)
        np.testing.assert_array_equal(points.flat_values[:, 1], np.repeat(labels.numpy(), points.row_lengths()))
        np.testing.assert_array_equal(points.flat_values[:, 0], 0)


def test_orders_are_as_random_as_permutations_can_be_seen_to_be() -> None:
    count, orders = 5000, []
    for seed in range(2):
        batches = stream(numbered(count), 10, batch_size=1000, shuffle=True, seed=seed, repeat=True)
        orders += [flat(batches[:5]), flat(batches[5:])]
    # Independent orders: Spearman's coefficient has a standard deviation of 1 / sqrt(n - 1).
    limit = 5 / math.sqrt(count - 1)
    for i, order in enumerate(orders):
        assert abs(stats.spearmanr(np.arange(count), order).statistic) < limit
        for other in orders[:i]:
            assert abs(stats.spearmanr(order, other).statistic) < limit
        # Neighbours in the stream are as far apart in the source as any two: |i - j| / n of two uniform numbers.
        steps = np.abs(np.diff(order)) / count
        assert stats.kstest(steps, stats.triang(0).cdf).pvalue > 1e-4


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"batch_size": 0}, "batch_size: must be at least 1, got 0"),
        ({"start": -1}, "start: must be at least 0, got -1"),
        ({"shard": (2, 2)}, r"shard: must be \(i, n\) with 0 <= i < n, got \(2, 2\)"),
        ({"shard": (-1, 2)}, "shard: must be"),
    ],
)
def test_stream_arguments_out_of_range_are_errors(options: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        numbered(5).dataset(ONE, **options)
