"""The instruction sets that the kernels are compiled for."""

import contextlib
from pathlib import Path
from typing import Any

from benchmarks.remote import Prepared, Worker
from benchmarks.settings import Settings, Table
from benchmarks.workload import load


def run(settings: Settings) -> dict[str, Table]:
    import pg_tf

    levels, _ = pg_tf.simd_levels()
    path = settings.output / "workload.npz"
    settings.workload.save(path)
    extents = settings.scale.extents[:2]
    rows = []
    with contextlib.ExitStack() as stack:
        workers = {
            level: stack.enter_context(
                Worker(
                    "cases.levels",
                    {"workload": str(path), "extents": extents},
                    environment={"PG_TF_SIMD": level},
                )
            )
            for level in levels
        }
        for extent in extents:
            for what in ("forward", "gradient"):
                times = settings.measure(
                    f"levels, {what} {extent}",
                    {level: worker.timed(f"{what} {extent}") for level, worker in workers.items()},
                )
                for level, worker in workers.items():
                    rows.append(
                        {
                            "grid": extent,
                            "pass": what,
                            "instruction set": worker.about["level"],
                            "molecules/s": worker.about["batch"][str(extent)] / times[level].best,
                            "times the best": times[levels[-1]].best / times[level].best,
                        }
                    )
    return {"levels": Table("Instruction sets (PG_TF_SIMD), 1 channel, one thread", rows)}


def prepare(task: dict[str, Any]) -> Prepared:
    """Forward and gradient calls with the instruction set of this process."""
    import pg_tf
    from benchmarks import op

    op.use_threads(1)
    workload = load(Path(task["workload"]))
    runs, sizes = {}, {}
    for extent in task["extents"]:
        batch = workload.repeat(op.batch_size(extent))
        sizes[extent] = len(batch)
        runs[f"forward {extent}"] = op.raw(batch, extent)
        runs[f"gradient {extent}"] = op.gradient(batch, extent)
    return runs, {"level": pg_tf.simd_levels()[1], "batch": sizes}
