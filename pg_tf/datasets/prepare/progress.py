"""The bar that a preparation shows."""

from __future__ import annotations

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Bar:
    """A progress bar over the bytes of a source, with the molecules made and the time that is left.

    Args:
      total: bytes of the source; None shows nothing.
      title: before the bar.
    """

    def __init__(self, total: int | None, title: str) -> None:
        self.molecules = 0
        self.bar = Progress(
            TextColumn(title),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[molecules]:,} molecules "),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
            disable=total is None,
        )
        self.task = self.bar.add_task(title, total=total, molecules=0)

    def __enter__(self) -> Bar:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def advance(self, size: int, molecules: int) -> None:
        """Adds bytes of the source that are done, and the molecules that were made of them."""
        self.molecules += molecules
        self.bar.update(self.task, advance=size, molecules=self.molecules)
