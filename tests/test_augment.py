"""Random rotations and translations: rigid, uniform, and the same for the same seed."""

import numpy as np
import pytest
import tensorflow as tf
import tolerances

import pg_tf

SEED = (7, 8)


@pytest.fixture
def points(rng: np.random.Generator) -> np.ndarray:
    """Padded [3, 6, 4]; the last two atoms of the last molecule are padding and hold NaN."""
    points = np.concatenate([rng.integers(0, 4, (3, 6, 1)), rng.normal(scale=4, size=(3, 6, 3))], axis=-1)
    points[2, 4:] = [-1, np.nan, np.nan, np.nan]
    return points


def distances(coords: np.ndarray) -> np.ndarray:
    return np.linalg.norm(coords[..., :, None, :] - coords[..., None, :, :], axis=-1)


def test_motion_keeps_distances_handedness_and_channels(points: np.ndarray) -> None:
    moved = pg_tf.random_motion(points, SEED).numpy()
    assert moved.shape == points.shape
    assert np.array_equal(moved[..., 0], points[..., 0])
    for before, after in zip(points[:, :4, 1:], moved[:, :4, 1:], strict=True):
        assert np.abs(distances(after) - distances(before)).max() < tolerances.FLOAT32_ROTATION
        volumes = [np.linalg.det(atoms[1:] - atoms[0]) for atoms in (before, after)]
        assert np.isclose(*volumes, rtol=1e-4)
        assert np.abs(after - before).max() > 0.1


def test_each_molecule_moves_in_its_own_way_and_layouts_agree(points: np.ndarray) -> None:
    same = np.repeat(points[:1], 3, axis=0).astype(np.float32)
    moved = pg_tf.random_motion(same, SEED).numpy()
    assert np.abs(moved[0] - moved[1]).max() > 0.1
    assert np.abs(moved[1] - moved[2]).max() > 0.1
    ragged = pg_tf.random_motion(tf.RaggedTensor.from_tensor(tf.constant(same), lengths=[6, 6, 6]), SEED)
    assert np.array_equal(ragged.flat_values, moved.reshape(-1, 4))
    assert np.array_equal(pg_tf.random_motion(points[0], SEED).shape, (6, 4))


def test_padding_does_not_move_the_centroid(points: np.ndarray) -> None:
    still = {"translation": 0.0}
    moved = pg_tf.random_motion(points, SEED, **still).numpy()
    whole = points[:2, :, 1:].mean(1)
    assert np.abs(moved[:2, :, 1:].mean(1) - whole).max() < tolerances.FLOAT32_ROTATION
    assert np.abs(moved[2, :4, 1:].mean(0) - points[2, :4, 1:].mean(0)).max() < tolerances.FLOAT32_ROTATION


def test_same_seed_gives_the_same_motion_and_another_another(points: np.ndarray) -> None:
    first, again, other = (pg_tf.random_motion(points[:2], seed).numpy() for seed in (SEED, SEED, (7, 9)))
    assert np.array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_translation_alone_stays_in_its_cube_and_reaches_its_walls() -> None:
    points = np.zeros((2000, 1, 4))
    moved = pg_tf.random_motion(points, SEED, rotation=False, translation=0.5).numpy()[:, 0, 1:]
    assert np.abs(moved).max() <= 0.5
    assert (np.abs(moved).max(0) > 0.49).all()
    assert np.abs(moved.mean(0)).max() < 0.04  # 6 standard errors
    assert np.array_equal(pg_tf.random_motion(points, SEED, rotation=False, translation=0.0), points)


def test_rotations_are_uniform_over_all_orientations() -> None:
    # Three unit vectors from the centroid; for a uniform rotation every matrix element has mean 0 and mean square 1/3,
    # and different elements of a row are uncorrelated.
    points = np.zeros((4000, 6, 4))
    points[:, :3, 1:] = np.eye(3)
    points[:, 3:, 1:] = -np.eye(3)
    moved = pg_tf.random_motion(points, SEED, translation=0.0).numpy()
    matrices = moved[:, :3, 1:]
    assert np.allclose(np.linalg.det(matrices), 1, atol=1e-5)
    standard_error = 1 / np.sqrt(4000)
    assert np.abs(matrices.mean(0)).max() < 5 * standard_error
    assert np.abs((matrices**2).mean(0) - 1 / 3).max() < 5 * standard_error
    assert np.abs((matrices[:, 0, 0] * matrices[:, 0, 1]).mean()) < 5 * standard_error
    angles = np.arccos(np.clip((np.trace(matrices, axis1=1, axis2=2) - 1) / 2, -1, 1))
    # Density (1 - cos angle) / pi on [0, pi]: mean pi / 2 + 2 / pi.
    assert abs(angles.mean() - (np.pi / 2 + 2 / np.pi)) < 5 * 0.65 * standard_error


@pytest.mark.parametrize("translation", [-0.1, float("nan")])
def test_negative_translation_is_refused(points: np.ndarray, translation: float) -> None:
    with pytest.raises(ValueError, match="translation must be at least 0"):
        pg_tf.random_motion(points, SEED, translation=translation)


def test_molecules_without_atoms_stay_empty() -> None:
    ragged = tf.RaggedTensor.from_row_lengths(tf.zeros([2, 4]), [0, 2, 0])
    moved = pg_tf.random_motion(ragged, SEED)
    assert np.array_equal(moved.row_lengths(), [0, 2, 0])
    assert np.isfinite(moved.flat_values).all()
    assert pg_tf.random_motion(np.zeros((0, 4)), SEED).shape == (0, 4)


def dataset(rng: np.random.Generator) -> tf.data.Dataset:
    molecules = tf.RaggedTensor.from_row_lengths(rng.normal(size=(60, 4)).astype(np.float32) * [0, 2, 2, 2], [6] * 10)
    return tf.data.Dataset.from_tensor_slices((molecules, np.arange(10))).ragged_batch(4)


def flat(data: tf.data.Dataset) -> list[np.ndarray]:
    return [points.flat_values.numpy() for points, *_ in data]


def test_augment_moves_anew_every_epoch_and_repeats_with_its_seed(rng: np.random.Generator) -> None:
    plain = dataset(rng)
    augmented = plain.apply(pg_tf.augment(seed=3))
    first, second = flat(augmented), flat(augmented)
    assert all(np.abs(a - b).max() > 0.1 for a, b in zip(first, second, strict=True))
    again = plain.apply(pg_tf.augment(seed=3))
    for a, b in zip(first + second, flat(again) + flat(again), strict=True):
        assert np.array_equal(a, b)
    other = flat(plain.apply(pg_tf.augment(seed=4)))
    assert all(np.abs(a - b).max() > 0.1 for a, b in zip(first, other, strict=True))


def test_augment_hands_labels_on_and_keeps_the_kind_of_element(rng: np.random.Generator) -> None:
    plain = dataset(rng)
    augmented = plain.apply(pg_tf.augment())
    assert augmented.element_spec == plain.element_spec
    assert np.array_equal(np.concatenate([label for _, label in augmented]), np.arange(10))
    for element in plain.map(lambda points, label: {"points": points, "label": label}).apply(pg_tf.augment()):
        assert element.keys() == {"points", "label"}
    for element in plain.map(lambda points, label: points).apply(pg_tf.augment()):
        assert isinstance(element, tf.RaggedTensor)


def test_stream_that_starts_later_gets_the_motions_of_the_whole_one(rng: np.random.Generator) -> None:
    endless = dataset(rng).repeat()
    whole = flat(endless.apply(pg_tf.augment(seed=3, start=0)).take(9))
    rest = flat(endless.skip(5).apply(pg_tf.augment(seed=3, start=5)).take(4))
    for a, b in zip(whole[5:], rest, strict=True):
        assert np.array_equal(a, b)
    # The same molecules come again every 3 batches, and never move in the same way.
    assert all(np.abs(a - b).max() > 0.1 for a, b in zip(whole[:6], whole[3:], strict=True))
    other = flat(endless.apply(pg_tf.augment(seed=4, start=0)).take(9))
    assert all(np.abs(a - b).max() > 0.1 for a, b in zip(whole, other, strict=True))


def complexes() -> dict[str, np.ndarray]:
    """A long protein (channel 0) and a ligand (channel 1) at its end, twice."""
    protein = np.column_stack([np.zeros(40), np.linspace(0, 60, 40), np.zeros(40), np.zeros(40)])
    ligand = np.column_stack([np.ones(5), np.linspace(58, 62, 5), np.full(5, 3.0), np.zeros(5)])
    points = np.stack([np.concatenate([protein, ligand])] * 2)
    return {"points": points, "center": points[:, 40:, 1:].mean(1)}


@pytest.mark.parametrize("how", ["center", "center_channels", "key", "coords"])
def test_ligand_stays_in_its_box_where_the_complex_turns_about_it(how: str) -> None:
    atoms = complexes()
    options = {"center": atoms["center"]} if how == "center" else {}
    options |= {"center_channels": [1]} if how == "center_channels" else {}
    element = atoms if how == "key" else {"points": atoms["points"]}
    if how == "coords":
        element = {
            "coords": atoms["points"][..., 1:],
            "channels": atoms["points"][..., 0].astype(int),
            "center": atoms["center"],
        }
    to_grid = pg_tf.Voxelizer(num_channels=2, box=(atoms["center"] - 6, np.full(3, 12.0)), grid_shape=8)
    if how in ("key", "coords"):
        to_grid = pg_tf.Voxelizer(num_channels=2, lengths=12.0, grid_shape=8)
    dataset = tf.data.Dataset.from_tensors(element).repeat(3)
    motions = dataset.apply(pg_tf.augment(seed=5, translation=1.0, **options)).map(to_grid)
    grids = np.stack([element["grid"] for element in motions])
    np.testing.assert_allclose(grids[:, :, 1].sum(axis=(2, 3, 4)), 5.0, rtol=1e-4)
    assert np.abs(grids[0] - grids[1]).max() > 0.01
    away = dataset.apply(pg_tf.augment(seed=5)).map(lambda e: {**e, "center": atoms["center"]} if how != "key" else e)
    if how in ("center", "center_channels"):  # about the centroid of all atoms it leaves the box
        lost = np.stack([to_grid({k: v for k, v in e.items() if k != "center"})["grid"] for e in away])
        assert lost[:, :, 1].sum(axis=(2, 3, 4)).max() < 4.9


def test_dicts_of_molecules_move_as_points_do(points: np.ndarray) -> None:
    points = np.nan_to_num(points)
    seeds = tf.data.Dataset.from_tensors({"points": points, "gap": 1.0}).apply(pg_tf.augment(seed=2))
    channels = points[..., 0].astype(int)
    named = {"coords": points[..., 1:], "channels": channels, "gap": 1.0}
    moved = next(iter(tf.data.Dataset.from_tensors(named).apply(pg_tf.augment(seed=2))))
    assert np.array_equal(moved["coords"], next(iter(seeds))["points"][..., 1:])
    assert np.array_equal(moved["channels"], channels)


@pytest.mark.parametrize(
    ("element", "options", "text"),
    [
        ({"positions": np.zeros((2, 3))}, {}, "'positions' looks like 'coords'"),
        ({"gap": 1.0}, {}, "no 'points' or 'coords'; it has gap"),
        ({"coords": np.zeros((2, 3)), "cell": np.eye(3)}, {}, "turns by pg_tf.augment_crystals"),
        ({"coords": np.zeros((2, 3))}, {"center_channels": [1]}, "the dictionary has no channels"),
        (np.zeros((2, 4)), {"center": [0.0, 1.0]}, r"center must have shape \[3\] or \[molecules, 3\]"),
        (np.zeros((2, 4)), {"center": [0.0] * 3, "center_channels": [0]}, "give one of them"),
    ],
)
def test_dicts_and_centers_that_do_not_fit_are_refused(element: object, options: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        tf.data.Dataset.from_tensors(element).apply(pg_tf.augment(**options))


def test_molecule_without_an_atom_to_turn_about_is_refused(points: np.ndarray) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"no atom of the channels \[9\]"):
        pg_tf.random_motion(points, SEED, center_channels=[9])
