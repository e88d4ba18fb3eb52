"""Grids back to atoms; `python -m benchmarks.inversion` has more options."""

import numpy as np

from benchmarks.inversion.methods import METHODS
from benchmarks.inversion.scoring import EXACT, measure
from benchmarks.inversion.table import LEGEND
from benchmarks.inversion.targets import QUICK, TARGETS
from benchmarks.settings import Settings, Table
from benchmarks.workload import ELEMENTS, Workload
from pg_tf.datasets import Molecules
from pg_tf.elements import atomic_number

_BATCH = 64
# The baseline takes a second a molecule.
_BASELINE_MOLECULES = 4


def run(settings: Settings) -> dict[str, Table]:
    molecules = _molecules(settings.workload)[: settings.scale.inverted]
    rows = []
    for case in TARGETS if settings.scale.inverted > _BATCH else QUICK:
        for method in METHODS:
            chosen = molecules if method == "pg_tf" else molecules[:_BASELINE_MOLECULES]
            row = measure(case, method, chosen, _BATCH)
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
    notes = [LEGEND.splitlines()[-2] + " " + LEGEND.splitlines()[-1]]
    notes.append(f"exact: right in number, channels and coordinates, to {EXACT} Å; batches of {_BATCH}; all cores")
    return {"inversion": Table("Grids back to atoms", rows, notes)}


def _molecules(workload: Workload) -> Molecules:
    numbers = np.array([atomic_number(symbol) for symbol in ELEMENTS], np.int32)
    return Molecules(numbers[workload.channels], workload.coords, workload.row_splits)
