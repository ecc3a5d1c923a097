"""Any OpenAI-compatible endpoint, over HTTP.

It knows deadlines, retries and what a lying upstream can say; it does not know prices, or which
vendor is behind the address. Cancelling a call closes its connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from emafusion.errors import BadResponseError, UnavailableError
from emafusion.providers import wire
from emafusion.providers.deadline import deadline_errors
from emafusion.providers.embedding import Embedding, embedded
from emafusion.providers.ending import ended
from emafusion.providers.endpoint import Endpoint, Patience, blocks
from emafusion.providers.refusals import refusal_in
from emafusion.providers.rests import Rests
from emafusion.providers.retry import Allowance, retried
from emafusion.providers.sse import Events, EventTooLarge
from emafusion.types import Call, Chunk, Completion, Model

if TYPE_CHECKING:
    from aiohttp import ClientResponse

HEALTH_TIMEOUT_S = 3.0
DRAIN_S = 0.05
DONE = b"[DONE]"
"""The event that ends a stream."""
STALL_S = 60.0
_JSON = msgspec.json.Decoder(dict[str, object])
_WHOLE = frozenset({"application/json", "text/html"})
"""What is read whole although a stream was asked for: an answer, or a page that is none."""


class OpenAIProvider:
    """Asks models at one OpenAI-compatible address.

    Parameters
    ----------
    base_url : str
        The address up to and including its version, such as ``http://127.0.0.1:8000/v1``.
    api_key : str, optional
        Sent as a bearer token; never shown.
    headers : mapping of str to str, optional
        Sent with every request.
    connect_timeout_s : float, default 5
        Seconds to wait for a connection.
    attempts : int, default 3
        How often a call is tried in all where the failure may pass.
    stall_s : float, default 60
        Seconds that a stream may pause amid its answer.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        connect_timeout_s: float = 5.0,
        attempts: int = 3,
        stall_s: float = STALL_S,
    ) -> None:
        self._endpoint = Endpoint(
            base_url, api_key=api_key, headers=headers, connect_timeout_s=connect_timeout_s
        )
        self.attempts = attempts
        self.stall_s = stall_s
        self._allowance = Allowance()
        self._rests = Rests()

    def __repr__(self) -> str:
        return f"OpenAIProvider({self._endpoint!r})"

    @property
    def base_url(self) -> str:
        """The address that is asked: it says whose price list applies."""
        return self._endpoint.base_url

    async def warm(self) -> None:
        """Do now what the first call would wait for; nothing is connected yet."""
        self._endpoint.warm()

    async def complete(self, call: Call) -> Completion:
        """The whole answer to `call`; raises a :class:`~emafusion.errors.ProviderError`."""
        data = wire.encoded(wire.request_body(call, stream=False), call)
        with deadline_errors(call):
            async with asyncio.timeout(call.timeout_s):
                return await retried(
                    partial(self._completion, call, data),
                    attempts=self.attempts,
                    within_s=call.timeout_s,
                    allowance=self._allowance,
                    asked=partial(self._rests.ask, call.model.upstream),
                )

    async def stream(self, call: Call) -> AsyncGenerator[Chunk]:
        """The answer piece by piece; raises as :meth:`complete`.

        Nothing is retried once the upstream has begun to answer. Leaving the iteration closes the
        connection.
        """
        deadline = asyncio.get_running_loop().time() + call.timeout_s
        with deadline_errors(call):
            async with aclosing(ended(self._asked(call, deadline), call)) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def embed(self, call: Call) -> Embedding:
        """The vectors for the ``input`` in `call`'s parameters; raises as :meth:`complete`."""
        return await embedded(
            self._endpoint, call, attempts=self.attempts, allowance=self._allowance
        )

    async def healthy(self, model: Model) -> bool:
        """Whether the address answers and takes our key: one ``GET /models``, 3 s at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                # Some servers have no such page; that they say so is answer enough.
                return await self._endpoint.status("models") in {200, 404, 405}
        return False

    def reachable(self, model: Model) -> bool:
        """Whether `model` asks for no wait now; asks nobody."""
        return self._rests.over(model.upstream)

    async def aclose(self) -> None:
        """Close every pooled connection."""
        await self._endpoint.aclose()

    async def _completion(self, call: Call, data: bytes) -> Completion:
        response = await self._endpoint.post("chat/completions", data, call)
        try:
            body = await self._endpoint.body(response, call)
            completion = self._read_completion(body, call)
        except BaseException:
            # What answers amiss once is not asked again over the same connection.
            response.close()
            raise
        response.release()
        return completion

    async def _asked(self, call: Call, deadline: float) -> AsyncGenerator[Chunk]:
        """Ask, again if need be, and read what comes; the connection is given back at the end."""
        data = wire.encoded(wire.request_body(call, stream=True), call)
        async with asyncio.timeout_at(deadline):
            response = await retried(
                partial(self._endpoint.post, "chat/completions", data, call),
                attempts=self.attempts,
                within_s=call.timeout_s,
                allowance=self._allowance,
                asked=partial(self._rests.ask, call.model.upstream),
            )
        patience = Patience(deadline, self.stall_s)
        try:
            async with aclosing(self._chunks(response, call, patience)) as chunks:
                async for chunk in chunks:
                    patience.heard()
                    yield chunk
            await _drain(response)
        except BaseException:
            response.close()
            raise
        response.release()

    async def _chunks(
        self, response: ClientResponse, call: Call, patience: Patience
    ) -> AsyncGenerator[Chunk]:
        """The pieces in `response`; a whole answer, for upstreams that do not stream, is one."""
        if response.content_type in _WHOLE:
            body = b"".join([block async for block in blocks(response, call, patience=patience)])
            whole = self._read_completion(body, call)
            yield Chunk(text=whole.text, finish_reason=whole.finish_reason, usage=whole.usage)
            return
        begun = finished = False
        async with aclosing(_events(response, call, patience)) as events:
            async for data, followed in events:
                if data == DONE:
                    break
                chunk = self._read_chunk(data, call, followed=followed)
                begun = True
                finished = finished or chunk.finish_reason is not None
                yield chunk
            else:
                return
        if not begun:
            raise _bad(call, "the stream has an end and nothing before it")
        if not finished:
            yield Chunk(finish_reason="stop")

    def _read_completion(self, body: bytes, call: Call) -> Completion:
        content = self._read(body, call)
        try:
            return wire.completion_of(content, call)
        except wire.Malformed as malformed:
            raise _bad(call, str(malformed)) from None

    def _read_chunk(self, data: bytes, call: Call, *, followed: bool) -> Chunk:
        content = self._read(data, call)
        try:
            return wire.chunk_of(content, followed=followed)
        except wire.Malformed as malformed:
            raise _bad(call, str(malformed)) from None

    def _read(self, body: bytes, call: Call) -> dict[str, object]:
        """The JSON object in `body`; raises where it is none, or where it is an error."""
        try:
            content = _JSON.decode(body)
        except (ValueError, RecursionError) as error:
            raise _bad(call, f"no JSON object: {error}") from None
        if content.get("error") is not None and not content.get("choices"):
            raise refusal_in(content, call.model, secrets=self._endpoint.secrets)
        return content


async def _events(
    response: ClientResponse, call: Call, patience: Patience
) -> AsyncGenerator[tuple[bytes, bool]]:
    """The data of the events in `response`, and whether the next is here already."""
    events = Events()
    async with aclosing(blocks(response, call, patience=patience)) as pieces:
        async for block in pieces:
            for data, after in pairwise((*_fed(events, block, call), DONE)):
                yield data, after != DONE


def _fed(events: Events, block: bytes, call: Call) -> list[bytes]:
    """The data of the events that `block` completes."""
    try:
        return list(events.feed(block))
    except EventTooLarge:
        raise _bad(call, "an event of the stream has no end") from None


async def _drain(response: ClientResponse) -> None:
    """Read the end that follows the last event, so that the connection can be used again."""
    with suppress(TimeoutError, UnavailableError):
        async with asyncio.timeout(DRAIN_S):
            await response.content.readany()


def _bad(call: Call, problem: str) -> BadResponseError:
    return BadResponseError(
        f"the upstream of {call.model.name!r} does not speak the OpenAI format: {problem}",
        call.model.name,
    )
