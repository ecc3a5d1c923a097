"""The panel that serves a fitted pool: heads and council on the bench, a plain panel behind them.

Knows how one request's drafts become the council's arrays, and who judges what the council
cannot: models it was not fitted on, several drafts of one model, a model judge's opinion.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakKeyDictionary

from emafusion.judge import surface
from emafusion.judge.advances import humbled
from emafusion.judge.council import Council, Heard, first
from emafusion.judge.heads import Heads
from emafusion.judge.logprob import mean_probability
from emafusion.judge.option_prior import OptionPrior
from emafusion.judge.panel import CalibratedPanel
from emafusion.judge.ranker import Ranker
from emafusion.judge.rules import Look
from emafusion.protocols import Panel, Port
from emafusion.types import Assessment, Context, Draft, Forecast, Request, Verdict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Rows: TypeAlias = Sequence[Sequence[float]]
"""Of each draft a row of :data:`surface.NAMES`."""
RULES = surface.NAMES.index("rules")


class Bench:
    """Calibrated P(right) of every draft of a fitted pool (DESIGN §2.4).

    Parameters
    ----------
    heads : Heads
        How far each draft is trusted, read alone.
    council : Council
        How drafts weigh together.
    option_prior : OptionPrior, optional
        What the options of a multiple-choice question give away.
    ranker : Ranker, optional
        Ranks drafts that hold no answer which could be read.
    otherwise : Panel, optional
        Judges what the council was not fitted on.
    """

    def __init__(
        self,
        heads: Heads,
        council: Council,
        *,
        option_prior: OptionPrior | None = None,
        ranker: Ranker | None = None,
        otherwise: Panel | None = None,
    ) -> None:
        self._heads = heads
        self._council = council
        self._option_prior = option_prior
        self._ranker = ranker
        self._otherwise = otherwise or CalibratedPanel()
        self._sights: WeakKeyDictionary[Port, surface.Sight] = WeakKeyDictionary()

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
            Heads.from_arrays(arrays, pool),
            Council.from_arrays(arrays, pool),
            option_prior=OptionPrior.from_arrays(arrays),
            ranker=Ranker.from_arrays(arrays, pool),
            otherwise=otherwise,
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
        names = [draft.model for draft in drafts]
        number = self._number(names)
        if number is None or judge is not None:
            return await self._otherwise.assess(request, forecast, drafts, port=port, judge=judge)
        sight = self._sight(request, port)
        looks = list(map(sight.look, drafts))
        rows = list(map(sight.row, drafts))
        ranker = self._ranker
        if ranker is not None and (ranker.alone or all(look.key is None for look in looks)):
            told = self._expected(ranker, forecast, names=names, rows=rows)
            told = humbled(told, [look.flagged for look in looks])
            return _ranked(told, rows)
        trust = self._trust(forecast, drafts, rows)
        if len(drafts) == 1:
            sure = self._council.alone(
                number,
                trust=trust[0],
                prior=forecast[names[0]].log_odds,
                ease=self._context(forecast).mean,
            )
            return Assessment(confidences=(sure,), verdicts=_verdicts(looks, trust, rows))
        order = sorted(range(len(drafts)), key=lambda i: self._council.members.index(names[i]))
        heard = self._heard(forecast, [(looks[i], trust[i]) for i in order])
        told = self._council.confidences(number, heard)[0]
        fresh = first(heard.answers)[0]
        best = int((told * fresh).argmax())
        rivals = [float(t) for i, t in enumerate(told) if fresh[i] and i != best]
        return Assessment(
            confidences=tuple(float(told[order.index(i)]) for i in range(len(drafts))),
            verdicts=_verdicts(looks, trust, rows),
            second=max(rivals, default=0.0),
        )

    def _sight(self, request: Request, port: Port) -> surface.Sight:
        """What was read of a request's drafts, kept for as long as its port: a trial's life."""
        sight = self._sights.get(port)
        if sight is None or sight.request is not request:
            sight = self._sights[port] = surface.Sight(request, prior=self._option_prior)
        return sight

    def _expected(
        self, ranker: Ranker, forecast: Forecast, *, names: Sequence[str], rows: Rows
    ) -> list[float]:
        """The score that is expected of each open-ended draft."""
        ease = self._context(forecast).mean
        return [
            ranker.lone(ranker.pool.index(name), row, prior=forecast[name].log_odds, ease=ease)
            for name, row in zip(names, rows, strict=True)
        ]

    def _number(self, names: Sequence[str]) -> int | None:
        """The set number of the models `names`; ``None`` where the council does not know it."""
        members = self._council.members
        if len(set(names)) < len(names) or any(name not in members for name in names):
            return None
        number = sum(1 << members.index(name) for name in names)
        return number if self._council.knows(number) else None

    def _trust(self, forecast: Forecast, drafts: Sequence[Draft], rows: Rows) -> list[float]:
        """Each draft's log-odds, read alone."""
        context = self._context(forecast)
        told = []
        for draft, row in zip(drafts, rows, strict=True):
            estimate = forecast[draft.model]
            tokens = draft.completion.usage.completion_tokens
            surplus = math.log((tokens + 1.0) / (estimate.tokens + 1.0))
            odds = self._heads.lone(
                self._heads.pool.index(draft.model),
                row,
                prior=estimate.log_odds,
                pool=context,
                off_length=max(-3.0, min(3.0, surplus)),
            )
            told.append(odds)
        return told

    def _context(self, forecast: Forecast) -> Context:
        """How the pool is expected to do: all of it, or those forecast where nobody said more."""
        if forecast.context is not None:
            return forecast.context
        priors = [e.log_odds for e in forecast.estimates if e.model in self._heads.pool]
        return Context(mean=math.fsum(priors) / len(priors), best=max(priors))

    def _heard(self, forecast: Forecast, read: Sequence[tuple[Look, float]]) -> Heard:
        """The drafts and their trust as the council reads them, members in its own order."""
        import numpy as np

        seen: dict[str, int] = {}
        keys = [look.key for look, _ in read]
        return Heard(
            answers=np.array(
                [[-1 if key is None else seen.setdefault(key, len(seen)) for key in keys]]
            ),
            trust=np.array([[trust for _, trust in read]]),
            priors=np.array([[forecast[look.draft.model].log_odds for look, _ in read]]),
            ease=np.array([self._context(forecast).mean]),
        )


def _ranked(expected: Sequence[float], rows: Rows) -> Assessment:
    """The assessment of open-ended drafts: each is its own answer."""
    verdicts = []
    for place, score in enumerate(expected):
        verdicts += [
            Verdict(judge="rules", draft=place, score=rows[place][RULES]),
            Verdict(judge="rank", draft=place, score=score),
        ]
    return Assessment(
        confidences=tuple(expected),
        verdicts=tuple(verdicts),
        second=sorted(expected)[-2] if len(expected) > 1 else 0.0,
    )


def _verdicts(looks: Sequence[Look], trust: Sequence[float], rows: Rows) -> tuple[Verdict, ...]:
    """What each judge on the bench said, for the record."""
    found = [look.key for look in looks]
    verdicts = []
    for place, (look, odds) in enumerate(zip(looks, trust, strict=True)):
        others = len(found) - 1
        agreeing = found.count(look.key) - 1
        said = {
            "rules": rows[place][RULES],
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
