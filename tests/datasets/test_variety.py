"""The variety report counts what is there."""

import numpy as np
import pytest
from typer.testing import CliRunner

from pg_tf import plot
from pg_tf.cli import app
from pg_tf.datasets import Molecules, variety

WATER, METHANE = [8, 1, 1], [6, 1, 1, 1, 1]


def test_weights_sizes_and_elements_of_water_and_methane() -> None:
    numbers = [WATER, METHANE, METHANE]
    molecules = Molecules.from_arrays(numbers, [np.zeros((len(z), 3)) for z in numbers], [1, 2, 3], unit="eV")
    found = variety(molecules)
    np.testing.assert_allclose(found.weights, [18.015, 16.043, 16.043], atol=1e-3)  # CRC Handbook
    assert found.sizes.tolist() == [3, 5, 5]
    assert found.heavy.tolist() == [1, 1, 1]
    assert found.atoms == {"H": 10, "C": 2, "O": 1}
    assert found.holders == {"H": 3, "C": 2, "O": 1}
    assert found.elements()[1] == ("H", "10", "76.923%", "100.000%")
    assert found.distributions()[-1][:4] == ("label (eV)", "2", "0.8165", "1")


def test_empty_source_is_an_error() -> None:
    with pytest.raises(ValueError, match="source: there is no molecule in it"):
        variety(Molecules.from_arrays([], []))


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
    assert "400 molecules" in report.read_text()
    assert CliRunner().invoke(app, ["describe", "nothing.sdf"]).exit_code == 1
