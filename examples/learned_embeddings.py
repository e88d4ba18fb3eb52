#!/usr/bin/env python3
"""How many channels does a property need? Learned ones beside one channel for each element.

    python examples/learned_embeddings.py --molecules 200 --epochs 2 --seeds 1    # to see it run: a minute or two
    python examples/learned_embeddings.py                                         # the figures of docs/embeddings.md

Every network gets the same molecules in the same order, turned in the same ways. The networks differ in their channels,
and some rows leave out the pointwise layer: a linear map of every voxel to 8 channels and an activation, which tells
elements that share channels apart before a convolution mixes neighbouring voxels. The grids are made inside of the
model, so that the gradient of the loss reaches the embedding through that of the op. In the end the atoms of test
molecules are found again in their grids, and their elements from the learned vectors.
"""

import os

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # before TensorFlow is imported
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import json
import time
from pathlib import Path
from typing import Annotated, Any

import keras
import numpy as np
import tensorflow as tf
import typer

import pg_tf
from pg_tf.datasets import Molecules, load_sample
from pg_tf.elements import ORGANIC, SYMBOLS
from pg_tf.layers import AtomEmbedding, Voxelize
from pg_tf.models import regressor, resnet3d

BATCH = 64

# Points with a channel for every element there is: the channel is the atomic number less one.
EVERY_ELEMENT = pg_tf.ElementChannels(SYMBOLS[1:])

# In the order in which AtomEmbedding places them: those that are in most molecules come first, and farthest apart.
ELEMENTS = ("H", "C", "N", "O", "S", "F", "Cl", "Br")

# name: channels; whether they are of the elements, learned, or left as drawn; whether the pointwise layer is there.
VARIANTS = {
    "8 element channels": (8, "elements", True),
    "8 element channels (no pointwise layer)": (8, "elements", False),
    "4 learned channels": (4, "learned", True),
    "4 learned channels (no pointwise layer)": (4, "learned", False),
    "4 random channels": (4, "random", True),
    "2 learned channels": (2, "learned", True),
    "1 channel": (1, "elements", True),
}


def main(
    seeds: Annotated[int, typer.Option(min=1, help="networks of each kind")] = 3,
    epochs: Annotated[int, typer.Option(min=1)] = 8,
    width: Annotated[int, typer.Option(min=1, help="channels of the network's first stage")] = 8,
    grid_size: Annotated[int, typer.Option(min=8, help="voxels along each side")] = 16,
    voxel: Annotated[float, typer.Option(help="edge, Å")] = 0.85,
    sigma: Annotated[float, typer.Option(help="Å")] = 0.5,
    molecules: Annotated[int | None, typer.Option(help="to train on; all 3,200 if left out")] = None,
    decoded: Annotated[int, typer.Option(help="test molecules to find again in their grids")] = 100,
    variants: Annotated[str, typer.Option(help="parts of names, by commas: " + ", ".join(VARIANTS))] = "",
    output: Annotated[Path, typer.Option(help="JSON with all results; what it has already is not done again")] = Path(
        "runs/learned_embeddings.json"
    ),
) -> None:
    """Trains all networks and prints their errors."""
    train, validation, test = (load_sample(part) for part in ("train", "validation", "test"))
    train = train[:molecules]
    grid = {"grid_size": grid_size, "voxel": voxel, "sigma": sigma}
    settings = {"epochs": epochs, "width": width, **grid, "molecules": len(train)}
    output.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(output.read_text()) if output.exists() else []
    results = [result for result in known if result["settings"] == settings]
    chosen = [name for name in VARIANTS if not variants or any(part.strip() in name for part in variants.split(","))]
    steps = -(-len(train) // BATCH) * epochs
    for seed in range(seeds):
        for name in chosen:
            if any(result["name"] == name and result["seed"] == seed for result in results):
                continue
            start = time.monotonic()
            keras.utils.set_random_seed(seed)
            model, embedding = build(name, train.labels, steps, width, **grid)
            model.fit(batches(train, seed), epochs=epochs, shuffle=False, verbose=0)
            result = {
                "name": name,
                "seed": seed,
                "mae": error(model, test),
                "validation_mae": error(model, validation),
                "seconds": time.monotonic() - start,
                "settings": settings,
            }
            if embedding is not None:
                result["closest"] = embedding.closest_pair()
                result["found"] = {f"{s}": found_again(embedding, test[:decoded], s) for s in (0.3, 0.4, 0.5)}
                result["vectors"] = dict(zip(embedding.elements, embedding.embeddings.numpy().tolist(), strict=True))
            results.append(result)
            output.write_text(json.dumps(results, indent=1))
            print(f"{name}, seed {seed}: test MAE {result['mae']:.3f} eV, {result['seconds']:.0f} s", flush=True)
    report(results, test, train)


def build(
    name: str, labels: np.ndarray, steps: int, width: int, grid_size: int, voxel: float, sigma: float
) -> tuple[keras.Model, AtomEmbedding | None]:
    """A model of ragged atoms, compiled for a training of so many steps, and its embedding if it has one."""
    num_channels, kind, pointwise = VARIANTS[name]
    atoms = {
        "coords": keras.Input((None, 3), ragged=True, name="coords"),
        "atomic_numbers": keras.Input((None,), dtype="int32", ragged=True, name="atomic_numbers"),
    }
    embedding = None
    inputs = dict(atoms)
    if kind != "elements":
        drawn = keras.initializers.RandomNormal(stddev=1.0) if kind == "random" else None
        embedding = AtomEmbedding(num_channels, ELEMENTS, initializer=drawn, trainable=kind == "learned")
        inputs["features"] = embedding(atoms["atomic_numbers"])
    elements = ORGANIC if kind == "elements" and num_channels == ORGANIC.num_channels else None
    grid = Voxelize(num_channels, grid_size, sigma, lengths=grid_size * voxel, elements=elements)(inputs)
    x: Any = grid
    if pointwise:
        x = keras.layers.Conv3D(ORGANIC.num_channels, 1, use_bias=False, kernel_initializer="he_normal")(x)
        x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, moving_variance_initializer="zeros")(x)
        x = keras.layers.Activation("silu")(x)
    # Of docs/results.md: kernels that look the same from all sides, and voxels of one size.
    network = resnet3d(
        (1, 1),
        width=width,
        input_shape=x.shape[1:],
        stem_kernel=5,
        stem_pool=False,
        isotropic=True,
        preactivation=True,
        hidden_activation="silu",
    )
    property_of = regressor(network, float(labels.mean()), float(labels.std()))
    model = keras.Model(atoms, property_of(x), name="learned_embeddings")
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=1e-2, clipnorm=1.0)
    model.compile(optimizer, "huber", jit_compile=False)
    return model, embedding


def batches(molecules: Molecules, seed: int | None = None) -> tf.data.Dataset:
    """Ragged batches of atoms and labels; with a seed shuffled, and every molecule turned anew in every epoch."""
    dataset = molecules.dataset(EVERY_ELEMENT, batch_size=BATCH, shuffle=seed is not None, seed=seed)
    if seed is not None:
        # Not moved as well: the box goes with the molecule.
        dataset = dataset.apply(pg_tf.augment(seed, translation=0.0))

    def of_atoms(points: tf.RaggedTensor, label: tf.Tensor) -> tuple[dict[str, tf.RaggedTensor], tf.Tensor]:
        return {"coords": points[:, :, 1:], "atomic_numbers": tf.cast(points[:, :, 0], tf.int32) + 1}, label

    return dataset.map(of_atoms, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def error(model: keras.Model, molecules: Molecules) -> float:
    """Mean absolute error, eV."""
    return float(np.abs(model.predict(batches(molecules), verbose=0)[:, 0] - molecules.labels).mean())


def found_again(embedding: AtomEmbedding, molecules: Molecules, sigma: float) -> dict[str, int]:
    """Of how many molecules all atoms were found in their 32^3 grid, to 0.001 Å and with their elements."""
    points = molecules.points(EVERY_ELEMENT)
    coords, numbers = points[:, :, 1:], tf.cast(points[:, :, 0], tf.int32) + 1
    voxelize = Voxelize(embedding.num_channels, 32, sigma, return_box=True)
    features = embedding(numbers)
    grid, box = voxelize({"coords": coords, "atomic_numbers": numbers, "features": features})
    found = embedding.decode_grid(grid, box=box, sigma=sigma)
    matches = []
    for i in range(len(molecules)):
        # The element in place of the channel: atoms are paired off element by element.
        as_points = tf.concat([tf.cast(found.atomic_numbers[i], tf.float32)[:, None] - 1, found.coords[i]], axis=1)
        matches.append(pg_tf.metrics.match_points(points[i], as_points))
    exact = [match.num_true == match.num_found and match.largest_error < 1e-3 for match in matches]
    return {"exact": int(sum(exact)), "of": len(molecules)}


def report(results: list[dict[str, Any]], test: Molecules, train: Molecules) -> None:
    """Prints a table in Markdown."""
    print(f"\nmean of the training set: {np.abs(train.labels.mean() - test.labels).mean():.3f} eV\n")
    print("| channels | test MAE, eV | validation MAE, eV | closest elements | found at sigma 0.3 / 0.4 / 0.5 Å |")
    print("|---|---|---|---|---|")
    for name in VARIANTS:
        rows = [result for result in results if result["name"] == name]
        if not rows:
            continue
        closest = found = ""
        if "closest" in rows[0]:
            distance, pair = min((tuple(row["closest"]) for row in rows), key=lambda item: item[0])
            closest = f"{'-'.join(pair)}: {distance:.2f}"
            found = " / ".join(
                f"{sum(row['found'][s]['exact'] for row in rows)} of {sum(row['found'][s]['of'] for row in rows)}"
                for s in rows[0]["found"]
            )
        errors = " | ".join(with_spread([row[key] for row in rows]) for key in ("mae", "validation_mae"))
        print(f"| {name} | {errors} | {closest} | {found} |")


def with_spread(values: list[float]) -> str:
    """The mean, and the standard deviation where there are several."""
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")


if __name__ == "__main__":
    typer.run(main)
