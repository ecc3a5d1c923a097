"""How an answer ends: its last piece says why it ended and what it used, or it broke off."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from emafusion.errors import UnavailableError
from emafusion.providers import wire
from emafusion.types import Call, Chunk, replace


class BrokenOff(UnavailableError):  # noqa: N818 - it names what happened
    """The connection ended after the question was sent: the answer may have been billed.

    Parameters
    ----------
    message, model
        As :class:`~emafusion.errors.ProviderError`.
    begun : bool
        Whether the upstream had begun to answer; asking again would then pay twice.
    """

    def __init__(self, message: str, model: str, *, begun: bool = True) -> None:
        super().__init__(message, model)
        self.begun = begun


async def ended(chunks: AsyncGenerator[Chunk], call: Call) -> AsyncGenerator[Chunk]:
    """The `chunks` of `call`'s answer, the last with its finish reason and its usage.

    Usage is estimated where the upstream reports none. A stream that stops without having said why
    broke off: :class:`BrokenOff`.
    """
    texts: list[str] = []
    usage = reason = None
    chunk = Chunk()
    async with aclosing(chunks):
        async for chunk in chunks:
            texts.append(chunk.text)
            usage = chunk.usage or usage
            reason = chunk.finish_reason or reason
            yield chunk if chunk.usage is None else replace(chunk, finish_reason=reason)
    if reason is None:
        raise BrokenOff(
            f"{call.model.name!r} closed the stream before its answer was complete", call.model.name
        )
    if chunk.usage is None:
        usage = usage or wire.estimated_usage(call, "".join(texts))
        yield Chunk(finish_reason=reason, usage=usage)
