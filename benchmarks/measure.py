"""Timing. What is compared takes turns in one run, so that a ratio holds although the speed of a machine changes from
second to second."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping

# Does its work once and returns the seconds that took: here, or in another process.
Timed = Callable[[], float]

_TOO_SLOW = 10


@dataclasses.dataclass(frozen=True)
class Timing:
    """What one side of a comparison took.

    Attributes:
      best: seconds of the fastest run: what the machine can do when nothing disturbs it. All tables show this one.
      median: seconds of the typical run.
      first: seconds of the first run, with caches cold and memory fresh; not part of the two others.
      runs: how many the two others are taken from.
    """

    best: float
    median: float
    first: float
    runs: int


def timed(work: Callable[[], object]) -> Timed:
    """Wraps a function that is to be timed in this process."""

    def run() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return run


def interleave(runs: Mapping[str, Timed], seconds: float) -> dict[str, Timing]:
    """Times what is compared, in turns.

    The next to run is always the one that has had the least time: equally fast ones alternate, slow ones run less
    often.

    Args:
      runs: what is compared, by name.
      seconds: time that each of them gets, and three runs at least; one whose first run takes _TOO_SLOW times as long
        is not run again.

    Returns:
      A `Timing` for each name.
    """
    first = {name: run() for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [took] if took > _TOO_SLOW * seconds else [] for name, took in first.items()}
    spent = {name: sum(taken) for name, taken in times.items()}
    least = {name: 1 if took > _TOO_SLOW * seconds else 3 for name, took in first.items()}
    while waiting := [name for name in runs if spent[name] < seconds or len(times[name]) < least[name]]:
        name = min(waiting, key=spent.__getitem__)
        times[name].append(runs[name]())
        spent[name] += times[name][-1]
    return {
        name: Timing(min(taken), statistics.median(taken), first[name], len(taken)) for name, taken in times.items()
    }
