"""Where a parsed request meets the gates and the engine, whatever protocol it came in.

It knows that a request is masked before anything else sees it, in which order the gates open,
which client answers now, and that earlier turns of a conversation are recalled first. It knows no
wire format and no gate from inside.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

from starlette.types import Scope as AsgiScope

from emafusion.client import Client
from emafusion.errors import ForbiddenError
from emafusion.gateway.callers import ANYONE, NOTHING, Caller, Gate, Passage, Scope
from emafusion.gateway.notes import Notes
from emafusion.gateway.recollection import Recollection, keep
from emafusion.gateway.shielding import namespace, shielded, shown
from emafusion.protect import returning
from emafusion.protect.returning import asks_json
from emafusion.protect.vault import Vault
from emafusion.types import Answer, Chunk

if TYPE_CHECKING:
    from emafusion.gateway.limits import RateGate


class Exchange:
    """Takes requests through the gates to the engine, and their answers back.

    Parameters
    ----------
    client : Client
        Whose engine answers.
    gates : sequence of Gate
        What a request passes first, in order; left in reverse order when its outcome is known.
    notes : Notes, optional
        What workers leave for one another; without it this process knows what it heard itself.
    rates : RateGate, optional
        That of the gates which keeps callers to their rates, for who asks without the engine.

    Attributes
    ----------
    client : Client
        Who answers from now on; requests under way keep the one they began with.
    gates : tuple of Gate
        What requests pass from now on; those under way leave the ones they passed.
    notes, rates
        As given.
    recollection : Recollection
        What earlier turns of conversations tell.
    """

    def __init__(
        self,
        client: Client,
        gates: Sequence[Gate] = (),
        *,
        notes: Notes | None = None,
        rates: RateGate | None = None,
    ) -> None:
        self.client = client
        self.notes = notes
        self.rates = rates
        self.recollection = Recollection(notes)
        self.gates = tuple(gates)
        self._under_way: dict[Client, int] = {}

    async def answer(self, passage: Passage, gates: Sequence[Gate] = ()) -> Answer:
        """The whole answer; raises what a gate or the engine refuses it with.

        `gates` are this request's own, behind all others.
        """
        async with self.open(passage, gates) as client:
            if passage.answer is None:
                told = partial(setattr, passage, "outcome")
                passage.answer = await client.engine.serve(passage.request, told)
                await self.recollection.remember(passage, passage.answer, client)
            return shown(passage.answer, passage)

    @asynccontextmanager
    async def stream(
        self, passage: Passage, gates: Sequence[Gate] = ()
    ) -> AsyncIterator[AsyncGenerator[Chunk | Answer]]:
        """The answer piece by piece, last the whole; the gates stay open as long as the block."""
        async with (
            self.open(passage, gates) as client,
            aclosing(self._shown(passage, client)) as pieces,
        ):
            yield pieces

    async def replace(self, client: Client) -> None:
        """Have `client` answer from now on; the one before is closed once nobody waits for it."""
        before, self.client = self.client, client
        client.begin()
        while self._under_way.get(before, 0):  # noqa: ASYNC110 - once in a configuration's life
            await asyncio.sleep(0.05)
        await before.aclose()

    def _shown(self, passage: Passage, client: Client) -> AsyncGenerator[Chunk | Answer]:
        """The answer's pieces as their caller reads them."""
        pieces = self._pieces(passage, client)
        return pieces if passage.vault is None else self._unmasked(pieces, passage, passage.vault)

    async def _unmasked(
        self, masked: AsyncGenerator[Chunk | Answer], passage: Passage, vault: Vault
    ) -> AsyncGenerator[Chunk | Answer]:
        in_json = asks_json(passage.request)
        async with (
            aclosing(masked) as pieces,
            aclosing(returning.shown(pieces, vault, in_json=in_json)) as told,
        ):
            async for piece in told:
                yield piece

    async def _pieces(
        self, passage: Passage, client: Client
    ) -> AsyncGenerator[Chunk | Answer, None]:
        if passage.answer is not None:
            yield Chunk(text=passage.answer.text)
            yield passage.answer
            return
        told = partial(setattr, passage, "outcome")
        async with aclosing(client.engine.stream(passage.request, told)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Answer):
                    passage.answer = piece
                    await self.recollection.remember(passage, piece, client)
                yield piece

    def open(
        self, passage: Passage, gates: Sequence[Gate] = ()
    ) -> AbstractAsyncContextManager[Client]:
        """The client that answers, behind the gates, which are open as long as the block."""
        return _Way(self, passage, (*self.gates, *gates))

    def enter(self) -> Client:
        """The client that answers from now on, with one request more under way."""
        client = self.client
        self._under_way[client] = self._under_way.get(client, 0) + 1
        return client

    def leave(self, client: Client) -> None:
        """One request that `client` answers is over."""
        self._under_way[client] -= 1
        if not self._under_way[client]:
            del self._under_way[client]


class _Way:
    """The gates on one request's way: entered in order, left in reverse, whatever fails.

    Each is told what the request failed with, as in nested blocks; none can make that undone. Every
    request comes this way, and ``AsyncExitStack`` takes four times as long.
    """

    __slots__ = ("_client", "_exchange", "_gates", "_open", "_passage")

    def __init__(self, exchange: Exchange, passage: Passage, gates: Sequence[Gate]) -> None:
        self._exchange = exchange
        self._passage = passage
        self._gates = gates
        self._open: list[AbstractAsyncContextManager[None]] = []

    async def __aenter__(self) -> Client:
        client = self._client = self._exchange.enter()
        try:
            if client.shield is not None or self._passage.stated:
                await shielded(self._passage, client)
            await self._exchange.recollection.recall(self._passage, client)
            for gate in self._gates:
                one = gate.open(self._passage)
                if one is NOTHING:
                    continue
                await one.__aenter__()
                self._open.append(one)
            keep(self._passage, client)
        except BaseException as refused:
            await self.__aexit__(type(refused), refused, refused.__traceback__)
            raise
        return client

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._open:
            try:
                await self._open.pop().__aexit__(kind, error, trace)
            except BaseException as raised:
                # The gates before it are told of this instead.
                await self.__aexit__(type(raised), raised, raised.__traceback__)
                raise
        self._exchange.leave(self._client)


def caller_of(scope: AsgiScope, needed: Scope) -> Caller:
    """Who asks, as the guard found out; raises :class:`ForbiddenError` without scope `needed`."""
    state = scope.get("state")
    caller: Caller = ANYONE if state is None else state.get("caller", ANYONE)
    if needed not in caller.scopes:
        raise ForbiddenError(
            f"this key may not be used for {needed}; its scopes are: "
            f"{', '.join(sorted(caller.scopes)) or 'none'}"
        )
    return caller


def signed(caller: Caller, user: str) -> str:
    """`user` as the record tells callers apart: behind a key, a name within its tenant."""
    return user if not caller.key else f"{namespace(caller)}{user}"


def owns(caller: Caller, recorded: str) -> bool:
    """Whether a decision that the record says `recorded` asked for is this caller's to see."""
    return "admin" in caller.scopes or recorded.startswith(namespace(caller))
