"""Pairs of atoms against every permutation, and counts that differ."""

import itertools

import numpy as np
import pytest

from pg_tf.metrics import match_points, pair_atoms


def test_pairs_are_those_of_the_best_permutation():
    rng = np.random.default_rng(1)
    true, found = rng.normal(size=(2, 5, 3))
    best = min(((true[list(order)] - found) ** 2).sum() for order in itertools.permutations(range(5)))
    _, _, distances = pair_atoms(true, found)
    assert (distances**2).sum() == pytest.approx(best)


def test_atoms_of_different_channels_are_no_pair():
    match = match_points([[0, 0, 0, 0], [1, 5, 0, 0]], [[1, 0, 0, 0], [0, 5, 0, 0]])
    assert match.same_counts
    assert match.largest_error == pytest.approx(5)


def test_missing_atom_makes_the_error_infinite_and_padding_does_not():
    true = [[0, 0, 0, 0], [0, 1, 0, 0]]
    missing = match_points(true, [[0, 0, 0, 0]])
    assert (missing.num_true, missing.num_found, missing.largest_error) == (2, 1, float("inf"))
    assert match_points(true, [*true, [-1, 9, 9, 9]]).largest_error == 0


def test_shape_is_named():
    with pytest.raises(ValueError, match=r"found must have shape \[atoms, 4\], got \[2, 3\]"):
        match_points(np.zeros((2, 4)), np.zeros((2, 3)))
