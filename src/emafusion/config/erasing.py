"""What the record holds of a person, and how to recognise it by the settings.

Knows where names, texts and tenants stand in a decision. It deletes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from emafusion.config.load import secret
from emafusion.config.protection import mint
from emafusion.config.settings import ProtectSettings
from emafusion.learn.forget import JOIN, texts_of
from emafusion.learn.traffic import Diary, identifier
from emafusion.protect.erasure import Subject, stands
from emafusion.protect.placeholders import Mint

PAGE: Final = 100
WITHOUT_KEY: Final = ("", "key:")
"""The tenants of who asks without a key: in this process, and through the gateway."""
TENANTS: Final = ("key:", "team:")


class Found(Struct, frozen=True, kw_only=True):
    """Of a person: decisions, feedback on those of others, and what their prompts are learnt as.

    ``veiled`` counts decisions that were masked with a secret that is not known; ``namesakes`` are
    callers whose id is one of those sought, which is too short to tell a person among tenants.
    """

    decisions: tuple[str, ...] = ()
    opinions: tuple[int, ...] = ()
    queries: frozenset[str] = frozenset()
    veiled: int = 0
    namesakes: tuple[str, ...] = ()


def subject(
    values: Sequence[str],
    protect: ProtectSettings | None,
    *,
    tenants: Sequence[str] = (),
    secrets: Iterable[str] = (),
) -> Subject:
    """Who goes by `values`, in the data of these tenants and of those that are met on the way.

    A value may be a caller's id within one of these tenants. What was masked with one of
    `secrets`, ``env:NAME`` each, is found as well.

    Raises
    ------
    ConfigError
        A secret cannot be had: nothing that was masked with it would be found.
    """
    told = [] if protect is None else [mint(protect)]
    told += [Mint((secret(one, "--secret") or "").encode()) for one in secrets]
    return Subject(
        told,
        (*WITHOUT_KEY, *tenants),
        callers=[*values, *(f"{_signed(one)}/{value}" for one in tenants for value in values)],
        values=values,
        kinds=() if protect is None else tuple(protect.kinds),
    )


async def find(diary: Diary, who: Subject) -> Found:
    """What `diary` holds of `who`, up to now.

    Raises
    ------
    StoreError
        It cannot be read.
    ConfigError
        There are placeholders in it, and no secret.
    """
    decisions: dict[str, None] = {}
    queries: set[str] = set()
    namesakes: dict[str, None] = {}
    veiled = last = 0
    short = frozenset(one for one in who.callers if not stands(one))
    while page := await diary.recorded(last, PAGE):
        for _, one in page:
            who.widen(tenant_of(one.caller))
            text = JOIN.join(texts_of(msgspec.to_builtins(one)))
            if who.concerns(text, caller=one.caller):
                decisions[one.decision_id] = None
                queries.add(identifier(one.prompt))
                continue
            if one.protection is not None:
                veiled += who.veiled(one.protection.seal, text)
            if one.caller.startswith(TENANTS) and one.caller.partition("/")[2] in short:
                namesakes[one.caller] = None
        last = page[-1][0]
    opinions: list[int] = []
    last = 0
    while said := await diary.noted(last, PAGE):
        for number, opinion in said:
            who.widen(tenant_of(opinion.caller))
            texts = [opinion.comment, opinion.caller]
            mine = who.concerns(JOIN.join(texts), caller=opinion.caller)
            if mine and opinion.decision_id not in decisions:
                opinions.append(number)
        last = said[-1][0]
    return Found(
        decisions=tuple(decisions),
        opinions=tuple(opinions),
        # A decision without its text is no query; this would be all that were recorded so.
        queries=frozenset(queries - {identifier("")}),
        veiled=veiled,
        namesakes=tuple(namesakes),
    )


def tenant_of(caller: str) -> str:
    """Whose data a decision of `caller` is: the part before its user, as the gateway signs it."""
    if not caller.startswith(TENANTS):
        return ""
    return caller.partition("/")[0].replace("%2F", "/").replace("%25", "%")


def _signed(tenant: str) -> str:
    return tenant.replace("%", "%25").replace("/", "%2F")
