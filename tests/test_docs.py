"""The pages keep what they say: code runs, names and files exist, and the figures that are cheap to check hold."""

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_examples import parse

import pg_tf
from pg_tf import datasets, structures

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(<!-- not run: .* -->\n)?```python\n(.*?)```", re.DOTALL)

pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="the pages are not part of an installation")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> list[tuple[str, bool]]:
    """The Python on a page, and whether it runs as it stands; a comment in front says why where it does not."""
    return [(code, not mark) for mark, code in BLOCK.findall(text_of(page))]


def by_name(path: Path) -> str:
    return path.stem


def exists(name: str) -> bool:
    """Whether a dotted name is a module or what one holds, to any depth."""
    first, *rest = name.split(".")
    found: Any = importlib.import_module(first)
    path = first
    for part in rest:
        path += f".{part}"
        if not hasattr(found, part):
            try:
                importlib.import_module(path)
            except ImportError:
                return False
        found = getattr(found, part)
    return True


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What blocks are run in: the root of the project, with few molecules in the sample."""
    full = datasets.load_sample
    monkeypatch.setattr(datasets, "load_sample", lambda *part: full(*part)[:8])
    monkeypatch.chdir(ROOT)
    return {}


def run(page: str, names: dict[str, Any]) -> None:
    for code, runs in blocks(ROOT / page):
        if runs:
            exec(compile(code, page, "exec"), names)


def test_blocks_and_names_are_found() -> None:
    assert sum(len(blocks(page)) for page in PAGES) > 10
    assert exists("pg_tf.Box")
    assert exists("pg_tf.metrics.pair_atoms")
    assert not exists("pg_tf.boxx")
    assert not exists("pg_tf.metrics.pair")


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=by_name)
def test_code_uses_no_name_that_the_page_does_not_define(page: Path) -> None:
    code = "\n".join(code for code, _ in blocks(page))
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E9,F821", "--quiet", "-"]
    checked = subprocess.run(command, input=code, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_names_of_the_package_exist(page: Path) -> None:
    mentioned = set(re.findall(r"\bpg_tf(?:\.[A-Za-z_]\w*)+(?![\w/])", text_of(page)))
    assert {name for name in mentioned if not exists(name)} == set()


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_files_that_are_named_exist(page: Path) -> None:
    folders = "benchmarks|docs|examples|kernels|models|ops|pg_tf|scripts|studies|tests|third_party|tools"
    named = set(re.findall(rf"(?<![\w/.])(?:{folders})/[\w./*-]*[\w/*]", text_of(page)))
    linked = {link for link in re.findall(r"\]\(([^)#]+)\)", text_of(page)) if "://" not in link}
    assert {path for path in named if not list(ROOT.glob(path))} == set()
    assert {link for link in linked if not (page.parent / link).exists()} == set()


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_commands_are_what_pg_tf_takes(page: Path) -> None:
    for line in re.findall(r"^    pg-tf (.*)$", text_of(page), re.MULTILINE):
        arguments = shlex.split(line.replace("...", ""), comments=True)
        assert parse(arguments)  # raises on what pg-tf does not know


def test_picture_of_the_architecture_names_modules_that_exist() -> None:
    pictures = re.findall(r"```mermaid\n(.*?)```", text_of(ROOT / "docs" / "architecture.md"), re.DOTALL)
    assert len(pictures) == 2
    for picture in pictures:
        named = re.findall(r"\b[\w/-]+(?:\.py|\.cc|\.h|/(?=[<, \"]))", picture.replace("<br/>", " "))
        assert len(named) > 10
        assert {
            name for name in named if not any((ROOT / room / name).exists() for room in ("", "pg_tf", "kernels"))
        } == set()


@pytest.mark.slow
def test_readme_runs(names: dict[str, Any]) -> None:
    run("README.md", names)
    assert names["found"].converged
    assert np.isfinite(names["model"].history.history["loss"]).all()


def test_page_on_grids_runs(names: dict[str, Any]) -> None:
    run("docs/grids.md", names)
    assert names["grid"].numpy().sum() == pytest.approx(3, rel=1e-5)


def test_page_on_inversion_runs(names: dict[str, Any]) -> None:
    run("docs/inversion.md", names)
    assert names["found"].converged
    assert len(names["found"].points) == len(names["molecule"].coords)


def test_page_on_files_runs(names: dict[str, Any]) -> None:
    run("docs/files.md", names)
    folder = Path(names["folder"])
    assert {path.suffix for path in folder.iterdir()} == {".npz", ".cube", ".sdf", ".xyz", ".pdb"}
    assert structures.read_structure(folder / "found.pdb").symbols == names["found"].symbols


def test_page_on_data_runs(names: dict[str, Any]) -> None:
    run("docs/data.md", names)
    points, labels = next(iter(names["dataset"]))
    assert points.shape[0] == len(labels) == 256


def test_page_on_embeddings_runs(names: dict[str, Any]) -> None:
    run("docs/embeddings.md", names)
    assert names["model"].output_shape == (None, 1)
    found, molecules = names["found"], names["molecules"]
    assert found.inversion.converged.all()
    for i, numbers in enumerate(found.atomic_numbers):
        assert sorted(numbers.numpy()) == sorted(molecules[i].atomic_numbers)


def test_page_on_crystals_runs(names: dict[str, Any]) -> None:
    run("docs/crystals.md", names)
    assert names["grid"].numpy().sum(axis=(1, 2, 3)) == pytest.approx([96, 192], rel=1e-5)
    assert names["found"].converged
    assert len(names["again"]) == len(names["zeolite"])
    # The lattice is orthorhombic: to first order no shear changes anything.
    stress = names["stress_like"].numpy()
    assert abs(stress - stress.diagonal() * [[1, 0, 0], [0, 1, 0], [0, 0, 1]]).max() < 1e-9
    assert 1e-6 < names["henry"].numpy() < 2e-5


def test_energies_in_float32_are_as_good_as_the_page_on_crystals_says() -> None:
    zeolite = structures.read_structure(ROOT / "examples" / "silicalite.cif")
    # Shifted: an atom on the cutoff then makes no difference, whether it counts or not.
    single, double = (
        pg_tf.lennard_jones(**zeolite.atoms(), grid_shape=(64, 64, 44), shift=True, dtype=dtype).numpy()
        for dtype in ("float32", "float64")
    )
    error = np.abs(single - double) / np.maximum(np.abs(double), 100)
    assert error.max() < 1e-4
    assert (error < 1e-5).mean() > 0.997
