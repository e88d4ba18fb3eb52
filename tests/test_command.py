"""The command pg-tf answers before it loads anything, and says of its subcommands what they say themselves."""

import subprocess
import sys
from importlib import metadata

import pytest
from processes import COMMAND, PG_TF, app
from typer.testing import CliRunner

IMPORTED = f"""
import runpy, sys
try:
    runpy.run_path({PG_TF[1]!r}, run_name="__main__")
finally:
    print({{"tensorflow", "pg_tf", "rdkit"}} & sys.modules.keys())
"""


@pytest.mark.parametrize("name", COMMAND["COMMANDS"])
def test_first_line_of_help_is_that_of_the_subcommand(name: str) -> None:
    line = COMMAND["loaded"](name).help.partition("\n\n")[0]
    assert " ".join(line.split()) == COMMAND["COMMANDS"][name]


@pytest.mark.parametrize(("option", "text"), [("--help", "data-service"), ("--version", metadata.version("pg_tf"))])
def test_help_and_version_load_neither_tensorflow_nor_the_package(option: str, text: str) -> None:
    result = subprocess.run([sys.executable, "-c", IMPORTED, option], capture_output=True, text=True, check=True)
    assert text in result.stdout
    assert result.stdout.endswith("set()\n")


def test_subcommand_that_there_is_not_is_an_error() -> None:
    result = CliRunner().invoke(app, ["tarin"])
    assert result.exit_code == 2
    assert "No such command 'tarin'" in result.output


@pytest.mark.slow
def test_readers_load_rdkit_only_where_they_use_it() -> None:
    program = (
        "import sys, pg_tf.training, pg_tf.commands.prepare, pg_tf.datasets.prepare; print('rdkit' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
