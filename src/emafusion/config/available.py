"""Which configured models could answer at once: a local model needs its file here.

An engine plans with every model it has, so a model whose first call would be a download of minutes
must not be one of them.
"""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from emafusion import catalog
from emafusion.config.settings import (
    LocalProviderSettings,
    Settings,
    UnderstandSettings,
    written,
)


def available(settings: Settings) -> Settings:
    """`settings` less the local models whose files are not here.

    Where that leaves none of those that the policy allows, the cheapest of them stays: its file is
    fetched at its first call. A named policy of which no model is left is left out too.
    """
    absent = _absent(settings)
    allowed = settings.policy.models or tuple(settings.models)
    if absent and set(allowed) <= set(absent):
        stays = next(name for name in absent if name in allowed)
        absent = [name for name in absent if name != stays]
    if not absent:
        return settings
    pool = settings.policy.models
    kept = None if pool is None else tuple(name for name in pool if name not in absent)
    named = {
        name: replace(one, models=tuple(each for each in one.models if each not in absent))
        for name, one in settings.policies.items()
        if one.models is not None and not set(one.models) <= set(absent)
    }
    whole = {name: one for name, one in settings.policies.items() if one.models is None}
    slow = settings.understand.slow
    return replace(
        settings,
        models={name: one for name, one in settings.models.items() if name not in absent},
        policy=replace(settings.policy, models=kept),
        policies=whole | named,
        understand=UnderstandSettings(slow=None if slow in absent else slow),
    )


def _absent(settings: Settings) -> list[str]:
    """The local models whose files are not here, cheapest first."""
    from emafusion.providers.weights import Weights

    prices = {}
    for name, one in settings.models.items():
        provider = settings.providers.get(one.provider)
        if not isinstance(provider, LocalProviderSettings):
            continue
        cache = None if provider.cache is None else Path(provider.cache).expanduser()
        known = catalog.resolve(
            name, one.provider, upstream=one.upstream, base_url=None, **written(one)
        )
        if Weights(cache=cache).here(known.upstream) is None:
            prices[name] = known.usd_per_mtok_out
    return sorted(prices, key=prices.__getitem__)
