"""``POST /v1/chat/completions``: OpenAI's chat protocol, which is also how models are asked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from emafusion.gateway.body import Asked, apart, parse
from emafusion.gateway.callers import Caller, Gate
from emafusion.gateway.events import Events
from emafusion.gateway.replies import completion_body
from emafusion.types import Answer


class Chat:
    """The chat protocol as a :class:`~emafusion.gateway.dialects.Dialect`."""

    async def parse(self, data: bytes, models: Collection[str], caller: Caller) -> Asked:
        """What a body asks; raises :class:`~emafusion.errors.RequestError`."""
        return await apart(data, partial(parse, data, models, caller=caller))

    def body(self, asked: Asked, answer: Answer) -> object:
        """A chat completion."""
        return completion_body(answer, direct=asked.direct)

    def events(self, asked: Asked) -> Events:
        """Chat completion chunks."""
        return Events(asked)

    def gates(self, asked: Asked) -> Sequence[Gate]:
        """None of its own."""
        return ()
