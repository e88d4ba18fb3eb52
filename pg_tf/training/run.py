"""The folder of a run: what a training leaves behind, and all that predicting needs."""

import contextlib
import csv
import dataclasses
import fcntl
import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras

from pg_tf._files import whole, write_whole
from pg_tf.training.architectures import import_own_layers
from pg_tf.training.config import Config


def _inside(name: str) -> property:
    """The path of a file or folder inside that of a run."""

    def path(run: Any) -> Path:
        return run.folder / name

    return property(path)


@dataclasses.dataclass(frozen=True)
class Run:
    """The folder of a run.

    | file | |
    |---|---|
    | `config.json` | all settings |
    | `data.json` | what the data was: counts, statistics of the label, elements |
    | `best.keras` | the best model, a Keras file, for grids `[B, n, n, n, C]`; with copies of the two above |
    | `history.csv` | a row an epoch |
    | `tensorboard/` | the same for TensorBoard, where that is installed |
    | `checkpoints/` | the state of the training, to go on from |
    | `result.json` | there when the training is finished: how it ended |
    | `evaluation.json` | written by `evaluate` |
    """

    folder: Path
    config_path = _inside("config.json")
    model_path = _inside("best.keras")
    history_path = _inside("history.csv")
    result_path = _inside("result.json")
    data_path = _inside("data.json")
    checkpoints = _inside("checkpoints")
    tensorboard = _inside("tensorboard")
    evaluation_path = _inside("evaluation.json")

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        object.__setattr__(self, "folder", Path(folder))

    def config(self) -> Config:
        """The settings of the run.

        Raises:
          ValueError: if the folder holds no run.
        """
        self._check_there(self.config_path)
        return Config.load(self.config_path)

    def data(self) -> dict[str, Any]:
        """What the data was, as in data.json.

        Raises:
          ValueError: if there is no such file, or it is damaged.
        """
        self._check_there(self.data_path)
        return _read_json(self.data_path)

    def _check_there(self, path: Path) -> None:
        if not path.is_file():
            raise ValueError(f"model: {self.folder} is not the folder of a run: it has no {path.name}")

    def check_config(self, config: Config) -> Config:
        """The config, with the grid size of the run in the folder where it leaves that to the data.

        A run that ended before its first checkpoint does not count: there is nothing to continue.

        Raises:
          ValueError: if the folder holds a run with another config; names the settings that differ.
        """
        if not self.config_path.is_file():
            if self.has_begun():
                raise ValueError(
                    f"output: {self.folder} holds files of a run and no {self.config_path.name} that says of which. "
                    "Choose another folder, or remove them"
                )
            return config
        there = self.config()
        if not self.has_begun():
            return config
        if config.grid_size is None:
            config = dataclasses.replace(config, grid_size=there.grid_size)
        if differing := _differing(_settings(there), _settings(config)):
            differences = "; ".join(f"{name} is {one!r} there and {other!r} here" for name, one, other in differing)
            raise ValueError(
                f"output: {self.folder} holds a run with other settings: {differences}. "
                "Choose another folder, or overwrite that run"
            )
        return config

    def check_data(self, facts: Mapping[str, Any]) -> None:
        """Raises ValueError, and names the difference, unless these are the facts of the data of the run."""
        for name, before, now in _differing(self.data(), facts):
            raise ValueError(
                f"data: they have changed since {self.folder} began: {name} was {before} and is {now}. "
                "Choose another folder, or overwrite that run"
            )

    def has_begun(self) -> bool:
        """Whether the folder holds results of a training: checkpoints, a model, or how it ended."""
        return self.result_path.exists() or self.model_path.exists() or any(self.checkpoints.glob("*"))

    def result(self) -> dict[str, Any] | None:
        """How the training ended, or None while it has not."""
        return _read_json(self.result_path) if self.result_path.exists() else None

    def save_model(self, model: keras.Model) -> None:
        """Puts a model in the place of the best one; a kill in mid-write leaves the one before."""
        with whole(self.model_path, _PART) as scratch:
            model.save(scratch)
            with zipfile.ZipFile(scratch, "a") as archive:
                for path in (self.config_path, self.data_path):
                    archive.write(path, _IN_MODEL + path.name)

    def model(self) -> keras.Model:
        """The model with the best validation.

        Raises:
          ValueError: if there is none, its file is damaged, or it is that of another run.
        """
        self.check_model()
        import_own_layers(self.config().model)
        with self._damaged_model():
            return keras.saving.load_model(self.model_path, compile=False)

    def check_model(self) -> None:
        """Raises ValueError unless the model is there, has its checksums and is of this run.

        One that another program saved does not say of which run it is.
        """
        if not self.model_path.is_file():
            raise ValueError(f"model: {self.folder} has no {self.model_path.name}; training writes it after an epoch")
        with self._damaged_model(), zipfile.ZipFile(self.model_path) as archive:
            if bad := archive.testzip():
                raise ValueError(f"{bad} in it has a wrong checksum")
            copies = {
                path: json.loads(archive.read(_IN_MODEL + path.name))
                for path in (self.config_path, self.data_path)
                if _IN_MODEL + path.name in archive.namelist()
            }
        for path, copy in copies.items():
            self._check_there(path)
            for name, one, other in _differing(copy, _read_json(path)):
                # The data may have moved; whether they are the same ones is in data.json.
                if (path, name) != (self.config_path, "data"):
                    raise ValueError(
                        f"model: {self.model_path} and {path.name} are of two runs: {name} is {one!r} in the one and "
                        f"{other!r} in the other"
                    )

    @contextlib.contextmanager
    def _damaged_model(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, KeyError, TypeError, OSError, zipfile.BadZipFile) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ValueError(f"model: {self.model_path} is damaged: {reason}") from error

    def history(self) -> dict[str, list[float]]:
        """The columns of history.csv: a value an epoch."""
        with open(self.history_path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else ())}

    def forget_epochs(self, first: int) -> None:
        """Drops the rows of history.csv from an epoch on: those that the checkpoint knows nothing of."""
        if not self.history_path.exists():
            return
        header, *rows = self.history_path.read_text(encoding="utf-8").splitlines() or [""]
        kept = [row for row in rows if row.split(",")[0].isdigit() and int(row.split(",")[0]) < first]
        write_whole(self.history_path, "".join(f"{row}\n" for row in ([header] if kept else []) + kept))

    def begin(self, config: Config, facts: Mapping[str, Any]) -> None:
        """Writes down the settings and the facts of the data; of a run that has begun, checks them.

        Raises:
          ValueError: if they are other ones.
        """
        self.check_config(config)
        for left in self.folder.glob(f"{self.model_path.name}.*{_PART}"):
            left.unlink()
        if self.has_begun():
            self.check_data(facts)
        else:
            write_whole(self.config_path, config.to_json())
            write_whole(self.data_path, _to_json(facts))

    def end(self, result: Mapping[str, Any]) -> None:
        """Writes down how the training ended."""
        write_whole(self.result_path, _to_json(result))

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Makes the folder, and keeps other processes from training in it. The lock ends with the process in any case.

        Raises:
          ValueError: if another process trains there.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / ".lock", "a", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ValueError(
                    f"output: another process is training in {self.folder}; wait for it, or choose another folder"
                ) from error
            except OSError:
                pass  # some network file systems have no locks
            yield

    def clear(self) -> None:
        """Removes what a training wrote, and nothing else.

        Raises:
          ValueError: if the folder holds the files of something else.
        """
        if not self.config_path.exists():
            return
        self.config()
        for path in (self.result_path, self.evaluation_path, self.history_path, self.model_path, self.data_path):
            path.unlink(missing_ok=True)
        for folder in (self.checkpoints, self.tensorboard):
            shutil.rmtree(folder, ignore_errors=True)
        self.config_path.unlink(missing_ok=True)


_IN_MODEL = "pg_tf/"
_PART = ".part.keras"


def _settings(config: Config) -> dict[str, Any]:
    return {field.name: getattr(config, field.name) for field in dataclasses.fields(Config)}


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """What the second has and the first has not, or with another value: name and both values."""
    return [(name, one.get(name), value) for name, value in other.items() if one.get(name) != value]


def _to_json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2) + "\n"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged: it holds no JSON object")
    return content
