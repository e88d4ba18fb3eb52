"""Pairs of atoms against every permutation, counts that differ, and the figures and Keras metrics made of them."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from pg_tf import metrics
from pg_tf.metrics import match_points, pair_atoms

# Two molecules in two channels. In the first an atom of channel 1 is missing and one is 0.3 Å off; in the second one
# atom is too many and the others are exact.
TRUE = tf.ragged.constant([[[0, 0, 0, 0], [0, 2, 0, 0], [1, 5, 0, 0]], [[1, 0, 0, 0]]], ragged_rank=1, dtype=tf.float32)
FOUND = tf.ragged.constant(
    [[[0, 2, 0, 0], [0, 0, 0, 0.3]], [[1, 9, 9, 9], [1, 0, 0, 0]]], ragged_rank=1, dtype=tf.float32
)
FUNCTIONS = [metrics.atom_count_error, metrics.recovered_fraction, metrics.exact_fraction, metrics.matched_rmsd]
CLASSES = [metrics.AtomCountError, metrics.RecoveredFraction, metrics.ExactFraction, metrics.MatchedRMSD]
# float32 sums of a few numbers
ROUNDING = 1e-6


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


def test_within_makes_the_most_pairs_where_the_least_squares_would_shift_a_whole_row():
    true = np.float64([[x, 0, 0] for x in range(6)])
    found = true + np.float64([1, 0, 0])  # the first atom is missing and there is one too many at the end
    assert pair_atoms(true, found)[2] == pytest.approx(np.ones(6))
    rows, columns, distances = pair_atoms(true, found, within=0.5)
    assert (rows.tolist(), columns.tolist()) == ([1, 2, 3, 4, 5], [0, 1, 2, 3, 4])
    assert distances == pytest.approx(np.zeros(5))


def test_number_of_pairs_within_is_the_largest_of_all_permutations(rng):
    for _ in range(20):
        true, found = rng.random((5, 3)), rng.random((5, 3))
        near = [np.linalg.norm(true[list(order)] - found, axis=1) < 0.4 for order in itertools.permutations(range(5))]
        assert len(pair_atoms(true, found, within=0.4)[0]) == max(part.sum() for part in near)


def test_figures_are_those_counted_by_hand():
    assert metrics.atom_count_error(TRUE, FOUND) == pytest.approx(1)
    assert metrics.atom_count_error(TRUE, FOUND, channel=0) == 0
    assert metrics.recovered_fraction(TRUE, FOUND, within=0.1) == pytest.approx(2 / 4)
    assert metrics.recovered_fraction(TRUE, FOUND, within=0.5) == pytest.approx(3 / 4)
    assert metrics.recovered_fraction(TRUE, FOUND, within=0.5, channel=1) == pytest.approx(1 / 2)
    assert metrics.matched_rmsd(TRUE, FOUND) == pytest.approx(math.sqrt(0.3**2 / 3))
    assert metrics.matched_rmsd(TRUE, FOUND, within=0.1) == 0
    assert metrics.exact_fraction(TRUE, FOUND) == 0
    assert metrics.exact_fraction(TRUE, TRUE) == 1
    # In channel 0 alone the second molecule has no atom, in truth and as found.
    assert metrics.exact_fraction(TRUE, FOUND, channel=0) == pytest.approx(1 / 2)


def test_comparison_holds_every_figure_of_every_channel():
    figures = metrics.compare_points(TRUE, FOUND, channel_names=("C", "H"))
    assert len(figures) == 15
    assert figures["recovered_0.5A_H"] == metrics.recovered_fraction(TRUE, FOUND, channel=1)
    assert figures["rmsd_C"] == pytest.approx(math.sqrt(0.3**2 / 2))


@pytest.mark.parametrize(("metric", "function"), list(zip(CLASSES, FUNCTIONS, strict=True)))
@pytest.mark.parametrize("channel", [None, 1])
def test_keras_metric_over_batches_is_the_function_over_all(metric, function, channel):
    accumulated = metric(channel=channel)
    for i in range(2):
        accumulated.update_state(TRUE[i : i + 1], FOUND[i : i + 1])
    assert float(accumulated.result()) == pytest.approx(function(TRUE, FOUND, channel=channel), rel=ROUNDING)
    accumulated.reset_state()
    accumulated.update_state(TRUE, FOUND)
    assert float(accumulated.result()) == pytest.approx(function(TRUE, FOUND, channel=channel), rel=ROUNDING)


@pytest.mark.parametrize("metric", CLASSES)
def test_keras_metric_is_the_same_in_a_graph_and_from_padded_points(metric):
    eager, graph = metric(), metric()
    eager.update_state(TRUE, FOUND)
    tf.function(graph.update_state)(TRUE.to_tensor(-1), FOUND)
    assert float(graph.result()) == float(eager.result())


@pytest.mark.parametrize(
    "metric",
    [
        metrics.AtomCountError(channel=1),
        metrics.RecoveredFraction(within=0.1, name="near"),
        metrics.ExactFraction(within=0.2),
        metrics.MatchedRMSD(within=0.4, channel=0),
    ],
)
def test_keras_metric_survives_serialisation(metric):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert type(copy) is type(metric)
    assert copy.get_config() == metric.get_config()
    for one in (metric, copy):
        one.update_state(TRUE, FOUND)
    assert float(copy.result()) == float(metric.result())


def test_sample_weight_weighs_molecules():
    metric = metrics.RecoveredFraction(within=0.1)
    metric.update_state(TRUE, FOUND, sample_weight=[0.0, 1.0])
    assert float(metric.result()) == 1


def test_keras_metric_in_a_compiled_model():
    move = keras.Sequential([keras.Input((None, 4)), keras.layers.Rescaling([1.0, 1.0, 1.0, 1.0], [0, 0, 0, 0.25])])
    move.compile(metrics=[metrics.MatchedRMSD(), metrics.RecoveredFraction(0.2)], loss="mse", jit_compile=False)
    points = TRUE.to_tensor(-1)
    logs = move.evaluate(points, points, return_dict=True, verbose=0)
    assert logs["matched_rmsd"] == pytest.approx(0.25, rel=ROUNDING)
    assert logs["recovered_fraction"] == 0


def test_nothing_to_measure_is_nan():
    nothing = np.zeros((0, 4))
    assert math.isnan(metrics.matched_rmsd(nothing, nothing))
    assert math.isnan(metrics.recovered_fraction(nothing, nothing))
    assert math.isnan(float(metrics.MatchedRMSD().result()))
    assert metrics.exact_fraction(nothing, nothing) == 1


@pytest.mark.parametrize(
    ("true", "found", "text"),
    [
        (TRUE, FOUND[:1], "must have as many molecules, got 2 and 1"),
        (np.zeros((2, 3)), FOUND, r"true_points must have shape \[atoms, 4\]"),
        (TRUE, FOUND.with_flat_values(FOUND.flat_values * math.nan), r"molecule 0: found: atom 0 is \[nan"),
    ],
)
def test_bad_points_are_named(true, found, text):
    for compare in (metrics.atom_count_error, metrics.AtomCountError().update_state):
        with pytest.raises(ValueError, match=text):
            compare(true, found)


@pytest.mark.parametrize("within", [0.0, -1.0, math.inf, math.nan])
def test_distance_that_is_none_is_refused(within):
    with pytest.raises(ValueError, match="within must be a distance greater than 0 Å"):
        metrics.RecoveredFraction(within)
    with pytest.raises(ValueError, match="within must be a distance greater than 0 Å"):
        metrics.recovered_fraction(TRUE, FOUND, within=within)
