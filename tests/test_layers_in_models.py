"""Layers as parts of models: saved and loaded elsewhere, cloned, exported, behind a mask, empty batches."""

import importlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import pg_tf
from pg_tf._keras_names import MODULES
from pg_tf.layers import AtomEmbedding, FarApart, LennardJones, Voxelize

ATOMS = {
    "coords": np.float32([[[0, 0, 0], [1, 1, 0], [2, 0, 1]], [[3, 2, 1], [0, 0, 0], [0, 0, 0]]]),
    "atomic_numbers": np.int32([[6, 8, 6], [8, 0, 0]]),
}
RAGGED = {name: tf.RaggedTensor.from_tensor(value, lengths=[3, 1]) for name, value in ATOMS.items()}


def model_of_atoms(ragged: bool) -> keras.Model:
    """All three layers: learned channels and energies, one number for each molecule."""
    inputs = {
        "coords": keras.Input((None, 3), ragged=ragged, name="coords"),
        "atomic_numbers": keras.Input((None,), dtype="int32", ragged=ragged, name="atomic_numbers"),
    }
    features = AtomEmbedding(2, ("C", "O"))(inputs["atomic_numbers"])
    density = Voxelize(2, 6, trainable_sigma=True)({**inputs, "features": features})
    energy = LennardJones(6, temperature=300.0)(inputs)
    both = keras.layers.Concatenate()([density, energy])
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(both)))


@pytest.mark.slow
def test_model_is_loaded_by_another_process_that_imports_pg_tf(tmp_path, run_python):
    model = model_of_atoms(ragged=True)
    expected = model.predict(RAGGED, batch_size=1, verbose=0)
    model.save(tmp_path / "model.keras")
    printed = run_python(f"""
import keras, numpy as np, tensorflow as tf, pg_tf
coords, numbers = np.float32({ATOMS["coords"].tolist()}), np.int32({ATOMS["atomic_numbers"].tolist()})
atoms = {{"coords": coords, "atomic_numbers": numbers}}
atoms = {{name: tf.RaggedTensor.from_tensor(value, lengths=[3, 1]) for name, value in atoms.items()}}
print(*keras.models.load_model({str(tmp_path / "model.keras")!r}).predict(atoms, verbose=0).ravel())
""")
    np.testing.assert_allclose([float(x) for x in printed.split()], expected.ravel(), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("ragged", [True, False])
def test_clone_and_export_predict_the_same(ragged, tmp_path):
    model, atoms = model_of_atoms(ragged), RAGGED if ragged else ATOMS
    expected = model(atoms)
    clone = keras.models.clone_model(model)
    assert len(clone.weights) == len(model.weights) == 4
    clone.set_weights(model.get_weights())
    assert tf.reduce_all(clone(atoms) == expected)
    # The signature that Keras makes of ragged inputs is that of padded ones.
    model.export(tmp_path / "exported", verbose=False)
    served = tf.saved_model.load(tmp_path / "exported")
    np.testing.assert_allclose(served.serve(ATOMS), expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_batches_without_molecules_or_atoms_pass_through(shape):
    model = model_of_atoms(ragged=False)
    atoms = {"coords": np.zeros((*shape, 3), np.float32), "atomic_numbers": np.zeros(shape, np.int32)}
    outputs = model(atoms)
    assert outputs.shape == (shape[0], 1)
    # Grids of zeros, and Boltzmann factors of energies of zero.
    bias_and_ones = model.layers[-1](tf.reshape(tf.one_hot([2] * 216, 3), [1, -1]))
    np.testing.assert_allclose(outputs, np.repeat(bias_and_ones, shape[0], axis=0), rtol=1e-5)


def test_model_with_ragged_inputs_is_trained_without_xla_and_says_so():
    inputs = keras.Input((None, 4), ragged=True)
    grid = Voxelize(2, 4, implementation="dense", trainable_sigma=True)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(grid)))
    with pytest.warns(UserWarning, match="doesn't support `jit_compile=True`"):
        model.compile("sgd", "mse", jit_compile=True)
    assert not model.jit_compile
    points = tf.RaggedTensor.from_row_lengths(tf.ones([4, 4]), [1, 3])
    assert np.isfinite(model.fit(points, np.ones((2, 1)), verbose=0).history["loss"]).all()


def test_atoms_that_a_mask_leaves_out_are_padding(implementation):
    points = np.float32([[[0, 1, 1, 1], [1, 2, 1, 1], [-9] * 4], [[-9] * 4] * 3])
    inputs = keras.Input((None, 4))
    grid = Voxelize(2, 6, implementation=implementation)(keras.layers.Masking(-9.0)(inputs))
    assert getattr(grid, "_keras_mask", None) is None
    expected = Voxelize(2, 6)(np.where(points == -9, np.float32([-1, 0, 0, 0]), points))
    np.testing.assert_allclose(keras.Model(inputs, grid)(points), expected, atol=1e-7)


@pytest.mark.parametrize("ragged", [True, False])
def test_padding_of_an_embedding_of_keras_leaves_no_trace(ragged):
    embedding = keras.layers.Embedding(9, 2, embeddings_initializer="ones", mask_zero=True)
    atoms = dict(ATOMS)
    if ragged:  # with an atom of number 0 among the others
        atoms = {name: tf.RaggedTensor.from_tensor(value, lengths=[3, 2]) for name, value in ATOMS.items()}
    box = ([-2.0] * 3, [8.0] * 3)
    grid = Voxelize(2, 8, box=box)({"coords": atoms["coords"], "features": embedding(atoms["atomic_numbers"])})
    np.testing.assert_allclose(tf.reduce_sum(grid, [1, 2, 3]), [[3, 3], [1, 1]], rtol=1e-4)


def test_other_backends_are_refused_by_name(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ImportError, match=r"Keras runs on jax: set KERAS_BACKEND=tensorflow.*pg_tf\.Voxelizer"):
        importlib.reload(pg_tf.layers)


@pytest.mark.parametrize(
    ("count", "components", "distance"), [(8, 4, 0.45), (8, 2, 0.15), (118, 4, 0.12), (118, 8, 0.25), (3, 5, 1.2)]
)
def test_first_vectors_are_far_apart(count, components, distance):
    initializer = keras.initializers.deserialize(keras.initializers.serialize(FarApart(seed=3)))
    logits = initializer((count, components))
    vectors = tf.nn.softmax(logits).numpy().astype(float)
    np.testing.assert_array_equal(logits, FarApart(seed=3)((count, components)))
    apart = np.linalg.norm(vectors[:, np.newaxis] - vectors, axis=-1) + 9 * np.eye(count)
    assert apart.min() > distance
    first = min(count, components)
    assert np.diag(vectors[:first]).min() > 0.9


@pytest.mark.parametrize("compiled", [False, True])
def test_element_without_a_vector_is_named_where_it_is(compiled):
    embedding = AtomEmbedding(2, ("C", "O"))
    call = tf.function(embedding, autograph=False) if compiled else embedding
    error = tf.errors.InvalidArgumentError if compiled else ValueError
    with pytest.raises(error, match=r"molecule 1, atom 2 is Xe.*which has no vector among C"):
        call(tf.constant([[6, 8, 6, 8], [6, 6, 54, 0]]))


def test_every_registered_name_is_found_without_its_module():
    for module in MODULES:
        importlib.import_module(module)
    registered = {name for name in keras.saving.get_custom_objects() if name.startswith("pg_tf>")}
    assert registered == {f"pg_tf>{name}" for names in MODULES.values() for name in names}
    for module, names in MODULES.items():
        for name in names:
            assert keras.saving.get_registered_object(f"pg_tf>{name}") is getattr(importlib.import_module(module), name)
