"""All opinions at one table: verdicts and forecast turned into one calibrated P(right) per draft.

Knows how to weigh; the weights are learnt elsewhere and given as arrays. Without arrays it weighs
by stated pseudo-evidence, good enough to start with and to be replaced by a fit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from emafusion.judge.agreement import AgreementJudge, keys
from emafusion.judge.evidence import COMMON, OWN, own, told
from emafusion.judge.logprob import LogprobJudge
from emafusion.judge.model import ModelJudge
from emafusion.judge.rules import RulesJudge
from emafusion.protocols import Judge, Port
from emafusion.types import Assessment, Draft, Forecast, Request, Verdict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNFITTED: Mapping[str, float] = {
    "prior": 1.0,
    "rules": 3.0,
    "logprob": 2.0,
    "support": 0.8,
    "opposition": -0.6,
    "strongest_rival": -0.2,
    "judge": 0.8,
}
"""Log-odds per unit of evidence before any outcome was seen: sure signs, modest sizes."""


class CalibratedPanel:
    """Three cheap judges, a model judge on demand, and a logistic weighing of what they say.

    P(right | evidence) = σ(b + Σ wᵢ·evidenceᵢ), Platt-calibrated by construction (DESIGN §2.4).

    Parameters
    ----------
    arrays : mapping of str to ndarray
        ``weights`` of shape (14 + 4 k,), ``bias`` of shape (1,); empty for an unfitted panel.
    pool : sequence of k model names
        The models that have weights of their own, in the arrays' order.
    without : sequence of str
        Judges to leave out, for ablations.
    """

    def __init__(
        self,
        arrays: Mapping[str, NDArray[np.generic]] | None = None,
        pool: Sequence[str] = (),
        *,
        without: Sequence[str] = (),
    ) -> None:
        arrays = arrays or {}
        fitted = arrays["weights"].tolist() if "weights" in arrays else []
        self._common = dict(zip(COMMON, fitted, strict=False)) or dict(UNFITTED)
        starts = range(len(COMMON), len(fitted), len(OWN))
        self._own = {
            model: fitted[start : start + len(OWN)]
            for model, start in zip(pool, starts, strict=False)
        }
        self._bias = float(arrays["bias"][0]) if "bias" in arrays else 0.0
        everyone: tuple[Judge, ...] = (RulesJudge(), LogprobJudge(), AgreementJudge())
        self._judges = tuple(judge for judge in everyone if judge.name not in without)
        self._model_judge = ModelJudge()

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
        scores = {cheap.name: list(cheap.score(request, drafts)) for cheap in self._judges}
        if judge is not None:
            scores["model"] = await self._model_judge.score(request, drafts, judge=judge, port=port)
        found = keys(request, drafts)
        confidences = self.weigh(drafts, forecast, scores=scores, found=found)
        return Assessment(confidences=confidences, verdicts=_verdicts(scores, found))

    def weigh(
        self,
        drafts: Sequence[Draft],
        forecast: Forecast,
        *,
        scores: Mapping[str, Sequence[float | None]],
        found: Sequence[str | None],
    ) -> tuple[float, ...]:
        """One P(right) per draft from its evidence."""
        silent: list[float | None] = [None] * len(drafts)
        heard = {"rules": silent, **scores}
        voices = found if "agreement" in scores else silent_keys(len(drafts))
        table = told(drafts, forecast, scores=heard, keys=voices)
        return tuple(
            self._confidence(draft.model, common, muted="logprob" not in scores)
            for draft, common in zip(drafts, table, strict=True)
        )

    def _confidence(self, model: str, common: dict[str, float], *, muted: bool) -> float:
        """P(right) of a draft of `model` by its columns; `muted`: none of its log-probabilities."""
        mine = zip(self._own.get(model, ()), own(common), strict=False)
        log_odds = self._bias + math.fsum(weight * told for weight, told in mine)
        if muted:
            common |= dict.fromkeys(("logprob", "lowest", "sequence"), 0.0)
        log_odds += math.fsum(weight * common[name] for name, weight in self._common.items())
        return 1.0 / (1.0 + math.exp(min(-log_odds, 700.0)))


def silent_keys(count: int) -> list[str | None]:
    """As many unread answers as there are drafts: what a panel without agreement sees."""
    return [None] * count


def _verdicts(
    scores: Mapping[str, Sequence[float | None]], found: Sequence[str | None]
) -> tuple[Verdict, ...]:
    verdicts = []
    for place, answer in enumerate(found):
        for judge, given in scores.items():
            said = "" if answer is None else f"answer {answer[:60]!r}"
            reason = said if judge == "agreement" else ""
            verdicts.append(Verdict(judge=judge, draft=place, score=given[place], reason=reason))
    return tuple(verdicts)
