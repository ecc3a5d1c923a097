"""Short answers in words. Knows case, accents, punctuation, articles and how a sentence wraps its
answer ("The capital is Oslo."); knows no synonyms.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from emafusion.answers.conclusion import bold, conclusion
from emafusion.answers.kinds import Extracted

_FILLER: Final = re.compile(
    r"^(?:(?:sure|certainly|of course|okay|ok|yes|here (?:it is|you go|is the \w+))[!,.:]+\s*)+",
    re.I,
)
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z])|\n+")
_COPULA: Final = re.compile(
    r"\s(?:is|are|was|were|means|equals|called|named|known as|written by|by)"
    r"(?:\s+called|\s+named)?\s*:?\s",
    re.I,
)
_POINTING: Final = re.compile(
    r"^(?:it|this|that|he|she|they|there|the (?:\w+ )?(?:answer|result|output|word|name))\b", re.I
)
# A point or slash stays inside a number, a hyphen before one that it makes negative.
_DROPPED: Final = re.compile(r"[^\w\s%$€£°+#./-]|(?<!\d)[./]|[./](?!\d)|(?<=\w)-|-(?!\d)|_")
_APOSTROPHE: Final = re.compile(r"(?<=\w)['’`](?=\w)")
_ARTICLES: Final = re.compile(r"\b(?:the|a|an)\b")
_WORDS_IN_SHORT: Final = 25


def extract(text: str) -> Extracted | None:
    """The short answer in a reply, or ``None`` when no letter or digit is left of it."""
    span = _span(text)
    canonical = fold(span)
    if not canonical:
        return None
    return Extracted(kind="text", span=span, key=canonical)


def fold(text: str) -> str:
    """Case, accents, punctuation, articles and spacing folded away.

    Folding twice changes nothing.
    """
    said = words(text)
    # A reply that is nothing but an article ("a") still says something.
    return " ".join(_ARTICLES.sub(" ", said).split()) or said


def words(text: str) -> str:
    """The same with its articles kept."""
    plain = text.casefold() if text.isascii() else _unaccented(text)
    return " ".join(_DROPPED.sub(" ", _APOSTROPHE.sub("", plain)).split())


def _unaccented(text: str) -> str:
    split = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFKC", "".join(c for c in split if not unicodedata.combining(c)))


def _span(text: str) -> str:
    bare = text.strip()
    # What has a capital letter is not folded: most replies, whose folding would cost the most.
    capital = bare.isascii() and bare != bare.lower()
    if not capital and fold(bare) == bare:
        return bare
    stated = conclusion(bare)
    if stated:
        return _wrapped(stated) if len(stated.split()) > 4 else stated
    bare = _FILLER.sub("", bare)
    sentences = [part for part in _SENTENCE.split(bare, maxsplit=8) if part.strip()]
    if not sentences or len(bare.split()) > 4 * _WORDS_IN_SHORT:
        return bare
    strong = bold(sentences[0])
    return strong or _wrapped(sentences[0])


def _wrapped(sentence: str) -> str:
    """The side of "X is Y" that answers: the shorter, unless it only points at the question."""
    if len(sentence.split()) > _WORDS_IN_SHORT:
        return sentence
    joints = list(_COPULA.finditer(sentence))
    if not joints:
        return sentence
    before, after = sentence[: joints[0].start()], sentence[joints[-1].end() :]
    if not after.strip(" .") or not before.strip():
        return sentence
    if _POINTING.match(before) or len(after.split()) <= len(before.split()):
        return after
    return before
