"""Events whose next is there already are sent with it; none waits for one that is not."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

import pytest
from starlette.types import Message

from emafusion.errors import EmafusionError, UnavailableError
from emafusion.gateway.callers import Passage
from emafusion.gateway.exchange import Exchange
from emafusion.gateway.faults import Fault
from emafusion.gateway.stream import LARGEST_KEPT, EventStream
from emafusion.types import Answer, Chunk, Request

FAILURE = UnavailableError("gone", "small")


class Saying:
    """An exchange that says `pieces`, and then fails."""

    def __init__(self, pieces: Sequence[Chunk]) -> None:
        self.pieces = pieces

    @asynccontextmanager
    async def stream(self, *_: object) -> AsyncIterator[AsyncGenerator[Chunk]]:
        yield self._said()

    async def _said(self) -> AsyncGenerator[Chunk]:
        for piece in self.pieces:
            yield piece
        raise FAILURE


class Plain:
    """Events that are their chunks' texts."""

    def of(self, chunk: Chunk) -> bytes:
        return chunk.text.encode()

    def last(self, answer: Answer) -> bytes:
        return answer.text.encode()

    def failed(self, failure: EmafusionError | Fault) -> bytes:
        return b"!"

    def beat(self) -> bytes:
        return b"."


async def sent(*pieces: Chunk) -> list[bytes]:
    """The bodies that are sent of `pieces`, after the head."""
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        raise AssertionError("nobody is asked whether the caller is there")

    response = EventStream(
        cast("Exchange", Saying(pieces)),
        Passage(request=Request(id="d", messages=())),
        events=Plain(),
        headers={},
        heartbeat_s=60.0,
    )
    await response({"type": "http"}, receive, send)
    head, *bodies = messages
    assert head["type"] == "http.response.start"
    assert [body["more_body"] for body in bodies] == [True] * (len(bodies) - 1) + [False]
    return [body["body"] for body in bodies]


async def test_what_is_there_is_sent_together() -> None:
    together = [Chunk(text="a", followed=True), Chunk(text="b", followed=True), Chunk(text="c")]
    assert await sent(*together, Chunk(text="d")) == [b"abc", b"d", b"!"]


async def test_what_has_nothing_to_say_keeps_nothing_back() -> None:
    assert await sent(Chunk(text="a", followed=True), Chunk(), Chunk(text="b")) == [
        b"a",
        b"b",
        b"!",
    ]


async def test_much_is_not_kept() -> None:
    long = "a" * LARGEST_KEPT
    told = await sent(Chunk(text=long, followed=True), Chunk(text="b", followed=True))
    assert told == [long.encode(), b"b!"]


async def test_a_failure_loses_nothing_that_was_said() -> None:
    assert await sent(Chunk(text="a", followed=True)) == [b"a!"]


async def test_a_failure_before_any_word_is_raised() -> None:
    with pytest.raises(UnavailableError):
        await sent(Chunk(followed=True))
