"""``POST /v1/feedback``: what a caller thinks of an answer, put on record."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from emafusion.client import Client
from emafusion.gateway.body import json_of, read, typed
from emafusion.gateway.lookups import JSON, Endpoint
from emafusion.gateway.replies import encode
from emafusion.gateway.settings import Settings
from emafusion.types import Probability


class _Opinion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body. ``user`` tells the people behind one key apart, as in the chat protocol."""

    decision_id: Annotated[str, Meta(min_length=1, max_length=200)]
    score: Probability
    user: Annotated[str, Meta(max_length=200)] = ""
    comment: Annotated[str, Meta(max_length=4000)] = ""


def feedback(client: Client, settings: Settings) -> Endpoint:
    """The endpoint that keeps opinions; a later one of the same user takes the place of an earlier.

    Acknowledged once it is durable.
    """

    async def answer(http: HttpRequest) -> Response:
        data = await read(
            http, max_bytes=settings.max_body_bytes, timeout_s=settings.body_timeout_s
        )
        said = typed(json_of(data), _Opinion)
        await client.feedback(said.decision_id, said.score, caller=said.user, comment=said.comment)
        return Response(
            encode({"decision_id": said.decision_id, "recorded": True}), media_type=JSON
        )

    return answer
