"""The demonstration on a small scale, from the command line to the report, and what it says of unusable data."""

import pytest
from processes import app
from sdf_files import write_sdf
from typer.testing import CliRunner

from pg_tf.datasets import load_sample


def run(*arguments):
    return CliRunner().invoke(app, ["demo", *map(str, arguments)])


@pytest.mark.slow
def test_demo_runs_on_a_users_sdf_file(tmp_path):
    write_sdf(tmp_path / "mine.sdf", load_sample("validation")[:60])
    result = run(
        *("--data", tmp_path / "mine.sdf", "--label", "gap", "--epochs", 1),
        *("--output", tmp_path / "out"),
    )
    assert result.exit_code == 0, result.output
    assert "48 to train, 6 to validate, 6 to test" in " ".join(result.output.split())
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;" in page
    assert "6 of 6 molecules recovered" in page
    assert "kernel ridge on distances" in page
    assert (tmp_path / "out" / "run" / "best.keras").stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--data", "nowhere.sdf", "--label", "gap"], "nowhere.sdf"),
        (["--data", "nowhere.sdf"], "--label: name the property"),
        (["--data", "molecules.txt", "--label", "gap"], "there is no file or folder"),
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
    assert "--data" not in result.output
