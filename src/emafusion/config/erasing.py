"""What the record holds of a person, and how to recognise it by the settings.

Knows where names, texts and tenants stand in a decision. It deletes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from emafusion.config.protection import mint
from emafusion.config.settings import ProtectSettings
from emafusion.learn.forget import JOIN, texts_of
from emafusion.learn.traffic import Diary, identifier
from emafusion.protect.erasure import Subject

PAGE: Final = 100
WITHOUT_KEY: Final = ("", "key:")
"""The tenants of who asks without a key: in this process, and through the gateway."""
TENANTS: Final = ("key:", "team:")


class Found(Struct, frozen=True, kw_only=True):
    """Of a person: decisions, feedback on those of others, and what their prompts are learnt as."""

    decisions: tuple[str, ...] = ()
    opinions: tuple[int, ...] = ()
    queries: frozenset[str] = frozenset()


def subject(
    values: Sequence[str], protect: ProtectSettings | None, *, tenants: Iterable[str] = ()
) -> Subject:
    """Who goes by `values`, in the data of these tenants and of those that are met on the way.

    Raises
    ------
    ConfigError
        There is a ``[protect]``, and its secret cannot be had: nothing masked would be found.
    """
    return Subject(
        None if protect is None else mint(protect),
        (*WITHOUT_KEY, *tenants),
        callers=values,
        values=values,
        kinds=() if protect is None else tuple(protect.kinds),
    )


async def find(diary: Diary, who: Subject) -> Found:
    """What `diary` holds of `who`, up to now; raises :class:`~emafusion.errors.StoreError`."""
    decisions: dict[str, None] = {}
    queries: set[str] = set()
    last = 0
    while page := await diary.recorded(last, PAGE):
        for _, one in page:
            who.widen(tenant_of(one.caller))
            texts = texts_of(msgspec.to_builtins(one))
            if who.concerns(JOIN.join(texts), caller=one.caller):
                decisions[one.decision_id] = None
                queries.add(identifier(one.prompt))
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
    )


def tenant_of(caller: str) -> str:
    """Whose data a decision of `caller` is: the part before its user, as the gateway signs it."""
    if not caller.startswith(TENANTS):
        return ""
    return caller.partition("/")[0].replace("%2F", "/").replace("%25", "%")
