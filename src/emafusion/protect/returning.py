"""Values put back into what goes to the caller: whole answers, and streams piece by piece.

Knows where the chat protocol's answers have text, and that a tool call's arguments, and an answer
that was asked for as JSON, are JSON. Nothing that stays here is ever given values back: an
answer's outcome is the record's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Mapping, Sequence

from emafusion.protect.texts import NO_TEXT
from emafusion.protect.vault import Unmasking, Vault
from emafusion.types import Answer, Chunk, Completion, Request, replace

TEXTS = ("reasoning_content", "reasoning", "content", "refusal")
"""Fields of a piece of an answer that go on in the next piece, in the order they come."""
CALLS = {"function": "arguments", "custom": "input"}
"""Kinds of tool calls, and the field of each that goes on."""
Key = tuple[int, str, int]
"""Which text a piece goes on with: the choice, the field, and of tool calls which one."""


def asks_json(request: Request) -> bool:
    """Whether the answer to `request` is JSON."""
    form = request.params.get("response_format")
    return isinstance(form, Mapping) and form.get("type") in ("json_object", "json_schema")


def unmasked(answer: Answer, vault: Vault, *, in_json: bool = False) -> Answer:
    """`answer` as its caller reads it; its outcome is left as it is recorded."""
    if not len(vault):
        return answer
    completion = returned(answer.completion, vault, in_json=in_json)
    return replace(answer, text=vault.unmask(answer.text, in_json=in_json), completion=completion)


def returned(completion: Completion, vault: Vault, *, in_json: bool = False) -> Completion:
    """`completion` with values in all its texts."""
    calls = tuple(
        {name: _filled(value, vault, name, in_json=False) for name, value in call.items()}
        for call in completion.tool_calls
    )
    answer = completion.answer
    return replace(
        completion,
        text=vault.unmask(completion.text, in_json=in_json),
        tool_calls=calls,
        raw=None if completion.raw is None else _body(completion.raw, vault, in_json=in_json),
        answer=None if answer is None else vault.unmask(answer, in_json=in_json),
    )


def _body(raw: Mapping[str, object], vault: Vault, *, in_json: bool) -> dict[str, object]:
    return {name: _filled(value, vault, name, in_json=in_json) for name, value in raw.items()}


def _filled(value: object, vault: Vault, name: str, *, in_json: bool) -> object:
    """`value` of the field `name` with values in all its texts."""
    if isinstance(value, str):
        if name in NO_TEXT:
            return value
        within = name == "arguments" or (in_json and name in ("content", "text"))
        return vault.unmask(value, in_json=within)
    if isinstance(value, Mapping):
        return {key: _filled(item, vault, key, in_json=in_json) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_filled(item, vault, name, in_json=in_json) for item in value]
    return value


async def shown(
    pieces: AsyncIterable[Chunk | Answer], vault: Vault, *, in_json: bool = False
) -> AsyncGenerator[Chunk | Answer]:
    """The `pieces` of an answer as its caller reads them; whoever made them closes them."""
    stream = Returning(vault, in_json=in_json)
    async for piece in pieces:
        if not isinstance(piece, Answer):
            yield stream.of(piece)
            continue
        for rest in stream.end():
            yield rest
        yield unmasked(piece, vault, in_json=in_json)


class Returning:
    """One stream's pieces with values in place of placeholders, wherever those were cut.

    Parameters
    ----------
    vault : Vault
        The request's values.
    in_json : bool
        Whether the answer is JSON.
    """

    def __init__(self, vault: Vault, *, in_json: bool = False) -> None:
        self._vault = vault
        self._in_json = in_json
        self._under_way: dict[Key, Unmasking] = {}

    def of(self, chunk: Chunk) -> Chunk:
        """`chunk` as its caller reads it; what may yet become a placeholder comes later."""
        if not len(self._vault):
            return chunk
        choices = None if chunk.raw is None else chunk.raw.get("choices")
        if chunk.raw is None or not isinstance(choices, (list, tuple)):
            said = self._say((0, "content", 0), chunk.text)
            rest = self._rest((0, "content", 0)) if chunk.finish_reason else ""
            return replace(chunk, text=said + rest)
        told = [self._choice(one) if isinstance(one, Mapping) else one for one in choices]
        return replace(chunk, text=_spoken(told), raw={**chunk.raw, "choices": told})

    def end(self) -> Iterator[Chunk]:
        """What was held back of texts that nobody ended."""
        for key in list(self._under_way):
            choice, field, _ = key
            rest = self._rest(key)
            if rest:
                delta = _with(key, rest, {})
                text = rest if (choice, field) == (0, "content") else ""
                yield Chunk(text=text, raw={"choices": [{"index": choice, "delta": delta}]})

    def _choice(self, choice: Mapping[str, object]) -> Mapping[str, object]:
        delta, index = choice.get("delta"), choice.get("index", 0)
        place = index if isinstance(index, int) else 0
        given = delta if isinstance(delta, Mapping) else {}
        pieces = (*TEXTS, "tool_calls", "function_call")
        told = {name: item for name, item in given.items() if name not in pieces}
        for field in (name for name in TEXTS if name in given):
            piece, key = given[field], (place, field, 0)
            if not isinstance(piece, str) or not piece:
                told[field] = piece
                continue
            told = self._turned(key, told)
            told[field] = self._say(key, piece)
        if "function_call" in given:
            key = (place, "function_call", 0)
            told = self._turned(key, told)
            told["function_call"] = self._called(key, given["function_call"], "arguments")
        calls = given.get("tool_calls")
        if isinstance(calls, (list, tuple)):
            told = self._calls(place, calls, told)
        if choice.get("finish_reason"):
            told = self._turned((place, "", 0), told)
        return {**choice, "delta": told}

    def _calls(
        self, choice: int, calls: Sequence[object], delta: dict[str, object]
    ) -> dict[str, object]:
        for call in calls:
            given = call if isinstance(call, Mapping) else {}
            kind = next((one for one in CALLS if one in given), "function")
            index = given.get("index", 0)
            key = (choice, CALLS[kind], index if isinstance(index, int) else 0)
            told: object = call
            if kind in given:
                told = {**given, kind: self._called(key, given[kind], CALLS[kind])}
            delta = self._turned(key, delta)
            shown = delta.get("tool_calls")
            delta["tool_calls"] = [*(shown if isinstance(shown, list) else ()), told]
        return delta

    def _called(self, key: Key, call: object, field: str) -> object:
        """A call's `field` as far as it can be said, and its name, which comes whole."""
        if not isinstance(call, Mapping):
            return call
        told = dict(call)
        if isinstance(call.get("name"), str):
            told["name"] = self._vault.unmask(call["name"])
        if isinstance(call.get(field), str):
            told[field] = self._say(key, call[field])
        return told

    def _turned(self, key: Key, delta: dict[str, object]) -> dict[str, object]:
        """`delta` with the rests of the choice's other texts, which `key` comes after."""
        for other in [one for one in self._under_way if one[0] == key[0] and one != key]:
            rest = self._rest(other)
            if rest:
                delta = _with(other, rest, delta)
        return delta

    def _say(self, key: Key, piece: str) -> str:
        calls = ("arguments", "function_call")
        within = key[1] in calls or (self._in_json and key[1] == "content")
        text = self._under_way.setdefault(key, Unmasking(self._vault, in_json=within))
        return text.feed(piece)

    def _rest(self, key: Key) -> str:
        text = self._under_way.pop(key, None)
        return "" if text is None else text.end()


def _with(key: Key, rest: str, delta: dict[str, object]) -> dict[str, object]:
    """`delta` with `rest`, the last of another text."""
    _, field, place = key
    if field == "function_call":
        call = delta.get(field)
        told = dict(call) if isinstance(call, Mapping) else {}
        return {**delta, field: {**told, "arguments": f"{told.get('arguments') or ''}{rest}"}}
    kind = next((kind for kind, goes_on in CALLS.items() if goes_on == field), None)
    if kind is None:
        before = delta.get(field)
        return {**delta, field: (before if isinstance(before, str) else "") + rest}
    shown = delta.get("tool_calls")
    calls = shown if isinstance(shown, list) else []
    return {**delta, "tool_calls": [*calls, {"index": place, kind: {field: rest}}]}


def _spoken(choices: Sequence[object]) -> str:
    """The text that the first choice goes on with."""
    for choice in choices:
        if isinstance(choice, Mapping) and choice.get("index", 0) == 0:
            delta = choice.get("delta")
            said = delta.get("content") if isinstance(delta, Mapping) else None
            return said if isinstance(said, str) else ""
    return ""
