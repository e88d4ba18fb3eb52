"""The examples of crystals run, with small settings, and write what they say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="the examples draw with matplotlib")
pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name: str, picture: Path, *options: str) -> str:
    process = subprocess.run(
        [sys.executable, EXAMPLES / name, "--output", picture, *options],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr[-4000:]
    assert picture.read_bytes().startswith(b"\x89PNG")
    return process.stdout


def test_perovskites_hold_their_electrons(tmp_path: Path) -> None:
    printed = run("perovskites.py", tmp_path / "a.png", "--grid-size", "12")
    rows = re.findall(r"^\w+\d +[\d.]+ +[\d.]+ +(\d+) +([\d.]+)", printed, re.MULTILINE)
    assert len(rows) == 6
    for counted, found in rows:
        assert float(found) == pytest.approx(float(counted), abs=1e-3)


def test_xenon_sits_in_the_hollows_of_a_slab(tmp_path: Path) -> None:
    pytest.importorskip("ase", reason="the slab is built by ASE")
    printed = run("slab.py", tmp_path / "a.png", "--voxel", "0.5")
    assert "atoms in the grid 16.0000 of 16" in printed
    deepest, shallowest = map(float, re.search(r"deepest well (-\d+) K.*shallowest (-\d+) K", printed).groups())  # type: ignore[union-attr]
    assert deepest < shallowest < 0


def test_model_of_perovskites_trains(tmp_path: Path) -> None:
    printed = run("perovskite_model.py", tmp_path / "a.png", "--crystals", "50", "--epochs", "1")
    errors = re.findall(r"^  (the mean|a line|linear|cubic|the network).* ([\d.]+)$", printed, re.MULTILINE)
    assert len(errors) == 5
    # One epoch teaches nothing; what is computed without a network is right at once.
    assert float(errors[2][1]) < float(errors[0][1])
