"""Lattices: which axes repeat, and coordinates in units of the lattice vectors."""

from __future__ import annotations

from typing import Any

import numpy as np


def check_periodic(periodic: Any, default: bool) -> tuple[bool, bool, bool]:
    """Three flags from a caller's `periodic`: None is `default`, one flag stands for three.

    Raises:
      ValueError: if it is neither a flag nor three.
    """
    flags = np.asarray(default if periodic is None else periodic)
    if flags.dtype != bool or flags.shape not in ((), (3,)):
        raise ValueError(f"periodic must be a flag or three flags, got {periodic!r}")
    x, y, z = np.broadcast_to(flags, 3).tolist()
    return x, y, z
