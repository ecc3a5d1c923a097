"""Opens the configured engine, with the local models' files fetched or left out.

An engine plans with every model it has, so a model whose file is not here must not be one of them:
its first call would be a download of minutes under a deadline of seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Literal

from emafusion.cli.console import console, note
from emafusion.cli.options import open_models
from emafusion.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from emafusion.client import Client
    from emafusion.config import Settings
    from emafusion.demo.weights import LocalModel

Fetch = Literal["all", "needed"]
"""Which files to fetch: every one, or the smallest where without it no model could answer."""


async def open_ready(
    settings: Settings, *, fetch: Fetch, named: Collection[str] | None = None
) -> Client:
    """A client whose local models are all here.

    Parameters
    ----------
    settings : Settings
        What was configured.
    fetch : {"all", "needed"}
        Which files to fetch.
    named : collection of str, optional
        Models the user asked for by name: these are fetched in any case.

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
    wanted = _wanted(missing, others=len(models) - len(missing), fetch=fetch, named=named)
    problems = await pull(wanted)
    absent = {one.model.name for one in missing if not one.is_here()}
    _check(absent, problems, named=named, left=len(models) - len(absent))
    if absent and named is None:
        note(f"going on without {', '.join(sorted(absent))}; `emafusion models pull` fetches files")
    return build(without(settings, absent), parts=made)


async def pull(models: Sequence[LocalModel]) -> dict[str, str]:
    """Fetch the files of `models` that are not here, showing how far it is; the problems."""
    from emafusion.demo.screen import Downloads
    from emafusion.demo.weights import fetch, lacking_runtime

    lacking = lacking_runtime() if models else None
    if lacking is not None:
        return {one.model.name: lacking for one in models}
    if not models:
        return {}
    with Downloads(console(stderr=True)) as downloads:
        return await fetch(models, downloads)


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
    missing: Sequence[LocalModel], *, others: int, fetch: Fetch, named: Collection[str] | None
) -> list[LocalModel]:
    if fetch == "all":
        return list(missing)
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
