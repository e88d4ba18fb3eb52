"""The compiled Keras model of a config."""

from typing import Any

import keras
import tensorflow as tf

from pg_tf import distribution, models
from pg_tf.training.architectures import make_network
from pg_tf.training.config import Config

_OPTIMIZERS = {
    "rmsprop": keras.optimizers.RMSprop,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "sgd": keras.optimizers.SGD,
}
_LOSSES = {
    "mse": keras.losses.MeanSquaredError,
    "mae": keras.losses.MeanAbsoluteError,
    "huber": keras.losses.Huber,
}


def build(
    config: Config,
    *,
    label_mean: float,
    label_std: float,
    steps_per_epoch: int,
    replicas: tf.distribute.Strategy | None = None,
) -> tuple[keras.Model, list[keras.metrics.Metric]]:
    """A compiled model with fresh weights that takes grids and predicts labels `[b, 1]` in their unit.

    Args:
      config: of the training.
      label_mean: mean of the training labels.
      label_std: their standard deviation.
      steps_per_epoch: of the training, for the schedule.
      replicas: the strategy it is trained with (`pg_tf.distribution.strategy`); None for the current one.

    Returns:
      The model, and its metrics, which Keras itself hands out only once the first step is done.

    Raises:
      ValueError: if the network cannot take such grids, or an argument in `config.network` is wrong.
    """
    if config.precision == "mixed_float16" and not _on_accelerator():
        raise ValueError("precision: TensorFlow cannot pool float16 grids on a CPU; use mixed_bfloat16 or float32")
    side = config.grid_size
    if side is None:
        raise ValueError(
            "grid_size: how many voxels the molecules need is not known yet; see `pipeline.with_grid_size`"
        )
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(config.precision)
    replicas = tf.distribute.get_strategy() if replicas is None else replicas
    try:
        with replicas.scope():
            shape = (side, side, side, config.element_channels().num_channels)
            model = models.regressor(make_network(config.model, shape, config.network), label_mean, label_std)
    finally:
        keras.config.set_dtype_policy(policy)
    model = distribution.replicated(model, replicas)
    with replicas.scope():
        metrics = [keras.metrics.MeanAbsoluteError("mae"), keras.metrics.MeanSquaredError("mse")]
        model.compile(
            optimizer=_optimizer(config, steps_per_epoch),
            loss=_LOSSES[config.loss](),
            metrics=metrics,
            jit_compile=_jit_compile(config, replicas),
        )
        model.optimizer.build(model.trainable_variables)
    return model, [*(metric for metric in model.metrics if metric.name == "loss"), *metrics]


def learning_rate(config: Config, steps_per_epoch: int) -> Any:
    """The schedule of the learning rate, a number or a `keras.optimizers.schedules.LearningRateSchedule`."""
    if config.schedule == "exponential":
        return keras.optimizers.schedules.ExponentialDecay(
            config.learning_rate, steps_per_epoch, config.decay, staircase=True
        )
    if config.schedule == "cosine" and config.max_minutes is None:
        total_steps = steps_per_epoch * config.epochs
        warmup_steps = round(config.warmup * total_steps)
        if warmup_steps == 0:
            return keras.optimizers.schedules.CosineDecay(config.learning_rate, total_steps)
        return keras.optimizers.schedules.CosineDecay(
            0.0, total_steps - warmup_steps, warmup_target=config.learning_rate, warmup_steps=warmup_steps
        )
    return config.learning_rate


def _optimizer(config: Config, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    optimizer = _OPTIMIZERS[config.optimizer](
        learning_rate(config, steps_per_epoch),
        weight_decay=config.weight_decay,
        clipnorm=config.clipnorm,
        global_clipnorm=config.global_clipnorm,
        use_ema=config.average is not None,
        **({"ema_momentum": config.average} if config.average is not None else {}),
        **({"beta_2": config.beta_2} if config.optimizer.startswith("adam") else {}),
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _jit_compile(config: Config, replicas: tf.distribute.Strategy) -> bool:
    # XLA has no fast 3D convolution for CPUs: several times slower than TensorFlow's own kernels. And it cannot compile
    # the sums over devices in a step.
    wanted = _on_accelerator() if config.jit_compile is None else config.jit_compile
    return wanted and replicas.num_replicas_in_sync == 1


def _on_accelerator() -> bool:
    return any(device.device_type != "CPU" for device in tf.config.list_logical_devices())
