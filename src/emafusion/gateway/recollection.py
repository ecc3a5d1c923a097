"""What the earlier turns of a conversation tell about its next, whichever worker heard them.

Recalled before the engine is asked, remembered once it has answered. Without notes of other
workers a request goes on as if it were the first: nothing here refuses or fails one.
"""

from __future__ import annotations

import logging

from msgspec import DecodeError

from emafusion.catalog import tokens
from emafusion.client import Client
from emafusion.config.sessions import KEPT_S, SHORTEST, Sessions
from emafusion.errors import StoreError
from emafusion.gateway.callers import Passage
from emafusion.gateway.notes import Notes, key
from emafusion.gateway.returns import Loop, Returns, open_loop
from emafusion.types import Answer, Request, replace

log = logging.getLogger("emafusion.gateway")


class Recollection:
    """Who waits for a tool's results, and whose prompt caches hold a conversation.

    Parameters
    ----------
    notes : Notes, optional
        What workers leave for one another; without it this process knows what it heard itself.
    """

    def __init__(self, notes: Notes | None = None) -> None:
        self._notes = notes
        self._returns = Returns(notes)

    async def recall(self, passage: Passage, client: Client) -> None:
        """Learn which model waits for what its tools have found, and what caches hold."""
        loop = open_loop(passage.request.messages)
        if loop is not None:
            passage.kept = await self._caller(passage, loop) or ""
        sessions = self._sessions(passage.request, client)
        if sessions is None or self._notes is None:
            return
        try:
            found = await self._notes.get(_name(passage))
            if found is not None:
                sessions.hear(passage.request.session, found)
        except (StoreError, DecodeError) as failure:
            log.debug("what caches hold of a conversation is not known: %s", failure)

    async def remember(self, passage: Passage, answer: Answer, client: Client) -> None:
        """Note who answered `passage` with calls, and what caches hold of it now."""
        try:
            await self._returns.note(passage, answer)
            sessions = self._sessions(passage.request, client)
            if sessions is not None and self._notes is not None:
                told = sessions.told(passage.request.session)
                await self._notes.put(_name(passage), told, KEPT_S)
        except StoreError as failure:
            log.debug("other workers do not hear of a turn: %s", failure)

    async def _caller(self, passage: Passage, loop: Loop) -> str | None:
        """Who made the calls of `loop`: another worker may know better than this one."""
        try:
            told = await self._returns.told(passage, loop)
        except StoreError as failure:
            log.debug("who made a conversation's calls is not known: %s", failure)
            told = None
        return told or self._returns.model(passage, loop)

    def _sessions(self, request: Request, client: Client) -> Sessions | None:
        """Who counts on vendors' caches, where they may hold something of `request`."""
        if self._notes is None or not request.session:
            return None
        engine = client.engine
        sessions = engine.stages.dialogues
        if not isinstance(sessions, Sessions):
            return None
        if all(model.usd_per_mtok_cached is None for model in engine.models.values()):
            return None
        return sessions if tokens.expected(request.messages) >= SHORTEST else None


def keep(passage: Passage, client: Client) -> None:
    """Hold a conversation in mid-call to the model that called, as far as its terms allow.

    Done behind the gates: what a policy sets and a key forbids holds in mid-call, too.
    """
    request, model = passage.request, passage.kept
    if not model or model not in client.engine.models:
        return
    if request.knobs.private and client.engine.models[model].visibility != "private":
        return  # it may not see what its tool has found
    if request.knobs.models is None or model in request.knobs.models:
        knobs = replace(request.knobs, models=(model,), arrangement="single", explore=False)
        passage.request = replace(request, knobs=knobs)


def _name(passage: Passage) -> str:
    return key("session", passage.caller.tenant, passage.request.session)
