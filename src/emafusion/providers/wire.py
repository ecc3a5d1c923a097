"""The OpenAI chat format, read: response bodies and stream chunks into values.

It knows field names and their shapes; it does not know how the bytes came, nor which error a
malformed body becomes. A body it cannot read raises :class:`Malformed`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeGuard

import msgspec

from emafusion.errors import RejectedError
from emafusion.providers import marks
from emafusion.types import Call, Chunk, Completion, Message, Model, Usage, content_text, replace
from emafusion.types.models import Bound

THINKING = "emafusion_thinking"
"""The parameter that carries ``thinking`` as Anthropic's clients spell it, to who reads it so."""
OURS = frozenset({"model", "messages", "stream", "stream_options", THINKING})
"""The request's fields that a provider sets itself; ``params`` never override them."""

MOST_TOKENS = 1 << 24
"""A count beyond this is no count: an upstream's slip must not empty a budget."""

_ASKED = {
    "cached_tokens": "cached_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "audio_tokens": "audio_tokens",
    "image_tokens": "image_tokens",
}
_ANSWERED = {
    "reasoning_tokens": "reasoning_tokens",
    "audio_out_tokens": "audio_tokens",
    "image_out_tokens": "image_tokens",
}
_BESIDE = (
    ("cached_tokens", "cache_read_input_tokens"),
    ("cached_tokens", "prompt_cache_hit_tokens"),
    ("cached_tokens", "cached_tokens"),
    ("cache_write_tokens", "cache_creation_input_tokens"),
)

_BESIDE_TEXT = ("refusal", "reasoning_content", "reasoning", "extra_content")
"""What a message says beside its text."""
Letters = Mapping[str, int]
"""How many characters an answer has, by its message's fields."""
_UNSAID = frozenset({"role"})
_SPOKEN = frozenset({"role", "content"})
_HEAD = ("id", "created", "model", "system_fingerprint")
_SAID = ("content", "refusal", "tool_calls", "function_call")
"""Fields of an answer that are billed each; of all others, which tell one reasoning under several
names, the longest is."""


class Malformed(ValueError):  # noqa: N818 - it names the body, and never leaves this package
    """A body that is not in the OpenAI chat format; the message says where."""


def request_body(call: Call, *, stream: bool) -> dict[str, object]:
    """The request for `call`: its parameters, its messages, and the stream switch."""
    body = {name: value for name, value in call.params.items() if name not in OURS}
    body["model"] = call.model.upstream
    body["messages"] = messages_of(call)
    if "tools" in body:
        body["tools"] = marks.tools(body["tools"], kept=_keeps(call.model))
    if call.model.bound is not None:
        _respell(body, call.model.bound)
    if stream:
        options = call.params.get("stream_options")
        body["stream"] = True
        body["stream_options"] = {**(options if is_table(options) else {}), "include_usage": True}
    return body


def _respell(body: dict[str, object], bound: Bound) -> None:
    """Give the answer's length the one name that the upstream takes."""
    other = "max_tokens" if bound == "max_completion_tokens" else "max_completion_tokens"
    length = body.pop(other, None)
    if length is not None and body.get(bound) is None:
        body[bound] = length


def encoded(body: Mapping[str, object], call: Call) -> bytes:
    """`body` as JSON; raises :class:`~emafusion.errors.RejectedError` where that cannot be."""
    try:
        return msgspec.json.encode(body, enc_hook=_plain)
    except (TypeError, ValueError) as error:
        raise RejectedError(
            f"the request to {call.model.name!r} is not JSON: {error}", call.model.name
        ) from None


def messages_of(call: Call) -> list[Message]:
    """The messages of `call` as its upstream reads them."""
    return marks.spelt(led(call), kept=_keeps(call.model))


def _keeps(model: Model) -> bool:
    """Whether the upstream is told what to keep in its cache: only those that charge for it are."""
    return model.usd_per_mtok_cache_write is not None


def led(call: Call) -> list[Message]:
    """The messages of `call`, led by the model's own system prompt where they have none."""
    messages = list(call.messages)
    system = call.model.system
    if system is None or any(m.get("role") in {"system", "developer"} for m in messages):
        return messages
    return [{"role": "system", "content": system}, *messages]


def completion_of(body: object, call: Call) -> Completion:
    """The completion in the response `body`; raises :class:`Malformed`."""
    whole = _table(body, "the body")
    choice = _first_choice(whole)
    message = _table(choice.get("message"), "choices[0].message")
    text = _text(message)
    usage = usage_of(whole)
    if usage is None:
        answers = [_letters_in(each.get("message")) for each in _tables(whole["choices"])]
        usage = estimated_usage(call, answers)
    return Completion(
        text=text,
        usage=usage,
        finish_reason=_string(choice.get("finish_reason"), "stop"),
        logprobs=logprobs_of(choice) or None,
        tool_calls=_tables(message.get("tool_calls")),
        raw=whole,
    )


def chunk_of(body: object, *, followed: bool = False) -> Chunk:
    """The piece in one stream event's `body`; raises :class:`Malformed`."""
    whole = _table(body, "the chunk")
    choices = whole.get("choices")
    if not isinstance(choices, list):
        raise Malformed("the chunk has no list 'choices'")
    usage = usage_of(whole)
    choice = None
    for one in choices:
        if place_of(_table(one, "a choice")) == 0:
            choice = one
            break
    if choice is None:
        return Chunk(usage=usage, raw=whole, followed=followed)
    delta = choice.get("delta")
    text = _text(_table(delta, "choices[0].delta")) if delta is not None else ""
    reason = choice.get("finish_reason")
    return Chunk(
        text=text,
        finish_reason=reason if isinstance(reason, str) else None,
        usage=usage,
        raw=whole,
        followed=followed,
    )


def place_of(choice: Mapping[str, object]) -> int:
    """The number of the answer that `choice` is a piece of; 0 where it tells none."""
    index = choice.get("index")
    return index if isinstance(index, int) else 0


def usage_of(body: Mapping[str, object]) -> Usage | None:
    """The tokens `body` reports, ``None`` where it reports none that can be believed.

    A part is at most the whole, for upstreams that report it beside it. Where the total exceeds
    prompt and answer, the rest is reasoning that the answer's count leaves out.
    """
    usage = body.get("usage")
    if not is_table(usage):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not (_is_count(prompt) and _is_count(completion)):
        return None
    total = usage.get("total_tokens")
    if _is_count(total) and total > prompt + completion:
        completion = total - prompt
    asked, answered = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    parts = _parts(asked, _ASKED, prompt) if is_table(asked) else {}
    if is_table(answered):
        parts |= _parts(answered, _ANSWERED, completion)
    # Spellings beside the details, of upstreams that have none.
    for field, name in _BESIDE:
        if name in usage and field not in parts:
            parts |= _parts(usage, {field: name}, prompt)
    if is_table(asked) and is_table(asked.get("cache_creation_token_details")):
        _split_writes(parts, asked["cache_creation_token_details"])
    counted = Usage(prompt_tokens=prompt, completion_tokens=completion)
    return replace(counted, **parts) if parts else counted


def _parts(details: Mapping[str, object], names: Mapping[str, str], whole: int) -> dict[str, int]:
    """Those of the token counts in `details` that are more than 0."""
    found = {}
    for field, name in names.items():
        value = details.get(name)
        if value and _is_count(value):
            found[field] = min(value, whole)
    return found


def _split_writes(parts: dict[str, int], kept: object) -> None:
    """Tell what a cache keeps for an hour from what it keeps for minutes."""
    long = kept.get("ephemeral_1h_input_tokens") if is_table(kept) else None
    written = parts.get("cache_write_tokens", 0)
    if written and _is_count(long):
        parts["cache_write_1h_tokens"] = min(long, written)
        parts["cache_write_tokens"] = written - min(long, written)


def estimated_usage(call: Call, said: str | Sequence[Letters]) -> Usage:
    """Tokens counted from the texts, where the upstream reports none.

    Four characters a token and four tokens a message: the usual rule of thumb for English. `said`
    is the answer's text, or for each of several answers how long its fields are.
    """
    prompt = sum(4 + tokens_in(content_text(message)) for message in led(call))
    answers = tokens_in(said) if isinstance(said, str) else sum(map(_tokens_said, said))
    return Usage(prompt_tokens=prompt, completion_tokens=answers, counted=False)


def tokens_in(text: str) -> int:
    """About how many tokens `text` has: a quarter of its characters, rounded up."""
    return -(-len(text) // 4)


def _tokens_said(letters: Letters) -> int:
    beside = max((many for name, many in letters.items() if name not in _SAID), default=0)
    return -(-(sum(letters.get(name, 0) for name in _SAID) + beside) // 4)


def _letters_in(message: object) -> Letters:
    """How many characters each field of an answer's `message` has, however they lie in it."""
    told = message if is_table(message) else {}
    return {name: _letters(value) for name, value in told.items() if name not in _UNSAID}


def _letters(value: object) -> int:
    total, left = 0, [value]
    while left:
        one = left.pop()
        if isinstance(one, str):
            total += len(one)
        elif isinstance(one, Mapping):
            left.extend(one.values())
        elif isinstance(one, (list, tuple)):
            left.extend(one)
    return total


def logprobs_of(choice: Mapping[str, object]) -> tuple[float, ...]:
    """The natural log-probabilities of the tokens in `choice`; empty where it has none."""
    logprobs = choice.get("logprobs")
    if not is_table(logprobs):
        return ()
    content = logprobs.get("content")
    values = (token.get("logprob") for token in _tables(content))
    # More than certain is a server's mistake; what is no number says nothing.
    return tuple(
        min(float(value), 0.0)
        for value in values
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e6
    )


class Gathered:
    """The pieces of one stream, gathered into the completion they amount to.

    Feed it every chunk with :meth:`add`; then :meth:`completion` is what the whole answer would
    have been, its ``raw`` an OpenAI response body.
    """

    def __init__(self) -> None:
        self._first = _Choice()
        self._choices = {0: self._first}
        self._head: dict[str, object] = {}
        self._usage: Usage | None = None
        self._raw_usage: object = None

    @property
    def finished(self) -> bool:
        """Whether the upstream said why it stopped."""
        return self._first.reason is not None

    @property
    def text(self) -> str:
        """What came so far."""
        return self._first.text

    def add(self, chunk: Chunk) -> None:
        """Take in one piece."""
        if chunk.text:
            self._first.texts.append(chunk.text)
        self._usage = chunk.usage or self._usage
        self._first.reason = chunk.finish_reason or self._first.reason
        raw = chunk.raw
        if not raw:
            return
        for name in _HEAD:
            if name in raw and name not in self._head:
                self._head[name] = raw[name]
        self._raw_usage = raw.get("usage") or self._raw_usage
        for choice in _tables(raw.get("choices")):
            place = place_of(choice)
            made = self._choices.get(place)
            if made is None:
                made = self._choices[place] = _Choice()
            made.add(choice)
            if place:
                made.speak(choice)

    def completion(self, call: Call) -> Completion:
        """The completion so far."""
        usage = self._usage
        if usage is None or not usage.counted:
            heard = estimated_usage(call, [each.letters() for each in self._choices.values()])
            # Who ended the stream without a count had read its text alone.
            usage = max(heard, usage or heard, key=lambda one: one.completion_tokens)
        first = self._first
        return Completion(
            text=self.text,
            usage=usage,
            finish_reason=first.reason or "stop",
            logprobs=tuple(first.logprobs) or None,
            tool_calls=first.calls,
            raw=self._body(),
        )

    def _body(self) -> dict[str, object]:
        choices = [self._choices[place].body(place) for place in sorted(self._choices)]
        body = {**self._head, "object": "chat.completion", "choices": choices}
        if self._raw_usage is not None:
            body["usage"] = self._raw_usage
        return body


class _Choice:
    """One of the answers in a stream."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.logprobs: list[float] = []
        self.reason: str | None = None
        self._stop: object = None
        self._tokens: dict[str, list[object]] = {}
        self._tools: dict[int, list[dict[str, object]]] = {}
        self._beside: dict[str, object] = {}
        self._further: dict[str, int] = {}

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def calls(self) -> tuple[dict[str, object], ...]:
        return tuple(call for index in sorted(self._tools) for call in self._tools[index])

    def add(self, choice: Mapping[str, object]) -> None:
        """Take in what is no text and no end; and which of the caller's sequences it ended at."""
        self._stop = choice.get("stop_reason") or self._stop
        logprobs = choice.get("logprobs")
        if is_table(logprobs):
            self.logprobs.extend(logprobs_of(choice))
            for name in ("content", "refusal"):
                found = _tables(logprobs.get(name))
                if found:
                    self._tokens.setdefault(name, []).extend(found)
        delta = choice.get("delta")
        if is_table(delta):
            for name, value in delta.items():
                if name not in _SPOKEN:
                    self._add_field(name, value)

    def speak(self, choice: Mapping[str, object]) -> None:
        """Take in its text and its end, which of the first answer a chunk tells itself."""
        delta, reason = choice.get("delta"), choice.get("finish_reason")
        if is_table(delta):
            self.texts.append(content_text(delta))
        self.reason = reason if isinstance(reason, str) else self.reason

    def letters(self) -> Letters:
        """How many characters came so far, by field."""
        return {**_letters_in(self._message()), **self._further}

    def body(self, place: int) -> dict[str, object]:
        """The choice of a whole answer."""
        message = self._message()
        choice: dict[str, object] = {
            "index": place,
            "message": message,
            "finish_reason": self.reason or "stop",
        }
        if self._stop is not None:
            choice["stop_reason"] = self._stop
        if self._tokens:
            choice["logprobs"] = self._tokens
        return choice

    def _message(self) -> dict[str, object]:
        message: dict[str, object] = {"role": "assistant", "content": self.text, **self._beside}
        if self.calls:
            message["tool_calls"] = list(self.calls)
        return message

    def _add_field(self, name: str, value: object) -> None:
        if name == "tool_calls":
            for position, call in enumerate(_tables(value)):
                self._add_tool(call, position)
        elif name in _BESIDE_TEXT:
            self._add_beside(name, value)
        else:
            # Not gathered, but it was answered.
            self._further[name] = self._further.get(name, 0) + _letters(value)

    def _add_tool(self, piece: Mapping[str, object], position: int) -> None:
        index = piece.get("index")
        made = self._tools.setdefault(index if isinstance(index, int) else position, [{}])
        if _begins(piece, made[-1]):
            made.append({})
        tool = made[-1]
        for name, value in piece.items():
            if name == "function" and is_table(value):
                tool["function"] = _joined(tool.get("function"), value)
            elif name != "index" and value is not None:
                tool[name] = value

    def _add_beside(self, name: str, piece: object) -> None:
        """Append `piece` to what was said beside the text; of seals the latest holds."""
        before = self._beside.get(name)
        if isinstance(piece, str) and isinstance(before, str):
            self._beside[name] = before + piece
        elif is_table(piece) and is_table(before):
            self._beside[name] = {**before, **piece, **_continued(before, piece)}
        elif piece:
            self._beside[name] = piece


def _begins(piece: Mapping[str, object], before: Mapping[str, object]) -> bool:
    """Whether `piece` is of another call than the one `before` it under the same index.

    It has a name, too: some upstreams give every piece of a call an id of its own.
    """
    function, told = piece.get("function"), before.get("id")
    named = is_table(function) and function.get("name")
    return bool(named and told and piece.get("id") and piece["id"] != told)


def _continued(before: Mapping[str, object], piece: Mapping[str, object]) -> dict[str, object]:
    """A piece of reasoning that has its text within."""
    first, more = before.get("content"), piece.get("content")
    return {"content": first + more} if isinstance(first, str) and isinstance(more, str) else {}


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a value of type {type(value).__name__!r} is in it")


def is_table(value: object) -> TypeGuard[Mapping[str, object]]:
    """Whether `value` is a JSON object."""
    # Nearly all are dictionaries or nothing; to ask an abstract class takes ten times as long.
    return isinstance(value, dict) or (value is not None and isinstance(value, Mapping))


def _joined(function: object, piece: Mapping[str, object]) -> dict[str, object]:
    """A streamed function call with `piece` appended: its arguments come in fragments."""
    whole = dict(function) if is_table(function) else {}
    for name, value in piece.items():
        before = whole.get(name)
        if name == "arguments" and isinstance(before, str) and isinstance(value, str):
            whole[name] = before + value
        elif value is not None:
            whole[name] = value
    return whole


def _table(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise Malformed(f"{where} is not a JSON object")
    return value


def _tables(value: object) -> tuple[Mapping[str, object], ...]:
    if not isinstance(value, list):
        return ()
    return tuple([item for item in value if is_table(item)])


def _first_choice(body: Mapping[str, object]) -> dict[str, object]:
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        raise Malformed("the body has no list 'choices' with at least one entry")
    return _table(choices[0], "choices[0]")


def _text(message: Mapping[str, object]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    if content is None or isinstance(content, list):
        return content_text(message)
    raise Malformed("the message's 'content' is neither text nor a list of parts")


def _string(value: object, default: str) -> str:
    return value if isinstance(value, str) else default


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS
