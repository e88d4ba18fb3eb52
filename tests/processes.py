"""The command pg-tf, and programs in processes of their own, which talk to each other."""

from __future__ import annotations

import contextlib
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

PG_TF = (sys.executable, str(Path(__file__).parents[1] / "scripts" / "pg-tf"))
COMMAND = runpy.run_path(PG_TF[1])
app = COMMAND["app"]
"""The command, for `typer.testing.CliRunner`."""

# Generous: TensorFlow alone takes many seconds to start on a loaded machine.
PATIENCE = 240.0


class Program:
    """A program that runs beside the test; what it prints is in `output`.

    Args:
      log: file for what it prints.
      command: its words.
      cwd: folder it runs in.
      **environment: added to that of the test.
    """

    def __init__(self, log: Path, *command: str, cwd: Path | None = None, **environment: str) -> None:
        self._log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                command,
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=cwd,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", **environment},
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Waits until it has printed what matches."""
        deadline = time.monotonic() + PATIENCE
        while not (match := re.search(pattern, self.output)):
            ended = self.process.poll()
            assert ended is None, f"ended with status {ended} before {pattern!r}:\n{self.output[-4000:]}"
            assert time.monotonic() < deadline, f"no {pattern!r} in {PATIENCE} s:\n{self.output[-4000:]}"
            time.sleep(0.05)
        return match

    def wait(self) -> int:
        """Waits for its end; the exit status."""
        return self.process.wait(PATIENCE)

    def terminate(self) -> int:
        """SIGTERM; the exit status."""
        self.process.terminate()
        return self.wait()

    def kill(self) -> None:
        """SIGKILL, to all that it started as well."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
