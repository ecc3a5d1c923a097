"""The engine that serves, over recorded answers: every stage runs, no model is called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion.artefacts import Artefact
from emafusion.engine import Engine
from emafusion.errors import RejectedError
from emafusion.evaluate.recorded import Recorded
from emafusion.evaluate.runs import Run
from emafusion.learn.fit.spending import Bills
from emafusion.protocols import Provider
from emafusion.types import Call, Chunk, Completion, Knobs, Model, Request, replace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Build = Callable[[Artefact, Sequence[Model], Mapping[str, Provider]], Engine]
WIDEST = 1_000_000
"""Context window of a replayed model: what was recorded did fit."""


def models(pool: Sequence[str], bills: Bills) -> list[Model]:
    """The recorded models as a catalog, at the prices they were billed at."""
    return [
        Model(
            name=name,
            provider="replay",
            upstream=name,
            usd_per_mtok_in=float(bills.prices[0, place]) * 1e6,
            usd_per_mtok_out=float(bills.prices[1, place]) * 1e6,
            context_window=WIDEST,
            max_output=WIDEST // 2,
        )
        for place, name in enumerate(pool)
    ]


class Stage(Struct, frozen=True, kw_only=True):
    """A fitted policy, the recorded answers it meets, and how its engine is built."""

    build: Build
    policy: Artefact
    recorded: Recorded
    bills: Bills


class Replayed(Provider):
    """Gives the very drafts that the batch reads; the call's metadata names the query.

    A subclass may find the query by another mark of the call: :meth:`row`.
    """

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self._rows = {query: row for row, query in enumerate(recorded.queries)}
        self._places = {name: place for place, name in enumerate(recorded.models)}

    async def complete(self, call: Call) -> Completion:
        """The recorded completion."""
        row = self.row(call)
        place = self._places[call.model.upstream]
        draft = None if row is None else self._recorded.drafts[row][place]
        if draft is None:
            raise RejectedError("no outcome is recorded for this call", call.model.name)
        return draft.completion

    def row(self, call: Call) -> int | None:
        """The row of the query that `call` is about; ``None`` for one nobody recorded."""
        about = call.params.get("metadata")
        query = about.get("query_id") if isinstance(about, Mapping) else None
        return self._rows.get(str(query))

    async def stream(self, call: Call) -> AsyncGenerator[Chunk]:
        """The recorded completion in one piece."""
        completion = await self.complete(call)
        yield Chunk(text=completion.text)
        yield Chunk(finish_reason=completion.finish_reason, usage=completion.usage)

    async def healthy(self, model: Model) -> bool:
        """Whether the model is recorded."""
        return model.upstream in self._places

    async def aclose(self) -> None:
        """Nothing to give back."""


def replay(stage: Stage, dial: Mapping[str, float], tick: Callable[[], None]) -> dict[str, Run]:
    """One run over all recorded queries for each setting of ``prefer`` that `dial` names.

    Calls, answers and confidences are the engine's; scores and dollars are looked up in the
    recorded outcomes.
    """
    return asyncio.run(_replay(stage, dial, tick))


async def _replay(
    stage: Stage, dial: Mapping[str, float], tick: Callable[[], None]
) -> dict[str, Run]:
    recorded = stage.recorded
    provider = Replayed(recorded)
    engine = stage.build(stage.policy, models(recorded.models, stage.bills), {"replay": provider})
    # What is recorded is an answer to each whole prompt.
    engine.stages = replace(engine.stages, splitter=None)
    try:
        runs: dict[float, Run] = {}
        for prefer in dict.fromkeys(dial.values()):
            answers = []
            for query, prompt in zip(recorded.queries, recorded.prompts, strict=True):
                answers.append(await _ask(engine, query, prompt, prefer=prefer))
                tick()
            runs[prefer] = _run(recorded, answers, knob=f"prefer={prefer:.3f}")
        return {name: runs[prefer] for name, prefer in dial.items()}
    finally:
        await engine.aclose()


async def _ask(
    engine: Engine, query: str, prompt: str, *, prefer: float
) -> tuple[tuple[str, ...], str, float]:
    """The models called, the one whose draft is the answer, and the confidence in it."""
    request = Request(
        id=f"{query}@{prefer:.3f}",
        messages=({"role": "user", "content": prompt},),
        params={"metadata": {"query_id": query}},
        knobs=Knobs(prefer=prefer),
    )
    answer = await engine.serve(request)
    calls = tuple(step.model for step in answer.outcome.steps)
    return calls, answer.model, answer.confidence


def _run(
    recorded: Recorded, answers: Sequence[tuple[tuple[str, ...], str, float]], *, knob: str
) -> Run:
    import numpy as np

    place = {name: at for at, name in enumerate(recorded.models)}
    rows = range(len(answers))
    return Run(
        knob=knob,
        scores=np.array([recorded.scores[row, place[answers[row][1]]] for row in rows]),
        costs=np.array(
            [sum(recorded.costs[row, place[name]] for name in answers[row][0]) for row in rows]
        ),
        confidences=np.array([confidence for _, _, confidence in answers]),
        calls=tuple(calls for calls, _, _ in answers),
        sources=tuple(source for _, source, _ in answers),
    )
