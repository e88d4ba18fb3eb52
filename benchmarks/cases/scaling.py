"""What feeding an accelerator costs: the CPU time of a training's input pipeline, step by step, and of the data service
over loopback. docs/scaling.md says how many cores and how much network follow.

Measured is CPU time: the number of cores that are needed follows from it, and other programs disturb it least.
"""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.remote import ROOT, Prepared, Worker
from benchmarks.settings import Settings, Table

_EXTENT = 32
_BATCH = 256
_RECORDS = 500

LOOP = "the op in a loop"
PLAIN = "batches, grids"
SHUFFLED = "shuffled batches, grids"
ROTATED = "shuffled, rotated, grids"
MOVED = "shuffled, rotated, shifted in its box, grids"
POINTS = "shuffled, rotated, shifted in its box, no grids"
SDF = "reading SDF text"

# Grids as float32 or float16, compression, and batches in the place of one.
SERVICES: dict[str, tuple[str, str | None, int] | None] = {
    "here, without a service": None,
    "float32": ("float32", None, 1),
    "float32, batches half the size": ("float32", None, 2),
    "float32, batches half the size, Snappy": ("float32", "SNAPPY", 2),
    "float16": ("float16", None, 1),
    "float16, Snappy": ("float16", "SNAPPY", 1),
}


def run(settings: Settings) -> dict[str, Table]:
    size = min(_BATCH, settings.scale.pipeline_molecules)
    batches = -(-settings.scale.pipeline_molecules // size)
    task = {"batches": max(batches, 24) if size == _BATCH else batches, "batch": size, "rounds": 3}
    with Worker("cases.scaling", task) as worker:
        costs = worker.about
    rows = [
        {
            "step by step": name,
            "CPU µs a molecule": 1e6 * cost,
            "molecules/s a core": 1 / cost,
            "times": costs[LOOP] / cost,
            "as fast as": LOOP,
        }
        for name, cost in costs.items()
    ]
    notes = [f"{_EXTENT}^3, 1 channel, batches of {size}; the cheapest of 3 passes"]
    tables = {"pipeline of a training": Table("CPU time of the input", rows, notes)}
    with _servers() as (address, pid), Worker("cases.scaling", {**task, "service": address, "pid": pid}) as worker:
        served = worker.about
    rows = [
        {
            "grids made by a worker": name,
            "CPU µs a molecule, worker": 1e6 * cost["worker"],
            "CPU µs a molecule, reader": 1e6 * cost["reader"],
            "molecules/s": 1 / cost["seconds"],
            "KiB a molecule on the wire": cost["bytes"] / 1024,
        }
        for name, cost in served.items()
    ]
    notes = [f"as above; worker and reader share {len(os.sched_getaffinity(0))} cores, which bounds the molecules/s"]
    return {**tables, "data service": Table("tf.data service over loopback", rows, notes)}


@contextlib.contextmanager
def _servers() -> Iterator[tuple[str, int]]:
    """A dispatcher and a worker; yields the address of the former and the process of the latter."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:

        def start(role: str, *options: str) -> tuple[str, int]:
            log = Path(folder, role)
            command = [sys.executable, str(ROOT / "scripts" / "pg-tf"), "data-service", role, *options]
            with log.open("w") as file:
                process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
            stack.callback(process.wait)
            stack.callback(process.kill)
            while not (match := re.search(r"listening at (?:port |\S+:)(\d+)", log.read_text())):
                if process.poll() is not None:
                    raise RuntimeError(log.read_text())
                time.sleep(0.1)
            return f"127.0.0.1:{match.group(1)}", process.pid

        address, _ = start("dispatcher", "--port", "0")
        yield address, start("worker", "--dispatcher", address)[1]


def prepare(task: dict[str, Any]) -> Prepared:
    """Passes over datasets of the shipped sample."""
    from pg_tf.datasets import load_sample

    sample = load_sample("train")
    return _with_service(sample, task) if "service" in task else _step_by_step(sample, task)


def _step_by_step(sample: Any, task: dict[str, Any]) -> Prepared:
    import dataclasses

    import tensorflow as tf

    import pg_tf
    from pg_tf.training import PAPER, pipeline

    batches, size = task["batches"], task["batch"]
    one = PAPER.element_channels()
    config = dataclasses.replace(PAPER, batch_size=size, grid_size=_EXTENT)
    ready = [points for points, _ in sample.dataset(one, batch_size=size)]
    to_grid = pg_tf.Voxelizer(grid_shape=_EXTENT, sigma=0.4, data_format="channels_last")

    def loop() -> None:
        for i in range(batches):
            to_grid(ready[i % len(ready)])

    def stream(**changes: Any) -> tf.data.Dataset:
        return pipeline.training_batches(sample, dataclasses.replace(config, **changes))

    plain = sample.dataset(one, batch_size=size, repeat=True).map(to_grid, num_parallel_calls=tf.data.AUTOTUNE)
    points = sample.dataset(one, batch_size=size, shuffle=True, seed=0, repeat=True)
    moved = points.apply(pg_tf.augment(translation=0.0, start=0)).apply(pg_tf.augment(rotation=False, start=0))
    text = _sdf_text(sample[:_RECORDS])
    streams = {
        PLAIN: plain.prefetch(tf.data.AUTOTUNE),
        SHUFFLED: stream(),
        ROTATED: stream(rotation=True),
        MOVED: stream(rotation=True, translation=0.5),
        POINTS: moved,
    }
    costs: dict[str, float] = {}

    def note(name: str, cost: float) -> None:
        costs[name] = min(costs.get(name, cost), cost)

    for _ in range(task["rounds"]):
        note(LOOP, _cpu_seconds(loop) / (batches * size))
        for name, dataset in streams.items():
            note(name, _costs(dataset, batches, size)["reader"])
        note(SDF, _cpu_seconds(lambda: _parse(text)) / _RECORDS)
    return {}, costs


def _cpu_seconds(work: Callable[[], object]) -> float:
    """Of all threads of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def _costs(dataset: Any, batches: int, size: int, pid: int | None = None) -> dict[str, float]:
    """What a molecule of an endless dataset costs once it is under way: CPU seconds here ("reader") and in another
    process ("worker"), seconds, and bytes over loopback. Nothing of the dataset runs on after the return."""
    iterator = iter(dataset)
    for _ in range(max(2, batches // 3)):
        next(iterator)

    def now() -> dict[str, float]:
        return {
            "reader": time.process_time(),
            "worker": _process_seconds(pid) if pid else 0.0,
            "seconds": time.perf_counter(),
            "bytes": _loopback_bytes(),
        }

    before = now()
    for _ in range(batches):
        next(iterator)
    return {name: (after - before[name]) / (batches * size) for name, after in now().items()}


def _process_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _sdf_text(molecules: Any) -> str:
    """Molfiles as PCQM4Mv2 and PubChem have them."""
    from pg_tf.elements import SYMBOLS

    records = []
    for i in range(len(molecules)):
        rows = slice(molecules.row_splits[i], molecules.row_splits[i + 1])
        numbers, coords = molecules.atomic_numbers[rows], molecules.coords[rows]
        atoms = [
            f"{x:10.4f}{y:10.4f}{z:10.4f} {SYMBOLS[number]:<3} 0  0  0  0  0  0  0  0  0  0  0  0"
            for number, (x, y, z) in zip(numbers, coords, strict=True)
        ]
        head = ["", "  benchmark", "", f"{len(atoms):3d}  0  0  0  0  0  0  0  0  0999 V2000"]
        records.append("\n".join([*head, *atoms, "M  END", "$$$$", ""]))
    return "".join(records)


def _parse(text: str) -> None:
    from pg_tf.datasets import read_sdf

    with tempfile.NamedTemporaryFile("w", suffix=".sdf") as file:
        file.write(text)
        file.flush()
        read_sdf(Path(file.name))


def _with_service(sample: Any, task: dict[str, Any]) -> Prepared:
    import tensorflow as tf

    import pg_tf
    from pg_tf import data_service

    batches, size = task["batches"], task["batch"]
    one = pg_tf.ElementChannels.single()

    def grids(dtype: str, size: int) -> tf.data.Dataset:
        to_grid = pg_tf.Voxelizer(grid_shape=_EXTENT, sigma=0.4, data_format="channels_last", dtype=dtype)
        points = sample.dataset(one, batch_size=size, shuffle=True, seed=0, repeat=True)
        return points.map(to_grid, num_parallel_calls=tf.data.AUTOTUNE)

    best: dict[str, dict[str, float]] = {}
    for _ in range(task["rounds"]):
        for name, way in SERVICES.items():
            dtype, compression, parts = way or ("float32", None, 1)
            small = max(1, size // parts)
            dataset = grids(dtype, small)
            if way is not None:
                dataset = data_service.distribute(dataset, task["service"], compression=compression)
            costs = _costs(dataset.prefetch(2), batches * parts, small, task["pid"])
            best[name] = {key: min(best.get(name, costs)[key], value) for key, value in costs.items()}
    return {}, best


def _loopback_bytes() -> int:
    for line in Path("/proc/net/dev").read_text().splitlines():
        if line.strip().startswith("lo:"):
            return int(line.split(":")[1].split()[0])
    return 0
