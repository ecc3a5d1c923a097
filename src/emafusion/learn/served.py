"""Two policies told apart by what was served: decisions that chance had a part in, and opinions.

Knows which decisions on record can tell, and asks the policies what they would have begun with.
How such rows become estimates, :mod:`emafusion.learn.off_policy` knows.
"""

from __future__ import annotations

import asyncio
import datetime
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from emafusion.artefacts import Artefact
from emafusion.errors import DataError
from emafusion.evaluate.threads import one_thread
from emafusion.learn import traffic
from emafusion.learn.benchmark.live import WIDEST
from emafusion.learn.bootstrap import FEWEST_CLUSTERS, Estimate
from emafusion.learn.compare import Setup
from emafusion.learn.off_policy import Evaluation, Logged, evaluate
from emafusion.learn.traffic import Diary, Span, within
from emafusion.plan.planner import DEFAULT_PREFER
from emafusion.protocols import Provider
from emafusion.types import (
    Adaptive,
    Call,
    Chunk,
    Completion,
    Knobs,
    Model,
    Outcome,
    Request,
    Single,
    Usage,
    replace,
)

DAY: Final = datetime.timedelta(days=1)
MOST: Final = 5000
"""Decisions that policies are asked about, the latest: a policy reads some 100 a second."""


class Drawn(Struct, frozen=True, kw_only=True):
    """A decision whose first model was drawn, and what was thought of its answer.

    ``forecast`` is what was expected of each model's answer, ``created`` when it was made, seconds
    since 1970.
    """

    decision_id: str
    prompt: str
    caller: str
    created: float
    first: str
    propensity: float
    reward: float
    cost_usd: float
    forecast: Mapping[str, float]


class Told(Struct, frozen=True, kw_only=True):
    """What traffic says of two policies at one setting of the dial, had they served it.

    ``drawn`` decisions have an opinion and a first model that was drawn; of these ``rows`` are such
    as neither policy can have been fitted on. Utilities are score − cost ÷ ``usd_per_quality``,
    ``None`` where quality alone counts. ``gain`` is the candidate's doubly robust estimate less the
    incumbent's. What is not there the log cannot tell: ``why`` says so, policy by policy.
    """

    drawn: int
    rows: int
    prefer: float
    usd_per_quality: float | None = None
    incumbent: Evaluation | None = None
    candidate: Evaluation | None = None
    gain: Estimate | None = None
    why: tuple[str, ...] = ()


async def drawn(
    diary: Diary, *, stale: Mapping[str, Sequence[Span]] | None = None
) -> tuple[Drawn, ...]:
    """The decisions of `diary` that tell of other policies, in their order.

    Those whose first model was drawn with a chance below 1, and of whose answer somebody has an
    opinion that counts (:func:`emafusion.learn.traffic.export`). Without what a model of `stale`
    answered in one of these spans of time.
    """
    found: dict[str, Drawn] = {}
    answers = {}
    async for outcome in traffic.decisions(diary):
        one = _drawn(outcome) if traffic.teaches(outcome) else None
        if one is not None and not within(one.created, (stale or {}).get(one.first, ())):
            found[one.decision_id] = one
            answers[one.decision_id] = traffic.answered(outcome)
    told = await traffic.opinions(diary, answers)
    places = {name: (answer.query, answer.text) for name, answer in answers.items()}
    return tuple(
        replace(one, reward=told[places[name]])
        for name, one in found.items()
        if places[name] in told
    )


def _drawn(outcome: Outcome) -> Drawn | None:
    plan = outcome.plan
    if plan is None or plan.propensity >= 1.0:
        return None
    if not isinstance(plan.arrangement, Single | Adaptive) or plan.propensity <= 0.0:
        return None
    return Drawn(
        decision_id=outcome.decision_id,
        prompt=outcome.prompt,
        caller=outcome.caller,
        created=outcome.created,
        first=plan.arrangement.models[0],
        propensity=plan.propensity,
        reward=math.nan,
        cost_usd=outcome.cost_usd,
        forecast={one.model: one.quality for one in outcome.forecast.estimates},
    )


def weigh(
    incumbent: Artefact,
    candidate: Artefact,
    *,
    log: Sequence[Drawn],
    models: Sequence[Model],
    setup: Setup,
) -> Told:
    """Estimate what both policies would have brought, had they served the traffic of `log`.

    An action is the model that is asked first; what followed is taken as it was served. Rows of one
    caller are drawn together, or, where there are fewer than
    :data:`~emafusion.learn.bootstrap.FEWEST_CLUSTERS` callers, those of one prompt: then it is told
    of these callers.
    """
    prefer = DEFAULT_PREFER if setup.prefer is None else setup.prefer
    fresh = [one for one in log if _unseen(one, (incumbent, candidate))][-MOST:]
    told = Told(drawn=len(log), rows=len(fresh), prefer=prefer)
    if not fresh:
        return replace(told, why=(_nothing(log),))
    with one_thread():
        before, price = _begun(incumbent, fresh, models, setup=setup, prefer=prefer)
        after, _ = _begun(candidate, fresh, models, setup=setup, prefer=prefer)
    rows = _logged(fresh)
    found: list[Evaluation | None] = []
    why = []
    for name, policy in (("incumbent", before), ("candidate", after)):
        over = before if found and found[0] is not None else None
        try:
            found.append(evaluate(rows, policy, over=over, usd_per_quality=price, seed=setup.seed))
        except DataError as refused:
            found.append(None)
            why.append(f"of the {name}: {refused}")
    first, second = found
    return replace(
        told,
        usd_per_quality=None if math.isinf(price) else price,
        incumbent=first,
        candidate=second,
        gain=None if first is None or second is None else second.gain,
        why=tuple(why),
    )


def _nothing(log: Sequence[Drawn]) -> str:
    if log:
        return (
            f"of these policies: all {len(log)} decisions that could may have been fitted on; "
            "what is served from tomorrow on was not"
        )
    return (
        "of other policies: none of its decisions has both an opinion and a first model that was "
        "drawn; set learn.explore to the share of requests to explore with, and send feedback"
    )


def _unseen(one: Drawn, policies: Sequence[Artefact]) -> bool:
    """Whether no policy can have been fitted on this decision.

    Fits read traffic of other splits than ``test``, and none that is younger than themselves.
    """
    if traffic.split_of(traffic.identifier(one.prompt)) == "test":
        return True
    return all(one.created >= _fitted(policy) for policy in policies)


def _fitted(policy: Artefact) -> float:
    """The end of the day, UTC, on which `policy` was fitted, seconds since 1970."""
    day = datetime.datetime.fromisoformat(policy.manifest.created)
    return (day.replace(tzinfo=day.tzinfo or datetime.UTC) + DAY).timestamp()


def _logged(log: Sequence[Drawn]) -> list[Logged]:
    """Rows whose features are the forecasts of those models that all of them tell of."""
    known = sorted(set.intersection(*(set(one.forecast) for one in log)))
    several = len({one.caller for one in log}) >= FEWEST_CLUSTERS
    return [
        Logged(
            decision_id=one.decision_id,
            action=one.first,
            propensity=one.propensity,
            reward=one.reward,
            cost_usd=one.cost_usd,
            features=tuple(one.forecast[name] for name in known),
            cluster=one.caller if several else traffic.identifier(one.prompt),
        )
        for one in log
    ]


class _Silent(Provider):
    """Says nothing: only what a policy begins with is looked at."""

    async def complete(self, call: Call) -> Completion:
        return Completion(text="", usage=Usage())

    async def stream(self, call: Call) -> AsyncGenerator[Chunk]:
        yield Chunk(finish_reason="stop", usage=Usage())

    async def healthy(self, model: Model) -> bool:
        return True

    async def aclose(self) -> None:
        """Nothing to give back."""


def _begun(
    policy: Artefact, log: Sequence[Drawn], models: Sequence[Model], *, setup: Setup, prefer: float
) -> tuple[list[dict[str, float]], float]:
    """Whom `policy` would ask first at each decision, and the middle of its prices of quality."""
    plans = asyncio.run(_planned(policy, log, models, setup=setup, prefer=prefer))
    prices = sorted(price for _, price in plans)
    return [{first: 1.0} for first, _ in plans], prices[len(prices) // 2]


async def _planned(
    policy: Artefact, log: Sequence[Drawn], models: Sequence[Model], *, setup: Setup, prefer: float
) -> list[tuple[str, float]]:
    provider = _Silent()
    # What was answered did fit, and a prompt that was answered whole is planned whole.
    wide = [replace(one, context_window=WIDEST, max_output=WIDEST // 2) for one in models]
    engine = setup.build(policy, wide, {model.provider: provider for model in models})
    engine.stages = replace(engine.stages, splitter=None)
    found = []
    try:
        for one in log:
            request = Request(
                id=one.decision_id,
                messages=({"role": "user", "content": one.prompt},),
                knobs=Knobs(prefer=prefer),
            )
            plan = (await engine.serve(request)).plan
            found.append((plan.arrangement.models[0], plan.usd_per_quality))
            setup.tick()
    finally:
        await engine.aclose()
    return found
