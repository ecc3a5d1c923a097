"""``POST /v1/feedback``: what a caller thinks of an answer, put on record."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from emafusion.gateway.body import json_of, read, typed
from emafusion.gateway.exchange import Exchange, caller_of, signed
from emafusion.gateway.lookups import JSON, decided
from emafusion.gateway.replies import encode
from emafusion.gateway.settings import Settings
from emafusion.gateway.shielding import classes
from emafusion.types import Probability


class _Opinion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body. ``user`` tells the people behind one key apart, as in the chat protocol."""

    decision_id: Annotated[str, Meta(min_length=1, max_length=200)]
    score: Probability
    user: Annotated[str, Meta(max_length=200)] = ""
    comment: Annotated[str, Meta(max_length=4000)] = ""


class Opinions:
    """The endpoint that keeps opinions; a later one of the same user takes the place of an earlier.

    Acknowledged once it is durable.
    """

    def __init__(self, exchange: Exchange, settings: Settings) -> None:
        self._exchange = exchange
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        caller = caller_of(scope, "feedback")
        said = typed(json_of(await read(scope, receive, self._settings)), _Opinion)
        client = self._exchange.client
        if "admin" not in caller.scopes:
            await decided(client, said.decision_id, caller)
        user, comment = await client.keepable(
            said.decision_id,
            said.user,
            said.comment,
            scope=caller.tenant,
            stated=classes(scope["headers"], caller),
        )
        await client.engine.note(
            said.decision_id, said.score, caller=signed(caller, user), comment=comment
        )
        body = encode({"decision_id": said.decision_id, "recorded": True})
        await Response(body, media_type=JSON)(scope, receive, send)
