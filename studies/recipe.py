"""What a row of the results is: data, grid, network and training, all of it declared."""

from __future__ import annotations

import dataclasses
from typing import Any

from pg_tf.training import Config


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A training but for its seed.

    Attributes:
      source: "qm9", "pcqm4mv2" or "sample"; see `studies.data`.
      num_train: molecules to train on.
      config: grid, network and training. Its `data`, `splits` and `seed` are not looked at.
      pretrain: another recipe, whose weights this one starts from; the networks must have weights of the same shapes.
    """

    source: str
    num_train: int
    config: Config
    pretrain: Recipe | None = None

    def replace(self, **changes: Any) -> Recipe:
        """This recipe with some of it or of its config changed; `network` is merged with what is there."""
        own = {name: changes.pop(name) for name in ("source", "num_train", "pretrain") if name in changes}
        if "network" in changes:
            changes["network"] = {**self.config.network, **changes["network"]}
        return dataclasses.replace(self, **own, config=dataclasses.replace(self.config, **changes))
