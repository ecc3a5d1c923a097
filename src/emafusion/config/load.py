"""Reads the settings file and the environment; the only place that does.

Knows TOML, the nearest valid key, and ``env:NAME``. Builds nothing.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import get_args

import msgspec
from msgspec import Struct

from emafusion.config.settings import ModelSettings, ProviderSettings, Settings
from emafusion.errors import ConfigError

FILE = "emafusion.toml"
VARIABLE = "EMAFUSION_CONFIG"


def default_path() -> Path | None:
    """The file that is read when none is named: ``$EMAFUSION_CONFIG``, else ``./emafusion.toml``.

    ``None`` stands for the embedded default.

    Raises
    ------
    ConfigError
        ``EMAFUSION_CONFIG`` names a file that is not there.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not Path(named).is_file():
            raise ConfigError(f"{VARIABLE} names {named!r}, which is not a file")
        return Path(named)
    here = Path(FILE)
    return here if here.is_file() else None


def load(path: str | Path | None = None) -> Settings:
    """The settings in the file at `path`, or the embedded default.

    Raises
    ------
    ConfigError
        The file cannot be read, is not TOML, or has an unknown key or a value of the wrong type;
        the message names the key, the file and the nearest valid key.
    """
    if path is None:
        text = resources.files("emafusion.config").joinpath("default.toml").read_text("utf-8")
        return parse(text, "the embedded default")
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as wrong:
        raise ConfigError(f"cannot read the settings file {str(path)!r}: {wrong}") from wrong
    return parse(text, str(path))


def parse(text: str, source: str) -> Settings:
    """The settings that `text` holds; `source` names it in errors."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise ConfigError(f"{source} is not valid TOML: {wrong}") from wrong
    _check_keys(table, source)
    try:
        return msgspec.convert(table, Settings)
    except (msgspec.ValidationError, ConfigError) as wrong:
        raise ConfigError(f"{source}: {wrong}") from wrong


def environment() -> Mapping[str, str]:
    """The environment as it is now, for a child process that must have all of it."""
    return dict(os.environ)


def secret(value: str | None, key: str) -> str | None:
    """The secret that `value`, ``env:NAME``, points to.

    Raises
    ------
    ConfigError
        `value` is not of that form (a secret must not stand in a file), or the variable is unset.
    """
    if value is None:
        return None
    scheme, _, name = value.partition(":")
    if scheme != "env" or not name:
        raise ConfigError(
            f"{key} must be given as 'env:NAME', naming an environment variable; "
            "keys do not belong in settings files"
        )
    found = os.environ.get(name)
    if not found:
        raise ConfigError(f"{key} is taken from the environment variable {name!r}, which is unset")
    return found


def address(value: str | None, key: str) -> str | None:
    """The file or the address that `value` names; one with a scheme stands in the environment.

    Raises
    ------
    ConfigError
        An address of a server, which may hold a password, stands in the file itself.
    """
    if value is None or (not value.startswith("env:") and "://" not in value):
        return value
    return secret(value, key)


def _check_keys(table: Mapping[str, object], source: str) -> None:
    """Every key, against the keys there are; the first unknown one is an error."""
    _known(table, Settings.__struct_fields__, source, place="")
    for section, kind in _sections().items():
        if section in table:
            _fields(table[section], kind, source, place=section)
    for name, model in _tables(table, "models", source):
        _fields(model, ModelSettings, source, place=f"models.{name}")
    for name, provider in _tables(table, "providers", source):
        _check_provider(provider, source, place=f"providers.{name}")


def _sections() -> dict[str, type[Struct]]:
    from emafusion.config import settings

    return {
        "policy": settings.PolicySettings,
        "understand": settings.UnderstandSettings,
        "judge": settings.JudgeSettings,
        "artefact": settings.ArtefactSettings,
        "record": settings.RecordSettings,
        "learn": settings.LearnSettings,
        "gateway": settings.GatewaySettings,
        "cache": settings.CacheSettings,
        "telemetry": settings.TelemetrySettings,
        "protect": settings.ProtectSettings,
    }


def _tables(table: Mapping[str, object], section: str, source: str) -> Iterable[tuple[str, object]]:
    """The named tables of `section`."""
    value = table.get(section, {})
    if not isinstance(value, Mapping):
        raise ConfigError(f"{source}: {section} must hold tables, one a name")
    return value.items()


def _check_provider(table: object, source: str, *, place: str) -> None:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{source}: {place} must be a table")
    kinds = {str(kind.__struct_config__.tag): kind for kind in get_args(ProviderSettings)}
    tag = str(table.get("type", ""))
    if tag not in kinds:
        names = ", ".join(sorted(kinds))
        raise ConfigError(f"{source}: {place}.type is {tag!r}; it must be one of {names}")
    rest = {key: value for key, value in table.items() if key != "type"}
    _fields(rest, kinds[tag], source, place=place)


def _fields(table: object, kind: type[Struct], source: str, *, place: str) -> None:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{source}: {place} must be a table")
    _known(table, kind.__struct_fields__, source, place=place)


def _known(keys: Iterable[str], valid: Sequence[str], source: str, *, place: str) -> None:
    for key in keys:
        if key in valid:
            continue
        near = difflib.get_close_matches(key, valid, n=1, cutoff=0.0)
        where = f"{place}.{key}" if place else key
        raise ConfigError(f"{source}: unknown key {where!r}; did you mean {near[0]!r}?")
