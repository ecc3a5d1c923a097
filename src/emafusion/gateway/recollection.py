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
from emafusion.plan.eligible import named
from emafusion.types import Answer, Request, Turn, replace

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
            passage.kept = await self._caller(passage, loop)
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
            await self._returns.note(passage, answer, after=_after(passage, answer, client))
            sessions = self._sessions(passage.request, client)
            if sessions is not None and self._notes is not None:
                told = sessions.told(passage.request.session)
                await self._notes.put(_name(passage), told, KEPT_S)
        except StoreError as failure:
            log.debug("other workers do not hear of a turn: %s", failure)

    async def _caller(self, passage: Passage, loop: Loop) -> Turn | None:
        """Who made the calls of `loop`: another worker may know better than this one."""
        try:
            told = await self._returns.told(passage, loop)
        except StoreError as failure:
            log.debug("who made a conversation's calls is not known: %s", failure)
            told = None
        return told or self._returns.turn(passage, loop)

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
    """Have a conversation in mid-call go on with the model that called, as far as terms allow.

    The others that the request may be answered by stand by. Done behind the gates: what a policy
    sets and a key forbids holds in mid-call, too. Who names a model is given that one.
    """
    request, turn, engine = passage.request, passage.kept, client.engine
    if turn is None or named(request):
        return
    knobs = request.knobs
    if turn.model in engine.models and (knobs.models is None or turn.model in knobs.models):
        knobs = replace(knobs, arrangement="single", explore=False)
        usual = knobs.over(engine.chosen(knobs.policy)).over(engine.knobs).models
        if usual is not None and turn.model not in usual:
            knobs = replace(knobs, models=(turn.model, *usual))
    passage.request = replace(request, knobs=knobs, turn=turn)


def _after(passage: Passage, answer: Answer, client: Client) -> str:
    """The last call that models of other vendors had made in the turn that `answer` is part of."""
    kept, loop, models = passage.kept, open_loop(passage.request.messages), client.engine.models
    if kept is None or loop is None or not {kept.model, answer.model} <= models.keys():
        return ""
    same = models[kept.model].provider == models[answer.model].provider
    return kept.after if same else loop.calls[-1]


def _name(passage: Passage) -> str:
    return key("session", passage.caller.tenant, passage.request.session)
