"""The first stage as the settings want it: which detectors there are, and what follows from them.

Knows which setting each part is made of. Begins no detector.
"""

from __future__ import annotations

from collections.abc import Mapping

from emafusion.config.load import secret
from emafusion.config.settings import (
    BridgeProviderSettings,
    OpenAIProviderSettings,
    ProtectSettings,
    Settings,
)
from emafusion.errors import ConfigError
from emafusion.protect.entities import KINDS, LITERAL, NAME, Detector
from emafusion.protect.fence import Fence
from emafusion.protect.labelled import labelled
from emafusion.protect.masked import MaskedProvider
from emafusion.protect.names import fence
from emafusion.protect.placeholders import Mint
from emafusion.protect.recognisers.terms import Terms
from emafusion.protect.rules import Rules
from emafusion.protect.shield import Shield
from emafusion.protect.structured import RECOGNISERS, Structured
from emafusion.protocols import Provider

SHORTEST = 16
"""Bytes of a secret: what stands for short values could be tried out with fewer."""


def mint(one: ProtectSettings) -> Mint:
    """What makes the placeholders; raises :class:`ConfigError` where its secret is none."""
    told = (secret(one.secret, "protect.secret") or "").encode()
    if len(told) < SHORTEST:
        raise ConfigError(
            f"protect.secret has {len(told)} bytes; it must have {SHORTEST} or more, which nobody "
            "can guess: openssl rand -hex 32"
        )
    return Mint(told)


def shield(one: ProtectSettings | None) -> Shield | None:
    """What masks requests, if that was chosen.

    Raises
    ------
    ConfigError
        A setting cannot be met.
    MissingExtraError
        Names or patterns are wanted, and the extra ``privacy`` is not installed.
    """
    if one is None:
        return None
    _check_kinds(one)
    terms = Terms(one.terms, one.patterns)
    named = () if one.names is None else (labelled,)
    found: list[Detector] = [Structured((*RECOGNISERS, terms, *named))]
    if one.names is not None:
        found.append(fence(one.names, language=one.language, limit_s=one.limit_s))
    for path in one.detectors:
        module, _, name = path.partition(":")
        if not (module and name):
            raise ConfigError(f"protect.detectors has {path!r}; write MODULE:NAME")
        found.append(Fence(path, path, limit_s=one.limit_s, whole=True))
    rules = Rules(
        kinds=one.kinds,
        others=one.others,
        usual=one.usual,
        private_from=one.private_from,
        injection=one.injection,
        injection_at=one.injection_at,
        unread=one.unread,
        limit_s=one.limit_s,
    )
    return Shield(mint(one), found, rules=rules)


def masked(
    settings: Settings, made: Mapping[str, Provider], found: Shield | None
) -> dict[str, Provider]:
    """`made`, for who asks them without an engine: vendors see what `found`, if any, leaves."""
    vendors = (OpenAIProviderSettings, BridgeProviderSettings)
    return {
        name: MaskedProvider(one, found)
        if found is not None and isinstance(settings.providers.get(name), vendors)
        else one
        for name, one in made.items()
    }


def _check_kinds(one: ProtectSettings) -> None:
    """A kind that no detector has would be a rule without effect, where ours are all."""
    for kind in one.kinds:
        if NAME.fullmatch(kind) is None or kind == LITERAL:
            raise ConfigError(
                f"protect.kinds has {kind!r}; a kind is written in capitals, such as EMAIL"
            )
        if not one.detectors and kind not in KINDS:
            raise ConfigError(f"protect.kinds has {kind!r}; the kinds are {', '.join(KINDS)}")
