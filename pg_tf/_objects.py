"""Molecules and crystals of other libraries as arguments of `voxelize`."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf


def arguments_of(value: Any) -> dict[str, Any] | None:
    """coords, atomic_numbers, weights, cell and periodic of a `Structure` or of what makes one, or, ragged, of a list
    of them. None for anything else, such as arrays.

    Raises:
      ValueError: if only some of a list have a cell, or as `pg_tf.structures.as_structure`.
    """
    if tf.is_tensor(value) or isinstance(value, np.ndarray):
        return None
    is_list = isinstance(value, (list, tuple))
    first = value[0] if is_list and value else value
    if isinstance(first, (list, tuple, float, int, np.generic, np.ndarray)) or tf.is_tensor(first):
        return None
    from pg_tf.structures import as_structure, is_structure_like  # loads RDKit

    if not is_structure_like(first):
        return None
    structures = [as_structure(one) for one in (value if is_list else [value])]
    cells = [structure.cell for structure in structures]
    if len({cell is None for cell in cells}) > 1:
        raise ValueError("coords: some of the structures have a cell and some have none; voxelize them apart")
    if len({structure.periodic for structure in structures}) > 1:
        raise ValueError("coords: the structures repeat along different axes; voxelize them apart")
    whole = all(np.all(structure.weights == 1) for structure in structures)
    lattice = None if any(cell is None for cell in cells) else np.stack([np.asarray(cell) for cell in cells])
    if not is_list:
        one = structures[0]
        return {
            "coords": one.coords,
            "atomic_numbers": one.atomic_numbers,
            "weights": None if whole else one.weights,
            "cell": one.cell,
            "periodic": one.periodic if one.cell is not None else None,
        }
    sizes = [len(structure) for structure in structures]

    def ragged(name: str) -> tf.RaggedTensor:
        return tf.RaggedTensor.from_row_lengths(np.concatenate([getattr(s, name) for s in structures]), sizes)

    return {
        "coords": ragged("coords"),
        "atomic_numbers": ragged("atomic_numbers"),
        "weights": None if whole else ragged("weights"),
        "cell": lattice,
        "periodic": structures[0].periodic if lattice is not None else None,
    }
