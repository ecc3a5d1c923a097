"""The contract checks pass what keeps the contract and name the promise that is broken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from emafusion.testing import (
    ContractError,
    ScriptedProvider,
    check_encoder,
    check_judge,
    check_provider,
    contracts,
)
from emafusion.types import Call, Chunk, Completion, Draft, Model, Request, Usage

MODEL = Model(name="m", provider="p", upstream="u", usd_per_mtok_in=1, usd_per_mtok_out=1)


class NoUsage(ScriptedProvider):
    async def complete(self, call: Call) -> Completion:
        return Completion(text="hello", usage=Usage())


class Positive(ScriptedProvider):
    async def complete(self, call: Call) -> Completion:
        return Completion(text="hi", usage=Usage(prompt_tokens=1), logprobs=(0.3,))


class Endless(ScriptedProvider):
    async def stream(self, call: Call) -> AsyncGenerator[Chunk]:
        yield Chunk(text="hello")


class Unusable(ScriptedProvider):
    async def healthy(self, model: Model) -> bool:
        return False


class Deaf(ScriptedProvider):
    async def complete(self, call: Call) -> Completion:
        try:
            await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            raise RuntimeError("no") from None
        return await super().complete(call)


class Unclosable(ScriptedProvider):
    def stream(self, call: Call) -> AsyncIterator[Chunk]:  # type: ignore[override]  # on purpose
        return Pieces(super().stream(call))


class Pieces:
    def __init__(self, stream: AsyncIterator[Chunk]) -> None:
        self.stream = stream

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        return await anext(self.stream)


@pytest.mark.parametrize(
    ("provider", "promise"),
    [
        (NoUsage(), "usage counts the prompt's tokens"),
        (Positive(), "log-probabilities are at most 0"),
        (Endless(), "the last piece says why the answer ended"),
        (Unusable(), "healthy\\(\\) is true"),
        (Deaf(), "a cancelled call raises CancelledError"),
        (Unclosable(), "a stream can be closed"),
    ],
)
async def test_a_provider_that_breaks_a_promise(provider: ScriptedProvider, promise: str) -> None:
    with pytest.raises(ContractError, match=promise):
        await check_provider(provider, MODEL)


async def test_a_provider_that_ignores_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(ScriptedProvider):
        async def complete(self, call: Call) -> Completion:
            await asyncio.sleep(0.2 if call.timeout_s < 1 else 0)
            return await super().complete(call)

    monkeypatch.setattr(contracts, "SLACK_S", 0.1)
    with pytest.raises(ContractError, match="a call ends at its deadline"):
        await check_provider(Late(), MODEL)


class Lengths:
    """An encoder: the unit vector at a text's length."""

    name = "lengths/1"
    dim = 4

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.eye(4, dtype=np.float32)[[len(text) % 4 for text in texts]]


class Batched(Lengths):
    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.roll(super().encode(texts), len(texts), axis=1)


class Long(Lengths):
    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return super().encode(texts) * 2


class Wide(Lengths):
    dim = 5


class Double(Lengths):
    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return super().encode(texts).astype(np.float64)


def test_an_encoder_that_keeps_its_promises() -> None:
    check_encoder(Lengths())


@pytest.mark.parametrize(
    ("encoder", "promise"),
    [
        (Batched(), "does not depend on its batch"),
        (Long(), "vectors have length 1"),
        (Wide(), "a vector of `dim`"),
        (Double(), "float32"),
    ],
)
def test_an_encoder_that_breaks_a_promise(encoder: Lengths, promise: str) -> None:
    with pytest.raises(ContractError, match=promise):
        check_encoder(encoder)


class Brevity:
    """A judge: shorter is better."""

    name = "brevity"

    def score(self, request: Request, drafts: Sequence[Draft]) -> list[float | None]:
        return [1 / (1 + len(draft.text)) if draft.text else None for draft in drafts]


class First(Brevity):
    def score(self, request: Request, drafts: Sequence[Draft]) -> list[float | None]:
        return [1.0 if place == 0 else 0.0 for place, _ in enumerate(drafts)]


class Beyond(Brevity):
    def score(self, request: Request, drafts: Sequence[Draft]) -> list[float | None]:
        return [2.0 for _ in drafts]


class Forgetful(Brevity):
    def score(self, request: Request, drafts: Sequence[Draft]) -> list[float | None]:
        return super().score(request, drafts)[1:]


def test_a_judge_that_keeps_its_promises() -> None:
    check_judge(Brevity())


@pytest.mark.parametrize(
    ("judge", "promise"),
    [
        (First(), "does not depend on its place"),
        (Beyond(), "in \\[0, 1\\] or None"),
        (Forgetful(), "one score a draft"),
    ],
)
def test_a_judge_that_breaks_a_promise(judge: Brevity, promise: str) -> None:
    with pytest.raises(ContractError, match=promise):
        check_judge(judge)
