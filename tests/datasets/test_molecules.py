"""The molecule container and its way into tf.data."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from pg_tf.datasets import Molecules, concatenate
from pg_tf.elements import ORGANIC, ElementChannels

WATER = ([8, 1, 1], [[0.0, 0.0, 0.12], [0.0, 0.76, -0.48], [0.0, -0.76, -0.48]])
METHANE = ([6, 1, 1, 1, 1], [[0, 0, 0], [0.6, 0.6, 0.6], [-0.6, -0.6, 0.6], [0.6, -0.6, -0.6], [-0.6, 0.6, -0.6]])
NOTHING = ([], [])
ARGON = ([18], [[1.0, 2.0, 3.0]])


@pytest.fixture
def molecules() -> Molecules:
    atomic_numbers, coords = zip(WATER, METHANE, NOTHING, WATER, strict=True)
    return Molecules.from_arrays(atomic_numbers, coords, [1.0, 2.0, 3.0, 4.0], ["O", "C", "", "water"])


def many(count: int) -> Molecules:
    """Molecules of 0 to 6 carbon atoms whose x is the molecule's number, which is its label too."""
    sizes = np.arange(count) % 7
    x = np.repeat(np.arange(count), sizes)
    coords = np.stack([x, np.zeros_like(x), np.zeros_like(x)], axis=1)
    return Molecules(np.full(len(x), 6), coords, np.concatenate([[0], np.cumsum(sizes)]), np.arange(count))


def test_flat_arrays_have_the_documented_types(molecules: Molecules) -> None:
    assert len(molecules) == 4
    assert molecules.atomic_numbers.dtype == np.int32
    assert molecules.coords.dtype == np.float32
    assert molecules.row_splits.tolist() == [0, 3, 8, 8, 11]
    assert molecules.labels is not None
    assert molecules.labels.dtype == np.float32


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (1, [1]),
        (-1, [3]),
        (slice(1, 3), [1, 2]),
        (slice(None, None, -1), [3, 2, 1, 0]),
        ([3, 0, 3], [3, 0, 3]),
        (np.array([True, False, False, True]), [0, 3]),
        ([], []),
    ],
)
def test_index_gives_the_same_molecules_in_the_order_asked(molecules: Molecules, index, expected) -> None:
    chosen = molecules[index]
    assert len(chosen) == len(expected)
    assert chosen.labels is not None
    assert molecules.labels is not None
    for place, i in enumerate(expected):
        start, end = molecules.row_splits[i : i + 2]
        mine = slice(*chosen.row_splits[place : place + 2])
        np.testing.assert_array_equal(chosen.atomic_numbers[mine], molecules.atomic_numbers[start:end])
        np.testing.assert_array_equal(chosen.coords[mine], molecules.coords[start:end])
        assert chosen.labels[place] == molecules.labels[i]
        assert chosen.names[place] == molecules.names[i]


def test_index_past_the_end_is_an_index_error_and_ends_iteration(molecules: Molecules) -> None:
    with pytest.raises(IndexError):
        molecules[4]
    assert [len(molecule.atomic_numbers) for molecule in molecules] == [3, 5, 0, 3]


def test_concatenate_undoes_splitting(molecules: Molecules) -> None:
    again = concatenate([molecules[:1], molecules[1:1], molecules[1:]])
    for field in dataclasses.fields(Molecules):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(molecules, field.name))
    assert len(concatenate([])) == 0
    with pytest.raises(ValueError, match="parts: some have labels"):
        concatenate([molecules, dataclasses.replace(molecules, labels=None)])


def test_points_hold_channel_and_coordinates(molecules: Molecules) -> None:
    points = molecules.points(ORGANIC)
    assert points.shape.as_list() == [4, None, 4]
    assert points.dtype == tf.float32
    assert points.row_lengths().numpy().tolist() == [3, 5, 0, 3]
    np.testing.assert_array_equal(points[1][:, 0], [0, 7, 7, 7, 7])
    np.testing.assert_array_equal(points[3][:, 1:], np.array(WATER[1], np.float32))


def test_points_name_the_atom_of_an_unlisted_element() -> None:
    atomic_numbers, coords = zip(WATER, NOTHING, ARGON, strict=True)
    with pytest.raises(ValueError, match=r"molecule 2, atom 0 is Ar"):
        Molecules.from_arrays(atomic_numbers, coords).points(ORGANIC)


def test_composition_counts_elements_also_of_empty_molecules(molecules: Molecules) -> None:
    counts = molecules.composition(("C", "H", "O", "N"))
    assert counts.tolist() == [[0, 2, 1, 0], [1, 4, 0, 0], [0, 0, 0, 0], [0, 2, 1, 0]]


def test_dataset_batches_every_molecule_once_with_its_own_label() -> None:
    dataset = many(50).dataset(ORGANIC, batch_size=16, shuffle=True, seed=3)
    orders = []
    for _ in range(2):
        labels = []
        for points, label in dataset:
            assert isinstance(points, tf.RaggedTensor)
            for molecule, value in zip(points, label.numpy(), strict=True):
                assert molecule.shape == (int(value) % 7, 4)
                assert np.all(molecule.numpy()[:, 1] == value)
            labels += label.numpy().tolist()
        assert sorted(labels) == list(range(50))
        orders.append(labels)
    assert orders[0] != orders[1]
    assert orders[0] != sorted(orders[0])


def test_dataset_has_points_alone_without_labels() -> None:
    unlabelled = dataclasses.replace(many(5), labels=None)
    (points,) = unlabelled.dataset(ElementChannels.single())
    assert points.nrows() == 5


def test_dataset_of_no_molecules_is_empty() -> None:
    empty = many(5)[0:0]
    assert list(empty.dataset(ORGANIC, shuffle=True)) == []
    with pytest.raises(ValueError, match="batch_size: must be at least 1, got 0"):
        empty.dataset(ORGANIC, batch_size=0)


def test_slices_of_points_are_one_molecule_an_element(molecules: Molecules) -> None:
    dataset = tf.data.Dataset.from_tensor_slices((molecules.points(ORGANIC), molecules.labels))
    assert [(points.shape, float(label)) for points, label in dataset][:2] == [((3, 4), 1.0), ((5, 4), 2.0)]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"row_splits": [0, 3, 2, 8, 11]}, r"row_splits: molecule 1 ends at 2, before its start 3"),
        ({"row_splits": [1, 3, 8, 8, 11]}, r"row_splits: must start at 0, got 1"),
        ({"row_splits": [0, 3, 8, 8, 12]}, r"atomic_numbers: row_splits ends at 12.*got \[11\]"),
        ({"row_splits": []}, r"row_splits: shape must be \[B \+ 1\], got \[0\]"),
        ({"row_splits": [0.0, 3.0, 8.0, 8.0, 11.0]}, r"row_splits: must be integers, got dtype float64"),
        ({"coords": np.zeros((11, 2))}, r"coords: shape must be \[11, 3\], got \[11, 2\]"),
        ({"labels": np.zeros(3)}, r"labels: shape must be \[4\], got \[3\]"),
        ({"labels": np.array([0, 1, np.nan, 3])}, r"labels: molecule 2 has nan"),
        ({"names": ("a",)}, r"names: there must be 4, got 1"),
        ({"atomic_numbers": np.zeros(11)}, r"atomic_numbers: must be integers, got dtype float64"),
    ],
)
def test_arrays_that_do_not_fit_are_errors(molecules: Molecules, changes: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        dataclasses.replace(molecules, **changes)


@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e39])
def test_coordinate_that_float32_cannot_hold_is_an_error_that_names_the_atom(
    molecules: Molecules, value: float
) -> None:
    coords = molecules.coords.astype(np.float64)
    coords[9, 2] = value
    with pytest.raises(ValueError, match=r"coords: molecule 3 \(water\), atom 1 is at"):
        dataclasses.replace(molecules, coords=coords)


@pytest.mark.parametrize("number", [0, -6, 119, 2**32 + 6])
def test_atomic_number_that_is_no_element_is_an_error(molecules: Molecules, number: int) -> None:
    numbers = molecules.atomic_numbers.astype(np.int64)
    numbers[3] = number
    with pytest.raises(ValueError, match=rf"atomic_numbers: molecule 1 \(C\), atom 0 has {number}"):
        dataclasses.replace(molecules, atomic_numbers=numbers)


def test_arrays_of_one_molecule_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"molecule 1 needs .* got \[2\] and \[1, 3\]"):
        Molecules.from_arrays([[6], [6, 1]], [[[0, 0, 0]], [[0, 0, 0]]])
    with pytest.raises(ValueError, match="coords: there are 1 arrays, but 2 of atomic_numbers"):
        Molecules.from_arrays([[6], [6]], [[[0, 0, 0]]])
