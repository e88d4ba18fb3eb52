"""Builds the op library with Bazel and installs it with the package; the rest is in pyproject.toml."""

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
RUNTIME_REQUIREMENTS = [
    "cripser>=0.0.21",
    "gemmi>=0.7.3",
    "keras>=3.12",
    "numpy>=1.26.4",
    "plotly>=6.0",
    "pydantic>=2.10",
    "rdkit>=2024.9.1",
    "rich>=13.9",
    "scikit-image>=0.24",
    "scipy>=1.13",
    "threadpoolctl>=3.5",
    "typer>=0.15",
]


def tensorflow_version() -> str:
    """Version of the TensorFlow that the op is built against: the one of the Python that runs this file."""
    try:
        return metadata.version("tensorflow")
    except metadata.PackageNotFoundError:
        sys.exit(
            f"pg_tf is built against an installed TensorFlow and {sys.executable} has none: "
            "run `make setup`, or install the TensorFlow named in pyproject.toml first"
        )


def same_minor(version: str) -> str:
    """Requirement for the minor release of `version`: TensorFlow's C++ interface holds within one only."""
    major, minor = version.split(".")[:2]
    return f"tensorflow>={major}.{minor},<{major}.{int(minor) + 1}"


def replace_file(target: Path, content: bytes) -> None:
    """Puts a file in place in one step, so that an interrupted build leaves the old one or the new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    scratch.write_bytes(content)
    os.replace(scratch, target)


class BazelBuild(build_ext):
    """`libpg_tf.so`, and `libpg_tf.json`, which `pg_tf._library` reads before it loads the former."""

    def run(self) -> None:
        bazel = ROOT / "tools" / "bazel"
        environment = {**os.environ, "PYTHON_BIN_PATH": sys.executable}
        if status := subprocess.call([bazel, "build", "//:libpg_tf.so"], cwd=ROOT, env=environment):
            sys.exit(f"pg_tf's op was not built: Bazel ended with status {status}, see above")
        library, build_info = map(Path, self.get_outputs())
        # The record goes first and comes back last: without it the library counts as not built.
        build_info.unlink(missing_ok=True)
        replace_file(library, (ROOT / ".setup" / "bazel-bin" / "libpg_tf.so").read_bytes())
        replace_file(build_info, json.dumps({"tensorflow": tensorflow_version()}).encode())

    def get_outputs(self) -> list[str]:
        package = ROOT / "pg_tf" if self.inplace else Path(self.build_lib) / "pg_tf"
        return [str(package / "libpg_tf.so"), str(package / "libpg_tf.json")]

    def get_output_mapping(self) -> dict[str, str]:
        names = ["libpg_tf.so", "libpg_tf.json"]
        return {str(Path(self.build_lib) / "pg_tf" / name): str(ROOT / "pg_tf" / name) for name in names}


setup(
    packages=[*find_packages(include=["pg_tf", "pg_tf.*"]), "pg_tf.models"],
    package_dir={"pg_tf.models": "models"},
    package_data={"pg_tf": ["py.typed"], "pg_tf.datasets": ["*.npz"]},
    scripts=["scripts/pg-tf"],
    install_requires=[same_minor(tensorflow_version()), *RUNTIME_REQUIREMENTS],
    # Compiled by Bazel; named here so that wheels are made for this platform and build_ext runs.
    ext_modules=[Extension("pg_tf.libpg_tf", sources=[])],
    cmdclass={"build_ext": BazelBuild},
)
