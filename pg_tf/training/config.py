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
from pg_tf.training import architectures

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


def _with_model(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that name no model and have a depth or a width are of a 3D-ResNet."""
    settings = dict(settings)
    if "model" not in settings and settings.keys() & {"depth", "width"}:
        depth, width = settings.pop("depth", 10), settings.pop("width", 64)
        settings["model"] = f"resnet3d{depth}"
        settings["network"] = {**settings.get("network", {}), **({} if width == 64 else {"width": width})}
    return settings


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
    grid_size: int | None = Field(default=32, ge=1)
    """Voxels along each side; none for as many as the training molecules need."""
    sigma: float = Field(default=0.4, gt=0)
    """Standard deviation of an atom's Gaussian, Å."""
    box: float | None = Field(default=None, gt=0)
    """Edge of the cube around every molecule, Å; none fits a cube to each molecule."""
    voxel: float | None = Field(default=None, gt=0)
    """Edge of a voxel, Å, which makes all boxes alike; none where the box decides."""
    margin: float = Field(default=2.0, ge=0)
    """Space around the atoms in boxes that follow from the molecules, Å."""
    # Random motions in training.
    rotation: bool = False
    """Rotate every molecule at random, anew in every epoch."""
    translation: float = Field(default=0.0, ge=0)
    """Largest random shift along each axis, Å; anew in every epoch."""
    # Network.
    model: str = "resnet3d10"
    """A network of `pg_tf.models`, or "module:function" for a function that returns a Keras model."""
    network: dict[str, Any] = Field(default_factory=dict, strict=False)
    """Arguments of the network's function, as name=value."""
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16", "float64"] = "float32"
    """Keras dtype policy of the network."""
    jit_compile: bool | None = None
    """Compile the network with XLA, on a single device; if left out, only for an accelerator."""
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
    """Decoupled weight decay, as in AdamW; not of biases and of normalisations."""
    beta_2: float = Field(default=0.999, ge=0, lt=1)
    """Memory of Adam's mean of squared gradients."""
    clipnorm: float | None = Field(default=None, ge=0)
    """Largest norm of the gradient of a weight; larger ones are scaled down to it."""
    global_clipnorm: float | None = Field(default=None, ge=0)
    """The same for all weights together."""
    average: float | None = Field(default=None, gt=0, lt=1)
    """Memory of a running mean of the weights, which is what is validated and kept; none keeps the weights."""
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
        if self.voxel is not None and self.box is not None:
            raise ValueError(f"voxel: with voxels of {self.voxel} Å the box follows from --grid-size; leave one out")
        if self.voxel is None and self.grid_size is None:
            raise ValueError("grid_size: only with --voxel can it follow from the molecules; give a number")
        self.fractions()
        architectures.check_name(self.model)
        for name in ("input_shape", "outputs"):
            if name in self.network:
                raise ValueError(f"network: {name!r} follows from the other settings; leave it out")
        self.element_channels()
        return self

    @property
    def edge(self) -> float | None:
        """Edge of the box that all molecules share, Å; None where it is fitted to each, or not known yet."""
        if self.voxel is not None:
            return None if self.grid_size is None else self.voxel * self.grid_size
        return self.box

    def changed(self, settings: Mapping[str, Any]) -> Config:
        """A copy with other settings; another model begins without arguments.

        Raises:
          ValueError: as the constructor.
        """
        settings = _with_model(settings)
        if settings.get("model", self.model) != self.model:
            settings = {"network": {}, **settings}
        return type(self)(**{**dataclasses.asdict(self), **settings})

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
        return cls(**_with_model(settings))

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
            return (base or cls()).changed(settings)
        except ValueError as error:
            raise ValueError(f"config: {path}: {error}") from error


SETTINGS: Mapping[str, FieldInfo] = Config.__pydantic_fields__  # type: ignore[attr-defined]
"""Annotation, default and description of each setting, by name."""

PAPER = Config()
"""Zaman et al., "ParticleGrid: Enabling Deep Learning using 3D Representation of Materials" (2022), section VII."""


def _invariant(*, voxel: float, sigma: float, voxels: int, empty: float, epochs: int) -> Config:
    """A recipe of the network of invariants, for voxels of so many Å; docs/results.md has what it was chosen by."""

    def reach(*lengths: float) -> list[float]:
        """Lengths in Å, which are those of molecules, as the network takes them: in voxels."""
        return [round(length / voxel, 4) for length in lengths]

    return Config(
        splits=None,
        channels=("C", "N", "O", "S", "F", "Cl", "Br", "H"),
        grid_size=None,
        voxel=voxel,
        sigma=sigma,
        margin=1.0,
        rotation=True,
        translation=voxel / 2,
        model="invariant3d",
        network={
            "voxels": voxels,
            "empty": empty,
            "channel_reach": reach(0.6, 1.0, 1.6),
            "reach": reach(0.7, 1.2, 2.0),
        },
        jit_compile=True,
        loss="mae",
        optimizer="adamw",
        learning_rate=2e-3,
        schedule="cosine",
        warmup=0.03,
        weight_decay=1e-2,
        beta_2=0.99,
        global_clipnorm=1.0,
        average=0.995,
        batch_size=32,
        epochs=epochs,
    )


SMALL = _invariant(voxel=0.85, sigma=0.5, voxels=192, empty=0.0, epochs=40)
"""For some thousand molecules of about ten heavy atoms, and two CPU cores: a network of invariants."""

QUICK = _invariant(voxel=1.0, sigma=0.65, voxels=224, empty=0.03, epochs=24)
"""The same in coarser voxels, for larger molecules and in minutes: what `pg-tf demo` trains."""

RECIPES = {"paper": PAPER, "small": SMALL, "quick": QUICK}
