"""The benchmarks run. What they measure is no business of a test."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "benchmarks").is_dir(), reason="the benchmarks are not part of an installation"),
    pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++ for the C++ baselines"),
]


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a run over two molecules, of a case of each kind: here, in workers, without the packages."""
    folder = tmp_path_factory.mktemp("bench")
    rng = np.random.default_rng(0)
    elements = np.array([6, 1, 8, 7, 9])
    np.savez(folder / "two.npz", pos=rng.normal(size=(5, 3)) * 2, offsets=[0, 3, 5], z=elements)
    cases = ["floor", "study", "packages", "gradient", "layouts", "batches", "protein", "pipeline"]
    command = [sys.executable, "-m", "benchmarks", "--scale", "smoke", "--data", str(folder / "two.npz")]
    command += ["--output", str(folder), "--baselines", str(folder / "none"), "--cases", *cases]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert process.returncode == 0, process.stderr[-4000:]
    return folder


@pytest.fixture(scope="module")
def results(output: Path) -> Any:
    return json.loads((output / "results.json").read_text())


def test_results_say_what_they_are_from(results: Any) -> None:
    machine = results["machine"]
    assert machine["molecules"] == 2
    for key in ("cpu", "cores", "instruction_set", "python", "compiler", "revision", "load_average_at_start"):
        assert machine[key] not in ("", None), key
    assert {"tensorflow", "numpy"} <= set(machine["packages"])


@pytest.mark.parametrize(
    "table", ["floor", "study", "speedup", "errors", "gradient", "layouts", "dtypes", "batches", "protein", "pipeline"]
)
def test_figures_are_finite_and_positive(results: Any, table: str) -> None:
    rows = results["tables"][table]["rows"]
    assert rows
    figures = [
        value for row in rows for name, value in row.items() if isinstance(value, float) and "floor)" not in name
    ]
    assert figures
    assert all(math.isfinite(value) and value >= 0 for value in figures)


def test_every_timing_has_at_least_one_run(results: Any) -> None:
    timings = [t for record in results["timings"] for name, t in record.items() if name != "what"]
    assert timings
    assert all(0 < t["best"] <= t["median"] and t["runs"] >= 1 for t in timings)


def test_baselines_compute_the_same_grids_as_the_op(results: Any) -> None:
    (row,) = results["tables"]["errors"]["rows"]
    errors = {name: value for name, value in row.items() if name not in ("sigma", "grid")}
    assert {"pg_tf", "NumPy, a pass an atom", "C++ dense", "C++ sparse + SIMD"} <= set(errors)
    assert max(errors.values()) < 1e-5, errors  # float32 factors of plain code, not the op's 2e-6


def test_missing_packages_are_reported_with_the_reason(results: Any) -> None:
    notes = results["tables"]["packages"]["notes"]
    assert results["tables"]["packages"]["rows"] == []
    for name in ("libmolgrid", "JAX einsum", "moleculekit", "PyUUL"):
        assert any(note.startswith(f"{name}: not measured: not installed") for note in notes), notes


def test_markdown_and_charts_are_written(output: Path) -> None:
    text = (output / "results.md").read_text()
    assert "| grid | channels |" in text
    for chart in ("overview", "rates", "sigma", "paper", "floor", "batches"):
        assert (output / f"{chart}.png").stat().st_size > 1000, chart


def test_aliases_of_options_and_cases_mean_the_same() -> None:
    script = (
        "import sys, json; from benchmarks.__main__ import _parser;"
        "print(json.dumps(vars(_parser().parse_args(sys.argv[1:])), default=str))"
    )
    names = ["--cases", "packages", "--baselines", "there", "--install-baselines", "PyUUL"]
    aliases = ["--cases", "rivals", "--rivals", "there", "--install-rivals", "PyUUL"]
    parsed = [
        subprocess.run([sys.executable, "-c", script, *options], cwd=ROOT, capture_output=True, text=True, check=True)
        for options in (names, aliases)
    ]
    assert json.loads(parsed[0].stdout) == json.loads(parsed[1].stdout)
    assert json.loads(parsed[1].stdout)["install"] == ["PyUUL"]


def test_file_without_elements_is_an_error_that_says_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "no_elements.npz"
    np.savez(path, pos=np.zeros((2, 3)), offsets=[0, 2])
    command = [sys.executable, "-c", "import sys, benchmarks.workload as w, pathlib; w.load(pathlib.Path(sys.argv[1]))"]
    process = subprocess.run([*command, str(path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode != 0
    assert "must hold pos, offsets and one of z and channel; it holds ['offsets', 'pos']" in process.stderr
