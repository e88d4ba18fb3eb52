"""Where a dispatcher listens, and whether it does."""

from __future__ import annotations

import dataclasses
import socket
import time

DEFAULT_PORT = 5050

PROTOCOL = "grpc"
"""The only protocol of the tf.data service in TensorFlow's open-source builds."""


@dataclasses.dataclass(frozen=True)
class Address:
    """Where a dispatcher listens.

    Attributes:
      host: name or IP address; an IPv6 address without its brackets.
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
        rest = text.removeprefix(f"{PROTOCOL}://")
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

    TensorFlow itself would try for an hour or for ever, and say nothing.

    Args:
      address: of the dispatcher.
      timeout: seconds.

    Returns:
      The IP address of this machine, as the dispatcher sees it.

    Raises:
      ConnectionError: if nothing listens there within the time.
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
