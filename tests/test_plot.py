"""The figures show what they are given, at the right place."""

import numpy as np
import pytest

from pg_tf import plot
from pg_tf.plot import meshes

METHANE = (
    np.array([6, 1, 1, 1, 1]),
    0.63 * np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], float),
)
ORIGIN, LENGTHS = np.array([1.0, -2.0, 3.0]), np.array([6.0, 8.0, 10.0])


def _gaussian(centre, sigma, shape, origin=ORIGIN, lengths=LENGTHS):
    """Density of one Gaussian at the centres of voxels."""
    sides = zip(origin, lengths, shape, strict=True)
    axes = [start + (np.arange(n) + 0.5) * length / n for start, length, n in sides]
    squares = [(axis - mu) ** 2 for axis, mu in zip(axes, centre, strict=True)]
    return np.exp(-sum(np.ix_(*squares)) / (2 * sigma**2))


def _vertices(trace):
    return np.stack([trace.x, trace.y, trace.z], axis=-1)


def _volume(mesh):
    """By the divergence theorem; positive if the faces look outward."""
    return np.linalg.det(mesh.vertices[mesh.faces]).sum() / 6


def _is_closed(mesh):
    sides = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    one_way = {tuple(side) for side in sides}
    return len(one_way) == len(sides) and all((b, a) in one_way for a, b in one_way)


def test_isosurface_of_a_ball_is_closed_and_has_its_volume():
    i, j, k = np.ogrid[:41, :37, :45]
    mesh = meshes.isosurface(14 - np.sqrt((i - 20) ** 2 + (j - 18) ** 2 + (k - 22) ** 2), 2.0)
    assert _is_closed(mesh)
    # A distance field is almost linear, so the faces cut off little: 0.5 % at radius 12.
    assert _volume(mesh) == pytest.approx(4 / 3 * np.pi * 12**3, rel=5e-3)


def test_isosurface_is_closed_where_it_meets_the_edge():
    mesh = meshes.isosurface(np.ones((4, 5, 6)), 0.5)
    assert _is_closed(mesh)
    assert _volume(mesh) > 3 * 4 * 5


def test_sphere_is_closed_and_has_its_volume():
    mesh = meshes.sphere(3)
    assert _is_closed(mesh)
    np.testing.assert_allclose(np.linalg.norm(mesh.vertices, axis=1), 1)
    assert _volume(mesh) == pytest.approx(4 / 3 * np.pi, rel=0.02)


def test_molecule_has_a_ball_an_atom_and_half_a_stick_an_end_of_a_bond():
    carbon, hydrogen = plot.molecule(*METHANE).data
    ball = len(meshes.sphere().vertices)
    stick = len(meshes.stick(np.zeros(3), np.ones(3), 0.1).vertices)
    assert (carbon.name, len(carbon.x)) == ("C", ball + 4 * stick)
    assert (hydrogen.name, len(hydrogen.x)) == ("H", 4 * (ball + stick))
    assert carbon.color == plot.ELEMENT_COLOURS["C"] != hydrogen.color


def test_molecule_has_no_bond_between_distant_atoms():
    (carbon,) = plot.molecule([6, 6], [[0, 0, 0], [0, 0, 3]]).data
    assert len(carbon.x) == 2 * len(meshes.sphere().vertices)


def test_molecule_is_where_its_atoms_are():
    numbers, coords = METHANE
    for trace in plot.molecule(numbers, coords + 5).data:
        distance = np.linalg.norm(_vertices(trace)[:, None] - coords - 5, axis=-1).min(axis=1)
        assert distance.max() < 0.7  # half a bond and a little


def test_symbols_are_the_same_as_atomic_numbers():
    numbers, coords = METHANE
    assert plot.molecule(["C", "H", "H", "H", "H"], coords) == plot.molecule(numbers, coords)


def test_padding_is_left_out():
    numbers, coords = METHANE
    padded = plot.molecule([*numbers, 0, 0], np.concatenate([coords, np.zeros((2, 3))]))
    assert padded == plot.molecule(numbers, coords)


@pytest.mark.parametrize("shape", [(48, 52, 60), (18, 24, 30), (96, 128, 160)], ids=["as is", "finer", "coarser"])
def test_surface_is_where_the_density_has_its_level(shape):
    centre, sigma, level = ORIGIN + np.array([2.5, 4.4, 5.7]), 0.9, 0.3
    surface, _ = plot.grid(_gaussian(centre, sigma, shape), (ORIGIN, LENGTHS), level=level).data
    radius = np.linalg.norm(_vertices(surface) - centre, axis=1)
    # Linear between voxels of at most 0.2 Å, or cubic between ones of 0.33 Å: a tenth of a voxel either way.
    np.testing.assert_allclose(radius, sigma * np.sqrt(-2 * np.log(level)), atol=0.033)


def test_grid_has_a_surface_a_channel_with_density():
    density = _gaussian(ORIGIN + LENGTHS / 2, 0.8, (20, 20, 20))
    grid = np.stack([density, 0 * density, density])
    nitrogen, mixed, box = plot.grid(grid, (ORIGIN, LENGTHS), ["N", "O", "F+Cl"]).data
    assert (nitrogen.name, nitrogen.color) == ("N", plot.ELEMENT_COLOURS["N"])
    assert (mixed.name, mixed.color) == ("F+Cl", plot.ELEMENT_COLOURS["F"])
    assert box.name == "box, 6.0 × 8.0 × 10.0 Å"
    np.testing.assert_allclose(np.nanmin(_vertices(box), axis=0), ORIGIN)
    np.testing.assert_allclose(np.nanmax(_vertices(box), axis=0), ORIGIN + LENGTHS)


def test_empty_grid_shows_its_box():
    (box,) = plot.grid(np.zeros((2, 8, 8, 8)), (ORIGIN, LENGTHS)).data
    assert box.name.startswith("box")


def test_molecule_is_inside_the_surface_of_its_rotated_grid():
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    rotation[0] *= np.linalg.det(rotation)
    offset = np.array([2.0, 4.4, 5.7])  # from the corner, along the axes of the box
    atom = ORIGIN + rotation.T @ offset
    density = _gaussian(ORIGIN + offset, 0.7, (40, 40, 40))
    figure = plot.molecule_and_grid([8], atom[None], density, (ORIGIN, LENGTHS, rotation), ["O"])
    ball, surface, _ = figure.data
    np.testing.assert_allclose(_vertices(ball).mean(axis=0), _vertices(surface).mean(axis=0), atol=0.02)


def test_large_grid_makes_a_small_figure():
    i, j, k = np.ogrid[:128, :128, :128]
    busy = 1 + np.sin(i / 4) * np.sin(j / 4) * np.sin(k / 4)
    assert len(plot.grid(busy[None], (ORIGIN, LENGTHS), level=0.7).to_json()) < 4e6


def test_learning_curve_shows_training_validation_and_references():
    history = {"mae": [3.0, 2.0, 1.5], "val_mae": [3.5, 2.5, 2.0], "loss": [9.0, 4.0, 2.0]}
    figure = plot.learning_curve(history, "mae", unit="eV", references={"mean <b>": 1.25})
    training, validation = figure.data
    np.testing.assert_array_equal(training.y, history["mae"])
    np.testing.assert_array_equal(validation.y, history["val_mae"])
    assert list(training.x) == [1, 2, 3]
    assert [line.y0 for line in figure.layout.shapes] == [1.25]
    assert figure.layout.annotations[0].text == "mean &lt;b&gt;"
    assert figure.layout.yaxis.title.text == "Mean absolute error (eV)"


def test_parity_states_the_error_and_escapes_names():
    figure = plot.parity([1.0, 2.0, 4.0], [1.5, 2.0, 3.0], "eV", names=["<b>", "C", "N"])
    points = figure.data[-1]
    np.testing.assert_array_equal(points.y, [1.5, 2.0, 3.0])
    assert list(points.text) == ["&lt;b&gt;", "C", "N"]
    assert figure.layout.annotations[0].text == "mean absolute error 0.500 eV"
    assert figure.layout.xaxis.range == figure.layout.yaxis.range


def test_inversion_pairs_found_atoms_with_atoms():
    numbers, coords = METHANE
    found = coords[::-1] + np.array([0.03, 0, 0.04])
    *_, crosses = plot.inversion(numbers, coords, found).data
    notes = [note for note in crosses.text if note]
    assert sorted(set(notes)) == sorted(
        f"{symbol}, atom {atom}: 0.05 Å off" for atom, symbol in enumerate(["C", "H", "H", "H", "H"])
    )
    np.testing.assert_allclose(np.nanmean(_vertices(crosses), axis=0), found.mean(axis=0), atol=1e-6)


def test_inversion_marks_missed_and_excess_atoms():
    numbers, coords = METHANE
    missed = plot.inversion(numbers, coords, coords[1:]).data[-1]
    assert (missed.name, list(missed.text)) == ("missed", ["C, atom 0: not found"])
    excess = plot.inversion(numbers, coords, [*coords, [3, 3, 3]]).data[-1]
    assert excess.name == "found in excess"
    np.testing.assert_allclose(np.nanmean(_vertices(excess), axis=0), 3, atol=1e-6)
    nothing = plot.inversion(numbers, coords, np.zeros((0, 3))).data[-1]
    assert len(nothing.text) == 5


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot.molecule([6, 1], np.zeros((3, 3))), r"coords: shape must be \[A, 3\].*\[3, 3\] beside \[2\]"),
        (lambda: plot.molecule(["Cx"], np.zeros((1, 3))), r"'Cx' is not an element"),
        (lambda: plot.grid(np.zeros((4, 4)), (ORIGIN, LENGTHS)), r"grid: shape must be .*got \[4, 4\]"),
        (lambda: plot.grid(np.ones((2, 4, 4, 4)), (ORIGIN, LENGTHS), ["C"]), r"names: .*one a channel, 2; got 1"),
        (lambda: plot.grid(np.ones((4, 4, 4)), (ORIGIN, LENGTHS), level=1.5), r"level: .*got 1.5"),
        (lambda: plot.grid(np.ones((4, 4, 4)), (np.zeros((2, 3)), LENGTHS)), r"box: its origin .*\[2, 3\]"),
        (lambda: plot.learning_curve({"loss": [1.0]}, "mae"), r"metric: 'mae' is not in the history.*loss"),
        (lambda: plot.parity([1.0, 2.0], [1.0]), r"must have the same shape.*\[2\] and \[1\]"),
        (lambda: plot.parity([1.0, 2.0], [1.0, 2.0], names=["C"]), r"names: there must be 2, got 1"),
        (lambda: plot.inversion(*METHANE, np.zeros((4, 4))), r"found_coords: shape must be \[F, 3\], got \[4, 4\]"),
    ],
)
def test_error_names_the_argument(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
