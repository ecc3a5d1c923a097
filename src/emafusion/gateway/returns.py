"""Which model made the tool calls whose results a conversation comes back with.

It knows the chat protocol's tool messages. It is a bounded memory of this process: what it has
forgotten, or another process has heard, is routed like any other request.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from emafusion.gateway.callers import Passage
from emafusion.types import Answer, Request

Key = tuple[str, ...]


class Returns:
    """The last tool calls that the engine's models made, and who made them.

    Calls are told apart by tenant, by their identifiers (which some upstreams begin at zero in
    every answer) and by the user's words that led to them.

    Parameters
    ----------
    limit : int
        How many answers with tool calls to remember.
    """

    def __init__(self, limit: int = 20_000) -> None:
        self.limit = limit
        self._models: OrderedDict[Key, str] = OrderedDict()

    def note(self, passage: Passage, answer: Answer) -> None:
        """Remember who answered `passage`, if with tool calls."""
        calls = answer.completion.tool_calls
        if not calls:
            return
        key = _key(passage, [call.get("id") for call in calls])
        self._models[key] = answer.model
        self._models.move_to_end(key)
        if len(self._models) > self.limit:
            self._models.popitem(last=False)

    def model(self, passage: Passage) -> str | None:
        """The model that waits for the tool results that `passage` ends with, where it is known."""
        calls = _answered_calls(passage.request)
        return self._models.get(_key(passage, calls)) if calls else None


def _answered_calls(request: Request) -> list[object]:
    """The identifiers of the calls whose results come last; empty where none do."""
    if request.messages[-1].get("role") != "tool":
        return []
    for message in reversed(request.messages):
        calls = message.get("tool_calls")
        if isinstance(calls, (list, tuple)):
            return [call.get("id") for call in calls if isinstance(call, Mapping)]
        if message.get("role") != "tool":
            return []
    return []


def _key(passage: Passage, calls: list[object]) -> Key:
    return (passage.caller.tenant, str(hash(passage.request.text)), *map(str, calls))
