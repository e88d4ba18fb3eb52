"""`pg-tf train`."""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from pg_tf.commands._common import errors_of, option, with_options
from pg_tf.training.config import RECIPES, SETTINGS, Config

app = typer.Typer(add_completion=False)

# Headings of `--help`, by the first setting below each.
_PANELS = {"data": "Data", "channels": "Grids", "model": "Network", "loss": "Optimisation", "seed": "Chance"}

# What an option with the value "none" stands for: None itself means that the option was not given.
_NONE = object()


def train(
    recipe: Annotated[str, typer.Option(help=f"Where the settings come from: {', '.join(RECIPES)}.")] = "paper",
    config: Annotated[Path | None, typer.Option(help="A JSON file with settings that differ from the recipe.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder of the run; runs/RECIPE if left out.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Remove a run that is in the folder, and start anew.")
    ] = False,
    checkpoint_steps: Annotated[int | None, typer.Option(min=1, help="Steps between two checkpoints.")] = None,
    checkpoint_minutes: Annotated[float, typer.Option(min=0, help="Minutes between two checkpoints.")] = 10.0,
    tensorboard: Annotated[
        bool | None, typer.Option(help="Logs for TensorBoard; by default if it is installed.")
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(help="mirrored: all accelerators here; multi-worker: of all machines in TF_CONFIG."),
    ] = None,
    data_service: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Dispatcher of the data service that makes the grids.")
    ] = None,
    **settings: Any,
) -> None:
    """Trains a network on grids made on the fly.

    Killed at any moment, the same command goes on from the last checkpoint. Every setting of the recipe can be given
    as an option; all are kept in config.json of the run. Afterwards: pg-tf evaluate, pg-tf predict.
    """
    with errors_of("train"):
        from pg_tf import training

        training.train(
            config_of(recipe, config, {name: value for name, value in settings.items() if value is not None}),
            output or Path("runs") / (config.stem if config else recipe),
            overwrite=overwrite,
            checkpoint_steps=checkpoint_steps,
            checkpoint_minutes=checkpoint_minutes,
            tensorboard=tensorboard,
            strategy=strategy,
            data_service=data_service,
            write=typer.echo,
        )


def config_of(recipe: str, path: Path | None, settings: dict[str, Any]) -> Config:
    """The recipe of that name, with what differs in a file, and then what was given as options."""
    if recipe not in RECIPES:
        raise ValueError(f"--recipe: must be one of {', '.join(RECIPES)}, got {recipe!r}")
    base = Config.load(path, RECIPES[recipe]) if path else RECIPES[recipe]
    if "model" in settings:
        base = base.changed({"model": settings["model"]})
    if "network" in settings:
        settings["network"] = {**base.network, **dict(map(_named_value, settings["network"]))}
    return base.changed({name: None if value is _NONE else value for name, value in settings.items()})


def _named_value(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--network: must be name=value, got {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _symbols(text: str) -> tuple[str, ...]:
    return tuple(symbol.strip() for symbol in text.split(",") if symbol.strip() and text.lower() != "none")


def _or_none(kind: type) -> Callable[[str], Any]:
    return lambda text: _NONE if text.lower() == "none" else kind(text)


def _options() -> list[inspect.Parameter]:
    """An option for each setting, under the headings of `_PANELS`."""
    options, panel = [], ""
    for name, setting in SETTINGS.items():
        panel = _PANELS.get(name, panel)
        kind, how = _kind(name, setting)
        help = f"{setting.description} ({_defaults(name)})"
        # A bool gets the flags --NAME and --no-NAME, which Typer spells itself.
        flags = [f"--{name.replace('_', '-')}"] if how else []
        options.append(option(name, kind, None, *flags, help=help, rich_help_panel=panel, **how))
    return options


def _kind(name: str, setting: FieldInfo) -> tuple[Any, dict[str, Any]]:
    """The type of an option, where None says that it was not given, and what else Typer has to know of it."""
    if name == "network":
        return list[str] | None, {"metavar": "NAME=VALUE"}
    if name == "channels":
        return Any, {"metavar": "C,N,O,...", "parser": _symbols}
    if get_origin(setting.annotation) is Literal:  # its values are checked with the other settings
        return type(get_args(setting.annotation)[0]) | None, {}
    kind, *none = get_args(setting.annotation) or (setting.annotation,)
    if none and kind is not bool:
        return Any, {"metavar": f"<{kind.__name__}>|none", "parser": _or_none(kind)}
    return kind | None, {}


def _defaults(name: str) -> str:
    """The value of a setting in each recipe; only once where all have the same."""
    shown = {recipe: _shown(getattr(config, name)) for recipe, config in RECIPES.items()}
    if len(set(shown.values())) == 1:
        return shown["paper"]
    return ", ".join(f"{recipe} {value}" for recipe, value in shown.items())


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value) or "none"
    if isinstance(value, dict):
        return " ".join(f"{name}={setting}" for name, setting in value.items()) or "none"
    return "none" if value is None else str(value)


app.command()(with_options(train, _options()))
