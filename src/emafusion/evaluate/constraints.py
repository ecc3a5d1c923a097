"""Constraints a rewritten or generated text must keep: lengths, words, case, shape. Knows how to
check each; judges neither style nor truth, except by keywords that must survive.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from emafusion.answers import phrase
from emafusion.answers.structured import Json
from emafusion.errors import DataError

_WORD: Final = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")
_SENTENCE_END: Final = re.compile(
    r"(?<!\bMr)(?<!\bMs)(?<!\bDr)(?<!\d)[.!?]+(?=\s|$|[\"'”])|(?<=\d)[.!?]+(?=\s|$)"
)
_BULLET: Final = re.compile(r"^\s*(?:[-*•+]|\d{1,2}[.)])\s+\S", re.M)
_LEAD: Final = re.compile(r"^[^\n]{0,120}:\s*\n+(?=\S)")
_QUOTES: Final = " \n\t\"'“”`*"


def satisfied(text: str, params: Mapping[str, Json]) -> bool:
    """Whether a reply meets every constraint; a lead-in line ending in a colon is not counted."""
    body = _body(text)
    if not body:
        return False
    return all(
        _CHECKS[name](body, value) for name, value in params.items() if name != "keep_share"
    ) and _kept(body, params)


def words(text: str) -> int:
    """How many words a text has; a hyphenated or apostrophised word is one."""
    return len(_WORD.findall(text))


def _body(text: str) -> str:
    bare = text.strip()
    return _LEAD.sub("", bare).strip(_QUOTES) if not _BULLET.match(bare) else bare


def _kept(body: str, params: Mapping[str, Json]) -> bool:
    keywords = _texts(params.get("keep", []))
    if not keywords:
        return True
    share = float(str(params.get("keep_share", 1.0)))
    kept = sum(_contains(body, keyword) for keyword in keywords)
    return kept >= share * len(keywords)


def _contains(body: str, word: str) -> bool:
    """Whether a word, or one of several parted by ``|``, occurs, plural or other ending allowed."""
    said = f" {phrase.words(body)}"
    return any(f" {phrase.words(form)}" in said for form in word.split("|"))


def _contains_whole(body: str, word: str) -> bool:
    return f" {phrase.words(word)} " in f" {phrase.words(body)} "


def _texts(value: Json) -> Sequence[str]:
    if not isinstance(value, list | tuple):
        raise DataError(f"a constraint lists words, not {value!r}")
    return [str(item) for item in value]


def _number(value: Json) -> int:
    if not isinstance(value, int):
        raise DataError(f"a constraint counts in whole numbers, not {value!r}")
    return value


def _cased(body: str, value: Json) -> bool:
    return body == (body.upper() if value == "upper" else body.lower())


def _sentences(body: str) -> int:
    ends = len(_SENTENCE_END.findall(body))
    return ends if re.search(r"[.!?][\"'”)]*$", body) else ends + 1


_CHECKS: Final[Mapping[str, Callable[[str, Json], bool]]] = MappingProxyType(
    {
        "max_words": lambda body, value: words(body) <= _number(value),
        "min_words": lambda body, value: words(body) >= _number(value),
        "words": lambda body, value: words(body) == _number(value),
        "include": lambda body, value: all(_contains(body, word) for word in _texts(value)),
        "any_of": lambda body, value: any(_contains(body, word) for word in _texts(value)),
        "exclude": lambda body, value: not any(_contains_whole(body, w) for w in _texts(value)),
        "case": _cased,
        "sentences": lambda body, value: _sentences(body) == _number(value),
        "bullets": lambda body, value: len(_BULLET.findall(body)) == _number(value),
        "starts_with": lambda body, value: body.casefold().startswith(str(value).casefold()),
        "ends_with": lambda body, value: body.casefold().endswith(str(value).casefold()),
        "keep": lambda body, value: True,
    }
)
