"""Which model made the tool calls whose results a conversation comes back with.

It knows the chat protocol's tool messages. Its memory is bounded, and this process's alone where
workers leave no notes for one another: what is not known is routed like any other request.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from msgspec import Struct

from emafusion.gateway.callers import Passage
from emafusion.gateway.notes import Notes, key
from emafusion.types import Answer, Message, Turn, content_text

KEPT_S = 24 * 3600.0
"""How long other workers are told of calls: a person may have to agree to them first."""


class Loop(Struct, frozen=True):
    """Calls that a model made, by their identifiers, and the user's words that led to them."""

    asked: str
    calls: tuple[str, ...]


class Returns:
    """The last tool calls that the engine's models made, and who made them.

    Calls are told apart by tenant, by their identifiers (which some upstreams begin at zero in
    every answer) and by the user's words that led to them.

    Parameters
    ----------
    notes : Notes, optional
        What workers leave for one another.
    limit : int
        How many answers with tool calls to remember here.
    """

    def __init__(self, notes: Notes | None = None, limit: int = 20_000) -> None:
        self.limit = limit
        self._notes = notes
        self._turns: OrderedDict[str, Turn] = OrderedDict()

    async def note(self, passage: Passage, answer: Answer, *, after: str = "") -> None:
        """Remember who answered `passage`, if with tool calls; raises ``StoreError``.

        `after` identifies the last call that others had made before.
        """
        calls = _identifiers(answer.completion.tool_calls)
        if not calls:
            return
        name = _name(passage, Loop(_question(passage.request.messages), calls))
        self._turns[name] = turn = Turn(model=answer.model, after=after)
        self._turns.move_to_end(name)
        if len(self._turns) > self.limit:
            self._turns.popitem(last=False)
        if self._notes is not None:
            await self._notes.put(name, f"{turn.model}\n{turn.after}".encode(), KEPT_S)

    async def told(self, passage: Passage, loop: Loop) -> Turn | None:
        """Who made the calls of `loop` as another worker may know; raises ``StoreError``."""
        if self._notes is None:
            return None
        found = await self._notes.get(_name(passage, loop))
        if found is None:
            return None
        model, _, after = found.decode().partition("\n")
        return Turn(model=model, after=after)

    def turn(self, passage: Passage, loop: Loop) -> Turn | None:
        """Who made the calls of `loop`, as far as this process knows."""
        return self._turns.get(_name(passage, loop))


def open_loop(messages: Sequence[Message]) -> Loop | None:
    """The tool calls whose results no answer has followed yet; ``None`` where there are none.

    The turn of a model that calls tools ends with its answer. What a user says beside the results,
    or behind them before that answer, is said within the turn.
    """
    place = len(messages)
    results = False
    while place and messages[place - 1].get("role") != "assistant":
        place -= 1
        results = results or messages[place].get("role") == "tool"
    if not results:
        return None
    calls: tuple[str, ...] = ()
    # Calls made together may come as messages of their own, each with its reasoning.
    while place and messages[place - 1].get("role") == "assistant":
        place -= 1
        calls = (*_identifiers(messages[place].get("tool_calls")), *calls)
    return Loop(_question(messages[:place]), calls) if calls else None


def _identifiers(calls: object) -> tuple[str, ...]:
    if not isinstance(calls, (list, tuple)):
        return ()
    return tuple(str(call.get("id")) for call in calls if isinstance(call, Mapping))


def _question(messages: Sequence[Message]) -> str:
    """The last of the user's words in `messages`."""
    found = (content_text(one) for one in reversed(messages) if one.get("role") == "user")
    return next(found, "")


def _name(passage: Passage, loop: Loop) -> str:
    return key("loop", passage.caller.tenant, loop.asked, *loop.calls)
