"""A dataset that the workers of a data service make, and checks that they do."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from pg_tf.data_service.address import PROTOCOL, Address, wait_for_dispatcher
from pg_tf.voxelization import voxelize

service = tf.data.experimental.service

_POLICIES = {"dynamic": service.ShardingPolicy.DYNAMIC, "off": service.ShardingPolicy.OFF}
_STATIC = ("data", "file", "file_or_data", "hint")


def distribute(
    dataset: tf.data.Dataset,
    address: str,
    *,
    sharding: str = "dynamic",
    job_name: str | None = None,
    compression: str | None = "AUTO",
    max_outstanding_requests: int | None = None,
    timeout: float = 60.0,
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
      ConnectionError: if the dispatcher or its workers do not answer in time, or make other grids than this machine.
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
            f"{PROTOCOL}://{where}",
            job_name=job_name,
            max_outstanding_requests=max_outstanding_requests,
            compression=compression,
        )
    )


def check(address: Address, timeout: float) -> None:
    """Has the workers of a service make one small grid each, and compares it with the same grid made here.

    Raises:
      ConnectionError: if the dispatcher or its workers do not answer in time, a worker cannot run the op,
        or makes another grid: it has another version of pg_tf.
    """
    deadline = time.monotonic() + timeout
    wait_for_dispatcher(address, timeout)
    coords = np.array([[0.3, 1.7, 0.9], [2.0, 0.2, 1.1]], np.float32)
    options: dict[str, Any] = {"grid_shape": 8, "sigma": 0.4}

    def grid(index: tf.Tensor) -> tf.Tensor:
        return voxelize(coords + 0.0 * tf.cast(index, tf.float32), **options)

    def first_grid() -> Any:
        probe = tf.data.Dataset.range(1).map(grid)
        served = probe.apply(service.distribute(service.ShardingPolicy.OFF, f"{PROTOCOL}://{address}"))
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
        raise ConnectionError(
            f"a worker of the data service at {address} cannot run pg_tf's op: {_reason(error)}. Start it by `pg-tf "
            "data-service worker`, with the pg_tf and the TensorFlow of this machine"
        ) from error
    # Instruction sets differ between machines, and with them the last bits.
    if not np.allclose(first, voxelize(coords, **options), rtol=0, atol=1e-5):
        raise ConnectionError(f"a worker of the data service at {address} makes other grids: it has another pg_tf")


@contextlib.contextmanager
def watched(address: str, write: Callable[[str], Any] = print, every: float = 30.0) -> Iterator[None]:
    """While the block runs, reports when a dispatcher stops answering and when it answers again.

    TensorFlow waits for it silently, and goes on when a dispatcher with the same journal is back.

    Args:
      address: "host:port" of the dispatcher.
      write: takes the lines.
      every: seconds between two looks.
    """
    where, over = Address.parse(address), threading.Event()

    def look() -> None:
        silent_since: float | None = None
        while not over.wait(every):
            try:
                wait_for_dispatcher(where, 0.0)
            except ConnectionError:
                silent_since = time.monotonic() - every if silent_since is None else silent_since
                seconds = time.monotonic() - silent_since
                write(f"the data service at {where} has not answered for {seconds:.0f} s; training waits for it")
            else:
                if silent_since is not None:
                    write(f"the data service at {where} answers again")
                silent_since = None

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


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
