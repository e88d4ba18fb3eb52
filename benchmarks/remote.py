"""Runs in another process, timed in turns with runs here. A process decides some things only once (its number of
threads, its instruction set), and others it cannot hold at all (packages that need another NumPy).

The worker prepares its runs, says so, and does one whenever it is told to. Both sides write one JSON value a line. This
module uses the standard library only, because the published voxelizers import it under a Python of their own.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.measure import Timed

ROOT = Path(__file__).parent.parent

# What a module that runs in a worker offers as `prepare(task)`: its runs by name, and what it says about itself.
Prepared = tuple[dict[str, Callable[[], object]], dict[str, Any]]


class WorkerFailed(Exception):
    """A worker did not come up or died. The text is the end of what it said."""


class Worker:
    """A process that does the runs of `benchmarks.<module>`. A context manager: leaving it ends the process.

    Args:
      module: below `benchmarks`; has a function `prepare`.
      task: for `prepare`; whatever JSON can hold.
      python: the interpreter.
      environment: variables on top of this process's.

    Attributes:
      about: what `prepare` said.
      names: the runs.

    Raises:
      WorkerFailed: if it cannot be prepared.
    """

    def __init__(
        self,
        module: str,
        task: Mapping[str, Any],
        python: str | Path = sys.executable,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._words = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            [str(python), "-m", "benchmarks.remote", module],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            text=True,
        )
        try:
            ready = self._ask(task)
        except WorkerFailed:
            self.close()
            raise
        self.about: dict[str, Any] = ready["about"]
        self.names: list[str] = ready["names"]

    def timed(self, name: str) -> Timed:
        """One of its runs, with the time that it takes over there."""
        return lambda: float(self._ask(name))

    def close(self) -> None:
        """Ends the process."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self._process.communicate(timeout=10)
        self._process.kill()
        self._process.wait()
        self._words.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, question: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        answer = ""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        if answer:
            return json.loads(answer)
        self._process.wait()
        self._words.seek(0)
        last = [line.strip() for line in self._words.read().splitlines() if line.strip()]
        raise WorkerFailed(last[-1] if last else f"ended with status {self._process.returncode}, without a word")


def _serve(module: str) -> None:
    # Whatever a package prints goes to stderr; stdout is for the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(value: Any) -> None:
        print(json.dumps(value), file=answers, flush=True)

    task = json.loads(sys.stdin.readline())
    runs, about = importlib.import_module(f"benchmarks.{module}").prepare(task)
    answer({"names": list(runs), "about": about})
    for line in sys.stdin:
        run = runs[json.loads(line)]
        start = time.perf_counter()
        run()
        answer(time.perf_counter() - start)


if __name__ == "__main__":
    _serve(sys.argv[1])
