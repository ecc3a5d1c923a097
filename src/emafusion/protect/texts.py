"""Where in a request text stands, and the same request with other text in those places.

Knows the chat protocol's messages and parameters: which of their words and identifiers are the
protocol's own, and that a tool call's arguments are JSON within a string. What it does not know is
text. It knows nothing of what the text says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from types import MappingProxyType
from typing import Final

from emafusion.errors import RequestError
from emafusion.protect import forms
from emafusion.protect.beside import BOUNDS, LONG, SHORT, Place
from emafusion.types import Request, replace

Change = Callable[[str], str]
NO_TEXT = frozenset({"role", "type", "id", "tool_call_id", "signature", "encrypted_content"})
"""Fields of answers whose values the protocol, or a vendor, made."""
WORDS = frozenset({
    "system", "developer", "user", "assistant", "tool", "function", "text", "image_url", "image",
    "input_audio", "audio", "file", "input_text", "input_image", "input_file", "output_text",
    "refusal", "thinking", "redacted_thinking", "reasoning", "tool_use", "tool_result", "document",
    "object", "string", "number", "integer", "boolean", "array", "null", "json_object",
    "json_schema", "custom", "ephemeral", "content", "auto",
})  # fmt: skip
"""What stands in roles and types: the protocol's words, though a term be spelt alike."""
IDENTIFIERS = frozenset({"id", "tool_call_id"})
BLOBS = frozenset({"signature", "encrypted_content"})
WRITTEN = frozenset({"text", "input_text", "output_text", "refusal", "thinking", "tool_result"})
"""Kinds of content parts that hold text and nothing else."""
TEXTUAL = frozenset({
    "type", "id", "text", "refusal", "thinking", "signature", "content", "tool_use_id", "is_error",
    "annotations", "citations", "logprobs", "index", "cache_control", "extra_content",
})  # fmt: skip
"""Fields of such parts: in another there may be anything."""
MEDIA = frozenset({
    "image", "images", "image_url", "image_urls", "input_image", "audio", "input_audio", "video",
    "videos", "video_url", "input_video", "media", "file", "files", "file_id", "file_ids",
    "file_data", "file_url", "input_file", "attachment", "attachments", "document", "documents",
    "source", "prompt_embeds",
})  # fmt: skip
"""Fields that hold what is no text, wherever they are."""
ECHO = "emafusion echo"
"""Among a request's parameters for a moment: what its reply repeats is masked with it."""
FORMS = frozenset({"tools", "functions", "response_format", "audio", "metadata", ECHO})
"""Parameters that show a model nothing, whatever names are in them."""
NAMED: Final = MappingProxyType({"metadata": SHORT, "chat_template_kwargs": LONG})
"""Parameters with names as arguments have, and the least numbers that are read there."""
COUNTED = frozenset({
    "logit_bias", "thinking", "reasoning", "stream_options", "context_management", "output_config",
    "web_search_options", "provider", "prediction", "cache_control", "generation_config",
    "generationConfig", "options",
})  # fmt: skip
"""Parameters whose numbers are the protocol's, or a vendor's: none stands for anybody."""
DEEPEST = 64
ENDLESS_NUMBER = 10**40
"""Too large a number to stand for a person or an account."""
MANY, LONGER = 32, len(str(LONG))
"""Numbers of a list beyond which those with fewer digits than this are read as one text."""
_ENCODED: Final = re.compile(r"data:[\w.+\-/;=]{0,200};base64,[A-Za-z0-9+/=_\-\s]*")
_BLOB: Final = re.compile(r"[A-Za-z0-9+/=_\-]{64,}")
_NOT_OF_IDENTIFIERS: Final = re.compile(r"[^\w\-]")
_WORD: Final = re.compile(r"[a-z][a-z0-9_]*")
_NAME: Final = re.compile(r"[\w\-]+")


def changed(request: Request, change: Change) -> Request:
    """`request` with `change` of every text in place of it, its caller's and session's names, too.

    Raises
    ------
    RequestError
        The request is nested too deep to be read.
    """
    return _changed(request, Place(lambda text, _: change(text)))


def _changed(request: Request, place: Place) -> Request:
    messages = tuple(_fields(message, place) for message in request.messages)
    asked = dict(request.params)
    echo = asked.pop(ECHO, None)
    params = _fields(asked, place, params=True)
    if isinstance(echo, Mapping):
        params[ECHO] = _fields(echo, place, params=True)
    elif echo is not None:
        params[ECHO] = _field(ECHO, echo, place, depth=0)
    return replace(
        request,
        messages=messages,
        params=params,
        caller=place(request.caller),
        session=place(request.session),
    )


def texts(request: Request) -> dict[str, set[str]]:
    """Every text in `request`, each once; what is encoded is none, and counts as unread.

    With each is what it is to be read behind: what names it in the arguments of tools' calls, and
    "" where it stands by itself.
    """
    return legible(strings(request))


def legible(found: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Those of the strings `found` that are texts."""
    return {text: behind for text, behind in found.items() if text and not _encoded(text)}


def strings(request: Request) -> dict[str, set[str]]:
    """Every string in `request`, as :func:`texts`, what is encoded among them."""
    found: dict[str, set[str]] = {}

    def keep(text: str, behind: tuple[str, ...]) -> str:
        found.setdefault(str(text), set()).update(behind)
        return text

    _changed(request, Place(keep))
    return found


def unread(request: Request, found: Iterable[str]) -> bool:
    """Whether `request`, of the strings `found`, has parts that are no text, or tokens' numbers."""
    if any(map(_encoded, found)):
        return True
    told = request.params.get("input")
    if isinstance(told, (list, tuple)) and not all(isinstance(one, str) for one in told):
        return True
    params = {name: item for name, item in request.params.items() if name not in FORMS}
    messages = request.messages
    return _shows((params, *messages)) or not all(_written(one.get("content")) for one in messages)


def _written(content: object) -> bool:
    """Whether `content` is text and nothing else."""
    if isinstance(content, Mapping):
        return False
    return all(
        isinstance(part, Mapping)
        and isinstance(kind := part.get("type"), str)
        and kind in WRITTEN
        and not part.keys() - TEXTUAL
        and _written(part.get("content"))
        for part in (content if isinstance(content, (list, tuple)) else ())
    )


def _shows(value: object) -> bool:
    """Whether anything in `value` is named as what is no text."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            if any(one[name] is not None for name in MEDIA.intersection(one)):
                return True
            waiting.extend(one.values())
        elif isinstance(one, (list, tuple)):
            waiting.extend(one)
    return False


def _fields(
    value: Mapping[str, object], place: Place, *, params: bool = False
) -> dict[str, object]:
    """A message's or the parameters' own fields; what is no word is no name of the protocol's."""
    return {
        name if _WORD.fullmatch(name) else place.name(name): item
        # A parameter that is a number stands for nobody, and has to stay one.
        if params and isinstance(item, (int, float))
        else _field(name, item, _of_param(name, place) if params else place, depth=0)
        for name, item in value.items()
    }


def _of_param(name: str, place: Place) -> Place:
    """The place of a parameter: a form, or what has names as arguments have, or neither."""
    if name in forms.FORMS:
        return Place(place.change, form=True)
    if name in COUNTED:
        return Place(place.change, least=inf)
    return place.given(NAMED[name]) if name in NAMED else place


def _mapping(value: Mapping[str, object], place: Place, depth: int) -> dict[str, object]:
    return {
        place.name(name): _field(name, item, within, depth=depth + 1)
        for name, item, within in place.within(value)
    }


def _field(name: str, value: object, place: Place, *, depth: int) -> object:
    if not isinstance(value, str):
        return _value(value, place, depth)
    if name == "arguments":
        return _arguments(value, place, depth)
    if (name in ("role", "type") and value in WORDS) or (
        name in BLOBS and _BLOB.fullmatch(value) is not None
    ):
        return value
    said = _value(value, place, depth)
    named = name in IDENTIFIERS or (name == "name" and _NAME.fullmatch(value) is not None)
    if named and isinstance(said, str) and said != value:
        # Upstreams refuse other characters.
        return _NOT_OF_IDENTIFIERS.sub("", said)
    return said


def _value(value: object, place: Place, depth: int) -> object:
    if depth > DEEPEST:
        raise RequestError("the request is nested too deep", "messages")
    if isinstance(value, str):
        return place(value)
    if isinstance(value, Mapping):
        return _mapping(value, place, depth)
    if isinstance(value, (list, tuple)):
        told = _many(value, place)
        return [
            told[n] if n in told else _value(item, place.at(value, n), depth + 1)
            for n, item in enumerate(value)
        ]
    if isinstance(value, (int, float)):
        digits = _digits(value, place)
        return _signed(value, digits, place.number(digits)) if digits else value
    return value


def _many(value: Sequence[object], place: Place) -> dict[int, object]:
    """What is in the place of the short numbers of a list that has many; they are one text."""
    digits = {
        n: said for n, one in enumerate(value) if 0 < len(said := _digits(one, place)) < LONGER
    }
    if len(digits) <= MANY:
        return {}
    text = f"[{', '.join(digits.values())}]"
    said = place.numbers(text)
    try:
        told = json.loads(said)
    except ValueError:
        told = []
    if len(told) != len(digits):
        # A value goes over some of them: what is said of all is in the place of the first.
        told = [said, *[""] * (len(digits) - 1)]
    pairs = zip(digits.items(), told, strict=True)
    return {n: _signed(value[n], old, str(one)) for (n, old), one in pairs}


def _digits(value: object, place: Place) -> str:
    """The digits of a number that may stand for a person or an account; none of another."""
    if not isinstance(value, (int, float)) or (place.form and place.field in BOUNDS):
        return ""
    read = place.least <= abs(value) < ENDLESS_NUMBER and value == int(value)
    return str(abs(int(value))) if read else ""


def _signed(value: object, digits: str, said: str) -> object:
    """The number `value`, or what is `said` in place of its `digits`."""
    if said == digits:
        return value
    return f"-{said}" if isinstance(value, (int, float)) and value < 0 else said


def _arguments(written: str, place: Place, depth: int) -> str:
    """A tool call's arguments, JSON as before; what is none is a text like another."""
    repeated = []

    def read(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            repeated.append(found)
        return found

    try:
        given = json.loads(written, object_pairs_hook=read)
    except (ValueError, RecursionError):
        return place(written)
    found = _value(given, place.given(), depth)
    # Of a name that is given twice only the last value was read.
    return written if found == given and not repeated else json.dumps(found, ensure_ascii=False)


def _encoded(text: str) -> bool:
    return text.startswith("data:") and _ENCODED.fullmatch(text) is not None
