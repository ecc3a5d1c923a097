"""Whether a layout really is several asks: the evidence, weighed.

Knows layouts and readings of text; finds no boundaries itself. Where the evidence is not clear the
answer is no: a prompt that is wrongly split is lost, one that is not split only costs more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations
from typing import Final

from emafusion.types import Part, Split
from emafusion.understand.splitting.layout import MOST, Layout, joined, loose, tidy
from emafusion.understand.splitting.plain import ASKED_OF, builds, plainly, stands
from emafusion.understand.splitting.reading import (
    announced,
    content,
    has_options,
    is_ask,
    is_code,
    is_example,
    is_question,
    is_talk,
    leans,
    names_list,
    overlap,
    refers,
    words,
)
from emafusion.understand.splitting.words import DATA_VERBS, spelt

ENOUGH: Final = 2.0
"""The weight of evidence from which a prompt is split."""
_POINTS: Final = {
    "worded": 1.5,
    "tag": 1.5,
    "json": 1.0,
    "heading": 1.0,
    "numbered": 1.0,
    "rule": 1.0,
    "onward": 1.0,
    "lettered": 0.5,
    "bullet": 0.5,
    "paragraph": 0.0,
}
_LONG: Final = 14
"""Words a part has, on average, where it tells enough to stand alone."""
_LABELLED = re.compile(r"[(\[#*]*(?:\d|[a-h]|[ivx]+)[.):\]]\s|[-*•→+–]\s", re.IGNORECASE)
"""How a piece begins whose boundaries ignore the labels there are."""
_THANKS: Final = spelt("thanks thank cheers regards gracias merci danke grazie")
_SALUTED = re.compile(
    r"^[ \t]*(?:dear|hi|hello|hey)\b[^\n.?!]{0,40}$", re.IGNORECASE | re.MULTILINE
)
_SIGNED = re.compile(
    r"\n[ \t]*(?:(?:(?:kind|best|warm)(?:est)? )?regards|best(?: wishes)?|(?:yours )?sincerely"
    r"|yours(?: truly| faithfully)?|cheers|many thanks|thanks(?: a lot| again| in advance)?"
    r"|thank you(?: very much| in advance)?|mit freundlichen grüßen|viele grüße|cordialement"
    r"|saludos)[,.!]?[ \t]*(?:\n+[^\n?:]{1,40}){1,3}\s*\Z",
    re.IGNORECASE,
)
"""How a mail ends: a wish, and up to three short lines that say from whom."""
_PARTING: Final = spelt(
    """answer answers answering answered question questions please respond responses reply replies
    separately solve both tasks problems requests solutions order numbered number skip each turn
    bitte antworten respuestas réponses"""
)
"""Words one of which is in every sentence that closes a list by saying how to answer it."""
_SEVERAL: Final = spelt(
    "answers questions tasks problems requests replies both separately numbered"
)
_TELLING: Final = 20
"""Words from which a part tells its own story."""
_ON_LIST = re.compile(
    r"\b(?:these|those|(?:of|all) the above|the above(?=\W*\Z)|of them|the list"
    r"|this list|the (?:questions|statements|items|tasks|"
    r"problems|steps)|each (?:question|item|statement|one)|which (?:one|question|item)|them all)\b",
    re.IGNORECASE,
)


def weigh(layout: Layout) -> Split | None:
    """The split that `layout` gives, or ``None`` where the evidence for it is too weak."""
    texts, after = _parts(layout)
    if not 2 <= len(texts) <= MOST or not all(texts) or stands(after):
        return None  # what stands alone after the list is one more ask, not talk about it
    count = announced(layout.before) or announced(after)
    if count is not None and count != len(texts):
        return None
    firm = count is not None or layout.kind in {"worded", "tag"}
    if plainly(layout, texts, after):
        return _split(layout, texts, firm=True, plain=True)
    if not _asking(layout, texts, count=count) or (not firm and any(map(is_code, texts))):
        return None
    if _points(layout, texts, after, count=count) < ENOUGH:
        return None
    return _split(layout, texts, firm=firm)


def _asking(layout: Layout, texts: Sequence[str], *, count: int | None) -> bool:
    """Whether every part asks, or stands in a list that plainly is one of asks."""
    if 2 * sum(map(is_example, texts)) >= len(texts) or _running_on(layout):
        return False
    if layout.kind == "heading" and count is None and 2 * sum(map(is_question, texts)) < len(texts):
        return False
    if layout.kind in {"onward", "paragraph", "rule"} and _LABELLED.match(texts[0]):
        return False
    counted = count is not None and layout.kind != "paragraph"
    listed = (
        layout.kind not in {"onward", "paragraph"}
        and is_talk(layout.before)
        and names_list(layout.before)
    )
    if (counted and loose(layout.kind)) or (listed and not counted):
        counted = 2 * sum(map(is_ask, texts)) > len(texts)
    return all(is_ask(text) or counted or _worded_enough(layout, text) for text in texts)


def _running_on(layout: Layout) -> bool:
    """Whether what looks like labels are words of sentences ("Job A pays … Job B pays …")."""
    return layout.kind == "worded" and all(
        piece.label[-1:].isalnum() and re.match(r"[ \t]*[a-z]", piece.text)
        for piece in layout.pieces
    )


def _worded_enough(layout: Layout, text: str) -> bool:
    return (
        layout.kind in {"worded", "tag", "json"}
        and len(words(text[:400])) >= 4
        and "?" in "".join(piece.text[-2000:] for piece in layout.pieces)
    )


def _parts(layout: Layout) -> tuple[list[str], str]:
    """The pieces as prompts of their own, and what is said after the last."""
    joint = joined(layout.pieces)
    texts = [tidy(piece.text, joint=joint) for piece in layout.pieces[:-1]]
    if layout.kind in {"json", "tag"}:
        return [*texts, tidy(layout.pieces[-1].text)], layout.after.strip()
    last, after = _shed(tidy(layout.pieces[-1].text))
    return [*texts, tidy(last)], f"{after} {layout.after}".strip()


def _shed(text: str) -> tuple[str, str]:
    """`text` without the paragraphs, lines and sentences at its end that only talk of the list."""
    if _SALUTED.search(text):
        return text, ""  # a mail to work on, with an end of its own
    signed = _SIGNED.search(text[-300:])
    stop = at = len(text) if signed is None else max(0, len(text) - 300) + signed.start()
    for gap in (r"\n[ \t]*\n", r"\n", r"(?<=\S)\s+(?=[A-Z(])"):
        while True:
            tail = text[max(0, at - 500) : at]
            found = None
            for found in re.finditer(gap, tail):  # noqa: B007 - the last one is wanted
                pass
            if found is None or not _parting(tail[found.end() :], gap):
                break
            at = max(0, at - 500) + found.start()
    return text[:at].rstrip(), text[at:stop].strip()


def _parting(text: str, gap: str) -> bool:
    text = text.strip().strip("-*=_~#").strip()
    if not text:
        return True
    if not is_talk(text, least=0.8) or re.match(r"[(\[]?[A-Ja-j0-9][).:\]]\s", text):
        return False
    said = words(text)
    if _THANKS.intersection(said) and len(said) <= 12:
        return True
    among = _PARTING.intersection(said)
    if "\\n" not in gap or text.endswith("?"):
        several = _SEVERAL.intersection(said) or ("all" in said and among)
        return len(said) >= 3 and bool(several)
    return len(said) >= 3 and bool(among)


def _points(layout: Layout, texts: Sequence[str], after: str, *, count: int | None) -> float:
    """The evidence for `texts` being asks of their own, added up; −9 is a veto."""
    before = layout.before.strip().strip('-*=_~#[]{}`"').strip()
    asked = sum(is_question(text) for text in texts) / len(texts)
    size = sum(len(words(text[:1500])) for text in texts) / len(texts)
    points = _POINTS[layout.kind] + asked + (1.0 if size >= _LONG else 0.0)
    points += 1.5 if count is not None else 0.0
    points += 0.5 if layout.kind == "bullet" and "[" in layout.pieces[0].label else 0.0
    points += 0.5 if after and names_list(after) else 0.0
    points += 0.5 if layout.kind == "onward" and _apart(layout) else 0.0
    points += 1.0 if layout.named else 0.0
    points += 0.25 if layout.kind == "rule" and len(texts) > 2 else 0.0
    lowly = any(text[:1].islower() for text in texts[1:])
    plain = layout.kind in {"numbered", "lettered", "paragraph", "bullet"}
    plain = plain or (layout.kind == "onward" and lowly)
    if plain and count is None and not names_list(before) and _shares_options(texts):
        return -9.0
    points += _before_points(before, size=size, asked=asked)
    if after and not is_talk(after):
        return -9.0
    closing = re.split(r"\n\s*\n|(?<=[.?!])\s+(?=[A-Z])", texts[-1][-600:])[-1]
    if closing != texts[-1] and _ON_LIST.search(closing) and not has_options(texts[-1]):
        points -= 2.0
    listed = layout.kind in {"numbered", "lettered", "bullet"}
    if count is None and listed and (_trails(texts) or _retold(texts)):
        return -9.0
    return points - _kinship(texts, layout)


def _apart(layout: Layout) -> bool:
    """Whether an empty line stands before every connective."""
    return all(re.search(r"\n[ \t]*\n\s*\Z", piece.text) for piece in layout.pieces[:-1])


def _trails(texts: Sequence[str]) -> bool:
    """Whether the last of several one-question parts asks again: of the list, as a rule."""
    if any(len(words(text[:400])) >= _TELLING for text in texts[:-1]):
        return False
    asked = [len(re.findall(r"[^?]\?(?:\s|\Z)", text[-600:])) for text in texts]
    return max(asked[:-1]) <= 1 and asked[-1] > 1 and not has_options(texts[-1])


def _retold(texts: Sequence[str]) -> bool:
    """Whether a short part speaks of "the ball" where one before it told of "a ball"."""
    told: set[str] = set()
    for text in texts:
        seen = text[:400].lower()
        brief = len(words(seen)) < _TELLING and not has_options(text)
        if brief and told.intersection(re.findall(r"\bthe (\w{3,})", seen)):
            return True
        told.update(re.findall(r"\ban? (\w{3,})", seen))
    return False


def _shares_options(texts: Sequence[str]) -> bool:
    """Whether the only options stand under the last part: then they answer the whole."""
    return has_options(texts[-1]) and not any(has_options(text) for text in texts[:-1])


def _before_points(before: str, *, size: float, asked: float) -> float:
    if not before:
        return 0.5
    if is_talk(before) and not ASKED_OF.search(before):
        return 1.0 if names_list(before) else 0.5
    said = words(before[:800])
    if (
        "?" in before
        or ASKED_OF.search(before)
        or (is_ask(before) and not is_talk(before, least=0.6))
    ):
        return -9.0
    if DATA_VERBS.intersection(said) or len(said) > 45:
        return -9.0
    if is_talk(before, least=0.55) and names_list(before):
        return 0.0
    return -1.0 if len(said) <= 14 and size >= _LONG and asked == 1.0 else -9.0


def _kinship(texts: Sequence[str], layout: Layout) -> float:
    """What counts against parts that share their subject or whose later ones lean on earlier."""
    brief = [len(words(text[:400])) < _TELLING and not has_options(text) for text in texts]
    subjects = [content(text) for text in texts]
    pairs = list(combinations(range(len(texts)), 2))
    # A long part tells its own story, whatever words it shares with another of its kind.
    limit = 0.3 if layout.kind in {"onward", "paragraph", "lettered"} else 0.5
    limit = 0.8 if layout.kind in {"worded", "tag", "json"} else limit
    near = [p for p in pairs if overlap(subjects[p[0]], subjects[p[1]]) > limit]
    against = 2.0 * any(brief[one] or brief[other] for one, other in near)
    if layout.kind in {"onward", "paragraph", "lettered", "bullet"}:
        against += 4.0 * any(leans(text) for text in texts[1:])
        lowly = any(text[:1].islower() for text in texts[1:])
        against += 1.5 * (layout.kind == "onward" and lowly)
        against += 0.5 * (min(len(words(text[:400])) for text in texts) < 5)
    return against


def _split(
    layout: Layout, texts: Sequence[str], *, firm: bool, plain: bool = False
) -> Split | None:
    parts = []
    for at, (text, piece) in enumerate(zip(texts, layout.pieces, strict=True)):
        after = refers(text, at)
        if after is None:
            return None
        if at and not after and (leans(text) or (plain and builds(text))):
            if not firm:
                return None
            after = (at - 1,)
        parts.append(Part(text=text, after=after, label=piece.label))
    return Split(parts=tuple(parts), source="fast")
