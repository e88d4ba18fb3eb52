"""The study of the ParticleGrid paper (Fig. 3-5) again: grid sizes, sigmas, and what each idea is worth."""

from collections.abc import Callable
from typing import Any

from benchmarks import exact, op
from benchmarks.baselines import handwritten
from benchmarks.measure import timed
from benchmarks.settings import Settings, Table

OP = "pg_tf"
# How many times as fast as these the paper says that ParticleGrid is.
PAPER = {handwritten.NUMPY: 9000.0, handwritten.NUMBA: 79.5, handwritten.PLAIN: 14.0}

_BASELINES = (
    "paper: what it says of ParticleGrid beside baselines of its own; ours are in benchmarks/baselines/handwritten"
)


def run(settings: Settings) -> dict[str, Table]:
    found, missing = handwritten.available(settings.build)
    names = [name for name in _ORDER if name in found]
    errors = _errors(settings, {name: found[name] for name in names})  # first: Numba compiles when it is first called
    some = settings.workload.typical(settings.scale.slow_molecules)
    rates: list[dict[str, Any]] = []
    ratios: list[dict[str, Any]] = []
    for sigma in settings.scale.study_sigmas:
        for extent in settings.scale.study_extents:
            batch = some.repeat(op.batch_size(extent))
            works: dict[str, tuple[Callable[[], object], int]] = {
                name: (handwritten.over(some, found[name], sigma, extent, len(batch)), len(some)) for name in names
            }
            works[OP] = (op.raw(batch, extent, sigma=sigma), len(batch))
            label = f"study, sigma {sigma}, {extent}^3"
            times = settings.measure(label, {name: timed(work) for name, (work, _) in works.items()})
            rate = {name: number / times[name].best for name, (_, number) in works.items()}
            rates.append({"sigma": sigma, "grid": extent, **rate})
            ratios.append({"sigma": sigma, "grid": extent, **{name: rate[OP] / rate[name] for name in names}})
    atoms = ", ".join(str(n) for n in some.atoms)
    notes = [f"molecules of {atoms} atoms, those nearest to the mean; one thread; pg_tf is the op, called directly"]
    notes += [f"{name}: not measured: {reason}" for name, reason in missing.items()]
    paper = {"sigma": "paper", "grid": "", **{name: PAPER.get(name, "") for name in names}}
    return {
        "study": Table("Molecules a second by voxelizers of increasing craft", rates, notes),
        "speedup": Table(f"{OP}: how many times as fast", [*ratios, paper], [_BASELINES, *notes[1:]]),
        "errors": errors,
    }


_ORDER = (
    handwritten.NUMBA,
    handwritten.NUMPY,
    handwritten.EINSUM,
    handwritten.PLAIN,
    handwritten.SPARSE,
    handwritten.SIMD,
    handwritten.BOTH,
    handwritten.SEPARABLE,
)


def _errors(settings: Settings, found: dict[str, handwritten.Voxelize]) -> Table:
    extent = settings.scale.study_extents[0]
    one = settings.workload.typical(1)
    rows = []
    for sigma in settings.scale.study_sigmas:
        own = op.raw(one, extent, sigma=sigma)()
        origin, edges = one.boxes()
        expected = exact.grid(one.molecules()[0], sigma, origin[0], float(edges[0]), extent)
        errors = {name: handwritten.check(one, voxelize, sigma, extent) for name, voxelize in found.items()}
        errors[OP] = exact.error_of(own.numpy()[0, 0], expected)  # type: ignore[attr-defined]
        rows.append({"sigma": sigma, "grid": extent, **errors})
    return Table("Largest error, of the largest voxel of the float64 grid", rows)
