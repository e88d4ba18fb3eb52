"""What a run of the benchmarks measures, and where it keeps it."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.measure import Timed, Timing, interleave
from benchmarks.workload import Workload


@dataclasses.dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
      seconds: that each side of a comparison gets.
      extents: voxels a side.
      study_extents: of the paper's study.
      study_sigmas: Å.
      slow_molecules: done by baselines that are too slow to do more.
      batches: molecules in a call.
      thread_batch: molecules in a call of several threads.
      protein: atoms, and voxels a side of 0.75 Å.
      pipeline_molecules: in one pass.
      package_extents: voxels a side, of the published voxelizers.
      inverted: molecules turned back into atoms.
    """

    seconds: float
    extents: tuple[int, ...]
    study_extents: tuple[int, ...]
    study_sigmas: tuple[float, ...]
    slow_molecules: int
    batches: tuple[int, ...]
    thread_batch: int
    protein: tuple[int, int]
    pipeline_molecules: int
    package_extents: tuple[int, ...]
    inverted: int


SCALES = {
    "full": Scale(
        seconds=1.0,
        extents=(32, 64, 128),
        study_extents=(16, 32, 64, 96, 128),
        study_sigmas=(0.05, 0.1, 0.25, 0.4, 0.5),
        slow_molecules=2,
        batches=(16, 32, 64, 128, 256, 512),
        thread_batch=256,
        protein=(20_000, 128),
        pipeline_molecules=16_384,
        package_extents=(32, 64, 128),
        inverted=100,
    ),
    "quick": Scale(
        seconds=0.12,
        extents=(32, 64, 128),
        study_extents=(16, 32, 64),
        study_sigmas=(0.1, 0.4),
        slow_molecules=1,
        batches=(16, 64, 256),
        thread_batch=256,
        protein=(20_000, 128),
        pipeline_molecules=2048,
        package_extents=(32, 64),
        inverted=16,
    ),
    # Sees that everything runs; its figures mean nothing.
    "smoke": Scale(
        seconds=0.0,
        extents=(8,),
        study_extents=(8,),
        study_sigmas=(0.4,),
        slow_molecules=1,
        batches=(2,),
        thread_batch=2,
        protein=(200, 16),
        pipeline_molecules=4,
        package_extents=(8,),
        inverted=1,
    ),
}


@dataclasses.dataclass
class Table:
    """Figures of one case, for the reader and for the machine.

    Attributes:
      title: says what the figures are and in which unit.
      rows: columns in order, the same for all rows.
      notes: what the reader should know.
    """

    title: str
    rows: list[dict[str, Any]]
    notes: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Settings:
    """One run.

    Attributes:
      workload: the molecules.
      scale: how much is measured.
      output: folder of the results.
      packages: folder of the environment that the published voxelizers are installed in.
      timings: everything that was timed, for the record.
    """

    workload: Workload
    scale: Scale
    output: Path
    packages: Path
    timings: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    @property
    def build(self) -> Path:
        """Where C++ is compiled to."""
        return self.output / "build"

    def measure(self, what: str, runs: Mapping[str, Timed]) -> dict[str, Timing]:
        """Times what is compared, in turns, and records all figures under the name `what`."""
        result = interleave(runs, self.scale.seconds)
        self.timings.append({"what": what, **{name: dataclasses.asdict(timing) for name, timing in result.items()}})
        return result
