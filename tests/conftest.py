"""Shared by all tests."""

import os
import subprocess
import sys
from collections.abc import Callable

# Before TensorFlow is imported; the second as `pg-tf` does.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import hypothesis
import numpy as np
import pytest

hypothesis.settings.register_profile("pg_tf", deadline=None, max_examples=30)
hypothesis.settings.load_profile("pg_tf")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20220516)


@pytest.fixture
def run_python() -> Callable[..., str]:
    """Runs a program in a process of its own, for what a process decides only once; returns what it printed."""

    def run(program: str, **environment: str) -> str:
        process = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **environment},
            cwd=os.path.dirname(__file__),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert process.returncode == 0, process.stderr[-4000:]
        return process.stdout

    return run
