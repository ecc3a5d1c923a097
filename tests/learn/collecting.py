"""What the collector's tests share: easy questions and a provider that keeps accounts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from emafusion.errors import ProviderError
from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import Question
from emafusion.types import Call, Chunk, Completion, Model, Usage

LABELS = {
    "task": "mathematical_reasoning",
    "complexity": "single_step",
    "domain": "mathematics",
    "format": "number",
}
CHEAP = Model(
    name="cheap", provider="p", upstream="c", usd_per_mtok_in=10.0, usd_per_mtok_out=100.0
)
DEAR = Model(name="dear", provider="p", upstream="d", usd_per_mtok_in=50.0, usd_per_mtok_out=500.0)


def sums(count: int, *, held_out: bool = False) -> list[Question]:
    return [
        Question(
            prompt=f"What is {n} + 1? Reply with the number only.",
            reference=str(n + 1),
            grader=Grader(type="number"),
            labels=LABELS,
            family="sum",
            phrasing=0,
            held_out=held_out,
            difficulty=1,
        )
        for n in range(count)
    ]


def next_number(call: Call) -> str:
    """The right answer of :func:`sums`."""
    prompt = str(call.messages[-1]["content"])
    return str(int(prompt.split()[2]) + 1)


class Bookkeeper:
    """Answers with `answer` (its text, or the error it returns) and notes whom it asked what.

    With `diary`, each call is noted in that file before it is answered, as a bill would be. Answers
    are billed as `tokens` long, whatever was allowed.
    """

    def __init__(
        self,
        answer: Callable[[Call], str | ProviderError] = next_number,
        *,
        seconds: float = 0.0,
        diary: Path | None = None,
        loading_s: float = 0.0,
        tokens: int = 3,
    ) -> None:
        self.answer = answer
        self.seconds = seconds
        self.diary = diary
        self.loading_s = loading_s
        self.tokens = tokens
        self.asked: list[tuple[str, str]] = []
        self.under_way = 0
        self.most_under_way = 0

    async def prepare(self, model: Model) -> None:
        await asyncio.sleep(self.loading_s)

    async def complete(self, call: Call) -> Completion:
        self._note(call)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.under_way -= 1
        said = self.answer(call)
        if isinstance(said, ProviderError):
            raise said
        return Completion(
            text=said,
            usage=Usage(prompt_tokens=20, completion_tokens=self.tokens),
            logprobs=(-0.5, -0.1, -0.3),
        )

    def _note(self, call: Call) -> None:
        prompt = str(call.messages[-1]["content"])
        self.asked.append((call.model.name, prompt))
        if self.diary is not None:
            with self.diary.open("a") as file:
                file.write(f"{call.model.name}\t{prompt}\n")
                file.flush()
                os.fsync(file.fileno())

    async def stream(self, call: Call) -> AsyncIterator[Chunk]:
        whole = await self.complete(call)
        yield Chunk(text=whole.text, usage=whole.usage, finish_reason="stop")

    async def healthy(self, model: Model) -> bool:
        return True

    async def aclose(self) -> None:
        return
