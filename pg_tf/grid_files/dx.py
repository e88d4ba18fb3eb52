"""OpenDX scalar fields: the values of one channel at the centres of its voxels, in Å.

Format: http://opendx.informatics.jax.org/docs/html/pages/usrgu068.htm, as APBS, VMD and PyMOL read it.
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

import numpy as np

from pg_tf.grid_files.stored_grid import StoredGrid
from pg_tf.grid_files.text import rows_of


def write(grid: StoredGrid, path: Path) -> None:
    """Writes the only channel of a grid."""
    counts = " ".join(map(str, grid.values.shape[1:]))
    lines = [
        f"# pg_tf: channel {grid.names[0]}, {grid.unit} in each voxel; positions are the centres of the voxels",
        f"object 1 class gridpositions counts {counts}",
        "origin " + " ".join(f"{x:.10g}" for x in grid.first_centre),
        *("delta " + " ".join(f"{x:.10g}" for x in step) for step in grid.steps),
        f"object 2 class gridconnections counts {counts}",
        f"object 3 class array type float rank 0 items {grid.values[0].size} data follows",
    ]
    with open(path, "w", encoding="ascii", errors="replace") as file:
        file.write("\n".join(lines) + "\n")
        for plane in grid.values[0].reshape(grid.values.shape[1], -1) if _fills_lines(grid) else [grid.values.ravel()]:
            file.write(rows_of(plane, 3, "%.9g"))
        file.write(
            'attribute "dep" string "positions"\nobject "density" class field\n'
            'component "positions" value 1\ncomponent "connections" value 2\ncomponent "data" value 3\n'
        )


def _fills_lines(grid: StoredGrid) -> bool:
    # Readers that count three numbers in a line need every line but the last to be full.
    return grid.values.shape[2] * grid.values.shape[3] % 3 == 0


# What comes before the numbers; GridDataFormats, which reads all of OpenDX, never returns from a file that is cut off.
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_COUNTS = re.compile(r"class\s+gridpositions\s+counts\s+(\d+)\s+(\d+)\s+(\d+)")
_VECTOR = re.compile(rf"^\s*(origin|delta)\s+({_NUMBER})\s+({_NUMBER})\s+({_NUMBER})\s*$", re.MULTILINE)
_DATA = re.compile(r"class\s+array\b[^\n]*\bitems\s+(\d+)\s+data\s+follows[^\n]*\n")


def read(path: str | os.PathLike[str]) -> StoredGrid:
    """Reads a regular grid of one scalar that is written as text."""
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    counts, data = _COUNTS.search(text), _DATA.search(text)
    if counts is None or data is None:
        raise ValueError("it has no regular grid with its values as text behind it")
    vectors = [(word, [float(x) for x in place]) for word, *place in _VECTOR.findall(text, 0, data.start())]
    if [word for word, _ in vectors] != ["origin", "delta", "delta", "delta"]:
        raise ValueError("it must have an origin and three deltas of three numbers before its values")
    shape, wanted = tuple(map(int, counts.groups())), int(data.group(1))
    values = np.array(text[data.end() :].split(None, wanted)[:wanted], np.float64)
    if wanted != math.prod(shape) or len(values) != wanted:
        raise ValueError(f"it has {len(values)} values of {wanted}, and its grid has {math.prod(shape)}")
    steps = np.array([place for word, place in vectors[1:]])
    return StoredGrid(
        values.reshape(shape), np.array(vectors[0][1]) - steps.sum(axis=0) / 2, steps * np.array(shape)[:, None]
    )
