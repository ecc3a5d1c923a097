"""``POST /v1/chat/completions``: a chat in, the engine's answer out, whole or as it comes."""

from __future__ import annotations

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from emafusion.client import Client
from emafusion.gateway.body import Asked, parse, read
from emafusion.gateway.events import Events
from emafusion.gateway.lookups import JSON, Endpoint
from emafusion.gateway.presence import Presence
from emafusion.gateway.replies import completion_body, encode, header_value, headers_of
from emafusion.gateway.settings import Settings
from emafusion.gateway.stream import EventStream


def completions(client: Client, settings: Settings) -> Endpoint:
    """The endpoint that asks `client`'s engine."""
    engine = client.engine

    async def answer(http: HttpRequest) -> Response:
        data = await read(
            http, max_bytes=settings.max_body_bytes, timeout_s=settings.body_timeout_s
        )
        asked = parse(data, engine.models)
        if asked.stream:
            return EventStream(
                engine.stream(asked.request),
                Events(asked),
                headers=_known_at_start(asked),
                heartbeat_s=settings.heartbeat_s,
            )
        async with Presence(http.receive):
            found = await engine.serve(asked.request)
        body = encode(completion_body(found, direct=asked.direct))
        return Response(body, headers=headers_of(found), media_type=JSON)

    return answer


def _known_at_start(asked: Asked) -> dict[str, str]:
    """The headers of a stream, sent before the engine has decided anything."""
    headers = {"x-emafusion-decision": asked.request.id}
    if asked.direct and asked.request.knobs.models:
        headers["x-emafusion-model"] = header_value(asked.request.knobs.models[0])
    return headers
