"""``POST /v1/messages/count_tokens``: about how long a prompt is, asking nobody."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from emafusion.catalog import tokens
from emafusion.gateway.body import addressed, json_of, read, typed
from emafusion.gateway.exchange import Exchange, caller_of
from emafusion.gateway.messages.asked import Prompt, conversation
from emafusion.gateway.replies import encode
from emafusion.gateway.settings import Settings


class Counting:
    """The endpoint that estimates a prompt's tokens, as plans and limits do."""

    def __init__(self, exchange: Exchange, settings: Settings) -> None:
        self._exchange = exchange
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        caller_of(scope, "chat")
        prompt = typed(json_of(await read(scope, receive, self._settings)), Prompt)
        models = self._exchange.client.engine.models
        _, direct = addressed(prompt.model, prompt.emafusion, models)
        count = tokens.count_messages(conversation(prompt, direct=direct))
        if prompt.tools:
            count += tokens.count(encode(prompt.tools).decode())
        body = encode({"input_tokens": count})
        await Response(body, media_type="application/json")(scope, receive, send)
