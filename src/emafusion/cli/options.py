"""A command's options as one frozen value, and the options that commands share.

``taking`` turns a dataclass into a command's signature, so that a command is a function of one
value however many options it has.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar, get_type_hints

import typer

from emafusion.errors import ConfigError, RequestError, UnknownModelError

if TYPE_CHECKING:
    from emafusion.client import Client
    from emafusion.config import Settings
    from emafusion.learn.label import Labels
    from emafusion.protocols import Provider
    from emafusion.types import Model

T = TypeVar("T")

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings; by default $EMAFUSION_CONFIG, ./emafusion.toml, or the built-in ones.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Prefer = Annotated[
    float | None, typer.Option("--prefer", metavar="0…1", help="0 for cost, 1 for quality.")
]
Models = Annotated[
    str | None, typer.Option("--models", metavar="A,B", help="Only these configured models.")
]


def taking(kind: type[T]) -> Callable[[Callable[[T], None]], Callable[..., None]]:
    """Make a function of one `kind`, a dataclass, a command with `kind`'s fields as options."""

    def decorate(command: Callable[[T], None]) -> Callable[..., None]:
        def called(**given: object) -> None:
            command(kind(**given))

        hints = get_type_hints(kind, include_extras=True)
        called.__name__ = command.__name__
        called.__doc__ = command.__doc__
        called.__annotations__ = hints
        called.__signature__ = _signature(kind, hints)  # type: ignore[attr-defined]  # read by typer
        return called

    return decorate


def open_client(config: Path | None) -> Client:
    """A client of the configuration; raises :class:`~emafusion.errors.ConfigError`."""
    from emafusion import config as configuration

    return configuration.build(open_settings(config))


def open_settings(config: Path | None) -> Settings:
    """The settings of ``--config``, else those that are read without it; raises as above."""
    from emafusion import config as configuration

    return configuration.load(config or configuration.default_path())


def open_models(settings: Settings) -> tuple[list[Model], dict[str, Provider]]:
    """The models and their providers alone: no policy, no record; raises as above."""
    from emafusion.config import providers
    from emafusion.config.build import model

    made = providers(settings)
    return [model(name, one, made) for name, one in settings.models.items()], made


def names(models: str | None, known: Container[str]) -> tuple[str, ...] | None:
    """The names in ``--models``; raises :class:`RequestError` where one is not `known`."""
    if models is None:
        return None
    found = tuple(dict.fromkeys(name.strip() for name in models.split(",") if name.strip()))
    for name in found:
        if name not in known:
            raise UnknownModelError(
                f"no model {name!r} is configured; `emafusion models` lists those that are",
                "models",
            )
    if not found:
        raise RequestError("--models names no model; separate names by commas", "models")
    return found


def labels(told: str) -> Labels:
    """What ``--labels`` says; raises :class:`ConfigError` where it says neither."""
    if told == "consensus":
        return "consensus"
    if told != "reference":
        raise ConfigError(f"--labels is 'reference' or 'consensus', not {told!r}")
    return "reference"


def _signature(kind: type[object], hints: dict[str, object]) -> inspect.Signature:
    return inspect.Signature(
        [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=_default(field.default),
                annotation=hints[field.name],
            )
            for field in fields(kind)  # type: ignore[arg-type]  # callers give dataclasses
        ]
    )


def _default(value: object) -> object:
    from dataclasses import MISSING

    return inspect.Parameter.empty if value is MISSING else value
