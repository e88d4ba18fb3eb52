"""Grids back to atoms; `python -m benchmarks.inversion` has more options."""

from __future__ import annotations

import numpy as np

from benchmarks import inversion
from benchmarks.settings import Settings, Table
from benchmarks.workload import ELEMENTS, Workload
from pg_tf.datasets import Molecules
from pg_tf.elements import atomic_number

_BATCH = 64

# It takes a second a molecule.
_RIVAL_MOLECULES = 4


def run(settings: Settings) -> dict[str, Table]:
    molecules = _molecules(settings.workload)[: settings.scale.inverted]
    rows = []
    for case in inversion.TARGETS if settings.scale.inverted > _BATCH else inversion.QUICK:
        for method in inversion.METHODS:
            chosen = molecules if method == "pg_tf" else molecules[:_RIVAL_MOLECULES]
            row = inversion.measure(case, method, chosen, _BATCH)
            rows.append(
                {
                    "grid": case.grid_size,
                    "sigma": case.sigma,
                    "channels": case.channels,
                    "noise, %": 100 * case.noise,
                    "method": method,
                    "molecules": len(chosen),
                    "exact, %": 100 * row["exact"],
                    "right counts, %": 100 * row["right_count"],
                    "claimed but wrong": row["converged but wrong"],
                    "median error, Å": "-" if row["median_error"] is None else f"{row['median_error']:.1e}",
                    "RMSD, Å": "-" if row["rmsd"] is None else f"{row['rmsd']:.1e}",
                    "ms/molecule": row["ms_per_molecule"],
                }
            )
    notes = [inversion.LEGEND.splitlines()[-2] + " " + inversion.LEGEND.splitlines()[-1]]
    notes.append(
        f"exact: right in number, channels and coordinates, to {inversion.EXACT} Å; batches of {_BATCH}; all cores"
    )
    return {"inversion": Table("Grids back to atoms", rows, notes)}


def _molecules(workload: Workload) -> Molecules:
    numbers = np.array([atomic_number(symbol) for symbol in ELEMENTS], np.int32)
    return Molecules(numbers[workload.channels], workload.coords, workload.row_splits)
