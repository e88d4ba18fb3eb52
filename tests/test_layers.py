"""Keras layers: what every layer must do, and the same numbers as the functions that they wrap."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import pg_tf
from pg_tf.layers import AtomEmbedding, LennardJones, Voxelize
from tests import tolerances

# Relative, of losses in training: the op and XLA sum float32 in other orders.
SAME = 1e-5
CELL = [[7.0, 0.0, 0.0], [1.0, 8.0, 0.0], [0.5, -1.0, 9.0]]
SIZES = (3, 5, 1)
SHAPE = (4, 5, 6)


@pytest.fixture
def atoms(rng):
    """Three molecules of 3, 5 and 1 atoms, ragged; channels and elements of two kinds."""
    total = sum(SIZES)
    kinds = rng.integers(0, 2, total)
    values = {
        "coords": rng.uniform(0, 5, (total, 3)).astype(np.float32),
        "channels": kinds.astype(np.int32),
        "atomic_numbers": np.int32([6, 8])[kinds],
        "weights": rng.uniform(0.5, 2, total).astype(np.float32),
        "features": rng.uniform(-1, 1, (total, 2)).astype(np.float32),
        "sigma": rng.uniform(0.4, 1, total).astype(np.float32),
    }
    values["points"] = np.column_stack([values["channels"], values["coords"]])
    return {name: tf.RaggedTensor.from_row_lengths(value, SIZES) for name, value in values.items()}


def pad(atoms):
    """A padded batch: channel -1, atomic number 0, and for the rest numbers that must not matter."""
    padding = {"channels": -1, "atomic_numbers": 0, "coords": 77.0, "sigma": 1.0, "points": [-1.0, 77.0, 77.0, 77.0]}
    return {name: value.to_tensor(padding.get(name, 3.0)) for name, value in atoms.items()}


def pick(atoms, *names):
    return {name: atoms[name] for name in names}


def symbolic(values):
    """Keras inputs for batches of any size like `values`."""

    def of(name, value):
        ragged = isinstance(value, tf.RaggedTensor)
        shape = value.shape[1:] if ragged else (None, *value.shape[2:])
        return keras.Input(shape, dtype=value.dtype.name, ragged=ragged, name=name)

    return {name: of(name, value) for name, value in values.items()}


CASES = {
    "points": (Voxelize, {"num_channels": 2, "trainable_sigma": True}, ("points",)),
    "points, sigma of each channel": (
        Voxelize,
        {"num_channels": 2, "sigma": [0.4, 0.7], "trainable_sigma": True, "data_format": "channels_first"},
        ("points",),
    ),
    "channels, weights": (
        Voxelize,
        {"num_channels": 2, "lengths": 8.0, "trainable_sigma": True},
        ("coords", "channels", "weights"),
    ),
    "elements in a cell": (
        Voxelize,
        {"elements": ("C", "O"), "cell": CELL, "trainable_sigma": True, "sigma": 0.6},
        ("coords", "atomic_numbers"),
    ),
    "features and the box": (
        Voxelize,
        {"num_channels": 2, "return_box": True, "trainable_sigma": True, "box": pg_tf.Box([0] * 3, [6, 7, 8])},
        ("coords", "atomic_numbers", "features"),
    ),
    "energies": (
        LennardJones,
        {"probes": ("CH4", (3.0, 50.0)), "cell": CELL, "cutoff": 6.0, "shift": True, "temperature": 300.0},
        ("coords", "atomic_numbers", "weights"),
    ),
    "energies of a force field of one's own": (
        LennardJones,
        {
            "force_field": pg_tf.force_fields.ForceField("own", {"C": (3.0, 50.0), "O": (2.5, 30.0)}),
            "box": ([0, 0, 0], [6, 6, 6]),
            "data_format": "channels_first",
        },
        ("coords", "atomic_numbers"),
    ),
    "embedding": (AtomEmbedding, {"num_channels": 3, "elements": ("C", "O", "N")}, ("atomic_numbers",)),
}


@pytest.mark.parametrize(
    ("case", "layout"),
    [
        *((case, "ragged") for case in CASES),
        ("points", "padded"),
        ("elements in a cell", "padded"),
        ("embedding", "padded"),
    ],
)
def test_layer_keeps_what_keras_promises(case, layout, atoms, tmp_path):
    """Configuration, symbolic shapes and dtypes, training, saving: for every kind of input."""
    layer_class, options, names = CASES[case]
    is_embedding = layer_class is AtomEmbedding
    options = options if is_embedding else {"grid_shape": SHAPE, **options}
    values = pick(atoms if layout == "ragged" else pad(atoms), *names)
    placeholders = symbolic(values)
    inputs, keras_inputs = ((x if len(names) > 1 else x[names[0]]) for x in (values, placeholders))
    layer = layer_class(**options)

    again = layer_class.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer)).name == layer.name

    outputs = layer(keras_inputs)
    for spec, value in zip(keras.tree.flatten(outputs), keras.tree.flatten(layer(inputs)), strict=True):
        assert spec.dtype == value.dtype.name
        assert spec.ragged == isinstance(value, tf.RaggedTensor)
        assert value.shape.is_compatible_with(spec.shape)
        assert is_embedding or value.shape[1:] == spec.shape[1:]

    model = keras.Model(placeholders, outputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for new, old in zip(keras.tree.flatten(loaded(values)), keras.tree.flatten(model(values)), strict=True):
        assert tf.reduce_all(new == old)

    grid = keras.tree.flatten(outputs)[0]
    if is_embedding:
        values = pick(atoms if layout == "ragged" else pad(atoms), "coords", "atomic_numbers")
        placeholders = {**symbolic(pick(values, "coords")), **placeholders}
        grid = Voxelize(3, SHAPE)({**placeholders, "features": outputs})
    model = keras.Model(placeholders, keras.layers.Dense(1)(keras.layers.Flatten()(grid)))
    before = [weight.numpy() for weight in layer.trainable_variables]
    model.compile(keras.optimizers.Adam(0.01), "mse")
    assert not model.jit_compile
    assert np.isfinite(model.fit(values, np.ones((3, 1)), verbose=0).history["loss"]).all()
    assert len(before) == (layer_class is not LennardJones)
    for old, new in zip(before, layer.trainable_variables, strict=True):
        assert not np.allclose(old, new)


@pytest.mark.parametrize(
    ("layer_class", "options", "kind"),
    [
        (Voxelize, {"num_channels": 2, "grid_shape": 3, "trainable_sigma": True}, "points"),
        (Voxelize, {"num_channels": 2, "grid_shape": 3, "trainable_sigma": True, "implementation": "dense"}, "points"),
        (AtomEmbedding, {"num_channels": 3, "elements": ("C", "O")}, "atomic_numbers"),
    ],
)
def test_layer_passes_the_layer_test_of_keras(layer_class, options, kind, atoms):
    testing = pytest.importorskip("keras.src.testing", reason="this Keras keeps its layer test elsewhere")
    testing.TestCase().run_layer_test(
        layer_class,
        options,
        input_data=pad(atoms)[kind],
        expected_output_shape=(3, 3, 3, 3, 2) if kind == "points" else (3, 5, 3),
        expected_output_dtype="float32",
        expected_num_trainable_weights=1,
        expected_num_non_trainable_weights=0,
        expected_num_losses=int(layer_class is AtomEmbedding),
        supports_masking=layer_class is Voxelize,
    )


@pytest.mark.parametrize("layout", ["ragged", "padded", "single"])
def test_grid_is_that_of_the_function(layout, implementation, atoms):
    if layout == "single":
        atoms = {name: value[1] for name, value in atoms.items()}
    elif layout == "padded":
        atoms = pad(atoms)
    points = atoms["points"]
    common = {"num_channels": 2, "grid_shape": SHAPE, "data_format": "channels_last"}
    coords, channels = atoms["coords"], atoms["channels"]

    def layer(inputs, **options):
        layer = Voxelize(**common, implementation=implementation, **options)
        result = layer(inputs)
        shape = layer.compute_output_shape(keras.tree.map_structure(lambda x: tuple(x.shape), inputs))
        assert tuple(result.shape) == shape
        return result

    def same(grid, **options):
        expected = pg_tf.voxelize(coords, **{**common, "sigma": 0.4, **options})
        np.testing.assert_allclose(grid, expected, atol=2 * tolerances.FLOAT32_GRID * np.abs(expected).max())

    same(layer(points), channels=channels)
    same(layer(pick(atoms, "coords", "atomic_numbers"), elements=("C", "O")), channels=channels)
    same(layer(pick(atoms, "coords", "channels", "weights", "sigma")), **pick(atoms, "channels", "weights", "sigma"))
    same(layer(pick(atoms, "coords", "channels", "features")), **pick(atoms, "channels", "features"))
    same(layer(points, lengths=[7, 8, 9]), channels=channels, box=_centered([7, 8, 9]))
    box = pg_tf.Box([-1.0, 0, 0], [6.0, 7, 8])
    same(layer(points, box=box, periodic=True), channels=channels, box=box, periodic=True)
    inputs = pick(atoms, "coords", "channels")
    same(layer({**inputs, "box": tuple(map(tf.constant, box[:2]))}), channels=channels, box=box)
    cells = tf.constant([CELL] * (1 if layout == "single" else 3))
    same(layer({**inputs, "cell": cells}, sigma=0.6), channels=channels, cell=CELL, sigma=0.6)
    of_atoms = tf.ragged.map_flat_values(lambda c: tf.gather([0.5, 0.8], tf.maximum(c, 0)), channels)
    same(layer(points, sigma=[0.5, 0.8]), channels=channels, sigma=of_atoms)


def _centered(lengths):
    return lambda coords, channels: pg_tf.centered_box(coords, lengths, channels=channels)


@pytest.mark.parametrize("rotation", [None, [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]])
def test_boxes_that_come_with_the_grids_invert_them(rotation, atoms):
    box = pg_tf.Box([-2.0, -2.0, -2.0], [9.0, 9.0, 9.0], rotation)
    layer = Voxelize(2, 24, return_box=True, box=box, data_format="channels_first")
    grid, used = layer(atoms["points"])
    specs = layer(keras.Input((None, 4), ragged=True))[1]
    assert [spec.shape[1:] for spec in specs] == [part.shape[1:] for part in used]
    found = pg_tf.grid_to_coords(grid, box=used, sigma=0.4)
    for true, points in zip(atoms["points"], found.points, strict=True):
        assert pg_tf.metrics.match_points(true, points).largest_error < 1e-4


def test_energies_are_those_of_the_function(atoms):
    probes = ("CH4", (3.0, 50.0))
    inputs = pick(atoms, "coords", "atomic_numbers", "weights")
    cells = tf.constant([CELL] * 3)
    options = {"cutoff": 7.0, "mixing": "geometric", "max_energy": 1e5, "dtype": "float64"}
    layer = LennardJones(SHAPE, probes, **options)
    for ragged in (True, False):
        grid = layer({**(inputs if ragged else pad(inputs)), "cell": cells})
        for i, probe in enumerate(probes):
            expected = pg_tf.lennard_jones(**inputs, cell=cells, probe=probe, grid_shape=SHAPE, **options)
            np.testing.assert_allclose(grid[..., i], expected, rtol=1e-12)
    boltzmann = LennardJones.from_config({**layer.get_config(), "temperature": 300.0})
    np.testing.assert_allclose(boltzmann({**inputs, "cell": cells}), np.exp(-grid / 300), rtol=1e-10)


@pytest.mark.parametrize("policy", ["float32", "float64", "mixed_float16", "mixed_bfloat16", "float16"])
def test_coordinates_are_never_cast_below_the_policys_arithmetic(policy, rng):
    """Far from the origin half precision has no digits left for the place of an atom: 1000 Å is known to 0.5 Å."""
    wide = "float64" if policy == "float64" else "float32"
    grid_dtype = policy.removeprefix("mixed_")
    coords = (1000 + rng.uniform(0, 4, (2, 6, 3))).astype(wide)
    numbers = rng.integers(6, 9, (2, 6)).astype(np.int32)
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        inputs = {
            "coords": keras.Input((6, 3), dtype=wide, name="coords"),
            "atomic_numbers": keras.Input((6,), dtype="int32", name="atomic_numbers"),
        }
        embedding = AtomEmbedding(2, ("C", "N", "O"))
        features = embedding(inputs["atomic_numbers"])
        layer = Voxelize(2, 8, trainable_sigma=True)
        grid = layer({**inputs, "features": features})
        energies = LennardJones(8, max_energy=1000.0)(inputs)
        model = keras.Model(inputs, [grid, energies, keras.layers.Conv3D(2, 3)(grid)])
    finally:
        keras.config.set_dtype_policy(previous)
    assert layer.weights[0].dtype == wide
    values, energy, convolved = model({"coords": coords, "atomic_numbers": numbers})
    assert {grid.dtype, energies.dtype, values.dtype.name, energy.dtype.name, convolved.dtype.name} == {grid_dtype}
    expected = pg_tf.voxelize(
        coords, features=embedding(numbers), num_channels=2, grid_shape=8, data_format="channels_last", dtype=wide
    )
    rounding = {"float16": tolerances.FLOAT16_ROUNDING, "bfloat16": tolerances.BFLOAT16_ROUNDING}.get(grid_dtype, 0)
    # The features of the policy "float16" are half precision themselves; sigma went through softplus and back.
    slack = (2e-3 if policy == "float16" else 0) + (1e-12 if wide == "float64" else 5e-6) + rounding
    np.testing.assert_allclose(tf.cast(values, wide), expected, atol=slack * np.max(expected))
    expected = pg_tf.lennard_jones(coords, numbers, grid_shape=8, max_energy=1000.0, dtype=wide)
    np.testing.assert_allclose(tf.cast(energy[..., 0], wide), expected, rtol=rounding + 1e-12, atol=1e-3)


@pytest.mark.parametrize("layout", ["ragged", "padded"])
def test_gradients_reach_atoms_and_sigma(layout, atoms):
    atoms = atoms if layout == "ragged" else pad(atoms)
    flat = (lambda x: x.flat_values) if layout == "ragged" else (lambda x: x)
    atoms = {name: tf.cast(value, tf.float64) if value.dtype == tf.float32 else value for name, value in atoms.items()}
    layer = Voxelize(2, SHAPE, sigma=0.7, trainable_sigma=True, dtype="float64")
    layer.build()
    for kind in ("weights", "features"):
        sources = [flat(atoms["coords"]), flat(atoms[kind])]
        inputs = pick(atoms, "coords", "channels", kind)

        def gradients(function, sources=sources, inputs=inputs, kind=kind):
            with tf.GradientTape() as tape:
                tape.watch(sources)
                loss = tf.reduce_sum(tf.sin(100 * function(inputs)))
            return tape.gradient(loss, [*sources, *layer.trainable_variables])

        def function(inputs, kind=kind):
            return pg_tf.voxelize(
                inputs["coords"],
                inputs["channels"],
                num_channels=2,
                grid_shape=SHAPE,
                dtype="float64",
                sigma=tf.math.softplus(layer.weights[0].value),
                data_format="channels_last",
                **{kind: inputs[kind]},
            )

        for got, expected in zip(gradients(layer), gradients(function), strict=True):
            assert np.abs(expected).max() > 0
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_dense_layer_trains_under_xla_to_the_same_losses(atoms):
    inputs = pad(pick(atoms, "coords", "atomic_numbers"))
    losses = []
    for implementation, compiled in (("dense", True), ("op", False)):
        keras.utils.set_random_seed(1)
        placeholders = symbolic(inputs)
        features = AtomEmbedding(2, ("C", "O"))(placeholders["atomic_numbers"])
        layer = Voxelize(2, SHAPE, trainable_sigma=True, lengths=9.0, implementation=implementation)
        head = keras.layers.Dense(1)(keras.layers.Flatten()(layer({**placeholders, "features": features})))
        model = keras.Model(placeholders, head)
        assert layer.supports_jit == (implementation == "dense")
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Keras warns where it cannot compile, and goes on without
            model.compile(keras.optimizers.Adam(0.05), "mse", jit_compile=compiled)
        assert model.jit_compile == compiled
        losses.append(model.fit(inputs, np.ones((3, 1)), epochs=4, verbose=0).history["loss"])
    np.testing.assert_allclose(losses[1], losses[0], rtol=SAME)
    assert losses[0][-1] < losses[0][0]


def test_dense_points_without_whole_channels_are_nan_under_xla():
    layer = Voxelize(2, 4, implementation="dense")
    points = tf.constant([[[0.0, 1, 1, 1]], [[0.5, 1, 1, 1]], [[-1.0, 1, 1, 1]], [[3.0, 1, 1, 1]]])
    grid = tf.function(layer, jit_compile=True)(points)
    assert tf.math.reduce_any(tf.math.is_nan(grid), axis=[1, 2, 3, 4]).numpy().tolist() == [False, True, False, True]
    assert not np.any(grid[2])


def test_layers_work_in_a_dataset_map(atoms):
    inputs = pick(atoms, "coords", "atomic_numbers")
    voxelize, energies = Voxelize(elements=("C", "O"), grid_shape=SHAPE), LennardJones(SHAPE)
    embedding = AtomEmbedding(2, ("C", "O"))
    dataset = tf.data.Dataset.from_tensor_slices(inputs).ragged_batch(2)
    mapped = dataset.map(lambda x: (voxelize(x), energies(x), embedding(x["atomic_numbers"])))
    assert mapped.element_spec[0] == tf.TensorSpec([None, *SHAPE, 2])
    grids, energy, features = (tf.concat(parts, 0) for parts in zip(*mapped, strict=True))
    assert tf.reduce_all(grids == voxelize(inputs))
    assert tf.reduce_all(energy == energies(inputs))
    assert tf.reduce_all(features.flat_values == embedding(inputs["atomic_numbers"]).flat_values)


def test_fit_takes_ragged_batches_of_a_dataset_with_their_boxes(atoms):
    inputs = {**pick(atoms, "coords", "channels"), "box": (tf.zeros([3, 3]) - 1, tf.fill([3, 3], 8.0))}
    placeholders = symbolic(pick(atoms, "coords", "channels"))
    placeholders["box"] = (keras.Input((3,), name="origin"), keras.Input((3,), name="lengths"))
    layer = Voxelize(2, SHAPE, trainable_sigma=True)
    model = keras.Model(placeholders, keras.layers.Dense(1)(keras.layers.Flatten()(layer(placeholders))))
    model.compile("sgd", "mse")
    dataset = tf.data.Dataset.from_tensor_slices((inputs, np.ones((3, 1), np.float32))).ragged_batch(2)
    assert np.isfinite(model.fit(dataset, epochs=2, verbose=0).history["loss"]).all()
    grid = keras.Model(placeholders, layer.output)(inputs)
    expected = pg_tf.voxelize(
        **inputs, num_channels=2, grid_shape=SHAPE, sigma=layer.learned_sigma, data_format="channels_last"
    )
    np.testing.assert_allclose(grid, expected, rtol=1e-6)


def test_trained_sigma_stays_positive(atoms):
    layer = Voxelize(2, SHAPE, sigma=[0.1, 2.0], trainable_sigma=True)
    layer.build()
    np.testing.assert_allclose(layer.learned_sigma, [0.1, 2.0], rtol=1e-6)
    layer.set_weights([np.float32([-20.0, 30.0])])
    assert np.all(layer.learned_sigma > 0)
    assert np.isfinite(layer(atoms["points"])).all()


TWO = {"coords": np.zeros((1, 2, 3), np.float32)}


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Voxelize(0), "num_channels must be a whole number"),
        (lambda: Voxelize(3, elements=("C", "O")), "num_channels: 3, but elements has 2"),
        (lambda: Voxelize(grid_shape=(3, 3)), "grid_shape must be one or three"),
        (lambda: Voxelize(2, sigma=[0.4, 0.0]), "sigma must be one number or 2, finite and greater than 0"),
        (lambda: Voxelize(lengths=-1.0), "lengths must be one number or 3"),
        (lambda: Voxelize(lengths=5.0, box=([0] * 3, [5] * 3)), "box, lengths: give one of them"),
        (lambda: Voxelize(box=([0, 0], [5, 5])), "box must be"),
        (lambda: Voxelize(cell=[1, 2, 3]), r"cell must be finite, of shape \[3, 3\]"),
        (lambda: Voxelize(periodic=2), "periodic must be a flag or three"),
        (lambda: Voxelize(data_format="last"), "data_format must be"),
        (lambda: Voxelize(implementation="fast"), "implementation must be"),
        (lambda: Voxelize(dtype="int32"), "dtype: grids are float32"),
        (lambda: Voxelize()({"atoms": tf.zeros([1, 2, 4])}), "'atoms' is none of points, coords"),
        (lambda: Voxelize()({"channels": np.int32([[0]])}), "no 'points' or 'coords'; it has channels"),
        (lambda: Voxelize("vdw"), "num_channels must be"),
        (lambda: Voxelize(sigma="covalent"), "sigma: must be numbers or one of 'vdw', 'bondi', 'alvarez'"),
        (lambda: Voxelize(sigma="vdw", trainable_sigma=True), "trainable_sigma: 'vdw' are fixed radii"),
        (lambda: Voxelize(normalize="max"), "normalize must be one of"),
        (lambda: Voxelize(2)({**TWO, "atomic_numbers": np.int32([[6, 1]])}), "elements: which element"),
        (lambda: Voxelize(elements=("C",))({**TWO, "atomic_numbers": np.int32([[6, 1]])}), "molecule 0, atom 1 is H"),
        (lambda: Voxelize(trainable_sigma=True)({**TWO, "sigma": np.ones((1, 2))}), "there can be no 'sigma'"),
        (lambda: Voxelize(2, sigma=[1.0, 2.0])({**TWO, "features": np.ones((1, 2, 2))}), "give one sigma for all"),
        (lambda: LennardJones(probes="CH4"), "probes must be a sequence"),
        (lambda: LennardJones(probes=["CH5"]), "CH5"),
        (lambda: LennardJones(probes=[(1.0, -1.0)]), "finite and at least 0"),
        (lambda: LennardJones(force_field="OPLS"), "force_field must be a ForceField or one of UFF"),
        (lambda: LennardJones(max_energy=1e6, dtype="mixed_float16"), "at most 65504 K, which float16 grids hold"),
        (lambda: LennardJones(temperature=0.0), "temperature must be greater than 0"),
        (lambda: LennardJones()({"atomic_numbers": np.int32([[6]])}), "no 'coords'; it has atomic_numbers"),
        (lambda: LennardJones()(tf.zeros([1, 2, 3])), "inputs must be a dict with 'coords'"),
        (lambda: LennardJones()({"coordinates": keras.Input((None, 3))}), "'coordinates' is none of coords"),
        (lambda: Voxelize()({"point": keras.Input((None, 4))}), "'point' is none of points"),
    ],
)
def test_bad_options_are_refused_by_name(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_element_without_a_channel_stops_a_pipeline_and_is_named(atoms):
    layer = Voxelize(elements=("C",), grid_shape=4)
    numbers = atoms["atomic_numbers"].with_flat_values(tf.constant([6] * 5 + [8] + [6] * 3))
    dataset = tf.data.Dataset.from_tensor_slices({"coords": atoms["coords"], "atomic_numbers": numbers}).ragged_batch(3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="molecule 1, atom 2"):
        next(iter(dataset.map(layer)))
