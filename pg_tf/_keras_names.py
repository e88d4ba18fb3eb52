"""The names under which saved models hold pg_tf's layers, so that `keras.models.load_model` needs no import of them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import keras

MODULES: Mapping[str, tuple[str, ...]] = {
    "pg_tf.layers": ("AtomEmbedding", "FarApart", "GridToCoords", "LennardJones", "Voxelize"),
    "pg_tf.losses": ("CoordinateLoss",),
    "pg_tf.metrics": ("AtomCountError", "ExactFraction", "MatchedRMSD", "RecoveredFraction"),
    "pg_tf.models.denoiser": ("Denoised", "Scaled"),
    "pg_tf.models.isotropic": ("IsotropicConv3D",),
    "pg_tf.models.moments": (
        "AllVoxels",
        "AttentiveMean",
        "FullestVoxels",
        "Invariants",
        "MomentsOfGrid",
        "MomentsOfPairs",
        "PairKernels",
        "WeightedMean",
    ),
    "pg_tf.models.unet": ("DepthToSpace", "FourierFeatures", "ScaleShift", "SpaceToDepth", "WrappedPadding"),
}
"""By module, what Keras saves as `pg_tf>NAME`."""


def register() -> None:
    """Gives Keras a stand-in for each name, which imports the class when a model with it is loaded. The import
    registers the class itself in the stand-in's place."""
    for module, names in MODULES.items():
        for name in names:
            if keras.saving.get_registered_object(f"pg_tf>{name}") is None:
                keras.saving.register_keras_serializable(package="pg_tf", name=name)(_stand_in(module, name))


def _stand_in(module: str, name: str) -> type:
    def from_config(config: dict[str, Any]) -> Any:
        return getattr(importlib.import_module(module), name).from_config(config)

    return type(name, (), {"from_config": staticmethod(from_config), "get_config": lambda self: {}})
