"""The options that are a key's or a team's terms, and what they change.

Knows how they are typed; what they mean :class:`emafusion.gateway.accounts.Terms` knows.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from emafusion.cli.accounts import Place, check
from emafusion.cli.options import Config, Json
from emafusion.errors import ConfigError

if TYPE_CHECKING:
    from emafusion.gateway.accounts import Terms

Names = Annotated[str | None, typer.Option(metavar="A,B", help="By default all.")]
Dial = Annotated[float | None, typer.Option(metavar="0…1", min=0, max=1)]
Classed = Annotated[
    Literal["public", "internal", "confidential", "restricted"] | None,
    typer.Option("--class", help="The least class of what it sends."),
]
Count = Annotated[int | None, typer.Option(min=1)]
Usd = Annotated[float | None, typer.Option(min=1e-9)]
Unset = Annotated[
    str | None, typer.Option(metavar="A,B", help="What it shall no longer have: models, …")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The options that keys and teams share."""

    models: Names = None
    policies: Names = None
    prefer: Dial = None
    min_quality: Dial = None
    data_class: Classed = None
    requests_per_minute: Count = None
    tokens_per_minute: Count = None
    usd_per_minute: Usd = None
    accounts: Place = None
    json: Json = False
    config: Config = None


def told(options: Bounds) -> Terms:
    """The terms as they were typed, with names that the settings have.

    Raises
    ------
    ConfigError
        No model or policy has such a name.
    """
    from emafusion.gateway.accounts import Terms

    found = Terms(
        models=listed(options.models, "--models"),
        policies=listed(options.policies, "--policies"),
        prefer=options.prefer,
        min_quality=options.min_quality,
        data_class=options.data_class,
        requests_per_minute=options.requests_per_minute,
        tokens_per_minute=options.tokens_per_minute,
        usd_per_minute=options.usd_per_minute,
    )
    check(options.accounts, options.config, models=found.models, policies=found.policies)
    return found


def changes(options: Bounds, gone: Collection[str] = ()) -> dict[str, object]:
    """The terms' fields that were typed, and ``None`` for those of `gone` that were not.

    Raises as :func:`told`.
    """
    import msgspec

    typed = msgspec.structs.asdict(told(options))
    return {name: value for name, value in typed.items() if value is not None or name in gone}


def unset(names: str | None, *, beside: Collection[str] = ()) -> frozenset[str]:
    """The fields that ``--unset`` names: the terms' own, or one of those `beside` them.

    Raises
    ------
    ConfigError
        It names something else.
    """
    from emafusion.gateway.accounts import Terms

    known = {*beside, *Terms.__struct_fields__}
    typed = (one.replace("-", "_") for one in listed(names, "--unset") or ())
    found = frozenset("data_class" if one == "class" else one for one in typed)
    if not found <= known:
        shown = ", ".join(sorted(one.removeprefix("data_").replace("_", "-") for one in known))
        raise ConfigError(f"--unset {names!r}: it can be any of {shown}")
    return found


def listed(names: str | None, option: str) -> frozenset[str] | None:
    """The names that `option` was given, if it was; raises :class:`ConfigError` where none is."""
    if names is None:
        return None
    found = frozenset(one.strip() for one in names.split(",") if one.strip())
    if not found:
        raise ConfigError(f"{option} names nothing; separate names by commas")
    return found
