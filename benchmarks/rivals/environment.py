"""The Python environment of the rivals: apart from pg_tf's, since they need older packages."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Iterable
from pathlib import Path

from benchmarks.rivals import RIVALS

# libmolgrid and PyUUL were compiled or written for it.
_CONSTRAINT = "numpy<2"


def python_of(folder: Path) -> Path:
    """The interpreter of the environment in `folder`."""
    return folder / "bin" / "python"


def install(folder: Path, names: Iterable[str]) -> None:
    """Makes the environment if there is none and installs rivals; keeps the reason of a failure for `why_not`.

    Torch, which PyUUL needs, is 5 GB with what its default build wants for GPUs; where pip is told of a place with CPU
    builds (PIP_INDEX_URL), a tenth of that.

    Raises:
      ValueError: if there is no such rival.
    """
    chosen = list(names) or list(RIVALS)
    if unknown := [name for name in chosen if name not in RIVALS]:
        raise ValueError(f"no such rivals: {', '.join(unknown)}; there are: {', '.join(RIVALS)}")
    if not python_of(folder).exists():
        venv.create(folder, with_pip=True)
    for name in chosen:
        print(f"installing {name} ({', '.join(RIVALS[name].packages)})", flush=True)
        command = [str(python_of(folder)), "-m", "pip", "install", "--quiet", *RIVALS[name].packages, _CONSTRAINT]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
        reason = _reason_file(folder, name)
        if process.returncode:
            lines = [line for line in process.stderr.splitlines() if line.startswith("ERROR")]
            reason.write_text((lines or process.stderr.splitlines() or ["pip failed"])[-1])
            print(f"{name}: {reason.read_text()}", file=sys.stderr)
        else:
            reason.unlink(missing_ok=True)


def why_not(folder: Path, name: str) -> str | None:
    """Why a rival cannot be measured, as far as can be told without trying."""
    if not python_of(folder).exists():
        return "not installed: --install-rivals installs the rivals"
    reason = _reason_file(folder, name)
    return f"could not be installed: {reason.read_text()}" if reason.exists() else None


def _reason_file(folder: Path, name: str) -> Path:
    return folder / f"{RIVALS[name].module}.failed"
