"""``POST /v1/responses``: the protocol that OpenAI's newer clients speak."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from functools import partial

from emafusion.errors import RequestError, StoreError
from emafusion.gateway.body import apart, json_of
from emafusion.gateway.callers import Caller, Gate, Passage
from emafusion.gateway.faults import one_line
from emafusion.gateway.replies import encode
from emafusion.gateway.responses.asked import Fields, ResponsesAsked, asked_of, fields_of
from emafusion.gateway.responses.events import Events
from emafusion.gateway.responses.output import completed, turn_of
from emafusion.gateway.responses.shelf import Kept, Shelf
from emafusion.gateway.shielding import untold
from emafusion.types import Answer, replace

log = logging.getLogger("emafusion.gateway")


class Responses:
    """The responses protocol as a :class:`~emafusion.gateway.dialects.Dialect`.

    Parameters
    ----------
    shelf : Shelf
        Where responses are kept that may be, and found that others go on from.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def parse(self, data: bytes, models: Collection[str], caller: Caller) -> ResponsesAsked:
        """What a body asks; raises :class:`~emafusion.errors.RequestError`."""
        body, fields = await apart(data, partial(_read, data))
        kept = None
        if fields.previous_response_id is not None:
            kept = await self._shelf.get(caller.tenant, fields.previous_response_id)
            if kept is None:
                raise RequestError(
                    f"there is no response {fields.previous_response_id[:200]!r} any more; send "
                    "the conversation itself as input",
                    "previous_response_id",
                )
        whole = partial(asked_of, body, fields, kept=kept, models=models, caller=caller)
        return await apart(data, whole)

    def body(self, asked: ResponsesAsked, answer: Answer) -> object:
        """A response."""
        return completed(asked, answer)

    def events(self, asked: ResponsesAsked) -> Events:
        """A response's events."""
        return Events(asked)

    def gates(self, asked: ResponsesAsked) -> Sequence[Gate]:
        """What keeps the response, if it may be kept."""
        return (_Keeping(self._shelf, asked),) if asked.store else ()


def _read(data: bytes) -> tuple[dict[str, object], Fields]:
    body = json_of(data)
    return body, fields_of(body)


class _Keeping:
    """Keeps a request's response once it is there, as it was masked, if it may be kept."""

    def __init__(self, shelf: Shelf, asked: ResponsesAsked) -> None:
        self._shelf = shelf
        self._asked = asked

    @asynccontextmanager
    async def open(self, passage: Passage) -> AsyncIterator[None]:
        """Nothing before; after an answer, keep it."""
        yield
        if passage.answer is None or untold(passage):
            return
        asked = self._asked
        if passage.vault is not None:
            asked = replace(asked, echo=passage.echo)
        body = completed(asked, passage.answer)
        turns = (
            *passage.request.messages[asked.instructed :],
            turn_of(passage.answer.completion, thoughts=asked.direct),
        )
        found = passage.request.protection
        kept = Kept(
            tenant=self._asked.tenant,
            id=str(body["id"]),
            turns=turns,
            stated=() if found is None else (found.data_class,),
            private=passage.request.knobs.private,
            body=body,
            size=len(encode(turns)) + len(encode(body)),
        )
        try:
            await self._shelf.put(kept)
        except StoreError as failure:
            # The answer is there and paid for: better unkept than withheld.
            log.warning("a response was not kept: %s", one_line(str(failure)))
