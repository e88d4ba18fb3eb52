"""The dispatcher and the workers of a data service, in this process."""

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import tensorflow as tf

from pg_tf import _library
from pg_tf.data_service.address import DEFAULT_PORT, PROTOCOL, Address, wait_for_dispatcher

service = tf.data.experimental.service


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
                protocol=PROTOCOL,
                work_dir=None if work_dir is None else str(work_dir),
                fault_tolerant_mode=work_dir is not None,
                worker_timeout_ms=round(1000 * worker_timeout),
                # How often TensorFlow looks for lost workers: by its default it finds them minutes late.
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
      host: name or IP address under which trainings reach this machine. None is the address by which it reaches the
        dispatcher, which is right unless addresses are translated (NAT) between them.
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
                protocol=PROTOCOL,
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


def _check_port(port: int) -> None:
    if not 0 <= port < 65536:
        raise ValueError(f"port: must be 0 to 65535, got {port}")
