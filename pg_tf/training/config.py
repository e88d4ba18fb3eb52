"""What decides the result of a training, all of it, and the named recipes."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from pydantic.fields import FieldInfo

from pg_tf.elements import ElementChannels

_T = TypeVar("_T", bound=type)


def _joined(splits: Any) -> Any:
    """Fractions as text: a JSON file may hold them as a list."""
    return ",".join(map(str, splits)) if isinstance(splits, (list, tuple)) else splits


def _in_one_line(config: _T) -> _T:
    """Has the constructor of a pydantic dataclass raise a ValueError of one line: setting, what is allowed, value."""
    construct = config.__init__  # type: ignore[misc]

    @functools.wraps(construct)
    def checked(self: Any, *arguments: Any, **settings: Any) -> None:
        try:
            construct(self, *arguments, **settings)
        except ValidationError as error:
            raise ValueError(_first_of(error)) from None

    config.__init__ = checked  # type: ignore[misc]
    return config


def _first_of(error: ValidationError) -> str:
    first = error.errors()[0]
    if first["type"] == "value_error":  # of `Config._check_together`
        return str(first["ctx"]["error"])
    name = str(first["loc"][0])
    if first["type"] == "unexpected_keyword_argument":
        return f"{name}: there is no such setting; there are {', '.join(SETTINGS)}"
    allowed = first["msg"].replace("Input should be", "must be")
    allowed = allowed.replace("greater than or equal to", "at least").replace("less than or equal to", "at most")
    or_none = " or none" if type(None) in get_args(SETTINGS[name].annotation) else ""
    return f"{name}: {allowed}{or_none}, got {first['input']!r}"


@_in_one_line
@dataclass(
    frozen=True,
    config=ConfigDict(strict=True, allow_inf_nan=False, extra="forbid", use_attribute_docstrings=True),
)
class Config:
    """Everything that decides what a training learns; the default is the recipe "paper".

    Two trainings with equal configs on equal data give equal weights, up to rounding; with `deterministic`, to the last
    bit. What only decides how a training is run (checkpoints, machines) is an argument of `pg_tf.training.train`.

    Raises:
      ValueError: if a setting is out of range; the text names it and its value.
    """

    # Data.
    data: str = "sample"
    """The shipped "sample", a folder made by `pg-tf prepare`, or a file (.sdf, .csv, ...)."""
    label: str | None = None
    """Property or column of the file that is learned."""
    unit: str | None = None
    """Unit of the label, for reports; that of the data if left out."""
    splits: Annotated[str | None, BeforeValidator(_joined)] = "0.9,0.05,0.05"
    """Fractions of a random split into train, validation and test, or "official" for the split that the data has."""
    # Grids.
    channels: tuple[str, ...] = Field(default=(), strict=False)
    """Element symbols, one a channel; none for one channel for all elements."""
    other: bool = True
    """A last channel for elements that are not in --channels, which are refused otherwise."""
    grid_size: int = Field(default=32, ge=1)
    """Voxels along each side."""
    sigma: float = Field(default=0.4, gt=0)
    """Standard deviation of an atom's Gaussian, Å."""
    box: float | None = Field(default=None, gt=0)
    """Edge of the cube around every molecule, Å; none fits a cube to each molecule."""
    margin: float = Field(default=2.0, ge=0)
    """Space around the atoms in fitted boxes, Å."""
    # Random motions in training.
    rotation: bool = False
    """Rotate every molecule at random, anew in every epoch."""
    translation: float = Field(default=0.0, ge=0)
    """Largest random shift along each axis, Å; anew in every epoch."""
    # Network.
    depth: Literal[10, 18, 34, 50] = 10
    """Layers of the 3D-ResNet."""
    width: int = Field(default=64, ge=1)
    """Channels of the network's first stage."""
    network: dict[str, Any] = Field(default_factory=dict, strict=False)
    """More arguments of `pg_tf.models.resnet3d`, as name=value."""
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16", "float64"] = "float32"
    """Keras dtype policy of the network."""
    jit_compile: bool | None = None
    """Compile the network with XLA; if left out, only for an accelerator."""
    # Optimisation.
    loss: Literal["mse", "mae", "huber"] = "mse"
    """Loss, in the unit of the label."""
    optimizer: Literal["rmsprop", "adam", "adamw", "sgd"] = "rmsprop"
    """Keras optimizer."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Learning rate at its highest: at the start, or after the warm-up."""
    schedule: Literal["constant", "exponential", "cosine"] = "exponential"
    """How the learning rate falls: constant, exponential or cosine."""
    decay: float = Field(default=0.999, gt=0)
    """Factor of the learning rate from epoch to epoch in the exponential schedule."""
    warmup: float = Field(default=0.05, ge=0)
    """Share of the training in which the cosine schedule raises the learning rate from 0."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay, as in AdamW."""
    clipnorm: float | None = Field(default=None, ge=0)
    """Largest norm of the gradient of a weight; larger ones are scaled down to it."""
    batch_size: int = Field(default=256, ge=1)
    """Molecules in a step, on all machines together."""
    epochs: int = Field(default=400, ge=1)
    """Passes over the training molecules."""
    patience: int | None = Field(default=None, ge=1)
    """Training stops after this many epochs without an improvement of the monitor."""
    max_minutes: float | None = Field(default=None, gt=0)
    """Minutes for the whole training: if they are over before the epochs, the cosine schedule ends with them."""
    monitor: Literal["val_loss", "val_mae", "val_mse"] = "val_loss"
    """The model of the epoch in which this is lowest is kept."""
    # Chance.
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    """Random seed of the split, first weights, order of the molecules and their motions."""
    deterministic: bool = False
    """TensorFlow's deterministic ops: the same bits in every run, but slower."""

    @model_validator(mode="after")
    def _check_together(self) -> Config:
        """What depends on more than one setting, or on more than its type and range."""
        if self.max_minutes is not None and self.schedule != "cosine":
            raise ValueError(f"max_minutes: anneals the cosine schedule only, and schedule is {self.schedule!r}")
        if self.max_minutes is None and self.warmup >= 1:
            raise ValueError(f"warmup: must be a part of the training, less than 1, got {self.warmup}")
        self.fractions()
        for name in ("width", "input_shape", "outputs"):
            if name in self.network:
                raise ValueError(f"network: {name!r} follows from the other settings; leave it out")
        self.element_channels()
        return self

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
        """The content of a config.json."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Config:
        """A config of some settings; those left out have their defaults.

        Raises:
          ValueError: if there is no such setting, or as the constructor.
        """
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


SETTINGS: Mapping[str, FieldInfo] = Config.__pydantic_fields__  # type: ignore[attr-defined]
"""Annotation, default and description of each setting, by name."""

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

ISOTROPIC = dataclasses.replace(
    SMALL,
    channels=("C", "N", "O", "H", "F", "S", "Cl", "Br"),
    grid_size=16,
    sigma=0.45,
    box=10.4,
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
    epochs=30,
)
"""The best found for molecules of up to 10 Å and two CPU cores: kernels that look the same from all sides, in voxels of
0.65 Å; docs/results.md has its errors. Larger molecules need a larger box, and a grid size in proportion."""

RECIPES = {"paper": PAPER, "small": SMALL, "isotropic": ISOTROPIC}
