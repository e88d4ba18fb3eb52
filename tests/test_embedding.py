"""Learned vectors of elements: what makes them invertible, that they learn, and reading atoms back from their grids."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import pg_tf
from pg_tf.datasets import load_sample
from pg_tf.elements import ORGANIC, SYMBOLS
from pg_tf.embedding import atom_features, decode_grid
from pg_tf.layers import AtomEmbedding, Voxelize
from tests import tolerances

pytestmark = pytest.mark.slow

# Features from a float32 grid: its rounding times a condition of a few, where atoms overlap. Measured: 5e-7.
FEATURES = 5e-6


@pytest.fixture(scope="module")
def sample():
    """24 molecules with all elements of the sample: ragged coordinates and atomic numbers."""
    molecules = load_sample("test")[:60]
    rare = np.argsort(-molecules.composition(["S", "F", "Cl", "Br"]).sum(axis=1), kind="stable")[:24]
    points = molecules[rare].points(pg_tf.ElementChannels(SYMBOLS[1:]))
    numbers = tf.cast(points[:, :, 0], tf.int32) + 1
    assert set(numbers.flat_values.numpy()) == {6, 7, 8, 16, 9, 17, 35, 1}
    return points[:, :, 1:], numbers


def embedded(embedding, coords, numbers, **options):
    layer = Voxelize(embedding.num_channels, return_box=True, **options)
    return layer({"coords": coords, "atomic_numbers": numbers, "features": embedding(numbers)})


def assert_found(found_numbers, found_coords, numbers, coords):
    """Atom by atom, in any order: as many, within the accuracy of an inversion, of the same element."""
    assert len(found_coords) == len(coords)
    distance = np.linalg.norm(np.asarray(coords)[:, np.newaxis] - found_coords, axis=-1)
    partner = distance.argmin(axis=1)
    assert len(set(partner)) == len(partner)
    assert distance.min(axis=1).max() < tolerances.INVERSION
    np.testing.assert_array_equal(np.asarray(found_numbers)[partner], numbers)


def test_vectors_share_out_the_mass_of_an_atom():
    keras.utils.set_random_seed(0)
    embedding = AtomEmbedding(5)
    vectors = embedding.embeddings.numpy()
    assert vectors.shape == (118, 5)
    assert vectors.min() >= 0
    np.testing.assert_allclose(vectors.sum(axis=1), 1, rtol=1e-6)
    coords = np.float32([[[2.0, 2, 2], [3, 2, 3], [3, 3, 3], [0, 0, 0]]])
    numbers = np.int32([[6, 92, 1, 0]])
    grid, box = embedded(embedding, coords, numbers, grid_shape=16)
    plain = pg_tf.voxelize(
        coords, np.int32(numbers > 0), box=box, grid_shape=16, num_channels=2, data_format="channels_last"
    )
    np.testing.assert_allclose(tf.reduce_sum(grid, -1), plain[..., 1], atol=tolerances.FLOAT32_GRID * np.max(plain))
    assert float(tf.reduce_sum(grid)) == pytest.approx(3, rel=tolerances.FLOAT32_MASS)


@pytest.mark.parametrize("ragged", [True, False])
def test_every_element_is_told_from_its_vector(ragged):
    keras.utils.set_random_seed(1)
    embedding = AtomEmbedding(3)
    numbers = tf.ragged.constant([list(range(1, 119)), [], [8, 8]], dtype=tf.int32)
    numbers = numbers if ragged else numbers.to_tensor()
    features = embedding(numbers)
    assert features.shape.as_list() == [3, None if ragged else 118, 3]
    decoded = embedding.decode(features)
    assert tf.reduce_all((decoded.flat_values == numbers.flat_values) if ragged else (decoded == numbers))
    if not ragged:
        assert not np.any(features[1])


@pytest.mark.parametrize(("num_channels", "elements"), [(4, ORGANIC.symbols), (2, ORGANIC.symbols), (4, None)])
@pytest.mark.parametrize("sigma", [0.3, 0.5])
def test_atoms_and_elements_are_read_back_from_a_grid(sigma, num_channels, elements, sample):
    keras.utils.set_random_seed(2)
    coords, numbers = (values[:8] for values in sample)
    embedding = AtomEmbedding(num_channels, elements)
    grid, box = embedded(embedding, coords, numbers, sigma=sigma)
    found = embedding.decode_grid(grid, box=box, sigma=sigma)
    assert found.inversion.converged.all()
    assert float(tf.reduce_max(found.distance.flat_values)) < FEATURES
    for i in range(8):
        assert_found(found.atomic_numbers[i], found.coords[i], numbers[i], coords[i])


def test_single_grid_in_a_turned_box_is_read_back(sample):
    keras.utils.set_random_seed(3)
    coords, numbers = (values[0] for values in sample)
    box = pg_tf.bounding_box(coords, rotation="principal")
    embedding = AtomEmbedding(3, ORGANIC.symbols)
    grid = pg_tf.voxelize(coords, features=embedding(numbers), num_channels=3, box=box)
    found = embedding.decode_grid(grid, box=box, sigma=0.4, data_format="channels_first")
    assert found.features.shape == (len(coords), 3)
    assert_found(found.atomic_numbers, found.coords, numbers, coords)


def test_elements_survive_noise_that_leaves_the_vectors_apart(sample, rng):
    keras.utils.set_random_seed(4)
    coords, numbers = (values[:4] for values in sample)
    embedding = AtomEmbedding(4, ORGANIC.symbols)
    grid, box = embedded(embedding, coords, numbers)
    noise = 0.01 * float(tf.reduce_max(grid)) * rng.normal(size=grid.shape).astype(np.float32)
    found = embedding.decode_grid(grid + noise, box=box, sigma=0.4)
    assert 1e-3 < float(tf.reduce_max(found.distance.flat_values)) < embedding.closest_pair()[0] / 2
    for i in range(4):
        found_counts, counts = (np.bincount(n[i], minlength=119) for n in (found.atomic_numbers, numbers))
        np.testing.assert_array_equal(found_counts, counts)


def test_features_are_those_of_a_brute_force_fit(rng):
    """Against a dense design matrix, on grids that no atoms explain; one atom is cut by the box."""
    box = pg_tf.Box([[-1.0, 0, 0], [0, 0, 0]], [[6.0, 5, 7], [5, 5, 5]])
    coords = tf.RaggedTensor.from_row_lengths(rng.uniform(0, 4, (9, 3)), [6, 3])
    grids = rng.normal(size=(2, 8, 9, 10, 2))
    found = atom_features(grids, coords, box=box, sigma=0.6)
    for i in range(2):
        columns = pg_tf.voxelize(
            coords[i][:, tf.newaxis],
            grid_shape=(8, 9, 10),
            sigma=0.6,
            box=(box.origin[i], box.lengths[i]),
            dtype="float64",
        )
        design = columns.numpy().reshape(len(columns), -1).T
        expected = np.linalg.lstsq(design, grids[i].reshape(-1, 2), rcond=None)[0]
        np.testing.assert_allclose(found[i], expected, rtol=1e-8, atol=1e-8)


def test_crowding_is_the_sum_over_pairs_and_pushes_them_apart():
    embedding = AtomEmbedding(2, ("C", "N", "O"), margin=0.5, separation=2.0)
    embedding.build((None, None))
    vectors = np.float64([[0.5, 0.5], [0.6, 0.4], [1.0, 0.0]])
    embedding.set_weights([np.log(vectors + 1e-30).astype(np.float32)])
    embedding(np.int32([[6]]))
    # C and N are sqrt(0.02) apart; all others farther than the margin of 0.5.
    assert float(embedding.losses[0]) == pytest.approx(2 * (1 - 0.02 / 0.25), rel=1e-5)
    (logits,) = embedding.trainable_variables
    for _ in range(50):
        with tf.GradientTape() as tape:
            embedding(np.int32([[6]]))
            loss = tf.add_n(embedding.losses)
        logits.assign_sub(0.2 * tape.gradient(loss, logits))
    assert embedding.closest_pair()[0] > 0.49


def test_gradient_to_the_vectors_through_the_grid_is_the_numeric_one(sample, rng):
    coords, numbers = (values[:2] for values in sample)
    embedding = AtomEmbedding(3, ORGANIC.symbols, dtype="float64", margin=0)
    layer = Voxelize(3, 8, 0.6, dtype="float64")
    embedding.build((None, None))
    logits = embedding.trainable_variables[0]

    def loss():
        grid = layer({"coords": coords, "atomic_numbers": numbers, "features": embedding(numbers)})
        return tf.reduce_sum(tf.sin(3 * grid))

    with tf.GradientTape() as tape:
        value = loss()
    gradient = tape.gradient(value, logits).numpy()
    start, direction = logits.numpy(), rng.normal(size=logits.shape)

    def moved(step):
        logits.assign(start + step * direction)
        return float(loss())

    numeric = (moved(1e-4) - moved(-1e-4)) / 2e-4
    scale = np.linalg.norm(gradient) * np.linalg.norm(direction)
    assert numeric == pytest.approx(np.sum(gradient * direction), abs=tolerances.NUMERIC_GRADIENT * scale)
    assert np.abs(gradient[0]).max() > 0


def test_vectors_learn_what_tells_elements_apart(sample):
    """Two channels that are to hold carbon, and all the rest: the vectors become those of element channels."""
    keras.utils.set_random_seed(5)
    coords, numbers = (values[:8] for values in sample)
    is_carbon = numbers.with_flat_values(tf.where(numbers.flat_values == 6, 0, 1))
    target = pg_tf.voxelize(coords, is_carbon, num_channels=2, grid_shape=12, data_format="channels_last")
    inputs = {
        "coords": keras.Input((None, 3), ragged=True, name="coords"),
        "atomic_numbers": keras.Input((None,), dtype="int32", ragged=True, name="atomic_numbers"),
    }
    embedding = AtomEmbedding(2, ORGANIC.symbols, margin=0)
    grid = Voxelize(2, 12)({**inputs, "features": embedding(inputs["atomic_numbers"])})
    model = keras.Model(inputs, grid)
    model.compile(keras.optimizers.Adam(0.3), lambda true, predicted: 1e3 * tf.reduce_mean((true - predicted) ** 2))
    atoms = {"coords": coords, "atomic_numbers": numbers}
    losses = model.fit(atoms, target, batch_size=8, epochs=60, verbose=0).history["loss"]
    assert losses[-1] < 1e-2 * losses[0]
    vectors = dict(zip(embedding.elements, embedding.embeddings.numpy(), strict=True))
    assert vectors["C"][0] > 0.9
    assert max(vectors[symbol][0] for symbol in ("H", "N", "O")) < 0.1


def test_unknown_elements_are_refused():
    embedding = AtomEmbedding(2, ("C", "O"))
    with pytest.raises(ValueError, match="molecule 1, atom 0 is N"):
        embedding(np.int32([[6, 0], [7, 6]]))
    with pytest.raises(ValueError, match=r"molecule 0, atom 1 is no element \(atomic number 119\)"):
        embedding(np.int32([[6, 119]]))
    with pytest.raises(ValueError, match="whole numbers of an integer dtype"):
        embedding(tf.constant([[6.0]]))

    @tf.function
    def grid(coords, numbers):
        return Voxelize(2, 4)({"coords": coords, "atomic_numbers": numbers, "features": embedding(numbers)})

    with pytest.raises(tf.errors.InvalidArgumentError, match="molecule 1, atom 0 is N"):
        grid(tf.zeros([2, 1, 3]), tf.constant([[6], [7]]))


def decode(vectors, channels=2):
    return decode_grid(np.zeros((4, 4, 4, channels)), vectors, [6], box=([0] * 3, [4] * 3), sigma=0.4)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: AtomEmbedding(0), "num_channels must be a whole number from 1"),
        (lambda: AtomEmbedding(2.5), "num_channels must be a whole number from 1"),
        (lambda: AtomEmbedding(2, "CO"), "elements must be a sequence of symbols, got the string 'CO'"),
        (lambda: AtomEmbedding(2, margin=np.inf), "margin and separation must be finite"),
        (lambda: AtomEmbedding(2, ("C", "Xx")), "'Xx' is not an element"),
        (lambda: AtomEmbedding(2, ("C", "C")), "listed more than once"),
        (lambda: AtomEmbedding(2, margin=-1.0), "margin and separation must be finite and at least 0"),
        (lambda: decode([[1, 1]]), "sum to one"),
        (lambda: decode([1, 0]), r"be \[E, C\]"),
        (lambda: decode([[1, 0]], channels=3), "have 2 components, but the grid has 3 channels"),
        (
            lambda: atom_features(np.zeros((2, 4, 4, 4, 1)), np.zeros((3, 1, 3)), box=([0] * 3, [4] * 3), sigma=0.4),
            "of 3 molecules, but there are 2 grids",
        ),
    ],
)
def test_bad_input_is_refused_by_name(make, text):
    with pytest.raises(ValueError, match=text):
        make()
