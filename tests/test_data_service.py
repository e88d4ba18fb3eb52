"""The tf.data service with real processes on loopback."""

import collections
import itertools
import queue
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from processes import PATIENCE, PG_TF, Program, app
from sdf_files import write_sdf
from typer.testing import CliRunner

import pg_tf
from pg_tf import data_service
from pg_tf.datasets import Molecules, load_sample

pytestmark = pytest.mark.slow

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


@pytest.mark.parametrize("compression", ["AUTO", None])
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


def test_pg_tf_train_learns_from_grids_of_the_workers(service: Service, tmp_path: Path) -> None:
    write_sdf(tmp_path / "molecules.sdf", load_sample("validation")[:60])
    options = (
        *(
            "train",
            "--recipe",
            "small",
            "--model",
            "resnet3d10",
            "--data",
            tmp_path / "molecules.sdf",
            "--label",
            "gap",
        ),
        *("--network", "width=2", "--grid-size", 16, "--batch-size", 16, "--epochs", 2),
        *("--output", tmp_path / "run", "--data-service", service.address),
    )
    result = CliRunner().invoke(app, [*map(str, options)])
    assert result.exit_code == 0, result.output
    assert "epoch   2/2" in result.output
    assert (tmp_path / "run" / "best.keras").exists()


def test_endless_shuffled_stream_has_each_molecule_once_an_epoch_from_any_start(
    service: Service, molecules: Molecules
) -> None:
    batches = -(-NUM_MOLECULES // 16)
    options = {"batch_size": 16, "shuffle": True, "seed": 3, "repeat": True}

    def epoch_from(start: int) -> tf.data.Dataset:
        return molecules.dataset(CHANNELS, **options, start=start).map(lambda points, numbers: numbers)

    expected = {tuple(numbers) for numbers in epoch_from(2).take(3 * batches).as_numpy_iterator()}
    served = data_service.distribute(epoch_from(2), service.address).take(2 * batches)
    found = [tuple(numbers) for numbers in served.as_numpy_iterator()]
    assert len(set(found)) == len(found)
    # The workers run ahead of each other, by far less than an epoch.
    assert set(found) <= expected


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
    assert len(set(reader.numbers)) == len(reader.numbers), "no element twice"
    # One for each worker at most: noted as handed out in the journal, while the answer died with the dispatcher.
    assert len(reader.numbers) >= 2000 - 2


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


def test_unreachable_dispatcher_is_an_error_in_time(molecules: Molecules) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        with pytest.raises(
            ConnectionError, match=f"no dispatcher of the data service at localhost:{port} within 0.5 s"
        ):
            data_service.distribute(grids(molecules), f"localhost:{port}", timeout=0.5)
        silent.listen()
        with pytest.raises(ConnectionError, match="no worker of a data service answered within 1 s"):
            data_service.distribute(grids(molecules), f"localhost:{port}", timeout=1)


def test_command_that_finds_no_dispatcher_ends_with_one_line(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        result = CliRunner().invoke(app, ["data-service", "worker", "--dispatcher", address, "--timeout", "0.5"])
    assert result.exit_code == 1
    assert f"pg-tf data-service worker: no dispatcher of the data service at {address} within 0.5 s" in result.output


def test_dispatcher_without_workers_is_an_error_in_time(molecules: Molecules) -> None:
    server = data_service.dispatcher(0)
    address = server.target.removeprefix("grpc://")
    with pytest.raises(ConnectionError, match=r"no worker of a data service answered within 1 s.*pg-tf data-serv"):
        data_service.distribute(grids(molecules), address, timeout=1)
    server.stop()


def test_silence_of_the_dispatcher_is_reported_while_training_waits() -> None:
    lines: queue.Queue[str] = queue.Queue()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    with data_service.watched(f"127.0.0.1:{port}", lines.put, every=0.05):
        listener.close()
        assert "has not answered for" in lines.get(timeout=PATIENCE)
        with socket.create_server(("127.0.0.1", port)):
            while "has not answered" in (line := lines.get(timeout=PATIENCE)):
                pass
            assert line.endswith("answers again")


def test_worker_that_lacks_the_op_is_an_error_that_says_so(tmp_path: Path, molecules: Molecules) -> None:
    server = data_service.dispatcher(0)
    address = server.target.removeprefix("grpc://")
    # TensorFlow's own worker, as one would start it without `pg-tf data-service worker`.
    text = f"""
import threading
import tensorflow as tf
service = tf.data.experimental.service
config = service.WorkerConfig(dispatcher_address="{address}", worker_address="127.0.0.1:%port%")
server = service.WorkerServer(config)
print("listening", flush=True)
threading.Event().wait()
"""
    plain = Program(tmp_path / "log", sys.executable, "-c", text)
    try:
        plain.wait_for("listening")
        with pytest.raises(ConnectionError, match=r"cannot run pg_tf's op: Op type not registered.*pg-tf data-service"):
            data_service.distribute(grids(molecules), address, timeout=PATIENCE)
    finally:
        plain.kill()
    server.stop()


@pytest.mark.parametrize(
    "address", ["", "host:", "host:0", "host:port", "host:65536", "http://host:1", "::1:5050", ":1"]
)
def test_malformed_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="address: must be HOST:PORT"):
        data_service.Address.parse(address)


def test_addresses_are_read_in_all_their_forms() -> None:
    for text in ("host:5050", "host", "grpc://host:5050"):
        assert data_service.Address.parse(text) == data_service.Address("host", 5050)
    six = data_service.Address.parse("[::1]:7")
    assert (six.host, six.port, str(six)) == ("::1", 7, "[::1]:7")


@pytest.mark.parametrize("policy", ["file", "data", "FILE_OR_DATA", "hint"])
def test_static_sharding_is_refused_with_the_reason(molecules: Molecules, policy: str) -> None:
    with pytest.raises(ValueError, match=r"static; .* only from a worker inside"):
        data_service.distribute(grids(molecules), "localhost:1", sharding=policy)
    with pytest.raises(ValueError, match="sharding: must be one of 'dynamic', 'off', got 'all'"):
        data_service.distribute(grids(molecules), "localhost:1", sharding="all")


def test_taken_port_is_an_error_that_names_it() -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot start at port {port}.*may be taken"):
            data_service.dispatcher(port)


def test_servers_end_cleanly_when_terminated(service: Service) -> None:
    worker = next(program for program in reversed(service.programs) if program is not service.dispatcher)
    for program, role in ((worker, "worker"), (service.dispatcher, "dispatcher")):
        assert program.terminate() == 0
        assert f"{role} stopped by SIGTERM" in program.output
