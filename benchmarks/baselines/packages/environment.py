"""The Python environment of the published voxelizers. It is not pg_tf's own, since they need older packages."""

import subprocess
import sys
import venv
from collections.abc import Iterable
from pathlib import Path

from benchmarks.baselines.packages.catalogue import PACKAGES

# libmolgrid was compiled for it, and PyUUL was written for it.
_CONSTRAINT = "numpy<2"


def python_of(folder: Path) -> Path:
    """The interpreter of the environment in `folder`."""
    return folder / "bin" / "python"


def install(folder: Path, names: Iterable[str]) -> None:
    """Makes the environment if there is none, and installs packages into it.

    If one cannot be installed, the reason is kept for `why_not`. Torch, which PyUUL needs, takes 5 GB with the GPU
    libraries of its default build, and a tenth of that from a package index of CPU builds (PIP_INDEX_URL).

    Args:
      folder: of the environment.
      names: keys of PACKAGES; none means all of them.

    Raises:
      ValueError: if there is no such package.
    """
    chosen = list(names) or list(PACKAGES)
    if unknown := [name for name in chosen if name not in PACKAGES]:
        raise ValueError(f"no such baselines: {', '.join(unknown)}; there are: {', '.join(PACKAGES)}")
    if not python_of(folder).exists():
        venv.create(folder, with_pip=True)
    for name in chosen:
        requirements = PACKAGES[name].requirements
        print(f"installing {name} ({', '.join(requirements)})", flush=True)
        command = [str(python_of(folder)), "-m", "pip", "install", "--quiet", *requirements, _CONSTRAINT]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
        reason = _reason_file(folder, name)
        if process.returncode:
            lines = [line for line in process.stderr.splitlines() if line.startswith("ERROR")]
            reason.write_text((lines or process.stderr.splitlines() or ["pip failed"])[-1])
            print(f"{name}: {reason.read_text()}", file=sys.stderr)
        else:
            reason.unlink(missing_ok=True)


def why_not(folder: Path, name: str) -> str | None:
    """Why a package cannot be measured, as far as can be told without trying; None if it can."""
    if not python_of(folder).exists():
        return "not installed: --install-baselines installs it"
    reason = _reason_file(folder, name)
    return f"could not be installed: {reason.read_text()}" if reason.exists() else None


def _reason_file(folder: Path, name: str) -> Path:
    return folder / f"{PACKAGES[name].module}.failed"
