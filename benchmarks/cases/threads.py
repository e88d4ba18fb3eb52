"""The op with more than one thread."""

import contextlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.remote import Prepared, Worker
from benchmarks.settings import Settings, Table
from benchmarks.workload import load


def counts(cores: int) -> list[int]:
    """1, 2, 4, ... and all cores."""
    return sorted({*(2**i for i in range(cores.bit_length()) if 2**i <= cores), cores})


def run(settings: Settings) -> dict[str, Table]:
    cores = len(os.sched_getaffinity(0))
    path = settings.output / "workload.npz"
    settings.workload.repeat(settings.scale.thread_batch).save(path)
    extents = settings.scale.extents[:2]
    rows = []
    with contextlib.ExitStack() as stack:
        workers = {
            threads: stack.enter_context(
                Worker("cases.threads", {"workload": str(path), "threads": threads, "extents": extents})
            )
            for threads in counts(cores)
        }
        for extent in extents:
            for what in ("forward", "gradient"):
                name = f"{what} {extent}"
                times = settings.measure(
                    f"threads, {name}", {str(threads): worker.timed(name) for threads, worker in workers.items()}
                )
                for threads in workers:
                    rows.append(
                        {
                            "grid": extent,
                            "pass": what,
                            "threads": threads,
                            "molecules/s": settings.scale.thread_batch / times[str(threads)].best,
                            "times one thread": times["1"].best / times[str(threads)].best,
                        }
                    )
    notes = [f"{settings.scale.thread_batch} molecules a call; a process for each number of threads, calls in turns"]
    return {"threads": Table("Threads within an op", rows, notes)}


def prepare(task: dict[str, Any]) -> Prepared:
    """Forward and gradient calls with `task["threads"]` threads."""
    from benchmarks import op

    op.use_threads(task["threads"])
    batch = load(Path(task["workload"]))
    runs = {}
    for extent in task["extents"]:
        runs[f"forward {extent}"] = op.raw(batch, extent)
        runs[f"gradient {extent}"] = op.gradient(batch, extent)
    return runs, {"atoms": int(np.sum(batch.atoms))}
