"""What a stretch of text is: an ask, talk about a list of asks, something that leans on another.

Every function looks at a bounded part of the text, so none is slow on a hostile one. Knows words
and sentences, not layouts.
"""

from __future__ import annotations

import re
from typing import Final

from emafusion.understand.splitting.words import (
    ABOUT,
    ASK_NOUNS,
    CARDINALS,
    DATA_VERBS,
    IMPERATIVES,
    NUMBERS,
    spelt,
)

_SEEN: Final = 1500
"""Characters that are looked at, at either end of a stretch."""
_LONGEST_TALK: Final = 600

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_VERBS = "".join(IMPERATIVES.split("\n")).replace(" |", "|").replace("| ", "|")
_ASKED = re.compile(
    r"[?？]+[\"'”’»)\]*_$.!]*(?:\s|\Z)|¿|\?\?|_{3,}"
    rf"|(?:\A|[.!:;,]\s|[\]$)]|\n)\s*(?:(?:please|kindly|now|then|also|and|just|so|try to"
    rf"|lastly|next)[,:]?\s+){{0,2}}(?:{_VERBS})\b"
    r"|\b(?:can|could|would|will) you\b|\byou (?:should|must|need to|have to|are to|are asked to)\b"
    r"|\bshould be (?:\w+ly )?\w+(?:ed|en)\b|\byour (?:task|job|goal) is\b"
    r"|\b(?:i|we)(?:['’]d| would| need| want| am trying)\b"
    r"|\bhow (?:do|to|can|many|much)\b|\bwhat (?:is|are)\b|\A\s*(?:what|who|where|why|how)\b"
    r"|\A\s*when (?:is|are|was|were|do|does|did|will|would|can|should)\b",
    re.IGNORECASE,
)
_OPTION = re.compile(r"^[ \t]*[(\[]?([A-J])[).:\]][ \t]", re.MULTILINE)
_SENTENCE = re.compile(r"(?<=[.!?:…])[\"'”’)\]*_]*\s+|\n+")
_FEW_SHOT = re.compile(
    r"^[ \t>*_#]*(?:A|Answer|Ans|Output|Solution|Label)\d?[*_ ]*[:.][*_ \t]*\S", re.M
)
_CODE = re.compile(
    r"^\s*(?:import |from \w+ import|def |class |return\b|for \w+ in |while |if .*:$|#include|var |"
    r"let |const |[\w.\[\]]+\s*=[^=]|[\w.]+\(.*\)[;:]?$|[{}]|SELECT |print\(|\}|else)"
)
_LEADING = re.compile(
    r"\A\W*(?:(?:and|then|now|so)\s+)?(?:it|its|it's|they|them|their|he|she|his|her|him|that|those|"
    r"these|this(?!\s+(?:question|passage|problem|item|text))|the same|the (?:above|previous"
    r"|result|results|resulting|latter|former)|if (?:so|not|yes)\b|why\?|why not"
    r"|based on (?:this|that"
    r"|it)|using (?:this|that|it|these|those)|how about|what about|for each of)\b",
    re.IGNORECASE,
)
_OBJECT = re.compile(
    rf"\A\W*(?:please\s+|now\s+|then\s+)*(?:{_VERBS})\s+(?:(?:\w+\s+)?)"
    r"(?:it|them|that|this|these|those|the (?:result|results|resulting|answer|output|same))"
    r"(?=\s*(?:[.,;!]|\Z|into|to|in|as|by|for|with|from|and|using|on|against|back|again|up|out|\w+ly))",
    re.IGNORECASE,
)
_PRONOUN = re.compile(r"\b(?:he|she|him|his|her|they|them|their)\b", re.IGNORECASE)
_ANTECEDENT = re.compile(
    r"(?<=\s)[A-Z][a-zé]|\b(?:an?|the|every|each|some|any|your|my|one|two|three|\d+)\s+\w+"
    r"|\w{3,}s\b|\b(?:people|who|men|women|children|someone|somebody|anyone|everyone|I|you|we)\b"
)
_FUNCTION = re.compile(
    r"(?:how|what|when|where|why|who|which|whose|does|do|did|is|was|are|were|has|have|had|can|could"
    rf"|will|would|should|if|in|on|at|for|after|before|then|and|but|so|also|{_VERBS})\b",
    re.IGNORECASE,
)
_REFERS = re.compile(
    r"\b(?:answer|answers|result|results|output|number|value|text|response|solution|reply)s?\s+"
    r"(?:you (?:gave|got|found|wrote) )?(?:to|of|from|in|for|by)\s+(?:the\s+)?"
    r"(?:(?:question|part|task|step|problem|item|request|number|no\.?|q|point|exercise)\s*#?\(?"
    r"(?P<n>[1-8]|[a-hA-H]\b|one|two|three|four|five|six|seven)\b|(?P<o>first|second|third|fourth|"
    r"fifth|previous|last|preceding|former)\s+(?:question|part|task|step|problem|item|one|request))",
    re.IGNORECASE,
)
_BACK = re.compile(
    r"\b(?:your|the|that) (?:previous|last|preceding|earlier|above) (?:answer|result|output|reply|"
    r"response|question|part|task|step)|\b(?:that|this) (?:answer|result|output)\b|"
    r"\byour (?:answer|result|output) (?:above|so far)|\bquestion \d above",
    re.IGNORECASE,
)
_COUNT = re.compile(
    rf"\b(\d{{1,2}}|{'|'.join(sorted(CARDINALS))})\s+(?:[^\W\d_][\w'’-]*,?\s+){{0,4}}?"
    rf"(?:{'|'.join(sorted(ASK_NOUNS, key=len, reverse=True))})\b",
    re.IGNORECASE,
)
_ALL_OF = re.compile(
    r"\b(?:all|these|of|the|following|answer|solve|do|to|address) (two|three|four|five|six|seven|"
    r"eight|[2-8])\b(?!\s+[a-z]+\s+(?:sentences|words|lines))|\b(both)\b(?! or)",
    re.IGNORECASE,
)
LISTING: Final = re.compile(
    r"\bsort(?:ed)? (?:\w+ ){0,2}out\b|\b(?:questions|tasks|requests|problems|what is|what['’]s)"
    r" (?:in|of|from) (?:this|the)(?: following)? table(?: below)?\b",
    re.IGNORECASE,
)
"""Uses of "sort" and "table" that only speak of the list."""
_LISTED: Final = ("sort", "table")
_SINGULAR = spelt(
    """issue question exercise puzzle riddle challenge frage aufgabe tâche exercice problème domanda
    zadanie"""
)
_SEVERAL: Final = ({noun for noun in ASK_NOUNS if noun.endswith(("s", "n", "e"))} - _SINGULAR) | {
    "both",
    "following",
    "each",
    "every",
    "all",
    "below",
}
_ONE = re.compile(
    r"\b(?:following|below) (?:question|task|problem|request|prompt|exercise|message)\b",
    re.IGNORECASE,
)
_STOP = spelt(
    """the a an of to in on at is are was were be been and or for with by from as that this it its
    which what how who when where why does do did has have had can could will would should not no
    if than then following given find many much each all any one two some there their they he she
    his her him you your i my me we our function value values correct answer called using used
    number into between out also most more least best describe described statement true false
    assertion complete python output input literal code containing executing provided"""
)


def words(text: str) -> list[str]:
    """The words of `text`, in lower case."""
    return _WORD.findall(text.lower().replace("’", "'"))


def ends(text: str) -> str:
    """`text`, with its middle left out where it is long."""
    return text if len(text) <= 2 * _SEEN else f"{text[:_SEEN]}\n{text[-_SEEN:]}"


def sentences(text: str) -> list[str]:
    """The sentences and lines of `text`, rejoinable by nothing: white space is dropped."""
    return [found for found in _SENTENCE.split(text) if found and found.strip()]


def has_options(text: str) -> bool:
    """Whether lines A, B, … stand at the end of `text`, as under a choice question."""
    return "AB" in "".join(_OPTION.findall(text[-6000:]))


def is_ask(text: str) -> bool:
    """Whether `text` asks for something by itself."""
    return bool(_ASKED.search(ends(text))) or has_options(text)


def is_question(text: str) -> bool:
    """Whether `text` asks with a question mark or with options to choose from."""
    return "?" in text or "？" in text or has_options(text)


def is_code(text: str) -> bool:
    """Whether `text` is a line and then mostly code that nothing marks as code."""
    bare = re.split(r"\[(?:PYTHON|asy)\]|```|\\begin|\\\[", text[:_SEEN], maxsplit=1)[0]
    lines = [line for line in bare.splitlines()[1:] if line.strip()]
    return bool(lines) and 2 * sum(bool(_CODE.match(line)) for line in lines) > len(lines)


def is_example(text: str) -> bool:
    """Whether `text` holds an answered question, as examples do."""
    return bool(_FEW_SHOT.search(text[-_SEEN:])) and not has_options(text)


def about_share(text: str) -> float:
    """The share of the words of `text` that are about asking and answering; 1 for no words."""
    found = words(text[:_LONGEST_TALK])
    return sum(word in ABOUT for word in found) / len(found) if found else 1.0


def is_talk(text: str, *, least: float = 0.8) -> bool:
    """Whether `text` only talks about the list: greets, announces, says how to answer, thanks.

    `least` is the share of words about asking it must have; a word that makes the list data
    ("translate", "which") rules it out.
    """
    text = text.strip()
    if not text.isascii() or any(word in text.lower() for word in _LISTED):
        text = LISTING.sub("do", text)
    if len(text) > _LONGEST_TALK or "$" in text or "=" in text.strip("=\n "):
        return False
    found = words(text)
    if DATA_VERBS.intersection(found) or ("not" in found and "answer" in found):
        return False
    if re.search(r"\?\s*\Z", text) and not re.search(
        r"\b(?:can|could|would|will) you\b", text, re.I
    ):
        return False
    return about_share(text) >= least


def announced(text: str) -> int | None:
    """How many asks `text` says there are, or ``None``."""
    for pattern in (_COUNT, _ALL_OF):
        found = pattern.search(text[:_LONGEST_TALK])
        if found:
            said = next(group for group in found.groups() if group).lower()
            return int(said) if said.isdigit() else NUMBERS.get(said)
    return None


def names_list(text: str) -> bool:
    """Whether `text` speaks of several asks ("these questions", "both", "the tasks below")."""
    found = set(words(text))
    if _ONE.search(text):
        found.discard("following")
    return not found.isdisjoint(_SEVERAL)


def leans(text: str) -> bool:
    """Whether `text` cannot be understood alone: a pronoun or "the result" of something before."""
    head = ends(text)[:400]
    if _LEADING.match(head) or _OBJECT.match(head):
        return True
    pronoun = _PRONOUN.search(head)
    if pronoun is None:
        return False
    told = head[: pronoun.start()].strip()
    named = told[:1].isupper() and not _FUNCTION.match(told)
    return not named and not _ANTECEDENT.search(told)


def refers(text: str, at: int) -> tuple[int, ...] | None:
    """Which earlier parts part `at` names as its sources; ``None`` where it names a later one."""
    looked = ends(text)
    found: list[int] = []
    for each in _REFERS.finditer(looked):
        said = (each["n"] or each["o"]).lower()
        back = said in {"previous", "last", "preceding", "former"}
        if at or not back:
            found.append((at if back else _ordinal(said)) - 1)
    if at and _BACK.search(looked):
        found.append(at - 1)
    if any(not 0 <= each < at for each in found):
        return None
    return tuple(sorted(set(found)))


def _ordinal(said: str) -> int:
    if said.isdigit():
        return int(said)
    return NUMBERS.get(said) or (ord(said) - ord("a") + 1 if len(said) == 1 else 0)


def content(text: str) -> frozenset[str]:
    """The words of `text` that carry its subject."""
    return frozenset(w for w in words(ends(text)) if len(w) > 2 and w not in _STOP)


def overlap(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of the smaller subject that is in the other: 0 for different subjects."""
    least = min(len(one), len(other))
    return len(one & other) / least if least else 0.0
