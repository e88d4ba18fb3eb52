"""Finds, checks and loads the compiled ops."""

import functools
import json
from pathlib import Path
from types import ModuleType

import tensorflow as tf

_LIBRARY = Path(__file__).with_name("libpg_tf.so")
_BUILD = "`make setup` in the folder of the project, or `pip install --no-build-isolation .` there"


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


@functools.cache
def load(library: Path = _LIBRARY) -> ModuleType:
    """Loads the op library into TensorFlow, once per process.

    TensorFlow's C++ interface changes with every minor release, and a library built against another one may
    crash when it is opened. So the version that setup.py recorded beside it is compared first.

    Args:
        library: path of `libpg_tf.so`, with `libpg_tf.json` beside it.

    Returns:
        The module with one function per op; `PgTf>Voxelize` is `pg_tf_voxelize` there.

    Raises:
        ImportError: the library was not built, or not against the running TensorFlow.
    """
    record = library.with_suffix(".json")
    try:
        built_against = json.loads(record.read_text())["tensorflow"]
    except (FileNotFoundError, KeyError, ValueError):
        built_against = None
    if built_against is None or not library.exists():
        raise ImportError(
            f"pg_tf's ops are not compiled: no usable {library} with {record.name}. Run {_BUILD}.",
            path=str(library),
        )
    versions = f"built against TensorFlow {built_against}, and this is TensorFlow {tf.__version__}"
    if _minor(built_against) != _minor(tf.__version__):
        raise ImportError(f"{library} was {versions}. Rebuild it: {_BUILD}.", path=str(library))
    try:
        return tf.load_op_library(str(library))
    except (tf.errors.OpError, OSError, RuntimeError) as error:
        # Typically "undefined symbol": a TensorFlow of the same version that was compiled otherwise.
        raise ImportError(
            f"TensorFlow cannot load {library}: {error}. It was {versions}. Rebuild it: {_BUILD}.",
            path=str(library),
        ) from error
