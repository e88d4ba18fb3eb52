"""Implicit gradients against inverting changed grids again by other means, adjointness, and training through them."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import least_squares

import pg_tf
from pg_tf.implicit import CoordinateLoss, GridToCoords, refine_coords
from pg_tf.metrics import match_points
from tests.reference import Case, random_rotation
from tests.tolerances import INVERSION

pytestmark = pytest.mark.slow

BOX = pg_tf.Box(np.float64([0, 0, 0]), np.float64([5.0, 5.5, 6.0]))
SHAPE = (10, 11, 12)
SIGMA = 0.6
# Two atoms of a channel less than two sigma apart, one of another, and one cut by the box.
COORDS = np.float64([[2.0, 2.2, 2.4], [2.6, 2.9, 2.9], [3.0, 2.0, 3.5], [0.1, 4.0, 4.5]])
CHANNELS = np.int32([0, 0, 1, 1])
POINTS = np.column_stack([CHANNELS, COORDS])
# Central differences of the other solver, relative to the derivative: with its precision of 1e-8 Å and steps that
# move atoms by some 1e-3 Å, 1e-5; the third derivative times the square of the step is a few times as much.
DIFFERENCES = 2e-4
# The optimum by two solvers in float64, Å.
OPTIMUM = 1e-8


def grid_of(coords, sigma=SIGMA, weights=1.0, box=BOX):
    return pg_tf.voxelize(
        coords, CHANNELS, num_channels=2, grid_shape=SHAPE, sigma=sigma, weights=weights, box=box, dtype="float64"
    )


@pytest.fixture
def unexplained(rng):
    """A grid that no atoms explain: noise of 5% of the peak, which shifts the optimum and its curvature."""
    grid = grid_of(COORDS).numpy()
    return grid + 0.05 * grid.max() * rng.normal(size=grid.shape)


def optimum_of(model):
    """The optimum near coordinates by SciPy's solver, for `model(coords)` - grid."""

    def near(coords, grid):
        def residual(x):
            return np.ravel(model(x.reshape(-1, 3)) - grid)

        result = least_squares(residual, np.ravel(coords), "3-point", xtol=1e-15, ftol=1e-15, gtol=1e-15)
        return result.x.reshape(-1, 3)

    return near


def inverted(grid, sigma=SIGMA, weights=1.0):
    """The optimum near COORDS by a solver of another make, over a model of another make."""
    case = Case(COORDS, CHANNELS, np.full(4, weights), np.full(4, sigma), BOX.origin, BOX.lengths, SHAPE, 2)
    return optimum_of(lambda coords: dataclasses.replace(case, coords=coords).grid())(COORDS, grid)


def implicit_gradient(upstream, grid, sigma=SIGMA, weights=1.0, **options):
    inputs = [tf.constant(value, tf.float64) for value in (grid, sigma, weights)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        coords = refine_coords(inputs[0], POINTS, box=BOX, sigma=inputs[1], weights=inputs[2], **options)
    return [part.numpy() for part in tape.gradient(coords, inputs, tf.constant(upstream))]


def test_optimum_is_that_of_another_solver(unexplained):
    found = refine_coords(unexplained, POINTS, box=BOX, sigma=SIGMA)
    np.testing.assert_allclose(found, inverted(unexplained), atol=OPTIMUM)
    assert np.abs(found - COORDS).max() > 0.01  # the noise did move them


def test_gradients_are_the_change_of_an_inversion_of_what_has_changed(unexplained, rng):
    upstream = rng.normal(size=COORDS.shape)
    # Grid, sigma and weights.
    inputs = [unexplained, np.float64([0.6, 0.55, 0.65, 0.6]), np.float64([1.0, 1.1, 0.9, 1.0])]
    gradients = implicit_gradient(upstream, *inputs)
    for which, step in ((0, 3e-5), (0, 3e-5), (0, 3e-5), (1, 1e-3), (2, 1e-3)):
        change = rng.normal(size=inputs[which].shape)
        ends = []
        for sign in (1, -1):
            changed = list(inputs)
            changed[which] = changed[which] + sign * step * change
            ends.append(inverted(*changed))
        moved = (upstream * (ends[0] - ends[1])).sum() / (2 * step)
        assert (gradients[which] * change).sum() == pytest.approx(moved, rel=DIFFERENCES, abs=DIFFERENCES)


def test_gauss_newton_differs_by_the_residual_alone(unexplained, rng):
    upstream = rng.normal(size=COORDS.shape)
    explained = grid_of(COORDS)
    for grid, same in ((explained, True), (unexplained, False)):
        full = implicit_gradient(upstream, grid)[0]
        part = implicit_gradient(upstream, grid, hessian="gauss_newton")[0]
        assert np.allclose(full, part, rtol=1e-6, atol=1e-6 * np.abs(full).max()) == same


def test_grid_made_of_atoms_and_inverted_again_is_the_identity(rng):
    """dx'/dx = 1 through the op and back: the implicit gradient is the inverse of the op's own."""
    upstream = rng.normal(size=COORDS.shape)
    with tf.GradientTape() as tape:
        coords = tf.constant(COORDS)
        tape.watch(coords)
        found = refine_coords(grid_of(coords), POINTS, box=BOX, sigma=SIGMA)
    # The condition of the two close atoms times float64.
    np.testing.assert_allclose(found, COORDS, atol=1e-11)
    np.testing.assert_allclose(tape.gradient(found, coords, tf.constant(upstream)), upstream, atol=1e-9)


def test_gradient_is_the_adjoint_of_the_forward_derivative(unexplained, rng):
    """<v, H^-1 J' dG> = <J H^-1 v, dG>, where H and J' dG on the left come from the op's own gradients."""
    change, upstream = rng.normal(size=unexplained.shape), rng.normal(size=COORDS.shape)
    coords = tf.constant(inverted(unexplained))
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(coords)
        with tf.GradientTape(persistent=True) as inner:
            inner.watch(coords)
            grid = grid_of(coords)
            value = tf.reduce_sum((grid - unexplained) ** 2) / 2
        slope = inner.gradient(value, coords)
    hessian = outer.jacobian(slope, coords, experimental_use_pfor=False).numpy().reshape(12, 12)
    of_change = inner.gradient(grid, coords, tf.constant(change)).numpy().ravel()
    forward = np.linalg.solve(hessian, of_change)
    to_grid = implicit_gradient(upstream, unexplained)[0]
    assert (to_grid * change).sum() == pytest.approx(upstream.ravel() @ forward, rel=1e-6)


def test_layouts_agree_in_a_graph_and_in_a_turned_box(data_format, rng):
    box = pg_tf.Box(np.float64([1, 2, 3]), BOX.lengths, random_rotation(rng))
    coords = box.from_box_frame(COORDS).numpy()
    points = np.column_stack([CHANNELS, coords])
    grid = grid_of(coords, box=box)
    start = points + 0.02 * rng.normal(size=points.shape) * [0, 1, 1, 1]
    if data_format == "channels_last":
        grid = tf.transpose(grid, [1, 2, 3, 0])
    padded = np.stack([start, [start[0], start[1], [-1, 7, 7, 7], [-1, 0, 0, 0]]])
    ragged = tf.RaggedTensor.from_tensor(padded, [4, 2])
    grids = tf.stack([grid, grid])

    def refine(points, grid):
        return refine_coords(grid, points, box=box, sigma=SIGMA, data_format=data_format)

    alone = refine(start, grid)
    np.testing.assert_allclose(alone, coords, atol=OPTIMUM)
    of_padded, of_ragged = refine(padded, grids), tf.function(refine)(ragged, grids)
    np.testing.assert_allclose(of_padded[0], alone, atol=OPTIMUM)
    np.testing.assert_array_equal(of_padded[1, 2:], padded[1, 2:, 1:])
    np.testing.assert_allclose(of_ragged[1], of_padded[1, :2], atol=OPTIMUM)


TRICLINIC = np.float64([[3.2, 0.2, -0.1], [1.1, 3.0, 0.4], [-0.6, 0.9, 3.6]])
PERIODIC = {
    "orthorhombic box": {"box": (np.float64([1, 2, 3]), np.float64([3.0, 3.4, 3.8])), "periodic": True},
    "slab": {"box": (np.float64([1, 2, 3]), np.float64([3.0, 3.4, 3.8])), "periodic": (True, False, True)},
    "turned orthorhombic cell": {"cell": np.float64([[0, 3.0, 0], [-3.4, 0, 0], [0, 0, 3.8]])},
    "triclinic cell": {"cell": TRICLINIC},
    "triclinic slab": {"cell": TRICLINIC, "periodic": (True, True, False)},
}


@pytest.mark.parametrize(
    ("name", "per_atom"),
    [
        ("orthorhombic box", False),
        ("slab", True),
        ("turned orthorhombic cell", False),
        ("triclinic cell", True),
        ("triclinic slab", False),
    ],
)
def test_gradients_where_the_structure_repeats_are_those_of_inverting_again(name, per_atom, rng):
    options = PERIODIC[name]
    origin, lengths = options.get("box", (np.zeros(3), None))
    vectors = options["cell"] if lengths is None else np.diag(lengths)
    # Across a face, overlapping, and given as an image outside of the cell.
    coords = origin + np.float64([[0.02, 0.4, 0.5], [0.24, 0.5, 0.6], [-0.5, 0.6, 0.3]]) @ vectors
    channels = np.int32([0, 0, 1])
    sigma = np.float64([0.5, 0.55, 0.6]) if per_atom else np.float64(0.55)
    weights = np.float64([1.0, 1.1, 0.9]) if per_atom else np.float64(1.1)

    def model(coords, sigma=sigma, weights=weights):
        shape = {"num_channels": 2, "grid_shape": (6, 6, 7), "dtype": "float64"}
        return pg_tf.voxelize(coords, channels, sigma=sigma, weights=weights, **shape, **options).numpy()

    grid = model(coords)
    grid = grid + 0.03 * grid.max() * rng.normal(size=grid.shape)
    inputs = [tf.constant(value) for value in (grid, sigma, weights)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        points = np.column_stack([channels, coords])
        found = refine_coords(inputs[0], points, sigma=inputs[1], weights=inputs[2], **options)
    expected = optimum_of(model)(coords, grid)
    np.testing.assert_allclose(found, expected, atol=OPTIMUM)
    upstream = rng.normal(size=coords.shape)
    gradients = tape.gradient(found, inputs, tf.constant(upstream))

    # All inputs change at once, each so much that its part counts.
    change = [size * rng.normal(size=np.shape(value)) for size, value in zip((0.03, 1, 1), inputs, strict=True)]
    parts = [np.sum(gradient * part) for gradient, part in zip(gradients, change, strict=True)]
    assert np.abs(parts).min() > 0.01
    ends = []
    for step in (1e-3, -1e-3):
        moved, *widths = (value + step * part for value, part in zip((grid, sigma, weights), change, strict=True))
        ends.append(optimum_of(lambda x, v=widths: model(x, *v))(expected, moved))
    moved = (upstream * (ends[0] - ends[1])).sum() / 2e-3
    assert sum(parts) == pytest.approx(moved, rel=DIFFERENCES, abs=DIFFERENCES)


def test_layer_reads_and_learns_from_the_grids_of_a_crystal(rng):
    coords = np.float32([[0.1, 0.1, 0.9], [0.5, 0.5, 0.4]] @ TRICLINIC)[np.newaxis]
    grid = pg_tf.voxelize(coords, cell=TRICLINIC, grid_shape=(12, 12, 14), sigma=SIGMA)
    layer = GridToCoords(None, SIGMA, cell=TRICLINIC, data_format="channels_first")
    assert layer.get_config()["cell"] == TRICLINIC.tolist()
    upstream = tf.constant(rng.normal(size=(1, 2, 3)), tf.float32)

    @tf.function
    def step(coords):
        with tf.GradientTape() as tape:
            tape.watch(coords)
            grid = pg_tf.voxelize(coords, cell=TRICLINIC, grid_shape=(12, 12, 14), sigma=SIGMA)
            seeds = tf.concat([tf.zeros([1, 2, 1]), coords], axis=-1)
            found = layer(grid, seeds)[..., 1:]
        return found, tape.gradient(found, coords, upstream)

    found, gradient = step(tf.constant(coords))
    np.testing.assert_allclose(found, coords, atol=INVERSION)
    np.testing.assert_allclose(gradient, upstream, atol=1e-4)  # float32 grids times the condition
    searched = layer(grid)
    images = pg_tf.wrap(coords[0], TRICLINIC).numpy()
    assert match_points(np.pad(images, [(0, 0), (1, 0)]), searched[0]).largest_error < INVERSION


def test_close_atoms_have_a_bounded_gradient(rng):
    close = np.float64([[0, 2.5, 2.5, 2.5], [0, 2.5, 2.5, 2.5 + 1e-6]])
    grid = tf.constant(pg_tf.voxelize(close[:, 1:], num_channels=2, grid_shape=SHAPE, sigma=SIGMA, box=BOX))
    with tf.GradientTape() as tape:
        tape.watch(grid)
        coords = refine_coords(grid, close, box=BOX, sigma=SIGMA, floor=1e-3)
    gradient = tape.gradient(coords, grid, tf.constant(rng.normal(size=(2, 3)), tf.float32))
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() < 1e5


def test_network_that_displaces_atoms_learns_from_their_coordinates(rng):
    """A convolution begins as a shift by one voxel along x and is trained by the coordinates of its grids' atoms."""
    box = pg_tf.Box([0.0] * 3, [5.0] * 3)
    coords = rng.uniform(1.6, 3.4, (8, 2, 3)).astype(np.float32)
    channels = np.tile(np.int32([0, 1]), (8, 1))
    grids = pg_tf.voxelize(
        coords, channels, num_channels=2, grid_shape=10, sigma=SIGMA, box=box, data_format="channels_last"
    )
    points = np.concatenate([channels[..., np.newaxis], coords], axis=-1, dtype=np.float32)
    kernel = np.zeros((3, 3, 3, 2, 2), np.float32)
    kernel[0, 1, 1] = np.eye(2)
    inputs = keras.Input((10, 10, 10, 2))
    convolution = keras.layers.Conv3D(2, 3, padding="same", use_bias=False)
    # Coordinates tell nothing of the mass, so the number of atoms is given.
    to_coords = GridToCoords(box, SIGMA, search={"num_atoms": [1, 1], "max_steps": 15, "max_repairs": 0})
    model = keras.Model(inputs, to_coords(convolution(inputs)))
    convolution.set_weights([kernel])
    model.compile(optimizer=keras.optimizers.Adam(0.03), loss=CoordinateLoss())
    before = model.evaluate(grids, points, verbose=0)
    assert before == pytest.approx(0.5**2, rel=0.05)  # a voxel is 0.5 Å wide
    history = model.fit(grids, points, epochs=8, verbose=0).history["loss"]
    assert history[-1] < 0.1 * before


def test_layer_survives_saving_with_its_model(tmp_path):
    inputs = keras.Input((*SHAPE, 2))
    layer = GridToCoords(BOX, SIGMA, floor=1e-5, hessian="gauss_newton", search={"max_steps": 7}, name="atoms")
    keras.Model(inputs, layer(inputs)).save(tmp_path / "model.keras")
    copy = keras.models.load_model(tmp_path / "model.keras")
    assert copy.output_shape == (None, None, 4)
    assert copy.get_layer("atoms").get_config() == layer.get_config()
    assert copy(np.zeros((3, *SHAPE, 2), np.float32)).shape == (3, 0, 4)


@pytest.mark.parametrize("padding", [0, 3])
def test_molecules_without_atoms_have_a_gradient_of_zero(padding):
    points = np.full((2, padding, 4), -1, np.float32)
    grid = tf.random.normal((2, 2, *SHAPE))

    @tf.function(input_signature=[tf.TensorSpec([None, None, 4])])
    def gradient(points):
        with tf.GradientTape() as tape:
            tape.watch(grid)
            total = tf.reduce_sum(refine_coords(grid, points, box=BOX, sigma=SIGMA))
        return tape.gradient(total, grid)

    np.testing.assert_array_equal(gradient(points), np.zeros(grid.shape))


def test_layer_takes_seeds():
    layer = GridToCoords(BOX, SIGMA, data_format="channels_first")
    grid = tf.cast(grid_of(COORDS), tf.float32)[tf.newaxis]
    seeds = np.float32(np.concatenate([POINTS + np.float64([0, 0.05, 0, -0.05]), [[-1, 0, 0, 0]]])[np.newaxis])
    points = layer(grid, seeds)
    assert points.shape == (1, 5, 4)
    np.testing.assert_allclose(points[0, :4], POINTS, atol=2e-5)  # a float32 grid, and two atoms of a sigma apart
    np.testing.assert_array_equal(points[0, 4], [-1, 0, 0, 0])


def test_coordinate_loss_pairs_and_leaves_out_what_has_no_partner():
    true = np.float32([[[0, 0, 0, 0], [0, 3, 0, 0], [1, 1, 1, 1], [-1, 0, 0, 0]]])
    found = tf.constant([[[0, 3, 0, 0.5], [0, 0, 0.1, 0], [2, 9, 9, 9.0]]])
    with tf.GradientTape() as tape:
        tape.watch(found)
        loss = CoordinateLoss()(true, found)
    assert float(loss) == pytest.approx((0.25 + 0.01) / 2)
    np.testing.assert_allclose(tape.gradient(loss, found)[0], [[0, 0, 0, 0.5], [0, 0, 0.1, 0], [0, 0, 0, 0]], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"hessian": "newton"}, ValueError, "hessian must be 'full' or 'gauss_newton', got 'newton'"),
        ({"data_format": "NCHW"}, ValueError, "data_format must be"),
        ({"grid": np.zeros((1, 2, 4, 4, 4))}, ValueError, r"grid must have rank 4 beside points of shape \[4, 4\]"),
        ({"grid": np.full((2, 4, 4, 4), np.nan)}, tf.errors.InvalidArgumentError, "grid must be finite"),
        ({"grid": np.zeros((1, 4, 4, 4))}, tf.errors.InvalidArgumentError, "channel does not exist"),
        ({"sigma": [0.4]}, ValueError, "sigma must have as many atoms"),
        ({"box": None}, ValueError, "box, cell: one of them must be given"),
        ({"cell": TRICLINIC}, ValueError, "box, cell: give one of them"),
        ({"periodic": 1}, ValueError, "periodic must be a flag or three flags, got 1"),
    ],
)
def test_bad_argument_is_named(change, error, text):
    arguments = {"grid": np.zeros((2, 4, 4, 4)), "points": POINTS, "box": BOX, "sigma": 0.4, **change}
    with pytest.raises(error, match=text):
        refine_coords(arguments.pop("grid"), arguments.pop("points"), **arguments)
