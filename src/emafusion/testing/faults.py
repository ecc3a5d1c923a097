"""The ways in which the fake upstream misbehaves, by name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from aiohttp import web
from msgspec import Struct

from emafusion.testing import chat

DRIP_S = 0.05
HUGE = 40 << 20


class Asked(Struct, frozen=True, kw_only=True):
    """One request: how often its model was asked so far, and what would be the right answer."""

    request: web.Request
    body: Mapping[str, object]
    number: int
    answer: Callable[[], Awaitable[web.StreamResponse]]

    async def answered(self) -> web.StreamResponse:
        """No fault."""
        return await self.answer()

    @property
    def streams(self) -> bool:
        """Whether the client asked for a stream."""
        return bool(self.body.get("stream"))

    def events(self) -> list[str]:
        """The data of the right stream's events."""
        return chat.events(self.body, chat.echo)

    def completion(self) -> dict[str, object]:
        """The right whole answer."""
        return chat.completion(self.body, chat.echo)


Fault: TypeAlias = Callable[[Asked], Awaitable[web.StreamResponse]]


def _hang_up(asked: Asked) -> None:
    transport = asked.request.transport
    if transport is not None:
        transport.abort()


async def _wrong_json(asked: Asked) -> web.StreamResponse:
    if asked.streams:
        return await chat.streamed(asked.request, ['{"choices": [', "[DONE]"])
    return web.Response(text='{"choices": [', content_type="application/json")


async def _wrong_shape(asked: Asked) -> web.StreamResponse:
    if asked.streams:
        return await chat.streamed(asked.request, ['{"hello": "world"}', "[DONE]"])
    return web.json_response({"hello": "world"})


async def _bad_utf8(asked: Asked) -> web.StreamResponse:
    body = b'{"choices":[{"index":0,"delta":{"content":"\xff\xfe"},"message":{"content":"\xff"}}]}'
    if not asked.streams:
        return web.Response(body=body, content_type="application/json")
    response = await chat.event_stream(asked.request)
    await response.write(b"data: " + body + b"\n\n")
    return response


async def _early_close(asked: Asked) -> web.StreamResponse:
    _hang_up(asked)
    return web.Response()


async def _early_close_once(asked: Asked) -> web.StreamResponse:
    return await (_early_close(asked) if asked.number == 1 else asked.answer())


async def _close_midway(asked: Asked) -> web.StreamResponse:
    if asked.streams:
        response = await chat.event_stream(asked.request)
        for event in asked.events()[:3]:
            await response.write(f"data: {event}\n\n".encode())
    else:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.content_length = 1000
        await response.prepare(asked.request)
        await response.write(b'{"choices": [')
    await asyncio.sleep(DRIP_S)
    _hang_up(asked)
    return response


async def _end_midway(asked: Asked) -> web.StreamResponse:
    """A stream that ends in good order, in the middle of the answer."""
    return await chat.streamed(asked.request, asked.events()[:3])


async def _failing(asked: Asked) -> web.StreamResponse:
    return chat.failure(500, "The server had an error.")


async def _failing_once(asked: Asked) -> web.StreamResponse:
    return await (_failing(asked) if asked.number == 1 else asked.answer())


async def _unavailable(asked: Asked) -> web.StreamResponse:
    return web.Response(status=503, text="<html>Service Unavailable</html>")


async def _limited(asked: Asked) -> web.StreamResponse:
    return chat.failure(429, "Rate limit reached.", Retry_After="30")


async def _limited_once(asked: Asked) -> web.StreamResponse:
    if asked.number > 1:
        return await asked.answer()
    return chat.failure(429, "Rate limit reached.", Retry_After="0.2")


async def _refusing(asked: Asked) -> web.StreamResponse:
    return chat.failure(400, "This value is bad. Your key sk-proj-abcdefgh12345678 was fine.")


async def _unknown_model(asked: Asked) -> web.StreamResponse:
    return chat.failure(404, "The model does not exist.")


async def _forbidden(asked: Asked) -> web.StreamResponse:
    return chat.failure(403, "Not allowed.")


async def _redirecting(asked: Asked) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": "/elsewhere"})


async def _error_in_200(asked: Asked) -> web.StreamResponse:
    return web.json_response({"error": {"message": "Overloaded.", "code": 529}})


async def _error_midway(asked: Asked) -> web.StreamResponse:
    error = json.dumps({"error": {"message": "Overloaded.", "code": 529}})
    return await chat.streamed(asked.request, [*asked.events()[:3], error])


async def _drip(asked: Asked) -> web.StreamResponse:
    """A byte now and then, for ever."""
    kind = "text/event-stream" if asked.streams else "application/json"
    response = web.StreamResponse(headers={"Content-Type": kind})
    await response.prepare(asked.request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(DRIP_S)


async def _slow_stream(asked: Asked) -> web.StreamResponse:
    """A right stream, one event in a while."""
    response = await chat.event_stream(asked.request)
    for event in asked.events():
        await response.write(f"data: {event}\n\n".encode())
        await asyncio.sleep(DRIP_S)
    return response


async def _silent(asked: Asked) -> web.StreamResponse:
    await asyncio.sleep(3600)
    return web.Response()


async def _huge(asked: Asked) -> web.StreamResponse:
    kind = "text/event-stream" if asked.streams else "application/json"
    response = web.StreamResponse(headers={"Content-Type": kind})
    await response.prepare(asked.request)
    await response.write(b'data: {"a":"' if asked.streams else b'{"a":"')
    for _ in range(HUGE >> 20):
        await response.write(b"x" * (1 << 20))
    await response.write(b'"}')
    return response


async def _no_usage(asked: Asked) -> web.StreamResponse:
    if asked.streams:
        events = [event for event in asked.events() if '"usage"' not in event]
        return await chat.streamed(asked.request, events)
    body = asked.completion()
    del body["usage"]
    return web.json_response(body)


async def _no_stream(asked: Asked) -> web.StreamResponse:
    """A whole answer although a stream was asked for."""
    return web.json_response(asked.completion())


async def _no_finish(asked: Asked) -> web.StreamResponse:
    """A stream whose only end is ``[DONE]``."""
    events = [event for event in asked.events() if '"finish_reason": "' not in event]
    return await chat.streamed(asked.request, events)


async def _chopped(asked: Asked) -> web.StreamResponse:
    """A right stream in the standard's odder spelling, a few bytes at a time."""
    response = await chat.event_stream(asked.request)
    text = "".join(_oddly(event) for event in asked.events())
    data = b"\xef\xbb\xbf" + text.encode()
    for start in range(0, len(data), 7):
        await response.write(data[start : start + 7])
        await asyncio.sleep(0)
    return response


def _oddly(event: str) -> str:
    """One event with a comment, other fields, CRLF, and its JSON over two data lines."""
    head, comma, tail = event.partition(", ")
    data = f"data:{head}{comma}\r\ndata: {tail}\r\n" if comma else f"data: {event}\r\n"
    return f": keep-alive\r\nid: 1\r\nevent: message\r\n{data}\r\n"


FAULTS: Mapping[str, Fault] = {
    "wrong-json": _wrong_json,
    "wrong-shape": _wrong_shape,
    "bad-utf8": _bad_utf8,
    "early-close": _early_close,
    "early-close-once": _early_close_once,
    "close-midway": _close_midway,
    "end-midway": _end_midway,
    "500": _failing,
    "500-once": _failing_once,
    "503": _unavailable,
    "429": _limited,
    "429-once": _limited_once,
    "400": _refusing,
    "403": _forbidden,
    "404": _unknown_model,
    "redirect": _redirecting,
    "error-in-200": _error_in_200,
    "error-midway": _error_midway,
    "drip": _drip,
    "slow-stream": _slow_stream,
    "silent": _silent,
    "huge": _huge,
    "no-usage": _no_usage,
    "no-stream": _no_stream,
    "no-finish": _no_finish,
    "chopped": _chopped,
}
"""What each model name (or ``x-fault`` header) brings about; any other name is answered rightly."""
