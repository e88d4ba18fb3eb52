"""Training on several accelerators and machines, with TensorFlow's own strategies under Keras 3.

docs/scaling.md says what was found to work, and with which numbers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

STRATEGIES = ("mirrored", "multi-worker")


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The machines of a training, as the variable TF_CONFIG describes them to each of them.

    Attributes:
      workers: "host:port" of each.
      index: of this one; number 0 is the chief, which alone writes reports.
    """

    workers: tuple[str, ...] = ("localhost:0",)
    index: int = 0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Cluster:
        """Reads TF_CONFIG; without it, this machine alone.

        Raises:
          ValueError: if it does not describe workers and this one's place among them.
        """
        text = environment.get("TF_CONFIG")
        if not text:
            return cls()
        example = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
        try:
            config = json.loads(text)
            workers, task = tuple(config["cluster"]["worker"]), config["task"]
            kind, index = task["type"], int(task["index"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"TF_CONFIG: must be like {example}, got {text!r}") from error
        if kind != "worker" or set(config["cluster"]) != {"worker"}:
            raise ValueError(f"TF_CONFIG: all machines must be workers, as in {example}, got {text!r}")
        if not 0 <= index < len(workers):
            raise ValueError(f"TF_CONFIG: the index must be 0 to {len(workers) - 1}, got {index}")
        if not all(isinstance(worker, str) and worker.rpartition(":")[2].isdecimal() for worker in workers):
            raise ValueError(f"TF_CONFIG: each worker must be HOST:PORT, got {list(workers)}")
        return cls(workers, index)

    @property
    def shard(self) -> tuple[int, int]:
        """(i, n) for the argument `shard` of a source's `dataset(...)`: what this machine reads."""
        return self.index, len(self.workers)

    @property
    def is_chief(self) -> bool:
        return self.index == 0


ALONE = Cluster()
"""A machine that trains by itself."""


def strategy(name: str | None, *, communication: str = "auto") -> tf.distribute.Strategy:
    """The strategy by which a model is trained.

    Args:
      name: None: one device. "mirrored": all accelerators of this machine, or its logical CPUs if it has none.
        "multi-worker": all accelerators of all machines in TF_CONFIG; to be called before anything else of TensorFlow,
        it returns once all of them have.
      communication: between machines: "ring" (gRPC, any device), "nccl" (NVIDIA), or "auto".

    Returns:
      A `tf.distribute.Strategy`. Build the model in its `scope()`, pass it through `replicated`, and give `fit` the
      global batch with "mirrored", and a batch for each replica with "multi-worker".

    Raises:
      ValueError: if there is no such strategy, or TF_CONFIG is malformed.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(f"strategy: {name!r} needs Keras on TensorFlow, and this is {keras.backend.backend()}")
    if name is None:
        return tf.distribute.get_strategy()
    if name == "mirrored":
        kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        return tf.distribute.MirroredStrategy([device.name for device in tf.config.list_logical_devices(kind)])
    if name == "multi-worker":
        Cluster.from_environment()
        implementation = tf.distribute.experimental.CommunicationImplementation[communication.upper()]
        options = tf.distribute.experimental.CommunicationOptions(implementation=implementation)
        return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    raise ValueError(f"strategy: must be one of {', '.join(map(repr, STRATEGIES))} or None, got {name!r}")


def spans_machines(strategy: tf.distribute.Strategy) -> bool:
    """Whether a strategy's replicas are on more than one machine."""
    return (
        isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and len(Cluster.from_environment().workers) > 1
    )


def replicated(model: keras.Model, strategy: tf.distribute.Strategy) -> keras.Model:
    """A model that learns on all devices of a strategy what it would learn on one, from the same batches.

    Batch normalisation takes its statistics over the whole batch, on however many devices it is; otherwise each device
    would normalise its own part, and moving averages would differ between machines. Files that the model is saved to
    know nothing of all this.

    Args:
      model: functional, built in the scope of the strategy and not compiled; outputs `[b, k]`.
      strategy: of `strategy`.

    Returns:
      A model to compile and fit, which shares its layers with the given one; the given one itself on a single device.
      It is compiled with metrics that were made in the scope of the strategy.

    Raises:
      ValueError: if the model is compiled already, or its outputs are `[b]`: their loss Keras does not divide by the
        number of devices, and the gradient would be that many times too large.
    """
    if strategy.num_replicas_in_sync == 1:
        return model
    if model.compiled:
        raise ValueError(f"model: {model.name} is compiled already; compile what this function returns")
    if any(len(output.shape) < 2 for output in model.outputs):
        shapes = [tuple(output.shape) for output in model.outputs]
        raise ValueError(f"model: the outputs of {model.name} must be [b, k], got {shapes}; keep the last axis")
    kind = _AcrossMachines if spans_machines(strategy) else _AcrossDevices
    with contextlib.ExitStack() as stack:
        if kind is _AcrossDevices:
            stack.enter_context(strategy.scope())
        across = kind(model.inputs, model.outputs, name=model.name)
    across.replicas = strategy
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
    return across


class _AcrossDevices(keras.Model):
    """A model on several devices of one machine."""

    replicas: tf.distribute.Strategy

    def save(self, *arguments: Any, **options: Any) -> None:
        """Saves a plain Keras model, which runs on one device and on every backend."""
        synchronized = [layer for layer in self.layers if getattr(layer, "synchronized", False)]
        for layer in synchronized:
            layer.synchronized = False
        try:
            keras.Model(self.inputs, self.outputs, name=self.name).save(*arguments, **options)
        finally:
            for layer in synchronized:
                layer.synchronized = True


class _AcrossMachines(_AcrossDevices):
    """A model on several machines, whose `fit` works under Keras 3.

    That of `keras.Model` does not (keras-team/keras#20585). It builds the model from a first batch, which it mistakes
    for a tensor where a machine has a single device: so this one is made outside of the scope, where Keras builds
    nothing, and builds itself. And it averages the scalars of its logs along their first axis: so they have one here.
    """

    def compile(self, *arguments: Any, **options: Any) -> None:
        with self.replicas.scope():
            super().compile(*arguments, **options)
            if self.optimizer is not None:
                self.optimizer.build(self.trainable_variables)
            # Makes the variables of loss and metrics, which no replica may do in the midst of a step.
            zeros = [tf.zeros([1, *output.shape[1:]]) for output in self.outputs]
            zeros = zeros[0] if len(zeros) == 1 else zeros
            self.compute_metrics(None, zeros, zeros)
            self.reset_metrics()

    def train_step(self, data: Any) -> Any:
        return {name: tf.reshape(value, [1]) for name, value in super().train_step(data).items()}

    def test_step(self, data: Any) -> Any:
        return {name: tf.reshape(value, [1]) for name, value in super().test_step(data).items()}

    def fit(self, x: Any = None, *arguments: Any, validation_data: Any = None, **options: Any) -> Any:
        with self.replicas.scope():
            return super().fit(self._own(x), *arguments, validation_data=self._own(validation_data), **options)

    def evaluate(self, x: Any = None, *arguments: Any, **options: Any) -> Any:
        with self.replicas.scope():
            return super().evaluate(self._own(x), *arguments, **options)

    def _own(self, dataset: Any) -> Any:
        """Each machine feeds its devices what its own dataset yields, a batch for each device."""
        if not isinstance(dataset, tf.data.Dataset):
            return dataset
        return self.replicas.distribute_datasets_from_function(lambda context: dataset)
