"""What setup.py and pip make of the project."""

import json
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import pg_tf.models

ROOT = Path(__file__).parents[1]


def test_required_tensorflow_is_the_minor_release_of_the_build() -> None:
    built_against = json.loads((ROOT / "pg_tf" / "libpg_tf.json").read_text())["tensorflow"]
    major, minor, _ = built_against.split(".", 2)
    (requirement,) = [line for line in metadata.requires("pg_tf") or [] if line.startswith("tensorflow")]
    specifiers = set(requirement.removeprefix("tensorflow").split(","))
    assert specifiers == {f">={major}.{minor}", f"<{major}.{int(minor) + 1}"}


def test_models_are_those_of_the_source_tree() -> None:
    assert Path(pg_tf.models.__file__).parent == ROOT / "models"


@pytest.mark.slow
def test_wheel_is_complete(tmp_path: Path) -> None:
    build = ["build", "--build-base", str(tmp_path), "bdist_wheel", "--dist-dir", str(tmp_path)]
    done = subprocess.run([sys.executable, "setup.py", "--quiet", *build], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert not wheel.name.endswith("-any.whl"), "a compiled library is for one platform only"
    packed = set(zipfile.ZipFile(wheel).namelist())
    for source in [*ROOT.glob("pg_tf/**/*.py"), *ROOT.glob("pg_tf/**/*.npz"), *ROOT.glob("models/**/*.py")]:
        path = source.relative_to(ROOT)
        assert str("pg_tf" / path if path.parts[0] == "models" else path) in packed
    assert {"pg_tf/libpg_tf.so", "pg_tf/libpg_tf.json", "pg_tf/py.typed"} <= packed


def test_lock_file_holds_a_release_of_every_requirement_that_it_asks_for() -> None:
    locked: dict[str, list[Requirement]] = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if line and not line.lstrip().startswith("#"):
            requirement = Requirement(line)
            locked.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    for text in metadata.requires("pg_tf") or []:
        wanted = Requirement(text)
        if wanted.marker and "ogb" in str(wanted.marker):
            continue  # see the Makefile
        releases = locked[canonicalize_name(wanted.name)]
        for python in ("3.10", "3.11", "3.12", "3.13"):
            environment = {"python_version": python, "python_full_version": f"{python}.0"}
            (release,) = [r for r in releases if r.marker is None or r.marker.evaluate(environment)]
            (version,) = release.specifier
            assert wanted.specifier.contains(version.version), f"{text}; Python {python} has {release}"


@pytest.mark.parametrize("program", ["tools/bazel", "scripts/find_bazel.sh", "scripts/setup.sh", ".ci/run"])
def test_script_is_executable_and_parses(program: str) -> None:
    assert (ROOT / program).stat().st_mode & 0o111 == 0o111
    subprocess.run(["bash", "-n", str(ROOT / program)], check=True)


PROGRAMS = "bash cat cksum dirname echo env flock head id mkdir readlink timeout tr xargs"
READ_BY_SETUP = "scripts/setup.sh scripts/find_bazel.sh pyproject.toml setup.py requirements.lock .bazelversion"


def test_set_up_that_may_not_install_says_what_is_missing_and_leaves_no_environment(tmp_path: Path) -> None:
    tree, programs = tmp_path / "tree", tmp_path / "programs"
    programs.mkdir()
    # No compiler, no Python, no Bazel, and no apt-get to bring them.
    for name in PROGRAMS.split():
        (programs / name).symlink_to(str(shutil.which(name)))
    for name in READ_BY_SETUP.split():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    command = ["bash", tree / "scripts" / "setup.sh"]
    done = subprocess.run(command, env={"PATH": str(programs)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    for package in ("g++", "python3-venv", "bazel-bootstrap", "docs/install.md"):
        assert package in done.stderr, done.stderr
    assert not (tree / ".venv").exists()
