"""Changes the settings file and leaves everything else in it as it was, comments included.

It knows TOML's table headers, not what the tables mean. A change is made on the text, then both
texts are parsed: unless they differ in exactly what was asked for, nothing is written.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from emafusion.errors import ConfigError

if TYPE_CHECKING:
    from emafusion.config import Settings

BARE = re.compile(r"[A-Za-z0-9_-]+")
HEADER = re.compile(r"^\s*\[")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NEW_FILE = "emafusion.toml"

Value = str | int | float


class SettingsFile:
    """The settings file at `path`, whose text is `text`; a new one has not been written yet."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text

    @classmethod
    def open(cls, named: Path | None) -> SettingsFile:
        """The file a command edits: `named`, else the one that is read without a name.

        Where there is none yet it will be ``./emafusion.toml``, beginning with the built-in
        settings, so that adding a model takes none away.

        Raises
        ------
        ConfigError
            The file cannot be read, or holds something invalid already.
        """
        from emafusion.config import default_path
        from emafusion.config.load import parse

        path = named or default_path() or Path(NEW_FILE)
        try:
            text = path.read_bytes().decode() if path.exists() else _built_in()
        except (OSError, UnicodeDecodeError) as wrong:
            raise ConfigError(f"cannot read the settings file {str(path)!r}: {wrong}") from wrong
        parse(text, str(path))
        return cls(path, text)

    def add(
        self,
        name: str,
        model: Mapping[str, Value],
        *,
        provider: Mapping[str, Value] | None = None,
    ) -> None:
        """Append the table ``[models.NAME]``, and its provider's where `provider` is given.

        Raises
        ------
        ConfigError
            The name is no name, the model is there already, its provider is there already or is
            not, nobody knows its price, or the result would not be valid settings; then nothing is
            changed.
        """
        if not name.strip() or name != name.strip() or "," in name or not name.isprintable():
            raise ConfigError(f"{name!r} cannot name a model: use letters, digits, '-' and '.'")
        before = tomllib.loads(self.text)
        known, of = _names(before, "providers"), str(model["provider"])
        if name in _names(before, "models"):
            raise ConfigError(f"{str(self.path)!r} has a model {name!r}; remove it first")
        if provider is not None and of in known:
            raise ConfigError(
                f"{str(self.path)!r} has a provider {of!r}; leave out --base-url, --vendor and "
                "--api-key-env to use it, or give the new one another name with --provider"
            )
        if provider is None and of not in known:
            raise ConfigError(
                f"there is no provider {of!r} in {str(self.path)!r}; give --base-url for an "
                f"OpenAI-compatible endpoint, or name one of: {', '.join(known) or 'none yet'}"
            )
        blocks = [] if provider is None else [_block(("providers", of), provider)]
        blocks.append(_block(("models", name), model))
        text = "\n".join([self.text.rstrip("\n") + "\n" if self.text.strip() else "", *blocks])
        wanted = _with(before, model, section="models", name=name)
        if provider is not None:
            wanted = _with(wanted, provider, section="providers", name=of)
        if "\r\n" in self.text:
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        self._write(text.lstrip("\r\n"), wanted, new=name)

    def remove(self, name: str) -> None:
        """Cut out the table ``[models.NAME]`` and the tables below it; raises ConfigError."""
        before = tomllib.loads(self.text)
        if name not in _names(before, "models"):
            raise ConfigError(
                f"{str(self.path)!r} has no model {name!r}; it has "
                f"{', '.join(_names(before, 'models')) or 'none'}"
            )
        rest = {key: value for key, value in before["models"].items() if key != name}
        self._write(_cut(self.text, ("models", name)), {**before, "models": rest})

    def _write(self, text: str, wanted: Mapping[str, object], *, new: str | None = None) -> None:
        from emafusion.config.load import parse

        if _parsed(text) != _less(wanted, "models"):
            raise ConfigError(f"{str(self.path)!r} is laid out unusually; edit it by hand")
        settings = parse(text, str(self.path))
        _check_references(settings)
        if new is not None:
            _check_model(new, settings)
        _replace(self.path, text)
        self.text = text


def provider_table(
    *, base_url: str | None, vendor: str | None, api_key_env: str | None
) -> dict[str, Value] | None:
    """The table of a new provider, ``None`` where none is described; raises ConfigError.

    A key is only ever named, as ``env:NAME``: it does not belong in a file.
    """
    if base_url is None and vendor is None:
        if api_key_env is not None:
            raise ConfigError(
                "--api-key-env is for a new provider; give --base-url or --vendor too"
            )
        return None
    table: dict[str, Value] = {"type": "openai" if vendor is None else "bridge"}
    if vendor is not None:
        table["vendor"] = vendor
    if base_url is not None:
        if not re.match(r"https?://[^/\s]+", base_url):
            raise ConfigError(f"--base-url is {base_url!r}; it must begin with http:// or https://")
        table["base_url"] = base_url
    if api_key_env is not None:
        if not VARIABLE.fullmatch(api_key_env):
            raise ConfigError(
                "--api-key-env takes the name of an environment variable, such as OPENAI_API_KEY, "
                "not the key itself"
            )
        table["api_key"] = f"env:{api_key_env}"
    return table


def model_table(given: Mapping[str, Value | None]) -> dict[str, Value]:
    """The keys of `given` that have a value."""
    return {key: value for key, value in given.items() if value is not None}


def _built_in() -> str:
    """The built-in settings' text, where this installation can run local models."""
    from importlib.util import find_spec

    if find_spec("xllamacpp") is None:
        return ""
    text = files("emafusion.config").joinpath("default.toml").read_text("utf-8")
    return text[text.index("[providers") :]


def _parsed(text: str) -> dict[str, object] | None:
    try:
        return _less(tomllib.loads(text), "models")
    except tomllib.TOMLDecodeError:
        return None


def _check_references(settings: Settings) -> None:
    """No setting names a model that is gone; raises ConfigError."""
    named: dict[str, tuple[str, ...]] = {"policy.models": settings.policy.models or ()}
    if settings.understand.slow is not None:
        named["understand.slow"] = (settings.understand.slow,)
    for key, names in named.items():
        for name in names:
            if name not in settings.models:
                raise ConfigError(f"{key} names {name!r}; change that setting first")


def _check_model(name: str, settings: Settings) -> None:
    """The model `name` can be used as it is described; raises ConfigError."""
    from emafusion import catalog
    from emafusion.config.settings import OpenAIProviderSettings, written

    one = settings.models[name]
    provider = settings.providers[one.provider]
    address = provider.base_url if isinstance(provider, OpenAIProviderSettings) else None
    try:
        catalog.resolve(name, one.provider, upstream=one.upstream, base_url=address, **written(one))
    except ConfigError as wrong:
        if one.usd_per_mtok_in is None or one.usd_per_mtok_out is None:
            raise ConfigError(f"{wrong}, or give --price-in and --price-out") from wrong
        raise


def _names(table: Mapping[str, object], section: str) -> tuple[str, ...]:
    found = table.get(section)
    return tuple(found) if isinstance(found, dict) else ()


def _with(
    table: Mapping[str, object], added: Mapping[str, Value], *, section: str, name: str
) -> dict[str, object]:
    before = table.get(section)
    return {**table, section: {**(before if isinstance(before, dict) else {}), name: dict(added)}}


def _less(table: Mapping[str, object], section: str) -> dict[str, object]:
    """`table` without an empty `section`."""
    return {key: value for key, value in table.items() if key != section or value}


def _block(place: tuple[str, ...], table: Mapping[str, Value]) -> str:
    lines = [f"[{'.'.join(_key(part) for part in place)}]"]
    lines += [f"{_key(key)} = {_value(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if BARE.fullmatch(name) else _value(name)


def _value(value: Value) -> str:
    """A number, or a string as TOML's basic strings spell it."""
    if not isinstance(value, str):
        return repr(value)
    escaped = "".join(
        f"\\u{ord(char):04x}" if ord(char) < 0x20 or char == "\x7f" else char
        for char in value.replace("\\", "\\\\").replace('"', '\\"')
    )
    return f'"{escaped}"'


def _cut(text: str, place: tuple[str, ...]) -> str:
    """`text` without the table at `place` and those below it."""
    kept: list[str] = []
    inside = False
    # TOML ends a line at a line feed alone; splitlines() knows many other ends.
    for line in text.split("\n"):
        if HEADER.match(line):
            inside = _header(line)[: len(place)] == place
            if inside:
                _drop_blank(kept)
        if not inside:
            kept.append(line)
    return "\n".join(kept).rstrip("\n") + "\n"


def _drop_blank(lines: list[str]) -> None:
    while lines and not lines[-1].strip():
        lines.pop()
    if lines:
        lines.append("")


def _header(line: str) -> tuple[str, ...]:
    """The place that a table's header line names, empty where it is none."""
    try:
        table = tomllib.loads(line.strip())
    except tomllib.TOMLDecodeError:
        return ()
    place: list[str] = []
    node: object = table
    while node:
        if isinstance(node, list):
            node = node[0]
        elif isinstance(node, dict):
            key, node = next(iter(node.items()))
            place.append(key)
        else:
            return ()
    return tuple(place)


def _replace(path: Path, text: str) -> None:
    """`path` holds `text`, or what it held before; its permissions stay, a link stays a link."""
    target = path.resolve()
    draft = target.with_name(f".{target.name}.draft")
    try:
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o644
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(file, "wb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(target)
    except OSError as wrong:
        draft.unlink(missing_ok=True)
        raise ConfigError(
            f"cannot write the settings file {str(path)!r}: {wrong.strerror}; check the folder, "
            "its space and rights"
        ) from wrong
