"""Short asks, plainly listed: what makes a few words enough to stand alone.

Knows single asks and rows of them (lines, questions, "First … Then … Finally …"). Every part must
ask in so many words, and must name all that it is about; one that might lean on another's words or
setting keeps the prompt whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations, islice
from typing import Final

from emafusion.understand.splitting.layout import CROWDED, MOST, Boundary, Layout, Piece, cut, tidy
from emafusion.understand.splitting.passages import preamble
from emafusion.understand.splitting.reading import about_share, content, has_options, is_talk, words
from emafusion.understand.splitting.words import COMMONPLACE, OPEN_VERBS, TELLING_VERBS

_LONGEST: Final = 300
"""Characters from which an ask tells a story, and is weighed as one."""
_SHARED: Final = 0.34
"""The share of its words that an ask may have from another, if it is one word."""
_LONGEST_ROW: Final = 1500
"""Characters beyond which a prompt is no row of short asks."""
_POLITE = re.compile(
    r"\A(?:(?:please|kindly|now|just|(?:can|could|would|will) you|i(?:['’]d| would) like you to"
    r"|(?:tell|show) me|let me know)\b,?\s+)+(?:to\s+)?",
    re.IGNORECASE,
)
_WH = re.compile(
    r"(?:what|who|whom|whose|which|when|where|why|how)(?:['’]s)?\s+"
    r"(?!(?:i|we|you|he|she|it|they|to|the|an?|one)\b)",
    re.IGNORECASE,
)
_POLAR = re.compile(r"(?:is|are|was|were|does|do|did|has|have|can|could|will|would)\s", re.I)
_BACK = re.compile(
    r"\b(?:this|these|those|such|latter|former|above|below|previous(?:ly)?|following|same|another"
    r"|others|else|again|instead|both|either|neither|respectively|your|yours|i|i'[a-z]+|my|mine"
    r"|you(?! (?:say|spell|pronounce|convert)\b)"
    r"|we|our|us|here|each|so|next|remaining|rest|ones|too)\b"
    r"|(?<!give )(?<!teach )\bme\b|\b(?:the \w+|that|which|every|each) one\b"
    r"|(?:\A|\b(?:of|for|about|with|from|by|like|than|after|explain|is|was|does)\s+)that\b"
    r"|\bthat(?=\W*(?:\Z|[.,;?!]))|(?<!is )(?<!are )(?<!were )\bthere\b(?! (?:is|are|was|were)\b)",
    re.IGNORECASE,
)
"""Words that point out of the ask that they stand in."""
_PRONOUN = re.compile(
    r"\b(?:it|its|it's|they|them|their|theirs|he|she|him|her|his|hers)\b", re.IGNORECASE
)
_HELD = re.compile(r"\ban?\s+\w+.*(?:[.,]|\b(?:and|when|if|but|while)\b)", re.IGNORECASE | re.S)
"""What a pronoun may stand for in its own ask: "A train leaves … it arrives"."""
_DEFINITE = re.compile(
    r"\bthe\s+(?P<said>[^\s.,;?!]+(?:\s+[^\s.,;?!]+){0,4})", re.IGNORECASE
)  # what follows "the", up to five words
_POSTPONED = re.compile(r"\s(?:of|between|that|who|whose|which|from)\s+\S")
_UNIQUE: Final = re.compile(
    r"\w{2,}est\b|(?:most|least|first|second|third|last|best|worst|only|human|sky|sun|moon|earth"
    r"|world|ocean|sea|internet|alphabet|universe|equator|solar|periodic|year|square|cube|number)\b"
    r"|\S*\d"
)
_RELATIVE = re.compile(
    r"\b(?:alternatives?|advantages?|disadvantages?|pros|cons|benefits?|drawbacks?|consequences?"
    r"|causes|exceptions?|reasons?|steps?|examples?|symptoms?|treatments?|side effects?|features?"
    r"|limitations?|applications?|answers?|results?|questions?|conclusions?)\b"
    r"(?!\s+(?:of|to|for|from|behind)\b)",
    re.IGNORECASE,
)
"""Nouns that need something they are of; alone, it is in another ask."""
_FULL = re.compile(
    r"\b(?:about|of|on|than|between|whose|that|in|with|from)\b|\bfor (?:an?\b|['\"“‘])",
    re.IGNORECASE,
)
_BUILDING = re.compile(
    r"\b(?:it|its|them|their|that|(?:the|this|that) (?:result|answer|outcome|output|number))\b",
    re.IGNORECASE,
)
ASKED_OF: Final = re.compile(
    r"\bask(?:s|ing)? (?:me|him|her|them|us|the|each|your)\b", re.IGNORECASE
)
"""Where somebody is to ask: what follows is not asked of the reader."""
_ANCHOR = re.compile(r"\d|[\"'“‘«„]\w|\b(?:an?|the|[Tt]hree|[Tt]wo)\b|(?<=\w[ (])[A-Z]")
"""What ties an ask to something: a name, a number, a quotation, an article.

Bare nouns ("Which parts wear out first?") are as often of something that was told before.
"""
_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=\S)")
_LEAD = re.compile(
    r"(?:\A|(?<=[.?!;\n])\s*)(?:(?P<first>first(?:ly| of all)?|to (?:begin|start)(?: with)?)"
    r"|(?:oh,? +)?(?:and +)?(?:then|next|also|second(?:ly)?|third(?:ly)?|fourth(?:ly)?|after that"
    r"|afterwards?|once (?:done|that is done|that['’]s done)|separately|additionally|in addition"
    r"|on (?:another|a different|an unrelated) note|(?:one|another) (?:more |last )?(?:thing"
    r"|question)|finally|lastly|last(?: of all)?))\b(?:[ \t]*[,:—–][ \t]*|[ \t]+)(?=\S)",
    re.IGNORECASE,
)


def plainly(layout: Layout, texts: Sequence[str], after: str) -> bool:
    """Whether `texts` are asks that stand alone, however short, and nothing is said of them.

    `after` is what stands after the last of them.
    """
    around = (layout.before.strip().strip("-*=_~#").strip(), after)
    if any(about_share(said) < 1.0 or ASKED_OF.search(said) for said in around if said):
        return False
    if any(said and not is_talk(said) for said in around):
        return False
    return in_turn(texts) if layout.kind == "onward" else apart(texts)


def in_turn(texts: Sequence[str]) -> bool:
    """Whether each of `texts` stands alone or builds on the one before, and two stand apart."""
    alone = [text for text in texts if not builds(text)]
    if len(alone) < len(texts) and (len(texts) < 3 or builds(texts[0])):
        return False
    return len(alone) > 1 and apart(alone)


def builds(text: str) -> bool:
    """Whether `text` would stand alone if it named what "it" or "the result" is."""
    return not stands(text) and stands(_BUILDING.sub("X", text))


def apart(texts: Sequence[str]) -> bool:
    """Whether each of `texts` stands alone, and no two share what they are about."""
    if not all(map(stands, texts)):
        return False
    common = COMMONPLACE | TELLING_VERBS | OPEN_VERBS
    subjects = [_subject(text) - common for text in texts]
    for one, other in combinations(subjects, 2):
        shared = one & other
        if len(shared) > 1 or len(shared) > _SHARED * min(len(one), len(other)):
            return False
        if any(_particular(word, texts) for word in shared):
            return False
    return True


def _particular(word: str, texts: Sequence[str]) -> bool:
    """Whether `word` is a number, a name, or somewhere in `texts` the one already told of."""
    known = re.compile(rf"\b(?:the (?:\w+ )?(?i:{word})|{word.capitalize()})")
    return len(word) < 3 or word.isdigit() or any(known.search(text[1:]) for text in texts)


def stands(text: str) -> bool:
    """Whether `text` is one short ask that names all it is about."""
    text = text.strip()
    if "\n" in text or len(text) > _LONGEST or text[-1:] in {":", ","} or re.search(r"[{}|]", text):
        return False
    *told, asked = _SENTENCE.split(text)
    if len(told) > 2 or any("?" in each or _asks(each) for each in told):
        return False
    if not _asks(asked, setting=" ".join(told)):
        return False
    if _ANCHOR.search(text) is None or has_options(text):
        return False
    return not (_points_back(text) or _RELATIVE.search(text))


def _asks(sentence: str, *, setting: str = "") -> bool:
    """Whether `sentence` begins as an ask with an object of its own, or in the `setting` told."""
    polite = sentence[: len(sentence) - len(_POLITE.sub("", sentence))]
    asked = _POLITE.sub("", sentence)
    first = (words(asked[:40]) or [""])[0]
    subject = _subject(f"{setting} {asked}") - {first}
    if first in OPEN_VERBS:
        quoted = re.search(r"[\"'“‘«„]\w", asked) is not None
        return len(subject) >= 3 - quoted and _FULL.search(asked) is not None
    if first in TELLING_VERBS:
        return len(subject) >= 2
    if _WH.match(asked) or (asked.rstrip().endswith("?") and re.match(r"wh|how", asked, re.I)):
        return len(subject) >= 2
    return not polite and bool(_POLAR.match(asked)) and "?" in asked and len(subject) >= 2


def _subject(text: str) -> frozenset[str]:
    """What `text` is about: its words without plurals, its numbers, names of one letter."""
    named = re.findall(r"\d+(?:[.,]\d+)*|\b[b-hj-zB-HJ-Z]\b(?!['’])", text)
    said = frozenset(word.removesuffix("'s").removesuffix("s") for word in content(text))
    return said | frozenset(named)


def _points_back(text: str) -> bool:
    """Whether a word of `text` may mean something that another ask names."""
    bare = re.sub(r"(?<!\w)['\"“‘][^'\"“”‘’\n]{1,80}['\"”’](?!\w)", "X", _POLITE.sub("", text))
    if _BACK.search(bare):
        return True
    pronoun = _PRONOUN.search(bare)
    if pronoun is not None and not _HELD.search(bare[: pronoun.start()]):
        return True
    return any(not _known(found["said"]) for found in _DEFINITE.finditer(bare))


def _known(said: str) -> bool:
    """Whether `said`, after "the", tells which one is meant."""
    near = said.split()[:3]
    if any(word[:1].isupper() or _UNIQUE.match(word.lower()) for word in near):
        return True
    return _POSTPONED.search(said) is not None


def rows(text: str, mask: str) -> Iterator[Layout]:
    """The layouts of asks in a row that stand alone: led on to, line by line, or questions only."""
    if len(text) > _LONGEST_ROW or "\x00" in mask:
        return
    before, start = preamble(text)
    led = _led(text, before, start)
    if led is not None:
        yield led
    body = text[start:].strip()
    lines = [line for line in body.split("\n") if line.strip()]
    asked = _SENTENCE.split(body)
    for row in (lines, asked if all(each.endswith("?") for each in asked) else []):
        if 3 <= len(row) <= MOST and apart(row):
            pieces = tuple(Piece(text=each) for each in row)
            yield Layout(kind="paragraph", before=before, pieces=pieces)


def _led(text: str, before: str, start: int) -> Layout | None:
    """The layout of asks that words such as "Then" and "Also" lead on to."""
    leads = [each for each in islice(_LEAD.finditer(text), CROWDED) if each.start() >= start]
    if not leads or any(each["first"] for each in leads[1:]):
        return None
    marks = [Boundary(start=each.start(), end=each.end()) for each in leads]
    if leads[0]["first"] is None:
        marks = [Boundary(start=start, end=start), *marks]
    if not 2 <= len(marks) <= MOST or text[start : marks[0].start].strip():
        return None
    layout = cut(text, marks, "onward")
    if not in_turn([tidy(piece.text).rstrip(";") for piece in layout.pieces]):
        return None
    return Layout(kind="onward", before=before, pieces=layout.pieces)
