"""Opens the configured engine, with the local models' files fetched, on their way or left out.

An engine plans with every model it has, so a model whose file is not here must not be one of them
for as long as another can answer: its first call would be a download of minutes under a deadline of
seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from emafusion.cli.console import console, note
from emafusion.cli.options import open_models
from emafusion.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from emafusion.client import Client
    from emafusion.config import Arrivals, Settings
    from emafusion.demo.weights import LocalModel
    from emafusion.protect.shield import Shield
    from emafusion.protocols import Provider
    from emafusion.types import Model

Fetching = Callable[[], Coroutine[None, None, None]]
"""Fetches the files that are not here, and lets each model answer once its file has come."""


def open_at_once(settings: Settings) -> tuple[Client, Fetching | None]:
    """A client that can be asked now, and what fetches the local models that are not here.

    Until its file has come, a model is asked only where no other may answer. Models whose files
    nobody has are left out.

    Raises
    ------
    ConfigError, ArtefactError
        As :func:`emafusion.config.build`.
    UnavailableError
        No model is left.
    """
    from emafusion.config import Arrivals, build
    from emafusion.demo.weights import local_models

    models, made = open_models(settings)
    files = _from_files(made)
    missing = [one for one in local_models(models, made) if not one.is_here()]
    coming = [one for one in missing if one.size is not None]
    # This takes no time: nobody has these files.
    absent = asyncio.run(pull([one for one in missing if one.size is None]))
    _check(absent, absent, named=None, left=len(models) - len(absent))
    _tell_absent(absent)
    if not coming:
        return build(without(settings, absent), parts=files), None
    arrivals = Arrivals(one.model.name for one in coming)
    client = build(without(settings, absent), parts=files, arrivals=arrivals)
    return client, partial(_fetch_beside, coming, arrivals)


async def open_ready(settings: Settings, *, named: Collection[str] | None = None) -> Client:
    """A client whose local models are all here; the others are left out.

    Parameters
    ----------
    settings : Settings
        What was configured.
    named : collection of str, optional
        Models the user asked for by name: these are fetched. Where no model could answer without
        it, the smallest is.

    Raises
    ------
    ConfigError, ArtefactError
        As :func:`emafusion.config.build`.
    UnavailableError
        No model is left, or one that was named cannot be had.
    """
    from emafusion.config import build
    from emafusion.demo.weights import local_models

    models, made = open_models(settings)
    local = local_models(models, made)
    missing = [one for one in local if not one.is_here()]
    wanted = _wanted(missing, others=len(models) - len(missing), named=named)
    problems = await pull(wanted)
    absent = {one.model.name for one in missing if not one.is_here()}
    _check(absent, problems, named=named, left=len(models) - len(absent))
    if named is None:
        _tell_absent(absent)
    return build(without(settings, absent), parts=_from_files(made))


@asynccontextmanager
async def opened(
    settings: Settings, chosen: Collection[str]
) -> AsyncIterator[tuple[list[Model], dict[str, Provider], Shield | None]]:
    """The models `chosen` by name, all providers, and what masks for them; closed in the end.

    No engine is made of them, so what vendors are asked is masked here, where that was chosen.
    Raises as :func:`emafusion.cli.options.open_models` and
    :func:`emafusion.config.protection.shield`.
    """
    from emafusion.config.protection import masked, shield

    known, made = open_models(settings)
    found = shield(settings.protect)
    providers = masked(settings, made, found)
    try:
        yield [model for model in known if model.name in chosen], providers, found
    finally:
        for provider in providers.values():
            await provider.aclose()
        if found is not None:
            await found.aclose()


async def pull_missing(
    models: Sequence[Model], providers: Mapping[str, Provider]
) -> dict[str, str]:
    """Fetch the files of the local ones among `models` that are not here; the problems."""
    from emafusion.demo.weights import local_models

    return await pull([one for one in local_models(models, providers) if not one.is_here()])


async def pull(models: Sequence[LocalModel]) -> dict[str, str]:
    """Fetch the files of `models` that are not here, showing how far it is; the problems."""
    if not models:
        return {}
    from emafusion.demo.screen import Downloads
    from emafusion.demo.weights import fetch, lacking_runtime

    lacking = lacking_runtime()
    if lacking is not None:
        return {one.model.name: lacking for one in models}
    with Downloads(console(stderr=True)) as downloads:
        return await fetch(models, downloads)


async def _fetch_beside(coming: Sequence[LocalModel], arrivals: Arrivals) -> None:
    """Fetch the files of `coming`, in that order, and tell `arrivals` how each went."""
    names = ", ".join(one.model.name for one in coming)
    note(f"fetching {names}; meanwhile, models that are here answer")
    for one in coming:
        name = one.model.name
        if await pull([one]):
            arrivals.failed(name)
            note(f"going on without {name}; a request that names it tries again to fetch it")
        else:
            arrivals.here(name)
            note(f"{name} is ready")


def _from_files(made: Mapping[str, Provider]) -> dict[str, Provider]:
    """Those of `made` whose files are fetched here, which an engine must share.

    It makes the others itself: `made` is bare, and theirs have breakers and bulkheads.
    """
    from emafusion.providers.local import LocalProvider

    return {name: one for name, one in made.items() if isinstance(one, LocalProvider)}


def _tell_absent(absent: Collection[str]) -> None:
    if absent:
        note(f"going on without {', '.join(sorted(absent))}; `emafusion models pull` fetches files")


def without(settings: Settings, absent: Collection[str]) -> Settings:
    """`settings` less the models `absent`."""
    from msgspec.structs import replace

    models = {name: one for name, one in settings.models.items() if name not in absent}
    pool = settings.policy.models
    if pool is not None:
        pool = tuple(name for name in pool if name not in absent)
        if not pool:
            raise ConfigError(
                "none of the models in policy.models is here; run `emafusion models pull`"
            )
    return replace(settings, models=models, policy=replace(settings.policy, models=pool))


def _wanted(
    missing: Sequence[LocalModel], *, others: int, named: Collection[str] | None
) -> list[LocalModel]:
    if named is not None:
        return [one for one in missing if one.model.name in named]
    return list(missing[:1]) if others == 0 else []


def _check(
    absent: Collection[str],
    problems: dict[str, str],
    *,
    named: Collection[str] | None,
    left: int,
) -> None:
    for name in named or ():
        if name in absent:
            raise UnavailableError(problems.get(name, f"{name!r} is not here"), name)
    if left == 0:
        reasons = "; ".join(dict.fromkeys(problems.values()))
        raise UnavailableError(
            f"no model can answer: {reasons}; or add one with `emafusion models add`", ""
        )
