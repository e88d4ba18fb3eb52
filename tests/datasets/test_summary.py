"""The summary of a data set counts what is there."""

import numpy as np
import pytest
from processes import app
from scipy.spatial.distance import pdist
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from pg_tf import plot
from pg_tf.datasets import Molecules, summarize

WATER, METHANE = [8, 1, 1], [6, 1, 1, 1, 1]


def test_weights_sizes_and_elements_of_water_and_methane() -> None:
    numbers = [WATER, METHANE, METHANE]
    molecules = Molecules.from_arrays(numbers, [np.zeros((len(z), 3)) for z in numbers], [1, 2, 3], unit="eV")
    found = summarize(molecules)
    np.testing.assert_allclose(found.weights, [18.015, 16.043, 16.043], atol=1e-3)  # CRC Handbook
    assert found.sizes.tolist() == [3, 5, 5]
    assert found.heavy.tolist() == [1, 1, 1]
    assert found.atoms == {"H": 10, "C": 2, "O": 1}
    assert found.holders == {"H": 3, "C": 2, "O": 1}
    assert found.elements()[1] == ("H", "10", "76.923%", "100.000%")
    assert found.diameters.tolist() == [0, 0, 0]
    assert found.distributions()[-1][:4] == ("label (eV)", "2", "0.8165", "1")


def test_diameters_are_the_largest_distances_also_of_molecules_larger_than_a_block(rng, monkeypatch) -> None:
    sizes = [5, 0, 1, 12, 5, 2, 40, 12]
    coords = [rng.normal(size=(size, 3)) for size in sizes]
    molecules = Molecules.from_arrays([np.full(size, 6) for size in sizes], coords)
    expected = [pdist(xyz).max() if len(xyz) > 1 else 0.0 for xyz in coords]
    for pairs in (1 << 22, 100):  # with 100, of 40 atoms two rows at once
        monkeypatch.setattr("pg_tf.datasets.diameters._PAIRS", pairs)
        np.testing.assert_allclose(molecules.diameters(), expected, rtol=1e-6)
    assert molecules.count_larger_than(np.sort(expected)[4] + 1e-3) == 3


def test_molecule_that_counts_as_fitting_keeps_its_atoms_in_the_box_in_any_orientation(rng) -> None:
    coords = rng.normal(size=(200, 8, 3)).astype(np.float32)
    molecules = Molecules.from_arrays(np.full((200, 8), 6), coords)
    box = float(np.median(molecules.diameters()))
    assert molecules.count_larger_than(box) == 100
    worst = np.zeros(200)
    for turn in Rotation.random(50, rng=0).as_matrix():
        worst = np.maximum(worst, np.ptp(coords @ turn.T, axis=1).max(axis=1))
    assert (worst[molecules.diameters() <= box] <= box * (1 + 1e-6)).all()
    assert (worst[molecules.diameters() > box * 1.1] > box).all()


def test_table_of_boxes_counts_what_does_not_fit() -> None:
    ends = [[[0, 0, 0], [0, 0, length]] for length in (1.0, 9.0, 11.0, 50.0)]
    rows = summarize(Molecules.from_arrays([[6, 6]] * 4, ends)).fits()
    assert rows[1] == ("8", "25.000%", "3")
    assert rows[3] == ("12", "75.000%", "1")


def test_empty_source_is_an_error() -> None:
    with pytest.raises(ValueError, match="source: there is no molecule in it"):
        summarize(Molecules.from_arrays([], []))


def test_cumulative_curve_rises_from_the_smallest_to_the_largest_value() -> None:
    (curve,) = plot.cumulative([3.0, 1.0, 2.0, 2.0], "Weight (u)").data
    assert (curve.x[0], curve.x[-1], curve.y[0], curve.y[-1]) == (1, 3, 0, 1)
    assert (np.diff(curve.x) >= 0).all()
    with pytest.raises(ValueError, match="values: there are none"):
        plot.cumulative([], "")


def test_describe_prints_and_draws_the_sample(tmp_path) -> None:
    report = tmp_path / "report.html"
    result = CliRunner().invoke(app, ["describe", "sample", "--split", "test", "--output", str(report)])
    assert result.exit_code == 0, result.output
    assert "molecular weight" in result.output
    assert "molecules that fit" in result.output
    assert "400 molecules" in report.read_text()
    for absent in ("nothing.sdf", "nofolder"):
        result = CliRunner().invoke(app, ["describe", absent])
        assert (result.exit_code, result.output) == (
            1,
            f"pg-tf describe: source: there is no file or folder {absent!r}\n",
        )
