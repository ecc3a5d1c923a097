"""The panel that serves a fitted pool: heads and council on the bench, a plain panel behind them.

Knows how one request's drafts become the council's arrays, and who judges what the council
cannot: models it was not fitted on, several drafts of one model, a model judge's opinion.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from emafusion.judge import surface
from emafusion.judge.council import Council, Heard, first
from emafusion.judge.heads import Heads
from emafusion.judge.logprob import mean_probability
from emafusion.judge.panel import CalibratedPanel
from emafusion.judge.rules import Look, form
from emafusion.protocols import Panel, Port
from emafusion.types import Assessment, Context, Draft, Forecast, Request, Verdict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Bench:
    """Calibrated P(right) of every draft of a fitted pool (DESIGN §2.4).

    Parameters
    ----------
    heads : Heads
        How far each draft is trusted, read alone.
    council : Council
        How drafts weigh together.
    otherwise : Panel, optional
        Judges what the council was not fitted on.
    """

    def __init__(self, heads: Heads, council: Council, *, otherwise: Panel | None = None) -> None:
        self._heads = heads
        self._council = council
        self._otherwise = otherwise or CalibratedPanel()

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, NDArray[np.generic]],
        pool: Sequence[str],
        *,
        otherwise: Panel | None = None,
    ) -> Bench:
        """The bench that a fit wrote."""
        return cls(
            Heads.from_arrays(arrays, pool), Council.from_arrays(arrays, pool), otherwise=otherwise
        )

    async def assess(
        self,
        request: Request,
        forecast: Forecast,
        drafts: Sequence[Draft],
        *,
        port: Port,
        judge: str | None = None,
    ) -> Assessment:
        """P(right) for each of `drafts`, with the verdicts behind it."""
        number = self._number(drafts)
        if number is None or judge is not None:
            return await self._otherwise.assess(request, forecast, drafts, port=port, judge=judge)
        looks = surface.looks(request, drafts)
        found = [look.key for look in looks]
        trust = self._trust(forecast, looks)
        heard = self._heard(forecast, drafts, found=found, trust=trust)
        order = sorted(range(len(drafts)), key=lambda i: self._place(drafts[i]))
        told = self._council.confidences(number, heard)[0]
        fresh = first(heard.answers)[0]
        confidences = [0.0] * len(drafts)
        for at, place in enumerate(order):
            confidences[place] = float(told[at])
        best = int((told * fresh).argmax())
        rivals = [float(t) for i, t in enumerate(told) if fresh[i] and i != best]
        confidences = _level(
            confidences, found, confidence=confidences[order[best]], answer=found[order[best]]
        )
        return Assessment(
            confidences=tuple(confidences),
            verdicts=_verdicts(looks, trust),
            second=max(rivals, default=0.0),
        )

    def _number(self, drafts: Sequence[Draft]) -> int | None:
        """The set number of the drafts' models; ``None`` where the council does not know it."""
        members = self._council.members
        names = [draft.model for draft in drafts]
        if len(set(names)) < len(names) or any(name not in members for name in names):
            return None
        number = sum(1 << members.index(name) for name in names)
        return number if self._council.knows(number) else None

    def _place(self, draft: Draft) -> int:
        return self._council.members.index(draft.model)

    def _trust(self, forecast: Forecast, looks: Sequence[Look]) -> list[float]:
        """Each draft's log-odds, read alone."""
        import numpy as np

        context = self._context(forecast)
        pool = np.array([[context.mean, context.best]])
        surfaces = surface.table(looks)
        told = []
        for at, draft in enumerate(look.draft for look in looks):
            estimate = forecast[draft.model]
            tokens = draft.completion.usage.completion_tokens
            surplus = math.log((tokens + 1.0) / (estimate.tokens + 1.0))
            odds = self._heads.log_odds(
                self._heads.pool.index(draft.model),
                surfaces[at : at + 1],
                np.array([_log_odds(estimate.quality)]),
                pool=pool,
                off_length=np.array([max(-3.0, min(3.0, surplus))]),
            )
            told.append(float(odds[0]))
        return told

    def _context(self, forecast: Forecast) -> Context:
        """How the pool is expected to do: all of it, or those forecast where nobody said more."""
        if forecast.context is not None:
            return forecast.context
        priors = [_log_odds(e.quality) for e in forecast.estimates if e.model in self._heads.pool]
        return Context(mean=math.fsum(priors) / len(priors), best=max(priors))

    def _heard(
        self,
        forecast: Forecast,
        drafts: Sequence[Draft],
        *,
        found: Sequence[str | None],
        trust: Sequence[float],
    ) -> Heard:
        """The drafts as the council reads them, members in its own order."""
        import numpy as np

        order = sorted(range(len(drafts)), key=lambda i: self._place(drafts[i]))
        seen: dict[str, int] = {}
        numbers = [-1 if k is None else seen.setdefault(k, len(seen)) for k in found]
        own = [_log_odds(forecast[drafts[i].model].quality) for i in order]
        return Heard(
            answers=np.array([[numbers[i] for i in order]]),
            trust=np.array([[trust[i] for i in order]]),
            priors=np.array([own]),
            ease=np.array([self._context(forecast).mean]),
        )


def _level(
    confidences: Sequence[float],
    found: Sequence[str | None],
    *,
    confidence: float,
    answer: str | None,
) -> list[float]:
    """All drafts of the best answer at exactly one confidence: the first of them is returned."""
    if answer is None:
        return list(confidences)
    return [
        confidence if key == answer else told for told, key in zip(confidences, found, strict=True)
    ]


def _verdicts(looks: Sequence[Look], trust: Sequence[float]) -> tuple[Verdict, ...]:
    """What each judge on the bench said, for the record."""
    found = [look.key for look in looks]
    verdicts = []
    for place, (look, odds) in enumerate(zip(looks, trust, strict=True)):
        others = len(found) - 1
        agreeing = found.count(look.key) - 1
        said = {
            "rules": form(look),
            "logprob": mean_probability(look.draft),
            "surface": 1.0 / (1.0 + math.exp(-odds)),
            "agreement": agreeing / others if others and look.key is not None else None,
        }
        answer = "" if look.key is None else f"answer {look.key[:60]!r}"
        verdicts += [
            Verdict(judge=judge, draft=place, score=score, reason=answer * (judge == "agreement"))
            for judge, score in said.items()
        ]
    return tuple(verdicts)


def _log_odds(quality: float) -> float:
    bounded = min(max(quality, 0.005), 0.995)
    return math.log(bounded / (1.0 - bounded))
