"""The demonstration on a small scale, from the command line to the report, and what it says of unusable data."""

import numpy as np
import pytest
from rdkit import Chem
from typer.testing import CliRunner

from pg_tf import demo
from pg_tf.cli import app
from pg_tf.datasets import load_sample
from pg_tf.elements import SYMBOLS


def write_sdf(path, molecules):
    """The molecules as records without bonds: all that pg_tf reads of them."""
    with Chem.SDWriter(str(path)) as writer:
        for i in range(len(molecules)):
            one = molecules[i]
            record = Chem.RWMol()
            conformer = Chem.Conformer(len(one.atomic_numbers))
            for a, (z, xyz) in enumerate(zip(one.atomic_numbers, one.coords.astype(float), strict=True)):
                atom = Chem.Atom(SYMBOLS[z])
                atom.SetNoImplicit(True)
                record.AddAtom(atom)
                conformer.SetAtomPosition(a, xyz.tolist())
            conformer.Set3D(True)
            record.AddConformer(conformer)
            record.SetProp("_Name", f"[red]<b>{i}</b>")
            record.SetDoubleProp("gap", float(one.labels[0]))
            writer.write(record)


def run(*arguments):
    return CliRunner().invoke(app, ["demo", *map(str, arguments)])


def test_demo_runs_on_a_users_sdf_file(tmp_path):
    write_sdf(tmp_path / "mine.sdf", load_sample("validation")[:60])
    result = run(
        *("--data", tmp_path / "mine.sdf", "--label", "gap", "--epochs", 1, "--width", 2, "--grid-size", 16),
        *("--output", tmp_path / "out"),
    )
    assert result.exit_code == 0, result.output
    assert "48 to train, 6 to validate, 6 to test" in " ".join(result.output.split())
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;" in page
    assert "6 of 6 molecules recovered" in page
    assert (tmp_path / "out" / "model.keras").stat().st_size > 0


def test_rivals_are_what_they_claim_to_be():
    split = demo.load_split(demo.Settings())
    truth = np.asarray(split.test.labels)
    perfect, linear, mean = demo.compare(split, truth)
    assert perfect.mae == perfect.mse == 0
    assert mean.mae == pytest.approx(np.abs(truth - np.mean(split.train.labels)).mean(), rel=1e-5)
    # A least-squares fit with a constant term cannot do worse than the mean by much on a random split.
    assert linear.mse < mean.mse


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--data", "nowhere.sdf", "--label", "gap"], "nowhere.sdf"),
        (["--data", "nowhere.sdf"], "--label: name the property"),
        (["--data", "molecules.txt", "--label", "gap"], "must end in .sdf"),
    ],
)
def test_unusable_data_is_one_clear_line(arguments, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 1
    assert text in result.output
    assert "Traceback" not in result.output


def test_too_few_molecules_are_refused(tmp_path):
    write_sdf(tmp_path / "few.sdf", load_sample("validation")[:5])
    result = run("--data", tmp_path / "few.sdf", "--label", "gap", "--output", tmp_path / "out")
    assert result.exit_code == 1
    assert "has 5 usable molecules, and at least 50 are needed" in " ".join(result.output.split())
