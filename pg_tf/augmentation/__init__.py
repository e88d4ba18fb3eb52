"""Random changes of molecules and crystals that leave their properties as they are."""

from pg_tf.augmentation.crystals import augment_crystals, random_lattice_rotation, random_shift, random_strain
from pg_tf.augmentation.lattice_symmetry import lattice_operations
from pg_tf.augmentation.molecules import augment, random_motion
from pg_tf.augmentation.principal_axes import align, align_dataset

__all__ = [
    "align",
    "align_dataset",
    "augment",
    "augment_crystals",
    "lattice_operations",
    "random_lattice_rotation",
    "random_motion",
    "random_shift",
    "random_strain",
]
