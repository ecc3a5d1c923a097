"""Of a stream's pieces that come together, each but the last tells that another is there."""

from __future__ import annotations

import asyncio

from emafusion.providers.openai import OpenAIProvider

from .calls import call

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
EVENT = b'data: {"choices": [{"index": 0, "delta": {"content": "%s"}, "finish_reason": %s}]}\n\n'


async def test_the_last_before_a_wait_and_the_last_of_all_are_not_followed() -> None:
    heard = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + EVENT % (b"a", b"null") + EVENT % (b"b", b"null"))
        await heard.wait()
        writer.write(EVENT % (b"c", b"null") + EVENT % (b"d", b'"stop"') + b"data: [DONE]\n\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    provider = OpenAIProvider(f"http://127.0.0.1:{port}/v1")
    told = []
    async for chunk in provider.stream(call()):
        told.append((chunk.text, chunk.followed))
        if chunk.text == "b":
            heard.set()
    await provider.aclose()
    server.close()
    await server.wait_closed()
    # Last comes what was used, which this upstream does not tell.
    assert told == [("a", True), ("b", False), ("c", True), ("d", False), ("", False)]
