"""Grids made on other machines: the tf.data service, with the op loaded wherever a dataset runs.

A dispatcher hands out the work, any number of workers run the pipeline up to the grids, and a training reads finished
batches from them over the network. docs/scaling.md says when that is worth it and what survives what.
"""

from __future__ import annotations

import dataclasses
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import tensorflow as tf

from pg_tf import _library
from pg_tf.voxelize import voxelize

service = tf.data.experimental.service

DEFAULT_PORT = 5050

# The open-source builds of TensorFlow have no other.
_PROTOCOL = "grpc"

_POLICIES = {"dynamic": service.ShardingPolicy.DYNAMIC, "off": service.ShardingPolicy.OFF}
_STATIC = ("data", "file", "file_or_data", "hint")


@dataclasses.dataclass(frozen=True)
class Address:
    """Where a dispatcher listens.

    Attributes:
      host: name or number; an IPv6 number without its brackets.
      port: 1 to 65535.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Reads "host", "host:port" or "grpc://host:port".

        Raises:
          ValueError: if it is none of these.
        """
        rest = text.removeprefix(f"{_PROTOCOL}://")
        host, colon, port = rest.rpartition(":") if not rest.endswith("]") else (rest, "", "")
        if not colon:
            host, port = rest, str(DEFAULT_PORT)
        bare = host.removeprefix("[").removesuffix("]")
        wrong_host = not bare or "/" in host or (":" in bare and bare == host)
        if wrong_host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"address: must be HOST:PORT, such as 10.0.0.7:{DEFAULT_PORT}, got {text!r}")
        return cls(bare, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def wait_for_dispatcher(address: Address, timeout: float) -> str:
    """Waits until something listens at an address.

    TensorFlow itself would try for ever, or for an hour, without a word.

    Args:
      address: of the dispatcher.
      timeout: seconds.

    Returns:
      The number (IP) of this machine as the dispatcher sees it.

    Raises:
      ConnectionError: if nothing did within the time.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            left = max(deadline - time.monotonic(), 0.1)
            with socket.create_connection((address.host, address.port), timeout=left) as connection:
                return str(connection.getsockname()[0])
        except OSError as error:
            if time.monotonic() + 0.2 >= deadline:
                raise ConnectionError(
                    f"no dispatcher of the data service at {address} within {timeout:g} s ({error}). Start one there: "
                    f"pg-tf data-service dispatcher --port {address.port}"
                ) from error
            time.sleep(0.2)


def dispatcher(port: int = DEFAULT_PORT, work_dir: Path | str | None = None, *, worker_timeout: float = 60.0) -> Any:
    """Starts a dispatcher in this process.

    Args:
      port: to listen at, on all interfaces; 0 for any free one.
      work_dir: folder of its journal, local or remote. A dispatcher that is started again with the same folder and port
        goes on where it was killed. None keeps the state in memory only.
      worker_timeout: seconds of silence after which a worker counts as lost.

    Returns:
      The running server; `stop_on_signal` waits for its end.

    Raises:
      ValueError: if the port or the time is out of range.
      OSError: if the port is taken or the folder cannot be written.
    """
    _check_port(port)
    if not worker_timeout > 0:
        raise ValueError(f"worker_timeout: must be above 0 s, got {worker_timeout}")
    try:
        if work_dir is not None:
            tf.io.gfile.makedirs(str(work_dir))
        return service.DispatchServer(
            service.DispatcherConfig(
                port=port,
                protocol=_PROTOCOL,
                work_dir=None if work_dir is None else str(work_dir),
                fault_tolerant_mode=work_dir is not None,
                worker_timeout_ms=round(1000 * worker_timeout),
                # Looked for as often as that, or a lost worker would be found minutes late.
                job_gc_check_interval_ms=round(1000 * min(worker_timeout, 10.0)),
            )
        )
    except (tf.errors.OpError, RuntimeError) as error:
        raise OSError(
            f"the dispatcher cannot start at port {port} with work_dir {work_dir}; the port may be taken: {error}"
        ) from error


def worker(
    dispatcher_address: str, port: int = 0, *, host: str | None = None, timeout: float = 60.0
) -> tuple[Any, str]:
    """Starts a worker in this process, with pg_tf's op loaded.

    Args:
      dispatcher_address: "host:port".
      port: to listen at, on all interfaces; 0 for any free one.
      host: name or number under which trainings reach this machine. None is the number by which it reaches the
        dispatcher, right unless there is a translation of addresses between them.
      timeout: seconds to wait for the dispatcher: workers may be started before it.

    Returns:
      The running server, and the "host:port" that it gives to trainings.

    Raises:
      ValueError: if an address or port is malformed.
      ConnectionError: if there is no dispatcher within the time.
      OSError: if the port is taken.
    """
    _check_port(port)
    address = Address.parse(dispatcher_address)
    _library.load()  # the graphs of datasets name its ops
    own = wait_for_dispatcher(address, timeout) if host is None else host
    if host is not None:
        wait_for_dispatcher(address, timeout)
    shown = str(Address(own, 0)).removesuffix("0")
    try:
        server = service.WorkerServer(
            service.WorkerConfig(
                dispatcher_address=str(address),
                worker_address=f"{shown}%port%",  # filled in once the port is bound
                port=port,
                protocol=_PROTOCOL,
                heartbeat_interval_ms=1000,
                dispatcher_timeout_ms=round(1000 * timeout),
            )
        )
    except (tf.errors.OpError, RuntimeError) as error:
        raise OSError(f"the worker cannot start at port {port}; it may be taken: {error}") from error
    return server, shown + server._address.rpartition(":")[2]


def stop_on_signal(server: Any) -> str:
    """Waits for SIGTERM or SIGINT and stops a server.

    Returns:
      The name of the signal.
    """
    received: list[str] = []
    arrived = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        received.append(signal.Signals(number).name)
        arrived.set()

    previous = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        while not arrived.wait(1.0):  # a handler runs between two waits, so none may be endless
            pass
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    server.stop()
    return received[0]


def distribute(
    dataset: tf.data.Dataset,
    address: str,
    *,
    sharding: str = "dynamic",
    job_name: str | None = None,
    compression: str | None = "AUTO",
    max_outstanding_requests: int | None = None,
    timeout: float = 30.0,
) -> tf.data.Dataset:
    """Runs a dataset on the workers of a data service; what they make arrives over the network.

    Put it after the step that makes the grids, and only `prefetch` after it:

        grids = points.map(to_grid, num_parallel_calls=tf.data.AUTOTUNE)
        dataset = pg_tf.data_service.distribute(grids, "10.0.0.7:5050").prefetch(tf.data.AUTOTUNE)

    The dataset travels to the workers as a graph. What lives in memory (`Molecules`) travels inside it, at most 2 GB;
    files are read by the workers, under the same paths.

    Args:
      dataset: up to and including the grids.
      address: "host:port" of the dispatcher.
      sharding: "dynamic": every element is made by one worker, first come first served; the order is not that of the
        dataset, and what a killed worker had not delivered is lost (each element at most once). "off": every worker
        makes the whole dataset, so w workers yield each element w times; for endless datasets that are shuffled without
        a seed.
      job_name: trainings that give the same name share the elements between them. None: this dataset has its own.
      compression: "AUTO" or "SNAPPY" compress elements for the network; None does not.
      max_outstanding_requests: elements that may be under way at a time, which bounds the memory. None leaves it to
        TensorFlow.
      timeout: seconds in which the dispatcher and a worker must answer.

    Returns:
      A dataset with the same element_spec.

    Raises:
      ValueError: if an argument is malformed, or the sharding one that cannot work across machines.
      ConnectionError: if the dispatcher or its workers do not answer in time.
      RuntimeError: if a worker makes other grids than this machine.
    """
    name = sharding.lower()
    if name in _STATIC:
        raise ValueError(
            f"sharding: {sharding!r} is static; tf.data lets a training read such shards only from a worker inside its "
            "own process, which moves no work to other machines. Use 'dynamic' or 'off' here, and for a fixed part for "
            "each machine the argument `shard` of the source's `dataset(...)`"
        )
    if name not in _POLICIES:
        raise ValueError(f"sharding: must be one of {', '.join(map(repr, _POLICIES))}, got {sharding!r}")
    if compression not in ("AUTO", "SNAPPY", None):
        raise ValueError(f"compression: must be 'AUTO', 'SNAPPY' or None, got {compression!r}")
    where = Address.parse(address)
    check(where, timeout)
    return dataset.apply(
        service.distribute(
            _POLICIES[name],
            f"{_PROTOCOL}://{where}",
            job_name=job_name,
            max_outstanding_requests=max_outstanding_requests,
            compression=compression,
        )
    )


def check(address: Address, timeout: float) -> None:
    """Has the workers of a service make one small grid each, and compares it with the same grid made here.

    Raises:
      ConnectionError: if the dispatcher or its workers do not answer in time.
      RuntimeError: if a worker cannot run the op, or makes another grid: it has another version of pg_tf.
    """
    deadline = time.monotonic() + timeout
    wait_for_dispatcher(address, timeout)
    coords = np.array([[0.3, 1.7, 0.9], [2.0, 0.2, 1.1]], np.float32)
    options: dict[str, Any] = {"grid_shape": 8, "sigma": 0.4}

    def grid(index: tf.Tensor) -> tf.Tensor:
        return voxelize(coords + 0.0 * tf.cast(index, tf.float32), **options)

    def first_grid() -> Any:
        probe = tf.data.Dataset.range(1).map(grid)
        served = probe.apply(service.distribute(service.ShardingPolicy.OFF, f"{_PROTOCOL}://{address}"))
        return next(iter(served)).numpy()

    try:
        first = _within(deadline - time.monotonic(), first_grid)
    except TimeoutError:
        raise ConnectionError(
            f"something listens at {address}, but no worker of a data service answered within {timeout:g} s. "
            f"Start some: pg-tf data-service worker --dispatcher {address}. If they run, this machine must reach their "
            "addresses: see --host"
        ) from None
    except tf.errors.OpError as error:
        raise RuntimeError(
            f"a worker of the data service at {address} cannot run pg_tf's op: {_reason(error)}. Start it by `pg-tf "
            "data-service worker`, with the pg_tf and the TensorFlow of this machine"
        ) from error
    # Instruction sets differ between machines, and with them the last bits.
    if not np.allclose(first, voxelize(coords, **options), rtol=0, atol=1e-5):
        raise RuntimeError(f"a worker of the data service at {address} makes other grids: it has another pg_tf")


def _reason(error: tf.errors.OpError) -> str:
    """What is wrong, without where in the graph it was noticed."""
    return error.message.rpartition("Failed to get element: ")[2].partition(". Make sure")[0].splitlines()[0]


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """The result of a call that cannot be interrupted, unless it takes too long.

    Raises:
      TimeoutError: if it does; the call is left behind in a thread of its own.
    """
    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            outcome["result"] = call()
        except Exception as error:
            outcome["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(max(seconds, 0.0))
    if "error" in outcome:
        raise outcome["error"]
    if "result" not in outcome:
        raise TimeoutError
    return outcome["result"]


def _check_port(port: int) -> None:
    if not 0 <= port < 65536:
        raise ValueError(f"port: must be 0 to 65535, got {port}")
