"""The compiled ops are refused, with what to do about it, before they can do harm."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from pg_tf import _library

BUILT = Path(_library.__file__).with_name("libpg_tf.so")
RUNNING = tf.__version__


def place(folder: Path, built_against: str | None = None, content: bytes | None = None) -> Path:
    """A library in `folder` and the record of the TensorFlow it was built against; None leaves a file out."""
    library = folder / "libpg_tf.so"
    if content is not None:
        library.write_bytes(content)
    if built_against is not None:
        library.with_suffix(".json").write_text(json.dumps({"tensorflow": built_against}))
    return library


def other_minor() -> str:
    major, minor, *_ = RUNNING.split(".")
    return f"{major}.{int(minor) - 1}.0"


def other_patch() -> str:
    return ".".join([*RUNNING.split(".")[:2], "99"])


def test_ops_are_namespaced() -> None:
    assert callable(_library.load().pg_tf_voxelize)


def test_library_is_loaded_once() -> None:
    assert _library.load() is _library.load()


@pytest.mark.parametrize(
    ("built_against", "content"),
    [(None, None), (RUNNING, None), (None, b"x")],
    ids=["nothing", "record", "library"],
)
def test_load_names_the_build_when_part_of_it_is_absent(
    tmp_path: Path, built_against: str | None, content: bytes | None
) -> None:
    library = place(tmp_path, built_against, content)
    with pytest.raises(ImportError, match=r"not compiled.*make setup.*pip install --no-build-isolation") as error:
        _library.load(library)
    assert error.value.path == str(library)


def test_load_names_both_versions_under_another_minor_release(tmp_path: Path) -> None:
    # Not a library at all: had it been opened before the comparison, the error would be another one.
    library = place(tmp_path, other_minor(), content=b"not a library")
    with pytest.raises(ImportError, match=f"against TensorFlow {other_minor()}, .* {RUNNING}.*make setup"):
        _library.load(library)


@pytest.mark.slow
def test_load_accepts_another_patch_release(tmp_path: Path) -> None:
    library = place(tmp_path, other_patch())
    shutil.copyfile(BUILT, library)
    # In a process of its own, as ops can be registered only once in each; and without pg_tf's own import.
    program = f"""
import importlib.util, pathlib
spec = importlib.util.spec_from_file_location("_library", {_library.__file__!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
assert callable(module.load(pathlib.Path({str(library)!r})).pg_tf_voxelize)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_load_names_the_missing_symbol_and_both_versions(tmp_path: Path) -> None:
    library = place(tmp_path, other_patch())
    source = "int absent_from_tensorflow(); int value = absent_from_tensorflow();"
    subprocess.run(
        ["g++", "-shared", "-fPIC", "-x", "c++", "-", "-o", str(library)], input=source, text=True, check=True
    )
    with pytest.raises(ImportError, match=f"absent_from_tensorflow.*{other_patch()}.* {RUNNING}.*make setup"):
        _library.load(library)


def test_load_names_the_file_that_is_no_library(tmp_path: Path) -> None:
    library = place(tmp_path, RUNNING, content=b"not a library")
    with pytest.raises(ImportError, match=f"cannot load {library}.*{RUNNING}.*make setup"):
        _library.load(library)
