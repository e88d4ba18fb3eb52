"""Grids in files are read back by programs that know nothing of pg_tf: the same values at the same places."""

from pathlib import Path

import mrcfile
import numpy as np
import pytest
from ase.io.cube import read_cube
from gridData import OpenDX

import pg_tf
from pg_tf.grid_files import SUFFIXES, StoredGrid, read_grid, write_grid

BOX = pg_tf.Box(np.array([1.0, -2.0, 3.5]), np.array([6.0, 8.0, 7.0]))
OBLIQUE = np.array([[5.0, 0, 0], [1, 6, 0], [-0.5, 1.5, 7]])
ANYHOW = np.array([[5.0, 0.3, -1], [1, 6, 0], [0, -1, 7]])
WATER = np.array([8, 1, 1]), np.array([[4.0, 2, 7], [4.0, 2.757, 6.4], [4.0, 1.243, 6.4]])
NAMES = ("O", "H")


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return pg_tf.voxelize(WATER[1], [0, 1, 1], num_channels=2, grid_shape=(8, 10, 7), box=BOX).numpy()


def written(tmp_path: Path, suffix: str, values: np.ndarray, **where: object) -> list[Path]:
    given = where or {"box": BOX}
    return write_grid(
        tmp_path / f"water{suffix}", values, names=NAMES, atomic_numbers=WATER[0], coords=WATER[1], sigma=0.4, **given
    )


def test_cube_is_read_by_ase(tmp_path: Path, values: np.ndarray) -> None:
    paths = written(tmp_path, ".cube", values)
    assert [path.name for path in paths] == ["water_O.cube", "water_H.cube"]
    for path, channel in zip(paths, values, strict=True):
        with path.open() as file:
            content = read_cube(file)
        np.testing.assert_allclose(content["data"], channel, rtol=1e-7, atol=1e-30)
        np.testing.assert_allclose(content["origin"], BOX.origin + BOX.lengths / (8, 10, 7) / 2, atol=1e-6)
        np.testing.assert_allclose(content["spacing"], np.diag(BOX.lengths / (8, 10, 7)), atol=1e-6)
        assert content["atoms"].numbers.tolist() == [8, 1, 1]
        np.testing.assert_allclose(content["atoms"].positions, WATER[1], atol=1e-6)


@pytest.mark.parametrize("shape", [(8, 10, 7), (3, 2, 5)], ids=["short lines", "full lines"])
def test_dx_is_read_by_griddataformats(tmp_path: Path, rng: np.random.Generator, shape: tuple[int, ...]) -> None:
    values = rng.normal(size=(1, *shape)).astype(np.float32)
    (path,) = write_grid(tmp_path / "energy.dx", values, cell=ANYHOW, names=("CH4",), unit="K")
    field = OpenDX.field(0)
    field.read(str(path))
    np.testing.assert_allclose(field.components["data"].array.reshape(shape), values[0], rtol=1e-7)
    steps = ANYHOW / np.array(shape)[:, None]
    np.testing.assert_allclose(field.components["positions"].delta, steps, atol=1e-8)
    np.testing.assert_allclose(field.components["positions"].origin, steps.sum(axis=0) / 2, atol=1e-8)


@pytest.mark.parametrize("suffix", [".mrc", ".map", ".ccp4"])
@pytest.mark.parametrize("where", [{"box": BOX}, {"cell": OBLIQUE}], ids=["box", "cell"])
def test_mrc_is_read_by_mrcfile(tmp_path: Path, values: np.ndarray, suffix: str, where: dict) -> None:
    for path, channel in zip(written(tmp_path, suffix, values, **where), values, strict=True):
        with mrcfile.open(path) as content:
            assert content.data.dtype == np.float32
            np.testing.assert_array_equal(content.data.transpose(2, 1, 0), channel)  # its sections are along z
            edges = np.diag(BOX.lengths) if "box" in where else OBLIQUE
            lengths = np.linalg.norm(edges, axis=1)
            np.testing.assert_allclose(content.voxel_size.tolist(), lengths / channel.shape, rtol=1e-6)
            cosine = edges[0] @ edges[1] / lengths[0] / lengths[1]
            assert np.cos(np.radians(content.header.cellb.gamma)) == pytest.approx(cosine, abs=1e-6)
            origin = BOX.origin if "box" in where else np.zeros(3)
            np.testing.assert_allclose(content.header.origin.tolist(), origin, atol=1e-6)
            assert content.header.dmax == channel.max()
            assert mrcfile.validate(path)


def test_numpy_files_are_read_by_numpy(tmp_path: Path, values: np.ndarray) -> None:
    (path,) = written(tmp_path, ".npy", values)
    np.testing.assert_array_equal(np.load(path), values)
    (path,) = written(tmp_path, ".npz", values)
    with np.load(path) as arrays:
        np.testing.assert_array_equal(arrays["grid"], values)
        np.testing.assert_array_equal(arrays["edges"], np.diag(BOX.lengths))
        assert arrays["names"].tolist() == ["O", "H"]
        assert arrays["sigma"] == 0.4


@pytest.mark.parametrize(
    ("suffix", "where"), [(".vti", {"box": BOX}), (".vts", {"box": BOX}), (".vts", {"cell": ANYHOW})]
)
def test_vtk_files_are_read_by_vtk(tmp_path: Path, values: np.ndarray, suffix: str, where: dict) -> None:
    pytest.importorskip("vtk", reason="VTK is not installed")
    from vtkmodules import vtkIOXML
    from vtkmodules.util.numpy_support import vtk_to_numpy

    (path,) = written(tmp_path, suffix, values, **where)
    reader = vtkIOXML.vtkXMLImageDataReader() if suffix == ".vti" else vtkIOXML.vtkXMLStructuredGridReader()
    reader.SetFileName(str(path))
    reader.Update()
    content = reader.GetOutput()
    for name, channel in zip(NAMES, values, strict=True):
        array = vtk_to_numpy(content.GetCellData().GetArray(name))
        np.testing.assert_array_equal(array.reshape(channel.shape, order="F"), channel)
    origin, edges = (BOX.origin, np.diag(BOX.lengths)) if "box" in where else (np.zeros(3), where["cell"])
    corners = [content.GetPoint(0), content.GetPoint(content.GetNumberOfPoints() - 1)]
    np.testing.assert_allclose(corners, [origin, origin + edges.sum(axis=0)], atol=1e-12)


def test_vtk_image_names_its_voxels(tmp_path: Path, values: np.ndarray) -> None:
    (path,) = written(tmp_path, ".vti", values)
    head = path.read_bytes()[:1000].decode("latin-1")
    assert '<ImageData WholeExtent="0 8 0 10 0 7" Origin="1.0 -2.0 3.5 "' in head
    assert '<DataArray Name="H"' in head


@pytest.mark.parametrize("suffix", sorted(set(SUFFIXES) - {".vti", ".vts", ".npy"}))
@pytest.mark.parametrize("where", [{"box": BOX}, {"cell": OBLIQUE}], ids=["box", "cell"])
def test_grid_comes_back(tmp_path: Path, values: np.ndarray, suffix: str, where: dict) -> None:
    expected = StoredGrid.of(values, **where)
    paths = written(tmp_path, suffix, values, **where)
    for index, path in enumerate(paths):
        back = read_grid(path)
        wanted = expected.channel(index) if len(paths) > 1 else expected
        np.testing.assert_allclose(back.values, wanted.values, rtol=1e-7, atol=1e-30)
        np.testing.assert_allclose(back.origin, wanted.origin, atol=1e-6)
        np.testing.assert_allclose(back.edges, wanted.edges, atol=1e-5)
        if suffix == ".npz":
            assert (back.names, back.sigma, back.periodic) == (NAMES, 0.4, wanted.periodic)
        else:
            assert back.names == (path.stem,)


def test_values_alone_come_back_with_their_box(tmp_path: Path, values: np.ndarray) -> None:
    (path,) = written(tmp_path, ".npy", values)
    np.testing.assert_array_equal(read_grid(path, BOX).edges, np.diag(BOX.lengths))
    with pytest.raises(ValueError, match=r"box: .*water.npy holds numbers alone"):
        read_grid(path)


def test_grid_that_went_through_a_file_turns_back_into_its_atoms(tmp_path: Path, values: np.ndarray) -> None:
    """A cube file, which holds the least digits: 8 after the point in bohr."""
    paths = written(tmp_path, ".cube", values)
    grid = read_grid(paths[1])
    found = pg_tf.grid_to_coords(grid.values, box=(grid.origin, np.diag(grid.edges)), sigma=0.4)
    distances = np.linalg.norm(found.points.numpy()[:, None, 1:] - WATER[1][1:], axis=-1)
    assert distances.min(axis=0).max() < 1e-4


def test_channels_last_and_turned_boxes(values: np.ndarray) -> None:
    turned = StoredGrid.of(np.moveaxis(values, 0, -1), (*BOX[:2], np.eye(3)[[1, 2, 0]]), data_format="channels_last")
    np.testing.assert_array_equal(turned.values, values)
    np.testing.assert_array_equal(turned.edges, [[0, 6, 0], [0, 0, 8], [7, 0, 0]])


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("a.grid", {"box": BOX}, r"the format of .*a.grid is not known; it must end in .npz"),
        ("a.npz", {}, "box, cell: give the one that the grid was made with"),
        ("a.npz", {"box": BOX, "cell": OBLIQUE}, "box, cell: give the one"),
        ("a.npz", {"box": BOX, "names": ("O",)}, "names: there must be one a channel, 2; got 1"),
        ("a.npz", {"box": (np.zeros((2, 3)), np.ones((2, 3)))}, r"box: its origin must have shape \[3\], got \[2, 3\]"),
        ("a.npz", {"cell": np.ones((3, 3))}, "edges: the vectors of the grid lie in one plane"),
        ("a.vti", {"cell": OBLIQUE}, r"VTK image data lie along x, y and z.*write .vts"),
        ("a.mrc", {"cell": ANYHOW}, "an MRC map holds lengths and angles"),
    ],
)
def test_what_cannot_be_written_is_refused(
    tmp_path: Path, values: np.ndarray, name: str, arguments: dict, text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        write_grid(tmp_path / name, values, **arguments)
    assert not list(tmp_path.iterdir())


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"grid: nan at \[0, 1, 0, 0\]"):
        write_grid(tmp_path / "a.npz", np.array([[[0.0]], [[np.nan]]]), box=BOX)
    with pytest.raises(ValueError, match=r"grid: must be numbers \[C, nx, ny, nz\], got float64 \[3, 3\]"):
        write_grid(tmp_path / "a.npz", np.eye(3), box=BOX)


@pytest.mark.parametrize("suffix", sorted(set(SUFFIXES) - {".vti", ".vts", ".npy"}))
def test_damaged_files_are_named(tmp_path: Path, values: np.ndarray, suffix: str) -> None:
    path = written(tmp_path, suffix, values)[0]
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"\x00\xff" * 500):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"path: .*{path.name}: ."):
            read_grid(path)
    with pytest.raises(OSError, match="nowhere"):
        read_grid(tmp_path / f"nowhere{suffix}")
