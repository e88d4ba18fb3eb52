#!/usr/bin/env python3
"""A network for crystals: from the density on the cell to how strongly defective CsPbBr3 takes up hydrogen.

    python examples/perovskite_model.py [--crystals 1500] [--epochs 15] [--output perovskite_model.png]

Every crystal is a 2 x 2 x 2 supercell of the cubic perovskite with a random lattice constant, some of its caesium and
bromine missing and all atoms displaced. Its label is computed here, from a Lennard-Jones grid (`pg_tf.lennard_jones`,
UFF) and `pg_tf.adsorption`: the logarithm of Widom's insertion factor of hydrogen at 300 K, to which the Henry
coefficient is proportional. The network sees 16^3 voxels of density in three element channels. In every epoch the
crystals are shifted and turned anew by symmetries of the lattice, which leaves the label as it is, and the convolutions
are padded with what lies beyond the periodic faces. The baselines, on the same test crystals, are the mean of the
labels, and fits to the volume and the numbers of atoms, which do not see where the atoms are. Takes some
minutes on two cores.
"""

import argparse
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # 3D convolutions are slow without

import keras
import matplotlib
import numpy as np
import tensorflow as tf

matplotlib.use("Agg")
from matplotlib import pyplot
from perovskites import perovskite

import pg_tf
from pg_tf import adsorption
from pg_tf.models import regressor
from pg_tf.structures import Structure

ELEMENTS = pg_tf.ElementChannels(("Cs", "Pb", "Br"))
LENGTHS = (5.6, 6.2)  # Å
SIZE, SIGMA = 16, 0.5  # voxels, Å
LABEL_SIZE, CUTOFF, TEMPERATURE = 24, 12.0, 300.0  # voxels, Å, K
DISPLACED = 0.3  # Å, standard deviation along each axis
BATCH = 50


def crystals(count: int, seed: int) -> Iterator[Structure]:
    """Random defective perovskites: 1 to 8 of 8 Cs and 0 to 6 of 24 Br are missing, the others displaced."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        full = perovskite("Cs", "Pb", "Br", rng.uniform(*LENGTHS)).supercell(2)
        missing = [
            rng.choice(np.flatnonzero(full.atomic_numbers == number), rng.integers(low, high + 1), replace=False)
            for number, low, high in ((55, 1, 8), (35, 0, 6))
        ]
        kept = np.setdiff1d(np.arange(len(full)), np.concatenate(missing))
        coords = full.coords[kept] + rng.normal(0, DISPLACED, (len(kept), 3))
        yield Structure(full.atomic_numbers[kept], coords, full.cell)


def dataset(structures: list[Structure]) -> tuple[tf.data.Dataset, np.ndarray]:
    """Elements for training, dicts of points, cell and label, and the labels."""
    sizes = [len(structure) for structure in structures]
    cells = np.stack([structure.cell for structure in structures])
    points = tf.RaggedTensor.from_row_lengths(np.concatenate([s.points(ELEMENTS) for s in structures]), sizes)
    numbers = tf.RaggedTensor.from_row_lengths(np.concatenate([s.atomic_numbers for s in structures]), sizes)
    labels = []
    for start in range(0, len(structures), BATCH):
        batch = slice(start, start + BATCH)
        energy = pg_tf.lennard_jones(
            points[batch, :, 1:], numbers[batch], cell=cells[batch], probe="H2", grid_shape=LABEL_SIZE, cutoff=CUTOFF
        )
        labels.append(np.log10(adsorption.insertion_factor(energy, TEMPERATURE)))
    label = np.concatenate(labels).astype(np.float32)
    content = {"points": tf.cast(points, tf.float32), "cell": cells.astype(np.float32), "label": label}
    return tf.data.Dataset.from_tensor_slices(content), label


def pipeline(data: tf.data.Dataset, augmented: bool) -> tf.data.Dataset:
    """Batches of grids `[B, 16, 16, 16, 3]`, atoms per Å^3, and labels."""
    to_grid = pg_tf.Voxelizer(num_channels=3, grid_shape=SIZE, sigma=SIGMA, data_format="channels_last")

    def density(element: dict[str, Any]) -> tuple[tf.Tensor, tf.Tensor]:
        volume = tf.abs(tf.linalg.det(element["cell"])) / SIZE**3  # of a voxel: it tells how large the cell is
        grid = to_grid({"points": element["points"], "cell": element["cell"]})["grid"]
        return grid / volume[:, None, None, None, None], element["label"]

    batches = data.shuffle(len(data), seed=0).ragged_batch(BATCH) if augmented else data.ragged_batch(BATCH)
    if augmented:
        batches = batches.apply(pg_tf.augment_crystals(seed=0, proper=False))
    return batches.map(density, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def network(labels: np.ndarray, steps: int) -> keras.Model:
    """Convolutions that are periodic, as the crystal is; and at the end what the label is, the logarithm of a mean over
    the cell of something local. Compiled for a training of so many steps."""
    x = inputs = keras.Input((SIZE, SIZE, SIZE, 3))
    for filters, stride in ((24, 2), (48, 1), (48, 1)):
        for axis in (1, 2, 3):
            first, last = (slice(None),) * axis + (slice(0, 1),), (slice(None),) * axis + (slice(-1, None),)
            x = keras.layers.Concatenate(axis=axis)([x[last], x, x[first]])
        x = keras.layers.Conv3D(filters, 3, strides=stride, use_bias=False)(x)
        x = keras.layers.Activation("swish")(keras.layers.GroupNormalization(8)(x))
    x = keras.layers.Dense(1)(keras.layers.Dense(48, activation="swish")(x))
    x = keras.ops.logsumexp(x, axis=(1, 2, 3)) - np.log((SIZE / 2) ** 3)
    model = regressor(keras.Model(inputs, x), float(labels.mean()), float(labels.std()))
    warmup = steps // 20
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps - warmup, warmup_target=3e-3, warmup_steps=warmup)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=1e-2, clipnorm=1.0)
    # Without XLA, which has no fast 3D convolution for CPUs.
    model.compile(optimizer, "huber", metrics=["mae"], jit_compile=False)
    return model


def baselines(train: list[Structure], labels: np.ndarray, test: list[Structure]) -> dict[str, np.ndarray]:
    """Predictions for the test crystals without a network."""

    def quantities(structures: list[Structure], counted: tuple[int, ...]) -> np.ndarray:
        counts = np.array([[np.sum(s.atomic_numbers == z) for z in counted] for s in structures])
        values = np.column_stack([[s.volume for s in structures], counts])
        return (values - values.mean(axis=0)) / values.std(axis=0)

    def fitted(counted: tuple[int, ...], degree: int) -> np.ndarray:
        values = quantities(train + test, counted)
        powers = [np.ones(len(values))]
        for order in range(1, degree + 1):
            for chosen in itertools.combinations_with_replacement(values.T, order):
                powers.append(np.prod(chosen, axis=0))
        columns = np.column_stack(powers)
        return columns[len(train) :] @ np.linalg.lstsq(columns[: len(train)], labels, rcond=None)[0]

    return {
        "the mean": np.full(len(test), labels.mean()),
        "a line in the volume": fitted((), 1),
        "linear in volume, Cs, Br": fitted((55, 35), 1),
        "cubic in volume, Cs, Br": fitted((55, 35), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crystals", type=int, default=1500, help="for training; a fifth as many for the test")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--output", type=Path, default=Path("perovskite_model.png"), help="the picture")
    arguments = parser.parse_args()
    keras.utils.set_random_seed(0)
    train, test = (list(crystals(n, seed)) for n, seed in ((arguments.crystals, 1), (arguments.crystals // 5, 2)))
    (train_data, train_labels), (test_data, test_labels) = dataset(train), dataset(test)
    print(f"{len(train)} + {len(test)} crystals; log10 of the insertion factor {test_labels.mean():.2f}, "
          f"standard deviation {test_labels.std():.2f}")  # fmt: skip
    steps_per_epoch = -(-len(train) // BATCH)
    model, test_grids = network(train_labels, steps_per_epoch * arguments.epochs), pipeline(test_data, augmented=False)
    model.fit(
        pipeline(train_data, augmented=True),
        validation_data=test_grids,
        epochs=arguments.epochs,
        verbose=2,
        shuffle=False,
    )
    predictions = baselines(train, train_labels, test)
    predictions["the network"] = model.predict(test_grids, verbose=0).ravel()
    print("mean absolute error, log10 units, of crystals that nothing was fitted to:")
    for name, values in predictions.items():
        print(f"  {name:26s} {np.abs(values - test_labels).mean():.4f}")
    draw(test_labels, predictions, arguments.output)
    print(arguments.output)


def draw(labels: np.ndarray, predictions: dict[str, np.ndarray], path: Path) -> None:
    figure, axes = pyplot.subplots(1, 2, figsize=(8, 4), layout="constrained", sharex=True, sharey=True)
    for axis, name in zip(axes, ("cubic in volume, Cs, Br", "the network"), strict=True):
        error = np.abs(predictions[name] - labels).mean()
        axis.scatter(labels, predictions[name], s=8, color="#4477aa")
        axis.axline((labels.mean(),) * 2, slope=1, color="#999999", linewidth=0.8)
        axis.set_title(f"{name}: error {error:.3f}", fontsize=10)
        axis.set_xlabel("log10 of the insertion factor, computed")
    axes[0].set_ylabel("predicted")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
