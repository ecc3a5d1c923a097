"""Composite prompts through the engine: found, split, each part answered from the record.

Knows how an end is credited; the engine does everything else. A prompt that is not split would go
to one model whole, whose answer nobody has recorded: it is credited with the best single model's
score and cost on each part, which is generous. A part that was cut wrongly scores nothing and costs
what the best single model would have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct, to_builtins

from emafusion.engine import Engine
from emafusion.errors import EmafusionError
from emafusion.evaluate.composites import Composite, Measures, measure, plain
from emafusion.evaluate.metrics import paired_bootstrap
from emafusion.evaluate.recorded import Recorded
from emafusion.evaluate.runs import Run
from emafusion.learn.benchmark.live import Replayed, Stage, models
from emafusion.protocols import Provider
from emafusion.types import (
    Call,
    Decompose,
    Knobs,
    Outcome,
    Request,
    Split,
    content_text,
)

SHARE = 0.45
"""Of the best single model's cost: what the setting of the dial may spend on the fitted rows."""


class Ends(Struct, frozen=True, kw_only=True):
    """How composites fared: splitting, and the parts' mean score and cost beside one model's.

    ``accuracy`` and ``cost_usd`` are means over parts, ``over_best_single`` the difference of
    accuracy with a 95 % interval over composites (low, middle, high).
    """

    splitting: Measures
    prefer: float
    parts: int
    accuracy: float
    cost_usd: float
    best_single: str
    best_accuracy: float
    best_cost_usd: float
    cost_share: float
    over_best_single: tuple[float, float, float]

    def told(self) -> dict[str, object]:
        """As it goes into the report."""
        found: dict[str, object] = to_builtins(self)
        return found


class Credit(Struct, frozen=True, kw_only=True):
    """Score and US dollars of one composite, summed over its parts."""

    score: float
    cost_usd: float


class Pieces(Replayed):
    """The recorded answer to whatever part is asked, found by its text (white space aside)."""

    def __init__(self, recorded: Recorded) -> None:
        super().__init__(recorded)
        self._texts = {plain(text): row for row, text in enumerate(recorded.prompts)}

    def row(self, call: Call) -> int | None:
        """The row of the query whose prompt is the last message."""
        return self._texts.get(plain(content_text(call.messages[-1])))


def setting(runs: Sequence[Run], best_cost_usd: float) -> float:
    """The dial's setting for composites, by held-out figures of the fitted rows alone.

    The most accurate of those that cost at most :data:`SHARE` of the best single model.
    """
    known = [(*run.tuned, run) for run in runs if run.tuned is not None]
    within = [one for one in known if one[1] <= SHARE * best_cost_usd] or [
        min(known, key=lambda one: one[1])
    ]
    return float(max(within, key=lambda one: (one[0], -one[1]))[2].knob.partition("=")[2])


def replay(
    stage: Stage,
    composites: Sequence[Composite],
    *,
    prefer: float,
    best: int,
    seed: int,
    tick: Callable[[], None],
) -> Ends:
    """Every composite through the engine at `prefer`; `best` is the best fitted single model.

    Raises
    ------
    DataError
        A composite names a query that is not recorded.
    """
    import numpy as np

    recorded = stage.recorded
    splits, outcomes = asyncio.run(_serve(stage, composites, prefer=prefer, tick=tick))
    prompts = dict(zip(recorded.queries, recorded.prompts, strict=True))
    found = measure(composites, splits, prompts)
    row_of = {query: row for row, query in enumerate(recorded.queries)}
    ours, theirs, counts = [], [], []
    for composite, outcome in zip(composites, outcomes, strict=True):
        if composite.parts is None:
            continue
        rows = [row_of[query] for query in composite.parts]
        ours.append(_credit(recorded, rows, best, outcome=outcome))
        theirs.append(_alone(recorded, rows, best))
        counts.append(len(rows))
    parts = np.array(counts, dtype=np.float64)
    scores, alone = (np.array([c.score for c in each]) for each in (ours, theirs))
    middle, low, high = paired_bootstrap(scores / parts, alone / parts, seed=seed)
    total = float(parts.sum())
    spent, single = (sum(c.cost_usd for c in each) / total for each in (ours, theirs))
    return Ends(
        splitting=found,
        prefer=prefer,
        parts=int(total),
        accuracy=float(scores.sum()) / total,
        cost_usd=spent,
        best_single=recorded.models[best],
        best_accuracy=float(alone.sum()) / total,
        best_cost_usd=single,
        cost_share=spent / single if single else float("nan"),
        over_best_single=(low, middle, high),
    )


async def _serve(
    stage: Stage, composites: Sequence[Composite], *, prefer: float, tick: Callable[[], None]
) -> tuple[list[Split | None], list[Outcome | None]]:
    """What was split, and what became of it; no outcome where the prompt went on whole."""
    provider: Mapping[str, Provider] = {"replay": Pieces(stage.recorded)}
    engine = stage.build(stage.policy, models(stage.recorded.models, stage.bills), provider)
    splits: list[Split | None] = []
    outcomes: list[Outcome | None] = []
    try:
        for number, composite in enumerate(composites):
            outcome = await _ask(engine, f"composite/{number}", composite.prompt, prefer=prefer)
            splits.append(_split(outcome))
            outcomes.append(outcome if splits[-1] is not None else None)
            tick()
    finally:
        await engine.aclose()
    return splits, outcomes


async def _ask(engine: Engine, name: str, prompt: str, *, prefer: float) -> Outcome | None:
    request = Request(
        id=name, messages=({"role": "user", "content": prompt},), knobs=Knobs(prefer=prefer)
    )
    try:
        return (await engine.serve(request)).outcome
    except EmafusionError:
        # A whole prompt has no recorded answer; what was decided stands in the record.
        return await engine.stages.recorder.find(name)


def _split(outcome: Outcome | None) -> Split | None:
    plan = outcome.plan if outcome is not None else None
    if plan is None or not isinstance(plan.arrangement, Decompose):
        return None
    branches = plan.arrangement.branches
    return Split(parts=tuple(branch.part for branch in branches), source=plan.arrangement.source)


def _alone(recorded: Recorded, rows: Sequence[int], best: int) -> Credit:
    """The best single model's recorded score and cost on each part."""
    return Credit(
        score=float(sum(recorded.scores[row, best] for row in rows)),
        cost_usd=float(sum(recorded.costs[row, best] for row in rows)),
    )


def _credit(
    recorded: Recorded, rows: Sequence[int], best: int, *, outcome: Outcome | None
) -> Credit:
    """What the engine's answer is worth: each part by the draft returned, every call paid."""
    if outcome is None:
        return _alone(recorded, rows, best)
    place = {name: at for at, name in enumerate(recorded.models)}
    texts = [plain(piece.prompt) for piece in outcome.parts]
    score = cost = 0.0
    for row in rows:
        text = plain(recorded.prompts[row])
        if text not in texts:
            cost += float(recorded.costs[row, best])
            continue
        number = texts.index(text)
        piece = outcome.parts[number]
        score += float(recorded.scores[row, place[piece.model]]) if piece.model else 0.0
        called = [step.model for step in outcome.steps if step.part == number]
        cost += float(sum(recorded.costs[row, place[name]] for name in called))
    return Credit(score=score, cost_usd=cost)
