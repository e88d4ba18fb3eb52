"""Options that say something of all atoms of an element or a channel; objects of other libraries; dicts of atoms."""

import ase.build
import ase.data.vdw
import ase.data.vdw_alvarez
import numpy as np
import pytest
import tensorflow as tf
from rdkit import Chem
from rdkit.Chem import AllChem

import pg_tf
from pg_tf.radii import radii
from pg_tf.structures import from_ase, from_rdkit

BARIUM = 56
NUMBERS = np.int32([8, 1, 1])
WATER = np.array([[0.0, 0.0, 0.117], [0.0, 0.757, -0.469], [0.0, -0.757, -0.469]])
BOX = pg_tf.Box([-3.0] * 3, [6.0] * 3)
ATOMS = {"coords": WATER, "atomic_numbers": NUMBERS, "box": BOX, "grid_shape": 12, "dtype": "float64"}


def close(grid, expected) -> None:
    np.testing.assert_allclose(grid, expected, atol=1e-15)


def same(grid, expected) -> None:
    np.testing.assert_array_equal(grid, expected)


@pytest.mark.parametrize(
    ("name", "table"), [("bondi", ase.data.vdw.vdw_radii), ("alvarez", ase.data.vdw_alvarez.vdw_radii)]
)
def test_radii_are_those_of_another_library(name: str, table: np.ndarray) -> None:
    ours = radii(name)[1 : len(table)]
    others = table[1:].copy()
    if name == "bondi":
        others[BARIUM - 1] = 2.68  # Mantina et al., Table 12; ASE repeats that of strontium
    np.testing.assert_array_equal(ours, others)
    assert np.isnan(radii(name)[len(table) :]).all()


def test_elements_and_radii_are_channels_and_sigma_of_each_atom() -> None:
    grid = pg_tf.voxelize(**ATOMS, elements=("H", "O"), sigma="vdw", radius_scale=0.4)
    close(
        grid,
        pg_tf.voxelize(
            WATER, [1, 0, 0], num_channels=2, sigma=[0.608, 0.48, 0.48], **{k: ATOMS[k] for k in list(ATOMS)[2:]}
        ),
    )
    in_graph = tf.function(lambda: pg_tf.voxelize(**ATOMS, elements=("H", "O"), sigma="vdw", radius_scale=0.4))()
    same(in_graph, grid)
    one = pg_tf.voxelize(**ATOMS)
    np.testing.assert_allclose(one[0], pg_tf.voxelize(**ATOMS, elements=("H", "O")).numpy().sum(0), atol=1e-14)


@pytest.mark.parametrize("data", ["padded", "ragged"])
def test_sigma_of_each_channel(data: str) -> None:
    coords, channels = np.stack([WATER, WATER[::-1]]), np.int32([[1, 0, 0], [0, 0, -1]])
    of_atoms = np.float64([[0.7, 0.5, 0.5], [0.5, 0.5, 1.0]])
    if data == "ragged":
        coords, channels, of_atoms = (
            tf.RaggedTensor.from_tensor(x, lengths=[3, 2]) for x in (coords, channels, of_atoms)
        )
    options = {"num_channels": 2, "box": BOX, "grid_shape": 6}
    expected = pg_tf.voxelize(coords, channels, sigma=of_atoms, **options)
    same(pg_tf.voxelize(coords, channels, sigma=[0.5, 0.7], **options), expected)
    single = pg_tf.Voxelizer(sigma=(0.5, 0.7), **options)(np.column_stack([[1, 0, 0], WATER]))
    np.testing.assert_allclose(single, expected[0], atol=1e-6)


@pytest.mark.parametrize("extent", ["box", "cell"])
def test_peak_of_an_atom_is_its_weight_in_small_voxels(extent: str) -> None:
    lattice = [[6.0, 0, 0], [1.0, 5.0, 0], [0, 0, 7.0]]
    where = {"box": BOX} if extent == "box" else {"cell": lattice}
    options = {"grid_shape": 61, "periodic": True, "dtype": "float64", "normalize": "peak", "num_channels": 2, **where}
    middle = np.array([[0.0, 0, 0]]) if extent == "box" else np.array([lattice]).sum(1) / 2
    grid = pg_tf.voxelize(np.repeat(middle, 2, 0), [0, 1], sigma=[0.8, 1.1], weights=[1.0, 2.5], **options).numpy()
    np.testing.assert_allclose(grid.max(axis=(1, 2, 3)), [1.0, 2.5], rtol=3e-3)
    # The mean over a voxel of exp(-r^2 / 2 sigma^2) and not its value at the middle: the sum is exact.
    volume = 216.0 if extent == "box" else abs(np.linalg.det(lattice))
    mass = (2 * np.pi * np.array([0.8, 1.1]) ** 2) ** 1.5 * [1.0, 2.5]
    np.testing.assert_allclose(grid.sum(axis=(1, 2, 3)) * volume / 61**3, mass, rtol=1e-9)


def test_lengths_and_center_are_a_box() -> None:
    options = {"grid_shape": 8, "sigma": 0.5}
    expected = pg_tf.voxelize(WATER, box=([-2.5, -1.5, -3.0], [6.0] * 3), **options)
    same(pg_tf.voxelize(WATER, lengths=6.0, center=[0.5, 1.5, 0.0], **options), expected)
    _, box = pg_tf.voxelize(WATER, lengths=[6.0, 7.0, 8.0], return_box=True, **options)
    around = pg_tf.centered_box(WATER, [6.0, 7.0, 8.0])
    same(box.origin, around.origin)
    batch = pg_tf.Voxelizer(lengths=6.0, **options)(
        {"coords": np.stack([WATER] * 2), "center": [[0.5, 1.5, 0], [9.0] * 3]}
    )
    same(batch["grid"][0], expected)
    assert float(tf.reduce_sum(batch["grid"][1])) < 1e-6


def test_objects_of_other_libraries_are_voxelized_as_what_they_hold() -> None:
    mol = Chem.AddHs(Chem.MolFromSmiles("CO"))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    structure, options = from_rdkit(mol), {"elements": ("C", "O", "H"), "grid_shape": 8}
    expected = pg_tf.voxelize(structure.coords, atomic_numbers=structure.atomic_numbers, **options)
    atoms = ase.build.molecule("CH3OH")
    for molecule in (mol, structure):
        same(pg_tf.voxelize(molecule, **options), expected)
    same(pg_tf.Voxelizer(**options)(mol), expected)
    both = pg_tf.voxelize([mol, atoms], **options)
    same(both[0], expected)
    same(both[1], pg_tf.voxelize(atoms, **options))


def test_crystal_objects_bring_their_cell_and_occupancies() -> None:
    salt = ase.build.bulk("NaCl", "rocksalt", 5.64, cubic=True)
    salt.arrays["occupancy"] = np.linspace(0.5, 1.0, 8)
    options = {"elements": ("Na", "Cl"), "grid_shape": 10, "dtype": "float64"}
    grid = pg_tf.voxelize(salt, **options)
    structure = from_ase(salt)
    expected = pg_tf.voxelize(
        structure.coords,
        atomic_numbers=structure.atomic_numbers,
        weights=structure.weights,
        cell=structure.cell,
        **options,
    )
    same(grid, expected)
    np.testing.assert_allclose(tf.reduce_sum(grid), 6.0)
    window = pg_tf.voxelize(salt, lengths=3.0, center=[0.0] * 3, sigma=0.2, **options)  # a sodium and its images
    assert 0.4 < float(tf.reduce_sum(window[0])) < 4
    with pytest.raises(ValueError, match="some of the structures have a cell"):
        pg_tf.voxelize([salt, ase.build.molecule("H2O")], **options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"elements": ("O", "H"), "channels": [0, 1, 1]}, "channels, elements: give one"),
        ({"elements": ("O",)}, "atom 1 is H .atomic number 1., which has no channel among O"),
        ({"num_channels": 2}, "which element goes to which of the 2 channels"),
        (
            {"atomic_numbers": [3, 3, 26], "sigma": "vdw"},
            "atom 2 is Fe .atomic number 26., which has no radius in 'vdw'",
        ),
        ({"atomic_numbers": None, "sigma": "vdw"}, "'vdw' are radii of elements; give atomic_numbers"),
        ({"atomic_numbers": None, "elements": ("O",)}, "which atom is of which element"),
        ({"sigma": "covalent"}, "must be numbers or one of 'vdw', 'bondi', 'alvarez'"),
        ({"sigma": "vdw", "radius_scale": 0.0}, "radius_scale must be finite and greater than 0, got 0"),
        ({"normalize": "mass"}, "normalize must be one of"),
        ({"lengths": 5.0}, "box, lengths: give one"),
        ({"box": None, "center": [0.0] * 3}, "the middle of a box needs its lengths"),
        ({"elements": ("O", "H"), "num_channels": 3}, "num_channels: 3, but elements has 2"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        pg_tf.voxelize(**{**ATOMS, **options})


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("channel", "'channel' looks like 'channels'"),
        ("Coords", "'Coords' looks like 'coords'"),
        ("numbers", "'numbers' looks like 'atomic_numbers'"),
        ("positions", "'positions' looks like 'coords'"),
        ("lattice", "'lattice' looks like 'cell'"),
        ("weight", "'weight' looks like 'weights'"),
        ("points", "both 'points' and 'coords'"),
        ("grid", "'grid', which is the name of what is made here"),
    ],
)
def test_keys_that_look_like_slips_are_refused(key: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        pg_tf.Voxelizer()({"coords": WATER, key: np.zeros((3, 3))})


def test_every_key_of_a_dict_is_honoured_and_the_rest_is_handed_on() -> None:
    atoms = {"coords": WATER, "atomic_numbers": NUMBERS, "weights": np.ones(3) * 2, "box": BOX}
    to_grid = pg_tf.Voxelizer(elements=("O", "H"), grid_shape=6, return_box=True, passthrough=("weight",))
    element, label = to_grid({**atoms, "weight": 18.0, "gap": 1.0}, 5)
    assert (element.keys(), label) == ({"grid", "box", "weight", "gap"}, 5)
    same(element["grid"], pg_tf.voxelize(**atoms, elements=("O", "H"), grid_shape=6))
    same(element["box"].origin, BOX.origin)
    crystal = {"points": np.column_stack([[0, 1, 1], WATER]), "cell": np.eye(3) * 5.0, "name": "ice"}
    element = pg_tf.Voxelizer(num_channels=2, grid_shape=6)(crystal)
    same(element["grid"], pg_tf.voxelize(WATER, [0, 1, 1], cell=crystal["cell"], num_channels=2, grid_shape=6))
    assert element["name"] == "ice"


def test_element_without_a_channel_is_named_in_a_pipeline() -> None:
    coords = tf.RaggedTensor.from_row_lengths(np.zeros((5, 3)), [2, 3])
    numbers = coords[..., 0].with_values(tf.constant([8, 8, 8, 54, 8]))
    dataset = tf.data.Dataset.from_tensors({"coords": coords, "atomic_numbers": numbers})
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"molecule 1, atom 1 is Xe .*, which has no channel among O"
    ):
        next(iter(dataset.map(pg_tf.Voxelizer(elements=("O",), grid_shape=4))))
