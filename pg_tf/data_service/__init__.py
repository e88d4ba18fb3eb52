"""Grids made on other machines: the tf.data service, with the op loaded wherever a dataset runs.

A dispatcher hands out the work, any number of workers run the pipeline up to the grids, and a training reads finished
batches from them over the network. docs/scaling.md says when that is worth it and what survives what.
"""

from pg_tf.data_service.address import DEFAULT_PORT, Address, wait_for_dispatcher
from pg_tf.data_service.client import check, distribute, watched
from pg_tf.data_service.servers import dispatcher, stop_on_signal, worker

__all__ = [
    "DEFAULT_PORT",
    "Address",
    "check",
    "dispatcher",
    "distribute",
    "stop_on_signal",
    "wait_for_dispatcher",
    "watched",
    "worker",
]
