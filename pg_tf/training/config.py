"""What decides the result of a training, all of it, and the named recipes."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from pg_tf.elements import ElementChannels

_CHOICES = {
    "depth": (10, 18, 34, 50),
    "loss": ("mse", "mae", "huber"),
    "optimizer": ("rmsprop", "adam", "adamw", "sgd"),
    "schedule": ("constant", "exponential", "cosine"),
    "precision": ("float32", "mixed_float16", "mixed_bfloat16", "float64"),
    "monitor": ("val_loss", "val_mae", "val_mse"),
}
_AT_LEAST = {
    "grid_size": 1,
    "margin": 0,
    "translation": 0,
    "width": 1,
    "weight_decay": 0,
    "warmup": 0,
    "batch_size": 1,
    "epochs": 1,
    "clipnorm": 0,
    "patience": 1,
    "seed": 0,
}
_AT_MOST = {"seed": 2**32 - 1}
_ABOVE_ZERO = ("sigma", "box", "learning_rate", "decay", "max_minutes")


def _setting(default: Any, help: str) -> Any:
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata={"help": help})
    return dataclasses.field(default=default, metadata={"help": help})


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides what a training learns; the default is the recipe "paper".

    Two trainings with equal configs on equal data give equal weights, up to the rounding that `deterministic` takes
    away. What only decides how a training is run (checkpoints, machines) is an argument of `pg_tf.training.train`.

    Raises:
      ValueError: if a setting is out of range; the text names it and its value.
    """

    # Data.
    data: str = _setting("sample", '"sample", a folder made by `pg-tf prepare`, or a file (.sdf, .csv, ...).')
    label: str | None = _setting(None, "Property or column of the file that is learned.")
    unit: str | None = _setting(None, "Unit of the label, for reports; that of the data if left out.")
    splits: str | None = _setting(
        "0.9,0.05,0.05",
        "Fractions of a random split into train, validation and test; official for the one that the data comes in.",
    )
    # Grids.
    channels: tuple[str, ...] = _setting((), "Element symbols, one a channel; none for one channel for all elements.")
    other: bool = _setting(True, "A last channel for elements that are not in --channels, which are refused otherwise.")
    grid_size: int = _setting(32, "Voxels along each side.")
    sigma: float = _setting(0.4, "Standard deviation of an atom's Gaussian, Å.")
    box: float | None = _setting(None, "Edge of the cube around every molecule, Å; none fits one to each molecule.")
    margin: float = _setting(2.0, "Space around the atoms in fitted boxes, Å.")
    # Random motions in training.
    rotation: bool = _setting(False, "Turns every molecule anew in every epoch.")
    translation: float = _setting(0.0, "Largest shift along each axis, new in every epoch, Å.")
    # Network.
    depth: int = _setting(10, "Layers of the 3D-ResNet.")
    width: int = _setting(64, "Channels of its first stage.")
    network: Mapping[str, Any] = _setting({}, "More arguments of `pg_tf.models.resnet3d`, as name=value.")
    precision: str = _setting("float32", "Keras dtype policy of the network.")
    jit_compile: bool | None = _setting(None, "XLA for the network; if left out, where there is an accelerator.")
    # Optimisation.
    loss: str = _setting("mse", "Loss, in the unit of the label.")
    optimizer: str = _setting("rmsprop", "Keras optimizer.")
    learning_rate: float = _setting(1e-3, "The highest learning rate.")
    schedule: str = _setting("exponential", "How the learning rate falls.")
    decay: float = _setting(0.999, "Factor an epoch of the exponential schedule.")
    warmup: float = _setting(0.05, "Part of the cosine schedule that warms up.")
    weight_decay: float = _setting(0.0, "Decoupled weight decay.")
    clipnorm: float | None = _setting(None, "Largest norm of a weight's gradient.")
    batch_size: int = _setting(256, "Molecules a step, over all machines.")
    epochs: int = _setting(400, "Passes over the training molecules.")
    patience: int | None = _setting(None, "Stops after this many epochs without a better validation.")
    max_minutes: float | None = _setting(None, "Anneals and stops by the clock where that is sooner; cosine only.")
    monitor: str = _setting("val_loss", "What is least in the model that is kept.")
    # Chance.
    seed: int = _setting(0, "Of split, start, order and motions.")
    deterministic: bool = _setting(False, "TensorFlow's deterministic ops: the same bits in every run, slower.")

    def __post_init__(self) -> None:
        # As JSON has them.
        if isinstance(self.channels, list):
            object.__setattr__(self, "channels", tuple(self.channels))
        if isinstance(self.splits, (list, tuple)):
            object.__setattr__(self, "splits", ",".join(map(str, self.splits)))
        for field in dataclasses.fields(self):
            self._check(field.name, getattr(self, field.name))
        object.__setattr__(self, "network", dict(self.network))
        if self.max_minutes is not None and self.schedule != "cosine":
            raise ValueError(f"max_minutes: anneals the cosine schedule only, and schedule is {self.schedule!r}")
        if self.max_minutes is None and self.warmup >= 1:
            raise ValueError(f"warmup: must be a part of the training, less than 1, got {self.warmup}")
        self.fractions()
        for name in ("width", "input_shape", "outputs"):
            if name in self.network:
                raise ValueError(f"network: {name!r} follows from the other settings; leave it out")
        self.element_channels()

    def _check(self, name: str, value: Any) -> None:
        if not any(_is_a(kind, value) for kind in _kinds(name)):
            wanted = " or ".join(_IN_WORDS[kind] for kind in _kinds(name))
            raise ValueError(f"{name}: must be {wanted}, got {value!r}")
        if name in _CHOICES and value not in _CHOICES[name]:
            raise ValueError(f"{name}: must be one of {', '.join(map(str, _CHOICES[name]))}, got {value!r}")
        if value is None:
            return
        if name in _AT_MOST and value > _AT_MOST[name]:
            raise ValueError(f"{name}: must be at most {_AT_MOST[name]}, got {value!r}")
        if name in _AT_LEAST and value < _AT_LEAST[name]:
            raise ValueError(f"{name}: must be at least {_AT_LEAST[name]}, got {value!r}")
        if name in _ABOVE_ZERO and value <= 0:
            raise ValueError(f"{name}: must be greater than 0, got {value!r}")

    def element_channels(self) -> ElementChannels:
        """The channel of each element."""
        if not self.channels:
            return ElementChannels.single()
        return ElementChannels(self.channels, unknown="other" if self.other else None)

    def fractions(self) -> tuple[float, ...] | str | None:
        """`splits` as `pg_tf.datasets.load` takes it.

        Raises:
          ValueError: if it is neither "official" nor three numbers.
        """
        if self.splits is None or self.splits == "official":
            return self.splits
        try:
            fractions = tuple(float(text) for text in self.splits.split(","))
        except ValueError:
            fractions = ()
        if len(fractions) != 3:
            raise ValueError(f'splits: must be "official" or fractions such as "0.9,0.05,0.05", got {self.splits!r}')
        return fractions

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Config:
        """A config of some settings; those left out have their defaults.

        Raises:
          ValueError: if there is no such setting, or as the constructor.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        for name in settings:
            if name not in names:
                raise ValueError(f"{name}: there is no such setting; there are {', '.join(names)}")
        return cls(**settings)

    @classmethod
    def load(cls, path: str | os.PathLike[str], base: Config | None = None) -> Config:
        """Reads a JSON file with settings, such as the config.json of a run; those left out are as in `base`.

        Raises:
          ValueError: if the file is not such a file.
          OSError: if it cannot be read.
        """
        try:
            settings = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"config: {path} is not a JSON file: {error}") from error
        if not isinstance(settings, dict):
            raise ValueError(f"config: {path} must hold a JSON object with settings")
        try:
            return cls.from_dict({**(dataclasses.asdict(base) if base else {}), **settings})
        except ValueError as error:
            raise ValueError(f"config: {path}: {error}") from error


_IN_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "text",
    tuple: "a list of texts",
    Mapping: "a mapping",
    type(None): "none",
}


@functools.cache
def _kinds(name: str) -> tuple[Any, ...]:
    """The types that a setting may have, from its annotation."""
    annotation = get_type_hints(Config)[name]
    alternatives = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return tuple(get_origin(kind) or kind for kind in alternatives)


def _is_a(kind: Any, value: Any) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is tuple:
        return isinstance(value, tuple) and all(isinstance(part, str) for part in value)
    # collections.abc.Mapping of the annotation, and the others as they are.
    return isinstance(value, kind)


PAPER = Config()
"""Zaman et al., "ParticleGrid: Enabling Deep Learning using 3D Representation of Materials" (2022), section VII."""

SMALL = Config(
    splits=None,
    channels=("C", "N", "O", "S", "F", "Cl", "Br", "H"),
    grid_size=24,
    rotation=True,
    width=16,
    network={"stem_kernel": 5},
    loss="huber",
    optimizer="adamw",
    learning_rate=3e-3,
    schedule="cosine",
    weight_decay=1e-2,
    clipnorm=1.0,
    batch_size=64,
    epochs=24,
)
"""For some thousand molecules and two CPU cores."""

ISOTROPIC = Config(
    splits=None,
    channels=("C", "N", "O", "H", "F", "S", "Cl", "Br"),
    grid_size=16,
    sigma=0.45,
    box=10.4,
    rotation=True,
    width=32,
    network={
        "blocks": [1, 1],
        "stem_kernel": 5,
        "stem_pool": False,
        "isotropic": True,
        "preactivation": True,
        "hidden_activation": "silu",
    },
    loss="mae",
    optimizer="adamw",
    learning_rate=3e-3,
    schedule="cosine",
    weight_decay=1e-2,
    clipnorm=1.0,
    batch_size=64,
    epochs=30,
)
"""The best found for molecules of up to 10 Å and two CPU cores: kernels that look the same from all sides, in voxels of
0.65 Å; docs/results.md has its errors. Larger molecules need a larger box, and a grid size in proportion."""

RECIPES = {"paper": PAPER, "small": SMALL, "isotropic": ISOTROPIC}
