"""``POST /v1/messages/count_tokens``: about how long a prompt is, asking nobody."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from emafusion.catalog import tokens
from emafusion.errors import EmafusionError
from emafusion.gateway.body import LONG, addressed, apart, json_of, read, typed
from emafusion.gateway.callers import Passage
from emafusion.gateway.dialects import refusal
from emafusion.gateway.exchange import Exchange, caller_of
from emafusion.gateway.messages.asked import Prompt, conversation
from emafusion.gateway.replies import encode
from emafusion.gateway.settings import Settings
from emafusion.gateway.turns import Turns
from emafusion.types import Request

NOTHING = Request(id="", messages=(), params={"max_tokens": 1})
"""What asks for no answer takes of its caller's rates."""


class Counting:
    """The endpoint that estimates a prompt's tokens, as plans and limits do."""

    def __init__(self, exchange: Exchange, settings: Settings) -> None:
        self._exchange = exchange
        self._settings = settings
        self._turns = Turns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        caller = caller_of(scope, "chat")
        data = await read(scope, receive, self._settings)
        passage = Passage(request=NOTHING, caller=caller)
        try:
            turn = self._turns.of(caller.tenant) if len(data) > LONG else nullcontext()
            async with self._rated(passage), turn:
                models = self._exchange.client.engine.models
                count = await apart(data, partial(counted, data, models))
        except EmafusionError as failure:
            await refusal(failure, passage, scope["path"])(scope, receive, send)
            return
        body = encode({"input_tokens": count})
        headers = passage.reply_headers
        response = Response(body, headers=headers, media_type="application/json")
        await response(scope, receive, send)

    def _rated(self, passage: Passage) -> AbstractAsyncContextManager[None]:
        """Counted among its caller's requests: it costs no tokens, and our time."""
        rates = self._exchange.rates
        return nullcontext() if rates is None else rates.open(passage)


def counted(data: bytes, models: Collection[str]) -> int:
    """An upper estimate of the tokens of the prompt in `data`; raises as ``/v1/messages`` does."""
    prompt = typed(json_of(data), Prompt)
    _, direct = addressed(prompt.model, prompt.emafusion, models)
    count = tokens.count_messages(conversation(prompt, direct=direct))
    return count + (tokens.count(encode(prompt.tools).decode()) if prompt.tools else 0)
