"""Who asks, and one request on its way in: what the gates before the engine see and may change.

It knows no key, no budget and no engine; the gates and the endpoints meet in these types.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final, Literal, Protocol

from msgspec import Struct, field

from emafusion.protect.vault import Vault
from emafusion.types import Answer, DataClass, Message, Outcome, Request, Turn

Scope = Literal["chat", "embeddings", "models", "decisions", "feedback", "metrics", "admin"]
"""What a key may be used for."""
EVERY_SCOPE: frozenset[Scope] = frozenset(
    {"chat", "embeddings", "models", "decisions", "feedback", "metrics", "admin"}
)


class Caller(Struct, frozen=True, kw_only=True):
    """Who sends a request; by default anyone, who may do everything.

    ``key`` is the public id of the key used, ``team`` whose it is. ``models`` are those it may be
    answered by, ``policies`` the names of policies it may ask for, ``None`` where all are allowed;
    ``prefer`` and ``min_quality`` are what its requests get that ask for nothing, the latter also
    the least they may ask for. ``data_class`` is the least class of what it sends.
    """

    key: str = ""
    name: str = ""
    team: str = ""
    scopes: frozenset[Scope] = EVERY_SCOPE
    models: frozenset[str] | None = None
    policies: frozenset[str] | None = None
    prefer: float | None = None
    min_quality: float | None = None
    data_class: DataClass | None = None

    @property
    def tenant(self) -> str:
        """Whose data this caller's is: its team, else its key; nothing is shared across tenants."""
        return f"team:{self.team}" if self.team else f"key:{self.key}"


ANYONE = Caller()


class Passage(Struct, kw_only=True):
    """One request on its way through the gates, to the engine and back.

    ``answer`` is set by a gate that has one already, else by the engine's end; ``outcome`` once it
    is on record, for failed requests too where anything was spent. ``cache_control`` is that header
    of the request; ``reply_headers`` is what the gates have to say to the caller.

    ``stated`` are the classes of its data that its key and its headers give it, ``conversation`` is
    its caller's name for that; ``echo`` is what of it the reply repeats, ``earlier`` those of its
    messages that were masked before, ``kept`` whose turn goes on with what tools have found. Where
    it is masked, which is before the first gate, ``vault`` has what was taken out: ``request``,
    ``answer``, ``outcome`` and ``echo`` are masked from then.
    """

    request: Request
    caller: Caller = ANYONE
    stream: bool = False
    answer: Answer | None = None
    outcome: Outcome | None = None
    cache_control: str = ""
    stated: tuple[DataClass, ...] = ()
    conversation: str = ""
    echo: Mapping[str, object] = field(default_factory=dict)
    earlier: tuple[Message, ...] = ()
    kept: Turn | None = None
    vault: Vault | None = None
    reply_headers: dict[str, str] = field(default_factory=dict)

    @property
    def spent_usd(self) -> float:
        """US dollars that the request cost, as far as it is known."""
        return 0.0 if self.outcome is None else self.outcome.cost_usd


NOTHING: Final = nullcontext()
"""Held by a gate that has done all it does once it is opened."""


class Gate(Protocol):
    """One reason to let a request in, to change it, or to refuse it."""

    def open(self, passage: Passage) -> AbstractAsyncContextManager[None]:
        """Held open from before the engine is asked until the request's end.

        Opening and entering may replace ``passage.request``, set ``passage.answer``, or raise an
        :class:`~emafusion.errors.EmafusionError` to refuse; leaving finds ``passage.outcome``. What
        is nothing to be held is :data:`NOTHING`.
        """
        ...


Identify = Callable[[str], Awaitable[Caller | None]]
"""Whose key that is; ``None`` where it is nobody's."""


class Keeper(Protocol):
    """Knows callers by their keys, while it is open."""

    @property
    def identify(self) -> Identify | None:
        """Whose a key is; ``None`` where callers have no keys of their own."""
        ...

    def open(self) -> AbstractAsyncContextManager[None]:
        """Open for as long as requests come."""
        ...
