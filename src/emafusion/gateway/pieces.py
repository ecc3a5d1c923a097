"""What a chat completion says, piece by piece, whatever its upstream's fields are called.

Knows the chat format's spellings of text, refusals, reasoning and tool calls. It knows no other
protocol: those that answers are translated to read these pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from emafusion.errors import BadResponseError
from emafusion.gateway.replies import choices_of
from emafusion.providers.wire import place_of
from emafusion.types import Chunk, Completion

REASONING = ("reasoning_content", "reasoning", "extra_content")
"""Where upstreams put what they thought before they answered, and their seal on it."""
Kind = Literal["text", "refusal", "reasoning", "signature", "call"]


class Said(Struct, frozen=True):
    """A piece of an answer: of its text, of the reasoning before it, or of a tool call.

    A tool call's first piece has its ``id`` and ``name``, which are empty in later ones;
    ``place`` tells calls made together apart. ``logprobs`` are those of a text's tokens, as the
    upstream spells them.
    """

    kind: Kind
    text: str
    place: int = 0
    id: str = ""
    name: str = ""
    logprobs: Sequence[object] = ()


class Step(Struct, frozen=True):
    """A block of an answer begins with, goes on with, or ended with what was ``said``."""

    act: Literal["begin", "add", "end"]
    said: Said


class Blocks:
    """Pieces in the blocks that they make, one block after another.

    Parameters
    ----------
    model : str
        Who is to blame where the pieces of two tool calls come by turns, which no protocol of
        blocks can say.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._open: Said | None = None
        self._calls: dict[int, str] = {}
        self._spoke = False

    def take(self, pieces: Iterable[Said]) -> Iterator[Step]:
        """What `pieces` begin, add and end; raises :class:`BadResponseError`."""
        for said in pieces:
            self._spoke = True
            if self._open is None or _block(said) != _block(self._open) or self._another(said):
                yield from self.close()
                self._begin(said)
                yield Step("begin", said)
            if said.text:
                yield Step("add", said)

    def rest(self, completion: Completion) -> Iterator[Step]:
        """What of a whole `completion` was not streamed before, and the end of the last block."""
        whole = said_by(completion)
        if self._spoke:
            # A judged draft streams as its text alone; chunks of its own bring all of it.
            whole = [] if self._calls else [said for said in whole if said.kind == "call"]
        yield from self.take(whole)
        yield from self.close()

    def close(self) -> Iterator[Step]:
        """The end of the block that is open, if one is."""
        if self._open is not None:
            yield Step("end", self._open)
            self._open = None

    def _another(self, said: Said) -> bool:
        """Whether another call begins under the same index as the one before."""
        named = said.kind == "call" and said.id and said.name
        return bool(named and self._calls.get(said.place, said.id) not in ("", said.id))

    def _begin(self, said: Said) -> None:
        if said.kind == "call":
            if said.place in self._calls and not self._another(said):
                raise BadResponseError(
                    f"the tool calls of {self._model!r} came in pieces by turns", self._model
                )
            self._calls[said.place] = said.id
        self._open = said


def said_in(chunk: Chunk) -> Iterator[Said]:
    """The pieces in one chunk of a stream."""
    choice = first_of(chunk.raw or {})
    delta = choice.get("delta")
    if not isinstance(delta, Mapping):
        if chunk.text:
            yield Said("text", chunk.text)
        return
    yield from _thought(delta)
    if chunk.text:
        yield Said("text", chunk.text, logprobs=_logprobs(choice))
    yield from _ending(delta)


def said_by(completion: Completion) -> list[Said]:
    """The pieces of a whole completion: reasoning, text, tool calls."""
    choice = first_of(completion.raw or {})
    message = choice.get("message")
    whole = message if isinstance(message, Mapping) else {}
    found = list(_thought(whole))
    if completion.text:
        found.append(Said("text", completion.text, logprobs=_logprobs(choice)))
    return [*found, *_ending({**whole, "tool_calls": completion.tool_calls})]


def first_of(raw: Mapping[str, object]) -> Mapping[str, object]:
    """The first of the answers in a body or a chunk; empty where there is nothing of it."""
    return next((choice for choice in choices_of(raw) if place_of(choice) == 0), {})


def _logprobs(choice: Mapping[str, object]) -> Sequence[object]:
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    return content if isinstance(content, list) else ()


def _block(said: Said) -> object:
    """What tells one block of an answer from the next; a seal is its reasoning's."""
    if said.kind == "call":
        return said.place
    return "reasoning" if said.kind == "signature" else said.kind


def _thought(message: Mapping[str, object]) -> Iterator[Said]:
    """The reasoning in `message`, and the upstream's seal on it."""
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(reasoning, Mapping):
        reasoning = reasoning.get("content")
    if isinstance(reasoning, str) and reasoning:
        yield Said("reasoning", reasoning)
    extra = message.get("extra_content")
    vendor = extra.get("anthropic") if isinstance(extra, Mapping) else None
    signature = vendor.get("signature") if isinstance(vendor, Mapping) else None
    if isinstance(signature, str):
        yield Said("signature", signature)


def _ending(message: Mapping[str, object]) -> Iterator[Said]:
    """The refusal and the tool calls in `message`."""
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        yield Said("refusal", refusal)
    calls = message.get("tool_calls")
    for position, call in enumerate(calls if isinstance(calls, (list, tuple)) else ()):
        if isinstance(call, Mapping):
            yield _called(call, position)


def _called(call: Mapping[str, object], position: int) -> Said:
    function = call.get("function")
    told = function if isinstance(function, Mapping) else {}
    index = call.get("index")
    return Said(
        "call",
        _string(told.get("arguments")),
        index if isinstance(index, int) else position,
        _string(call.get("id")),
        _string(told.get("name")),
    )


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
