"""The engine that serves, over recorded answers: every stage runs, no model is called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion.artefacts import Artefact
from emafusion.engine import Engine
from emafusion.evaluate.recorded import Recorded
from emafusion.evaluate.runs import Run
from emafusion.learn.fit.spending import Bills
from emafusion.protocols import Provider
from emafusion.providers.replay import ReplayProvider
from emafusion.types import Knobs, Model, Request

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
    folder: Path
    bills: Bills


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
    provider = ReplayProvider(stage.folder)
    engine = stage.build(stage.policy, models(recorded.models, stage.bills), {"replay": provider})
    try:
        found = {}
        for name, prefer in dial.items():
            answers = []
            for query, prompt in zip(recorded.queries, recorded.prompts, strict=True):
                answers.append(await _ask(engine, query, prompt, prefer=prefer))
                tick()
            found[name] = _run(recorded, answers, knob=f"prefer={prefer:.3f}")
        return found
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
