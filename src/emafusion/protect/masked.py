"""A provider whose upstreams see masked text alone, for callers that no engine stands before.

Learning asks models itself: what it asks comes from seeds and files, which may hold anything. It
knows no wire format and no policy but the shield's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from emafusion.errors import RejectedError, RequestError
from emafusion.protect.returning import Returning, asks_json, returned
from emafusion.protect.shield import Protected, Shield
from emafusion.protocols import Provider
from emafusion.types import Call, Chunk, Completion, Model, Request, replace


class MaskedProvider:
    """Asks `inner` with placeholders for what `shield` finds; values come back in its answers.

    What is for private models alone is refused for others, before anything is sent.
    """

    def __init__(self, inner: Provider, shield: Shield) -> None:
        self.inner = inner
        self._shield = shield

    async def complete(self, call: Call) -> Completion:
        """As the inner provider's; raises :class:`RejectedError` for what may not be sent."""
        found = await self._protected(call)
        completion = await self.inner.complete(_told(call, found))
        return returned(completion, found.vault, in_json=asks_json(found.request))

    async def stream(self, call: Call) -> AsyncIterator[Chunk]:
        """As the inner provider's; raises as :meth:`complete`."""
        found = await self._protected(call)
        returning = Returning(found.vault, in_json=asks_json(found.request))
        pieces = self.inner.stream(_told(call, found))
        async with aclosing(pieces):  # type: ignore[type-var]  # providers' streams are generators
            async for piece in pieces:
                yield returning.of(piece)
        for rest in returning.end():
            yield rest

    async def healthy(self, model: Model) -> bool:
        """As the inner provider's."""
        return await self.inner.healthy(model)

    async def aclose(self) -> None:
        """End the detectors, and give back what the inner provider holds."""
        try:
            await self._shield.aclose()
        finally:
            await self.inner.aclose()

    async def _protected(self, call: Call) -> Protected:
        model = call.model
        asked = Request(id="", messages=call.messages, params=call.params)
        try:
            found = await self._shield.protect(asked)
        except RequestError as wrong:
            raise RejectedError(str(wrong), model.name) from wrong
        if found.findings.private and model.visibility != "private":
            failed = ", ".join(found.findings.failed)
            why = f" ({failed} failed)" if failed else ""
            raise RejectedError(
                f"{model.name!r} is not cleared for restricted text{why}; ask a model with "
                "visibility = 'private'",
                model.name,
            )
        return found


def _told(call: Call, found: Protected) -> Call:
    return replace(call, messages=found.request.messages, params=found.request.params)
