"""Opens the accounts that a command is about: where they are, and which commands may make them.

What is in them, :mod:`emafusion.gateway.accounts` knows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emafusion.cli.console import note
from emafusion.cli.options import Config, open_settings
from emafusion.errors import ConfigError

if TYPE_CHECKING:
    from emafusion.gateway.accounts import Registry

Place = Annotated[
    str | None,
    typer.Option(
        "--accounts",
        metavar="PLACE",
        help="Where keys are kept: a file, or env:NAME with a postgresql:// address.",
    ),
]


@contextmanager
def opened(accounts: Place, config: Config, *, making: bool = False) -> Iterator[Registry]:
    """The accounts that ``--accounts`` or the settings name.

    A file that is not there is refused: a mistyped path would else be an empty register, and what
    is changed in it would hold nowhere. Where `making`, it is made and that is said; but not where
    the settings name it by a relative path and lie in another folder, as a server started
    elsewhere would have another file.

    Raises
    ------
    ConfigError
        Nobody says where they are, or they are not there and may not be made here.
    """
    from emafusion.gateway.accounts import Registry, database

    place, here = _place(accounts, config)
    whole = Path(place).expanduser().is_absolute()
    fresh = new_file(place)
    if fresh is not None and not (making and (here or whole)):
        raise ConfigError(_advice(fresh, None if whole else place, making=making))
    one = database(place)
    try:
        yield Registry(one)
    finally:
        one.close()
        if fresh is not None and new_file(place) is None:
            note(f"a new accounts file was made: {fresh}")


def new_file(place: str) -> Path | None:
    """The whole path of the accounts file that `place` names, if it is not there yet."""
    from emafusion.databases import is_address

    if is_address(place):
        return None
    file = Path(place).expanduser().absolute()
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return file
    except OSError:
        return None  # what is wrong with it the database says
    return None


def check(
    accounts: Place,
    config: Config,
    *,
    models: Collection[str] | None = None,
    policies: Collection[str] | None = None,
) -> None:
    """Refuse names of models and policies that the settings do not have.

    ``--accounts`` alone names no settings to look at, which is said. Raises
    :class:`~emafusion.errors.ConfigError`, as :func:`~emafusion.cli.options.open_settings` does.
    """
    if models is None and policies is None:
        return
    if accounts is not None and config is None:
        note("names of models and policies are not checked: --config FILE says which there are")
        return
    settings = open_settings(config)
    _check("model", models, settings.models)
    _check("policy", policies, ("default", *settings.policies))


def _check(kind: str, told: Collection[str] | None, known: Collection[str]) -> None:
    from emafusion.catalog.models import nearest

    for name in sorted(told or ()):
        if name not in known:
            raise ConfigError(f"no {kind} is named {name!r}; {nearest(name, known)}")


def _place(accounts: Place, config: Config) -> tuple[str, bool]:
    """The file or the address, and whether a relative path was meant from the current folder."""
    from emafusion import config as configuration
    from emafusion.config.load import address

    if accounts is not None:
        told, here = accounts, True
    else:
        path = config or configuration.default_path()
        told = configuration.load(path).gateway.accounts or ""
        here = path is not None and path.parent.resolve() == Path.cwd().resolve()
    place = address(told, "gateway.accounts" if accounts is None else "--accounts")
    if not place:
        raise ConfigError(
            "say where the keys are kept: accounts under [gateway] in the settings, or --accounts "
            "with a file or env:NAME"
        )
    return place, here


def _advice(file: Path, relative: str | None, *, making: bool) -> str:
    """Why `file`, told as the `relative` path if as one, is not opened, and what to do."""
    missing = f"there is no accounts file {str(file)!r}"
    makers = "'emafusion serve' or 'emafusion keys create'"
    if relative is None:
        return f"{missing}: {makers} makes it"
    counted = f"{missing}: {relative!r} counts from the current folder"
    if making:
        return (
            f"{counted}, and the settings are in another; run this where the gateway runs, or "
            "name the file with --accounts"
        )
    return f"{counted}; run this where the gateway runs. {makers} makes a new one"
