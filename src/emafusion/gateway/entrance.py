"""What a request passes on its way to the engine, put together as it was chosen.

Knows which gates there are, in which order, and when what they stand on begins and ends. What a
gate does is its own.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from functools import lru_cache
from typing import Literal

from msgspec import Struct, structs

from emafusion.client import Client
from emafusion.config.clock import SystemClock
from emafusion.errors import StoreUnreachableError
from emafusion.gateway.accounts import Accounts, Rates
from emafusion.gateway.accounts.estimates import Dearest
from emafusion.gateway.caches import (
    AnswerCache,
    Equal,
    LocalShelf,
    Rules,
    SameQuestion,
    SharedShelf,
    Shelf,
)
from emafusion.gateway.callers import NOTHING, Caller, Gate, Identify, Passage
from emafusion.gateway.limits import (
    Allowance,
    Buckets,
    LocalBuckets,
    Rate,
    RateGate,
    SharedBuckets,
    Shedder,
    Standby,
)
from emafusion.gateway.limits.rates import Unit
from emafusion.gateway.replies import encode
from emafusion.gateway.shielding import untold
from emafusion.gateway.telemetry.observations import Witness
from emafusion.gateway.terms import TermsGate
from emafusion.gateway.valkey import Link
from emafusion.protocols import Recorder
from emafusion.types import Knobs, Outcome, Request

CALLS = 2
"""Calls of the dearest model that are reserved for a request which leaves the choice to us."""


class Doors(Struct, frozen=True, kw_only=True):
    """What was chosen; ``accounts`` and ``valkey`` are addresses with their secrets."""

    accounts: str | None = None
    valkey: str | None = None
    places: int = 512
    workers: int = 1
    answers: Literal["off", "exact", "similar"] = "off"
    ttl_s: float = 3600.0
    megabytes: int = 64


class Entrance:
    """The gates before `client`'s engine, and what they stand on.

    Parameters
    ----------
    doors : Doors
        What was chosen.
    client : callable
        Who answers now: gates outlive a reload of the settings.

    Attributes
    ----------
    gates : tuple of Gate
        In the order in which a request passes them.
    accounts : Accounts, optional
        Whose keys and budgets there are.
    rates : RateGate, optional
        What keeps callers to their rates, where they have keys.
    shedder : Shedder
        How much is under way.
    """

    def __init__(self, doors: Doors, client: Callable[[], Client]) -> None:
        self._doors = doors
        self._client = client
        self._dearest = Dearest()
        self._link = None if doors.valkey is None else Link(doors.valkey)
        self.accounts = None
        if doors.accounts is not None:
            self.accounts = Accounts(doors.accounts, estimate=self.most_usd, models=self._usual)
        # Without keys everyone is one tenant, which may have all the places.
        share = 0.75 if self.accounts is not None else 1.0
        self.shedder = Shedder(doors.places, share=share)
        self._shelf = self._shelves()
        self.rates = self._rated()
        self.gates: tuple[Gate, ...] = tuple(self._made())

    def renew(self, doors: Doors) -> None:
        """Make the gates anew of other `doors`: places and cached answers.

        What is kept, held and counted stays, but for the answers of a cache of another size.
        ``accounts``, ``valkey`` and ``workers`` stay what they were.
        """
        before = self._doors
        self._doors = structs.replace(
            doors, accounts=before.accounts, valkey=before.valkey, workers=before.workers
        )
        self.shedder.resize(doors.places)
        if doors.megabytes != before.megabytes:
            self._shelf = self._shelves()
        self.gates = tuple(self._made())

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Open for as long as the block runs; raises ``StoreError`` where keys cannot be read."""
        if self.accounts is not None:
            await self.accounts.begin()
        try:
            with self.shedder.watching():
                yield
        finally:
            if self.accounts is not None:
                await self.accounts.aclose()
            if self._link is not None:
                await self._link.aclose()

    @property
    def identify(self) -> Identify | None:
        """Whose a key is; ``None`` where callers have no keys of their own."""
        return None if self.accounts is None else self.accounts.identify

    def most_usd(self, request: Request, caller: Caller) -> float:
        """What `request` may cost at most: the dearest model it may be answered by, US dollars.

        With a choice left to us that is two calls of it, since a draft may be rejected or judged.
        The settings' own limit holds here, too.
        """
        engine = self._client().engine
        named = self._usual() if request.knobs.models is None else request.knobs.models
        most = self._dearest.usd(request, engine.models, named)
        if sum(name in engine.models for name in named) != 1:
            most *= CALLS
        limit = engine.knobs.max_cost_usd
        return most if limit is None else min(most, limit)

    def _made(self) -> Sequence[Gate]:
        gates: list[Gate] = [
            Witness(),
            Places(self.shedder),
            Recordable(lambda: self._client().engine.stages.recorder),
            TermsGate(self._pools, self._chosen),
        ]
        if self.rates is not None:
            gates.append(self.rates)
        gates.extend(self._caches())
        if self.accounts is not None:
            gates.append(self.accounts.budgets)
        return gates

    def _caches(self) -> Sequence[Gate]:
        answers = self._doors.answers
        if answers == "off":
            return ()
        keys = (Equal, SameQuestion) if answers == "similar" else (Equal,)
        return [
            AnswerCache(
                self._shelf,
                self._record,
                clock=SystemClock(),
                key=key(self._scope),
                # Answers to what no text may be kept of are not kept either.
                mode=lambda passage: "off" if untold(passage) else "on",
                rules=Rules(ttl_s=self._doors.ttl_s),
            )
            for key in keys
        ]

    def _shelves(self) -> Shelf:
        if self._link is not None:
            return SharedShelf(self._link)
        return LocalShelf(self._doors.megabytes * 2**20, tick=time.monotonic)

    def _rated(self) -> RateGate | None:
        if self.accounts is None:
            return None
        return RateGate(self._buckets(), self._allowances, price=self._price)

    def _buckets(self) -> Buckets:
        local = LocalBuckets(time.monotonic)
        if self._link is None:
            return local
        return Standby(SharedBuckets(self._link), local, workers=self._doors.workers)

    def _allowances(self, caller: Caller) -> Sequence[Allowance]:
        if self.accounts is None:
            return ()
        return [allowance(one) for one in self.accounts.rates(caller)]

    def _price(self, request: Request) -> float:
        return self.most_usd(request, Caller())

    async def _record(self, outcome: Outcome) -> None:
        await self._client().engine.stages.recorder.record(outcome)

    def _scope(self, passage: Passage) -> Sequence[str]:
        """What else makes two requests one: the policy that decides, and who may see them."""
        engine = self._client().engine
        stages = engine.stages if engine.policies is None else engine.policies(passage.request)
        private = passage.request.knobs.private or engine.knobs.private
        found = passage.request.protection
        classed = "" if found is None else found.data_class
        settings = encode(engine.knobs).decode()
        return stages.policy, settings, "private" if private else "public", classed

    def _chosen(self, policy: str | None) -> Knobs:
        return self._client().engine.chosen(policy)

    def _usual(self) -> Collection[str]:
        """The models that answer requests which name none: the policy's, else all that talk."""
        policy, talking, _ = self._pools()
        return policy or talking

    def _pools(self) -> tuple[Collection[str], Collection[str], Collection[str]]:
        """The models that the policy names, all that talk, and all there are."""
        engine = self._client().engine
        models = engine.models
        talking = [name for name in models if "embeddings" not in models[name].capabilities]
        return engine.knobs.models or (), talking, models


class Places:
    """A gate that keeps requests under way within their number."""

    def __init__(self, shedder: Shedder) -> None:
        self._shedder = shedder

    def open(self, passage: Passage) -> contextlib.AbstractAsyncContextManager[None]:
        """Hold a place for `passage`; entering waits, and raises ``OverloadedError``."""
        return self._shedder.place(passage.caller.tenant)


class Recordable:
    """A gate that refuses what could not be recorded: it would be paid for, and then withheld."""

    def __init__(self, recorder: Callable[[], Recorder]) -> None:
        self._recorder = recorder

    def open(self, passage: Passage) -> contextlib.AbstractAsyncContextManager[None]:
        """Raises ``StoreUnreachableError`` while the record cannot be written."""
        # Only a store on disk or behind a socket knows; what a Protocol costs to ask is 10 µs.
        failing: str | None = getattr(self._recorder(), "failing", None)
        if failing is not None:
            raise StoreUnreachableError(f"nothing was asked: {failing}")
        return NOTHING


@lru_cache(maxsize=1024)
def allowance(rates: Rates) -> Allowance:
    """A holder's rates, those that are set, as the limits count them."""
    told: Sequence[tuple[Unit, float | None]] = (
        ("requests", rates.requests_per_minute),
        ("tokens", rates.tokens_per_minute),
        ("usd", rates.usd_per_minute),
    )
    return Allowance(
        holder=rates.holder,
        rates=tuple(Rate(unit=unit, amount=most) for unit, most in told if most is not None),
    )
