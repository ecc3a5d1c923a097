"""Bodies that were once right: changed at random in their values, their shape or their bytes.

Run as ``python -m gateway.mutations CASES SEED`` in the folder of the tests for a longer run, with
a third word where personal data is masked, too.
"""

from __future__ import annotations

import asyncio
import copy
import json
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

from emafusion import gateway
from emafusion.errors import BadResponseError
from emafusion.protect.placeholders import Mint
from emafusion.protect.rules import Rules
from emafusion.protect.shield import Shield
from emafusion.protect.structured import Structured
from emafusion.providers import wire
from emafusion.providers.embedding import Embedding
from emafusion.types import Call, Chunk, Completion, Usage, replace

from . import upstreams
from .parts import Script, Scripted, catalog, client_of

_DATA = {"type": "base64", "media_type": "image/png", "data": "AA=="}
_CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        "model": "emafusion",
        "messages": [
            {"role": "system", "content": "Be brief"},
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
            {"role": "assistant", "content": None, "tool_calls": [_CALL]},
            {"role": "tool", "tool_call_id": "c", "content": "1"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "response_format": {"type": "json_schema", "json_schema": {"schema": {}, "name": "x"}},
        "stop": ["a"],
        "stream_options": {"include_usage": True},
        "n": 2,
        "logprobs": True,
        "max_tokens": 9,
        "user": "u",
        "emafusion": {"prefer": 0.5, "models": ["small", "large"], "arrangement": "auto"},
    },
    "/v1/messages": {
        "model": "small",
        "max_tokens": 9,
        "system": [{"type": "text", "text": "Be brief"}],
        "messages": [
            {"role": "user", "content": [{"type": "image", "source": _DATA}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "x", "signature": "y"},
                    {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "c",
                        "content": [{"type": "document", "source": {"type": "text", "data": "d"}}],
                    },
                    {"type": "text", "text": "Go on"},
                ],
            },
        ],
        "tools": [{"name": "f", "input_schema": {}}],
        "tool_choice": {"type": "tool", "name": "f"},
        "stop_sequences": ["a"],
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "output_config": {"format": {"type": "json_schema", "schema": {}}},
        "metadata": {"user_id": "u"},
    },
    "/v1/responses": {
        "model": "toolbox",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
            {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "x"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "1"},
        ],
        "instructions": "Be brief",
        "tools": [{"type": "function", "name": "f", "parameters": {}}],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {"format": {"type": "json_schema", "name": "x", "schema": {}}},
        "reasoning": {"effort": "low"},
        "include": ["message.output_text.logprobs"],
        "metadata": {"a": "b"},
        "max_output_tokens": 9,
    },
    "/v1/embeddings": {"model": "vec", "input": ["one", [1, 2]], "dimensions": 2, "user": "u"},
    "/v1/feedback": {"decision_id": "dec_1", "score": 0.5, "user": "u", "comment": "c"},
    "/v1/messages/count_tokens": {
        "model": "small",
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"name": "f", "input_schema": {}}],
    },
}
ODD: list[Any] = [
    "Mail jane@example.org, card 4111 1111 1111 1111",
    None,
    True,
    0,
    -1,
    1.5,
    2**63,
    -(2**80),
    1e300,
    "",
    " ",
    "\x00",
    "é→😀",
    "a" * 3000,
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"type": []},
    {"type": "text"},
    {"role": "user", "content": "Hi"},
    "emafusion",
    "small",
]


class Vectors(Scripted):
    """A provider that can do both."""

    async def embed(self, call: Call) -> Embedding:
        return Embedding(raw={"data": []}, usage=Usage())


def application(*, masks: bool = False) -> Any:
    """A gateway that has models for everything."""
    tools = tuple(upstreams.CALLS)
    scripts = {
        "small": Script(),
        "large": Script(text="Large."),
        "toolbox": Script(
            text="", raw=upstreams.TOOL_BODY, chunks=upstreams.TOOL_CHUNKS, tool_calls=tools
        ),
        "vec": Script(),
    }
    vec = replace(catalog(["vec"], capabilities=frozenset({"embeddings"}))[0], provider="vectors")
    models = [*catalog([name for name in scripts if name != "vec"]), vec]
    providers = {"vectors": Vectors(scripts)}
    shield = (
        Shield(Mint(b"a secret of the tests"), (Structured(),), rules=Rules()) if masks else None
    )
    return gateway.app(client_of(scripts, models=models, providers=providers, shield=shield))


def cases(chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """Addresses and bodies without end."""
    while True:
        path = chance.choice(list(BODIES))
        body = copy.deepcopy(BODIES[path])
        if chance.random() < 0.3:
            body["stream"] = True
        for _ in range(chance.choice([1, 1, 2, 4])):
            _change(body, chance)
        data = json.dumps(body).encode()
        if chance.random() < 0.2:
            data = _scratched(data, chance)
        yield path, data


def _change(body: Any, chance: random.Random) -> None:
    """Change one place in `body`."""
    while True:
        keys = list(body) if isinstance(body, dict) else list(range(len(body)))
        if not keys:
            return
        key = chance.choice(keys)
        inner = body[key]
        if isinstance(inner, (dict, list)) and inner and chance.random() < 0.75:
            body = inner
            continue
        action = chance.random()
        if action < 0.7:
            body[key] = copy.deepcopy(chance.choice(ODD))
        elif action < 0.85:
            del body[key]
        elif isinstance(body, list):
            body.append(copy.deepcopy(inner))
        else:
            body[chance.choice(["extra", "type", "role", ""])] = copy.deepcopy(inner)
        return


def _scratched(data: bytes, chance: random.Random) -> bytes:
    """`data` with a few bytes lost, changed or doubled."""
    raw = bytearray(data)
    for _ in range(chance.choice([1, 2, 8])):
        place = chance.randrange(len(raw))
        piece = chance.choice([b"", b"\xff", b"\x00", b"[", b'"', b"{" * 300, b"9" * 400, b"\\u"])
        raw[place : place + chance.choice([0, 1, 5])] = piece
        raw = raw or bytearray(b"{")
    return bytes(raw)


class Lying(Scripted):
    """A provider whose upstream's bodies are changed at random, and read as any other's."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__({})
        self._chance = chance

    async def complete(self, call: Call) -> Completion:
        bodies = [upstreams.BODY, upstreams.TOOL_BODY, upstreams.THINKING_BODY]
        try:
            return wire.completion_of(self._changed(bodies), call)
        except wire.Malformed as malformed:
            raise BadResponseError(str(malformed), call.model.name) from None

    async def stream(self, call: Call) -> AsyncIterator[Chunk]:
        chunks = [upstreams.CHUNKS, upstreams.TOOL_CHUNKS, upstreams.THINKING_CHUNKS]
        try:
            for chunk in self._changed(chunks):
                yield wire.chunk_of(chunk)
        except wire.Malformed as malformed:
            raise BadResponseError(str(malformed), call.model.name) from None

    def _changed(self, bodies: list[Any]) -> Any:
        body = copy.deepcopy(self._chance.choice(bodies))
        for _ in range(self._chance.choice([1, 2, 4])):
            _change(body, self._chance)
        return body


async def statuses(app: Any, chance: random.Random, count: int) -> Counter[tuple[str, int]]:
    """What `count` cases are answered with."""
    from .test_bad_input import post

    found: Counter[tuple[str, int]] = Counter()
    for _, (path, data) in zip(range(count), cases(chance), strict=False):
        status, _reply = await post(app, data, path=path)
        found[path, status] += 1
        assert status < 500, (path, status, data)
    return found


if __name__ == "__main__":
    house = application(masks=len(sys.argv) > 3)
    told = asyncio.run(statuses(house, random.Random(sys.argv[2]), int(sys.argv[1])))
    sys.stdout.write("\n".join(f"{path} {status}: {n}" for (path, status), n in told.items()))
