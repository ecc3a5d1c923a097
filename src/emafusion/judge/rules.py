"""The judge of form: what is visibly wrong with a draft, whatever it says.

Knows formats and the marks of a failed answer. Does not know whether an answer is true.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from emafusion import answers
from emafusion.answers.wording import Wording
from emafusion.judge.options import Options
from emafusion.types import Draft, Request

REFUSAL = Wording(
    r"\b(?:i(?:'m| am) (?:sorry|unable|not able)"
    r"|i (?:cannot|can't|won't) (?:help|assist|answer|provide)"
    r"|as an ai(?: language)? model|i do(?:n't| not) have (?:access|enough information))",
    holds=(
        "sorry", "unable", "not able", "i cannot ", "i can't ", "i won't ", "as an ai",
        "i don't have ", "i do not have ",
    ),
)  # fmt: skip
HEDGE = Wording(
    r"\b(?:not (?:entirely )?sure|i think|might be|maybe|perhaps|it is (?:possible|unclear)"
    r"|cannot be determined|assuming)\b",
    holds=(
        "sure", "i think", "might be", "maybe", "perhaps", "it is ", "cannot be", "assuming",
    ),
)  # fmt: skip
ONLY = Wording(
    r"\b(?:only|just|nothing else|no explanation|without (?:any )?(?:explanation|comment))\b"
)
ABROAD = re.compile(
    r"translat|russian|ukrainian|bulgarian|greek|chinese|japanese|korean|arabic|hebrew|hindi|thai"
    r"|persian|unicode|emoji",
    re.IGNORECASE,
)
FENCE = re.compile(r"```[\w+-]*\n(.*?)```", re.DOTALL)
LONGEST_HEDGE = 2000
LONGEST_CODE = 20_000
"""Characters of a draft in which hedges, and code, are looked for."""
LONG_FOR_ONLY = 120
"""Characters beyond which a draft was not "only" the answer that was asked for."""

Check = Callable[["Look"], bool]


class Look(NamedTuple):
    """One draft under the judge's eye: the request, the draft, its kind and canonical answer.

    ``options`` are those that a multiple-choice question offers, ``hunches`` what the option prior
    says of each, by label. ``flagged`` marks a draft that addressed its judge; its words to the
    judge are taken out of the ``draft`` that is looked at.
    """

    request: Request
    draft: Draft
    kind: answers.Kind
    key: str | None
    options: Options = Options()
    hunches: Mapping[str, float] = {}
    flagged: bool = False


class RulesJudge:
    """Scores a draft by the share of its faults' weights that it avoids: 1 is faultless.

    The weights order the faults by how surely they spoil an answer; the panel learns what the
    score is worth.
    """

    name = "rules"

    def score(self, request: Request, drafts: Sequence[Draft]) -> list[float | None]:
        """One minus the weight of the faults found in each draft, at least 0."""
        kind = answers.guess_kind(request.text)
        looks = [Look(request, d, kind, answers.canonical(d.text, kind)) for d in drafts]
        return [form(look) for look in looks]


def form(look: Look) -> float:
    """One minus the weight of the faults that `look` shows, at least 0."""
    return max(0.0, 1.0 - sum(faults(look).values()))


def faults(look: Look) -> dict[str, float]:
    """The names and weights of the faults that a draft shows."""
    return {name: weight for name, (weight, check) in FAULTS.items() if check(look)}


def _empty(look: Look) -> bool:
    return not look.draft.text.strip() and not look.draft.completion.tool_calls


def _truncated(look: Look) -> bool:
    return look.draft.completion.finish_reason == "length"


def _refusal(look: Look) -> bool:
    return REFUSAL.search(look.draft.text[:400]) is not None


def _hedged(look: Look) -> bool:
    return HEDGE.search(look.draft.text[:LONGEST_HEDGE]) is not None


def _unreadable(look: Look) -> bool:
    return look.kind != "text" and look.key is None


def _talkative(look: Look) -> bool:
    short = look.kind in ("json", "code", "text") or len(look.draft.text) <= LONG_FOR_ONLY
    return not short and ONLY.search(look.request.text[-600:]) is not None


def _repeats(look: Look) -> bool:
    lines = [line.strip() for line in look.draft.text.splitlines() if len(line.strip()) > 8]
    return len(lines) >= 4 and len(set(lines)) * 2 <= len(lines)


def _bad_code(look: Look) -> bool:
    if look.kind != "code" or "python" not in look.request.text.lower():
        return False
    text = look.draft.text[:LONGEST_CODE]
    found = FENCE.search(text)
    try:
        ast.parse(found.group(1) if found else text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    return False


def _bad_json(look: Look) -> bool:
    wanted = look.request.params.get("response_format")
    if not isinstance(wanted, Mapping) or not str(wanted.get("type", "")).startswith("json"):
        return False
    try:
        json.loads(look.draft.text)
    except (ValueError, RecursionError):
        return True
    return False


def _foreign(look: Look) -> bool:
    """Mostly another script than the question's, and no translation was asked for."""
    text = look.draft.text[:400]
    # Nearly every draft ends here, before its long prompt is searched.
    if text.isascii() or sum(c > "\u02af" and c.isalpha() for c in text) * 3 <= len(text):
        return False
    return ABROAD.search(look.request.text) is None and look.request.text.isascii()


FAULTS: Mapping[str, tuple[float, Check]] = {
    "empty": (1.0, _empty),
    "foreign": (0.6, _foreign),
    "refusal": (0.6, _refusal),
    "unreadable": (0.5, _unreadable),
    "bad json": (0.5, _bad_json),
    "bad code": (0.5, _bad_code),
    "repeats": (0.4, _repeats),
    "truncated": (0.4, _truncated),
    "talkative": (0.3, _talkative),
    "hedged": (0.2, _hedged),
}
