"""An experiment: everything that decides what a network learns, except the seed."""

from __future__ import annotations

import dataclasses
from typing import Any

from pg_tf.training import Config


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A training whose seed is still open.

    Attributes:
      source: "qm9", "pcqm4mv2" or "sample"; see `studies.data`.
      num_train: molecules to train on.
      config: grid, network and training. Its `data`, `splits` and `seed` have no effect: `source` and
        `studies.data.split` take their place.
      pretrain: another experiment, whose trained weights this one starts from; both networks must have weights of the
        same shapes.
    """

    source: str
    num_train: int
    config: Config
    pretrain: Experiment | None = None

    def replace(self, **changes: Any) -> Experiment:
        """A copy with some attributes or settings of the config changed; `network` adds to what is there."""
        own = {name: changes.pop(name) for name in ("source", "num_train", "pretrain") if name in changes}
        if "network" in changes:
            changes["network"] = {**self.config.network, **changes["network"]}
        return dataclasses.replace(self, **own, config=dataclasses.replace(self.config, **changes))
