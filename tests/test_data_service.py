"""The tf.data service with real processes on loopback."""

import collections
import itertools
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from processes import PATIENCE, PG_TF, Program

import pg_tf
from pg_tf import data_service
from pg_tf.datasets import Molecules, load_sample

CHANNELS = pg_tf.ElementChannels(("C", "N", "O"), unknown="other")
NUM_MOLECULES = 240

# A worker counts as lost after this time. Long enough for heartbeats, one a second, to get through on a loaded machine.
WORKER_TIMEOUT = 8


class Service:
    """A dispatcher and workers that a test starts and ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs: list[Program] = []
        self.port = "0"
        self.start_dispatcher()
        self.address = f"127.0.0.1:{self.port}"

    def start(self, role: str, *options: str) -> Program:
        """Each in a folder of its own that holds a file `name`, so that a dataset can tell where it runs."""
        home = self.folder / str(len(self.programs))
        home.mkdir()
        (home / "name").write_text(home.name)
        if role == "dispatcher":
            options = (*options, "--worker-timeout", str(WORKER_TIMEOUT))
        program = Program(home / "log", *PG_TF, "data-service", role, *options, cwd=home)
        program.name = home.name
        self.programs.append(program)
        return program

    def start_dispatcher(self) -> None:
        """At a free port; when called again at the same one, with the journal of the one before."""
        journal = str(self.folder / "journal")
        self.dispatcher = self.start("dispatcher", "--port", self.port, "--work-dir", journal)
        self.port = self.dispatcher.wait_for(r"listening at port (\d+)").group(1)

    def start_worker(self, *options: str) -> Program:
        return self.start("worker", "--dispatcher", self.address, "--timeout", str(PATIENCE), *options)

    def close(self) -> None:
        for program in self.programs:
            program.kill()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A dispatcher with two workers."""
    running = Service(tmp_path_factory.mktemp("data_service"))
    try:
        for worker in [running.start_worker(), running.start_worker()]:
            worker.wait_for("listening at")
        yield running
    finally:
        running.close()


@pytest.fixture(scope="module")
def molecules() -> Molecules:
    """Labelled by their number."""
    some = load_sample("test")[:NUM_MOLECULES]
    return Molecules(some.atomic_numbers, some.coords, some.row_splits, np.arange(len(some)))


def grids(molecules: Molecules) -> tf.data.Dataset:
    """Grids `[b, 8, 8, 8, 4]`, numbers of molecules `[b]`, and the name of the process that made them."""
    to_grid = pg_tf.Voxelizer(num_channels=CHANNELS.num_channels, grid_shape=8, data_format="channels_last")

    def signed(grid: tf.Tensor, number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        return grid, number, tf.io.read_file("name")

    return molecules.dataset(CHANNELS, batch_size=16).map(to_grid).map(signed)


def collect(dataset: tf.data.Dataset) -> tuple[dict[int, np.ndarray], collections.Counter[int], set[str]]:
    """The grid of each molecule, how often each was seen, and by whom they were made."""
    found: dict[int, np.ndarray] = {}
    seen: collections.Counter[int] = collections.Counter()
    makers = set()
    for batch, numbers, maker in dataset.as_numpy_iterator():
        found.update(zip(map(int, numbers), batch, strict=True))
        seen.update(map(int, numbers))
        makers.add(maker.decode())
    return found, seen, makers


@pytest.mark.parametrize("compression", ["AUTO", "SNAPPY", None])
def test_molecules_and_grids_agree_with_those_made_here_when_two_workers_share_them(
    service: Service, molecules: Molecules, compression: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "name").write_text("here")
    monkeypatch.chdir(tmp_path)
    dataset = grids(molecules)
    expected, once, here = collect(dataset)
    found, seen, makers = collect(data_service.distribute(dataset, service.address, compression=compression))
    assert here == {"here"}
    assert "here" not in makers
    assert makers
    assert seen == once
    assert set(once.values()) == {1}
    for number, grid in expected.items():
        np.testing.assert_array_equal(found[number], grid)


def test_each_worker_makes_all_molecules_when_sharding_is_off(service: Service, molecules: Molecules) -> None:
    _, seen, makers = collect(data_service.distribute(grids(molecules), service.address, sharding="off"))
    assert seen == collections.Counter(dict.fromkeys(range(NUM_MOLECULES), 2))
    assert len(makers) == 2


def test_trainings_share_the_molecules_when_they_name_the_same_job(service: Service, molecules: Molecules) -> None:
    first, second = (
        iter(data_service.distribute(grids(molecules), service.address, job_name="shared")) for _ in range(2)
    )
    seen: collections.Counter[int] = collections.Counter()
    for batch in itertools.chain.from_iterable(itertools.zip_longest(first, second)):  # in turns, each to its end
        if batch is not None:
            seen.update(map(int, batch[1]))
    assert seen == collections.Counter(range(NUM_MOLECULES))


def test_half_precision_grids_arrive_as_such(service: Service, molecules: Molecules) -> None:
    to_grid = pg_tf.Voxelizer(num_channels=4, grid_shape=8, dtype="float16")
    dataset = molecules.dataset(CHANNELS, batch_size=16).map(to_grid)
    grid, _ = next(iter(data_service.distribute(dataset, service.address)))
    assert grid.dtype == tf.float16
    assert grid.shape[1:] == (4, 8, 8, 8)


class Reader:
    """Reads an epoch of numbered grids step by step; `numbers` and `makers` are what has come so far."""

    def __init__(self, service: Service, total: int) -> None:
        coords = tf.constant([[0.0, 0.0, 0.0], [0.0, 0.0, 1.1]])

        def make(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            return number, tf.io.read_file("name"), pg_tf.voxelize(coords, grid_shape=8)

        dataset = data_service.distribute(tf.data.Dataset.range(total).map(make), service.address)
        self.numbers: list[int] = []
        self.makers: list[str] = []
        self._queue: queue.Queue[tuple[int, str] | None] = queue.Queue(maxsize=1)
        # In a thread: where the service hangs the test has to fail.
        threading.Thread(target=self._run, args=(dataset,), daemon=True).start()

    def _run(self, dataset: tf.data.Dataset) -> None:
        for number, maker, _ in dataset.as_numpy_iterator():
            self._queue.put((int(number), maker.decode()))
        self._queue.put(None)

    def read_until(self, enough: Callable[[], bool]) -> None:
        """Reads on; to the end if there is never enough."""
        while not enough():
            item = self._queue.get(timeout=PATIENCE)
            if item is None:
                return
            self.numbers.append(item[0])
            self.makers.append(item[1])

    def read_to_the_end(self) -> None:
        self.read_until(lambda: False)


def test_an_epoch_goes_on_when_the_dispatcher_is_killed_and_started_again(service: Service) -> None:
    reader = Reader(service, total=2000)
    reader.read_until(lambda: len(set(reader.makers)) == 2)
    service.dispatcher.kill()
    service.start_dispatcher()
    reader.read_to_the_end()
    assert sorted(reader.numbers) == list(range(2000))


def test_an_epoch_goes_on_when_a_worker_is_killed_and_another_added(service: Service) -> None:
    total = 4000
    reader = Reader(service, total)
    reader.read_until(lambda: len(set(reader.makers)) == 2)
    victim = next(program for program in service.programs if program.name == reader.makers[-1])
    port = victim.wait_for(r"listening at \S+:(\d+)").group(1)
    victim.kill()
    late = service.start_worker()
    late.wait_for("listening at")
    reader.read_until(lambda: late.name in reader.makers)
    # The end of an epoch waits for the killed one: in an endless stream nobody would miss it.
    service.start_worker("--port", port)
    reader.read_to_the_end()

    assert len(set(reader.numbers)) == len(reader.numbers), "dynamic sharding: no element twice"
    # What the killed worker had made, and had not been asked for.
    lost = total - len(reader.numbers)
    assert lost < total / 10


def test_servers_end_cleanly_when_terminated(service: Service) -> None:
    program = service.start_worker()
    program.wait_for("listening at")
    assert program.terminate() == 0
    assert "worker stopped by SIGTERM" in program.output
    assert service.dispatcher.terminate() == 0
    assert "dispatcher stopped by SIGTERM" in service.dispatcher.output
