"""Training on several devices and machines against training on one."""

import dataclasses
import json
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from processes import PG_TF, Program
from sdf_files import write_sdf

from pg_tf.datasets import load_sample
from pg_tf.distribution import Cluster, strategy
from pg_tf.training import SMALL, Run, train

# Trains a small network on fixed grids, writes its weights and prints its logs. SGD shows the size of gradients.
PROGRAM = """
import json, sys
import keras, numpy as np, tensorflow as tf
from pg_tf import distribution

kind, folder = sys.argv[1:]
if kind == "mirrored":
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = distribution.strategy(None if kind == "single" else kind)
worker, workers = distribution.Cluster.from_environment().shard
assert strategy.num_replicas_in_sync == (1 if kind == "single" else 2)
keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
grids = rng.normal(size=(40, 8, 8, 8, 2)).astype(np.float32)
labels = 10 * grids.mean((1, 2, 3, 4))
mine = tf.data.Dataset.from_tensor_slices((grids[worker::workers], labels[worker::workers]))
with strategy.scope():
    x = inputs = keras.Input((8, 8, 8, 2))
    for _ in range(2):
        x = keras.layers.Conv3D(4, 3)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalAveragePooling3D()(x)
    network = keras.Model(inputs, keras.layers.Dense(1)(x))
    flat = keras.Model(inputs, keras.layers.Reshape(())(network.output))
if kind != "single":
    try:
        distribution.replicated(flat, strategy)
    except ValueError as error:
        assert "must be [b, k], got [(None,)]" in str(error), error
    else:
        raise SystemExit("outputs [b], whose loss Keras does not divide by the number of devices, were accepted")
model = distribution.replicated(network, strategy)
with strategy.scope():
    optimizer, metric = keras.optimizers.SGD(1e-2, momentum=0.9), keras.metrics.MeanAbsoluteError("mae")
model.compile(optimizer, "mse", metrics=[metric], jit_compile=False)
batches = mine.batch(16 // workers, drop_remainder=True).repeat()
# The last batch has fewer molecules than there are devices.
validation = tf.data.Dataset.from_tensor_slices((grids[:17], labels[:17])).batch(16)
history = model.fit(batches, steps_per_epoch=2, epochs=3, validation_data=validation, verbose=0)
weights = {f"w{i}": w for i, w in enumerate(network.get_weights())}
np.savez(f"{folder}/{kind}-{worker}.npz", **weights)
logs = {name: [float(value) for value in values] for name, values in history.history.items()}
model.save(f"{folder}/{kind}-{worker}.keras")
plain = keras.saving.load_model(f"{folder}/{kind}-{worker}.keras")
assert type(plain).__name__ == "Functional"
assert not any(getattr(layer, "synchronized", False) for layer in plain.layers)
for ours, theirs in zip(network.get_weights(), plain.get_weights()):
    np.testing.assert_array_equal(ours, theirs)
print("LOGS", json.dumps(logs), flush=True)
"""


def free_ports(count: int) -> list[int]:
    listeners = [socket.socket() for _ in range(count)]
    for listener in listeners:
        listener.bind(("127.0.0.1", 0))
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def tf_config(ports: list[int], index: int) -> str:
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    return json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})


@pytest.mark.slow
def test_weights_agree_with_one_device_when_trained_on_two_devices_and_on_two_machines(tmp_path: Path) -> None:
    ports = free_ports(2)
    programs = {
        kind: Program(tmp_path / kind, sys.executable, "-c", PROGRAM, kind.split("#")[0], str(tmp_path), **environment)
        for kind, environment in {
            "multi-worker#0": {"TF_CONFIG": tf_config(ports, 0)},
            "multi-worker#1": {"TF_CONFIG": tf_config(ports, 1)},
            # Two devices of one CPU: oneDNN does not take the empty batch that one of them may get in validation.
            "mirrored": {"TF_ENABLE_ONEDNN_OPTS": "0"},
            "single": {},
        }.items()
    }
    try:
        logs = {kind: json.loads(program.wait_for(r"LOGS (.*)\n").group(1)) for kind, program in programs.items()}
    finally:
        for program in programs.values():
            program.kill()

    assert logs["multi-worker#0"] == logs["multi-worker#1"]
    weights = {
        file: dict(np.load(tmp_path / f"{file}.npz"))
        for file in ("single-0", "mirrored-0", "multi-worker-0", "multi-worker-1")
    }
    for name, of_first in weights["multi-worker-0"].items():
        np.testing.assert_array_equal(weights["multi-worker-1"][name], of_first)
    for kind in ("mirrored", "multi-worker"):
        for name, expected in weights["single-0"].items():
            # Sums of float32 in another order, six steps long.
            np.testing.assert_allclose(weights[f"{kind}-0"][name], expected, rtol=0, atol=1e-5)
    for kind in ("mirrored", "multi-worker#0"):
        for name, expected in logs["single"].items():
            np.testing.assert_allclose(logs[kind][name], expected, rtol=1e-4)


@pytest.mark.slow
def test_pg_tf_train_writes_one_run_and_agrees_on_it_across_machines(tmp_path: Path) -> None:
    write_sdf(tmp_path / "molecules.sdf", load_sample("validation")[:60])
    command = (
        *(*PG_TF, "train", "--recipe", "small", "--model", "resnet3d10", "--data", "molecules.sdf", "--label", "gap"),
        *("--network", "width=2", "--grid-size", "16", "--batch-size", "16", "--epochs", "1"),
        *("--output", "run", "--strategy", "multi-worker"),
    )
    ports = free_ports(2)
    machines = [Program(tmp_path / f"log{i}", *command, cwd=tmp_path, TF_CONFIG=tf_config(ports, i)) for i in range(2)]
    try:
        for machine in machines:
            assert machine.wait() == 0, machine.output[-4000:]
    finally:
        for machine in machines:
            machine.kill()
    errors = [machine.wait_for(r"epoch   1/1(.*validation MAE [\d.]+)").group(1) for machine in machines]
    assert errors[0] == errors[1]
    run = Run(tmp_path / "run")
    assert run.result()["epochs"] == 1
    assert len(run.history()["val_mae"]) == 1
    assert run.model().output_shape == (None, 1)


def test_what_machines_cannot_agree_on_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", tf_config([1, 2], 0))
    for name, options, config in (
        ("overwrite", {"overwrite": True}, SMALL),
        ("checkpoint_steps", {"checkpoint_steps": 5}, SMALL),
        ("max_minutes", {}, dataclasses.replace(SMALL, max_minutes=1.0)),
    ):
        with pytest.raises(ValueError, match=f"{name}: "):
            train(config, tmp_path / "run", strategy="multi-worker", **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "TF_CONFIG: must be like"),
        ('{"cluster": {"worker": ["a:1"]}}', "TF_CONFIG: must be like"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "index must be 0 to 0, got 1"),
        ('{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}', "must be HOST:PORT"),
        ('{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "ps", "index": 0}}', "must be workers"),
    ],
)
def test_unusable_cluster_is_an_error_that_says_what_is_wrong(config: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Cluster.from_environment({"TF_CONFIG": config})


def test_cluster_gives_each_machine_its_shard() -> None:
    assert Cluster.from_environment({}).shard == (0, 1)
    cluster = Cluster.from_environment({"TF_CONFIG": tf_config([1, 2, 3], 2)})
    assert cluster.shard == (2, 3)
    assert not cluster.is_chief


def test_unknown_strategy_is_refused() -> None:
    with pytest.raises(ValueError, match="strategy: must be one of 'mirrored', 'multi-worker' or None, got 'horovod'"):
        strategy("horovod")
