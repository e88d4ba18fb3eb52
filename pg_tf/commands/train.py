"""`pg-tf train`."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from pg_tf.commands import errors_of
from pg_tf.training.config import RECIPES, Config


def _train(
    recipe: Annotated[str, typer.Option(help=f"Where the settings come from: {', '.join(RECIPES)}.")] = "paper",
    config: Annotated[Path | None, typer.Option(help="A JSON file with settings that differ from the recipe.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder of the run; runs/RECIPE if left out.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Starts anew where a run is in the folder.")] = False,
    checkpoint_steps: Annotated[int | None, typer.Option(min=1, help="Checkpoints after so many steps.")] = None,
    checkpoint_minutes: Annotated[float, typer.Option(min=0, help="Checkpoints at least so often.")] = 10.0,
    tensorboard: Annotated[bool | None, typer.Option(help="Logs for TensorBoard; if installed, by default.")] = None,
    strategy: Annotated[
        str | None, typer.Option(help="mirrored: all accelerators here; multi-worker: of all machines in TF_CONFIG.")
    ] = None,
    data_service: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Dispatcher of the data service that makes the grids.")
    ] = None,
    **settings: Any,
) -> None:
    """Trains a 3D-ResNet on grids made on the fly.

    Killed at any moment, the same command goes on from the last checkpoint. Every setting of the recipe can be given
    as an option; all are kept in config.json of the run. Afterwards: pg-tf evaluate, pg-tf predict.
    """
    with errors_of("train"):
        from pg_tf import training

        training.train(
            _config(recipe, config, {name: value for name, value in settings.items() if value is not None}),
            output or Path("runs") / (config.stem if config else recipe),
            overwrite=overwrite,
            checkpoint_steps=checkpoint_steps,
            checkpoint_minutes=checkpoint_minutes,
            tensorboard=tensorboard,
            strategy=strategy,
            data_service=data_service,
            write=typer.echo,
        )


def _config(recipe: str, path: Path | None, settings: dict[str, Any]) -> Config:
    if recipe not in RECIPES:
        raise ValueError(f"--recipe: must be one of {', '.join(RECIPES)}, got {recipe!r}")
    base = Config.load(path, RECIPES[recipe]) if path else RECIPES[recipe]
    if "network" in settings:
        settings["network"] = {**base.network, **dict(map(_named_value, settings["network"]))}
    changes: dict[str, Any] = {name: None if value is _NONE else value for name, value in settings.items()}
    return dataclasses.replace(base, **changes)


# Headings of `--help`, by the first setting below each.
_PANELS = {"data": "Data", "channels": "Grids", "depth": "Network", "loss": "Optimisation", "seed": "Chance"}

# Of an option with the value "none": None itself means that the option was not given.
_NONE = object()


def _named_value(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--network: must be name=value, got {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _or_none(kind: type) -> Callable[[str], Any]:
    def parsed(text: str) -> Any:
        return _NONE if text.lower() == "none" else kind(text)

    return parsed


def _symbols(text: str) -> tuple[str, ...]:
    return tuple(symbol.strip() for symbol in text.split(",") if symbol.strip() and text.lower() != "none")


def _option(field: dataclasses.Field[Any], kind: Any, panel: str) -> inspect.Parameter:
    defaults = {name: getattr(config, field.name) for name, config in RECIPES.items()}
    shown = ", ".join(f"{name} {_shown(value)}" for name, value in defaults.items())
    if len(set(map(str, defaults.values()))) == 1:
        shown = _shown(defaults["paper"])
    flag = f"--{field.name.replace('_', '-')}"
    help = f"{field.metadata['help']} ({shown})"
    kinds = set(getattr(kind, "__args__", ())) or {kind}
    annotation: Any
    if field.name == "network":
        option = typer.Option(flag, help=help, metavar="NAME=VALUE", rich_help_panel=panel)
        annotation = Annotated[list[str] | None, option]
    elif field.name == "channels":
        option = typer.Option(flag, help=help, metavar="C,N,O,...", parser=_symbols, rich_help_panel=panel)
        annotation = Annotated[Any, option]
    elif type(None) in kinds and bool not in kinds:
        plain = next(iter(kinds - {type(None)}))
        name = f"<{plain.__name__}>|none"
        option = typer.Option(flag, help=help, metavar=name, parser=_or_none(plain), rich_help_panel=panel)
        annotation = Annotated[Any, option]
    else:
        annotation = Annotated[kind | None, typer.Option(help=help, rich_help_panel=panel)]
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value) or "none"
    if isinstance(value, dict):
        return " ".join(f"{name}={setting}" for name, setting in value.items()) or "none"
    return "none" if value is None else str(value)


def _with_options(function: Callable[..., None]) -> Callable[..., None]:
    """Puts an option for each setting in place of `**settings`."""
    kinds = get_type_hints(Config)
    signature = inspect.signature(function, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    options, panel = [], ""
    for field in dataclasses.fields(Config):
        panel = _PANELS.get(field.name, panel)
        options.append(_option(field, kinds[field.name], panel))
    function.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
    function.__annotations__ = {p.name: p.annotation for p in [*own, *options]}
    return function


train = _with_options(_train)
