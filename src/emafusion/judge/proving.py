"""The panel that has programs run: another panel's confidence, moved by what programs do.

Knows how much a run moves a draft's log-odds and when there is time for one. What is read off a
run is the execution judge's business, what else is known of a draft the other panel's.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Final

from emafusion.errors import ConfigError
from emafusion.judge import surface
from emafusion.judge.advances import humbled
from emafusion.judge.execution import (
    NOTHING_SAID,
    Evidence,
    ExecutionJudge,
    Finding,
    gather,
    wanted,
)
from emafusion.judge.rules import Look
from emafusion.protocols import Panel, Port, Timed
from emafusion.types import Assessment, Draft, Forecast, Request, Verdict, log_odds, replace

WORTH: Final = 4.0
"""Log-odds per unit of the execution score; ``docs/decisions.md`` has the fit."""
LEAST_S: Final = 0.5
"""Seconds below which no program is started: an interpreter would hardly be up."""


class ProvingPanel:
    """A panel's P(right), moved by what drafts that are programs do when they are run.

    log-odds = the panel's + `worth` · (execution score − the score of a program of which nothing
    is known). As scores lie in [0, 1] and that one is 0.55, a run moves a draft by at most
    −0.55 · `worth` to +0.45 · `worth`. Where the prompt asks for no program, or no draft holds one
    in Python, nothing is run and the panel's assessment stands.

    Parameters
    ----------
    panel : Panel
        Judges drafts by all other evidence.
    judge : ExecutionJudge
        Runs them.
    worth : float
        Log-odds per unit of its score.
    """

    def __init__(self, panel: Panel, judge: ExecutionJudge, *, worth: float = WORTH) -> None:
        self.panel = panel
        self.judge = judge
        self.worth = worth

    async def assess(
        self,
        request: Request,
        forecast: Forecast,
        drafts: Sequence[Draft],
        *,
        port: Port,
        judge: str | None = None,
    ) -> Assessment:
        """P(right) for each of `drafts`; where they cannot be run a verdict says why."""
        told = await self.panel.assess(request, forecast, drafts, port=port, judge=judge)
        # Long texts take their time to parse, and other requests should not wait for that.
        read = await asyncio.to_thread(gather, request.text, [draft.text for draft in drafts])
        if not wanted(request.text, read.found):
            return told
        try:
            found = await self._run(request.id, read, _left(request, drafts, port))
        except TimeoutError:
            return _unproved(told, "not run to its end: no time left")
        except (ConfigError, OSError) as refused:
            return _unproved(told, f"not run: {refused}")
        return self._moved(told, found, surface.looks(request, drafts))

    async def _run(
        self, request_id: str, read: Evidence, left: float | None
    ) -> list[Finding | None]:
        """What runs told; raises `TimeoutError` where `left` seconds do not suffice."""
        if left is not None and left < LEAST_S:
            raise TimeoutError
        async with asyncio.timeout(left):
            return await self.judge.examine(request_id, read)

    def _moved(
        self, told: Assessment, found: Sequence[Finding | None], looks: Sequence[Look]
    ) -> Assessment:
        """The assessment with what was `found`.

        `looks` say which drafts are the same answer, and which address their judge: no run lifts
        one of those above a draft that did not.
        """
        moved = [
            sure if one is None else _shifted(sure, self.worth * (one.score - NOTHING_SAID))
            for sure, one in zip(told.confidences, found, strict=True)
        ]
        confidences = humbled(moved, [look.flagged for look in looks])
        best = max(range(len(confidences)), key=confidences.__getitem__)
        rivals = [
            sure
            for place, sure in enumerate(confidences)
            if place != best and (looks[place].key is None or looks[place].key != looks[best].key)
        ]
        said = [
            _verdict(place, None, "no Python program")
            if one is None
            else _verdict(place, one.score, one.reason)
            for place, one in enumerate(found)
        ]
        return Assessment(
            confidences=tuple(confidences),
            verdicts=(*told.verdicts, *said),
            second=max(rivals, default=0.0),
        )


def _unproved(told: Assessment, reason: str) -> Assessment:
    said = [_verdict(place, None, reason) for place in range(len(told.confidences))]
    return replace(told, verdicts=(*told.verdicts, *said))


def _left(request: Request, drafts: Sequence[Draft], port: Port) -> float | None:
    """Seconds until the request's deadline; where the port has no clock, by the calls' times."""
    if isinstance(port, Timed):
        return port.left_s
    most = request.knobs.max_latency_s
    return None if most is None else most - math.fsum(draft.latency_s for draft in drafts)


def _shifted(confidence: float, shift: float) -> float:
    return 1.0 / (1.0 + math.exp(-(log_odds(confidence) + shift)))


def _verdict(place: int, score: float | None, reason: str) -> Verdict:
    return Verdict(judge="execution", draft=place, score=score, reason=reason)
