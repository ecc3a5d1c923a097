"""How far a text that its sender did not write reads like orders to the model that reads it.

A score by what such texts say, in the clear or disguised; what decides is the policy. Knows neither
models nor requests. A text that says nothing of the kind and still misleads is not found out.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence

from emafusion.protect import disguised
from emafusion.protect.orders import SIGNS, Sign, quotations, words

LONGEST = 400_000
"""Characters read of a text, half of them from its end."""
REACH = 300
"""Characters within which signs count together."""
PIECE = 1_000
"""Characters whose words are read together, to know which signs may begin among them."""
OVER = 240
"""How far a sign may reach beyond them."""
EXAMPLE = 0.35
"""What is left of a sign's weight where it is quoted as an example."""
DISGUISE = 0.45
"""The weight of a disguise, where what is in it has any sign at all."""
APART = 0.2
"""By how much what is in a disguise must outdo the text as it stands: most of it is the same."""
DEEPEST = 2
"""How many codes within each other are undone."""
_BLANKS = re.compile(r"[ \t\r\f\v\u00a0]+")
_LINES = re.compile(r" ?\n ?")


def score(text: str) -> float:
    """How far `text` reads like orders to a model, from 0 to 1; takes time linear in it."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]}\n{text[-LONGEST // 2 :]}"
    return round(_score(text, 0), 4)


def highest(found: Iterable[str]) -> float:
    """The highest score of the texts `found`, 0 where there are none."""
    return max(map(score, found), default=0.0)


def _score(text: str, depth: int) -> float:
    plain, odd = disguised.folded(text)
    best = _plain(plain)
    if odd and best:
        best = _either(best, DISGUISE)
    if depth >= DEEPEST:
        return best
    for said in disguised.said(text):
        within = _score(said, depth + 1) if said else 0.0
        if within - best >= APART:
            best = _either(within, DISGUISE)
    return best


def _plain(folded: str) -> float:
    """The score of the place in a text in small letters that has most signs."""
    text = _LINES.sub("\n", _BLANKS.sub(" ", folded)).replace("a.i.", "ai")
    found = sorted(_signs(text), key=lambda one: one[0])
    if not found:
        return 0.0
    quoted = list(quotations(text))
    return _together((place, sign.name, _weight(sign, place, quoted)) for place, sign in found)


def _signs(text: str) -> Iterator[tuple[int, Sign]]:
    """Where in `text` which signs begin, looked for only where the words for them are near."""
    starts = range(0, len(text), PIECE)
    known = [words(text[start : start + PIECE]) for start in starts]
    for n, start in enumerate(starts):
        near = known[n].union(*known[n + 1 : n + 2])
        last = start + PIECE
        for sign in SIGNS:
            if any(map(near.isdisjoint, sign.needs)):
                continue
            begun = ((one.start(), sign) for one in sign.pattern.finditer(text, start, last + OVER))
            yield from (one for one in begun if one[0] < last)


def _weight(sign: Sign, place: int, quoted: Sequence[tuple[int, int]]) -> float:
    at = bisect_right(quoted, (place, place)) - 1
    within = at >= 0 and quoted[at][0] <= place < quoted[at][1]
    return sign.weight * EXAMPLE if within and sign.quotable else sign.weight


def _together(found: Iterable[tuple[int, str, float]]) -> float:
    """The most that signs within :data:`REACH` of each other amount to, each kind of them once."""
    near: deque[tuple[int, str, float]] = deque()
    weights: Counter[tuple[str, float]] = Counter()
    best = 0.0
    for one in found:
        near.append(one)
        weights[one[1:]] += 1
        while one[0] - near[0][0] > REACH:
            gone = near.popleft()[1:]
            weights[gone] -= 1
            if not weights[gone]:
                del weights[gone]
        kinds: dict[str, float] = {}
        for name, weight in weights:
            kinds[name] = max(kinds.get(name, 0.0), weight)
        total = 0.0
        for weight in kinds.values():
            total = _either(total, weight)
        best = max(best, total)
    return best


def _either(one: float, other: float) -> float:
    """How sure two independent signs make one."""
    return 1.0 - (1.0 - one) * (1.0 - other)
