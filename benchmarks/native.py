"""Compiles the C++ of the baselines."""

import ctypes
import os
import platform
import subprocess
from pathlib import Path

COMPILER = os.environ.get("CXX", "g++")
# What pg_tf's own kernels are compiled with, but for the machine at hand.
SIMD_FLAGS = (
    "-O3",
    "-mcpu=native" if platform.machine() in ("aarch64", "arm64") else "-march=native",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
)
PLAIN_FLAGS = ("-O2",)


def compile_library(source: Path, library: Path, flags: tuple[str, ...]) -> ctypes.CDLL:
    """Compiles one source file to the shared library at `library`, and loads it.

    Raises:
      RuntimeError: if the compiler fails or is not there; the text is what it said.
    """
    library.parent.mkdir(parents=True, exist_ok=True)
    command = [COMPILER, "-std=c++17", "-shared", "-fPIC", *flags, str(source), "-o", str(library)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(f"{' '.join(command)}: {getattr(error, 'stderr', None) or error}") from error
    return ctypes.CDLL(str(library))
