"""`pg-tf data-service dispatcher` and `pg-tf data-service worker`."""

from typing import Annotated

import typer

from pg_tf.commands._common import errors_of

app = typer.Typer(
    help="Makes grids on other machines: one dispatcher, any number of workers.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command()
def dispatcher(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 for any free one.")] = 5050,
    work_dir: Annotated[
        str | None,
        typer.Option(help="Folder of a journal, from which a restarted dispatcher continues; no journal if left out."),
    ] = None,
    worker_timeout: Annotated[
        float, typer.Option(min=1.0, help="Seconds without a sign of life after which a worker counts as lost.")
    ] = 60.0,
) -> None:
    """Hands out the work, until SIGTERM or SIGINT. One dispatcher serves all workers and trainings."""
    with errors_of("data-service dispatcher"):
        from pg_tf import data_service

        server = data_service.dispatcher(port, work_dir, worker_timeout=worker_timeout)
        bound = server.target.rpartition(":")[2]
        kept = f"journal in {work_dir}" if work_dir else "no journal: it cannot go on after a restart"
        _say(f"dispatcher listening at port {bound}, {kept}")
        _say(f"dispatcher stopped by {data_service.stop_on_signal(server)}")


@app.command()
def worker(
    dispatcher: Annotated[str, typer.Option(help="HOST:PORT of the dispatcher.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 for any free one.")] = 0,
    host: Annotated[
        str | None,
        typer.Option(
            help="Name or IP address of this machine for trainings; if left out, the address the dispatcher sees."
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the dispatcher.")] = 60.0,
) -> None:
    """Makes grids, until SIGTERM or SIGINT. Start one on each machine: it uses all cores."""
    with errors_of("data-service worker"):
        from pg_tf import data_service

        server, address = data_service.worker(dispatcher, port, host=host, timeout=timeout)
        _say(f"worker listening at {address}, dispatcher {dispatcher}, pg_tf's op loaded")
        _say(f"worker stopped by {data_service.stop_on_signal(server)}")


def _say(line: str) -> None:
    print(f"pg-tf data-service: {line}", flush=True)
