"""``POST /v1/messages``: the protocol that Anthropic's clients speak."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from emafusion.gateway.body import apart
from emafusion.gateway.callers import Caller, Gate
from emafusion.gateway.messages.asked import MessagesAsked, parse
from emafusion.gateway.messages.replies import Events, message_body
from emafusion.types import Answer


class Messages:
    """The messages protocol as a :class:`~emafusion.gateway.dialects.Dialect`."""

    async def parse(self, data: bytes, models: Collection[str], caller: Caller) -> MessagesAsked:
        """What a body asks; raises :class:`~emafusion.errors.RequestError`."""
        return await apart(data, partial(parse, data, models, caller))

    def body(self, asked: MessagesAsked, answer: Answer) -> object:
        """A message."""
        return message_body(asked, answer)

    def events(self, asked: MessagesAsked) -> Events:
        """A message's events."""
        return Events(asked)

    def gates(self, asked: MessagesAsked) -> Sequence[Gate]:
        """None of its own."""
        return ()
