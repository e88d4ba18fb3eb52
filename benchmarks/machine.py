"""The machine and the programs that the figures are from."""

import datetime
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.native import COMPILER
from benchmarks.remote import ROOT

_PACKAGES = ("pg_tf", "tensorflow", "numpy", "scipy", "numba", "matplotlib")


def describe() -> dict[str, Any]:
    """Everything that a reader needs to judge a figure, as JSON can hold it."""
    import pg_tf

    supported, active = pg_tf.simd_levels()
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "caches": _caches(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_average_at_start": os.getloadavg()[0],
        "instruction_sets": supported,
        "instruction_set": active,
        "system": platform.platform(),
        "python": platform.python_version(),
        "compiler": _first_line([COMPILER, "--version"]),
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
        "revision": _first_line(["git", "-C", str(ROOT), "describe", "--always", "--dirty"]),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _caches() -> dict[str, str]:
    found = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        found[f"L{level} {kind.lower()}"] = size
    return found


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _first_line(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"
