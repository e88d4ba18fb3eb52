"""Every instruction set that the CPU has gives right grids and right errors."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import pg_tf

SUPPORTED, ACTIVE = pg_tf.simd_levels()
OTHERS = [level for level in SUPPORTED if level != ACTIVE]
HERE = Path(__file__).parent


def test_baseline_is_supported_and_the_best_level_is_active() -> None:
    assert SUPPORTED[0] == "baseline"
    assert ["baseline", "avx2", "avx512"][: len(SUPPORTED)] == SUPPORTED
    assert os.environ.get("PG_TF_SIMD", SUPPORTED[-1]) == ACTIVE


@pytest.mark.slow
@pytest.mark.skipif("PG_TF_SIMD" in os.environ, reason="already a run of another level")
@pytest.mark.parametrize("level", OTHERS)
def test_other_levels_pass_the_same_tests(level: str) -> None:
    # A level is chosen once per process.
    names = ["simd_levels", "voxelize_golden", "voxelize_physics", "raw_op", "gradient"]
    names += ["lennard_jones", "lennard_jones_gradient"]
    files = [str(HERE / f"test_{name}.py") for name in names]
    without = "dense or xla or watched or unknown_level or shapes or threads"  # nothing of the level in them
    process = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", f"not ({without})", *files],
        env={**os.environ, "PG_TF_SIMD": level},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout[-4000:]


UNKNOWN = """
import tensorflow as tf
import pg_tf
try:
    pg_tf.voxelize([[0.0, 0.0, 0.0]])
except tf.errors.InvalidArgumentError as error:
    print(error)
"""


def test_unknown_level_is_an_error_that_names_those_there_are(run_python: Callable[..., str]) -> None:
    level = "AVX2 "
    printed = run_python(UNKNOWN, PG_TF_SIMD=level)
    assert (
        f"PG_TF_SIMD='{level}' is not an instruction set that this CPU can run: it has {' '.join(SUPPORTED)}" in printed
    )
