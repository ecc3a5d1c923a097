"""A provider in front of which no engine stands: its upstreams see placeholders alone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Literal

import pytest

from emafusion.errors import RejectedError
from emafusion.protect.masked import MaskedProvider
from emafusion.protect.placeholders import Mint
from emafusion.protect.rules import Rules
from emafusion.protect.shield import Shield
from emafusion.protect.structured import Structured
from emafusion.types import Call, Chunk, Completion, Model, Usage, content_text

MAIL = "jane.roe@harbour.example"


class Echo:
    """Says what it was asked, and keeps it."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.closed = False

    async def complete(self, call: Call) -> Completion:
        self.calls.append(call)
        return Completion(text=content_text(call.messages[-1]), usage=Usage())

    async def stream(self, call: Call) -> AsyncIterator[Chunk]:
        self.calls.append(call)
        for letter in content_text(call.messages[-1]):
            yield Chunk(text=letter)

    async def healthy(self, model: Model) -> bool:
        return model.name == "m"

    async def aclose(self) -> None:
        self.closed = True


def made(rules: Rules | None = None) -> tuple[Echo, MaskedProvider]:
    echo = Echo()
    shield = Shield(Mint(b"a secret of sixteen bytes"), [Structured()], rules=rules or Rules())
    return echo, MaskedProvider(echo, shield)


def call(text: str, visibility: Literal["public", "private"] = "public", **params: object) -> Call:
    model = Model(
        name="m",
        provider="p",
        upstream="m",
        usd_per_mtok_in=1.0,
        usd_per_mtok_out=1.0,
        visibility=visibility,
    )
    return Call(model=model, messages=({"role": "user", "content": text},), params=params)


async def test_the_upstream_sees_placeholders_and_its_caller_values() -> None:
    echo, provider = made()
    answer = await provider.complete(call(f"Write to {MAIL}", user=MAIL))
    assert answer.text == f"Write to {MAIL}"
    pieces = [piece.text async for piece in provider.stream(call(f"Write to {MAIL}."))]
    assert "".join(pieces) == f"Write to {MAIL}."
    assert len(echo.calls) == 2
    for one in echo.calls:
        said = json.dumps([list(one.messages), dict(one.params)])
        assert MAIL not in said
        assert "[EMAIL_" in said


async def test_what_is_restricted_goes_to_private_models_alone() -> None:
    echo, provider = made(Rules(kinds={"EMAIL": "private"}))
    with pytest.raises(RejectedError, match="not cleared") as refused:
        await provider.complete(call(f"Write to {MAIL}"))
    with pytest.raises(RejectedError):
        _ = [piece async for piece in provider.stream(call(f"Write to {MAIL}"))]
    assert MAIL not in str(refused.value)
    assert echo.calls == []
    answer = await provider.complete(call(f"Write to {MAIL}", "private"))
    assert answer.text == f"Write to {MAIL}"
    assert MAIL not in content_text(echo.calls[0].messages[0])


async def test_what_cannot_be_read_is_not_sent() -> None:
    echo, provider = made()
    nested: object = MAIL
    for _ in range(100):
        nested = [nested]
    with pytest.raises(RejectedError, match="nested too deep"):
        await provider.complete(call("Hello", metadata={"x": nested}))
    assert echo.calls == []


async def test_the_rest_is_the_inner_providers() -> None:
    echo, provider = made()
    assert await provider.healthy(call("").model)
    await provider.aclose()
    assert echo.closed
