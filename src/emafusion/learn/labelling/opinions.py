"""What models that judge said of drafts, read from the journal in which it was kept.

Knows how two orders of one comparison become one verdict, how verdicts become a score a draft, and
how far a judge's word counts. It asks nobody.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from emafusion.evaluate.recorded import Recorded
from emafusion.judge import comparison
from emafusion.learn.interchange import Recorded as Answers
from emafusion.learn.journal import FILE, Answered, Journal, Row
from emafusion.types import Completion, Draft, Model, Usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FOLDER: Final = "judges"
"""Below the outcomes: what judges were asked and said, so that nothing is paid twice."""
ALIKE: Final = 0.5
"""How far the errors of two judges go together."""
USUAL: Final = 0.75
"""How often a judge nobody tested is taken to prefer the better of two drafts."""
TRIED: Final = 8.0
"""Comparisons of known outcome that tell as much of a judge as :data:`USUAL` does."""

Pair: TypeAlias = tuple[str, str]
"""Two texts of one query by their digests, in order."""
Heard: TypeAlias = Mapping[tuple[str, str], Mapping[Pair, float | None]]
"""By query and judge: P(the first of a pair is better); ``None`` where a reply was no verdict."""


class Gauged(Struct, frozen=True, kw_only=True):
    """A comparison whose outcome is known: `better` of the two is better."""

    query: str
    pair: Pair
    better: str


class Opinions(Struct, frozen=True, kw_only=True):
    """What judges said, and how far their word counts.

    Parameters
    ----------
    said : mapping of query and model to a mapping of judge to P(better than an average draft)
    right : mapping of judge to the share of known comparisons that it got right
        Shrunk towards :data:`USUAL`, at which a judge's word counts in full.
    verdicts : int
        Comparisons that both orders were heard of.
    """

    said: Mapping[tuple[str, str], Mapping[str, float]] = MappingProxyType({})
    right: Mapping[str, float] = MappingProxyType({})
    verdicts: int = 0

    def log_odds(self, recorded: Recorded) -> Array:
        """The judges' joint log-odds of each draft (n, m); NaN where none spoke.

        Of j judges each counts 1 / (1 + (j − 1) ρ) with ρ = :data:`ALIKE`, as forecasts do whose
        errors go together (Winkler, 1981).
        """
        import numpy as np

        found = np.full(recorded.scores.shape, np.nan)
        for row, query in enumerate(recorded.queries):
            for column, model in enumerate(recorded.models):
                said = self.said.get((query, model))
                if said:
                    odds = [self.weight(judge) * _logit(one) for judge, one in said.items()]
                    found[row, column] = math.fsum(odds) / (1.0 + (len(odds) - 1) * ALIKE)
        return found

    def weight(self, judge: str) -> float:
        """How far a judge's word counts: 1 for one that is right as often as is usual, 0 at best
        for one no better than chance.
        """
        return max(_logit(self.right.get(judge, USUAL)), 0.0) / _logit(USUAL)

    def without(self, judges: Collection[str]) -> Opinions:
        """What the others said."""
        said = {
            place: {judge: score for judge, score in told.items() if judge not in judges}
            for place, told in self.said.items()
        }
        right = {judge: share for judge, share in self.right.items() if judge not in judges}
        return replace(self, said=said, right=right)


NOTHING: Final = Opinions()


def namesakes(models: Iterable[Model]) -> dict[str, frozenset[str]]:
    """By name, all names that the same model goes by: of one provider, with one name upstream."""
    models = tuple(models)
    names: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for model in models:
        names[model.provider, model.upstream].add(model.name)
    return {model.name: frozenset(names[model.provider, model.upstream]) for model in models}


def read(folder: Path, recorded: Recorded, *, models: Iterable[Model] = ()) -> Opinions:
    """What judges said of `recorded`'s drafts, by the journal below the outcomes' `folder`.

    A judge's word on a draft of its own does not count; `models`, judges among them, tell which of
    them are one model under several names.

    Raises
    ------
    StoreError
        Judges are being asked right now.
    DataError
        The journal is damaged.
    """
    if not (folder / FOLDER / FILE).exists():
        return NOTHING
    with Journal(folder / FOLDER) as journal:
        rows = list(journal.rows())
    verdicts, gauges, same = heard(rows), gauged(rows), namesakes(models)
    texts = {
        query: (prompt, drafts)
        for query, prompt, drafts in zip(
            recorded.queries, recorded.prompts, recorded.drafts, strict=True
        )
    }
    said: defaultdict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for (query, judge), pairs in verdicts.items():
        drafts = shown(*texts[query]) if query in texts else {}
        own = same.get(judge, {judge})
        drafts = {model: text for model, text in drafts.items() if model not in own}
        for model, score in _scored(drafts, pairs).items():
            said[query, model][judge] = score
    return Opinions(
        said=dict(said),
        right=_right(verdicts, gauges),
        verdicts=sum(win is not None for pairs in verdicts.values() for win in pairs.values()),
    )


def _scored(texts: Mapping[str, str], pairs: Mapping[Pair, float | None]) -> dict[str, float]:
    """How each model's draft stands among those of its query, by one judge's `pairs`."""
    found = standing(sorted(set(texts.values())), pairs)
    return {model: found[text] for model, text in texts.items() if text in found}


def shown(prompt: str, drafts: Sequence[Draft | None]) -> dict[str, str]:
    """The digest of each model's text as a judge sees it; models that show nothing are left out."""
    told = {d.model: comparison.shown(d, asked=prompt) for d in drafts if d is not None}
    return {model: digest(text) for model, text in told.items() if text}


def digest(text: str) -> str:
    """Sixteen hexadecimal digits that stand for a text."""
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


def heard(rows: Iterable[Row]) -> Heard:
    """The verdicts of which both orders were heard; orders that disagree make a tie."""
    answers = Answers(rows)
    halves: defaultdict[tuple[str, str], dict[Pair, float | None]] = defaultdict(dict)
    for (name, judge, _), reply in answers.replies.items():
        about = answers.questions[name].provenance
        pair = str(about["first"]), str(about["second"])
        halves[str(about["query"]), judge][pair] = _opinion(reply)
    return {place: _both(asked) for place, asked in halves.items()}


def gauged(rows: Iterable[Row]) -> tuple[Gauged, ...]:
    """The comparisons of known outcome among the questions that were put."""
    questions = Answers(rows).questions.values()
    return tuple(
        Gauged(
            query=str(q.provenance["query"]),
            pair=(str(q.provenance["first"]), str(q.provenance["second"])),
            better=str(q.provenance["better"]),
        )
        for q in questions
        if "better" in q.provenance and str(q.provenance["first"]) < str(q.provenance["second"])
    )


def standing(digests: Sequence[str], pairs: Mapping[Pair, float | None]) -> dict[str, float]:
    """P(better than an average draft) of each text that a verdict was heard of."""
    places = {one: place for place, one in enumerate(digests)}
    wins = {
        (places[one], places[two]): win
        for (one, two), win in pairs.items()
        if win is not None and one in places and two in places
    }
    strengths = comparison.bradley_terry(len(digests), wins)
    known = {place for pair in wins for place in pair}
    return {digests[place]: strengths[place] for place in sorted(known)}


def _both(halves: Mapping[Pair, float | None]) -> dict[Pair, float | None]:
    return {
        (one, two): _agreed(ahead, halves[two, one])
        for (one, two), ahead in halves.items()
        if one < two and (two, one) in halves
    }


def _agreed(ahead: float | None, behind: float | None) -> float | None:
    if ahead is None or behind is None:
        return None
    agree = (ahead - 0.5) * (0.5 - behind) > 0.0
    return (ahead + 1.0 - behind) / 2.0 if agree else 0.5


def _right(verdicts: Heard, gauges: Sequence[Gauged]) -> dict[str, float]:
    """How often each judge prefers what is better, where that is known; a tie is half right."""
    found = {}
    for judge in sorted({judge for _, judge in verdicts}):
        wins = [
            win if gauge.better == gauge.pair[0] else 1.0 - win
            for gauge in gauges
            if (win := verdicts.get((gauge.query, judge), {}).get(gauge.pair)) is not None
        ]
        right = math.fsum(0.5 if win == 0.5 else float(win > 0.5) for win in wins)
        found[judge] = (right + USUAL * TRIED) / (len(wins) + TRIED)
    return found


def _opinion(reply: Answered) -> float | None:
    usage = Usage(prompt_tokens=reply.prompt_tokens, completion_tokens=reply.completion_tokens)
    logprobs = None if reply.mean_logprob is None else (reply.mean_logprob,)
    completion = Completion(text=reply.text.strip(), usage=usage, logprobs=logprobs)
    return comparison.opinion(
        Draft(model=reply.model, completion=completion, cost_usd=0.0, latency_s=0.0)
    )


def _logit(share: float) -> float:
    clipped = min(max(share, 0.02), 0.98)
    return math.log(clipped / (1.0 - clipped))
