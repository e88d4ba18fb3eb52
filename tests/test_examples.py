"""The example of learned embeddings, in small; of those for clusters every command line of pg-tf, and what they tell
TensorFlow of the machines."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer
from processes import app

from pg_tf.distribution import Cluster
from pg_tf.layers import AtomEmbedding

EXAMPLES = Path(__file__).parents[1] / "examples"


def content(name: str) -> str:
    """A file without its comments, continued lines as one."""
    text = (EXAMPLES / name).read_text().replace("\\\n", " ")
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def commands(name: str) -> list[list[str]]:
    """The command lines of pg-tf in a script, or in the lists and scripts of a manifest; a port for each variable."""
    text = re.sub(r"\$\w+", "5050", content(name))
    listed = [
        [word.strip('"') for word in re.split(r",\s*", words)] for words in re.findall(r"\[pg-tf, ([^\]]*)\]", text)
    ]
    return listed + [
        shlex.split(words) for words in re.findall(r"(?m)^(?:.* )?pg-tf ((?:train|data-service) [^&\n]*)", text)
    ]


def parse(arguments: list[str]) -> str:
    """Has the real command line parse them and does not run them; raises on what it does not know."""
    command = typer.main.get_command(app)
    context = command.make_context("pg-tf", list(arguments))
    while hasattr(command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
    return str(context.info_name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("slurm/train.sbatch", ["train"]),
        ("slurm/data_service.sbatch", ["dispatcher", "worker", "train"]),
        ("kubernetes/train.yaml", ["train"]),
        ("kubernetes/data_service.yaml", ["dispatcher", "worker"]),
    ],
)
def test_cluster_example_calls_pg_tf_as_it_is(name: str, expected: list[str]) -> None:
    assert [parse(arguments) for arguments in commands(name)] == expected
    if name.endswith(".sbatch"):
        subprocess.run(["bash", "-n", EXAMPLES / name], check=True)


@pytest.mark.parametrize(
    ("name", "workers", "index"),
    [
        ("slurm/train.sbatch", "WORKERS", "SLURM_PROCID"),
        ("kubernetes/train.yaml", "workers", "JOB_COMPLETION_INDEX"),
    ],
)
def test_cluster_example_tells_tensorflow_of_all_machines(name: str, workers: str, index: str) -> None:
    (line,) = re.findall(r"export TF_CONFIG=.*", content(name))
    given = {workers: '"node1:2222","node2:2222"', index: "1"}
    script = ["bash", "-euc", f'{line}; printf "%s" "$TF_CONFIG"']
    config = subprocess.run(script, env={**os.environ, **given}, capture_output=True, text=True, check=True).stdout
    cluster = Cluster.from_environment({"TF_CONFIG": config})
    assert (cluster.workers, cluster.index) == (("node1:2222", "node2:2222"), 1)


def test_parsing_finds_what_pg_tf_does_not_know() -> None:
    assert parse(["data-service", "worker", "--dispatcher", "host:1"]) == "worker"
    for wrong in (["trane"], ["train", "--strategie", "mirrored"], ["data-service", "worker"]):
        with pytest.raises(Exception, match=r"No such|Missing|No such command"):
            parse(wrong)


@pytest.mark.slow
def test_learned_embeddings_learn_and_are_read_back(tmp_path: Path, run_python: Callable[..., str]) -> None:
    output = tmp_path / "results.json"
    options = "--molecules 64 --epochs 1 --seeds 1 --decoded 3 --variants"
    printed = run_python(
        *(EXAMPLES / "learned_embeddings.py", "--output", output, *options.split(), "2 learned"),
        PYTHONPATH=os.pathsep.join(sys.path),
    )
    (result,) = json.loads(output.read_text())
    assert np.isfinite(result["mae"])
    assert f"| 2 learned channels | {result['mae']:.3f} |" in printed
    assert result["found"] == {sigma: {"exact": 3, "of": 3} for sigma in ("0.3", "0.4", "0.5")}
    before = AtomEmbedding(2, tuple(result["vectors"])).embeddings
    assert np.abs(np.subtract(list(result["vectors"].values()), before)).max() > 1e-4  # a step of 3e-3 in the logits
