"""Shared by all tests."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

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


@pytest.fixture(scope="session")
def run_python() -> Callable[..., str]:
    """Runs a program, or the file of one, in a process of its own; returns what it printed."""

    def run(program: str | Path, *arguments: str | Path, **environment: str) -> str:
        process = subprocess.run(
            [sys.executable, *([program] if isinstance(program, Path) else ["-c", program]), *arguments],
            env={**os.environ, **environment},
            cwd=os.path.dirname(__file__),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert process.returncode == 0, process.stderr[-4000:]
        return process.stdout

    return run


@pytest.fixture(params=["op", "dense"])
def implementation(request: pytest.FixtureRequest) -> str:
    """A test that takes it is run for the compiled op and for the form in TensorFlow's own ops."""
    return request.param


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> str:
    """A test that takes it is run in both, unless it lists others."""
    return request.param


@pytest.fixture(params=["channels_first", "channels_last"])
def data_format(request: pytest.FixtureRequest) -> str:
    """A test that takes it is run for both orders of axes."""
    return request.param
