"""What a prompt demands of an answer's form, as far as its wording says so in numbers or names.

Knows common wordings of lengths, counts and formats in English; a demand it does not recognise is
no demand. Whether a text meets one, :mod:`emafusion.evaluate.constraints` knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from emafusion.answers.structured import Json
from emafusion.evaluate import constraints

LONGEST: Final = 20_000
"""Characters of a prompt, at its end, in which demands are looked for."""
ABOUT: Final = 0.25
"""How far from a number of words an answer may be that was not asked for exactly."""

_NUMBERS: Final[Mapping[str, int]] = MappingProxyType(
    {
        name: number
        for number, name in enumerate(
            ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), 1
        )
    }
)
_COUNT: Final = rf"(\d{{1,4}}|{'|'.join(_NUMBERS)})"
_KIND: Final = r"(words?|sentences?|(?:bullet(?: point)?|bullet-point|list item)s?)"
_NO_MORE: Final = (
    r"(?:at most|no more than|not more than|up to|within|under|below|fewer than|less than|"
    r"(?:a )?max(?:imum)?(?: of)?|not exceed(?:ing)?|limit(?:ed)? (?:\w+ )?to)"
)
_NO_LESS: Final = r"(?:at least|no (?:fewer|less) than|(?:a )?min(?:imum)?(?: of)?|more than|over)"
_BOUND: Final = re.compile(rf"\b({_NO_MORE}|{_NO_LESS}) {_COUNT} {_KIND}\b", re.IGNORECASE)
_EXACT: Final = re.compile(
    rf"\b(?:exactly|precisely|in|using|as|write|give|list)(?: only| just)? {_COUNT} "
    rf"(?:short |complete |brief |concise )?{_KIND}\b",
    re.IGNORECASE,
)
_STRICT: Final = re.compile(r"\b(?:exactly|precisely)\b", re.IGNORECASE)
_ONE_WORD: Final = re.compile(r"\b(?:one|a single)[ -]word\b", re.IGNORECASE)
_AS_JSON: Final = re.compile(
    r"\b(?:as|in|into|return|output|reply with|answer with|only)(?: an?| the| valid| only| whole)* "
    r"JSON\b"
)
_UPPER: Final = re.compile(r"\bin (?:all )?(?:capital letters|capitals|upper ?case)\b", re.I)
_LOWER: Final = re.compile(r"\bin (?:all )?(?:small letters|lower ?case)\b", re.I)
_QUOTED: Final = r"(?:word|words|phrase|term)s? [\"'“]([^\"'”\n]{2,40})[\"'”]"
_INCLUDE: Final = re.compile(
    rf"(?<!not )(?<!n't )(?<!never )\b(?:include|mention|use|contain)s? the {_QUOTED}", re.I
)
_AVOID: Final = re.compile(
    r"\b(?:without(?: using)?|avoid(?: using)?|(?:do not|don't|never) (?:use|mention|include)) "
    rf"the {_QUOTED}",
    re.I,
)

Check = Callable[[str], bool]


def demanded(prompt: str) -> tuple[Check, ...]:
    """One check for each demand that `prompt` makes."""
    asked = prompt[-LONGEST:]
    checks: list[Check] = [_satisfying(params) for params in (*_lengths(asked), *_words(asked))]
    if _AS_JSON.search(asked):
        checks.append(_is_json)
    return tuple(checks)


def share(checks: Sequence[Check], text: str) -> float:
    """The share of `checks`, at least one, that `text` meets."""
    return sum(check(text) for check in checks) / len(checks)


def _lengths(asked: str) -> Iterator[Mapping[str, Json]]:
    for bound, count, kind in _BOUND.findall(asked):
        number = _number(count)
        if not kind.lower().startswith("word"):
            continue
        low = re.fullmatch(_NO_LESS, bound, re.IGNORECASE) is not None
        yield {"min_words" if low else "max_words": number}
    # What bounds a length says no exact one: "in not more than one word".
    rest = _BOUND.sub("\n", asked)
    for found in _EXACT.finditer(rest):
        yield from _exactly(found)
    if _ONE_WORD.search(rest):
        yield {"words": 1}


def _exactly(found: re.Match[str]) -> Iterator[Mapping[str, Json]]:
    number, kind = _number(found[1]), found[2].lower()
    if kind.startswith("word"):
        if _STRICT.match(found[0]):
            yield {"words": number}
        else:
            slack = max(round(ABOUT * number), 1)
            yield {"min_words": number - slack, "max_words": number + slack}
    elif kind.startswith("sentence"):
        yield {"sentences": number}
    else:
        yield {"bullets": number}


def _words(asked: str) -> Iterator[Mapping[str, Json]]:
    if _UPPER.search(asked):
        yield {"case": "upper"}
    if _LOWER.search(asked):
        yield {"case": "lower"}
    for word in _INCLUDE.findall(asked):
        yield {"include": [word]}
    for word in _AVOID.findall(asked):
        yield {"exclude": [word]}


def _satisfying(params: Mapping[str, Json]) -> Check:
    return lambda text: constraints.satisfied(text, params)


def _is_json(text: str) -> bool:
    bare = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    try:
        json.loads(bare)
    except (ValueError, RecursionError):
        return False
    return True


def _number(text: str) -> int:
    return _NUMBERS.get(text.lower()) or int(text)
