"""One endpoint for every protocol in which a question is put to the engine.

Knows the way of a request from its bytes to its response, and what a protocol must bring for it.
It knows no protocol.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Generic, Protocol, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from emafusion.errors import EmafusionError
from emafusion.gateway.body import LONG, Asked, apart, read
from emafusion.gateway.callers import Caller, Gate, Passage
from emafusion.gateway.conversations import session
from emafusion.gateway.exchange import Exchange, caller_of
from emafusion.gateway.faults import fault_of
from emafusion.gateway.presence import Presence
from emafusion.gateway.replies import decided, encode, header_value, headers_of
from emafusion.gateway.settings import Settings
from emafusion.gateway.shielding import classes
from emafusion.gateway.stream import EventStream, Teller
from emafusion.gateway.turns import Turns
from emafusion.types import Answer, Request, replace

A = TypeVar("A", bound=Asked)


class Dialect(Protocol[A]):
    """How one protocol says what is asked and what is answered."""

    async def parse(self, data: bytes, models: Collection[str], caller: Caller) -> A:
        """What a body asks; raises :class:`~emafusion.errors.RequestError`."""
        ...

    def body(self, asked: A, answer: Answer) -> object:
        """The whole answer, ready to be encoded as JSON."""
        ...

    def events(self, asked: A) -> Teller:
        """The answer as a stream of events."""
        ...

    def gates(self, asked: A) -> Sequence[Gate]:
        """What this request passes beyond the gates that all do."""
        ...


class Conversation(Generic[A]):
    """The ASGI endpoint at which `exchange` is asked in one dialect.

    Parameters
    ----------
    dialect : Dialect
        The protocol.
    exchange : Exchange
        Who answers.
    settings : Settings
        The gateway's bounds.
    """

    def __init__(self, dialect: Dialect[A], exchange: Exchange, settings: Settings) -> None:
        self._dialect = dialect
        self._exchange = exchange
        self._settings = settings
        self._turns = Turns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        caller = caller_of(scope, "chat")
        data = await read(scope, receive, self._settings)
        headers = dict(scope["headers"])
        named = headers.get(b"x-emafusion-session", b"").decode("latin-1")
        if len(data) <= LONG:
            asked, request = await self._asked(data, caller, named)
        else:
            asked, request = await self._long(data, caller, named)
        passage = Passage(
            request=request,
            caller=caller,
            stream=asked.stream,
            cache_control=headers.get(b"cache-control", b"").decode("latin-1"),
            stated=(*classes(scope["headers"], caller), *asked.stated),
            conversation=named,
            echo=asked.echo,
            earlier=asked.earlier,
        )
        scope.setdefault("state", {})["passage"] = passage
        try:
            response = await self._response(asked, passage, receive)
            await response(scope, receive, send)
        except EmafusionError as failure:
            await refusal(failure, passage, scope["path"])(scope, receive, send)

    async def _asked(self, data: bytes, caller: Caller, named: str) -> tuple[A, Request]:
        """What `data` asks, in its protocol and of the engine."""
        asked = await self._dialect.parse(data, self._exchange.client.engine.models, caller)
        key = await apart(data, partial(session, asked.request, caller, named=named))
        return asked, replace(asked.request, session=key)

    async def _long(self, data: bytes, caller: Caller, named: str) -> tuple[A, Request]:
        """The same of long bodies, a tenant's one after another: they hold up nobody else's."""
        if self._exchange.rates is not None:
            self._exchange.rates.early(caller)
        async with self._turns.of(caller.tenant):
            return await self._asked(data, caller, named)

    async def _response(self, asked: A, passage: Passage, receive: Receive) -> Response:
        gates = self._dialect.gates(asked)
        if asked.stream:
            return EventStream(
                self._exchange,
                passage,
                events=self._dialect.events(asked),
                headers=_known_at_start(asked),
                heartbeat_s=self._settings.heartbeat_s,
                gates=gates,
            )
        async with Presence(receive):
            answer = await self._exchange.answer(passage, gates)
        body = encode(self._dialect.body(asked, answer))
        headers = {**headers_of(answer), **passage.reply_headers}
        return Response(body, headers=headers, media_type="application/json")


def refusal(failure: EmafusionError, passage: Passage, path: str) -> Response:
    """What was refused or failed before anything was sent, in the shape that `path` has."""
    response = fault_of(failure, passage.outcome).response(path)
    response.headers.update(passage.reply_headers)
    if passage.outcome is not None:
        response.headers.update(decided(passage.request.id))
    return response


def _known_at_start(asked: Asked) -> dict[str, str]:
    """The headers of a stream, sent before the engine has decided anything."""
    headers = decided(asked.request.id)
    if asked.direct and asked.request.knobs.models:
        headers["x-emafusion-model"] = header_value(asked.request.knobs.models[0])
    return headers
