"""The examples of crystals run, with small settings, and write what they say."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="the examples draw with matplotlib")
pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def run(tmp_path: Path, run_python: Callable[..., str]) -> Callable[..., str]:
    """Runs an example that draws a picture; returns what it printed."""

    def example(name: str, *options: str) -> str:
        picture, path = tmp_path / "a.png", os.pathsep.join(sys.path)
        printed = run_python(EXAMPLES / name, "--output", picture, *options, PYTHONPATH=path)
        assert picture.read_bytes().startswith(b"\x89PNG")
        return printed

    return example


def test_perovskites_hold_their_electrons(run: Callable[..., str]) -> None:
    printed = run("perovskites.py", "--grid-size", "12")
    rows = re.findall(r"^\w+\d +[\d.]+ +[\d.]+ +(\d+) +([\d.]+)", printed, re.MULTILINE)
    assert len(rows) == 6
    for counted, found in rows:
        assert float(found) == pytest.approx(float(counted), abs=1e-3)


def test_xenon_sits_in_the_hollows_of_a_slab(run: Callable[..., str]) -> None:
    pytest.importorskip("ase", reason="the slab is built by ASE")
    printed = run("slab.py", "--voxel", "0.5")
    assert "atoms in the grid 16.0000 of 16" in printed
    deepest, shallowest = map(float, re.search(r"deepest well (-\d+) K.*shallowest (-\d+) K", printed).groups())  # type: ignore[union-attr]
    assert deepest < shallowest < 0


def test_model_of_perovskites_trains(run: Callable[..., str]) -> None:
    printed = run("perovskite_model.py", "--crystals", "50", "--epochs", "1")
    errors = re.findall(r"^  (the mean|a line|linear|cubic|the network).* ([\d.]+)$", printed, re.MULTILINE)
    assert len(errors) == 5
    # One epoch teaches nothing; what is computed without a network is right at once.
    assert float(errors[2][1]) < float(errors[0][1])
